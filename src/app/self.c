/* What the daemon says about itself: problems for people, metrics for machines. */
#include <stdio.h>
#include <string.h>

#include "app/daemon_priv.h"
#include "base/alloc.h"
#include "metricdb/growth.h"
#include "metricdb/overflow.h"
#include "sys/env.h"

void toc_daemon_each_problem(void *ctx, toc_on_problem *fn, void *fn_ctx) {
    struct toc_daemon *d = ctx;
    struct toc_metricdb_stats metrics;
    struct toc_statedb_health state;
    toc_metricdb_stats(d->metrics, &metrics);
    toc_statedb_get_health(d->state, &state);
    if (metrics.is_degraded)
        fn(fn_ctx, "self_storage", metrics.degraded_text, d->started_at);
    if (metrics.loss_count) {
        char text[160];
        snprintf(text, sizeof text, "%llu damaged places were found in stored samples; see the log",
                 (unsigned long long)metrics.corruptions);
        fn(fn_ctx, "self_storage", text, d->started_at);
    }
    if (!state.is_ok)
        fn(fn_ctx, "self_storage", state.problem, state.failing_since);
    char problem[200];
    if (d->logs && toc_log_watch_is_blind(d->logs, problem, sizeof problem))
        fn(fn_ctx, "self_blind", problem, d->started_at);
    toc_mutex_lock(&d->reload_mutex);
    if (d->config_problem[0])
        fn(fn_ctx, "self_config", d->config_problem, d->config_problem_since);
    toc_mutex_unlock(&d->reload_mutex);
    toc_daemon_each_collect_problem(d, fn, fn_ctx);
}

struct emitter {
    toc_on_metric *fn;
    void *ctx;
};

static void gauge(struct emitter *e, const char *name, const char *help, double v) {
    e->fn(e->ctx, name, "gauge", help, NULL, NULL, v);
}
static void counter(struct emitter *e, const char *name, const char *help, double v) {
    e->fn(e->ctx, name, "counter", help, NULL, NULL, v);
}

static void scrub_metrics(const struct toc_metricdb_scrub_stats *s, struct emitter *e) {
    counter(e, "tocsin_storage_scrub_passes_total", "Times that all blocks were scrubbed.",
            (double)s->passes);
    counter(e, "tocsin_storage_scrub_chunks_total", "Chunks compared with their checksums.",
            (double)s->chunks);
    counter(e, "tocsin_storage_scrub_bytes_total", "Bytes read by scrubbing.", (double)s->bytes);
    counter(e, "tocsin_storage_scrub_damaged_total",
            "Damaged chunks and files without a second copy that scrubbing found.",
            (double)s->damaged);
    counter(e, "tocsin_storage_scrub_repaired_total",
            "Damaged files that were written anew from their second copy.", (double)s->repaired);
    counter(e, "tocsin_storage_scrub_unreadable_total",
            "Reads and writes of scrubbing that failed.", (double)s->unreadable);
    gauge(e, "tocsin_storage_scrub_pass_start_timestamp_seconds",
          "When the pass under way, or the last one, began.", (double)s->pass_start_ms / 1000);
}

static void storage_metrics(struct toc_daemon *d, struct emitter *e) {
    struct toc_metricdb_stats s;
    toc_metricdb_stats(d->metrics, &s);
    gauge(e, "tocsin_head_series", "Series in the head.", (double)s.series);
    counter(e, "tocsin_samples_total", "Samples accepted.", (double)s.samples_total);
    for (int r = 0; r < TOC_REJECT_REASON_COUNT; r++)
        e->fn(e->ctx, "tocsin_samples_rejected_total", "counter", "Samples refused, by reason.",
              "reason", toc_reject_text((enum toc_reject_reason)r), (double)s.rejected[r]);
    for (int v = 0; v < TOC_START_VERDICT_COUNT; v++)
        e->fn(e->ctx, "tocsin_start_timestamps_total", "counter",
              "Start timestamps of incoming samples, by what became of them.", "outcome",
              toc_start_verdict_text((enum toc_start_verdict)v), (double)s.starts[v]);
    gauge(e, "tocsin_wal_bytes", "Size of the write-ahead log.", (double)s.wal_bytes);
    counter(e, "tocsin_wal_fsyncs_total", "Times the log was synced.", (double)s.wal_fsyncs);
    counter(e, "tocsin_wal_failures_total", "Failed writes or syncs of the log.",
            (double)s.wal_failures);
    counter(e, "tocsin_wal_unlogged_samples_total",
            "Samples of this daemon that only memory had while the log could not be written.",
            (double)s.wal_unlogged_samples);
    counter(e, "tocsin_corruptions_total", "Damaged records met.", (double)s.corruptions);
    gauge(e, "tocsin_storage_degraded", "1 while samples cannot be stored.", s.is_degraded);
    gauge(e, "tocsin_block_bytes", "Size of all blocks.", (double)s.block_bytes);
    scrub_metrics(&s.scrub, e);
    static const char *const resolutions[] = {"5m", "1h"};
    for (int i = 0; i < 2; i++) {
        e->fn(e->ctx, "tocsin_storage_rollup_bytes", "gauge", "Size of all blocks of roll-ups.",
              "resolution", resolutions[i], (double)s.rollups[i].bytes);
        e->fn(e->ctx, "tocsin_storage_rollup_buckets", "gauge", "Buckets of roll-ups stored.",
              "resolution", resolutions[i], (double)s.rollups[i].buckets);
    }
    for (int i = 0; i < TOC_METRICDB_EXPIRY_COUNT; i++)
        e->fn(e->ctx, "tocsin_storage_expired_samples_total", "counter",
              "Samples and buckets of roll-ups deleted by retention, by reason.", "reason",
              toc_metricdb_expiry_text((enum toc_metricdb_expiry)i), (double)s.expired_samples[i]);
    for (int i = 0; i < TOC_METRICDB_EXPIRY_COUNT; i++)
        e->fn(e->ctx, "tocsin_storage_expired_bytes_total", "counter",
              "Bytes of whole blocks deleted by retention, by reason.", "reason",
              toc_metricdb_expiry_text((enum toc_metricdb_expiry)i), (double)s.expired_bytes[i]);
    struct toc_statedb_health h;
    toc_statedb_get_health(d->state, &h);
    counter(e, "tocsin_state_writes_total", "Committed writes of the state database.",
            (double)h.writes);
    counter(e, "tocsin_state_write_errors_total", "Refused writes of the state database.",
            (double)h.write_errors);
}

static void pressure_metrics(struct toc_daemon *d, struct emitter *e) {
    const struct toc_pressure *p = &d->pressure;
    static const struct {
        unsigned bits;
        const char *text;
    } rows[] = {{TOC_SHORT_OF_DISK, "disk"},
                {TOC_SHORT_OF_MEMORY, "memory"},
                {TOC_NO_MEMORY_AT_ALL, "memory_exhausted"}};
    unsigned shortage = atomic_load_explicit(&p->shortage, memory_order_relaxed);
    for (size_t i = 0; i < TOC_ARRAY_LEN(rows); i++)
        e->fn(e->ctx, "tocsin_shortage", "gauge", "1 while load is shed for want of it.",
              "resource", rows[i].text, (shortage & rows[i].bits) != 0);
    gauge(e, "tocsin_memory_budget_bytes", "Memory beyond which load is shed.",
          (double)p->limits.memory_bytes);
    counter(e, "tocsin_ballast_releases_total", "Times the ballast file was released.",
            (double)atomic_load_explicit(&p->ballast_releases, memory_order_relaxed));
}

static void engine_metrics(struct toc_daemon *d, struct emitter *e) {
    struct toc_rules_stats r = toc_rules_stats(d->rules);
    struct toc_alert_stats a = toc_alert_manager_stats(d->alerts);
    struct toc_incident_counters i;
    toc_incident_get_counters(d->incidents, &i);
    gauge(e, "tocsin_rules", "Rules loaded.", (double)r.rules);
    gauge(e, "tocsin_rules_dead", "Rules that match no series although their job is up.",
          (double)r.rules_dead);
    counter(e, "tocsin_rule_state_failures_total", "Rule state that could not be stored.",
            (double)r.store_failures);
    counter(e, "tocsin_rule_samples_rejected_total", "Samples of rules the store refused.",
            (double)r.samples_rejected);
    counter(e, "tocsin_rule_evaluations_total", "Rule evaluations.", (double)r.evaluations);
    counter(e, "tocsin_rule_evaluation_failures_total", "Rule evaluations that failed.",
            (double)r.failures);
    counter(e, "tocsin_rule_group_missed_total", "Slots of rule groups that were missed.",
            (double)r.missed);
    gauge(e, "tocsin_alerts_pending", "Alerts whose time has not come.", (double)r.alerts_pending);
    gauge(e, "tocsin_alerts_firing", "Alerts that fire.", (double)a.alerts_firing);
    gauge(e, "tocsin_alerts_suppressed", "Alerts that are silenced or inhibited.",
          (double)a.alerts_suppressed);
    counter(e, "tocsin_alerts_dropped_total", "Alerts over the limit.",
            (double)a.alerts_dropped_limit);
    counter(e, "tocsin_alert_state_failures_total", "Alert state that could not be written.",
            (double)a.store_failures);
    gauge(e, "tocsin_incidents_open", "Open incidents.", (double)i.open_count);
    counter(e, "tocsin_incident_save_errors_total",
            "Incident changes that could not be stored at once.", (double)i.save_errors);
}

static void notify_metrics(struct toc_daemon *d, struct emitter *e) {
    struct toc_notifier_stats s;
    toc_notifier_get_stats(d->notifier, &s);
#define X(field, name, help)                            \
    for (int k = 0; k < TOC_CHANNEL_KIND_COUNT; k++)    \
        e->fn(e->ctx, name, "counter", help, "channel", \
              toc_channel_kind_text((enum toc_channel_kind)k), (double)s.by_kind[k].field);
    TOC_NOTIFIER_COUNTER_TABLE(X)
#undef X
    counter(e, "tocsin_notification_store_errors_total",
            "Notifications the state database refused.", (double)s.store_errors);
}

static void remote_metrics(struct toc_daemon *d, struct emitter *e) {
    static const char *const messages[TOC_REMOTE_MESSAGE_COUNT] = {"1.0", "2.0"};
    struct toc_remote_write_stats s;
    toc_remote_write_stats(d->remote_write, &s);
    for (int i = 0; i < TOC_REMOTE_MESSAGE_COUNT; i++)
        e->fn(e->ctx, "tocsin_remote_write_requests_total", "counter",
              "Messages of remote write taken.", "version", messages[i], (double)s.requests[i]);
    for (int i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        e->fn(e->ctx, "tocsin_remote_write_rejected_total", "counter",
              "Samples and series of remote write that were refused.", "reason",
              toc_reject_text((enum toc_reject_reason)i), (double)s.rejected[i]);
    counter(e, "tocsin_remote_write_samples_total", "Samples stored by remote write.",
            (double)s.samples);
    counter(e, "tocsin_remote_write_histograms_total", "Histograms stored by remote write.",
            (double)s.histograms);
    counter(e, "tocsin_remote_write_exemplars_total", "Exemplars stored by remote write.",
            (double)s.exemplars);
    counter(e, "tocsin_remote_write_failed_requests_total",
            "Messages of remote write of which nothing was stored.", (double)s.failed_requests);
    struct toc_remote_path_stats way;
    toc_remote_path_stats(d->remote_path, &way);
    counter(e, "tocsin_remote_write_own_messages_total",
            "Messages refused because this server had sent them itself.", (double)way.refused);
    gauge(e, "tocsin_remote_write_loops",
          "Senders of remote write that receive what this server sends, itself or through others.",
          (double)way.loops);
    gauge(e, "tocsin_remote_write_cached_series",
          "Series whose reference is found by the bytes of their labels.", (double)s.cached_series);
}

static void otlp_metrics(struct toc_daemon *d, struct emitter *e) {
    static const char *const encodings[TOC_OTLP_ENCODING_COUNT] = {"protobuf", "json"};
    struct toc_otlp_stats s;
    toc_otlp_stats(d->otlp, &s);
    for (int i = 0; i < TOC_OTLP_ENCODING_COUNT; i++)
        e->fn(e->ctx, "tocsin_otlp_requests_total", "counter", "OTLP messages taken.", "encoding",
              encodings[i], (double)s.requests[i]);
    for (int i = 0; i < TOC_OTLP_REFUSAL_COUNT; i++)
        e->fn(e->ctx, "tocsin_otlp_refused_points_total", "counter",
              "Data points of OTLP refused before they came to the store.", "reason",
              toc_otlp_refusal_text((enum toc_otlp_refusal)i), (double)s.refused[i]);
    for (int i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        e->fn(e->ctx, "tocsin_otlp_rejected_samples_total", "counter",
              "Samples of OTLP that the store refused.", "reason",
              toc_reject_text((enum toc_reject_reason)i), (double)s.rejected[i]);
    counter(e, "tocsin_otlp_points_total", "Data points of OTLP received.", (double)s.points);
    counter(e, "tocsin_otlp_rejected_points_total",
            "Data points of OTLP of which a sample was refused.", (double)s.rejected_points);
    counter(e, "tocsin_otlp_samples_total", "Samples stored from OTLP.", (double)s.samples);
    counter(e, "tocsin_otlp_exemplars_total", "Exemplars stored from OTLP.", (double)s.exemplars);
    counter(e, "tocsin_otlp_rejected_exemplars_total", "Exemplars of OTLP that were refused.",
            (double)s.rejected_exemplars);
    counter(e, "tocsin_otlp_failed_requests_total", "OTLP messages that were not taken.",
            (double)s.failed_requests);
    counter(e, "tocsin_otlp_busy_requests_total",
            "OTLP messages sent back because too many large ones came at once.",
            (double)s.busy_requests);
    counter(e, "tocsin_otlp_delta_evicted_total", "Sums of delta points forgotten when idle.",
            (double)s.delta_evicted);
    gauge(e, "tocsin_otlp_delta_series", "Series of delta points that are summed up.",
          (double)s.delta_series);
    gauge(e, "tocsin_otlp_delta_bytes", "Memory of these sums.", (double)s.delta_bytes);
}

static void span_metrics(struct toc_daemon *d, struct emitter *e) {
    static const char *const encodings[TOC_OTLP_ENCODING_COUNT] = {"protobuf", "json"};
    struct toc_spans_stats s;
    toc_spans_stats(d->spans, &s);
    for (int i = 0; i < TOC_OTLP_ENCODING_COUNT; i++)
        e->fn(e->ctx, "tocsin_otlp_trace_requests_total", "counter",
              "OTLP messages with spans taken.", "encoding", encodings[i], (double)s.requests[i]);
    counter(e, "tocsin_otlp_spans_total", "Spans received.", (double)s.spans);
    counter(e, "tocsin_otlp_spans_counted_total",
            "Spans counted as operations of generative models.", (double)s.counted);
    counter(e, "tocsin_otlp_spans_passed_over_total", "Spans of something else.", (double)s.others);
    counter(e, "tocsin_otlp_spans_dropped_total",
            "Operations not counted because there are too many combinations of labels.",
            (double)s.dropped);
    counter(e, "tocsin_otlp_spans_bad_times_total",
            "Operations without a duration: they end before they begin.", (double)s.bad_times);
    counter(e, "tocsin_otlp_span_values_overflowed_total",
            "Label values of spans counted as _overflow_.", (double)s.overflowed);
    counter(e, "tocsin_otlp_spans_bad_first_tokens_total",
            "First tokens of spans left out: before their start or after their end.",
            (double)s.bad_first_tokens);
    counter(e, "tocsin_otlp_span_evaluations_total", "Words of evaluators counted.",
            (double)s.evaluations);
    counter(e, "tocsin_otlp_span_evaluations_left_out_total",
            "Words of evaluators left out: without a result, or too many.",
            (double)s.evaluations_left_out);
    counter(e, "tocsin_otlp_span_contents_dropped_total",
            "Attributes and events of spans with prompts or answers, which are not kept.",
            (double)s.contents);
    counter(e, "tocsin_otlp_span_content_dropped_bytes_total", "Bytes of these.",
            (double)s.content_bytes);
    counter(e, "tocsin_otlp_trace_failed_requests_total",
            "OTLP messages with spans that were not taken.", (double)s.failed_requests);
    counter(e, "tocsin_otlp_span_failed_writes_total",
            "Writes of numbers of spans that the store refused; they come again.",
            (double)s.failed_writes);
}

static void import_metrics(struct toc_daemon *d, struct emitter *e) {
    struct toc_import_stats s;
    toc_import_stats(d->import, &s);
    for (int i = 0; i < TOC_IMPORT_FORMAT_COUNT; i++) {
        const struct toc_import_format_stats *f = &s.formats[i];
        const struct {
            const char *name, *help;
            uint64_t value;
        } rows[] = {
            {"tocsin_import_requests_total", "Texts with samples received.", f->requests},
            {"tocsin_import_failed_requests_total", "Texts that the store could not take.",
             f->failed_requests},
            {"tocsin_import_bytes_total", "Their bytes.", f->bytes},
            {"tocsin_import_lines_total", "Their lines.", f->lines},
            {"tocsin_import_rejected_lines_total", "Lines refused, wholly or in part.",
             f->rejected_lines},
            {"tocsin_import_samples_total", "Samples stored from lines.", f->samples},
        };
        for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++)
            e->fn(e->ctx, rows[k].name, "counter", rows[k].help, "format",
                  toc_import_format_text((enum toc_import_format)i), (double)rows[k].value);
    }
    for (int i = 0; i < TOC_IMPORT_REFUSAL_COUNT; i++)
        e->fn(e->ctx, "tocsin_import_refused_total", "counter",
              "Lines and samples refused before they came to the store.", "reason",
              toc_import_refusal_text((enum toc_import_refusal)i), (double)s.refused[i]);
    for (int i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        e->fn(e->ctx, "tocsin_import_rejected_samples_total", "counter",
              "Samples of lines that the store refused.", "reason",
              toc_reject_text((enum toc_reject_reason)i), (double)s.rejected[i]);
    counter(e, "tocsin_import_skipped_strings_total",
            "Fields of line protocol whose value is a text.", (double)s.skipped_strings);
}

static void statsd_metrics(struct toc_daemon *d, struct emitter *e) {
    struct toc_statsd_server_stats s;
    if (!d->statsd)
        return;
    toc_statsd_server_stats(d->statsd, &s);
    for (int i = 0; i < TOC_STATSD_TYPE_COUNT; i++)
        e->fn(e->ctx, "tocsin_statsd_values_total", "counter", "Values of StatsD taken.", "type",
              toc_statsd_type_text((enum toc_statsd_type)i), (double)s.state.values[i]);
    for (int i = 1; i < TOC_STATSD_FAULT_COUNT; i++)
        e->fn(e->ctx, "tocsin_statsd_refused_total", "counter", "Lines of StatsD refused.",
              "reason", toc_statsd_fault_text((enum toc_statsd_fault)i),
              (double)s.state.refused[i]);
    for (int i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        e->fn(e->ctx, "tocsin_statsd_rejected_samples_total", "counter",
              "Samples of StatsD that the store refused.", "reason",
              toc_reject_text((enum toc_reject_reason)i), (double)s.state.rejected[i]);
    counter(e, "tocsin_statsd_packets_total", "Packets and pieces of streams received.",
            (double)s.state.packets);
    counter(e, "tocsin_statsd_lines_total", "Lines in them.", (double)s.state.lines);
    counter(e, "tocsin_statsd_samples_total", "Samples stored from StatsD.",
            (double)s.state.samples);
    counter(e, "tocsin_statsd_expired_series_total", "Series ended after statsd.ttl.",
            (double)s.state.expired);
    counter(e, "tocsin_statsd_flushes_total", "Flushes.", (double)s.state.flushes);
    counter(e, "tocsin_statsd_failed_flushes_total", "Flushes that the store did not take.",
            (double)s.state.failed_flushes);
    counter(e, "tocsin_statsd_connections_total", "TCP connections taken.", (double)s.connections);
    counter(e, "tocsin_statsd_refused_connections_total",
            "TCP connections refused: too many at once.", (double)s.refused_connections);
    gauge(e, "tocsin_statsd_series", "Series that are summed up.", (double)s.state.series);
}

static void query_metrics(struct toc_daemon *d, struct emitter *e) {
    if (!d->api)
        return;
    struct toc_query_stats s = toc_api_query_stats(d->api);
    counter(e, "tocsin_queries_total", "PromQL queries of the API that ended.", (double)s.finished);
    counter(e, "tocsin_query_seconds_total", "Time that they took, waiting included.", s.seconds);
    counter(e, "tocsin_queries_slow_total", "Queries over query.slow_threshold.", (double)s.slow);
    counter(e, "tocsin_queries_timed_out_total", "Queries that ran out of time.",
            (double)s.timed_out);
    counter(e, "tocsin_queries_canceled_total", "Queries whose client went away.",
            (double)s.canceled);
    counter(e, "tocsin_queries_refused_total", "Queries refused or stopped for want of memory.",
            (double)s.refused);
    gauge(e, "tocsin_queries_running", "Queries that run now.", (double)s.running);
    counter(e, "tocsin_export_skipped_histograms_total",
            "Samples of native histograms that exports left out.",
            (double)toc_api_export_skipped(d->api));
    gauge(e, "tocsin_queries_waiting", "Queries that wait for their turn.", (double)s.waiting);
}

static void http_metrics(struct toc_daemon *d, struct emitter *e) {
    struct toc_http_server_stats s;
    struct toc_guard_counters g;
    toc_guard_get_counters(d->guard, &g);
    counter(e, "tocsin_auth_refused_total", "Requests without good credentials.",
            (double)g.refused_auth);
    if (!d->server)
        return;
    toc_http_server_get_stats(d->server, &s);
    counter(e, "tocsin_http_requests_total", "HTTP requests handled.", (double)s.requests);
    counter(e, "tocsin_http_refused_too_large_total", "Request bodies over the limit.",
            (double)s.refused_body_too_large);
    counter(e, "tocsin_http_closed_idle_total",
            "Connections cut off because the peer was too slow.", (double)s.closed_timeout);
    gauge(e, "tocsin_http_connections", "Open connections.", (double)s.connections_open);
}

void toc_daemon_each_metric(void *ctx, toc_on_metric *fn, void *fn_ctx) {
    struct toc_daemon *d = ctx;
    struct emitter e = {fn, fn_ctx};
    fn(fn_ctx, "tocsin_build_info", "gauge", "Version of the program.", "version", TOC_VERSION, 1);
    gauge(&e, "process_resident_memory_bytes", "Resident memory size in bytes.",
          (double)toc_process_rss_bytes());
    counter(&e, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
            toc_process_cpu_s());
    gauge(&e, "process_start_time_seconds",
          "Start time of the process since unix epoch in seconds.",
          (double)d->started_at.ms / 1000.0);
    storage_metrics(d, &e);
    pressure_metrics(d, &e);
    engine_metrics(d, &e);
    toc_daemon_each_rule_metric(d, fn, fn_ctx);
    toc_daemon_each_detector_metric(d, fn, fn_ctx);
    toc_daemon_each_series_watch_metric(d, fn, fn_ctx);
    notify_metrics(d, &e);
    toc_daemon_each_collect_metric(d, fn, fn_ctx);
    remote_metrics(d, &e);
    otlp_metrics(d, &e);
    span_metrics(d, &e);
    import_metrics(d, &e);
    statsd_metrics(d, &e);
    query_metrics(d, &e);
    http_metrics(d, &e);
    toc_daemon_each_learn_metric(d, fn, fn_ctx);
}

/* ---------------------------------------------------------------------------------------- as
 * series */

struct self_batch {
    struct toc_arena arena;
    TOC_VEC_FIELDS(struct toc_point)
    struct toc_sv instance;
    int64_t t_ms;
};

enum { GROWTH_ROWS = 10 };

static void add_labelled(struct self_batch *b, const char *name, const struct toc_label *labels,
                         size_t count, double value) {
    struct toc_labels_builder l = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&l, TOC_METRIC_NAME, toc_sv_cstr(name));
    toc_labels_builder_set(&l, TOC_SV("job"), TOC_SV("tocsin"));
    toc_labels_builder_set(&l, TOC_SV("instance"), b->instance);
    for (size_t i = 0; i < count; i++)
        toc_labels_builder_set(&l, labels[i].name, labels[i].value);
    struct toc_point p = toc_float_point(
        toc_labels_dup_arena(toc_labels_builder_finish(&l), &b->arena), b->t_ms, value);
    TOC_VEC_PUSH(b, p);
    toc_labels_builder_fini(&l);
}

static void add_point(void *ctx, const char *name, const char *type, const char *help,
                      const char *label, const char *label_value, double value) {
    struct toc_label l = {toc_sv_cstr(label), toc_sv_cstr(label_value)};
    (void)type;
    (void)help;
    add_labelled(ctx, name, &l, label != NULL, value);
}

static void add_labelled_point(void *ctx, const char *name, const char *type, const char *help,
                               const struct toc_label *labels, size_t count, double value) {
    (void)type;
    (void)help;
    add_labelled(ctx, name, labels, count, value);
}

/* A text from outside as a label value: a cut character goes, other nonsense is not repeated. */
static struct toc_sv label_text(const char *text) {
    struct toc_sv s = toc_sv_cstr(text);
    for (int i = 0; i < 3 && s.n && !toc_sv_is_utf8(s); i++)
        s.n--;
    return toc_sv_is_utf8(s) ? s : TOC_SV("?");
}

/* What found no room, by sender, and the labels that are to blame. */
static void add_overflow(struct toc_daemon *d, struct self_batch *b) {
    struct toc_overflow_row *rows = TOC_NEW_ARRAY(struct toc_overflow_row, TOC_OVERFLOW_ROWS);
    size_t n = toc_metricdb_overflow(d->metrics, rows);
    for (size_t i = 0; i < n; i++) {
        struct toc_label l[] = {{TOC_SV("source_job"), label_text(rows[i].job)},
                                {TOC_SV("source_instance"), label_text(rows[i].instance)},
                                {TOC_SV("reason"), toc_sv_cstr(toc_reject_text(rows[i].reason))}};
        add_labelled(b, "tocsin_overflow_samples_total", l, TOC_ARRAY_LEN(l),
                     (double)rows[i].samples);
    }
    toc_free(rows);
}

static void add_growth(struct toc_daemon *d, struct self_batch *b) {
    struct toc_label_growth rows[GROWTH_ROWS];
    size_t n = toc_metricdb_growth(d->metrics, rows, GROWTH_ROWS);
    for (size_t i = 0; i < n; i++) {
        struct toc_label l[] = {{TOC_SV("metric"), label_text(rows[i].metric)},
                                {TOC_SV("label"), label_text(rows[i].label)}};
        add_labelled(b, "tocsin_label_new_values", l, TOC_ARRAY_LEN(l), (double)rows[i].new_values);
    }
}

void toc_daemon_write_self(struct toc_daemon *d, struct toc_ts now) {
    struct self_batch b = {.instance = toc_sv_cstr(d->instance), .t_ms = now.ms};
    struct toc_write_result result;
    struct toc_sink *sink = toc_metricdb_own_sink(d->metrics);
    toc_daemon_each_metric(d, add_point, &b);
    toc_daemon_each_labelled_metric(d, add_labelled_point, &b);
    add_overflow(d, &b);
    add_growth(d, &b);
    /* A failure is a problem that each_problem shows already. */
    int rc = sink->write(sink, b.items, b.count, &result, NULL);
    (void)rc;
    TOC_VEC_FINI(&b);
    toc_arena_fini(&b.arena);
}
