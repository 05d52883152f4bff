#include "remote/histogram_proto.h"

#include <math.h>

#include "codec/protobuf.h"

enum { SPANS_MAX = 1 << 14 };

struct span {
    int32_t offset;
    uint32_t length;
};

/* One side as it comes: counts are floats, or integers each told by its difference to the last. */
struct side {
    struct span *spans;
    double *counts;
    size_t span_count, count_count, span_capacity, count_capacity;
    int64_t last;
};

struct message {
    struct toc_arena *arena;
    struct toc_histogram *h;
    struct side positive, negative;
    struct side custom; /* its counts are the bounds */
    int64_t t_ms, start_ms;
    bool is_integer;
    int error;
};

static void *grown(struct message *m, void *old, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity)
        return old;
    size_t wanted = *capacity ? *capacity * 2 : 16;
    void *p = toc_arena_calloc(m->arena, wanted, size);
    if (!p) {
        m->error = TOC_ENOMEM;
        return NULL;
    }
    if (count)
        memcpy(p, old, count * size);
    *capacity = wanted;
    return p;
}

static void add_count(struct message *m, struct side *s, double v) {
    double *counts =
        s->count_count < TOC_REMOTE_BUCKETS_MAX
            ? grown(m, s->counts, s->count_count, &s->count_capacity, sizeof *s->counts)
            : NULL;
    if (!counts) {
        m->error = m->error ? m->error : TOC_EINVAL;
        return;
    }
    s->counts = counts;
    s->counts[s->count_count++] = v;
}

static void add_span(struct message *m, struct side *s, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct span span = {0};
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            span.offset = (int32_t)toc_pb_sint(&r, &f);
        else if (f.number == 2)
            span.length = (uint32_t)toc_pb_u64(&r, &f);
    }
    struct span *spans = s->span_count < SPANS_MAX ? grown(m, s->spans, s->span_count,
                                                           &s->span_capacity, sizeof *s->spans)
                                                   : NULL;
    if (r.error || !spans) {
        m->error = r.error ? r.error : m->error ? m->error : TOC_EINVAL;
        return;
    }
    s->spans = spans;
    s->spans[s->span_count++] = span;
}

static void add_delta(struct message *m, struct side *s, uint64_t zigzag) {
    s->last = (int64_t)((uint64_t)s->last + (uint64_t)toc_pb_zigzag(zigzag));
    m->is_integer = true;
    add_count(m, s, (double)s->last);
}

/* Repeated numbers come packed or one by one. */
static void add_deltas(struct message *m, struct toc_pb_reader *r, struct side *s,
                       const struct toc_pb_field *f) {
    if (f->wire == TOC_PB_VARINT) {
        add_delta(m, s, f->scalar);
        return;
    }
    struct toc_pb_reader packed = toc_pb_reader_make(toc_pb_bytes(r, f));
    while (!toc_pb_is_at_end(&packed) && !m->error)
        add_delta(m, s, toc_pb_varint(&packed));
    m->error = m->error ? m->error : packed.error;
}

static void add_floats(struct message *m, struct toc_pb_reader *r, struct side *s,
                       const struct toc_pb_field *f) {
    if (f->wire == TOC_PB_I64) {
        add_count(m, s, toc_pb_double_of(f->scalar));
        return;
    }
    struct toc_pb_reader packed = toc_pb_reader_make(toc_pb_bytes(r, f));
    while (!toc_pb_is_at_end(&packed) && !m->error)
        add_count(m, s, toc_pb_double_of(toc_pb_fixed64(&packed)));
    m->error = m->error ? m->error : packed.error;
}

static enum toc_reset_hint reset_hint(uint64_t v) {
    return v <= TOC_RESET_GAUGE ? (enum toc_reset_hint)v : TOC_RESET_UNKNOWN;
}

static void take_field(struct message *m, struct toc_pb_reader *r, const struct toc_pb_field *f) {
    struct toc_histogram *h = m->h;
    switch (f->number) {
    case 1:
        h->count = (double)toc_pb_u64(r, f);
        m->is_integer = true;
        break;
    case 2:
        h->count = toc_pb_double(r, f);
        break;
    case 3:
        h->sum = toc_pb_double(r, f);
        break;
    case 4:
        h->schema = (int32_t)toc_pb_sint(r, f);
        break;
    case 5:
        h->zero_threshold = toc_pb_double(r, f);
        break;
    case 6:
        h->zero_count = (double)toc_pb_u64(r, f);
        break;
    case 7:
        h->zero_count = toc_pb_double(r, f);
        break;
    case 8:
        add_span(m, &m->negative, toc_pb_bytes(r, f));
        break;
    case 9:
        add_deltas(m, r, &m->negative, f);
        break;
    case 10:
        add_floats(m, r, &m->negative, f);
        break;
    case 11:
        add_span(m, &m->positive, toc_pb_bytes(r, f));
        break;
    case 12:
        add_deltas(m, r, &m->positive, f);
        break;
    case 13:
        add_floats(m, r, &m->positive, f);
        break;
    case 14:
        h->reset_hint = reset_hint(toc_pb_u64(r, f));
        break;
    case 15:
        m->t_ms = toc_pb_i64(r, f);
        break;
    case 16:
        add_floats(m, r, &m->custom, f);
        break;
    case 17:
        m->start_ms = toc_pb_i64(r, f);
        break;
    default:
        break;
    }
}

static uint64_t spanned(const struct side *s) {
    uint64_t n = 0;
    for (size_t i = 0; i < s->span_count; i++)
        n += s->spans[i].length;
    return n;
}

/* Gives each count its bucket. */
static int place_side(struct message *m, const struct side *s, struct toc_buckets *out) {
    if (spanned(s) != s->count_count)
        return TOC_EINVAL;
    if (!s->count_count)
        return 0;
    int32_t *index = TOC_ARENA_NEW_ARRAY(m->arena, int32_t, s->count_count);
    if (!index)
        return TOC_ENOMEM;
    int64_t at = 0;
    size_t n = 0;
    for (size_t i = 0; i < s->span_count; i++) {
        at += s->spans[i].offset;
        for (uint32_t k = 0; k < s->spans[i].length; k++, at++) {
            if (at < INT32_MIN || at > INT32_MAX)
                return TOC_EINVAL;
            index[n++] = (int32_t)at;
        }
    }
    *out = (struct toc_buckets){index, s->counts, n};
    return 0;
}

static double total(struct toc_buckets b) {
    double sum = 0;
    for (size_t i = 0; i < b.size; i++)
        sum += b.count[i];
    return sum;
}

/* Integer buckets add up to the count; observations of NaN are in the count alone. */
static int check_total(const struct message *m) {
    const struct toc_histogram *h = m->h;
    if (!m->is_integer || toc_histogram_is_stale(h))
        return 0;
    double sum = total(h->positive) + total(h->negative) + h->zero_count;
    return isnan(h->sum) ? (sum > h->count ? TOC_EINVAL : 0) : sum != h->count ? TOC_EINVAL : 0;
}

int toc_remote_histogram_decode(struct toc_sv body, struct toc_arena *arena,
                                struct toc_histogram **out, int64_t *out_t_ms,
                                int64_t *out_start_ms) {
    struct message m = {.arena = arena, .h = TOC_ARENA_NEW(arena, struct toc_histogram)};
    struct toc_pb_reader r = toc_pb_reader_make(body);
    if (!m.h)
        return TOC_ENOMEM;
    for (struct toc_pb_field f; !m.error && toc_pb_next(&r, &f);)
        take_field(&m, &r, &f);
    int rc = r.error ? r.error : m.error;
    if (!rc)
        rc = place_side(&m, &m.positive, &m.h->positive);
    if (!rc)
        rc = place_side(&m, &m.negative, &m.h->negative);
    m.h->custom_bounds = m.custom.counts;
    m.h->custom_bound_count = m.custom.count_count;
    if (!rc)
        rc = check_total(&m);
    *out = m.h;
    *out_t_ms = m.t_ms;
    *out_start_ms = m.start_ms;
    return rc;
}

/* --- writing --- */

static bool is_whole(double v) {
    return v >= 0 && v < 9007199254740992.0 && v == floor(v);
}

static bool are_whole(struct toc_buckets b) {
    for (size_t i = 0; i < b.size; i++)
        if (!is_whole(b.count[i]))
            return false;
    return true;
}

static void put_spans(struct toc_buf *out, uint32_t number, struct toc_buckets b) {
    int64_t next = 0;
    for (size_t i = 0; i < b.size;) {
        size_t n = 1;
        while (i + n < b.size && b.index[i + n] == b.index[i] + (int32_t)n)
            n++;
        size_t mark = toc_pb_begin(out, number);
        toc_pb_put_sint(out, 1, b.index[i] - next);
        toc_pb_put_u64(out, 2, n);
        toc_pb_end(out, mark);
        next = (int64_t)b.index[i] + (int64_t)n;
        i += n;
    }
}

static void put_counts(struct toc_buf *out, uint32_t number, struct toc_buckets b,
                       bool is_integer) {
    if (!b.size)
        return;
    size_t mark = toc_pb_begin(out, is_integer ? number : number + 1);
    int64_t last = 0;
    for (size_t i = 0; i < b.size; i++) {
        if (is_integer)
            toc_buf_append_zigzag(out, (int64_t)b.count[i] - last);
        else
            toc_buf_append_f64(out, b.count[i]);
        last = is_integer ? (int64_t)b.count[i] : 0;
    }
    toc_pb_end(out, mark);
}

void toc_remote_histogram_encode(const struct toc_histogram *h, int64_t t_ms, struct toc_buf *out) {
    bool is_integer = is_whole(h->count) && is_whole(h->zero_count) && are_whole(h->positive) &&
                      are_whole(h->negative);
    if (is_integer)
        toc_pb_put_u64(out, 1, (uint64_t)h->count);
    else
        toc_pb_put_double(out, 2, h->count);
    toc_pb_put_double(out, 3, h->sum);
    toc_pb_put_sint(out, 4, h->schema);
    toc_pb_put_double(out, 5, h->zero_threshold);
    if (is_integer)
        toc_pb_put_u64(out, 6, (uint64_t)h->zero_count);
    else
        toc_pb_put_double(out, 7, h->zero_count);
    put_spans(out, 8, h->negative);
    put_counts(out, 9, h->negative, is_integer);
    put_spans(out, 11, h->positive);
    put_counts(out, 12, h->positive, is_integer);
    toc_pb_put_u64(out, 14, (uint64_t)h->reset_hint);
    toc_pb_put_u64(out, 15, (uint64_t)t_ms);
    if (h->custom_bound_count) {
        size_t mark = toc_pb_begin(out, 16);
        for (size_t i = 0; i < h->custom_bound_count; i++)
            toc_buf_append_f64(out, h->custom_bounds[i]);
        toc_pb_end(out, mark);
    }
}
