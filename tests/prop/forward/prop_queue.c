/*
 * The queue of a receiver against a naive one: a list of everything pushed, each with a flag for
 * "delivered". What must hold after every step: items of a shard come out in the order in which
 * they went in, a series is in one shard only, and the delivered position is that of the last mark
 * before which everything is delivered.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../metricdb/args.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "forward/queue.h"

enum { SERIES = 23, SHARDS_MAX = 7, LIVE_MAX = 2000 };

struct model {
    TOC_VEC(bool) delivered; /* by number of push, kept from `base` on */
    TOC_VEC(struct toc_forward_mark) marks;
    struct toc_log_position position;
};

static uint64_t g_seed;

static void fail(const char *what) {
    printf("seed %llu: %s\n", (unsigned long long)g_seed, what);
    exit(1);
}

static struct toc_forward_series *make_series(uint64_t hash) {
    struct toc_forward_series *s = toc_xcalloc(1, sizeof *s);
    s->refs = 1;
    s->hash = hash;
    return s;
}

static void push(struct toc_forward_queue *q, struct model *m, struct toc_forward_series *s,
                 bool is_blob) {
    struct toc_forward_item item = {.series = s, .t_ms = (int64_t)m->delivered.count};
    if (is_blob) {
        item.kind = TOC_FORWARD_HISTOGRAM;
        item.blob = toc_forward_blob_new(TOC_SV("bytes"), 0);
    }
    toc_forward_queue_push(q, &item);
    TOC_VEC_PUSH(&m->delivered, false);
}

static void mark(struct toc_forward_queue *q, struct model *m) {
    struct toc_log_position p = {.segment = 1, .offset = m->marks.count + 1};
    toc_forward_queue_mark(q, &p);
    TOC_VEC_PUSH(&m->marks, ((struct toc_forward_mark){m->delivered.count, p}));
}

static void pop(struct toc_forward_queue *q, struct model *m, size_t shard, size_t n) {
    int64_t last = -1;
    n = TOC_MIN(n, q->shards.items[shard].count);
    for (size_t i = 0; i < n; i++) {
        const struct toc_forward_item *item = toc_forward_queue_at(q, shard, i);
        if (item->t_ms <= last)
            fail("a shard is out of order");
        if (item->series->hash % q->shards.count != shard)
            fail("a series is in the wrong shard");
        last = item->t_ms;
        m->delivered.items[last] = true;
    }
    toc_forward_queue_pop(q, shard, n);
}

static void check(struct toc_forward_queue *q, struct model *m, size_t *io_prefix,
                  size_t *io_mark) {
    while (*io_prefix < m->delivered.count && m->delivered.items[*io_prefix])
        ++*io_prefix;
    while (*io_mark < m->marks.count && m->marks.items[*io_mark].order <= *io_prefix)
        m->position = m->marks.items[(*io_mark)++].position;
    struct toc_log_position got = toc_forward_queue_delivered(q);
    if (got.offset != m->position.offset)
        fail("the position is not that of the last mark with everything before it delivered");
}

int main(int argc, char **argv) {
    uint64_t ops = args_number(argc, argv, "--ops", 20000);
    g_seed = args_number(argc, argv, "--seed", 1);
    struct toc_rng rng;
    struct toc_forward_queue q;
    struct model m = {0};
    struct toc_forward_series *series[SERIES];
    const struct toc_log_position front = {0};
    size_t prefix = 0, mark_at = 0;
    printf("seed %llu\n", (unsigned long long)g_seed);
    toc_rng_seed(&rng, g_seed);
    toc_forward_queue_init(&q, 1 + toc_rng_below(&rng, SHARDS_MAX), &front);
    for (size_t i = 0; i < SERIES; i++)
        series[i] = make_series(toc_rng_u64(&rng));
    for (uint64_t i = 0; i < ops; i++) {
        size_t shard = toc_rng_below(&rng, q.shards.count);
        switch (toc_rng_below(&rng, 8)) {
        case 0:
        case 1:
        case 2:
            for (uint64_t n = toc_rng_below(&rng, 9); n && q.count < LIVE_MAX; n--)
                push(&q, &m, series[toc_rng_below(&rng, SERIES)], toc_rng_below(&rng, 5) == 0);
            mark(&q, &m);
            break;
        case 3: /* a record of which nothing is wanted */
            mark(&q, &m);
            break;
        case 4:
            if (toc_rng_below(&rng, 20) == 0) {
                for (size_t k = 0; k < q.shards.count; k++)
                    pop(&q, &m, k, SIZE_MAX);
                toc_forward_queue_reshard(&q, 1 + toc_rng_below(&rng, SHARDS_MAX));
            }
            break;
        default:
            pop(&q, &m, shard, toc_rng_below(&rng, 12));
        }
        if (toc_rng_below(&rng, 3) == 0)
            check(&q, &m, &prefix, &mark_at);
    }
    toc_forward_queue_fini(&q);
    for (size_t i = 0; i < SERIES; i++) {
        if (series[i]->refs != 1)
            fail("a reference to a series was kept or given twice");
        toc_forward_series_unref(&series[i]);
    }
    printf("%llu operations, %zu items, %zu marks\n", (unsigned long long)ops, m.delivered.count,
           m.marks.count);
    TOC_VEC_FINI(&m.delivered);
    TOC_VEC_FINI(&m.marks);
    return 0;
}
