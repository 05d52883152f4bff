/*
 * Queries of the HTTP API under control: how many run at once (the others wait their turn), how
 * long each may take, whether its client still listens; which ones run now, and which were slow.
 * Any thread.
 */
#ifndef TOC_API_QUERY_GATE_H
#define TOC_API_QUERY_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"
#include "net/http_server.h"
#include "sys/clock.h"

/* X(field, type, default used for 0, what) */
#define TOC_QUERY_LIMIT_TABLE(X)                                                  \
    X(max_samples, uint64_t, 50000000, "samples of one query in memory")          \
    X(max_bytes, uint64_t, 1073741824, "bytes of one query's working memory")     \
    X(max_concurrency, uint64_t, 20, "queries that run at once")                  \
    X(timeout_ms, int64_t, 120000, "waiting and evaluation of one query")         \
    X(lookback_ms, int64_t, 300000, "how old a sample an instant selector takes") \
    X(slow_ms, int64_t, 10000, "from how long a query is logged as slow; negative: never")

struct toc_query_limits {
#define X(field, type, value, what) type field;
    TOC_QUERY_LIMIT_TABLE(X)
#undef X
};

struct toc_query_gate;
struct toc_query_gate *toc_query_gate_new(struct toc_clock *clock,
                                          const struct toc_query_limits *l);
void toc_query_gate_free(struct toc_query_gate **g);
/* For queries that come from now on. */
void toc_query_gate_set(struct toc_query_gate *g, const struct toc_query_limits *l);
struct toc_query_limits toc_query_gate_limits(struct toc_query_gate *g);

/* While refusing no query begins and those that run are stopped: the memory is used up. */
void toc_query_gate_refuse(struct toc_query_gate *g, bool refuses);

enum toc_query_end {
    TOC_QUERY_RUNNING,
    TOC_QUERY_TIMED_OUT,
    TOC_QUERY_CANCELED,
    TOC_QUERY_REFUSED, /* for want of memory */
};
#define TOC_QUERY_REFUSED_TEXT \
    "the memory budget is used up: ask for less or later, or raise storage.memory_budget"

/* One query on its way through; lives with the caller between begin and end. */
struct toc_query {
    struct toc_query_gate *gate;
    const struct toc_http_request *request; /* NULL: nobody can go away */
    const char *kind;                       /* "instant", "range" */
    struct toc_sv text, actor;              /* borrowed */
    int64_t begun_ns, admitted_ns, deadline_ns;
    atomic_llong looked_ns; /* when the connection was looked at last */
    atomic_int why;         /* enum toc_query_end */
    uint64_t samples;       /* filled in before the end, for the log */
    struct toc_query *next, *previous;
};

/* Waits for a place. `q` has request, kind, text and actor set; timeout_ms is capped by the limit,
 * 0 means the limit. Negative when it did not get one in time (TOC_ETIMEDOUT) or its client went
 * (TOC_ECANCELED), TOC_ENOMEM while refusing: then there is nothing to end. */
int toc_query_begin(struct toc_query_gate *g, struct toc_query *q,
                    int64_t timeout_ms) TOC_MUST_CHECK;
/* Whether the evaluation should stop; any thread, cheap. */
bool toc_query_should_stop(void *query);
void toc_query_end(struct toc_query *q);

/* A query as people look at it; borrowed for the call. */
struct toc_query_view {
    struct toc_sv kind, text, actor;
    struct toc_ts started_at;
    double seconds;
    bool is_waiting;
    uint64_t samples;
};
typedef void toc_on_query(void *ctx, const struct toc_query_view *v);
/* Those that run or wait, oldest first; fn must not call the gate. */
void toc_query_gate_each_active(struct toc_query_gate *g, toc_on_query *fn, void *ctx);
/* The last slow ones, newest first. */
void toc_query_gate_each_slow(struct toc_query_gate *g, toc_on_query *fn, void *ctx);

struct toc_query_stats {
    uint64_t finished, slow, timed_out, canceled, refused;
    size_t running, waiting;
    double seconds; /* of all that finished */
};
struct toc_query_stats toc_query_gate_stats(struct toc_query_gate *g);

#endif
