#include "promql/function_priv.h"

#include <math.h>

#include "promql/eval_priv.h"
#include "promql/functions_priv.h"
#include "promql/range_functions_priv.h"
#include "promql/slide_functions_priv.h"

static double math_abs(double v, const double *p) {
    (void)p;
    return fabs(v);
}
static double math_ceil(double v, const double *p) {
    (void)p;
    return ceil(v);
}
static double math_floor(double v, const double *p) {
    (void)p;
    return floor(v);
}
static double math_exp(double v, const double *p) {
    (void)p;
    return exp(v);
}
static double math_ln(double v, const double *p) {
    (void)p;
    return log(v);
}
static double math_log2(double v, const double *p) {
    (void)p;
    return log2(v);
}
static double math_log10(double v, const double *p) {
    (void)p;
    return log10(v);
}
static double math_sqrt(double v, const double *p) {
    (void)p;
    return sqrt(v);
}
static double math_sgn(double v, const double *p) {
    (void)p;
    return v > 0 ? 1 : v < 0 ? -1 : v;
}
static double math_sin(double v, const double *p) {
    (void)p;
    return sin(v);
}
static double math_cos(double v, const double *p) {
    (void)p;
    return cos(v);
}
static double math_tan(double v, const double *p) {
    (void)p;
    return tan(v);
}
static double math_asin(double v, const double *p) {
    (void)p;
    return asin(v);
}
static double math_acos(double v, const double *p) {
    (void)p;
    return acos(v);
}
static double math_atan(double v, const double *p) {
    (void)p;
    return atan(v);
}
static double math_sinh(double v, const double *p) {
    (void)p;
    return sinh(v);
}
static double math_cosh(double v, const double *p) {
    (void)p;
    return cosh(v);
}
static double math_tanh(double v, const double *p) {
    (void)p;
    return tanh(v);
}
static double math_asinh(double v, const double *p) {
    (void)p;
    return asinh(v);
}
static double math_acosh(double v, const double *p) {
    (void)p;
    return acosh(v);
}
static double math_atanh(double v, const double *p) {
    (void)p;
    return atanh(v);
}
static double math_deg(double v, const double *p) {
    (void)p;
    return v * 180.0 / 3.14159265358979323846;
}
static double math_rad(double v, const double *p) {
    (void)p;
    return v * 3.14159265358979323846 / 180.0;
}

static double math_clamp_min(double v, const double *p) {
    return isnan(v) || isnan(p[0]) ? NAN : fmax(v, p[0]);
}
static double math_clamp_max(double v, const double *p) {
    return isnan(v) || isnan(p[0]) ? NAN : fmin(v, p[0]);
}
static double math_clamp(double v, const double *p) {
    if (p[0] > p[1])
        return toc_stale_nan(); /* no value, as upstream */
    return isnan(v) || isnan(p[0]) || isnan(p[1]) ? NAN : fmax(p[0], fmin(p[1], v));
}
/* Ties go up; the multiple is inverted first, for less rounding error. */
static double math_round(double v, const double *p) {
    double inverse = 1.0 / (p[0] == 0 && !signbit(p[0]) ? 1.0 : p[0]);
    return floor(v * inverse + 0.5) / inverse;
}

#define WINDOW(name, fn) \
    { name, "m", 0, 'v', 0, fn, NULL, NULL, NULL }
/* The same, with a form that computes all steps of a series of floats at once. */
#define SLIDING(name, fn, slide) \
    { name, "m", 0, 'v', 0, fn, NULL, NULL, slide }
#define MATH(name, fn) \
    { name, "v", 0, 'v', 0, NULL, fn, NULL, NULL }
#define DATE(name, fn) \
    { name, "v", 1, 'v', TOC_FN_STEP_VARIANT, NULL, fn, NULL, NULL }

#define CALL(name, args, optional, flags, fn) \
    { name, args, optional, 'v', flags, NULL, NULL, fn, NULL }

static const struct toc_function g_functions[] = {
    MATH("abs", math_abs),
    {"absent", "v", 0, 'v', 0, NULL, NULL, toc_call_absent, NULL},
    /* its series only tell whether there is one: their names never matter */
    {"absent_over_time", "m", 0, 'v', TOC_FN_KEEPS_NAME, toc_window_present, NULL,
     toc_call_absent_over_time, NULL},
    MATH("acos", math_acos),
    MATH("acosh", math_acosh),
    MATH("asin", math_asin),
    MATH("asinh", math_asinh),
    MATH("atan", math_atan),
    MATH("atanh", math_atanh),
    SLIDING("avg_over_time", toc_window_avg, toc_slide_avg),
    MATH("ceil", math_ceil),
    SLIDING("changes", toc_window_changes, toc_slide_changes),
    {"clamp", "vss", 0, 'v', 0, NULL, math_clamp, NULL, NULL},
    {"clamp_max", "vs", 0, 'v', 0, NULL, math_clamp_max, NULL, NULL},
    {"clamp_min", "vs", 0, 'v', 0, NULL, math_clamp_min, NULL, NULL},
    MATH("cos", math_cos),
    MATH("cosh", math_cosh),
    SLIDING("count_over_time", toc_window_count, toc_slide_count),
    DATE("day_of_month", toc_math_day_of_month),
    DATE("day_of_week", toc_math_day_of_week),
    DATE("day_of_year", toc_math_day_of_year),
    DATE("days_in_month", toc_math_days_in_month),
    MATH("deg", math_deg),
    SLIDING("delta", toc_window_delta, toc_slide_delta),
    WINDOW("deriv", toc_window_deriv),
    MATH("exp", math_exp),
    MATH("floor", math_floor),
    CALL("histogram_avg", "v", 0, 0, toc_call_histogram_avg),
    CALL("histogram_count", "v", 0, 0, toc_call_histogram_count),
    CALL("histogram_fraction", "ssv", 0, 0, toc_call_histogram_fraction),
    CALL("histogram_quantile", "sv", 0, 0, toc_call_histogram_quantile),
    CALL("histogram_quantiles", "vtss", -1, TOC_FN_EXPERIMENTAL, toc_call_histogram_quantiles),
    CALL("histogram_stddev", "v", 0, 0, toc_call_histogram_stddev),
    CALL("histogram_stdvar", "v", 0, 0, toc_call_histogram_stdvar),
    CALL("histogram_sum", "v", 0, 0, toc_call_histogram_sum),
    DATE("hour", toc_math_hour),
    SLIDING("idelta", toc_window_idelta, toc_slide_idelta),
    SLIDING("increase", toc_window_increase, toc_slide_increase),
    SLIDING("irate", toc_window_irate, toc_slide_irate),
    {"label_join", "vttt", -1, 'v', TOC_FN_KEEPS_NAME, NULL, NULL, toc_call_label_join, NULL},
    {"label_replace", "vtttt", 0, 'v', TOC_FN_KEEPS_NAME, NULL, NULL, toc_call_label_replace, NULL},
    {"last_over_time", "m", 0, 'v', TOC_FN_KEEPS_NAME, toc_window_last, NULL, NULL, toc_slide_last},
    MATH("ln", math_ln),
    MATH("log10", math_log10),
    MATH("log2", math_log2),
    WINDOW("mad_over_time", toc_window_mad),
    SLIDING("max_over_time", toc_window_max, toc_slide_max),
    SLIDING("min_over_time", toc_window_min, toc_slide_min),
    DATE("minute", toc_math_minute),
    DATE("month", toc_math_month),
    {"pi", "", 0, 's', 0, NULL, NULL, toc_call_pi, NULL},
    {"predict_linear", "ms", 0, 'v', TOC_FN_STEP_VARIANT, toc_window_predict_linear, NULL, NULL,
     NULL},
    SLIDING("present_over_time", toc_window_present, toc_slide_present),
    {"quantile_over_time", "sm", 0, 'v', 0, toc_window_quantile, NULL, NULL, NULL},
    MATH("rad", math_rad),
    SLIDING("rate", toc_window_rate, toc_slide_rate),
    SLIDING("resets", toc_window_resets, toc_slide_resets),
    {"round", "vs", 1, 'v', 0, NULL, math_round, NULL, NULL},
    {"scalar", "v", 0, 's', 0, NULL, NULL, toc_call_scalar, NULL},
    MATH("sgn", math_sgn),
    MATH("sin", math_sin),
    MATH("sinh", math_sinh),
    {"sort", "v", 0, 'v', TOC_FN_KEEPS_NAME, NULL, NULL, toc_call_sort, NULL},
    {"sort_desc", "v", 0, 'v', TOC_FN_KEEPS_NAME, NULL, NULL, toc_call_sort_desc, NULL},
    MATH("sqrt", math_sqrt),
    WINDOW("stddev_over_time", toc_window_stddev),
    WINDOW("stdvar_over_time", toc_window_stdvar),
    SLIDING("sum_over_time", toc_window_sum, toc_slide_sum),
    MATH("tan", math_tan),
    MATH("tanh", math_tanh),
    {"time", "", 0, 's', TOC_FN_STEP_VARIANT, NULL, NULL, toc_call_time, NULL},
    {"timestamp", "v", 0, 'v', TOC_FN_STEP_VARIANT, NULL, NULL, toc_call_timestamp, NULL},
    {"vector", "s", 0, 'v', 0, NULL, NULL, toc_call_vector, NULL},
    DATE("year", toc_math_year),
};
enum { FUNCTION_COUNT = sizeof g_functions / sizeof g_functions[0] };

const struct toc_function *toc_function_find(struct toc_sv name) {
    for (size_t i = 0; i < FUNCTION_COUNT; i++)
        if (toc_sv_eq_cstr(name, g_functions[i].name))
            return &g_functions[i];
    return NULL;
}

const char *toc_function_suggest(struct toc_sv name) {
    const char *best = NULL;
    unsigned nearest = 4;
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        unsigned d = toc_sv_distance(name, toc_sv_cstr(g_functions[i].name));
        if (d < nearest) {
            nearest = d;
            best = g_functions[i].name;
        }
    }
    return best;
}
