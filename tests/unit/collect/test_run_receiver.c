#include "recording_sink.h"

#include "base/rng.h"
#include "collect/run_receiver.h"

enum { NOW = 1700000100 };

struct fixture {
    struct recording_sink sink;
    struct toc_run_listener listener;
    struct toc_run_receiver *r;
    char events[2000]; /* "kind:step:message;" */
    char layers[500];
    struct toc_err err;
};

static struct fixture *g_fixture;

static void on_event(struct toc_run_listener *l, const struct toc_run_event *e) {
    (void)l;
    struct fixture *f = g_fixture;
    size_t n = strlen(f->events);
    snprintf(f->events + n, sizeof f->events - n, "%s:%lld:%s:%.*s;", toc_run_event_text(e->kind),
             e->has_step ? (long long)e->step : -1LL, toc_run_state_text(e->state),
             TOC_SV_ARG(e->message));
    f->layers[0] = '\0';
    for (size_t i = 0; i < e->layer_count; i++) {
        n = strlen(f->layers);
        snprintf(f->layers + n, sizeof f->layers - n, "%.*s,", TOC_SV_ARG(e->layers[i]));
    }
}

static int setup(void **state) {
    struct fixture *f = TOC_NEW(struct fixture);
    recording_init(&f->sink);
    f->listener.on_event = on_event;
    f->r = toc_run_receiver_new(
        &(struct toc_run_receiver_options){.sink = &f->sink.base, .listener = &f->listener});
    g_fixture = f;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    toc_run_receiver_free(&f->r);
    recording_fini(&f->sink);
    toc_free(f);
    return 0;
}

static int put_as(struct fixture *f, enum toc_run_format format, const char *text) {
    toc_err_reset(&f->err);
    struct toc_run_body body = {.run = TOC_SV("r"), .format = format, .bytes = toc_sv_cstr(text)};
    return toc_run_receiver_put(f->r, &body, (struct toc_ts){NOW * 1000LL}, &f->err);
}
static int put(struct fixture *f, const char *text) {
    return put_as(f, TOC_RUN_JSONL, text);
}

static void a_full_line_becomes_the_documented_series(void **state) {
    struct fixture *f = *state;
    assert_int_equal(
        put(f, "{\"t\":1700000000.123,\"session\":\"9f\",\"seq\":41,\"step\":120,\"state\":"
               "\"running\","
               "\"rank\":0,\"loss\":2.31,\"grad_norm\":0.8,\"lr\":0.001,\"step_seconds\":0.02,"
               "\"tokens_per_second\":51200,\"memory_bytes\":73400320,\"memory_limit_bytes\":"
               "268435456,"
               "\"dropped\":3,\"layers\":{\"emb\":{\"grad_norm\":0.5,\"update_ratio\":0.001},"
               "\"head.w\":{\"grad_norm\":0.25,\"param_std\":0.02,\"zero_grad_ratio\":0,"
               "\"nonfinite_ratio\":0,\"kurtosis\":3}},\"labels\":{\"model\":\"tiny\"},"
               "\"event\":\"checkpoint\",\"message\":\"ckpt/1\",\"val/acc\":0.5,\"note\":\"x\"}\n"),
        0);
    const struct recording_sink *s = &f->sink;
    assert_recorded(s, "train_step{run=\"r\"}", 120);
    assert_recorded(s, "train_last_step_timestamp_seconds{run=\"r\"}", 1700000000.123);
    assert_recorded(s, "train_loss{run=\"r\"}", 2.31);
    assert_recorded(s, "train_grad_norm{run=\"r\"}", 0.8);
    assert_recorded(s, "train_learning_rate{run=\"r\"}", 0.001);
    assert_recorded(s, "train_step_seconds{run=\"r\"}", 0.02);
    assert_recorded(s, "train_tokens_per_second{run=\"r\"}", 51200);
    assert_recorded(s, "train_memory_bytes{run=\"r\"}", 73400320);
    assert_recorded(s, "train_memory_limit_bytes{run=\"r\"}", 268435456);
    assert_recorded(s, "train_run_state{run=\"r\"}", 1);
    assert_recorded(s, "train_run_info{model=\"tiny\", run=\"r\"}", 1);
    assert_recorded(s, "train_reports_dropped_total{run=\"r\"}", 3);
    assert_recorded(s, "train_layer_grad_norm{layer=\"head.w\", run=\"r\"}", 0.25);
    assert_recorded(s, "train_layer_param_std{layer=\"head.w\", run=\"r\"}", 0.02);
    assert_recorded(s, "train_update_ratio{layer=\"emb\", run=\"r\"}", 0.001);
    assert_recorded(s, "train_zero_grad_ratio{layer=\"head.w\", run=\"r\"}", 0);
    assert_recorded(s, "train_layer_nonfinite_ratio{layer=\"head.w\", run=\"r\"}", 0);
    assert_recorded(s, "train_layer_kurtosis{layer=\"head.w\", run=\"r\"}", 3);
    assert_recorded(s, "train_val_acc{run=\"r\"}", 0.5);
    assert_recorded(s, "train_nonfinite_total{kind=\"loss\", run=\"r\"}", 0);
    assert_recorded(s, "train_restarts_total{run=\"r\"}", 0);
    assert_recorded(s, "train_last_checkpoint_timestamp_seconds{run=\"r\"}", 1700000000.123);
    assert_recorded(s, "train_checkpoint_step{run=\"r\"}", 120);
    assert_int_equal(recorded_last(s, "train_loss{run=\"r\"}")->t_ms, 1700000000123);
    assert_string_equal(f->events, "checkpoint:120:running:ckpt/1;layers:120:running:;");
    assert_string_equal(f->layers, "emb,head.w,");
    assert_int_equal(toc_run_receiver_counters(f->r).fields_ignored, 1);
}

static void counters_start_at_zero_before_the_first_line(void **state) {
    struct fixture *f = *state;
    assert_int_equal(put(f, "{\"t\":1700000000,\"step\":1,\"loss\":NaN}"), 0);
    const char *series = "train_nonfinite_total{kind=\"loss\", run=\"r\"}";
    assert_int_equal(recorded_count(&f->sink, series), 2);
    size_t first = 0;
    while (strcmp(f->sink.points.items[first].series, series) != 0)
        first++;
    assert_true(f->sink.points.items[first].value == 0);
    assert_int_equal(f->sink.points.items[first].t_ms, 1699999999999);
    assert_recorded(&f->sink, series, 1);
}

static void each_rank_tells_its_phase_and_place(void **state) {
    struct fixture *f = *state;
    assert_int_equal(put(f, "{\"t\":1700000000,\"step\":1,\"rank\":3,\"labels\":{\"host\":\"b\","
                            "\"pid\":\"17\",\"model\":\"other\"}}\n"
                            "{\"t\":1700000000,\"step\":1,\"labels\":{\"host\":\"a\",\"model\":"
                            "\"m\"}}\n"
                            "{\"t\":1700000001,\"rank\":3,\"state\":\"checkpoint\",\"collectives_"
                            "total\":7,\"labels\":{"
                            "\"host\":\"b\"}}\n"
                            "{\"t\":1700000001,\"state\":\"evaluation\"}\n"),
                     0);
    const struct recording_sink *s = &f->sink;
    assert_recorded(s, "train_run_phase{rank=\"3\", run=\"r\"}", 2);
    assert_recorded(s, "train_run_phase{run=\"r\"}", 1);
    assert_recorded(s, "train_rank_info{host=\"b\", pid=\"17\", rank=\"3\", run=\"r\"}", 1);
    assert_recorded(s, "train_rank_info{host=\"a\", run=\"r\"}", 1);
    assert_recorded(s, "train_run_info{host=\"a\", model=\"m\", run=\"r\"}", 1);
    assert_recorded(s, "train_collectives_total{rank=\"3\", run=\"r\"}", 7);
}

static void many_ranks_are_told_apart(void **state) {
    struct fixture *f = *state;
    for (int rank = 4095; rank >= 0; rank--) {
        char line[100];
        snprintf(line, sizeof line, "{\"t\":1700000000,\"rank\":%d,\"step\":%d}", rank, rank);
        assert_int_equal(put(f, line), 0);
    }
    assert_recorded(&f->sink, "train_step{rank=\"4095\", run=\"r\"}", 4095);
    assert_recorded(&f->sink, "train_step{run=\"r\"}", 0);
    assert_int_equal(put(f, "{\"t\":1700000001,\"rank\":4096,\"step\":1}"), TOC_EPARSE);
    assert_non_null(strstr(f->err.message, "at most 4096 ranks"));
}

static void every_spelling_of_non_finite_is_data(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *text;
        double value;
    } spellings[] = {{"NaN", NAN},           {"\"NaN\"", NAN},
                     {"Infinity", INFINITY}, {"-Infinity", -INFINITY},
                     {"\"+Inf\"", INFINITY}, {"\"-Inf\"", -INFINITY},
                     {"\"Inf\"", INFINITY},  {"\"Infinity\"", INFINITY}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(spellings); i++) {
        char line[200];
        snprintf(line, sizeof line, "{\"t\":%zu,\"note\":\"NaN \\\" -Infinity\",\"loss\" : %s}",
                 1700000000 + i, spellings[i].text);
        assert_int_equal(put(f, line), 0);
        assert_recorded(&f->sink, "train_loss{run=\"r\"}", spellings[i].value);
    }
    assert_recorded(&f->sink, "train_nonfinite_total{kind=\"loss\", run=\"r\"}",
                    TOC_ARRAY_LEN(spellings));
}

static void layers_with_non_finite_numbers_are_counted_once_each(void **state) {
    struct fixture *f = *state;
    assert_int_equal(
        put(f, "{\"t\":1700000000,\"grad_norm\":NaN,\"layers\":{"
               "\"a\":{\"grad_norm\":\"NaN\",\"param_std\":\"NaN\",\"param_max\":\"Inf\"},"
               "\"b\":{\"grad_norm\":1}}}"),
        0);
    assert_recorded(&f->sink, "train_nonfinite_total{kind=\"grad\", run=\"r\"}", 2);
    assert_recorded(&f->sink, "train_nonfinite_total{kind=\"param\", run=\"r\"}", 1);
}

static void a_loss_that_vanishes_is_counted_as_missing(void **state) {
    struct fixture *f = *state;
    assert_int_equal(put(f, "{\"t\":1700000000,\"step\":1,\"loss\":2}\n"
                            "{\"t\":1700000001,\"step\":1,\"layers\":{\"a\":{\"grad_norm\":1}}}\n"
                            "{\"t\":1700000002,\"step\":2}\n"
                            "{\"t\":1700000003,\"step\":3,\"state\":\"evaluation\"}\n"),
                     0);
    assert_recorded(&f->sink, "train_nonfinite_total{kind=\"missing\", run=\"r\"}", 1);
}

static void a_malformed_line_refuses_the_whole_body(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *line;
        const char *reason;
    } bad[] = {
        {"{\"loss\":}", "not JSON"},
        {"[1]", "must be a JSON object"},
        {"{\"loss\":\"high\"}", "\"loss\" must be a number"},
        {"{\"loss\":true}", "\"loss\" must be a number"},
        {"{\"step\":-1}", "\"step\" must be an integer"},
        {"{\"step\":1.5}", "\"step\" must be an integer"},
        {"{\"step\":NaN}", "\"step\" must be an integer"},
        {"{\"t\":1800000000}", "future"},
        {"{\"t\":\"now\"}", "seconds since 1970"},
        {"{\"state\":\"broken\"}", "\"state\" must be"},
        {"{\"event\":\"layers\"}", "\"event\" must be"},
        {"{\"run\":\"other\"}", "the request is for r"},
        {"{\"session\":\"\"}", "\"session\" must be"},
        {"{\"layers\":{\"\":{}}}", "layer name"},
        {"{\"layers\":{\"a\":{\"b\":{\"c\":{}}}}}", "nested 5 deep"},
        {"{\"labels\":{\"a-b\":\"x\"}}", "label name"},
        {"{\"labels\":{\"gpus\":8}}", "put it into quotes"},
        {"{\"a\":1,\"a\":2}", "not JSON"},
    };
    assert_int_equal(put(f, "{\"t\":1700000000,\"step\":1,\"loss\":1}"), 0);
    for (size_t i = 0; i < TOC_ARRAY_LEN(bad); i++) {
        char body[400];
        snprintf(
            body, sizeof body,
            "{\"session\":\"s\",\"seq\":5,\"step\":9,\"loss\":NaN,\"layers\":{\"new\":{}}}\n\n%s\n",
            bad[i].line);
        recording_clear(&f->sink);
        assert_int_equal(put(f, body), TOC_EPARSE);
        assert_int_equal(f->err.line, 3);
        if (!strstr(f->err.message, bad[i].reason))
            fail_msg("%s: %s", bad[i].line, f->err.message);
        assert_int_equal(f->sink.points.count, 0);
    }
    /* nothing of the refused bodies stayed: seq 5 is still new, the counters are 0, the layer
     * unknown */
    assert_int_equal(put(f, "{\"t\":1700000009,\"session\":\"s\",\"seq\":5,\"step\":2,\"loss\":1,"
                            "\"event\":\"checkpoint\"}"),
                     0);
    assert_recorded(&f->sink, "train_nonfinite_total{kind=\"loss\", run=\"r\"}", 0);
    assert_string_equal(f->layers, "");
}

static void a_failing_store_leaves_no_trace(void **state) {
    struct fixture *f = *state;
    const char *line =
        "{\"t\":1700000000,\"session\":\"s\",\"seq\":1,\"step\":1,\"event\":\"start\","
        "\"labels\":{\"m\":\"x\"},\"layers\":{\"a\":{\"grad_norm\":1}}}";
    f->sink.fail_with = TOC_ENOSPC;
    assert_int_equal(put(f, line), TOC_ENOSPC);
    assert_string_equal(f->events, "");
    f->sink.fail_with = 0;
    assert_int_equal(put(f, line), 0);
    assert_int_equal(toc_run_receiver_counters(f->r).lines_repeated, 0);
    assert_string_equal(f->events, "start:1:running:;layers:1:running:;");
}

static void repeated_lines_count_once(void **state) {
    struct fixture *f = *state;
    const char *line = "{\"t\":1700000000,\"session\":\"s\",\"seq\":1,\"step\":1,\"loss\":NaN}\n"
                       "{\"t\":1700000001,\"session\":\"s\",\"seq\":2,\"step\":2,\"loss\":NaN}\n";
    assert_int_equal(put(f, line), 0);
    assert_int_equal(put(f, line), 0);
    assert_recorded(&f->sink, "train_nonfinite_total{kind=\"loss\", run=\"r\"}", 2);
    assert_int_equal(toc_run_receiver_counters(f->r).lines_repeated, 2);
    /* another session has its own count; three more do not push the first one out */
    for (int i = 0; i < 3; i++) {
        char other[100];
        snprintf(other, sizeof other, "{\"t\":%d,\"session\":\"o%d\",\"seq\":1,\"loss\":1}",
                 1700000002 + i, i);
        assert_int_equal(put(f, other), 0);
    }
    assert_int_equal(put(f, line), 0);
    assert_int_equal(toc_run_receiver_counters(f->r).lines_repeated, 4);
}

static void restarts_are_seen(void **state) {
    struct fixture *f = *state;
    assert_int_equal(put(f, "{\"t\":1700000000,\"session\":\"a\",\"seq\":1,\"event\":\"start\"}"),
                     0);
    assert_recorded(&f->sink, "train_restarts_total{run=\"r\"}", 0);
    assert_int_equal(put(f, "{\"t\":1700000001,\"session\":\"b\",\"seq\":1,\"event\":\"start\"}"),
                     0);
    assert_recorded(&f->sink, "train_restarts_total{run=\"r\"}", 1);
    assert_int_equal(put(f, "{\"t\":1700000002,\"session\":\"b\",\"seq\":2,\"event\":\"restart\"}"),
                     0);
    assert_recorded(&f->sink, "train_restarts_total{run=\"r\"}", 2);
    assert_int_equal(put(f, "{\"t\":1700000003,\"session\":\"b\",\"seq\":3,\"event\":\"end\"}\n"
                            "{\"t\":1700000004,\"session\":\"c\",\"seq\":1,\"event\":\"start\"}"),
                     0);
    assert_recorded(&f->sink, "train_restarts_total{run=\"r\"}", 2);
    assert_recorded(&f->sink, "train_run_state{run=\"r\"}", 1);
    assert_int_equal(put(f, "{\"t\":1700000005,\"event\":\"error\",\"message\":\"boom\"}"), 0);
    assert_recorded(&f->sink, "train_run_state{run=\"r\"}", 3);
    assert_int_equal(put(f, "{\"t\":1700000006,\"event\":\"error\",\"state\":\"running\"}"), 0);
    assert_recorded(&f->sink, "train_run_state{run=\"r\"}", 1);
}

static void whether_a_run_tells_its_state_is_told_and_kept(void **state) {
    struct fixture *f = *state;
    struct toc_buf saved = TOC_BUF_INIT;
    assert_int_equal(put(f, "{\"t\":1700000000,\"step\":1}\n"
                            "{\"t\":1700000001,\"event\":\"restart\"}"),
                     0);
    assert_recorded(&f->sink, "train_run_tells_state{run=\"r\"}", 0);
    assert_int_equal(put(f, "{\"t\":1700000002,\"step\":2,\"state\":\"running\"}"), 0);
    assert_recorded(&f->sink, "train_run_tells_state{run=\"r\"}", 1);
    toc_run_receiver_save(f->r, &saved);
    assert_int_equal(toc_run_receiver_restore(f->r, toc_buf_sv(&saved)), 0);
    toc_buf_fini(&saved);
    assert_int_equal(put(f, "{\"t\":1700000012,\"step\":3}"), 0);
    assert_int_equal(recorded_last(&f->sink, "train_run_tells_state{run=\"r\"}")->t_ms,
                     1700000012000);
    assert_recorded(&f->sink, "train_run_tells_state{run=\"r\"}", 1);
}

static void csv_says_the_same_as_json(void **state) {
    struct fixture *f = *state;
    assert_int_equal(
        put_as(f, TOC_RUN_CSV,
               "\xef\xbb\xbft,global_step,loss,learning_rate,state,layers.blocks.0.w.grad_norm,"
               "labels.model,note\r\n"
               "1700000000.5,7,nan,1e-3,running,0.31,tiny,hello\r\n"
               "1700000001.5,8,-Infinity,,,,,\r\n"),
        0);
    assert_recorded(&f->sink, "train_step{run=\"r\"}", 8);
    assert_recorded(&f->sink, "train_loss{run=\"r\"}", -INFINITY);
    assert_recorded(&f->sink, "train_learning_rate{run=\"r\"}", 0.001);
    assert_recorded(&f->sink, "train_layer_grad_norm{layer=\"blocks.0.w\", run=\"r\"}", 0.31);
    assert_recorded(&f->sink, "train_run_info{model=\"tiny\", run=\"r\"}", 1);
    assert_recorded(&f->sink, "train_nonfinite_total{kind=\"loss\", run=\"r\"}", 2);
    assert_int_equal(put_as(f, TOC_RUN_CSV, "t,loss\n1700000002,1,2\n"), TOC_EPARSE);
    assert_int_equal(f->err.line, 2);
    assert_int_equal(put_as(f, TOC_RUN_CSV, "t,t\n1,2\n"), TOC_EPARSE);
    assert_int_equal(put_as(f, TOC_RUN_CSV, "layers.x\n1\n"), TOC_EPARSE);
}

static void make_rows(struct toc_rng *rng, struct toc_buf *plain, struct toc_buf *quoted) {
    static const char *const cells[] = {"0",
                                        "1",
                                        "7",
                                        "12",
                                        "-0",
                                        "-0.0",
                                        "-1",
                                        "007",
                                        "1.",
                                        ".5",
                                        "+1",
                                        "1.5",
                                        "-2.25",
                                        "nan",
                                        "inf",
                                        "-Infinity",
                                        "",
                                        " ",
                                        " 3 ",
                                        "1e5",
                                        "1E-3",
                                        "1e999",
                                        "123456789012",
                                        "1234567.7654321",
                                        "12345678.12345678",
                                        "0.1234567890123456789",
                                        "9007199254740993",
                                        "4.5x",
                                        "x",
                                        "1 2"};
    static const char *const ends[] = {"\n", "\n", "\r\n", "\n\n", ""};
    static const char header[] = "epoch,step,loss,learning_rate,my own,val_loss,seq,dropped\n";
    enum { COLUMNS = 8 };
    toc_buf_append_cstr(plain, header);
    toc_buf_append_cstr(quoted, header);
    for (size_t row = 1 + toc_rng_below(rng, 3); row-- > 0;) {
        /* Plain integers mostly, so that rows are taken; sometimes a cell too few or too many. */
        size_t count = COLUMNS + (toc_rng_below(rng, 20) == 0) - (toc_rng_below(rng, 20) == 0);
        const char *end = ends[toc_rng_below(rng, row ? 4 : 5)];
        for (size_t i = 0; i < count; i++) {
            size_t most = toc_rng_below(rng, 4) ? 4 : TOC_ARRAY_LEN(cells);
            const char *cell = cells[toc_rng_below(rng, most)];
            toc_buf_printf(plain, "%s%s", i ? "," : "", cell);
            toc_buf_printf(quoted, i ? ",%s" : "\"%s\"", cell);
        }
        toc_buf_append_cstr(plain, end);
        toc_buf_append_cstr(quoted, end);
    }
}

/* A quote makes the CSV reader cut the row; without one it is read in one pass. */
static void rows_say_the_same_with_and_without_quotes(void **state) {
    struct toc_rng rng;
    toc_rng_seed(&rng, 23);
    for (int round = 0; round < 3000; round++) {
        struct toc_buf texts[2] = {TOC_BUF_INIT, TOC_BUF_INIT};
        struct recording_sink sinks[2];
        struct toc_err errs[2] = {{0}, {0}};
        int codes[2];
        make_rows(&rng, &texts[0], &texts[1]);
        for (int i = 0; i < 2; i++) {
            recording_init(&sinks[i]);
            struct toc_run_receiver *r =
                toc_run_receiver_new(&(struct toc_run_receiver_options){.sink = &sinks[i].base});
            struct toc_run_body body = {
                .run = TOC_SV("r"), .format = TOC_RUN_CSV, .bytes = toc_buf_sv(&texts[i])};
            codes[i] = toc_run_receiver_put(r, &body, (struct toc_ts){NOW * 1000LL}, &errs[i]);
            toc_run_receiver_free(&r);
        }
        assert_int_equal(codes[0], codes[1]);
        assert_string_equal(errs[0].message, errs[1].message);
        assert_int_equal(sinks[0].points.count, sinks[1].points.count);
        for (size_t i = 0; i < sinks[0].points.count; i++) {
            const struct recorded *a = &sinks[0].points.items[i], *b = &sinks[1].points.items[i];
            assert_string_equal(a->series, b->series);
            assert_int_equal(a->t_ms, b->t_ms);
            assert_memory_equal(&a->value, &b->value, sizeof a->value);
        }
        for (int i = 0; i < 2; i++) {
            recording_fini(&sinks[i]);
            toc_buf_fini(&texts[i]);
        }
    }
    (void)state;
}

static void a_name_wins_over_its_alias_in_any_order(void **state) {
    struct fixture *f = *state;
    assert_int_equal(put(f, "{\"time\":1700000001,\"t\":1700000002,\"lr\":1,\"learning_rate\":2,"
                            "\"iteration\":5,\"step\":6,\"global_step\":7}"),
                     0);
    assert_recorded(&f->sink, "train_learning_rate{run=\"r\"}", 1);
    assert_recorded(&f->sink, "train_step{run=\"r\"}", 6);
    assert_int_equal(recorded_last(&f->sink, "train_step{run=\"r\"}")->t_ms, 1700000002000);
}

static void ranks_other_than_zero_have_their_own_series(void **state) {
    struct fixture *f = *state;
    assert_int_equal(put(f, "{\"t\":1700000000,\"rank\":0,\"step\":4,\"loss\":1}\n"
                            "{\"t\":1700000000,\"rank\":3,\"step\":5,\"loss\":2}"),
                     0);
    assert_recorded(&f->sink, "train_step{run=\"r\"}", 4);
    assert_recorded(&f->sink, "train_step{rank=\"3\", run=\"r\"}", 5);
}

static void the_later_of_two_lines_in_a_millisecond_stays(void **state) {
    struct fixture *f = *state;
    assert_int_equal(put(f, "{\"t\":1700000000,\"loss\":1}\n{\"t\":1700000000,\"loss\":2}"), 0);
    assert_int_equal(recorded_count(&f->sink, "train_loss{run=\"r\"}"), 1);
    assert_recorded(&f->sink, "train_loss{run=\"r\"}", 2);
}

static void a_later_body_in_the_same_millisecond_follows_it(void **state) {
    struct fixture *f = *state;
    assert_int_equal(put(f, "{\"t\":1700000000,\"loss\":1,\"event\":\"start\"}"), 0);
    assert_int_equal(put(f, "{\"t\":1700000000,\"event\":\"error\"}"), 0);
    assert_recorded(&f->sink, "train_run_state{run=\"r\"}", 3);
    assert_int_equal(recorded_last(&f->sink, "train_run_state{run=\"r\"}")->t_ms, 1700000000001);
}

/* A start, an error and the end within a millisecond, each in a body of its own, and more lines in
 * one of them: no two points at one time, of which the store would refuse the later. */
static void many_bodies_of_one_millisecond_follow_each_other(void **state) {
    struct fixture *f = *state;
    const char *const series = "train_loss{run=\"r\"}";
    assert_int_equal(put(f, "{\"t\":1700000000,\"loss\":1}"), 0);
    assert_int_equal(put(f, "{\"t\":1700000000,\"loss\":2}\n{\"t\":1700000000,\"loss\":3}"), 0);
    assert_int_equal(recorded_last(&f->sink, series)->t_ms, 1700000000001);
    assert_recorded(&f->sink, series, 3);
    assert_int_equal(put(f, "{\"t\":1700000000,\"loss\":4}"), 0);
    assert_int_equal(recorded_last(&f->sink, series)->t_ms, 1700000000002);
    assert_int_equal(put(f, "{\"t\":1700000000.001,\"loss\":5}"), 0);
    assert_int_equal(recorded_last(&f->sink, series)->t_ms, 1700000000003);
    assert_int_equal(put(f, "{\"t\":1700000000.009,\"loss\":6}"), 0);
    assert_int_equal(recorded_last(&f->sink, series)->t_ms, 1700000000009);
    assert_int_equal(recorded_count(&f->sink, series), 5);
}

static void limits_hold(void **state) {
    struct fixture *f = *state;
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_append_char(&b, '{');
    for (int i = 0; i < 65; i++)
        toc_buf_printf(&b, "%s\"x%d\":1", i ? "," : "", i);
    toc_buf_append_char(&b, '}');
    assert_int_equal(put(f, toc_buf_cstr(&b)), TOC_EPARSE);
    assert_non_null(strstr(f->err.message, "64 numeric fields"));
    toc_buf_reset(&b);
    toc_buf_append_cstr(&b, "{\"layers\":{");
    for (int i = 0; i < 1025; i++)
        toc_buf_printf(&b, "%s\"l%d\":{}", i ? "," : "", i);
    toc_buf_append_cstr(&b, "}}");
    assert_int_equal(put(f, toc_buf_cstr(&b)), TOC_EPARSE);
    toc_buf_reset(&b);
    toc_buf_printf(&b, "{\"message\":\"%*s\"}", 300000, "");
    assert_int_equal(put(f, toc_buf_cstr(&b)), TOC_EPARSE);
    assert_non_null(strstr(f->err.message, "at most 262144"));
    toc_buf_reset(&b);
    toc_buf_printf(&b, "%*s", (8 << 20) + 1, "");
    assert_int_equal(put(f, toc_buf_cstr(&b)), TOC_ELIMIT);
    toc_buf_fini(&b);
}

static void save_and_restore_keep_once_only_and_counters(void **state) {
    struct fixture *f = *state;
    const char *line = "{\"t\":1700000000,\"session\":\"s\",\"seq\":7,\"step\":1,\"loss\":NaN,"
                       "\"labels\":{\"m\":\"x\"},\"layers\":{\"a\":{\"grad_norm\":1}}}";
    assert_int_equal(put(f, line), 0);
    struct toc_buf saved = TOC_BUF_INIT;
    toc_run_receiver_save(f->r, &saved);
    toc_run_receiver_free(&f->r);
    f->r = toc_run_receiver_new(
        &(struct toc_run_receiver_options){.sink = &f->sink.base, .listener = &f->listener});
    for (size_t i = 0; i < saved.n; i++) { /* any damaged byte is noticed */
        saved.p[i] ^= 0x10;
        assert_int_not_equal(toc_run_receiver_restore(f->r, toc_buf_sv(&saved)), 0);
        saved.p[i] ^= 0x10;
    }
    assert_int_equal(toc_run_receiver_restore(f->r, toc_buf_sv(&saved)), 0);
    recording_clear(&f->sink);
    assert_int_equal(put(f, line), 0);
    assert_int_equal(f->sink.points.count, 0);
    assert_int_equal(put(f, "{\"t\":1700000009,\"session\":\"s\",\"seq\":8,\"step\":2,\"loss\":NaN,"
                            "\"event\":\"checkpoint\"}"),
                     0);
    assert_recorded(&f->sink, "train_nonfinite_total{kind=\"loss\", run=\"r\"}", 2);
    assert_string_equal(f->layers, "a,");
    toc_buf_fini(&saved);
}

static void count_runs(void *ctx, const struct toc_run_info *info) {
    char *out = ctx;
    size_t n = strlen(out);
    snprintf(out + n, 500 - n, "%.*s:%s:%lld:%g;", TOC_SV_ARG(info->run),
             toc_run_state_text(info->state), (long long)info->step, info->loss);
}

static void runs_are_listed_latest_first(void **state) {
    struct fixture *f = *state;
    struct toc_run_body body = {.run = TOC_SV("file"), .is_file = true};
    body.bytes = TOC_SV("{\"t\":1700000000,\"step\":1,\"loss\":3}\n"
                        "{\"t\":1700000001,\"run\":\"named\",\"step\":2,\"state\":\"finished\"}\n");
    assert_int_equal(toc_run_receiver_put(f->r, &body, (struct toc_ts){NOW * 1000LL}, &f->err), 0);
    char text[500] = "";
    toc_run_receiver_list(f->r, count_runs, text);
    assert_string_equal(text, "named:finished:2:nan;file:running:1:3;");
}

static void the_quietest_run_makes_room(void **state) {
    struct fixture *f = *state;
    toc_run_receiver_free(&f->r);
    f->r = toc_run_receiver_new(
        &(struct toc_run_receiver_options){.sink = &f->sink.base, .max_runs = 2});
    for (int i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "r%d", i);
        struct toc_run_body body = {.run = toc_sv_cstr(name), .bytes = TOC_SV("{\"step\":1}")};
        assert_int_equal(
            toc_run_receiver_put(f->r, &body, (struct toc_ts){NOW * 1000LL + i}, &f->err), 0);
    }
    assert_int_equal(toc_run_receiver_counters(f->r).runs_evicted, 2);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_full_line_becomes_the_documented_series),
        T(counters_start_at_zero_before_the_first_line),
        T(every_spelling_of_non_finite_is_data),
        T(layers_with_non_finite_numbers_are_counted_once_each),
        T(a_loss_that_vanishes_is_counted_as_missing),
        T(a_malformed_line_refuses_the_whole_body),
        T(a_failing_store_leaves_no_trace),
        T(repeated_lines_count_once),
        T(restarts_are_seen),
        T(whether_a_run_tells_its_state_is_told_and_kept),
        T(csv_says_the_same_as_json),
        T(rows_say_the_same_with_and_without_quotes),
        T(a_name_wins_over_its_alias_in_any_order),
        T(ranks_other_than_zero_have_their_own_series),
        T(the_later_of_two_lines_in_a_millisecond_stays),
        T(a_later_body_in_the_same_millisecond_follows_it),
        T(many_bodies_of_one_millisecond_follow_each_other),
        T(limits_hold),
        T(each_rank_tells_its_phase_and_place),
        T(many_ranks_are_told_apart),
        T(save_and_restore_keep_once_only_and_counters),
        T(runs_are_listed_latest_first),
        T(the_quietest_run_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
