/*
 * Remote read (prometheus.ReadRequest → prometheus.ReadResponse): another server asks for raw
 * samples. Answers of the type SAMPLES; a peer that takes nothing but STREAMED_XOR_CHUNKS is
 * refused.
 */
#ifndef TOC_REMOTE_REMOTE_READ_H
#define TOC_REMOTE_REMOTE_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "model/querier.h"

struct toc_remote_read_options {
    struct toc_querier *querier;
    uint64_t max_samples;           /* of one request */
    bool (*should_stop)(void *ctx); /* asked between series; may be NULL */
    void *ctx;
};

/* Appends the answer (not compressed) to out. TOC_EPARSE, TOC_ETRUNCATED: no such message;
 * TOC_EUNSUPPORTED: no type of answer that is known; TOC_ELIMIT: too many samples; TOC_ECANCELED:
 * told to stop; or what the store says. */
int toc_remote_read(const struct toc_remote_read_options *o, struct toc_sv body,
                    struct toc_buf *out, uint64_t *out_samples, struct toc_err *err) TOC_MUST_CHECK;

#endif
