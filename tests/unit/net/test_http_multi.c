/* Many requests at once, to many hosts: each address of 127.0.0.0/8 counts as one. */
#include "../cmocka_prelude.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "net/http_multi.h"
#include "net/http_server.h"
#include "sys/clock.h"
#include "sys/thread.h"

enum { HOSTS = 90, CONNECTIONS = 1024, PATIENCE_MS = 10000 };

static struct {
    struct toc_http_server *server;
    struct toc_mutex mutex;
    char connections[2 * HOSTS][128]; /* that have asked: both ends */
    int connection_count;
} w;

/* Connections to different addresses may come from the same port. */
static void note_connection(struct toc_sv peer, struct toc_sv host) {
    char ends[128];
    snprintf(ends, sizeof ends, "%.*s %.*s", TOC_SV_ARG(peer), TOC_SV_ARG(host));
    toc_mutex_lock(&w.mutex);
    bool is_known = false;
    for (int i = 0; i < w.connection_count; i++)
        is_known = is_known || strcmp(ends, w.connections[i]) == 0;
    if (!is_known && w.connection_count < 2 * HOSTS)
        memcpy(w.connections[w.connection_count++], ends, sizeof ends);
    toc_mutex_unlock(&w.mutex);
}

static void handle(void *ctx, const struct toc_http_request *req, struct toc_http_response *res) {
    (void)ctx;
    if (toc_sv_eq(req->path, TOC_SV("/slow")))
        toc_sleep_ms(600);
    else
        note_connection(req->peer, toc_http_header(req, "Host"));
    toc_buf_printf(&res->body, "q=%.*s", TOC_SV_ARG(toc_http_param_get(req, "q")));
}

struct request {
    char url[128];
    struct toc_http_call call;
    struct toc_http_result result;
    int rc, ends;
};

static void on_done(void *ctx, int rc, const struct toc_err *err) {
    (void)err;
    struct request *r = ctx;
    r->rc = rc;
    r->ends++;
}

static void start(struct toc_http_multi *m, struct request *r, const char *path, int host) {
    struct toc_err err = {0};
    snprintf(r->url, sizeof r->url, "http://127.0.%d.%d:%u%s", 1 + host / 50, 1 + host % 50,
             toc_http_server_port(w.server), path);
    r->call.url = r->url;
    r->ends = 0;
    if (toc_http_multi_start(m, &r->call, &r->result, on_done, r, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(r->ends, 0);
}

static int64_t now_ms(void) {
    return toc_clock_mono(toc_clock_system()).ns / 1000000;
}

static void run(struct toc_http_multi *m) {
    int64_t until = now_ms() + PATIENCE_MS;
    while (toc_http_multi_running(m) && now_ms() < until)
        toc_http_multi_poll(m, 1000);
    assert_int_equal(toc_http_multi_running(m), 0);
}

static void every_host_keeps_its_connection(void **state) {
    (void)state;
    static struct request requests[HOSTS];
    struct toc_http_multi *m = toc_http_multi_new(CONNECTIONS);
    w.connection_count = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < HOSTS; i++) {
            char path[32];
            snprintf(path, sizeof path, "/?q=%d", i * 10 + round);
            start(m, &requests[i], path, i);
        }
        run(m);
        for (int i = 0; i < HOSTS; i++) {
            char want[32];
            snprintf(want, sizeof want, "q=%d", i * 10 + round);
            assert_int_equal(requests[i].ends, 1);
            assert_int_equal(requests[i].rc, 0);
            assert_string_equal(toc_buf_cstr(&requests[i].result.body), want);
        }
        assert_int_equal(w.connection_count, HOSTS);
    }
    for (int i = 0; i < HOSTS; i++)
        toc_http_result_fini(&requests[i].result);
    toc_http_multi_free(&m);
}

static bool say_yes(void *ctx) {
    (void)ctx;
    return true;
}

static void each_ends_in_its_own_way(void **state) {
    (void)state;
    struct toc_http_multi *m = toc_http_multi_new(CONNECTIONS);
    struct request late = {.call = {.timeout_ms = 100}}, cancelled = {.call = {0}}, good = {0},
                   closed = {0};
    cancelled.call.is_cancelled = say_yes;
    start(m, &late, "/slow", 1);
    start(m, &cancelled, "/slow", 2);
    start(m, &good, "/slow?q=7", 3);
    snprintf(closed.url, sizeof closed.url, "http://127.0.0.9:1/");
    closed.call.url = closed.url;
    struct toc_err err = {0};
    assert_int_equal(toc_http_multi_start(m, &closed.call, &closed.result, on_done, &closed, &err),
                     0);
    run(m);
    assert_int_equal(late.rc, TOC_ETIMEDOUT);
    assert_int_equal(cancelled.rc, TOC_ECANCELED);
    assert_int_equal(good.rc, 0);
    assert_string_equal(toc_buf_cstr(&good.result.body), "q=7");
    assert_int_equal(closed.rc, TOC_ECONNREFUSED);
    assert_int_equal(late.ends + cancelled.ends + good.ends + closed.ends, 4);
    toc_http_result_fini(&late.result);
    toc_http_result_fini(&cancelled.result);
    toc_http_result_fini(&good.result);
    toc_http_result_fini(&closed.result);
    toc_http_multi_free(&m);
}

static void fewer_connections_than_hosts_serve_all(void **state) {
    (void)state;
    static struct request requests[HOSTS];
    struct toc_http_multi *m = toc_http_multi_new(8);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < HOSTS; i++)
            start(m, &requests[i], "/?q=1", i);
        run(m);
        for (int i = 0; i < HOSTS; i++)
            assert_int_equal(requests[i].rc, 0);
    }
    for (int i = 0; i < HOSTS; i++)
        toc_http_result_fini(&requests[i].result);
    toc_http_multi_free(&m);
}

static void a_wake_ends_the_wait(void **state) {
    (void)state;
    struct toc_http_multi *m = toc_http_multi_new(CONNECTIONS);
    toc_http_multi_wake(m);
    int64_t before = now_ms();
    toc_http_multi_poll(m, PATIENCE_MS);
    assert_true(now_ms() - before < PATIENCE_MS / 2);
    toc_http_multi_free(&m);
}

static int set_up(void **state) {
    (void)state;
    struct toc_err err = {0};
    toc_mutex_init(&w.mutex, TOC_LOCK_LOG);
    const struct toc_http_server_options o = {.host = "0.0.0.0", .handler = handle};
    return toc_net_init(&err) < 0 || toc_http_server_start(&o, &w.server, &err) < 0;
}

static int tear_down(void **state) {
    (void)state;
    toc_http_server_stop(&w.server);
    toc_mutex_fini(&w.mutex);
    toc_net_fini();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_host_keeps_its_connection),
        cmocka_unit_test(each_ends_in_its_own_way),
        cmocka_unit_test(fewer_connections_than_hosts_serve_all),
        cmocka_unit_test(a_wake_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
