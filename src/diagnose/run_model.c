#include "diagnose/doctor_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/sample.h"

void toc_recent_add(struct toc_recent *r, int64_t t_ms, double value) {
    if (t_ms <= r->last_t_ms)
        return;
    r->last_t_ms = t_ms;
    struct toc_sample_at *place = &r->items[(r->start + r->count) % TOC_RECENT];
    if (r->count < TOC_RECENT) {
        r->count++;
    } else {
        r->start = (r->start + 1) % TOC_RECENT;
        r->nonfinite -= !isfinite(place->value);
    }
    r->nonfinite += !isfinite(value);
    *place = (struct toc_sample_at){t_ms, value};
}

const struct toc_sample_at *toc_recent_at(const struct toc_recent *r, size_t i) {
    return i < r->count ? &r->items[(r->start + r->count - 1 - i) % TOC_RECENT] : NULL;
}

double toc_recent_value_at(const struct toc_recent *r, int64_t t_ms) {
    const struct toc_sample_at *s;
    for (size_t i = 0; (s = toc_recent_at(r, i)); i++)
        if (s->t_ms <= t_ms)
            return s->value;
    return NAN;
}

static void layer_fini(struct toc_layer_model *l) {
    for (size_t i = 0; i < STAT_COUNT; i++)
        toc_free(l->stats[i]);
    for (size_t i = 0; i < TOC_LAYER_QUANTILES; i++)
        toc_free(l->quantiles[i]);
    toc_free(l->norm);
    toc_free((void *)(uintptr_t)l->name.p);
}

void toc_run_model_free(struct toc_run_model *m) {
    for (int i = 0; i < CASE_COUNT; i++)
        toc_case_fini(&m->cases[i]);
    for (size_t i = 0; i < m->layers.count; i++)
        layer_fini(&m->layers.items[i]);
    toc_learn_fini(&m->learn);
    TOC_VEC_FINI(&m->layers);
    toc_ranks_fini(&m->ranks);
    toc_map_fini(&m->layer_index);
    toc_free((void *)(uintptr_t)m->name.p);
    toc_free(m);
}

static void evict_quietest(struct toc_doctor *d) {
    size_t pick = SIZE_MAX;
    for (size_t i = 0; i < d->runs.count; i++) {
        const struct toc_run_model *m = d->runs.items[i];
        bool is_open = false;
        for (int c = 0; c < CASE_COUNT; c++)
            is_open |= m->cases[c].is_open;
        if (!is_open && (pick == SIZE_MAX || m->last_seen_ms < d->runs.items[pick]->last_seen_ms))
            pick = i;
    }
    if (pick == SIZE_MAX)
        return;
    toc_map_remove(&d->run_by_name, d->runs.items[pick]->name);
    toc_run_model_free(d->runs.items[pick]);
    TOC_VEC_REMOVE(&d->runs, pick);
}

struct toc_run_model *toc_doctor_run(struct toc_doctor *d, struct toc_sv name) {
    struct toc_run_model *m = toc_map_get(&d->run_by_name, name);
    if (m || !name.n)
        return m;
    if (d->runs.count >= TOC_DOCTOR_RUNS_MAX)
        evict_quietest(d);
    if (d->runs.count >= TOC_DOCTOR_RUNS_MAX)
        return NULL;
    m = TOC_NEW(struct toc_run_model);
    m->name = toc_sv_make(toc_sv_dup_cstr(name), name.n);
    m->state = m->tells_state = NAN;
    toc_learn_init(&m->learn);
    m->memory_now = m->memory_limit = m->restarts = m->error_step = NAN;
    toc_map_put(&d->run_by_name, name, m);
    TOC_VEC_PUSH(&d->runs, m);
    return m;
}

struct toc_layer_model *toc_run_model_layer(struct toc_run_model *m, struct toc_sv name) {
    uintptr_t place = (uintptr_t)toc_map_get(&m->layer_index, name);
    if (place)
        return &m->layers.items[place - 1];
    if (!name.n || m->layers.count >= TOC_DOCTOR_LAYERS_MAX)
        return NULL;
    TOC_VEC_PUSH(&m->layers, ((struct toc_layer_model){
                                 .name = toc_sv_make(toc_sv_dup_cstr(name), name.n),
                                 .order = SIZE_MAX,
                                 .grad = NAN,
                             }));
    toc_map_put(&m->layer_index, name, (void *)(uintptr_t)m->layers.count);
    return &m->layers.items[m->layers.count - 1];
}

/* Names with numbers in natural order ("blocks.2" before "blocks.10"): the best guess until the
 * run tells. */
static int natural_cmp(struct toc_sv a, struct toc_sv b) {
    size_t i = 0, j = 0;
    while (i < a.n && j < b.n) {
        if (a.p[i] >= '0' && a.p[i] <= '9' && b.p[j] >= '0' && b.p[j] <= '9') {
            uint64_t x = 0, y = 0;
            for (; i < a.n && a.p[i] >= '0' && a.p[i] <= '9'; i++)
                x = x * 10 + (uint64_t)(a.p[i] - '0');
            for (; j < b.n && b.p[j] >= '0' && b.p[j] <= '9'; j++)
                y = y * 10 + (uint64_t)(b.p[j] - '0');
            if (x != y)
                return x < y ? -1 : 1;
            continue;
        }
        if (a.p[i] != b.p[j])
            return (unsigned char)a.p[i] < (unsigned char)b.p[j] ? -1 : 1;
        i++, j++;
    }
    return (i < a.n) - (j < b.n);
}

static int by_order(const void *pa, const void *pb, void *ctx) {
    const struct toc_run_model *m = ctx;
    const struct toc_layer_model *a = &m->layers.items[*(const size_t *)pa];
    const struct toc_layer_model *b = &m->layers.items[*(const size_t *)pb];
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return natural_cmp(a->name, b->name);
}

size_t toc_run_model_layer_order(const struct toc_run_model *m, size_t *out, size_t max) {
    size_t n = TOC_MIN(m->layers.count, max);
    for (size_t i = 0; i < n; i++)
        out[i] = i;
    qsort_r(out, n, sizeof *out, by_order, (void *)(uintptr_t)m);
    return n;
}

static void note_nonfinite(struct toc_run_model *m, int64_t t_ms) {
    if (!m->nonfinite_t_ms || t_ms > m->nonfinite_t_ms)
        m->nonfinite_t_ms = t_ms;
    if (!m->nonfinite_first_ms || t_ms < m->nonfinite_first_ms)
        m->nonfinite_first_ms = t_ms;
}

static void take_loss(struct toc_run_model *m, int64_t t_ms, double v) {
    const struct toc_sample_at *before = toc_recent_at(&m->losses, 0);
    if (before && t_ms > before->t_ms) {
        int64_t gap = t_ms - before->t_ms;
        m->loss_gaps++;
        if (gap > m->loss_gap_ms)
            m->loss_gap_ms = gap;
    }
    toc_recent_add(&m->losses, t_ms, v);
    if (isfinite(v))
        toc_bins_add(&m->loss, t_ms, v);
    else
        note_nonfinite(m, t_ms);
}

static void take_grad(struct toc_run_model *m, int64_t t_ms, double v) {
    toc_recent_add(&m->grads, t_ms, v);
    m->bad_grads_in_row = isfinite(v) ? 0 : m->bad_grads_in_row + 1;
    if (isfinite(v))
        toc_bins_add(&m->grad, t_ms, v);
}

/* How much training does this look bring? What was there before the first one is the past and tells
 * little of the writer. */
static void note_arrival(struct toc_run_model *m, int64_t t_ms, int64_t now_ms) {
    static const double first_s = 150; /* writers of TensorBoard flush after 120 s */
    if (m->arrival_ms != now_ms) {
        m->arrival_ms = now_ms;
        m->arrival_from_ms = m->progress_t_ms ? m->progress_t_ms : t_ms;
        m->held_back_s[m->arrivals++ % TOC_ARRIVALS] = 0;
    }
    double held_s = (double)(t_ms - m->arrival_from_ms) / 1000;
    if (m->arrivals == 1)
        held_s = TOC_MIN(held_s, first_s);
    m->held_back_s[(m->arrivals - 1) % TOC_ARRIVALS] = held_s;
}

static void take_progress(struct toc_run_model *m, int64_t t_ms, double steps, int64_t now_ms) {
    note_arrival(m, t_ms, now_ms);
    if (m->progress_t_ms && t_ms > m->progress_t_ms && steps > 0) {
        double interval = (double)(t_ms - m->progress_t_ms) / 1000;
        m->intervals[m->interval_count++ % TOC_RECENT] = interval;
        if (toc_run_is_running(m))
            toc_bins_add(&m->derived_step_seconds, t_ms, interval / steps);
    }
    m->progress_t_ms = t_ms;
    m->progress_seen_ms = now_ms;
    m->blind_ms = 0;
}

static void take_step(struct toc_run_model *m, int64_t t_ms, double v, int64_t now_ms) {
    const struct toc_sample_at *before = toc_recent_at(&m->steps, 0);
    bool is_first = !before;
    double steps = is_first ? 0 : v - before->value;
    if (steps <
        0) { /* back to a checkpoint: what came after it is not the past of what comes now */
        toc_bins_drop_before(&m->loss, t_ms);
        toc_bins_drop_before(&m->grad, t_ms);
    }
    toc_recent_add(&m->steps, t_ms, v);
    if (is_first || steps != 0)
        take_progress(m, t_ms, steps, now_ms);
}

static void take_state(struct toc_run_model *m, int64_t t_ms, double v, int64_t now_ms) {
    if (t_ms < m->state_t_ms)
        return;
    bool is_changed = m->state != v;
    bool was_running = toc_run_is_running(m);
    m->state_t_ms = t_ms;
    m->state = v;
    if (!is_changed)
        return;
    m->state_changed_ms = now_ms;
    m->ended_seen_ms = toc_run_is_over(m) ? now_ms : 0;
    if (toc_run_is_running(m) && !was_running) { /* a pause is neither progress nor its absence */
        m->resumed_t_ms = t_ms;
        m->progress_seen_ms = now_ms;
        m->progress_t_ms = 0;
        m->blind_ms = 0;
    }
}

static void take_memory(struct toc_run_model *m, int64_t t_ms, double v) {
    if (!isfinite(v))
        return;
    m->memory_now = v;
    if (!m->memory_first_ms)
        m->memory_first_ms = t_ms;
    toc_bins_add(&m->memory, t_ms, v / 1024); /* bins hold floats: KiB keep the precision */
}

static void take_restarts(struct toc_run_model *m, int64_t t_ms, double v) {
    if (t_ms <= m->restarts_t_ms)
        return;
    m->restarts_t_ms = t_ms;
    if (isfinite(m->restarts) && v > m->restarts)
        for (double k = m->restarts; k < v && k < m->restarts + 64; k++)
            m->restart_times[m->restart_count++ % 64] = t_ms;
    m->restarts = v;
}

static void take_rate(struct toc_run_model *m, int64_t t_ms, double v) {
    toc_recent_add(&m->rates, t_ms, v);
    if (isfinite(v) && v > 0)
        toc_bins_add(&m->rate, t_ms, v);
}

/* Slow mean of the logarithm: a usual level that a few odd values do not move. */
static void learn_usual(struct toc_layer_model *l, double v) {
    enum { LEARN = 10 };
    static const double low = 0.03; /* a gradient this far below the usual is not learned from */
    if (!(v > 0) || (l->seen >= LEARN && log(v) < l->usual_log + log(low)))
        return;
    double alpha = l->seen < LEARN ? 1.0 / (l->seen + 1) : 0.05;
    l->usual_log += alpha * (log(v) - l->usual_log);
    l->seen++;
}

static void take_layer(struct toc_run_model *m, struct toc_sv name, bool is_ratio,
                       bool is_activation, int64_t t_ms, double v) {
    enum { GOOD_AGAIN_MS = 5000 };
    struct toc_layer_model *l = toc_run_model_layer(m, name);
    int64_t *last = !l              ? NULL
                    : is_activation ? &l->activation_t_ms
                    : is_ratio      ? &l->ratio_t_ms
                                    : &l->last_t_ms;
    if (!l || t_ms <= *last)
        return;
    *last = t_ms;
    bool is_bad = !isfinite(v) || (is_ratio && v > 0);
    if (!is_ratio)
        l->grad = v;
    if (is_bad) {
        l->bad_since_ms = l->bad_since_ms ? TOC_MIN(l->bad_since_ms, t_ms) : t_ms;
        if (is_activation && !l->bad_activation_ms)
            l->bad_activation_ms = t_ms;
        l->nonfinite_t_ms = TOC_MAX(l->nonfinite_t_ms, t_ms);
        /* One look may bring later activations before earlier numbers of the weights. */
        if (is_ratio && (!l->share_bad_since_ms || t_ms < l->share_bad_since_ms))
            l->share_bad_since_ms = t_ms, l->first_bad_share = 0;
        if (is_ratio && !is_activation && l->share_bad_since_ms == t_ms)
            l->first_bad_share = v;
    } else if (t_ms > l->nonfinite_t_ms + GOOD_AGAIN_MS) {
        l->bad_since_ms = l->bad_activation_ms = l->share_bad_since_ms = 0;
    }
    if (!is_bad && !is_ratio)
        learn_usual(l, v);
}

/* X(metric, how a sample of it is taken); m, t, v and now are in scope. */
#define RUN_METRICS(X)                                                                     \
    X("train_step", take_step(m, t, v, now))                                               \
    X("train_loss", take_loss(m, t, v))                                                    \
    X("train_grad_norm", take_grad(m, t, v))                                               \
    X("train_learning_rate", take_rate(m, t, v))                                           \
    X("train_step_seconds", (isfinite(v) && v > 0 && toc_run_is_running(m))                \
                                ? toc_bins_add(&m->step_seconds, t, v)                     \
                                : (void)0)                                                 \
    X("train_cpu_wait_ratio",                                                              \
      (isfinite(v) && toc_run_is_running(m)) ? toc_bins_add(&m->cpu_wait, t, v) : (void)0) \
    X("train_memory_bytes", take_memory(m, t, v))                                          \
    X("train_memory_limit_bytes", (void)(m->memory_limit = v))                             \
    X("train_run_state", take_state(m, t, v, now))                                         \
    X("train_run_tells_state", (void)(m->tells_state = v))                                 \
    X("train_restarts_total", take_restarts(m, t, v))

/* Place of a metric in the table; -1 when it is not there. */
static int metric_index(struct toc_sv metric) {
    static const struct toc_sv names[] = {
#define X(name, statement) {name, sizeof name - 1},
        RUN_METRICS(X)
#undef X
    };
    _Static_assert(TOC_ARRAY_LEN(names) <= TOC_RUN_METRICS_MAX, "room for each metric's time");
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++)
        if (toc_sv_eq(metric, names[i]))
            return (int)i;
    return -1;
}

static void take(struct toc_run_model *m, int index, int64_t t, double v, int64_t now) {
    int i = 0;
    if (t <= m->metric_t_ms[index])
        return;
    m->metric_t_ms[index] = t;
#define X(name, statement) \
    if (i++ == index) {    \
        statement;         \
        return;            \
    }
    RUN_METRICS(X)
#undef X
}

struct reading {
    struct toc_doctor *d;
    struct toc_run_model *m;
    int64_t newest_ms;
    bool is_state_pass; /* first the state, which the rest depends on */
};

/* The recipe says which earlier runs this one is compared with. */
static void take_info(struct toc_run_model *m, struct toc_sv metric, struct toc_labels labels) {
    struct toc_envelope *e = &m->learn.envelope;
    if (!toc_sv_eq_cstr(metric, "train_run_info"))
        return;
    struct toc_sv recipe = toc_labels_get(labels, TOC_SV("recipe"));
    if (!recipe.n || toc_sv_eq_cstr(recipe, e->recipe))
        return;
    toc_envelope_fini(e);
    if (recipe.n < sizeof e->recipe)
        toc_sv_copy(recipe, e->recipe, sizeof e->recipe);
}

static int64_t newest_of(const struct toc_series_view *s) {
    for (size_t i = s->count; i-- > 0;)
        if (!toc_is_stale_nan(s->values[i]))
            return s->t_ms[i];
    return INT64_MIN;
}

static void take_layer_samples(struct toc_run_model *m, struct toc_sv metric, struct toc_sv layer,
                               const struct toc_series_view *s) {
    bool is_activation = toc_sv_eq_cstr(metric, "train_layer_nonfinite_activation_ratio");
    bool is_ratio = is_activation || toc_sv_eq_cstr(metric, "train_layer_nonfinite_ratio");
    bool is_layer = is_ratio || toc_sv_eq_cstr(metric, "train_layer_grad_norm");
    for (size_t i = 0; is_layer && i < s->count; i++)
        if (!toc_is_stale_nan(s->values[i]))
            take_layer(m, layer, is_ratio, is_activation, s->t_ms[i], s->values[i]);
}

static void take_samples(struct toc_run_model *m, int index, const struct toc_series_view *s,
                         int64_t now_ms) {
    for (size_t i = 0; index >= 0 && i < s->count; i++)
        if (!toc_is_stale_nan(s->values[i]))
            take(m, index, s->t_ms[i], s->values[i], now_ms);
}

static int on_series(void *ctx, const struct toc_series_view *s) {
    struct reading *r = ctx;
    struct toc_sv metric = toc_labels_get(s->labels, TOC_METRIC_NAME);
    if (r->is_state_pass) {
        toc_learn_index(&r->m->learn, metric, s);
        toc_coverage_note(r->m, metric);
        take_info(r->m, metric, s->labels);
    }
    if (toc_sv_eq_cstr(metric, "train_run_state") != r->is_state_pass)
        return 0;
    struct toc_sv layer = toc_labels_get(s->labels, TOC_SV("layer"));
    toc_learn_take(r->d, r->m, metric, layer, s);
    r->newest_ms = TOC_MAX(r->newest_ms, newest_of(s));
    if (layer.n)
        take_layer_samples(r->m, metric, layer, s);
    else
        take_samples(r->m, metric_index(metric), s, r->d->now_ms);
    return 0;
}

static void settle_bins(struct toc_run_model *m) {
    struct toc_bins *all[] = {
        &m->loss,   &m->grad,    &m->rate, &m->step_seconds, &m->derived_step_seconds,
        &m->memory, &m->cpu_wait};
    for (size_t i = 0; i < TOC_ARRAY_LEN(all); i++)
        toc_bins_settle(all[i], m->last_t_ms);
}

static int read_run(struct toc_doctor *d, struct toc_run_model *m, struct toc_err *err) {
    enum { OVERLAP_MS = 3000 };
    bool is_first = m->last_t_ms == 0;
    char speaker[24];
    struct toc_matcher matchers[] = {d->run_metrics,
                                     {.op = TOC_MATCH_EQ, .name = TOC_SV("run"), .value = m->name},
                                     {.op = TOC_MATCH_EQ,
                                      .name = TOC_SV("rank"),
                                      .value = toc_ranks_speaker(&m->ranks, speaker)}};
    struct reading r = {.d = d, .m = m, .newest_ms = m->last_t_ms, .is_state_pass = true};
    struct toc_select select = {
        .matchers = matchers,
        .matcher_count = TOC_ARRAY_LEN(matchers),
        /* A batch may become visible series by series: look a little further back than the
         * newest. */
        .min_ms = is_first ? d->now_ms - TOC_BACKFILL_MS : m->last_t_ms - OVERLAP_MS,
        .max_ms = d->now_ms + 3600 * 1000, /* a sender's clock may be ahead */
    };
    int rc = d->o.querier->select(d->o.querier, &select, on_series, &r, err);
    r.is_state_pass = false;
    if (!rc)
        rc = d->o.querier->select(d->o.querier, &select, on_series, &r, err);
    if (rc)
        return rc;
    if (r.newest_ms > m->last_t_ms) {
        m->last_t_ms = r.newest_ms;
        m->last_seen_ms = d->now_ms;
        /* A story that was over before we looked is history, not news. */
        m->is_dormant = is_first && d->now_ms - r.newest_ms > 5 * 60 * 1000;
    }
    toc_learn_settle(&m->learn);
    settle_bins(m);
    if (toc_map_has(&m->learn.seen, TOC_SV("train_param_checksum")) ||
        toc_map_has(&m->learn.seen, TOC_SV("train_layer_param_checksum")))
        rc = toc_replica_read(d, m, err);
    return rc ? rc : toc_envelope_learn(d, m, err);
}

static int on_run_name(void *ctx, struct toc_sv value) {
    (void)toc_doctor_run(ctx, value);
    return 0;
}

/* Names of runs that have spoken lately. */
static int discover(struct toc_doctor *d, struct toc_err *err) {
    enum { EVERY_MS = 2000 };
    if (d->discovered_ms && d->now_ms - d->discovered_ms < EVERY_MS)
        return 0;
    struct toc_select select = {
        .matchers = &d->run_metrics,
        .matcher_count = 1,
        .min_ms = d->now_ms - TOC_BACKFILL_MS,
        .max_ms = d->now_ms + 3600 * 1000,
        .labels_only = true,
    };
    int rc = d->o.querier->label_values(d->o.querier, TOC_SV("run"), &select, on_run_name, d, err);
    if (!rc)
        d->discovered_ms = d->now_ms;
    return rc;
}

/* Runs share the room for ranks. */
static int read_ranks(struct toc_doctor *d, struct toc_run_model *m, struct toc_err *err) {
    size_t others = 0;
    for (size_t i = 0; i < d->runs.count; i++)
        others += d->runs.items[i] == m ? 0 : d->runs.items[i]->ranks.items.count;
    size_t room = others < TOC_DOCTOR_RANKS_MAX ? TOC_DOCTOR_RANKS_MAX - others : 1;
    m->ranks.limit = TOC_MIN(room, (size_t)TOC_RANKS_MAX);
    return toc_ranks_read(&m->ranks, d->o.querier, &d->rank_metrics, m->name, d->now_ms, err);
}

int toc_doctor_read_runs(struct toc_doctor *d, struct toc_err *err) {
    enum { IDLE_MS = 10 * 60 * 1000, IDLE_EVERY_MS = 10000 };
    int rc = discover(d, err);
    for (size_t i = 0; !rc && i < d->runs.count; i++) {
        struct toc_run_model *m = d->runs.items[i];
        bool is_idle = m->last_seen_ms && d->now_ms - m->last_seen_ms > IDLE_MS;
        if (is_idle && d->now_ms / IDLE_EVERY_MS == d->last_tick_ms / IDLE_EVERY_MS)
            continue;
        rc = read_ranks(d, m, err); /* first: they tell who speaks for the run */
        if (!rc)
            rc = read_run(d, m, err);
    }
    return rc;
}

static bool has_word(struct toc_sv text, const char *word) {
    return text.n && memmem(text.p, text.n, word, strlen(word)) != NULL;
}

bool toc_says_out_of_memory(struct toc_sv text) {
    static const char *const phrases[] = {
        "out of memory",
        "outofmemory",
        "cannot allocate memory",
        "bad_alloc",
        "memoryerror",
        "resource_exhausted",
        "oom-kill",
        "oom killer",
        "failed to allocate",
        "hbm oom",
        "memory limit",
        "malloc failed",
        "can't allocate memory",
        "unable to allocate",
        "not enough memory",
    };
    char lower[1024];
    size_t n = TOC_MIN(text.n, sizeof lower);
    for (size_t i = 0; i < n; i++)
        lower[i] = (char)(text.p[i] >= 'A' && text.p[i] <= 'Z' ? text.p[i] + 32 : text.p[i]);
    for (size_t i = 0; i < TOC_ARRAY_LEN(phrases); i++)
        if (has_word(toc_sv_make(lower, n), phrases[i]))
            return true;
    return has_word(text, "OOM");
}

/* When one process dies the others soon follow: who was killed tells more than who was told to
 * stop or gave up when its peer was gone. */
static int weight_of_exit(const char *text, bool is_oom) {
    static const char *const told[] = {"SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"};
    if (is_oom)
        return 4;
    for (size_t i = 0; i < TOC_ARRAY_LEN(told); i++)
        if (strstr(text, told[i]))
            return 1;
    return strstr(text, "signal") ? 3 : strstr(text, "exit code") ? 2 : 1;
}

static void note_exit(struct toc_run_model *m, const struct toc_doctor_event *e, int64_t now_ms) {
    enum { TOGETHER_MS = 10000 };
    if (e->state == TOC_RUN_FINISHED)
        return;
    toc_ranks_note_exit(&m->ranks, e->rank, now_ms);
    bool is_first = !m->exit_seen_ms;
    if (!is_first &&
        (now_ms - m->exit_seen_ms > TOGETHER_MS ||
         weight_of_exit(e->text, e->is_oom) <= weight_of_exit(m->exit_text, m->is_exit_oom)))
        return;
    m->exit_seen_ms = is_first ? now_ms : m->exit_seen_ms;
    m->exit_rank = e->rank;
    m->is_exit_oom = e->is_oom;
    snprintf(m->exit_text, sizeof m->exit_text, "%s", e->text);
}

/* What a scheduler says of the run's job. A word about an earlier life explains a restart, and ends
 * nothing; one about a job that ended well or goes on explains nothing. */
static void note_job(struct toc_run_model *m, const struct toc_doctor_event *e, int64_t now_ms) {
    enum { NEXT_LIFE_MS = 5000 };
    enum toc_job_state state = toc_job_state_of_message(toc_sv_cstr(e->text));
    if (!toc_job_state_is_bad(state))
        return;
    m->job_seen_ms = now_ms;
    m->job_rank = e->rank;
    m->job_state = state;
    m->is_job_past = e->t_ms + NEXT_LIFE_MS < m->last_t_ms;
    m->is_job_end = state != TOC_JOB_VANISHED && !m->is_job_past;
    snprintf(m->job_text, sizeof m->job_text, "%s", e->text);
    if (m->is_job_end)
        toc_ranks_note_exit(&m->ranks, e->rank, now_ms);
}

void toc_run_model_event(struct toc_run_model *m, const struct toc_doctor_event *e,
                         int64_t now_ms) {
    for (size_t i = 0; i < e->layers.count; i++) {
        struct toc_layer_model *l = toc_run_model_layer(m, e->layers.items[i]);
        if (l)
            l->order = i;
    }
    if (e->kind == TOC_RUN_EVENT_ERROR) {
        m->error_seen_ms = now_ms;
        m->error_step = e->has_step ? (double)e->step : NAN;
        snprintf(m->error_text, sizeof m->error_text, "%s", e->text);
        m->is_error_oom = e->is_oom;
    } else if (e->kind == TOC_RUN_EVENT_EXIT) {
        note_exit(m, e, now_ms);
    } else if (e->kind == TOC_RUN_EVENT_JOB) {
        note_job(m, e, now_ms);
    } else if (e->kind == TOC_RUN_EVENT_START || e->kind == TOC_RUN_EVENT_RESTART) {
        m->error_seen_ms = m->exit_seen_ms = 0;
        m->is_error_oom = m->is_exit_oom = m->is_job_end = false;
        m->is_job_past = true;
    }
}
