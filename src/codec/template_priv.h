/* The compiled form of a template, shared by its parser, its evaluator and its functions. */
#ifndef TOC_CODEC_TEMPLATE_PRIV_H
#define TOC_CODEC_TEMPLATE_PRIV_H

#include "base/vec.h"
#include "codec/template.h"

enum {
    TOC_TEMPLATE_DEPTH_MAX =
        24, /* nested blocks, parentheses, pipeline stages: bounds all recursion */
    TOC_TEMPLATE_ARGS_MAX = 16,
    TOC_TEMPLATE_FIELDS_MAX = 16,
    TOC_TEMPLATE_VARIABLES_MAX = 256
};

enum toc_template_expr_kind {
    TOC_TEMPLATE_EXPR_LITERAL,
    TOC_TEMPLATE_EXPR_DOT,
    TOC_TEMPLATE_EXPR_VARIABLE, /* name; empty for $ */
    TOC_TEMPLATE_EXPR_CALL,
    TOC_TEMPLATE_EXPR_GROUP /* a parenthesised expression with fields behind it: args[0] */
};

struct toc_template_expr {
    enum toc_template_expr_kind kind;
    size_t offset; /* in the text, for errors */
    struct toc_template_value literal;
    struct toc_sv name;
    const struct toc_template_function *function;
    struct toc_template_expr *args[TOC_TEMPLATE_ARGS_MAX];
    size_t arg_count;
    struct toc_sv fields[TOC_TEMPLATE_FIELDS_MAX]; /* .a.b behind it */
    size_t field_count;
};

enum toc_template_node_kind {
    TOC_TEMPLATE_NODE_TEXT,
    TOC_TEMPLATE_NODE_OUTPUT,
    TOC_TEMPLATE_NODE_ASSIGN,
    TOC_TEMPLATE_NODE_IF,
    TOC_TEMPLATE_NODE_WITH,
    TOC_TEMPLATE_NODE_RANGE,
    TOC_TEMPLATE_NODE_TEMPLATE /* text: the name; expr: its dot, or NULL */
};

struct toc_template_node {
    enum toc_template_node_kind kind;
    struct toc_template_node *next;
    size_t offset;
    struct toc_sv text;
    struct toc_template_expr *expr;
    struct toc_sv variables[2]; /* key and value of a range; one for ASSIGN, with, if */
    size_t variable_count;
    bool declares; /* := rather than = */
    struct toc_template_node *body, *otherwise;
};

/* {{ define "name" }}: the newest of a name is the one in force. */
struct toc_template_define {
    struct toc_sv name;
    struct toc_template_node *body;
    struct toc_template_define *next;
};

struct toc_template {
    struct toc_arena arena; /* nodes and the text */
    struct toc_sv text;
    struct toc_template_node *body;
    struct toc_template_define *defines;
};

/* A function call being evaluated. */
struct toc_template_call {
    const struct toc_template_value *args;
    size_t count;
    struct toc_arena *arena; /* for strings and lists of the result */
    size_t max_bytes;        /* of one string */
    struct toc_err *err;
    const struct toc_template *template;
    size_t offset;
    const struct toc_template_env *env; /* never NULL */
    void *render;                       /* for toc_template_run_define */
    struct toc_template_value out;
};

struct toc_template_function {
    const char *name;
    size_t min_args, max_args;
    int (*call)(struct toc_template_call *c);
    bool is_for_rules;
};

/* NULL when unknown. */
const struct toc_template_function *toc_template_find_function(struct toc_sv name,
                                                               bool with_rule_functions);
/* `and` and `or` stop at the first argument that decides; the evaluator does them. */
bool toc_template_is_and(const struct toc_template_function *f);
bool toc_template_is_or(const struct toc_template_function *f);

bool toc_template_is_true(const struct toc_template_value *v);
/* As Go's %v. */
void toc_template_print(const struct toc_template_value *v, struct toc_buf *out);
/* An error at an offset of the template's text. */
int toc_template_fail(struct toc_sv text, size_t offset, struct toc_err *err, int code,
                      const char *fmt, ...) TOC_PRINTF(5, 6);
int toc_template_call_fail(struct toc_template_call *c, int code, const char *what);
/* Hands a finished string to the call's result and frees the buffer. */
int toc_template_return(struct toc_template_call *c, struct toc_buf *b);

/* The argument as text; numbers and booleans print as they would in the output. */
int toc_template_to_text(struct toc_template_call *c, size_t i, struct toc_sv *out);
/* Runs a defined template with this dot into `out`. */
int toc_template_run_define(struct toc_template_call *c, struct toc_sv name,
                            const struct toc_template_value *dot, struct toc_buf *out);

/* template_rule_func.c: X(name, least arguments, most arguments, function) */
#define TOC_TEMPLATE_RULE_FUNCTION_TABLE(X)                \
    X("query", 1, 1, toc_template_query)                   \
    X("label", 2, 2, toc_template_label)                   \
    X("value", 1, 1, toc_template_value_of)                \
    X("strvalue", 1, 1, toc_template_strvalue)             \
    X("sortByLabel", 2, 2, toc_template_sort_by_label)     \
    X("args", 0, TOC_TEMPLATE_ARGS_MAX, toc_template_args) \
    X("tmpl", 2, 2, toc_template_tmpl)                     \
    X("now", 0, 0, toc_template_now)                       \
    X("toTime", 1, 1, toc_template_humanize_timestamp)     \
    X("toDuration", 1, 1, toc_template_to_duration)        \
    X("externalURL", 0, 0, toc_template_external_url)      \
    X("pathPrefix", 0, 0, toc_template_path_prefix)        \
    X("urlQueryEscape", 1, 1, toc_template_query_escape)   \
    X("graphLink", 1, 1, toc_template_graph_link)          \
    X("tableLink", 1, 1, toc_template_table_link)
#define X(name, min, max, fn) int fn(struct toc_template_call *c);
TOC_TEMPLATE_RULE_FUNCTION_TABLE(X)
#undef X

/* template_format.c: numbers for people */
void toc_template_format(double v, struct toc_buf *out);
int toc_template_humanize(struct toc_template_call *c);
int toc_template_humanize1024(struct toc_template_call *c);
int toc_template_humanize_duration(struct toc_template_call *c);
int toc_template_humanize_percentage(struct toc_template_call *c);
int toc_template_printf(struct toc_template_call *c);
/* A number, or a string that reads as one. */
int toc_template_to_number(struct toc_template_call *c, const struct toc_template_value *v,
                           double *out);

#endif
