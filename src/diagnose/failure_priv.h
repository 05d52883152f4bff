/* Inside of the failures: what is remembered of jobs, and how a root is chosen. */
#ifndef TOC_DIAGNOSE_FAILURE_PRIV_H
#define TOC_DIAGNOSE_FAILURE_PRIV_H

#include "diagnose/failure.h"

enum { TOC_FAILURE_JOBS_PER_FAILURE = 8, TOC_FAILURE_CHANGES_KEPT = 256 };

struct toc_failure_member {
    int64_t rank;
    struct toc_sv host;
};

struct toc_failure_job {
    char *name;
    TOC_VEC(struct toc_failure_member) members; /* by rank, rising */
    struct toc_map hosts;                       /* name → anything */
    struct toc_arena arena;
    int64_t seen_ms;    /* ours */
    int64_t attempt_ms; /* of the last restart, 0 = none */
};

struct toc_failure_known_change {
    char *subject, *text;
    int64_t at_ms;
};

struct toc_failures {
    struct toc_failures_options o;
    TOC_VEC(struct toc_failure *) items; /* oldest first */
    TOC_VEC(struct toc_failure_job *) jobs;
    struct toc_failure_known_change changes[TOC_FAILURE_CHANGES_KEPT];
    size_t change_count; /* ever */
    uint64_t last_id;
    struct toc_failures_counters counters;
};

bool toc_rank_set_add(struct toc_rank_set *s, int64_t n); /* true: it is new */
bool toc_rank_set_has(const struct toc_rank_set *s, int64_t n);
void toc_rank_set_fini(struct toc_rank_set *s);

struct toc_failure_job *toc_failures_job(struct toc_failures *f, struct toc_sv name);
/* Chooses root, rivals, confidence, suspects from what was seen. */
void toc_failure_judge(struct toc_failures *all, struct toc_failure *f);
/* May the sign open a failure? */
bool toc_failure_is_anchor(const struct toc_failure *f, const struct toc_failure_sign *s);

#endif
