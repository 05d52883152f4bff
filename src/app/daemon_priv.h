/* The daemon's parts, shared by its files. */
#ifndef TOC_APP_DAEMON_PRIV_H
#define TOC_APP_DAEMON_PRIV_H

#include "api/api.h"
#include "api/parts.h"
#include "app/config.h"
#include "app/daemon.h"
#include "app/log_watch.h"
#include "app/packs.h"
#include "app/run_readers.h"
#include "app/threshold_watch.h"
#include "base/vec.h"
#include "collect/host.h"
#include "collect/nvml.h"
#include "collect/process_watch.h"
#include "diagnose/doctor.h"
#include "forward/forward.h"
#include "incident/alert_observer.h"
#include "incident/learn.h"
#include "incident/learn_window.h"
#include "incident/proposal.h"
#include "metricdb/newest.h"
#include "notify/ack_link.h"
#include "remote/import.h"
#include "remote/otlp.h"
#include "remote/remote_path.h"
#include "remote/remote_write.h"
#include "remote/span_metrics.h"
#include "remote/statsd_server.h"
#include "rules/series_watch.h"
#include "statedb/blobs.h"
#include "statedb/incidents.h"
#include "sys/pool.h"
#include "sys/thread.h"

struct toc_silence_adapter {
    struct toc_silence_store base;
    struct toc_statedb *db;
};

struct toc_threshold_adapter {
    struct toc_threshold_access base;
    struct toc_rules *rules;
    struct toc_blob_store *blobs;
};

/* Events of runs go to the doctor; starts of runs also to who watches logs. */
struct toc_run_listener_adapter {
    struct toc_run_listener base;
    struct toc_run_listener *doctor;
    struct toc_log_watch *logs;
};

struct toc_daemon {
    struct toc_daemon_options options;
    struct toc_config *config;
    struct toc_clock *clock;
    struct toc_ts started_at;
    char data_dir[512], url[128], link_base[256], token_path[600], instance[128];
    bool made_token;
    unsigned char ack_key[TOC_ACK_KEY_BYTES];

    struct toc_metricdb *metrics;
    struct toc_pressure pressure; /* of the keeper thread */
    struct toc_statedb *state;
    struct toc_blobs blobs;
    struct toc_incidents incident_store;
    struct toc_guard *guard;
    struct toc_pool *pool; /* pieces of one query, and queries of rules, side by side */
    struct toc_rules *rules;
    struct toc_packs *packs;
    struct toc_detectors *detectors;
    struct toc_metricdb_newest newest;
    struct toc_series_watch *series_watch; /* NULL: off */
    _Atomic uint64_t series_watch_ns;      /* CPU time of its sweeps */
    struct toc_alert_manager *alerts;
    struct toc_silence_adapter silences;
    struct toc_incident_manager *incidents;
    struct toc_learn_windows *learn_windows;
    struct toc_learn *learn; /* between the rules and the alert manager */
    struct toc_incident_observer observer;
    struct toc_threshold_adapter thresholds;
    struct toc_threshold_watch threshold_watch; /* of the keeper thread */
    struct toc_notifier *notifier;
    struct toc_doctor *doctor;
    struct toc_run_receiver *runs;
    struct toc_run_listener_adapter run_listener;
    struct toc_remote_write *remote_write;
    struct toc_remote_path *remote_path;
    struct toc_forward *forward;
    struct toc_otlp *otlp;
    struct toc_spans *spans;
    struct toc_import *import;
    struct toc_statsd_server *statsd; /* NULL: off */
    struct toc_nccl_ras *nccl_ras;    /* NULL: off */
    struct toc_job_poller *job_state; /* NULL: off */
    struct toc_process_watch *processes;
    struct toc_log_watch *logs;
    struct toc_run_readers *readers;
    struct toc_host *host;
    struct toc_nvml *nvml;
    struct toc_scraper *scraper;
    struct toc_discover *discover;
    struct toc_api *api;
    struct toc_http_server *server;

    struct toc_event stopping;
    struct toc_thread engine, collector, gpu, keeper, log_reader, series_watcher;

    struct toc_mutex reload_mutex; /* TOC_LOCK_APP */
    char config_problem[600];      /* under it; "" when the last load was good */
    struct toc_ts config_problem_since;
    struct toc_ts config_loaded_at; /* the last good load */
    struct toc_buf config_yaml;     /* what it said, without secrets */
    struct toc_buf routing_text;    /* the Alertmanager configuration in force */
    struct toc_regex *cors_origin;  /* as at start; NULL: none */
};

/* wiring.c */
bool toc_daemon_tells_anybody(void *daemon, struct toc_sv receiver);
bool toc_daemon_flush(void *daemon, const struct toc_alert_flush *f);
void toc_run_listener_adapter_init(struct toc_run_listener_adapter *a,
                                   struct toc_run_listener *doctor, struct toc_log_watch *logs);
void toc_silence_adapter_init(struct toc_silence_adapter *a, struct toc_statedb *db);
void toc_threshold_adapter_init(struct toc_threshold_adapter *a, struct toc_rules *rules,
                                struct toc_blob_store *blobs);
/* Puts the thresholds that people applied back in force. */
int toc_threshold_adapter_restore(struct toc_threshold_adapter *a,
                                  struct toc_err *err) TOC_MUST_CHECK;
void toc_daemon_on_delivery(void *daemon, const struct toc_notifier_event *e);
void toc_daemon_on_incident(void *daemon, enum toc_incident_event event,
                            const struct toc_incident *i);

/* The Alertmanager configuration in force. */
void toc_daemon_routing(struct toc_daemon *d, struct toc_buf *out);
/* What the API asks of the daemon. */
void toc_daemon_make_api(struct toc_daemon *d);
/* Remembers the configuration that is in force now; with reload_mutex or before there are others.
 */
void toc_daemon_note_config(struct toc_daemon *d, const struct toc_config *c);

/* engine.c */
int toc_daemon_start_threads(struct toc_daemon *d, struct toc_err *err) TOC_MUST_CHECK;
void toc_daemon_join_threads(struct toc_daemon *d);
/* What must survive a restart of the collectors. */
void toc_daemon_save_state(struct toc_daemon *d);
void toc_daemon_restore_state(struct toc_daemon *d);

/* self_learn.c */
void toc_daemon_each_learn_metric(struct toc_daemon *d, toc_on_metric *fn, void *ctx);
/* Tells learning what detectors compute now. */
void toc_daemon_note_detectors(struct toc_daemon *d);
/* A verdict on an alert goes to the detector it came from. */
void toc_daemon_on_label(void *daemon, struct toc_labels alert, struct toc_ts at, bool is_true);

/* self.c; ctx: the daemon */
void toc_daemon_each_problem(void *ctx, toc_on_problem *fn, void *fn_ctx);
void toc_daemon_each_metric(void *ctx, toc_on_metric *fn, void *fn_ctx);
/* self_collect.c, parts of the two above */
void toc_daemon_each_collect_problem(struct toc_daemon *d, toc_on_problem *fn, void *ctx);
void toc_daemon_each_collect_metric(struct toc_daemon *d, toc_on_metric *fn, void *ctx);
/* Writes the self-metrics as series. */
void toc_daemon_each_rule_metric(struct toc_daemon *d, toc_on_metric *fn, void *ctx);
void toc_daemon_each_detector_metric(struct toc_daemon *d, toc_on_metric *fn, void *ctx);
void toc_daemon_each_series_watch_metric(struct toc_daemon *d, toc_on_metric *fn, void *ctx);
/* self_forward.c: those that have more than one label. */
void toc_daemon_each_labelled_metric(void *daemon, toc_on_labelled_metric *fn, void *ctx);
void toc_daemon_write_self(struct toc_daemon *d, struct toc_ts now);

#endif
