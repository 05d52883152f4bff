/*
 * Which of samples and roll-ups serves a series, and reading it:
 *
 *   all samples of the range are there   samples; but over a long range buckets, when windows of
 *                                        whole buckets are asked for: their results are the same
 *   some are gone, buckets are taken     buckets only, of the finest resolution that goes as far
 *                                        back as any
 *   some are gone, only samples are      the last sample of each bucket, then what is there
 *
 * Where buckets are read, what no block of roll-ups tells (the last hours, a stretch to which
 * samples came late) is rolled up from samples here. So one series is answered in one way.
 */
#include "base/assert.h"
#include "metricdb/rollups.h"
#include "metricdb/series_set.h"
#include "model/sample.h"

/* Below it samples are few enough. */
#define LONG_RANGE_MS INT64_C(172800000)

struct reading {
    struct toc_metricdb_set *set;
    size_t i;
    int64_t min_ms, max_ms;
    struct toc_series_buffer *buffer;
    struct toc_err *err;
    int store;
    int64_t resolution_ms;
    struct toc_rollups part, fresh; /* scratch */
};

static int64_t minus(int64_t t_ms, int64_t ms) {
    return t_ms < INT64_MIN + ms ? INT64_MIN : t_ms - ms;
}
static int64_t plus(int64_t t_ms, int64_t ms) {
    return t_ms > INT64_MAX - ms ? INT64_MAX : t_ms + ms;
}

/* --- buckets of blocks --- */

static int fail(const struct reading *r, int rc) {
    return toc_errf(r->err, rc, "cannot read a block of roll-ups in %s: %s", r->set->db->dir,
                    toc_strerror(rc));
}

/* Appends the buckets of the series in an origin; none when it is not in it. */
static int read_origin(struct reading *r, size_t origin, struct toc_rollups *out) {
    struct toc_metricdb_set *set = r->set;
    const struct toc_set_entry *e = &set->entries[r->i];
    const struct toc_set_origin *o = &set->origins[origin];
    struct toc_set_loss place = {set, r->i, o->block};
    const struct toc_set_part *parts = set->parts + e->first_part;
    size_t low = 0, high = e->part_count; /* in the order of the origins */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (parts[middle].origin < origin)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == e->part_count || parts[low].origin != origin)
        return 0;
    int rc =
        toc_rollups_read(o->index, o->tombstones, parts[low].number,
                         toc_metricdb_resolution(o->store), toc_metricdb_set_on_loss, &place, out);
    return rc ? fail(r, rc) : 0;
}

/* Appends to the result what lies in (from, to]. */
static void keep(struct reading *r, const struct toc_rollups *b, int64_t from_ms, int64_t to_ms) {
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].end_ms > from_ms && b->items[i].end_ms <= to_ms)
            toc_rollups_push(&r->buffer->rollups, &b->items[i]);
}

/* Buckets of samples in (from, to], into r->fresh. */
static int roll_samples(struct reading *r, int64_t from_ms, int64_t to_ms) {
    struct toc_series_buffer *b = r->buffer;
    r->fresh.count = b->count = 0;
    b->has_histograms = false;
    int rc = toc_metricdb_set_read_raw(r->set, r->i, from_ms + 1, to_ms, b, r->err);
    if (rc)
        return rc;
    struct toc_series_view v;
    toc_metricdb_set_make_view(b, from_ms + 1, to_ms, &v);
    size_t end = (size_t)(v.t_ms - b->t_ms) + v.count, all = b->count;
    b->count = end;
    toc_rollups_add_samples(&r->fresh, b, end - v.count, r->resolution_ms);
    b->count = all;
    return 0;
}

static int add_samples(struct reading *r, int64_t from_ms, int64_t to_ms) {
    if (from_ms >= to_ms)
        return 0;
    int rc = roll_samples(r, from_ms, to_ms);
    keep(r, &r->fresh, INT64_MIN, INT64_MAX);
    return rc;
}

/* Does the head have something in the stretch? */
static bool is_in_head(struct reading *r, const struct toc_block_meta *m) {
    struct toc_series *s = r->set->entries[r->i].series;
    if (!s)
        return false;
    struct toc_head_shard *shard = toc_head_shard_of_id(&r->set->db->head, s->id);
    toc_mutex_lock(&shard->mutex);
    bool any = toc_series_overlaps(s, m->range_min, m->range_max);
    toc_mutex_unlock(&shard->mutex);
    return any;
}

/* One stretch, or what of it lies in (from, to]. */
static int add_stretch(struct reading *r, size_t origin, int64_t from_ms, int64_t to_ms) {
    const struct toc_set_origin *o = &r->set->origins[origin];
    r->part.count = 0;
    int rc = o->index ? read_origin(r, origin, &r->part) : 0;
    if (rc)
        return rc;
    if (!o->is_behind && o->index && !is_in_head(r, &o->block->meta)) {
        keep(r, &r->part, from_ms, to_ms);
        return 0;
    }
    rc = roll_samples(r, from_ms, to_ms);
    size_t first = 0, end = r->part.count;
    while (first < end && r->part.items[first].end_ms <= from_ms)
        first++;
    while (end > first && r->part.items[end - 1].end_ms > to_ms)
        end--;
    toc_rollups_add_united(&r->buffer->rollups, r->part.items + first, end - first, r->fresh.items,
                           r->fresh.count);
    return rc;
}

/* All buckets with an end in (from, to]; both are multiples of the resolution. */
static int read_buckets(struct reading *r, int64_t from_ms, int64_t to_ms) {
    struct toc_metricdb_set *set = r->set;
    int64_t at = from_ms;
    int rc = 0;
    r->buffer->rollups.count = 0;
    for (size_t k = set->raw_origin_count; k < set->origin_count && !rc; k++) {
        const struct toc_set_origin *o = &set->origins[k];
        const struct toc_block_meta *m = &o->block->meta;
        int64_t start = m->range_min - 1, end = TOC_MIN(m->range_max, to_ms);
        if (o->store != r->store || end <= at || start >= to_ms || o->is_outdated)
            continue;
        rc = add_samples(r, at, start);
        if (!rc)
            rc = add_stretch(r, k, TOC_MAX(at, start), end);
        at = end;
    }
    return rc ? rc : add_samples(r, at, to_ms);
}

/* --- what is there --- */

/* From where on buckets of a resolution are read: windows may begin up to two of them earlier. */
static int64_t reach_back(const struct reading *r, int64_t resolution_ms) {
    return toc_rollup_floor(minus(r->min_ms, 1 + resolution_ms), resolution_ms);
}

/* The end of the first bucket with floats that may be asked for, and when its last sample was.
 * INT64_MAX: none. */
static int first_bucket(struct reading *r, int store, int64_t *out_end_ms, int64_t *out_last_ms) {
    struct toc_metricdb_set *set = r->set;
    /* The same for all stores, so that how far they go back can be compared. */
    int64_t from = reach_back(r, toc_metricdb_resolution(TOC_METRICDB_ROLLUP_1H));
    if (set->rollups == TOC_ROLLUP_LAST)
        from = minus(r->min_ms, 1);
    *out_end_ms = *out_last_ms = INT64_MAX;
    for (size_t k = set->raw_origin_count; k < set->origin_count; k++) {
        const struct toc_set_origin *o = &set->origins[k];
        if (o->store != store || !o->index || o->is_outdated || o->block->meta.max_ms <= from)
            continue;
        r->part.count = 0;
        int rc = read_origin(r, k, &r->part);
        if (rc)
            return rc;
        for (size_t i = 0; i < r->part.count; i++) {
            const struct toc_rollup *b = &r->part.items[i];
            if (!b->count || b->last_ms <= from || b->first_ms > r->max_ms)
                continue;
            *out_end_ms = b->end_ms;
            *out_last_ms = b->last_ms;
            return 0;
        }
    }
    return 0;
}

static bool has_histograms(const struct toc_rollups *b) {
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].histograms)
            return true;
    return false;
}

/* The coarsest store whose buckets give the very result; 0 when none does. */
static int exact_store(const struct toc_metricdb_set *set) {
    for (int k = TOC_METRICDB_STORE_COUNT - 1; k > TOC_METRICDB_RAW && set->aligned_ms; k--)
        if (set->aligned_ms % toc_metricdb_resolution(k) == 0)
            return k;
    return TOC_METRICDB_RAW;
}

static int read_store(struct reading *r, int store, struct toc_series_view *out) {
    int64_t resolution = toc_metricdb_resolution(store);
    int64_t from = reach_back(r, resolution);
    int64_t to = toc_rollup_floor(r->max_ms, resolution);
    r->store = store;
    r->resolution_ms = resolution;
    int rc = read_buckets(r, from, to);
    *out = (struct toc_series_view){.rollups = r->buffer->rollups.items,
                                    .rollup_count = r->buffer->rollups.count,
                                    .resolution_ms = resolution};
    return rc;
}

static int read_samples(struct reading *r, struct toc_series_view *out) {
    struct toc_series_buffer *b = r->buffer;
    *out = (struct toc_series_view){0};
    b->count = b->rollups.count = 0;
    b->has_histograms = false;
    int rc = toc_metricdb_set_read_raw(r->set, r->i, r->min_ms, r->max_ms, b, r->err);
    if (!rc)
        toc_metricdb_set_make_view(b, r->min_ms, r->max_ms, out);
    return rc;
}

/* --- last samples --- */

static void push_sample(struct toc_series_buffer *b, int64_t t_ms, double v) {
    toc_series_buffer_reserve(b, 1);
    b->t_ms[b->count] = t_ms;
    b->values[b->count++] = v;
}

/* Last samples of the buckets before `to_ms`, and markers behind them, as samples. */
static int push_lasts(struct reading *r, int store, int64_t to_ms) {
    struct toc_series_buffer *b = r->buffer;
    for (size_t k = r->set->raw_origin_count; k < r->set->origin_count; k++) {
        const struct toc_set_origin *o = &r->set->origins[k];
        if (o->store != store || !o->index || o->is_outdated)
            continue;
        r->part.count = 0;
        int rc = read_origin(r, k, &r->part);
        if (rc)
            return rc;
        for (size_t i = 0; i < r->part.count; i++) {
            const struct toc_rollup *x = &r->part.items[i];
            int64_t last = b->count ? b->t_ms[b->count - 1] : INT64_MIN;
            if (x->count && x->last_ms > last && x->last_ms < to_ms)
                push_sample(b, x->last_ms, x->last);
            last = b->count ? b->t_ms[b->count - 1] : INT64_MIN;
            if (x->ends_stale && x->end_ms > last && x->end_ms < to_ms)
                push_sample(b, x->end_ms, toc_stale_nan());
        }
    }
    return 0;
}

/* The coarse ones as far as the fine ones do not go back, those up to the first sample, samples. */
static int read_thinned(struct reading *r, const int64_t *first_ms, int64_t first_raw_ms,
                        struct toc_series_view *out) {
    struct toc_series_buffer *b = r->buffer;
    *out = (struct toc_series_view){0};
    b->count = 0;
    b->has_histograms = false;
    int64_t fine = TOC_MIN(first_ms[TOC_METRICDB_ROLLUP_5M], first_raw_ms);
    int rc = push_lasts(r, TOC_METRICDB_ROLLUP_1H, fine);
    if (!rc)
        rc = push_lasts(r, TOC_METRICDB_ROLLUP_5M, first_raw_ms);
    if (!rc && first_raw_ms <= r->max_ms)
        rc = toc_metricdb_set_read_raw(r->set, r->i, first_raw_ms, r->max_ms, b, r->err);
    if (rc)
        return rc;
    toc_metricdb_set_make_view(b, r->min_ms, r->max_ms, out);
    out->is_thinned = true;
    return 0;
}

/* --- the choice --- */

/* The finest store that goes as far back as any; of those that give the very result, if one does.
 */
static int deepest_store(const struct reading *r, const int64_t *end_ms) {
    int fine = TOC_METRICDB_ROLLUP_5M, coarse = TOC_METRICDB_ROLLUP_1H;
    int64_t hour = toc_metricdb_resolution(coarse);
    bool fine_goes_back = end_ms[fine] != INT64_MAX && end_ms[fine] <= plus(end_ms[coarse], hour);
    bool coarse_goes_back = end_ms[coarse] != INT64_MAX && end_ms[coarse] - hour <= end_ms[fine];
    if (exact_store(r->set) == coarse && coarse_goes_back)
        return coarse;
    return fine_goes_back ? fine : coarse;
}

static int choose(struct reading *r, struct toc_series_view *out) {
    bool takes = r->set->rollups == TOC_ROLLUP_BUCKETS;
    bool is_long = r->max_ms - LONG_RANGE_MS >= r->min_ms;
    int exact = takes && is_long ? exact_store(r->set) : TOC_METRICDB_RAW;
    int64_t end_ms[TOC_METRICDB_STORE_COUNT], last_ms[TOC_METRICDB_STORE_COUNT];
    int64_t margin = 2 * toc_metricdb_resolution(TOC_METRICDB_ROLLUP_1H);
    int64_t first_raw = toc_metricdb_set_first_raw(r->set, r->i, minus(r->min_ms, margin));
    bool is_gone = false;
    /* Samples from the beginning on, or before it: nothing of the range is gone. */
    for (int k = TOC_METRICDB_ROLLUP_5M; k < TOC_METRICDB_STORE_COUNT && first_raw > r->min_ms;
         k++) {
        int rc = first_bucket(r, k, &end_ms[k], &last_ms[k]);
        if (rc)
            return rc;
        is_gone |= last_ms[k] < first_raw;
    }
    if (is_gone && takes)
        return read_store(r, deepest_store(r, end_ms), out);
    if (is_gone)
        return read_thinned(r, last_ms, first_raw, out);
    if (exact) {
        int rc = read_store(r, exact, out);
        if (rc || !has_histograms(&r->buffer->rollups))
            return rc;
    }
    return read_samples(r, out);
}

static bool has_rollups(const struct toc_metricdb_set *set, const struct toc_set_entry *e) {
    /* Parts are in the order of the origins, roll-ups last. */
    return e->part_count &&
           set->parts[e->first_part + e->part_count - 1].origin >= set->raw_origin_count;
}

int toc_metricdb_set_read_any(struct toc_metricdb_set *set, size_t i, int64_t min_ms,
                              int64_t max_ms, struct toc_series_buffer *buffer,
                              struct toc_series_view *out_view, struct toc_err *err) {
    struct reading r = {
        .set = set, .i = i, .min_ms = min_ms, .max_ms = max_ms, .buffer = buffer, .err = err};
    int rc = has_rollups(set, &set->entries[i]) ? choose(&r, out_view) : read_samples(&r, out_view);
    toc_rollups_fini(&r.part);
    toc_rollups_fini(&r.fresh);
    return rc;
}
