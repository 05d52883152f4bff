#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "model/sample.h"
#include "promtsdb/histogram_chunk.h"
#include "promtsdb/varbit.h"
#include "promtsdb/xor_value.h"

enum { FLAG_RESET = 0x80, FLAG_GAUGE = 0xc0, CUSTOM_SCALE = 1000, CUSTOM_MAX = 33554430 };
static const double g_exact_max = 9007199254740992.0; /* 2^53 */

/* --- which samples share a chunk --- */

static bool is_whole(double v) {
    return v >= 0 && !signbit(v) && v <= g_exact_max && v == floor(v);
}

static bool are_whole(struct toc_buckets b) {
    for (size_t i = 0; i < b.size; i++)
        if (!is_whole(b.count[i]))
            return false;
    return true;
}

static bool has_whole_counts(const struct toc_histogram *h) {
    return is_whole(h->count) && is_whole(h->zero_count) && are_whole(h->positive) &&
           are_whole(h->negative);
}

static bool have_same_layout(const struct toc_histogram *a, const struct toc_histogram *b) {
    return a->schema == b->schema &&
           toc_f64_bits(a->zero_threshold) == toc_f64_bits(b->zero_threshold) &&
           a->custom_bound_count == b->custom_bound_count &&
           (!a->custom_bound_count ||
            memcmp(a->custom_bounds, b->custom_bounds,
                   a->custom_bound_count * sizeof *a->custom_bounds) == 0);
}

/* Has a bucket of `before` fewer observations in `after`? NaN counts as fewer. */
static bool has_fewer(struct toc_buckets before, struct toc_buckets after) {
    size_t k = 0;
    for (size_t i = 0; i < before.size; i++) {
        while (k < after.size && after.index[k] < before.index[i])
            k++;
        bool is_there = k < after.size && after.index[k] == before.index[i];
        if (!((is_there ? after.count[k] : 0) >= before.count[i]))
            return true;
    }
    return false;
}

static bool has_reset(const struct toc_histogram *before, const struct toc_histogram *after) {
    return after->reset_hint == TOC_RESET_YES || !(after->count >= before->count) ||
           !(after->zero_count >= before->zero_count) ||
           has_fewer(before->positive, after->positive) ||
           has_fewer(before->negative, after->negative);
}

static bool may_follow(const struct toc_histogram *h, const struct toc_histogram *before,
                       bool is_float) {
    if (toc_histogram_is_stale(h))
        return true;
    bool is_gauge = h->reset_hint == TOC_RESET_GAUGE;
    return !toc_histogram_is_stale(before) && is_float != has_whole_counts(h) &&
           is_gauge == (before->reset_hint == TOC_RESET_GAUGE) && have_same_layout(before, h) &&
           (is_gauge || !has_reset(before, h));
}

size_t toc_prom_histogram_run(const struct toc_histogram *const *h, size_t n, bool *out_is_float) {
    TOC_ASSERT(n);
    bool is_float = !toc_histogram_is_stale(h[0]) && !has_whole_counts(h[0]);
    size_t k = 1;
    while (k < n && k < TOC_PROM_HISTOGRAM_SAMPLES_MAX && may_follow(h[k], h[k - 1], is_float))
        k++;
    *out_is_float = is_float;
    return k;
}

/* --- layout --- */

/* The buckets of one side that any sample of the chunk has; an unlisted one is empty. */
struct side {
    int32_t *index;
    size_t size;
};

static size_t merge(int32_t *out, struct side a, struct toc_buckets b) {
    size_t n = 0, i = 0, k = 0;
    while (i < a.size || k < b.size) {
        int32_t next =
            k >= b.size || (i < a.size && a.index[i] <= b.index[k]) ? a.index[i] : b.index[k];
        i += i < a.size && a.index[i] == next;
        k += k < b.size && b.index[k] == next;
        out[n++] = next;
    }
    return n;
}

static int widen(struct side *s, struct toc_buckets b, struct toc_arena *scratch) {
    int32_t *merged;
    if (!b.size || (s->size == b.size && memcmp(s->index, b.index, b.size * sizeof *b.index) == 0))
        return 0;
    merged = TOC_ARENA_NEW_ARRAY(scratch, int32_t, s->size + b.size);
    if (!merged)
        return TOC_ENOMEM;
    s->size = merge(merged, *s, b);
    s->index = merged;
    return 0;
}

struct span {
    int64_t offset; /* of the first from 0, of others from the end of the one before */
    size_t length;
};

/* The span that begins at bucket `at` of the side. */
static struct span span_at(const struct side *s, size_t at) {
    struct span span = {at ? (int64_t)s->index[at] - s->index[at - 1] - 1 : s->index[0], 1};
    while (at + span.length < s->size &&
           s->index[at + span.length] == s->index[at + span.length - 1] + 1)
        span.length++;
    return span;
}

static void put_spans(struct toc_msb_writer *w, const struct side *s) {
    size_t spans = 0;
    for (size_t at = 0; at < s->size; at += span_at(s, at).length)
        spans++;
    toc_varbit_put_uint(w, spans);
    for (size_t at = 0; at < s->size;) {
        struct span span = span_at(s, at);
        toc_varbit_put_uint(w, span.length);
        toc_varbit_put_int(w, span.offset);
        at += span.length;
    }
}

static void put_zero_threshold(struct toc_msb_writer *w, double v) {
    int exponent;
    double fraction = frexp(v, &exponent);
    if (toc_f64_bits(v) == 0) { /* not -0 */
        toc_msb_put(w, 0, 8);
    } else if (fraction == 0.5 && exponent >= -242 && exponent <= 11) {
        toc_msb_put(w, (uint64_t)(exponent + 243), 8);
    } else {
        toc_msb_put(w, 255, 8);
        toc_msb_put(w, toc_f64_bits(v), 64);
    }
}

static void put_custom_bound(struct toc_msb_writer *w, double v) {
    double scaled = round(v * CUSTOM_SCALE);
    if (scaled >= 0 && scaled <= CUSTOM_MAX &&
        toc_f64_bits(scaled / CUSTOM_SCALE) == toc_f64_bits(v)) {
        toc_varbit_put_uint(w, (uint64_t)scaled + 1);
    } else {
        toc_msb_put(w, 0, 1);
        toc_msb_put(w, toc_f64_bits(v), 64);
    }
}

/* --- samples --- */

/* One column of integers. */
struct number {
    uint64_t value, difference;
};

struct encoding {
    struct toc_msb_writer w;
    struct side positive, negative;
    struct number *numbers;      /* integers: one per bucket */
    struct toc_xor_value *xored; /* floats: count, zero count, then one per bucket */
    struct toc_xor_value sum;
    struct number time, count, zero_count;
    bool is_float;
};

/* Of row 0 the value, of row 1 its difference, of others the change of the difference. */
static uint64_t step(struct number *n, uint64_t value, size_t row) {
    uint64_t difference = row ? value - n->value : 0;
    uint64_t out = row == 0 ? value : row == 1 ? difference : difference - n->difference;
    *n = (struct number){value, difference};
    return out;
}

static void put_number(struct encoding *e, struct number *n, uint64_t value, size_t row) {
    toc_varbit_put_int(&e->w, (int64_t)step(n, value, row));
}

static void put_population(struct encoding *e, struct number *n, double value, size_t row) {
    uint64_t out = step(n, (uint64_t)value, row);
    if (row)
        toc_varbit_put_int(&e->w, (int64_t)out);
    else
        toc_varbit_put_uint(&e->w, out);
}

static void put_xored(struct encoding *e, struct toc_xor_value *x, double value, size_t row) {
    uint64_t bits = toc_f64_bits(value);
    if (row) {
        toc_xor_put(&e->w, x, bits);
    } else {
        *x = toc_xor_value_make(bits);
        toc_msb_put(&e->w, bits, 64);
    }
}

static void put_side(struct encoding *e, const struct side *s, struct toc_buckets b, size_t first,
                     size_t row) {
    uint64_t last = 0;
    for (size_t i = 0, k = 0; i < s->size; i++) {
        bool is_there = k < b.size && b.index[k] == s->index[i];
        double count = is_there ? b.count[k] : 0;
        k += is_there;
        if (e->is_float) {
            put_xored(e, &e->xored[2 + first + i], count, row);
        } else {
            put_number(e, &e->numbers[first + i], (uint64_t)count - last, row);
            last = (uint64_t)count;
        }
    }
}

/* Of a stale sample only time and sum mean something: the counts stay as they were. */
static void put_sample(struct encoding *e, int64_t t_ms, const struct toc_histogram *h,
                       size_t row) {
    bool is_stale = toc_histogram_is_stale(h);
    put_number(e, &e->time, (uint64_t)t_ms, row);
    if (e->is_float) {
        put_xored(e, &e->xored[0], is_stale ? 0 : h->count, row);
        put_xored(e, &e->xored[1], is_stale ? 0 : h->zero_count, row);
    } else if (is_stale) {
        toc_msb_put(&e->w, 0, 2); /* twice the number 0 */
    } else {
        put_population(e, &e->count, h->count, row);
        put_population(e, &e->zero_count, h->zero_count, row);
    }
    put_xored(e, &e->sum, h->sum, row);
    if (is_stale)
        return;
    put_side(e, &e->positive, h->positive, 0, row);
    put_side(e, &e->negative, h->negative, e->positive.size, row);
}

static void put_head(struct encoding *e, const struct toc_histogram *h, size_t n) {
    unsigned flags = 0;
    bool is_stale = toc_histogram_is_stale(h);
    if (h->reset_hint == TOC_RESET_GAUGE)
        flags = FLAG_GAUGE;
    else if (h->reset_hint == TOC_RESET_YES)
        flags = FLAG_RESET;
    toc_msb_put(&e->w, n, 16);
    toc_msb_put(&e->w, flags, 8);
    put_zero_threshold(&e->w, is_stale ? 0 : h->zero_threshold);
    toc_varbit_put_int(&e->w, is_stale ? 0 : h->schema);
    put_spans(&e->w, &e->positive);
    put_spans(&e->w, &e->negative);
    if (is_stale || !toc_histogram_is_custom(h))
        return;
    toc_varbit_put_uint(&e->w, h->custom_bound_count);
    for (size_t i = 0; i < h->custom_bound_count; i++)
        put_custom_bound(&e->w, h->custom_bounds[i]);
}

static int make_columns(struct encoding *e, const struct toc_histogram *const *h, size_t n,
                        struct toc_arena *scratch) {
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        if (toc_histogram_is_stale(h[i]))
            continue;
        rc = widen(&e->positive, h[i]->positive, scratch);
        rc = rc ? rc : widen(&e->negative, h[i]->negative, scratch);
    }
    size_t buckets = e->positive.size + e->negative.size;
    e->numbers = TOC_ARENA_NEW_ARRAY(scratch, struct number, buckets + 1);
    e->xored = TOC_ARENA_NEW_ARRAY(scratch, struct toc_xor_value, buckets + 2);
    return rc ? rc : e->numbers && e->xored ? 0 : TOC_ENOMEM;
}

int toc_prom_histogram_encode(const int64_t *t_ms, const struct toc_histogram *const *h, size_t n,
                              bool is_float, struct toc_arena *scratch, struct toc_buf *out) {
    TOC_ASSERT(n >= 1 && n <= TOC_PROM_HISTOGRAM_SAMPLES_MAX);
    struct encoding e = {.w = {.out = out}, .is_float = is_float};
    int rc = make_columns(&e, h, n, scratch);
    if (rc)
        return rc;
    put_head(&e, h[0], n);
    for (size_t i = 0; i < n; i++)
        put_sample(&e, t_ms[i], h[i], i);
    toc_msb_finish(&e.w);
    return toc_buf_error(out);
}
