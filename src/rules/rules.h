/*
 * The rule manager: evaluates recording and alert rules on their grid, writes their series, keeps
 * the state of alerts (inactive → pending → firing → resolved) and hands alerts to a sink.
 * Prometheus' semantics; state survives restarts through a blob store. See docs/design/rules.md.
 *
 * Pure: time comes in as `now`. Drive it with toc_rules_evaluate_due at (or after)
 * toc_rules_next_due. Thread-safe by one mutex of rank TOC_LOCK_RULES, held while one group is
 * evaluated; the querier, sinks and store may take locks of higher rank and must not call back.
 */
#ifndef TOC_RULES_RULES_H
#define TOC_RULES_RULES_H

#include "model/alert.h"
#include "model/blob_store.h"
#include "model/querier.h"
#include "model/sink.h"
#include "rules/rule_file.h"

struct toc_rules;
struct toc_executor; /* base/executor.h */

/* One sample of a query's result. */
struct toc_rule_sample {
    struct toc_labels labels;
    double value;
    const struct toc_histogram *histogram; /* NULL: a float */
};

/* Results that somebody has already: a back-test evaluates an expression at many times in one go
 * (src/replay). What comes of them is the manager's business as ever. */
struct toc_rule_answers {
    /* The result of `expr` at `at`. 0, with *out borrowed until the evaluation of the group ends;
     * TOC_ENOENT: not known, the query is run. `expr` is one of the rule files' own. */
    int (*find)(struct toc_rule_answers *a, const struct toc_promql_expr *expr, struct toc_ts at,
                const struct toc_rule_sample **out, size_t *out_count);
};

struct toc_rules_options {
    struct toc_querier *querier;
    struct toc_sink *sink; /* recorded series and ALERTS */
    struct toc_alert_sink *alerts;
    struct toc_blob_store *store;  /* NULL: state is not kept */
    int64_t (*mono_ns)(void *ctx); /* for evaluation times; NULL: they read 0 */
    void *mono_ctx;
    struct toc_executor *executor;    /* NULL: queries run one after the other */
    struct toc_rule_answers *answers; /* NULL: every query is run */
    bool skips_health;                /* what rules watch is not looked at (back-tests) */
    unsigned features;                /* TOC_PROMQL_… of the expressions */
    int64_t default_interval_ms;      /* default 15 s; also the step of a subquery without one */
    int64_t default_query_offset_ms;  /* default 0 */
    int64_t resend_delay_ms;          /* default 1 m */
    int64_t outage_tolerance_ms;      /* away for longer, pending alerts are dropped; 1 h */
    int64_t lookback_ms;              /* default 5 m */
    uint64_t max_samples;             /* per query; default 50 000 000 */
    size_t max_query_bytes;           /* default 256 MiB */
    /* Health of rules; 0: the default, negative: never. */
    int64_t dead_after_ms;             /* no series for this long although the job is up: 6 h */
    int64_t always_firing_after_ms;    /* 7 d */
    int64_t never_fired_after_ms;      /* 30 d */
    struct toc_labels external_labels; /* copied */
    struct toc_sv external_url;        /* borrowed for the life of the manager */
};

struct toc_rules *toc_rules_new(const struct toc_rules_options *o);
void toc_rules_free(struct toc_rules **m);
/* What a reload may change besides the files; in force with the next toc_rules_set_files. */
void toc_rules_configure(struct toc_rules *m, int64_t default_interval_ms,
                         int64_t default_query_offset_ms, struct toc_labels external_labels);
/* Replaces all rules. Rules of the same file, group, name and labels keep their state; those that
 * are gone end their alerts and series. At the first call state comes from the store, and what is
 * there of rules that are gone is ended. Takes the files. */
void toc_rules_set_files(struct toc_rules *m, struct toc_rule_file **take_files, size_t count,
                         struct toc_ts now);
/* A file that is asleep is not evaluated, and its alerts end; its rules stay loaded and are left
 * out of the views. Files are awake at first; a reload keeps it. TOC_ENOENT when no group is of the
 * file. */
int toc_rules_set_awake(struct toc_rules *m, struct toc_sv file, bool is_awake, struct toc_ts now);
/* The next slot in ms since the epoch; INT64_MAX without groups. */
int64_t toc_rules_next_due(struct toc_rules *m);
/* Evaluates every group whose slot has come, once, at the latest slot; slots missed are counted. */
void toc_rules_evaluate_due(struct toc_rules *m, struct toc_ts now);
/* For rule unit tests and back-tests: evaluates one group at exactly this time, off its grid; what
 * toc_rules_evaluate_due does is not affected. TOC_ENOENT. */
int toc_rules_evaluate_group(struct toc_rules *m, struct toc_sv file, struct toc_sv group,
                             struct toc_ts at) TOC_MUST_CHECK;

/* Puts another number into the root comparison of all rules of this name (`EXPR op NUMBER`). It
 * holds until cleared, also over toc_rules_set_files; the caller keeps it over restarts and sets it
 * again before or after set_files. TOC_ENOENT (kept for later) when no rule has the name,
 * TOC_EUNSUPPORTED. */
int toc_rules_set_threshold(struct toc_rules *m, struct toc_sv rule_name, double number,
                            struct toc_err *err) TOC_MUST_CHECK;
/* Back to what the file says. TOC_ENOENT. */
int toc_rules_clear_threshold(struct toc_rules *m, struct toc_sv rule_name) TOC_MUST_CHECK;

enum toc_rule_alert_state { TOC_RULE_INACTIVE, TOC_RULE_PENDING, TOC_RULE_FIRING };
const char *toc_rule_alert_state_text(enum toc_rule_alert_state s);

enum toc_rule_health { TOC_RULE_HEALTH_UNKNOWN, TOC_RULE_HEALTH_OK, TOC_RULE_HEALTH_ERR };
const char *toc_rule_health_text(enum toc_rule_health h);

/* X(enum, "name", what it means) — what a rule does for its users, beside upstream's health. */
#define TOC_RULE_LIFE_TABLE(X)                                                      \
    X(TOC_RULE_ALIVE, "alive", "nothing is known against it")                       \
    X(TOC_RULE_NO_SERIES, "no_series", "a selector has matched no series so far")   \
    X(TOC_RULE_DEAD, "dead", "a selector matches no series although its job is up") \
    X(TOC_RULE_ALWAYS_FIRING, "always_firing", "an alert has been firing for days") \
    X(TOC_RULE_NEVER_FIRED, "never_fired", "it has not fired since it is known")
#define X(name, text, what) name,
enum toc_rule_life { TOC_RULE_LIFE_TABLE(X) };
#undef X
const char *toc_rule_life_text(enum toc_rule_life l);

struct toc_rule_life_view {
    enum toc_rule_life state;
    struct toc_ts since;      /* 0 when alive */
    struct toc_sv selector;   /* that matches nothing; empty for the others */
    struct toc_sv job;        /* that is up; empty when unknown */
    struct toc_sv suggestion; /* name of a metric that exists and may be meant; may be empty */
    bool is_name_known;       /* the metric exists; its labels do not match */
    struct toc_ts last_fired; /* 0: never, as far as known */
};

/* Views for /api/v1/rules and /api/v1/alerts; borrowed for the call. */
struct toc_rule_alert_view {
    struct toc_labels labels, annotations;
    enum toc_rule_alert_state state; /* pending or firing */
    struct toc_ts active_at;
    struct toc_ts keep_firing_since; /* 0 = unset */
    struct toc_ts held_since;        /* firing only because `recover` is not met yet; 0: not so */
    double value;
    double confirm_value; /* of the second stage; NaN without one */
};

struct toc_rule_view {
    const struct toc_rule *rule;
    enum toc_rule_alert_state state; /* the highest of its alerts */
    struct toc_sv query;             /* canonical text in force */
    bool is_overridden;    /* a threshold was set; rule->expr_text is what the file says */
    double threshold;      /* the number in force; NaN when there is none */
    double file_threshold; /* the number of the file; NaN when there is none */
    enum toc_rule_health health;
    struct toc_sv last_error;
    double evaluation_s;
    uint64_t failures; /* evaluations that failed since the rule is there */
    size_t level;      /* rules of one level of the group are evaluated together, in rising order */
    struct toc_ts last_evaluation; /* 0 = never */
    size_t last_result_count;      /* elements of the last result */
    struct toc_ts last_match;      /* last evaluation with a result; 0 = never */
    struct toc_rule_life_view life;
    const struct toc_rule_alert_view *alerts;
    size_t alert_count;
};

struct toc_rule_group_view {
    struct toc_sv file;
    const struct toc_rule_group *group;
    int64_t interval_ms, query_offset_ms;
    struct toc_ts next_slot; /* evaluated then, at next_slot - query_offset_ms */
    double evaluation_s;     /* of the last evaluation, wall */
    double rule_seconds;     /* the same, sum of its rules */
    size_t last_samples;     /* written by the last evaluation */
    struct toc_ts last_evaluation;
    uint64_t evaluations, missed; /* slots evaluated, slots skipped */
    uint64_t rule_evaluations, rule_failures;
    const struct toc_rule_view *rules;
    size_t rule_count;
};
typedef void toc_on_rule_group(void *ctx, const struct toc_rule_group_view *g);
/* In the order of files and groups; those that are asleep are left out. */
void toc_rules_each_group(struct toc_rules *m, toc_on_rule_group *fn, void *ctx);

struct toc_rules_stats {
    size_t groups, rules, alerts_pending, alerts_firing, rules_dead;
    uint64_t evaluations, failures, missed; /* of rules; of slots */
    uint64_t group_evaluations;
    double rule_seconds, group_seconds; /* spent in all evaluations */
    uint64_t samples_written, samples_rejected;
    uint64_t store_failures;
};
struct toc_rules_stats toc_rules_stats(struct toc_rules *m);

#endif
