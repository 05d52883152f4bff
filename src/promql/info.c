/*
 * info(v, {matchers}): series get the labels of info metrics (target_info as a rule) that share
 * their `instance` and `job`, as they were at the time the samples of v were taken.
 */
#include <string.h>

#include "promql/eval_priv.h"
#include "promql/functions_priv.h"
#include "promql/label_index_priv.h"

static bool is_identifying(struct toc_sv name) {
    return toc_sv_eq(name, TOC_SV("instance")) || toc_sv_eq(name, TOC_SV("job"));
}

struct info {
    struct toc_eval *e;
    struct toc_node selector;     /* of the info series */
    struct toc_matcher own;       /* target_info, or .+_info */
    struct toc_matcher *matchers; /* name matchers first */
    size_t name_count, data_count;
    struct toc_eval_columns series; /* info series: times of their samples, in seconds */
    struct toc_label_index groups;  /* from identifying labels to a group, from 1 */
    size_t *first, *next;           /* the first series of each group; the next one, from 1 */
    bool needs_instance, needs_job; /* some series of v has one: so must the info series */
    struct toc_eval_columns *out;
};

/* ----------------------------------------------------------------------------------- selection */

static int set_matchers(struct info *x, const struct toc_node *given) {
    size_t count = given ? given->matcher_count : 0;
    bool has_positive = false;
    x->matchers = toc_arena_calloc(x->e->arena, count + 1, sizeof *x->matchers);
    if (!x->matchers)
        return toc_eval_no_memory(x->e);
    for (size_t i = 0; i < count; i++) {
        const struct toc_matcher *m = &given->matchers[i];
        if (!toc_sv_eq(m->name, TOC_METRIC_NAME))
            continue;
        has_positive |= m->op == TOC_MATCH_EQ || m->op == TOC_MATCH_RE;
        x->matchers[x->name_count++] = *m; /* borrowed from the expression */
    }
    if (!has_positive) {
        int rc = x->name_count ? toc_matcher_init(&x->own, TOC_MATCH_RE, TOC_METRIC_NAME,
                                                  TOC_SV(".+_info"), x->e->err)
                               : toc_matcher_init(&x->own, TOC_MATCH_EQ, TOC_METRIC_NAME,
                                                  TOC_SV("target_info"), x->e->err);
        if (rc < 0)
            return rc;
        x->matchers[x->name_count++] = x->own;
    }
    for (size_t i = 0; i < count; i++)
        if (!toc_sv_eq(given->matchers[i].name, TOC_METRIC_NAME))
            x->matchers[x->name_count + x->data_count++] = given->matchers[i];
    return 0;
}

/* When the samples of an expression were taken: the modifiers on the way to its first selector. */
static bool take_time(const struct toc_node *n, struct toc_node *to) {
    struct toc_node before = *to;
    if (n->kind == TOC_NODE_SELECTOR || n->kind == TOC_NODE_SUBQUERY) {
        bool is_pinned = n->at_kind != TOC_AT_NONE;
        to->at_kind = is_pinned ? n->at_kind : to->at_kind;
        to->at_ms = is_pinned ? n->at_ms : to->at_ms;
        to->offset_ms = is_pinned ? n->offset_ms : to->offset_ms + n->offset_ms;
        if (n->kind == TOC_NODE_SELECTOR || take_time(n->left, to))
            return true;
    }
    for (size_t i = 0; i < n->arg_count; i++)
        if (take_time(n->args[i], to))
            return true;
    bool has_operands = n->kind != TOC_NODE_AGGREGATE && n->kind != TOC_NODE_SUBQUERY;
    if (has_operands && n->left && take_time(n->left, to))
        return true;
    if (has_operands && n->right && take_time(n->right, to))
        return true;
    *to = before;
    return false;
}

static struct toc_labels identity_of(struct toc_eval *e, struct toc_labels l) {
    struct toc_label *items = toc_arena_calloc(e->arena, 2, sizeof *items);
    struct toc_labels out = {items, 0};
    for (size_t i = 0; items && i < l.count; i++)
        if (is_identifying(l.items[i].name))
            items[out.count++] = l.items[i];
    return out;
}

/* Chains the info series with the same identifying labels, in order. */
static int group_info(struct info *x) {
    size_t count = x->series.count, group_count = 0;
    x->first = toc_arena_calloc(x->e->arena, count + 2, sizeof *x->first);
    x->next = toc_arena_calloc(x->e->arena, count + 2, sizeof *x->next);
    if (!x->first || !x->next)
        return toc_eval_no_memory(x->e);
    for (size_t i = count; i-- > 0;) {
        struct toc_labels labels = x->series.items[i].labels;
        if ((x->needs_instance && !toc_labels_has(labels, TOC_SV("instance"))) ||
            (x->needs_job && !toc_labels_has(labels, TOC_SV("job"))))
            continue;
        size_t *group = toc_label_index_at(&x->groups, identity_of(x->e, labels));
        if (!*group)
            *group = ++group_count;
        x->next[i + 1] = x->first[*group];
        x->first[*group] = i + 1;
    }
    return 0;
}

static int select_info(struct info *x, const struct toc_node *base) {
    x->selector = (struct toc_node){.kind = TOC_NODE_SELECTOR,
                                    .type = TOC_PROMQL_VECTOR,
                                    .at = base->at,
                                    .matchers = x->matchers,
                                    .matcher_count = x->name_count + x->data_count};
    take_time(base, &x->selector);
    int rc = toc_eval_selector(x->e, &x->selector, TOC_WANT_TIME, &x->series);
    return rc < 0 ? rc : group_info(x);
}

/* ------------------------------------------------------------------------------------ joining */

static struct toc_sv name_of(const struct info *x, size_t series) {
    return toc_labels_get(x->series.items[series].labels, TOC_METRIC_NAME);
}

/* Is there a newer sample of the same metric and identity? Two at one time are an error. */
static int is_superseded(const struct info *x, const size_t *candidates, size_t count, size_t i,
                         size_t step) {
    double t = x->series.items[candidates[i]].values[step];
    for (size_t k = 0; k < count; k++) {
        if (k == i || !toc_sv_eq(name_of(x, candidates[k]), name_of(x, candidates[i])))
            continue;
        double other = x->series.items[candidates[k]].values[step];
        if (other == t) {
            struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
            toc_labels_format(x->series.items[candidates[i]].labels, &a);
            toc_labels_format(x->series.items[candidates[k]].labels, &b);
            int rc = toc_errf(x->e->err, TOC_EINVAL,
                              "found duplicate series for info metric: existing %s @ %.0f, new %s "
                              "@ %.0f",
                              toc_buf_cstr(&a), t * 1000, toc_buf_cstr(&b), other * 1000);
            toc_buf_fini(&a);
            toc_buf_fini(&b);
            return rc;
        }
        if (other > t)
            return 1;
    }
    return 0;
}

static bool is_wanted(const struct info *x, struct toc_sv name) {
    for (size_t i = 0; i < x->data_count; i++)
        if (toc_sv_eq(x->matchers[x->name_count + i].name, name))
            return true;
    return x->data_count == 0;
}

static int add_labels(const struct info *x, struct toc_labels base, struct toc_labels from,
                      struct toc_labels_builder *b) {
    for (size_t i = 0; i < from.count; i++) {
        struct toc_sv name = from.items[i].name, value = from.items[i].value;
        if (toc_label_is_name(name) || is_identifying(name) || !is_wanted(x, name) ||
            toc_labels_has(base, name))
            continue;
        struct toc_sv known = toc_labels_builder_get(b, name);
        if (known.n && !toc_sv_eq(known, value))
            return toc_errf(x->e->err, TOC_EINVAL, "conflicting label: %.*s", TOC_SV_ARG(name));
        toc_labels_builder_set(b, name, value);
    }
    return 0;
}

/* 1: *out are the labels of the base series at the step; 0: it goes. */
static int enrich(const struct info *x, const struct toc_column *base, const size_t *candidates,
                  size_t count, size_t step, struct toc_labels_builder *b) {
    bool has_match = false;
    toc_labels_builder_reset(b);
    toc_labels_builder_add_all(b, base->labels);
    for (size_t i = 0; i < count; i++) {
        int rc = is_superseded(x, candidates, count, i, step);
        if (rc == 0)
            rc = add_labels(x, base->labels, x->series.items[candidates[i]].labels, b);
        if (rc < 0)
            return rc;
        has_match = true;
    }
    for (size_t i = 0; i < x->data_count && !has_match; i++)
        if (!toc_matcher_matches(&x->matchers[x->name_count + i], TOC_SV("")))
            return 0;
    return 1;
}

static size_t candidates_at(const struct info *x, size_t group, size_t step, size_t *out) {
    size_t n = 0;
    for (size_t i = group ? x->first[group] : 0; i; i = x->next[i])
        if (!toc_is_absent(x->series.items[i - 1].values[step]))
            out[n++] = i - 1;
    return n;
}

static struct toc_column *output_for(struct info *x, const struct toc_column *base,
                                     struct toc_labels labels, size_t first) {
    for (size_t i = first; i < x->out->count; i++)
        if (toc_labels_eq(x->out->items[i].labels, labels))
            return &x->out->items[i];
    struct toc_column *c =
        toc_eval_columns_add(x->e, x->out, toc_labels_dup_arena(labels, x->e->arena));
    if (c)
        c->drop_name = base->drop_name;
    return c;
}

static bool is_info_series(const struct info *x, const struct toc_column *c) {
    struct toc_sv name = toc_labels_get(c->labels, TOC_METRIC_NAME);
    for (size_t i = 0; i < x->name_count; i++)
        if (!toc_matcher_matches(&x->matchers[i], name))
            return false;
    return true;
}

static int join_column(struct info *x, const struct toc_column *base, size_t *candidates,
                       struct toc_labels_builder *b) {
    bool is_plain = is_info_series(x, base);
    bool can_match = x->needs_instance || x->needs_job;
    size_t group = can_match ? toc_label_index_get(&x->groups, identity_of(x->e, base->labels)) : 0;
    size_t first = x->out->count;
    for (size_t step = 0; step < x->e->step_count; step++) {
        if (toc_is_absent(base->values[step]))
            continue;
        size_t count = is_plain ? 0 : candidates_at(x, group, step, candidates);
        int rc = is_plain ? 1 : enrich(x, base, candidates, count, step, b);
        if (rc < 0)
            return rc;
        if (rc == 0)
            continue;
        struct toc_labels labels = is_plain ? base->labels : toc_labels_builder_finish(b);
        struct toc_column *c = output_for(x, base, labels, first);
        if (!c)
            return TOC_ELIMIT;
        const struct toc_histogram *h = toc_column_histogram(base, step);
        rc = h ? toc_column_set_histogram(x->e, c, step, h) : 0;
        if (rc < 0)
            return rc;
        c->values[step] = base->values[step];
    }
    return 0;
}

static int join_all(struct info *x, const struct toc_eval_columns *base) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    size_t *candidates = toc_arena_calloc(x->e->arena, x->series.count + 1, sizeof *candidates);
    int rc = candidates ? 0 : toc_eval_no_memory(x->e);
    for (size_t i = 0; i < base->count && rc == 0; i++)
        rc = join_column(x, &base->items[i], candidates, &b);
    toc_labels_builder_fini(&b);
    return rc;
}

static void look_at_identities(struct info *x, const struct toc_eval_columns *base) {
    for (size_t i = 0; i < base->count; i++) {
        struct toc_labels labels = base->items[i].labels;
        if (is_info_series(x, &base->items[i]))
            continue;
        x->needs_instance |= toc_labels_has(labels, TOC_SV("instance"));
        x->needs_job |= toc_labels_has(labels, TOC_SV("job"));
    }
}

int toc_call_info(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    struct info x = {.e = e, .out = out};
    struct toc_eval_columns base = {0};
    int rc = set_matchers(&x, n->arg_count > 1 ? n->args[1] : NULL);
    if (rc == 0)
        rc = toc_eval_node(e, n->args[0], &base);
    if (rc == 0)
        look_at_identities(&x, &base);
    if (rc == 0)
        rc = select_info(&x, n->args[0]);
    if (rc == 0)
        rc = join_all(&x, &base);
    toc_label_index_fini(&x.groups);
    toc_matcher_fini(&x.own);
    toc_eval_columns_fini(&base);
    toc_eval_columns_fini(&x.series);
    return rc < 0 ? rc : toc_eval_columns_merge(e, out, false);
}
