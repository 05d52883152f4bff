/* What may follow an operand: [range], [range:step], anchored, smoothed, offset, @. */
#include <math.h>

#include "promql/parser_priv.h"

static int make_range(struct toc_parser *p, struct toc_node *n, size_t bracket_at, int64_t range_ms,
                      struct toc_node *range_expr) {
    if (p->token.kind != TOC_TOKEN_RBRACKET)
        return toc_parser_unexpected(p, "subquery or range", "\":\" or \"]\"");
    if (n->kind != TOC_NODE_SELECTOR || n->type == TOC_PROMQL_MATRIX)
        return toc_parser_fail(p, bracket_at, "ranges only allowed for vector selectors");
    if (n->offset_ms || n->offset_expr)
        return toc_parser_fail(p, bracket_at, "no offset modifiers allowed before range");
    if (n->at_kind)
        return toc_parser_fail(p, bracket_at, "no @ modifiers allowed before range");
    n->range_ms = range_ms;
    n->range_expr = range_expr;
    n->type = TOC_PROMQL_MATRIX;
    n->end = p->token.end;
    return toc_parser_advance(p);
}

/* The current token is ":". */
static int make_subquery(struct toc_parser *p, struct toc_node **n, int64_t range_ms,
                         struct toc_node *range_expr) {
    static const struct toc_duration_place place = {
        .context = "subquery selector", .expected = "number, duration, step(), range(), or \"]\""};
    struct toc_node *base = *n;
    struct toc_node *sub = toc_parser_node(p, TOC_NODE_SUBQUERY, base->at);
    if (!sub)
        return TOC_ELIMIT;
    int rc = toc_parser_advance(p);
    if (rc == 0 && p->token.kind != TOC_TOKEN_RBRACKET)
        rc = toc_parse_duration(p, &place, &sub->step_ms, &sub->step_expr);
    if (rc < 0)
        return rc;
    if (p->token.kind != TOC_TOKEN_RBRACKET)
        return toc_parser_unexpected(p, "subquery selector", "\"]\"");
    sub->left = base;
    if ((rc = toc_parser_adopt(p, sub, base)) < 0)
        return rc;
    sub->range_ms = range_ms;
    sub->range_expr = range_expr;
    sub->type = TOC_PROMQL_MATRIX;
    sub->end = p->token.end;
    *n = sub;
    return toc_parser_advance(p);
}

static int parse_bracket(struct toc_parser *p, struct toc_node **n) {
    static const struct toc_duration_place place = {.context = "subquery or range selector",
                                                    .expected =
                                                        "number, duration, step(), or range()"};
    int64_t range_ms = 0;
    struct toc_node *range_expr = NULL;
    size_t bracket_at = p->token.at;
    int rc = toc_parser_advance(p);
    if (rc == 0)
        rc = toc_parse_duration(p, &place, &range_ms, &range_expr);
    if (rc < 0)
        return rc;
    return p->token.kind == TOC_TOKEN_COLON ? make_subquery(p, n, range_ms, range_expr)
                                            : make_range(p, *n, bracket_at, range_ms, range_expr);
}

static bool takes_modifier(const struct toc_node *n) {
    return n->kind == TOC_NODE_SELECTOR || n->kind == TOC_NODE_SUBQUERY;
}

static int parse_offset(struct toc_parser *p, struct toc_node *n) {
    static const struct toc_duration_place place = {.context = "offset",
                                                    .expected =
                                                        "number, duration, step(), or range()",
                                                    .is_operand = true,
                                                    .may_be_negative = true};
    int64_t offset_ms = 0;
    struct toc_node *offset_expr = NULL;
    int rc = toc_parser_advance(p);
    if (rc == 0)
        rc = toc_parse_duration(p, &place, &offset_ms, &offset_expr);
    if (rc < 0)
        return rc;
    if (!takes_modifier(n))
        return toc_parser_fail(p, n->at,
                               "offset modifier must be preceded by an instant vector selector or "
                               "range vector selector or a subquery");
    if (n->offset_ms || n->offset_expr)
        return toc_parser_fail(p, n->at, "offset may not be set multiple times");
    n->has_offset = true;
    n->offset_ms = offset_ms;
    n->offset_expr = offset_expr;
    return 0;
}

/* Seconds; NaN and infinities are told from numbers by the bounds of time. */
static int parse_at_number(struct toc_parser *p, double *out) {
    double sign = 1;
    int rc = 0;
    if (p->token.kind == TOC_TOKEN_SUB || p->token.kind == TOC_TOKEN_ADD) {
        sign = p->token.kind == TOC_TOKEN_SUB ? -1 : 1;
        rc = toc_parser_advance(p);
    }
    if (rc < 0)
        return rc;
    bool is_number = p->token.kind == TOC_TOKEN_NUMBER || p->token.kind == TOC_TOKEN_DURATION;
    bool is_inf = toc_parser_is_word(p, "inf"), is_nan = toc_parser_is_word(p, "nan");
    if (!is_number && !is_inf && !is_nan)
        return toc_parser_unexpected(p, "@", "timestamp");
    *out = sign * (is_inf ? INFINITY : is_nan ? NAN : p->token.number);
    return toc_parser_advance(p);
}

static int out_of_bounds(struct toc_parser *p, const struct toc_node *n, double seconds) {
    static const char text[] = "timestamp out of bounds for @ modifier";
    if (isnan(seconds))
        return toc_parser_fail(p, n->at, "%s: NaN", text);
    if (isinf(seconds))
        return toc_parser_fail(p, n->at, "%s: %s", text, seconds > 0 ? "+Inf" : "-Inf");
    return toc_parser_fail(p, n->at, "%s: %f", text, seconds);
}

static int parse_at_edge(struct toc_parser *p) {
    int rc = toc_parser_advance(p);
    if (rc == 0 && p->token.kind != TOC_TOKEN_LPAREN)
        return toc_parser_unexpected(p, "@", "timestamp");
    if (rc == 0)
        rc = toc_parser_advance(p);
    if (rc == 0 && p->token.kind != TOC_TOKEN_RPAREN)
        return toc_parser_unexpected(p, "@", "timestamp");
    return rc < 0 ? rc : toc_parser_advance(p);
}

static int parse_at(struct toc_parser *p, struct toc_node *n) {
    double seconds = 0;
    int rc = toc_parser_advance(p);
    bool is_start = toc_parser_is_word(p, "start"), is_end = toc_parser_is_word(p, "end");
    if (rc == 0)
        rc = is_start || is_end ? parse_at_edge(p) : parse_at_number(p, &seconds);
    if (rc < 0)
        return rc;
    if (!(fabs(seconds) < 9.2e15))
        return out_of_bounds(p, n, seconds);
    if (!takes_modifier(n))
        return toc_parser_fail(p, n->at,
                               "@ modifier must be preceded by an instant vector selector or range "
                               "vector selector or a subquery");
    if (n->at_kind)
        return toc_parser_fail(p, n->at, "@ <timestamp> may not be set multiple times");
    n->at_kind = is_start ? TOC_AT_START : is_end ? TOC_AT_END : TOC_AT_TIME;
    n->at_ms = llround(seconds * 1000);
    return 0;
}

static int parse_edge(struct toc_parser *p, struct toc_node *n, enum toc_range_modifier modifier) {
    const char *name = modifier == TOC_RANGE_ANCHORED ? "anchored" : "smoothed";
    if (!(p->features & TOC_PROMQL_EXTENDED_RANGE_SELECTORS))
        return toc_parser_fail(p, p->token.at, "%s modifier is experimental and not enabled", name);
    if (n->kind == TOC_NODE_SUBQUERY)
        return toc_parser_fail(p, n->at, "%s modifier is not supported for subqueries", name);
    if (n->kind != TOC_NODE_SELECTOR)
        return toc_parser_fail(p, n->at,
                               "%s modifier must be preceded by an instant or range vector "
                               "selector",
                               name);
    if (n->modifier != TOC_RANGE_PLAIN && n->modifier != modifier)
        return toc_parser_fail(p, n->at, "anchored and smoothed modifiers cannot be used together");
    n->modifier = modifier;
    return toc_parser_advance(p);
}

int toc_parse_modifiers(struct toc_parser *p, struct toc_node **n) {
    int rc = 0;
    while (rc == 0) {
        if (p->token.kind == TOC_TOKEN_LBRACKET)
            rc = parse_bracket(p, n);
        else if (toc_parser_is_word(p, "offset"))
            rc = parse_offset(p, *n);
        else if (p->token.kind == TOC_TOKEN_AT)
            rc = parse_at(p, *n);
        else if (toc_parser_is_word(p, "anchored"))
            rc = parse_edge(p, *n, TOC_RANGE_ANCHORED);
        else if (toc_parser_is_word(p, "smoothed"))
            rc = parse_edge(p, *n, TOC_RANGE_SMOOTHED);
        else
            break;
    }
    return rc;
}
