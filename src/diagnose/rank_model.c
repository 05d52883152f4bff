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
                                                .data_seconds = NAN}));
    toc_map_put(&rs->index, toc_map_u64(&key), (void *)(uintptr_t)rs->items.count);
    return &rs->items.items[rs->items.count - 1];
}

bool toc_rank_is_active(const struct toc_rank *k, int64_t since_ms) {
    return k->last_t_ms && k->seen_ms >= since_ms && !(k->state < 0.5) && !k->gone_ms;
}

size_t toc_rank_lines(const struct toc_rank *k) {
    size_t n = 0, kept = TOC_MIN(k->line_count, (uint32_t)TOC_RANK_LINES);
    for (size_t i = 0; i < kept; i++)
        n += isfinite(k->lines[i].step);
    return n;
}

struct toc_rank_usual toc_rank_usual(const struct toc_rank *k) {
    double own[TOC_RANK_LINES], wait[TOC_RANK_LINES], data[TOC_RANK_LINES], step[TOC_RANK_LINES];
    size_t n = 0, told = 0, kept = TOC_MIN(k->line_count, (uint32_t)TOC_RANK_LINES);
    for (size_t i = 0; i < kept; i++) {
        const struct toc_rank_line *l = &k->lines[i];
        if (!isfinite(l->step))
            continue;
        wait[n] = isfinite(l->collective) ? (double)l->collective : 0;
        step[n] = (double)l->step;
        own[n] = TOC_MAX(step[n] - wait[n], 0.0);
        n++;
        if (isfinite(l->data))
            data[told++] = (double)l->data;
    }
    return (struct toc_rank_usual){.own_s = toc_history_median(own, n),
                                   .wait_s = toc_history_median(wait, n),
                                   .data_s = toc_history_median(data, told),
                                   .step_s = toc_history_median(step, n)};
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

/* The numbers of one line come in series of their own and meet again by their time. */
static struct toc_rank_line *line_at(const struct taking *x) {
    struct toc_rank *k = x->k;
    uint32_t kept = TOC_MIN(k->line_count, (uint32_t)TOC_RANK_LINES);
    for (uint32_t i = 0; i < kept; i++) {
        struct toc_rank_line *l = &k->lines[(k->line_count - 1 - i) % TOC_RANK_LINES];
        if (l->t_ms == x->t_ms)
            return l;
        if (l->t_ms < x->t_ms && i > 0)
            return NULL; /* a time between known ones: that line told no seconds */
        if (l->t_ms < x->t_ms)
            break;
    }
    if (kept && k->lines[(k->line_count - 1) % TOC_RANK_LINES].t_ms > x->t_ms)
        return NULL; /* older than what is kept */
    struct toc_rank_line *l = &k->lines[k->line_count++ % TOC_RANK_LINES];
    *l = (struct toc_rank_line){.t_ms = x->t_ms, .step = NAN, .collective = NAN, .data = NAN};
    return l;
}

static void take_step_seconds(const struct taking *x, double v) {
    struct toc_rank_line *l = line_at(x);
    if (!l || !isfinite(v) || v < 0)
        return;
    l->step = (float)v;
    x->k->line_total++;
}

static void take_collective_seconds(const struct taking *x, double v) {
    struct toc_rank_line *l = line_at(x);
    if (l)
        l->collective = (float)v;
}

static void take_data_seconds(const struct taking *x, double v) {
    struct toc_rank_line *l = line_at(x);
    x->k->data_seconds = v;
    x->k->data_told_ms = x->at_ms;
    if (l)
        l->data = (float)v;
}

/* The longest time between checkpoints, slowly forgotten. */
static void take_checkpoint(const struct taking *x, double v) {
    static const double keep = 0.9;
    struct toc_checkpoints *c = &x->rs->checkpoints;
    if (!isfinite(v) || v <= c->told)
        return;
    double gap_s = (double)(x->at_ms - c->last_ms) / 1000, steps = x->k->step - c->last_step;
    if (c->last_ms) {
        c->longest_s = TOC_MAX(gap_s, keep * c->longest_s);
        if (steps > 0)
            c->longest_steps = TOC_MAX(steps, keep * c->longest_steps);
    }
    c->told = v;
    c->last_ms = x->at_ms;
    c->last_step = x->k->step;
    c->count++;
}

/* Of which step it is; the job is further on when we hear of it. */
static void take_checkpoint_step(const struct taking *x, double v) {
    if (isfinite(v) && x->rs->checkpoints.count)
        x->rs->checkpoints.last_step = v;
}

/* X(metric, how a sample of it is taken); x and v are in scope. What the others refer to comes
 * first. */
#define RANK_METRICS(X)                                                               \
    X("train_step", take_step(x, v))                                                  \
    X("train_run_phase", take_phase(x, v))                                            \
    X("train_run_state", take_state(x, v))                                            \
    X("train_collectives_total", take_collectives(x, v))                              \
    X("train_step_seconds", take_step_seconds(x, v))                                  \
    X("train_collective_seconds", take_collective_seconds(x, v))                      \
    X("train_data_seconds", take_data_seconds(x, v))                                  \
    X("train_checkpoint_interval_seconds", (void)(x->rs->checkpoints.declared_s = v)) \
    X("train_last_checkpoint_timestamp_seconds", take_checkpoint(x, v))               \
    X("train_checkpoint_step", take_checkpoint_step(x, v))

const char *toc_ranks_pattern(void) {
#define X(name, statement) name "|"
    return RANK_METRICS(X) "train_rank_info"; /* whose labels tell where a rank lives */
#undef X
}

static int metric_index(struct toc_sv metric) {
    static const struct toc_sv names[] = {
#define X(name, statement) {name, sizeof name - 1},
        RANK_METRICS(X)
#undef X
    };
    _Static_assert(TOC_ARRAY_LEN(names) <= TOC_RANK_METRICS_MAX, "room for each metric's time");
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++)
        if (toc_sv_eq(metric, names[i]))
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
        if (!rs->checkpoints.first_seen_ms && rs->items.count)
            rs->checkpoints.first_seen_ms = now_ms;
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
