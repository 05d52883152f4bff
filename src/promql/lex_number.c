/* Numbers (decimal, hexadecimal, octal, with "_" between digits) and durations ("1h30m"), which
 * begin alike. What is taken before an error is part of its text, so the scan follows upstream's
 * order of tests. */
#include <ctype.h>
#include <string.h>

#include "base/num.h"
#include "base/time.h"
#include "promql/lexer_priv.h"

/* What fits in 64 bits as nanoseconds, upstream's unit. */
static const int64_t DURATION_MAX_MS = 9223372036854;

static bool is_one_of(int c, const char *set) {
    return c > 0 && strchr(set, c);
}

static bool take(struct toc_lexer *l, const char *set) {
    bool is_there = is_one_of(toc_lexer_peek(l, 0), set);
    l->at += is_there;
    return is_there;
}

static bool is_word_byte(int c) {
    return c == '_' || (c >= 0 && c < 128 && isalnum(c));
}

/* What follows the first digits; false at what cannot be part of a number. */
static bool scan_rest(struct toc_lexer *l, const char *digits) {
    bool is_hex = digits[10], has_dot = false, has_exponent = false;
    for (;;) {
        int c = toc_lexer_peek(l, 0);
        if (c == '.') {
            l->at++;
            if (has_dot || is_hex || take(l, "_."))
                return false;
            has_dot = true;
        } else if (!is_hex && is_one_of(c, "eE")) {
            l->at++;
            if (has_exponent)
                return false;
            has_exponent = true;
            take(l, "+-");
            if (take(l, "._eE") || toc_lexer_peek(l, 0) < 0)
                return false;
        } else if (c == '_') {
            l->at++;
            if (take(l, "._eE") || toc_lexer_peek(l, 0) < 0)
                return false;
        } else if (!take(l, digits)) {
            return true;
        }
    }
}

static bool scan_number(struct toc_lexer *l) {
    const char *digits = "0123456789";
    bool is_hex = toc_lexer_peek(l, 0) == '0' && is_one_of(toc_lexer_peek(l, 1), "xX");
    if (is_hex) {
        l->at += 2;
        take(l, "_");
        digits = "0123456789abcdefABCDEF";
    }
    return scan_rest(l, digits) && !is_word_byte(toc_lexer_peek(l, 0));
}

/* Units and further digits behind the first ones; whether their order makes sense is seen later. */
static bool scan_duration(struct toc_lexer *l) {
    if (!take(l, "smhdwy"))
        return false;
    take(l, "s"); /* of "ms" */
    while (take(l, "0123456789")) {
        while (take(l, "0123456789"))
            ;
        if (!take(l, "smhdw"))
            return false;
        take(l, "s");
    }
    if (!is_word_byte(toc_lexer_peek(l, 0)))
        return true;
    l->at++;
    return false;
}

/* "1_000" → 1000; "0x1f" and, as in Go, "017" are integers of base 16 and 8. */
static int number_value(struct toc_sv text, double *out) {
    char digits[512];
    size_t n = 0;
    bool is_octal = text.n > 1 && text.p[0] == '0';
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '_')
            continue;
        if (n == sizeof digits - 1)
            return TOC_EPARSE;
        is_octal = is_octal && text.p[i] >= '0' && text.p[i] <= '7';
        digits[n++] = text.p[i];
    }
    if (!is_octal)
        return toc_parse_f64((struct toc_sv){digits, n}, out);
    *out = 0;
    for (size_t i = 0; i < n; i++)
        *out = *out * 8 + (digits[i] - '0');
    return 0;
}

static int finish_number(struct toc_lexer *l, struct toc_token *t, struct toc_err *err) {
    struct toc_sv text = toc_sv_sub(l->input, t->at, l->at - t->at);
    t->kind = TOC_TOKEN_NUMBER;
    if (number_value(text, &t->number) < 0)
        return toc_lexer_error(l->input, t->at, err,
                               "error parsing number: strconv.ParseFloat: parsing \"%.*s\": "
                               "invalid syntax",
                               TOC_SV_ARG(text));
    if (t->number - t->number != 0)
        return toc_lexer_error(l->input, t->at, err,
                               "error parsing number: strconv.ParseFloat: parsing \"%.*s\": value "
                               "out of range",
                               TOC_SV_ARG(text));
    return 0;
}

int toc_lexer_number(struct toc_lexer *l, struct toc_token *t, struct toc_err *err) {
    int64_t ms;
    if (scan_number(l))
        return finish_number(l, t, err);
    bool is_duration = scan_duration(l);
    struct toc_sv text = toc_sv_sub(l->input, t->at, l->at - t->at);
    if (!is_duration)
        return toc_lexer_error(l->input, t->at, err, "bad number or duration syntax: \"%.*s\"",
                               TOC_SV_ARG(text));
    t->kind = TOC_TOKEN_DURATION;
    if (toc_duration_parse(text, &ms, NULL) < 0)
        return toc_lexer_error(l->input, t->at, err, "not a valid duration string: \"%.*s\"",
                               TOC_SV_ARG(text));
    if (ms > DURATION_MAX_MS)
        return toc_lexer_error(l->input, t->at, err, "duration out of range");
    t->number = (double)ms / 1000.0;
    return 0;
}
