#include "sys/thread.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"

/* Ranks held by this thread, innermost last. */
enum { MAX_HELD = 16 };
static _Thread_local int held[MAX_HELD];
static _Thread_local int held_count;

static void note_lock(int rank) {
    TOC_ASSERT(held_count < MAX_HELD);
    /* Equal ranks are allowed only for the leaves: two queues, two shards in index order. */
    TOC_ASSERT(held_count == 0 || held[held_count - 1] < rank ||
               (held[held_count - 1] == rank && rank == TOC_LOCK_SERIES));
    held[held_count++] = rank;
}

static void note_unlock(int rank) {
    for (int i = held_count - 1; i >= 0; i--) {
        if (held[i] != rank)
            continue;
        for (int j = i; j + 1 < held_count; j++)
            held[j] = held[j + 1];
        held_count--;
        return;
    }
    TOC_UNREACHABLE();
}

void toc_mutex_init(struct toc_mutex *m, enum toc_lock_rank rank) {
    TOC_ASSERT(pthread_mutex_init(&m->m, NULL) == 0);
    m->rank = (int)rank;
}

void toc_mutex_fini(struct toc_mutex *m) {
    pthread_mutex_destroy(&m->m);
}

void toc_mutex_lock(struct toc_mutex *m) {
    note_lock(m->rank);
    TOC_ASSERT(pthread_mutex_lock(&m->m) == 0);
}

void toc_mutex_unlock(struct toc_mutex *m) {
    TOC_ASSERT(pthread_mutex_unlock(&m->m) == 0);
    note_unlock(m->rank);
}

void toc_cond_init(struct toc_cond *c) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    TOC_ASSERT(pthread_cond_init(&c->c, &attr) == 0);
    pthread_condattr_destroy(&attr);
}

void toc_cond_fini(struct toc_cond *c) {
    pthread_cond_destroy(&c->c);
}
void toc_cond_signal(struct toc_cond *c) {
    pthread_cond_signal(&c->c);
}
void toc_cond_broadcast(struct toc_cond *c) {
    pthread_cond_broadcast(&c->c);
}
void toc_cond_wait(struct toc_cond *c, struct toc_mutex *m) {
    pthread_cond_wait(&c->c, &m->m);
}

bool toc_cond_wait_ms(struct toc_cond *c, struct toc_mutex *m, int64_t timeout_ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + (timeout_ms % 1000) * 1000000;
    until.tv_sec += timeout_ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    return pthread_cond_timedwait(&c->c, &m->m, &until) != ETIMEDOUT;
}

void toc_rwlock_init(struct toc_rwlock *l, enum toc_lock_rank rank) {
    TOC_ASSERT(pthread_rwlock_init(&l->l, NULL) == 0);
    l->rank = (int)rank;
}

void toc_rwlock_fini(struct toc_rwlock *l) {
    pthread_rwlock_destroy(&l->l);
}

void toc_rwlock_read(struct toc_rwlock *l) {
    note_lock(l->rank);
    TOC_ASSERT(pthread_rwlock_rdlock(&l->l) == 0);
}

void toc_rwlock_write(struct toc_rwlock *l) {
    note_lock(l->rank);
    TOC_ASSERT(pthread_rwlock_wrlock(&l->l) == 0);
}

void toc_rwlock_unlock(struct toc_rwlock *l) {
    TOC_ASSERT(pthread_rwlock_unlock(&l->l) == 0);
    note_unlock(l->rank);
}

struct start {
    void (*fn)(void *ctx);
    void *ctx;
    char name[16];
};

static void *thread_main(void *arg) {
    struct start s = *(struct start *)arg;
    toc_free(arg);
    pthread_setname_np(pthread_self(), s.name);
    s.fn(s.ctx);
    return NULL;
}

int toc_thread_start(struct toc_thread *t, const char *name, void (*fn)(void *ctx), void *ctx) {
    struct start *s = TOC_NEW(struct start);
    s->fn = fn;
    s->ctx = ctx;
    for (size_t i = 0; i + 1 < sizeof s->name && name[i]; i++)
        s->name[i] = name[i];
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&t->t, NULL, thread_main, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    t->is_running = rc == 0;
    if (rc)
        toc_free(s);
    return -rc;
}

void toc_thread_join(struct toc_thread *t) {
    if (!t->is_running)
        return;
    pthread_join(t->t, NULL);
    t->is_running = false;
}

void toc_event_init(struct toc_event *e) {
    toc_mutex_init(&e->mutex, TOC_LOCK_QUEUE);
    toc_cond_init(&e->cond);
    e->is_set = false;
}

void toc_event_fini(struct toc_event *e) {
    toc_mutex_fini(&e->mutex);
    toc_cond_fini(&e->cond);
}

void toc_event_set(struct toc_event *e) {
    toc_mutex_lock(&e->mutex);
    e->is_set = true;
    toc_cond_broadcast(&e->cond);
    toc_mutex_unlock(&e->mutex);
}

bool toc_event_is_set(struct toc_event *e) {
    toc_mutex_lock(&e->mutex);
    bool is_set = e->is_set;
    toc_mutex_unlock(&e->mutex);
    return is_set;
}

bool toc_event_wait_ms(struct toc_event *e, int64_t timeout_ms) {
    toc_mutex_lock(&e->mutex);
    while (!e->is_set) {
        if (timeout_ms < 0)
            toc_cond_wait(&e->cond, &e->mutex);
        else if (!toc_cond_wait_ms(&e->cond, &e->mutex, timeout_ms))
            break;
    }
    bool is_set = e->is_set;
    toc_mutex_unlock(&e->mutex);
    return is_set;
}
