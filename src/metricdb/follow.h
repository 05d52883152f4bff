/*
 * Reading along with the log: everything that the database takes, in the order in which it became
 * durable, from a position that the reader keeps. Whoever forwards samples needs no queue on disk
 * of its own.
 *
 * A segment that the database no longer needs is removed, unless the folder `held` is there: then
 * it is moved into it, also by another process than the daemon. Who follows makes that folder
 * (toc_metricdb_hold) and takes out of it what it does not need any more (toc_metricdb_release).
 */
#ifndef TOC_METRICDB_FOLLOW_H
#define TOC_METRICDB_FOLLOW_H

#include "metricdb/metricdb.h"

/* Behind a record. All zero: the front of what is there. */
struct toc_log_position {
    uint64_t segment;
    uint64_t salt;     /* of that segment, which tells it from another of the same number; 0: any */
    uint64_t offset;   /* in that segment */
    uint64_t sequence; /* of the last record before; 0: none, or not known */
};

struct toc_log_visitor {
    void *ctx;
    /* The ids that were given mean nothing any more: a new segment begins. */
    void (*segment)(void *ctx);
    /* Labels are borrowed; told again now and then. Another set for a known id replaces it. */
    void (*series)(void *ctx, uint32_t id, struct toc_labels labels);
    void (*sample)(void *ctx, uint32_t id, int64_t t_ms, double value);
    /* Bytes as of histogram_code.h, borrowed. */
    void (*histogram)(void *ctx, uint32_t id, int64_t t_ms, struct toc_sv bytes);
};

struct toc_log_follower;

/* Where one begins that wants only what comes from now on. */
struct toc_log_position toc_metricdb_log_end(struct toc_metricdb *db);
/* Of a log that was replaced (another salt, numbers that were not given out yet) everything is
 * read. */
struct toc_log_follower *toc_log_follower_new(struct toc_metricdb *db,
                                              const struct toc_log_position *from,
                                              const struct toc_log_visitor *visitor);
void toc_log_follower_free(struct toc_log_follower **f);
/* Takes the next record; *out_took false: all of them were taken. After an error it may be called
 * again: it goes on at the same place. */
int toc_log_follow(struct toc_log_follower *f, bool *out_took, struct toc_err *err) TOC_MUST_CHECK;
struct toc_log_position toc_log_follower_position(const struct toc_log_follower *f);
/* Records that were damaged or gone when it came to them. */
uint64_t toc_log_follower_lost(const struct toc_log_follower *f);
/* When the segment at hand was begun, by the wall clock; 0: none is. */
int64_t toc_log_follower_segment_ms(const struct toc_log_follower *f);

/* Bytes of the log behind a position. */
int toc_metricdb_log_behind(struct toc_metricdb *db, const struct toc_log_position *p,
                            uint64_t *out_bytes) TOC_MUST_CHECK;

/* From now on segments are kept; or no longer: what is held is removed. */
int toc_metricdb_hold(struct toc_metricdb *db, bool is_wanted) TOC_MUST_CHECK;
struct toc_held_segment {
    uint64_t number, bytes;
    int64_t written_ms; /* last */
};
/* The oldest first; the caller frees. */
int toc_metricdb_held(struct toc_metricdb *db, struct toc_held_segment **out,
                      size_t *out_count) TOC_MUST_CHECK;
/* Removes held segments below `number`. */
int toc_metricdb_release(struct toc_metricdb *db, uint64_t number) TOC_MUST_CHECK;

#endif
