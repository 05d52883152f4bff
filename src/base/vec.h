/*
 * Typed growing arrays: declare `struct { TOC_VEC_FIELDS(type) } v = {0};` (or a named struct),
 * then use the macros. Small growth aborts without memory; for sizes set by input check the count
 * against a limit first.
 */
#ifndef TOC_BASE_VEC_H
#define TOC_BASE_VEC_H

#include <stddef.h>

#include "base/alloc.h"

#define TOC_VEC_FIELDS(type) \
    type *items;             \
    size_t count;            \
    size_t capacity;

#define TOC_VEC(type)        \
    struct {                 \
        TOC_VEC_FIELDS(type) \
    }

/* Room for at least `want` items in total. */
#define TOC_VEC_RESERVE(v, want)                                                                \
    do {                                                                                        \
        size_t toc_want_ = (want);                                                              \
        if (toc_want_ > (v)->capacity) {                                                        \
            size_t toc_cap_ = (v)->capacity + (v)->capacity / 2 + 4;                            \
            if (toc_cap_ < toc_want_)                                                           \
                toc_cap_ = toc_want_;                                                           \
            (v)->items = toc_xrealloc((v)->items, toc_vec_bytes(toc_cap_, sizeof *(v)->items)); \
            (v)->capacity = toc_cap_;                                                           \
        }                                                                                       \
    } while (0)

/* Gives back the room of items that are not there. */
#define TOC_VEC_TRIM(v)                                                                           \
    do {                                                                                          \
        if ((v)->count && (v)->count < (v)->capacity) {                                           \
            (v)->items = toc_xrealloc((v)->items, toc_vec_bytes((v)->count, sizeof *(v)->items)); \
            (v)->capacity = (v)->count;                                                           \
        }                                                                                         \
    } while (0)

#define TOC_VEC_PUSH(v, item)                 \
    do {                                      \
        TOC_VEC_RESERVE((v), (v)->count + 1); \
        (v)->items[(v)->count++] = (item);    \
    } while (0)

/* Removes item i, keeping the order of the rest. */
#define TOC_VEC_REMOVE(v, i)                                     \
    do {                                                         \
        size_t toc_i_ = (i);                                     \
        memmove((v)->items + toc_i_, (v)->items + toc_i_ + 1,    \
                ((v)->count - toc_i_ - 1) * sizeof *(v)->items); \
        (v)->count--;                                            \
    } while (0)

#define TOC_VEC_FINI(v)       \
    do {                      \
        toc_free((v)->items); \
        (v)->items = NULL;    \
        (v)->count = 0;       \
        (v)->capacity = 0;    \
    } while (0)

/* count * size; aborts on overflow. */
size_t toc_vec_bytes(size_t count, size_t size);

#endif
