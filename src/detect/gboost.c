#include "detect/gboost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "detect/gboost_priv.h"

/* More log odds than this says nothing; keeps sums finite. */
static const double LOG_ODDS_MAX = 30, GAIN_MIN = 1e-9;

struct sums {
    double gradient, hessian, weight;
};

struct training {
    const struct toc_gboost_params *params;
    struct toc_matrix x;
    const uint8_t *labels;
    const double *weights;
    struct toc_gboost *model;
    double *edges;      /* columns x (bins - 1), rising; bin = number of edges below the value */
    size_t *edge_count; /* per column */
    uint8_t *bins;      /* rows x columns */
    double *score;      /* log odds per row so far */
    double *gradient, *hessian;
    uint16_t *node;    /* of each row in the tree under construction */
    uint8_t *is_drawn; /* does the tree learn from the row? */
    struct toc_rng rng;
    struct sums *histogram; /* nodes of one level x columns x bins */
};

struct toc_gboost_params toc_gboost_params_default(void) {
    return (struct toc_gboost_params){
        .trees = 150, .depth = 4, .rate = 0.05, .l2 = 1, .min_weight = 10};
}

struct toc_gboost *toc_gboost_new(size_t trees, size_t depth, size_t columns) {
    struct toc_gboost *g = TOC_NEW(struct toc_gboost);
    size_t inner = toc_gboost_inner(depth);
    *g = (struct toc_gboost){.trees = trees, .depth = depth, .columns = columns};
    g->nodes = toc_try_calloc(trees * inner + 1, sizeof *g->nodes);
    g->leaves = toc_try_calloc(trees * (inner + 1) + 1, sizeof *g->leaves);
    if (!g->nodes || !g->leaves)
        toc_gboost_free(&g);
    return g;
}

void toc_gboost_free(struct toc_gboost **g) {
    if (!*g)
        return;
    toc_free((*g)->nodes);
    toc_free((*g)->leaves);
    toc_free(*g);
    *g = NULL;
}

size_t toc_gboost_columns(const struct toc_gboost *g) {
    return g->columns;
}

double toc_gboost_log_odds(const struct toc_gboost *g, const double *row) {
    size_t inner = toc_gboost_inner(g->depth);
    double sum = g->base;
    for (size_t t = 0; t < g->trees; t++) {
        const struct toc_gboost_node *nodes = g->nodes + t * inner;
        size_t at = 0;
        for (size_t level = 0; level < g->depth; level++)
            at = 2 * at + 1 + (row[nodes[at].column] > nodes[at].threshold);
        sum += g->leaves[t * (inner + 1) + at - inner];
    }
    return sum;
}

void toc_gboost_importance(const struct toc_gboost *g, double *out_shares) {
    double all = 0;
    for (size_t c = 0; c < g->columns; c++)
        all += g->gain[c];
    for (size_t c = 0; c < g->columns; c++)
        out_shares[c] = all > 0 ? g->gain[c] / all : 0;
}

/* --- bins --- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Edges halfway between neighbouring values: all of them when they are few, else at quantiles. */
static size_t make_edges(const double *sorted, size_t count, double *edges) {
    size_t n = 0, wanted = TOC_GBOOST_BINS - 1;
    for (size_t k = 1; k <= wanted && count > 1; k++) {
        size_t at = count <= wanted ? k : k * count / (wanted + 1);
        if (at == 0 || at >= count)
            continue;
        while (at < count && sorted[at] == sorted[at - 1])
            at++;
        if (at == count)
            break;
        double edge = sorted[at - 1] + (sorted[at] - sorted[at - 1]) / 2;
        if (edge >= sorted[at] || !isfinite(edge)) /* neighbours in floating point */
            edge = sorted[at - 1];
        if (n == 0 || edge > edges[n - 1])
            edges[n++] = edge;
    }
    return n;
}

static uint8_t bin_of(const double *edges, size_t count, double v) {
    size_t low = 0, high = count; /* NaN is greater than nothing: bin 0 */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (v > edges[middle])
            low = middle + 1;
        else
            high = middle;
    }
    return (uint8_t)low;
}

static void bin_column(struct training *t, size_t c, double *scratch) {
    size_t known = 0;
    for (size_t r = 0; r < t->x.rows; r++) {
        double v = t->x.values[r * t->x.columns + c];
        if (!isnan(v))
            scratch[known++] = v;
    }
    qsort(scratch, known, sizeof *scratch, by_value);
    double *edges = t->edges + c * TOC_GBOOST_BINS;
    t->edge_count[c] = make_edges(scratch, known, edges);
    for (size_t r = 0; r < t->x.rows; r++)
        t->bins[r * t->x.columns + c] =
            bin_of(edges, t->edge_count[c], t->x.values[r * t->x.columns + c]);
}

/* --- one tree --- */

static double weight_of(const struct training *t, size_t row) {
    return t->weights ? t->weights[row] : 1;
}

static void compute_gradients(struct training *t) {
    for (size_t r = 0; r < t->x.rows; r++) {
        double p = 1 / (1 + exp(-t->score[r])), w = weight_of(t, r);
        t->gradient[r] = w * (p - t->labels[r]);
        t->hessian[r] = w * fmax(p * (1 - p), 1e-12);
    }
}

static void add_to(struct sums *s, double g, double h, double w) {
    s->gradient += g;
    s->hessian += h;
    s->weight += w;
}

/* Histograms of the nodes of one level, `first` being its first. */
static void fill_histogram(struct training *t, size_t first, size_t count) {
    size_t columns = t->x.columns;
    memset(t->histogram, 0, count * columns * TOC_GBOOST_BINS * sizeof *t->histogram);
    for (size_t r = 0; r < t->x.rows; r++) {
        if (!t->is_drawn[r])
            continue;
        struct sums *h = t->histogram + (t->node[r] - first) * columns * TOC_GBOOST_BINS;
        const uint8_t *bins = t->bins + r * columns;
        for (size_t c = 0; c < columns; c++)
            add_to(&h[c * TOC_GBOOST_BINS + bins[c]], t->gradient[r], t->hessian[r],
                   weight_of(t, r));
    }
}

static double worth(const struct sums *s, double l2) {
    return s->gradient * s->gradient / (s->hessian + l2);
}

struct split {
    double gain;
    size_t column, edge;
};

static void try_column(const struct training *t, const struct sums *h, size_t column,
                       struct split *best) {
    struct sums all = {0}, left = {0};
    double l2 = t->params->l2;
    for (size_t b = 0; b < TOC_GBOOST_BINS; b++)
        add_to(&all, h[b].gradient, h[b].hessian, h[b].weight);
    for (size_t e = 0; e < t->edge_count[column]; e++) {
        add_to(&left, h[e].gradient, h[e].hessian, h[e].weight);
        struct sums right = {all.gradient - left.gradient, all.hessian - left.hessian,
                             all.weight - left.weight};
        if (left.weight < t->params->min_weight || right.weight < t->params->min_weight)
            continue;
        double gain = worth(&left, l2) + worth(&right, l2) - worth(&all, l2);
        if (gain > best->gain)
            *best = (struct split){gain, column, e};
    }
}

/* Those that a node tries: the first of a partial Fisher-Yates shuffle. */
static size_t draw_columns(struct training *t, uint8_t *out) {
    size_t all = t->x.columns, wanted = t->params->node_columns;
    for (size_t c = 0; c < all; c++)
        out[c] = (uint8_t)c;
    if (wanted == 0 || wanted >= all)
        return all;
    for (size_t i = 0; i < wanted; i++) {
        size_t k = i + toc_rng_below(&t->rng, all - i);
        uint8_t drawn = out[k];
        out[k] = out[i];
        out[i] = drawn;
    }
    return wanted;
}

static void draw_rows(struct training *t) {
    double share = t->params->row_share;
    for (size_t r = 0; r < t->x.rows; r++)
        t->is_drawn[r] = share == 0 || toc_rng_unit(&t->rng) < share;
}

static void split_node(struct training *t, const struct sums *h, struct toc_gboost_node *node) {
    struct split best = {.gain = GAIN_MIN};
    uint8_t columns[TOC_GBOOST_COLUMNS_MAX];
    size_t count = draw_columns(t, columns);
    for (size_t i = 0; i < count; i++)
        try_column(t, h + columns[i] * TOC_GBOOST_BINS, columns[i], &best);
    *node = (struct toc_gboost_node){INFINITY, 0};
    if (!(best.gain > GAIN_MIN))
        return;
    t->model->gain[best.column] += best.gain;
    *node = (struct toc_gboost_node){t->edges[best.column * TOC_GBOOST_BINS + best.edge],
                                     (uint8_t)best.column};
}

static void grow(struct training *t, struct toc_gboost_node *nodes) {
    for (size_t level = 0; level < t->params->depth; level++) {
        size_t first = toc_gboost_inner(level), count = (size_t)1 << level;
        fill_histogram(t, first, count);
        for (size_t k = 0; k < count; k++)
            split_node(t, t->histogram + k * t->x.columns * TOC_GBOOST_BINS, &nodes[first + k]);
        for (size_t r = 0; r < t->x.rows; r++) {
            const struct toc_gboost_node *n = &nodes[t->node[r]];
            bool is_right = t->x.values[r * t->x.columns + n->column] > n->threshold;
            t->node[r] = (uint16_t)(2 * t->node[r] + 1 + is_right);
        }
    }
}

static void set_leaves(struct training *t, double *leaves, size_t inner) {
    struct sums sums[1 << TOC_GBOOST_DEPTH_MAX] = {0};
    for (size_t r = 0; r < t->x.rows; r++)
        if (t->is_drawn[r])
            add_to(&sums[t->node[r] - inner], t->gradient[r], t->hessian[r], 0);
    for (size_t k = 0; k <= inner; k++) { /* 0 where no drawn row came */
        double weight = sums[k].hessian + t->params->l2;
        leaves[k] = weight > 0 ? -t->params->rate * sums[k].gradient / weight : 0;
    }
    for (size_t r = 0; r < t->x.rows; r++)
        t->score[r] =
            fmin(fmax(t->score[r] + leaves[t->node[r] - inner], -LOG_ODDS_MAX), LOG_ODDS_MAX);
}

static void train(struct training *t, double *scratch) {
    struct toc_gboost *g = t->model;
    size_t inner = toc_gboost_inner(g->depth);
    for (size_t c = 0; c < t->x.columns; c++)
        bin_column(t, c, scratch);
    for (size_t r = 0; r < t->x.rows; r++)
        t->score[r] = g->base;
    for (size_t k = 0; k < g->trees; k++) {
        memset(t->node, 0, t->x.rows * sizeof *t->node);
        compute_gradients(t);
        draw_rows(t);
        grow(t, g->nodes + k * inner);
        set_leaves(t, g->leaves + k * (inner + 1), inner);
    }
}

/* --- checks --- */

static int check_params(const struct toc_gboost_params *p, struct toc_matrix x,
                        struct toc_err *err) {
    if (!p->trees || p->trees > TOC_GBOOST_TREES_MAX || !p->depth ||
        p->depth > TOC_GBOOST_DEPTH_MAX || !(p->rate > 0 && p->rate <= 1) ||
        !(p->l2 >= 0 && p->l2 <= 1e6) || !(p->min_weight >= 0) ||
        !(p->row_share >= 0 && p->row_share <= 1))
        return toc_errf(err, TOC_EINVAL,
                        "boosted trees: expected 1 to %d trees of depth 1 to %d, a rate in (0, 1] "
                        "and no negative penalty",
                        TOC_GBOOST_TREES_MAX, TOC_GBOOST_DEPTH_MAX);
    if (x.columns == 0 || x.columns > TOC_GBOOST_COLUMNS_MAX || x.rows > TOC_GBOOST_ROWS_MAX)
        return toc_errf(err, TOC_ELIMIT, "boosted trees: %zu rows of %zu columns; limits %d and %d",
                        x.rows, x.columns, TOC_GBOOST_ROWS_MAX, TOC_GBOOST_COLUMNS_MAX);
    return 0;
}

/* The log odds of the classes' weights. */
static int check_labels(const struct training *t, double *out_base, struct toc_err *err) {
    double of[2] = {0};
    for (size_t r = 0; r < t->x.rows; r++) {
        double w = weight_of(t, r);
        if (t->labels[r] > 1 || !(w > 0 && w <= 1e6))
            return toc_errf(err, TOC_EINVAL, "boosted trees: row %zu: label %d, weight %g", r + 1,
                            t->labels[r], w);
        of[t->labels[r]] += w;
    }
    if (!(of[0] > 0) || !(of[1] > 0))
        return toc_errf(err, TOC_EINVAL, "boosted trees: all rows are of one class");
    for (size_t i = 0; i < t->x.rows * t->x.columns; i++)
        if (isinf(t->x.values[i]))
            return toc_errf(err, TOC_EINVAL, "boosted trees: row %zu, column %zu is infinite",
                            i / t->x.columns + 1, i % t->x.columns + 1);
    *out_base = log(of[1] / of[0]);
    return 0;
}

int toc_gboost_fit(const struct toc_gboost_params *p, struct toc_matrix x, const uint8_t *labels,
                   const double *weights, struct toc_gboost **out, struct toc_err *err) {
    struct training t = {.params = p, .x = x, .labels = labels, .weights = weights};
    double base = 0, *scratch = NULL;
    *out = NULL;
    int rc = check_params(p, x, err);
    if (rc == 0)
        rc = check_labels(&t, &base, err);
    if (rc < 0)
        return rc;
    size_t level_nodes = (size_t)1 << (p->depth - 1);
    t.model = toc_gboost_new(p->trees, p->depth, x.columns);
    t.edges = toc_try_calloc(x.columns * TOC_GBOOST_BINS, sizeof *t.edges);
    t.edge_count = toc_try_calloc(x.columns, sizeof *t.edge_count);
    t.bins = toc_try_calloc(x.rows, x.columns);
    t.score = toc_try_calloc(x.rows, sizeof *t.score);
    t.gradient = toc_try_calloc(x.rows, sizeof *t.gradient);
    t.hessian = toc_try_calloc(x.rows, sizeof *t.hessian);
    t.is_drawn = toc_try_calloc(x.rows, 1);
    t.node = toc_try_calloc(x.rows, sizeof *t.node);
    t.histogram = toc_try_calloc(level_nodes * x.columns * TOC_GBOOST_BINS, sizeof *t.histogram);
    scratch = toc_try_calloc(x.rows, sizeof *scratch);
    bool is_ready = t.model && t.edges && t.edge_count && t.bins && t.score && t.gradient &&
                    t.hessian && t.is_drawn && t.node && t.histogram && scratch;
    if (is_ready) {
        t.model->base = base;
        toc_rng_seed(&t.rng, p->seed);
        train(&t, scratch);
        *out = t.model;
    } else {
        toc_gboost_free(&t.model);
        rc = toc_errf(err, TOC_ENOMEM, "boosted trees: no memory for %zu rows", x.rows);
    }
    toc_free(t.edges);
    toc_free(t.edge_count);
    toc_free(t.bins);
    toc_free(t.score);
    toc_free(t.gradient);
    toc_free(t.hessian);
    toc_free(t.is_drawn);
    toc_free(t.node);
    toc_free(t.histogram);
    toc_free(scratch);
    return rc;
}
