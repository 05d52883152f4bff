/* Start timestamps of scraped answers: `_created` lines and the fields of protobuf. */
#include "../../otlp_dump.h"
#include "../metricdb/fixture.h"
#include "codec/protobuf.h"
#include "collect/scrape_cache_priv.h"

struct setup {
    struct fixture f;
    struct scrape_cache cache;
    struct toc_scrape_config config;
    bool wants_starts;
};

static void begin(struct setup *s) {
    static const struct toc_label target[] = {{{"i", 1}, {"1", 1}}};
    *s = (struct setup){.config = {.honor_timestamps = true, .native_histograms = true},
                        .wants_starts = true};
    fixture_init(&s->f, 1);
    toc_scrape_cache_init(&s->cache, (struct toc_labels){target, 1});
}

static void end(struct setup *s) {
    toc_scrape_cache_fini(&s->cache);
    fixture_fini(&s->f);
}

static void scrape(struct setup *s, enum toc_exposition_format format, struct toc_sv body) {
    struct scrape_counts counts;
    struct scrape_input in = {.config = &s->config,
                              .format = format,
                              .body = body,
                              .t_ms = s->f.clock.wall.ms,
                              .wants_starts = s->wants_starts};
    struct toc_write_result written;
    struct toc_err err = {0};
    uint64_t ticket;
    if (toc_scrape_cache_ingest(&s->cache, &in, &counts, &err))
        fail_msg("%s", err.message);
    assert_int_equal(toc_scrape_cache_write(&s->cache, s->f.db, &written, &ticket, NULL), 0);
    assert_true(written.accepted >= counts.post_relabel); /* and markers */
    assert_int_equal(toc_metricdb_wait(s->f.db, ticket, NULL), 0);
}

static void expect(struct setup *s, const char *want) {
    struct toc_buf got = TOC_BUF_INIT;
    assert_int_equal(otlp_dump(s->f.db, &got), 0);
    assert_string_equal(toc_buf_cstr(&got), want);
    toc_buf_fini(&got);
}

/* Times end in seconds after 1760000400. */
static void counters_have_lines_of_their_own(void **state) {
    (void)state;
    static const char text[] = "# TYPE c counter\n"
                               "c_total{a=\"x\"} 5\n"
                               "c_created{a=\"x\"} 1760000390.5\n"
                               "c_total{a=\"y\"} 6\n"
                               "# TYPE g gauge\n"
                               "g 1\n"
                               "# EOF\n";
    struct setup s;
    begin(&s);
    for (int i = 0; i < 2; i++) { /* the second time by known lines */
        scrape(&s, TOC_EXPOSITION_OPENMETRICS, toc_sv_cstr(text));
        fixture_advance(&s.f, 15000);
    }
    expect(&s, "c_created{a=\"x\", i=\"1\"} 1760000390.5@1760000400000\n"
               "c_created{a=\"x\", i=\"1\"} 1760000390.5@1760000415000\n"
               "c_total{a=\"x\", i=\"1\"} 0@1760000390500\n"
               "c_total{a=\"x\", i=\"1\"} 5@1760000400000\n"
               "c_total{a=\"x\", i=\"1\"} 5@1760000415000\n"
               "c_total{a=\"y\", i=\"1\"} 6@1760000400000\n"
               "c_total{a=\"y\", i=\"1\"} 6@1760000415000\n"
               "g{i=\"1\"} 1@1760000400000\n"
               "g{i=\"1\"} 1@1760000415000\n");
    end(&s);
}

static void a_restart_between_two_scrapes_is_seen(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    scrape(&s, TOC_EXPOSITION_OPENMETRICS,
           TOC_SV("# TYPE c counter\nc_total 5\nc_created 1760000390\n# EOF\n"));
    fixture_advance(&s.f, 15000);
    scrape(&s, TOC_EXPOSITION_OPENMETRICS,
           TOC_SV("# TYPE c counter\nc_total 7\nc_created 1760000410\n# EOF\n"));
    struct fixture_found x = fixture_select(&s.f, "c_total", 0, INT64_MAX);
    assert_int_equal(x.samples, 4); /* 0, 5, 0, 7 */
    assert_true(x.sum == 12);
    end(&s);
}

static void histograms_and_summaries_too(void **state) {
    (void)state;
    static const char text[] = "# TYPE h histogram\n"
                               "h_bucket{le=\"1.0\"} 1\n"
                               "h_bucket{le=\"+Inf\"} 2\n"
                               "h_count 2\n"
                               "h_sum 3\n"
                               "h_created 1760000390\n"
                               "# TYPE s summary\n"
                               "s{quantile=\"0.5\"} 1\n"
                               "s_count 2\n"
                               "s_sum 3\n"
                               "s_created 1760000390\n"
                               "# EOF\n";
    struct setup s;
    begin(&s);
    scrape(&s, TOC_EXPOSITION_OPENMETRICS, toc_sv_cstr(text));
    expect(&s, "h_bucket{i=\"1\", le=\"+Inf\"} 0@1760000390000\n"
               "h_bucket{i=\"1\", le=\"+Inf\"} 2@1760000400000\n"
               "h_bucket{i=\"1\", le=\"1.0\"} 0@1760000390000\n"
               "h_bucket{i=\"1\", le=\"1.0\"} 1@1760000400000\n"
               "h_count{i=\"1\"} 0@1760000390000\n"
               "h_count{i=\"1\"} 2@1760000400000\n"
               "h_created{i=\"1\"} 1760000390@1760000400000\n"
               "h_sum{i=\"1\"} 0@1760000390000\n"
               "h_sum{i=\"1\"} 3@1760000400000\n"
               "s{i=\"1\", quantile=\"0.5\"} 1@1760000400000\n"
               "s_count{i=\"1\"} 0@1760000390000\n"
               "s_count{i=\"1\"} 2@1760000400000\n"
               "s_created{i=\"1\"} 1760000390@1760000400000\n"
               "s_sum{i=\"1\"} 0@1760000390000\n"
               "s_sum{i=\"1\"} 3@1760000400000\n");
    end(&s);
}

/* A gauge that is called so, the older text format, no wish: none of them tells a start. */
static void other_lines_with_such_a_name_tell_none(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    scrape(&s, TOC_EXPOSITION_OPENMETRICS,
           TOC_SV("# TYPE c_created gauge\nc_created 1760000390\n"
                  "# TYPE d gauge\nd_created 1760000390\nd 1\n"
                  "# TYPE e counter\ne_total 1\ne_created NaN\n"
                  "# TYPE f counter\nf_total 1\nf_created -5\n# EOF\n"));
    fixture_advance(&s.f, 15000);
    scrape(&s, TOC_EXPOSITION_TEXT, TOC_SV("# TYPE c counter\nc_total 5\nc_created 1760000410\n"));
    fixture_advance(&s.f, 15000);
    s.wants_starts = false;
    scrape(&s, TOC_EXPOSITION_OPENMETRICS,
           TOC_SV("# TYPE c counter\nc_total 5\nc_created 1760000425\n# EOF\n"));
    assert_int_equal(fixture_stats(&s.f).starts[TOC_START_WRITTEN], 0);
    end(&s);
}

/* --- protobuf --- */

enum { COUNTER_TYPE = 0, SUMMARY_TYPE = 2, HISTOGRAM_TYPE = 4 };

static void put_timestamp(struct toc_buf *b, uint32_t number, uint64_t seconds, uint64_t nanos) {
    size_t mark = toc_pb_begin(b, number);
    toc_pb_put_u64(b, 1, seconds);
    toc_pb_put_u64(b, 2, nanos);
    toc_pb_end(b, mark);
}

static void put_family(struct toc_buf *out, const char *name, unsigned type, uint32_t field,
                       const struct toc_buf *value) {
    struct toc_buf f = TOC_BUF_INIT;
    toc_pb_put_bytes(&f, 1, toc_sv_cstr(name));
    toc_pb_put_u64(&f, 3, type);
    size_t metric = toc_pb_begin(&f, 4);
    toc_pb_put_bytes(&f, field, toc_buf_sv(value));
    toc_pb_end(&f, metric);
    toc_buf_append_varint(out, f.n);
    toc_buf_append_sv(out, toc_buf_sv(&f));
    toc_buf_fini(&f);
}

static void put_families(struct toc_buf *out) {
    struct toc_buf v = TOC_BUF_INIT;
    toc_pb_put_double(&v, 1, 5);
    put_timestamp(&v, 3, 1760000390, 500000000);
    put_family(out, "c_total", COUNTER_TYPE, 3, &v);
    toc_buf_reset(&v);
    put_timestamp(&v, 4, 1760000390, 0); /* before the quantiles, which have none all the same */
    toc_pb_put_u64(&v, 1, 2);
    toc_pb_put_double(&v, 2, 3);
    size_t quantile = toc_pb_begin(&v, 3);
    toc_pb_put_double(&v, 1, 0.5);
    toc_pb_put_double(&v, 2, 1);
    toc_pb_end(&v, quantile);
    put_family(out, "s", SUMMARY_TYPE, 4, &v);
    toc_buf_reset(&v);
    toc_pb_put_u64(&v, 1, 4);
    toc_pb_put_double(&v, 2, 8);
    toc_pb_put_sint(&v, 5, 2);
    toc_pb_put_double(&v, 6, 0.5);
    toc_pb_put_u64(&v, 7, 4);
    put_timestamp(&v, 15, 1760000391, 0);
    put_family(out, "h", HISTOGRAM_TYPE, 7, &v);
    toc_buf_fini(&v);
}

static void protobuf_tells_them_with_the_values(void **state) {
    (void)state;
    struct setup s;
    struct toc_buf body = TOC_BUF_INIT;
    put_families(&body);
    begin(&s);
    scrape(&s, TOC_EXPOSITION_PROTOBUF, toc_buf_sv(&body));
    expect(&s, "c_total{i=\"1\"} 0@1760000390500\n"
               "c_total{i=\"1\"} 5@1760000400000\n"
               "h{i=\"1\"} {s2 count:0 sum:0 zero:0.5:0}@1760000391000\n"
               "h{i=\"1\"} {s2 count:4 sum:8 zero:0.5:4}@1760000400000\n"
               "s{i=\"1\", quantile=\"0.5\"} 1@1760000400000\n"
               "s_count{i=\"1\"} 0@1760000390000\n"
               "s_count{i=\"1\"} 2@1760000400000\n"
               "s_sum{i=\"1\"} 0@1760000390000\n"
               "s_sum{i=\"1\"} 3@1760000400000\n");
    end(&s);
    begin(&s);
    s.wants_starts = false;
    scrape(&s, TOC_EXPOSITION_PROTOBUF, toc_buf_sv(&body));
    assert_int_equal(fixture_select(&s.f, "c_total", 0, INT64_MAX).samples, 1);
    end(&s);
    toc_buf_fini(&body);
}

/* The answer breaks off behind the counter: its start goes with its sample. */
static void a_broken_answer_tells_none(void **state) {
    (void)state;
    struct setup s;
    struct toc_buf body = TOC_BUF_INIT;
    struct scrape_counts counts;
    struct toc_write_result written;
    struct toc_err err = {0};
    uint64_t ticket;
    put_families(&body);
    begin(&s);
    struct scrape_input in = {.config = &s.config,
                              .format = TOC_EXPOSITION_PROTOBUF,
                              .body = toc_sv_sub(toc_buf_sv(&body), 0, body.n - 1),
                              .t_ms = s.f.clock.wall.ms,
                              .wants_starts = true};
    assert_true(toc_scrape_cache_ingest(&s.cache, &in, &counts, &err) < 0);
    toc_scrape_cache_report(&s.cache, REPORT_UP, in.t_ms, 0);
    assert_int_equal(toc_scrape_cache_write(&s.cache, s.f.db, &written, &ticket, NULL), 0);
    expect(&s, "up{i=\"1\"} 0@1760000400000\n");
    toc_buf_fini(&body);
    end(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_have_lines_of_their_own),
        cmocka_unit_test(a_restart_between_two_scrapes_is_seen),
        cmocka_unit_test(histograms_and_summaries_too),
        cmocka_unit_test(other_lines_with_such_a_name_tell_none),
        cmocka_unit_test(protobuf_tells_them_with_the_values),
        cmocka_unit_test(a_broken_answer_tells_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
