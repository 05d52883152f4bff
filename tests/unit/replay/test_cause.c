/* First guesses why alerts were false. */
#include "unit/cmocka_prelude.h"

#include "promql/memory_querier.h"
#include "replay/replay_cause.h"

enum { MINUTE = 60000, HOUR = 3600000, STEP_MS = 60000 };
#define MIDNIGHT INT64_C(1767225600000) /* 2026-01-01, UTC */
#define DAY INT64_C(86400000)

struct world {
    struct toc_memory_querier db;
    struct toc_replay_record record;
    struct toc_known_incidents known; /* none: every told alert is false */
    struct toc_score score;
    struct toc_causes causes;
};

static void put(struct world *w, const char *instance, int64_t from_ms, int64_t to_ms) {
    struct toc_label l[] = {{TOC_METRIC_NAME, TOC_SV("x")},
                            {TOC_SV("instance"), toc_sv_cstr(instance)}};
    for (int64_t t = from_ms; t < to_ms; t += STEP_MS)
        toc_memory_querier_add(&w->db, (struct toc_labels){l, 2}, t, 5);
}

static void begin(struct world *w, bool reads_detectors) {
    *w = (struct world){0};
    toc_memory_querier_init(&w->db);
    toc_replay_record_init(&w->record);
    w->record.from_ms = MIDNIGHT;
    w->record.to_ms = MIDNIGHT + 30 * DAY;
    const struct toc_replay_rule rule = {.name = TOC_SV("A"),
                                         .expr = TOC_SV("x > 1"),
                                         .is_alert = true,
                                         .reads_detectors = reads_detectors};
    TOC_VEC_PUSH(&w->record.rules, rule);
}

static void add_alert(struct world *w, const char *instance, int64_t fired_ms) {
    struct toc_label l[] = {{TOC_SV("alertname"), TOC_SV("A")},
                            {TOC_SV("instance"), toc_sv_cstr(instance)}};
    struct toc_replay_alert a = {.fingerprint = w->record.alerts.count,
                                 .rule = TOC_SV("A"),
                                 .fired_ms = fired_ms,
                                 .ended_ms = fired_ms + 5 * MINUTE,
                                 .first_page_ms = fired_ms};
    a.labels = toc_labels_dup_arena((struct toc_labels){l, 2}, &w->record.arena);
    TOC_VEC_PUSH(&w->record.alerts, a);
}

static const uint64_t *judge(struct world *w) {
    const struct toc_score_options o = {.known = &w->known, .zone = TOC_SV("UTC")};
    toc_replay_score(&w->record, &o, &w->score);
    toc_replay_causes(&w->record, &w->score, &w->db.querier, STEP_MS, &w->causes);
    assert_int_equal(w->causes.count, 1);
    return w->causes.items[0].counts;
}

static void end(struct world *w) {
    toc_causes_fini(&w->causes);
    toc_score_fini(&w->score);
    toc_replay_record_fini(&w->record);
    toc_memory_querier_fini(&w->db);
}

static void fresh_gappy_and_vanishing_series_are_data(void **state) {
    (void)state;
    struct world w;
    int64_t noon = MIDNIGHT + 12 * HOUR;
    begin(&w, false);
    put(&w, "whole", noon - 2 * HOUR, noon + 2 * HOUR);
    put(&w, "fresh", noon - 10 * MINUTE, noon + 2 * HOUR);
    put(&w, "gone", noon - 2 * HOUR, noon - MINUTE);
    put(&w, "gaps", noon - 2 * HOUR, noon - 50 * MINUTE);
    put(&w, "gaps", noon - 25 * MINUTE, noon + 2 * HOUR);
    add_alert(&w, "whole", noon);
    add_alert(&w, "fresh", noon);
    add_alert(&w, "gone", noon);
    add_alert(&w, "gaps", noon);
    const uint64_t *n = judge(&w);
    assert_int_equal(n[TOC_FALSE_CAUSE_DATA], 3);
    assert_int_equal(n[TOC_FALSE_CAUSE_THRESHOLD], 1);
    assert_false(w.causes.items[0].is_poor); /* four say too little */
    end(&w);
}

static void same_hours_on_many_days_are_season(void **state) {
    (void)state;
    struct world w;
    begin(&w, false);
    for (int day = 0; day < 10; day++) {
        put(&w, "a", MIDNIGHT + day * DAY, MIDNIGHT + (day + 1) * DAY);
        add_alert(&w, "a", MIDNIGHT + day * DAY + (day % 3 ? 2 : 4) * HOUR);
        if (day % 5 == 0)
            add_alert(&w, "a", MIDNIGHT + day * DAY + 15 * HOUR);
    }
    const uint64_t *n = judge(&w);
    assert_int_equal(n[TOC_FALSE_CAUSE_SEASON], 10);
    assert_int_equal(n[TOC_FALSE_CAUSE_THRESHOLD], 2);
    assert_true(w.causes.items[0].is_poor);
    end(&w);
}

static void rules_on_detectors_blame_the_model(void **state) {
    (void)state;
    struct world w;
    begin(&w, true);
    put(&w, "a", MIDNIGHT, MIDNIGHT + DAY);
    for (int i = 0; i < 5; i++) /* on one day: no season */
        add_alert(&w, "a", MIDNIGHT + (2 + i) * HOUR);
    const uint64_t *n = judge(&w);
    assert_int_equal(n[TOC_FALSE_CAUSE_MODEL], 5);
    end(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_gappy_and_vanishing_series_are_data),
        cmocka_unit_test(same_hours_on_many_days_are_season),
        cmocka_unit_test(rules_on_detectors_blame_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
