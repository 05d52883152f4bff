/*
 * The time a line of a log begins with, in the forms that training and serving programs, kernels
 * and system logs write:
 *
 *   2026-08-20T11:00:00.123Z   2026-08-20 11:00:00,123   2026/08/20 11:00:00   with or without zone
 *   E1218 20:27:21.430         08-20 11:00:00.123        (no year: the latest that is not ahead)
 *   Aug 20 11:00:00            Thu Aug 20 11:00:00 2026  Aug 20 2026 11:00:00
 *   1787223600.123             (seconds since 1970, at the start of the line only)
 */
#ifndef TOC_DIAGNOSE_LOG_TIME_H
#define TOC_DIAGNOSE_LOG_TIME_H

#include <stdbool.h>

#include "base/sv.h"
#include "base/time.h"

struct toc_log_time_options {
    struct toc_ts reference; /* about now: chooses the year of forms without one */
    int64_t utc_offset_ms;   /* of forms without a zone */
};

/* Looks at the first 96 bytes. False when there is no time. */
bool toc_log_time_parse(struct toc_sv line, const struct toc_log_time_options *o,
                        struct toc_ts *out);

#endif
