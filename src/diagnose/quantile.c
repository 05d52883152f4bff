#include "diagnose/quantile_priv.h"

#include <math.h>
#include <string.h>

#include "base/num.h"
#include "diagnose/history_priv.h"

static const double shares[TOC_QUANTILES] = {0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99};

/* Share of the distribution below x: straight between its quantiles, beyond them at the slope of
 * the last piece. */
static double share_below(const float q[TOC_QUANTILES], double x) {
    size_t i = 0;
    while (i + 2 < TOC_QUANTILES && x > (double)q[i + 1])
        i++;
    double low = q[i], high = q[i + 1], width = high - low;
    if (!(width > 0))
        return x < low ? shares[i] : shares[i + 1];
    double share = shares[i] + (x - low) / width * (shares[i + 1] - shares[i]);
    return TOC_MAX(0.0, TOC_MIN(1.0, share));
}

/* Between which shares the distribution below and at x lies. Where quantiles are equal many values
 * are (zeros behind a ReLU): how many is only known to the next quantile. */
struct share_range {
    double low, high;
};

static struct share_range range_at(const float q[TOC_QUANTILES], double x) {
    size_t equal = 0, last = 0;
    for (size_t i = 0; i < TOC_QUANTILES; i++)
        if ((double)q[i] == x)
            equal++, last = i;
    if (equal < 2) {
        double share = share_below(q, x);
        return (struct share_range){share, share};
    }
    return (struct share_range){shares[last], last + 1 < TOC_QUANTILES ? shares[last + 1] : 1};
}

/* Of two ranges the shares that differ least. */
static void nearest(struct share_range then, struct share_range now, double *out_then,
                    double *out_now) {
    double low = TOC_MAX(then.low, now.low), high = TOC_MIN(then.high, now.high);
    *out_then = low <= high ? low : then.high < now.low ? then.high : then.low;
    *out_now = low <= high ? low : then.high < now.low ? now.low : now.high;
}

double toc_quantile_psi(const float then[TOC_QUANTILES], const float now[TOC_QUANTILES]) {
    static const double least = 0.001;
    double psi = 0, below_then = 0, below_now = 0;
    if (!(then[TOC_QUANTILES - 1] > then[0]))
        return NAN;
    for (size_t i = 0; i <= TOC_QUANTILES; i++) {
        double to_then = 1, to_now = 1;
        if (i + 1 < TOC_QUANTILES && then[i] == then[i + 1])
            continue; /* one bin with the next */
        if (i < TOC_QUANTILES)
            nearest(range_at(then, (double)then[i]), range_at(now, (double)then[i]), &to_then,
                    &to_now);
        to_then = TOC_MAX(to_then, below_then);
        to_now = TOC_MAX(to_now, below_now);
        double a = TOC_MAX(to_then - below_then, least), b = TOC_MAX(to_now - below_now, least);
        psi += (b - a) * log(b / a);
        below_then = to_then;
        below_now = to_now;
    }
    return psi;
}

static struct toc_quantile_row *row_at(struct toc_quantile_watch *w, size_t age) {
    return &w->rows[(w->start + w->count - 1 - age) % TOC_QUANTILE_ROWS];
}

static struct toc_quantile_row *find_row(struct toc_quantile_watch *w, int64_t t_ms) {
    for (size_t age = 0; age < w->count; age++) {
        struct toc_quantile_row *r = row_at(w, age);
        if (r->t_ms == t_ms)
            return r;
        if (r->t_ms < t_ms)
            return age ? NULL : r; /* newer than all: a new row */
    }
    return NULL;
}

static struct toc_quantile_row *add_row(struct toc_quantile_watch *w, int64_t t_ms, double step) {
    if (w->count == TOC_QUANTILE_ROWS) {
        w->start = (w->start + 1) % TOC_QUANTILE_ROWS;
        w->count--;
    }
    w->count++;
    struct toc_quantile_row *r = row_at(w, 0);
    *r = (struct toc_quantile_row){.t_ms = t_ms, .step = step};
    return r;
}

enum { COMPLETE = 0x7f };

/* Median, quantile by quantile, of the complete rows between two ages; false when they are few. */
static bool middle(struct toc_quantile_watch *w, size_t from, size_t to, size_t least, float *out) {
    double v[TOC_QUANTILE_ROWS];
    for (size_t k = 0; k < TOC_QUANTILES; k++) {
        size_t n = 0;
        for (size_t age = from; age < to && age < w->count; age++)
            if (row_at(w, age)->mask == COMPLETE)
                v[n++] = (double)row_at(w, age)->q[k];
        if (n < least)
            return false;
        out[k] = (float)toc_history_median(v, n);
    }
    return true;
}

static void judge_open(struct toc_quantile_watch *w, const float *now, double limit) {
    enum { NEW_NORMAL = 200 };
    w->psi = toc_quantile_psi(w->reference, now);
    if (!(w->psi > limit) || ++w->open_reports > NEW_NORMAL) {
        w->is_open = false;
        w->held = 0;
        w->complete = 0; /* the way back is no drift either: learn anew */
        w->usual = 0;
    }
}

static size_t age_of(struct toc_quantile_watch *w, const struct toc_quantile_row *row) {
    size_t age = 0;
    while (row_at(w, age) != row)
        age++;
    return age;
}

/* Series come one after the other, so rows newer than this one may still be incomplete. */
static void judge_row(struct toc_quantile_watch *w, const struct toc_quantile_row *row,
                      double limit) {
    enum { NOW = 3, BACK_FROM = 8, BACK_TO = 24, LEAST_BACK = 8, WARM_UP = 24, HELD = 3 };
    static const double beyond_usual = 5, fading = 0.98;
    float now[TOC_QUANTILES], then[TOC_QUANTILES];
    size_t age = age_of(w, row);
    if (!middle(w, age, age + NOW, NOW, now))
        return;
    if (w->is_open) {
        judge_open(w, now, limit);
        return;
    }
    if (!middle(w, age + BACK_FROM, age + BACK_TO, LEAST_BACK, then))
        return;
    double psi = toc_quantile_psi(then, now);
    bool is_shown = w->complete >= WARM_UP && psi > limit && psi > beyond_usual * w->usual;
    w->psi = psi;
    if (!is_shown) {
        w->held = 0;
        w->usual = TOC_MAX(fading * w->usual, isfinite(psi) ? psi : 0);
        return;
    }
    if (!w->held++) {
        w->since_ms = row->t_ms;
        w->since_step = row->step;
        memcpy(w->reference, then, sizeof then);
    }
    w->is_open = w->held >= HELD;
    w->open_reports = 0;
}

void toc_quantile_take(struct toc_quantile_watch *w, size_t place, int64_t t_ms, double step,
                       double value, double limit) {
    struct toc_quantile_row *r = find_row(w, t_ms);
    if (!isfinite(value) || fabs(value) > 1e30 || place >= TOC_QUANTILES)
        return;
    if (!r && w->count && t_ms < row_at(w, 0)->t_ms)
        return; /* older than what is kept */
    if (!r || r->t_ms != t_ms)
        r = add_row(w, t_ms, step);
    if (r->mask >> place & 1)
        return;
    r->q[place] = (float)value;
    r->mask |= (uint8_t)(1U << place);
    if (r->mask == COMPLETE && ++w->complete)
        judge_row(w, r, limit);
}
