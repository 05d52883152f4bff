/* Oracles: every job has an id and a known state, an end where it is over, and no number is
 * negative; what was read is read again the same. */
#include <stdlib.h>

#include "collect/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool is_right) {
    if (!is_right)
        abort();
}

static int read_list(struct toc_sv text, bool is_slurm, struct toc_arena *a, struct toc_jobs *out) {
    struct toc_buf next = TOC_BUF_INIT;
    struct toc_err err = {0};
    toc_arena_init(a, 256 << 20);
    *out = (struct toc_jobs){0};
    int rc = is_slurm ? toc_jobs_of_slurm(text, a, out, &err)
                      : toc_jobs_of_kubernetes(text, a, out, &next, &err);
    need(rc == 0 || err.message[0]);
    toc_buf_fini(&next);
    return rc;
}

static void check_job(const struct toc_job *j) {
    need(j->id.n && j->state < TOC_JOB_STATE_COUNT && j->end.state <= TOC_JOB_STATE_COUNT &&
         j->last.state <= TOC_JOB_STATE_COUNT);
    need(!toc_job_state_is_over(j->state) || j->end.state == j->state);
    need(j->restarts >= 0 && j->started_ms >= 0 && j->deadline_ms >= 0 && j->end.at_ms >= 0);
    need(j->last.state == TOC_JOB_STATE_COUNT || j->restarts > 0);
}

static void compare(const struct toc_jobs *a, const struct toc_jobs *b) {
    need(a->count == b->count && a->left_out == b->left_out);
    for (size_t i = 0; i < a->count; i++)
        need(toc_sv_eq(a->items[i].id, b->items[i].id) && a->items[i].state == b->items[i].state &&
             toc_sv_eq(a->items[i].end.reason, b->items[i].end.reason));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv text = toc_sv_make((const char *)data, size);
    for (int is_slurm = 0; is_slurm < 2; is_slurm++) {
        struct toc_arena a, b;
        struct toc_jobs jobs, again;
        int rc = read_list(text, is_slurm, &a, &jobs);
        need(read_list(text, is_slurm, &b, &again) == rc);
        for (size_t i = 0; i < jobs.count; i++)
            check_job(&jobs.items[i]);
        compare(&jobs, &again);
        TOC_VEC_FINI(&jobs);
        TOC_VEC_FINI(&again);
        toc_arena_fini(&a);
        toc_arena_fini(&b);
    }
    return 0;
}
