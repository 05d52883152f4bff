#include "../cmocka_prelude.h"

#include "base/alloc.h"
#include "forward/queue.h"

static struct toc_log_position at(uint64_t offset) {
    return (struct toc_log_position){.segment = 1, .offset = offset};
}

static struct toc_forward_series *series(uint64_t hash) {
    struct toc_forward_series *s = toc_xcalloc(1, sizeof *s);
    s->refs = 1;
    s->hash = hash;
    return s;
}

static void push(struct toc_forward_queue *q, struct toc_forward_series *s, int64_t t_ms) {
    toc_forward_queue_push(q, &(struct toc_forward_item){.series = s, .t_ms = t_ms});
}

static void the_position_waits_for_the_slowest_shard(void **state) {
    (void)state;
    struct toc_forward_queue q;
    struct toc_log_position p = at(5);
    struct toc_forward_series *a = series(0), *b = series(1);
    toc_forward_queue_init(&q, 2, &p);
    assert_int_equal(toc_forward_queue_delivered(&q).offset, 5);
    for (int i = 0; i < 4; i++) {
        push(&q, i % 2 ? a : b, i);
        p = at(10 + (uint64_t)i);
        toc_forward_queue_mark(&q, &p);
    }
    toc_forward_queue_pop(&q, 0, 2); /* a is through, b has not begun */
    assert_int_equal(toc_forward_queue_delivered(&q).offset, 5);
    toc_forward_queue_pop(&q, 1, 1);
    assert_int_equal(toc_forward_queue_delivered(&q).offset, 11);
    toc_forward_queue_pop(&q, 1, 1);
    assert_int_equal(toc_forward_queue_delivered(&q).offset, 13);
    p = at(99); /* a record of which nothing was wanted */
    toc_forward_queue_mark(&q, &p);
    assert_int_equal(toc_forward_queue_delivered(&q).offset, 99);
    toc_forward_series_unref(&a);
    toc_forward_series_unref(&b);
    toc_forward_queue_fini(&q);
}

static void room_is_per_shard_and_rings_turn(void **state) {
    (void)state;
    struct toc_forward_queue q;
    struct toc_log_position p = at(0);
    struct toc_forward_series *a = series(7);
    toc_forward_queue_init(&q, 3, &p);
    int64_t next = 0, first = 0;
    for (int round = 0; round < 50; round++) {
        while (toc_forward_queue_has_room(&q, 100))
            push(&q, a, next++);
        assert_int_equal(q.count, 100);
        assert_int_equal(a->refs, 101);
        for (size_t i = 0; i < 100; i++)
            assert_int_equal(toc_forward_queue_at(&q, 7 % 3, i)->t_ms, first + (int64_t)i);
        toc_forward_queue_pop(&q, 7 % 3, 37);
        first += 37;
    }
    toc_forward_queue_pop(&q, 7 % 3, q.count);
    toc_forward_queue_reshard(&q, 5);
    push(&q, a, 1);
    assert_int_equal(toc_forward_queue_at(&q, 7 % 5, 0)->t_ms, 1);
    toc_forward_queue_fini(&q); /* gives its references back */
    assert_int_equal(a->refs, 1);
    toc_forward_series_unref(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_position_waits_for_the_slowest_shard),
        cmocka_unit_test(room_is_per_shard_and_rings_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
