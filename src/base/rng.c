#include "base/rng.h"

#include <math.h>

#include "base/assert.h"

void toc_rng_seed(struct toc_rng *r, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15ULL;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        r->s[i] = z ^ (z >> 31);
    }
}

static uint64_t rotl(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

uint64_t toc_rng_u64(struct toc_rng *r) {
    uint64_t *s = r->s;
    uint64_t result = rotl(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t toc_rng_below(struct toc_rng *r, uint64_t bound) {
    TOC_ASSERT(bound > 0);
    uint64_t reject_below = (0 - bound) % bound;
    for (;;) {
        uint64_t x = toc_rng_u64(r);
        if (x >= reject_below)
            return x % bound;
    }
}

double toc_rng_unit(struct toc_rng *r) {
    return (double)(toc_rng_u64(r) >> 11) * 0x1.0p-53;
}

double toc_rng_normal(struct toc_rng *r) {
    for (;;) {
        double u = 2 * toc_rng_unit(r) - 1;
        double v = 2 * toc_rng_unit(r) - 1;
        double s = u * u + v * v;
        if (s > 0 && s < 1)
            return u * sqrt(-2 * log(s) / s);
    }
}
