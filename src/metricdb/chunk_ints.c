/* Integer sequences: difference 0, 1 or 2 times, then bit packing or byte code, whichever is
 * smallest. */
#include "base/zigzag.h"
#include "metricdb/bits.h"
#include "metricdb/chunk.h"
#include "metricdb/chunk_unpack.h"

enum { ORDERS = 3, BYTE_CODED = 4 };

static unsigned varint_bytes(uint64_t u) {
    return ((63 - (unsigned)__builtin_clzll(u | 1)) * 37 >> 8) + 1; /* x / 7 for x < 64 */
}

static unsigned bit_width(uint64_t u) {
    return u ? 64 - (unsigned)__builtin_clzll(u) : 0;
}

struct range {
    int64_t min;
    unsigned width;
    size_t zeros;
};

static struct range range_of(const int64_t *v, size_t n) {
    int64_t min = n ? v[0] : 0, max = min;
    size_t zeros = 0;
    for (size_t i = 0; i < n; i++) {
        min = v[i] < min ? v[i] : min;
        max = v[i] > max ? v[i] : max;
        zeros += v[i] == 0;
    }
    return (struct range){min, bit_width((uint64_t)max - (uint64_t)min), zeros};
}

/* What is left of v after differencing once more; n - 1 values. */
static size_t difference(const int64_t *v, size_t n, int64_t *out) {
    for (size_t i = 1; i < n; i++)
        out[i - 1] = (int64_t)((uint64_t)v[i] - (uint64_t)v[i - 1]);
    return n - 1;
}

static size_t packed_size(struct range r, size_t n) {
    return varint_bytes(toc_zigzag(r.min)) + 1 + (n * r.width + 7) / 8;
}

static size_t zeros_at(const int64_t *v, size_t n, size_t at) {
    size_t run = 0;
    while (at + run < n && v[at + run] == 0)
        run++;
    return run;
}

/* Or `most` or more when it is not smaller than that. */
static size_t byte_coded_size(const int64_t *v, size_t n, struct range r, size_t most) {
    size_t size = 0;
    if (n - r.zeros >= most) /* a byte each at least */
        return most;
    for (size_t i = 0; i < n && size < most; i++) {
        if (v[i]) {
            size += varint_bytes(toc_zigzag(v[i]));
            continue;
        }
        size_t run = zeros_at(v, n, i);
        size += 1 + varint_bytes(run - 1);
        i += run - 1;
    }
    return size;
}

enum { NARROW = 56 }; /* with up to seven bits that are held back it fits a word */

/* Room is made once, and what a value adds is written with the word it is in. */
static void put_narrow(const int64_t *v, size_t n, struct range r, struct toc_buf *out) {
    size_t bytes = (n * r.width + 7) / 8;
    char *to = toc_buf_reserve(out, bytes + sizeof(uint64_t));
    uint64_t word = 0;
    unsigned held = 0;
    for (size_t i = 0; to && i < n; i++) {
        word |= ((uint64_t)v[i] - (uint64_t)r.min) << held;
        held += r.width;
        memcpy(to, &word, sizeof word);
        to += held / 8;
        word >>= held & ~7u;
        held &= 7;
    }
    if (held)
        *to = (char)word;
    out->n += to ? bytes : 0;
}

static void put_packed(const int64_t *v, size_t n, struct range r, struct toc_buf *out) {
    toc_buf_append_zigzag(out, r.min);
    toc_buf_append_u8(out, (uint8_t)r.width);
    if (r.width <= NARROW) {
        put_narrow(v, n, r, out);
        return;
    }
    struct toc_bit_writer w = {.out = out};
    for (size_t i = 0; i < n; i++)
        toc_bits_put(&w, (uint64_t)v[i] - (uint64_t)r.min, r.width);
    toc_bits_finish(&w);
}

static void put_byte_coded(const int64_t *v, size_t n, struct toc_buf *out) {
    for (size_t i = 0; i < n; i++) {
        size_t run = zeros_at(v, n, i);
        toc_buf_append_zigzag(out, v[i]);
        if (run)
            toc_buf_append_varint(out, run - 1);
        i += run ? run - 1 : 0;
    }
}

/* The step of what rises evenly, as times do; 0 when it does not. So many that no other coding
 * could be as small as one difference. */
static int64_t even_step(const int64_t *v, size_t n) {
    enum { MANY = 32 };
    uint64_t step = n >= MANY ? (uint64_t)v[1] - (uint64_t)v[0] : 0, other = 0;
    for (size_t i = 1; i < n && step; i++)
        other |= ((uint64_t)v[i] - (uint64_t)v[i - 1]) ^ step;
    return other ? 0 : (int64_t)step;
}

static void put_even(int64_t first, int64_t step, struct toc_buf *out) {
    toc_buf_append_u8(out, 1);
    toc_buf_append_zigzag(out, first);
    put_packed(NULL, 0, (struct range){.min = step}, out);
}

void toc_ints_encode(const int64_t *v, size_t n, struct toc_buf *out) {
    int64_t left[ORDERS - 1][TOC_CHUNK_SAMPLES_MAX];
    const int64_t *of_order[ORDERS] = {v, left[0], left[1]};
    struct range ranges[ORDERS];
    unsigned best = 0;
    size_t best_size = SIZE_MAX, head = 0;
    int64_t step = even_step(v, n);
    if (step) {
        put_even(v[0], step, out);
        return;
    }
    for (unsigned order = 0; order < ORDERS && order <= n; order++) {
        size_t m = order ? difference(of_order[order - 1], n - order + 1, left[order - 1]) : n;
        head += order ? varint_bytes(toc_zigzag(v[order - 1])) : 0;
        ranges[order] = range_of(of_order[order], m);
        size_t packed = head + packed_size(ranges[order], m);
        if (packed < best_size) {
            best_size = packed;
            best = order;
        }
        size_t coded = byte_coded_size(of_order[order], m, ranges[order],
                                       best_size - TOC_MIN(head, best_size));
        if (head + coded < best_size) {
            best_size = head + coded;
            best = order | BYTE_CODED;
        }
        if (!ranges[order].width && order) /* another difference would be one more head */
            break;
    }
    unsigned order = best & 3;
    toc_buf_append_u8(out, (uint8_t)best);
    for (unsigned i = 0; i < order; i++)
        toc_buf_append_zigzag(out, v[i]);
    if (best & BYTE_CODED)
        put_byte_coded(of_order[order], n - order, out);
    else
        put_packed(of_order[order], n - order, ranges[order], out);
}

/* All the same: an arithmetic sequence of order 0, 1 or 2 without a look at any bit. */
static void repeat(uint64_t left, struct toc_sums s, int64_t *out, size_t n) {
    unsigned order = s.order;
    if (order == 0 || (order == 2 && !left)) {
        uint64_t step = order ? s.slope : 0, base = order ? s.value + step : left;
        size_t i = 0;
        for (; i + 4 <= n; i += 4, base += 4 * step) {
            out[i] = (int64_t)base;
            out[i + 1] = (int64_t)(base + step);
            out[i + 2] = (int64_t)(base + 2 * step);
            out[i + 3] = (int64_t)(base + 3 * step);
        }
        for (; i < n; i++, base += step)
            out[i] = (int64_t)base;
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = toc_sums_add(&s, left);
}

static void get_packed(struct toc_reader *r, struct toc_sums s, int64_t *out, size_t n) {
    uint64_t min = (uint64_t)toc_read_zigzag(r);
    unsigned width = toc_read_u8(r);
    if (width > 64)
        r->error = TOC_ECORRUPT;
    struct toc_sv bytes = toc_read_bytes(r, (n * (width & 127) + 7) / 8);
    if (r->error)
        return;
    if (width)
        toc_unpack(bytes, width, min, &s, out, n);
    else
        repeat(min, s, out, n);
}

static void get_byte_coded(struct toc_reader *r, struct toc_sums s, int64_t *out, size_t n) {
    for (size_t i = 0; i < n && !r->error;) {
        uint64_t left = (uint64_t)toc_read_zigzag(r);
        uint64_t run = r->error || left ? 0 : toc_read_varint(r);
        if (run >= n - i) {
            r->error = TOC_ECORRUPT;
            return;
        }
        for (run++; run; run--)
            out[i++] = toc_sums_add(&s, left);
    }
}

void toc_ints_decode(struct toc_reader *r, int64_t *out, size_t n) {
    unsigned tag = toc_read_u8(r), order = tag & 3;
    if (!r->error && (tag > (2 | BYTE_CODED) || order >= ORDERS || order > n))
        r->error = TOC_ECORRUPT;
    for (unsigned i = 0; i < order && !r->error; i++)
        out[i] = toc_read_zigzag(r);
    if (r->error)
        return;
    struct toc_sums s = {.order = order};
    if (order)
        s.value = (uint64_t)out[order - 1];
    if (order == 2)
        s.slope = (uint64_t)out[1] - (uint64_t)out[0];
    if (tag & BYTE_CODED)
        get_byte_coded(r, s, out + order, n - order);
    else
        get_packed(r, s, out + order, n - order);
}
