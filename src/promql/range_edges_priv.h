/* The edges of anchored and smoothed ranges. */
#ifndef TOC_PROMQL_RANGE_EDGES_PRIV_H
#define TOC_PROMQL_RANGE_EDGES_PRIV_H

#include "promql/range_functions_priv.h"

struct toc_edges {
    size_t first, last; /* samples that stand for the edges */
    bool is_smoothed;
};

/* range_edges_mixed.c: all samples between the edges are histograms. */
int toc_edges_change_histograms(const struct toc_window *w, const struct toc_edges *e,
                                bool is_counter, bool is_rate, struct toc_window_result *out);

/* range_mixed.c: what both kinds of ranges need. */
/* "this native histogram metric is not a counter" or "gauge" */
void toc_mixed_not(const struct toc_window *w, const char *kind);
struct toc_histogram_notes;
void toc_mixed_note_reconciled(const struct toc_window *w, const struct toc_histogram_notes *notes,
                               const char *operation);
int toc_mixed_floats(const struct toc_window *w);
int toc_mixed_schemas(const struct toc_window *w);
/* h times factor as a gauge; TOC_ELIMIT when h is NULL (no memory). */
int toc_mixed_finish(const struct toc_window *w, const struct toc_histogram *h, double factor,
                     struct toc_window_result *out);

#endif
