#include "promql/lexer_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "codec/text.h"

int toc_lexer_error(struct toc_sv input, size_t at, struct toc_err *err, const char *fmt, ...) {
    int line = 1, column = 1;
    for (size_t i = 0; i < at && i < input.n; i++) {
        column = input.p[i] == '\n' ? 1 : column + 1;
        line += input.p[i] == '\n';
    }
    char text[TOC_ERR_MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return toc_err_at(err, TOC_EPARSE, line, column, "%s", text);
}

const char *toc_lexer_rune(const struct toc_lexer *l, size_t at, char out[static 24]) {
    static const char from[] = "'\\\a\b\f\n\r\t\v", to[] = "'\\abfnrtv";
    uint32_t rune;
    size_t n = toc_utf8_decode(l->input, at, &rune);
    bool is_bad = n == 1 && rune == 0xfffd;
    const char *known = rune && rune < 128 ? strchr(from, (int)rune) : NULL;
    if (known)
        snprintf(out, 24, "'\\%c'", to[known - from]);
    else if (is_bad)
        snprintf(out, 24, "'\xef\xbf\xbd'");
    else if (rune < 32 || rune == 127)
        snprintf(out, 24, "'\\x%02x'", rune);
    else
        snprintf(out, 24, "'%.*s'", (int)n, l->input.p + at);
    return out;
}

static bool is_blank(int c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct toc_lexer *l) {
    for (int c; (c = toc_lexer_peek(l, 0)) >= 0;) {
        if (c == '#')
            while ((c = toc_lexer_peek(l, 0)) >= 0 && c != '\n' && c != '\r')
                l->at++;
        else if (is_blank(c))
            l->at++;
        else
            return;
    }
}

static bool is_alpha(int c) {
    return c == '_' || (c >= 0 && c < 128 && isalpha(c));
}

static bool is_before_paren(const struct toc_lexer *l) {
    size_t ahead = 0;
    while (is_blank(toc_lexer_peek(l, ahead)))
        ahead++;
    return toc_lexer_peek(l, ahead) == '(';
}

static void read_name(struct toc_lexer *l, struct toc_token *t) {
    bool takes_colon = !l->is_in_braces && !l->is_in_brackets;
    t->kind = TOC_TOKEN_IDENTIFIER;
    for (int c; is_alpha(c = toc_lexer_peek(l, 0)) || (c >= 0 && c < 128 && isdigit(c)) ||
                (takes_colon && c == ':');
         l->at++)
        if (c == ':')
            t->kind = TOC_TOKEN_METRIC;
    t->is_in_braces = l->is_in_braces;
    t->is_before_paren = !l->is_in_braces && is_before_paren(l);
}

/* Words inside brackets are the functions of duration arithmetic, nothing else. */
static int read_duration_word(struct toc_lexer *l, struct toc_token *t, struct toc_err *err) {
    static const char *const words[] = {"step", "range", "min_of", "max_of"};
    bool is_first = !l->has_duration;
    char rune[24];
    toc_lexer_rune(l, l->at, rune);
    read_name(l, t);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (toc_sv_eq_nocase(toc_sv_sub(l->input, t->at, l->at - t->at), toc_sv_cstr(words[i]))) {
            l->has_duration = true;
            return 0;
        }
    return is_first ? toc_lexer_error(l->input, t->at, err,
                                      "unexpected character in duration expression: %s", rune)
                    : toc_lexer_error(l->input, t->at, err,
                                      "unexpected character: %s, expected ':'", rune);
}

/* -------------------------------------------------------------------------------------- signs */

static int fail_at_rune(const struct toc_lexer *l, size_t error_at, size_t rune_at,
                        struct toc_err *err, const char *what) {
    char rune[24];
    return toc_lexer_error(l->input, error_at, err, "%s%s", what, toc_lexer_rune(l, rune_at, rune));
}

static int open_or_close(struct toc_lexer *l, const struct toc_token *t, struct toc_err *err) {
    switch (t->kind) {
    case TOC_TOKEN_LPAREN:
        l->paren_depth++;
        break;
    case TOC_TOKEN_RPAREN:
        if (--l->paren_depth < 0)
            return fail_at_rune(l, l->at, t->at, err, "unexpected right parenthesis ");
        break;
    case TOC_TOKEN_LBRACE:
        l->is_in_braces = true;
        break;
    case TOC_TOKEN_RBRACE:
        l->is_in_braces = false;
        break;
    case TOC_TOKEN_LBRACKET:
        if (l->is_in_brackets)
            return fail_at_rune(l, t->at, t->at, err, "unexpected left bracket ");
        l->is_in_brackets = true;
        l->has_colon = l->has_duration = false;
        break;
    case TOC_TOKEN_RBRACKET:
        if (!l->is_in_brackets)
            return fail_at_rune(l, t->at, t->at, err, "unexpected right bracket ");
        l->is_in_brackets = false;
        break;
    case TOC_TOKEN_COLON:
        if (!l->has_duration)
            return toc_lexer_error(l->input, l->at, err,
                                   "unexpected colon before duration in duration expression");
        if (l->has_colon)
            return fail_at_rune(l, t->at, t->at, err, "unexpected colon ");
        l->has_colon = true;
        break;
    default:
        break;
    }
    return 0;
}

static bool is_allowed_here(const struct toc_lexer *l, enum toc_token_kind kind) {
    bool is_of_matchers = kind == TOC_TOKEN_RBRACE || kind == TOC_TOKEN_RE || kind == TOC_TOKEN_NRE;
    bool is_arithmetic = kind >= TOC_TOKEN_ADD && kind <= TOC_TOKEN_POW;
    if (l->is_in_braces)
        return is_of_matchers || kind == TOC_TOKEN_COMMA || kind == TOC_TOKEN_ASSIGN ||
               kind == TOC_TOKEN_NE;
    if (is_of_matchers)
        return false;
    if (l->is_in_brackets && !l->has_duration)
        return is_arithmetic || kind == TOC_TOKEN_LPAREN || kind == TOC_TOKEN_RPAREN ||
               kind == TOC_TOKEN_RBRACKET || kind == TOC_TOKEN_COMMA || kind == TOC_TOKEN_COLON;
    return kind != TOC_TOKEN_COLON || l->is_in_brackets;
}

static int fail_sign(const struct toc_lexer *l, struct toc_err *err) {
    int c = toc_lexer_peek(l, 0), next = toc_lexer_peek(l, 1);
    bool is_braces = l->is_in_braces;
    if (c == '!')
        return fail_at_rune(l, l->at, l->at + 1, err,
                            is_braces ? "unexpected character after '!' inside braces: "
                                      : "unexpected character after '!': ");
    if (c == '=' && next == '~')
        return fail_at_rune(l, l->at, l->at + 1, err, "unexpected character after '=': ");
    if (is_braces && c == '{')
        return fail_at_rune(l, l->at, l->at, err, "unexpected left brace ");
    return fail_at_rune(l, l->at, l->at, err,
                        is_braces ? "unexpected character inside braces: "
                        : l->is_in_brackets && !l->has_duration
                            ? "unexpected character in duration expression: "
                            : "unexpected character: ");
}

/* In braces "==" is "=" twice. */
static bool is_sign_at(const struct toc_lexer *l, enum toc_token_kind kind, const char *sign) {
    if (!sign || !toc_sv_starts_with(toc_sv_sub(l->input, l->at, 2), toc_sv_cstr(sign)))
        return false;
    return !(l->is_in_braces && kind == TOC_TOKEN_EQ);
}

static int read_sign(struct toc_lexer *l, struct toc_token *t, struct toc_err *err) {
    static const char *const signs[] = {
#define X(e, text) text,
        TOC_TOKEN_TABLE(X)
#undef X
    };
    const char *best = NULL;
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (is_sign_at(l, (enum toc_token_kind)i, signs[i]) && (!best || signs[i][1])) {
            best = signs[i];
            t->kind = (enum toc_token_kind)i;
        }
    if (!best || !is_allowed_here(l, t->kind))
        return fail_sign(l, err);
    l->at += strlen(best);
    return open_or_close(l, t, err);
}

static int read_end(const struct toc_lexer *l, struct toc_token *t, struct toc_err *err) {
    const char *what = l->is_in_braces ? "unexpected end of input inside braces"
                       : l->is_in_brackets && !l->has_duration
                           ? "unexpected end of input in duration expression"
                       : l->paren_depth != 0 ? "unclosed left parenthesis"
                       : l->is_in_brackets   ? "unclosed left bracket"
                                             : NULL;
    t->kind = TOC_TOKEN_END;
    return what ? toc_lexer_error(l->input, t->at, err, "%s", what) : 0;
}

static int read_token(struct toc_lexer *l, struct toc_token *t, struct toc_err *err) {
    int c = toc_lexer_peek(l, 0), next = toc_lexer_peek(l, 1);
    bool is_digit = c >= '0' && c <= '9', is_fraction = c == '.' && next >= '0' && next <= '9';
    if (c < 0)
        return read_end(l, t, err);
    if ((c == '"' || c == '\'' || c == '`') && !(l->is_in_brackets && !l->has_duration))
        return toc_lexer_string(l, t, err);
    if ((is_digit || is_fraction) && !l->is_in_braces) {
        l->has_duration = true;
        return toc_lexer_number(l, t, err);
    }
    if (is_alpha(c) && l->is_in_brackets && !l->is_in_braces)
        return read_duration_word(l, t, err);
    if (!is_alpha(c) && (c != ':' || l->is_in_brackets || l->is_in_braces))
        return read_sign(l, t, err);
    read_name(l, t);
    return 0;
}

int toc_lexer_next(struct toc_lexer *l, struct toc_token *t, struct toc_err *err) {
    skip_blanks(l);
    *t = (struct toc_token){.at = l->at};
    int rc = read_token(l, t, err);
    t->end = l->at;
    t->text = toc_sv_sub(l->input, t->at, l->at - t->at);
    return rc;
}
