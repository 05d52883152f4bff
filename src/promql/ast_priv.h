/* The syntax tree: nodes in the expression's arena, immutable after parsing. */
#ifndef TOC_PROMQL_AST_PRIV_H
#define TOC_PROMQL_AST_PRIV_H

#include "base/vec.h"
#include "promql/function_priv.h"
#include "promql/promql.h"

enum toc_node_kind {
    TOC_NODE_NUMBER,
    TOC_NODE_STRING,
    TOC_NODE_SELECTOR, /* instant vector; with range_ms > 0 a range vector */
    TOC_NODE_SUBQUERY,
    TOC_NODE_CALL,
    TOC_NODE_AGGREGATE,
    TOC_NODE_BINARY,
    TOC_NODE_NEGATE, /* also a sign "+", see is_plus */
    TOC_NODE_PAREN,
};

enum toc_at_kind { TOC_AT_NONE, TOC_AT_TIME, TOC_AT_START, TOC_AT_END };

/* How a range selector treats the samples around its edges. */
enum toc_range_modifier { TOC_RANGE_PLAIN, TOC_RANGE_ANCHORED, TOC_RANGE_SMOOTHED };

/* X(ENUM, "text", precedence, is comparison, is set operator) */
#define TOC_BINARY_TABLE(X)              \
    X(OR, "or", 1, false, true)          \
    X(AND, "and", 2, false, true)        \
    X(UNLESS, "unless", 2, false, true)  \
    X(EQ, "==", 3, true, false)          \
    X(NE, "!=", 3, true, false)          \
    X(LE, "<=", 3, true, false)          \
    X(LT, "<", 3, true, false)           \
    X(GE, ">=", 3, true, false)          \
    X(GT, ">", 3, true, false)           \
    X(TRIM_UPPER, "</", 3, false, false) \
    X(TRIM_LOWER, ">/", 3, false, false) \
    X(ADD, "+", 4, false, false)         \
    X(SUB, "-", 4, false, false)         \
    X(MUL, "*", 5, false, false)         \
    X(DIV, "/", 5, false, false)         \
    X(MOD, "%", 5, false, false)         \
    X(ATAN2, "atan2", 5, false, false)   \
    X(POW, "^", 6, false, false)

enum toc_binary_op {
#define X(e, text, precedence, comparison, set) TOC_BINARY_##e,
    TOC_BINARY_TABLE(X)
#undef X
};
struct toc_binary_info {
    const char *text;
    int precedence;
    bool is_comparison, is_set;
};
const struct toc_binary_info *toc_binary_info(enum toc_binary_op op);

/* X(ENUM, "text", has a parameter, is experimental) */
#define TOC_AGGREGATE_TABLE(X)                   \
    X(SUM, "sum", false, false)                  \
    X(AVG, "avg", false, false)                  \
    X(MIN, "min", false, false)                  \
    X(MAX, "max", false, false)                  \
    X(COUNT, "count", false, false)              \
    X(GROUP, "group", false, false)              \
    X(STDDEV, "stddev", false, false)            \
    X(STDVAR, "stdvar", false, false)            \
    X(TOPK, "topk", true, false)                 \
    X(BOTTOMK, "bottomk", true, false)           \
    X(QUANTILE, "quantile", true, false)         \
    X(COUNT_VALUES, "count_values", true, false) \
    X(LIMITK, "limitk", true, true)              \
    X(LIMIT_RATIO, "limit_ratio", true, true)

enum toc_aggregate_op {
#define X(e, text, parameter, experimental) TOC_AGGREGATE_##e,
    TOC_AGGREGATE_TABLE(X)
#undef X
};
const char *toc_aggregate_text(enum toc_aggregate_op op);
/* The aggregation of that name in any case, or -1. */
int toc_aggregate_find(struct toc_sv name);

struct toc_node {
    enum toc_node_kind kind;
    enum toc_promql_type type;
    size_t at, end;                /* in the input */
    size_t operator_at;            /* of a binary operator */
    int depth;                     /* of the tree below */
    struct toc_node *left, *right; /* operands; left is the only child of unary kinds */

    double number;
    bool is_duration; /* a number that was written as one */
    struct toc_sv string;

    /* selector, subquery */
    struct toc_matcher *matchers; /* owned by the expression */
    size_t matcher_count;
    struct toc_sv metric;      /* name in front of the braces, empty when there is none */
    int64_t range_ms, step_ms; /* step 0: the default */
    int64_t offset_ms;
    struct toc_node *range_expr, *step_expr, *offset_expr; /* arithmetic on durations, or NULL */
    enum toc_at_kind at_kind;
    int64_t at_ms;
    enum toc_range_modifier modifier;
    bool has_offset;    /* one was written, 0 included */
    bool is_info_label; /* second argument of info(): its matchers may all match "" */

    const struct toc_function *function;
    struct toc_node **args;
    size_t arg_count;

    enum toc_aggregate_op aggregate; /* left is the vector, right the parameter */
    enum toc_binary_op binary;
    bool is_plus; /* NEGATE: changes nothing, but what is behind it is no bare selector any more */
    bool returns_bool;
    bool is_without;   /* aggregation; for binary: ignoring */
    bool has_grouping; /* by/without, on/ignoring was written */
    struct toc_sv *grouping;
    size_t grouping_count;
    enum { TOC_MATCH_ONE_TO_ONE, TOC_MATCH_GROUP_LEFT, TOC_MATCH_GROUP_RIGHT } cardinality;
    struct toc_sv *include;
    size_t include_count;
    bool has_fill_left, has_fill_right; /* value of a partner that is missing there */
    bool is_fill_both;                  /* written as fill() */
    double fill_left, fill_right;

    /* Set in the copy that a query evaluates (prepare.c). */
    bool is_invariant; /* the same at all steps: computed once */
    bool tells_resets; /* a selector whose histograms say whether a counter was reset */
};

struct toc_promql_expr {
    struct toc_arena arena;
    struct toc_sv text; /* as parsed, for positions */
    struct toc_node *root;
    TOC_VEC(struct toc_node *) selectors; /* whose matchers are owned */
};

/* The string in double quotes with Go's escapes; bytes that are no UTF-8 as \xNN. */
void toc_promql_quote(struct toc_sv s, struct toc_buf *out);

/* Canonical text, but with the matchers in the order in which they were written, which absent()
 * looks at. */
void toc_promql_format_as_written(const struct toc_promql_expr *e, struct toc_buf *out);

/* Without parentheses around it. */
static inline const struct toc_node *toc_node_bare(const struct toc_node *n) {
    while (n->kind == TOC_NODE_PAREN)
        n = n->left;
    return n;
}

/* A copy of the tree for one query, in its arena: durations and start(), end(), range(), step()
 * are numbers, what is the same at all steps is marked. TOC_EINVAL when a duration makes no
 * sense. */
struct toc_query_times {
    int64_t start_ms, end_ms, step_ms; /* step 0 for an instant query */
};
int toc_prepare(const struct toc_promql_expr *expr, const struct toc_query_times *times,
                struct toc_arena *arena, struct toc_node **out, struct toc_err *err) TOC_MUST_CHECK;
/* reset_hints.c: sets tells_resets in a prepared tree. */
void toc_mark_reset_tellers(struct toc_node *root);
/* What fits in 64 bits as nanoseconds, upstream's unit. */
#define TOC_DURATION_MAX_SECONDS 9223372036.854
/* The milliseconds of a duration expression. */
int toc_duration_value(const struct toc_node *n, struct toc_sv text,
                       const struct toc_query_times *times, bool must_be_positive, int64_t *out_ms,
                       struct toc_err *err) TOC_MUST_CHECK;

#endif
