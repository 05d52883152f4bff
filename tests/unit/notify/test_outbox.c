/* Delivery on a virtual clock with a channel that obeys the test, and with real workers. */
#include "../cmocka_prelude.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "notify/outbox.h"
#include "sample.h"
#include "statedb/statedb.h"
#include "sys/thread.h"

enum { SENT_MAX = 256 };

struct fixture {
    char dir[64], path[96];
    struct toc_clock_virtual clock;
    struct toc_statedb *db;
    struct toc_notifier *notifier;
    struct toc_mutex mutex;
    /* what the channel did */
    char sent[SENT_MAX][96];
    int sent_count, attempts;
    int rc_of_a; /* result for receiver "a" */
    int64_t retry_after_ms;
    struct toc_event blocked; /* receiver "dead" waits on it */
    int gave_up;
};

static int fake_deliver(void *ctx, const struct toc_channel *c, const struct toc_notification *n,
                        struct toc_http_client *client, struct toc_delivery *out,
                        struct toc_err *err) {
    struct fixture *f = ctx;
    (void)client;
    if (toc_sv_eq(n->receiver, TOC_SV("dead"))) {
        while (!toc_event_wait_ms(&f->blocked, 20))
            if (out->is_cancelled(out->cancel_ctx))
                return TOC_ECANCELED;
    }
    toc_mutex_lock(&f->mutex);
    int rc = toc_sv_eq(n->receiver, TOC_SV("a")) ? f->rc_of_a : 0;
    f->attempts++;
    out->retry_after_ms = f->retry_after_ms;
    if (rc)
        toc_errf(err, rc, "no");
    else if (f->sent_count < SENT_MAX)
        snprintf(f->sent[f->sent_count++], sizeof f->sent[0], "%.*s/%s %.*s",
                 TOC_SV_ARG(n->receiver), c->name, TOC_SV_ARG(n->key));
    toc_mutex_unlock(&f->mutex);
    return rc;
}

static void on_event(void *ctx, const struct toc_notifier_event *e) {
    struct fixture *f = ctx;
    toc_mutex_lock(&f->mutex);
    f->gave_up += e->gave_up;
    toc_mutex_unlock(&f->mutex);
}

static struct toc_receiver_set *receivers(void) {
    static const struct toc_channel channels[] = {
        {.kind = TOC_CHANNEL_WEBHOOK, .name = "one", .webhook = {.url = "http://x/"}},
        {.kind = TOC_CHANNEL_NTFY,
         .name = "two",
         .skips_resolved = true,
         .ntfy = {.url = "http://x/t"}},
    };
    static const struct toc_receiver items[] = {
        {"a", channels, 2}, {"b", channels, 1}, {"dead", channels, 1}};
    struct toc_receiver_set *s = toc_receiver_set_new();
    s->items = items;
    s->count = 3;
    return s;
}

static void start(struct fixture *f, bool is_manual) {
    struct toc_err err = {0};
    struct toc_statedb_options db = {
        .vfs = toc_vfs_system(), .path = f->path, .clock = &f->clock.base};
    if (!f->db && toc_statedb_open(&db, &f->db, &err))
        fail_msg("%s", err.message);
    struct toc_notifier_options o = {.db = f->db,
                                     .clock = is_manual ? &f->clock.base : toc_clock_system(),
                                     .seed = 7,
                                     .is_manual = is_manual,
                                     .deliver = fake_deliver,
                                     .deliver_ctx = f,
                                     .on_event = on_event,
                                     .event_ctx = f};
    assert_int_equal(toc_notifier_start(&o, &f->notifier, &err), 0);
    toc_notifier_set_receivers(f->notifier, receivers());
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/tocsin-notify-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/state.db", f->dir);
    toc_clock_virtual_init(&f->clock, (struct toc_ts){1795526254000});
    toc_mutex_init(&f->mutex, TOC_LOCK_QUEUE);
    toc_event_init(&f->blocked);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    toc_notifier_stop(&f->notifier);
    toc_statedb_close(&f->db);
    for (size_t i = 0; i < TOC_ARRAY_LEN(suffixes); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", f->path, suffixes[i]);
        unlink(path);
    }
    rmdir(f->dir);
    toc_event_fini(&f->blocked);
    toc_mutex_fini(&f->mutex);
    free(f);
    return 0;
}

static size_t send_one(struct fixture *f, const char *receiver, const char *incident,
                       const char *key, bool is_resolved) {
    struct toc_notification n = sample_notification();
    struct toc_err err = {0};
    size_t added = 0;
    n.receiver = toc_sv_cstr(receiver);
    n.incident_id = toc_sv_cstr(incident);
    n.key = toc_sv_cstr(key);
    n.is_resolved = is_resolved;
    if (toc_notifier_send(f->notifier, &n, &added, &err))
        fail_msg("%s", err.message);
    return added;
}

static void one_message_per_transition_and_channel(void **state) {
    struct fixture *f = *state;
    start(f, true);
    assert_int_equal(send_one(f, "a", "i1", "i1:firing", false), 2);
    assert_int_equal(send_one(f, "a", "i1", "i1:firing", false), 0); /* the same again */
    assert_int_equal(toc_notifier_pump(f->notifier), 2);
    assert_int_equal(send_one(f, "a", "i1", "i1:resolved", true), 1); /* "two" skips these */
    assert_int_equal(send_one(f, "a", "i1", "i1:firing", false), 0);  /* delivered long ago */
    assert_int_equal(toc_notifier_pump(f->notifier), 1);
    assert_int_equal(f->sent_count, 3);
    assert_string_equal(f->sent[2], "a/one i1:resolved");
    struct toc_notifier_stats s;
    toc_notifier_get_stats(f->notifier, &s);
    assert_int_equal(s.by_kind[TOC_CHANNEL_WEBHOOK].delivered, 2);
    assert_int_equal(s.by_kind[TOC_CHANNEL_NTFY].delivered, 1);
}

static int64_t ms_to_next_attempt(struct fixture *f) {
    struct toc_ts next;
    assert_int_equal(toc_outbox_next_due(f->db, &next, NULL), 0);
    return next.ms - f->clock.wall.ms;
}

static void failures_back_off_to_five_minutes_and_keep_order(void **state) {
    struct fixture *f = *state;
    start(f, true);
    f->rc_of_a = TOC_EUNAVAILABLE;
    send_one(f, "a", "i1", "k1", true);
    send_one(f, "a", "i1", "k2", true);
    double expected = 1000;
    for (int i = 0; i < 12; i++) {
        assert_int_equal(toc_notifier_pump(f->notifier), 1); /* k2 waits behind k1 */
        assert_int_equal(f->attempts, i + 1);
        int64_t wait = ms_to_next_attempt(f);
        assert_in_range(wait, (int64_t)(expected * 0.79), (int64_t)(expected * 1.21));
        toc_clock_virtual_advance(&f->clock, wait - 1);
        assert_int_equal(toc_notifier_pump(f->notifier), 0);
        toc_clock_virtual_advance(&f->clock, 1);
        expected = expected * 2 > 300000 ? 300000 : expected * 2;
    }
    f->rc_of_a = 0;
    assert_int_equal(toc_notifier_pump(f->notifier), 2);
    assert_string_equal(f->sent[0], "a/one k1");
    assert_string_equal(f->sent[1], "a/one k2");
}

static void the_peers_wish_is_kept(void **state) {
    struct fixture *f = *state;
    start(f, true);
    f->rc_of_a = TOC_EUNAVAILABLE;
    f->retry_after_ms = 90000;
    send_one(f, "a", "i1", "k1", true);
    toc_notifier_pump(f->notifier);
    assert_int_equal(ms_to_next_attempt(f), 90000);
}

static void permanent_failures_and_old_age_end_it(void **state) {
    struct fixture *f = *state;
    start(f, true);
    f->rc_of_a = TOC_EREJECTED;
    send_one(f, "a", "i1", "k1", true);
    send_one(f, "a", "i1", "k2", true);
    assert_int_equal(toc_notifier_pump(f->notifier), 2);
    assert_int_equal(f->gave_up, 2);
    f->rc_of_a = TOC_EUNAVAILABLE;
    send_one(f, "a", "i2", "k3", true);
    for (int i = 0; i < 25 * 60 && f->gave_up == 2; i++) {
        toc_notifier_pump(f->notifier);
        toc_clock_virtual_advance(&f->clock, 60000);
    }
    assert_int_equal(f->gave_up, 3);
    assert_int_equal(f->sent_count, 0);
}

static void pending_ones_survive_a_restart(void **state) {
    struct fixture *f = *state;
    start(f, true);
    send_one(f, "a", "i1", "k1", true);
    toc_notifier_stop(&f->notifier);
    toc_statedb_close(&f->db);
    start(f, true);
    assert_int_equal(toc_notifier_pump(f->notifier), 1);
    assert_string_equal(f->sent[0], "a/one k1");
}

static void a_receiver_taken_away_waits_for_its_return(void **state) {
    struct fixture *f = *state;
    start(f, true);
    send_one(f, "b", "i1", "k1", true);
    toc_notifier_set_receivers(f->notifier, toc_receiver_set_new());
    assert_int_equal(toc_notifier_pump(f->notifier), 1);
    assert_int_equal(f->gave_up, 0);
    toc_notifier_set_receivers(f->notifier, receivers());
    toc_clock_virtual_advance(&f->clock, 2000);
    assert_int_equal(toc_notifier_pump(f->notifier), 1);
    assert_int_equal(f->sent_count, 1);
    struct toc_notification n = sample_notification();
    struct toc_err err = {0};
    n.receiver = TOC_SV("nobody");
    assert_int_equal(toc_notifier_send(f->notifier, &n, NULL, &err), TOC_ENOENT);
}

/* Waits for real workers: at most 10 s, then the test fails. */
static void wait_sent(struct fixture *f, int count) {
    for (int i = 0; i < 1000; i++) {
        toc_mutex_lock(&f->mutex);
        bool done = f->sent_count >= count;
        toc_mutex_unlock(&f->mutex);
        if (done)
            return;
        toc_sleep_ms(10);
    }
    fail_msg("only %d of %d messages arrived", f->sent_count, count);
}

static void a_dead_receiver_delays_no_other(void **state) {
    struct fixture *f = *state;
    char incident[16], key[16];
    start(f, false);
    for (int i = 0; i < 100; i++) {
        snprintf(incident, sizeof incident, "d%d", i);
        send_one(f, "dead", incident, incident, true);
    }
    for (int i = 0; i < 30; i++) {
        snprintf(incident, sizeof incident, "i%d", i % 3);
        snprintf(key, sizeof key, "%d", i);
        send_one(f, "b", incident, key, true);
    }
    wait_sent(f, 30);
    int last[3] = {-1, -1, -1};
    for (int i = 0; i < 30; i++) { /* rising within each incident */
        int k = atoi(strchr(f->sent[i], ' ') + 1);
        assert_true(k > last[k % 3]);
        last[k % 3] = k;
    }
    toc_event_set(&f->blocked); /* it comes back */
    wait_sent(f, 130);
    assert_int_equal(f->sent_count, 130);
}

static void a_stop_leaves_the_rest_pending(void **state) {
    struct fixture *f = *state;
    start(f, false);
    send_one(f, "dead", "i1", "k1", true);
    send_one(f, "b", "i1", "k1", true);
    wait_sent(f, 1);
    toc_notifier_stop(&f->notifier); /* the dead one's attempt is cancelled */
    toc_event_set(&f->blocked);
    start(f, false);
    wait_sent(f, 2);
    assert_string_equal(f->sent[1], "dead/one k1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_message_per_transition_and_channel, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_back_off_to_five_minutes_and_keep_order, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_peers_wish_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(permanent_failures_and_old_age_end_it, setup, teardown),
        cmocka_unit_test_setup_teardown(pending_ones_survive_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(a_receiver_taken_away_waits_for_its_return, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_dead_receiver_delays_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stop_leaves_the_rest_pending, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
