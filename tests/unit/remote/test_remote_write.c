#include "../metricdb/fixture.h"
#include "codec/protobuf.h"
#include "metricdb/exemplar.h"
#include "model/sample.h"
#include "model/series_buffer.h"
#include "remote/histogram_proto.h"
#include "remote/remote_write.h"

#define T0 (FIXTURE_START_MS - 60000)

struct setup {
    struct fixture f;
    struct toc_remote_write *rw;
    struct toc_buf body;
    struct toc_remote_outcome out;
    struct toc_err err;
};

static void begin(struct setup *s) {
    *s = (struct setup){.rw = NULL};
    fixture_init(&s->f, 1);
    s->rw = toc_remote_write_new(s->f.db, &s->f.clock.base);
}

static void end(struct setup *s) {
    toc_remote_write_free(&s->rw);
    toc_buf_fini(&s->body);
    toc_buf_fini(&s->out.text);
    fixture_fini(&s->f);
}

static int receive(struct setup *s, enum toc_remote_message message) {
    toc_buf_fini(&s->out.text);
    s->err = (struct toc_err){0};
    int rc =
        toc_remote_write_receive(s->rw, message, false, toc_buf_sv(&s->body), &s->out, &s->err);
    toc_buf_reset(&s->body);
    return rc;
}

static void put_label(struct toc_buf *b, const char *name, const char *value) {
    size_t mark = toc_pb_begin(b, 1);
    toc_pb_put_bytes(b, 1, toc_sv_cstr(name));
    toc_pb_put_bytes(b, 2, toc_sv_cstr(value));
    toc_pb_end(b, mark);
}

static void put_sample(struct toc_buf *b, int64_t t_ms, double value) {
    size_t mark = toc_pb_begin(b, 2);
    toc_pb_put_double(b, 1, value);
    toc_pb_put_u64(b, 2, (uint64_t)t_ms);
    toc_pb_end(b, mark);
}

/* A series of 1.0: name=value pairs in `labels` ("__name__=up,job=a"), one sample. */
static void put_series(struct setup *s, const char *labels, int64_t t_ms, double value) {
    size_t mark = toc_pb_begin(&s->body, 1);
    struct toc_sv rest = toc_sv_cstr(labels), part;
    while (toc_sv_split(&rest, ',', &part)) {
        size_t at = toc_sv_find_char(part, '=');
        size_t label = toc_pb_begin(&s->body, 1);
        toc_pb_put_bytes(&s->body, 1, toc_sv_sub(part, 0, at));
        toc_pb_put_bytes(&s->body, 2, toc_sv_sub(part, at + 1, part.n));
        toc_pb_end(&s->body, label);
    }
    put_sample(&s->body, t_ms, value);
    toc_pb_end(&s->body, mark);
}

static void samples_are_stored_again_and_again(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    for (int i = 0; i < 5; i++) {
        put_series(&s, "__name__=up,job=a", T0 + i, i);
        put_series(&s, "job=b,__name__=up", T0 + i, i); /* not sorted */
        assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
        assert_false(s.out.is_partial);
        assert_int_equal(s.out.samples, 2);
    }
    struct fixture_found x = fixture_select(&s.f, "up", 0, INT64_MAX);
    assert_int_equal(x.series, 2);
    assert_int_equal(x.samples, 10);
    fixture_reopen(&s.f); /* acknowledged means durable */
    assert_int_equal(fixture_select(&s.f, "up", 0, INT64_MAX).samples, 10);
    end(&s);
}

static void invalid_labels_are_passed_over_in_1_0(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    put_series(&s, "job=a", T0, 1);
    put_series(&s, "__name__=up,job=a,job=b", T0, 1);
    put_series(&s, "__name__=up,=b", T0, 1);
    put_series(&s, "__name__=up,job=\xff", T0, 1);
    put_series(&s, "__name__=up,job=", T0, 1); /* empty is absent */
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
    assert_false(s.out.is_partial);
    assert_int_equal(s.out.samples, 1);
    assert_int_equal(s.out.rejected[TOC_REJECT_INVALID_LABELS], 4);
    end(&s);
}

static void refused_samples_are_told_and_the_rest_is_kept(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    put_series(&s, "__name__=up", T0, 1);
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
    put_series(&s, "__name__=up", T0, 2);                        /* another value */
    put_series(&s, "__name__=up", FIXTURE_START_MS + 600001, 2); /* in the future */
    put_series(&s, "__name__=up", FIXTURE_START_MS + 600000, 3); /* just not */
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
    assert_true(s.out.is_partial);
    assert_int_equal(s.out.samples, 1);
    assert_int_equal(s.out.rejected[TOC_REJECT_DUPLICATE], 1);
    assert_int_equal(s.out.rejected[TOC_REJECT_TOO_FAR_IN_FUTURE], 1);
    assert_string_equal(toc_buf_cstr(&s.out.text),
                        "out of bounds: sample too far in the future for series up\n"
                        "duplicate sample for timestamp for series up");
    end(&s);
}

static void the_same_sample_again_is_fine(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    for (int i = 0; i < 2; i++) {
        put_series(&s, "__name__=up", T0, 1);
        assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
        assert_false(s.out.is_partial);
    }
    assert_int_equal(fixture_select(&s.f, "up", 0, INT64_MAX).samples, 1);
    end(&s);
}

static int keep_bits(void *ctx, const struct toc_series_view *v) {
    uint64_t *bits = ctx;
    for (size_t i = 0; i < v->count; i++)
        bits[i] = toc_f64_bits(v->values[i]);
    return 0;
}

static void stale_markers_stay_and_other_nans_become_one(void **state) {
    (void)state;
    struct setup s;
    uint64_t bits[2] = {0};
    struct toc_matcher m;
    begin(&s);
    put_series(&s, "__name__=up", T0, toc_stale_nan());
    put_series(&s, "__name__=up", T0 + 1, toc_f64_from_bits(0xfff8000000000123ULL));
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_EQ, TOC_METRIC_NAME, TOC_SV("up"), NULL), 0);
    struct toc_select q = {.matchers = &m, .matcher_count = 1, .min_ms = 0, .max_ms = INT64_MAX};
    struct toc_querier *querier = toc_metricdb_querier(s.f.db);
    assert_int_equal(querier->select(querier, &q, keep_bits, bits, NULL), 0);
    assert_true(bits[0] == TOC_STALE_NAN_BITS);
    assert_true(bits[1] == TOC_NORMAL_NAN_BITS);
    toc_matcher_fini(&m);
    end(&s);
}

static void labels_behind_the_samples_count_too(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    size_t mark = toc_pb_begin(&s.body, 1);
    put_label(&s.body, "__name__", "up");
    put_sample(&s.body, T0, 1);
    put_label(&s.body, "job", "late");
    toc_pb_end(&s.body, mark);
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
    put_series(&s, "__name__=up,job=late", T0 + 1, 1);
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
    struct fixture_found x = fixture_select(&s.f, "up", 0, INT64_MAX);
    assert_int_equal(x.series, 1);
    assert_int_equal(x.samples, 2);
    end(&s);
}

static void a_broken_message_stores_nothing(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    put_series(&s, "__name__=up", T0, 1);
    put_series(&s, "__name__=down", T0, 1);
    s.body.n -= 3;
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), TOC_ETRUNCATED);
    assert_int_equal(fixture_select(&s.f, "up", 0, INT64_MAX).samples, 0);
    size_t mark = toc_pb_begin(&s.body, 1);
    toc_pb_put_bytes(&s.body, 1, TOC_SV("\x0a\x7f")); /* a label whose name is cut off */
    put_sample(&s.body, T0, 1);
    toc_pb_end(&s.body, mark);
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), TOC_ETRUNCATED);
    end(&s);
}

/* The store forgets an idle series; the reference in the cache then leads nowhere. */
static void a_forgotten_series_is_found_anew(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    put_series(&s, "__name__=up,job=a", T0, 1);
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
    for (int i = 0; i < 24; i++) {
        fixture_advance(&s.f, 15 * 60 * 1000);
        assert_int_equal(fixture_write(&s.f, "tick", "a", s.f.clock.wall.ms, i, NULL), 0);
    }
    assert_int_equal(fixture_stats(&s.f).series, 1);
    int64_t now = s.f.clock.wall.ms;
    put_series(&s, "__name__=up,job=a", now, 2);
    put_series(&s, "__name__=up,job=b", now, 3);
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
    assert_int_equal(s.out.samples, 2);
    assert_int_equal(fixture_select(&s.f, "up", 0, INT64_MAX).samples, 3);
    end(&s);
}

static int copy_metadata(void *ctx, const struct toc_metric_metadata *m) {
    toc_buf_printf(ctx, "%.*s %s %.*s %.*s;", TOC_SV_ARG(m->metric), toc_metric_type_text(m->type),
                   TOC_SV_ARG(m->help), TOC_SV_ARG(m->unit));
    return 0;
}

static void metadata_of_1_0_is_kept(void **state) {
    (void)state;
    struct setup s;
    struct toc_buf text = TOC_BUF_INIT;
    begin(&s);
    size_t mark = toc_pb_begin(&s.body, 3);
    toc_pb_put_u64(&s.body, 1, 4);
    toc_pb_put_bytes(&s.body, 2, TOC_SV("x"));
    toc_pb_put_bytes(&s.body, 4, TOC_SV("Help."));
    toc_pb_put_bytes(&s.body, 5, TOC_SV("s"));
    toc_pb_end(&s.body, mark);
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
    toc_metricdb_metadata(s.f.db, TOC_SV(""), copy_metadata, &text);
    assert_string_equal(toc_buf_cstr(&text), "x gaugehistogram Help. s;");
    toc_buf_fini(&text);
    end(&s);
}

static int count_exemplars(void *ctx, struct toc_labels series, const struct toc_exemplar *e,
                           size_t count) {
    (void)series;
    *(size_t *)ctx += count;
    assert_true(toc_sv_eq_cstr(toc_labels_get(e[0].labels, TOC_SV("trace_id")), "abc"));
    assert_true(e[0].value == 0.25);
    return 0;
}

static void exemplars_are_kept(void **state) {
    (void)state;
    struct setup s;
    size_t n = 0;
    struct toc_matcher m;
    begin(&s);
    size_t mark = toc_pb_begin(&s.body, 1);
    put_label(&s.body, "__name__", "up");
    put_sample(&s.body, T0, 1);
    size_t exemplar = toc_pb_begin(&s.body, 3);
    put_label(&s.body, "trace_id", "abc");
    toc_pb_put_double(&s.body, 2, 0.25);
    toc_pb_put_u64(&s.body, 3, (uint64_t)T0);
    toc_pb_end(&s.body, exemplar);
    toc_pb_end(&s.body, mark);
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
    assert_int_equal(s.out.exemplars, 1);
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_EQ, TOC_METRIC_NAME, TOC_SV("up"), NULL), 0);
    struct toc_select q = {.matchers = &m, .matcher_count = 1, .min_ms = 0, .max_ms = INT64_MAX};
    assert_int_equal(toc_metricdb_exemplar_select(s.f.db, &q, count_exemplars, &n, NULL), 0);
    assert_int_equal(n, 1);
    toc_matcher_fini(&m);
    end(&s);
}

/* --- 2.0 --- */

static void put_symbols(struct setup *s, const char *const *symbols, size_t count) {
    for (size_t i = 0; i < count; i++)
        toc_pb_put_bytes(&s->body, 4, toc_sv_cstr(symbols[i]));
}

static void put_series_2(struct setup *s, const char *refs, size_t ref_count, size_t samples) {
    size_t mark = toc_pb_begin(&s->body, 5);
    toc_pb_put_bytes(&s->body, 1, toc_sv_make(refs, ref_count));
    for (size_t i = 0; i < samples; i++)
        put_sample(&s->body, T0 + (int64_t)i, (double)i);
    size_t metadata = toc_pb_begin(&s->body, 5);
    toc_pb_put_u64(&s->body, 1, 1);
    toc_pb_put_u64(&s->body, 3, 5);
    toc_pb_end(&s->body, metadata);
    toc_pb_end(&s->body, mark);
}

static void version_2_writes_what_is_good(void **state) {
    (void)state;
    static const char *const symbols[] = {"", "__name__", "up", "job", "a", "Help."};
    struct setup s;
    struct toc_buf text = TOC_BUF_INIT;
    begin(&s);
    put_symbols(&s, symbols, TOC_ARRAY_LEN(symbols));
    put_series_2(&s, "\1\2\3\4", 4, 2);
    put_series_2(&s, "\1\2\3", 3, 1);     /* odd */
    put_series_2(&s, "\1\2\3\x63", 4, 1); /* out of range */
    put_series_2(&s, "\3\4", 2, 1);       /* no name */
    put_series_2(&s, "\1\2", 2, 0);       /* nothing in it */
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_2), 0);
    assert_true(s.out.is_partial);
    assert_int_equal(s.out.samples, 2);
    assert_int_equal(s.out.rejected[TOC_REJECT_INVALID_LABELS], 3);
    assert_non_null(strstr(toc_buf_cstr(&s.out.text),
                           "TimeSeries must contain at least one sample or histogram"));
    toc_metricdb_metadata(s.f.db, TOC_SV(""), copy_metadata, &text);
    assert_string_equal(toc_buf_cstr(&text), "up counter Help. ;");
    toc_buf_fini(&text);
    end(&s);
}

/* The same numbers mean another series in the next message. */
static void symbols_live_for_one_message(void **state) {
    (void)state;
    static const char *const first[] = {"", "__name__", "up", "job", "a", ""};
    static const char *const second[] = {"", "job", "b", "__name__", "up", ""};
    struct setup s;
    begin(&s);
    put_symbols(&s, first, 6);
    put_series_2(&s, "\1\2\3\4", 4, 1);
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_2), 0);
    put_symbols(&s, second, 6);
    put_series_2(&s, "\3\4\1\2", 4, 1);
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_2), 0);
    assert_int_equal(fixture_select(&s.f, "up", 0, INT64_MAX).series, 2);
    put_symbols(&s, first + 1, 2); /* the first symbol must be empty */
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_2), TOC_EPARSE);
    end(&s);
}

/* --- histograms --- */

static void histogram_round_trip(const struct toc_histogram *h) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_buf bytes = TOC_BUF_INIT, again = TOC_BUF_INIT;
    struct toc_histogram *back = NULL;
    int64_t t_ms = 0, start_ms = -1;
    toc_remote_histogram_encode(h, T0, &bytes);
    assert_int_equal(
        toc_remote_histogram_decode(toc_buf_sv(&bytes), &arena, &back, &t_ms, &start_ms), 0);
    assert_int_equal(t_ms, T0);
    assert_int_equal(start_ms, 0);
    assert_int_equal(back->schema, h->schema);
    assert_int_equal(back->positive.size, h->positive.size);
    for (size_t i = 0; i < h->positive.size; i++) {
        assert_int_equal(back->positive.index[i], h->positive.index[i]);
        assert_true(back->positive.count[i] == h->positive.count[i]);
    }
    assert_int_equal(back->custom_bound_count, h->custom_bound_count);
    toc_remote_histogram_encode(back, T0, &again);
    assert_true(toc_sv_eq(toc_buf_sv(&bytes), toc_buf_sv(&again)));
    toc_buf_fini(&bytes);
    toc_buf_fini(&again);
    toc_arena_fini(&arena);
}

static const int32_t g_index[] = {-3, -2, 5, 6, 9};
static const double g_whole[] = {1, 4, 2, 2, 7};
static const double g_parts[] = {0.5, 4, 2.25, 2, 7};
static const double g_bounds[] = {-1, 0, 2.5, 4, 5, 6, 7, 8, 9};

static void histograms_come_back(void **state) {
    (void)state;
    struct toc_histogram h = {.schema = 3,
                              .count = 18,
                              .sum = 12.5,
                              .zero_count = 2,
                              .zero_threshold = 0.001,
                              .positive = {g_index, g_whole, 5}};
    histogram_round_trip(&h);
    h.positive.count = g_parts;
    h.negative = (struct toc_buckets){g_index, g_whole, 2};
    histogram_round_trip(&h);
    struct toc_histogram custom = {.schema = TOC_HISTOGRAM_SCHEMA_CUSTOM,
                                   .count = 11,
                                   .sum = 3,
                                   .positive = {g_index + 2, g_whole + 2, 3},
                                   .custom_bounds = g_bounds,
                                   .custom_bound_count = 9};
    histogram_round_trip(&custom);
}

static void put_histogram_series(struct setup *s, const struct toc_histogram *h) {
    size_t mark = toc_pb_begin(&s->body, 1);
    put_label(&s->body, "__name__", "h");
    size_t histogram = toc_pb_begin(&s->body, 4);
    toc_remote_histogram_encode(h, T0, &s->body);
    toc_pb_end(&s->body, histogram);
    toc_pb_end(&s->body, mark);
}

static void contradicting_histograms_are_refused(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    struct toc_histogram h = {
        .schema = 3, .count = 17, .sum = 12.5, .positive = {g_index, g_whole, 5}};
    put_histogram_series(&s, &h); /* the buckets add up to 16 */
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
    assert_int_equal(s.out.rejected[TOC_REJECT_INVALID_HISTOGRAM], 1);
    h.count = 16;
    h.schema = 99;
    put_histogram_series(&s, &h);
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
    assert_int_equal(s.out.rejected[TOC_REJECT_INVALID_HISTOGRAM], 1);
    h.schema = 3;
    put_histogram_series(&s, &h);
    assert_int_equal(receive(&s, TOC_REMOTE_WRITE_1), 0);
    assert_int_equal(s.out.histograms, 1);
    assert_false(s.out.is_partial);
    end(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_stored_again_and_again),
        cmocka_unit_test(invalid_labels_are_passed_over_in_1_0),
        cmocka_unit_test(refused_samples_are_told_and_the_rest_is_kept),
        cmocka_unit_test(the_same_sample_again_is_fine),
        cmocka_unit_test(stale_markers_stay_and_other_nans_become_one),
        cmocka_unit_test(labels_behind_the_samples_count_too),
        cmocka_unit_test(a_broken_message_stores_nothing),
        cmocka_unit_test(a_forgotten_series_is_found_anew),
        cmocka_unit_test(metadata_of_1_0_is_kept),
        cmocka_unit_test(exemplars_are_kept),
        cmocka_unit_test(version_2_writes_what_is_good),
        cmocka_unit_test(symbols_live_for_one_message),
        cmocka_unit_test(histograms_come_back),
        cmocka_unit_test(contradicting_histograms_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
