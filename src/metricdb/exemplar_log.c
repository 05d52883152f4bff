#include "metricdb/exemplar_log.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "metricdb/metricdb_priv.h"
#include "model/sample.h"
#include "sys/log.h"
#include "sys/random.h"

#define MAGIC "TOCEXM01"
#define RECORD_MAGIC 0x7be1c4d9u
enum {
    HEADER_BYTES = 20,
    RECORD_HEADER_BYTES = 12,
    FILE_BYTES_MAX = 1 << 30,
    PER_RECORD = 256,
    SPARE_BYTES = 1 << 20,
};

void toc_exemplar_log_init(struct toc_exemplar_log *l) {
    *l = (struct toc_exemplar_log){0};
    toc_mutex_init(&l->mutex, TOC_LOCK_METRICDB_NOTES);
    toc_cond_init(&l->changed);
}

void toc_exemplar_log_fini(struct toc_metricdb *db) {
    struct toc_exemplar_log *l = &db->exemplar_log;
    if (l->file)
        toc_file_close(db->vfs, &l->file);
    toc_cond_fini(&l->changed);
    toc_mutex_fini(&l->mutex);
}

/* --- reading --- */

static bool take_exemplar(struct toc_reader *r, struct toc_arena *arena,
                          const struct toc_exemplar_visitor *v) {
    struct toc_labels series;
    struct toc_exemplar e;
    toc_arena_reset(arena);
    if (toc_labels_decode(r, arena, &series) || toc_labels_decode(r, arena, &e.labels))
        return false;
    e.t_ms = toc_read_zigzag(r);
    e.value = toc_f64_from_bits(toc_read_u64(r));
    if (!r->error)
        v->exemplar(v->ctx, series, &e);
    return !r->error;
}

/* Bytes of the whole record at the front, 0 when there is none. */
static size_t take_record(struct toc_sv bytes, uint32_t salt_crc, struct toc_arena *arena,
                          const struct toc_exemplar_visitor *v) {
    struct toc_reader r = toc_reader_make(bytes);
    uint32_t magic = toc_read_u32(&r), n = toc_read_u32(&r), crc = toc_read_u32(&r);
    if (r.error || magic != RECORD_MAGIC || n > toc_reader_left(&r))
        return 0;
    uint32_t have = toc_crc32c(salt_crc, bytes.p, 8);
    have = toc_crc32c(have, bytes.p + RECORD_HEADER_BYTES, n);
    if (have != crc)
        return 0;
    struct toc_reader payload = toc_reader_make(toc_sv_sub(bytes, RECORD_HEADER_BYTES, n));
    while (toc_reader_left(&payload))
        if (!take_exemplar(&payload, arena, v))
            return 0;
    return RECORD_HEADER_BYTES + (size_t)n;
}

/* The place of the next record behind `at`; the end when there is none. */
static size_t next_magic(struct toc_sv bytes, size_t at) {
    static const uint32_t magic = RECORD_MAGIC;
    for (at++; at + sizeof magic <= bytes.n; at++)
        if (!memcmp(bytes.p + at, &magic, sizeof magic))
            return at;
    return bytes.n;
}

static void take_records(struct toc_sv bytes, uint32_t salt_crc,
                         const struct toc_exemplar_visitor *v, uint64_t *out_end) {
    struct toc_arena arena = TOC_ARENA_INIT;
    size_t bad_from = 0;
    *out_end = HEADER_BYTES;
    for (size_t at = HEADER_BYTES; at < bytes.n;) {
        size_t n = take_record(toc_sv_sub(bytes, at, bytes.n - at), salt_crc, &arena, v);
        if (!n) {
            bad_from = bad_from ? bad_from : at;
            at = next_magic(bytes, at);
            continue;
        }
        if (bad_from)
            v->damage(v->ctx, bad_from, at - bad_from);
        bad_from = 0;
        at += n;
        *out_end = at;
    }
    toc_arena_fini(&arena);
}

int toc_exemplar_log_read(struct toc_vfs *vfs, const char *path,
                          const struct toc_exemplar_visitor *v, uint32_t *out_salt_crc,
                          uint64_t *out_end, uint64_t *out_bytes) {
    struct toc_buf bytes = TOC_BUF_INIT;
    int rc = toc_vfs_read_file(vfs, path, FILE_BYTES_MAX, &bytes);
    *out_bytes = bytes.n;
    struct toc_reader r = toc_reader_make(toc_buf_sv(&bytes));
    struct toc_sv magic = toc_read_bytes(&r, 8), salt = toc_read_bytes(&r, 8);
    uint32_t crc = toc_read_u32(&r);
    if (!rc && (r.error || !toc_sv_eq(magic, TOC_SV(MAGIC)) || crc != toc_crc32c(0, bytes.p, 16)))
        rc = TOC_ECORRUPT;
    if (!rc) {
        *out_salt_crc = toc_crc32c(0, salt.p, salt.n);
        take_records(toc_buf_sv(&bytes), *out_salt_crc, v, out_end);
    }
    toc_buf_fini(&bytes);
    return rc;
}

/* --- start --- */

static void path_of(const struct toc_metricdb *db, const char *suffix, char *out, size_t out_size) {
    snprintf(out, out_size, "%.4000s/exemplars%s", db->dir, suffix);
}

struct loading {
    struct toc_metricdb *db;
    bool is_damaged;
};

static void on_exemplar(void *ctx, struct toc_labels series, const struct toc_exemplar *e) {
    (void)toc_metricdb_exemplar_add(((struct loading *)ctx)->db, series, e);
}

static void on_damage(void *ctx, uint64_t offset, uint64_t bytes) {
    struct loading *x = ctx;
    struct toc_metricdb_loss loss = {.offset = offset, .bytes = bytes};
    toc_sv_copy(TOC_SV("exemplars"), loss.path, sizeof loss.path);
    toc_metricdb_note_loss(x->db, &loss);
    x->is_damaged = true;
}

void toc_exemplar_log_load(struct toc_metricdb *db) {
    struct toc_exemplar_log *l = &db->exemplar_log;
    struct loading x = {.db = db};
    struct toc_exemplar_visitor v = {&x, on_exemplar, on_damage};
    char path[4096];
    uint64_t end = 0;
    path_of(db, "", path, sizeof path);
    int rc = toc_exemplar_log_read(db->vfs, path, &v, &l->salt_crc, &end, &l->bytes);
    if (rc == TOC_ECORRUPT)
        on_damage(&x, 0, l->bytes);
    else if (rc && rc != TOC_ENOENT)
        toc_log(TOC_LOG_WARN, "metricdb", "cannot read %s: %s; it starts anew", path,
                toc_strerror(rc));
    l->cursor = toc_metricdb_exemplars_added(db);
    l->bytes_at_first = l->bytes;
    bool is_whole = !rc && end == l->bytes && !x.is_damaged;
    if (!is_whole || toc_file_open(db->vfs, path, TOC_OPEN_WRITE, &l->file))
        l->file = NULL; /* maintenance writes it anew */
}

/* --- writing --- */

static void encode(void *ctx, struct toc_labels series, const struct toc_exemplar *e) {
    struct toc_buf *out = ctx;
    toc_labels_encode(series, out);
    toc_labels_encode(e->labels, out);
    toc_buf_append_zigzag(out, e->t_ms);
    toc_buf_append_u64(out, toc_f64_bits(e->value));
}

/* A record with the next exemplars of the ring, none from `end` on; false: there are none. */
static bool put_record(struct toc_metricdb *db, uint64_t *io_cursor, uint64_t end,
                       uint32_t salt_crc, struct toc_buf *out) {
    struct toc_buf payload = TOC_BUF_INIT;
    size_t max = *io_cursor < end ? (size_t)TOC_MIN(end - *io_cursor, (uint64_t)PER_RECORD) : 0;
    if (max)
        (void)toc_metricdb_exemplars_since(db, io_cursor, max, encode, &payload);
    bool has_some = payload.n > 0;
    size_t at = out->n;
    if (has_some) {
        toc_buf_append_u32(out, RECORD_MAGIC);
        toc_buf_append_u32(out, (uint32_t)payload.n);
        uint32_t crc = out->error ? 0 : toc_crc32c(salt_crc, out->p + at, 8);
        toc_buf_append_u32(out, toc_crc32c(crc, payload.p, payload.n));
        toc_buf_append_sv(out, toc_buf_sv(&payload));
        out->error = out->error ? out->error : payload.error;
    }
    toc_buf_fini(&payload);
    return has_some && !out->error;
}

static int write_at(struct toc_metricdb *db, struct toc_file *f, const struct toc_buf *b,
                    uint64_t at) {
    if (b->error)
        return b->error;
    int64_t put = b->n ? db->vfs->pwrite(db->vfs, f, b->p, b->n, at) : 0;
    return put == (int64_t)b->n ? 0 : put < 0 ? (int)put : TOC_ENOSPC;
}

static int append(struct toc_metricdb *db) {
    struct toc_exemplar_log *l = &db->exemplar_log;
    struct toc_buf out = TOC_BUF_INIT;
    while (put_record(db, &l->cursor, UINT64_MAX, l->salt_crc, &out)) {
    }
    int rc = write_at(db, l->file, &out, l->bytes);
    l->bytes += rc ? 0 : out.n;
    l->has_unsynced |= out.n > 0;
    toc_buf_fini(&out);
    return rc;
}

struct written {
    struct toc_file *file; /* synced */
    uint64_t bytes, cursor;
    uint32_t salt_crc;
};

/* A new file with what the ring has of its first `end` exemplars. */
static int write_ring(struct toc_metricdb *db, const char *path, uint64_t end,
                      struct written *out) {
    struct toc_buf bytes = TOC_BUF_INIT;
    uint64_t salt = 0;
    *out = (struct written){0};
    toc_random_bytes(&salt, sizeof salt);
    toc_buf_append(&bytes, MAGIC, 8);
    toc_buf_append_u64(&bytes, salt);
    toc_buf_append_u32(&bytes, bytes.error ? 0 : toc_crc32c(0, bytes.p, 16));
    out->salt_crc = bytes.error ? 0 : toc_crc32c(0, bytes.p + 8, 8);
    while (put_record(db, &out->cursor, end, out->salt_crc, &bytes)) {
    }
    (void)db->vfs->remove(db->vfs, path);
    int rc = toc_file_open(db->vfs, path, TOC_OPEN_WRITE | TOC_OPEN_CREATE | TOC_OPEN_EXCLUSIVE,
                           &out->file);
    if (!rc)
        rc = write_at(db, out->file, &bytes, 0);
    if (!rc)
        rc = db->vfs->sync(db->vfs, out->file);
    if (rc && out->file)
        toc_file_close(db->vfs, &out->file);
    out->bytes = bytes.n;
    toc_buf_fini(&bytes);
    return rc;
}

int toc_exemplar_log_copy(struct toc_metricdb *db, const char *path) {
    struct written w;
    uint64_t end = toc_metricdb_exemplars_added(db);
    int rc = end ? write_ring(db, path, end, &w) : 0;
    if (end && !rc)
        toc_file_close(db->vfs, &w.file);
    return rc;
}

static int write_anew(struct toc_metricdb *db) {
    struct toc_exemplar_log *l = &db->exemplar_log;
    struct written w;
    char path[4096], beside[4096];
    path_of(db, "", path, sizeof path);
    path_of(db, ".tmp", beside, sizeof beside);
    if (l->file)
        toc_file_close(db->vfs, &l->file);
    int rc = write_ring(db, beside, UINT64_MAX, &w);
    if (!rc)
        rc = db->vfs->rename(db->vfs, beside, path);
    if (!rc)
        rc = db->vfs->sync_dir(db->vfs, db->dir);
    l->has_unsynced = false;
    if (rc && w.file)
        toc_file_close(db->vfs, &w.file);
    l->file = w.file;
    l->bytes = l->bytes_at_first = w.bytes;
    l->cursor = w.cursor;
    l->salt_crc = w.salt_crc;
    return rc;
}

/* After a failure the file is given up: an fsync is never tried again on it. */
static void note_outcome(struct toc_metricdb *db, int rc) {
    struct toc_exemplar_log *l = &db->exemplar_log;
    if (rc && l->file)
        toc_file_close(db->vfs, &l->file);
    if (rc && rc != l->code)
        toc_log(TOC_LOG_WARN, "metricdb",
                "exemplars cannot be saved in %s: %s; a restart would lose the newest", db->dir,
                toc_strerror(rc));
    l->code = rc;
}

static bool is_saved(struct toc_metricdb *db) {
    return toc_metricdb_exemplars_added(db) == db->exemplar_log.cursor;
}

static int save(struct toc_metricdb *db) {
    if (is_saved(db))
        return 0;
    return db->exemplar_log.file ? append(db) : write_anew(db);
}

/* Waits for its turn. */
static void enter(struct toc_exemplar_log *l) {
    toc_mutex_lock(&l->mutex);
    while (l->is_busy)
        toc_cond_wait(&l->changed, &l->mutex);
    l->is_busy = true;
    toc_mutex_unlock(&l->mutex);
}

static void leave(struct toc_exemplar_log *l) {
    toc_mutex_lock(&l->mutex);
    l->is_busy = false;
    toc_cond_broadcast(&l->changed);
    toc_mutex_unlock(&l->mutex);
}

static bool is_held(struct toc_metricdb *db) {
    return atomic_load_explicit(&db->shortage, memory_order_relaxed) & TOC_SHORT_OF_DISK;
}

void toc_metricdb_exemplars_save(struct toc_metricdb *db) {
    struct toc_exemplar_log *l = &db->exemplar_log;
    if (is_held(db))
        return;
    enter(l);
    if (!l->code)
        note_outcome(db, save(db));
    leave(l);
}

void toc_exemplar_log_maintain(struct toc_metricdb *db) {
    struct toc_exemplar_log *l = &db->exemplar_log;
    if (is_held(db))
        return;
    enter(l);
    bool is_due = l->file ? l->bytes > 2 * l->bytes_at_first + SPARE_BYTES
                          : toc_metricdb_exemplar_count(db) > 0;
    int rc = is_due ? write_anew(db) : save(db);
    if (!rc && l->has_unsynced)
        rc = db->vfs->sync(db->vfs, l->file);
    l->has_unsynced = false;
    note_outcome(db, rc);
    leave(l);
}
