#include "replay/replay_score.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "detect/stats.h"

enum { MINUTE_MS = 60000, DAY_MINUTES = 1440 };

struct scoring {
    const struct toc_replay_record *r;
    struct toc_score_options o;
    struct toc_score *out;
    struct toc_map by_rule; /* name → index in out->rules + 1 */
};

static bool is_night(const struct scoring *s, int64_t at_ms) {
    int offset = 0, from = s->o.night_from_minute, to = s->o.night_to_minute;
    if (s->o.zones.offset &&
        !s->o.zones.offset(s->o.zones.ctx, s->o.zone, (struct toc_ts){at_ms}, &offset))
        offset = 0;
    int64_t minute = (at_ms / MINUTE_MS + offset) % DAY_MINUTES;
    minute += minute < 0 ? DAY_MINUTES : 0;
    return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}

/* Rules of one name are counted together; NULL for alerts that no rule has (a template's name). */
static struct toc_score_counts *counts_of(struct scoring *s, struct toc_sv rule) {
    uintptr_t n = (uintptr_t)toc_map_get(&s->by_rule, rule);
    return n ? &s->out->rules.items[n - 1].counts : NULL;
}

static int64_t end_of(const struct toc_replay_record *r, const struct toc_replay_alert *a) {
    return a->ended_ms ? a->ended_ms : r->to_ms;
}

static bool labels_allow(struct toc_labels known, struct toc_labels alert) {
    for (size_t i = 0; i < known.count; i++)
        if (toc_labels_has(alert, known.items[i].name) &&
            !toc_sv_eq(toc_labels_get(alert, known.items[i].name), known.items[i].value))
            return false;
    return true;
}

static bool is_of(const struct scoring *s, const struct toc_replay_alert *a,
                  const struct toc_known_incident *k) {
    return a->fired_ms <= k->end_ms + s->o.late_ms &&
           end_of(s->r, a) >= k->start_ms - s->o.early_ms && labels_allow(k->labels, a->labels);
}

/* The told alert of each known incident whose notification was the first. */
static bool find_incidents(struct scoring *s, const struct toc_replay_alert *a) {
    bool is_true = false;
    for (size_t i = 0; i < s->out->known.count; i++) {
        struct toc_score_incident *k = &s->out->known.items[i];
        if (k->known->start_ms - s->o.early_ms > end_of(s->r, a))
            break; /* they are sorted by start */
        if (!is_of(s, a, k->known))
            continue;
        is_true = true;
        if (!k->alert || a->first_page_ms < k->alert->first_page_ms)
            k->alert = a;
    }
    return is_true;
}

static void add_alert(struct scoring *s, const struct toc_replay_alert *a,
                      struct toc_score_counts *c) {
    if (!c)
        return;
    c->alerts++;
    c->told += a->first_page_ms != 0;
    c->flaps += a->previous_ms && a->fired_ms - a->previous_ms <= s->o.flap_ms;
    c->firing_ms += TOC_MAX(end_of(s->r, a) - a->fired_ms, 0);
}

static void add_verdict(bool is_true, struct toc_score_counts *c) {
    if (!c)
        return;
    c->true_alerts += is_true;
    c->false_alerts += !is_true;
}

static void add_page(struct scoring *s, const struct toc_replay_page *p,
                     struct toc_score_counts *c) {
    if (!c)
        return;
    bool calls = toc_replay_page_calls(p);
    c->pages += calls;
    c->night_pages += calls && is_night(s, p->at_ms);
    c->reminders += p->reason == TOC_FLUSH_REPEAT && p->firing;
}

static void finish(const struct scoring *s, struct toc_score_counts *c) {
    c->precision = s->o.known && c->told ? (double)c->true_alerts / (double)c->told : NAN;
    toc_wilson_interval(c->true_alerts, s->o.known ? c->told : 0, &c->precision_low,
                        &c->precision_high);
}

static int by_number(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_lead_s(const struct toc_score *s) {
    double *leads = TOC_NEW_ARRAY(double, s->known.count + 1);
    size_t n = 0;
    for (size_t i = 0; i < s->known.count; i++)
        if (s->known.items[i].alert)
            leads[n++] = (double)s->known.items[i].lead_ms / 1000;
    qsort(leads, n, sizeof *leads, by_number);
    double median = n ? (leads[(n - 1) / 2] + leads[n / 2]) / 2 : NAN;
    toc_free(leads);
    return median;
}

static void finish_incidents(struct toc_score *out) {
    for (size_t i = 0; i < out->known.count; i++) {
        struct toc_score_incident *k = &out->known.items[i];
        out->found += k->alert != NULL;
        out->missed += k->alert == NULL;
        k->lead_ms = k->alert ? k->known->start_ms - k->alert->first_page_ms : 0;
    }
    out->lead_median_s = median_lead_s(out);
}

static void list_rules(struct scoring *s) {
    for (size_t i = 0; i < s->r->rules.count; i++) {
        const struct toc_replay_rule *r = &s->r->rules.items[i];
        if (!r->is_alert || toc_map_has(&s->by_rule, r->name))
            continue;
        struct toc_score_rule one = {.rule = r};
        TOC_VEC_PUSH(&s->out->rules, one);
        (void)toc_map_put(&s->by_rule, r->name, (void *)(uintptr_t)s->out->rules.count);
    }
}

/* Incidents outside the range can neither be found nor missed. */
static void list_known(struct scoring *s) {
    for (size_t i = 0; s->o.known && i < s->o.known->count; i++) {
        const struct toc_known_incident *k = &s->o.known->items[i];
        struct toc_score_incident one = {.known = k};
        if (k->end_ms >= s->r->from_ms && k->start_ms < s->r->to_ms)
            TOC_VEC_PUSH(&s->out->known, one);
    }
}

static void set_defaults(struct toc_score_options *o) {
    o->early_ms = o->early_ms ? o->early_ms : 10 * MINUTE_MS;
    o->late_ms = o->late_ms ? o->late_ms : 5 * MINUTE_MS;
    o->flap_ms = o->flap_ms ? o->flap_ms : 10 * MINUTE_MS;
    o->zone = o->zone.n ? o->zone : TOC_SV("Local");
    if (o->night_from_minute != o->night_to_minute)
        return;
    o->night_from_minute = 22 * 60;
    o->night_to_minute = 7 * 60;
}

void toc_replay_score(const struct toc_replay_record *r, const struct toc_score_options *o,
                      struct toc_score *out) {
    struct scoring s = {.r = r, .o = *o, .out = out};
    *out = (struct toc_score){.incidents = r->incidents.count, .has_known = o->known != NULL};
    set_defaults(&s.o);
    out->verdicts = TOC_NEW_ARRAY(uint8_t, r->alerts.count + 1);
    list_rules(&s);
    list_known(&s);
    for (size_t i = 0; i < r->alerts.count; i++) {
        const struct toc_replay_alert *a = &r->alerts.items[i];
        struct toc_score_counts *c = counts_of(&s, a->rule);
        add_alert(&s, a, &out->all);
        add_alert(&s, a, c);
        if (!o->known || !a->first_page_ms)
            continue;
        bool is_true = find_incidents(&s, a);
        out->verdicts[i] = is_true ? TOC_SCORE_TRUE : TOC_SCORE_FALSE;
        add_verdict(is_true, &out->all);
        add_verdict(is_true, c);
    }
    for (size_t i = 0; i < r->pages.count; i++) {
        add_page(&s, &r->pages.items[i], &out->all);
        add_page(&s, &r->pages.items[i], counts_of(&s, r->pages.items[i].rule));
    }
    finish(&s, &out->all);
    for (size_t i = 0; i < out->rules.count; i++)
        finish(&s, &out->rules.items[i].counts);
    finish_incidents(out);
    toc_map_fini(&s.by_rule);
}

void toc_score_fini(struct toc_score *s) {
    toc_free(s->verdicts);
    TOC_VEC_FINI(&s->rules);
    TOC_VEC_FINI(&s->known);
}

/* ------------------------------------------------------------------------------------ comparing */

/* Alerts of a record by fingerprint; each list in the order of time. */
struct index {
    struct toc_map first; /* fingerprint → position + 1 */
    size_t *next;         /* the same alert's following occurrence + 1 */
};

static void index_init(const struct toc_replay_record *r, struct index *x) {
    *x = (struct index){.next = TOC_NEW_ARRAY(size_t, r->alerts.count + 1)};
    for (size_t i = r->alerts.count; i-- > 0;) {
        uint64_t key = r->alerts.items[i].fingerprint;
        x->next[i] = (size_t)(uintptr_t)toc_map_put(&x->first, toc_map_u64(&key),
                                                    (void *)(uintptr_t)(i + 1));
    }
}

static void index_fini(struct index *x) {
    toc_map_fini(&x->first);
    toc_free(x->next);
}

static bool has_counterpart(const struct toc_replay_record *r, const struct index *x,
                            const struct toc_replay_alert *a, int64_t a_end_ms, int64_t slack_ms) {
    uint64_t key = a->fingerprint;
    size_t i = (size_t)(uintptr_t)toc_map_get(&x->first, toc_map_u64(&key));
    for (; i; i = x->next[i - 1]) {
        const struct toc_replay_alert *b = &r->alerts.items[i - 1];
        if (b->fired_ms > a_end_ms + slack_ms)
            return false;
        if (end_of(r, b) >= a->fired_ms - slack_ms)
            return true;
    }
    return false;
}

void toc_replay_compare(const struct toc_replay_record *before,
                        const struct toc_replay_record *after, int64_t slack_ms,
                        struct toc_replay_difference *out) {
    struct index old, new;
    *out = (struct toc_replay_difference){0};
    index_init(before, &old);
    index_init(after, &new);
    for (size_t i = 0; i < after->alerts.count; i++) {
        const struct toc_replay_alert *a = &after->alerts.items[i];
        if (!has_counterpart(before, &old, a, end_of(after, a), slack_ms))
            TOC_VEC_PUSH(&out->gained, a);
    }
    for (size_t i = 0; i < before->alerts.count; i++) {
        const struct toc_replay_alert *a = &before->alerts.items[i];
        if (!has_counterpart(after, &new, a, end_of(before, a), slack_ms))
            TOC_VEC_PUSH(&out->lost, a);
    }
    index_fini(&old);
    index_fini(&new);
}

void toc_replay_difference_fini(struct toc_replay_difference *d) {
    TOC_VEC_FINI(&d->gained);
    TOC_VEC_FINI(&d->lost);
}
