#include "base/hash.h"
#include "diagnose/doctor_priv.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* X(case, seconds of calm before the alert ends): long enough that one fault is one alert. */
#define CALM_TABLE(X)            \
    X(CASE_NON_FINITE, 15)       \
    X(CASE_OOM, 10)              \
    X(CASE_CRASH, 10)            \
    X(CASE_HANG, 5)              \
    X(CASE_DIVERGENCE, 20)       \
    X(CASE_LOSS_SPIKE, 30)       \
    X(CASE_VANISHING, 15)        \
    X(CASE_EXPLODING, 20)        \
    X(CASE_DEAD_UNITS, 20)       \
    X(CASE_SATURATION, 20)       \
    X(CASE_UPDATE_RATIO, 20)     \
    X(CASE_DRIFT, 20)            \
    X(CASE_REPLICAS, 30)         \
    X(CASE_AMP, 30)              \
    X(CASE_MOE, 30)              \
    X(CASE_OVERFIT, 60)          \
    X(CASE_PLATEAU, 60)          \
    X(CASE_SLOW_CONVERGENCE, 60) \
    X(CASE_OSCILLATION, 60)      \
    X(CASE_STRAGGLER, 20)        \
    X(CASE_STARVATION, 15)       \
    X(CASE_OVERDUE, 5)           \
    X(CASE_CORRUPT, 30)          \
    X(CASE_THROUGHPUT, 15)       \
    X(CASE_CONTENTION, 15)       \
    X(CASE_MEMORY, 20)           \
    X(CASE_RESTARTS, 60)         \
    X(CASE_LATENCY, 15)          \
    X(CASE_TTFT, 15)             \
    X(CASE_ERRORS, 15)

static const int64_t calm_ms[CASE_COUNT] = {
#define X(id, seconds) [id] = (seconds)*1000,
    CALM_TABLE(X)
#undef X
};

static const enum toc_kind kinds[CASE_COUNT] = {
#define X(id, kind) [id] = kind,
    TOC_CASE_TABLE(X)
#undef X
};

enum { REFRESH_MS = 15000 };

enum toc_kind toc_case_kind(enum toc_case_id id) {
    return kinds[id];
}

void toc_case_fini(struct toc_case *c) {
    toc_arena_fini(&c->arena);
}

void toc_case_begin(struct toc_case *c, enum toc_kind kind, int64_t first_seen_ms) {
    toc_arena_reset(&c->arena);
    c->finding = (struct toc_finding){
        .kind = kind,
        .severity = toc_kind_info(kind)->severity,
        .first_seen = {first_seen_ms},
        .evidence = c->evidence,
        .causes = c->causes,
    };
    c->layer = c->host = TOC_SV_NULL;
    c->has_rank = false;
}

static struct toc_sv format(struct toc_case *c, const char *fmt, va_list ap) TOC_PRINTF(2, 0);
static struct toc_sv format(struct toc_case *c, const char *fmt, va_list ap) {
    char text[1200];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    size_t size = n < 0 ? 0 : TOC_MIN((size_t)n, sizeof text - 1);
    return toc_arena_dup_sv(&c->arena, toc_sv_make(text, size));
}

void toc_case_title(struct toc_case *c, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    c->finding.title = format(c, fmt, ap);
    va_end(ap);
}

void toc_case_summary(struct toc_case *c, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    c->finding.summary = format(c, fmt, ap);
    va_end(ap);
}

void toc_case_action(struct toc_case *c, const char *text) {
    c->finding.action = toc_sv_cstr(text);
}

void toc_case_step(struct toc_case *c, double step) {
    c->finding.has_step = isfinite(step);
    c->finding.step = isfinite(step) ? (int64_t)step : 0;
}

void toc_case_layer(struct toc_case *c, struct toc_sv layer) {
    c->layer = toc_arena_dup_sv(&c->arena, layer);
}

void toc_case_rank(struct toc_case *c, int64_t rank, struct toc_sv host) {
    c->has_rank = true;
    c->rank = rank;
    c->host = toc_arena_dup_sv(&c->arena, host);
}

void toc_case_cause(struct toc_case *c, double confidence, const char *evidence, const char *fmt,
                    ...) {
    if (c->finding.cause_count == TOC_CAUSES_MAX)
        return;
    va_list ap;
    va_start(ap, fmt);
    c->causes[c->finding.cause_count++] = (struct toc_cause){
        .text = format(c, fmt, ap),
        .confidence = confidence,
        .evidence = toc_arena_dup_sv(&c->arena, toc_sv_cstr(evidence)),
    };
    va_end(ap);
}

void toc_case_evidence(struct toc_case *c, const char *title, const char *unit,
                       struct toc_evidence_numbers n, const char *expr_fmt, ...) {
    if (c->finding.evidence_count == TOC_EVIDENCE_MAX)
        return;
    va_list ap;
    va_start(ap, expr_fmt);
    c->evidence[c->finding.evidence_count++] = (struct toc_evidence){
        .title = toc_sv_cstr(title),
        .expr = format(c, expr_fmt, ap),
        .unit = toc_sv_cstr(unit),
        .value = n.value,
        .threshold = n.threshold,
        .expected_lower = n.lower,
        .expected_upper = n.upper,
    };
    va_end(ap);
}

/* What the sink is told of one case. Waits for those of the other cases: the alerts of a tick are
 * one write of their store. */
struct toc_case_message {
    struct toc_labels_builder labels, annotations;
    struct toc_alert alert; /* its finding is the case's */
    char step[24], rank[24], runbook[320];
};

static void add_labels(struct toc_case_message *m, enum toc_kind kind, enum toc_severity severity,
                       const struct toc_label *subject, size_t count) {
    const struct toc_kind_info *info = toc_kind_info(kind);
    toc_labels_builder_set(&m->labels, TOC_SV("alertname"), toc_sv_cstr(info->name));
    toc_labels_builder_set(&m->labels, TOC_SV("kind"), toc_sv_cstr(info->name));
    toc_labels_builder_set(&m->labels, TOC_SV("severity"),
                           toc_sv_cstr(toc_severity_text(severity)));
    for (size_t i = 0; i < count; i++)
        toc_labels_builder_set(&m->labels, subject[i].name, subject[i].value);
}

static void add_annotations(struct toc_case_message *m, const struct toc_doctor *d,
                            const struct toc_case *c, enum toc_kind kind) {
    const struct toc_finding *f = &c->finding;
    snprintf(m->runbook, sizeof m->runbook, "%s%s.md", d->runbook_base, toc_kind_info(kind)->name);
    snprintf(m->step, sizeof m->step, "%lld", (long long)f->step);
    toc_labels_builder_set(&m->annotations, TOC_SV("summary"), f->title);
    toc_labels_builder_set(&m->annotations, TOC_SV("description"), f->summary);
    toc_labels_builder_set(&m->annotations, TOC_SV("action"), f->action);
    toc_labels_builder_set(&m->annotations, TOC_SV("runbook_url"), toc_sv_cstr(m->runbook));
    toc_labels_builder_set(&m->annotations, TOC_SV("layer"), c->layer);
    toc_labels_builder_set(&m->annotations, TOC_SV("host"), c->host);
    snprintf(m->rank, sizeof m->rank, "%lld", (long long)c->rank);
    if (c->has_rank)
        toc_labels_builder_set(&m->annotations, TOC_SV("rank"), toc_sv_cstr(m->rank));
    if (f->has_step)
        toc_labels_builder_set(&m->annotations, TOC_SV("step"), toc_sv_cstr(m->step));
}

/* Changes when the finding names another place or rank: that is news, a number that moves is not.
 */
static uint64_t mark(const struct toc_case *c) {
    uint64_t step = c->finding.has_step ? (uint64_t)c->finding.step : UINT64_MAX;
    uint64_t rank = c->has_rank ? (uint64_t)c->rank : UINT64_MAX;
    return toc_hash64(c->layer.p, c->layer.n, step ^ rank << 48);
}

static void tell(struct toc_doctor *d, struct toc_case *c, enum toc_case_id id, int64_t ends_ms,
                 const struct toc_label *subject, size_t count) {
    struct toc_case_message *m = TOC_NEW(struct toc_case_message);
    add_labels(m, kinds[id], c->severity, subject, count);
    add_annotations(m, d, c, kinds[id]);
    m->alert = (struct toc_alert){
        .labels = toc_labels_builder_finish(&m->labels),
        .annotations = toc_labels_builder_finish(&m->annotations),
        .starts_at = {c->started_ms},
        .ends_at = {ends_ms},
        .updated_at = {d->now_ms},
        .value = c->finding.evidence_count ? c->evidence[0].value : NAN,
        .finding = c->finding.title.n ? &c->finding : NULL,
    };
    TOC_VEC_PUSH(&d->messages, m);
    c->told_ms = d->now_ms;
    c->told_mark = mark(c);
}

void toc_cases_send(struct toc_doctor *d) {
    size_t n = d->messages.count;
    if (!n)
        return;
    struct toc_alert *alerts = TOC_NEW_ARRAY(struct toc_alert, n);
    for (size_t i = 0; i < n; i++)
        alerts[i] = d->messages.items[i]->alert;
    if (d->o.alerts)
        d->o.alerts->put(d->o.alerts, alerts, n, (struct toc_ts){d->now_ms});
    for (size_t i = 0; i < n; i++) {
        toc_labels_builder_fini(&d->messages.items[i]->labels);
        toc_labels_builder_fini(&d->messages.items[i]->annotations);
        toc_free(d->messages.items[i]);
    }
    toc_free(alerts);
    d->messages.count = 0;
}

static void settle_ill(struct toc_doctor *d, struct toc_case *c, enum toc_case_id id,
                       const struct toc_label *subject, size_t count) {
    c->calm_since_ms = 0;
    if (!c->is_open) {
        c->is_open = true;
        c->severity = c->finding.severity;
        c->started_ms = c->finding.first_seen.ms ? c->finding.first_seen.ms : d->now_ms;
        if (c->started_ms > d->now_ms)
            c->started_ms = d->now_ms;
        tell(d, c, id, 0, subject, count);
    } else if (d->now_ms - c->told_ms >= REFRESH_MS || c->told_mark != mark(c)) {
        tell(d, c, id, 0, subject, count);
    }
}

void toc_case_settle(struct toc_doctor *d, struct toc_case *c, enum toc_case_id id,
                     enum toc_verdict v, const struct toc_label *subject, size_t subject_count) {
    if (v == VERDICT_ILL) {
        settle_ill(d, c, id, subject, subject_count);
        return;
    }
    if (!c->is_open)
        return;
    if (v == VERDICT_CALM && !c->calm_since_ms)
        c->calm_since_ms = d->now_ms;
    if (v == VERDICT_CALM && d->now_ms - c->calm_since_ms >= calm_ms[id]) {
        tell(d, c, id, d->now_ms, subject, subject_count);
        c->is_open = false;
        c->calm_since_ms = 0;
    }
}
