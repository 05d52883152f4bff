/*
 * The gate that a classifier makes in front of pages, and what it will do: an alert pages at its
 * first look with P(true) >= level; until then it is withheld.
 *
 * Cross-validation within one period promises too much: a judged alert has neighbours on both sides
 * of it in training, what comes later has none. So the forecast is itself put to the test at
 * earlier moments: what cross-validation promised then is compared with what came after, and the
 * promise of today is corrected by how far it was off. The level follows from the corrected
 * promise. See docs/design/learning.md.
 */
#ifndef TOC_DETECT_GATE_H
#define TOC_DETECT_GATE_H

#include "detect/classifier.h"

/* Alerts of a period, counted. */
struct toc_gate_effect {
    size_t alerts, true_alerts; /* without the gate */
    size_t withheld, true_withheld;
    double precision_before, precision_after; /* NaN when there is nothing */
    double recall;                            /* share of the true alerts that still page */
};

struct toc_interval {
    double low, high;
};

/* X(enum, name) */
#define TOC_GATE_VERDICT_TABLE(X)                                                                 \
    X(TOC_GATE_SHOWN, "shown")                                                                    \
    X(TOC_GATE_NOT_SHOWN, "not_shown")    /* precision rises by no more than chance */            \
    X(TOC_GATE_WORSE, "threshold_better") /* a higher one of the detector, beyond chance */       \
    X(TOC_GATE_UNCERTAIN, "uncertain")    /* may keep less than three quarters of what it must */ \
    X(TOC_GATE_UNKNOWN, "unknown")        /* too few verdicts of both kinds, early and late */
#define X(name, text) name,
enum toc_gate_verdict { TOC_GATE_VERDICT_TABLE(X) TOC_GATE_VERDICT_COUNT };
#undef X
const char *toc_gate_verdict_text(enum toc_gate_verdict v);

struct toc_gate_question {
    double keep; /* share of the true alerts that must still page */
    /* Of each row, below the number of rows: alerts of one series are not independent of each
     * other. NULL: each alert stands for itself. Borrowed. */
    const uint32_t *series;
    size_t score_column; /* rises with the detector's score; SIZE_MAX: there is none */
};

struct toc_gate_forecast {
    double level;
    struct toc_gate_effect effect; /* the forecast, in numbers of the labelled alerts */
    double withheld_share;
    double lift; /* precision with the gate over that without */
    /* 90 % of what may come of as many alerts again, from drawing whole series and one of the
     * earlier moments. */
    struct toc_interval withheld, recall, lifted, precision;
    /* How far earlier promises were off, as log odds of paging: of false and of true alerts. */
    double slip[2];
    size_t moments; /* at which that could be seen; 0: the verdict is TOC_GATE_UNKNOWN */
    /* Later alerts judged by classifiers of the earlier ones, at the recall `keep`: precision by
     * what was learnt, and by a higher threshold of the detector. NaN without a score. */
    double learnt_precision, threshold_precision;
    enum toc_gate_verdict verdict;
};

/* out_p: of each row by a classifier that has not seen the row's fold. TOC_ENODATA as for the fit,
 * TOC_ENOMEM. */
int toc_gate_foretell(const struct toc_examples *e, const struct toc_gate_question *q,
                      double *out_p, struct toc_gate_forecast *out,
                      struct toc_err *err) TOC_MUST_CHECK;

#endif
