#include "../cmocka_prelude.h"

#include <math.h>

#include "base/buf.h"
#include "codec/yaml.h"

struct doc {
    struct toc_arena arena;
    struct toc_err err;
    const struct toc_yaml *root;
    int rc;
};

static struct doc parse(const char *text) {
    struct doc d = {.arena = TOC_ARENA_INIT};
    d.rc = toc_yaml_parse(toc_sv_cstr(text), &d.arena, &d.root, &d.err);
    return d;
}

static void a_document_becomes_a_tree_with_places(void **state) {
    (void)state;
    struct doc d = parse("a: 1\nb:\n  - x\n  - {c: \"2\"}\n");
    assert_int_equal(d.rc, 0);
    const struct toc_yaml *b = toc_yaml_get(d.root, "b");
    assert_int_equal(b->count, 2);
    assert_int_equal(b->key_line, 2);
    assert_int_equal(b->items[1].line, 4);
    const struct toc_yaml *c = toc_yaml_get(&b->items[1], "c");
    assert_false(c->is_plain);
    assert_sv_equal(c->scalar, "2");
    assert_int_equal(c->column, 9);
    toc_arena_fini(&d.arena);
}

static void empty_documents_are_empty_mappings(void **state) {
    (void)state;
    static const char *const texts[] = {"", "# nothing\n", "---\n", "null"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(texts); i++) {
        struct doc d = parse(texts[i]);
        assert_int_equal(d.rc, 0);
        assert_int_equal(d.root->type, TOC_YAML_MAPPING);
        assert_int_equal(d.root->count, 0);
        toc_arena_fini(&d.arena);
    }
}

static void merge_keys_and_aliases_resolve(void **state) {
    (void)state;
    struct doc d = parse("base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\n"
                         "m:\n  <<: [*b, *o]\n  x: 9\nlist: [*b]\n\"<<\": text\n");
    assert_int_equal(d.rc, 0);
    const struct toc_yaml *m = toc_yaml_get(d.root, "m");
    assert_int_equal(m->count, 3);
    assert_sv_equal(toc_yaml_get(m, "x")->scalar, "9");
    assert_sv_equal(toc_yaml_get(m, "y")->scalar, "2");
    assert_sv_equal(toc_yaml_get(m, "z")->scalar, "4");
    assert_sv_equal(toc_yaml_get(&toc_yaml_get(d.root, "list")->items[0], "x")->scalar, "1");
    assert_sv_equal(toc_yaml_get(d.root, "<<")->scalar, "text");
    toc_arena_fini(&d.arena);
}

static void mistakes_are_placed(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int code, line;
    } cases[] = {
        {"a: 1\na: 2\n", TOC_EPARSE, 2},
        {"a: [1\n", TOC_EPARSE, 2},
        {"a: *nope\n", TOC_EPARSE, 1},
        {"a: 1\n---\nb: 2\n", TOC_EPARSE, 2},
        {"a: !custom 1\n", TOC_EUNSUPPORTED, 1},
        {"? [1]\n: 2\n", TOC_EPARSE, 1},
        {"a: &x [*x]\n", TOC_EPARSE, 1},
        {"a:\n\tb: 1\n", TOC_EPARSE, 2},
        {"<<: 3\n", TOC_ETYPE, 2},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct doc d = parse(cases[i].text);
        if (d.rc != cases[i].code || d.err.line != cases[i].line)
            fail_msg("%s: %d %d:%d %s", cases[i].text, d.rc, d.err.line, d.err.column,
                     d.err.message);
        toc_arena_fini(&d.arena);
    }
}

static void many_laughs_hit_the_limit(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_append_cstr(&b, "a: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (char c = 'b'; c < 'k'; c++)
        toc_buf_printf(&b, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c - 1, c - 1,
                       c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
    struct doc d = parse(toc_buf_cstr(&b));
    assert_int_equal(d.rc, TOC_ELIMIT);
    toc_arena_fini(&d.arena);
    toc_buf_fini(&b);
}

static void depth_is_limited(void **state) {
    (void)state;
    char text[200] = {0};
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    struct doc d = parse(text);
    assert_int_equal(d.rc, TOC_ELIMIT);
    toc_arena_fini(&d.arena);
}

static void scalars_read_by_type(void **state) {
    (void)state;
    struct doc d = parse("i: 0x1F\no: 010\nu: 1_000\nf: 1e3\ng: -.inf\nn: .nan\nb: yes\nq: \"3\"\n"
                         "d: 1h30m\ns: 8MiB\nt: 1.5GB\nz: ~\nc: False\np: 0.25\n");
    int64_t i;
    double v;
    bool b;
    struct toc_sv s;
    assert_int_equal(toc_yaml_int(toc_yaml_get(d.root, "i"), &i, NULL), 0);
    assert_int_equal(i, 31);
    assert_int_equal(toc_yaml_int(toc_yaml_get(d.root, "o"), &i, NULL), 0);
    assert_int_equal(i, 8);
    assert_int_equal(toc_yaml_int(toc_yaml_get(d.root, "u"), &i, NULL), 0);
    assert_int_equal(i, 1000);
    assert_int_equal(toc_yaml_int(toc_yaml_get(d.root, "f"), &i, NULL), 0);
    assert_int_equal(i, 1000);
    assert_int_equal(toc_yaml_double(toc_yaml_get(d.root, "g"), &v, NULL), 0);
    assert_true(isinf(v) && v < 0);
    assert_int_equal(toc_yaml_double(toc_yaml_get(d.root, "n"), &v, NULL), 0);
    assert_true(isnan(v));
    assert_int_equal(toc_yaml_double(toc_yaml_get(d.root, "p"), &v, NULL), 0);
    assert_true(v == 0.25);
    assert_int_equal(toc_yaml_bool(toc_yaml_get(d.root, "b"), &b, NULL), 0);
    assert_true(b);
    assert_int_equal(toc_yaml_bool(toc_yaml_get(d.root, "c"), &b, NULL), 0);
    assert_false(b);
    assert_int_equal(toc_yaml_int(toc_yaml_get(d.root, "q"), &i, NULL), TOC_ETYPE);
    assert_int_equal(toc_yaml_int(toc_yaml_get(d.root, "p"), &i, NULL), TOC_ETYPE);
    assert_int_equal(toc_yaml_bool(toc_yaml_get(d.root, "i"), &b, NULL), TOC_ETYPE);
    assert_int_equal(toc_yaml_duration(toc_yaml_get(d.root, "d"), &i, NULL), 0);
    assert_int_equal(i, 5400000);
    assert_int_equal(toc_yaml_bytes(toc_yaml_get(d.root, "s"), &i, NULL), 0);
    assert_int_equal(i, 8 << 20);
    assert_int_equal(toc_yaml_bytes(toc_yaml_get(d.root, "t"), &i, NULL), 0);
    assert_int_equal(i, 3LL << 29);
    assert_int_equal(toc_yaml_bytes(toc_yaml_get(d.root, "b"), &i, NULL), TOC_ETYPE);
    assert_true(toc_yaml_is_null(toc_yaml_get(d.root, "z")));
    assert_int_equal(toc_yaml_string(toc_yaml_get(d.root, "z"), &s, NULL), 0);
    assert_int_equal(s.n, 0);
    toc_arena_fini(&d.arena);
}

struct settings {
    struct toc_sv name;
    bool enabled;
    int64_t count, interval_ms, size;
    double ratio;
    const struct toc_yaml *rest;
};

static const struct toc_schema_key settings_schema[] = {
    {"name", TOC_SCHEMA_STRING, offsetof(struct settings, name), true, NULL, 0, 0, "its name"},
    {"enabled", TOC_SCHEMA_BOOL, offsetof(struct settings, enabled), false, "true", 0, 0, ""},
    {"count", TOC_SCHEMA_INT, offsetof(struct settings, count), false, "3", 1, 10, ""},
    {"interval", TOC_SCHEMA_DURATION, offsetof(struct settings, interval_ms), false, "15s", 1000,
     3600000, ""},
    {"size", TOC_SCHEMA_BYTES, offsetof(struct settings, size), false, "1KiB", 0, 0, ""},
    {"ratio", TOC_SCHEMA_DOUBLE, offsetof(struct settings, ratio), false, NULL, 0, 1, ""},
    {"rest", TOC_SCHEMA_NODE, offsetof(struct settings, rest), false, NULL, 0, 0, ""},
    {.name = NULL},
};

static void a_schema_fills_a_struct(void **state) {
    (void)state;
    struct doc d = parse("name: x\ncount: 7\nrest: [1]\ninterval:\n");
    struct settings s = {.ratio = 0.5};
    assert_int_equal(toc_schema_read(d.root, settings_schema, &s, &d.err), 0);
    assert_sv_equal(s.name, "x");
    assert_true(s.enabled);
    assert_int_equal(s.count, 7);
    assert_int_equal(s.interval_ms, 15000);
    assert_int_equal(s.size, 1024);
    assert_true(s.ratio == 0.5);
    assert_int_equal(s.rest->count, 1);
    toc_arena_fini(&d.arena);
}

static void a_schema_refuses_with_place_and_remedy(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
        int line;
    } cases[] = {
        {"name: x\nintervall: 3s\n", "did you mean \"interval\"?", 2},
        {"count: 3\n", "the key \"name\" is missing", 1},
        {"name: x\n\ncount: 11\n", "count must be between 1 and 10", 3},
        {"name: x\ninterval: 1ms\n", "between 1s and 1h", 2},
        {"name: [x]\n", "name: expected text, found a list", 1},
        {"- 1\n", "expected a mapping, found a list", 1},
        {"name: x\nzzzzzzzz: 1\n", "unknown key \"zzzzzzzz\"", 2},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct doc d = parse(cases[i].text);
        struct settings s = {0};
        assert_int_not_equal(toc_schema_read(d.root, settings_schema, &s, &d.err), 0);
        if (!strstr(d.err.message, cases[i].message) || d.err.line != cases[i].line)
            fail_msg("%s: %d %s", cases[i].text, d.err.line, d.err.message);
        toc_arena_fini(&d.arena);
    }
}

static void check_keys_suggests(void **state) {
    (void)state;
    static const char *const keys[] = {"groups", "name", NULL};
    struct doc d = parse("group: 1\n");
    assert_int_equal(toc_yaml_check_keys(d.root, keys, &d.err), TOC_EUNKNOWN_KEY);
    assert_non_null(strstr(d.err.message, "did you mean \"groups\"?"));
    toc_arena_fini(&d.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_becomes_a_tree_with_places),
        cmocka_unit_test(empty_documents_are_empty_mappings),
        cmocka_unit_test(merge_keys_and_aliases_resolve),
        cmocka_unit_test(mistakes_are_placed),
        cmocka_unit_test(many_laughs_hit_the_limit),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(scalars_read_by_type),
        cmocka_unit_test(a_schema_fills_a_struct),
        cmocka_unit_test(a_schema_refuses_with_place_and_remedy),
        cmocka_unit_test(check_keys_suggests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
