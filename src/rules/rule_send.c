/* From active alerts to the alert sink: when they are sent, and what evidence goes with them. */
#include <math.h>

#include "base/alloc.h"
#include "codec/text.h"
#include "rules/rules_priv.h"

static bool is_due(const struct active_alert *a, struct toc_ts at, int64_t resend_ms) {
    if (a->state == TOC_RULE_PENDING)
        return false;
    if (!a->last_sent.ms || a->resolved_at.ms > a->last_sent.ms)
        return true;
    return at.ms - a->last_sent.ms >= resend_ms;
}

static int last_value(void *ctx, const struct toc_series_view *s) {
    if (s->count)
        *(double *)ctx = s->values[s->count - 1];
    return s->count && !toc_is_stale_nan(s->values[s->count - 1]) ? TOC_EEND : 0;
}

/* The newest value of `metric` among the series that carry all source labels; NaN when there is
 * none. */
static double expected(struct toc_rules *m, const char *metric, struct toc_labels source,
                       struct toc_ts at) {
    double value = NAN;
    struct toc_querier *q = m->options.querier;
    struct toc_matcher *matchers = TOC_NEW_ARRAY(struct toc_matcher, source.count + 1);
    size_t count = 0;
    int rc = toc_matcher_init(&matchers[count++], TOC_MATCH_EQ, TOC_METRIC_NAME,
                              toc_sv_cstr(metric), NULL);
    for (size_t i = 0; i < source.count && !rc; i++)
        rc = toc_matcher_init(&matchers[count++], TOC_MATCH_EQ, source.items[i].name,
                              source.items[i].value, NULL);
    struct toc_select select = {.matchers = matchers,
                                .matcher_count = count,
                                .sorted = true,
                                .min_ms = at.ms - m->options.lookback_ms,
                                .max_ms = at.ms};
    if (!rc)
        (void)q->select(q, &select, last_value, &value, NULL); /* no band is no error */
    for (size_t i = 0; i < count; i++)
        toc_matcher_fini(&matchers[i]);
    toc_free(matchers);
    return toc_is_stale_nan(value) ? NAN : value;
}

static int found(void *ctx, const struct toc_series_view *s) {
    (void)s;
    *(bool *)ctx = true;
    return TOC_EEND;
}

/* Are there bands at all? Asked once, not for each of many alerts. */
static bool has_bands(struct toc_rules *m, struct toc_ts at) {
    struct toc_querier *q = m->options.querier;
    struct toc_matcher name;
    bool is_found = false;
    if (toc_matcher_init(&name, TOC_MATCH_EQ, TOC_METRIC_NAME, TOC_SV("tocsin_expected_lower"),
                         NULL))
        return false;
    struct toc_select select = {.matchers = &name,
                                .matcher_count = 1,
                                .labels_only = true,
                                .min_ms = at.ms - m->options.lookback_ms,
                                .max_ms = at.ms};
    (void)q->select(q, &select, found, &is_found, NULL); /* no band is no error */
    toc_matcher_fini(&name);
    return is_found;
}

static struct toc_sv first_of(struct toc_labels l, struct toc_sv a, struct toc_sv b,
                              struct toc_sv fallback) {
    struct toc_sv v = toc_labels_get(l, a);
    if (!v.n)
        v = toc_labels_get(l, b);
    return v.n ? v : fallback;
}

struct outgoing {
    struct toc_finding finding;
    struct toc_evidence evidence[2];
};

static void fill_finding(const struct rule_state *s, const struct active_alert *a,
                         struct outgoing *out) {
    struct toc_finding *f = &out->finding;
    enum toc_kind kind = toc_kind_parse(toc_labels_get(a->labels, TOC_SV("kind")));
    struct toc_sv severity = toc_labels_get(a->labels, TOC_SV("severity"));
    f->kind = kind == TOC_KIND_COUNT ? TOC_KIND_THRESHOLD : kind;
    f->severity = severity.n ? toc_severity_parse(severity) : toc_kind_info(f->kind)->severity;
    f->title = first_of(a->annotations, TOC_SV("summary"), TOC_SV("title"), s->rule->name);
    f->summary = first_of(a->annotations, TOC_SV("description"), TOC_SV("message"), f->title);
    f->action = toc_labels_get(a->annotations, TOC_SV("action"));
    f->first_seen = a->active_at;
    out->evidence[0] = (struct toc_evidence){
        .title = s->rule->name,
        .expr = s->query.left_text.n ? s->query.left_text : s->query.text,
        .unit = toc_labels_get(a->annotations, TOC_SV("unit")),
        .value = a->value,
        .threshold = s->query.number,
        .expected_lower = a->expected_lower,
        .expected_upper = a->expected_upper,
    };
    out->evidence[1] = (struct toc_evidence){
        .title = TOC_SV("confirmed by"),
        .expr = s->rule->confirm_text,
        .unit = TOC_SV(""),
        .value = a->confirm_value,
        .threshold = NAN,
        .expected_lower = NAN,
        .expected_upper = NAN,
    };
    f->evidence = out->evidence;
    f->evidence_count = s->rule->confirm ? 2 : 1;
}

/* External labels where the alert has none of that name. */
static struct toc_labels outer_labels(const struct toc_rules *m, const struct active_alert *a,
                                      struct toc_arena *arena) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    if (!m->options.external_labels.count)
        return a->labels;
    toc_labels_builder_add_all(&b, m->options.external_labels);
    toc_labels_builder_add_all(&b, a->labels);
    struct toc_labels l = toc_labels_dup_arena(toc_labels_builder_finish(&b), arena);
    toc_labels_builder_fini(&b);
    return l;
}

static struct toc_sv generator_url(const struct toc_rules *m, const struct rule_state *s,
                                   struct toc_arena *arena) {
    struct toc_buf url = TOC_BUF_INIT;
    toc_buf_append_sv(&url, m->options.external_url);
    toc_buf_append_cstr(&url, "/graph?g0.expr=");
    toc_query_encode(s->query.text, &url);
    toc_buf_append_cstr(&url, "&g0.tab=1");
    struct toc_sv out = toc_arena_dup_sv(arena, toc_buf_sv(&url));
    toc_buf_fini(&url);
    return out;
}

static void fill_alert(const struct toc_rules *m, const struct group_state *g,
                       const struct rule_state *s, const struct active_alert *a, struct toc_ts at,
                       struct toc_arena *arena, struct outgoing *extra, struct toc_alert *out) {
    int64_t step = TOC_MAX(g->interval_ms, m->options.resend_delay_ms);
    fill_finding(s, a, extra);
    *out = (struct toc_alert){
        .labels = outer_labels(m, a, arena),
        .annotations = a->annotations,
        .starts_at = a->fired_at,
        .ends_at = {a->state == TOC_RULE_INACTIVE ? a->resolved_at.ms : at.ms + 4 * step},
        .updated_at = at,
        .generator_url = generator_url(m, s, arena),
        .value = a->value,
        .finding = &extra->finding,
    };
}

/* Sends those that `picks` says, at most all. */
static void send(struct toc_rules *m, const struct group_state *g, struct rule_state *s,
                 struct toc_ts at, const bool *picks) {
    struct toc_arena arena = TOC_ARENA_INIT;
    size_t n = s->active.count, count = 0;
    struct toc_alert *alerts = TOC_NEW_ARRAY(struct toc_alert, n + 1);
    struct outgoing *extras = TOC_NEW_ARRAY(struct outgoing, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (!picks[i])
            continue;
        fill_alert(m, g, s, &s->active.items[i], at, &arena, &extras[count], &alerts[count]);
        count++;
    }
    struct toc_alert_sink *sink = m->options.alerts;
    if (count && sink)
        sink->put(sink, alerts, count, at);
    toc_free(alerts);
    toc_free(extras);
    toc_arena_fini(&arena);
}

void toc_rule_send(struct rule_pass *p, struct rule_state *s) {
    struct toc_rules *m = p->m;
    struct toc_ts at = p->at;
    if (!m->options.alerts)
        return;
    bool *picks = TOC_NEW_ARRAY(bool, s->active.count + 1);
    for (size_t i = 0; i < s->active.count; i++) {
        struct active_alert *a = &s->active.items[i];
        picks[i] = is_due(a, at, m->options.resend_delay_ms);
        if (!picks[i])
            continue;
        if (!a->last_sent.ms && p->bands == RULE_BANDS_UNKNOWN)
            p->bands = has_bands(m, at) ? RULE_BANDS_YES : RULE_BANDS_NO;
        if (!a->last_sent.ms && p->bands == RULE_BANDS_YES) {
            a->expected_lower = expected(m, "tocsin_expected_lower", a->source, at);
            a->expected_upper = expected(m, "tocsin_expected_upper", a->source, at);
        }
        a->last_sent = at;
    }
    send(m, p->g, s, at, picks);
    toc_free(picks);
}

void toc_rule_send_end(struct toc_rules *m, const struct group_state *g, struct rule_state *s,
                       struct toc_ts now) {
    bool *picks = TOC_NEW_ARRAY(bool, s->active.count + 1);
    for (size_t i = 0; i < s->active.count; i++) {
        struct active_alert *a = &s->active.items[i];
        picks[i] = a->state == TOC_RULE_FIRING;
        if (!picks[i])
            continue;
        a->state = TOC_RULE_INACTIVE;
        a->resolved_at = now;
    }
    send(m, g, s, now, picks);
    toc_free(picks);
}
