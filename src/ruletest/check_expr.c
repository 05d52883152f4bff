/* The value of an expression at the end of a test. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/time.h"
#include "ruletest/ruletest_priv.h"

struct sample {
    struct toc_labels labels;
    double value;
    const struct toc_histogram *histogram;
};
struct samples {
    TOC_VEC_FIELDS(struct sample)
};

static int by_labels(const void *a, const void *b) {
    return toc_labels_cmp(((const struct sample *)a)->labels, ((const struct sample *)b)->labels);
}

static void sort(struct samples *s) {
    if (s->count)
        qsort(s->items, s->count, sizeof *s->items, by_labels);
}

/* Histograms are equal when their texts are. */
static bool histograms_equal(const struct toc_histogram *a, const struct toc_histogram *b) {
    struct toc_buf x = TOC_BUF_INIT, y = TOC_BUF_INIT;
    toc_histogram_text_format(a, &x);
    toc_histogram_text_format(b, &y);
    bool equal = toc_sv_eq(toc_buf_sv(&x), toc_buf_sv(&y));
    toc_buf_fini(&x);
    toc_buf_fini(&y);
    return equal;
}

static bool values_equal(double a, double b, bool is_fuzzy) {
    if (a == b || (isnan(a) && isnan(b)))
        return true;
    return is_fuzzy && (nextafter(a, INFINITY) == b || nextafter(a, -INFINITY) == b);
}

static bool agree(const struct samples *want, const struct samples *got, bool is_fuzzy) {
    if (want->count != got->count)
        return false;
    for (size_t i = 0; i < want->count; i++) {
        const struct sample *w = &want->items[i], *g = &got->items[i];
        if (!toc_labels_eq(w->labels, g->labels) || !w->histogram != !g->histogram)
            return false;
        if (w->histogram ? !histograms_equal(w->histogram, g->histogram)
                         : !values_equal(w->value, g->value, is_fuzzy))
            return false;
    }
    return true;
}

static void describe(const struct samples *s, struct toc_buf *out) {
    for (size_t i = 0; i < s->count; i++) {
        toc_labels_format(s->items[i].labels, out);
        toc_buf_append_char(out, ' ');
        if (s->items[i].histogram)
            toc_histogram_text_format(s->items[i].histogram, out);
        else
            toc_format_f64_g(s->items[i].value, out);
        toc_buf_append_char(out, '\n');
    }
}

static void begin_failure(struct test_run *r, const struct toc_expr_check *check,
                          const char *detail) {
    struct toc_buf after = TOC_BUF_INIT;
    toc_duration_format(check->eval_ms, &after);
    run_failure(r, "expr: \"%.*s\", time: %s,%s%s", TOC_SV_ARG(check->expr), toc_buf_cstr(&after),
                detail[0] ? " err: " : "", detail);
    toc_buf_fini(&after);
}

static void compare(struct test_run *r, const struct toc_expr_check *check, struct samples *want,
                    struct samples *got) {
    struct toc_buf want_text = TOC_BUF_INIT, got_text = TOC_BUF_INIT;
    sort(want);
    sort(got);
    if (agree(want, got, r->file->is_fuzzy))
        return;
    describe(want, &want_text);
    describe(got, &got_text);
    begin_failure(r, check, "");
    run_compare(r, &want_text, &got_text);
    toc_buf_fini(&want_text);
    toc_buf_fini(&got_text);
}

/* A vector, or a scalar as one sample without labels. */
static int query(struct test_run *r, const struct toc_expr_check *check,
                 struct toc_promql_result *result, struct samples *out, struct toc_err *err) {
    const struct toc_promql_options o = {.querier = &r->store.querier,
                                         .features = r->options->features,
                                         .subquery_step_ms = r->file->evaluation_interval_ms};
    struct toc_promql_expr *e = NULL;
    int rc = toc_promql_parse_with(check->expr, r->options->features, &e, err);
    if (!rc)
        rc = toc_promql_instant(e, &o, r->test->start_ms + check->eval_ms, result, err);
    if (!rc && result->type == TOC_PROMQL_SCALAR)
        TOC_VEC_PUSH(out, ((struct sample){.value = result->scalar}));
    else if (!rc && result->type != TOC_PROMQL_VECTOR)
        rc = toc_errf(err, TOC_ETYPE, "rule result is not a vector or scalar");
    for (size_t i = 0; !rc && i < result->series_count; i++)
        if (result->series[i].count)
            TOC_VEC_PUSH(
                out, ((struct sample){result->series[i].labels, result->series[i].points[0].value,
                                      result->series[i].points[0].histogram}));
    toc_promql_expr_free(&e);
    return rc;
}

void check_expr(struct test_run *r, const struct toc_expr_check *check) {
    struct toc_promql_result result = {0};
    struct samples want = {0}, got = {0};
    struct toc_err err = {0};
    for (size_t i = 0; i < check->sample_count; i++)
        TOC_VEC_PUSH(&want, ((struct sample){check->samples[i].labels, check->samples[i].value,
                                             check->samples[i].histogram}));
    if (check->wrong_sample.code)
        begin_failure(r, check, check->wrong_sample.message);
    else if (query(r, check, &result, &got, &err))
        begin_failure(r, check, err.message);
    else
        compare(r, check, &want, &got);
    toc_promql_result_fini(&result);
    TOC_VEC_FINI(&want);
    TOC_VEC_FINI(&got);
}
