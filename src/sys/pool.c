#include "sys/pool.h"

#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include "base/alloc.h"
#include "sys/thread.h"

enum { WIDTH_MAX = 64 };

/* One call of run. It lives on the caller's stack; `helpers` counts the pool's threads inside. */
struct job {
    toc_task_fn *fn;
    void *arg;
    size_t task_count;
    atomic_size_t next_task, next_worker;
    size_t helpers, helpers_max;
    struct job *next;
};

struct toc_pool {
    struct toc_executor executor;
    struct toc_mutex mutex;
    struct toc_cond has_job, job_left;
    struct job *jobs; /* those that still want helpers */
    bool is_stopping;
    size_t thread_count;
    struct toc_thread threads[WIDTH_MAX];
};

static void work(struct job *j) {
    size_t worker = atomic_fetch_add_explicit(&j->next_worker, 1, memory_order_relaxed);
    for (;;) {
        size_t task = atomic_fetch_add_explicit(&j->next_task, 1, memory_order_relaxed);
        if (task >= j->task_count)
            return;
        j->fn(j->arg, task, worker);
    }
}

static void unlink_job(struct toc_pool *p, struct job *j) {
    for (struct job **at = &p->jobs; *at; at = &(*at)->next)
        if (*at == j) {
            *at = j->next;
            return;
        }
}

/* Takes a place in the oldest job that wants a helper; under the lock. */
static struct job *join_job(struct toc_pool *p) {
    struct job *j = p->jobs;
    if (j && ++j->helpers == j->helpers_max)
        unlink_job(p, j);
    return j;
}

static void thread_main(void *ctx) {
    struct toc_pool *p = ctx;
    toc_mutex_lock(&p->mutex);
    while (!p->is_stopping) {
        struct job *j = join_job(p);
        if (!j) {
            toc_cond_wait(&p->has_job, &p->mutex);
            continue;
        }
        toc_mutex_unlock(&p->mutex);
        work(j);
        toc_mutex_lock(&p->mutex);
        j->helpers_max--; /* its place is not given again */
        j->helpers--;
        toc_cond_broadcast(&p->job_left);
    }
    toc_mutex_unlock(&p->mutex);
}

static void run(struct toc_executor *x, size_t task_count, toc_task_fn *fn, void *arg) {
    struct toc_pool *p = TOC_CONTAINER_OF(x, struct toc_pool, executor);
    size_t wanted = task_count - 1 < p->thread_count ? task_count - 1 : p->thread_count;
    struct job j = {.fn = fn, .arg = arg, .task_count = task_count, .helpers_max = wanted};
    toc_mutex_lock(&p->mutex);
    struct job **tail = &p->jobs;
    while (*tail)
        tail = &(*tail)->next;
    *tail = &j;
    toc_cond_broadcast(&p->has_job);
    toc_mutex_unlock(&p->mutex);
    work(&j);
    toc_mutex_lock(&p->mutex);
    unlink_job(p, &j);
    while (j.helpers)
        toc_cond_wait(&p->job_left, &p->mutex);
    toc_mutex_unlock(&p->mutex);
}

int toc_pool_new(size_t width, struct toc_pool **out, struct toc_err *err) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (!width)
        width = processors > 0 ? (size_t)processors : 1;
    if (width > WIDTH_MAX)
        width = WIDTH_MAX;
    struct toc_pool *p = TOC_NEW(struct toc_pool);
    p->executor = (struct toc_executor){width, run};
    toc_mutex_init(&p->mutex, TOC_LOCK_POOL);
    toc_cond_init(&p->has_job);
    toc_cond_init(&p->job_left);
    for (size_t i = 0; i + 1 < width; i++) {
        int rc = toc_thread_start(&p->threads[i], "pool", thread_main, p);
        if (rc < 0) {
            toc_pool_free(&p);
            return toc_errf(err, rc, "cannot start a thread of the pool: %s", toc_strerror(rc));
        }
        p->thread_count++;
    }
    *out = p;
    return 0;
}

void toc_pool_free(struct toc_pool **pool) {
    struct toc_pool *p = *pool;
    if (!p)
        return;
    toc_mutex_lock(&p->mutex);
    p->is_stopping = true;
    toc_cond_broadcast(&p->has_job);
    toc_mutex_unlock(&p->mutex);
    for (size_t i = 0; i < p->thread_count; i++)
        toc_thread_join(&p->threads[i]);
    toc_cond_fini(&p->has_job);
    toc_cond_fini(&p->job_left);
    toc_mutex_fini(&p->mutex);
    toc_free(p);
    *pool = NULL;
}

struct toc_executor *toc_pool_executor(struct toc_pool *p) {
    return &p->executor;
}
