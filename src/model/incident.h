/*
 * An incident: one thing that is wrong with one subject, from the first sign to the review. The
 * object owns everything it points to (one arena for texts and lists, heap vectors for alerts).
 * Fields with the same treatment (copied, stored, printed alike) are declared by tables.
 */
#ifndef TOC_MODEL_INCIDENT_H
#define TOC_MODEL_INCIDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sv.h"
#include "base/time.h"
#include "base/vec.h"
#include "model/finding.h"
#include "model/labels.h"

/* X(ENUM, "name", open?) */
#define TOC_INCIDENT_STATE_TABLE(X)        \
    X(DETECTED, "detected", true)          \
    X(TRIGGERED, "triggered", true)        \
    X(NOTIFIED, "notified", true)          \
    X(ACKNOWLEDGED, "acknowledged", true)  \
    X(MITIGATING, "mitigating", true)      \
    X(MONITORING, "monitoring", true)      \
    X(RESOLVED, "resolved", false)         \
    X(REVIEWED, "reviewed", false)         \
    X(FALSE_ALARM, "false_alarm", false)   \
    X(DUPLICATE_OF, "duplicate_of", false) \
    X(SUPPRESSED_BY, "suppressed_by", true)

enum toc_incident_state {
#define X(e, name, open) TOC_INCIDENT_##e,
    TOC_INCIDENT_STATE_TABLE(X)
#undef X
        TOC_INCIDENT_STATE_COUNT
};
const char *toc_incident_state_text(enum toc_incident_state s);
/* TOC_INCIDENT_STATE_COUNT when unknown. */
enum toc_incident_state toc_incident_state_parse(struct toc_sv name);
/* Does somebody still have to care? */
bool toc_incident_state_is_open(enum toc_incident_state s);

#define TOC_VERDICT_TABLE(X) \
    X(NONE, "")              \
    X(TRUE, "true")          \
    X(FALSE, "false")        \
    X(EXPECTED, "expected")  \
    X(DUPLICATE, "duplicate")

enum toc_verdict {
#define X(e, name) TOC_VERDICT_##e,
    TOC_VERDICT_TABLE(X)
#undef X
        TOC_VERDICT_COUNT
};
const char *toc_verdict_text(enum toc_verdict v);
/* TOC_VERDICT_COUNT when unknown. */
enum toc_verdict toc_verdict_parse(struct toc_sv name);

/* Texts; the empty view means "none". */
#define TOC_INCIDENT_TEXT_TABLE(X)                              \
    X(subject_key) /* what the incident is about: "run=demo" */ \
    X(title)                                                    \
    X(summary)                                                  \
    X(action) /* what to do first */                            \
    X(runbook_url)                                              \
    X(rule) /* alertname of the root alert */                   \
    X(assignee)                                                 \
    X(acknowledged_by)                                          \
    X(resolved_by)                                              \
    X(duplicate_of)  /* id of the other incident */             \
    X(suppressed_by) /* id of the silence or the reason */

/* Times; 0 means "has not happened". */
#define TOC_INCIDENT_TIME_TABLE(X)                                               \
    X(started_at) /* first sample that shows it */                               \
    X(detected_at)                                                               \
    X(triggered_at)    /* last time that it (re)opened */                        \
    X(notified_at)     /* first delivery */                                      \
    X(acknowledged_at) /* first acknowledgement */                               \
    X(mitigated_at)                                                              \
    X(monitoring_at) /* all alerts resolved, watching; 0 outside `monitoring` */ \
    X(resolved_at)   /* 0 while open */                                          \
    X(reviewed_at)                                                               \
    X(updated_at)

struct toc_incident_evidence {
    struct toc_evidence shown;
    struct toc_sv chart_url; /* UI path */
};

/* Alerts of one kind that came along with the root. */
struct toc_cascade {
    enum toc_kind kind;
    struct toc_sv title;
    struct toc_sv rule;
    struct toc_labels subject; /* of the first of them */
    struct toc_ts started_at;
    int64_t count; /* distinct alerts */
};

/* An alert that belongs to the incident. */
struct toc_incident_alert {
    uint64_t fingerprint;
    enum toc_kind kind;
    bool is_firing;
    bool is_suppressed;
    bool is_changed;       /* since the last save */
    struct toc_ts ends_at; /* when it counts as resolved without a further word; 0 = never */
};

enum {
    TOC_INCIDENT_ID_MAX = 32,
    TOC_INCIDENT_CASCADES_MAX = 64,
    TOC_INCIDENT_EVIDENCE_MAX = 32,
    TOC_INCIDENT_CAUSES_MAX = 16,
    TOC_INCIDENT_ALERTS_MAX = 65536,
};

struct toc_incident {
    char id[TOC_INCIDENT_ID_MAX]; /* "I-20261124-0007"; "" before the first save */
    enum toc_kind kind;
    enum toc_severity severity;
    enum toc_incident_state state;
    enum toc_incident_state held_state; /* where `monitoring` returns to when it fires again */
    enum toc_verdict verdict;
    bool has_step;
    int64_t step;
    int64_t reopen_count;
#define X(name) struct toc_sv name;
    TOC_INCIDENT_TEXT_TABLE(X)
#undef X
#define X(name) struct toc_ts name;
    TOC_INCIDENT_TIME_TABLE(X)
#undef X
    struct toc_labels subject;
    struct toc_incident_evidence *evidence;
    size_t evidence_count;
    struct toc_cause *causes;
    size_t cause_count;
    struct toc_cascade *cascades; /* room for TOC_INCIDENT_CASCADES_MAX once set */
    size_t cascade_count;
    struct toc_arena arena; /* texts, labels, lists */
    struct {
        TOC_VEC_FIELDS(struct toc_incident_alert)
    } alerts;
};

/* X(ENUM, "name"): types of timeline entries. */
#define TOC_TIMELINE_TABLE(X)       \
    X(DETECTED, "detected")         \
    X(TRIGGERED, "triggered")       \
    X(NOTIFIED, "notified")         \
    X(ACKNOWLEDGED, "acknowledged") \
    X(ASSIGNED, "assigned")         \
    X(COMMENT, "comment")           \
    X(MITIGATING, "mitigating")     \
    X(MONITORING, "monitoring")     \
    X(RESOLVED, "resolved")         \
    X(REOPENED, "reopened")         \
    X(REVIEWED, "reviewed")         \
    X(VERDICT, "verdict")           \
    X(CASCADE, "cascade")           \
    X(ROOT_CHANGED, "root_changed") \
    X(SUPPRESSED, "suppressed")     \
    X(DELIVERY, "delivery")         \
    X(THRESHOLD, "threshold")

enum toc_timeline_type {
#define X(e, name) TOC_TIMELINE_##e,
    TOC_TIMELINE_TABLE(X)
#undef X
        TOC_TIMELINE_COUNT
};
const char *toc_timeline_text(enum toc_timeline_type t);
enum toc_timeline_type toc_timeline_parse(struct toc_sv name);

struct toc_timeline_entry {
    struct toc_ts at;
    struct toc_sv actor; /* a person's name, or "tocsin" */
    enum toc_timeline_type type;
    struct toc_sv text;
};

void toc_incident_init(struct toc_incident *i);
void toc_incident_fini(struct toc_incident *i);
/* Deep copy into *out (uninitialised storage); leaves behind what the source's arena no longer
 * uses. */
void toc_incident_copy(const struct toc_incident *i, struct toc_incident *out);
/* Copies s into the incident's arena: `i->title = toc_incident_text(i, s)`. Longer than 16 KiB is
 * cut. */
struct toc_sv toc_incident_text(struct toc_incident *i, struct toc_sv s);
/* Replace or extend lists with copies; beyond the limits above the rest is dropped. */
void toc_incident_set_subject(struct toc_incident *i, struct toc_labels subject);
void toc_incident_set_evidence(struct toc_incident *i, const struct toc_incident_evidence *items,
                               size_t count);
void toc_incident_set_causes(struct toc_incident *i, const struct toc_cause *items, size_t count);
/* NULL when the list is full. */
struct toc_cascade *toc_incident_add_cascade(struct toc_incident *i, const struct toc_cascade *c);

/* Seconds between the times of the life cycle; NaN when one has not happened. detect: started →
 * detected; the others count from detection. */
struct toc_incident_durations {
    double detect_s, notify_s, acknowledge_s, resolve_s;
};
struct toc_incident_durations toc_incident_durations(const struct toc_incident *i);

#endif
