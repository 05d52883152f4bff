/* Roll-ups in the database: blocks of buckets (rollup_chunk.h) beside those of samples. */
#ifndef TOC_METRICDB_ROLLUPS_H
#define TOC_METRICDB_ROLLUPS_H

#include "metricdb/metricdb_priv.h"
#include "model/rollup.h"

/* A block of roll-ups stands for so much time. */
#define TOC_ROLLUP_STRETCH_MS INT64_C(86400000)

/* Of a bucket; 0 for raw samples. */
int64_t toc_metricdb_resolution(int store);

/* Appends the buckets of a series that the tombstones leave; one of which a part was deleted is
 * left out as a whole. Damaged chunks go to lost_fn. */
int toc_rollups_read(const struct toc_block_index *x, const struct toc_tombstones *t,
                     uint32_t number, int64_t resolution_ms, toc_on_lost_chunk *lost_fn, void *ctx,
                     struct toc_rollups *out) TOC_MUST_CHECK;
void toc_rollups_cut(struct toc_rollups *b, size_t from, int64_t resolution_ms,
                     const struct toc_tombstone *gone, size_t count);

/* Makes the roll-ups of one stretch, if there is one that needs it. Under the maintain mutex. */
int toc_metricdb_roll_up(struct toc_metricdb *db, bool *out_worked) TOC_MUST_CHECK;
/* Do the roll-ups tell everything that the block has? If not, its stretch is the next to be rolled
 * up. Under the maintain mutex. */
bool toc_metricdb_is_rolled_up(struct toc_metricdb *db, const struct toc_block *b);

#endif
