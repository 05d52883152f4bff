#include <math.h>
#include <stdio.h>

#include "../cmocka_prelude.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "collect/run_log_feed.h"

enum { NOW_MS = 1787392805 }; /* 2026-08-22T10:00:05Z / 1000 */

struct fixture {
    struct toc_report_taker taker;
    struct toc_alias_table *aliases;
    struct toc_run_log_table *table;
    struct toc_run_log_feed *feed;
    int64_t now_ms;
    struct {
        TOC_VEC_FIELDS(char *)
    } reports;
};

static void on_run(struct toc_report_taker *taker, const struct toc_run_report *r) {
    struct fixture *f = (struct fixture *)taker;
    struct toc_buf line = TOC_BUF_INIT;
    toc_run_report_write(r, &line);
    TOC_VEC_PUSH(&f->reports, toc_sv_dup_cstr(toc_buf_sv(&line)));
    toc_buf_fini(&line);
}

static void on_serve(struct toc_report_taker *taker, const struct toc_serve_report *r) {
    struct fixture *f = (struct fixture *)taker;
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text, "engine=%.*s", TOC_SV_ARG(r->engine));
    for (size_t i = 0; i < r->count; i++)
        toc_buf_printf(&text, " %.*s=%g", TOC_SV_ARG(r->samples[i].metric), r->samples[i].value);
    TOC_VEC_PUSH(&f->reports, toc_xstrdup(toc_buf_cstr(&text)));
    toc_buf_fini(&text);
}

static void forget(struct fixture *f) {
    for (size_t i = 0; i < f->reports.count; i++)
        toc_free(f->reports.items[i]);
    f->reports.count = 0;
}

static void make_feed(struct fixture *f) {
    forget(f);
    toc_run_log_feed_free(&f->feed);
    f->feed = toc_run_log_feed_new(&(struct toc_run_log_feed_options){
        .table = f->table, .aliases = f->aliases, .taker = &f->taker, .max_line_bytes = 4096});
}

static int setup(void **state) {
    struct fixture *f = TOC_NEW(struct fixture);
    struct toc_err err = {0};
    f->taker = (struct toc_report_taker){on_run, on_serve};
    f->now_ms = (int64_t)NOW_MS * 1000;
    assert_int_equal(toc_alias_table_builtin(&f->aliases, NULL), 0);
    if (toc_run_log_table_builtin(&f->table, &err))
        fail_msg("row %d column %d: %s", err.line, err.column, err.message);
    make_feed(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    forget(f);
    TOC_VEC_FINI(&f->reports);
    toc_run_log_feed_free(&f->feed);
    toc_run_log_table_free(&f->table);
    toc_alias_table_free(&f->aliases);
    toc_free(f);
    return 0;
}

static void push(struct fixture *f, const char *text) {
    toc_run_log_feed_push(f->feed, toc_sv_cstr(text), (struct toc_ts){f->now_ms});
}

static struct toc_run_log_counters counters(const struct fixture *f) {
    return toc_run_log_feed_counters(f->feed);
}

#define assert_report(f, i, part)                                             \
    do {                                                                      \
        if ((f)->reports.count <= (size_t)(i))                                \
            fail_msg("%zu reports, expected %s", (f)->reports.count, (part)); \
        else if (!strstr((f)->reports.items[i], (part)))                      \
            fail_msg("%s\nlacks %s", (f)->reports.items[i], (part));          \
    } while (0)

static void each_row_gives_what_its_example_says(void **state) {
    struct fixture *f = *state;
    struct toc_run_log_sample s;
    for (size_t i = 0; toc_run_log_table_sample(f->table, i, &s); i++) {
        char expect[512];
        make_feed(f);
        toc_sv_copy(s.expect, expect, sizeof expect);
        if (toc_sv_eq_cstr(s.id, "lightning_progress") || toc_sv_starts_with(s.id, TOC_SV("keras")))
            push(f, "Epoch 4/10\n");
        toc_run_log_feed_push(f->feed, s.line, (struct toc_ts){f->now_ms});
        push(f, "\n");
        if (s.expect.n)
            assert_report(f, 0, expect);
        else
            assert_int_equal(f->reports.count, 0);
        assert_int_equal(counters(f).values_bad, 0);
    }
}

static void the_result_does_not_depend_on_how_the_bytes_are_cut(void **state) {
    struct fixture *f = *state;
    static const char text[] =
        "\x1b[32miter 1: loss 2.5, time 10.00ms\x1b[0m\r\niter 2: loss nan, time 10.00ms\r"
        "\x1b]0;title\aiter 3: loss 1.5, \b\btime 10.00ms\nunknown\n\n";
    for (size_t chunk = 1; chunk < sizeof text; chunk++) {
        make_feed(f);
        for (size_t at = 0; at < sizeof text - 1; at += chunk)
            toc_run_log_feed_push(f->feed,
                                  toc_sv_sub(toc_sv_make(text, sizeof text - 1), at, chunk),
                                  (struct toc_ts){f->now_ms});
        assert_int_equal(f->reports.count, 3);
        assert_report(f, 0, "\"step\":1,\"loss\":2.5,\"step_seconds\":0.01}");
        assert_report(f, 1, "\"loss\":\"NaN\"");
        assert_report(f, 2, "\"loss\":1.5");
        assert_int_equal(counters(f).lines, 4);
    }
}

static void a_megatron_line_without_a_loss_says_that_it_is_missing(void **state) {
    struct fixture *f = *state;
    push(f,
         " iteration 10/ 100 | lm loss: 2.5E+00 | number of skipped iterations: 1 | number of nan "
         "iterations: 0 |\n iteration 20/ 100 | grad norm: nan | number of skipped iterations: 2 "
         "| number of nan iterations: 3 |\n");
    assert_int_equal(f->reports.count, 2);
    assert_report(f, 1,
                  "\"step\":20,\"grad_norm\":\"NaN\",\"skipped_iterations_total\":3,"
                  "\"nan_iterations_total\":3");
    assert_null(strstr(f->reports.items[1], "partial"));
    assert_null(strstr(f->reports.items[1], "\"loss\""));
}

/* Such lines are cut alike, and yet their names may differ. */
static void names_with_digits_are_each_lines_own(void **state) {
    struct fixture *f = *state;
    push(f, " iteration 10/ 100 | lm loss: 2.5E+00 | head 1: 1.5 |\n"
            " iteration 11/ 100 | lm loss: 2.4E+00 | head 2: 2.5 |\n"
            " iteration 12/ 100 | lm loss: 2.3E+00 | head 1: 3.5 |\n");
    assert_int_equal(f->reports.count, 3);
    assert_report(f, 0, "\"loss\":2.5,\"scalars\":{\"head 1\":1.5}");
    assert_report(f, 1, "\"loss\":2.4,\"scalars\":{\"head 2\":2.5}");
    assert_report(f, 2, "\"loss\":2.3,\"scalars\":{\"head 1\":3.5}");
}

static void backspaces_are_no_part_of_a_line(void **state) {
    struct fixture *f = *state;
    push(f, "{'loss': 2.5}\b\b\b\b\b\b\b\b\b\b\b\n{'lo\bss': 2.25}\b\r{'loss': 2.125}\b\b");
    push(f, "\b\b\n\b\b{'loss': 2.0}\n");
    assert_int_equal(f->reports.count, 4);
    assert_report(f, 0, "\"loss\":2.5");
    assert_report(f, 1, "\"loss\":2.25");
    assert_report(f, 2, "\"loss\":2.125");
    assert_report(f, 3, "\"loss\":2");
    assert_int_equal(counters(f).lines_binary, 0);
    assert_int_equal(counters(f).lines, 4);
}

static void numbers_are_read_as_programs_print_them(void **state) {
    struct fixture *f = *state;
    push(f, "{'loss': '2.31', 'grad_norm': tensor(nan, device='cuda:0'), 'learning_rate': "
            "np.float64(5e-05), 'epoch': inf, 'a,b': [1.5, 2], 'text': 'x, y'}\n");
    assert_report(f, 0,
                  "\"partial\":true,\"loss\":2.31,\"grad_norm\":\"NaN\","
                  "\"learning_rate\":5e-05,\"epoch\":\"+Inf\",\"scalars\":{\"a,b\":1.5}");
    push(f, "{'loss': oops, 'epoch': 1}\n");
    assert_int_equal(counters(f).values_bad, 1);
}

static void times_of_the_line_are_kept_and_others_follow_each_other(void **state) {
    struct fixture *f = *state;
    push(f, "[2026-08-22 09:59:00,500] iter 1: loss 1, time 1ms\niter 2: loss 1, time 1ms\n"
            "iter 3: loss 1, time 1ms\n[2031-01-01 00:00:00] iter 4: loss 1, time 1ms\n"
            "2026-08-22T12:00:06+02:00 iter 5: loss 1, time 1ms\n");
    assert_report(f, 0, "{\"t\":1787392740.5,");
    assert_report(f, 1, "{\"t\":1787392805,");
    assert_report(f, 2, "{\"t\":1787392805.001,");
    assert_report(f, 3, "{\"t\":1787392805.002,");
    assert_report(f, 4, "{\"t\":1787392806,");
}

static void epochs_and_their_steps_are_one_count(void **state) {
    struct fixture *f = *state;
    push(f, "Epoch 3/10\n\r 12/100 [==>.........] - ETA: 5s - loss: 2.0 - accuracy: 0.5\r");
    assert_report(f, 0, "\"step\":212,\"partial\":true,\"loss\":2,\"accuracy\":0.5");
    make_feed(f);
    push(f, " 12/100 [==>.........] - ETA: 5s - loss: 2.0\n");
    assert_null(strstr(f->reports.items[0], "step\":")); /* which epoch is not known */
}

static void a_step_that_goes_back_is_one_restart(void **state) {
    struct fixture *f = *state;
    push(f, "iter 500: loss 1, time 1ms\niter 400: loss 1, time 1ms\n");
    assert_int_equal(f->reports.count, 3);
    assert_report(f, 1, "\"event\":\"restart\",\"message\":\"step went back from 500 to 400\"");
    push(f, "2/3 attempts left; will restart worker group\niter 300: loss 1, time 1ms\n");
    assert_int_equal(counters(f).restarts, 2);
}

static void a_bar_counts_steps_once_numbers_came_without_one(void **state) {
    struct fixture *f = *state;
    push(f, " 1%| | 10/1000 [00:01<01:50,  8.11it/s]\r 1%| | 11/1000 [00:01<01:50,  8.11it/s]\r");
    assert_int_equal(f->reports.count, 0);
    push(f, "{'loss': 2.0, 'epoch': 0.1}\n");
    push(f, " 1%| | 12/1000 [00:01<01:50,  8.11it/s]\r 1%| | 13/1000 [00:01<01:50,  8.11it/s]\r"
            "50%| | 5/10 [00:01<01:50,  8.11it/s]\r");
    assert_int_equal(f->reports.count, 2);
    assert_report(f, 1, "\"step\":13,\"partial\":true}");
}

static void long_and_binary_lines_are_counted_and_cost_no_memory(void **state) {
    struct fixture *f = *state;
    char junk[8192];
    memset(junk, 'x', sizeof junk);
    for (int i = 0; i < 1000; i++)
        toc_run_log_feed_push(f->feed, toc_sv_make(junk, sizeof junk), (struct toc_ts){f->now_ms});
    assert_int_equal(toc_run_log_feed_unfinished(f->feed), 1000 * sizeof junk);
    push(f, "\n");
    memset(junk, 1, sizeof junk);
    toc_run_log_feed_push(f->feed, toc_sv_make(junk, sizeof junk), (struct toc_ts){f->now_ms});
    push(f, "iter 1: loss 1, time 1ms\niter 2: loss 1, time 1ms\n");
    assert_int_equal(counters(f).lines_cut, 2);
    assert_int_equal(counters(f).lines_binary, 1);
    assert_int_equal(f->reports.count, 1);
}

static void prose_is_no_report(void **state) {
    struct fixture *f = *state;
    push(f, "In step 5 we will look at the loss of the model\nloading shard 5/10\n"
            "step: 3 loss function is CrossEntropy\nUsing lr 0.1\n");
    assert_int_equal(f->reports.count, 0);
    assert_int_equal(counters(f).lines, 4);
}

static void the_state_survives_a_restart_of_the_reader(void **state) {
    struct fixture *f = *state;
    struct toc_buf saved = TOC_BUF_INIT;
    push(f, " iteration 10/ 100 | number of skipped iterations: 4 |\nEpoch 2/3\nhalf a li");
    assert_int_equal(toc_run_log_feed_unfinished(f->feed), 9);
    toc_run_log_feed_save(f->feed, &saved);
    make_feed(f);
    assert_int_equal(toc_run_log_feed_restore(f->feed, toc_buf_sv(&saved)), 0);
    push(f, " iteration 20/ 100 | number of skipped iterations: 1 |\n");
    assert_report(f, 0, "\"skipped_iterations_total\":5");
    for (size_t i = 0; i < saved.n; i++) {
        saved.p[i] ^= 1;
        assert_int_equal(toc_run_log_feed_restore(f->feed, toc_buf_sv(&saved)), TOC_ECORRUPT);
        saved.p[i] ^= 1;
        assert_int_equal(toc_run_log_feed_restore(f->feed, toc_sv_make(saved.p, i)), TOC_ECORRUPT);
    }
    toc_buf_fini(&saved);
}

static void a_bad_table_is_refused_with_row_and_column(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
        int row, column;
    } rows[] = {
        {"a\tstep", "2 columns", 1, 1},
        {"\tstep\tx\tx\t\t\tx\t", "expected a name", 1, 1},
        {"a\tjump\tx\tx\t\t\tx\t", "unknown kind", 1, 2},
        {"a\tstep\t\tx\t\t\tx\t", "every line of the row holds", 1, 3},
        {"a\tstep\tx\t(\t\t\tx\t", "missing", 1, 4},
        {"a\tstep\tx\t(x)\t\t\tx\t", "without a name", 1, 4},
        {"a\tstep\tx\tx\tlist\t\tx\t", "expected bars", 1, 5},
        {"a\tstep\tx\tx\tbars\t\tx\t", "needs a group pairs", 1, 5},
        {"a\tstep\tx\t(?P<m>x)\t\tn=loss\tx\t", "expected group=name", 1, 6},
        {"a\tstep\tx\t(?P<m>x)\t\tm=loss*y\tx\t", "expected group=name", 1, 6},
        {"a\tstep\tx\tx\t\t+n=\tx\t", "expected group=name", 1, 6},
        {"a\tstep\tx\tx\t\t\ty\t", "no row or another", 1, 7},
        {"a\tstep\tx\tx\t\t\tx\t\na\tstep\tx\tx\t\t\tx\t", "there already", 2, 1},
        {"a\tstep\tx\tx\t\t\tx\t\nb\tstep\tx\tx\t\t\tx\t", "no row or another", 2, 7},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(rows); i++) {
        struct toc_run_log_table *t;
        struct toc_err err = {0};
        assert_int_equal(toc_run_log_table_parse(toc_sv_cstr(rows[i].text), &t, &err), TOC_EPARSE);
        assert_null(t);
        if (!strstr(err.message, rows[i].message) || err.line != rows[i].row ||
            err.column != rows[i].column)
            fail_msg("case %zu: %d:%d: %s", i, err.line, err.column, err.message);
    }
}

/* The built-in table is used without these checks. */
static void the_built_in_table_passes_all_checks(void **state) {
    struct toc_run_log_table *t;
    struct toc_err err = {0};
    (void)state;
    if (toc_run_log_table_parse(toc_run_log_table_text(), &t, &err))
        fail_msg("row %d column %d: %s", err.line, err.column, err.message);
    toc_run_log_table_free(&t);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_built_in_table_passes_all_checks),
        TEST(each_row_gives_what_its_example_says),
        TEST(the_result_does_not_depend_on_how_the_bytes_are_cut),
        TEST(a_megatron_line_without_a_loss_says_that_it_is_missing),
        TEST(names_with_digits_are_each_lines_own),
        TEST(backspaces_are_no_part_of_a_line),
        TEST(numbers_are_read_as_programs_print_them),
        TEST(times_of_the_line_are_kept_and_others_follow_each_other),
        TEST(epochs_and_their_steps_are_one_count),
        TEST(a_step_that_goes_back_is_one_restart),
        TEST(a_bar_counts_steps_once_numbers_came_without_one),
        TEST(long_and_binary_lines_are_counted_and_cost_no_memory),
        TEST(prose_is_no_report),
        TEST(the_state_survives_a_restart_of_the_reader),
        TEST(a_bad_table_is_refused_with_row_and_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
