/*
 * Which candidate alerts are true? A classifier of feature rows that takes what its labels allow:
 * logistic regression from 50 labelled alerts, from 500 the mean of its log odds and those of
 * boosted trees. Rows of one group (the looks at one alert) share a label and count as one alert
 * together.
 *
 * What a model would do is told by detect/gate.h.
 */
#ifndef TOC_DETECT_CLASSIFIER_H
#define TOC_DETECT_CLASSIFIER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "detect/iforest.h" /* struct toc_matrix */

enum {
    TOC_CLASSIFIER_LOGISTIC_MIN = 50, /* labelled alerts */
    TOC_CLASSIFIER_TREES_MIN = 500,
    TOC_CLASSIFIER_CLASS_MIN = 5, /* alerts of each class */
    TOC_CLASSIFIER_FOLDS = 5,
};

/* X(enum, name) */
#define TOC_CLASSIFIER_TABLE(X)            \
    X(TOC_CLASSIFIER_LOGISTIC, "logistic") \
    X(TOC_CLASSIFIER_TREES, "boosted_trees")
#define X(name, text) name,
enum toc_classifier_type { TOC_CLASSIFIER_TABLE(X) TOC_CLASSIFIER_TYPE_COUNT };
#undef X
const char *toc_classifier_type_text(enum toc_classifier_type t);

/* Labelled looks, in the order of time. Borrowed. */
struct toc_examples {
    struct toc_matrix x;
    const uint8_t *labels;  /* 1: true alert */
    const double *weights;  /* of the alert, > 0; divided among its looks by the fit */
    const uint32_t *groups; /* alert of each row; rows of an alert stand together, groups rise */
};

struct toc_classifier; /* opaque, immutable */

/* TOC_ENODATA with "not enough verdicts yet (12 of 50)" or naming the class that is too rare. */
int toc_classifier_fit(const struct toc_examples *e, struct toc_classifier **out,
                       struct toc_err *err) TOC_MUST_CHECK;
void toc_classifier_free(struct toc_classifier **c);
enum toc_classifier_type toc_classifier_type(const struct toc_classifier *c);
size_t toc_classifier_columns(const struct toc_classifier *c);
/* P(true) of one look. */
double toc_classifier_probability(const struct toc_classifier *c, const double *row);
/* What each column counts for: shares that sum to 1 (or 0). */
void toc_classifier_importance(const struct toc_classifier *c, double *out_shares);

enum toc_classifier_type toc_classifier_type_for(size_t alerts);
/* Of the given type, however few the verdicts are: for judging what verdicts can teach. TOC_EINVAL
 * when all are of one class. */
int toc_classifier_fit_as(const struct toc_examples *e, enum toc_classifier_type type,
                          struct toc_classifier **out, struct toc_err *err) TOC_MUST_CHECK;
/* P(true) per row by models that have not seen the row's fold; folds are blocks in the order given.
 * A fold whose rest is of one class gets the rest's share of true alerts. */
int toc_classifier_cross_validate(const struct toc_examples *e, enum toc_classifier_type type,
                                  double *out_p, struct toc_err *err) TOC_MUST_CHECK;
/* The row after the last look at the alert that begins at `row`. */
size_t toc_examples_alert_end(const struct toc_examples *e, size_t row);
/* TOC_ENODATA when they are too few to learn from. */
int toc_examples_check(const struct toc_examples *e, size_t *out_alerts,
                       struct toc_err *err) TOC_MUST_CHECK;

/* Versioned bytes with the checksum of the model inside. */
void toc_classifier_encode(const struct toc_classifier *c, struct toc_buf *out);
int toc_classifier_decode(struct toc_sv bytes, struct toc_classifier **out,
                          struct toc_err *err) TOC_MUST_CHECK;

#endif
