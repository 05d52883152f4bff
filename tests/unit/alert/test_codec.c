/* Alerts with findings of every severity and kind come back from their stored form as they were. */
#include "../cmocka_prelude.h"

#include <math.h>

#include "alert/manager_priv.h"

static void round_trip(enum toc_severity severity, enum toc_kind kind) {
    const struct toc_evidence evidence[] = {
        {TOC_SV("Loss"), TOC_SV("train_loss"), TOC_SV("s"), NAN, 2, -1, INFINITY}};
    const struct toc_cause causes[] = {{TOC_SV("a cause"), 0.5, TOC_SV("")}};
    const struct toc_finding_cascade cascades[] = {
        {TOC_KIND_HANG, TOC_SV("nccl_err"), TOC_SV("a cascade"), {1795533921822}, 20440}};
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
                                        .cause_count = 1,
                                        .cascades = cascades,
                                        .cascade_count = 1,
                                        .names_cause = true};
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
    assert_true(e.finding.names_cause);
    assert_int_equal(e.finding.cascade_count, 1);
    assert_int_equal(e.finding.cascades[0].kind, TOC_KIND_HANG);
    assert_sv_equal(e.finding.cascades[0].name, "nccl_err");
    assert_sv_equal(e.finding.cascades[0].title, "a cascade");
    assert_int_equal(e.finding.cascades[0].started_at.ms, 1795533921822);
    assert_int_equal(e.finding.cascades[0].count, 20440);
    toc_buf_fini(&e.bytes);
    toc_arena_fini(&e.arena);
}

static void findings_round_trip(void **state) {
    (void)state;
    for (int s = TOC_SEVERITY_INFO; s <= TOC_SEVERITY_CRITICAL; s++)
        for (int k = 0; k < TOC_KIND_COUNT; k++)
            round_trip((enum toc_severity)s, (enum toc_kind)k);
}

/* As the release before wrote them: version 1, and nothing behind the causes. */
static void what_an_older_release_stored_is_read(void **state) {
    const struct toc_finding finding = {.kind = TOC_KIND_OOM, .title = TOC_SV("title")};
    const struct toc_alert alert = {.starts_at = {5}, .finding = &finding};
    struct alert_entry e = {0};
    (void)state;
    toc_alert_encode(&alert, 0, &e.bytes);
    e.bytes.p[0] = 1;
    e.bytes.n -= 2; /* names_cause, no cascades */
    assert_int_equal(toc_alert_decode(&e), 0);
    assert_sv_equal(e.finding.title, "title");
    assert_int_equal(e.finding.cascade_count, 0);
    assert_false(e.finding.names_cause);
    e.bytes.p[0] = 3;
    toc_arena_fini(&e.arena);
    assert_int_equal(toc_alert_decode(&e), TOC_EVERSION);
    toc_buf_fini(&e.bytes);
    toc_arena_fini(&e.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(findings_round_trip),
                                       cmocka_unit_test(what_an_older_release_stored_is_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
