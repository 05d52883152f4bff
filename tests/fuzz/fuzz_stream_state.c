/* Oracle: a stream that decodes takes any rows and answers with finite numbers in their ranges, and
 * encodes to bytes that give the same answers. The checksum is repaired first, so that mutations
 * reach the decoder behind it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "detect/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS = 150, COLUMNS_CHECKED_MAX = 8 };

static struct toc_stream *decode(const char *bytes, size_t size) {
    struct toc_stream *s = NULL;
    return toc_stream_state_decode(toc_sv_make(bytes, size), &s, NULL) == 0 ? s : NULL;
}

static struct toc_stream *copy_of(const struct toc_stream *s) {
    struct toc_buf bytes = TOC_BUF_INIT;
    toc_stream_state_encode(s, &bytes);
    struct toc_stream *copy = decode(bytes.p, bytes.n);
    toc_buf_fini(&bytes);
    if (!copy)
        abort();
    return copy;
}

static void check_rows(struct toc_stream *a, struct toc_stream *b) {
    static const double odd[] = {0, 1, -3.5, 1e29, -1e29, 7, 1e-30, 42};
    for (int row = 0; row < ROWS; row++) {
        double v[COLUMNS_CHECKED_MAX];
        for (int c = 0; c < COLUMNS_CHECKED_MAX; c++)
            v[c] = odd[(row * 5 + c * 3 + row / 7) % 8];
        double t = 2e9 + row * 60.0;
        struct toc_stream_result x = toc_stream_step(a, t, v), y = toc_stream_step(b, t, v);
        if (!(x.score >= 0 && x.score <= 1) || !isfinite(x.surprise) || !isfinite(x.bar) ||
            !isfinite(x.lower) || !isfinite(x.upper))
            abort();
        if (x.score != y.score || x.surprise != y.surprise || x.is_alert != y.is_alert)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 10 || size > 1 << 20)
        return 0;
    char *bytes = toc_xmemdup(data, size);
    uint32_t crc = toc_crc32c(0, bytes, size - 4);
    for (int i = 0; i < 4; i++)
        bytes[size - 4 + i] = (char)(crc >> 8 * i);
    struct toc_stream *s = decode(bytes, size);
    if (s && toc_stream_columns(s) <= COLUMNS_CHECKED_MAX) {
        struct toc_stream *copy = copy_of(s);
        check_rows(s, copy);
        toc_stream_free(&copy);
    }
    toc_stream_free(&s);
    toc_free(bytes);
    return 0;
}
