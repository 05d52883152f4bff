/* Start: the newest checkpoint, then what was logged behind it. */
#include "base/alloc.h"
#include "metricdb/replay_read.h"
#include "sys/pool.h"

/* A block that cannot be read now stands for what lies in segments below a number that is not
 * known: the new ones begin well behind it. */
enum { UNKNOWN_SEGMENTS = 1000000, WORKERS = 4 };

static uint64_t first_free_number(struct toc_metricdb *db, const uint64_t *numbers, size_t count,
                                  uint64_t last_held) {
    uint64_t next = TOC_MAX(count ? numbers[count - 1] + 1 : 1, last_held + 1);
    next += db->unopened_blocks ? UNKNOWN_SEGMENTS : 0;
    for (size_t i = 0; i < db->blocks.list.count; i++)
        next = TOC_MAX(next, db->blocks.list.items[i]->meta.first_unsealed);
    return next;
}

static bool labels_of(void *ctx, uint64_t ref, struct toc_buf *out) {
    struct toc_metricdb *db = ctx;
    struct toc_head_shard *shard;
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    struct toc_series *s = toc_head_ref_lock(&db->head, ref, &shard);
    if (!s)
        return false;
    toc_labels_encode(toc_series_labels(&db->head, s, items), out);
    toc_mutex_unlock(&shard->mutex);
    return true;
}

static void make_wal(struct toc_metricdb *db, const struct toc_wal_segment *segments, size_t count,
                     uint64_t next_number, uint64_t next_sequence) {
    struct toc_wal_options o = {
        .vfs = db->vfs,
        .clock = db->clock,
        .dir = db->wal_dir,
        .held_dir = db->held_dir,
        .durability = db->durability,
        .segment_bytes = db->limits.wal_segment_bytes,
        .max_pending = db->limits.max_pending_samples,
        .labels = labels_of,
        .ctx = db,
    };
    toc_wal_new(&o, segments, count, next_number, next_sequence, &db->wal);
}

/* Of the segments that followers still read; 0: none. */
static int find_last_held(struct toc_metricdb *db, uint64_t *out) {
    uint64_t *numbers = NULL;
    size_t count = 0;
    int rc = toc_wal_list(db->vfs, db->held_dir, &numbers, &count);
    *out = count ? numbers[count - 1] : 0;
    toc_free(numbers);
    return rc;
}

/* --- reading and applying side by side --- */

struct pipeline {
    struct toc_log_replay *replay;
    struct toc_log_replay_batch *full; /* goes into the head while the other one is filled */
};

/* Task 0 reads, the others have a shard each. */
static void run_task(void *arg, size_t task, size_t worker) {
    struct pipeline *p = arg;
    (void)worker;
    if (task)
        toc_log_replay_batch_apply(p->full, &p->replay->db->head, task - 1);
    else
        toc_log_replay_read(p->replay);
}

static void run_pipeline(struct toc_log_replay *r, struct toc_executor *x) {
    struct toc_log_replay_batch batches[2] = {0};
    struct pipeline p = {.replay = r, .full = &batches[1]};
    r->batch = &batches[0];
    while (!r->is_done || p.full->count) {
        toc_execute(x, 1 + TOC_HEAD_SHARDS, run_task, &p);
        for (int i = 0; i < TOC_HEAD_SHARDS; i++)
            r->db->replay_samples += p.full->samples[i];
        toc_log_replay_batch_reset(p.full);
        struct toc_log_replay_batch *swap = r->batch;
        r->batch = p.full;
        p.full = swap;
    }
    toc_log_replay_batch_fini(&batches[0]);
    toc_log_replay_batch_fini(&batches[1]);
}

static void read_log(struct toc_log_replay *r) {
    struct toc_pool *pool = NULL;
    struct toc_executor *x = NULL;
    if (toc_pool_new(WORKERS, &pool, NULL) == 0)
        x = toc_pool_executor(pool);
    run_pipeline(r, x);
    toc_pool_free(&pool);
}

static void load_checkpoint(struct toc_metricdb *db, struct toc_checkpoint_end *out_end) {
    *out_end = (struct toc_checkpoint_end){0};
    if (toc_checkpoints_load(db, out_end))
        db->checkpoints.loaded_samples = toc_head_bounds(&db->head).samples;
}

static int replay(struct toc_metricdb *db, const uint64_t *numbers, size_t count,
                  uint64_t last_held, struct toc_err *err) {
    struct toc_mono start = toc_clock_mono(db->clock);
    struct toc_checkpoint_end end;
    load_checkpoint(db, &end);
    struct toc_log_replay r = {.db = db,
                               .numbers = numbers,
                               .count = count,
                               .end = &end,
                               .last_sequence = end.position.last_sequence};
    r.segments = TOC_NEW_ARRAY(struct toc_wal_segment, count + 1);
    read_log(&r);
    /* The segment of the position may be gone; no other may be taken for it. */
    uint64_t next = TOC_MAX(first_free_number(db, numbers, count, last_held),
                            end.position.segment + (end.position.offset > 0));
    make_wal(db, r.segments, count, next, r.last_sequence + 1);
    db->checkpoints.tail_samples = db->replay_samples;
    db->checkpoints.tail_bytes = r.bytes;
    db->replay_seconds = (double)(toc_clock_mono(db->clock).ns - start.ns) / 1e9;
    int rc = r.newer ? toc_wal_refuse_newer(db->wal_dir, r.newer, err) : 0;
    toc_free(r.segments);
    toc_log_replay_fini(&r);
    toc_checkpoint_fini_end(&end);
    return rc;
}

int toc_metricdb_replay(struct toc_metricdb *db, struct toc_err *err) {
    uint64_t *numbers = NULL, last_held = 0;
    size_t count = 0;
    int rc = toc_wal_list(db->vfs, db->wal_dir, &numbers, &count);
    rc = rc ? rc : find_last_held(db, &last_held);
    if (rc)
        rc = toc_errf(err, rc, "cannot list %s: %s", db->wal_dir, toc_strerror(rc));
    else
        rc = replay(db, numbers, count, last_held, err);
    toc_free(numbers);
    return rc;
}
