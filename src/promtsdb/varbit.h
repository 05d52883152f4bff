/* Integers of few bits when they are small, as histogram chunks hold them: n ones and a zero, then
 * 0, 3, 6, 9, 12, 18, 25 or 56 bits; eight ones, then 64. */
#ifndef TOC_PROMTSDB_VARBIT_H
#define TOC_PROMTSDB_VARBIT_H

#include "promtsdb/msb_bits.h"

enum { TOC_VARBIT_CLASSES = 9 };
static const uint8_t toc_varbit_widths[TOC_VARBIT_CLASSES] = {0, 3, 6, 9, 12, 18, 25, 56, 64};

static inline void toc_varbit_put_class(struct toc_msb_writer *w, unsigned class, uint64_t v) {
    if (class == TOC_VARBIT_CLASSES - 1)
        toc_msb_put(w, 0xff, 8);
    else
        toc_msb_put(w, (1u << (class + 1)) - 2, class + 1);
    toc_msb_put(w, v, toc_varbit_widths[class]);
}

static inline void toc_varbit_put_uint(struct toc_msb_writer *w, uint64_t v) {
    unsigned class = 0;
    while (class < TOC_VARBIT_CLASSES - 1 && v >> toc_varbit_widths[class])
        class ++;
    toc_varbit_put_class(w, class, v);
}

/* A class of b bits holds -(2^(b-1) - 1) … 2^(b-1). */
static inline void toc_varbit_put_int(struct toc_msb_writer *w, int64_t v) {
    unsigned class = v != 0;
    for (; v && class < TOC_VARBIT_CLASSES - 1; class ++) {
        int64_t most = (int64_t)1 << (toc_varbit_widths[class] - 1);
        if (v > -most && v <= most)
            break;
    }
    toc_varbit_put_class(w, class, (uint64_t)v);
}

static inline unsigned toc_varbit_get_width(struct toc_msb_reader *r) {
    unsigned class = 0;
    while (class < TOC_VARBIT_CLASSES - 1 && toc_msb_get(r, 1))
        class ++;
    return toc_varbit_widths[class];
}

static inline uint64_t toc_varbit_get_uint(struct toc_msb_reader *r) {
    return toc_msb_get(r, toc_varbit_get_width(r));
}

static inline int64_t toc_varbit_get_int(struct toc_msb_reader *r) {
    unsigned width = toc_varbit_get_width(r);
    uint64_t v = toc_msb_get(r, width);
    if (width && width < 64 && v > 1ULL << (width - 1))
        v -= 1ULL << width;
    return (int64_t)v;
}

#endif
