/* Seeded pseudo-random numbers (xoshiro256++, Blackman and Vigna 2019, seeded by splitmix64). Not
 * for secrets. */
#ifndef TOC_BASE_RNG_H
#define TOC_BASE_RNG_H

#include <stdint.h>

struct toc_rng {
    uint64_t s[4];
};

void toc_rng_seed(struct toc_rng *r, uint64_t seed);
uint64_t toc_rng_u64(struct toc_rng *r);
/* Uniform in [0, bound), unbiased; bound must be > 0. */
uint64_t toc_rng_below(struct toc_rng *r, uint64_t bound);
/* Uniform in [0, 1) with 53 bits. */
double toc_rng_unit(struct toc_rng *r);
/* Standard normal (polar method). */
double toc_rng_normal(struct toc_rng *r);

#endif
