#include "incident/proposal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "incident/manager_priv.h"
#include "promql/promql.h"

enum {
    DEFAULT_HISTORY_MS = 7 * 24 * 3600 * 1000,
    DEFAULT_INTERVAL_MS = 15 * 1000,
    POINTS_MAX = 11000, /* per series */
    SAMPLES_MIN = 20,   /* less history than that says nothing */
    TRUE_INCIDENTS_MAX = 200,
    RESULT_MAX_BYTES = 256 << 20,
};
#define METHOD "peak of the false alarm plus 10 % of its distance from the median"
#define MARGIN 0.1

void toc_proposal_fini(struct toc_proposal *p) {
    toc_buf_fini(&p->rule);
    toc_buf_fini(&p->expr);
    memset(p, 0, sizeof *p);
}

static void put_number(struct toc_json_writer *w, const char *key, double v) {
    toc_json_key(w, key);
    if (isnan(v))
        toc_json_null(w);
    else
        toc_json_double(w, v);
}

static void put_effect(struct toc_json_writer *w, const char *key,
                       const struct toc_backtest_effect *e) {
    toc_json_key(w, key);
    toc_json_begin_object(w);
    toc_json_kv_int(w, "alerts", (int64_t)e->alerts);
    toc_json_kv_double(w, "firing_s", e->firing_s);
    toc_json_end_object(w);
}

void toc_proposal_write_json(struct toc_json_writer *w, const struct toc_proposal *p) {
    toc_json_begin_object(w);
    toc_json_kv_bool(w, "available", p->is_available);
    toc_json_kv_cstr(w, "reason", p->reason);
    toc_json_kv_string(w, "rule", toc_buf_sv(&p->rule));
    toc_json_kv_string(w, "expr", toc_buf_sv(&p->expr));
    toc_json_kv_cstr(w, "comparison",
                     p->comparison < TOC_COMPARISON_COUNT ? toc_comparison_text(p->comparison)
                                                          : NULL);
    put_number(w, "current_threshold", p->current_threshold);
    put_number(w, "proposed_threshold", p->proposed_threshold);
    toc_json_kv_cstr(w, "method", METHOD);
    toc_json_kv_double(w, "history_s", p->history_s);
    toc_json_kv_int(w, "samples", (int64_t)p->samples);
    toc_json_key(w, "effect");
    toc_json_begin_object(w);
    put_effect(w, "current", &p->current);
    put_effect(w, "proposed", &p->proposed);
    toc_json_key(w, "buckets");
    toc_json_begin_array(w);
    for (size_t n = 0; n < p->bucket_count; n++) {
        toc_json_begin_object(w);
        toc_json_kv_time(w, "at", p->buckets[n].at);
        put_number(w, "max", p->buckets[n].max);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
    toc_json_end_object(w);
    toc_json_end_object(w);
}

static int unavailable(struct toc_proposal *p, const char *fmt, ...) TOC_PRINTF(2, 3);
/* The answer is "no", which is not an error of the call. */
static int unavailable(struct toc_proposal *p, const char *fmt, ...) {
    struct toc_buf text = TOC_BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    toc_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    toc_sv_copy(toc_buf_sv(&text), p->reason, sizeof p->reason);
    toc_buf_fini(&text);
    p->is_available = false;
    return 0;
}

/* --- the rule --- */

struct rule {
    int64_t for_ms, step_ms;
};

/* TOC_ECONFLICT with a sentence when its expression has no threshold that could move. */
static int read_rule(struct toc_threshold_access *a, struct toc_sv name, struct toc_proposal *p,
                     struct rule *out, struct toc_err *err) {
    struct toc_buf expr = TOC_BUF_INIT;
    struct toc_promql_expr *parsed = NULL;
    struct toc_promql_threshold t = {0};
    out->for_ms = 0;
    out->step_ms = 0;
    toc_buf_append_sv(&p->rule, name);
    int rc = a->get(a, name, &expr, &out->for_ms, &out->step_ms, err);
    if (rc == 0)
        rc = toc_promql_parse(toc_buf_sv(&expr), &parsed, err);
    if (rc == 0) {
        toc_promql_threshold(parsed, &t);
        p->comparison = t.is_set ? toc_comparison_parse(toc_sv_cstr(t.op)) : TOC_COMPARISON_COUNT;
        p->current_threshold = t.is_set ? t.threshold : NAN;
        toc_buf_append_sv(&p->expr, toc_buf_sv(&t.left_text));
    }
    if (rc == 0 && p->comparison == TOC_COMPARISON_COUNT)
        rc = toc_errf(
            err, TOC_ECONFLICT,
            "rule %.*s does not compare with a number by >, >=, < or <=: it has no threshold "
            "to move",
            TOC_SV_ARG(name));
    if (out->step_ms <= 0)
        out->step_ms = DEFAULT_INTERVAL_MS;
    toc_buf_fini(&t.left_text);
    toc_promql_expr_free(&parsed);
    toc_buf_fini(&expr);
    return rc;
}

/* --- history --- */

struct column {
    struct toc_labels labels;
    struct toc_backtest_series s;
};

struct history {
    struct toc_promql_result result;
    struct toc_arena arena;
    struct column *columns;
    size_t count;
    double *sorted; /* all values but NaN */
    size_t sorted_count;
};

static void history_fini(struct history *h) {
    toc_promql_result_fini(&h->result);
    toc_arena_fini(&h->arena);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int to_columns(struct history *h, struct toc_proposal *p) {
    h->count = h->result.series_count;
    h->columns = TOC_ARENA_NEW_ARRAY(&h->arena, struct column, h->count);
    for (size_t i = 0; i < h->count; i++)
        p->samples += h->result.series[i].count;
    h->sorted = TOC_ARENA_NEW_ARRAY(&h->arena, double, p->samples);
    for (size_t i = 0; i < h->count && !h->arena.overflowed; i++) {
        const struct toc_promql_series *from = &h->result.series[i];
        int64_t *t = TOC_ARENA_NEW_ARRAY(&h->arena, int64_t, from->count);
        double *v = TOC_ARENA_NEW_ARRAY(&h->arena, double, from->count);
        for (size_t n = 0; t && v && n < from->count; n++) {
            t[n] = from->points[n].t_ms;
            v[n] = from->points[n].value;
            if (!isnan(v[n]))
                h->sorted[h->sorted_count++] = v[n];
        }
        h->columns[i] = (struct column){from->labels, {t, v, from->count}};
    }
    if (h->arena.overflowed)
        return TOC_ELIMIT;
    if (h->sorted_count)
        qsort(h->sorted, h->sorted_count, sizeof *h->sorted, compare_doubles);
    return 0;
}

static void history_reset(struct history *h) {
    history_fini(h);
    *h = (struct history){0};
    toc_arena_init(&h->arena, RESULT_MAX_BYTES);
}

static int64_t first_sample_ms(const struct history *h, int64_t fallback_ms) {
    int64_t first_ms = fallback_ms;
    for (size_t s = 0; s < h->count; s++)
        if (h->columns[s].s.count)
            first_ms = TOC_MIN(first_ms, h->columns[s].s.t_ms[0]);
    return first_ms;
}

/* A young installation has a short history: it is read again with finer steps. */
static int read_history(const struct toc_proposal_options *o, struct toc_proposal *p,
                        struct rule *r, struct toc_ts now, struct history *h, struct toc_err *err) {
    int64_t window_ms = o->history_ms > 0 ? o->history_ms : DEFAULT_HISTORY_MS;
    int64_t interval_ms = r->step_ms;
    struct toc_promql_options po = {.querier = o->querier, .max_bytes = RESULT_MAX_BYTES};
    struct toc_promql_expr *expr = NULL;
    int rc = toc_promql_parse(toc_buf_sv(&p->expr), &expr, err);
    for (int round = 0; rc == 0 && round < 4; round++) {
        history_reset(h);
        p->samples = 0;
        r->step_ms = TOC_MAX(interval_ms, window_ms / POINTS_MAX);
        rc = toc_promql_range(expr, &po, now.ms - window_ms, now.ms, r->step_ms, &h->result, err);
        if (rc == 0)
            rc = to_columns(h, p);
        int64_t covered_ms = now.ms - first_sample_ms(h, now.ms) + r->step_ms;
        if (r->step_ms <= interval_ms || covered_ms > window_ms / 2)
            break;
        window_ms = covered_ms;
    }
    toc_promql_expr_free(&expr);
    return rc;
}

static double more_extreme(enum toc_comparison c, double a, double b) {
    if (isnan(a) || isnan(b))
        return isnan(a) ? b : a;
    return toc_comparison_is_rising(c) ? TOC_MAX(a, b) : TOC_MIN(a, b);
}

static bool is_about(struct toc_labels series, struct toc_labels subject) {
    for (size_t n = 0; n < series.count; n++) {
        struct toc_sv value = toc_labels_get(subject, series.items[n].name);
        if (value.n && !toc_sv_eq(value, series.items[n].value))
            return false;
    }
    return true;
}

/* Most extreme value of the incident's own series while it lasted; NaN without a sample. */
static double peak_of(const struct history *h, const struct toc_proposal *p,
                      const struct toc_incident *i, int64_t slack_ms, struct toc_ts now) {
    int64_t from_ms = i->started_at.ms - slack_ms;
    int64_t to_ms = (i->resolved_at.ms ? i->resolved_at.ms : now.ms) + slack_ms;
    double peak = NAN;
    for (size_t s = 0; s < h->count; s++) {
        const struct column *c = &h->columns[s];
        if (!is_about(c->labels, i->subject))
            continue;
        for (size_t n = 0; n < c->s.count; n++)
            if (c->s.t_ms[n] >= from_ms && c->s.t_ms[n] <= to_ms)
                peak = more_extreme(p->comparison, peak, c->s.values[n]);
    }
    return peak;
}

static void fill_buckets(const struct history *h, struct toc_proposal *p, int64_t first_ms,
                         int64_t last_ms) {
    int64_t width_ms = (last_ms - first_ms) / TOC_PROPOSAL_BUCKETS_MAX + 1;
    p->bucket_count = (size_t)((last_ms - first_ms) / width_ms) + 1;
    for (size_t b = 0; b < p->bucket_count; b++) {
        p->buckets[b].at.ms = first_ms + (int64_t)b * width_ms;
        p->buckets[b].max = NAN;
    }
    for (size_t s = 0; s < h->count; s++) {
        const struct toc_backtest_series *c = &h->columns[s].s;
        for (size_t n = 0; n < c->count; n++) {
            size_t b = (size_t)((c->t_ms[n] - first_ms) / width_ms);
            p->buckets[b].max = more_extreme(p->comparison, p->buckets[b].max, c->values[n]);
        }
    }
}

static void describe_history(const struct history *h, struct toc_proposal *p) {
    int64_t first_ms = INT64_MAX, last_ms = INT64_MIN;
    for (size_t s = 0; s < h->count; s++) {
        const struct toc_backtest_series *c = &h->columns[s].s;
        if (!c->count)
            continue;
        first_ms = TOC_MIN(first_ms, c->t_ms[0]);
        last_ms = TOC_MAX(last_ms, c->t_ms[c->count - 1]);
    }
    if (last_ms < first_ms)
        return;
    p->history_s = (double)(last_ms - first_ms) / 1000.0;
    fill_buckets(h, p, first_ms, last_ms);
}

static struct toc_backtest_effect effect_of(const struct history *h, const struct toc_proposal *p,
                                            const struct rule *r, double threshold) {
    struct toc_backtest_effect e = {0};
    struct toc_backtest_rule rule = {p->comparison, threshold, r->for_ms, r->step_ms};
    for (size_t s = 0; s < h->count; s++)
        toc_backtest(&rule, &h->columns[s].s, &e);
    return e;
}

/* --- the proposal --- */

/* Three significant digits, away from the quiet side, so that people can say it. */
static double round_outward(double v, bool is_rising) {
    if (v == 0)
        return 0;
    double unit = pow(10, floor(log10(fabs(v))) - 2);
    double steps = v / unit;
    double rounded = (is_rising ? ceil(steps - 1e-9) : floor(steps + 1e-9)) * unit;
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text, "%.3g", rounded); /* 0.30000000000000004 → 0.3 */
    double clean = rounded;
    if (toc_parse_f64(toc_buf_sv(&text), &clean) != 0)
        clean = rounded;
    toc_buf_fini(&text);
    return clean;
}

struct missed {
    const struct history *h;
    const struct toc_proposal *p;
    struct toc_sv rule;
    int64_t slack_ms;
    struct toc_ts now;
    char id[TOC_INCIDENT_ID_MAX];
};

static int check_true_incident(void *ctx, const struct toc_incident *i) {
    struct missed *m = ctx;
    if (i->verdict != TOC_VERDICT_TRUE || !toc_sv_eq(i->rule, m->rule))
        return 0;
    double peak = peak_of(m->h, m->p, i, m->slack_ms, m->now);
    bool is_missed =
        !isnan(peak) && !toc_comparison_holds(m->p->comparison, peak, m->p->proposed_threshold);
    if (is_missed)
        memcpy(m->id, i->id, sizeof m->id);
    return is_missed;
}

static int check_missed(const struct toc_proposal_options *o, const struct history *h,
                        const struct rule *r, struct toc_ts now, struct toc_proposal *p,
                        struct toc_err *err) {
    struct missed m = {h, p, toc_buf_sv(&p->rule), r->for_ms + 2 * r->step_ms, now, ""};
    struct toc_incident_filter f = {.limit = TRUE_INCIDENTS_MAX};
    int rc = toc_incident_list(o->manager, &f, check_true_incident, &m, err);
    if (rc < 0)
        return rc;
    if (m.id[0])
        return unavailable(p,
                           "A threshold that avoids this false alarm (%g) would have missed "
                           "incident %s, which was real: one number cannot tell them apart",
                           p->proposed_threshold, m.id);
    return 0;
}

/* The value that the alert itself showed, which may lie between two evaluated points. */
static double shown_value(const struct toc_incident *i, const struct toc_proposal *p) {
    for (size_t n = 0; n < i->evidence_count; n++) {
        const struct toc_evidence *e = &i->evidence[n].shown;
        if (isfinite(e->value) && e->threshold == p->current_threshold)
            return e->value;
    }
    return NAN;
}

static int propose(const struct toc_proposal_options *o, const struct toc_incident *i,
                   struct rule *r, struct toc_ts now, struct toc_proposal *p,
                   const struct history *h, struct toc_err *err) {
    bool is_rising = toc_comparison_is_rising(p->comparison);
    describe_history(h, p);
    p->current = effect_of(h, p, r, p->current_threshold);
    if (h->sorted_count < SAMPLES_MIN)
        return unavailable(p, "Only %zu stored samples of the expression: at least %d are needed",
                           h->sorted_count, SAMPLES_MIN);
    double peak = peak_of(h, p, i, r->for_ms + 2 * r->step_ms, now);
    peak = more_extreme(p->comparison, peak, shown_value(i, p));
    if (!isfinite(peak))
        return unavailable(p,
                           "The expression has no finite value during the incident: no threshold "
                           "could have avoided it");
    double median = h->sorted[h->sorted_count / 2];
    double margin = TOC_MAX(MARGIN * fabs(peak - median), 0.01 * fabs(peak));
    p->proposed_threshold = round_outward(is_rising ? peak + margin : peak - margin, is_rising);
    bool is_quieter = is_rising ? p->proposed_threshold > p->current_threshold
                                : p->proposed_threshold < p->current_threshold;
    if (!isfinite(p->proposed_threshold) || !is_quieter)
        return unavailable(p, "The current threshold would not fire on this incident any more");
    p->proposed = effect_of(h, p, r, p->proposed_threshold);
    p->is_available = true;
    toc_sv_copy(TOC_SV("This false alarm would have stayed quiet, with a margin"), p->reason,
                sizeof p->reason);
    return check_missed(o, h, r, now, p, err);
}

static bool is_adjustable(const struct toc_incident *i, struct toc_proposal *p) {
    if (toc_kind_info(i->kind)->is_hard)
        unavailable(p, "%s is a hard kind: it is never silenced or softened by feedback",
                    toc_kind_info(i->kind)->name);
    else if (!i->rule.n)
        unavailable(p, "The incident does not come from an alert rule");
    else if (i->verdict != TOC_VERDICT_FALSE)
        unavailable(p, "A proposal follows the verdict \"false\": this incident has %s",
                    i->verdict ? toc_verdict_text(i->verdict) : "no verdict yet");
    return p->reason[0] == '\0';
}

static int propose_for(const struct toc_proposal_options *o, const struct toc_incident *i,
                       struct toc_ts now, struct toc_proposal *p, struct toc_err *err) {
    struct rule r;
    struct history h = {0};
    struct toc_err why = {0};
    if (!is_adjustable(i, p))
        return 0;
    int rc = read_rule(o->access, i->rule, p, &r, &why);
    if (rc) /* the rule is gone or has no threshold: an answer */
        return unavailable(p, "%s", why.message[0] ? why.message : toc_strerror(rc));
    rc = read_history(o, p, &r, now, &h, err);
    if (rc == 0)
        rc = propose(o, i, &r, now, p, &h, err);
    history_fini(&h);
    return rc;
}

int toc_incident_proposal(const struct toc_proposal_options *o, struct toc_sv id, struct toc_ts now,
                          struct toc_proposal *out, struct toc_err *err) {
    struct toc_incident i;
    *out = (struct toc_proposal){
        .comparison = TOC_COMPARISON_COUNT, .current_threshold = NAN, .proposed_threshold = NAN};
    int rc = toc_incident_get(o->manager, id, &i, err);
    if (rc)
        return rc;
    rc = propose_for(o, &i, now, out, err);
    toc_incident_fini(&i);
    if (rc)
        toc_proposal_fini(out);
    return rc;
}

/* --- applying --- */

static void number_text(double v, struct toc_buf *out) {
    toc_format_f64_g(v, out);
}

/* The change, its timeline entry and the incident in one transaction. */
static int record(const struct toc_proposal_options *o, struct toc_sv id, struct toc_sv actor,
                  struct toc_sv comment, struct toc_proposal_applied *out, struct toc_err *err) {
    struct toc_buf before = TOC_BUF_INIT, after = TOC_BUF_INIT, text = TOC_BUF_INIT;
    number_text(out->old_threshold, &before);
    number_text(out->new_threshold, &after);
    toc_buf_printf(&text, "Threshold of %s changed from %s to %s%s%.*s", out->rule,
                   toc_buf_cstr(&before), toc_buf_cstr(&after), comment.n ? ": " : "",
                   TOC_SV_ARG(comment));
    struct toc_change change = {.kind = TOC_SV("threshold"),
                                .subject = toc_sv_cstr(out->rule),
                                .before = toc_buf_sv(&before),
                                .after = toc_buf_sv(&after),
                                .actor = actor,
                                .at = out->applied_at,
                                .incident_id = id};
    int rc = toc_incident_record_change(o->manager, id, &change, toc_buf_sv(&text), &out->change_id,
                                        err);
    toc_buf_fini(&before);
    toc_buf_fini(&after);
    toc_buf_fini(&text);
    return rc;
}

static int check_apply(const struct toc_incident *i, double threshold, struct toc_sv actor,
                       struct toc_err *err) {
    if (!isfinite(threshold))
        return toc_errf(err, TOC_EINVAL, "threshold: a finite number is needed");
    if (!actor.n)
        return toc_errf(err, TOC_EINVAL, "actor: a name is needed");
    if (toc_kind_info(i->kind)->is_hard)
        return toc_errf(err, TOC_ECONFLICT,
                        "%s is a hard kind: it is never silenced or softened by feedback",
                        toc_kind_info(i->kind)->name);
    if (!i->rule.n)
        return toc_errf(err, TOC_ECONFLICT, "incident %s does not come from an alert rule", i->id);
    return 0;
}

int toc_incident_proposal_apply(const struct toc_proposal_options *o, struct toc_sv id,
                                double threshold, struct toc_sv actor, struct toc_sv comment,
                                struct toc_ts now, struct toc_proposal_applied *out,
                                struct toc_err *err) {
    struct toc_incident i;
    struct toc_proposal p = {0};
    struct rule r;
    int rc = toc_incident_get(o->manager, id, &i, err);
    if (rc)
        return rc;
    rc = check_apply(&i, threshold, actor, err);
    if (rc == 0)
        rc = read_rule(o->access, i.rule, &p, &r, err);
    if (rc == 0)
        rc = o->access->set(o->access, i.rule, threshold, err);
    if (rc == 0) {
        *out = (struct toc_proposal_applied){
            .old_threshold = p.current_threshold, .new_threshold = threshold, .applied_at = now};
        toc_sv_copy(i.rule, out->rule, sizeof out->rule);
        rc = record(o, id, actor, comment, out, err);
        if (rc && o->access->set(o->access, i.rule, p.current_threshold, NULL) != 0)
            toc_err_prefix(err, "the threshold is changed but the change is not recorded: ");
    }
    toc_proposal_fini(&p);
    toc_incident_fini(&i);
    return rc;
}
