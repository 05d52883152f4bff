/* Oracles: a test file that parses runs to its end with one verdict per eval; the text of a
 * histogram that was read is read as the same histogram. */
#include <ctype.h>
#include <stdlib.h>

#include "promqltest/runner.h"
#include "ruletest/test_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* `1x99999` is right, and a gigabyte is not what is looked for here. */
static bool is_long(struct toc_sv text) {
    size_t digits = 0;
    for (size_t i = 0; i < text.n; i++) {
        digits = isdigit((unsigned char)text.p[i]) ? digits + 1 : 0;
        if (digits > 3)
            return true;
    }
    return false;
}

static void check_histogram(const struct toc_histogram *h) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_buf once = TOC_BUF_INIT, twice = TOC_BUF_INIT;
    const struct toc_histogram *again = NULL;
    toc_histogram_text_format(h, &once);
    if (toc_sv_find(toc_buf_sv(&once), TOC_SV("…")) == SIZE_MAX) {
        if (toc_histogram_text_parse(toc_buf_sv(&once), &arena, &again, NULL) < 0)
            abort();
        toc_histogram_text_format(again, &twice);
        if (!toc_sv_eq(toc_buf_sv(&once), toc_buf_sv(&twice)))
            abort();
    }
    toc_buf_fini(&once);
    toc_buf_fini(&twice);
    toc_arena_fini(&arena);
}

static void check_series(const struct toc_series_text *s) {
    for (size_t i = 0; i < s->count; i++)
        if (s->values[i].histogram)
            check_histogram(s->values[i].histogram);
}

static void count(void *ctx, int line, struct toc_sv expr, struct toc_sv why) {
    (void)expr;
    (void)why;
    *(size_t *)ctx += line > 0;
}

static void run(const struct toc_test_script *script) {
    size_t seen = 0, evals = 0;
    struct toc_promqltest_outcome outcome = {0};
    struct toc_promqltest_options o = {
        .features = TOC_PROMQLTEST_FEATURES, .on_result = count, .ctx = &seen};
    for (size_t i = 0; i < script->count; i++) {
        const struct toc_test_command *c = &script->items[i];
        evals += c->kind == TOC_TEST_EVAL;
        for (size_t k = 0; k < c->load.series.count; k++)
            check_series(&c->load.series.items[k].text);
        for (size_t k = 0; k < c->eval.series.count; k++)
            check_series(&c->eval.series.items[k]);
        if (c->eval.is_range &&
            (c->eval.times.end_ms - c->eval.times.start_ms) / 100 > c->eval.times.step_ms)
            return; /* more than a hundred steps */
    }
    toc_promqltest_run(script, &o, &outcome);
    if (seen != outcome.passed + outcome.failed || seen < evals)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv text = toc_sv_make((const char *)data, size);
    struct toc_test_script *script = NULL;
    struct toc_rule_test_file *file = NULL;
    struct toc_err err = {0};
    if (size > 4096 || is_long(text))
        return 0;
    if (toc_test_script_parse(text, &script, &err) == 0)
        run(script);
    else if (!err.message[0] || err.line <= 0)
        abort();
    toc_test_script_free(&script);
    if (toc_rule_test_file_parse(text, false, &file, NULL) == 0)
        toc_rule_test_file_free(&file);
    return 0;
}
