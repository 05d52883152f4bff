/* Binary operators: scalars, vector with scalar, vector matching, set operators. */
#include <math.h>
#include <string.h>

#include "promql/eval_priv.h"

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

static bool is_filter(const struct toc_node *n) {
    return toc_binary_info(n->binary)->is_comparison && !n->returns_bool;
}

/* The value at one step; absent when a filter says no. `kept` is what a filter passes on. */
static double combine(const struct toc_node *n, double a, double b, double kept) {
    double v = toc_binary_apply(n->binary, a, b);
    if (is_filter(n))
        return v != 0 ? kept : toc_stale_nan();
    return v;
}

static int scalar_scalar(struct toc_eval *e, const struct toc_node *n,
                         const struct toc_eval_columns *a, const struct toc_eval_columns *b,
                         struct toc_eval_columns *out) {
    struct toc_column *c = toc_eval_columns_add(e, out, TOC_LABELS_EMPTY);
    if (!c)
        return TOC_ELIMIT;
    for (size_t i = 0; i < e->step_count; i++)
        c->values[i] = toc_binary_apply(n->binary, a->items[0].values[i], b->items[0].values[i]);
    return 0;
}

static int vector_scalar(struct toc_eval *e, const struct toc_node *n,
                         const struct toc_eval_columns *vector,
                         const struct toc_eval_columns *scalar, bool is_scalar_left,
                         struct toc_eval_columns *out) {
    const double *s = scalar->items[0].values;
    for (size_t i = 0; i < vector->count; i++) {
        const struct toc_column *v = &vector->items[i];
        struct toc_column *c = toc_eval_columns_add(
            e, out, is_filter(n) ? v->labels : toc_labels_without_name(e, v->labels));
        if (!c)
            return TOC_ELIMIT;
        for (size_t k = 0; k < e->step_count; k++)
            if (!toc_is_absent(v->values[k]))
                c->values[k] = is_scalar_left ? combine(n, s[k], v->values[k], v->values[k])
                                              : combine(n, v->values[k], s[k], v->values[k]);
    }
    return is_filter(n) ? 0 : toc_eval_columns_merge(e, out);
}

/* ------------------------------------------------------------------------------------ vector
 * matching */

static bool in_names(const struct toc_sv *names, size_t count, struct toc_sv name) {
    for (size_t i = 0; i < count; i++)
        if (toc_sv_eq(names[i], name))
            return true;
    return false;
}

/* The labels two series must share. */
static struct toc_labels signature(struct toc_eval *e, const struct toc_node *n,
                                   struct toc_labels l) {
    struct toc_label *items = toc_arena_calloc(e->arena, l.count + 1, sizeof *items);
    struct toc_labels out = {items, 0};
    bool is_on = n->has_grouping && !n->is_without;
    for (size_t i = 0; items && i < l.count; i++) {
        bool is_listed = in_names(n->grouping, n->grouping_count, l.items[i].name);
        bool is_name = toc_sv_eq(l.items[i].name, TOC_METRIC_NAME);
        if (is_on ? is_listed : !is_listed && !is_name)
            items[out.count++] = l.items[i];
    }
    return out;
}

/* Columns of one side by the hash of their signature. */
struct side_index {
    struct toc_map heads; /* hash → number of the first column + 1 */
    size_t *next;         /* next column with the same signature + 1, 0 = none */
    uint64_t *hashes;
};

static int index_side(struct toc_eval *e, const struct toc_node *n,
                      const struct toc_eval_columns *c, struct side_index *x) {
    x->next = toc_arena_calloc(e->arena, c->count + 1, sizeof *x->next);
    x->hashes = toc_arena_calloc(e->arena, c->count + 1, sizeof *x->hashes);
    if (!x->next || !x->hashes)
        return TOC_ELIMIT;
    for (size_t i = c->count; i-- > 0;) {
        x->hashes[i] = toc_labels_hash(signature(e, n, c->items[i].labels));
        void *head = toc_map_get(&x->heads, toc_map_u64(&x->hashes[i]));
        x->next[i] = (size_t)(uintptr_t)head;
        toc_map_put(&x->heads, toc_map_u64(&x->hashes[i]), (void *)(uintptr_t)(i + 1));
    }
    return 0;
}

static size_t first_match(const struct side_index *x, uint64_t hash) {
    return (size_t)(uintptr_t)toc_map_get(&x->heads, toc_map_u64(&hash));
}

static struct toc_labels result_labels(struct toc_eval *e, const struct toc_node *n,
                                       struct toc_labels many, struct toc_labels one) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_add_all(&b, many);
    if (!is_filter(n))
        toc_labels_builder_del(&b, TOC_METRIC_NAME);
    if (n->cardinality == TOC_MATCH_ONE_TO_ONE) {
        bool is_on = n->has_grouping && !n->is_without;
        for (size_t i = 0; i < many.count; i++) {
            bool is_listed = in_names(n->grouping, n->grouping_count, many.items[i].name);
            if (is_on ? !is_listed : is_listed)
                toc_labels_builder_del(&b, many.items[i].name);
        }
    }
    for (size_t i = 0; i < n->include_count; i++)
        toc_labels_builder_set(&b, n->include[i], toc_labels_get(one, n->include[i]));
    struct toc_labels out = toc_labels_dup_arena(toc_labels_builder_finish(&b), e->arena);
    toc_labels_builder_fini(&b);
    return out;
}

struct matching {
    struct toc_eval *e;
    const struct toc_node *n;
    const struct toc_eval_columns *many, *one;
    bool many_is_left;
    struct side_index one_index;
    struct toc_map made; /* hash of result labels → column + 1 */
    uint8_t *used;       /* one-to-one: (group of the one side, step) already matched */
    struct toc_eval_columns *out;
};

static int duplicate(struct matching *m, uint64_t hash, bool is_one_side) {
    struct toc_buf labels = TOC_BUF_INIT;
    size_t first = first_match(&m->one_index, hash);
    toc_labels_format(signature(m->e, m->n, m->one->items[first - 1].labels), &labels);
    int rc;
    if (is_one_side)
        rc = toc_errf(
            m->e->err, TOC_EINVAL,
            "found duplicate series for the match group %s on the %s hand-side of the operation; "
            "many-to-many matching not allowed: matching labels must be unique on one side",
            toc_buf_cstr(&labels), m->many_is_left ? "right" : "left");
    else
        rc = toc_errf(m->e->err, TOC_EINVAL,
                      "multiple matches for labels: many-to-one matching must be explicit "
                      "(group_left/group_right)");
    toc_buf_fini(&labels);
    return rc;
}

/* The column a result goes to, made when new; its number + 1, 0 on error. */
static size_t result_column(struct matching *m, struct toc_labels many, struct toc_labels one) {
    struct toc_labels labels = result_labels(m->e, m->n, many, one);
    uint64_t hash = toc_labels_hash(labels);
    size_t found = (size_t)(uintptr_t)toc_map_get(&m->made, toc_map_u64(&hash));
    if (found)
        return found;
    if (!toc_eval_columns_add(m->e, m->out, labels))
        return 0;
    toc_map_put(&m->made, toc_map_u64(&hash), (void *)(uintptr_t)m->out->count);
    return m->out->count;
}

static int put_result(struct matching *m, size_t column, size_t step, double v) {
    double *cell = &m->out->items[column - 1].values[step];
    if (toc_is_absent(v))
        return 0;
    if (!toc_is_absent(*cell))
        return toc_errf(m->e->err, TOC_EINVAL,
                        "multiple matches for labels: grouping labels must ensure unique matches");
    *cell = v;
    return 0;
}

/* One column of the many side against all of the one side with its signature. */
static int match_column(struct matching *m, const struct toc_column *many, uint64_t hash) {
    size_t head = first_match(&m->one_index, hash);
    for (size_t at = head; at; at = m->one_index.next[at - 1]) {
        const struct toc_column *one = &m->one->items[at - 1];
        size_t column = 0;
        for (size_t step = 0; step < m->e->step_count; step++) {
            double x = many->values[step], y = one->values[step];
            if (toc_is_absent(x) || toc_is_absent(y))
                continue;
            uint8_t *used = &m->used[(head - 1) * m->e->step_count + step];
            if (m->n->cardinality == TOC_MATCH_ONE_TO_ONE && (*used)++)
                return duplicate(m, hash, false);
            double a = m->many_is_left ? x : y, b = m->many_is_left ? y : x;
            double v = combine(m->n, a, b, a);
            if (toc_is_absent(v))
                continue;
            if (!column && !(column = result_column(m, many->labels, one->labels)))
                return TOC_ELIMIT;
            int rc = put_result(m, column, step, v);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

/* Two series of the one side with one signature must not both have a value at a step. */
static int check_one_side(struct matching *m) {
    for (size_t i = 0; i < m->one->count; i++)
        for (size_t at = m->one_index.next[i]; at; at = m->one_index.next[at - 1])
            for (size_t step = 0; step < m->e->step_count; step++)
                if (!toc_is_absent(m->one->items[i].values[step]) &&
                    !toc_is_absent(m->one->items[at - 1].values[step]))
                    return duplicate(m, m->one_index.hashes[i], true);
    return 0;
}

static int vector_vector(struct toc_eval *e, const struct toc_node *n,
                         const struct toc_eval_columns *left, const struct toc_eval_columns *right,
                         struct toc_eval_columns *out) {
    bool many_is_left = n->cardinality != TOC_MATCH_GROUP_RIGHT;
    struct matching m = {.e = e,
                         .n = n,
                         .many = many_is_left ? left : right,
                         .one = many_is_left ? right : left,
                         .many_is_left = many_is_left,
                         .out = out};
    int rc = index_side(e, n, m.one, &m.one_index);
    m.used = toc_arena_calloc(e->arena, m.one->count + 1, e->step_count);
    if (rc == 0 && !m.used)
        rc = TOC_ELIMIT;
    if (rc == 0)
        rc = check_one_side(&m);
    for (size_t i = 0; i < m.many->count && rc == 0; i++) {
        uint64_t hash = toc_labels_hash(signature(e, n, m.many->items[i].labels));
        rc = match_column(&m, &m.many->items[i], hash);
    }
    toc_map_fini(&m.made);
    toc_map_fini(&m.one_index.heads);
    return rc;
}

/* -------------------------------------------------------------------------------------- set
 * operators */

static bool has_partner(const struct toc_eval_columns *c, const struct side_index *x, uint64_t hash,
                        size_t step) {
    for (size_t at = first_match(x, hash); at; at = x->next[at - 1])
        if (!toc_is_absent(c->items[at - 1].values[step]))
            return true;
    return false;
}

/* Copies the steps of `in` at which a partner on the other side is there (or is not). */
static int copy_where(struct toc_eval *e, const struct toc_node *n,
                      const struct toc_eval_columns *in, const struct toc_eval_columns *other,
                      const struct side_index *x, bool wants_partner,
                      struct toc_eval_columns *out) {
    for (size_t i = 0; i < in->count; i++) {
        uint64_t hash = toc_labels_hash(signature(e, n, in->items[i].labels));
        struct toc_column *c = toc_eval_columns_add(e, out, in->items[i].labels);
        if (!c)
            return TOC_ELIMIT;
        for (size_t step = 0; step < e->step_count; step++)
            if (!toc_is_absent(in->items[i].values[step]) &&
                has_partner(other, x, hash, step) == wants_partner)
                c->values[step] = in->items[i].values[step];
    }
    return 0;
}

static int eval_set(struct toc_eval *e, const struct toc_node *n,
                    const struct toc_eval_columns *left, const struct toc_eval_columns *right,
                    struct toc_eval_columns *out) {
    struct side_index x = {0};
    int rc;
    if (n->binary == TOC_BINARY_OR) {
        rc = index_side(e, n, left, &x);
        for (size_t i = 0; i < left->count && rc == 0; i++)
            TOC_VEC_PUSH(out, left->items[i]);
        if (rc == 0)
            rc = copy_where(e, n, right, left, &x, false, out);
        if (rc == 0)
            rc = toc_eval_columns_merge(e, out);
    } else {
        rc = index_side(e, n, right, &x);
        if (rc == 0)
            rc = copy_where(e, n, left, right, &x, n->binary == TOC_BINARY_AND, out);
    }
    toc_map_fini(&x.heads);
    return rc;
}

int toc_eval_binary(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    struct toc_eval_columns left = {0}, right = {0};
    int rc = toc_eval_node(e, n->left, &left);
    if (rc == 0)
        rc = toc_eval_node(e, n->right, &right);
    bool a = n->left->type == TOC_PROMQL_SCALAR, b = n->right->type == TOC_PROMQL_SCALAR;
    if (rc == 0 && toc_binary_info(n->binary)->is_set)
        rc = eval_set(e, n, &left, &right, out);
    else if (rc == 0 && a && b)
        rc = scalar_scalar(e, n, &left, &right, out);
    else if (rc == 0 && (a || b))
        rc = vector_scalar(e, n, a ? &right : &left, a ? &left : &right, a, out);
    else if (rc == 0)
        rc = vector_vector(e, n, &left, &right, out);
    toc_eval_columns_fini(&left);
    toc_eval_columns_fini(&right);
    return rc;
}
