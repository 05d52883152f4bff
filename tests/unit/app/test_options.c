/* Options from a table: forms, repetition, errors. */
#include "../cmocka_prelude.h"

#include "app/command.h"
#include "app/options.h"

struct values {
    bool all;
    const char *name;
    int64_t count, wait_ms;
    double ratio;
    struct toc_option_list list;
};

static int parse(struct values *v, int argc, char **argv, int *positional) {
    const struct toc_option options[] = {
        {"all", 'a', TOC_OPTION_FLAG, &v->all},
        {"name", 'n', TOC_OPTION_STRING, &v->name},
        {"count", 0, TOC_OPTION_INT, &v->count},
        {"wait", 0, TOC_OPTION_DURATION, &v->wait_ms},
        {"ratio", 0, TOC_OPTION_DOUBLE, &v->ratio},
        {"item", 0, TOC_OPTION_LIST, &v->list},
        {0},
    };
    return toc_options_parse(argc, argv, options, "usage\n", positional);
}
#define PARSE(v, positional, ...)                                                    \
    ({                                                                               \
        const char *argv_[] = {"test", __VA_ARGS__};                                 \
        parse((v), (int)(sizeof argv_ / sizeof argv_[0]), (char **)(uintptr_t)argv_, \
              (positional));                                                         \
    })

static void every_form_is_read(void **state) {
    (void)state;
    struct values v = {0};
    int positional;
    assert_int_equal(PARSE(&v, &positional, "one", "-a", "--name=x y", "--count", "-7", "--wait",
                           "1m30s", "--ratio", "0.5", "--item", "p", "--item=q", "two", "--",
                           "--three"),
                     0);
    assert_true(v.all);
    assert_string_equal(v.name, "x y");
    assert_int_equal(v.count, -7);
    assert_int_equal(v.wait_ms, 90000);
    assert_true(v.ratio == 0.5);
    assert_int_equal(v.list.count, 2);
    assert_string_equal(v.list.items[1], "q");
    assert_int_equal(positional, 3);
}

static void mistakes_are_usage_errors(void **state) {
    (void)state;
    struct values v = {0};
    int positional;
    assert_int_equal(PARSE(&v, &positional, "--nam", "x"), TOC_EXIT_USAGE);
    assert_int_equal(PARSE(&v, &positional, "--name"), TOC_EXIT_USAGE);
    assert_int_equal(PARSE(&v, &positional, "--count", "many"), TOC_EXIT_USAGE);
    assert_int_equal(PARSE(&v, &positional, "--all=yes"), TOC_EXIT_USAGE);
    assert_int_equal(PARSE(&v, &positional, "-x"), TOC_EXIT_USAGE);
    assert_int_equal(PARSE(&v, NULL, "stray"), TOC_EXIT_USAGE);
    assert_int_equal(PARSE(&v, &positional, "--help"), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read),
        cmocka_unit_test(mistakes_are_usage_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
