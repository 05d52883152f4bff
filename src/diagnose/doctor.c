#include "diagnose/doctor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "diagnose/doctor_priv.h"

static const struct toc_doctor_limits default_limits = {
#define X(member, value, unit, meaning) .member = (value),
    TOC_DOCTOR_LIMIT_TABLE(X)
#undef X
};

static void on_event(struct toc_run_listener *l, const struct toc_run_event *e);

static void compile(struct toc_matcher *m, const char *pattern) {
    int rc = toc_matcher_init(m, TOC_MATCH_RE, TOC_METRIC_NAME, toc_sv_cstr(pattern), NULL);
    TOC_ASSERT(rc == 0);
}

struct toc_doctor *toc_doctor_new(const struct toc_doctor_options *o) {
    struct toc_doctor *d = TOC_NEW(struct toc_doctor);
    d->o = *o;
#define X(member, value, unit, meaning) \
    if (!(o->limits.member > 0))        \
        d->o.limits.member = default_limits.member;
    TOC_DOCTOR_LIMIT_TABLE(X)
#undef X
    snprintf(d->runbook_base, sizeof d->runbook_base, "%s",
             o->runbook_base ? o->runbook_base : "/docs/runbooks/");
    d->listener.on_event = on_event;
    toc_mutex_init(&d->mutex, TOC_LOCK_DIAGNOSE);
    toc_mutex_init(&d->queue_mutex, TOC_LOCK_QUEUE);
    compile(&d->run_metrics,
            "train_(step|loss|grad_norm|learning_rate|step_seconds|memory_bytes|memory_limit_bytes|"
            "cpu_wait_ratio|run_state|run_tells_state|restarts_total|run_info|layer_nonfinite_"
            "ratio|layer_"
            "nonfinite_activation_ratio|"
            "(layer_)?param_checksum)" TOC_LEARN_PATTERN);
    toc_learn_metric_ids(&d->learn_ids);
    compile(&d->rank_metrics, toc_ranks_pattern());
    compile(&d->ras_metrics, "nccl_ras_(collectives_total|rank_missing)");
    compile(&d->gpu_metrics, "DCGM_FI_DEV_GPU_UTIL|DCGM_FI_PROF_(PIPE_TENSOR|DRAM)_ACTIVE");
    compile(&d->envelope_metrics, "train_(step|loss|run_state)");
    compile(&d->checksum_metrics, "train_(layer_)?param_checksum");
    compile(&d->server_metrics,
            "(vllm|sglang):((e2e_request_latency|time_to_first_token)_seconds_(bucket|count|sum)|"
            "request_success_total|num_requests_total|num_aborted_requests_total)|"
            "http_requests_total");
    compile(&d->pressure_metrics, "node_pressure_cpu_waiting_seconds_total");
    return d;
}

static void event_fini(struct toc_doctor_event *e) {
    for (size_t i = 0; i < e->layers.count; i++)
        toc_free((void *)(uintptr_t)e->layers.items[i].p);
    TOC_VEC_FINI(&e->layers);
    toc_free((void *)(uintptr_t)e->run.p);
}

void toc_doctor_free(struct toc_doctor **pd) {
    if (!pd || !*pd)
        return;
    struct toc_doctor *d = *pd;
    for (size_t i = 0; i < d->runs.count; i++)
        toc_run_model_free(d->runs.items[i]);
    for (size_t i = 0; i < d->servers.count; i++)
        toc_server_model_free(d->servers.items[i]);
    for (size_t i = 0; i < d->queue.count; i++)
        event_fini(&d->queue.items[i]);
    TOC_VEC_FINI(&d->runs);
    TOC_VEC_FINI(&d->servers);
    TOC_VEC_FINI(&d->queue);
    TOC_VEC_FINI(&d->messages);
    toc_map_fini(&d->run_by_name);
    toc_map_fini(&d->server_by_key);
    toc_map_fini(&d->learn_ids);
    toc_signature_table_free(&d->signatures);
    toc_matcher_fini(&d->envelope_metrics);
    toc_matcher_fini(&d->checksum_metrics);
    toc_matcher_fini(&d->run_metrics);
    toc_matcher_fini(&d->rank_metrics);
    toc_matcher_fini(&d->gpu_metrics);
    toc_matcher_fini(&d->ras_metrics);
    toc_matcher_fini(&d->server_metrics);
    toc_matcher_fini(&d->pressure_metrics);
    toc_mutex_fini(&d->mutex);
    toc_mutex_fini(&d->queue_mutex);
    toc_free(d);
    *pd = NULL;
}

bool toc_doctor_reads(const struct toc_doctor *d, struct toc_sv metric) {
    struct toc_label name = {TOC_METRIC_NAME, metric};
    struct toc_labels labels = {&name, 1};
    const struct toc_matcher *all[] = {&d->run_metrics, &d->rank_metrics, &d->checksum_metrics};
    bool is = false;
    for (size_t i = 0; !is && i < TOC_ARRAY_LEN(all); i++)
        is = toc_matchers_match(all[i], 1, labels);
    return is;
}

struct toc_run_listener *toc_doctor_listener(struct toc_doctor *d) {
    return &d->listener;
}

static struct toc_sv own(struct toc_sv s) {
    return toc_sv_make(toc_sv_dup_cstr(s), s.n);
}

/* The last line of a traceback says what happened; the ones before it where. */
static struct toc_sv last_line(struct toc_sv text) {
    text = toc_sv_trim(text);
    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    size_t from = text.n;
    while (from > 0 && text.p[from - 1] != '\n')
        from--;
    return toc_sv_trim(toc_sv_sub(text, from, text.n - from));
}

static void on_event(struct toc_run_listener *l, const struct toc_run_event *e) {
    enum { QUEUE_MAX = 10000 };
    struct toc_doctor *d = TOC_CONTAINER_OF(l, struct toc_doctor, listener);
    struct toc_doctor_event copy = {.run = own(e->run),
                                    .kind = e->kind,
                                    .t_ms = e->t.ms,
                                    .has_step = e->has_step,
                                    .step = e->step,
                                    .rank = e->rank,
                                    .state = e->state,
                                    .is_oom = toc_says_out_of_memory(e->message)};
    struct toc_sv line = last_line(e->message);
    toc_sv_copy(toc_sv_sub(line, 0, TOC_MIN(line.n, sizeof copy.text - 1)), copy.text,
                sizeof copy.text);
    for (size_t i = 0; e->kind == TOC_RUN_EVENT_LAYERS && i < e->layer_count; i++)
        TOC_VEC_PUSH(&copy.layers, own(e->layers[i]));
    toc_mutex_lock(&d->queue_mutex);
    bool is_full = d->queue.count >= QUEUE_MAX;
    if (!is_full)
        TOC_VEC_PUSH(&d->queue, copy);
    toc_mutex_unlock(&d->queue_mutex);
    if (is_full) /* the samples of the lines say most of it again */
        event_fini(&copy);
}

static void on_signature(void *ctx, const struct toc_signature_hit *hit) {
    if (toc_sv_eq_cstr(hit->signature->class_name, "checkpoint"))
        *(bool *)ctx = true;
}

/* Does an error's text speak of a checkpoint that cannot be read? */
static bool says_corrupt(struct toc_doctor *d, const char *text) {
    bool is_corrupt = false;
    if (!d->signatures) {
        int rc = toc_signature_table_builtin(&d->signatures, NULL);
        TOC_ASSERT(rc == 0); /* a unit test checks the table */
    }
    toc_signature_match(d->signatures, toc_sv_cstr(text), TOC_LOG_JOB, on_signature, &is_corrupt);
    return is_corrupt;
}

static void note_checkpoint(struct toc_doctor *d, struct toc_run_model *m,
                            const struct toc_doctor_event *e) {
    static const char *const reading[] = {"load", "restor", "resum", "corrupt", "checksum"};
    bool is_failure = e->kind == TOC_RUN_EVENT_CHECKPOINT_FAILED, is_corrupt = false;
    if (!is_failure && e->kind != TOC_RUN_EVENT_ERROR)
        return;
    is_corrupt = says_corrupt(d, e->text);
    for (size_t i = 0; is_failure && i < TOC_ARRAY_LEN(reading); i++)
        is_corrupt |= strcasestr(e->text, reading[i]) != NULL;
    if (!is_failure && !is_corrupt)
        return;
    m->checkpoint_failed_ms = d->now_ms;
    m->checkpoint_failed_step = e->has_step ? (double)e->step : NAN;
    m->is_checkpoint_corrupt = is_corrupt;
    snprintf(m->checkpoint_error, sizeof m->checkpoint_error, "%s", e->text);
}

static void take_events(struct toc_doctor *d) {
    struct {
        TOC_VEC_FIELDS(struct toc_doctor_event)
    } taken;
    toc_mutex_lock(&d->queue_mutex);
    taken.items = d->queue.items;
    taken.count = d->queue.count;
    taken.capacity = d->queue.capacity;
    d->queue.items = NULL;
    d->queue.count = d->queue.capacity = 0;
    toc_mutex_unlock(&d->queue_mutex);
    for (size_t i = 0; i < taken.count; i++) {
        struct toc_run_model *m = toc_doctor_run(d, taken.items[i].run);
        if (m) {
            toc_run_model_event(m, &taken.items[i], d->now_ms);
            note_checkpoint(d, m, &taken.items[i]);
        }
        event_fini(&taken.items[i]);
    }
    TOC_VEC_FINI(&taken);
}

static const struct {
    enum toc_case_id id;
    toc_judge_run *judge;
} run_judges[] = {
    {CASE_NON_FINITE, toc_judge_non_finite},
    {CASE_OOM, toc_judge_oom},
    {CASE_CRASH, toc_judge_crash},
    {CASE_HANG, toc_judge_hang},
    {CASE_DIVERGENCE, toc_judge_divergence},
    {CASE_LOSS_SPIKE, toc_judge_loss_spike},
    {CASE_VANISHING, toc_judge_vanishing},
    {CASE_EXPLODING, toc_judge_exploding},
    {CASE_DEAD_UNITS, toc_judge_dead_units},
    {CASE_SATURATION, toc_judge_saturation},
    {CASE_UPDATE_RATIO, toc_judge_update_ratio},
    {CASE_STRAGGLER, toc_judge_straggler},
    {CASE_STARVATION, toc_judge_starvation},
    {CASE_OVERDUE, toc_judge_checkpoint_overdue},
    {CASE_CORRUPT, toc_judge_checkpoint_corrupt},
    {CASE_DRIFT, toc_judge_drift},
    {CASE_REPLICAS, toc_judge_replicas},
    {CASE_AMP, toc_judge_amp},
    {CASE_MOE, toc_judge_moe},
    {CASE_OVERFIT, toc_judge_overfit},
    {CASE_PLATEAU, toc_judge_plateau},
    {CASE_SLOW_CONVERGENCE, toc_judge_slow_convergence},
    {CASE_OSCILLATION, toc_judge_oscillation},
    {CASE_CONTENTION, toc_judge_contention},
    {CASE_THROUGHPUT, toc_judge_throughput},
    {CASE_MEMORY, toc_judge_memory},
    {CASE_RESTARTS, toc_judge_restarts},
};

static const struct {
    enum toc_case_id id;
    toc_judge_server *judge;
} server_judges[] = {
    {CASE_LATENCY, toc_judge_latency},
    {CASE_TTFT, toc_judge_ttft},
    {CASE_ERRORS, toc_judge_errors},
};

static void judge_run(struct toc_doctor *d, struct toc_run_model *m) {
    struct toc_label subject = {TOC_SV("run"), m->name};
    for (size_t i = 0; i < TOC_ARRAY_LEN(run_judges); i++) {
        struct toc_case *c = &m->cases[run_judges[i].id];
        enum toc_verdict v = run_judges[i].judge(d, m, c);
        toc_case_settle(d, c, run_judges[i].id, v, &subject, 1);
    }
}

static void judge_server(struct toc_doctor *d, struct toc_server_model *m) {
    struct toc_label subject[] = {{TOC_SV("instance"), m->instance}, {TOC_SV("job"), m->job}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(server_judges); i++) {
        struct toc_case *c = &m->cases[server_judges[i].id];
        enum toc_verdict v = server_judges[i].judge(d, m, c);
        toc_case_settle(d, c, server_judges[i].id, v, subject, TOC_ARRAY_LEN(subject));
    }
}

/* When the whole machine slept, nobody made progress and nobody is to blame for it. */
static void note_blindness(struct toc_doctor *d) {
    enum { LONGEST_TICK_MS = 5000 };
    int64_t gap_ms = d->last_tick_ms ? d->now_ms - d->last_tick_ms : 0;
    bool is_blind = gap_ms > LONGEST_TICK_MS && !d->o.is_replay;
    for (size_t i = 0; is_blind && i < d->runs.count; i++)
        d->runs.items[i]->blind_ms += gap_ms;
}

static int tick_locked(struct toc_doctor *d, struct toc_err *err) {
    note_blindness(d);
    int rc = toc_doctor_read_pressure(d, err);
    if (!rc)
        rc = toc_doctor_read_runs(d, err);
    if (!rc)
        rc = toc_doctor_read_servers(d, err);
    if (rc)
        return rc;
    take_events(d);
    for (size_t i = 0; i < d->runs.count; i++)
        judge_run(d, d->runs.items[i]);
    for (size_t i = 0; i < d->servers.count; i++)
        judge_server(d, d->servers.items[i]);
    toc_cases_send(d);
    d->last_tick_ms = d->now_ms;
    return 0;
}

int toc_doctor_tick(struct toc_doctor *d, struct toc_ts now, struct toc_err *err) {
    toc_mutex_lock(&d->mutex);
    int rc = 0;
    if (now.ms > d->now_ms) { /* a clock that steps back is waited for */
        d->now_ms = now.ms;
        rc = tick_locked(d, err);
    }
    toc_mutex_unlock(&d->mutex);
    return rc;
}

void toc_doctor_adopt(struct toc_doctor *d, const struct toc_alert *alert) {
    enum toc_kind kind = toc_kind_parse(toc_labels_get(alert->labels, TOC_SV("kind")));
    struct toc_sv run = toc_labels_get(alert->labels, TOC_SV("run"));
    struct toc_sv instance = toc_labels_get(alert->labels, TOC_SV("instance"));
    toc_mutex_lock(&d->mutex);
    for (int i = 0; i < CASE_COUNT; i++) {
        if (toc_case_kind((enum toc_case_id)i) != kind)
            continue;
        bool is_server = i >= CASE_LATENCY;
        struct toc_run_model *m = is_server || !run.n ? NULL : toc_doctor_run(d, run);
        struct toc_server_model *s =
            is_server ? toc_doctor_server(d, toc_labels_get(alert->labels, TOC_SV("job")), instance)
                      : NULL;
        struct toc_case *c = m ? &m->cases[i] : s ? &s->cases[i] : NULL;
        if (c && !c->is_open) {
            c->is_open = true;
            c->severity = toc_severity_parse(toc_labels_get(alert->labels, TOC_SV("severity")));
            c->started_ms = alert->starts_at.ms;
            c->told_ms = alert->updated_at.ms;
        }
    }
    toc_mutex_unlock(&d->mutex);
}

bool toc_doctor_is_open(struct toc_doctor *d, struct toc_sv run, enum toc_kind kind) {
    bool is_open = false;
    toc_mutex_lock(&d->mutex);
    const struct toc_run_model *m = toc_map_get(&d->run_by_name, run);
    for (int i = 0; m && i < CASE_COUNT; i++)
        is_open |= m->cases[i].is_open && toc_case_kind((enum toc_case_id)i) == kind;
    toc_mutex_unlock(&d->mutex);
    return is_open;
}
