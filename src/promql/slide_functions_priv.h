/* Functions that compute all steps of a series of floats at once, for the function table. */
#ifndef TOC_PROMQL_SLIDE_FUNCTIONS_PRIV_H
#define TOC_PROMQL_SLIDE_FUNCTIONS_PRIV_H

#include "promql/function_priv.h"

toc_slide_fn toc_slide_rate, toc_slide_increase, toc_slide_delta, toc_slide_irate, toc_slide_idelta,
    toc_slide_resets, toc_slide_changes, toc_slide_sum, toc_slide_avg, toc_slide_min, toc_slide_max,
    toc_slide_count, toc_slide_last, toc_slide_present;

#endif
