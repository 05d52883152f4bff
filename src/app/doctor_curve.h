/*
 * A curve of bounded size: at most TOC_CURVE_BUCKETS buckets of equal width; when time runs out of
 * them, neighbours are merged and the width doubles. Nothing of the extremes is lost.
 */
#ifndef TOC_APP_DOCTOR_CURVE_H
#define TOC_APP_DOCTOR_CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

enum { TOC_CURVE_BUCKETS = 512 };

struct toc_curve_bucket {
    double min, max, sum, last; /* of finite values; last: of any */
    uint32_t count;             /* finite values */
    uint32_t nonfinite;
};

struct toc_curve {
    int64_t start_ms, width_ms; /* width 0: empty */
    size_t latest;              /* bucket of the last sample, */
    int64_t latest_ms;          /* and where it begins; INT64_MIN: unknown */
    struct {
        TOC_VEC_FIELDS(struct toc_curve_bucket)
    } buckets;
};

/* A sample before the first bucket counts as of the first. */
void toc_curve_add(struct toc_curve *c, int64_t t_ms, double value);
void toc_curve_fini(struct toc_curve *c);

/* Over all buckets; NaN without a finite value. */
struct toc_curve_range {
    double min, max, last; /* last may be non-finite */
    uint64_t count, nonfinite;
};
struct toc_curve_range toc_curve_range(const struct toc_curve *c);
/* The last value at or before the time, NaN when there is none. */
double toc_curve_at(const struct toc_curve *c, int64_t t_ms);

#endif
