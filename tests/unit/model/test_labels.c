#include "../cmocka_prelude.h"

#include "model/finding.h"
#include "model/labels.h"
#include "model/matcher.h"

static void builder_sorts_and_drops_empty(void **state) {
    (void)state;
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_SV("z"), TOC_SV("1"));
    toc_labels_builder_set(&b, TOC_METRIC_NAME, TOC_SV("up"));
    toc_labels_builder_set(&b, TOC_SV("gone"), TOC_SV(""));
    toc_labels_builder_set(&b, TOC_SV("z"), TOC_SV("2\n"));
    struct toc_labels l = toc_labels_dup(toc_labels_builder_finish(&b));
    struct toc_buf text = TOC_BUF_INIT;
    toc_labels_format(l, &text);
    assert_string_equal(toc_buf_cstr(&text), "up{z=\"2\\n\"}");
    assert_int_equal(l.count, 2);
    toc_buf_fini(&text);
    toc_labels_free(&l);
    toc_labels_builder_fini(&b);
}

static void encoding_round_trips_and_refuses_disorder(void **state) {
    (void)state;
    struct toc_label pairs[] = {{TOC_SV("a"), TOC_SV("1")}, {TOC_SV("b"), TOC_SV("22")}};
    struct toc_labels l = {pairs, 2}, back;
    struct toc_buf bytes = TOC_BUF_INIT;
    struct toc_arena arena = TOC_ARENA_INIT;
    toc_labels_encode(l, &bytes);
    struct toc_reader r = toc_reader_make(toc_buf_sv(&bytes));
    assert_int_equal(toc_labels_decode(&r, &arena, &back), 0);
    assert_true(toc_labels_eq(l, back));
    pairs[0].name = TOC_SV("c");
    toc_buf_reset(&bytes);
    toc_labels_encode(l, &bytes);
    r = toc_reader_make(toc_buf_sv(&bytes));
    assert_int_equal(toc_labels_decode(&r, &arena, &back), TOC_ECORRUPT);
    toc_arena_fini(&arena);
    toc_buf_fini(&bytes);
}

static void matchers_follow_prometheus(void **state) {
    (void)state;
    struct toc_matcher m;
    struct toc_err err = {0};
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_RE, TOC_SV("job"), TOC_SV("a.*"), &err), 0);
    assert_true(toc_matcher_matches(&m, TOC_SV("abc")));
    assert_false(toc_matcher_matches(&m, TOC_SV("xabc"))); /* anchored */
    toc_matcher_fini(&m);
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_NE, TOC_SV("job"), TOC_SV(""), &err), 0);
    assert_false(toc_matcher_matches(&m, TOC_SV_NULL)); /* absent equals empty */
    toc_matcher_fini(&m);
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_RE, TOC_SV("job"), TOC_SV("a("), &err),
                     TOC_EPARSE);
    assert_true(err.message[0] != '\0');
}

static void kinds_have_unique_names(void **state) {
    (void)state;
    for (int i = 0; i < TOC_KIND_COUNT; i++)
        assert_int_equal(toc_kind_parse(toc_sv_cstr(toc_kind_info((enum toc_kind)i)->name)), i);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builder_sorts_and_drops_empty),
        cmocka_unit_test(encoding_round_trips_and_refuses_disorder),
        cmocka_unit_test(matchers_follow_prometheus),
        cmocka_unit_test(kinds_have_unique_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
