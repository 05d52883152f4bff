/*
 * Functions over the windows of a series that slide instead of starting anew at each step: the cost
 * follows the samples and the steps, not their product. Sums come from differences of prefix sums
 * kept in two doubles (Dekker, Numerische Mathematik 18, 1971) wherever their error cannot reach
 * the result, extremes from a queue of candidates that only get worse (Lemire, arXiv cs/0610046).
 */
#include <math.h>
#include <string.h>

#include "base/sum.h"
#include "model/sample.h"
#include "promql/extrapolate_priv.h"
#include "promql/range_functions_priv.h"
#include "promql/slide_functions_priv.h"

static bool is_empty(const struct toc_slide *s, size_t step) {
    return s->first[step] == s->end[step];
}

/* ------------------------------------------------------------------------------------ counters */

/* Positions at which the value falls, rising; scratch holds them as numbers, exact below 2^53. */
static size_t find_resets(const struct toc_slide *s) {
    const double *v = s->v;
    size_t n = 0, i = 1;
    while (i < s->count) {
        /* Most stretches have none: eight comparisons, one branch. */
        if (i + 8 <= s->count &&
            !((v[i] < v[i - 1]) | (v[i + 1] < v[i]) | (v[i + 2] < v[i + 1]) |
              (v[i + 3] < v[i + 2]) | (v[i + 4] < v[i + 3]) | (v[i + 5] < v[i + 4]) |
              (v[i + 6] < v[i + 5]) | (v[i + 7] < v[i + 6]))) {
            i += 8;
            continue;
        }
        if (v[i] < v[i - 1])
            s->scratch[n++] = (double)i;
        i++;
    }
    return n;
}

static bool is_same_shape(struct toc_window_shape a, struct toc_window_shape b) {
    return a.to_first_ms == b.to_first_ms && a.sampled_ms == b.sampled_ms &&
           a.to_end_ms == b.to_end_ms && a.intervals == b.intervals;
}

/* Samples taken at a steady pace lie alike in each window, so the divisions are done once. */
static void slide_increase(const struct toc_slide *s, bool is_counter, bool is_rate, double *out) {
    const double *v = s->v, *reset = s->scratch;
    size_t resets = is_counter ? find_resets(s) : 0, next = 0;
    double seconds = is_rate ? (double)(s->end_ms - s->start_ms) / 1000.0 : 1, usual = 0;
    struct toc_window_shape shape = {0};
    struct toc_window_reach reach = {0};
    int64_t start_ms = s->start_ms, end_ms = s->end_ms;
    for (size_t i = 0; i < s->step_count; i++, start_ms += s->step_ms, end_ms += s->step_ms) {
        size_t first = s->first[i], end = s->end[i];
        if (end < first + 2)
            continue;
        double increase = v[end - 1] - v[first];
        while (next < resets && reset[next] <= (double)first)
            next++;
        for (size_t k = next; k < resets && reset[k] < (double)end; k++)
            increase += v[(size_t)reset[k] - 1];
        int64_t first_ms = s->t_ms[first], last_ms = s->t_ms[end - 1];
        struct toc_window_shape x = {first_ms - start_ms, last_ms - first_ms, end_ms - last_ms,
                                     end - first - 1};
        if (!is_same_shape(x, shape)) {
            shape = x;
            reach = toc_window_reach(x);
            usual = reach.factor / seconds;
        }
        double factor = is_counter ? toc_counter_factor(&reach, v[first], increase) : reach.factor;
        out[i] = increase * (factor == reach.factor ? usual : factor / seconds);
    }
}

void toc_slide_rate(const struct toc_slide *s, double *out) {
    slide_increase(s, true, true, out);
}
void toc_slide_increase(const struct toc_slide *s, double *out) {
    slide_increase(s, true, false, out);
}
void toc_slide_delta(const struct toc_slide *s, double *out) {
    slide_increase(s, false, false, out);
}

/* How many of the window's neighbours differ in the way that `is_event` asks for: differences of
 * a running count. */
static void slide_events(const struct toc_slide *s, bool is_change, double *out) {
    double *before = s->scratch, n = 0; /* events at positions ≤ i */
    for (size_t i = 0; i < s->count; i++) {
        if (i > 0) {
            double a = s->v[i - 1], b = s->v[i];
            n += is_change ? a != b && !(isnan(a) && isnan(b)) : b < a;
        }
        before[i] = n;
    }
    for (size_t i = 0; i < s->step_count; i++)
        if (!is_empty(s, i))
            out[i] = before[s->end[i] - 1] - before[s->first[i]];
}

void toc_slide_resets(const struct toc_slide *s, double *out) {
    slide_events(s, false, out);
}
void toc_slide_changes(const struct toc_slide *s, double *out) {
    slide_events(s, true, out);
}

/* ---------------------------------------------------------------------------------------- sums */

/* A sum of doubles in two: high + low, |low| at most half an ulp of high. */
struct pair {
    double high, low;
};

static inline struct pair pair_add(struct pair p, double v) {
    double high = p.high + v, part = high - p.high;
    double low = p.low + ((p.high - (high - part)) + (v - part));
    double sum = high + low;
    return (struct pair){sum, low - (sum - high)};
}

static inline double pair_difference(struct pair a, struct pair b) {
    double high = a.high - b.high, part = high - a.high;
    double low = (a.high - (high - part)) - (b.high + part);
    return high + (low + (a.low - b.low));
}

static double sum_of(const double *v, size_t n) {
    double sum = 0, lost = 0;
    for (size_t i = 0; i < n; i++)
        toc_sum_add(&sum, &lost, v[i]);
    return isinf(sum) ? sum : sum + lost;
}

/* Adds up from a window's start while windows overlap; `magnitude` bounds what rounding may have
 * taken from the pair. */
struct running_sum {
    struct pair whole, before; /* up to the window's end, up to its start */
    size_t end, start;
    double magnitude;
};

static void advance(const struct toc_slide *s, struct running_sum *r, size_t step) {
    for (; r->end < s->end[step]; r->end++) {
        r->whole = pair_add(r->whole, s->v[r->end]);
        r->magnitude += fabs(s->v[r->end]);
    }
    for (; r->start < s->first[step]; r->start++)
        r->before = pair_add(r->before, s->v[r->start]);
}

/* Each addition to a pair loses at most 2^-104 of the magnitude so far. With fewer than 2^20
 * samples the difference is right to the last bit or so unless it is 2^30 times smaller than all
 * that went in; then, and where something is not finite, the window is summed up. */
static double sum_at(const struct toc_slide *s, const struct running_sum *r, size_t step) {
    size_t first = s->first[step], n = s->end[step] - first;
    double sum = pair_difference(r->whole, r->before);
    if (fabs(sum) >= r->magnitude * 0x1p-30 && isfinite(r->magnitude) &&
        (s->starts_anew ? n : s->count) < 1u << 20)
        return sum;
    return sum_of(s->v + first, n);
}

static bool overlaps(const struct toc_slide *s, size_t step) {
    return !s->starts_anew && step > 0 && s->first[step] < s->end[step - 1];
}

void toc_slide_sum(const struct toc_slide *s, double *out) {
    struct running_sum r = {0};
    for (size_t i = 0; i < s->step_count; i++) {
        if (is_empty(s, i))
            continue;
        if (!overlaps(s, i))
            r = (struct running_sum){.end = s->first[i], .start = s->first[i]};
        advance(s, &r, i);
        out[i] = sum_at(s, &r, i);
    }
}

void toc_slide_avg(const struct toc_slide *s, double *out) {
    toc_slide_sum(s, out);
    for (size_t i = 0; i < s->step_count; i++) {
        if (is_empty(s, i))
            continue;
        size_t n = s->end[i] - s->first[i];
        if (!isinf(out[i])) {
            out[i] /= (double)n;
            continue;
        }
        /* The sum overflows, the mean need not. */
        struct toc_window w = {.t_ms = s->t_ms + s->first[i], .v = s->v + s->first[i], .count = n};
        struct toc_window_result result = {0};
        if (toc_window_avg(&w, &result) == 1)
            out[i] = result.value;
    }
}

/* ------------------------------------------------------------------------------------ extremes */

/* The queue lies in scratch: positions whose values get worse from its head on. NaN stays out and
 * counts only where there is nothing else. */
static void slide_extreme(const struct toc_slide *s, bool is_max, double *out) {
    double *queue = s->scratch;
    size_t head = 0, tail = 0, next = 0;
    for (size_t i = 0; i < s->step_count; i++) {
        for (; next < s->end[i]; next++) {
            double v = s->v[next];
            if (isnan(v))
                continue;
            while (tail > head &&
                   (is_max ? s->v[(size_t)queue[tail - 1]] < v : s->v[(size_t)queue[tail - 1]] > v))
                tail--;
            queue[tail++] = (double)next;
        }
        while (head < tail && queue[head] < (double)s->first[i])
            head++;
        if (!is_empty(s, i))
            out[i] = head < tail ? s->v[(size_t)queue[head]] : s->v[s->first[i]];
    }
}

void toc_slide_min(const struct toc_slide *s, double *out) {
    slide_extreme(s, false, out);
}
void toc_slide_max(const struct toc_slide *s, double *out) {
    slide_extreme(s, true, out);
}

/* --------------------------------------------------------------------------------------- ends */

void toc_slide_count(const struct toc_slide *s, double *out) {
    for (size_t i = 0; i < s->step_count; i++)
        if (!is_empty(s, i))
            out[i] = (double)(s->end[i] - s->first[i]);
}
void toc_slide_last(const struct toc_slide *s, double *out) {
    for (size_t i = 0; i < s->step_count; i++)
        if (!is_empty(s, i))
            out[i] = s->v[s->end[i] - 1];
}
void toc_slide_present(const struct toc_slide *s, double *out) {
    for (size_t i = 0; i < s->step_count; i++)
        if (!is_empty(s, i))
            out[i] = 1;
}

static void slide_last_two(const struct toc_slide *s, bool is_rate, double *out) {
    for (size_t i = 0; i < s->step_count; i++) {
        size_t end = s->end[i];
        if (end < (size_t)s->first[i] + 2 || s->t_ms[end - 1] == s->t_ms[end - 2])
            continue;
        double a = s->v[end - 2], b = s->v[end - 1];
        double seconds = (double)(s->t_ms[end - 1] - s->t_ms[end - 2]) / 1000.0;
        out[i] = is_rate ? (b < a ? b : b - a) / seconds : b - a;
    }
}

void toc_slide_irate(const struct toc_slide *s, double *out) {
    slide_last_two(s, true, out);
}
void toc_slide_idelta(const struct toc_slide *s, double *out) {
    slide_last_two(s, false, out);
}
