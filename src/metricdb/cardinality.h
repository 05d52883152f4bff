/* Which metrics, labels and pairs make up the head: for "why are there so many series?". */
#ifndef TOC_METRICDB_CARDINALITY_H
#define TOC_METRICDB_CARDINALITY_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sv.h"

struct toc_metricdb;

struct toc_cardinality_row {
    struct toc_sv name;
    struct toc_sv value; /* of a pair; empty else */
    uint64_t count;
};

/* At most `limit` rows in falling order; equal counts in name order. */
struct toc_cardinality_list {
    struct toc_cardinality_row *rows;
    size_t count;
};

struct toc_cardinality {
    uint64_t series, chunks, label_names, label_pairs;
    int64_t min_ms, max_ms; /* of the samples in the head; min > max when it is empty */
    struct toc_cardinality_list series_by_metric;
    struct toc_cardinality_list values_by_label; /* distinct values of a name */
    struct toc_cardinality_list bytes_by_label;  /* of the values, as if each series had a copy */
    struct toc_cardinality_list series_by_pair;
};

/* From the index of the head: its cost grows with the distinct pairs, not with the series. Rows and
 * their texts live in the arena. TOC_ENOMEM when it has no room. */
int toc_metricdb_cardinality(struct toc_metricdb *db, size_t limit, struct toc_arena *arena,
                             struct toc_cardinality *out) TOC_MUST_CHECK;

#endif
