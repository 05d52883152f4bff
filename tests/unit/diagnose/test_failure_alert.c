#include <stdio.h>

#include "../cmocka_prelude.h"
#include "base/alloc.h"
#include "diagnose/failure_alert.h"

#define T0 INT64_C(1787223600000)

static struct toc_signature_table *g_signatures;
static struct toc_failure_rules *g_rules;
static struct toc_xid_table *g_xids;

static int setup(void **state) {
    (void)state;
    return toc_signature_table_builtin(&g_signatures, NULL) ||
           toc_failure_rules_builtin(&g_rules, NULL) || toc_xid_table_builtin(&g_xids, NULL);
}

static int teardown(void **state) {
    (void)state;
    toc_signature_table_free(&g_signatures);
    toc_failure_rules_free(&g_rules);
    toc_xid_table_free(&g_xids);
    return 0;
}

/* A sink that remembers. */
struct sink {
    struct toc_alert_sink base;
    size_t put, firing, resolved;
    char labels[500], first_labels[500], title[300];
    enum toc_severity severity;
    size_t cascades;
};

static void take(struct toc_alert_sink *base, const struct toc_alert *alerts, size_t count,
                 struct toc_ts now) {
    struct sink *s = (struct sink *)(void *)base;
    struct toc_buf text = TOC_BUF_INIT;
    assert_int_equal(count, 1);
    toc_labels_format(alerts->labels, &text);
    toc_sv_copy(toc_buf_sv(&text), s->labels, sizeof s->labels);
    if (!s->put++)
        toc_sv_copy(toc_buf_sv(&text), s->first_labels, sizeof s->first_labels);
    s->resolved += toc_alert_is_resolved(alerts, now);
    s->firing += !toc_alert_is_resolved(alerts, now);
    if (alerts->finding) {
        toc_sv_copy(alerts->finding->title, s->title, sizeof s->title);
        s->severity = alerts->finding->severity;
        s->cascades = alerts->finding->cascade_count;
    }
    toc_buf_fini(&text);
}

struct world {
    struct sink sink;
    struct toc_failure_alerts *alerts;
    struct toc_failures *failures;
};

static struct world *start(void) {
    struct world *w = TOC_NEW(struct world);
    w->sink.base.put = take;
    w->alerts = toc_failure_alerts_new(
        &(struct toc_failure_alerts_options){.sink = &w->sink.base, .adopted_ms = 60000});
    w->failures = toc_failures_new(&(struct toc_failures_options){
        .rules = g_rules, .xids = g_xids, .listener = toc_failure_alerts_listener(w->alerts)});
    return w;
}

static void stop(struct world *w) {
    toc_failures_free(&w->failures);
    toc_failure_alerts_free(&w->alerts);
    toc_free(w);
}

static void put(struct world *w, const char *id, const char *job, const char *host, int64_t rank,
                const char *code, int64_t after_ms) {
    struct toc_failure_hit h = TOC_FAILURE_HIT_INIT;
    for (size_t i = 0; i < toc_signature_table_count(g_signatures); i++)
        if (toc_sv_eq_cstr(toc_signature_table_get(g_signatures, i)->id, id))
            h.signature = toc_signature_table_get(g_signatures, i);
    assert_non_null(h.signature);
    h.job = toc_sv_cstr(job), h.host = toc_sv_cstr(host), h.rank = rank;
    h.code = toc_sv_cstr(code), h.text = toc_sv_cstr(id);
    h.at.ms = T0 + after_ms;
    toc_failures_put(w->failures, &h, h.at);
}

static void tick(struct world *w, int64_t from_ms, int64_t to_ms) {
    for (int64_t t = from_ms; t <= to_ms; t += 1000) {
        toc_failures_tick(w->failures, (struct toc_ts){T0 + t});
        toc_failure_alerts_tick(w->alerts, (struct toc_ts){T0 + t});
    }
}

static void one_failure_is_one_alert_whose_labels_stay(void **state) {
    struct world *w = start();
    (void)state;
    put(w, "nv_xid", "j", "n1", -1, "94", 0);
    tick(w, 0, 4000);
    assert_int_equal(w->sink.put, 1);
    assert_string_equal(w->sink.labels,
                        "{alertname=\"xid\", host=\"n1\", kind=\"xid\", owner=\"job\", run=\"j\", "
                        "severity=\"warning\", signature=\"nv_xid\", source=\"logs\"}");
    put(w, "py_error", "j", "n2", 7, "", 9000); /* worse, and later */
    put(w, "nccl_err", "j", "n3", 9, "", 9500);
    tick(w, 9000, 40000);
    assert_int_equal(w->sink.severity, TOC_SEVERITY_CRITICAL);
    assert_true(w->sink.cascades >= 2);
    assert_string_equal(w->sink.labels, w->sink.first_labels);
    assert_int_equal(w->sink.resolved, 0);
    tick(w, 40000, 9500 + 901000);
    assert_int_equal(w->sink.resolved, 1);
    assert_string_equal(w->sink.labels, w->sink.first_labels);
    stop(w);
}

static void without_a_job_the_host_is_the_subject(void **state) {
    struct world *w = start();
    (void)state;
    put(w, "fs_ro", "", "n1", -1, "", 0);
    tick(w, 0, 4000);
    assert_string_equal(w->sink.labels,
                        "{alertname=\"disk_failing\", host=\"n1\", instance=\"n1\", "
                        "kind=\"disk_failing\", owner=\"operator\", severity=\"critical\", "
                        "signature=\"fs_ro\", source=\"logs\"}");
    stop(w);
}

static void alerts_of_before_a_restart_end_in_time(void **state) {
    static const struct toc_label ours[] = {{TOC_SV("alertname"), TOC_SV("xid")},
                                            {TOC_SV("owner"), TOC_SV("hardware")},
                                            {TOC_SV("source"), TOC_SV("logs")}};
    static const struct toc_label others[] = {{TOC_SV("alertname"), TOC_SV("hang")},
                                              {TOC_SV("run"), TOC_SV("j")}};
    struct world *w = start();
    (void)state;
    toc_failure_alerts_adopt(w->alerts, &(struct toc_alert){.labels = {others, 2}},
                             (struct toc_ts){T0});
    toc_failure_alerts_adopt(w->alerts, &(struct toc_alert){.labels = {ours, 3}},
                             (struct toc_ts){T0});
    tick(w, 0, 59000);
    assert_int_equal(w->sink.resolved, 0);
    assert_int_equal(w->sink.firing, 4); /* told again every 15 s */
    tick(w, 60000, 120000);
    assert_int_equal(w->sink.resolved, 1);
    stop(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_failure_is_one_alert_whose_labels_stay),
        cmocka_unit_test(without_a_job_the_host_is_the_subject),
        cmocka_unit_test(alerts_of_before_a_restart_end_in_time),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
