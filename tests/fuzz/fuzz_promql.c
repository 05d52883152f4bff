/* Oracles, without and with all features: the canonical and the indented text of an expression
 * parse to the same canonical text; what parses without features does so with them, to the same
 * text; a refusal has a text and a place; evaluating over tiny data never crashes, and a range
 * query of one step has as many series as the instant query. */
#include <math.h>
#include <stdlib.h>

#include "promql/ast_json.h"
#include "promql/memory_querier.h"
#include "promql/promql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct toc_memory_querier g_q;

static void add(const char *name, const char *job, int64_t t_ms, double v) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_sv_cstr(name));
    toc_labels_builder_set(&b, TOC_SV("job"), toc_sv_cstr(job));
    toc_labels_builder_set(&b, TOC_SV("le"), toc_sv_cstr(job));
    toc_memory_querier_add(&g_q, toc_labels_builder_finish(&b), t_ms, v);
    toc_labels_builder_fini(&b);
}

static void make_data(void) {
    static const double values[] = {0, 1, NAN, INFINITY, -1, 3, 2};
    toc_memory_querier_init(&g_q);
    for (int64_t i = 0; i < 7; i++) {
        add("a", "1", i * 15000, values[i]);
        add("a", "+Inf", i * 15000, values[6 - i]);
        add("b", "1", i * 15000, (double)i);
    }
}

static bool canonical(struct toc_sv text, unsigned features, struct toc_buf *out) {
    struct toc_promql_expr *e = NULL;
    int rc = toc_promql_parse_with(text, features, &e, NULL);
    if (rc == 0)
        toc_promql_format(e, false, out);
    toc_promql_expr_free(&e);
    return rc == 0;
}

static void check_same(struct toc_sv text, unsigned features, const struct toc_buf *wanted) {
    struct toc_buf got = TOC_BUF_INIT;
    if (!canonical(text, features, &got) || !toc_sv_eq(toc_buf_sv(&got), toc_buf_sv(wanted)))
        abort();
    toc_buf_fini(&got);
}

static void check_text(const struct toc_promql_expr *e, unsigned features) {
    struct toc_buf once = TOC_BUF_INIT, pretty = TOC_BUF_INIT, pinned = TOC_BUF_INIT,
                   twice = TOC_BUF_INIT;
    toc_promql_format(e, false, &once);
    toc_promql_format(e, true, &pretty);
    check_same(toc_buf_sv(&once), features, &once);
    check_same(toc_buf_sv(&pretty), features, &once);
    if (!features)
        check_same(toc_buf_sv(&once), TOC_PROMQL_ALL_FEATURES, &once);
    toc_promql_format_at(e, 60000, &pinned);
    if (!canonical(toc_buf_sv(&pinned), features, &twice))
        abort();
    check_same(toc_buf_sv(&twice), features, &twice);
    toc_buf_reset(&pinned);
    toc_promql_write_ast(e, &pinned);
    if (toc_buf_error(&pinned) || pinned.p[0] != '{')
        abort();
    toc_buf_fini(&once);
    toc_buf_fini(&pretty);
    toc_buf_fini(&pinned);
    toc_buf_fini(&twice);
}

static void evaluate(const struct toc_promql_expr *e) {
    struct toc_promql_options o = {
        .querier = &g_q.querier, .max_samples = 100000, .max_bytes = 8 << 20};
    struct toc_promql_result instant, range;
    enum toc_promql_type type = toc_promql_expr_type(e);
    int rc = toc_promql_instant(e, &o, 60000, &instant, NULL);
    if (rc == 0 && type == TOC_PROMQL_VECTOR) {
        if (toc_promql_range(e, &o, 60000, 60000, 1000, &range, NULL) < 0 ||
            range.series_count != instant.series_count)
            abort();
        toc_promql_result_fini(&range);
    }
    toc_promql_result_fini(&instant);
}

static void check(struct toc_sv text, unsigned features) {
    struct toc_promql_expr *e = NULL;
    struct toc_err err = {0};
    if (toc_promql_parse_with(text, features, &e, &err) == 0) {
        check_text(e, features);
        evaluate(e);
    } else if (!err.message[0] || (text.n && err.code == TOC_EPARSE && err.line < 1)) {
        abort();
    }
    toc_promql_expr_free(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 4096)
        return 0;
    if (g_q.count == 0)
        make_data();
    check(toc_sv_make((const char *)data, size), 0);
    check(toc_sv_make((const char *)data, size), TOC_PROMQL_ALL_FEATURES);
    return 0;
}
