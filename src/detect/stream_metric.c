/*
 * One metric. The score ranks by what is seen over a window: how unlike any earlier window it is
 * (64 points, and with a quarter of the weight 16) and how much energy it has (root mean square z
 * over 200 points). The alert listens to
 * rows and to stretches: the smallest of the residuals to level, day and week (what any of the
 * three explains is normal), and windows of 16 points together with that residual smoothed over 8.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/attrs.h"
#include "detect/prefetch.h"
#include "detect/stream_priv.h"

static const double SHORT_WEIGHT = 0.25;

/* Scores, in the order of their bytes. */
enum { LONG, ENERGY, SHORT, ROW, SMOOTH, SCORES };

/* What every row touches comes first, in the order of prefetch; the windows follow the struct. */
struct toc_stream_metric {
    struct toc_window_memory *short_windows, *long_windows;
    double reference; /* the first value; windows see distances from it */
    double smooth;    /* smallest residual with its sign, over about 8 rows */
    struct toc_moments moments;
    struct toc_level level;
    struct toc_block_sum energy;
    bool has_reference;
    struct toc_tail tails[SCORES]; /* of scores, their counts below */
    struct toc_seasons seasons;
    uint16_t counts[SCORES][TOC_TAIL_BINS];
};
_Static_assert(sizeof(struct toc_stream_metric) <= UINT16_MAX, "counts_at reaches every count");

/* What every row touches of the windows: the short ones, and the head of the long ones. */
enum { HOT_WINDOW_BYTES = 1464 };

/* Three eighths more of the long ones: they are looked at with every fourth row only. */
static struct toc_window_shape_options long_shape(size_t windows) {
    return (struct toc_window_shape_options){1, 64, 16, (uint32_t)(windows + windows * 3 / 8),
                                             true};
}

static struct toc_window_shape_options short_shape(size_t windows) {
    return (struct toc_window_shape_options){1, 16, 8, (uint32_t)windows, false};
}

size_t toc_stream_metric_bytes(size_t windows) {
    struct toc_window_shape_options l = long_shape(windows), s = short_shape(windows);
    return sizeof(struct toc_stream_metric) + toc_window_memory_bytes_of(&s) +
           toc_window_memory_bytes_of(&l);
}

struct toc_stream_metric *toc_stream_metric_place(size_t windows, void *place) {
    struct toc_stream_metric *m = place;
    struct toc_window_shape_options l = long_shape(windows), s = short_shape(windows);
    char *at = (char *)(m + 1);
    for (size_t i = 0; i < SCORES; i++)
        m->tails[i].counts_at = (uint16_t)((char *)m->counts[i] - (char *)&m->tails[i + 1]);
    m->short_windows = toc_window_memory_place(&s, at);
    m->long_windows = toc_window_memory_place(&l, at + toc_window_memory_bytes_of(&s));
    TOC_ASSERT(windows != TOC_STREAM_WINDOWS ||
               toc_window_memory_bytes_of(&s) + toc_window_memory_hot_bytes(&l) ==
                   HOT_WINDOW_BYTES);
    return m;
}

/* Lines of memory of a stream: its head with the metric's, then the windows. Blocks do not begin
 * with a line, so they may reach into one more. */
enum {
    LINE = 64,
    METRIC_AT = sizeof(struct toc_stream) + sizeof(double),
    HEAD_AT = TOC_STREAM_COLD_BYTES,
    HEAD_LINES =
        (METRIC_AT + offsetof(struct toc_stream_metric, seasons.day) - HEAD_AT + 2 * LINE - 2) /
        LINE,
    COUNT_LINES = (TOC_TAIL_BINS * sizeof(uint16_t) + 2 * LINE - 2) / LINE,
    WINDOWS_AT = METRIC_AT + sizeof(struct toc_stream_metric),
    WINDOW_LINES = (HOT_WINDOW_BYTES + 2 * LINE - 2) / LINE,
};

/* A part of what every step touches: two of the head, three of the windows. */
TOC_PREFETCHING void ask_for_all(const char *stream, size_t part) {
    enum { OF_HEAD = (HEAD_LINES + 1) / 2, OF_WINDOWS = (WINDOW_LINES + 2) / 3 };
    if (part < 2)
        toc_prefetch_lines(stream + HEAD_AT + part * OF_HEAD * LINE, OF_HEAD);
    else
        toc_prefetch_lines(stream + WINDOWS_AT + (part - 2) * OF_WINDOWS * LINE, OF_WINDOWS);
}

void toc_stream_metric_prefetch(const char *stream) {
    for (size_t part = 0; part < 5; part++)
        ask_for_all(stream, part);
}

/* A quarter of the long windows. */
TOC_PREFETCHING void ask_for_windows(const struct toc_stream_ahead *ahead, size_t part) {
    enum { LINES = 12 };
    if (ahead->windows)
        toc_prefetch_lines(ahead->windows + part * LINES * LINE, LINES);
}

/* The bins of usual scores; all of them when quantiles are due. */
TOC_PREFETCHING void ask_for_counts(const struct toc_stream_metric *m) {
    for (size_t i = 0; i < SCORES; i++) {
        __builtin_prefetch(toc_tail_usual(&m->tails[i]));
        if (toc_tail_is_due(&m->tails[i]))
            toc_prefetch_lines(toc_tail_counts(&m->tails[i]), COUNT_LINES);
    }
}

void toc_stream_metric_look_ahead(const struct toc_stream_metric *m, struct toc_stream_ahead *out) {
    out->next = m;
    out->windows = toc_window_memory_due(m->long_windows);
}

void toc_stream_metric_break(struct toc_stream_metric *m) {
    toc_window_memory_break(m->long_windows);
    toc_window_memory_break(m->short_windows);
}

/* The part-th few lines of what comes next, of five. */
TOC_PREFETCHING void ask(const struct toc_stream_ahead *ahead, size_t part) {
    if (!ahead)
        return;
    if (part < 4)
        ask_for_windows(ahead, part);
    else if (ahead->next)
        ask_for_counts(ahead->next);
    ask_for_all(ahead->all, part);
}

/* The one nearer to 0, the second of two as near. Which one it is changes from row to row: chosen
 * from the bits, where a branch would be foretold wrongly every other time. */
static double smaller(double a, double b) {
    uint64_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    uint64_t is_first = -(uint64_t)(fabs(a) < fabs(b));
    y = (x & is_first) | (y & ~is_first);
    memcpy(&b, &y, sizeof b);
    return b;
}

/* What the value is off from level, day and week; the smallest of the three. */
static double smallest_residual(struct toc_stream_metric *m, double seconds, double v,
                                struct toc_metric_seen *seen) {
    seen->season = toc_seasons_step(&m->seasons, seconds, v);
    double level = seen->level = toc_level_residual(&m->level, v);
    double day = seen->season.has_day ? seen->season.day : level;
    double week = seen->season.has_week ? seen->season.week : level;
    return smaller(week, smaller(day, level));
}

/* A residual in standard deviations, bounded so that it stays finite. */
static float ratio(double residual, double spread) {
    return spread > 0 ? (float)TOC_MIN(fabs(residual) / spread, 1e6) : 0;
}

/* Short windows move with every row, where long ones and the energy are slow. */
static double rank_of(struct toc_stream_metric *m, double far, double energy, double near) {
    return toc_tail_take_excess(&m->tails[LONG], far) +
           toc_tail_take_excess(&m->tails[ENERGY], energy) +
           (near < 0 ? 0 : SHORT_WEIGHT * toc_tail_excess(&m->tails[SHORT], near));
}

static bool is_watched(enum toc_stream_direction direction, double off) {
    return direction == TOC_STREAM_BOTH || (direction == TOC_STREAM_UP) == (off > 0);
}

struct toc_verdict toc_stream_metric_step(struct toc_stream_metric *m,
                                          enum toc_stream_direction direction, double seconds,
                                          double v, const struct toc_stream_ahead *ahead,
                                          struct toc_metric_seen *seen) {
    struct toc_verdict out = {0};
    if (!m->has_reference)
        m->reference = v;
    m->has_reference = true;
    float point = (float)(v - m->reference);
    seen->spread = toc_moments_spread(&m->moments);
    seen->z = toc_moments_z(&m->moments, v, seen->spread, 20);
    seen->energy = sqrt(toc_block_sum_add(&m->energy, seen->z * seen->z) / 200);
    ask(ahead, 0);
    double near = toc_window_memory_step(m->short_windows, &point).squared;
    ask(ahead, 1);
    double off = smallest_residual(m, seconds, v, seen);
    m->smooth += 0.2 * (off - m->smooth);
    ask(ahead, 2);
    seen->far = toc_window_memory_step(m->long_windows, &point).squared;
    ask(ahead, 3);
    out.rank = rank_of(m, seen->far, seen->energy, near);
    seen->noise = m->tails[ROW].threshold;
    out.lower = (float)(v - off - seen->noise);
    out.upper = (float)(v - off + seen->noise);
    ask(ahead, 4);
    seen->residual = (float)toc_tail_take_surprise(&m->tails[ROW], fabs(off));
    seen->smooth = (float)toc_tail_take_surprise(&m->tails[SMOOTH], fabs(m->smooth));
    seen->short_window = (float)toc_tail_take_surprise(&m->tails[SHORT], near);
    if (is_watched(direction, off))
        out.surprise = toc_row_surprise(seen->residual);
    if (is_watched(direction, m->smooth)) {
        double stretch = toc_stretch_surprise(seen->short_window, seen->smooth);
        out.surprise = TOC_MAX(out.surprise, stretch);
    }
    return out;
}

void toc_stream_metric_features(const struct toc_stream_metric *m,
                                const struct toc_metric_seen *seen, float *f) {
    const struct toc_season_residuals *season = &seen->season;
    f[TOC_STREAM_NOISE] = ratio(seen->noise, seen->spread);
    f[TOC_STREAM_RESIDUAL] = seen->residual;
    f[TOC_STREAM_SMOOTH] = seen->smooth;
    f[TOC_STREAM_SHORT_WINDOW] = seen->short_window;
    f[TOC_STREAM_LONG_WINDOW] =
        seen->far < 0 ? 0 : (float)toc_tail_surprise(&m->tails[LONG], seen->far);
    f[TOC_STREAM_ENERGY] = (float)toc_tail_surprise(&m->tails[ENERGY], seen->energy);
    f[TOC_STREAM_LEVEL_RATIO] = ratio(seen->level, seen->spread);
    f[TOC_STREAM_DAY_RATIO] = season->has_day ? ratio(season->day, seen->spread) : 0;
    f[TOC_STREAM_WEEK_RATIO] = season->has_week ? ratio(season->week, seen->spread) : 0;
    f[TOC_STREAM_SIGNED_Z] = (float)seen->z;
}

/* ---------------------------------------------------------------------------------------- bytes */

static void encode_slot(const struct toc_season_slot *s, struct toc_buf *out) {
    toc_buf_append_f64(out, s->sum);
    toc_buf_append_varint(out, s->count);
    toc_buf_append_varint(out, (uint64_t)s->at);
}

static int decode_slot(struct toc_season_slot *s, int slots, struct toc_reader *r) {
    int rc = toc_read_number(r, 1e300, &s->sum);
    uint64_t count = toc_read_varint(r), at = toc_read_varint(r);
    s->count = (uint32_t)count;
    s->at = (int16_t)(at <= (uint64_t)slots ? at : 0);
    bool is_sound = count <= UINT32_MAX && at <= (uint64_t)slots && (at == 0) == (count == 0);
    return rc ? rc : r->error ? r->error : is_sound ? 0 : TOC_ECORRUPT;
}

static void encode_levels(const float *levels, const uint8_t *visits, int n, struct toc_buf *out) {
    for (int i = 0; i < n; i++) {
        toc_buf_append_u8(out, visits[i]);
        toc_buf_append_f64(out, levels[i]);
    }
}

static int decode_levels(float *levels, uint8_t *visits, int n, struct toc_reader *r) {
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        visits[i] = toc_read_u8(r);
        rc = toc_read_float(r, 1e31, &levels[i]);
    }
    return rc;
}

static void encode_energy(const struct toc_block_sum *s, struct toc_buf *out) {
    for (size_t i = 0; i < TOC_BLOCKS; i++)
        toc_buf_append_f64(out, s->blocks[i]);
    toc_buf_append_f64(out, s->filling);
    toc_buf_append_u8(out, (uint8_t)s->count);
    toc_buf_append_u8(out, (uint8_t)s->oldest);
}

static int decode_energy(struct toc_block_sum *s, struct toc_reader *r) {
    int rc = 0;
    for (size_t i = 0; i < TOC_BLOCKS && rc == 0; i++)
        rc = toc_read_float(r, 1e6, &s->blocks[i]);
    rc = rc ? rc : toc_read_number(r, 1e6, &s->filling);
    s->count = toc_read_u8(r);
    s->oldest = toc_read_u8(r);
    bool is_sound = s->count < TOC_BLOCK_VALUES && s->oldest < TOC_BLOCKS;
    return rc ? rc : r->error ? r->error : is_sound ? 0 : TOC_ECORRUPT;
}

void toc_stream_metric_encode(const struct toc_stream_metric *m, struct toc_buf *out) {
    toc_buf_append_u8(out, m->has_reference);
    toc_buf_append_f64(out, m->reference);
    toc_buf_append_f64(out, m->smooth);
    toc_buf_append_f64(out, m->level.level);
    toc_buf_append_varint(out, m->level.count);
    toc_moments_encode(&m->moments, out);
    encode_energy(&m->energy, out);
    encode_slot(&m->seasons.day_slot, out);
    encode_slot(&m->seasons.week_slot, out);
    encode_levels(m->seasons.day, m->seasons.day_visits, TOC_DAY_SLOTS, out);
    encode_levels(m->seasons.week, m->seasons.week_visits, TOC_WEEK_SLOTS, out);
    for (size_t i = 0; i < SCORES; i++)
        toc_tail_encode(&m->tails[i], out);
    toc_window_memory_encode(m->long_windows, out);
    toc_window_memory_encode(m->short_windows, out);
}

static void recall_slot(struct toc_season_slot *s, const float *levels, const uint8_t *visits) {
    s->level = s->at ? levels[s->at - 1] : 0;
    s->visits = s->at ? visits[s->at - 1] : 0;
}

static int decode_seasons(struct toc_seasons *s, struct toc_reader *r) {
    int rc = decode_slot(&s->day_slot, TOC_DAY_SLOTS, r);
    rc = rc ? rc : decode_slot(&s->week_slot, TOC_WEEK_SLOTS, r);
    rc = rc ? rc : decode_levels(s->day, s->day_visits, TOC_DAY_SLOTS, r);
    rc = rc ? rc : decode_levels(s->week, s->week_visits, TOC_WEEK_SLOTS, r);
    recall_slot(&s->day_slot, s->day, s->day_visits);
    recall_slot(&s->week_slot, s->week, s->week_visits);
    return rc;
}

int toc_stream_metric_decode(struct toc_stream_metric *m, struct toc_reader *r) {
    uint8_t has_reference = toc_read_u8(r);
    m->has_reference = has_reference;
    int rc = has_reference > 1 ? TOC_ECORRUPT : toc_read_number(r, 1e30, &m->reference);
    rc = rc ? rc : toc_read_number(r, 1e31, &m->smooth);
    rc = rc ? rc : toc_read_number(r, 1e30, &m->level.level);
    m->level.count = toc_read_varint(r);
    rc = rc ? rc : toc_moments_decode(&m->moments, r);
    rc = rc ? rc : decode_energy(&m->energy, r);
    rc = rc ? rc : decode_seasons(&m->seasons, r);
    for (size_t i = 0; i < SCORES && rc == 0; i++)
        rc = toc_tail_decode(&m->tails[i], r);
    rc = rc ? rc : toc_window_memory_decode(m->long_windows, r);
    return rc ? rc : toc_window_memory_decode(m->short_windows, r);
}
