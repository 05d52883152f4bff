/* Histogram of the protobuf exposition: classic buckets, native ones, or both. */
#include <math.h>

#include "codec/exposition_proto_priv.h"

/* Numbers of the fields of a Histogram. */
enum {
    COUNT = 1,
    SUM = 2,
    BUCKET = 3,
    COUNT_FLOAT = 4,
    SCHEMA = 5,
    ZERO_THRESHOLD = 6,
    ZERO_COUNT = 7,
    ZERO_COUNT_FLOAT = 8,
    NEGATIVE_SPAN = 9,
    NEGATIVE_DELTA = 10,
    NEGATIVE_COUNT = 11,
    POSITIVE_SPAN = 12,
    POSITIVE_DELTA = 13,
    POSITIVE_COUNT = 14,
    START = 15,
};

/* What is read besides the buckets. A count is an integer or, when that is positive, a float. */
struct head {
    uint64_t count, zero_count;
    double count_float, zero_count_float;
    double sum, zero_threshold;
    int64_t schema;
    bool has_buckets; /* classic ones */
};

static double count_of(uint64_t integer, double number) {
    return number > 0 ? number : (double)integer;
}

/* --- classic buckets --- */

/* Bucket {cumulative_count 1, upper_bound 2, exemplar 3, cumulative_count_float 4}. */
static int emit_bucket(struct proto_parse *p, struct toc_sv body, bool *io_has_inf) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct proto_sample s = {.suffix = "_bucket", .label = "le"};
    uint64_t count = 0;
    double number = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            count = toc_pb_u64(&r, &f);
        else if (f.number == 2)
            s.bound = toc_pb_double(&r, &f);
        else if (f.number == 3)
            s.exemplar = toc_pb_bytes(&r, &f);
        else if (f.number == 4)
            number = toc_pb_double(&r, &f);
    }
    if (r.error)
        return toc_proto_fail(p, r.error, "a bucket that is no protobuf");
    s.value = count_of(count, number);
    *io_has_inf = *io_has_inf || (isinf(s.bound) && s.bound > 0);
    return toc_proto_emit(p, &s);
}

static int emit_classic(struct proto_parse *p, struct toc_sv body, const struct head *h) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct proto_sample count = {.suffix = "_count", .value = count_of(h->count, h->count_float)};
    struct proto_sample sum = {.suffix = "_sum", .value = h->sum};
    struct proto_sample last = {
        .suffix = "_bucket", .label = "le", .bound = INFINITY, .value = count.value};
    bool has_inf = false;
    int rc = 0;
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);)
        if (f.number == BUCKET)
            rc = emit_bucket(p, toc_pb_bytes(&r, &f), &has_inf);
    if (!rc && r.error)
        rc = toc_proto_fail(p, r.error, "a bucket that is no protobuf");
    if (!rc && !has_inf)
        rc = toc_proto_emit(p, &last);
    if (!rc)
        rc = toc_proto_emit(p, &sum);
    return rc ? rc : toc_proto_emit(p, &count);
}

/* --- native buckets --- */

static void reset_side(struct proto_side *s) {
    s->spans.count = s->index.count = s->count.count = 0;
    s->last = 0;
    s->has_deltas = s->has_counts = false;
}

/* BucketSpan {offset 1, length 2}. */
static void add_span(struct toc_pb_reader *outer, struct toc_sv body, struct proto_side *side) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    int64_t offset = 0;
    uint64_t length = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            offset = toc_pb_sint(&r, &f);
        else if (f.number == 2)
            length = toc_pb_u64(&r, &f);
    }
    if (offset != (int32_t)offset || length > TOC_EXPOSITION_BUCKETS_MAX ||
        side->spans.count == TOC_EXPOSITION_BUCKETS_MAX)
        r.error = r.error ? r.error : TOC_ELIMIT;
    outer->error = outer->error ? outer->error : r.error;
    if (!r.error)
        TOC_VEC_PUSH(&side->spans, ((struct proto_span){(int32_t)offset, (uint32_t)length}));
}

static void add_count(struct toc_pb_reader *r, struct proto_side *side, double count) {
    if (side->count.count == TOC_EXPOSITION_BUCKETS_MAX)
        r->error = r->error ? r->error : TOC_ELIMIT;
    else if (!r->error)
        TOC_VEC_PUSH(&side->count, count);
}

static void add_delta(struct toc_pb_reader *r, struct proto_side *side, int64_t delta) {
    side->last = (int64_t)((uint64_t)side->last + (uint64_t)delta);
    side->has_deltas = true;
    add_count(r, side, (double)side->last);
}

static void add_float(struct toc_pb_reader *r, struct proto_side *side, double count) {
    side->has_counts = true;
    add_count(r, side, count);
}

/* Packed or one by one. */
static void add_deltas(struct toc_pb_reader *r, const struct toc_pb_field *f,
                       struct proto_side *side) {
    if (f->wire != TOC_PB_LEN) {
        add_delta(r, side, toc_pb_sint(r, f));
        return;
    }
    struct toc_pb_reader packed = toc_pb_reader_make(f->bytes);
    while (!toc_pb_is_at_end(&packed) && !r->error) {
        int64_t delta = toc_pb_zigzag(toc_pb_varint(&packed));
        if (!packed.error)
            add_delta(r, side, delta);
    }
    r->error = r->error ? r->error : packed.error;
}

static void add_floats(struct toc_pb_reader *r, const struct toc_pb_field *f,
                       struct proto_side *side) {
    if (f->wire != TOC_PB_LEN) {
        add_float(r, side, toc_pb_double(r, f));
        return;
    }
    struct toc_pb_reader packed = toc_pb_reader_make(f->bytes);
    while (!toc_pb_is_at_end(&packed) && !r->error) {
        double count = toc_pb_double_of(toc_pb_fixed64(&packed));
        if (!packed.error)
            add_float(r, side, count);
    }
    r->error = r->error ? r->error : packed.error;
}

/* Spans become an index for each bucket. */
static const char *place_buckets(struct proto_side *s) {
    int64_t at = 0;
    if (s->has_deltas && s->has_counts)
        return "buckets of integers and of floats";
    for (size_t i = 0; i < s->spans.count; i++) {
        const struct proto_span *span = &s->spans.items[i];
        if (i && span->offset < 0)
            return "spans of buckets that overlap";
        at += span->offset;
        if (span->length > s->count.count - s->index.count)
            return "spans of more buckets than there are";
        if (at < INT32_MIN || at + span->length > INT32_MAX)
            return "a bucket with an index that is out of range";
        for (uint32_t k = 0; k < span->length; k++, at++)
            TOC_VEC_PUSH(&s->index, (int32_t)at);
    }
    return s->index.count < s->count.count ? "more buckets than the spans have" : NULL;
}

static struct toc_exposition_buckets buckets_of(const struct proto_side *s) {
    return (struct toc_exposition_buckets){s->index.items, s->count.items, s->index.count};
}

static int emit_native(struct proto_parse *p, const struct head *h) {
    struct toc_exposition_sample s;
    const char *wrong = place_buckets(&p->positive);
    if (!wrong)
        wrong = place_buckets(&p->negative);
    if (!wrong && h->schema != (int32_t)h->schema)
        wrong = "a schema that is out of range";
    if (wrong)
        return toc_proto_fail(p, TOC_EPARSE, wrong);
    struct toc_exposition_histogram out = {
        .schema = (int32_t)h->schema,
        .is_gauge = p->type == PROTO_GAUGE_HISTOGRAM,
        .zero_threshold = h->zero_threshold,
        .zero_count = count_of(h->zero_count, h->zero_count_float),
        .count = count_of(h->count, h->count_float),
        .sum = h->sum,
        .positive = buckets_of(&p->positive),
        .negative = buckets_of(&p->negative),
    };
    int rc = toc_proto_begin_sample(p, "", &s);
    return rc ? rc : p->handler->histogram(p->handler->ctx, &s, &out);
}

/* --- the message --- */

static void take_field(struct proto_parse *p, struct toc_pb_reader *r, const struct toc_pb_field *f,
                       struct head *h) {
    switch (f->number) {
    case COUNT:
        h->count = toc_pb_u64(r, f);
        break;
    case SUM:
        h->sum = toc_pb_double(r, f);
        break;
    case BUCKET:
        h->has_buckets = true;
        break;
    case COUNT_FLOAT:
        h->count_float = toc_pb_double(r, f);
        break;
    case SCHEMA:
        h->schema = toc_pb_sint(r, f);
        break;
    case ZERO_THRESHOLD:
        h->zero_threshold = toc_pb_double(r, f);
        break;
    case ZERO_COUNT:
        h->zero_count = toc_pb_u64(r, f);
        break;
    case ZERO_COUNT_FLOAT:
        h->zero_count_float = toc_pb_double(r, f);
        break;
    case NEGATIVE_SPAN:
    case POSITIVE_SPAN:
        add_span(r, toc_pb_bytes(r, f), f->number == POSITIVE_SPAN ? &p->positive : &p->negative);
        break;
    case NEGATIVE_DELTA:
    case POSITIVE_DELTA:
        add_deltas(r, f, f->number == POSITIVE_DELTA ? &p->positive : &p->negative);
        break;
    case NEGATIVE_COUNT:
    case POSITIVE_COUNT:
        add_floats(r, f, f->number == POSITIVE_COUNT ? &p->positive : &p->negative);
        break;
    case START:
        if (p->type == PROTO_HISTOGRAM)
            p->start_ms = toc_proto_timestamp_ms(r, toc_pb_bytes(r, f));
        break;
    default:
        break;
    }
}

/* A histogram without observations says that it is native by its zero bucket or an empty span. */
static bool is_native(const struct proto_parse *p, const struct head *h) {
    return p->positive.spans.count || p->negative.spans.count || h->zero_threshold > 0 ||
           h->zero_count || h->zero_count_float > 0;
}

int toc_proto_histogram(struct proto_parse *p, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct head h = {0};
    reset_side(&p->positive);
    reset_side(&p->negative);
    for (struct toc_pb_field f; !r.error && toc_pb_next(&r, &f);)
        take_field(p, &r, &f, &h);
    if (r.error)
        return toc_proto_fail(p, r.error,
                              r.error == TOC_ELIMIT ? "more buckets or spans than the limit"
                                                    : "a histogram that is no protobuf");
    bool is_told = p->handler->histogram && is_native(p, &h);
    int rc = is_told ? emit_native(p, &h) : 0;
    if (!rc && (!is_told || (p->handler->wants_classic && h.has_buckets)))
        rc = emit_classic(p, body, &h);
    return rc;
}
