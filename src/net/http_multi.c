#include "net/http_multi.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/vec.h"
#include "net/curl_priv.h"
#include "sys/clock.h"
#include "sys/poller.h"

enum {
    EVENTS_MAX = 256,
    CANCEL_LOOK_MS = 100,
    /* The library's work for a request grows with the connections of its handle (97 chains of them,
     * a look at each one once a second), so many are split by the host they lead to. */
    SHARD_CONNECTIONS = 256,
    SHARDS_MAX = 64,
};

struct shard {
    struct toc_http_multi *owner;
    CURLM *curl;
    struct toc_heap_node timer; /* in the heap: when the library wants to be called */
    bool is_touched;            /* listed in the owner's touched ones */
};

struct transfer {
    struct toc_http_client *client;
    struct shard *shard;
    toc_on_http_done *fn;
    void *ctx;
    size_t place; /* among the running ones */
};

struct toc_http_multi {
    struct toc_poller *poller;
    struct shard *shards[SHARDS_MAX]; /* NULL: no host of it was asked yet */
    size_t shard_count;
    size_t shard_connections; /* kept open by each */
    struct toc_heap timers;
    int64_t look_due_ms; /* for requests that were cancelled */
    struct {
        TOC_VEC_FIELDS(struct shard *)
    } by_fd, touched; /* touched: requests of theirs may have ended */
    struct {
        TOC_VEC_FIELDS(struct transfer *)
    } running, idle; /* idle: with their handles, for the next requests */
};

static int64_t now_ms(void) {
    return toc_clock_mono(toc_clock_system()).ns / 1000000;
}

/* ------------------------------------------------------------------------------------------------
 * shards */

static void note_fd(struct toc_http_multi *m, int fd, struct shard *owner) {
    size_t place = (size_t)fd;
    TOC_VEC_RESERVE(&m->by_fd, place + 1);
    while (m->by_fd.count <= place)
        m->by_fd.items[m->by_fd.count++] = NULL;
    m->by_fd.items[place] = owner;
}

static int on_socket(CURL *curl, curl_socket_t fd, int what, void *ctx, void *socket_ctx) {
    (void)curl, (void)socket_ctx;
    struct shard *s = ctx;
    if (what == CURL_POLL_REMOVE) {
        toc_poller_remove(s->owner->poller, fd);
        return 0;
    }
    note_fd(s->owner, fd, s);
    return toc_poller_set(s->owner->poller, fd, what & CURL_POLL_IN, what & CURL_POLL_OUT) < 0 ? -1
                                                                                               : 0;
}

static int on_timer(CURLM *curl, long timeout_ms, void *ctx) {
    (void)curl;
    struct shard *s = ctx;
    toc_heap_remove(&s->owner->timers, &s->timer);
    if (timeout_ms >= 0)
        toc_heap_insert(&s->owner->timers, &s->timer, now_ms() + timeout_ms);
    return 0;
}

static struct shard *shard_new(struct toc_http_multi *m) {
    struct shard *s = TOC_NEW(struct shard);
    s->owner = m;
    s->curl = curl_multi_init();
    if (!s->curl) {
        toc_free(s);
        return NULL;
    }
    curl_multi_setopt(s->curl, CURLMOPT_MAXCONNECTS, (long)m->shard_connections);
    curl_multi_setopt(s->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(s->curl, CURLMOPT_SOCKETDATA, s);
    curl_multi_setopt(s->curl, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(s->curl, CURLMOPT_TIMERDATA, s);
    return s;
}

static void shard_free(struct shard *s) {
    if (!s)
        return;
    curl_multi_cleanup(s->curl);
    toc_heap_remove(&s->owner->timers, &s->timer);
    toc_free(s);
}

/* Requests to one host share connections, so they share a shard; those through a proxy share the
 * proxy's. NULL without memory. */
static struct shard *shard_of(struct toc_http_multi *m, const struct toc_http_call *call) {
    const char *url = call->proxy_url ? call->proxy_url : call->url;
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t i = toc_hash64(host, strcspn(host, "/?#"), 0) % m->shard_count;
    if (!m->shards[i])
        m->shards[i] = shard_new(m);
    return m->shards[i];
}

/* ------------------------------------------------------------------------------------------------
 * requests */

struct toc_http_multi *toc_http_multi_new(size_t max_connections) {
    struct toc_http_multi *m = TOC_NEW(struct toc_http_multi);
    m->shard_count =
        TOC_MIN(TOC_MAX(max_connections / SHARD_CONNECTIONS, (size_t)1), (size_t)SHARDS_MAX);
    m->shard_connections = TOC_MAX(max_connections / m->shard_count, (size_t)1);
    m->poller = toc_poller_new();
    m->shards[0] = m->poller ? shard_new(m) : NULL;
    if (!m->shards[0])
        toc_http_multi_free(&m);
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
    for (size_t i = 0; i < m->shard_count; i++)
        shard_free(m->shards[i]);
    TOC_VEC_FINI(&m->idle);
    TOC_VEC_FINI(&m->running);
    TOC_VEC_FINI(&m->touched);
    TOC_VEC_FINI(&m->by_fd);
    toc_heap_fini(&m->timers);
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
    t->shard = shard_of(m, call);
    if (!t->client->curl || !t->shard) {
        toc_http_client_free(&t->client);
        toc_free(t);
        return toc_errf(err, TOC_ENOMEM, "no memory for an HTTP client");
    }
    t->fn = fn;
    t->ctx = ctx;
    toc_http_prepare(t->client, call, result);
    curl_easy_setopt(t->client->curl, CURLOPT_PRIVATE, (char *)t);
    CURLMcode rc = curl_multi_add_handle(t->shard->curl, t->client->curl);
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
    curl_multi_remove_handle(t->shard->curl, t->client->curl);
    m->running.items[t->place] = m->running.items[--m->running.count];
    m->running.items[t->place]->place = t->place;
    toc_on_http_done *fn = t->fn;
    void *ctx = t->ctx;
    give_back(m, t);
    fn(ctx, code, &err);
}

static void end_finished(struct toc_http_multi *m, struct shard *s) {
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(s->curl, &left));) {
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

static void act(struct shard *s, curl_socket_t fd, int mask) {
    int left = 0;
    curl_multi_socket_action(s->curl, fd, mask, &left);
    if (!s->is_touched)
        TOC_VEC_PUSH(&s->owner->touched, s);
    s->is_touched = true;
}

static int mask_of(const struct toc_poller_event *e) {
    return (e->can_read ? CURL_CSELECT_IN : 0) | (e->can_write ? CURL_CSELECT_OUT : 0) |
           (e->has_failed ? CURL_CSELECT_ERR : 0);
}

/* The library sets a timer anew when it wants to. */
static void act_on_timers(struct toc_http_multi *m, int64_t now) {
    struct toc_heap_node *node;
    for (size_t i = 0; i < m->shard_count; i++) {
        if (!(node = toc_heap_peek(&m->timers)) || node->key > now)
            return;
        toc_heap_pop(&m->timers);
        act(TOC_CONTAINER_OF(node, struct shard, timer), CURL_SOCKET_TIMEOUT, 0);
    }
}

static int64_t wait_until(const struct toc_http_multi *m, int64_t now, int64_t wait_ms) {
    int64_t until = now + TOC_MAX(wait_ms, (int64_t)0);
    const struct toc_heap_node *timer = toc_heap_peek(&m->timers);
    if (timer)
        until = TOC_MIN(until, timer->key);
    if (m->running.count)
        until = TOC_MIN(until, m->look_due_ms);
    return until;
}

void toc_http_multi_poll(struct toc_http_multi *m, int64_t wait_ms) {
    struct toc_poller_event events[EVENTS_MAX];
    int64_t now = now_ms(), until = wait_until(m, now, wait_ms);
    size_t n = toc_poller_wait(m->poller, TOC_MAX(until - now, (int64_t)0), events, EVENTS_MAX);
    for (size_t i = 0; i < n; i++)
        act(m->by_fd.items[events[i].fd], events[i].fd, mask_of(&events[i]));
    now = now_ms();
    act_on_timers(m, now);
    while (m->touched.count) {
        struct shard *s = m->touched.items[--m->touched.count];
        s->is_touched = false;
        end_finished(m, s);
    }
    end_cancelled(m, now);
}

void toc_http_multi_wake(struct toc_http_multi *m) {
    toc_poller_wake(m->poller);
}

size_t toc_http_multi_running(const struct toc_http_multi *m) {
    return m->running.count;
}
