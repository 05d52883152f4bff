/* Chunks of a block: read, checked, decoded. */
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "metricdb/block.h"
#include "metricdb/block_format.h"
#include "metricdb/chunk.h"

enum {
    SMALL_BYTES = 8192, /* read on the stack */
    CHUNK_BYTES_MAX = 64 << 20,
    CRC_BYTES = 4,
    RUN_BYTES = 16384,
    RUN_CHUNKS = 32,
};

static int check_and_append(const struct toc_block_chunk *c, const char *bytes, int64_t min_ms,
                            int64_t max_ms, struct toc_series_buffer *out) {
    uint32_t crc;
    memcpy(&crc, bytes + c->bytes, CRC_BYTES);
    if (crc != toc_crc32c(0, bytes, c->bytes))
        return TOC_ECORRUPT;
    return toc_chunk_append(toc_sv_make(bytes, c->bytes), min_ms, max_ms, out);
}

static int read_whole(const struct toc_block_index *x, char *to, size_t n, uint64_t at) {
    int64_t got = toc_block_pread(x, to, n, at);
    return got == (int64_t)n ? 0 : got < 0 ? (int)got : TOC_ECORRUPT;
}

static int read_into(const struct toc_block_index *x, const struct toc_block_chunk *c, char *to,
                     int64_t min_ms, int64_t max_ms, struct toc_series_buffer *out) {
    int rc = read_whole(x, to, (size_t)c->bytes + CRC_BYTES, c->offset);
    return rc ? rc : check_and_append(c, to, min_ms, max_ms, out);
}

int toc_block_read_chunk(const struct toc_block_index *x, const struct toc_block_chunk *c,
                         int64_t min_ms, int64_t max_ms, struct toc_series_buffer *out) {
    char small[SMALL_BYTES];
    size_t want = (size_t)c->bytes + CRC_BYTES;
    if (want <= sizeof small)
        return read_into(x, c, small, min_ms, max_ms, out);
    if (c->bytes > CHUNK_BYTES_MAX)
        return TOC_ECORRUPT;
    char *large = toc_try_alloc(want);
    int rc = large ? read_into(x, c, large, min_ms, max_ms, out) : TOC_ENOMEM;
    toc_free(large);
    return rc;
}

int toc_block_load_chunk(const struct toc_block_index *x, const struct toc_block_chunk *c,
                         struct toc_buf *out) {
    size_t want = (size_t)c->bytes + CRC_BYTES;
    char *to = c->bytes > CHUNK_BYTES_MAX ? NULL : toc_buf_reserve(out, want);
    if (!to)
        return c->bytes > CHUNK_BYTES_MAX ? TOC_ECORRUPT : TOC_ENOMEM;
    int rc = read_whole(x, to, want, c->offset);
    uint32_t crc = 0;
    if (!rc)
        memcpy(&crc, to + c->bytes, CRC_BYTES);
    if (!rc && crc != toc_crc32c(0, to, c->bytes))
        rc = TOC_ECORRUPT;
    out->n += rc ? 0 : c->bytes;
    return rc;
}

/* --- chunks side by side --- */

struct run {
    const struct toc_block_index *x;
    int64_t min_ms, max_ms;
    struct toc_series_buffer *out;
    toc_on_lost_chunk *on_loss;
    void *ctx;
    struct toc_block_chunk chunks[RUN_CHUNKS];
    size_t count, bytes;
};

static int note(struct run *r, const struct toc_block_chunk *c, int rc) {
    if (rc != TOC_ECORRUPT && rc != TOC_EIO)
        return rc;
    r->on_loss(r->ctx, c);
    return 0;
}

/* One by one: a run that is too long for the stack, or whose read failed. */
static int read_apart(struct run *r) {
    int rc = 0;
    for (size_t i = 0; i < r->count && !rc; i++)
        rc = note(r, &r->chunks[i],
                  toc_block_read_chunk(r->x, &r->chunks[i], r->min_ms, r->max_ms, r->out));
    return rc;
}

static int flush_run(struct run *r) {
    char bytes[RUN_BYTES];
    int rc = 0;
    if (r->bytes > sizeof bytes || r->count < 2 ||
        read_whole(r->x, bytes, r->bytes, r->chunks[0].offset)) {
        rc = read_apart(r);
    } else {
        for (size_t i = 0; i < r->count && !rc; i++) {
            const char *at = bytes + (r->chunks[i].offset - r->chunks[0].offset);
            rc = note(r, &r->chunks[i],
                      check_and_append(&r->chunks[i], at, r->min_ms, r->max_ms, r->out));
        }
    }
    r->count = r->bytes = 0;
    return rc;
}

/* Does the chunk lie right behind the run, and is there room? */
static bool fits(const struct run *r, const struct toc_block_chunk *c) {
    return r->count < RUN_CHUNKS && r->bytes + c->bytes + CRC_BYTES <= RUN_BYTES &&
           c->offset == r->chunks[0].offset + r->bytes;
}

int toc_block_read_series(const struct toc_block_index *x, uint32_t series, int64_t min_ms,
                          int64_t max_ms, struct toc_series_buffer *out, toc_on_lost_chunk *on_loss,
                          void *ctx) {
    struct run r;
    struct toc_block_cursor cursor;
    struct toc_block_chunk c;
    r.x = x;
    r.min_ms = min_ms;
    r.max_ms = max_ms;
    r.out = out;
    r.on_loss = on_loss;
    r.ctx = ctx;
    r.count = r.bytes = 0;
    int rc = 0;
    if (toc_block_index_chunks(x, series, &cursor))
        return 0;
    while (!rc && toc_block_cursor_next(&cursor, &c)) {
        if (c.max_ms < min_ms)
            continue;
        if (c.min_ms > max_ms)
            break;
        if (r.count && !fits(&r, &c))
            rc = flush_run(&r);
        r.chunks[r.count++] = c;
        r.bytes += (size_t)c.bytes + CRC_BYTES;
    }
    return rc || !r.count ? rc : flush_run(&r);
}
