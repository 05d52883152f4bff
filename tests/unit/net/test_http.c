/* Server and client against each other on a free loopback port. */
#include "../cmocka_prelude.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/compress.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "sys/clock.h"
#include "sys/thread.h"

static struct toc_http_server *g_server;
static const unsigned char g_gzip[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                       0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x86,
                                       0xa6, 0x10, 0x36, 0x05, 0x00, 0x00, 0x00}; /* "hello" */

static int64_t stream_three(void *ctx, char *out, size_t max) {
    int *left = ctx;
    (void)max;
    if (*left == 0)
        return -1;
    (*left)--;
    memcpy(out, "tick\n", 5);
    return 5;
}

static void stream_done(void *ctx) {
    toc_free(ctx);
}

enum { PIECES = 12, PIECE_BYTES = 30000 };

struct pieces {
    int left;
    bool breaks_off;
};

static int produce(void *ctx, struct toc_buf *out) {
    struct pieces *p = ctx;
    if (p->breaks_off && p->left == PIECES / 2)
        return TOC_EIO;
    for (int i = 0; i < PIECE_BYTES / 10; i++)
        toc_buf_printf(out, "%02d-%06d,", PIECES - p->left, i);
    return --p->left > 0;
}

static atomic_int g_productions_closed, g_peers_gone;

static void production_done(void *ctx) {
    atomic_fetch_add(&g_productions_closed, 1);
    toc_free(ctx);
}

static void start_production(struct toc_http_response *res, int pieces, bool breaks_off) {
    struct pieces *p = TOC_NEW(struct pieces);
    *p = (struct pieces){pieces, breaks_off};
    res->producer = (struct toc_http_producer){produce, production_done, p};
}

/* Until the client goes away, at most five seconds. */
static void wait_for_peer(const struct toc_http_request *req) {
    for (int i = 0; i < 500; i++) {
        if (toc_http_peer_is_gone(req)) {
            atomic_fetch_add(&g_peers_gone, 1);
            return;
        }
        toc_sleep_ms(10);
    }
}

static void handle(void *ctx, const struct toc_http_request *req, struct toc_http_response *res) {
    (void)ctx;
    if (toc_sv_eq(req->path, TOC_SV("/echo"))) {
        toc_buf_printf(&res->body, "%.*s %.*s q=%.*s body=%.*s", TOC_SV_ARG(req->method),
                       TOC_SV_ARG(req->path), TOC_SV_ARG(toc_http_param_get(req, "q")),
                       TOC_SV_ARG(req->body));
        toc_http_response_header(res, "X-Test", "a\r\nb");
    } else if (toc_sv_eq(req->path, TOC_SV("/large"))) {
        res->content_type = "text/plain";
        for (int i = 0; i < 10000; i++)
            toc_buf_append_cstr(&res->body, "0123456789");
    } else if (toc_sv_eq(req->path, TOC_SV("/static"))) {
        res->content_type = "text/plain";
        res->static_body = toc_sv_make((const char *)g_gzip, sizeof g_gzip);
        res->is_static_gzip = true;
    } else if (toc_sv_eq(req->path, TOC_SV("/stream"))) {
        int *left = TOC_NEW(int);
        *left = 3;
        res->stream = (struct toc_http_stream){stream_three, stream_done, left};
    } else if (toc_sv_eq(req->path, TOC_SV("/produced"))) {
        start_production(res, PIECES, false);
    } else if (toc_sv_eq(req->path, TOC_SV("/one-piece"))) {
        start_production(res, 1, false);
    } else if (toc_sv_eq(req->path, TOC_SV("/broken"))) {
        start_production(res, PIECES, true);
    } else if (toc_sv_eq(req->path, TOC_SV("/patient"))) {
        wait_for_peer(req);
    } else if (toc_sv_eq(req->path, TOC_SV("/slow"))) {
        toc_sleep_ms(400);
    } else {
        res->status = 404;
    }
}

static struct toc_http_result call(const char *path, struct toc_http_call c, int want_rc) {
    char url[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", toc_http_server_port(g_server), path);
    c.url = url;
    struct toc_http_client *client = toc_http_client_new();
    struct toc_http_result r;
    struct toc_err err = {0};
    int rc = toc_http_perform(client, &c, &r, &err);
    if (rc != want_rc)
        fail_msg("%s: %d (%s), wanted %d", path, rc, err.message, want_rc);
    toc_http_client_free(&client);
    return r;
}

static void expect(const char *path, struct toc_http_call c, int status, const char *body) {
    struct toc_http_result r = call(path, c, 0);
    assert_int_equal(r.status, status);
    if (body)
        assert_string_equal(toc_buf_cstr(&r.body), body);
    toc_http_result_fini(&r);
}

static void requests_are_decoded(void **state) {
    (void)state;
    expect("/echo?q=a%20b%2B+c", (struct toc_http_call){0}, 200, "GET /echo q=a b+ c body=");
    expect("/%65cho?q=1&q=2", (struct toc_http_call){0}, 200, "GET /echo q=1 body=");
    expect("/echo", (struct toc_http_call){.body = TOC_SV("hi")}, 200, "POST /echo q= body=hi");
    const char *const form[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
    expect("/echo", (struct toc_http_call){.body = TOC_SV("q=x%26y"), .headers = form}, 200,
           "POST /echo q=x&y body=q=x%26y");
    expect("/nothing", (struct toc_http_call){0}, 404, NULL);
    expect("/echo?q=%zz", (struct toc_http_call){0}, 400, NULL);
    expect("/echo?q=%00", (struct toc_http_call){0}, 400, NULL);
}

static void content_codings_are_undone(void **state) {
    (void)state;
    const char *const gzip[] = {"Content-Encoding: gzip", NULL};
    struct toc_sv packed = toc_sv_make((const char *)g_gzip, sizeof g_gzip);
    expect("/echo", (struct toc_http_call){.body = packed, .headers = gzip}, 200,
           "POST /echo q= body=hello");
    expect("/echo", (struct toc_http_call){.body = TOC_SV("not gzip"), .headers = gzip}, 400, NULL);
    const char *const odd[] = {"Content-Encoding: bzip9", NULL};
    expect("/echo", (struct toc_http_call){.body = packed, .headers = odd}, 415, NULL);
}

static void large_and_static_bodies_arrive_whole(void **state) {
    (void)state;
    struct toc_http_result r = call("/large", (struct toc_http_call){0}, 0);
    assert_int_equal(r.body.n, 100000);
    toc_http_result_fini(&r);
    expect("/static", (struct toc_http_call){0}, 200, "hello");
    r = call("/large", (struct toc_http_call){.max_response_bytes = 5000}, TOC_ELIMIT);
    toc_http_result_fini(&r);
}

/* The body of a production, asked for in a content coding and unpacked by hand. */
static void expect_production(const char *path, const char *accept, enum toc_compression coding,
                              size_t size) {
    char header[64];
    snprintf(header, sizeof header, "Accept-Encoding: %s", accept);
    const char *const headers[] = {header, NULL};
    struct toc_http_result r =
        call(path, (struct toc_http_call){.headers = headers, .keep_coding = true}, 0);
    struct toc_buf plain = TOC_BUF_INIT;
    assert_int_equal(r.status, 200);
    assert_int_equal(toc_decompress(coding, toc_buf_sv(&r.body), 1 << 20, &plain, NULL), 0);
    assert_int_equal(plain.n, size);
    assert_memory_equal(plain.p + 2, "-000000,", 8);
    assert_true(coding == TOC_COMPRESSION_NONE ? r.body.n == size : r.body.n < size / 3);
    toc_buf_fini(&plain);
    toc_http_result_fini(&r);
}

static void produced_bodies_arrive_whole_in_every_coding(void **state) {
    (void)state;
    static const struct {
        const char *accept;
        enum toc_compression coding;
    } cases[] = {
        {"identity", TOC_COMPRESSION_NONE},
        {"gzip", TOC_COMPRESSION_GZIP},
        {"deflate", TOC_COMPRESSION_DEFLATE},
        {"gzip, deflate, br, zstd", TOC_COMPRESSION_ZSTD},
        {"zstd;q=0, gzip;q=0.5", TOC_COMPRESSION_GZIP},
    };
    atomic_store(&g_productions_closed, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_production("/produced", cases[i].accept, cases[i].coding, PIECES * PIECE_BYTES);
        expect_production("/one-piece", cases[i].accept, cases[i].coding, PIECE_BYTES);
    }
    for (int i = 0; i < 500 && atomic_load(&g_productions_closed) < 10; i++)
        toc_sleep_ms(10);
    assert_int_equal(atomic_load(&g_productions_closed), 10);
}

static void a_body_that_breaks_off_is_an_error_for_the_peer(void **state) {
    (void)state;
    struct toc_http_client *client = toc_http_client_new();
    char url[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/broken", toc_http_server_port(g_server));
    struct toc_http_call c = {.url = url};
    struct toc_http_result r;
    struct toc_err err = {0};
    assert_true(toc_http_perform(client, &c, &r, &err) < 0);
    toc_http_result_fini(&r);
    toc_http_client_free(&client);
}

static void a_handler_sees_that_its_peer_went_away(void **state) {
    (void)state;
    struct toc_http_result r =
        call("/patient", (struct toc_http_call){.timeout_ms = 100}, TOC_ETIMEDOUT);
    toc_http_result_fini(&r);
    for (int i = 0; i < 500 && atomic_load(&g_peers_gone) == 0; i++)
        toc_sleep_ms(10);
    assert_int_equal(atomic_load(&g_peers_gone), 1);
}

static void bodies_over_the_limit_are_refused(void **state) {
    (void)state;
    struct toc_buf body = TOC_BUF_INIT;
    while (body.n <= 70000)
        toc_buf_append_cstr(&body, "0123456789");
    expect("/echo", (struct toc_http_call){.body = toc_buf_sv(&body)}, 413, NULL);
    toc_buf_fini(&body);
    struct toc_http_server_stats stats;
    toc_http_server_get_stats(g_server, &stats);
    assert_true(stats.refused_body_too_large >= 1);
}

static void streams_end(void **state) {
    (void)state;
    expect("/stream", (struct toc_http_call){0}, 200, "tick\ntick\ntick\n");
}

static void the_client_gives_up(void **state) {
    (void)state;
    struct toc_http_result r =
        call("/slow", (struct toc_http_call){.timeout_ms = 100}, TOC_ETIMEDOUT);
    toc_http_result_fini(&r);
    r = call("/echo", (struct toc_http_call){.deny_private_addresses = true}, TOC_EFORBIDDEN);
    toc_http_result_fini(&r);
    struct toc_http_client *client = toc_http_client_new();
    struct toc_err err = {0};
    assert_int_equal(
        toc_http_perform(client,
                         &(struct toc_http_call){.url = "http://u:secret@127.0.0.1:1/?k=hidden"},
                         &r, &err),
        TOC_ECONNREFUSED);
    assert_null(strstr(err.message, "secret"));
    assert_null(strstr(err.message, "hidden"));
    toc_http_result_fini(&r);
    err = (struct toc_err){0};
    assert_int_equal(
        toc_http_perform(client, &(struct toc_http_call){.url = "file:///etc/passwd"}, &r, &err),
        TOC_EINVAL);
    toc_http_result_fini(&r);
    toc_http_client_free(&client);
}

static void a_busy_port_is_one_sentence(void **state) {
    (void)state;
    struct toc_http_server *second = NULL;
    struct toc_err err = {0};
    const struct toc_http_server_options o = {.port = toc_http_server_port(g_server),
                                              .handler = handle};
    assert_int_equal(toc_http_server_start(&o, &second, &err), TOC_EADDRINUSE);
    assert_non_null(strstr(err.message, "in use"));
}

struct hammer {
    struct toc_thread thread;
    int failures;
};

static void hammer(void *ctx) {
    struct hammer *h = ctx;
    struct toc_http_client *client = toc_http_client_new();
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/echo?q=7", toc_http_server_port(g_server));
    for (int i = 0; i < 50; i++) {
        struct toc_http_result r;
        struct toc_err err = {0};
        if (toc_http_perform(client, &(struct toc_http_call){.url = url}, &r, &err) < 0 ||
            strcmp(toc_buf_cstr(&r.body), "GET /echo q=7 body=") != 0)
            h->failures++;
        toc_http_result_fini(&r);
    }
    toc_http_client_free(&client);
}

static void many_clients_at_once(void **state) {
    (void)state;
    struct hammer all[8] = {0};
    for (int i = 0; i < 8; i++)
        assert_int_equal(toc_thread_start(&all[i].thread, "hammer", hammer, &all[i]), 0);
    for (int i = 0; i < 8; i++) {
        toc_thread_join(&all[i].thread);
        assert_int_equal(all[i].failures, 0);
    }
}

static int set_up(void **state) {
    (void)state;
    struct toc_err err = {0};
    const struct toc_http_server_options o = {.handler = handle, .max_body_bytes = 65536};
    return toc_net_init(&err) < 0 || toc_http_server_start(&o, &g_server, &err) < 0;
}

static int tear_down(void **state) {
    (void)state;
    toc_http_server_stop(&g_server);
    toc_net_fini();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_decoded),
        cmocka_unit_test(content_codings_are_undone),
        cmocka_unit_test(large_and_static_bodies_arrive_whole),
        cmocka_unit_test(produced_bodies_arrive_whole_in_every_coding),
        cmocka_unit_test(a_body_that_breaks_off_is_an_error_for_the_peer),
        cmocka_unit_test(a_handler_sees_that_its_peer_went_away),
        cmocka_unit_test(bodies_over_the_limit_are_refused),
        cmocka_unit_test(streams_end),
        cmocka_unit_test(the_client_gives_up),
        cmocka_unit_test(a_busy_port_is_one_sentence),
        cmocka_unit_test(many_clients_at_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
