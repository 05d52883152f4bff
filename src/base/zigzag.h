/* Signed numbers as unsigned ones that are small when the number is near zero: 0, -1, 1, -2, … are
 * 0, 1, 2, 3, … */
#ifndef TOC_BASE_ZIGZAG_H
#define TOC_BASE_ZIGZAG_H

#include <stdint.h>

static inline uint64_t toc_zigzag(int64_t v) {
    return ((uint64_t)v << 1) ^ (0 - (uint64_t)(v < 0));
}

static inline int64_t toc_unzigzag(uint64_t u) {
    return (int64_t)((u >> 1) ^ (0 - (u & 1)));
}

#endif
