/* Two vectors: one-to-one, many-to-one and one-to-many matching, with fill values. */
#include <string.h>

#include "promql/binary_priv.h"

struct matching {
    struct toc_eval *e;
    const struct toc_node *n;
    const struct toc_eval_columns *many, *one;
    bool many_is_left;
    struct toc_side many_side, one_side;
    struct toc_label_index made; /* number of the result's column + 1 */
    uint8_t *used;    /* one-to-one: (first column of a match group, step) has a result */
    uint8_t *many_at; /* per step: has the many side anything? */
    struct toc_eval_columns *out;
};

/* ------------------------------------------------------------------------------------- errors */

static void format_all(struct toc_labels l, struct toc_buf *out) {
    toc_buf_append_cstr(out, "{");
    for (size_t i = 0; i < l.count; i++) {
        struct toc_labels one = {&l.items[i], 1};
        struct toc_buf pair = TOC_BUF_INIT;
        toc_buf_append_cstr(out, i ? ", " : "");
        if (toc_sv_eq(l.items[i].name, TOC_METRIC_NAME)) {
            toc_buf_printf(out, "__name__=\"%.*s\"", TOC_SV_ARG(l.items[i].value));
        } else {
            toc_labels_format(one, &pair);
            toc_buf_append(out, pair.p + 1, pair.n - 2); /* without the braces */
        }
        toc_buf_fini(&pair);
    }
    toc_buf_append_cstr(out, "}");
}

static int duplicate_on_one_side(struct matching *m, size_t first, size_t second) {
    struct toc_buf group = TOC_BUF_INIT, a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    format_all(m->one_side.labels[first], &group);
    format_all(m->one->items[second].labels, &a);
    format_all(m->one->items[first].labels, &b);
    int rc = toc_errf(m->e->err, TOC_EINVAL,
                      "found duplicate series for the match group %s on the %s hand-side of the "
                      "operation: [%s, %s];many-to-many matching not allowed: matching labels must "
                      "be unique on one side",
                      toc_buf_cstr(&group), m->many_is_left ? "right" : "left", toc_buf_cstr(&a),
                      toc_buf_cstr(&b));
    toc_buf_fini(&group);
    toc_buf_fini(&a);
    toc_buf_fini(&b);
    return rc;
}

static int many_to_one(struct matching *m) {
    return toc_errf(m->e->err, TOC_EINVAL,
                    "multiple matches for labels: many-to-one matching must be explicit "
                    "(group_left/group_right)");
}

/* ------------------------------------------------------------------------------------- labels */

static bool is_listed(const struct toc_node *n, struct toc_sv name) {
    for (size_t i = 0; i < n->grouping_count; i++)
        if (toc_sv_eq(n->grouping[i], name))
            return true;
    return false;
}

/* Does the result keep this label of the many side? */
static bool is_kept(const struct matching *m, struct toc_sv name, bool drops_name) {
    const struct toc_node *n = m->n;
    if (drops_name && toc_label_is_name(name))
        return false;
    bool is_on = n->has_grouping && !n->is_without;
    return n->cardinality != TOC_MATCH_ONE_TO_ONE || is_listed(n, name) == is_on;
}

/* The included labels come from the one side, or go where it lacks them. */
static struct toc_labels include_labels(struct matching *m, struct toc_labels kept,
                                        struct toc_labels one) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_add_all(&b, kept);
    for (size_t i = 0; i < m->n->include_count; i++)
        toc_labels_builder_set(&b, m->n->include[i], toc_labels_get(one, m->n->include[i]));
    struct toc_labels out = toc_labels_dup_arena(toc_labels_builder_finish(&b), m->e->arena);
    toc_labels_builder_fini(&b);
    return out;
}

static struct toc_labels result_labels(struct matching *m, struct toc_labels many,
                                       struct toc_labels one, bool *out_drop_name) {
    bool is_delayed = toc_eval_has(m->e, TOC_PROMQL_DELAYED_NAME_REMOVAL), drops_name = false;
    if (!toc_binary_keeps_name(m->n)) {
        *out_drop_name = is_delayed;
        drops_name = !is_delayed;
    }
    struct toc_label *items = toc_arena_calloc(m->e->arena, many.count + 1, sizeof *items);
    struct toc_labels out = {items, 0};
    for (size_t i = 0; items && i < many.count; i++)
        if (is_kept(m, many.items[i].name, drops_name))
            items[out.count++] = many.items[i];
    return m->n->include_count ? include_labels(m, out, one) : out;
}

/* The number + 1 of the column a result goes to, made when new; 0 without memory. */
static size_t result_column(struct matching *m, const struct toc_column *many,
                            struct toc_labels one) {
    bool drop_name = many->drop_name;
    struct toc_labels labels = result_labels(m, many->labels, one, &drop_name);
    size_t *number = toc_label_index_at(&m->made, labels);
    size_t known = *number;
    if (known)
        return known;
    *number = m->out->count + 1; /* without memory the matching ends here */
    struct toc_column *c = toc_eval_columns_add(m->e, m->out, labels);
    if (!c)
        return 0;
    c->drop_name |= drop_name;
    return m->out->count;
}

/* ------------------------------------------------------------------------------------- values */

/* One pair at one step. *column is 0 until there is a result. `group` names the match group. */
static int put_pair(struct matching *m, const struct toc_column *many, struct toc_labels one,
                    struct toc_element x, struct toc_element y, size_t group, size_t step,
                    size_t *column) {
    struct toc_element a = m->many_is_left ? x : y, b = m->many_is_left ? y : x, result;
    int rc = toc_binary_element(m->e, m->n, a, b, a, &result);
    if (rc <= 0)
        return rc;
    if (m->n->cardinality == TOC_MATCH_ONE_TO_ONE && group) {
        uint8_t *used = &m->used[(group - 1) * m->e->step_count + step];
        if ((*used)++)
            return many_to_one(m);
    }
    if (!*column && !(*column = result_column(m, many, one)))
        return TOC_ELIMIT;
    struct toc_column *c = &m->out->items[*column - 1];
    if (!toc_is_absent(c->values[step]))
        return toc_errf(m->e->err, TOC_EINVAL,
                        "multiple matches for labels: grouping labels must ensure unique matches");
    return toc_column_put(m->e, c, step, result);
}

/* One column of the many side against all of the one side with its match labels. */
static int match_column(struct matching *m, const struct toc_column *many, size_t head) {
    for (size_t at = head; at; at = m->one_side.next[at - 1]) {
        const struct toc_column *one = &m->one->items[at - 1];
        size_t column = 0;
        for (size_t step = 0; step < m->e->step_count; step++) {
            if (toc_is_absent(many->values[step]) || toc_is_absent(one->values[step]))
                continue;
            int rc = put_pair(m, many, one->labels, toc_column_element(many, step),
                              toc_column_element(one, step), head, step, &column);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

static bool has_any(const struct toc_side *s, size_t head, size_t step) {
    for (size_t at = head; at; at = s->next[at - 1])
        if (!toc_is_absent(s->columns->items[at - 1].values[step]))
            return true;
    return false;
}

/* The steps of a many-side column that have no partner, with the fill value as partner. */
static int fill_one(struct matching *m, const struct toc_column *many, size_t head, double value) {
    size_t column = 0;
    struct toc_labels group = toc_match_labels(m->e, m->n, many->labels);
    for (size_t step = 0; step < m->e->step_count; step++) {
        if (toc_is_absent(many->values[step]) || has_any(&m->one_side, head, step))
            continue;
        int rc = put_pair(m, many, group, toc_column_element(many, step),
                          (struct toc_element){.value = value}, 0, step, &column);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* A one-side column without partner: one series with the labels that match. */
static int fill_many(struct matching *m, size_t one, double value) {
    const struct toc_column *c = &m->one->items[one];
    struct toc_labels group = m->one_side.labels[one];
    size_t column = 0, head = toc_side_find(&m->many_side, group);
    struct toc_column many = {.labels = group, .drop_name = c->drop_name};
    for (size_t step = 0; step < m->e->step_count; step++) {
        if (toc_is_absent(c->values[step]) || has_any(&m->many_side, head, step))
            continue;
        int rc = put_pair(m, &many, c->labels, (struct toc_element){.value = value},
                          toc_column_element(c, step), 0, step, &column);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ----------------------------------------------------------------------------------- matching */

static void mark_steps(const struct toc_eval *e, const struct toc_eval_columns *c, uint8_t *at) {
    for (size_t i = 0; i < c->count; i++)
        for (size_t step = 0; step < e->step_count; step++)
            at[step] |= !toc_is_absent(c->items[i].values[step]);
}

/* Two series of the one side with the same match labels must not both have a value at a step, if
 * there is anything to match with. */
static int check_one_side(struct matching *m, bool is_filled) {
    for (size_t i = 0; i < m->one->count; i++)
        for (size_t at = m->one_side.next[i]; at; at = m->one_side.next[at - 1])
            for (size_t step = 0; step < m->e->step_count; step++)
                if ((m->many_at[step] || is_filled) &&
                    !toc_is_absent(m->one->items[i].values[step]) &&
                    !toc_is_absent(m->one->items[at - 1].values[step]))
                    return duplicate_on_one_side(m, i, at - 1);
    return 0;
}

static bool fills_many(const struct matching *m) {
    return m->many_is_left ? m->n->has_fill_left : m->n->has_fill_right;
}

static int prepare(struct matching *m) {
    struct toc_eval *e = m->e;
    int rc = toc_side_init(e, m->n, m->one, true, &m->one_side);
    if (rc == 0)
        rc = toc_side_init(e, m->n, m->many, fills_many(m), &m->many_side);
    m->used = toc_arena_calloc(e->arena, m->one->count + 1, e->step_count);
    m->many_at = toc_arena_calloc(e->arena, e->step_count, 1);
    if (rc == 0 && (!m->used || !m->many_at))
        rc = toc_eval_no_memory(e);
    if (rc == 0)
        mark_steps(e, m->many, m->many_at);
    return rc;
}

static int match_all(struct matching *m) {
    const struct toc_node *n = m->n;
    bool fills_one = m->many_is_left ? n->has_fill_right : n->has_fill_left;
    double one_value = m->many_is_left ? n->fill_right : n->fill_left;
    double many_value = m->many_is_left ? n->fill_left : n->fill_right;
    int rc = check_one_side(m, fills_many(m));
    for (size_t i = 0; i < m->many->count && rc == 0; i++) {
        size_t head = toc_side_find(&m->one_side, m->many_side.labels[i]);
        rc = match_column(m, &m->many->items[i], head);
        if (rc == 0 && fills_one)
            rc = fill_one(m, &m->many->items[i], head, one_value);
    }
    for (size_t i = 0; fills_many(m) && i < m->one->count && rc == 0; i++)
        rc = fill_many(m, i, many_value);
    return rc;
}

int toc_binary_match(struct toc_eval *e, const struct toc_node *n,
                     const struct toc_eval_columns *left, const struct toc_eval_columns *right,
                     struct toc_eval_columns *out) {
    bool many_is_left = n->cardinality != TOC_MATCH_GROUP_RIGHT;
    struct matching m = {.e = e,
                         .n = n,
                         .many = many_is_left ? left : right,
                         .one = many_is_left ? right : left,
                         .many_is_left = many_is_left,
                         .out = out};
    int rc = prepare(&m);
    if (rc == 0)
        rc = match_all(&m);
    toc_label_index_fini(&m.made);
    toc_side_fini(&m.one_side);
    toc_side_fini(&m.many_side);
    return rc;
}
