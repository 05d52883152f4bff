/*
 * Native histograms as remote write 1.0, 2.0 and remote read carry them (prompb Histogram; 1.0 and
 * 2.0 number their fields alike): spans of bucket indexes, counts as deltas of integers or as
 * floats.
 */
#ifndef TOC_REMOTE_HISTOGRAM_PROTO_H
#define TOC_REMOTE_HISTOGRAM_PROTO_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "model/histogram.h"

enum { TOC_REMOTE_BUCKETS_MAX = 1 << 16 }; /* of one histogram; the store takes fewer */

/* Into the arena. TOC_EPARSE, TOC_ETRUNCATED: no such message; TOC_EINVAL: a message that
 * contradicts itself (counts without spans, a total that is not the sum of the buckets);
 * TOC_ENOMEM: the arena is full. *out_start_ms is 0 when the message (of 2.0) tells no start
 * timestamp. */
int toc_remote_histogram_decode(struct toc_sv body, struct toc_arena *arena,
                                struct toc_histogram **out, int64_t *out_t_ms,
                                int64_t *out_start_ms) TOC_MUST_CHECK;
/* The fields of the message; integer counts as such. */
void toc_remote_histogram_encode(const struct toc_histogram *h, int64_t t_ms, struct toc_buf *out);

#endif
