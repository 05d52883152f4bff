/* The inside of the detectors, shared by their files. Everything here is called under the mutex. */
#ifndef TOC_RULES_DETECTOR_PRIV_H
#define TOC_RULES_DETECTOR_PRIV_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "detect/iforest.h"
#include "detect/preprocess.h"
#include "detect/robust.h"
#include "model/labels.h"
#include "promql/promql.h"
#include "rules/detector.h"
#include "sys/thread.h"

enum {
    TOC_DETECTOR_FEATURES_MAX = 16,
    TOC_DETECTORS_MAX = 200,
    TOC_DETECTOR_POINTS_MAX = 2000,   /* per series in one training query or window */
    TOC_DETECTOR_ROWS_MAX = 20000,    /* of one forest training */
    TOC_DETECTOR_CELLS_MAX = 8 << 20, /* steps x features x series of one query */
    TOC_DETECTOR_TAIL = 64,           /* raw values kept for denoising */
    TOC_DETECTOR_VERSIONS_KEPT = 5,
    TOC_DETECTOR_RATE_SPAN = 60,   /* evaluations behind tocsin_anomaly_rate */
    TOC_DETECTOR_RETRY_MS = 30000, /* next attempt without a model */
    TOC_DETECTOR_RETRY_MAX_MS = 600000,
    TOC_DETECTOR_BY_MAX = 8, /* labels that make peers */
};

enum toc_detector_direction { TOC_DIRECTION_BOTH, TOC_DIRECTION_UP, TOC_DIRECTION_DOWN };

struct detector_feature {
    struct toc_sv name, text; /* owned */
    struct toc_promql_expr *expr;
};

/* One entry, checked, everything owned. */
struct detector_config {
    struct toc_sv name;
    enum toc_detector_method method;
    struct detector_feature features[TOC_DETECTOR_FEATURES_MAX];
    size_t feature_count;
    int64_t window_ms, interval_ms, train_interval_ms, history_ms;
    int64_t n_estimators, min_points, seed;
    double contamination; /* 0: auto */
    double threshold;     /* NaN: the forest's offset */
    int64_t season_ms;    /* holt_winters; 0: none, negative: looked for */
    double alpha, beta, gamma;
    double budget_seconds; /* ensemble: one alert in so many; with a threshold: of no meaning */
    double min_shift;      /* change_point: share of the level */
    struct toc_sv by[TOC_DETECTOR_BY_MAX]; /* peers; owned */
    size_t by_count;
    enum toc_detector_direction direction;
    struct toc_preprocess preprocess;
    bool is_builtin;
    uint64_t hash;       /* of the whole entry */
    uint64_t model_hash; /* of what a stored model depends on */
};

/* Built-in ones, replaced or switched off by the list's entries of the same name. */
struct detector_configs {
    TOC_VEC_FIELDS(struct detector_config)
};
int toc_detector_configs_read(const struct toc_yaml *list, struct detector_configs *out,
                              struct toc_err *err) TOC_MUST_CHECK;
void toc_detector_configs_fini(struct detector_configs *c);
void toc_detector_config_fini(struct detector_config *c);
static inline size_t toc_detector_window_points(const struct detector_config *c) {
    return (size_t)(c->window_ms / c->interval_ms);
}

/* What is known of one series; labels without the metric name. */
struct detector_series {
    struct toc_labels labels;        /* owned */
    struct toc_robust_window window; /* robust_z: processed values before the current one */
    double *tail; /* features x TOC_DETECTOR_TAIL raw values; NULL without denoising */
    size_t tail_count[TOC_DETECTOR_FEATURES_MAX];
    struct toc_normalisation norms[TOC_DETECTOR_FEATURES_MAX]; /* forest */
    bool has_norms;
    uint64_t recent; /* newest judgement in bit 0 */
    unsigned recent_count;
    int64_t seen_ms;
    struct detector_stream *stream; /* of the methods in detector_stream.h; owned */
    bool is_written;                /* its outputs are alive in the store */
};

struct detector {
    struct detector_config config;
    struct toc_map series; /* encoded labels → struct detector_series * (owned) */
    struct toc_iforest *forest;
    struct detector_feedback *feedback; /* NULL: no verdicts */
    double band_lower[TOC_DETECTOR_FEATURES_MAX], band_upper[TOC_DETECTOR_FEATURES_MAX];
    int64_t model_version;
    struct toc_ts trained_at;
    uint64_t training_points;
    int64_t points_missing; /* of a series, when the last training had too few */
    int64_t next_slot_ms, next_train_ms;
    int64_t caught_up_ms, next_save_ms; /* of the methods in detector_stream.h: last slot learnt */
    double last_score;
    size_t judged, anomalies;
    char last_error[TOC_ERR_MESSAGE_MAX], train_error[TOC_ERR_MESSAGE_MAX];
    bool is_training_failing; /* by more than too little history */
};

struct toc_detectors {
    struct toc_detectors_options options;
    struct toc_mutex mutex;
    TOC_VEC_FIELDS(struct detector *)
    size_t series_count;
    bool has_metadata;
    struct toc_detectors_stats stats;
};

/* The features' values of all series on one grid, joined by identical labels. NaN: no value. */
struct detector_row_set {
    struct toc_labels labels;
    double *cells; /* step after step, features side by side */
};
struct detector_grid {
    struct toc_arena arena;
    TOC_VEC(struct detector_row_set) series;
    struct toc_map by_labels;
    int64_t start_ms, step_ms;
    size_t steps, features;
};
int toc_detector_query(struct toc_detectors *d, const struct detector_config *c, int64_t start_ms,
                       int64_t end_ms, int64_t step_ms, struct detector_grid *out,
                       struct toc_err *err) TOC_MUST_CHECK;
void toc_detector_grid_fini(struct detector_grid *g);
/* One feature of one series, preprocessed, in place (NaN where nothing is left). TOC_ENOMEM. */
int toc_detector_preprocess_column(const struct detector_config *c, const struct detector_grid *g,
                                   double *cells, size_t feature) TOC_MUST_CHECK;

/* The state of these labels, made when new; NULL (counted) over the limit. */
struct detector_series *toc_detector_series(struct toc_detectors *d, struct detector *x,
                                            struct toc_labels labels);
void toc_detector_series_clear(struct toc_detectors *d, struct detector *x);
/* Forgets series not seen for a window. */
void toc_detector_series_expire(struct toc_detectors *d, struct detector *x, int64_t now_ms);

/* Trains on history that ends before `at_ms`. TOC_ENODATA with a sentence when it is too short. */
int toc_detector_train(struct toc_detectors *d, struct detector *x, int64_t at_ms,
                       struct toc_err *err) TOC_MUST_CHECK;

/* What one evaluation says of one series. */
struct judgement {
    bool is_judged;
    double score;
    double feedback_score; /* NaN: no verdicts */
    bool is_anomaly;
    double lower[TOC_DETECTOR_FEATURES_MAX], upper[TOC_DETECTOR_FEATURES_MAX];
};
/* Judges the values of one step and learns them afterwards. */
void toc_detector_judge(struct toc_detectors *d, struct detector *x, struct detector_series *s,
                        const double *values, struct judgement *out);

/* detector_feedback.c: verdicts on what a forest said. */
void toc_detector_feedback_load(struct toc_detectors *d, struct detector *x);
/* Anew for the forest in force. */
void toc_detector_feedback_replay(struct toc_detectors *d, struct detector *x);
/* Of a normalised row; NaN without verdicts. */
double toc_detector_feedback_score(const struct detector *x, const double *row);
void toc_detector_feedback_free(struct detector *x);

/* Output samples of one evaluation, written in one batch. */
struct detector_output {
    struct toc_arena arena;
    TOC_VEC(struct toc_point) points;
};
void toc_detector_output_add(struct detector_output *o, const struct detector *x,
                             const struct detector_series *s, const struct judgement *j,
                             int64_t at_ms);
void toc_detector_output_end(struct detector_output *o, const struct detector *x,
                             const struct detector_series *s, int64_t at_ms);
/* Writes and finishes. */
int toc_detector_output_write(struct toc_detectors *d, struct detector_output *o,
                              struct toc_err *err) TOC_MUST_CHECK;

/* The model in the store: what a restart continues with. Failures are counted. */
void toc_detector_save(struct toc_detectors *d, const struct detector *x);
void toc_detector_load(struct toc_detectors *d, struct detector *x, struct toc_ts now);
/* Removes models whose detector is gone. */
void toc_detector_store_sweep(struct toc_detectors *d);

#endif
