/*
 * Input: a log segment, in part taken as it is, in part as payload of a record with a right
 * checksum, so that the payload decoder is reached. Oracle: every sample visited was counted,
 * damage lies inside the file and does not overlap, ids stay within the limit.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "metricdb/wal_record.h"
#include "sys/vfs_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint64_t samples, deletions, size, damage_end;
};

static void on_series(void *ctx, uint32_t id, struct toc_labels labels) {
    (void)ctx;
    (void)labels;
    if (id >= TOC_WAL_ID_MAX)
        abort();
}

static void on_sample(void *ctx, uint32_t id, int64_t t_ms, double value) {
    (void)t_ms;
    (void)value;
    if (id >= TOC_WAL_ID_MAX)
        abort();
    ((struct seen *)ctx)->samples++;
}

static void on_histogram(void *ctx, uint32_t id, int64_t t_ms, struct toc_sv bytes) {
    (void)bytes;
    on_sample(ctx, id, t_ms, 0);
}

static void on_deletion(void *ctx, uint32_t id, int64_t min_ms, int64_t max_ms) {
    (void)min_ms;
    (void)max_ms;
    if (id >= TOC_WAL_ID_MAX)
        abort();
    ((struct seen *)ctx)->deletions++;
}

static void on_damage(void *ctx, uint64_t offset, uint64_t bytes, bool is_tail, int64_t min_ms,
                      int64_t max_ms) {
    struct seen *s = ctx;
    (void)min_ms;
    (void)max_ms;
    if (offset < s->damage_end || offset + bytes > s->size ||
        (is_tail && offset + bytes != s->size))
        abort();
    s->damage_end = offset + bytes;
}

static void read_segment(struct toc_sv bytes) {
    struct toc_vfs_sim *disk = toc_vfs_sim_new(1);
    struct toc_vfs *vfs = toc_vfs_sim_vfs(disk);
    struct seen seen = {.size = bytes.n};
    struct toc_wal_visitor v = {&seen, on_series, on_sample, on_histogram, on_deletion, on_damage};
    struct toc_wal_summary sum;
    struct toc_file *f = NULL;
    if (vfs->open(vfs, "/s", TOC_OPEN_WRITE | TOC_OPEN_CREATE, &f) ||
        vfs->pwrite(vfs, f, bytes.p, bytes.n, 0) != (int64_t)bytes.n)
        abort();
    vfs->close(vfs, &f);
    int rc = toc_wal_read(vfs, "/s", &v, &sum);
    if (rc == 0 &&
        (sum.samples != seen.samples || sum.deletions != seen.deletions || sum.bytes != bytes.n))
        abort();
    toc_vfs_sim_free(&disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv in = toc_sv_make((const char *)data, size);
    struct toc_arena arena = TOC_ARENA_INIT;
    struct seen seen = {0};
    struct toc_wal_visitor v = {&seen, on_series, on_sample, on_histogram, on_deletion, NULL};
    struct toc_wal_summary sum = {.min_ms = INT64_MAX, .max_ms = INT64_MIN};
    read_segment(in);
    int rc = toc_wal_payload_visit(in, &arena, &v, &sum);
    if (sum.samples != seen.samples || (rc == 0 && sum.samples && sum.min_ms > sum.max_ms))
        abort();
    toc_arena_fini(&arena);
    struct toc_buf segment = TOC_BUF_INIT; /* a right header, the rest as it comes */
    toc_wal_put_header(&segment, 1, 7, 1, 0);
    toc_buf_append(&segment, data, size);
    read_segment(toc_buf_sv(&segment));
    toc_buf_fini(&segment);
    return 0;
}
