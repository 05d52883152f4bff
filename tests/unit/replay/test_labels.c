/* Known incidents: what is read, what is refused and where. */
#include "unit/cmocka_prelude.h"

#include "replay/replay_labels.h"

static int parse(const char *csv, struct toc_known_incidents *out, struct toc_err *err) {
    *err = (struct toc_err){0};
    return toc_known_incidents_parse(toc_sv_cstr(csv), out, err);
}

static void rows_are_sorted_and_other_columns_are_labels(void **state) {
    (void)state;
    struct toc_known_incidents k;
    struct toc_err err;
    assert_int_equal(parse("name,start,end,instance\n"
                           "late,2026-01-02T00:00:00Z,2026-01-02T01:00:00Z,a\n"
                           "early,1767225600,1767225660.5,\n",
                           &k, &err),
                     0);
    assert_int_equal(k.count, 2);
    assert_sv_equal(k.items[0].name, "early");
    assert_int_equal(k.items[0].start_ms, 1767225600000);
    assert_int_equal(k.items[0].end_ms, 1767225660500);
    assert_int_equal(k.items[0].labels.count, 0);
    assert_sv_equal(toc_labels_get(k.items[1].labels, TOC_SV("instance")), "a");
    toc_known_incidents_fini(&k);
}

static void refuses(const char *csv, int line, const char *why) {
    struct toc_known_incidents k;
    struct toc_err err;
    assert_true(parse(csv, &k, &err) < 0);
    assert_int_equal(err.line, line);
    if (!strstr(err.message, why))
        fail_msg("\"%s\" does not say \"%s\"", err.message, why);
    toc_known_incidents_fini(&k);
}

static void bad_files_are_refused_with_their_line(void **state) {
    (void)state;
    refuses("", 0, "the file is empty");
    refuses("begin,end\n1,2\n", 1, "start and end");
    refuses("start,end\n1,2\nx,3\n", 3, "start \"x\"");
    refuses("start,end\n5,4\n", 2, "ends before it starts");
    refuses("start,end\n1,2,3\n", 2, "3 fields");
    refuses("start,end\n1,\n", 2, "end \"\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sorted_and_other_columns_are_labels),
        cmocka_unit_test(bad_files_are_refused_with_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
