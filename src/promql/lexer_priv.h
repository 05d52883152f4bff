/* Tokens of PromQL. Positions are byte offsets; line and column are worked out for errors only. */
#ifndef TOC_PROMQL_LEXER_PRIV_H
#define TOC_PROMQL_LEXER_PRIV_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

/* X(enum, the sign in the text; NULL when it has many forms) */
#define TOC_TOKEN_TABLE(X) \
    X(END, NULL)           \
    X(IDENTIFIER, NULL)    \
    X(METRIC, NULL)        \
    X(NUMBER, NULL)        \
    X(DURATION, NULL)      \
    X(STRING, NULL)        \
    X(LPAREN, "(")         \
    X(RPAREN, ")")         \
    X(LBRACE, "{")         \
    X(RBRACE, "}")         \
    X(LBRACKET, "[")       \
    X(RBRACKET, "]")       \
    X(COMMA, ",")          \
    X(COLON, ":")          \
    X(ASSIGN, "=")         \
    X(AT, "@")             \
    X(NE, "!=")            \
    X(RE, "=~")            \
    X(NRE, "!~")           \
    X(EQ, "==")            \
    X(LT, "<")             \
    X(LE, "<=")            \
    X(GT, ">")             \
    X(GE, ">=")            \
    X(ADD, "+")            \
    X(SUB, "-")            \
    X(MUL, "*")            \
    X(DIV, "/")            \
    X(MOD, "%")            \
    X(POW, "^")            \
    X(TRIM_UPPER, "</")    \
    X(TRIM_LOWER, ">/")

enum toc_token_kind {
#define X(e, text) TOC_TOKEN_##e,
    TOC_TOKEN_TABLE(X)
#undef X
};

struct toc_token {
    enum toc_token_kind kind;
    size_t at, end;       /* in the input */
    struct toc_sv text;   /* the input's bytes */
    struct toc_sv string; /* TOC_TOKEN_STRING: unescaped */
    double number;        /* TOC_TOKEN_NUMBER; a duration in seconds */
    bool is_in_braces;    /* where no word is a keyword */
    bool is_before_paren; /* the next sign is "(" */
};

struct toc_lexer {
    struct toc_sv input;
    size_t at;
    struct toc_arena *arena; /* unescaped strings */
    int paren_depth;
    bool is_in_braces, is_in_brackets;
    bool has_colon, has_duration; /* since the bracket was opened */
};

/* token.c: what a word means outside braces. */
enum toc_word {
    TOC_WORD_NAME,
    TOC_WORD_NUMBER, /* inf, nan */
    TOC_WORD_AGGREGATION,
    TOC_WORD_OPERATOR,
    TOC_WORD_KEYWORD,      /* also a metric's name */
    TOC_WORD_BARE_KEYWORD, /* never a metric's name */
    TOC_WORD_TIME,         /* start and end, step and range: told by their text */
};
enum toc_word toc_token_word(const struct toc_token *t);
/* As upstream names it in "unexpected …". */
void toc_token_describe(const struct toc_token *t, struct toc_buf *out);

/* lexer.c: the next token. TOC_EPARSE with position. */
int toc_lexer_next(struct toc_lexer *l, struct toc_token *out, struct toc_err *err) TOC_MUST_CHECK;
/* Fills err with the line and column of an offset. Returns TOC_EPARSE. */
int toc_lexer_error(struct toc_sv input, size_t at, struct toc_err *err, const char *fmt, ...)
    TOC_PRINTF(4, 5);
/* The byte so far ahead, -1 at the end. */
static inline int toc_lexer_peek(const struct toc_lexer *l, size_t ahead) {
    return l->at + ahead < l->input.n ? (unsigned char)l->input.p[l->at + ahead] : -1;
}
/* The code point there as a Go rune literal ('x'), for messages. */
const char *toc_lexer_rune(const struct toc_lexer *l, size_t at, char out[static 24]);

/* lex_string.c, lex_number.c: l->at is at the first byte and is moved behind the last. */
int toc_lexer_string(struct toc_lexer *l, struct toc_token *t, struct toc_err *err);
int toc_lexer_number(struct toc_lexer *l, struct toc_token *t, struct toc_err *err);

#endif
