/* YAML for people: reads back as what it was, without its secrets. */
#include "../cmocka_prelude.h"

#include <string.h>

#include "codec/yaml_write.h"

static void format(const char *text, struct toc_buf *out) {
    struct toc_arena arena = TOC_ARENA_INIT;
    const struct toc_yaml *root;
    struct toc_err err = {0};
    assert_int_equal(toc_yaml_parse(toc_sv_cstr(text), &arena, &root, &err), 0);
    toc_yaml_format(root, out);
    toc_arena_fini(&arena);
}

static void expect(const char *in, const char *wanted) {
    struct toc_buf out = TOC_BUF_INIT, again = TOC_BUF_INIT;
    format(in, &out);
    assert_string_equal(toc_buf_cstr(&out), wanted);
    format(toc_buf_cstr(&out), &again);
    assert_string_equal(toc_buf_cstr(&again), wanted);
    toc_buf_fini(&out);
    toc_buf_fini(&again);
}

static void documents_read_back_as_they_were(void **state) {
    (void)state;
    expect("a: 1\nb: '1'\nc: [x, {d: null}]\ne: {}\nf: []\n",
           "a: 1\nb: \"1\"\nc:\n  - x\n  -\n    d: null\ne: {}\nf: []\n");
    expect("text: \"a\\nb\\t\\\"q\\\"\\\\\"\n", "text: \"a\\nb\\x09\\\"q\\\"\\\\\"\n");
    expect("\"on\": \"yes\"\n\"k: v\": ' '\n", "\"on\": \"yes\"\n\"k: v\": \" \"\n");
}

static void secrets_are_hidden(void **state) {
    (void)state;
    expect("basic_auth: {username: u, password: hush, password_file: /p}\n",
           "basic_auth:\n  username: u\n  password: <secret>\n  password_file: /p\n");
    expect("smtp_auth_password: x\nmonkey: y\nmy_token: ''\n",
           "smtp_auth_password: <secret>\nmonkey: y\nmy_token: \"\"\n");
    struct toc_buf out = TOC_BUF_INIT;
    format("proxy_url: http://me:pw@host:1/\nurl: http://host/a:b@c\n", &out);
    assert_string_equal(toc_buf_cstr(&out),
                        "proxy_url: \"http://me:<secret>@host:1/\"\nurl: http://host/a:b@c\n");
    toc_buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_read_back_as_they_were),
        cmocka_unit_test(secrets_are_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
