#include "forward/config.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "collect/config_part.h"
#include "net/http_client.h"

struct toc_forward_set {
    atomic_uint refs;
    struct toc_arena arena;
    struct toc_forward_config *configs;
    size_t count;
};

const char *toc_forward_message_name(enum toc_forward_message m) {
    return m == TOC_FORWARD_2 ? "io.prometheus.write.v2.Request" : "prometheus.WriteRequest";
}

/* --- tables --- */

struct raw {
    struct toc_sv url, name, protobuf_message;
    int64_t remote_timeout;
    bool send_exemplars, send_native_histograms;
    const struct toc_yaml *headers, *write_relabel_configs, *queue_config, *metadata_config, *http;
};

#define AT(member) offsetof(struct raw, member)
#define HTTP(key) {#key, TOC_SCHEMA_NODE, AT(http), false, NULL, 0, 0, NULL},
static const struct toc_schema_key g_keys[] = {
    {"url", TOC_SCHEMA_STRING, AT(url), true, NULL, 0, 0, "where samples go"},
    {"name", TOC_SCHEMA_STRING, AT(name), false, "", 0, 0, "what metrics and logs call it"},
    {"remote_timeout", TOC_SCHEMA_DURATION, AT(remote_timeout), false, "30s", 0, 0,
     "how long one request may take"},
    {"protobuf_message", TOC_SCHEMA_STRING, AT(protobuf_message), false, "prometheus.WriteRequest",
     0, 0, "version of the protocol"},
    {"headers", TOC_SCHEMA_NODE, AT(headers), false, NULL, 0, 0, "further headers"},
    {"write_relabel_configs", TOC_SCHEMA_NODE, AT(write_relabel_configs), false, NULL, 0, 0,
     "what is sent, and under which labels"},
    {"send_exemplars", TOC_SCHEMA_BOOL, AT(send_exemplars), false, "false", 0, 0, "exemplars too"},
    {"send_native_histograms", TOC_SCHEMA_BOOL, AT(send_native_histograms), false, "false", 0, 0,
     "native histograms too"},
    {"queue_config", TOC_SCHEMA_NODE, AT(queue_config), false, NULL, 0, 0, "how it is sent"},
    {"metadata_config", TOC_SCHEMA_NODE, AT(metadata_config), false, NULL, 0, 0,
     "types and help texts"},
    TOC_HTTP_SETTINGS_KEYS(HTTP) /* read by toc_http_settings_read */
    {0},
};
#undef HTTP
#undef AT

#define AT(member) offsetof(struct toc_forward_queue_config, member)
static const struct toc_schema_key g_queue[] = {
#define X(key, kind, fallback, min, max, what) \
    {#key, TOC_SCHEMA_##kind, AT(key), false, fallback, min, max, what},
    TOC_FORWARD_QUEUE_TABLE(X)
#undef X
        {"retry_on_http_429", TOC_SCHEMA_BOOL, AT(retry_on_http_429), false, "true", 0, 0,
         "send again what a receiver that is too busy did not take"},
    {0},
};
#undef AT

#define AT(member) offsetof(struct toc_forward_metadata_config, member)
static const struct toc_schema_key g_metadata[] = {
    {"send", TOC_SCHEMA_BOOL, AT(send), false, "true", 0, 0, "send types and help texts"},
    {"send_interval", TOC_SCHEMA_DURATION, AT(send_interval), false, "1m", 0, 0, "how often"},
    {"max_samples_per_send", TOC_SCHEMA_INT, AT(max_samples_per_send), false, "2000", 1, 1e6,
     "metrics of one request"},
    {0},
};
#undef AT

/* Keys of upstream that mean something this program does not do. */
static const struct {
    const char *key, *instead;
} g_unsupported[] = {
    {"oauth2", "use authorization with credentials_file"},
    {"sigv4", "send through a proxy that signs"},
    {"azuread", "use authorization with credentials_file"},
    {"google_iam", "use authorization with credentials_file"},
    {"no_proxy", "leave proxy_url out where none is wanted"},
    {"proxy_connect_header", "name a proxy that needs no header"},
    {"round_robin_dns", "the name is resolved for each new connection"},
};

static int refuse_unsupported(const struct toc_yaml *n, struct toc_err *err) {
    for (size_t i = 0; n->type == TOC_YAML_MAPPING && i < n->count; i++)
        for (size_t k = 0; k < TOC_ARRAY_LEN(g_unsupported); k++)
            if (toc_sv_eq_cstr(n->items[i].key, g_unsupported[k].key))
                return toc_err_at(err, TOC_EUNSUPPORTED, n->items[i].key_line,
                                  n->items[i].key_column,
                                  "remote_write: %s is not supported by this build; %s",
                                  g_unsupported[k].key, g_unsupported[k].instead);
    return 0;
}

/* --- headers --- */

static bool is_header_text(struct toc_sv s, bool is_name) {
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ||
            (is_name && (s.p[i] == ':' || s.p[i] == ' ')))
            return false;
    return s.n > 0 || !is_name;
}

/* Those that the protocol itself sets, as upstream refuses them. */
static bool is_reserved_header(struct toc_sv name) {
    static const char *const names[] = {"Authorization",
                                        "Host",
                                        "Content-Encoding",
                                        "Content-Length",
                                        "Content-Type",
                                        "User-Agent",
                                        "Connection",
                                        "Keep-Alive",
                                        "Proxy-Authenticate",
                                        "Proxy-Authorization",
                                        "Www-Authenticate",
                                        "Transfer-Encoding",
                                        "X-Prometheus-Remote-Write-Version"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++)
        if (toc_sv_eq_nocase(name, toc_sv_cstr(names[i])))
            return true;
    return false;
}

static int check_header(const struct toc_yaml *item, struct toc_sv value, struct toc_err *err) {
    if (is_reserved_header(item->key) || !is_header_text(item->key, true))
        return toc_err_at(err, TOC_EINVAL, item->key_line, item->key_column,
                          "remote_write: the header \"%.*s\" is set by the program itself or is no "
                          "header name",
                          TOC_SV_ARG(item->key));
    if (!is_header_text(value, false))
        return toc_err_at(err, TOC_EINVAL, item->line, item->column,
                          "remote_write: the value of header %.*s has control characters",
                          TOC_SV_ARG(item->key));
    return 0;
}

/* `headers` is upstream's older, flat form of http_headers. */
static int read_headers(const struct toc_yaml *n, const struct toc_config_reader *r,
                        struct toc_http_settings *io) {
    if (toc_yaml_is_null(n))
        return 0;
    int rc = toc_config_expect(n, TOC_YAML_MAPPING, "headers as name: value", r->err);
    if (rc == 0 && io->header_count + n->count > TOC_HTTP_SETTINGS_HEADERS_MAX)
        rc =
            toc_err_at(r->err, TOC_ELIMIT, n->line, n->column,
                       "remote_write: more than %d further headers", TOC_HTTP_SETTINGS_HEADERS_MAX);
    if (rc)
        return rc;
    struct toc_http_header *all =
        TOC_ARENA_NEW_ARRAY(r->arena, struct toc_http_header, io->header_count + n->count + 1);
    if (!all)
        return toc_config_no_memory(r->err);
    if (io->header_count)
        memcpy(all, io->headers, io->header_count * sizeof *all);
    io->headers = all;
    for (size_t i = 0; rc == 0 && i < n->count; i++) {
        struct toc_http_header h = {.name = n->items[i].key, .is_secret = true};
        rc = toc_yaml_string(&n->items[i], &h.value, r->err);
        if (rc == 0)
            rc = check_header(&n->items[i], h.value, r->err);
        all[io->header_count++] = h;
    }
    return rc;
}

/* --- one remote --- */

static int read_section(const struct toc_yaml *n, const struct toc_schema_key *keys, void *out,
                        struct toc_err *err) {
    static const struct toc_yaml empty = {.type = TOC_YAML_MAPPING};
    return toc_schema_read(toc_yaml_is_null(n) ? &empty : n, keys, out, err);
}

static int check(const struct toc_forward_config *c, const struct raw *raw,
                 const struct toc_yaml *n, struct toc_err *err) {
    const struct toc_forward_queue_config *q = &c->queue;
    const char *fault = NULL;
    if (!toc_sv_starts_with(c->url, TOC_SV("http://")) &&
        !toc_sv_starts_with(c->url, TOC_SV("https://")))
        fault = "url must begin with http:// or https://";
    else if (c->message == TOC_FORWARD_1 &&
             !toc_sv_eq_cstr(raw->protobuf_message, toc_forward_message_name(TOC_FORWARD_1)))
        fault = "protobuf_message must be prometheus.WriteRequest or "
                "io.prometheus.write.v2.Request";
    else if (q->min_shards > q->max_shards)
        fault = "queue_config.min_shards is larger than max_shards";
    else if (q->min_backoff < 1 || q->min_backoff > q->max_backoff)
        fault = "queue_config.min_backoff must be 1ms or more and not above max_backoff";
    else if (c->remote_timeout_ms < 1)
        fault = "remote_timeout must be 1ms or more";
    else if (c->metadata.send && c->metadata.send_interval < 1000)
        fault = "metadata_config.send_interval must be 1s or more";
    else if (c->message == TOC_FORWARD_2 && c->send_exemplars)
        fault = "send_exemplars goes with protobuf_message prometheus.WriteRequest only: version 2 "
                "has no message for an exemplar without a sample";
    return fault ? toc_err_at(err, TOC_EINVAL, n->line, n->column, "remote_write: %s", fault) : 0;
}

static void set_name(const struct raw *raw, struct toc_arena *a, struct toc_forward_config *out) {
    char text[256];
    toc_url_for_people(raw->url.p, text, sizeof text);
    out->key = raw->name.n ? raw->name : raw->url;
    out->name = raw->name.n ? raw->name : toc_arena_dup_sv(a, toc_sv_cstr(text));
}

static int read_remote(const struct toc_yaml *n, const struct toc_config_reader *r,
                       struct toc_forward_config *out) {
    struct raw raw = {0};
    if (toc_yaml_is_null(n))
        return toc_err_at(r->err, TOC_EINVAL, n->line, n->column,
                          "empty or null remote write config section");
    int rc = refuse_unsupported(n, r->err);
    if (rc == 0)
        rc = toc_schema_read(n, g_keys, &raw, r->err);
    if (rc == 0)
        rc = read_section(raw.queue_config, g_queue, &out->queue, r->err);
    if (rc == 0)
        rc = read_section(raw.metadata_config, g_metadata, &out->metadata, r->err);
    if (rc)
        return rc;
    bool is_2 = toc_sv_eq_cstr(raw.protobuf_message, toc_forward_message_name(TOC_FORWARD_2));
    out->url = raw.url;
    out->remote_timeout_ms = raw.remote_timeout;
    out->message = is_2 ? TOC_FORWARD_2 : TOC_FORWARD_1;
    out->send_exemplars = raw.send_exemplars;
    out->send_native_histograms = raw.send_native_histograms;
    rc = check(out, &raw, n, r->err);
    if (rc == 0)
        rc = toc_http_settings_read(n, r, &out->http);
    if (rc == 0)
        rc = read_headers(raw.headers, r, &out->http);
    if (rc == 0)
        rc = toc_relabel_read(raw.write_relabel_configs, r->arena, &out->relabel, r->err);
    if (rc == 0)
        set_name(&raw, r->arena, out);
    return rc;
}

/* --- the set --- */

static int check_unique(const struct toc_forward_set *s, const struct toc_yaml *list,
                        struct toc_err *err) {
    for (size_t i = 0; i < s->count; i++)
        for (size_t j = 0; j < i; j++) {
            if (toc_sv_eq(s->configs[i].key, s->configs[j].key))
                return toc_err_at(err, TOC_EDUPLICATE, list->items[i].line, list->items[i].column,
                                  "found multiple remote write configs with %s \"%.*s\": give each "
                                  "a name of its own",
                                  s->configs[i].key.p == s->configs[i].url.p ? "url" : "name",
                                  TOC_SV_ARG(s->configs[i].name));
        }
    return 0;
}

static int copy_labels(struct toc_arena *a, struct toc_labels labels, struct toc_labels *out,
                       struct toc_err *err) {
    *out = toc_labels_dup_arena(labels, a);
    return a->overflowed ? toc_config_no_memory(err) : 0;
}

/* A document of its own, so that every string lives as long as the set. */
static int copy_yaml(const struct toc_yaml *n, struct toc_arena *a, struct toc_yaml *out) {
    *out = *n;
    out->key = toc_arena_dup_sv(a, n->key);
    out->scalar = toc_arena_dup_sv(a, n->scalar);
    out->items = TOC_ARENA_NEW_ARRAY(a, struct toc_yaml, n->count + 1);
    for (size_t i = 0; out->items && i < n->count; i++)
        if (copy_yaml(&n->items[i], a, &out->items[i]) < 0)
            return TOC_ENOMEM;
    return a->overflowed ? TOC_ENOMEM : 0;
}

static int read_set(struct toc_forward_set *s, const struct toc_yaml *list,
                    struct toc_labels external, const struct toc_config_reader *r) {
    struct toc_labels labels;
    if (toc_yaml_is_null(list))
        return 0;
    int rc = toc_config_expect(list, TOC_YAML_SEQUENCE, "a list of remote write configs", r->err);
    if (rc == 0 && list->count > TOC_FORWARD_REMOTES_MAX)
        rc = toc_err_at(r->err, TOC_ELIMIT, list->line, list->column,
                        "remote_write: more than %d receivers", TOC_FORWARD_REMOTES_MAX);
    if (rc == 0)
        rc = copy_labels(&s->arena, external, &labels, r->err);
    if (rc)
        return rc;
    struct toc_yaml copy;
    s->configs = TOC_ARENA_NEW_ARRAY(&s->arena, struct toc_forward_config, list->count + 1);
    if (!s->configs || copy_yaml(list, &s->arena, &copy) < 0)
        return toc_config_no_memory(r->err);
    for (size_t i = 0; rc == 0 && i < copy.count; i++) {
        s->count = i + 1;
        rc = read_remote(&copy.items[i], r, &s->configs[i]);
        s->configs[i].external_labels = labels;
        s->configs[i].digest = toc_config_digest(&copy.items[i], toc_labels_hash(labels));
    }
    return rc ? rc : check_unique(s, list, r->err);
}

int toc_forward_set_read(const struct toc_yaml *remote_write, struct toc_labels external_labels,
                         const char *base_dir, struct toc_forward_set **out, struct toc_err *err) {
    struct toc_forward_set *s = TOC_NEW(struct toc_forward_set);
    atomic_init(&s->refs, 1);
    toc_arena_init(&s->arena, (size_t)16 << 20);
    struct toc_config_reader r = {.arena = &s->arena, .base_dir = base_dir, .err = err};
    int rc = read_set(s, remote_write, external_labels, &r);
    if (rc)
        toc_forward_set_unref(&s);
    *out = s;
    return rc;
}

struct toc_forward_set *toc_forward_set_ref(struct toc_forward_set *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void toc_forward_set_unref(struct toc_forward_set **sp) {
    struct toc_forward_set *s = *sp;
    *sp = NULL;
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < s->count; i++)
        toc_relabel_fini(&s->configs[i].relabel);
    toc_arena_fini(&s->arena);
    toc_free(s);
}

size_t toc_forward_set_count(const struct toc_forward_set *s) {
    return s ? s->count : 0;
}

const struct toc_forward_config *toc_forward_set_get(const struct toc_forward_set *s, size_t i) {
    return &s->configs[i];
}
