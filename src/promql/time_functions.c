/* time(), timestamp(), scalar(), vector() and the parts of a date (UTC). */
#include <math.h>

#include "base/time.h"
#include "promql/eval_priv.h"
#include "promql/functions_priv.h"

int toc_call_time(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    (void)n;
    struct toc_column *c = toc_eval_columns_add(e, out, TOC_LABELS_EMPTY);
    if (!c)
        return TOC_ELIMIT;
    for (size_t i = 0; i < e->step_count; i++)
        c->values[i] = (double)toc_step_ms(e, i) / 1000.0;
    return 0;
}

int toc_call_pi(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    (void)n;
    struct toc_column *c = toc_eval_columns_add(e, out, TOC_LABELS_EMPTY);
    if (!c)
        return TOC_ELIMIT;
    for (size_t i = 0; i < e->step_count; i++)
        c->values[i] = 3.14159265358979323846;
    return 0;
}

int toc_call_timestamp(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    const struct toc_node *operand = toc_node_bare(n->args[0]);
    bool is_selector = operand->kind == TOC_NODE_SELECTOR;
    int rc = is_selector ? toc_eval_selector(e, operand, TOC_WANT_TIME, out)
                         : toc_eval_node(e, operand, out);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < out->count; i++) {
        toc_column_drop_name(e, &out->items[i]);
        out->items[i].histograms = NULL;
        for (size_t k = 0; k < e->step_count && !is_selector; k++)
            if (!toc_is_absent(out->items[i].values[k]))
                out->items[i].values[k] = (double)toc_step_ms(e, k) / 1000.0;
    }
    return toc_eval_columns_merge(e, out, false);
}

/* Only samples as they were stored have a start. */
int toc_call_start_timestamp(struct toc_eval *e, const struct toc_node *n,
                             struct toc_eval_columns *out) {
    const struct toc_node *operand = toc_node_bare(n->args[0]);
    bool has_starts = toc_eval_has(e, TOC_PROMQL_USE_START_TIMESTAMPS);
    if (operand->kind != TOC_NODE_SELECTOR || !has_starts)
        return 0;
    int rc = toc_eval_selector(e, operand, TOC_WANT_START, out);
    for (size_t i = 0; i < out->count && rc == 0; i++) {
        toc_column_drop_name(e, &out->items[i]);
        out->items[i].histograms = NULL;
    }
    return rc < 0 ? rc : toc_eval_columns_merge(e, out, false);
}

static int of_two(struct toc_eval *e, const struct toc_node *n, bool is_max,
                  struct toc_eval_columns *out) {
    struct toc_eval_columns in = {0};
    int rc = toc_eval_node(e, n->args[0], &in);
    if (rc == 0)
        rc = toc_eval_node(e, n->args[1], &in);
    struct toc_column *c = rc == 0 ? toc_eval_columns_add(e, out, TOC_LABELS_EMPTY) : NULL;
    for (size_t k = 0; c && k < e->step_count; k++) {
        double a = in.items[0].values[k], b = in.items[1].values[k];
        c->values[k] = is_max ? toc_math_larger(a, b) : toc_math_smaller(a, b);
    }
    toc_eval_columns_fini(&in);
    return rc < 0 ? rc : c ? 0 : TOC_ELIMIT;
}

int toc_call_min_of(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    return of_two(e, n, false, out);
}
int toc_call_max_of(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    return of_two(e, n, true, out);
}

int toc_call_vector(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    return toc_eval_node(e, n->args[0], out);
}

int toc_call_scalar(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    struct toc_eval_columns in = {0};
    int rc = toc_eval_node(e, n->args[0], &in);
    struct toc_column *c = rc == 0 ? toc_eval_columns_add(e, out, TOC_LABELS_EMPTY) : NULL;
    for (size_t k = 0; c && k < e->step_count; k++) {
        size_t count = 0;
        for (size_t i = 0; i < in.count; i++)
            if (!toc_is_absent(in.items[i].values[k]) && !toc_column_histogram(&in.items[i], k) &&
                count++ == 0)
                c->values[k] = in.items[i].values[k];
        if (count != 1)
            c->values[k] = NAN;
    }
    toc_eval_columns_fini(&in);
    return rc < 0 ? rc : c ? 0 : TOC_ELIMIT;
}

static bool civil_of(double seconds, struct toc_civil *out) {
    if (!isfinite(seconds) || fabs(seconds) > 1e14)
        return false;
    *out = toc_ts_civil((struct toc_ts){(int64_t)floor(seconds) * 1000});
    return true;
}

static int days_in_month(const struct toc_civil *c) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;
    return days[c->month - 1] + (c->month == 2 && is_leap);
}

static int day_of_year(const struct toc_civil *c) {
    struct toc_civil first = {.year = c->year, .month = 1, .day = 1};
    struct toc_civil day = {.year = c->year, .month = c->month, .day = c->day};
    return (int)((toc_civil_ts(&day).ms - toc_civil_ts(&first).ms) / 86400000) + 1;
}

#define DATE_PART(name, expression)                          \
    double toc_math_##name(double v, const double *p) {      \
        struct toc_civil c;                                  \
        (void)p;                                             \
        return civil_of(v, &c) ? (double)(expression) : NAN; \
    }
DATE_PART(minute, c.minute)
DATE_PART(hour, c.hour)
DATE_PART(day_of_week, c.weekday)
DATE_PART(day_of_month, c.day)
DATE_PART(day_of_year, day_of_year(&c))
DATE_PART(days_in_month, days_in_month(&c))
DATE_PART(month, c.month)
DATE_PART(year, c.year)
