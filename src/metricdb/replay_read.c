#include "metricdb/replay_read.h"

#include <stdio.h>

#include "base/alloc.h"
#include "metricdb/histogram_code.h"
#include "sys/log.h"

/* --- what a record holds --- */

static void set_ref(struct toc_log_replay *r, uint32_t id, uint64_t ref) {
    if (id >= r->ref_capacity) {
        size_t capacity = (size_t)id + id / 2 + 1024;
        r->refs = toc_xrealloc(r->refs, capacity * sizeof *r->refs);
        memset(r->refs + r->ref_capacity, 0, (capacity - r->ref_capacity) * sizeof *r->refs);
        r->ref_capacity = capacity;
    }
    r->refs[id] = ref;
}

static void on_series(void *ctx, uint32_t id, struct toc_labels labels) {
    struct toc_log_replay *r = ctx;
    struct toc_head_shard *shard;
    struct toc_series *s = toc_head_series_lock(&r->db->head, labels, UINT32_MAX, &shard);
    set_ref(r, id, toc_series_ref(s));
    toc_mutex_unlock(&shard->mutex);
}

/* Is the sample in a block? Remembers the gap between blocks that it lies in. */
static bool is_sealed(struct toc_log_replay *r, int64_t t_ms) {
    int64_t from = INT64_MIN, to = INT64_MAX;
    if (t_ms >= r->free_from_ms && t_ms <= r->free_to_ms)
        return false;
    for (size_t i = 0; i < r->block_count; i++) {
        const struct toc_block_meta *m = &r->blocks[i]->meta;
        if (t_ms > m->range_max)
            from = TOC_MAX(from, m->range_max + 1);
        else if (t_ms < m->range_min)
            to = TOC_MIN(to, m->range_min - 1);
        else
            return true;
    }
    r->free_from_ms = from;
    r->free_to_ms = to;
    return false;
}

static void note_orphan(struct toc_log_replay *r, int64_t t_ms) {
    struct toc_metricdb_loss *o = &r->orphans;
    o->min_ms = o->samples ? TOC_MIN(o->min_ms, t_ms) : t_ms;
    o->max_ms = o->samples ? TOC_MAX(o->max_ms, t_ms) : t_ms;
    o->samples++;
}

/* The reference of the series; 0: it is not known, which is noted. */
static uint64_t ref_of(struct toc_log_replay *r, uint32_t id, int64_t t_ms) {
    uint64_t ref = id < r->ref_capacity ? r->refs[id] : 0;
    if (!ref)
        note_orphan(r, t_ms);
    return ref;
}

static void on_sample(void *ctx, uint32_t id, int64_t t_ms, double value) {
    struct toc_log_replay *r = ctx;
    uint64_t ref = ref_of(r, id, t_ms);
    if (ref && !is_sealed(r, t_ms))
        toc_log_replay_batch_put(r->batch,
                                 (struct toc_log_replay_entry){ref, t_ms, .value = value});
}

static void put_extra(struct toc_log_replay *r, uint64_t ref, int64_t t_ms,
                      struct toc_log_replay_extra what) {
    struct toc_log_replay_extra *x = TOC_ARENA_NEW(&r->batch->arena, struct toc_log_replay_extra);
    if (!x) {
        r->lacked_memory = true;
        return;
    }
    *x = what;
    toc_log_replay_batch_put(
        r->batch, (struct toc_log_replay_entry){ref | TOC_LOG_REPLAY_HAS_EXTRA, t_ms, .extra = x});
}

static void on_histogram(void *ctx, uint32_t id, int64_t t_ms, struct toc_sv bytes) {
    struct toc_log_replay *r = ctx;
    struct toc_histogram *h;
    struct toc_arena *arena = &r->batch->arena;
    int rc = toc_histogram_decode(bytes, arena, &h);
    r->lacked_memory |= rc == TOC_ENOMEM;
    if (rc || toc_histogram_validate(h, NULL)) {
        note_orphan(r, t_ms); /* a checksum that fits nonsense */
        return;
    }
    uint64_t ref = ref_of(r, id, t_ms);
    if (!ref || is_sealed(r, t_ms))
        return;
    struct toc_sv kept = toc_arena_dup_sv(arena, bytes);
    r->lacked_memory |= !kept.p;
    if (kept.p)
        put_extra(r, ref, t_ms, (struct toc_log_replay_extra){.histogram = h, .encoded = kept});
}

static void on_deletion(void *ctx, uint32_t id, int64_t min_ms, int64_t max_ms) {
    struct toc_log_replay *r = ctx;
    uint64_t ref = ref_of(r, id, max_ms);
    if (ref)
        put_extra(r, ref, max_ms, (struct toc_log_replay_extra){.min_ms = min_ms});
}

static void on_damage(void *ctx, uint64_t offset, uint64_t bytes, bool is_tail, int64_t min_ms,
                      int64_t max_ms) {
    struct toc_log_replay *r = ctx;
    struct toc_metricdb_loss loss = {
        .offset = offset, .bytes = bytes, .min_ms = min_ms, .max_ms = max_ms};
    memcpy(loss.path, r->path, sizeof loss.path);
    if (is_tail) /* judged when the next segment's sequence is known */
        r->tail = (struct toc_log_replay_tail){true, loss};
    else
        toc_metricdb_note_loss(r->db, &loss);
}

/* --- segments --- */

/* Blocks sealed after this segment was finished. */
static void choose_blocks(struct toc_log_replay *r) {
    struct toc_blocks *set = &r->db->blocks;
    if (!r->blocks)
        r->blocks = TOC_NEW_ARRAY(struct toc_block *, set->list.count + 1);
    r->block_count = 0;
    for (size_t i = 0; i < set->list.count; i++)
        if (set->list.items[i]->meta.first_unsealed > r->number)
            r->blocks[r->block_count++] = set->list.items[i];
    r->free_from_ms = INT64_MAX; /* not known */
    r->free_to_ms = INT64_MIN;
}

/* A torn end is what a crash leaves. It is a loss when the log went on behind it with a later
 * sequence; next_first 0 when that cannot be told. */
static void judge_tail(const struct toc_log_replay *r, const struct toc_log_replay_tail *tail,
                       uint64_t next_first) {
    if (!tail->is_there)
        return;
    if (next_first && next_first != r->last_sequence + 1) {
        toc_metricdb_note_loss(r->db, &tail->loss);
        return;
    }
    r->db->torn_tails++;
    toc_log(TOC_LOG_INFO, "metricdb", "%s ends with %llu bytes of an unfinished write",
            tail->loss.path, (unsigned long long)tail->loss.bytes);
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
    const struct toc_wal_position *at = &end->position;
    for (size_t i = 0; i < at->segment_count; i++)
        if (at->segments[i].number == number)
            return at->segments[i];
    return (struct toc_wal_segment){number, 0, INT64_MAX, INT64_MIN, true};
}

/* Is the front of the segment in the checkpoint? */
static bool begins_within(const struct toc_log_replay *r) {
    return r->number == r->end->position.segment && r->end->position.offset;
}

/* Series of the checkpoint have the ids that they had in the log. */
static void know_series(struct toc_log_replay *r) {
    for (int i = 0; i < TOC_HEAD_SHARDS; i++) {
        const struct toc_head_shard *shard = &r->db->head.shards[i];
        for (size_t k = 0; k < shard->slots.count; k++)
            if (shard->slots.items[k].series)
                set_ref(r, shard->slots.items[k].series->id,
                        toc_series_ref(shard->slots.items[k].series));
    }
}

/* What was read of the segment, and whether it could be. */
static void note_segment(struct toc_log_replay *r, int rc, struct toc_wal_summary *sum) {
    struct toc_metricdb *db = r->db;
    rc = !rc && r->lacked_memory ? TOC_ENOMEM : rc;
    db->replay_records += sum->records;
    r->bytes += sum->bytes;
    if (rc == TOC_EVERSION) {
        r->newer = r->number;
        return;
    }
    if (rc && !toc_wal_is_unborn(rc, sum)) {
        struct toc_metricdb_loss loss = {.bytes = sum->bytes};
        memcpy(loss.path, r->path, sizeof loss.path);
        toc_metricdb_note_loss(db, &loss);
        sum->max_ms = INT64_MAX; /* what cannot be read now is never deleted as sealed */
        if (rc != TOC_ECORRUPT && rc != TOC_ENOENT)
            db->first_unread = TOC_MIN(db->first_unread, r->number);
    }
    if (r->orphans.samples) {
        memcpy(r->orphans.path, r->path, sizeof r->orphans.path);
        toc_metricdb_note_loss(db, &r->orphans);
    }
}

static void end_segment(struct toc_log_replay *r, int rc, struct toc_wal_summary *sum) {
    size_t i = r->next - 1;
    toc_wal_reader_close(&r->reader);
    note_segment(r, rc, sum);
    if (r->db->durability == TOC_DURABILITY_OS)
        sync_segment(r->db, r->number);
    /* A segment in between that was deleted took its numbers along. */
    bool is_next =
        i && r->number == r->numbers[i - 1] + 1 && r->numbers[i - 1] >= r->end->position.segment;
    judge_tail(r, &r->tail_before, is_next ? sum->first_sequence : 0);
    r->last_sequence = TOC_MAX(r->last_sequence, sum->last_sequence);
    struct toc_wal_segment *s = &r->segments[i];
    *s = (struct toc_wal_segment){r->number, sum->bytes, sum->min_ms, sum->max_ms,
                                  sum->deletions > 0};
    if (!begins_within(r))
        return;
    struct toc_wal_segment before = known_segment(r->end, r->number);
    s->min_ms = TOC_MIN(s->min_ms, before.min_ms);
    s->max_ms = TOC_MAX(s->max_ms, before.max_ms);
    s->has_deletions |= before.has_deletions;
}

static void begin_segment(struct toc_log_replay *r) {
    static const struct toc_wal_visitor visitor = {.series = on_series,
                                                   .sample = on_sample,
                                                   .histogram = on_histogram,
                                                   .deletion = on_deletion,
                                                   .damage = on_damage};
    struct toc_wal_visitor v = visitor;
    struct toc_wal_summary sum;
    char path[4096];
    r->number = r->numbers[r->next];
    if (r->number < r->end->position.segment) {
        r->segments[r->next++] = known_segment(r->end, r->number);
        return;
    }
    r->next++;
    if (r->ref_capacity)
        memset(r->refs, 0, r->ref_capacity * sizeof *r->refs);
    toc_wal_path(r->db->wal_dir, r->number, path, sizeof path);
    snprintf(r->path, sizeof r->path, "wal/%010llu.wal", (unsigned long long)r->number);
    choose_blocks(r);
    r->orphans = (struct toc_metricdb_loss){0};
    r->tail_before = r->tail;
    r->tail = (struct toc_log_replay_tail){0};
    r->lacked_memory = false;
    v.ctx = r;
    int rc = toc_wal_reader_open(r->db->vfs, path, &v, &r->reader, &sum);
    if (rc) {
        end_segment(r, rc, &sum);
    } else if (begins_within(r)) {
        toc_wal_reader_seek(r->reader, r->end->position.offset);
        know_series(r);
    }
}

static void read_record(struct toc_log_replay *r) {
    bool took;
    int rc = toc_wal_reader_next(r->reader, UINT64_MAX, true, &took);
    if (!rc && took)
        return;
    if (!rc)
        toc_wal_reader_finish(r->reader);
    struct toc_wal_summary sum = toc_wal_reader_summary(r->reader);
    end_segment(r, rc, &sum);
}

void toc_log_replay_read(struct toc_log_replay *r) {
    while (!r->is_done && !toc_log_replay_batch_is_full(r->batch)) {
        if (r->newer) {
            r->is_done = true;
        } else if (r->reader) {
            read_record(r);
        } else if (r->next < r->count) {
            begin_segment(r);
        } else {
            judge_tail(r, &r->tail, 0);
            r->is_done = true;
        }
    }
}

void toc_log_replay_fini(struct toc_log_replay *r) {
    toc_wal_reader_close(&r->reader);
    toc_free(r->refs);
    toc_free(r->blocks);
}
