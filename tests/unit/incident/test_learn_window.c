/* What a look sees must not hang on when rule and look were evaluated, nor on where between two
 * judgements of the detector the samples lie. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "detect/alert_features.h"
#include "incident/learn_window.h"
#include "model/window_store.h"

enum { SECONDS = 400, BLIP = 360, INTERVAL = 1000, JUDGED_AT = 300, RULE_AT = 800 };
static const int64_t T0 = 1790000000000;
static const double THRESHOLD = 8;

struct course {
    int64_t sample_at;   /* within the second, ms */
    int64_t rule_late;   /* seconds between the first score over the threshold and the rule */
    int64_t look_late;   /* seconds between the rule's slot and the look */
    size_t lasts;        /* seconds of the blip */
    bool comes_late;     /* the first sample of the blip came after it was to be judged */
    bool misses_a_slot;  /* the detector left out the one before the alert */
    int64_t judges_from; /* second of its first score */
};

static double value_of(const struct course *c, int64_t second) {
    struct toc_rng rng;
    toc_rng_seed(&rng, (uint64_t)second);
    bool is_out = second >= BLIP && second < BLIP + (int64_t)c->lasts;
    return 100 + toc_rng_normal(&rng) + (is_out ? 3000 + (double)second : 0);
}

static void put(struct toc_window_store *s, const char *name, int64_t t_ms, double value) {
    struct toc_label l[] = {{TOC_METRIC_NAME, toc_sv_cstr(name)},
                            {TOC_SV("detector"), TOC_SV("strange")},
                            {TOC_SV("run"), TOC_SV("r1")}};
    bool is_score = strcmp(name, "tocsin_anomaly_score") == 0;
    if (!is_score)
        l[1] = l[2];
    toc_window_store_add(s, toc_window_store_series_of(s, (struct toc_labels){l, is_score ? 3 : 2}),
                         t_ms, value);
}

/* The newest sample that the detector knows in its slot. */
static int64_t judged_second(const struct course *c, int64_t second) {
    int64_t newest = c->sample_at <= JUDGED_AT ? second : second - 1;
    return newest == BLIP && c->comes_late ? newest - 1 : newest;
}

static struct toc_window_store *play(const struct course *c) {
    struct toc_window_store *s = toc_window_store_new();
    int64_t first = c->sample_at <= JUDGED_AT ? BLIP : BLIP + 1;
    for (int64_t k = 1; k < SECONDS; k++) {
        put(s, "train_signal", T0 + k * 1000 + c->sample_at, value_of(c, k));
        if (k >= c->judges_from && !(c->misses_a_slot && k == first))
            put(s, "tocsin_anomaly_score", T0 + k * 1000 + JUDGED_AT,
                fabs(value_of(c, judged_second(c, k)) - 100));
    }
    return s;
}

/* Features of the first look, and how many rows the alert has by then. */
static size_t first_look(const struct course *c, double *out) {
    struct toc_window_store *s = play(c);
    struct toc_learn_windows *w = toc_learn_windows_new(toc_window_store_querier(s));
    const struct toc_learn_detector d = {TOC_SV("strange"), TOC_SV("train_signal"), INTERVAL,
                                         THRESHOLD};
    struct toc_label l[] = {{TOC_SV("alertname"), TOC_SV("Strange")},
                            {TOC_SV("detector"), TOC_SV("strange")},
                            {TOC_SV("run"), TOC_SV("r1")}};
    int64_t first = BLIP + (c->sample_at > JUDGED_AT) + c->comes_late + c->misses_a_slot;
    struct toc_ts seen = {T0 + (first + c->rule_late) * 1000 + RULE_AT};
    struct toc_ts now = {seen.ms + c->look_late * 1000};
    struct toc_learn_window v;
    struct toc_err err = {0};
    toc_window_store_set_horizon(s, now.ms);
    toc_learn_windows_set(w, &d, 1);
    struct toc_learn_source *source = toc_learn_windows_source(w);
    if (source->window(source, (struct toc_labels){l, 3}, seen, now, &v, &err) < 0)
        fail_msg("%s", err.message);
    size_t rows = v.rows - v.start;
    const struct toc_alert_context context = {.seconds = v.seconds,
                                              .values = v.values,
                                              .scores = v.scores,
                                              .rows = v.start + 1,
                                              .columns = 1,
                                              .start = v.start,
                                              .threshold = v.threshold};
    toc_alert_features(&context, out);
    toc_free(v.seconds);
    toc_free(v.values);
    toc_free(v.scores);
    toc_learn_windows_free(&w);
    toc_window_store_free(&s);
    return rows;
}

static const struct course IN_TIME = {.sample_at = 200, .lasts = 6};

static void assert_same_features(const double *a, const double *b, const char *what) {
    for (size_t i = 0; i < TOC_ALERT_FEATURES; i++)
        if (!(isnan(a[i]) && isnan(b[i])) && fabs(a[i] - b[i]) > 1e-9)
            fail_msg("%s: %s %g, in time %g", what, toc_alert_feature_name(i), b[i], a[i]);
}

/* --- tests --- */

static void the_baseline_ends_before_the_alert(void **state) {
    (void)state;
    double f[TOC_ALERT_FEATURES];
    assert_int_equal(first_look(&IN_TIME, f), 1);
    assert_true(f[TOC_ALERT_FEATURE_RECORD] == 1);
    assert_true(f[TOC_ALERT_FEATURE_OUTSIDE] > 5);
    assert_true(f[TOC_ALERT_FEATURE_JUMP] > 5);
}

static void samples_may_lie_anywhere_between_two_judgements(void **state) {
    (void)state;
    double in_time[TOC_ALERT_FEATURES], f[TOC_ALERT_FEATURES];
    first_look(&IN_TIME, in_time);
    for (int64_t at = 0; at < 1000; at += 50) {
        struct course c = IN_TIME;
        c.sample_at = at;
        first_look(&c, f);
        char what[40];
        snprintf(what, sizeof what, "samples at %d ms", (int)at);
        /* Of samples behind the slot one more is history: nothing else differs. */
        f[TOC_ALERT_FEATURE_AGE] = in_time[TOC_ALERT_FEATURE_AGE];
        assert_same_features(in_time, f, what);
    }
}

static void a_late_rule_or_look_sees_the_same(void **state) {
    (void)state;
    double in_time[TOC_ALERT_FEATURES], f[TOC_ALERT_FEATURES];
    first_look(&IN_TIME, in_time);
    for (int64_t late = 0; late < 16; late++) {
        struct course c = IN_TIME;
        char what[60];
        c.rule_late = late % 4;
        c.look_late = late / 4;
        snprintf(what, sizeof what, "rule %d s late, look %d s", (int)c.rule_late,
                 (int)c.look_late);
        assert_int_equal(first_look(&c, f), 1 + c.rule_late + c.look_late);
        assert_same_features(in_time, f, what);
    }
}

/* The first sample of the alert counts neither as usual nor as judged. */
static void a_sample_that_came_after_its_judgement_is_not_the_baseline(void **state) {
    (void)state;
    double f[TOC_ALERT_FEATURES];
    struct course late = IN_TIME, missed = IN_TIME;
    late.comes_late = true;
    assert_int_equal(first_look(&late, f), 1);
    assert_true(f[TOC_ALERT_FEATURE_RECORD] == 1 && f[TOC_ALERT_FEATURE_OUTSIDE] > 5);
    missed.misses_a_slot = true;
    assert_int_equal(first_look(&missed, f), 1);
    assert_true(f[TOC_ALERT_FEATURE_RECORD] == 1 && f[TOC_ALERT_FEATURE_OUTSIDE] > 5);
}

/* A detector that began to judge a moment ago has a baseline nevertheless. */
static void values_before_the_first_score_are_the_baseline(void **state) {
    (void)state;
    double in_time[TOC_ALERT_FEATURES], f[TOC_ALERT_FEATURES];
    struct course young = IN_TIME;
    young.judges_from = BLIP - 3;
    first_look(&IN_TIME, in_time);
    assert_int_equal(first_look(&young, f), 1);
    f[TOC_ALERT_FEATURE_QUIET] = in_time[TOC_ALERT_FEATURE_QUIET]; /* unjudged rows are quiet */
    assert_same_features(in_time, f, "young detector");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_baseline_ends_before_the_alert),
        cmocka_unit_test(samples_may_lie_anywhere_between_two_judgements),
        cmocka_unit_test(a_late_rule_or_look_sees_the_same),
        cmocka_unit_test(values_before_the_first_score_are_the_baseline),
        cmocka_unit_test(a_sample_that_came_after_its_judgement_is_not_the_baseline),
    };
    return cmocka_run_group_tests_name("incident/learn_window", tests, NULL, NULL);
}
