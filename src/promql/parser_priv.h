/* The parser's parts: precedence climbing over the lexer's tokens, with type checks on the way. */
#ifndef TOC_PROMQL_PARSER_PRIV_H
#define TOC_PROMQL_PARSER_PRIV_H

#include "promql/ast_priv.h"
#include "promql/lexer_priv.h"

enum {
    TOC_PARSE_DEPTH_MAX = 256, /* of parentheses, calls and what else nests */
    TOC_PARSE_TREE_MAX = 1000, /* the depth of the tree: operators in a row make it deep too */
    TOC_PARSE_LIST_MAX = 256,
    TOC_PARSE_REGEX_MAX = 1000,
    TOC_PARSE_BYTES_MAX = 64 << 20,
};

struct toc_parser {
    struct toc_lexer lexer;
    struct toc_token token; /* the current one */
    struct toc_promql_expr *expr;
    struct toc_err *err;
    unsigned features;
    int depth, regex_count;
    int aggregation_depth; /* how many aggregations are open around the token */
};

/* parser.c: tools of all parts. All return 0 or TOC_EPARSE / TOC_ELIMIT with err filled. */
int toc_parser_advance(struct toc_parser *p);
int toc_parser_fail(struct toc_parser *p, size_t at, const char *fmt, ...) TOC_PRINTF(3, 4);
int toc_parser_too_large(struct toc_parser *p);
/* "unexpected TOKEN in CONTEXT, expected …"; both may be NULL. */
int toc_parser_unexpected(struct toc_parser *p, const char *context, const char *expected);
int toc_parser_expect(struct toc_parser *p, enum toc_token_kind kind);
bool toc_parser_is_word(const struct toc_parser *p, const char *word);
struct toc_node *toc_parser_node(struct toc_parser *p, enum toc_node_kind kind, size_t at);
int toc_parser_expression(struct toc_parser *p, int min_precedence, struct toc_node **out);
/* The child's depth counts for its parent; TOC_EPARSE behind the limit. */
int toc_parser_adopt(struct toc_parser *p, struct toc_node *parent, const struct toc_node *child);
/* Goes one level deeper; TOC_EPARSE behind the limit. Undo with p->depth--. */
int toc_parser_enter(struct toc_parser *p);
/* The binary operator that the current token is, or -1. */
int toc_parser_operator(const struct toc_parser *p);
const char *toc_promql_type_text(enum toc_promql_type t);

/* parse_selector.c */
int toc_parse_selector(struct toc_parser *p, struct toc_node **out);
/* `(a, "b.c")`: the list of a grouping or matching clause. */
int toc_parse_label_list(struct toc_parser *p, struct toc_sv **out, size_t *out_count);
/* parse_call.c */
int toc_parse_call(struct toc_parser *p, struct toc_token name, struct toc_node **out);
int toc_parse_aggregate(struct toc_parser *p, enum toc_aggregate_op op, size_t at,
                        struct toc_node **out);
/* parse_modifier.c: [range], [range:step], anchored, smoothed, offset, @. */
int toc_parse_modifiers(struct toc_parser *p, struct toc_node **n);
/* parse_duration.c. A literal goes to *out_ms, arithmetic to *out_expr. `is_operand`: one operand
 * (behind offset), not a whole expression. */
struct toc_duration_place {
    const char *context, *expected;
    bool is_operand, may_be_negative;
};
int toc_parse_duration(struct toc_parser *p, const struct toc_duration_place *place,
                       int64_t *out_ms, struct toc_node **out_expr);
/* parse_binary.c: everything behind a left operand. */
int toc_parse_binary_tail(struct toc_parser *p, int min_precedence, struct toc_node **left);
/* regex_error.c: RE2's reason in Go's words. */
int toc_parser_bad_regex(struct toc_parser *p, size_t at, struct toc_sv pattern,
                         const char *reason);
/* check.c: the types of all operands and arguments, once the text is known to be well formed. */
int toc_parse_check(struct toc_parser *p, struct toc_node *root);

#endif
