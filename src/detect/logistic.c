#include "detect/logistic.h"
#include "detect/model_frame.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum { SIDE_MAX = TOC_LOGISTIC_COLUMNS_MAX + 1, NEWTON_STEPS = 50 };
static const double INTERCEPT_L2 = 1e-6, VALUE_MAX = 1e6, CLIP_SD = 20;

struct toc_logistic {
    size_t columns;
    double mean[TOC_LOGISTIC_COLUMNS_MAX], scale[TOC_LOGISTIC_COLUMNS_MAX];
    double weight[SIDE_MAX];                /* the last of columns + 1 is the intercept */
    double covariance[SIDE_MAX * SIDE_MAX]; /* (columns + 1)², row by row */
};

void toc_logistic_free(struct toc_logistic **l) {
    toc_free(*l);
    *l = NULL;
}

size_t toc_logistic_columns(const struct toc_logistic *l) {
    return l->columns;
}

void toc_logistic_weights(const struct toc_logistic *l, double *out) {
    memcpy(out, l->weight, l->columns * sizeof *out);
}

static void standardise(const struct toc_logistic *l, const double *row, double *out) {
    for (size_t c = 0; c < l->columns; c++) {
        double z = (row[c] - l->mean[c]) / l->scale[c];
        out[c] = isnan(z) ? 0 : fmin(fmax(z, -CLIP_SD), CLIP_SD);
    }
    out[l->columns] = 1;
}

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

double toc_logistic_log_odds(const struct toc_logistic *l, const double *row) {
    double z[SIDE_MAX];
    standardise(l, row, z);
    return dot(z, l->weight, l->columns + 1);
}

static double probability(double log_odds) {
    return 1 / (1 + exp(-log_odds));
}

/* P <- P - (P z)(P z)' r / (1 + r z' P z), w <- w + P z (y - p): Newton on the posterior. */
void toc_logistic_learn(struct toc_logistic *l, const double *row, uint8_t label, double weight) {
    size_t n = l->columns + 1;
    double z[SIDE_MAX], pz[SIDE_MAX];
    standardise(l, row, z);
    for (size_t i = 0; i < n; i++)
        pz[i] = dot(l->covariance + i * n, z, n);
    double p = probability(dot(z, l->weight, n));
    double curvature = weight * fmax(p * (1 - p), 1e-6);
    double damping = 1 + curvature * fmax(dot(z, pz, n), 0);
    double step = weight * ((label ? 1 : 0) - p) / damping;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++)
            l->covariance[i * n + k] -= pz[i] * pz[k] * curvature / damping;
        l->covariance[i * n + i] = fmax(l->covariance[i * n + i], 0);
        l->weight[i] = fmin(fmax(l->weight[i] + pz[i] * step, -VALUE_MAX), VALUE_MAX);
    }
}

/* --- fit --- */

static void set_scales(struct toc_logistic *l, struct toc_matrix x, const double *weights) {
    for (size_t c = 0; c < x.columns; c++) {
        double sum = 0, all = 0, squares = 0;
        for (size_t r = 0; r < x.rows; r++) {
            double v = x.values[r * x.columns + c], w = weights ? weights[r] : 1;
            sum += isnan(v) ? 0 : w * v;
            all += isnan(v) ? 0 : w;
        }
        l->mean[c] = all > 0 ? sum / all : 0;
        for (size_t r = 0; r < x.rows; r++) {
            double off = x.values[r * x.columns + c] - l->mean[c];
            squares += isnan(off) ? 0 : (weights ? weights[r] : 1) * off * off;
        }
        double sd = all > 0 ? sqrt(squares / all) : 0;
        l->scale[c] = sd > 1e-12 * fmax(1, fabs(l->mean[c])) ? sd : 1;
    }
}

/* In place: lower triangle of the Cholesky factor. False when not positive definite. */
static bool factor(double *a, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k <= i; k++) {
            double sum = a[i * n + k] - dot(a + i * n, a + k * n, k);
            if (i == k && !(sum > 0))
                return false;
            a[i * n + k] = i == k ? sqrt(sum) : sum / a[k * n + k];
        }
    return true;
}

static void solve(const double *factor, double *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        b[i] = (b[i] - dot(factor + i * n, b, i)) / factor[i * n + i];
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            b[i] -= factor[k * n + i] * b[k];
        b[i] /= factor[i * n + i];
    }
}

struct fitting {
    struct toc_matrix x;
    const uint8_t *labels;
    const double *weights;
    double l2;
    double *hessian; /* side² */
};

static double penalty(const struct fitting *f, const struct toc_logistic *l, size_t i) {
    return i == l->columns ? INTERCEPT_L2 : f->l2;
}

static double loss(const struct fitting *f, const struct toc_logistic *l, const double *w) {
    double sum = 0, z[SIDE_MAX];
    size_t n = l->columns + 1;
    for (size_t r = 0; r < f->x.rows; r++) {
        standardise(l, f->x.values + r * f->x.columns, z);
        double odds = dot(z, w, n) * (f->labels[r] ? 1 : -1);
        sum += (f->weights ? f->weights[r] : 1) *
               (odds > 0 ? log1p(exp(-odds)) : log1p(exp(odds)) - odds);
    }
    for (size_t i = 0; i < n; i++)
        sum += penalty(f, l, i) * w[i] * w[i] / 2;
    return sum;
}

/* Fills the hessian and, into step, minus the gradient. */
static void derivatives(struct fitting *f, const struct toc_logistic *l, double *step) {
    size_t n = l->columns + 1;
    double z[SIDE_MAX];
    memset(f->hessian, 0, n * n * sizeof *f->hessian);
    for (size_t i = 0; i < n; i++) {
        f->hessian[i * n + i] = penalty(f, l, i);
        step[i] = -penalty(f, l, i) * l->weight[i];
    }
    for (size_t r = 0; r < f->x.rows; r++) {
        standardise(l, f->x.values + r * f->x.columns, z);
        double p = probability(dot(z, l->weight, n)), w = f->weights ? f->weights[r] : 1;
        double curvature = w * p * (1 - p);
        for (size_t i = 0; i < n; i++) {
            step[i] += w * (f->labels[r] - p) * z[i];
            for (size_t k = 0; k <= i; k++)
                f->hessian[i * n + k] += curvature * z[i] * z[k];
        }
    }
}

/* One Newton step, halved until the loss falls. False when there is nothing left to gain. */
static bool newton_step(struct fitting *f, struct toc_logistic *l) {
    size_t n = l->columns + 1;
    double step[SIDE_MAX], trial[SIDE_MAX], before = loss(f, l, l->weight);
    derivatives(f, l, step);
    if (!factor(f->hessian, n))
        return false;
    solve(f->hessian, step, n);
    for (double share = 1; share > 1e-6; share /= 2) {
        for (size_t i = 0; i < n; i++)
            trial[i] = l->weight[i] + share * step[i];
        double after = loss(f, l, trial);
        if (after > before)
            continue;
        memcpy(l->weight, trial, n * sizeof *trial);
        return before - after > 1e-10 * (1 + before);
    }
    return false;
}

static void set_covariance(struct fitting *f, struct toc_logistic *l) {
    size_t n = l->columns + 1;
    double ignored[SIDE_MAX], column[SIDE_MAX];
    derivatives(f, l, ignored);
    bool is_sound = factor(f->hessian, n);
    for (size_t k = 0; k < n; k++) {
        memset(column, 0, sizeof column);
        column[k] = 1;
        if (is_sound)
            solve(f->hessian, column, n);
        for (size_t i = 0; i < n; i++)
            l->covariance[i * n + k] = column[i];
    }
}

static int check(const struct fitting *f, struct toc_err *err) {
    bool has[2] = {false, false};
    if (!(f->l2 > 0 && f->l2 <= 1e6))
        return toc_errf(err, TOC_EINVAL, "logistic regression: the penalty must be above 0");
    if (f->x.columns == 0 || f->x.columns > TOC_LOGISTIC_COLUMNS_MAX ||
        f->x.rows > TOC_LOGISTIC_ROWS_MAX)
        return toc_errf(err, TOC_ELIMIT,
                        "logistic regression: %zu rows of %zu columns; limits %d and %d", f->x.rows,
                        f->x.columns, TOC_LOGISTIC_ROWS_MAX, TOC_LOGISTIC_COLUMNS_MAX);
    for (size_t r = 0; r < f->x.rows; r++) {
        double w = f->weights ? f->weights[r] : 1;
        if (f->labels[r] > 1 || !(w > 0 && w <= 1e6))
            return toc_errf(err, TOC_EINVAL, "logistic regression: row %zu: label %d, weight %g",
                            r + 1, f->labels[r], w);
        has[f->labels[r]] = true;
        for (size_t c = 0; c < f->x.columns; c++)
            if (fabs(f->x.values[r * f->x.columns + c]) > 1e100)
                return toc_errf(err, TOC_EINVAL,
                                "logistic regression: row %zu, column %zu is beyond 1e100", r + 1,
                                c + 1);
    }
    if (!has[0] || !has[1])
        return toc_errf(err, TOC_EINVAL, "logistic regression: all rows are of one class");
    return 0;
}

int toc_logistic_fit(double l2, struct toc_matrix x, const uint8_t *labels, const double *weights,
                     struct toc_logistic **out, struct toc_err *err) {
    struct fitting f = {.x = x, .labels = labels, .weights = weights, .l2 = l2};
    *out = NULL;
    int rc = check(&f, err);
    if (rc < 0)
        return rc;
    struct toc_logistic *l = TOC_NEW(struct toc_logistic);
    l->columns = x.columns;
    f.hessian = TOC_NEW_ARRAY(double, SIDE_MAX *SIDE_MAX);
    set_scales(l, x, weights);
    for (size_t i = 0; i < NEWTON_STEPS && newton_step(&f, l); i++)
        ;
    set_covariance(&f, l);
    toc_free(f.hessian);
    *out = l;
    return 0;
}

/* --- bytes: "TLR1", varint columns, f64 means, scales, weights, covariance, CRC-32C --- */

static const char MAGIC[4] = {'T', 'L', 'R', '1'};

static void append_all(struct toc_buf *out, const double *v, size_t n) {
    for (size_t i = 0; i < n; i++)
        toc_buf_append_f64(out, v[i]);
}

void toc_logistic_encode(const struct toc_logistic *l, struct toc_buf *out) {
    size_t start = out->n, n = l->columns + 1;
    toc_buf_append(out, MAGIC, sizeof MAGIC);
    toc_buf_append_varint(out, l->columns);
    append_all(out, l->mean, l->columns);
    append_all(out, l->scale, l->columns);
    append_all(out, l->weight, n);
    append_all(out, l->covariance, n * n);
    toc_model_frame_end(out, start);
}

/* Reads n numbers within ±most; false when one is not. */
static bool read_all(struct toc_reader *r, double *out, size_t n, double most) {
    bool is_good = true;
    for (size_t i = 0; i < n; i++) {
        out[i] = toc_read_f64(r);
        is_good &= fabs(out[i]) <= most;
    }
    return is_good;
}

static int decode_body(struct toc_reader *r, struct toc_logistic *l) {
    uint64_t columns = toc_read_varint(r);
    if (r->error)
        return r->error;
    if (columns == 0 || columns > TOC_LOGISTIC_COLUMNS_MAX)
        return TOC_ELIMIT;
    size_t n = columns + 1;
    l->columns = columns;
    if (toc_reader_left(r) != 8 * (2 * columns + n + n * n))
        return TOC_ETRUNCATED;
    bool is_good = read_all(r, l->mean, columns, 1e100);
    is_good &= read_all(r, l->scale, columns, 1e200);
    is_good &= read_all(r, l->weight, n, VALUE_MAX);
    is_good &= read_all(r, l->covariance, n * n, 1e12);
    for (size_t c = 0; c < columns; c++)
        is_good &= l->scale[c] >= 1e-100;
    for (size_t i = 0; i < n; i++)
        is_good &= l->covariance[i * n + i] >= 0;
    return is_good ? r->error : TOC_ECORRUPT;
}

int toc_logistic_decode(struct toc_sv bytes, struct toc_logistic **out, struct toc_err *err) {
    *out = NULL;
    struct toc_logistic *l = NULL;
    struct toc_reader r;
    int rc = toc_model_frame_open(bytes, MAGIC, &r);
    if (rc == 0) {
        l = TOC_NEW(struct toc_logistic);
        rc = decode_body(&r, l);
    }
    if (rc == 0) {
        *out = l;
        return 0;
    }
    toc_logistic_free(&l);
    return toc_errf(err, rc, "stored logistic regression: %s", toc_strerror(rc));
}
