/*
 * The reading side of a start: the segments of the log, one after the other, into batches. What
 * blocks hold already is skipped; what is damaged is noted.
 */
#ifndef TOC_METRICDB_REPLAY_READ_H
#define TOC_METRICDB_REPLAY_READ_H

#include "metricdb/metricdb_priv.h"
#include "metricdb/replay_batch.h"

/* Bytes at the end of a segment that are no record. */
struct toc_log_replay_tail {
    bool is_there;
    struct toc_metricdb_loss loss;
};

struct toc_log_replay {
    struct toc_metricdb *db;
    const uint64_t *numbers; /* of all segments */
    size_t count, next;
    const struct toc_checkpoint_end *end; /* of the checkpoint that was read; zeros: none */
    struct toc_wal_segment *segments;     /* out: what is known of each */
    uint64_t newer; /* number of a segment that a newer release wrote; 0: none */
    uint64_t last_sequence;
    uint64_t bytes;                     /* read */
    struct toc_log_replay_batch *batch; /* being filled */
    bool is_done;
    /* Of the segment being read. */
    struct toc_wal_reader *reader; /* NULL: none */
    uint64_t *refs; /* id in the segment → reference in the head, 0 = not defined */
    size_t ref_capacity;
    char path[TOC_METRICDB_TEXT_MAX];
    uint64_t number;
    struct toc_block **blocks; /* those that cover samples of this segment */
    size_t block_count;
    int64_t free_from_ms, free_to_ms; /* between them no block covers anything */
    struct toc_metricdb_loss orphans; /* samples of series whose definitions were lost */
    struct toc_log_replay_tail tail, tail_before; /* of this segment, of the one before */
    bool lacked_memory;                           /* for a histogram */
};

/* Reads until r->batch is full or the log is read (is_done). */
void toc_log_replay_read(struct toc_log_replay *r);
void toc_log_replay_fini(struct toc_log_replay *r);

#endif
