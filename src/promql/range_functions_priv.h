/* Functions of one window, for the function table. */
#ifndef TOC_PROMQL_RANGE_FUNCTIONS_PRIV_H
#define TOC_PROMQL_RANGE_FUNCTIONS_PRIV_H

#include "promql/function_priv.h"

toc_window_fn toc_window_rate, toc_window_increase, toc_window_delta, toc_window_irate,
    toc_window_idelta, toc_window_resets, toc_window_changes, toc_window_sum, toc_window_avg,
    toc_window_count, toc_window_min, toc_window_max, toc_window_last, toc_window_present,
    toc_window_stdvar, toc_window_stddev, toc_window_quantile, toc_window_mad, toc_window_deriv,
    toc_window_predict_linear;

/* range_mixed.c: windows with histograms. */
toc_window_fn toc_mixed_rate, toc_mixed_increase, toc_mixed_delta, toc_mixed_irate,
    toc_mixed_idelta, toc_mixed_changes, toc_mixed_resets, toc_mixed_sum, toc_mixed_avg,
    toc_mixed_first, toc_mixed_last;
/* range_start.c: samples with start timestamps. Whether the start of sample i ≥ 1 says that the
 * series began anew behind the sample before; whether the first one's says that it began inside the
 * window. Starts that overlap are noted. All do nothing without start timestamps. */
bool toc_window_starts_anew(const struct toc_window *w, size_t i);
bool toc_window_starts_inside(const struct toc_window *w);
void toc_window_note_overlap(const struct toc_window *w);
toc_window_fn toc_start_rate, toc_start_increase, toc_start_irate, toc_start_resets;
/* range_edges.c: anchored and smoothed ranges. */
toc_window_fn toc_edges_rate, toc_edges_increase, toc_edges_delta, toc_edges_changes,
    toc_edges_resets;
/* range_times.c: times of samples, exponential smoothing. */
toc_window_fn toc_window_first, toc_window_ts_of_first, toc_window_ts_of_last, toc_window_ts_of_min,
    toc_window_ts_of_max, toc_window_smoothing;

#endif
