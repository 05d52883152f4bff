#include "app/demo/kernels.h"

#include <math.h>
#include <string.h>

void toc_linear(float *restrict y, const float *restrict x, const float *restrict w,
                const float *restrict b, int rows, int in, int out) {
    for (int r = 0; r < rows; r++) {
        float *yr = y + (long)r * out;
        if (b)
            memcpy(yr, b, (size_t)out * sizeof *yr);
        else
            memset(yr, 0, (size_t)out * sizeof *yr);
        for (int i = 0; i < in; i++) {
            float xi = x[(long)r * in + i];
            const float *wi = w + (long)i * out;
            for (int o = 0; o < out; o++)
                yr[o] += xi * wi[o];
        }
    }
}

static float dot(const float *restrict a, const float *restrict b, int n) {
    /* Eight running sums: independent chains that the compiler can keep in one vector register. */
    float sums[8] = {0};
    int i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++)
            sums[k] += a[i + k] * b[i + k];
    float sum = 0;
    for (int k = 0; k < 8; k++)
        sum += sums[k];
    for (; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

void toc_linear_backward(float *restrict dx, float *restrict dw, float *restrict db,
                         const float *restrict dy, const float *restrict x, const float *restrict w,
                         int rows, int in, int out) {
    for (int r = 0; r < rows; r++) {
        const float *dyr = dy + (long)r * out;
        if (db)
            for (int o = 0; o < out; o++)
                db[o] += dyr[o];
        for (int i = 0; i < in; i++) {
            float xi = x[(long)r * in + i];
            float *dwi = dw + (long)i * out;
            for (int o = 0; o < out; o++)
                dwi[o] += xi * dyr[o];
            if (dx)
                dx[(long)r * in + i] += dot(w + (long)i * out, dyr, out);
        }
    }
}

void toc_norm(float *y, float *mean, float *rstd, const float *x, const float *gain,
              const float *bias, int rows, int width) {
    for (int r = 0; r < rows; r++) {
        const float *xr = x + (long)r * width;
        float m = 0, v = 0;
        for (int i = 0; i < width; i++)
            m += xr[i];
        m /= (float)width;
        for (int i = 0; i < width; i++)
            v += (xr[i] - m) * (xr[i] - m);
        float s = 1.0f / sqrtf(v / (float)width + 1e-5f);
        mean[r] = m;
        rstd[r] = s;
        for (int i = 0; i < width; i++)
            y[(long)r * width + i] = (xr[i] - m) * s * gain[i] + bias[i];
    }
}

void toc_norm_backward(float *dx, float *dgain, float *dbias, const float *dy, const float *x,
                       const float *gain, const float *mean, const float *rstd, int rows,
                       int width) {
    for (int r = 0; r < rows; r++) {
        const float *xr = x + (long)r * width, *dyr = dy + (long)r * width;
        float sum = 0, sum_hat = 0;
        for (int i = 0; i < width; i++) {
            float hat = (xr[i] - mean[r]) * rstd[r], d = dyr[i] * gain[i];
            sum += d;
            sum_hat += d * hat;
            dgain[i] += dyr[i] * hat;
            dbias[i] += dyr[i];
        }
        sum /= (float)width;
        sum_hat /= (float)width;
        for (int i = 0; i < width; i++) {
            float hat = (xr[i] - mean[r]) * rstd[r];
            dx[(long)r * width + i] += (dyr[i] * gain[i] - sum - hat * sum_hat) * rstd[r];
        }
    }
}

void toc_softmax(float *x, int rows, int width) {
    for (int r = 0; r < rows; r++) {
        float *xr = x + (long)r * width, top = xr[0], sum = 0;
        for (int i = 1; i < width; i++)
            top = xr[i] > top ? xr[i] : top;
        for (int i = 0; i < width; i++) {
            xr[i] = expf(xr[i] - top);
            sum += xr[i];
        }
        for (int i = 0; i < width; i++)
            xr[i] /= sum;
    }
}

void toc_attention(float *y, float *weights, const float *qkv, int batch, int t, int width,
                   int heads) {
    int size = width / heads;
    float scale = 1.0f / sqrtf((float)size);
    memset(y, 0, (size_t)batch * (size_t)t * (size_t)width * sizeof *y);
    for (int b = 0; b < batch; b++)
        for (int h = 0; h < heads; h++)
            for (int i = 0; i < t; i++) {
                const float *q = qkv + (long)(b * t + i) * 3 * width + h * size;
                float *w = weights + ((long)(b * heads + h) * t + i) * t;
                float *out = y + (long)(b * t + i) * width + h * size;
                for (int j = 0; j <= i; j++)
                    w[j] = scale *
                           dot(q, qkv + (long)(b * t + j) * 3 * width + width + h * size, size);
                toc_softmax(w, 1, i + 1);
                for (int j = 0; j <= i; j++) {
                    const float *v = qkv + (long)(b * t + j) * 3 * width + 2 * width + h * size;
                    for (int k = 0; k < size; k++)
                        out[k] += w[j] * v[k];
                }
            }
}

/* One query row: from d(out) to d(q), d(k), d(v). dw holds i + 1 values. */
static void attention_row_backward(float *dqkv, float *dw, const float *dout, const float *w,
                                   const float *qkv, int i, int width, int size, float scale) {
    float weighted = 0;
    for (int j = 0; j <= i; j++) {
        const float *v = qkv + (long)j * 3 * width + 2 * width;
        float *dv = dqkv + (long)j * 3 * width + 2 * width;
        dw[j] = dot(dout, v, size);
        weighted += dw[j] * w[j];
        for (int k = 0; k < size; k++)
            dv[k] += w[j] * dout[k];
    }
    const float *q = qkv + (long)i * 3 * width;
    float *dq = dqkv + (long)i * 3 * width;
    for (int j = 0; j <= i; j++) {
        float d = w[j] * (dw[j] - weighted) * scale;
        const float *key = qkv + (long)j * 3 * width + width;
        float *dkey = dqkv + (long)j * 3 * width + width;
        for (int k = 0; k < size; k++) {
            dq[k] += d * key[k];
            dkey[k] += d * q[k];
        }
    }
}

void toc_attention_backward(float *dqkv, float *scratch, const float *dy, const float *weights,
                            const float *qkv, int batch, int t, int width, int heads) {
    int size = width / heads;
    float scale = 1.0f / sqrtf((float)size);
    memset(dqkv, 0, (size_t)batch * (size_t)t * 3 * (size_t)width * sizeof *dqkv);
    for (int b = 0; b < batch; b++)
        for (int h = 0; h < heads; h++)
            for (int i = 0; i < t; i++) {
                long base = (long)b * t * 3 * width + h * size;
                attention_row_backward(dqkv + base, scratch,
                                       dy + (long)(b * t + i) * width + h * size,
                                       weights + ((long)(b * heads + h) * t + i) * t, qkv + base, i,
                                       width, size, scale);
            }
}

static const float GELU_C = 0.7978845608f; /* sqrt(2/π) */

void toc_gelu(float *y, const float *x, int n) {
    for (int i = 0; i < n; i++)
        y[i] = 0.5f * x[i] * (1.0f + tanhf(GELU_C * (x[i] + 0.044715f * x[i] * x[i] * x[i])));
}

void toc_gelu_backward(float *dx, const float *dy, const float *x, int n) {
    for (int i = 0; i < n; i++) {
        float th = tanhf(GELU_C * (x[i] + 0.044715f * x[i] * x[i] * x[i]));
        float inner = GELU_C * (1.0f + 3.0f * 0.044715f * x[i] * x[i]);
        dx[i] = dy[i] * (0.5f * (1.0f + th) + 0.5f * x[i] * (1.0f - th * th) * inner);
    }
}
