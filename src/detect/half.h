/*
 * IEEE 754 binary16 and back, round to nearest even: the same bits as the F16C instructions, so
 * that states made with and without them agree.
 */
#ifndef TOC_DETECT_HALF_H
#define TOC_DETECT_HALF_H

#include <stdint.h>
#include <string.h>

#define TOC_HALF_INFINITY ((uint16_t)0x7c00)
#define TOC_HALF_MAX 65504.0f

static inline uint16_t toc_half_from_float(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x47800000) /* 65536 and above, infinity, NaN */
        return (uint16_t)(sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00));
    if (magnitude < 0x38800000) { /* subnormal: the sum's own rounding places the bits */
        float half_ulps;
        memcpy(&half_ulps, &magnitude, sizeof half_ulps);
        half_ulps += 0.5f;
        uint32_t rounded;
        memcpy(&rounded, &half_ulps, sizeof rounded);
        return (uint16_t)(sign | (rounded - 0x3f000000));
    }
    uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | ((magnitude - 0x38000000 + 0xfff + odd) >> 13));
}

static inline float toc_half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = (uint32_t)(h & 0x7fff) << 13, bits;
    float v;
    if (magnitude >= 0x0f800000) /* infinity, NaN */
        bits = sign | (magnitude + 0x70000000);
    else { /* exponents of both kinds by one multiplication, exact also for subnormals */
        static const uint32_t scale_bits = 0x77800000; /* 2^112 */
        float scale;
        memcpy(&v, &magnitude, sizeof v);
        memcpy(&scale, &scale_bits, sizeof scale);
        v *= scale;
        memcpy(&bits, &v, sizeof bits);
        bits |= sign;
    }
    memcpy(&v, &bits, sizeof v);
    return v;
}

#endif
