/*
 * The alert manager under a virtual clock that jumps from deadline to deadline: hours of grouping,
 * repeating, silences and restarts in milliseconds. Each notification is written to a journal which
 * is compared with what Alertmanager's rules say.
 */
#include <stdio.h>

#include "../unit/cmocka_prelude.h"

#include "alert/alert_manager.h"
#include "memory_store.h"

#define MINUTE ((int64_t)60000)
#define HOUR (60 * MINUTE)
/* Monday 2026-01-05 00:00 UTC */
#define T0 INT64_C(1767571200000)

struct world {
    struct memory_blobs blobs;
    struct memory_silences silences;
    struct toc_alert_manager *m;
    struct toc_alert_observer observer;
    const char *yaml;
    struct toc_ts now;
    struct toc_buf journal, events;
    int refuse;               /* so many flushes are refused */
    bool tells_nobody;        /* no receiver has a channel */
    size_t commits_when_told; /* of the store, at the first event since it was set to 0 */
};

static bool on_flush(void *ctx, const struct toc_alert_flush *f) {
    struct world *w = ctx;
    toc_buf_printf(&w->journal, "%lld %.*s %s:", (long long)(f->now.ms - T0) / 1000,
                   TOC_SV_ARG(f->receiver), toc_flush_reason_text(f->reason));
    for (size_t i = 0; i < f->count; i++)
        toc_buf_printf(&w->journal, " %s%.*s", f->alerts[i].is_resolved ? "-" : "+",
                       TOC_SV_ARG(toc_labels_get(f->alerts[i].alert->labels, TOC_SV("inst"))));
    if (w->refuse) {
        w->refuse--;
        toc_buf_append_cstr(&w->journal, " refused");
    }
    toc_buf_append_char(&w->journal, '\n');
    return !toc_sv_ends_with(toc_buf_sv(&w->journal), TOC_SV("refused\n"));
}

static bool tells_anybody(void *ctx, struct toc_sv receiver) {
    const struct world *w = ctx;
    assert_true(receiver.n > 0);
    return !w->tells_nobody;
}

static void on_change(struct toc_alert_observer *o, enum toc_alert_event event,
                      const struct toc_alert_view *v, struct toc_ts now) {
    static const char *const names[] = {"firing", "updated", "resolved", "suppressed",
                                        "unsuppressed"};
    struct world *w = TOC_CONTAINER_OF(o, struct world, observer);
    if (!w->commits_when_told)
        w->commits_when_told = w->blobs.commits;
    toc_buf_printf(&w->events, "%lld %s %.*s%s\n", (long long)(now.ms - T0) / 1000, names[event],
                   TOC_SV_ARG(toc_labels_get(v->alert->labels, TOC_SV("inst"))),
                   toc_alert_view_is_suppressed(v) ? " muted" : "");
}

static struct toc_alert_config *parse(const char *yaml) {
    struct toc_alert_config *c = NULL;
    struct toc_err err = {0};
    int rc = toc_alert_config_parse(toc_sv_cstr(yaml), NULL, &c, &err);
    if (rc)
        fail_msg("%d:%d %s", err.line, err.column, err.message);
    return c;
}

static void boot(struct world *w) {
    struct toc_alert_manager_options o = {
        .flush = on_flush,
        .tells_anybody = tells_anybody,
        .flush_ctx = w,
        .observer = &w->observer,
        .store = &w->blobs.base,
        .silence_store = &w->silences.base,
        .id_seed = 7,
    };
    w->observer.on_change = on_change;
    w->m = toc_alert_manager_new(&o, parse(w->yaml));
    assert_int_equal(toc_alert_manager_load(w->m, w->now, NULL), 0);
}

static void world_init(struct world *w, const char *yaml) {
    *w = (struct world){.yaml = yaml, .now = {T0}};
    memory_blobs_init(&w->blobs);
    memory_silences_init(&w->silences);
    boot(w);
}

static void restart(struct world *w) {
    toc_alert_manager_free(&w->m);
    boot(w);
}

static void world_fini(struct world *w) {
    assert_int_equal(toc_alert_manager_stats(w->m).store_failures, 0);
    toc_alert_manager_free(&w->m);
    memory_blobs_fini(&w->blobs);
    toc_buf_fini(&w->journal);
    toc_buf_fini(&w->events);
}

/* Runs everything that is due up to and including `until_s` seconds after T0. */
static void run_to(struct world *w, int64_t until_s) {
    int64_t until = T0 + until_s * 1000;
    for (;;) {
        int64_t due = toc_alert_manager_next_due(w->m);
        if (due > until)
            break;
        w->now.ms = TOC_MAX(due, w->now.ms);
        toc_alert_manager_tick(w->m, w->now);
    }
    w->now.ms = until;
}

static void send_extra(struct world *w, const char *inst, const char *severity, bool is_firing,
                       const char *summary) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    struct toc_label note = {TOC_SV("summary"), toc_sv_cstr(summary)};
    toc_labels_builder_set(&b, TOC_SV("alertname"), TOC_SV("Hot"));
    toc_labels_builder_set(&b, TOC_SV("inst"), toc_sv_cstr(inst));
    toc_labels_builder_set(&b, TOC_SV("severity"), toc_sv_cstr(severity));
    struct toc_alert a = {
        .labels = toc_labels_builder_finish(&b),
        .annotations = {&note, 1},
        .starts_at = w->now,
        .ends_at = {is_firing ? 0 : w->now.ms},
    };
    struct toc_alert_sink *sink = toc_alert_manager_sink(w->m);
    sink->put(sink, &a, 1, w->now);
    toc_labels_builder_fini(&b);
}

static void send(struct world *w, const char *inst, bool is_firing) {
    send_extra(w, inst, "warning", is_firing, "hot");
}

static const char plain[] = "route: {receiver: ops, group_by: [alertname]}\n"
                            "receivers: [{name: ops, webhook_configs: [{url: 'http://x'}]}]\n";

/* Who follows alerts over a restart waits for each to be seen again, also for one that says the
 * same as before. */
static void an_alert_that_is_seen_again_after_a_restart_is_told_once(void **state) {
    struct world w;
    (void)state;
    world_init(&w, plain);
    send(&w, "a", true);
    send(&w, "b", true);
    run_to(&w, 60);
    send(&w, "a", true);
    run_to(&w, 120);
    restart(&w);
    toc_buf_reset(&w.events);
    send(&w, "a", true);
    run_to(&w, 130);
    send(&w, "a", true);
    send(&w, "b", false);
    run_to(&w, 140);
    assert_string_equal(toc_buf_cstr(&w.events), "120 updated a\n130 resolved b\n");
    world_fini(&w);
}

/* Four times a minute with other numbers: the store gets it once a minute, its end at once; who
 * crashes in between hears of it again from whoever tells it. */
static void numbers_that_move_are_stored_once_a_minute(void **state) {
    struct world w;
    char text[16];
    (void)state;
    world_init(&w, "route: {receiver: ops, group_wait: 10h}\n"
                   "receivers: [{name: ops, webhook_configs: [{url: 'http://x'}]}]\n");
    for (int second = 0; second < 600; second += 15) {
        run_to(&w, second);
        size_t before = w.blobs.puts;
        snprintf(text, sizeof text, "%d", second);
        send_extra(&w, "a", "warning", true, text);
        if (second > 0)
            assert_int_equal(w.blobs.puts - before, second % 60 == 0);
    }
    restart(&w);
    toc_buf_reset(&w.events);
    send_extra(&w, "a", "warning", true, "585");
    size_t before = w.blobs.puts;
    send(&w, "a", false);
    assert_int_equal(w.blobs.puts - before, 1);
    restart(&w);
    send(&w, "a", false);
    assert_string_equal(toc_buf_cstr(&w.events), "585 updated a\n585 resolved a\n");
    world_fini(&w);
}

enum { STORM = 500 };

/* All of a storm with one call, as rules and the doctor send what one evaluation found. */
static void send_storm(struct world *w, bool is_firing) {
    static char names[STORM][8];
    static struct toc_label labels[STORM][2];
    static struct toc_alert alerts[STORM];
    for (int i = 0; i < STORM; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        labels[i][0] = (struct toc_label){TOC_SV("alertname"), TOC_SV("Hot")};
        labels[i][1] = (struct toc_label){TOC_SV("inst"), toc_sv_cstr(names[i])};
        alerts[i] = (struct toc_alert){
            .labels = {labels[i], 2}, .starts_at = w->now, .ends_at = {is_firing ? 0 : w->now.ms}};
    }
    struct toc_alert_sink *sink = toc_alert_manager_sink(w->m);
    sink->put(sink, alerts, STORM, w->now);
}

/* Beginnings and ends are durable before anybody is told, with one commit for all of them. */
static void a_storm_is_one_commit(void **state) {
    struct world w;
    (void)state;
    world_init(&w, plain);
    size_t before = w.blobs.commits;
    send_storm(&w, true);
    assert_int_equal(w.blobs.commits - before, 1);
    assert_int_equal(w.commits_when_told, before + 1);
    assert_int_equal(w.blobs.puts, STORM + 1); /* and their group */
    assert_true(toc_sv_starts_with(toc_buf_sv(&w.events), TOC_SV("0 firing 0\n0 firing 1\n")));
    run_to(&w, 60);
    before = w.blobs.commits;
    w.commits_when_told = 0;
    send_storm(&w, false);
    assert_int_equal(w.commits_when_told, before + 1);
    run_to(&w, 400);
    /* The notification of the end, with which all of them are forgotten. */
    assert_int_equal(w.blobs.commits - before, 2);
    restart(&w);
    assert_int_equal(toc_alert_manager_stats(w.m).alerts_firing, 0);
    world_fini(&w);
}

/* With code `refusal` the first commit of a storm fails. */
/* Each notification is stored by itself, as a crash shall repeat one at most; where nobody is told
 * there is none to repeat. */
static void groups_that_tell_nobody_are_stored_together(void **state) {
    (void)state;
    enum { GROUPS = 20 };
    for (int tells_nobody = 0; tells_nobody <= 1; tells_nobody++) {
        struct world w;
        world_init(&w, "route: {receiver: a, group_by: [inst], group_wait: 10s}\n"
                       "receivers: [{name: a}]\n");
        w.tells_nobody = tells_nobody;
        for (int i = 0; i < GROUPS; i++) {
            char inst[16];
            snprintf(inst, sizeof inst, "i%02d", i);
            send(&w, inst, true);
        }
        size_t before = w.blobs.commits;
        run_to(&w, 10);
        assert_int_equal(w.blobs.commits - before, tells_nobody ? 1 : GROUPS);
        assert_int_equal(w.journal.n == 0, tells_nobody);
        assert_int_equal(toc_alert_manager_stats(w.m).flushes, GROUPS);
        w.tells_nobody = false;
        toc_buf_reset(&w.journal);
        restart(&w);
        run_to(&w, 300); /* it is on record that they were flushed */
        assert_int_equal(w.journal.n, 0);
        world_fini(&w);
    }
}

static void storm_after_refusal(int refusal, size_t commits) {
    struct world w;
    world_init(&w, plain);
    w.blobs.refuse = refusal;
    send_storm(&w, true);
    assert_int_equal(w.blobs.commits, commits);
    assert_int_equal(toc_alert_manager_stats(w.m).store_failures, STORM + 1);
    w.blobs.refuse = 0;
    send_storm(&w, true); /* the same again: it would need no commit within a minute */
    assert_int_equal(w.blobs.puts, STORM);
    restart(&w);
    toc_buf_reset(&w.events);
    send_storm(&w, false);
    assert_true(toc_sv_ends_with(toc_buf_sv(&w.events), TOC_SV("0 resolved 499\n")));
    world_fini(&w);
}

static void what_could_not_be_stored_is_stored_when_it_is_told_again(void **state) {
    (void)state;
    storm_after_refusal(TOC_ENOSPC, 1);
    storm_after_refusal(TOC_ELIMIT, 1 + STORM + 1); /* one by one, for the sake of the others */
}

static void wait_interval_and_repeat_are_exact(void **state) {
    struct world w;
    (void)state;
    world_init(&w, plain);
    send(&w, "a", true);
    run_to(&w, 10);
    send(&w, "b", true);
    run_to(&w, 100);
    send(&w, "c", true);
    run_to(&w, 5 * 3600);
    send(&w, "a", false);
    send(&w, "b", false);
    send(&w, "c", false);
    run_to(&w, 6 * 3600);
    /* 30 s wait; new alert at the next 5 m flush; repeat 4 h after that; then the end. */
    assert_string_equal(toc_buf_cstr(&w.journal), "30 ops first notification: +a +b\n"
                                                  "330 ops new alerts added: +a +b +c\n"
                                                  "14730 ops repeat interval elapsed: +a +b +c\n"
                                                  "18030 ops all alerts resolved: -a -b -c\n");
    assert_int_equal(toc_alert_manager_stats(w.m).alerts_firing, 0);
    assert_int_equal(toc_alert_manager_next_due(w.m), INT64_MAX);
    world_fini(&w);
}

static void refused_notification_is_offered_again(void **state) {
    struct world w;
    (void)state;
    world_init(&w, plain);
    w.refuse = 1;
    send(&w, "a", true);
    run_to(&w, 60);
    send(&w, "a", false);
    run_to(&w, 3600);
    assert_string_equal(toc_buf_cstr(&w.journal), "30 ops first notification: +a refused\n");
    world_fini(&w);

    world_init(&w, plain);
    w.refuse = 1;
    send(&w, "a", true);
    run_to(&w, 3600);
    assert_string_equal(toc_buf_cstr(&w.journal), "30 ops first notification: +a refused\n"
                                                  "330 ops first notification: +a\n");
    world_fini(&w);
}

/* One script of arrivals, silences and ends; `restarts` says before which steps the process is
 * killed. */
static void play(struct world *w, unsigned restarts, bool with_downtime) {
    static const struct {
        int at_s;
        const char *inst;
        bool is_firing;
    } script[] = {{0, "a", true},      {12, "b", true},     {95, "c", true},    {400, "b", false},
                  {700, "b", true},    {15000, "a", false}, {15010, "d", true}, {16000, "c", false},
                  {17000, "d", false}, {17100, "b", false}};
    char id[37];
    for (size_t i = 0; i < TOC_ARRAY_LEN(script); i++) {
        run_to(w, script[i].at_s);
        if (restarts >> i & 1) {
            restart(w);
            if (with_downtime)
                w->now.ms += 1;
        }
        if (i == 6) {
            struct toc_silence_record r = {.matchers = TOC_SV("inst=d"),
                                           .starts_at = w->now,
                                           .ends_at = {w->now.ms + 10 * MINUTE}};
            assert_int_equal(toc_alert_manager_set_silence(w->m, &r, w->now, id, NULL), 0);
        }
        send(w, script[i].inst, script[i].is_firing);
    }
    run_to(w, 30000);
}

static void restart_anywhere_changes_no_notification(void **state) {
    struct world straight;
    (void)state;
    world_init(&straight, plain);
    play(&straight, 0, false);
    assert_true(straight.journal.n > 200);
    for (unsigned restarts = 1; restarts < 1024; restarts += 7) {
        struct world broken;
        world_init(&broken, plain);
        play(&broken, restarts, false);
        assert_string_equal(toc_buf_cstr(&broken.journal), toc_buf_cstr(&straight.journal));
        assert_string_equal(toc_buf_cstr(&broken.events), toc_buf_cstr(&straight.events));
        world_fini(&broken);
    }
    world_fini(&straight);
}

static const char inhibiting[] = "route: {receiver: ops, group_by: ['...']}\n"
                                 "receivers: [{name: ops, webhook_configs: [{url: 'http://x'}]}]\n"
                                 "inhibit_rules:\n"
                                 "- {source_matchers: [severity=critical], target_matchers: "
                                 "[severity=warning], equal: [alertname]}\n";

static void critical_inhibits_warning(void **state) {
    struct world w;
    (void)state;
    world_init(&w, inhibiting);
    send_extra(&w, "root", "critical", true, "");
    send_extra(&w, "leaf", "warning", true, "");
    run_to(&w, 600);
    send_extra(&w, "root", "critical", false, "");
    run_to(&w, 1200);
    assert_string_equal(toc_buf_cstr(&w.events), "0 firing root\n0 firing leaf muted\n"
                                                 "600 resolved root\n600 unsuppressed leaf\n");
    assert_string_equal(toc_buf_cstr(&w.journal), "30 ops first notification: +root\n"
                                                  "630 ops first notification: +leaf\n"
                                                  "630 ops all alerts resolved: -root\n");
    world_fini(&w);
}

static void silence_holds_back_and_lets_go(void **state) {
    struct world w;
    char id[37], id2[37];
    struct toc_err err = {0};
    (void)state;
    world_init(&w, plain);
    struct toc_silence_record r = {.matchers = TOC_SV("inst=~\"a|b\""),
                                   .starts_at = {T0 - HOUR},
                                   .ends_at = {T0 + HOUR},
                                   .comment = TOC_SV("planned")};
    assert_int_equal(toc_alert_manager_set_silence(w.m, &r, w.now, id, NULL), 0);
    send(&w, "a", true);
    run_to(&w, 2 * 3600);
    assert_string_equal(toc_buf_cstr(&w.events), "0 firing a muted\n3600 unsuppressed a\n");
    assert_string_equal(toc_buf_cstr(&w.journal), "3630 ops first notification: +a\n");
    /* An update in place keeps the id only while it is active. */
    r.id = toc_sv_cstr(id);
    r.ends_at.ms = T0 + 3 * HOUR;
    assert_int_equal(toc_alert_manager_set_silence(w.m, &r, w.now, id2, NULL), 0);
    assert_string_not_equal(id, id2);
    r.id = toc_sv_cstr(id2);
    r.starts_at = w.now;
    r.ends_at.ms = T0 + 4 * HOUR;
    assert_int_equal(toc_alert_manager_set_silence(w.m, &r, w.now, id, NULL), 0);
    assert_string_equal(id, id2);
    assert_int_equal(toc_alert_manager_expire_silence(w.m, toc_sv_cstr(id), w.now, NULL), 0);
    assert_int_equal(toc_alert_manager_expire_silence(w.m, TOC_SV("x"), w.now, &err), TOC_ENOENT);
    assert_int_equal(toc_alert_manager_stats(w.m).silences_active, 0);
    world_fini(&w);
}

static void silence_until_resolved_ends_with_the_alert(void **state) {
    struct world w;
    char id[37];
    (void)state;
    world_init(&w, plain);
    send(&w, "a", true);
    run_to(&w, 60);
    struct toc_silence_record r = {.matchers = TOC_SV("inst=a"),
                                   .starts_at = w.now,
                                   .ends_at = {T0 + 100 * HOUR},
                                   .is_until_resolved = true};
    assert_int_equal(toc_alert_manager_set_silence(w.m, &r, w.now, id, NULL), 0);
    run_to(&w, 3600);
    send(&w, "a", false);
    run_to(&w, 4000);
    send(&w, "a", true);
    run_to(&w, 5000);
    assert_non_null(strstr(toc_buf_cstr(&w.journal), "4030 ops"));
    world_fini(&w);
}

static const char night[] = "route:\n"
                            "  receiver: ops\n"
                            "  group_by: [alertname]\n"
                            "  routes:\n"
                            "  - matchers: [severity=\"warning\"]\n"
                            "    mute_time_intervals: [night]\n"
                            "receivers: [{name: ops, webhook_configs: [{url: 'http://x'}]}]\n"
                            "time_intervals:\n"
                            "- name: night\n"
                            "  time_intervals: [{times: [{start_time: '00:00', end_time: "
                            "'06:00'}], weekdays: ['monday:friday']}]\n";

static void muted_route_speaks_in_the_morning(void **state) {
    struct world w;
    (void)state;
    world_init(&w, night);
    send(&w, "a", true);
    send_extra(&w, "b", "critical", true, "");
    run_to(&w, 7 * 3600);
    assert_string_equal(toc_buf_cstr(&w.journal), "30 ops first notification: +b\n"
                                                  "14430 ops repeat interval elapsed: +b\n"
                                                  "21630 ops first notification: +a\n");
    world_fini(&w);
}

static void outside_alert_times_out(void **state) {
    struct world w;
    struct toc_err err = {0};
    struct toc_label pair = {TOC_SV("inst"), TOC_SV("x")};
    (void)state;
    world_init(&w, plain);
    struct toc_alert a = {.labels = {&pair, 1}};
    assert_int_equal(toc_alert_manager_post(w.m, &a, w.now, &err), 0);
    run_to(&w, 1000);
    assert_string_equal(toc_buf_cstr(&w.events), "0 firing x\n300 resolved x\n");
    assert_string_equal(toc_buf_cstr(&w.journal), "30 ops first notification: +x\n"
                                                  "330 ops all alerts resolved: -x\n");
    a.labels.count = 0;
    assert_int_equal(toc_alert_manager_post(w.m, &a, w.now, &err), TOC_EINVAL);
    assert_string_equal(err.message, "at least one label pair required");
    world_fini(&w);
}

static void reload_keeps_what_was_told(void **state) {
    struct world w;
    (void)state;
    world_init(&w, plain);
    send(&w, "a", true);
    run_to(&w, 100);
    toc_alert_manager_set_config(w.m, parse(plain), w.now);
    run_to(&w, 1000);
    assert_string_equal(toc_buf_cstr(&w.journal), "30 ops first notification: +a\n");
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wait_interval_and_repeat_are_exact),
        cmocka_unit_test(refused_notification_is_offered_again),
        cmocka_unit_test(restart_anywhere_changes_no_notification),
        cmocka_unit_test(an_alert_that_is_seen_again_after_a_restart_is_told_once),
        cmocka_unit_test(numbers_that_move_are_stored_once_a_minute),
        cmocka_unit_test(a_storm_is_one_commit),
        cmocka_unit_test(groups_that_tell_nobody_are_stored_together),
        cmocka_unit_test(what_could_not_be_stored_is_stored_when_it_is_told_again),
        cmocka_unit_test(critical_inhibits_warning),
        cmocka_unit_test(silence_holds_back_and_lets_go),
        cmocka_unit_test(silence_until_resolved_ends_with_the_alert),
        cmocka_unit_test(muted_route_speaks_in_the_morning),
        cmocka_unit_test(outside_alert_times_out),
        cmocka_unit_test(reload_keeps_what_was_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
