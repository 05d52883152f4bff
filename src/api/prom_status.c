/* Below status/, features, version: how Prometheus' clients would see the daemon. */
#include "api/feature.h"
#include "api/prom_priv.h"
#include "base/num.h"
#include "sys/env.h"

/* Grafana reads the version to know what the API can do: it is Prometheus' that we speak. */
#define SPOKEN_VERSION "3.14.0"

static void write_buildinfo(struct toc_json_writer *w) {
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "version", SPOKEN_VERSION);
    toc_json_kv_cstr(w, "revision", "tocsin-" TOC_VERSION);
    toc_json_kv_cstr(w, "branch", "");
    toc_json_kv_cstr(w, "buildUser", "");
    toc_json_kv_cstr(w, "buildDate", "");
    toc_json_kv_cstr(w, "goVersion", "");
    toc_json_end_object(w);
}

void toc_api_prom_buildinfo(struct toc_api_call *c) {
    toc_prom_begin(c);
    write_buildinfo(&c->json);
    toc_prom_end(c);
}

void toc_api_prom_version(struct toc_api_call *c) {
    write_buildinfo(&c->json);
}

void toc_api_prom_runtimeinfo(struct toc_api_call *c) {
    const struct toc_api_parts *p = &c->api->parts;
    struct toc_json_writer *w = &c->json;
    struct toc_metricdb_stats s;
    char name[256] = "", dir[1024] = "";
    struct toc_buf retention = TOC_BUF_INIT;
    bool is_config_good = true;
    struct toc_ts config_at = p->started_at;
    toc_metricdb_stats(p->metrics, &s);
    toc_hostname(name, sizeof name);
    toc_working_directory(dir, sizeof dir);
    toc_duration_format(p->retention_ms, &retention);
    p->config_state(p->daemon, &is_config_good, &config_at);
    toc_prom_begin(c);
    toc_json_begin_object(w);
    toc_json_kv_time(w, "startTime", p->started_at);
    toc_json_kv_cstr(w, "CWD", dir);
    toc_json_kv_cstr(w, "hostname", name);
    toc_json_kv_time(w, "serverTime", c->now);
    toc_json_kv_bool(w, "reloadConfigSuccess", is_config_good);
    toc_json_kv_time(w, "lastConfigTime", config_at);
    toc_json_kv_int(w, "corruptionCount", (int64_t)s.corruptions);
    /* Threads and processors stand where upstream counts goroutines and their processors. */
    toc_json_kv_int(w, "goroutineCount", toc_process_thread_count());
    toc_json_kv_int(w, "GOMAXPROCS", toc_cpu_count());
    toc_json_kv_int(w, "GOMEMLIMIT", INT64_MAX);
    toc_json_kv_cstr(w, "GOGC", "");
    toc_json_kv_cstr(w, "GODEBUG", "");
    toc_json_kv_string(w, "storageRetention", toc_buf_sv(&retention));
    toc_json_end_object(w);
    toc_prom_end(c);
    toc_buf_fini(&retention);
}

void toc_api_prom_config(struct toc_api_call *c) {
    struct toc_buf yaml = TOC_BUF_INIT;
    c->api->parts.config_text(c->api->parts.daemon, &yaml);
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_json_kv_string(&c->json, "yaml", toc_buf_sv(&yaml));
    toc_json_end_object(&c->json);
    toc_prom_end(c);
    toc_buf_fini(&yaml);
}

/* ------------------------------------------------------------------------------------------
 * flags */

static void kv_duration(struct toc_json_writer *w, const char *key, int64_t ms) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_duration_format(ms, &text);
    toc_json_kv_string(w, key, toc_buf_sv(&text));
    toc_buf_fini(&text);
}

static void kv_number(struct toc_json_writer *w, const char *key, uint64_t n) {
    char text[TOC_U64_TEXT_MAX];
    toc_json_kv_string(w, key, toc_sv_make(text, toc_u64_text(n, text)));
}

static void append_feature(void *ctx, const char *name, enum toc_feature_effect effect,
                           bool is_on) {
    (void)effect;
    if (is_on)
        toc_buf_printf(ctx, "%s%s", ((struct toc_buf *)ctx)->n ? "," : "", name);
}

/* Settings of ours that are flags upstream, under upstream's names. */
void toc_api_prom_flags(struct toc_api_call *c) {
    const struct toc_api_parts *p = &c->api->parts;
    struct toc_query_limits limits = toc_query_gate_limits(c->api->queries);
    struct toc_json_writer *w = &c->json;
    struct toc_buf features = TOC_BUF_INIT;
    toc_feature_each(atomic_load(&c->api->features), append_feature, &features);
    toc_prom_begin(c);
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "agent", "false");
    toc_json_kv_cstr(w, "config.file", p->config_path ? p->config_path : "");
    toc_json_kv_string(w, "enable-feature", toc_buf_sv(&features));
    kv_duration(w, "query.lookback-delta", limits.lookback_ms);
    kv_number(w, "query.max-concurrency", limits.max_concurrency);
    kv_number(w, "query.max-samples", limits.max_samples);
    kv_duration(w, "query.timeout", limits.timeout_ms);
    toc_json_kv_cstr(w, "storage.tsdb.path", p->data_dir);
    kv_duration(w, "storage.tsdb.retention.time", p->retention_ms);
    toc_json_kv_string(w, "web.cors.origin", p->cors_origin_text);
    toc_json_kv_cstr(w, "web.enable-admin-api", p->has_admin_api ? "true" : "false");
    toc_json_kv_cstr(w, "web.enable-lifecycle", "true");
    toc_json_kv_cstr(w, "web.enable-remote-write-receiver", "true");
    toc_json_kv_cstr(w, "web.external-url", p->external_url);
    toc_json_end_object(w);
    toc_prom_end(c);
    toc_buf_fini(&features);
}

/* ------------------------------------------------------------------------------------------
 * features: what a client may rely on, by area */

static void write_feature(void *ctx, const char *name, enum toc_feature_effect effect, bool is_on) {
    struct toc_json_writer *w = ctx;
    char key[64];
    size_t n = 0;
    for (; name[n] && n + 1 < sizeof key; n++)
        key[n] = name[n] == '-' ? '_' : name[n];
    key[n] = 0;
    toc_json_kv_bool(w, key,
                     effect == TOC_FEATURE_ALWAYS || (effect == TOC_FEATURE_SWITCHES && is_on));
}

static void begin_area(struct toc_json_writer *w, const char *name) {
    toc_json_key(w, name);
    toc_json_begin_object(w);
}

void toc_api_prom_features(struct toc_api_call *c) {
    struct toc_json_writer *w = &c->json;
    unsigned set = atomic_load(&c->api->features);
    toc_prom_begin(c);
    toc_json_begin_object(w);
    begin_area(w, "api");
    toc_json_kv_bool(w, "admin", c->api->parts.has_admin_api);
    toc_json_kv_bool(w, "exclude_alerts", true);
    toc_json_kv_bool(w, "label_values_match", true);
    toc_json_kv_bool(w, "lifecycle", true);
    toc_json_kv_bool(w, "otlp_write_receiver", true);
    toc_json_kv_bool(w, "query_stats", true);
    toc_json_kv_bool(w, "query_warnings", true);
    toc_json_kv_bool(w, "remote_write_receiver", true);
    toc_json_kv_bool(w, "search", (set & TOC_FEATURE_SEARCH_API) != 0);
    toc_json_kv_bool(w, "time_range_labels", true);
    toc_json_kv_bool(w, "time_range_series", true);
    toc_json_end_object(w);
    begin_area(w, "flags");
    toc_feature_each(set, write_feature, w);
    toc_json_end_object(w);
    begin_area(w, "rules");
    toc_json_kv_bool(w, "keep_firing_for", true);
    toc_json_kv_bool(w, "query_offset", true);
    toc_json_end_object(w);
    begin_area(w, "tocsin");
    toc_json_kv_bool(w, "incidents", true);
    toc_json_kv_bool(w, "detectors", true);
    toc_json_end_object(w);
    toc_json_end_object(w);
    toc_prom_end(c);
}
