#include "../cmocka_prelude.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "model/incident_json.h"
#include "state_fixture.h"
#include "statedb/incidents.h"

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

static void fill(struct toc_incident *i) {
    toc_incident_init(i);
    i->kind = TOC_KIND_NON_FINITE;
    i->severity = TOC_SEVERITY_CRITICAL;
    i->state = TOC_INCIDENT_TRIGGERED;
    i->held_state = TOC_INCIDENT_TRIGGERED;
    i->has_step = true;
    i->step = 412;
    i->title = toc_incident_text(i, TOC_SV("NaN in \"loss\"\n"));
    i->rule = toc_incident_text(i, TOC_SV("LossNotFinite"));
    i->started_at = (struct toc_ts){1795526400000};
    i->detected_at = (struct toc_ts){1795526402500};
    struct toc_label pairs[] = {{TOC_SV("host"), TOC_SV("n1")}, {TOC_SV("run"), TOC_SV("demo")}};
    toc_incident_set_subject(i, (struct toc_labels){pairs, 2});
    struct toc_incident_evidence e[] = {
        {.shown = {TOC_SV("loss"), TOC_SV("loss{run=\"demo\"}"), TOC_SV(""), NAN, NAN, NAN, NAN},
         .chart_url = TOC_SV("/#/explore?expr=x")},
        {.shown = {TOC_SV("norm"), TOC_SV("n"), TOC_SV(""), INFINITY, 5, 0.5, 2},
         .chart_url = TOC_SV("/#/explore?expr=y")},
    };
    toc_incident_set_evidence(i, e, 2);
    struct toc_cause c = {TOC_SV("rate too high"), 0.8, TOC_SV("lr")};
    toc_incident_set_causes(i, &c, 1);
    struct toc_cascade k = {.kind = TOC_KIND_LOSS_SPIKE,
                            .title = TOC_SV("Loss spike"),
                            .subject = {pairs, 2},
                            .started_at = {1795526401000},
                            .count = 3};
    toc_incident_add_cascade(i, &k);
    struct toc_incident_alert a = {.fingerprint = 0xfedcba9876543210,
                                   .kind = TOC_KIND_NON_FINITE,
                                   .is_firing = true,
                                   .is_changed = true};
    TOC_VEC_PUSH(&i->alerts, a);
}

static void to_json(const struct toc_incident *i, struct toc_buf *out) {
    struct toc_json_writer w;
    toc_json_writer_init(&w, out);
    toc_incident_write_json(&w, i, NULL, 0);
}

static int count_entries(void *ctx, const struct toc_timeline_entry *e) {
    assert_int_equal(e->type, TOC_TIMELINE_DETECTED);
    assert_sv_equal(e->actor, "tocsin");
    ++*(int *)ctx;
    return 0;
}

static void an_incident_comes_back_as_it_was(void **state) {
    (void)state;
    struct toc_incidents store;
    toc_incidents_init(&store, g_f.db);
    struct toc_incident i, back;
    fill(&i);
    struct toc_timeline_entry e = {.at = i.detected_at,
                                   .actor = TOC_SV("tocsin"),
                                   .type = TOC_TIMELINE_DETECTED,
                                   .text = TOC_SV("seen")};
    assert_int_equal(store.base.save(&store.base, &i, &e, 1, NULL), 0);
    assert_string_equal(i.id, "I-20261124-0001");
    assert_false(i.alerts.items[0].is_changed);
    state_fixture_reopen(&g_f);
    store.db = g_f.db;
    assert_int_equal(store.base.load(&store.base, toc_sv_cstr(i.id), &back, NULL), 0);
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    to_json(&i, &a);
    to_json(&back, &b);
    assert_string_equal(toc_buf_cstr(&a), toc_buf_cstr(&b));
    assert_non_null(
        strstr(toc_buf_cstr(&a), "\"value\":\"NaN\",\"threshold\":null,\"expected\":null"));
    assert_int_equal(back.alerts.count, 1);
    assert_true(back.alerts.items[0].fingerprint == 0xfedcba9876543210);
    int n = 0;
    assert_int_equal(store.base.timeline(&store.base, toc_sv_cstr(i.id), count_entries, &n, NULL),
                     0);
    assert_int_equal(n, 1);
    toc_buf_fini(&a);
    toc_buf_fini(&b);
    toc_incident_fini(&i);
    toc_incident_fini(&back);
}

static int collect_id(void *ctx, const struct toc_incident *i) {
    toc_buf_printf(ctx, "%s ", i->id + 11);
    return 0;
}

static void lists_are_newest_first_and_live_ones_are_found(void **state) {
    (void)state;
    struct toc_incidents store;
    toc_incidents_init(&store, g_f.db);
    for (int n = 0; n < 4; n++) {
        struct toc_incident i;
        fill(&i);
        i.alerts.items[0].is_firing = n == 1;
        if (n > 0) {
            i.state = TOC_INCIDENT_RESOLVED;
            i.resolved_at = (struct toc_ts){1795526500000 + n};
        }
        i.detected_at.ms += n;
        assert_int_equal(store.base.save(&store.base, &i, NULL, 0, NULL), 0);
        toc_incident_fini(&i);
    }
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_incident_filter all = {0}, open = {.is_open_only = true};
    store.base.list(&store.base, &all, collect_id, &out, NULL);
    assert_string_equal(toc_buf_cstr(&out), "0004 0003 0002 0001 ");
    toc_buf_reset(&out);
    store.base.list(&store.base, &open, collect_id, &out, NULL);
    assert_string_equal(toc_buf_cstr(&out), "0001 ");
    toc_buf_reset(&out);
    store.base.load_live(&store.base, (struct toc_ts){1795526500003}, collect_id, &out, NULL);
    assert_string_equal(toc_buf_cstr(&out), "0001 0002 0004 ");
    struct toc_incident_stats s;
    assert_int_equal(store.base.stats(&store.base, (struct toc_ts){0}, &s, NULL), 0);
    assert_int_equal(s.open_count, 1);
    assert_int_equal(s.resolved_count, 3);
    assert_true(isnan(s.mean_acknowledge_s));
    assert_true(s.mean_detect_s > 2.4 && s.mean_detect_s < 2.6);
    struct toc_incident missing;
    struct toc_err err = {0};
    assert_int_equal(store.base.load(&store.base, TOC_SV("I-x"), &missing, &err), TOC_ENOENT);
    assert_non_null(strstr(err.message, "I-x"));
    toc_buf_fini(&out);
}

static void several_are_saved_in_one_transaction(void **state) {
    (void)state;
    struct toc_incidents store;
    struct toc_incident several[3];
    struct toc_incident_saving items[3];
    struct toc_timeline_entry e = {.type = TOC_TIMELINE_COMMENT, .text = TOC_SV("one")};
    struct toc_statedb_health before, after;
    toc_incidents_init(&store, g_f.db);
    for (int n = 0; n < 3; n++) {
        fill(&several[n]);
        items[n] = (struct toc_incident_saving){&several[n], &e, 1};
    }
    toc_statedb_get_health(g_f.db, &before);
    assert_int_equal(store.base.save_all(&store.base, items, 3, NULL), 0);
    toc_statedb_get_health(g_f.db, &after);
    assert_int_equal(after.writes - before.writes, 1);
    for (int n = 0; n < 3; n++) {
        struct toc_incident back;
        struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
        assert_int_equal(several[n].id[14], '1' + n);
        assert_false(several[n].alerts.items[0].is_changed);
        assert_int_equal(store.base.load(&store.base, toc_sv_cstr(several[n].id), &back, NULL), 0);
        to_json(&several[n], &a);
        to_json(&back, &b);
        assert_string_equal(toc_buf_cstr(&a), toc_buf_cstr(&b));
        toc_buf_fini(&a);
        toc_buf_fini(&b);
        toc_incident_fini(&back);
        toc_incident_fini(&several[n]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(an_incident_comes_back_as_it_was),
        T(several_are_saved_in_one_transaction),
        T(lists_are_newest_first_and_live_ones_are_found),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
