/*
 * The life of an incident as a table of allowed transitions, and what persons may do to it. Pure
 * functions over one incident: nothing is stored here.
 */
#ifndef TOC_INCIDENT_LIFECYCLE_H
#define TOC_INCIDENT_LIFECYCLE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "model/incident.h"

/* X(FROM, TO). `reviewed` is final. */
#define TOC_TRANSITION_TABLE(X)                                                                    \
    X(DETECTED, TRIGGERED)                                                                         \
    X(DETECTED, SUPPRESSED_BY) X(TRIGGERED, NOTIFIED) X(TRIGGERED, ACKNOWLEDGED) X(                \
        TRIGGERED, MITIGATING) X(TRIGGERED, MONITORING) X(TRIGGERED, RESOLVED)                     \
        X(TRIGGERED, FALSE_ALARM) X(TRIGGERED, DUPLICATE_OF) X(TRIGGERED, SUPPRESSED_BY) X(        \
            NOTIFIED, ACKNOWLEDGED) X(NOTIFIED, MITIGATING) X(NOTIFIED, MONITORING)                \
            X(NOTIFIED, RESOLVED) X(NOTIFIED, FALSE_ALARM) X(NOTIFIED, DUPLICATE_OF) X(            \
                NOTIFIED, SUPPRESSED_BY) X(ACKNOWLEDGED, MITIGATING) X(ACKNOWLEDGED, MONITORING)   \
                X(ACKNOWLEDGED, RESOLVED) X(ACKNOWLEDGED, FALSE_ALARM) X(                          \
                    ACKNOWLEDGED, DUPLICATE_OF) X(MITIGATING, MONITORING) X(MITIGATING, RESOLVED)  \
                    X(MITIGATING, FALSE_ALARM) X(MITIGATING, DUPLICATE_OF) X(                      \
                        MONITORING, TRIGGERED) X(MONITORING, NOTIFIED) X(MONITORING, ACKNOWLEDGED) \
                        X(MONITORING, MITIGATING) X(MONITORING, SUPPRESSED_BY)                     \
                            X(MONITORING, RESOLVED) X(MONITORING, FALSE_ALARM)                     \
                                X(MONITORING, DUPLICATE_OF) X(SUPPRESSED_BY, TRIGGERED) X(         \
                                    SUPPRESSED_BY, ACKNOWLEDGED) X(SUPPRESSED_BY, MITIGATING)      \
                                    X(SUPPRESSED_BY, MONITORING) X(SUPPRESSED_BY, RESOLVED) X(     \
                                        SUPPRESSED_BY, FALSE_ALARM) X(SUPPRESSED_BY, DUPLICATE_OF) \
                                        X(RESOLVED, TRIGGERED) X(RESOLVED, FALSE_ALARM)            \
                                            X(RESOLVED, DUPLICATE_OF) X(RESOLVED, REVIEWED)        \
                                                X(FALSE_ALARM, TRIGGERED) X(FALSE_ALARM, RESOLVED) \
                                                    X(FALSE_ALARM, DUPLICATE_OF)                   \
                                                        X(FALSE_ALARM, REVIEWED)                   \
                                                            X(DUPLICATE_OF, TRIGGERED)             \
                                                                X(DUPLICATE_OF, RESOLVED)          \
                                                                    X(DUPLICATE_OF, FALSE_ALARM)   \
                                                                        X(DUPLICATE_OF, REVIEWED)

bool toc_lifecycle_allows(enum toc_incident_state from, enum toc_incident_state to);
/* Moves and stamps the times that go with it. TOC_ECONFLICT with a sentence, nothing changed, when
 * the table does not allow it. */
int toc_lifecycle_move(struct toc_incident *i, enum toc_incident_state to, struct toc_ts now,
                       struct toc_err *err) TOC_MUST_CHECK;

/* X(ENUM, "name as in the API"): what persons do. */
#define TOC_INCIDENT_ACTION_TABLE(X) \
    X(ACKNOWLEDGE, "acknowledge")    \
    X(ASSIGN, "assign")              \
    X(COMMENT, "comment")            \
    X(MITIGATE, "mitigate")          \
    X(VERDICT, "verdict")            \
    X(RESOLVE, "resolve")            \
    X(REVIEW, "review")

enum toc_incident_action_type {
#define X(e, name) TOC_INCIDENT_ACTION_##e,
    TOC_INCIDENT_ACTION_TABLE(X)
#undef X
        TOC_INCIDENT_ACTION_COUNT
};
const char *toc_incident_action_text(enum toc_incident_action_type type);

struct toc_incident_action {
    enum toc_incident_action_type type;
    struct toc_sv actor;        /* who; required */
    struct toc_sv comment;      /* the text of a comment; optional elsewhere */
    struct toc_sv assignee;     /* ASSIGN */
    enum toc_verdict verdict;   /* VERDICT */
    struct toc_sv duplicate_of; /* VERDICT duplicate; that it exists is checked by the manager */
};

/* Applies the action; firing_count is the number of its alerts that still fire. Fills *out_type and
 * appends the sentence of the timeline entry to text. TOC_ECONFLICT, TOC_EINVAL or TOC_ELIMIT with
 * a sentence. */
int toc_lifecycle_act(struct toc_incident *i, const struct toc_incident_action *a,
                      size_t firing_count, struct toc_ts now, enum toc_timeline_type *out_type,
                      struct toc_buf *text, struct toc_err *err) TOC_MUST_CHECK;

#endif
