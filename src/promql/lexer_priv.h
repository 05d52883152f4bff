/* Tokens of PromQL. Positions are byte offsets; line and column are worked out for errors only. */
#ifndef TOC_PROMQL_LEXER_PRIV_H
#define TOC_PROMQL_LEXER_PRIV_H

#include "base/arena.h"
#include "base/error.h"
#include "base/sv.h"

/* X(enum, text for people) */
#define TOC_TOKEN_TABLE(X)                                                                     \
    X(END, "end of input")                                                                     \
    X(IDENTIFIER, "identifier")                                                                \
    X(METRIC, "metric name")                                                                   \
    X(NUMBER, "number")                                                                        \
    X(DURATION, "duration")                                                                    \
    X(STRING, "string")                                                                        \
    X(LPAREN, "\"(\"")                                                                         \
    X(RPAREN, "\")\"")                                                                         \
    X(LBRACE, "\"{\"") X(RBRACE, "\"}\"") X(LBRACKET, "\"[\"") X(RBRACKET, "\"]\"")            \
        X(COMMA, "\",\"") X(COLON, "\":\"") X(AT, "\"@\"") X(ASSIGN, "\"=\"") X(NE, "\"!=\"")  \
            X(RE, "\"=~\"") X(NRE, "\"!~\"") X(EQ, "\"==\"") X(LT, "\"<\"") X(LE, "\"<=\"")    \
                X(GT, "\">\"") X(GE, "\">=\"") X(ADD, "\"+\"") X(SUB, "\"-\"") X(MUL, "\"*\"") \
                    X(DIV, "\"/\"") X(MOD, "\"%\"") X(POW, "\"^\"") X(TRIM_UPPER, "\"</\"")    \
                        X(TRIM_LOWER, "\">/\"")

enum toc_token_kind {
#define X(e, text) TOC_TOKEN_##e,
    TOC_TOKEN_TABLE(X)
#undef X
};
const char *toc_token_text(enum toc_token_kind kind);

struct toc_token {
    enum toc_token_kind kind;
    size_t at, end;       /* in the input */
    struct toc_sv text;   /* the input's bytes */
    struct toc_sv string; /* TOC_TOKEN_STRING: unescaped */
    double number;        /* TOC_TOKEN_NUMBER; a duration in seconds */
};

struct toc_lexer {
    struct toc_sv input;
    size_t at;
    struct toc_arena *arena; /* unescaped strings */
    int brace_depth;         /* inside {…}, ":" is no part of a name */
    int bracket_depth;
};

/* The next token. TOC_EPARSE with position. */
int toc_lexer_next(struct toc_lexer *l, struct toc_token *out, struct toc_err *err) TOC_MUST_CHECK;
/* Fills err with the line and column of an offset. Returns TOC_EPARSE. */
int toc_lexer_error(struct toc_sv input, size_t at, struct toc_err *err, const char *fmt, ...)
    TOC_PRINTF(4, 5);

#endif
