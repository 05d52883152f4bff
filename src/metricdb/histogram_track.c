#include "metricdb/histogram_track.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/hash.h"
#include "metricdb/chunk.h"
#include "metricdb/head_restore.h"
#include "metricdb/histogram_code.h"

enum { OPEN_BYTES_MAX = 32768 };

/* --- chunks --- */

static void put_chunk(struct toc_head_shard *shard, struct toc_histogram_track *track, size_t at,
                      struct toc_head_chunk *c) {
    if (track->chunk_count == track->chunk_capacity) {
        track->chunk_capacity += track->chunk_capacity / 2 + 2;
        track->chunks = toc_xrealloc(track->chunks,
                                     toc_vec_bytes(track->chunk_capacity, sizeof *track->chunks));
    }
    memmove(track->chunks + at + 1, track->chunks + at,
            (track->chunk_count - at) * sizeof *track->chunks);
    track->chunks[at] = c;
    track->chunk_count++;
    toc_head_chunks_moved(track->chunks, at + 1, track->chunk_count);
    shard->chunks++;
    shard->chunk_bytes += toc_head_chunk_size(c);
}

static void drop_chunk(struct toc_head_shard *shard, struct toc_histogram_track *track, size_t at) {
    shard->chunks--;
    shard->chunk_bytes -= toc_head_chunk_size(track->chunks[at]);
    toc_free(track->chunks[at]);
    track->chunk_count--;
    memmove(track->chunks + at, track->chunks + at + 1,
            (track->chunk_count - at) * sizeof *track->chunks);
}

/* As many chunks as the samples need, in front of chunk `at`. */
static void put_samples(struct toc_head_shard *shard, struct toc_histogram_track *track, size_t at,
                        const struct toc_series_buffer *b) {
    struct toc_buf scratch = TOC_BUF_INIT;
    for (size_t i = 0; i < b->count;) {
        toc_buf_reset(&scratch);
        size_t n =
            toc_histogram_chunk_encode(b->t_ms + i, b->histograms + i, b->count - i, &scratch);
        put_chunk(shard, track, at++,
                  toc_head_chunk_new(b->t_ms[i], b->t_ms[i + n - 1], n, toc_buf_sv(&scratch)));
        i += n;
    }
    toc_buf_fini(&scratch);
}

/* First closed chunk that ends at or after t. */
static size_t chunk_place(const struct toc_histogram_track *track, int64_t t_ms) {
    size_t at = track->chunk_count;
    while (at && toc_head_chunk_max(track->chunks[at - 1]) >= t_ms)
        at--;
    return at;
}

/* --- the open part --- */

static uint64_t layout_of(const struct toc_histogram *h) {
    uint64_t seed = toc_hash64(&h->zero_threshold, sizeof h->zero_threshold, (uint64_t)h->schema);
    return toc_hash64(h->custom_bounds, h->custom_bound_count * sizeof *h->custom_bounds, seed);
}

static int64_t window_of(int64_t t, int64_t span) {
    return t >= 0 ? t / span : -((-(t + 1)) / span) - 1;
}

static struct toc_sv next_open(struct toc_reader *r, int64_t *out_t) {
    *out_t = (int64_t)toc_read_u64(r);
    return toc_read_string(r);
}

/* Decodes the samples in the range. */
static int read_open(const struct toc_histogram_track *track, int64_t min_ms, int64_t max_ms,
                     struct toc_series_buffer *out) {
    struct toc_reader r = toc_reader_make(toc_buf_sv(&track->open));
    for (size_t i = 0; i < track->open_count; i++) {
        int64_t t;
        struct toc_histogram *h;
        struct toc_sv bytes = next_open(&r, &t);
        if (t < min_ms || t > max_ms)
            continue;
        int rc = toc_histogram_decode(bytes, &out->histogram_arena, &h);
        if (rc == TOC_ENOMEM)
            return rc;
        TOC_ASSERT(rc == 0);
        toc_series_buffer_reserve(out, 1);
        out->t_ms[out->count] = t;
        out->values[out->count] = 0;
        out->histograms[out->count++] = h;
    }
    TOC_ASSERT(!r.error);
    return 0;
}

static void forget_open(struct toc_head_shard *shard, struct toc_histogram_track *track) {
    shard->chunk_bytes -= track->open.capacity;
    toc_buf_fini(&track->open);
    track->open_count = track->open_last = 0;
}

static void close_open(struct toc_head_shard *shard, struct toc_histogram_track *track) {
    struct toc_series_buffer b = {0};
    toc_series_buffer_add_histograms(&b);
    TOC_ASSERT(read_open(track, INT64_MIN, INT64_MAX, &b) == 0);
    put_samples(shard, track, track->chunk_count, &b);
    toc_series_buffer_fini(&b);
    forget_open(shard, track);
}

static void append_last(struct toc_head *h, struct toc_head_shard *shard,
                        struct toc_histogram_track *track, int64_t t_ms, uint64_t layout,
                        struct toc_sv encoded) {
    bool is_other = track->open_count && (track->open_layout != layout ||
                                          window_of(track->open_first_ms, h->block_span_ms) !=
                                              window_of(t_ms, h->block_span_ms));
    if (is_other || track->open_count >= TOC_HEAD_CHUNK_SAMPLES || track->open.n >= OPEN_BYTES_MAX)
        close_open(shard, track);
    if (!track->open_count++)
        track->open_first_ms = t_ms;
    track->open_layout = layout;
    track->open_last_ms = t_ms;
    track->open_last = track->open.n;
    shard->chunk_bytes -= track->open.capacity;
    toc_buf_append_u64(&track->open, (uint64_t)t_ms);
    toc_buf_append_varint(&track->open, encoded.n);
    toc_buf_append_sv(&track->open, encoded);
    TOC_ASSERT(!track->open.error);
    shard->chunk_bytes += track->open.capacity;
}

/* --- late samples --- */

static enum toc_append compare(const struct toc_histogram *have, struct toc_sv encoded) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_histogram_encode(have, &b);
    bool same = toc_sv_eq(toc_buf_sv(&b), encoded);
    toc_buf_fini(&b);
    return same ? TOC_APPEND_SAME : TOC_APPEND_DUPLICATE;
}

/* Puts the sample into sorted ones. */
static enum toc_append insert(struct toc_series_buffer *b, int64_t t_ms,
                              const struct toc_histogram *h, struct toc_sv encoded) {
    size_t at = b->count;
    while (at && b->t_ms[at - 1] >= t_ms)
        at--;
    if (at < b->count && b->t_ms[at] == t_ms)
        return compare(b->histograms[at], encoded);
    toc_series_buffer_reserve(b, 1);
    memmove(b->t_ms + at + 1, b->t_ms + at, (b->count - at) * sizeof *b->t_ms);
    memmove(b->histograms + at + 1, b->histograms + at, (b->count - at) * sizeof *b->histograms);
    b->t_ms[at] = t_ms;
    b->histograms[at] = h;
    b->count++;
    return TOC_APPEND_DONE;
}

static enum toc_append insert_late(struct toc_head_shard *shard, struct toc_histogram_track *track,
                                   int64_t t_ms, const struct toc_histogram *h,
                                   struct toc_sv encoded) {
    struct toc_series_buffer b = {0};
    if (track->open_count && t_ms >= track->open_first_ms)
        close_open(shard, track);
    size_t at = chunk_place(track, t_ms);
    bool inside = at < track->chunk_count && track->chunks[at]->min_ms <= t_ms;
    toc_series_buffer_add_histograms(&b);
    if (inside)
        TOC_ASSERT(toc_chunk_append(toc_head_chunk_bytes(track->chunks[at]), INT64_MIN, INT64_MAX,
                                    &b) == 0);
    enum toc_append result = insert(&b, t_ms, h, encoded);
    if (result == TOC_APPEND_DONE) {
        if (inside)
            drop_chunk(shard, track, at);
        put_samples(shard, track, at, &b);
    }
    toc_series_buffer_fini(&b);
    return result;
}

enum toc_append toc_histogram_track_append(struct toc_head *h, struct toc_head_shard *shard,
                                           struct toc_histogram_track *track, int64_t t_ms,
                                           const struct toc_histogram *histogram,
                                           struct toc_sv encoded) {
    int64_t first, last;
    if (track->open_count && t_ms == track->open_last_ms) { /* sent again, as a rule */
        struct toc_reader r =
            toc_reader_make(toc_sv_sub(toc_buf_sv(&track->open), track->open_last, track->open.n));
        return toc_sv_eq(next_open(&r, &last), encoded) ? TOC_APPEND_SAME : TOC_APPEND_DUPLICATE;
    }
    if (toc_histogram_track_bounds(track, &first, &last) && t_ms <= last)
        return insert_late(shard, track, t_ms, histogram, encoded);
    append_last(h, shard, track, t_ms, layout_of(histogram), encoded);
    return TOC_APPEND_DONE;
}

/* --- reading --- */

bool toc_histogram_track_is_empty(const struct toc_histogram_track *track) {
    return !track || (!track->chunk_count && !track->open_count);
}

bool toc_histogram_track_bounds(const struct toc_histogram_track *track, int64_t *out_min_ms,
                                int64_t *out_max_ms) {
    if (toc_histogram_track_is_empty(track))
        return false;
    *out_min_ms = track->chunk_count ? track->chunks[0]->min_ms : track->open_first_ms;
    *out_max_ms = track->open_count ? track->open_last_ms
                                    : toc_head_chunk_max(track->chunks[track->chunk_count - 1]);
    return true;
}

static bool is_open_wanted(const struct toc_histogram_track *track, int64_t min_ms,
                           int64_t max_ms) {
    return track->open_count && track->open_first_ms <= max_ms && track->open_last_ms >= min_ms;
}

int64_t toc_histogram_track_next_sample(const struct toc_histogram_track *track, int64_t from_ms) {
    size_t at = chunk_place(track, from_ms);
    int64_t next = INT64_MAX;
    if (at < track->chunk_count)
        next = track->chunks[at]->min_ms;
    else if (track->open_count && track->open_last_ms >= from_ms)
        next = track->open_first_ms;
    return TOC_MAX(next, from_ms);
}

bool toc_histogram_track_overlaps(const struct toc_histogram_track *track, int64_t min_ms,
                                  int64_t max_ms) {
    if (!track)
        return false;
    size_t at = chunk_place(track, min_ms);
    return is_open_wanted(track, min_ms, max_ms) ||
           (at < track->chunk_count && track->chunks[at]->min_ms <= max_ms);
}

int toc_histogram_track_read(const struct toc_histogram_track *track, int64_t min_ms,
                             int64_t max_ms, struct toc_series_buffer *out) {
    if (!toc_histogram_track_overlaps(track, min_ms, max_ms))
        return 0;
    toc_series_buffer_add_histograms(out);
    int rc = 0;
    for (size_t i = chunk_place(track, min_ms); i < track->chunk_count && !rc; i++) {
        if (track->chunks[i]->min_ms > max_ms)
            break;
        rc = toc_chunk_append(toc_head_chunk_bytes(track->chunks[i]), min_ms, max_ms, out);
        TOC_ASSERT(rc == 0 || rc == TOC_ENOMEM);
    }
    if (!rc && is_open_wanted(track, min_ms, max_ms))
        rc = read_open(track, min_ms, max_ms, out);
    return rc;
}

/* --- deleting --- */

void toc_histogram_track_cut(struct toc_head_shard *shard, struct toc_histogram_track *track,
                             int64_t min_ms, int64_t max_ms) {
    if (!toc_histogram_track_overlaps(track, min_ms, max_ms))
        return;
    if (is_open_wanted(track, min_ms, max_ms))
        close_open(shard, track);
    for (size_t i = track->chunk_count; i-- > 0;) {
        const struct toc_head_chunk *c = track->chunks[i];
        if (c->min_ms > max_ms || toc_head_chunk_max(c) < min_ms)
            continue;
        struct toc_series_buffer b = {0};
        TOC_ASSERT(toc_chunk_append(toc_head_chunk_bytes(c), INT64_MIN, INT64_MAX, &b) == 0);
        toc_samples_cut(&b, 0, min_ms, max_ms);
        drop_chunk(shard, track, i);
        put_samples(shard, track, i, &b);
        toc_series_buffer_fini(&b);
    }
}

/* --- restoring --- */

int toc_histogram_track_restore_keep(struct toc_head_shard *shard,
                                     struct toc_histogram_track *track, uint64_t keep) {
    size_t have = track ? track->chunk_count : 0;
    if (keep > have)
        return TOC_ECORRUPT;
    for (; have > keep; have--) {
        shard->samples -= track->chunks[have - 1]->count;
        drop_chunk(shard, track, have - 1);
    }
    return 0;
}

/* Are these the bytes of a chunk of histograms? TOC_ENOMEM when that cannot be told. */
static int check_chunk(const struct toc_restored_chunk *c) {
    struct toc_series_buffer b = {0};
    toc_series_buffer_add_histograms(&b);
    int rc = toc_chunk_append(c->bytes, INT64_MIN, INT64_MAX, &b);
    bool fits = !rc && b.count && b.count == c->count && b.t_ms[0] == c->min_ms &&
                b.t_ms[b.count - 1] == c->max_ms;
    for (size_t i = 0; i < b.count && fits; i++)
        fits = b.histograms[i] && !toc_histogram_validate(b.histograms[i], NULL);
    toc_series_buffer_fini(&b);
    return rc ? rc : fits ? 0 : TOC_ECORRUPT;
}

int toc_histogram_track_restore_chunk(struct toc_head_shard *shard,
                                      struct toc_histogram_track *track,
                                      const struct toc_restored_chunk *c) {
    size_t n = track->chunk_count;
    if (n && c->min_ms <= toc_head_chunk_max(track->chunks[n - 1]))
        return TOC_ECORRUPT;
    int rc = check_chunk(c);
    if (rc)
        return rc;
    put_chunk(shard, track, n, toc_head_chunk_new(c->min_ms, c->max_ms, c->count, c->bytes));
    shard->samples += c->count;
    return 0;
}

/* One sample of an open part; the histogram is decoded to see that it can be. */
static int restore_sample(struct toc_histogram_track *track, struct toc_reader *r,
                          struct toc_arena *scratch) {
    struct toc_histogram *h;
    int64_t t;
    size_t at = r->at;
    struct toc_sv bytes = next_open(r, &t);
    toc_arena_reset(scratch);
    int rc = r->error ? TOC_ECORRUPT : toc_histogram_decode(bytes, scratch, &h);
    if (rc)
        return rc == TOC_ENOMEM ? rc : TOC_ECORRUPT;
    if (toc_histogram_validate(h, NULL) || (track->open_count && t <= track->open_last_ms) ||
        (track->chunk_count && t <= toc_head_chunk_max(track->chunks[track->chunk_count - 1])))
        return TOC_ECORRUPT;
    if (!track->open_count)
        track->open_first_ms = t;
    track->open_layout = layout_of(h);
    track->open_last_ms = t;
    track->open_last = at;
    track->open_count++;
    return 0;
}

int toc_histogram_track_restore_open(struct toc_head_shard *shard,
                                     struct toc_histogram_track *track, uint64_t count,
                                     struct toc_sv bytes) {
    struct toc_reader r = toc_reader_make(bytes);
    struct toc_arena scratch = TOC_ARENA_INIT;
    int rc = track->open_count || track->open.n ? TOC_ECORRUPT : 0;
    for (uint64_t i = 0; i < count && !rc; i++)
        rc = restore_sample(track, &r, &scratch);
    toc_arena_fini(&scratch);
    if (!rc && toc_reader_left(&r))
        rc = TOC_ECORRUPT;
    if (rc)
        return rc;
    toc_buf_append_sv(&track->open, bytes);
    shard->chunk_bytes += track->open.capacity;
    shard->samples += count;
    return track->open.error;
}

void toc_histogram_track_free(struct toc_histogram_track **io) {
    struct toc_histogram_track *track = *io;
    if (!track)
        return;
    for (size_t i = 0; i < track->chunk_count; i++)
        toc_free(track->chunks[i]);
    toc_free(track->chunks);
    toc_buf_fini(&track->open);
    toc_free(track);
    *io = NULL;
}
