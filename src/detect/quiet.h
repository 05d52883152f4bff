/*
 * How long nothing happened: a value that does not change any more (flat line),
 * a series without samples (missing data). The chance of an event per step is
 * learnt; a stretch of n steps without one has the surprise -n log10(1 - p),
 * and counts only when it is more than twice as long as any seen before. Pure.
 */
#ifndef TOC_DETECT_QUIET_H
#define TOC_DETECT_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* All zero is the empty state. */
struct toc_quiet {
    double steps, events; /* fading at 4096 steps */
    uint32_t stretch;     /* steps since the last event */
    uint32_t longest;     /* of those that ended; shorter ones let it fade */
};

/* The surprise of the stretch that this step makes; 0 at an event and before 32
 * steps. */
double toc_quiet_step(struct toc_quiet *q, bool is_event);

void toc_quiet_encode(const struct toc_quiet *q, struct toc_buf *out);
int toc_quiet_decode(struct toc_reader *r, struct toc_quiet *out) TOC_MUST_CHECK;

#endif
