/*
 * Eight values at a time: they take `width` whole bytes, so where each one lies in them is the same
 * in every group. Two loads of 16 bytes, a byte shuffle and a shift per lane bring four values each
 * into 64-bit lanes; sums run over the lanes by shifted additions.
 */
#include "metricdb/chunk_unpack.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "base/attrs.h"

#define AVX2 __attribute__((target("avx2")))

enum { GROUP = 8, LANES = 4, LOAD_BYTES = 16 };

/* Where four neighbouring values lie: from byte `at` of the group on. */
struct half {
    size_t at;
    __m256i bytes;  /* which of 16 go where */
    __m256i shifts; /* then, of each lane */
};

AVX2 static struct half find_half(unsigned width, unsigned first) {
    uint8_t bytes[LANES * 8];
    int64_t shifts[LANES];
    unsigned phase = first * width % 8;
    for (unsigned j = 0; j < LANES; j++) {
        unsigned bit = phase + j * width;
        for (unsigned k = 0; k < 8; k++)
            bytes[j * 8 + k] = bit / 8 + k < LOAD_BYTES ? (uint8_t)(bit / 8 + k) : 0x80;
        shifts[j] = bit % 8;
    }
    return (struct half){first * width / 8, _mm256_loadu_si256((const __m256i *)bytes),
                         _mm256_loadu_si256((const __m256i *)shifts)};
}

AVX2 static inline __m256i load_half(const char *group, const struct half *h, __m256i mask) {
    __m128i raw = _mm_loadu_si128((const __m128i *)(group + h->at));
    __m256i lanes = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(raw), h->bytes);
    return _mm256_and_si256(_mm256_srlv_epi64(lanes, h->shifts), mask);
}

/* x[j] = *carry + x[0] + … + x[j]; the carry, the same in all lanes, becomes the last of them. */
AVX2 static inline __m256i run(__m256i x, __m256i *carry) {
    __m256i one = _mm256_blend_epi32(_mm256_permute4x64_epi64(x, 0x90), _mm256_setzero_si256(), 3);
    x = _mm256_add_epi64(x, one);
    x = _mm256_add_epi64(x, _mm256_permute2x128_si256(x, x, 0x08));
    __m256i total = _mm256_permute4x64_epi64(x, 0xff);
    x = _mm256_add_epi64(x, *carry);
    *carry = _mm256_add_epi64(*carry, total);
    return x;
}

struct plan {
    unsigned width;
    __m256i mask, lowest;
    struct half halves[2];
};
struct carry {
    __m256i value, slope;
};

/* Groups for as long as every load lies in `bytes`; the number of values. */
AVX2 static inline __attribute__((always_inline)) size_t
unpack_some(struct toc_sv bytes, const struct plan *plan, struct carry *carry, unsigned order,
            int64_t *out, size_t n) {
    size_t i = 0, reach = plan->halves[1].at + LOAD_BYTES;
    for (size_t at = 0; i + GROUP <= n && at + reach <= bytes.n; i += GROUP, at += plan->width) {
        for (unsigned h = 0; h < 2; h++) {
            __m256i x = load_half(bytes.p + at, &plan->halves[h], plan->mask);
            x = _mm256_add_epi64(x, plan->lowest);
            x = order == 2 ? run(x, &carry->slope) : x;
            x = order ? run(x, &carry->value) : x;
            _mm256_storeu_si256((__m256i *)(out + i + h * LANES), x);
        }
    }
    return i;
}

/* The last bytes are copied to where what follows them may be read. */
enum { TAIL_BYTES = 64 };

AVX2 static inline __attribute__((always_inline)) size_t unpack(struct toc_sv bytes, unsigned width,
                                                                uint64_t min, struct toc_sums *s,
                                                                unsigned order, int64_t *out,
                                                                size_t n) {
    const struct plan plan = {width,
                              _mm256_set1_epi64x((1LL << width) - 1),
                              _mm256_set1_epi64x((int64_t)min),
                              {find_half(width, 0), find_half(width, LANES)}};
    struct carry carry = {_mm256_set1_epi64x((int64_t)s->value),
                          _mm256_set1_epi64x((int64_t)s->slope)};
    char tail[TAIL_BYTES] = {0};
    size_t i = unpack_some(bytes, &plan, &carry, order, out, n), skip = i * width / 8;
    memcpy(tail, bytes.p + skip, TOC_MIN(bytes.n - skip, (size_t)TAIL_BYTES / 2));
    i += unpack_some((struct toc_sv){tail, sizeof tail}, &plan, &carry, order, out + i, n - i);
    s->value = (uint64_t)_mm256_extract_epi64(carry.value, 0);
    s->slope = (uint64_t)_mm256_extract_epi64(carry.slope, 0);
    return i;
}

AVX2 static size_t unpack_groups(struct toc_sv bytes, unsigned width, uint64_t min,
                                 struct toc_sums *s, int64_t *out, size_t n) {
    if (s->order == 0)
        return unpack(bytes, width, min, s, 0, out, n);
    return s->order == 1 ? unpack(bytes, width, min, s, 1, out, n)
                         : unpack(bytes, width, min, s, 2, out, n);
}

toc_unpack_kernel *toc_unpack_avx2(void) {
    return __builtin_cpu_supports("avx2") ? unpack_groups : NULL;
}

#else

toc_unpack_kernel *toc_unpack_avx2(void) {
    return NULL;
}

#endif
