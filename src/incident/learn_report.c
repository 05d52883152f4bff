#include "incident/learn_report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "detect/stats.h"
#include "incident/learn_priv.h"

static const double STEADY = 0.02, SEASON = 1.0 / 3, BARELY = 1.3;
static const double HISTORY_MIN = 64;

struct tally {
    char *rule; /* owned */
    size_t incidents, true_count, false_count, withheld;
    size_t causes[TOC_FALSE_ALARM_CAUSE_COUNT];
};
struct tallies {
    TOC_VEC_FIELDS(struct tally)
};

enum toc_false_alarm_cause toc_false_alarm_cause(const float *look) {
    double age = (double)look[TOC_ALERT_FEATURE_AGE],
           levels = (double)look[TOC_ALERT_FEATURE_LEVELS];
    double day = (double)look[TOC_ALERT_FEATURE_DAY], week = (double)look[TOC_ALERT_FEATURE_WEEK];
    if (age < log1p(HISTORY_MIN) || levels < STEADY)
        return TOC_CAUSE_DATA_QUALITY;
    if (day < log(SEASON) || week < log(SEASON)) /* NaN: not known, not so */
        return TOC_CAUSE_SEASONALITY;
    if ((double)look[TOC_ALERT_FEATURE_PEAK] < log(BARELY))
        return TOC_CAUSE_THRESHOLD;
    return TOC_CAUSE_MODEL;
}

static struct tally *tally_of(struct tallies *t, struct toc_sv rule) {
    for (size_t i = 0; i < t->count; i++)
        if (toc_sv_eq_cstr(rule, t->items[i].rule))
            return &t->items[i];
    struct tally fresh = {.rule = toc_sv_dup_cstr(rule)};
    TOC_VEC_PUSH(t, fresh);
    return &t->items[t->count - 1];
}

static int count_incident(void *ctx, const struct toc_incident *i) {
    if (!i->rule.n)
        return 0;
    struct tally *t = tally_of(ctx, i->rule);
    t->incidents++;
    t->true_count += i->verdict == TOC_VERDICT_TRUE;
    t->false_count += i->verdict == TOC_VERDICT_FALSE;
    return 0;
}

/* What detectors' false alarms look like; verdicts on withheld alerts, which have no incident. */
static void count_alerts(struct toc_learn *l, struct tallies *t) {
    toc_mutex_lock(&l->mutex);
    for (size_t i = 0; i < l->alerts.count; i++) {
        const struct learn_alert *a = l->alerts.items[i];
        struct tally *rule = tally_of(t, toc_sv_cstr(a->rule));
        rule->withheld += a->was_withheld;
        if (!a->incident[0]) {
            rule->true_count += a->label == LEARN_TRUE;
            rule->false_count += a->label == LEARN_FALSE;
        }
        if (a->label == LEARN_FALSE && a->look_count)
            rule->causes[toc_false_alarm_cause(a->looks +
                                               (a->look_count - 1) * TOC_ALERT_FEATURES)]++;
    }
    toc_mutex_unlock(&l->mutex);
}

static int worst_first(const void *a, const void *b) {
    const struct tally *x = a, *y = b;
    if (x->false_count != y->false_count)
        return x->false_count > y->false_count ? -1 : 1;
    return strcmp(x->rule, y->rule);
}

static void write_tally(const struct tally *t, struct toc_json_writer *w) {
#define X(name, text, ...) text,
    static const char *const names[] = {TOC_FALSE_ALARM_CAUSE_TABLE(X)};
#undef X
    double lower, upper;
    size_t judged = t->true_count + t->false_count;
    toc_wilson_interval(t->true_count, judged, &lower, &upper);
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "rule", t->rule);
    toc_json_kv_int(w, "incidents", (int64_t)t->incidents);
    toc_json_kv_int(w, "true", (int64_t)t->true_count);
    toc_json_kv_int(w, "false", (int64_t)t->false_count);
    toc_json_kv_int(w, "withheld", (int64_t)t->withheld);
    toc_json_kv_double(w, "precision",
                       judged ? (double)t->true_count / (double)judged : (double)NAN);
    toc_json_kv_double(w, "precision_lower", lower);
    toc_json_kv_double(w, "precision_upper", upper);
    toc_json_kv_bool(w, "poor", judged >= TOC_LEARN_POOR_MIN && upper < 0.5);
    toc_json_key(w, "causes");
    toc_json_begin_object(w);
    for (size_t i = 0; i < TOC_FALSE_ALARM_CAUSE_COUNT; i++)
        toc_json_kv_int(w, names[i], (int64_t)t->causes[i]);
    toc_json_end_object(w);
    toc_json_end_object(w);
}

int toc_learn_write_report(struct toc_learn *l, struct toc_incident_manager *m,
                           struct toc_json_writer *w, struct toc_err *err) {
    struct tallies t = {0};
    const struct toc_incident_filter all = {.limit = TOC_LEARN_REPORT_INCIDENTS};
    int rc = toc_incident_list(m, &all, count_incident, &t, err);
    if (rc == 0) {
        count_alerts(l, &t);
        if (t.count)
            qsort(t.items, t.count, sizeof *t.items, worst_first);
        toc_json_begin_array(w);
        for (size_t i = 0; i < t.count; i++)
            write_tally(&t.items[i], w);
        toc_json_end_array(w);
    }
    for (size_t i = 0; i < t.count; i++)
        toc_free(t.items[i].rule);
    TOC_VEC_FINI(&t);
    return rc;
}
