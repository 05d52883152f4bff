#include "replay/threshold_review.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/json.h"

#define NS "threshold_review"
#define CHANCE 0.05

static const char *const g_states[] = {
#define X(e, text) text,
    TOC_REVIEW_STATE_TABLE(X)
#undef X
};

/* ------------------------------------------------------------------------------------- as text */

static void put_effect(struct toc_json_writer *w, const char *key,
                       const struct toc_trial_effect *e) {
    toc_json_key(w, key);
    toc_json_begin_object(w);
    toc_json_kv_int(w, "alerts", (int64_t)e->alerts);
    toc_json_kv_int(w, "pages", (int64_t)e->pages);
    toc_json_kv_int(w, "night_pages", (int64_t)e->night_pages);
    toc_json_kv_double(w, "firing_s", (double)e->firing_ms / 1000);
    toc_json_end_object(w);
}

void toc_review_json(struct toc_json_writer *w, const struct toc_threshold_review *r) {
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "id", r->id);
    toc_json_kv_cstr(w, "state", g_states[r->state]);
    toc_json_kv_string(w, "rule", r->rule);
    toc_json_kv_double(w, "before", r->before);
    toc_json_kv_double(w, "after", r->after);
    toc_json_kv_string(w, "reason", r->reason);
    toc_json_kv_double(w, "budget_count", r->budget_count);
    toc_json_kv_double(w, "budget_period_s", r->budget_period_s);
    toc_json_kv_double(w, "history_s", (double)r->history_ms / 1000);
    put_effect(w, "effect_before", &r->effect_before);
    put_effect(w, "effect_after", &r->effect_after);
    toc_json_kv_string(w, "proposed_by", r->proposed_by);
    toc_json_kv_time(w, "proposed_at", r->proposed_at);
    toc_json_kv_string(w, "decided_by", r->decided_by);
    toc_json_kv_time(w, "decided_at", r->decided_at);
    toc_json_kv_string(w, "comment", r->comment);
    toc_json_kv_time(w, "checked_at", r->checked_at);
    toc_json_kv_double(w, "checked_pages", r->checked_pages);
    toc_json_kv_double(w, "checked_allowed", r->checked_allowed);
    toc_json_kv_bool(w, "is_over_budget", r->is_over_budget);
    toc_json_kv_string(w, "note", r->note);
    toc_json_end_object(w);
}

static const double COUNT_MAX = 9007199254740992.0, SECONDS_MAX = 1e11;

struct reading {
    const struct toc_json *object;
    struct toc_arena *arena;
    struct toc_err *err;
    int rc;
};

static struct toc_sv text(struct reading *x, const char *key) {
    struct toc_sv v = TOC_SV("");
    if (!x->rc)
        x->rc = toc_json_get_string(x->object, key, TOC_SV(""), &v, x->err);
    return toc_arena_dup_sv(x->arena, v);
}

static double number(struct reading *x, const char *key) {
    double v = 0;
    if (!x->rc)
        x->rc = toc_json_get_double(x->object, key, 0, &v, x->err);
    return v;
}

/* A number from 0 to `most`; stored bytes may hold anything. */
static double amount(struct reading *x, const char *key, double most) {
    double v = number(x, key);
    if (!x->rc && !(v >= 0 && v <= most))
        x->rc = TOC_ECORRUPT;
    return x->rc ? 0 : v;
}

static struct toc_ts time_of(struct reading *x, const char *key) {
    struct toc_sv v = TOC_SV("");
    struct toc_ts t = {0};
    if (!x->rc)
        x->rc = toc_json_get_string(x->object, key, TOC_SV(""), &v, x->err);
    if (!x->rc && v.n)
        x->rc = toc_ts_parse_rfc3339(v, &t, x->err);
    return t;
}

static struct toc_trial_effect effect(struct reading *x, const char *key) {
    struct reading in = {toc_json_get(x->object, key), x->arena, x->err, x->rc};
    struct toc_trial_effect e = {(uint64_t)amount(&in, "alerts", COUNT_MAX),
                                 (uint64_t)amount(&in, "pages", COUNT_MAX),
                                 (uint64_t)amount(&in, "night_pages", COUNT_MAX),
                                 (int64_t)llround(amount(&in, "firing_s", SECONDS_MAX) * 1000)};
    x->rc = in.rc;
    return e;
}

static enum toc_review_state state_of(struct toc_sv s) {
    for (int i = 0; i < TOC_REVIEW_STATE_COUNT; i++)
        if (toc_sv_eq_cstr(s, g_states[i]))
            return (enum toc_review_state)i;
    return TOC_REVIEW_STATE_COUNT;
}

int toc_review_parse(struct toc_sv json, struct toc_arena *a, struct toc_threshold_review *out,
                     struct toc_err *err) {
    const struct toc_json *root = NULL;
    struct reading x = {NULL, a, err, 0};
    *out = (struct toc_threshold_review){0};
    if (toc_json_parse(json, a, &root, err) < 0 || root->type != TOC_JSON_OBJECT)
        return TOC_ECORRUPT;
    x.object = root;
    (void)toc_sv_copy(text(&x, "id"), out->id, sizeof out->id);
    out->state = state_of(text(&x, "state"));
    out->rule = text(&x, "rule");
    out->before = number(&x, "before");
    out->after = number(&x, "after");
    out->reason = text(&x, "reason");
    out->budget_count = number(&x, "budget_count");
    out->budget_period_s = number(&x, "budget_period_s");
    out->history_ms = (int64_t)llround(amount(&x, "history_s", SECONDS_MAX) * 1000);
    out->effect_before = effect(&x, "effect_before");
    out->effect_after = effect(&x, "effect_after");
    out->proposed_by = text(&x, "proposed_by");
    out->proposed_at = time_of(&x, "proposed_at");
    out->decided_by = text(&x, "decided_by");
    out->decided_at = time_of(&x, "decided_at");
    out->comment = text(&x, "comment");
    out->checked_at = time_of(&x, "checked_at");
    out->checked_pages = number(&x, "checked_pages");
    out->checked_allowed = number(&x, "checked_allowed");
    if (!x.rc)
        x.rc = toc_json_get_bool(root, "is_over_budget", false, &out->is_over_budget, err);
    out->note = text(&x, "note");
    return x.rc || out->state == TOC_REVIEW_STATE_COUNT || !out->id[0] || a->overflowed
               ? TOC_ECORRUPT
               : 0;
}

/* --------------------------------------------------------------------------------------- store */

struct counting {
    size_t count;
    unsigned long long last;
};

static int count_one(void *ctx, struct toc_sv key, struct toc_sv value) {
    struct counting *c = ctx;
    char id[TOC_REVIEW_ID_MAX];
    (void)value;
    (void)toc_sv_copy(key, id, sizeof id);
    unsigned long long n = id[0] && id[1] ? strtoull(id + 2, NULL, 10) : 0;
    c->last = n > c->last ? n : c->last;
    c->count++;
    return 0;
}

static int name(struct toc_blob_store *s, struct toc_threshold_review *r, struct toc_err *err) {
    struct counting c = {0};
    int rc = s->each(s, NS, count_one, &c, err);
    if (rc == 0 && c.count >= TOC_REVIEWS_MAX)
        rc = toc_errf(err, TOC_ELIMIT, "there are %d reviews of thresholds already",
                      TOC_REVIEWS_MAX);
    if (rc == 0)
        snprintf(r->id, sizeof r->id, "T-%06llu", c.last + 1);
    return rc;
}

int toc_review_save(struct toc_blob_store *s, struct toc_threshold_review *r, struct toc_err *err) {
    struct toc_buf json = TOC_BUF_INIT;
    struct toc_json_writer w;
    int rc = r->id[0] ? 0 : name(s, r, err);
    toc_json_writer_init(&w, &json);
    toc_review_json(&w, r);
    if (rc == 0)
        rc = s->put(s, NS, toc_sv_cstr(r->id), toc_buf_sv(&json), err);
    toc_buf_fini(&json);
    return rc;
}

int toc_review_load(struct toc_blob_store *s, struct toc_sv id, struct toc_arena *a,
                    struct toc_threshold_review *out, struct toc_err *err) {
    struct toc_buf json = TOC_BUF_INIT;
    int rc = s->get(s, NS, id, &json, err);
    if (rc == TOC_ENOENT)
        rc = toc_errf(err, rc, "there is no review %.*s", TOC_SV_ARG(id));
    if (rc == 0)
        rc = toc_review_parse(toc_buf_sv(&json), a, out, err);
    toc_buf_fini(&json);
    return rc;
}

struct walking {
    toc_on_review *fn;
    void *ctx;
    size_t damaged;
};

static int walk_one(void *ctx, struct toc_sv key, struct toc_sv value) {
    struct walking *x = ctx;
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_threshold_review r;
    (void)key;
    int rc = toc_review_parse(value, &arena, &r, NULL);
    x->damaged += rc != 0;
    rc = rc ? 0 : x->fn(x->ctx, &r);
    toc_arena_fini(&arena);
    return rc;
}

int toc_reviews_each(struct toc_blob_store *s, toc_on_review *fn, void *ctx, size_t *out_damaged,
                     struct toc_err *err) {
    struct walking x = {fn, ctx, 0};
    int rc = s->each(s, NS, walk_one, &x, err);
    if (out_damaged)
        *out_damaged = x.damaged;
    return rc;
}

/* ------------------------------------------------------------------------------------ decisions */

int toc_review_decide(struct toc_threshold_review *r, enum toc_review_state to, struct toc_sv by,
                      struct toc_sv comment, struct toc_ts now, struct toc_err *err) {
    if (r->state != TOC_REVIEW_PROPOSED)
        return toc_errf(err, TOC_ECONFLICT, "review %s was %s by %.*s", r->id, g_states[r->state],
                        TOC_SV_ARG(r->decided_by));
    r->state = to;
    r->decided_by = by;
    r->comment = comment;
    r->decided_at = now;
    return 0;
}

/* P(X >= n) for a Poisson variable of this mean. */
static double chance_of(uint64_t n, double mean) {
    double term = exp(-mean), below = 0;
    for (uint64_t k = 0; k < n && k < 100000; k++) {
        below += term;
        term *= mean / (double)(k + 1);
    }
    return fmax(0, 1 - below);
}

void toc_review_note_check(struct toc_threshold_review *r, uint64_t pages, int64_t span_ms,
                           struct toc_ts now, struct toc_arena *a) {
    struct toc_buf b = TOC_BUF_INIT;
    double allowed = (double)span_ms / 1000 / r->budget_period_s * r->budget_count;
    r->checked_at = now;
    r->checked_pages = (double)pages;
    r->checked_allowed = allowed;
    r->is_over_budget = (double)pages > allowed && chance_of(pages, allowed) < CHANCE;
    if (r->is_over_budget)
        toc_buf_printf(&b,
                       "%llu pages in the last %.1f days where the budget allows %.1f: the "
                       "threshold no longer keeps it",
                       (unsigned long long)pages, (double)span_ms / 86400000, allowed);
    r->note = toc_arena_dup_sv(a, toc_buf_sv(&b));
    toc_buf_fini(&b);
}
