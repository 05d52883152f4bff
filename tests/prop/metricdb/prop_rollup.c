/*
 * Random series (counters with resets, gauges, gaps, staleness markers, odd values, some late) over
 * days: PromQL answers over roll-ups as over the samples themselves, which a second querier in
 * memory holds. Windows of whole buckets give the same values; others are those of the window that
 * is widened to whole buckets and moved back to an end. Then raw samples are deleted by retention
 * and all is asked again.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "metricdb/metricdb.h"
#include "model/sample.h"
#include "promql/memory_querier.h"
#include "promql/promql.h"
#include "sys/vfs_sim.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define START (INT64_C(20000) * DAY)

enum { SERIES = 12 };

#define CHECK(cond)                                                    \
    do {                                                               \
        if (!(cond)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                   \
        }                                                              \
    } while (0)

struct sample {
    int64_t t_ms;
    double v;
};

struct world {
    struct toc_rng rng;
    struct toc_vfs_sim *disk;
    struct toc_clock_virtual clock;
    struct toc_metricdb_options options;
    struct toc_metricdb *db;
    struct toc_memory_querier model;
    char names[SERIES][16];
    struct toc_label labels[SERIES][2];
    TOC_VEC(struct sample) late[SERIES]; /* not yet written */
    double at[SERIES];
    uint64_t compared, moved;
};

static uint64_t pick(struct world *w, uint64_t n) {
    return toc_rng_below(&w->rng, n);
}

static struct toc_labels labels_of(struct world *w, size_t i) {
    return (struct toc_labels){w->labels[i], 2};
}

static void open_db(struct world *w) {
    struct toc_err err = {0};
    int rc = toc_metricdb_open(&w->options, &w->db, &err);
    if (rc)
        fprintf(stderr, "%s\n", err.message);
    CHECK(rc == 0);
}

static void write_sample(struct world *w, size_t i, int64_t t_ms, double v) {
    struct toc_point p = toc_float_point(labels_of(w, i), t_ms, v);
    struct toc_write_result r;
    struct toc_sink *sink = toc_metricdb_sink(w->db);
    CHECK(sink->write(sink, &p, 1, &r, NULL) == 0 && r.accepted == 1);
    toc_memory_querier_add(&w->model, labels_of(w, i), t_ms, v);
}

/* The next value of a series: even ones are counters. */
static double next_value(struct world *w, size_t i) {
    if (i % 2 == 0) {
        w->at[i] = pick(w, 200) ? w->at[i] + (double)pick(w, 100) : (double)pick(w, 5);
        return w->at[i];
    }
    switch (pick(w, 60)) {
    case 0:
        return NAN;
    case 1:
        return -0.0;
    case 2:
        return i == 3 ? INFINITY : 1e3;
    default:
        return i % 3 ? toc_rng_normal(&w->rng) : (double)pick(w, 50);
    }
}

/* One series over some hours; now and then a gap, a marker, or samples that come later. */
static void fill(struct world *w, size_t i, int64_t from, int64_t to) {
    int64_t step = i < 4 ? 30000 : 75000;
    for (int64_t t = from; t < to; t += step) {
        int64_t at = t + (i % 3 ? (int64_t)pick(w, 20) : 0);
        if (!pick(w, 150)) {
            write_sample(w, i, at, toc_stale_nan());
            t += (int64_t)pick(w, 3 * HOUR);
        } else if (!pick(w, 100)) {
            struct sample s = {at, next_value(w, i)};
            TOC_VEC_PUSH(&w->late[i], s);
        } else {
            write_sample(w, i, at, next_value(w, i));
        }
    }
}

static void maintain(struct world *w, int steps) {
    for (int i = 0; i < steps; i++) {
        toc_clock_virtual_advance(&w->clock, 61000);
        CHECK(toc_metricdb_maintain(w->db, NULL) == 0);
    }
}

/* --- comparing --- */

static const char *const g_functions[] = {
    "rate",          "increase",      "delta",           "sum_over_time",  "avg_over_time",
    "min_over_time", "max_over_time", "count_over_time", "last_over_time", "present_over_time",
};

static bool is_near(double a, double b) {
    if (isnan(a) || isnan(b))
        return isnan(a) == isnan(b);
    if (isinf(a) || isinf(b))
        return a == b;
    return fabs(a - b) <= 1e-9 * (1 + fmax(fabs(a), fabs(b)));
}

static struct toc_promql_result *ask(struct world *w, struct toc_querier *q, const char *text,
                                     int64_t start, int64_t end, int64_t step) {
    struct toc_promql_expr *e;
    struct toc_promql_result *r = TOC_NEW(struct toc_promql_result);
    struct toc_err err = {0};
    (void)w;
    CHECK(toc_promql_parse(toc_sv_cstr(text), &e, &err) == 0);
    struct toc_promql_options o = {.querier = q};
    int rc = toc_promql_range(e, &o, start, end, step, r, &err);
    if (rc)
        fprintf(stderr, "%s: %s\n", text, err.message);
    CHECK(rc == 0);
    toc_promql_expr_free(&e);
    return r;
}

static void free_result(struct toc_promql_result **r) {
    toc_promql_result_fini(*r);
    toc_free(*r);
    *r = NULL;
}

static const struct toc_promql_series *series_of(const struct toc_promql_result *r,
                                                 struct toc_labels labels) {
    for (size_t i = 0; i < r->series_count; i++)
        if (toc_labels_eq(r->series[i].labels, labels))
            return &r->series[i];
    return NULL;
}

static void report(const char *text, int64_t t, double got, double wanted) {
    fprintf(stderr, "%s at %lld: got %.17g, wanted %.17g\n", text, (long long)t, got, wanted);
    abort();
}

/* Every value of `wanted` is in `got`, and no other. */
static void compare(struct world *w, const char *text, const struct toc_promql_result *got,
                    const struct toc_promql_result *wanted) {
    if (got->series_count != wanted->series_count)
        report(text, 0, (double)got->series_count, (double)wanted->series_count);
    for (size_t i = 0; i < wanted->series_count; i++) {
        const struct toc_promql_series *b = &wanted->series[i], *a = series_of(got, b->labels);
        if (!a)
            report(text, 1, 0, 1);
        for (size_t k = 0; k < TOC_MIN(a->count, b->count); k++)
            if (a->points[k].t_ms != b->points[k].t_ms ||
                !is_near(a->points[k].value, b->points[k].value))
                report(text, a->points[k].t_ms, a->points[k].value, b->points[k].value);
        if (a->count != b->count)
            report(text, 2, (double)a->count, (double)b->count);
        w->compared += a->count;
    }
}

static void choose_query(struct world *w, int64_t range, char *text, size_t size) {
    size_t n = TOC_ARRAY_LEN(g_functions), at = pick(w, n + 2);
    if (at >= n)
        snprintf(text, size, at == n ? "m" : "timestamp(m)");
    else
        snprintf(text, size, "%s(m[%lldm])", g_functions[at], (long long)(range / MINUTE));
}

/* Windows of whole buckets; over more than two days, where buckets are read although samples are
 * there, and over less. */
static void ask_aligned(struct world *w, int64_t from, int64_t to) {
    static const int64_t units[] = {5 * MINUTE, HOUR};
    char text[80];
    int64_t unit = units[pick(w, 2)];
    int64_t step = unit * (1 + (int64_t)pick(w, 6)), range = unit * (1 + (int64_t)pick(w, 12));
    int64_t start = from + (int64_t)pick(w, 12) * unit;
    int64_t end = pick(w, 4) ? to : start + (int64_t)pick(w, 12) * HOUR;
    choose_query(w, range, text, sizeof text);
    struct toc_promql_result *got = ask(w, toc_metricdb_querier(w->db), text, start, end, step);
    struct toc_promql_result *wanted = ask(w, &w->model.querier, text, start, end, step);
    compare(w, text, got, wanted);
    CHECK(got->info_count == wanted->info_count); /* nothing to be said about roll-ups */
    if (end - start > 2 * DAY && wanted->samples_loaded > 1000 && text[0] != 't')
        CHECK(got->samples_loaded * 2 < wanted->samples_loaded);
    free_result(&got);
    free_result(&wanted);
}

/* What the steps of such a query are moved to, asked of the model one by one. */
static void compare_moved(struct world *w, const char *text, const char *widened,
                          const struct toc_promql_result *got, int64_t start, int64_t end,
                          int64_t step, int64_t unit) {
    for (int64_t t = start; t <= end; t += step) {
        int64_t at = t - t % unit;
        struct toc_promql_result *wanted = ask(w, &w->model.querier, widened, at, at, 1);
        for (size_t i = 0; i < SERIES; i++) {
            struct toc_labels bare = {w->labels[i] + 1, 1};
            const struct toc_promql_series *a = series_of(got, bare), *b = series_of(wanted, bare);
            if (!a && !b) {
                a = series_of(got, labels_of(w, i));
                b = series_of(wanted, labels_of(w, i));
            }
            double found = 0, model = 0;
            size_t has = 0;
            for (size_t k = 0; a && k < a->count; k++)
                if (a->points[k].t_ms == t) {
                    found = a->points[k].value;
                    has = 1;
                }
            if (b && b->count)
                model = b->points[0].value;
            if (has != (b && b->count) || !is_near(found, model))
                report(text, t, has ? found : -12345, b && b->count ? model : -12345);
            w->moved += has;
        }
        free_result(&wanted);
    }
}

/* Windows that begin and end anywhere, over a time of which samples are gone. */
static void ask_moved(struct world *w, int64_t from) {
    char text[80], widened[80];
    int64_t unit = 5 * MINUTE, minutes = 1 + (int64_t)pick(w, 70);
    int64_t start = from + 1 + (int64_t)pick(w, 6 * HOUR), step = 1 + (int64_t)pick(w, 2 * HOUR);
    int64_t end = start + 6 * step;
    const char *fn = g_functions[pick(w, TOC_ARRAY_LEN(g_functions))];
    if (minutes % 5 == 0 && start % unit == 0)
        return;
    snprintf(text, sizeof text, "%s(m[%lldm])", fn, (long long)minutes);
    snprintf(widened, sizeof widened, "%s(m[%lldm])", fn, (long long)((minutes + 4) / 5 * 5));
    struct toc_promql_result *got = ask(w, toc_metricdb_querier(w->db), text, start, end, step);
    compare_moved(w, text, widened, got, start, end, step, unit);
    CHECK(!got->series_count || got->info_count > 0);
    free_result(&got);
}

/* A function that buckets cannot serve tells that. */
static void ask_unserved(struct world *w, int64_t from) {
    struct toc_promql_result *got =
        ask(w, toc_metricdb_querier(w->db), "quantile_over_time(0.5, m[6h])", from + 6 * HOUR,
            from + 30 * HOUR, HOUR);
    bool is_told = false;
    CHECK(got->series_count > 0);
    for (size_t i = 0; i < got->info_count; i++)
        is_told |= memmem(got->infos[i].p, got->infos[i].n, "stands in", 9) != NULL;
    CHECK(is_told);
    free_result(&got);
}

/* --- the course --- */

static void write_late(struct world *w, size_t limit) {
    for (size_t i = 0; i < SERIES; i++) {
        size_t n = TOC_MIN(limit, w->late[i].count);
        for (size_t k = 0; k < n; k++) {
            struct sample s = w->late[i].items[--w->late[i].count];
            write_sample(w, i, s.t_ms, s.v);
        }
    }
}

static void init(struct world *w, uint64_t seed) {
    *w = (struct world){.disk = toc_vfs_sim_new(seed)};
    toc_rng_seed(&w->rng, seed);
    toc_clock_virtual_init(&w->clock, (struct toc_ts){START});
    toc_memory_querier_init(&w->model);
    w->options = (struct toc_metricdb_options){
        .vfs = toc_vfs_sim_vfs(w->disk), .clock = &w->clock.base, .dir = "/data"};
    for (size_t i = 0; i < SERIES; i++) {
        snprintf(w->names[i], sizeof w->names[i], "%zu", i);
        w->labels[i][0] = (struct toc_label){TOC_METRIC_NAME, TOC_SV("m")};
        w->labels[i][1] = (struct toc_label){TOC_SV("i"), toc_sv_cstr(w->names[i])};
    }
    open_db(w);
}

static void fini(struct world *w) {
    toc_metricdb_close(&w->db);
    toc_memory_querier_fini(&w->model);
    for (size_t i = 0; i < SERIES; i++)
        TOC_VEC_FINI(&w->late[i]);
    toc_vfs_sim_free(&w->disk);
}

static void live(struct world *w, int64_t days) {
    for (int64_t t = START; t < START + days * DAY; t += 2 * HOUR) {
        int64_t ahead = t + 2 * HOUR - w->clock.wall.ms;
        if (ahead > 0)
            toc_clock_virtual_advance(&w->clock, ahead);
        for (size_t i = 0; i < SERIES; i++)
            fill(w, i, t, t + 2 * HOUR);
        maintain(w, 3);
    }
}

static struct toc_metricdb_stats stats(struct world *w) {
    struct toc_metricdb_stats s;
    toc_metricdb_stats(w->db, &s);
    return s;
}

static void run(uint64_t seed, uint64_t queries) {
    struct world w;
    init(&w, seed);
    live(&w, 5);
    maintain(&w, 20);
    uint64_t made = stats(&w).rollups_made;
    CHECK(made > 0);
    int64_t to = START + 5 * DAY;
    for (uint64_t i = 0; i < queries; i++)
        ask_aligned(&w, START, to);
    write_late(&w, 3); /* in the head now, then in blocks of their own, then rolled up */
    for (uint64_t i = 0; i < queries; i++)
        ask_aligned(&w, START, to);
    maintain(&w, 5);
    for (uint64_t i = 0; i < queries; i++)
        ask_aligned(&w, START, to);
    write_late(&w, SIZE_MAX);
    maintain(&w, 40);
    for (uint64_t i = 0; i < queries; i++)
        ask_aligned(&w, START, to);
    CHECK(stats(&w).rollups_made > made); /* again, with what came late */
    toc_metricdb_close(&w.db);
    w.options.limits.retention_ms = 26 * HOUR;
    open_db(&w);
    maintain(&w, 40);
    CHECK(stats(&w).expired_samples[TOC_METRICDB_EXPIRED_TIME] > 0);
    for (uint64_t i = 0; i < queries; i++) {
        ask_aligned(&w, START, to);
        ask_moved(&w, START);
    }
    ask_unserved(&w, START);
    CHECK(stats(&w).corruptions == 0);
    printf("seed %llu: %llu values compared, %llu of moved windows, %llu blocks of roll-ups\n",
           (unsigned long long)seed, (unsigned long long)w.compared, (unsigned long long)w.moved,
           (unsigned long long)made);
    CHECK(w.compared > 0 && w.moved > 0);
    fini(&w);
}

int main(int argc, char **argv) {
    uint64_t seed = 1, queries = 30, rounds = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t n = strtoull(argv[i + 1], NULL, 10);
        seed = strcmp(argv[i], "--seed") ? seed : n;
        queries = strcmp(argv[i], "--ops") ? queries : n;
        rounds = strcmp(argv[i], "--rounds") ? rounds : n;
    }
    for (uint64_t i = 0; i < rounds; i++)
        run(seed + i, queries);
    return 0;
}
