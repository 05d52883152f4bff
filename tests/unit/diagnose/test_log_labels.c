#include "../cmocka_prelude.h"
#include "diagnose/log_labels.h"

static void patterns_take_labels_from_paths(void **state) {
    static const struct {
        const char *pattern, *path, *job, *host;
        int64_t rank;
    } cases[] = {
        {"/logs/{job}/{host}/rank{rank}.log", "/logs/llama/node7/rank12.log", "llama", "node7", 12},
        {"{job}/rank{rank}*", "/var/log/llama/rank3.stderr.log", "llama", "", 3},
        {"{host}.kernel.log", "/var/log/node-7.kernel.log", "", "node-7", -1},
        {"slurm-*_{host}_{rank}.out", "slurm-5521_gpu-004_17.out", "", "gpu-004", 17},
        {"a?c/{rank}", "x/abc/7", "", "", 7},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_log_pattern p;
        struct toc_log_labels l;
        struct toc_err err = {0};
        assert_int_equal(toc_log_pattern_parse(toc_sv_cstr(cases[i].pattern), &p, &err), 0);
        assert_true(toc_log_pattern_match(&p, toc_sv_cstr(cases[i].path), &l));
        assert_true(toc_sv_eq_cstr(l.job, cases[i].job));
        assert_true(toc_sv_eq_cstr(l.host, cases[i].host));
        assert_int_equal(l.rank, cases[i].rank);
        toc_log_pattern_fini(&p);
    }
}

static void what_does_not_fit_does_not_match(void **state) {
    struct toc_log_pattern p;
    struct toc_log_labels l;
    (void)state;
    assert_int_equal(toc_log_pattern_parse(TOC_SV("/a/{job}.log"), &p, NULL), 0);
    assert_false(toc_log_pattern_match(&p, TOC_SV("/a/b/c.log"), &l));
    assert_false(toc_log_pattern_match(&p, TOC_SV("/x/a/c.log"), &l));
    assert_int_equal(l.rank, -1);
    toc_log_pattern_fini(&p);
}

static void a_bad_pattern_is_refused_with_a_reason(void **state) {
    static const char *const bad[] = {"", "{job", "{moon}.log", "{job}/{job}"};
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(bad); i++) {
        struct toc_log_pattern p;
        struct toc_err err = {0};
        assert_int_equal(toc_log_pattern_parse(toc_sv_cstr(bad[i]), &p, &err), TOC_EPARSE);
        assert_true(err.message[0]);
        toc_log_pattern_fini(&p);
    }
}

static void customs_of_paths_are_known(void **state) {
    static const struct {
        const char *path, *host;
        int64_t rank;
    } cases[] = {
        {"run/rank_12.log", "", 12},
        {"run/rank-7/stderr.log", "", 7},
        {"node17/rank3.out", "node17", 3},
        {"logs/gpu-004.dmesg", "gpu-004", -1},
        {"frank7.log", "", -1},
        {"train.log", "", -1},
        {"rankings.log", "", -1},
        {"gpu.log", "", -1},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_log_labels l = toc_log_labels_guess(toc_sv_cstr(cases[i].path));
        assert_int_equal(l.rank, cases[i].rank);
        assert_true(toc_sv_eq_cstr(l.host, cases[i].host));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_take_labels_from_paths),
        cmocka_unit_test(what_does_not_fit_does_not_match),
        cmocka_unit_test(a_bad_pattern_is_refused_with_a_reason),
        cmocka_unit_test(customs_of_paths_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
