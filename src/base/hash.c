#include "base/hash.h"

#include <string.h>
#include <xxhash.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

uint64_t toc_hash64(const void *p, size_t n, uint64_t seed) {
    return XXH3_64bits_withSeed(p ? p : "", n, seed);
}

struct toc_hash128 toc_hash128(const void *p, size_t n, uint64_t seed) {
    XXH128_hash_t h = XXH3_128bits_withSeed(p ? p : "", n, seed);
    return (struct toc_hash128){h.low64, h.high64};
}

uint64_t toc_fnv1a64(const void *p, size_t n, uint64_t state) {
    const unsigned char *bytes = p;
    for (size_t i = 0; i < n; i++)
        state = (state ^ bytes[i]) * 1099511628211ULL;
    return state;
}

/* One byte at a time with the reflected polynomial 0x82f63b78. */
static uint32_t crc32c_portable(uint32_t crc, const unsigned char *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0x82f63b78U & (0U - (crc & 1U)));
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const unsigned char *p,
                                                               size_t n) {
    uint64_t wide = crc;
    while (n >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = _mm_crc32_u64(wide, word);
        p += 8;
        n -= 8;
    }
    crc = (uint32_t)wide;
    while (n--)
        crc = _mm_crc32_u8(crc, *p++);
    return crc;
}
#endif

uint32_t toc_crc32c(uint32_t crc, const void *p, size_t n) {
    crc = ~crc;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc32c_sse42(crc, p, n);
#endif
    return ~crc32c_portable(crc, p, n);
}
