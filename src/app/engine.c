/* The daemon's own threads: collecting, judging, keeping house. */
#include <string.h>

#include "app/daemon_priv.h"
#include "statedb/outbox.h"
#include "sys/env.h"
#include "sys/log.h"

enum {
    ENGINE_TICK_MS = 200,
    LOGS_EVERY_MS = 250,
    SECOND_MS = 1000,
    LOOK_MS = 100,
    SERIES_SAVE_MS = 600000, /* states of the watch over every series */
    SAVE_EVERY_MS = 10 * 1000,
    SELF_EVERY_MS = 5 * 1000,
    PRUNE_EVERY_MS = 3600 * 1000,
};
static const int64_t OUTBOX_KEPT_MS = (int64_t)30 * 24 * 3600 * 1000;

static int64_t mono_ms(struct toc_daemon *d) {
    return toc_clock_mono(d->clock).ns / 1000000;
}

/* One line per kind of trouble and minute, not one per second. */
static void complain(const char *component, int64_t *last_ms, int64_t now_ms,
                     const struct toc_err *err) {
    if (*last_ms && now_ms - *last_ms < 60000)
        return;
    *last_ms = now_ms;
    toc_log(TOC_LOG_WARN, component, "%s", err->message);
}

/* Sleeps until the next multiple of `period` on the monotonic clock; true: stop. */
static bool wait_for_beat(struct toc_daemon *d, int64_t period_ms) {
    int64_t now = mono_ms(d);
    return toc_event_wait_ms(&d->stopping, period_ms - now % period_ms);
}

static void collect(void *ctx) {
    struct toc_daemon *d = ctx;
    int64_t complained_host = 0, complained_tail = 0, next_host = 0;
    int64_t next_save = mono_ms(d) + SAVE_EVERY_MS;
    do {
        struct toc_err err = {0};
        struct toc_ts now = toc_clock_now(d->clock);
        int64_t mono = mono_ms(d);
        if (d->host && mono >= next_host) {
            next_host = mono - mono % d->config->host_interval_ms + d->config->host_interval_ms;
            if (toc_host_collect(d->host, now, toc_metricdb_own_sink(d->metrics), &err) < 0)
                complain("host", &complained_host, mono, &err);
        }
        err = (struct toc_err){0};
        if (toc_run_readers_poll(d->readers, now, &err) < 0)
            complain("runs", &complained_tail, mono, &err);
        err = (struct toc_err){0};
        if (toc_process_watch_poll(d->processes, now, &err) < 0)
            complain("runs", &complained_tail, mono, &err);
        if (mono >= next_save) {
            next_save = mono + SAVE_EVERY_MS;
            toc_daemon_save_state(d);
        }
    } while (!wait_for_beat(d, d->config->host_interval_ms < SECOND_MS ? d->config->host_interval_ms
                                                                       : SECOND_MS));
    toc_daemon_save_state(d);
}

/* On its own thread: a lost GPU makes NVML calls take seconds. */
static void collect_gpu(void *ctx) {
    struct toc_daemon *d = ctx;
    int64_t complained = 0;
    do {
        struct toc_err err = {0};
        if (toc_nvml_collect(d->nvml, toc_clock_now(d->clock), toc_metricdb_own_sink(d->metrics),
                             &err) < 0)
            complain("gpu", &complained, mono_ms(d), &err);
    } while (!wait_for_beat(d, d->config->gpu_interval_ms));
}

/* On its own thread: a storm of lines must not delay the host's samples. */
static void read_logs(void *ctx) {
    struct toc_daemon *d = ctx;
    int64_t complained = 0;
    do {
        struct toc_err err = {0};
        if (toc_log_watch_poll(d->logs, toc_clock_now(d->clock), &err) < 0)
            complain("logs", &complained, mono_ms(d), &err);
    } while (!toc_event_wait_ms(&d->stopping, LOGS_EVERY_MS));
    toc_log_watch_publish(d->logs);
}

static void judge(void *ctx) {
    struct toc_daemon *d = ctx;
    int64_t complained = 0, next_second = 0;
    do {
        struct toc_err err = {0};
        struct toc_ts now = toc_clock_now(d->clock);
        if (toc_rules_next_due(d->rules) <= now.ms)
            toc_rules_evaluate_due(d->rules, now);
        if (toc_detectors_next_due(d->detectors) <= now.ms)
            toc_detectors_run_due(d->detectors, now);
        if (mono_ms(d) >= next_second) {
            next_second = mono_ms(d) + SECOND_MS;
            toc_daemon_note_detectors(d);
            if (toc_doctor_tick(d->doctor, now, &err) < 0)
                complain("doctor", &complained, mono_ms(d), &err);
            toc_incident_tick(d->incidents, now);
        }
        if (toc_alert_manager_next_due(d->alerts) <= now.ms)
            toc_alert_manager_tick(d->alerts, now);
    } while (!toc_event_wait_ms(&d->stopping, ENGINE_TICK_MS));
}

static void save_blob(struct toc_daemon *d, const char *key, struct toc_buf *bytes) {
    struct toc_err err = {0};
    if (d->blobs.base.put(&d->blobs.base, "collect", toc_sv_cstr(key), toc_buf_sv(bytes), &err) < 0)
        toc_log(TOC_LOG_WARN, "state", "the state of %s could not be kept: %s", key, err.message);
    toc_buf_reset(bytes);
}

static void save_series_watch(struct toc_daemon *d) {
    struct toc_buf bytes = TOC_BUF_INIT;
    toc_series_watch_encode(d->series_watch, &bytes);
    if (toc_buf_error(&bytes) == 0)
        save_blob(d, "series_watch", &bytes);
    toc_buf_fini(&bytes);
}

static void restore_series_watch(struct toc_daemon *d) {
    struct toc_buf bytes = TOC_BUF_INIT;
    struct toc_blob_store *blobs = &d->blobs.base;
    if (blobs->get(blobs, "collect", TOC_SV("series_watch"), &bytes, NULL) == 0 &&
        toc_series_watch_restore(d->series_watch, toc_buf_sv(&bytes)) < 0)
        toc_log(TOC_LOG_WARN, "series_watch",
                "the stored states of series are damaged or of another version; all learn anew");
    toc_buf_fini(&bytes);
}

/* Looks at all series; longer pauses rather than more CPU time than allowed. */
static void watch_series(void *ctx) {
    struct toc_daemon *d = ctx;
    const struct toc_config_series_watch c = d->config->series_watch;
    int64_t complained = 0, pause_ms = c.interval_ms;
    int64_t next_save_ms = mono_ms(d) + SERIES_SAVE_MS;
    restore_series_watch(d);
    while (!wait_for_beat(d, pause_ms)) {
        struct toc_err err = {0};
        int64_t before_ns = toc_thread_cpu_ns();
        if (toc_series_watch_sweep(d->series_watch, toc_clock_now(d->clock), &err) < 0)
            complain("series_watch", &complained, mono_ms(d), &err);
        int64_t spent_ns = toc_thread_cpu_ns() - before_ns;
        atomic_fetch_add_explicit(&d->series_watch_ns, (uint64_t)spent_ns, memory_order_relaxed);
        double least_ms = (double)spent_ns / 1e6 / c.max_cpu_ratio;
        int64_t beats = (int64_t)(least_ms / (double)c.interval_ms) + 1;
        pause_ms = beats * c.interval_ms;
        if (mono_ms(d) >= next_save_ms) {
            save_series_watch(d);
            next_save_ms = mono_ms(d) + SERIES_SAVE_MS;
        }
    }
    save_series_watch(d);
}

static void watch_pressure(struct toc_daemon *d) {
    struct toc_metricdb_stats metrics;
    struct toc_statedb_health state;
    struct toc_vfs *vfs = toc_vfs_system();
    struct toc_pressure_input in = {.rss_bytes = toc_process_rss_bytes()};
    toc_metricdb_stats(d->metrics, &metrics);
    toc_statedb_get_health(d->state, &state);
    in.has_write_failed =
        (metrics.is_degraded && metrics.degraded_code == TOC_ENOSPC) || !state.is_ok;
    if (vfs->free_bytes(vfs, d->data_dir, &in.free_bytes))
        in.free_bytes = UINT64_MAX;
    if (!toc_pressure_step(&d->pressure, &in))
        return;
    toc_metricdb_set_shortage(d->metrics, d->pressure.shortage);
    toc_api_refuse_queries(d->api, d->pressure.shortage & TOC_NO_MEMORY_AT_ALL);
}

/* One accepted threshold at a time. */
static void check_thresholds(struct toc_daemon *d, struct toc_ts now, int64_t *complained_ms) {
    struct toc_buf routing = TOC_BUF_INIT;
    struct toc_err err = {0};
    if (now.ms < d->threshold_watch.next_ms || d->threshold_watch.every_ms < 0)
        return;
    toc_daemon_routing(d, &routing);
    if (toc_threshold_watch_step(&d->threshold_watch, toc_buf_sv(&routing), now, &err) < 0)
        complain("rules", complained_ms, mono_ms(d), &err);
    toc_buf_fini(&routing);
}

/* A second, less when much is written. True: the daemon stops. */
static bool rest(struct toc_daemon *d) {
    for (int left_ms = SECOND_MS; left_ms > 0; left_ms -= LOOK_MS) {
        if (toc_event_wait_ms(&d->stopping, LOOK_MS))
            return true;
        if (toc_metricdb_wants_checkpoint(d->metrics))
            return false;
    }
    return false;
}

static void keep_house(void *ctx) {
    struct toc_daemon *d = ctx;
    int64_t next_self = 0, next_prune = 0, complained = 0, complained_thresholds = 0;
    do {
        struct toc_err err = {0};
        struct toc_ts now = toc_clock_now(d->clock);
        int64_t mono = mono_ms(d);
        watch_pressure(d);
        if (toc_metricdb_maintain(d->metrics, &err) < 0)
            complain("metricdb", &complained, mono, &err);
        toc_forward_tick(d->forward);
        if (mono >= next_self) {
            next_self = mono + SELF_EVERY_MS;
            if (toc_packs_look(d->packs, now, &err) < 0)
                complain("packs", &complained, mono, &err);
            toc_spans_flush(d->spans);
            toc_daemon_write_self(d, now);
        }
        check_thresholds(d, now, &complained_thresholds);
        if (mono >= next_prune) {
            next_prune = mono + PRUNE_EVERY_MS;
            uint64_t removed;
            if (toc_outbox_prune(d->state, (struct toc_ts){now.ms - OUTBOX_KEPT_MS}, &removed,
                                 &err) < 0)
                complain("state", &complained, mono, &err);
        }
    } while (!rest(d));
}

/* ------------------------------------------------------------------------------- state of
 * collectors */

static void save_logs(struct toc_daemon *d, struct toc_buf *bytes) {
    struct toc_buf kmsg = TOC_BUF_INIT;
    toc_log_watch_save(d->logs, bytes, &kmsg);
    if (bytes->n)
        save_blob(d, "log_tail", bytes);
    if (kmsg.n)
        save_blob(d, "kmsg", &kmsg);
    toc_buf_fini(&kmsg);
}

static void restore_logs(struct toc_daemon *d) {
    struct toc_buf tail = TOC_BUF_INIT, kmsg = TOC_BUF_INIT;
    struct toc_blob_store *blobs = &d->blobs.base;
    int rc = blobs->get(blobs, "collect", TOC_SV("log_tail"), &tail, NULL);
    int rc2 = blobs->get(blobs, "collect", TOC_SV("kmsg"), &kmsg, NULL);
    if ((rc == 0 || rc2 == 0) &&
        toc_log_watch_restore(d->logs, toc_buf_sv(&tail), toc_buf_sv(&kmsg)) < 0)
        toc_log(TOC_LOG_WARN, "logs",
                "the stored places in logs are damaged; files are followed from their end");
    toc_buf_fini(&tail);
    toc_buf_fini(&kmsg);
}

/* On the thread that follows files, so that their positions and what came of them fit together. */
void toc_daemon_save_state(struct toc_daemon *d) {
    struct toc_buf bytes = TOC_BUF_INIT;
    struct toc_blob_store *blobs = &d->blobs.base;
    toc_run_receiver_save(d->runs, &bytes);
    save_blob(d, "runs", &bytes);
    save_logs(d, &bytes);
    toc_buf_fini(&bytes);
    toc_run_readers_save(d->readers, blobs);
}

void toc_daemon_restore_state(struct toc_daemon *d) {
    struct toc_buf bytes = TOC_BUF_INIT;
    struct toc_blob_store *blobs = &d->blobs.base;
    if (blobs->get(blobs, "collect", TOC_SV("runs"), &bytes, NULL) == 0 &&
        toc_run_receiver_restore(d->runs, toc_buf_sv(&bytes)) < 0)
        toc_log(TOC_LOG_WARN, "runs",
                "the stored state of training runs is damaged; it starts anew");
    toc_buf_fini(&bytes);
    toc_run_readers_restore(d->readers, blobs);
    restore_logs(d);
}

int toc_daemon_start_threads(struct toc_daemon *d, struct toc_err *err) {
    int rc = toc_thread_start(&d->collector, "collect", collect, d);
    if (rc == 0 && d->nvml)
        rc = toc_thread_start(&d->gpu, "gpu", collect_gpu, d);
    if (rc == 0)
        rc = toc_thread_start(&d->log_reader, "logs", read_logs, d);
    if (rc == 0)
        rc = toc_thread_start(&d->engine, "engine", judge, d);
    if (rc == 0 && d->series_watch)
        rc = toc_thread_start(&d->series_watcher, "series-watch", watch_series, d);
    if (rc == 0)
        rc = toc_thread_start(&d->keeper, "keeper", keep_house, d);
    return rc < 0 ? toc_errf(err, rc, "a thread could not be started: %s", toc_strerror(rc)) : 0;
}

void toc_daemon_join_threads(struct toc_daemon *d) {
    bool has_read = d->log_reader.is_running;
    toc_event_set(&d->stopping);
    toc_thread_join(&d->collector);
    toc_thread_join(&d->gpu);
    toc_thread_join(&d->log_reader);
    toc_thread_join(&d->engine);
    toc_thread_join(&d->series_watcher);
    toc_thread_join(&d->keeper);
    if (has_read) { /* the keeper may have stored the places before the last line was read */
        struct toc_buf bytes = TOC_BUF_INIT;
        save_logs(d, &bytes);
        toc_buf_fini(&bytes);
    }
}
