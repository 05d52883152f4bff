#include "app/daemon.h"

#include <stdio.h>
#include <string.h>

#include "api/feature.h"
#include "app/daemon_priv.h"
#include "net/http_client.h"
#include "shim/regex.h"
#include "sys/env.h"
#include "sys/log.h"
#include "sys/process.h"
#include "sys/random.h"
#include "sys/socket.h"
#include "sys/zone.h"

/* ------------------------------------------------------------------------------------ small
 * helpers */

static int split_listen(const char *text, char *host, size_t host_size, uint16_t *port,
                        struct toc_err *err) {
    const char *colon = strrchr(text, ':');
    unsigned n = 0;
    char rest;
    if (!colon || sscanf(colon + 1, "%u%c", &n, &rest) != 1 || n > 65535 ||
        !toc_sv_copy(toc_sv_make(text, (size_t)(colon - text)), host, host_size) || !host[0])
        return toc_errf(err, TOC_EINVAL, "the address to listen on must be HOST:PORT, got \"%s\"",
                        text);
    *port = (uint16_t)n;
    return 0;
}

static const char *path_in(struct toc_daemon *d, char *out, size_t size, const char *name) {
    snprintf(out, size, "%s/%s", d->data_dir, name);
    return out;
}

static int read_whole(const char *path, struct toc_buf *out, struct toc_err *err) {
    int rc = toc_vfs_read_file(toc_vfs_system(), path, 1 << 20, out);
    return rc < 0 ? toc_errf(err, rc, "cannot read %s: %s", path, toc_strerror(rc)) : 0;
}

static int64_t mono_ns(void *clock) {
    return toc_clock_mono(clock).ns;
}

/* --------------------------------------------------------------------------------------------
 * stores */

static struct toc_metricdb_limits metrics_limits(const struct toc_config *c) {
    struct toc_metricdb_limits l = c->limits;
    l.retention_ms = c->retention_ms;
    l.scrub_interval_ms = c->scrub_interval_ms;
    l.scrub_bytes_per_s = (uint64_t)c->scrub_bytes_per_s;
    l.rollup_5m_ms = c->rollup_5m_ms;
    l.rollup_1h_ms = c->rollup_1h_ms;
    l.retention_bytes = (uint64_t)c->retention_bytes;
    return l;
}

static int open_stores(struct toc_daemon *d, struct toc_err *err) {
    char path[600];
    int rc = toc_vfs_make_dirs(toc_vfs_system(), d->data_dir);
    if (rc < 0)
        return toc_errf(err, rc, "cannot make the data directory %s: %s", d->data_dir,
                        toc_strerror(rc));
    const struct toc_metricdb_options metrics = {.clock = d->clock,
                                                 .dir = path_in(d, path, sizeof path, "metrics"),
                                                 .durability = d->config->durability,
                                                 .wants_starts = d->config->wants_starts,
                                                 .limits = metrics_limits(d->config),
                                                 .retention_rules = d->config->retention_rules,
                                                 .retention_rule_count =
                                                     d->config->retention_rule_count};
    rc = toc_metricdb_open(&metrics, &d->metrics, err);
    if (rc < 0)
        return rc;
    const struct toc_statedb_options state = {.vfs = toc_vfs_system(),
                                              .path = path_in(d, path, sizeof path, "state.db"),
                                              .clock = d->clock};
    rc = toc_statedb_open(&state, &d->state, err);
    if (rc < 0)
        return rc;
    toc_pressure_init(&d->pressure, toc_vfs_system(), d->data_dir, &d->config->pressure);
    toc_blobs_init(&d->blobs, d->state);
    toc_incidents_init(&d->incident_store, d->state);
    return 0;
}

/* Before anything is collected: what comes from now on goes out. */
static void start_forwarding(struct toc_daemon *d) {
    char path[600];
    d->remote_path = toc_remote_path_new(d->clock);
    const struct toc_forward_options o = {.db = d->metrics,
                                          .clock = d->clock,
                                          .dir = path_in(d, path, sizeof path, "remote-write"),
                                          .path = d->remote_path,
                                          .limits = d->config->backlog};
    d->forward = toc_forward_new(&o);
    toc_forward_set(d->forward, d->config->forward);
}

/* The key that signs acknowledge links: made once, kept with the state. */
static int load_ack_key(struct toc_daemon *d, struct toc_err *err) {
    struct toc_buf key = TOC_BUF_INIT;
    struct toc_blob_store *blobs = &d->blobs.base;
    int rc = blobs->get(blobs, "key", TOC_SV("ack"), &key, err);
    if (rc == TOC_ENOENT || (rc == 0 && key.n != sizeof d->ack_key)) {
        toc_random_bytes(d->ack_key, sizeof d->ack_key);
        rc = blobs->put(blobs, "key", TOC_SV("ack"),
                        toc_sv_make((const char *)d->ack_key, sizeof d->ack_key), err);
    } else if (rc == 0) {
        memcpy(d->ack_key, key.p, sizeof d->ack_key);
    }
    toc_buf_fini(&key);
    return rc;
}

static int start_guard(struct toc_daemon *d, struct toc_err *err) {
    char secret[TOC_SECRET_TEXT_MAX];
    struct toc_sv hosts[64];
    size_t count = d->config->allowed_hosts.count < 64 ? d->config->allowed_hosts.count : 64;
    for (size_t i = 0; i < count; i++)
        hosts[i] = toc_sv_cstr(d->config->allowed_hosts.items[i]);
    const struct toc_guard_options o = {.db = d->state,
                                        .loopback = d->config->loopback,
                                        .allowed_hosts = hosts,
                                        .allowed_host_count = count};
    int rc = toc_guard_new(&o, &d->guard, err);
    if (rc == 0)
        rc = toc_guard_first_token(d->guard, d->started_at, secret, &d->made_token, err);
    path_in(d, d->token_path, sizeof d->token_path, "token");
    if (rc == 0 && d->made_token) {
        rc = toc_vfs_write_file(toc_vfs_system(), d->token_path, toc_sv_cstr(secret));
        if (rc < 0)
            toc_errf(err, rc, "cannot write the token file %s: %s", d->token_path,
                     toc_strerror(rc));
    }
    return rc;
}

/* --------------------------------------------------------------------------------- judging and
 * telling */

static int start_incidents(struct toc_daemon *d, struct toc_err *err) {
    const struct toc_incident_options o = {.store = &d->incident_store.base,
                                           .causal_window_ms = d->config->incident_window_ms,
                                           .reopen_ms = d->config->incident_reopen_ms,
                                           .hold_ms = d->config->incident_hold_ms};
    int rc = toc_incident_manager_new(&o, d->started_at, &d->incidents, err);
    if (rc == 0)
        rc = toc_incident_listen(d->incidents, toc_daemon_on_incident, d);
    toc_incident_observer_init(&d->observer, d->incidents);
    return rc;
}

static int start_notifier(struct toc_daemon *d, struct toc_err *err) {
    const struct toc_notifier_options o = {.db = d->state,
                                           .clock = d->clock,
                                           .max_age_ms = d->config->notify_max_age_ms,
                                           .on_event = toc_daemon_on_delivery,
                                           .event_ctx = d};
    int rc = toc_notifier_start(&o, &d->notifier, err);
    if (rc == 0) {
        toc_notifier_set_receivers(d->notifier, d->config->receivers);
        d->config->receivers = NULL;
    }
    return rc;
}

static int start_alerts(struct toc_daemon *d, struct toc_err *err) {
    uint64_t seed;
    toc_random_bytes(&seed, sizeof seed);
    toc_silence_adapter_init(&d->silences, d->state);
    const struct toc_alert_manager_options o = {.flush = toc_daemon_flush,
                                                .tells_anybody = toc_daemon_tells_anybody,
                                                .flush_ctx = d,
                                                .observer = &d->observer.base,
                                                .store = &d->blobs.base,
                                                .silence_store = &d->silences.base,
                                                .zones = {toc_zone_offset, NULL},
                                                .id_seed = seed};
    d->alerts = toc_alert_manager_new(&o, d->config->alerting);
    d->config->alerting = NULL;
    return toc_alert_manager_load(d->alerts, d->started_at, err);
}

/* What the doctor needs of an alert, copied: its lock comes before the alert manager's. */
struct firing {
    TOC_VEC_FIELDS(struct toc_alert)
    struct toc_arena arena;
};

static void keep_firing(void *ctx, const struct toc_alert_view *v) {
    struct firing *f = ctx;
    if (v->is_resolved)
        return;
    struct toc_alert copy = {.labels = toc_labels_dup_arena(v->alert->labels, &f->arena),
                             .annotations = toc_labels_dup_arena(v->alert->annotations, &f->arena),
                             .starts_at = v->alert->starts_at,
                             .updated_at = v->alert->updated_at};
    TOC_VEC_PUSH(f, copy);
}

static int start_packs(struct toc_daemon *d, struct toc_err *err) {
    const struct toc_packs_options o = {
        .rules = d->rules, .querier = toc_metricdb_querier(d->metrics), .blobs = &d->blobs.base};
    int rc = toc_packs_new(&o, &d->packs, err);
    if (rc < 0)
        return rc;
    toc_packs_configure(d->packs, d->config->packs, d->started_at);
    return toc_packs_look(d->packs, d->started_at, err);
}

static int start_learning(struct toc_daemon *d, struct toc_err *err) {
    d->learn_windows = toc_learn_windows_new(toc_metricdb_querier(d->metrics));
    const struct toc_learn_options o = {.next = toc_alert_manager_sink(d->alerts),
                                        .source = toc_learn_windows_source(d->learn_windows),
                                        .on_label = toc_daemon_on_label,
                                        .on_label_ctx = d,
                                        .store = &d->blobs.base};
    return toc_learn_new(&o, d->started_at, &d->learn, err);
}

static int start_rules(struct toc_daemon *d, struct toc_err *err) {
    const struct toc_rules_options o = {.querier = toc_metricdb_querier(d->metrics),
                                        .sink = toc_metricdb_own_sink(d->metrics),
                                        .alerts = toc_learn_sink(d->learn),
                                        .store = &d->blobs.base,
                                        .mono_ns = mono_ns,
                                        .mono_ctx = d->clock,
                                        .executor = toc_pool_executor(d->pool),
                                        .features = toc_feature_promql(d->config->features),
                                        .lookback_ms = d->config->query.lookback_ms,
                                        .default_interval_ms = d->config->evaluation_interval_ms,
                                        .default_query_offset_ms = d->config->rule_query_offset_ms,
                                        .external_labels = d->config->external_labels,
                                        .dead_after_ms = d->config->rule_dead_after_ms,
                                        .external_url = toc_sv_cstr(d->link_base)};
    d->rules = toc_rules_new(&o);
    toc_rules_set_files(d->rules, d->config->rule_files, d->config->rule_file_count, d->started_at);
    d->config->rule_file_count = 0;
    toc_threshold_adapter_init(&d->thresholds, d->rules, &d->blobs.base);
    d->threshold_watch =
        (struct toc_threshold_watch){.blobs = &d->blobs.base,
                                     .every_ms = d->config->threshold_check_ms,
                                     .trial = {.rules = d->rules,
                                               .querier = toc_metricdb_querier(d->metrics),
                                               .features = toc_feature_promql(d->config->features),
                                               .lookback_ms = d->config->query.lookback_ms,
                                               .zones = {toc_zone_offset, NULL}}};
    int rc = toc_threshold_adapter_restore(&d->thresholds, err);
    return rc < 0 ? rc : start_packs(d, err);
}

static int start_detectors(struct toc_daemon *d, struct toc_err *err) {
    const struct toc_detectors_options o = {.querier = toc_metricdb_querier(d->metrics),
                                            .sink = toc_metricdb_own_sink(d->metrics),
                                            .store = &d->blobs.base};
    d->detectors = toc_detectors_new(&o);
    return toc_detectors_set(d->detectors, d->config->detectors, d->started_at, err);
}

static void start_series_watch(struct toc_daemon *d) {
    const struct toc_config_series_watch *c = &d->config->series_watch;
    if (!c->is_enabled)
        return;
    toc_metricdb_newest_init(&d->newest, d->metrics);
    const struct toc_series_watch_options o = {.source = &d->newest.base,
                                               .sink = toc_metricdb_own_sink(d->metrics),
                                               .max_series = c->max_series,
                                               .report_ms = c->report_ms};
    d->series_watch = toc_series_watch_new(&o);
}

static int start_logs(struct toc_daemon *d, struct toc_err *err) {
    const struct toc_log_watch_options o = {.config = &d->config->logs,
                                            .sink = toc_metricdb_own_sink(d->metrics),
                                            .alerts = toc_alert_manager_sink(d->alerts),
                                            .instance = d->instance};
    return toc_log_watch_new(&o, &d->logs, err);
}

/* Doctor and logs take over what was firing before the restart, so that it can end. */
static int start_doctor(struct toc_daemon *d, struct toc_err *err) {
    struct toc_alert_filter all = TOC_ALERT_FILTER_ALL;
    struct firing firing = {0};
    const struct toc_doctor_options o = {.querier = toc_metricdb_querier(d->metrics),
                                         .alerts = toc_alert_manager_sink(d->alerts)};
    d->doctor = toc_doctor_new(&o);
    int rc =
        toc_alert_manager_each_alert(d->alerts, &all, d->started_at, keep_firing, &firing, err);
    for (size_t i = 0; i < firing.count; i++)
        toc_doctor_adopt(d->doctor, &firing.items[i]);
    for (size_t i = 0; i < firing.count; i++)
        toc_log_watch_adopt(d->logs, &firing.items[i], d->started_at);
    TOC_VEC_FINI(&firing);
    toc_arena_fini(&firing.arena);
    return rc;
}

/* -----------------------------------------------------------------------------------------
 * collectors */

static int start_collectors(struct toc_daemon *d, uint16_t own_port, struct toc_err *err) {
    struct toc_sink *sink = toc_metricdb_sink(d->metrics);
    const struct toc_run_receiver_options runs = {.sink = sink, .listener = &d->run_listener.base};
    toc_run_listener_adapter_init(&d->run_listener, toc_doctor_listener(d->doctor), d->logs);
    d->runs = toc_run_receiver_new(&runs);
    d->processes = toc_process_watch_new(
        &(struct toc_process_watch_options){.receiver = d->runs, .host = d->instance});
    const struct toc_run_readers_options readers = {
        .receiver = d->runs,
        .sink = sink,
        .dirs = d->config->run_dirs.items,
        .dir_count = d->config->run_dirs.count,
        .reads_tensorboard = d->config->runs_tensorboard,
        .reads_wandb = d->config->runs_wandb,
        .reads_logs = d->config->runs_logs,
        .are_logs_utc = d->config->runs_logs_utc,
    };
    int rc = toc_run_readers_new(&readers, &d->readers, err);
    if (rc < 0)
        return rc;
    d->remote_write = toc_remote_write_new(d->metrics, d->clock);
    d->otlp = toc_otlp_new(&d->config->otlp, d->metrics, d->clock);
    d->spans = toc_spans_new(&(struct toc_spans_options){.sink = sink, .clock = d->clock});
    d->import = toc_import_new(&d->config->influx, d->metrics, d->clock);
    toc_daemon_restore_state(d);
    if (d->config->host_enabled)
        d->host = toc_host_new(&(struct toc_host_options){.instance = d->instance});
    if (d->config->gpu_enabled)
        d->nvml = toc_nvml_new(&(struct toc_nvml_options){.instance = d->instance});
    d->scraper = toc_scraper_new(
        &(struct toc_scraper_options){.sink = sink, .metrics = d->metrics, .clock = d->clock});
    toc_scraper_load(d->scraper, toc_scrape_set_ref(d->config->scrape));
    rc = toc_scraper_start(d->scraper, err);
    if (rc == 0 && d->config->discovery_enabled) {
        const struct toc_discover_options o = {
            .scraper = d->scraper, .clock = d->clock, .own_port = own_port};
        d->discover = toc_discover_new(&o);
        rc = toc_discover_start(d->discover, err);
    }
    return rc;
}

/* -----------------------------------------------------------------------------------------------
 * web */

static int check_address(const struct toc_daemon *d, const char *host, struct toc_err *err) {
    if (toc_host_is_loopback(host) || d->options.insecure)
        return 0;
    if (d->config->tls_cert_file.n == 0)
        return toc_errf(err, TOC_EFORBIDDEN,
                        "refusing to listen on %s without TLS: set tls.cert_file and tls.key_file, "
                        "listen on 127.0.0.1, or say --insecure if the network is trusted",
                        host);
    return 0;
}

static int listen_on(struct toc_daemon *d, const char *host, uint16_t port, struct toc_err *err) {
    struct toc_buf cert = TOC_BUF_INIT, key = TOC_BUF_INIT;
    char path[512];
    int rc = 0;
    bool has_tls = d->config->tls_cert_file.n > 0;
    if (has_tls &&
        (rc = read_whole(toc_sv_copy(d->config->tls_cert_file, path, sizeof path) ? path : "",
                         &cert, err)) == 0)
        rc = read_whole(toc_sv_copy(d->config->tls_key_file, path, sizeof path) ? path : "", &key,
                        err);
    if (rc == 0) {
        const struct toc_http_server_options o = {
            .host = host,
            .port = port,
            .handler = toc_api_handle,
            .body_limit = toc_api_body_limit,
            .ctx = d->api,
            .tls_cert_pem = has_tls ? toc_buf_cstr(&cert) : NULL,
            .tls_key_pem = has_tls ? toc_buf_cstr(&key) : NULL};
        rc = toc_http_server_start(&o, &d->server, err);
    }
    if (rc == 0) {
        bool is_v6 = strchr(host, ':') && host[0] != '[';
        snprintf(d->url, sizeof d->url, "%s://%s%s%s:%u", has_tls ? "https" : "http",
                 is_v6 ? "[" : "", host, is_v6 ? "]" : "", toc_http_server_port(d->server));
    }
    toc_buf_fini(&cert);
    toc_buf_fini(&key);
    return rc;
}

static int start_statsd(struct toc_daemon *d, struct toc_err *err) {
    const struct toc_statsd_options *o = &d->config->statsd;
    struct toc_statsd_server_stats ports;
    if (!o->udp.is_on && !o->tcp.is_on)
        return 0;
    int rc = toc_statsd_server_start(o, toc_metricdb_sink(d->metrics), d->clock, &d->statsd, err);
    if (rc)
        return rc;
    toc_statsd_server_stats(d->statsd, &ports);
    if (o->udp.is_on)
        toc_log(TOC_LOG_INFO, "statsd", "StatsD over UDP on %s:%u", o->udp.host, ports.udp_port);
    if (o->tcp.is_on)
        toc_log(TOC_LOG_INFO, "statsd", "StatsD over TCP on %s:%u", o->tcp.host, ports.tcp_port);
    return 0;
}

/* ------------------------------------------------------------------------------------ start and
 * stop */

static int start_parts(struct toc_daemon *d, struct toc_err *err) {
    char host[64], text[128];
    uint16_t port = 0;
    if (d->options.listen)
        toc_sv_copy(toc_sv_cstr(d->options.listen), text, sizeof text);
    else
        toc_sv_copy(d->config->listen, text, sizeof text);
    int rc = split_listen(text, host, sizeof host, &port, err);
    if (rc == 0)
        rc = check_address(d, host, err);
    if (rc == 0)
        rc = open_stores(d, err);
    if (rc == 0)
        start_forwarding(d);
    if (rc == 0) { /* the real port follows when any free one was asked for */
        snprintf(d->url, sizeof d->url, "http://%s:%u", host, port);
        toc_sv_copy(d->config->external_url.n ? d->config->external_url : toc_sv_cstr(d->url),
                    d->link_base, sizeof d->link_base);
    }
    if (rc == 0)
        rc = load_ack_key(d, err);
    if (rc == 0)
        rc = start_guard(d, err);
    if (rc == 0)
        rc = start_incidents(d, err);
    if (rc == 0)
        rc = start_notifier(d, err);
    if (rc == 0)
        rc = start_alerts(d, err);
    if (rc == 0)
        rc = toc_pool_new(0, &d->pool, err);
    if (rc == 0)
        rc = start_learning(d, err);
    if (rc == 0)
        rc = start_rules(d, err);
    if (rc == 0)
        rc = start_detectors(d, err);
    if (rc == 0)
        start_series_watch(d);
    if (rc == 0)
        rc = start_logs(d, err);
    if (rc == 0)
        rc = start_doctor(d, err);
    if (rc == 0)
        rc = start_collectors(d, port, err);
    if (rc == 0) {
        toc_daemon_make_api(d);
        rc = listen_on(d, host, port, err);
    }
    if (rc == 0)
        rc = start_statsd(d, err);
    if (rc == 0 && d->config->nccl_ras.count)
        rc = toc_nccl_ras_start(&d->config->nccl_ras, toc_metricdb_own_sink(d->metrics), d->clock,
                                &d->nccl_ras, err);
    if (rc == 0 && d->config->job_state.count)
        rc = toc_job_poller_start(&d->config->job_state, d->runs, toc_metricdb_own_sink(d->metrics),
                                  d->clock, &d->job_state, err);
    return rc < 0 ? rc : toc_daemon_start_threads(d, err);
}

static void set_log_level(const struct toc_config *c) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++)
        if (toc_sv_eq_cstr(c->log_level, names[i]))
            toc_log_set_level((enum toc_log_level)i);
}

int toc_daemon_start(const struct toc_daemon_options *o, struct toc_daemon **out,
                     struct toc_err *err) {
    struct toc_daemon *d = TOC_NEW(struct toc_daemon);
    d->options = *o;
    d->clock = toc_clock_system();
    d->started_at = toc_clock_now(d->clock);
    toc_mutex_init(&d->reload_mutex, TOC_LOCK_APP);
    toc_event_init(&d->stopping);
    toc_hostname(d->instance, sizeof d->instance);
    toc_process_raise_file_limit();
    int rc = toc_config_load(o->config_path, &d->config, err);
    if (rc == 0)
        rc = toc_net_init(err);
    if (rc == 0) {
        toc_daemon_note_config(d, d->config);
        set_log_level(d->config);
        toc_sv_copy(o->data_dir ? toc_sv_cstr(o->data_dir) : d->config->data_dir, d->data_dir,
                    sizeof d->data_dir);
        rc = start_parts(d, err);
    }
    if (rc < 0) {
        toc_daemon_stop(&d);
        return rc;
    }
    *out = d;
    return 0;
}

void toc_daemon_stop(struct toc_daemon **dp) {
    struct toc_daemon *d = *dp;
    if (!d)
        return;
    toc_http_server_stop(&d->server); /* first: nothing new comes in */
    toc_statsd_server_stop(&d->statsd);
    toc_nccl_ras_stop(&d->nccl_ras);
    toc_job_poller_stop(&d->job_state);
    toc_daemon_join_threads(d);
    toc_discover_free(&d->discover);
    toc_scraper_free(&d->scraper);
    toc_process_watch_free(&d->processes);
    toc_log_watch_free(&d->logs);
    toc_run_readers_free(&d->readers);
    toc_run_receiver_free(&d->runs);
    toc_remote_write_free(&d->remote_write);
    toc_otlp_free(&d->otlp);
    toc_spans_free(&d->spans);
    toc_import_free(&d->import);
    toc_host_free(&d->host);
    toc_nvml_free(&d->nvml);
    toc_doctor_free(&d->doctor);
    toc_series_watch_free(&d->series_watch);
    toc_detectors_free(&d->detectors);
    toc_packs_free(&d->packs);
    toc_rules_free(&d->rules);
    toc_learn_free(&d->learn);
    toc_learn_windows_free(&d->learn_windows);
    toc_pool_free(&d->pool);
    toc_alert_manager_free(&d->alerts);
    toc_notifier_stop(&d->notifier);
    toc_incident_manager_free(&d->incidents);
    toc_api_free(&d->api);
    toc_guard_free(&d->guard);
    toc_forward_free(&d->forward);
    toc_remote_path_free(&d->remote_path);
    toc_metricdb_close(&d->metrics);
    toc_statedb_close(&d->state);
    toc_config_free(&d->config);
    toc_buf_fini(&d->config_yaml);
    toc_buf_fini(&d->routing_text);
    toc_regex_free(&d->cors_origin);
    toc_event_fini(&d->stopping);
    toc_mutex_fini(&d->reload_mutex);
    toc_net_fini();
    toc_free(d);
    *dp = NULL;
}

/* -------------------------------------------------------------------------------------------
 * reloading */

/* What can change while running: targets, rules, routes, receivers, limits of queries and features.
 * The rest needs a restart. */
static void apply(struct toc_daemon *d, struct toc_config *fresh) {
    struct toc_ts now = toc_clock_now(d->clock);
    struct toc_err err = {0};
    toc_scraper_load(d->scraper, toc_scrape_set_ref(fresh->scrape));
    toc_forward_set(d->forward, fresh->forward);
    toc_rules_configure(d->rules, fresh->evaluation_interval_ms, fresh->rule_query_offset_ms,
                        fresh->external_labels);
    toc_rules_set_files(d->rules, fresh->rule_files, fresh->rule_file_count, now);
    fresh->rule_file_count = 0;
    toc_packs_configure(d->packs, fresh->packs, now);
    toc_notifier_set_receivers(d->notifier, fresh->receivers);
    fresh->receivers = NULL;
    toc_alert_manager_set_config(d->alerts, fresh->alerting, now);
    toc_otlp_set_options(d->otlp, &fresh->otlp);
    toc_import_set_influx(d->import, &fresh->influx);
    toc_api_set_queries(d->api, &fresh->query, fresh->features);
    toc_api_set_external_labels(d->api, fresh->external_labels);
    fresh->alerting = NULL;
    /* The section was checked when the file was loaded. */
    if (toc_detectors_set(d->detectors, fresh->detectors, now, &err) < 0)
        toc_log(TOC_LOG_ERROR, "detectors", "%s", err.message);
}

int toc_daemon_reload(struct toc_daemon *d, struct toc_err *err) {
    struct toc_config *fresh = NULL;
    struct toc_err reason = {0};
    toc_mutex_lock(&d->reload_mutex);
    int rc = toc_config_load(d->options.config_path, &fresh, &reason);
    if (rc == 0) {
        apply(d, fresh);
        toc_daemon_note_config(d, fresh);
        d->config_problem[0] = 0;
        toc_log(TOC_LOG_INFO, "config", "the configuration was read again");
    } else {
        snprintf(d->config_problem, sizeof d->config_problem,
                 "the configuration was not applied: %s", reason.message);
        d->config_problem_since = toc_clock_now(d->clock);
        toc_log(TOC_LOG_ERROR, "config", "%s", d->config_problem);
        if (err)
            *err = reason;
    }
    toc_mutex_unlock(&d->reload_mutex);
    toc_config_free(&fresh);
    return rc;
}

const char *toc_daemon_url(const struct toc_daemon *d) {
    return d->url;
}
const char *toc_daemon_token_path(const struct toc_daemon *d) {
    return d->token_path;
}
bool toc_daemon_made_token(const struct toc_daemon *d) {
    return d->made_token;
}
