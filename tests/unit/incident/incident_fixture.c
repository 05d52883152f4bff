#include "incident_fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../cmocka_prelude.h"

static void count_event(void *ctx, enum toc_incident_event event, const struct toc_incident *i) {
    struct incident_fixture *f = ctx;
    assert_true(i->id[0] != '\0');
    f->events[event]++;
}

static void start(struct incident_fixture *f) {
    toc_incidents_init(&f->store, f->state.db);
    struct toc_incident_options o = {.store = &f->store.base};
    struct toc_err err = {0};
    assert_int_equal(toc_incident_manager_new(&o, f->now, &f->m, &err), 0);
    assert_int_equal(toc_incident_listen(f->m, count_event, f), 0);
}

void incident_fixture_setup(struct incident_fixture *f) {
    memset(f, 0, sizeof *f);
    state_fixture_setup(&f->state);
    f->now = f->state.clock.wall;
    start(f);
}

void incident_fixture_restart(struct incident_fixture *f) {
    toc_incident_manager_free(&f->m);
    state_fixture_reopen(&f->state);
    start(f);
}

void incident_fixture_teardown(struct incident_fixture *f) {
    toc_incident_manager_free(&f->m);
    state_fixture_teardown(&f->state);
}

void incident_fixture_alert(struct incident_fixture *f, enum toc_intake_change change,
                            enum toc_kind kind, const char *rule, const char *subject, int rank) {
    char rank_text[16];
    snprintf(rank_text, sizeof rank_text, "%d", rank);
    struct toc_label labels[] = {{TOC_SV("alertname"), toc_sv_cstr(rule)},
                                 {TOC_SV("rank"), toc_sv_cstr(rank_text)},
                                 {TOC_SV("run"), toc_sv_cstr(subject)}};
    struct toc_evidence evidence = {.title = TOC_SV("Loss"),
                                    .expr = TOC_SV("loss{run=\"a b\"} > 1"),
                                    .value = NAN,
                                    .threshold = 1,
                                    .expected_lower = NAN,
                                    .expected_upper = NAN};
    struct toc_cause cause = {TOC_SV("learning rate *too* high"), 0.75, TOC_SV("lr")};
    struct toc_finding finding = {.kind = kind,
                                  .severity = toc_kind_info(kind)->severity,
                                  .title = toc_sv_cstr(toc_kind_info(kind)->title),
                                  .summary = TOC_SV("It went | wrong"),
                                  .action = TOC_SV("Stop it"),
                                  .has_step = true,
                                  .step = 412,
                                  .evidence = &evidence,
                                  .evidence_count = 1,
                                  .causes = &cause,
                                  .cause_count = 1,
                                  .first_seen = {f->now.ms - 1500}};
    struct toc_alert a = {
        .labels = {labels, 3}, .starts_at = f->now, .value = NAN, .finding = &finding};
    toc_incident_intake_alert(f->m, &a, change, f->now);
}

void incident_fixture_pass(struct incident_fixture *f, int64_t seconds) {
    for (int64_t s = 0; s < seconds; s++) {
        f->now.ms += 1000;
        toc_incident_tick(f->m, f->now);
    }
}

static int act(struct incident_fixture *f, const char *id, const struct toc_incident_action *a,
               struct toc_err *err) {
    char full[64];
    snprintf(full, sizeof full, "I-20261124-%s", id);
    struct toc_incident out;
    int rc = toc_incident_act(f->m, toc_sv_cstr(full), a, f->now, &out, err);
    if (rc == 0)
        toc_incident_fini(&out);
    return rc;
}

int incident_fixture_act(struct incident_fixture *f, const char *id,
                         enum toc_incident_action_type type, const char *comment,
                         struct toc_err *err) {
    struct toc_incident_action a = {.type = type,
                                    .actor = TOC_SV("anna"),
                                    .comment = toc_sv_cstr(comment),
                                    .assignee = TOC_SV("bert")};
    return act(f, id, &a, err);
}

int incident_fixture_verdict(struct incident_fixture *f, const char *id, enum toc_verdict v,
                             const char *duplicate_of, struct toc_err *err) {
    char other[64];
    snprintf(other, sizeof other, "I-20261124-%s", duplicate_of ? duplicate_of : "");
    struct toc_incident_action a = {.type = TOC_INCIDENT_ACTION_VERDICT,
                                    .actor = TOC_SV("anna"),
                                    .verdict = v,
                                    .duplicate_of = toc_sv_cstr(duplicate_of ? other : NULL)};
    return act(f, id, &a, err);
}

static int put_state(void *ctx, const struct toc_incident *i) {
    char *out = ctx;
    char one[64];
    snprintf(one, sizeof one, "%s=%s ", i->id + 11, toc_incident_state_text(i->state));
    memmove(out + strlen(one), out, strlen(out) + 1); /* listed newest first */
    memcpy(out, one, strlen(one));
    return 0;
}

const char *incident_fixture_states(struct incident_fixture *f) {
    static char text[8192];
    text[0] = '\0';
    struct toc_incident_filter all = {0};
    assert_int_equal(toc_incident_list(f->m, &all, put_state, text, NULL), 0);
    return text;
}
