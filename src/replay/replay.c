#include "replay/replay.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "incident/alert_observer.h"
#include "replay/replay_answers.h"
#include "replay/replay_view.h"

/* Steps of the shortest grid in a stretch: long enough that the start of a query does not count,
 * short enough for the results of all rules to fit. */
enum { STRETCH_STEPS = 480, SECOND_MS = 1000, STRETCH_MIN_MS = 600000, DAY_MS = 86400000 };

struct replay {
    const struct toc_replay_options *o;
    struct toc_replay_record *record;
    struct toc_replay_view view;
    struct toc_replay_answers *answers; /* NULL: every query at its own time */
    struct toc_rules *rules;
    struct toc_alert_manager *alerts;
    struct toc_alert_observer observer;
    struct toc_incident_observer to_incidents;
    struct toc_incident_store store;
    struct toc_incident_manager *incidents;
    int64_t tick_ms, stretch_ms;
    int64_t next_ms;        /* when the engine looks next */
    int64_t incident_ms;    /* its last look at incidents */
    int64_t last_change_ms; /* of an alert; INT64_MIN: none yet */
    struct toc_map seen;    /* incident id → index in the record + 1 */
    int rc;
    struct toc_err *err;
};

static void fail(struct replay *r, int rc) {
    if (r->rc || !rc)
        return;
    r->rc = toc_errf(r->err, rc,
                     "more than %d alerts or %d notifications: the rules fire too often to keep "
                     "a record; take a shorter range or fewer rules",
                     TOC_REPLAY_ALERTS_MAX, TOC_REPLAY_PAGES_MAX);
}

/* -------------------------------------------------------------------------------- what happens */

static void on_alert(struct toc_alert_observer *o, enum toc_alert_event event,
                     const struct toc_alert_view *v, struct toc_ts now) {
    struct replay *r = TOC_CONTAINER_OF(o, struct replay, observer);
    r->last_change_ms = r->view.now_ms; /* `now` may lie back by the query offset */
    fail(r, toc_replay_record_alert(r->record, event, v, now));
    r->to_incidents.base.on_change(&r->to_incidents.base, event, v, now);
    r->to_incidents.base.settled(&r->to_incidents.base, now); /* the record wants to know at once */
    if (event == TOC_ALERT_FIRING) {
        char id[TOC_INCIDENT_ID_MAX];
        uintptr_t n = (uintptr_t)toc_map_get(&r->record->open, toc_map_u64(&v->fingerprint));
        toc_incident_of_alert(r->incidents, v->fingerprint, id);
        if (n && id[0])
            r->record->alerts.items[n - 1].incident =
                toc_arena_dup_sv(&r->record->arena, toc_sv_cstr(id));
    }
    if (r->o->observer)
        r->o->observer->on_change(r->o->observer, event, v, now);
}

static bool on_flush(void *ctx, const struct toc_alert_flush *f) {
    struct replay *r = ctx;
    fail(r, toc_replay_record_page(r->record, f));
    if (r->o->on_flush)
        r->o->on_flush(r->o->ctx, f);
    return true;
}

/* The store of the incident manager: keeps what the record wants. */
static int save(struct toc_incident_store *s, struct toc_incident *i,
                const struct toc_timeline_entry *entries, size_t count, struct toc_err *err) {
    struct replay *r = TOC_CONTAINER_OF(s, struct replay, store);
    struct toc_replay_record *record = r->record;
    (void)entries;
    (void)count;
    (void)err;
    if (!i->id[0]) {
        snprintf(i->id, sizeof i->id, "B-%06zu", record->incidents.count + 1);
        struct toc_replay_incident fresh = {
            .id = toc_arena_dup_sv(&record->arena, toc_sv_cstr(i->id)),
            .subject = toc_arena_dup_sv(&record->arena, i->subject_key),
            .detected_ms = i->detected_at.ms};
        TOC_VEC_PUSH(&record->incidents, fresh);
        (void)toc_map_put(&r->seen, toc_sv_cstr(i->id), (void *)(uintptr_t)record->incidents.count);
    }
    uintptr_t n = (uintptr_t)toc_map_get(&r->seen, toc_sv_cstr(i->id));
    struct toc_replay_incident *kept = &record->incidents.items[n - 1];
    if (!toc_sv_eq(kept->rule, i->rule))
        kept->rule = toc_arena_dup_sv(&record->arena, i->rule);
    if (!toc_sv_eq(kept->title, i->title))
        kept->title = toc_arena_dup_sv(&record->arena, i->title);
    kept->resolved_ms = i->resolved_at.ms;
    kept->reopen_count = i->reopen_count;
    for (size_t k = 0; k < i->alerts.count; k++)
        i->alerts.items[k].is_changed = false;
    return 0;
}

/* Nothing was open before. */
static int load_live(struct toc_incident_store *s, struct toc_ts since, toc_on_incident *fn,
                     void *ctx, struct toc_err *err) {
    (void)s;
    (void)since;
    (void)fn;
    (void)ctx;
    (void)err;
    return 0;
}

/* ----------------------------------------------------------------------------------- the clock */

/* The engine's looks are `tick` apart, beginning at `from`. */
static int64_t tick_at_or_after(const struct replay *r, int64_t t) {
    int64_t past = (t - r->o->from_ms) % r->tick_ms;
    return t <= r->o->from_ms ? r->o->from_ms : past ? t - past + r->tick_ms : t;
}

/* Incidents are looked at once a second. While nothing changes only the last of these looks
 * matters, so those before it are left out. */
static int64_t hold_ms(const struct replay *r) {
    return (r->o->incident_hold_ms ? r->o->incident_hold_ms : 10000) + 2 * SECOND_MS;
}

static int64_t next_incident_look(const struct replay *r) {
    bool is_needed = r->last_change_ms != INT64_MIN &&
                     r->incident_ms + SECOND_MS <= r->last_change_ms + hold_ms(r);
    return is_needed ? r->incident_ms + SECOND_MS : INT64_MAX;
}

static void look_at_incidents(struct replay *r, int64_t now_ms) {
    toc_incident_tick(r->incidents, (struct toc_ts){now_ms});
    r->incident_ms = now_ms;
}

/* The last look that the engine would have had before now. */
static void catch_up(struct replay *r, int64_t now_ms) {
    int64_t due = now_ms - (now_ms - r->o->from_ms) % SECOND_MS;
    if (due == now_ms)
        due -= SECOND_MS;
    if (due > r->incident_ms)
        look_at_incidents(r, due);
}

/* One round of the daemon's engine (app/engine.c: judge). */
static void look(struct replay *r, int64_t now_ms) {
    struct toc_ts now = {now_ms};
    r->view.now_ms = now_ms;
    catch_up(r, now_ms);
    if (toc_rules_next_due(r->rules) <= now_ms)
        toc_rules_evaluate_due(r->rules, now);
    if ((now_ms - r->o->from_ms) % SECOND_MS == 0 && now_ms > r->incident_ms)
        look_at_incidents(r, now_ms);
    if (toc_alert_manager_next_due(r->alerts) <= now_ms)
        toc_alert_manager_tick(r->alerts, now);
    r->next_ms = now_ms + r->tick_ms;
}

static int64_t next_due(struct replay *r) {
    int64_t due = TOC_MIN(toc_rules_next_due(r->rules), toc_alert_manager_next_due(r->alerts));
    return TOC_MIN(due, next_incident_look(r));
}

static void replay_until(struct replay *r, int64_t end_ms) {
    while (!r->rc) {
        int64_t due = next_due(r);
        int64_t t = due >= end_ms ? end_ms : tick_at_or_after(r, TOC_MAX(due, r->next_ms));
        if (t >= end_ms)
            break;
        look(r, t);
    }
    toc_replay_view_trim(&r->view);
}

/* -------------------------------------------------------------------------------- stretches */

/* Task 0 replays the stretch at hand while the others fill the next one. */
struct round {
    struct replay *r;
    size_t buffer; /* that is filled */
    int64_t replay_to_ms, fill_from_ms, fill_to_ms;
    bool replays;
};

static void run_task(void *arg, size_t task, size_t worker) {
    struct round *x = arg;
    (void)worker;
    if (x->replays && task == 0)
        replay_until(x->r, x->replay_to_ms);
    else
        toc_replay_answers_fill(x->r->answers, task - x->replays, x->buffer, x->fill_from_ms,
                                x->fill_to_ms);
}

static bool tell_progress(struct replay *r, int64_t at_ms) {
    const struct toc_replay_options *o = r->o;
    if (!o->on_progress || o->on_progress(o->ctx, at_ms - o->from_ms, o->to_ms - o->from_ms))
        return true;
    r->rc = toc_errf(r->err, TOC_ECANCELED, "the back-test was cancelled");
    return false;
}

static void run_stretches(struct replay *r) {
    const struct toc_replay_options *o = r->o;
    size_t queries = r->answers ? toc_replay_answers_count(r->answers) : 0, buffer = 0;
    struct round first = {r,    0, 0, o->from_ms, TOC_MIN(o->from_ms + r->stretch_ms, o->to_ms),
                          false};
    toc_execute(o->executor, queries, run_task, &first);
    for (int64_t at = o->from_ms; at < o->to_ms && !r->rc; buffer = 1 - buffer) {
        int64_t end = TOC_MIN(at + r->stretch_ms, o->to_ms);
        struct round x = {r, 1 - buffer, end, end, TOC_MIN(end + r->stretch_ms, o->to_ms), true};
        if (r->answers)
            toc_replay_answers_use(r->answers, buffer);
        toc_execute(o->executor, 1 + (end < o->to_ms ? queries : 0), run_task, &x);
        at = end;
        if (!tell_progress(r, at))
            return;
    }
}

/* ------------------------------------------------------------------------------------- set-up */

struct reading {
    struct toc_replay_view *view;
    int64_t reach_ms, lookback_ms;
};

static void note_selector(void *ctx, const struct toc_matcher *m, size_t count) {
    struct reading *x = ctx;
    toc_replay_view_note_reader(x->view, m, count);
}

static void note_expr(struct reading *x, const struct toc_promql_expr *e) {
    if (!e)
        return;
    toc_promql_visit_selectors(e, note_selector, x);
    x->reach_ms = TOC_MAX(x->reach_ms, toc_promql_reach_ms(e, x->lookback_ms));
}

/* A template that queries may ask for anything, and how far back is not known. */
static void note_texts(struct reading *x, const struct toc_rule_text *texts, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (toc_sv_find(texts[i].text, TOC_SV("query")) != SIZE_MAX) {
            x->view->is_all_read = true;
            x->reach_ms = INT64_MAX;
        }
}

static void note_rule(struct reading *x, const struct toc_rule_group *g, const struct toc_rule *r) {
    if (!r->is_alert)
        toc_replay_view_add_name(x->view, r->name);
    note_expr(x, r->expr);
    note_expr(x, r->confirm);
    note_expr(x, r->recover_expr);
    if (!r->is_alert)
        return;
    note_texts(x, r->labels, r->label_count);
    note_texts(x, r->annotations, r->annotation_count);
    note_texts(x, g->labels, g->label_count);
}

/* What rules write, and what of it may be asked for again. */
static void note_rules(struct replay *r, struct toc_rule_file **files, size_t count) {
    struct reading x = {&r->view, 0, r->o->lookback_ms ? r->o->lookback_ms : 300000};
    for (size_t f = 0; f < count; f++)
        for (size_t g = 0; g < files[f]->group_count; g++)
            for (size_t i = 0; i < files[f]->groups[g].rule_count; i++)
                note_rule(&x, &files[f]->groups[g], &files[f]->groups[g].rules[i]);
    r->view.keep_ms = x.reach_ms == INT64_MAX ? INT64_MAX : x.reach_ms + STRETCH_MIN_MS;
}

static void add_group(void *ctx, const struct toc_rule_group_view *g) {
    struct replay *r = ctx;
    struct toc_replay_grid grid = {g->next_slot.ms, g->interval_ms, g->query_offset_ms};
    if (r->answers)
        toc_replay_answers_add_group(r->answers, g->group, grid);
    r->stretch_ms = TOC_MIN(r->stretch_ms, g->interval_ms * STRETCH_STEPS);
}

static void make_answers(struct replay *r) {
    const struct toc_replay_options *o = r->o;
    const struct toc_replay_answers_options a = {
        .history = o->history,
        .view = &r->view,
        .features = o->features,
        .lookback_ms = o->lookback_ms,
        .subquery_step_ms = o->default_interval_ms ? o->default_interval_ms : 15000,
        .late_ms = r->tick_ms};
    if (!o->runs_each_query)
        r->answers = toc_replay_answers_new(&a);
}

static void make_rules(struct replay *r, struct toc_rule_file **files, size_t count) {
    const struct toc_replay_options *o = r->o;
    const struct toc_rules_options rules = {
        .querier = &r->view.querier,
        .sink = &r->view.sink,
        .alerts = toc_alert_manager_sink(r->alerts),
        .answers = r->answers ? toc_replay_answers_face(r->answers) : NULL,
        .skips_health = true,
        .features = o->features,
        .default_interval_ms = o->default_interval_ms,
        .default_query_offset_ms = o->default_query_offset_ms,
        .lookback_ms = o->lookback_ms,
        .external_labels = o->external_labels};
    r->rules = toc_rules_new(&rules);
    toc_rules_set_files(r->rules, files, count, (struct toc_ts){o->from_ms});
    r->stretch_ms = DAY_MS;
    toc_rules_each_group(r->rules, add_group, r);
    r->stretch_ms = TOC_MAX(r->stretch_ms, STRETCH_MIN_MS);
}

static int make_alerts(struct replay *r, struct toc_alert_config *config, struct toc_err *err) {
    const struct toc_replay_options *o = r->o;
    const struct toc_incident_options incidents = {.store = &r->store,
                                                   .causal_window_ms = o->incident_window_ms,
                                                   .reopen_ms = o->incident_reopen_ms,
                                                   .hold_ms = o->incident_hold_ms};
    const struct toc_alert_manager_options alerts = {
        .flush = on_flush, .flush_ctx = r, .observer = &r->observer, .zones = o->zones};
    r->store = (struct toc_incident_store){.save = save, .load_live = load_live};
    r->observer = (struct toc_alert_observer){.on_change = on_alert};
    r->alerts = toc_alert_manager_new(&alerts, config);
    int rc = toc_incident_manager_new(&incidents, (struct toc_ts){o->from_ms}, &r->incidents, err);
    toc_incident_observer_init(&r->to_incidents, r->incidents);
    if (rc == 0)
        rc = toc_alert_manager_load(r->alerts, (struct toc_ts){o->from_ms}, err);
    return rc;
}

/* --------------------------------------------------------------------------------------- result */

static bool reads_detectors(const struct toc_rule *r) {
    return toc_sv_find(r->expr_text, TOC_SV("tocsin_anomaly")) != SIZE_MAX ||
           toc_sv_find(r->expr_text, TOC_SV("tocsin_expected")) != SIZE_MAX ||
           toc_sv_find(r->confirm_text, TOC_SV("tocsin_anomaly")) != SIZE_MAX;
}

static void note_outcome(void *ctx, const struct toc_rule_group_view *g) {
    struct replay *r = ctx;
    struct toc_arena *a = &r->record->arena;
    for (size_t i = 0; i < g->rule_count; i++) {
        const struct toc_rule_view *v = &g->rules[i];
        struct toc_replay_rule rule = {.group = toc_arena_dup_sv(a, g->group->name),
                                       .name = toc_arena_dup_sv(a, v->rule->name),
                                       .expr = toc_arena_dup_sv(a, v->rule->expr_text),
                                       .is_alert = v->rule->is_alert,
                                       .for_ms = v->rule->for_ms,
                                       .reads_detectors = reads_detectors(v->rule),
                                       .failures = v->failures,
                                       .last_error = toc_arena_dup_sv(a, v->last_error)};
        TOC_VEC_PUSH(&r->record->rules, rule);
    }
}

static void note_result(struct replay *r) {
    struct toc_rules_stats s = toc_rules_stats(r->rules);
    struct toc_alert_stats a = toc_alert_manager_stats(r->alerts);
    toc_rules_each_group(r->rules, note_outcome, r);
    r->record->evaluations = s.evaluations;
    r->record->alerts_dropped = a.alerts_dropped_limit + a.groups_dropped_limit;
    r->record->instant_queries = s.evaluations;
    if (!r->answers)
        return;
    struct toc_replay_answers_stats q = toc_replay_answers_stats(r->answers);
    r->record->range_queries = q.range_queries;
    r->record->instant_queries = q.asked_unknown;
    r->record->samples = q.samples;
    r->record->is_thinned = q.is_thinned;
}

static int check_range(const struct toc_replay_options *o, struct toc_err *err) {
    if (o->to_ms <= o->from_ms)
        return toc_errf(err, TOC_EINVAL, "the range is empty: its end must lie behind its start");
    if ((o->to_ms - o->from_ms) / DAY_MS > TOC_REPLAY_SPAN_MAX_DAYS)
        return toc_errf(err, TOC_EINVAL, "the range is longer than %d days",
                        TOC_REPLAY_SPAN_MAX_DAYS);
    return 0;
}

static void replay_fini(struct replay *r) {
    toc_rules_free(&r->rules);
    toc_alert_manager_free(&r->alerts);
    toc_incident_manager_free(&r->incidents);
    toc_replay_answers_free(&r->answers);
    toc_replay_view_fini(&r->view);
    toc_map_fini(&r->seen);
}

int toc_replay_run(const struct toc_replay_options *o, struct toc_rule_file **take_files,
                   size_t file_count, struct toc_alert_config *take_alerting,
                   struct toc_replay_record *out, struct toc_err *err) {
    struct replay r = {.o = o,
                       .record = out,
                       .tick_ms = o->tick_ms ? o->tick_ms : TOC_REPLAY_TICK_MS,
                       .next_ms = o->from_ms,
                       .incident_ms = o->from_ms - SECOND_MS,
                       .last_change_ms = INT64_MIN,
                       .err = err};
    toc_replay_record_init(out);
    out->from_ms = o->from_ms;
    out->to_ms = o->to_ms;
    toc_replay_view_init(&r.view, o->history, o->from_ms);
    note_rules(&r, take_files, file_count);
    make_answers(&r);
    r.rc = make_alerts(&r, take_alerting, err);
    make_rules(&r, take_files, file_count);
    if (!r.rc)
        r.rc = check_range(o, err);
    if (!r.rc)
        run_stretches(&r);
    if (!r.rc)
        note_result(&r);
    replay_fini(&r);
    return r.rc;
}
