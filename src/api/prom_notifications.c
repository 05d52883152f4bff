/* notifications, notifications/live: what is wrong with the daemon, for the people in front of it.
 */
#include "api/prom_priv.h"
#include "base/vec.h"

enum { LOOK_EVERY_NS = 1000000000, HEARTBEAT_LOOKS = 15 };

static void write_notification(struct toc_json_writer *w, struct toc_sv text, struct toc_ts since,
                               bool is_active) {
    toc_json_begin_object(w);
    toc_json_kv_string(w, "text", text);
    toc_json_kv_time(w, "date", since);
    toc_json_kv_bool(w, "active", is_active);
    toc_json_end_object(w);
}

static void list_problem(void *ctx, const char *kind, const char *text, struct toc_ts since) {
    (void)kind;
    write_notification(ctx, toc_sv_cstr(text), since, true);
}

void toc_api_prom_notifications(struct toc_api_call *c) {
    const struct toc_api_parts *p = &c->api->parts;
    toc_prom_begin(c);
    toc_json_begin_array(&c->json);
    p->each_problem(p->daemon, list_problem, &c->json);
    toc_json_end_array(&c->json);
    toc_prom_end(c);
}

/* ------------------------------------------------------------------------------------------
 * live: what begins and what ends, as server-sent events */

struct notice {
    char *text;
    struct toc_ts since;
    bool is_seen; /* at the last look */
};

struct live {
    struct toc_api_parts parts;
    TOC_VEC_FIELDS(struct notice)
    struct toc_buf rest;
    size_t rest_at;
    int64_t looked_ns;
    unsigned quiet_looks;
};

static void tell(struct live *l, const struct notice *n, bool is_active) {
    struct toc_json_writer w;
    toc_buf_append_cstr(&l->rest, "data: ");
    toc_json_writer_init(&w, &l->rest);
    write_notification(&w, toc_sv_cstr(n->text), n->since, is_active);
    toc_buf_append_cstr(&l->rest, "\n\n");
}

static void on_problem(void *ctx, const char *kind, const char *text, struct toc_ts since) {
    (void)kind;
    struct live *l = ctx;
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(l->items[i].text, text) == 0) {
            l->items[i].is_seen = true;
            return;
        }
    }
    struct notice fresh = {toc_xstrdup(text), since, true};
    TOC_VEC_PUSH(l, fresh);
    tell(l, &fresh, true);
}

static void look(struct live *l) {
    for (size_t i = 0; i < l->count; i++)
        l->items[i].is_seen = false;
    l->parts.each_problem(l->parts.daemon, on_problem, l);
    for (size_t i = l->count; i-- > 0;) {
        if (l->items[i].is_seen)
            continue;
        tell(l, &l->items[i], false);
        toc_free(l->items[i].text);
        TOC_VEC_REMOVE(l, i);
    }
    l->quiet_looks = l->rest.n ? 0 : l->quiet_looks + 1;
    if (l->quiet_looks == HEARTBEAT_LOOKS) {
        toc_buf_append_cstr(&l->rest, ": still here\n\n");
        l->quiet_looks = 0;
    }
}

static int64_t live_read(void *ctx, char *out, size_t max) {
    struct live *l = ctx;
    int64_t now_ns = toc_clock_mono(l->parts.clock).ns;
    if (l->rest_at == l->rest.n && now_ns - l->looked_ns >= LOOK_EVERY_NS) {
        toc_buf_reset(&l->rest);
        l->rest_at = 0;
        l->looked_ns = now_ns;
        look(l);
    }
    size_t n = l->rest.n - l->rest_at < max ? l->rest.n - l->rest_at : max;
    if (n)
        memcpy(out, l->rest.p + l->rest_at, n);
    l->rest_at += n;
    return (int64_t)n;
}

static void live_close(void *ctx) {
    struct live *l = ctx;
    for (size_t i = 0; i < l->count; i++)
        toc_free(l->items[i].text);
    TOC_VEC_FINI(l);
    toc_buf_fini(&l->rest);
    toc_free(l);
}

void toc_api_prom_notifications_live(struct toc_api_call *c) {
    struct live *l = TOC_NEW(struct live);
    l->parts = c->api->parts;
    toc_buf_append_cstr(&l->rest, ": hello\n\n");
    c->res->stream = (struct toc_http_stream){live_read, live_close, l};
    c->res->content_type = "text/event-stream";
    toc_http_response_header(c->res, "Cache-Control", "no-store");
}
