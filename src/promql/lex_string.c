/* Strings in double, single and back quotes, with Go's escapes in the first two. */
#include <stdio.h>
#include <string.h>

#include "codec/text.h"
#include "promql/lexer_priv.h"

enum { RUNE_ERROR = 0xfffd };

static int fail(struct toc_lexer *l, const struct toc_token *t, struct toc_err *err,
                const char *what) {
    return toc_lexer_error(l->input, t->at, err, "%s", what);
}

/* "U+002E '.'" */
static const char *code_point(const struct toc_lexer *l, char out[static 40]) {
    uint32_t rune;
    size_t n = toc_utf8_decode(l->input, l->at, &rune);
    if (rune < 32 || rune == 127 || (n == 1 && rune == RUNE_ERROR))
        snprintf(out, 40, "U+%04X", rune);
    else
        snprintf(out, 40, "U+%04X '%.*s'", rune, (int)n, l->input.p + l->at);
    return out;
}

static int read_digits(struct toc_lexer *l, const struct toc_token *t, int count, uint32_t base,
                       uint32_t *out, struct toc_err *err) {
    char text[40];
    *out = 0;
    for (int i = 0; i < count; i++) {
        int c = toc_lexer_peek(l, 0), letter = c | 32;
        uint32_t digit = c >= '0' && c <= '9'             ? (uint32_t)(c - '0')
                         : letter >= 'a' && letter <= 'f' ? (uint32_t)(letter - 'a') + 10
                                                          : 16;
        if (c < 0)
            return fail(l, t, err, "escape sequence not terminated");
        if (digit >= base)
            return toc_lexer_error(l->input, t->at, err, "illegal character %s in escape sequence",
                                   code_point(l, text));
        *out = *out * base + digit;
        l->at++;
    }
    return 0;
}

/* l->at is behind the backslash. */
static int read_escape(struct toc_lexer *l, const struct toc_token *t, int quote,
                       struct toc_buf *out, struct toc_err *err) {
    static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";
    int c = toc_lexer_peek(l, 0);
    const char *known = c > 0 ? strchr(from, c) : NULL;
    char text[40];
    uint32_t v;
    if (c < 0)
        return fail(l, t, err, "escape sequence not terminated");
    if (known || c == quote) {
        l->at++;
        toc_buf_append_char(out, known ? to[known - from] : (char)quote);
        return 0;
    }
    bool is_octal = c >= '0' && c <= '7';
    int digits = is_octal ? 3 : c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (!digits)
        return toc_lexer_error(l->input, t->at, err, "unknown escape sequence %s",
                               code_point(l, text));
    l->at += is_octal ? 0 : 1;
    int rc = read_digits(l, t, digits, is_octal ? 8 : 16, &v, err);
    if (rc < 0)
        return rc;
    uint32_t most = digits < 4 ? 255 : 0x10ffff;
    if (v > most || (v >= 0xd800 && v < 0xe000))
        return fail(l, t, err, "escape sequence is an invalid Unicode code point");
    if (digits < 4)
        toc_buf_append_char(out, (char)v);
    else
        toc_utf8_append(out, v);
    return 0;
}

/* One character or escape. */
static int read_character(struct toc_lexer *l, const struct toc_token *t, int quote,
                          struct toc_buf *out, struct toc_err *err) {
    int c = toc_lexer_peek(l, 0);
    uint32_t rune;
    if (c < 0 || (c == '\n' && quote != '`'))
        return fail(l, t, err,
                    quote == '`' ? "unterminated raw string" : "unterminated quoted string");
    if (c == '\\' && quote != '`') {
        l->at++;
        return read_escape(l, t, quote, out, err);
    }
    size_t n = toc_utf8_decode(l->input, l->at, &rune);
    if (n == 1 && rune == RUNE_ERROR)
        return fail(l, t, err, "invalid UTF-8 rune");
    toc_buf_append(out, l->input.p + l->at, n);
    l->at += n;
    return 0;
}

int toc_lexer_string(struct toc_lexer *l, struct toc_token *t, struct toc_err *err) {
    int quote = toc_lexer_peek(l, 0), rc = 0;
    struct toc_buf text = TOC_BUF_INIT;
    l->at++;
    while (rc == 0 && toc_lexer_peek(l, 0) != quote)
        rc = read_character(l, t, quote, &text, err);
    if (rc == 0) {
        l->at++;
        t->kind = TOC_TOKEN_STRING;
        t->string = toc_arena_dup_sv(l->arena, toc_buf_sv(&text));
    }
    toc_buf_fini(&text);
    return rc;
}
