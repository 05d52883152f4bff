/*
 * Below histogram_count, histogram_sum and histogram_avg Prometheus reads histograms without their
 * buckets; so that a later comparison need not look at them, it finds out about counter resets
 * while it reads. What can be seen of it: such histograms say "reset" or "not reset" where others
 * say nothing, and a sum of both warns.
 */
#include <string.h>

#include "model/histogram_math.h"
#include "promql/eval_priv.h"

static bool is_one_of(const char *name, const char *const *names) {
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

static void mark(struct toc_node *n, bool is_wanted, bool is_forbidden) {
    static const char *const without_buckets[] = {"histogram_count", "histogram_sum",
                                                  "histogram_avg", NULL};
    static const char *const with_buckets[] = {"histogram_quantile", "histogram_quantiles",
                                               "histogram_fraction", NULL};
    if (n->kind == TOC_NODE_SELECTOR)
        n->tells_resets = is_wanted && !is_forbidden;
    if (n->kind == TOC_NODE_BINARY) /* its operands are looked at alone */
        is_wanted = is_forbidden = false;
    if (n->kind == TOC_NODE_CALL) {
        is_wanted |= is_one_of(n->function->name, without_buckets);
        is_forbidden |= is_one_of(n->function->name, with_buckets);
    }
    is_forbidden |= n->kind == TOC_NODE_SUBQUERY;
    /* An aggregation's operands are among its arguments. */
    for (size_t i = 0; i < n->arg_count; i++)
        mark(n->args[i], is_wanted, is_forbidden);
    if (n->left && !n->arg_count)
        mark(n->left, is_wanted, is_forbidden);
    if (n->right && !n->arg_count)
        mark(n->right, is_wanted, is_forbidden);
}

void toc_mark_reset_tellers(struct toc_node *root) {
    mark(root, false, false);
}

static enum toc_reset_hint hint_of(const struct toc_histogram *h,
                                   const struct toc_histogram *before, struct toc_arena *arena) {
    if (h->reset_hint != TOC_RESET_UNKNOWN || !before || toc_histogram_is_stale(h) ||
        toc_histogram_is_stale(before))
        return h->reset_hint;
    return toc_histogram_has_reset(h, before, arena) ? TOC_RESET_YES : TOC_RESET_NO;
}

void toc_worker_tell_resets(struct toc_worker *w, struct toc_series_view *s) {
    if (!s->histograms)
        return;
    TOC_VEC_RESERVE(&w->hinted, s->count);
    TOC_VEC_RESERVE(&w->hinted_refs, s->count);
    for (size_t i = 0; i < s->count; i++) {
        const struct toc_histogram *h = s->histograms[i];
        w->hinted_refs.items[i] = NULL;
        if (!h)
            continue;
        w->hinted.items[i] = *h;
        w->hinted.items[i].reset_hint = hint_of(h, i ? s->histograms[i - 1] : NULL, &w->arena);
        w->hinted_refs.items[i] = &w->hinted.items[i];
    }
    s->histograms = w->hinted_refs.items;
}
