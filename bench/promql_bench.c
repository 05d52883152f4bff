/*
 * promql_bench [--store memory|metricdb] [--only TEXT] [--rounds N] [--scale PERCENT]
 *              [--threads N] [--dir DIR]
 * Cost of evaluation without any protocol around it. The store in memory hands out views of arrays,
 * so what it shows is the evaluator alone; metricdb adds the decoding. Three sets of counters at
 * 15 s: 100,000 series of 20 samples asked at an instant, 10,000 of 260 over an hour each 15 s, and
 * 10,000 of 5,760 over a day each minute. Each line is the best of the rounds.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "metricdb/metricdb.h"
#include "promql/promql.h"
#include "sys/clock.h"
#include "sys/pool.h"

enum { LABELS = 5, TEXT = 32, INTERVAL_MS = 15000, BATCH = 10000 };
static const int64_t g_start_ms = 1700006400000; /* a multiple of a day and of the steps */

struct data {
    struct toc_querier querier; /* first: the functions below cast back */
    size_t series, samples;
    char (*texts)[LABELS][TEXT];
    struct toc_label (*items)[LABELS];
    int64_t *t_ms;
    double *values; /* series after series */
};

struct set {
    struct toc_series_set base;
    struct data *data;
};

struct bench {
    const char *store, *only, *dir;
    unsigned rounds, scale, threads;
    struct toc_pool *pool;
};

static void fail(const char *what, const struct toc_err *err) {
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(1);
}

/* ------------------------------------------------------------------------------------------------
 * data */

static const char *const g_label_names[LABELS] = {"__name__", "code", "instance", "path", "region"};

static void make_labels(struct data *d) {
    for (size_t i = 0; i < d->series; i++) {
        snprintf(d->texts[i][0], TEXT, "http_requests_total");
        snprintf(d->texts[i][1], TEXT, "%d", i % 10 < 8 ? 200 : 500);
        snprintf(d->texts[i][2], TEXT, "host-%04zu:9090", i / 100);
        snprintf(d->texts[i][3], TEXT, "/api/v1/p%02zu", i % 100);
        snprintf(d->texts[i][4], TEXT, "r%zu", i / 100 % 10);
        for (int k = 0; k < LABELS; k++)
            d->items[i][k] =
                (struct toc_label){toc_sv_cstr(g_label_names[k]), toc_sv_cstr(d->texts[i][k])};
    }
}

/* Counters of different pace, one in fifty with a reset. */
static void make_values(struct data *d) {
    struct toc_rng rng;
    toc_rng_seed(&rng, 20);
    for (size_t k = 0; k < d->samples; k++)
        d->t_ms[k] = g_start_ms + (int64_t)k * INTERVAL_MS;
    for (size_t i = 0; i < d->series; i++) {
        double v = (double)toc_rng_below(&rng, 1000000);
        size_t reset = i % 50 == 0 ? toc_rng_below(&rng, d->samples) : SIZE_MAX;
        for (size_t k = 0; k < d->samples; k++) {
            v = k == reset ? 0 : v + (double)toc_rng_below(&rng, 100 + i % 1000);
            d->values[i * d->samples + k] = v;
        }
    }
}

static bool is_match(const struct data *d, size_t i, const struct toc_select *s) {
    return toc_matchers_match(s->matchers, s->matcher_count,
                              (struct toc_labels){d->items[i], LABELS});
}

static size_t lower_bound(const int64_t *t, size_t n, int64_t want) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t[mid] < want)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct toc_series_view view_of(const struct data *d, size_t i, int64_t min_ms,
                                      int64_t max_ms) {
    size_t from = lower_bound(d->t_ms, d->samples, min_ms);
    size_t to = max_ms == INT64_MAX ? d->samples : lower_bound(d->t_ms, d->samples, max_ms + 1);
    return (struct toc_series_view){.labels = {d->items[i], LABELS},
                                    .t_ms = d->t_ms + from,
                                    .values = d->values + i * d->samples + from,
                                    .count = to > from ? to - from : 0};
}

static int select_series(struct toc_querier *q, const struct toc_select *s, toc_on_series *fn,
                         void *ctx, struct toc_err *err) {
    struct data *d = (struct data *)q;
    int rc = 0;
    (void)err;
    for (size_t i = 0; i < d->series && rc == 0; i++) {
        if (!is_match(d, i, s))
            continue;
        struct toc_series_view view = view_of(d, i, s->min_ms, s->max_ms);
        rc = view.count ? fn(ctx, &view) : 0;
    }
    return rc;
}

/* The bench asks for all series, so that position i of a set is series i. */
static struct toc_labels set_labels(struct toc_series_set *set, size_t i, struct toc_label *items) {
    (void)items;
    return (struct toc_labels){((struct set *)set)->data->items[i], LABELS};
}

static int set_read(struct toc_series_set *set, size_t i, int64_t min_ms, int64_t max_ms,
                    struct toc_series_buffer *buffer, struct toc_series_view *out_view,
                    struct toc_err *err) {
    (void)buffer;
    (void)err;
    *out_view = view_of(((struct set *)set)->data, i, min_ms, max_ms);
    return 0;
}

static void set_close(struct toc_series_set **set) {
    toc_free(*set);
    *set = NULL;
}

static int open_set(struct toc_querier *q, const struct toc_select *s, struct toc_series_set **out,
                    struct toc_err *err) {
    struct data *d = (struct data *)q;
    if (d->series && !is_match(d, 0, s))
        return toc_errf(err, TOC_EUNSUPPORTED, "the bench asks for all of its series");
    struct set *set = toc_xalloc(sizeof *set);
    *set = (struct set){.base = {d->series, set_labels, set_read, set_close}, .data = d};
    *out = &set->base;
    return 0;
}

static void data_init(struct data *d, size_t series, size_t samples) {
    *d = (struct data){.querier = {.select = select_series, .open = open_set},
                       .series = series,
                       .samples = samples};
    d->texts = toc_xcalloc(series, sizeof *d->texts);
    d->items = toc_xcalloc(series, sizeof *d->items);
    d->t_ms = toc_xcalloc(samples, sizeof *d->t_ms);
    d->values = toc_xcalloc(series * samples, sizeof *d->values);
    make_labels(d);
    make_values(d);
}

static void data_fini(struct data *d) {
    toc_free(d->texts);
    toc_free(d->items);
    toc_free(d->t_ms);
    toc_free(d->values);
}

/* ------------------------------------------------------------------------------------------------
 * the same in metricdb */

static void write_samples(struct toc_metricdb *db, const struct data *d, const uint64_t *refs,
                          size_t sample) {
    static struct toc_metricdb_sample batch[BATCH];
    struct toc_err err = {0};
    struct toc_write_result r;
    size_t unknown;
    for (size_t i = 0; i < d->series;) {
        size_t n = 0;
        for (; n < BATCH && i < d->series; i++, n++)
            batch[n] = (struct toc_metricdb_sample){.ref = refs[i],
                                                    .t_ms = d->t_ms[sample],
                                                    .value = d->values[i * d->samples + sample]};
        if (toc_metricdb_write_refs(db, batch, n, &r, &unknown, &err) || unknown || r.accepted != n)
            fail("write", &err);
    }
}

static struct toc_metricdb *fill_db(const struct data *d, struct toc_clock_virtual *clock,
                                    const char *dir) {
    struct toc_metricdb_options o = {
        .dir = dir, .clock = &clock->base, .durability = TOC_DURABILITY_OS};
    struct toc_metricdb *db = NULL;
    struct toc_err err = {0};
    toc_clock_virtual_init(clock, (struct toc_ts){g_start_ms});
    if (toc_metricdb_open(&o, &db, &err))
        fail("open", &err);
    uint64_t *refs = toc_xcalloc(d->series, sizeof *refs);
    enum toc_reject_reason reason;
    for (size_t i = 0; i < d->series; i++)
        if (toc_metricdb_series_ref(db, (struct toc_labels){d->items[i], LABELS}, &refs[i],
                                    &reason))
            fail("series", &err);
    for (size_t k = 0; k < d->samples; k++) {
        write_samples(db, d, refs, k);
        toc_clock_virtual_advance(clock, INTERVAL_MS);
        if (k % 20 == 0 && toc_metricdb_maintain(db, &err))
            fail("maintain", &err);
    }
    toc_free(refs);
    return db;
}

/* ------------------------------------------------------------------------------------------------
 * queries */

struct query {
    const char *text;
    int64_t span_ms, step_ms; /* step 0: an instant */
};

struct data_set {
    const char *name;
    size_t series, samples;
    struct query queries[10];
};

#define M "http_requests_total"
static const struct data_set g_sets[] = {
    {"100k_x_20",
     100000,
     20,
     {{"count(" M ")", 0, 0},
      {"sum by (region)(" M ")", 0, 0},
      {"sum by (instance)(" M ")", 0, 0},
      {"rate(" M "[5m])", 0, 0},
      {"sum(rate(" M "[5m]))", 0, 0},
      {"sum by (region)(rate(" M "[5m]))", 0, 0},
      {"topk(10, rate(" M "[5m]))", 0, 0},
      {"quantile by (region)(0.9, " M ")", 0, 0},
      {M " > 1000000", 0, 0},
      {M " / " M, 0, 0}}},
    {"10k_x_260",
     10000,
     260,
     {{"sum(" M ")", 3600000, 15000},
      {"sum(rate(" M "[5m]))", 3600000, 15000},
      {"sum by (region)(rate(" M "[5m]))", 3600000, 15000},
      {"topk(5, rate(" M "[5m]))", 3600000, 15000},
      {"max(avg_over_time(" M "[5m]))", 3600000, 15000},
      {"max(max_over_time(" M "[5m]))", 3600000, 15000},
      {"sum(quantile_over_time(0.9, " M "[5m]))", 3600000, 15000},
      {"sum(max_over_time(rate(" M "[5m])[10m:1m]))", 3600000, 60000}}},
    {"10k_x_5760",
     10000,
     5760,
     {{"sum(" M ")", 86100000, 60000},
      {"sum(rate(" M "[5m]))", 86100000, 60000},
      {"sum by (instance)(increase(" M "[1h]))", 86100000, 60000},
      {"max(stddev_over_time(" M "[5m]))", 86100000, 60000}}},
};

static double mono_ms(void) {
    return (double)toc_clock_mono(toc_clock_system()).ns / 1e6;
}

/* Evaluates once; the time goes to *out_ms. */
static void run_once(const struct toc_promql_expr *e, const struct toc_promql_options *o,
                     const struct query *q, int64_t end_ms, struct toc_promql_result *r,
                     double *out_ms) {
    struct toc_err err = {0};
    double start = mono_ms();
    int rc = q->step_ms ? toc_promql_range(e, o, end_ms - q->span_ms, end_ms, q->step_ms, r, &err)
                        : toc_promql_instant(e, o, end_ms, r, &err);
    *out_ms = mono_ms() - start;
    if (rc < 0)
        fail(q->text, &err);
}

static void run_query(const struct bench *b, struct toc_querier *querier, const struct data_set *s,
                      const struct query *q, size_t series) {
    struct toc_promql_expr *e = NULL;
    struct toc_err err = {0};
    struct toc_promql_options o = {.querier = querier,
                                   .executor = b->pool ? toc_pool_executor(b->pool) : NULL,
                                   .max_samples = UINT64_MAX / 2,
                                   .max_bytes = (size_t)8 << 30};
    if (toc_promql_parse(toc_sv_cstr(q->text), &e, &err) < 0)
        fail(q->text, &err);
    int64_t end_ms = g_start_ms + (int64_t)(s->samples - 1) * INTERVAL_MS;
    double best = INFINITY;
    uint64_t samples = 0;
    size_t results = 0;
    for (unsigned i = 0; i < b->rounds; i++) {
        struct toc_promql_result r = {0};
        double took;
        run_once(e, &o, q, end_ms, &r, &took);
        best = took < best ? took : best;
        samples = r.samples_loaded;
        results = r.series_count;
        toc_promql_result_fini(&r);
    }
    printf("%-10s %-52s %9.2f ms %9.1f ns/series %7.2f ns/sample %7zu results\n", s->name, q->text,
           best, best * 1e6 / (double)series, samples ? best * 1e6 / (double)samples : 0, results);
    fflush(stdout);
    toc_promql_expr_free(&e);
}

static bool is_wanted(const struct bench *b, const struct data_set *s, const struct query *q) {
    char whole[160];
    snprintf(whole, sizeof whole, "%s %s", s->name, q->text);
    return !b->only || strstr(whole, b->only);
}

static void run_set(const struct bench *b, const struct data_set *s) {
    size_t query_count = 0, wanted = 0;
    for (; query_count < 10 && s->queries[query_count].text; query_count++)
        wanted += is_wanted(b, s, &s->queries[query_count]);
    if (!wanted)
        return;
    struct data d;
    struct toc_clock_virtual clock;
    struct toc_metricdb *db = NULL;
    char dir[512];
    data_init(&d, s->series * b->scale / 100, s->samples);
    snprintf(dir, sizeof dir, "%s/%s", b->dir ? b->dir : "", s->name);
    if (strcmp(b->store, "metricdb") == 0)
        db = fill_db(&d, &clock, dir);
    for (size_t i = 0; i < query_count; i++)
        if (is_wanted(b, s, &s->queries[i]))
            run_query(b, db ? toc_metricdb_querier(db) : &d.querier, s, &s->queries[i], d.series);
    toc_metricdb_close(&db);
    data_fini(&d);
}

static void usage(void) {
    fprintf(stderr, "usage: promql_bench [--store memory|metricdb] [--only TEXT] [--rounds N] "
                    "[--scale PERCENT] [--threads N] [--dir EMPTY_DIR]\n");
    exit(2);
}

int main(int argc, char **argv) {
    struct bench b = {.store = "memory", .rounds = 3, .scale = 100, .threads = 1};
    struct toc_err err = {0};
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 >= argc)
            usage();
        if (strcmp(argv[i], "--store") == 0)
            b.store = argv[i + 1];
        else if (strcmp(argv[i], "--only") == 0)
            b.only = argv[i + 1];
        else if (strcmp(argv[i], "--dir") == 0)
            b.dir = argv[i + 1];
        else if (strcmp(argv[i], "--rounds") == 0)
            b.rounds = (unsigned)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--threads") == 0)
            b.threads = (unsigned)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--scale") == 0)
            b.scale = (unsigned)strtoul(argv[i + 1], NULL, 10);
        else
            usage();
    }
    bool is_db = strcmp(b.store, "metricdb") == 0;
    if ((!is_db && strcmp(b.store, "memory") != 0) || (is_db && !b.dir) || !b.rounds || !b.scale)
        usage();
    if (b.threads > 1 && toc_pool_new(b.threads, &b.pool, &err) < 0)
        fail("pool", &err);
    for (size_t i = 0; i < sizeof g_sets / sizeof g_sets[0]; i++)
        run_set(&b, &g_sets[i]);
    toc_pool_free(&b.pool);
    return 0;
}
