#include "../cmocka_prelude.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "incident/summary.h"
#include "incident_fixture.h"
#include "sys/thread.h"

static struct incident_fixture g_f;

static int setup(void **state) {
    (void)state;
    incident_fixture_setup(&g_f);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    state_disk_set(DISK_FINE);
    incident_fixture_teardown(&g_f);
    return 0;
}

#define FIRE(kind, rule, run, rank) \
    incident_fixture_alert(&g_f, TOC_INTAKE_FIRING, TOC_KIND_##kind, rule, run, rank)
#define QUIET(kind, rule, run, rank) \
    incident_fixture_alert(&g_f, TOC_INTAKE_RESOLVED, TOC_KIND_##kind, rule, run, rank)
#define ACT(id, type) incident_fixture_act(&g_f, id, TOC_INCIDENT_ACTION_##type, NULL, NULL)
#define assert_states(want) assert_string_equal(incident_fixture_states(&g_f), want)

static struct toc_incident get(const char *id) {
    struct toc_incident i;
    char full[32] = "I-20261124-";
    strcat(full, id);
    assert_int_equal(toc_incident_get(g_f.m, toc_sv_cstr(full), &i, NULL), 0);
    return i;
}

static void a_recovery_must_hold_before_it_is_believed(void **state) {
    (void)state;
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    assert_states("0001=triggered ");
    incident_fixture_pass(&g_f, 30);
    QUIET(LOSS_SPIKE, "Spike", "demo", 0);
    assert_states("0001=monitoring ");
    incident_fixture_pass(&g_f, 9);
    assert_states("0001=monitoring ");
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    assert_states("0001=triggered ");
    QUIET(LOSS_SPIKE, "Spike", "demo", 0);
    incident_fixture_pass(&g_f, 10);
    assert_states("0001=resolved ");
    struct toc_incident i = get("0001");
    assert_sv_equal(i.resolved_by, "tocsin");
    assert_int_equal(i.resolved_at.ms - i.detected_at.ms, 49000);
    struct toc_incident_durations d = toc_incident_durations(&i);
    assert_true(d.detect_s == 1.5 && d.resolve_s == 49);
    toc_incident_fini(&i);
    assert_int_equal(g_f.events[TOC_INCIDENT_EVENT_TRIGGERED], 1);
    assert_int_equal(g_f.events[TOC_INCIDENT_EVENT_RESOLVED], 1);
}

static void a_thousand_ranks_are_one_incident(void **state) {
    (void)state;
    static const enum toc_kind kinds[] = {TOC_KIND_STRAGGLER, TOC_KIND_LOG_NOVELTY, TOC_KIND_HANG,
                                          TOC_KIND_GPU_LOST};
    char rule[16];
    for (int line = 0; line < 40; line++)
        for (int rank = 0; rank < 512; rank++) {
            snprintf(rule, sizeof rule, "R%d", line);
            enum toc_kind kind = line == 0 && rank == 77 ? TOC_KIND_GPU_LOST : kinds[line % 3];
            incident_fixture_alert(&g_f, TOC_INTAKE_FIRING, kind, rule, "big", rank);
        }
    assert_states("0001=triggered ");
    incident_fixture_pass(&g_f, 1);
    struct toc_incident i = get("0001");
    assert_int_equal(i.kind, TOC_KIND_GPU_LOST);
    assert_int_equal(i.alerts.count, 20480);
    int64_t count = 0;
    for (size_t n = 0; n < i.cascade_count; n++)
        count += i.cascades[n].count;
    assert_int_equal(count, 20479);
    toc_incident_fini(&i);
    assert_int_equal(g_f.events[TOC_INCIDENT_EVENT_TRIGGERED], 1);
    incident_fixture_restart(&g_f);
    i = get("0001");
    assert_int_equal(i.alerts.count, 20480);
    toc_incident_fini(&i);
}

static void the_highest_rank_names_the_incident_unless_somebody_took_it(void **state) {
    (void)state;
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    FIRE(NON_FINITE, "NaN", "demo", 0);
    FIRE(THROUGHPUT_DROP, "Slow", "demo", 0);
    struct toc_incident i = get("0001");
    assert_int_equal(i.kind, TOC_KIND_NON_FINITE);
    assert_int_equal(i.severity, TOC_SEVERITY_CRITICAL);
    assert_sv_equal(i.rule, "NaN");
    assert_int_equal(i.cascade_count, 2);
    assert_int_equal(i.cascades[0].kind, TOC_KIND_LOSS_SPIKE);
    toc_incident_fini(&i);
    assert_int_equal(ACT("0001", ACKNOWLEDGE), 0);
    FIRE(GPU_LOST, "Gpu", "demo", 0);
    i = get("0001");
    assert_int_equal(i.kind, TOC_KIND_NON_FINITE);
    assert_int_equal(i.cascade_count, 3);
    toc_incident_fini(&i);
    FIRE(GPU_LOST, "Gpu", "other", 0); /* another subject */
    assert_states("0001=acknowledged 0002=triggered ");
}

static void flapping_reopens_and_later_it_is_a_new_one(void **state) {
    (void)state;
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    QUIET(LOSS_SPIKE, "Spike", "demo", 0);
    incident_fixture_pass(&g_f, 11);
    assert_states("0001=resolved ");
    incident_fixture_pass(&g_f, 200);
    incident_fixture_restart(&g_f);
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    assert_states("0001=triggered ");
    assert_int_equal(g_f.events[TOC_INCIDENT_EVENT_REOPENED], 1);
    QUIET(LOSS_SPIKE, "Spike", "demo", 0);
    incident_fixture_pass(&g_f, 11);
    FIRE(LOSS_SPIKE, "Spike", "demo", 1); /* the same signal from another rank */
    assert_states("0001=triggered ");
    QUIET(LOSS_SPIKE, "Spike", "demo", 1);
    incident_fixture_pass(&g_f, 400);
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    assert_states("0001=resolved 0002=triggered ");
}

static void persons_act_and_refusals_are_sentences(void **state) {
    (void)state;
    struct toc_err err = {0};
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    assert_int_equal(ACT("0009", ACKNOWLEDGE), TOC_ENOENT);
    assert_int_equal(ACT("0001", REVIEW), TOC_ECONFLICT);
    assert_int_equal(ACT("0001", COMMENT), TOC_EINVAL);
    assert_int_equal(
        incident_fixture_act(&g_f, "0001", TOC_INCIDENT_ACTION_ACKNOWLEDGE, "on it", NULL), 0);
    assert_int_equal(
        incident_fixture_act(&g_f, "0001", TOC_INCIDENT_ACTION_ACKNOWLEDGE, NULL, &err),
        TOC_ECONFLICT);
    assert_non_null(strstr(err.message, "acknowledged already by anna"));
    assert_int_equal(ACT("0001", ASSIGN), 0);
    assert_int_equal(ACT("0001", MITIGATE), 0);
    assert_int_equal(ACT("0001", RESOLVE), 0);
    assert_int_equal(ACT("0001", RESOLVE), TOC_ECONFLICT);
    assert_states("0001=resolved ");
    incident_fixture_restart(&g_f);
    assert_int_equal(ACT("0001", REVIEW), 0);
    toc_err_reset(&err);
    assert_int_equal(incident_fixture_verdict(&g_f, "0001", TOC_VERDICT_TRUE, NULL, &err),
                     TOC_ECONFLICT);
    assert_non_null(strstr(err.message, "its verdict stands"));
    struct toc_buf json = TOC_BUF_INIT;
    assert_int_equal(toc_incident_detail_json(g_f.m, TOC_SV("I-20261124-0001"), &json, NULL), 0);
    assert_non_null(
        strstr(toc_buf_cstr(&json), "\"type\":\"acknowledged\",\"text\":\"Acknowledged: on it\""));
    toc_buf_fini(&json);
    assert_int_equal(g_f.events[TOC_INCIDENT_EVENT_ACKNOWLEDGED], 1);
}

static void resolved_by_hand_but_still_firing_comes_back(void **state) {
    (void)state;
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    assert_int_equal(ACT("0001", RESOLVE), 0);
    FIRE(LOSS_SPIKE, "Spike", "demo", 0); /* the same firing, seen again */
    incident_fixture_pass(&g_f, 290);
    assert_states("0001=resolved ");
    incident_fixture_pass(&g_f, 20);
    assert_states("0001=triggered ");
}

static void a_false_alarm_stays_closed_while_it_fires_but_a_hard_kind_does_not(void **state) {
    (void)state;
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    FIRE(OOM, "Oom", "other", 0);
    assert_int_equal(incident_fixture_verdict(&g_f, "0001", TOC_VERDICT_FALSE, NULL, NULL), 0);
    assert_int_equal(incident_fixture_verdict(&g_f, "0002", TOC_VERDICT_FALSE, NULL, NULL), 0);
    assert_states("0001=false_alarm 0002=triggered ");
    incident_fixture_pass(&g_f, 600);
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    assert_states("0001=false_alarm 0002=triggered ");
    assert_int_equal(incident_fixture_verdict(&g_f, "0001", TOC_VERDICT_TRUE, NULL, NULL), 0);
    assert_states("0001=triggered 0002=triggered ");
    QUIET(OOM, "Oom", "other", 0);
    incident_fixture_pass(&g_f, 11);
    assert_states("0001=triggered 0002=false_alarm ");
}

static void a_duplicate_names_an_existing_original(void **state) {
    (void)state;
    struct toc_err err = {0};
    FIRE(LOSS_SPIKE, "Spike", "a", 0);
    FIRE(LOSS_SPIKE, "Spike", "b", 0);
    FIRE(LOSS_SPIKE, "Spike", "c", 0);
    assert_int_equal(incident_fixture_verdict(&g_f, "0001", TOC_VERDICT_DUPLICATE, "0001", NULL),
                     TOC_EINVAL);
    assert_int_equal(incident_fixture_verdict(&g_f, "0001", TOC_VERDICT_DUPLICATE, "0044", NULL),
                     TOC_ENOENT);
    assert_int_equal(incident_fixture_verdict(&g_f, "0001", TOC_VERDICT_DUPLICATE, "0002", NULL),
                     0);
    assert_int_equal(incident_fixture_verdict(&g_f, "0003", TOC_VERDICT_DUPLICATE, "0001", &err),
                     TOC_ECONFLICT);
    assert_non_null(strstr(err.message, "I-20261124-0002"));
    assert_states("0001=duplicate_of 0002=triggered 0003=triggered ");
}

static void silenced_alerts_open_no_page_until_the_silence_ends(void **state) {
    (void)state;
    incident_fixture_alert(&g_f, TOC_INTAKE_SUPPRESSED, TOC_KIND_LOSS_SPIKE, "Spike", "demo", 0);
    assert_states("0001=suppressed_by ");
    assert_int_equal(g_f.events[TOC_INCIDENT_EVENT_TRIGGERED], 0);
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    assert_states("0001=triggered ");
    assert_int_equal(g_f.events[TOC_INCIDENT_EVENT_TRIGGERED], 1);
    incident_fixture_alert(&g_f, TOC_INTAKE_SUPPRESSED, TOC_KIND_LOSS_SPIKE, "Spike", "demo", 0);
    assert_states("0001=suppressed_by ");
    QUIET(LOSS_SPIKE, "Spike", "demo", 0);
    incident_fixture_pass(&g_f, 11);
    assert_states("0001=resolved ");
}

static void the_first_delivery_is_the_notification(void **state) {
    (void)state;
    struct toc_sv id = TOC_SV("I-20261124-0001");
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    g_f.now.ms += 700;
    assert_int_equal(toc_incident_notified(g_f.m, id, TOC_SV("ops by email"), g_f.now, NULL), 0);
    assert_states("0001=notified ");
    g_f.now.ms += 700;
    assert_int_equal(toc_incident_notified(g_f.m, id, TOC_SV("dev by sms"), g_f.now, NULL), 0);
    struct toc_incident i = get("0001");
    assert_true(toc_incident_durations(&i).notify_s == 0.7);
    toc_incident_fini(&i);
    char of[TOC_INCIDENT_ID_MAX];
    toc_incident_of_alert(g_f.m, 1, of);
    assert_string_equal(of, "");
}

static void alerts_that_nobody_repeats_after_a_restart_expire(void **state) {
    (void)state;
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    incident_fixture_restart(&g_f);
    incident_fixture_pass(&g_f, 299);
    assert_states("0001=triggered ");
    incident_fixture_pass(&g_f, 12);
    assert_states("0001=resolved ");
}

static void a_full_disk_does_not_stop_the_alerting(void **state) {
    (void)state;
    toc_incident_manager_free(&g_f.m);
    toc_statedb_close(&g_f.state.db);
    state_disk_install();
    assert_int_equal(state_fixture_open(&g_f.state, NULL), 0);
    toc_incidents_init(&g_f.store, g_f.state.db);
    incident_fixture_restart(&g_f);
    state_disk_set(DISK_FULL);
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    assert_int_equal(g_f.events[TOC_INCIDENT_EVENT_TRIGGERED], 1);
    struct toc_incident_counters c;
    toc_incident_get_counters(g_f.m, &c);
    assert_int_equal(c.unsaved_count, 1);
    struct toc_incident_action a = {.type = TOC_INCIDENT_ACTION_ACKNOWLEDGE,
                                    .actor = TOC_SV("anna")};
    struct toc_err err = {0};
    struct toc_sv id = TOC_SV("I-20261124-T132000000");
    assert_int_equal(toc_incident_act(g_f.m, id, &a, g_f.now, NULL, &err), TOC_ENOSPC);
    state_disk_set(DISK_FINE);
    assert_int_equal(toc_incident_act(g_f.m, id, &a, g_f.now, NULL, &err), 0);
    toc_incident_get_counters(g_f.m, &c);
    assert_int_equal(c.unsaved_count, 0);
    assert_states("T132000000=acknowledged ");
    FIRE(LOSS_SPIKE, "Spike", "b", 0);
    assert_states("T132000000=acknowledged 0001=triggered ");
}

static void the_summary_is_safe_markdown(void **state) {
    (void)state;
    FIRE(LOSS_SPIKE, "Spike", "demo<img src=x>|`", 0);
    FIRE(NON_FINITE, "NaN", "demo<img src=x>|`", 0);
    assert_int_equal(incident_fixture_act(&g_f, "0001", TOC_INCIDENT_ACTION_COMMENT,
                                          "see [here](javascript:x)\n# head", NULL),
                     0);
    assert_int_equal(ACT("0001", RESOLVE), 0);
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    assert_int_equal(toc_incident_summary(g_f.m, TOC_SV("I-20261124-0001"), &a, NULL), 0);
    incident_fixture_restart(&g_f);
    assert_int_equal(toc_incident_summary(g_f.m, TOC_SV("I-20261124-0001"), &b, NULL), 0);
    const char *text = toc_buf_cstr(&a);
    assert_string_equal(text, toc_buf_cstr(&b));
    assert_null(strstr(text, "<img"));
    assert_null(strstr(text, "[here]("));
    assert_null(strstr(text, "\n# head"));
    assert_non_null(strstr(text, "# I-20261124-0001: Non-finite values in training"));
    assert_non_null(
        strstr(text, "| Detected (since the start) | 2026-11-24T13:20:00.000Z | 1.5s |"));
    assert_non_null(strstr(text, "| loss_spike | Loss spike |"));
    assert_non_null(strstr(text, "75 %: learning rate \\*too\\* high"));
    toc_buf_fini(&a);
    toc_buf_fini(&b);
}

static void charts_are_linked_with_encoded_expressions(void **state) {
    (void)state;
    FIRE(LOSS_SPIKE, "Spike", "demo", 0);
    struct toc_incident i = get("0001");
    assert_sv_equal(i.evidence[0].chart_url, "/#/explore?expr=loss%7Brun%3D%22a%20b%22%7D%20%3E%201"
                                             "&from=1795525798500&to=1795526700000");
    toc_incident_fini(&i);
}

struct worker {
    struct toc_thread thread;
    int number;
};

static void feed(void *ctx) {
    const struct worker *w = ctx;
    char subject[16];
    snprintf(subject, sizeof subject, "t%d", w->number % 2);
    struct toc_label labels[] = {{TOC_SV("alertname"), TOC_SV("R")},
                                 {TOC_SV("run"), toc_sv_cstr(subject)}};
    struct toc_alert a = {.labels = {labels, 2}, .starts_at = g_f.now};
    struct toc_sv id = TOC_SV("I-20261124-0001");
    struct toc_incident_action comment = {
        .type = TOC_INCIDENT_ACTION_COMMENT, .actor = TOC_SV("anna"), .comment = TOC_SV("x")};
    for (int n = 0; n < 20; n++) {
        struct toc_buf json = TOC_BUF_INIT;
        struct toc_incident_counters counters;
        toc_incident_intake_alert(g_f.m, &a, n % 3 ? TOC_INTAKE_FIRING : TOC_INTAKE_RESOLVED,
                                  g_f.now);
        toc_incident_tick(g_f.m, (struct toc_ts){g_f.now.ms + n * 100});
        int rc = toc_incident_act(g_f.m, id, &comment, g_f.now, NULL, NULL);
        assert_true(rc == 0 || rc == TOC_ENOENT);
        rc = toc_incident_detail_json(g_f.m, id, &json, NULL);
        assert_true(rc == 0 || rc == TOC_ENOENT);
        toc_incident_get_counters(g_f.m, &counters);
        toc_buf_fini(&json);
    }
}

static void many_threads_share_the_manager(void **state) {
    (void)state;
    struct worker workers[4];
    for (int n = 0; n < 4; n++) {
        workers[n] = (struct worker){.number = n};
        assert_int_equal(toc_thread_start(&workers[n].thread, "feeder", feed, &workers[n]), 0);
    }
    for (int n = 0; n < 4; n++)
        toc_thread_join(&workers[n].thread);
    FIRE(LOSS_SPIKE, "Spike", "t9", 0);
    assert_non_null(strstr(incident_fixture_states(&g_f), "0003="));
    assert_null(strstr(incident_fixture_states(&g_f), "0004="));
}

/* An alert from logs: knows its cause, counts its consequences. */
static void fire_from_logs(enum toc_severity severity, const char *title, int64_t count) {
    const struct toc_label labels[] = {{TOC_SV("alertname"), TOC_SV("data_starvation")},
                                       {TOC_SV("run"), TOC_SV("demo")},
                                       {TOC_SV("source"), TOC_SV("logs")}};
    const struct toc_finding_cascade cascades[] = {
        {TOC_KIND_HANG, TOC_SV("nccl_err"), TOC_SV("Communication failed"), g_f.now, count},
        {TOC_KIND_CRASH, TOC_SV("sigkill"), TOC_SV("A process ended"), g_f.now, 1}};
    const struct toc_finding finding = {.kind = TOC_KIND_DATA_STARVATION,
                                        .severity = severity,
                                        .title = toc_sv_cstr(title),
                                        .first_seen = g_f.now,
                                        .cascades = cascades,
                                        .cascade_count = 2,
                                        .names_cause = true};
    const struct toc_alert a = {
        .labels = {labels, 3}, .starts_at = g_f.now, .value = 1, .finding = &finding};
    toc_incident_intake_alert(g_f.m, &a, TOC_INTAKE_FIRING, g_f.now);
}

static void a_cause_from_logs_names_the_incident_and_its_cascades_grow(void **state) {
    (void)state;
    FIRE(CRASH, "crash", "demo", 0); /* higher in rank, but a consequence */
    fire_from_logs(TOC_SEVERITY_WARNING, "The data loader failed: rank 3", 100);
    assert_states("0001=triggered ");
    struct toc_incident i = get("0001");
    assert_int_equal(i.kind, TOC_KIND_DATA_STARVATION);
    assert_sv_equal(i.title, "The data loader failed: rank 3");
    assert_int_equal(i.cascade_count, 3);
    toc_incident_fini(&i);

    fire_from_logs(TOC_SEVERITY_CRITICAL, "The data loader failed: rank 3 on node7", 20440);
    FIRE(OOM, "oom", "demo", 0);
    incident_fixture_pass(&g_f, 1);
    i = get("0001");
    assert_int_equal(i.kind, TOC_KIND_DATA_STARVATION);
    assert_sv_equal(i.title, "The data loader failed: rank 3 on node7");
    assert_int_equal(i.severity, TOC_SEVERITY_CRITICAL);
    assert_int_equal(i.cascade_count, 4);
    int64_t most = 0;
    for (size_t n = 0; n < i.cascade_count; n++)
        most = TOC_MAX(most, i.cascades[n].count);
    assert_int_equal(most, 20440);
    toc_incident_fini(&i);
    assert_int_equal(g_f.events[TOC_INCIDENT_EVENT_TRIGGERED], 1);
}

/* Alerts of many runs that come with one call, as the doctor sends what one look found. */
static void intake_storm(struct incident_fixture *f, size_t count) {
    struct toc_alert alerts[32];
    enum toc_intake_change changes[32] = {0};
    struct toc_label labels[32][2];
    struct toc_finding findings[32];
    char runs[32][8];
    for (size_t n = 0; n < count; n++) {
        const struct toc_kind_info *kind = toc_kind_info(TOC_KIND_OOM);
        snprintf(runs[n], sizeof runs[n], "r%zu", n);
        labels[n][0] = (struct toc_label){TOC_SV("alertname"), TOC_SV("Oom")};
        labels[n][1] = (struct toc_label){TOC_SV("run"), toc_sv_cstr(runs[n])};
        findings[n] = (struct toc_finding){.kind = TOC_KIND_OOM,
                                           .severity = kind->severity,
                                           .title = toc_sv_cstr(kind->title),
                                           .first_seen = f->now};
        alerts[n] = (struct toc_alert){
            .labels = {labels[n], 2}, .starts_at = f->now, .finding = &findings[n]};
        changes[n] = TOC_INTAKE_FIRING;
    }
    toc_incident_intake(f->m, alerts, changes, count, f->now);
}

static void a_storm_is_stored_in_one_transaction(void **state) {
    (void)state;
    struct toc_statedb_health before, after;
    toc_statedb_get_health(g_f.state.db, &before);
    intake_storm(&g_f, 20);
    toc_statedb_get_health(g_f.state.db, &after);
    assert_int_equal(after.writes - before.writes, 1);
    assert_int_equal(g_f.events[TOC_INCIDENT_EVENT_TRIGGERED], 20);
    incident_fixture_restart(&g_f);
    for (size_t n = 1; n <= 20; n++) {
        char id[8];
        snprintf(id, sizeof id, "%04zu", n);
        struct toc_incident i = get(id);
        assert_int_equal(i.alerts.count, 1);
        toc_incident_fini(&i);
    }
}

static void a_storm_on_a_full_disk_is_told_and_stored_later(void **state) {
    (void)state;
    toc_incident_manager_free(&g_f.m);
    toc_statedb_close(&g_f.state.db);
    state_disk_install();
    assert_int_equal(state_fixture_open(&g_f.state, NULL), 0);
    toc_incidents_init(&g_f.store, g_f.state.db);
    incident_fixture_restart(&g_f);
    state_disk_set(DISK_FULL);
    intake_storm(&g_f, 3);
    assert_int_equal(g_f.events[TOC_INCIDENT_EVENT_TRIGGERED], 3);
    struct toc_incident_counters c;
    toc_incident_get_counters(g_f.m, &c);
    assert_int_equal(c.unsaved_count, 3);
    state_disk_set(DISK_FINE);
    incident_fixture_pass(&g_f, 2);
    toc_incident_get_counters(g_f.m, &c);
    assert_int_equal(c.unsaved_count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_recovery_must_hold_before_it_is_believed),
        T(a_thousand_ranks_are_one_incident),
        T(a_cause_from_logs_names_the_incident_and_its_cascades_grow),
        T(the_highest_rank_names_the_incident_unless_somebody_took_it),
        T(flapping_reopens_and_later_it_is_a_new_one),
        T(persons_act_and_refusals_are_sentences),
        T(resolved_by_hand_but_still_firing_comes_back),
        T(a_false_alarm_stays_closed_while_it_fires_but_a_hard_kind_does_not),
        T(a_duplicate_names_an_existing_original),
        T(silenced_alerts_open_no_page_until_the_silence_ends),
        T(the_first_delivery_is_the_notification),
        T(alerts_that_nobody_repeats_after_a_restart_expire),
        T(the_summary_is_safe_markdown),
        T(charts_are_linked_with_encoded_expressions),
        T(many_threads_share_the_manager),
        T(a_full_disk_does_not_stop_the_alerting),
        T(a_storm_is_stored_in_one_transaction),
        T(a_storm_on_a_full_disk_is_told_and_stored_later),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
