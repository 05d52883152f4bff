/*
 * Logarithm to base 2 from the bits of a float: exponent plus a polynomial of the mantissa, error
 * below 1e-4, rising, the same bits on every machine. For scores, whose order matters and whose
 * fifth digit does not. v is finite and at least 2^-126.
 */
#ifndef TOC_DETECT_QUICK_LOG_H
#define TOC_DETECT_QUICK_LOG_H

#include <stdint.h>
#include <string.h>

static inline float toc_quick_log2(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    int32_t exponent = (int32_t)(bits >> 23) - 127;
    bits = (bits & 0x7fffff) | 0x3f800000;
    float m;
    memcpy(&m, &bits, sizeof m);
    /* log2 m = (m - 1) q(m) on [1, 2), so that whole powers of two are exact */
    float q =
        2.88967089f + m * (-2.52459144f + m * (1.48508563f + m * (-0.46749499f + m * 0.05994559f)));
    return (float)exponent + (m - 1) * q;
}

/* log(1 + v), v at least 0. */
static inline float toc_quick_log1p(float v) {
    return v < 1e-3f ? v - v * v / 2 : toc_quick_log2(1 + v) * 0.69314718f;
}

#endif
