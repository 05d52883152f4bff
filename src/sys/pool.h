/*
 * A pool of threads behind base/executor.h. Callers take part in their own work, so a call makes
 * progress even when every thread of the pool is busy with somebody else's.
 */
#ifndef TOC_SYS_POOL_H
#define TOC_SYS_POOL_H

#include "base/error.h"
#include "base/executor.h"

struct toc_pool;

/* Starts width - 1 threads (0: as many workers as there are processors, at most 64). */
int toc_pool_new(size_t width, struct toc_pool **out, struct toc_err *err) TOC_MUST_CHECK;
/* Ends the threads; no run may be under way. NULL is accepted. */
void toc_pool_free(struct toc_pool **p);
/* Borrowed, valid until the pool is freed. Thread-safe. */
struct toc_executor *toc_pool_executor(struct toc_pool *p);

#endif
