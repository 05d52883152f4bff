/* Loops of remote write are noticed, and nothing else is taken for one. */
#include "../cmocka_prelude.h"

#include <stdio.h>
#include <string.h>

#include "remote/remote_path.h"

enum { SERVERS = 40 };

static struct {
    struct toc_clock_virtual clock;
    struct toc_remote_path *servers[SERVERS];
} w;

static int set_up(void **state) {
    (void)state;
    toc_clock_virtual_init(&w.clock, (struct toc_ts){1000});
    toc_clock_virtual_advance(&w.clock, 3600 * 1000);
    for (int i = 0; i < SERVERS; i++)
        w.servers[i] = toc_remote_path_new(&w.clock.base);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    for (int i = 0; i < SERVERS; i++)
        toc_remote_path_free(&w.servers[i]);
    return 0;
}

static struct toc_sv value_of(const struct toc_buf *line) {
    struct toc_sv text = toc_buf_sv(line), name;
    assert_true(toc_sv_split(&text, ':', &name));
    assert_true(toc_sv_eq(name, TOC_SV(TOC_REMOTE_PATH_HEADER)));
    return toc_sv_trim(text);
}

static enum toc_remote_way send(int from, int to) {
    struct toc_buf line = TOC_BUF_INIT;
    toc_remote_path_write(w.servers[from], &line);
    enum toc_remote_way way = toc_remote_path_meet(w.servers[to], value_of(&line), TOC_SV("peer"));
    toc_buf_fini(&line);
    return way;
}

static size_t loops(int server) {
    struct toc_remote_path_stats s;
    toc_remote_path_stats(w.servers[server], &s);
    return s.loops;
}

static void own_messages_are_refused_and_counted(void **state) {
    (void)state;
    struct toc_remote_path_stats s;
    assert_int_equal(send(0, 0), TOC_REMOTE_WAY_OWN);
    assert_int_equal(send(0, 0), TOC_REMOTE_WAY_OWN);
    toc_remote_path_stats(w.servers[0], &s);
    assert_int_equal(s.refused, 2);
    assert_int_equal(s.loops, 0);
}

static void chains_and_trees_are_no_loops(void **state) {
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 9; i++) /* two senders each: 0, 1 → 2, 3 → 4 … */
            assert_int_equal(send(i, (i / 2 + 1) * 2), TOC_REMOTE_WAY_FREE);
        assert_int_equal(toc_remote_path_meet(w.servers[4], TOC_SV(""), TOC_SV("prometheus")),
                         TOC_REMOTE_WAY_FREE);
        toc_clock_virtual_advance(&w.clock, 5000);
    }
    for (int i = 0; i < 12; i++)
        assert_int_equal(loops(i), 0);
}

static void a_pair_is_a_loop_until_it_ends(void **state) {
    (void)state;
    assert_int_equal(send(0, 1), TOC_REMOTE_WAY_FREE);
    assert_int_equal(send(1, 0), TOC_REMOTE_WAY_LOOP);
    assert_int_equal(send(0, 1), TOC_REMOTE_WAY_LOOP);
    assert_int_equal(loops(0), 1);
    assert_int_equal(loops(1), 1);
    for (int minute = 0; minute < 25; minute++) { /* only 1 sends on */
        (void)send(1, 0);
        toc_clock_virtual_advance(&w.clock, 60 * 1000);
    }
    assert_int_equal(send(1, 0), TOC_REMOTE_WAY_FREE);
    assert_int_equal(loops(0), 0);
}

static void a_ring_of_three_is_noticed_by_each(void **state) {
    (void)state;
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 3; i++)
            (void)send(i, (i + 1) % 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(loops(i), 1);
}

/* 2 sent to the pair 0, 1 and receives from it; it stops sending, and the pair must not keep
 * telling each other of it for ever. */
static void what_is_not_heard_any_more_ends_in_a_circle(void **state) {
    (void)state;
    assert_int_equal(send(2, 0), TOC_REMOTE_WAY_FREE);
    for (int minute = 0; minute < 25; minute++) {
        (void)send(0, 1);
        (void)send(1, 0);
        (void)send(1, 2);
        assert_int_equal(loops(2) > 0, minute < 19);
        toc_clock_virtual_advance(&w.clock, 60 * 1000);
    }
    assert_int_equal(loops(0), 1);
}

static void many_senders_are_bounded(void **state) {
    (void)state;
    struct toc_buf line = TOC_BUF_INIT;
    for (int i = 1; i < SERVERS; i++) {
        (void)send(i, 0);
        toc_clock_virtual_advance(&w.clock, 1000);
    }
    toc_remote_path_write(w.servers[0], &line);
    size_t count = 0;
    for (size_t i = 0; i < line.n; i++)
        count += line.p[i] == ',';
    assert_int_equal(count, TOC_REMOTE_PATH_HEARD_MAX);
    toc_buf_fini(&line);
    assert_int_equal(send(0, SERVERS - 1), TOC_REMOTE_WAY_LOOP); /* the last one is remembered */
}

static void nonsense_is_passed_over(void **state) {
    (void)state;
    static const char *const headers[] = {",,,",
                                          "xyz",
                                          "0123456789abcdeF",
                                          "0123456789abcdef0",
                                          "0123456789abcdef;",
                                          "0123456789abcdef;x",
                                          "0123456789abcdef;99999999999999999999999",
                                          ";;;;;;;;;;;;;;;;;;;"};
    struct toc_buf line = TOC_BUF_INIT, before = TOC_BUF_INIT;
    toc_remote_path_write(w.servers[0], &before);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        assert_int_equal(
            toc_remote_path_meet(w.servers[0], toc_sv_cstr(headers[i]), TOC_SV("peer")),
            TOC_REMOTE_WAY_FREE);
    toc_remote_path_write(w.servers[0], &line);
    assert_string_equal(toc_buf_cstr(&line), toc_buf_cstr(&before));
    toc_buf_fini(&line);
    toc_buf_fini(&before);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(own_messages_are_refused_and_counted),
        TEST(chains_and_trees_are_no_loops),
        TEST(a_pair_is_a_loop_until_it_ends),
        TEST(a_ring_of_three_is_noticed_by_each),
        TEST(what_is_not_heard_any_more_ends_in_a_circle),
        TEST(many_senders_are_bounded),
        TEST(nonsense_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
