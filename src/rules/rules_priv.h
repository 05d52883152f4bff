/* The inside of the rule manager, shared by its files. Everything here is called under the mutex,
 * but the queries of one batch, which run on the executor's threads and touch only their task.
 */
#ifndef TOC_RULES_RULES_PRIV_H
#define TOC_RULES_RULES_PRIV_H

#include "base/map.h"
#include "base/vec.h"
#include "model/alias.h"
#include "rules/rules.h"
#include "sys/thread.h"

enum {
    TOC_RESOLVED_KEPT_MS = 15 * 60000,
    TOC_HEALTH_CHECK_MS = 300000,
    /* After a silence longer than the look-back nothing ends for this long, or two intervals:
     * instant queries find nothing until every target was read again. */
    TOC_GRACE_MS = 120000,
};

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
    struct toc_ts held_since; /* the expression is over, `recover` is not met; 0: not so */
};
struct alert_list { /* sorted by labels */
    TOC_VEC_FIELDS(struct active_alert)
};

/* Label sets in order, owned. */
struct series_list {
    TOC_VEC_FIELDS(struct toc_labels)
};

enum rule_op { RULE_OP_EQ, RULE_OP_NE, RULE_OP_LT, RULE_OP_LE, RULE_OP_GT, RULE_OP_GE };

/* An expression in force, prepared once. */
struct rule_query {
    const struct toc_promql_expr *expr; /* borrowed; NULL: there is none */
    struct toc_sv text;                 /* owned: canonical text */
    /* Of `LEFT op NUMBER`; left is NULL for any other form. */
    struct toc_promql_expr *left; /* owned */
    struct toc_sv left_text;      /* owned */
    enum rule_op op;
    double number;
};

/* A selector of a rule that must match something for the rule to have a result. */
struct watched {
    const struct toc_matcher *matchers; /* of the rule's expression */
    size_t count;
    struct toc_sv text;       /* owned */
    struct toc_sv name, job;  /* of its matchers; empty when it has none with = */
    struct toc_ts since;      /* watched since */
    struct toc_ts last_seen;  /* 0: never */
    char *seen_job;           /* owned: job of what it matched; NULL */
    struct toc_ts dead_since; /* 0: alive */
    char *suggestion;         /* owned; NULL */
    bool is_name_known;
};

struct rule_health {
    TOC_VEC_FIELDS(struct watched)
    struct toc_ts known_since, last_fired, next_check;
    struct toc_ts dead_since, last_sent; /* of the rule's own alert */
    bool is_changed;                     /* since it was stored */
};

struct rule_state {
    const struct toc_rule *rule;
    struct toc_sv key;                /* owned: file, group, name, labels, ordinal */
    struct toc_promql_expr *override; /* owned; NULL: rule->expr */
    struct rule_query query, confirm, recover;
    double file_threshold; /* NaN when the expression has none */
    size_t level;          /* rules of one level may be evaluated together */
    struct alert_list active;
    struct series_list series; /* written by the last evaluation that did not fail */
    int64_t series_ms;         /* its time; of recording rules */
    uint64_t saved_hash;
    int64_t grace_until_ms; /* nothing ends before */
    enum toc_rule_health health;
    char last_error[TOC_ERR_MESSAGE_MAX];
    double evaluation_s;
    uint64_t failures;
    struct toc_ts last_evaluation, last_match;
    size_t last_result_count;
    struct rule_health watch;
};

struct group_state {
    struct toc_sv file;
    const struct toc_rule_group *group;
    struct toc_sv key; /* owned */
    int64_t interval_ms, offset_ms;
    size_t level_count;
    struct toc_ts next_slot, last_evaluation;
    double evaluation_s, rule_seconds;
    uint64_t evaluations, missed, rule_evaluations, rule_failures;
    size_t last_samples;
    bool is_asleep;      /* its file is: not evaluated */
    bool is_stored;      /* the store has a slot of it */
    unsigned restore_in; /* evaluations until state is taken from series; 0: never */
    struct toc_ts restore_before;
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
    struct toc_alias_table *aliases; /* the built-in table */
};

/* The samples of a rule's result. */
struct elements {
    const struct toc_rule_sample *items; /* in the result's arena, or of who answered */
    size_t count;
};

/* What one pass over some rules of a group makes, until it is written. */
struct rule_pass {
    struct toc_rules *m;
    struct group_state *g;
    struct toc_ts at;
    struct toc_arena arena;
    TOC_VEC(struct toc_point) points;
    enum { RULE_BANDS_UNKNOWN, RULE_BANDS_NO, RULE_BANDS_YES } bands; /* of detectors */
};

static inline int64_t toc_rules_mono(const struct toc_rules *m) {
    return m->options.mono_ns ? m->options.mono_ns(m->options.mono_ctx) : 0;
}

/* rule_query.c */
void toc_rule_query_init(struct rule_query *q, const struct toc_promql_expr *expr);
void toc_rule_query_fini(struct rule_query *q);
bool toc_rule_op_holds(enum rule_op op, double left, double right);
/* Scalars become one element without labels. The result owns the elements. */
int toc_rule_query_run(struct toc_rules *m, const struct toc_promql_expr *e, struct toc_ts at,
                       struct toc_executor *executor, struct toc_promql_result *result,
                       struct elements *out, struct toc_err *err);

/* rule_deps.c: fills level of each rule and level_count of the group. */
void toc_group_find_levels(struct group_state *g);

/* rule_batch.c: all rules of the group at one time. */
void toc_group_evaluate_rules(struct toc_rules *m, struct group_state *g, struct toc_ts at);

/* rule_eval.c: from results to points. */
int toc_record_rule_apply(struct rule_pass *p, struct rule_state *s, const struct elements *found,
                          struct toc_err *err);
void toc_rule_pass_write(struct rule_pass *p);

/* rule_series.c */
/* Adds the points to the pass, and stale markers for what was written before and is not among
 * them. Sorts the points; they must be distinct. */
void toc_rule_series_replace(struct rule_pass *p, struct rule_state *s, struct toc_point *points,
                             size_t count);
void toc_rule_series_forget(struct rule_state *s);
/* ALERTS and ALERTS_FOR_STATE of the active alerts. */
void toc_rule_series_of_alerts(struct rule_pass *p, struct rule_state *s);
/* What an earlier life wrote, from its alerts, so that it can be ended. */
void toc_rule_series_assume_alerts(struct rule_state *s);
/* The same of a recording rule, from storage: what its last evaluation since `since` wrote. Only
 * when no other rule records that name. */
void toc_rule_series_assume_recorded(struct toc_rules *m, struct rule_state *s, struct toc_ts since,
                                     struct toc_ts now);

/* alert_rule.c */
int toc_alert_rule_apply(struct rule_pass *p, struct rule_state *s, const struct elements *found,
                         const struct elements *confirm, const struct elements *recover,
                         struct toc_err *err);
void toc_active_alert_fini(struct active_alert *a);
void toc_alert_rule_drop_all(struct rule_state *s);

/* alert_match.c: a match of this evaluation, before it is compared with what was there. */
struct alert_match {
    struct toc_labels labels, source, annotations; /* arena */
    double value, confirm_value;
};
struct alert_matches { /* sorted by labels */
    struct alert_match *items;
    size_t count;
};
int toc_alert_matches_make(struct rule_pass *p, const struct rule_state *s,
                           const struct elements *found, const struct elements *confirm,
                           struct alert_matches *out, struct toc_err *err);
/* No label that both have differs; the metric name does not count. */
bool toc_labels_agree(struct toc_labels a, struct toc_labels b);
const struct toc_rule_sample *toc_elements_find_agreeing(const struct elements *list,
                                                         struct toc_labels l);

/* rule_send.c */
void toc_rule_send(struct rule_pass *p, struct rule_state *s);
/* Says of all firing alerts that they are over: the rule is gone. */
void toc_rule_send_end(struct toc_rules *m, const struct group_state *g, struct rule_state *s,
                       struct toc_ts now);

/* rule_template.c */
/* Text with the element's labels and value; a failure becomes text, as upstream. */
struct toc_sv toc_rule_expand(struct rule_pass *p, const struct toc_rule_text *t,
                              const struct toc_rule_sample *e);

/* rule_state.c */
static inline bool toc_rule_has_state(const struct rule_state *s) {
    return s->active.count || s->series.count;
}
/* 0 without state. */
uint64_t toc_rule_state_hash(const struct rule_state *s);
void toc_rule_state_encode(const struct rule_state *s, struct toc_buf *out);
/* Fills active alerts and series; on error nothing is left in them. */
int toc_rule_state_decode(struct toc_sv bytes, struct rule_state *s) TOC_MUST_CHECK;
/* The key an encoded state belongs to; empty when it is damaged. */
struct toc_sv toc_rule_state_key(struct toc_sv bytes);

/* rule_store.c */
/* What changed in the group, and its time, in one write. */
void toc_group_save(struct toc_rules *m, struct group_state *g, struct toc_ts slot);
/* Groups that were not there before: their first slot counts as due from now on. */
void toc_groups_save_new(struct toc_rules *m);
/* Of a rule that is gone: what is left of it. */
void toc_rule_save_end(struct toc_rules *m, struct rule_state *s);
void toc_group_load(struct toc_rules *m, struct group_state *g, struct toc_ts now);
/* Ends and forgets alerts of rules that exist no more. */
void toc_rules_sweep_store(struct toc_rules *m, struct toc_ts now);

/* rule_health.c */
void toc_rule_health_init(struct rule_state *s);
void toc_rule_health_fini(struct rule_health *h);
void toc_rule_health_inherit(struct rule_health *to, struct rule_health *from);
/* Looks at the rules whose time has come; says which are dead. */
void toc_group_check_health(struct toc_rules *m, struct group_state *g, struct toc_ts at);
/* The first selector that is dead, or, without one, that never matched; NULL. */
const struct watched *toc_rule_health_worst(const struct rule_health *h);
void toc_rule_health_view(const struct toc_rules *m, const struct rule_state *s,
                          struct toc_rule_life_view *out);

/* rule_suggest.c: names for a metric that is not there. */
bool toc_rule_series_exist(struct toc_rules *m, const struct toc_matcher *matchers, size_t count,
                           struct toc_ts at, char **out_job);
/* By its series `up`; a job that is not scraped counts, when asked for, as up while it sends
 * anything. */
bool toc_rule_job_is_up(struct toc_rules *m, struct toc_sv job, bool counts_unscraped,
                        struct toc_ts at);
/* Owned; NULL when nothing is near. */
char *toc_rule_suggest(struct toc_rules *m, struct toc_sv name, struct toc_sv job,
                       struct toc_ts at);

/* rule_health_send.c */
void toc_rule_send_health(struct toc_rules *m, const struct group_state *g, struct rule_state *s,
                          struct toc_ts at);

/* rule_health_store.c */
void toc_rule_health_encode(const struct rule_state *s, struct toc_buf *out);
int toc_rule_health_decode(struct toc_sv bytes, struct rule_state *s) TOC_MUST_CHECK;

/* rule_restore.c */
void toc_group_restore_from_series(struct toc_rules *m, struct group_state *g, struct toc_ts at);

/* rule_threshold.c */
int toc_rule_apply_override(const struct toc_rules *m, struct rule_state *s, struct toc_err *err);

/* rules_load.c */
void toc_groups_free(struct group_state *groups, size_t count);

#endif
