/* Binary min-heap of intrusive nodes; a node knows its place, so it can be removed or re-keyed. */
#ifndef TOC_BASE_HEAP_H
#define TOC_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct toc_heap_node {
    int64_t key;
    size_t index; /* 1-based place in the heap; 0 = not in a heap */
};

struct toc_heap {
    struct toc_heap_node **nodes;
    size_t count;
    size_t capacity;
};

void toc_heap_insert(struct toc_heap *h, struct toc_heap_node *node, int64_t key);
/* No effect when the node is not in the heap. */
void toc_heap_remove(struct toc_heap *h, struct toc_heap_node *node);
/* The node with the smallest key, or NULL. */
struct toc_heap_node *toc_heap_peek(const struct toc_heap *h);
struct toc_heap_node *toc_heap_pop(struct toc_heap *h);
void toc_heap_fini(struct toc_heap *h);

#endif
