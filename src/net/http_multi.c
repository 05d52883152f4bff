#include "net/http_multi.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "net/curl_priv.h"

struct transfer {
    struct toc_http_client *client;
    toc_on_http_done *fn;
    void *ctx;
};

struct toc_http_multi {
    CURLM *curl;
    size_t running;
    struct {
        TOC_VEC_FIELDS(struct transfer *)
    } idle; /* with their handles, for the next requests */
};

struct toc_http_multi *toc_http_multi_new(size_t max_connections) {
    CURLM *curl = curl_multi_init();
    if (!curl)
        return NULL;
    struct toc_http_multi *m = TOC_NEW(struct toc_http_multi);
    m->curl = curl;
    curl_multi_setopt(curl, CURLMOPT_MAXCONNECTS, (long)max_connections);
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
    curl_multi_cleanup(m->curl);
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
    m->running++;
    return 0;
}

static void end_transfer(struct toc_http_multi *m, CURL *curl, CURLcode rc) {
    char *private = NULL;
    struct toc_err err = {0};
    curl_easy_getinfo(curl, CURLINFO_PRIVATE, &private);
    struct transfer *t = (struct transfer *)(void *)private;
    int code = toc_http_finish(t->client, rc, &err);
    curl_multi_remove_handle(m->curl, curl);
    m->running--;
    toc_on_http_done *fn = t->fn;
    void *ctx = t->ctx;
    give_back(m, t);
    fn(ctx, code, &err);
}

static void step(struct toc_http_multi *m) {
    int left = 0;
    curl_multi_perform(m->curl, &left);
    for (CURLMsg *message; (message = curl_multi_info_read(m->curl, &left));)
        if (message->msg == CURLMSG_DONE)
            end_transfer(m, message->easy_handle, message->data.result);
}

void toc_http_multi_poll(struct toc_http_multi *m, int64_t wait_ms) {
    if (m->running)
        step(m); /* what was begun goes out before the wait */
    curl_multi_poll(m->curl, NULL, 0, (int)TOC_MAX(wait_ms, 0), NULL);
    if (m->running)
        step(m);
}

void toc_http_multi_wake(struct toc_http_multi *m) {
    curl_multi_wakeup(m->curl);
}

size_t toc_http_multi_running(const struct toc_http_multi *m) {
    return m->running;
}
