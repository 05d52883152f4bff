#include "replay/replay_json.h"

#include <math.h>

static void put_number(struct toc_json_writer *w, const char *key, double v) {
    toc_json_key(w, key);
    if (isnan(v))
        toc_json_null(w);
    else
        toc_json_double(w, v);
}

static void put_counts(struct toc_json_writer *w, const struct toc_score_counts *c,
                       bool has_known) {
    toc_json_kv_int(w, "alerts", (int64_t)c->alerts);
    toc_json_kv_int(w, "alerts_told", (int64_t)c->told);
    toc_json_kv_int(w, "pages", (int64_t)c->pages);
    toc_json_kv_int(w, "night_pages", (int64_t)c->night_pages);
    toc_json_kv_int(w, "reminders", (int64_t)c->reminders);
    toc_json_kv_int(w, "flaps", (int64_t)c->flaps);
    toc_json_kv_double(w, "firing_s", (double)c->firing_ms / 1000);
    if (!has_known)
        return;
    toc_json_kv_int(w, "true_alerts", (int64_t)c->true_alerts);
    toc_json_kv_int(w, "false_alerts", (int64_t)c->false_alerts);
    put_number(w, "precision", c->precision);
    put_number(w, "precision_low", c->precision_low);
    put_number(w, "precision_high", c->precision_high);
}

static void put_labels(struct toc_json_writer *w, struct toc_labels l) {
    toc_json_key(w, "labels");
    toc_json_begin_object(w);
    for (size_t i = 0; i < l.count; i++) {
        toc_json_key_sv(w, l.items[i].name);
        toc_json_string(w, l.items[i].value);
    }
    toc_json_end_object(w);
}

static void put_rule(struct toc_json_writer *w, const struct toc_score_rule *r, bool has_known) {
    toc_json_begin_object(w);
    toc_json_kv_string(w, "rule", r->rule->name);
    toc_json_kv_string(w, "group", r->rule->group);
    put_counts(w, &r->counts, has_known);
    toc_json_kv_int(w, "failures", (int64_t)r->rule->failures);
    toc_json_kv_string(w, "last_error", r->rule->last_error);
    toc_json_end_object(w);
}

static void put_known(struct toc_json_writer *w, const struct toc_score_incident *k) {
    toc_json_begin_object(w);
    toc_json_kv_string(w, "name", k->known->name);
    toc_json_kv_time(w, "start", (struct toc_ts){k->known->start_ms});
    toc_json_kv_time(w, "end", (struct toc_ts){k->known->end_ms});
    toc_json_kv_bool(w, "found", k->alert != NULL);
    toc_json_key(w, "rule");
    if (k->alert)
        toc_json_string(w, k->alert->rule);
    else
        toc_json_null(w);
    put_number(w, "lead_s", k->alert ? (double)k->lead_ms / 1000 : NAN);
    toc_json_end_object(w);
}

void toc_replay_score_json(struct toc_json_writer *w, const struct toc_replay_record *r,
                           const struct toc_score *s) {
    toc_json_begin_object(w);
    put_counts(w, &s->all, s->has_known);
    toc_json_kv_int(w, "incidents", (int64_t)s->incidents);
    if (s->has_known) {
        toc_json_kv_int(w, "known_found", (int64_t)s->found);
        toc_json_kv_int(w, "known_missed", (int64_t)s->missed);
        put_number(w, "lead_median_s", s->lead_median_s);
        toc_json_key(w, "known");
        toc_json_begin_array(w);
        for (size_t i = 0; i < s->known.count && i < TOC_REPLAY_LISTED_MAX; i++)
            put_known(w, &s->known.items[i]);
        toc_json_end_array(w);
    }
    toc_json_kv_int(w, "evaluations", (int64_t)r->evaluations);
    toc_json_kv_int(w, "range_queries", (int64_t)r->range_queries);
    toc_json_kv_int(w, "instant_queries", (int64_t)r->instant_queries);
    toc_json_kv_bool(w, "is_thinned", r->is_thinned);
    toc_json_kv_int(w, "alerts_dropped", (int64_t)r->alerts_dropped);
    toc_json_key(w, "rules");
    toc_json_begin_array(w);
    for (size_t i = 0; i < s->rules.count; i++)
        put_rule(w, &s->rules.items[i], s->has_known);
    toc_json_end_array(w);
    toc_json_end_object(w);
}

static void put_alert(struct toc_json_writer *w, const struct toc_replay_alert *a) {
    toc_json_begin_object(w);
    toc_json_kv_string(w, "rule", a->rule);
    put_labels(w, a->labels);
    toc_json_kv_time(w, "fired_at", (struct toc_ts){a->fired_ms});
    toc_json_kv_time(w, "ended_at", (struct toc_ts){a->ended_ms});
    toc_json_kv_time(w, "told_at", (struct toc_ts){a->first_page_ms});
    put_number(w, "value", a->value);
    toc_json_kv_bool(w, "is_suppressed", a->is_suppressed);
    toc_json_kv_string(w, "incident", a->incident);
    toc_json_end_object(w);
}

static void put_page(struct toc_json_writer *w, const struct toc_replay_page *p) {
    toc_json_begin_object(w);
    toc_json_kv_time(w, "at", (struct toc_ts){p->at_ms});
    toc_json_kv_string(w, "receiver", p->receiver);
    toc_json_kv_string(w, "group_key", p->group_key);
    toc_json_kv_cstr(w, "reason", toc_flush_reason_text(p->reason));
    toc_json_kv_int(w, "firing", (int64_t)p->firing);
    toc_json_kv_int(w, "resolved", (int64_t)p->resolved);
    toc_json_end_object(w);
}

static void put_incident(struct toc_json_writer *w, const struct toc_replay_incident *i) {
    toc_json_begin_object(w);
    toc_json_kv_string(w, "id", i->id);
    toc_json_kv_string(w, "rule", i->rule);
    toc_json_kv_string(w, "title", i->title);
    toc_json_kv_string(w, "subject", i->subject);
    toc_json_kv_time(w, "detected_at", (struct toc_ts){i->detected_ms});
    toc_json_kv_time(w, "resolved_at", (struct toc_ts){i->resolved_ms});
    toc_json_kv_int(w, "reopen_count", i->reopen_count);
    toc_json_end_object(w);
}

#define PUT_LIST(w, key, list, put, deref)                                     \
    do {                                                                       \
        toc_json_key(w, key);                                                  \
        toc_json_begin_array(w);                                               \
        for (size_t i = 0; i < (list).count && i < TOC_REPLAY_LISTED_MAX; i++) \
            put(w, deref(list).items[i]);                                      \
        toc_json_end_array(w);                                                 \
    } while (0)

void toc_replay_record_json(struct toc_json_writer *w, const struct toc_replay_record *r) {
    PUT_LIST(w, "alert_list", r->alerts, put_alert, &);
    PUT_LIST(w, "page_list", r->pages, put_page, &);
    PUT_LIST(w, "incident_list", r->incidents, put_incident, &);
}

void toc_replay_difference_json(struct toc_json_writer *w, const struct toc_replay_difference *d) {
    toc_json_begin_object(w);
    toc_json_kv_int(w, "gained", (int64_t)d->gained.count);
    toc_json_kv_int(w, "lost", (int64_t)d->lost.count);
    PUT_LIST(w, "gained_alerts", d->gained, put_alert, );
    PUT_LIST(w, "lost_alerts", d->lost, put_alert, );
    toc_json_end_object(w);
}

void toc_replay_causes_json(struct toc_json_writer *w, const struct toc_causes *c) {
    toc_json_begin_array(w);
    for (size_t i = 0; i < c->count; i++) {
        const struct toc_rule_causes *r = &c->items[i];
        toc_json_begin_object(w);
        toc_json_kv_string(w, "rule", r->rule->rule->name);
        toc_json_kv_int(w, "false_alerts", (int64_t)r->rule->counts.false_alerts);
        toc_json_kv_bool(w, "is_poor", r->is_poor);
        for (int k = 0; k < TOC_FALSE_CAUSE_COUNT; k++)
            toc_json_kv_int(w, toc_false_cause_text((enum toc_false_cause)k),
                            (int64_t)r->counts[k]);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
}

void toc_replay_json(struct toc_json_writer *w, const struct toc_replay_side *sides, size_t count,
                     const struct toc_replay_difference *difference) {
    toc_json_begin_object(w);
    toc_json_kv_time(w, "from", (struct toc_ts){sides[0].record->from_ms});
    toc_json_kv_time(w, "to", (struct toc_ts){sides[0].record->to_ms});
    for (size_t i = 0; i < count; i++) {
        toc_json_key(w, sides[i].name);
        toc_replay_score_json(w, sides[i].record, sides[i].score);
    }
    if (sides[count - 1].causes) {
        toc_json_key(w, "false_causes");
        toc_replay_causes_json(w, sides[count - 1].causes);
    }
    if (difference) {
        toc_json_key(w, "difference");
        toc_replay_difference_json(w, difference);
    }
    toc_replay_record_json(w, sides[count - 1].record);
    toc_json_end_object(w);
}
