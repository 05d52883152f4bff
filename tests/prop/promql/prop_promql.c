/*
 * Random expressions over random series: a range query gives at each step what an instant query
 * gives at that time. Labels are compared exactly; values may differ in the last bits, because a
 * range may slide over its windows where an instant sums one up.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random_query.h"

enum { STEPS = 12, SERIES_MAX = 14, HOSTS = 3 };

struct world {
    struct random_query q;
    uint64_t compared, refused, points;
};

/* Equal but for rounding; where large values cancel, `scale` says how large they may have been. */
static bool is_close(double a, double b) {
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    if (a == b)
        return true;
    if (!isfinite(a) || !isfinite(b))
        return false;
    double scale = fmax(fabs(a), fabs(b));
    return fabs(a - b) <= 1e-9 * fmax(scale, 1);
}

static const struct toc_promql_point *point_at(const struct toc_promql_series *s, int64_t t_ms) {
    for (size_t i = 0; i < s->count; i++)
        if (s->points[i].t_ms == t_ms)
            return &s->points[i];
    return NULL;
}

static const struct toc_promql_point *find_point(const struct toc_promql_result *r,
                                                 struct toc_labels labels, int64_t t_ms) {
    for (size_t i = 0; i < r->series_count; i++)
        if (toc_labels_eq(r->series[i].labels, labels))
            return point_at(&r->series[i], t_ms);
    return NULL;
}

static void compare_step(struct world *w, const struct toc_promql_result *range,
                         const struct toc_promql_result *instant, int64_t t_ms) {
    size_t in_range = 0;
    for (size_t i = 0; i < range->series_count; i++)
        in_range += point_at(&range->series[i], t_ms) != NULL;
    for (size_t i = 0; i < instant->series_count; i++) {
        const struct toc_promql_series *s = &instant->series[i];
        const struct toc_promql_point *p = find_point(range, s->labels, t_ms);
        char why[160];
        snprintf(why, sizeof why, "range %.17g, instant %.17g", p ? p->value : 0,
                 s->points[0].value);
        if (!p)
            random_query_die(&w->q, "the instant has a value, the range has none", t_ms, s->labels);
        if (s->points[0].t_ms != t_ms)
            random_query_die(&w->q, "an instant's value has another time", t_ms, s->labels);
        if (!is_close(p->value, s->points[0].value))
            random_query_die(&w->q, why, t_ms, s->labels);
        w->points++;
    }
    if (in_range != instant->series_count)
        random_query_die(&w->q, "the range has values that the instant lacks", t_ms,
                         TOC_LABELS_EMPTY);
}

static void check_range(struct world *w, const struct toc_promql_expr *e, int64_t start_ms,
                        int64_t step_ms) {
    struct toc_promql_options o = {.querier = &w->q.data.querier};
    struct toc_promql_result range = {0};
    struct toc_err err = {0};
    int64_t end_ms = start_ms + (STEPS - 1) * step_ms;
    int rc = toc_promql_range(e, &o, start_ms, end_ms, step_ms, &range, &err);
    for (size_t i = 1; rc == 0 && i < range.series_count; i++)
        if (toc_labels_cmp(range.series[i - 1].labels, range.series[i].labels) >= 0)
            random_query_die(&w->q, "series of a range are not in rising order", start_ms,
                             range.series[i].labels);
    for (int64_t t = start_ms; rc == 0 && t <= end_ms; t += step_ms) {
        struct toc_promql_result instant = {0};
        if (toc_promql_instant(e, &o, t, &instant, &err) < 0)
            random_query_die(&w->q, err.message, t, TOC_LABELS_EMPTY);
        compare_step(w, &range, &instant, t);
        toc_promql_result_fini(&instant);
    }
    w->compared += rc == 0;
    w->refused += rc < 0;
    toc_promql_result_fini(&range);
}

static void one_round(struct world *w) {
    static const int64_t steps_ms[] = {15000, 30000, 60000, 7000, 433000};
    if (w->q.round % 20 == 0)
        random_query_data(&w->q, 1 + random_query_pick(&w->q, SERIES_MAX));
    struct toc_promql_expr *e = random_query_expr(&w->q);
    int64_t start_ms = RANDOM_QUERY_BASE_MS - 600000 + (int64_t)random_query_pick(&w->q, 300000);
    check_range(w, e, start_ms, RANDOM_ONE_OF(&w->q, steps_ms));
    toc_promql_expr_free(&e);
}

int main(int argc, char **argv) {
    uint64_t seed = 1, ops = 2000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(argv[i + 1], NULL, 10);
    }
    struct world w = {0};
    random_query_init(&w.q, seed, HOSTS);
    printf("seed %llu\n", (unsigned long long)seed);
    for (; w.q.round < ops; w.q.round++)
        one_round(&w);
    printf("%llu expressions, %llu compared (%llu points), %llu refused\n", (unsigned long long)ops,
           (unsigned long long)w.compared, (unsigned long long)w.points,
           (unsigned long long)w.refused);
    random_query_fini(&w.q);
    return w.compared * 4 > ops && w.points ? 0 : 1;
}
