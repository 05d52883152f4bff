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
    bool is_pretty;
};

static void print(const struct printer *p, const struct toc_node *n, int depth);

/* How many bytes of valid UTF-8 begin at i; 0 for a byte that is none. */
static size_t sequence_length(struct toc_sv s, size_t i) {
    unsigned char c = (unsigned char)s.p[i];
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return i + n <= s.n && toc_sv_is_utf8(toc_sv_sub(s, i, n)) ? n : 0;
}

void toc_promql_quote(struct toc_sv s, struct toc_buf *out) {
    static const char from[] = "\"\\\a\b\f\n\r\t\v", to[] = "\"\\abfnrtv";
    toc_buf_append_char(out, '"');
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        const char *known = c ? strchr(from, c) : NULL;
        size_t n = sequence_length(s, i);
        if (known)
            toc_buf_printf(out, "\\%c", to[known - from]);
        else if (n == 0 || c < 0x20 || c == 0x7f)
            toc_buf_printf(out, "\\x%02x", c);
        else
            toc_buf_append(out, s.p + i, n);
        i += n ? n : 1;
    }
    toc_buf_append_char(out, '"');
}

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

static void print_number(struct toc_buf *out, double v) {
    if (isinf(v))
        toc_buf_append_cstr(out, v > 0 ? "+Inf" : "-Inf");
    else
        toc_format_f64_g(v, out);
}

/* A number that was written as a duration. */
static void print_seconds(struct toc_buf *out, double seconds) {
    toc_buf_append_cstr(out, seconds < 0 ? "-" : "");
    toc_duration_format(llround(fabs(seconds) * 1000), out);
}

/* Arithmetic on durations, or the literal. */
static void print_duration(struct toc_buf *out, const struct toc_node *expr, int64_t ms) {
    if (expr)
        print(&(struct printer){out, false}, expr, 0);
    else
        toc_duration_format(ms, out);
}

static void print_edge(struct toc_buf *out, const struct toc_node *n) {
    if (n->modifier != TOC_RANGE_PLAIN)
        toc_buf_append_cstr(out, n->modifier == TOC_RANGE_ANCHORED ? " anchored" : " smoothed");
}

static void print_modifiers(struct toc_buf *out, const struct toc_node *n) {
    if (n->at_kind == TOC_AT_TIME)
        toc_buf_printf(out, " @ %.3f", (double)n->at_ms / 1000.0);
    else if (n->at_kind)
        toc_buf_append_cstr(out, n->at_kind == TOC_AT_START ? " @ start()" : " @ end()");
    if (n->offset_expr) {
        toc_buf_append_cstr(out, " offset ");
        print(&(struct printer){out, false}, n->offset_expr, 0);
    } else if (n->offset_ms) {
        toc_buf_append_cstr(out, n->offset_ms < 0 ? " offset -" : " offset ");
        toc_duration_format(n->offset_ms < 0 ? -n->offset_ms : n->offset_ms, out);
    }
}

static void print_selector(struct toc_buf *out, const struct toc_node *n) {
    bool is_plain = n->metric.n && toc_metric_name_is_classic(n->metric);
    if (is_plain)
        toc_buf_append_sv(out, n->metric);
    size_t shown = 0;
    for (size_t i = 0; i < n->matcher_count; i++) {
        const struct toc_matcher *m = &n->matchers[i];
        bool is_name = toc_sv_eq(m->name, TOC_METRIC_NAME) && m->op == TOC_MATCH_EQ && n->metric.n;
        if (is_name && is_plain)
            continue;
        toc_buf_append_cstr(out, shown++ ? "," : "{");
        if (!is_name) {
            print_label(out, m->name);
            toc_buf_append_cstr(out, toc_match_op_text(m->op));
        }
        toc_promql_quote(m->value, out);
    }
    if (shown)
        toc_buf_append_char(out, '}');
    if (n->type == TOC_PROMQL_MATRIX) {
        toc_buf_append_char(out, '[');
        print_duration(out, n->range_expr, n->range_ms);
        toc_buf_append_char(out, ']');
    }
    print_edge(out, n);
    print_modifiers(out, n);
}

static void print_subquery(const struct printer *p, const struct toc_node *n, int depth) {
    print(p, n->left, depth);
    toc_buf_append_char(p->out, '[');
    print_duration(p->out, n->range_expr, n->range_ms);
    toc_buf_append_char(p->out, ':');
    if (n->step_ms || n->step_expr)
        print_duration(p->out, n->step_expr, n->step_ms);
    toc_buf_append_char(p->out, ']');
    print_modifiers(p->out, n);
}

static void indent(const struct printer *p, int depth) {
    toc_buf_append_char(p->out, '\n');
    for (int i = 0; i < depth; i++)
        toc_buf_append_cstr(p->out, "  ");
}

static bool fits_on_line(const struct toc_node *n, int depth) {
    struct toc_buf text = TOC_BUF_INIT;
    print(&(struct printer){&text, false}, n, 0);
    bool fits = text.n + 2 * (size_t)depth <= LINE_MAX;
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
            indent(p, depth + 1);
        print(p, items[i], depth + 1);
    }
    if (is_broken)
        indent(p, depth);
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
    print_number(out, v);
    toc_buf_append_char(out, ')');
}

static void print_fill(struct toc_buf *out, const struct toc_node *n) {
    bool are_same = n->has_fill_left && n->has_fill_right &&
                    memcmp(&n->fill_left, &n->fill_right, sizeof n->fill_left) == 0;
    if (are_same) {
        print_fill_value(out, " fill (", n->fill_left);
        return;
    }
    if (n->has_fill_left)
        print_fill_value(out, " fill_left (", n->fill_left);
    if (n->has_fill_right)
        print_fill_value(out, " fill_right (", n->fill_right);
}

static void print_binary(const struct printer *p, const struct toc_node *n, int depth,
                         bool is_broken) {
    print(p, n->left, depth + is_broken);
    if (is_broken)
        indent(p, depth);
    else
        toc_buf_append_char(p->out, ' ');
    toc_buf_append_cstr(p->out, toc_binary_info(n->binary)->text);
    if (n->returns_bool)
        toc_buf_append_cstr(p->out, " bool");
    if (n->has_grouping && (!n->is_without || n->grouping_count || n->cardinality)) {
        toc_buf_append_cstr(p->out, n->is_without ? " ignoring " : " on ");
        print_labels(p->out, n->grouping, n->grouping_count);
    }
    if (n->cardinality) {
        toc_buf_append_cstr(p->out, n->cardinality == TOC_MATCH_GROUP_LEFT ? " group_left "
                                                                           : " group_right ");
        print_labels(p->out, n->include, n->include_count);
    }
    print_fill(p->out, n);
    if (is_broken)
        indent(p, depth);
    else
        toc_buf_append_char(p->out, ' ');
    print(p, n->right, depth + is_broken);
}

static void print(const struct printer *p, const struct toc_node *n, int depth) {
    bool is_broken = p->is_pretty && !fits_on_line(n, depth);
    switch (n->kind) {
    case TOC_NODE_NUMBER:
        if (n->is_duration)
            print_seconds(p->out, n->number);
        else
            print_number(p->out, n->number);
        break;
    case TOC_NODE_STRING:
        toc_promql_quote(n->string, p->out);
        break;
    case TOC_NODE_SELECTOR:
        print_selector(p->out, n);
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
        toc_buf_append_char(p->out, n->is_plus ? '+' : '-');
        print(p, n->left, depth);
        break;
    case TOC_NODE_PAREN:
        print_list(p, (struct toc_node *const[]){n->left}, 1, depth, is_broken);
        break;
    }
}

void toc_promql_format(const struct toc_promql_expr *e, bool pretty, struct toc_buf *out) {
    print(&(struct printer){out, pretty}, e->root, 0);
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
    print(&(struct printer){&out->left_text, false}, n->left, 0);
}
