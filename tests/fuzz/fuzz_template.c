/* Oracles: rendering is repeatable, ends within its limits, and an error has a place. */
#include <stdlib.h>

#include "codec/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int render(const struct toc_template *t, struct toc_buf *out, struct toc_err *err) {
    struct toc_template_value labels[] = {
        toc_template_named("job", toc_template_string(TOC_SV("train"))),
        toc_template_named("instance", toc_template_string(TOC_SV("a.b:1"))),
    };
    struct toc_template_value list[] = {toc_template_number(1), toc_template_string(TOC_SV("x"))};
    struct toc_template_value root[] = {
        toc_template_named("Labels", toc_template_map(labels, 2)),
        toc_template_named("list", toc_template_list(list, 2)),
    };
    struct toc_template_value variables[] = {
        toc_template_named("labels", toc_template_map(labels, 2)),
        toc_template_named("value", toc_template_number(-12345.678)),
    };
    struct toc_template_input in = {toc_template_map(root, 2), variables, 2, NULL};
    struct toc_template_limits limits = {2000, 3000, 64 << 10};
    return toc_template_render(t, &in, &limits, out, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_template *t = NULL;
    struct toc_err err = {0};
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    if (toc_template_compile_with(toc_sv_make((const char *)data, size),
                                  TOC_TEMPLATE_RULE_FUNCTIONS, &t, &err)) {
        if (err.line < 1)
            abort();
        return 0;
    }
    int rc = render(t, &a, &err);
    if (render(t, &b, NULL) != rc || !toc_sv_eq(toc_buf_sv(&a), toc_buf_sv(&b)) || a.n > 2000)
        abort();
    if (rc && err.line < 1)
        abort();
    toc_template_free(&t);
    toc_buf_fini(&a);
    toc_buf_fini(&b);
    return 0;
}
