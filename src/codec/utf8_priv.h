/* One UTF-8 sequence at a time, for the codecs that copy text. */
#ifndef TOC_CODEC_UTF8_PRIV_H
#define TOC_CODEC_UTF8_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"

/* Length (1-4) of the well-formed sequence at s.p[at], 0 when it is ill-formed; fills the code
 * point. */
static inline size_t toc_utf8_read(struct toc_sv s, size_t at, uint32_t *out_rune) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = (uint8_t)s.p[at];
    size_t len = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first > 0xf4 || !len || s.n - at < len)
        return 0;
    uint32_t rune = len == 1 ? first : first & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        uint8_t next = (uint8_t)s.p[at + i];
        if ((next & 0xc0) != 0x80)
            return 0;
        rune = rune << 6 | (next & 0x3f);
    }
    if (rune < least[len] || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000))
        return 0;
    *out_rune = rune;
    return len;
}

/* Writes 1-4 bytes to out, returns how many. The rune must be a scalar value. */
static inline size_t toc_utf8_write(uint32_t rune, char *out) {
    if (rune < 0x80) {
        out[0] = (char)rune;
        return 1;
    }
    size_t len = rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, rune >>= 6)
        out[i] = (char)(0x80 | (rune & 0x3f));
    out[0] = (char)((0xf00U >> len & 0xf0) | rune);
    return len;
}

#endif
