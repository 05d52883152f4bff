#include "base/num.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal_read_priv.h"
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

/* The parts of a decimal number. */
struct decimal {
    uint64_t digits; /* without the point; meaningful up to 19 of them */
    int digit_count; /* without leading zeros */
    int whole, fraction, exponent;
    bool is_negative, has_point, has_exponent, has_leading_zero;
};

enum { IS_LITTLE_ENDIAN = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ };

/* The number of eight digits without their '0', the first in the lowest byte: neighbours are put
 * together, then pairs, then fours, each in a lane of its own. */
static uint64_t join_digits(uint64_t v) {
    v = (v * 10 + (v >> 8)) & 0x00ff00ff00ff00ff;
    v = (v * 100 + (v >> 16)) & 0x0000ffff0000ffff;
    return (v * 10000 + (v >> 32)) & 0xffffffff;
}

/* The number that eight characters are. False when one is no digit. */
static bool eight_digits(const char *p, uint64_t *out) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    if ((v & 0xf0f0f0f0f0f0f0f0) != 0x3030303030303030 ||
        ((v + 0x0606060606060606) & 0xf0f0f0f0f0f0f0f0) != 0x3030303030303030)
        return false;
    *out = join_digits(v & 0x0f0f0f0f0f0f0f0f);
    return true;
}

/* The digits that eight characters begin with, and how many they are; of eight there may be more.
 * A byte without its '0' is a digit when adding 0x76 leaves its highest bit clear; what one that is
 * none carries over spoils only bytes behind it. */
static uint64_t first_digits(const char *p, unsigned *out_count) {
    enum { BYTE_BITS = 8 };
    uint64_t v, others;
    memcpy(&v, p, sizeof v);
    v ^= 0x3030303030303030;
    others = ((v + 0x7676767676767676) | v) & 0x8080808080808080;
    *out_count = others ? (unsigned)__builtin_ctzll(others) / BYTE_BITS : (unsigned)sizeof v;
    return *out_count ? join_digits(v << (BYTE_BITS * (sizeof v - *out_count))) : 0;
}

static const char *read_digits(const char *p, const char *end, struct decimal *d, int *out_count) {
    enum { MANY = 8 };
    const char *start = p;
    uint64_t digits = d->digits, many;
    int count = d->digit_count;
    while (p < end && (unsigned char)(*p - '0') < 10) {
        if (IS_LITTLE_ENDIAN && count && end - p >= MANY && eight_digits(p, &many)) {
            digits = digits * 100000000 + many;
            count += MANY;
            p += MANY;
            continue;
        }
        digits = digits * 10 + (uint64_t)(*p - '0');
        count += count || *p != '0';
        p++;
    }
    d->digits = digits;
    d->digit_count = count;
    *out_count = (int)TOC_MIN(p - start, 400);
    return p;
}

/* "e-05"; where there are no digits behind the letter, nothing was read. */
static const char *read_exponent(const char *p, const char *end, struct decimal *d) {
    enum { EXPONENT_MAX = 9999 };
    const char *at = p + 1;
    if (p == end || (*p | 0x20) != 'e')
        return p;
    bool is_negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    if (at == end || (unsigned char)(*at - '0') >= 10)
        return p;
    for (; at < end && (unsigned char)(*at - '0') < 10; at++)
        d->exponent = TOC_MIN(d->exponent * 10 + (*at - '0'), EXPONENT_MAX);
    d->exponent = is_negative ? -d->exponent : d->exponent;
    d->has_exponent = true;
    return at;
}

/* Sign, digits, point, digits, exponent, each of which may be missing. Returns where they end. */
static const char *read_decimal(const char *p, const char *end, struct decimal *d) {
    *d = (struct decimal){.is_negative = p < end && *p == '-'};
    p += p < end && (*p == '-' || *p == '+');
    d->has_leading_zero = p < end && *p == '0';
    p = read_digits(p, end, d, &d->whole);
    d->has_point = p < end && *p == '.';
    if (d->has_point)
        p = read_digits(p + 1, end, d, &d->fraction);
    return d->whole + d->fraction ? read_exponent(p, end, d) : p;
}

static bool decimal_value(const struct decimal *d, double *out) {
    enum { DIGITS_MAX = 19 }; /* what 64 bits hold */
    if (d->digit_count > DIGITS_MAX || !toc_decimal_read(d->digits, d->exponent - d->fraction, out))
        return false;
    *out = d->is_negative ? -*out : *out;
    return true;
}

static bool parse_simple_decimal(struct toc_sv s, double *out) {
    struct decimal d;
    const char *end = s.p + s.n;
    return read_decimal(s.p, end, &d) == end && d.whole + d.fraction && decimal_value(&d, out);
}

static bool is_digit(char c) {
    return (unsigned char)(c - '0') < 10;
}

enum { EXACT_DIGITS_MAX = 15 };
static const double powers[EXACT_DIGITS_MAX + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* Numbers of up to seven digits before the point and behind it, with more text behind them: as
 * read_short, without a look at each digit. */
static size_t read_within(struct toc_sv s, double *out) {
    enum { MANY = 8, ROOM = 2 * MANY + 2 };
    static const uint64_t tens[MANY] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    unsigned whole, fraction = 0;
    if (!IS_LITTLE_ENDIAN || s.n < ROOM)
        return 0;
    uint64_t digits = first_digits(s.p, &whole), behind = 0;
    bool has_point = s.p[whole] == '.';
    if (has_point)
        behind = first_digits(s.p + whole + 1, &fraction);
    size_t n = whole + has_point + fraction;
    if (!whole || whole == MANY || fraction == MANY || (has_point && !fraction) ||
        (s.p[n] | 0x20) == 'e' || (whole > 1 && s.p[0] == '0'))
        return 0;
    *out = (double)(digits * tens[fraction] + behind) / powers[fraction];
    return n;
}

/* 12.50 and 100, as most numbers of tables and logs are: at most 15 digits, so both parts of the
 * quotient are exact and it is rounded once, rightly. 0 for all else, which is not to say that it
 * is no number. Long ones are read faster eight digits at a time. */
static size_t read_short(struct toc_sv s, double *out) {
    enum { DIGITS_MAX = EXACT_DIGITS_MAX, LONG = 16 };
    uint64_t digits = 0;
    size_t i = 0, point = 0, end = TOC_MIN(s.n, (size_t)LONG + 1);
    if (end > LONG && is_digit(s.p[LONG / 2]) && is_digit(s.p[LONG]))
        return 0;
    for (; i < end; i++) {
        if (is_digit(s.p[i]))
            digits = digits * 10 + (uint64_t)(s.p[i] - '0');
        else if (s.p[i] == '.' && i && !point)
            point = i;
        else
            break;
    }
    size_t count = i - (point > 0), whole = point ? point : i, fraction = count - whole;
    bool has_exponent = i < s.n && (s.p[i] | 0x20) == 'e';
    if (!count || count > DIGITS_MAX || i > LONG || has_exponent || (point && !fraction) ||
        (whole > 1 && s.p[0] == '0'))
        return 0;
    *out = (double)digits / powers[fraction];
    return i;
}

size_t toc_read_json_number(struct toc_sv s, double *out) {
    enum { INTEGER_DIGITS_MAX = 18 };
    size_t n = read_within(s, out);
    n = n ? n : read_short(s, out);
    if (n)
        return n;
    struct decimal d;
    const char *end = s.n ? read_decimal(s.p, s.p + s.n, &d) : s.p;
    if (end == s.p || s.p[0] == '+' || !d.whole || (d.has_leading_zero && d.whole > 1) ||
        (d.has_point && !d.fraction))
        return 0;
    bool is_integer = !d.has_point && !d.has_exponent;
    if ((is_integer && d.digit_count > INTEGER_DIGITS_MAX) || !decimal_value(&d, out))
        return 0;
    if (is_integer && *out == 0)
        *out = 0; /* of an integer there is no -0 */
    return (size_t)(end - s.p);
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
    static const char pairs[] =
        "0001020304050607080910111213141516171819202122232425262728293031323334"
        "3536373839404142434445464748495051525354555657585960616263646566676869"
        "707172737475767778798081828384858687888990919293949596979899";
    char text[20];
    int at = (int)sizeof text;
    for (; v >= 10; v /= 100) {
        at -= 2;
        memcpy(text + at, pairs + 2 * (v % 100), 2);
        if (v < 100) {
            v = 0;
            break;
        }
    }
    if (v || at == (int)sizeof text)
        text[--at] = (char)('0' + v);
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
