#include "base/num.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/float_digits_priv.h"

int toc_parse_u64(struct toc_sv s, uint64_t *out) {
    uint64_t v = 0;
    if (!s.n)
        return TOC_EPARSE;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || __builtin_mul_overflow(v, 10U, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return TOC_EPARSE;
    }
    *out = v;
    return 0;
}

int toc_parse_i64(struct toc_sv s, int64_t *out) {
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = toc_sv_make(s.p + 1, s.n - 1);
    uint64_t magnitude;
    if (toc_parse_u64(s, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
        return TOC_EPARSE;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return 0;
}

/* Powers of ten that are exact in a double. */
static const double exact_pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* Clinger's fast path: at most 19 digits and a small exponent give a correctly rounded result with
 * one multiplication or division when the mantissa fits in 53 bits. */
static bool parse_simple_decimal(struct toc_sv s, double *out) {
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+');
    uint64_t mantissa = 0;
    int digits = 0, scale = 0;
    bool seen_point = false, seen_digit = false;
    for (; i < s.n; i++) {
        if (s.p[i] == '.' && !seen_point) {
            seen_point = true;
            continue;
        }
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        seen_digit = true;
        mantissa = mantissa * 10 + (uint64_t)(s.p[i] - '0');
        digits += mantissa != 0;
        scale += seen_point;
        if (digits > 18)
            return false;
    }
    if (!seen_digit || mantissa >> 53 || scale > 22)
        return false;
    double v = (double)mantissa / exact_pow10[scale];
    *out = s.p[0] == '-' ? -v : v;
    return true;
}

static bool is_float_char(char c) {
    return (c >= '0' && c <= '9') || c == '.' || c == '+' || c == '-' || (c >= 'a' && c <= 'f') ||
           (c >= 'A' && c <= 'F') || c == 'x' || c == 'X' || c == 'p' || c == 'P';
}

static bool parse_special(struct toc_sv s, double *out) {
    bool negative = s.n && s.p[0] == '-';
    struct toc_sv word = s.n && (s.p[0] == '-' || s.p[0] == '+') ? toc_sv_sub(s, 1, s.n) : s;
    if (toc_sv_eq_nocase(word, TOC_SV("inf")) || toc_sv_eq_nocase(word, TOC_SV("infinity"))) {
        *out = negative ? -INFINITY : INFINITY;
        return true;
    }
    if (toc_sv_eq_nocase(word, TOC_SV("nan"))) {
        *out = NAN;
        return true;
    }
    return false;
}

static locale_t c_locale(void) {
    static _Atomic(locale_t) cached;
    locale_t l = cached;
    if (!l)
        cached = l = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return l;
}

int toc_parse_f64(struct toc_sv s, double *out) {
    enum { MAX_TEXT = 400 };
    if (!s.n || s.n > MAX_TEXT)
        return TOC_EPARSE;
    if (parse_simple_decimal(s, out) || parse_special(s, out))
        return 0;
    char text[MAX_TEXT + 1];
    for (size_t i = 0; i < s.n; i++)
        if (!is_float_char(s.p[i]))
            return TOC_EPARSE;
    toc_sv_copy(s, text, sizeof text);
    char *end;
    *out = strtod_l(text, &end, c_locale());
    return *end || end == text ? TOC_EPARSE : 0;
}

static size_t put_special(double v, char *out) {
    const char *text = isnan(v) ? "NaN"
                       : v == 0 ? (signbit(v) ? "-0" : "0")
                       : v > 0  ? "+Inf"
                                : "-Inf";
    size_t n = strlen(text);
    memcpy(out, text, n);
    return n;
}

static size_t put_zeros(char *out, int n) {
    memset(out, '0', (size_t)n);
    return (size_t)n;
}

/* Decimal digits of v, most significant first; returns how many. */
static int put_digits(uint64_t v, char *out) {
    char text[20];
    int at = (int)sizeof text;
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    memcpy(out, text + at, sizeof text - (size_t)at);
    return (int)sizeof text - at;
}

/* `point`: where the decimal point stands, counted from the first digit. */
static size_t put_plain(char *out, const char *digits, int n, int point) {
    size_t at = 0;
    if (point <= 0) {
        memcpy(out, "0.", 2);
        at = 2 + put_zeros(out + 2, -point);
        memcpy(out + at, digits, (size_t)n);
        return at + (size_t)n;
    }
    int whole = TOC_MIN(n, point);
    memcpy(out, digits, (size_t)whole);
    at = (size_t)whole + put_zeros(out + whole, point - whole);
    if (n > whole) {
        out[at++] = '.';
        memcpy(out + at, digits + whole, (size_t)(n - whole));
        at += (size_t)(n - whole);
    }
    return at;
}

static size_t put_exponent(char *out, const char *digits, int n, int exponent) {
    size_t at = 0;
    out[at++] = digits[0];
    if (n > 1) {
        out[at++] = '.';
        memcpy(out + at, digits + 1, (size_t)(n - 1));
        at += (size_t)(n - 1);
    }
    out[at++] = 'e';
    out[at++] = exponent < 0 ? '-' : '+';
    if (abs(exponent) < 10)
        out[at++] = '0';
    return at + (size_t)put_digits((uint64_t)abs(exponent), out + at);
}

/* Smallest and, exclusive, largest decimal exponent that is written without one. */
static const struct {
    int from, below;
} g_plain[] = {
    [TOC_F64_PLAIN] = {INT_MIN, INT_MAX},
    [TOC_F64_GENERAL] = {-4, 21},
    [TOC_F64_EXPONENT] = {1, 0},
    [TOC_F64_JSON] = {-6, 21},
    [TOC_F64_G] = {-4, 6},
};

size_t toc_f64_text(double v, enum toc_f64_style style, char out[TOC_F64_TEXT_MAX]) {
    if (v == 0 || !isfinite(v)) {
        size_t n = put_special(v, out);
        if (v != 0 || style != TOC_F64_EXPONENT)
            return n;
        memcpy(out + n, "e+00", 4);
        return n + 4;
    }
    size_t at = 0;
    if (v < 0)
        out[at++] = '-';
    char digits[20];
    struct toc_decimal d = toc_shortest_decimal(fabs(v));
    int n = put_digits(d.digits, digits);
    int exponent = d.exponent + n - 1;
    if (exponent < g_plain[style].from || exponent >= g_plain[style].below)
        return at + put_exponent(out + at, digits, n, exponent);
    return at + put_plain(out + at, digits, n, exponent + 1);
}

static void append_f64(double v, enum toc_f64_style style, struct toc_buf *out) {
    char *p = toc_buf_reserve(out, TOC_F64_TEXT_MAX);
    if (p)
        out->n += toc_f64_text(v, style, p);
}

void toc_format_f64(double v, struct toc_buf *out) {
    append_f64(v, TOC_F64_PLAIN, out);
}
void toc_format_f64_g(double v, struct toc_buf *out) {
    append_f64(v, TOC_F64_GENERAL, out);
}
void toc_format_f64_json(double v, struct toc_buf *out) {
    append_f64(v, TOC_F64_JSON, out);
}

void toc_format_f64_go(double v, struct toc_buf *out) {
    append_f64(v, TOC_F64_G, out);
}

const char *toc_f64_cstr(double v, char out[TOC_F64_TEXT_MAX + 1]) {
    out[toc_f64_text(v, TOC_F64_G, out)] = 0;
    return out;
}

size_t toc_u64_text(uint64_t v, char out[TOC_U64_TEXT_MAX]) {
    return (size_t)put_digits(v, out);
}

static void format_scaled(double v, double base, const char *const *prefixes, size_t count,
                          struct toc_buf *out) {
    if (!isfinite(v)) {
        toc_format_f64(v, out);
        return;
    }
    size_t i = 0;
    while (i + 1 < count && fabs(v) >= base) {
        v /= base;
        i++;
    }
    toc_buf_printf(out, "%.4g%s", v, prefixes[i]);
}

void toc_format_si(double v, struct toc_buf *out) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P"};
    format_scaled(v, 1000, prefixes, TOC_ARRAY_LEN(prefixes), out);
}

void toc_format_bytes(double v, struct toc_buf *out) {
    static const char *const prefixes[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB"};
    format_scaled(v, 1024, prefixes, TOC_ARRAY_LEN(prefixes), out);
}
