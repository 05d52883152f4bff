#include "api/events.h"

#include <stdio.h>

#include "api/api_priv.h"
#include "sys/thread.h"

enum { RING = 256, STREAMS_MAX = 64, HEARTBEAT_NS_PER_S = 1000000000, HEARTBEAT_S = 15 };

struct toc_api_events {
    struct toc_mutex mutex;
    char *frames[RING]; /* complete SSE frames, owned */
    uint64_t next;      /* number of the next event; frame i lives in slot i % RING */
    unsigned stream_count;
};

struct stream {
    struct toc_api_events *events;
    uint64_t at;         /* next event to send */
    struct toc_buf rest; /* of a frame that did not fit */
    size_t rest_at;
    int64_t last_write_ns;
};

struct toc_api_events *toc_api_events_new(void) {
    struct toc_api_events *e = TOC_NEW(struct toc_api_events);
    toc_mutex_init(&e->mutex, TOC_LOCK_QUEUE);
    return e;
}

void toc_api_events_free(struct toc_api_events **ep) {
    struct toc_api_events *e = *ep;
    if (!e)
        return;
    for (size_t i = 0; i < RING; i++)
        toc_free(e->frames[i]);
    toc_mutex_fini(&e->mutex);
    toc_free(e);
    *ep = NULL;
}

void toc_api_events_publish(struct toc_api_events *e, const char *type, struct toc_sv json) {
    toc_mutex_lock(&e->mutex);
    struct toc_buf frame = TOC_BUF_INIT;
    toc_buf_printf(&frame, "id: %llu\nevent: %s\ndata: ", (unsigned long long)e->next, type);
    toc_buf_append_sv(&frame, json);
    toc_buf_append_cstr(&frame, "\n\n");
    char **slot = &e->frames[e->next % RING];
    toc_free(*slot);
    *slot = toc_buf_take(&frame, NULL);
    e->next++;
    toc_mutex_unlock(&e->mutex);
}

/* Puts what is due into s->rest. */
static void refill(struct stream *s) {
    struct toc_api_events *e = s->events;
    toc_buf_reset(&s->rest);
    s->rest_at = 0;
    toc_mutex_lock(&e->mutex);
    if (s->at + RING < e->next) {
        toc_buf_printf(&s->rest, "event: lost\ndata: {\"count\":%llu}\n\n",
                       (unsigned long long)(e->next - RING - s->at));
        s->at = e->next - RING;
    }
    for (; s->at < e->next && s->rest.n < 64 * 1024; s->at++)
        toc_buf_append_cstr(&s->rest, e->frames[s->at % RING]);
    toc_mutex_unlock(&e->mutex);
    int64_t now_ns = toc_clock_mono(toc_clock_system()).ns;
    bool is_quiet = now_ns - s->last_write_ns > (int64_t)HEARTBEAT_S * HEARTBEAT_NS_PER_S;
    if (s->rest.n == 0 && is_quiet)
        toc_buf_append_cstr(&s->rest, ": still here\n\n");
    if (s->rest.n)
        s->last_write_ns = now_ns;
}

static int64_t stream_read(void *ctx, char *out, size_t max) {
    struct stream *s = ctx;
    if (s->rest_at == s->rest.n)
        refill(s);
    size_t n = s->rest.n - s->rest_at;
    if (n > max)
        n = max;
    if (n)
        memcpy(out, s->rest.p + s->rest_at, n);
    s->rest_at += n;
    return (int64_t)n;
}

static void stream_close(void *ctx) {
    struct stream *s = ctx;
    toc_mutex_lock(&s->events->mutex);
    s->events->stream_count--;
    toc_mutex_unlock(&s->events->mutex);
    toc_buf_fini(&s->rest);
    toc_free(s);
}

int toc_api_events_open(struct toc_api_events *e, struct toc_http_stream *out) {
    toc_mutex_lock(&e->mutex);
    bool is_full = e->stream_count >= STREAMS_MAX;
    uint64_t at = e->next;
    if (!is_full)
        e->stream_count++;
    toc_mutex_unlock(&e->mutex);
    if (is_full)
        return TOC_ELIMIT;
    struct stream *s = TOC_NEW(struct stream);
    s->events = e;
    s->at = at;
    toc_buf_append_cstr(&s->rest, "retry: 2000\n\n");
    *out = (struct toc_http_stream){.read = stream_read, .close = stream_close, .ctx = s};
    return 0;
}

void toc_api_events(struct toc_api_call *c) {
    if (toc_api_events_open(c->api->events, &c->res->stream) < 0) {
        toc_api_problem(c, 503, "too_many_streams", "%d live streams are open; close one",
                        STREAMS_MAX);
        return;
    }
    c->res->content_type = "text/event-stream";
    toc_http_response_header(c->res, "Cache-Control", "no-store");
}
