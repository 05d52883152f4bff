#include "app/doctor_batch.h"

#include <string.h>

void toc_doctor_batch_reset(struct toc_doctor_batch *b) {
    b->points.count = b->events.count = 0;
    toc_arena_reset(&b->texts);
    b->to_ms = INT64_MIN;
}

void toc_doctor_batch_fini(struct toc_doctor_batch *b) {
    TOC_VEC_FINI(&b->points);
    TOC_VEC_FINI(&b->events);
    toc_arena_fini(&b->texts);
}

void toc_doctor_batch_add_points(struct toc_doctor_batch *b, const struct toc_point *points,
                                 size_t count) {
    TOC_VEC_RESERVE(&b->points, b->points.count + count);
    memcpy(b->points.items + b->points.count, points, count * sizeof *points);
    b->points.count += count;
}

int toc_doctor_batch_add_event(struct toc_doctor_batch *b, const struct toc_run_event *e) {
    struct toc_run_event copy = *e;
    struct toc_sv *layers = NULL;
    bool is_whole = true;
    if (e->layer_count) {
        layers = TOC_ARENA_NEW_ARRAY(&b->texts, struct toc_sv, e->layer_count);
        is_whole = layers != NULL;
    }
    for (size_t i = 0; is_whole && i < e->layer_count; i++)
        layers[i] = toc_arena_dup_sv(&b->texts, e->layers[i]);
    copy.run = toc_arena_dup_sv(&b->texts, e->run);
    copy.message = toc_arena_dup_sv(&b->texts, e->message);
    copy.layers = layers;
    if (!is_whole || (e->run.n && !copy.run.p))
        return TOC_ENOMEM;
    TOC_VEC_PUSH(&b->events, ((struct toc_replay_event){copy, b->points.count}));
    return 0;
}
