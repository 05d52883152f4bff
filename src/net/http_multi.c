#include "net/http_multi.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "net/curl_priv.h"
#include "sys/clock.h"
#include "sys/poller.h"

enum { EVENTS_MAX = 256, CANCEL_LOOK_MS = 100 };

struct transfer {
    struct toc_http_client *client;
    toc_on_http_done *fn;
    void *ctx;
    size_t place; /* among the running ones */
};

struct toc_http_multi {
    CURLM *curl;
    struct toc_poller *poller;
    int64_t timer_due_ms; /* when the library wants to be called; negative: never */
    int64_t look_due_ms;  /* for requests that were cancelled */
    struct {
        TOC_VEC_FIELDS(struct transfer *)
    } running, idle; /* idle: with their handles, for the next requests */
};

static int64_t now_ms(void) {
    return toc_clock_mono(toc_clock_system()).ns / 1000000;
}

static int on_socket(CURL *curl, curl_socket_t fd, int what, void *ctx, void *socket_ctx) {
    (void)curl, (void)socket_ctx;
    struct toc_http_multi *m = ctx;
    if (what == CURL_POLL_REMOVE)
        toc_poller_remove(m->poller, fd);
    else if (toc_poller_set(m->poller, fd, what & CURL_POLL_IN, what & CURL_POLL_OUT) < 0)
        return -1;
    return 0;
}

static int on_timer(CURLM *curl, long timeout_ms, void *ctx) {
    (void)curl;
    struct toc_http_multi *m = ctx;
    m->timer_due_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    return 0;
}

struct toc_http_multi *toc_http_multi_new(size_t max_connections) {
    struct toc_http_multi *m = TOC_NEW(struct toc_http_multi);
    m->curl = curl_multi_init();
    m->poller = toc_poller_new();
    m->timer_due_ms = -1;
    if (!m->curl || !m->poller) {
        toc_http_multi_free(&m);
        return NULL;
    }
    curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, (long)max_connections);
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
    return m;
}

void toc_http_multi_free(struct toc_http_multi **mp) {
    struct toc_http_multi *m = *mp;
    if (!m)
        return;
    for (size_t i = 0; i < m->idle.count; i++) {
        toc_http_client_free(&m->idle.items[i]->client);
        toc_free(m->idle.items[i]);
    }
    TOC_VEC_FINI(&m->idle);
    TOC_VEC_FINI(&m->running);
    curl_multi_cleanup(m->curl);
    toc_poller_free(&m->poller);
    toc_free(m);
    *mp = NULL;
}

static struct transfer *take_transfer(struct toc_http_multi *m) {
    if (m->idle.count)
        return m->idle.items[--m->idle.count];
    struct transfer *t = TOC_NEW(struct transfer);
    t->client = toc_http_client_new();
    return t;
}

static void give_back(struct toc_http_multi *m, struct transfer *t) {
    TOC_VEC_PUSH(&m->idle, t);
}

int toc_http_multi_start(struct toc_http_multi *m, const struct toc_http_call *call,
                         struct toc_http_result *result, toc_on_http_done *fn, void *ctx,
                         struct toc_err *err) {
    struct transfer *t = take_transfer(m);
    if (!t->client->curl) {
        toc_http_client_free(&t->client);
        toc_free(t);
        return toc_errf(err, TOC_ENOMEM, "no memory for an HTTP client");
    }
    t->fn = fn;
    t->ctx = ctx;
    toc_http_prepare(t->client, call, result);
    curl_easy_setopt(t->client->curl, CURLOPT_PRIVATE, (char *)t);
    CURLMcode rc = curl_multi_add_handle(m->curl, t->client->curl);
    if (rc != CURLM_OK) {
        (void)toc_http_finish(t->client, CURLE_FAILED_INIT, NULL);
        give_back(m, t);
        return toc_errf(err, TOC_EUNAVAILABLE, "cannot begin a request: %s",
                        curl_multi_strerror(rc));
    }
    t->place = m->running.count;
    TOC_VEC_PUSH(&m->running, t);
    return 0;
}

static void end_transfer(struct toc_http_multi *m, struct transfer *t, CURLcode rc) {
    struct toc_err err = {0};
    int code = toc_http_finish(t->client, rc, &err);
    curl_multi_remove_handle(m->curl, t->client->curl);
    m->running.items[t->place] = m->running.items[--m->running.count];
    m->running.items[t->place]->place = t->place;
    toc_on_http_done *fn = t->fn;
    void *ctx = t->ctx;
    give_back(m, t);
    fn(ctx, code, &err);
}

static void end_finished(struct toc_http_multi *m) {
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(m->curl, &left));) {
        char *private = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        end_transfer(m, (struct transfer *)(void *)private, message->data.result);
    }
}

/* The library asks about cancelling only when something happens to a request. */
static void end_cancelled(struct toc_http_multi *m, int64_t now) {
    if (now < m->look_due_ms)
        return;
    m->look_due_ms = now + CANCEL_LOOK_MS;
    for (size_t i = m->running.count; i-- > 0;) {
        const struct toc_http_call *call = m->running.items[i]->client->state.call;
        if (call->is_cancelled && call->is_cancelled(call->cancel_ctx))
            end_transfer(m, m->running.items[i], CURLE_ABORTED_BY_CALLBACK);
    }
}

static int mask_of(const struct toc_poller_event *e) {
    return (e->can_read ? CURL_CSELECT_IN : 0) | (e->can_write ? CURL_CSELECT_OUT : 0) |
           (e->has_failed ? CURL_CSELECT_ERR : 0);
}

void toc_http_multi_poll(struct toc_http_multi *m, int64_t wait_ms) {
    struct toc_poller_event events[EVENTS_MAX];
    int left = 0;
    int64_t now = now_ms(), until = now + TOC_MAX(wait_ms, (int64_t)0);
    if (m->timer_due_ms >= 0)
        until = TOC_MIN(until, m->timer_due_ms);
    if (m->running.count)
        until = TOC_MIN(until, TOC_MAX(m->look_due_ms, now));
    size_t n = toc_poller_wait(m->poller, TOC_MAX(until - now, (int64_t)0), events, EVENTS_MAX);
    for (size_t i = 0; i < n; i++)
        curl_multi_socket_action(m->curl, events[i].fd, mask_of(&events[i]), &left);
    now = now_ms();
    if (m->timer_due_ms >= 0 && m->timer_due_ms <= now) {
        m->timer_due_ms = -1; /* the library sets it anew when it wants */
        curl_multi_socket_action(m->curl, CURL_SOCKET_TIMEOUT, 0, &left);
    }
    end_finished(m);
    end_cancelled(m, now);
}

void toc_http_multi_wake(struct toc_http_multi *m) {
    toc_poller_wake(m->poller);
}

size_t toc_http_multi_running(const struct toc_http_multi *m) {
    return m->running.count;
}
