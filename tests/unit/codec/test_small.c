/* Base64, percent, hexadecimal, HTML, CSV. */
#include "../cmocka_prelude.h"

#include "codec/csv.h"
#include "codec/text.h"

static void base64_follows_rfc_4648_vectors(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(pairs); i++) {
        struct toc_buf b = TOC_BUF_INIT, back = TOC_BUF_INIT;
        toc_base64_encode(toc_sv_cstr(pairs[i][0]), &b);
        assert_string_equal(toc_buf_cstr(&b), pairs[i][1]);
        assert_int_equal(toc_base64_decode(toc_buf_sv(&b), &back), 0);
        assert_string_equal(toc_buf_cstr(&back), pairs[i][0]);
        toc_buf_fini(&b);
        toc_buf_fini(&back);
    }
}

static void base64_takes_both_alphabets_and_refuses_noise(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT;
    assert_int_equal(toc_base64_decode(TOC_SV("-_8"), &b), 0);
    assert_int_equal(b.n, 2);
    assert_int_equal((uint8_t)b.p[0], 0xfb);
    assert_int_equal(toc_base64_decode(TOC_SV("a"), &b), TOC_EPARSE);
    assert_int_equal(toc_base64_decode(TOC_SV("Zm9v="), &b), TOC_EPARSE);
    assert_int_equal(toc_base64_decode(TOC_SV("Zh=="), &b), TOC_EPARSE); /* spare bits set */
    assert_int_equal(toc_base64_decode(TOC_SV("Zm 9v"), &b), TOC_EPARSE);
    toc_buf_reset(&b);
    toc_base64url_encode(TOC_SV("\xfb\xff"), &b);
    assert_string_equal(toc_buf_cstr(&b), "-_8");
    toc_buf_fini(&b);
}

static void percent_escapes_all_but_unreserved(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT, back = TOC_BUF_INIT;
    toc_percent_encode(TOC_SV("a b/~\xe4\xb8\xad"), &b);
    assert_string_equal(toc_buf_cstr(&b), "a%20b%2F~%E4%B8%AD");
    assert_int_equal(toc_percent_decode(toc_buf_sv(&b), false, &back), 0);
    assert_string_equal(toc_buf_cstr(&back), "a b/~\xe4\xb8\xad");
    toc_buf_reset(&back);
    assert_int_equal(toc_percent_decode(TOC_SV("a+b%2b"), true, &back), 0);
    assert_string_equal(toc_buf_cstr(&back), "a b+");
    assert_int_equal(toc_percent_decode(TOC_SV("%4"), false, &back), TOC_EPARSE);
    assert_int_equal(toc_percent_decode(TOC_SV("%zz"), false, &back), TOC_EPARSE);
    toc_buf_fini(&b);
    toc_buf_fini(&back);
}

static void hex_and_html(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT;
    toc_hex_encode(TOC_SV("\x01\xab"), &b);
    assert_string_equal(toc_buf_cstr(&b), "01ab");
    toc_buf_reset(&b);
    assert_int_equal(toc_hex_decode(TOC_SV("01aB"), &b), 0);
    assert_memory_equal(b.p, "\x01\xab", 2);
    assert_int_equal(toc_hex_decode(TOC_SV("012"), &b), TOC_EPARSE);
    toc_buf_reset(&b);
    toc_html_escape(TOC_SV("<a href=\"x\">'&"), &b);
    assert_string_equal(toc_buf_cstr(&b), "&lt;a href=&#34;x&#34;&gt;&#39;&amp;");
    toc_buf_fini(&b);
}

static void csv_reads_quotes_line_ends_and_empty_lines(void **state) {
    (void)state;
    struct toc_csv_reader r;
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_err err = {0};
    const struct toc_sv *f;
    size_t n;
    toc_csv_reader_init(&r, TOC_SV("\xef\xbb\xbf"
                                   "a,b\r\n\r\n\"x\"\"y\",\"1\n2\"\n,\nlast"));
    assert_int_equal(toc_csv_read(&r, &a, &f, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_sv_equal(f[0], "a");
    assert_sv_equal(f[1], "b");
    assert_int_equal(toc_csv_read(&r, &a, &f, &n, &err), 0);
    assert_int_equal(r.line, 3);
    assert_sv_equal(f[0], "x\"y");
    assert_sv_equal(f[1], "1\n2");
    assert_int_equal(toc_csv_read(&r, &a, &f, &n, &err), 0);
    assert_int_equal(r.line, 5);
    assert_int_equal(n, 2);
    assert_int_equal(f[1].n, 0);
    assert_int_equal(toc_csv_read(&r, &a, &f, &n, &err), 0);
    assert_sv_equal(f[0], "last");
    assert_int_equal(toc_csv_read(&r, &a, &f, &n, &err), TOC_EEND);
    toc_arena_fini(&a);
}

static void csv_errors_name_the_place(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int line, column;
    } cases[] = {{"a,b\"c\n", 1, 4}, {"\"abc", 1, 1}, {"\"a\"b,c", 1, 4}, {"x,\"a\n\nb", 1, 3}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_csv_reader r;
        struct toc_arena a = TOC_ARENA_INIT;
        struct toc_err err = {0};
        const struct toc_sv *f;
        size_t n;
        toc_csv_reader_init(&r, toc_sv_cstr(cases[i].text));
        assert_int_equal(toc_csv_read(&r, &a, &f, &n, &err), TOC_EPARSE);
        assert_int_equal(err.line, cases[i].line);
        assert_int_equal(err.column, cases[i].column);
        toc_arena_fini(&a);
    }
}

static void csv_limits_hold(void **state) {
    (void)state;
    struct toc_csv_reader r;
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_err err = {0};
    const struct toc_sv *f;
    size_t n;
    toc_csv_reader_init(&r, TOC_SV("1,2,3,4"));
    r.max_fields = 3;
    assert_int_equal(toc_csv_read(&r, &a, &f, &n, &err), TOC_ELIMIT);
    toc_csv_reader_init(&r, TOC_SV("12345"));
    r.max_field_bytes = 4;
    assert_int_equal(toc_csv_read(&r, &a, &f, &n, &err), TOC_ELIMIT);
    toc_arena_fini(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_follows_rfc_4648_vectors),
        cmocka_unit_test(base64_takes_both_alphabets_and_refuses_noise),
        cmocka_unit_test(percent_escapes_all_but_unreserved),
        cmocka_unit_test(hex_and_html),
        cmocka_unit_test(csv_reads_quotes_line_ends_and_empty_lines),
        cmocka_unit_test(csv_errors_name_the_place),
        cmocka_unit_test(csv_limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
