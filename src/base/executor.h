/*
 * Who runs independent pieces of one computation side by side: the face of a thread pool
 * (sys/pool.h) that the pure parts of the program may use without knowing threads.
 */
#ifndef TOC_BASE_EXECUTOR_H
#define TOC_BASE_EXECUTOR_H

#include <stddef.h>

/* `worker` is below width; two calls with the same worker never run at the same time. */
typedef void toc_task_fn(void *arg, size_t task, size_t worker);

struct toc_executor {
    size_t width; /* workers, the caller's thread included; at least 1 */
    /* fn(arg, task, worker) once for each task below task_count, in any order; returns when all
     * are done. May be called by several threads at once. */
    void (*run)(struct toc_executor *x, size_t task_count, toc_task_fn *fn, void *arg);
};

/* With x NULL, or for a single task: everything on the caller's thread, in order. */
static inline void toc_execute(struct toc_executor *x, size_t task_count, toc_task_fn *fn,
                               void *arg) {
    if (x && x->width > 1 && task_count > 1) {
        x->run(x, task_count, fn, arg);
        return;
    }
    for (size_t i = 0; i < task_count; i++)
        fn(arg, i, 0);
}
static inline size_t toc_executor_width(const struct toc_executor *x) {
    return x && x->width > 1 ? x->width : 1;
}

#endif
