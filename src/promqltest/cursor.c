#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "promqltest/cursor_priv.h"

int cursor_fail(struct cursor *c, const char *fmt, ...) {
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return toc_err_at(c->err, TOC_EPARSE, 0, (int)c->at + 1, "%s", text);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Length of "inf", "infinity" or "nan" in any case at the start of s; 0 when there is none. */
static size_t special_length(struct toc_sv s) {
    static const char *const words[] = {"infinity", "inf", "nan"};
    for (size_t i = 0; i < 3; i++) {
        struct toc_sv word = toc_sv_cstr(words[i]);
        if (s.n >= word.n && toc_sv_eq_nocase(toc_sv_sub(s, 0, word.n), word))
            return word.n;
    }
    return 0;
}

/* Length of a decimal number without sign at the start of s. */
static size_t decimal_length(struct toc_sv s) {
    size_t n = 0;
    while (n < s.n && (is_digit(s.p[n]) || s.p[n] == '.'))
        n++;
    if (n == 0 || n >= s.n || (s.p[n] != 'e' && s.p[n] != 'E'))
        return n;
    size_t digits = n + 1 + (n + 1 < s.n && (s.p[n + 1] == '+' || s.p[n + 1] == '-'));
    if (digits >= s.n || !is_digit(s.p[digits]))
        return n;
    while (digits < s.n && is_digit(s.p[digits]))
        digits++;
    return digits;
}

int cursor_number(struct cursor *c, double *out) {
    size_t from = c->at;
    if (cursor_peek(c) == '+' || cursor_peek(c) == '-')
        c->at++;
    struct toc_sv rest = toc_sv_sub(c->text, c->at, c->text.n);
    size_t n = special_length(rest);
    if (!n)
        n = decimal_length(rest);
    struct toc_sv all = toc_sv_sub(c->text, from, c->at + n - from);
    if (!n || toc_parse_f64(all, out) < 0) {
        c->at = from;
        return cursor_fail(c, "expected a number at \"%.*s\"",
                           TOC_SV_ARG(toc_sv_sub(c->text, from, 40)));
    }
    c->at += n;
    return 0;
}

int cursor_count(struct cursor *c, uint64_t *out) {
    size_t n = 0;
    while (c->at + n < c->text.n && is_digit(c->text.p[c->at + n]))
        n++;
    if (toc_parse_u64(toc_sv_sub(c->text, c->at, n), out) < 0)
        return cursor_fail(c, "expected a count at \"%.*s\"",
                           TOC_SV_ARG(toc_sv_sub(c->text, c->at, 40)));
    c->at += n;
    return 0;
}

struct toc_sv cursor_word(struct cursor *c, const char *stops) {
    size_t from = c->at;
    while (!cursor_is_at_end(c) && !cursor_is_blank(cursor_peek(c)) &&
           !strchr(stops, cursor_peek(c)))
        c->at++;
    return toc_sv_sub(c->text, from, c->at - from);
}
