#include "detect/window_memory.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

enum { WIDTH_MAX = 4096, CAPACITY_MAX = 65536, CHANNELS_MAX = 4096, REFRESH_POINTS = 4096 };

struct toc_window_memory {
    struct toc_window_shape_options shape;
    size_t dimensions, piece; /* channels · pieces; points in a piece */
    size_t padded;            /* dimensions up to a multiple of eight; the rest is 0 */
    size_t ring_points;       /* three widths */
    uint64_t points;          /* since the last break */
    uint64_t offered;         /* windows that could have been remembered */
    size_t kept;
    struct toc_rng rng;
    float *ring;    /* ring_points · channels */
    double *sums;   /* of the pieces of the current window: [channel][piece] */
    float *current; /* their means */
    float *windows; /* kept ones */
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

int toc_window_memory_new(const struct toc_window_shape_options *shape,
                          struct toc_window_memory **out, struct toc_err *err) {
    int rc = check(shape, err);
    if (rc < 0)
        return rc;
    struct toc_window_memory *m = TOC_NEW(struct toc_window_memory);
    m->shape = *shape;
    m->dimensions = shape->channels * shape->pieces;
    m->piece = shape->width / shape->pieces;
    m->padded = (m->dimensions + 7) / 8 * 8;
    m->ring_points = 3 * shape->width + 1;
    toc_rng_seed(&m->rng, shape->width * 1000003 + shape->capacity);
    m->ring = toc_try_calloc(m->ring_points * shape->channels, sizeof *m->ring);
    m->sums = toc_try_calloc(m->dimensions, sizeof *m->sums);
    m->current = toc_try_calloc(m->padded, sizeof *m->current);
    m->windows = toc_try_calloc(shape->capacity * m->padded, sizeof *m->windows);
    *out = m;
    if (m->ring && m->sums && m->current && m->windows)
        return 0;
    toc_window_memory_free(out);
    return toc_errf(err, TOC_ENOMEM, "no memory for %zu windows of %zu numbers", shape->capacity,
                    shape->channels * shape->pieces);
}

void toc_window_memory_free(struct toc_window_memory **m) {
    if (!*m)
        return;
    toc_free((*m)->ring);
    toc_free((*m)->sums);
    toc_free((*m)->current);
    toc_free((*m)->windows);
    toc_free(*m);
    *m = NULL;
}

void toc_window_memory_break(struct toc_window_memory *m) {
    m->points = 0;
}

size_t toc_window_memory_bytes(const struct toc_window_memory *m) {
    return sizeof *m + m->ring_points * m->shape.channels * sizeof *m->ring +
           m->dimensions * (sizeof *m->sums + sizeof *m->current) +
           m->shape.capacity * m->padded * sizeof *m->windows;
}

/* The point `age` points before the newest. */
static const float *point_at(const struct toc_window_memory *m, uint64_t age) {
    return m->ring + (m->points - 1 - age) % m->ring_points * m->shape.channels;
}

/* Means of the window whose newest point is `age` old, from the ring. */
static void means_at(const struct toc_window_memory *m, uint64_t age, float *out) {
    size_t pieces = m->shape.pieces;
    for (size_t c = 0; c < m->shape.channels; c++)
        for (size_t p = 0; p < pieces; p++) {
            double sum = 0;
            for (size_t i = 0; i < m->piece; i++)
                sum += point_at(m, age + (pieces - 1 - p) * m->piece + i)[c];
            out[c * pieces + p] = (float)(sum / (double)m->piece);
        }
}

/* Moves the sums one point on; recomputed now and then, since rounding adds up. */
static void move_sums(struct toc_window_memory *m) {
    size_t pieces = m->shape.pieces, width = m->shape.width;
    if (m->points == width || m->points % REFRESH_POINTS == 0) {
        means_at(m, 0, m->current);
        for (size_t i = 0; i < m->dimensions; i++)
            m->sums[i] = m->current[i] * (double)m->piece;
        return;
    }
    for (size_t p = 0; p < pieces; p++) {
        const float *in = point_at(m, (pieces - 1 - p) * m->piece),
                    *gone = point_at(m, (pieces - p) * m->piece);
        for (size_t c = 0; c < m->shape.channels; c++)
            m->sums[c * pieces + p] += (double)in[c] - gone[c];
    }
    for (size_t i = 0; i < m->dimensions; i++)
        m->current[i] = (float)(m->sums[i] / (double)m->piece);
}

/* The m-th window offered replaces a random one with probability capacity / m. */
static void remember(struct toc_window_memory *m) {
    if (m->points < 3 * (uint64_t)m->shape.width)
        return;
    uint64_t slot = m->kept;
    m->offered++;
    if (m->kept < m->shape.capacity)
        m->kept++;
    else
        slot = toc_rng_below(&m->rng, m->offered);
    if (slot < m->shape.capacity)
        means_at(m, 2 * m->shape.width, m->windows + slot * m->padded);
}

/* Eight floats at once where the machine can (GCC's vector extension; elsewhere the same sums). */
enum { LANES = 8 };
typedef float lanes_f32 __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));
typedef int32_t lanes_i32 __attribute__((vector_size(LANES * sizeof(int32_t)), aligned(4)));

static float total(const lanes_f32 *v) { /* by address: how vectors are passed depends on AVX */
    float sum = 0;
    for (int i = 0; i < LANES; i++)
        sum += (*v)[i];
    return sum;
}

/* Sums of squared and of absolute differences over the padded dimensions. */
static void differences(const float *a, const float *b, size_t padded, float *out_squared,
                        float *out_absolute) {
    lanes_f32 squared = {0}, absolute = {0};
    for (size_t i = 0; i < padded; i += LANES) {
        lanes_f32 x, y;
        memcpy(&x, a + i, sizeof x);
        memcpy(&y, b + i, sizeof y);
        lanes_f32 d = x - y;
        squared += d * d;
        absolute += (lanes_f32)((lanes_i32)d & 0x7fffffff);
    }
    *out_squared = total(&squared);
    *out_absolute = total(&absolute);
}

static struct toc_window_distance nearest(const struct toc_window_memory *m) {
    float squared = INFINITY, absolute = INFINITY;
    for (size_t k = 0; k < m->kept; k++) {
        float s, a;
        differences(m->current, m->windows + k * m->padded, m->padded, &s, &a);
        squared = s < squared ? s : squared;
        absolute = a < absolute ? a : absolute;
    }
    if (!m->kept)
        return (struct toc_window_distance){-1, -1};
    double width = (double)m->shape.width, pieces = (double)m->shape.pieces;
    return (struct toc_window_distance){sqrt(squared * width / pieces), absolute};
}

struct toc_window_distance toc_window_memory_step(struct toc_window_memory *m, const float *point) {
    memcpy(m->ring + m->points % m->ring_points * m->shape.channels, point,
           m->shape.channels * sizeof *point);
    m->points++;
    if (m->points < m->shape.width)
        return (struct toc_window_distance){-1, -1};
    move_sums(m);
    remember(m);
    return nearest(m);
}
