/*
 * How long ago something was written that is not delivered yet: ends of the log with the time at
 * which each was seen. When they get many every second one goes, so that the age is known to a
 * hundredth of itself. Pure memory.
 */
#ifndef TOC_FORWARD_LAG_H
#define TOC_FORWARD_LAG_H

#include <stdbool.h>
#include <stddef.h>

#include "metricdb/follow.h"

enum { TOC_FORWARD_LAG_POINTS = 256 };

struct toc_forward_lag {
    struct toc_forward_lag_point {
        struct toc_log_position end;
        int64_t seen_ms;
    } points[TOC_FORWARD_LAG_POINTS];
    size_t count;
    int64_t step_ms;        /* new points are at least so far apart */
    bool has_seen_delivery; /* of a point: nothing older than the points is waiting */
};

void toc_forward_lag_note(struct toc_forward_lag *l, const struct toc_log_position *end,
                          int64_t now_ms);
/* 0 when everything noted is delivered; points that are delivered are forgotten. older_ms: when
 * that began which is older than all that was noted, as far as is known. */
int64_t toc_forward_lag_ms(struct toc_forward_lag *l, const struct toc_log_position *delivered,
                           int64_t older_ms, int64_t now_ms);

#endif
