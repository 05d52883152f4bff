/* Scores of small records, counted by hand. */
#include "unit/cmocka_prelude.h"

#include <math.h>

#include "detect/stats.h"
#include "replay/replay_score.h"

enum { MINUTE = 60000, HOUR = 3600000 };
#define MIDNIGHT INT64_C(1767225600000) /* 2026-01-01, UTC */

static struct toc_replay_record record(int64_t hours) {
    struct toc_replay_record r;
    toc_replay_record_init(&r);
    r.from_ms = MIDNIGHT;
    r.to_ms = MIDNIGHT + hours * HOUR;
    struct toc_replay_rule rule = {.name = TOC_SV("A"), .is_alert = true};
    TOC_VEC_PUSH(&r.rules, rule);
    rule.name = TOC_SV("B");
    TOC_VEC_PUSH(&r.rules, rule);
    return r;
}

static void add_alert(struct toc_replay_record *r, const char *rule, uint64_t fingerprint,
                      int64_t fired_min, int64_t ended_min, int64_t told_min) {
    struct toc_replay_alert a = {
        .fingerprint = fingerprint,
        .rule = toc_sv_cstr(rule),
        .fired_ms = MIDNIGHT + fired_min * MINUTE,
        .ended_ms = ended_min < 0 ? 0 : MIDNIGHT + ended_min * MINUTE,
        .first_page_ms = told_min < 0 ? 0 : MIDNIGHT + told_min * MINUTE,
    };
    for (size_t i = 0; i < r->alerts.count; i++)
        if (r->alerts.items[i].fingerprint == fingerprint)
            a.previous_ms = r->alerts.items[i].ended_ms;
    TOC_VEC_PUSH(&r->alerts, a);
}

static void add_page(struct toc_replay_record *r, const char *rule, int64_t at_min,
                     enum toc_flush_reason reason, size_t firing) {
    struct toc_replay_page p = {.at_ms = MIDNIGHT + at_min * MINUTE,
                                .reason = reason,
                                .rule = toc_sv_cstr(rule),
                                .firing = firing};
    TOC_VEC_PUSH(&r->pages, p);
}

static void pages_flaps_and_minutes_are_counted(void **state) {
    (void)state;
    struct toc_replay_record r = record(24);
    struct toc_score s;
    add_alert(&r, "A", 1, 60, 70, 61);
    add_alert(&r, "A", 1, 75, 80, 76);    /* 5 minutes after its end: a flap */
    add_alert(&r, "A", 1, 100, 101, 100); /* 20 minutes after: none */
    add_alert(&r, "B", 2, 1430, -1, -1);  /* until the end, nobody told */
    add_page(&r, "A", 61, TOC_FLUSH_FIRST, 1);
    add_page(&r, "A", 76, TOC_FLUSH_CHANGED, 1);
    add_page(&r, "A", 90, TOC_FLUSH_ALL_RESOLVED, 0);
    add_page(&r, "A", 720, TOC_FLUSH_REPEAT, 1);
    add_page(&r, "A", 719, TOC_FLUSH_FIRST, 1); /* at noon */
    const struct toc_score_options o = {.zone = TOC_SV("UTC")};
    toc_replay_score(&r, &o, &s);
    assert_int_equal(s.all.alerts, 4);
    assert_int_equal(s.all.told, 3);
    assert_int_equal(s.all.pages, 3);
    assert_int_equal(s.all.night_pages, 2);
    assert_int_equal(s.all.reminders, 1);
    assert_int_equal(s.all.flaps, 1);
    assert_int_equal(s.all.firing_ms, (10 + 5 + 1 + 10) * MINUTE);
    assert_true(isnan(s.all.precision));
    assert_false(s.has_known);
    assert_int_equal(s.rules.count, 2);
    assert_int_equal(s.rules.items[1].counts.alerts, 1);
    assert_int_equal(s.rules.items[1].counts.firing_ms, 10 * MINUTE);
    toc_score_fini(&s);
    toc_replay_record_fini(&r);
}

static struct toc_known_incidents known(int64_t start_min, int64_t end_min) {
    struct toc_known_incidents k = {0};
    const struct toc_known_incident i = {MIDNIGHT + start_min * MINUTE, MIDNIGHT + end_min * MINUTE,
                                         TOC_SV("one"), TOC_LABELS_EMPTY};
    assert_int_equal(toc_known_incidents_add(&k, &i), 0);
    return k;
}

static void known_incidents_are_found_missed_and_led(void **state) {
    (void)state;
    struct toc_replay_record r = record(24);
    struct toc_known_incidents k = known(100, 130);
    const struct toc_known_incident missed = {MIDNIGHT + 600 * MINUTE, MIDNIGHT + 601 * MINUTE,
                                              TOC_SV("two"), TOC_LABELS_EMPTY};
    const struct toc_known_incident outside = {MIDNIGHT - 10 * HOUR, MIDNIGHT - 9 * HOUR,
                                               TOC_SV("before"), TOC_LABELS_EMPTY};
    struct toc_score s;
    assert_int_equal(toc_known_incidents_add(&k, &missed), 0);
    assert_int_equal(toc_known_incidents_add(&k, &outside), 0);
    toc_known_incidents_sort(&k);
    add_alert(&r, "B", 9, 80, 89, 81); /* over eleven minutes before: false */
    add_alert(&r, "A", 1, 85, 91, 92); /* nine minutes before: early, told at 92 */
    add_alert(&r, "A", 2, 110, 120, 111);
    add_alert(&r, "A", 3, 134, 140, 135); /* within five minutes after */
    add_alert(&r, "A", 4, 136, 140, 137); /* later: false */
    add_alert(&r, "A", 5, 600, 640, -1);  /* nobody told: neither true nor finding anything */
    const struct toc_score_options o = {.known = &k, .zone = TOC_SV("UTC")};
    toc_replay_score(&r, &o, &s);
    assert_int_equal(s.all.true_alerts, 3);
    assert_int_equal(s.all.false_alerts, 2);
    assert_int_equal(s.known.count, 2);
    assert_int_equal(s.found, 1);
    assert_int_equal(s.missed, 1);
    assert_int_equal(s.known.items[0].lead_ms, 8 * MINUTE);
    assert_float_equal(s.lead_median_s, 480, 1e-9);
    assert_float_equal(s.all.precision, 0.6, 1e-12);
    toc_score_fini(&s);
    toc_known_incidents_fini(&k);
    toc_replay_record_fini(&r);
}

/* Values of R's binom.confint(x, n, method = "wilson"). */
static void wilson_interval_is_the_published_one(void **state) {
    (void)state;
    double low, high;
    toc_wilson_interval(8, 10, &low, &high);
    assert_float_equal(low, 0.4901625, 1e-6);
    assert_float_equal(high, 0.9433178, 1e-6);
    toc_wilson_interval(0, 10, &low, &high);
    assert_float_equal(low, 0, 1e-12);
    assert_float_equal(high, 0.2775328, 1e-6);
    toc_wilson_interval(0, 0, &low, &high);
    assert_true(low == 0 && high == 1);
}

static void differences_are_alerts_without_a_counterpart(void **state) {
    (void)state;
    struct toc_replay_record a = record(24), b = record(24);
    struct toc_replay_difference d;
    add_alert(&a, "A", 1, 10, 20, 10);
    add_alert(&a, "A", 1, 60, 70, 60);
    add_alert(&a, "A", 2, 60, 70, 60);
    add_alert(&b, "A", 1, 15, 16, 15);   /* within the first */
    add_alert(&b, "A", 1, 100, 110, 60); /* a new one */
    add_alert(&b, "A", 2, 71, 80, 71);   /* a minute later: the same with a slack of a minute */
    toc_replay_compare(&a, &b, MINUTE, &d);
    assert_int_equal(d.gained.count, 1);
    assert_int_equal(d.gained.items[0]->fired_ms, MIDNIGHT + 100 * MINUTE);
    assert_int_equal(d.lost.count, 1);
    assert_int_equal(d.lost.items[0]->fired_ms, MIDNIGHT + 60 * MINUTE);
    assert_int_equal(d.lost.items[0]->fingerprint, 1);
    toc_replay_difference_fini(&d);
    toc_replay_record_fini(&a);
    toc_replay_record_fini(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_flaps_and_minutes_are_counted),
        cmocka_unit_test(known_incidents_are_found_missed_and_led),
        cmocka_unit_test(wilson_interval_is_the_published_one),
        cmocka_unit_test(differences_are_alerts_without_a_counterpart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
