#include "../cmocka_prelude.h"
#include "diagnose/redact.h"

static struct toc_redactor *g_redactor;

static int setup(void **state) {
    struct toc_err err = {0};
    (void)state;
    if (toc_redactor_builtin(&g_redactor, &err) < 0)
        fail_msg("%d:%d: %s", err.line, err.column, err.message);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    toc_redactor_free(&g_redactor);
    return 0;
}

/* The built-in table is used without these checks. */
static void the_built_in_table_passes_all_checks(void **state) {
    struct toc_redactor *r;
    struct toc_err err = {0};
    (void)state;
    if (toc_redactor_parse(toc_redactor_text(), &r, &err) < 0)
        fail_msg("%d:%d: %s", err.line, err.column, err.message);
    assert_int_equal(toc_redactor_count(r), toc_redactor_count(g_redactor));
    toc_redactor_free(&r);
}

static void secrets_leave_nothing_behind(void **state) {
    static const struct {
        const char *line, *expect;
    } cases[] = {
        {"mail bob.li@example.com now", "mail [REDACTED:email] now"},
        {"13812345678 13912345678", "[REDACTED:cn_mobile] [REDACTED:cn_mobile]"},
        {"card 4111 1111 1111 1111 ok", "card [REDACTED:card_luhn] ok"},
        {"card 4111 1111 1111 1112 is none", "card 4111 1111 1111 1112 is none"},
        {"id 11010519491231002X end", "id [REDACTED:cn_id18] end"},
        {"id 110105194912310021 end", "id 110105194912310021 end"},
        {"Authorization: Bearer abcdefghijklmnop1234", "Authorization: Bearer [REDACTED:bearer]"},
        {"API_KEY='x2-7ABCDEF123456'", "API_KEY='[REDACTED:kv_secret]'"},
        {"max_token: 131072, tokens=4096", "max_token: 131072, tokens=4096"},
        {"key sk-proj-abcdefghijklmnopqrstuv", "key [REDACTED:openai_like]"},
        {"postgres://u:p4ss@db/x", "postgres://u:[REDACTED:url_cred]@db/x"},
        {"hf_abcdefghijklmnopqrstuvwxyzABCDEF", "[REDACTED:hf]"},
        {"nfs: server 10.1.1.9 not responding", "nfs: server 10.1.1.9 not responding"},
        {"", ""},
    };
    (void)state;
    assert_int_equal(toc_redactor_count(g_redactor), 15);
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_buf out = TOC_BUF_INIT;
        (void)toc_redact(g_redactor, toc_sv_cstr(cases[i].line), NULL, &out);
        assert_string_equal(toc_buf_cstr(&out), cases[i].expect);
        toc_buf_fini(&out);
    }
}

static void a_private_key_goes_line_by_line(void **state) {
    static const char *const lines[] = {"-----BEGIN RSA PRIVATE KEY-----", "MIIEowIBAAKCAQEA",
                                        "-----END RSA PRIVATE KEY-----", "after"};
    struct toc_buf out = TOC_BUF_INIT;
    bool in_block = false;
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(lines); i++)
        (void)toc_redact(g_redactor, toc_sv_cstr(lines[i]), &in_block, &out);
    assert_string_equal(toc_buf_cstr(&out), "[REDACTED:private_key][REDACTED:private_key]"
                                            "[REDACTED:private_key]after");
    toc_buf_fini(&out);
}

static void an_excerpt_is_short_clean_and_whole_utf8(void **state) {
    struct toc_buf out = TOC_BUF_INIT;
    (void)state;
    (void)toc_redact_excerpt(g_redactor, TOC_SV("  a\tb\x1b[31m\xff 中文 x@y.cn \r"), 100, &out);
    assert_string_equal(toc_buf_cstr(&out), "a b.[31m\xef\xbf\xbd 中文 [REDACTED:email]");
    toc_buf_reset(&out);
    (void)toc_redact_excerpt(g_redactor, TOC_SV("中文中文"), 10, &out);
    assert_int_equal(out.n, 9);
    assert_true(toc_sv_is_utf8(toc_buf_sv(&out)));
    toc_buf_fini(&out);
}

static void a_bad_table_is_refused_with_row_and_column(void **state) {
    static const struct {
        const char *text;
        int line, column;
    } cases[] = {
        {"#\na\tb\n", 2, 1},
        {"\tx\t\tall\t\tx\ty\n", 1, 1},
        {"a\t(\t\tall\t\tx\ty\n", 1, 2},
        {"a\tx\tj\tall\t\tx\ty\n", 1, 3},
        {"a\tx\t\tg1\t\tx\ty\n", 1, 4},
        {"a\tx\t\tall\tmod\tx\ty\n", 1, 5},
        {"a\tx\t\tall\t\tz\ty\n", 0, 0},
        {"a\tx\t\tall\t\tx\tx\n", 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_redactor *r = NULL;
        struct toc_err err = {0};
        assert_true(toc_redactor_parse(toc_sv_cstr(cases[i].text), &r, &err) < 0);
        assert_null(r);
        assert_int_equal(err.line, cases[i].line);
        assert_int_equal(err.column, cases[i].column);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_built_in_table_passes_all_checks),
        cmocka_unit_test(secrets_leave_nothing_behind),
        cmocka_unit_test(a_private_key_goes_line_by_line),
        cmocka_unit_test(an_excerpt_is_short_clean_and_whole_utf8),
        cmocka_unit_test(a_bad_table_is_refused_with_row_and_column),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
