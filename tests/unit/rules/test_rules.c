/* The manager: levels of a group, shared queries, threads, reload, time away. */
#include <math.h>
#include <stdio.h>

#include "../cmocka_prelude.h"
#include "../shared_files.h"

#include "../../sim/memory_store.h"
#include "model/histogram.h"
#include "promql/memory_querier.h"
#include "rules/rules.h"
#include "sys/pool.h"

#define T0_MS INT64_C(1767571200000)

struct world {
    struct toc_memory_querier db;
    struct memory_blobs blobs;
    struct toc_querier counting;
    struct toc_alert_sink sink;
    struct toc_rules *m;
    struct toc_executor *executor;
    const char *yaml;
    int64_t now_ms;
    _Atomic size_t selects;
    size_t resolved;
};

static int count_select(struct toc_querier *q, const struct toc_select *s, toc_on_series *fn,
                        void *ctx, struct toc_err *err) {
    struct world *w = TOC_CONTAINER_OF(q, struct world, counting);
    w->selects++;
    return w->db.querier.select(&w->db.querier, s, fn, ctx, err);
}

static void on_alerts(struct toc_alert_sink *s, const struct toc_alert *alerts, size_t count,
                      struct toc_ts now) {
    struct world *w = TOC_CONTAINER_OF(s, struct world, sink);
    for (size_t i = 0; i < count; i++)
        w->resolved += toc_alert_is_resolved(&alerts[i], now);
}

static struct toc_rule_file *parse(const char *yaml) {
    struct toc_rule_file *f = NULL;
    struct toc_err err = {0};
    if (toc_rule_file_parse(TOC_SV("r.yml"), toc_sv_cstr(yaml), false, &f, &err))
        fail_msg("%s", err.message);
    return f;
}

static void boot(struct world *w) {
    struct toc_label external[] = {{TOC_SV("cluster"), TOC_SV("c1")}};
    struct toc_rules_options o = {.querier = &w->counting,
                                  .sink = &w->db.sink,
                                  .alerts = &w->sink,
                                  .store = &w->blobs.base,
                                  .executor = w->executor,
                                  .external_labels = {external, 1},
                                  .external_url = TOC_SV("http://mon.example/base"),
                                  .default_interval_ms = 10000};
    struct toc_rule_file *f = parse(w->yaml);
    w->m = toc_rules_new(&o);
    toc_rules_set_files(w->m, &f, 1, (struct toc_ts){w->now_ms});
}

static void world_init(struct world *w, const char *yaml) {
    *w = (struct world){.yaml = yaml, .now_ms = T0_MS, .sink = {on_alerts}};
    toc_memory_querier_init(&w->db);
    memory_blobs_init(&w->blobs);
    w->counting = w->db.querier;
    w->counting.select = count_select;
    w->counting.open = NULL;
    boot(w);
    w->now_ms = toc_rules_next_due(w->m);
}

static void world_fini(struct world *w) {
    assert_int_equal(toc_rules_stats(w->m).store_failures, 0);
    toc_rules_free(&w->m);
    memory_blobs_fini(&w->blobs);
    toc_memory_querier_fini(&w->db);
}

static void put(struct world *w, const char *metric, const char *inst, double v) {
    struct toc_label l[] = {{TOC_METRIC_NAME, toc_sv_cstr(metric)},
                            {TOC_SV("inst"), toc_sv_cstr(inst)}};
    toc_memory_querier_add(&w->db, (struct toc_labels){l, 2}, w->now_ms, v);
}

static void tick(struct world *w) {
    toc_rules_evaluate_due(w->m, (struct toc_ts){w->now_ms});
    w->now_ms += 10000;
}

/* Everything the API shows, as text. */
static void show(void *ctx, const struct toc_rule_group_view *g) {
    struct toc_buf *out = ctx;
    for (size_t i = 0; i < g->rule_count; i++) {
        const struct toc_rule_view *r = &g->rules[i];
        toc_buf_printf(out, "%.*s %s n=%zu %.*s\n", TOC_SV_ARG(r->rule->name),
                       toc_rule_health_text(r->health), r->last_result_count,
                       TOC_SV_ARG(r->last_error));
        for (size_t k = 0; k < r->alert_count; k++) {
            const struct toc_rule_alert_view *a = &r->alerts[k];
            toc_buf_printf(out, "  %s %g since %llds ", toc_rule_alert_state_text(a->state),
                           a->value, (long long)(a->active_at.ms - T0_MS) / 1000);
            toc_labels_format(a->labels, out);
            toc_labels_format(a->annotations, out);
            toc_buf_append_char(out, '\n');
        }
    }
}

static const char *shown(struct world *w, struct toc_buf *b) {
    toc_buf_reset(b);
    toc_rules_each_group(w->m, show, b);
    return toc_buf_cstr(b);
}

/* --------------------------------------------------------------------------------------- levels */

static void show_levels(void *ctx, const struct toc_rule_group_view *g) {
    struct toc_buf *out = ctx;
    for (size_t i = 0; i < g->rule_count; i++)
        toc_buf_printf(out, "%zu", g->rules[i].level);
    toc_buf_append_char(out, ' ');
}

static void check_levels(const char *yaml, const char *wanted) {
    struct toc_rules_options o = {0};
    struct toc_rules *m = toc_rules_new(&o);
    struct toc_rule_file *f = parse(yaml);
    struct toc_buf levels = TOC_BUF_INIT;
    toc_rules_set_files(m, &f, 1, (struct toc_ts){T0_MS});
    toc_rules_each_group(m, show_levels, &levels);
    assert_string_equal(toc_buf_cstr(&levels), wanted);
    toc_buf_fini(&levels);
    toc_rules_free(&m);
}

static void rules_wait_for_what_they_read(void **state) {
    (void)state;
    check_levels("groups: [{name: g, rules: [{record: a, expr: x}, {record: b, expr: a}, "
                 "{record: c, expr: y}, {alert: D, expr: b > c}, "
                 "{alert: E, expr: 'ALERTS{alertname=\"D\"}'}]}]",
                 "01023 ");
    /* What reads the former value of a later rule is not behind it. */
    check_levels("groups: [{name: g, rules: [{record: a, expr: b}, {record: b, expr: x}, "
                 "{record: c, expr: b}]}]",
                 "001 ");
    /* Two writers of one name stay in order. */
    check_levels("groups: [{name: g, rules: [{record: a, expr: x}, {record: b, expr: a}, "
                 "{record: b, expr: y}]}]",
                 "011 ");
    /* Without a fixed name everything before may be read. */
    check_levels("groups: [{name: g, rules: [{record: a, expr: x}, "
                 "{record: b, expr: '{job=\"z\"}'}, {record: c, expr: x}, "
                 "{alert: D, expr: 'ALERTS'}, {record: e, expr: '{__name__=~\"c.*\"}'}]}]",
                 "01112 ");
    check_levels("groups: [{name: g, rules: [{alert: A, expr: x, confirm: r}, "
                 "{record: r, expr: y}, {alert: C, expr: x, recover: r > 1}]}]",
                 "001 ");
}

/* As upstream's batches, but that rules of a later one come earlier where they can. */
static void fixtures_have_upstreams_batches(void **state) {
    static const struct {
        const char *file, *levels;
    } cases[] = {
        {"rules_multiple_dependents_on_base.yaml", "01110111 "},
        {"rules_chain.yaml", "0012233 "},
        {"rules_multiple_independent.yaml", "00000000 "},
        {"rules_multiple.yaml", "000101 "},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        char name[200];
        struct toc_buf yaml = TOC_BUF_INIT;
        (void)snprintf(name, sizeof name, "conformance/rules-fixtures/%s", cases[i].file);
        if (!read_shared(name, &yaml)) {
            print_message("shared rule fixtures not found: skipped\n");
            skip();
        }
        check_levels(toc_buf_cstr(&yaml), cases[i].levels);
        toc_buf_fini(&yaml);
    }
}

/* -------------------------------------------------------------------------------------- sharing */

static void equal_questions_are_asked_once(void **state) {
    static const char yaml[] = "groups: [{name: g, rules: ["
                               "{alert: A, expr: load > 0.5}, {alert: B, expr: load > 0.7}, "
                               "{alert: C, expr: load <= 0.7}, {record: r, expr: load * 2}, "
                               "{record: s, expr: (load * 2)}, {alert: D, expr: load * 2 > 1, "
                               "recover: 0.5}, {alert: E, expr: load != bool 3}]}]";
    struct world w;
    struct toc_buf b = TOC_BUF_INIT;
    (void)state;
    world_init(&w, yaml);
    put(&w, "load", "a", 0.6);
    put(&w, "load", "b", NAN);
    put(&w, "load", "c", 0.8);
    tick(&w);
    /* load, load * 2, (load * 2), load != bool 3; then whether there are bands of detectors. */
    assert_int_equal(w.selects, 5);
    shown(&w, &b);
    assert_non_null(strstr(toc_buf_cstr(&b), "A ok n=2"));
    assert_non_null(strstr(toc_buf_cstr(&b), "B ok n=1"));
    assert_non_null(strstr(toc_buf_cstr(&b), "C ok n=1"));
    assert_non_null(strstr(toc_buf_cstr(&b), "r ok n=3"));
    assert_non_null(strstr(toc_buf_cstr(&b), "D ok n=2"));
    assert_non_null(strstr(toc_buf_cstr(&b), "E ok n=3"));
    toc_buf_fini(&b);
    world_fini(&w);
}

static void threads_change_nothing(void **state) {
    static const char yaml[] =
        "groups:\n"
        "- name: g\n"
        "  rules:\n"
        "  - {record: r, expr: load * 2}\n"
        "  - {alert: A, expr: load > 0.5, labels: {v: '{{ $value }}'}}\n"
        "  - {alert: B, expr: sum(load) > 1, annotations: {x: '{{ query \"r\" | len }}'}}\n"
        "  - {alert: C, expr: r > 1, for: 20s}\n"
        "  - {alert: D, expr: 'load / on(inst) group_left r > 0'}\n";
    struct toc_pool *pool = NULL;
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    struct world one, many;
    (void)state;
    assert_int_equal(toc_pool_new(4, &pool, NULL), 0);
    world_init(&one, yaml);
    world_init(&many, yaml);
    toc_rules_free(&many.m);
    many.executor = toc_pool_executor(pool);
    boot(&many);
    for (int t = 0; t < 20; t++) {
        for (int i = 0; i < 5; i++) {
            char inst[] = {(char)('a' + i), 0};
            put(&one, "load", inst, (t * 7 + i * 3) % 11 / 10.0);
            put(&many, "load", inst, (t * 7 + i * 3) % 11 / 10.0);
        }
        tick(&one);
        tick(&many);
        assert_string_equal(shown(&one, &a), shown(&many, &b));
    }
    assert_non_null(strstr(toc_buf_cstr(&a), "firing"));
    toc_buf_fini(&a);
    toc_buf_fini(&b);
    world_fini(&one);
    world_fini(&many);
    toc_pool_free(&pool);
}

/* ---------------------------------------------------------------------------------------- reload
 */

static void reload_keeps_rules_by_name_and_labels(void **state) {
    static const char before[] =
        "groups: [{name: g, rules: [{alert: Hot, expr: load > 0.5, for: 20s, labels: {s: w}}, "
        "{alert: Hot, expr: load > 0.7, for: 20s, labels: {s: c}}]}]";
    static const char after[] = "groups: [{name: new, rules: [{alert: N, expr: load > 9}]}, "
                                "{name: g, rules: [{alert: Hot, expr: load > 0.1, labels: {s: i}}, "
                                "{alert: Hot, expr: load > 0.7, for: 20s, labels: {s: c}}, "
                                "{alert: Hot, expr: load > 0.4, for: 20s, labels: {s: w}}]}]";
    struct world w;
    struct toc_buf b = TOC_BUF_INIT;
    (void)state;
    world_init(&w, before);
    int64_t first_s = (w.now_ms - T0_MS) / 1000;
    char wanted[100];
    put(&w, "load", "a", 0.8);
    tick(&w);
    put(&w, "load", "a", 0.8);
    struct toc_rule_file *f = parse(after);
    toc_rules_set_files(w.m, &f, 1, (struct toc_ts){w.now_ms});
    tick(&w);
    put(&w, "load", "a", 0.8);
    tick(&w);
    shown(&w, &b);
    (void)snprintf(wanted, sizeof wanted,
                   "firing 0.8 since %llds {alertname=\"Hot\", inst=\"a\", "
                   "s=\"c\"}",
                   (long long)first_s);
    assert_non_null(strstr(toc_buf_cstr(&b), wanted));
    (void)snprintf(wanted, sizeof wanted,
                   "firing 0.8 since %llds {alertname=\"Hot\", inst=\"a\", "
                   "s=\"w\"}",
                   (long long)first_s);
    assert_non_null(strstr(toc_buf_cstr(&b), wanted));
    assert_int_equal(w.resolved, 0);
    toc_buf_fini(&b);
    world_fini(&w);
}

static void rules_gone_while_away_end_their_alerts(void **state) {
    static const char before[] = "groups: [{name: g, rules: [{alert: Hot, expr: load > 0.5}]}]";
    struct world w;
    (void)state;
    world_init(&w, before);
    put(&w, "load", "a", 0.8);
    tick(&w);
    toc_rules_free(&w.m);
    w.yaml = "groups: [{name: g, rules: [{alert: Cold, expr: load < 0.1}]}]";
    boot(&w);
    assert_int_equal(w.resolved, 1);
    size_t ended = 0;
    for (size_t i = 0; i < w.db.count; i++)
        if (toc_sv_starts_with(toc_labels_get(w.db.items[i].labels, TOC_METRIC_NAME),
                               TOC_SV("ALERTS")))
            ended += toc_is_stale_nan(w.db.items[i].values.items[w.db.items[i].values.count - 1]);
    assert_int_equal(ended, 2);
    /* Said once. */
    toc_rules_free(&w.m);
    boot(&w);
    assert_int_equal(w.resolved, 1);
    world_fini(&w);
}

/* ------------------------------------------------------------------------------------- time away
 */

static void time_away_does_not_count_towards_for(void **state) {
    static const char yaml[] =
        "groups: [{name: g, rules: [{alert: Hot, expr: load > 0.5, for: 30m}]}]";
    struct world w;
    struct toc_buf b = TOC_BUF_INIT;
    (void)state;
    world_init(&w, yaml);
    for (int i = 0; i < 60; i++) { /* ten minutes */
        put(&w, "load", "a", 0.8);
        tick(&w);
    }
    w.now_ms += 25 * 60000;
    toc_rules_free(&w.m);
    boot(&w);
    /* No scrape yet, and no data: the alert waits. */
    tick(&w);
    assert_non_null(strstr(shown(&w, &b), "pending"));
    for (int i = 0; i < 115; i++) {
        put(&w, "load", "a", 0.8);
        tick(&w);
    }
    assert_non_null(strstr(shown(&w, &b), "pending"));
    for (int i = 0; i < 8; i++) {
        put(&w, "load", "a", 0.8);
        tick(&w);
    }
    assert_non_null(strstr(shown(&w, &b), "firing"));
    toc_buf_fini(&b);
    world_fini(&w);
}

/* ALERTS_FOR_STATE of another server: pending since so many seconds before its last sample, which
 * is so many seconds before our start. */
static void put_for_state(struct world *w, const char *inst, int64_t served_s, int64_t ago_s) {
    struct toc_label l[] = {{TOC_METRIC_NAME, TOC_SV("ALERTS_FOR_STATE")},
                            {TOC_SV("alertname"), TOC_SV("Hot")},
                            {TOC_SV("inst"), toc_sv_cstr(inst)}};
    int64_t t_ms = T0_MS - ago_s * 1000;
    toc_memory_querier_add(&w->db, (struct toc_labels){l, 3}, t_ms,
                           (double)(t_ms / 1000 - served_s));
}

static void state_of_another_server_is_taken_over(void **state) {
    static const char yaml[] =
        "groups: [{name: g, rules: [{alert: Hot, expr: load > 0.5, for: 30m}]}]";
    struct world w;
    struct toc_buf b = TOC_BUF_INIT;
    char wanted[100];
    (void)state;
    world_init(&w, yaml);
    put_for_state(&w, "done", 1900, 60);
    put_for_state(&w, "near", 1500, 60);
    put_for_state(&w, "far", 600, 60);
    put_for_state(&w, "old", 600, 2 * 3600);
    int64_t second_ms = w.now_ms - T0_MS + 10000;
    for (int i = 0; i < 3; i++) {
        put(&w, "load", "done", 0.8);
        put(&w, "load", "near", 0.8);
        put(&w, "load", "far", 0.8);
        put(&w, "load", "old", 0.8);
        tick(&w);
    }
    shown(&w, &b);
    assert_non_null(strstr(toc_buf_cstr(&b), "firing 0.8 since -1960s {alertname=\"Hot\", "
                                             "inst=\"done\"}"));
    (void)snprintf(wanted, sizeof wanted, "pending 0.8 since %llds {alertname=\"Hot\", inst=\"near",
                   (long long)(second_ms + 600000 - 1800000) / 1000);
    assert_non_null(strstr(toc_buf_cstr(&b), wanted));
    (void)snprintf(wanted, sizeof wanted, "pending 0.8 since %llds {alertname=\"Hot\", inst=\"far",
                   (long long)(second_ms - 600000) / 1000);
    assert_non_null(strstr(toc_buf_cstr(&b), wanted));
    (void)snprintf(wanted, sizeof wanted, "pending 0.8 since %llds {alertname=\"Hot\", inst=\"old",
                   (long long)(second_ms - 10000) / 1000);
    assert_non_null(strstr(toc_buf_cstr(&b), wanted));
    toc_buf_fini(&b);
    world_fini(&w);
}

static void grace_after_time_away_ends(void **state) {
    static const char yaml[] = "groups: [{name: g, rules: [{alert: Hot, expr: load > 0.5}]}]";
    struct world w;
    (void)state;
    world_init(&w, yaml);
    put(&w, "load", "a", 0.8);
    tick(&w);
    w.now_ms += 20 * 60000;
    toc_rules_free(&w.m);
    boot(&w);
    for (int i = 0; i < 11; i++)
        tick(&w);
    assert_int_equal(w.resolved, 0);
    tick(&w);
    tick(&w);
    assert_int_equal(w.resolved, 1);
    world_fini(&w);
}

/* ------------------------------------------------------------------------------- other contracts
 */

static void one_group_can_be_evaluated_at_any_time(void **state) {
    static const char yaml[] = "groups: [{name: g, rules: [{record: r, expr: time()}]}, "
                               "{name: h, rules: [{alert: A, expr: r > 5}]}]";
    struct world w;
    struct toc_buf b = TOC_BUF_INIT;
    (void)state;
    world_init(&w, yaml);
    int64_t due = toc_rules_next_due(w.m);
    assert_int_equal(
        toc_rules_evaluate_group(w.m, TOC_SV("r.yml"), TOC_SV("g"), (struct toc_ts){7000}), 0);
    assert_int_equal(
        toc_rules_evaluate_group(w.m, TOC_SV("r.yml"), TOC_SV("h"), (struct toc_ts){7000}), 0);
    assert_int_equal(
        toc_rules_evaluate_group(w.m, TOC_SV("r.yml"), TOC_SV("x"), (struct toc_ts){7000}),
        TOC_ENOENT);
    assert_non_null(strstr(shown(&w, &b), "firing 7 "));
    assert_int_equal(toc_rules_next_due(w.m), due);
    toc_buf_fini(&b);
    world_fini(&w);
}

static void templates_know_queries_urls_and_external_labels(void **state) {
    static const char yaml[] =
        "groups:\n- name: g\n  labels: {team: '{{ '}\n  rules:\n  - alert: A\n"
        "    expr: load > 0.5\n    annotations:\n"
        "      a: '{{ with query \"load\" }}{{ . | first | value | humanize }}{{ end }}'\n"
        "      b: '{{ $externalLabels.cluster }} {{ externalURL }}{{ pathPrefix }}'\n"
        "      c: '{{ query \"nope(\" }}'\n";
    struct world w;
    struct toc_buf b = TOC_BUF_INIT;
    (void)state;
    world_init(&w, yaml);
    put(&w, "load", "a", 0.8);
    tick(&w);
    shown(&w, &b);
    assert_non_null(strstr(toc_buf_cstr(&b), "a=\"800m\""));
    assert_non_null(strstr(toc_buf_cstr(&b), "b=\"c1 http://mon.example/base/base\""));
    assert_non_null(strstr(toc_buf_cstr(&b), "c=\"<error expanding template: "));
    assert_non_null(strstr(toc_buf_cstr(&b), "team=\"<error expanding template: "));
    toc_buf_fini(&b);
    world_fini(&w);
}

static void native_histograms_are_recorded_and_shown(void **state) {
    static const char yaml[] =
        "groups: [{name: g, rules: [{record: twice, expr: sum(h) * 2, labels: {a: b}}, "
        "{alert: A, expr: twice, annotations: {v: '{{ $value }}'}}, "
        "{alert: B, expr: h > 1}]}]";
    const int32_t index[] = {0, 1};
    const double counts[] = {3, 4};
    struct toc_histogram h = {.count = 7, .sum = 9, .positive = {index, counts, 2}};
    struct toc_label named[] = {{TOC_METRIC_NAME, TOC_SV("h")}, {TOC_SV("inst"), TOC_SV("x")}};
    struct toc_label recorded[] = {{TOC_METRIC_NAME, TOC_SV("twice")}, {TOC_SV("a"), TOC_SV("b")}};
    struct world w;
    struct toc_buf b = TOC_BUF_INIT;
    (void)state;
    world_init(&w, yaml);
    const struct toc_memory_sample sample = {.t_ms = w.now_ms, .histogram = &h};
    toc_memory_querier_add_sample(&w.db, (struct toc_labels){named, 2}, &sample);
    tick(&w);
    const struct toc_memory_series *s =
        toc_memory_querier_find(&w.db, (struct toc_labels){recorded, 2});
    assert_non_null(s);
    assert_int_equal(s->histograms.count, 1);
    assert_non_null(s->histograms.items[0]);
    assert_float_equal(s->histograms.items[0]->count, 14, 0);
    assert_float_equal(s->histograms.items[0]->sum, 18, 0);
    shown(&w, &b);
    assert_non_null(strstr(toc_buf_cstr(&b), "v=\"{count:14, sum:18"));
    assert_non_null(strstr(toc_buf_cstr(&b), "B ok n=0"));
    toc_buf_fini(&b);
    world_fini(&w);
}

static void matrix_results_are_errors_of_the_rule(void **state) {
    static const char yaml[] = "groups: [{name: g, rules: [{record: r, expr: 'load[1m]'}, "
                               "{record: s, expr: load}]}]";
    struct world w;
    struct toc_buf b = TOC_BUF_INIT;
    (void)state;
    world_init(&w, yaml);
    put(&w, "load", "a", 0.8);
    tick(&w);
    shown(&w, &b);
    assert_non_null(strstr(toc_buf_cstr(&b), "r err n=0 rule result is not a vector or scalar"));
    assert_non_null(strstr(toc_buf_cstr(&b), "s ok n=1"));
    assert_int_equal(toc_rules_stats(w.m).failures, 1);
    toc_buf_fini(&b);
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_wait_for_what_they_read),
        cmocka_unit_test(fixtures_have_upstreams_batches),
        cmocka_unit_test(equal_questions_are_asked_once),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(reload_keeps_rules_by_name_and_labels),
        cmocka_unit_test(rules_gone_while_away_end_their_alerts),
        cmocka_unit_test(time_away_does_not_count_towards_for),
        cmocka_unit_test(state_of_another_server_is_taken_over),
        cmocka_unit_test(grace_after_time_away_ends),
        cmocka_unit_test(one_group_can_be_evaluated_at_any_time),
        cmocka_unit_test(templates_know_queries_urls_and_external_labels),
        cmocka_unit_test(native_histograms_are_recorded_and_shown),
        cmocka_unit_test(matrix_results_are_errors_of_the_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
