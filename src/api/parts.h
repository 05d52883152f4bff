/* What the API speaks to. Everything is borrowed; NULL where a part is switched off. */
#ifndef TOC_API_PARTS_H
#define TOC_API_PARTS_H

#include "alert/alert_manager.h"
#include "api/query_gate.h"
#include "collect/discover.h"
#include "collect/run_receiver.h"
#include "collect/scrape.h"
#include "guard/guard.h"
#include "incident/learn.h"
#include "incident/manager.h"
#include "incident/proposal.h"
#include "metricdb/metricdb.h"
#include "model/pack.h"
#include "model/querier.h"
#include "model/sink.h"
#include "notify/outbox.h"
#include "remote/import.h"
#include "remote/otlp.h"
#include "remote/remote_path.h"
#include "remote/remote_write.h"
#include "remote/span_metrics.h"
#include "rules/detector.h"
#include "rules/rules.h"
#include "rules/series_watch.h"
#include "statedb/statedb.h"
#include "sys/clock.h"

/* A condition that makes the daemon less than well. */
typedef void toc_on_problem(void *ctx, const char *kind, const char *text, struct toc_ts since);
typedef void toc_on_metric(void *ctx, const char *name, const char *type, const char *help,
                           const char *label, const char *label_value, double value);

/* The same with any number of labels. */
struct toc_label;
typedef void toc_on_labelled_metric(void *ctx, const char *name, const char *type, const char *help,
                                    const struct toc_label *labels, size_t count, double value);

struct toc_executor;
struct toc_regex;

struct toc_api_parts {
    struct toc_clock *clock;
    struct toc_querier *querier;
    struct toc_sink *sink;
    struct toc_metricdb *metrics;
    struct toc_statedb *state;
    struct toc_guard *guard;
    struct toc_rules *rules;
    struct toc_detectors *detectors;
    struct toc_series_watch *series_watch; /* NULL: switched off */
    struct toc_newest_source *newest;      /* where it reads; NULL then */
    struct toc_alert_manager *alerts;
    struct toc_incident_manager *incidents;
    struct toc_learn *learn;
    struct toc_threshold_access *thresholds;
    struct toc_blob_store *blobs;
    struct toc_notifier *notifier;
    struct toc_scraper *scraper;
    struct toc_discover *discover; /* NULL: switched off */
    struct toc_run_receiver *runs;
    struct toc_doctor *doctor;             /* NULL: nothing is judged */
    struct toc_remote_write *remote_write; /* NULL: switched off */
    struct toc_remote_path *remote_path;   /* NULL: loops are not looked for */
    struct toc_otlp *otlp;
    struct toc_spans *spans;
    struct toc_import *import;
    const unsigned char *ack_key; /* TOC_ACK_KEY_BYTES */
    struct toc_ts started_at;
    const char *config_path; /* NULL: none */
    const char *data_dir;
    const char *external_url;
    int64_t retention_ms;
    bool has_admin_api;                  /* may samples be deleted and snapshots made over HTTP? */
    const struct toc_regex *cors_origin; /* origins that browsers may call from; NULL: none */
    struct toc_sv cors_origin_text;
    bool has_tls;
    struct toc_query_limits query_limits; /* toc_api_set_queries changes them later */
    unsigned features;                    /* bits of api/feature.h */
    struct toc_executor *executor;        /* for the pieces of one query; NULL: none */
    int64_t subquery_step_ms;             /* of `[5m:]`: the evaluation interval */
    /* Answered by the daemon itself. */
    void *daemon;
    void (*each_problem)(void *daemon, toc_on_problem *fn, void *ctx);
    void (*each_metric)(void *daemon, toc_on_metric *fn, void *ctx);
    void (*each_labelled_metric)(void *daemon, toc_on_labelled_metric *fn, void *ctx);
    int (*reload)(void *daemon, struct toc_err *err);
    /* Rule packs (app/packs.h). */
    void (*each_pack)(void *daemon, toc_on_pack *fn, void *ctx);
    int (*set_pack)(void *daemon, struct toc_sv name, enum toc_pack_mode mode, struct toc_ts now,
                    struct toc_err *err);
    /* Was the last load of the configuration good, and when was the last good one? */
    void (*config_state)(void *daemon, bool *out_is_good, struct toc_ts *out_loaded_at);
    /* The Alertmanager configuration in force; without it nothing is known of routes. */
    void (*routing_text)(void *daemon, struct toc_buf *out);
    struct toc_zone_source zones;
    /* The configuration in force as YAML, without secrets. */
    void (*config_text)(void *daemon, struct toc_buf *out);
};

#endif
