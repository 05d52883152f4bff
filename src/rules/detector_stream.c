#include "rules/detector_stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "detect/change_point.h"
#include "detect/holt_winters.h"
#include "detect/peers.h"
#include "detect/quiet.h"
#include "detect/stream.h"
#include "rules/detector_curve.h"

enum {
    CHANGE_HOLD = 20, /* evaluations that a change stays an anomaly */
    SEASON_LAG_MAX = 1000,
    DAY_MS = 86400000,
};

/* One series' state, by method. */
struct change_state {
    struct toc_change_point point;
    uint32_t hold;
};
struct flat_state {
    struct toc_quiet quiet;
    double last; /* NaN: none yet */
};
struct ensemble_state {
    struct toc_stream *stream; /* owned */
    uint64_t rows;
};
struct detector_stream {
    union {
        struct ensemble_state ensemble;
        struct toc_holt holt;
        struct change_state *change;  /* owned */
        struct detector_curve *curve; /* owned */
        struct toc_peer peer;
        struct flat_state flat; /* flat_line, missing */
    };
    uint64_t group; /* of the peers */
};

/* ---- life ---- */

static uint32_t season_steps(const struct detector_config *c, const struct detector_grid *g,
                             const struct detector_row_set *row, size_t index) {
    if (c->season_ms >= 0)
        return (uint32_t)(c->season_ms / c->interval_ms);
    if (!g || g->steps < 16 || index >= TOC_DETECTOR_SEASONS_SOUGHT)
        return 0;
    double found = (double)toc_season_find(row->cells, g->steps, SEASON_LAG_MAX);
    double day = (double)DAY_MS / (double)c->interval_ms;
    return fabs(found - day) < day / 20 ? (uint32_t)day : (uint32_t)found;
}

static uint64_t group_of(const struct detector_config *c, struct toc_labels labels) {
    uint64_t h = 1;
    for (size_t i = 0; i < c->by_count; i++) {
        struct toc_sv v = toc_labels_get(labels, c->by[i]);
        h = toc_hash64(v.p, v.n, h + i);
    }
    return h;
}

static int ensemble_new(const struct detector_config *c, struct toc_stream **out) {
    static const enum toc_stream_direction directions[] = {
        [TOC_DIRECTION_BOTH] = TOC_STREAM_BOTH,
        [TOC_DIRECTION_UP] = TOC_STREAM_UP,
        [TOC_DIRECTION_DOWN] = TOC_STREAM_DOWN,
    };
    const struct toc_stream_options o = {.columns = c->feature_count,
                                         .budget_seconds = c->budget_seconds,
                                         .threshold = isnan(c->threshold) ? 0 : c->threshold,
                                         .direction = directions[c->direction]};
    return toc_stream_new(&o, out, NULL);
}

static int stream_new(const struct detector_config *c, uint32_t season, struct toc_labels labels,
                      struct detector_stream **out) {
    struct detector_stream *s = TOC_NEW(struct detector_stream);
    int rc = 0;
    *out = s;
    if (c->method == TOC_DETECTOR_HOLT_WINTERS)
        rc = toc_holt_init(
            &s->holt, &(struct toc_holt_options){
                          .alpha = c->alpha, .beta = c->beta, .gamma = c->gamma, .season = season});
    else if (c->method == TOC_DETECTOR_CHANGE_POINT)
        s->change = TOC_NEW(struct change_state);
    else if (toc_detector_is_curve(c->method))
        s->curve = toc_detector_curve_new();
    else if (c->method == TOC_DETECTOR_PEERS)
        s->group = group_of(c, labels);
    else if (c->method == TOC_DETECTOR_ENSEMBLE)
        rc = ensemble_new(c, &s->ensemble.stream);
    else
        s->flat.last = NAN;
    return rc;
}

void toc_detector_stream_free(const struct detector_config *c, struct detector_series *s) {
    if (!s->stream)
        return;
    if (c->method == TOC_DETECTOR_HOLT_WINTERS)
        toc_holt_fini(&s->stream->holt);
    if (c->method == TOC_DETECTOR_CHANGE_POINT)
        toc_free(s->stream->change);
    if (toc_detector_is_curve(c->method))
        toc_detector_curve_free(&s->stream->curve);
    if (c->method == TOC_DETECTOR_ENSEMBLE)
        toc_stream_free(&s->stream->ensemble.stream);
    toc_free(s->stream);
    s->stream = NULL;
}

size_t toc_detector_stream_bytes(const struct detector_config *c, const struct detector_series *s) {
    if (!s->stream)
        return 0;
    size_t bytes = sizeof *s->stream;
    if (c->method == TOC_DETECTOR_HOLT_WINTERS)
        bytes += s->stream->holt.options.season * sizeof(double);
    if (c->method == TOC_DETECTOR_CHANGE_POINT)
        bytes += sizeof *s->stream->change;
    if (toc_detector_is_curve(c->method))
        bytes += toc_detector_curve_bytes();
    if (c->method == TOC_DETECTOR_ENSEMBLE)
        bytes += toc_stream_bytes(s->stream->ensemble.stream);
    return bytes;
}

/* ---- judging one value ---- */

static double directed(enum toc_detector_direction direction, double z) {
    double v =
        direction == TOC_DIRECTION_BOTH ? fabs(z) : fmax(direction == TOC_DIRECTION_UP ? z : -z, 0);
    return fmin(v, TOC_ROBUST_Z_MAX);
}

/* Slots without a row move the season on. */
static void pass_missing_slots(const struct detector_config *c, struct toc_holt *h, int64_t seen_ms,
                               int64_t at_ms) {
    int64_t missed = seen_ms > 0 ? (at_ms - seen_ms) / c->interval_ms - 1 : 0;
    missed = h->options.season ? missed % h->options.season : 0;
    for (int64_t i = 0; i < missed; i++)
        (void)toc_holt_step(h, NAN);
}

static void judge_holt(const struct detector_config *c, struct toc_holt *h, double value,
                       struct judgement *out) {
    struct toc_forecast f = toc_holt_step(h, value);
    out->is_judged = !isnan(f.expected) && h->points > (uint64_t)c->min_points;
    out->score = directed(c->direction, f.z);
    out->is_anomaly = out->score > c->threshold;
    out->lower[0] = f.expected - c->threshold * f.scale;
    out->upper[0] = f.expected + c->threshold * f.scale;
}

static void judge_change(const struct detector_config *c, struct change_state *s, double value,
                         struct judgement *out) {
    const struct toc_change_options o = {.least_ratio = c->min_shift};
    struct toc_level_change l = toc_change_point_step(&s->point, &o, value);
    bool is_up = l.after > l.before;
    bool is_wanted =
        c->direction == TOC_DIRECTION_BOTH || is_up == (c->direction == TOC_DIRECTION_UP);
    s->hold = l.is_change && is_wanted ? CHANGE_HOLD : s->hold - (s->hold > 0);
    out->is_judged = !isnan(l.lower);
    out->score = l.probability;
    out->is_anomaly = s->hold > 0;
    out->lower[0] = l.lower;
    out->upper[0] = l.upper;
}

static void judge_quiet(const struct detector_config *c, struct flat_state *s, double value,
                        struct judgement *out) {
    bool is_flat = c->method == TOC_DETECTOR_FLAT_LINE;
    bool is_event = is_flat ? value != s->last : !isnan(value);
    if (is_flat && isnan(value))
        return; /* neither changed nor unchanged */
    out->score = toc_quiet_step(&s->quiet, is_event && !(is_flat && isnan(s->last)));
    out->is_judged = s->quiet.steps >= (double)c->min_points;
    out->is_anomaly = out->score > c->threshold;
    out->lower[0] = out->upper[0] = NAN;
    if (!isnan(value))
        s->last = value;
}

static void judge_ensemble(const struct detector_config *c, struct ensemble_state *s,
                           const struct toc_stream_result *r, struct judgement *out) {
    out->is_judged = ++s->rows > (uint64_t)c->min_points;
    out->score = r->score;
    out->is_anomaly = r->is_alert;
    out->lower[0] = c->feature_count == 1 ? (double)r->lower : NAN;
    out->upper[0] = c->feature_count == 1 ? (double)r->upper : NAN;
}

static void note(struct detector_series *s, const struct judgement *j) {
    if (!j->is_judged)
        return;
    s->recent = s->recent << 1 | j->is_anomaly;
    s->recent_count = TOC_MIN(s->recent_count + 1, (unsigned)TOC_DETECTOR_RATE_SPAN);
}

/* ---- one slot of all series ---- */

struct slot {
    struct toc_detectors *d;
    struct detector *x;
    const struct detector_grid *grid;
    size_t step;
    int64_t at_ms;
    toc_on_judged *fn; /* NULL: learn only */
    void *ctx;
};

/* The first feature; of several any that has a value. */
static double cell_of(const struct slot *t, const struct detector_row_set *row) {
    for (size_t f = 0; f < t->grid->features; f++) {
        double v = row->cells[t->step * t->grid->features + f];
        if (fabs(v) <= 1e150)
            return v;
    }
    return NAN;
}

/* A run without interruption forgot it after the slot before. */
static bool is_forgotten(const struct detector_config *c, const struct detector_series *s,
                         int64_t at_ms) {
    return s->seen_ms > 0 && at_ms - c->interval_ms - s->seen_ms > c->window_ms;
}

/* The series of a row, with its state; NULL over the limit or without memory (counted). */
static struct detector_series *series_of(const struct slot *t, size_t index) {
    const struct detector_row_set *row = &t->grid->series.items[index];
    struct detector_series *s = toc_detector_series(t->d, t->x, row->labels);
    const struct detector_config *c = &t->x->config;
    if (s && s->stream && is_forgotten(c, s, t->at_ms)) {
        toc_detector_stream_free(c, s);
        s->recent = s->recent_count = 0;
        s->seen_ms = 0;
    }
    if (!s || s->stream)
        return s;
    uint32_t season =
        c->method == TOC_DETECTOR_HOLT_WINTERS ? season_steps(c, t->grid, row, index) : 0;
    if (stream_new(c, TOC_MIN(season, (uint32_t)TOC_HOLT_SEASON_MAX), row->labels, &s->stream) <
        0) {
        toc_detector_stream_free(c, s);
        t->d->stats.series_dropped++;
        return NULL;
    }
    return s;
}

static void judge_one(const struct slot *t, struct detector_series *s, double value,
                      struct judgement *out) {
    const struct detector_config *c = &t->x->config;
    *out = (struct judgement){0};
    if (c->method == TOC_DETECTOR_HOLT_WINTERS) {
        pass_missing_slots(c, &s->stream->holt, s->seen_ms, t->at_ms);
        judge_holt(c, &s->stream->holt, value, out);
    } else if (c->method == TOC_DETECTOR_CHANGE_POINT) {
        judge_change(c, s->stream->change, value, out);
    } else if (toc_detector_is_curve(c->method)) {
        toc_detector_curve_judge(c, s->stream->curve, value, out);
    } else {
        judge_quiet(c, &s->stream->flat, value, out);
    }
}

static void tell(const struct slot *t, struct detector_series *s, const struct judgement *j) {
    note(s, j);
    if (j->is_judged && t->fn)
        t->fn(t->ctx, s, j);
}

/* Series of a block of rows that have something to judge. */
enum { BLOCK = 64 };
struct block {
    size_t count;
    struct detector_series *series[BLOCK];
    const struct detector_row_set *rows[BLOCK];
};

/* Absence is an event of its own for `missing` only. */
static void find_block(const struct slot *t, size_t first, size_t count, struct block *out) {
    bool is_missing = t->x->config.method == TOC_DETECTOR_MISSING;
    out->count = 0;
    for (size_t i = first; i < first + count; i++) {
        const struct detector_row_set *row = &t->grid->series.items[i];
        bool has_value = !isnan(cell_of(t, row));
        t->d->stats.values_skipped += !has_value && t->fn && !is_missing;
        struct detector_series *s = has_value ? series_of(t, i) : NULL;
        if (!s)
            continue;
        out->series[out->count] = s;
        out->rows[out->count++] = row;
    }
}

static void judge_row(const struct slot *t, const struct detector_row_set *row,
                      struct detector_series *s) {
    struct judgement j;
    judge_one(t, s, cell_of(t, row), &j);
    s->seen_ms = t->at_ms;
    tell(t, s, &j);
}

/* Together: their states are large, and those of the next come into the caches meanwhile. */
static void judge_ensembles(const struct slot *t, const struct block *b) {
    struct toc_stream *streams[BLOCK];
    const double *values[BLOCK];
    struct toc_stream_result results[BLOCK];
    for (size_t i = 0; i < b->count; i++) {
        streams[i] = b->series[i]->stream->ensemble.stream;
        values[i] = b->rows[i]->cells + t->step * t->grid->features;
    }
    toc_stream_step_many(streams, b->count, (double)t->at_ms / 1000, values, results);
    for (size_t i = 0; i < b->count; i++) {
        struct judgement j = {0};
        judge_ensemble(&t->x->config, &b->series[i]->stream->ensemble, &results[i], &j);
        b->series[i]->seen_ms = t->at_ms;
        tell(t, b->series[i], &j);
    }
}

static void judge_rows(const struct slot *t) {
    struct block b;
    for (size_t first = 0; first < t->grid->series.count; first += BLOCK) {
        find_block(t, first, TOC_MIN(t->grid->series.count - first, (size_t)BLOCK), &b);
        if (t->x->config.method == TOC_DETECTOR_ENSEMBLE)
            judge_ensembles(t, &b);
        else
            for (size_t i = 0; i < b.count; i++)
                judge_row(t, b.rows[i], b.series[i]);
    }
}

static void judge_absent(const struct slot *t) {
    size_t cursor = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&t->x->series, &cursor));) {
        struct detector_series *s = e->value;
        struct judgement j;
        if (!s->stream || s->seen_ms >= t->at_ms)
            continue;
        judge_one(t, s, NAN, &j);
        tell(t, s, &j);
    }
}

/* ---- peers ---- */

struct member {
    struct detector_series *series;
    double value;
};

static int by_group(const void *a, const void *b) {
    const struct member *x = a, *y = b;
    if (x->series->stream->group != y->series->stream->group)
        return x->series->stream->group < y->series->stream->group ? -1 : 1;
    return toc_labels_cmp(x->series->labels, y->series->labels);
}

static void judge_group(const struct slot *t, struct member *m, size_t count, double *numbers,
                        struct toc_peer **peers, struct toc_peer_result *results) {
    const struct detector_config *c = &t->x->config;
    const struct toc_peers_options o = {.limit = c->threshold};
    for (size_t i = 0; i < count; i++) {
        numbers[i] = m[i].value;
        peers[i] = &m[i].series->stream->peer;
    }
    struct toc_peers_summary sum =
        toc_peers_step(&o, peers, numbers, count, results, numbers + count);
    for (size_t i = 0; i < count; i++) {
        struct judgement j = {.is_judged = !isnan(results[i].z),
                              .score = directed(c->direction, results[i].z)};
        j.is_anomaly = (c->direction != TOC_DIRECTION_DOWN && results[i].is_above) ||
                       (c->direction != TOC_DIRECTION_UP && results[i].is_below);
        j.lower[0] = sum.median - 4 * sum.scale;
        j.upper[0] = sum.median + 4 * sum.scale;
        tell(t, m[i].series, &j);
    }
}

/* Members side by side, group after group. */
static void judge_peers(const struct slot *t) {
    size_t rows = t->grid->series.count, count = 0;
    struct member *m = toc_try_calloc(rows + 1, sizeof *m);
    double *numbers = toc_try_calloc(2 * rows + 1, sizeof *numbers);
    struct toc_peer **peers = toc_try_calloc(rows + 1, sizeof *peers);
    struct toc_peer_result *results = toc_try_calloc(rows + 1, sizeof *results);
    bool has_room = m && numbers && peers && results;
    t->d->stats.series_dropped += has_room ? 0 : rows;
    for (size_t i = 0; has_room && i < rows; i++) {
        double value = cell_of(t, &t->grid->series.items[i]);
        struct detector_series *s = isnan(value) ? NULL : series_of(t, i);
        if (!s)
            continue;
        s->seen_ms = t->at_ms;
        m[count++] = (struct member){s, value};
    }
    if (count > 1)
        qsort(m, count, sizeof *m, by_group);
    for (size_t i = 0, n; i < count; i += n) {
        for (n = 1; i + n < count && m[i + n].series->stream->group == m[i].series->stream->group;)
            n++;
        judge_group(t, m + i, n, numbers, peers, results);
    }
    toc_free(m);
    toc_free(numbers);
    toc_free(peers);
    toc_free(results);
}

static void run_slot(const struct slot *t) {
    if (t->x->config.method == TOC_DETECTOR_PEERS)
        judge_peers(t);
    else
        judge_rows(t);
    if (t->x->config.method == TOC_DETECTOR_MISSING)
        judge_absent(t);
    t->x->caught_up_ms = t->at_ms;
    t->x->training_points += t->grid->series.count;
    t->d->stats.slots_replayed += t->fn == NULL;
}

void toc_detector_stream_judge(struct toc_detectors *d, struct detector *x,
                               const struct detector_grid *g, int64_t at_ms, toc_on_judged *fn,
                               void *ctx) {
    run_slot(&(struct slot){d, x, g, 0, at_ms, fn, ctx});
}

/* ---- history ---- */

/* The first slot that is still of interest. */
static int64_t first_wanted(const struct detector_config *c, int64_t at_ms) {
    return at_ms - c->history_ms / c->interval_ms * c->interval_ms;
}

int toc_detector_catch_up(struct toc_detectors *d, struct detector *x, int64_t at_ms,
                          bool *out_is_there, struct toc_err *err) {
    const struct detector_config *c = &x->config;
    int64_t oldest = first_wanted(c, at_ms), last = at_ms - c->interval_ms;
    int64_t start = TOC_MAX(x->caught_up_ms + c->interval_ms, oldest);
    *out_is_there = start > last;
    if (*out_is_there)
        return 0;
    int64_t series = TOC_MAX((int64_t)x->series.count, 20);
    int64_t steps =
        TOC_MIN((int64_t)TOC_DETECTOR_POINTS_MAX, TOC_MAX(TOC_DETECTOR_CATCH_UP_CELLS / series, 1));
    steps = TOC_MIN(steps, (last - start) / c->interval_ms + 1);
    struct detector_grid g;
    int rc = toc_detector_query(d, c, start, start + (steps - 1) * c->interval_ms, c->interval_ms,
                                &g, err);
    for (int64_t i = 0; rc == 0 && i < steps; i++)
        run_slot(&(struct slot){d, x, &g, (size_t)i, start + i * c->interval_ms, NULL, NULL});
    toc_detector_grid_fini(&g);
    *out_is_there = rc == 0 && x->caught_up_ms >= last;
    return rc;
}

/* ---- bytes: zigzag caught_up, varint series × {labels, zigzag seen, u64 recent, varint count,
 * state} ---- */

static void encode_state(const struct detector_config *c, const struct detector_stream *s,
                         struct toc_buf *out) {
    if (c->method == TOC_DETECTOR_HOLT_WINTERS) {
        toc_holt_encode(&s->holt, out);
    } else if (c->method == TOC_DETECTOR_CHANGE_POINT) {
        toc_change_point_encode(&s->change->point, out);
        toc_buf_append_varint(out, s->change->hold);
    } else if (toc_detector_is_curve(c->method)) {
        toc_detector_curve_encode(c, s->curve, out);
    } else if (c->method == TOC_DETECTOR_ENSEMBLE) {
        struct toc_buf bytes = TOC_BUF_INIT;
        toc_stream_state_encode(s->ensemble.stream, &bytes);
        toc_buf_append_varint(out, s->ensemble.rows);
        toc_buf_append_varint(out, bytes.n);
        toc_buf_append_sv(out, toc_buf_sv(&bytes));
        toc_buf_fini(&bytes);
    } else if (c->method == TOC_DETECTOR_PEERS) {
        toc_buf_append_f64(out, (double)s->peer.up);
        toc_buf_append_f64(out, (double)s->peer.down);
        toc_buf_append_varint(out, s->peer.up_slots);
        toc_buf_append_varint(out, s->peer.down_slots);
    } else {
        toc_quiet_encode(&s->flat.quiet, out);
        toc_buf_append_f64(out, s->flat.last);
    }
}

static int decode_peer(struct toc_reader *r, struct toc_peer *out) {
    double up = toc_read_f64(r), down = toc_read_f64(r);
    uint64_t up_slots = toc_read_varint(r), down_slots = toc_read_varint(r);
    if (!(up >= 0 && up <= 1e6 && down >= 0 && down <= 1e6) || up_slots > UINT16_MAX ||
        down_slots > UINT16_MAX)
        return r->error ? r->error : TOC_ECORRUPT;
    *out = (struct toc_peer){(float)up, (float)down, (uint16_t)up_slots, (uint16_t)down_slots};
    return r->error;
}

static int decode_state(const struct detector_config *c, struct toc_reader *r,
                        struct toc_labels labels, struct detector_stream **out) {
    int rc = stream_new(c, 0, labels, out);
    struct detector_stream *s = *out;
    if (rc == 0 && c->method == TOC_DETECTOR_HOLT_WINTERS) {
        toc_holt_fini(&s->holt);
        rc = toc_holt_decode(r, &s->holt);
    } else if (rc == 0 && c->method == TOC_DETECTOR_CHANGE_POINT) {
        rc = toc_change_point_decode(r, &s->change->point);
        uint64_t hold = rc == 0 ? toc_read_varint(r) : 0;
        rc = rc == 0 && hold > CHANGE_HOLD ? TOC_ECORRUPT : rc;
        s->change->hold = (uint32_t)TOC_MIN(hold, (uint64_t)CHANGE_HOLD);
    } else if (rc == 0 && toc_detector_is_curve(c->method)) {
        rc = toc_detector_curve_decode(c, r, s->curve);
    } else if (rc == 0 && c->method == TOC_DETECTOR_ENSEMBLE) {
        toc_stream_free(&s->ensemble.stream);
        s->ensemble.rows = toc_read_varint(r);
        rc = toc_stream_state_decode(toc_read_string(r), &s->ensemble.stream, NULL);
        if (rc == 0 && toc_stream_columns(s->ensemble.stream) != c->feature_count)
            rc = TOC_ECORRUPT;
    } else if (rc == 0 && c->method == TOC_DETECTOR_PEERS) {
        rc = decode_peer(r, &s->peer);
    } else if (rc == 0) {
        rc = toc_quiet_decode(r, &s->flat.quiet);
        s->flat.last = toc_read_f64(r);
    }
    return rc ? rc : r->error;
}

void toc_detector_stream_encode(const struct detector *x, struct toc_buf *out) {
    size_t cursor = 0, count = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&x->series, &cursor));)
        count += ((struct detector_series *)e->value)->stream != NULL;
    toc_buf_append_zigzag(out, x->caught_up_ms);
    toc_buf_append_varint(out, count);
    cursor = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&x->series, &cursor));) {
        const struct detector_series *s = e->value;
        if (!s->stream)
            continue;
        toc_labels_encode(s->labels, out);
        toc_buf_append_zigzag(out, s->seen_ms);
        toc_buf_append_u64(out, s->recent);
        toc_buf_append_varint(out, s->recent_count);
        encode_state(&x->config, s->stream, out);
    }
}

static int decode_one(struct toc_detectors *d, struct toc_reader *r, struct detector *x,
                      struct toc_arena *arena) {
    struct toc_labels labels;
    int rc = toc_labels_decode(r, arena, &labels);
    struct detector_series *s = rc ? NULL : toc_detector_series(d, x, labels);
    if (!s)
        return rc ? rc : TOC_ELIMIT;
    if (s->stream)
        return TOC_ECORRUPT; /* the same series twice */
    s->seen_ms = toc_read_zigzag(r);
    s->recent = toc_read_u64(r);
    uint64_t count = toc_read_varint(r);
    s->recent_count = (unsigned)TOC_MIN(count, (uint64_t)TOC_DETECTOR_RATE_SPAN);
    return decode_state(&x->config, r, labels, &s->stream);
}

int toc_detector_stream_decode(struct toc_detectors *d, struct toc_reader *r, struct detector *x) {
    struct toc_arena arena = TOC_ARENA_INIT;
    x->caught_up_ms = toc_read_zigzag(r);
    uint64_t count = toc_read_varint(r);
    int rc = r->error;
    for (uint64_t i = 0; rc == 0 && i < count; i++)
        rc = decode_one(d, r, x, &arena);
    toc_arena_fini(&arena);
    return rc;
}
