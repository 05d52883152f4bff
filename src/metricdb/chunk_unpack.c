#include "metricdb/chunk_unpack.h"

#include <string.h>

#include "metricdb/bits.h"

static inline uint64_t word_at(const uint8_t *p, size_t bit) {
    uint64_t word;
    memcpy(&word, p + bit / 8, 8);
    return word >> (bit % 8);
}

/* Values whose eight bytes can be loaded at once; the last few are read bit by bit. `order` is
 * s->order as a constant, so that the sums cost nothing where there are none. */
static inline __attribute__((always_inline)) void unpack(struct toc_sv bytes, unsigned width,
                                                         uint64_t min, struct toc_sums *sums,
                                                         unsigned order, int64_t *out, size_t n) {
    const uint8_t *p = (const uint8_t *)bytes.p;
    const uint64_t mask = (1ULL << (width & 63)) - 1;
    size_t fast = width <= 56 && bytes.n >= 8 ? (bytes.n - 8) * 8 / width + 1 : 0;
    size_t i = 0, bit = 0;
    struct toc_sums s = {sums->value, sums->slope, order};
    fast = fast < n ? fast : n;
    for (; i + 4 <= fast; i += 4, bit += 4 * (size_t)width) {
        uint64_t a = word_at(p, bit), b = word_at(p, bit + width), c = word_at(p, bit + 2 * width),
                 d = word_at(p, bit + 3 * width);
        out[i] = toc_sums_add(&s, min + (a & mask));
        out[i + 1] = toc_sums_add(&s, min + (b & mask));
        out[i + 2] = toc_sums_add(&s, min + (c & mask));
        out[i + 3] = toc_sums_add(&s, min + (d & mask));
    }
    for (; i < fast; i++, bit += width)
        out[i] = toc_sums_add(&s, min + (word_at(p, bit) & mask));
    struct toc_bit_reader b = {.p = p, .n = bytes.n, .at = bit};
    for (; i < n; i++)
        out[i] = toc_sums_add(&s, min + toc_bits_get(&b, width));
    *sums = s;
}

size_t toc_unpack_portable(struct toc_sv bytes, unsigned width, uint64_t min, struct toc_sums *s,
                           int64_t *out, size_t n) {
    if (s->order == 0)
        unpack(bytes, width, min, s, 0, out, n);
    else if (s->order == 1)
        unpack(bytes, width, min, s, 1, out, n);
    else
        unpack(bytes, width, min, s, 2, out, n);
    return n;
}

size_t toc_unpack(struct toc_sv bytes, unsigned width, uint64_t min, struct toc_sums *s,
                  int64_t *out, size_t n) {
    size_t done = 0;
    toc_unpack_kernel *fast = width <= TOC_UNPACK_AVX2_WIDTH_MAX ? toc_unpack_avx2() : NULL;
    if (fast)
        done = fast(bytes, width, min, s, out, n); /* a multiple of eight: whole bytes */
    size_t skip = done * width / 8;
    toc_unpack_portable((struct toc_sv){bytes.p + skip, bytes.n - skip}, width, min, s, out + done,
                        n - done);
    return n;
}
