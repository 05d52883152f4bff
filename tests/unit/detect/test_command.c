/* `tocsin detect`: exit codes, forms of output, places of errors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cmocka_prelude.h"
#include "app/detect_command.h"
#include "base/attrs.h"

#define FOUNDING \
    "training_time,memory_usage\n10,20\n12,22\n11,21\n9,18\n13,24\n15,26\n14,25\n12,22\n"

struct outcome {
    int code;
    char out[8192], err[2048];
};

static void read_back(FILE *f, char *to, size_t size) {
    rewind(f);
    to[fread(to, 1, size - 1, f)] = '\0';
    (void)fclose(f);
}

/* Runs the command on `csv` as a file; arguments are separated by blanks. */
static struct outcome run(const char *csv, const char *arguments) {
    static struct outcome o;
    char path[] = "/tmp/tocsin-detect-XXXXXX", text[500], *argv[32] = {(char *)"detect", path};
    int argc = 2, fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, csv, strlen(csv)) == (ssize_t)strlen(csv));
    (void)close(fd);
    (void)snprintf(text, sizeof text, "%s", arguments);
    for (char *p = strtok(text, " "); p; p = strtok(NULL, " "))
        argv[argc++] = p;
    FILE *out = tmpfile(), *err = tmpfile();
    assert_non_null(out);
    assert_non_null(err);
    (void)fflush(stdout);
    int old_out = dup(1), old_err = dup(2);
    (void)dup2(fileno(out), 1);
    (void)dup2(fileno(err), 2);
    o.code = toc_detect_command(argc, argv);
    (void)fflush(stdout);
    (void)dup2(old_out, 1);
    (void)dup2(old_err, 2);
    (void)close(old_out);
    (void)close(old_err);
    (void)unlink(path);
    read_back(out, o.out, sizeof o.out);
    read_back(err, o.err, sizeof o.err);
    return o;
}

static size_t count_of(const char *text, const char *what) {
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static void founding_example(void **state) {
    (void)state;
    struct outcome o = run(
        FOUNDING, "--columns training_time,memory_usage --n-estimators 100 --contamination 0.1");
    assert_int_equal(o.code, 1);
    assert_int_equal(count_of(o.out, "ANOMALY"), 1);
    assert_int_equal(count_of(o.out, "normal"), 7);
    assert_non_null(strstr(o.out, "Anomalies found: 1 of 8 rows"));
    assert_string_equal(o.err, "");
    assert_int_equal(run(FOUNDING, "--contamination 0.1 --exit-zero").code, 0);
}

static void csv_repeats_the_input(void **state) {
    (void)state;
    struct outcome o = run("name,a,b\n\"x, y\",1,2\nz,1,2\n", "--columns a,b -o csv");
    assert_int_equal(o.code, 0);
    assert_string_equal(o.out, "name,a,b,score,anomaly\n\"x, y\",1,2,-0.5,0\nz,1,2,-0.5,0\n");
    assert_non_null(strstr(o.err, "No anomalies found in 2 rows"));
}

static void scores_have_one_line_per_row(void **state) {
    (void)state;
    struct outcome o = run("timestamp,a\n100,1\n200,\n300,1\n", "--output scores");
    assert_int_equal(o.code, 0);
    assert_string_equal(o.out, "timestamp,score,alert\n100,0.500000000000,0\n"
                               "200,0.000000000000,0\n300,0.500000000000,0\n");
}

static void json_names_each_row(void **state) {
    (void)state;
    struct outcome o = run(FOUNDING, "--output json --contamination 0.1 --seed 7");
    assert_int_equal(o.code, 1);
    assert_int_equal(count_of(o.out, "\"score\":"), 8);
    assert_int_equal(count_of(o.out, "\"anomaly\":true"), 1);
    assert_non_null(strstr(o.out, "\"values\":{\"training_time\":10,\"memory_usage\":20}"));
}

static void bad_input_names_the_place(void **state) {
    (void)state;
    static const struct {
        const char *csv, *arguments, *text;
    } cases[] = {
        {"a,b\n1,2\n3,x\n", "", ":3:3: column b: \"x\" is not a number"},
        {"a,b\n1,2\n,2\n", "", ":3:1: column a: \"\" is a missing value"},
        {"a\n1e300\n", "", "out of range"},
        {"a,b\n1\n", "", ":2:1: 1 fields, but the header has 2"},
        {"a\n\"1\n", "", "never closed"},
        {"", "", "the file is empty"},
        {"a\n", "", "no rows"},
        {"a\n1\n", "--columns z", "there is no column \"z\"; the header has a"},
        {"a,a\n1,2\n", "--columns a", "two columns are called"},
        {"a\n1\n", "--columns a,a", "twice"},
        {"a\n1\n", "--contamination 0.6", "(0, 0.5]"},
        {"a\n1\n", "--n-estimators 0", "1 to 10000"},
        {"a\n1\n", "--max-samples 0", "max-samples expects"},
        {"a\n1\n", "--output xml", "table, json, csv, scores, features or html"},
        {"a\n1\n", "--colums a", "did you mean --columns"},
        {"a\n1\n", "other.csv", "one file"},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct outcome o = run(cases[i].csv, cases[i].arguments);
        if (o.code != 2 || !strstr(o.err, cases[i].text) || o.out[0])
            fail_msg("case %zu: code %d, %s%s", i, o.code, o.err, o.out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(founding_example),
        cmocka_unit_test(csv_repeats_the_input),
        cmocka_unit_test(scores_have_one_line_per_row),
        cmocka_unit_test(json_names_each_row),
        cmocka_unit_test(bad_input_names_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
