/*
 * The open chunk of a series: samples are appended in time order in a byte-wise code that costs
 * little memory and a few nanoseconds; when full it is re-encoded by chunk.h.
 *
 *   every 32nd     zigzag t, zigzag difference to the time before (0 for the first), 8 bytes of
 *                  value: a place where decoding can begin, so that the tail is cheap to read
 *   any other      control byte, [zigzag delta-of-delta when bit 7], [value bytes]
 *     low 7 bits   0          same value
 *                  1…8        integer difference to the last value, zig-zag, that many bytes
 *                  9…72       8*zero_bytes + n-1 + 9: XOR with the last value, n bytes below
 *                             zero_bytes leading zero bytes
 *
 * Example: (1000, 5.0) (2000, 6.0) (3000, 6.0) = d0 0f 00 0000000000001440 | 81 d0 0f 02 | 00.
 */
#ifndef TOC_METRICDB_STREAM_H
#define TOC_METRICDB_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attrs.h"

enum {
    TOC_STREAM_RESTART = 32,    /* samples from one restart to the next */
    TOC_STREAM_RESTARTS = 3,    /* remembered ones behind the first */
    TOC_STREAM_SAMPLE_MAX = 19, /* bytes one append may take */
    TOC_STREAM_RESTART_MAX = 28,
    TOC_STREAM_SLACK = 8,        /* readable bytes that a decoder needs behind the last one */
    TOC_STREAM_FULL_BYTES = 152, /* memory that an open chunk should not outgrow */
};

#define TOC_STREAM_DELTA_UNKNOWN INT32_MIN

struct toc_stream {
    uint8_t *p; /* owned */
    uint16_t n, capacity;
    uint16_t count;
    uint16_t restarts[TOC_STREAM_RESTARTS]; /* where samples 32, 64, 96 begin */
    /* From the last but one to the last; TOC_STREAM_DELTA_UNKNOWN when it takes more bits. */
    int32_t delta_ms;
    int64_t first_ms, last_ms;
    uint64_t value_bits;
};

/* Could the next sample need more memory than a chunk should have? More may be appended. */
static inline bool toc_stream_is_full(const struct toc_stream *s) {
    return s->n + TOC_STREAM_RESTART_MAX + TOC_STREAM_SLACK > TOC_STREAM_FULL_BYTES;
}
/* t_ms must lie after last_ms when count > 0. */
void toc_stream_append(struct toc_stream *s, int64_t t_ms, double value);
/* The same for several, whose times rise. */
void toc_stream_append_many(struct toc_stream *s, const int64_t *t_ms, const double *values,
                            size_t n);
/* Where to begin in order to get everything at or after min_ms: the offset, and how many samples
 * lie before it. */
size_t toc_stream_seek(const struct toc_stream *s, int64_t min_ms, size_t *out_skipped);
/* Decodes `count` samples from bytes that begin at a restart; TOC_STREAM_SLACK more bytes must be
 * readable. Returns the bytes used. */
size_t toc_stream_decode_bytes(const uint8_t *p, size_t count, int64_t *out_t, double *out_v);
/* Decodes all samples; room for s->count each. Returns the count. */
size_t toc_stream_decode(const struct toc_stream *s, int64_t *out_t, double *out_v);
/* Makes a stream, empty so far, of the bytes that another one held. TOC_ECORRUPT (and the stream
 * stays empty) when they are not exactly `count` samples in time order. */
int toc_stream_restore(struct toc_stream *s, const uint8_t *bytes, size_t n,
                       size_t count) TOC_MUST_CHECK;
/* Forgets the samples, gives back memory beyond `keep_bytes`. */
void toc_stream_reset(struct toc_stream *s, size_t keep_bytes);

#endif
