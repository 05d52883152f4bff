/*
 * Arithmetic on the distributions of OTLP: what turns them into native histograms, and what adds a
 * delta to what came before.
 *
 * Bucket i of an exponential histogram of scale s holds (base^i, base^(i+1)], base = 2^(2^-s); that
 * is bucket i+1 of a native histogram of schema s. One scale less merges the buckets 2i and 2i+1.
 * Example: scale 1, offset 2, counts [3, 4] are (2, 2.83] and (2.83, 4]; at scale 0 that is bucket
 * 1, (2, 4], with 7.
 */
#ifndef TOC_REMOTE_OTLP_DISTRIBUTION_H
#define TOC_REMOTE_OTLP_DISTRIBUTION_H

#include "model/histogram.h"
#include "remote/otlp_message.h"

/* Do the buckets fit together: as many counts as bounds and one, bounds that rise? */
bool otlp_explicit_is_valid(const struct otlp_distribution *x);
/* Is the count the sum of the buckets? Of classic ones nobody asks. */
bool otlp_explicit_adds_up(const struct otlp_distribution *x);
/* Is the scale one that becomes a native histogram, and is the count the sum of its parts? */
bool otlp_exponential_is_valid(const struct otlp_distribution *x);

/* As a native histogram in the arena; NULL when it has no room. The distribution is valid. */
struct toc_histogram *otlp_exponential_histogram(const struct otlp_distribution *x,
                                                 struct toc_arena *arena);
struct toc_histogram *otlp_custom_histogram(const struct otlp_distribution *x,
                                            struct toc_arena *arena);

enum { OTLP_SUM_BUCKETS_MAX = 512 }; /* of one side of what is summed up */

/* The sum of two of one kind (explicit with equal bounds, or exponential), as one heap block to be
 * freed with toc_free; `sum` may be NULL: a copy of `x`. NULL: they do not fit together or memory
 * is gone. Exponential ones come down to the scale at which both have few enough buckets. */
struct otlp_distribution *otlp_distribution_add(const struct otlp_distribution *sum,
                                                const struct otlp_distribution *x,
                                                enum otlp_kind kind);
/* Bytes of such a block. */
size_t otlp_distribution_bytes(const struct otlp_distribution *x);
bool otlp_has_equal_bounds(const struct otlp_distribution *a, const struct otlp_distribution *b);

#endif
