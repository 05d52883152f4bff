/*
 * What is wrong, in one vocabulary: the table of kinds (stable names used in incidents, API,
 * runbooks, tests and translations) and the evidence that a rule, a detector or the doctor hands
 * over with an alert.
 */
#ifndef TOC_MODEL_FINDING_H
#define TOC_MODEL_FINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"
#include "base/time.h"

enum toc_severity { TOC_SEVERITY_INFO, TOC_SEVERITY_WARNING, TOC_SEVERITY_CRITICAL };
const char *toc_severity_text(enum toc_severity s);
/* "critical"/"page"/"error" → critical, "info"/"none" → info, anything else → warning. */
enum toc_severity toc_severity_parse(struct toc_sv s);

/*
 * X(ENUM, "name", class, severity, hard, root_rank, "title")
 * hard: nothing learned and no feedback may ever silence it.
 * root_rank: among alerts of one subject in one causal window the highest rank names the incident,
 * the rest are cascades.
 */
#define TOC_KIND_TABLE(X)                                                                         \
    X(NON_FINITE, "non_finite", TRAINING, CRITICAL, true, 90, "Non-finite values in training")    \
    X(LOSS_SPIKE, "loss_spike", TRAINING, WARNING, false, 50, "Loss spike")                       \
    X(DIVERGENCE, "divergence", TRAINING, CRITICAL, false, 70, "Training diverges")               \
    X(PLATEAU, "plateau", TRAINING, INFO, false, 20, "Loss plateau")                              \
    X(SLOW_CONVERGENCE, "slow_convergence", TRAINING, INFO, false, 18, "Slow convergence")        \
    X(OSCILLATION, "oscillation", TRAINING, INFO, false, 19, "Loss oscillates")                   \
    X(OVERFIT, "overfit", TRAINING, INFO, false, 21, "Overfitting")                               \
    X(VANISHING_GRADIENT, "vanishing_gradient", TRAINING, WARNING, false, 62,                     \
      "Vanishing gradients")                                                                      \
    X(EXPLODING_GRADIENT, "exploding_gradient", TRAINING, CRITICAL, false, 65,                    \
      "Exploding gradients")                                                                      \
    X(DEAD_UNITS, "dead_units", TRAINING, WARNING, false, 60, "Dead units")                       \
    X(SATURATION, "saturation", TRAINING, WARNING, false, 58, "Saturated activations")            \
    X(UPDATE_RATIO, "update_ratio", TRAINING, INFO, false, 40,                                    \
      "Update to weight ratio out of range")                                                      \
    X(PARAMETER_DRIFT, "parameter_drift", TRAINING, WARNING, false, 41, "Parameter drift")        \
    X(REPLICA_DIVERGENCE, "replica_divergence", TRAINING, CRITICAL, true, 80, "Replicas differ")  \
    X(AMP_TROUBLE, "amp_trouble", TRAINING, WARNING, false, 55, "Mixed-precision trouble")        \
    X(MOE_IMBALANCE, "moe_imbalance", TRAINING, WARNING, false, 45, "Expert imbalance")           \
    X(THROUGHPUT_DROP, "throughput_drop", TRAINING, WARNING, false, 48, "Throughput drop")        \
    X(DATA_STARVATION, "data_starvation", TRAINING, WARNING, false, 52, "Data starvation")        \
    X(STRAGGLER, "straggler", TRAINING, WARNING, false, 51, "Straggler")                          \
    X(HANG, "hang", TRAINING, CRITICAL, true, 85, "Training hangs")                               \
    X(CHECKPOINT_OVERDUE, "checkpoint_overdue", TRAINING, WARNING, false, 35,                     \
      "Checkpoint overdue")                                                                       \
    X(CHECKPOINT_CORRUPT, "checkpoint_corrupt", TRAINING, CRITICAL, true, 66,                     \
      "Checkpoint corrupt")                                                                       \
    X(MEMORY_GROWTH, "memory_growth", TRAINING, WARNING, false, 64,                               \
      "Memory grows towards out of memory")                                                       \
    X(OOM, "oom", TRAINING, CRITICAL, true, 95, "Out of memory")                                  \
    X(CRASH, "crash", TRAINING, CRITICAL, true, 92, "Training process died")                      \
    X(RESTART_STORM, "restart_storm", TRAINING, CRITICAL, false, 75, "Restart storm")             \
    X(TTFT_SLO, "ttft_slo", SERVING, WARNING, false, 46, "Time to first token too high")          \
    X(ITL_SLO, "itl_slo", SERVING, WARNING, false, 45, "Inter-token latency too high")            \
    X(LATENCY_SLO, "latency_slo", SERVING, WARNING, false, 47, "Latency too high")                \
    X(QUEUE_GROWTH, "queue_growth", SERVING, WARNING, false, 44, "Request queue grows")           \
    X(KV_PRESSURE, "kv_pressure", SERVING, WARNING, false, 43, "KV cache pressure")               \
    X(PREEMPTION_STORM, "preemption_storm", SERVING, WARNING, false, 42, "Preemption storm")      \
    X(PREFIX_COLLAPSE, "prefix_collapse", SERVING, INFO, false, 25,                               \
      "Prefix cache hit rate collapsed")                                                          \
    X(SPECULATION_LOW, "speculation_low", SERVING, INFO, false, 24, "Speculative acceptance low") \
    X(ERROR_BURST, "error_burst", SERVING, CRITICAL, false, 68, "Error burst")                    \
    X(ABORT_BURST, "abort_burst", SERVING, WARNING, false, 49, "Abort burst")                     \
    X(GOODPUT_BURN, "goodput_burn", SERVING, CRITICAL, false, 50, "Error budget burns")           \
    X(LENGTH_DRIFT, "length_drift", SERVING, INFO, false, 22, "Output length drift")              \
    X(QUALITY_DROP, "quality_drop", SERVING, WARNING, false, 39, "Quality drop")                  \
    X(COST_BUDGET, "cost_budget", SERVING, INFO, false, 23, "Cost budget")                        \
    X(XID, "xid", DEVICE, CRITICAL, true, 97, "GPU XID error")                                    \
    X(ECC, "ecc", DEVICE, CRITICAL, true, 96, "Uncorrectable ECC error")                          \
    X(ROW_REMAP, "row_remap", DEVICE, CRITICAL, true, 94, "Row remap failure")                    \
    X(THROTTLE, "throttle", DEVICE, WARNING, false, 57, "GPU throttled")                          \
    X(GPU_LOST, "gpu_lost", DEVICE, CRITICAL, true, 98, "GPU lost")                               \
    X(NVLINK, "nvlink", DEVICE, WARNING, false, 87, "NVLink errors")                              \
    X(INFINIBAND, "infiniband", DEVICE, WARNING, false, 86, "InfiniBand errors")                  \
    X(PCIE, "pcie", DEVICE, WARNING, false, 84, "PCIe errors")                                    \
    X(SPIN, "spin", DEVICE, CRITICAL, false, 83, "GPU spins without work")                        \
    X(PEER_OUTLIER, "peer_outlier", DEVICE, WARNING, false, 30, "Unlike its peers")               \
    X(DISK_FULL, "disk_full", HOST, CRITICAL, false, 93, "Disk full")                             \
    X(DISK_FAILING, "disk_failing", HOST, CRITICAL, false, 91, "Disk failing")                    \
    X(MEMORY_PRESSURE, "memory_pressure", HOST, WARNING, false, 63, "Memory pressure")            \
    X(OOM_KILL, "oom_kill", HOST, CRITICAL, true, 99, "Process killed for memory")                \
    X(CPU_CONTENTION, "cpu_contention", HOST, WARNING, false, 49, "CPUs are contended")           \
    X(CLOCK_SKEW, "clock_skew", HOST, WARNING, false, 31, "Clock skew")                           \
    X(NETWORK_ERRORS, "network_errors", HOST, WARNING, false, 61, "Network errors")               \
    X(THRESHOLD, "threshold", GENERIC, WARNING, false, 15, "Threshold crossed")                   \
    X(ANOMALY, "anomaly", GENERIC, WARNING, false, 10, "Anomaly")                                 \
    X(LEVEL_SHIFT, "level_shift", GENERIC, WARNING, false, 12, "Level shift")                     \
    X(MISSING_DATA, "missing_data", GENERIC, WARNING, false, 14, "Missing data")                  \
    X(FLAT_LINE, "flat_line", GENERIC, INFO, false, 11, "Flat line")                              \
    X(LOG_NOVELTY, "log_novelty", GENERIC, INFO, false, 9, "New kind of log line")                \
    X(RULE_DEAD, "rule_dead", GENERIC, WARNING, false, 13, "Rule matches nothing")                \
    X(TARGET_DOWN, "target_down", GENERIC, WARNING, false, 29, "Target down")                     \
    X(SELF_CONFIG, "self_config", SELF, WARNING, true, 26, "Configuration not applied")           \
    X(SELF_STORAGE, "self_storage", SELF, CRITICAL, true, 89, "Storage degraded")                 \
    X(SELF_CARDINALITY, "self_cardinality", SELF, WARNING, true, 88, "Too many series")           \
    X(SELF_NOTIFY, "self_notify", SELF, WARNING, true, 27, "Notifications fail")                  \
    X(SELF_BLIND, "self_blind", SELF, WARNING, true, 28, "Part of the monitoring is blind")       \
    X(SELF_FORWARD, "self_forward", SELF, WARNING, true, 17, "Remote write out loses or lags")    \
    X(SELF_WATCHDOG, "self_watchdog", SELF, INFO, true, 1, "Watchdog")

enum toc_kind_class {
    TOC_CLASS_TRAINING,
    TOC_CLASS_SERVING,
    TOC_CLASS_DEVICE,
    TOC_CLASS_HOST,
    TOC_CLASS_GENERIC,
    TOC_CLASS_SELF
};

enum toc_kind {
#define X(e, name, class_, severity, hard, rank, title) TOC_KIND_##e,
    TOC_KIND_TABLE(X)
#undef X
        TOC_KIND_COUNT
};

struct toc_kind_info {
    const char *name;
    enum toc_kind_class class_;
    enum toc_severity severity;
    bool is_hard;
    int root_rank;
    const char *title;
};
/* Row of the table; never NULL for a valid kind. */
const struct toc_kind_info *toc_kind_info(enum toc_kind kind);
/* Kind by name; TOC_KIND_COUNT when unknown. */
enum toc_kind toc_kind_parse(struct toc_sv name);

/* One piece of evidence. Views are borrowed from the alert's owner. NaN = "none" for numbers that
 * may be missing, except value, which may truly be NaN. */
struct toc_evidence {
    struct toc_sv title;
    struct toc_sv expr; /* PromQL that shows it */
    struct toc_sv unit; /* "s", "bytes", "ratio", "" */
    double value;
    double threshold;
    double expected_lower, expected_upper;
};

struct toc_cause {
    struct toc_sv text;
    double confidence; /* 0..1 */
    struct toc_sv evidence;
};

/* What followed from the finding: lines of logs of one kind, already counted. */
struct toc_finding_cascade {
    enum toc_kind kind;
    struct toc_sv name; /* of what was seen: a signature */
    struct toc_sv title;
    struct toc_ts started_at;
    int64_t count;
};

/* What a rule, detector or the doctor knows beyond labels. All views borrowed. */
struct toc_finding {
    enum toc_kind kind;
    enum toc_severity severity;
    struct toc_sv title;   /* one line with subject and number */
    struct toc_sv summary; /* a sentence or two */
    struct toc_sv action;  /* what to do first */
    bool has_step;
    int64_t step;
    struct toc_ts first_seen; /* first sample that shows it; 0 = unknown */
    const struct toc_evidence *evidence;
    size_t evidence_count;
    const struct toc_cause *causes;
    size_t cause_count;
    const struct toc_finding_cascade *cascades;
    size_t cascade_count;
    /* It knows what came first, not only what is seen: it names the incident before any kind that
     * tells of a consequence. */
    bool names_cause;
};

#endif
