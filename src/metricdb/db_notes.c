/* What the database knows about itself and about metrics: losses, statistics, metadata. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "metricdb/rollups.h"
#include "sys/log.h"

/* --- losses --- */

static void shorten_path(const struct toc_metricdb *db, struct toc_metricdb_loss *loss) {
    size_t n = strlen(db->dir);
    if (!strncmp(loss->path, db->dir, n) && loss->path[n] == '/')
        memmove(loss->path, loss->path + n + 1, strlen(loss->path + n + 1) + 1);
}

static bool is_same_place(const struct toc_metricdb_loss *a, const struct toc_metricdb_loss *b) {
    return a->offset == b->offset && a->bytes == b->bytes && !strcmp(a->path, b->path) &&
           !strcmp(a->series, b->series);
}

void toc_metricdb_note_loss(struct toc_metricdb *db, const struct toc_metricdb_loss *loss) {
    struct toc_metricdb_loss row = *loss;
    shorten_path(db, &row);
    toc_mutex_lock(&db->notes_mutex);
    bool is_new = true;
    for (size_t i = 0; i < db->loss_count && is_new; i++)
        is_new = !is_same_place(&db->losses[i], &row);
    if (is_new && db->loss_count < TOC_METRICDB_LOSS_MAX)
        db->losses[db->loss_count++] = row;
    db->corruptions += is_new;
    toc_mutex_unlock(&db->notes_mutex);
    if (is_new)
        toc_log(TOC_LOG_ERROR, "metricdb",
                "damaged: %s at %llu (%llu bytes), series %s, times %lld to %lld; the rest is kept",
                row.path, (unsigned long long)row.offset, (unsigned long long)row.bytes,
                row.series[0] ? row.series : "unknown", (long long)row.min_ms,
                (long long)row.max_ms);
}

void toc_metricdb_note_chunk(struct toc_metricdb *db, const struct toc_block *b,
                             struct toc_labels labels, const struct toc_block_chunk *c) {
    struct toc_metricdb_loss loss = {.offset = c->offset,
                                     .bytes = c->bytes,
                                     .min_ms = c->min_ms,
                                     .max_ms = c->max_ms,
                                     .samples = c->samples};
    struct toc_buf text = TOC_BUF_INIT;
    if (labels.count)
        toc_labels_format(labels, &text);
    toc_sv_copy(toc_buf_sv(&text), loss.series, sizeof loss.series);
    snprintf(loss.path, sizeof loss.path, "%.*s/chunks", (int)sizeof loss.path - 8, b->path);
    toc_metricdb_note_loss(db, &loss);
    toc_buf_fini(&text);
}

/* --- statistics --- */

static void head_stats(struct toc_metricdb *db, struct toc_metricdb_stats *out) {
    for (int i = 0; i < TOC_HEAD_SHARDS; i++) {
        struct toc_head_shard *shard = &db->head.shards[i];
        toc_mutex_lock(&shard->mutex);
        out->head_samples += shard->samples;
        out->head_chunk_bytes += shard->chunk_bytes;
        out->oldest_ms = TOC_MIN(out->oldest_ms, shard->min_ms);
        out->newest_ms = TOC_MAX(out->newest_ms, shard->max_ms);
        toc_mutex_unlock(&shard->mutex);
    }
}

static void block_stats(struct toc_metricdb *db, struct toc_metricdb_stats *out) {
    toc_mutex_lock(&db->blocks.mutex);
    out->blocks = db->blocks.list.count;
    for (size_t i = 0; i < db->blocks.list.count; i++) {
        const struct toc_block *b = db->blocks.list.items[i];
        out->block_bytes += b->bytes;
        out->block_samples += b->meta.samples;
        out->oldest_ms = TOC_MIN(out->oldest_ms, b->meta.min_ms);
        out->newest_ms = TOC_MAX(out->newest_ms, b->meta.max_ms);
    }
    toc_mutex_unlock(&db->blocks.mutex);
}

static void rollup_stats(struct toc_metricdb *db, int store, struct toc_metricdb_stats *out) {
    struct toc_blocks *set = toc_metricdb_store(db, store);
    struct toc_metricdb_rollup_stats *r = &out->rollups[store - 1];
    toc_mutex_lock(&set->mutex);
    r->blocks = set->list.count;
    for (size_t i = 0; i < set->list.count; i++) {
        const struct toc_block *b = set->list.items[i];
        int64_t first_ms = b->meta.min_ms - toc_metricdb_resolution(store) + 1;
        r->bytes += b->bytes;
        r->buckets += b->meta.samples;
        out->oldest_ms = TOC_MIN(out->oldest_ms, first_ms);
        out->newest_ms = TOC_MAX(out->newest_ms, first_ms);
    }
    toc_mutex_unlock(&set->mutex);
}

void toc_metricdb_stats(struct toc_metricdb *db, struct toc_metricdb_stats *out) {
    *out = (struct toc_metricdb_stats){.oldest_ms = INT64_MAX, .newest_ms = INT64_MIN};
    out->series = atomic_load_explicit(&db->head.series_count, memory_order_relaxed);
    out->series_created = atomic_load_explicit(&db->head.series_created, memory_order_relaxed);
    out->samples_total = atomic_load_explicit(&db->samples_total, memory_order_relaxed);
    for (int i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        out->rejected[i] = atomic_load_explicit(&db->rejected[i], memory_order_relaxed);
    for (int i = 0; i < TOC_START_VERDICT_COUNT; i++)
        out->starts[i] = atomic_load_explicit(&db->starts[i], memory_order_relaxed);
    out->selects = atomic_load_explicit(&db->selects, memory_order_relaxed);
    out->blocks_sealed = atomic_load_explicit(&db->blocks_sealed, memory_order_relaxed);
    out->blocks_deleted = atomic_load_explicit(&db->blocks_deleted, memory_order_relaxed);
    for (int i = 0; i < TOC_METRICDB_EXPIRY_COUNT; i++) {
        out->expired_samples[i] =
            atomic_load_explicit(&db->expired_samples[i], memory_order_relaxed);
        out->expired_bytes[i] = atomic_load_explicit(&db->expired_bytes[i], memory_order_relaxed);
    }
    out->replay_records = db->replay_records;
    out->replay_samples = db->replay_samples;
    out->replay_seconds = db->replay_seconds;
    out->checkpoints = db->checkpoints.taken;
    out->checkpoint_bytes = db->checkpoints.written_bytes;
    out->checkpoint_failures = db->checkpoints.failures;
    out->checkpoints_refused = db->checkpoints.refused;
    out->checkpoint_samples = db->checkpoints.loaded_samples;
    head_stats(db, out);
    block_stats(db, out);
    rollup_stats(db, TOC_METRICDB_ROLLUP_5M, out);
    rollup_stats(db, TOC_METRICDB_ROLLUP_1H, out);
    const struct toc_scrub *s = &db->scrub;
    out->scrub = (struct toc_metricdb_scrub_stats){
        .chunks = atomic_load_explicit(&s->chunks, memory_order_relaxed),
        .bytes = atomic_load_explicit(&s->bytes, memory_order_relaxed),
        .passes = atomic_load_explicit(&s->passes, memory_order_relaxed),
        .damaged = atomic_load_explicit(&s->damaged, memory_order_relaxed),
        .repaired = atomic_load_explicit(&s->repaired, memory_order_relaxed),
        .unreadable = atomic_load_explicit(&s->unreadable, memory_order_relaxed),
        .pass_start_ms = atomic_load_explicit(&s->pass_start_ms, memory_order_relaxed)};
    out->rollups_made = atomic_load_explicit(&db->rollups_made, memory_order_relaxed);
    int code = atomic_load_explicit(&db->degraded_code, memory_order_relaxed);
    if (code) {
        out->is_degraded = true;
        out->degraded_code = code;
        snprintf(out->degraded_text, sizeof out->degraded_text, "writing a block: %s",
                 toc_strerror(code));
    }
    toc_wal_stats(db->wal, out);
    toc_mutex_lock(&db->notes_mutex);
    out->corruptions = db->corruptions;
    out->torn_tails = db->torn_tails;
    out->loss_count = db->loss_count;
    memcpy(out->losses, db->losses, db->loss_count * sizeof *db->losses);
    toc_mutex_unlock(&db->notes_mutex);
}

int64_t toc_metricdb_newest_ms(struct toc_metricdb *db) {
    struct toc_metricdb_stats s = {.oldest_ms = INT64_MAX, .newest_ms = INT64_MIN};
    head_stats(db, &s);
    block_stats(db, &s);
    return s.newest_ms;
}

/* --- metadata --- */

enum { METADATA_FILE_MAX = 64 << 20, TEXT_MAX = 4096 };

static char *dup_text(struct toc_sv s) {
    return toc_sv_dup_cstr(toc_sv_sub(s, 0, TEXT_MAX));
}

static void free_row(struct toc_metadata_row *row) {
    toc_free(row->metric);
    toc_free(row->help);
    toc_free(row->unit);
    toc_free(row);
}

static bool row_is(const struct toc_metadata_row *row, enum toc_metric_type type,
                   struct toc_sv help, struct toc_sv unit) {
    return row->type == type && toc_sv_eq_cstr(toc_sv_sub(help, 0, TEXT_MAX), row->help) &&
           toc_sv_eq_cstr(toc_sv_sub(unit, 0, TEXT_MAX), row->unit);
}

/* Under notes_mutex. */
static void set_row(struct toc_metricdb *db, struct toc_sv metric, enum toc_metric_type type,
                    struct toc_sv help, struct toc_sv unit) {
    struct toc_metadata_row *row = toc_map_get(&db->metadata, metric);
    if (row && row_is(row, type, help, unit))
        return;
    if (!row && (db->metadata.count >= db->limits.max_metadata || !metric.n ||
                 metric.n > db->limits.max_label_value_bytes))
        return;
    if (row) {
        toc_free(row->help);
        toc_free(row->unit);
    } else {
        row = TOC_NEW(struct toc_metadata_row);
        row->metric = toc_sv_dup_cstr(metric);
        toc_map_put(&db->metadata, metric, row);
    }
    row->type = type;
    row->help = dup_text(help);
    row->unit = dup_text(unit);
    db->metadata_changed = true;
}

static void put(struct toc_metricdb *db, struct toc_sv metric, enum toc_metric_type type,
                struct toc_sv help, struct toc_sv unit) {
    toc_mutex_lock(&db->notes_mutex);
    set_row(db, metric, type, help, unit);
    toc_mutex_unlock(&db->notes_mutex);
}

static void put_metadata(struct toc_sink *sink, struct toc_sv metric, enum toc_metric_type type,
                         struct toc_sv help, struct toc_sv unit) {
    put(TOC_CONTAINER_OF(sink, struct toc_metricdb, sink), metric, type, help, unit);
}

static void put_own_metadata(struct toc_sink *sink, struct toc_sv metric, enum toc_metric_type type,
                             struct toc_sv help, struct toc_sv unit) {
    put(TOC_CONTAINER_OF(sink, struct toc_metricdb, own_sink), metric, type, help, unit);
}

static void metadata_path(const struct toc_metricdb *db, char *out, size_t out_size) {
    snprintf(out, out_size, "%s/metadata", db->dir);
}

/* "TOCMETA1", rows of metric, type, help, unit; u32 crc of all before. */
static void encode_metadata(struct toc_metricdb *db, struct toc_buf *out) {
    size_t cursor = 0;
    const struct toc_map_entry *e;
    toc_buf_append_cstr(out, "TOCMETA1");
    while ((e = toc_map_next(&db->metadata, &cursor))) {
        const struct toc_metadata_row *row = e->value;
        const char *texts[] = {row->metric, row->help, row->unit};
        toc_buf_append_u8(out, (uint8_t)row->type);
        for (size_t i = 0; i < TOC_ARRAY_LEN(texts); i++) {
            toc_buf_append_varint(out, strlen(texts[i]));
            toc_buf_append_cstr(out, texts[i]);
        }
    }
    toc_buf_append_u32(out, toc_crc32c(0, out->p, out->n));
}

int toc_metricdb_save_metadata(struct toc_metricdb *db) {
    char path[4096];
    struct toc_buf bytes = TOC_BUF_INIT;
    toc_mutex_lock(&db->notes_mutex);
    bool changed = db->metadata_changed;
    if (changed)
        encode_metadata(db, &bytes);
    db->metadata_changed = false;
    toc_mutex_unlock(&db->notes_mutex);
    if (!changed)
        return 0;
    metadata_path(db, path, sizeof path);
    int rc = toc_vfs_write_file(db->vfs, path, toc_buf_sv(&bytes));
    if (rc) {
        toc_mutex_lock(&db->notes_mutex);
        db->metadata_changed = true;
        toc_mutex_unlock(&db->notes_mutex);
    }
    toc_buf_fini(&bytes);
    return rc;
}

static bool decode_metadata(struct toc_metricdb *db, struct toc_sv bytes) {
    if (bytes.n < 12 || !toc_sv_starts_with(bytes, TOC_SV("TOCMETA1")))
        return false;
    uint32_t crc;
    memcpy(&crc, bytes.p + bytes.n - 4, 4);
    if (crc != toc_crc32c(0, bytes.p, bytes.n - 4))
        return false;
    struct toc_reader r = toc_reader_make(toc_sv_sub(bytes, 8, bytes.n - 12));
    while (toc_reader_left(&r) && !r.error) {
        unsigned type = toc_read_u8(&r);
        struct toc_sv metric = toc_read_string(&r), help = toc_read_string(&r);
        struct toc_sv unit = toc_read_string(&r);
        if (!r.error)
            set_row(db, metric, (enum toc_metric_type)type, help, unit);
    }
    return !r.error;
}

void toc_metricdb_load_metadata(struct toc_metricdb *db) {
    char path[4096];
    struct toc_buf bytes = TOC_BUF_INIT;
    db->sink.metadata = put_metadata;
    db->own_sink.metadata = put_own_metadata;
    metadata_path(db, path, sizeof path);
    int rc = toc_vfs_read_file(db->vfs, path, METADATA_FILE_MAX, &bytes);
    if (rc != TOC_ENOENT && (rc || !decode_metadata(db, toc_buf_sv(&bytes))))
        toc_log(TOC_LOG_WARN, "metricdb", "%s is damaged; types and help texts are learnt anew",
                path);
    db->metadata_changed = false;
    toc_buf_fini(&bytes);
}

struct listing {
    TOC_VEC_FIELDS(struct toc_metadata_row)
};

static int by_metric(const void *a, const void *b) {
    return strcmp(((const struct toc_metadata_row *)a)->metric,
                  ((const struct toc_metadata_row *)b)->metric);
}

/* Copies, so that fn runs without a lock. */
static void copy_rows(struct toc_metricdb *db, struct toc_sv metric, struct listing *out) {
    size_t cursor = 0;
    const struct toc_map_entry *e;
    toc_mutex_lock(&db->notes_mutex);
    while ((e = toc_map_next(&db->metadata, &cursor))) {
        const struct toc_metadata_row *row = e->value;
        if (metric.n && !toc_sv_eq(metric, e->key))
            continue;
        struct toc_metadata_row copy = {toc_xstrdup(row->metric), toc_xstrdup(row->help),
                                        toc_xstrdup(row->unit), row->type};
        TOC_VEC_PUSH(out, copy);
    }
    toc_mutex_unlock(&db->notes_mutex);
}

int toc_metricdb_metadata(struct toc_metricdb *db, struct toc_sv metric, toc_on_metadata *fn,
                          void *ctx) {
    struct listing rows = {0};
    copy_rows(db, metric, &rows);
    if (rows.count)
        qsort(rows.items, rows.count, sizeof *rows.items, by_metric);
    int rc = 0;
    for (size_t i = 0; i < rows.count; i++) {
        struct toc_metadata_row *row = &rows.items[i];
        struct toc_metric_metadata m = {toc_sv_cstr(row->metric), toc_sv_cstr(row->help),
                                        toc_sv_cstr(row->unit), row->type};
        rc = rc ? rc : fn(ctx, &m);
        toc_free(row->metric);
        toc_free(row->help);
        toc_free(row->unit);
    }
    TOC_VEC_FINI(&rows);
    return rc;
}

void toc_metricdb_fini_notes(struct toc_metricdb *db) {
    size_t cursor = 0;
    const struct toc_map_entry *e;
    while ((e = toc_map_next(&db->metadata, &cursor)))
        free_row(e->value);
    toc_map_fini(&db->metadata);
}
