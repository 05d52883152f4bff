#include "random_query.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

enum { DEPTH = 3, SAMPLES_MAX = 60 };

uint64_t random_query_pick(struct random_query *q, uint64_t n) {
    return toc_rng_below(&q->rng, n);
}

static bool is_chance(struct random_query *q, uint64_t percent) {
    return random_query_pick(q, 100) < percent;
}

/* ------------------------------------------------------------------------------------------------
 * data */

static const char *const g_names[] = {"a_total", "b_total", "c"};
static const char *const g_jobs[] = {"", "x", "y"};

static double random_value(struct random_query *q, double last) {
    switch (random_query_pick(q, 40)) {
    case 0:
        return toc_f64_from_bits(TOC_NORMAL_NAN_BITS);
    case 1:
        return is_chance(q, 50) ? INFINITY : -INFINITY;
    case 2:
        return toc_stale_nan();
    case 3:
    case 4:
        return 0; /* a reset */
    case 5:
        return last;
    default:
        return (isfinite(last) ? last : 0) + (double)random_query_pick(q, 1000) / 8;
    }
}

static void add_series(struct random_query *q) {
    char host[24];
    snprintf(host, sizeof host, "%llu",
             (unsigned long long)random_query_pick(q, q->host_count) + 1);
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_sv_cstr(RANDOM_ONE_OF(q, g_names)));
    toc_labels_builder_set(&b, TOC_SV("job"), toc_sv_cstr(RANDOM_ONE_OF(q, g_jobs)));
    toc_labels_builder_set(&b, TOC_SV("host"), toc_sv_cstr(host));
    struct toc_labels labels = toc_labels_builder_finish(&b);
    if (!toc_memory_querier_find(&q->data, labels)) {
        int64_t t = RANDOM_QUERY_BASE_MS - 900000 + (int64_t)random_query_pick(q, 300000);
        double v = 0;
        for (size_t n = random_query_pick(q, SAMPLES_MAX); n > 0; n--) {
            v = random_value(q, v);
            toc_memory_querier_add(&q->data, labels, t, v);
            t += is_chance(q, 8) ? 400000 : 30000;
        }
    }
    toc_labels_builder_fini(&b);
}

void random_query_data(struct random_query *q, size_t count) {
    toc_memory_querier_clear(&q->data);
    for (; count > 0; count--)
        add_series(q);
}

/* ------------------------------------------------------------------------------------------------
 * expressions */

static void put(struct random_query *q, const char *text) {
    toc_buf_append_sv(&q->text, toc_sv_cstr(text));
}

static void put_vector(struct random_query *q, int depth);

static void put_scalar(struct random_query *q) {
    static const char *const scalars[] = {
        "0", "1", "2.5", "-3", "time()", "scalar(c{host=\"1\"})", "scalar(sum(a_total))"};
    put(q, RANDOM_ONE_OF(q, scalars));
}

static void put_selector(struct random_query *q) {
    static const char *const matchers[] = {
        "", "", "{job=\"x\"}", "{host!=\"2\"}", "{job=~\"x|y\"}", "{job=\"\"}"};
    if (is_chance(q, 10)) {
        put(q, "{__name__=~\".+_total\"}");
        return;
    }
    put(q, RANDOM_ONE_OF(q, g_names));
    put(q, RANDOM_ONE_OF(q, matchers));
}

static void put_times(struct random_query *q) {
    static const char *const offsets[] = {" offset 1m", " offset -45s", " offset 7m"};
    static const char *const ats[] = {" @ 1700006400", " @ 1700006123.5"};
    if (is_chance(q, 15))
        put(q, RANDOM_ONE_OF(q, offsets));
    if (is_chance(q, 10))
        put(q, RANDOM_ONE_OF(q, ats));
}

static void put_range(struct random_query *q, int depth) {
    static const char *const ranges[] = {"[1m]", "[2m30s]", "[5m]", "[11m]"};
    static const char *const subqueries[] = {"[5m:1m]", "[4m:45s]", "[10m:]", "[3m:17s]"};
    if (depth > 0 && is_chance(q, 25)) {
        put(q, "(");
        put_vector(q, depth - 1);
        put(q, ")");
        put(q, RANDOM_ONE_OF(q, subqueries));
    } else {
        put_selector(q);
        put(q, RANDOM_ONE_OF(q, ranges));
    }
    put_times(q);
}

static void put_window_call(struct random_query *q, int depth) {
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
    if (is_chance(q, 12)) {
        put(q, "quantile_over_time(");
        put_scalar(q);
        put(q, ", ");
    } else {
        put(q, RANDOM_ONE_OF(q, functions));
        put(q, "(");
    }
    put_range(q, depth);
    put(q, ")");
}

static void put_vector_call(struct random_query *q, int depth) {
    static const char *const functions[] = {"abs",    "ceil", "exp",  "sgn", "timestamp",
                                            "absent", "-",    "hour", "sort"};
    if (is_chance(q, 15)) {
        put(q, "label_replace(");
        put_vector(q, depth - 1);
        put(q, ", \"job\", \"z$1\", \"host\", \"([12])\")");
        return;
    }
    if (is_chance(q, 15)) {
        put(q, "clamp_min(");
        put_vector(q, depth - 1);
        put(q, ", ");
        put_scalar(q);
        put(q, ")");
        return;
    }
    put(q, RANDOM_ONE_OF(q, functions));
    put(q, "(");
    put_vector(q, depth - 1);
    put(q, ")");
}

static void put_aggregate(struct random_query *q, int depth) {
    static const char *const operators[] = {"sum",   "avg",   "min",    "max",
                                            "count", "group", "stddev", "stdvar"};
    static const char *const ranked[] = {"topk", "bottomk", "quantile"};
    static const char *const groupings[] = {
        "", " by (job)", " without (host)", " by (host, job)", " by (__name__)", " without ()"};
    bool has_parameter = is_chance(q, 30);
    put(q, has_parameter ? RANDOM_ONE_OF(q, ranked) : RANDOM_ONE_OF(q, operators));
    put(q, RANDOM_ONE_OF(q, groupings));
    put(q, "(");
    if (has_parameter) {
        put_scalar(q);
        put(q, ", ");
    }
    put_vector(q, depth - 1);
    put(q, ")");
}

static void put_binary(struct random_query *q, int depth) {
    static const char *const operators[] = {
        " + ", " - ", " * ", " / ", " % ", " == ", " > ", " <= bool ", " ^ ", " != ", " atan2 "};
    static const char *const sets[] = {" and ", " or ", " unless "};
    static const char *const matching[] = {"", "", "on (host) ", "ignoring (job) ",
                                           "on (job, host) "};
    static const char *const groups[] = {"", "", "group_left () ", "group_right () ",
                                         "group_left (job) "};
    bool is_set = is_chance(q, 30), has_scalar = !is_set && is_chance(q, 35);
    put(q, "(");
    put_vector(q, depth - 1);
    put(q, is_set ? RANDOM_ONE_OF(q, sets) : RANDOM_ONE_OF(q, operators));
    if (has_scalar) {
        put_scalar(q);
    } else {
        const char *match = RANDOM_ONE_OF(q, matching);
        put(q, match);
        if (!is_set && match[0] == 'i')
            put(q, RANDOM_ONE_OF(q, groups));
        put_vector(q, depth - 1);
    }
    put(q, ")");
}

static void put_vector(struct random_query *q, int depth) {
    uint64_t kind = depth <= 0 ? random_query_pick(q, 30) : random_query_pick(q, 100);
    if (kind < 15) {
        put_selector(q);
        put_times(q);
    } else if (kind < 38) {
        put_window_call(q, depth);
    } else if (kind < 52) {
        put_vector_call(q, depth);
    } else if (kind < 75) {
        put_aggregate(q, depth);
    } else {
        put_binary(q, depth);
    }
}

struct toc_promql_expr *random_query_expr(struct random_query *q) {
    struct toc_promql_expr *e = NULL;
    struct toc_err err = {0};
    toc_buf_reset(&q->text);
    put_vector(q, DEPTH);
    if (toc_promql_parse(toc_buf_sv(&q->text), &e, &err) < 0)
        random_query_die(q, err.message, RANDOM_QUERY_BASE_MS, TOC_LABELS_EMPTY);
    return e;
}

/* ------------------------------------------------------------------------------------------------
 */

static void show_data(const struct random_query *q) {
    struct toc_buf b = TOC_BUF_INIT;
    for (size_t i = 0; i < q->data.count; i++) {
        const struct toc_memory_series *s = &q->data.items[i];
        toc_labels_format(s->labels, &b);
        for (size_t k = 0; k < s->t_ms.count; k++)
            toc_buf_printf(&b, " %g@%lld", s->values.items[k],
                           (long long)(s->t_ms.items[k] - RANDOM_QUERY_BASE_MS));
        toc_buf_append_char(&b, '\n');
    }
    fputs(toc_buf_cstr(&b), stderr);
    toc_buf_fini(&b);
}

void random_query_die(const struct random_query *q, const char *why, int64_t t_ms,
                      struct toc_labels labels) {
    struct toc_buf b = TOC_BUF_INIT;
    show_data(q);
    toc_labels_format(labels, &b);
    fprintf(stderr, "round %llu: %.*s\n  at base+%lld ms, %s: %s\n", (unsigned long long)q->round,
            (int)q->text.n, q->text.p, (long long)(t_ms - RANDOM_QUERY_BASE_MS), toc_buf_cstr(&b),
            why);
    abort();
}

void random_query_init(struct random_query *q, uint64_t seed, uint64_t host_count) {
    *q = (struct random_query){.text = TOC_BUF_INIT, .host_count = host_count};
    toc_rng_seed(&q->rng, seed);
    toc_memory_querier_init(&q->data);
}

void random_query_fini(struct random_query *q) {
    toc_memory_querier_fini(&q->data);
    toc_buf_fini(&q->text);
}
