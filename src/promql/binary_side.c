/* One side of a matching: columns found by the labels that both sides must share. */
#include "promql/binary_priv.h"

static bool is_listed(const struct toc_node *n, struct toc_sv name) {
    for (size_t i = 0; i < n->grouping_count; i++)
        if (toc_sv_eq(n->grouping[i], name))
            return true;
    return false;
}

struct toc_labels toc_match_labels(struct toc_eval *e, const struct toc_node *n,
                                   struct toc_labels l) {
    if (!n->grouping_count && (!n->has_grouping || n->is_without))
        return toc_labels_without_name(e->arena, l);
    struct toc_label *items = toc_arena_calloc(e->arena, l.count + 1, sizeof *items);
    struct toc_labels out = {items, 0};
    bool is_on = !n->is_without;
    for (size_t i = 0; items && i < l.count; i++) {
        bool listed = is_listed(n, l.items[i].name);
        if (is_on ? listed : !listed && !toc_label_is_name(l.items[i].name))
            items[out.count++] = l.items[i];
    }
    return out;
}

int toc_side_init(struct toc_eval *e, const struct toc_node *n, const struct toc_eval_columns *c,
                  bool is_searched, struct toc_side *s) {
    *s = (struct toc_side){.columns = c};
    s->next = toc_arena_calloc(e->arena, c->count + 1, sizeof *s->next);
    s->labels = toc_arena_calloc(e->arena, c->count + 1, sizeof *s->labels);
    if (!s->next || !s->labels)
        return toc_eval_no_memory(e);
    for (size_t i = c->count; i-- > 0;) {
        s->labels[i] = toc_match_labels(e, n, c->items[i].labels);
        if (!is_searched)
            continue;
        size_t *head = toc_label_index_at(&s->heads, s->labels[i]);
        s->next[i] = *head;
        *head = i + 1;
    }
    return e->arena->overflowed ? toc_eval_no_memory(e) : 0;
}

void toc_side_fini(struct toc_side *s) {
    toc_label_index_fini(&s->heads);
}

size_t toc_side_find(const struct toc_side *s, struct toc_labels match_labels) {
    return toc_label_index_get(&s->heads, match_labels);
}
