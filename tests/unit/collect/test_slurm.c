/* Slurm: host lists, JSON of several versions, programs that are run. */
#include "../cmocka_prelude.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "codec/hostlist.h"
#include "collect/discovery_priv.h"
#include "sys/clock.h"
#include "sys/process.h"

/* ------------------------------------------------------------------------------------------------
 * host lists */

static void expand(const char *text, const char *wanted) {
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_err err = {0};
    struct toc_buf got = TOC_BUF_INIT;
    const struct toc_sv *names;
    size_t count;
    int rc = toc_hostlist_expand(toc_sv_cstr(text), 1000, &a, &names, &count, &err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        toc_buf_printf(&got, "%s%.*s", i ? " " : "", TOC_SV_ARG(names[i]));
    if (rc)
        toc_buf_printf(&got, "%s", toc_error_name(rc));
    if (strcmp(toc_buf_cstr(&got), wanted) != 0)
        fail_msg("%s: %s, wanted %s", text, toc_buf_cstr(&got), wanted);
    toc_buf_fini(&got);
    toc_arena_fini(&a);
}

static void host_lists_are_expanded(void **state) {
    (void)state;
    expand("", "");
    expand("n1", "n1");
    expand("n1,m2", "n1 m2");
    expand("gpu[001-003,7]", "gpu001 gpu002 gpu003 gpu7");
    expand("r[1-2]n[08-09]-ib,login", "r1n08-ib r1n09-ib r2n08-ib r2n09-ib login");
    expand("a[1,3]", "a1 a3");
    expand("a[9-11]", "a9 a10 a11");
}

static void bad_host_lists_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "a[", "a]", "a[]",    "a[1",   "a[x]",  "a[3-1]",          "a[1-]",
        ",",  "a,", "a[1]b[", "a[-1]", "a[1,]", "a[1][1][1][1][1]"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(bad); i++)
        expand(bad[i], "TOC_EPARSE");
    expand("a[1-1001]", "TOC_ELIMIT");
    expand("a[1-999],b[1-2]", "TOC_ELIMIT");
    expand("a[1-100]b[1-100]", "TOC_ELIMIT");
    expand("a[0-4294967295]", "TOC_ELIMIT");
}

/* Compressed by a naive writer, a list expands to itself. */
static void random_lists_come_back(void **state) {
    (void)state;
    struct toc_rng r;
    toc_rng_seed(&r, 7);
    for (int round = 0; round < 500; round++) {
        struct toc_buf list = TOC_BUF_INIT, plain = TOC_BUF_INIT;
        for (int item = 0; item < 5; item++) {
            unsigned first = (unsigned)toc_rng_below(&r, 90), n = (unsigned)toc_rng_below(&r, 9);
            toc_buf_printf(&list, "%sn%d-[%03u-%03u]x", item ? "," : "", item, first, first + n);
            for (unsigned i = first; i <= first + n; i++)
                toc_buf_printf(&plain, "%sn%d-%03ux", plain.n ? " " : "", item, i);
        }
        expand(toc_buf_cstr(&list), toc_buf_cstr(&plain));
        toc_buf_fini(&list);
        toc_buf_fini(&plain);
    }
}

/* ------------------------------------------------------------------------------------------------
 * JSON */

static const char *label(const struct toc_target_group *g, const char *name) {
    for (size_t i = 0; i < g->label_count; i++)
        if (toc_sv_eq_cstr(g->labels[i].name, name))
            return g->labels[i].value.p;
    return "";
}

static void nodes_of_several_versions(void **state) {
    (void)state;
    static const char *const texts[] = {
        /* 21.08 */
        "{\"meta\": {\"Slurm\": {\"version\": {\"major\": 21}}}, \"errors\": [], \"nodes\": [{"
        "\"name\": \"g1\", \"address\": \"10.0.0.1\", \"hostname\": \"g1\", \"state\": \"idle\", "
        "\"state_flags\": [\"DRAIN\"], \"partitions\": [\"gpu\", \"all\"], \"features\": "
        "\"h100,ib\", \"gres\": \"gpu:h100:8\", \"cpus\": 96, \"real_memory\": 1024}]}",
        /* 23.11 and newer */
        "{\"nodes\": [{\"name\": \"g1\", \"address\": \"10.0.0.1\", \"state\": [\"IDLE\", "
        "\"DRAIN\"], \"partitions\": [\"gpu\", \"all\"], \"features\": [\"h100\", \"ib\"], "
        "\"gres\": \"gpu:h100:8\", \"cpus\": {\"set\": true, \"infinite\": false, \"number\": 96}, "
        "\"real_memory\": {\"set\": true, \"infinite\": false, \"number\": 1024}}], "
        "\"last_update\": {\"set\": true, \"number\": 1}, \"errors\": [], \"warnings\": []}"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(texts); i++) {
        struct toc_arena a = TOC_ARENA_INIT;
        struct toc_err err = {0};
        const struct toc_target_group *g;
        size_t count;
        if (toc_slurm_nodes(toc_sv_cstr(texts[i]), 9100, &a, &g, &count, &err) < 0)
            fail_msg("%s", err.message);
        assert_int_equal(count, 1);
        assert_string_equal(g->targets[0].p, "10.0.0.1:9100");
        assert_string_equal(label(g, "__meta_slurm_node_name"), "g1");
        assert_string_equal(label(g, "__meta_slurm_node_state"), "idle+drain");
        assert_string_equal(label(g, "__meta_slurm_node_partition"), "gpu,all");
        assert_string_equal(label(g, "__meta_slurm_node_features"), "h100,ib");
        assert_string_equal(label(g, "__meta_slurm_node_gres"), "gpu:h100:8");
        assert_string_equal(label(g, "__meta_slurm_node_cpus"), "96");
        assert_string_equal(label(g, "__meta_slurm_node_memory_mib"), "1024");
        toc_arena_fini(&a);
    }
}

static void jobs_of_several_versions(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{\"jobs\": [{\"job_id\": 7, \"name\": \"train\", \"user_name\": \"ann\", \"job_state\": "
        "\"RUNNING\", \"nodes\": \"g[1-2]\", \"partition\": \"gpu\", \"node_count\": 2, "
        "\"array_job_id\": 0, \"array_task_id\": null}, {\"job_id\": 8, \"nodes\": \"\"}]}",
        "{\"jobs\": [{\"job_id\": 7, \"name\": \"train\", \"user_name\": \"ann\", \"job_state\": "
        "[\"RUNNING\"], \"nodes\": \"g[1-2]\", \"partition\": \"gpu\", \"node_count\": {\"set\": "
        "true, \"infinite\": false, \"number\": 2}, \"array_job_id\": {\"set\": true, "
        "\"infinite\": "
        "false, \"number\": 0}, \"array_task_id\": {\"set\": false, \"infinite\": false, "
        "\"number\": 0}}, {\"job_id\": 8}]}"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(texts); i++) {
        struct toc_arena a = TOC_ARENA_INIT;
        struct toc_err err = {0};
        const struct toc_target_group *g;
        size_t count;
        if (toc_slurm_jobs(toc_sv_cstr(texts[i]), 9400, &a, &g, &count, &err) < 0)
            fail_msg("%s", err.message);
        assert_int_equal(count, 2);
        assert_int_equal(g[0].target_count, 2);
        assert_int_equal(g[1].target_count, 0);
        assert_string_equal(g[0].targets[1].p, "g2:9400");
        assert_string_equal(g[0].own[1].items[0].value.p, "g2");
        assert_string_equal(g[0].own[1].items[1].value.p, "1");
        assert_string_equal(label(g, "__meta_slurm_job_id"), "7");
        assert_string_equal(label(g, "__meta_slurm_job_user"), "ann");
        assert_string_equal(label(g, "__meta_slurm_job_state"), "running");
        assert_string_equal(label(g, "__meta_slurm_job_nodes"), "g[1-2]");
        assert_string_equal(label(g, "__meta_slurm_job_node_count"), "2");
        assert_string_equal(label(g, "__meta_slurm_job_array_job_id"), "");
        toc_arena_fini(&a);
    }
}

static void bad_answers_say_why(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", ""},
        {"slurm_load_node error: Unable to contact", ""},
        {"{}", "no list \"nodes\""},
        {"{\"nodes\": 1}", "no list \"nodes\""},
        {"{\"nodes\": [{}]}", "node 0 has no name"},
        {"{\"nodes\": [], \"errors\": [{\"description\": \"no contact\"}]}", "Slurm says: no con"},
        {"{\"errors\": [{\"error\": \"old\"}]}", "Slurm says: old"},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_arena a = TOC_ARENA_INIT;
        struct toc_err err = {0};
        const struct toc_target_group *g;
        size_t count;
        assert_true(toc_slurm_nodes(toc_sv_cstr(cases[i].text), 1, &a, &g, &count, &err) < 0);
        if (!err.message[0] || !strstr(err.message, cases[i].message))
            fail_msg("%s: %s", cases[i].text, err.message);
        toc_arena_fini(&a);
    }
}

/* ------------------------------------------------------------------------------------------------
 * programs */

static int run(const char *script, int64_t timeout_ms, size_t max_bytes, struct toc_buf *out,
               struct toc_err *err) {
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct toc_program c = {.argv = argv, .timeout_ms = timeout_ms, .max_bytes = max_bytes};
    toc_buf_reset(out);
    toc_err_reset(err);
    return toc_process_capture(&c, out, err);
}

static bool is_true(void *ctx) {
    (void)ctx;
    return true;
}

static void output_is_captured(void **state) {
    (void)state;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    assert_int_equal(run("echo one; echo two >&2; cat", 20000, 100, &out, &err), 0);
    assert_string_equal(toc_buf_cstr(&out), "one\n"); /* cat found nothing to read */
    assert_int_equal(run("head -c 300000 /dev/zero", 20000, 300000, &out, &err), 0);
    assert_int_equal(out.n, 300000);
    assert_int_equal(run("head -c 300000 /dev/zero >&2; echo x", 20000, 10, &out, &err), 0);
    assert_string_equal(toc_buf_cstr(&out), "x\n");
    toc_buf_fini(&out);
}

static void failures_of_programs_are_told(void **state) {
    (void)state;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    const char *const none[] = {"/nowhere/at-all", NULL};
    const struct toc_program missing = {.argv = none, .timeout_ms = 1000, .max_bytes = 1};
    assert_int_equal(toc_process_capture(&missing, &out, &err), TOC_ENOENT);
    assert_non_null(strstr(err.message, "cannot start /nowhere/at-all: No such file"));
    assert_int_equal(run("echo why >&2; echo more >&2; exit 3", 20000, 10, &out, &err),
                     TOC_EUNAVAILABLE);
    assert_string_equal(err.message, "sh ended with status 3: why");
    assert_int_equal(run("kill -9 $$", 20000, 10, &out, &err), TOC_EUNAVAILABLE);
    assert_non_null(strstr(err.message, "status 137"));
    assert_int_equal(run("yes", 20000, 1000, &out, &err), TOC_ELIMIT);
    toc_buf_fini(&out);
}

static void programs_end_at_their_deadline(void **state) {
    (void)state;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    const char *const argv[] = {"sleep", "1000", NULL};
    const struct toc_program cancelled = {
        .argv = argv, .timeout_ms = 1000000, .max_bytes = 1, .is_cancelled = is_true};
    /* The child that keeps the pipe open dies with its group. */
    assert_int_equal(run("trap '' TERM; sleep 1000 & wait", 100, 10, &out, &err), TOC_ETIMEDOUT);
    assert_int_equal(run("exec >&- 2>&-; sleep 1000", 100, 10, &out, &err), TOC_ETIMEDOUT);
    assert_int_equal(toc_process_capture(&cancelled, &out, &err), TOC_ECANCELED);
    toc_buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_lists_are_expanded),
        cmocka_unit_test(bad_host_lists_are_refused),
        cmocka_unit_test(random_lists_come_back),
        cmocka_unit_test(nodes_of_several_versions),
        cmocka_unit_test(jobs_of_several_versions),
        cmocka_unit_test(bad_answers_say_why),
        cmocka_unit_test(output_is_captured),
        cmocka_unit_test(failures_of_programs_are_told),
        cmocka_unit_test(programs_end_at_their_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
