/* Functions of one window: rate and its family, *_over_time, regression. */
#include "promql/range_functions_priv.h"

#include <math.h>
#include <string.h>

#include "base/sum.h"
#include "promql/eval_priv.h"
#include "promql/extrapolate_priv.h"

enum { STACK_VALUES = 256 };

/* ----------------------------------------------------------------------------- counters and
 * differences */

static bool extrapolate(const struct toc_window *w, bool is_counter, bool is_rate, double *out) {
    if (w->count < 2)
        return false;
    size_t last = w->count - 1;
    double result = w->v[last] - w->v[0];
    for (size_t i = 1; is_counter && i <= last; i++)
        if (w->v[i] < w->v[i - 1])
            result += w->v[i - 1];
    struct toc_window_reach reach = toc_window_reach((struct toc_window_shape){
        w->t_ms[0] - w->start_ms, w->t_ms[last] - w->t_ms[0], w->end_ms - w->t_ms[last], last});
    double factor = is_counter ? toc_counter_factor(&reach, w->v[0], result) : reach.factor;
    if (is_rate)
        factor /= (double)(w->end_ms - w->start_ms) / 1000.0;
    *out = result * factor;
    return true;
}

int toc_window_rate(const struct toc_window *w, struct toc_window_result *out) {
    return extrapolate(w, true, true, &out->value);
}
int toc_window_increase(const struct toc_window *w, struct toc_window_result *out) {
    return extrapolate(w, true, false, &out->value);
}
int toc_window_delta(const struct toc_window *w, struct toc_window_result *out) {
    return extrapolate(w, false, false, &out->value);
}

static bool last_two(const struct toc_window *w, bool is_rate, double *out) {
    if (w->count < 2)
        return false;
    double a = w->v[w->count - 2], b = w->v[w->count - 1];
    int64_t ms = w->t_ms[w->count - 1] - w->t_ms[w->count - 2];
    if (ms == 0)
        return false;
    *out = is_rate && b < a ? b : b - a;
    if (is_rate)
        *out /= (double)ms / 1000.0;
    return true;
}

int toc_window_irate(const struct toc_window *w, struct toc_window_result *out) {
    return last_two(w, true, &out->value);
}
int toc_window_idelta(const struct toc_window *w, struct toc_window_result *out) {
    return last_two(w, false, &out->value);
}

int toc_window_resets(const struct toc_window *w, struct toc_window_result *out) {
    double n = 0;
    for (size_t i = 1; i < w->count; i++)
        n += w->v[i] < w->v[i - 1];
    out->value = n;
    return true;
}

int toc_window_changes(const struct toc_window *w, struct toc_window_result *out) {
    double n = 0;
    for (size_t i = 1; i < w->count; i++)
        n += w->v[i] != w->v[i - 1] && !(isnan(w->v[i]) && isnan(w->v[i - 1]));
    out->value = n;
    return true;
}

/* ------------------------------------------------------------------------------------------
 * statistics */

static double total(const struct toc_window *w) {
    double sum = 0, lost = 0;
    for (size_t i = 0; i < w->count; i++)
        toc_sum_add(&sum, &lost, w->v[i]);
    return isinf(sum) ? sum : sum + lost;
}

int toc_window_sum(const struct toc_window *w, struct toc_window_result *out) {
    out->value = total(w);
    return true;
}

int toc_window_avg(const struct toc_window *w, struct toc_window_result *out) {
    double sum = total(w);
    if (!isinf(sum)) {
        out->value = sum / (double)w->count;
        return true;
    }
    struct toc_mean mean = {0}; /* the sum overflows, the mean need not */
    for (size_t i = 0; i < w->count; i++)
        toc_mean_add(&mean, w->v[i]);
    out->value = toc_mean_value(&mean);
    return true;
}

int toc_window_count(const struct toc_window *w, struct toc_window_result *out) {
    out->value = (double)w->count;
    return true;
}

static bool extreme(const struct toc_window *w, bool is_max, double *out) {
    double best = w->v[0];
    for (size_t i = 1; i < w->count; i++)
        if (isnan(best) || (is_max ? w->v[i] > best : w->v[i] < best))
            best = w->v[i];
    *out = best;
    return true;
}

int toc_window_min(const struct toc_window *w, struct toc_window_result *out) {
    return extreme(w, false, &out->value);
}
int toc_window_max(const struct toc_window *w, struct toc_window_result *out) {
    return extreme(w, true, &out->value);
}

int toc_window_last(const struct toc_window *w, struct toc_window_result *out) {
    out->value = w->v[w->count - 1];
    return true;
}

int toc_window_present(const struct toc_window *w, struct toc_window_result *out) {
    (void)w;
    out->value = 1;
    return true;
}

/* Welford's one-pass variance, with compensation. */
static double variance(const struct toc_window *w) {
    double mean = 0, mean_lost = 0, squares = 0, squares_lost = 0;
    for (size_t i = 0; i < w->count; i++) {
        double delta = w->v[i] - (mean + mean_lost);
        toc_sum_add(&mean, &mean_lost, delta / (double)(i + 1));
        toc_sum_add(&squares, &squares_lost, delta * (w->v[i] - (mean + mean_lost)));
    }
    return (squares + squares_lost) / (double)w->count;
}

int toc_window_stdvar(const struct toc_window *w, struct toc_window_result *out) {
    out->value = variance(w);
    return true;
}

int toc_window_stddev(const struct toc_window *w, struct toc_window_result *out) {
    out->value = sqrt(variance(w));
    return true;
}

static double quantile_of(double q, const double *v, size_t n) {
    double space[STACK_VALUES];
    double *copy = n <= STACK_VALUES ? space : toc_xcalloc(n, sizeof *copy);
    memcpy(copy, v, n * sizeof *v);
    double result = toc_promql_quantile(q, copy, n);
    if (copy != space)
        toc_free(copy);
    return result;
}

int toc_window_quantile(const struct toc_window *w, struct toc_window_result *out) {
    out->value = quantile_of(w->parameters[0], w->v, w->count);
    return true;
}

int toc_window_mad(const struct toc_window *w, struct toc_window_result *out) {
    for (size_t i = 0; i < w->count; i++)
        if (isnan(w->v[i])) {
            out->value = NAN;
            return true;
        }
    double median = quantile_of(0.5, w->v, w->count);
    double *distances = toc_xcalloc(w->count, sizeof *distances);
    for (size_t i = 0; i < w->count; i++)
        distances[i] = fabs(w->v[i] - median);
    out->value = toc_promql_quantile(0.5, distances, w->count);
    toc_free(distances);
    return true;
}

/* ------------------------------------------------------------------------------------------
 * regression */

/* Least squares over (t − origin) in seconds. */
static void regress(const struct toc_window *w, int64_t origin_ms, double *slope,
                    double *intercept) {
    double n = 0, x_sum = 0, x_lost = 0, y_sum = 0, y_lost = 0, xy = 0, xy_lost = 0, xx = 0,
           xx_lost = 0;
    bool is_constant = true;
    for (size_t i = 0; i < w->count; i++) {
        double x = (double)(w->t_ms[i] - origin_ms) / 1000.0, y = w->v[i];
        is_constant = is_constant && y == w->v[0];
        n += 1;
        toc_sum_add(&x_sum, &x_lost, x);
        toc_sum_add(&y_sum, &y_lost, y);
        toc_sum_add(&xy, &xy_lost, x * y);
        toc_sum_add(&xx, &xx_lost, x * x);
    }
    if (is_constant) {
        *slope = isinf(w->v[0]) ? NAN : 0;
        *intercept = isinf(w->v[0]) ? NAN : w->v[0];
        return;
    }
    double sx = x_sum + x_lost, sy = y_sum + y_lost;
    double covariance = xy + xy_lost - sx * sy / n, spread = xx + xx_lost - sx * sx / n;
    *slope = covariance / spread;
    *intercept = sy / n - *slope * sx / n;
}

int toc_window_deriv(const struct toc_window *w, struct toc_window_result *out) {
    double intercept;
    if (w->count < 2)
        return false;
    regress(w, w->t_ms[0], &out->value, &intercept);
    return true;
}

int toc_window_predict_linear(const struct toc_window *w, struct toc_window_result *out) {
    double slope, intercept;
    if (w->count < 2)
        return false;
    regress(w, w->eval_ms, &slope, &intercept);
    out->value = slope * w->parameters[0] + intercept;
    return true;
}
