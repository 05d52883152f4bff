/* Times in the input of `tocsin detect`. */
#ifndef TOC_APP_DETECT_TIME_H
#define TOC_APP_DETECT_TIME_H

#include "base/error.h"
#include "base/sv.h"

/* Numbers since 1970 in a unit that their size tells (seconds below 10^11, then milliseconds from
 * 10^11, microseconds from 10^14, nanoseconds from 10^17). The first number decides; small ones may
 * as well count from the start. */
struct toc_detect_clock {
    double unit; /* of numbers, in seconds; 0 before the first */
};

/* X("form", example) of times in words; a time without zone is UTC. */
#define TOC_DETECT_TIME_FORMS \
    "2026-01-31T12:00:00Z, 2026-01-31 12:00:00, 2026-01-31 12:00, 2026/01/31 12:00:00, 2026-01-31"

/* TOC_EPARSE with what was expected. A number of another unit than the first is refused, too: such
 * a file mixes formats. */
int toc_detect_time_parse(struct toc_detect_clock *c, struct toc_sv text, double *out_seconds,
                          struct toc_err *err) TOC_MUST_CHECK;

#endif
