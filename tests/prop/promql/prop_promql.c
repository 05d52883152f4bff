/*
 * Random expressions over random series: a range query gives at each step what an instant query
 * gives at that time. Labels are compared exactly; values may differ in the last bits, because a
 * range may slide over its windows where an instant sums one up.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/rng.h"
#include "promql/memory_querier.h"
#include "promql/promql.h"

enum { STEPS = 12, DEPTH = 3, SERIES_MAX = 14, SAMPLES_MAX = 60 };
static const int64_t g_base_ms = 1700006400000;

struct world {
    struct toc_rng rng;
    struct toc_memory_querier data;
    struct toc_buf text;
    uint64_t round, compared, refused, points;
};

static uint64_t pick(struct world *w, uint64_t n) {
    return toc_rng_below(&w->rng, n);
}

static bool is_chance(struct world *w, uint64_t percent) {
    return pick(w, 100) < percent;
}

#define ONE_OF(w, list) ((list)[pick((w), sizeof(list) / sizeof *(list))])

/* ------------------------------------------------------------------------------------------------
 * data */

static const char *const g_names[] = {"a_total", "b_total", "c"};
static const char *const g_jobs[] = {"", "x", "y"};
static const char *const g_hosts[] = {"1", "2", "3"};

static double random_value(struct world *w, double last) {
    switch (pick(w, 40)) {
    case 0:
        return toc_f64_from_bits(TOC_NORMAL_NAN_BITS);
    case 1:
        return is_chance(w, 50) ? INFINITY : -INFINITY;
    case 2:
        return toc_stale_nan();
    case 3:
    case 4:
        return 0; /* a reset */
    case 5:
        return last;
    default:
        return (isfinite(last) ? last : 0) + (double)pick(w, 1000) / 8;
    }
}

static void add_series(struct world *w) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_sv_cstr(ONE_OF(w, g_names)));
    toc_labels_builder_set(&b, TOC_SV("job"), toc_sv_cstr(ONE_OF(w, g_jobs)));
    toc_labels_builder_set(&b, TOC_SV("host"), toc_sv_cstr(ONE_OF(w, g_hosts)));
    struct toc_labels labels = toc_labels_builder_finish(&b);
    if (!toc_memory_querier_find(&w->data, labels)) {
        int64_t t = g_base_ms - 900000 + (int64_t)pick(w, 300000);
        double v = 0;
        for (size_t n = pick(w, SAMPLES_MAX); n > 0; n--) {
            v = random_value(w, v);
            toc_memory_querier_add(&w->data, labels, t, v);
            t += is_chance(w, 8) ? 400000 : 30000;
        }
    }
    toc_labels_builder_fini(&b);
}

static void random_data(struct world *w) {
    toc_memory_querier_clear(&w->data);
    for (size_t n = 1 + pick(w, SERIES_MAX); n > 0; n--)
        add_series(w);
}

/* ------------------------------------------------------------------------------------------------
 * expressions */

static void put(struct world *w, const char *text) {
    toc_buf_append_sv(&w->text, toc_sv_cstr(text));
}

static void put_vector(struct world *w, int depth);

static void put_scalar(struct world *w) {
    static const char *const scalars[] = {
        "0", "1", "2.5", "-3", "time()", "scalar(c{host=\"1\"})", "scalar(sum(a_total))"};
    put(w, ONE_OF(w, scalars));
}

static void put_selector(struct world *w) {
    static const char *const matchers[] = {
        "", "", "{job=\"x\"}", "{host!=\"2\"}", "{job=~\"x|y\"}", "{job=\"\"}"};
    if (is_chance(w, 10)) {
        put(w, "{__name__=~\".+_total\"}");
        return;
    }
    put(w, ONE_OF(w, g_names));
    put(w, ONE_OF(w, matchers));
}

static void put_times(struct world *w) {
    static const char *const offsets[] = {" offset 1m", " offset -45s", " offset 7m"};
    static const char *const ats[] = {" @ 1700006400", " @ 1700006123.5"};
    if (is_chance(w, 15))
        put(w, ONE_OF(w, offsets));
    if (is_chance(w, 10))
        put(w, ONE_OF(w, ats));
}

static void put_range(struct world *w, int depth) {
    static const char *const ranges[] = {"[1m]", "[2m30s]", "[5m]", "[11m]"};
    static const char *const subqueries[] = {"[5m:1m]", "[4m:45s]", "[10m:]", "[3m:17s]"};
    if (depth > 0 && is_chance(w, 25)) {
        put(w, "(");
        put_vector(w, depth - 1);
        put(w, ")");
        put(w, ONE_OF(w, subqueries));
    } else {
        put_selector(w);
        put(w, ONE_OF(w, ranges));
    }
    put_times(w);
}

static void put_window_call(struct world *w, int depth) {
    static const char *const functions[] = {"rate",
                                            "increase",
                                            "delta",
                                            "irate",
                                            "idelta",
                                            "changes",
                                            "resets",
                                            "deriv",
                                            "sum_over_time",
                                            "avg_over_time",
                                            "min_over_time",
                                            "max_over_time",
                                            "last_over_time",
                                            "count_over_time",
                                            "stddev_over_time",
                                            "stdvar_over_time",
                                            "present_over_time",
                                            "absent_over_time"};
    if (is_chance(w, 12)) {
        put(w, "quantile_over_time(");
        put_scalar(w);
        put(w, ", ");
    } else {
        put(w, ONE_OF(w, functions));
        put(w, "(");
    }
    put_range(w, depth);
    put(w, ")");
}

static void put_vector_call(struct world *w, int depth) {
    static const char *const functions[] = {"abs",    "ceil", "exp",  "sgn", "timestamp",
                                            "absent", "-",    "hour", "sort"};
    if (is_chance(w, 15)) {
        put(w, "label_replace(");
        put_vector(w, depth - 1);
        put(w, ", \"job\", \"z$1\", \"host\", \"([12])\")");
        return;
    }
    if (is_chance(w, 15)) {
        put(w, "clamp_min(");
        put_vector(w, depth - 1);
        put(w, ", ");
        put_scalar(w);
        put(w, ")");
        return;
    }
    put(w, ONE_OF(w, functions));
    put(w, "(");
    put_vector(w, depth - 1);
    put(w, ")");
}

static void put_aggregate(struct world *w, int depth) {
    static const char *const operators[] = {"sum",   "avg",   "min",    "max",
                                            "count", "group", "stddev", "stdvar"};
    static const char *const ranked[] = {"topk", "bottomk", "quantile"};
    static const char *const groupings[] = {
        "", " by (job)", " without (host)", " by (host, job)", " by (__name__)", " without ()"};
    bool has_parameter = is_chance(w, 30);
    put(w, has_parameter ? ONE_OF(w, ranked) : ONE_OF(w, operators));
    put(w, ONE_OF(w, groupings));
    put(w, "(");
    if (has_parameter) {
        put_scalar(w);
        put(w, ", ");
    }
    put_vector(w, depth - 1);
    put(w, ")");
}

static void put_binary(struct world *w, int depth) {
    static const char *const operators[] = {
        " + ", " - ", " * ", " / ", " % ", " == ", " > ", " <= bool ", " ^ ", " != ", " atan2 "};
    static const char *const sets[] = {" and ", " or ", " unless "};
    static const char *const matching[] = {"", "", "on (host) ", "ignoring (job) ",
                                           "on (job, host) "};
    static const char *const groups[] = {"", "", "group_left () ", "group_right () ",
                                         "group_left (job) "};
    bool is_set = is_chance(w, 30), has_scalar = !is_set && is_chance(w, 35);
    put(w, "(");
    put_vector(w, depth - 1);
    put(w, is_set ? ONE_OF(w, sets) : ONE_OF(w, operators));
    if (has_scalar) {
        put_scalar(w);
    } else {
        const char *match = ONE_OF(w, matching);
        put(w, match);
        if (!is_set && match[0] == 'i')
            put(w, ONE_OF(w, groups));
        put_vector(w, depth - 1);
    }
    put(w, ")");
}

static void put_vector(struct world *w, int depth) {
    uint64_t kind = depth <= 0 ? pick(w, 30) : pick(w, 100);
    if (kind < 15) {
        put_selector(w);
        put_times(w);
    } else if (kind < 38) {
        put_window_call(w, depth);
    } else if (kind < 52) {
        put_vector_call(w, depth);
    } else if (kind < 75) {
        put_aggregate(w, depth);
    } else {
        put_binary(w, depth);
    }
}

/* ------------------------------------------------------------------------------------------------
 * comparison */

static void show_data(const struct world *w) {
    struct toc_buf b = TOC_BUF_INIT;
    for (size_t i = 0; i < w->data.count; i++) {
        const struct toc_memory_series *s = &w->data.items[i];
        toc_labels_format(s->labels, &b);
        for (size_t k = 0; k < s->t_ms.count; k++)
            toc_buf_printf(&b, " %g@%lld", s->values.items[k],
                           (long long)(s->t_ms.items[k] - g_base_ms));
        toc_buf_append_char(&b, '\n');
    }
    fputs(toc_buf_cstr(&b), stderr);
    toc_buf_fini(&b);
}

static void die(const struct world *w, const char *why, int64_t t_ms, struct toc_labels labels) {
    struct toc_buf b = TOC_BUF_INIT;
    show_data(w);
    toc_labels_format(labels, &b);
    fprintf(stderr, "round %llu: %.*s\n  at base+%lld ms, %s: %s\n", (unsigned long long)w->round,
            (int)w->text.n, w->text.p, (long long)(t_ms - g_base_ms), toc_buf_cstr(&b), why);
    abort();
}

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
            die(w, "the instant has a value, the range has none", t_ms, s->labels);
        if (s->points[0].t_ms != t_ms)
            die(w, "an instant's value has another time", t_ms, s->labels);
        if (!is_close(p->value, s->points[0].value))
            die(w, why, t_ms, s->labels);
        w->points++;
    }
    if (in_range != instant->series_count)
        die(w, "the range has values that the instant lacks", t_ms, TOC_LABELS_EMPTY);
}

static void check_range(struct world *w, const struct toc_promql_expr *e, int64_t start_ms,
                        int64_t step_ms) {
    struct toc_promql_options o = {.querier = &w->data.querier};
    struct toc_promql_result range = {0};
    struct toc_err err = {0};
    int64_t end_ms = start_ms + (STEPS - 1) * step_ms;
    int rc = toc_promql_range(e, &o, start_ms, end_ms, step_ms, &range, &err);
    for (size_t i = 1; rc == 0 && i < range.series_count; i++)
        if (toc_labels_cmp(range.series[i - 1].labels, range.series[i].labels) >= 0)
            die(w, "series of a range are not in rising order", start_ms, range.series[i].labels);
    for (int64_t t = start_ms; rc == 0 && t <= end_ms; t += step_ms) {
        struct toc_promql_result instant = {0};
        if (toc_promql_instant(e, &o, t, &instant, &err) < 0)
            die(w, err.message, t, TOC_LABELS_EMPTY);
        compare_step(w, &range, &instant, t);
        toc_promql_result_fini(&instant);
    }
    w->compared += rc == 0;
    w->refused += rc < 0;
    toc_promql_result_fini(&range);
}

static void one_round(struct world *w) {
    static const int64_t steps_ms[] = {15000, 30000, 60000, 7000, 433000};
    struct toc_promql_expr *e = NULL;
    struct toc_err err = {0};
    if (w->round % 20 == 0)
        random_data(w);
    w->text.n = 0;
    put_vector(w, DEPTH);
    if (toc_promql_parse(toc_buf_sv(&w->text), &e, &err) < 0)
        die(w, err.message, g_base_ms, TOC_LABELS_EMPTY);
    check_range(w, e, g_base_ms - 600000 + (int64_t)pick(w, 300000), ONE_OF(w, steps_ms));
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
    struct world w = {.text = TOC_BUF_INIT};
    toc_rng_seed(&w.rng, seed);
    toc_memory_querier_init(&w.data);
    printf("seed %llu\n", (unsigned long long)seed);
    for (; w.round < ops; w.round++)
        one_round(&w);
    printf("%llu expressions, %llu compared (%llu points), %llu refused\n",
           (unsigned long long)w.round, (unsigned long long)w.compared,
           (unsigned long long)w.points, (unsigned long long)w.refused);
    toc_memory_querier_fini(&w.data);
    toc_buf_fini(&w.text);
    return w.compared * 4 > w.round && w.points ? 0 : 1;
}
