/*
 * Client of NCCL's RAS service (NCCL 2.24 and later; every process of a job listens, one address
 * per job is enough): asks each address for its status and turns the answer into series, so that a
 * collective which some ranks did not launch shows. JSON where the server speaks it (2.28.7), else
 * the kinds of problems that the text reports. A server that hangs costs its deadline on the
 * client's own thread, nothing else.
 */
#ifndef TOC_COLLECT_NCCL_RAS_H
#define TOC_COLLECT_NCCL_RAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/vec.h"
#include "model/sink.h"
#include "sys/clock.h"

enum { TOC_NCCL_RAS_ADDRESSES_MAX = 64 };

struct toc_nccl_ras_address {
    char host[64]; /* numeric */
    uint16_t port;
};

struct toc_nccl_ras_options {
    struct toc_nccl_ras_address addresses[TOC_NCCL_RAS_ADDRESSES_MAX];
    size_t count;        /* 0: off */
    int64_t interval_ms; /* between queries of one address */
    int64_t timeout_s;   /* what the server is asked to stay within; ours is 6 s more */
};

struct toc_nccl_ras; /* opaque */
int toc_nccl_ras_start(const struct toc_nccl_ras_options *o, struct toc_sink *sink,
                       struct toc_clock *clock, struct toc_nccl_ras **out,
                       struct toc_err *err) TOC_MUST_CHECK;
/* Waits for a query under way, at most a moment. */
void toc_nccl_ras_stop(struct toc_nccl_ras **r);

/* The parts, for tests. */

/* One query: the report and whether it is JSON. TOC_ETIMEDOUT, TOC_ECONNREFUSED, TOC_EPROTOCOL,
 * TOC_ELIMIT with one sentence. *stop ends it early; may be NULL. */
struct toc_event;
int toc_nccl_ras_query(const struct toc_nccl_ras_address *a, int64_t timeout_s, int64_t deadline_ms,
                       struct toc_event *stop, struct toc_buf *out, bool *out_is_json,
                       struct toc_err *err) TOC_MUST_CHECK;

struct toc_nccl_ras_points {
    TOC_VEC_FIELDS(struct toc_point)
};
/* Appends the points of a report, labels in the arena. Ranks beyond 65536 are left out and counted
 * in *out_left_out. TOC_EPARSE: not a report. */
int toc_nccl_ras_translate(struct toc_sv report, bool is_json, struct toc_sv address, int64_t t_ms,
                           struct toc_arena *a, struct toc_nccl_ras_points *out,
                           uint64_t *out_left_out, struct toc_err *err) TOC_MUST_CHECK;

#endif
