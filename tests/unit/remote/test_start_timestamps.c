/* Start timestamps of remote write 2.0 and of OTLP, as they come in. */
#include "otlp_fixture.h"

#include "codec/protobuf.h"
#include "remote/remote_write.h"

static void open_wanting(struct fixture *f) {
    toc_metricdb_close(&f->db);
    f->options.wants_starts = true;
    fixture_open(f);
}

/* --- remote write 2.0 --- */

#define T0 (FIXTURE_START_MS - 60000)
enum { COUNTER = 1, GAUGE = 2, SUMMARY = 5 };

struct sender {
    struct setup s; /* without OTLP */
    struct toc_remote_write *rw;
    struct toc_buf body;
};

static void begin_sender(struct sender *x, bool wants_starts) {
    *x = (struct sender){0};
    fixture_init(&x->s.f, 1);
    if (wants_starts)
        open_wanting(&x->s.f);
    x->rw = toc_remote_write_new(x->s.f.db, &x->s.f.clock.base);
}

static void end_sender(struct sender *x) {
    toc_remote_write_free(&x->rw);
    toc_buf_fini(&x->body);
    fixture_fini(&x->s.f);
}

static void put_symbols(struct sender *x) {
    static const char *const symbols[] = {"", "__name__", "m", "quantile", "0.5"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(symbols); i++)
        toc_pb_put_bytes(&x->body, 4, toc_sv_cstr(symbols[i]));
}

struct sent {
    int64_t t_ms, start_ms;
    double value;
};

/* A series of the type; created_ms: as in drafts of 2.0, 0: none. */
static void put_series(struct sender *x, struct toc_sv refs, unsigned type, int64_t created_ms,
                       const struct sent *samples, size_t count) {
    size_t mark = toc_pb_begin(&x->body, 5);
    toc_pb_put_bytes(&x->body, 1, refs);
    for (size_t i = 0; i < count; i++) {
        size_t sample = toc_pb_begin(&x->body, 2);
        toc_pb_put_double(&x->body, 1, samples[i].value);
        toc_pb_put_u64(&x->body, 2, (uint64_t)samples[i].t_ms);
        if (samples[i].start_ms)
            toc_pb_put_u64(&x->body, 3, (uint64_t)samples[i].start_ms);
        toc_pb_end(&x->body, sample);
    }
    size_t metadata = toc_pb_begin(&x->body, 5);
    toc_pb_put_u64(&x->body, 1, type);
    toc_pb_end(&x->body, metadata);
    if (created_ms)
        toc_pb_put_u64(&x->body, 6, (uint64_t)created_ms);
    toc_pb_end(&x->body, mark);
}

static struct toc_remote_outcome receive(struct sender *x) {
    struct toc_remote_outcome out;
    struct toc_err err = {0};
    int rc = toc_remote_write_receive(x->rw, TOC_REMOTE_WRITE_2, false, toc_buf_sv(&x->body), &out,
                                      &err);
    toc_buf_reset(&x->body);
    toc_buf_fini(&out.text);
    if (rc)
        fail_msg("%s", err.message);
    return out;
}

static const struct sent g_lives[] = {
    {T0, T0 - 5000, 3}, {T0 + 1000, T0 - 5000, 4}, {T0 + 3000, T0 + 2000, 1}};

static void each_sample_of_remote_write_tells_its_start(void **state) {
    (void)state;
    struct sender x;
    begin_sender(&x, true);
    for (int i = 0; i < 2; i++) { /* sent again, nothing more comes of it */
        put_symbols(&x);
        put_series(&x, TOC_SV("\1\2"), COUNTER, 0, g_lives, 3);
        struct toc_remote_outcome out = receive(&x);
        assert_int_equal(out.samples, 3); /* what was sent: no zeros */
        assert_false(out.is_partial);
        expect(&x.s, "m 0@1760000335000\nm 3@1760000340000\nm 4@1760000341000\n"
                     "m 0@1760000342000\nm 1@1760000343000\n");
    }
    end_sender(&x);
}

static void drafts_told_one_for_the_series(void **state) {
    (void)state;
    struct sender x;
    const struct sent plain[] = {{T0, 0, 3}, {T0 + 1000, 0, 4}};
    begin_sender(&x, true);
    put_symbols(&x);
    put_series(&x, TOC_SV("\1\2"), COUNTER, T0 - 5000, plain, 2);
    assert_int_equal(receive(&x).samples, 2);
    expect(&x.s, "m 0@1760000335000\nm 3@1760000340000\nm 4@1760000341000\n");
    end_sender(&x);
}

static void nothing_comes_of_them_unless_it_is_asked_for(void **state) {
    (void)state;
    struct sender x;
    begin_sender(&x, false);
    put_symbols(&x);
    put_series(&x, TOC_SV("\1\2"), COUNTER, T0 - 7000, g_lives, 3);
    assert_int_equal(receive(&x).samples, 3);
    expect(&x.s, "m 3@1760000340000\nm 4@1760000341000\nm 1@1760000343000\n");
    end_sender(&x);
}

static void gauges_and_quantiles_have_none(void **state) {
    (void)state;
    struct sender x;
    begin_sender(&x, true);
    put_symbols(&x);
    put_series(&x, TOC_SV("\1\2"), GAUGE, 0, g_lives, 1);
    put_series(&x, TOC_SV("\1\2\3\4"), SUMMARY, 0, g_lives, 1);
    assert_int_equal(receive(&x).samples, 2);
    expect(&x.s, "m 3@1760000340000\nm{quantile=\"0.5\"} 3@1760000340000\n");
    end_sender(&x);
}

static void histograms_of_remote_write_begin_empty(void **state) {
    (void)state;
    struct sender x;
    begin_sender(&x, true);
    put_symbols(&x);
    size_t mark = toc_pb_begin(&x.body, 5);
    toc_pb_put_bytes(&x.body, 1, TOC_SV("\1\2"));
    size_t h = toc_pb_begin(&x.body, 3);
    toc_pb_put_u64(&x.body, 1, 4);
    toc_pb_put_double(&x.body, 3, 8);
    toc_pb_put_sint(&x.body, 4, 2);
    toc_pb_put_double(&x.body, 5, 0.5);
    toc_pb_put_u64(&x.body, 6, 4);
    toc_pb_put_u64(&x.body, 15, (uint64_t)T0);
    toc_pb_put_u64(&x.body, 17, (uint64_t)(T0 - 5000));
    toc_pb_end(&x.body, h);
    toc_pb_end(&x.body, mark);
    assert_int_equal(receive(&x).histograms, 1);
    expect(&x.s, "m {s2 count:0 sum:0 zero:0.5:0}@1760000335000\n"
                 "m {s2 count:4 sum:8 zero:0.5:4}@1760000340000\n");
    end_sender(&x);
}

/* --- OTLP --- */

static void begin_otlp(struct setup *s, bool wants_starts) {
    *s = (struct setup){0};
    fixture_init(&s->f, 1);
    if (wants_starts)
        open_wanting(&s->f);
    s->otlp = toc_otlp_new(&s->options, s->f.db, &s->f.clock.base);
}

#define POINT(start, at, rest) \
    "{'startTimeUnixNano':" NS(start) ",'timeUnixNano':" NS(at) "," rest "}"
#define SUM(temporality, monotonic, points)                                                \
    "{'name':'n','sum':{'aggregationTemporality':" temporality ",'isMonotonic':" monotonic \
    ",'dataPoints':[" points "]}}"
#define AT20 "@1760000420000\n"
#define AT10 "@1760000410000\n"

static void sums_that_only_rise_begin_with_zero(void **state) {
    (void)state;
    struct setup s;
    begin_otlp(&s, true);
    assert_int_equal(
        send_metrics(&s, "",
                     SUM("2", "true", POINT(10, 30, "'asInt':5") "," POINT(10, 40, "'asInt':8"))),
        0);
    assert_int_equal(s.out.samples, 2);
    expect(&s, "n_total 0" AT10 "n_total 5" AT30 "n_total 8" AT40);
    end(&s);
    begin_otlp(&s, true); /* one that may fall is a gauge */
    assert_int_equal(send_metrics(&s, "", SUM("2", "false", POINT(10, 30, "'asInt':5"))), 0);
    assert_int_equal(
        send_metrics(&s, "",
                     "{'name':'g','gauge':{'dataPoints':[" POINT(10, 30, "'asInt':1") "]}}"),
        0);
    expect(&s, "g 1" AT30 "n 5" AT30);
    end(&s);
    begin_otlp(&s, false);
    assert_int_equal(send_metrics(&s, "", SUM("2", "true", POINT(10, 30, "'asInt':5"))), 0);
    expect(&s, "n_total 5" AT30);
    end(&s);
}

/* The sum of deltas begins with the first of them: a gap between two is no new beginning. */
static void deltas_begin_once(void **state) {
    (void)state;
    struct setup s;
    begin_otlp(&s, true);
    assert_int_equal(send_metrics(&s, "", SUM("1", "true", POINT(10, 30, "'asInt':5"))), 0);
    assert_int_equal(send_metrics(&s, "", SUM("1", "true", POINT(40, 50, "'asInt':2"))), 0);
    expect(&s, "n_total 0" AT10 "n_total 5" AT30 "n_total 7" AT50);
    end(&s);
}

/* Each point begins where the last one ended: there is no place for a zero, and no sample is lost.
 */
static void points_side_by_side_keep_their_samples(void **state) {
    (void)state;
    struct setup s;
    begin_otlp(&s, true);
    assert_int_equal(send_metrics(&s, "",
                                  "{'name':'h','histogram':{'aggregationTemporality':2,"
                                  "'dataPoints':[" POINT(20, 30, "'count':1,'sum':2") "," POINT(
                                      30, 40, "'count':3,'sum':4") "]}}"),
                     0);
    assert_int_equal(s.out.rejected_points, 0);
    expect(&s, "h_bucket{le=\"+Inf\"} 0" AT20 "h_bucket{le=\"+Inf\"} 1" AT30
               "h_bucket{le=\"+Inf\"} 3" AT40 "h_count 0" AT20 "h_count 1" AT30 "h_count 3" AT40
               "h_sum 0" AT20 "h_sum 2" AT30 "h_sum 4" AT40);
    end(&s);
}

/* A point without a start counts as the last sample of what follows. */
static void points_without_a_start_keep_their_samples(void **state) {
    (void)state;
    struct setup s;
    begin_otlp(&s, true);
    assert_int_equal(
        send_metrics(&s, "",
                     SUM("2", "true",
                         "{'timeUnixNano':" NS(30) ",'asInt':5}"
                                                   "," POINT(30, 40, "'asInt':8") "," POINT(
                                                       40, 50, "'asInt':9"))),
        0);
    assert_int_equal(s.out.rejected_points, 0);
    expect(&s, "n_total 5" AT30 "n_total 8" AT40 "n_total 9" AT50);
    end(&s);
}

static void distributions_begin_with_zero(void **state) {
    (void)state;
    struct setup s;
    begin_otlp(&s, true);
    assert_int_equal(
        send_metrics(
            &s, "",
            "{'name':'e','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':[" POINT(
                20, 30,
                "'count':2,'sum':3,'zeroCount':2,'scale':1") "]}},"
                                                             "{'name':'s','summary':{'dataPoints':"
                                                             "[" POINT(
                                                                 20, 30,
                                                                 "'count':2,'sum':3,'"
                                                                 "quantileValues':[{'quantile':0.5,"
                                                                 "'value':1}]") "]}}"),
        0);
    expect(&s, "e {s1 count:0 sum:0 zero:1e-128:0}" AT20 "e {s1 count:2 sum:3 zero:1e-128:2}" AT30
               "s{quantile=\"0.5\"} 1" AT30 "s_count 0" AT20 "s_count 2" AT30 "s_sum 0" AT20
               "s_sum 3" AT30);
    end(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sample_of_remote_write_tells_its_start),
        cmocka_unit_test(drafts_told_one_for_the_series),
        cmocka_unit_test(nothing_comes_of_them_unless_it_is_asked_for),
        cmocka_unit_test(gauges_and_quantiles_have_none),
        cmocka_unit_test(histograms_of_remote_write_begin_empty),
        cmocka_unit_test(sums_that_only_rise_begin_with_zero),
        cmocka_unit_test(deltas_begin_once),
        cmocka_unit_test(points_side_by_side_keep_their_samples),
        cmocka_unit_test(points_without_a_start_keep_their_samples),
        cmocka_unit_test(distributions_begin_with_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
