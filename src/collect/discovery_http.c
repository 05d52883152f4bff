/* http_sd_configs: a server lists targets as JSON. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/json.h"
#include "collect/discovery_priv.h"

enum {
    DEFAULT_INTERVAL_MS = 60000,
    LONGEST_REQUEST_MS = 60000,
    BODY_BYTES_MAX = 64 << 20,
    ARENA_BYTES = 512 << 20,
};

struct http_source {
    struct toc_sv url;
    int64_t interval_ms;
    struct toc_http_settings http;
};

/* ------------------------------------------------------------------------------------------------
 * configuration */

/* As upstream: an absolute URL of http or https with a host. */
static int check_url(const struct toc_yaml *n, struct toc_sv url, struct toc_err *err) {
    size_t at = toc_sv_find(url, TOC_SV("://"));
    struct toc_sv scheme = toc_sv_sub(url, 0, at == SIZE_MAX ? 0 : at);
    if (!url.n)
        return toc_err_at(err, TOC_EINVAL, n->line, n->column, "URL is missing");
    if (!toc_sv_eq_nocase(scheme, TOC_SV("http")) && !toc_sv_eq_nocase(scheme, TOC_SV("https")))
        return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                          "URL scheme must be 'http' or 'https'");
    struct toc_sv host = toc_sv_sub(url, at + 3, url.n);
    if (!host.n || strchr("/?#:", host.p[0]))
        return toc_err_at(err, TOC_EINVAL, n->line, n->column, "host is missing in URL");
    return 0;
}

/* The URL without user, password and query, which may be secrets. */
static struct toc_sv url_for_people(struct toc_sv url, struct toc_arena *a) {
    char text[512];
    toc_url_for_people(url.p, text, sizeof text);
    return toc_arena_dup_sv(a, toc_sv_cstr(text));
}

static int read_http(const struct toc_yaml *n, const struct toc_config_reader *r,
                     struct toc_discovery_config *out) {
#define X(key) #key,
    static const char *const keys[] = {"url", "refresh_interval", TOC_HTTP_SETTINGS_KEYS(X) NULL};
#undef X
    struct http_source *h = TOC_ARENA_NEW(r->arena, struct http_source);
    if (!h)
        return toc_config_no_memory(r->err);
    const struct toc_yaml *url = toc_yaml_get(n, "url");
    int rc = toc_http_settings_read(n, r, &h->http);
    if (rc == 0)
        rc = toc_yaml_check_keys(n, keys, r->err);
    if (rc == 0 && !toc_yaml_is_null(url))
        rc = toc_yaml_string(url, &h->url, r->err);
    if (rc == 0)
        rc = check_url(url ? url : n, h->url, r->err);
    if (rc == 0)
        rc = toc_discovery_read_interval(n, DEFAULT_INTERVAL_MS, &h->interval_ms, r->err);
    out->settings = h;
    if (rc == 0)
        out->where = url_for_people(h->url, r->arena);
    return rc;
}

static void format_http(const void *settings, struct toc_buf *out) {
    const struct http_source *h = settings;
    toc_discovery_format_duration("refresh_interval", h->interval_ms, out);
    toc_buf_printf(out, "  url: ");
    toc_discovery_append_url(h->url, out);
    toc_buf_append_char(out, '\n');
    toc_http_settings_format(&h->http, 2, out);
}

static const struct toc_http_settings *http_of(const void *settings) {
    return &((const struct http_source *)settings)->http;
}

/* ------------------------------------------------------------------------------------------------
 * the answer */

struct parsing {
    struct toc_arena *arena;
    struct toc_sv url;
    size_t at; /* group */
    struct toc_err *err;
};

static int no_memory(struct toc_err *err) {
    return toc_errf(err, TOC_ELIMIT, "the list of targets needs more than %d MiB",
                    ARENA_BYTES >> 20);
}

static int parse_targets(struct parsing *p, const struct toc_json *list,
                         struct toc_target_group *out) {
    if (list->type == TOC_JSON_NULL)
        return 0;
    if (list->type != TOC_JSON_ARRAY)
        return toc_errf(p->err, TOC_ETYPE, "group %zu: targets: a list of texts was expected",
                        p->at);
    struct toc_sv *targets = TOC_ARENA_NEW_ARRAY(p->arena, struct toc_sv, list->count + 1);
    if (!targets)
        return no_memory(p->err);
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].type != TOC_JSON_STRING)
            return toc_errf(p->err, TOC_ETYPE, "group %zu: target %zu is no text", p->at, i);
        targets[i] = list->items[i].string;
    }
    out->targets = targets;
    out->target_count = list->count;
    return 0;
}

static int parse_labels(struct parsing *p, const struct toc_json *object, struct toc_label *labels,
                        size_t *out_count) {
    *out_count = 0;
    if (object->type == TOC_JSON_NULL)
        return 0;
    if (object->type != TOC_JSON_OBJECT)
        return toc_errf(p->err, TOC_ETYPE, "group %zu: labels: name: text was expected", p->at);
    for (size_t i = 0; i < object->count; i++) {
        const struct toc_json *item = &object->items[i];
        if (item->type != TOC_JSON_STRING)
            return toc_errf(p->err, TOC_ETYPE, "group %zu: label %.*s is no text", p->at,
                            TOC_SV_ARG(toc_sv_sub(item->key, 0, 100)));
        if (!item->key.n || !toc_sv_is_utf8(item->key))
            return toc_errf(p->err, TOC_EINVAL, "group %zu: \"%.*s\" is not a valid label name",
                            p->at, TOC_SV_ARG(toc_sv_sub(item->key, 0, 100)));
        labels[i] = (struct toc_label){item->key, item->string};
    }
    *out_count = object->count;
    return 0;
}

static int parse_group(struct parsing *p, const struct toc_json *g, struct toc_target_group *out) {
    if (g->type != TOC_JSON_OBJECT)
        return toc_errf(p->err, TOC_ETYPE, "group %zu: an object with targets was expected", p->at);
    const struct toc_json *labels = toc_json_get(g, "labels");
    size_t most = labels && labels->type == TOC_JSON_OBJECT ? labels->count : 0, count = 0;
    struct toc_label *all = TOC_ARENA_NEW_ARRAY(p->arena, struct toc_label, most + 1);
    char source[32];
    snprintf(source, sizeof source, ":%zu", p->at);
    if (!all)
        return no_memory(p->err);
    for (size_t i = 0; i < g->count; i++) {
        const struct toc_json *item = &g->items[i];
        int rc = 0;
        if (toc_sv_eq(item->key, TOC_SV("targets")))
            rc = parse_targets(p, item, out);
        else if (toc_sv_eq(item->key, TOC_SV("labels")))
            rc = parse_labels(p, item, all, &count);
        else
            rc = toc_errf(p->err, TOC_EUNKNOWN_KEY, "group %zu: unknown field \"%.*s\"", p->at,
                          TOC_SV_ARG(toc_sv_sub(item->key, 0, 100)));
        if (rc)
            return rc;
    }
    all[count++] =
        (struct toc_label){TOC_SV("__meta_url"), p->url}; /* behind the others: it wins */
    out->labels = all;
    out->label_count = count;
    out->source = toc_arena_dup_sv(p->arena, toc_sv_cstr(source));
    return p->arena->overflowed ? no_memory(p->err) : 0;
}

int toc_discovery_http_parse(struct toc_sv body, struct toc_sv url, struct toc_arena *a,
                             const struct toc_target_group **out, size_t *out_count,
                             struct toc_err *err) {
    const struct toc_json *root;
    int rc = toc_json_parse(body, a, &root, err);
    if (rc)
        return rc;
    if (root->type != TOC_JSON_ARRAY && root->type != TOC_JSON_NULL)
        return toc_errf(err, TOC_ETYPE, "a list of groups of targets was expected");
    struct toc_target_group *groups =
        TOC_ARENA_NEW_ARRAY(a, struct toc_target_group, root->count + 1);
    if (!groups)
        return no_memory(err);
    size_t targets = 0;
    for (size_t i = 0; rc == 0 && i < root->count; i++) {
        struct parsing p = {a, url, i, err};
        rc = parse_group(&p, &root->items[i], &groups[i]);
        targets += groups[i].target_count;
        if (rc == 0 && targets > TOC_DISCOVERY_TARGETS_MAX)
            rc = toc_errf(err, TOC_ELIMIT, "more than %d targets", TOC_DISCOVERY_TARGETS_MAX);
    }
    *out = groups;
    *out_count = root->count;
    return rc;
}

/* ------------------------------------------------------------------------------------------------
 * at work */

struct http_work {
    const struct http_source *source;
    struct toc_http_client *client;
    struct toc_http_dress dress;
    char interval_header[80];
};

/* "application/json", perhaps with charset=utf-8, as upstream wants it. */
static bool is_json(const char *content_type) {
    struct toc_sv rest = toc_sv_cstr(content_type), part;
    if (!toc_sv_split(&rest, ';', &part) ||
        !toc_sv_eq_nocase(toc_sv_trim(part), TOC_SV("application/json")))
        return false;
    rest = toc_sv_trim(rest.p ? rest : TOC_SV_NULL);
    return !rest.n || toc_sv_eq_nocase(rest, TOC_SV("charset=utf-8")) ||
           toc_sv_eq_nocase(rest, TOC_SV("charset=\"utf-8\""));
}

static int take_answer(struct toc_discovery_source *s, const struct http_source *h,
                       struct toc_http_result *r, struct toc_err *err) {
    const struct toc_target_group *groups = NULL;
    struct toc_arena a;
    size_t count = 0;
    if (r->status != 200)
        return toc_errf(err, TOC_EPROTOCOL, "server returned HTTP status %d", r->status);
    if (!is_json(r->content_type))
        return toc_errf(err, TOC_EPROTOCOL,
                        "unsupported content type \"%s\": application/json was expected",
                        r->content_type);
    toc_arena_init(&a, ARENA_BYTES);
    int rc = toc_discovery_http_parse(toc_buf_sv(&r->body), h->url, &a, &groups, &count, err);
    if (rc == 0)
        toc_discovery_replace(s, groups, count);
    else if (err->line)
        toc_err_prefix(err, "line %d, column %d: ", err->line, err->column);
    toc_arena_fini(&a);
    return rc;
}

static int refresh(struct toc_discovery_source *s, void *ctx, struct toc_err *err) {
    struct http_work *w = ctx;
    const struct http_source *h = w->source;
    const char *const own[] = {"Accept: application/json", w->interval_header, NULL};
    struct toc_http_call call = {.url = h->url.p,
                                 .timeout_ms = TOC_MIN(h->interval_ms, LONGEST_REQUEST_MS),
                                 .max_response_bytes = BODY_BYTES_MAX,
                                 .is_cancelled = toc_discovery_is_stopping,
                                 .cancel_ctx = s};
    struct toc_http_result result = {0};
    call.connect_timeout_ms = call.timeout_ms;
    int rc = toc_http_dress_call(&w->dress, &h->http, toc_discovery_vfs(s), own, &call, err);
    if (rc == 0)
        rc = toc_http_perform(w->client, &call, &result, err);
    if (rc == 0) {
        char url[512];
        toc_url_for_people(h->url.p, url, sizeof url);
        rc = take_answer(s, h, &result, err);
        if (rc)
            toc_err_prefix(err, "%s: ", url);
    }
    toc_http_result_fini(&result);
    return rc;
}

static void run(struct toc_discovery_source *s, const void *settings) {
    struct http_work w = {.source = settings, .client = toc_http_client_new()};
    snprintf(w.interval_header, sizeof w.interval_header,
             "X-Prometheus-Refresh-Interval-Seconds: %g", (double)w.source->interval_ms / 1000);
    toc_discovery_repeat(s, w.source->interval_ms, refresh, &w);
    toc_http_client_free(&w.client);
    toc_http_dress_fini(&w.dress);
}

const struct toc_discovery_kind toc_discovery_http = {
    .mechanism = TOC_DISCOVERY_HTTP,
    .key = "http_sd_configs",
    .read = read_http,
    .format = format_http,
    .http = http_of,
    .run = run,
};
