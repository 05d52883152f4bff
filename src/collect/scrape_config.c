#include "collect/scrape_config.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "collect/config_part.h"

struct toc_scrape_set {
    atomic_uint refs;
    struct toc_arena arena;
    struct toc_scrape_config *configs;
    size_t count;
};

struct reader {
    struct toc_arena *arena;
    const struct toc_scrape_global *global;
    struct toc_err *err;
    struct toc_config_reader part;
};

/* ----------------------------------------------------------------------------------------------
 * global */

#define LIMIT_TYPE_sample_limit TOC_SCHEMA_INT
#define LIMIT_TYPE_label_limit TOC_SCHEMA_INT
#define LIMIT_TYPE_label_name_length_limit TOC_SCHEMA_INT
#define LIMIT_TYPE_label_value_length_limit TOC_SCHEMA_INT
#define LIMIT_TYPE_target_limit TOC_SCHEMA_INT
#define LIMIT_TYPE_keep_dropped_targets TOC_SCHEMA_INT
#define LIMIT_TYPE_body_size_limit TOC_SCHEMA_BYTES

struct toc_scrape_global toc_scrape_global_default(void) {
    return (struct toc_scrape_global){
        .interval_ms = 60000,
        .timeout_ms = 10000,
        .limits =
            {
#define X(member, fallback, what) .member = (fallback),
                TOC_SCRAPE_LIMIT_TABLE(X)
#undef X
            },
    };
}

static int read_limits(const struct toc_yaml *mapping, struct toc_scrape_limits *io,
                       struct toc_err *err) {
    int rc = 0;
#define X(member, fallback, what)                                                   \
    if (rc == 0 && !toc_yaml_is_null(toc_yaml_get(mapping, #member)))               \
        rc = LIMIT_TYPE_##member == TOC_SCHEMA_BYTES                                \
                 ? toc_yaml_bytes(toc_yaml_get(mapping, #member), &io->member, err) \
                 : toc_yaml_int(toc_yaml_get(mapping, #member), &io->member, err);  \
    if (rc == 0 && io->member < 0)                                                  \
        rc = toc_err_at(err, TOC_EINVAL, mapping->line, mapping->column,            \
                        #member " must not be negative");
    TOC_SCRAPE_LIMIT_TABLE(X)
#undef X
    return rc;
}

int toc_scrape_global_read(const struct toc_yaml *global, struct toc_scrape_global *io,
                           struct toc_err *err) {
    if (toc_yaml_is_null(global))
        return 0;
    const struct toc_yaml *interval = toc_yaml_get(global, "scrape_interval");
    const struct toc_yaml *timeout = toc_yaml_get(global, "scrape_timeout");
    int rc = toc_yaml_is_null(interval) ? 0 : toc_yaml_duration(interval, &io->interval_ms, err);
    if (rc == 0 && !toc_yaml_is_null(timeout))
        rc = toc_yaml_duration(timeout, &io->timeout_ms, err);
    if (rc == 0 && toc_yaml_is_null(timeout) && io->timeout_ms > io->interval_ms)
        io->timeout_ms = io->interval_ms;
    if (rc == 0 && (io->interval_ms <= 0 || io->timeout_ms > io->interval_ms))
        rc = toc_err_at(err, TOC_EINVAL, global->line, global->column,
                        "global scrape timeout greater than scrape interval");
    return rc ? rc : read_limits(global, &io->limits, err);
}

/* ------------------------------------------------------------------------------------------ small
 * parts */

/* A copy that outlives the document. Depth and size are limited by the YAML reader. */
static int copy_node(const struct toc_yaml *n, struct toc_arena *a, struct toc_yaml *out) {
    *out = *n;
    out->key = toc_arena_dup_sv(a, n->key);
    out->scalar = toc_arena_dup_sv(a, n->scalar);
    out->items = TOC_ARENA_NEW_ARRAY(a, struct toc_yaml, n->count + 1);
    for (size_t i = 0; out->items && i < n->count; i++)
        if (copy_node(&n->items[i], a, &out->items[i]) < 0)
            return TOC_ENOMEM;
    return a->overflowed ? TOC_ENOMEM : 0;
}

/* ----------------------------------------------------------------------------------------- target
 * groups */

static int check_target(const struct toc_yaml *n, struct toc_sv target, struct toc_err *err) {
    if (!target.n || toc_sv_find_char(target, '/') != SIZE_MAX)
        return toc_err_at(err, TOC_EINVAL, n->line, n->column, "\"%.*s\" is not a valid hostname",
                          TOC_SV_ARG(target));
    return 0;
}

static int read_labels(const struct toc_yaml *n, struct toc_arena *a, struct toc_target_group *out,
                       struct toc_err *err) {
    if (toc_yaml_is_null(n))
        return 0;
    int rc = toc_config_expect(n, TOC_YAML_MAPPING, "labels as name: value", err);
    struct toc_label *labels = rc ? NULL : TOC_ARENA_NEW_ARRAY(a, struct toc_label, n->count + 1);
    if (!rc && !labels)
        return toc_config_no_memory(err);
    for (size_t i = 0; rc == 0 && i < n->count; i++) {
        const struct toc_yaml *item = &n->items[i];
        labels[i].name = item->key;
        rc = toc_yaml_string(item, &labels[i].value, err);
        if (rc == 0 && (!item->key.n || !toc_sv_is_utf8(item->key)))
            rc = toc_err_at(err, TOC_EINVAL, item->key_line, item->key_column,
                            "\"%.*s\" is not a valid label name", TOC_SV_ARG(item->key));
        if (rc == 0 && !toc_sv_is_utf8(labels[i].value))
            rc = toc_err_at(err, TOC_EINVAL, item->line, item->column,
                            "the value of label %.*s is not UTF-8", TOC_SV_ARG(item->key));
    }
    out->labels = labels;
    out->label_count = rc ? 0 : n->count;
    return rc;
}

static int read_group(const struct toc_yaml *n, struct toc_arena *a, struct toc_target_group *out,
                      struct toc_err *err) {
    static const char *const keys[] = {"targets", "labels", NULL};
    if (toc_yaml_is_null(n))
        return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                          "empty or null section in static_configs");
    const struct toc_yaml *targets = toc_yaml_get(n, "targets");
    int rc = toc_yaml_check_keys(n, keys, err);
    if (rc == 0)
        rc = toc_config_strings(targets, a, &out->targets, &out->target_count, err);
    for (size_t i = 0; rc == 0 && i < out->target_count; i++)
        rc = check_target(&targets->items[i], out->targets[i], err);
    return rc ? rc : read_labels(toc_yaml_get(n, "labels"), a, out, err);
}

int toc_scrape_groups_read(const struct toc_yaml *list, struct toc_arena *a,
                           const struct toc_target_group **out, size_t *out_count,
                           struct toc_err *err) {
    *out_count = 0;
    if (toc_yaml_is_null(list))
        return 0;
    int rc = toc_config_expect(list, TOC_YAML_SEQUENCE, "a list of target groups", err);
    struct toc_target_group *groups =
        rc ? NULL : TOC_ARENA_NEW_ARRAY(a, struct toc_target_group, list->count + 1);
    if (!rc && !groups)
        return toc_config_no_memory(err);
    for (size_t i = 0; rc == 0 && i < list->count; i++)
        rc = read_group(&list->items[i], a, &groups[i], err);
    *out = groups;
    *out_count = rc ? 0 : list->count;
    return rc;
}

/* -------------------------------------------------------------------------------------------- one
 * config */

/* One entry as it stands in the file; the nodes are read further below. */
struct raw_config {
    struct toc_sv job_name, metrics_path, scheme, fallback_scrape_protocol,
        metric_name_escaping_scheme, metric_name_validation_scheme;
    bool honor_labels, honor_timestamps, track_timestamps_staleness, enable_compression,
        extra_scrape_metrics, scrape_native_histograms, convert_classic_histograms_to_nhcb,
        always_scrape_classic_histograms;
    int64_t scrape_interval, scrape_timeout;
    const struct toc_yaml *params, *static_configs, *file_sd_configs, *relabel_configs,
        *metric_relabel_configs, *scrape_protocols, *ignored;
};

#define FIELD(name, kind, fallback) \
    { #name, kind, offsetof(struct raw_config, name), false, fallback, 0, 0, NULL }
#define TEXT(name, fallback) FIELD(name, TOC_SCHEMA_STRING, fallback)
#define FLAG(name, fallback) FIELD(name, TOC_SCHEMA_BOOL, fallback)
#define NODE(name) FIELD(name, TOC_SCHEMA_NODE, NULL)
#define OTHER(name) \
    { #name, TOC_SCHEMA_NODE, offsetof(struct raw_config, ignored), false, NULL, 0, 0, NULL }
static const struct toc_schema_key config_keys[] = {
    TEXT(job_name, ""),
    TEXT(metrics_path, "/metrics"),
    TEXT(scheme, "http"),
    TEXT(fallback_scrape_protocol, NULL),
    TEXT(metric_name_escaping_scheme, "allow-utf-8"),
    TEXT(metric_name_validation_scheme, "utf8"),
    FLAG(honor_labels, "false"),
    FLAG(honor_timestamps, "true"),
    FLAG(track_timestamps_staleness, "false"),
    FLAG(enable_compression, "true"),
    FLAG(extra_scrape_metrics, "false"),
    FLAG(scrape_native_histograms, "false"),
    FLAG(convert_classic_histograms_to_nhcb, "false"),
    FLAG(always_scrape_classic_histograms, "false"),
    FIELD(scrape_interval, TOC_SCHEMA_DURATION, NULL),
    FIELD(scrape_timeout, TOC_SCHEMA_DURATION, NULL),
    NODE(params),
    NODE(static_configs),
    NODE(file_sd_configs),
    NODE(relabel_configs),
    NODE(metric_relabel_configs),
    NODE(scrape_protocols),
#define X(member, fallback, what) OTHER(member),
    TOC_SCRAPE_LIMIT_TABLE(X)
#undef X
#define X(key) OTHER(key),
        TOC_HTTP_SETTINGS_KEYS(X)
#undef X
#define X(name, mechanism, key) OTHER(key),
            TOC_DISCOVERY_TABLE(X)
#undef X
                {0},
};

/* Keys of upstream that mean something this program does not do: said, not ignored. */
static const char *const unsupported_keys[] = {"native_histogram_bucket_limit",
                                               "native_histogram_min_bucket_factor",
                                               "scrape_failure_log_file", NULL};

static int refuse_unsupported(const struct toc_yaml *n, struct toc_err *err) {
    for (size_t i = 0; n->type == TOC_YAML_MAPPING && i < n->count; i++) {
        const struct toc_yaml *item = &n->items[i];
        bool is_sd = toc_sv_ends_with(item->key, TOC_SV("_sd_configs")) &&
                     !toc_sv_eq(item->key, TOC_SV("file_sd_configs")) &&
                     !toc_discovery_is_key(item->key);
        bool is_listed = false;
        for (const char *const *k = unsupported_keys; *k && !is_listed; k++)
            is_listed = toc_sv_eq_cstr(item->key, *k);
        if (is_sd || is_listed)
            return toc_err_at(err, TOC_EUNSUPPORTED, item->key_line, item->key_column,
                              "%.*s is not supported by this build%s", TOC_SV_ARG(item->key),
                              is_sd ? "; use file_sd_configs or http_sd_configs" : "");
    }
    return 0;
}

static int refuse_flag(bool is_set, const char *name, const struct toc_yaml *n,
                       struct toc_err *err) {
    return is_set ? toc_err_at(err, TOC_EUNSUPPORTED, n->line, n->column,
                               "%s: true is not supported by this build", name)
                  : 0;
}

static int check_raw(const struct raw_config *raw, const struct toc_yaml *n, struct toc_err *err) {
    if (!raw->job_name.n)
        return toc_err_at(err, TOC_EINVAL, n->line, n->column, "job_name is empty");
    bool is_known_scheme =
        toc_sv_eq(raw->scheme, TOC_SV("http")) || toc_sv_eq(raw->scheme, TOC_SV("https"));
    if (!is_known_scheme)
        return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                          "scheme \"%.*s\" is neither http nor https", TOC_SV_ARG(raw->scheme));
    if (!toc_sv_eq(raw->metric_name_validation_scheme, TOC_SV("utf8")))
        return toc_err_at(
            err, TOC_EUNSUPPORTED, n->line, n->column,
            "metric_name_validation_scheme \"%.*s\" is not supported by this build: use utf8",
            TOC_SV_ARG(raw->metric_name_validation_scheme));
    return refuse_flag(raw->convert_classic_histograms_to_nhcb,
                       "convert_classic_histograms_to_nhcb", n, err);
}

static int read_times(const struct raw_config *raw, const struct toc_yaml *n, struct reader *r,
                      struct toc_scrape_config *out) {
    const struct toc_scrape_global *g = r->global;
    out->interval_ms = raw->scrape_interval ? raw->scrape_interval : g->interval_ms;
    out->timeout_ms =
        raw->scrape_timeout ? raw->scrape_timeout : TOC_MIN(g->timeout_ms, out->interval_ms);
    if (out->timeout_ms > out->interval_ms)
        return toc_err_at(
            r->err, TOC_EINVAL, n->line, n->column,
            "scrape timeout greater than scrape interval for scrape config with job name "
            "\"%.*s\"",
            TOC_SV_ARG(raw->job_name));
    return 0;
}

static int find_protocol(struct toc_sv name) {
    static const char *const names[] = {
#define X(name, text, media, escaping) text,
        TOC_SCRAPE_PROTOCOL_TABLE(X)
#undef X
    };
    for (int i = 0; i < TOC_SCRAPE_PROTOCOL_COUNT; i++)
        if (toc_sv_eq_cstr(name, names[i]))
            return i;
    return -1;
}

static int bad_protocol(const struct toc_yaml *n, struct toc_sv name, struct toc_err *err) {
    return toc_err_at(
        err, TOC_EINVAL, n->line, n->column,
        "unknown scrape protocol %.*s, supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 "
        "PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]",
        TOC_SV_ARG(name));
}

static void format_accept(const int *protocols, size_t count, struct toc_sv escaping,
                          struct toc_scrape_config *out) {
    static const struct {
        const char *media;
        bool takes_escaping;
    } rows[] = {
#define X(name, text, media, escaping) {media, escaping},
        TOC_SCRAPE_PROTOCOL_TABLE(X)
#undef X
    };
    struct toc_buf text = TOC_BUF_INIT;
    size_t weight = count + 1;
    for (size_t i = 0; i < count; i++) {
        toc_buf_append_cstr(&text, rows[protocols[i]].media);
        if (rows[protocols[i]].takes_escaping)
            toc_buf_printf(&text, ";escaping=%.*s", TOC_SV_ARG(escaping));
        toc_buf_printf(&text, ";q=0.%zu,", weight--);
    }
    toc_buf_printf(&text, "*/*;q=0.%zu", weight);
    toc_sv_copy(toc_buf_sv(&text), out->accept, sizeof out->accept);
    toc_buf_fini(&text);
}

static int read_protocols(const struct raw_config *raw, const struct toc_yaml *n, struct reader *r,
                          struct toc_scrape_config *out) {
    int protocols[TOC_SCRAPE_PROTOCOL_COUNT];
    size_t count = 0;
    const struct toc_yaml *list = raw->scrape_protocols;
    const struct toc_sv *names = NULL;
    size_t name_count = 0;
    static const char *const escapings[] = {"allow-utf-8", "underscores", "dots", "values"};
    bool is_known = false;
    for (size_t i = 0; i < TOC_ARRAY_LEN(escapings); i++)
        is_known = is_known || toc_sv_eq_cstr(raw->metric_name_escaping_scheme, escapings[i]);
    if (!is_known)
        return toc_err_at(
            r->err, TOC_EINVAL, n->line, n->column,
            "metric_name_escaping_scheme must be allow-utf-8, underscores, dots or values");
    int rc = toc_config_strings(list, r->arena, &names, &name_count, r->err);
    for (size_t i = 0; rc == 0 && i < name_count; i++) {
        int p = find_protocol(names[i]);
        for (size_t j = 0; j < i && rc == 0; j++)
            if (toc_sv_eq(names[i], names[j]))
                rc = toc_err_at(r->err, TOC_EDUPLICATE, list->items[i].line, list->items[i].column,
                                "duplicated protocol in scrape_protocols");
        if (rc == 0 && p < 0)
            rc = bad_protocol(&list->items[i], names[i], r->err);
        if (rc == 0 && p >= 0)
            protocols[count++] = p;
    }
    /* Protobuf is first where native histograms are wanted, and not asked for elsewhere. */
    if (name_count == 0 && raw->scrape_native_histograms)
        protocols[count++] = TOC_SCRAPE_PROTO;
    for (int p = 0; rc == 0 && name_count == 0 && p < TOC_SCRAPE_PROTO; p++)
        protocols[count++] = p;
    out->fallback_protocol =
        raw->fallback_scrape_protocol.n ? find_protocol(raw->fallback_scrape_protocol) : -1;
    if (rc == 0 && raw->fallback_scrape_protocol.n && out->fallback_protocol < 0)
        rc = bad_protocol(n, raw->fallback_scrape_protocol, r->err);
    if (rc == 0)
        format_accept(protocols, count, raw->metric_name_escaping_scheme, out);
    return rc;
}

static int read_params(const struct toc_yaml *n, struct reader *r, struct toc_scrape_config *out) {
    if (toc_yaml_is_null(n))
        return 0;
    int rc = toc_config_expect(n, TOC_YAML_MAPPING, "params as name: [values]", r->err);
    struct toc_scrape_param *params =
        rc ? NULL : TOC_ARENA_NEW_ARRAY(r->arena, struct toc_scrape_param, n->count + 1);
    if (!rc && !params)
        return toc_config_no_memory(r->err);
    for (size_t i = 0; rc == 0 && i < n->count; i++) {
        params[i].name = n->items[i].key;
        rc = toc_config_strings(&n->items[i], r->arena, &params[i].values, &params[i].value_count,
                                r->err);
    }
    out->params = params;
    out->param_count = rc ? 0 : n->count;
    return rc;
}

static bool is_sd_file(struct toc_sv path) {
    return toc_sv_ends_with(path, TOC_SV(".json")) || toc_sv_ends_with(path, TOC_SV(".yml")) ||
           toc_sv_ends_with(path, TOC_SV(".yaml"));
}

static int read_file_sd(const struct toc_yaml *n, struct reader *r,
                        struct toc_scrape_file_sd *out) {
    static const char *const keys[] = {"files", "refresh_interval", NULL};
    const struct toc_sv *files = NULL;
    int rc = toc_yaml_check_keys(n, keys, r->err);
    if (rc == 0)
        rc = toc_config_strings(toc_yaml_get(n, "files"), r->arena, &files, &out->file_count,
                                r->err);
    const struct toc_yaml *refresh = toc_yaml_get(n, "refresh_interval");
    int64_t refresh_ms; /* checked only: files are looked at more often than anybody asks for */
    if (rc == 0 && !toc_yaml_is_null(refresh))
        rc = toc_yaml_duration(refresh, &refresh_ms, r->err);
    if (rc == 0 && out->file_count == 0)
        rc = toc_err_at(r->err, TOC_EINVAL, n->line, n->column,
                        "file service discovery config must contain at least one path name");
    struct toc_sv *paths =
        rc ? NULL : TOC_ARENA_NEW_ARRAY(r->arena, struct toc_sv, out->file_count);
    if (!rc && !paths)
        return toc_config_no_memory(r->err);
    for (size_t i = 0; rc == 0 && i < out->file_count; i++) {
        paths[i] = toc_config_path(&r->part, files[i]);
        if (!is_sd_file(files[i]))
            rc = toc_err_at(
                r->err, TOC_EINVAL, n->line, n->column,
                "path name \"%.*s\" is not valid for file discovery: it must end in .json, .yml "
                "or .yaml",
                TOC_SV_ARG(files[i]));
    }
    out->files = paths;
    return rc;
}

static int read_file_sds(const struct toc_yaml *list, struct reader *r,
                         struct toc_scrape_config *out) {
    if (toc_yaml_is_null(list))
        return 0;
    int rc = toc_config_expect(list, TOC_YAML_SEQUENCE, "a list of file_sd configs", r->err);
    struct toc_scrape_file_sd *sds =
        rc ? NULL : TOC_ARENA_NEW_ARRAY(r->arena, struct toc_scrape_file_sd, list->count + 1);
    if (!rc && !sds)
        return toc_config_no_memory(r->err);
    for (size_t i = 0; rc == 0 && i < list->count; i++)
        rc = read_file_sd(&list->items[i], r, &sds[i]);
    out->file_sds = sds;
    out->file_sd_count = rc ? 0 : list->count;
    return rc;
}

static void take_plain(const struct raw_config *raw, struct toc_scrape_config *out) {
    out->job_name = raw->job_name;
    out->metrics_path = raw->metrics_path;
    out->scheme = raw->scheme;
    out->honor_labels = raw->honor_labels;
    out->honor_timestamps = raw->honor_timestamps;
    out->track_timestamps_staleness = raw->track_timestamps_staleness;
    out->enable_compression = raw->enable_compression;
    out->extra_scrape_metrics = raw->extra_scrape_metrics;
    out->native_histograms = raw->scrape_native_histograms;
    out->classic_histograms = raw->always_scrape_classic_histograms;
}

static int read_config(const struct toc_yaml *n, struct reader *r, struct toc_scrape_config *out) {
    struct raw_config raw = {0};
    if (toc_yaml_is_null(n))
        return toc_err_at(r->err, TOC_EINVAL, n->line, n->column,
                          "empty or null scrape config section");
    out->limits = r->global->limits;
    int rc = refuse_unsupported(n, r->err);
    if (rc == 0)
        rc = toc_http_settings_read(n, &r->part, &out->http);
    if (rc == 0)
        rc = toc_schema_read(n, config_keys, &raw, r->err);
    if (rc == 0)
        rc = check_raw(&raw, n, r->err);
    if (rc)
        return rc;
    take_plain(&raw, out);
    rc = read_times(&raw, n, r, out);
    if (rc == 0)
        rc = read_limits(n, &out->limits, r->err);
    if (rc == 0)
        rc = read_protocols(&raw, n, r, out);
    if (rc == 0)
        rc = read_params(raw.params, r, out);
    if (rc == 0)
        rc = toc_scrape_groups_read(raw.static_configs, r->arena, &out->groups, &out->group_count,
                                    r->err);
    if (rc == 0)
        rc = read_file_sds(raw.file_sd_configs, r, out);
    if (rc == 0)
        rc = toc_discovery_configs_read(n, &r->part, &out->discoveries, &out->discovery_count);
    if (rc == 0)
        rc = toc_relabel_read(raw.relabel_configs, r->arena, &out->relabel, r->err);
    if (rc == 0)
        rc = toc_relabel_read(raw.metric_relabel_configs, r->arena, &out->metric_relabel, r->err);
    out->series_digest = toc_config_digest(raw.metric_relabel_configs, out->honor_labels);
    return rc;
}

/* -----------------------------------------------------------------------------------------------
 * the set */

/* Sources that are configured alike are one. */
static int check_sources(const struct toc_scrape_set *s, struct toc_err *err) {
    struct toc_map seen = TOC_MAP_INIT;
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->configs[i].discovery_count; k++)
            toc_map_put(&seen, toc_map_u64(&s->configs[i].discoveries[k].digest), &seen);
    size_t count = seen.count;
    toc_map_fini(&seen);
    if (count <= TOC_DISCOVERY_SOURCES_MAX)
        return 0;
    return toc_errf(err, TOC_ELIMIT,
                    "%zu different sources of targets are configured, at most %d may be", count,
                    TOC_DISCOVERY_SOURCES_MAX);
}

static int check_unique(const struct toc_scrape_set *s, const struct toc_yaml *list,
                        struct toc_err *err) {
    for (size_t i = 0; i < s->count; i++)
        for (size_t j = 0; j < i; j++)
            if (toc_sv_eq(s->configs[i].job_name, s->configs[j].job_name))
                return toc_err_at(err, TOC_EDUPLICATE, list->items[i].line, list->items[i].column,
                                  "found multiple scrape configs with job name \"%.*s\"",
                                  TOC_SV_ARG(s->configs[i].job_name));
    return 0;
}

static int read_set(struct toc_scrape_set *s, const struct toc_yaml *list, struct reader *r) {
    if (toc_yaml_is_null(list))
        return 0;
    int rc = toc_config_expect(list, TOC_YAML_SEQUENCE, "a list of scrape configs", r->err);
    if (rc)
        return rc;
    struct toc_yaml *copy = TOC_ARENA_NEW(&s->arena, struct toc_yaml);
    s->configs = TOC_ARENA_NEW_ARRAY(&s->arena, struct toc_scrape_config, list->count + 1);
    if (!copy || !s->configs || copy_node(list, &s->arena, copy) < 0)
        return toc_config_no_memory(r->err);
    for (size_t i = 0; rc == 0 && i < copy->count; i++) {
        s->count = i + 1;
        rc = read_config(&copy->items[i], r, &s->configs[i]);
    }
    if (rc == 0)
        rc = check_unique(s, list, r->err);
    return rc ? rc : check_sources(s, r->err);
}

int toc_scrape_set_read(const struct toc_yaml *scrape_configs,
                        const struct toc_scrape_global *global, struct toc_scrape_set **out,
                        struct toc_err *err) {
    struct toc_scrape_global fallback = toc_scrape_global_default();
    struct toc_scrape_set *s = TOC_NEW(struct toc_scrape_set);
    atomic_init(&s->refs, 1);
    toc_arena_init(&s->arena, (size_t)64 << 20);
    struct reader r = {.arena = &s->arena, .global = global ? global : &fallback, .err = err};
    r.part = (struct toc_config_reader){&s->arena, r.global->base_dir, err};
    int rc = read_set(s, scrape_configs, &r);
    if (rc)
        toc_scrape_set_unref(&s);
    else
        *out = s;
    return rc;
}

struct toc_scrape_set *toc_scrape_set_ref(struct toc_scrape_set *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void toc_scrape_set_unref(struct toc_scrape_set **sp) {
    struct toc_scrape_set *s = *sp;
    *sp = NULL;
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < s->count; i++) {
        toc_relabel_fini(&s->configs[i].relabel);
        toc_relabel_fini(&s->configs[i].metric_relabel);
    }
    toc_arena_fini(&s->arena);
    toc_free(s);
}

size_t toc_scrape_set_count(const struct toc_scrape_set *s) {
    return s->count;
}

const struct toc_scrape_config *toc_scrape_set_get(const struct toc_scrape_set *s, size_t i) {
    return &s->configs[i];
}
