/* Reads everything a database directory holds and reports what is damaged. */
#include <stdio.h>

#include "base/alloc.h"
#include "metricdb/block_format.h"
#include "metricdb/exemplar_log.h"
#include "metricdb/histogram_code.h"
#include "metricdb/rollup_chunk.h"
#include "metricdb/rollups.h"

struct verify {
    struct toc_vfs *vfs;
    const char *dir;
    toc_on_damage *fn;
    void *ctx;
    struct toc_metricdb_verdict *out;
    struct toc_err *err; /* of what stops it */
    const char *file;    /* being read, relative to dir */
    int store;
    struct toc_series_buffer columns;
};

static void report(struct verify *v, struct toc_metricdb_loss *loss, const char *what) {
    toc_sv_copy(toc_sv_cstr(v->file), loss->path, sizeof loss->path);
    v->out->damaged++;
    if (v->fn)
        v->fn(v->ctx, loss, what);
}

/* --- log --- */

struct tail {
    bool is_there;
    uint64_t number;
    char file[64];
    struct toc_metricdb_loss loss;
    struct verify *v;
};

static void on_sample(void *ctx, uint32_t id, int64_t t_ms, double value) {
    (void)id;
    (void)t_ms;
    (void)value;
    ((struct tail *)ctx)->v->out->samples++;
}

static void on_histogram(void *ctx, uint32_t id, int64_t t_ms, struct toc_sv bytes) {
    struct tail *tail = ctx;
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_histogram *h;
    (void)id;
    tail->v->out->samples++;
    int rc = toc_histogram_decode(bytes, &arena, &h);
    if (rc || toc_histogram_validate(h, NULL)) {
        struct toc_metricdb_loss loss = {.min_ms = t_ms, .max_ms = t_ms, .samples = 1};
        report(tail->v, &loss, "a histogram of the log");
    }
    toc_arena_fini(&arena);
}

static void on_damage(void *ctx, uint64_t offset, uint64_t bytes, bool is_tail, int64_t min_ms,
                      int64_t max_ms) {
    struct tail *tail = ctx;
    struct toc_metricdb_loss loss = {
        .offset = offset, .bytes = bytes, .min_ms = min_ms, .max_ms = max_ms};
    if (is_tail) {
        tail->is_there = true;
        tail->loss = loss;
    } else {
        report(tail->v, &loss, "a log record");
    }
}

static int verify_segment(struct verify *v, const char *wal_dir, uint64_t number, struct tail *tail,
                          uint64_t *io_last) {
    char path[4096];
    struct toc_wal_summary sum;
    struct tail now = {.v = v, .number = number}, before = *tail;
    struct toc_wal_visitor visitor = {
        .ctx = &now, .sample = on_sample, .histogram = on_histogram, .damage = on_damage};
    snprintf(now.file, sizeof now.file, "wal/%010llu.wal", (unsigned long long)number);
    toc_wal_path(wal_dir, number, path, sizeof path);
    v->file = now.file;
    int rc = toc_wal_read(v->vfs, path, &visitor, &sum);
    if (rc == TOC_EVERSION) {
        v->file = NULL;
        return toc_wal_refuse_newer(wal_dir, number, v->err);
    }
    if (rc && rc != TOC_ENOENT &&
        !toc_wal_is_unborn(rc, &sum)) { /* a running daemon may have deleted it */
        struct toc_metricdb_loss loss = {.bytes = sum.bytes};
        report(v, &loss, "a log segment");
    }
    if (!rc && sum.has_bad_header) {
        struct toc_metricdb_loss loss = {.bytes = 2 * (uint64_t)TOC_WAL_HEADER_BYTES};
        report(v, &loss, "one of the two copies of a log segment's header");
    }
    /* An unfinished end is damage only when acknowledged records are missing behind it, which a
     * segment deleted in between hides. */
    if (before.is_there && before.number + 1 == number && sum.first_sequence &&
        sum.first_sequence != *io_last + 1) {
        v->file = before.file;
        report(v, &before.loss, "the end of a log segment");
    }
    *tail = now;
    *io_last = TOC_MAX(*io_last, sum.last_sequence);
    v->out->wal_segments++;
    v->out->wal_records += sum.records;
    v->file = NULL; /* of this one's frame, or of the one's before */
    return 0;
}

static int verify_wal(struct verify *v) {
    char dir[4096];
    uint64_t *numbers = NULL, last = 0;
    size_t count = 0;
    struct tail tail = {0};
    snprintf(dir, sizeof dir, "%s/wal", v->dir);
    int rc = toc_wal_list(v->vfs, dir, &numbers, &count);
    for (size_t i = 0; i < count && !rc; i++)
        rc = verify_segment(v, dir, numbers[i], &tail, &last);
    toc_free(numbers);
    return rc;
}

/* --- checkpoints of the head --- */

/* Reads it as a start does. Chunks files alone tell nothing. */
static int on_checkpoint(void *ctx, const char *name) {
    struct verify *v = ctx;
    enum toc_checkpoint_kind kind;
    struct toc_checkpoint_end end;
    struct toc_metricdb_loss loss = {0};
    char dir[4096], file[64];
    uint64_t number = toc_checkpoint_number(name, &kind);
    if (!number || kind != TOC_CHECKPOINT_OPEN_FILE)
        return 0;
    snprintf(dir, sizeof dir, "%s/head", v->dir);
    snprintf(file, sizeof file, "head/%s", name);
    v->file = file;
    v->out->checkpoints++;
    struct toc_head *head = TOC_NEW(struct toc_head);
    toc_head_init(head, 1);
    int rc = toc_checkpoint_restore(v->vfs, dir, number, head, &end);
    if (rc && rc != TOC_ENOENT) /* a running daemon may have deleted it */
        report(v, &loss, "a checkpoint of the head (nothing is lost; a start reads the log)");
    toc_checkpoint_fini_end(&end);
    toc_head_fini(head);
    toc_free(head);
    return 0;
}

static int verify_head(struct verify *v) {
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/head", v->dir);
    int rc = v->vfs->list(v->vfs, dir, on_checkpoint, v);
    return rc == TOC_ENOENT ? 0 : rc;
}

/* --- blocks --- */

/* Whether the buckets are what the index says of them. */
static int check_rollups(struct verify *v, const struct toc_block_index *x,
                         const struct toc_block_chunk *c) {
    struct toc_buf bytes = TOC_BUF_INIT;
    struct toc_rollups *b = &v->columns.rollups;
    int rc = toc_block_load_chunk(x, c, &bytes);
    if (!rc)
        rc = toc_rollup_chunk_decode(toc_buf_sv(&bytes), toc_metricdb_resolution(v->store), b);
    if (!rc && (b->count != c->samples || b->items[0].end_ms != c->min_ms ||
                b->items[b->count - 1].end_ms != c->max_ms))
        rc = TOC_ECORRUPT;
    v->out->buckets += rc ? 0 : b->count;
    toc_buf_fini(&bytes);
    return rc;
}

static int check_samples(struct verify *v, const struct toc_block_index *x,
                         const struct toc_block_chunk *c) {
    int rc = toc_block_read_chunk(x, c, INT64_MIN, INT64_MAX, &v->columns);
    size_t n = v->columns.count;
    if (!rc &&
        (n != c->samples || v->columns.t_ms[0] != c->min_ms || v->columns.t_ms[n - 1] != c->max_ms))
        rc = TOC_ECORRUPT;
    v->out->samples += rc ? 0 : n;
    return rc;
}

static void verify_chunk(struct verify *v, const struct toc_block_index *x,
                         struct toc_labels labels, const struct toc_block_chunk *c) {
    v->out->chunks++;
    toc_series_buffer_reset(&v->columns);
    int rc = v->store == TOC_METRICDB_RAW ? check_samples(v, x, c) : check_rollups(v, x, c);
    if (!rc)
        return;
    struct toc_metricdb_loss loss = {.offset = c->offset,
                                     .bytes = c->bytes,
                                     .min_ms = c->min_ms,
                                     .max_ms = c->max_ms,
                                     .samples = c->samples};
    struct toc_buf text = TOC_BUF_INIT;
    toc_labels_format(labels, &text);
    toc_sv_copy(toc_buf_sv(&text), loss.series, sizeof loss.series);
    toc_buf_fini(&text);
    const char *block = v->file;
    char file[128];
    snprintf(file, sizeof file, "%s/chunks", block);
    v->file = file;
    report(v, &loss, "a chunk");
    v->file = block;
}

static void verify_series(struct verify *v, const struct toc_block_index *x) {
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    struct toc_labels labels;
    struct toc_block_cursor cursor;
    struct toc_block_chunk chunk;
    for (uint32_t i = 0; i < toc_block_index_meta(x)->series; i++) {
        struct toc_metricdb_loss loss = {0};
        if (toc_block_index_labels(x, i, items, &labels) || toc_block_index_chunks(x, i, &cursor)) {
            report(v, &loss, "a series entry");
            continue;
        }
        while (toc_block_cursor_next(&cursor, &chunk))
            verify_chunk(v, x, labels, &chunk);
        if (cursor.r.error)
            report(v, &loss, "a series entry");
    }
}

/* Reports the damage of one file of the block in v->file. */
static void report_file(struct verify *v, const char *name, const char *what) {
    struct toc_metricdb_loss loss = {0};
    char file[128];
    const char *block = v->file;
    snprintf(file, sizeof file, "%s/%s", block, name);
    v->file = file;
    report(v, &loss, what);
    v->file = block;
}

static bool is_index_whole(struct verify *v, const char *path, const char *name) {
    enum { INDEX_FILE_MAX = 1 << 30 };
    char file[4200];
    struct toc_buf bytes = {.limit_bytes = (size_t)INDEX_FILE_MAX * 2 + 65536};
    struct toc_block_index *x = NULL;
    snprintf(file, sizeof file, "%s/%s", path, name);
    int rc = toc_vfs_read_file(v->vfs, file, (size_t)INDEX_FILE_MAX * 2, &bytes);
    if (!rc)
        rc = toc_block_index_parse(&bytes, &x);
    toc_block_index_unref(&x);
    toc_buf_fini(&bytes);
    return rc == 0;
}

static bool has_chunks_magic(struct verify *v, const char *path) {
    char file[4200], magic[sizeof TOC_BLOCK_CHUNKS_MAGIC - 1];
    struct toc_file *f = NULL;
    snprintf(file, sizeof file, "%s/chunks", path);
    if (toc_file_open(v->vfs, file, TOC_OPEN_READ, &f))
        return false;
    int64_t got = v->vfs->pread(v->vfs, f, magic, sizeof magic, 0);
    toc_file_close(v->vfs, &f);
    return got == (int64_t)sizeof magic && !memcmp(magic, TOC_BLOCK_CHUNKS_MAGIC, sizeof magic);
}

static bool are_deletions_whole(struct verify *v, const char *path, unsigned copy) {
    struct toc_tombstones *t;
    int rc = toc_tombstones_read_copy(v->vfs, path, copy, &t);
    toc_tombstones_unref(&t);
    return rc == 0 || rc == TOC_ENOENT;
}

/* Every file but the chunks themselves. Most are there twice: damage of one costs nothing yet. */
static void verify_files(struct verify *v, const char *path) {
    struct toc_ids64 ids = {0};
    if (!is_index_whole(v, path, "index"))
        report_file(v, "index", "one of the two copies of a block index");
    if (!is_index_whole(v, path, "index2"))
        report_file(v, "index2", "one of the two copies of a block index");
    if (!has_chunks_magic(v, path))
        report_file(v, "chunks", "the beginning of a chunks file");
    if (!are_deletions_whole(v, path, 0))
        report_file(v, "deleted", "one of the two copies of a list of deletions");
    if (!are_deletions_whole(v, path, 1))
        report_file(v, "deleted2", "one of the two copies of a list of deletions");
    if (toc_block_read_replaced(v->vfs, path, &ids) == TOC_ECORRUPT)
        report_file(v, "replaces", "the list of blocks that a block replaces");
    TOC_VEC_FINI(&ids);
}

static void verify_block(struct verify *v, const char *path) {
    struct toc_block *b;
    struct toc_block_index *x;
    struct toc_metricdb_loss loss = {0};
    unsigned headers = 0, indexes = 0;
    ++*(v->store == TOC_METRICDB_RAW ? &v->out->blocks : &v->out->rollup_blocks);
    int rc = toc_block_open(v->vfs, path, &b, &headers);
    if (rc) {
        report(v, &loss, "a block (both copies of its index, or its chunks file)");
        return;
    }
    verify_files(v, path);
    rc = toc_block_load_index(b, &x, &indexes);
    if (rc) {
        report(v, &loss, "both copies of a block index");
    } else {
        verify_series(v, x);
        toc_block_index_unref(&x);
    }
    toc_block_unref(&b);
}

static int on_block(void *ctx, const char *name) {
    struct verify *v = ctx;
    char path[4096], file[64];
    if (strncmp(name, "b-", 2) != 0)
        return 0;
    const char *folder = toc_metricdb_store_dir(v->store);
    snprintf(path, sizeof path, "%s/%s/%s", v->dir, folder, name);
    snprintf(file, sizeof file, "%s/%s", folder, name);
    v->file = file;
    verify_block(v, path);
    return 0;
}

/* --- exemplars --- */

static void on_whole_exemplar(void *ctx, struct toc_labels series, const struct toc_exemplar *e) {
    (void)series;
    (void)e;
    ((struct verify *)ctx)->out->exemplars++;
}

static void on_bad_exemplars(void *ctx, uint64_t offset, uint64_t bytes) {
    struct toc_metricdb_loss loss = {.offset = offset, .bytes = bytes};
    report(ctx, &loss, "saved exemplars");
}

/* A torn end is what a crash leaves. */
static int verify_exemplars(struct verify *v) {
    struct toc_exemplar_visitor visitor = {v, on_whole_exemplar, on_bad_exemplars};
    char path[4096];
    uint32_t salt_crc;
    uint64_t end, bytes;
    snprintf(path, sizeof path, "%.4000s/exemplars", v->dir);
    v->file = "exemplars";
    int rc = toc_exemplar_log_read(v->vfs, path, &visitor, &salt_crc, &end, &bytes);
    if (rc == TOC_ECORRUPT)
        on_bad_exemplars(v, 0, bytes);
    return rc == TOC_ENOENT || rc == TOC_ECORRUPT ? 0 : rc;
}

int toc_metricdb_verify(struct toc_vfs *vfs, const char *dir, toc_on_damage *fn, void *ctx,
                        struct toc_metricdb_verdict *out, struct toc_err *err) {
    struct verify v = {.vfs = vfs, .dir = dir, .fn = fn, .ctx = ctx, .out = out, .err = err};
    *out = (struct toc_metricdb_verdict){0};
    int rc = verify_wal(&v);
    if (!rc)
        rc = verify_head(&v);
    if (!rc)
        rc = verify_exemplars(&v);
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT && !rc; k++) {
        char blocks[4096];
        snprintf(blocks, sizeof blocks, "%s/%s", dir, toc_metricdb_store_dir(k));
        v.store = k;
        rc = vfs->list(vfs, blocks, on_block, &v);
        if (k && rc == TOC_ENOENT) /* of a version before roll-ups */
            rc = 0;
    }
    toc_series_buffer_fini(&v.columns);
    return rc ? toc_errf(err, rc, "cannot read the database in %s: %s", dir, toc_strerror(rc)) : 0;
}
