/* What is known of jobs: their ranks and the hosts that they run on. */
#include "base/alloc.h"
#include "diagnose/failure_priv.h"

enum { JOB_ARENA_BYTES = 16 << 20 };

void toc_failure_job_free(struct toc_failure_job *j) {
    TOC_VEC_FINI(&j->members);
    toc_map_fini(&j->hosts);
    toc_arena_fini(&j->arena);
    toc_free(j->name);
    toc_free(j);
}

struct toc_failure_job *toc_failures_job(struct toc_failures *f, struct toc_sv name) {
    for (size_t i = 0; i < f->jobs.count; i++)
        if (toc_sv_eq_cstr(name, f->jobs.items[i]->name))
            return f->jobs.items[i];
    return NULL;
}

/* The one that was silent for longest makes room. */
static void forget_oldest_job(struct toc_failures *f) {
    size_t oldest = 0;
    for (size_t i = 1; i < f->jobs.count; i++)
        if (f->jobs.items[i]->seen_ms < f->jobs.items[oldest]->seen_ms)
            oldest = i;
    toc_failure_job_free(f->jobs.items[oldest]);
    TOC_VEC_REMOVE(&f->jobs, oldest);
    f->counters.dropped_jobs++;
}

struct toc_failure_job *toc_failures_job_of(struct toc_failures *f, struct toc_sv name,
                                            struct toc_ts now) {
    struct toc_failure_job *j = toc_failures_job(f, name);
    if (!j) {
        if ((int64_t)f->jobs.count >= f->o.limits.jobs_max)
            forget_oldest_job(f);
        j = TOC_NEW(struct toc_failure_job);
        j->name = toc_sv_dup_cstr(toc_sv_sub(name, 0, TOC_FAILURE_NAME_BYTES_MAX));
        toc_arena_init(&j->arena, JOB_ARENA_BYTES);
        TOC_VEC_PUSH(&f->jobs, j);
    }
    j->seen_ms = TOC_MAX(j->seen_ms, now.ms);
    return j;
}

/* Place of the rank among the members, or where it belongs. */
static size_t member_place(const struct toc_failure_job *j, int64_t rank) {
    size_t low = 0, high = j->members.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (j->members.items[middle].rank < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct toc_sv host_of_job(struct toc_failures *f, struct toc_failure_job *j,
                                 struct toc_sv host) {
    struct toc_sv kept =
        toc_arena_dup_sv(&j->arena, toc_sv_sub(host, 0, TOC_FAILURE_NAME_BYTES_MAX));
    if ((int64_t)j->hosts.count >= f->o.limits.members_max || (host.n && !kept.n)) {
        f->counters.dropped_members++;
        return TOC_SV_NULL;
    }
    toc_map_put(&j->hosts, kept, j);
    return kept;
}

void toc_failures_learn(struct toc_failures *f, struct toc_failure_job *j, int64_t rank,
                        struct toc_sv host) {
    struct toc_sv kept = host;
    if (host.n && !toc_map_has(&j->hosts, host))
        kept = host_of_job(f, j, host);
    if (rank < 0)
        return;
    size_t at = member_place(j, rank);
    bool is_there = at < j->members.count && j->members.items[at].rank == rank;
    if (is_there && (!host.n || toc_sv_eq(j->members.items[at].host, host)))
        return;
    if (!is_there && (int64_t)j->members.count >= f->o.limits.members_max) {
        f->counters.dropped_members++;
        return;
    }
    struct toc_failure_member m = {rank, toc_arena_dup_sv(&j->arena, kept)};
    if (is_there) {
        j->members.items[at] = m;
        return;
    }
    TOC_VEC_RESERVE(&j->members, j->members.count + 1);
    memmove(j->members.items + at + 1, j->members.items + at,
            (j->members.count - at) * sizeof *j->members.items);
    j->members.items[at] = m;
    j->members.count++;
}

void toc_failures_member(struct toc_failures *f, struct toc_sv job, int64_t rank,
                         struct toc_sv host, struct toc_ts now) {
    if (job.n)
        toc_failures_learn(f, toc_failures_job_of(f, job, now), rank, host);
}

/* The only job that is known to run on the host; "" for none or several. */
struct toc_sv toc_failures_job_on_host(const struct toc_failures *f, struct toc_sv host) {
    const struct toc_failure_job *found = NULL;
    for (size_t i = 0; host.n && i < f->jobs.count; i++) {
        if (!toc_map_has(&f->jobs.items[i]->hosts, host))
            continue;
        if (found)
            return TOC_SV_NULL;
        found = f->jobs.items[i];
    }
    return found ? toc_sv_cstr(found->name) : TOC_SV_NULL;
}
