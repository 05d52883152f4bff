/*
 * Series in memory, as a moving window of time: what one pass over recorded data needs to be judged
 * by the code that judges live data. It is a sink and a querier. Readers see nothing later than the
 * horizon, so a batch may be written ahead of the virtual clock; what no reader will ask for again
 * is forgotten. Floats only. One thread.
 */
#ifndef TOC_MODEL_WINDOW_STORE_H
#define TOC_MODEL_WINDOW_STORE_H

#include "model/querier.h"
#include "model/sink.h"

struct toc_window_store;

struct toc_window_store *toc_window_store_new(void);
void toc_window_store_free(struct toc_window_store **s);

/* Samples may come in any order; of two at one time the later word stays. Native histograms are
 * refused as TOC_REJECT_INVALID_HISTOGRAM. */
struct toc_sink *toc_window_store_sink(struct toc_window_store *s);
/* Its `open` is NULL. */
struct toc_querier *toc_window_store_querier(struct toc_window_store *s);

/* The sink's work in two parts, for a writer that remembers its series: a number that stays the
 * series' own, and one sample. */
size_t toc_window_store_series_of(struct toc_window_store *s, struct toc_labels labels);
void toc_window_store_add(struct toc_window_store *s, size_t series, int64_t t_ms, double value);

/* Readers see samples up to and including it; at first none. */
void toc_window_store_set_horizon(struct toc_window_store *s, int64_t horizon_ms);
/* Drops samples earlier than that. */
void toc_window_store_forget(struct toc_window_store *s, int64_t before_ms);

size_t toc_window_store_series(const struct toc_window_store *s);
size_t toc_window_store_samples(const struct toc_window_store *s); /* held now */

#endif
