/* Precedence-climbing parser with type checks. Grammar:
 * prometheus.io/docs/prometheus/latest/querying. */
#include <math.h>
#include <string.h>

#include "promql/ast_priv.h"
#include "promql/lexer_priv.h"

enum { DEPTH_MAX = 256, LIST_MAX = 256, INPUT_MAX_BYTES = 1 << 20 };

struct parser {
    struct toc_lexer lexer;
    struct toc_token token; /* the current one */
    struct toc_promql_expr *expr;
    struct toc_err *err;
    int depth;
};

const struct toc_binary_info *toc_binary_info(enum toc_binary_op op) {
    static const struct toc_binary_info table[] = {
#define X(e, text, precedence, comparison, set) {text, precedence, comparison, set},
        TOC_BINARY_TABLE(X)
#undef X
    };
    return &table[op];
}

const char *toc_aggregate_text(enum toc_aggregate_op op) {
    static const char *const texts[] = {
#define X(e, text, parameter, experimental) text,
        TOC_AGGREGATE_TABLE(X)
#undef X
    };
    return texts[op];
}

static const char *type_text(enum toc_promql_type t) {
    static const char *const texts[] = {"scalar", "instant vector", "range vector", "string"};
    return texts[t];
}

static int parse_expression(struct parser *p, int min_precedence, struct toc_node **out);

static int advance(struct parser *p) {
    return toc_lexer_next(&p->lexer, &p->token, p->err);
}

static int fail_at(struct parser *p, size_t at, const char *text) {
    return toc_lexer_error(p->lexer.input, at, p->err, "%s", text);
}

static int unexpected(struct parser *p, const char *context, const char *expected) {
    if (p->token.kind == TOC_TOKEN_END)
        return toc_lexer_error(p->lexer.input, p->token.at, p->err,
                               "unexpected end of input in %s, expected %s", context, expected);
    return toc_lexer_error(
        p->lexer.input, p->token.at, p->err, "unexpected %s \"%.*s\" in %s, expected %s",
        toc_token_text(p->token.kind), TOC_SV_ARG(p->token.text), context, expected);
}

static int expect(struct parser *p, enum toc_token_kind kind, const char *context) {
    if (p->token.kind != kind)
        return unexpected(p, context, toc_token_text(kind));
    return advance(p);
}

static bool is_word(const struct parser *p, const char *word) {
    return p->token.kind == TOC_TOKEN_IDENTIFIER &&
           toc_sv_eq_nocase(p->token.text, toc_sv_cstr(word));
}

static struct toc_node *new_node(struct parser *p, enum toc_node_kind kind, size_t at) {
    struct toc_node *n = TOC_ARENA_NEW(&p->expr->arena, struct toc_node);
    if (!n) {
        toc_errf(p->err, TOC_ELIMIT, "the expression is too large");
        return NULL;
    }
    n->kind = kind;
    n->at = at;
    n->type = TOC_PROMQL_VECTOR;
    return n;
}

/* ----------------------------------------------------------------------------------------
 * selectors */

static int op_of(enum toc_token_kind kind, enum toc_match_op *out) {
    switch (kind) {
    case TOC_TOKEN_ASSIGN:
        *out = TOC_MATCH_EQ;
        return 0;
    case TOC_TOKEN_NE:
        *out = TOC_MATCH_NE;
        return 0;
    case TOC_TOKEN_RE:
        *out = TOC_MATCH_RE;
        return 0;
    case TOC_TOKEN_NRE:
        *out = TOC_MATCH_NRE;
        return 0;
    default:
        return TOC_EPARSE;
    }
}

/* Appends to n->matchers, which lies in the arena with room for LIST_MAX. */
static int add_matcher(struct parser *p, struct toc_node *n, enum toc_match_op op,
                       struct toc_sv name, struct toc_sv value, size_t at) {
    struct toc_err reason = {0};
    if (n->matcher_count == LIST_MAX)
        return fail_at(p, at, "more than 256 matchers in one selector");
    int rc = toc_matcher_init(&n->matchers[n->matcher_count], op, name, value, &reason);
    if (rc < 0)
        return toc_lexer_error(p->lexer.input, at, p->err, "%s", reason.message);
    n->matcher_count++;
    return 0;
}

static int parse_matcher(struct parser *p, struct toc_node *n) {
    struct toc_token name = p->token;
    bool is_quoted = name.kind == TOC_TOKEN_STRING;
    if (name.kind != TOC_TOKEN_IDENTIFIER && !is_quoted)
        return unexpected(p, "label matching", "identifier or \"}\"");
    int rc = advance(p);
    if (rc < 0)
        return rc;
    struct toc_sv label = is_quoted ? name.string : name.text;
    if (is_quoted && (p->token.kind == TOC_TOKEN_COMMA || p->token.kind == TOC_TOKEN_RBRACE)) {
        if (n->metric.n)
            return fail_at(p, name.at, "metric name must not be set twice");
        n->metric = label;
        return add_matcher(p, n, TOC_MATCH_EQ, TOC_METRIC_NAME, label, name.at);
    }
    enum toc_match_op op;
    if (op_of(p->token.kind, &op) < 0)
        return unexpected(p, "label matching", "one of \"=\", \"!=\", \"=~\", \"!~\"");
    if ((rc = advance(p)) < 0)
        return rc;
    if (p->token.kind != TOC_TOKEN_STRING)
        return unexpected(p, "label matching", "string");
    struct toc_token value = p->token;
    rc = add_matcher(p, n, op, label, value.string, value.at);
    return rc < 0 ? rc : advance(p);
}

static int parse_matchers(struct parser *p, struct toc_node *n) {
    int rc = advance(p); /* "{" */
    while (rc == 0 && p->token.kind != TOC_TOKEN_RBRACE) {
        rc = parse_matcher(p, n);
        if (rc == 0 && p->token.kind == TOC_TOKEN_COMMA)
            rc = advance(p);
        else if (rc == 0 && p->token.kind != TOC_TOKEN_RBRACE)
            rc = unexpected(p, "label matching", "\",\" or \"}\"");
    }
    return rc < 0 ? rc : advance(p);
}

static bool matches_something(const struct toc_node *n) {
    for (size_t i = 0; i < n->matcher_count; i++)
        if (!toc_matcher_matches(&n->matchers[i], TOC_SV("")))
            return true;
    return false;
}

static int parse_selector(struct parser *p, struct toc_node **out) {
    struct toc_node *n = new_node(p, TOC_NODE_SELECTOR, p->token.at);
    if (!n)
        return TOC_ELIMIT;
    n->matchers = TOC_ARENA_NEW_ARRAY(&p->expr->arena, struct toc_matcher, LIST_MAX);
    if (!n->matchers)
        return toc_errf(p->err, TOC_ELIMIT, "the expression is too large");
    TOC_VEC_PUSH(&p->expr->selectors, n);
    int rc = 0;
    if (p->token.kind != TOC_TOKEN_LBRACE) {
        n->metric = toc_arena_dup_sv(&p->expr->arena, p->token.text);
        rc = add_matcher(p, n, TOC_MATCH_EQ, TOC_METRIC_NAME, n->metric, p->token.at);
        if (rc == 0)
            rc = advance(p);
    }
    if (rc == 0 && p->token.kind == TOC_TOKEN_LBRACE)
        rc = parse_matchers(p, n);
    if (rc < 0)
        return rc;
    if (!matches_something(n))
        return fail_at(p, n->at, "vector selector must contain at least one non-empty matcher");
    *out = n;
    return 0;
}

/* ------------------------------------------------------------------------------- calls,
 * aggregations */

static int parse_labels(struct parser *p, struct toc_sv **out, size_t *out_count) {
    int rc = expect(p, TOC_TOKEN_LPAREN, "grouping opts");
    *out = TOC_ARENA_NEW_ARRAY(&p->expr->arena, struct toc_sv, LIST_MAX);
    *out_count = 0;
    while (rc == 0 && p->token.kind != TOC_TOKEN_RPAREN) {
        bool is_quoted = p->token.kind == TOC_TOKEN_STRING;
        if (p->token.kind != TOC_TOKEN_IDENTIFIER && !is_quoted)
            return unexpected(p, "grouping opts", "label");
        if (!*out || *out_count == LIST_MAX)
            return fail_at(p, p->token.at, "more than 256 labels in one list");
        (*out)[(*out_count)++] =
            toc_arena_dup_sv(&p->expr->arena, is_quoted ? p->token.string : p->token.text);
        rc = advance(p);
        if (rc == 0 && p->token.kind == TOC_TOKEN_COMMA)
            rc = advance(p);
        else if (rc == 0 && p->token.kind != TOC_TOKEN_RPAREN)
            return unexpected(p, "grouping opts", "\",\" or \")\"");
    }
    return rc < 0 ? rc : advance(p);
}

static int parse_args(struct parser *p, struct toc_node *n, const char *context) {
    struct toc_node *args[LIST_MAX];
    int rc = expect(p, TOC_TOKEN_LPAREN, context);
    while (rc == 0 && p->token.kind != TOC_TOKEN_RPAREN) {
        if (n->arg_count == LIST_MAX)
            return fail_at(p, p->token.at, "more than 256 arguments");
        rc = parse_expression(p, 0, &args[n->arg_count]);
        if (rc < 0)
            return rc;
        n->arg_count++;
        if (p->token.kind == TOC_TOKEN_COMMA) {
            rc = advance(p);
            if (rc == 0 && p->token.kind == TOC_TOKEN_RPAREN)
                return fail_at(p, p->token.at, "trailing commas not allowed in function call args");
        } else if (p->token.kind != TOC_TOKEN_RPAREN) {
            return unexpected(p, context, "\",\" or \")\"");
        }
    }
    if (rc < 0)
        return rc;
    n->args = TOC_ARENA_NEW_ARRAY(&p->expr->arena, struct toc_node *, n->arg_count + 1);
    if (!n->args)
        return toc_errf(p->err, TOC_ELIMIT, "the expression is too large");
    memcpy(n->args, args, n->arg_count * sizeof *args);
    n->end = p->token.end;
    return advance(p);
}

static enum toc_promql_type type_of_letter(char c) {
    return c == 's'   ? TOC_PROMQL_SCALAR
           : c == 'm' ? TOC_PROMQL_MATRIX
           : c == 't' ? TOC_PROMQL_STRING
                      : TOC_PROMQL_VECTOR;
}

static int check_args(struct parser *p, const struct toc_node *n) {
    const struct toc_function *f = n->function;
    size_t most = strlen(f->args), least = most - (size_t)(f->optional < 0 ? 1 : f->optional);
    if (n->arg_count < least || (f->optional >= 0 && n->arg_count > most))
        return toc_lexer_error(
            p->lexer.input, n->at, p->err, "expected %s%zu argument(s) in call to \"%s\", got %zu",
            f->optional < 0 || (f->optional && n->arg_count < least) ? "at least "
            : f->optional                                            ? "at most "
                                                                     : "",
            n->arg_count < least ? least : most, f->name, n->arg_count);
    for (size_t i = 0; i < n->arg_count; i++) {
        char letter = f->args[i < most ? i : most - 1];
        if (n->args[i]->type != type_of_letter(letter))
            return toc_lexer_error(p->lexer.input, n->args[i]->at, p->err,
                                   "expected type %s in call to function \"%s\", got %s",
                                   type_text(type_of_letter(letter)), f->name,
                                   type_text(n->args[i]->type));
    }
    return 0;
}

static int parse_call(struct parser *p, struct toc_token name, struct toc_node **out) {
    struct toc_node *n = new_node(p, TOC_NODE_CALL, name.at);
    if (!n)
        return TOC_ELIMIT;
    n->function = toc_function_find(name.text);
    if (!n->function) {
        const char *nearest = toc_function_suggest(name.text);
        return toc_lexer_error(p->lexer.input, name.at, p->err,
                               "unknown function with name \"%.*s\"%s%s%s", TOC_SV_ARG(name.text),
                               nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                               nearest ? "\"?" : "");
    }
    n->type = type_of_letter(n->function->result);
    int rc = parse_args(p, n, "function call args");
    *out = n;
    return rc < 0 ? rc : check_args(p, n);
}

static int aggregate_of(struct toc_sv name) {
    static const struct {
        const char *text;
        int op;
    } table[] = {
#define X(e, text, parameter, experimental) {text, TOC_AGGREGATE_##e},
        TOC_AGGREGATE_TABLE(X)
#undef X
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (toc_sv_eq_nocase(name, toc_sv_cstr(table[i].text)))
            return table[i].op;
    return -1;
}

static bool takes_parameter(enum toc_aggregate_op op) {
    static const bool table[] = {
#define X(e, text, parameter, experimental) parameter,
        TOC_AGGREGATE_TABLE(X)
#undef X
    };
    return table[op];
}

static int parse_grouping(struct parser *p, struct toc_node *n) {
    if (n->has_grouping || (!is_word(p, "by") && !is_word(p, "without")))
        return 0;
    n->has_grouping = true;
    n->is_without = is_word(p, "without");
    int rc = advance(p);
    return rc < 0 ? rc : parse_labels(p, &n->grouping, &n->grouping_count);
}

static int check_aggregate(struct parser *p, struct toc_node *n) {
    size_t want = takes_parameter(n->aggregate) ? 2 : 1;
    const char *name = toc_aggregate_text(n->aggregate);
    if (n->arg_count != want)
        return toc_lexer_error(
            p->lexer.input, n->at, p->err,
            "wrong number of arguments for aggregate expression \"%s\": expected %zu, got %zu",
            name, want, n->arg_count);
    n->left = n->args[want - 1];
    n->right = want == 2 ? n->args[0] : NULL;
    if (n->left->type != TOC_PROMQL_VECTOR)
        return toc_lexer_error(p->lexer.input, n->left->at, p->err,
                               "expected type instant vector in aggregation expression, got %s",
                               type_text(n->left->type));
    enum toc_promql_type parameter =
        n->aggregate == TOC_AGGREGATE_COUNT_VALUES ? TOC_PROMQL_STRING : TOC_PROMQL_SCALAR;
    if (n->right && n->right->type != parameter)
        return toc_lexer_error(p->lexer.input, n->right->at, p->err,
                               "expected type %s in aggregation parameter, got %s",
                               type_text(parameter), type_text(n->right->type));
    return 0;
}

static int parse_aggregate(struct parser *p, int op, size_t at, struct toc_node **out) {
    struct toc_node *n = new_node(p, TOC_NODE_AGGREGATE, at);
    if (!n)
        return TOC_ELIMIT;
    n->aggregate = (enum toc_aggregate_op)op;
    int rc = parse_grouping(p, n);
    if (rc == 0)
        rc = parse_args(p, n, "aggregation");
    if (rc == 0)
        rc = parse_grouping(p, n);
    *out = n;
    return rc < 0 ? rc : check_aggregate(p, n);
}

/* -------------------------------------------------------------------------------- primary and
 * postfix */

static int parse_number(struct parser *p, struct toc_node **out) {
    struct toc_node *n = new_node(p, TOC_NODE_NUMBER, p->token.at);
    if (!n)
        return TOC_ELIMIT;
    n->type = TOC_PROMQL_SCALAR;
    n->number = p->token.number;
    *out = n;
    return advance(p);
}

static int parse_name(struct parser *p, struct toc_node **out) {
    struct toc_token name = p->token;
    bool is_inf = is_word(p, "inf"), is_nan = is_word(p, "nan");
    struct parser before = *p;
    int rc = advance(p);
    if (rc < 0)
        return rc;
    int aggregate = aggregate_of(name.text);
    if (aggregate >= 0 &&
        (p->token.kind == TOC_TOKEN_LPAREN || is_word(p, "by") || is_word(p, "without")))
        return parse_aggregate(p, aggregate, name.at, out);
    if (p->token.kind == TOC_TOKEN_LPAREN && name.kind == TOC_TOKEN_IDENTIFIER)
        return parse_call(p, name, out);
    if ((is_inf || is_nan) && p->token.kind != TOC_TOKEN_LBRACE) {
        struct toc_node *n = new_node(p, TOC_NODE_NUMBER, name.at);
        if (!n)
            return TOC_ELIMIT;
        n->type = TOC_PROMQL_SCALAR;
        n->number = is_inf ? INFINITY : NAN;
        *out = n;
        return 0;
    }
    p->lexer = before.lexer;
    p->token = before.token;
    return parse_selector(p, out);
}

static int parse_primary(struct parser *p, struct toc_node **out) {
    struct toc_node *n;
    int rc;
    switch (p->token.kind) {
    case TOC_TOKEN_NUMBER:
    case TOC_TOKEN_DURATION:
        return parse_number(p, out);
    case TOC_TOKEN_STRING:
        n = new_node(p, TOC_NODE_STRING, p->token.at);
        if (!n)
            return TOC_ELIMIT;
        n->type = TOC_PROMQL_STRING;
        n->string = p->token.string;
        *out = n;
        return advance(p);
    case TOC_TOKEN_LPAREN:
        n = new_node(p, TOC_NODE_PAREN, p->token.at);
        if (!n)
            return TOC_ELIMIT;
        if ((rc = advance(p)) < 0 || (rc = parse_expression(p, 0, &n->left)) < 0)
            return rc;
        n->type = n->left->type;
        *out = n;
        return expect(p, TOC_TOKEN_RPAREN, "paren expression");
    case TOC_TOKEN_LBRACE:
        return parse_selector(p, out);
    case TOC_TOKEN_IDENTIFIER:
    case TOC_TOKEN_METRIC:
        return parse_name(p, out);
    default:
        return unexpected(p, "expression", "an expression");
    }
}

/* A duration or a number of seconds, with an optional sign. */
static int parse_duration(struct parser *p, const char *context, bool may_be_negative,
                          int64_t *out_ms) {
    double sign = 1;
    int rc = 0;
    if (may_be_negative && (p->token.kind == TOC_TOKEN_SUB || p->token.kind == TOC_TOKEN_ADD)) {
        sign = p->token.kind == TOC_TOKEN_SUB ? -1 : 1;
        if ((rc = advance(p)) < 0)
            return rc;
    }
    if (p->token.kind != TOC_TOKEN_DURATION && p->token.kind != TOC_TOKEN_NUMBER)
        return unexpected(p, context, "number or duration");
    double ms = p->token.number * 1000.0 * sign;
    if (!(fabs(ms) < 9.2e18))
        return fail_at(p, p->token.at, "duration out of range");
    *out_ms = (int64_t)llround(ms);
    if (!may_be_negative && *out_ms <= 0)
        return fail_at(p, p->token.at, "duration must be greater than 0");
    return advance(p);
}

static int parse_bracket(struct parser *p, struct toc_node **n) {
    struct toc_node *base = *n;
    int64_t range_ms, step_ms = 0;
    int rc = advance(p);
    if (rc < 0 || (rc = parse_duration(p, "subquery or range selector", false, &range_ms)) < 0)
        return rc;
    bool is_subquery = p->token.kind == TOC_TOKEN_COLON;
    if (is_subquery && (rc = advance(p)) < 0)
        return rc;
    if (is_subquery && p->token.kind != TOC_TOKEN_RBRACKET &&
        (rc = parse_duration(p, "subquery selector", false, &step_ms)) < 0)
        return rc;
    if (!is_subquery) {
        if (base->kind != TOC_NODE_SELECTOR || base->range_ms)
            return fail_at(p, base->at, "ranges only allowed for vector selectors");
        if (base->offset_ms || base->at_kind)
            return fail_at(p, base->at, "no offset or @ modifiers allowed before range");
        base->range_ms = range_ms;
        base->type = TOC_PROMQL_MATRIX;
        return expect(p, TOC_TOKEN_RBRACKET, "matrix selector");
    }
    if (base->type != TOC_PROMQL_VECTOR && base->type != TOC_PROMQL_SCALAR)
        return toc_lexer_error(p->lexer.input, base->at, p->err,
                               "subquery is only allowed on instant vector, got %s instead",
                               type_text(base->type));
    if (base->type == TOC_PROMQL_SCALAR)
        return fail_at(p, base->at,
                       "subquery is only allowed on instant vector, got scalar instead");
    struct toc_node *sub = new_node(p, TOC_NODE_SUBQUERY, base->at);
    if (!sub)
        return TOC_ELIMIT;
    sub->left = base;
    sub->range_ms = range_ms;
    sub->step_ms = step_ms;
    sub->type = TOC_PROMQL_MATRIX;
    *n = sub;
    return expect(p, TOC_TOKEN_RBRACKET, "subquery selector");
}

static int parse_offset(struct parser *p, struct toc_node *n) {
    if (n->kind != TOC_NODE_SELECTOR && n->kind != TOC_NODE_SUBQUERY)
        return fail_at(p, p->token.at,
                       "offset modifier must be preceded by an instant vector selector or range "
                       "vector selector or a subquery");
    if (n->offset_ms)
        return fail_at(p, p->token.at, "offset may not be set multiple times");
    int rc = advance(p);
    return rc < 0 ? rc : parse_duration(p, "offset", true, &n->offset_ms);
}

static int parse_at(struct parser *p, struct toc_node *n) {
    if (n->kind != TOC_NODE_SELECTOR && n->kind != TOC_NODE_SUBQUERY)
        return fail_at(p, p->token.at,
                       "@ modifier must be preceded by an instant vector selector or range vector "
                       "selector or a subquery");
    if (n->at_kind)
        return fail_at(p, p->token.at, "@ <timestamp> may not be set multiple times");
    int rc = advance(p);
    if (rc < 0)
        return rc;
    if (is_word(p, "start") || is_word(p, "end")) {
        n->at_kind = is_word(p, "start") ? TOC_AT_START : TOC_AT_END;
        if ((rc = advance(p)) < 0 || (rc = expect(p, TOC_TOKEN_LPAREN, "@ modifier")) < 0)
            return rc;
        return expect(p, TOC_TOKEN_RPAREN, "@ modifier");
    }
    n->at_kind = TOC_AT_TIME;
    return parse_duration(p, "@ modifier", true, &n->at_ms);
}

static int parse_postfix(struct parser *p, struct toc_node **n) {
    int rc = 0;
    while (rc == 0) {
        if (p->token.kind == TOC_TOKEN_LBRACKET)
            rc = parse_bracket(p, n);
        else if (is_word(p, "offset"))
            rc = parse_offset(p, *n);
        else if (p->token.kind == TOC_TOKEN_AT)
            rc = parse_at(p, *n);
        else
            break;
    }
    return rc;
}

static int parse_unary(struct parser *p, struct toc_node **out) {
    if (p->token.kind != TOC_TOKEN_ADD && p->token.kind != TOC_TOKEN_SUB) {
        int rc = parse_primary(p, out);
        return rc < 0 ? rc : parse_postfix(p, out);
    }
    bool is_minus = p->token.kind == TOC_TOKEN_SUB;
    size_t at = p->token.at;
    int rc = advance(p);
    /* Binds as tightly as "*": -1 ^ 2 is -(1 ^ 2). */
    if (rc < 0 || (rc = parse_expression(p, 6, out)) < 0)
        return rc;
    if ((*out)->type != TOC_PROMQL_SCALAR && (*out)->type != TOC_PROMQL_VECTOR)
        return toc_lexer_error(
            p->lexer.input, at, p->err,
            "unary expression only allowed on expressions of type scalar or instant vector, got %s",
            type_text((*out)->type));
    if (!is_minus)
        return 0;
    struct toc_node *n = new_node(p, TOC_NODE_NEGATE, at);
    if (!n)
        return TOC_ELIMIT;
    n->left = *out;
    n->type = n->left->type;
    *out = n;
    return 0;
}

/* -------------------------------------------------------------------------------- binary operators
 */

static int binary_of(const struct parser *p) {
    static const struct {
        enum toc_token_kind token;
        int op;
    } signs[] = {{TOC_TOKEN_EQ, TOC_BINARY_EQ},   {TOC_TOKEN_NE, TOC_BINARY_NE},
                 {TOC_TOKEN_LE, TOC_BINARY_LE},   {TOC_TOKEN_LT, TOC_BINARY_LT},
                 {TOC_TOKEN_GE, TOC_BINARY_GE},   {TOC_TOKEN_GT, TOC_BINARY_GT},
                 {TOC_TOKEN_ADD, TOC_BINARY_ADD}, {TOC_TOKEN_SUB, TOC_BINARY_SUB},
                 {TOC_TOKEN_MUL, TOC_BINARY_MUL}, {TOC_TOKEN_DIV, TOC_BINARY_DIV},
                 {TOC_TOKEN_MOD, TOC_BINARY_MOD}, {TOC_TOKEN_POW, TOC_BINARY_POW}};
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (p->token.kind == signs[i].token)
            return signs[i].op;
    static const int words[] = {TOC_BINARY_OR, TOC_BINARY_AND, TOC_BINARY_UNLESS, TOC_BINARY_ATAN2};
    for (size_t i = 0; i < 4; i++)
        if (is_word(p, toc_binary_info((enum toc_binary_op)words[i])->text))
            return words[i];
    return -1;
}

static int parse_matching(struct parser *p, struct toc_node *n) {
    int rc = 0;
    if (is_word(p, "bool")) {
        if (!toc_binary_info(n->binary)->is_comparison)
            return fail_at(p, p->token.at,
                           "bool modifier can only be used on comparison operators");
        n->returns_bool = true;
        rc = advance(p);
    }
    if (rc == 0 && (is_word(p, "on") || is_word(p, "ignoring"))) {
        n->has_grouping = true;
        n->is_without = is_word(p, "ignoring");
        if ((rc = advance(p)) == 0)
            rc = parse_labels(p, &n->grouping, &n->grouping_count);
        if (rc == 0 && (is_word(p, "group_left") || is_word(p, "group_right"))) {
            if (toc_binary_info(n->binary)->is_set)
                return toc_lexer_error(p->lexer.input, p->token.at, p->err,
                                       "no grouping allowed for \"%s\" operation",
                                       toc_binary_info(n->binary)->text);
            n->cardinality =
                is_word(p, "group_left") ? TOC_MATCH_GROUP_LEFT : TOC_MATCH_GROUP_RIGHT;
            rc = advance(p);
            if (rc == 0 && p->token.kind == TOC_TOKEN_LPAREN)
                rc = parse_labels(p, &n->include, &n->include_count);
        }
    }
    return rc;
}

static int check_binary(struct parser *p, struct toc_node *n) {
    const struct toc_binary_info *info = toc_binary_info(n->binary);
    enum toc_promql_type a = n->left->type, b = n->right->type;
    bool a_fits = a == TOC_PROMQL_SCALAR || a == TOC_PROMQL_VECTOR;
    bool b_fits = b == TOC_PROMQL_SCALAR || b == TOC_PROMQL_VECTOR;
    if (!a_fits || !b_fits)
        return fail_at(p, a_fits ? n->right->at : n->left->at,
                       "binary expression must contain only scalar and instant vector types");
    bool are_scalars = a == TOC_PROMQL_SCALAR && b == TOC_PROMQL_SCALAR;
    bool are_vectors = a == TOC_PROMQL_VECTOR && b == TOC_PROMQL_VECTOR;
    if (info->is_set && !are_vectors)
        return toc_lexer_error(p->lexer.input, n->at, p->err,
                               "set operator \"%s\" not allowed in binary scalar expression",
                               info->text);
    if (info->is_comparison && are_scalars && !n->returns_bool)
        return fail_at(p, n->at, "comparisons between scalars must use BOOL modifier");
    if (!are_vectors && n->has_grouping)
        return fail_at(p, n->at, "vector matching only allowed between instant vectors");
    n->type = are_scalars ? TOC_PROMQL_SCALAR : TOC_PROMQL_VECTOR;
    for (size_t i = 0; n->cardinality && !n->is_without && i < n->grouping_count; i++)
        for (size_t k = 0; k < n->include_count; k++)
            if (toc_sv_eq(n->grouping[i], n->include[k]))
                return toc_lexer_error(
                    p->lexer.input, n->at, p->err,
                    "label \"%.*s\" must not occur in ON and GROUP clause at once",
                    TOC_SV_ARG(n->grouping[i]));
    return 0;
}

static int parse_binary_tail(struct parser *p, int min_precedence, struct toc_node **left) {
    for (;;) {
        int op = binary_of(p);
        if (op < 0 || toc_binary_info((enum toc_binary_op)op)->precedence < min_precedence)
            return 0;
        struct toc_node *n = new_node(p, TOC_NODE_BINARY, (*left)->at);
        if (!n)
            return TOC_ELIMIT;
        n->binary = (enum toc_binary_op)op;
        n->left = *left;
        int precedence = toc_binary_info(n->binary)->precedence;
        int rc = advance(p);
        if (rc == 0)
            rc = parse_matching(p, n);
        if (rc == 0) /* "^" binds to the right */
            rc = parse_expression(p, op == TOC_BINARY_POW ? precedence : precedence + 1, &n->right);
        if (rc == 0)
            rc = check_binary(p, n);
        if (rc < 0)
            return rc;
        *left = n;
    }
}

static int parse_expression(struct parser *p, int min_precedence, struct toc_node **out) {
    if (++p->depth > DEPTH_MAX)
        return fail_at(p, p->token.at, "the expression is nested deeper than 256 levels");
    int rc = parse_unary(p, out);
    if (rc == 0)
        rc = parse_binary_tail(p, min_precedence, out);
    p->depth--;
    return rc;
}

/* -------------------------------------------------------------------------------------------
 * public */

int toc_promql_parse(struct toc_sv text, struct toc_promql_expr **out, struct toc_err *err) {
    struct toc_err ignored = {0};
    struct toc_promql_expr *expr = TOC_NEW(struct toc_promql_expr);
    struct parser p = {.expr = expr, .err = err ? err : &ignored};
    int rc = 0;
    *out = NULL;
    if (text.n > INPUT_MAX_BYTES)
        rc = toc_errf(err, TOC_ELIMIT, "the expression is larger than 1 MiB");
    if (rc == 0 && !toc_sv_is_utf8(text))
        rc = toc_err_at(err, TOC_EPARSE, 1, 1, "the expression is not UTF-8");
    p.lexer = (struct toc_lexer){.input = rc == 0 ? toc_arena_dup_sv(&expr->arena, text) : text,
                                 .arena = &expr->arena};
    if (rc == 0)
        rc = advance(&p);
    if (rc == 0 && p.token.kind == TOC_TOKEN_END)
        rc = fail_at(&p, 0, "no expression found in input");
    if (rc == 0)
        rc = parse_expression(&p, 0, &expr->root);
    if (rc == 0 && p.token.kind != TOC_TOKEN_END)
        rc = unexpected(&p, "expression", "an operator or the end");
    if (rc < 0)
        toc_promql_expr_free(&expr);
    *out = expr;
    return rc;
}

/* No construct of this grammar depends on a feature yet. */
int toc_promql_parse_with(struct toc_sv text, unsigned features, struct toc_promql_expr **out,
                          struct toc_err *err) {
    (void)features;
    return toc_promql_parse(text, out, err);
}

void toc_promql_expr_free(struct toc_promql_expr **ep) {
    struct toc_promql_expr *e = *ep;
    if (!e)
        return;
    for (size_t i = 0; i < e->selectors.count; i++)
        for (size_t k = 0; k < e->selectors.items[i]->matcher_count; k++)
            toc_matcher_fini(&e->selectors.items[i]->matchers[k]);
    TOC_VEC_FINI(&e->selectors);
    toc_arena_fini(&e->arena);
    toc_free(e);
    *ep = NULL;
}

enum toc_promql_type toc_promql_expr_type(const struct toc_promql_expr *e) {
    return e->root->type;
}

void toc_promql_visit_selectors(const struct toc_promql_expr *e,
                                void (*fn)(void *ctx, const struct toc_matcher *m, size_t count),
                                void *ctx) {
    for (size_t i = 0; i < e->selectors.count; i++)
        fn(ctx, e->selectors.items[i]->matchers, e->selectors.items[i]->matcher_count);
}
