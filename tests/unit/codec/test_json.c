#include "../cmocka_prelude.h"

#include <math.h>

#include "codec/json.h"
#include "codec/json_writer.h"

static void a_document_becomes_a_tree(void **state) {
    (void)state;
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_err err = {0};
    const struct toc_json *root;
    const char *text = "{\"a\":[1,-2.5,\"x\\u4e2d\\n\",true,null],\"big\":18446744073709551615,"
                       "\"o\":{}}";
    assert_int_equal(toc_json_parse(toc_sv_cstr(text), &a, &root, &err), 0);
    assert_int_equal(root->type, TOC_JSON_OBJECT);
    const struct toc_json *list = toc_json_get(root, "a");
    assert_int_equal(list->count, 5);
    assert_int_equal(list->items[0].integer, 1);
    assert_true(list->items[0].number == 1 && list->items[1].number == -2.5);
    assert_sv_equal(list->items[2].string, "x\xe4\xb8\xad\n");
    assert_true(list->items[3].boolean);
    assert_int_equal(list->items[4].type, TOC_JSON_NULL);
    assert_int_equal(toc_json_get(root, "big")->type, TOC_JSON_DOUBLE);
    assert_int_equal(toc_json_get(root, "o")->count, 0);
    assert_null(toc_json_get(root, "none"));
    toc_arena_fini(&a);
}

static void mistakes_are_placed(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int line, column;
    } cases[] = {
        {"", 1, 1},
        {"{", 1, 2},
        {"{\n \"a\" 1}", 2, 6},
        {"[1,]", 1, 4},
        {"[1 2]", 1, 4},
        {"{\"a\":1,}", 1, 8},
        {"[01]", 1, 2},
        {"[1.]", 1, 4},
        {"\"a\nb\"", 1, 3},
        {"\"\\q\"", 1, 2},
        {"\"\\ud800\"", 1, 2},
        {"nul", 1, 1},
        {"[\"\xff\"]", 1, 3},
        {"1 2", 1, 3},
        {"{\"a\":1,\n\"b\":{\"c\":1},\"a\":2}", 2, 13},
        {"[1e999]", 1, 2},
        {"[123456789012345678901234]", 1, 2},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_arena a = TOC_ARENA_INIT;
        struct toc_err err = {0};
        const struct toc_json *root;
        assert_int_equal(toc_json_parse(toc_sv_cstr(cases[i].text), &a, &root, &err), TOC_EPARSE);
        if (err.line != cases[i].line || err.column != cases[i].column)
            fail_msg("%s: %d:%d %s", cases[i].text, err.line, err.column, err.message);
        toc_arena_fini(&a);
    }
}

static void depth_is_limited(void **state) {
    (void)state;
    char text[200];
    for (int depth = 64; depth <= 65; depth++) {
        struct toc_arena a = TOC_ARENA_INIT;
        struct toc_err err = {0};
        const struct toc_json *root;
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        int rc = toc_json_parse(toc_sv_make(text, (size_t)depth * 2), &a, &root, &err);
        assert_int_equal(rc, depth > 64 ? TOC_ELIMIT : 0);
        toc_arena_fini(&a);
    }
}

static void an_arena_over_budget_is_no_memory(void **state) {
    (void)state;
    struct toc_arena a;
    struct toc_err err = {0};
    const struct toc_json *root;
    toc_arena_init(&a, 200);
    assert_int_equal(toc_json_parse(TOC_SV("[1,2,3,4,5,6,7,8]"), &a, &root, &err), TOC_ENOMEM);
    toc_arena_fini(&a);
}

static void typed_members_check_their_type(void **state) {
    (void)state;
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_err err = {0};
    const struct toc_json *root;
    struct toc_sv s;
    int64_t i;
    double d;
    bool b;
    assert_int_equal(toc_json_parse(TOC_SV("{\"s\":\"x\",\"i\":3,\"d\":1.5,\"b\":true,\"n\":null}"),
                                    &a, &root, &err),
                     0);
    assert_int_equal(toc_json_get_string(root, "s", TOC_SV(""), &s, &err), 0);
    assert_sv_equal(s, "x");
    assert_int_equal(toc_json_get_string(root, "n", TOC_SV("f"), &s, &err), 0);
    assert_sv_equal(s, "f");
    assert_int_equal(toc_json_get_double(root, "i", 0, &d, &err), 0);
    assert_true(d == 3);
    assert_int_equal(toc_json_get_bool(root, "b", false, &b, &err), 0);
    assert_true(b);
    assert_int_equal(toc_json_get_int(root, "d", 0, &i, &err), TOC_ETYPE);
    assert_non_null(strstr(err.message, "\"d\""));
    toc_arena_fini(&a);
}

static void the_writer_escapes_and_keeps_commas(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT;
    struct toc_json_writer w;
    toc_json_writer_init(&w, &b);
    toc_json_begin_object(&w);
    toc_json_kv_cstr(&w, "s", "a\"\\\n\x01<>&\xe2\x80\xa8\xff\xe4\xb8\xad");
    toc_json_key(&w, "l");
    toc_json_begin_array(&w);
    toc_json_int(&w, -1);
    toc_json_double(&w, 0.1);
    toc_json_double(&w, NAN);
    toc_json_double(&w, -INFINITY);
    toc_json_null(&w);
    toc_json_begin_object(&w);
    toc_json_end_object(&w);
    toc_json_end_array(&w);
    toc_json_kv_time(&w, "t", (struct toc_ts){1500});
    toc_json_kv_time(&w, "t0", (struct toc_ts){0});
    toc_json_kv_bool(&w, "b", false);
    toc_json_end_object(&w);
    assert_string_equal(
        toc_buf_cstr(&b),
        "{\"s\":\"a\\\"\\\\\\n\\u0001\\u003c\\u003e\\u0026\\u2028\xef\xbf\xbd\xe4\xb8\xad\","
        "\"l\":[-1,0.1,\"NaN\",\"-Inf\",null,{}],\"t\":\"1970-01-01T00:00:01.500Z\",\"t0\":null,"
        "\"b\":false}");
    toc_buf_fini(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_becomes_a_tree),
        cmocka_unit_test(mistakes_are_placed),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(an_arena_over_budget_is_no_memory),
        cmocka_unit_test(typed_members_check_their_type),
        cmocka_unit_test(the_writer_escapes_and_keeps_commas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
