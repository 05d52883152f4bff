/*
 * A segment of the log, read along with. Oracles: the follower meets what a start's reader meets,
 * in the same order, however often it stops and begins anew at its position in between (the first
 * byte decides), and whatever it is, it comes to an end.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "metricdb/follow.h"
#include "metricdb/wal.h"
#include "sys/vfs_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of the sample in the segment behind the one at hand: with it, that one is at its end. */
#define LAST_VALUE 0x1.23456789abcdep77
#define NOW_MS INT64_C(1760000400000)

struct tally {
    uint64_t hash, count;
};

static void add(void *ctx, uint32_t id, int64_t t_ms, uint64_t bits) {
    struct tally *t = ctx;
    t->hash = toc_hash_mix(t->hash, toc_hash_mix(id, toc_hash_mix((uint64_t)t_ms, bits)));
    t->count++;
}

static void on_series(void *ctx, uint32_t id, struct toc_labels labels) {
    (void)ctx, (void)id, (void)toc_labels_hash(labels);
}

static void on_sample(void *ctx, uint32_t id, int64_t t_ms, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != LAST_VALUE)
        add(ctx, id, t_ms, bits);
}

static void on_histogram(void *ctx, uint32_t id, int64_t t_ms, struct toc_sv bytes) {
    add(ctx, id, t_ms, toc_hash64(bytes.p, bytes.n, 0));
}

static void on_segment(void *ctx) {
    (void)ctx;
}

static struct tally follow(struct toc_metricdb *db, unsigned stop_every) {
    struct tally t = {0};
    const struct toc_log_visitor v = {&t, on_segment, on_series, on_sample, on_histogram};
    struct toc_log_position at = {0};
    bool took = true;
    while (took) {
        struct toc_log_follower *f = toc_log_follower_new(db, &at, &v);
        for (unsigned i = 0; took && i < stop_every; i++)
            if (toc_log_follow(f, &took, NULL))
                took = false;
        at = toc_log_follower_position(f);
        toc_log_follower_free(&f);
    }
    return t;
}

static void write_last(struct toc_metricdb *db) {
    struct toc_label name[] = {{TOC_METRIC_NAME, TOC_SV("the_last_one")}};
    struct toc_point p = toc_float_point((struct toc_labels){name, 1}, NOW_MS, LAST_VALUE);
    struct toc_write_result r;
    struct toc_sink *sink = toc_metricdb_sink(db);
    if (sink->write(sink, &p, 1, &r, NULL))
        abort();
}

static void put(struct toc_vfs *vfs, const uint8_t *data, size_t size) {
    struct toc_file *f;
    if (toc_vfs_make_dirs(vfs, "/data/wal") ||
        vfs->open(vfs, "/data/wal/0000000001.wal", TOC_OPEN_WRITE | TOC_OPEN_CREATE, &f))
        abort();
    if (size && vfs->pwrite(vfs, f, data, size, 0) != (int64_t)size)
        abort();
    vfs->close(vfs, &f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_clock_virtual clock;
    struct toc_metricdb *db;
    struct toc_wal_summary sum;
    struct tally whole = {0};
    const struct toc_wal_visitor v = {
        .ctx = &whole, .series = on_series, .sample = on_sample, .histogram = on_histogram};
    if (!size)
        return 0;
    struct toc_vfs_sim *disk = toc_vfs_sim_new(1);
    struct toc_vfs *vfs = toc_vfs_sim_vfs(disk);
    toc_clock_virtual_init(&clock, (struct toc_ts){NOW_MS});
    put(vfs, data + 1, size - 1);
    int rc = toc_wal_read(vfs, "/data/wal/0000000001.wal", &v, &sum);
    struct toc_metricdb_options o = {.vfs = vfs, .clock = &clock.base, .dir = "/data"};
    if (toc_metricdb_open(&o, &db, NULL))
        abort();
    write_last(db);
    struct tally stops = follow(db, 1 + data[0] % 5), goes = follow(db, 1u << 30);
    if (stops.hash != goes.hash || stops.count != goes.count)
        abort();
    if (!rc && (whole.hash != goes.hash || whole.count != goes.count))
        abort();
    toc_metricdb_close(&db);
    toc_vfs_sim_free(&disk);
    return 0;
}
