#include "base/float_digits_priv.h"

#include <stdbool.h>
#include <string.h>

enum { MANTISSA_BITS = 52, EXPONENT_BIAS = 1075, EXPONENT_MASK = 0x7ff };

typedef unsigned __int128 u128;

/* floor(e * log10(2)), floor(log10(3/4 * 2^e)), floor(e * log2(10)) for every exponent of a double.
 */
static int floor_log10_pow2(int e) {
    return (e * 1262611) >> 22;
}
static int floor_log10_three_quarters_pow2(int e) {
    return (e * 1262611 - 524031) >> 22;
}
static int floor_log2_pow10(int e) {
    return (e * 1741647) >> 19;
}

/* The upper part of g * c; its lowest bit is set when something below it was lost. */
static uint64_t round_to_odd(struct toc_pow10 g, uint64_t c) {
    u128 low = (u128)g.low * c;
    u128 sum = (u128)g.high * c + (uint64_t)(low >> 64);
    return (uint64_t)(sum >> 64) | ((uint64_t)sum > 1);
}

static struct toc_decimal without_zeros(uint64_t digits, int exponent) {
    while (digits % 100 == 0) {
        digits /= 100;
        exponent += 2;
    }
    if (digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    return (struct toc_decimal){digits, exponent};
}

/* Whole numbers below 2^53 are their own digits. */
static bool is_small_integer(uint64_t c, int q) {
    return q > -MANTISSA_BITS - 1 && q <= 0 && (c & ((1ULL << -q) - 1)) == 0;
}

struct toc_decimal toc_shortest_decimal(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint64_t fraction = bits & ((1ULL << MANTISSA_BITS) - 1);
    int biased = (int)(bits >> MANTISSA_BITS & EXPONENT_MASK);
    uint64_t c = biased ? fraction | 1ULL << MANTISSA_BITS : fraction;
    int q = (biased ? biased : 1) - EXPONENT_BIAS;
    if (is_small_integer(c, q))
        return without_zeros(c >> -q, 0);

    /* Below a power of two the next double is half as far away. */
    bool is_lower_closer = fraction == 0 && biased > 1;
    uint64_t is_odd = c & 1;
    int k = is_lower_closer ? floor_log10_three_quarters_pow2(q) : floor_log10_pow2(q);
    int h = q + floor_log2_pow10(-k) + 1;
    struct toc_pow10 g = toc_pow10_table[-k - TOC_POW10_MIN];
    uint64_t middle = round_to_odd(g, (4 * c) << h);
    /* The ends belong to the interval when the mantissa is even. */
    uint64_t lower = round_to_odd(g, (4 * c - 2 + is_lower_closer) << h) + is_odd;
    uint64_t upper = round_to_odd(g, (4 * c + 2) << h) - is_odd;

    uint64_t s = middle / 4;
    if (s >= 10) { /* one digit less, when exactly one neighbour is inside */
        uint64_t t = s / 10;
        bool is_down = lower <= 40 * t, is_up = 40 * t + 40 <= upper;
        if (is_down != is_up)
            return without_zeros(t + is_up, k + 1);
    }
    bool is_down = lower <= 4 * s, is_up = 4 * s + 4 <= upper;
    if (is_down != is_up)
        return without_zeros(s + is_up, k);
    uint64_t half = 4 * s + 2;
    bool rounds_up = middle > half || (middle == half && (s & 1));
    return without_zeros(s + rounds_up, k);
}
