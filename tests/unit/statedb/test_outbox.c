#include "../cmocka_prelude.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "state_fixture.h"
#include "statedb/outbox.h"
#include "sys/thread.h"

static struct state_fixture g_f;

static int setup(void **state) {
    (void)state;
    state_fixture_setup(&g_f);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    state_fixture_teardown(&g_f);
    return 0;
}

static int64_t add(const char *key, const char *receiver, const char *order, int64_t now) {
    struct toc_outbox_new n = {.idempotency_key = toc_sv_cstr(key),
                               .receiver = toc_sv_cstr(receiver),
                               .channel = TOC_SV("email"),
                               .incident_id = TOC_SV("I-1"),
                               .order_key = toc_sv_cstr(order),
                               .subject = TOC_SV("s"),
                               .payload = TOC_SV("p\0q")};
    int64_t id = 0;
    assert_int_equal(toc_outbox_add(g_f.db, &n, (struct toc_ts){now}, &id, NULL, NULL), 0);
    return id;
}

static int see_due(void *ctx, const struct toc_outbox_item *i) {
    toc_buf_printf(ctx, "%.*s ", TOC_SV_ARG(i->idempotency_key));
    assert_sv_equal(i->payload, "p\0q");
    return 0;
}

static void assert_due(int64_t now, const char *want) {
    struct toc_buf out = TOC_BUF_INIT;
    assert_int_equal(toc_outbox_due(g_f.db, (struct toc_ts){now}, 0, see_due, &out, NULL), 0);
    assert_string_equal(toc_buf_cstr(&out), want);
    toc_buf_fini(&out);
}

static int attempt(int64_t id, int64_t at, bool ok, bool is_permanent, int64_t next) {
    struct toc_outbox_attempt a = {.at = {at},
                                   .ok = ok,
                                   .is_permanent = is_permanent,
                                   .detail = TOC_SV("250 queued"),
                                   .next_at = {next}};
    struct toc_err err = {0};
    return toc_outbox_attempted(g_f.db, id, &a, &err);
}

static void the_same_key_is_added_once(void **state) {
    (void)state;
    int64_t first = add("k", "ops", "o", 10);
    assert_int_equal(add("k", "ops", "o", 20), first);
    struct toc_outbox_new bad = {.idempotency_key = TOC_SV("x")};
    struct toc_err err = {0};
    int64_t id;
    assert_int_equal(toc_outbox_add(g_f.db, &bad, (struct toc_ts){1}, &id, NULL, &err), TOC_EINVAL);
}

static void order_within_a_key_is_kept(void **state) {
    (void)state;
    int64_t a1 = add("a1", "ops", "a", 10), b1 = add("b1", "ops", "b", 10);
    add("a2", "ops", "a", 10);
    assert_due(9, "");
    assert_due(10, "a1 b1 ");
    assert_int_equal(attempt(a1, 11, false, false, 100), 0); /* a2 waits behind the retry */
    assert_due(50, "b1 ");
    assert_int_equal(attempt(b1, 50, true, false, 0), 0);
    assert_due(99, "");
    struct toc_ts next;
    assert_int_equal(toc_outbox_next_due(g_f.db, &next, NULL), 0);
    assert_int_equal(next.ms, 100);
    state_fixture_reopen(&g_f);
    assert_due(100, "a1 ");
    assert_int_equal(attempt(a1, 100, false, true, 0), 0); /* given up: the next may go */
    assert_due(100, "a2 ");
    assert_int_equal(attempt(a1, 101, true, false, 0), TOC_ECONFLICT);
    assert_int_equal(attempt(999, 101, true, false, 0), TOC_ENOENT);
}

static int see_delivery(void *ctx, const struct toc_outbox_item *i,
                        const struct toc_outbox_attempt *attempts, size_t count) {
    toc_buf_printf(ctx, "%.*s=%s(", TOC_SV_ARG(i->idempotency_key),
                   toc_outbox_state_text(i->state));
    for (size_t n = 0; n < count; n++)
        toc_buf_printf(ctx, "%d@%d", attempts[n].ok, (int)attempts[n].at.ms);
    toc_buf_printf(ctx, ")");
    return 0;
}

static int see_pending(void *ctx, struct toc_sv receiver, uint64_t pending, uint64_t failed) {
    toc_buf_printf(ctx, "%.*s:%d/%d ", TOC_SV_ARG(receiver), (int)pending, (int)failed);
    return 0;
}

static void the_ledger_shows_every_attempt(void **state) {
    (void)state;
    int64_t a = add("a", "ops", "a", 1);
    int64_t b = add("b", "dev", "b", 1);
    add("c", "dev", "c", 1);
    attempt(a, 2, false, false, 3);
    attempt(a, 3, true, false, 0);
    attempt(b, 4, false, true, 0);
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_outbox_filter all = {.incident_id = TOC_SV("I-1")};
    assert_int_equal(toc_outbox_list(g_f.db, &all, see_delivery, &out, NULL), 0);
    assert_string_equal(toc_buf_cstr(&out), "c=pending()b=failed(0@4)a=delivered(0@21@3)");
    toc_buf_reset(&out);
    struct toc_outbox_filter failed = {.has_state = true, .state = TOC_OUTBOX_FAILED};
    assert_int_equal(toc_outbox_list(g_f.db, &failed, see_delivery, &out, NULL), 0);
    assert_string_equal(toc_buf_cstr(&out), "b=failed(0@4)");
    toc_buf_reset(&out);
    assert_int_equal(toc_outbox_pending(g_f.db, see_pending, &out, NULL), 0);
    assert_string_equal(toc_buf_cstr(&out), "dev:1/1 ops:0/0 ");
    uint64_t removed = 0;
    assert_int_equal(toc_outbox_prune(g_f.db, (struct toc_ts){4}, &removed, NULL), 0);
    assert_int_equal(removed, 1); /* a, finished at 3 */
    toc_buf_fini(&out);
}

struct worker {
    struct toc_thread thread;
    int number;
};

static int see_nothing(void *ctx, const struct toc_outbox_item *i) {
    (void)i;
    ++*(int *)ctx;
    return 0;
}

static void work(void *ctx) {
    struct worker *w = ctx;
    for (int i = 0; i < 25; i++) {
        char key[32];
        snprintf(key, sizeof key, "%d-%d", w->number, i);
        int64_t id = add(key, "ops", key, 1);
        int seen = 0;
        assert_int_equal(toc_outbox_due(g_f.db, (struct toc_ts){2}, 10, see_nothing, &seen, NULL),
                         0);
        assert_true(seen > 0);
        assert_int_equal(attempt(id, 2, true, false, 0), 0);
    }
}

static void many_threads_share_the_database(void **state) {
    (void)state;
    struct worker workers[6];
    for (int i = 0; i < 6; i++) {
        workers[i] = (struct worker){.number = i};
        assert_int_equal(toc_thread_start(&workers[i].thread, "worker", work, &workers[i]), 0);
    }
    for (int i = 0; i < 6; i++)
        toc_thread_join(&workers[i].thread);
    assert_due(10, "");
    struct toc_statedb_health h;
    toc_statedb_get_health(g_f.db, &h);
    assert_int_equal(h.write_errors, 0);
    assert_true(h.writes >= 300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(the_same_key_is_added_once),
        T(order_within_a_key_is_kept),
        T(the_ledger_shows_every_attempt),
        T(many_threads_share_the_database),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
