/* Oracle: what decodes has rising ends and samples inside their buckets and, encoded again, decodes
 * to the same. */
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "metricdb/rollup_chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RESOLUTION_MS = 300000 };

static void check(const struct toc_rollups *b) {
    for (size_t i = 0; i < b->count; i++) {
        const struct toc_rollup *x = &b->items[i];
        if (x->end_ms % RESOLUTION_MS || (i && x->end_ms <= b->items[i - 1].end_ms))
            abort();
        if (x->count && (x->first_ms > x->last_ms || x->last_ms > x->end_ms ||
                         x->first_ms <= x->end_ms - RESOLUTION_MS))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_rollups b = {0}, back = {0};
    struct toc_buf bytes = TOC_BUF_INIT;
    int rc = toc_rollup_chunk_decode(toc_sv_make((const char *)data, size), RESOLUTION_MS, &b);
    if ((rc != 0) == (b.count != 0))
        abort();
    check(&b);
    if (rc == 0) {
        toc_rollup_chunk_encode(b.items, b.count, RESOLUTION_MS, &bytes);
        if (toc_rollup_chunk_decode(toc_buf_sv(&bytes), RESOLUTION_MS, &back) ||
            back.count != b.count || memcmp(b.items, back.items, b.count * sizeof *b.items))
            abort();
    }
    toc_buf_fini(&bytes);
    toc_rollups_fini(&b);
    toc_rollups_fini(&back);
    return 0;
}
