/* Queries wait their turn, end in time, and the slow ones are remembered. */
#include "../cmocka_prelude.h"

#include <string.h>

#include "api/query_gate.h"
#include "sys/thread.h"

static struct toc_query query(const char *text) {
    return (struct toc_query){
        .kind = "instant", .text = toc_sv_cstr(text), .actor = TOC_SV("somebody")};
}

struct second {
    struct toc_query_gate *gate;
    int rc;
    atomic_bool is_done;
};

static void run_second(void *ctx) {
    struct second *s = ctx;
    struct toc_query q = query("second");
    s->rc = toc_query_begin(s->gate, &q, 10000);
    if (s->rc == 0)
        toc_query_end(&q);
    atomic_store(&s->is_done, true);
}

static void one_more_than_allowed_waits_for_a_place(void **state) {
    (void)state;
    struct toc_query_limits limits = {.max_concurrency = 1};
    struct toc_query_gate *g = toc_query_gate_new(toc_clock_system(), &limits);
    struct toc_query first = query("first");
    assert_int_equal(toc_query_begin(g, &first, 0), 0);
    struct second s = {.gate = g};
    struct toc_thread t = {0};
    assert_int_equal(toc_thread_start(&t, "second", run_second, &s), 0);
    while (toc_query_gate_stats(g).waiting == 0)
        toc_sleep_ms(1);
    assert_false(atomic_load(&s.is_done));
    assert_int_equal(toc_query_gate_stats(g).running, 1);
    toc_query_end(&first);
    toc_thread_join(&t);
    assert_int_equal(s.rc, 0);
    assert_int_equal(toc_query_gate_stats(g).finished, 2);
    toc_query_gate_free(&g);
}

static void the_time_in_the_queue_counts(void **state) {
    (void)state;
    struct toc_query_limits limits = {.max_concurrency = 1};
    struct toc_query_gate *g = toc_query_gate_new(toc_clock_system(), &limits);
    struct toc_query first = query("first"), late = query("late");
    assert_int_equal(toc_query_begin(g, &first, 0), 0);
    assert_int_equal(toc_query_begin(g, &late, 1), TOC_ETIMEDOUT);
    assert_int_equal(toc_query_gate_stats(g).timed_out, 1);
    assert_int_equal(toc_query_gate_stats(g).waiting, 0);
    toc_query_end(&first);
    toc_query_gate_free(&g);
}

static void a_query_stops_at_its_deadline_and_not_before(void **state) {
    (void)state;
    struct toc_clock_virtual clock;
    toc_clock_virtual_init(&clock, (struct toc_ts){1000000});
    struct toc_query_limits limits = {.timeout_ms = 5000};
    struct toc_query_gate *g = toc_query_gate_new(&clock.base, &limits);
    struct toc_query q = query("up");
    assert_int_equal(toc_query_begin(g, &q, 60000), 0); /* more than allowed is cut to the limit */
    toc_clock_virtual_advance(&clock, 5000);
    assert_false(toc_query_should_stop(&q));
    toc_clock_virtual_advance(&clock, 1);
    assert_true(toc_query_should_stop(&q));
    assert_int_equal(atomic_load(&q.why), TOC_QUERY_TIMED_OUT);
    toc_query_end(&q);
    assert_int_equal(toc_query_gate_stats(g).timed_out, 1);
    toc_query_gate_free(&g);
}

static void keep_text(void *ctx, const struct toc_query_view *v) {
    char *out = ctx;
    strncat(out, "|", 1);
    strncat(out, v->text.p, v->text.n < 40 ? v->text.n : 40);
}

static void slow_ones_are_remembered_newest_first(void **state) {
    (void)state;
    struct toc_clock_virtual clock;
    toc_clock_virtual_init(&clock, (struct toc_ts){1000000});
    struct toc_query_limits limits = {.slow_ms = 100};
    struct toc_query_gate *g = toc_query_gate_new(&clock.base, &limits);
    const char *const texts[] = {"slow_one", "quick", "slow_two"};
    for (int i = 0; i < 3; i++) {
        struct toc_query q = query(texts[i]);
        assert_int_equal(toc_query_begin(g, &q, 0), 0);
        char active[200] = "";
        toc_query_gate_each_active(g, keep_text, active);
        assert_string_equal(active + 1, texts[i]);
        toc_clock_virtual_advance(&clock, i == 1 ? 99 : 100);
        toc_query_end(&q);
    }
    char text[200] = "";
    toc_query_gate_each_slow(g, keep_text, text);
    assert_string_equal(text, "|slow_two|slow_one");
    assert_int_equal(toc_query_gate_stats(g).slow, 2);
    toc_query_gate_free(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_more_than_allowed_waits_for_a_place),
        cmocka_unit_test(the_time_in_the_queue_counts),
        cmocka_unit_test(a_query_stops_at_its_deadline_and_not_before),
        cmocka_unit_test(slow_ones_are_remembered_newest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
