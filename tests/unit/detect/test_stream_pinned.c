/*
 * The streaming ensemble's answers to rows that are made here, beside figures that are written
 * down: a change of the layout, of the order of operations or of a kernel cannot pass unnoticed.
 * Streams stored when the figures were taken (states/) are read, give back the bytes they were read
 * from and go on with the same figures.
 *
 * Where a change of scores is meant: `test_detect_stream_pinned --print` writes the tables,
 * `--store FOLDER` the states. States of an older format stay in the folder as long as they can be
 * read.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/buf.h"
#include "detect/stream.h"
#include "near.h"

enum { COLUMNS_MAX = 3, ROWS = 4000, STORED_AT = 2000, EVERY = 200, AT_ONCE = 7 };

struct pinned {
    double score, surprise, bar, lower, upper;
    bool is_alert;
};

struct kind {
    const char *name;
    struct toc_stream_options options;
    struct pinned at[ROWS / EVERY]; /* rows 199, 399 … */
    double sum_of_scores;           /* of all rows: what lies between the others */
    size_t alert_rows;
};

#include "stream_pinned_figures.h"

/* ------------------------------------------------------------------------------------- the rows */

/* Integers alone, so that every machine makes the same rows. */
static uint32_t scramble(uint32_t x) {
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* About normal: the mean of four even ones, in -2 … 2. */
static double noise(size_t row, size_t column) {
    double sum = 0;
    for (size_t i = 0; i < 4; i++)
        sum += scramble((uint32_t)(row * 31 + column * 7 + i * 1000003)) / 4294967296.0;
    return sum - 2;
}

/* A day of 288 rows as a triangle, a busy hour, a stretch at another level, peaks, a missing row.
 */
static double value_of(size_t row, size_t column) {
    size_t of_day = row % 288;
    double day = (double)(of_day < 144 ? of_day : 288 - of_day) / 144;
    double v = 50 + 10 * day + (double)(column + 1) * noise(row, column);
    if (row % 288 >= 100 && row % 288 < 112)
        v += 6;
    if (row >= 2600 && row < 2700)
        v += 5;
    if (row % 997 == 500 && column != 1)
        v += 40;
    return row % 301 == 300 ? NAN : v;
}

/* Five minutes apart; one gap that breaks windows. */
static double time_of(size_t row) {
    return (double)row * 300 + (row >= 1200 ? 200000 : 0);
}

static const double *row_of(size_t row, double out[COLUMNS_MAX]) {
    for (size_t c = 0; c < COLUMNS_MAX; c++)
        out[c] = value_of(row, c);
    return out;
}

/* ------------------------------------------------------------------------------------ the tests */

static struct toc_stream *new_stream(const struct kind *k) {
    struct toc_stream *s;
    assert_int_equal(toc_stream_new(&k->options, &s, NULL), 0);
    return s;
}

static struct pinned pinned_of(const struct toc_stream_result *r) {
    return (struct pinned){r->score, r->surprise, r->bar, r->lower, r->upper, r->is_alert};
}

static void check(const struct kind *k, size_t row, const struct toc_stream_result *r) {
    if (row % EVERY != EVERY - 1)
        return;
    const struct pinned *p = &k->at[row / EVERY];
    assert_near(r->score, p->score, 1e-6);
    assert_near(r->surprise, p->surprise, 1e-6);
    assert_near(r->bar, p->bar, 1e-6);
    assert_near(r->lower, p->lower, 1e-5); /* floats of two digits before the point */
    assert_near(r->upper, p->upper, 1e-5);
    assert_int_equal(r->is_alert, p->is_alert);
}

static void answers_stay_what_they_were(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct toc_stream *s = new_stream(&kinds[i]);
        double v[COLUMNS_MAX], sum = 0;
        size_t alerts = 0;
        for (size_t row = 0; row < ROWS; row++) {
            struct toc_stream_result r = toc_stream_step(s, time_of(row), row_of(row, v));
            check(&kinds[i], row, &r);
            sum += r.score;
            alerts += r.is_alert;
        }
        assert_near(sum, kinds[i].sum_of_scores, 1e-4);
        assert_int_equal(alerts, kinds[i].alert_rows);
        toc_stream_free(&s);
    }
}

/* Metrics side by side, their rows in one call. */
static void answers_of_many_at_once_are_the_same(void **state) {
    (void)state;
    struct toc_stream *s[AT_ONCE];
    const double *values[AT_ONCE];
    struct toc_stream_result r[AT_ONCE];
    double v[COLUMNS_MAX];
    for (size_t i = 0; i < AT_ONCE; i++)
        s[i] = new_stream(&kinds[0]);
    for (size_t row = 0; row < ROWS; row++) {
        for (size_t i = 0; i < AT_ONCE; i++)
            values[i] = row_of(row, v);
        toc_stream_step_many(s, AT_ONCE, time_of(row), values, r);
        for (size_t i = 0; i < AT_ONCE; i++)
            check(&kinds[0], row, &r[i]);
    }
    for (size_t i = 0; i < AT_ONCE; i++)
        toc_stream_free(&s[i]);
}

static struct toc_buf read_state(const struct kind *k) {
    const char *root = getenv("TOCSIN_SOURCE_ROOT");
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/unit/detect/states/%s.tst2", root ? root : ".", k->name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    struct toc_buf bytes = TOC_BUF_INIT;
    for (int c; (c = fgetc(f)) != EOF;)
        toc_buf_append_u8(&bytes, (uint8_t)c);
    fclose(f);
    return bytes;
}

static void states_stored_then_go_on(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct toc_buf bytes = read_state(&kinds[i]), again = TOC_BUF_INIT;
        struct toc_stream *s = NULL;
        assert_int_equal(toc_stream_state_decode(toc_buf_sv(&bytes), &s, NULL), 0);
        toc_stream_state_encode(s, &again);
        assert_int_equal(again.n, bytes.n);
        assert_memory_equal(again.p, bytes.p, bytes.n);
        double v[COLUMNS_MAX];
        for (size_t row = STORED_AT; row < ROWS; row++) {
            struct toc_stream_result r = toc_stream_step(s, time_of(row), row_of(row, v));
            check(&kinds[i], row, &r);
        }
        toc_stream_free(&s);
        toc_buf_fini(&bytes);
        toc_buf_fini(&again);
    }
}

/* A format that is no longer read, or not yet, is refused by its name: the history decides then. */
static void other_formats_are_refused(void **state) {
    (void)state;
    for (const char *version = "139"; *version; version++) {
        struct toc_buf bytes = read_state(&kinds[0]);
        struct toc_stream *s = NULL;
        bytes.p[3] = *version;
        assert_int_equal(toc_stream_state_decode(toc_buf_sv(&bytes), &s, NULL), TOC_EVERSION);
        assert_null(s);
        toc_buf_fini(&bytes);
    }
}

/* ----------------------------------------------------------------------- new figures and states */

static void print_kind(const struct kind *k) {
    struct toc_stream *s = new_stream(k);
    double v[COLUMNS_MAX], sum = 0;
    size_t alerts = 0;
    printf("        .at =\n            {\n");
    for (size_t row = 0; row < ROWS; row++) {
        struct toc_stream_result r = toc_stream_step(s, time_of(row), row_of(row, v));
        struct pinned p = pinned_of(&r);
        sum += r.score;
        alerts += r.is_alert;
        if (row % EVERY == EVERY - 1)
            printf("                {%.9g, %.9g, %.9g, %.9g, %.9g, %s},\n", p.score, p.surprise,
                   p.bar, p.lower, p.upper, p.is_alert ? "true" : "false");
    }
    printf("            },\n        .sum_of_scores = %.12g,\n        .alert_rows = %zu,\n", sum,
           alerts);
    toc_stream_free(&s);
}

static void store_kind(const struct kind *k, const char *folder) {
    struct toc_stream *s = new_stream(k);
    double v[COLUMNS_MAX];
    for (size_t row = 0; row < STORED_AT; row++)
        (void)toc_stream_step(s, time_of(row), row_of(row, v));
    struct toc_buf bytes = TOC_BUF_INIT;
    toc_stream_state_encode(s, &bytes);
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.tst2", folder, k->name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
    assert_int_equal(fclose(f), 0);
    toc_buf_fini(&bytes);
    toc_stream_free(&s);
}

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(argv[1], "--print") == 0)
            print_kind(&kinds[i]);
        else if (strcmp(argv[1], "--store") == 0 && argc > 2)
            store_kind(&kinds[i], argv[2]);
    if (argc > 1)
        return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_stay_what_they_were),
        cmocka_unit_test(answers_of_many_at_once_are_the_same),
        cmocka_unit_test(states_stored_then_go_on),
        cmocka_unit_test(other_formats_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
