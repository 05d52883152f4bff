/* The parser's parts: precedence climbing over the lexer's tokens, with type checks on the way. */
#ifndef TOC_PROMQL_PARSER_PRIV_H
#define TOC_PROMQL_PARSER_PRIV_H

#include "promql/ast_priv.h"
#include "promql/lexer_priv.h"

enum { TOC_PARSE_DEPTH_MAX = 256, TOC_PARSE_LIST_MAX = 256 };

struct toc_parser {
    struct toc_lexer lexer;
    struct toc_token token; /* the current one */
    struct toc_promql_expr *expr;
    struct toc_err *err;
    unsigned features;
    int depth;
    bool allows_empty_matchers; /* in the second argument of info() */
};

/* parser.c: tools of all parts. All return 0 or TOC_EPARSE / TOC_ELIMIT with err filled. */
int toc_parser_advance(struct toc_parser *p);
int toc_parser_fail(struct toc_parser *p, size_t at, const char *fmt, ...) TOC_PRINTF(3, 4);
int toc_parser_unexpected(struct toc_parser *p, const char *context, const char *expected);
int toc_parser_expect(struct toc_parser *p, enum toc_token_kind kind, const char *context);
bool toc_parser_is_word(const struct toc_parser *p, const char *word);
/* Is the token behind the current one an opening parenthesis? */
bool toc_parser_is_before_paren(const struct toc_parser *p);
struct toc_node *toc_parser_node(struct toc_parser *p, enum toc_node_kind kind, size_t at);
int toc_parser_expression(struct toc_parser *p, int min_precedence, struct toc_node **out);
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
/* The aggregation of that name, or -1. */
int toc_aggregate_find(struct toc_sv name);
/* parse_modifier.c: [range], [range:step], anchored, smoothed, offset, @. */
int toc_parse_modifiers(struct toc_parser *p, struct toc_node **n);
/* parse_duration.c. A literal goes to *out_ms, arithmetic to *out_expr. `is_operand`: one operand
 * (behind offset), not a whole expression. */
struct toc_duration_place {
    const char *context;
    bool is_operand, may_be_negative;
};
int toc_parse_duration(struct toc_parser *p, const struct toc_duration_place *place,
                       int64_t *out_ms, struct toc_node **out_expr);
/* parse_binary.c: everything behind a left operand. */
int toc_parse_binary_tail(struct toc_parser *p, int min_precedence, struct toc_node **left);

#endif
