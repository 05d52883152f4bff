/*
 * What a threshold would have done to history: alerts counted as the rule engine counts them (the
 * condition must hold for `for_ms` on each evaluated point without a gap). Pure.
 */
#ifndef TOC_INCIDENT_BACKTEST_H
#define TOC_INCIDENT_BACKTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"

/* X(ENUM, "text", operator, does a larger threshold mean fewer alerts?) */
#define TOC_COMPARISON_TABLE(X) \
    X(GT, ">", >, true)         \
    X(GE, ">=", >=, true)       \
    X(LT, "<", <, false)        \
    X(LE, "<=", <=, false)

enum toc_comparison {
#define X(e, text, op, rising) TOC_COMPARISON_##e,
    TOC_COMPARISON_TABLE(X)
#undef X
        TOC_COMPARISON_COUNT
};
/* TOC_COMPARISON_COUNT for == and != and anything else: they have no direction. */
enum toc_comparison toc_comparison_parse(struct toc_sv text);
const char *toc_comparison_text(enum toc_comparison c);
bool toc_comparison_is_rising(enum toc_comparison c);
/* Does `value` cross `threshold`? NaN never does. */
bool toc_comparison_holds(enum toc_comparison c, double value, double threshold);

/* One series of the rule's expression, in rising time order. */
struct toc_backtest_series {
    const int64_t *t_ms;
    const double *values;
    size_t count;
};

struct toc_backtest_rule {
    enum toc_comparison comparison;
    double threshold;
    int64_t for_ms;
    int64_t step_ms; /* distance of evaluations: a larger gap ends an alert */
};

struct toc_backtest_effect {
    uint64_t alerts;
    double firing_s;
};

/* Adds the effect on one series to *io_effect. */
void toc_backtest(const struct toc_backtest_rule *rule, const struct toc_backtest_series *s,
                  struct toc_backtest_effect *io_effect);

#endif
