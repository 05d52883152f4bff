/* Functions of one window, for the function table. */
#ifndef TOC_PROMQL_RANGE_FUNCTIONS_PRIV_H
#define TOC_PROMQL_RANGE_FUNCTIONS_PRIV_H

#include "promql/function_priv.h"

toc_window_fn toc_window_rate, toc_window_increase, toc_window_delta, toc_window_irate,
    toc_window_idelta, toc_window_resets, toc_window_changes, toc_window_sum, toc_window_avg,
    toc_window_count, toc_window_min, toc_window_max, toc_window_last, toc_window_present,
    toc_window_stdvar, toc_window_stddev, toc_window_quantile, toc_window_mad, toc_window_deriv,
    toc_window_predict_linear;

#endif
