/* The arithmetic of the transformer: each forward function with its backward. Row-major single
 * precision. */
#ifndef TOC_APP_DEMO_KERNELS_H
#define TOC_APP_DEMO_KERNELS_H

/* y[rows][out] = x[rows][in] · w[in][out] + b[out] */
void toc_linear(float *y, const float *x, const float *w, const float *b, int rows, int in,
                int out);
/* dx, dw, db are added to; dx may be NULL. */
void toc_linear_backward(float *dx, float *dw, float *db, const float *dy, const float *x,
                         const float *w, int rows, int in, int out);

/* y = (x − mean) / std · gain + bias per row; mean and 1/std are kept for the backward. */
void toc_norm(float *y, float *mean, float *rstd, const float *x, const float *gain,
              const float *bias, int rows, int width);
void toc_norm_backward(float *dx, float *dgain, float *dbias, const float *dy, const float *x,
                       const float *gain, const float *mean, const float *rstd, int rows,
                       int width);

/* Causal self-attention of `batch` sequences. qkv[batch·t][3·width], weights[batch][heads][t][t].
 */
void toc_attention(float *y, float *weights, const float *qkv, int batch, int t, int width,
                   int heads);
void toc_attention_backward(float *dqkv, float *scratch, const float *dy, const float *weights,
                            const float *qkv, int batch, int t, int width, int heads);

/* tanh form of GELU (Hendrycks & Gimpel 2016). */
void toc_gelu(float *y, const float *x, int n);
/* dx is overwritten. */
void toc_gelu_backward(float *dx, const float *dy, const float *x, int n);

/* Rows become probabilities in place. */
void toc_softmax(float *x, int rows, int width);

#endif
