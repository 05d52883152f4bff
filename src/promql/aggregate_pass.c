/*
 * Aggregation while the series are read. Each block of series folds into states of its own, which
 * are joined in the order of the blocks: sums by their compensated parts (Neumaier 1974), variances
 * by the update of Chan, Golub and LeVeque (1979).
 */
#include <math.h>
#include <string.h>

#include "base/sum.h"
#include "promql/aggregate_priv.h"
#include "promql/label_index_priv.h"

/* Per step: a and b mean sum and lost part, or mean and squares, or the extreme alone. */
struct state {
    struct toc_labels labels;
    uint64_t hash;
    uint32_t *count;
    double *a, *b;
};

struct states {
    TOC_VEC_FIELDS(struct state)
    struct toc_label_index by_labels; /* number + 1 */
};

struct folding {
    struct toc_eval *e;
    const struct toc_node *n;
    bool is_grouped;
    struct states *blocks;
    size_t block_count;
    struct states all;
    atomic_bool needs_general_way;
};

/* ------------------------------------------------------------------------------------- states */

static size_t state_bytes(size_t steps) {
    return steps * (2 * sizeof(double) + sizeof(uint32_t));
}

/* One block holds all three; its size follows from the query, so it counts against the budget. */
static int new_state(const struct folding *f, struct toc_labels labels, uint64_t hash,
                     struct state *out) {
    size_t steps = f->e->step_count;
    double *block = toc_query_take_bytes(f->e->query, state_bytes(steps))
                        ? toc_try_calloc(1, state_bytes(steps))
                        : NULL;
    if (!block)
        return TOC_ELIMIT;
    *out =
        (struct state){labels, hash, (uint32_t *)(void *)(block + 2 * steps), block, block + steps};
    return 0;
}

static void fini_states(const struct folding *f, struct states *s) {
    for (size_t i = 0; i < s->count; i++) {
        if (!s->items[i].a)
            continue; /* moved */
        toc_free(s->items[i].a);
        toc_query_return_bytes(f->e->query, state_bytes(f->e->step_count));
    }
    TOC_VEC_FINI(s);
    toc_label_index_fini(&s->by_labels);
    *s = (struct states){0};
}

/* ---------------------------------------------------------------------------------- one series */

static void add_sums(struct state *s, const double *v, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (toc_is_absent(v[i]))
            continue;
        s->count[i]++;
        toc_sum_add(&s->a[i], &s->b[i], v[i]);
    }
}

static void add_extremes(struct state *s, const double *v, size_t steps, bool is_max) {
    for (size_t i = 0; i < steps; i++) {
        if (toc_is_absent(v[i]))
            continue;
        double best = s->a[i];
        bool is_better = is_max ? v[i] > best : v[i] < best;
        if (!s->count[i]++ || is_better || isnan(best))
            s->a[i] = v[i];
    }
}

static void add_squares(struct state *s, const double *v, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (toc_is_absent(v[i]))
            continue;
        double delta = v[i] - s->a[i];
        s->a[i] += delta / ++s->count[i];
        s->b[i] += delta * (v[i] - s->a[i]);
    }
}

static void add_column(const struct folding *f, struct state *s, const double *values) {
    size_t steps = f->e->step_count;
    switch (f->n->aggregate) {
    case TOC_AGGREGATE_SUM:
    case TOC_AGGREGATE_AVG:
        add_sums(s, values, steps);
        break;
    case TOC_AGGREGATE_MIN:
    case TOC_AGGREGATE_MAX:
        add_extremes(s, values, steps, f->n->aggregate == TOC_AGGREGATE_MAX);
        break;
    case TOC_AGGREGATE_STDDEV:
    case TOC_AGGREGATE_STDVAR:
        add_squares(s, values, steps);
        break;
    default:
        for (size_t i = 0; i < steps; i++)
            s->count[i] += !toc_is_absent(values[i]);
    }
}

/* ---------------------------------------------------------------------------------- joining */

static void join_step(enum toc_aggregate_op op, struct state *s, const struct state *x, size_t i) {
    if (!x->count[i])
        return;
    double n = s->count[i], m = x->count[i], delta = x->a[i] - s->a[i];
    switch (op) {
    case TOC_AGGREGATE_SUM:
    case TOC_AGGREGATE_AVG:
        toc_sum_add(&s->a[i], &s->b[i], x->a[i]);
        s->b[i] += isinf(s->a[i]) ? 0 : x->b[i];
        break;
    case TOC_AGGREGATE_MIN:
        if (n == 0 || isnan(s->a[i]) || x->a[i] < s->a[i])
            s->a[i] = x->a[i];
        break;
    case TOC_AGGREGATE_MAX:
        if (n == 0 || isnan(s->a[i]) || x->a[i] > s->a[i])
            s->a[i] = x->a[i];
        break;
    case TOC_AGGREGATE_STDDEV:
    case TOC_AGGREGATE_STDVAR:
        s->a[i] = n == 0 ? x->a[i] : s->a[i] + delta * m / (n + m);
        s->b[i] += n == 0 ? x->b[i] : x->b[i] + delta * delta * n * m / (n + m);
        break;
    default:
        break;
    }
    s->count[i] += x->count[i];
}

/* On the calling thread, after each round of blocks. */
static int join_blocks(void *ctx, size_t first, size_t end) {
    struct folding *f = ctx;
    for (size_t b = first; b < end; b++) {
        struct states *block = &f->blocks[b];
        for (size_t k = 0; k < block->count; k++) {
            struct state *x = &block->items[k];
            size_t *number = toc_label_index_at_hash(&f->all.by_labels, x->labels, x->hash);
            if (!*number) {
                TOC_VEC_PUSH(&f->all, *x);
                *number = f->all.count;
                *x = (struct state){0};
                continue;
            }
            for (size_t i = 0; i < f->e->step_count; i++)
                join_step(f->n->aggregate, &f->all.items[*number - 1], x, i);
        }
        fini_states(f, block);
    }
    return 0;
}

/* ---------------------------------------------------------------------------------- the pass */

static int begin(void *ctx, size_t block_count) {
    struct folding *f = ctx;
    f->blocks = TOC_NEW_ARRAY(struct states, block_count + 1);
    f->block_count = block_count;
    return 0;
}

/* The group's labels of a series, in the place behind the series' own. */
static struct toc_labels group_of(const struct folding *f, struct toc_worker *w,
                                  struct toc_labels l) {
    if (!f->is_grouped)
        return TOC_LABELS_EMPTY;
    TOC_VEC_RESERVE(&w->group_items, l.count + 1);
    struct toc_labels out = {w->group_items.items, 0};
    for (size_t i = 0; i < l.count; i++)
        if (toc_group_has_label(f->n, l.items[i].name))
            w->group_items.items[out.count++] = l.items[i];
    return out;
}

static int fold_column(void *ctx, struct toc_worker *w, size_t block, const struct toc_column *c) {
    struct folding *f = ctx;
    struct states *s = &f->blocks[block];
    if (c->histograms) {
        atomic_store_explicit(&f->needs_general_way, true, memory_order_relaxed);
        return 0;
    }
    struct toc_labels labels = group_of(f, w, c->labels);
    uint64_t hash = toc_labels_hash(labels);
    size_t number = toc_label_index_get_hash(&s->by_labels, labels, hash);
    if (!number) {
        labels = toc_worker_keep_labels(w, labels);
        struct state fresh;
        int rc = new_state(f, labels, hash, &fresh);
        if (rc < 0)
            return rc;
        TOC_VEC_PUSH(s, fresh);
        number = s->count;
        *toc_label_index_at_hash(&s->by_labels, labels, hash) = number;
    }
    add_column(f, &s->items[number - 1], c->values);
    return w->arena.overflowed ? TOC_ELIMIT : 0;
}

/* ------------------------------------------------------------------------------------ result */

static double result_of(enum toc_aggregate_op op, const struct state *s, size_t i) {
    double n = s->count[i], sum = isinf(s->a[i]) ? s->a[i] : s->a[i] + s->b[i];
    switch (op) {
    case TOC_AGGREGATE_SUM:
        return sum;
    case TOC_AGGREGATE_AVG:
        return sum / n;
    case TOC_AGGREGATE_COUNT:
        return n;
    case TOC_AGGREGATE_GROUP:
        return 1;
    case TOC_AGGREGATE_STDDEV:
        return sqrt(s->b[i] / n);
    case TOC_AGGREGATE_STDVAR:
        return s->b[i] / n;
    default:
        return s->a[i];
    }
}

static int put_out(struct folding *f, struct toc_eval_columns *out) {
    for (size_t k = 0; k < f->all.count; k++) {
        const struct state *s = &f->all.items[k];
        struct toc_column *c = toc_eval_columns_add(f->e, out, s->labels);
        if (!c)
            return TOC_ELIMIT;
        for (size_t i = 0; i < f->e->step_count; i++)
            if (s->count[i])
                c->values[i] = result_of(f->n->aggregate, s, i);
    }
    return 0;
}

/* The mean of values whose sum overflows needs another way of adding. */
static bool mean_overflows(const struct folding *f) {
    for (size_t k = 0; k < f->all.count && f->n->aggregate == TOC_AGGREGATE_AVG; k++)
        for (size_t i = 0; i < f->e->step_count; i++)
            if (isinf(f->all.items[k].a[i]))
                return true;
    return false;
}

int toc_aggregate_pass(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out,
                       bool *out_done) {
    struct folding f = {.e = e, .n = n, .is_grouped = n->is_without || n->grouping_count};
    struct toc_eval_columns parameters = {0};
    const struct toc_node *child = toc_node_bare(n->left);
    int rc = 0;
    for (size_t i = 0; i < child->arg_count && rc == 0; i++)
        if (child->args[i]->type == TOC_PROMQL_SCALAR)
            rc = toc_eval_node(e, child->args[i], &parameters);
    struct toc_series_pass pass = {.node = child,
                                   .parameters = parameters.items,
                                   .parameter_count = parameters.count,
                                   .wants_labels = f.is_grouped,
                                   .begin = begin,
                                   .column = fold_column,
                                   .joined = join_blocks,
                                   .ctx = &f};
    struct toc_stats_mark mark;
    toc_stats_mark(e->query, &mark);
    if (rc == 0)
        rc = toc_eval_series_pass(e, &pass);
    *out_done = rc == 0 && !atomic_load(&f.needs_general_way) && !mean_overflows(&f);
    if (*out_done)
        rc = put_out(&f, out);
    else if (rc == 0) /* they are read again */
        toc_stats_return(e->query, &mark);
    toc_stats_mark_fini(&mark);
    for (size_t i = 0; i < f.block_count; i++)
        fini_states(&f, &f.blocks[i]);
    toc_free(f.blocks);
    fini_states(&f, &f.all);
    toc_eval_columns_fini(&parameters);
    return rc;
}

/* A dropped name can matter only when series of several names come together, or when the grouping
 * asks for it. */
static bool name_matters(const struct toc_eval *e, const struct toc_node *n,
                         const struct toc_node *child) {
    if (child->kind == TOC_NODE_SELECTOR || (child->function->flags & TOC_FN_KEEPS_NAME))
        return false;
    for (size_t i = 0; i < n->grouping_count; i++)
        if (toc_label_is_name(n->grouping[i]))
            return true;
    (void)e;
    return !toc_selector_has_one_name(toc_call_range(child));
}

bool toc_aggregate_can_pass(const struct toc_eval *e, const struct toc_node *n) {
    switch (n->aggregate) {
    case TOC_AGGREGATE_SUM:
    case TOC_AGGREGATE_AVG:
    case TOC_AGGREGATE_MIN:
    case TOC_AGGREGATE_MAX:
    case TOC_AGGREGATE_COUNT:
    case TOC_AGGREGATE_GROUP:
    case TOC_AGGREGATE_STDDEV:
    case TOC_AGGREGATE_STDVAR:
        break;
    default:
        return false;
    }
    const struct toc_node *child = toc_node_bare(n->left);
    return toc_node_is_passable(e, child) && !name_matters(e, n, child);
}
