/* The alert against the whole history of each column, evenly thinned. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "detect/alert_features_priv.h"

enum { TOP = 3, SEGMENT_ROWS = 256, ROWS_MIN = 16 };
static const double FLOOR_SHARE = 1e-3, TINY = 1e-12;

struct sample {
    double v[2 * TOC_ALERT_SAMPLE_ROWS]; /* sorted after summarise() */
    size_t n;
};

struct summary {
    double low, q25, median, q75, high; /* 1 %, quartiles, 99 % */
    double least, most, largest;        /* of all, and of magnitudes */
    double deviation;
    bool is_known;
};

/* One column of the alert against its baseline and history. */
struct comparison {
    double beyond, level, reach, middle; /* in spans and quartile distances */
    double record, spread, known, place, calm, signed_middle;
};

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void gather(const struct toc_alert_context *c, size_t column, size_t first, size_t end,
                   size_t step, struct sample *out) {
    out->n = 0;
    for (size_t i = first; i < end && out->n < TOC_ARRAY_LEN(out->v); i += step) {
        double v = c->values[i * c->columns + column];
        if (isfinite(v))
            out->v[out->n++] = v;
    }
}

static double quantile(const struct sample *s, double share) {
    double at = share * (double)(s->n - 1);
    size_t low = (size_t)at;
    double above = low + 1 < s->n ? s->v[low + 1] : s->v[low];
    return s->v[low] + (at - (double)low) * (above - s->v[low]);
}

static struct summary summarise(struct sample *s, size_t rows_min) {
    struct summary out = {.is_known = s->n >= rows_min};
    if (!out.is_known)
        return out;
    double mean = 0, squares = 0;
    for (size_t i = 0; i < s->n; i++)
        mean += s->v[i] / (double)s->n;
    for (size_t i = 0; i < s->n; i++)
        squares += (s->v[i] - mean) * (s->v[i] - mean);
    qsort(s->v, s->n, sizeof *s->v, by_value);
    out.deviation = sqrt(squares / (double)s->n);
    out.low = quantile(s, 0.01);
    out.q25 = quantile(s, 0.25);
    out.median = quantile(s, 0.5);
    out.q75 = quantile(s, 0.75);
    out.high = quantile(s, 0.99);
    out.least = s->v[0];
    out.most = s->v[s->n - 1];
    out.largest = fmax(fabs(out.least), fabs(out.most));
    return out;
}

static double floor_of(const struct summary *s) {
    return FLOOR_SHARE * s->largest + TINY;
}

/* Share of the history at or beyond 0.7 of the reach, on the side of the reach. */
static double share_beyond(const struct sample *history, double level, bool is_up) {
    size_t n = 0;
    for (size_t i = 0; i < history->n; i++)
        n += is_up ? history->v[i] >= level : history->v[i] <= level;
    return (double)n / (double)history->n;
}

static double share_below(const struct sample *history, double v) {
    size_t n = 0;
    while (n < history->n && history->v[n] < v)
        n++;
    return (double)n / (double)history->n;
}

static double mean_of(const struct sample *s) {
    double sum = 0;
    for (size_t i = 0; i < s->n; i++)
        sum += s->v[i] / (double)s->n;
    return sum;
}

static struct comparison compare(const struct summary *base, const struct sample *history,
                                 const struct summary *all, struct sample *alert) {
    double now = alert->v[alert->n - 1], mean = mean_of(alert);
    struct summary seen = summarise(alert, 1);
    double quartiles = fmax(base->q75 - base->q25, floor_of(base));
    double span = fmax(all->high - all->low, floor_of(all));
    double up = seen.most - base->median, down = base->median - seen.least;
    bool is_up = up > down;
    double reach = fmax(up, down), level = base->median + 0.7 * (is_up ? reach : -reach);
    double outside = fmax(fmax(seen.most - all->high, all->low - seen.least), 0);
    return (struct comparison){
        .beyond = outside / span,
        .level = fabs(mean - all->median) / fmax(all->q75 - all->q25, 0.02 * span),
        .reach = reach / quartiles,
        .middle = fabs(seen.median - base->median) / quartiles,
        .signed_middle = (seen.median - base->median) / quartiles,
        .record = seen.most > all->most || seen.least < all->least,
        .spread = log((seen.deviation + 1e-3 * quartiles) / (base->deviation + 1e-3 * quartiles)),
        .known = log(share_beyond(history, level, is_up) + 1e-4),
        .place = share_below(history, now),
        .calm = log((base->deviation + floor_of(all)) / (all->deviation + floor_of(all))),
    };
}

/* --- over the columns --- */

struct top {
    double v[TOP]; /* falling */
};

static void top_add(struct top *t, double v) {
    for (size_t i = 0; i < TOP; i++)
        if (v > t->v[i]) {
            double fallen = t->v[i];
            t->v[i] = v;
            v = fallen;
        }
}

static double top_mean(const struct top *t, size_t columns) {
    size_t n = TOC_MIN(columns, (size_t)TOP);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += t->v[i] / (double)n;
    return sum;
}

struct totals {
    struct top beyond, level, reach;
    double reach_sum, middle_most;
    size_t beyond_count, level_count, reach_count, record_count, columns;
    struct comparison farthest;
};

static void totals_add(struct totals *t, const struct comparison *k) {
    if (t->columns == 0 || k->reach > t->farthest.reach)
        t->farthest = *k;
    t->columns++;
    top_add(&t->beyond, k->beyond);
    top_add(&t->level, k->level);
    top_add(&t->reach, k->reach);
    t->reach_sum += k->reach;
    t->middle_most = fmax(t->middle_most, k->middle);
    t->beyond_count += k->beyond > 0.2;
    t->level_count += k->level > 2;
    t->reach_count += k->reach > 8;
    t->record_count += k->record > 0;
}

static void write(const struct totals *t, double *out) {
    double n = (double)t->columns;
    out[TOC_ALERT_FEATURE_BEYOND] = log1p(t->beyond.v[0]);
    out[TOC_ALERT_FEATURE_BEYOND_TOP] = log1p(top_mean(&t->beyond, t->columns));
    out[TOC_ALERT_FEATURE_BEYOND_WIDTH] = (double)t->beyond_count / n;
    out[TOC_ALERT_FEATURE_LEVEL] = asinh(t->level.v[0]);
    out[TOC_ALERT_FEATURE_LEVEL_TOP] = asinh(top_mean(&t->level, t->columns));
    out[TOC_ALERT_FEATURE_LEVEL_WIDTH] = (double)t->level_count / n;
    out[TOC_ALERT_FEATURE_REACH_TOP] = asinh(top_mean(&t->reach, t->columns));
    out[TOC_ALERT_FEATURE_REACH_MEAN] = asinh(t->reach_sum / n);
    out[TOC_ALERT_FEATURE_REACH_WIDTH] = (double)t->reach_count / n;
    out[TOC_ALERT_FEATURE_RECORD] = (double)t->record_count / n;
    out[TOC_ALERT_FEATURE_SPREAD] = t->farthest.spread;
    out[TOC_ALERT_FEATURE_KNOWN] = t->farthest.known;
    out[TOC_ALERT_FEATURE_MIDDLE] = asinh(t->farthest.signed_middle);
    out[TOC_ALERT_FEATURE_PLACE] = t->farthest.place;
    out[TOC_ALERT_FEATURE_CALM] = t->farthest.calm;
    out[TOC_ALERT_FEATURE_SUSTAINED] = log((t->middle_most + 0.1) / (t->reach.v[0] + 0.1));
}

void toc_alert_history_features(const struct toc_alert_context *c, size_t columns, double *out) {
    struct sample *parts = toc_try_calloc(3, sizeof *parts); /* baseline, history, alert */
    struct totals totals = {0};
    if (!parts)
        return; /* all NaN: as if there were no history */
    size_t step = TOC_MAX(c->start / TOC_ALERT_SAMPLE_ROWS, (size_t)1);
    size_t base = c->start > TOC_ALERT_BASELINE_ROWS ? c->start - TOC_ALERT_BASELINE_ROWS : 0;
    size_t length = c->rows - c->start;
    size_t first = length > SEGMENT_ROWS ? c->rows - SEGMENT_ROWS : c->start;
    for (size_t i = 0; i < columns; i++) {
        gather(c, i, base, c->start, 1, &parts[0]);
        gather(c, i, 0, c->start, step, &parts[1]);
        gather(c, i, first, c->rows, 1, &parts[2]);
        struct summary before = summarise(&parts[0], ROWS_MIN);
        struct summary all = summarise(&parts[1], ROWS_MIN);
        if (!before.is_known || !all.is_known || parts[2].n == 0)
            continue;
        struct comparison k = compare(&before, &parts[1], &all, &parts[2]);
        totals_add(&totals, &k);
    }
    if (totals.columns)
        write(&totals, out);
    toc_free(parts);
}
