/* label_replace, label_join, sort, absent. */
#include <math.h>
#include <stdlib.h>

#include "codec/regex_expand.h"
#include "promql/eval_priv.h"
#include "promql/functions_priv.h"

enum { GROUPS_MAX = 32 };

static struct toc_labels with_label(struct toc_eval *e, struct toc_labels l, struct toc_sv name,
                                    struct toc_sv value) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_add_all(&b, l);
    toc_labels_builder_set(&b, name, value);
    struct toc_labels out = toc_labels_dup_arena(toc_labels_builder_finish(&b), e->arena);
    toc_labels_builder_fini(&b);
    return out;
}

/* A name that is written on purpose stays. */
static void put_label(struct toc_eval *e, struct toc_column *c, struct toc_sv name,
                      struct toc_sv value) {
    c->labels = with_label(e, c->labels, name, value);
    if (toc_sv_eq(name, TOC_METRIC_NAME))
        c->drop_name = false;
}

static bool is_label_name(struct toc_sv name) {
    return name.n && toc_sv_is_utf8(name);
}

static int string_argument(struct toc_eval *e, const struct toc_node *n, size_t i,
                           struct toc_sv *out) {
    struct toc_eval_columns c = {0};
    int rc = toc_eval_node(e, n->args[i], &c);
    *out = c.string;
    toc_eval_columns_fini(&c);
    return rc;
}

int toc_call_label_replace(struct toc_eval *e, const struct toc_node *n,
                           struct toc_eval_columns *out) {
    struct toc_sv target, replacement, source, pattern;
    struct toc_err reason = {0};
    struct toc_regex *regex = NULL;
    int rc = toc_eval_node(e, n->args[0], out);
    if (rc < 0 || (rc = string_argument(e, n, 1, &target)) < 0 ||
        (rc = string_argument(e, n, 2, &replacement)) < 0 ||
        (rc = string_argument(e, n, 3, &source)) < 0 ||
        (rc = string_argument(e, n, 4, &pattern)) < 0)
        return rc;
    if (!is_label_name(target))
        return toc_errf(e->err, TOC_EINVAL,
                        "invalid destination label name in label_replace(): %.*s",
                        TOC_SV_ARG(target));
    if (toc_regex_new(pattern, TOC_REGEX_ANCHORED, &regex, &reason) < 0)
        return toc_errf(e->err, TOC_EINVAL, "invalid regular expression in label_replace(): %.*s",
                        TOC_SV_ARG(pattern));
    for (size_t i = 0; i < out->count; i++) {
        struct toc_sv value = toc_labels_get(out->items[i].labels, source);
        struct toc_sv groups[GROUPS_MAX];
        int count = toc_regex_capture(regex, value, groups, GROUPS_MAX);
        if (count == 0)
            continue;
        struct toc_buf text = TOC_BUF_INIT;
        toc_regex_expand(regex, replacement, groups, count, &text);
        put_label(e, &out->items[i], target, toc_buf_sv(&text));
        toc_buf_fini(&text);
    }
    toc_regex_free(&regex);
    return toc_eval_columns_join(e, out);
}

int toc_call_label_join(struct toc_eval *e, const struct toc_node *n,
                        struct toc_eval_columns *out) {
    struct toc_sv target, separator, source;
    int rc = toc_eval_node(e, n->args[0], out);
    if (rc < 0 || (rc = string_argument(e, n, 1, &target)) < 0 ||
        (rc = string_argument(e, n, 2, &separator)) < 0)
        return rc;
    for (size_t a = 3; a < n->arg_count; a++) {
        if ((rc = string_argument(e, n, a, &source)) < 0)
            return rc;
        if (!is_label_name(source))
            return toc_errf(e->err, TOC_EINVAL, "invalid source label name in label_join(): %.*s",
                            TOC_SV_ARG(source));
    }
    if (!is_label_name(target))
        return toc_errf(e->err, TOC_EINVAL, "invalid destination label name in label_join(): %.*s",
                        TOC_SV_ARG(target));
    for (size_t i = 0; i < out->count && rc == 0; i++) {
        struct toc_buf text = TOC_BUF_INIT;
        for (size_t a = 3; a < n->arg_count && rc == 0; a++) {
            rc = string_argument(e, n, a, &source);
            if (a > 3)
                toc_buf_append_sv(&text, separator);
            toc_buf_append_sv(&text, toc_labels_get(out->items[i].labels, source));
        }
        put_label(e, &out->items[i], target, toc_buf_sv(&text));
        toc_buf_fini(&text);
    }
    return rc < 0 ? rc : toc_eval_columns_join(e, out);
}

/* Labels that the selector's equality matchers say; what else is asked of a label behind the first
 * takes it away again. */
static struct toc_labels labels_of_selector(struct toc_eval *e, const struct toc_node *n) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    n = toc_node_bare(n);
    for (size_t i = 0; n->kind == TOC_NODE_SELECTOR && i < n->matcher_count; i++) {
        const struct toc_matcher *m = &n->matchers[i];
        bool was_set = false;
        for (size_t k = 0; k < i; k++)
            was_set |= n->matchers[k].op == TOC_MATCH_EQ && toc_sv_eq(n->matchers[k].name, m->name);
        if (!toc_sv_eq(m->name, TOC_METRIC_NAME))
            toc_labels_builder_set(&b, m->name,
                                   m->op == TOC_MATCH_EQ && !was_set ? m->value : TOC_SV(""));
    }
    struct toc_labels out = toc_labels_dup_arena(toc_labels_builder_finish(&b), e->arena);
    toc_labels_builder_fini(&b);
    return out;
}

static int absent(struct toc_eval *e, const struct toc_eval_columns *in, struct toc_labels labels,
                  struct toc_eval_columns *out) {
    struct toc_column *c = toc_eval_columns_add(e, out, labels);
    if (!c)
        return TOC_ELIMIT;
    for (size_t k = 0; k < e->step_count; k++) {
        bool is_there = false;
        for (size_t i = 0; i < in->count && !is_there; i++)
            is_there = !toc_is_absent(in->items[i].values[k]);
        if (!is_there)
            c->values[k] = 1;
    }
    return 0;
}

int toc_call_absent(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    struct toc_eval_columns in = {0};
    int rc = toc_eval_node(e, n->args[0], &in);
    if (rc == 0)
        rc = absent(e, &in, labels_of_selector(e, n->args[0]), out);
    toc_eval_columns_fini(&in);
    return rc;
}

int toc_call_absent_over_time(struct toc_eval *e, const struct toc_node *n,
                              struct toc_eval_columns *out) {
    struct toc_eval_columns in = {0};
    int rc = toc_eval_windows(e, n, NULL, 0, &in);
    if (rc == 0)
        rc = absent(e, &in, labels_of_selector(e, n->args[0]), out);
    toc_eval_columns_fini(&in);
    return rc;
}
