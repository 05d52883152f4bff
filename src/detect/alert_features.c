#include "detect/alert_features.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "detect/alert_features_priv.h"

enum { LAST_ROWS = 256 }; /* of a long alert: its newest rows */
static const double MAD_TO_SD = 1.4826, FLOOR_SHARE = 1e-3, DAY_S = 86400, TINY = 1e-3;

static const char *const g_parts[TOC_ALERT_PARTS_MAX] = {"part1", "part2", "part3", "part4",
                                                         "part5", "part6", "part7", "part8"};

const char *toc_alert_feature_name(size_t feature) {
    static const char *const names[] = {
#define X(e, name, what) name,
        TOC_ALERT_FEATURE_TABLE(X)
#undef X
    };
    TOC_ASSERT(feature < TOC_ALERT_FEATURES);
    return feature < TOC_ALERT_FEATURE_PART ? names[feature]
                                            : g_parts[feature - TOC_ALERT_FEATURE_PART];
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts; NaN when empty. */
static double median(double *v, size_t n) {
    qsort(v, n, sizeof *v, by_value);
    return n == 0 ? NAN : n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* --- one column --- */

struct column {
    double center, scale, farthest; /* of the baseline */
    double shift, reach, now, jump, trend, levels, zero;
    double at_reach; /* value and time of the farthest row of the alert */
    size_t reach_row;
    bool is_known;
};

struct range {
    size_t first, end;
};

static struct range baseline_of(const struct toc_alert_context *c) {
    size_t first = c->start > TOC_ALERT_BASELINE_ROWS ? c->start - TOC_ALERT_BASELINE_ROWS : 0;
    return (struct range){first, c->start};
}

static struct range alert_of(const struct toc_alert_context *c) {
    size_t length = c->rows - c->start;
    return (struct range){length > LAST_ROWS ? c->rows - LAST_ROWS : c->start, c->rows};
}

static double value(const struct toc_alert_context *c, size_t row, size_t column) {
    return c->values[row * c->columns + column];
}

static size_t gather(const struct toc_alert_context *c, struct range r, size_t column,
                     double *out) {
    size_t n = 0;
    for (size_t i = r.first; i < r.end; i++)
        if (isfinite(value(c, i, column)))
            out[n++] = value(c, i, column);
    return n;
}

static double quarter_change(const double *v, size_t n) {
    double first = 0, last = 0;
    size_t quarter = n / 4;
    for (size_t i = 0; i < quarter; i++) {
        first += v[i];
        last += v[n - 1 - i];
    }
    return quarter ? (last - first) / (double)quarter : 0;
}

static void learn_baseline(const struct toc_alert_context *c, size_t column, struct column *out) {
    double v[TOC_ALERT_BASELINE_ROWS], off[TOC_ALERT_BASELINE_ROWS];
    size_t n = gather(c, baseline_of(c), column, v), changes = 0, zeros = 0;
    double largest = 0, steps = 0;
    *out = (struct column){.is_known = n >= 8};
    if (!out->is_known)
        return;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(v[i]));
        zeros += v[i] == 0;
        changes += i > 0 && v[i] != v[i - 1];
        steps += i > 0 ? fabs(v[i] - v[i - 1]) : 0;
        off[i] = v[i];
    }
    double drift = quarter_change(v, n);
    out->center = median(v, n);
    for (size_t i = 0; i < n; i++) {
        off[i] = fabs(off[i] - out->center);
        out->farthest = fmax(out->farthest, off[i]);
    }
    double floor = fmax(FLOOR_SHARE * largest, 1e-12);
    out->scale = fmax(MAD_TO_SD * median(off, n), floor);
    out->trend = drift / out->scale;
    out->levels = (double)changes / (double)(n - 1);
    out->zero = (double)zeros / (double)n;
    out->jump = fmax(steps / (double)(n - 1),
                     floor); /* the usual one; judge_alert relates the alert's to it */
}

static void judge_alert(const struct toc_alert_context *c, size_t column, struct column *out) {
    struct range r = alert_of(c);
    double sum = 0, largest_step = 0, before = r.first ? value(c, r.first - 1, column) : NAN;
    size_t n = 0;
    out->now = out->center;
    for (size_t i = r.first; i < r.end; i++) {
        double v = value(c, i, column);
        if (!isfinite(v))
            continue;
        if (isfinite(before))
            largest_step = fmax(largest_step, fabs(v - before));
        before = v;
        sum += v;
        n++;
        out->now = v;
        if (fabs(v - out->center) >= out->reach) {
            out->reach = fabs(v - out->center);
            out->at_reach = v;
            out->reach_row = i;
        }
    }
    out->shift = n ? (sum / (double)n - out->center) / out->scale : 0;
    out->jump = largest_step / out->jump;
}

/* --- seasons --- */

/* The row nearest to a time, within half an interval and a bit; SIZE_MAX when there is none. */
static size_t row_at(const struct toc_alert_context *c, double seconds, double interval) {
    size_t low = 0, high = c->rows;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c->seconds[middle] < seconds)
            low = middle + 1;
        else
            high = middle;
    }
    size_t best = low < c->rows ? low : c->rows - 1;
    if (low > 0 && low < c->rows && seconds - c->seconds[low - 1] < c->seconds[low] - seconds)
        best = low - 1;
    return fabs(c->seconds[best] - seconds) <= 0.6 * interval ? best : SIZE_MAX;
}

/* log of (distance to the nearest of five rows around the same time before) / reach: about 0 when
 * nothing like it was there, strongly negative when the value repeats. */
static double season(const struct toc_alert_context *c, size_t column, const struct column *k,
                     double back, double interval) {
    size_t at = row_at(c, c->seconds[k->reach_row] - back, interval);
    if (at == SIZE_MAX || at >= c->start)
        return NAN;
    double best = INFINITY;
    for (size_t i = at > 2 ? at - 2 : 0; i <= at + 2 && i < c->start; i++)
        if (isfinite(value(c, i, column)))
            best = fmin(best, fabs(value(c, i, column) - k->at_reach));
    if (!isfinite(best))
        return NAN;
    return log((best + 0.1 * k->scale) / (k->reach + 0.1 * k->scale));
}

/* --- scores --- */

static double over(const struct toc_alert_context *c, double score) {
    return log(fmax(isfinite(score) ? score : 0, TINY * c->threshold) / c->threshold);
}

static void add_scores(const struct toc_alert_context *c, double *out) {
    double peak = 0, sum = 0, quiet = 0;
    struct range base = baseline_of(c);
    size_t length = c->rows - c->start, above = 0, since = c->start;
    for (size_t i = c->start; i < c->rows; i++) {
        double s = isfinite(c->scores[i]) ? c->scores[i] : 0;
        peak = fmax(peak, s);
        sum += s;
    }
    for (size_t i = base.first; i < base.end; i++)
        quiet += isfinite(c->scores[i]) ? c->scores[i] : 0;
    size_t first = c->start > TOC_ALERT_HISTORY_ROWS ? c->start - TOC_ALERT_HISTORY_ROWS : 0;
    for (size_t i = first; i < c->start; i++)
        if (c->scores[i] > c->threshold) {
            above++;
            since = c->start - i;
        }
    out[TOC_ALERT_FEATURE_PEAK] = over(c, peak);
    out[TOC_ALERT_FEATURE_NOW] = over(c, c->scores[c->rows - 1]);
    out[TOC_ALERT_FEATURE_MEAN] = over(c, sum / (double)length);
    out[TOC_ALERT_FEATURE_DURATION] = log((double)length);
    if (base.end > base.first)
        out[TOC_ALERT_FEATURE_QUIET] = quiet / (double)(base.end - base.first) / c->threshold;
    if (c->start > first)
        out[TOC_ALERT_FEATURE_RATE] = (double)above / (double)(c->start - first);
    out[TOC_ALERT_FEATURE_SINCE] = log1p((double)TOC_MIN(since, (size_t)TOC_ALERT_HISTORY_ROWS));
    out[TOC_ALERT_FEATURE_AGE] = log1p((double)c->start);
}

static void add_parts(const struct toc_alert_context *c, double *out) {
    size_t count = TOC_MIN(c->part_count, (size_t)TOC_ALERT_PARTS_MAX);
    for (size_t p = 0; c->parts && p < count; p++) {
        double best = 0;
        for (size_t i = c->start; i < c->rows; i++)
            best = fmax(best, c->parts[i * c->part_count + p]);
        out[TOC_ALERT_FEATURE_PART + p] = log1p(best);
    }
}

/* --- all --- */

static double interval_of(const struct toc_alert_context *c) {
    size_t first = c->start > 32 ? c->start - 32 : 0, n = 0;
    double steps[33];
    for (size_t i = first + 1; i <= c->start && n < 32; i++)
        steps[n++] = c->seconds[i] - c->seconds[i - 1];
    return n ? median(steps, n) : NAN;
}

/* Of the column that went farthest out. */
static void add_column(const struct toc_alert_context *c, size_t column, const struct column *k,
                       double interval, double *out) {
    out[TOC_ALERT_FEATURE_SHIFT] = asinh(k->shift);
    out[TOC_ALERT_FEATURE_REACH] = asinh(k->reach / k->scale);
    out[TOC_ALERT_FEATURE_OUTSIDE] =
        log((k->reach + 0.1 * k->scale) / (k->farthest + 0.1 * k->scale));
    out[TOC_ALERT_FEATURE_NOISE] = log(k->scale / (fabs(k->center) + k->scale));
    out[TOC_ALERT_FEATURE_JUMP] = asinh(k->jump);
    out[TOC_ALERT_FEATURE_RECOVERED] =
        k->reach > 0 ? fmin(fabs(k->now - k->at_reach) / k->reach, 1) : 0;
    out[TOC_ALERT_FEATURE_TREND] = asinh(k->trend);
    out[TOC_ALERT_FEATURE_LEVELS] = k->levels;
    out[TOC_ALERT_FEATURE_ZERO] = k->zero;
    if (!(interval > 0))
        return;
    out[TOC_ALERT_FEATURE_INTERVAL] = log(interval);
    out[TOC_ALERT_FEATURE_DAY] = season(c, column, k, DAY_S, interval);
    out[TOC_ALERT_FEATURE_WEEK] = season(c, column, k, 7 * DAY_S, interval);
}

void toc_alert_features(const struct toc_alert_context *c, double *out) {
    TOC_ASSERT(c->rows > c->start && c->columns > 0 && c->threshold > 0);
    struct column farthest = {0};
    size_t columns = TOC_MIN(c->columns, (size_t)TOC_ALERT_COLUMNS_MAX), which = 0, beyond = 0;
    for (size_t i = 0; i < TOC_ALERT_FEATURES; i++)
        out[i] = NAN;
    add_scores(c, out);
    add_parts(c, out);
    for (size_t i = 0; i < columns; i++) {
        struct column k;
        learn_baseline(c, i, &k);
        if (!k.is_known)
            continue;
        judge_alert(c, i, &k);
        beyond += k.reach > 4 * k.scale;
        if (farthest.is_known && k.reach / k.scale <= farthest.reach / farthest.scale)
            continue;
        farthest = k;
        which = i;
    }
    out[TOC_ALERT_FEATURE_WIDTH] = (double)beyond / (double)columns;
    out[TOC_ALERT_FEATURE_COLUMNS] = log((double)c->columns);
    toc_alert_history_features(c, columns, out);
    if (farthest.is_known)
        add_column(c, which, &farthest, interval_of(c), out);
}
