#include "app/check_metrics.h"

#include <stdio.h>

#include "app/command.h"
#include "app/read_input.h"
#include "codec/exposition.h"
#include "codec/metric_lint.h"

enum { METRICS_MAX_BYTES = 256 << 20 };

struct counts {
    uint64_t samples, remarks;
};

static int count_sample(void *ctx, const struct toc_exposition_sample *s) {
    (void)s;
    ((struct counts *)ctx)->samples++;
    return 0;
}

static void print_remark(void *ctx, struct toc_sv metric, const char *remark) {
    ((struct counts *)ctx)->remarks++;
    printf("  %.*s: %s\n", TOC_SV_ARG(metric), remark);
}

static int check_format(const struct toc_check_metrics *c, struct toc_sv text,
                        struct counts *counts, struct toc_err *err) {
    const struct toc_exposition_handler handler = {
        .sample = count_sample, .meta = NULL, .ctx = counts};
    if (c->is_text)
        return toc_exposition_parse(TOC_EXPOSITION_TEXT, text, NULL, &handler, err);
    int rc = toc_openmetrics_check(text, NULL, err);
    return rc ? rc : toc_exposition_parse(TOC_EXPOSITION_OPENMETRICS, text, NULL, &handler, err);
}

static int check_text(struct toc_check_metrics *c, const char *name, struct toc_sv text) {
    struct counts counts = {0};
    struct toc_err err = {0};
    printf("Checking %s\n", name);
    if (check_format(c, text, &counts, &err)) {
        printf("  FAILED: %s:%d: %s\n", name, err.line, err.message);
        if (!c->is_text && !toc_sv_ends_with(toc_sv_trim(text), TOC_SV("# EOF")))
            printf("  (OpenMetrics ends with \"# EOF\"; --format text checks the older format)\n");
        return TOC_EXIT_FAILED;
    }
    enum toc_exposition_format format =
        c->is_text ? TOC_EXPOSITION_TEXT : TOC_EXPOSITION_OPENMETRICS;
    if (c->has_lint && toc_metric_lint(format, text, print_remark, &counts, &err))
        return TOC_EXIT_FAILED; /* it was read a moment ago */
    c->has_findings |= counts.remarks > 0;
    printf("  ok: %llu samples\n", (unsigned long long)counts.samples);
    return 0;
}

int toc_check_metrics(struct toc_check_metrics *c, const char *path) {
    struct toc_buf text = TOC_BUF_INIT;
    const char *name = toc_input_name(path);
    int rc = toc_read_input(path, METRICS_MAX_BYTES, &text);
    if (rc < 0) {
        printf("Checking %s\n  FAILED: cannot read it: %s\n", name, toc_strerror(rc));
        rc = TOC_EXIT_FAILED;
    } else {
        rc = check_text(c, name, toc_buf_sv(&text));
    }
    toc_buf_fini(&text);
    return rc;
}
