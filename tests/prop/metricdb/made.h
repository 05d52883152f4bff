/* Samples that follow from a number: floats of every odd kind and native histograms. */
#ifndef TOC_TESTS_METRICDB_MADE_H
#define TOC_TESTS_METRICDB_MADE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "model/histogram.h"

enum { MADE_BUCKETS_MAX = 10000 };

/* Staleness marker, NaN with a payload, infinities, minus zero, extremes, small integers. */
double made_odd_value(struct toc_rng *r);

/* The histogram of a seed; it borrows from *room. Seeds from MADE_WIDE on have 10,000 buckets. */
#define MADE_WIDE UINT64_C(1000000)
struct made_room {
    int32_t index[MADE_BUCKETS_MAX];
    double count[MADE_BUCKETS_MAX];
};
struct toc_histogram made_histogram(uint64_t seed, struct made_room *room);
/* Is it the one of the seed, bit by bit? */
bool made_is_histogram(const struct toc_histogram *h, uint64_t seed);

#endif
