/* Messages 1.0 and 2.0, read back by this program's own receiver. */
#include "../metricdb/fixture.h"

#include "base/rng.h"
#include "codec/protobuf.h"
#include "forward/encode.h"
#include "metricdb/exemplar.h"
#include "metricdb/histogram_code.h"
#include "model/sample.h"
#include "remote/remote_write.h"

#define T0 (FIXTURE_START_MS - 60000)

struct setup {
    struct fixture f;
    struct toc_remote_write *rw;
    struct toc_forward_table table;
    struct toc_forward_queue queue;
    struct toc_forward_encoder encoder;
    struct toc_forward_metadata metadata;
    struct toc_forward_encoded counts;
    struct toc_remote_outcome out;
    struct toc_buf bytes;
};

static void begin(struct setup *s) {
    const struct toc_log_position front = {0};
    *s = (struct setup){.rw = NULL};
    fixture_init(&s->f, 1);
    s->rw = toc_remote_write_new(s->f.db, &s->f.clock.base);
    toc_forward_table_init(&s->table, NULL, TOC_LABELS_EMPTY);
    toc_forward_queue_init(&s->queue, 1, &front);
}

static void end(struct setup *s) {
    toc_forward_queue_fini(&s->queue);
    toc_forward_table_fini(&s->table);
    toc_forward_encoder_fini(&s->encoder);
    toc_forward_metadata_fini(&s->metadata);
    toc_buf_fini(&s->out.text);
    toc_buf_fini(&s->bytes);
    toc_remote_write_free(&s->rw);
    fixture_fini(&s->f);
}

static void define(struct setup *s, uint32_t id, const char *name, const char *instance) {
    struct toc_label items[] = {{TOC_METRIC_NAME, toc_sv_cstr(name)},
                                {TOC_SV("i"), toc_sv_cstr(instance)}};
    toc_forward_table_define(&s->table, id, (struct toc_labels){items, 2});
}

static void push(struct setup *s, uint32_t id, int64_t t_ms, double value) {
    struct toc_forward_item item = {
        .series = toc_forward_table_get(&s->table, id), .t_ms = t_ms, .value = value};
    toc_forward_queue_push(&s->queue, &item);
}

static void push_histogram(struct setup *s, uint32_t id, int64_t t_ms, double sum) {
    int32_t index[] = {1, 2, 9};
    double count[] = {1, 2, 3};
    struct toc_histogram h = {.schema = 1,
                              .zero_threshold = 0.001,
                              .zero_count = 1,
                              .count = 7,
                              .sum = sum,
                              .positive = {index, count, 3}};
    struct toc_buf code = TOC_BUF_INIT;
    toc_histogram_encode(&h, &code);
    struct toc_forward_item item = {.series = toc_forward_table_get(&s->table, id),
                                    .t_ms = t_ms,
                                    .kind = TOC_FORWARD_HISTOGRAM,
                                    .blob = toc_forward_blob_new(toc_buf_sv(&code), 0)};
    toc_forward_queue_push(&s->queue, &item);
    toc_buf_fini(&code);
}

static void send_some(struct setup *s, enum toc_forward_message m, size_t max_items,
                      int64_t oldest_ms) {
    struct toc_forward_encode_options o = {m, max_items, oldest_ms, &s->metadata};
    struct toc_err err = {0};
    toc_buf_reset(&s->bytes);
    toc_forward_encode(&s->encoder, &s->queue, 0, &o, &s->bytes, &s->counts);
    toc_buf_fini(&s->out.text);
    int rc = toc_remote_write_receive(s->rw,
                                      m == TOC_FORWARD_2 ? TOC_REMOTE_WRITE_2 : TOC_REMOTE_WRITE_1,
                                      false, toc_buf_sv(&s->bytes), &s->out, &err);
    if (rc || s->out.is_partial)
        fail_msg("%s %s", err.message, toc_buf_cstr(&s->out.text));
    toc_forward_queue_pop(&s->queue, 0, s->counts.items);
}

static void samples_come_through(struct setup *s, enum toc_forward_message m) {
    begin(s);
    define(s, 3, "up", "a");
    define(s, 900, "up", "b");
    for (int i = 0; i < 10; i++) {
        push(s, 3, T0 + 1000 * i, i);
        push(s, 900, T0 + 1000 * i, i == 9 ? toc_stale_nan() : -i * 0.1);
    }
    send_some(s, m, 1000, INT64_MIN);
    assert_int_equal(s->counts.items, 20);
    assert_int_equal(s->counts.floats, 20);
    assert_int_equal(s->counts.newest_ms, T0 + 9000);
    struct fixture_found x = fixture_select(&s->f, "up", 0, INT64_MAX);
    assert_int_equal(x.series, 2);
    assert_int_equal(x.samples, 20);
    end(s);
}

static void samples_come_through_1_0(void **state) {
    (void)state;
    struct setup s;
    samples_come_through(&s, TOC_FORWARD_1);
}

static void samples_come_through_2_0(void **state) {
    (void)state;
    struct setup s;
    samples_come_through(&s, TOC_FORWARD_2);
}

static void a_series_of_floats_and_histograms_comes_through(void **state) {
    (void)state;
    for (int m = TOC_FORWARD_1; m <= TOC_FORWARD_2; m++) {
        struct setup s;
        begin(&s);
        define(&s, 1, "h", "a");
        push(&s, 1, T0, 1);
        push_histogram(&s, 1, T0 + 1000, 4.5);
        push_histogram(&s, 1, T0 + 2000, toc_stale_nan());
        push(&s, 1, T0 + 3000, 2);
        send_some(&s, (enum toc_forward_message)m, 100, INT64_MIN);
        assert_int_equal(s.counts.floats, 2);
        assert_int_equal(s.counts.histograms, 2);
        assert_int_equal(s.out.histograms, 2);
        assert_int_equal(fixture_select(&s.f, "h", 0, INT64_MAX).samples, 4);
        end(&s);
    }
}

static void old_samples_are_left_out_and_counted(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    define(&s, 1, "up", "a");
    push(&s, 1, T0, 1);
    push(&s, 1, T0 + 1000, 2);
    push(&s, 1, T0 + 2000, 3);
    send_some(&s, TOC_FORWARD_1, 100, T0 + 1000);
    assert_int_equal(s.counts.items, 3);
    assert_int_equal(s.counts.too_old, 1);
    assert_int_equal(s.counts.floats, 2);
    assert_int_equal(fixture_select(&s.f, "up", 0, INT64_MAX).samples, 2);
    end(&s);
}

static void a_message_ends_at_its_limits(void **state) {
    (void)state;
    struct setup s;
    char text[20001];
    begin(&s);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(text, 8, "%06u", i);
        text[6] = 'x';
        define(&s, i, "m", text);
        push(&s, i, T0, i);
    }
    struct toc_forward_encode_options o = {TOC_FORWARD_1, 7, INT64_MIN, NULL};
    toc_forward_encode(&s.encoder, &s.queue, 0, &o, &s.bytes, &s.counts);
    assert_int_equal(s.counts.items, 7);
    o.max_items = 1000;
    toc_buf_reset(&s.bytes);
    toc_forward_encode(&s.encoder, &s.queue, 0, &o, &s.bytes, &s.counts);
    assert_in_range(s.counts.items, 300, 999);
    assert_true(s.bytes.n <= TOC_FORWARD_MESSAGE_BYTES + 30000);
    end(&s);
}

static int note_metadata(void *ctx, const struct toc_metric_metadata *m) {
    *(enum toc_metric_type *)ctx = m->type;
    assert_sv_equal(m->help, "Requests.");
    assert_sv_equal(m->unit, "seconds");
    return 0;
}

static void types_and_help_texts_come_through(void **state) {
    (void)state;
    for (int m = TOC_FORWARD_1; m <= TOC_FORWARD_2; m++) {
        struct setup s;
        struct fixture source;
        enum toc_metric_type type = TOC_METRIC_UNKNOWN;
        begin(&s);
        fixture_init(&source, 2);
        struct toc_sink *sink = toc_metricdb_sink(source.db);
        sink->metadata(sink, TOC_SV("requests_total"), TOC_METRIC_COUNTER, TOC_SV("Requests."),
                       TOC_SV("seconds"));
        toc_forward_metadata_refresh(&s.metadata, source.db);
        define(&s, 1, "requests_total", "a");
        push(&s, 1, T0, 1);
        send_some(&s, (enum toc_forward_message)m, 100, INT64_MIN);
        if (m == TOC_FORWARD_1) {
            toc_buf_reset(&s.bytes);
            toc_forward_encode_metadata(s.metadata.rows.items, s.metadata.rows.count, &s.bytes);
            toc_buf_fini(&s.out.text);
            assert_int_equal(toc_remote_write_receive(s.rw, TOC_REMOTE_WRITE_1, false,
                                                      toc_buf_sv(&s.bytes), &s.out, NULL),
                             0);
        }
        assert_int_equal(
            toc_metricdb_metadata(s.f.db, TOC_SV("requests_total"), note_metadata, &type), 0);
        assert_int_equal(type, TOC_METRIC_COUNTER);
        fixture_fini(&source);
        end(&s);
    }
}

static void a_metric_is_known_by_its_family(void **state) {
    (void)state;
    struct fixture f;
    struct toc_forward_metadata m = {0};
    fixture_init(&f, 3);
    struct toc_sink *sink = toc_metricdb_sink(f.db);
    sink->metadata(sink, TOC_SV("lat"), TOC_METRIC_HISTOGRAM, TOC_SV("h"), TOC_SV(""));
    toc_forward_metadata_refresh(&m, f.db);
    assert_non_null(toc_forward_metadata_find(&m, TOC_SV("lat_bucket")));
    assert_non_null(toc_forward_metadata_find(&m, TOC_SV("lat_count")));
    assert_null(toc_forward_metadata_find(&m, TOC_SV("late")));
    toc_forward_metadata_fini(&m);
    fixture_fini(&f);
}

static void exemplars_come_through(void **state) {
    (void)state;
    struct setup s;
    struct toc_buf labels = TOC_BUF_INIT;
    begin(&s);
    define(&s, 1, "up", "a");
    push(&s, 1, T0, 1);
    size_t mark = toc_pb_begin(&labels, 1);
    toc_pb_put_bytes(&labels, 1, TOC_SV("trace_id"));
    toc_pb_put_bytes(&labels, 2, TOC_SV("abc"));
    toc_pb_end(&labels, mark);
    struct toc_forward_item item = {.series = toc_forward_table_get(&s.table, 1),
                                    .t_ms = T0,
                                    .kind = TOC_FORWARD_EXEMPLAR,
                                    .blob = toc_forward_blob_new(toc_buf_sv(&labels), 2.5)};
    toc_forward_queue_push(&s.queue, &item);
    send_some(&s, TOC_FORWARD_1, 100, INT64_MIN);
    assert_int_equal(s.counts.exemplars, 1);
    assert_int_equal(s.out.exemplars, 1);
    assert_int_equal(toc_metricdb_exemplar_count(s.f.db), 1);
    toc_buf_fini(&labels);
    end(&s);
}

/* Random series, samples and cuts: the receiver ends with exactly what went in. */
static void anything_comes_through(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct setup s;
        struct toc_rng rng;
        size_t total = 0;
        double sum = 0;
        toc_rng_seed(&rng, seed);
        begin(&s);
        for (uint32_t id = 0; id < 30; id++) {
            char name[32];
            snprintf(name, sizeof name, "i%u", id);
            define(&s, id, "m", name);
        }
        int64_t next[30] = {0};
        for (int i = 0; i < 500; i++) {
            uint32_t id = (uint32_t)toc_rng_below(&rng, 30);
            double value = (double)toc_rng_below(&rng, 1000);
            push(&s, id, T0 + next[id]++, value);
            total++;
            sum += value;
        }
        while (s.queue.count)
            send_some(&s, seed % 2 ? TOC_FORWARD_1 : TOC_FORWARD_2,
                      1 + (size_t)toc_rng_below(&rng, 60), INT64_MIN);
        struct fixture_found x = fixture_select(&s.f, "m", 0, INT64_MAX);
        if (x.samples != total || x.sum != sum)
            fail_msg("seed %llu: %zu of %zu samples", (unsigned long long)seed, x.samples, total);
        end(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_come_through_1_0),
        cmocka_unit_test(samples_come_through_2_0),
        cmocka_unit_test(a_series_of_floats_and_histograms_comes_through),
        cmocka_unit_test(old_samples_are_left_out_and_counted),
        cmocka_unit_test(a_message_ends_at_its_limits),
        cmocka_unit_test(types_and_help_texts_come_through),
        cmocka_unit_test(a_metric_is_known_by_its_family),
        cmocka_unit_test(exemplars_come_through),
        cmocka_unit_test(anything_comes_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
