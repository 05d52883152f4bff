/* Random alerts, actions, time and restarts: no illegal state is ever reached, and store and memory
 * agree. */
#include "../cmocka_prelude.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/rng.h"
#include "incident_fixture.h"
#include "model/incident_json.h"

enum { SUBJECTS = 3, RANKS = 3, STEPS = 1500 };

static uint64_t g_seed = 20261124;
static struct incident_fixture g_f;
static struct toc_rng g_rng;

static int below(int n) {
    return (int)toc_rng_below(&g_rng, (uint64_t)n);
}

static void random_alert(void) {
    static const enum toc_kind kinds[] = {TOC_KIND_LOSS_SPIKE, TOC_KIND_NON_FINITE,
                                          TOC_KIND_THROUGHPUT_DROP};
    static const enum toc_intake_change changes[] = {TOC_INTAKE_FIRING, TOC_INTAKE_RESOLVED,
                                                     TOC_INTAKE_RESOLVED, TOC_INTAKE_SUPPRESSED};
    char subject[16], rule[16];
    int kind = below(3);
    snprintf(subject, sizeof subject, "s%d", below(SUBJECTS));
    snprintf(rule, sizeof rule, "r%d", kind);
    incident_fixture_alert(&g_f, changes[below(4)], kinds[kind], rule, subject, below(RANKS));
}

static void random_action(void) {
    char id[16], other[16];
    struct toc_err err = {0};
    snprintf(id, sizeof id, "%04d", below(12) + 1);
    snprintf(other, sizeof other, "%04d", below(12) + 1);
    enum toc_incident_action_type type =
        (enum toc_incident_action_type)below(TOC_INCIDENT_ACTION_COUNT);
    int rc = type == TOC_INCIDENT_ACTION_VERDICT
                 ? incident_fixture_verdict(&g_f, id, (enum toc_verdict)below(TOC_VERDICT_COUNT),
                                            other, &err)
                 : incident_fixture_act(&g_f, id, type, "text", &err);
    bool is_expected = rc == 0 || rc == TOC_ECONFLICT || rc == TOC_ENOENT || rc == TOC_EINVAL;
    assert_true(is_expected);
    assert_true((rc == 0) == (err.message[0] == '\0'));
}

static void random_delivery(void) {
    char id[32];
    snprintf(id, sizeof id, "I-20261124-%04d", below(12) + 1);
    int rc = toc_incident_notified(g_f.m, toc_sv_cstr(id), TOC_SV("ops"), g_f.now, NULL);
    assert_true(rc == 0 || rc == TOC_ENOENT);
}

static void check_invariants(const struct toc_incident *i) {
    bool is_open = toc_incident_state_is_open(i->state);
    bool is_monitoring = i->state == TOC_INCIDENT_MONITORING;
    assert_true(i->state != TOC_INCIDENT_DETECTED);
    assert_true(is_open == (i->resolved_at.ms == 0));
    assert_true(is_monitoring == (i->monitoring_at.ms != 0));
    assert_true(is_monitoring || i->held_state == i->state);
    assert_true(i->started_at.ms <= i->detected_at.ms);
    assert_true((i->state == TOC_INCIDENT_DUPLICATE_OF) <= (i->duplicate_of.n > 0));
    assert_true((i->state == TOC_INCIDENT_REVIEWED) == (i->reviewed_at.ms != 0));
    if (i->state == TOC_INCIDENT_ACKNOWLEDGED || i->state == TOC_INCIDENT_MITIGATING)
        assert_true(i->acknowledged_at.ms != 0 && i->acknowledged_by.n > 0);
}

static int check_one(void *ctx, const struct toc_incident *stored) {
    struct toc_incident mine;
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    struct toc_json_writer w;
    check_invariants(stored);
    assert_int_equal(toc_incident_get(ctx, toc_sv_cstr(stored->id), &mine, NULL), 0);
    toc_json_writer_init(&w, &a);
    toc_incident_write_json(&w, stored, NULL, 0);
    toc_json_writer_init(&w, &b);
    toc_incident_write_json(&w, &mine, NULL, 0);
    assert_string_equal(toc_buf_cstr(&a), toc_buf_cstr(&b));
    assert_int_equal(stored->held_state, mine.held_state);
    toc_buf_fini(&a);
    toc_buf_fini(&b);
    toc_incident_fini(&mine);
    return 0;
}

static void check_all(void) {
    struct toc_incident_filter all = {.limit = 1000};
    toc_incident_tick(g_f.m, g_f.now); /* writes what may lag behind */
    struct toc_incident_store *s = &g_f.store.base;
    assert_int_equal(s->list(s, &all, check_one, g_f.m, NULL), 0);
}

static void random_lives_stay_legal_and_durable(void **state) {
    (void)state;
    toc_rng_seed(&g_rng, g_seed);
    for (int step = 0; step < STEPS; step++) {
        int what = below(100);
        if (what < 45)
            random_alert();
        else if (what < 75)
            random_action();
        else if (what < 85)
            random_delivery();
        else if (what < 99)
            incident_fixture_pass(&g_f, below(12) ? below(15) : 400);
        else
            incident_fixture_restart(&g_f);
        if (step % 10 == 0)
            check_all();
    }
    check_all();
}

static void the_table_has_no_way_out_of_reviewed(void **state) {
    (void)state;
    for (int to = 0; to < TOC_INCIDENT_STATE_COUNT; to++)
        assert_false(toc_lifecycle_allows(TOC_INCIDENT_REVIEWED, (enum toc_incident_state)to));
    for (int from = 0; from < TOC_INCIDENT_STATE_COUNT; from++)
        assert_false(toc_lifecycle_allows((enum toc_incident_state)from, TOC_INCIDENT_DETECTED));
}

static int setup(void **state) {
    (void)state;
    incident_fixture_setup(&g_f);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    incident_fixture_teardown(&g_f);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--seed") == 0)
        g_seed = strtoull(argv[2], NULL, 10);
    print_message("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_no_way_out_of_reviewed),
        cmocka_unit_test_setup_teardown(random_lives_stay_legal_and_durable, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
