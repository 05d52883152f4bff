/* Hints that bytes will be needed soon. They never fault and change nothing but time. */
#ifndef TOC_DETECT_PREFETCH_H
#define TOC_DETECT_PREFETCH_H

#include <stddef.h>

#include "base/attrs.h"

TOC_PREFETCHING void toc_prefetch(const void *from, size_t bytes) {
    enum { LINE = 64 };
    const char *p = from, *end = p + bytes;
    for (; p < end; p += LINE)
        __builtin_prefetch(p);
    __builtin_prefetch(end - 1);
}

/* The same for so many lines, a number known to the compiler: an instruction each. */
TOC_PREFETCHING void toc_prefetch_lines(const char *from, size_t lines) {
    enum { LINE = 64 };
#pragma GCC unroll 16
    for (size_t i = 0; i < lines; i++)
        __builtin_prefetch(from + i * LINE);
}

#endif
