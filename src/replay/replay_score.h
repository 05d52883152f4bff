/*
 * What a back-test comes to: how often it would have called somebody, at night too, how long it
 * fired, and, where incidents are known, how right it was. Pure.
 */
#ifndef TOC_REPLAY_REPLAY_SCORE_H
#define TOC_REPLAY_REPLAY_SCORE_H

#include "replay/replay_labels.h"
#include "replay/replay_record.h"

struct toc_score_options {
    const struct toc_known_incidents *known; /* NULL: nothing is known */
    int64_t early_ms; /* an alert that long before an incident is still of it; 0: 10 m */
    int64_t late_ms;  /* the same behind its end; 0: 5 m */
    int64_t flap_ms;  /* an alert that returns within flaps; 0: 10 m */
    int night_from_minute, night_to_minute; /* of the day; equal: 22:00 to 07:00 */
    struct toc_zone_source zones;           /* offset NULL: UTC */
    struct toc_sv zone;                     /* empty: "Local" */
};

/* The same numbers for everything and for one rule. */
struct toc_score_counts {
    uint64_t alerts;       /* occurrences */
    uint64_t told;         /* of them: somebody was told */
    uint64_t pages;        /* notifications that call somebody: first ones, new alerts */
    uint64_t night_pages;  /* of them at night */
    uint64_t reminders;    /* repeats */
    uint64_t flaps;        /* came back within flap_ms of their end */
    int64_t firing_ms;     /* all alerts' times added up */
    uint64_t true_alerts;  /* told and of a known incident */
    uint64_t false_alerts; /* told and of none */
    double precision;      /* true / told; NaN: nobody was told, or nothing is known */
    double precision_low, precision_high; /* Wilson's interval at 95 % */
};

struct toc_score_rule {
    const struct toc_replay_rule *rule;
    struct toc_score_counts counts;
};

/* A known incident and the alert that told of it first. */
struct toc_score_incident {
    const struct toc_known_incident *known;
    const struct toc_replay_alert *alert; /* NULL: missed */
    int64_t lead_ms;                      /* first notification before its start; negative: after */
};

/* Of an alert: nobody was told or nothing is known; it is of a known incident; it is of none. */
enum toc_score_verdict { TOC_SCORE_UNKNOWN, TOC_SCORE_TRUE, TOC_SCORE_FALSE };

struct toc_score {
    struct toc_score_counts all;
    uint8_t *verdicts;                    /* enum toc_score_verdict of each alert of the record */
    uint64_t incidents;                   /* distinct, as the incident manager sees it */
    TOC_VEC(struct toc_score_rule) rules; /* alert rules, in the order of the files */
    TOC_VEC(struct toc_score_incident) known;
    bool has_known;
    uint64_t found, missed;
    double lead_median_s; /* of those found; NaN without one */
};

/* The record must outlive the score. */
void toc_replay_score(const struct toc_replay_record *r, const struct toc_score_options *o,
                      struct toc_score *out);
void toc_score_fini(struct toc_score *s);

/* Alerts of one record without a counterpart in the other: the same labels, at the same time or
 * within `slack_ms`. */
struct toc_replay_difference {
    TOC_VEC(const struct toc_replay_alert *) gained; /* only in the new one */
    TOC_VEC(const struct toc_replay_alert *) lost;   /* only in the old one */
};
void toc_replay_compare(const struct toc_replay_record *before,
                        const struct toc_replay_record *after, int64_t slack_ms,
                        struct toc_replay_difference *out);
void toc_replay_difference_fini(struct toc_replay_difference *d);

#endif
