#include "forward/queue.h"

#include "base/alloc.h"
#include "base/assert.h"

enum { FIRST_ROOM = 64, MARKS_KEPT = 1024 };

const char *toc_forward_drop_text(enum toc_forward_drop reason) {
    static const char *const texts[] = {
#define X(name, text) text,
        TOC_FORWARD_DROP_TABLE(X)
#undef X
    };
    return texts[reason];
}

struct toc_forward_blob *toc_forward_blob_new(struct toc_sv bytes, double value) {
    struct toc_forward_blob *b = toc_xalloc(sizeof *b + bytes.n);
    b->value = value;
    b->n = bytes.n;
    if (bytes.n)
        memcpy(b->bytes, bytes.p, bytes.n);
    return b;
}

void toc_forward_queue_init(struct toc_forward_queue *q, size_t shard_count,
                            const struct toc_log_position *from) {
    *q = (struct toc_forward_queue){.delivered = *from};
    toc_forward_queue_reshard(q, shard_count);
}

static void free_shards(struct toc_forward_queue *q) {
    for (size_t i = 0; i < q->shards.count; i++)
        toc_free(q->shards.items[i].items);
    q->shards.count = 0;
}

void toc_forward_queue_fini(struct toc_forward_queue *q) {
    for (size_t i = 0; i < q->shards.count; i++)
        toc_forward_queue_pop(q, i, q->shards.items[i].count);
    free_shards(q);
    TOC_VEC_FINI(&q->shards);
    TOC_VEC_FINI(&q->marks);
}

void toc_forward_queue_reshard(struct toc_forward_queue *q, size_t shard_count) {
    TOC_ASSERT(q->count == 0 && shard_count > 0);
    free_shards(q);
    for (size_t i = 0; i < shard_count; i++)
        TOC_VEC_PUSH(&q->shards, ((struct toc_forward_shard_queue){0}));
}

static void grow(struct toc_forward_shard_queue *s) {
    size_t capacity = s->capacity ? 2 * s->capacity : FIRST_ROOM;
    struct toc_forward_item *items = TOC_NEW_ARRAY(struct toc_forward_item, capacity);
    for (size_t i = 0; i < s->count; i++)
        items[i] = s->items[(s->first + i) & (s->capacity - 1)];
    toc_free(s->items);
    *s = (struct toc_forward_shard_queue){items, capacity, 0, s->count};
}

void toc_forward_queue_push(struct toc_forward_queue *q, const struct toc_forward_item *item) {
    struct toc_forward_shard_queue *s = &q->shards.items[item->series->hash % q->shards.count];
    if (s->count == s->capacity)
        grow(s);
    struct toc_forward_item *at = &s->items[(s->first + s->count++) & (s->capacity - 1)];
    *at = *item;
    at->order = q->next_order++;
    at->series->refs++;
    q->count++;
}

void toc_forward_queue_mark(struct toc_forward_queue *q, const struct toc_log_position *position) {
    struct toc_forward_mark *last =
        q->marks.count > q->first_mark ? &q->marks.items[q->marks.count - 1] : NULL;
    if (last && last->order == q->next_order) {
        last->position = *position;
        return;
    }
    TOC_VEC_PUSH(&q->marks, ((struct toc_forward_mark){q->next_order, *position}));
}

bool toc_forward_queue_has_room(const struct toc_forward_queue *q, size_t capacity) {
    for (size_t i = 0; i < q->shards.count; i++)
        if (q->shards.items[i].count >= capacity)
            return false;
    return true;
}

struct toc_forward_item *toc_forward_queue_at(const struct toc_forward_queue *q, size_t shard,
                                              size_t i) {
    const struct toc_forward_shard_queue *s = &q->shards.items[shard];
    return &s->items[(s->first + i) & (s->capacity - 1)];
}

void toc_forward_queue_pop(struct toc_forward_queue *q, size_t shard, size_t n) {
    struct toc_forward_shard_queue *s = &q->shards.items[shard];
    TOC_ASSERT(n <= s->count);
    for (size_t i = 0; i < n; i++) {
        struct toc_forward_item *item = toc_forward_queue_at(q, shard, i);
        if (item->kind != TOC_FORWARD_FLOAT)
            toc_free(item->blob);
        toc_forward_series_unref(&item->series);
    }
    s->first = s->capacity ? (s->first + n) & (s->capacity - 1) : 0;
    s->count -= n;
    q->count -= n;
}

static uint64_t oldest_order(const struct toc_forward_queue *q) {
    uint64_t oldest = q->next_order;
    for (size_t i = 0; i < q->shards.count; i++)
        if (q->shards.items[i].count)
            oldest = TOC_MIN(oldest, toc_forward_queue_at(q, i, 0)->order);
    return oldest;
}

static void forget_marks(struct toc_forward_queue *q) {
    size_t left = q->marks.count - q->first_mark;
    if (q->first_mark < MARKS_KEPT && left)
        return;
    memmove(q->marks.items, q->marks.items + q->first_mark, left * sizeof *q->marks.items);
    q->marks.count = left;
    q->first_mark = 0;
}

struct toc_log_position toc_forward_queue_delivered(struct toc_forward_queue *q) {
    uint64_t oldest = oldest_order(q);
    while (q->first_mark < q->marks.count && q->marks.items[q->first_mark].order <= oldest)
        q->delivered = q->marks.items[q->first_mark++].position;
    if (q->marks.count)
        forget_marks(q);
    return q->delivered;
}
