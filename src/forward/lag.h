/*
 * How long ago something was written that is not delivered yet: ends of the log with the time at
 * which each was seen, thinned out as they get many. Pure memory.
 */
#ifndef TOC_FORWARD_LAG_H
#define TOC_FORWARD_LAG_H

#include <stddef.h>

#include "metricdb/follow.h"

enum { TOC_FORWARD_LAG_POINTS = 256 };

struct toc_forward_lag {
    struct toc_forward_lag_point {
        struct toc_log_position end;
        int64_t seen_ms;
    } points[TOC_FORWARD_LAG_POINTS];
    size_t count;
};

void toc_forward_lag_note(struct toc_forward_lag *l, const struct toc_log_position *end,
                          int64_t now_ms);
/* 0 when everything noted is delivered. older_ms: when that began which is older than all that was
 * noted, as far as is known. */
int64_t toc_forward_lag_ms(const struct toc_forward_lag *l,
                           const struct toc_log_position *delivered, int64_t older_ms,
                           int64_t now_ms);

#endif
