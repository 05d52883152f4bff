/*
 * printf rounds the exact value of a double, half to even. A product or a quotient with a power of
 * ten that is a double itself is rounded once, and fma() tells on which side of it the exact value
 * lies; that decides only where the rounded one stands halfway between two integers, for numbers
 * halfway between integers are doubles, and rounding never moves a value past a double.
 */
#include "base/rounded.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/num.h"

enum { EXACT_POWERS = 22, DIGITS_MAX = 9 };

static const double powers[EXACT_POWERS + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* A value and the sign of what it lacks. */
struct near {
    double value, rest;
};

/* v · 10^power. */
static struct near scaled(double v, int power) {
    double ten = powers[power < 0 ? -power : power], at = power < 0 ? v / ten : v * ten;
    return (struct near){at, power < 0 ? fma(-at, ten, v) : fma(v, ten, -at)};
}

static bool is_below(struct near x, double limit) {
    return x.value < limit || (x.value == limit && x.rest < 0);
}

/* Of a value in [0, 2^52). */
static uint64_t rounded(struct near x) {
    uint64_t whole = (uint64_t)x.value;
    double part = x.value - (double)whole;
    bool is_up = part > 0.5 || (part == 0.5 && (x.rest > 0 || (x.rest == 0 && (whole & 1))));
    return whole + is_up;
}

static size_t put_fraction(uint64_t fraction, int decimals, char *out) {
    for (int i = decimals; i-- > 0; fraction /= 10)
        out[i] = (char)('0' + fraction % 10);
    return (size_t)decimals;
}

size_t toc_fixed_text(double v, int decimals, char out[TOC_ROUNDED_TEXT_MAX]) {
    static const double large = 1e6;
    size_t n = 0;
    TOC_ASSERT(decimals >= 0 && decimals <= DIGITS_MAX);
    if (!(fabs(v) < large))
        return (size_t)snprintf(out, TOC_ROUNDED_TEXT_MAX, "%.*f", decimals, v);
    uint64_t ten = (uint64_t)powers[decimals], all = rounded(scaled(fabs(v), decimals));
    if (signbit(v))
        out[n++] = '-';
    n += toc_u64_text(all / ten, out + n);
    if (decimals)
        out[n++] = '.';
    return n + put_fraction(all % ten, decimals, out + n);
}

void toc_format_fixed(double v, int decimals, struct toc_buf *out) {
    char text[TOC_ROUNDED_TEXT_MAX];
    toc_buf_append(out, text, toc_fixed_text(v, decimals, text));
}

/* A number's first digits: 12345 and 2 for 123.45. */
struct leading {
    uint64_t digits;
    int exponent;
};

/* Of a positive number; false where the powers do not reach. */
static bool lead(double v, int digits, struct leading *out) {
    int binary;
    (void)frexp(v, &binary);
    int exponent = (binary - 1) * 1233 / 4096; /* about log10(2); off by one at most */
    double low = powers[digits - 1], high = powers[digits];
    for (int i = 0; i < 3; i++) {
        int power = digits - 1 - exponent;
        if (power > EXACT_POWERS || power < -EXACT_POWERS)
            return false;
        struct near x = scaled(v, power);
        if (is_below(x, low) || !is_below(x, high)) {
            exponent += is_below(x, low) ? -1 : 1;
            continue;
        }
        uint64_t all = rounded(x);
        bool is_carried = all == (uint64_t)high;
        *out = (struct leading){is_carried ? all / 10 : all, exponent + is_carried};
        return true;
    }
    return false;
}

/* "1.25e-07"; of digits without zeros behind. */
static size_t put_exponent(const char *digits, size_t count, int exponent, char *out) {
    size_t n = 0;
    out[n++] = digits[0];
    if (count > 1)
        out[n++] = '.';
    for (size_t i = 1; i < count; i++)
        out[n++] = digits[i];
    unsigned size = (unsigned)(exponent < 0 ? -exponent : exponent);
    out[n++] = 'e';
    out[n++] = exponent < 0 ? '-' : '+';
    if (size < 10)
        out[n++] = '0';
    return n + toc_u64_text(size, out + n);
}

static size_t put_plain(const char *digits, size_t count, int exponent, char *out) {
    size_t n = 0;
    if (exponent < 0) {
        out[n++] = '0';
        out[n++] = '.';
        for (int i = -1; i > exponent; i--)
            out[n++] = '0';
    }
    for (size_t i = 0; i < count || (int)i <= exponent; i++) {
        if (exponent >= 0 && (int)i == exponent + 1)
            out[n++] = '.';
        out[n++] = i < count ? digits[i] : '0';
    }
    return n;
}

size_t toc_digits_text(double v, int digits, char out[TOC_ROUNDED_TEXT_MAX]) {
    char number[TOC_U64_TEXT_MAX];
    struct leading l;
    TOC_ASSERT(digits >= 1 && digits <= DIGITS_MAX);
    if (!isfinite(v) || v == 0 || !lead(fabs(v), digits, &l))
        return (size_t)snprintf(out, TOC_ROUNDED_TEXT_MAX, "%.*g", digits, v);
    size_t count = toc_u64_text(l.digits, number), n = 0;
    while (count > 1 && number[count - 1] == '0')
        count--;
    if (signbit(v))
        out[n++] = '-';
    bool has_exponent = l.exponent < -4 || l.exponent >= digits;
    return n + (has_exponent ? put_exponent : put_plain)(number, count, l.exponent, out + n);
}
