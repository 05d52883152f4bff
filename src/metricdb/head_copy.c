#include "metricdb/head_copy.h"

#include <string.h>

#include "base/assert.h"
#include "metricdb/chunk.h"

/* Where `bytes` more go, or NULL when they do not fit any more. */
static uint8_t *take(struct toc_head_copy *c, size_t *io_used, size_t bytes, size_t count,
                     bool is_stream) {
    if (c->count == TOC_HEAD_COPY_PIECES || *io_used + bytes > TOC_HEAD_COPY_BYTES)
        return NULL;
    c->pieces[c->count++] =
        (struct toc_head_piece){(uint16_t)*io_used, (uint16_t)bytes, (uint16_t)count, is_stream};
    *io_used += bytes;
    return c->bytes + *io_used - bytes;
}

static bool copy_open(const struct toc_series *s, int64_t min_ms, size_t *io_used,
                      struct toc_head_copy *out) {
    size_t skipped, at = toc_stream_seek(&s->open, min_ms, &skipped);
    uint8_t *to = take(out, io_used, s->open.n - at, s->open.count - skipped, true);
    if (to)
        memcpy(to, s->open.p + at, s->open.n - at);
    return to != NULL;
}

void toc_series_copy(const struct toc_series *s, int64_t min_ms, int64_t max_ms,
                     struct toc_head_copy *out) {
    size_t used = 0;
    out->count = 0;
    out->is_whole = false;
    for (size_t i = toc_series_chunk_place(s, min_ms); i < s->chunk_count; i++) {
        const struct toc_head_chunk *c = s->chunks[i];
        if (c->min_ms > max_ms)
            break;
        uint8_t *to = take(out, &used, c->n, c->count, false);
        if (!to) {
            TOC_ASSERT(out->count); /* one fits always */
            return;
        }
        memcpy(to, c->bytes, c->n);
        out->next_ms = toc_head_chunk_max(c) + 1;
    }
    bool is_open_wanted = s->open.count && s->open.first_ms <= max_ms && s->open.last_ms >= min_ms;
    out->is_whole = !is_open_wanted || copy_open(s, min_ms, &used, out);
    TOC_ASSERT(out->is_whole || out->count);
}

void toc_head_copy_decode(const struct toc_head_copy *c, struct toc_series_buffer *out) {
    for (size_t i = 0; i < c->count; i++) {
        const struct toc_head_piece *p = &c->pieces[i];
        size_t n = p->count;
        toc_series_buffer_reserve(out, TOC_MAX(n, (size_t)TOC_CHUNK_SAMPLES_MAX));
        int64_t *t = out->t_ms + out->count;
        double *v = out->values + out->count;
        if (p->is_stream) {
            size_t used = toc_stream_decode_bytes(c->bytes + p->at, n, t, v);
            TOC_ASSERT(used == p->bytes);
        } else {
            struct toc_sv bytes = toc_sv_make((const char *)c->bytes + p->at, p->bytes);
            TOC_ASSERT(toc_chunk_decode(bytes, t, v, &n) == 0 && n == p->count);
        }
        for (size_t k = 0; k < n && out->has_histograms; k++)
            out->histograms[out->count + k] = NULL;
        out->count += n;
    }
}
