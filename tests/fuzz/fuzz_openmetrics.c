/* Oracles: what the strict check takes, the parser takes; an accepted text ends with # EOF. */
#include <stdlib.h>

#include "codec/exposition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_sample(void *ctx, const struct toc_exposition_sample *s) {
    (void)ctx;
    if (!s->metric.n || (s->exemplar && s->exemplar->label_count > 128))
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv text = toc_sv_make((const char *)data, size);
    struct toc_err err = {0}, strict_err = {0};
    struct toc_exposition_handler h = {.sample = on_sample};
    int rc = toc_exposition_parse(TOC_EXPOSITION_OPENMETRICS, text, NULL, &h, &err);
    int strict = toc_openmetrics_check(text, NULL, &strict_err);
    if (rc && !strict)
        abort();
    if (!rc && !toc_sv_ends_with(text, TOC_SV("# EOF\n")) &&
        !toc_sv_ends_with(text, TOC_SV("# EOF")))
        abort();
    if (strict && strict_err.line < 1)
        abort();
    return 0;
}
