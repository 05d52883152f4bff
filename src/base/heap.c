#include "base/heap.h"

#include "base/alloc.h"
#include "base/assert.h"

static void place(struct toc_heap *h, size_t at, struct toc_heap_node *node) {
    h->nodes[at] = node;
    node->index = at + 1;
}

static void sift_up(struct toc_heap *h, size_t at) {
    struct toc_heap_node *node = h->nodes[at];
    while (at > 0 && h->nodes[(at - 1) / 2]->key > node->key) {
        place(h, at, h->nodes[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(h, at, node);
}

static void sift_down(struct toc_heap *h, size_t at) {
    struct toc_heap_node *node = h->nodes[at];
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->nodes[child + 1]->key < h->nodes[child]->key)
            child++;
        if (h->nodes[child]->key >= node->key)
            break;
        place(h, at, h->nodes[child]);
        at = child;
    }
    place(h, at, node);
}

void toc_heap_insert(struct toc_heap *h, struct toc_heap_node *node, int64_t key) {
    TOC_ASSERT(node->index == 0);
    if (h->count == h->capacity) {
        h->capacity = h->capacity ? h->capacity * 2 : 16;
        h->nodes = toc_xrealloc(h->nodes, h->capacity * sizeof *h->nodes);
    }
    node->key = key;
    place(h, h->count++, node);
    sift_up(h, h->count - 1);
}

void toc_heap_remove(struct toc_heap *h, struct toc_heap_node *node) {
    if (node->index == 0)
        return;
    size_t at = node->index - 1;
    TOC_ASSERT(at < h->count && h->nodes[at] == node);
    node->index = 0;
    struct toc_heap_node *last = h->nodes[--h->count];
    if (last == node)
        return;
    place(h, at, last);
    sift_up(h, at);
    sift_down(h, last->index - 1);
}

struct toc_heap_node *toc_heap_peek(const struct toc_heap *h) {
    return h->count ? h->nodes[0] : NULL;
}

struct toc_heap_node *toc_heap_pop(struct toc_heap *h) {
    struct toc_heap_node *node = toc_heap_peek(h);
    if (node)
        toc_heap_remove(h, node);
    return node;
}

void toc_heap_fini(struct toc_heap *h) {
    toc_free(h->nodes);
    *h = (struct toc_heap){0};
}
