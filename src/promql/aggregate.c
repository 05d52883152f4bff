/* Groups of an aggregation, and which way it is computed. */
#include "promql/aggregate_priv.h"
#include "promql/label_index_priv.h"

bool toc_group_has_label(const struct toc_node *n, struct toc_sv name) {
    bool is_listed = false;
    for (size_t i = 0; i < n->grouping_count && !is_listed; i++)
        is_listed = toc_sv_eq(n->grouping[i], name);
    return n->is_without ? !is_listed && !toc_label_is_name(name) : is_listed;
}

static struct toc_labels group_labels(struct toc_eval *e, const struct toc_node *n,
                                      struct toc_labels l) {
    if (!n->is_without && n->grouping_count == 0)
        return TOC_LABELS_EMPTY;
    struct toc_label *items = toc_arena_calloc(e->arena, l.count + 1, sizeof *items);
    struct toc_labels out = {items, 0};
    for (size_t i = 0; items && i < l.count; i++)
        if (toc_group_has_label(n, l.items[i].name))
            items[out.count++] = l.items[i];
    return out;
}

int toc_groups_assign(struct toc_eval *e, const struct toc_node *n,
                      const struct toc_eval_columns *in, struct toc_groups *g) {
    struct toc_label_index by_labels = {0};
    for (size_t i = 0; i < in->count; i++) {
        struct toc_labels labels = group_labels(e, n, in->items[i].labels);
        size_t *number = toc_label_index_at(&by_labels, labels);
        if (!*number) {
            struct toc_group fresh = {.labels = labels};
            TOC_VEC_PUSH(g, fresh);
            *number = g->count;
        }
        struct toc_group *group = &g->items[*number - 1];
        group->drop_name |= in->items[i].drop_name;
        TOC_VEC_PUSH(&group->members, i);
    }
    toc_label_index_fini(&by_labels);
    return e->arena->overflowed ? toc_eval_no_memory(e) : 0;
}

void toc_groups_fini(struct toc_groups *g) {
    for (size_t i = 0; i < g->count; i++)
        TOC_VEC_FINI(&g->items[i].members);
    TOC_VEC_FINI(g);
}

static int by_kind(struct toc_eval *e, const struct toc_node *n, const struct toc_eval_columns *in,
                   const struct toc_groups *g, const struct toc_eval_columns *parameter,
                   struct toc_eval_columns *out) {
    const struct toc_column *p = parameter->count ? &parameter->items[0] : NULL;
    switch (n->aggregate) {
    case TOC_AGGREGATE_TOPK:
    case TOC_AGGREGATE_BOTTOMK:
    case TOC_AGGREGATE_LIMITK:
    case TOC_AGGREGATE_LIMIT_RATIO:
        return toc_aggregate_pick(e, n, in, g, p, out);
    case TOC_AGGREGATE_COUNT_VALUES:
        return toc_aggregate_count_values(e, n, parameter->string, in, g, out);
    default:
        return toc_aggregate_fold(e, n, in, g, p, out);
    }
}

int toc_eval_aggregate(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    struct toc_eval_columns in = {0}, parameter = {0};
    struct toc_groups g = {0};
    bool is_done = false;
    int rc = toc_aggregate_can_pass(e, n) ? toc_aggregate_pass(e, n, out, &is_done) : 0;
    if (rc < 0 || is_done)
        return rc;
    if (n->right)
        rc = toc_eval_node(e, n->right, &parameter);
    if (rc == 0)
        rc = toc_eval_node(e, n->left, &in);
    if (rc == 0)
        rc = toc_groups_assign(e, n, &in, &g);
    if (rc == 0)
        rc = by_kind(e, n, &in, &g, &parameter, out);
    toc_groups_fini(&g);
    toc_eval_columns_fini(&in);
    toc_eval_columns_fini(&parameter);
    return rc;
}
