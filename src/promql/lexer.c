#include "promql/lexer_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/time.h"

const char *toc_token_text(enum toc_token_kind kind) {
    static const char *const texts[] = {
#define X(e, text) [TOC_TOKEN_##e] = text,
        TOC_TOKEN_TABLE(X)
#undef X
    };
    return texts[kind];
}

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

static int peek(const struct toc_lexer *l, size_t ahead) {
    return l->at + ahead < l->input.n ? (unsigned char)l->input.p[l->at + ahead] : -1;
}

static void skip_blanks(struct toc_lexer *l) {
    for (int c; (c = peek(l, 0)) >= 0;) {
        if (c == '#')
            while (peek(l, 0) >= 0 && peek(l, 0) != '\n')
                l->at++;
        else if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            l->at++;
        else
            return;
    }
}

static bool is_alpha(int c) {
    return c == '_' || (c < 128 && isalpha(c));
}

static void finish(struct toc_lexer *l, struct toc_token *t, enum toc_token_kind kind) {
    t->kind = kind;
    t->end = l->at;
    t->text = toc_sv_sub(l->input, t->at, l->at - t->at);
}

static void append_utf8(struct toc_buf *out, unsigned long c) {
    if (c < 0x80) {
        toc_buf_append_char(out, (char)c);
    } else if (c < 0x800) {
        toc_buf_append_char(out, (char)(0xc0 | c >> 6));
        toc_buf_append_char(out, (char)(0x80 | (c & 63)));
    } else if (c < 0x10000) {
        toc_buf_append_char(out, (char)(0xe0 | c >> 12));
        toc_buf_append_char(out, (char)(0x80 | (c >> 6 & 63)));
        toc_buf_append_char(out, (char)(0x80 | (c & 63)));
    } else {
        toc_buf_append_char(out, (char)(0xf0 | c >> 18));
        toc_buf_append_char(out, (char)(0x80 | (c >> 12 & 63)));
        toc_buf_append_char(out, (char)(0x80 | (c >> 6 & 63)));
        toc_buf_append_char(out, (char)(0x80 | (c & 63)));
    }
}

static int read_digits(struct toc_lexer *l, int count, int base, unsigned long *out) {
    *out = 0;
    for (int i = 0; i < count; i++) {
        int c = peek(l, 0);
        int digit = c >= '0' && c <= '9' ? c - '0' : isxdigit(c) ? (c | 32) - 'a' + 10 : 99;
        if (c < 0 || digit >= base)
            return TOC_EPARSE;
        *out = *out * (unsigned)base + (unsigned)digit;
        l->at++;
    }
    return 0;
}

/* Go's escapes; l->at is behind the backslash. */
static int read_escape(struct toc_lexer *l, int quote, struct toc_buf *out) {
    static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";
    int c = peek(l, 0);
    const char *known = c > 0 ? strchr(from, c) : NULL;
    unsigned long v;
    if (known) {
        l->at++;
        toc_buf_append_char(out, to[known - from]);
        return 0;
    }
    if (c == quote) {
        l->at++;
        toc_buf_append_char(out, (char)quote);
        return 0;
    }
    if (c >= '0' && c <= '7') {
        if (read_digits(l, 3, 8, &v) < 0 || v > 255)
            return TOC_EPARSE;
        toc_buf_append_char(out, (char)v);
        return 0;
    }
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (!digits)
        return TOC_EPARSE;
    l->at++;
    if (read_digits(l, digits, 16, &v) < 0 || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
        return TOC_EPARSE;
    if (digits == 2)
        toc_buf_append_char(out, (char)v);
    else
        append_utf8(out, v);
    return 0;
}

static int read_string(struct toc_lexer *l, struct toc_token *t, struct toc_err *err) {
    int quote = peek(l, 0), rc = 0;
    struct toc_buf text = TOC_BUF_INIT;
    l->at++;
    for (int c; (c = peek(l, 0)) != quote;) {
        if (c < 0 || (c == '\n' && quote != '`')) {
            rc = toc_lexer_error(l->input, t->at, err, "unterminated quoted string");
            break;
        }
        l->at++;
        if (c == '\\' && quote != '`') {
            if (read_escape(l, quote, &text) < 0) {
                rc = toc_lexer_error(l->input, l->at, err,
                                     "unknown escape sequence in a quoted string");
                break;
            }
        } else {
            toc_buf_append_char(&text, (char)c);
        }
    }
    if (rc == 0) {
        l->at++;
        t->string = toc_arena_dup_sv(l->arena, toc_buf_sv(&text));
        finish(l, t, TOC_TOKEN_STRING);
    }
    toc_buf_fini(&text);
    return rc;
}

static bool is_duration_unit(int c) {
    return c == 'm' || c == 's' || c == 'h' || c == 'd' || c == 'w' || c == 'y';
}

/* "1_000" → 1000; "0x1f" and, as in Go, "017" are integers of base 16 and 8. */
static int number_value(struct toc_sv text, double *out) {
    char digits[64];
    size_t n = 0;
    bool is_octal = text.n > 1 && text.p[0] == '0';
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '_') {
            bool is_between = i && i + 1 < text.n && isxdigit((unsigned char)text.p[i - 1]) &&
                              isxdigit((unsigned char)text.p[i + 1]);
            if (!is_between)
                return TOC_EPARSE;
            continue;
        }
        if (n == sizeof digits - 1)
            return TOC_EPARSE;
        is_octal = is_octal && c >= '0' && c <= '7';
        digits[n++] = c;
    }
    digits[n] = 0;
    if (is_octal) {
        *out = 0;
        for (size_t i = 0; i < n; i++)
            *out = *out * 8 + (digits[i] - '0');
        return 0;
    }
    return toc_parse_f64((struct toc_sv){digits, n}, out);
}

static int bad_number(struct toc_lexer *l, struct toc_token *t, struct toc_err *err) {
    return toc_lexer_error(l->input, t->at, err, "bad number or duration syntax: \"%.*s\"",
                           TOC_SV_ARG(t->text));
}

/* Numbers (decimal, hexadecimal, exponent) and durations ("1h30m"), which begin alike. */
static int read_number(struct toc_lexer *l, struct toc_token *t, struct toc_err *err) {
    bool is_hex = peek(l, 0) == '0' && (peek(l, 1) | 32) == 'x';
    l->at += is_hex ? 2 : 0;
    while (is_hex ? isxdigit(peek(l, 0)) || peek(l, 0) == '_'
                  : isdigit(peek(l, 0)) || peek(l, 0) == '.' || peek(l, 0) == '_')
        l->at++;
    if (!is_hex && (peek(l, 0) | 32) == 'e') {
        l->at++;
        if (peek(l, 0) == '+' || peek(l, 0) == '-')
            l->at++;
        while (isdigit(peek(l, 0)))
            l->at++;
    }
    bool is_duration = !is_hex && is_duration_unit(peek(l, 0));
    while (peek(l, 0) >= 0 && (is_alpha(peek(l, 0)) || isdigit(peek(l, 0))))
        l->at++;
    finish(l, t, is_duration ? TOC_TOKEN_DURATION : TOC_TOKEN_NUMBER);
    if (is_duration) {
        int64_t ms;
        if (toc_duration_parse(t->text, &ms, NULL) < 0)
            return bad_number(l, t, err);
        t->number = (double)ms / 1000.0;
        return 0;
    }
    return number_value(t->text, &t->number) < 0 ? bad_number(l, t, err) : 0;
}

static void read_name(struct toc_lexer *l, struct toc_token *t) {
    bool takes_colon = l->brace_depth == 0 && l->bracket_depth == 0, has_colon = false;
    for (int c; (c = peek(l, 0)) >= 0 && (is_alpha(c) || isdigit(c) || (takes_colon && c == ':'));
         l->at++)
        has_colon |= c == ':';
    finish(l, t, has_colon ? TOC_TOKEN_METRIC : TOC_TOKEN_IDENTIFIER);
}

static const struct {
    char text[3];
    enum toc_token_kind kind;
} g_operators[] = {
    /* the longer ones first */
    {"=~", TOC_TOKEN_RE},         {"==", TOC_TOKEN_EQ},         {"!=", TOC_TOKEN_NE},
    {"</", TOC_TOKEN_TRIM_UPPER}, {">/", TOC_TOKEN_TRIM_LOWER}, {"!~", TOC_TOKEN_NRE},
    {"<=", TOC_TOKEN_LE},         {">=", TOC_TOKEN_GE},         {"(", TOC_TOKEN_LPAREN},
    {")", TOC_TOKEN_RPAREN},      {"{", TOC_TOKEN_LBRACE},      {"}", TOC_TOKEN_RBRACE},
    {"[", TOC_TOKEN_LBRACKET},    {"]", TOC_TOKEN_RBRACKET},    {",", TOC_TOKEN_COMMA},
    {":", TOC_TOKEN_COLON},       {"@", TOC_TOKEN_AT},          {"=", TOC_TOKEN_ASSIGN},
    {"<", TOC_TOKEN_LT},          {">", TOC_TOKEN_GT},          {"+", TOC_TOKEN_ADD},
    {"-", TOC_TOKEN_SUB},         {"*", TOC_TOKEN_MUL},         {"/", TOC_TOKEN_DIV},
    {"%", TOC_TOKEN_MOD},         {"^", TOC_TOKEN_POW},
};

static void count_depth(struct toc_lexer *l, enum toc_token_kind kind) {
    l->brace_depth += kind == TOC_TOKEN_LBRACE ? 1 : kind == TOC_TOKEN_RBRACE ? -1 : 0;
    l->bracket_depth += kind == TOC_TOKEN_LBRACKET ? 1 : kind == TOC_TOKEN_RBRACKET ? -1 : 0;
}

int toc_lexer_next(struct toc_lexer *l, struct toc_token *t, struct toc_err *err) {
    skip_blanks(l);
    *t = (struct toc_token){.at = l->at};
    int c = peek(l, 0);
    if (c < 0) {
        finish(l, t, TOC_TOKEN_END);
        return 0;
    }
    if (c == '"' || c == '\'' || c == '`')
        return read_string(l, t, err);
    if (isdigit(c) || (c == '.' && isdigit(peek(l, 1))))
        return read_number(l, t, err);
    if (is_alpha(c) || (c == ':' && l->brace_depth == 0 && l->bracket_depth == 0)) {
        read_name(l, t);
        return 0;
    }
    struct toc_sv rest = toc_sv_sub(l->input, l->at, 2);
    for (size_t i = 0; i < sizeof g_operators / sizeof g_operators[0]; i++) {
        if (toc_sv_starts_with(rest, toc_sv_cstr(g_operators[i].text))) {
            l->at += strlen(g_operators[i].text);
            finish(l, t, g_operators[i].kind);
            count_depth(l, t->kind);
            return 0;
        }
    }
    return toc_lexer_error(l->input, l->at, err, "unexpected character: %s%c%s",
                           c < 0x80 ? "'" : "", c < 0x80 ? c : '?', c < 0x80 ? "'" : "");
}
