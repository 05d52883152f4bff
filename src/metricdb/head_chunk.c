#include "metricdb/head_chunk.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "metricdb/chunk.h"
#include "metricdb/samples.h"

struct toc_head_chunk *toc_head_chunk_new(int64_t min_ms, int64_t max_ms, size_t count,
                                          struct toc_sv bytes) {
    TOC_ASSERT(count <= TOC_CHUNK_SAMPLES_MAX && bytes.n <= UINT32_MAX);
    struct toc_head_chunk *c = toc_xalloc(offsetof(struct toc_head_chunk, bytes) + bytes.n);
    uint64_t span_ms = (uint64_t)max_ms - (uint64_t)min_ms;
    c->min_ms = min_ms;
    c->span_ms = (uint32_t)TOC_MIN(span_ms, (uint64_t)UINT32_MAX);
    c->n = (uint32_t)bytes.n;
    c->count = count & 0x7fff; /* the mask tells the compiler */
    c->is_saved = false;
    memcpy(c->bytes, bytes.p, bytes.n);
    return c;
}

/* Late samples may be weeks apart. */
int64_t toc_head_chunk_decoded_max(const struct toc_head_chunk *c) {
    struct toc_series_buffer b = {0};
    int rc = toc_chunk_append(toc_head_chunk_bytes(c), INT64_MIN, INT64_MAX, &b);
    TOC_ASSERT(rc == 0 && b.count == c->count);
    int64_t max_ms = b.t_ms[b.count - 1];
    toc_series_buffer_fini(&b);
    return max_ms;
}
