/* Functions that need the evaluator, for the function table. */
#ifndef TOC_PROMQL_FUNCTIONS_PRIV_H
#define TOC_PROMQL_FUNCTIONS_PRIV_H

#include "promql/function_priv.h"

/* label_functions.c */
toc_call_fn toc_call_label_replace, toc_call_label_join, toc_call_sort, toc_call_sort_desc,
    toc_call_absent, toc_call_absent_over_time;
/* time_functions.c */
toc_call_fn toc_call_time, toc_call_timestamp, toc_call_vector, toc_call_scalar, toc_call_pi;
toc_math_fn toc_math_minute, toc_math_hour, toc_math_day_of_week, toc_math_day_of_month,
    toc_math_day_of_year, toc_math_days_in_month, toc_math_month, toc_math_year;
/* histogram_functions.c */
toc_call_fn toc_call_histogram_quantile, toc_call_histogram_quantiles, toc_call_histogram_fraction;
/* histogram_values.c */
toc_call_fn toc_call_histogram_count, toc_call_histogram_sum, toc_call_histogram_avg,
    toc_call_histogram_stddev, toc_call_histogram_stdvar;

/* math_functions.c */
toc_math_fn toc_math_abs, toc_math_ceil, toc_math_floor, toc_math_exp, toc_math_ln, toc_math_log2,
    toc_math_log10, toc_math_sqrt, toc_math_sgn, toc_math_sin, toc_math_cos, toc_math_tan,
    toc_math_asin, toc_math_acos, toc_math_atan, toc_math_sinh, toc_math_cosh, toc_math_tanh,
    toc_math_asinh, toc_math_acosh, toc_math_atanh, toc_math_deg, toc_math_rad, toc_math_clamp_min,
    toc_math_clamp_max, toc_math_clamp, toc_math_round;
/* As fmax and fmin, but NaN where one is NaN unless the other is the infinity that wins anyway. */
double toc_math_larger(double a, double b);
double toc_math_smaller(double a, double b);
/* label_functions.c, sort_functions.c, info.c, time_functions.c */
toc_call_fn toc_call_sort_by_label, toc_call_sort_by_label_desc, toc_call_info,
    toc_call_start_timestamp, toc_call_min_of, toc_call_max_of;

#endif
