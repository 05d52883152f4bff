/* Start: the log segments are read in order into the head; what blocks hold already is skipped. */
#include <stdio.h>

#include "base/alloc.h"
#include "metricdb/histogram_code.h"
#include "metricdb/histogram_track.h"
#include "metricdb/metricdb_priv.h"
#include "sys/log.h"

/* Bytes at the end of a segment that are no record. */
struct tail {
    bool is_there;
    struct toc_metricdb_loss loss;
};

struct replay {
    struct toc_metricdb *db;
    /* Of the segment being read. */
    uint64_t *refs; /* id in the segment → reference in the head, 0 = not defined */
    size_t ref_capacity;
    char path[TOC_METRICDB_TEXT_MAX];
    uint64_t number;
    struct toc_block **blocks; /* those that cover samples of this segment */
    size_t block_count;
    struct toc_metricdb_loss orphans; /* samples of series whose definitions were lost */
    struct tail tail;                 /* of this segment */
    struct toc_arena scratch;         /* of one histogram */
    bool lacked_memory;               /* for one of them */
};

static void on_series(void *ctx, uint32_t id, struct toc_labels labels) {
    struct replay *r = ctx;
    if (id >= r->ref_capacity) {
        size_t capacity = (size_t)id + id / 2 + 1024;
        r->refs = toc_xrealloc(r->refs, capacity * sizeof *r->refs);
        memset(r->refs + r->ref_capacity, 0, (capacity - r->ref_capacity) * sizeof *r->refs);
        r->ref_capacity = capacity;
    }
    struct toc_head_shard *shard;
    struct toc_series *s = toc_head_series_lock(&r->db->head, labels, UINT32_MAX, &shard);
    r->refs[id] = toc_series_ref(s);
    toc_mutex_unlock(&shard->mutex);
}

static bool is_sealed(const struct replay *r, int64_t t_ms) {
    for (size_t i = 0; i < r->block_count; i++)
        if (t_ms >= r->blocks[i]->meta.range_min && t_ms <= r->blocks[i]->meta.range_max)
            return true;
    return false;
}

static void note_orphan(struct replay *r, int64_t t_ms) {
    struct toc_metricdb_loss *o = &r->orphans;
    o->min_ms = o->samples ? TOC_MIN(o->min_ms, t_ms) : t_ms;
    o->max_ms = o->samples ? TOC_MAX(o->max_ms, t_ms) : t_ms;
    o->samples++;
}

/* The series of a sample with its shard locked; NULL when it is not wanted or not known. */
static struct toc_series *lock_series(struct replay *r, uint32_t id, int64_t t_ms,
                                      struct toc_head_shard **out_shard) {
    if (id >= r->ref_capacity || !r->refs[id]) {
        note_orphan(r, t_ms);
        return NULL;
    }
    if (is_sealed(r, t_ms))
        return NULL;
    return toc_head_ref_lock(&r->db->head, r->refs[id], out_shard);
}

static void on_sample(void *ctx, uint32_t id, int64_t t_ms, double value) {
    struct replay *r = ctx;
    struct toc_head_shard *shard;
    struct toc_series *s = lock_series(r, id, t_ms, &shard);
    if (!s)
        return;
    toc_series_append(&r->db->head, shard, s, t_ms, value);
    toc_mutex_unlock(&shard->mutex);
    r->db->replay_samples++;
}

static void on_histogram(void *ctx, uint32_t id, int64_t t_ms, struct toc_sv bytes) {
    struct replay *r = ctx;
    struct toc_head_shard *shard;
    struct toc_histogram *h;
    toc_arena_reset(&r->scratch);
    int rc = toc_histogram_decode(bytes, &r->scratch, &h);
    r->lacked_memory |= rc == TOC_ENOMEM;
    if (rc || toc_histogram_validate(h, NULL)) {
        note_orphan(r, t_ms); /* a checksum that fits nonsense */
        return;
    }
    struct toc_series *s = lock_series(r, id, t_ms, &shard);
    if (!s)
        return;
    toc_series_append_histogram(&r->db->head, shard, s, t_ms, h, bytes);
    toc_mutex_unlock(&shard->mutex);
    r->db->replay_samples++;
}

/* What came after it in the log is kept: replay meets it later. */
static void on_deletion(void *ctx, uint32_t id, int64_t min_ms, int64_t max_ms) {
    struct replay *r = ctx;
    struct toc_head_shard *shard;
    if (id >= r->ref_capacity || !r->refs[id]) {
        note_orphan(r, max_ms);
        return;
    }
    struct toc_series *s = toc_head_ref_lock(&r->db->head, r->refs[id], &shard);
    if (!s)
        return;
    toc_series_cut(shard, s, min_ms, max_ms);
    toc_mutex_unlock(&shard->mutex);
}

static void on_damage(void *ctx, uint64_t offset, uint64_t bytes, bool is_tail, int64_t min_ms,
                      int64_t max_ms) {
    struct replay *r = ctx;
    struct toc_metricdb_loss loss = {
        .offset = offset, .bytes = bytes, .min_ms = min_ms, .max_ms = max_ms};
    memcpy(loss.path, r->path, sizeof loss.path);
    if (is_tail) /* judged when the next segment's sequence is known */
        r->tail = (struct tail){true, loss};
    else
        toc_metricdb_note_loss(r->db, &loss);
}

/* Blocks sealed after this segment was finished. */
static void choose_blocks(struct replay *r) {
    struct toc_blocks *set = &r->db->blocks;
    r->block_count = 0;
    for (size_t i = 0; i < set->list.count; i++)
        if (set->list.items[i]->meta.first_unsealed > r->number)
            r->blocks[r->block_count++] = set->list.items[i];
}

/* A torn end is what a crash leaves. It is a loss when the log went on behind it with a later
 * sequence; next_first 0 when that cannot be told. */
static void judge_tail(struct toc_metricdb *db, const struct tail *tail, uint64_t last_sequence,
                       uint64_t next_first) {
    if (!tail->is_there)
        return;
    if (next_first && next_first != last_sequence + 1) {
        toc_metricdb_note_loss(db, &tail->loss);
        return;
    }
    db->torn_tails++;
    toc_log(TOC_LOG_INFO, "metricdb", "%s ends with %llu bytes of an unfinished write",
            tail->loss.path, (unsigned long long)tail->loss.bytes);
}

static void replay_segment(struct replay *r, uint64_t number, struct toc_wal_summary *sum) {
    char path[4096];
    r->number = number;
    if (r->ref_capacity)
        memset(r->refs, 0, r->ref_capacity * sizeof *r->refs);
    toc_wal_path(r->db->wal_dir, number, path, sizeof path);
    snprintf(r->path, sizeof r->path, "wal/%010llu.wal", (unsigned long long)number);
    choose_blocks(r);
    r->orphans = (struct toc_metricdb_loss){0};
    r->tail = (struct tail){0};
    struct toc_wal_visitor v = {.ctx = r,
                                .series = on_series,
                                .sample = on_sample,
                                .histogram = on_histogram,
                                .deletion = on_deletion,
                                .damage = on_damage};
    r->lacked_memory = false;
    int rc = toc_wal_read(r->db->vfs, path, &v, sum);
    rc = !rc && r->lacked_memory ? TOC_ENOMEM : rc;
    r->db->replay_records += sum->records;
    if (rc && !toc_wal_is_unborn(rc, sum)) {
        struct toc_metricdb_loss loss = {.bytes = sum->bytes};
        memcpy(loss.path, r->path, sizeof loss.path);
        toc_metricdb_note_loss(r->db, &loss);
        sum->max_ms = INT64_MAX; /* what cannot be read now is never deleted as sealed */
        if (rc != TOC_ECORRUPT && rc != TOC_ENOENT)
            r->db->first_unread = TOC_MIN(r->db->first_unread, number);
    }
    if (r->orphans.samples) {
        memcpy(r->orphans.path, r->path, sizeof r->orphans.path);
        toc_metricdb_note_loss(r->db, &r->orphans);
    }
}

/* A block that cannot be read now stands for what lies in segments below a number that is not
 * known: the new ones begin well behind it. */
enum { UNKNOWN_SEGMENTS = 1000000 };

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

/* With durability `os` the process before may have left what it acknowledged un-synced; the flushes
 * of this one promise it. */
static void sync_segment(struct toc_metricdb *db, uint64_t number) {
    char path[4096];
    struct toc_file *f = NULL;
    toc_wal_path(db->wal_dir, number, path, sizeof path);
    int rc = db->vfs->open(db->vfs, path, TOC_OPEN_WRITE, &f);
    if (!rc)
        rc = db->vfs->sync(db->vfs, f);
    toc_file_close(db->vfs, &f);
    if (rc)
        toc_log(TOC_LOG_WARN, "metricdb", "cannot sync %s: %s", path, toc_strerror(rc));
}

/* What the checkpoint says of a segment that it stands for. One that it does not know was deleted
 * before, and the disk forgot that: there is nothing in it any more. */
static struct toc_wal_segment known_segment(const struct toc_checkpoint_end *end, uint64_t number) {
    for (size_t i = 0; i < end->segment_count; i++)
        if (end->segments[i].number == number)
            return end->segments[i];
    return (struct toc_wal_segment){number, 0, INT64_MAX, INT64_MIN, true};
}

static uint64_t load_checkpoint(struct toc_metricdb *db, struct toc_checkpoint_end *out_end) {
    *out_end = (struct toc_checkpoint_end){0};
    if (!toc_checkpoints_load(db, out_end))
        return 0;
    db->checkpoints.loaded_samples = toc_head_bounds(&db->head).samples;
    return out_end->position;
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

int toc_metricdb_replay(struct toc_metricdb *db, struct toc_err *err) {
    uint64_t *numbers = NULL, last_sequence = 0, last_held = 0;
    size_t count = 0;
    int rc = toc_wal_list(db->vfs, db->wal_dir, &numbers, &count);
    rc = rc ? rc : find_last_held(db, &last_held);
    if (rc) {
        toc_free(numbers);
        return toc_errf(err, rc, "cannot list %s: %s", db->wal_dir, toc_strerror(rc));
    }
    struct toc_mono start = toc_clock_mono(db->clock);
    struct toc_checkpoint_end end;
    uint64_t position = load_checkpoint(db, &end);
    last_sequence = end.last_sequence;
    struct replay r = {.db = db};
    r.blocks = TOC_NEW_ARRAY(struct toc_block *, db->blocks.list.count + 1);
    struct toc_wal_segment *segments = TOC_NEW_ARRAY(struct toc_wal_segment, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct toc_wal_summary sum;
        struct tail before = r.tail;
        if (numbers[i] < position) {
            segments[i] = known_segment(&end, numbers[i]);
            continue;
        }
        replay_segment(&r, numbers[i], &sum);
        if (db->durability == TOC_DURABILITY_OS)
            sync_segment(db, numbers[i]);
        /* A segment in between that was deleted took its numbers along. */
        bool is_next = i && numbers[i] == numbers[i - 1] + 1 && numbers[i - 1] >= position;
        judge_tail(db, &before, last_sequence, is_next ? sum.first_sequence : 0);
        last_sequence = TOC_MAX(last_sequence, sum.last_sequence);
        segments[i] = (struct toc_wal_segment){numbers[i], sum.bytes, sum.min_ms, sum.max_ms,
                                               sum.deletions > 0};
    }
    judge_tail(db, &r.tail, last_sequence, 0);
    make_wal(db, segments, count,
             TOC_MAX(first_free_number(db, numbers, count, last_held), position),
             last_sequence + 1);
    db->checkpoints.tail_samples = db->replay_samples;
    toc_checkpoint_fini_end(&end);
    db->replay_seconds = (double)(toc_clock_mono(db->clock).ns - start.ns) / 1e9;
    toc_free(segments);
    toc_free(numbers);
    toc_free(r.refs);
    toc_free(r.blocks);
    toc_arena_fini(&r.scratch);
    return 0;
}
