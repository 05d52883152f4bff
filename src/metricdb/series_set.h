/*
 * A frozen selection over the head and the blocks (toc_querier.open). Made by freezing: matchers
 * give series of the head and of every block that overlaps; those with the same labels are joined
 * into one entry. From then on nothing in it changes, so any number of threads may read.
 */
#ifndef TOC_METRICDB_SERIES_SET_H
#define TOC_METRICDB_SERIES_SET_H

#include "metricdb/metricdb_priv.h"

/* A block that takes part. */
struct toc_set_origin {
    int store;                         /* enum toc_metricdb_store */
    bool is_behind;                    /* roll-ups: raw samples tell more of its stretch */
    bool is_outdated;                  /* roll-ups: a newer block of the stretch stands for it */
    struct toc_block *block;           /* owned reference */
    struct toc_block_index *index;     /* owned reference; NULL: damaged, not read */
    struct toc_tombstones *tombstones; /* owned reference or NULL */
};

/* A series in one block. */
struct toc_set_part {
    uint32_t origin, number;
};

struct toc_set_entry {
    struct toc_series *series; /* in the head, or NULL */
    uint32_t first_part, part_count;
};

struct toc_metricdb_set {
    struct toc_series_set base;
    struct toc_metricdb *db;
    unsigned ticket;
    struct toc_set_origin *origins; /* by store, of each the oldest block first */
    size_t origin_count, raw_origin_count;
    bool has_rollups;            /* some origins are such */
    enum toc_rollup_use rollups; /* as asked for */
    int64_t aligned_ms;
    struct toc_set_entry *entries;
    struct toc_set_part *parts; /* of an entry: one after the other, in the order of the origins */
};

/* Makes the set: TOC_E… when a block cannot be read for another reason than damage. */
int toc_metricdb_set_open(struct toc_metricdb *db, const struct toc_select *s,
                          struct toc_metricdb_set **out, struct toc_err *err) TOC_MUST_CHECK;
void toc_metricdb_set_close(struct toc_metricdb_set **set);
/* Is there a chunk that may hold a sample of the range? */
bool toc_metricdb_set_overlaps(struct toc_metricdb_set *set, size_t i, int64_t min_ms,
                               int64_t max_ms);
struct toc_labels toc_metricdb_set_labels(const struct toc_metricdb_set *set, size_t i,
                                          struct toc_label *items);

/* series_set_read.c, for series_set_rollup.c: appends the samples of the range from blocks and head
 * in rising order; the buffer was reset. */
int toc_metricdb_set_read_raw(struct toc_metricdb_set *set, size_t i, int64_t min_ms,
                              int64_t max_ms, struct toc_series_buffer *buffer,
                              struct toc_err *err) TOC_MUST_CHECK;
/* The part of the buffer that lies in the range; what was decoded around it stays where it is. */
void toc_metricdb_set_make_view(struct toc_series_buffer *b, int64_t min_ms, int64_t max_ms,
                                struct toc_series_view *out);
/* A damaged chunk of a part is noted. */
struct toc_set_loss {
    struct toc_metricdb_set *set;
    size_t i;
    const struct toc_block *block;
};
void toc_metricdb_set_on_loss(void *ctx, const struct toc_block_chunk *c);
/* The time of the first raw sample at or after min_ms, as far as indexes tell; INT64_MAX: none. */
int64_t toc_metricdb_set_first_raw(struct toc_metricdb_set *set, size_t i, int64_t min_ms);
/* series_set_rollup.c: the series by whatever serves best; only sets with roll-ups. */
int toc_metricdb_set_read_any(struct toc_metricdb_set *set, size_t i, int64_t min_ms,
                              int64_t max_ms, struct toc_series_buffer *buffer,
                              struct toc_series_view *out_view, struct toc_err *err) TOC_MUST_CHECK;

/* series_set_read.c: fills base. */
void toc_metricdb_set_init_readers(struct toc_metricdb_set *set);

#endif
