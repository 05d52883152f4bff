/* Places by hash: every place that was put is met by a walk of its hash, and no other one. */
#include "../cmocka_prelude.h"

#include "base/hash_index.h"
#include "base/rng.h"

static void an_empty_index_has_no_place(void **state) {
    (void)state;
    struct toc_hash_index x = TOC_HASH_INDEX_INIT;
    uint32_t place;
    struct toc_hash_walk walk = toc_hash_index_walk(&x, 0);
    assert_false(toc_hash_walk_next(&walk, &place));
    toc_hash_index_fini(&x);
}

/* Ends of the range of hashes fall on the first and the last slot, so walks go around the end. */
static void one_hash_gives_all_its_places_and_no_other(void **state) {
    (void)state;
    static const uint32_t hashes[] = {UINT32_MAX, 0, UINT32_MAX - 1, 255, 256};
    enum { HASHES = sizeof hashes / sizeof hashes[0], EACH = 30 };
    struct toc_hash_index x = TOC_HASH_INDEX_INIT;
    for (uint32_t i = 0; i < HASHES * EACH; i++)
        toc_hash_index_put(&x, hashes[i % HASHES], i);
    for (uint32_t h = 0; h < HASHES; h++) {
        uint32_t place, count = 0;
        bool seen[HASHES * EACH] = {0};
        struct toc_hash_walk walk = toc_hash_index_walk(&x, hashes[h]);
        for (; toc_hash_walk_next(&walk, &place); count++) {
            assert_int_equal(place % HASHES, h);
            assert_false(seen[place]);
            seen[place] = true;
        }
        assert_int_equal(count, EACH);
    }
    toc_hash_index_fini(&x);
}

static void places_stay_while_it_grows(void **state) {
    (void)state;
    enum { ITEMS = 20000, KINDS = 9000 };
    static uint32_t hashes[ITEMS], met[ITEMS];
    struct toc_rng rng;
    struct toc_hash_index x = TOC_HASH_INDEX_INIT;
    toc_rng_seed(&rng, 11);
    for (uint32_t i = 0; i < ITEMS; i++) {
        hashes[i] = (uint32_t)toc_rng_below(&rng, KINDS) * 0x10001u; /* some meet, some do not */
        toc_hash_index_put(&x, hashes[i], i);
    }
    assert_int_equal(x.count, ITEMS);
    assert_true(x.count * 4 <= x.capacity * 3);
    for (uint32_t i = 0; i < ITEMS; i++) {
        uint32_t place;
        struct toc_hash_walk walk = toc_hash_index_walk(&x, hashes[i]);
        while (toc_hash_walk_next(&walk, &place)) {
            assert_int_equal(hashes[place], hashes[i]);
            met[i] += place == i;
        }
        assert_int_equal(met[i], 1);
    }
    toc_hash_index_fini(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_index_has_no_place),
        cmocka_unit_test(one_hash_gives_all_its_places_and_no_other),
        cmocka_unit_test(places_stay_while_it_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
