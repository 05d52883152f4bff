/* Folds of a group's values at one step. */
#include <math.h>
#include <stdlib.h>

#include "base/num.h"
#include "base/sum.h"
#include "model/histogram_math.h"
#include "promql/aggregate_priv.h"
#include "promql/histograms_priv.h"

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x) || isnan(y)) /* NaN sorts first, as upstream's vectors do */
        return isnan(y) - isnan(x);
    return (x > y) - (x < y);
}

enum { INSERTION_MAX = 48 };

/* A window of samples is small: no call per comparison. */
static void sort_values(double *values, size_t count) {
    if (count > INSERTION_MAX) {
        qsort(values, count, sizeof *values, by_value);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        double v = values[i];
        size_t at = i;
        for (; at > 0 && (v < values[at - 1] || (isnan(v) && !isnan(values[at - 1]))); at--)
            values[at] = values[at - 1];
        values[at] = v;
    }
}

double toc_promql_quantile(double q, double *values, size_t count) {
    if (count == 0 || isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    sort_values(values, count);
    double rank = q * (double)(count - 1), low = floor(rank);
    size_t below = (size_t)low, above = below + 1 < count ? below + 1 : count - 1;
    double weight = rank - low;
    return values[below] * (1 - weight) + values[above] * weight;
}

static double fold_sum(const double *v, size_t n) {
    double sum = 0, lost = 0;
    for (size_t i = 0; i < n; i++)
        toc_sum_add(&sum, &lost, v[i]);
    return isinf(sum) ? sum : sum + lost;
}

/* The running mean where the sum would overflow. */
static double fold_avg(const double *v, size_t n) {
    double sum = fold_sum(v, n);
    if (!isinf(sum))
        return sum / (double)n;
    struct toc_mean mean = {0};
    for (size_t i = 0; i < n; i++)
        toc_mean_add(&mean, v[i]);
    return toc_mean_value(&mean);
}

/* Welford's one-pass variance. */
static double fold_variance(const double *v, size_t n) {
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        double delta = v[i] - mean;
        mean += delta / (double)(i + 1);
        squares += delta * (v[i] - mean);
    }
    return n == 1 && isfinite(v[0]) ? 0 : squares / (double)n;
}

static double fold_extreme(const double *v, size_t n, bool is_max) {
    double best = v[0];
    for (size_t i = 1; i < n; i++)
        if (isnan(best) || (is_max ? v[i] > best : v[i] < best))
            best = v[i];
    return best;
}

static double fold(enum toc_aggregate_op op, double *v, size_t n, double parameter) {
    switch (op) {
    case TOC_AGGREGATE_SUM:
        return fold_sum(v, n);
    case TOC_AGGREGATE_AVG:
        return fold_avg(v, n);
    case TOC_AGGREGATE_MIN:
        return fold_extreme(v, n, false);
    case TOC_AGGREGATE_MAX:
        return fold_extreme(v, n, true);
    case TOC_AGGREGATE_COUNT:
        return (double)n;
    case TOC_AGGREGATE_GROUP:
        return 1;
    case TOC_AGGREGATE_STDDEV:
        return sqrt(fold_variance(v, n));
    case TOC_AGGREGATE_STDVAR:
        return fold_variance(v, n);
    case TOC_AGGREGATE_QUANTILE:
        return toc_promql_quantile(parameter, v, n);
    default:
        return NAN;
    }
}

/* --------------------------------------------------------------------------------- histograms */

/* One group at one step. */
struct step {
    double *floats;
    size_t float_count;
    const struct toc_histogram **histograms;
    struct toc_sv *names; /* metric names of the histograms */
    size_t histogram_count;
};

static void collect_step(const struct toc_eval_columns *in, const struct toc_group *g, size_t step,
                         struct step *out) {
    out->float_count = out->histogram_count = 0;
    for (size_t m = 0; m < g->members.count; m++) {
        const struct toc_column *c = &in->items[g->members.items[m]];
        if (toc_is_absent(c->values[step]))
            continue;
        const struct toc_histogram *h = toc_column_histogram(c, step);
        if (h) {
            out->names[out->histogram_count] = toc_labels_get(c->labels, TOC_METRIC_NAME);
            out->histograms[out->histogram_count++] = h;
        } else {
            out->floats[out->float_count++] = c->values[step];
        }
    }
}

static void note_combination(struct toc_eval *e, const struct toc_node *n,
                             const struct toc_histogram_notes *notes, struct toc_sv name) {
    if (notes->is_incompatible)
        toc_eval_note(e, TOC_NOTE_WARNING, n->left,
                      "vector contains a mix of histograms with exponential and custom buckets "
                      "schemas for metric name \"%.*s\"",
                      TOC_SV_ARG(name));
    if (notes->has_reconciled_buckets)
        toc_eval_note(e, TOC_NOTE_INFO, n->left,
                      "mismatched custom buckets were reconciled during aggregation");
}

/* Both hints in one group: what the sum means as a counter is unclear. */
static void note_resets(struct toc_eval *e, const struct toc_node *n, const struct step *s) {
    bool has_reset = false, has_none = false;
    for (size_t i = 0; i < s->histogram_count && e->looks_at_resets; i++) {
        has_reset |= s->histograms[i]->reset_hint == TOC_RESET_YES;
        has_none |= s->histograms[i]->reset_hint == TOC_RESET_NO;
    }
    if (has_reset && has_none)
        toc_eval_note(e, TOC_NOTE_WARNING, n->left,
                      "conflicting counter resets during histogram aggregation");
}

/* Sum, or with is_mean the mean; *out is NULL when there is no result. */
static int fold_histograms(struct toc_eval *e, const struct toc_node *n, const struct step *s,
                           bool is_mean, const struct toc_histogram **out) {
    struct toc_histogram_notes notes = {0};
    note_resets(e, n, s);
    *out = is_mean ? toc_histogram_mean(s->histograms, s->histogram_count, e->arena, &notes)
                   : toc_histogram_sum(s->histograms, s->histogram_count, e->arena, &notes);
    note_combination(e, n, &notes, s->names[0]);
    return *out || notes.is_incompatible ? 0 : toc_eval_no_memory(e);
}

static int put_histograms(struct toc_eval *e, const struct toc_node *n, const struct step *s,
                          size_t step, struct toc_column *c) {
    if (s->float_count) {
        toc_eval_note(e, TOC_NOTE_WARNING, n->left,
                      "encountered a mix of histograms and floats for aggregation");
        return 0;
    }
    const struct toc_histogram *h;
    int rc = fold_histograms(e, n, s, n->aggregate == TOC_AGGREGATE_AVG, &h);
    return rc == 0 && h ? toc_column_set_histogram(e, c, step, h) : rc;
}

static int fold_step(struct toc_eval *e, const struct toc_node *n, const struct step *s,
                     double parameter, size_t step, struct toc_column *c) {
    bool is_sum = n->aggregate == TOC_AGGREGATE_SUM || n->aggregate == TOC_AGGREGATE_AVG;
    bool is_count = n->aggregate == TOC_AGGREGATE_COUNT || n->aggregate == TOC_AGGREGATE_GROUP;
    if (is_sum && s->histogram_count)
        return put_histograms(e, n, s, step, c);
    if (s->histogram_count && !is_count)
        toc_eval_note(e, TOC_NOTE_INFO, n->left, "ignored histogram in %s aggregation",
                      toc_aggregate_text(n->aggregate));
    size_t count = s->float_count + (is_count ? s->histogram_count : 0);
    if (count)
        c->values[step] = fold(n->aggregate, s->floats, count, parameter);
    return 0;
}

static int fold_group(struct toc_eval *e, const struct toc_node *n,
                      const struct toc_eval_columns *in, const struct toc_group *g,
                      const struct toc_column *parameter, struct step *s,
                      struct toc_eval_columns *out) {
    struct toc_column *c = toc_eval_columns_add(e, out, g->labels);
    int rc = c ? 0 : TOC_ELIMIT;
    if (c)
        c->drop_name = g->drop_name;
    for (size_t step = 0; step < e->step_count && rc == 0; step++) {
        collect_step(in, g, step, s);
        rc = fold_step(e, n, s, parameter ? parameter->values[step] : 0, step, c);
    }
    return rc;
}

int toc_aggregate_fold(struct toc_eval *e, const struct toc_node *n,
                       const struct toc_eval_columns *in, const struct toc_groups *g,
                       const struct toc_column *parameter, struct toc_eval_columns *out) {
    struct step s = {
        .floats = toc_arena_calloc(e->arena, in->count + 1, sizeof *s.floats),
        .histograms =
            toc_arena_calloc(e->arena, in->count + 1, sizeof(const struct toc_histogram *)),
        .names = toc_arena_calloc(e->arena, in->count + 1, sizeof *s.names),
    };
    if (!s.floats || !s.histograms || !s.names)
        return toc_eval_no_memory(e);
    if (n->aggregate == TOC_AGGREGATE_QUANTILE)
        toc_eval_note_quantiles(e, n->right, parameter->values);
    int rc = 0;
    for (size_t i = 0; i < g->count && rc == 0; i++)
        rc = fold_group(e, n, in, &g->items[i], parameter, &s, out);
    return rc;
}
