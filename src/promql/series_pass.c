/*
 * One pass over the series of a selector, in blocks that run side by side. A worker decodes a
 * series into its buffer, computes all steps into scratch memory and hands the column over; nothing
 * of it is kept here.
 */
#include <string.h>

#include "promql/rollup_windows_priv.h"

/* Series per task: large enough that a task's own cost vanishes, small enough to spread. The size
 * hangs on nothing but the number of series, so that sums are joined alike in instant and range
 * queries and with any number of threads. */
enum { BLOCK_SERIES = 256, SMALL_BLOCK_SERIES = 32 };
/* Few series are spread only when they hold so many points: 50,000 (100 series, an hour) took 0.27
 * ms on one thread and 0.20 on two (promql_bench --store metricdb --only 10k_x_260 --scale 1), so a
 * second thread costs some 65 µs and pays from about 25,000 on. */
enum { SPREAD_POINTS = 25000, TYPICAL_INTERVAL_MS = 15000 };
/* Blocks per round: what they computed is joined, and its memory given back, before the next. */
enum { ROUND_BLOCKS = 64 };

struct pass {
    struct toc_eval *e;
    const struct toc_series_pass *what;
    const struct toc_node *selector;
    struct toc_series_set *set;
    int64_t min_ms, max_ms;
    bool notes_need_labels;
    size_t block_series;        /* of a block; the last one may have fewer */
    size_t first_block;         /* of this round */
    struct toc_notes *notes;    /* per block */
    atomic_size_t failed_block; /* lowest block that failed, SIZE_MAX for none */
    int *rcs;
    struct toc_err *errs; /* per block */
};

static size_t block_count(const struct pass *p) {
    return (p->set->count + p->block_series - 1) / p->block_series;
}

/* Samples and steps to go through, at the usual distance of samples. */
static bool is_worth_spreading(const struct pass *p) {
    uint64_t samples = ((uint64_t)p->max_ms - (uint64_t)p->min_ms) / TYPICAL_INTERVAL_MS;
    return p->set->count > BLOCK_SERIES ||
           p->set->count * (samples + p->e->step_count) > SPREAD_POINTS;
}

bool toc_node_is_passable(const struct toc_eval *e, const struct toc_node *n) {
    if (n->is_invariant && e->step_count > 1)
        return false; /* computed once */
    if (n->kind == TOC_NODE_SELECTOR)
        return n->type == TOC_PROMQL_VECTOR;
    if (n->kind != TOC_NODE_CALL || !n->function->window || n->function->call)
        return false;
    const struct toc_node *range = toc_call_range(n);
    return range && range->kind == TOC_NODE_SELECTOR && range->modifier == TOC_RANGE_PLAIN;
}

/* ------------------------------------------------------------------------- instant selector */

/* The straight line between the samples around t, for `smoothed`. A counter's fall reads as a
 * start from zero only inside rate and its kin, so here it is a plain line. */
static bool interpolate(const struct toc_series_view *s, size_t next, int64_t t,
                        int64_t lookback_ms, double *out) {
    size_t last = next - 1;
    if (next == 0 || s->t_ms[last] <= t - lookback_ms)
        return false;
    *out = s->values[last];
    if (s->t_ms[last] == t || next >= s->count || s->t_ms[next] > t + lookback_ms ||
        toc_is_stale_nan(s->values[next]))
        return true;
    double share = (double)(t - s->t_ms[last]) / (double)(s->t_ms[next] - s->t_ms[last]);
    *out += (s->values[next] - s->values[last]) * share;
    return true;
}

static bool look_at(const struct pass *p, const struct toc_series_view *s, size_t next, int64_t t,
                    struct toc_column *c, size_t step) {
    /* Left-open: a sample exactly one lookback old is out. */
    if (next == 0 || s->t_ms[next - 1] <= t - p->e->query->lookback_ms)
        return false;
    const struct toc_histogram *h = s->histograms ? s->histograms[next - 1] : NULL;
    if (h ? toc_histogram_is_stale(h) : toc_is_stale_nan(s->values[next - 1]))
        return false;
    if (p->what->wanted != TOC_WANT_VALUE) {
        bool is_start = p->what->wanted == TOC_WANT_START;
        int64_t ms = !is_start ? s->t_ms[next - 1] : s->start_ms ? s->start_ms[next - 1] : 0;
        c->values[step] = (double)ms / 1000.0;
        return true;
    }
    if (h)
        c->histograms[step] = h;
    c->values[step] = h ? 0 : s->values[next - 1];
    if (!h && p->selector->modifier == TOC_RANGE_SMOOTHED)
        return interpolate(s, next, t, p->e->query->lookback_ms, &c->values[step]);
    return true;
}

/* The usual case: floats as they are. A staleness marker is the absent marker. */
static bool float_steps(const struct pass *p, struct toc_worker *w, const struct toc_series_view *s,
                        double *values) {
    const struct toc_eval *e = p->e;
    int64_t t = toc_look_ms(e, p->selector, 0), lookback = e->query->lookback_ms;
    int64_t step = p->selector->at_kind == TOC_AT_NONE ? e->step_ms : 0;
    bool is_counted = w->step_samples != NULL;
    uint64_t seen = 0;
    size_t next = 0, stride = 0;
    for (size_t i = 0; i < e->step_count; i++, t += step) {
        next = toc_advance(s->t_ms, s->count, next, t, &stride);
        if (next == 0 || s->t_ms[next - 1] <= t - lookback)
            continue;
        values[i] = s->values[next - 1];
        bool is_there = !toc_is_absent(values[i]);
        seen += is_there;
        if (is_counted && is_there)
            toc_count_step(w, e, i, 1);
    }
    w->queryable += seen;
    return seen > 0;
}

static bool instant_steps(const struct pass *p, struct toc_worker *w,
                          const struct toc_series_view *s, struct toc_column *c) {
    const struct toc_eval *e = p->e;
    if (!s->histograms && p->what->wanted == TOC_WANT_VALUE &&
        p->selector->modifier == TOC_RANGE_PLAIN)
        return float_steps(p, w, s, c->values);
    bool is_counted = w->step_samples != NULL;
    uint64_t seen = 0;
    size_t next = 0; /* first sample behind the step */
    for (size_t i = 0; i < e->step_count; i++) {
        int64_t t = toc_look_ms(e, p->selector, i);
        while (next < s->count && s->t_ms[next] <= t)
            next++;
        bool is_there = look_at(p, s, next, t, c, i);
        seen += is_there;
        if (is_counted && is_there)
            toc_count_step(w, e, i, 1);
    }
    w->queryable += seen;
    return seen > 0;
}

/* ------------------------------------------------------------------------------------ series */

static void clear_column(const struct pass *p, struct toc_worker *w, bool has_histograms,
                         struct toc_column *out) {
    size_t steps = p->e->step_count;
    TOC_VEC_RESERVE(&w->values, steps);
    for (size_t i = 0; i < steps; i++)
        w->values.items[i] = toc_stale_nan();
    *out = (struct toc_column){.values = w->values.items};
    if (!has_histograms)
        return;
    TOC_VEC_RESERVE(&w->histograms, steps);
    memset(w->histograms.items, 0, steps * sizeof *w->histograms.items);
    out->histograms = w->histograms.items;
}

/* Histograms of the result point into the reader's memory: the arena keeps copies. */
static int keep_histograms(struct toc_worker *w, size_t steps, struct toc_column *c) {
    if (!c->histograms)
        return 0;
    const struct toc_histogram *seen = NULL, *kept = NULL;
    for (size_t i = 0; i < steps; i++) {
        if (!c->histograms[i])
            continue;
        if (c->histograms[i] != seen) {
            seen = c->histograms[i];
            kept = toc_histogram_dup(seen, &w->arena);
            if (!kept)
                return TOC_ELIMIT;
        }
        c->histograms[i] = kept;
    }
    return 0;
}

struct toc_labels toc_worker_keep_labels(struct toc_worker *w, struct toc_labels l) {
    if (l.items != w->label_items && l.items != w->group_items.items)
        return l; /* the set's own, which it keeps until it closes */
    struct toc_label *items = toc_arena_calloc(&w->arena, l.count + 1, sizeof *items);
    if (items && l.count)
        memcpy(items, l.items, l.count * sizeof *items);
    return (struct toc_labels){items, items ? l.count : 0};
}

static int compute(struct pass *p, struct toc_worker *w, struct toc_labels labels,
                   const struct toc_series_view *s, struct toc_column *c, bool *out_any) {
    if (p->what->node->kind == TOC_NODE_SELECTOR) {
        *out_any = instant_steps(p, w, s, c);
        return keep_histograms(w, p->e->step_count, c);
    }
    struct toc_samples samples = {labels, s->t_ms, s->values, s->histograms, s->start_ms, s->count};
    return toc_slide_windows(p->e, w, p->what->node, p->what->parameters, p->what->parameter_count,
                             &samples, c, out_any);
}

/* A series of which buckets were handed over. */
static int compute_rollups(struct pass *p, struct toc_worker *w, size_t block, size_t i,
                           const struct toc_series_view *s) {
    struct toc_column c;
    bool any = false;
    clear_column(p, w, false, &c);
    toc_rollup_steps(p->e, w, p->what->node, p->selector, p->what->wanted, s, &c, &any);
    if (!any)
        return 0;
    struct toc_labels labels = TOC_LABELS_EMPTY;
    if (p->what->wants_labels || p->notes_need_labels)
        labels = p->set->labels(p->set, i, w->label_items);
    if (p->what->node->kind == TOC_NODE_CALL)
        toc_note_doubtful_name(w, p->what->node, labels, &c);
    c.labels = p->what->wants_labels ? labels : TOC_LABELS_EMPTY;
    return p->what->column(p->what->ctx, w, block, &c);
}

static int one_series(struct pass *p, struct toc_worker *w, size_t block, size_t i,
                      uint64_t *samples) {
    struct toc_series_view s = {0};
    struct toc_column c;
    bool any = false;
    int rc = p->set->read(p->set, i, p->min_ms, p->max_ms, &w->buffer, &s, &w->err);
    *samples += s.count + s.rollup_count;
    if (rc == 0 && s.rollup_count)
        return compute_rollups(p, w, block, i, &s);
    if (rc < 0 || s.count == 0)
        return rc;
    if (s.is_thinned)
        toc_worker_note(w, TOC_NOTE_INFO, p->selector, "%s", toc_rollup_thinned_text());
    if (p->selector->tells_resets)
        toc_worker_tell_resets(w, &s);
    clear_column(p, w, s.histograms != NULL, &c);
    struct toc_labels labels = TOC_LABELS_EMPTY;
    /* Notes name the metric. */
    if (p->what->wants_labels || s.histograms || p->notes_need_labels)
        labels = p->set->labels(p->set, i, w->label_items);
    rc = compute(p, w, labels, &s, &c, &any);
    if (rc < 0 || !any)
        return rc;
    c.labels = p->what->wants_labels ? labels : TOC_LABELS_EMPTY;
    return p->what->column(p->what->ctx, w, block, &c);
}

static void run_block(void *arg, size_t task, size_t worker) {
    struct pass *p = arg;
    struct toc_worker *w = &p->e->query->workers[worker];
    size_t block = p->first_block + task;
    if (block > atomic_load_explicit(&p->failed_block, memory_order_relaxed))
        return;
    w->eval = p->e;
    w->notes = &p->notes[block];
    w->err = (struct toc_err){0};
    size_t end = (block + 1) * p->block_series;
    uint64_t samples = 0;
    int rc = 0;
    if (end > p->set->count)
        end = p->set->count;
    for (size_t i = block * p->block_series; i < end && rc == 0; i++)
        rc = one_series(p, w, block, i, &samples);
    if (rc == 0)
        rc = toc_query_loaded(p->e->query, samples, &w->err);
    if (rc < 0) {
        p->rcs[block] = rc;
        p->errs[block] = w->err;
        size_t lowest = atomic_load(&p->failed_block);
        while (block < lowest && !atomic_compare_exchange_weak(&p->failed_block, &lowest, block))
            ;
    }
}

/* The widest range of samples that the steps look at. */
static void range_of(struct pass *p) {
    const struct toc_eval *e = p->e;
    const struct toc_node *n = p->selector;
    int64_t lookback = e->query->lookback_ms;
    int64_t back = n->range_ms ? n->range_ms : lookback;
    if (n->modifier != TOC_RANGE_PLAIN && n->range_ms)
        back += lookback;
    p->min_ms = toc_look_ms(e, n, 0) - back + 1;
    p->max_ms = toc_look_ms(e, n, e->step_count - 1);
    if (n->modifier == TOC_RANGE_SMOOTHED)
        p->max_ms += lookback;
}

static int run_blocks(struct pass *p) {
    struct toc_eval *e = p->e;
    struct toc_executor *executor = is_worth_spreading(p) ? e->options->executor : NULL;
    p->block_series = p->set->count <= BLOCK_SERIES ? SMALL_BLOCK_SERIES : BLOCK_SERIES;
    size_t blocks = block_count(p);
    p->notes = TOC_NEW_ARRAY(struct toc_notes, blocks + 1);
    p->errs = TOC_NEW_ARRAY(struct toc_err, blocks + 1);
    p->rcs = TOC_NEW_ARRAY(int, blocks + 1);
    atomic_init(&p->failed_block, SIZE_MAX);
    int rc = p->what->begin(p->what->ctx, blocks);
    for (size_t first = 0; first < blocks && rc == 0; first += ROUND_BLOCKS) {
        size_t count = blocks - first < ROUND_BLOCKS ? blocks - first : ROUND_BLOCKS;
        p->first_block = first;
        toc_execute(executor, count, run_block, p);
        if (atomic_load(&p->failed_block) != SIZE_MAX)
            break;
        if (p->what->joined)
            rc = p->what->joined(p->what->ctx, first, first + count);
    }
    size_t failed = atomic_load(&p->failed_block);
    if (rc == 0 && failed != SIZE_MAX) {
        rc = p->rcs[failed];
        if (p->errs[failed].code && e->err)
            *e->err = p->errs[failed];
        else
            rc = toc_eval_no_memory(e);
    }
    for (size_t i = 0; i < blocks; i++) {
        toc_notes_join(&e->query->notes, &p->notes[i]);
        TOC_VEC_FINI(&p->notes[i]);
    }
    toc_free(p->notes);
    toc_free(p->errs);
    toc_free(p->rcs);
    return rc;
}

int toc_eval_series_pass(struct toc_eval *e, const struct toc_series_pass *what) {
    struct pass p = {.e = e, .what = what};
    p.selector = what->node->kind == TOC_NODE_SELECTOR ? what->node : toc_call_range(what->node);
    p.notes_need_labels = toc_call_needs_labels(e, what->node);
    range_of(&p);
    struct toc_select s = {.matchers = p.selector->matchers,
                           .matcher_count = p.selector->matcher_count,
                           .min_ms = p.min_ms,
                           .max_ms = p.max_ms};
    toc_rollup_hint(e, what->node, p.selector, what->wanted, &s);
    int rc = toc_querier_open(e->options->querier, &s, &p.set, e->err);
    if (rc < 0)
        return rc;
    TOC_VEC_PUSH(&e->query->sets, p.set); /* labels are borrowed until the query ends */
    return run_blocks(&p);
}
