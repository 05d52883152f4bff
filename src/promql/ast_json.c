/* Members are written in the order of their names, as upstream's are. The depth of a parsed tree is
 * limited, so recursion is. */
#include "promql/ast_json.h"

#include "base/num.h"
#include "codec/json_writer.h"
#include "promql/ast_priv.h"

static void node(const struct toc_node *n, struct toc_buf *out);

static void member(struct toc_buf *out, const char *key) {
    toc_buf_append_cstr(out, out->p[out->n - 1] == '{' ? "\"" : ",\"");
    toc_buf_append_cstr(out, key);
    toc_buf_append_cstr(out, "\":");
}

static void text_member(struct toc_buf *out, const char *key, const char *text) {
    member(out, key);
    toc_json_append_string(out, toc_sv_cstr(text));
}

static void int_member(struct toc_buf *out, const char *key, int64_t n) {
    member(out, key);
    toc_buf_printf(out, "%lld", (long long)n);
}

static void bool_member(struct toc_buf *out, const char *key, bool b) {
    member(out, key);
    toc_buf_append_cstr(out, b ? "true" : "false");
}

static void node_member(struct toc_buf *out, const char *key, const struct toc_node *n) {
    member(out, key);
    if (n)
        node(n, out);
    else
        toc_buf_append_cstr(out, "null");
}

static void list_member(struct toc_buf *out, const char *key, const struct toc_sv *items,
                        size_t count) {
    member(out, key);
    toc_buf_append_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            toc_buf_append_char(out, ',');
        toc_json_append_string(out, items[i]);
    }
    toc_buf_append_char(out, ']');
}

static void matchers_member(struct toc_buf *out, const struct toc_node *n) {
    member(out, "matchers");
    toc_buf_append_char(out, '[');
    for (size_t i = 0; i < n->matcher_count; i++) {
        const struct toc_matcher *m = &n->matchers[i];
        toc_buf_append_cstr(out, i ? ",{" : "{");
        member(out, "name");
        toc_json_append_string(out, m->name);
        text_member(out, "type", toc_match_op_text(m->op));
        member(out, "value");
        toc_json_append_string(out, m->value);
        toc_buf_append_char(out, '}');
    }
    toc_buf_append_char(out, ']');
}

/* startOrEnd of `@`; its number follows as timestamp, behind what comes between. */
static void start_or_end(struct toc_buf *out, const struct toc_node *n) {
    member(out, "startOrEnd");
    toc_buf_append_cstr(out, n->at_kind == TOC_AT_START ? "\"start\""
                             : n->at_kind == TOC_AT_END ? "\"end\""
                                                        : "null");
}

static void timestamp(struct toc_buf *out, const struct toc_node *n) {
    if (n->at_kind == TOC_AT_TIME) {
        int_member(out, "timestamp", n->at_ms);
        return;
    }
    member(out, "timestamp");
    toc_buf_append_cstr(out, "null");
}

static void selector(const struct toc_node *n, struct toc_buf *out) {
    bool is_range = n->type == TOC_PROMQL_MATRIX;
    bool_member(out, "anchored", n->modifier == TOC_RANGE_ANCHORED);
    matchers_member(out, n);
    member(out, "name");
    toc_json_append_string(out, n->metric);
    int_member(out, "offset", n->offset_ms);
    if (is_range)
        int_member(out, "range", n->range_ms);
    bool_member(out, "smoothed", n->modifier == TOC_RANGE_SMOOTHED);
    start_or_end(out, n);
    timestamp(out, n);
    text_member(out, "type", is_range ? "matrixSelector" : "vectorSelector");
}

static void subquery(const struct toc_node *n, struct toc_buf *out) {
    node_member(out, "expr", n->left);
    int_member(out, "offset", n->offset_ms);
    int_member(out, "range", n->range_ms);
    start_or_end(out, n);
    int_member(out, "step", n->step_ms);
    timestamp(out, n);
    text_member(out, "type", "subquery");
}

static const char *type_of_letter(char c) {
    return c == 'v' ? "vector" : c == 'm' ? "matrix" : c == 's' ? "scalar" : "string";
}

static void call(const struct toc_node *n, struct toc_buf *out) {
    const struct toc_function *f = n->function;
    member(out, "args");
    toc_buf_append_char(out, '[');
    for (size_t i = 0; i < n->arg_count; i++) {
        if (i)
            toc_buf_append_char(out, ',');
        node(n->args[i], out);
    }
    toc_buf_append_char(out, ']');
    member(out, "func");
    toc_buf_append_char(out, '{');
    member(out, "argTypes");
    toc_buf_append_char(out, '[');
    for (size_t i = 0; f->args[i]; i++)
        toc_buf_printf(out, "%s\"%s\"", i ? "," : "", type_of_letter(f->args[i]));
    toc_buf_append_char(out, ']');
    text_member(out, "name", f->name);
    text_member(out, "returnType", type_of_letter(f->result));
    int_member(out, "variadic", f->optional);
    toc_buf_append_char(out, '}');
    text_member(out, "type", "call");
}

static void aggregation(const struct toc_node *n, struct toc_buf *out) {
    node_member(out, "expr", n->left);
    list_member(out, "grouping", n->grouping, n->grouping_count);
    text_member(out, "op", toc_aggregate_text(n->aggregate));
    node_member(out, "param", n->right);
    text_member(out, "type", "aggregation");
    bool_member(out, "without", n->is_without);
}

static void fill_member(struct toc_buf *out, const char *key, bool is_set, double v) {
    member(out, key);
    if (is_set)
        toc_format_f64_g(v, out);
    else
        toc_buf_append_cstr(out, "null");
}

static void matching(const struct toc_node *n, struct toc_buf *out) {
    static const char *const cards[] = {[TOC_MATCH_ONE_TO_ONE] = "one-to-one",
                                        [TOC_MATCH_GROUP_LEFT] = "many-to-one",
                                        [TOC_MATCH_GROUP_RIGHT] = "one-to-many"};
    toc_buf_append_char(out, '{');
    text_member(out, "card",
                toc_binary_info(n->binary)->is_set ? "many-to-many" : cards[n->cardinality]);
    member(out, "fillValues");
    toc_buf_append_char(out, '{');
    fill_member(out, "lhs", n->has_fill_left, n->fill_left);
    fill_member(out, "rhs", n->has_fill_right, n->fill_right);
    toc_buf_append_char(out, '}');
    list_member(out, "include", n->include, n->include_count);
    list_member(out, "labels", n->grouping, n->grouping_count);
    bool_member(out, "on", n->has_grouping && !n->is_without);
    toc_buf_append_char(out, '}');
}

static void binary(const struct toc_node *n, struct toc_buf *out) {
    bool is_matching = n->left->type == TOC_PROMQL_VECTOR && n->right->type == TOC_PROMQL_VECTOR;
    bool_member(out, "bool", n->returns_bool);
    node_member(out, "lhs", n->left);
    member(out, "matching");
    if (is_matching)
        matching(n, out);
    else
        toc_buf_append_cstr(out, "null");
    text_member(out, "op", toc_binary_info(n->binary)->text);
    node_member(out, "rhs", n->right);
    text_member(out, "type", "binaryExpr");
}

static void number(const struct toc_node *n, struct toc_buf *out) {
    text_member(out, "type", "numberLiteral");
    member(out, "val");
    toc_buf_append_char(out, '"');
    toc_format_f64(n->number, out);
    toc_buf_append_char(out, '"');
}

static void string(const struct toc_node *n, struct toc_buf *out) {
    text_member(out, "type", "stringLiteral");
    member(out, "val");
    toc_json_append_string(out, n->string);
}

static void unary(const struct toc_node *n, struct toc_buf *out) {
    node_member(out, "expr", n->left);
    if (n->kind == TOC_NODE_NEGATE)
        text_member(out, "op", "-");
    text_member(out, "type", n->kind == TOC_NODE_NEGATE ? "unaryExpr" : "parenExpr");
}

static void node(const struct toc_node *n, struct toc_buf *out) {
    static void (*const writers[])(const struct toc_node *, struct toc_buf *) = {
        [TOC_NODE_NUMBER] = number,     [TOC_NODE_STRING] = string,
        [TOC_NODE_SELECTOR] = selector, [TOC_NODE_SUBQUERY] = subquery,
        [TOC_NODE_CALL] = call,         [TOC_NODE_AGGREGATE] = aggregation,
        [TOC_NODE_BINARY] = binary,     [TOC_NODE_NEGATE] = unary,
        [TOC_NODE_PAREN] = unary,
    };
    toc_buf_append_char(out, '{');
    if (!toc_buf_error(out))
        writers[n->kind](n, out);
    toc_buf_append_char(out, '}');
}

void toc_promql_write_ast(const struct toc_promql_expr *e, struct toc_buf *out) {
    node(e->root, out);
}
