#include "../cmocka_prelude.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/num.h"
#include "base/rng.h"
#include "base/rounded.h"
#include "base/time.h"

static void buf_limit_is_sticky(void **state) {
    (void)state;
    struct toc_buf b = {.limit_bytes = 8};
    toc_buf_append_cstr(&b, "12345");
    toc_buf_append_cstr(&b, "6789");
    assert_int_equal(toc_buf_error(&b), TOC_ELIMIT);
    toc_buf_append_cstr(&b, "x");
    assert_sv_equal(toc_buf_sv(&b), "12345");
    toc_buf_fini(&b);
}

static void varints_round_trip(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, 1);
    struct toc_buf b = TOC_BUF_INIT;
    int64_t values[1000];
    for (int i = 0; i < 1000; i++) {
        values[i] = (int64_t)(toc_rng_u64(&rng) >> toc_rng_below(&rng, 64));
        toc_buf_append_zigzag(&b, i & 1 ? -values[i] : values[i]);
    }
    struct toc_reader r = toc_reader_make(toc_buf_sv(&b));
    for (int i = 0; i < 1000; i++)
        assert_int_equal(toc_read_zigzag(&r), i & 1 ? -values[i] : values[i]);
    assert_int_equal(r.error, 0);
    toc_read_u8(&r);
    assert_int_equal(r.error, TOC_ETRUNCATED);
    toc_buf_fini(&b);
}

static void map_equals_naive_model(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, 7);
    struct toc_map m = TOC_MAP_INIT;
    void *model[64] = {0};
    for (int step = 0; step < 20000; step++) {
        uint64_t key = toc_rng_below(&rng, 64);
        void *value = (void *)(uintptr_t)(toc_rng_below(&rng, 1000) + 1);
        if (toc_rng_below(&rng, 2)) {
            assert_ptr_equal(toc_map_put(&m, toc_map_u64(&key), value), model[key]);
            model[key] = value;
        } else {
            assert_ptr_equal(toc_map_remove(&m, toc_map_u64(&key)), model[key]);
            model[key] = NULL;
        }
        uint64_t probe = toc_rng_below(&rng, 64);
        assert_ptr_equal(toc_map_get(&m, toc_map_u64(&probe)), model[probe]);
    }
    toc_map_fini(&m);
}

static void heap_pops_in_order_with_removals(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, 3);
    struct toc_heap h = {0};
    static struct toc_heap_node nodes[500];
    for (int i = 0; i < 500; i++)
        toc_heap_insert(&h, &nodes[i], (int64_t)toc_rng_below(&rng, 100));
    for (int i = 0; i < 500; i += 3)
        toc_heap_remove(&h, &nodes[i]);
    int64_t last = -1;
    size_t popped = 0;
    for (struct toc_heap_node *n; (n = toc_heap_pop(&h)); popped++) {
        assert_true(n->key >= last);
        last = n->key;
    }
    assert_int_equal(popped, 333);
    toc_heap_fini(&h);
}

static void numbers_round_trip_shortest(void **state) {
    (void)state;
    static const struct {
        double v;
        const char *plain, *general;
    } cases[] = {
        {0.1, "0.1", "0.1"},
        {1e21, "1000000000000000000000", "1e+21"},
        {1.5e-7, "0.00000015", "1.5e-07"},
        {123456789.125, "123456789.125", "1.23456789125e+08"},
        {-0.0, "-0", "-0"},
        {INFINITY, "+Inf", "+Inf"},
        {5e-324, NULL, "5e-324"},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_buf b = TOC_BUF_INIT;
        toc_format_f64(cases[i].v, &b);
        if (cases[i].plain)
            assert_string_equal(toc_buf_cstr(&b), cases[i].plain);
        double back;
        assert_int_equal(toc_parse_f64(toc_buf_sv(&b), &back), 0);
        assert_true(back == cases[i].v);
        toc_buf_fini(&b);
    }
    struct toc_rng rng;
    toc_rng_seed(&rng, 11);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = toc_rng_u64(&rng);
        double v, back;
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        struct toc_buf b = TOC_BUF_INIT;
        toc_format_f64_g(v, &b);
        assert_int_equal(toc_parse_f64(toc_buf_sv(&b), &back), 0);
        assert_memory_equal(&v, &back, sizeof v);
        toc_buf_fini(&b);
    }
}

static void is_as_printf(double v) {
    char text[TOC_ROUNDED_TEXT_MAX], expected[TOC_ROUNDED_TEXT_MAX];
    for (int digits = 0; digits <= 9; digits++) {
        text[toc_fixed_text(v, digits, text)] = 0;
        snprintf(expected, sizeof expected, "%.*f", digits, v);
        assert_string_equal(text, expected);
        if (!digits)
            continue;
        text[toc_digits_text(v, digits, text)] = 0;
        snprintf(expected, sizeof expected, "%.*g", digits, v);
        assert_string_equal(text, expected);
    }
}

/* Any bits, numbers of everyday size, and those that lie halfway or next to it. */
static void rounded_numbers_are_as_printf_writes_them(void **state) {
    (void)state;
    static const double some[] = {0,      -0.0,    0.05,     0.15,       0.25,      0.35,
                                  0.45,   0.5,     1.5,      2.5,        0.125,     9.95,
                                  9.9995, 99999.5, 999999.5, 9.99995e-5, 1e-4,      1e22,
                                  1e23,   5e-324,  DBL_MAX,  INFINITY,   -INFINITY, NAN};
    struct toc_rng rng;
    toc_rng_seed(&rng, 17);
    for (size_t i = 0; i < TOC_ARRAY_LEN(some); i++)
        is_as_printf(some[i]);
    for (int i = 0; i < 3000; i++) {
        uint64_t bits = toc_rng_u64(&rng);
        double v, size = pow(10, (double)toc_rng_below(&rng, 30) - 15);
        memcpy(&v, &bits, sizeof v);
        is_as_printf(v);
        v = ((double)toc_rng_below(&rng, 2000001) - 1e6) / 1e6 * size;
        is_as_printf(v);
        v = ((double)toc_rng_below(&rng, 200000) + 0.5) / pow(10, (double)toc_rng_below(&rng, 9));
        is_as_printf(v);
        is_as_printf(nextafter(v, 0));
        is_as_printf(nextafter(v, INFINITY));
    }
}

/* What stands behind a number changes nothing of it. */
static void numbers_are_read_alike_alone_and_before_more_text(void **state) {
    (void)state;
    static const char letters[] = "0123456789012345678901234567890123456789....eE+-,";
    struct toc_rng rng;
    toc_rng_seed(&rng, 29);
    for (int i = 0; i < 100000; i++) {
        char text[64];
        size_t n = 1 + toc_rng_below(&rng, 20);
        for (size_t k = 0; k < sizeof text; k++)
            text[k] = k == n ? ',' : letters[toc_rng_below(&rng, sizeof letters - 1)];
        double alone = 0, before = 0;
        size_t alone_n = toc_read_json_number(toc_sv_make(text, n), &alone);
        size_t before_n = toc_read_json_number(toc_sv_make(text, sizeof text), &before);
        assert_int_equal(alone_n, before_n);
        if (alone_n)
            assert_memory_equal(&alone, &before, sizeof alone);
        double parsed;
        if (alone_n == n && text[0] != '-') {
            assert_int_equal(toc_parse_f64(toc_sv_make(text, n), &parsed), 0);
            assert_memory_equal(&alone, &parsed, sizeof alone);
        }
    }
}

static void number_parser_refuses_garbage(void **state) {
    (void)state;
    double v;
    static const char *const bad[] = {"",   "1_0", " 1",  "1 ",    "0x",
                                      "1e", ".",   "--1", "1.2.3", "infin"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(bad); i++)
        assert_int_equal(toc_parse_f64(toc_sv_cstr(bad[i]), &v), TOC_EPARSE);
}

static void durations_as_prometheus(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
        const char *printed;
    } cases[] = {
        {"1h30m", 5400000, "1h30m"}, {"90s", 90000, "1m30s"}, {"0", 0, "0s"},
        {"1w", 604800000, "1w"},     {"100ms", 100, "100ms"}, {"1d12h", 129600000, "1d12h"}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        int64_t ms;
        assert_int_equal(toc_duration_parse(toc_sv_cstr(cases[i].text), &ms, NULL), 0);
        assert_int_equal(ms, cases[i].ms);
        struct toc_buf b = TOC_BUF_INIT;
        toc_duration_format(ms, &b);
        assert_string_equal(toc_buf_cstr(&b), cases[i].printed);
        toc_buf_fini(&b);
    }
    static const char *const bad[] = {"", "5", "1m1h", "1s1s", "-5s", "1.5h", "99999999999999y"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(bad); i++) {
        int64_t ms;
        assert_int_equal(toc_duration_parse(toc_sv_cstr(bad[i]), &ms, NULL), TOC_EPARSE);
    }
}

static void rfc3339_round_trips(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, 5);
    for (int i = 0; i < 5000; i++) {
        struct toc_ts t = {(int64_t)toc_rng_below(&rng, 8000000000000)}, back;
        struct toc_buf b = TOC_BUF_INIT;
        toc_ts_format_rfc3339(t, &b);
        assert_int_equal(toc_ts_parse_rfc3339(toc_buf_sv(&b), &back, NULL), 0);
        assert_int_equal(back.ms, t.ms);
        toc_buf_fini(&b);
    }
    struct toc_ts t;
    assert_int_equal(toc_ts_parse_rfc3339(TOC_SV("2026-11-24T13:17:34.25+01:00"), &t, NULL), 0);
    assert_int_equal(t.ms, 1795522654250);
    assert_int_equal(toc_ts_parse_rfc3339(TOC_SV("2026-04-31T00:00:00Z"), &t, NULL), TOC_EPARSE);
}

static void crc32c_known_answer(void **state) {
    (void)state;
    assert_int_equal(toc_crc32c(0, "123456789", 9), 0xe3069283); /* RFC 3720 check value */
    assert_int_equal(toc_crc32c(toc_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void arena_refuses_over_budget(void **state) {
    (void)state;
    struct toc_arena a;
    toc_arena_init(&a, 10000);
    assert_non_null(toc_arena_alloc(&a, 6000));
    assert_null(toc_arena_alloc(&a, 6000));
    assert_true(a.overflowed);
    toc_arena_reset(&a);
    assert_non_null(toc_arena_alloc(&a, 6000));
    toc_arena_fini(&a);
}

static void utf8_is_judged_by_the_rfc(void **state) {
    (void)state;
    assert_true(toc_sv_is_utf8(TOC_SV("tocsin \xe8\xad\xa6\xe9\x90\x98")));
    assert_false(toc_sv_is_utf8(TOC_SV("\xc0\x80")));
    assert_false(toc_sv_is_utf8(TOC_SV("\xed\xa0\x80")));
    assert_false(toc_sv_is_utf8(TOC_SV("\xf4\x90\x80\x80")));
    assert_false(toc_sv_is_utf8(TOC_SV("\xe8\xad")));
}

static int by_bytes(const void *a, const void *b) {
    return toc_sv_cmp(*(const struct toc_sv *)a, *(const struct toc_sv *)b);
}

/* Texts that share a front of up to 12 bytes and hold zero bytes, beside qsort with whole
 * comparisons. */
static void texts_sort_by_bytes(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, 7);
    enum { TEXTS = 300 };
    char bytes[TEXTS][24];
    struct toc_sv sorted[TEXTS], plain[TEXTS];
    for (int round = 0; round < 500; round++) {
        size_t count = toc_rng_below(&rng, TEXTS + 1), front = toc_rng_below(&rng, 13);
        for (size_t i = 0; i < count; i++) {
            size_t n = front + toc_rng_below(&rng, 11);
            memset(bytes[i], 'x', front);
            for (size_t k = front; k < n; k++)
                bytes[i][k] = "\0ab\xff"[toc_rng_below(&rng, 4)];
            sorted[i] = plain[i] = toc_sv_make(bytes[i], n);
        }
        toc_sv_sort(sorted, count);
        qsort(plain, count, sizeof *plain, by_bytes);
        for (size_t i = 0; i < count; i++) {
            assert_true(toc_sv_eq(sorted[i], plain[i]));
            assert_true(toc_sv_is_among(sorted, count, plain[i]));
        }
        assert_false(toc_sv_is_among(sorted, count, TOC_SV("absent")));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_limit_is_sticky),
        cmocka_unit_test(varints_round_trip),
        cmocka_unit_test(map_equals_naive_model),
        cmocka_unit_test(heap_pops_in_order_with_removals),
        cmocka_unit_test(numbers_round_trip_shortest),
        cmocka_unit_test(rounded_numbers_are_as_printf_writes_them),
        cmocka_unit_test(numbers_are_read_alike_alone_and_before_more_text),
        cmocka_unit_test(number_parser_refuses_garbage),
        cmocka_unit_test(durations_as_prometheus),
        cmocka_unit_test(rfc3339_round_trips),
        cmocka_unit_test(crc32c_known_answer),
        cmocka_unit_test(arena_refuses_over_budget),
        cmocka_unit_test(texts_sort_by_bytes),
        cmocka_unit_test(utf8_is_judged_by_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
