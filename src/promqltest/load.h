/* Puts what a test file loads into a store in memory. */
#ifndef TOC_PROMQLTEST_LOAD_H
#define TOC_PROMQLTEST_LOAD_H

#include "promql/memory_querier.h"
#include "promqltest/script.h"

/* Item i of a series gets the time start_ms + i * step_ms. Histograms keep the hint "gauge";
 * otherwise it is what a store tells after it has appended them. TOC_EINVAL when a
 * histogram is invalid or classic buckets contradict each other. */
int toc_test_load_apply(const struct toc_test_load *load, int64_t start_ms,
                        struct toc_memory_querier *store, struct toc_err *err) TOC_MUST_CHECK;

/* The same for samples up to a time, as time passes: *position is 0 at first. Without custom
 * buckets. */
int toc_test_load_until(const struct toc_test_load *load, int64_t start_ms, int64_t until_ms,
                        size_t *position, struct toc_memory_querier *store,
                        struct toc_err *err) TOC_MUST_CHECK;

/* Appends one sample, with the hint as above. */
void toc_test_append(struct toc_memory_querier *store, struct toc_labels labels,
                     const struct toc_memory_sample *sample);

/* nhcb.c: the native histograms with custom buckets of the classic ones among the series. */
int toc_test_load_nhcb(const struct toc_test_load *load, int64_t start_ms,
                       struct toc_memory_querier *store, struct toc_err *err) TOC_MUST_CHECK;

#endif
