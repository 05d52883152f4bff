#include "collect/job_links_priv.h"

#include <stdio.h>

enum { ARENA_BYTES = 64 << 20, KEY_MAX = 300 };

static void on_run(void *ctx, const struct toc_run_info *info) {
    struct toc_job_links *l = ctx;
    struct toc_job_link *link = TOC_ARENA_NEW(&l->arena, struct toc_job_link);
    if (!link)
        return;
    *link = (struct toc_job_link){.run = toc_arena_dup_sv(&l->arena, info->run),
                                  .state = info->state,
                                  .last_line_ms = info->last_line_at.ms};
    toc_map_put(&l->runs, link->run, link);
}

static void join(struct toc_job_links *l, const char *key, const struct toc_run_place *place) {
    const struct toc_job_link *run = toc_map_get(&l->runs, place->run);
    struct toc_job_link *first = toc_map_get(&l->by_key, toc_sv_cstr(key)), *link;
    for (link = first; link; link = (struct toc_job_link *)(uintptr_t)link->next)
        if (toc_sv_eq(link->run, place->run)) {
            link->rank = TOC_MIN(link->rank, place->rank);
            return;
        }
    link = run ? TOC_ARENA_NEW(&l->arena, struct toc_job_link) : NULL;
    if (!link)
        return;
    *link = *run;
    link->rank = place->rank;
    link->next = first;
    toc_map_put(&l->by_key, toc_sv_cstr(key), link);
}

/* A pod calls its host by its own name, unless it uses the network of its node. */
static void on_place(void *ctx, const struct toc_run_place *place) {
    char key[KEY_MAX];
    if (place->job.n && toc_sv_copy(place->job, key, sizeof key))
        join(ctx, key, place);
    if (place->host.n && place->host.n < sizeof key - 8) {
        (void)snprintf(key, sizeof key, "pod/%.*s", TOC_SV_ARG(place->host));
        join(ctx, key, place);
    }
}

void toc_job_links_init(struct toc_job_links *l, struct toc_run_receiver *runs) {
    *l = (struct toc_job_links){0};
    toc_arena_init(&l->arena, ARENA_BYTES);
    toc_run_receiver_list(runs, on_run, l);
    toc_run_receiver_each_place(runs, on_place, l);
}

void toc_job_links_fini(struct toc_job_links *l) {
    toc_map_fini(&l->by_key);
    toc_map_fini(&l->runs);
    toc_arena_fini(&l->arena);
}

static const struct toc_job_link *find(const struct toc_job_links *l, const char *kind,
                                       struct toc_sv name) {
    char key[KEY_MAX];
    int n = snprintf(key, sizeof key, "%s/%.*s", kind, TOC_SV_ARG(name));
    return name.n && n > 0 && (size_t)n < sizeof key ? toc_map_get(&l->by_key, toc_sv_cstr(key))
                                                     : NULL;
}

const struct toc_job_link *toc_job_links_find(const struct toc_job_links *l, enum toc_scheduler s,
                                              const struct toc_job *job) {
    if (s == TOC_SCHEDULER_SLURM)
        return find(l, "slurm", job->id);
    const struct toc_job_link *by_uid = find(l, "kubernetes", job->uid);
    size_t slash = toc_sv_find_char(job->id, '/');
    return by_uid ? by_uid : find(l, "pod", toc_sv_sub(job->id, slash + 1, job->id.n));
}
