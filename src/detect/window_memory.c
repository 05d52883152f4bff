#include "detect/window_memory.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/attrs.h"
#include "detect/half.h"
#include "detect/window_memory_priv.h"

enum {
    WIDTH_MAX = 4096,
    CAPACITY_MAX = 65536,
    CHANNELS_MAX = 4096,
    UNIT_MAX = 4,
    LANES = TOC_WINDOW_LANES
};

struct toc_window_memory {
    struct toc_window_shape_options shape;
    size_t dimensions, piece;  /* channels · pieces; points in a piece */
    size_t groups;             /* of eight windows */
    size_t unit, recent_units; /* points in a unit; units in three windows */
    toc_window_search *search;
    uint64_t points;  /* since the last break */
    uint64_t offered; /* windows that could have been remembered */
    float center, scale;
    float *ring;       /* the last `width` points: [point][channel] */
    float *recent;     /* means of the last units that are whole: [unit][channel] */
    float *current;    /* means of the current window as they are stored */
    uint16_t *windows; /* kept ones */
    double sums[];     /* of the pieces of the current window: [piece][channel]; then all others */
};

static int check(const struct toc_window_shape_options *s, struct toc_err *err) {
    bool fits = s->channels && s->channels <= CHANNELS_MAX && s->width && s->width <= WIDTH_MAX &&
                s->pieces && s->width % s->pieces == 0 && s->capacity &&
                s->capacity <= CAPACITY_MAX;
    return fits ? 0
                : toc_errf(err, TOC_EINVAL,
                           "a window memory of %zu channels, width %zu, %zu pieces, capacity %zu "
                           "cannot be made",
                           s->channels, s->width, s->pieces, s->capacity);
}

/* Candidates end with a unit: a piece, or as much of it as four points. */
static size_t unit_of(const struct toc_window_shape_options *s) {
    size_t piece = s->width / s->pieces;
    return piece % UNIT_MAX == 0 ? UNIT_MAX : piece % 2 == 0 ? 2 : 1;
}

/* Points and means that are kept; `current` comes on top. */
static size_t float_count(const struct toc_window_shape_options *s) {
    return s->channels * (s->width + 3 * s->width / unit_of(s));
}

static size_t window_count(const struct toc_window_shape_options *s) {
    return (s->capacity + LANES - 1) / LANES * LANES * s->channels * s->pieces;
}

static size_t bytes_of(const struct toc_window_shape_options *s) {
    size_t dimensions = s->channels * s->pieces;
    return sizeof(struct toc_window_memory) + dimensions * sizeof(double) +
           (float_count(s) + dimensions) * sizeof(float) + window_count(s) * sizeof(uint16_t);
}

static void lay_out(struct toc_window_memory *m) {
    const struct toc_window_shape_options *s = &m->shape;
    m->ring = (float *)(m->sums + m->dimensions);
    m->recent = m->ring + s->channels * s->width;
    m->current = m->ring + float_count(s);
    m->windows = (uint16_t *)(m->current + m->dimensions);
    for (size_t i = 0; i < window_count(s); i++)
        m->windows[i] = TOC_HALF_INFINITY; /* nowhere near anything */
}

int toc_window_memory_new(const struct toc_window_shape_options *shape,
                          struct toc_window_memory **out, struct toc_err *err) {
    int rc = check(shape, err);
    if (rc < 0)
        return rc;
    struct toc_window_memory *m = *out = toc_try_calloc(1, bytes_of(shape));
    if (!m)
        return toc_errf(err, TOC_ENOMEM, "no memory for %zu windows of %zu numbers",
                        shape->capacity, shape->channels * shape->pieces);
    m->shape = *shape;
    m->dimensions = shape->channels * shape->pieces;
    m->piece = shape->width / shape->pieces;
    m->groups = (shape->capacity + LANES - 1) / LANES;
    m->unit = unit_of(shape);
    m->recent_units = 3 * shape->width / m->unit;
    m->scale = 1;
    toc_window_memory_set_portable(m, false);
    lay_out(m);
    return 0;
}

void toc_window_memory_free(struct toc_window_memory **m) {
    toc_free(*m);
    *m = NULL;
}

void toc_window_memory_set_portable(struct toc_window_memory *m, bool is_portable) {
    toc_window_search *fast = toc_window_search_avx2(m->shape.channels > 1);
    m->search = fast && !is_portable ? fast : toc_window_search_portable;
}

void toc_window_memory_break(struct toc_window_memory *m) {
    m->points = 0;
}

size_t toc_window_memory_bytes(const struct toc_window_memory *m) {
    return bytes_of(&m->shape);
}

void toc_window_memory_prefetch(const struct toc_window_memory *m) {
    enum { LINE = 64, BYTES_MAX = 4096 }; /* more is for the hardware, once it saw the stream */
    const char *p = (const char *)m, *end = p + TOC_MIN(bytes_of(&m->shape), (size_t)BYTES_MAX);
    for (; p < end; p += LINE)
        __builtin_prefetch(p);
}

static uint16_t *stored(const struct toc_window_memory *m, uint64_t slot, size_t dimension) {
    return m->windows + (slot / LANES * m->dimensions + dimension) * LANES + slot % LANES;
}

/* ------------------------------------------------------------------------------------ the scale */

/* Center and spread of all that is stored, in the channel's own unit. */
static void measure(const struct toc_window_memory *m, uint64_t kept, double *out_center,
                    double *out_spread) {
    double sum = 0, squares = 0, n = (double)kept * (double)m->dimensions;
    for (uint64_t k = 0; k < kept; k++)
        for (size_t d = 0; d < m->dimensions; d++) {
            double v = toc_half_to_float(*stored(m, k, d));
            sum += v;
            squares += v * v;
        }
    double mean = sum / n;
    *out_center = m->center + m->scale * mean;
    *out_spread = m->scale * sqrt(fmax(squares / n - mean * mean, 0));
}

static float clip_half(double v) {
    return (float)fmin(fmax(v, -TOC_HALF_MAX), TOC_HALF_MAX);
}

/* A scale fits while the numbers stay far from the ends of binary16 and the center near them. */
static void rescale(struct toc_window_memory *m, uint64_t kept) {
    double center, spread;
    measure(m, kept, &center, &spread);
    double floor = fabs(center) * 1e-6 + 1e-30;
    float scale = (float)exp2(round(log2(fmin(fmax(spread, floor), 1e30))));
    for (uint64_t k = 0; k < kept; k++)
        for (size_t d = 0; d < m->dimensions; d++) {
            uint16_t *h = stored(m, k, d);
            double v = m->center + (double)m->scale * toc_half_to_float(*h);
            *h = toc_half_from_float(clip_half((v - (float)center) / scale));
        }
    m->center = (float)center;
    m->scale = scale;
}

/* Before anything is stored: from the points at hand. */
static void first_scale(struct toc_window_memory *m) {
    double sum = 0, squares = 0, n = (double)m->shape.width;
    for (size_t i = 0; i < m->shape.width; i++)
        sum += m->ring[i];
    for (size_t i = 0; i < m->shape.width; i++)
        squares += (m->ring[i] - sum / n) * (m->ring[i] - sum / n);
    double spread = fmax(sqrt(squares / n), fabs(sum / n) * 1e-6 + 1e-30);
    m->center = (float)(sum / n);
    m->scale = (float)exp2(round(log2(fmin(spread, 1e30))));
}

/* ----------------------------------------------------------------------------------- the windows
 */

static uint64_t scramble(uint64_t x) { /* splitmix64 */
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

static bool has_scale(const struct toc_window_memory *m) {
    return m->shape.channels == 1;
}

/* The oldest of all windows that the recent units make up goes to a slot. */
static void store(struct toc_window_memory *m, uint64_t slot, size_t newest_unit) {
    size_t channels = m->shape.channels, at = newest_unit, units = m->piece / m->unit;
    for (size_t p = 0; p < m->shape.pieces; p++)
        for (size_t c = 0; c < channels; c++) {
            double sum = 0;
            for (size_t u = 0; u < units; u++) {
                size_t of = (at + 1 + p * units + u) % m->recent_units;
                sum += m->recent[of * channels + c];
            }
            double mean = sum / (double)units;
            *stored(m, slot, p * channels + c) =
                toc_half_from_float(clip_half((mean - m->center) / m->scale));
        }
}

/* The m-th window offered replaces a random one with probability capacity / m. */
static void remember(struct toc_window_memory *m, size_t newest_unit) {
    uint64_t slot = m->offered++;
    if (slot >= m->shape.capacity)
        slot = scramble(m->offered * 7919 + m->shape.width) % m->offered;
    if (m->offered == 1 && has_scale(m))
        first_scale(m);
    if (slot < m->shape.capacity)
        store(m, slot, newest_unit);
    bool has_doubled = m->offered >= LANES && (m->offered & (m->offered - 1)) == 0;
    if (has_scale(m) && has_doubled)
        rescale(m, m->offered < m->shape.capacity ? m->offered : m->shape.capacity);
}

/* A unit is whole with this point: its mean is kept, and an older window offered. */
static void end_unit(struct toc_window_memory *m) {
    size_t at = (size_t)((m->points / m->unit - 1) % m->recent_units), channels = m->shape.channels;
    for (size_t c = 0; c < channels; c++) {
        double sum = 0;
        for (size_t i = 0; i < m->unit; i++)
            sum += m->ring[(size_t)((m->points - 1 - i) % m->shape.width) * channels + c];
        m->recent[at * channels + c] = (float)(sum / (double)m->unit);
    }
    if (m->points >= 3 * (uint64_t)m->shape.width)
        remember(m, at);
}

/* Sums anew from the ring, once per window: rounding adds up. */
static void add_up(struct toc_window_memory *m) {
    size_t channels = m->shape.channels;
    memset(m->sums, 0, m->dimensions * sizeof *m->sums);
    for (size_t i = 0; i < m->shape.width; i++)
        for (size_t c = 0; c < channels; c++)
            m->sums[i / m->piece * channels + c] += m->ring[i * channels + c];
}

/* The new point enters the last piece; every piece hands its oldest to the one before it. */
static void move_sums(struct toc_window_memory *m, const float *point) {
    size_t channels = m->shape.channels, pieces = m->shape.pieces, width = m->shape.width;
    size_t at = (size_t)(m->points % width); /* of the oldest point, to be overwritten */
    for (size_t p = 0; p < pieces; p++) {
        size_t leaving = at + p * m->piece, entering = leaving + m->piece;
        leaving -= leaving >= width ? width : 0;
        entering -= entering >= width ? width : 0;
        const float *gone = m->ring + leaving * channels;
        const float *come = p + 1 < pieces ? m->ring + entering * channels : point;
        double *sums = m->sums + p * channels;
        for (size_t c = 0; c < channels; c++)
            sums[c] += (double)come[c] - gone[c];
    }
    memcpy(m->ring + at * channels, point, channels * sizeof *point);
    m->points++;
    if (m->points % width == 0)
        add_up(m);
}

static void find_current(struct toc_window_memory *m) {
    const double far = 1e15; /* its square still is a float */
    double share = 1 / ((double)m->piece * m->scale), center = m->center / (double)m->scale;
    for (size_t i = 0; i < m->dimensions; i++) {
        double v = m->sums[i] * share - center;
        v = v > far ? far : v;
        m->current[i] = (float)(v < -far ? -far : v);
    }
}

struct toc_window_distance toc_window_memory_step(struct toc_window_memory *m, const float *point) {
    if (m->points == 0) { /* sums begin as of zeros before the first point */
        memset(m->ring, 0, m->shape.width * m->shape.channels * sizeof *m->ring);
        memset(m->sums, 0, m->dimensions * sizeof *m->sums);
    }
    move_sums(m, point);
    if (m->points % m->unit == 0)
        end_unit(m);
    if (m->points < m->shape.width || !m->offered)
        return (struct toc_window_distance){-1, -1};
    find_current(m);
    struct toc_window_nearest n = m->search(m->current, m->windows, m->groups, m->dimensions);
    double width = (double)m->shape.width, pieces = (double)m->shape.pieces;
    double absolute = m->shape.channels > 1 ? n.absolute : -1;
    return (struct toc_window_distance){m->scale * sqrt(n.squared * width / pieces), absolute};
}

/* ---------------------------------------------------------------------------------------- bytes */

static void put_float(struct toc_buf *out, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    toc_buf_append_u32(out, bits);
}

/* A finite number no larger than anything a step could have made. */
static int get_float(struct toc_reader *r, float *out) {
    uint32_t bits = toc_read_u32(r);
    memcpy(out, &bits, sizeof *out);
    return isfinite(*out) && fabsf(*out) <= 1e31f ? 0 : TOC_ECORRUPT;
}

void toc_window_memory_encode(const struct toc_window_memory *m, struct toc_buf *out) {
    toc_buf_append_varint(out, m->points);
    toc_buf_append_varint(out, m->offered);
    put_float(out, m->center);
    put_float(out, m->scale);
    for (size_t i = 0; i < m->dimensions; i++)
        toc_buf_append_f64(out, m->sums[i]);
    for (size_t i = 0; i < float_count(&m->shape); i++)
        put_float(out, m->ring[i]);
    for (size_t i = 0; i < window_count(&m->shape); i++) {
        toc_buf_append_u8(out, (uint8_t)m->windows[i]);
        toc_buf_append_u8(out, (uint8_t)(m->windows[i] >> 8));
    }
}

/* Kept windows are numbers, free places infinite. */
static int decode_windows(struct toc_window_memory *m, struct toc_reader *r) {
    bool is_sound = true;
    for (size_t i = 0; i < window_count(&m->shape); i++) {
        uint16_t low = toc_read_u8(r);
        m->windows[i] = (uint16_t)(low | (uint16_t)toc_read_u8(r) << 8);
        uint64_t slot = i / (m->dimensions * LANES) * LANES + i % LANES;
        bool is_kept = slot < m->offered && slot < m->shape.capacity;
        is_sound &= is_kept ? (m->windows[i] & 0x7fff) < TOC_HALF_INFINITY
                            : m->windows[i] == TOC_HALF_INFINITY;
    }
    return is_sound ? 0 : TOC_ECORRUPT;
}

int toc_window_memory_decode(struct toc_window_memory *m, struct toc_reader *r) {
    m->points = toc_read_varint(r);
    m->offered = toc_read_varint(r);
    int rc = get_float(r, &m->center) < 0 || get_float(r, &m->scale) < 0 ? TOC_ECORRUPT : 0;
    if (m->points >> 62 || m->offered >> 62 || !(m->scale > 1e-38f) || m->scale > 2e30f)
        rc = TOC_ECORRUPT;
    for (size_t i = 0; i < m->dimensions && rc == 0; i++) {
        m->sums[i] = toc_read_f64(r);
        rc = isfinite(m->sums[i]) && fabs(m->sums[i]) < 1e35 ? 0 : TOC_ECORRUPT;
    }
    for (size_t i = 0; i < float_count(&m->shape) && rc == 0; i++)
        rc = get_float(r, &m->ring[i]);
    if (rc == 0)
        rc = decode_windows(m, r);
    return r->error ? r->error : rc;
}
