/* From labelled alerts to a training set, with bounds on what one incident or person can teach. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "incident/learn_priv.h"

enum { RECENT = 12, CONTRADICTIONS_MIN = 8, EARLIER_MIN = TOC_CLASSIFIER_LOGISTIC_MIN };
static const double INCIDENT_SHARE = 0.05, PERSON_SHARE = 0.5, SURE = 0.8, CONTRADICTING = 0.6;
static const double WEIGHT_MIN = 1e-3;

static bool teaches(const struct learn_alert *a, const struct toc_learn_plan *p,
                    struct toc_ts since) {
    bool is_labelled = a->label == LEARN_TRUE || a->label == LEARN_FALSE;
    bool is_left_out = p->without.n && toc_sv_eq_cstr(p->without, a->actor);
    return is_labelled && !is_left_out && a->look_count > 0 && a->first.ms >= since.ms &&
           toc_sv_eq_cstr(p->scope, a->scope);
}

/* `first`: fingerprint to the first row of the series + 1. */
static void add(struct learn_set *s, const struct learn_alert *a, struct toc_map *first) {
    struct learn_item item = {.id = a->id,
                              .labelled_at = a->labelled_at,
                              .first_row = s->rows,
                              .rows = a->look_count,
                              .is_true = a->label == LEARN_TRUE};
    toc_sv_copy(toc_sv_cstr(a->actor), item.actor, sizeof item.actor);
    toc_sv_copy(toc_sv_cstr(a->incident), item.incident, sizeof item.incident);
    void *known = toc_map_get(first, toc_map_u64(&a->fingerprint));
    uint32_t series = known ? (uint32_t)((uintptr_t)known - 1) : (uint32_t)s->rows;
    if (!known)
        toc_map_put(first, toc_map_u64(&a->fingerprint), (void *)((uintptr_t)s->rows + 1));
    for (size_t k = 0; k < a->look_count; k++) {
        double *to = s->values + s->rows * TOC_ALERT_FEATURES;
        for (size_t i = 0; i < TOC_ALERT_FEATURES; i++)
            to[i] = (double)a->looks[k * TOC_ALERT_FEATURES + i];
        s->labels[s->rows] = item.is_true;
        s->weights[s->rows] = 1;
        s->series[s->rows] = series;
        s->groups[s->rows++] = (uint32_t)s->items.count;
    }
    TOC_VEC_PUSH(&s->items, item);
}

static size_t given_by(const struct learn_set *s, const char *actor) {
    size_t n = 0;
    for (size_t i = 0; i < s->items.count; i++)
        n += strcmp(s->items.items[i].actor, actor) == 0;
    return n;
}

static bool is_first_of_actor(const struct learn_set *s, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(s->items.items[i].actor, s->items.items[index].actor) == 0)
            return false;
    return true;
}

static void count_persons(struct learn_set *s) {
    for (size_t i = 0; i < s->items.count; i++) {
        if (!is_first_of_actor(s, i))
            continue;
        size_t given = given_by(s, s->items.items[i].actor);
        s->persons++;
        if (given <= s->busiest_count)
            continue;
        s->busiest_count = given;
        memcpy(s->busiest, s->items.items[i].actor, sizeof s->busiest);
    }
}

static bool set_alloc(struct learn_set *s, size_t rows) {
    s->values = toc_try_calloc(rows * TOC_ALERT_FEATURES + 1, sizeof *s->values);
    s->labels = toc_try_calloc(rows + 1, sizeof *s->labels);
    s->weights = toc_try_calloc(rows + 1, sizeof *s->weights);
    s->groups = toc_try_calloc(rows + 1, sizeof *s->groups);
    s->series = toc_try_calloc(rows + 1, sizeof *s->series);
    return s->values && s->labels && s->weights && s->groups && s->series;
}

int toc_learn_set_make(struct toc_learn *l, const struct toc_learn_plan *p, struct toc_ts since,
                       struct learn_set *out, struct toc_err *err) {
    size_t rows = 0;
    *out = (struct learn_set){0};
    for (size_t i = 0; i < l->alerts.count; i++)
        rows += teaches(l->alerts.items[i], p, since) ? l->alerts.items[i]->look_count : 0;
    if (!set_alloc(out, rows))
        return toc_errf(err, TOC_ENOMEM, "no memory for %zu looks", rows);
    struct toc_map first = TOC_MAP_INIT;
    for (size_t i = 0; i < l->alerts.count; i++)
        if (teaches(l->alerts.items[i], p, since))
            add(out, l->alerts.items[i], &first);
    toc_map_fini(&first);
    count_persons(out);
    toc_learn_set_bound(out);
    return 0;
}

void toc_learn_set_fini(struct learn_set *s) {
    toc_free(s->values);
    toc_free(s->labels);
    toc_free(s->weights);
    toc_free(s->groups);
    toc_free(s->series);
    TOC_VEC_FINI(&s->items);
    *s = (struct learn_set){0};
}

struct toc_examples toc_learn_set_examples(const struct learn_set *s) {
    return (struct toc_examples){
        {s->values, s->rows, TOC_ALERT_FEATURES}, s->labels, s->weights, s->groups};
}

/* --- bounds --- */

static size_t of_incident(const struct learn_set *s, const char *incident) {
    size_t n = 0;
    for (size_t i = 0; i < s->items.count; i++)
        n += strcmp(s->items.items[i].incident, incident) == 0;
    return n;
}

static double weight_of(const struct learn_set *s, const struct learn_item *item) {
    double alerts = (double)s->items.count, busiest = (double)s->busiest_count;
    double most = fmax(INCIDENT_SHARE * alerts, 1);
    double together = item->incident[0] ? (double)of_incident(s, item->incident) : 1;
    double weight = fmin(1, most / together);
    bool is_bounded =
        s->persons > 1 && strcmp(item->actor, s->busiest) == 0 && busiest > PERSON_SHARE * alerts;
    if (is_bounded)
        weight *= (alerts - busiest) / busiest;
    return fmax(weight, WEIGHT_MIN);
}

void toc_learn_set_bound(struct learn_set *s) {
    for (size_t i = 0; i < s->items.count; i++) {
        const struct learn_item *item = &s->items.items[i];
        double weight = weight_of(s, item);
        for (size_t k = 0; k < item->rows; k++)
            s->weights[item->first_row + k] = weight;
    }
}

/* --- contradiction --- */

/* The newest verdicts of one person, against a model of everything given before them. */
struct dissent {
    const char *actor;
    struct toc_ts since; /* of the first of the recent ones */
    size_t recent, contradicting, earlier;
};

static int by_time(const void *a, const void *b) {
    int64_t x = ((const struct toc_ts *)a)->ms, y = ((const struct toc_ts *)b)->ms;
    return (x > y) - (x < y);
}

/* When the last RECENT verdicts of the actor began; false when there are fewer. */
static bool recent_since(const struct learn_set *s, const char *actor, struct toc_ts *out) {
    struct toc_ts *times = TOC_NEW_ARRAY(struct toc_ts, s->items.count + 1);
    size_t n = 0;
    for (size_t i = 0; i < s->items.count; i++)
        if (strcmp(s->items.items[i].actor, actor) == 0)
            times[n++] = s->items.items[i].labelled_at;
    qsort(times, n, sizeof *times, by_time);
    if (n >= RECENT)
        *out = times[n - RECENT];
    toc_free(times);
    return n >= RECENT;
}

/* The alerts labelled before, as a set of their own; counted into d. */
static bool earlier_rows(const struct learn_set *s, struct dissent *d, struct learn_set *out) {
    *out = (struct learn_set){0};
    if (!set_alloc(out, s->rows))
        return false;
    for (size_t i = 0; i < s->items.count; i++) {
        const struct learn_item *item = &s->items.items[i];
        if (item->labelled_at.ms >= d->since.ms)
            continue;
        for (size_t k = 0; k < item->rows; k++, out->rows++) {
            memcpy(out->values + out->rows * TOC_ALERT_FEATURES,
                   s->values + (item->first_row + k) * TOC_ALERT_FEATURES,
                   TOC_ALERT_FEATURES * sizeof *out->values);
            out->labels[out->rows] = item->is_true;
            out->weights[out->rows] = 1;
            out->groups[out->rows] = (uint32_t)d->earlier;
        }
        d->earlier++;
    }
    return true;
}

static void count_dissent(const struct learn_set *s, const struct toc_classifier *c,
                          struct dissent *d) {
    for (size_t i = 0; i < s->items.count; i++) {
        const struct learn_item *item = &s->items.items[i];
        double p = 0;
        if (item->labelled_at.ms < d->since.ms || strcmp(item->actor, d->actor) != 0)
            continue;
        for (size_t k = 0; k < item->rows; k++)
            p = fmax(p, toc_classifier_probability(c, s->values + (item->first_row + k) *
                                                                      TOC_ALERT_FEATURES));
        d->recent++;
        d->contradicting += item->is_true ? p < 1 - SURE : p > SURE;
    }
}

static int check_person(const struct learn_set *s, const char *actor, struct toc_err *err) {
    struct dissent d = {.actor = actor};
    struct toc_classifier *c = NULL;
    struct learn_set before;
    if (!recent_since(s, actor, &d.since))
        return 0;
    bool has_memory = earlier_rows(s, &d, &before);
    struct toc_examples e = toc_learn_set_examples(&before);
    /* Without enough earlier verdicts there is nothing to contradict. */
    if (has_memory && d.earlier >= EARLIER_MIN && toc_classifier_fit(&e, &c, NULL) == 0)
        count_dissent(s, c, &d);
    toc_classifier_free(&c);
    toc_learn_set_fini(&before);
    if (!has_memory)
        return toc_errf(err, TOC_ENOMEM, "no memory to compare verdicts");
    bool contradicts = d.contradicting >= CONTRADICTIONS_MIN &&
                       (double)d.contradicting >= CONTRADICTING * (double)d.recent;
    if (!contradicts)
        return 0;
    return toc_errf(err, TOC_ECONFLICT,
                    "%zu of the last %zu verdicts by %s contradict what %zu verdicts before them "
                    "taught: review them, leave them out (without), or say that they are meant "
                    "(accept_contradiction)",
                    d.contradicting, d.recent, actor, d.earlier);
}

int toc_learn_set_check(const struct learn_set *s, struct toc_err *err) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->items.count; i++)
        if (is_first_of_actor(s, i))
            rc = check_person(s, s->items.items[i].actor, err);
    return rc;
}
