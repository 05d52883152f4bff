#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

struct toc_arena_chunk {
    struct toc_arena_chunk *next;
    size_t size;
    size_t used;
    size_t padding; /* keeps bytes[] 16-byte aligned behind a 32-byte head */
    unsigned char bytes[];
};

enum { FIRST_CHUNK_BYTES = 4096, MAX_CHUNK_BYTES = 1 << 20 };

void toc_arena_init(struct toc_arena *a, size_t budget_bytes) {
    *a = (struct toc_arena){.budget_bytes = budget_bytes};
}

static bool add_chunk(struct toc_arena *a, size_t need) {
    size_t size = a->chunks ? TOC_MIN(a->chunks->size * 2, MAX_CHUNK_BYTES) : FIRST_CHUNK_BYTES;
    size = TOC_MAX(size, need);
    struct toc_arena_chunk *c = toc_try_alloc(sizeof *c + size);
    if (!c)
        return false;
    *c = (struct toc_arena_chunk){.next = a->chunks, .size = size};
    a->chunks = c;
    return true;
}

void *toc_arena_alloc(struct toc_arena *a, size_t n) {
    size_t budget = a->budget_bytes ? a->budget_bytes : TOC_ARENA_DEFAULT_BUDGET_BYTES;
    if (a->overflowed || n > budget || a->used_bytes > budget - n) {
        a->overflowed = true;
        return NULL;
    }
    size_t rounded = (n + 15) & ~(size_t)15;
    struct toc_arena_chunk *c = a->chunks;
    if ((!c || c->size - c->used < rounded) && !add_chunk(a, rounded)) {
        a->overflowed = true;
        return NULL;
    }
    c = a->chunks;
    void *p = c->bytes + c->used;
    c->used += rounded;
    a->used_bytes += rounded;
    return memset(p, 0, n);
}

void *toc_arena_calloc(struct toc_arena *a, size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) {
        a->overflowed = true;
        return NULL;
    }
    return toc_arena_alloc(a, count * size);
}

struct toc_sv toc_arena_dup_sv(struct toc_arena *a, struct toc_sv s) {
    char *p = toc_arena_alloc(a, s.n + 1);
    if (!p)
        return TOC_SV_NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    return toc_sv_make(p, s.n);
}

static void free_chunks(struct toc_arena_chunk *c) {
    while (c) {
        struct toc_arena_chunk *next = c->next;
        toc_free(c);
        c = next;
    }
}

void toc_arena_reset(struct toc_arena *a) {
    if (a->chunks) {
        free_chunks(a->chunks->next);
        a->chunks->next = NULL;
        a->chunks->used = 0;
    }
    a->used_bytes = 0;
    a->overflowed = false;
}

void toc_arena_fini(struct toc_arena *a) {
    if (!a)
        return;
    free_chunks(a->chunks);
    *a = (struct toc_arena){.budget_bytes = a->budget_bytes};
}
