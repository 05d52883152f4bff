/* Shared by the files of the histogram arithmetic. */
#ifndef TOC_MODEL_HISTOGRAM_PRIV_H
#define TOC_MODEL_HISTOGRAM_PRIV_H

#include "model/histogram_math.h"

/* Buckets being made: arrays of the arena with room for `capacity`. */
struct toc_bucket_list {
    int32_t *index;
    double *count;
    size_t size;
};

/* false without memory. */
bool toc_bucket_list_init(struct toc_bucket_list *l, size_t capacity, struct toc_arena *arena);
struct toc_buckets toc_bucket_list_view(const struct toc_bucket_list *l);
/* a + factor·b. */
bool toc_buckets_add(struct toc_buckets a, struct toc_buckets b, double factor,
                     struct toc_arena *arena, struct toc_buckets *out);
/* Exponential buckets `shift` schemas coarser. */
bool toc_buckets_coarsen(struct toc_buckets b, int32_t shift, struct toc_arena *arena,
                         struct toc_buckets *out);
/* Without the exponential buckets that lie within the zero threshold. */
bool toc_buckets_above(struct toc_buckets b, int32_t schema, double threshold,
                       struct toc_arena *arena, struct toc_buckets *out);
/* Custom buckets on the `to` bounds, which are among the `from` bounds. */
bool toc_buckets_rebound(struct toc_buckets b, const double *from, size_t from_count,
                         const double *to, size_t to_count, struct toc_arena *arena,
                         struct toc_buckets *out);
/* Bounds that both have; false without memory. */
bool toc_bounds_intersect(const struct toc_histogram *a, const struct toc_histogram *b,
                          struct toc_arena *arena, const double **out, size_t *out_count);
bool toc_bounds_eq(const struct toc_histogram *a, const struct toc_histogram *b);
/* What a sum's hint is; true when one side says reset and the other says not. */
bool toc_histogram_join_hints(struct toc_histogram *to, const struct toc_histogram *other);
/* toc_histogram_buckets() with the bounds of the schema, whatever the zero bucket covers. */
size_t toc_histogram_layout(const struct toc_histogram *h, struct toc_bucket *out);
/* The bounds of schema 8 between 0.5 and 1; every 2^(8-s)-th is one of schema s. */
extern const double toc_histogram_fractions[256];
/* The zero count for a threshold that is at least as large; *threshold grows where it would cut a
 * populated bucket. */
double toc_zero_count_for(const struct toc_histogram *h, double *threshold);

#endif
