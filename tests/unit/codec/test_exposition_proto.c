#include "../cmocka_prelude.h"

#include <math.h>

#include "base/num.h"
#include "codec/exposition_proto.h"
#include "codec/protobuf.h"

/* --- what was said, one line per call --- */

static void put_labels(struct toc_buf *out, const struct toc_exposition_label *l, size_t n) {
    for (size_t i = 0; i < n; i++)
        toc_buf_printf(out, " %.*s=[%.*s]", TOC_SV_ARG(l[i].name), TOC_SV_ARG(l[i].value));
}

static void put_series(struct toc_buf *out, const struct toc_exposition_sample *s) {
    toc_buf_append_sv(out, s->series_text);
    if (s->has_timestamp)
        toc_buf_printf(out, " @%lld", (long long)s->timestamp_ms);
}

static int on_sample(void *ctx, const struct toc_exposition_sample *s) {
    struct toc_buf *out = ctx;
    put_series(out, s);
    toc_buf_append_char(out, ' ');
    toc_format_f64(s->value, out);
    if (s->exemplar) {
        toc_buf_append_cstr(out, " #");
        put_labels(out, s->exemplar->labels, s->exemplar->label_count);
        toc_buf_printf(out, " %g", s->exemplar->value);
        if (s->exemplar->has_timestamp)
            toc_buf_printf(out, " @%lld", (long long)s->exemplar->timestamp_ms);
    }
    toc_buf_append_char(out, '\n');
    return 0;
}

static void put_side(struct toc_buf *out, const char *name, struct toc_exposition_buckets b) {
    toc_buf_printf(out, " %s", name);
    for (size_t i = 0; i < b.size; i++)
        toc_buf_printf(out, " %d:%g", b.index[i], b.count[i]);
}

static int on_histogram(void *ctx, const struct toc_exposition_sample *s,
                        const struct toc_exposition_histogram *h) {
    struct toc_buf *out = ctx;
    put_series(out, s);
    toc_buf_printf(out, " schema=%d gauge=%d zero=%g/%g count=%g sum=%g", h->schema, h->is_gauge,
                   h->zero_count, h->zero_threshold, h->count, h->sum);
    put_side(out, "+", h->positive);
    put_side(out, "-", h->negative);
    toc_buf_append_char(out, '\n');
    return 0;
}

static int on_meta(void *ctx, const struct toc_exposition_meta *m) {
    toc_buf_printf(ctx, "# %.*s %.*s [%.*s] [%.*s]\n", TOC_SV_ARG(m->metric), TOC_SV_ARG(m->type),
                   TOC_SV_ARG(m->help), TOC_SV_ARG(m->unit));
    return 0;
}

static int parse(struct toc_sv bytes, bool is_native, struct toc_buf *out, struct toc_err *err) {
    struct toc_exposition_handler h = {.sample = on_sample, .meta = on_meta, .ctx = out};
    h.histogram = is_native ? on_histogram : NULL;
    return toc_exposition_proto_parse(bytes, NULL, &h, err);
}

/* --- messages --- */

static void put_text(struct toc_buf *b, uint32_t number, const char *s) {
    toc_pb_put_bytes(b, number, toc_sv_cstr(s));
}

static void put_label(struct toc_buf *b, const char *name, const char *value) {
    size_t at = toc_pb_begin(b, 1);
    put_text(b, 1, name);
    put_text(b, 2, value);
    toc_pb_end(b, at);
}

/* Name, help and type of a family. */
static void put_head(struct toc_buf *b, const char *name, const char *help, unsigned type) {
    put_text(b, 1, name);
    put_text(b, 2, help);
    toc_pb_put_u64(b, 3, type);
}

/* A metric with one label and a value message that holds one double. */
static void put_number(struct toc_buf *b, const char *label, uint32_t field, double value) {
    size_t metric = toc_pb_begin(b, 4);
    if (label)
        put_label(b, "x", label);
    size_t at = toc_pb_begin(b, field);
    toc_pb_put_double(b, 1, value);
    toc_pb_end(b, at);
    toc_pb_end(b, metric);
}

static void put_span(struct toc_buf *b, uint32_t number, int64_t offset, uint64_t length) {
    size_t at = toc_pb_begin(b, number);
    toc_pb_put_sint(b, 1, offset);
    toc_pb_put_u64(b, 2, length);
    toc_pb_end(b, at);
}

static void put_bucket(struct toc_buf *b, uint64_t count, double bound, const char *trace) {
    size_t at = toc_pb_begin(b, 3);
    toc_pb_put_u64(b, 1, count);
    toc_pb_put_double(b, 2, bound);
    if (trace) {
        size_t exemplar = toc_pb_begin(b, 3);
        put_label(b, "trace", trace);
        toc_pb_put_double(b, 2, 0.25);
        size_t time = toc_pb_begin(b, 3);
        toc_pb_put_u64(b, 1, 1700000000);
        toc_pb_put_u64(b, 2, 500000000);
        toc_pb_end(b, time);
        toc_pb_end(b, exemplar);
    }
    toc_pb_end(b, at);
}

static void add_family(struct toc_buf *out, struct toc_buf *family) {
    toc_buf_append_varint(out, family->n);
    toc_buf_append_sv(out, toc_buf_sv(family));
    toc_buf_reset(family);
}

static void expect(struct toc_buf *bytes, bool is_native, const char *said) {
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    if (parse(toc_buf_sv(bytes), is_native, &out, &err))
        fail_msg("%s", err.message);
    assert_string_equal(toc_buf_cstr(&out), said);
    toc_buf_fini(&out);
    toc_buf_fini(bytes);
}

static void expect_error(struct toc_buf *bytes, int rc, const char *text) {
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    assert_int_equal(parse(toc_buf_sv(bytes), true, &out, &err), rc);
    if (!strstr(err.message, text))
        fail_msg("%s", err.message);
    assert_true(err.line >= 1);
    toc_buf_fini(&out);
    toc_buf_fini(bytes);
}

/* --- tests --- */

static void numbers_are_what_the_text_format_says(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT, f = TOC_BUF_INIT;
    put_head(&f, "requests_total", "All of \"them\".", 0);
    put_number(&f, "a\"b\\c\n", 3, 5);
    put_number(&f, NULL, 3, 1e20);
    add_family(&b, &f);
    put_number(&f, "late", 2, -0.5); /* the head may come behind the metrics */
    put_head(&f, "my.gauge", "", 1);
    put_text(&f, 5, "seconds");
    add_family(&b, &f);
    put_head(&f, "u", "", 3);
    put_number(&f, NULL, 5, INFINITY);
    add_family(&b, &f);
    toc_buf_fini(&f);
    expect(&b, false,
           "# requests_total counter [All of \"them\".] []\n"
           "requests_total{x=\"a\\\"b\\\\c\\n\"} 5\n"
           "requests_total 100000000000000000000\n"
           "# my.gauge gauge [] [seconds]\n"
           "{\"my.gauge\",x=\"late\"} -0.5\n"
           "# u unknown [] []\n"
           "u +Inf\n");
}

static void put_summary(struct toc_buf *f) {
    size_t metric = toc_pb_begin(f, 4), at = toc_pb_begin(f, 4);
    toc_pb_put_u64(f, 1, 7);
    toc_pb_put_double(f, 2, 3.5);
    size_t q = toc_pb_begin(f, 3);
    toc_pb_put_double(f, 1, 0.99);
    toc_pb_put_double(f, 2, 1.25);
    toc_pb_end(f, q);
    toc_pb_end(f, at);
    toc_pb_put_u64(f, 6, 1500);
    toc_pb_end(f, metric);
}

static void summaries_have_quantiles_sum_and_count(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT, f = TOC_BUF_INIT;
    put_head(&f, "s", "", 2);
    put_summary(&f);
    add_family(&b, &f);
    toc_buf_fini(&f);
    expect(&b, false,
           "# s summary [] []\n"
           "s{quantile=\"0.99\"} @1500 1.25\n"
           "s_sum @1500 3.5\n"
           "s_count @1500 7\n");
}

/* Classic buckets and native ones: two spans with a gap, zero bucket, a negative side. */
static void put_histogram(struct toc_buf *f) {
    size_t metric = toc_pb_begin(f, 4);
    put_label(f, "x", "y");
    size_t at = toc_pb_begin(f, 7);
    toc_pb_put_u64(f, 1, 12);
    toc_pb_put_double(f, 2, 18.5);
    put_bucket(f, 4, 0.5, "t1");
    put_bucket(f, 10, 1, NULL);
    toc_pb_put_sint(f, 5, 3);
    toc_pb_put_double(f, 6, 0.001);
    toc_pb_put_u64(f, 7, 2);
    put_span(f, 9, 0, 1);
    toc_pb_put_sint(f, 10, 1); /* not packed */
    put_span(f, 12, -2, 2);
    put_span(f, 12, 3, 1);
    size_t packed = toc_pb_begin(f, 13);
    toc_buf_append_zigzag(f, 3);
    toc_buf_append_zigzag(f, -1);
    toc_buf_append_zigzag(f, 2);
    toc_pb_end(f, packed);
    toc_pb_end(f, at);
    toc_pb_end(f, metric);
}

static void native_histograms_come_as_such_or_as_classic_ones(void **state) {
    (void)state;
    for (int is_native = 0; is_native < 2; is_native++) {
        struct toc_buf b = TOC_BUF_INIT, f = TOC_BUF_INIT;
        put_head(&f, "h", "", 4);
        put_histogram(&f);
        add_family(&b, &f);
        toc_buf_fini(&f);
        expect(&b, is_native,
               is_native ? "# h histogram [] []\n"
                           "h{x=\"y\"} schema=3 gauge=0 zero=2/0.001 count=12 sum=18.5"
                           " + -2:3 -1:2 3:4 - 0:1\n"
                         : "# h histogram [] []\n"
                           "h_bucket{x=\"y\",le=\"0.5\"} 4 # trace=[t1] 0.25 @1700000000500\n"
                           "h_bucket{x=\"y\",le=\"1\"} 10\n"
                           "h_bucket{x=\"y\",le=\"+Inf\"} 12\n"
                           "h_sum{x=\"y\"} 18.5\n"
                           "h_count{x=\"y\"} 12\n");
    }
}

static void a_gauge_histogram_may_have_float_counts(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT, f = TOC_BUF_INIT;
    put_head(&f, "g", "", 5);
    size_t metric = toc_pb_begin(&f, 4), at = toc_pb_begin(&f, 7);
    toc_pb_put_double(&f, 4, 2.5);
    put_span(&f, 12, 0, 2);
    size_t packed = toc_pb_begin(&f, 14);
    toc_buf_append_f64(&f, 0.5);
    toc_buf_append_f64(&f, 2);
    toc_pb_end(&f, packed);
    toc_pb_end(&f, at);
    toc_pb_end(&f, metric);
    add_family(&b, &f);
    toc_buf_fini(&f);
    expect(&b, true,
           "# g gaugehistogram [] []\n"
           "g schema=0 gauge=1 zero=0/0 count=2.5 sum=0 + 0:0.5 1:2 -\n");
}

/* A family "h" whose one histogram is what `put` writes. */
static struct toc_buf histogram_with(void (*put)(struct toc_buf *f)) {
    struct toc_buf b = TOC_BUF_INIT, f = TOC_BUF_INIT;
    put_head(&f, "h", "", 4);
    size_t metric = toc_pb_begin(&f, 4), at = toc_pb_begin(&f, 7);
    put(&f);
    toc_pb_end(&f, at);
    toc_pb_end(&f, metric);
    add_family(&b, &f);
    toc_buf_fini(&f);
    return b;
}

static void too_long_span(struct toc_buf *f) {
    put_span(f, 12, 0, 2);
    toc_pb_put_sint(f, 13, 1);
}
static void too_short_span(struct toc_buf *f) {
    put_span(f, 12, 0, 1);
    toc_pb_put_sint(f, 13, 1);
    toc_pb_put_sint(f, 13, 1);
}
static void overlapping_spans(struct toc_buf *f) {
    put_span(f, 12, 0, 1);
    put_span(f, 12, -1, 1);
    toc_pb_put_sint(f, 13, 1);
    toc_pb_put_sint(f, 13, 1);
}
static void both_counts(struct toc_buf *f) {
    put_span(f, 12, 0, 2);
    toc_pb_put_sint(f, 13, 1);
    toc_pb_put_double(f, 14, 1);
}
static void endless_span(struct toc_buf *f) {
    put_span(f, 12, 0, UINT32_MAX);
}
static void far_bucket(struct toc_buf *f) {
    put_span(f, 12, INT32_MAX, 1);
    toc_pb_put_sint(f, 13, 1);
}

static void broken_buckets_are_refused(void **state) {
    (void)state;
    static const struct {
        void (*put)(struct toc_buf *f);
        int rc;
        const char *text;
    } rows[] = {
        {too_long_span, TOC_EPARSE, "family 1 (h): spans of more buckets"},
        {too_short_span, TOC_EPARSE, "more buckets than the spans"},
        {overlapping_spans, TOC_EPARSE, "overlap"},
        {both_counts, TOC_EPARSE, "of integers and of floats"},
        {endless_span, TOC_ELIMIT, "more buckets or spans than the limit"},
        {far_bucket, TOC_EPARSE, "out of range"},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(rows); i++) {
        struct toc_buf b = histogram_with(rows[i].put);
        expect_error(&b, rows[i].rc, rows[i].text);
    }
}

static void broken_families_are_refused(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT, f = TOC_BUF_INIT;
    put_head(&f, "", "", 0);
    add_family(&b, &f);
    expect_error(&b, TOC_EPARSE, "no name");
    put_head(&f, "a", "", 6);
    add_family(&b, &f);
    expect_error(&b, TOC_EPARSE, "unknown type");
    put_head(&f, "a", "\xff", 0);
    add_family(&b, &f);
    expect_error(&b, TOC_EPARSE, "UTF-8");
    put_head(&f, "a", "", 0);
    put_number(&f, NULL, 2, 1); /* a gauge's value in a counter */
    add_family(&b, &f);
    expect_error(&b, TOC_EPARSE, "without a value");
    put_head(&f, "a", "", 1);
    size_t metric = toc_pb_begin(&f, 4);
    put_label(&f, "x", "1");
    put_label(&f, "x", "2");
    toc_pb_end(&f, metric);
    add_family(&b, &f);
    expect_error(&b, TOC_EPARSE, "given twice");
    put_head(&f, "good", "", 1);
    add_family(&b, &f);
    toc_buf_append_cstr(&b, "\x7f only so much");
    expect_error(&b, TOC_ETRUNCATED, "metric family 2 (): its length");
    toc_buf_fini(&f);
}

/* Cut anywhere: an error, but at the borders of families. */
static void no_cut_goes_unnoticed(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT, f = TOC_BUF_INIT;
    put_head(&f, "h", "", 4);
    put_histogram(&f);
    add_family(&b, &f);
    size_t border = b.n;
    put_head(&f, "s", "", 2);
    put_summary(&f);
    add_family(&b, &f);
    for (size_t n = 0; n <= b.n; n++) {
        struct toc_buf out = TOC_BUF_INIT;
        struct toc_err err = {0};
        int rc = parse(toc_sv_sub(toc_buf_sv(&b), 0, n), true, &out, &err);
        assert_int_equal(rc == 0, n == 0 || n == border || n == b.n);
        toc_buf_fini(&out);
    }
    toc_buf_fini(&f);
    toc_buf_fini(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_what_the_text_format_says),
        cmocka_unit_test(summaries_have_quantiles_sum_and_count),
        cmocka_unit_test(native_histograms_come_as_such_or_as_classic_ones),
        cmocka_unit_test(a_gauge_histogram_may_have_float_counts),
        cmocka_unit_test(broken_buckets_are_refused),
        cmocka_unit_test(broken_families_are_refused),
        cmocka_unit_test(no_cut_goes_unnoticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
