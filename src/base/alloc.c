#include "base/alloc.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <string.h>

#include "base/assert.h"

static _Atomic uint64_t fail_countdown;

void toc_alloc_fail_after(uint64_t nth) {
    atomic_store_explicit(&fail_countdown, nth, memory_order_relaxed);
}

static int must_fail(void) {
    uint64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    while (left != 0) {
        if (atomic_compare_exchange_weak_explicit(&fail_countdown, &left, left - 1,
                                                  memory_order_relaxed, memory_order_relaxed))
            return left == 1;
    }
    return 0;
}

void *toc_try_alloc(size_t n) {
    return must_fail() ? NULL : malloc(n ? n : 1);
}

void *toc_try_calloc(size_t count, size_t size) {
    return must_fail() ? NULL : calloc(count ? count : 1, size ? size : 1);
}

void *toc_try_realloc(void *p, size_t n) {
    return must_fail() ? NULL : realloc(p, n ? n : 1);
}

void *toc_xalloc(size_t n) {
    void *p = malloc(n ? n : 1);
    TOC_ASSERT(p != NULL);
    return p;
}

void *toc_xcalloc(size_t count, size_t size) {
    void *p = calloc(count ? count : 1, size ? size : 1);
    TOC_ASSERT(p != NULL);
    return p;
}

void *toc_xrealloc(void *p, size_t n) {
    void *q = realloc(p, n ? n : 1);
    TOC_ASSERT(q != NULL);
    return q;
}

char *toc_xstrdup(const char *s) {
    return toc_xmemdup(s, strlen(s) + 1);
}

void *toc_xmemdup(const void *p, size_t n) {
    void *q = toc_xalloc(n);
    if (n)
        memcpy(q, p, n);
    return q;
}

char *toc_xprintf(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    TOC_ASSERT(n >= 0);
    char *text = toc_xalloc((size_t)n + 1);
    va_start(args, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}

void toc_free(void *p) {
    free(p);
}

void toc_alloc_trim(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

size_t toc_alloc_unused_bytes(void) {
#ifdef __GLIBC__
    return mallinfo2().fordblks;
#else
    return 0;
#endif
}
