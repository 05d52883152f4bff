/*
 * Failures become alerts: one per failure, with labels that never change while it is open (so
 * nobody is paged twice) and a finding that grows. One thread.
 */
#ifndef TOC_DIAGNOSE_FAILURE_ALERT_H
#define TOC_DIAGNOSE_FAILURE_ALERT_H

#include "diagnose/failure.h"
#include "model/alert.h"

struct toc_failure_alerts_options {
    struct toc_alert_sink *sink;
    const char *runbook_base; /* NULL: "/docs/runbooks/"; the kind and ".md" follow */
    int64_t adopted_ms;       /* an alert taken over ends after this; 0: 15 min */
};

struct toc_failure_alerts; /* opaque */
struct toc_failure_alerts *toc_failure_alerts_new(const struct toc_failure_alerts_options *o);
void toc_failure_alerts_free(struct toc_failure_alerts **a);
/* For struct toc_failures_options; valid until toc_failure_alerts_free. */
struct toc_failure_listener *toc_failure_alerts_listener(struct toc_failure_alerts *a);
/* Takes over an alert that was firing before a restart, so that it can end. Ignores others. */
void toc_failure_alerts_adopt(struct toc_failure_alerts *a, const struct toc_alert *alert,
                              struct toc_ts now);
/* Tells adopted alerts again, and ends them when their time is up. Meant to run each second. */
void toc_failure_alerts_tick(struct toc_failure_alerts *a, struct toc_ts now);

#endif
