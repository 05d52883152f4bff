/* Threshold proposals: what they may and may not do, and the simulated effect. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/rng.h"
#include "detect/threshold.h"
#include "near.h"

static uint64_t g_seed = 1;
enum { N = 2000, STEP_MS = 15000 };

struct history {
    int64_t t_ms[N];
    double v[N];
};

static struct toc_history view(const struct history *h, size_t count) {
    return (struct toc_history){h->t_ms, h->v, count};
}

static void fill(struct history *h, double base, double noise) {
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    for (int i = 0; i < N; i++) {
        h->t_ms[i] = 1700000000000 + (int64_t)i * STEP_MS;
        h->v[i] = base + noise * toc_rng_normal(&rng);
    }
}

static void simulation_counts_alerts_and_seconds(void **state) {
    (void)state;
    struct history h;
    fill(&h, 1, 0);
    for (int i = 100; i < 120; i++)
        h.v[i] = 9;
    h.v[500] = 9;
    struct toc_threshold_rule rule = {TOC_THRESHOLD_GT, 5, 60000, 0};
    struct toc_history series = view(&h, N);
    struct toc_threshold_effect e;
    toc_threshold_simulate(&rule, &series, 1, &e);
    assert_int_equal(e.alerts, 1);
    assert_near(e.firing_s, 16 * 15, 1e-9);
    rule.for_ms = 0;
    toc_threshold_simulate(&rule, &series, 1, &e);
    assert_int_equal(e.alerts, 2);
    struct toc_history both[2] = {series, series};
    toc_threshold_simulate(&rule, both, 2, &e);
    assert_int_equal(e.alerts, 4);
}

static void a_gap_ends_an_alert(void **state) {
    (void)state;
    int64_t t[] = {0, 15000, 30000, 4000000, 4015000};
    double v[] = {9, 9, 9, 9, 1};
    struct toc_history series = {t, v, 5};
    struct toc_threshold_rule rule = {TOC_THRESHOLD_GE, 9, 0, 0};
    struct toc_threshold_effect e;
    toc_threshold_simulate(&rule, &series, 1, &e);
    assert_int_equal(e.alerts, 2);
    assert_near(e.firing_s, 45, 1e-9);
}

static void proposal_silences_the_false_alarm_and_stays_near(void **state) {
    (void)state;
    struct history h;
    fill(&h, 60, 4);
    for (int i = 1000; i < 1040; i++)
        h.v[i] = 84 + (i % 3);
    struct toc_threshold_rule rule = {TOC_THRESHOLD_GT, 80, 0, 0};
    struct toc_history series = view(&h, N);
    static struct toc_threshold_proposal p;
    assert_int_equal(toc_threshold_propose(&rule, &series, 1, &p), 0);
    assert_true(p.is_available);
    assert_true(p.threshold > 86 && p.threshold < 120);
    assert_true(p.current.alerts >= 1 && p.current.firing_s > 0);
    assert_int_equal(p.proposed.alerts, 0);
    assert_in_range(p.bucket_count, 1, 200);
    double peak = -INFINITY;
    for (size_t i = 0; i < p.bucket_count; i++)
        peak = fmax(peak, p.buckets[i].peak);
    assert_true(peak == 86);
    assert_true(strlen(p.reason) > 20 && strlen(p.method) > 10);
}

static void below_is_the_mirror(void **state) {
    (void)state;
    struct history h;
    fill(&h, 0.98, 0.002);
    for (int i = 700; i < 720; i++)
        h.v[i] = 0.91;
    struct toc_threshold_rule rule = {TOC_THRESHOLD_LT, 0.95, 60000, 0};
    struct toc_history series = view(&h, N);
    static struct toc_threshold_proposal p;
    assert_int_equal(toc_threshold_propose(&rule, &series, 1, &p), 0);
    assert_true(p.is_available);
    assert_true(p.threshold < 0.91 && p.threshold > 0.85);
    assert_int_equal(p.current.alerts, 1);
    assert_int_equal(p.proposed.alerts, 0);
}

static void little_history_gives_a_sentence(void **state) {
    (void)state;
    struct history h;
    fill(&h, 60, 4);
    struct toc_threshold_rule rule = {TOC_THRESHOLD_GT, 60, 0, 0};
    struct toc_history series = view(&h, 30);
    static struct toc_threshold_proposal p;
    assert_int_equal(toc_threshold_propose(&rule, &series, 1, &p), 0);
    assert_false(p.is_available);
    assert_true(isnan(p.threshold));
    assert_non_null(strstr(p.reason, "not enough data"));
    assert_int_equal(toc_threshold_propose(&rule, &series, 0, &p), 0);
    assert_false(p.is_available);
}

static void a_rule_that_never_fired_is_left_alone(void **state) {
    (void)state;
    struct history h;
    fill(&h, 60, 4);
    struct toc_threshold_rule rule = {TOC_THRESHOLD_GT, 500, 0, 0};
    struct toc_history series = view(&h, N);
    static struct toc_threshold_proposal p;
    assert_int_equal(toc_threshold_propose(&rule, &series, 1, &p), 0);
    assert_false(p.is_available);
    assert_non_null(strstr(p.reason, "already"));
}

/* Whatever history says, the proposal lies beyond its peak and within twice of it. */
static void proposals_are_bounded(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    static struct history h;
    static struct toc_threshold_proposal p;
    for (int round = 0; round < 60; round++) {
        double peak = -INFINITY;
        for (int i = 0; i < N; i++) {
            h.t_ms[i] = (int64_t)i * STEP_MS;
            h.v[i] = exp(toc_rng_normal(&rng) * (1 + round % 4)) * pow(10, round % 7 - 3);
            peak = fmax(peak, h.v[i]);
        }
        struct toc_threshold_rule rule = {TOC_THRESHOLD_GT, peak * 0.5, 0, 0};
        struct toc_history series = view(&h, N);
        assert_int_equal(toc_threshold_propose(&rule, &series, 1, &p), 0);
        assert_true(p.is_available);
        assert_true(p.threshold > peak && p.threshold <= 2 * peak);
        assert_int_equal(p.proposed.alerts, 0);
    }
}

static void operators_parse(void **state) {
    (void)state;
    enum toc_threshold_op op;
    assert_int_equal(toc_threshold_op_parse(">=", &op), 0);
    assert_int_equal(op, TOC_THRESHOLD_GE);
    assert_true(toc_threshold_op_parse("==", &op) < 0);
    assert_true(toc_threshold_op_parse(NULL, &op) < 0);
    assert_string_equal(toc_threshold_op_text(TOC_THRESHOLD_LE), "<=");
}

int main(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--seed") == 0)
            g_seed = strtoull(argv[i + 1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulation_counts_alerts_and_seconds),
        cmocka_unit_test(a_gap_ends_an_alert),
        cmocka_unit_test(proposal_silences_the_false_alarm_and_stays_near),
        cmocka_unit_test(below_is_the_mirror),
        cmocka_unit_test(little_history_gives_a_sentence),
        cmocka_unit_test(a_rule_that_never_fired_is_left_alone),
        cmocka_unit_test(proposals_are_bounded),
        cmocka_unit_test(operators_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
