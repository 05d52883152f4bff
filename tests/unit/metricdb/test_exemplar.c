#include "fixture.h"
#include "metricdb/exemplar.h"

static enum toc_exemplar_verdict add(struct fixture *f, const char *name, int64_t t_ms,
                                     const char *trace) {
    struct toc_label items[] = {{TOC_METRIC_NAME, toc_sv_cstr(name)}};
    struct toc_label own[] = {{TOC_SV("trace_id"), toc_sv_cstr(trace)}};
    struct toc_exemplar e = {{own, 1}, t_ms, (double)t_ms};
    return toc_metricdb_exemplar_add(f->db, (struct toc_labels){items, 1}, &e);
}

static int print(void *ctx, struct toc_labels series, const struct toc_exemplar *e, size_t count) {
    struct toc_buf *out = ctx;
    toc_labels_format(series, out);
    for (size_t i = 0; i < count; i++)
        toc_buf_printf(out, " %lld:%.*s", (long long)e[i].t_ms, (int)e[i].labels.items[0].value.n,
                       e[i].labels.items[0].value.p);
    toc_buf_append_char(out, ';');
    return 0;
}

static void assert_selected(struct fixture *f, const char *pattern, int64_t min_ms, int64_t max_ms,
                            const char *want) {
    struct toc_matcher m;
    struct toc_buf out = TOC_BUF_INIT;
    assert_int_equal(
        toc_matcher_init(&m, TOC_MATCH_RE, TOC_METRIC_NAME, toc_sv_cstr(pattern), NULL), 0);
    struct toc_select s = {.matchers = &m, .matcher_count = 1, .min_ms = min_ms, .max_ms = max_ms};
    assert_int_equal(toc_metricdb_exemplar_select(f->db, &s, print, &out, NULL), 0);
    assert_string_equal(toc_buf_cstr(&out), want);
    toc_buf_fini(&out);
    toc_matcher_fini(&m);
}

static void the_newest_are_kept(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    toc_metricdb_close(&f.db);
    f.options.limits.max_exemplars = 4;
    fixture_open(&f);
    assert_selected(&f, ".*", 0, 100, "");
    assert_int_equal(add(&f, "b", 1, "x"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(add(&f, "a", 2, "y"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(add(&f, "b", 3, "z"), TOC_EXEMPLAR_KEPT);
    assert_selected(&f, ".*", 0, 100, "a 2:y;b 1:x 3:z;");
    assert_selected(&f, ".*", 2, 2, "a 2:y;");
    assert_selected(&f, "b", 0, 2, "b 1:x;");
    assert_int_equal(add(&f, "c", 4, "p"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(add(&f, "b", 5, "q"), TOC_EXEMPLAR_KEPT); /* takes the place of 1:x */
    assert_selected(&f, ".*", 0, 100, "a 2:y;b 3:z 5:q;c 4:p;");
    assert_int_equal(add(&f, "c", 6, "r"), TOC_EXEMPLAR_KEPT); /* and of the only one of a */
    assert_selected(&f, ".*", 0, 100, "b 3:z 5:q;c 4:p 6:r;");
    for (int i = 7; i < 200; i++)
        assert_int_equal(add(&f, i % 3 ? "c" : "d", i, "s"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(toc_metricdb_exemplar_count(f.db), 4);
    assert_selected(&f, ".*", 0, 1000, "c 196:s 197:s 199:s;d 198:s;");
    fixture_fini(&f);
}

static void what_is_no_news_or_no_sense_is_refused(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    char longest[200] = {0};
    memset(longest, 'x', 120);
    assert_int_equal(add(&f, "a", 10, longest), TOC_EXEMPLAR_KEPT); /* with the name 128 */
    longest[120] = 'x';
    assert_int_equal(add(&f, "a", 11, longest), TOC_EXEMPLAR_LABELS_TOO_LONG);
    assert_int_equal(add(&f, "a", 12, "\xff"), TOC_EXEMPLAR_INVALID_LABELS);
    assert_int_equal(add(&f, "a", 9, "late"), TOC_EXEMPLAR_OUT_OF_ORDER);
    assert_int_equal(add(&f, "a", 20, "once"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(add(&f, "a", 20, "once"), TOC_EXEMPLAR_DUPLICATE);
    assert_int_equal(add(&f, "a", 20, "twice"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(toc_metricdb_exemplar_count(f.db), 3);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_are_kept),
        cmocka_unit_test(what_is_no_news_or_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
