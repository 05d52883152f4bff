/*
 * The series that one target has shown, found by their labels. A target may have a hundred
 * thousand: a series is one block of memory, with its labels in the compact form of
 * toc_labels_encode, which are read only when the store does not know the series. Used by one
 * thread at a time.
 */
#ifndef TOC_COLLECT_SCRAPE_SERIES_PRIV_H
#define TOC_COLLECT_SCRAPE_SERIES_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/vec.h"
#include "model/labels.h"

struct scrape_series {
    uint64_t ref;  /* in the store; 0: not known, or no longer */
    uint64_t hash; /* of the encoded labels */
    uint32_t labels_bytes;
    uint32_t cycle;  /* that saw it last */
    bool is_alive;   /* written by the last good scrape */
    bool is_tracked; /* gets staleness markers */
    bool is_report;  /* made by the scraper, not by the target */
    char labels[];   /* encoded */
};

struct scrape_series_set {
    TOC_VEC_FIELDS(struct scrape_series *)
    uint32_t *slots; /* place in items, from 1; 0: empty. Linear probing */
    size_t slot_count;
    struct toc_buf encoded; /* scratch */
};

void toc_scrape_series_fini(struct scrape_series_set *s);
/* The series with these labels; a new one is tracked and neither alive nor a report. Borrowed until
 * the next sweep. */
struct scrape_series *toc_scrape_series_get(struct scrape_series_set *s, struct toc_labels l);
/* The labels, views of the series with pairs in the arena; no labels when the arena has no room. */
struct toc_labels toc_scrape_series_labels(const struct scrape_series *s, struct toc_arena *a);
/* Frees what is neither alive nor a report. */
void toc_scrape_series_sweep(struct scrape_series_set *s);

#endif
