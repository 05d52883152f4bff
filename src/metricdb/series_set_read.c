/* Reading the series of a frozen selection. Everything here may run in several threads at once. */
#include "base/assert.h"
#include "metricdb/head_copy.h"
#include "metricdb/histogram_track.h"
#include "metricdb/rollups.h"
#include "metricdb/series_set.h"

struct toc_labels toc_metricdb_set_labels(const struct toc_metricdb_set *set, size_t i,
                                          struct toc_label *items) {
    const struct toc_set_entry *e = &set->entries[i];
    if (e->series)
        return toc_series_labels(&set->db->head, e->series, items);
    struct toc_set_part part = set->parts[e->first_part];
    struct toc_labels labels = TOC_LABELS_EMPTY;
    int rc = toc_block_index_labels(set->origins[part.origin].index, part.number, items, &labels);
    TOC_ASSERT(rc == 0); /* it was read once when the set was made */
    return labels;
}

/* --- blocks --- */

void toc_metricdb_set_on_loss(void *ctx, const struct toc_block_chunk *c) {
    const struct toc_set_loss *p = ctx;
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    toc_metricdb_note_chunk(p->set->db, p->block, toc_metricdb_set_labels(p->set, p->i, items), c);
}

/* A damaged chunk is noted and left out. */
static int read_part(struct toc_metricdb_set *set, size_t i, struct toc_set_part part,
                     int64_t min_ms, int64_t max_ms, struct toc_series_buffer *out) {
    const struct toc_set_origin *o = &set->origins[part.origin];
    struct toc_set_loss place = {set, i, o->block};
    size_t from = out->count, deleted;
    const struct toc_tombstone *gone = toc_tombstones_of(o->tombstones, part.number, &deleted);
    int rc = toc_block_read_series(o->index, part.number, min_ms, max_ms, out,
                                   toc_metricdb_set_on_loss, &place);
    for (size_t k = 0; k < deleted; k++)
        toc_samples_cut(out, from, gone[k].min_ms, gone[k].max_ms);
    return rc;
}

static bool is_deleted(const struct toc_block_chunk *c, const struct toc_tombstone *gone,
                       size_t count) {
    for (size_t i = 0; i < count; i++)
        if (c->min_ms >= gone[i].min_ms && c->max_ms <= gone[i].max_ms)
            return true;
    return false;
}

static bool part_overlaps(const struct toc_metricdb_set *set, struct toc_set_part part,
                          int64_t min_ms, int64_t max_ms) {
    const struct toc_set_origin *o = &set->origins[part.origin];
    struct toc_block_cursor cursor;
    struct toc_block_chunk c;
    size_t deleted;
    const struct toc_tombstone *gone = toc_tombstones_of(o->tombstones, part.number, &deleted);
    int64_t reach_ms = toc_metricdb_resolution(o->store); /* how far a bucket tells back */
    if (toc_block_index_chunks(o->index, part.number, &cursor))
        return false;
    while (toc_block_cursor_next(&cursor, &c))
        if (c.max_ms >= min_ms && c.min_ms - reach_ms <= max_ms && !is_deleted(&c, gone, deleted))
            return true;
    return false;
}

static bool is_raw(const struct toc_metricdb_set *set, struct toc_set_part part) {
    return part.origin < set->raw_origin_count;
}

/* At most a chunk too early: nobody decodes it to find out. */
static int64_t first_of_part(const struct toc_metricdb_set *set, struct toc_set_part part,
                             int64_t min_ms) {
    const struct toc_set_origin *o = &set->origins[part.origin];
    struct toc_block_cursor cursor;
    struct toc_block_chunk c;
    size_t deleted;
    const struct toc_tombstone *gone = toc_tombstones_of(o->tombstones, part.number, &deleted);
    if (toc_block_index_chunks(o->index, part.number, &cursor))
        return INT64_MAX;
    while (toc_block_cursor_next(&cursor, &c))
        if (c.max_ms >= min_ms && !is_deleted(&c, gone, deleted))
            return TOC_MAX(c.min_ms, min_ms);
    return INT64_MAX;
}

static int64_t first_of_head(struct toc_metricdb_set *set, const struct toc_series *s,
                             int64_t min_ms) {
    struct toc_head_shard *shard = toc_head_shard_of_id(&set->db->head, s->id);
    toc_mutex_lock(&shard->mutex);
    int64_t first = toc_series_next_sample(s, min_ms);
    toc_mutex_unlock(&shard->mutex);
    return first;
}

int64_t toc_metricdb_set_first_raw(struct toc_metricdb_set *set, size_t i, int64_t min_ms) {
    const struct toc_set_entry *e = &set->entries[i];
    int64_t first = e->series ? first_of_head(set, e->series, min_ms) : INT64_MAX;
    for (uint32_t k = 0; k < e->part_count; k++) {
        struct toc_set_part part = set->parts[e->first_part + k];
        if (is_raw(set, part))
            first = TOC_MIN(first, first_of_part(set, part, min_ms));
    }
    return first;
}

/* --- the head --- */

/* Histograms, which are few and large, are decoded under the lock. */
static int read_head(struct toc_metricdb_set *set, const struct toc_series *s, int64_t min_ms,
                     int64_t max_ms, struct toc_series_buffer *out) {
    struct toc_head_shard *shard = toc_head_shard_of_id(&set->db->head, s->id);
    struct toc_head_copy copy;
    bool has_histograms;
    copy.next_ms = min_ms;
    do {
        toc_mutex_lock(&shard->mutex);
        toc_series_copy(s, copy.next_ms, max_ms, &copy);
        has_histograms = s->histograms != NULL;
        toc_mutex_unlock(&shard->mutex);
        toc_head_copy_decode(&copy, out);
    } while (!copy.is_whole);
    if (!has_histograms)
        return 0;
    toc_mutex_lock(&shard->mutex);
    int rc = toc_histogram_track_read(s->histograms, min_ms, max_ms, out);
    toc_mutex_unlock(&shard->mutex);
    return rc;
}

bool toc_metricdb_set_overlaps(struct toc_metricdb_set *set, size_t i, int64_t min_ms,
                               int64_t max_ms) {
    const struct toc_set_entry *e = &set->entries[i];
    bool any = false;
    if (e->series) {
        struct toc_head_shard *shard = toc_head_shard_of_id(&set->db->head, e->series->id);
        toc_mutex_lock(&shard->mutex);
        any = toc_series_overlaps(e->series, min_ms, max_ms);
        toc_mutex_unlock(&shard->mutex);
    }
    for (uint32_t k = 0; k < e->part_count && !any; k++)
        any = part_overlaps(set, set->parts[e->first_part + k], min_ms, max_ms);
    return any;
}

/* --- one series --- */

void toc_metricdb_set_make_view(struct toc_series_buffer *b, int64_t min_ms, int64_t max_ms,
                                struct toc_series_view *out) {
    size_t first = 0, end = b->count;
    while (first < end && b->t_ms[first] < min_ms)
        first++;
    while (end > first && b->t_ms[end - 1] > max_ms)
        end--;
    out->t_ms = b->t_ms + first;
    out->values = b->values + first;
    out->histograms = b->has_histograms ? b->histograms + first : NULL;
    out->start_ms = NULL;
    out->count = end - first;
}

int toc_metricdb_set_read_raw(struct toc_metricdb_set *set, size_t i, int64_t min_ms,
                              int64_t max_ms, struct toc_series_buffer *buffer,
                              struct toc_err *err) {
    const struct toc_set_entry *e = &set->entries[i];
    int rc = 0;
    for (uint32_t k = 0; k < e->part_count && !rc; k++)
        if (is_raw(set, set->parts[e->first_part + k]))
            rc = read_part(set, i, set->parts[e->first_part + k], min_ms, max_ms, buffer);
    if (rc)
        return toc_errf(err, rc, "cannot read a block in %s: %s", set->db->block_dir,
                        toc_strerror(rc));
    if (e->series)
        rc = read_head(set, e->series, min_ms, max_ms, buffer);
    if (rc)
        return toc_errf(err, rc, "the histograms of one series do not fit in memory");
    if (e->part_count + (e->series != NULL) > 1 || buffer->has_histograms)
        toc_samples_sort(buffer);
    return 0;
}

enum { PREFETCH_SERIES = 6 };

static int read_series(struct toc_series_set *base, size_t i, int64_t min_ms, int64_t max_ms,
                       struct toc_series_buffer *buffer, struct toc_series_view *out_view,
                       struct toc_err *err) {
    struct toc_metricdb_set *set = TOC_CONTAINER_OF(base, struct toc_metricdb_set, base);
    TOC_ASSERT(i < base->count);
    if (i + PREFETCH_SERIES < base->count)
        __builtin_prefetch(set->entries[i + PREFETCH_SERIES].series);
    toc_series_buffer_reset(buffer);
    if (set->has_rollups && set->rollups != TOC_ROLLUP_NONE)
        return toc_metricdb_set_read_any(set, i, min_ms, max_ms, buffer, out_view, err);
    int rc = toc_metricdb_set_read_raw(set, i, min_ms, max_ms, buffer, err);
    if (!rc)
        toc_metricdb_set_make_view(buffer, min_ms, max_ms, out_view);
    return rc;
}

static struct toc_labels labels_of(struct toc_series_set *base, size_t i, struct toc_label *items) {
    return toc_metricdb_set_labels(TOC_CONTAINER_OF(base, struct toc_metricdb_set, base), i, items);
}

static void close_set(struct toc_series_set **base) {
    if (!*base)
        return;
    struct toc_metricdb_set *set = TOC_CONTAINER_OF(*base, struct toc_metricdb_set, base);
    toc_metricdb_set_close(&set);
    *base = NULL;
}

void toc_metricdb_set_init_readers(struct toc_metricdb_set *set) {
    set->base.labels = labels_of;
    set->base.read = read_series;
    set->base.close = close_set;
}
