/* Oracles: the text of a series is one that the text format reads back as the same series; indexes
 * of buckets rise; a second reading says the same. */
#include <stdlib.h>

#include "base/hash.h"
#include "codec/exposition_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int compare_series(void *ctx, const struct toc_exposition_sample *again) {
    const struct toc_exposition_sample *s = ctx;
    if (!toc_sv_eq(s->metric, again->metric) || s->label_count != again->label_count)
        abort();
    for (size_t i = 0; i < s->label_count; i++)
        if (!toc_sv_eq(s->labels[i].name, again->labels[i].name) ||
            !toc_sv_eq(s->labels[i].value, again->labels[i].value))
            abort();
    return 1;
}

static void check_text(const struct toc_exposition_sample *s) {
    struct toc_buf line = TOC_BUF_INIT;
    struct toc_exposition_limits limits = TOC_EXPOSITION_DEFAULT_LIMITS;
    limits.max_labels++; /* the bound */
    toc_buf_append_sv(&line, s->series_text);
    toc_buf_append_cstr(&line, " 1\n");
    struct toc_exposition_handler h = {.sample = compare_series, .ctx = (void *)(uintptr_t)s};
    bool is_short = line.n <= limits.max_line_bytes &&
                    s->metric.n <= TOC_EXPOSITION_DEFAULT_LIMITS.max_label_value_bytes;
    if (is_short &&
        toc_exposition_parse(TOC_EXPOSITION_TEXT, toc_buf_sv(&line), &limits, &h, NULL) != 1)
        abort();
    toc_buf_fini(&line);
}

static int on_sample(void *ctx, const struct toc_exposition_sample *s) {
    uint64_t *sum = ctx;
    check_text(s);
    *sum = toc_hash64(s->series_text.p, s->series_text.n, *sum);
    *sum = toc_hash64(&s->value, sizeof s->value, *sum);
    return 0;
}

static void check_side(const struct toc_exposition_buckets *b) {
    for (size_t i = 1; i < b->size; i++)
        if (b->index[i] <= b->index[i - 1])
            abort();
    if (b->size > TOC_EXPOSITION_BUCKETS_MAX)
        abort();
}

static int on_histogram(void *ctx, const struct toc_exposition_sample *s,
                        const struct toc_exposition_histogram *h) {
    uint64_t *sum = ctx;
    check_text(s);
    check_side(&h->positive);
    check_side(&h->negative);
    *sum = toc_hash64(&h->sum, sizeof h->sum, *sum) + h->positive.size;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t sums[2] = {0};
    int rc[2];
    for (int i = 0; i < 2; i++) {
        struct toc_err err = {0};
        struct toc_exposition_handler h = {
            .sample = on_sample, .histogram = on_histogram, .ctx = &sums[i]};
        rc[i] = toc_exposition_proto_parse(toc_sv_make((const char *)data, size), NULL, &h, &err);
        if (rc[i] && err.line < 1)
            abort();
    }
    if (rc[0] != rc[1] || sums[0] != sums[1])
        abort();
    return 0;
}
