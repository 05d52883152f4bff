/* Alerts with findings of every severity and kind come back from their stored form as they were. */
#include "../cmocka_prelude.h"

#include <math.h>

#include "alert/manager_priv.h"

static void round_trip(enum toc_severity severity, enum toc_kind kind) {
    const struct toc_evidence evidence[] = {
        {TOC_SV("Loss"), TOC_SV("train_loss"), TOC_SV("s"), NAN, 2, -1, INFINITY}};
    const struct toc_cause causes[] = {{TOC_SV("a cause"), 0.5, TOC_SV("")}};
    const struct toc_finding finding = {.kind = kind,
                                        .severity = severity,
                                        .title = TOC_SV("title"),
                                        .summary = TOC_SV("summary"),
                                        .action = TOC_SV("action"),
                                        .has_step = true,
                                        .step = 77,
                                        .first_seen = {1795533921821},
                                        .evidence = evidence,
                                        .evidence_count = 1,
                                        .causes = causes,
                                        .cause_count = 1};
    const struct toc_label label = {TOC_SV("alertname"), TOC_SV("x")};
    const struct toc_alert alert = {
        .labels = {&label, 1}, .starts_at = {5}, .value = 3, .finding = &finding};
    struct alert_entry e = {0};
    toc_alert_encode(&alert, 0, &e.bytes);
    assert_int_equal(toc_alert_decode(&e), 0);
    assert_non_null(e.alert.finding);
    assert_int_equal(e.finding.severity, severity);
    assert_int_equal(e.finding.kind, kind);
    assert_int_equal(e.finding.step, 77);
    assert_int_equal(e.finding.first_seen.ms, 1795533921821);
    assert_int_equal(e.finding.evidence_count, 1);
    assert_true(isnan(e.finding.evidence[0].value));
    assert_sv_equal(e.finding.causes[0].text, "a cause");
    toc_buf_fini(&e.bytes);
    toc_arena_fini(&e.arena);
}

static void findings_round_trip(void **state) {
    (void)state;
    for (int s = TOC_SEVERITY_INFO; s <= TOC_SEVERITY_CRITICAL; s++)
        for (int k = 0; k < TOC_KIND_COUNT; k++)
            round_trip((enum toc_severity)s, (enum toc_kind)k);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(findings_round_trip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
