/*
 * Storms of error lines: a job of many ranks in which one thing breaks and everybody complains.
 * Each line has the true time it was written, the time its host's clock showed, and the time it
 * arrives; lines arrive in an order of their own.
 */
#ifndef TOC_TESTS_STORM_H
#define TOC_TESTS_STORM_H

#include "base/arena.h"
#include "base/rng.h"
#include "base/sv.h"
#include "base/vec.h"
#include "model/finding.h"

enum { STORM_RANKS = 512, STORM_PER_HOST = 8, STORM_HOSTS = STORM_RANKS / STORM_PER_HOST };
enum { STORM_LINES = 40, STORM_JOBS_MAX = 2 };

/* X(name): what breaks */
#define STORM_TABLE(X) \
    X(xid79)           \
    X(exception)       \
    X(cuda_oom)        \
    X(ib_link)         \
    X(storage)         \
    X(silent_rank)     \
    X(oom_killer)      \
    X(two_jobs)

#define X(name) STORM_##name,
enum storm_family { STORM_TABLE(X) STORM_FAMILIES };
#undef X
const char *storm_name(enum storm_family f);

struct storm_line {
    int64_t arrives_ms;
    int host, rank, job; /* rank -1: the kernel's */
    struct toc_sv text;
};

/* What a right answer names. */
struct storm_truth {
    enum toc_kind kind, other_kind;
    const char *signature, *other_signature; /* NULL: any */
    int rank, host;                          /* -1: any */
    bool is_suspect;                         /* the rank is named as silent */
};

struct storm {
    enum storm_family family;
    struct toc_rng rng;
    struct toc_arena arena;
    TOC_VEC(struct storm_line) lines; /* by arrival */
    int64_t skew_ms[STORM_HOSTS];
    int64_t begin_ms;
    int jobs;
    struct storm_truth truth[STORM_JOBS_MAX];
};

/* Hosts' clocks are off by up to skew_ms either way. */
void storm_make(struct storm *s, enum storm_family family, uint64_t seed, int64_t skew_ms);
void storm_free(struct storm *s);
struct toc_sv storm_host(int host, char room[16]);
struct toc_sv storm_job(int job);

#endif
