/* Inside of the failures: what is remembered of jobs, and how a root is chosen. */
#ifndef TOC_DIAGNOSE_FAILURE_PRIV_H
#define TOC_DIAGNOSE_FAILURE_PRIV_H

#include "diagnose/failure.h"

enum {
    TOC_FAILURE_JOBS_PER_FAILURE = 8,
    TOC_FAILURE_CHANGES_KEPT = 256,
    TOC_FAILURE_NAME_BYTES_MAX = 200,
};

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

/* Jobs (failure_job.c). */
struct toc_failure_job *toc_failures_job(struct toc_failures *f, struct toc_sv name);
/* The same, made when it is not known; the one that was silent for longest makes room. */
struct toc_failure_job *toc_failures_job_of(struct toc_failures *f, struct toc_sv name,
                                            struct toc_ts now);
/* The job has a rank, -1 = not told which, on the host, "" = not told. */
void toc_failures_learn(struct toc_failures *f, struct toc_failure_job *j, int64_t rank,
                        struct toc_sv host);
/* The only job that is known to run on the host; "" for none or several. */
struct toc_sv toc_failures_job_on_host(const struct toc_failures *f, struct toc_sv host);
void toc_failure_job_free(struct toc_failure_job *j);

/* What the tables say of a hit. */
struct toc_failure_judged {
    const struct toc_failure_rule *rule;
    const struct toc_xid *xid;
    enum toc_severity severity;
};

/* What belongs to a failure (failure_sign.c). */
struct toc_failure_judged toc_failure_judge_hit(const struct toc_failures *all,
                                                const struct toc_failure_hit *h);
bool toc_failure_has_job(const struct toc_failure *f, struct toc_sv job);
void toc_failure_add_job(struct toc_failure *f, struct toc_sv job);
void toc_failure_add(struct toc_failures *all, struct toc_failure *f,
                     const struct toc_failure_hit *h, const struct toc_failure_judged *j,
                     struct toc_ts now);
/* Two failures turn out to be one: the one that was told of first keeps its name. */
struct toc_failure *toc_failure_merge(struct toc_failures *all, struct toc_failure *a,
                                      struct toc_failure *b, struct toc_ts now);
static inline bool toc_failure_is_cause(const struct toc_signature *s) {
    return s->role == TOC_SIGNATURE_ROOT || s->role == TOC_SIGNATURE_EITHER ||
           s->role == TOC_SIGNATURE_CONFIRM || s->role == TOC_SIGNATURE_FALLBACK;
}

/* Chooses root, rivals, confidence, suspects from what was seen. */
void toc_failure_judge(struct toc_failures *all, struct toc_failure *f);
/* May the sign open a failure? */
bool toc_failure_is_anchor(const struct toc_failure *f, const struct toc_failure_sign *s);

#endif
