/* Oracle: a forest that decodes scores any finite row in [-1, 0], with all kernels alike, and
 * encodes to the same bytes again. The checksum is repaired first, so that mutations reach the
 * decoder behind it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "detect/iforest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS = 5, COLUMNS_SCORED_MAX = 64, NODES_SCORED_MAX = 100000 };

static void check_scores(const struct toc_iforest *f, size_t columns) {
    static double x[ROWS * COLUMNS_SCORED_MAX];
    for (size_t i = 0; i < ROWS * columns; i++)
        x[i] = (i % 2 ? -1.0 : 1.0) * pow(10, (double)(i % 9) - 4);
    struct toc_matrix m = {x, ROWS, columns};
    double a[ROWS], b[ROWS];
    if (toc_iforest_score_with(f, TOC_IFOREST_KERNEL_PORTABLE, m, a, NULL))
        abort();
    for (int kernel = TOC_IFOREST_KERNEL_AVX2; kernel <= TOC_IFOREST_KERNEL_ROW; kernel++)
        if (toc_iforest_score_with(f, (enum toc_iforest_kernel)kernel, m, b, NULL) ||
            memcmp(a, b, sizeof a) != 0)
            abort();
    for (size_t i = 0; i < ROWS; i++)
        if (!(a[i] >= -1 && a[i] <= 0))
            abort();
}

static void check_round_trip(const struct toc_iforest *f, const char *bytes, size_t size) {
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_iforest *back = NULL;
    toc_iforest_encode(f, &out);
    /* Long forms of small varints are accepted but never written. */
    if (toc_buf_error(&out) || out.n > size || (out.n == size && memcmp(out.p, bytes, size) != 0) ||
        toc_iforest_decode(toc_buf_sv(&out), &back, NULL) != 0)
        abort();
    toc_iforest_free(&back);
    toc_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_iforest *f = NULL;
    if (toc_iforest_decode(toc_sv_make((const char *)data, size), &f, NULL) == 0)
        toc_iforest_free(&f);
    if (size < 8)
        return 0;
    char *bytes = malloc(size);
    memcpy(bytes, data, size);
    uint32_t crc = toc_crc32c(0, bytes, size - 4);
    for (size_t i = 0; i < 4; i++)
        bytes[size - 4 + i] = (char)(crc >> (8 * i));
    if (toc_iforest_decode(toc_sv_make(bytes, size), &f, NULL) == 0) {
        struct toc_iforest_info info = toc_iforest_info(f);
        if (info.columns <= COLUMNS_SCORED_MAX && info.nodes <= NODES_SCORED_MAX)
            check_scores(f, info.columns);
        check_round_trip(f, bytes, size);
        toc_iforest_free(&f);
    }
    free(bytes);
    return 0;
}
