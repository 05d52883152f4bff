/* Rules as Prometheus' own metrics name them, so that its dashboards and alerts work. */
#include "app/daemon_priv.h"
#include "base/alloc.h"

/* One group's numbers, copied: the metrics come out by name, not by group. */
struct group_numbers {
    char *key; /* owned: FILE;GROUP */
    double interval_s, duration_s, rule_seconds, timestamp_s;
    double evaluations, missed, rules, rule_evaluations, rule_failures, samples;
};
struct numbers {
    TOC_VEC_FIELDS(struct group_numbers)
};

static void keep(void *ctx, const struct toc_rule_group_view *g) {
    struct numbers *n = ctx;
    struct toc_buf key = TOC_BUF_INIT;
    toc_buf_printf(&key, "%.*s;%.*s", TOC_SV_ARG(g->file), TOC_SV_ARG(g->group->name));
    struct group_numbers one = {
        .key = toc_buf_take(&key, NULL),
        .interval_s = (double)g->interval_ms / 1000,
        .duration_s = g->evaluation_s,
        .rule_seconds = g->rule_seconds,
        .timestamp_s = (double)g->last_evaluation.ms / 1000,
        .evaluations = (double)(g->evaluations + g->missed),
        .missed = (double)g->missed,
        .rules = (double)g->rule_count,
        .rule_evaluations = (double)g->rule_evaluations,
        .rule_failures = (double)g->rule_failures,
        .samples = (double)g->last_samples,
    };
    TOC_VEC_PUSH(n, one);
}

/* X(name, type, help, member) */
#define GROUP_METRIC_TABLE(X)                                                                      \
    X("prometheus_rule_evaluations_total", "counter", "The total number of rule evaluations.",     \
      rule_evaluations)                                                                            \
    X("prometheus_rule_evaluation_failures_total", "counter",                                      \
      "The total number of rule evaluation failures.", rule_failures)                              \
    X("prometheus_rule_group_iterations_total", "counter",                                         \
      "Slots of the group, evaluated or missed.", evaluations)                                     \
    X("prometheus_rule_group_iterations_missed_total", "counter",                                  \
      "Slots of the group that were skipped because the one before took too long.", missed)        \
    X("prometheus_rule_group_interval_seconds", "gauge", "The interval of the group.", interval_s) \
    X("prometheus_rule_group_last_duration_seconds", "gauge",                                      \
      "The duration of the last evaluation of the group.", duration_s)                             \
    X("prometheus_rule_group_last_rule_duration_sum_seconds", "gauge",                             \
      "The sum of the durations of its rules in that evaluation.", rule_seconds)                   \
    X("prometheus_rule_group_last_evaluation_timestamp_seconds", "gauge",                          \
      "The time of the last evaluation of the group.", timestamp_s)                                \
    X("prometheus_rule_group_last_evaluation_samples", "gauge",                                    \
      "Samples that the last evaluation of the group wrote.", samples)                             \
    X("prometheus_rule_group_rules", "gauge", "The number of rules of the group.", rules)

void toc_daemon_each_detector_metric(struct toc_daemon *d, toc_on_metric *fn, void *ctx) {
    struct toc_detectors_stats s = toc_detectors_stats(d->detectors);
    fn(ctx, "tocsin_detectors", "gauge", "Detectors that run.", NULL, NULL, (double)s.detectors);
    fn(ctx, "tocsin_detectors_series", "gauge", "Series that they know.", NULL, NULL,
       (double)s.series);
    fn(ctx, "tocsin_detectors_state_bytes", "gauge", "Memory of what they know of these.", NULL,
       NULL, (double)s.state_bytes);
#define X(field, help) \
    fn(ctx, "tocsin_detectors_" #field "_total", "counter", help, NULL, NULL, (double)s.field);
    TOC_DETECTORS_COUNTER_TABLE(X)
#undef X
}

void toc_daemon_each_series_watch_metric(struct toc_daemon *d, toc_on_metric *fn, void *ctx) {
    if (!d->series_watch)
        return;
    struct toc_series_watch_stats s = toc_series_watch_stats(d->series_watch);
#define X(field, type, help) \
    fn(ctx, "tocsin_series_watch_" #field, type, help, NULL, NULL, (double)s.field);
    TOC_SERIES_WATCH_STATS_TABLE(X)
#undef X
    fn(ctx, "tocsin_series_watch_cpu_seconds_total", "counter", "CPU time of looking at series.",
       NULL, NULL, (double)atomic_load_explicit(&d->series_watch_ns, memory_order_relaxed) / 1e9);
}

void toc_daemon_each_rule_metric(struct toc_daemon *d, toc_on_metric *fn, void *ctx) {
    struct toc_rules_stats s = toc_rules_stats(d->rules);
    struct numbers n = {0};
    const char *rules = "prometheus_rule_evaluation_duration_seconds_sum";
    fn(ctx, rules, "counter", "Time spent in rules.", NULL, NULL, s.rule_seconds);
    fn(ctx, "prometheus_rule_evaluation_duration_seconds_count", "counter", "Rules evaluated.",
       NULL, NULL, (double)s.evaluations);
    fn(ctx, "prometheus_rule_group_duration_seconds_sum", "counter", "Time spent in groups.", NULL,
       NULL, s.group_seconds);
    fn(ctx, "prometheus_rule_group_duration_seconds_count", "counter", "Groups evaluated.", NULL,
       NULL, (double)s.group_evaluations);
    toc_rules_each_group(d->rules, keep, &n);
#define X(name, type, help, member)      \
    for (size_t i = 0; i < n.count; i++) \
        fn(ctx, name, type, help, "rule_group", n.items[i].key, n.items[i].member);
    GROUP_METRIC_TABLE(X)
#undef X
    for (size_t i = 0; i < n.count; i++)
        toc_free(n.items[i].key);
    TOC_VEC_FINI(&n);
}
