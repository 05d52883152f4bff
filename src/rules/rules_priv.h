/* The inside of the rule manager, shared by its files. Everything here is called under the mutex.
 */
#ifndef TOC_RULES_RULES_PRIV_H
#define TOC_RULES_RULES_PRIV_H

#include "base/map.h"
#include "base/vec.h"
#include "rules/rules.h"
#include "sys/thread.h"

enum { TOC_RESOLVED_KEPT_MS = 15 * 60000 };

/* One alert of a rule, from its first match until 15 minutes after its end. */
struct active_alert {
    struct toc_labels labels;        /* owned */
    struct toc_labels source;        /* owned: labels of the element, without the name */
    struct toc_labels annotations;   /* owned */
    enum toc_rule_alert_state state; /* INACTIVE: resolved */
    double value;
    double confirm_value;                  /* NaN without a second stage */
    double expected_lower, expected_upper; /* NaN when unknown */
    struct toc_ts active_at, fired_at, resolved_at, last_sent, keep_since;
    bool is_seen; /* in this evaluation */
};

struct rule_state {
    const struct toc_rule *rule;
    struct toc_sv key;                /* owned: file, group, name, ordinal */
    struct toc_promql_expr *override; /* owned; NULL: rule->expr */
    struct toc_sv query_text;         /* owned: canonical text in force */
    struct toc_sv left_text;          /* owned: left side of the comparison */
    double threshold, file_threshold;
    TOC_VEC(struct active_alert) active;
    struct toc_map series; /* encoded labels → itself: written by the last evaluation */
    uint64_t saved_hash;
    int grace; /* evaluations left in which nothing ends, after a long outage */
    enum toc_rule_health health;
    char last_error[TOC_ERR_MESSAGE_MAX];
    double evaluation_s;
    struct toc_ts last_evaluation, last_match;
    size_t last_result_count;
};

struct group_state {
    struct toc_sv file;
    const struct toc_rule_group *group;
    struct toc_sv key; /* owned */
    int64_t interval_ms, offset_ms;
    struct toc_ts next_slot, last_evaluation, saved_at;
    double evaluation_s;
    uint64_t evaluations, missed;
    struct rule_state *rules;
};

struct threshold_override {
    char *name;
    double number;
};

struct toc_rules {
    struct toc_rules_options options;
    struct toc_mutex mutex;
    struct toc_rule_file **files;
    size_t file_count;
    struct group_state *groups;
    size_t group_count;
    TOC_VEC(struct threshold_override) overrides;
    bool is_restored;
    struct toc_rules_stats stats;
};

/* One sample of a rule's result. */
struct element {
    struct toc_labels labels;
    double value;
};
struct elements {
    struct element *items; /* in the result's arena */
    size_t count;
};

/* rule_eval.c */
const struct toc_promql_expr *toc_rule_expr(const struct rule_state *s);
/* Scalars become one element without labels. The result owns the elements. */
int toc_rule_query(struct toc_rules *m, const struct toc_promql_expr *e, struct toc_ts at,
                   struct toc_promql_result *result, struct elements *out, struct toc_err *err);
void toc_rule_evaluate(struct toc_rules *m, struct group_state *g, struct rule_state *s,
                       struct toc_ts at);
/* Writes the points and ends the series of the last evaluation that are not among them. */
void toc_rule_write(struct toc_rules *m, struct rule_state *s, struct toc_point *points,
                    size_t count, struct toc_ts at);
void toc_rule_forget_series(struct rule_state *s);

/* alert_rule.c */
int toc_alert_rule_evaluate(struct toc_rules *m, struct group_state *g, struct rule_state *s,
                            struct toc_ts at, struct toc_err *err);
void toc_active_alert_fini(struct active_alert *a);
void toc_alert_rule_drop_all(struct rule_state *s);
/* Writes ALERTS and ALERTS_FOR_STATE. */
void toc_alert_rule_write(struct toc_rules *m, struct rule_state *s, struct toc_ts at);

/* rule_send.c */
void toc_rule_send(struct toc_rules *m, const struct group_state *g, struct rule_state *s,
                   struct toc_ts at);
/* Says of all firing alerts that they are over: the rule is gone. */
void toc_rule_send_end(struct toc_rules *m, const struct group_state *g, struct rule_state *s,
                       struct toc_ts now);

/* rule_template.c */
/* Text with the element's labels and value; a failure becomes text, as upstream. */
struct toc_sv toc_rule_expand(const struct toc_rules *m, const struct toc_rule_text *t,
                              const struct element *e, struct toc_arena *arena);

/* rule_state.c */
void toc_rule_save(struct toc_rules *m, struct rule_state *s);
void toc_rule_load(struct toc_rules *m, struct rule_state *s, int64_t outage_ms);
void toc_group_save_time(struct toc_rules *m, struct group_state *g, struct toc_ts at);
/* When the group was last known to be evaluated; 0 = never. */
struct toc_ts toc_group_load_time(struct toc_rules *m, const struct group_state *g);

#endif
