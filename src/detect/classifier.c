#include "detect/classifier.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "detect/gboost.h"
#include "detect/logistic.h"

static const double L2 = 0.1;

struct toc_classifier {
    struct toc_gboost *trees;      /* NULL: a logistic regression alone */
    struct toc_logistic *logistic; /* always there */
};

const char *toc_classifier_type_text(enum toc_classifier_type t) {
#define X(name, text) text,
    static const char *const texts[] = {TOC_CLASSIFIER_TABLE(X)};
#undef X
    return texts[t];
}

void toc_classifier_free(struct toc_classifier **c) {
    if (!*c)
        return;
    toc_gboost_free(&(*c)->trees);
    toc_logistic_free(&(*c)->logistic);
    toc_free(*c);
    *c = NULL;
}

enum toc_classifier_type toc_classifier_type(const struct toc_classifier *c) {
    return c->trees ? TOC_CLASSIFIER_TREES : TOC_CLASSIFIER_LOGISTIC;
}

size_t toc_classifier_columns(const struct toc_classifier *c) {
    return toc_logistic_columns(c->logistic);
}

double toc_classifier_probability(const struct toc_classifier *c, const double *row) {
    double odds = toc_logistic_log_odds(c->logistic, row);
    if (c->trees)
        odds = (odds + toc_gboost_log_odds(c->trees, row)) / 2;
    return 1 / (1 + exp(-odds));
}

/* Magnitudes to shares. */
static void to_shares(double *v, size_t n) {
    double all = 0;
    for (size_t i = 0; i < n; i++)
        all += v[i] = fabs(v[i]);
    for (size_t i = 0; i < n && all > 0; i++)
        v[i] /= all;
}

void toc_classifier_importance(const struct toc_classifier *c, double *out_shares) {
    double gains[TOC_GBOOST_COLUMNS_MAX];
    size_t columns = toc_classifier_columns(c);
    toc_logistic_weights(c->logistic, out_shares);
    to_shares(out_shares, columns);
    if (!c->trees)
        return;
    toc_gboost_importance(c->trees, gains);
    for (size_t i = 0; i < columns; i++)
        out_shares[i] += gains[i];
    to_shares(out_shares, columns);
}

/* --- examples --- */

size_t toc_examples_alert_end(const struct toc_examples *e, size_t row) {
    size_t end = row + 1;
    while (end < e->x.rows && e->groups[end] == e->groups[row])
        end++;
    return end;
}

struct counts {
    size_t alerts, of[2];
};

static struct counts count(const struct toc_examples *e) {
    struct counts n = {0};
    for (size_t r = 0; r < e->x.rows; r = toc_examples_alert_end(e, r)) {
        n.alerts++;
        n.of[e->labels[r] != 0]++;
    }
    return n;
}

static int check_enough(const struct counts *n, struct toc_err *err) {
    if (n->alerts < TOC_CLASSIFIER_LOGISTIC_MIN)
        return toc_errf(err, TOC_ENODATA, "not enough verdicts yet (%zu of %d)", n->alerts,
                        TOC_CLASSIFIER_LOGISTIC_MIN);
    for (int k = 0; k < 2; k++)
        if (n->of[k] < TOC_CLASSIFIER_CLASS_MIN)
            return toc_errf(err, TOC_ENODATA, "not enough verdicts \"%s\" yet (%zu of %d)",
                            k ? "true" : "false", n->of[k], TOC_CLASSIFIER_CLASS_MIN);
    return 0;
}

/* Each alert weighs what its looks weigh together. */
static double *row_weights(const struct toc_examples *e) {
    double *w = toc_try_calloc(e->x.rows + 1, sizeof *w);
    for (size_t r = 0; w && r < e->x.rows;) {
        size_t end = toc_examples_alert_end(e, r), looks = end - r;
        double whole = e->weights ? e->weights[r] : 1;
        for (; r < end; r++)
            w[r] = whole / (double)looks;
    }
    return w;
}

/* Few verdicts and many features: each tree sees half of the looks, each node few columns. */
static struct toc_gboost_params tree_params(size_t columns) {
    struct toc_gboost_params p = toc_gboost_params_default();
    p.node_columns = TOC_MAX((size_t)lround(sqrt((double)columns) / 2), (size_t)1);
    p.row_share = 0.5;
    return p;
}

int toc_classifier_fit_as(const struct toc_examples *e, enum toc_classifier_type type,
                          struct toc_classifier **out, struct toc_err *err) {
    struct toc_classifier *c = TOC_NEW(struct toc_classifier);
    struct toc_gboost_params p = tree_params(e->x.columns);
    double *weights = row_weights(e);
    int rc = weights ? 0 : toc_errf(err, TOC_ENOMEM, "no memory for %zu rows", e->x.rows);
    if (rc == 0)
        rc = toc_logistic_fit(L2, e->x, e->labels, weights, &c->logistic, err);
    if (rc == 0 && type == TOC_CLASSIFIER_TREES)
        rc = toc_gboost_fit(&p, e->x, e->labels, weights, &c->trees, err);
    toc_free(weights);
    if (rc < 0)
        toc_classifier_free(&c);
    *out = c;
    return rc;
}

enum toc_classifier_type toc_classifier_type_for(size_t alerts) {
    return alerts >= TOC_CLASSIFIER_TREES_MIN ? TOC_CLASSIFIER_TREES : TOC_CLASSIFIER_LOGISTIC;
}

int toc_examples_check(const struct toc_examples *e, size_t *out_alerts, struct toc_err *err) {
    struct counts n = count(e);
    *out_alerts = n.alerts;
    return check_enough(&n, err);
}

int toc_classifier_fit(const struct toc_examples *e, struct toc_classifier **out,
                       struct toc_err *err) {
    size_t alerts;
    *out = NULL;
    int rc = toc_examples_check(e, &alerts, err);
    return rc < 0 ? rc : toc_classifier_fit_as(e, toc_classifier_type_for(alerts), out, err);
}

/* --- cross-validation --- */

/* The rows outside [first, end), copied together. */
struct rest {
    double *values, *weights;
    uint8_t *labels;
    uint32_t *groups;
    size_t rows;
};

static int rest_make(const struct toc_examples *e, size_t first, size_t end, struct rest *out,
                     struct toc_err *err) {
    size_t n = e->x.rows, columns = e->x.columns;
    *out = (struct rest){toc_try_calloc(n * columns + 1, sizeof(double)),
                         toc_try_calloc(n + 1, sizeof(double)), toc_try_calloc(n + 1, 1),
                         toc_try_calloc(n + 1, sizeof(uint32_t)), 0};
    if (!out->values || !out->weights || !out->labels || !out->groups)
        return toc_errf(err, TOC_ENOMEM, "no memory for %zu rows", n);
    for (size_t r = 0; r < n; r++) {
        if (r >= first && r < end)
            continue;
        for (size_t c = 0; c < columns; c++)
            out->values[out->rows * columns + c] = e->x.values[r * columns + c];
        out->weights[out->rows] = e->weights ? e->weights[r] : 1;
        out->labels[out->rows] = e->labels[r];
        out->groups[out->rows++] = e->groups[r];
    }
    return 0;
}

static void rest_fini(struct rest *r) {
    toc_free(r->values);
    toc_free(r->weights);
    toc_free(r->labels);
    toc_free(r->groups);
}

static size_t true_rows(const struct rest *r) {
    size_t n = 0;
    for (size_t i = 0; i < r->rows; i++)
        n += r->labels[i] != 0;
    return n;
}

static int judge_fold(const struct toc_examples *e, enum toc_classifier_type type, size_t first,
                      size_t end, double *out_p, struct toc_err *err) {
    struct rest rest;
    struct toc_classifier *c = NULL;
    int rc = rest_make(e, first, end, &rest, err);
    size_t right = rc == 0 ? true_rows(&rest) : 0;
    bool has_both = right > 0 && right < rest.rows;
    if (rc == 0 && has_both) {
        struct toc_examples others = {
            {rest.values, rest.rows, e->x.columns}, rest.labels, rest.weights, rest.groups};
        rc = toc_classifier_fit_as(&others, type, &c, err);
    }
    for (size_t r = first; rc == 0 && r < end; r++)
        out_p[r] = c ? toc_classifier_probability(c, e->x.values + r * e->x.columns) : right > 0;
    toc_classifier_free(&c);
    rest_fini(&rest);
    return rc;
}

int toc_classifier_cross_validate(const struct toc_examples *e, enum toc_classifier_type type,
                                  double *out_p, struct toc_err *err) {
    struct counts n = count(e);
    int rc = 0;
    size_t first = 0, seen = 0;
    for (size_t fold = 1; rc == 0 && fold <= TOC_CLASSIFIER_FOLDS; fold++) {
        size_t end = first;
        for (; end < e->x.rows && seen < n.alerts * fold / TOC_CLASSIFIER_FOLDS; seen++)
            end = toc_examples_alert_end(e, end);
        if (end > first)
            rc = judge_fold(e, type, first, end, out_p, err);
        first = end;
    }
    return rc;
}

/* --- bytes: "TCL1", u8 type, the logistic regression's bytes as a string, then those of the trees
 * --- */

static const char MAGIC[4] = {'T', 'C', 'L', '1'};

static void append_model(struct toc_buf *out, struct toc_buf *model) {
    toc_buf_append_varint(out, model->n);
    toc_buf_append_sv(out, toc_buf_sv(model));
    if (toc_buf_error(model) && !out->error)
        out->error = toc_buf_error(model);
    toc_buf_fini(model);
}

void toc_classifier_encode(const struct toc_classifier *c, struct toc_buf *out) {
    struct toc_buf logistic = TOC_BUF_INIT, trees = TOC_BUF_INIT;
    toc_buf_append(out, MAGIC, sizeof MAGIC);
    toc_buf_append_u8(out, (uint8_t)toc_classifier_type(c));
    toc_logistic_encode(c->logistic, &logistic);
    append_model(out, &logistic);
    if (!c->trees)
        return;
    toc_gboost_encode(c->trees, &trees);
    append_model(out, &trees);
}

static int decode_body(struct toc_reader *r, struct toc_classifier *c, struct toc_err *err) {
    uint8_t type = toc_read_u8(r);
    struct toc_sv logistic = toc_read_string(r), trees = TOC_SV_NULL;
    if (type == TOC_CLASSIFIER_TREES)
        trees = toc_read_string(r);
    if (r->error || type >= TOC_CLASSIFIER_TYPE_COUNT || toc_reader_left(r))
        return toc_errf(err, r->error ? r->error : TOC_ECORRUPT, "stored classifier: damaged");
    int rc = toc_logistic_decode(logistic, &c->logistic, err);
    if (rc == 0 && type == TOC_CLASSIFIER_TREES)
        rc = toc_gboost_decode(trees, &c->trees, err);
    if (rc == 0 && c->trees && toc_gboost_columns(c->trees) != toc_logistic_columns(c->logistic))
        rc = toc_errf(err, TOC_ECORRUPT, "stored classifier: parts of different columns");
    return rc;
}

int toc_classifier_decode(struct toc_sv bytes, struct toc_classifier **out, struct toc_err *err) {
    *out = NULL;
    if (bytes.n < sizeof MAGIC + 1)
        return toc_errf(err, TOC_ETRUNCATED, "stored classifier: %s", toc_strerror(TOC_ETRUNCATED));
    if (!toc_sv_eq(toc_sv_sub(bytes, 0, sizeof MAGIC), toc_sv_make(MAGIC, sizeof MAGIC)))
        return toc_errf(err, TOC_EVERSION, "stored classifier: written by another release");
    struct toc_classifier *c = TOC_NEW(struct toc_classifier);
    struct toc_reader r = toc_reader_make(toc_sv_sub(bytes, sizeof MAGIC, bytes.n - sizeof MAGIC));
    int rc = decode_body(&r, c, err);
    if (rc < 0)
        toc_classifier_free(&c);
    *out = c;
    return rc;
}
