/*
 * Several columns of one entity, each as z-score against its own past. Joint windows of 64 and 16
 * points (root of squares and sum of absolute distances), the joint energy of 16 and 4 points, and
 * per column what a line does not explain and short windows of its own.
 */
#include <math.h>

#include "base/alloc.h"
#include "detect/stream_priv.h"

enum { COLUMN_WINDOWS = 64, RESIDUAL_POINTS = 16 };

struct column {
    struct toc_moments moments;
    struct toc_line line;
    struct toc_sliding_sum residual;
    struct toc_window_memory *windows;
    struct toc_scored residual_score, window_score;
};

struct toc_stream_entity {
    size_t count;
    struct column *columns;
    float *point; /* z-scores of the row */
    struct toc_window_memory *long_windows, *short_windows;
    struct toc_sliding_sum energy_short, energy_long;
    struct toc_scored long_squared, long_absolute, short_absolute, energy_short_score,
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
        rc = toc_window_memory_new(&(struct toc_window_shape_options){1, 16, 8, COLUMN_WINDOWS},
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
        rc = toc_window_memory_new(&(struct toc_window_shape_options){columns, 64, 4, windows},
                                   &m->long_windows, err);
    if (rc == 0)
        rc = toc_window_memory_new(&(struct toc_window_shape_options){columns, 16, 4, windows},
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

size_t toc_stream_entity_bytes(const struct toc_stream_entity *m) {
    size_t bytes = sizeof *m + toc_window_memory_bytes(m->long_windows) +
                   toc_window_memory_bytes(m->short_windows);
    for (size_t i = 0; i < m->count; i++)
        bytes += sizeof m->columns[i] + toc_window_memory_bytes(m->columns[i].windows);
    return bytes;
}

/* The columns' own part; means over all. */
static void step_columns(struct toc_stream_entity *m, const double *values, double *out_energy,
                         double *out_residual, double *out_windows) {
    *out_energy = *out_residual = *out_windows = 0;
    for (size_t i = 0; i < m->count; i++) {
        struct column *c = &m->columns[i];
        float raw = (float)values[i];
        double z = toc_moments_z(&c->moments, values[i], 20);
        m->point[i] = (float)z;
        *out_energy += z * z;
        double off = toc_line_residual(&c->line, values[i]);
        double rms = sqrt(toc_sliding_sum_add(&c->residual, off * off) / RESIDUAL_POINTS);
        *out_residual += toc_scored_excess(&c->residual_score, rms);
        double distance = toc_window_memory_step(c->windows, &raw).squared;
        *out_windows += toc_scored_excess(&c->window_score, distance);
    }
    *out_residual /= (double)m->count;
    *out_windows /= (double)m->count;
}

static float surprise_of(const struct toc_scored *s, double score) {
    return score < 0 ? 0 : (float)toc_tail_surprise(&s->tail, score);
}

struct toc_verdict toc_stream_entity_step(struct toc_stream_entity *m, const double *values) {
    struct toc_verdict out = {0};
    double energy, residual, windows;
    step_columns(m, values, &energy, &residual, &windows);
    double e_short = sqrt(toc_sliding_sum_add(&m->energy_short, energy) / 4);
    double e_long = sqrt(toc_sliding_sum_add(&m->energy_long, energy) / 16);
    struct toc_window_distance far = toc_window_memory_step(m->long_windows, m->point);
    struct toc_window_distance near = toc_window_memory_step(m->short_windows, m->point);
    out.features[TOC_STREAM_LONG_WINDOW] = surprise_of(&m->long_squared, far.squared);
    out.features[TOC_STREAM_SHORT_WINDOW] = surprise_of(&m->short_absolute, near.absolute);
    out.features[TOC_STREAM_ENERGY] = surprise_of(&m->energy_short_score, e_short);
    out.features[TOC_STREAM_LINE] = surprise_of(&m->residual_score, residual);
    out.rank = toc_scored_excess(&m->long_squared, far.squared) +
               toc_scored_excess(&m->long_absolute, far.absolute) +
               toc_scored_excess(&m->short_absolute, near.absolute) +
               toc_scored_excess(&m->energy_short_score, e_short) +
               0.5 * toc_scored_excess(&m->energy_long_score, e_long) +
               toc_scored_excess(&m->residual_score, residual) + 0.5 * windows;
    out.surprise = toc_scored_surprise(&m->all_score, out.rank);
    return out;
}
