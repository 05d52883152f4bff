/* Ranks and walks of the ranked forest with AVX-512BW, 32 rows per vector. */
#include "detect/iforest_ranked.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw")))
#define AVX512_INLINE AVX512 static inline __attribute__((always_inline))

enum { LANES = 32, VECTORS = TOC_RANKED_LEAVES / LANES };

/* ---- ranks ---- */

/* How many thresholds lie below each of sixteen values: five levels in registers, the rest by
 * gathering. */
AVX512_INLINE __m512i count_below(const struct toc_ranked_column *c, const float *thresholds,
                                  __m512 x) {
    const __m512i one = _mm512_set1_epi32(1);
    __m512 low = _mm512_loadu_ps(c->pivots), high = _mm512_loadu_ps(c->pivots + 16);
    __m512i heap = one;
    for (int level = 0; level < TOC_RANKED_PIVOT_LEVELS; level++) {
        __mmask16 above =
            _mm512_cmp_ps_mask(x, _mm512_permutex2var_ps(low, heap, high), _CMP_GT_OQ);
        heap = _mm512_add_epi32(heap, heap);
        heap = _mm512_mask_add_epi32(heap, above, heap, one);
    }
    unsigned left = c->levels - TOC_RANKED_PIVOT_LEVELS;
    __m512i at = _mm512_sub_epi32(heap, _mm512_set1_epi32(TOC_RANKED_PIVOTS));
    at = _mm512_sll_epi32(at, _mm_cvtsi32_si128((int)left));
    for (int step = (1 << left) >> 1; step > 0; step >>= 1) {
        __m512i probe = _mm512_add_epi32(at, _mm512_set1_epi32(step - 1));
        __m512 t = _mm512_i32gather_ps(probe, thresholds, 4);
        at = _mm512_mask_add_epi32(at, _mm512_cmp_ps_mask(x, t, _CMP_GT_OQ), at,
                                   _mm512_set1_epi32(step));
    }
    return at;
}

AVX512_INLINE void rank_columns(const struct toc_iforest_ranked *r,
                                const struct toc_ranked_group *g, const float *x, uint16_t *out) {
    for (size_t c = 0; c < r->columns; c++) {
        const struct toc_ranked_column *column = &g->columns[c];
        const float *thresholds = r->thresholds + column->first;
        const __m512i tag = _mm512_set1_epi32((int)(c << (16 - r->column_bits)));
        for (size_t i = 0; i < TOC_RANKED_BLOCK; i += 16) {
            __m512i rank =
                count_below(column, thresholds, _mm512_loadu_ps(x + c * TOC_RANKED_BLOCK + i));
            _mm256_storeu_si256((__m256i *)(out + c * TOC_RANKED_BLOCK + i),
                                _mm512_cvtepi32_epi16(_mm512_or_si512(rank, tag)));
        }
    }
}

/* ---- walk ---- */

/* Each lane's word of the column that its node names: halves the candidates by one bit at a time.
 */
AVX512_INLINE __m512i select_value(const uint16_t *x, __m512i node, const int bits) {
    __m512i v[1 << 5];
    for (int i = 0; i < 1 << bits; i++)
        v[i] = _mm512_loadu_si512(x + i * TOC_RANKED_BLOCK);
#pragma GCC unroll 5
    for (int b = 0; b < bits; b++) {
        __mmask32 odd =
            _mm512_test_epi16_mask(node, _mm512_set1_epi16((short)(1 << (16 - bits + b))));
#pragma GCC unroll 16
        for (int i = 0; i < 1 << (bits - b - 1); i++)
            v[i] = _mm512_mask_blend_epi16(odd, v[2 * i], v[2 * i + 1]);
    }
    return v[0];
}

AVX512_INLINE __m512i pick64(const __m512i *v, __m512i at) {
    return _mm512_permutex2var_epi16(v[0], at, v[1]);
}

/* Words 0…127 of four vectors by the low seven bits. */
AVX512_INLINE __m512i pick128(const __m512i *v, __m512i at) {
    __mmask32 upper = _mm512_test_epi16_mask(at, _mm512_set1_epi16(64));
    return _mm512_mask_blend_epi16(upper, pick64(v, at), pick64(v + 2, at));
}

AVX512_INLINE __m512i pick256(const uint16_t *words, __m512i at) {
    __m512i v[VECTORS];
    for (int i = 0; i < VECTORS; i++)
        v[i] = _mm512_loadu_si512(words + i * LANES);
    __mmask32 upper = _mm512_test_epi16_mask(at, _mm512_set1_epi16(128));
    return _mm512_mask_blend_epi16(upper, pick128(v, at), pick128(v + 4, at));
}

AVX512_INLINE __m512i step(const uint16_t *x, __m512i node, __m512i heap, const int bits) {
    __mmask32 above = _mm512_cmpgt_epu16_mask(select_value(x, node, bits), node);
    heap = _mm512_add_epi16(heap, heap);
    return _mm512_mask_add_epi16(heap, above, heap, _mm512_set1_epi16(1));
}

/* Sums of even and odd lanes as 32-bit numbers, low words and high words apart. */
struct lane_sums {
    uint32_t low[2][16], high[2][16];
};

AVX512_INLINE void add_words(uint32_t (*sum)[16], __m512i words) {
    __m512i even = _mm512_and_si512(words, _mm512_set1_epi32(0xffff));
    __m512i odd = _mm512_srli_epi32(words, 16);
    _mm512_storeu_si512(sum[0], _mm512_add_epi32(_mm512_loadu_si512(sum[0]), even));
    _mm512_storeu_si512(sum[1], _mm512_add_epi32(_mm512_loadu_si512(sum[1]), odd));
}

AVX512_INLINE void walk_tree(const uint16_t *tree, const uint16_t *x, const int bits,
                             struct lane_sums *sums) {
    __m512i v[VECTORS];
    for (int i = 0; i < VECTORS; i++)
        v[i] = _mm512_load_si512(tree + i * LANES);
    for (size_t k = 0; k < TOC_RANKED_BLOCK / LANES; k++) {
        const uint16_t *lanes = x + k * LANES;
        __m512i heap = _mm512_set1_epi16(1);
#pragma GCC unroll 5
        for (int level = 0; level < 5; level++)
            heap = step(lanes, _mm512_permutexvar_epi16(heap, v[0]), heap, bits);
        heap = step(lanes, _mm512_permutexvar_epi16(heap, v[1]), heap, bits);
        heap = step(lanes, pick64(v + 2, heap), heap, bits);
        heap = step(lanes, pick128(v + 4, heap), heap, bits);
        add_words(sums[k].low, pick256(tree + TOC_RANKED_LEAVES, heap));
        add_words(sums[k].high, pick256(tree + 2 * TOC_RANKED_LEAVES, heap));
    }
}

#define WALK(bits)                                                                        \
    AVX512 static void walk_##bits(const uint16_t *tree, size_t count, const uint16_t *x, \
                                   struct lane_sums *sums) {                              \
        for (size_t t = 0; t < count; t++)                                                \
            walk_tree(tree + t * TOC_RANKED_TREE_WORDS, x, bits, sums);                   \
    }
WALK(0)
WALK(1)
WALK(2)
WALK(3)
WALK(4)
WALK(5)
#undef WALK

typedef void walk_trees(const uint16_t *tree, size_t count, const uint16_t *x,
                        struct lane_sums *sums);
static walk_trees *const g_walks[] = {walk_0, walk_1, walk_2, walk_3, walk_4, walk_5};

static void spread_sums(const struct lane_sums *sums, uint64_t *out) {
    for (size_t i = 0; i < TOC_RANKED_BLOCK; i++) {
        const struct lane_sums *s = &sums[i / LANES];
        size_t lane = i % LANES;
        out[i] += s->low[lane % 2][lane / 2] + ((uint64_t)s->high[lane % 2][lane / 2] << 16);
    }
}

AVX512 void toc_iforest_walk_avx512(const struct toc_iforest_ranked *r, const float *x,
                                    uint64_t *sum) {
    uint16_t ranks[TOC_RANKED_COLUMNS_MAX * TOC_RANKED_BLOCK];
    /* Columns up to the next power of two are looked at, but never chosen where it matters. */
    for (size_t i = r->columns * TOC_RANKED_BLOCK; i < (size_t)TOC_RANKED_BLOCK << r->column_bits;
         i++)
        ranks[i] = 0;
    for (size_t k = 0; k < r->group_count; k++) {
        const struct toc_ranked_group *g = &r->groups[k];
        struct lane_sums sums[TOC_RANKED_BLOCK / LANES] = {0};
        rank_columns(r, g, x, ranks);
        g_walks[r->column_bits](r->trees + (size_t)g->first_tree * TOC_RANKED_TREE_WORDS,
                                g->tree_count, ranks, sums);
        spread_sums(sums, sum);
    }
}

bool toc_iforest_has_avx512(void) {
    return __builtin_cpu_supports("avx512bw") != 0;
}

#else

void toc_iforest_walk_avx512(const struct toc_iforest_ranked *r, const float *x, uint64_t *sum) {
    (void)r;
    (void)x;
    (void)sum;
}

bool toc_iforest_has_avx512(void) {
    return false;
}

#endif
