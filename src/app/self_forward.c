/* Remote write out about itself: by our names, and by Prometheus' where they exist, so that its
 * dashboards and alerts work. */
#include "app/daemon_priv.h"
#include "base/alloc.h"

/* X(name, type, help, value of `s`) */
#define REMOTE_METRIC_TABLE(X)                                                                    \
    X("tocsin_remote_write_out_read_samples_total", "counter",                                    \
      "Samples met in the log that are to go to this receiver.", s->read)                         \
    X("tocsin_remote_write_out_sent_samples_total", "counter",                                    \
      "Samples that the receiver took, native histograms included.", s->sent)                     \
    X("tocsin_remote_write_out_sent_histograms_total", "counter",                                 \
      "Native histograms that the receiver took.", s->sent_histograms)                            \
    X("tocsin_remote_write_out_sent_exemplars_total", "counter",                                  \
      "Exemplars that the receiver took.", s->sent_exemplars)                                     \
    X("tocsin_remote_write_out_sent_metadata_total", "counter",                                   \
      "Types and help texts of metrics that the receiver took.", s->sent_metadata)                \
    X("tocsin_remote_write_out_failed_metadata_total", "counter",                                 \
      "Types and help texts that it did not take; they come again.", s->failed_metadata)          \
    X("tocsin_remote_write_out_dropped_exemplars_total", "counter",                               \
      "Exemplars that the store forgot before they were read, or that were refused.",             \
      s->dropped_exemplars)                                                                       \
    X("tocsin_remote_write_out_sent_bytes_total", "counter",                                      \
      "Bytes of requests, compressed, repetitions included.", s->sent_bytes)                      \
    X("tocsin_remote_write_out_requests_total", "counter", "Requests begun.", s->requests)        \
    X("tocsin_remote_write_out_failed_requests_total", "counter",                                 \
      "Requests that were answered with an error or not at all.", s->failed_requests)             \
    X("tocsin_remote_write_out_request_seconds_total", "counter", "Time that requests took.",     \
      s->request_seconds)                                                                         \
    X("tocsin_remote_write_out_retried_samples_total", "counter",                                 \
      "Samples that had to be sent again.", s->retried)                                           \
    X("tocsin_remote_write_out_lost_records_total", "counter",                                    \
      "Records of the log that were damaged or gone before they were read.", s->lost_records)     \
    X("tocsin_remote_write_out_position_failures_total", "counter",                               \
      "Times that the position in the log could not be kept.", s->position_failures)              \
    X("tocsin_remote_write_out_shards", "gauge", "Requests that may be under way at once.",       \
      s->shards)                                                                                  \
    X("tocsin_remote_write_out_shards_desired", "gauge", "How many there should be.",             \
      s->wanted_shards)                                                                           \
    X("tocsin_remote_write_out_pending_samples", "gauge", "Samples in memory for this receiver.", \
      s->pending)                                                                                 \
    X("tocsin_remote_write_out_backlog_bytes", "gauge",                                           \
      "Bytes of the log behind what is delivered.", s->behind_bytes)                              \
    X("tocsin_remote_write_out_backlog_samples", "gauge",                                         \
      "Samples that are not delivered; those in the log are estimated from its bytes.",           \
      s->behind_samples)                                                                          \
    X("tocsin_remote_write_out_backlog_seconds", "gauge",                                         \
      "How long ago the oldest sample that is not delivered was stored.",                         \
      (double)s->behind_ms / 1000)                                                                \
    X("tocsin_remote_write_out_newest_read_timestamp_seconds", "gauge",                           \
      "Time of the newest sample read from the log.", (double)s->newest_read_ms / 1000)           \
    X("tocsin_remote_write_out_newest_sent_timestamp_seconds", "gauge",                           \
      "Time of the newest sample that the receiver took.", (double)s->newest_sent_ms / 1000)      \
    X("tocsin_remote_write_out_older_message", "gauge",                                           \
      "1 when 2.0 was not understood and 1.0 is sent.", s->is_older_message)                      \
    X("tocsin_remote_write_out_failing", "gauge", "1 after a request that failed.", s->is_failing)

#define UPSTREAM_METRIC_TABLE(X)                                                                 \
    X("prometheus_remote_storage_samples_total", "counter",                                      \
      "Total number of samples sent to remote storage.", s->sent - s->sent_histograms)           \
    X("prometheus_remote_storage_histograms_total", "counter",                                   \
      "Total number of histograms sent to remote storage.", s->sent_histograms)                  \
    X("prometheus_remote_storage_exemplars_total", "counter",                                    \
      "Total number of exemplars sent to remote storage.", s->sent_exemplars)                    \
    X("prometheus_remote_storage_metadata_total", "counter",                                     \
      "Total number of metadata entries sent to remote storage.", s->sent_metadata)              \
    X("prometheus_remote_storage_samples_failed_total", "counter",                               \
      "Total number of samples which failed on send to remote storage, non-recoverable errors.", \
      s->dropped[TOC_FORWARD_DROP_REFUSED])                                                      \
    X("prometheus_remote_storage_samples_retried_total", "counter",                              \
      "Total number of samples which failed on send to remote storage but were retried.",        \
      s->retried)                                                                                \
    X("prometheus_remote_storage_samples_pending", "gauge",                                      \
      "The number of samples pending in the queues shards.", s->pending)                         \
    X("prometheus_remote_storage_bytes_total", "counter",                                        \
      "The total number of bytes of data (not metadata) sent by the queue.", s->sent_bytes)      \
    X("prometheus_remote_storage_shards", "gauge",                                               \
      "The number of shards used for parallel sending.", s->shards)                              \
    X("prometheus_remote_storage_shards_desired", "gauge",                                       \
      "The number of shards that would be wanted.", s->wanted_shards)                            \
    X("prometheus_remote_storage_shards_min", "gauge", "The minimum number of shards.",          \
      s->min_shards)                                                                             \
    X("prometheus_remote_storage_shards_max", "gauge", "The maximum number of shards.",          \
      s->max_shards)                                                                             \
    X("prometheus_remote_storage_queue_highest_sent_timestamp_seconds", "gauge",                 \
      "Timestamp of the newest sample successfully sent by this queue.",                         \
      (double)s->newest_sent_ms / 1000)

struct rows {
    struct toc_forward_stats *items;
    size_t count;
};

static void drops(const struct rows *rows, toc_on_labelled_metric *fn, void *ctx) {
    for (size_t i = 0; i < rows->count; i++)
        for (int k = 0; k < TOC_FORWARD_DROP_COUNT; k++) {
            struct toc_label l[] = {
                {TOC_SV("remote"), toc_sv_cstr(rows->items[i].name)},
                {TOC_SV("reason"), toc_sv_cstr(toc_forward_drop_text((enum toc_forward_drop)k))}};
            fn(ctx, "tocsin_remote_write_out_dropped_samples_total", "counter",
               "Samples that do not arrive, by reason.", l, TOC_ARRAY_LEN(l),
               (double)rows->items[i].dropped[k]);
        }
}

struct emitter {
    toc_on_labelled_metric *fn;
    void *ctx;
};

static void emit(const struct emitter *e, const char *label, const struct toc_forward_stats *s,
                 const char *name, const char *type, const char *help, double value) {
    struct toc_label l = {toc_sv_cstr(label), toc_sv_cstr(s->name)};
    e->fn(e->ctx, name, type, help, &l, 1, value);
}

static void by_remote(const struct rows *rows, toc_on_labelled_metric *fn, void *ctx) {
    struct emitter e = {fn, ctx};
#define X(name, type, help, member)                                                           \
    for (const struct toc_forward_stats *s = rows->items; s < rows->items + rows->count; s++) \
        emit(&e, "remote", s, name, type, help, (double)(member));
    REMOTE_METRIC_TABLE(X)
#undef X
#define X(name, type, help, member)                                                           \
    for (const struct toc_forward_stats *s = rows->items; s < rows->items + rows->count; s++) \
        emit(&e, "remote_name", s, name, type, help, (double)(member));
    UPSTREAM_METRIC_TABLE(X)
#undef X
}

static void totals(struct toc_daemon *d, const struct rows *rows, toc_on_labelled_metric *fn,
                   void *ctx) {
    struct toc_forward_totals t;
    int64_t newest_ms = 0;
    toc_forward_totals(d->forward, &t);
    if (!t.remotes && !t.not_started)
        return;
    for (size_t i = 0; i < rows->count; i++)
        newest_ms = TOC_MAX(newest_ms, rows->items[i].newest_read_ms);
    fn(ctx, "tocsin_remote_write_out_not_started", "gauge",
       "Receivers whose position cannot be kept, so that nothing is sent to them.", NULL, 0,
       (double)t.not_started);
    fn(ctx, "tocsin_remote_write_out_held_bytes", "gauge",
       "Bytes of the log that are held for receivers alone.", NULL, 0, (double)t.held_bytes);
    fn(ctx, "tocsin_remote_write_out_held_segments", "gauge", "Segments of the log held so.", NULL,
       0, (double)t.held_segments);
    fn(ctx, "prometheus_remote_storage_highest_timestamp_in_seconds", "gauge",
       "Highest timestamp that has come into the remote storage.", NULL, 0,
       (double)newest_ms / 1000);
}

void toc_daemon_each_labelled_metric(void *daemon, toc_on_labelled_metric *fn, void *ctx) {
    struct toc_daemon *d = daemon;
    struct rows rows = {TOC_NEW_ARRAY(struct toc_forward_stats, TOC_FORWARD_REMOTES_MAX), 0};
    rows.count = TOC_MIN(toc_forward_stats(d->forward, rows.items, TOC_FORWARD_REMOTES_MAX),
                         (size_t)TOC_FORWARD_REMOTES_MAX);
    by_remote(&rows, fn, ctx);
    drops(&rows, fn, ctx);
    totals(d, &rows, fn, ctx);
    toc_free(rows.items);
}
