#include "detect/threshold_budget.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/time.h"
#include "base/vec.h"

enum {
    HOUR_MS = 3600000,
    DAY_MS = 86400000,
    HOURS = 24,
    KINDS = 2, /* of days: weekday, weekend */
    SEASON_DAYS_MIN = 7,
    WEEK_DAYS_MIN = 14, /* of history before days of the week are told apart */
};
#define BASE_QUANTILE 0.98
#define SHAPE_MAX 0.5
#define GAIN_MIN 0.3
#define PROFILE_SHARE_MIN 0.3
/* A longer `for` may lower the threshold, but not into what a series shows three tenths of the
 * time: an alert that never ends pages seldom, too. From 0.8 on, series of short bursts are left
 * without a `for` that fits (unit test). */
#define USUAL_QUANTILE 0.7
/* Aimed at: what is learnt from a history errs, and crossing more often than asked is the worse
 * error. */
#define SAFETY 0.7

/* A cluster's highest level. Values are mirrored for < and <=, so that high is bad. */
struct peak {
    int64_t t_ms;
    double level;
};

/* What of the history counts: all hours or some. */
struct hours {
    bool is_all, is_inside; /* inside [from, to) on the days, or outside */
    enum toc_budget_days days;
    int from, to; /* 0 to 24: all day */
};

struct work {
    const struct toc_budget_request *r;
    double sign; /* -1: mirrored */
    int64_t min_ms, max_ms;
    size_t samples;
    double *sorted; /* finite values, rising */
    double median;
};

struct peaks {
    TOC_VEC_FIELDS(struct peak)
    double base;
    int64_t span_ms; /* of the history that counts */
};

/* ------------------------------------------------------------------------------------- history */

static int by_number(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int by_time(const void *a, const void *b) {
    const struct peak *x = a, *y = b;
    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    return (x->level > y->level) - (x->level < y->level);
}

static double quantile(const double *sorted, size_t n, double q) {
    double rank = q * (double)(n - 1);
    size_t low = (size_t)rank, high = low + 1 < n ? low + 1 : low;
    double weight = rank - (double)low;
    return sorted[low] * (1 - weight) + sorted[high] * weight;
}

static int look(struct work *w) {
    const struct toc_budget_request *r = w->r;
    size_t n = 0;
    for (size_t s = 0; s < r->series_count; s++)
        n += r->series[s].count;
    w->sorted = toc_try_calloc(n + 1, sizeof *w->sorted);
    if (!w->sorted)
        return TOC_ENOMEM;
    w->min_ms = INT64_MAX;
    w->max_ms = INT64_MIN;
    for (size_t s = 0; s < r->series_count; s++)
        for (size_t i = 0; i < r->series[s].count; i++) {
            if (!isfinite(r->series[s].values[i]))
                continue;
            w->sorted[w->samples++] = w->sign * r->series[s].values[i];
            w->min_ms = TOC_MIN(w->min_ms, r->series[s].t_ms[i]);
            w->max_ms = TOC_MAX(w->max_ms, r->series[s].t_ms[i]);
        }
    if (w->samples)
        qsort(w->sorted, w->samples, sizeof *w->sorted, by_number);
    w->median = w->samples ? quantile(w->sorted, w->samples, 0.5) : NAN;
    return 0;
}

static int hour_of(int64_t t_ms) {
    int64_t in_day = t_ms % DAY_MS;
    return (int)((in_day < 0 ? in_day + DAY_MS : in_day) / HOUR_MS);
}

static bool is_within(int hour, int from, int to) {
    return from < to ? hour >= from && hour < to : hour >= from || hour < to;
}

/* 1 January 1970 was a Thursday. */
static bool is_weekend(int64_t t_ms) {
    int64_t day = t_ms / DAY_MS - (t_ms % DAY_MS < 0);
    int64_t of_week = (day % 7 + 7 + 4) % 7; /* 0 is Sunday */
    return of_week == 0 || of_week == 6;
}

static bool is_on(enum toc_budget_days days, bool weekend) {
    return days == TOC_BUDGET_ALL_DAYS || (days == TOC_BUDGET_WEEKEND) == weekend;
}

static bool is_high(const struct hours *h, int hour, bool weekend) {
    return is_on(h->days, weekend) && is_within(hour, h->from, h->to);
}

static bool counts(const struct hours *h, int64_t t_ms) {
    return h->is_all || is_high(h, hour_of(t_ms), is_weekend(t_ms)) == h->is_inside;
}

/* Of the week: which part the hours are. */
static double share_of_week(const struct hours *h) {
    static const double days[] = {1, 5.0 / 7, 2.0 / 7};
    int length = h->to - h->from + (h->to <= h->from ? HOURS : 0);
    double inside = days[h->days] * length / HOURS;
    return h->is_all ? 1 : h->is_inside ? inside : 1 - inside;
}

/* --------------------------------------------------------------------------------------- levels */

/* The lowest of the last `width` values at each step, by a queue of candidates (Lemire, arXiv
 * cs/0610046). A missing or infinite value, or a gap, begins anew: the condition is interrupted. */
struct window {
    size_t *queue, head, tail;
    size_t begin; /* of the stretch without interruption */
};

static bool is_interrupted(const struct toc_history *s, size_t i, int64_t step_ms) {
    return !isfinite(s->values[i]) || (i > 0 && s->t_ms[i] - s->t_ms[i - 1] > 2 * step_ms);
}

/* The level held for `width` steps up to i; NaN when there is none. */
static double push(struct window *w, const struct work *work, const struct toc_history *s, size_t i,
                   size_t width) {
    if (is_interrupted(s, i, work->r->step_ms)) {
        w->head = w->tail = 0;
        w->begin = isfinite(s->values[i]) ? i : i + 1;
    }
    if (!isfinite(s->values[i]))
        return NAN;
    double v = work->sign * s->values[i];
    while (w->tail > w->head && work->sign * s->values[w->queue[w->tail - 1]] >= v)
        w->tail--;
    w->queue[w->tail++] = i;
    while (w->queue[w->head] + width <= i)
        w->head++;
    return i - w->begin + 1 >= width ? work->sign * s->values[w->queue[w->head]] : NAN;
}

static int each_level(const struct work *w, int64_t for_ms, const struct hours *h,
                      void (*fn)(void *ctx, int64_t t_ms, double level), void *ctx) {
    size_t width = (size_t)(for_ms / w->r->step_ms) + 1, longest = 0;
    for (size_t s = 0; s < w->r->series_count; s++)
        longest = TOC_MAX(longest, w->r->series[s].count);
    struct window window = {.queue = toc_try_calloc(longest + 1, sizeof *window.queue)};
    if (!window.queue)
        return TOC_ENOMEM;
    for (size_t s = 0; s < w->r->series_count; s++) {
        const struct toc_history *x = &w->r->series[s];
        window.head = window.tail = window.begin = 0;
        for (size_t i = 0; i < x->count; i++) {
            double level = push(&window, w, x, i, width);
            if (!isnan(level) && counts(h, x->t_ms[i]))
                fn(ctx, x->t_ms[i], level);
        }
    }
    toc_free(window.queue);
    return 0;
}

struct levels {
    TOC_VEC_FIELDS(double)
};

static void keep_level(void *ctx, int64_t t_ms, double level) {
    struct levels *l = ctx;
    (void)t_ms;
    TOC_VEC_PUSH(l, level);
}

static void keep_above(void *ctx, int64_t t_ms, double level) {
    struct peaks *p = ctx;
    if (level > p->base)
        TOC_VEC_PUSH(p, ((struct peak){t_ms, level}));
}

/* Levels above the base, joined to clusters, each at the time of its first level. */
static void join_clusters(struct peaks *p) {
    size_t kept = 0;
    int64_t last_ms = 0;
    if (p->count)
        qsort(p->items, p->count, sizeof *p->items, by_time);
    for (size_t i = 0; i < p->count; i++) {
        bool is_same = kept > 0 && p->items[i].t_ms - last_ms <= TOC_BUDGET_KEEP_MS;
        last_ms = p->items[i].t_ms;
        if (!is_same)
            p->items[kept++] = p->items[i];
        else if (p->items[i].level > p->items[kept - 1].level)
            p->items[kept - 1].level = p->items[i].level;
    }
    p->count = kept;
}

static int find_peaks(const struct work *w, int64_t for_ms, const struct hours *h,
                      struct peaks *out) {
    struct levels all = {0};
    int rc = each_level(w, for_ms, h, keep_level, &all);
    *out = (struct peaks){.span_ms = (int64_t)((double)(w->max_ms - w->min_ms) * share_of_week(h))};
    if (rc == 0 && all.count) {
        qsort(all.items, all.count, sizeof *all.items, by_number);
        out->base = quantile(all.items, all.count, BASE_QUANTILE);
        rc = each_level(w, for_ms, h, keep_above, out);
        join_clusters(out);
    }
    TOC_VEC_FINI(&all);
    return rc;
}

/* ----------------------------------------------------------------------------------------- tail */

/* The level that peaks cross `crossings` times (may be below one) in the span of the peaks; the
 * excesses must be sorted. */
static double tail_level(const double *excess, size_t n, double base, double crossings) {
    double mean = 0, weighted = 0;
    for (size_t i = 0; i < n; i++) {
        mean += excess[i] / (double)n;
        weighted +=
            excess[i] * ((double)(n - 1 - i) / (double)TOC_MAX(n - 1, (size_t)1)) / (double)n;
    }
    double rest = mean - 2 * weighted;
    double shape = rest > 0 ? 2 - mean / rest : SHAPE_MAX;
    shape = fmin(SHAPE_MAX, fmax(-SHAPE_MAX, shape));
    double scale = mean * (1 - shape);
    double ratio = (double)n / crossings;
    if (ratio <= 1)
        return base;
    return base +
           (fabs(shape) < 1e-6 ? scale * log(ratio) : scale / shape * (pow(ratio, shape) - 1));
}

static double level_of(double *excess, size_t n, const struct peaks *p, double crossings) {
    if (n == 0)
        return p->base;
    qsort(excess, n, sizeof *excess, by_number);
    return tail_level(excess, n, p->base, crossings);
}

static double crossings_of(const struct work *w, const struct peaks *p) {
    /* Hours share the budget by their part of the week. */
    return SAFETY * (double)p->span_ms / (double)w->r->budget_period_ms;
}

/* Peaks of as many days as there are, drawn with replacement. */
static size_t draw_days(const struct peaks *p, const size_t *first, size_t days,
                        struct toc_rng *rng, double *out) {
    size_t n = 0;
    for (size_t d = 0; d < days; d++) {
        size_t day = toc_rng_below(rng, days);
        for (size_t i = first[day]; i < first[day + 1] && n < 4 * p->count; i++)
            out[n++] = p->items[i].level - p->base;
    }
    return n;
}

static int resample(const struct work *w, const struct peaks *p, struct toc_budget_level *out) {
    size_t days = (size_t)((w->max_ms - w->min_ms) / DAY_MS) + 1;
    int rounds = w->r->rounds ? w->r->rounds : TOC_BUDGET_ROUNDS_DEFAULT;
    size_t *first = toc_try_calloc(days + 1, sizeof *first);
    double *excess = toc_try_calloc(4 * p->count + 1, sizeof *excess);
    double *levels = toc_try_calloc((size_t)rounds, sizeof *levels);
    struct toc_rng rng;
    toc_rng_seed(&rng, w->r->seed);
    for (size_t d = 0, i = 0; first && d <= days; d++) {
        while (i < p->count && (size_t)((p->items[i].t_ms - w->min_ms) / DAY_MS) < d)
            i++;
        first[d] = i;
    }
    bool has_memory = first && excess && levels;
    for (int k = 0; has_memory && k < rounds; k++) {
        size_t n = draw_days(p, first, days, &rng, excess);
        levels[k] = level_of(excess, n, p, crossings_of(w, p));
    }
    if (has_memory) {
        qsort(levels, (size_t)rounds, sizeof *levels, by_number);
        out->low = quantile(levels, (size_t)rounds, 0.025);
        out->high = quantile(levels, (size_t)rounds, 0.975);
    }
    toc_free(first);
    toc_free(excess);
    toc_free(levels);
    return has_memory ? 0 : TOC_ENOMEM;
}

/* Without the interval, for choosing. */
static int estimate(const struct work *w, const struct peaks *p, struct toc_budget_level *out) {
    double *excess = toc_try_calloc(p->count + 1, sizeof *excess);
    if (!excess)
        return TOC_ENOMEM;
    for (size_t i = 0; i < p->count; i++)
        excess[i] = p->items[i].level - p->base;
    *out = (struct toc_budget_level){.peaks = p->count};
    out->threshold = level_of(excess, p->count, p, crossings_of(w, p));
    toc_free(excess);
    return 0;
}

static int fit(const struct work *w, int64_t for_ms, const struct hours *h, bool wants_interval,
               struct toc_budget_level *out) {
    struct peaks p;
    int rc = find_peaks(w, for_ms, h, &p);
    if (rc == 0)
        rc = estimate(w, &p, out);
    if (rc == 0 && wants_interval)
        rc = resample(w, &p, out);
    TOC_VEC_FINI(&p);
    return rc;
}

/* --------------------------------------------------------------------------------------- season */

/* Sums and counts by hour, of weekdays and of weekends. */
struct profile {
    double sum[KINDS][HOURS], count[KINDS][HOURS];
    double all, total; /* sum of all, and of squared distances from the mean */
};

static void look_at_hours(const struct work *w, struct profile *p) {
    double squares = 0;
    *p = (struct profile){0};
    for (size_t s = 0; s < w->r->series_count; s++)
        for (size_t i = 0; i < w->r->series[s].count; i++) {
            double v = w->sign * w->r->series[s].values[i] - w->median;
            int64_t t_ms = w->r->series[s].t_ms[i];
            if (!isfinite(v))
                continue;
            p->sum[is_weekend(t_ms)][hour_of(t_ms)] += v;
            p->count[is_weekend(t_ms)][hour_of(t_ms)]++;
            p->all += v;
            squares += v * v;
        }
    p->total = squares - p->all * p->all / (double)w->samples;
}

/* The share of the variance that the hours explain, each kind of day by itself or all together. */
static double explained(const struct profile *p, bool has_week, double samples) {
    double between = 0;
    for (int h = 0; h < HOURS; h++) {
        double sum[KINDS] = {p->sum[0][h], p->sum[1][h]};
        double count[KINDS] = {p->count[0][h], p->count[1][h]};
        if (!has_week) {
            sum[0] += sum[1];
            count[0] += count[1];
            count[1] = 0;
        }
        for (int k = 0; k < KINDS; k++)
            between += count[k] > 0 ? sum[k] * sum[k] / count[k] : 0;
    }
    between -= p->all * p->all / samples;
    return p->total > 0 ? between / p->total : 0;
}

/* How well two levels, inside and outside, tell the hours apart: the variance between them, as in
 * Otsu's method (IEEE Transactions on Systems, Man and Cybernetics 9, 1979). */
static double otsu(const struct profile *p, const struct hours *h, double samples) {
    double in = 0, n = 0;
    for (int k = 0; k < KINDS; k++)
        for (int hour = 0; hour < HOURS; hour++)
            if (is_high(h, hour, k == 1)) {
                in += p->sum[k][hour];
                n += p->count[k][hour];
            }
    double rest = samples - n;
    if (n < 1 || rest < 1 || in / n <= (p->all - in) / rest)
        return -1;
    double difference = in / n - (p->all - in) / rest;
    return difference * difference * n * rest;
}

/* The run of hours, on all days or on one kind of them, whose mean differs most from the rest. Days
 * of the week must tell a tenth more: the simpler rule is the better one. */
static void find_high_hours(const struct profile *p, bool has_week, double samples,
                            struct hours *out) {
    double best = -1;
    for (int days = TOC_BUDGET_ALL_DAYS; days <= (has_week ? TOC_BUDGET_WEEKEND : 0); days++) {
        int longest = days == TOC_BUDGET_ALL_DAYS ? HOURS - 4 : HOURS;
        for (int from = 0; from < HOURS; from++)
            for (int length = 4; length <= longest; length += length == HOURS - 4 ? 4 : 1) {
                struct hours h = {false, true, (enum toc_budget_days)days, from,
                                  length == HOURS ? HOURS : (from + length) % HOURS};
                if (length == HOURS && from > 0)
                    continue;
                double score = otsu(p, &h, samples) * (days == TOC_BUDGET_ALL_DAYS ? 1.1 : 1);
                if (score <= best)
                    continue;
                best = score;
                *out = h;
            }
    }
}

static int try_season(const struct work *w, struct toc_budget_suggestion *s) {
    struct profile p;
    struct hours high = {0};
    struct toc_budget_level in = {0}, out = {0};
    int64_t span_ms = w->max_ms - w->min_ms;
    bool has_week = span_ms >= WEEK_DAYS_MIN * (int64_t)DAY_MS;
    if (!w->r->allows_seasonal || span_ms < SEASON_DAYS_MIN * (int64_t)DAY_MS)
        return 0;
    look_at_hours(w, &p);
    if (explained(&p, has_week, (double)w->samples) < PROFILE_SHARE_MIN)
        return 0;
    find_high_hours(&p, has_week, (double)w->samples, &high);
    struct hours low = high;
    low.is_inside = false;
    int rc = fit(w, s->for_ms, &high, true, &in);
    if (rc == 0)
        rc = fit(w, s->for_ms, &low, true, &out);
    double reach = w->sign * s->level.threshold - w->median;
    bool is_better = rc == 0 && in.peaks >= TOC_BUDGET_PEAKS_MIN &&
                     out.peaks >= TOC_BUDGET_PEAKS_MIN &&
                     in.threshold - out.threshold >= GAIN_MIN * reach;
    if (!is_better)
        return rc;
    s->is_seasonal = true;
    s->high_days = high.days;
    s->high_from_hour = high.from;
    s->high_to_hour = high.to;
    s->level = in;
    s->low_hours = out;
    return 0;
}

/* ----------------------------------------------------------------------------------- suggestion */

static const int64_t g_fors_ms[] = {0, 60000, 120000, 300000, 600000, 900000, 1800000};

static int choose_for(const struct work *w, struct toc_budget_suggestion *s) {
    const int64_t *fors = w->r->fors_ms ? w->r->fors_ms : g_fors_ms;
    size_t count = w->r->fors_ms ? w->r->for_count : TOC_ARRAY_LEN(g_fors_ms);
    const struct hours all = {.is_all = true};
    double usual = quantile(w->sorted, w->samples, USUAL_QUANTILE);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct toc_budget_level l = {0};
        rc = fit(w, fors[i], &all, false, &l);
        bool is_first = i == 0, is_rare = l.peaks >= TOC_BUDGET_PEAKS_MIN && l.threshold > usual;
        double now = s->level.threshold - w->median, then = l.threshold - w->median;
        if (rc || (!is_first && (!is_rare || then > (1 - GAIN_MIN) * now)))
            continue;
        s->for_ms = fors[i];
        s->level = l;
    }
    return rc == 0 ? fit(w, s->for_ms, &all, true, &s->level) : rc;
}

static int refuse(struct toc_budget_suggestion *s, const char *fmt, ...) TOC_PRINTF(2, 3);
static int refuse(struct toc_budget_suggestion *s, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(s->reason, sizeof s->reason, fmt, ap);
    va_end(ap);
    return 0;
}

static void mirror(struct toc_budget_level *l, double sign) {
    double low = l->low, high = l->high;
    l->threshold *= sign;
    l->low = sign > 0 ? low : -high;
    l->high = sign > 0 ? high : -low;
}

static void describe(const struct work *w, struct toc_budget_suggestion *s) {
    struct toc_buf span = TOC_BUF_INIT, period = TOC_BUF_INIT;
    toc_duration_format_human(s->history_ms, &span);
    toc_duration_format_human(w->r->budget_period_ms, &period);
    snprintf(s->reason, sizeof s->reason,
             "%zu peaks in %s of history; the level that their tail crosses once in %s, %d %% of "
             "the budget left as a reserve",
             s->level.peaks, toc_buf_cstr(&span), toc_buf_cstr(&period),
             (int)lround(100 * (1 - SAFETY)));
    toc_buf_fini(&span);
    toc_buf_fini(&period);
}

static int suggest(struct work *w, struct toc_budget_suggestion *s) {
    s->samples = w->samples;
    s->history_ms = w->samples ? w->max_ms - w->min_ms : 0;
    s->median = w->sign * w->median;
    if (w->samples < TOC_THRESHOLD_SAMPLES_MIN)
        return refuse(s, "not enough data: %zu samples, at least %d are needed", w->samples,
                      TOC_THRESHOLD_SAMPLES_MIN);
    if (w->sorted[0] == w->sorted[w->samples - 1])
        return refuse(s, "the history has one value throughout: there is no level to learn from");
    if (s->history_ms < w->r->budget_period_ms / TOC_BUDGET_STRETCH_MAX)
        return refuse(s,
                      "not enough data: %.1f days of history say little about one alert in %.1f "
                      "days",
                      (double)s->history_ms / DAY_MS, (double)w->r->budget_period_ms / DAY_MS);
    int rc = choose_for(w, s);
    if (rc)
        return rc;
    if (s->level.peaks < TOC_BUDGET_PEAKS_MIN)
        return refuse(s, "not enough data: %zu separate peaks, at least %d are needed",
                      s->level.peaks, TOC_BUDGET_PEAKS_MIN);
    rc = try_season(w, s);
    s->is_available = rc == 0;
    mirror(&s->level, w->sign);
    mirror(&s->low_hours, w->sign);
    describe(w, s);
    return rc;
}

int toc_budget_suggest(const struct toc_budget_request *r, struct toc_budget_suggestion *out) {
    bool is_upper = r->op == TOC_THRESHOLD_GT || r->op == TOC_THRESHOLD_GE;
    struct work w = {.r = r, .sign = is_upper ? 1 : -1};
    *out = (struct toc_budget_suggestion){.level = {NAN, NAN, NAN, 0}};
    if (r->step_ms <= 0 || r->budget_period_ms <= 0 || r->rounds < 0 ||
        (r->fors_ms && (!r->for_count || r->for_count > TOC_BUDGET_FORS_MAX)))
        return TOC_EINVAL;
    int rc = look(&w);
    if (rc == 0)
        rc = suggest(&w, out);
    toc_free(w.sorted);
    return rc;
}

double toc_budget_threshold_at(const struct toc_budget_suggestion *s, int64_t t_ms) {
    const struct hours high = {false, true, s->high_days, s->high_from_hour, s->high_to_hour};
    bool is_low = s->is_seasonal && !is_high(&high, hour_of(t_ms), is_weekend(t_ms));
    return is_low ? s->low_hours.threshold : s->level.threshold;
}
