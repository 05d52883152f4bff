#include "../cmocka_prelude.h"

#include "alert/matcher_parse.h"

static void texts_parse_as_alertmanager_reads_them(void **state) {
    static const struct {
        const char *text, *formatted;
    } cases[] = {
        {"a=b", "{a=\"b\"}"},
        {"{a=b, c!=\"d e\",}", "{a=\"b\",c!=\"d e\"}"},
        {" a =~ \"x|y\" ", "{a=~\"x|y\"}"},
        {"a!~\"\\\"\\n\"", "{a!~\"\\\"\\n\"}"},
        {"{}", "{}"},
        {"", "{}"},
        {"a=", "{a=\"\"}"},       /* classic only */
        {"a=b c", "{a=\"b c\"}"}, /* classic only */
        {"\xe6\xb8\xa9=1", "{\xe6\xb8\xa9=\"1\"}"},
        {"a=b}", NULL},
        {"{a=b", NULL},
        {"a", NULL},
        {"=b", NULL},
        {"a=~\"(\"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_matcher_list list = {0};
        struct toc_buf text = TOC_BUF_INIT;
        int rc = toc_matcher_list_parse(&list, toc_sv_cstr(cases[i].text), NULL);
        if (!rc != (cases[i].formatted != NULL))
            fail_msg("%s: %d", cases[i].text, rc);
        toc_matcher_list_format(&list, &text);
        if (!rc)
            assert_string_equal(toc_buf_cstr(&text), cases[i].formatted);
        assert_true(!rc || list.count == 0);
        toc_buf_fini(&text);
        toc_matcher_list_fini(&list);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_parse_as_alertmanager_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
