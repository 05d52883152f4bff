/*
 * Bump allocation with one lifetime: one arena per request, scrape, query or rule evaluation.
 * Memory is zeroed. Over the budget the arena fails stickily and hands out NULL.
 */
#ifndef TOC_BASE_ARENA_H
#define TOC_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attrs.h"
#include "base/sv.h"

struct toc_arena_chunk;

struct toc_arena {
    struct toc_arena_chunk *chunks;
    size_t used_bytes;   /* handed out so far */
    size_t budget_bytes; /* 0 = TOC_ARENA_DEFAULT_BUDGET_BYTES */
    bool overflowed;     /* sticky: an allocation was refused */
};

#define TOC_ARENA_DEFAULT_BUDGET_BYTES ((size_t)1 << 30)
#define TOC_ARENA_INIT ((struct toc_arena){0})

void toc_arena_init(struct toc_arena *a, size_t budget_bytes);
/* Zeroed, 16-byte aligned; NULL over the budget or without memory (a->overflowed is set). */
TOC_MUST_CHECK void *toc_arena_alloc(struct toc_arena *a, size_t n);
TOC_MUST_CHECK void *toc_arena_calloc(struct toc_arena *a, size_t count, size_t size);
/* Copy of s in the arena, NUL-terminated behind its n bytes; {NULL,0} on failure. */
struct toc_sv toc_arena_dup_sv(struct toc_arena *a, struct toc_sv s);
/* Keeps one chunk for reuse, forgets everything else. */
void toc_arena_reset(struct toc_arena *a);
void toc_arena_fini(struct toc_arena *a);

#define TOC_ARENA_NEW(a, type) ((type *)toc_arena_alloc((a), sizeof(type)))
#define TOC_ARENA_NEW_ARRAY(a, type, count) ((type *)toc_arena_calloc((a), (count), sizeof(type)))

#endif
