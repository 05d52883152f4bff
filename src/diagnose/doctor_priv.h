/* Inside of the doctor: what it remembers of each run and server, and its cases. */
#ifndef TOC_DIAGNOSE_DOCTOR_PRIV_H
#define TOC_DIAGNOSE_DOCTOR_PRIV_H

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/vec.h"
#include "diagnose/doctor.h"
#include "diagnose/history_priv.h"
#include "diagnose/learn_priv.h"
#include "diagnose/rank_model.h"
#include "diagnose/signature.h"
#include "model/job.h"
#include "sys/thread.h"

enum {
    TOC_RECENT = 512,
    TOC_EVIDENCE_MAX = 4,
    TOC_CAUSES_MAX = 4,
    TOC_DOCTOR_RUNS_MAX = 256,
    TOC_DOCTOR_LAYERS_MAX = 4096,
    TOC_DOCTOR_RANKS_MAX = 32768, /* of all runs together */
    TOC_DOCTOR_SERVERS_MAX = 128,
    TOC_BACKFILL_MS = 15 * 60 * 1000,
    TOC_TEXT_MAX = 200,
    TOC_RUN_METRICS_MAX = 16,
    TOC_ARRIVALS = 8,
};

/* X(enum, name): what the doctor judges. The kinds of one subject are judged in this order. */
#define TOC_CASE_TABLE(X)                               \
    X(CASE_NON_FINITE, TOC_KIND_NON_FINITE)             \
    X(CASE_OOM, TOC_KIND_OOM)                           \
    X(CASE_CRASH, TOC_KIND_CRASH)                       \
    X(CASE_HANG, TOC_KIND_HANG)                         \
    X(CASE_DIVERGENCE, TOC_KIND_DIVERGENCE)             \
    X(CASE_LOSS_SPIKE, TOC_KIND_LOSS_SPIKE)             \
    X(CASE_VANISHING, TOC_KIND_VANISHING_GRADIENT)      \
    X(CASE_EXPLODING, TOC_KIND_EXPLODING_GRADIENT)      \
    X(CASE_DEAD_UNITS, TOC_KIND_DEAD_UNITS)             \
    X(CASE_SATURATION, TOC_KIND_SATURATION)             \
    X(CASE_UPDATE_RATIO, TOC_KIND_UPDATE_RATIO)         \
    X(CASE_DRIFT, TOC_KIND_PARAMETER_DRIFT)             \
    X(CASE_REPLICAS, TOC_KIND_REPLICA_DIVERGENCE)       \
    X(CASE_AMP, TOC_KIND_AMP_TROUBLE)                   \
    X(CASE_MOE, TOC_KIND_MOE_IMBALANCE)                 \
    X(CASE_OVERFIT, TOC_KIND_OVERFIT)                   \
    X(CASE_PLATEAU, TOC_KIND_PLATEAU)                   \
    X(CASE_SLOW_CONVERGENCE, TOC_KIND_SLOW_CONVERGENCE) \
    X(CASE_OSCILLATION, TOC_KIND_OSCILLATION)           \
    X(CASE_STRAGGLER, TOC_KIND_STRAGGLER)               \
    X(CASE_STARVATION, TOC_KIND_DATA_STARVATION)        \
    X(CASE_OVERDUE, TOC_KIND_CHECKPOINT_OVERDUE)        \
    X(CASE_CORRUPT, TOC_KIND_CHECKPOINT_CORRUPT)        \
    X(CASE_CONTENTION, TOC_KIND_CPU_CONTENTION)         \
    X(CASE_THROUGHPUT, TOC_KIND_THROUGHPUT_DROP)        \
    X(CASE_MEMORY, TOC_KIND_MEMORY_GROWTH)              \
    X(CASE_RESTARTS, TOC_KIND_RESTART_STORM)            \
    X(CASE_LATENCY, TOC_KIND_LATENCY_SLO)               \
    X(CASE_TTFT, TOC_KIND_TTFT_SLO)                     \
    X(CASE_ERRORS, TOC_KIND_ERROR_BURST)

enum toc_case_id {
#define X(name, kind) name,
    TOC_CASE_TABLE(X)
#undef X
        CASE_COUNT
};

/* What a judge says at one tick. */
enum toc_verdict { VERDICT_UNKNOWN, VERDICT_CALM, VERDICT_ILL };

/* One subject's story with one kind. */
struct toc_case {
    bool is_open;
    int64_t started_ms; /* first sample that showed it */
    int64_t calm_since_ms;
    int64_t told_ms;            /* last time the sink heard of it */
    uint64_t told_mark;         /* and of which place */
    enum toc_severity severity; /* of its alert: that of the finding which opened it */
    double reference;           /* baseline, frozen while the case is open */
    struct toc_arena arena;     /* owns the texts of the finding */
    struct toc_finding finding;
    struct toc_evidence evidence[TOC_EVIDENCE_MAX];
    struct toc_cause causes[TOC_CAUSES_MAX];
    struct toc_sv layer; /* layer or endpoint, "" = none */
    bool has_rank;       /* the finding names a rank */
    int64_t rank;
    struct toc_sv host; /* where it is, "" = unknown */
};

struct toc_sample_at {
    int64_t t_ms;
    double value;
};

/* The newest raw samples of one series. */
struct toc_recent {
    struct toc_sample_at items[TOC_RECENT];
    size_t start, count;
    size_t nonfinite;  /* of them */
    int64_t last_t_ms; /* 0 = none yet */
};
void toc_recent_add(struct toc_recent *r, int64_t t_ms, double value);
/* i-th newest, 0 = the last; NULL beyond. */
const struct toc_sample_at *toc_recent_at(const struct toc_recent *r, size_t i);
/* The value at the latest time <= t_ms; NaN when there is none. */
double toc_recent_value_at(const struct toc_recent *r, int64_t t_ms);

struct toc_layer_model {
    struct toc_sv name;            /* owned */
    size_t order;                  /* place in the network; SIZE_MAX = not told */
    int64_t last_t_ms, ratio_t_ms; /* newest sample of each statistic */
    int64_t activation_t_ms;       /* the same of non-finite activations */
    int64_t bad_activation_ms;     /* first report of them since it was well; 0 = none */
    int64_t low_since_ms, bad_since_ms, nonfinite_t_ms;
    int64_t share_bad_since_ms; /* bad by its own share of non-finite numbers */
    double first_bad_share;     /* that share then, of parameters */
    double grad;
    double usual_log; /* slow mean of the gradient's logarithm while it is not low */
    uint32_t seen;
    double usual_share_log; /* mean of the logarithm of its gradient over the last layer's */
    uint32_t shares;
    int64_t share_t_ms;                                        /* newest gradient that is in it */
    struct toc_layer_stat *stats[STAT_COUNT];                  /* owned; NULL = never reported */
    struct toc_norm_watch *norm;                               /* owned, beside stats[STAT_GRAD] */
    struct toc_quantile_watch *quantiles[TOC_LAYER_QUANTILES]; /* owned: param, activation */
};

struct toc_run_model {
    struct toc_sv name; /* owned */
    struct toc_case cases[CASE_COUNT];
    struct toc_ranks ranks;
    struct toc_recent steps, losses, grads, rates;
    struct toc_bins loss, grad, rate, step_seconds, derived_step_seconds, memory, cpu_wait;
    struct {
        TOC_VEC_FIELDS(struct toc_layer_model)
    } layers;
    struct toc_learn_model learn;
    struct toc_map layer_index; /* name → index + 1 */
    bool are_layers_ordered;
    double state, tells_state, memory_now, memory_limit, restarts;
    int64_t state_t_ms, state_changed_ms, memory_first_ms, restarts_t_ms;
    int64_t restart_times[64]; /* ring by restart_count */
    size_t restart_count;
    int64_t metric_t_ms[TOC_RUN_METRICS_MAX]; /* newest sample of each metric */
    int64_t last_t_ms;                        /* newest sample of any series, sender's clock */
    int64_t last_seen_ms;                     /* our time when it came */
    int64_t progress_seen_ms;                 /* our time when the step last changed */
    int64_t progress_t_ms;                    /* the same on the sender's clock */
    int64_t blind_ms;                         /* of the time since then we did not look */
    int64_t resumed_t_ms;                     /* since when the state is running without a break */
    double intervals[TOC_RECENT];             /* seconds between progress, ring */
    size_t interval_count;
    /* Seconds of training that came at once: a writer holds them back that long. Ring. */
    double held_back_s[TOC_ARRIVALS];
    size_t arrivals;
    int64_t arrival_ms, arrival_from_ms; /* our time of the last; the progress before it */
    int64_t loss_gap_ms;                 /* longest usual gap between losses */
    size_t loss_gaps;
    int64_t nonfinite_t_ms; /* last non-finite loss, gradient or parameter */
    int64_t nonfinite_first_ms;
    int64_t nonfinite_judged_ms; /* the nonfinite_first_ms that was judged */
    bool is_seen_running;        /* some judge saw it before its end */
    unsigned bad_grads_in_row;
    double error_step;
    int64_t error_seen_ms; /* our time of the last error event, 0 = none */
    char error_text[TOC_TEXT_MAX];
    bool is_error_oom;
    /* The first process of the run that ended badly, and how; exit_seen_ms 0 = none. */
    int64_t exit_seen_ms, exit_rank;
    char exit_text[TOC_TEXT_MAX];
    bool is_exit_oom;
    /* The latest bad word of a scheduler about the run's job; job_seen_ms 0 = none. */
    int64_t job_seen_ms, job_rank;
    enum toc_job_state job_state;
    char job_text[TOC_TEXT_MAX];
    bool is_job_end, is_job_past; /* the end of this life; a word about an earlier one */
    int64_t straggler_since_ms, straggler_rank; /* 0 = nobody is out */
    uint32_t straggler_lines;
    int64_t starving_since_ms;
    int64_t checkpoint_failed_ms;  /* our time when writing or loading one failed, 0 = never */
    double checkpoint_failed_step; /* of that one, NaN = not told */
    bool is_checkpoint_corrupt;    /* loading, or a damaged file */
    char checkpoint_error[TOC_TEXT_MAX];
    bool is_dormant; /* its story ended before we looked; silent until new samples come */
    bool is_ended_known;
    int64_t ended_seen_ms; /* our time when finished or failed was first seen */
};

struct toc_server_entry {
    int64_t t_ms;
    float latency_count, latency_sum, ttft_count, ttft_sum;
    float requests, errors, http_requests, http_errors;
    float latency_buckets[32], ttft_buckets[32];
};

enum { TOC_SERVER_ENTRIES = 256, TOC_BUCKETS_MAX = 32 };

/* What the entries say about one histogram, and from what it was drawn: servers are judged each
 * second, but read less often. */
struct toc_server_picture {
    double usual, sigma, now, p99, requests; /* mean seconds; p99 and count of the recent window */
    size_t recent, slow;                     /* scrapes with requests; those above the line */
    int64_t since_ms;
    size_t usual_scrapes;
    uint64_t of_changes; /* 0: not drawn yet */
    double of_ratio, of_frozen;
};

struct toc_server_model {
    struct toc_sv job, instance, model; /* owned */
    struct toc_server_picture latency, ttft;
    uint64_t changes; /* samples entered so far */
    struct toc_case cases[CASE_COUNT];
    struct toc_server_entry entries[TOC_SERVER_ENTRIES];
    size_t start, count;
    double latency_bounds[TOC_BUCKETS_MAX], ttft_bounds[TOC_BUCKETS_MAX];
    size_t latency_bound_count, ttft_bound_count;
    struct toc_map counters;           /* series → struct toc_sample_at, owned */
    char error_endpoint[TOC_TEXT_MAX]; /* of the latest failures */
    int64_t last_t_ms;
};

/* An event waiting for the next tick. */
struct toc_doctor_event {
    struct toc_sv run; /* owned */
    enum toc_run_event_kind kind;
    int64_t t_ms;
    bool has_step;
    int64_t step, rank;
    enum toc_run_state state;
    char text[TOC_TEXT_MAX]; /* the message; of several lines the last */
    bool is_oom;             /* the message speaks of memory that is gone */
    struct {
        TOC_VEC_FIELDS(struct toc_sv)
    } layers; /* owned */
};

struct toc_doctor {
    struct toc_doctor_options o;
    struct toc_run_listener listener;
    char runbook_base[256];
    struct toc_mutex mutex; /* guards what follows */
    struct {
        TOC_VEC_FIELDS(struct toc_run_model *)
    } runs;
    struct toc_map run_by_name;
    struct {
        TOC_VEC_FIELDS(struct toc_server_model *)
    } servers;
    struct toc_map server_by_key;
    struct {
        TOC_VEC_FIELDS(struct toc_case_message *)
    } messages; /* of this tick, not sent yet */
    struct toc_matcher run_metrics, rank_metrics, gpu_metrics, ras_metrics, server_metrics,
        pressure_metrics;
    struct toc_map learn_ids; /* of toc_learn_metric_ids */
    struct toc_matcher envelope_metrics, checksum_metrics;
    struct toc_bins pressure; /* share of time in which tasks waited for a CPU */
    struct toc_sample_at pressure_last;
    int64_t now_ms, last_tick_ms, last_servers_ms, discovered_ms;
    size_t server_series;                   /* read in the last look at the servers */
    struct toc_signature_table *signatures; /* of checkpoints in error texts; made when needed */
    struct toc_mutex queue_mutex;           /* guards the queue only */
    struct {
        TOC_VEC_FIELDS(struct toc_doctor_event)
    } queue;
};

/* Judges return a verdict and, when ill, have filled the case's finding. now: the tick's time. */
typedef enum toc_verdict toc_judge_run(struct toc_doctor *d, struct toc_run_model *m,
                                       struct toc_case *c);
typedef enum toc_verdict toc_judge_server(struct toc_doctor *d, struct toc_server_model *m,
                                          struct toc_case *c);
toc_judge_run toc_judge_non_finite, toc_judge_oom, toc_judge_crash, toc_judge_hang,
    toc_judge_divergence, toc_judge_loss_spike, toc_judge_vanishing, toc_judge_throughput,
    toc_judge_contention, toc_judge_straggler, toc_judge_starvation, toc_judge_checkpoint_overdue,
    toc_judge_checkpoint_corrupt, toc_judge_memory, toc_judge_restarts;
toc_judge_run toc_judge_exploding, toc_judge_dead_units, toc_judge_saturation,
    toc_judge_update_ratio, toc_judge_drift, toc_judge_replicas, toc_judge_amp, toc_judge_moe,
    toc_judge_overfit, toc_judge_plateau, toc_judge_slow_convergence, toc_judge_oscillation;
toc_judge_server toc_judge_latency, toc_judge_ttft, toc_judge_errors;

/* Reading (run_model.c, server_model.c). */
int toc_doctor_read_runs(struct toc_doctor *d, struct toc_err *err) TOC_MUST_CHECK;
int toc_doctor_read_servers(struct toc_doctor *d, struct toc_err *err) TOC_MUST_CHECK;
int toc_doctor_read_pressure(struct toc_doctor *d, struct toc_err *err) TOC_MUST_CHECK;
/* Earlier runs of the recipe, one a tick (envelope.c); checksums of the ranks (kind_replica.c). */
int toc_envelope_learn(struct toc_doctor *d, struct toc_run_model *m,
                       struct toc_err *err) TOC_MUST_CHECK;
int toc_replica_read(struct toc_doctor *d, struct toc_run_model *m,
                     struct toc_err *err) TOC_MUST_CHECK;
/* The run has a series of that name (coverage.c). */
void toc_coverage_note(struct toc_run_model *m, struct toc_sv metric);
struct toc_run_model *toc_doctor_run(struct toc_doctor *d, struct toc_sv name);
struct toc_server_model *toc_doctor_server(struct toc_doctor *d, struct toc_sv job,
                                           struct toc_sv instance);
void toc_run_model_free(struct toc_run_model *m);
void toc_server_model_free(struct toc_server_model *m);
void toc_run_model_event(struct toc_run_model *m, const struct toc_doctor_event *e, int64_t now_ms);
/* Who holds a stalled run up as NCCL's RAS service sees it; rank -1 = it does not say. */
struct toc_culprit toc_ras_culprit(struct toc_doctor *d, const struct toc_run_model *m);
/* What allocators, frameworks and kernels say when memory is gone. */
bool toc_says_out_of_memory(struct toc_sv text);
struct toc_layer_model *toc_run_model_layer(struct toc_run_model *m, struct toc_sv name);
/* Layers sorted by their place in the network; indices into m->layers, valid until the next
 * layer. */
size_t toc_run_model_layer_order(const struct toc_run_model *m, size_t *out, size_t max);

/* First and last layer of the network that ever had a gradient (frozen layers have none); false
 * when they are not two. */
bool toc_run_end_layers(struct toc_run_model *m, struct toc_layer_model **out_first,
                        struct toc_layer_model **out_last);

/* Cases (case.c). */
void toc_case_begin(struct toc_case *c, enum toc_kind kind, int64_t first_seen_ms);
void toc_case_title(struct toc_case *c, const char *fmt, ...) TOC_PRINTF(2, 3);
void toc_case_summary(struct toc_case *c, const char *fmt, ...) TOC_PRINTF(2, 3);
void toc_case_action(struct toc_case *c, const char *text);
void toc_case_step(struct toc_case *c, double step);
void toc_case_layer(struct toc_case *c, struct toc_sv layer);
void toc_case_rank(struct toc_case *c, int64_t rank, struct toc_sv host);
void toc_case_cause(struct toc_case *c, double confidence, const char *evidence, const char *fmt,
                    ...) TOC_PRINTF(4, 5);
/* Names a jump of the learning rate before t as the cause, when there was one. */
void toc_case_rate_cause(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                         int64_t t_ms);
struct toc_evidence_numbers {
    double value, threshold, lower, upper;
};
void toc_case_evidence(struct toc_case *c, const char *title, const char *unit,
                       struct toc_evidence_numbers n, const char *expr_fmt, ...) TOC_PRINTF(5, 6);
/* Opens, refreshes or ends the case's alert after a verdict. subject: labels that name who is
 * ill. */
void toc_case_settle(struct toc_doctor *d, struct toc_case *c, enum toc_case_id id,
                     enum toc_verdict v, const struct toc_label *subject, size_t subject_count);
/* Tells the sink what the cases settled in this tick have to say, all at once. Runs, servers and
 * their cases stay meanwhile. */
void toc_cases_send(struct toc_doctor *d);
void toc_case_fini(struct toc_case *c);
/* Open, and opened by us: what was adopted after a restart has neither finding nor reference
 * yet. */
static inline bool toc_case_is_known(const struct toc_case *c) {
    return c->is_open && c->finding.title.n > 0;
}
/* Step that the open case names; NaN when it names none. */
static inline double toc_case_known_step(const struct toc_case *c) {
    return c->finding.has_step ? (double)c->finding.step : NAN;
}
enum toc_kind toc_case_kind(enum toc_case_id id);

/* Was the machine so busy over the last `window_s` that slowness is no surprise? */
bool toc_doctor_is_contended(const struct toc_doctor *d, double window_s);
/* Number of the step at or before that time; NaN when unknown. */
static inline double toc_run_step_at(const struct toc_run_model *m, int64_t t_ms) {
    return toc_recent_value_at(&m->steps, t_ms);
}
static inline bool toc_run_is_running(const struct toc_run_model *m) {
    return m->state > 0.5 && m->state < 1.5;
}
static inline bool toc_run_is_over(const struct toc_run_model *m) {
    return m->state < 0.5 || m->state > 2.5;
}

#endif
