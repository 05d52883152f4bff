/*
 * Declared preprocessing of a series, in this order: change (differences, rates, logarithm),
 * denoise, normalise. Every step looks only at the past, so a live series and stored history give
 * the same numbers. The parameters of the normalisation are learned once from training values and
 * then stay.
 */
#ifndef TOC_DETECT_PREPROCESS_H
#define TOC_DETECT_PREPROCESS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/sv.h"

/* X(enum, name, help) — the tables behind parsing, help and documentation. */
#define TOC_CHANGE_TABLE(X)                                                      \
    X(TOC_CHANGE_NONE, "none", "the values themselves")                          \
    X(TOC_CHANGE_DIFFERENCE, "difference", "difference to the value before")     \
    X(TOC_CHANGE_RATE, "rate", "increase per second; a drop is a counter reset") \
    X(TOC_CHANGE_LOG, "log", "sign(x) * ln(1 + |x|)")

#define TOC_DENOISE_TABLE(X)                                                     \
    X(TOC_DENOISE_NONE, "none", "no smoothing")                                  \
    X(TOC_DENOISE_MEDIAN, "median", "median of the last `window` values")        \
    X(TOC_DENOISE_EWMA, "ewma", "exponential average, alpha = 2 / (window + 1)") \
    X(TOC_DENOISE_HAMPEL, "hampel", "a lone value over 3 robust sigmas becomes the median")

#define TOC_NORMALISE_TABLE(X)                                           \
    X(TOC_NORMALISE_NONE, "none", "as measured")                         \
    X(TOC_NORMALISE_ZSCORE, "zscore", "(x - mean) / standard deviation") \
    X(TOC_NORMALISE_MINMAX, "minmax", "(x - min) / (max - min)")         \
    X(TOC_NORMALISE_ROBUST, "robust", "(x - median) / (1.4826 * MAD)")

#define X(name, text, help) name,
enum toc_change { TOC_CHANGE_TABLE(X) };
enum toc_denoise { TOC_DENOISE_TABLE(X) };
enum toc_normalise { TOC_NORMALISE_TABLE(X) };
#undef X

const char *toc_change_text(enum toc_change c);
const char *toc_denoise_text(enum toc_denoise d);
const char *toc_normalise_text(enum toc_normalise n);
/* TOC_EINVAL with the list of names. */
int toc_change_parse(struct toc_sv s, enum toc_change *out, struct toc_err *err) TOC_MUST_CHECK;
int toc_denoise_parse(struct toc_sv s, enum toc_denoise *out, struct toc_err *err) TOC_MUST_CHECK;
int toc_normalise_parse(struct toc_sv s, enum toc_normalise *out,
                        struct toc_err *err) TOC_MUST_CHECK;

enum { TOC_PREPROCESS_WINDOW_DEFAULT = 5, TOC_PREPROCESS_WINDOW_MAX = 1024 };

struct toc_preprocess {
    enum toc_change change;
    enum toc_denoise denoise;
    enum toc_normalise normalise;
    size_t window; /* of denoise; 0 = TOC_PREPROCESS_WINDOW_DEFAULT */
};

/* What the normalisation learned: (x - centre) / scale. */
struct toc_normalisation {
    double centre, scale;
};

/* Change and denoise in place; t_ms is needed for rates. Returns the count left (differences lose
 * the first value, values that are not finite are dropped with their times), or TOC_ENOMEM. */
int64_t toc_preprocess_series(const struct toc_preprocess *p, int64_t *t_ms, double *values,
                              size_t count) TOC_MUST_CHECK;
/* Learns from preprocessed training values. `scratch` holds count values. A constant series gets
 * scale 1. */
struct toc_normalisation toc_normalise_fit(enum toc_normalise n, const double *values, size_t count,
                                           double *scratch);
static inline double toc_normalise_apply(const struct toc_normalisation *n, double value) {
    return (value - n->centre) / n->scale;
}
/* Back to the unit of the preprocessed series. */
static inline double toc_normalise_undo(const struct toc_normalisation *n, double value) {
    return value * n->scale + n->centre;
}

#endif
