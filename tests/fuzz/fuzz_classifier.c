/* Oracle: a classifier that decodes gives a probability in [0, 1] for any row, also with missing
 * and huge values, its importances are shares, and it encodes to bytes that decode to the same
 * answers. The checksums are repaired first, so that mutations reach the decoder behind it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "detect/classifier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 5, COLUMNS_MAX = 64, ROWS = 6 };

static void fill(double *row, size_t columns, size_t kind) {
    static const double values[] = {0, -1, 1e6, NAN, -1e38, 1e38};
    for (size_t c = 0; c < columns; c++)
        row[c] = kind == 0 ? (double)c : values[(c + kind) % 6];
}

static void check(const struct toc_classifier *c) {
    double row[COLUMNS_MAX], share[COLUMNS_MAX], sum = 0;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_classifier *back = NULL;
    size_t columns = toc_classifier_columns(c);
    if (columns == 0 || columns > COLUMNS_MAX)
        abort();
    toc_classifier_importance(c, share);
    for (size_t i = 0; i < columns; i++)
        sum += share[i];
    if (!(fabs(sum - 1) < 1e-6 || sum == 0))
        abort();
    toc_classifier_encode(c, &out);
    if (toc_buf_error(&out) || toc_classifier_decode(toc_buf_sv(&out), &back, NULL) != 0)
        abort();
    for (size_t k = 0; k < ROWS; k++) {
        fill(row, columns, k);
        double p = toc_classifier_probability(c, row);
        if (!(p >= 0 && p <= 1) || p != toc_classifier_probability(back, row))
            abort();
    }
    toc_classifier_free(&back);
    toc_buf_fini(&out);
}

/* Each model inside is a length and bytes that end with their checksum. */
static void repair(char *bytes, size_t size) {
    struct toc_reader r = toc_reader_make(toc_sv_make(bytes, size));
    (void)toc_read_bytes(&r, HEAD);
    while (toc_reader_left(&r)) {
        struct toc_sv model = toc_read_string(&r);
        if (r.error || model.n < 4)
            return;
        uint32_t crc = toc_crc32c(0, model.p, model.n - 4);
        for (size_t i = 0; i < 4; i++)
            bytes[(size_t)(model.p - bytes) + model.n - 4 + i] = (char)(crc >> (8 * i));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_classifier *c = NULL;
    if (toc_classifier_decode(toc_sv_make((const char *)data, size), &c, NULL) == 0) {
        check(c);
        toc_classifier_free(&c);
    }
    if (size < HEAD + 8)
        return 0;
    char *bytes = malloc(size);
    memcpy(bytes, data, size);
    repair(bytes, size);
    if (toc_classifier_decode(toc_sv_make(bytes, size), &c, NULL) == 0) {
        check(c);
        toc_classifier_free(&c);
    }
    free(bytes);
    return 0;
}
