/*
 * Reading along with a database that lives: random writes, checkpoints, seals, restarts, lost
 * power, failed calls, a reader that stops anywhere and begins anew at its last position. What must
 * hold at the end: every sample that was acknowledged was met, none that was never written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../metricdb/args.h"
#include "base/alloc.h"
#include "base/num.h"
#include "base/rng.h"
#include "metricdb/follow.h"
#include "sys/vfs_sim.h"

enum { SERIES = 11, SAMPLES_MAX = 1 << 20 };
#define START_MS INT64_C(1760000400000)

struct world {
    struct toc_vfs_sim *disk;
    struct toc_clock_virtual clock;
    struct toc_metricdb *db;
    struct toc_log_follower *follower;
    struct toc_log_position kept; /* as of the last save */
    uint32_t series_of[4096];     /* by number in the segment: 1 + series */
    struct toc_rng rng;
    uint64_t written, met_count;
    uint8_t *state; /* by sample: 1 written, 2 acknowledged, 4 met */
};

static uint64_t g_seed;

static void fail(const char *what) {
    printf("seed %llu: %s\n", (unsigned long long)g_seed, what);
    exit(1);
}

static void on_segment(void *ctx) {
    struct world *w = ctx;
    memset(w->series_of, 0, sizeof w->series_of);
}

static void on_series(void *ctx, uint32_t id, struct toc_labels labels) {
    struct world *w = ctx;
    struct toc_sv i = toc_labels_get(labels, TOC_SV("i"));
    uint64_t number;
    if (id >= TOC_ARRAY_LEN(w->series_of) || toc_parse_u64(i, &number))
        fail("a series that nobody made");
    w->series_of[id] = 1 + (uint32_t)number;
}

/* The value is the number of the sample; its series follows from that. */
static void on_sample(void *ctx, uint32_t id, int64_t t_ms, double value) {
    struct world *w = ctx;
    uint64_t n = (uint64_t)value;
    if (n >= w->written || t_ms != START_MS + (int64_t)n || !(w->state[n] & 1))
        fail("a sample that nobody wrote");
    if (w->series_of[id] != 1 + n % SERIES)
        fail("a sample of another series");
    w->state[n] |= 4;
    w->met_count++;
}

static void on_histogram(void *ctx, uint32_t id, int64_t t_ms, struct toc_sv bytes) {
    (void)ctx, (void)id, (void)t_ms, (void)bytes;
    fail("a histogram that nobody wrote");
}

static void begin_following(struct world *w) {
    const struct toc_log_visitor v = {w, on_segment, on_series, on_sample, on_histogram};
    w->follower = toc_log_follower_new(w->db, &w->kept, &v);
}

static void open_database(struct world *w) {
    const struct toc_metricdb_options o = {
        .vfs = toc_vfs_sim_vfs(w->disk),
        .clock = &w->clock.base,
        .dir = "/data",
        .limits = {.wal_segment_bytes = 2000, .checkpoint_samples = 300}};
    struct toc_err err = {0};
    toc_vfs_sim_fail(w->disk, 0, 0, 0, false);
    if (toc_metricdb_open(&o, &w->db, &err) || toc_metricdb_hold(w->db, true))
        fail(err.message);
    begin_following(w);
}

static void close_database(struct world *w) {
    toc_log_follower_free(&w->follower);
    toc_metricdb_close(&w->db);
}

static void write_batch(struct world *w) {
    struct toc_label items[8][2];
    struct toc_point points[8];
    char names[8][16];
    size_t count = 1 + toc_rng_below(&w->rng, 8);
    uint64_t first = w->written;
    if (first + count > SAMPLES_MAX)
        return;
    for (size_t i = 0; i < count; i++) {
        uint64_t n = first + i;
        snprintf(names[i], sizeof names[i], "%u", (unsigned)(n % SERIES));
        items[i][0] = (struct toc_label){TOC_METRIC_NAME, TOC_SV("m")};
        items[i][1] = (struct toc_label){TOC_SV("i"), toc_sv_cstr(names[i])};
        points[i] =
            toc_float_point((struct toc_labels){items[i], 2}, START_MS + (int64_t)n, (double)n);
        w->state[n] |= 1;
    }
    w->written += count;
    struct toc_sink *sink = toc_metricdb_sink(w->db);
    struct toc_write_result r;
    if (sink->write(sink, points, count, &r, NULL) == 0 && r.accepted == count)
        for (size_t i = 0; i < count; i++)
            w->state[first + i] |= 2;
}

static void read_some(struct world *w, uint64_t records) {
    bool took = true;
    for (uint64_t i = 0; i < records && took; i++)
        if (toc_log_follow(w->follower, &took, NULL))
            took = false;
}

static void save(struct world *w) {
    w->kept = toc_log_follower_position(w->follower);
    if (toc_metricdb_release(w->db, w->kept.segment))
        return; /* the disk is in trouble: next time */
}

static void lose_power(struct world *w) {
    toc_log_follower_free(&w->follower);
    toc_vfs_sim_restart(w->disk);
    toc_metricdb_close(&w->db);
    open_database(w);
}

static void step(struct world *w) {
    switch (toc_rng_below(&w->rng, 40)) {
    case 0:
        close_database(w);
        open_database(w);
        break;
    case 1:
        lose_power(w);
        break;
    case 2:
        if (toc_metricdb_compact(w->db, NULL))
            break; /* a call was made to fail */
        break;
    case 3:
        toc_vfs_sim_fail(w->disk, 1u << toc_rng_below(&w->rng, 11), 1 + toc_rng_below(&w->rng, 5),
                         TOC_EIO, false);
        break;
    case 4:
        toc_clock_virtual_advance(&w->clock, (int64_t)toc_rng_below(&w->rng, 20000));
        break;
    case 5:
        toc_log_follower_free(&w->follower);
        begin_following(w);
        break;
    case 6:
    case 7:
    case 8:
        (void)toc_metricdb_maintain(w->db, NULL);
        break;
    case 9:
    case 10:
        save(w);
        break;
    case 11:
    case 12:
    case 13:
    case 14:
        read_some(w, toc_rng_below(&w->rng, 30));
        break;
    default:
        write_batch(w);
    }
}

/* Nothing fails any more: everything acknowledged must be met from the last kept position on. */
static void settle(struct world *w) {
    toc_vfs_sim_fail(w->disk, 0, 0, 0, false);
    lose_power(w);
    read_some(w, UINT64_MAX);
    uint64_t missing = 0, acknowledged = 0;
    for (uint64_t i = 0; i < w->written; i++) {
        acknowledged += (w->state[i] & 2) != 0;
        missing += (w->state[i] & 6) == 2;
    }
    printf("%llu written, %llu acknowledged, %llu met (with repetitions), %llu missing\n",
           (unsigned long long)w->written, (unsigned long long)acknowledged,
           (unsigned long long)w->met_count, (unsigned long long)missing);
    if (missing || !acknowledged)
        fail("an acknowledged sample was never met");
}

int main(int argc, char **argv) {
    struct world w = {.met_count = 0};
    uint64_t ops = args_number(argc, argv, "--ops", 20000);
    g_seed = args_number(argc, argv, "--seed", 1);
    printf("seed %llu\n", (unsigned long long)g_seed);
    w.state = toc_xcalloc(1, SAMPLES_MAX);
    w.disk = toc_vfs_sim_new(g_seed);
    toc_rng_seed(&w.rng, g_seed);
    toc_clock_virtual_init(&w.clock, (struct toc_ts){START_MS});
    open_database(&w);
    for (uint64_t i = 0; i < ops && w.written + 8 < SAMPLES_MAX; i++)
        step(&w);
    settle(&w);
    close_database(&w);
    toc_vfs_sim_free(&w.disk);
    toc_free(w.state);
    return 0;
}
