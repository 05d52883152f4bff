#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "remote/label_cache.h"

enum { KEYS = 5000 };

static struct toc_hash128 key_of(const struct toc_label_cache *c, unsigned i) {
    return toc_label_cache_key(c, &i, sizeof i);
}

static void fill(struct toc_label_cache *c, unsigned from, unsigned end) {
    for (unsigned i = from; i < end; i++)
        toc_label_cache_put(c, &(struct toc_label_cache_entry){key_of(c, i), i + 1, i * 3});
}

static void entries_are_found_by_their_keys_alone(void **state) {
    (void)state;
    struct toc_label_cache c;
    toc_label_cache_init(&c, KEYS);
    assert_int_equal(toc_label_cache_get(&c, key_of(&c, 0)).ref, 0);
    fill(&c, 0, KEYS);
    assert_int_equal(toc_label_cache_count(&c), KEYS);
    for (unsigned i = 0; i < 2 * KEYS; i++) {
        struct toc_label_cache_entry e = toc_label_cache_get(&c, key_of(&c, i));
        assert_int_equal(e.ref, i < KEYS ? i + 1 : 0);
        assert_int_equal(e.metadata_hash, i < KEYS ? i * 3 : 0);
    }
    toc_label_cache_fini(&c);
}

static void many_at_once_are_what_one_by_one_are(void **state) {
    (void)state;
    struct toc_label_cache c;
    struct toc_rng rng;
    toc_rng_seed(&rng, 7);
    toc_label_cache_init(&c, KEYS);
    for (unsigned round = 0; round < 400; round++) {
        struct toc_hash128 keys[TOC_LABEL_CACHE_BATCH];
        uint64_t refs[TOC_LABEL_CACHE_BATCH];
        size_t n = toc_rng_below(&rng, TOC_LABEL_CACHE_BATCH + 1);
        for (size_t i = 0; i < n; i++)
            keys[i] = key_of(&c, (unsigned)toc_rng_below(&rng, 2 * KEYS));
        toc_label_cache_get_refs(&c, keys, n, refs);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(refs[i], toc_label_cache_get(&c, keys[i]).ref);
        fill(&c, round * 10, round * 10 + 10);
    }
    toc_label_cache_fini(&c);
}

static void a_key_that_is_put_again_gets_the_new_reference(void **state) {
    (void)state;
    struct toc_label_cache c;
    toc_label_cache_init(&c, KEYS);
    fill(&c, 0, 100);
    toc_label_cache_put(&c, &(struct toc_label_cache_entry){key_of(&c, 42), 777, 1});
    assert_int_equal(toc_label_cache_count(&c), 100);
    assert_int_equal(toc_label_cache_get(&c, key_of(&c, 42)).ref, 777);
    toc_label_cache_fini(&c);
}

static void a_full_cache_begins_anew(void **state) {
    (void)state;
    struct toc_label_cache c;
    toc_label_cache_init(&c, 1000);
    fill(&c, 0, 1001);
    assert_int_equal(toc_label_cache_count(&c), 1);
    assert_int_equal(toc_label_cache_get(&c, key_of(&c, 0)).ref, 0);
    assert_int_equal(toc_label_cache_get(&c, key_of(&c, 1000)).ref, 1001);
    toc_label_cache_fini(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_found_by_their_keys_alone),
        cmocka_unit_test(many_at_once_are_what_one_by_one_are),
        cmocka_unit_test(a_key_that_is_put_again_gets_the_new_reference),
        cmocka_unit_test(a_full_cache_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
