/*
 * Remote write out: what is stored goes on to other receivers. The write-ahead log is the queue:
 * each receiver reads along with it from a position of its own, and what the store no longer needs
 * of the log is held until all of them have it or a limit is reached.
 * docs/design/remote-write-out.md
 *
 * Thread-safe.
 */
#ifndef TOC_FORWARD_FORWARD_H
#define TOC_FORWARD_FORWARD_H

#include "forward/remote.h"

struct toc_forward;

/* Beyond any of these the oldest part of the log goes, delivered or not; counted by receiver. */
struct toc_forward_limits {
    uint64_t max_bytes; /* of what is held for receivers alone */
    int64_t max_age_ms;
    uint64_t keep_free_bytes; /* of the disk */
};

struct toc_forward_options {
    struct toc_metricdb *db;
    struct toc_clock *clock;      /* NULL: the machine's */
    struct toc_vfs *vfs;          /* NULL: the machine's files */
    const char *dir;              /* of the positions; made when there are receivers; copied */
    struct toc_remote_path *path; /* told to receivers, so that loops are noticed; may be NULL */
    struct toc_forward_limits limits;
};
struct toc_forward *toc_forward_new(const struct toc_forward_options *o);
/* Stops all. NULL is accepted. */
void toc_forward_free(struct toc_forward **f);
/* From now on these receivers (a reference is taken). One that stays the same is not touched; one
 * that changed goes on at its position; the position of one that is gone is forgotten. What cannot
 * be started now is tried again by toc_forward_tick. */
void toc_forward_set(struct toc_forward *f, struct toc_forward_set *set);
/* About once a second: lets go of what nobody needs, applies the limits. */
void toc_forward_tick(struct toc_forward *f);

/* Numbers of up to `max` receivers; how many there are. */
size_t toc_forward_stats(struct toc_forward *f, struct toc_forward_stats *out, size_t max);
struct toc_forward_totals {
    size_t remotes, not_started;
    uint64_t held_bytes, held_segments;
};
void toc_forward_totals(struct toc_forward *f, struct toc_forward_totals *out);

#endif
