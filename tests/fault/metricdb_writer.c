/*
 * metricdb_writer DIR write BATCH  writes batches for ever (from number BATCH on) with housekeeping
 *                                  of every kind in between
 * metricdb_writer DIR script       writes some batches with housekeeping in between, whatever fails
 * metricdb_writer DIR check        tells what is there
 *
 * Batch n holds SERIES samples at time START + n * 100 ms with values that follow from n, and one
 * sample of the metric `junk`, which is deleted now and then.
 *
 * write prints: "n" batch n is acknowledged; "begin WHAT [n]" and "end WHAT [n]" around
 * maintenance, compaction, a deletion of all junk up to batch n, a snapshot ("end snapshot NAME").
 * check prints: "n" batch n is there in full; "junk n" its junk is there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "metricdb/metricdb.h"

enum { SERIES = 200, STEP_MS = 100 };
#define START_MS INT64_C(1760000400000)

static double value_of(int64_t batch, int series) {
    return (double)(batch * 1000 + series) / 8;
}

static int64_t time_of(int64_t batch) {
    return START_MS + batch * STEP_MS;
}

/* Time moves with the batches, so that housekeeping seals blocks within seconds. */
static struct toc_clock_virtual g_clock;

/* NULL when it does not open. */
static struct toc_metricdb *try_open(const char *dir) {
    struct toc_metricdb_options o = {.dir = dir,
                                     .clock = &g_clock.base,
                                     .limits = {.block_span_ms = 20000,
                                                .out_of_order_ms = 5000,
                                                .wal_segment_bytes = 1 << 20,
                                                .checkpoint_samples = 3000}};
    struct toc_metricdb *db = NULL;
    struct toc_err err = {0};
    if (toc_metricdb_open(&o, &db, &err))
        fprintf(stderr, "%s\n", err.message);
    return db;
}

/* --- writing --- */

static bool g_is_script;

static bool is_done(int rc, const struct toc_err *err) {
    if (!rc || g_is_script)
        return !rc;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static void say(const char *event, const char *what, int64_t batch) {
    printf("%s %s %lld\n", event, what, (long long)batch);
    fflush(stdout);
}

static void write_batch(struct toc_metricdb *db, int64_t batch) {
    static char names[SERIES][16];
    static struct toc_label items[SERIES][2], junk[1];
    static struct toc_point points[SERIES + 1];
    struct toc_sink *sink = toc_metricdb_sink(db);
    for (int i = 0; i < SERIES; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        items[i][0] = (struct toc_label){TOC_METRIC_NAME, TOC_SV("m")};
        items[i][1] = (struct toc_label){TOC_SV("i"), toc_sv_cstr(names[i])};
        points[i] =
            toc_float_point((struct toc_labels){items[i], 2}, time_of(batch), value_of(batch, i));
    }
    junk[0] = (struct toc_label){TOC_METRIC_NAME, TOC_SV("junk")};
    points[SERIES] = toc_float_point((struct toc_labels){junk, 1}, time_of(batch), 1);
    struct toc_write_result r;
    struct toc_err err = {0};
    if (!is_done(sink->write(sink, points, SERIES + 1, &r, &err), &err))
        return;
    if (r.accepted == SERIES + 1 && printf("%lld\n", (long long)batch) > 0)
        fflush(stdout);
}

static int delete_junk(struct toc_metricdb *db, int64_t batch, struct toc_err *err) {
    struct toc_matcher m;
    uint64_t touched;
    int rc = toc_matcher_init(&m, TOC_MATCH_EQ, TOC_METRIC_NAME, TOC_SV("junk"), err);
    struct toc_select s = {
        .matchers = &m, .matcher_count = 1, .min_ms = INT64_MIN, .max_ms = time_of(batch)};
    if (!rc)
        rc = toc_metricdb_delete(db, &s, &touched, err);
    toc_matcher_fini(&m);
    return rc;
}

/* Mostly nothing: what counts of 200. */
static void keep_house(struct toc_metricdb *db, struct toc_rng *rng, int64_t batch, uint64_t what) {
    struct toc_err err = {0};
    char name[TOC_SNAPSHOT_NAME_MAX];
    switch (what) {
    case 0:
        say("begin", "compact", batch);
        if (is_done(toc_metricdb_compact(db, &err), &err))
            say("end", "compact", batch);
        break;
    case 1:
    case 2:
        say("begin", "delete", batch);
        if (is_done(delete_junk(db, batch, &err), &err))
            say("end", "delete", batch);
        break;
    case 3:
        say("begin", "snapshot", batch);
        if (is_done(toc_metricdb_snapshot(db, true, name, &err), &err))
            printf("end snapshot %s\n", name);
        fflush(stdout);
        break;
    default:
        if (!g_is_script && toc_rng_below(rng, 12))
            break;
        say("begin", "maintain", batch);
        if (is_done(toc_metricdb_maintain(db, &err), &err))
            say("end", "maintain", batch);
    }
}

static _Noreturn void write_batches(struct toc_metricdb *db, int64_t batch) {
    struct toc_rng rng;
    toc_rng_seed(&rng, (uint64_t)batch);
    for (;; batch++) {
        toc_clock_virtual_advance(&g_clock, STEP_MS);
        write_batch(db, batch);
        keep_house(db, &rng, batch, toc_rng_below(&rng, 200));
    }
}

/* Some lives of the database with everything in each. */
static void run_script(const char *dir) {
    enum { LIVES = 2, BATCHES = 24 };
    struct toc_rng rng;
    toc_rng_seed(&rng, 1);
    g_is_script = true;
    for (int64_t batch = 0, life = 0; life < LIVES; life++) {
        struct toc_metricdb *db = try_open(dir);
        for (int i = 0; i < BATCHES; i++, batch += 20) {
            toc_clock_virtual_advance(&g_clock, (int64_t)20 * STEP_MS);
            if (!db)
                continue;
            write_batch(db, batch);
            keep_house(db, &rng, batch, i % 8);
        }
        toc_metricdb_close(&db);
    }
}

/* --- checking --- */

struct tally {
    int64_t capacity;
    unsigned *counts; /* by batch */
    bool is_wrong;
};

static int count(void *ctx, const struct toc_series_view *s) {
    struct tally *x = ctx;
    bool is_junk = toc_sv_eq(toc_labels_get(s->labels, TOC_METRIC_NAME), TOC_SV("junk"));
    int series = is_junk ? 0 : atoi(toc_labels_get(s->labels, TOC_SV("i")).p);
    for (size_t i = 0; i < s->count; i++) {
        int64_t batch = (s->t_ms[i] - START_MS) / STEP_MS;
        double want = is_junk ? 1 : value_of(batch, series);
        if (batch < 0 || batch >= x->capacity || s->values[i] != want)
            x->is_wrong = true;
        else if (is_junk)
            printf("junk %lld\n", (long long)batch);
        else
            x->counts[batch]++;
    }
    return 0;
}

static int check(struct toc_metricdb *db) {
    struct toc_metricdb_stats stats;
    toc_metricdb_stats(db, &stats);
    struct tally x = {
        .capacity = stats.newest_ms < START_MS ? 0 : (stats.newest_ms - START_MS) / STEP_MS + 1};
    x.counts = toc_xcalloc((size_t)x.capacity + 1, sizeof *x.counts);
    struct toc_select s = {.min_ms = INT64_MIN, .max_ms = INT64_MAX};
    struct toc_querier *q = toc_metricdb_querier(db);
    int rc = q->select(q, &s, count, &x, NULL);
    for (int64_t i = 0; i < x.capacity; i++)
        if (x.counts[i] == SERIES)
            printf("%lld\n", (long long)i);
    fprintf(stderr, "blocks %llu, replayed %llu, corruptions %llu, torn %llu\n",
            (unsigned long long)stats.blocks, (unsigned long long)stats.replay_samples,
            (unsigned long long)stats.corruptions, (unsigned long long)stats.torn_tails);
    toc_free(x.counts);
    return rc || x.is_wrong || stats.corruptions;
}

int main(int argc, char **argv) {
    bool writes = argc == 4 && !strcmp(argv[2], "write");
    bool is_script = argc == 3 && !strcmp(argv[2], "script");
    if (!writes && !is_script && (argc != 3 || strcmp(argv[2], "check") != 0)) {
        fprintf(stderr, "usage: metricdb_writer DIR write BATCH | DIR script | DIR check\n");
        return 2;
    }
    int64_t batch = writes ? strtoll(argv[3], NULL, 10) : is_script ? 0 : INT64_C(1) << 40;
    toc_clock_virtual_init(&g_clock, (struct toc_ts){time_of(batch)});
    if (is_script) {
        run_script(argv[1]);
        return 0;
    }
    struct toc_metricdb *db = try_open(argv[1]);
    if (!db)
        return 1;
    if (writes) {
        say("begin", "nothing", batch); /* it is open */
        write_batches(db, batch);
    }
    int rc = check(db);
    toc_metricdb_close(&db);
    return rc;
}
