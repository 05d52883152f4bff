#include <math.h>

#include "codec/protobuf.h"
#include "codec/tfevents_priv.h"

/* tensorflow/core/framework/types.proto */
enum dtype {
    DT_FLOAT = 1,
    DT_DOUBLE = 2,
    DT_INT32 = 3,
    DT_STRING = 7,
    DT_INT64 = 9,
    DT_BFLOAT16 = 14,
    DT_HALF = 19,
};

/* X(dtype, field of its values, bytes of an element) */
#define DTYPES(X)         \
    X(DT_FLOAT, 5, 4)     \
    X(DT_DOUBLE, 6, 8)    \
    X(DT_INT32, 7, 4)     \
    X(DT_INT64, 10, 8)    \
    X(DT_BFLOAT16, 13, 2) \
    X(DT_HALF, 13, 2)

struct dtype_info {
    uint64_t dtype;
    uint32_t field;
    size_t width;
};
static const struct dtype_info dtypes[] = {
#define X(dtype, field, width) {dtype, field, width},
    DTYPES(X)
#undef X
};

enum { TENSOR_DTYPE = 1, TENSOR_SHAPE = 2, TENSOR_CONTENT = 4, SHAPE_DIM = 2, DIM_SIZE = 1 };
enum { SHAPE_UNKNOWN_RANK = 3, DIMS_KEPT = 2 };

struct tensor {
    const struct dtype_info *info; /* NULL: no number */
    uint64_t dtype;
    int64_t dims[DIMS_KEPT];
    size_t rank;
    bool is_rank_unknown;
    struct toc_sv content, values; /* values: the packed field of the dtype */
    bool has_single;
    uint64_t single; /* the same field, unpacked: its last element */
};

static double half_of(uint16_t h) {
    int exponent = h >> 10 & 31;
    double mantissa = h & 1023, sign = h & 0x8000 ? -1.0 : 1.0;
    if (exponent == 31)
        return mantissa != 0 ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(mantissa + 1024, exponent - 25) : ldexp(mantissa, -24));
}

static double float_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

static double element_of(uint64_t dtype, uint64_t bits) {
    switch (dtype) {
    case DT_FLOAT:
        return float_of((uint32_t)bits);
    case DT_DOUBLE:
        return toc_pb_double_of(bits);
    case DT_INT32:
        return (double)(int32_t)(uint32_t)bits;
    case DT_INT64:
        return (double)(int64_t)bits;
    case DT_BFLOAT16:
        return float_of((uint32_t)(uint16_t)bits << 16);
    default:
        return half_of((uint16_t)bits);
    }
}

static int decode_dim(struct toc_sv bytes, struct tensor *t) {
    struct toc_pb_reader r = toc_pb_reader_make(bytes);
    int64_t size = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        if (f.number == DIM_SIZE)
            size = toc_pb_i64(&r, &f);
    if (t->rank < DIMS_KEPT)
        t->dims[t->rank] = size;
    t->rank++;
    return r.error;
}

static int decode_shape(struct toc_sv bytes, struct tensor *t) {
    struct toc_pb_reader r = toc_pb_reader_make(bytes);
    int rc = 0;
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);) {
        if (f.number == SHAPE_DIM)
            rc = decode_dim(toc_pb_bytes(&r, &f), t);
        else if (f.number == SHAPE_UNKNOWN_RANK)
            t->is_rank_unknown = toc_pb_u64(&r, &f) != 0;
    }
    return rc ? rc : r.error;
}

/* The field that holds the values is known once the type is. */
static int find_values(struct toc_sv bytes, struct tensor *t) {
    struct toc_pb_reader r = toc_pb_reader_make(bytes);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number != t->info->field)
            continue;
        t->has_single = f.wire != TOC_PB_LEN;
        if (t->has_single)
            t->single = f.scalar;
        else
            t->values = f.bytes;
    }
    return r.error;
}

static int decode_tensor(struct toc_sv bytes, struct tensor *t) {
    struct toc_pb_reader r = toc_pb_reader_make(bytes);
    int rc = 0;
    *t = (struct tensor){0};
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);) {
        if (f.number == TENSOR_DTYPE)
            t->dtype = toc_pb_u64(&r, &f);
        else if (f.number == TENSOR_SHAPE)
            rc = decode_shape(toc_pb_bytes(&r, &f), t);
        else if (f.number == TENSOR_CONTENT)
            t->content = toc_pb_bytes(&r, &f);
    }
    for (size_t i = 0; i < TOC_ARRAY_LEN(dtypes); i++)
        if (dtypes[i].dtype == t->dtype)
            t->info = &dtypes[i];
    if (!rc && !r.error && t->info)
        rc = find_values(bytes, t);
    return rc || r.error ? TOC_EPARSE : 0;
}

static uint64_t bits_at(struct toc_sv s, size_t at, size_t width) {
    uint64_t v = 0;
    for (size_t i = 0; i < width; i++)
        v |= (uint64_t)(uint8_t)s.p[at + i] << (8 * i);
    return v;
}

static bool is_fixed_width(const struct tensor *t) {
    return t->dtype == DT_FLOAT || t->dtype == DT_DOUBLE;
}

bool toc_tfevents_tensor_is_text(struct toc_sv tensor) {
    struct tensor t;
    return decode_tensor(tensor, &t) == 0 && t.dtype == DT_STRING;
}

int toc_tfevents_tensor_scalar(struct toc_sv tensor, double *out) {
    struct tensor t;
    int rc = decode_tensor(tensor, &t);
    if (rc)
        return rc;
    bool is_one =
        t.rank == 0 || (t.rank <= DIMS_KEPT && t.dims[0] == 1 && (t.rank < 2 || t.dims[1] == 1));
    if (!t.info || !is_one || t.is_rank_unknown)
        return TOC_ETYPE;
    size_t width = t.info->width;
    uint64_t bits = t.single;
    if (t.content.n) {
        if (t.content.n != width)
            return TOC_EPARSE;
        bits = bits_at(t.content, 0, width);
    } else if (t.values.n && is_fixed_width(&t)) {
        if (t.values.n != width)
            return TOC_EPARSE;
        bits = bits_at(t.values, 0, width);
    } else if (t.values.n) {
        struct toc_pb_reader r = toc_pb_reader_make(t.values);
        bits = toc_pb_varint(&r);
        if (r.error || r.p != r.end)
            return TOC_EPARSE;
    } else if (!t.has_single) {
        return TOC_EPARSE;
    }
    *out = element_of(t.dtype, bits);
    return 0;
}

/* Weighted mean and spread in one pass (West's update), so that large values do not cancel. */
static int summarise(struct toc_tfevents *d, struct toc_sv rows, const struct tensor *t,
                     struct toc_tfevents_histogram *out) {
    size_t width = t->info->width;
    double count = 0, mean = 0, squares = 0, min = (double)NAN, max = (double)NAN;
    for (size_t at = 0; at + 3 * width <= rows.n; at += 3 * width) {
        double left = element_of(t->dtype, bits_at(rows, at, width));
        double right = element_of(t->dtype, bits_at(rows, at + width, width));
        double n = element_of(t->dtype, bits_at(rows, at + 2 * width, width));
        if (!(n >= 0) || isinf(n) || !(left <= right))
            return TOC_EPARSE;
        TOC_VEC_PUSH(&d->buckets, ((struct toc_tfevents_bucket){left, right, n}));
        if (n == 0)
            continue;
        double centre = left / 2 + right / 2, delta = centre - mean;
        min = count == 0 ? left : fmin(min, left);
        max = count == 0 ? right : fmax(max, right);
        count += n;
        mean += delta * (n / count);
        squares += n * delta * (centre - mean);
    }
    *out = (struct toc_tfevents_histogram){.count = count,
                                           .min = min,
                                           .max = max,
                                           .mean = count > 0 ? mean : (double)NAN,
                                           .std = sqrt(fmax(squares, 0) / count),
                                           .is_estimated = true,
                                           .sum_squares = (double)NAN,
                                           .buckets = d->buckets.items,
                                           .bucket_count = d->buckets.count};
    return 0;
}

int toc_tfevents_tensor_histogram(struct toc_tfevents *d, struct toc_sv tensor,
                                  struct toc_tfevents_histogram *out) {
    struct tensor t;
    int rc = decode_tensor(tensor, &t);
    if (rc)
        return rc;
    if (!t.info || !is_fixed_width(&t) || t.is_rank_unknown || t.rank != 2 || t.dims[1] != 3 ||
        t.dims[0] < 0)
        return TOC_ETYPE;
    struct toc_sv rows = t.content.n ? t.content : t.values;
    size_t row_bytes = 3 * t.info->width;
    d->buckets.count = 0;
    if (rows.n % row_bytes || rows.n / row_bytes != (uint64_t)t.dims[0] ||
        rows.n / row_bytes > d->limits.max_buckets)
        return TOC_EPARSE;
    return summarise(d, rows, &t, out);
}

enum { HISTO_MIN = 1, HISTO_MAX = 2, HISTO_NUM = 3, HISTO_SUM = 4, HISTO_SUM_SQUARES = 5 };
enum { HISTO_LIMIT = 6, HISTO_BUCKET = 7, DOUBLE_BYTES = 8 };

static double double_at(struct toc_sv s, size_t i) {
    return toc_pb_double_of(bits_at(s, i * DOUBLE_BYTES, DOUBLE_BYTES));
}

/* Bucket i lies between the limits i - 1 and i; the first one begins at the minimum. */
static int histo_buckets(struct toc_tfevents *d, struct toc_sv limits, struct toc_sv counts,
                         double min) {
    size_t n = limits.n / DOUBLE_BYTES;
    d->buckets.count = 0;
    if (limits.n != counts.n || limits.n % DOUBLE_BYTES || n > d->limits.max_buckets)
        return TOC_EPARSE;
    for (size_t i = 0; i < n; i++) {
        struct toc_tfevents_bucket b = {.right = double_at(limits, i),
                                        .count = double_at(counts, i)};
        b.left = i ? d->buckets.items[i - 1].right : fmin(min, b.right);
        if (!(b.count >= 0) || isinf(b.count) || !(b.left <= b.right))
            return TOC_EPARSE;
        TOC_VEC_PUSH(&d->buckets, b);
    }
    return 0;
}

int toc_tfevents_histo(struct toc_tfevents *d, struct toc_sv histo,
                       struct toc_tfevents_histogram *out) {
    struct toc_pb_reader r = toc_pb_reader_make(histo);
    double numbers[HISTO_SUM_SQUARES + 1] = {0};
    struct toc_sv limits = TOC_SV_NULL, counts = TOC_SV_NULL;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number <= HISTO_SUM_SQUARES)
            numbers[f.number] = toc_pb_double(&r, &f);
        else if (f.number == HISTO_LIMIT)
            limits = toc_pb_bytes(&r, &f);
        else if (f.number == HISTO_BUCKET)
            counts = toc_pb_bytes(&r, &f);
    }
    double count = numbers[HISTO_NUM];
    if (r.error || !(count >= 0) || isinf(count) ||
        histo_buckets(d, limits, counts, numbers[HISTO_MIN]))
        return TOC_EPARSE;
    double mean = numbers[HISTO_SUM] / count;
    double variance = numbers[HISTO_SUM_SQUARES] / count - mean * mean;
    *out = (struct toc_tfevents_histogram){
        .count = count,
        .min = numbers[HISTO_MIN],
        .max = numbers[HISTO_MAX],
        .mean = mean,
        .std = isnan(variance) ? variance : sqrt(fmax(variance, 0)),
        .sum_squares = numbers[HISTO_SUM_SQUARES],
        .buckets = d->buckets.items,
        .bucket_count = d->buckets.count,
    };
    return 0;
}
