#include "../metricdb/fixture.h"
#include "collect/scrape_cache_priv.h"

struct setup {
    struct fixture f;
    struct scrape_cache cache;
    struct toc_scrape_config config;
    struct toc_write_result written;
};

static void begin(struct setup *s) {
    static const struct toc_label target[] = {{{"instance", 8}, {"i", 1}}};
    *s = (struct setup){.config = {.honor_timestamps = true}};
    fixture_init(&s->f, 1);
    toc_scrape_cache_init(&s->cache, (struct toc_labels){target, 1});
}

static void end(struct setup *s) {
    toc_scrape_cache_fini(&s->cache);
    fixture_fini(&s->f);
}

static void scrape(struct setup *s, const char *text) {
    struct scrape_counts counts;
    struct scrape_input in = {.config = &s->config,
                              .format = TOC_EXPOSITION_TEXT,
                              .body = toc_sv_cstr(text),
                              .t_ms = s->f.clock.wall.ms};
    assert_int_equal(toc_scrape_cache_ingest(&s->cache, &in, &counts, NULL), 0);
    uint64_t ticket;
    assert_int_equal(toc_scrape_cache_write(&s->cache, s->f.db, &s->written, &ticket, NULL), 0);
    assert_int_equal(toc_metricdb_wait(s->f.db, ticket, NULL), 0);
}

static void points_are_stored_by_reference(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    for (int i = 0; i < 3; i++) {
        scrape(&s, "a 1\nb{x=\"y\"} 2\n");
        assert_int_equal(s.written.accepted, 2);
        fixture_advance(&s.f, 15000);
    }
    scrape(&s, "a 1\n"); /* and a marker for b */
    assert_int_equal(s.written.accepted, 2);
    assert_int_equal(fixture_select(&s.f, "a", 0, INT64_MAX).samples, 4);
    assert_int_equal(fixture_select(&s.f, "b", 0, INT64_MAX).samples, 4);
    end(&s);
}

static void refused_samples_are_counted(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    scrape(&s, "a 1\nb 1\n");
    scrape(&s, "a 2\nb 1\n"); /* the same moment: another value, the same one */
    assert_int_equal(s.written.accepted, 1);
    assert_int_equal(s.written.rejected[TOC_REJECT_DUPLICATE], 1);
    end(&s);
}

static void series_that_the_store_forgot_come_back(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    scrape(&s, "a 1\nb 1\n");
    for (int i = 0; i < 24; i++) {
        fixture_advance(&s.f, 15 * 60 * 1000);
        assert_int_equal(fixture_write(&s.f, "tick", "a", s.f.clock.wall.ms, i, NULL), 0);
    }
    assert_int_equal(fixture_stats(&s.f).series, 1);
    scrape(&s, "a 2\nb 2\n");
    assert_int_equal(s.written.accepted, 2);
    assert_int_equal(fixture_select(&s.f, "a", 0, INT64_MAX).samples, 2);
    end(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_are_stored_by_reference),
        cmocka_unit_test(refused_samples_are_counted),
        cmocka_unit_test(series_that_the_store_forgot_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
