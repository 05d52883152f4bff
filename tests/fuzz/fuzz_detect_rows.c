/* Oracle: rows read in small pieces are those read from the whole text: same lines, times, values,
 * and the same complaint at the same place. Times and values are finite but for missing or broken
 * numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/detect_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct answer {
    int rc, line, column;
    uint64_t rows;
    double sum; /* of everything read, weighted by its place */
};

static void take_row(struct answer *a, const struct toc_detect_rows *r) {
    double weight = (double)(a->rows + 1);
    if (!isfinite(r->seconds) || r->line <= a->line)
        abort();
    a->line = r->line;
    a->sum += weight * remainder(r->seconds, 1000) + r->line;
    for (size_t i = 0; i < r->columns.chosen.count; i++)
        if (isfinite(r->values[i]))
            a->sum += weight * remainder(r->values[i], 100 + (double)i);
        else if (isinf(r->values[i]) != 0)
            a->sum += weight * 7;
    a->rows++;
}

static struct answer read_all(struct toc_sv text, size_t step_bytes) {
    struct toc_detect_rows r;
    struct toc_err err = {0};
    struct answer a = {0};
    a.rc = toc_detect_rows_open_text(&r, text, step_bytes, NULL, &err);
    while (a.rc == 0) {
        a.rc = toc_detect_rows_next(&r, &err);
        if (a.rc == 0)
            take_row(&a, &r);
    }
    if (a.rc != TOC_EEND && !err.message[0])
        abort();
    if (a.rc != TOC_EEND) {
        a.line = err.line;
        a.column = err.column;
    }
    toc_detect_rows_fini(&r);
    return a;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t steps[] = {1, 7, 64};
    struct toc_sv text = toc_sv_make((const char *)data, size);
    struct answer whole = read_all(text, TOC_DETECT_STEP_BYTES);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct answer parts = read_all(text, steps[i]);
        if (parts.rc != whole.rc || parts.line != whole.line || parts.column != whole.column ||
            parts.rows != whole.rows || memcmp(&parts.sum, &whole.sum, sizeof parts.sum) != 0)
            abort();
    }
    return 0;
}
