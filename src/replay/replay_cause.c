#include "replay/replay_cause.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "promql/promql.h"

enum {
    HOUR_MS = 3600000,
    DAY_MS = 86400000,
    FRESH_MS = 15 * 60000,
    SEASON_HOURS = 4,
    SEASON_ALERTS_MIN = 6,
    SEASON_DAYS_MIN = 3,
    POOR_TOLD_MIN = 5,
    STEP_MIN_MS = 15000,
};
#define POINTS_SHARE_MIN 0.8

const char *toc_false_cause_text(enum toc_false_cause c) {
    static const char *const texts[] = {
#define X(e, name) name,
        TOC_FALSE_CAUSE_TABLE(X)
#undef X
    };
    return texts[c];
}

/* The false alerts of one rule. */
struct rule_alerts {
    TOC_VEC_FIELDS(const struct toc_replay_alert *)
};

/* --------------------------------------------------------------------------------------- season */

static int hour_of(int64_t t_ms) {
    return (int)(t_ms % DAY_MS / HOUR_MS);
}

static bool is_in(int hour, int from) {
    return (hour - from + 24) % 24 < SEASON_HOURS;
}

/* Distinct days of the alerts within the hours; they are in the order of time. */
static size_t days_in(const struct rule_alerts *a, int from, size_t *out_alerts) {
    size_t days = 0;
    int64_t last_day = -1;
    *out_alerts = 0;
    for (size_t i = 0; i < a->count; i++) {
        int64_t day = a->items[i]->fired_ms / DAY_MS;
        if (!is_in(hour_of(a->items[i]->fired_ms), from))
            continue;
        ++*out_alerts;
        days += day != last_day;
        last_day = day;
    }
    return days;
}

/* First hour of the season, or -1. By chance a sixth lies within any four hours. */
static int find_season(const struct rule_alerts *a) {
    size_t most = 0, alerts;
    int best = -1;
    for (int from = 0; from < 24; from++) {
        size_t days = days_in(a, from, &alerts);
        if (days < SEASON_DAYS_MIN || alerts < SEASON_ALERTS_MIN || alerts * 2 <= a->count ||
            alerts <= most)
            continue;
        most = alerts;
        best = from;
    }
    return best;
}

/* ----------------------------------------------------------------------------------------- data */

/* The expression whose series an alert is about. */
static struct toc_promql_expr *subject_of(const struct toc_replay_rule *r) {
    struct toc_promql_expr *whole = NULL, *left = NULL;
    struct toc_promql_threshold t = {0};
    if (toc_promql_parse_with(r->expr, TOC_PROMQL_ALL_FEATURES, &whole, NULL))
        return NULL;
    toc_promql_threshold(whole, &t);
    if (t.is_set &&
        toc_promql_parse_with(toc_buf_sv(&t.left_text), TOC_PROMQL_ALL_FEATURES, &left, NULL) == 0)
        toc_promql_expr_free(&whole);
    toc_buf_fini(&t.left_text);
    return whole ? whole : left;
}

static bool is_about(struct toc_labels series, struct toc_labels alert) {
    for (size_t i = 0; i < series.count; i++) {
        struct toc_sv name = series.items[i].name;
        if (!toc_sv_eq(name, TOC_METRIC_NAME) &&
            !toc_sv_eq(series.items[i].value, toc_labels_get(alert, name)))
            return false;
    }
    return true;
}

/* How many points the alert's series has at from, from + step, … ≤ to, and when the first is. */
static bool count_points(struct toc_querier *history, const struct toc_promql_expr *e,
                         const struct toc_replay_alert *a, int64_t from_ms, int64_t to_ms,
                         int64_t step_ms, size_t *out_count, int64_t *out_first_ms) {
    const struct toc_promql_options o = {.querier = history};
    struct toc_promql_result r = {0};
    bool is_found = false;
    *out_count = 0;
    bool is_run = toc_promql_range(e, &o, from_ms, to_ms, step_ms, &r, NULL) == 0;
    for (size_t i = 0; is_run && !is_found && i < r.series_count; i++) {
        is_found = is_about(r.series[i].labels, a->labels);
        *out_count = is_found ? r.series[i].count : 0;
        *out_first_ms = is_found ? r.series[i].points[0].t_ms : 0;
    }
    toc_promql_result_fini(&r);
    return is_run;
}

static bool is_data(struct toc_querier *history, const struct toc_promql_expr *e,
                    const struct toc_replay_alert *a, int64_t step_ms) {
    size_t points, after;
    int64_t first_ms, ignored;
    if (!e ||
        !count_points(history, e, a, a->fired_ms - HOUR_MS, a->fired_ms, step_ms, &points,
                      &first_ms) ||
        !points)
        return false; /* absent() and its like have no series of their own */
    double expected = (double)(a->fired_ms - first_ms) / (double)step_ms + 1;
    if (a->fired_ms - first_ms < FRESH_MS || (double)points < POINTS_SHARE_MIN * expected)
        return true;
    return a->ended_ms &&
           count_points(history, e, a, a->ended_ms, a->ended_ms + step_ms, step_ms, &after,
                        &ignored) &&
           !after;
}

/* ------------------------------------------------------------------------------------- per rule */

static void judge_rule(struct toc_querier *history, int64_t step_ms, const struct rule_alerts *a,
                       struct toc_rule_causes *out) {
    const struct toc_replay_rule *rule = out->rule->rule;
    struct toc_promql_expr *e = subject_of(rule);
    int season = find_season(a);
    for (size_t i = 0; i < a->count; i++) {
        const struct toc_replay_alert *x = a->items[i];
        enum toc_false_cause cause =
            rule->reads_detectors ? TOC_FALSE_CAUSE_MODEL : TOC_FALSE_CAUSE_THRESHOLD;
        if (season >= 0 && is_in(hour_of(x->fired_ms), season))
            cause = TOC_FALSE_CAUSE_SEASON;
        if (i < TOC_CAUSE_ALERTS_MAX && is_data(history, e, x, step_ms))
            cause = TOC_FALSE_CAUSE_DATA;
        out->counts[cause]++;
    }
    toc_promql_expr_free(&e);
}

static void false_alerts_of(const struct toc_replay_record *r, const struct toc_score *s,
                            struct toc_sv rule, struct rule_alerts *out) {
    out->count = 0;
    for (size_t i = 0; i < r->alerts.count; i++)
        if (s->verdicts[i] == TOC_SCORE_FALSE && toc_sv_eq(r->alerts.items[i].rule, rule))
            TOC_VEC_PUSH(out, &r->alerts.items[i]);
}

static int by_badness(const void *a, const void *b) {
    const struct toc_rule_causes *x = a, *y = b;
    if (x->is_poor != y->is_poor)
        return x->is_poor ? -1 : 1;
    uint64_t m = x->rule->counts.false_alerts, n = y->rule->counts.false_alerts;
    return m != n ? (m > n ? -1 : 1) : toc_sv_cmp(x->rule->rule->name, y->rule->rule->name);
}

void toc_replay_causes(const struct toc_replay_record *r, const struct toc_score *s,
                       struct toc_querier *history, int64_t step_ms, struct toc_causes *out) {
    struct rule_alerts alerts = {0};
    *out = (struct toc_causes){0};
    for (size_t i = 0; i < s->rules.count; i++) {
        const struct toc_score_rule *rule = &s->rules.items[i];
        struct toc_rule_causes c = {.rule = rule,
                                    .is_poor = rule->counts.told >= POOR_TOLD_MIN &&
                                               rule->counts.precision_high < 0.5};
        if (!rule->counts.false_alerts)
            continue;
        false_alerts_of(r, s, rule->rule->name, &alerts);
        judge_rule(history, TOC_MAX(step_ms, (int64_t)STEP_MIN_MS), &alerts, &c);
        TOC_VEC_PUSH(out, c);
    }
    if (out->count)
        qsort(out->items, out->count, sizeof *out->items, by_badness);
    TOC_VEC_FINI(&alerts);
}

void toc_causes_fini(struct toc_causes *c) {
    TOC_VEC_FINI(c);
}
