/*
 * Threads, mutexes, condition variables. Each mutex has a rank from the table below (see
 * docs/LOCKS.md); a thread takes locks in rising rank only, which debug builds check.
 */
#ifndef TOC_SYS_THREAD_H
#define TOC_SYS_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attrs.h"

/* X(name, rank, what it guards). docs/LOCKS.md explains each; keep both in step (a test compares).
 */
#define TOC_LOCK_TABLE(X)                                                           \
    X(TOC_LOCK_APP, 10, "daemon start, reload and stop")                            \
    X(TOC_LOCK_COLLECT, 20, "scrape targets, discovery results, tailed files")      \
    X(TOC_LOCK_DISCOVERY, 22, "groups of targets that sources found")               \
    X(TOC_LOCK_FORWARD, 24, "receivers of remote write out")                        \
    X(TOC_LOCK_PACKS, 25, "which rule packs are awake")                             \
    X(TOC_LOCK_RULES, 30, "rule groups and detector state")                         \
    X(TOC_LOCK_SERIES_WATCH, 31, "anomaly bits of all series")                      \
    X(TOC_LOCK_DIAGNOSE, 32, "run models of the training doctor")                   \
    X(TOC_LOCK_LEARN, 34, "alerts remembered for learning, models")                 \
    X(TOC_LOCK_LEARN_DETECTORS, 36, "what detectors compute, for learning")         \
    X(TOC_LOCK_ALERT, 40, "active alerts, groups, silences")                        \
    X(TOC_LOCK_INCIDENT, 50, "open incidents")                                      \
    X(TOC_LOCK_NOTIFY, 60, "outbox workers")                                        \
    X(TOC_LOCK_GUARD, 65, "sessions and tokens")                                    \
    X(TOC_LOCK_STATEDB, 70, "the one SQLite writer")                                \
    X(TOC_LOCK_OTLP, 75, "sums of delta points of OTLP")                            \
    X(TOC_LOCK_REMOTE, 76, "references of remote series, work spaces of requests")  \
    X(TOC_LOCK_REMOTE_PATH, 77, "senders of remote write, to notice loops")         \
    X(TOC_LOCK_METRICDB_MAINTAIN, 78, "one maintenance step of metricdb at a time") \
    X(TOC_LOCK_METRICDB, 80, "series index of the head")                            \
    X(TOC_LOCK_METRICDB_BLOCKS, 82, "list of blocks, cache of their indexes")       \
    X(TOC_LOCK_SERIES, 85, "samples of one shard")                                  \
    X(TOC_LOCK_WAL, 90, "write-ahead log buffer and group commit")                  \
    X(TOC_LOCK_METRICDB_NOTES, 91, "losses and metadata known to metricdb")         \
    X(TOC_LOCK_NET, 92, "connection tables")                                        \
    X(TOC_LOCK_FORWARD_REMOTE, 93, "numbers of one of these receivers")             \
    X(TOC_LOCK_POOL, 94, "jobs of the thread pool")                                 \
    X(TOC_LOCK_QUEUE, 95, "a bounded queue between two threads")                    \
    X(TOC_LOCK_LOG, 99, "the program's own log line buffer")

enum toc_lock_rank {
#define X(name, rank, what) name = (rank),
    TOC_LOCK_TABLE(X)
#undef X
};

struct toc_mutex {
    pthread_mutex_t m;
    int rank;
};

void toc_mutex_init(struct toc_mutex *m, enum toc_lock_rank rank);
void toc_mutex_fini(struct toc_mutex *m);
void toc_mutex_lock(struct toc_mutex *m);
void toc_mutex_unlock(struct toc_mutex *m);

struct toc_cond {
    pthread_cond_t c;
};
void toc_cond_init(struct toc_cond *c); /* waits on the monotonic clock */
void toc_cond_fini(struct toc_cond *c);
void toc_cond_signal(struct toc_cond *c);
void toc_cond_broadcast(struct toc_cond *c);
void toc_cond_wait(struct toc_cond *c, struct toc_mutex *m);
/* False when timeout_ms passed without a signal. */
bool toc_cond_wait_ms(struct toc_cond *c, struct toc_mutex *m, int64_t timeout_ms);

struct toc_rwlock {
    pthread_rwlock_t l;
    int rank;
};
void toc_rwlock_init(struct toc_rwlock *l, enum toc_lock_rank rank);
void toc_rwlock_fini(struct toc_rwlock *l);
void toc_rwlock_read(struct toc_rwlock *l);
void toc_rwlock_write(struct toc_rwlock *l);
void toc_rwlock_unlock(struct toc_rwlock *l);

struct toc_thread {
    pthread_t t;
    bool is_running;
};
/* Starts fn(ctx) under `name` (at most 15 bytes) with all signals blocked. */
int toc_thread_start(struct toc_thread *t, const char *name, void (*fn)(void *ctx),
                     void *ctx) TOC_MUST_CHECK;
/* Waits for its end; no effect when it never started. */
void toc_thread_join(struct toc_thread *t);

/* A flag that threads wait on: the usual way to stop a worker. */
struct toc_event {
    struct toc_mutex mutex;
    struct toc_cond cond;
    bool is_set;
};
void toc_event_init(struct toc_event *e);
void toc_event_fini(struct toc_event *e);
void toc_event_set(struct toc_event *e);
bool toc_event_is_set(struct toc_event *e);
/* True when set within timeout_ms (negative: wait for ever). */
bool toc_event_wait_ms(struct toc_event *e, int64_t timeout_ms);

#endif
