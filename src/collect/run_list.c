#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "collect/run_receiver_priv.h"
#include "collect/sealed_state.h"

/* "TRUN" little-endian, then a version (1: ranks without host and pid), the body and its CRC. */
enum { MAGIC = 0x4e555254 };

static int by_start(const void *a, const void *b) {
    int64_t x = (*(struct toc_run *const *)a)->latest.started_ms;
    int64_t y = (*(struct toc_run *const *)b)->latest.started_ms;
    return (x < y) - (x > y);
}

static void fill(const struct toc_run *run, struct toc_run_info *out) {
    const struct toc_run_rank *speaker = toc_run_speaker(run);
    const struct toc_run_latest *l = &run->latest;
    *out = (struct toc_run_info){
        .run = run->name,
        .loss = l->loss,
        .grad_norm = l->grad_norm,
        .step_seconds = l->step_seconds,
        .tokens_per_second = l->tokens_per_second,
        .memory_bytes = l->memory_bytes,
        .learning_rate = l->learning_rate,
        .started_at = {l->started_ms},
        .last_step_at = {l->last_step_ms},
        .last_line_at = {l->last_line_ms},
        .labels = run->labels,
    };
    if (!speaker)
        return;
    out->state = speaker->state;
    out->has_step = speaker->has_step;
    out->step = speaker->step;
    for (size_t i = 0; i < run->ranks.count; i++) {
        out->tells_state |= run->ranks.items[i].tells_state;
        out->restarts = TOC_MAX(out->restarts, run->ranks.items[i].restarts);
        out->reports_dropped += toc_run_rank_dropped(&run->ranks.items[i]);
    }
}

void toc_run_receiver_list(struct toc_run_receiver *r,
                           void (*fn)(void *ctx, const struct toc_run_info *info), void *ctx) {
    toc_mutex_lock(&r->mutex);
    struct toc_run **sorted = TOC_NEW_ARRAY(struct toc_run *, r->runs.count + 1);
    for (size_t i = 0; i < r->runs.count; i++)
        sorted[i] = r->runs.items[i];
    if (r->runs.count > 1)
        qsort(sorted, r->runs.count, sizeof *sorted, by_start);
    for (size_t i = 0; i < r->runs.count; i++) {
        struct toc_run_info info;
        fill(sorted[i], &info);
        fn(ctx, &info);
    }
    toc_free(sorted);
    toc_mutex_unlock(&r->mutex);
}

void toc_run_receiver_each_place(struct toc_run_receiver *r,
                                 void (*fn)(void *ctx, const struct toc_run_place *place),
                                 void *ctx) {
    toc_mutex_lock(&r->mutex);
    for (size_t i = 0; i < r->runs.count; i++)
        for (size_t j = 0; j < r->runs.items[i]->ranks.count; j++) {
            const struct toc_run_rank *k = &r->runs.items[i]->ranks.items[j];
            struct toc_run_place place = {.run = r->runs.items[i]->name,
                                          .host = toc_sv_cstr(k->host),
                                          .rank = k->rank,
                                          .job = toc_sv_cstr(k->job),
                                          .is_over = k->state == TOC_RUN_FINISHED ||
                                                     k->state == TOC_RUN_FAILED};
            bool has_pid = k->host[0] && toc_parse_i64(toc_sv_cstr(k->pid), &place.pid) == 0;
            if (has_pid || place.job.n)
                fn(ctx, &place);
        }
    toc_mutex_unlock(&r->mutex);
}

void toc_run_receiver_note_job(struct toc_run_receiver *r, struct toc_sv run, int64_t rank,
                               struct toc_sv job) {
    toc_mutex_lock(&r->mutex);
    const struct toc_run *found = toc_map_get(&r->by_name, run);
    struct toc_run_rank *k = found ? toc_run_rank_find(found, rank) : NULL;
    if (k && !k->is_job_told)
        (void)toc_sv_copy(job, k->job, sizeof k->job);
    toc_mutex_unlock(&r->mutex);
}

void toc_run_receiver_save(struct toc_run_receiver *r, struct toc_buf *out) {
    size_t start = out->n;
    toc_mutex_lock(&r->mutex);
    toc_buf_append_u32(out, MAGIC);
    toc_buf_append_u8(out, TOC_RUN_STATE_VERSION);
    toc_buf_append_varint(out, r->runs.count);
    for (size_t i = 0; i < r->runs.count; i++)
        toc_run_encode(r->runs.items[i], out);
    toc_mutex_unlock(&r->mutex);
    toc_sealed_state_end(out, start);
}

static int check_frame(struct toc_sv bytes, struct toc_reader *out, int *out_version) {
    if (toc_sealed_state_open(bytes, MAGIC, out))
        return TOC_ECORRUPT;
    *out_version = toc_read_u8(out);
    return *out_version >= 1 && *out_version <= TOC_RUN_STATE_VERSION ? 0 : TOC_EVERSION;
}

int toc_run_receiver_restore(struct toc_run_receiver *r, struct toc_sv bytes) {
    struct toc_reader in;
    struct {
        TOC_VEC_FIELDS(struct toc_run *)
    } runs = {0};
    int version = 0, rc = check_frame(bytes, &in, &version);
    uint64_t count = rc ? 0 : toc_read_varint(&in);
    for (uint64_t i = 0; !rc && i < count; i++) {
        struct toc_run *run = NULL;
        rc = toc_run_decode(&in, version, &run);
        if (!rc)
            TOC_VEC_PUSH(&runs, run);
    }
    toc_mutex_lock(&r->mutex);
    for (size_t i = 0; i < runs.count; i++) {
        struct toc_run *run = runs.items[i];
        if (rc || toc_map_has(&r->by_name, run->name) || r->runs.count >= r->o.max_runs) {
            toc_run_free(run);
            continue;
        }
        run->number = ++r->runs_made;
        toc_map_put(&r->by_name, run->name, run);
        TOC_VEC_PUSH(&r->runs, run);
    }
    toc_mutex_unlock(&r->mutex);
    TOC_VEC_FINI(&runs);
    return rc;
}
