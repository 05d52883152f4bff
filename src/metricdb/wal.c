#include "metricdb/wal.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/hash.h"
#include "metricdb/head.h"
#include "metricdb/wal_record.h"
#include "sys/log.h"
#include "sys/random.h"

enum {
    WRITE_BYTES = 1 << 20,
    KEEP_ENTRIES = 16384,
    DEFINITIONS = 2,
    /* A segment ends when its entries fill it: if definitions did, those of very many series would
     * come again and again. But it does end some time. */
    DEFINITION_SHARE = 8,
};

struct entries {
    TOC_VEC_FIELDS(struct toc_wal_entry)
};

/* How often a series was defined in the current segment, and in which record last. */
struct definition {
    uint32_t generation;
    uint32_t times : 2;
    uint32_t record : 30;
};

struct toc_wal {
    struct toc_wal_options o;
    struct toc_mutex mutex;
    struct toc_cond changed;
    /* Under the mutex. */
    struct entries pending;
    uint64_t pushed, durable; /* entries ever handed over, of those durable */
    bool leading;
    uint64_t failures;    /* failed attempts, so that waiters see a new one */
    uint64_t failed_upto; /* `pushed` as covered by the last failed attempt */
    int last_error;
    bool is_degraded;
    bool is_held;      /* nothing is written: what is left of the disk is for others */
    bool is_in_doubt;  /* the log lacks what it should hold: a file was given up un-synced (`os`
                          only), or entries found no room */
    uint64_t unlogged; /* entries that found no room in `pending` */
    struct toc_ids undefined; /* ids that are to be defined again */
    char degraded_text[TOC_METRICDB_TEXT_MAX];
    TOC_VEC(struct toc_wal_segment) segments; /* the current one is last while file is open */
    bool has_unsynced_removals;               /* of segments */
    uint64_t fsyncs, records;
    atomic_uint_fast64_t written_samples, written_bytes;
    uint64_t unused_number; /* no segment has it or a later one */
    /* Owned by the leader. */
    struct toc_file *file;
    struct toc_wal_segment current;
    uint64_t entry_bytes; /* of it: without headers and definitions */
    uint32_t salt_crc;
    uint64_t next_number, next_sequence, durable_sequence;
    bool has_unsynced;
    struct definition *definitions;
    size_t definition_capacity;
    struct entries batch;
    struct toc_ids undefined_now; /* with the batch */
    bool has_blobs;               /* among those of the batch that were encoded */
    struct toc_buf out;
};

void toc_wal_new(const struct toc_wal_options *o, const struct toc_wal_segment *segments,
                 size_t count, uint64_t next_number, uint64_t next_sequence, struct toc_wal **out) {
    struct toc_wal *w = TOC_NEW(struct toc_wal);
    w->o = *o;
    w->o.dir = toc_xstrdup(o->dir);
    w->o.held_dir = o->held_dir ? toc_xstrdup(o->held_dir) : NULL;
    w->next_number = next_number;
    w->unused_number = next_number;
    w->next_sequence = next_sequence;
    w->durable_sequence = next_sequence - 1;
    w->has_unsynced_removals = true; /* by the process before, perhaps */
    for (size_t i = 0; i < count; i++)
        TOC_VEC_PUSH(&w->segments, segments[i]);
    toc_mutex_init(&w->mutex, TOC_LOCK_WAL);
    toc_cond_init(&w->changed);
    *out = w;
}

static void free_blobs(const struct entries *list) {
    for (size_t i = 0; i < list->count; i++)
        toc_free(toc_wal_entry_blob(&list->items[i]));
}

void toc_wal_free(struct toc_wal **wal) {
    struct toc_wal *w = *wal;
    if (!w)
        return;
    if (w->file)
        toc_file_close(w->o.vfs, &w->file);
    free_blobs(&w->pending);
    TOC_VEC_FINI(&w->pending);
    TOC_VEC_FINI(&w->batch);
    TOC_VEC_FINI(&w->undefined);
    TOC_VEC_FINI(&w->undefined_now);
    TOC_VEC_FINI(&w->segments);
    toc_buf_fini(&w->out);
    toc_free(w->definitions);
    toc_free((void *)(uintptr_t)w->o.dir);
    toc_free((void *)(uintptr_t)w->o.held_dir);
    toc_cond_fini(&w->changed);
    toc_mutex_fini(&w->mutex);
    toc_free(w);
    *wal = NULL;
}

/* --- segments; all by the leader --- */

static void publish_segment(struct toc_wal *w) {
    toc_mutex_lock(&w->mutex);
    if (w->segments.count && w->segments.items[w->segments.count - 1].number == w->current.number)
        w->segments.items[w->segments.count - 1] = w->current;
    else
        TOC_VEC_PUSH(&w->segments, w->current);
    w->unused_number = TOC_MAX(w->unused_number, w->current.number + 1);
    toc_mutex_unlock(&w->mutex);
}

static int write_header(struct toc_wal *w, uint64_t salt) {
    struct toc_buf *b = &w->out;
    toc_buf_reset(b);
    toc_wal_put_header(b, w->current.number, salt, w->next_sequence, toc_clock_now(w->o.clock).ms);
    if (b->error)
        return b->error;
    int64_t put = w->o.vfs->pwrite(w->o.vfs, w->file, b->p, b->n, 0);
    if (put != (int64_t)b->n)
        return put < 0 ? (int)put : TOC_EIO;
    int rc = w->o.vfs->sync(w->o.vfs, w->file);
    if (!rc)
        rc = w->o.vfs->sync_dir(w->o.vfs, w->o.dir);
    w->current.bytes = b->n;
    return rc;
}

static int open_segment(struct toc_wal *w) {
    char path[4096];
    uint64_t salt = 0;
    w->current = (struct toc_wal_segment){w->next_number++, 0, INT64_MAX, INT64_MIN, false};
    w->entry_bytes = 0;
    toc_wal_path(w->o.dir, w->current.number, path, sizeof path);
    int rc = w->o.vfs->open(w->o.vfs, path, TOC_OPEN_WRITE | TOC_OPEN_CREATE | TOC_OPEN_EXCLUSIVE,
                            &w->file);
    if (rc)
        return rc;
    toc_random_bytes(&salt, sizeof salt);
    w->salt_crc = toc_wal_salt_crc(salt);
    w->next_sequence = w->durable_sequence + 1;
    rc = write_header(w, salt);
    if (rc) {
        toc_file_close(w->o.vfs, &w->file);
        w->o.vfs->remove(w->o.vfs, path);
        return rc;
    }
    if (w->definition_capacity)
        memset(w->definitions, 0, w->definition_capacity * sizeof *w->definitions);
    publish_segment(w);
    return 0;
}

/* Gives the file up, cut to what is known to be whole. It is never synced again. */
static void abandon_segment(struct toc_wal *w) {
    char path[4096];
    int rc = w->o.vfs->truncate(w->o.vfs, w->file, w->current.bytes);
    if (w->o.durability == TOC_DURABILITY_OS) {
        toc_mutex_lock(&w->mutex);
        w->is_in_doubt = true;
        toc_mutex_unlock(&w->mutex);
    }
    toc_file_close(w->o.vfs, &w->file);
    toc_wal_path(w->o.dir, w->current.number, path, sizeof path);
    if (rc)
        toc_log(TOC_LOG_WARN, "metricdb", "%s keeps a torn end: %s", path, toc_strerror(rc));
    publish_segment(w);
}

/* --- encoding --- */

static struct definition *definition_of(struct toc_wal *w, uint64_t ref) {
    ref &= ~TOC_WAL_IS_BLOB;
    size_t id = (uint32_t)ref;
    if (id >= w->definition_capacity) {
        size_t capacity = id + id / 2 + 1024;
        w->definitions = toc_xrealloc(w->definitions, capacity * sizeof *w->definitions);
        memset(w->definitions + w->definition_capacity, 0,
               (capacity - w->definition_capacity) * sizeof *w->definitions);
        w->definition_capacity = capacity;
    }
    struct definition *d = &w->definitions[id];
    if (d->generation != ref >> 32)
        *d = (struct definition){(uint32_t)(ref >> 32), 0, 0};
    return d;
}

/* Defines the series in this record if it still needs it; false when it is unknown. */
static bool define(struct toc_wal *w, uint64_t ref, struct toc_wal_record_builder *b) {
    struct definition *d = definition_of(w, ref);
    uint32_t record = (uint32_t)w->next_sequence & 0x3fffffff;
    /* Once per record, however many samples of the series it has. */
    if (d->times == DEFINITIONS || (d->times && d->record == record))
        return true;
    toc_buf_reset(&b->labels);
    if (!w->o.labels(w->o.ctx, ref & ~TOC_WAL_IS_BLOB, &b->labels))
        return false;
    toc_wal_record_define(b, (uint32_t)ref);
    d->record = record & 0x3fffffff; /* the mask tells the compiler */
    d->times = (d->times + 1u) & 3u;
    return true;
}

/* Encodes one record from the front of entries; returns how many it took. */
static size_t put_record(struct toc_wal *w, const struct toc_wal_entry *e, size_t count,
                         struct toc_wal_record_builder *b) {
    toc_wal_record_begin(b);
    size_t taken = 0;
    uint64_t defined = 0; /* the series of the entry before */
    int64_t min_ms = w->current.min_ms, max_ms = w->current.max_ms;
    for (; taken < count && !toc_wal_record_is_full(b); taken++) {
        const struct toc_wal_blob *blob = toc_wal_entry_blob(&e[taken]);
        w->has_blobs |= blob != NULL;
        if (e[taken].ref != defined && !define(w, e[taken].ref, b))
            continue;
        defined = e[taken].ref;
        if (blob)
            toc_wal_record_blob(b, (uint32_t)e[taken].ref, e[taken].t_ms, blob);
        else
            toc_wal_record_sample(b, (uint32_t)e[taken].ref, e[taken].t_ms, e[taken].bits);
        w->current.has_deletions |= blob && blob->kind == TOC_WAL_DELETION;
        min_ms = TOC_MIN(min_ms, e[taken].t_ms);
        max_ms = TOC_MAX(max_ms, e[taken].t_ms);
    }
    w->current.min_ms = min_ms;
    w->current.max_ms = max_ms;
    if (b->samples)
        toc_wal_record_finish(b, w->salt_crc, w->next_sequence++, &w->out);
    return taken;
}

static int write_out(struct toc_wal *w, uint64_t *at) {
    int64_t put = w->o.vfs->pwrite(w->o.vfs, w->file, w->out.p, w->out.n, *at);
    if (put != (int64_t)w->out.n)
        return put < 0 ? (int)put : TOC_ENOSPC;
    *at += w->out.n;
    toc_buf_reset(&w->out);
    return 0;
}

static int sync_file(struct toc_wal *w) {
    int rc = w->o.vfs->sync(w->o.vfs, w->file);
    toc_mutex_lock(&w->mutex);
    w->fsyncs++;
    if (rc && w->o.durability == TOC_DURABILITY_OS) {
        w->is_in_doubt = true;
        w->last_error = rc;
    }
    toc_mutex_unlock(&w->mutex);
    w->has_unsynced = rc != 0;
    return rc;
}

/* Writes the batch to the current segment; current.bytes moves only when it is whole (and synced).
 */
static int write_records(struct toc_wal *w, bool sync) {
    struct toc_wal_record_builder builder = {0};
    uint64_t at = w->current.bytes, sequence = w->next_sequence, bytes = 0;
    toc_buf_reset(&w->out);
    int rc = 0;
    for (size_t i = 0; i < w->batch.count && !rc;) {
        i += put_record(w, w->batch.items + i, w->batch.count - i, &builder);
        bytes += builder.body.n;
        rc = builder.error ? builder.error : w->out.error;
        if (!rc && w->out.n >= WRITE_BYTES)
            rc = write_out(w, &at);
    }
    toc_wal_record_release(&builder);
    if (!rc && w->out.n)
        rc = write_out(w, &at);
    w->has_unsynced = true;
    if (!rc && sync)
        rc = sync_file(w);
    if (rc)
        return rc;
    w->current.bytes = at;
    w->entry_bytes += bytes;
    atomic_fetch_add_explicit(&w->written_samples, w->batch.count, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->written_bytes, bytes, memory_order_relaxed);
    toc_mutex_lock(&w->mutex);
    w->records += w->next_sequence - sequence;
    toc_mutex_unlock(&w->mutex);
    w->durable_sequence = w->next_sequence - 1;
    return 0;
}

static bool is_segment_full(const struct toc_wal *w) {
    return w->entry_bytes >= w->o.segment_bytes ||
           w->current.bytes / DEFINITION_SHARE >= w->o.segment_bytes;
}

static void forget_definitions(struct toc_wal *w) {
    for (size_t i = 0; i < w->undefined_now.count; i++)
        if (w->undefined_now.items[i] < w->definition_capacity)
            w->definitions[w->undefined_now.items[i]] = (struct definition){0};
    w->undefined_now.count = 0;
}

static int write_batch(struct toc_wal *w, bool sync) {
    forget_definitions(w);
    if (w->file && is_segment_full(w)) {
        int rc = w->has_unsynced ? sync_file(w) : 0;
        toc_file_close(w->o.vfs, &w->file);
        if (rc)
            return rc;
    }
    int rc = w->file ? 0 : open_segment(w);
    if (rc)
        return rc;
    rc = write_records(w, sync);
    if (rc)
        abandon_segment(w);
    else
        publish_segment(w);
    return rc;
}

/* --- group commit --- */

static void note_outcome(struct toc_wal *w, int rc, uint64_t covered) {
    if (!rc) {
        if (w->is_degraded)
            toc_log(TOC_LOG_INFO, "metricdb", "the log can be written again");
        w->is_degraded = false;
        return;
    }
    if (!w->is_degraded)
        toc_log(TOC_LOG_ERROR, "metricdb",
                "cannot write the log in %s: %s; nothing is acknowledged until it works", w->o.dir,
                toc_strerror(rc));
    w->is_degraded = true;
    w->failures++;
    w->failed_upto = covered;
    w->last_error = rc;
    snprintf(w->degraded_text, sizeof w->degraded_text, "write-ahead log: %s", toc_strerror(rc));
}

/* What could not be made durable goes back in front of what came meanwhile. */
static void put_back(struct toc_wal *w) {
    for (size_t i = 0; i < w->pending.count; i++)
        TOC_VEC_PUSH(&w->batch, w->pending.items[i]);
    struct entries swap = w->pending;
    w->pending = w->batch;
    w->batch = swap;
    w->batch.count = 0; /* the blobs belong to `pending` now */
}

/* Under the mutex, which is released while writing. */
static int lead(struct toc_wal *w, bool sync) {
    w->leading = true;
    struct entries swap = w->batch;
    w->batch = w->pending;
    w->pending = swap;
    w->pending.count = 0;
    for (size_t i = 0; i < w->undefined.count; i++)
        TOC_VEC_PUSH(&w->undefined_now, w->undefined.items[i]);
    w->undefined.count = 0;
    uint64_t covered = w->pushed;
    bool is_held = w->is_held;
    toc_mutex_unlock(&w->mutex);
    w->has_blobs = false;
    int rc = is_held ? TOC_ENOSPC : write_batch(w, sync);
    if (!rc && w->has_blobs) /* then all were encoded */
        free_blobs(&w->batch);
    toc_mutex_lock(&w->mutex);
    if (rc)
        put_back(w);
    else
        w->durable = covered;
    if (w->batch.capacity > KEEP_ENTRIES)
        TOC_VEC_FINI(&w->batch);
    w->batch.count = 0;
    note_outcome(w, rc, covered);
    w->leading = false;
    toc_cond_broadcast(&w->changed);
    return rc;
}

static int wait_durable(struct toc_wal *w, uint64_t ticket) {
    uint64_t failures = w->failures;
    while (w->durable < ticket) {
        if (w->failures != failures && w->failed_upto >= ticket)
            return w->last_error;
        if (w->leading) {
            toc_cond_wait(&w->changed, &w->mutex);
            continue;
        }
        int rc = lead(w, w->o.durability != TOC_DURABILITY_OS);
        if (rc)
            return rc;
    }
    return 0;
}

static int explain(const struct toc_wal *w, int rc, struct toc_err *err) {
    if (!rc)
        return 0;
    if (rc == TOC_ENOSPC)
        return toc_errf(err, rc, "no space left for the log in %s: free some, then send again",
                        w->o.dir);
    return toc_errf(err, rc, "cannot write the log in %s: %s", w->o.dir, toc_strerror(rc));
}

int toc_wal_admits(struct toc_wal *w, struct toc_err *err) {
    toc_mutex_lock(&w->mutex);
    int rc = w->is_degraded && w->pending.count >= w->o.max_pending ? w->last_error : 0;
    if (rc && !w->leading) /* space may be back: try before refusing */
        rc = lead(w, w->o.durability != TOC_DURABILITY_OS);
    toc_mutex_unlock(&w->mutex);
    return explain(w, rc, err);
}

void toc_wal_hold(struct toc_wal *w, bool is_held) {
    toc_mutex_lock(&w->mutex);
    w->is_held = is_held;
    toc_mutex_unlock(&w->mutex);
}

/* Does a log that fails have no room for them? Then the head alone has them, until it is logged
 * again as a whole. Under the mutex. */
static bool leave_out(struct toc_wal *w, size_t count) {
    if (!w->is_degraded || w->pending.count + count <= w->o.max_pending)
        return false;
    w->is_in_doubt = true;
    w->unlogged += count;
    return true;
}

static void append_pending(struct toc_wal *w, const struct toc_wal_entry *entries, size_t count) {
    TOC_VEC_RESERVE(&w->pending, w->pending.count + count);
    if (count)
        memcpy(w->pending.items + w->pending.count, entries, count * sizeof *entries);
    w->pending.count += count;
}

uint64_t toc_wal_push_take(struct toc_wal *w, struct toc_wal_entry *take_entries, size_t count) {
    struct entries unused = {.items = take_entries, .count = count, .capacity = count};
    toc_mutex_lock(&w->mutex);
    while (w->o.durability == TOC_DURABILITY_SYNC && w->leading)
        toc_cond_wait(&w->changed, &w->mutex);
    if (w->pending.count) {
        append_pending(w, take_entries, count);
    } else {
        struct entries swap = w->pending;
        w->pending = unused;
        unused = swap;
    }
    w->pushed += count;
    uint64_t ticket = w->pushed;
    toc_mutex_unlock(&w->mutex);
    toc_free(unused.items);
    return ticket;
}

int toc_wal_push_own(struct toc_wal *w, struct toc_wal_entry *take_entries, size_t count,
                     uint64_t *out_ticket, struct toc_err *err) {
    toc_mutex_lock(&w->mutex);
    int rc = leave_out(w, count) ? w->last_error : 0;
    toc_mutex_unlock(&w->mutex);
    if (!rc) {
        *out_ticket = toc_wal_push_take(w, take_entries, count);
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        toc_free(toc_wal_entry_blob(&take_entries[i]));
    toc_free(take_entries);
    return explain(w, rc, err);
}

int toc_wal_wait(struct toc_wal *w, uint64_t ticket, struct toc_err *err) {
    toc_mutex_lock(&w->mutex);
    int rc = wait_durable(w, ticket);
    toc_mutex_unlock(&w->mutex);
    return explain(w, rc, err);
}

int toc_wal_write_take(struct toc_wal *w, struct toc_wal_entry *take_entries, size_t count,
                       struct toc_err *err) {
    return toc_wal_wait(w, toc_wal_push_take(w, take_entries, count), err);
}

int toc_wal_write(struct toc_wal *w, const struct toc_wal_entry *entries, size_t count,
                  struct toc_err *err) {
    if (!count)
        return 0;
    return toc_wal_write_take(w, toc_xmemdup(entries, count * sizeof *entries), count, err);
}

static void wait_turn(struct toc_wal *w) {
    while (w->leading)
        toc_cond_wait(&w->changed, &w->mutex);
}

/* Under the mutex, which is released while writing. */
static int flush(struct toc_wal *w) {
    wait_turn(w);
    int rc = w->pending.count ? lead(w, true) : 0;
    wait_turn(w);
    if (!rc && w->file && w->has_unsynced) {
        w->leading = true;
        toc_mutex_unlock(&w->mutex);
        rc = sync_file(w);
        if (rc)
            abandon_segment(w);
        toc_mutex_lock(&w->mutex);
        w->leading = false;
        note_outcome(w, rc, 0);
        toc_cond_broadcast(&w->changed);
    }
    return rc;
}

int toc_wal_flush(struct toc_wal *w, struct toc_err *err) {
    toc_mutex_lock(&w->mutex);
    int rc = flush(w);
    if (!rc && w->is_in_doubt)
        rc = w->last_error ? w->last_error : TOC_EIO;
    toc_mutex_unlock(&w->mutex);
    return explain(w, rc, err);
}

bool toc_wal_is_in_doubt(struct toc_wal *w) {
    toc_mutex_lock(&w->mutex);
    /* While it cannot even write what waits, there is no use in adding to that. */
    bool is_in_doubt = w->is_in_doubt && !(w->is_degraded && w->pending.count);
    toc_mutex_unlock(&w->mutex);
    return is_in_doubt;
}

int toc_wal_settle(struct toc_wal *w, struct toc_err *err) {
    toc_mutex_lock(&w->mutex);
    int rc = flush(w);
    w->is_in_doubt = w->is_in_doubt && rc != 0;
    toc_mutex_unlock(&w->mutex);
    return explain(w, rc, err);
}

uint64_t toc_wal_rotate_old(struct toc_wal *w, int64_t boundary_ms) {
    toc_mutex_lock(&w->mutex);
    wait_turn(w);
    bool goes_on = w->file && w->current.max_ms > boundary_ms;
    uint64_t number = w->current.number;
    toc_mutex_unlock(&w->mutex);
    return goes_on ? number : toc_wal_rotate(w);
}

uint64_t toc_wal_rotate(struct toc_wal *w) {
    toc_mutex_lock(&w->mutex);
    wait_turn(w);
    w->leading = true;
    toc_mutex_unlock(&w->mutex);
    if (w->file) {
        if (w->has_unsynced && sync_file(w))
            toc_log(TOC_LOG_ERROR, "metricdb", "fsync of a finished log segment failed");
        toc_file_close(w->o.vfs, &w->file);
    }
    toc_mutex_lock(&w->mutex);
    w->leading = false;
    uint64_t next = w->next_number;
    toc_cond_broadcast(&w->changed);
    toc_mutex_unlock(&w->mutex);
    return next;
}

void toc_wal_position(struct toc_wal *w, struct toc_wal_position *out) {
    *out = (struct toc_wal_position){0};
    toc_mutex_lock(&w->mutex);
    wait_turn(w);
    out->segment = w->file ? w->current.number : w->next_number;
    out->offset = w->file ? w->current.bytes : 0;
    out->last_sequence = w->durable_sequence;
    out->segments = TOC_NEW_ARRAY(struct toc_wal_segment, w->segments.count + 1);
    for (size_t i = 0; i < w->segments.count; i++)
        out->segments[out->segment_count++] = w->segments.items[i];
    toc_mutex_unlock(&w->mutex);
}

void toc_wal_undefine(struct toc_wal *w, uint32_t id) {
    toc_mutex_lock(&w->mutex);
    TOC_VEC_PUSH(&w->undefined, id);
    toc_mutex_unlock(&w->mutex);
}

/* The next segment that may be deleted. One with deletions may only when every older one is gone.
 */
static bool find_droppable(struct toc_wal *w, uint64_t number, int64_t boundary_ms,
                           struct toc_wal_segment *out) {
    bool found = false;
    toc_mutex_lock(&w->mutex);
    for (size_t i = 0; i < w->segments.count && !found; i++) {
        const struct toc_wal_segment *s = &w->segments.items[i];
        bool could_be_read = s->max_ms != INT64_MAX;
        found = s->number < number && s->max_ms <= boundary_ms && could_be_read &&
                !(s->has_deletions && i);
        *out = *s;
    }
    toc_mutex_unlock(&w->mutex);
    return found;
}

static void forget_segment(struct toc_wal *w, uint64_t number) {
    toc_mutex_lock(&w->mutex);
    w->has_unsynced_removals = true;
    for (size_t i = 0; i < w->segments.count; i++) {
        if (w->segments.items[i].number != number)
            continue;
        TOC_VEC_REMOVE(&w->segments, i);
        break;
    }
    toc_mutex_unlock(&w->mutex);
}

/* Is there somebody who still reads what is dropped? An error: that cannot be told. */
static int is_held_wanted(struct toc_wal *w, bool *out) {
    struct toc_file_info info;
    int rc = w->o.held_dir ? w->o.vfs->info(w->o.vfs, w->o.held_dir, &info) : TOC_ENOENT;
    *out = rc == 0;
    return rc == TOC_ENOENT ? 0 : rc;
}

/* The new name of a segment is durable before the old one may be forgotten. */
static int sync_dirs(struct toc_wal *w) {
    bool is_wanted;
    int rc = is_held_wanted(w, &is_wanted);
    if (!rc && is_wanted)
        rc = w->o.vfs->sync_dir(w->o.vfs, w->o.held_dir);
    return rc ? rc : w->o.vfs->sync_dir(w->o.vfs, w->o.dir);
}

/* First a second name, durable, then the old one goes: a crash in between leaves both. */
static int move_to_held(struct toc_wal *w, const char *path, uint64_t number) {
    char held[4096];
    toc_wal_path(w->o.held_dir, number, held, sizeof held);
    int rc = w->o.vfs->link(w->o.vfs, path, held);
    if (rc && rc != TOC_EEXIST) /* a file system without links: they move names in one step */
        return w->o.vfs->rename(w->o.vfs, path, held);
    rc = w->o.vfs->sync_dir(w->o.vfs, w->o.held_dir);
    return rc ? rc : w->o.vfs->remove(w->o.vfs, path);
}

static int let_go(struct toc_wal *w, uint64_t number) {
    char path[4096];
    bool is_wanted;
    int rc = is_held_wanted(w, &is_wanted);
    if (rc)
        return rc;
    toc_wal_path(w->o.dir, number, path, sizeof path);
    return is_wanted ? move_to_held(w, path, number) : w->o.vfs->remove(w->o.vfs, path);
}

static int sync_removals(struct toc_wal *w) {
    toc_mutex_lock(&w->mutex);
    bool has = w->has_unsynced_removals;
    toc_mutex_unlock(&w->mutex);
    int rc = has ? sync_dirs(w) : 0;
    if (rc)
        return rc;
    toc_mutex_lock(&w->mutex);
    w->has_unsynced_removals = false;
    toc_mutex_unlock(&w->mutex);
    return 0;
}

int toc_wal_drop(struct toc_wal *w, uint64_t number, int64_t boundary_ms) {
    struct toc_wal_segment s;
    while (find_droppable(w, number, boundary_ms, &s)) {
        /* A disk may forget the removal of an older segment and with it what was deleted. */
        int rc = s.has_deletions ? sync_dirs(w) : 0;
        if (!rc)
            rc = let_go(w, s.number);
        if (rc && rc != TOC_ENOENT)
            return rc;
        forget_segment(w, s.number);
    }
    return sync_removals(w);
}

int toc_wal_drop_before(struct toc_wal *w, uint64_t number) {
    return toc_wal_drop(w, number, INT64_MAX);
}

uint64_t toc_wal_oldest(struct toc_wal *w) {
    toc_mutex_lock(&w->mutex);
    uint64_t oldest = w->segments.count ? w->segments.items[0].number : UINT64_MAX;
    if (w->has_unsynced_removals) /* any of them may come back */
        oldest = 0;
    toc_mutex_unlock(&w->mutex);
    return oldest;
}

bool toc_wal_find(struct toc_wal *w, uint64_t number, struct toc_wal_extent *out) {
    bool found = false;
    toc_mutex_lock(&w->mutex);
    for (size_t i = 0; i < w->segments.count && !found; i++) {
        const struct toc_wal_segment *s = &w->segments.items[i];
        found = s->number >= number;
        *out = (struct toc_wal_extent){s->number, s->bytes, i + 1 == w->segments.count};
    }
    toc_mutex_unlock(&w->mutex);
    return found;
}

uint64_t toc_wal_next_number(struct toc_wal *w) {
    toc_mutex_lock(&w->mutex);
    uint64_t next = w->unused_number;
    toc_mutex_unlock(&w->mutex);
    return next;
}

uint64_t toc_wal_written_samples(const struct toc_wal *w) {
    return atomic_load_explicit(&w->written_samples, memory_order_relaxed);
}

uint64_t toc_wal_written_bytes(const struct toc_wal *w) {
    return atomic_load_explicit(&w->written_bytes, memory_order_relaxed);
}

void toc_wal_stats(struct toc_wal *w, struct toc_metricdb_stats *out) {
    toc_mutex_lock(&w->mutex);
    out->wal_segments = w->segments.count;
    for (size_t i = 0; i < w->segments.count; i++)
        out->wal_bytes += w->segments.items[i].bytes;
    out->wal_records_written = w->records;
    out->wal_fsyncs = w->fsyncs;
    out->wal_failures = w->failures;
    out->wal_pending_samples = w->pushed - w->durable;
    out->wal_unlogged_samples = w->unlogged;
    if (w->is_degraded) {
        out->is_degraded = true;
        out->degraded_code = w->last_error;
        memcpy(out->degraded_text, w->degraded_text, sizeof out->degraded_text);
    }
    toc_mutex_unlock(&w->mutex);
}
