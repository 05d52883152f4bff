/*
 * The only allocator of the program. Small fixed-size allocations abort when memory is gone
 * (`toc_xalloc`); allocations whose size follows from input use `toc_try_alloc` and report it.
 * Tests make the n-th fallible allocation fail with `toc_alloc_fail_after`.
 */
#ifndef TOC_BASE_ALLOC_H
#define TOC_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "base/attrs.h"

/* Never NULL; abort on exhaustion. `n` of 0 gives a valid pointer. */
void *toc_xalloc(size_t n);
void *toc_xcalloc(size_t count, size_t size);
void *toc_xrealloc(void *p, size_t n);
char *toc_xstrdup(const char *s);
void *toc_xmemdup(const void *p, size_t n);
char *toc_xprintf(const char *fmt, ...) TOC_PRINTF(1, 2);

/* NULL when memory is gone or a fault is injected. */
TOC_MUST_CHECK void *toc_try_alloc(size_t n);
TOC_MUST_CHECK void *toc_try_calloc(size_t count, size_t size);
TOC_MUST_CHECK void *toc_try_realloc(void *p, size_t n);

/* NULL is accepted. */
void toc_free(void *p);

/* Gives pages without anything in them back to the system: after much was freed at once. Costs
 * milliseconds. No effect with another C library. */
void toc_alloc_trim(void);
/* Bytes that the allocator holds and nobody uses; 0 with another C library. It looks at all free
 * pieces: tens of microseconds. */
size_t toc_alloc_unused_bytes(void);

/* Fault injection: the `nth` (1-based) following fallible allocation of any thread fails, once.
 * 0 switches it off. */
void toc_alloc_fail_after(uint64_t nth);

#define TOC_NEW(type) ((type *)toc_xcalloc(1, sizeof(type)))
#define TOC_NEW_ARRAY(type, n) ((type *)toc_xcalloc((n), sizeof(type)))

#endif
