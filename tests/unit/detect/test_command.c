/* `tocsin detect`: exit codes, forms of output, places of errors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cmocka_prelude.h"
#include "app/detect_command.h"
#include "base/attrs.h"
#include "detect/method.h"

#define FOUNDING \
    "training_time,memory_usage\n10,20\n12,22\n11,21\n9,18\n13,24\n15,26\n14,25\n12,22\n"

struct outcome {
    int code;
    char out[1 << 17], err[2048];
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
        {"a\n1\n", "-o scores no-such-file.csv", "cannot read no-such-file.csv"},
        {"a\n1\n", "--method best", "the methods are auto, training, ensemble, isolation_forest"},
        {"a\n1\n", "--method line --direction up", "line knows no direction"},
        {"a\n1\n", "--output html", "without --stream"},
        {"a,b\n1,2\n3,x\n", "--stream", ":3:3: column b: \"x\" is not a number"},
        {"a,b\n1,2\n\"3\n4\",5\n1\n", "--stream -c b", ":5:1: 1 fields, but the header has 2"},
        {"a\ninf\n", "--stream", ":2:1: column a: \"inf\" is out of range"},
        {"time,a\nyesterday,1\n", "--stream", ":2:1: the time \"yesterday\" is neither"},
        {"time,a\n1700000000,1\n1700000060000,1\n", "--stream",
         ":3:1: the time is in milliseconds, but the first one was in seconds"},
        {"time,a\n2026-02-30,1\n", "--stream", ":2:1: the time"},
        {"a\n", "--stream", "no rows"},
        {"", "--stream", "the file is empty"},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct outcome o = run(cases[i].csv, cases[i].arguments);
        if (o.code != 2 || !strstr(o.err, cases[i].text) || o.out[0])
            fail_msg("case %zu: code %d, %s%s", i, o.code, o.err, o.out);
    }
}

static void many_files_are_named(void **state) {
    (void)state;
    static const char other[] = "/tmp/tocsin-detect-other.csv";
    FILE *f = fopen(other, "w");
    assert_non_null(f);
    (void)fputs("a\n5\n6\n7\n", f);
    assert_int_equal(fclose(f), 0);
    struct outcome o = run("a\n1\n2\n", "/tmp/tocsin-detect-other.csv -o scores");
    assert_int_equal(o.code, 0);
    assert_int_equal(count_of(o.out, "\n"), 6);
    assert_int_equal(count_of(o.out, "/tmp/tocsin-detect-other.csv,"), 3);
    assert_ptr_equal(strstr(o.out, "file,timestamp,score,alert\n"), o.out);
    assert_int_equal(count_of(o.err, "not enough data"), 2);
    o = run("a\n1\n2\n", "/tmp/tocsin-detect-other.csv -o json");
    assert_int_equal(count_of(o.out, "\"file\":"), 2);
    assert_int_equal(o.out[0], '[');
    o = run("a\n1\n2\n", "/tmp/tocsin-detect-other.csv");
    assert_non_null(strstr(o.out, "/tmp/tocsin-detect-other.csv:\n"));
    o = run("a,b\n1,2\n", "/tmp/tocsin-detect-other.csv -o csv");
    assert_int_equal(o.code, 2);
    assert_non_null(strstr(o.err, "the header differs"));
    (void)unlink(other);
}

/* 400 rows of a wave and of noise, the second of two columns broken for ten rows. */
static const char *broken_entity(void) {
    static char text[20000];
    size_t n = (size_t)snprintf(text, sizeof text, "time,load,memory\n");
    unsigned noise = 1;
    for (int i = 0; i < 400; i++) {
        noise = noise * 1103515245u + 12345u;
        double memory = 30 + (noise >> 16) % 100 / 100.0 + (i >= 350 && i < 360 ? 20 : 0);
        n += (size_t)snprintf(text + n, sizeof text - n, "2026-01-01 %02d:%02d,%d,%.2f\n", i / 60,
                              i % 60, 50 + i % 12, memory);
    }
    return text;
}

static void an_alert_says_which_column_and_since_when(void **state) {
    (void)state;
    struct outcome o = run(broken_entity(), "--method level --budget 1/hour -o json");
    assert_int_equal(o.code, 1);
    assert_non_null(strstr(o.out, "\"causes\":[{\"column\":\"memory\",\"respect\":\"value\""));
    assert_non_null(strstr(o.out, "\"since\":\"2026-01-01T05:50:00.000Z\""));
    o = run(broken_entity(), "--stream --budget 1/hour");
    assert_non_null(strstr(o.out, "memory 5"));
    o = run(broken_entity(), "--stream --budget 1/hour -o html");
    assert_int_equal(o.code, 0);
    assert_int_equal(count_of(o.out, "<svg"), 3);
}

/* It escapes what it shows and names no other place. */
static void the_page_is_self_contained(void **state) {
    (void)state;
    static char text[60000];
    size_t n = (size_t)snprintf(text, sizeof text, "time,<script>x</script>\n");
    for (int i = 0; i < 2000; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%d,%s\n", 60 * i,
                              i == 7     ? "NaN"
                              : i == 900 ? "5000"
                                         : (i % 7 < 3 ? "1" : "2"));
    struct outcome o = run(text, "--stream -o html --threshold 3");
    assert_int_equal(o.code, 0);
    assert_null(strstr(o.out, "<script"));
    assert_null(strstr(o.out, "http"));
    assert_null(strstr(o.out, "nan"));
    assert_non_null(strstr(o.out, "&lt;script&gt;x"));
    assert_non_null(strstr(o.out, "<td>54000</td>"));
    assert_int_equal(count_of(o.out, "<svg"), 2);
    assert_true(strlen(o.out) < 100000);
}

static void every_method_judges_every_row(void **state) {
    (void)state;
    for (int m = 0; m < TOC_METHODS; m++) {
        char arguments[80];
        (void)snprintf(arguments, sizeof arguments, "--method %s -o scores",
                       toc_method_info((enum toc_method)m)->name);
        struct outcome o = run("a\n1\n2\n\nNA\nnull\n3\n", arguments);
        if (o.code != 0 || count_of(o.out, "\n") != 6 || strstr(o.out, "nan"))
            fail_msg("%s: code %d, %s%s", arguments, o.code, o.out, o.err);
    }
}

/* 600 rows of a training; from row 500 on the steps take a third longer, and another column jumps.
 */
static const char *slower_training(const char *other) {
    static char text[40000];
    unsigned noise = 1;
    size_t n = (size_t)snprintf(text, sizeof text, "step,train_loss,step_time,%s\n", other);
    for (int i = 0; i < 600; i++) {
        noise = noise * 1103515245u + 12345u;
        double u = (noise >> 16) % 1000 / 1000.0 - 0.5;
        n += (size_t)snprintf(text + n, sizeof text - n, "%d,%.4f,%.4f,%d\n", i,
                              (2 + 8.0 / (i + 10)) * (1 + 0.05 * u),
                              (i < 500 ? 0.3 : 0.4) * (1 - 0.04 * u), i < 500 ? 8 : 16);
    }
    return text;
}

static void columns_of_a_training_are_judged_as_such(void **state) {
    (void)state;
    struct outcome o = run(slower_training("note"), "--stream --columns step,train_loss,step_time "
                                                    "-o json");
    assert_int_equal(o.code, 1);
    assert_non_null(strstr(o.out, "\"method\":\"training\",\"rows\":600,\"alert_count\":1,"));
    assert_non_null(strstr(o.out, "\"event\":\"slower\",\"column\":\"step_time\""));
    o = run(slower_training("batch_size"), "--stream"); /* the work changed */
    assert_int_equal(o.code, 0);
    o = run(slower_training("note"), "--method ensemble -o json");
    assert_non_null(strstr(o.out, "\"method\":\"ensemble\""));
    o = run("value\n1\n", "--method training");
    assert_int_equal(o.code, 2);
    assert_non_null(strstr(o.err, "no column is called like a loss"));
}

static void rows_out_of_order_are_told(void **state) {
    (void)state;
    struct outcome o = run("time,a\n3,1\n1,2\n1,3\n4,1\n", "--stream -o scores");
    assert_int_equal(count_of(o.out, "\n"), 5);
    assert_non_null(strstr(o.err, "2 rows are not later than a row before (first in line 3)"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(founding_example),
        cmocka_unit_test(csv_repeats_the_input),
        cmocka_unit_test(scores_have_one_line_per_row),
        cmocka_unit_test(json_names_each_row),
        cmocka_unit_test(bad_input_names_the_place),
        cmocka_unit_test(many_files_are_named),
        cmocka_unit_test(an_alert_says_which_column_and_since_when),
        cmocka_unit_test(the_page_is_self_contained),
        cmocka_unit_test(every_method_judges_every_row),
        cmocka_unit_test(columns_of_a_training_are_judged_as_such),
        cmocka_unit_test(rows_out_of_order_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
