#include <float.h>
#include <math.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/rng.h"
#include "detect/iforest_priv.h"
#include "detect/stats.h"

#define EULER_GAMMA 0.57721566490153286
#define CONSTANT_EPSILON 1e-7f /* scikit-learn's FEATURE_THRESHOLD */

double toc_iforest_average_path(size_t n) {
    if (n <= 1)
        return 0;
    if (n == 2)
        return 1;
    double m = (double)(n - 1);
    return 2 * (log(m) + EULER_GAMMA) - 2 * m / (double)n;
}

struct toc_iforest_params toc_iforest_params_default(void) {
    return (struct toc_iforest_params){.n_estimators = 100};
}

int toc_iforest_size_parse(struct toc_sv text, struct toc_iforest_size *out) {
    *out = (struct toc_iforest_size){TOC_IFOREST_AUTO, 0};
    if (toc_sv_eq(text, TOC_SV("auto")))
        return 0;
    uint64_t count;
    if (toc_parse_u64(text, &count) == 0) {
        if (count < 1)
            return TOC_EPARSE;
        *out = (struct toc_iforest_size){TOC_IFOREST_COUNT, (double)count};
        return 0;
    }
    double share;
    if (toc_parse_f64(text, &share) < 0 || !(share > 0 && share <= 1))
        return TOC_EPARSE;
    *out = (struct toc_iforest_size){TOC_IFOREST_SHARE, share};
    return 0;
}

void toc_iforest_free(struct toc_iforest **f) {
    if (!f || !*f)
        return;
    toc_iforest_drop_ranked(*f);
    toc_free((*f)->trees);
    toc_free((*f)->nodes);
    toc_free((*f)->path);
    toc_free(*f);
    *f = NULL;
}

int toc_iforest_check_values(struct toc_matrix x, struct toc_err *err) {
    for (size_t i = 0; i < x.rows * x.columns; i++)
        if (!(fabs(x.values[i]) <= (double)FLT_MAX))
            return toc_errf(
                err, TOC_EINVAL,
                "row %zu, column %zu: %g is not a number that float32 can hold; remove or "
                "fill such rows",
                i / x.columns + 1, i % x.columns + 1, x.values[i]);
    return 0;
}

/* `all` is what "auto" and the share refer to. */
static size_t resolve_size(struct toc_iforest_size size, size_t all, size_t automatic) {
    if (size.type == TOC_IFOREST_AUTO)
        return automatic;
    if (size.type == TOC_IFOREST_COUNT)
        return size.value >= (double)all ? all : (size_t)size.value;
    return (size_t)(size.value * (double)all);
}

struct plan {
    size_t trees, samples, features, depth_max;
    bool bootstrap;
};

static size_t ceil_log2(size_t n) {
    size_t bits = 0;
    while ((size_t)1 << bits < n)
        bits++;
    return bits;
}

static int check_params(const struct toc_iforest_params *p, struct toc_matrix x,
                        struct toc_err *err) {
    if (x.rows == 0 || x.columns == 0)
        return toc_errf(err, TOC_ENODATA, "no rows to train on");
    if (x.columns > TOC_IFOREST_COLUMNS_MAX)
        return toc_errf(err, TOC_ELIMIT, "%zu columns; at most %d are possible", x.columns,
                        TOC_IFOREST_COLUMNS_MAX);
    if (p->n_estimators < 1 || p->n_estimators > TOC_IFOREST_TREES_MAX)
        return toc_errf(err, TOC_EINVAL, "n_estimators is %lld; give 1 to %d",
                        (long long)p->n_estimators, TOC_IFOREST_TREES_MAX);
    if (!(p->contamination >= 0 && p->contamination <= 0.5))
        return toc_errf(err, TOC_EINVAL, "contamination is %g; give auto or a share in (0, 0.5]",
                        p->contamination);
    return toc_iforest_check_values(x, err);
}

static int make_plan(const struct toc_iforest_params *p, struct toc_matrix x, struct plan *out,
                     struct toc_err *err) {
    int rc = check_params(p, x, err);
    if (rc < 0)
        return rc;
    size_t samples = resolve_size(p->max_samples, x.rows, TOC_MIN(x.rows, (size_t)256));
    size_t features = resolve_size(p->max_features, x.columns, x.columns);
    if (samples == 0)
        return toc_errf(err, TOC_EINVAL, "max_samples leaves no row of %zu; give a larger share",
                        x.rows);
    if (samples > TOC_IFOREST_SAMPLES_MAX)
        return toc_errf(err, TOC_ELIMIT, "max_samples is %zu; at most %d are possible", samples,
                        TOC_IFOREST_SAMPLES_MAX);
    if (features == 0)
        features = 1;
    *out = (struct plan){(size_t)p->n_estimators, samples, features,
                         ceil_log2(TOC_MAX(samples, (size_t)2)), p->bootstrap};
    return 0;
}

struct branch {
    uint32_t begin, end, node, depth;
};

/* Everything one tree after the other needs; sized once. */
struct builder {
    struct toc_iforest *forest;
    struct plan plan;
    struct toc_matrix x;
    struct toc_rng rng;
    uint32_t *row_order;  /* permutation of all rows, shuffled a little more by each tree */
    uint64_t *row_taken;  /* bit per row, for drawing with replacement */
    uint32_t *columns;    /* permutation; the first plan.features are the tree's */
    uint32_t *candidates; /* columns not yet tried in this node */
    float *sample;        /* the tree's rows, column after column */
    uint32_t *slots;      /* rows of the sample, partitioned in place */
    size_t sample_count;
    size_t capacity; /* of nodes and path */
};

static void builder_fini(struct builder *b) {
    toc_free(b->row_order);
    toc_free(b->row_taken);
    toc_free(b->columns);
    toc_free(b->candidates);
    toc_free(b->sample);
    toc_free(b->slots);
}

static int builder_init(struct builder *b) {
    const struct plan *p = &b->plan;
    b->row_order = toc_try_calloc(b->x.rows, sizeof *b->row_order);
    b->row_taken = toc_try_calloc(b->x.rows / 64 + 1, sizeof *b->row_taken);
    b->columns = toc_try_calloc(b->x.columns, sizeof *b->columns);
    b->candidates = toc_try_calloc(b->x.columns, sizeof *b->candidates);
    b->sample = toc_try_calloc(p->samples * b->x.columns, sizeof *b->sample);
    b->slots = toc_try_calloc(p->samples, sizeof *b->slots);
    if (!b->row_order || !b->row_taken || !b->columns || !b->candidates || !b->sample || !b->slots)
        return TOC_ENOMEM;
    for (size_t i = 0; i < b->x.rows; i++)
        b->row_order[i] = (uint32_t)i;
    for (size_t i = 0; i < b->x.columns; i++)
        b->columns[i] = (uint32_t)i;
    return 0;
}

/* The first `want` of items become a uniform draw without replacement. */
static void shuffle_front(struct toc_rng *rng, uint32_t *items, size_t count, size_t want) {
    for (size_t i = 0; i < want; i++) {
        size_t j = i + (size_t)toc_rng_below(rng, count - i);
        uint32_t t = items[i];
        items[i] = items[j];
        items[j] = t;
    }
}

/* With replacement scikit-learn weights rows by how often they were drawn; a tree counts each once.
 */
static size_t draw_with_replacement(struct builder *b) {
    size_t kept = 0;
    for (size_t i = 0; i < b->plan.samples; i++) {
        uint32_t row = (uint32_t)toc_rng_below(&b->rng, b->x.rows);
        uint64_t bit = (uint64_t)1 << (row % 64);
        if (b->row_taken[row / 64] & bit)
            continue;
        b->row_taken[row / 64] |= bit;
        b->row_order[kept++] = row;
    }
    for (size_t i = 0; i < kept; i++)
        b->row_taken[b->row_order[i] / 64] = 0;
    return kept;
}

static void draw_sample(struct builder *b) {
    if (b->plan.bootstrap) {
        b->sample_count = draw_with_replacement(b);
    } else {
        shuffle_front(&b->rng, b->row_order, b->x.rows, b->plan.samples);
        b->sample_count = b->plan.samples;
    }
    for (size_t i = 0; i < b->sample_count; i++) {
        const double *row = b->x.values + (size_t)b->row_order[i] * b->x.columns;
        b->slots[i] = (uint32_t)i;
        for (size_t c = 0; c < b->x.columns; c++)
            b->sample[c * b->plan.samples + i] = (float)row[c];
    }
    shuffle_front(&b->rng, b->columns, b->x.columns, b->plan.features);
}

static int reserve_nodes(struct builder *b, size_t more) {
    struct toc_iforest *f = b->forest;
    size_t want = f->node_count + more;
    if (want > TOC_IFOREST_NODES_MAX)
        return TOC_ELIMIT;
    if (want <= b->capacity)
        return 0;
    size_t capacity = TOC_MAX(want, b->capacity + b->capacity / 2);
    void *nodes = toc_try_realloc(f->nodes, capacity * sizeof *f->nodes);
    if (!nodes)
        return TOC_ENOMEM;
    f->nodes = nodes;
    void *path = toc_try_realloc(f->path, capacity * sizeof *f->path);
    if (!path)
        return TOC_ENOMEM;
    f->path = path;
    b->capacity = capacity;
    return 0;
}

struct split {
    uint32_t column;
    float threshold;
};

/* Largest float32 not above t: for float32 x then  x <= t  is the same as  x <= result. */
static float round_down(double t) {
    float f = (float)t;
    return (double)f > t ? nextafterf(f, -INFINITY) : f;
}

static void column_range(const struct builder *b, const struct branch *at, uint32_t column,
                         float *out_min, float *out_max) {
    const float *values = b->sample + (size_t)column * b->plan.samples;
    float min = values[b->slots[at->begin]], max = min;
    for (uint32_t i = at->begin + 1; i < at->end; i++) {
        float v = values[b->slots[i]];
        min = v < min ? v : min;
        max = v > max ? v : max;
    }
    *out_min = min;
    *out_max = max;
}

/* Draws columns until one is not constant among the branch's rows; false when all are. */
static bool choose_split(struct builder *b, const struct branch *at, struct split *out) {
    size_t left = b->plan.features;
    for (size_t i = 0; i < left; i++)
        b->candidates[i] = b->columns[i];
    while (left > 0) {
        size_t pick = (size_t)toc_rng_below(&b->rng, left);
        uint32_t column = b->candidates[pick];
        b->candidates[pick] = b->candidates[--left];
        float min, max;
        column_range(b, at, column, &min, &max);
        if (max <= min + CONSTANT_EPSILON)
            continue;
        double t = (double)min + toc_rng_unit(&b->rng) * ((double)max - (double)min);
        *out = (struct split){column, t >= (double)max ? min : round_down(t)};
        return true;
    }
    return false;
}

/* Rows at or below the threshold to the front; returns where the others begin. */
static uint32_t partition(struct builder *b, const struct branch *at, const struct split *s) {
    const float *values = b->sample + (size_t)s->column * b->plan.samples;
    uint32_t middle = at->begin;
    for (uint32_t i = at->begin; i < at->end; i++) {
        uint32_t slot = b->slots[i];
        if (values[slot] <= s->threshold) {
            b->slots[i] = b->slots[middle];
            b->slots[middle++] = slot;
        }
    }
    return middle;
}

static void make_leaf(struct builder *b, uint32_t first, const struct branch *at) {
    struct toc_iforest *f = b->forest;
    size_t i = (size_t)first + at->node;
    f->nodes[i] = (struct toc_iforest_node){INFINITY, at->node << TOC_IFOREST_FEATURE_BITS};
    f->path[i] = (float)((double)at->depth + toc_iforest_average_path(at->end - at->begin));
}

/* Splits `at` in place: it becomes its left child, *out_right the other. False when it is a leaf.
 */
static bool split_branch(struct builder *b, struct toc_iforest_tree *tree, struct branch *at,
                         struct branch *out_right) {
    struct split s;
    if (at->end - at->begin < 2 || at->depth >= b->plan.depth_max || !choose_split(b, at, &s))
        return false;
    struct toc_iforest *f = b->forest;
    uint32_t middle = partition(b, at, &s), child = tree->count;
    size_t i = (size_t)tree->first + at->node;
    f->nodes[i].threshold = s.threshold;
    f->nodes[i].link = child << TOC_IFOREST_FEATURE_BITS | s.column;
    f->path[i] = 0;
    tree->count += 2;
    f->node_count += 2;
    *out_right = (struct branch){middle, at->end, child + 1, at->depth + 1};
    *at = (struct branch){at->begin, middle, child, at->depth + 1};
    return true;
}

static int grow_tree(struct builder *b, struct toc_iforest_tree *tree) {
    struct branch stack[TOC_IFOREST_DEPTH_MAX + 2];
    size_t depth = 0;
    draw_sample(b);
    int rc = reserve_nodes(b, 2 * b->sample_count);
    if (rc < 0)
        return rc;
    *tree = (struct toc_iforest_tree){(uint32_t)b->forest->node_count, 1, 0};
    b->forest->node_count++;
    stack[depth++] = (struct branch){0, (uint32_t)b->sample_count, 0, 0};
    while (depth > 0) {
        struct branch at = stack[--depth], right;
        while (split_branch(b, tree, &at, &right))
            stack[depth++] = right;
        make_leaf(b, tree->first, &at);
        tree->depth = TOC_MAX(tree->depth, at.depth);
    }
    return 0;
}

static int grow_forest(struct builder *b, struct toc_err *err) {
    struct toc_iforest *f = b->forest;
    int rc = builder_init(b);
    f->trees = toc_try_calloc(b->plan.trees, sizeof *f->trees);
    if (!f->trees)
        rc = TOC_ENOMEM;
    for (size_t i = 0; rc == 0 && i < b->plan.trees; i++) {
        rc = grow_tree(b, &f->trees[i]);
        f->tree_count = i + 1;
    }
    if (rc < 0)
        return toc_errf(err, rc, "training an isolation forest of %zu trees with %zu rows each: %s",
                        b->plan.trees, b->plan.samples, toc_strerror(rc));
    return 0;
}

/* The share of training rows that `contamination` promises lies below the offset. */
static int set_offset(struct toc_iforest *f, struct toc_matrix x, struct toc_err *err) {
    f->offset = -0.5;
    if (f->contamination <= 0)
        return 0;
    double *scores = toc_try_calloc(x.rows, sizeof *scores);
    if (!scores)
        return toc_errf(err, TOC_ENOMEM, "scoring %zu training rows: out of memory", x.rows);
    int rc = toc_iforest_score(f, x, scores, err);
    if (rc == 0)
        f->offset = toc_quantile_select(scores, x.rows, f->contamination);
    toc_free(scores);
    return rc;
}

int toc_iforest_fit(const struct toc_iforest_params *p, struct toc_matrix x,
                    struct toc_iforest **out, struct toc_err *err) {
    *out = NULL;
    struct builder b = {.x = x};
    int rc = make_plan(p, x, &b.plan, err);
    if (rc < 0)
        return rc;
    if (x.rows > UINT32_MAX)
        return toc_errf(err, TOC_ELIMIT, "%zu rows; at most %u are possible", x.rows, UINT32_MAX);
    toc_rng_seed(&b.rng, p->seed);
    b.forest = TOC_NEW(struct toc_iforest);
    b.forest->columns = x.columns;
    b.forest->max_samples = b.plan.samples;
    b.forest->contamination = p->contamination;
    rc = grow_forest(&b, err);
    if (rc == 0)
        rc = set_offset(b.forest, x, err);
    builder_fini(&b);
    if (rc < 0)
        toc_iforest_free(&b.forest);
    else
        *out = b.forest;
    return rc;
}
