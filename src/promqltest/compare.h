/* Does a query's result agree with what a test expects? */
#ifndef TOC_PROMQLTEST_COMPARE_H
#define TOC_PROMQLTEST_COMPARE_H

#include "promql/promql.h"
#include "promqltest/script.h"

/* Within 1e-6 of each other, relative to their size; NaN agrees with NaN, a staleness marker with
 * a staleness marker only. */
bool toc_test_close(double a, double b);
/* The same for every number of a histogram; layout and bounds must be equal, the reset hint where
 * `with_hint`. */
bool toc_test_histogram_close(const struct toc_histogram *want, const struct toc_histogram *got,
                              bool with_hint);
/* False with a line or more of what was expected and what came in `why`. */
bool toc_test_result_agrees(const struct toc_test_eval *e, const struct toc_promql_result *r,
                            struct toc_buf *why);
/* Warnings and infos against the `expect` lines. */
bool toc_test_annotations_agree(const struct toc_test_eval *e, const struct toc_promql_result *r,
                                struct toc_buf *why);
/* Are the series in the order of their labels? */
bool toc_test_is_sorted(const struct toc_promql_result *r, struct toc_buf *why);

#endif
