/* Buckets: bounds, merging, changing resolution. */
#include <math.h>
#include <string.h>

#include "model/histogram_priv.h"

bool toc_bucket_list_init(struct toc_bucket_list *l, size_t capacity, struct toc_arena *arena) {
    l->size = 0;
    l->index = toc_arena_calloc(arena, capacity + 1, sizeof *l->index);
    l->count = toc_arena_calloc(arena, capacity + 1, sizeof *l->count);
    return l->index && l->count;
}

struct toc_buckets toc_bucket_list_view(const struct toc_bucket_list *l) {
    return (struct toc_buckets){l->index, l->count, l->size};
}

static void push(struct toc_bucket_list *l, int32_t index, double count) {
    if (l->size && l->index[l->size - 1] == index) {
        l->count[l->size - 1] += count;
        return;
    }
    l->index[l->size] = index;
    l->count[l->size++] = count;
}

bool toc_buckets_add(struct toc_buckets a, struct toc_buckets b, double factor,
                     struct toc_arena *arena, struct toc_buckets *out) {
    struct toc_bucket_list l;
    if (!toc_bucket_list_init(&l, a.size + b.size, arena))
        return false;
    size_t i = 0, k = 0;
    while (i < a.size || k < b.size) {
        bool takes_a = k == b.size || (i < a.size && a.index[i] <= b.index[k]);
        if (takes_a) {
            push(&l, a.index[i], a.count[i]);
            i++;
        } else {
            push(&l, b.index[k], factor * b.count[k]);
            k++;
        }
    }
    *out = toc_bucket_list_view(&l);
    return true;
}

bool toc_buckets_coarsen(struct toc_buckets b, int32_t shift, struct toc_arena *arena,
                         struct toc_buckets *out) {
    struct toc_bucket_list l;
    if (shift <= 0) {
        *out = b;
        return true;
    }
    if (!toc_bucket_list_init(&l, b.size, arena))
        return false;
    for (size_t i = 0; i < b.size; i++)
        push(&l, ((b.index[i] - 1) >> shift) + 1, b.count[i]);
    *out = toc_bucket_list_view(&l);
    return true;
}

bool toc_buckets_above(struct toc_buckets b, int32_t schema, double threshold,
                       struct toc_arena *arena, struct toc_buckets *out) {
    struct toc_bucket_list l;
    if (threshold <= 0 || !b.size || toc_histogram_bound(b.index[0], schema) > threshold) {
        *out = b;
        return true;
    }
    if (!toc_bucket_list_init(&l, b.size, arena))
        return false;
    for (size_t i = 0; i < b.size; i++)
        if (toc_histogram_bound(b.index[i], schema) > threshold)
            push(&l, b.index[i], b.count[i]);
    *out = toc_bucket_list_view(&l);
    return true;
}

bool toc_buckets_rebound(struct toc_buckets b, const double *from, size_t from_count,
                         const double *to, size_t to_count, struct toc_arena *arena,
                         struct toc_buckets *out) {
    struct toc_bucket_list l;
    if (!toc_bucket_list_init(&l, b.size, arena))
        return false;
    size_t target = 0;
    for (size_t i = 0; i < b.size; i++) {
        size_t source = (size_t)b.index[i];
        double upper = source < from_count ? from[source] : INFINITY;
        while (target < to_count && to[target] < upper)
            target++;
        push(&l, (int32_t)target, b.count[i]);
    }
    *out = toc_bucket_list_view(&l);
    return true;
}

bool toc_bounds_eq(const struct toc_histogram *a, const struct toc_histogram *b) {
    return a->custom_bound_count == b->custom_bound_count &&
           (!a->custom_bound_count ||
            memcmp(a->custom_bounds, b->custom_bounds,
                   a->custom_bound_count * sizeof *a->custom_bounds) == 0);
}

bool toc_bounds_intersect(const struct toc_histogram *a, const struct toc_histogram *b,
                          struct toc_arena *arena, const double **out, size_t *out_count) {
    double *common = toc_arena_calloc(arena, a->custom_bound_count + 1, sizeof *common);
    size_t n = 0;
    if (!common)
        return false;
    for (size_t i = 0, k = 0; i < a->custom_bound_count && k < b->custom_bound_count;) {
        double x = a->custom_bounds[i], y = b->custom_bounds[k];
        if (x == y)
            common[n++] = x;
        i += x <= y;
        k += y <= x;
    }
    *out = common;
    *out_count = n;
    return true;
}

/* Adds the buckets of one side below *threshold to *count; true when *threshold had to grow. */
static bool swallow(const struct toc_buckets b, int32_t schema, double *threshold, double *count) {
    for (size_t i = 0; i < b.size; i++) {
        double lower = toc_histogram_bound(b.index[i] - 1, schema);
        double upper = toc_histogram_bound(b.index[i], schema);
        if (lower >= *threshold)
            return false;
        *count += b.count[i];
        if (upper > *threshold) {
            if (b.count[i] == 0)
                return false;
            *threshold = upper;
            return true;
        }
    }
    return false;
}

double toc_zero_count_for(const struct toc_histogram *h, double *threshold) {
    if (*threshold == h->zero_threshold)
        return h->zero_count;
    for (;;) {
        double count = h->zero_count;
        swallow(h->positive, h->schema, threshold, &count);
        /* A larger threshold may take in more of the positive side. */
        if (!swallow(h->negative, h->schema, threshold, &count))
            return count;
    }
}

size_t toc_histogram_layout(const struct toc_histogram *h, struct toc_bucket *out) {
    size_t n = 0;
    for (size_t i = h->negative.size; i-- > 0;) {
        int32_t index = h->negative.index[i];
        out[n++] =
            (struct toc_bucket){-toc_histogram_bound(index, h->schema),
                                -toc_histogram_bound(index - 1, h->schema), h->negative.count[i]};
    }
    if (h->zero_count != 0)
        out[n++] = (struct toc_bucket){-h->zero_threshold, h->zero_threshold, h->zero_count};
    for (size_t i = 0; i < h->positive.size; i++) {
        int32_t index = h->positive.index[i];
        double lower, upper;
        if (toc_histogram_is_custom(h)) {
            lower = index ? h->custom_bounds[index - 1] : -INFINITY;
            upper = (size_t)index < h->custom_bound_count ? h->custom_bounds[index] : INFINITY;
        } else {
            lower = toc_histogram_bound(index - 1, h->schema);
            upper = toc_histogram_bound(index, h->schema);
        }
        out[n++] = (struct toc_bucket){lower, upper, h->positive.count[i]};
    }
    return n;
}

/* A bucket of which a part lies in the zero bucket begins behind it. */
size_t toc_histogram_buckets(const struct toc_histogram *h, struct toc_bucket *out) {
    size_t n = toc_histogram_layout(h, out);
    for (size_t i = 0; i < n && h->zero_threshold > 0; i++) {
        bool is_zero = h->zero_count != 0 && i == h->negative.size;
        if (!is_zero && out[i].upper < 0 && out[i].upper > -h->zero_threshold)
            out[i].upper = -h->zero_threshold;
        if (!is_zero && out[i].lower > 0 && out[i].lower < h->zero_threshold)
            out[i].lower = h->zero_threshold;
    }
    return n;
}
