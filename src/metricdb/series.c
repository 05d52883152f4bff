/* Samples of one series of the head; everything here runs under the lock of its shard. */
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "metricdb/chunk.h"
#include "metricdb/head.h"
#include "metricdb/histogram_track.h"
#include "metricdb/metricdb.h"
#include "model/sample.h"

enum {
    CHUNK_SPLIT = 2 * TOC_HEAD_CHUNK_SAMPLES,
    CHUNK_JOINED = TOC_HEAD_CHUNK_SAMPLES * 5 / 4,
    OPEN_KEEP_BYTES = TOC_STREAM_FULL_BYTES,
    MANY = 8 /* samples of a series at once: it catches up */
};

/* --- chunks --- */

static struct toc_head_chunk *make_chunk(struct toc_head_shard *shard, const int64_t *t,
                                         const double *v, size_t n) {
    struct toc_buf *scratch = &shard->scratch;
    toc_buf_reset(scratch);
    toc_chunk_encode(t, v, n, scratch);
    return toc_head_chunk_new(t[0], t[n - 1], n, toc_buf_sv(scratch));
}

static size_t decode_chunk(const struct toc_head_chunk *c, int64_t *t, double *v) {
    size_t n = 0;
    int rc = toc_chunk_decode(toc_head_chunk_bytes(c), t, v, &n);
    TOC_ASSERT(rc == 0 && n == c->count);
    return n;
}

void toc_series_grow_chunks(struct toc_series *s) {
    /* Odd numbers of pointers fill what the allocator hands out. */
    size_t capacity = s->chunk_capacity ? s->chunk_capacity + s->chunk_capacity / 4u * 2 + 2 : 3;
    capacity = TOC_MIN(capacity, (size_t)UINT16_MAX);
    TOC_ASSERT(capacity > s->chunk_capacity);
    s->chunks = toc_xrealloc(s->chunks, capacity * sizeof *s->chunks);
    s->chunk_capacity = (uint16_t)capacity;
}

static void put_chunk(struct toc_head_shard *shard, struct toc_series *s, size_t at,
                      struct toc_head_chunk *c) {
    if (s->chunk_count == s->chunk_capacity)
        toc_series_grow_chunks(s);
    memmove(s->chunks + at + 1, s->chunks + at, (s->chunk_count - at) * sizeof *s->chunks);
    s->chunks[at] = c;
    s->chunk_count++;
    toc_head_chunks_moved(s->chunks, at + 1, s->chunk_count);
    s->closed_max_ms = toc_head_chunk_max(s->chunks[s->chunk_count - 1]);
    shard->chunks++;
    shard->chunk_bytes += toc_head_chunk_size(c);
}

static void drop_chunk(struct toc_head_shard *shard, struct toc_series *s, size_t at) {
    shard->chunk_bytes -= toc_head_chunk_size(s->chunks[at]);
    toc_free(s->chunks[at]);
    s->chunk_count--;
    shard->chunks--;
    memmove(s->chunks + at, s->chunks + at + 1, (s->chunk_count - at) * sizeof *s->chunks);
    s->closed_max_ms =
        s->chunk_count ? toc_head_chunk_max(s->chunks[s->chunk_count - 1]) : INT64_MIN;
}

static int64_t window_of(int64_t t, int64_t span) {
    return t >= 0 ? t / span : -((-(t + 1)) / span) - 1;
}

/* Should n samples from first_ms on join the last chunk? Some of about the same size do, so that
 * the many small ones of values that take much room cost little memory; each sample is encoded
 * twice then. */
static bool should_join(const struct toc_head *h, const struct toc_series *s, int64_t first_ms,
                        size_t n) {
    if (!s->chunk_count)
        return false;
    const struct toc_head_chunk *last = s->chunks[s->chunk_count - 1];
    return last->count <= 2 * n + n / 4 && last->count + n <= CHUNK_JOINED &&
           window_of(last->min_ms, h->block_span_ms) == window_of(first_ms, h->block_span_ms);
}

/* The open samples become a closed chunk, or part of one. */
static void close_open(const struct toc_head *h, struct toc_head_shard *shard,
                       struct toc_series *s) {
    int64_t t[TOC_CHUNK_SAMPLES_MAX];
    double v[TOC_CHUNK_SAMPLES_MAX];
    size_t n = 0;
    if (should_join(h, s, s->open.first_ms, s->open.count)) {
        n = decode_chunk(s->chunks[s->chunk_count - 1], t, v);
        drop_chunk(shard, s, s->chunk_count - 1u);
    }
    n += toc_stream_decode(&s->open, t + n, v + n);
    put_chunk(shard, s, s->chunk_count, make_chunk(shard, t, v, n));
    shard->chunk_bytes -= s->open.capacity;
    toc_stream_reset(&s->open, OPEN_KEEP_BYTES);
    shard->chunk_bytes += s->open.capacity;
}

static void set_open(struct toc_head_shard *shard, struct toc_series *s, const int64_t *t,
                     const double *v, size_t n) {
    shard->chunk_bytes -= s->open.capacity;
    toc_stream_reset(&s->open, OPEN_KEEP_BYTES);
    toc_stream_append_many(&s->open, t, v, n);
    shard->chunk_bytes += s->open.capacity;
}

/* Replaces chunk `at` by one or two chunks with these samples. */
static void set_chunk(struct toc_head_shard *shard, struct toc_series *s, size_t at,
                      const int64_t *t, const double *v, size_t n) {
    drop_chunk(shard, s, at);
    size_t first = n > CHUNK_SPLIT ? n / 2 : n;
    if (first < n)
        put_chunk(shard, s, at, make_chunk(shard, t + first, v + first, n - first));
    if (first)
        put_chunk(shard, s, at, make_chunk(shard, t, v, first));
}

size_t toc_series_chunk_place(const struct toc_series *s, int64_t t_ms) {
    size_t low = 0, high = s->chunk_count;
    if (s->closed_max_ms < t_ms) /* the usual case, without a look at any chunk */
        return high;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (toc_head_chunk_max(s->chunks[middle]) < t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void read_floats(const struct toc_series *s, int64_t min_ms, int64_t max_ms,
                        struct toc_series_buffer *out) {
    size_t from = out->count;
    for (size_t i = toc_series_chunk_place(s, min_ms); i < s->chunk_count; i++) {
        if (s->chunks[i]->min_ms > max_ms)
            break;
        toc_series_buffer_reserve(out, TOC_CHUNK_SAMPLES_MAX);
        out->count += decode_chunk(s->chunks[i], out->t_ms + out->count, out->values + out->count);
    }
    if (s->open.count && s->open.first_ms <= max_ms && s->open.last_ms >= min_ms) {
        toc_series_buffer_reserve(out, s->open.count);
        out->count += toc_stream_decode(&s->open, out->t_ms + out->count, out->values + out->count);
    }
    toc_samples_clip(out, from, min_ms, max_ms);
}

/* --- append --- */

/* Do both lie in one block window? Mostly in the one of the last question, so that nothing need be
 * divided. */
static bool share_window(const struct toc_head *h, struct toc_head_shard *shard, int64_t first_ms,
                         int64_t t_ms) {
    if (first_ms >= shard->window_ms && t_ms < shard->window_end_ms)
        return true;
    int64_t window = window_of(t_ms, h->block_span_ms);
    shard->window_ms = window * h->block_span_ms;
    shard->window_end_ms = shard->window_ms + h->block_span_ms;
    return window_of(first_ms, h->block_span_ms) == window;
}

/* Makes the open chunk one that a sample at t_ms may go to, of `coming` that are there: not full,
 * and of the window that the shard remembers from here on. Where many come at once coding them
 * twice would cost more than the room that they take until the chunk is closed. */
static void make_room(struct toc_head *h, struct toc_head_shard *shard, struct toc_series *s,
                      int64_t t_ms, size_t coming) {
    bool shares = share_window(h, shard, s->open.count ? s->open.first_ms : t_ms, t_ms);
    bool is_full = coming < MANY && toc_stream_is_full(&s->open);
    if (!shares || is_full || s->open.count >= TOC_HEAD_CHUNK_SAMPLES)
        close_open(h, shard, s);
}

static void append_last(struct toc_head *h, struct toc_head_shard *shard, struct toc_series *s,
                        int64_t t_ms, double value) {
    make_room(h, shard, s, t_ms, 1);
    size_t before = s->open.capacity;
    toc_stream_append(&s->open, t_ms, value);
    shard->chunk_bytes += s->open.capacity - before;
}

/* Puts (t, v) into sorted arrays of *n. */
static enum toc_append insert_sample(int64_t *t, double *v, size_t *n, int64_t t_ms, double value) {
    size_t at = *n;
    while (at && t[at - 1] >= t_ms)
        at--;
    if (at < *n && t[at] == t_ms)
        return toc_f64_bits(v[at]) == toc_f64_bits(value) ? TOC_APPEND_SAME : TOC_APPEND_DUPLICATE;
    memmove(t + at + 1, t + at, (*n - at) * sizeof *t);
    memmove(v + at + 1, v + at, (*n - at) * sizeof *v);
    t[at] = t_ms;
    v[at] = value;
    (*n)++;
    return TOC_APPEND_DONE;
}

static enum toc_append insert_late(const struct toc_head *h, struct toc_head_shard *shard,
                                   struct toc_series *s, int64_t t_ms, double value) {
    int64_t t[TOC_CHUNK_SAMPLES_MAX + 1];
    double v[TOC_CHUNK_SAMPLES_MAX + 1];
    size_t at = toc_series_chunk_place(s, t_ms), n = 0;
    enum toc_append result = TOC_APPEND_DONE;
    if (at < s->chunk_count && s->chunks[at]->min_ms <= t_ms) {
        n = decode_chunk(s->chunks[at], t, v);
        result = insert_sample(t, v, &n, t_ms, value);
        if (result == TOC_APPEND_DONE)
            set_chunk(shard, s, at, t, v, n);
    } else if (at == s->chunk_count && s->open.count && s->open.first_ms <= t_ms) {
        n = toc_stream_decode(&s->open, t, v);
        result = insert_sample(t, v, &n, t_ms, value);
        if (result == TOC_APPEND_DONE)
            set_open(shard, s, t, v, n);
    } else if (at && s->chunks[at - 1]->count < TOC_HEAD_CHUNK_SAMPLES) {
        /* In a gap: grow the chunk before it. */
        n = decode_chunk(s->chunks[at - 1], t, v);
        t[n] = t_ms;
        v[n++] = value;
        set_chunk(shard, s, at - 1, t, v, n);
    } else {
        put_chunk(shard, s, at, make_chunk(shard, &t_ms, &value, 1));
    }
    if (s->open.count >= CHUNK_SPLIT)
        close_open(h, shard, s);
    return result;
}

static bool is_latest(const struct toc_series *s, int64_t t_ms) {
    if (s->open.count)
        return t_ms > s->open.last_ms;
    return !s->chunk_count || t_ms > s->closed_max_ms;
}

static void note_samples(struct toc_head_shard *shard, const struct toc_series *s, size_t count,
                         int64_t first_ms, int64_t last_ms) {
    shard->slots.items[s->id / TOC_HEAD_SHARDS].is_written = true;
    shard->samples += count;
    shard->min_ms = TOC_MIN(shard->min_ms, first_ms);
    shard->max_ms = TOC_MAX(shard->max_ms, last_ms);
}

static void note_sample(struct toc_head_shard *shard, const struct toc_series *s, int64_t t_ms) {
    note_samples(shard, s, 1, t_ms, t_ms);
}

static bool has_float(const struct toc_series *s, int64_t t_ms) {
    struct toc_series_buffer b = {0};
    if (is_latest(s, t_ms))
        return false;
    read_floats(s, t_ms, t_ms, &b);
    bool found = b.count != 0;
    toc_series_buffer_fini(&b);
    return found;
}

static bool has_histogram(const struct toc_series *s, int64_t t_ms) {
    struct toc_series_buffer b = {0};
    int64_t min, max;
    if (!s->histograms || !toc_histogram_track_bounds(s->histograms, &min, &max) || t_ms < min ||
        t_ms > max)
        return false;
    bool found = toc_histogram_track_read(s->histograms, t_ms, t_ms, &b) == 0 && b.count;
    toc_series_buffer_fini(&b);
    return found;
}

enum toc_append toc_series_append(struct toc_head *h, struct toc_head_shard *shard,
                                  struct toc_series *s, int64_t t_ms, double value) {
    if (s->histograms && has_histogram(s, t_ms))
        return TOC_APPEND_DUPLICATE;
    if (is_latest(s, t_ms)) {
        append_last(h, shard, s, t_ms, value);
    } else {
        enum toc_append result = insert_late(h, shard, s, t_ms, value);
        if (result != TOC_APPEND_DONE)
            return result;
    }
    note_sample(shard, s, t_ms);
    return TOC_APPEND_DONE;
}

enum { TOGETHER = 32 };

/* Floats from the front of x that rise from the first on and lie before until_ms; how many. */
static size_t gather(const struct toc_metricdb_sample *x, size_t n, int64_t until_ms, int64_t *t,
                     double *v) {
    size_t i = 0;
    for (; i < n && !x[i].histogram && x[i].t_ms < until_ms && (!i || x[i].t_ms > t[i - 1]); i++) {
        t[i] = x[i].t_ms;
        v[i] = x[i].value;
    }
    return i;
}

/* May the sample go behind all that the series has, without a second look? */
static bool goes_last(const struct toc_series *s, const struct toc_metricdb_sample *x,
                      int64_t from_ms, int64_t until_ms) {
    return !s->histograms && !x->histogram && x->t_ms >= from_ms && x->t_ms < until_ms &&
           is_latest(s, x->t_ms);
}

[[gnu::noinline]] static size_t append_together(struct toc_head *h, struct toc_head_shard *shard,
                                                struct toc_series *s,
                                                const struct toc_metricdb_sample *x, size_t n,
                                                int64_t from_ms, int64_t until_ms) {
    int64_t t[TOGETHER];
    double v[TOGETHER];
    size_t done = 0;
    while (done < n && goes_last(s, &x[done], from_ms, until_ms)) {
        make_room(h, shard, s, x[done].t_ms, n - done);
        size_t room = TOC_MIN((size_t)TOGETHER, (size_t)TOC_HEAD_CHUNK_SAMPLES - s->open.count);
        size_t before = s->open.capacity, some = TOC_MIN(n - done, room);
        some = gather(x + done, some, TOC_MIN(until_ms, shard->window_end_ms), t, v);
        toc_stream_append_many(&s->open, t, v, some);
        shard->chunk_bytes += s->open.capacity - before;
        done += some;
    }
    if (done)
        note_samples(shard, s, done, x[0].t_ms, x[done - 1].t_ms);
    return done;
}

size_t toc_series_append_latest(struct toc_head *h, struct toc_head_shard *shard,
                                struct toc_series *s, const struct toc_metricdb_sample *x, size_t n,
                                int64_t from_ms, int64_t until_ms) {
    if (n != 1)
        return append_together(h, shard, s, x, n, from_ms, until_ms);
    if (!goes_last(s, x, from_ms, until_ms))
        return 0;
    append_last(h, shard, s, x->t_ms, x->value);
    note_sample(shard, s, x->t_ms);
    return 1;
}

enum toc_append toc_series_append_histogram(struct toc_head *h, struct toc_head_shard *shard,
                                            struct toc_series *s, int64_t t_ms,
                                            const struct toc_histogram *histogram,
                                            struct toc_sv encoded) {
    if (has_float(s, t_ms))
        return TOC_APPEND_DUPLICATE;
    if (!s->histograms)
        s->histograms = TOC_NEW(struct toc_histogram_track);
    enum toc_append result =
        toc_histogram_track_append(h, shard, s->histograms, t_ms, histogram, encoded);
    if (result == TOC_APPEND_DONE)
        note_sample(shard, s, t_ms);
    return result;
}

/* --- read and trim --- */

static bool is_open_wanted(const struct toc_series *s, int64_t min_ms, int64_t max_ms) {
    return s->open.count && s->open.first_ms <= max_ms && s->open.last_ms >= min_ms;
}

bool toc_series_overlaps(const struct toc_series *s, int64_t min_ms, int64_t max_ms) {
    size_t at = toc_series_chunk_place(s, min_ms);
    return is_open_wanted(s, min_ms, max_ms) ||
           (at < s->chunk_count && s->chunks[at]->min_ms <= max_ms) ||
           toc_histogram_track_overlaps(s->histograms, min_ms, max_ms);
}

bool toc_series_bounds(const struct toc_series *s, int64_t *out_min_ms, int64_t *out_max_ms) {
    int64_t min, max;
    *out_min_ms = INT64_MAX;
    *out_max_ms = INT64_MIN;
    if (s->chunk_count) {
        *out_min_ms = s->chunks[0]->min_ms;
        *out_max_ms = toc_head_chunk_max(s->chunks[s->chunk_count - 1]);
    }
    if (s->open.count) {
        *out_min_ms = TOC_MIN(*out_min_ms, s->open.first_ms);
        *out_max_ms = s->open.last_ms;
    }
    if (s->histograms && toc_histogram_track_bounds(s->histograms, &min, &max)) {
        *out_min_ms = TOC_MIN(*out_min_ms, min);
        *out_max_ms = TOC_MAX(*out_max_ms, max);
    }
    return *out_min_ms <= *out_max_ms;
}

int64_t toc_series_next_sample(const struct toc_series *s, int64_t from_ms) {
    int64_t next = INT64_MAX;
    size_t at = toc_series_chunk_place(s, from_ms);
    if (at < s->chunk_count)
        next = s->chunks[at]->min_ms;
    else if (s->open.count && s->open.last_ms >= from_ms)
        next = s->open.first_ms;
    if (s->histograms)
        next = TOC_MIN(next, toc_histogram_track_next_sample(s->histograms, from_ms));
    return TOC_MAX(next, from_ms);
}

static int64_t last_float(const struct toc_series *s, int64_t to_ms) {
    if (s->open.count && s->open.first_ms <= to_ms)
        return TOC_MIN(s->open.last_ms, to_ms);
    for (size_t i = s->chunk_count; i-- > 0;)
        if (s->chunks[i]->min_ms <= to_ms)
            return TOC_MIN(toc_head_chunk_max(s->chunks[i]), to_ms);
    return INT64_MIN;
}

int64_t toc_series_last_sample(const struct toc_series *s, int64_t to_ms) {
    int64_t last = last_float(s, to_ms), min, max;
    if (s->histograms && toc_histogram_track_bounds(s->histograms, &min, &max) && min <= to_ms)
        last = TOC_MAX(last, TOC_MIN(max, to_ms));
    return last;
}

int toc_series_read(const struct toc_series *s, int64_t min_ms, int64_t max_ms,
                    struct toc_series_buffer *out) {
    read_floats(s, min_ms, max_ms, out);
    size_t floats = out->count;
    int rc = toc_histogram_track_read(s->histograms, min_ms, max_ms, out);
    if (floats && out->count > floats)
        toc_samples_sort(out);
    return rc;
}

/* Removes [min_ms, max_ms] from sorted arrays; returns what is left. */
static size_t cut_out(int64_t *t, double *v, size_t n, int64_t min_ms, int64_t max_ms) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (t[i] >= min_ms && t[i] <= max_ms)
            continue;
        t[kept] = t[i];
        v[kept++] = v[i];
    }
    return kept;
}

static void trim_chunk(struct toc_head_shard *shard, struct toc_series *s, size_t at,
                       int64_t min_ms, int64_t max_ms) {
    int64_t t[TOC_CHUNK_SAMPLES_MAX];
    double v[TOC_CHUNK_SAMPLES_MAX];
    size_t n = decode_chunk(s->chunks[at], t, v);
    size_t kept = cut_out(t, v, n, min_ms, max_ms);
    if (kept)
        set_chunk(shard, s, at, t, v, kept);
    else
        drop_chunk(shard, s, at);
}

static size_t count_in(const struct toc_series *s, int64_t min_ms, int64_t max_ms) {
    struct toc_series_buffer c = {0};
    TOC_ASSERT(toc_series_read(s, min_ms, max_ms, &c) == 0);
    size_t n = c.count;
    toc_series_buffer_fini(&c);
    return n;
}

size_t toc_series_cut(struct toc_head_shard *shard, struct toc_series *s, int64_t min_ms,
                      int64_t max_ms) {
    if (!toc_series_overlaps(s, min_ms, max_ms))
        return 0;
    size_t gone = count_in(s, min_ms, max_ms);
    for (size_t i = s->chunk_count; i-- > 0;)
        if (s->chunks[i]->min_ms <= max_ms && toc_head_chunk_max(s->chunks[i]) >= min_ms)
            trim_chunk(shard, s, i, min_ms, max_ms);
    if (is_open_wanted(s, min_ms, max_ms)) {
        int64_t t[TOC_CHUNK_SAMPLES_MAX];
        double v[TOC_CHUNK_SAMPLES_MAX];
        size_t n = toc_stream_decode(&s->open, t, v);
        set_open(shard, s, t, v, cut_out(t, v, n, min_ms, max_ms));
    }
    if (!s->chunk_count) {
        toc_free(s->chunks);
        s->chunks = NULL;
        s->chunk_capacity = 0;
    }
    toc_histogram_track_cut(shard, s->histograms, min_ms, max_ms);
    if (toc_histogram_track_is_empty(s->histograms))
        toc_histogram_track_free(&s->histograms);
    shard->samples -= gone;
    return gone;
}

bool toc_series_trim(struct toc_head_shard *shard, struct toc_series *s, int64_t min_ms,
                     int64_t max_ms, size_t expected) {
    if (count_in(s, min_ms, max_ms) != expected)
        return false;
    toc_series_cut(shard, s, min_ms, max_ms);
    return true;
}
