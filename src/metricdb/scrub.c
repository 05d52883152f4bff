#include "metricdb/scrub.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "metricdb/block_format.h"
#include "metricdb/rollups.h"
#include "sys/log.h"

#define MAGIC "TOCSCR01"
enum {
    POSITION_BYTES = 36,
    SAVE_MS = 60000,
    ELAPSED_MS_MAX = 5000, /* what was not used is not made up for */
    BYTES_PER_S_MIN = 65536,
    READ_COST_BYTES = 512, /* of one read, however small */
    STEPS_MAX = 100000,
};
#define COPY_MAX ((size_t)2 << 30)

static void count(atomic_uint_fast64_t *n, uint64_t more) {
    atomic_fetch_add_explicit(n, more, memory_order_relaxed);
}

/* --- position --- */

static void position_path(const struct toc_metricdb *db, char *out, size_t out_size) {
    snprintf(out, out_size, "%.4000s/scrub", db->dir);
}

static void save(struct toc_metricdb *db) {
    struct toc_scrub *s = &db->scrub;
    char path[4096];
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_append_cstr(&b, MAGIC);
    toc_buf_append_u32(&b, (uint32_t)s->store);
    toc_buf_append_u32(&b, s->series);
    toc_buf_append_u64(&b, s->block);
    toc_buf_append_u64(&b, (uint64_t)s->pass_start_ms);
    toc_buf_append_u32(&b, toc_crc32c(0, b.p, b.n));
    position_path(db, path, sizeof path);
    /* When it is lost a pass begins anew. */
    if (toc_buf_error(&b) || toc_vfs_write_file(db->vfs, path, toc_buf_sv(&b)))
        count(&s->unreadable, 1);
    s->saved_ns = toc_clock_mono(db->clock).ns;
    toc_buf_fini(&b);
}

static void begin_pass(struct toc_metricdb *db) {
    struct toc_scrub *s = &db->scrub;
    s->store = TOC_METRICDB_RAW;
    s->series = 0;
    s->block = 0;
    s->pass_start_ms = toc_clock_now(db->clock).ms;
}

static void load(struct toc_metricdb *db) {
    struct toc_scrub *s = &db->scrub;
    char path[4096];
    struct toc_buf b = {.limit_bytes = 1 << 20};
    uint32_t crc;
    s->is_loaded = true;
    begin_pass(db);
    position_path(db, path, sizeof path);
    if (!toc_vfs_read_file(db->vfs, path, POSITION_BYTES, &b) && b.n == POSITION_BYTES) {
        struct toc_reader r = toc_reader_make(toc_buf_sv(&b));
        memcpy(&crc, b.p + POSITION_BYTES - 4, 4);
        bool is_whole = toc_sv_eq(toc_read_bytes(&r, sizeof MAGIC - 1), TOC_SV(MAGIC)) &&
                        crc == toc_crc32c(0, b.p, POSITION_BYTES - 4);
        uint32_t store = toc_read_u32(&r), series = toc_read_u32(&r);
        uint64_t block = toc_read_u64(&r);
        int64_t start_ms = (int64_t)toc_read_u64(&r);
        if (is_whole && store <= TOC_METRICDB_STORE_COUNT) {
            s->store = (int)store;
            s->series = series;
            s->block = block;
            s->pass_start_ms = start_ms;
        }
    }
    toc_buf_fini(&b);
}

/* --- second copies --- */

static void tell(struct toc_metricdb *db, struct toc_metricdb_loss *loss, const char *block,
                 const char *file) {
    snprintf(loss->path, sizeof loss->path, "%.180s/%.40s", block, file);
    count(&db->scrub.damaged, 1);
    toc_metricdb_note_loss(db, loss);
}

/* Both kinds of file end with a checksum of all before. */
static bool is_whole(const struct toc_buf *b, const char *magic) {
    uint32_t crc;
    if (b->n < 12 || memcmp(b->p, magic, 8) != 0)
        return false;
    memcpy(&crc, b->p + b->n - 4, 4);
    return crc == toc_crc32c(0, b->p, b->n - 4);
}

struct copy {
    struct toc_buf bytes;
    int rc;
    bool is_good;
};

static void read_copy(struct toc_metricdb *db, const char *block, const char *name,
                      const char *magic, struct copy *out) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", block, name);
    *out = (struct copy){.bytes = {.limit_bytes = COPY_MAX + 65536}};
    out->rc = toc_vfs_read_file(db->vfs, path, COPY_MAX, &out->bytes);
    out->is_good = !out->rc && is_whole(&out->bytes, magic);
    db->scrub.allowance_bytes -= (int64_t)out->bytes.n + READ_COST_BYTES;
    count(&db->scrub.bytes, out->bytes.n);
    if (out->rc && out->rc != TOC_ENOENT)
        count(&db->scrub.unreadable, 1);
}

/* `to` is bad, missing or older: it becomes what `from` is. */
static void repair(struct toc_metricdb *db, const char *block, const char *name,
                   const struct copy *from) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", block, name);
    int rc = toc_vfs_write_file(db->vfs, path, toc_buf_sv(&from->bytes));
    count(rc ? &db->scrub.unreadable : &db->scrub.repaired, 1);
    toc_log(rc ? TOC_LOG_WARN : TOC_LOG_INFO, "metricdb", "%s was damaged: %s", path,
            rc ? toc_strerror(rc) : "written anew from its second copy");
}

/* The first copy is written first, so it is the newer one when both are good. */
static void check_copies(struct toc_metricdb *db, const char *block, const char *first,
                         const char *second, const char *magic) {
    struct copy a, b;
    read_copy(db, block, first, magic, &a);
    read_copy(db, block, second, magic, &b);
    bool is_there = a.rc != TOC_ENOENT || b.rc != TOC_ENOENT;
    /* What cannot be read now may be there later. */
    bool is_known = (!a.rc || a.rc == TOC_ENOENT) && (!b.rc || b.rc == TOC_ENOENT);
    struct toc_metricdb_loss loss = {0};
    if (is_there && is_known && !a.is_good && !b.is_good)
        tell(db, &loss, block, first);
    else if (is_known && a.is_good &&
             !(b.is_good && toc_sv_eq(toc_buf_sv(&a.bytes), toc_buf_sv(&b.bytes))))
        repair(db, block, second, &a);
    else if (is_known && b.is_good && !a.is_good)
        repair(db, block, first, &b);
    toc_buf_fini(&a.bytes);
    toc_buf_fini(&b.bytes);
}

/* --- chunks --- */

static void tell_chunk(struct toc_metricdb *db, const struct toc_block *b, uint32_t series,
                       const struct toc_block_chunk *c) {
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    struct toc_labels labels;
    if (toc_block_index_labels(db->scrub.index, series, items, &labels))
        labels = TOC_LABELS_EMPTY;
    count(&db->scrub.damaged, 1);
    toc_metricdb_note_chunk(db, b, labels, c);
}

static void check_series(struct toc_metricdb *db, const struct toc_block *b, uint32_t series,
                         struct toc_buf *bytes) {
    struct toc_scrub *s = &db->scrub;
    struct toc_block_cursor cursor;
    struct toc_block_chunk c;
    if (toc_block_index_chunks(s->index, series, &cursor))
        return;
    while (toc_block_cursor_next(&cursor, &c)) {
        toc_buf_reset(bytes);
        int rc = toc_block_load_chunk(s->index, &c, bytes);
        s->allowance_bytes -= (int64_t)c.bytes + READ_COST_BYTES;
        count(&s->chunks, 1);
        count(&s->bytes, c.bytes);
        if (rc == TOC_ECORRUPT)
            tell_chunk(db, b, series, &c);
        else if (rc)
            count(&s->unreadable, 1);
    }
}

/* --- blocks --- */

static void leave_block(struct toc_metricdb *db) {
    struct toc_scrub *s = &db->scrub;
    toc_block_index_unref(&s->index);
    s->series = 0;
    s->block++;
}

static void enter_block(struct toc_metricdb *db, const struct toc_block *b) {
    unsigned damaged;
    check_copies(db, b->path, "index", "index2", TOC_BLOCK_INDEX_MAGIC);
    check_copies(db, b->path, "deleted", "deleted2", "TOCDEL01");
    if (toc_block_load_index(b, &db->scrub.index, &damaged)) {
        db->scrub.index = NULL;
        leave_block(db);
    }
}

static void check_block(struct toc_metricdb *db, const struct toc_block *b) {
    struct toc_scrub *s = &db->scrub;
    struct toc_buf bytes = {.limit_bytes = 128 << 20};
    if (s->block != b->meta.id) { /* of one that is gone */
        toc_block_index_unref(&s->index);
        s->series = 0;
        s->block = b->meta.id;
    }
    if (!s->index)
        enter_block(db, b);
    while (s->index && s->series < b->meta.series && s->allowance_bytes > 0)
        check_series(db, b, s->series++, &bytes);
    if (s->index && s->series >= b->meta.series)
        leave_block(db);
    toc_buf_fini(&bytes);
}

/* The block with the smallest id that is not smaller than the position; NULL: the store is done. */
static struct toc_block *find_block(struct toc_metricdb *db) {
    struct toc_blocks *set = toc_metricdb_store(db, db->scrub.store);
    struct toc_block *found = NULL;
    toc_mutex_lock(&set->mutex);
    for (size_t i = 0; i < set->list.count && !found; i++) /* by id */
        if (set->list.items[i]->meta.id >= db->scrub.block)
            found = toc_block_ref(set->list.items[i]);
    toc_mutex_unlock(&set->mutex);
    return found;
}

static void next_store(struct toc_metricdb *db) {
    struct toc_scrub *s = &db->scrub;
    toc_block_index_unref(&s->index);
    s->block = 0;
    s->series = 0;
    if (++s->store < TOC_METRICDB_STORE_COUNT)
        return;
    count(&s->passes, 1);
    save(db);
}

/* --- the step --- */

static uint64_t total_bytes(struct toc_metricdb *db) {
    uint64_t bytes = 0;
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT; k++) {
        struct toc_blocks *set = toc_metricdb_store(db, k);
        toc_mutex_lock(&set->mutex);
        for (size_t i = 0; i < set->list.count; i++)
            bytes += set->list.items[i]->bytes;
        toc_mutex_unlock(&set->mutex);
    }
    return bytes;
}

/* Fast enough for two passes per interval, within the limits. */
static int64_t bytes_per_s(struct toc_metricdb *db) {
    int64_t seconds = TOC_MAX(db->limits.scrub_interval_ms / 1000, 1);
    int64_t wanted = (int64_t)(total_bytes(db) * 2) / seconds;
    return TOC_MIN(TOC_MAX(wanted, BYTES_PER_S_MIN), (int64_t)db->limits.scrub_bytes_per_s);
}

static bool is_due(struct toc_metricdb *db) {
    struct toc_scrub *s = &db->scrub;
    int64_t now_ms = toc_clock_now(db->clock).ms;
    if (s->store < TOC_METRICDB_STORE_COUNT)
        return true;
    if (now_ms >= s->pass_start_ms && now_ms - s->pass_start_ms < db->limits.scrub_interval_ms)
        return false;
    begin_pass(db);
    return true;
}

void toc_metricdb_scrub(struct toc_metricdb *db) {
    struct toc_scrub *s = &db->scrub;
    int64_t now = toc_clock_mono(db->clock).ns;
    int64_t elapsed_ms = s->last_ns ? (now - s->last_ns) / 1000000 : 0;
    if (db->limits.scrub_interval_ms < 0)
        return;
    if (!s->is_loaded)
        load(db);
    s->last_ns = now;
    if (!is_due(db))
        return;
    int64_t rate = bytes_per_s(db);
    s->allowance_bytes += rate * TOC_MIN(elapsed_ms, ELAPSED_MS_MAX) / 1000;
    s->allowance_bytes = TOC_MIN(s->allowance_bytes, rate * ELAPSED_MS_MAX / 1000);
    for (int i = 0; i < STEPS_MAX && s->allowance_bytes > 0 && s->store < TOC_METRICDB_STORE_COUNT;
         i++) {
        struct toc_block *b = find_block(db);
        if (b)
            check_block(db, b);
        else
            next_store(db);
        toc_block_unref(&b);
    }
    if (s->store < TOC_METRICDB_STORE_COUNT && now - s->saved_ns > (int64_t)SAVE_MS * 1000000)
        save(db);
}

void toc_scrub_fini(struct toc_scrub *s) {
    toc_block_index_unref(&s->index);
}
