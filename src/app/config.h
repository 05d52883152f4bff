/*
 * tocsin.yml: one schema table per section, upstream's keys where upstream has the section (global,
 * scrape_configs, rule_files), everything optional. Errors carry file:line:column.
 */
#ifndef TOC_APP_CONFIG_H
#define TOC_APP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alert/config.h"
#include "api/query_gate.h"
#include "app/costs.h"
#include "app/log_watch.h"
#include "app/pressure.h"
#include "base/arena.h"
#include "base/error.h"
#include "codec/yaml.h"
#include "collect/job_poller.h"
#include "collect/nccl_ras.h"
#include "collect/scrape_config.h"
#include "forward/forward.h"
#include "guard/guard.h"
#include "metricdb/metricdb.h"
#include "notify/receiver.h"
#include "remote/import.h"
#include "remote/otlp.h"
#include "remote/statsd_server.h"
#include "rules/rule_file.h"

struct toc_config_paths {
    const char **items; /* in the arena */
    size_t count;
};

/* The anomaly bit of every series (rules/series_watch.h). */
struct toc_config_series_watch {
    bool is_enabled;
    int64_t interval_ms, report_ms;
    size_t max_series;
    double max_cpu_ratio; /* of one core */
};

/* Everything lives in the arena, or is owned by the members that say so. */
struct toc_config {
    struct toc_arena arena;
    const char *path; /* NULL: defaults */
    const char *base_dir;
    bool is_syntax_only; /* files it refers to were not read */

    struct toc_sv listen, data_dir, external_url, log_level;
    struct toc_sv tls_cert_file, tls_key_file;
    enum toc_loopback_mode loopback;
    struct toc_config_paths allowed_hosts;

    enum toc_durability durability;
    bool wants_starts; /* storage.start_timestamps: zero_sample */
    int64_t retention_ms;
    struct toc_metricdb_limits limits; /* only those of TOC_METRICDB_INTAKE_TABLE and the future */
    struct toc_pressure_limits pressure;
    struct toc_forward_limits backlog; /* of remote write out */
    int64_t retention_bytes;           /* 0: no limit */
    int64_t scrub_interval_ms;         /* negative: never */
    int64_t scrub_bytes_per_s;
    int64_t rollup_5m_ms, rollup_1h_ms; /* negative: none */
    struct toc_metricdb_retention_rule retention_rules[TOC_METRICDB_RETENTION_RULES_MAX];
    struct toc_promql_expr *retention_exprs[TOC_METRICDB_RETENTION_RULES_MAX]; /* own matchers */
    size_t retention_rule_count;

    bool host_enabled, gpu_enabled, discovery_enabled, builtin_rules;
    int64_t host_interval_ms, gpu_interval_ms;
    struct toc_config_paths run_dirs;
    bool runs_tensorboard, runs_wandb, runs_logs, runs_logs_utc;

    struct toc_query_limits query;
    struct toc_otlp_options otlp; /* lists in the arena */
    struct toc_influx_options influx;
    struct toc_statsd_options statsd;
    struct toc_nccl_ras_options nccl_ras;
    struct toc_job_poller_options job_state; /* texts in the arena */
    struct toc_config_series_watch series_watch;
    struct toc_log_config logs; /* texts in the arena */
    struct toc_costs costs;     /* the same */
    unsigned features;          /* bits of api/feature.h */
    bool has_admin_api;
    struct toc_sv cors_origin;       /* regular expression, empty: none */
    const struct toc_yaml *document; /* the whole file; NULL: defaults */

    int64_t evaluation_interval_ms, rule_query_offset_ms;
    int64_t rule_dead_after_ms; /* negative: never */
    int64_t threshold_check_ms; /* negative: never */
    struct toc_labels external_labels;
    struct toc_sv alertmanager_file, alerting_text; /* its path; what it says */
    const struct toc_yaml *detectors;
    const struct toc_yaml *packs;
    /* checked by toc_packs_check; NULL: none */ /* NULL: the built-in ones only */

    int64_t incident_hold_ms, incident_reopen_ms, incident_window_ms;
    int64_t notify_max_age_ms;

    /* owned */
    struct toc_scrape_set *scrape;
    struct toc_forward_set *forward;
    struct toc_rule_file **rule_files;
    size_t rule_file_count;
    struct toc_alert_config *alerting;
    struct toc_receiver_set *receivers;
};

/* The Alertmanager configuration of a daemon that names none. */
extern const char toc_default_alerting[];

/* path NULL: the defaults. Reads and validates everything it refers to (rule files, the
 * Alertmanager file, certificates); changes nothing on failure. err->message is complete:
 * "FILE:LINE:COL: reason". */
int toc_config_load(const char *path, struct toc_config **out, struct toc_err *err) TOC_MUST_CHECK;
/* The same without the files it refers to: no rules, no receivers. */
int toc_config_load_syntax(const char *path, struct toc_config **out,
                           struct toc_err *err) TOC_MUST_CHECK;
void toc_config_free(struct toc_config **c);

/* The receivers of an Alertmanager configuration with their channels; secrets are read from their
 * files. */
int toc_receivers_build(const struct toc_alert_config *c, const char *base_dir,
                        struct toc_receiver_set **out, struct toc_err *err) TOC_MUST_CHECK;

#endif
