#include "base/decimal_read_priv.h"

#include <string.h>

#include "base/float_digits_priv.h"

typedef unsigned __int128 u128;

enum { POW10_MAX = 324, MANTISSA_BITS = 52, EXPONENT_BIAS = 1075 };

/* Powers of ten that are exact in a double. */
static const double exact_pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { EXACT_MAX = 22 };

/* Clinger's fast path: both factors are exact, so one operation rounds once. */
static bool read_exact(uint64_t digits, int exponent, double *out) {
    if (digits >> 53 || exponent < -EXACT_MAX || exponent > EXACT_MAX)
        return false;
    *out = exponent < 0 ? (double)digits / exact_pow10[-exponent]
                        : (double)digits * exact_pow10[exponent];
    return true;
}

static int floor_log2_pow10(int e) {
    return (e * 1741647) >> 19;
}

/* Bits below the mantissa: 1 up, 0 down, -1 open. The product is too large by less than two units
 * of its last bit. */
static int rounding(u128 rest, u128 half) {
    enum { ERROR = 2 };
    if (rest <= ERROR || (rest + ERROR >= half && rest <= half + ERROR))
        return -1;
    return rest > half;
}

bool toc_decimal_read(uint64_t digits, int exponent, double *out) {
    if (!digits || read_exact(digits, exponent, out)) {
        *out = digits ? *out : 0;
        return true;
    }
    if (exponent < TOC_POW10_MIN || exponent > POW10_MAX)
        return false;
    int shift = __builtin_clzll(digits);
    uint64_t w = digits << shift;
    struct toc_pow10 g = toc_pow10_table[exponent - TOC_POW10_MIN];
    u128 product = (u128)g.high * w + (uint64_t)((u128)g.low * w >> 64);
    int leading = __builtin_clzll((uint64_t)(product >> 64));
    int dropped = 127 - leading - MANTISSA_BITS;
    uint64_t mantissa = (uint64_t)(product >> dropped);
    int up = rounding(product & (((u128)1 << dropped) - 1), (u128)1 << (dropped - 1));
    /* The table holds g = 10^k / 2^(floor(log2 10^k) - 127). */
    int biased = dropped + 64 - shift + floor_log2_pow10(exponent) - 127 + EXPONENT_BIAS;
    if (up < 0 || biased <= 0 || biased >= 0x7fe)
        return false;
    uint64_t bits =
        ((uint64_t)biased << MANTISSA_BITS) + (mantissa - (1ULL << MANTISSA_BITS)) + (uint64_t)up;
    memcpy(out, &bits, sizeof bits);
    return true;
}
