/*
 * The shortest decimal digits that read back to the same double, by Schubfach (Raffaello Giulietti,
 * "The Schubfach way to render doubles", 2020): scale the double and the ends of its rounding
 * interval by a power of ten so that the interval holds one or two integers, and take the best.
 */
#ifndef TOC_BASE_FLOAT_DIGITS_PRIV_H
#define TOC_BASE_FLOAT_DIGITS_PRIV_H

#include <stdint.h>

enum { TOC_POW10_MIN = -292 };

/* Upper 128 bits of 10^k, k = TOC_POW10_MIN + index, rounded up. */
struct toc_pow10 {
    uint64_t high, low;
};
extern const struct toc_pow10 toc_pow10_table[];

/* v > 0 and finite: digits * 10^exponent, without trailing zeros. */
struct toc_decimal {
    uint64_t digits;
    int exponent;
};
struct toc_decimal toc_shortest_decimal(double v);

#endif
