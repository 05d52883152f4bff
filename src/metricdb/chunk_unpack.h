/*
 * Unpacking of bit-packed integers and the running sums over them (chunk_ints.c): the inner loop of
 * every decode. One kernel is portable, one uses AVX2; both give the same values.
 */
#ifndef TOC_METRICDB_CHUNK_UNPACK_H
#define TOC_METRICDB_CHUNK_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"

/* What of a sequence is undone while unpacking: the running sums of `order` differences. */
struct toc_sums {
    uint64_t value, slope;
    unsigned order; /* 0…2 */
};

static inline int64_t toc_sums_add(struct toc_sums *s, uint64_t left) {
    if (s->order == 0)
        return (int64_t)left;
    if (s->order == 2)
        left = s->slope += left;
    return (int64_t)(s->value += left);
}

/*
 * out[i] = running sum of (min + value i) for n values of `width` bits (1…64), least significant
 * bit first. bytes.n ≥ (n * width + 7) / 8. Returns how many values it did: a kernel may leave the
 * last few, those whose neighbours do not lie in `bytes`, to the next one; *s goes on from there.
 */
typedef size_t toc_unpack_kernel(struct toc_sv bytes, unsigned width, uint64_t min,
                                 struct toc_sums *s, int64_t *out, size_t n);

toc_unpack_kernel toc_unpack_portable; /* does all */
/* NULL where the processor or the compiler lacks it. For widths of at most
 * TOC_UNPACK_AVX2_WIDTH_MAX. */
enum { TOC_UNPACK_AVX2_WIDTH_MAX = 28 };
toc_unpack_kernel *toc_unpack_avx2(void);

/* The fastest for this width on this machine; does all. */
toc_unpack_kernel toc_unpack;

#endif
