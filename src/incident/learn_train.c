/* Preview, apply, roll back. Training itself runs without the mutex, on copies. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "incident/learn_forecast.h"
#include "incident/learn_priv.h"

enum { EXAMPLES = 20, TOP_FEATURES = 8 };
static const int64_t PREVIEW_MS = 90 * (int64_t)86400000;
static const double KEEP_DEFAULT = 0.98;

/* What training gives. */
struct outcome {
    struct learn_set set;
    struct toc_classifier *classifier;
    double *p; /* out of fold, per row */
    double keep;
    struct toc_gate_forecast forecast;
};

static void outcome_fini(struct outcome *o) {
    toc_learn_set_fini(&o->set);
    toc_classifier_free(&o->classifier);
    toc_free(o->p);
}

static int take_set(struct toc_learn *l, const struct toc_learn_plan *p, struct toc_ts now,
                    struct outcome *o, struct toc_err *err) {
    int rc = 0;
    toc_mutex_lock(&l->mutex);
    if (!toc_learn_scope_find(l, p->scope))
        rc = toc_errf(err, TOC_ENOENT, "there is no scope \"%.*s\": no alert of it was seen",
                      TOC_SV_ARG(p->scope));
    else
        rc = toc_learn_set_make(l, p, (struct toc_ts){now.ms - PREVIEW_MS}, &o->set, err);
    toc_mutex_unlock(&l->mutex);
    return rc;
}

static void count(struct toc_learn *l, int rc) {
    toc_mutex_lock(&l->mutex);
    l->stats.trainings += rc == 0;
    l->stats.refused += rc == TOC_ENODATA || rc == TOC_ECONFLICT;
    toc_mutex_unlock(&l->mutex);
}

static int train(struct toc_learn *l, const struct toc_learn_plan *p, struct toc_ts now,
                 struct outcome *o, struct toc_err *err) {
    o->keep = p->keep > 0 ? p->keep : KEEP_DEFAULT;
    if (!(o->keep >= TOC_LEARN_KEEP_MIN && o->keep <= 1))
        return toc_errf(err, TOC_EINVAL, "keep: a share from %g to 1", TOC_LEARN_KEEP_MIN);
    int rc = take_set(l, p, now, o, err);
    struct toc_examples e = toc_learn_set_examples(&o->set);
    if (rc == 0 && !p->accepts_contradiction)
        rc = toc_learn_set_check(&o->set, err);
    if (rc == 0)
        rc = toc_classifier_fit(&e, &o->classifier, err);
    o->p = toc_try_calloc(o->set.rows + 1, sizeof *o->p);
    if (rc == 0 && !o->p)
        rc = toc_errf(err, TOC_ENOMEM, "no memory for %zu looks", o->set.rows);
    const struct toc_gate_question q = {o->keep, o->set.series, TOC_ALERT_FEATURE_PEAK};
    if (rc == 0)
        rc = toc_gate_foretell(&e, &q, o->p, &o->forecast, err);
    count(l, rc);
    return rc;
}

/* --- preview --- */

static void write_number(struct toc_json_writer *w, const char *key, size_t n) {
    toc_json_kv_int(w, key, (int64_t)n);
}

static double best_of(const struct outcome *o, const struct learn_item *item) {
    double best = 0;
    for (size_t k = 0; k < item->rows; k++)
        best = fmax(best, o->p[item->first_row + k]);
    return best;
}

/* The true alerts that would be lost: what a person must look at before applying. */
static void write_lost(const struct outcome *o, struct toc_json_writer *w) {
    size_t left = EXAMPLES;
    toc_json_key(w, "true_alerts_withheld");
    toc_json_begin_array(w);
    for (size_t i = 0; i < o->set.items.count && left; i++) {
        const struct learn_item *item = &o->set.items.items[i];
        double p = best_of(o, item);
        if (!item->is_true || p >= o->forecast.level)
            continue;
        toc_json_begin_object(w);
        toc_json_kv_int(w, "id", (int64_t)item->id);
        toc_json_kv_cstr(w, "incident_id", item->incident);
        toc_json_kv_cstr(w, "actor", item->actor);
        toc_json_kv_double(w, "probability", p);
        toc_json_end_object(w);
        left--;
    }
    toc_json_end_array(w);
}

static void write_importance(const struct outcome *o, struct toc_json_writer *w) {
    double share[TOC_ALERT_FEATURES];
    toc_classifier_importance(o->classifier, share);
    toc_json_key(w, "features");
    toc_json_begin_array(w);
    for (size_t n = 0; n < TOP_FEATURES; n++) {
        size_t best = 0;
        for (size_t i = 1; i < TOC_ALERT_FEATURES; i++)
            if (share[i] > share[best])
                best = i;
        toc_json_begin_object(w);
        toc_json_kv_cstr(w, "name", toc_alert_feature_name(best));
        toc_json_kv_double(w, "share", share[best]);
        toc_json_end_object(w);
        share[best] = -1;
    }
    toc_json_end_array(w);
}

/* All remembered alerts of the scope, labelled or not, by the model itself. */
static void write_all_alerts(struct toc_learn *l, const struct toc_learn_plan *p,
                             const struct outcome *o, struct toc_ts now,
                             struct toc_json_writer *w) {
    size_t alerts = 0, withheld = 0;
    toc_mutex_lock(&l->mutex);
    for (size_t i = 0; i < l->alerts.count; i++) {
        const struct learn_alert *a = l->alerts.items[i];
        if (!toc_sv_eq_cstr(p->scope, a->scope) || now.ms - a->first.ms > PREVIEW_MS)
            continue;
        alerts++;
        withheld +=
            a->look_count > 0 && toc_learn_probability(o->classifier, a) < o->forecast.level;
    }
    toc_mutex_unlock(&l->mutex);
    write_number(w, "remembered_alerts", alerts);
    write_number(w, "remembered_withheld", withheld);
}

static void write_notes(const struct outcome *o, struct toc_json_writer *w) {
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_err why = {0};
    toc_json_key(w, "notes");
    toc_json_begin_array(w);
    if (toc_learn_check_forecast(&o->forecast, &why) < 0)
        toc_json_string(w, toc_sv_cstr(why.message));
    if (o->set.persons == 1)
        toc_buf_printf(&text, "all verdicts are by one person, %s", o->set.busiest);
    else if (2 * o->set.busiest_count > o->set.items.count)
        toc_buf_printf(&text, "%zu of %zu verdicts are by %s: they weigh one half together",
                       o->set.busiest_count, o->set.items.count, o->set.busiest);
    if (text.n)
        toc_json_string(w, toc_buf_sv(&text));
    toc_json_end_array(w);
    toc_buf_fini(&text);
}

int toc_learn_preview(struct toc_learn *l, const struct toc_learn_plan *p, struct toc_ts now,
                      struct toc_json_writer *w, struct toc_err *err) {
    struct outcome o = {0};
    int rc = train(l, p, now, &o, err);
    if (rc == 0) {
        toc_json_begin_object(w);
        toc_json_kv_string(w, "scope", p->scope);
        toc_json_kv_int(w, "days", PREVIEW_MS / 86400000);
        toc_json_kv_cstr(w, "model", toc_classifier_type_text(toc_classifier_type(o.classifier)));
        write_number(w, "labels", o.set.items.count);
        write_number(w, "persons", o.set.persons);
        toc_json_kv_double(w, "keep", o.keep);
        toc_json_kv_double(w, "level", o.forecast.level);
        toc_json_key(w, "effect");
        toc_learn_write_effect(w, &o.forecast.effect);
        toc_json_key(w, "forecast");
        toc_learn_write_forecast(w, &o.forecast);
        write_all_alerts(l, p, &o, now, w);
        write_lost(&o, w);
        write_importance(&o, w);
        write_notes(&o, w);
        toc_json_end_object(w);
    }
    outcome_fini(&o);
    return rc;
}

/* --- versions --- */

static void drop_oldest(struct toc_learn *l, struct learn_scope *s) {
    for (size_t i = 0; s->versions.count > TOC_LEARN_VERSIONS_MAX && i < s->versions.count;)
        if (s->versions.items[i].number == s->active)
            i++;
        else
            toc_learn_version_remove(l, s, i);
}

static int install(struct toc_learn *l, const struct toc_learn_plan *p, struct outcome *o,
                   struct toc_ts now, uint32_t *out_version, struct toc_err *err) {
    struct learn_scope *s = toc_learn_scope_find(l, p->scope);
    if (!s)
        return toc_errf(err, TOC_ENOENT, "there is no scope \"%.*s\"", TOC_SV_ARG(p->scope));
    uint32_t active = s->active, last = s->last_number;
    struct learn_version v = {.number = last + 1,
                              .mode = p->mode,
                              .made_at = now,
                              .actor = toc_sv_dup_cstr(p->actor),
                              .level = o->forecast.level,
                              .keep = o->keep,
                              .labels = o->set.items.count,
                              .foretold = o->forecast.effect,
                              .classifier = o->classifier};
    int rc = toc_learn_version_save(l, s, &v, err);
    s->last_number = s->active = v.number;
    if (rc == 0)
        rc = toc_learn_scope_save(l, s, err);
    if (rc < 0) {
        s->active = active;
        s->last_number = last;
        toc_free(v.actor);
        return rc;
    }
    o->classifier = NULL; /* it is the version's now */
    TOC_VEC_PUSH(&s->versions, v);
    drop_oldest(l, s);
    *out_version = v.number;
    return 0;
}

int toc_learn_apply(struct toc_learn *l, const struct toc_learn_plan *p, struct toc_ts now,
                    uint32_t *out_version, struct toc_err *err) {
    struct outcome o = {0};
    if (p->mode != TOC_LEARN_SHADOW && p->mode != TOC_LEARN_ENFORCE)
        return toc_errf(err, TOC_EINVAL, "mode: shadow or enforce");
    int rc = train(l, p, now, &o, err);
    if (rc == 0 && p->mode == TOC_LEARN_ENFORCE) {
        rc = toc_learn_check_forecast(&o.forecast, err);
        if (rc < 0)
            count(l, rc);
    }
    if (rc == 0) {
        toc_mutex_lock(&l->mutex);
        rc = install(l, p, &o, now, out_version, err);
        toc_mutex_unlock(&l->mutex);
    }
    outcome_fini(&o);
    return rc;
}

/* The version before the active one; 0: none. */
static uint32_t one_before(const struct learn_scope *s) {
    uint32_t best = 0;
    for (size_t i = 0; i < s->versions.count; i++)
        if (s->versions.items[i].number < s->active)
            best = TOC_MAX(best, s->versions.items[i].number);
    return best;
}

static int roll_back(struct toc_learn *l, struct toc_sv scope, uint32_t version,
                     struct toc_err *err) {
    struct learn_scope *s = toc_learn_scope_find(l, scope);
    if (!s || (!s->active && !version))
        return toc_errf(err, TOC_ENOENT, "nothing is in force in scope \"%.*s\"",
                        TOC_SV_ARG(scope));
    uint32_t to = version ? version : one_before(s), active = s->active;
    s->active = to;
    if (to && !toc_learn_active(s)) {
        s->active = active;
        return toc_errf(err, TOC_ENOENT, "scope \"%.*s\" has no version %u", TOC_SV_ARG(scope),
                        version);
    }
    int rc = toc_learn_scope_save(l, s, err);
    if (rc < 0)
        s->active = active;
    return rc;
}

int toc_learn_roll_back(struct toc_learn *l, struct toc_sv scope, uint32_t version,
                        struct toc_err *err) {
    toc_mutex_lock(&l->mutex);
    int rc = roll_back(l, scope, version, err);
    toc_mutex_unlock(&l->mutex);
    return rc;
}
