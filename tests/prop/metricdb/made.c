#include "made.h"

#include <float.h>
#include <math.h>

#include "base/attrs.h"
#include "base/buf.h"
#include "metricdb/histogram_code.h"
#include "model/sample.h"

double made_odd_value(struct toc_rng *r) {
    static const double extremes[] = {DBL_MAX, -DBL_MAX, DBL_MIN, 4.9e-324, 9007199254740993.0,
                                      -1e-7,   1e15,     0.1};
    switch (toc_rng_below(r, 12)) {
    case 0:
        return toc_stale_nan();
    case 1:
        return toc_f64_from_bits(0x7ff8000000000000 | toc_rng_below(r, 1000));
    case 2:
        return toc_rng_below(r, 2) ? INFINITY : -INFINITY;
    case 3:
        return toc_rng_below(r, 2) ? -0.0 : toc_f64_from_bits(toc_rng_u64(r));
    case 4:
        return toc_rng_normal(r);
    case 5:
        return extremes[toc_rng_below(r, TOC_ARRAY_LEN(extremes))];
    case 6:
        return (double)toc_rng_below(r, 10000) / 100;
    default:
        return (double)toc_rng_below(r, 50);
    }
}

static struct toc_histogram wide(struct toc_rng *r, struct made_room *room) {
    for (int i = 0; i < MADE_BUCKETS_MAX; i++) {
        room->index[i] = i - MADE_BUCKETS_MAX / 2;
        room->count[i] = (double)(1 + toc_rng_below(r, 5));
    }
    return (struct toc_histogram){.schema = 4,
                                  .positive = {room->index, room->count, MADE_BUCKETS_MAX},
                                  .count = 7,
                                  .sum = toc_rng_normal(r)};
}

struct toc_histogram made_histogram(uint64_t seed, struct made_room *room) {
    struct toc_rng r;
    toc_rng_seed(&r, seed);
    if (seed >= MADE_WIDE)
        return wide(&r, room);
    bool is_float = toc_rng_below(&r, 4) == 0, is_custom = toc_rng_below(&r, 4) == 0;
    static const double bounds[] = {0.1, 1, 2.5, 10};
    struct toc_histogram h = {.schema = is_custom ? TOC_HISTOGRAM_SCHEMA_CUSTOM
                                                  : (int32_t)toc_rng_below(&r, 2),
                              .reset_hint = (enum toc_reset_hint)toc_rng_below(&r, 4)};
    size_t n = toc_rng_below(&r, 6);
    for (size_t i = 0; i < n; i++) {
        int32_t gap = is_custom ? 0 : (int32_t)toc_rng_below(&r, i ? 3 : 9);
        room->index[i] = i ? room->index[i - 1] + 1 + gap : is_custom ? 0 : gap - 4;
        room->count[i] = is_float ? toc_rng_unit(&r) : (double)toc_rng_below(&r, 1000);
    }
    h.positive = (struct toc_buckets){room->index, room->count, n};
    if (is_custom) {
        h.custom_bounds = bounds;
        h.custom_bound_count = TOC_ARRAY_LEN(bounds);
    } else {
        h.negative = (struct toc_buckets){room->index, room->count, n / 2};
        h.zero_threshold = 0.001;
        h.zero_count = (double)toc_rng_below(&r, 10);
    }
    h.count = (double)toc_rng_below(&r, 100000);
    h.sum = toc_rng_below(&r, 8) ? toc_rng_normal(&r) : toc_stale_nan();
    return h;
}

bool made_is_histogram(const struct toc_histogram *h, uint64_t seed) {
    static struct made_room room;
    struct toc_histogram want = made_histogram(seed, &room);
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    do { /* again when a test let an allocation fail right here */
        toc_buf_reset(&a);
        toc_buf_reset(&b);
        toc_histogram_encode(&want, &a);
        toc_histogram_encode(h, &b);
    } while (a.error || b.error);
    bool same = toc_sv_eq(toc_buf_sv(&a), toc_buf_sv(&b));
    toc_buf_fini(&a);
    toc_buf_fini(&b);
    return same;
}
