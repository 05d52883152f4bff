/*
 * Learning from verdicts: stands between the rules and the alert manager, remembers every alert of
 * a detector with its features, takes people's verdicts as labels, trains one classifier per scope
 * and, once a person has applied it, withholds the alerts it takes for false. See
 * docs/design/learning.md.
 *
 * Candidates are alerts whose expression reads tocsin_anomaly* series and nothing else. Everything
 * else (thresholds, hard kinds, the doctor, alerts from outside) passes untouched. When something
 * cannot be computed or stored, the alert passes.
 *
 * The scope is the alert's label team, else job, else "default"; all its series share a classifier.
 * Any thread: one mutex, TOC_LOCK_LEARN, held while a look is taken; training runs without it.
 */
#ifndef TOC_INCIDENT_LEARN_H
#define TOC_INCIDENT_LEARN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "codec/json_writer.h"
#include "detect/alert_features.h"
#include "detect/gate.h"
#include "model/alert.h"
#include "model/blob_store.h"
#include "model/incident.h"

enum {
    TOC_LEARN_ALERTS_MAX = 5000, /* remembered; the oldest closed one makes room, counted */
    TOC_LEARN_LOOKS_MAX = 8,     /* per alert: at 1, 2, 4 … rows */
    TOC_LEARN_VERSIONS_MAX = 10, /* kept per scope */
    TOC_LEARN_SCOPES_MAX = 64,
    TOC_LEARN_NAME_MAX = 128, /* bytes of a scope's or person's name */
};

/* Below it forecasts were not tried (docs/quality.md). */
#define TOC_LEARN_KEEP_MIN 0.8

/* What is known around an alert; rows up to now. */
struct toc_learn_window {
    double *seconds, *values, *scores; /* heap, the caller's; one column */
    size_t rows, start;                /* row at which the alert began */
    double threshold;                  /* of the score, > 0 */
};
struct toc_learn_source {
    /* `seen`: when the rule first saw the alert, which may have begun before. TOC_ENODATA when
     * there is nothing to look at. */
    int (*window)(struct toc_learn_source *s, struct toc_labels alert, struct toc_ts seen,
                  struct toc_ts now, struct toc_learn_window *out, struct toc_err *err);
};

struct toc_learn_options {
    struct toc_alert_sink *next; /* who gets what passes */
    struct toc_learn_source *source;
    struct toc_blob_store *store;
    /* Told of each label, without a lock; may be NULL. `at` is when the alert began. */
    void (*on_label)(void *ctx, struct toc_labels alert, struct toc_ts at, bool is_true);
    void *on_label_ctx;
    int64_t kept_ms; /* alerts older than this are forgotten; 0: 90 days */
};
struct toc_learn;
/* Loads what the store has; damaged entries are counted and left out. All borrowed. */
int toc_learn_new(const struct toc_learn_options *o, struct toc_ts now, struct toc_learn **out,
                  struct toc_err *err) TOC_MUST_CHECK;
void toc_learn_free(struct toc_learn **l);
/* For the rules. */
struct toc_alert_sink *toc_learn_sink(struct toc_learn *l);

/* A verdict on an incident becomes the label of its candidates: `true` and `false` teach,
 * `expected` and `duplicate` do not (and take an earlier label back). How many were labelled. */
size_t toc_learn_verdict(struct toc_learn *l, const struct toc_incident *i, struct toc_sv actor,
                         struct toc_ts now);
/* The same for one remembered alert, withheld ones first of all. TOC_ENOENT, TOC_EINVAL. */
int toc_learn_verdict_alert(struct toc_learn *l, uint64_t id, enum toc_verdict verdict,
                            struct toc_sv actor, struct toc_ts now,
                            struct toc_err *err) TOC_MUST_CHECK;

/* X(enum, name) */
#define TOC_LEARN_MODE_TABLE(X)                                              \
    X(TOC_LEARN_OFF, "off")                                                  \
    X(TOC_LEARN_SHADOW, "shadow") /* judges and counts, withholds nothing */ \
    X(TOC_LEARN_ENFORCE, "enforce")
#define X(name, text) name,
enum toc_learn_mode { TOC_LEARN_MODE_TABLE(X) TOC_LEARN_MODE_COUNT };
#undef X
const char *toc_learn_mode_text(enum toc_learn_mode m);
enum toc_learn_mode toc_learn_mode_parse(struct toc_sv text);

struct toc_learn_plan {
    struct toc_sv scope;
    double keep;                /* share of true alerts that must still page; 0: 0.98 */
    struct toc_sv without;      /* leave out the verdicts of this person; may be empty */
    bool accepts_contradiction; /* train although recent verdicts contradict older ones */
    enum toc_learn_mode mode;   /* of apply */
    struct toc_sv actor;        /* of apply */
};
/* Trains on the labels of the last 90 days and writes what is foretold: labels, type, level, effect
 * with its intervals (detect/gate.h), alerts of these days that would have been withheld (with
 * those whose verdict is "true" named), what weighs most, and notes. Changes nothing. TOC_ENODATA
 * "not enough verdicts yet (n of 50)", TOC_ECONFLICT naming the person whose recent verdicts
 * contradict the others, TOC_ENOENT. */
int toc_learn_preview(struct toc_learn *l, const struct toc_learn_plan *p, struct toc_ts now,
                      struct toc_json_writer *w, struct toc_err *err) TOC_MUST_CHECK;
/* Trains the same, stores it as a new version and puts it in force. To enforce what shows no effect
 * is refused: TOC_ECONFLICT, TOC_ENODATA when that cannot be foretold. */
int toc_learn_apply(struct toc_learn *l, const struct toc_learn_plan *p, struct toc_ts now,
                    uint32_t *out_version, struct toc_err *err) TOC_MUST_CHECK;
/* Back to an earlier version in its mode; 0: to the one before, or off when there is none. What is
 * withheld at the moment pages with its next evaluation. TOC_ENOENT. */
int toc_learn_roll_back(struct toc_learn *l, struct toc_sv scope, uint32_t version,
                        struct toc_err *err) TOC_MUST_CHECK;

/* The scopes with their labels, versions and mode, as an array. */
void toc_learn_write_scopes(struct toc_learn *l, struct toc_json_writer *w);
/* Remembered alerts, newest first, as an array; only those that were withheld when asked for. */
void toc_learn_write_alerts(struct toc_learn *l, bool only_withheld, size_t limit,
                            struct toc_json_writer *w);

/* X(field, help) — counters since start. */
#define TOC_LEARN_COUNTER_TABLE(X)                                               \
    X(candidates, "alerts of detectors that were looked at")                     \
    X(withheld, "alerts withheld by what was learnt, once per alert")            \
    X(released, "withheld alerts that paged after all, with a later look")       \
    X(shadow_withheld, "alerts that a model in shadow mode would have withheld") \
    X(labels, "verdicts that became labels")                                     \
    X(trainings, "classifiers trained")                                          \
    X(refused, "trainings refused for too few or contradicting verdicts")        \
    X(blind, "looks that found nothing to look at; the alert passed")            \
    X(forgotten, "remembered alerts dropped for age or the limit")               \
    X(store_failures, "records that could not be stored or read; the alert passed")
struct toc_learn_stats {
    size_t remembered, withheld_now;
#define X(field, help) uint64_t field;
    TOC_LEARN_COUNTER_TABLE(X)
#undef X
};
struct toc_learn_stats toc_learn_stats(struct toc_learn *l);

#endif
