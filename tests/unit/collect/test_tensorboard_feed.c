#include <math.h>
#include <stdio.h>

#include "../cmocka_prelude.h"

#include "../../tfevents_writer.h"
#include "base/alloc.h"
#include "base/vec.h"
#include "collect/tensorboard_feed.h"

struct fixture {
    struct toc_report_taker taker;
    struct toc_alias_table *aliases;
    struct toc_tensorboard_feed *feed;
    struct toc_buf file;
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

static void forget(struct fixture *f) {
    for (size_t i = 0; i < f->reports.count; i++)
        toc_free(f->reports.items[i]);
    f->reports.count = 0;
}

static void make_feed(struct fixture *f, struct toc_tensorboard_feed_options o) {
    toc_tensorboard_feed_free(&f->feed);
    o.aliases = f->aliases;
    o.taker = &f->taker;
    f->feed = toc_tensorboard_feed_new(&o);
}

static int setup(void **state) {
    struct fixture *f = TOC_NEW(struct fixture);
    f->taker.on_run = on_run;
    assert_int_equal(toc_alias_table_builtin(&f->aliases, NULL), 0);
    make_feed(f, (struct toc_tensorboard_feed_options){0});
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    forget(f);
    TOC_VEC_FINI(&f->reports);
    toc_tensorboard_feed_free(&f->feed);
    toc_alias_table_free(&f->aliases);
    toc_buf_fini(&f->file);
    toc_free(f);
    return 0;
}

/* What was written as one stream, cut into pieces of `chunk` bytes. */
static void feed(struct fixture *f, size_t chunk) {
    struct toc_tensorboard_stream *s = toc_tensorboard_stream_open(f->feed);
    size_t done = 0;
    for (size_t end = chunk; done < f->file.n; end += chunk) {
        end = TOC_MIN(end, f->file.n);
        done += toc_tensorboard_stream_push(s, toc_sv_make(f->file.p + done, end - done));
        if (end == f->file.n)
            break;
    }
    toc_tensorboard_stream_close(&s);
    toc_buf_reset(&f->file);
}

static void begin_file(struct fixture *f, double wall) {
    struct toc_buf event = TOC_BUF_INIT;
    toc_pb_put_double(&event, 1, wall);
    toc_pb_put_bytes(&event, 3, TOC_SV("brain.Event:2"));
    tfw_record(&f->file, toc_buf_sv(&event));
    toc_buf_fini(&event);
}

static void tags_of_one_step_become_one_report(void **state) {
    struct fixture *f = *state;
    for (size_t chunk = 1; chunk < 200; chunk += 33) {
        begin_file(f, 1700000000);
        tfw_scalar(&f->file, 1700000001.25, 1, "train/loss", 2.5f);
        tfw_scalar(&f->file, 1700000001.26, 1, "grad norm", 0.5f);
        tfw_scalar(&f->file, 1700000001.27, 1, "my metric", 7);
        tfw_scalar(&f->file, 1700000002.25, 2, "train/loss", NAN);
        tfw_scalar(&f->file, 1700000002.26, 2, "elapsed time per iteration (ms)", 250);
        make_feed(f, (struct toc_tensorboard_feed_options){0});
        feed(f, chunk);
        assert_int_equal(f->reports.count, 2);
        assert_string_equal(f->reports.items[0],
                            "{\"t\":1700000001.25,\"step\":1,\"partial\":true,\"loss\":2.5,"
                            "\"grad_norm\":0.5,\"scalars\":{\"my metric\":7}}");
        assert_string_equal(f->reports.items[1],
                            "{\"t\":1700000002.25,\"step\":2,\"partial\":true,\"loss\":\"NaN\","
                            "\"step_seconds\":0.25}");
        forget(f);
    }
}

static void an_evaluation_counted_in_epochs_does_not_move_the_step(void **state) {
    struct fixture *f = *state;
    tfw_scalar(&f->file, 1700000001, 500, "loss", 2);
    tfw_scalar(&f->file, 1700000005, 1, "val_loss", 3);
    tfw_scalar(&f->file, 1700000006, 510, "loss", 1);
    tfw_scalar(&f->file, 1700000009, 2, "val_loss", 2);
    feed(f, 1 << 20);
    assert_int_equal(f->reports.count, 4);
    assert_string_equal(f->reports.items[1], "{\"t\":1700000005,\"partial\":true,\"val_loss\":3}");
    assert_int_equal(toc_tensorboard_feed_counters(f->feed).restarts, 0);
}

static void a_step_that_goes_back_is_a_restart(void **state) {
    struct fixture *f = *state;
    tfw_scalar(&f->file, 1700000001, 500, "loss", 2);
    tfw_scalar(&f->file, 1700000001.1, 500, "lr", 2);
    tfw_scalar(&f->file, 1700000002, 510, "loss", 2);
    tfw_scalar(&f->file, 1700000002.1, 510, "lr", 2);
    tfw_scalar(&f->file, 1700000009, 400, "loss", 3);
    tfw_scalar(&f->file, 1700000009.1, 400, "lr", 3);
    feed(f, 1 << 20);
    assert_int_equal(f->reports.count, 4);
    assert_string_equal(f->reports.items[2],
                        "{\"t\":1700000009,\"partial\":true,\"event\":\"restart\","
                        "\"message\":\"step went back from 510 to 400\"}");
    assert_non_null(strstr(f->reports.items[3], "\"step\":400,"));
    assert_int_equal(toc_tensorboard_feed_counters(f->feed).restarts, 1);
}

static void a_later_file_that_begins_at_a_former_step_is_a_restart(void **state) {
    struct fixture *f = *state;
    begin_file(f, 1700000000);
    tfw_scalar(&f->file, 1700000001, 100, "loss", 2);
    tfw_scalar(&f->file, 1700000002, 200, "loss", 2);
    feed(f, 1 << 20);
    begin_file(f, 1700000100);
    tfw_scalar(&f->file, 1700000101, 150, "loss", 2);
    feed(f, 1 << 20);
    assert_int_equal(toc_tensorboard_feed_counters(f->feed).restarts, 1);
    /* A process beside it, begun before the last value, is none. */
    begin_file(f, 1700000100);
    tfw_scalar(&f->file, 1700000103, 120, "loss", 2);
    feed(f, 1 << 20);
    assert_int_equal(toc_tensorboard_feed_counters(f->feed).restarts, 1);
}

static void steps_of_one_millisecond_do_not_hide_each_other(void **state) {
    struct fixture *f = *state;
    tfw_scalar(&f->file, 1700000001.0001, 1, "loss", 1);
    tfw_scalar(&f->file, 1700000001.0002, 2, "loss", NAN);
    tfw_scalar(&f->file, 1700000001.0003, 3, "loss", 3);
    feed(f, 1 << 20);
    assert_int_equal(f->reports.count, 3);
    assert_non_null(strstr(f->reports.items[0], "{\"t\":1700000001,"));
    assert_non_null(strstr(f->reports.items[1], "{\"t\":1700000001.001,"));
    assert_non_null(strstr(f->reports.items[2], "{\"t\":1700000001.002,"));
}

/* min, max, num, sum, sum of squares; buckets as PyTorch writes them. */
static void put_histogram(struct fixture *f, double wall, const char *tag, const double *numbers,
                          const double *limits, const double *counts, size_t n) {
    struct toc_buf rest = TOC_BUF_INIT, packed = TOC_BUF_INIT;
    size_t histo = toc_pb_begin(&rest, 5);
    for (uint32_t i = 0; i < 5; i++)
        toc_pb_put_double(&rest, i + 1, numbers[i]);
    for (size_t i = 0; i < n; i++)
        toc_buf_append_f64(&packed, limits[i]);
    toc_pb_put_bytes(&rest, 6, toc_buf_sv(&packed));
    toc_buf_reset(&packed);
    for (size_t i = 0; i < n; i++)
        toc_buf_append_f64(&packed, counts[i]);
    toc_pb_put_bytes(&rest, 7, toc_buf_sv(&packed));
    toc_pb_end(&rest, histo);
    tfw_value(&f->file, wall, 3, tag, toc_buf_sv(&rest));
    toc_buf_fini(&packed);
    toc_buf_fini(&rest);
}

static void histograms_become_statistics_of_their_layer(void **state) {
    struct fixture *f = *state;
    const double limits[] = {-1, 0, 1e-12, 1, 2}, counts[] = {0, 0, 50, 0, 50};
    const double moments[] = {0, 2, 100, 80, 130};
    put_histogram(f, 1700000001, "gradients/fc.weight", moments, limits, counts, 5);
    put_histogram(f, 1700000001.1, "parameters/fc.weight", moments, limits, counts, 5);
    feed(f, 1 << 20);
    assert_int_equal(f->reports.count, 1);
    const char *json = f->reports.items[0];
    assert_non_null(strstr(json, "\"layers\":{\"fc.weight\":{\"grad_mean\":0.8,"));
    assert_non_null(strstr(json, "\"grad_min\":0,\"grad_max\":2,\"grad_norm\":11.40175425099"));
    assert_non_null(strstr(json, "\"grad_q75\":1.5,"));
    assert_non_null(strstr(json, "\"zero_grad_ratio\":0.5,\"param_mean\":0.8"));
    assert_non_null(strstr(json, "\"nonfinite_ratio\":0}"));
}

static void values_that_are_not_finite_are_counted_in_their_share(void **state) {
    struct fixture *f = *state;
    const double limits[] = {0, 1}, counts[] = {0, 75};
    const double moments[] = {NAN, NAN, 100, NAN, NAN};
    put_histogram(f, 1700000001, "gradients/fc.weight", moments, limits, counts, 2);
    feed(f, 1 << 20);
    const char *json = f->reports.items[0];
    assert_non_null(strstr(json, "\"grad_mean\":\"NaN\""));
    assert_non_null(strstr(json, "\"nonfinite_ratio\":0.25"));
    assert_null(strstr(json, "zero_grad_ratio"));
}

static void limits_are_kept_and_what_is_beyond_is_counted(void **state) {
    struct fixture *f = *state;
    make_feed(f, (struct toc_tensorboard_feed_options){.max_tags = 5, .max_scalars = 2});
    for (int i = 0; i < 8; i++) {
        char tag[16];
        snprintf(tag, sizeof tag, "x%d", i);
        tfw_scalar(&f->file, 1700000001, 1, tag, 1);
    }
    tfw_scalar(&f->file, -5, 1, "x0", 1);
    feed(f, 1 << 20);
    assert_int_equal(f->reports.count, 1);
    assert_string_equal(f->reports.items[0], "{\"t\":1700000001,\"step\":1,\"partial\":true,"
                                             "\"scalars\":{\"x0\":1,\"x1\":1}}");
    assert_int_equal(toc_tensorboard_feed_counters(f->feed).tags_dropped, 6);
    assert_int_equal(toc_tensorboard_feed_counters(f->feed).bad_times, 1);
}

static void a_second_tag_of_one_meaning_is_a_scalar(void **state) {
    struct fixture *f = *state;
    tfw_scalar(&f->file, 1700000001, 1, "train_loss_step", 1);
    tfw_scalar(&f->file, 1700000001, 1, "train_loss_epoch", 2);
    feed(f, 1 << 20);
    assert_non_null(strstr(f->reports.items[0], "\"loss\":1,\"scalars\":{\"train_loss_epoch\":2}"));
}

static void many_layers_become_several_lines_of_one_step(void **state) {
    struct fixture *f = *state;
    const double limits[] = {0, 1}, counts[] = {0, 1}, moments[] = {0, 1, 1, 1, 1};
    make_feed(f, (struct toc_tensorboard_feed_options){.max_line_bytes = 2000});
    for (int i = 0; i < 40; i++) {
        char tag[32];
        snprintf(tag, sizeof tag, "weights/layer%d", i);
        put_histogram(f, 1700000001, tag, moments, limits, counts, 2);
    }
    feed(f, 1 << 20);
    assert_true(f->reports.count > 3);
    for (size_t i = 0; i < f->reports.count; i++) {
        assert_true(strlen(f->reports.items[i]) < 3000);
        assert_non_null(strstr(f->reports.items[i], "\"step\":3,"));
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(tags_of_one_step_become_one_report),
        TEST(an_evaluation_counted_in_epochs_does_not_move_the_step),
        TEST(a_step_that_goes_back_is_a_restart),
        TEST(a_later_file_that_begins_at_a_former_step_is_a_restart),
        TEST(steps_of_one_millisecond_do_not_hide_each_other),
        TEST(histograms_become_statistics_of_their_layer),
        TEST(values_that_are_not_finite_are_counted_in_their_share),
        TEST(limits_are_kept_and_what_is_beyond_is_counted),
        TEST(a_second_tag_of_one_meaning_is_a_scalar),
        TEST(many_layers_become_several_lines_of_one_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
