#include "base/num.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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

/* Shortest digits that round-trip: try 1..17 significant digits. Fills digits (no point) and the
 * decimal exponent of the first digit. */
static int shortest_digits(double v, char *digits, int *out_exponent) {
    char text[40];
    for (int precision = 15;; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, v);
        if (precision == 17 || strtod_l(text, NULL, c_locale()) == v)
            break;
    }
    int n = 0;
    char *p = text;
    for (; *p && *p != 'e'; p++)
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
    *out_exponent = atoi(p + 1);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

static bool format_special(double v, struct toc_buf *out) {
    if (isnan(v))
        toc_buf_append_cstr(out, "NaN");
    else if (isinf(v))
        toc_buf_append_cstr(out, v > 0 ? "+Inf" : "-Inf");
    else if (v == 0)
        toc_buf_append_cstr(out, signbit(v) ? "-0" : "0");
    else if (fabs(v) < 1e15 && v == trunc(v))
        toc_buf_printf(out, "%.0f", v);
    else
        return false;
    return true;
}

static void append_zeros(struct toc_buf *out, int n) {
    for (int i = 0; i < n; i++)
        toc_buf_append_char(out, '0');
}

static void append_plain(struct toc_buf *out, const char *digits, int n, int exponent) {
    if (exponent < 0) {
        toc_buf_append_cstr(out, "0.");
        append_zeros(out, -exponent - 1);
        toc_buf_append(out, digits, (size_t)n);
        return;
    }
    int whole = TOC_MIN(n, exponent + 1);
    toc_buf_append(out, digits, (size_t)whole);
    append_zeros(out, exponent + 1 - whole);
    if (n > whole) {
        toc_buf_append_char(out, '.');
        toc_buf_append(out, digits + whole, (size_t)(n - whole));
    }
}

static void append_exponent(struct toc_buf *out, const char *digits, int n, int exponent) {
    toc_buf_append_char(out, digits[0]);
    if (n > 1) {
        toc_buf_append_char(out, '.');
        toc_buf_append(out, digits + 1, (size_t)(n - 1));
    }
    toc_buf_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
}

static void format_shortest(double v, bool may_use_exponent, struct toc_buf *out) {
    if (format_special(v, out))
        return;
    char digits[32];
    int exponent;
    if (v < 0)
        toc_buf_append_char(out, '-');
    int n = shortest_digits(fabs(v), digits, &exponent);
    if (may_use_exponent && (exponent < -4 || exponent >= 21))
        append_exponent(out, digits, n, exponent);
    else
        append_plain(out, digits, n, exponent);
}

void toc_format_f64(double v, struct toc_buf *out) {
    format_shortest(v, false, out);
}
void toc_format_f64_g(double v, struct toc_buf *out) {
    format_shortest(v, true, out);
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
