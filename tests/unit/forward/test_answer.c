/* What answers mean, and how a shard goes on, under a clock of numbers. */
#include "../cmocka_prelude.h"

#include <stdlib.h>
#include <string.h>

#include "forward/answer.h"

static const struct toc_forward_queue_config QUEUE = {
    .max_samples_per_send = 16, .min_backoff = 30, .max_backoff = 5000};

static enum toc_forward_verdict judge(int status, enum toc_forward_message m) {
    struct toc_forward_answer a = {.status = status};
    return toc_forward_judge(&a, m, true);
}

static void each_status_means_one_thing(void **state) {
    (void)state;
    static const struct {
        int status;
        enum toc_forward_verdict of_1, of_2;
    } rows[] = {
        {200, TOC_FORWARD_TAKEN, TOC_FORWARD_OLDER_MESSAGE},
        {204, TOC_FORWARD_TAKEN, TOC_FORWARD_OLDER_MESSAGE},
        {301, TOC_FORWARD_AGAIN, TOC_FORWARD_AGAIN},
        {400, TOC_FORWARD_SMALLER, TOC_FORWARD_SMALLER},
        {401, TOC_FORWARD_REFUSED, TOC_FORWARD_REFUSED},
        {404, TOC_FORWARD_REFUSED, TOC_FORWARD_REFUSED},
        {408, TOC_FORWARD_AGAIN, TOC_FORWARD_AGAIN},
        {413, TOC_FORWARD_SMALLER, TOC_FORWARD_SMALLER},
        {415, TOC_FORWARD_REFUSED, TOC_FORWARD_OLDER_MESSAGE},
        {429, TOC_FORWARD_AGAIN, TOC_FORWARD_AGAIN},
        {500, TOC_FORWARD_AGAIN, TOC_FORWARD_AGAIN},
        {503, TOC_FORWARD_AGAIN, TOC_FORWARD_AGAIN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(judge(rows[i].status, TOC_FORWARD_1), rows[i].of_1);
        assert_int_equal(judge(rows[i].status, TOC_FORWARD_2), rows[i].of_2);
    }
    struct toc_forward_answer none = {.rc = TOC_ECONNREFUSED};
    assert_int_equal(toc_forward_judge(&none, TOC_FORWARD_1, true), TOC_FORWARD_AGAIN);
    struct toc_forward_answer busy = {.status = 429};
    assert_int_equal(toc_forward_judge(&busy, TOC_FORWARD_1, false), TOC_FORWARD_REFUSED);
    struct toc_forward_answer told = {.status = 204, .has_written = true, .written = 3};
    assert_int_equal(toc_forward_judge(&told, TOC_FORWARD_2, true), TOC_FORWARD_PARTLY);
    told.status = 400;
    assert_int_equal(toc_forward_judge(&told, TOC_FORWARD_2, true), TOC_FORWARD_PARTLY);
    told.written = 0; /* perhaps one bad sample undid the whole message */
    assert_int_equal(toc_forward_judge(&told, TOC_FORWARD_2, true), TOC_FORWARD_SMALLER);
}

static void waits_double_up_to_the_limit_and_begin_anew_after_a_success(void **state) {
    (void)state;
    struct toc_forward_pace p = {0};
    int64_t now = 1000;
    static const int64_t waits[] = {30, 60, 120, 240, 480, 960, 1920, 3840, 5000, 5000};
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        struct toc_forward_next n =
            toc_forward_pace_next(&p, TOC_FORWARD_AGAIN, 10, 0, &QUEUE, now);
        assert_int_equal(n.done, 0);
        assert_int_equal(p.not_before_ms - now, waits[i]);
        now = p.not_before_ms;
    }
    struct toc_forward_next n = toc_forward_pace_next(&p, TOC_FORWARD_TAKEN, 10, 0, &QUEUE, now);
    assert_int_equal(n.done, 10);
    assert_false(n.is_refused);
    (void)toc_forward_pace_next(&p, TOC_FORWARD_AGAIN, 10, 0, &QUEUE, now);
    assert_int_equal(p.not_before_ms - now, 30);
    /* The receiver knows better. */
    (void)toc_forward_pace_next(&p, TOC_FORWARD_AGAIN, 10, 7000, &QUEUE, now);
    assert_int_equal(p.not_before_ms - now, 7000);
}

/* A receiver that refuses every message with a sample of `bad` in it; returns requests needed. */
static size_t deliver(struct toc_forward_pace *p, const bool *bad, size_t count, bool *arrived,
                      bool *refused) {
    size_t requests = 0;
    for (size_t at = 0; at < count; requests++) {
        size_t n = p->size ? p->size : (size_t)QUEUE.max_samples_per_send;
        n = n < count - at ? n : count - at;
        bool has_bad = false;
        for (size_t i = 0; i < n; i++)
            has_bad = has_bad || bad[at + i];
        struct toc_forward_next next = toc_forward_pace_next(
            p, has_bad ? TOC_FORWARD_SMALLER : TOC_FORWARD_TAKEN, n, 0, &QUEUE, 0);
        for (size_t i = 0; i < next.done; i++)
            (next.is_refused ? refused : arrived)[at + i] = true;
        at += next.done;
    }
    return requests;
}

static void a_bad_sample_costs_itself_only(void **state) {
    (void)state;
    bool bad[64] = {false}, arrived[64] = {false}, refused[64] = {false};
    struct toc_forward_pace p = {0};
    bad[5] = bad[6] = bad[40] = bad[63] = true;
    size_t requests = deliver(&p, bad, 64, arrived, refused);
    for (size_t i = 0; i < 64; i++) {
        assert_true(arrived[i] == !bad[i]);
        assert_true(refused[i] == bad[i]);
    }
    assert_true(requests < 40);
    assert_int_equal(p.alone, 1); /* the last one */
}

static void a_receiver_that_wants_nothing_is_not_asked_for_each_sample(void **state) {
    (void)state;
    enum { COUNT = 200000 };
    bool *bad = calloc(COUNT, 1), *arrived = calloc(COUNT, 1), *refused = calloc(COUNT, 1);
    struct toc_forward_pace p = {0};
    for (size_t i = 0; i < COUNT; i++)
        bad[i] = true;
    size_t requests = deliver(&p, bad, COUNT, arrived, refused);
    assert_true(requests < TOC_FORWARD_ALONE_MAX + 100 + COUNT / 16);
    /* And as soon as it takes something, care is taken again. */
    memset(bad, 0, COUNT);
    memset(arrived, 0, COUNT);
    (void)deliver(&p, bad, 32, arrived, refused);
    assert_int_equal(p.alone, 0);
    free(bad);
    free(arrived);
    free(refused);
}

static void refusals_take_the_whole_message(void **state) {
    (void)state;
    struct toc_forward_pace p = {0};
    struct toc_forward_next n = toc_forward_pace_next(&p, TOC_FORWARD_REFUSED, 9, 0, &QUEUE, 5);
    assert_int_equal(n.done, 9);
    assert_true(n.is_refused);
    n = toc_forward_pace_next(&p, TOC_FORWARD_OLDER_MESSAGE, 9, 0, &QUEUE, 5);
    assert_int_equal(n.done, 0);
    assert_int_equal(p.not_before_ms, 0);
}

static void retry_after_is_seconds_or_a_date(void **state) {
    (void)state;
    const int64_t now = INT64_C(784111770000); /* 1994-11-06 08:49:30 */
    assert_int_equal(toc_forward_retry_after_ms(TOC_SV("7"), now), 7000);
    assert_int_equal(toc_forward_retry_after_ms(TOC_SV(" 0 "), now), 0);
    assert_int_equal(toc_forward_retry_after_ms(TOC_SV("-3"), now), 0);
    assert_int_equal(toc_forward_retry_after_ms(TOC_SV("999999999999"), now),
                     TOC_FORWARD_WAIT_MAX_MS);
    assert_int_equal(toc_forward_retry_after_ms(TOC_SV("Sun, 06 Nov 1994 08:49:37 GMT"), now),
                     7000);
    assert_int_equal(toc_forward_retry_after_ms(TOC_SV("Sun, 06 Nov 1994 08:49:20 GMT"), now), 0);
    assert_int_equal(toc_forward_retry_after_ms(TOC_SV("Sun, 06 Nox 1994 08:49:37 GMT"), now), 0);
    assert_int_equal(toc_forward_retry_after_ms(TOC_SV("soon"), now), 0);
    assert_int_equal(toc_forward_retry_after_ms(TOC_SV(""), now), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_means_one_thing),
        cmocka_unit_test(waits_double_up_to_the_limit_and_begin_anew_after_a_success),
        cmocka_unit_test(a_bad_sample_costs_itself_only),
        cmocka_unit_test(a_receiver_that_wants_nothing_is_not_asked_for_each_sample),
        cmocka_unit_test(refusals_take_the_whole_message),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
