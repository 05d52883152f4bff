/* Several senders at once, deltas and cumulative points, while the options change: nothing is lost
 * or counted twice. Meant for the thread sanitizer, too. */
#include "../metricdb/fixture.h"
#include "remote/otlp.h"
#include "sys/thread.h"

enum { SENDERS = 4, ROUNDS = 50 };

struct sender {
    struct toc_thread thread;
    struct toc_otlp *otlp;
    int number, failures;
};

static void put_metric(struct toc_buf *b, const char *name, int temporality, int64_t t_ms,
                       int value, int who) {
    toc_buf_printf(b,
                   "{\"name\":\"%s\",\"sum\":{\"aggregationTemporality\":%d,\"dataPoints\":["
                   "{\"timeUnixNano\":\"%lld000000\",\"asInt\":%d,\"attributes\":[{\"key\":\"who\","
                   "\"value\":{\"intValue\":%d}}]}]}}",
                   name, temporality, (long long)t_ms, value, who);
}

static void send_all(void *ctx) {
    struct sender *s = ctx;
    for (int i = 1; i <= ROUNDS; i++) {
        struct toc_buf b = TOC_BUF_INIT;
        struct toc_otlp_outcome out;
        int64_t t_ms = FIXTURE_START_MS + i * 1000;
        toc_buf_append_cstr(&b, "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[");
        put_metric(&b, "own", 1, t_ms, i, s->number);
        toc_buf_append_char(&b, ',');
        /* all senders add to one series, each at times of its own: later ones may come first */
        put_metric(&b, "common", 1, t_ms + s->number, 1, 0);
        toc_buf_append_char(&b, ',');
        put_metric(&b, "total", 2, t_ms, i, s->number);
        toc_buf_append_cstr(&b, "]}]}]}");
        s->failures += toc_otlp_receive(s->otlp, TOC_OTLP_JSON, toc_buf_sv(&b), &out, NULL) != 0;
        toc_buf_fini(&out.text);
        toc_buf_fini(&b);
    }
}

static void senders_do_not_disturb_each_other(void **state) {
    (void)state;
    struct fixture f;
    struct sender senders[SENDERS] = {0};
    struct toc_otlp_stats stats;
    struct toc_otlp_options o = {.lookback_ms = 1000};
    fixture_init(&f, 1);
    struct toc_otlp *otlp = toc_otlp_new(&o, f.db, &f.clock.base);
    for (int i = 0; i < SENDERS; i++) {
        senders[i].otlp = otlp;
        senders[i].number = i;
        assert_int_equal(toc_thread_start(&senders[i].thread, "sender", send_all, &senders[i]), 0);
    }
    for (int i = 0; i < 200; i++) {
        o.keeps_identifying = i % 2;
        toc_otlp_set_options(otlp, &o);
        toc_otlp_stats(otlp, &stats);
    }
    for (int i = 0; i < SENDERS; i++) {
        toc_thread_join(&senders[i].thread);
        assert_int_equal(senders[i].failures, 0);
    }
    /* own: 1 + 2 + … + n, the last of which is n (n + 1) / 2; common: what was not late */
    struct fixture_found own =
        fixture_select(&f, "own", FIXTURE_START_MS + ROUNDS * 1000, INT64_MAX);
    assert_int_equal(own.series, SENDERS);
    assert_int_equal((int)own.sum, SENDERS * ROUNDS * (ROUNDS + 1) / 2);
    assert_int_equal(fixture_select(&f, "total", 0, INT64_MAX).samples, SENDERS * ROUNDS);
    toc_otlp_stats(otlp, &stats);
    struct fixture_found common = fixture_select(&f, "common", 0, INT64_MAX);
    assert_int_equal(common.samples + stats.refused[TOC_OTLP_REFUSED_DELTA_ORDER],
                     SENDERS * ROUNDS);
    assert_int_equal((int)common.last, (int)common.samples);
    toc_otlp_free(&otlp);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(senders_do_not_disturb_each_other)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
