/*
 * Distances to eight windows at a time. Every lane adds its differences in the order of the
 * dimensions, so both versions give the same bits.
 */
#include <math.h>

#include "detect/half.h"
#include "detect/window_memory_priv.h"

static const double FAR = 1e15; /* its square still is a float */

static inline float as_stored(const struct toc_window_unit *unit, float mean) {
    double v = (double)mean * unit->per_scale - unit->center;
    v = v > FAR ? FAR : v;
    return (float)(v < -FAR ? -FAR : v);
}

struct toc_window_nearest toc_window_search_portable(const struct toc_window_unit *unit,
                                                     float *current, const uint16_t *windows,
                                                     size_t groups, size_t dimensions) {
    for (size_t d = 0; d < dimensions; d++)
        current[d] = as_stored(unit, current[d]);
    struct toc_window_nearest best = {INFINITY, INFINITY};
    for (size_t g = 0; g < groups; g++, windows += dimensions * TOC_WINDOW_LANES) {
        float squared[TOC_WINDOW_LANES] = {0}, absolute[TOC_WINDOW_LANES] = {0};
        for (size_t d = 0; d < dimensions; d++)
            for (size_t l = 0; l < TOC_WINDOW_LANES; l++) {
                float off = current[d] - toc_half_to_float(windows[d * TOC_WINDOW_LANES + l]);
                squared[l] += off * off;
                absolute[l] += fabsf(off);
            }
        for (size_t l = 0; l < TOC_WINDOW_LANES; l++) {
            best.squared = squared[l] < best.squared ? squared[l] : best.squared;
            best.absolute = absolute[l] < best.absolute ? absolute[l] : best.absolute;
        }
    }
    return best;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,f16c")))

TARGET static inline float lowest_lane(__m256 v) {
    __m128 a = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    a = _mm_min_ps(a, _mm_movehl_ps(a, a));
    a = _mm_min_ss(a, _mm_movehdup_ps(a));
    return _mm_cvtss_f32(a);
}

/* The same four at a time. */
TARGET static inline __attribute__((always_inline)) void
store_units(const struct toc_window_unit *unit, float *current, size_t dimensions) {
    const __m256d per_scale = _mm256_set1_pd(unit->per_scale),
                  center = _mm256_set1_pd(unit->center), far = _mm256_set1_pd(FAR);
    size_t d = 0;
#pragma GCC unroll 4
    for (; d + 4 <= dimensions; d += 4) {
        __m256d v = _mm256_cvtps_pd(_mm_loadu_ps(current + d));
        v = _mm256_min_pd(_mm256_sub_pd(_mm256_mul_pd(v, per_scale), center), far);
        v = _mm256_max_pd(v, _mm256_sub_pd(_mm256_setzero_pd(), far));
        _mm_storeu_ps(current + d, _mm256_cvtpd_ps(v));
    }
    for (; d < dimensions; d++)
        current[d] = as_stored(unit, current[d]);
}

/* Inlined, so that a number of dimensions that is known leaves no inner loop. */
TARGET static inline __attribute__((always_inline)) struct toc_window_nearest
search(bool wants_absolute, const struct toc_window_unit *unit, float *current,
       const uint16_t *windows, size_t groups, size_t dimensions) {
    store_units(unit, current, dimensions);
    const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256 best_squared = _mm256_set1_ps(INFINITY), best_absolute = best_squared;
    for (size_t g = 0; g < groups; g++, windows += dimensions * TOC_WINDOW_LANES) {
        __m256 squared = _mm256_setzero_ps(), absolute = squared;
#pragma GCC unroll 16
        for (size_t d = 0; d < dimensions; d++) {
            const void *eight = windows + d * TOC_WINDOW_LANES;
            /* This way round the one that may not fit a register can come from memory. */
            __m256 off = _mm256_sub_ps(_mm256_cvtph_ps(_mm_loadu_si128(eight)),
                                       _mm256_broadcast_ss(current + d));
            squared = _mm256_add_ps(squared, _mm256_mul_ps(off, off));
            if (wants_absolute)
                absolute = _mm256_add_ps(absolute, _mm256_and_ps(off, magnitude));
        }
        best_squared = _mm256_min_ps(best_squared, squared);
        if (wants_absolute)
            best_absolute = _mm256_min_ps(best_absolute, absolute);
    }
    return (struct toc_window_nearest){lowest_lane(best_squared),
                                       wants_absolute ? lowest_lane(best_absolute) : 0};
}

TARGET static struct toc_window_nearest search_both(const struct toc_window_unit *unit,
                                                    float *current, const uint16_t *windows,
                                                    size_t groups, size_t dimensions) {
    return search(true, unit, current, windows, groups, dimensions);
}

/* Without the absolute differences, for those who do not look at them: the windows of a metric. */
TARGET static struct toc_window_nearest search_squared(const struct toc_window_unit *unit,
                                                       float *current, const uint16_t *windows,
                                                       size_t groups, size_t dimensions) {
    if (dimensions == 8)
        return search(false, unit, current, windows, groups, 8);
    if (dimensions == 16)
        return search(false, unit, current, windows, groups, 16);
    return search(false, unit, current, windows, groups, dimensions);
}

toc_window_search *toc_window_search_avx2(bool wants_absolute) {
    bool can = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
    return !can ? NULL : wants_absolute ? search_both : search_squared;
}

#else

toc_window_search *toc_window_search_avx2(bool wants_absolute) {
    (void)wants_absolute;
    return NULL;
}

#endif
