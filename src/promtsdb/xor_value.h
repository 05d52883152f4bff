/* Doubles as exclusive or with the one before, as all chunks of Prometheus hold them:
 *   0                                                   the same
 *   10, the bits that had room last time                fits where the last ones lay
 *   11, 5 bits leading zeros, 6 bits width (64 as 0), the bits
 */
#ifndef TOC_PROMTSDB_XOR_VALUE_H
#define TOC_PROMTSDB_XOR_VALUE_H

#include "promtsdb/msb_bits.h"

enum { TOC_XOR_NO_WINDOW = 0xff, TOC_XOR_LEADING_MAX = 31 };

/* The value before, and where the bits of the last difference lay. */
struct toc_xor_value {
    uint64_t bits;
    unsigned leading, trailing;
};

static inline struct toc_xor_value toc_xor_value_make(uint64_t bits) {
    return (struct toc_xor_value){.bits = bits, .leading = TOC_XOR_NO_WINDOW};
}

static inline void toc_xor_put(struct toc_msb_writer *w, struct toc_xor_value *last,
                               uint64_t bits) {
    uint64_t x = bits ^ last->bits;
    last->bits = bits;
    if (!x) {
        toc_msb_put(w, 0, 1);
        return;
    }
    unsigned leading = (unsigned)__builtin_clzll(x), trailing = (unsigned)__builtin_ctzll(x);
    leading = leading > TOC_XOR_LEADING_MAX ? TOC_XOR_LEADING_MAX : leading;
    if (last->leading != TOC_XOR_NO_WINDOW && leading >= last->leading &&
        trailing >= last->trailing) {
        toc_msb_put(w, 2, 2);
    } else {
        last->leading = leading;
        last->trailing = trailing;
        toc_msb_put(w, 3, 2);
        toc_msb_put(w, leading, 5);
        toc_msb_put(w, 64 - leading - trailing, 6); /* of 64 the low six bits: 0 */
    }
    toc_msb_put(w, x >> last->trailing, 64 - last->leading - last->trailing);
}

/* The next value; nonsense sets the reader's error. */
static inline uint64_t toc_xor_get(struct toc_msb_reader *r, struct toc_xor_value *last) {
    if (!toc_msb_get(r, 1))
        return last->bits;
    if (toc_msb_get(r, 1)) {
        unsigned leading = (unsigned)toc_msb_get(r, 5), width = (unsigned)toc_msb_get(r, 6);
        width = width ? width : 64;
        if (leading + width > 64) {
            r->error = r->error ? r->error : TOC_ECORRUPT;
            return 0;
        }
        last->leading = leading;
        last->trailing = 64 - leading - width;
    } else if (last->leading == TOC_XOR_NO_WINDOW) {
        r->error = r->error ? r->error : TOC_ECORRUPT;
        return 0;
    }
    last->bits ^= toc_msb_get(r, 64 - last->leading - last->trailing) << last->trailing;
    return last->bits;
}

#endif
