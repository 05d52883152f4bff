/* Life, labels and views of learning from verdicts. */
#include "incident/learn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "incident/learn_forecast.h"
#include "incident/learn_priv.h"
#include "promql/promql.h"

static const int64_t KEPT_MS = 90 * (int64_t)86400000, CAUSAL_WINDOW_MS = 3600000;

const char *toc_learn_mode_text(enum toc_learn_mode m) {
#define X(name, text) text,
    static const char *const texts[] = {TOC_LEARN_MODE_TABLE(X)};
#undef X
    return texts[m];
}

enum toc_learn_mode toc_learn_mode_parse(struct toc_sv text) {
    for (int m = 0; m < TOC_LEARN_MODE_COUNT; m++)
        if (toc_sv_eq_cstr(text, toc_learn_mode_text((enum toc_learn_mode)m)))
            return (enum toc_learn_mode)m;
    return TOC_LEARN_MODE_COUNT;
}

/* --- scopes --- */

struct learn_scope *toc_learn_scope_find(const struct toc_learn *l, struct toc_sv name) {
    for (size_t i = 0; i < l->scopes.count; i++)
        if (toc_sv_eq_cstr(name, l->scopes.items[i]->name))
            return l->scopes.items[i];
    return NULL;
}

struct learn_scope *toc_learn_scope_make(struct toc_learn *l, struct toc_sv name) {
    struct learn_scope *s = toc_learn_scope_find(l, name);
    if (s || l->scopes.count == TOC_LEARN_SCOPES_MAX || name.n == 0 || name.n > TOC_LEARN_NAME_MAX)
        return s;
    s = TOC_NEW(struct learn_scope);
    s->name = toc_sv_dup_cstr(name);
    TOC_VEC_PUSH(&l->scopes, s);
    return s;
}

const struct learn_version *toc_learn_active(const struct learn_scope *s) {
    for (size_t i = 0; i < s->versions.count; i++)
        if (s->versions.items[i].number == s->active)
            return &s->versions.items[i];
    return NULL;
}

static void scope_free(struct learn_scope *s) {
    while (s->versions.count)
        toc_learn_version_fini(&s->versions.items[--s->versions.count]);
    TOC_VEC_FINI(&s->versions);
    toc_free(s->name);
    toc_free(s);
}

/* --- life --- */

int toc_learn_new(const struct toc_learn_options *o, struct toc_ts now, struct toc_learn **out,
                  struct toc_err *err) {
    struct toc_learn *l = TOC_NEW(struct toc_learn);
    l->options = *o;
    if (l->options.kept_ms <= 0)
        l->options.kept_ms = KEPT_MS;
    l->next_id = 1;
    toc_mutex_init(&l->mutex, TOC_LOCK_LEARN);
    toc_learn_gate_init(l);
    int rc = toc_learn_load(l, err);
    if (rc == 0)
        (void)toc_learn_make_room(l, now);
    if (rc < 0)
        toc_learn_free(&l);
    *out = l;
    return rc;
}

void toc_learn_free(struct toc_learn **lp) {
    struct toc_learn *l = *lp;
    if (!l)
        return;
    for (size_t i = 0; i < l->alerts.count; i++)
        toc_learn_alert_free(l->alerts.items[i]);
    for (size_t i = 0; i < l->scopes.count; i++)
        scope_free(l->scopes.items[i]);
    TOC_VEC_FINI(&l->alerts);
    TOC_VEC_FINI(&l->scopes);
    toc_map_fini(&l->open);
    toc_mutex_fini(&l->mutex);
    toc_free(l);
    *lp = NULL;
}

static void forget(struct toc_learn *l, size_t index) {
    struct learn_alert *a = l->alerts.items[index];
    struct toc_blob_store *s = l->options.store;
    char key[20];
    snprintf(key, sizeof key, "%016llx", (unsigned long long)a->id);
    if (s->remove(s, LEARN_ALERT_NS, toc_sv_cstr(key), NULL) < 0)
        l->stats.store_failures++;
    if (a->is_open)
        toc_map_remove(&l->open, toc_map_u64(&a->fingerprint));
    l->stats.forgotten++;
    toc_learn_alert_free(a);
    TOC_VEC_REMOVE(&l->alerts, index);
}

/* Unlabelled ones go first: verdicts are what people gave. */
static size_t oldest(const struct toc_learn *l, bool unlabelled_only) {
    for (size_t i = 0; i < l->alerts.count; i++) {
        const struct learn_alert *a = l->alerts.items[i];
        if (!a->is_open && !(unlabelled_only && a->label != LEARN_UNLABELLED))
            return i;
    }
    return SIZE_MAX;
}

bool toc_learn_make_room(struct toc_learn *l, struct toc_ts now) {
    for (size_t i = l->alerts.count; i-- > 0;)
        if (now.ms - l->alerts.items[i]->last.ms > l->options.kept_ms)
            forget(l, i);
    if (l->alerts.count < TOC_LEARN_ALERTS_MAX)
        return true;
    size_t victim = oldest(l, true);
    if (victim == SIZE_MAX)
        victim = oldest(l, false);
    if (victim == SIZE_MAX)
        return false;
    forget(l, victim);
    return true;
}

/* --- labels --- */

/* A label on its way to who else learns from it; the text is owned. */
struct told {
    char *labels;
    struct toc_ts at;
    bool is_true;
};
struct tellings {
    TOC_VEC_FIELDS(struct told)
};

static void note(struct tellings *t, const struct learn_alert *a) {
    if (a->label != LEARN_TRUE && a->label != LEARN_FALSE)
        return;
    struct told one = {toc_xstrdup(a->labels), a->first, a->label == LEARN_TRUE};
    TOC_VEC_PUSH(t, one);
}

static void take_matchers(void *ctx, const struct toc_matcher *m, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!toc_sv_eq(m[i].name, TOC_METRIC_NAME))
            toc_labels_builder_set(ctx, m[i].name, m[i].value);
}

/* Labels were kept as text, which is a selector. */
static void tell_one(struct toc_learn *l, const struct told *t) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    struct toc_promql_expr *e;
    if (toc_promql_parse(toc_sv_cstr(t->labels), &e, NULL) < 0)
        return; /* cut short: the classifier has learnt from it, nobody else does */
    toc_promql_visit_selectors(e, take_matchers, &b);
    l->options.on_label(l->options.on_label_ctx, toc_labels_builder_finish(&b), t->at, t->is_true);
    toc_promql_expr_free(&e);
    toc_labels_builder_fini(&b);
}

static void tell(struct toc_learn *l, struct tellings *t) {
    for (size_t i = 0; i < t->count; i++) {
        if (l->options.on_label)
            tell_one(l, &t->items[i]);
        toc_free(t->items[i].labels);
    }
    TOC_VEC_FINI(t);
}

static enum learn_label label_of(enum toc_verdict v) {
    return v == TOC_VERDICT_TRUE    ? LEARN_TRUE
           : v == TOC_VERDICT_FALSE ? LEARN_FALSE
                                    : LEARN_IGNORED;
}

static int set_label(struct toc_learn *l, struct learn_alert *a, enum toc_verdict v,
                     struct toc_sv actor, struct toc_sv incident, struct toc_ts now) {
    toc_free(a->actor);
    toc_free(a->incident);
    a->label = label_of(v);
    a->actor = toc_sv_dup_cstr(toc_sv_sub(actor, 0, TOC_LEARN_NAME_MAX - 1));
    a->incident = toc_sv_dup_cstr(incident);
    a->labelled_at = now;
    l->stats.labels += a->label == LEARN_TRUE || a->label == LEARN_FALSE;
    return toc_learn_alert_save(l, a);
}

static bool holds(const struct toc_incident *i, const struct learn_alert *a) {
    bool is_in_time = a->first.ms >= i->started_at.ms - CAUSAL_WINDOW_MS &&
                      (!i->resolved_at.ms || a->first.ms <= i->resolved_at.ms);
    for (size_t n = 0; is_in_time && n < i->alerts.count; n++)
        if (i->alerts.items[n].fingerprint == a->fingerprint)
            return true;
    return false;
}

size_t toc_learn_verdict(struct toc_learn *l, const struct toc_incident *i, struct toc_sv actor,
                         struct toc_ts now) {
    size_t count = 0;
    struct tellings tellings = {0};
    toc_mutex_lock(&l->mutex);
    for (size_t n = 0; n < l->alerts.count; n++) {
        struct learn_alert *a = l->alerts.items[n];
        if (!holds(i, a))
            continue;
        (void)set_label(l, a, i->verdict, actor, toc_sv_cstr(i->id), now); /* counted there */
        note(&tellings, a);
        count++;
    }
    toc_mutex_unlock(&l->mutex);
    tell(l, &tellings);
    return count;
}

int toc_learn_verdict_alert(struct toc_learn *l, uint64_t id, enum toc_verdict verdict,
                            struct toc_sv actor, struct toc_ts now, struct toc_err *err) {
    int rc = TOC_ENOENT;
    struct tellings tellings = {0};
    if (verdict != TOC_VERDICT_TRUE && verdict != TOC_VERDICT_FALSE &&
        verdict != TOC_VERDICT_EXPECTED)
        return toc_errf(err, TOC_EINVAL, "verdict: one of true, false, expected is needed");
    toc_mutex_lock(&l->mutex);
    for (size_t n = 0; rc == TOC_ENOENT && n < l->alerts.count; n++) {
        struct learn_alert *a = l->alerts.items[n];
        if (a->id != id)
            continue;
        rc = set_label(l, a, verdict, actor, TOC_SV_NULL, now);
        note(&tellings, a);
    }
    toc_mutex_unlock(&l->mutex);
    tell(l, &tellings);
    if (rc == TOC_ENOENT)
        return toc_errf(err, rc, "there is no remembered alert %llu", (unsigned long long)id);
    return rc < 0 ? toc_errf(err, rc, "the verdict could not be stored: %s", toc_strerror(rc)) : 0;
}

/* --- views --- */

/* What a version has done to the alerts that are still remembered: beside what was foretold. */
static void write_came(const struct toc_learn *l, const struct learn_scope *s,
                       const struct learn_version *v, struct toc_json_writer *w) {
    int64_t judged = 0, withheld = 0;
    for (size_t i = 0; i < l->alerts.count; i++) {
        const struct learn_alert *a = l->alerts.items[i];
        if (a->version != v->number || strcmp(a->scope, s->name) != 0)
            continue;
        judged++;
        withheld += a->probability < v->level;
    }
    toc_json_kv_int(w, "judged", judged);
    toc_json_kv_int(w, "judged_withheld", withheld);
}

static void write_version(const struct toc_learn *l, const struct learn_scope *s,
                          const struct learn_version *v, struct toc_json_writer *w) {
    toc_json_begin_object(w);
    toc_json_kv_int(w, "version", v->number);
    toc_json_kv_cstr(w, "mode", toc_learn_mode_text(v->mode));
    toc_json_kv_cstr(w, "model", toc_classifier_type_text(toc_classifier_type(v->classifier)));
    toc_json_kv_time(w, "made_at", v->made_at);
    toc_json_kv_cstr(w, "actor", v->actor);
    toc_json_kv_int(w, "labels", (int64_t)v->labels);
    toc_json_kv_double(w, "level", v->level);
    toc_json_kv_double(w, "keep", v->keep);
    toc_json_key(w, "foretold");
    toc_learn_write_effect(w, &v->foretold);
    write_came(l, s, v, w);
    toc_json_end_object(w);
}

struct scope_counts {
    int64_t alerts, of[LEARN_IGNORED + 1], withheld;
};

static struct scope_counts count_scope(const struct toc_learn *l, const char *name) {
    struct scope_counts n = {0};
    for (size_t i = 0; i < l->alerts.count; i++) {
        const struct learn_alert *a = l->alerts.items[i];
        if (strcmp(a->scope, name) != 0)
            continue;
        n.alerts++;
        n.of[a->label]++;
        n.withheld += a->was_withheld;
    }
    return n;
}

static void write_scope(const struct toc_learn *l, const struct learn_scope *s,
                        struct toc_json_writer *w) {
    struct scope_counts n = count_scope(l, s->name);
    const struct learn_version *v = toc_learn_active(s);
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "scope", s->name);
    toc_json_kv_cstr(w, "mode", toc_learn_mode_text(v ? v->mode : TOC_LEARN_OFF));
    toc_json_kv_int(w, "version", v ? v->number : 0);
    toc_json_kv_int(w, "alerts", n.alerts);
    toc_json_kv_int(w, "true", n.of[LEARN_TRUE]);
    toc_json_kv_int(w, "false", n.of[LEARN_FALSE]);
    toc_json_kv_int(w, "ignored", n.of[LEARN_IGNORED]);
    toc_json_kv_int(w, "needed", TOC_CLASSIFIER_LOGISTIC_MIN);
    toc_json_kv_int(w, "withheld", n.withheld);
    toc_json_key(w, "versions");
    toc_json_begin_array(w);
    for (size_t i = s->versions.count; i-- > 0;)
        write_version(l, s, &s->versions.items[i], w);
    toc_json_end_array(w);
    toc_json_end_object(w);
}

void toc_learn_write_scopes(struct toc_learn *l, struct toc_json_writer *w) {
    toc_mutex_lock(&l->mutex);
    toc_json_begin_array(w);
    for (size_t i = 0; i < l->scopes.count; i++)
        write_scope(l, l->scopes.items[i], w);
    toc_json_end_array(w);
    toc_mutex_unlock(&l->mutex);
}

static void write_alert(const struct learn_alert *a, struct toc_json_writer *w) {
    static const char *const labels[] = {"", "true", "false", "expected"};
    toc_json_begin_object(w);
    toc_json_kv_int(w, "id", (int64_t)a->id);
    toc_json_kv_cstr(w, "scope", a->scope);
    toc_json_kv_cstr(w, "rule", a->rule);
    toc_json_kv_cstr(w, "labels", a->labels);
    toc_json_kv_time(w, "first_seen", a->first);
    toc_json_kv_time(w, "last_seen", a->last);
    toc_json_kv_bool(w, "firing", a->is_open);
    toc_json_kv_bool(w, "withheld", a->is_withheld);
    toc_json_kv_bool(w, "was_withheld", a->was_withheld);
    toc_json_kv_double(w, "probability", a->probability);
    toc_json_kv_int(w, "version", a->version);
    toc_json_kv_cstr(w, "verdict", labels[a->label]);
    toc_json_kv_cstr(w, "actor", a->actor);
    toc_json_kv_cstr(w, "incident_id", a->incident);
    toc_json_end_object(w);
}

void toc_learn_write_alerts(struct toc_learn *l, bool only_withheld, size_t limit,
                            struct toc_json_writer *w) {
    toc_mutex_lock(&l->mutex);
    toc_json_begin_array(w);
    for (size_t i = l->alerts.count; i-- > 0 && limit > 0;) {
        const struct learn_alert *a = l->alerts.items[i];
        if (only_withheld && !a->was_withheld)
            continue;
        write_alert(a, w);
        limit--;
    }
    toc_json_end_array(w);
    toc_mutex_unlock(&l->mutex);
}

struct toc_learn_stats toc_learn_stats(struct toc_learn *l) {
    toc_mutex_lock(&l->mutex);
    struct toc_learn_stats s = l->stats;
    s.remembered = l->alerts.count;
    s.withheld_now = 0;
    for (size_t i = 0; i < l->alerts.count; i++)
        s.withheld_now += l->alerts.items[i]->is_open && l->alerts.items[i]->is_withheld;
    toc_mutex_unlock(&l->mutex);
    return s;
}
