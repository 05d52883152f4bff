/*
 * Several columns of one entity, each as z-score against its own past. Joint windows of 64 and 16
 * points (root of squares and sum of absolute distances), the joint energy of 16 and 4 points, and
 * per column what a line does not explain and short windows of its own.
 */
#include <math.h>

#include "base/alloc.h"
#include "base/attrs.h"
#include "detect/stream_priv.h"

enum {
    COLUMN_WINDOWS = 64,
    RESIDUAL_POINTS = 16,
    ROWS_BEFORE_STILL = 200,
    STILL_ROWS_MIN = 4,
};
static const double STILL_SHARE_MAX = 0.1;

struct column {
    struct toc_moments moments;
    struct toc_line line;
    struct toc_sliding_sum residual;
    struct toc_window_memory *windows;
    struct toc_tail_sketch residual_score, window_score, row_score;
    double last;
    uint32_t rows, repeats, still,
        longest; /* rows equal to the one before: all, of late, at most */
};

struct toc_stream_entity {
    size_t count;
    struct column *columns;
    float *point; /* z-scores of the row */
    struct toc_window_memory *long_windows, *short_windows;
    struct toc_sliding_sum energy_short, energy_long;
    struct toc_tail_sketch long_squared, long_absolute, short_absolute, energy_short_score,
        energy_long_score, residual_score, all_score;
};

static int new_columns(struct toc_stream_entity *m, struct toc_err *err) {
    int rc = 0;
    m->columns = toc_try_calloc(m->count, sizeof *m->columns);
    m->point = toc_try_calloc(m->count, sizeof *m->point);
    if (!m->columns || !m->point)
        return toc_errf(err, TOC_ENOMEM, "no memory for %zu columns", m->count);
    for (size_t i = 0; i < m->count && rc == 0; i++) {
        m->columns[i].residual.width = RESIDUAL_POINTS;
        rc = toc_window_memory_new(
            &(struct toc_window_shape_options){1, 16, 8, COLUMN_WINDOWS, false},
            &m->columns[i].windows, err);
    }
    return rc;
}

int toc_stream_entity_new(size_t columns, size_t windows, struct toc_stream_entity **out,
                          struct toc_err *err) {
    struct toc_stream_entity *m = TOC_NEW(struct toc_stream_entity);
    *out = m;
    m->count = columns;
    m->energy_short.width = 4;
    m->energy_long.width = 16;
    int rc = new_columns(m, err);
    if (rc == 0)
        rc = toc_window_memory_new(
            &(struct toc_window_shape_options){(uint32_t)columns, 64, 4, (uint32_t)windows, false},
            &m->long_windows, err);
    if (rc == 0)
        rc = toc_window_memory_new(
            &(struct toc_window_shape_options){(uint32_t)columns, 16, 4, (uint32_t)windows, false},
            &m->short_windows, err);
    if (rc < 0)
        toc_stream_entity_free(out);
    return rc;
}

void toc_stream_entity_free(struct toc_stream_entity **m) {
    if (!*m)
        return;
    for (size_t i = 0; (*m)->columns && i < (*m)->count; i++)
        toc_window_memory_free(&(*m)->columns[i].windows);
    toc_free((*m)->columns);
    toc_free((*m)->point);
    toc_window_memory_free(&(*m)->long_windows);
    toc_window_memory_free(&(*m)->short_windows);
    toc_free(*m);
    *m = NULL;
}

void toc_stream_entity_break(struct toc_stream_entity *m) {
    toc_window_memory_break(m->long_windows);
    toc_window_memory_break(m->short_windows);
    for (size_t i = 0; i < m->count; i++)
        toc_window_memory_break(m->columns[i].windows);
}

size_t toc_stream_entity_bytes(const struct toc_stream_entity *m) {
    size_t bytes = sizeof *m + toc_window_memory_bytes(m->long_windows) +
                   toc_window_memory_bytes(m->short_windows);
    for (size_t i = 0; i < m->count; i++)
        bytes += sizeof m->columns[i] + toc_window_memory_bytes(m->columns[i].windows);
    return bytes;
}

/*
 * How surprising it is that a column has not moved for so many rows, when it repeated itself with
 * probability p so far: -log10 p per row, once it stands still for more than twice as long as ever.
 * A column that repeats itself more than one time in ten says nothing.
 */
static double stillness(struct column *c, double v) {
    c->rows += c->rows < UINT32_MAX;
    if (c->rows == 1 || v != c->last) {
        c->last = v;
        c->longest = TOC_MAX(c->longest, c->still);
        c->still = 0;
        return 0;
    }
    c->still++;
    double share = (c->repeats + 1.0) / (c->rows + 1.0);
    c->repeats++;
    bool is_news = c->rows > ROWS_BEFORE_STILL && share < STILL_SHARE_MAX &&
                   c->still >= 2 * (uint64_t)c->longest + STILL_ROWS_MIN;
    return is_news ? -(double)c->still * log10(share) : 0;
}

/* The columns' own part; means over all. */
static void step_columns(struct toc_stream_entity *m, const double *values, double *out_energy,
                         double *out_residual, double *out_windows, double *out_row) {
    *out_row = 0;
    *out_energy = *out_residual = *out_windows = 0;
    for (size_t i = 0; i < m->count; i++) {
        struct column *c = &m->columns[i];
        float raw = (float)values[i];
        double z = toc_moments_z(&c->moments, values[i], toc_moments_spread(&c->moments), 20);
        m->point[i] = (float)z;
        *out_energy += z * z;
        double off = toc_line_residual(&c->line, values[i]);
        double still = stillness(c, values[i]);
        if (c->still == 0) { /* of a value that comes now and then the rows between are no news */
            double row = toc_row_surprise(toc_tail_take_surprise(&c->row_score.tail, off));
            *out_row = fmax(*out_row, row);
        }
        *out_row = fmax(*out_row, still);
        double rms = sqrt(toc_sliding_sum_add(&c->residual, off * off) / RESIDUAL_POINTS);
        *out_residual += toc_tail_take_excess(&c->residual_score.tail, rms);
        double distance = toc_window_memory_step(c->windows, &raw).squared;
        *out_windows += toc_tail_take_excess(&c->window_score.tail, distance);
    }
    *out_residual /= (double)m->count;
    *out_windows /= (double)m->count;
}

static float surprise_of(const struct toc_tail *s, double score) {
    return score < 0 ? 0 : (float)toc_tail_surprise(s, score);
}

struct toc_verdict toc_stream_entity_step(struct toc_stream_entity *m, const double *values) {
    struct toc_verdict out = {0};
    double energy, residual, windows, row;
    step_columns(m, values, &energy, &residual, &windows, &row);
    double e_short = sqrt(toc_sliding_sum_add(&m->energy_short, energy) / 4);
    double e_long = sqrt(toc_sliding_sum_add(&m->energy_long, energy) / 16);
    struct toc_window_distance far = toc_window_memory_step(m->long_windows, m->point);
    struct toc_window_distance near = toc_window_memory_step(m->short_windows, m->point);
    out.features[TOC_STREAM_LONG_WINDOW] = surprise_of(&m->long_squared.tail, far.squared);
    out.features[TOC_STREAM_SHORT_WINDOW] = surprise_of(&m->short_absolute.tail, near.absolute);
    out.features[TOC_STREAM_ENERGY] = surprise_of(&m->energy_short_score.tail, e_short);
    out.features[TOC_STREAM_LINE] = surprise_of(&m->residual_score.tail, residual);
    out.rank = toc_tail_take_excess(&m->long_squared.tail, far.squared) +
               toc_tail_take_excess(&m->long_absolute.tail, far.absolute) +
               toc_tail_take_excess(&m->short_absolute.tail, near.absolute) +
               toc_tail_take_excess(&m->energy_short_score.tail, e_short) +
               0.5 * toc_tail_take_excess(&m->energy_long_score.tail, e_long) +
               toc_tail_take_excess(&m->residual_score.tail, residual) + 0.5 * windows;
    out.features[TOC_STREAM_RESIDUAL] = (float)fmin(row, 1e6);
    double joint = toc_tail_take_surprise(&m->all_score.tail, out.rank);
    out.surprise = fmax(joint, row - log10((double)m->count)); /* the strangest of so many */
    return out;
}

/* ---------------------------------------------------------------------------------------- bytes */

static void encode_sum(const struct toc_sliding_sum *s, struct toc_buf *out) {
    for (size_t i = 0; i < s->width; i++)
        toc_buf_append_f64(out, s->values[i]);
    toc_buf_append_f64(out, s->sum);
    toc_buf_append_varint(out, s->at);
}

static int decode_sum(struct toc_sliding_sum *s, struct toc_reader *r) {
    int rc = 0;
    for (size_t i = 0; i < s->width && rc == 0; i++)
        rc = toc_read_float(r, 3e38, &s->values[i]);
    rc = rc ? rc : toc_read_number(r, 1e300, &s->sum);
    uint64_t at = toc_read_varint(r);
    s->at = (uint32_t)(at < s->width ? at : 0);
    return rc ? rc : r->error ? r->error : at < s->width ? 0 : TOC_ECORRUPT;
}

static void encode_line(const struct toc_line *l, struct toc_buf *out) {
    toc_buf_append_f64(out, l->s0);
    toc_buf_append_f64(out, l->s1);
    toc_buf_append_f64(out, l->s2);
    toc_buf_append_f64(out, l->t0);
    toc_buf_append_f64(out, l->t1);
    toc_buf_append_varint(out, l->count);
}

static int decode_line(struct toc_line *l, struct toc_reader *r) {
    int rc = toc_read_number(r, 1e6, &l->s0);
    rc = rc ? rc : toc_read_number(r, 1e6, &l->s1);
    rc = rc ? rc : toc_read_number(r, 1e6, &l->s2);
    rc = rc ? rc : toc_read_number(r, 1e36, &l->t0);
    rc = rc ? rc : toc_read_number(r, 1e36, &l->t1);
    l->count = toc_read_varint(r);
    bool is_sound = l->count == 0 || l->s0 >= 0.9;
    return rc ? rc : r->error ? r->error : is_sound ? 0 : TOC_ECORRUPT;
}

/* The joint scores, in the order of the bytes. */
#define JOINT_SCORES(m)                                                               \
    {                                                                                 \
        &(m)->long_squared.tail, &(m)->long_absolute.tail, &(m)->short_absolute.tail, \
            &(m)->energy_short_score.tail, &(m)->energy_long_score.tail,              \
            &(m)->residual_score.tail, &(m)->all_score.tail                           \
    }

void toc_stream_entity_encode(const struct toc_stream_entity *m, struct toc_buf *out) {
    const struct toc_tail *joint[] = JOINT_SCORES(m);
    for (size_t i = 0; i < TOC_ARRAY_LEN(joint); i++)
        toc_tail_encode(joint[i], out);
    encode_sum(&m->energy_short, out);
    encode_sum(&m->energy_long, out);
    toc_window_memory_encode(m->long_windows, out);
    toc_window_memory_encode(m->short_windows, out);
    for (size_t i = 0; i < m->count; i++) {
        const struct column *c = &m->columns[i];
        toc_moments_encode(&c->moments, out);
        encode_line(&c->line, out);
        encode_sum(&c->residual, out);
        toc_tail_encode(&c->residual_score.tail, out);
        toc_tail_encode(&c->window_score.tail, out);
        toc_tail_encode(&c->row_score.tail, out);
        toc_buf_append_f64(out, c->last);
        toc_buf_append_varint(out, c->rows);
        toc_buf_append_varint(out, c->repeats);
        toc_buf_append_varint(out, c->still);
        toc_buf_append_varint(out, c->longest);
        toc_window_memory_encode(c->windows, out);
    }
}

static int decode_column(struct column *c, struct toc_reader *r) {
    int rc = toc_moments_decode(&c->moments, r);
    rc = rc ? rc : decode_line(&c->line, r);
    rc = rc ? rc : decode_sum(&c->residual, r);
    rc = rc ? rc : toc_tail_decode(&c->residual_score.tail, r);
    rc = rc ? rc : toc_tail_decode(&c->window_score.tail, r);
    rc = rc ? rc : toc_tail_decode(&c->row_score.tail, r);
    rc = rc ? rc : toc_read_number(r, 1e30, &c->last);
    uint64_t rows = toc_read_varint(r), repeats = toc_read_varint(r), still = toc_read_varint(r),
             longest = toc_read_varint(r);
    c->rows = (uint32_t)rows;
    c->repeats = (uint32_t)repeats;
    c->still = (uint32_t)still;
    c->longest = (uint32_t)longest;
    if (rc == 0 && (rows > UINT32_MAX || repeats > rows || still > repeats || longest > repeats))
        rc = TOC_ECORRUPT;
    return rc ? rc : toc_window_memory_decode(c->windows, r);
}

int toc_stream_entity_decode(struct toc_stream_entity *m, struct toc_reader *r) {
    struct toc_tail *joint[] = JOINT_SCORES(m);
    int rc = 0;
    for (size_t i = 0; i < TOC_ARRAY_LEN(joint) && rc == 0; i++)
        rc = toc_tail_decode(joint[i], r);
    rc = rc ? rc : decode_sum(&m->energy_short, r);
    rc = rc ? rc : decode_sum(&m->energy_long, r);
    rc = rc ? rc : toc_window_memory_decode(m->long_windows, r);
    rc = rc ? rc : toc_window_memory_decode(m->short_windows, r);
    for (size_t i = 0; i < m->count && rc == 0; i++)
        rc = decode_column(&m->columns[i], r);
    return rc;
}
