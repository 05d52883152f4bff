/*
 * Work that another thread does in the order in which it is given: a ring of slots between one
 * giver and one doer. Without a thread the giver does it at once, so that both ways give the same.
 */
#ifndef TOC_APP_DOCTOR_LANE_H
#define TOC_APP_DOCTOR_LANE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct toc_lane;

struct toc_lane_options {
    const char *name; /* of the thread, at most 15 bytes */
    size_t slots;     /* how far the giver may be ahead */
    bool has_thread;
    /* Does what slot `slot` holds; after it has failed once it is not called again. */
    int (*fn)(void *ctx, size_t slot);
    void *ctx;
};

int toc_lane_new(const struct toc_lane_options *o, struct toc_lane **out) TOC_MUST_CHECK;
/* Waits for what was given. NULL is accepted. */
void toc_lane_free(struct toc_lane **l);

/* The slot that is to be filled next; waits until it was done. */
size_t toc_lane_slot(struct toc_lane *l);
/* Gives it away. 0, or what fn failed with, now or before. */
int toc_lane_give(struct toc_lane *l) TOC_MUST_CHECK;
/* Waits until all that was given is done: until the next toc_lane_give what the doer wrote is the
 * giver's. The same answer. */
int toc_lane_drain(struct toc_lane *l) TOC_MUST_CHECK;

#endif
