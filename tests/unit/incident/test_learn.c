/* Learning from verdicts: candidates, labels, training with its bounds, the gate, restarts. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "detect/stats.h"
#include "incident/learn.h"
#include "incident/learn_report.h"

enum { ROWS = 300, START = 290, BLOBS_MAX = 4096, MINUTE = 60000 };
static const int64_t T0 = 1790000000000;

/* --- a store in memory --- */

struct blob {
    char ns[32], *key;
    char *value;
    size_t n;
};
struct memory_store {
    struct toc_blob_store base;
    struct blob items[BLOBS_MAX];
    size_t count;
    bool fails;
};

static struct blob *find(struct memory_store *m, const char *ns, struct toc_sv key) {
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->items[i].ns, ns) == 0 && toc_sv_eq_cstr(key, m->items[i].key))
            return &m->items[i];
    return NULL;
}

static int store_put(struct toc_blob_store *s, const char *ns, struct toc_sv key,
                     struct toc_sv value, struct toc_err *err) {
    struct memory_store *m = (struct memory_store *)s;
    if (m->fails)
        return toc_errf(err, TOC_ENOSPC, "no space");
    struct blob *b = find(m, ns, key);
    if (!b) {
        assert_true(m->count < BLOBS_MAX);
        b = &m->items[m->count++];
        *b = (struct blob){.key = toc_sv_dup_cstr(key)};
        snprintf(b->ns, sizeof b->ns, "%s", ns);
    }
    toc_free(b->value);
    b->value = toc_xmemdup(value.p, value.n);
    b->n = value.n;
    return 0;
}

static int store_get(struct toc_blob_store *s, const char *ns, struct toc_sv key,
                     struct toc_buf *out, struct toc_err *err) {
    struct blob *b = find((struct memory_store *)s, ns, key);
    (void)err;
    if (!b)
        return TOC_ENOENT;
    toc_buf_append(out, b->value, b->n);
    return 0;
}

static int store_remove(struct toc_blob_store *s, const char *ns, struct toc_sv key,
                        struct toc_err *err) {
    struct memory_store *m = (struct memory_store *)s;
    struct blob *b = find(m, ns, key);
    (void)err;
    if (!b)
        return 0;
    toc_free(b->key);
    toc_free(b->value);
    memmove(b, b + 1, (size_t)(m->items + m->count - b - 1) * sizeof *b);
    m->count--;
    return 0;
}

static int store_each(struct toc_blob_store *s, const char *ns, toc_on_blob *fn, void *ctx,
                      struct toc_err *err) {
    struct memory_store *m = (struct memory_store *)s;
    (void)err;
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->items[i].ns, ns) == 0) {
            int rc = fn(ctx, toc_sv_cstr(m->items[i].key),
                        toc_sv_make(m->items[i].value, m->items[i].n));
            if (rc)
                return rc;
        }
    return 0;
}

/* --- what there is to look at: noise, then a small spike or a large step --- */

static size_t g_rows_known = ROWS; /* by now */

static int fake_window(struct toc_learn_source *s, struct toc_labels alert, struct toc_ts start,
                       struct toc_ts now, struct toc_learn_window *out, struct toc_err *err) {
    bool is_step = toc_sv_eq(toc_labels_get(alert, TOC_SV("shape")), TOC_SV("step"));
    struct toc_rng rng;
    (void)s;
    (void)start;
    (void)err;
    if (toc_labels_has(alert, TOC_SV("lost")))
        return TOC_ENODATA;
    toc_rng_seed(&rng, toc_labels_hash(alert));
    double size = is_step ? 30 + 10 * toc_rng_unit(&rng) : 6 + 4 * toc_rng_unit(&rng);
    *out = (struct toc_learn_window){TOC_NEW_ARRAY(double, ROWS),
                                     TOC_NEW_ARRAY(double, ROWS),
                                     TOC_NEW_ARRAY(double, ROWS),
                                     g_rows_known,
                                     START,
                                     6};
    for (size_t i = 0; i < ROWS; i++) {
        out->seconds[i] = (double)(now.ms / 1000) - 15.0 * (double)(ROWS - 1 - i);
        out->values[i] = 100 + toc_rng_normal(&rng);
        bool is_out = i >= START && (is_step || i == START);
        out->values[i] += is_out ? size : 0;
        out->scores[i] = is_out ? size : 1;
    }
    return 0;
}

/* --- the world --- */

struct world {
    struct memory_store store;
    struct toc_learn_source source;
    struct toc_alert_sink next;
    struct toc_learn *learn;
    size_t passed, passed_resolved;
    struct toc_ts now;
};

static struct world *g_world;

static void next_put(struct toc_alert_sink *s, const struct toc_alert *alerts, size_t count,
                     struct toc_ts now) {
    (void)s;
    for (size_t i = 0; i < count; i++)
        if (toc_alert_is_resolved(&alerts[i], now))
            g_world->passed_resolved++;
        else
            g_world->passed++;
}

static void open_learn(struct world *w) {
    const struct toc_learn_options o = {
        .next = &w->next, .source = &w->source, .store = &w->store.base};
    assert_int_equal(toc_learn_new(&o, w->now, &w->learn, NULL), 0);
}

static int setup(void **state) {
    struct world *w = TOC_NEW(struct world);
    w->store.base = (struct toc_blob_store){store_put, store_get, store_remove, store_each, NULL};
    w->source.window = fake_window;
    w->next.put = next_put;
    w->now.ms = T0;
    g_world = w;
    open_learn(w);
    *state = w;
    return 0;
}

static int teardown(void **state) {
    struct world *w = *state;
    toc_learn_free(&w->learn);
    for (size_t i = 0; i < w->store.count; i++) {
        toc_free(w->store.items[i].key);
        toc_free(w->store.items[i].value);
    }
    toc_free(w);
    return 0;
}

/* One alert of a run; `extra` is one more label. Returns its fingerprint. */
static uint64_t send(struct world *w, const char *run, const char *shape, const char *expr,
                     const char *extra, bool is_over) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_SV("alertname"), TOC_SV("Strange"));
    toc_labels_builder_set(&b, TOC_SV("detector"), TOC_SV("d"));
    toc_labels_builder_set(&b, TOC_SV("job"), TOC_SV("train"));
    toc_labels_builder_set(&b, TOC_SV("run"), toc_sv_cstr(run));
    toc_labels_builder_set(&b, TOC_SV("shape"), toc_sv_cstr(shape));
    if (extra)
        toc_labels_builder_set(&b, toc_sv_cstr(extra), TOC_SV("1"));
    const struct toc_evidence e = {.expr = toc_sv_cstr(expr)};
    const struct toc_finding f = {.kind = TOC_KIND_THRESHOLD, .evidence = &e, .evidence_count = 1};
    struct toc_alert a = {.labels = toc_labels_builder_finish(&b),
                          .starts_at = w->now,
                          .ends_at = {is_over ? w->now.ms - 1 : w->now.ms + 300000},
                          .updated_at = w->now,
                          .finding = &f};
    uint64_t fingerprint = toc_labels_fingerprint(a.labels);
    toc_learn_sink(w->learn)->put(toc_learn_sink(w->learn), &a, 1, w->now);
    toc_labels_builder_fini(&b);
    return fingerprint;
}

static const char *const SCORE = "tocsin_anomaly_score";

static void judge_as(struct world *w, uint64_t fingerprint, enum toc_verdict v, const char *actor,
                     const char *id) {
    struct toc_incident i;
    toc_incident_init(&i);
    struct toc_incident_alert a = {.fingerprint = fingerprint};
    TOC_VEC_PUSH(&i.alerts, a);
    snprintf(i.id, sizeof i.id, "%s", id);
    i.started_at = w->now;
    i.verdict = v;
    assert_int_equal(toc_learn_verdict(w->learn, &i, toc_sv_cstr(actor), w->now), 1);
    toc_incident_fini(&i);
}

static void teach_one(struct world *w, bool is_step, bool is_true, const char *actor) {
    static int serial;
    char run[32], id[32];
    snprintf(run, sizeof run, "r%d", serial);
    snprintf(id, sizeof id, "I-%d", serial++);
    w->now.ms += MINUTE;
    uint64_t f = send(w, run, is_step ? "step" : "spike", SCORE, NULL, false);
    judge_as(w, f, is_true ? TOC_VERDICT_TRUE : TOC_VERDICT_FALSE, actor, id);
    send(w, run, is_step ? "step" : "spike", SCORE, NULL, true);
}

/* n alerts, every other one a true step, judged (the other way round when asked). */
static void teach(struct world *w, int n, const char *actor, bool inverted) {
    for (int i = 0; i < n; i++)
        teach_one(w, i % 2, (i % 2 != 0) != inverted, actor);
}

static const struct toc_learn_plan PLAN = {
    .scope = TOC_SV("train"), .keep = 0.95, .mode = TOC_LEARN_ENFORCE, .actor = TOC_SV("ada")};

static void apply(struct world *w, enum toc_learn_mode mode) {
    struct toc_learn_plan p = PLAN;
    uint32_t version = 0;
    struct toc_err err = {0};
    p.mode = mode;
    if (toc_learn_apply(w->learn, &p, w->now, &version, &err) < 0)
        fail_msg("%s", err.message);
}

static bool pages(struct world *w, const char *run, const char *shape, const char *expr,
                  const char *extra) {
    size_t before = w->passed;
    send(w, run, shape, expr, extra, false);
    return w->passed == before + 1;
}

/* --- tests --- */

static void nothing_is_withheld_before_it_is_applied(void **state) {
    struct world *w = *state;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_json_writer j;
    struct toc_err err = {0};
    toc_json_writer_init(&j, &out);
    teach(w, 12, "ada", false);
    assert_int_equal(w->passed, 12);
    assert_int_equal(w->passed_resolved, 12);
    assert_int_equal(toc_learn_preview(w->learn, &PLAN, w->now, &j, &err), TOC_ENODATA);
    assert_string_equal(err.message, "not enough verdicts yet (12 of 50)");
    teach(w, 48, "ada", false);
    err = (struct toc_err){0};
    assert_int_equal(toc_learn_preview(w->learn, &PLAN, w->now, &j, &err), 0);
    assert_non_null(strstr(toc_buf_cstr(&out), "\"labels\":60"));
    assert_non_null(strstr(toc_buf_cstr(&out), "\"true_withheld\":0"));
    assert_non_null(strstr(toc_buf_cstr(&out), "all verdicts are by one person, ada"));
    assert_true(pages(w, "x", "spike", SCORE, NULL)); /* a preview changes nothing */
    toc_buf_fini(&out);
}

static void only_what_detectors_alone_said_is_withheld(void **state) {
    struct world *w = *state;
    teach(w, 60, "ada", false);
    apply(w, TOC_LEARN_ENFORCE);
    assert_false(pages(w, "a", "spike", SCORE, NULL));
    assert_false(pages(w, "a", "spike", SCORE, NULL)); /* and stays so */
    assert_true(pages(w, "b", "step", SCORE, NULL));
    assert_true(pages(w, "c", "spike", "train_loss", NULL)); /* a threshold */
    assert_true(pages(w, "d", "spike", "tocsin_anomaly_score and train_loss", NULL));
    assert_true(pages(w, "e", "spike", SCORE, "lost")); /* nothing to look at */
    struct toc_learn_stats s = toc_learn_stats(w->learn);
    assert_int_equal(s.withheld, 1);
    assert_int_equal(s.withheld_now, 1);
    assert_int_equal(s.blind, 1);
    size_t ended = w->passed_resolved;
    send(w, "a", "spike", SCORE, NULL, true);
    assert_int_equal(w->passed_resolved, ended); /* what never paged need not end */
    assert_int_equal(toc_learn_stats(w->learn).withheld_now, 0);
}

/* What nobody can tell from the alerts, the gate must not pretend to know. */
static void what_shows_no_effect_is_not_enforced(void **state) {
    struct world *w = *state;
    struct toc_learn_plan p = PLAN;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_json_writer j;
    struct toc_err err = {0};
    struct toc_rng rng;
    uint32_t version;
    toc_rng_seed(&rng, 5);
    for (int i = 0; i < 60; i++)
        teach_one(w, toc_rng_below(&rng, 2), toc_rng_below(&rng, 2), "ada");
    toc_json_writer_init(&j, &out);
    if (toc_learn_preview(w->learn, &p, w->now, &j, &err) < 0)
        fail_msg("%s", err.message);
    assert_non_null(strstr(toc_buf_cstr(&out), "\"verdict\":\"not_shown\""));
    assert_non_null(strstr(toc_buf_cstr(&out), "no effect shown: "));
    assert_int_equal(toc_learn_apply(w->learn, &p, w->now, &version, &err), TOC_ECONFLICT);
    assert_non_null(strstr(err.message, "no effect shown: "));
    assert_int_equal(toc_learn_stats(w->learn).refused, 1);
    assert_true(pages(w, "a", "spike", SCORE, NULL));
    p.mode = TOC_LEARN_SHADOW;
    assert_int_equal(toc_learn_apply(w->learn, &p, w->now, &version, NULL), 0);
    toc_buf_fini(&out);
}

static void verdicts_of_one_kind_first_are_not_enforced(void **state) {
    struct world *w = *state;
    struct toc_err err = {0};
    uint32_t version;
    for (int i = 0; i < 60; i++)
        teach_one(w, i >= 30, i >= 30, "ada");
    assert_int_equal(toc_learn_apply(w->learn, &PLAN, w->now, &version, &err), TOC_ENODATA);
    assert_non_null(strstr(err.message, "not enough verdicts to foretell the effect"));
}

/* The looks of the only alert that is kept; the caller's. */
static float *looks_kept(const struct world *w, size_t count) {
    size_t bytes = count * TOC_ALERT_FEATURES * sizeof(float);
    const struct blob *kept = NULL;
    for (size_t i = 0; i < w->store.count; i++)
        if (strcmp(w->store.items[i].ns, "learn.alert") == 0)
            kept = &w->store.items[i];
    assert_true(kept && kept->n > bytes + 4);
    return toc_xmemdup(kept->value + kept->n - 4 - bytes, bytes); /* before the CRC */
}

/* Seen row by row, or for the first time when there are eight. */
static void a_late_look_adds_those_that_were_due(void **state) {
    struct world *w = *state;
    enum { LOOKS = 4 };
    for (g_rows_known = START + 1; g_rows_known <= START + 8; g_rows_known++)
        send(w, "a", "step", SCORE, NULL, false);
    float *in_time = looks_kept(w, LOOKS);
    send(w, "a", "step", SCORE, NULL, true);
    g_rows_known = START + 8;
    send(w, "a", "step", SCORE, NULL, false);
    float *late = looks_kept(w, LOOKS);
    g_rows_known = ROWS;
    assert_memory_equal(in_time, late, LOOKS * TOC_ALERT_FEATURES * sizeof(float));
    toc_free(in_time);
    toc_free(late);
}

static void hard_kinds_page_whatever_was_learnt(void **state) {
    struct world *w = *state;
    teach(w, 60, "ada", false);
    apply(w, TOC_LEARN_ENFORCE);
    enum toc_kind hard = TOC_KIND_COUNT;
    for (int k = 0; k < TOC_KIND_COUNT && hard == TOC_KIND_COUNT; k++)
        if (toc_kind_info((enum toc_kind)k)->is_hard)
            hard = (enum toc_kind)k;
    const struct toc_evidence e = {.expr = toc_sv_cstr(SCORE)};
    const struct toc_finding f = {.kind = hard, .evidence = &e, .evidence_count = 1};
    struct toc_label l[] = {{TOC_SV("detector"), TOC_SV("d")},
                            {TOC_SV("job"), TOC_SV("train")},
                            {TOC_SV("shape"), TOC_SV("spike")}};
    struct toc_alert a = {.labels = {l, 3}, .starts_at = w->now, .finding = &f};
    size_t before = w->passed;
    toc_learn_sink(w->learn)->put(toc_learn_sink(w->learn), &a, 1, w->now);
    assert_int_equal(w->passed, before + 1);
}

static void shadow_counts_and_withholds_nothing(void **state) {
    struct world *w = *state;
    teach(w, 60, "ada", false);
    apply(w, TOC_LEARN_SHADOW);
    assert_true(pages(w, "a", "spike", SCORE, NULL));
    assert_true(pages(w, "b", "step", SCORE, NULL));
    assert_int_equal(toc_learn_stats(w->learn).shadow_withheld, 1);
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_json_writer j;
    toc_json_writer_init(&j, &out);
    toc_learn_write_scopes(w->learn, &j);
    assert_non_null(strstr(toc_buf_cstr(&out), "\"judged\":2,\"judged_withheld\":1"));
    toc_buf_fini(&out);
    assert_int_equal(toc_learn_stats(w->learn).withheld, 0);
}

static void rolled_back_what_is_withheld_pages(void **state) {
    struct world *w = *state;
    teach(w, 60, "ada", false);
    apply(w, TOC_LEARN_SHADOW);
    apply(w, TOC_LEARN_ENFORCE);
    assert_false(pages(w, "a", "spike", SCORE, NULL));
    assert_int_equal(toc_learn_roll_back(w->learn, PLAN.scope, 9, NULL), TOC_ENOENT);
    assert_false(pages(w, "a", "spike", SCORE, NULL));
    assert_int_equal(toc_learn_roll_back(w->learn, PLAN.scope, 0, NULL), 0); /* to shadow */
    assert_true(pages(w, "a", "spike", SCORE, NULL));
    assert_int_equal(toc_learn_stats(w->learn).released, 1);
    assert_int_equal(toc_learn_roll_back(w->learn, PLAN.scope, 2, NULL), 0); /* forward again */
    assert_true(pages(w, "a", "spike", SCORE, NULL)); /* it has paged: it goes on */
    assert_false(pages(w, "a2", "spike", SCORE, NULL));
    assert_int_equal(toc_learn_roll_back(w->learn, PLAN.scope, 1, NULL), 0);
    assert_int_equal(toc_learn_roll_back(w->learn, PLAN.scope, 0, NULL), 0); /* off */
    assert_int_equal(toc_learn_roll_back(w->learn, PLAN.scope, 0, NULL), TOC_ENOENT);
}

static void a_restart_forgets_nothing(void **state) {
    struct world *w = *state;
    teach(w, 60, "ada", false);
    apply(w, TOC_LEARN_ENFORCE);
    assert_false(pages(w, "a", "spike", SCORE, NULL));
    toc_learn_free(&w->learn);
    open_learn(w);
    struct toc_learn_stats s = toc_learn_stats(w->learn);
    assert_int_equal(s.remembered, 61);
    assert_int_equal(s.withheld_now, 1);
    assert_int_equal(s.store_failures, 0);
    assert_false(pages(w, "a", "spike", SCORE, NULL));
    assert_int_equal(toc_learn_stats(w->learn).candidates, 0); /* the same alert, not a new one */
    assert_false(pages(w, "z", "spike", SCORE, NULL));
    assert_true(pages(w, "y", "step", SCORE, NULL));
}

static void damaged_records_are_left_out_and_counted(void **state) {
    struct world *w = *state;
    teach(w, 10, "ada", false);
    toc_learn_free(&w->learn);
    w->store.items[0].value[20] ^= 1;
    open_learn(w);
    assert_int_equal(toc_learn_stats(w->learn).remembered, 9);
    assert_int_equal(toc_learn_stats(w->learn).store_failures, 1);
}

static void what_cannot_be_kept_is_not_withheld(void **state) {
    struct world *w = *state;
    teach(w, 60, "ada", false);
    apply(w, TOC_LEARN_ENFORCE);
    w->store.fails = true;
    assert_true(pages(w, "a", "spike", SCORE, NULL));
    assert_int_equal(toc_learn_stats(w->learn).withheld, 0);
    assert_true(toc_learn_stats(w->learn).store_failures > 0);
}

static void sudden_contradiction_is_refused_and_named(void **state) {
    struct world *w = *state;
    struct toc_learn_plan p = PLAN;
    struct toc_err err = {0};
    uint32_t version;
    teach(w, 80, "ada", false);
    teach(w, 12, "mallory", true);
    assert_int_equal(toc_learn_apply(w->learn, &p, w->now, &version, &err), TOC_ECONFLICT);
    assert_non_null(
        strstr(err.message, "12 of the last 12 verdicts by mallory contradict what 80"));
    assert_int_equal(toc_learn_stats(w->learn).refused, 1);
    p.without = TOC_SV("mallory");
    assert_int_equal(toc_learn_apply(w->learn, &p, w->now, &version, NULL), 0);
    assert_int_equal(version, 1);
    p.without = TOC_SV_NULL;
    err = (struct toc_err){0};
    p.accepts_contradiction = true; /* trains, but what has just stopped holding is not enforced */
    assert_int_equal(toc_learn_apply(w->learn, &p, w->now, &version, &err), TOC_ECONFLICT);
    assert_non_null(strstr(err.message, "no effect shown"));
    p.mode = TOC_LEARN_SHADOW;
    assert_int_equal(toc_learn_apply(w->learn, &p, w->now, &version, NULL), 0);
    assert_int_equal(version, 2);
}

static void the_busiest_person_weighs_one_half(void **state) {
    struct world *w = *state;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_json_writer j;
    teach(w, 60, "ada", false);
    teach(w, 20, "bob", false);
    toc_json_writer_init(&j, &out);
    assert_int_equal(toc_learn_preview(w->learn, &PLAN, w->now, &j, NULL), 0);
    assert_non_null(
        strstr(toc_buf_cstr(&out), "60 of 80 verdicts are by ada: they weigh one half"));
    toc_buf_fini(&out);
}

static void a_verdict_can_be_given_on_what_was_withheld(void **state) {
    struct world *w = *state;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_json_writer j;
    teach(w, 60, "ada", false);
    apply(w, TOC_LEARN_ENFORCE);
    assert_false(pages(w, "a", "spike", SCORE, NULL));
    assert_int_equal(
        toc_learn_verdict_alert(w->learn, 61, TOC_VERDICT_TRUE, TOC_SV("bob"), w->now, NULL), 0);
    assert_int_equal(
        toc_learn_verdict_alert(w->learn, 999, TOC_VERDICT_TRUE, TOC_SV("bob"), w->now, NULL),
        TOC_ENOENT);
    assert_int_equal(
        toc_learn_verdict_alert(w->learn, 61, TOC_VERDICT_DUPLICATE, TOC_SV("bob"), w->now, NULL),
        TOC_EINVAL);
    toc_json_writer_init(&j, &out);
    toc_learn_write_alerts(w->learn, true, 10, &j);
    assert_non_null(strstr(toc_buf_cstr(&out), "\"id\":61,"));
    assert_non_null(strstr(toc_buf_cstr(&out), "\"verdict\":\"true\",\"actor\":\"bob\""));
    assert_null(strstr(toc_buf_cstr(&out), "\"id\":60,"));
    toc_buf_fini(&out);
}

static void intervals_as_wilson_says(void **state) {
    double lower, upper;
    (void)state;
    toc_wilson_interval(3, 10, &lower, &upper); /* statsmodels: 0.107791, 0.603219 */
    assert_true(fabs(lower - 0.107791) < 1e-5 && fabs(upper - 0.603219) < 1e-5);
    toc_wilson_interval(0, 0, &lower, &upper);
    assert_true(lower == 0 && upper == 1);
}

static void the_first_cause_that_fits_is_told(void **state) {
    float look[TOC_ALERT_FEATURES];
    (void)state;
    for (size_t i = 0; i < TOC_ALERT_FEATURES; i++)
        look[i] = NAN;
    look[TOC_ALERT_FEATURE_AGE] = 9;
    look[TOC_ALERT_FEATURE_LEVELS] = 1;
    look[TOC_ALERT_FEATURE_PEAK] = 2;
    assert_int_equal(toc_false_alarm_cause(look), TOC_CAUSE_MODEL);
    look[TOC_ALERT_FEATURE_PEAK] = 0.1f;
    assert_int_equal(toc_false_alarm_cause(look), TOC_CAUSE_THRESHOLD);
    look[TOC_ALERT_FEATURE_WEEK] = -2;
    assert_int_equal(toc_false_alarm_cause(look), TOC_CAUSE_SEASONALITY);
    look[TOC_ALERT_FEATURE_LEVELS] = 0;
    assert_int_equal(toc_false_alarm_cause(look), TOC_CAUSE_DATA_QUALITY);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(nothing_is_withheld_before_it_is_applied),
        T(only_what_detectors_alone_said_is_withheld),
        T(what_shows_no_effect_is_not_enforced),
        T(verdicts_of_one_kind_first_are_not_enforced),
        T(a_late_look_adds_those_that_were_due),
        T(hard_kinds_page_whatever_was_learnt),
        T(shadow_counts_and_withholds_nothing),
        T(rolled_back_what_is_withheld_pages),
        T(a_restart_forgets_nothing),
        T(damaged_records_are_left_out_and_counted),
        T(what_cannot_be_kept_is_not_withheld),
        T(sudden_contradiction_is_refused_and_named),
        T(the_busiest_person_weighs_one_half),
        T(intervals_as_wilson_says),
        T(the_first_cause_that_fits_is_told),
        T(a_verdict_can_be_given_on_what_was_withheld),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
