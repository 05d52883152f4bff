/*
 * Detectors: anomaly models that run beside the rules. Each evaluates its expressions on a grid,
 * judges every series by a model trained on stored history and writes what it thinks as series:
 *
 *     tocsin_anomaly_score     |z| in the watched direction, or by method; higher is stranger
 *     tocsin_anomaly           1 when the score is over the threshold, else 0
 *     tocsin_anomaly_rate      share of anomalies among the last 60 evaluations
 *     tocsin_expected_lower, tocsin_expected_upper      the band of normal values
 *
 *     tocsin_anomaly_score_feedback    isolation_forest with verdicts: the score after re-weighting
 *
 * with detector="NAME" and the labels of the series. A detector never pages; rules may use its
 * series.
 *
 * Pure: time comes in as `now`. Drive it with toc_detectors_run_due at (or after)
 * toc_detectors_next_due. Thread-safe by one mutex of rank TOC_LOCK_RULES, held while one detector
 * runs; querier, sink and store must not call back. See docs/design/detect.md.
 */
#ifndef TOC_RULES_DETECTOR_H
#define TOC_RULES_DETECTOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/sv.h"
#include "base/time.h"
#include "codec/yaml.h"
#include "model/blob_store.h"
#include "model/labels.h"
#include "model/querier.h"
#include "model/sink.h"

/* X(enum, name, help) */
#define TOC_DETECTOR_METHOD_TABLE(X)                                                             \
    X(TOC_DETECTOR_ROBUST_Z, "robust_z", "distance from the median of the last window, in MADs") \
    X(TOC_DETECTOR_FOREST, "isolation_forest", "Isolation Forest over one or more features")     \
    X(TOC_DETECTOR_HOLT_WINTERS, "holt_winters",                                                 \
      "distance from a smoothed level, trend and season")                                        \
    X(TOC_DETECTOR_CHANGE_POINT, "change_point", "a level that changed and stays")               \
    X(TOC_DETECTOR_PEERS, "peers", "a member that differs from the others for some time")        \
    X(TOC_DETECTOR_FLAT_LINE, "flat_line", "a value that changed and does not any more")         \
    X(TOC_DETECTOR_MISSING, "missing", "a series that had values and has none")                  \
    X(TOC_DETECTOR_ENSEMBLE, "ensemble",                                                         \
      "windows, energy, seasons and residuals together, one series or several features")         \
    X(TOC_DETECTOR_LOSS_CURVE, "loss_curve", "the loss of a training: spikes, rises, plateaus")  \
    X(TOC_DETECTOR_PACE_CURVE, "pace_curve",                                                     \
      "the step time of a training, or its throughput (direction: down): slower, drift")

/* X(enum, name) */
#define TOC_DETECTOR_STATE_TABLE(X)                                  \
    X(TOC_DETECTOR_LEARNING, "learning") /* not enough values yet */ \
    X(TOC_DETECTOR_READY, "ready")                                   \
    X(TOC_DETECTOR_FAILING, "failing") /* the last run or training failed */

#define X(name, ...) name,
enum toc_detector_method { TOC_DETECTOR_METHOD_TABLE(X) };
enum toc_detector_state { TOC_DETECTOR_STATE_TABLE(X) };
#undef X

struct toc_detectors;

struct toc_detectors_options {
    struct toc_querier *querier;
    struct toc_sink *sink;
    struct toc_blob_store *store; /* NULL: models do not survive a restart */
    size_t max_series;            /* of all detectors together; default 5000 */
    int64_t lookback_ms;          /* default 5 m */
    uint64_t max_samples;         /* per query; default 10 000 000 */
};

struct toc_detectors *toc_detectors_new(const struct toc_detectors_options *o);
/* Ends nothing: the series go stale by themselves. */
void toc_detectors_free(struct toc_detectors **d);

/* Is the section `detectors:` sound? TOC_E… with line and column. NULL is. Builds nothing. */
int toc_detectors_check(const struct toc_yaml *list, struct toc_err *err) TOC_MUST_CHECK;
/* Replaces all detectors: the built-in ones, and over them those of the list (NULL: none).
 * Detectors whose entry did not change keep their state, others take their model from the store.
 * Nothing changes on error. */
int toc_detectors_set(struct toc_detectors *d, const struct toc_yaml *list, struct toc_ts now,
                      struct toc_err *err) TOC_MUST_CHECK;

/* A person's verdict on what the detector NAME said at `at` of the series of this alert: a forest
 * re-weights its edges (docs/design/learning.md), kept over trainings and restarts; its own score
 * stays beside the weighted one. TOC_ENOENT without the detector, TOC_EUNSUPPORTED for methods that
 * do not learn, TOC_ENODATA when the values of that time are gone, the store's error. */
int toc_detectors_verdict(struct toc_detectors *d, struct toc_sv name, struct toc_labels alert,
                          bool is_true, struct toc_ts at, struct toc_err *err) TOC_MUST_CHECK;

/* The next slot in ms since the epoch; INT64_MAX without detectors. */
int64_t toc_detectors_next_due(struct toc_detectors *d);
/* Trains and evaluates every detector whose slot has come, once, at the latest slot; missed slots
 * are counted. */
void toc_detectors_run_due(struct toc_detectors *d, struct toc_ts now);

struct toc_detector_feature {
    struct toc_sv name; /* "" of a single expression */
    struct toc_sv expr;
};

/* For GET detectors; borrowed for the call. */
struct toc_detector_view {
    struct toc_sv name;
    struct toc_sv expr;   /* of several features: "name: expr; name: expr" */
    struct toc_sv method; /* text of the table */
    int64_t interval_ms;  /* of evaluations */
    double threshold;     /* of the score; NaN: the forest's offset */
    size_t features;      /* expressions */
    const struct toc_detector_feature *feature_list;
    struct toc_sv state;
    bool is_builtin;
    int64_t model_version;    /* 0: none yet */
    struct toc_ts trained_at; /* 0: never */
    uint64_t training_points;
    double last_score; /* highest of the last evaluation; NaN without one */
    struct toc_sv last_error;
    size_t series, anomalies; /* of the last evaluation */
    size_t state_bytes;       /* of all its series */
};
typedef void toc_on_detector(void *ctx, const struct toc_detector_view *v);
void toc_detectors_each(struct toc_detectors *d, toc_on_detector *fn, void *ctx);

/* X(field, help) — counters since start. */
#define TOC_DETECTORS_COUNTER_TABLE(X)                                            \
    X(evaluations, "detectors evaluated")                                         \
    X(evaluation_failures, "evaluations that failed")                             \
    X(missed, "slots that were skipped")                                          \
    X(trainings, "models trained")                                                \
    X(training_failures, "trainings that failed")                                 \
    X(anomalies, "series judged anomalous, once per evaluation")                  \
    X(verdicts, "verdicts that re-weighted a forest")                             \
    X(values_skipped, "values that were not finite")                              \
    X(series_dropped, "series over the limit, once per evaluation")               \
    X(slots_replayed, "slots stepped through from stored history")                \
    X(samples_written, "samples accepted by the store")                           \
    X(samples_rejected, "samples refused by the store or lost by a failed write") \
    X(store_failures, "models that could not be saved or read")

struct toc_detectors_stats {
    size_t detectors, series, state_bytes;
#define X(field, help) uint64_t field;
    TOC_DETECTORS_COUNTER_TABLE(X)
#undef X
};
struct toc_detectors_stats toc_detectors_stats(struct toc_detectors *d);

#endif
