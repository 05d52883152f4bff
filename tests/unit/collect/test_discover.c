/* Discovery: who listens, what answers are, and endpoints that come and go. */
#include "recording_sink.h"

#include "collect/discover.h"
#include "collect/discover_priv.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "sys/clock.h"
#include "sys/thread.h"

static void on_port(void *ctx, struct discover_port p) {
    struct toc_buf *out = ctx;
    toc_buf_printf(out, "%u/%d ", p.port, p.is_v4);
}

static void listeners_on_loopback_are_read(void **state) {
    (void)state;
    struct toc_buf out = TOC_BUF_INIT;
    toc_discover_parse_listeners(
        TOC_SV("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"
               "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n"
               "   1: 00000000:23F0 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n"
               "   2: 0100007F:1F41 0100007F:9000 01 00000000:00000000 00:00000000 00000000\n"
               "   3: 0A00000A:1F42 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n"
               "   4: garbage\n   5: 0100007F:FFFFF 00000000:0000 0A\n   6: 0100007F:\n"),
        false, on_port, &out);
    toc_discover_parse_listeners(TOC_SV("   0: 00000000000000000000000001000000:7530 "
                                        "00000000000000000000000000000000:0000 0A 0\n"
                                        "   1: 00000000000000000000000000000000:1F90 "
                                        "00000000000000000000000000000000:0000 0A 0\n"
                                        "   2: 0000000000000000FFFF00000100007F:0050 "
                                        "00000000000000000000000000000000:0000 0A 0\n"
                                        "   3: B80D0120000000000000000001000000:0051 "
                                        "00000000000000000000000000000000:0000 0A 0\n"),
                                 true, on_port, &out);
    assert_string_equal(toc_buf_cstr(&out), "8000/1 9200/1 30000/0 8080/1 80/1 ");
    toc_buf_fini(&out);
}

static void recognise(const char *body, const char *kind, bool want_metrics) {
    bool is_metrics;
    int row = toc_discover_recognise(TOC_EXPOSITION_TEXT, toc_sv_cstr(body), &is_metrics);
    assert_string_equal(row < 0 ? "" : toc_discover_rows[row].kind, kind);
    assert_int_equal(is_metrics, want_metrics);
}

static void answers_are_recognised_by_their_names(void **state) {
    (void)state;
    recognise("# TYPE vllm:num_requests_running gauge\n", "vllm", true);
    recognise("process_cpu 1\nsglang:token_usage{a=\"b\"} 0.5\n", "sglang", true);
    recognise("node_load1 1\nvllm:x 1\n", "vllm",
              true); /* the first row wins, not the first line */
    recognise("DCGM_FI_DEV_GPU_UTIL{gpu=\"0\"} 1\n", "dcgm", true);
    recognise("go_goroutines 1\n", "", true);
    recognise("<html>vllm: hello</html>", "", false);
    recognise("vllm:x 1\n<html>", "", false);
    recognise("", "", false);
}

/* -------------------------------------------------------------------------------------------
 * against servers */

static struct world {
    struct toc_sink sink;
    struct toc_mutex mutex;
    struct recording_sink recording;
} w;

static int locked_write(struct toc_sink *s, const struct toc_point *points, size_t count,
                        struct toc_write_result *out, struct toc_err *err) {
    (void)s;
    toc_mutex_lock(&w.mutex);
    int rc = recording_write(&w.recording.base, points, count, out, err);
    toc_mutex_unlock(&w.mutex);
    return rc;
}

/* What a server says, and how often it was asked. */
struct served {
    const char *body;
    int requests;
};

static void serve(void *ctx, const struct toc_http_request *req, struct toc_http_response *res) {
    struct served *s = ctx;
    __atomic_fetch_add(&s->requests, 1, __ATOMIC_RELAXED);
    if (!toc_sv_eq(req->path, TOC_SV("/metrics"))) {
        res->status = 404;
        return;
    }
    res->content_type = "text/plain; version=0.0.4";
    toc_buf_append_cstr(&res->body, s->body);
}

static struct toc_http_server *start(struct served *s, uint16_t port) {
    struct toc_http_server *server = NULL;
    struct toc_err err = {0};
    const struct toc_http_server_options o = {.handler = serve, .ctx = s, .port = port};
    if (toc_http_server_start(&o, &server, &err) < 0)
        fail_msg("%s", err.message);
    return server;
}

static char g_list[600];

static void on_endpoint(void *ctx, const struct toc_discover_info *info) {
    size_t n = strlen(g_list);
    (void)ctx;
    snprintf(g_list + n, sizeof g_list - n, "%.*s=%s ", TOC_SV_ARG(info->kind),
             toc_discover_state_text(info->state));
    assert_true(info->since.ms > 0);
}

static const char *list(struct toc_discover *d) {
    g_list[0] = 0;
    toc_discover_list(d, on_endpoint, NULL);
    return g_list;
}

static bool has(const char *series, double value) {
    toc_mutex_lock(&w.mutex);
    const struct recorded *r = recorded_last(&w.recording, series);
    bool found = r && r->value == value;
    toc_mutex_unlock(&w.mutex);
    return found;
}

static void wait_for(const char *series, double value) {
    for (int i = 0; i < 800 && !has(series, value); i++)
        toc_sleep_ms(10);
    if (!has(series, value))
        fail_msg("%s never became %g", series, value);
}

static void endpoints_are_found_lost_and_found_again(void **state) {
    (void)state;
    struct served engine = {"vllm:num_requests_running 3\n", 0}, other = {"hello\n", 0},
                  own = {"vllm:x 1\n", 0};
    struct toc_http_server *a = start(&engine, 0), *b = start(&other, 0), *c = start(&own, 0);
    const uint16_t ports[] = {toc_http_server_port(a), toc_http_server_port(b),
                              toc_http_server_port(c)};
    const struct toc_scraper_options so = {.sink = &w.sink};
    struct toc_scraper *s = toc_scraper_new(&so);
    struct toc_err err = {0};
    assert_int_equal(toc_scraper_start(s, &err), 0);
    const struct toc_discover_options o = {
        .scraper = s, .extra_ports = ports, .extra_port_count = 3, .own_port = ports[2]};
    struct toc_discover *d = toc_discover_new(&o);
    toc_discover_scan(d);
    bool is_engine_first = ports[0] < ports[1];
    const char *both = is_engine_first ? "vllm=found =ignored " : "=ignored vllm=found ";
    assert_non_null(strstr(list(d), both));
    int asked = other.requests;
    assert_int_equal(own.requests, 0);
    toc_discover_scan(d);
    assert_int_equal(other.requests, asked); /* backed off */

    char up[100];
    snprintf(up, sizeof up, "up{instance=\"127.0.0.1:%u\", job=\"vllm\"}", ports[0]);
    wait_for(up, 1);
    toc_http_server_stop(&a);
    toc_discover_scan(d);
    assert_non_null(strstr(list(d), "vllm=gone"));
    wait_for(up, 0); /* a dead engine stays visible */
    a = start(&engine, ports[0]);
    toc_discover_scan(d);
    assert_non_null(strstr(list(d), "vllm=found"));
    wait_for(up, 1);

    toc_discover_free(&d);
    toc_scraper_free(&s);
    toc_http_server_stop(&a);
    toc_http_server_stop(&b);
    toc_http_server_stop(&c);
}

static void a_configured_target_is_left_to_its_config(void **state) {
    (void)state;
    struct served engine = {"vllm:num_requests_running 3\n", 0};
    struct toc_http_server *a = start(&engine, 0);
    const uint16_t ports[] = {toc_http_server_port(a)};
    const struct toc_scraper_options so = {.sink = &w.sink};
    struct toc_scraper *s = toc_scraper_new(&so);
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_err err = {0};
    const struct toc_yaml *doc;
    struct toc_scrape_set *set;
    char text[200];
    snprintf(text, sizeof text, "[{job_name: mine, static_configs: [{targets: ['localhost:%u']}]}]",
             ports[0]);
    assert_int_equal(toc_yaml_parse(toc_sv_cstr(text), &arena, &doc, &err), 0);
    assert_int_equal(toc_scrape_set_read(doc, NULL, &set, &err), 0);
    toc_arena_fini(&arena);
    toc_scraper_load(s, set);
    const struct toc_discover_options o = {
        .scraper = s, .extra_ports = ports, .extra_port_count = 1};
    struct toc_discover *d = toc_discover_new(&o);
    toc_discover_scan(d);
    assert_non_null(strstr(list(d), "=configured"));
    assert_int_equal(engine.requests, 0);
    toc_discover_free(&d);
    toc_scraper_free(&s);
    toc_http_server_stop(&a);
}

static int set_up(void **state) {
    (void)state;
    struct toc_err err = {0};
    w.sink.write = locked_write;
    toc_mutex_init(&w.mutex, TOC_LOCK_LOG);
    recording_init(&w.recording);
    return toc_net_init(&err) < 0;
}

static int tear_down(void **state) {
    (void)state;
    recording_fini(&w.recording);
    toc_mutex_fini(&w.mutex);
    toc_net_fini();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listeners_on_loopback_are_read),
        cmocka_unit_test(answers_are_recognised_by_their_names),
        cmocka_unit_test(endpoints_are_found_lost_and_found_again),
        cmocka_unit_test(a_configured_target_is_left_to_its_config),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
