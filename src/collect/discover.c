#include "collect/discover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/vec.h"
#include "collect/discover_priv.h"
#include "net/http_client.h"
#include "sys/log.h"
#include "sys/thread.h"

enum {
    DEFAULT_INTERVAL_MS = 10000,
    DEFAULT_BACKOFF_MS = 60000,
    PROBE_TIMEOUT_MS = 2000,
    PROBE_BYTES_MAX = 16 << 20,
    LISTENERS_BYTES_MAX = 64 << 20,
    PORTS_MAX = 65536,
};
/* A target that is gone says `up` 0 for this long; then it is taken for removed on purpose. */
static const int64_t FORGET_AFTER_MS = (int64_t)6 * 3600 * 1000;

struct endpoint {
    uint16_t port;
    bool is_v4, is_listening;
    int row; /* of the table, -1 when not recognised */
    const char *path;
    enum toc_discover_state state;
    struct toc_ts since;
    int64_t next_probe_ms; /* monotonic */
    char url[96], reason[200];
};

struct toc_discover {
    struct toc_scraper *scraper;
    struct toc_clock *clock;
    struct toc_vfs *vfs;
    char *proc_root;
    uint16_t own_port;
    int64_t interval_ms, backoff_ms;
    struct toc_http_client *client;
    bool is_candidate[PORTS_MAX];
    struct toc_thread thread;
    struct toc_event stop;

    struct toc_mutex mutex; /* endpoints, for those who list them */
    struct {
        TOC_VEC_FIELDS(struct endpoint)
    } endpoints;
};

const char *toc_discover_state_text(enum toc_discover_state s) {
    switch (s) {
#define X(name, text) \
    case name:        \
        return text;
        TOC_DISCOVER_STATE_TABLE(X)
#undef X
    }
    return "?";
}

struct toc_discover *toc_discover_new(const struct toc_discover_options *o) {
    struct toc_discover *d = TOC_NEW(struct toc_discover);
    d->scraper = o->scraper;
    d->clock = o->clock ? o->clock : toc_clock_system();
    d->vfs = o->vfs ? o->vfs : toc_vfs_system();
    d->proc_root = toc_xstrdup(o->proc_root ? o->proc_root : "");
    d->own_port = o->own_port;
    d->interval_ms = o->interval_ms ? o->interval_ms : DEFAULT_INTERVAL_MS;
    d->backoff_ms = o->backoff_ms ? o->backoff_ms : DEFAULT_BACKOFF_MS;
    d->client = toc_http_client_new();
    for (size_t i = 0; i < toc_discover_row_count; i++)
        for (size_t p = 0; p < TOC_ARRAY_LEN(toc_discover_rows[i].ports); p++)
            d->is_candidate[toc_discover_rows[i].ports[p]] = true;
    for (size_t i = 0; i < o->extra_port_count; i++)
        d->is_candidate[o->extra_ports[i]] = true;
    d->is_candidate[0] = d->is_candidate[o->own_port] = false;
    toc_mutex_init(&d->mutex, TOC_LOCK_COLLECT);
    toc_event_init(&d->stop);
    return d;
}

/* ----------------------------------------------------------------------------------------------
 * listeners */

static struct endpoint *find(struct toc_discover *d, uint16_t port) {
    for (size_t i = 0; i < d->endpoints.count; i++)
        if (d->endpoints.items[i].port == port)
            return &d->endpoints.items[i];
    return NULL;
}

static void on_listener(void *ctx, struct discover_port p) {
    struct toc_discover *d = ctx;
    if (!d->is_candidate[p.port])
        return;
    toc_mutex_lock(&d->mutex);
    if (!find(d, p.port))
        TOC_VEC_PUSH(
            &d->endpoints,
            ((struct endpoint){
                .port = p.port, .row = -1, .path = "/metrics", .state = TOC_DISCOVER_IGNORED}));
    struct endpoint *e = find(d, p.port);
    e->is_v4 = p.is_v4 || (e->is_listening && e->is_v4);
    e->is_listening = true;
    toc_mutex_unlock(&d->mutex);
}

static void read_listeners(struct toc_discover *d) {
    static const char *const files[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    toc_mutex_lock(&d->mutex);
    for (size_t i = 0; i < d->endpoints.count; i++)
        d->endpoints.items[i].is_listening = false;
    toc_mutex_unlock(&d->mutex);
    for (size_t i = 0; i < TOC_ARRAY_LEN(files); i++) {
        char path[600];
        struct toc_buf text = TOC_BUF_INIT;
        snprintf(path, sizeof path, "%s%s", d->proc_root, files[i]);
        if (toc_vfs_read_file(d->vfs, path, LISTENERS_BYTES_MAX, &text) == 0)
            toc_discover_parse_listeners(toc_buf_sv(&text), i == 1, on_listener, d);
        toc_buf_fini(&text);
    }
}

/* --------------------------------------------------------------------------------------------------
 * probing */

static bool is_stopping(void *ctx) {
    return toc_event_is_set(&((struct toc_discover *)ctx)->stop);
}

static void format_url(const struct endpoint *e, const char *path, char *out, size_t size) {
    snprintf(out, size, "http://%s:%u%s", e->is_v4 ? "127.0.0.1" : "[::1]", e->port, path);
}

/* Asks one path. The row that matches, or -1 and a reason. */
static int ask(struct toc_discover *d, const char *url, char *reason, size_t reason_size) {
    static const char *const headers[] = {
        "Accept: "
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
        NULL};
    const struct toc_http_call call = {.url = url,
                                       .headers = headers,
                                       .timeout_ms = PROBE_TIMEOUT_MS,
                                       .connect_timeout_ms = PROBE_TIMEOUT_MS,
                                       .max_response_bytes = PROBE_BYTES_MAX,
                                       .is_cancelled = is_stopping,
                                       .cancel_ctx = d};
    struct toc_http_result r;
    struct toc_err err = {0};
    int row = -1, rc = toc_http_perform(d->client, &call, &r, &err);
    if (rc < 0) {
        toc_sv_copy(toc_sv_cstr(err.message), reason, reason_size);
    } else if (r.status != 200) {
        snprintf(reason, reason_size, "%s answered status %d", url, r.status);
    } else {
        bool is_openmetrics = strncmp(r.content_type, "application/openmetrics-text", 28) == 0,
             is_metrics;
        row = toc_discover_recognise(is_openmetrics ? TOC_EXPOSITION_OPENMETRICS
                                                    : TOC_EXPOSITION_TEXT,
                                     toc_buf_sv(&r.body), &is_metrics);
        if (row < 0)
            snprintf(reason, reason_size,
                     is_metrics ? "%s has metrics of no known kind" : "%s has no metrics", url);
    }
    toc_http_result_fini(&r);
    return row;
}

/* The paths of the table in its order, each once; rows at their own port only, except for the usual
 * path. */
static int probe(struct toc_discover *d, struct endpoint *e, const char **out_path, char *reason,
                 size_t reason_size) {
    char url[96];
    *out_path = "/metrics";
    format_url(e, *out_path, url, sizeof url);
    int row = ask(d, url, reason, reason_size);
    for (size_t i = 0; row < 0 && i < toc_discover_row_count && !is_stopping(d); i++) {
        const struct discover_row *r = &toc_discover_rows[i];
        bool is_its_port = r->ports[0] == e->port || r->ports[1] == e->port;
        if (!is_its_port || strcmp(r->path, "/metrics") == 0)
            continue;
        *out_path = r->path;
        format_url(e, r->path, url, sizeof url);
        row = ask(d, url, reason, reason_size);
    }
    return row;
}

static void set_state(struct toc_discover *d, struct endpoint *e, enum toc_discover_state state) {
    if (e->state != state || e->since.ms == 0)
        e->since = toc_clock_now(d->clock);
    e->state = state;
}

/* True when the list of targets changes by it. */
static bool examine(struct toc_discover *d, struct endpoint *e, int64_t now_ms) {
    char reason[200] = "";
    const char *path;
    if (now_ms < e->next_probe_ms)
        return false;
    int row = probe(d, e, &path, reason, sizeof reason);
    if (is_stopping(d))
        return false;
    bool is_back = row >= 0 && e->state == TOC_DISCOVER_GONE;
    bool is_new = row >= 0 && (row != e->row || strcmp(path, e->path) != 0);
    toc_mutex_lock(&d->mutex);
    e->next_probe_ms = row < 0 ? now_ms + d->backoff_ms : 0;
    if (row >= 0) {
        e->row = row;
        e->path = path;
        set_state(d, e, TOC_DISCOVER_FOUND);
    } else if (e->state != TOC_DISCOVER_GONE) {
        set_state(d, e, TOC_DISCOVER_IGNORED);
    }
    format_url(e, e->path, e->url, sizeof e->url);
    toc_sv_copy(toc_sv_cstr(reason), e->reason, sizeof e->reason);
    toc_mutex_unlock(&d->mutex);
    if (is_new || is_back)
        toc_log(TOC_LOG_INFO, "discover", "found %s at %s%s", toc_discover_rows[row].name, e->url,
                is_new ? "" : " again");
    return is_new;
}

/* One endpoint in one round; true when the list of targets changes. */
static bool visit(struct toc_discover *d, struct endpoint *e, int64_t now_ms) {
    bool was_target = e->row >= 0 && e->state != TOC_DISCOVER_CONFIGURED;
    bool is_configured = toc_scraper_has_local_port(d->scraper, e->port);
    if (is_configured || e->state == TOC_DISCOVER_CONFIGURED) {
        toc_mutex_lock(&d->mutex);
        set_state(d, e, is_configured ? TOC_DISCOVER_CONFIGURED : TOC_DISCOVER_IGNORED);
        e->row = -1;
        format_url(e, e->path, e->url, sizeof e->url);
        toc_mutex_unlock(&d->mutex);
        return was_target;
    }
    if (!e->is_listening && e->state == TOC_DISCOVER_FOUND) {
        toc_mutex_lock(&d->mutex);
        set_state(d, e, TOC_DISCOVER_GONE);
        e->next_probe_ms = 0;
        toc_mutex_unlock(&d->mutex);
        toc_log(TOC_LOG_WARN, "discover", "%s at %s does not listen any more",
                toc_discover_rows[e->row].name, e->url);
        return false;
    }
    return e->is_listening && e->state != TOC_DISCOVER_FOUND && examine(d, e, now_ms);
}

/* Nobody listens there and nobody expects it to. */
static bool is_forgettable(struct toc_discover *d, const struct endpoint *e) {
    if (e->is_listening || e->state == TOC_DISCOVER_CONFIGURED)
        return false;
    return e->row < 0 || toc_clock_now(d->clock).ms - e->since.ms > FORGET_AFTER_MS;
}

/* True when a target was among them. */
static bool forget(struct toc_discover *d) {
    bool was_target = false;
    size_t kept = 0;
    toc_mutex_lock(&d->mutex);
    for (size_t i = 0; i < d->endpoints.count; i++) {
        if (is_forgettable(d, &d->endpoints.items[i]))
            was_target = was_target || d->endpoints.items[i].row >= 0;
        else
            d->endpoints.items[kept++] = d->endpoints.items[i];
    }
    d->endpoints.count = kept;
    toc_mutex_unlock(&d->mutex);
    return was_target;
}

/* --------------------------------------------------------------------------------------------- the
 * targets */

/* One config per kind. */
static void append_config(struct toc_discover *d, int row, struct toc_buf *out) {
    bool is_first = true;
    for (size_t i = 0; i < d->endpoints.count; i++) {
        const struct endpoint *e = &d->endpoints.items[i];
        bool is_target = e->state == TOC_DISCOVER_FOUND || e->state == TOC_DISCOVER_GONE;
        if (!is_target || e->row != row)
            continue;
        if (is_first)
            toc_buf_printf(
                out,
                "- job_name: '%s'\n  scrape_interval: 5s\n  scrape_timeout: 4s\n"
                "  follow_redirects: false\n  fallback_scrape_protocol: PrometheusText0.0.4\n"
                "  static_configs:\n",
                toc_discover_rows[row].kind);
        is_first = false;
        toc_buf_printf(out, "  - {targets: ['%s:%u'], labels: {__metrics_path__: '%s'}}\n",
                       e->is_v4 ? "127.0.0.1" : "[::1]", e->port, e->path);
    }
}

static void publish(struct toc_discover *d) {
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_err err = {0};
    const struct toc_yaml *doc;
    struct toc_scrape_set *set = NULL;
    for (size_t i = 0; i < toc_discover_row_count; i++)
        append_config(d, (int)i, &text);
    if (text.n == 0)
        toc_buf_append_cstr(&text, "[]");
    int rc = toc_yaml_parse(toc_buf_sv(&text), &arena, &doc, &err);
    if (rc == 0)
        rc = toc_scrape_set_read(doc, NULL, &set, &err);
    if (rc == 0)
        toc_scraper_load_found(d->scraper, set);
    else
        toc_log(TOC_LOG_ERROR, "discover", "found endpoints cannot be scraped: %s", err.message);
    toc_buf_fini(&text);
    toc_arena_fini(&arena);
}

void toc_discover_scan(struct toc_discover *d) {
    read_listeners(d);
    bool has_changed = false;
    int64_t now_ms = toc_clock_mono(d->clock).ns / 1000000;
    for (size_t i = 0; i < d->endpoints.count && !is_stopping(d); i++)
        has_changed |= visit(d, &d->endpoints.items[i], now_ms);
    has_changed |= forget(d);
    if (has_changed && !is_stopping(d))
        publish(d);
}

static void work(void *ctx) {
    struct toc_discover *d = ctx;
    do
        toc_discover_scan(d);
    while (!toc_event_wait_ms(&d->stop, d->interval_ms));
}

int toc_discover_start(struct toc_discover *d, struct toc_err *err) {
    int rc = toc_thread_start(&d->thread, "discover", work, d);
    return rc < 0 ? toc_errf(err, rc, "cannot start the discovery thread: %s", toc_strerror(rc))
                  : 0;
}

void toc_discover_free(struct toc_discover **dp) {
    struct toc_discover *d = *dp;
    if (!d)
        return;
    toc_event_set(&d->stop);
    toc_thread_join(&d->thread);
    toc_http_client_free(&d->client);
    toc_event_fini(&d->stop);
    toc_mutex_fini(&d->mutex);
    TOC_VEC_FINI(&d->endpoints);
    toc_free(d->proc_root);
    toc_free(d);
    *dp = NULL;
}

static int by_port(const void *a, const void *b) {
    return ((const struct endpoint *)a)->port - ((const struct endpoint *)b)->port;
}

void toc_discover_list(struct toc_discover *d,
                       void (*fn)(void *ctx, const struct toc_discover_info *info), void *ctx) {
    toc_mutex_lock(&d->mutex);
    size_t n = d->endpoints.count;
    struct endpoint *copy = n ? toc_xmemdup(d->endpoints.items, n * sizeof *copy) : NULL;
    toc_mutex_unlock(&d->mutex);
    if (n > 1)
        qsort(copy, n, sizeof *copy, by_port);
    for (size_t i = 0; i < n; i++) {
        const struct endpoint *e = &copy[i];
        const struct discover_row *row = e->row >= 0 ? &toc_discover_rows[e->row] : NULL;
        if (e->since.ms == 0)
            continue; /* not asked yet */
        const struct toc_discover_info info = {toc_sv_cstr(e->url),
                                               toc_sv_cstr(row ? row->kind : ""),
                                               toc_sv_cstr(row ? row->name : ""),
                                               toc_sv_cstr(e->reason),
                                               e->state,
                                               e->since};
        fn(ctx, &info);
    }
    toc_free(copy);
}
