/*
 * How a run learns, in the form the judges of optimisation and layers need: per report, not per
 * second, so that steps of 10 ms and of 30 s are judged alike. A report is one sample of a series.
 */
#ifndef TOC_DIAGNOSE_LEARN_PRIV_H
#define TOC_DIAGNOSE_LEARN_PRIV_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/vec.h"
#include "diagnose/course_priv.h"
#include "diagnose/quantile_priv.h"
#include "model/querier.h"

/* X(enum, series): statistics of a layer. */
#define TOC_LAYER_STAT_TABLE(X)                                  \
    X(STAT_GRAD, "train_layer_grad_norm")                        \
    X(STAT_UPDATE, "train_update_ratio")                         \
    X(STAT_ZERO_GRAD, "train_zero_grad_ratio")                   \
    X(STAT_ZERO_ACTIVATION, "train_layer_zero_activation_ratio") \
    X(STAT_DEAD_UNITS, "train_layer_dead_unit_ratio")            \
    X(STAT_SATURATED, "train_layer_saturated_ratio")             \
    X(STAT_EXPERT_MAX, "train_layer_expert_load_max_ratio")      \
    X(STAT_EXPERT_MIN, "train_layer_expert_load_min_ratio")      \
    X(STAT_ROUTER_ENTROPY, "train_layer_router_entropy")

enum toc_layer_stat_id {
#define X(name, series) name,
    TOC_LAYER_STAT_TABLE(X)
#undef X
        STAT_COUNT
};

/* X(enum, series): numbers of the run as a whole. */
#define TOC_RUN_NUMBER_TABLE(X)                         \
    X(NUMBER_STEP, "train_step")                        \
    X(NUMBER_RATE, "train_learning_rate")               \
    X(NUMBER_LOSS, "train_loss")                        \
    X(NUMBER_GRAD_NORM, "train_grad_norm")              \
    X(NUMBER_VAL_LOSS, "train_val_loss")                \
    X(NUMBER_ACCURACY, "train_accuracy")                \
    X(NUMBER_VAL_ACCURACY, "train_val_accuracy")        \
    X(NUMBER_LOSS_SCALE, "train_loss_scale")            \
    X(NUMBER_SKIPPED, "train_skipped_iterations_total") \
    X(NUMBER_EXPERT_MAX, "train_expert_load_max_ratio") \
    X(NUMBER_EXPERT_MIN, "train_expert_load_min_ratio") \
    X(NUMBER_ROUTER_ENTROPY, "train_router_entropy")

enum toc_run_number_id {
#define X(name, series) name,
    TOC_RUN_NUMBER_TABLE(X)
#undef X
        NUMBER_COUNT
};

/* Reports in a row that showed something. */
struct toc_hold {
    uint32_t count;
    uint32_t without, before; /* of earlier reports: how many did not show it, how many did */
    int64_t since_ms;
    double step; /* of the first one */
};
/* A report of a series: when, and of which step (NaN = unknown). */
struct toc_report_at {
    int64_t t_ms;
    double step;
};
void toc_hold_note(struct toc_hold *h, bool is_shown, struct toc_report_at at);
/*
 * Are there too many in a row for chance? By the rule of succession a report shows it with
 * probability (before + 1) / (before + without + 2); enough are so many that in a history of this
 * length less than one such row in a hundred was to be expected. So few reports decide where
 * samples are rare, and a layer that rests now and then (experts, layers dropped at random) needs
 * more.
 */
bool toc_hold_is_sure(const struct toc_hold *h);

/*
 * A norm against its own usual level: exponential mean and variance of its logarithm (ZClip,
 * arXiv 2504.02507: alpha 0.97, 25 reports to warm up, values enter clipped at 2.5 sigma). The
 * logarithm, because norms are heavy-tailed.
 */
struct toc_norm_watch {
    double mean, var;     /* of the logarithm */
    double value, growth; /* newest, and over the usual before it */
    double start;         /* median of the first reports */
    double first[8];
    uint32_t reports, high_in_row;
    uint8_t high;     /* the newest 8 reports, newest in bit 0 */
    int64_t since_ms; /* of the first high report of these, and its step */
    double since_step;
};
struct toc_norm_limits {
    double sigma, ratio, runaway_ratio;
};
enum { TOC_NORM_WARM_UP = 25, TOC_NORM_LEAST_HIGH = 4, TOC_NORM_FIRST = 8 };
void toc_norm_take(struct toc_norm_watch *w, const struct toc_norm_limits *l,
                   struct toc_report_at at, double v);
/* At least half of the newest reports were high, or one beyond every doubt. */
bool toc_norm_is_high(const struct toc_norm_watch *w);
static inline double toc_norm_usual(const struct toc_norm_watch *w) {
    return exp(w->mean);
}
/* Above this a report counts as high. */
double toc_norm_line(const struct toc_norm_watch *w, const struct toc_norm_limits *l);

struct toc_layer_stat {
    double value;     /* newest finite one */
    double start;     /* shares: the lowest of the first reports */
    double usual_log; /* slow mean of the logarithm of what is not ill */
    double start_log; /* mean of the logarithm over the first reports, per learning rate if known */
    int64_t t_ms;     /* newest report, and its step */
    double step;
    uint32_t reports, start_reports;
    struct toc_hold hold, zero_hold, peer_hold;
    int64_t judged_ms; /* newest report that peer_hold knows */
};

struct toc_time_index {
    struct {
        TOC_VEC_FIELDS(int64_t)
    } t;
    struct {
        TOC_VEC_FIELDS(double)
    } v;
    double before; /* newest value of earlier reads, and its time */
    int64_t before_ms;
};
void toc_time_index_add(struct toc_time_index *x, int64_t t_ms, double v);
/* The newest value at or before t; NaN when unknown. */
double toc_time_index_at(const struct toc_time_index *x, int64_t t_ms);
void toc_time_index_fini(struct toc_time_index *x);

/* Loss by step of earlier runs with the same recipe. */
#define TOC_ENVELOPE_BACK_MS (30LL * 24 * 3600 * 1000)
enum { TOC_ENVELOPE_RUNS = 8, TOC_ROUTERS = 3, TOC_LAYER_QUANTILES = 2 };
struct toc_envelope {
    char recipe[128]; /* "" = none told */
    bool is_named;    /* candidates are known */
    struct {
        TOC_VEC_FIELDS(struct toc_sv)
    } candidates; /* names of runs still to be read; owned */
    struct {
        struct toc_course *loss; /* owned */
        int64_t ended_ms;
    } runs[TOC_ENVELOPE_RUNS];
    size_t run_count;
};
/* Between which losses earlier runs were at that step, with a margin; false when none was. */
bool toc_envelope_band(const struct toc_envelope *e, double step, double *out_lower,
                       double *out_upper);
void toc_envelope_fini(struct toc_envelope *e);

/* From one report to the next the learning rate rose far above all it had been; t_ms 0 = it never
 * did. A restart of a schedule, which goes back to where it was, is none. */
struct toc_rate_jump {
    int64_t t_ms;
    double step;
    double from, to; /* from: the highest before */
};

/* Checksums of ranks, as the newest look found them. */
struct toc_replica_model {
    int64_t looked_ms;
    bool has_series, compared, is_different;
    double step;
    int64_t t_ms, ranks[2];
    double checksums[2];
    size_t layer; /* 1 + place; 0 = the whole run */
};

struct toc_learn_model {
    struct toc_time_index steps, rates; /* of the read under way */
    size_t rate_place;                  /* in rates, where the last loss's was found */
    int64_t number_t_ms[NUMBER_COUNT];  /* newest report of each number */
    double rate_max;
    struct toc_rate_jump rate_jump;
    struct toc_norm_watch grad_norm;
    double loss_recent[TOC_NORM_FIRST]; /* ring by loss_reports */
    uint64_t loss_reports;
    struct toc_course *loss; /* owned, NULL = none yet; the same below */
    struct toc_evals *val_loss, *val_acc;
    struct toc_recent *kept[NUMBER_COUNT];       /* newest reports of some */
    struct toc_layer_stat *routers[TOC_ROUTERS]; /* of the run as a whole */
    double accuracy, val_accuracy, scale_max;
    bool has_router, has_quantiles;
    int64_t rewound_ms; /* when the step last went back */
    struct toc_envelope envelope;
    uint64_t behind_reports; /* reports when it fell behind earlier runs; 0 = it is not */
    double behind_step;
    int64_t behind_ms;
    struct toc_replica_model replicas;
    struct toc_map seen;         /* names of series that came */
    uint64_t judged_reports[64]; /* by case: length of the course it has judged */
};

/* The series of both tables, as alternatives of a regular expression. */
#define TOC_LEARN_ALTERNATIVE(name, series) "|" series
#define TOC_LEARN_PATTERN                       \
    TOC_RUN_NUMBER_TABLE(TOC_LEARN_ALTERNATIVE) \
    TOC_LAYER_STAT_TABLE(TOC_LEARN_ALTERNATIVE) \
    "|train_layer_(param|activation)_q(01|05|25|50|75|95|99)"

struct toc_doctor;
struct toc_recent;
struct toc_run_model;

void toc_learn_init(struct toc_learn_model *l);
void toc_learn_fini(struct toc_learn_model *l);
/* Which series the model wants: name → place in the tables. */
void toc_learn_metric_ids(struct toc_map *ids);
/* The two passes over one read: steps and learning rates first, which the rest refers to. */
void toc_learn_index(struct toc_learn_model *l, struct toc_sv metric,
                     const struct toc_series_view *s);
void toc_learn_take(struct toc_doctor *d, struct toc_run_model *m, struct toc_sv metric,
                    struct toc_sv layer, const struct toc_series_view *s);
/* The read is over. */
void toc_learn_settle(struct toc_learn_model *l);

/* Learning rate at that time; NaN when unknown. */
double toc_learn_rate_at(const struct toc_learn_model *l, int64_t t_ms);
/* Median of the newest losses; NaN when there is none. */
double toc_learn_recent_loss(const struct toc_learn_model *l);

#endif
