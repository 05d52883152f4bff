/* The inside of learning from verdicts. Everything here is called under the mutex unless it says
 * otherwise. */
#ifndef TOC_INCIDENT_LEARN_PRIV_H
#define TOC_INCIDENT_LEARN_PRIV_H

#include "base/map.h"
#include "base/vec.h"
#include "incident/learn.h"
#include "sys/thread.h"

#define LEARN_ALERT_NS "learn.alert"
#define LEARN_MODEL_NS "learn.model"
#define LEARN_SCOPE_NS "learn.scope"

enum learn_label { LEARN_UNLABELLED, LEARN_TRUE, LEARN_FALSE, LEARN_IGNORED };

/* One candidate alert from its first to its last sight. */
struct learn_alert {
    uint64_t id, fingerprint;
    char *scope, *rule, *labels; /* owned; labels as text */
    struct toc_ts first, last;
    bool is_open;
    bool is_withheld;   /* now */
    bool was_withheld;  /* ever */
    bool is_blind;      /* no look could be taken: it passed */
    uint32_t version;   /* that judged it last; 0: none */
    double probability; /* the highest of its looks so far; NaN: not judged */
    enum learn_label label;
    char *actor, *incident; /* of the label; owned, "" when there is none */
    struct toc_ts labelled_at;
    unsigned look_count;
    float *looks;     /* look_count x TOC_ALERT_FEATURES; owned */
    size_t next_rows; /* rows at which the next look is due */
};

struct learn_version {
    uint32_t number;
    enum toc_learn_mode mode;
    struct toc_ts made_at;
    char *actor; /* owned */
    double level, keep;
    size_t labels;
    struct toc_gate_effect foretold;
    struct toc_classifier *classifier;
};

struct learn_scope {
    char *name;                             /* owned */
    TOC_VEC(struct learn_version) versions; /* rising numbers */
    uint32_t active;                        /* 0: off */
    uint32_t last_number;
};

struct toc_learn {
    struct toc_alert_sink sink;
    struct toc_learn_options options;
    struct toc_mutex mutex;
    TOC_VEC(struct learn_alert *) alerts; /* rising ids */
    struct toc_map open;                  /* fingerprint → struct learn_alert * */
    TOC_VEC(struct learn_scope *) scopes;
    uint64_t next_id;
    struct toc_ts looks_at; /* looks taken at this time */
    size_t looks_taken;
    struct toc_learn_stats stats;
};

/* learn_record.c */
void toc_learn_alert_free(struct learn_alert *a);
/* Durable when 0; failures are counted. */
int toc_learn_alert_save(struct toc_learn *l, const struct learn_alert *a);
int toc_learn_version_save(struct toc_learn *l, const struct learn_scope *s,
                           const struct learn_version *v, struct toc_err *err) TOC_MUST_CHECK;
int toc_learn_scope_save(struct toc_learn *l, const struct learn_scope *s,
                         struct toc_err *err) TOC_MUST_CHECK;
int toc_learn_load(struct toc_learn *l, struct toc_err *err) TOC_MUST_CHECK;
void toc_learn_version_fini(struct learn_version *v);
void toc_learn_version_remove(struct toc_learn *l, struct learn_scope *s, size_t index);

/* learn.c */
struct learn_scope *toc_learn_scope_find(const struct toc_learn *l, struct toc_sv name);
/* NULL over the limit. */
struct learn_scope *toc_learn_scope_make(struct toc_learn *l, struct toc_sv name);
const struct learn_version *toc_learn_active(const struct learn_scope *s);
/* Room for one more alert; false when all that are remembered are still open. */
bool toc_learn_make_room(struct toc_learn *l, struct toc_ts now);

/* learn_gate.c */
void toc_learn_gate_init(struct toc_learn *l);

/* learn_bounds.c: copies, so that training needs no lock. */
struct learn_item {
    char actor[TOC_LEARN_NAME_MAX], incident[TOC_INCIDENT_ID_MAX];
    uint64_t id;
    struct toc_ts labelled_at;
    size_t first_row, rows;
    bool is_true;
};
struct learn_set {
    double *values; /* rows x TOC_ALERT_FEATURES */
    uint8_t *labels;
    double *weights;
    uint32_t *groups, *series; /* alerts of the same labels are one series */
    size_t rows;
    TOC_VEC(struct learn_item) items; /* alerts in the order of time: the groups */
    size_t persons;
    char busiest[TOC_LEARN_NAME_MAX]; /* who gave most verdicts */
    size_t busiest_count;
};
/* Labelled alerts of a scope since `since`, bounded; under the mutex. TOC_ENOMEM. */
int toc_learn_set_make(struct toc_learn *l, const struct toc_learn_plan *p, struct toc_ts since,
                       struct learn_set *out, struct toc_err *err) TOC_MUST_CHECK;
void toc_learn_set_fini(struct learn_set *s);
struct toc_examples toc_learn_set_examples(const struct learn_set *s);
/* Bounds what one incident (5 %) and, where several gave verdicts, one person (50 %) can weigh;
 * set_make has done it. */
void toc_learn_set_bound(struct learn_set *s);
/* The highest P(true) of an alert's looks. */
double toc_learn_probability(const struct toc_classifier *c, const struct learn_alert *a);
/* Needs no lock. TOC_ECONFLICT naming who contradicts what the others taught. */
int toc_learn_set_check(const struct learn_set *s, struct toc_err *err) TOC_MUST_CHECK;

#endif
