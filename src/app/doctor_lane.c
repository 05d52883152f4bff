#include "app/doctor_lane.h"

#include <stdint.h>

#include "base/alloc.h"
#include "sys/thread.h"

struct toc_lane {
    struct toc_lane_options o;
    struct toc_thread thread;
    struct toc_mutex mutex; /* guards everything below */
    struct toc_cond has_work, has_room;
    uint64_t given, done;
    int rc; /* of the first failure */
    bool is_stopping;
};

/* Under the lock, which is free while the work is done. */
static void do_next(struct toc_lane *l) {
    size_t slot = (size_t)(l->done % l->o.slots);
    if (!l->rc) {
        toc_mutex_unlock(&l->mutex);
        int rc = l->o.fn(l->o.ctx, slot);
        toc_mutex_lock(&l->mutex);
        l->rc = rc;
    }
    l->done++;
    toc_cond_signal(&l->has_room);
}

static void thread_main(void *ctx) {
    struct toc_lane *l = ctx;
    toc_mutex_lock(&l->mutex);
    for (;;) {
        while (l->done < l->given)
            do_next(l);
        if (l->is_stopping)
            break;
        toc_cond_wait(&l->has_work, &l->mutex);
    }
    toc_mutex_unlock(&l->mutex);
}

int toc_lane_new(const struct toc_lane_options *o, struct toc_lane **out) {
    struct toc_lane *l = TOC_NEW(struct toc_lane);
    l->o = *o;
    toc_mutex_init(&l->mutex, TOC_LOCK_QUEUE);
    toc_cond_init(&l->has_work);
    toc_cond_init(&l->has_room);
    int rc = o->has_thread ? toc_thread_start(&l->thread, o->name, thread_main, l) : 0;
    if (rc)
        toc_lane_free(&l);
    *out = l;
    return rc;
}

void toc_lane_free(struct toc_lane **pl) {
    struct toc_lane *l = pl ? *pl : NULL;
    if (!l)
        return;
    toc_mutex_lock(&l->mutex);
    l->is_stopping = true;
    toc_cond_signal(&l->has_work);
    toc_mutex_unlock(&l->mutex);
    toc_thread_join(&l->thread);
    toc_cond_fini(&l->has_work);
    toc_cond_fini(&l->has_room);
    toc_mutex_fini(&l->mutex);
    toc_free(l);
    *pl = NULL;
}

size_t toc_lane_slot(struct toc_lane *l) {
    toc_mutex_lock(&l->mutex);
    while (l->given - l->done == l->o.slots)
        toc_cond_wait(&l->has_room, &l->mutex);
    size_t slot = (size_t)(l->given % l->o.slots);
    toc_mutex_unlock(&l->mutex);
    return slot;
}

int toc_lane_give(struct toc_lane *l) {
    toc_mutex_lock(&l->mutex);
    l->given++;
    if (l->o.has_thread)
        toc_cond_signal(&l->has_work);
    else
        do_next(l);
    int rc = l->rc;
    toc_mutex_unlock(&l->mutex);
    return rc;
}

int toc_lane_drain(struct toc_lane *l) {
    toc_mutex_lock(&l->mutex);
    while (l->done < l->given)
        toc_cond_wait(&l->has_room, &l->mutex);
    int rc = l->rc;
    toc_mutex_unlock(&l->mutex);
    return rc;
}
