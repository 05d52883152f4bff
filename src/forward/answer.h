/*
 * What an answer of a receiver means, and how a shard goes on after it: pure functions, the time
 * comes from outside.
 */
#ifndef TOC_FORWARD_ANSWER_H
#define TOC_FORWARD_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"
#include "forward/config.h"

enum toc_forward_verdict {
    TOC_FORWARD_TAKEN,
    TOC_FORWARD_PARTLY,        /* the receiver said how many it took; the rest it does not want */
    TOC_FORWARD_AGAIN,         /* the same later */
    TOC_FORWARD_SMALLER,       /* something in it is not wanted: try parts of it */
    TOC_FORWARD_REFUSED,       /* none of it, ever */
    TOC_FORWARD_OLDER_MESSAGE, /* the receiver does not know 2.0 */
};

struct toc_forward_answer {
    int rc; /* of the request: 0, or there is no answer */
    int status;
    bool has_written; /* X-Prometheus-Remote-Write-Samples-Written was there */
    uint64_t written; /* samples */
    int64_t wait_ms;  /* Retry-After; 0: none */
};
enum toc_forward_verdict toc_forward_judge(const struct toc_forward_answer *a,
                                           enum toc_forward_message message,
                                           bool retry_on_http_429);

/* Seconds or a date; 0 when it is neither, at most TOC_FORWARD_WAIT_MAX_MS. */
enum { TOC_FORWARD_WAIT_MAX_MS = 10 * 60 * 1000 };
int64_t toc_forward_retry_after_ms(struct toc_sv header, int64_t now_ms);

/*
 * A request that is refused with 400 is halved until the sample that is not wanted stands alone:
 * one bad sample costs itself, not its neighbours. After a success the size doubles again. When
 * TOC_FORWARD_ALONE_MAX samples in a row were refused alone, the receiver does not want anything
 * and whole requests are given up until one is taken.
 */
enum { TOC_FORWARD_ALONE_MAX = 4096 };
struct toc_forward_pace {
    size_t size; /* samples of the next request at most; 0: not limited by what happened */
    size_t alone;
    int64_t backoff_ms;
    int64_t not_before_ms; /* monotonic */
};
struct toc_forward_next {
    size_t done;     /* so many items from the front are done with */
    bool is_refused; /* because they are not wanted */
};
struct toc_forward_next toc_forward_pace_next(struct toc_forward_pace *p,
                                              enum toc_forward_verdict verdict, size_t items,
                                              int64_t wait_ms,
                                              const struct toc_forward_queue_config *c,
                                              int64_t now_mono_ms);

#endif
