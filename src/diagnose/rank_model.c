#include "diagnose/rank_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/num.h"
#include "diagnose/history_priv.h"
#include "model/sample.h"

enum { RANK_STEP, RANK_PHASE, RANK_FIRST_PASS }; /* rows of RANK_METRICS that are read first */

enum {
    BACK_MS = 15 * 60 * 1000,   /* first look at a run */
    OVERLAP_MS = 10 * 1000,     /* senders hand over in batches */
    LIST_EVERY_MS = 15 * 1000,  /* ranks whose clock is far behind are found by name */
    SPEAKS_MS = 60 * 60 * 1000, /* whose clock matters for what is read */
};

const char *toc_phase_text(enum toc_phase p) {
    static const char *const texts[] = {"training", "evaluation", "checkpoint", "pause", "pause"};
    return p < TOC_PHASE_COUNT ? texts[p] : "?";
}

void toc_ranks_fini(struct toc_ranks *rs) {
    TOC_VEC_FINI(&rs->items);
    toc_map_fini(&rs->index);
}

struct toc_rank *toc_ranks_find(const struct toc_ranks *rs, int64_t rank) {
    uint64_t key = (uint64_t)rank;
    uintptr_t place = (uintptr_t)toc_map_get(&rs->index, toc_map_u64(&key));
    return place ? &rs->items.items[place - 1] : NULL;
}

static struct toc_rank *get(struct toc_ranks *rs, int64_t rank) {
    struct toc_rank *k = toc_ranks_find(rs, rank);
    uint64_t key = (uint64_t)rank;
    if (k)
        return k;
    if (rank < 0 || rs->items.count >= (rs->limit ? rs->limit : TOC_RANKS_MAX)) {
        rs->refused++;
        return NULL;
    }
    TOC_VEC_PUSH(&rs->items, ((struct toc_rank){.rank = rank,
                                                .skew_ms = INT64_MAX,
                                                .skew_next_ms = INT64_MAX,
                                                .state = NAN,
                                                .step = NAN,
                                                .stride = 1,
                                                .collectives = NAN,
                                                .collectives_at = NAN,
                                                .step_seconds = NAN,
                                                .collective_seconds = NAN,
                                                .data_seconds = NAN}));
    toc_map_put(&rs->index, toc_map_u64(&key), (void *)(uintptr_t)rs->items.count);
    return &rs->items.items[rs->items.count - 1];
}

bool toc_rank_is_active(const struct toc_rank *k, int64_t since_ms) {
    return k->last_t_ms && k->seen_ms >= since_ms && !(k->state < 0.5) && !k->gone_ms;
}

static void ring_add(struct toc_rank_ring *r, double v) {
    if (isfinite(v) && v >= 0)
        r->v[r->count++ % TOC_RANK_RING] = (float)v;
}

double toc_rank_ring_median(const struct toc_rank_ring *r, size_t newest) {
    double v[TOC_RANK_RING];
    size_t n = r->count < TOC_RANK_RING ? r->count : TOC_RANK_RING;
    n = n < newest ? n : newest;
    for (size_t i = 0; i < n; i++)
        v[i] = (double)r->v[(r->count - 1 - i) % TOC_RANK_RING];
    return toc_history_median(v, n);
}

/* --------------------------------------------------------------------------- taking samples */

/* What a sample needs to be taken: its own time, and ours. */
struct taking {
    struct toc_ranks *rs;
    struct toc_rank *k;
    int64_t t_ms, at_ms;
};

static void leave_phase(const struct taking *x) {
    struct toc_rank *k = x->k;
    struct toc_phase_lengths *l = &x->rs->lengths[k->phase];
    l->max_s = TOC_MAX(l->max_s, (double)(x->at_ms - k->phase_since_ms) / 1000);
    l->count += k->phase_since_ms >= l->left_ms;
    l->left_ms = TOC_MAX(l->left_ms, x->at_ms);
    k->left_phase = k->phase;
    k->left_ms = x->at_ms;
    x->rs->progress_ms = TOC_MAX(x->rs->progress_ms, x->at_ms);
}

static void set_phase(const struct taking *x, enum toc_phase p) {
    if (x->k->phase == p)
        return;
    if (x->k->phase != TOC_PHASE_NONE)
        leave_phase(x);
    x->k->phase = p;
    x->k->phase_since_ms = x->at_ms;
}

static void take_phase(const struct taking *x, double v) {
    set_phase(x, v > 0.5 && v < 3.5 ? (enum toc_phase)(int)(v + 0.5) : TOC_PHASE_NONE);
}

/* For runs whose series come from elsewhere and know no phases, the state must do. */
static void take_state(const struct taking *x, double v) {
    struct toc_rank *k = x->k;
    k->state = v;
    if (v < 2.5)
        k->gone_ms = 0;
    if (!k->metric_t_ms[RANK_PHASE])
        set_phase(x, v > 1.5 && v < 2.5 ? TOC_PHASE_UNNAMED : TOC_PHASE_NONE);
}

static void take_step(const struct taking *x, double v) {
    struct toc_rank *k = x->k;
    k->step_told_ms = x->at_ms;
    if (k->step == v)
        return;
    if (isfinite(k->step) && v > k->step) {
        k->advances++;
        k->stride += 0.1 * (v - k->step - k->stride);
    }
    k->step = v;
    k->step_t_ms = x->t_ms;
    k->step_seen_ms = x->at_ms;
    x->rs->progress_ms = TOC_MAX(x->rs->progress_ms, x->at_ms);
}

static void take_collectives(const struct taking *x, double v) {
    struct toc_rank *k = x->k;
    k->collectives_told_ms = x->at_ms;
    if (k->collectives != v)
        k->collectives_moved_ms = x->at_ms;
    k->collectives = v;
    if (x->t_ms == k->step_t_ms) /* of the line that told the step */
        k->collectives_at = v;
}

static void settle_own(struct toc_rank *k) {
    double wait = isfinite(k->collective_seconds) ? k->collective_seconds : 0;
    if (isfinite(k->step_seconds))
        ring_add(&k->own, TOC_MAX(k->step_seconds - wait, 0));
    k->step_seconds = k->collective_seconds = NAN;
}

/* Step and wait of one line have one time: a new time ends the pair before. */
static void take_seconds(const struct taking *x, double *part, double v) {
    if (x->k->own_t_ms != x->t_ms)
        settle_own(x->k);
    x->k->own_t_ms = x->t_ms;
    *part = v;
}

static void take_step_seconds(const struct taking *x, double v) {
    take_seconds(x, &x->k->step_seconds, v);
    ring_add(&x->k->steps, v);
}

static void take_data_seconds(const struct taking *x, double v) {
    x->k->data_seconds = v;
    x->k->data_told_ms = x->at_ms;
    ring_add(&x->k->data, v);
}

/* X(metric, how a sample of it is taken); x and v are in scope. What the others refer to comes
 * first. */
#define RANK_METRICS(X)                                                          \
    X("train_step", take_step(x, v))                                             \
    X("train_run_phase", take_phase(x, v))                                       \
    X("train_run_state", take_state(x, v))                                       \
    X("train_collectives_total", take_collectives(x, v))                         \
    X("train_step_seconds", take_step_seconds(x, v))                             \
    X("train_collective_seconds", take_seconds(x, &x->k->collective_seconds, v)) \
    X("train_data_seconds", take_data_seconds(x, v))

const char *toc_ranks_pattern(void) {
#define X(name, statement) name "|"
    return RANK_METRICS(X) "train_rank_info"; /* whose labels tell where a rank lives */
#undef X
}

static int metric_index(struct toc_sv metric) {
    static const char *const names[] = {
#define X(name, statement) name,
        RANK_METRICS(X)
#undef X
    };
    _Static_assert(TOC_ARRAY_LEN(names) <= TOC_RANK_METRICS_MAX, "room for each metric's time");
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++)
        if (toc_sv_eq_cstr(metric, names[i]))
            return (int)i;
    return -1;
}

static void take(const struct taking *x, int index, double v) {
    int i = 0;
    if (x->t_ms <= x->k->metric_t_ms[index])
        return;
    x->k->metric_t_ms[index] = x->t_ms;
#define X(name, statement) \
    if (i++ == index) {    \
        statement;         \
        return;            \
    }
    RANK_METRICS(X)
#undef X
}

static void take_info(struct toc_rank *k, struct toc_labels labels) {
    struct toc_sv host = toc_labels_get(labels, TOC_SV("host"));
    int64_t pid = 0;
    toc_sv_copy(toc_sv_sub(host, 0, TOC_MIN(host.n, sizeof k->host - 1)), k->host, sizeof k->host);
    if (toc_parse_i64(toc_labels_get(labels, TOC_SV("pid")), &pid) == 0)
        k->pid = pid;
}

struct reading {
    struct toc_ranks *rs;
    int64_t now_ms;
    bool is_first_pass;
};

/* A rank that speaks moves its newest sample to now: the smallest such move is its clock's. Each
 * minute's smallest replaces the former, so that a clock that is set back is followed. */
static void note_heard(struct toc_rank *k, int64_t newest_ms, int64_t now_ms) {
    enum { MINUTE_MS = 60 * 1000 };
    int64_t move_ms = now_ms - newest_ms;
    if (newest_ms <= k->last_t_ms)
        return;
    k->last_t_ms = newest_ms;
    k->seen_ms = now_ms;
    k->skew_next_ms = TOC_MIN(k->skew_next_ms, move_ms);
    k->skew_ms = TOC_MIN(k->skew_ms, move_ms);
    if (now_ms - k->skew_since_ms < MINUTE_MS)
        return;
    k->skew_ms = k->skew_next_ms;
    k->skew_next_ms = INT64_MAX;
    k->skew_since_ms = now_ms;
}

/* Our time of a rank's. What arrives now is not from long ago, whatever its clock says, unless we
 * have only begun to look. */
static int64_t our_time(const struct reading *r, const struct toc_rank *k, int64_t t_ms,
                        int64_t newest_ms) {
    bool is_new = k->skew_ms == INT64_MAX;
    int64_t at_ms = t_ms + (is_new ? r->now_ms - newest_ms : k->skew_ms);
    int64_t oldest_ms = is_new ? INT64_MIN : r->now_ms - OVERLAP_MS;
    return TOC_MAX(TOC_MIN(at_ms, r->now_ms), oldest_ms);
}

static int64_t newest_of(const struct toc_series_view *s) {
    for (size_t i = s->count; i-- > 0;)
        if (!toc_is_stale_nan(s->values[i]))
            return s->t_ms[i];
    return 0;
}

static int on_series(void *ctx, const struct toc_series_view *s) {
    struct reading *r = ctx;
    struct toc_sv metric = toc_labels_get(s->labels, TOC_METRIC_NAME);
    struct toc_sv text = toc_labels_get(s->labels, TOC_SV("rank"));
    int index = metric_index(metric);
    bool is_first = index >= 0 && index < RANK_FIRST_PASS;
    int64_t rank = 0, newest_ms = newest_of(s);
    if ((text.n && toc_parse_i64(text, &rank) != 0) || is_first != r->is_first_pass || !newest_ms)
        return 0;
    struct toc_rank *k = get(r->rs, rank);
    if (!k)
        return 0;
    for (size_t i = 0; index >= 0 && i < s->count; i++)
        if (!toc_is_stale_nan(s->values[i]))
            take(&(struct taking){r->rs, k, s->t_ms[i], our_time(r, k, s->t_ms[i], newest_ms)},
                 index, s->values[i]);
    if (index < 0)
        take_info(k, s->labels);
    note_heard(k, newest_ms, r->now_ms);
    return 0;
}

/* --------------------------------------------------------------------------------- reading */

static int on_rank_name(void *ctx, struct toc_sv value) {
    struct toc_ranks *rs = ctx;
    int64_t rank;
    if (toc_parse_i64(value, &rank) == 0 && !toc_ranks_find(rs, rank) && get(rs, rank))
        rs->is_stranger_known = true;
    return 0;
}

/* From when on samples may be new: the clock of the rank that is furthest behind decides. */
static int64_t read_from(const struct toc_ranks *rs, int64_t now_ms) {
    int64_t skew_ms = 0;
    if (!rs->read_ms || rs->is_stranger_known)
        return now_ms - BACK_MS;
    for (size_t i = 0; i < rs->items.count; i++) {
        const struct toc_rank *k = &rs->items.items[i];
        if (k->last_t_ms && now_ms - k->seen_ms < SPEAKS_MS)
            skew_ms = TOC_MAX(skew_ms, k->skew_ms);
    }
    return rs->read_ms - TOC_MIN(skew_ms, (int64_t)BACK_MS) - OVERLAP_MS;
}

int toc_ranks_read(struct toc_ranks *rs, struct toc_querier *q, const struct toc_matcher *metrics,
                   struct toc_sv run, int64_t now_ms, struct toc_err *err) {
    struct toc_matcher matchers[] = {*metrics,
                                     {.op = TOC_MATCH_EQ, .name = TOC_SV("run"), .value = run}};
    struct toc_select select = {.matchers = matchers,
                                .matcher_count = TOC_ARRAY_LEN(matchers),
                                .min_ms = now_ms - BACK_MS,
                                .max_ms = now_ms + 3600 * 1000}; /* a clock may be ahead */
    struct reading r = {.rs = rs, .now_ms = now_ms, .is_first_pass = true};
    int rc = 0;
    if (now_ms - rs->listed_ms >= LIST_EVERY_MS) {
        rs->listed_ms = now_ms;
        select.labels_only = true;
        rc = q->label_values(q, TOC_SV("rank"), &select, on_rank_name, rs, err);
        select.labels_only = false;
    }
    select.min_ms = read_from(rs, now_ms);
    if (!rc)
        rc = q->select(q, &select, on_series, &r, err);
    r.is_first_pass = false;
    if (!rc)
        rc = q->select(q, &select, on_series, &r, err);
    if (!rc) {
        rs->read_ms = now_ms;
        rs->is_stranger_known = false;
    }
    return rc;
}

struct toc_sv toc_ranks_speaker(const struct toc_ranks *rs, char out[24]) {
    const struct toc_rank *zero = toc_ranks_find(rs, 0), *lowest = NULL;
    if (zero && zero->last_t_ms)
        return TOC_SV_NULL;
    for (size_t i = 0; i < rs->items.count; i++) {
        const struct toc_rank *k = &rs->items.items[i];
        if (isfinite(k->step) && (!lowest || k->rank < lowest->rank))
            lowest = k;
    }
    if (!lowest)
        return TOC_SV_NULL;
    int n = snprintf(out, 24, "%lld", (long long)lowest->rank);
    return toc_sv_make(out, (size_t)n);
}

void toc_ranks_note_exit(struct toc_ranks *rs, int64_t rank, int64_t now_ms) {
    struct toc_rank *k = get(rs, rank);
    if (k)
        k->gone_ms = now_ms;
}
