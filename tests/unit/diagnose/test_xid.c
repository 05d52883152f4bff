#include "../cmocka_prelude.h"
#include "diagnose/xid.h"

static struct toc_xid_table *g_table;

static int setup(void **state) {
    (void)state;
    return toc_xid_table_builtin(&g_table, NULL);
}

static int teardown(void **state) {
    (void)state;
    toc_xid_table_free(&g_table);
    return 0;
}

static void every_code_of_the_catalogue_is_there(void **state) {
    (void)state;
    for (unsigned code = 1; code <= 172; code++) {
        const struct toc_xid *x = toc_xid_find(g_table, code);
        assert_non_null(x);
        assert_int_equal(x->code, code);
        assert_true(x->description.n && x->action.n);
    }
    assert_null(toc_xid_find(g_table, 0));
    assert_null(toc_xid_find(g_table, 173));
    assert_null(toc_xid_find(g_table, UINT64_MAX));
}

static void application_codes_never_page_the_hardware_team(void **state) {
    static const unsigned codes[] = {8, 11, 13, 25, 31, 32, 43, 45, 63, 68, 92, 94, 109};
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(codes); i++)
        assert_false(toc_xid_pages_hardware(toc_xid_find(g_table, codes[i]), true));
    for (unsigned code = 1; code <= 172; code++)
        if (toc_sv_eq_cstr(toc_xid_find(g_table, code)->action, "RESTART_APP"))
            assert_int_equal(toc_xid_find(g_table, code)->owner, TOC_XID_JOB);
}

static void broken_hardware_pages_the_hardware_team(void **state) {
    static const unsigned codes[] = {46, 48, 62, 64, 79, 95, 119, 120};
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(codes); i++)
        assert_true(toc_xid_pages_hardware(toc_xid_find(g_table, codes[i]), false));
    assert_false(toc_xid_pages_hardware(toc_xid_find(g_table, 149), false));
    assert_true(toc_xid_pages_hardware(toc_xid_find(g_table, 149), true));
}

static void a_bad_table_is_refused_with_row_and_column(void **state) {
    static const struct {
        const char *text;
        int line, column;
    } cases[] = {
        {"#\n1\ta\n", 2, 1},
        {"x\ta\tb\tinfo\tjob\n", 1, 1},
        {"512\ta\tb\tinfo\tjob\n", 1, 1},
        {"1\ta\tb\tloud\tjob\n", 1, 4},
        {"1\ta\tb\tby_code\tjob\n", 1, 4},
        {"1\ta\tb\tinfo\tme\n", 1, 5},
        {"1\ta\tb\tinfo\tjob\n1\ta\tb\tinfo\tjob\n", 2, 1},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_xid_table *t = NULL;
        struct toc_err err = {0};
        assert_true(toc_xid_table_parse(toc_sv_cstr(cases[i].text), &t, &err) < 0);
        assert_null(t);
        assert_int_equal(err.line, cases[i].line);
        assert_int_equal(err.column, cases[i].column);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_of_the_catalogue_is_there),
        cmocka_unit_test(application_codes_never_page_the_hardware_team),
        cmocka_unit_test(broken_hardware_pages_the_hardware_team),
        cmocka_unit_test(a_bad_table_is_refused_with_row_and_column),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
