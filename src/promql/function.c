#include "promql/function_priv.h"

#include <math.h>

#include "promql/eval_priv.h"
#include "promql/functions_priv.h"
#include "promql/range_functions_priv.h"

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
    { name, "m", 0, 'v', false, fn, NULL, NULL }
#define MATH(name, fn) \
    { name, "v", 0, 'v', false, NULL, fn, NULL }
#define DATE(name, fn) \
    { name, "v", 1, 'v', false, NULL, fn, NULL }

static const struct toc_function g_functions[] = {
    MATH("abs", math_abs),
    {"absent", "v", 0, 'v', false, NULL, NULL, toc_call_absent},
    {"absent_over_time", "m", 0, 'v', false, NULL, NULL, toc_call_absent_over_time},
    MATH("acos", math_acos),
    MATH("acosh", math_acosh),
    MATH("asin", math_asin),
    MATH("asinh", math_asinh),
    MATH("atan", math_atan),
    MATH("atanh", math_atanh),
    WINDOW("avg_over_time", toc_window_avg),
    MATH("ceil", math_ceil),
    WINDOW("changes", toc_window_changes),
    {"clamp", "vss", 0, 'v', false, NULL, math_clamp, NULL},
    {"clamp_max", "vs", 0, 'v', false, NULL, math_clamp_max, NULL},
    {"clamp_min", "vs", 0, 'v', false, NULL, math_clamp_min, NULL},
    MATH("cos", math_cos),
    MATH("cosh", math_cosh),
    WINDOW("count_over_time", toc_window_count),
    DATE("day_of_month", toc_math_day_of_month),
    DATE("day_of_week", toc_math_day_of_week),
    DATE("day_of_year", toc_math_day_of_year),
    DATE("days_in_month", toc_math_days_in_month),
    MATH("deg", math_deg),
    WINDOW("delta", toc_window_delta),
    WINDOW("deriv", toc_window_deriv),
    MATH("exp", math_exp),
    MATH("floor", math_floor),
    {"histogram_quantile", "sv", 0, 'v', false, NULL, NULL, toc_call_histogram_quantile},
    DATE("hour", toc_math_hour),
    WINDOW("idelta", toc_window_idelta),
    WINDOW("increase", toc_window_increase),
    WINDOW("irate", toc_window_irate),
    {"label_join", "vttt", -1, 'v', true, NULL, NULL, toc_call_label_join},
    {"label_replace", "vtttt", 0, 'v', true, NULL, NULL, toc_call_label_replace},
    {"last_over_time", "m", 0, 'v', true, toc_window_last, NULL, NULL},
    MATH("ln", math_ln),
    MATH("log10", math_log10),
    MATH("log2", math_log2),
    WINDOW("mad_over_time", toc_window_mad),
    WINDOW("max_over_time", toc_window_max),
    WINDOW("min_over_time", toc_window_min),
    DATE("minute", toc_math_minute),
    DATE("month", toc_math_month),
    {"pi", "", 0, 's', false, NULL, NULL, toc_call_pi},
    {"predict_linear", "ms", 0, 'v', false, toc_window_predict_linear, NULL, NULL},
    WINDOW("present_over_time", toc_window_present),
    {"quantile_over_time", "sm", 0, 'v', false, toc_window_quantile, NULL, NULL},
    MATH("rad", math_rad),
    WINDOW("rate", toc_window_rate),
    WINDOW("resets", toc_window_resets),
    {"round", "vs", 1, 'v', false, NULL, math_round, NULL},
    {"scalar", "v", 0, 's', false, NULL, NULL, toc_call_scalar},
    MATH("sgn", math_sgn),
    MATH("sin", math_sin),
    MATH("sinh", math_sinh),
    {"sort", "v", 0, 'v', true, NULL, NULL, toc_call_sort},
    {"sort_desc", "v", 0, 'v', true, NULL, NULL, toc_call_sort_desc},
    MATH("sqrt", math_sqrt),
    WINDOW("stddev_over_time", toc_window_stddev),
    WINDOW("stdvar_over_time", toc_window_stdvar),
    WINDOW("sum_over_time", toc_window_sum),
    MATH("tan", math_tan),
    MATH("tanh", math_tanh),
    {"time", "", 0, 's', false, NULL, NULL, toc_call_time},
    {"timestamp", "v", 0, 'v', false, NULL, NULL, toc_call_timestamp},
    {"vector", "s", 0, 'v', false, NULL, NULL, toc_call_vector},
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

/* --------------------------------------------------------------------------------------------
 * calls */

/* The scalar arguments as columns, in order. */
static int eval_parameters(struct toc_eval *e, const struct toc_node *n,
                           struct toc_eval_columns *out) {
    for (size_t i = 0; i < n->arg_count; i++) {
        if (n->args[i]->type != TOC_PROMQL_SCALAR)
            continue;
        int rc = toc_eval_node(e, n->args[i], out);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static const struct toc_node *argument_of_type(const struct toc_node *n,
                                               enum toc_promql_type type) {
    for (size_t i = 0; i < n->arg_count; i++)
        if (n->args[i]->type == type)
            return n->args[i];
    return NULL;
}

/* The vector argument; vector(time()) where it was left out. */
static int eval_operand(struct toc_eval *e, const struct toc_node *n,
                        struct toc_eval_columns *out) {
    const struct toc_node *operand = argument_of_type(n, TOC_PROMQL_VECTOR);
    return operand ? toc_eval_node(e, operand, out) : toc_call_time(e, n, out);
}

static int eval_math(struct toc_eval *e, const struct toc_node *n,
                     const struct toc_eval_columns *parameters, struct toc_eval_columns *out) {
    int rc = eval_operand(e, n, out);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < out->count; i++) {
        double *values = toc_arena_calloc(e->arena, e->step_count, sizeof *values);
        if (!values)
            return toc_errf(e->err, TOC_ELIMIT, "the query needs too much memory");
        for (size_t k = 0; k < e->step_count; k++) {
            double p[TOC_FUNCTION_ARGS_MAX] = {0};
            for (size_t a = 0; a < parameters->count; a++)
                p[a] = parameters->items[a].values[k];
            double v = out->items[i].values[k];
            values[k] = toc_is_absent(v) ? v : n->function->math(v, p);
        }
        out->items[i].values = values;
        out->items[i].labels = toc_labels_without_name(e, out->items[i].labels);
    }
    return toc_eval_columns_merge(e, out);
}

static int check_quantile(struct toc_eval *e, const struct toc_node *n,
                          const struct toc_eval_columns *parameters) {
    if (n->function->window != toc_window_quantile)
        return 0;
    double q = parameters->items[0].values[0];
    if (isnan(q) || q < 0 || q > 1)
        toc_eval_warn(e, "PromQL warning: quantile value should be between 0 and 1, got %g", q);
    return 0;
}

int toc_eval_call(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    const struct toc_function *f = n->function;
    if (f->call)
        return f->call(e, n, out);
    struct toc_eval_columns parameters = {0};
    int rc = eval_parameters(e, n, &parameters);
    if (rc == 0 && f->math)
        rc = eval_math(e, n, &parameters, out);
    else if (rc == 0 && (rc = check_quantile(e, n, &parameters)) == 0)
        rc = toc_eval_windows(e, argument_of_type(n, TOC_PROMQL_MATRIX), f->window,
                              parameters.items, parameters.count, f->keeps_name, out);
    toc_eval_columns_fini(&parameters);
    return rc;
}
