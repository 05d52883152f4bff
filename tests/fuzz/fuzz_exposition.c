/* Oracles: the raw series text parses back to the same series; limits hold; text is UTF-8. */
#include <stdlib.h>

#include "codec/exposition.h"

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

static int on_sample(void *ctx, const struct toc_exposition_sample *s) {
    (void)ctx;
    struct toc_buf line = TOC_BUF_INIT;
    if (!s->metric.n || !toc_sv_is_utf8(s->series_text) ||
        s->label_count > TOC_EXPOSITION_DEFAULT_LIMITS.max_labels)
        abort();
    toc_buf_append_sv(&line, s->series_text);
    toc_buf_append_cstr(&line, " 1\n");
    struct toc_exposition_handler h = {.sample = compare_series, .ctx = (void *)s};
    if (toc_exposition_parse(TOC_EXPOSITION_TEXT, toc_buf_sv(&line), NULL, &h, NULL) != 1)
        abort();
    toc_buf_fini(&line);
    return 0;
}

static int on_meta(void *ctx, const struct toc_exposition_meta *m) {
    (void)ctx;
    if (!m->metric.n && m->metric.p == NULL)
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_err err = {0};
    struct toc_exposition_handler h = {.sample = on_sample, .meta = on_meta};
    int rc = toc_exposition_parse(TOC_EXPOSITION_TEXT, toc_sv_make((const char *)data, size), NULL,
                                  &h, &err);
    if (rc && (err.line < 1 || err.column < 1))
        abort();
    return 0;
}
