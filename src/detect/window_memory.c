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
    LANES = TOC_WINDOW_LANES,
    FEW = 64 /* numbers of a window that fit on the stack */
};

/* What every point goes through is made for each of the shapes that matter. */
#define INLINED static inline __attribute__((always_inline))

typedef struct toc_window_distance toc_window_step(struct toc_window_memory *m, const float *point);

struct toc_window_memory {
    uint64_t points;  /* since the last break */
    uint64_t offered; /* windows that could have been remembered */
    uint32_t at;      /* points modulo width */
    uint32_t phase;   /* points modulo piece */
    uint32_t next;    /* place of the next unit among the recent ones */
    toc_window_step *step;
    toc_window_search *search;
    float center, scale;
    struct toc_window_distance last; /* held between answers */
    struct toc_window_shape_options shape;
    uint32_t dimensions, piece;  /* channels · pieces; points in a piece */
    uint32_t groups;             /* of eight windows */
    uint32_t unit, recent_units; /* points in a unit; units in three windows */
    /* Bytes behind this head where the parts begin: worked out once. */
    uint32_t means_at, recent_at, windows_at;
};

static toc_window_step *step_for(const struct toc_window_memory *m);

/*
 * Behind the head, each part only where it is needed:
 *
 *     sums     [channel]         of the open unit; else of the last points of a piece
 *     points   [point][channel]  the last points, as many as a piece has; not per unit
 *     means    [point][channel]  of the piece that ends with each of the last `width` points; not
 *                                per unit
 *     recent   [unit][channel]   means of the last whole units
 *     current  [piece][channel]  the current window as it is stored, when it is large
 *     windows  the kept ones
 */

/* Candidates end with a unit: a piece, or as much of it as four points. */
static size_t unit_of(const struct toc_window_shape_options *s) {
    size_t piece = s->width / s->pieces;
    return piece % UNIT_MAX == 0 ? UNIT_MAX : piece % 2 == 0 ? 2 : 1;
}

static int check(const struct toc_window_shape_options *s, struct toc_err *err) {
    bool fits = s->channels && s->channels <= CHANNELS_MAX && s->width && s->width <= WIDTH_MAX &&
                s->pieces && s->width % s->pieces == 0 && s->capacity &&
                s->capacity <= CAPACITY_MAX &&
                (!s->is_per_unit || s->width / s->pieces == unit_of(s));
    return fits ? 0
                : toc_errf(err, TOC_EINVAL,
                           "a window memory of %u channels, width %u, %u pieces, capacity %u "
                           "cannot be made",
                           s->channels, s->width, s->pieces, s->capacity);
}

static size_t dimensions_of(const struct toc_window_shape_options *s) {
    return (size_t)s->channels * s->pieces;
}

static size_t point_count(const struct toc_window_shape_options *s) {
    return s->is_per_unit ? 0 : (size_t)s->channels * (s->width / s->pieces);
}

static size_t mean_count(const struct toc_window_shape_options *s) {
    return s->is_per_unit ? 0 : (size_t)s->channels * s->width;
}

static size_t recent_count(const struct toc_window_shape_options *s) {
    return s->channels * (3 * s->width / unit_of(s));
}

static size_t window_count(const struct toc_window_shape_options *s) {
    return (s->capacity + LANES - 1) / LANES * LANES * dimensions_of(s);
}

static size_t current_count(const struct toc_window_shape_options *s) {
    return dimensions_of(s) > FEW ? dimensions_of(s) : 0;
}

static void *part_at(const struct toc_window_memory *m, size_t bytes) {
    return (char *)(struct toc_window_memory *)m + sizeof *m + bytes;
}

static double *sums_of(struct toc_window_memory *m) {
    return part_at(m, 0);
}

static float *points_of(struct toc_window_memory *m) {
    return part_at(m, m->shape.channels * sizeof(double)); /* behind the sums */
}

static float *means_of(struct toc_window_memory *m) {
    return part_at(m, m->means_at);
}

static float *recent_of(struct toc_window_memory *m) {
    return part_at(m, m->recent_at);
}

static float *current_of(struct toc_window_memory *m) {
    return recent_of(m) + (size_t)m->recent_units * m->shape.channels;
}

static uint16_t *windows_of(const struct toc_window_memory *m) {
    return part_at(m, m->windows_at);
}

static size_t filling_bytes(const struct toc_window_shape_options *s) {
    return s->channels * sizeof(double) + (point_count(s) + mean_count(s)) * sizeof(float);
}

size_t toc_window_memory_bytes_of(const struct toc_window_shape_options *s) {
    size_t bytes = sizeof(struct toc_window_memory) + filling_bytes(s) +
                   (recent_count(s) + current_count(s)) * sizeof(float) +
                   window_count(s) * sizeof(uint16_t);
    return (bytes + 7) / 8 * 8;
}

int toc_window_memory_new(const struct toc_window_shape_options *shape,
                          struct toc_window_memory **out, struct toc_err *err) {
    int rc = check(shape, err);
    if (rc < 0)
        return rc;
    *out = toc_try_calloc(1, toc_window_memory_bytes_of(shape));
    if (!*out)
        return toc_errf(err, TOC_ENOMEM, "no memory for %u windows of %zu numbers", shape->capacity,
                        dimensions_of(shape));
    toc_window_memory_place(shape, *out);
    return 0;
}

struct toc_window_memory *toc_window_memory_place(const struct toc_window_shape_options *shape,
                                                  void *place) {
    struct toc_window_memory *m = place;
    m->shape = *shape;
    m->dimensions = (uint32_t)dimensions_of(shape);
    m->piece = shape->width / shape->pieces;
    m->groups = (shape->capacity + LANES - 1) / LANES;
    m->unit = (uint32_t)unit_of(shape);
    m->recent_units = 3 * shape->width / m->unit;
    m->means_at = (uint32_t)(shape->channels * sizeof(double) + point_count(shape) * sizeof(float));
    m->recent_at = (uint32_t)filling_bytes(shape);
    m->windows_at =
        (uint32_t)(m->recent_at + (recent_count(shape) + current_count(shape)) * sizeof(float));
    m->step = step_for(m);
    m->scale = 1;
    m->last = (struct toc_window_distance){-1, -1};
    toc_window_memory_set_portable(m, false);
    for (size_t i = 0; i < window_count(shape); i++)
        windows_of(m)[i] = TOC_HALF_INFINITY; /* nowhere near anything */
    return m;
}

void toc_window_memory_free(struct toc_window_memory **m) {
    toc_free(*m);
    *m = NULL;
}

void toc_window_memory_set_portable(struct toc_window_memory *m, bool is_portable) {
    toc_window_search *fast = toc_window_search_avx2(m->shape.channels > 1);
    m->search = fast && !is_portable ? fast : toc_window_search_portable;
}

/* Places that follow from the number of points. */
static void find_places(struct toc_window_memory *m) {
    m->at = (uint32_t)(m->points % m->shape.width);
    m->phase = (uint32_t)(m->points % m->piece);
    m->next = (uint32_t)(m->points / m->unit % m->recent_units);
}

void toc_window_memory_break(struct toc_window_memory *m) {
    m->points = 0;
    find_places(m);
    m->last = (struct toc_window_distance){-1, -1};
}

const void *toc_window_memory_due(const struct toc_window_memory *m) {
    bool is_due = m->shape.is_per_unit && m->phase + 1 == m->piece;
    return is_due ? part_at(m, m->recent_at) : NULL;
}

size_t toc_window_memory_bytes(const struct toc_window_memory *m) {
    return toc_window_memory_bytes_of(&m->shape);
}

size_t toc_window_memory_hot_bytes(const struct toc_window_shape_options *s) {
    return s->is_per_unit ? sizeof(struct toc_window_memory) + filling_bytes(s)
                          : toc_window_memory_bytes_of(s);
}

static uint16_t *stored(const struct toc_window_memory *m, uint64_t slot, size_t dimension) {
    return windows_of(m) + (slot / LANES * m->dimensions + dimension) * LANES + slot % LANES;
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
    return (float)TOC_MIN(TOC_MAX(v, -TOC_HALF_MAX), TOC_HALF_MAX);
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

/* Before anything is stored: from the means at hand. */
static void first_scale(struct toc_window_memory *m) {
    const float *recent = recent_of(m);
    double sum = 0, squares = 0, n = (double)m->recent_units;
    for (size_t i = 0; i < m->recent_units; i++)
        sum += recent[i];
    for (size_t i = 0; i < m->recent_units; i++)
        squares += (recent[i] - sum / n) * (recent[i] - sum / n);
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

/* The numbers of a shape that every point goes through: known to the compiler for the two shapes of
 * a metric, so that their loops have no counters and their places wrap without a branch. */
struct measures {
    size_t channels, width, pieces, piece, unit, recent_units;
    bool is_per_unit;
};

static struct measures measures_of(const struct toc_window_memory *m) {
    return (struct measures){m->shape.channels, m->shape.width,  m->shape.pieces,     m->piece,
                             m->unit,           m->recent_units, m->shape.is_per_unit};
}

/* Mean over a piece that begins `from` units after the oldest of the recent ones. */
INLINED double mean_of_piece(struct toc_window_memory *m, const struct measures *is,
                             size_t newest_unit, size_t from, size_t channel) {
    const float *recent = recent_of(m);
    size_t units = is->piece / is->unit, at = newest_unit + 1 + from;
    double sum = 0;
    for (size_t u = 0; u < units; u++, at++) {
        while (at >= is->recent_units)
            at -= is->recent_units;
        sum += recent[at * is->channels + channel];
    }
    return units == 1 ? sum : sum / (double)units;
}

/* The oldest of all windows that the recent units make up goes to a slot. */
INLINED void store(struct toc_window_memory *m, const struct measures *is, uint64_t slot,
                   size_t newest_unit) {
    size_t units = is->piece / is->unit;
    for (size_t p = 0; p < is->pieces; p++)
        for (size_t c = 0; c < is->channels; c++) {
            double mean = mean_of_piece(m, is, newest_unit, p * units, c);
            *stored(m, slot, p * is->channels + c) =
                toc_half_from_float(clip_half((mean - m->center) / m->scale));
        }
}

/* The m-th window offered replaces a random one with probability capacity / m. */
INLINED void remember(struct toc_window_memory *m, const struct measures *is, size_t newest_unit) {
    uint64_t slot = m->offered++;
    if (slot >= m->shape.capacity)
        slot = scramble(m->offered * 7919 + is->width) % m->offered;
    if (m->offered == 1 && is->channels == 1)
        first_scale(m);
    if (slot < m->shape.capacity)
        store(m, is, slot, newest_unit);
    bool has_doubled = m->offered >= LANES && (m->offered & (m->offered - 1)) == 0;
    if (is->channels == 1 && has_doubled)
        rescale(m, m->offered < m->shape.capacity ? m->offered : m->shape.capacity);
}

/* A unit is whole with this point: its mean is kept, and an older window offered. A unit is a
 * piece, or the sum of the newest points of one. */
INLINED void end_unit(struct toc_window_memory *m, const struct measures *is) {
    size_t at = m->next;
    float *recent = recent_of(m) + at * is->channels;
    const float *newest =
        points_of(m) + ((m->phase ? m->phase : is->piece) - is->unit) * is->channels;
    for (size_t c = 0; c < is->channels; c++) {
        double sum = sums_of(m)[c];
        if (is->unit < is->piece) {
            sum = 0;
            for (size_t i = 0; i < is->unit; i++)
                sum += newest[i * is->channels + c];
        }
        recent[c] = (float)(sum / (double)is->unit);
    }
    m->next = m->next + 1 < is->recent_units ? m->next + 1 : 0;
    if (m->points >= 3 * (uint64_t)is->width)
        remember(m, is, at);
}

/* Sums anew from the points, once per piece: rounding adds up. */
INLINED void add_up(struct toc_window_memory *m, const struct measures *is) {
    const float *points = points_of(m);
    for (size_t c = 0; c < is->channels; c++) {
        double sum = 0;
        for (size_t i = 0; i < is->piece; i++)
            sum += points[i * is->channels + c];
        sums_of(m)[c] = sum;
    }
}

/* The piece that ends with the new point. */
INLINED void slide_piece(struct toc_window_memory *m, const struct measures *is,
                         const float *point) {
    float *oldest = points_of(m) + m->phase * is->channels,
          *means = means_of(m) + m->at * is->channels;
    double *sums = sums_of(m), share = 1 / (double)is->piece;
    for (size_t c = 0; c < is->channels; c++) {
        sums[c] += (double)point[c] - oldest[c];
        oldest[c] = point[c];
    }
    if (m->phase + 1 == is->piece)
        add_up(m, is);
    for (size_t c = 0; c < is->channels; c++)
        means[c] = (float)(sums[c] * share);
}

/* Per unit a piece is one. */
INLINED void fill_unit(struct toc_window_memory *m, const struct measures *is, const float *point) {
    double *sums = sums_of(m);
    bool is_first = m->phase == 0;
    for (size_t c = 0; c < is->channels; c++)
        sums[c] = (is_first ? 0 : sums[c]) + point[c];
}

/* The means of the last `width` points, oldest piece first. Per unit a piece is one unit, and the
 * recent ones are at hand. */
INLINED void find_current(struct toc_window_memory *m, const struct measures *is, float *current) {
    const float *means = means_of(m);
    size_t step = is->piece, count = is->width, at = m->at + step - 1;
    if (is->is_per_unit) {
        means = recent_of(m);
        step = 1;
        count = is->recent_units;
        at = m->next + count - is->pieces;
    }
#pragma GCC unroll 16
    for (size_t p = 0; p < is->pieces; p++, at += step) {
        at = at >= count ? at - count : at;
        for (size_t c = 0; c < is->channels; c++)
            current[p * is->channels + c] = means[at * is->channels + c];
    }
}

INLINED struct toc_window_distance search(struct toc_window_memory *m, const struct measures *is) {
    const size_t dimensions = is->channels * is->pieces;
    float few[FEW], *current = dimensions > FEW ? current_of(m) : few;
    find_current(m, is, current);
    double per_scale = 1 / (double)m->scale;
    struct toc_window_unit unit = {per_scale, m->center * per_scale};
    struct toc_window_nearest n = m->search(&unit, current, windows_of(m), m->groups, dimensions);
    double width = (double)is->width, pieces = (double)is->pieces;
    double absolute = is->channels > 1 ? n.absolute : -1;
    return (struct toc_window_distance){m->scale * sqrt(n.squared * width / pieces), absolute};
}

INLINED struct toc_window_distance step(struct toc_window_memory *m, const struct measures *is,
                                        const float *point) {
    if (m->points == 0) /* sums begin as of zeros before the first point */
        memset(sums_of(m), 0, m->recent_at);
    if (is->is_per_unit)
        fill_unit(m, is, point);
    else
        slide_piece(m, is, point);
    m->points++;
    m->at = m->at + 1 < is->width ? m->at + 1 : 0;
    m->phase = m->phase + 1 < is->piece ? m->phase + 1 : 0;
    bool is_whole = (m->phase & (is->unit - 1)) == 0; /* a power of two that divides the piece */
    if (is_whole)
        end_unit(m, is);
    if (m->points < is->width || !m->offered)
        m->last = (struct toc_window_distance){-1, -1};
    else if (is_whole || !is->is_per_unit)
        m->last = search(m, is);
    return m->last;
}

/* The windows of a metric: 64 points in pieces of 4, looked at per piece; 16 in pieces of 2. */
static const struct measures LONG = {1, 64, 16, 4, 4, 48, true},
                             SHORT = {1, 16, 8, 2, 2, 24, false};

static struct toc_window_distance step_long(struct toc_window_memory *m, const float *point) {
    return step(m, &LONG, point);
}

static struct toc_window_distance step_short(struct toc_window_memory *m, const float *point) {
    return step(m, &SHORT, point);
}

static struct toc_window_distance step_any(struct toc_window_memory *m, const float *point) {
    struct measures is = measures_of(m);
    return step(m, &is, point);
}

static bool has_shape(const struct toc_window_memory *m, const struct measures *is) {
    return m->shape.channels == is->channels && m->shape.width == is->width &&
           m->shape.pieces == is->pieces && m->shape.is_per_unit == is->is_per_unit;
}

static toc_window_step *step_for(const struct toc_window_memory *m) {
    return has_shape(m, &LONG) ? step_long : has_shape(m, &SHORT) ? step_short : step_any;
}

struct toc_window_distance toc_window_memory_step(struct toc_window_memory *m, const float *point) {
    return m->step(m, point);
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

/* Of a kept answer: not negative, or -1 for none. */
static int get_distance(struct toc_reader *r, double *out) {
    *out = toc_read_f64(r);
    return (*out >= 0 && *out <= 1e300) || *out == -1 ? 0 : TOC_ECORRUPT;
}

/* Points and means that are kept, one behind the other. */
static size_t float_count(const struct toc_window_shape_options *s) {
    return point_count(s) + mean_count(s) + recent_count(s);
}

void toc_window_memory_encode(const struct toc_window_memory *m, struct toc_buf *out) {
    toc_buf_append_varint(out, m->points);
    toc_buf_append_varint(out, m->offered);
    put_float(out, m->center);
    put_float(out, m->scale);
    toc_buf_append_f64(out, m->last.squared);
    toc_buf_append_f64(out, m->last.absolute);
    struct toc_window_memory *parts = (struct toc_window_memory *)m;
    for (size_t i = 0; i < m->shape.channels; i++)
        toc_buf_append_f64(out, sums_of(parts)[i]);
    for (size_t i = 0; i < float_count(&m->shape); i++)
        put_float(out, points_of(parts)[i]);
    for (size_t i = 0; i < window_count(&m->shape); i++) {
        toc_buf_append_u8(out, (uint8_t)windows_of(m)[i]);
        toc_buf_append_u8(out, (uint8_t)(windows_of(m)[i] >> 8));
    }
}

/* Kept windows are numbers, free places infinite. */
static int decode_windows(struct toc_window_memory *m, struct toc_reader *r) {
    bool is_sound = true;
    uint16_t *windows = windows_of(m);
    for (size_t i = 0; i < window_count(&m->shape); i++) {
        uint16_t low = toc_read_u8(r);
        windows[i] = (uint16_t)(low | (uint16_t)toc_read_u8(r) << 8);
        uint64_t slot = i / ((size_t)m->dimensions * LANES) * LANES + i % LANES;
        bool is_kept = slot < m->offered && slot < m->shape.capacity;
        is_sound &=
            is_kept ? (windows[i] & 0x7fff) < TOC_HALF_INFINITY : windows[i] == TOC_HALF_INFINITY;
    }
    return is_sound ? 0 : TOC_ECORRUPT;
}

int toc_window_memory_decode(struct toc_window_memory *m, struct toc_reader *r) {
    m->points = toc_read_varint(r);
    m->offered = toc_read_varint(r);
    find_places(m);
    int rc = get_float(r, &m->center) < 0 || get_float(r, &m->scale) < 0 ? TOC_ECORRUPT : 0;
    if (m->points >> 62 || m->offered >> 62 || !(m->scale > 1e-38f) || m->scale > 2e30f)
        rc = TOC_ECORRUPT;
    rc = rc ? rc : get_distance(r, &m->last.squared);
    rc = rc ? rc : get_distance(r, &m->last.absolute);
    for (size_t i = 0; i < m->shape.channels && rc == 0; i++) {
        sums_of(m)[i] = toc_read_f64(r);
        rc = isfinite(sums_of(m)[i]) && fabs(sums_of(m)[i]) < 1e35 ? 0 : TOC_ECORRUPT;
    }
    for (size_t i = 0; i < float_count(&m->shape) && rc == 0; i++)
        rc = get_float(r, &points_of(m)[i]);
    if (rc == 0)
        rc = decode_windows(m, r);
    return r->error ? r->error : rc;
}
