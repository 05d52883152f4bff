#include "model/histogram.h"

#include <math.h>
#include <string.h>

#include "model/sample.h"

enum { INDEX_MAX = 1 << 30 };

bool toc_histogram_is_stale(const struct toc_histogram *h) {
    return toc_is_stale_nan(h->sum);
}

static void *dup_array(struct toc_arena *arena, const void *from, size_t count, size_t size) {
    if (!count)
        return NULL;
    void *to = toc_arena_calloc(arena, count, size);
    if (to)
        memcpy(to, from, count * size);
    return to;
}

static struct toc_buckets dup_buckets(struct toc_arena *arena, struct toc_buckets b) {
    return (struct toc_buckets){dup_array(arena, b.index, b.size, sizeof *b.index),
                                dup_array(arena, b.count, b.size, sizeof *b.count), b.size};
}

struct toc_histogram *toc_histogram_dup(const struct toc_histogram *h, struct toc_arena *arena) {
    struct toc_histogram *copy = TOC_ARENA_NEW(arena, struct toc_histogram);
    if (!copy)
        return NULL;
    *copy = *h;
    copy->positive = dup_buckets(arena, h->positive);
    copy->negative = dup_buckets(arena, h->negative);
    copy->custom_bounds =
        dup_array(arena, h->custom_bounds, h->custom_bound_count, sizeof *h->custom_bounds);
    bool is_whole = (!h->positive.size || (copy->positive.index && copy->positive.count)) &&
                    (!h->negative.size || (copy->negative.index && copy->negative.count)) &&
                    (!h->custom_bound_count || copy->custom_bounds);
    return is_whole ? copy : NULL;
}

static int validate_buckets(const char *side, struct toc_buckets b, struct toc_err *err) {
    for (size_t i = 0; i < b.size; i++) {
        if (b.index[i] > INDEX_MAX || b.index[i] < -INDEX_MAX)
            return toc_errf(err, TOC_EINVAL, "%s bucket %d lies outside ±2^30", side, b.index[i]);
        if (i && b.index[i] <= b.index[i - 1])
            return toc_errf(err, TOC_EINVAL, "%s bucket %d follows bucket %d: indexes must rise",
                            side, b.index[i], b.index[i - 1]);
        if (b.count[i] < 0)
            return toc_errf(err, TOC_EINVAL, "%s bucket %d has the negative count %g", side,
                            b.index[i], b.count[i]);
    }
    return 0;
}

static int validate_custom(const struct toc_histogram *h, struct toc_err *err) {
    if (h->negative.size || h->zero_count != 0 || h->zero_threshold != 0)
        return toc_errf(err, TOC_EINVAL,
                        "a histogram with custom buckets has neither negative nor zero buckets");
    for (size_t i = 0; i < h->custom_bound_count; i++)
        if (!isfinite(h->custom_bounds[i]) || (i && h->custom_bounds[i] <= h->custom_bounds[i - 1]))
            return toc_errf(err, TOC_EINVAL,
                            "custom bound %zu (%g) must be finite and above the one before", i,
                            h->custom_bounds[i]);
    for (size_t i = 0; i < h->positive.size; i++)
        if (h->positive.index[i] < 0 || (size_t)h->positive.index[i] > h->custom_bound_count)
            return toc_errf(err, TOC_EINVAL, "bucket %d lies outside the %zu custom bounds",
                            h->positive.index[i], h->custom_bound_count);
    return 0;
}

int toc_histogram_validate(const struct toc_histogram *h, struct toc_err *err) {
    bool is_custom = toc_histogram_is_custom(h);
    if (!is_custom &&
        (h->schema < TOC_HISTOGRAM_SCHEMA_MIN || h->schema > TOC_HISTOGRAM_SCHEMA_MAX))
        return toc_errf(err, TOC_EINVAL, "histogram schema %d is none of -4 to 8 and -53",
                        h->schema);
    if (h->count < 0 || h->zero_count < 0 || h->zero_threshold < 0)
        return toc_errf(err, TOC_EINVAL,
                        "count, zero count and zero threshold of a histogram are never negative");
    int rc = validate_buckets("positive", h->positive, err);
    if (rc == 0)
        rc = validate_buckets("negative", h->negative, err);
    if (rc == 0 && is_custom)
        rc = validate_custom(h, err);
    return rc;
}
