/* Peers: one slow member is named, a whole stage apart is not compared here,
 * common trouble is nobody's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../cmocka_prelude.h"
#include "base/rng.h"
#include "detect/peers.h"

enum { MEMBERS_MAX = 64 };

struct group {
    struct toc_peer memory[MEMBERS_MAX], *members[MEMBERS_MAX];
    double values[MEMBERS_MAX], scratch[MEMBERS_MAX];
    struct toc_peer_result results[MEMBERS_MAX];
    struct toc_peers_summary summary;
    struct toc_rng rng;
};

static void begin(struct group *g, uint64_t seed) {
    *g = (struct group){0};
    for (int i = 0; i < MEMBERS_MAX; i++)
        g->members[i] = &g->memory[i];
    toc_rng_seed(&g->rng, seed);
}

static void step(struct group *g, size_t count, size_t slow, double factor) {
    struct toc_peers_options o = {0};
    for (size_t i = 0; i < count; i++)
        g->values[i] = (1 + 0.03 * toc_rng_normal(&g->rng)) * (i < slow ? factor : 1);
    g->summary = toc_peers_step(&o, g->members, g->values, count, g->results, g->scratch);
}

static size_t named(const struct group *g, size_t count) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += g->results[i].is_above + g->results[i].is_below;
    return n;
}

static void one_slow_member_is_named_and_cleared(void **state) {
    (void)state;
    struct group g;
    begin(&g, 1);
    for (int i = 0; i < 500; i++) {
        step(&g, 16, 0, 1);
        assert_int_equal(named(&g, 16), 0);
    }
    int delay = 0;
    for (; !g.results[0].is_above && delay < 50; delay++)
        step(&g, 16, 1, 1.3);
    assert_in_range(delay, 3, 12); /* (4 - 1.5) a slot, 12 to fill, three slots over it */
    assert_int_equal(named(&g, 16), 1);
    int recovery = 0;
    for (; g.results[0].is_above && recovery < 50; recovery++)
        step(&g, 16, 0, 1);
    assert_in_range(recovery, 1, 12);
    for (int i = 0; i < 50; i++)
        step(&g, 16, 1, 0.7);
    assert_true(g.results[0].is_below && !g.results[0].is_above);
}

static void a_single_slow_slot_is_nothing(void **state) {
    (void)state;
    struct group g;
    begin(&g, 2);
    for (int i = 0; i < 2000; i++) {
        step(&g, 8, i % 10 == 0, 3);
        assert_int_equal(named(&g, 8), 0);
    }
}

static void common_trouble_names_nobody(void **state) {
    (void)state;
    struct group g;
    begin(&g, 3);
    for (int i = 0; i < 100; i++)
        step(&g, 12, 0, 1);
    for (int i = 0; i < 100; i++) { /* all slow: the median moves along */
        step(&g, 12, 12, 5);
        assert_int_equal(named(&g, 12), 0);
    }
    bool was_common = false;
    begin(&g, 4);
    for (int i = 0; i < 100; i++) { /* in two camps: more than half stand out of the middle */
        for (size_t k = 0; k < 9; k++)
            g.values[k] = k == 0 ? 2.5 : k < 5 ? 1 : 4;
        struct toc_peers_options o = {.slack = 0.1, .limit = 1};
        g.summary = toc_peers_step(&o, g.members, g.values, 9, g.results, g.scratch);
        was_common = was_common || g.summary.is_common;
        assert_true(!g.summary.is_common || named(&g, 9) == 0);
    }
    assert_true(was_common);
}

static void three_members_say_nothing(void **state) {
    (void)state;
    struct group g;
    begin(&g, 5);
    for (int i = 0; i < 100; i++)
        step(&g, 3, 1, 10);
    assert_int_equal(named(&g, 3), 0);
    assert_true(isnan(g.results[0].z) && isnan(g.summary.median));
    begin(&g, 5);
    for (int i = 0; i < 100; i++) { /* four of whom one has no value */
        step(&g, 4, 1, 10);
        g.values[3] = NAN;
        struct toc_peers_options o = {0};
        g.summary = toc_peers_step(&o, g.members, g.values, 4, g.results, g.scratch);
        assert_int_equal(named(&g, 4), 0);
    }
}

static void equal_values_do_not_explode(void **state) {
    (void)state;
    struct group g;
    begin(&g, 6);
    struct toc_peers_options o = {0};
    for (int i = 0; i < 100; i++) { /* half a per cent away from constants: within the floor */
        for (size_t k = 0; k < 8; k++)
            g.values[k] = k == 3 ? 100.5 : 100;
        toc_peers_step(&o, g.members, g.values, 8, g.results, g.scratch);
        assert_int_equal(named(&g, 8), 0);
    }
    assert_true(g.results[3].z > 0.4 && g.results[3].z < 0.6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_slow_member_is_named_and_cleared),
        cmocka_unit_test(a_single_slow_slot_is_nothing),
        cmocka_unit_test(common_trouble_names_nobody),
        cmocka_unit_test(three_members_say_nothing),
        cmocka_unit_test(equal_values_do_not_explode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
