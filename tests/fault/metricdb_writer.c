/*
 * metricdb_writer DIR write BATCH  writes batches for ever (from number BATCH on) and prints the
 * number of each one that was acknowledged metricdb_writer DIR check        prints the number of
 * every batch that is there in full
 *
 * Batch n holds SERIES samples at time START + n * 100 ms with values that follow from n.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "metricdb/metricdb.h"

enum { SERIES = 200, STEP_MS = 100 };
#define START_MS INT64_C(1760000400000)

static double value_of(int64_t batch, int series) {
    return (double)(batch * 1000 + series) / 8;
}

/* Time moves with the batches, so that housekeeping seals blocks within seconds. */
static struct toc_clock_virtual g_clock;

static struct toc_metricdb *open_db(const char *dir) {
    struct toc_metricdb_options o = {
        .dir = dir,
        .clock = &g_clock.base,
        .limits = {.block_span_ms = 20000, .out_of_order_ms = 5000, .wal_segment_bytes = 1 << 20}};
    struct toc_metricdb *db;
    struct toc_err err = {0};
    if (toc_metricdb_open(&o, &db, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return db;
}

static int write_batches(struct toc_metricdb *db, int64_t batch) {
    static char names[SERIES][16];
    static struct toc_label items[SERIES][2];
    static struct toc_point points[SERIES];
    struct toc_sink *sink = toc_metricdb_sink(db);
    for (;; batch++) {
        int64_t t = START_MS + batch * STEP_MS;
        toc_clock_virtual_advance(&g_clock, STEP_MS);
        for (int i = 0; i < SERIES; i++) {
            snprintf(names[i], sizeof names[i], "%d", i);
            items[i][0] = (struct toc_label){TOC_METRIC_NAME, TOC_SV("m")};
            items[i][1] = (struct toc_label){TOC_SV("i"), toc_sv_cstr(names[i])};
            points[i] = toc_float_point((struct toc_labels){items[i], 2}, t, value_of(batch, i));
        }
        struct toc_write_result r;
        struct toc_err err = {0};
        if (sink->write(sink, points, SERIES, &r, &err)) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        if (r.accepted == SERIES && printf("%lld\n", (long long)batch) > 0)
            fflush(stdout);
        if (batch % 20 == 0 && toc_metricdb_maintain(db, &err)) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
    }
}

struct tally {
    int64_t capacity;
    unsigned *counts; /* by batch */
    bool is_wrong;
};

static int count(void *ctx, const struct toc_series_view *s) {
    struct tally *x = ctx;
    int series = atoi(toc_labels_get(s->labels, TOC_SV("i")).p);
    for (size_t i = 0; i < s->count; i++) {
        int64_t batch = (s->t_ms[i] - START_MS) / STEP_MS;
        if (batch < 0 || batch >= x->capacity || s->values[i] != value_of(batch, series))
            x->is_wrong = true;
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
    if (!writes && (argc != 3 || strcmp(argv[2], "check") != 0)) {
        fprintf(stderr, "usage: metricdb_writer DIR write BATCH | DIR check\n");
        return 2;
    }
    int64_t batch = writes ? strtoll(argv[3], NULL, 10) : INT64_C(1) << 40;
    toc_clock_virtual_init(&g_clock, (struct toc_ts){START_MS + batch * STEP_MS});
    struct toc_metricdb *db = open_db(argv[1]);
    int rc = writes ? write_batches(db, batch) : check(db);
    toc_metricdb_close(&db);
    return rc;
}
