/* and, or, unless: by the labels that match, whatever the values. */
#include "promql/binary_priv.h"

static bool has_partner(const struct toc_side *s, size_t head, size_t step) {
    for (size_t at = head; at; at = s->next[at - 1])
        if (!toc_is_absent(s->columns->items[at - 1].values[step]))
            return true;
    return false;
}

/* Copies the steps of `in` at which a partner on the other side is there (or is not). */
static int copy_where(struct toc_eval *e, const struct toc_node *n,
                      const struct toc_eval_columns *in, const struct toc_side *other,
                      bool wants_partner, struct toc_eval_columns *out) {
    for (size_t i = 0; i < in->count; i++) {
        const struct toc_column *from = &in->items[i];
        size_t head = toc_side_find(other, toc_match_labels(e, n, from->labels));
        struct toc_column *c = toc_eval_columns_add(e, out, from->labels);
        if (!c)
            return TOC_ELIMIT;
        c->drop_name = from->drop_name;
        for (size_t step = 0; step < e->step_count; step++) {
            if (toc_is_absent(from->values[step]) ||
                has_partner(other, head, step) != wants_partner)
                continue;
            int rc = toc_column_put(e, c, step, toc_column_element(from, step));
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

static int either(struct toc_eval *e, const struct toc_node *n, const struct toc_eval_columns *left,
                  const struct toc_eval_columns *right, struct toc_eval_columns *out) {
    struct toc_side side;
    int rc = toc_side_init(e, n, left, true, &side);
    for (size_t i = 0; i < left->count && rc == 0; i++)
        TOC_VEC_PUSH(out, left->items[i]);
    if (rc == 0)
        rc = copy_where(e, n, right, &side, false, out);
    if (rc == 0)
        rc = toc_eval_columns_join(e, out);
    toc_side_fini(&side);
    return rc;
}

int toc_binary_set(struct toc_eval *e, const struct toc_node *n,
                   const struct toc_eval_columns *left, const struct toc_eval_columns *right,
                   struct toc_eval_columns *out) {
    if (n->binary == TOC_BINARY_OR)
        return either(e, n, left, right, out);
    struct toc_side side;
    int rc = toc_side_init(e, n, right, true, &side);
    if (rc == 0)
        rc = copy_where(e, n, left, &side, n->binary == TOC_BINARY_AND, out);
    toc_side_fini(&side);
    return rc;
}
