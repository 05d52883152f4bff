/* The kernels that unpack bits agree with each other and with reading bit by bit. */
#include "../cmocka_prelude.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "metricdb/bits.h"
#include "metricdb/chunk_unpack.h"

enum { N_MAX = 300, CASES = 20000 };

static uint64_t g_seed = 1;

struct packed {
    unsigned width;
    uint64_t min;
    size_t n;
    struct toc_sums sums;
    struct toc_sv bytes; /* allocated to the byte, so that a sanitizer sees a read beyond */
};

static struct packed make_packed(struct toc_rng *rng, unsigned width) {
    struct toc_buf b = TOC_BUF_INIT;
    struct toc_bit_writer w = {.out = &b};
    struct packed p = {.width = width, .min = toc_rng_u64(rng), .n = toc_rng_below(rng, N_MAX)};
    for (size_t i = 0; i < p.n; i++)
        toc_bits_put(&w, toc_rng_u64(rng), width);
    toc_bits_finish(&w);
    p.sums = (struct toc_sums){toc_rng_u64(rng), toc_rng_u64(rng), (unsigned)toc_rng_below(rng, 3)};
    char *copy = malloc(b.n ? b.n : 1);
    if (b.n)
        memcpy(copy, b.p, b.n);
    p.bytes = (struct toc_sv){copy, b.n};
    toc_buf_fini(&b);
    return p;
}

static void unpack_naively(const struct packed *p, struct toc_sums *s, int64_t *out) {
    struct toc_bit_reader r = {.p = (const uint8_t *)p->bytes.p, .n = p->bytes.n};
    for (size_t i = 0; i < p->n; i++) {
        uint64_t v = p->min + toc_bits_get(&r, p->width);
        if (s->order == 2)
            v = s->slope += v;
        if (s->order)
            v = s->value += v;
        out[i] = (int64_t)v;
    }
    assert_int_equal(r.error, 0);
}

static void expect_same(const struct packed *p, toc_unpack_kernel *kernel, bool does_all) {
    int64_t want[N_MAX], got[N_MAX];
    struct toc_sums naive = p->sums, sums = p->sums;
    unpack_naively(p, &naive, want);
    size_t done = kernel(p->bytes, p->width, p->min, &sums, got, p->n);
    assert_true(does_all ? done == p->n : done <= p->n && done % 8 == 0);
    assert_memory_equal(got, want, done * sizeof *got);
    if (done != p->n || !p->sums.order)
        return;
    assert_int_equal(sums.value, naive.value);
    assert_true(p->sums.order < 2 || sums.slope == naive.slope);
}

static void kernels_agree(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    toc_unpack_kernel *avx2 = toc_unpack_avx2();
    for (int i = 0; i < CASES; i++) {
        struct packed p = make_packed(&rng, 1 + (unsigned)i % 64);
        expect_same(&p, toc_unpack_portable, true);
        expect_same(&p, toc_unpack, true);
        if (avx2 && p.width <= TOC_UNPACK_AVX2_WIDTH_MAX)
            expect_same(&p, avx2, false);
        free((void *)p.bytes.p);
    }
    print_message("%s\n", avx2 ? "AVX2 compared" : "skipped: this processor has no AVX2");
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--seed") == 0)
        g_seed = strtoull(argv[2], NULL, 10);
    printf("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {cmocka_unit_test(kernels_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
