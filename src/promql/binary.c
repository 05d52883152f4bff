/* Binary operators: scalars, vector with scalar, and one element of any kind. */
#include "promql/binary_priv.h"

#include <math.h>

#include "model/histogram_math.h"

double toc_binary_apply(enum toc_binary_op op, double a, double b) {
    switch (op) {
    case TOC_BINARY_ADD:
        return a + b;
    case TOC_BINARY_SUB:
        return a - b;
    case TOC_BINARY_MUL:
        return a * b;
    case TOC_BINARY_DIV:
        return a / b;
    case TOC_BINARY_MOD:
        return fmod(a, b);
    case TOC_BINARY_POW:
        return pow(a, b);
    case TOC_BINARY_ATAN2:
        return atan2(a, b);
    case TOC_BINARY_EQ:
        return a == b;
    case TOC_BINARY_NE:
        return a != b;
    case TOC_BINARY_LT:
        return a < b;
    case TOC_BINARY_LE:
        return a <= b;
    case TOC_BINARY_GT:
        return a > b;
    case TOC_BINARY_GE:
        return a >= b;
    default:
        return NAN;
    }
}

bool toc_binary_keeps_name(const struct toc_node *n) {
    return toc_binary_is_filter(n) || n->binary == TOC_BINARY_TRIM_UPPER ||
           n->binary == TOC_BINARY_TRIM_LOWER;
}

bool toc_binary_is_filter(const struct toc_node *n) {
    return toc_binary_info(n->binary)->is_comparison && !n->returns_bool;
}

int toc_column_put(struct toc_eval *e, struct toc_column *c, size_t i, struct toc_element x) {
    if (x.histogram)
        return toc_column_set_histogram(e, c, i, x.histogram);
    c->values[i] = x.value;
    return 0;
}

/* --------------------------------------------------------------------------------- histograms */

static int wrong_types(struct toc_eval *e, const struct toc_node *n, struct toc_element a,
                       struct toc_element b) {
    toc_eval_note(e, TOC_NOTE_INFO, n,
                  "incompatible sample types encountered for binary operator \"%s\": %s %s %s",
                  toc_binary_info(n->binary)->text, a.histogram ? "histogram" : "float",
                  toc_binary_info(n->binary)->text, b.histogram ? "histogram" : "float");
    return 0;
}

static int give(struct toc_eval *e, const struct toc_histogram *h, struct toc_element *out) {
    if (!h)
        return toc_eval_no_memory(e);
    *out = (struct toc_element){.histogram = h};
    return 1;
}

static int compacted(struct toc_eval *e, const struct toc_histogram *h, struct toc_element *out) {
    return give(e, h ? toc_histogram_compact(h, e->arena) : NULL, out);
}

static int histogram_with_number(struct toc_eval *e, const struct toc_node *n, struct toc_element a,
                                 struct toc_element b, struct toc_element *out) {
    switch (n->binary) {
    case TOC_BINARY_MUL:
        return a.histogram ? compacted(e, toc_histogram_scale(a.histogram, b.value, e->arena), out)
                           : compacted(e, toc_histogram_scale(b.histogram, a.value, e->arena), out);
    case TOC_BINARY_DIV:
        if (a.histogram)
            return compacted(e, toc_histogram_divide(a.histogram, b.value, e->arena), out);
        break;
    case TOC_BINARY_TRIM_UPPER:
    case TOC_BINARY_TRIM_LOWER:
        if (a.histogram)
            return give(e,
                        toc_histogram_trim(a.histogram, b.value, n->binary == TOC_BINARY_TRIM_UPPER,
                                           e->arena),
                        out);
        break;
    default:
        break;
    }
    return wrong_types(e, n, a, b);
}

static int add_or_subtract(struct toc_eval *e, const struct toc_node *n, struct toc_element a,
                           struct toc_element b, struct toc_element *out) {
    bool is_sum = n->binary == TOC_BINARY_ADD;
    const char *name = is_sum ? "addition" : "subtraction";
    struct toc_histogram_notes notes = {0};
    struct toc_histogram *h = is_sum
                                  ? toc_histogram_add(a.histogram, b.histogram, e->arena, &notes)
                                  : toc_histogram_sub(a.histogram, b.histogram, e->arena, &notes);
    if (notes.is_incompatible) {
        toc_eval_note(e, TOC_NOTE_WARNING, n,
                      "incompatible bucket layout encountered for binary operator %s",
                      toc_binary_info(n->binary)->text);
        return 0;
    }
    if (notes.has_reset_conflict)
        toc_eval_note(e, TOC_NOTE_WARNING, n, "conflicting counter resets during histogram %s",
                      name);
    if (notes.has_reconciled_buckets)
        toc_eval_note(e, TOC_NOTE_INFO, n, "mismatched custom buckets were reconciled during %s",
                      name);
    return compacted(e, h, out);
}

static int two_histograms(struct toc_eval *e, const struct toc_node *n, struct toc_element a,
                          struct toc_element b, struct toc_element kept, struct toc_element *out) {
    if (n->binary == TOC_BINARY_ADD || n->binary == TOC_BINARY_SUB)
        return add_or_subtract(e, n, a, b, out);
    if (n->binary != TOC_BINARY_EQ && n->binary != TOC_BINARY_NE)
        return wrong_types(e, n, a, b);
    bool is_true = toc_histogram_eq(a.histogram, b.histogram) == (n->binary == TOC_BINARY_EQ);
    *out = kept;
    if (n->returns_bool)
        *out = (struct toc_element){.value = is_true};
    return n->returns_bool || is_true;
}

int toc_binary_element(struct toc_eval *e, const struct toc_node *n, struct toc_element a,
                       struct toc_element b, struct toc_element kept, struct toc_element *out) {
    if (a.histogram && b.histogram)
        return two_histograms(e, n, a, b, kept, out);
    if (a.histogram || b.histogram)
        return histogram_with_number(e, n, a, b, out);
    if (n->binary == TOC_BINARY_TRIM_UPPER || n->binary == TOC_BINARY_TRIM_LOWER)
        return wrong_types(e, n, a, b);
    double v = toc_binary_apply(n->binary, a.value, b.value);
    if (!toc_binary_is_filter(n)) {
        *out = (struct toc_element){.value = v};
        return 1;
    }
    *out = kept;
    return v != 0;
}

/* ------------------------------------------------------------------------------------ scalars */

static int scalar_scalar(struct toc_eval *e, const struct toc_node *n,
                         const struct toc_eval_columns *a, const struct toc_eval_columns *b,
                         struct toc_eval_columns *out) {
    if (n->binary == TOC_BINARY_TRIM_UPPER || n->binary == TOC_BINARY_TRIM_LOWER)
        return toc_errf(e->err, TOC_EINVAL, "operator \"%s\" not allowed for Scalar operations",
                        toc_binary_info(n->binary)->text);
    struct toc_column *c = toc_eval_columns_add(e, out, TOC_LABELS_EMPTY);
    if (!c)
        return TOC_ELIMIT;
    for (size_t i = 0; i < e->step_count; i++)
        c->values[i] = toc_binary_apply(n->binary, a->items[0].values[i], b->items[0].values[i]);
    return 0;
}

/* A comparison keeps the vector's element even when the scalar stands on the left. */
static int with_scalar(struct toc_eval *e, const struct toc_node *n, const struct toc_column *v,
                       const double *s, bool is_scalar_left, struct toc_eval_columns *out) {
    struct toc_column *c = toc_eval_columns_add(e, out, v->labels);
    if (!c)
        return TOC_ELIMIT;
    c->drop_name = v->drop_name;
    if (!toc_binary_keeps_name(n))
        toc_column_drop_name(e, c);
    for (size_t k = 0; k < e->step_count; k++) {
        if (toc_is_absent(v->values[k]))
            continue;
        struct toc_element x = toc_column_element(v, k), y = {.value = s[k]}, result;
        int rc = is_scalar_left ? toc_binary_element(e, n, y, x, x, &result)
                                : toc_binary_element(e, n, x, y, x, &result);
        if (rc == 1)
            rc = toc_column_put(e, c, k, result);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int vector_scalar(struct toc_eval *e, const struct toc_node *n,
                         const struct toc_eval_columns *vector,
                         const struct toc_eval_columns *scalar, bool is_scalar_left,
                         struct toc_eval_columns *out) {
    int rc = 0;
    for (size_t i = 0; i < vector->count && rc == 0; i++)
        rc = with_scalar(e, n, &vector->items[i], scalar->items[0].values, is_scalar_left, out);
    if (rc < 0 || toc_binary_keeps_name(n))
        return rc;
    return toc_eval_columns_merge(e, out, false);
}

int toc_eval_binary(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    struct toc_eval_columns left = {0}, right = {0};
    int rc = toc_eval_node(e, n->left, &left);
    if (rc == 0)
        rc = toc_eval_node(e, n->right, &right);
    bool a = n->left->type == TOC_PROMQL_SCALAR, b = n->right->type == TOC_PROMQL_SCALAR;
    if (rc == 0 && toc_binary_info(n->binary)->is_set)
        rc = toc_binary_set(e, n, &left, &right, out);
    else if (rc == 0 && a && b)
        rc = scalar_scalar(e, n, &left, &right, out);
    else if (rc == 0 && (a || b))
        rc = vector_scalar(e, n, a ? &right : &left, a ? &left : &right, a, out);
    else if (rc == 0)
        rc = toc_binary_match(e, n, &left, &right, out);
    toc_eval_columns_fini(&left);
    toc_eval_columns_fini(&right);
    return rc;
}
