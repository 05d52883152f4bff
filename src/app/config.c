#include "app/config.h"

#include <stdio.h>
#include <string.h>

#include "app/config_priv.h"
#include "app/packs.h"
#include "base/alloc.h"
#include "base/vec.h"
#include "rules/detector.h"
#include "sys/env.h"
#include "sys/vfs.h"
#include "sys/zone.h"

enum { CONFIG_MAX_BYTES = 4 << 20, RULE_FILES_MAX = 1000 };

/* The Alertmanager configuration of a stock start: everything goes to a receiver without channels,
 * so that incidents are opened and nothing is sent. */
const char toc_default_alerting[] =
    "route:\n  receiver: default\n  group_by: ['...']\n  group_wait: 2s\n  group_interval: 1m\n"
    "  repeat_interval: 12h\nreceivers:\n  - name: default\n";

struct sections {
    const struct toc_yaml *global, *scrape_configs, *remote_write, *rule_files, *detectors, *packs,
        *storage, *host, *gpu, *discovery, *runs, *auth, *tls, *rules, *incident, *notify, *query,
        *otlp, *influx, *statsd, *nccl_ras, *job_state, *series_watch, *logs, *costs, *features,
        *web;
    struct toc_sv listen, data_dir, external_url, log_level, alertmanager_file;
};

#define AT(member) offsetof(struct sections, member)
static const struct toc_schema_key g_top[] = {
    {"listen", TOC_SCHEMA_STRING, AT(listen), false, "127.0.0.1:9797", 0, 0,
     "HOST:PORT of the one port"},
    {"data_dir", TOC_SCHEMA_STRING, AT(data_dir), false, "./tocsin-data", 0, 0,
     "where everything is kept"},
    {"external_url", TOC_SCHEMA_STRING, AT(external_url), false, "", 0, 0,
     "how people reach the UI, for links"},
    {"log_level", TOC_SCHEMA_STRING, AT(log_level), false, "info", 0, 0,
     "debug, info, warn or error"},
    {"alertmanager_file", TOC_SCHEMA_STRING, AT(alertmanager_file), false, "", 0, 0,
     "Alertmanager's configuration: routes and receivers"},
    {"global", TOC_SCHEMA_NODE, AT(global), false, NULL, 0, 0, "defaults of scraping and rules"},
    {"scrape_configs", TOC_SCHEMA_NODE, AT(scrape_configs), false, NULL, 0, 0,
     "targets, as in prometheus.yml"},
    {"remote_write", TOC_SCHEMA_NODE, AT(remote_write), false, NULL, 0, 0,
     "receivers that samples are sent on to, as in prometheus.yml"},
    {"rule_files", TOC_SCHEMA_NODE, AT(rule_files), false, NULL, 0, 0,
     "rule files, as in prometheus.yml"},
    {"detectors", TOC_SCHEMA_NODE, AT(detectors), false, NULL, 0, 0, "anomaly detectors"},
    {"packs", TOC_SCHEMA_NODE, AT(packs), false, NULL, 0, 0,
     "built-in rule packs that are always on or off"},
    {"storage", TOC_SCHEMA_NODE, AT(storage), false, NULL, 0, 0, "durability, retention, limits"},
    {"host", TOC_SCHEMA_NODE, AT(host), false, NULL, 0, 0, "this machine"},
    {"gpu", TOC_SCHEMA_NODE, AT(gpu), false, NULL, 0, 0, "NVIDIA GPUs through NVML"},
    {"discovery", TOC_SCHEMA_NODE, AT(discovery), false, NULL, 0, 0, "well-known local endpoints"},
    {"runs", TOC_SCHEMA_NODE, AT(runs), false, NULL, 0, 0,
     "folders with metric files of training runs"},
    {"auth", TOC_SCHEMA_NODE, AT(auth), false, NULL, 0, 0, "who may do what"},
    {"tls", TOC_SCHEMA_NODE, AT(tls), false, NULL, 0, 0, "certificate and key"},
    {"rules", TOC_SCHEMA_NODE, AT(rules), false, NULL, 0, 0, "built-in rules"},
    {"incident", TOC_SCHEMA_NODE, AT(incident), false, NULL, 0, 0, "correlation and recovery"},
    {"notify", TOC_SCHEMA_NODE, AT(notify), false, NULL, 0, 0, "delivery of notifications"},
    {"query", TOC_SCHEMA_NODE, AT(query), false, NULL, 0, 0, "limits of queries"},
    {"otlp", TOC_SCHEMA_NODE, AT(otlp), false, NULL, 0, 0,
     "metrics that OpenTelemetry senders push"},
    {"influx", TOC_SCHEMA_NODE, AT(influx), false, NULL, 0, 0,
     "names of metrics that come in InfluxDB's line protocol"},
    {"statsd", TOC_SCHEMA_NODE, AT(statsd), false, NULL, 0, 0,
     "where packets of StatsD are listened for"},
    {"series_watch", TOC_SCHEMA_NODE, AT(series_watch), false, NULL, 0, 0,
     "the anomaly bit of every series"},
    {"nccl_ras", TOC_SCHEMA_NODE, AT(nccl_ras), false, NULL, 0, 0,
     "RAS services of NCCL: which ranks a collective waits for"},
    {"job_state", TOC_SCHEMA_NODE, AT(job_state), false, NULL, 0, 0,
     "schedulers that are asked for the state of jobs"},
    {"logs", TOC_SCHEMA_NODE, AT(logs), false, NULL, 0, 0,
     "logs in which known errors are looked for"},
    {"costs", TOC_SCHEMA_NODE, AT(costs), false, NULL, 0, 0, "prices of tokens, and budgets"},
    {"web", TOC_SCHEMA_NODE, AT(web), false, NULL, 0, 0, "what the HTTP API allows"},
    {"features", TOC_SCHEMA_NODE, AT(features), false, NULL, 0, 0,
     "experimental features by upstream's names"},
    {0},
};
#undef AT

/* Scalars of the smaller sections, with their defaults. */
struct scalars {
    struct toc_sv durability, start_timestamps, loopback, cert_file, key_file;
    int64_t retention_ms, retention_bytes, scrub_interval_ms, scrub_bytes_per_s, rollup_5m_ms,
        rollup_1h_ms, ballast_bytes, memory_bytes, backlog_bytes, backlog_ms, future_tolerance_ms,
        host_interval_ms, gpu_interval_ms, hold_ms, reopen_ms, window_ms, max_age_ms, dead_after_ms,
        threshold_check_ms;
    bool host_enabled, gpu_enabled, discovery_enabled, builtin;
    bool runs_tensorboard, runs_wandb, runs_logs, runs_logs_utc;
    const struct toc_yaml *run_dirs, *allowed_hosts, *retention_rules;
    struct toc_metricdb_limits limits;
};

#define AT(member) offsetof(struct scalars, member)
static const struct toc_schema_key g_storage[] = {
    {"durability", TOC_SCHEMA_STRING, AT(durability), false, "group", 0, 0, "sync, group or os"},
    {"start_timestamps", TOC_SCHEMA_STRING, AT(start_timestamps), false, "ignore", 0, 0,
     "ignore, or zero_sample: a counter that began anew gets a sample of zero at its start"},
    {"retention", TOC_SCHEMA_DURATION, AT(retention_ms), false, "15d", 0, 0,
     "how long samples are kept"},
    {"rollup_5m", TOC_SCHEMA_DURATION, AT(rollup_5m_ms), false, "30d", 0, 0,
     "how long roll-ups of 5 minutes are kept; 0s: none are made"},
    {"rollup_1h", TOC_SCHEMA_DURATION, AT(rollup_1h_ms), false, "365d", 0, 0,
     "how long roll-ups of one hour are kept; 0s: none are made"},
    {"retention_bytes", TOC_SCHEMA_BYTES, AT(retention_bytes), false, "0", 0, 0,
     "size of log and blocks from which the oldest blocks go; 0: no limit"},
    {"retention_rules", TOC_SCHEMA_NODE, AT(retention_rules), false, NULL, 0, 0,
     "series that are kept for another time"},
    {"scrub_interval", TOC_SCHEMA_DURATION, AT(scrub_interval_ms), false, "7d", 0, 0,
     "how often all blocks are read and compared with their checksums; 0s: never"},
    {"scrub_bytes_per_second", TOC_SCHEMA_BYTES, AT(scrub_bytes_per_s), false, "4MiB", 1, 1e12,
     "how fast that may read"},
    {"ballast", TOC_SCHEMA_BYTES, AT(ballast_bytes), false, "64MB", 0, 0,
     "space kept for incidents and notifications when the disk is full; 0: none"},
    {"memory_budget", TOC_SCHEMA_BYTES, AT(memory_bytes), false, "0", 0, 0,
     "memory beyond which load is shed; 0: half of the machine's or the control group's"},
    {"remote_write_backlog", TOC_SCHEMA_BYTES, AT(backlog_bytes), false, "4GiB", 1, 1e15,
     "size of the log that is held for receivers of remote_write that are behind"},
    {"remote_write_backlog_age", TOC_SCHEMA_DURATION, AT(backlog_ms), false, "7d", 0, 0,
     "and how old it may become"},
    {"future_tolerance", TOC_SCHEMA_DURATION, AT(future_tolerance_ms), false, "1h", 0, 0,
     "how far a sample may lie ahead of the clock"},
#define X(field, type, value, what) \
    {#field, TOC_SCHEMA_INT, AT(limits.field), false, #value, 1, 1e9, what},
    TOC_METRICDB_INTAKE_TABLE(X)
#undef X
        {0},
};
static const struct toc_schema_key g_host[] = {
    {"enabled", TOC_SCHEMA_BOOL, AT(host_enabled), false, "true", 0, 0,
     "collect this machine's metrics"},
    {"interval", TOC_SCHEMA_DURATION, AT(host_interval_ms), false, "1s", 0, 0, "how often"},
    {0},
};
static const struct toc_schema_key g_gpu[] = {
    {"enabled", TOC_SCHEMA_BOOL, AT(gpu_enabled), false, "true", 0, 0,
     "collect GPU metrics when NVML is there"},
    {"interval", TOC_SCHEMA_DURATION, AT(gpu_interval_ms), false, "1s", 0, 0, "how often"},
    {0},
};
static const struct toc_schema_key g_discovery[] = {
    {"enabled", TOC_SCHEMA_BOOL, AT(discovery_enabled), false, "true", 0, 0,
     "look at ports on loopback"},
    {0},
};
static const struct toc_schema_key g_runs[] = {
    {"directories", TOC_SCHEMA_NODE, AT(run_dirs), false, NULL, 0, 0, "default [./runs]"},
    {"tensorboard", TOC_SCHEMA_BOOL, AT(runs_tensorboard), false, "true", 0, 0,
     "follow event files of TensorBoard in these folders and those in them"},
    {"wandb", TOC_SCHEMA_BOOL, AT(runs_wandb), false, "true", 0, 0,
     "the same for run files of Weights & Biases (run-ID.wandb)"},
    {"logs", TOC_SCHEMA_BOOL, AT(runs_logs), false, "true", 0, 0,
     "take numbers from *.log, *.out and *.txt in them"},
    {"logs_utc", TOC_SCHEMA_BOOL, AT(runs_logs_utc), false, "false", 0, 0,
     "dates in these logs that show no zone are UTC, not local time"},
    {0},
};
static const struct toc_schema_key g_auth[] = {
    {"loopback", TOC_SCHEMA_STRING, AT(loopback), false, "read", 0, 0, "token, read or open"},
    {"allowed_hosts", TOC_SCHEMA_NODE, AT(allowed_hosts), false, NULL, 0, 0,
     "names by which the server is called"},
    {0},
};
static const struct toc_schema_key g_tls[] = {
    {"cert_file", TOC_SCHEMA_STRING, AT(cert_file), true, NULL, 0, 0, "PEM"},
    {"key_file", TOC_SCHEMA_STRING, AT(key_file), true, NULL, 0, 0, "PEM"},
    {0},
};
static const struct toc_schema_key g_rules[] = {
    {"builtin", TOC_SCHEMA_BOOL, AT(builtin), false, "true", 0, 0,
     "the rule packs that ship with Tocsin"},
    {"dead_after", TOC_SCHEMA_DURATION, AT(dead_after_ms), false, "6h", 0, 0,
     "a rule that matches no series for so long although its job is up raises RuleDead; 0s: never"},
    {"threshold_check", TOC_SCHEMA_DURATION, AT(threshold_check_ms), false, "1d", 0, 0,
     "how often an accepted threshold with a budget is looked at again; 0s: never"},
    {0},
};
static const struct toc_schema_key g_incident[] = {
    {"resolve_hold", TOC_SCHEMA_DURATION, AT(hold_ms), false, "10s", 0, 0,
     "quiet time before recovery is believed"},
    {"reopen_window", TOC_SCHEMA_DURATION, AT(reopen_ms), false, "5m", 0, 0,
     "a re-fire within re-opens"},
    {"causal_window", TOC_SCHEMA_DURATION, AT(window_ms), false, "60s", 0, 0,
     "alerts this close belong together"},
    {0},
};
static const struct toc_schema_key g_notify[] = {
    {"max_age", TOC_SCHEMA_DURATION, AT(max_age_ms), false, "24h", 0, 0,
     "when a delivery is given up"},
    {0},
};
#undef AT

static int read_sections(const struct sections *s, struct scalars *out, struct toc_err *err) {
    const struct {
        const struct toc_yaml *node;
        const struct toc_schema_key *keys;
        bool only_when_there;
    } all[] = {{s->storage, g_storage, false},
               {s->host, g_host, false},
               {s->gpu, g_gpu, false},
               {s->discovery, g_discovery, false},
               {s->runs, g_runs, false},
               {s->auth, g_auth, false},
               {s->tls, g_tls, true},
               {s->rules, g_rules, false},
               {s->incident, g_incident, false},
               {s->notify, g_notify, false}};
    static const struct toc_yaml empty = {.type = TOC_YAML_MAPPING};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!all[i].node && all[i].only_when_there)
            continue;
        int rc = toc_schema_read(all[i].node ? all[i].node : &empty, all[i].keys, out, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Copies of the texts of a list; absent gives none. */
static int read_paths(struct toc_config *c, const struct toc_yaml *list, const char *what,
                      struct toc_config_paths *out, struct toc_err *err) {
    if (!list)
        return 0;
    if (list->type != TOC_YAML_SEQUENCE)
        return toc_err_at(err, TOC_ETYPE, list->line, list->column, "%s must be a list", what);
    out->items = TOC_ARENA_NEW_ARRAY(&c->arena, const char *, list->count + 1);
    for (size_t i = 0; out->items && i < list->count; i++) {
        struct toc_sv text;
        int rc = toc_yaml_string(&list->items[i], &text, err);
        if (rc < 0)
            return rc;
        out->items[out->count++] = toc_arena_dup_sv(&c->arena, text).p;
    }
    return 0;
}

static int set_start_timestamps(struct toc_config *c, const struct scalars *s,
                                struct toc_err *err) {
    c->wants_starts = toc_sv_eq_cstr(s->start_timestamps, "zero_sample");
    if (c->wants_starts || toc_sv_eq_cstr(s->start_timestamps, "ignore"))
        return 0;
    return toc_errf(err, TOC_EINVAL,
                    "storage.start_timestamps must be ignore or zero_sample, got \"%.*s\"",
                    TOC_SV_ARG(s->start_timestamps));
}

static int set_choices(struct toc_config *c, const struct scalars *s, struct toc_err *err) {
    static const char *const durabilities[] = {"group", "sync", "os"};
    static const enum toc_durability values[] = {TOC_DURABILITY_GROUP, TOC_DURABILITY_SYNC,
                                                 TOC_DURABILITY_OS};
    size_t i = 0;
    while (i < 3 && !toc_sv_eq_cstr(s->durability, durabilities[i]))
        i++;
    if (i == 3)
        return toc_errf(err, TOC_EINVAL,
                        "storage.durability must be sync, group or os, got \"%.*s\"",
                        TOC_SV_ARG(s->durability));
    c->durability = values[i];
    c->loopback = toc_loopback_parse(s->loopback);
    if (c->loopback == TOC_LOOPBACK_COUNT)
        return toc_errf(err, TOC_EINVAL, "auth.loopback must be token, read or open, got \"%.*s\"",
                        TOC_SV_ARG(s->loopback));
    if (s->backlog_ms < 60000)
        return toc_errf(err, TOC_EINVAL, "storage.remote_write_backlog_age must be at least 1m");
    if (s->host_interval_ms < 100 || s->gpu_interval_ms < 100)
        return toc_errf(err, TOC_EINVAL, "host.interval and gpu.interval must be at least 100ms");
    return set_start_timestamps(c, s, err);
}

/* The log of receivers that are behind goes before the disk is so full that samples are refused:
 * that happens below two ballasts. */
enum { BALLASTS_KEPT_FREE = 4, KEPT_FREE_MIN_MIB = 256 };

static void set_backlog(struct toc_config *c, const struct scalars *s) {
    uint64_t by_ballast = BALLASTS_KEPT_FREE * (uint64_t)s->ballast_bytes;
    c->backlog.max_bytes = (uint64_t)s->backlog_bytes;
    c->backlog.max_age_ms = s->backlog_ms;
    c->backlog.keep_free_bytes = TOC_MAX(by_ballast, (uint64_t)KEPT_FREE_MIN_MIB << 20);
}

static void set_scalars(struct toc_config *c, const struct sections *top, const struct scalars *s) {
    c->listen = top->listen;
    c->data_dir = top->data_dir;
    c->external_url = top->external_url;
    c->log_level = top->log_level;
    c->alertmanager_file = top->alertmanager_file;
    c->tls_cert_file = s->cert_file;
    c->tls_key_file = s->key_file;
    c->retention_ms = s->retention_ms;
    c->retention_bytes = s->retention_bytes;
    c->scrub_interval_ms = s->scrub_interval_ms ? s->scrub_interval_ms : -1;
    c->scrub_bytes_per_s = s->scrub_bytes_per_s;
    c->rollup_5m_ms = s->rollup_5m_ms ? s->rollup_5m_ms : -1;
    c->rollup_1h_ms = s->rollup_1h_ms ? s->rollup_1h_ms : -1;
    c->limits = s->limits;
    c->limits.future_tolerance_ms = s->future_tolerance_ms;
    c->pressure.ballast_bytes = (uint64_t)s->ballast_bytes;
    c->pressure.memory_bytes = (uint64_t)s->memory_bytes;
    set_backlog(c, s);
    c->host_enabled = s->host_enabled;
    c->gpu_enabled = s->gpu_enabled;
    c->discovery_enabled = s->discovery_enabled;
    c->runs_tensorboard = s->runs_tensorboard;
    c->runs_wandb = s->runs_wandb;
    c->runs_logs = s->runs_logs;
    c->runs_logs_utc = s->runs_logs_utc;
    c->builtin_rules = s->builtin;
    c->rule_dead_after_ms = s->dead_after_ms ? s->dead_after_ms : -1;
    c->threshold_check_ms = s->threshold_check_ms ? s->threshold_check_ms : -1;
    c->host_interval_ms = s->host_interval_ms;
    c->gpu_interval_ms = s->gpu_interval_ms;
    c->incident_hold_ms = s->hold_ms;
    c->incident_reopen_ms = s->reopen_ms;
    c->incident_window_ms = s->window_ms;
    c->notify_max_age_ms = s->max_age_ms;
    c->detectors = top->detectors;
    c->packs = top->packs;
}

/* ------------------------------------------------------------------------------- files referred to
 */

static const char *resolve(struct toc_config *c, struct toc_sv path) {
    struct toc_buf full = TOC_BUF_INIT;
    if (path.n && path.p[0] != '/' && c->base_dir)
        toc_buf_printf(&full, "%s/", c->base_dir);
    toc_buf_append_sv(&full, path);
    const char *kept = toc_arena_dup_sv(&c->arena, toc_buf_sv(&full)).p;
    toc_buf_fini(&full);
    return kept;
}

static int read_file(const char *path, struct toc_buf *out, struct toc_err *err) {
    int rc = toc_vfs_read_file(toc_vfs_system(), path, CONFIG_MAX_BYTES, out);
    return rc < 0 ? toc_errf(err, rc, "cannot read %s: %s", path, toc_strerror(rc)) : 0;
}

static int add_cost_rules(struct toc_config *c, struct toc_err *err) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_costs_rules(&c->costs, &text);
    int rc = text.n ? toc_config_add_rule_file(c, "costs", toc_buf_sv(&text), err) : 0;
    toc_buf_fini(&text);
    return rc;
}

static int load_rule_files(struct toc_config *c, const struct toc_yaml *list, struct toc_err *err) {
    struct toc_config_paths paths = {0}, found = {0};
    int rc = read_paths(c, list, "rule_files", &paths, err);
    for (size_t i = 0; i < paths.count && rc == 0; i++) {
        rc = toc_vfs_glob(toc_vfs_system(), resolve(c, toc_sv_cstr(paths.items[i])), RULE_FILES_MAX,
                          &c->arena, &found.items, &found.count, err);
        if (rc == 0 && found.count == 1 && !toc_vfs_exists(toc_vfs_system(), found.items[0]))
            rc = toc_errf(err, TOC_ENOENT, "rule_files: \"%s\" does not point to an existing file",
                          found.items[0]);
        for (size_t k = 0; k < found.count && rc == 0; k++) {
            struct toc_buf text = TOC_BUF_INIT;
            rc = read_file(found.items[k], &text, err);
            if (rc == 0)
                rc = toc_config_add_rule_file(c, found.items[k], toc_buf_sv(&text), err);
            toc_buf_fini(&text);
        }
    }
    if (rc == 0)
        rc = add_cost_rules(c, err);
    return rc == 0 && c->builtin_rules ? toc_config_add_builtin_packs(c, err) : rc;
}

static int load_alerting(struct toc_config *c, struct toc_err *err) {
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_zone_source zones = {toc_zone_offset, NULL};
    int rc = 0;
    const char *path = NULL;
    if (c->alertmanager_file.n) {
        path = resolve(c, c->alertmanager_file);
        rc = read_file(path, &text, err);
    } else {
        toc_buf_append_cstr(&text, toc_default_alerting);
    }
    if (rc == 0) {
        c->alerting_text = toc_arena_dup_sv(&c->arena, toc_buf_sv(&text));
        rc = toc_alert_config_parse(toc_buf_sv(&text), &zones, &c->alerting, err);
        if (rc == 0)
            rc = toc_receivers_build(c->alerting, c->base_dir, &c->receivers, err);
        if (rc < 0 && path) {
            rc = toc_err_prefix(err, "%s:%d:%d: ", path, err->line, err->column);
            err->line = 0; /* the place is said */
        }
    }
    toc_buf_fini(&text);
    return rc;
}

static int load_parts(struct toc_config *c, const struct sections *top, const struct scalars *s,
                      struct toc_err *err) {
    struct toc_scrape_global global = toc_scrape_global_default();
    global.base_dir = c->base_dir;
    int rc = toc_scrape_global_read(top->global, &global, err);
    if (rc == 0)
        rc = toc_config_rules_global_read(top->global, c, err);
    if (rc == 0)
        rc = toc_config_query_read(top->query, top->features, top->web, c, err);
    if (rc == 0)
        rc = toc_config_otlp_read(top->otlp, c, err);
    if (rc == 0)
        rc = toc_config_influx_read(top->influx, c, err);
    if (rc == 0)
        rc = toc_config_statsd_read(top->statsd, c, err);
    if (rc == 0)
        rc = toc_config_nccl_ras_read(top->nccl_ras, c, err);
    if (rc == 0)
        rc = toc_config_job_state_read(top->job_state, c, err);
    if (rc == 0)
        rc = toc_config_series_watch_read(top->series_watch, c, err);
    if (rc == 0)
        rc = toc_config_logs_read(top->logs, c, err);
    if (rc == 0)
        rc = toc_costs_read(top->costs, &c->arena, &c->costs, err);
    if (rc == 0)
        rc = toc_scrape_set_read(top->scrape_configs, &global, &c->scrape, err);
    if (rc == 0)
        rc = toc_forward_set_read(top->remote_write, c->external_labels, c->base_dir, &c->forward,
                                  err);
    if (rc == 0)
        rc = read_paths(c, s->allowed_hosts, "auth.allowed_hosts", &c->allowed_hosts, err);
    if (rc == 0)
        rc = toc_config_retention_rules_read(s->retention_rules, c, err);
    if (rc == 0)
        rc = read_paths(c, s->run_dirs, "runs.directories", &c->run_dirs, err);
    if (rc == 0 && !s->run_dirs) {
        static const char *defaults[] = {"./runs"};
        c->run_dirs = (struct toc_config_paths){defaults, 1};
    }
    if (rc == 0 && !c->is_syntax_only)
        rc = load_rule_files(c, top->rule_files, err);
    if (rc == 0)
        rc = toc_detectors_check(c->detectors, err);
    if (rc == 0)
        rc = toc_packs_check(c->packs, err);
    if (rc == 0 && !c->is_syntax_only)
        rc = load_alerting(c, err);
    return rc;
}

static int parse(struct toc_config *c, struct toc_sv text, struct toc_err *err) {
    const struct toc_yaml *root;
    struct sections top = {0};
    struct scalars s = {0};
    int rc = toc_yaml_parse(text, &c->arena, &root, err);
    if (rc == 0 && root->type != TOC_YAML_MAPPING)
        rc = toc_err_at(err, TOC_ETYPE, root->line, root->column,
                        "the file must be a mapping of sections");
    if (rc == 0)
        rc = toc_schema_read(root, g_top, &top, err);
    if (rc == 0)
        rc = read_sections(&top, &s, err);
    if (rc == 0)
        rc = set_choices(c, &s, err);
    if (rc < 0)
        return rc;
    set_scalars(c, &top, &s);
    c->document = root;
    return load_parts(c, &top, &s, err);
}

static void set_base_dir(struct toc_config *c) {
    const char *slash = c->path ? strrchr(c->path, '/') : NULL;
    if (slash)
        c->base_dir =
            toc_arena_dup_sv(&c->arena, toc_sv_make(c->path, (size_t)(slash - c->path))).p;
}

static int load(const char *path, bool is_syntax_only, struct toc_config **out,
                struct toc_err *err) {
    struct toc_config *c = TOC_NEW(struct toc_config);
    c->is_syntax_only = is_syntax_only;
    struct toc_buf text = TOC_BUF_INIT;
    int rc = 0;
    c->path = path ? toc_arena_dup_sv(&c->arena, toc_sv_cstr(path)).p : NULL;
    set_base_dir(c);
    if (path)
        rc = read_file(path, &text, err);
    if (rc == 0) {
        rc = parse(c, toc_arena_dup_sv(&c->arena, toc_buf_sv(&text)), err);
        if (rc < 0 && path && err->line > 0 && !strstr(err->message, path))
            toc_err_prefix(err, "%s:%d:%d: ", path, err->line, err->column);
    }
    toc_buf_fini(&text);
    if (rc < 0)
        toc_config_free(&c);
    *out = c;
    return rc;
}

int toc_config_load(const char *path, struct toc_config **out, struct toc_err *err) {
    return load(path, false, out, err);
}

int toc_config_load_syntax(const char *path, struct toc_config **out, struct toc_err *err) {
    return load(path, true, out, err);
}

void toc_config_free(struct toc_config **cp) {
    struct toc_config *c = *cp;
    if (!c)
        return;
    toc_scrape_set_unref(&c->scrape);
    toc_forward_set_unref(&c->forward);
    toc_config_retention_rules_free(c);
    for (size_t i = 0; i < c->rule_file_count; i++)
        toc_rule_file_free(&c->rule_files[i]);
    toc_free(c->rule_files);
    toc_alert_config_free(&c->alerting);
    toc_receiver_set_unref(&c->receivers);
    toc_arena_fini(&c->arena);
    toc_free(c);
    *cp = NULL;
}
