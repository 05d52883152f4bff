/*
 * The same walk with AVX2: eight rows per vector, four vectors per tree in flight. Per level and
 * vector three gathers (threshold, link, value); threshold and link share a cache line.
 */
#include "detect/iforest_priv.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { LANES = 8 };

__attribute__((target("avx2"))) static inline __m256i
step(const struct toc_iforest_node *nodes, const float *x, __m256i at, __m256i lane) {
    const __m256i feature_mask = _mm256_set1_epi32(TOC_IFOREST_FEATURE_MASK);
    __m256 threshold = _mm256_i32gather_ps(&nodes->threshold, at, 8);
    __m256i link = _mm256_i32gather_epi32((const int *)&nodes->link, at, 8);
    /* value index = feature * 32 + lane */
    __m256i index = _mm256_slli_epi32(_mm256_and_si256(link, feature_mask), 5);
    __m256 value = _mm256_i32gather_ps(x, _mm256_add_epi32(index, lane), 4);
    __m256i child = _mm256_srli_epi32(link, TOC_IFOREST_FEATURE_BITS);
    __m256i is_right = _mm256_castps_si256(_mm256_cmp_ps(value, threshold, _CMP_GT_OQ));
    return _mm256_sub_epi32(child, is_right); /* true is -1 */
}

__attribute__((target("avx2"))) static inline void add_path(const float *path, __m256i at,
                                                            double *sum) {
    __m256 length = _mm256_i32gather_ps(path, at, 4);
    __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(length));
    __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(length, 1));
    _mm256_storeu_pd(sum, _mm256_add_pd(_mm256_loadu_pd(sum), low));
    _mm256_storeu_pd(sum + 4, _mm256_add_pd(_mm256_loadu_pd(sum + 4), high));
}

__attribute__((target("avx2"))) static void walk(const struct toc_iforest *f, const float *x,
                                                 double *sum) {
    _Static_assert(TOC_IFOREST_BLOCK == 32, "shift by five");
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (size_t t = 0; t < f->tree_count; t++) {
        const struct toc_iforest_tree *tree = &f->trees[t];
        const struct toc_iforest_node *nodes = f->nodes + tree->first;
        __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
        for (uint32_t level = 0; level < tree->depth; level++) {
            a = step(nodes, x, a, lanes);
            b = step(nodes, x + LANES, b, lanes);
            c = step(nodes, x + 2 * LANES, c, lanes);
            d = step(nodes, x + 3 * LANES, d, lanes);
        }
        const float *path = f->path + tree->first;
        add_path(path, a, sum);
        add_path(path, b, sum + LANES);
        add_path(path, c, sum + 2 * LANES);
        add_path(path, d, sum + 3 * LANES);
    }
}

toc_iforest_walk *toc_iforest_walk_avx2(void) {
    return __builtin_cpu_supports("avx2") ? walk : NULL;
}

#else

toc_iforest_walk *toc_iforest_walk_avx2(void) {
    return NULL;
}

#endif
