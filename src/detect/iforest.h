/*
 * Isolation Forest (Liu, Ting, Zhou, ICDM 2008) with the semantics of scikit-learn's
 * IsolationForest: the same parameters, scores in [-1, 0) where lower is stranger, offset, decision
 * and prediction. Random numbers are our own (seeded), so forests agree in distribution, not bit by
 * bit.
 *
 * Inputs are compared as float32, as there; NaN, infinities and values beyond float32 are refused
 * with their row and column. A fitted forest is immutable: any number of threads may score with it.
 */
#ifndef TOC_DETECT_IFOREST_H
#define TOC_DETECT_IFOREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum {
    TOC_IFOREST_TREES_MAX = 10000,
    TOC_IFOREST_COLUMNS_MAX = 1024,
    TOC_IFOREST_SAMPLES_MAX = 1 << 20, /* rows per tree */
};

/* Rows of numbers, one row after the other. Borrowed. */
struct toc_matrix {
    const double *values;
    size_t rows, columns;
};

/* A size as scikit-learn takes it: "auto", a count, or a share in (0, 1]. */
enum toc_iforest_size_type { TOC_IFOREST_AUTO, TOC_IFOREST_COUNT, TOC_IFOREST_SHARE };
struct toc_iforest_size {
    enum toc_iforest_size_type type;
    double value;
};

struct toc_iforest_params {
    int64_t n_estimators;
    struct toc_iforest_size
        max_samples; /* auto: min(256, rows); a count above the rows means all rows */
    struct toc_iforest_size max_features; /* auto: all */
    double contamination;                 /* 0: auto (offset -0.5), else in (0, 0.5] */
    bool bootstrap;                       /* draw rows with replacement */
    uint64_t seed;
};
/* 100 trees, everything else auto, seed 0. */
struct toc_iforest_params toc_iforest_params_default(void);
/* "auto", a whole number, or a fraction written with a point ("0.5"; "1.0" is all, "1" is one).
 * TOC_EPARSE. */
int toc_iforest_size_parse(struct toc_sv text, struct toc_iforest_size *out) TOC_MUST_CHECK;

struct toc_iforest; /* opaque */

/* Trains. TOC_EINVAL for bad parameters or values (the message names them), TOC_ELIMIT over the
 * limits above, TOC_ENODATA without rows, TOC_ENOMEM. */
int toc_iforest_fit(const struct toc_iforest_params *p, struct toc_matrix x,
                    struct toc_iforest **out, struct toc_err *err) TOC_MUST_CHECK;
void toc_iforest_free(struct toc_iforest **f);

/* One score per row. TOC_EINVAL when the columns differ from training or a value is not finite. */
int toc_iforest_score(const struct toc_iforest *f, struct toc_matrix x, double *out_scores,
                      struct toc_err *err) TOC_MUST_CHECK;
/* decision_function = score - offset; predict: anomaly when it is below 0 (strictly). */
static inline bool toc_iforest_is_anomaly(double score, double offset) {
    return score - offset < 0;
}

struct toc_iforest_info {
    size_t trees, columns, max_samples, nodes;
    double offset, contamination;
};
struct toc_iforest_info toc_iforest_info(const struct toc_iforest *f);

/* Average path length of an unsuccessful search in a tree of n rows: c(n). */
double toc_iforest_average_path(size_t n);

/* The code that walks the trees; all give the same bits. AUTO takes the fastest for this processor
 * and this many rows; a kernel that the processor or the forest does not allow falls back to the
 * next. */
enum toc_iforest_kernel {
    TOC_IFOREST_KERNEL_AUTO,
    TOC_IFOREST_KERNEL_PORTABLE,
    TOC_IFOREST_KERNEL_AVX2,
    TOC_IFOREST_KERNEL_AVX512, /* depth at most 8, at most 32 columns */
    TOC_IFOREST_KERNEL_ROW,    /* one row at a time, eight trees together */
};
int toc_iforest_score_with(const struct toc_iforest *f, enum toc_iforest_kernel kernel,
                           struct toc_matrix x, double *out_scores,
                           struct toc_err *err) TOC_MUST_CHECK;

/* Versioned, checksummed bytes; decoding checks every index, so that any bytes give a usable forest
 * or an error (TOC_EVERSION, TOC_ETRUNCATED, TOC_ECORRUPT, TOC_ELIMIT). */
void toc_iforest_encode(const struct toc_iforest *f, struct toc_buf *out);
int toc_iforest_decode(struct toc_sv bytes, struct toc_iforest **out,
                       struct toc_err *err) TOC_MUST_CHECK;

#endif
