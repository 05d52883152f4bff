/* The whole way out to a receiver that answers as a test wants it: real threads, real sockets. */
#include "../metricdb/fixture.h"

#include <stdatomic.h>

#include "forward/forward.h"
#include "forward/position.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "remote/remote_write.h"

enum { WAIT_MS = 60000, STEP_MS = 5 };

/* --- the receiver --- */

struct receiver {
    struct fixture f;
    struct toc_remote_write *rw;
    struct toc_http_server *server;
    atomic_int status;    /* 0: takes it; otherwise the answer */
    atomic_bool is_hung;  /* no answer until it is not */
    atomic_bool is_old;   /* does not know 2.0: 204, and nothing is stored */
    atomic_bool is_picky; /* a message with the value 13 in it is refused as a whole */
    atomic_size_t max_body;
    atomic_uint requests, taken;
};

static bool holds_13(struct toc_sv body) {
    static const char bytes[] = "\x09\x00\x00\x00\x00\x00\x00\x2a\x40"; /* field 1: 13.0 */
    for (size_t i = 0; i + 9 <= body.n; i++)
        if (memcmp(body.p + i, bytes, 9) == 0)
            return true;
    return false;
}

static void take(struct receiver *r, const struct toc_http_request *req,
                 struct toc_http_response *res, bool is_2) {
    struct toc_remote_outcome out = {0};
    struct toc_err err = {0};
    int rc = toc_remote_write_receive(r->rw, is_2 ? TOC_REMOTE_WRITE_2 : TOC_REMOTE_WRITE_1, false,
                                      req->body, &out, &err);
    res->status = rc || out.is_partial ? 400 : 204;
    if (is_2)
        toc_http_response_header(res, "X-Prometheus-Remote-Write-Samples-Written", "%zu",
                                 out.samples);
    toc_buf_fini(&out.text);
    atomic_fetch_add(&r->taken, 1);
}

static void handle(void *ctx, const struct toc_http_request *req, struct toc_http_response *res) {
    struct receiver *r = ctx;
    bool is_2 = toc_sv_ends_with(req->content_type, TOC_SV("v2.Request"));
    atomic_fetch_add(&r->requests, 1);
    while (atomic_load(&r->is_hung))
        toc_sleep_ms(STEP_MS);
    res->content_type = "text/plain";
    toc_buf_append_cstr(&res->body, "because the test wants it");
    int status = atomic_load(&r->status);
    size_t max = atomic_load(&r->max_body);
    if (status)
        res->status = status;
    else if (max && req->body.n > max)
        res->status = 413;
    else if (atomic_load(&r->is_picky) && holds_13(req->body))
        res->status = 400;
    else if (is_2 && atomic_load(&r->is_old))
        res->status = 204;
    else
        take(r, req, res, is_2);
}

static void receiver_init(struct receiver *r) {
    struct toc_err err = {0};
    memset(r, 0, sizeof *r);
    fixture_init(&r->f, 99);
    r->rw = toc_remote_write_new(r->f.db, &r->f.clock.base);
    const struct toc_http_server_options o = {.handler = handle, .ctx = r};
    if (toc_http_server_start(&o, &r->server, &err))
        fail_msg("%s", err.message);
}

static void receiver_fini(struct receiver *r) {
    atomic_store(&r->is_hung, false);
    toc_http_server_stop(&r->server);
    toc_remote_write_free(&r->rw);
    fixture_fini(&r->f);
}

/* --- the sender --- */

struct setup {
    struct fixture f;
    struct receiver to;
    struct toc_forward *forward;
    struct toc_forward_set *set;
    struct toc_arena arena;
    int next; /* value of the next sample */
};

static void configure(struct setup *s, const char *more) {
    const struct toc_yaml *root;
    struct toc_err err = {0};
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text,
                   "- {url: 'http://127.0.0.1:%u/w', queue_config: {batch_send_deadline: 5ms, "
                   "max_backoff: 50ms, max_samples_per_send: 64%s}%s}\n",
                   toc_http_server_port(s->to.server), more[0] == ',' ? more : "",
                   more[0] == ';' ? more + 1 : "");
    toc_forward_set_unref(&s->set);
    struct toc_sv kept = toc_arena_dup_sv(&s->arena, toc_buf_sv(&text));
    toc_buf_fini(&text);
    if (toc_yaml_parse(kept, &s->arena, &root, &err) ||
        toc_forward_set_read(root, TOC_LABELS_EMPTY, NULL, &s->set, &err))
        fail_msg("%s", err.message);
    toc_forward_set(s->forward, s->set);
}

static void start(struct setup *s, const struct toc_forward_limits *limits) {
    static const struct toc_forward_limits wide = {UINT64_MAX, INT64_MAX / 2, 0};
    const struct toc_forward_options o = {.db = s->f.db,
                                          .vfs = s->f.options.vfs,
                                          .dir = "/positions",
                                          .limits = limits ? *limits : wide};
    s->forward = toc_forward_new(&o);
}

static void begin_with(struct setup *s, const char *more, const struct toc_forward_limits *limits) {
    *s = (struct setup){.forward = NULL};
    fixture_init(&s->f, 1);
    receiver_init(&s->to);
    start(s, limits);
    configure(s, more);
}

static void end(struct setup *s) {
    toc_forward_free(&s->forward);
    toc_forward_set_unref(&s->set);
    toc_arena_fini(&s->arena);
    receiver_fini(&s->to);
    fixture_fini(&s->f);
}

static void write_some(struct setup *s, int count) {
    for (int i = 0; i < count; i++, s->next++) {
        char instance[16];
        snprintf(instance, sizeof instance, "%d", s->next % 7);
        assert_int_equal(
            fixture_write(&s->f, "m", instance, FIXTURE_START_MS - 100000 + s->next, s->next, NULL),
            0);
    }
}

static struct toc_forward_stats stats(struct setup *s) {
    struct toc_forward_stats x = {.read = 0};
    assert_int_equal(toc_forward_stats(s->forward, &x, 1), 1);
    return x;
}

static size_t arrived(struct setup *s) {
    return fixture_select(&s->to.f, "m", 0, INT64_MAX).samples;
}

#define WAIT_FOR(condition)                                   \
    do {                                                      \
        int64_t waited_ = 0;                                  \
        while (!(condition) && waited_ < WAIT_MS) {           \
            toc_sleep_ms(STEP_MS);                            \
            toc_forward_tick(s.forward);                      \
            waited_ += STEP_MS;                               \
        }                                                     \
        if (!(condition))                                     \
            fail_msg("it never became true: %s", #condition); \
    } while (0)

/* --- tests --- */

static void everything_arrives_once_also_over_a_restart(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, "", NULL);
    write_some(&s, 500);
    WAIT_FOR(arrived(&s) == 500);
    toc_forward_free(&s.forward);
    unsigned before = atomic_load(&s.to.taken);
    start(&s, NULL);
    toc_forward_set(s.forward, s.set);
    write_some(&s, 100); /* those before are not sent again */
    WAIT_FOR(arrived(&s) == 600);
    WAIT_FOR(stats(&s).sent == 100);
    assert_int_equal(stats(&s).read, 100);
    assert_true(atomic_load(&s.to.taken) > before);
    end(&s);
}

static void what_came_while_nobody_forwarded_is_caught_up(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, "", NULL);
    atomic_store(&s.to.status, 503);
    write_some(&s, 300);
    WAIT_FOR(stats(&s).retried > 0);
    toc_forward_free(&s.forward); /* the daemon goes, and comes again twice */
    write_some(&s, 300);
    assert_int_equal(toc_metricdb_compact(s.f.db, NULL), 0); /* the log drops its segments */
    fixture_reopen(&s.f);
    write_some(&s, 300);
    fixture_reopen(&s.f);
    start(&s, NULL);
    toc_forward_set(s.forward, s.set);
    WAIT_FOR(stats(&s).is_failing);
    assert_int_equal(arrived(&s), 0);
    atomic_store(&s.to.status, 0);
    WAIT_FOR(arrived(&s) == 900);
    WAIT_FOR(stats(&s).behind_bytes == 0);
    struct toc_forward_totals totals;
    toc_forward_tick(s.forward);
    toc_forward_totals(s.forward, &totals);
    assert_int_equal(totals.held_segments, 0); /* delivered: nothing is kept for it any more */
    end(&s);
}

static void a_bad_sample_does_not_take_others_along(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, "", NULL);
    atomic_store(&s.to.is_picky, true);
    write_some(&s, 400);
    WAIT_FOR(arrived(&s) == 399);
    WAIT_FOR(stats(&s).dropped[TOC_FORWARD_DROP_REFUSED] == 1);
    end(&s);
}

static void what_is_too_large_goes_in_smaller_pieces(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, "", NULL);
    atomic_store(&s.to.max_body, 200);
    write_some(&s, 300);
    WAIT_FOR(arrived(&s) == 300);
    assert_int_equal(stats(&s).dropped[TOC_FORWARD_DROP_REFUSED], 0);
    end(&s);
}

static void a_receiver_of_1_0_gets_1_0(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct setup s;
        begin_with(&s, "", NULL);
        atomic_store(&s.to.is_old, i == 0);
        configure(&s, ";, protobuf_message: io.prometheus.write.v2.Request");
        write_some(&s, 100);
        WAIT_FOR(arrived(&s) == 100);
        WAIT_FOR(stats(&s).sent == 100);
        assert_true(stats(&s).is_older_message == (i == 0));
        end(&s);
    }
}

static void a_busy_receiver_is_asked_again_unless_told_otherwise(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, "", NULL);
    atomic_store(&s.to.status, 429);
    write_some(&s, 50);
    WAIT_FOR(stats(&s).retried > 0);
    configure(&s, ", retry_on_http_429: false"); /* goes on at the same position */
    WAIT_FOR(stats(&s).dropped[TOC_FORWARD_DROP_REFUSED] == 50);
    assert_non_null(strstr(stats(&s).problem, "HTTP 429: because the test wants it"));
    atomic_store(&s.to.status, 0);
    write_some(&s, 50);
    WAIT_FOR(arrived(&s) == 50);
    end(&s);
}

static void a_hanging_receiver_holds_up_nobody(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, ", capacity: 100, max_shards: 2", NULL);
    atomic_store(&s.to.is_hung, true);
    write_some(&s, 20);
    WAIT_FOR(atomic_load(&s.to.requests) > 0);
    write_some(&s, 5000); /* all of them are acknowledged */
    WAIT_FOR(stats(&s).pending >= 100);
    assert_true(stats(&s).pending < 400); /* bounded: one record more than the shards hold */
    WAIT_FOR(stats(&s).behind_samples > 4000);
    atomic_store(&s.to.is_hung, false);
    WAIT_FOR(arrived(&s) == 5020);
    end(&s);
}

static void beyond_the_limit_the_oldest_is_dropped_and_counted(void **state) {
    (void)state;
    struct setup s;
    static const struct toc_forward_limits narrow = {.max_bytes = 1, .max_age_ms = INT64_MAX / 2};
    begin_with(&s, ", capacity: 1", &narrow);
    atomic_store(&s.to.status, 503);
    write_some(&s, 10);
    WAIT_FOR(stats(&s).pending > 0);
    size_t in_memory = stats(&s).pending;
    write_some(&s, 200);
    assert_int_equal(toc_metricdb_compact(s.f.db, NULL), 0);
    write_some(&s, 30);
    WAIT_FOR(stats(&s).dropped[TOC_FORWARD_DROP_BACKLOG_BYTES] > 0);
    struct toc_forward_totals totals;
    WAIT_FOR((toc_forward_totals(s.forward, &totals), totals.held_segments == 0));
    atomic_store(&s.to.status, 0);
    WAIT_FOR(stats(&s).behind_bytes == 0 && stats(&s).pending == 0);
    struct toc_forward_stats x = stats(&s);
    assert_int_equal(x.sent + x.dropped[TOC_FORWARD_DROP_BACKLOG_BYTES], x.read);
    assert_true(arrived(&s) >= in_memory + 30);
    end(&s);
}

static void a_full_disk_drops_what_is_held_for_receivers(void **state) {
    (void)state;
    struct setup s;
    struct toc_forward_limits l = {UINT64_MAX, INT64_MAX / 2, UINT64_MAX / 2};
    begin_with(&s, ", capacity: 1", &l);
    toc_vfs_sim_set_capacity(s.f.disk, (uint64_t)64 << 20);
    atomic_store(&s.to.status, 503);
    write_some(&s, 100);
    assert_int_equal(toc_metricdb_compact(s.f.db, NULL), 0);
    write_some(&s, 10);
    WAIT_FOR(stats(&s).dropped[TOC_FORWARD_DROP_DISK_FULL] > 0);
    end(&s);
}

static void a_position_that_cannot_be_kept_stops_nothing(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, "", NULL);
    toc_vfs_sim_fail(s.f.disk, TOC_SIM_RENAME, 1, TOC_ENOSPC, true);
    write_some(&s, 100);
    WAIT_FOR(arrived(&s) == 100);
    WAIT_FOR(stats(&s).position_failures > 0);
    toc_vfs_sim_fail(s.f.disk, 0, 0, 0, false);
    write_some(&s, 1);
    WAIT_FOR(stats(&s).behind_bytes == 0 && stats(&s).saved.offset > 0);
    end(&s);
}

static void a_receiver_whose_position_cannot_be_made_starts_later(void **state) {
    (void)state;
    struct setup s = {.forward = NULL};
    fixture_init(&s.f, 1);
    receiver_init(&s.to);
    start(&s, NULL);
    toc_vfs_sim_fail(s.f.disk, TOC_SIM_RENAME, 1, TOC_ENOSPC, true);
    configure(&s, "");
    struct toc_forward_totals totals;
    toc_forward_totals(s.forward, &totals);
    assert_int_equal(totals.not_started, 1);
    toc_vfs_sim_fail(s.f.disk, 0, 0, 0, false);
    toc_forward_tick(s.forward);
    toc_forward_totals(s.forward, &totals);
    assert_int_equal(totals.not_started, 0);
    write_some(&s, 10);
    WAIT_FOR(arrived(&s) == 10);
    end(&s);
}

static void a_reload_touches_only_what_changed(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, "", NULL);
    write_some(&s, 50);
    WAIT_FOR(stats(&s).sent == 50);
    configure(&s, ""); /* the same again: it goes on counting */
    write_some(&s, 50);
    WAIT_FOR(stats(&s).sent == 100);
    configure(&s, ", capacity: 5000"); /* another: starts anew, at its position */
    write_some(&s, 50);
    WAIT_FOR(arrived(&s) == 150);
    WAIT_FOR(stats(&s).sent == 50);
    toc_forward_set(s.forward, NULL); /* gone: nothing is held for it */
    struct toc_forward_stats none;
    assert_int_equal(toc_forward_stats(s.forward, &none, 1), 0);
    struct toc_file_info info;
    struct toc_vfs *vfs = s.f.options.vfs;
    assert_int_equal(vfs->info(vfs, "/data/held", &info), TOC_ENOENT);
    char path[TOC_FORWARD_PATH_MAX];
    toc_forward_position_path("/positions", toc_forward_set_get(s.set, 0)->key, path);
    assert_int_equal(vfs->info(vfs, path, &info), TOC_ENOENT);
    end(&s);
}

static void a_damaged_position_sends_everything_again(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, "", NULL);
    write_some(&s, 50);
    WAIT_FOR(stats(&s).saved.offset && stats(&s).behind_bytes == 0);
    toc_forward_free(&s.forward);
    char path[TOC_FORWARD_PATH_MAX];
    toc_forward_position_path("/positions", toc_forward_set_get(s.set, 0)->key, path);
    assert_int_equal(toc_vfs_sim_flip_bit(s.f.disk, path, 100), 0);
    start(&s, NULL);
    toc_forward_set(s.forward, s.set);
    WAIT_FOR(stats(&s).sent == 50);
    assert_int_equal(arrived(&s), 50); /* the same sample twice is one */
    end(&s);
}

static void relabelling_decides_what_goes_out(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s,
               ";, write_relabel_configs: [{source_labels: [i], regex: '[0-3]', action: drop}, "
               "{target_label: from, replacement: here}]",
               NULL);
    write_some(&s, 70);
    WAIT_FOR(stats(&s).read == 70);
    WAIT_FOR(stats(&s).sent == 30);
    assert_int_equal(stats(&s).dropped[TOC_FORWARD_DROP_RELABEL], 40);
    assert_int_equal(arrived(&s), 30);
    end(&s);
}

static int net_up(void **state) {
    (void)state;
    return toc_net_init(NULL);
}

static int net_down(void **state) {
    (void)state;
    toc_net_fini();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_arrives_once_also_over_a_restart),
        cmocka_unit_test(what_came_while_nobody_forwarded_is_caught_up),
        cmocka_unit_test(a_bad_sample_does_not_take_others_along),
        cmocka_unit_test(what_is_too_large_goes_in_smaller_pieces),
        cmocka_unit_test(a_receiver_of_1_0_gets_1_0),
        cmocka_unit_test(a_busy_receiver_is_asked_again_unless_told_otherwise),
        cmocka_unit_test(a_hanging_receiver_holds_up_nobody),
        cmocka_unit_test(beyond_the_limit_the_oldest_is_dropped_and_counted),
        cmocka_unit_test(a_full_disk_drops_what_is_held_for_receivers),
        cmocka_unit_test(a_position_that_cannot_be_kept_stops_nothing),
        cmocka_unit_test(a_receiver_whose_position_cannot_be_made_starts_later),
        cmocka_unit_test(a_reload_touches_only_what_changed),
        cmocka_unit_test(a_damaged_position_sends_everything_again),
        cmocka_unit_test(relabelling_decides_what_goes_out),
    };
    return cmocka_run_group_tests(tests, net_up, net_down);
}
