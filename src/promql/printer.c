/* Canonical text of an expression, on one line or indented as `promtool promql format` does. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/time.h"
#include "promql/ast_priv.h"

enum { LINE_MAX = 100 };

struct printer {
    struct toc_buf *out;
    bool is_pretty, keeps_order; /* of the matchers */
    size_t limit;                /* 0, or from how many bytes on the rest does not matter */
};

static void print(const struct printer *p, const struct toc_node *n, int depth);

static void print_label(struct toc_buf *out, struct toc_sv name) {
    if (toc_label_name_is_classic(name))
        toc_buf_append_sv(out, name);
    else
        toc_promql_quote(name, out);
}

static void print_labels(struct toc_buf *out, const struct toc_sv *names, size_t count) {
    toc_buf_append_char(out, '(');
    for (size_t i = 0; i < count; i++) {
        if (i)
            toc_buf_append_cstr(out, ", ");
        print_label(out, names[i]);
    }
    toc_buf_append_char(out, ')');
}

/* A number that was written as a duration. */
static void print_seconds(struct toc_buf *out, double seconds) {
    toc_buf_append_cstr(out, seconds < 0 ? "-" : "");
    toc_duration_format(llround(fabs(seconds) * 1000), out);
}

/* Arithmetic on durations, or the literal. */
static void print_duration(struct toc_buf *out, const struct toc_node *expr, int64_t ms) {
    if (expr)
        print(&(struct printer){.out = out}, expr, 0);
    else
        toc_duration_format(ms, out);
}

static void print_edge(struct toc_buf *out, const struct toc_node *n) {
    if (n->modifier != TOC_RANGE_PLAIN)
        toc_buf_append_cstr(out, n->modifier == TOC_RANGE_ANCHORED ? " anchored" : " smoothed");
}

static void print_at(struct toc_buf *out, const struct toc_node *n) {
    if (n->at_kind == TOC_AT_TIME)
        toc_buf_printf(out, " @ %.3f", (double)n->at_ms / 1000.0);
    else if (n->at_kind)
        toc_buf_append_cstr(out, n->at_kind == TOC_AT_START ? " @ start()" : " @ end()");
}

static void print_offset(struct toc_buf *out, const struct toc_node *n) {
    if (n->offset_expr) {
        toc_buf_append_cstr(out, " offset ");
        print(&(struct printer){.out = out}, n->offset_expr, 0);
    } else if (n->offset_ms) {
        toc_buf_append_cstr(out, n->offset_ms < 0 ? " offset -" : " offset ");
        toc_duration_format(n->offset_ms < 0 ? -n->offset_ms : n->offset_ms, out);
    }
}

/* The matchers but for the one of the name in front, in the order of their texts. */
static void print_matchers(const struct printer *p, const struct toc_node *n) {
    struct toc_buf *out = p->out;
    struct toc_buf text = TOC_BUF_INIT;
    size_t first = n->metric.n ? 1 : 0, count = n->matcher_count - first;
    size_t *ends = toc_xalloc((count + 1) * sizeof *ends);
    struct toc_sv *items = toc_xalloc((count + 1) * sizeof *items);
    for (size_t i = 0; i < count; i++) {
        const struct toc_matcher *m = &n->matchers[first + i];
        print_label(&text, m->name);
        toc_buf_append_cstr(&text, toc_match_op_text(m->op));
        toc_promql_quote(m->value, &text);
        ends[i] = text.n;
    }
    for (size_t i = 0; i < count; i++) {
        size_t at = i ? ends[i - 1] : 0;
        items[i] = toc_sv_sub(toc_buf_sv(&text), at, ends[i] - at);
    }
    if (!p->keeps_order)
        toc_sv_sort(items, count);
    for (size_t i = 0; i < count; i++) {
        toc_buf_append_char(out, i ? ',' : '{');
        toc_buf_append_sv(out, items[i]);
    }
    if (count)
        toc_buf_append_char(out, '}');
    else if (!n->metric.n) /* of info() */
        toc_buf_append_cstr(out, "{}");
    toc_free(ends);
    toc_free(items);
    toc_buf_fini(&text);
}

/* Behind a range anchored and smoothed come before `@`, elsewhere behind it, as upstream has it. */
static void print_selector(const struct printer *p, const struct toc_node *n) {
    struct toc_buf *out = p->out;
    bool is_range = n->type == TOC_PROMQL_MATRIX;
    toc_buf_append_sv(out, n->metric);
    print_matchers(p, n);
    if (is_range) {
        toc_buf_append_char(out, '[');
        print_duration(out, n->range_expr, n->range_ms);
        toc_buf_append_char(out, ']');
        print_edge(out, n);
    }
    print_at(out, n);
    if (!is_range)
        print_edge(out, n);
    print_offset(out, n);
}

static void print_subquery(const struct printer *p, const struct toc_node *n, int depth) {
    print(p, n->left, depth);
    toc_buf_append_char(p->out, '[');
    print_duration(p->out, n->range_expr, n->range_ms);
    toc_buf_append_char(p->out, ':');
    if (n->step_ms || n->step_expr)
        print_duration(p->out, n->step_expr, n->step_ms);
    toc_buf_append_char(p->out, ']');
    print_at(p->out, n);
    print_offset(p->out, n);
}

static void indent(const struct printer *p, int depth) {
    for (int i = 0; i < depth; i++)
        toc_buf_append_cstr(p->out, "  ");
}

static void next_line(const struct printer *p, int depth) {
    toc_buf_append_char(p->out, '\n');
    indent(p, depth);
}

/* As long as the text of the node alone, wherever it begins. Stops looking when it is too long. */
static bool fits_on_line(const struct toc_node *n) {
    struct toc_buf text = TOC_BUF_INIT;
    print(&(struct printer){&text, .limit = LINE_MAX}, n, 0);
    bool fits = text.n <= LINE_MAX;
    toc_buf_fini(&text);
    return fits;
}

static void print_list(const struct printer *p, struct toc_node *const *items, size_t count,
                       int depth, bool is_broken) {
    toc_buf_append_char(p->out, '(');
    for (size_t i = 0; i < count; i++) {
        if (i)
            toc_buf_append_cstr(p->out, is_broken ? "," : ", ");
        if (is_broken)
            next_line(p, depth + 1);
        print(p, items[i], depth + 1);
    }
    if (is_broken)
        next_line(p, depth);
    toc_buf_append_char(p->out, ')');
}

static void print_aggregate(const struct printer *p, const struct toc_node *n, int depth,
                            bool is_broken) {
    toc_buf_append_cstr(p->out, toc_aggregate_text(n->aggregate));
    if (n->has_grouping && (n->is_without || n->grouping_count)) {
        toc_buf_append_cstr(p->out, n->is_without ? " without " : " by ");
        print_labels(p->out, n->grouping, n->grouping_count);
        toc_buf_append_char(p->out, ' ');
    }
    print_list(p, n->args, n->arg_count, depth, is_broken);
}

static void print_fill_value(struct toc_buf *out, const char *name, double v) {
    toc_buf_append_cstr(out, name);
    toc_format_f64_g(v, out);
    toc_buf_append_char(out, ')');
}

static void print_fill(struct toc_buf *out, const struct toc_node *n) {
    if (n->is_fill_both) {
        print_fill_value(out, " fill (", n->fill_left);
        return;
    }
    if (n->has_fill_left)
        print_fill_value(out, " fill_left (", n->fill_left);
    if (n->has_fill_right)
        print_fill_value(out, " fill_right (", n->fill_right);
}

static void print_operator(struct toc_buf *out, const struct toc_node *n) {
    toc_buf_append_cstr(out, toc_binary_info(n->binary)->text);
    if (n->returns_bool)
        toc_buf_append_cstr(out, " bool");
    if (n->has_grouping && (!n->is_without || n->grouping_count || n->cardinality)) {
        toc_buf_append_cstr(out, n->is_without ? " ignoring " : " on ");
        print_labels(out, n->grouping, n->grouping_count);
    }
    if (n->cardinality) {
        toc_buf_append_cstr(out, n->cardinality == TOC_MATCH_GROUP_LEFT ? " group_left "
                                                                        : " group_right ");
        print_labels(out, n->include, n->include_count);
    }
    print_fill(out, n);
}

/* A broken one starts with the indentation of its left operand, one level deeper than its own. */
static void print_binary(const struct printer *p, const struct toc_node *n, int depth,
                         bool is_broken) {
    if (is_broken)
        indent(p, 1);
    print(p, n->left, depth + is_broken);
    if (is_broken)
        next_line(p, depth);
    else
        toc_buf_append_char(p->out, ' ');
    print_operator(p->out, n);
    if (is_broken)
        next_line(p, depth + 1);
    else
        toc_buf_append_char(p->out, ' ');
    print(p, n->right, depth + is_broken);
}

/* Upstream takes the indentation away from what stands behind a sign. */
static void print_sign(const struct printer *p, const struct toc_node *n, int depth) {
    struct toc_buf text = TOC_BUF_INIT;
    struct printer inner = *p;
    inner.out = &text;
    print(&inner, n->left, depth);
    toc_buf_append_char(p->out, n->is_plus ? '+' : '-');
    toc_buf_append_sv(p->out, toc_sv_trim(toc_buf_sv(&text)));
    toc_buf_fini(&text);
}

static void print(const struct printer *p, const struct toc_node *n, int depth) {
    if (p->limit && p->out->n > p->limit)
        return;
    bool is_broken = p->is_pretty && !fits_on_line(n);
    switch (n->kind) {
    case TOC_NODE_NUMBER:
        if (n->is_duration)
            print_seconds(p->out, n->number);
        else
            toc_format_f64(n->number, p->out);
        break;
    case TOC_NODE_STRING:
        toc_promql_quote(n->string, p->out);
        break;
    case TOC_NODE_SELECTOR:
        print_selector(p, n);
        break;
    case TOC_NODE_SUBQUERY:
        print_subquery(p, n, depth);
        break;
    case TOC_NODE_CALL:
        toc_buf_append_cstr(p->out, n->function->name);
        print_list(p, n->args, n->arg_count, depth, is_broken);
        break;
    case TOC_NODE_AGGREGATE:
        print_aggregate(p, n, depth, is_broken);
        break;
    case TOC_NODE_BINARY:
        print_binary(p, n, depth, is_broken);
        break;
    case TOC_NODE_NEGATE:
        print_sign(p, n, depth);
        break;
    case TOC_NODE_PAREN:
        print_list(p, (struct toc_node *const[]){n->left}, 1, depth, is_broken);
        break;
    }
}

void toc_promql_format_as_written(const struct toc_promql_expr *e, struct toc_buf *out) {
    print(&(struct printer){out, .keeps_order = true}, e->root, 0);
}

void toc_promql_format(const struct toc_promql_expr *e, bool pretty, struct toc_buf *out) {
    print(&(struct printer){out, .is_pretty = pretty}, e->root, 0);
}

void toc_promql_threshold(const struct toc_promql_expr *e, struct toc_promql_threshold *out) {
    const struct toc_node *n = toc_node_bare(e->root);
    *out = (struct toc_promql_threshold){0};
    if (n->kind != TOC_NODE_BINARY || !toc_binary_info(n->binary)->is_comparison || n->returns_bool)
        return;
    const struct toc_node *right = toc_node_bare(n->right);
    bool is_negative = right->kind == TOC_NODE_NEGATE && !right->is_plus;
    const struct toc_node *number = is_negative ? toc_node_bare(right->left) : right;
    if (number->kind != TOC_NODE_NUMBER)
        return;
    out->is_set = true;
    out->op = toc_binary_info(n->binary)->text;
    out->threshold = is_negative ? -number->number : number->number;
    print(&(struct printer){.out = &out->left_text}, n->left, 0);
}
