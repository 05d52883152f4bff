/* An incident manager on a real state database, fed with hand-made alerts under a virtual time. */
#ifndef TOC_TESTS_INCIDENT_FIXTURE_H
#define TOC_TESTS_INCIDENT_FIXTURE_H

#include "../statedb/state_fixture.h"
#include "incident/manager.h"
#include "statedb/incidents.h"

struct incident_fixture {
    struct state_fixture state;
    struct toc_incidents store;
    struct toc_incident_manager *m;
    struct toc_ts now;
    unsigned events[TOC_INCIDENT_EVENT_COUNT]; /* how often each was told */
};

void incident_fixture_setup(struct incident_fixture *f);
/* As after kill -9 and a new start. */
void incident_fixture_restart(struct incident_fixture *f);
void incident_fixture_teardown(struct incident_fixture *f);

/* One alert {alertname=rule, run=subject, rank=rank}. */
void incident_fixture_alert(struct incident_fixture *f, enum toc_intake_change change,
                            enum toc_kind kind, const char *rule, const char *subject, int rank);
/* Advances in steps of one second, ticking. */
void incident_fixture_pass(struct incident_fixture *f, int64_t seconds);
/* Applies an action by "anna". */
int incident_fixture_act(struct incident_fixture *f, const char *id,
                         enum toc_incident_action_type type, const char *comment,
                         struct toc_err *err);
int incident_fixture_verdict(struct incident_fixture *f, const char *id, enum toc_verdict v,
                             const char *duplicate_of, struct toc_err *err);
/* "0001=triggered 0002=resolved …" of all incidents, oldest first, into a static buffer. */
const char *incident_fixture_states(struct incident_fixture *f);

#endif
