/* Which ranks of which runs belong to which job, as they are at the moment. */
#ifndef TOC_COLLECT_JOB_LINKS_PRIV_H
#define TOC_COLLECT_JOB_LINKS_PRIV_H

#include "base/map.h"
#include "collect/job_watch.h"

/* One rank of a run that is part of a job: the lowest one where many are. */
struct toc_job_link {
    struct toc_sv run; /* in the links' arena */
    int64_t rank;
    enum toc_run_state state; /* of the run */
    int64_t last_line_ms;
    const struct toc_job_link *next; /* another run of the same job */
};

struct toc_job_links {
    struct toc_arena arena;
    struct toc_map by_key; /* "slurm/ID", "kubernetes/UID", "pod/NAME" → struct toc_job_link */
    struct toc_map runs;   /* name → struct toc_job_link with state and last line */
};
void toc_job_links_init(struct toc_job_links *l, struct toc_run_receiver *runs);
void toc_job_links_fini(struct toc_job_links *l);
/* NULL when no run is known to be part of it. */
const struct toc_job_link *toc_job_links_find(const struct toc_job_links *l, enum toc_scheduler s,
                                              const struct toc_job *job);

#endif
