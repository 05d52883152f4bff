/* Operations on decoded samples in rising time order. */
#ifndef TOC_METRICDB_SAMPLES_H
#define TOC_METRICDB_SAMPLES_H

#include "model/series_buffer.h"

/* Keeps samples from index `from` on that lie in [min_ms, max_ms]; they are in rising order. */
void toc_samples_clip(struct toc_series_buffer *b, size_t from, int64_t min_ms, int64_t max_ms);
/* Drops those in [min_ms, max_ms], from index `from` on. */
void toc_samples_cut(struct toc_series_buffer *b, size_t from, int64_t min_ms, int64_t max_ms);
/* Puts all into rising order; of equal times the one that came first stays. */
void toc_samples_sort(struct toc_series_buffer *b);

#endif
