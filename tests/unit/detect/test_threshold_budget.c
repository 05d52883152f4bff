/* Thresholds from a budget: the budget is kept on history that was not learnt from; too little is
 * refused; the same seed gives the same answer. */
#include "unit/cmocka_prelude.h"

#include <math.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"
#include "detect/threshold_budget.h"

enum {
    STEP_MS = 60000,
    DAY = 1440,
    TRAIN_DAYS = 28,
    TEST_DAYS = 28,
    DAYS = TRAIN_DAYS + TEST_DAYS
};
#define WEEK_MS (7 * INT64_C(86400000))
#define T0 INT64_C(1767225600000)

enum shape {
    WHITE,
    AUTOREGRESSIVE,
    EXPONENTIAL,
    HEAVY,
    DAILY,
    BURSTS,
    WEEKLY,
    OFFICE,
    SPIKES,
    SHAPES
};

struct world {
    int64_t t_ms[DAYS * DAY];
    double values[DAYS * DAY];
    struct toc_history series;
};

static double next_value(enum shape shape, struct toc_rng *rng, size_t minute, double *state) {
    double noise = toc_rng_normal(rng);
    switch (shape) {
    case AUTOREGRESSIVE:
        return *state = 0.95 * *state + noise;
    case EXPONENTIAL:
        return -log(1 - toc_rng_unit(rng));
    case HEAVY:
        return pow(1 - toc_rng_unit(rng), -0.25);
    case DAILY:
        return 20 * sin(2 * M_PI * (double)(minute % DAY) / DAY) + noise;
    case BURSTS: /* a few minutes high, now and then */
        *state = *state > 0 ? *state - 1 : toc_rng_below(rng, 400) ? 0 : 3;
        return (*state > 0 ? 5 + 2 * -log(1 - toc_rng_unit(rng)) : 0) + noise;
    case WEEKLY: /* T0 is a Thursday: days 2 and 3 are a weekend */
        return (minute / DAY + 5) % 7 < 2 ? noise : 20 + noise;
    case OFFICE:
        return (minute / DAY + 5) % 7 >= 2 && minute % DAY >= 480 && minute % DAY < 1080
                   ? 20 + noise
                   : noise;
    case SPIKES: /* single minutes high, now and then, above noise with a floor */
        return 20 + 10 * toc_rng_unit(rng) +
               (toc_rng_below(rng, 300) ? 0 : 30 - 10 * log(1 - toc_rng_unit(rng)));
    default:
        return noise;
    }
}

static struct world *make(enum shape shape, uint64_t seed, double sign) {
    struct world *w = TOC_NEW(struct world);
    struct toc_rng rng;
    double state = 0;
    toc_rng_seed(&rng, seed);
    for (size_t i = 0; i < DAYS * DAY; i++) {
        w->t_ms[i] = T0 + (int64_t)i * STEP_MS;
        w->values[i] = sign * next_value(shape, &rng, i, &state);
    }
    w->series = (struct toc_history){w->t_ms, w->values, DAYS * DAY};
    return w;
}

static struct toc_budget_suggestion learn(const struct world *w, size_t days, bool is_upper,
                                          int64_t period_ms) {
    struct toc_budget_suggestion s;
    struct toc_history part = w->series;
    part.count = days * DAY;
    const struct toc_budget_request r = {.op = is_upper ? TOC_THRESHOLD_GT : TOC_THRESHOLD_LT,
                                         .series = &part,
                                         .series_count = 1,
                                         .step_ms = STEP_MS,
                                         .budget_period_ms = period_ms,
                                         .allows_seasonal = true,
                                         .rounds = 50,
                                         .seed = 7};
    assert_int_equal(toc_budget_suggest(&r, &s), 0);
    return s;
}

/* Alerts of the suggested rule, kept firing for 15 minutes, on the days that were not learnt from.
 */
static size_t alerts_of(const struct world *w, const struct toc_budget_suggestion *s,
                        bool is_upper) {
    size_t alerts = 0;
    int64_t held_ms = -1, firing_until_ms = 0;
    for (size_t i = TRAIN_DAYS * DAY; i < DAYS * DAY; i++) {
        double level = toc_budget_threshold_at(s, w->t_ms[i]);
        bool is_beyond = is_upper ? w->values[i] > level : w->values[i] < level;
        held_ms = is_beyond ? (held_ms < 0 ? 0 : held_ms + STEP_MS) : -1;
        if (held_ms < s->for_ms)
            continue;
        alerts += w->t_ms[i] > firing_until_ms;
        firing_until_ms = w->t_ms[i] + TOC_BUDGET_KEEP_MS;
    }
    return alerts;
}

static void budget_is_kept_on_history_not_learnt_from(void **state) {
    (void)state;
    static const char *const names[] = {"white",  "autoregressive", "exponential", "heavy", "daily",
                                        "bursts", "weekly",         "office",      "spikes"};
    enum { SEEDS = 6 };
    for (int shape = 0; shape < SHAPES; shape++) {
        size_t alerts = 0;
        double budget = 0;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            bool is_upper = seed % 2;
            struct world *w = make((enum shape)shape, seed, is_upper ? 1 : -1);
            struct toc_budget_suggestion s = learn(w, TRAIN_DAYS, is_upper, WEEK_MS);
            if (!s.is_available)
                fail_msg("%s, seed %d: %s", names[shape], (int)seed, s.reason);
            assert_true(s.level.low <= s.level.threshold + 1e-9 || !is_upper);
            alerts += alerts_of(w, &s, is_upper);
            budget += (double)TEST_DAYS / 7;
            toc_free(w);
        }
        print_message("%s: %zu alerts where the budget is %.0f\n", names[shape], alerts, budget);
        assert_true((double)alerts <= 1.5 * budget);
        assert_true((double)alerts >= 0.25 * budget);
    }
}

static void days_with_a_profile_get_two_thresholds(void **state) {
    (void)state;
    struct world *w = make(DAILY, 1, 1);
    struct toc_budget_suggestion s = learn(w, TRAIN_DAYS, true, WEEK_MS);
    assert_true(s.is_available && s.is_seasonal);
    assert_true(s.low_hours.threshold < s.level.threshold);
    toc_free(w);
}

static void weeks_with_a_profile_get_two_thresholds(void **state) {
    (void)state;
    struct world *w = make(WEEKLY, 1, 1);
    struct toc_budget_suggestion s = learn(w, TRAIN_DAYS, true, WEEK_MS);
    assert_true(s.is_available && s.is_seasonal);
    assert_int_equal(s.high_days, TOC_BUDGET_WEEKDAYS);
    assert_int_equal(s.high_from_hour, 0);
    assert_int_equal(s.high_to_hour, 24);
    assert_true(s.level.threshold > 15 && s.low_hours.threshold < 12);
    assert_true(toc_budget_threshold_at(&s, T0) > 15);                         /* Thursday */
    assert_true(toc_budget_threshold_at(&s, T0 + 2 * INT64_C(86400000)) < 12); /* Saturday */
    s = learn(w, 10, true, WEEK_MS); /* less than two weeks tell no days apart */
    assert_true(s.high_days == TOC_BUDGET_ALL_DAYS);
    toc_free(w);
    w = make(OFFICE, 1, 1);
    s = learn(w, TRAIN_DAYS, true, WEEK_MS);
    assert_int_equal(s.high_days, TOC_BUDGET_WEEKDAYS);
    assert_int_equal(s.high_from_hour, 8);
    assert_int_equal(s.high_to_hour, 18);
    assert_true(toc_budget_threshold_at(&s, T0 + 9 * INT64_C(3600000)) > 15);
    assert_true(toc_budget_threshold_at(&s, T0 + 20 * INT64_C(3600000)) < 12);
    toc_free(w);
}

static void short_peaks_get_a_longer_for(void **state) {
    (void)state;
    struct world *w = make(BURSTS, 1, 1);
    struct toc_budget_suggestion s = learn(w, TRAIN_DAYS, true, WEEK_MS);
    assert_true(s.is_available && s.for_ms >= 2 * STEP_MS);
    toc_free(w);
}

static void a_longer_for_does_not_reach_into_what_is_usual(void **state) {
    (void)state;
    struct world *w = make(SPIKES, 3, 1);
    struct toc_budget_suggestion s = learn(w, 10, true, 86400000);
    assert_true(s.is_available);
    /* Below it would hold nearly all the time, which pages once. */
    assert_true(s.level.threshold > 27);
    toc_free(w);
}

static void too_little_is_refused(void **state) {
    (void)state;
    struct world *w = make(WHITE, 1, 1);
    struct toc_budget_suggestion s = learn(w, 1, true, 4 * WEEK_MS);
    assert_false(s.is_available);
    assert_non_null(strstr(s.reason, "not enough data"));
    for (size_t i = 0; i < DAYS * DAY; i++)
        w->values[i] = 3;
    s = learn(w, TRAIN_DAYS, true, WEEK_MS);
    assert_false(s.is_available);
    assert_non_null(strstr(s.reason, "one value"));
    for (size_t i = 0; i < DAYS * DAY; i++)
        w->values[i] = NAN;
    s = learn(w, TRAIN_DAYS, true, WEEK_MS);
    assert_false(s.is_available);
    toc_free(w);
}

static void same_seed_same_answer(void **state) {
    (void)state;
    struct world *w = make(AUTOREGRESSIVE, 3, 1);
    struct toc_budget_suggestion a = learn(w, TRAIN_DAYS, true, WEEK_MS);
    struct toc_budget_suggestion b = learn(w, TRAIN_DAYS, true, WEEK_MS);
    assert_true(a.level.threshold == b.level.threshold && a.level.low == b.level.low &&
                a.level.high == b.level.high);
    assert_true(a.level.low <= a.level.threshold && a.level.threshold <= a.level.high);
    toc_free(w);
}

static void bad_requests_are_refused(void **state) {
    (void)state;
    struct toc_budget_suggestion s;
    struct toc_budget_request r = {.step_ms = 0, .budget_period_ms = 1};
    assert_int_equal(toc_budget_suggest(&r, &s), TOC_EINVAL);
    r.step_ms = 1000;
    r.budget_period_ms = 0;
    assert_int_equal(toc_budget_suggest(&r, &s), TOC_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budget_is_kept_on_history_not_learnt_from),
        cmocka_unit_test(days_with_a_profile_get_two_thresholds),
        cmocka_unit_test(weeks_with_a_profile_get_two_thresholds),
        cmocka_unit_test(short_peaks_get_a_longer_for),
        cmocka_unit_test(a_longer_for_does_not_reach_into_what_is_usual),
        cmocka_unit_test(too_little_is_refused),
        cmocka_unit_test(same_seed_same_answer),
        cmocka_unit_test(bad_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
