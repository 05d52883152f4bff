/*
 * prop_replay [--seed N] [--count N]: a back-test does what a daemon would have done. For random
 * rules, routing and histories, two ways:
 *
 *   live    rule manager, alert manager and incident manager as the daemon's engine drives them,
 *           a look every 200 ms, samples put into the store as their time comes
 *   replay  toc_replay_run over the finished history
 *
 * Both keep a journal of every change of an alert (times, value, labels, annotations, what
 * suppresses it), every notification (receiver, group, reason, alerts) and every incident. The
 * journals must be equal to the byte, with and without threads.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "incident/alert_observer.h"
#include "promql/memory_querier.h"
#include "replay/replay.h"
#include "sys/pool.h"

enum { METRICS = 3, INSTANCES_MAX = 5, TICK_MS = 200, LEAD_MS = 15 * 60000 };
#define T0_MS INT64_C(1767571200000)

struct sample {
    size_t metric, instance;
    int64_t t_ms;
    double value;
};

struct world {
    uint64_t seed;
    struct toc_rng rng;
    struct toc_buf rules, routing;
    TOC_VEC(struct sample) samples; /* by time */
    int64_t from_ms, to_ms;
    struct toc_buf live, replayed;
};

static void die(const struct world *w, const char *what) {
    const char *a = w->live.p ? w->live.p : "", *b = w->replayed.p ? w->replayed.p : "";
    size_t i = 0, line = 1, begin = 0;
    while (i < w->live.n && i < w->replayed.n && a[i] == b[i]) {
        if (a[i] == '\n') {
            begin = i + 1;
            line++;
        }
        i++;
    }
    printf("seed %llu: %s; first difference in line %zu of %zu and %zu bytes\n--- live\n%.*s\n--- "
           "replay\n%.*s\n--- rules\n%.*s--- routing\n%.*s",
           (unsigned long long)w->seed, what, line, w->live.n, w->replayed.n,
           (int)TOC_MIN(w->live.n - begin, (size_t)800), a + begin,
           (int)TOC_MIN(w->replayed.n - begin, (size_t)800), b + begin, (int)w->rules.n, w->rules.p,
           (int)w->routing.n, w->routing.p);
    exit(1);
}

/* ------------------------------------------------------------------------------------- journal */

static void note_alert(struct toc_buf *out, enum toc_alert_event event,
                       const struct toc_alert_view *v, struct toc_ts now) {
    static const char *const names[] = {"firing", "updated", "resolved", "suppressed",
                                        "unsuppressed"};
    const struct toc_alert *a = v->alert;
    toc_buf_printf(out, "%lld %s %lld..%lld updated %lld value %.17g by %zu %zu %zu ",
                   (long long)(now.ms - T0_MS), names[event], (long long)(a->starts_at.ms - T0_MS),
                   (long long)(a->ends_at.ms - T0_MS), (long long)(a->updated_at.ms - T0_MS),
                   a->value, v->silenced_count, v->inhibited_count, v->muted_count);
    toc_labels_format(a->labels, out);
    toc_labels_format(a->annotations, out);
    toc_buf_append_char(out, '\n');
}

static void note_flush(struct toc_buf *out, const struct toc_alert_flush *f) {
    toc_buf_printf(out, "%lld to %.*s %.*s: %s", (long long)(f->now.ms - T0_MS),
                   TOC_SV_ARG(f->receiver), TOC_SV_ARG(f->group_key),
                   toc_flush_reason_text(f->reason));
    for (size_t i = 0; i < f->count; i++) {
        toc_buf_printf(out, " %s %.17g ", f->alerts[i].is_resolved ? "resolved" : "firing",
                       f->alerts[i].alert->value);
        toc_labels_format(f->alerts[i].alert->labels, out);
    }
    toc_buf_append_char(out, '\n');
}

/* ----------------------------------------------------------------------------------------- live */

struct live {
    struct world *w;
    struct toc_memory_querier db;
    struct toc_sink sink;
    struct toc_alert_observer observer;
    struct toc_incident_observer to_incidents;
    struct toc_incident_store store;
    TOC_VEC(struct toc_replay_incident) incidents;
    struct toc_arena arena;
    struct toc_rules *rules;
    struct toc_alert_manager *alerts;
    struct toc_incident_manager *manager;
    size_t next_sample;
    int64_t next_second_ms;
};

/* What is there already stays, as in the real store. */
static int write_points(struct toc_sink *sink, const struct toc_point *points, size_t count,
                        struct toc_write_result *out, struct toc_err *err) {
    struct live *l = TOC_CONTAINER_OF(sink, struct live, sink);
    (void)err;
    *out = (struct toc_write_result){0};
    for (size_t i = 0; i < count; i++) {
        const struct toc_memory_series *s = toc_memory_querier_find(&l->db, points[i].labels);
        size_t n = s ? s->t_ms.count : 0;
        while (n > 0 && s->t_ms.items[n - 1] > points[i].t_ms)
            n--;
        if (n > 0 && s->t_ms.items[n - 1] == points[i].t_ms)
            continue;
        toc_memory_querier_add(&l->db, points[i].labels, points[i].t_ms, points[i].value);
        out->accepted++;
    }
    return 0;
}

static void on_change(struct toc_alert_observer *o, enum toc_alert_event event,
                      const struct toc_alert_view *v, struct toc_ts now) {
    struct live *l = TOC_CONTAINER_OF(o, struct live, observer);
    note_alert(&l->w->live, event, v, now);
    l->to_incidents.base.on_change(&l->to_incidents.base, event, v, now);
}

/* As in the daemon, where incidents hear of a step's alerts together. */
static void on_settled(struct toc_alert_observer *o, struct toc_ts now) {
    struct live *l = TOC_CONTAINER_OF(o, struct live, observer);
    l->to_incidents.base.settled(&l->to_incidents.base, now);
}

static bool on_flush(void *ctx, const struct toc_alert_flush *f) {
    struct live *l = ctx;
    note_flush(&l->w->live, f);
    return true;
}

static int save(struct toc_incident_store *s, struct toc_incident *i,
                const struct toc_timeline_entry *entries, size_t count, struct toc_err *err) {
    struct live *l = TOC_CONTAINER_OF(s, struct live, store);
    (void)entries;
    (void)count;
    (void)err;
    if (!i->id[0]) {
        struct toc_replay_incident fresh = {.subject = toc_arena_dup_sv(&l->arena, i->subject_key),
                                            .detected_ms = i->detected_at.ms};
        TOC_VEC_PUSH(&l->incidents, fresh);
        snprintf(i->id, sizeof i->id, "%zu", l->incidents.count);
    }
    struct toc_replay_incident *kept = &l->incidents.items[atoi(i->id) - 1];
    kept->rule = toc_arena_dup_sv(&l->arena, i->rule);
    kept->resolved_ms = i->resolved_at.ms;
    kept->reopen_count = i->reopen_count;
    return 0;
}

static int load_live(struct toc_incident_store *s, struct toc_ts since, toc_on_incident *fn,
                     void *ctx, struct toc_err *err) {
    (void)s;
    (void)since;
    (void)fn;
    (void)ctx;
    (void)err;
    return 0;
}

static struct toc_rule_file *parse_rules(const struct world *w) {
    struct toc_rule_file *f = NULL;
    struct toc_err err = {0};
    if (toc_rule_file_parse(TOC_SV("r.yml"), toc_buf_sv(&w->rules), false, &f, &err))
        die(w, err.message);
    return f;
}

static struct toc_alert_config *parse_routing(const struct world *w) {
    struct toc_alert_config *c = NULL;
    struct toc_err err = {0};
    if (toc_alert_config_parse(toc_buf_sv(&w->routing), NULL, &c, &err))
        die(w, err.message);
    return c;
}

static void put_sample(struct toc_memory_querier *db, const struct sample *s) {
    static const char *const names[METRICS] = {"m0", "m1", "c0"};
    const char host[] = {(char)('a' + (int)s->instance)};
    struct toc_label l[] = {{TOC_METRIC_NAME, toc_sv_cstr(names[s->metric])},
                            {TOC_SV("inst"), toc_sv_make(host, 1)},
                            {TOC_SV("job"), s->instance % 2 ? TOC_SV("odd") : TOC_SV("even")}};
    toc_memory_querier_add(db, (struct toc_labels){l, 3}, s->t_ms, s->value);
}

/* One round of the daemon's engine: app/engine.c, judge(). */
static void judge(struct live *l, int64_t now_ms) {
    struct toc_ts now = {now_ms};
    while (l->next_sample < l->w->samples.count &&
           l->w->samples.items[l->next_sample].t_ms <= now_ms)
        put_sample(&l->db, &l->w->samples.items[l->next_sample++]);
    if (toc_rules_next_due(l->rules) <= now_ms)
        toc_rules_evaluate_due(l->rules, now);
    if (now_ms >= l->next_second_ms) {
        l->next_second_ms = now_ms + 1000;
        toc_incident_tick(l->manager, now);
    }
    if (toc_alert_manager_next_due(l->alerts) <= now_ms)
        toc_alert_manager_tick(l->alerts, now);
}

static void start_live(struct live *l) {
    struct toc_ts start = {l->w->from_ms};
    struct toc_err err = {0};
    l->sink = (struct toc_sink){.write = write_points};
    l->observer = (struct toc_alert_observer){on_change, on_settled};
    l->store = (struct toc_incident_store){.save = save, .load_live = load_live};
    toc_memory_querier_init(&l->db);
    const struct toc_alert_manager_options alerts = {
        .flush = on_flush, .flush_ctx = l, .observer = &l->observer};
    const struct toc_incident_options incidents = {.store = &l->store};
    l->alerts = toc_alert_manager_new(&alerts, parse_routing(l->w));
    if (toc_alert_manager_load(l->alerts, start, &err) ||
        toc_incident_manager_new(&incidents, start, &l->manager, &err))
        die(l->w, err.message);
    toc_incident_observer_init(&l->to_incidents, l->manager);
    const struct toc_rules_options rules = {.querier = &l->db.querier,
                                            .sink = &l->sink,
                                            .alerts = toc_alert_manager_sink(l->alerts),
                                            .skips_health = true};
    struct toc_rule_file *f = parse_rules(l->w);
    l->rules = toc_rules_new(&rules);
    toc_rules_set_files(l->rules, &f, 1, start);
}

static void note_incidents(struct toc_buf *out, const struct toc_replay_incident *items,
                           size_t count) {
    for (size_t i = 0; i < count; i++)
        toc_buf_printf(out, "incident %.*s %.*s %lld %lld %lld\n", TOC_SV_ARG(items[i].rule),
                       TOC_SV_ARG(items[i].subject), (long long)(items[i].detected_ms - T0_MS),
                       (long long)(items[i].resolved_ms ? items[i].resolved_ms - T0_MS : -1),
                       (long long)items[i].reopen_count);
}

static void note_failures(void *ctx, const struct toc_rule_group_view *g) {
    for (size_t i = 0; i < g->rule_count; i++)
        toc_buf_printf(ctx, "rule %.*s failures %llu last \"%.*s\"\n",
                       TOC_SV_ARG(g->rules[i].rule->name), (unsigned long long)g->rules[i].failures,
                       TOC_SV_ARG(g->rules[i].last_error));
}

static void run_live(struct world *w) {
    struct live l = {.w = w};
    toc_buf_reset(&w->live);
    start_live(&l);
    for (int64_t t = w->from_ms; t < w->to_ms; t += TICK_MS)
        judge(&l, t);
    note_incidents(&w->live, l.incidents.items, l.incidents.count);
    toc_rules_each_group(l.rules, note_failures, &w->live);
    toc_rules_free(&l.rules);
    toc_alert_manager_free(&l.alerts);
    toc_incident_manager_free(&l.manager);
    toc_memory_querier_fini(&l.db);
    TOC_VEC_FINI(&l.incidents);
    toc_arena_fini(&l.arena);
}

/* --------------------------------------------------------------------------------------- replay */

struct replayed {
    struct world *w;
    struct toc_alert_observer observer;
};

static void on_replayed_change(struct toc_alert_observer *o, enum toc_alert_event event,
                               const struct toc_alert_view *v, struct toc_ts now) {
    note_alert(&TOC_CONTAINER_OF(o, struct replayed, observer)->w->replayed, event, v, now);
}

static void on_replayed_flush(void *ctx, const struct toc_alert_flush *f) {
    note_flush(&((struct replayed *)ctx)->w->replayed, f);
}

struct totals {
    uint64_t alerts, pages, incidents, range_queries, instant_queries;
};

static void run_replay(struct world *w, struct toc_executor *executor, bool runs_each_query,
                       struct totals *io_totals) {
    struct replayed ctx = {w, {.on_change = on_replayed_change}};
    struct toc_memory_querier db;
    struct toc_replay_record record;
    struct toc_rule_file *f = parse_rules(w);
    struct toc_err err = {0};
    toc_buf_reset(&w->replayed);
    toc_memory_querier_init(&db);
    for (size_t i = 0; i < w->samples.count; i++)
        put_sample(&db, &w->samples.items[i]);
    const struct toc_replay_options o = {.history = &db.querier,
                                         .from_ms = w->from_ms,
                                         .to_ms = w->to_ms,
                                         .executor = executor,
                                         .tick_ms = TICK_MS,
                                         .runs_each_query = runs_each_query,
                                         .observer = &ctx.observer,
                                         .on_flush = on_replayed_flush,
                                         .ctx = &ctx};
    if (toc_replay_run(&o, &f, 1, parse_routing(w), &record, &err))
        die(w, err.message);
    note_incidents(&w->replayed, record.incidents.items, record.incidents.count);
    for (size_t i = 0; i < record.rules.count; i++)
        toc_buf_printf(&w->replayed, "rule %.*s failures %llu last \"%.*s\"\n",
                       TOC_SV_ARG(record.rules.items[i].name),
                       (unsigned long long)record.rules.items[i].failures,
                       TOC_SV_ARG(record.rules.items[i].last_error));
    io_totals->alerts += record.alerts.count;
    io_totals->pages += record.pages.count;
    io_totals->incidents += record.incidents.count;
    io_totals->range_queries += record.range_queries;
    io_totals->instant_queries += record.instant_queries;
    toc_replay_record_fini(&record);
    toc_memory_querier_fini(&db);
}

/* -------------------------------------------------------------------------------- random worlds */

static uint64_t below(struct world *w, uint64_t n) {
    return toc_rng_below(&w->rng, n);
}

static void random_rule(struct world *w, size_t n) {
    static const char *const exprs[] = {
        "m0 > 0.5",
        "m0 > 0.8",
        "m1 < 0.3",
        "m0 > m1",
        "m0 == 0.25",
        "rate(c0[1m]) > 0.4",
        "increase(c0[5m]) > 40",
        "sum by (job) (rate(c0[2m])) > 1",
        "avg_over_time(m0[3m]) > 0.55",
        "sum_over_time(m1[10m]) > 30",
        "avg_over_time(m0[10m]) > avg_over_time(m1[10m])",
        "stddev_over_time(m0[5m]) > 0.2",
        "quantile_over_time(0.9, m0[5m]) > 0.9",
        "max_over_time(rate(c0[1m])[5m:30s]) > 0.8",
        "avg_over_time((sum(m0) - sum(m1))[4m:20s]) > 0.2",
        "topk(1, m0) > 0.7",
        "absent(m0{inst=\"a\"})",
        "count(m0 > 0.5) >= 2",
        "sum(m0) / count(m1) > 0.6",
        "m0 * on (inst) group_left m1 > 0.4",
        "m0 + on (job) m1 > 1",
        "delta(m0[4m]) > 0.5",
        "deriv(m0[4m]) > 0.002",
        "predict_linear(m0[5m], 600) > 1.5",
        "changes(m1[5m]) > 3",
        "m0 offset 2m > 0.7",
        "m0 offset -1m > 0.8",
        "m0 @ start() > 0.6",
        "count({job=\"even\"}) > 3",
        "max({__name__=~\"m.\"}) > 0.95",
        "rec > 1",
        "sum by (job) (rec) > 2",
        "max_over_time(rec[5m]) > 1.4",
        "ALERTS{alertstate=\"firing\"}",
        "count(ALERTS) > 3",
        "hour() > 30 or m1 > 0.9",
        "timestamp(m0) - time() < -40",
        "last_over_time(m0[2m]) > 0.7 unless m1 > 0.5",
        "histogram_quantile(0.5, m0)",
        "label_replace(m0, \"who\", \"$1\", \"inst\", \"(.*)\") > 0.75",
    };
    static const char *const durations[] = {"0s", "10s", "30s", "1m", "3m"};
    struct toc_buf *y = &w->rules;
    if (below(w, 5) == 0) {
        static const char *const recorded[] = {"m0 + m1", "rate(c0[1m])", "avg_over_time(m0[2m])",
                                               "rec + m0", "m0 * 2"};
        toc_buf_printf(y, "  - record: %s\n    expr: '%s'\n", below(w, 3) ? "rec" : "other",
                       recorded[below(w, TOC_ARRAY_LEN(recorded))]);
        if (below(w, 3) == 0)
            toc_buf_printf(y, "    labels: {of: n%llu}\n", (unsigned long long)below(w, 2));
        return;
    }
    const char *expr = exprs[below(w, TOC_ARRAY_LEN(exprs))];
    toc_buf_printf(y, "  - alert: A%zu\n    expr: '%s'\n    for: %s\n", n, expr,
                   durations[below(w, TOC_ARRAY_LEN(durations))]);
    if (below(w, 3) == 0)
        toc_buf_printf(y, "    keep_firing_for: %s\n", durations[1 + below(w, 4)]);
    if (!strncmp(expr, "m0 > 0.", 7) && below(w, 2))
        toc_buf_printf(y, "    recover: 0.4\n");
    else if (below(w, 6) == 0)
        toc_buf_printf(y, "    recover: m1 < 0.4\n");
    if (below(w, 5) == 0)
        toc_buf_printf(y, "    confirm: %s\n", below(w, 2) ? "m1 > 0.3" : "m0 > 0.5");
    toc_buf_printf(y, "    labels: {severity: s%llu, of: 'x{{ $labels.inst }}'}\n",
                   (unsigned long long)below(w, 3));
    toc_buf_printf(y, "    annotations: {summary: '{{ $labels.inst }} is {{ $value }}'%s}\n",
                   below(w, 8) ? "" : ", n: '{{ query \"count(m0)\" | len }}'");
}

static void random_rules(struct world *w) {
    static const int intervals_s[] = {5, 10, 15, 30, 60};
    size_t groups = 1 + below(w, 3), n = 0;
    toc_buf_reset(&w->rules);
    toc_buf_printf(&w->rules, "groups:\n");
    for (size_t g = 0; g < groups; g++) {
        toc_buf_printf(&w->rules, "- name: g%zu\n  interval: %ds\n", g, intervals_s[below(w, 5)]);
        if (below(w, 4) == 0)
            toc_buf_printf(&w->rules, "  query_offset: %ds\n", 5 + (int)below(w, 60));
        if (below(w, 8) == 0)
            toc_buf_printf(&w->rules, "  limit: 2\n");
        toc_buf_printf(&w->rules, "  rules:\n");
        for (size_t i = 1 + below(w, 5); i > 0; i--)
            random_rule(w, n++);
    }
}

static void random_routing(struct world *w) {
    static const char *const groupings[] = {"['...']", "[alertname]", "[job, alertname]", "[]"};
    struct toc_buf *y = &w->routing;
    toc_buf_reset(y);
    toc_buf_printf(y,
                   "route:\n  receiver: all\n  group_by: %s\n  group_wait: %ds\n  group_interval: "
                   "%ds\n  repeat_interval: %dm\n",
                   groupings[below(w, 4)], (int)below(w, 40), 10 + (int)below(w, 300),
                   5 + (int)below(w, 120));
    if (below(w, 2))
        toc_buf_printf(y,
                       "  routes:\n  - matchers: ['severity=\"s%d\"']\n    receiver: some\n"
                       "    continue: %s\n    mute_time_intervals: [%s]\n",
                       (int)below(w, 3), below(w, 2) ? "true" : "false", below(w, 2) ? "part" : "");
    toc_buf_printf(y, "receivers:\n- name: all\n- name: some\n");
    if (below(w, 2))
        toc_buf_printf(y,
                       "inhibit_rules:\n- source_matchers: ['severity=\"s%d\"']\n  "
                       "target_matchers: ['severity=\"s%d\"']\n  equal: [%s]\n",
                       (int)below(w, 3), (int)below(w, 3), below(w, 2) ? "inst" : "");
    toc_buf_printf(y, "time_intervals:\n- name: part\n  time_intervals:\n  - times: [{start_time: "
                      "'00:20', end_time: '00:50'}]\n");
}

static int by_time(const void *a, const void *b) {
    int64_t x = ((const struct sample *)a)->t_ms, y = ((const struct sample *)b)->t_ms;
    return (x > y) - (x < y);
}

/* Gauges that stay where they are for a while, counters that restart, gaps, ends, late starts. */
static void random_history(struct world *w) {
    size_t instances = 2 + below(w, INSTANCES_MAX - 1);
    int64_t scrape_ms = 5000 * (1 + (int64_t)below(w, 4));
    w->samples.count = 0;
    for (size_t m = 0; m < METRICS; m++)
        for (size_t i = 0; i < instances; i++) {
            double level = toc_rng_unit(&w->rng), pace = toc_rng_unit(&w->rng) * 20;
            int64_t t = w->from_ms - LEAD_MS + (int64_t)below(w, (uint64_t)scrape_ms);
            if (below(w, 6) == 0)
                t += (int64_t)below(w, (uint64_t)(w->to_ms - w->from_ms));
            for (; t < w->to_ms + 600000; t += scrape_ms) {
                uint64_t dice = below(w, 60);
                if (m < 2 && dice < 6)
                    level = below(w, 4) ? toc_rng_unit(&w->rng) : (double)below(w, 5) / 4;
                else if (m == 2)
                    level = dice == 0 ? 0 : level + toc_rng_unit(&w->rng) * pace;
                if (dice == 10)
                    t += (int64_t)below(w, 600000);
                struct sample s = {m, i, t, dice == 11 ? toc_stale_nan() : level};
                if (dice != 12)
                    TOC_VEC_PUSH(&w->samples, s);
            }
        }
    qsort(w->samples.items, w->samples.count, sizeof *w->samples.items, by_time);
}

static void check_seed(uint64_t seed, struct toc_executor *executor, struct totals *io_totals) {
    struct world w = {.seed = seed};
    struct totals other = {0};
    toc_rng_seed(&w.rng, seed);
    w.from_ms = T0_MS + (int64_t)below(&w, 100000);
    w.to_ms = w.from_ms + 1800000 + (int64_t)below(&w, 5400000);
    random_rules(&w);
    random_routing(&w);
    random_history(&w);
    run_live(&w);
    run_replay(&w, executor, false, io_totals);
    if (!toc_sv_eq(toc_buf_sv(&w.live), toc_buf_sv(&w.replayed)))
        die(&w, "the back-test is not what the daemon did");
    run_replay(&w, NULL, seed % 2 == 0, &other);
    if (!toc_sv_eq(toc_buf_sv(&w.live), toc_buf_sv(&w.replayed)))
        die(&w, "the back-test on one thread is not what the daemon did");
    toc_buf_fini(&w.rules);
    toc_buf_fini(&w.routing);
    toc_buf_fini(&w.live);
    toc_buf_fini(&w.replayed);
    TOC_VEC_FINI(&w.samples);
}

int main(int argc, char **argv) {
    uint64_t seed = 1, count = 40;
    struct toc_pool *pool = NULL;
    struct totals t = {0};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--seed"))
            seed = strtoull(argv[i + 1], NULL, 10);
        if (!strcmp(argv[i], "--count"))
            count = strtoull(argv[i + 1], NULL, 10);
    }
    if (toc_pool_new(2, &pool, NULL))
        return 1;
    for (uint64_t i = 0; i < count; i++)
        check_seed(seed + i, toc_pool_executor(pool), &t);
    toc_pool_free(&pool);
    printf("%llu rule sets and histories: %llu alerts, %llu notifications, %llu incidents; %llu "
           "range queries, %llu instant ones\n",
           (unsigned long long)count, (unsigned long long)t.alerts, (unsigned long long)t.pages,
           (unsigned long long)t.incidents, (unsigned long long)t.range_queries,
           (unsigned long long)t.instant_queries);
    return t.alerts && t.pages && t.range_queries ? 0 : 1;
}
