/* Non-cryptographic hashing (xxHash XXH3, 64 bit) and CRC32C. */
#ifndef TOC_BASE_HASH_H
#define TOC_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3-64 of n bytes. Stable across machines and releases, so it may reach disk. */
uint64_t toc_hash64(const void *p, size_t n, uint64_t seed);
struct toc_hash128 {
    uint64_t low, high;
};
/* XXH3-128: two different inputs under a secret seed do not meet by accident. */
struct toc_hash128 toc_hash128(const void *p, size_t n, uint64_t seed);
/* Mixes two hashes, order-dependent. */
static inline uint64_t toc_hash_mix(uint64_t a, uint64_t b) {
    a ^= b + 0x9e3779b97f4a7c15ULL + (a << 6) + (a >> 2);
    a ^= a >> 32;
    return a * 0xd6e8feb86659fd93ULL;
}
/* FNV-1a, 64 bit: the hash by which Prometheus and Alertmanager fingerprint label sets. */
uint64_t toc_fnv1a64(const void *p, size_t n, uint64_t state);
#define TOC_FNV1A64_INIT 14695981039346656037ULL
/* CRC-32C (Castagnoli, RFC 3720 B.4). Start with crc 0; may be chained. SSE4.2 where the CPU has
 * it. */
uint32_t toc_crc32c(uint32_t crc, const void *p, size_t n);

#endif
