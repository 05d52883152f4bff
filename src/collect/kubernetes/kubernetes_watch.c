/*
 * List and watch of one kind in one namespace, as the API of Kubernetes means it: a list in pages
 * says what there is and at which version; a watch from that version says what changes. A watch
 * that ends is begun again from the last version it told; when the API has forgotten that version
 * (410), or a stream says nonsense, there is a new list. Failures are followed by a growing pause.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "codec/text.h"
#include "collect/kubernetes/kubernetes_priv.h"
#include "sys/random.h"

enum {
    PAGE_OBJECTS = 500,
    PAGE_BYTES_MAX = 256 << 20,
    LINE_BYTES_MAX = 8 << 20, /* an object of etcd has 1.5 MiB at most */
    ARENA_BYTES = 1 << 30,
    LIST_TIMEOUT_MS = 60000,
    CONNECT_TIMEOUT_MS = 10000,
    FIRST_PAUSE_MS = 1000,
    LONGEST_PAUSE_MS = 30000,
    WATCH_S = 300, /* and up to as much again, so that not all end at once */
    GOOD_AFTER_MS = 3000,
    IDLE_MS = 60000,
};

enum state { PAUSED, LISTING, WATCHING };

struct kube_watch {
    struct kube_work *work;
    enum kube_kind kind;
    struct toc_sv ns;
    enum state state;
    bool is_synced, is_failing, needs_list;
    int64_t due_ms, pause_ms, started_ms;
    uint64_t list; /* which one */
    char version[128];
    struct toc_buf page; /* token of the next page */
    struct toc_buf url, line;
    struct toc_rng rng;
    struct toc_http_dress dress;
    struct toc_http_call call;
    struct toc_http_result result;
    struct toc_err stream_err;
};

struct kube_watch *toc_kube_watch_new(struct kube_work *w, enum kube_kind kind, struct toc_sv ns) {
    struct kube_watch *k = TOC_NEW(struct kube_watch);
    uint64_t seed = 0;
    toc_random_bytes(&seed, sizeof seed);
    k->work = w;
    k->kind = kind;
    k->ns = ns;
    k->needs_list = true;
    k->pause_ms = FIRST_PAUSE_MS;
    k->line.limit_bytes = LINE_BYTES_MAX;
    toc_rng_seed(&k->rng, seed);
    return k;
}

void toc_kube_watch_free(struct kube_watch **kp) {
    struct kube_watch *k = *kp;
    if (!k)
        return;
    toc_buf_fini(&k->page);
    toc_buf_fini(&k->url);
    toc_buf_fini(&k->line);
    toc_http_dress_fini(&k->dress);
    toc_http_result_fini(&k->result);
    toc_free(k);
    *kp = NULL;
}

bool toc_kube_watch_is_synced(const struct kube_watch *k) {
    return k->is_synced;
}
bool toc_kube_watch_is_failing(const struct kube_watch *k) {
    return k->is_failing;
}

/* ------------------------------------------------------------------------------------------------
 * what the API says */

static void copy_version(const struct toc_json *holder, char out[128]) {
    toc_sv_copy(toc_kube_text(toc_json_get(holder, "metadata"), "resourceVersion"), out, 128);
}

int toc_kube_watch_page(struct kube_objects *o, enum kube_kind kind, const void *watch,
                        uint64_t list, struct toc_sv body, char out_version[128],
                        struct toc_buf *out_continue, struct toc_err *err) {
    struct toc_arena a;
    const struct toc_json *root = NULL;
    toc_arena_init(&a, ARENA_BYTES);
    int rc = toc_json_parse(body, &a, &root, err);
    const struct toc_json *items = rc ? NULL : toc_json_get(root, "items");
    if (rc == 0 && (!items || (items->type != TOC_JSON_ARRAY && items->type != TOC_JSON_NULL)))
        rc = toc_errf(err, TOC_EPARSE, "a list without items");
    for (size_t i = 0; rc == 0 && i < items->count; i++)
        rc = toc_kube_objects_put(o, kind, &items->items[i], watch, list, err);
    toc_buf_reset(out_continue);
    if (rc == 0) {
        copy_version(root, out_version);
        toc_buf_append_sv(out_continue, toc_kube_text(toc_json_get(root, "metadata"), "continue"));
    }
    toc_arena_fini(&a);
    return rc;
}

static int take_error(const struct toc_json *status, struct toc_err *err) {
    const struct toc_json *code = toc_json_get(status, "code");
    bool is_too_old = code && code->type == TOC_JSON_INT && code->integer == 410;
    return toc_errf(err, is_too_old ? TOC_ETOO_OLD : TOC_EPROTOCOL, "the watch ended: %.*s",
                    TOC_SV_ARG(toc_sv_sub(toc_kube_text(status, "message"), 0, 300)));
}

int toc_kube_watch_event(struct kube_objects *o, enum kube_kind kind, const void *watch,
                         uint64_t list, struct toc_sv line, char out_version[128],
                         struct toc_err *err) {
    struct toc_arena a;
    const struct toc_json *root = NULL;
    out_version[0] = 0;
    toc_arena_init(&a, ARENA_BYTES);
    int rc = toc_json_parse(line, &a, &root, err);
    struct toc_sv type = rc ? TOC_SV_NULL : toc_kube_text(root, "type");
    const struct toc_json *object = rc ? NULL : toc_json_get(root, "object");
    if (rc == 0 && (!object || object->type != TOC_JSON_OBJECT))
        rc = toc_errf(err, TOC_EPARSE, "an event without an object");
    else if (rc == 0 && toc_sv_eq(type, TOC_SV("ERROR")))
        rc = take_error(object, err);
    else if (rc == 0 && toc_sv_eq(type, TOC_SV("DELETED")))
        toc_kube_objects_delete(o, kind, object);
    else if (rc == 0 && (toc_sv_eq(type, TOC_SV("ADDED")) || toc_sv_eq(type, TOC_SV("MODIFIED"))))
        rc = toc_kube_objects_put(o, kind, object, watch, list, err);
    else if (rc == 0 && !toc_sv_eq(type, TOC_SV("BOOKMARK")))
        rc = toc_errf(err, TOC_EPARSE, "an event of unknown type \"%.*s\"",
                      TOC_SV_ARG(toc_sv_sub(type, 0, 40)));
    if (rc == 0)
        copy_version(object, out_version);
    toc_arena_fini(&a);
    return rc;
}

/* ------------------------------------------------------------------------------------------------
 * good and bad ends */

static int64_t now_ms(const struct kube_watch *k) {
    return toc_clock_mono(toc_discovery_clock(k->work->source)).ns / 1000000;
}

static void fail(struct kube_watch *k, const struct toc_err *err) {
    struct toc_err said = *err;
    if (toc_discovery_is_stopping(k->work->source))
        return;
    toc_err_prefix(&said, "%s%s%.*s: ", toc_kube_kinds[k->kind].plural, k->ns.n ? " of " : "",
                   TOC_SV_ARG(k->ns));
    k->is_failing = true;
    toc_discovery_failed(k->work->source, &said);
    /* Half of the pause is by chance: many that lost one server do not come back at once. */
    k->due_ms = now_ms(k) + k->pause_ms / 2 +
                (int64_t)(toc_rng_u64(&k->rng) % (uint64_t)(k->pause_ms / 2 + 1));
    k->pause_ms = TOC_MIN(k->pause_ms * 2, (int64_t)LONGEST_PAUSE_MS);
    k->state = PAUSED;
}

static void succeed(struct kube_watch *k) {
    k->is_failing = false;
    k->pause_ms = FIRST_PAUSE_MS;
}

static void list_anew(struct kube_watch *k) {
    k->needs_list = true;
    k->version[0] = 0;
    toc_buf_reset(&k->page);
}

static int check_status(struct kube_watch *k, struct toc_err *err) {
    int status = k->result.status;
    if (status == 200)
        return 0;
    if (status == 401)
        k->work->is_access_stale = true;
    return toc_errf(err, status == 410 ? TOC_ETOO_OLD : TOC_EPROTOCOL,
                    "the API server answered status %d: %.*s", status,
                    TOC_SV_ARG(toc_sv_sub(toc_buf_sv(&k->result.body), 0, 200)));
}

static void on_page(void *ctx, int rc, const struct toc_err *err) {
    struct kube_watch *k = ctx;
    struct toc_err why = *err;
    if (rc == 0)
        rc = check_status(k, &why);
    if (rc == 0)
        rc = toc_kube_watch_page(&k->work->objects, k->kind, k, k->list,
                                 toc_buf_sv(&k->result.body), k->version, &k->page, &why);
    toc_http_result_fini(&k->result);
    if (rc < 0) {
        list_anew(k); /* also when a token of a page is too old */
        fail(k, &why);
        return;
    }
    k->state = PAUSED;
    k->due_ms = 0;
    if (k->page.n)
        return;
    toc_kube_objects_sweep(&k->work->objects, k->kind, k, k->list);
    k->needs_list = false;
    k->is_synced = true;
    succeed(k);
}

static int on_part(void *ctx, struct toc_sv part) {
    struct kube_watch *k = ctx;
    int rc = 0;
    while (rc == 0 && part.n) {
        size_t end = toc_sv_find_char(part, '\n');
        toc_buf_append_sv(&k->line, toc_sv_sub(part, 0, TOC_MIN(end, part.n)));
        part = end == SIZE_MAX ? TOC_SV_NULL : toc_sv_sub(part, end + 1, part.n);
        if (toc_buf_error(&k->line))
            return toc_errf(&k->stream_err, TOC_ELIMIT, "an event has more than %d MiB",
                            LINE_BYTES_MAX >> 20);
        if (end == SIZE_MAX)
            break;
        char version[128] = "";
        if (toc_sv_trim(toc_buf_sv(&k->line)).n)
            rc = toc_kube_watch_event(&k->work->objects, k->kind, k, k->list, toc_buf_sv(&k->line),
                                      version, &k->stream_err);
        if (version[0])
            memcpy(k->version, version, sizeof version);
        toc_buf_reset(&k->line);
    }
    if (rc == 0)
        succeed(k);
    return rc;
}

static void on_watch_end(void *ctx, int rc, const struct toc_err *err) {
    struct kube_watch *k = ctx;
    struct toc_err why = k->stream_err.code ? k->stream_err : *err;
    bool was_streaming = k->result.status == 200 && !k->stream_err.code;
    if (rc == 0)
        rc = check_status(k, &why);
    toc_http_result_fini(&k->result);
    bool was_long = now_ms(k) - k->started_ms >= GOOD_AFTER_MS;
    if (was_long && was_streaming)
        succeed(k);
    if (rc == TOC_ETOO_OLD || rc == TOC_EPARSE || rc == TOC_ELIMIT || rc == TOC_ETYPE)
        list_anew(k);
    /* A connection that breaks after a while is usual; should the server be gone, the next request
     * says so. */
    if (rc == 0 || (was_long && (was_streaming || rc == TOC_ETOO_OLD))) {
        k->state = PAUSED;
        k->due_ms = was_long ? 0 : now_ms(k) + FIRST_PAUSE_MS;
    } else {
        fail(k, &why);
    }
}

/* ------------------------------------------------------------------------------------------------
 * requests */

static void append_param(struct kube_watch *k, const char *name, struct toc_sv value) {
    if (!value.n)
        return;
    toc_buf_printf(
        &k->url, "%c%s=", toc_sv_find_char(toc_buf_sv(&k->url), '?') == SIZE_MAX ? '?' : '&', name);
    toc_query_encode(value, &k->url);
}

static void build_url(struct kube_watch *k) {
    const struct kube_kind_info *info = &toc_kube_kinds[k->kind];
    const struct kube_selector *selector = &k->work->settings->selectors[k->kind];
    char seconds[16];
    toc_buf_reset(&k->url);
    toc_buf_printf(&k->url, "%.*s%s/", TOC_SV_ARG(k->work->access.api), info->path);
    if (k->ns.n) {
        toc_buf_append_cstr(&k->url, "namespaces/");
        toc_percent_encode(k->ns, &k->url);
        toc_buf_append_char(&k->url, '/');
    }
    toc_buf_append_cstr(&k->url, info->plural);
    append_param(k, "labelSelector", selector->label);
    append_param(k, "fieldSelector", selector->field);
    if (k->needs_list) {
        snprintf(seconds, sizeof seconds, "%d", PAGE_OBJECTS);
        append_param(k, "limit", toc_sv_cstr(seconds));
        append_param(k, "continue", toc_buf_sv(&k->page));
        return;
    }
    snprintf(seconds, sizeof seconds, "%d",
             WATCH_S + (int)(toc_rng_u64(&k->rng) % (uint64_t)WATCH_S));
    append_param(k, "watch", TOC_SV("true"));
    append_param(k, "allowWatchBookmarks", TOC_SV("true"));
    append_param(k, "resourceVersion", toc_sv_cstr(k->version));
    append_param(k, "timeoutSeconds", toc_sv_cstr(seconds));
}

static void begin(struct kube_watch *k) {
    static const char *const own[] = {"Accept: application/json", NULL};
    struct toc_err err = {0};
    bool is_list = k->needs_list;
    if (is_list && !k->page.n)
        k->list++;
    build_url(k);
    toc_buf_reset(&k->line);
    toc_err_reset(&k->stream_err);
    k->call = (struct toc_http_call){.url = toc_buf_cstr(&k->url),
                                     .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                     .timeout_ms = is_list ? LIST_TIMEOUT_MS
                                                           : (int64_t)(2 * WATCH_S + 30) * 1000,
                                     .max_response_bytes = PAGE_BYTES_MAX,
                                     .on_body = is_list ? NULL : on_part,
                                     .body_ctx = k,
                                     .is_cancelled = toc_discovery_is_stopping,
                                     .cancel_ctx = k->work->source};
    int rc = toc_http_dress_call(&k->dress, &k->work->access.http,
                                 toc_discovery_vfs(k->work->source), own, &k->call, &err);
    k->state = is_list ? LISTING : WATCHING;
    k->started_ms = now_ms(k);
    if (rc == 0)
        rc = toc_http_multi_start(k->work->multi, &k->call, &k->result,
                                  is_list ? on_page : on_watch_end, k, &err);
    if (rc < 0)
        fail(k, &err);
}

int64_t toc_kube_watch_step(struct kube_watch *k, int64_t now) {
    if (k->state == PAUSED && k->due_ms <= now)
        begin(k);
    if (k->state == PAUSED)
        return TOC_MAX(k->due_ms - now, (int64_t)0);
    /* A watch that was not refused is a good one, also when nothing happens. */
    if (k->state == WATCHING && k->is_failing && now - k->started_ms >= GOOD_AFTER_MS)
        succeed(k);
    return k->is_failing ? GOOD_AFTER_MS : IDLE_MS;
}
