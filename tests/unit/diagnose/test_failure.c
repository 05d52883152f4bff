#include <stdio.h>

#include "../cmocka_prelude.h"
#include "base/alloc.h"
#include "diagnose/failure.h"

#define T0 INT64_C(1787223600000)

static struct toc_signature_table *g_signatures;
static struct toc_failure_rules *g_rules;
static struct toc_xid_table *g_xids;

static int setup(void **state) {
    struct toc_err err = {0};
    (void)state;
    if (toc_signature_table_builtin(&g_signatures, &err) < 0 ||
        toc_failure_rules_builtin(&g_rules, &err) < 0 || toc_xid_table_builtin(&g_xids, &err) < 0)
        fail_msg("%d:%d: %s", err.line, err.column, err.message);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    toc_signature_table_free(&g_signatures);
    toc_failure_rules_free(&g_rules);
    toc_xid_table_free(&g_xids);
    return 0;
}

static const struct toc_signature *signature(const char *id) {
    for (size_t i = 0; i < toc_signature_table_count(g_signatures); i++)
        if (toc_sv_eq_cstr(toc_signature_table_get(g_signatures, i)->id, id))
            return toc_signature_table_get(g_signatures, i);
    fail_msg("no signature %s", id);
    return NULL;
}

/* What the listener heard. */
struct heard {
    struct toc_failure_listener listener;
    struct toc_failures *failures;
    size_t opened, changed, over;
    char title[400], root[32], owner[16], causes[2000];
    enum toc_kind kind;
    enum toc_severity severity;
    enum toc_failure_state state;
    double confidence;
    uint64_t lines;
    size_t cascades, cause_count;
    bool is_confirmed;
};

static void on_failure(struct toc_failure_listener *l, const struct toc_failure *f,
                       enum toc_failure_event event, struct toc_ts now) {
    struct heard *h = (struct heard *)(void *)l;
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_finding finding = toc_failure_finding(f, &a);
    struct toc_buf causes = TOC_BUF_INIT;
    (void)now;
    h->opened += event == TOC_FAILURE_OPENED;
    h->changed += event == TOC_FAILURE_CHANGED;
    h->over += event == TOC_FAILURE_OVER;
    toc_sv_copy(finding.title, h->title, sizeof h->title);
    toc_sv_copy(f->root ? f->root->signature->id : TOC_SV("none"), h->root, sizeof h->root);
    toc_sv_copy(toc_failure_owner(f), h->owner, sizeof h->owner);
    for (size_t i = 0; i < finding.cause_count; i++)
        toc_buf_printf(&causes, "%.*s;", TOC_SV_ARG(finding.causes[i].text));
    toc_sv_copy(toc_buf_sv(&causes), h->causes, sizeof h->causes);
    h->kind = finding.kind, h->severity = finding.severity, h->state = f->state;
    h->confidence = f->confidence, h->lines = f->lines;
    h->cascades = finding.cascade_count, h->cause_count = finding.cause_count;
    h->is_confirmed = f->confirmed_by != NULL;
    toc_buf_fini(&causes);
    toc_arena_fini(&a);
}

static struct heard *start(struct toc_failure_limits limits) {
    struct heard *h = TOC_NEW(struct heard);
    h->listener.on_failure = on_failure;
    h->failures = toc_failures_new(&(struct toc_failures_options){.rules = g_rules,
                                                                  .xids = g_xids,
                                                                  .listener = &h->listener,
                                                                  .limits = limits,
                                                                  .keeps_unexplained = true});
    return h;
}

static void stop(struct heard *h) {
    toc_failures_free(&h->failures);
    toc_free(h);
}

struct at {
    const char *id, *host;
    int64_t rank, after_ms;
    const char *job, *code, *word, *device;
    int64_t pid, lasted_ms;
};

static void put(struct heard *h, struct at a) {
    struct toc_failure_hit hit = TOC_FAILURE_HIT_INIT;
    hit.signature = signature(a.id);
    hit.at.ms = T0 + a.after_ms;
    hit.host = toc_sv_cstr(a.host);
    hit.rank = a.rank;
    hit.job = toc_sv_cstr(a.job ? a.job : hit.signature->sources == TOC_LOG_KERNEL ? "" : "j");
    hit.code = toc_sv_cstr(a.code);
    hit.word = toc_sv_cstr(a.word);
    hit.device = toc_sv_cstr(a.device);
    hit.pid = a.pid ? a.pid : -1;
    hit.lasted_ms = a.lasted_ms;
    hit.text = toc_sv_cstr(a.id);
    toc_failures_put(h->failures, &hit, hit.at);
}

static void tick(struct heard *h, int64_t from_ms, int64_t to_ms) {
    for (int64_t t = from_ms; t <= to_ms; t += 1000)
        toc_failures_tick(h->failures, (struct toc_ts){T0 + t});
}

#define NONE ((struct toc_failure_limits){0})

/* ------------------------------------------------------------------------------------------ tests
 */

static void every_signature_has_a_rule_and_every_rule_a_use(void **state) {
    (void)state;
    for (size_t i = 0; i < toc_signature_table_count(g_signatures); i++) {
        const struct toc_signature *s = toc_signature_table_get(g_signatures, i);
        const struct toc_failure_rule *r =
            toc_failure_rules_find(g_rules, s, TOC_SV_NULL, toc_xid_find(g_xids, 79));
        if (!r)
            fail_msg("%.*s has no rule", TOC_SV_ARG(s->id));
        bool is_root = s->role == TOC_SIGNATURE_ROOT || s->role == TOC_SIGNATURE_EITHER;
        if (is_root && r->kind != TOC_KIND_COUNT)
            assert_true(r->strength > 0);
    }
    for (size_t n = 0; n < toc_failure_rules_count(g_rules); n++) {
        struct toc_sv name = toc_failure_rules_get(g_rules, n)->name, id = name;
        bool is_used = false;
        id.n = TOC_MIN(toc_sv_find_char(name, ':'), name.n);
        for (size_t i = 0; i < toc_signature_table_count(g_signatures); i++) {
            const struct toc_signature *s = toc_signature_table_get(g_signatures, i);
            is_used |= toc_sv_eq(s->id, id) || toc_sv_eq(s->class_name, id);
        }
        if (!is_used)
            fail_msg("nothing uses the rule %.*s", TOC_SV_ARG(name));
    }
}

static void a_gpu_off_the_bus_explains_the_errors_of_the_job(void **state) {
    struct heard *h = start(NONE);
    (void)state;
    toc_failures_member(h->failures, TOC_SV("j"), 8, TOC_SV("n1"), (struct toc_ts){T0});
    put(h, (struct at){.id = "nccl_err", .host = "n2", .rank = 20, .after_ms = -500});
    put(h, (struct at){.id = "nv_xid",
                       .host = "n1",
                       .rank = -1,
                       .after_ms = 0,
                       .code = "79",
                       .device = "0000:3b:00"});
    put(h, (struct at){.id = "cuda_launch", .host = "n1", .rank = 8, .after_ms = 100});
    put(h, (struct at){.id = "nccl_err", .host = "n2", .rank = 21, .after_ms = 700});
    assert_int_equal(h->opened, 0);
    tick(h, 0, 4000);
    assert_int_equal(h->opened, 1);
    assert_string_equal(h->root, "nv_xid");
    assert_string_equal(h->owner, "hardware");
    assert_int_equal(h->kind, TOC_KIND_XID);
    assert_true(h->confidence >= 0.85);
    assert_string_equal(h->title,
                        "GPU has fallen off the bus (XID 79: GPU has fallen off the bus): "
                        "GPU 0000:3b:00 on n1, run j");
    assert_int_equal(h->cascades, 2);
    /* The collective gives up ten minutes later: an echo, not news. */
    put(h, (struct at){.id = "nccl_watchdog",
                       .host = "n2",
                       .rank = 22,
                       .after_ms = 600500,
                       .lasted_ms = 600000});
    tick(h, 600000, 620000);
    assert_int_equal(h->opened, 1);
    assert_int_equal(h->lines, 5);
    tick(h, 620000, 620000 + 900000);
    assert_int_equal(h->over, 1);
    stop(h);
}

static void an_exception_in_one_rank_explains_the_aborts_of_the_others(void **state) {
    struct heard *h = start(NONE);
    (void)state;
    for (int r = 0; r < 64; r++)
        if (r != 5)
            put(h, (struct at){.id = "nccl_watchdog",
                               .host = "n2",
                               .rank = r,
                               .after_ms = 1000 + r,
                               .lasted_ms = 30000});
    put(h, (struct at){.id = "py_error", .host = "n1", .rank = 5, .after_ms = 0});
    put(h, (struct at){.id = "nv_xid",
                       .host = "n1",
                       .rank = -1,
                       .after_ms = 9000,
                       .code = "43"}); /* the driver tidies up */
    tick(h, 0, 12000);
    assert_int_equal(h->opened, 1);
    assert_string_equal(h->root, "py_error");
    assert_string_equal(h->owner, "job");
    assert_string_equal(h->title, "An exception ended a rank: rank 5 on n1, run j");
    stop(h);
}

static void application_xids_never_reach_the_hardware_team(void **state) {
    static const char *const codes[] = {"13", "31", "43", "45", "63", "68", "92", "94", "109"};
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(codes); i++) {
        struct heard *h = start(NONE);
        put(h, (struct at){.id = "nv_xid",
                           .host = "n1",
                           .rank = -1,
                           .after_ms = 0,
                           .code = codes[i],
                           .device = "0000:3b:00"});
        tick(h, 0, 5000);
        if (h->opened)
            assert_string_not_equal(h->owner, "hardware");
        assert_true(!h->opened || h->severity < TOC_SEVERITY_CRITICAL);
        stop(h);
    }
}

static void the_word_of_the_line_decides_for_nvlink5(void **state) {
    struct heard *h = start(NONE);
    (void)state;
    put(h, (struct at){.id = "nv_xid",
                       .host = "n1",
                       .rank = -1,
                       .after_ms = 0,
                       .code = "149",
                       .word = "Nonfatal"});
    tick(h, 0, 5000);
    assert_int_equal(h->opened, 0);
    put(h, (struct at){.id = "nv_xid",
                       .host = "n1",
                       .rank = -1,
                       .after_ms = 6000,
                       .code = "149",
                       .word = "Fatal",
                       .device = "x"});
    tick(h, 6000, 10000);
    assert_int_equal(h->opened, 1);
    assert_int_equal(h->kind, TOC_KIND_NVLINK);
    stop(h);
}

static void killed_stays_unknown_until_the_oom_killer_names_the_process(void **state) {
    struct heard *h = start(NONE);
    (void)state;
    toc_failures_member(h->failures, TOC_SV("j"), 3, TOC_SV("n1"), (struct toc_ts){T0});
    put(h, (struct at){.id = "killed", .host = "n1", .rank = 3, .after_ms = 0, .pid = 4242});
    put(h, (struct at){.id = "nccl_err", .host = "n2", .rank = 9, .after_ms = 900});
    tick(h, 0, 60000);
    assert_int_equal(h->opened, 0); /* echoes alone never open */
    put(h, (struct at){.id = "host_oom", .host = "n1", .rank = -1, .after_ms = 61000, .pid = 4242});
    tick(h, 61000, 66000);
    assert_int_equal(h->opened, 1);
    assert_int_equal(h->kind, TOC_KIND_OOM_KILL);
    assert_true(h->confidence >= 0.9);
    stop(h);
}

static void echoes_without_a_root_are_unexplained_in_the_end(void **state) {
    struct heard *h = start(NONE);
    (void)state;
    put(h, (struct at){.id = "nccl_err", .host = "n2", .rank = 9, .after_ms = 0});
    put(h,
        (struct at){.id = "elastic_fail", .host = "n2", .rank = 9, .after_ms = 100, .code = "-9"});
    tick(h, 0, 200000);
    assert_int_equal(h->opened, 0);
    assert_int_equal(h->over, 1);
    assert_int_equal(h->state, TOC_FAILURE_UNEXPLAINED);
    assert_int_equal(toc_failures_counters(h->failures).unexplained, 1);
    stop(h);
}

static void a_few_warnings_are_no_failure(void **state) {
    struct heard *h = start(NONE);
    (void)state;
    put(h, (struct at){.id = "thermal", .host = "n1", .rank = -1, .after_ms = 0});
    put(h, (struct at){.id = "amp_overflow", .host = "n2", .rank = 3, .after_ms = 100});
    put(h, (struct at){.id = "nv_xid", .host = "n3", .rank = -1, .after_ms = 200, .code = "31"});
    tick(h, 0, 300000);
    toc_failures_finish(h->failures, (struct toc_ts){T0 + 301000});
    assert_int_equal(h->opened + h->over, 0);
    assert_int_equal(toc_failures_counters(h->failures).unexplained, 0);
    stop(h);
}

static void the_silent_rank_is_named(void **state) {
    struct heard *h = start(NONE);
    (void)state;
    for (int r = 0; r < 16; r++)
        toc_failures_member(h->failures, TOC_SV("j"), r, r < 8 ? TOC_SV("n1") : TOC_SV("n2"),
                            (struct toc_ts){T0});
    for (int r = 0; r < 16; r++)
        if (r != 11)
            put(h, (struct at){.id = "nccl_watchdog",
                               .host = r < 8 ? "n1" : "n2",
                               .rank = r,
                               .after_ms = 600000 + r,
                               .lasted_ms = 600000});
    tick(h, 600000, 612000);
    assert_int_equal(h->opened, 1);
    assert_int_equal(h->kind, TOC_KIND_HANG);
    assert_string_equal(h->title, "A collective did not finish: rank 11 on n2, run j");
    stop(h);
}

static void a_restart_starts_another_failure(void **state) {
    struct heard *h = start(NONE);
    (void)state;
    put(h, (struct at){.id = "cuda_oom", .host = "n1", .rank = 3, .after_ms = 0});
    put(h, (struct at){.id = "cuda_oom", .host = "n1", .rank = 3, .after_ms = 10});
    tick(h, 0, 5000);
    assert_int_equal(h->opened, 1);
    put(h, (struct at){.id = "elastic_restart", .host = "n1", .rank = -1, .after_ms = 10000});
    put(h, (struct at){.id = "elastic_restart", .host = "n2", .rank = -1, .after_ms = 11000});
    tick(h, 10000, 20000);
    put(h, (struct at){.id = "cuda_oom", .host = "n1", .rank = 3, .after_ms = 30000});
    tick(h, 30000, 35000);
    assert_int_equal(h->opened, 2);
    tick(h, 35000, 72000);
    assert_int_equal(h->over, 1); /* the first: the job went on */
    stop(h);
}

static void a_later_root_raises_the_severity_and_opens_nothing(void **state) {
    struct heard *h = start(NONE);
    (void)state;
    toc_failures_member(h->failures, TOC_SV("j"), 3, TOC_SV("n1"), (struct toc_ts){T0});
    put(h, (struct at){.id = "nv_xid",
                       .host = "n1",
                       .rank = -1,
                       .after_ms = 0,
                       .code = "94",
                       .device = "0000:3b:00"});
    tick(h, 0, 5000);
    assert_int_equal(h->opened, 1);
    assert_int_equal(h->severity, TOC_SEVERITY_WARNING);
    put(h, (struct at){.id = "py_error", .host = "n2", .rank = 9, .after_ms = 60000});
    tick(h, 60000, 63000);
    assert_int_equal(h->opened, 1);
    assert_true(h->changed >= 1);
    assert_int_equal(h->severity, TOC_SEVERITY_CRITICAL);
    assert_string_equal(h->root, "nv_xid");
    stop(h);
}

static void two_jobs_are_two_failures(void **state) {
    struct heard *h = start(NONE);
    (void)state;
    put(h, (struct at){.id = "cuda_oom", .host = "n1", .rank = 3, .after_ms = 0, .job = "a"});
    put(h, (struct at){.id = "py_error", .host = "n2", .rank = 3, .after_ms = 10, .job = "b"});
    tick(h, 0, 5000);
    assert_int_equal(h->opened, 2);
    stop(h);
}

static void a_host_and_its_job_become_one(void **state) {
    struct heard *h = start(NONE);
    (void)state;
    /* Nobody knows yet that the job runs on n1. */
    put(h, (struct at){.id = "nv_xid",
                       .host = "n1",
                       .rank = -1,
                       .after_ms = 0,
                       .code = "79",
                       .device = "0000:3b:00"});
    put(h, (struct at){.id = "nccl_err", .host = "n2", .rank = 20, .after_ms = 500});
    put(h, (struct at){.id = "cuda_launch", .host = "n1", .rank = 8, .after_ms = 900});
    tick(h, 0, 6000);
    assert_int_equal(h->opened, 1);
    assert_string_equal(h->root, "nv_xid");
    assert_int_equal(h->lines, 3);
    stop(h);
}

static void what_changed_before_is_a_cause(void **state) {
    struct heard *h = start(NONE);
    (void)state;
    toc_failures_change(h->failures, TOC_SV("j"), (struct toc_ts){T0 - 240000},
                        TOC_SV("image 1.8 deployed"));
    toc_failures_change(h->failures, TOC_SV("other"), (struct toc_ts){T0 - 1000}, TOC_SV("no"));
    toc_failures_change(h->failures, TOC_SV(""), (struct toc_ts){T0 - 7200000}, TOC_SV("old"));
    put(h, (struct at){.id = "py_error", .host = "n1", .rank = 5, .after_ms = 0});
    tick(h, 0, 4000);
    assert_string_equal(h->causes, "An exception ended a rank: rank 5 on n1;"
                                   "Changed 4m0s before: image 1.8 deployed;");
    stop(h);
}

static void memory_is_bounded_and_drops_are_counted(void **state) {
    struct heard *h = start((struct toc_failure_limits){
        .failures_max = 4, .signs_max = 8, .jobs_max = 3, .members_max = 16});
    char job[16], host[16];
    (void)state;
    for (int j = 0; j < 10; j++) {
        snprintf(job, sizeof job, "job%d", j);
        put(h, (struct at){.id = "py_error", .host = "n1", .rank = 0, .after_ms = 0, .job = job});
    }
    for (int r = 0; r < 100; r++) {
        snprintf(host, sizeof host, "h%d", r);
        put(h, (struct at){
                   .id = "py_error", .host = host, .rank = r, .after_ms = 1000 - r, .job = "job0"});
    }
    struct toc_failures_counters c = toc_failures_counters(h->failures);
    assert_int_equal(c.hits, 110);
    assert_int_equal(c.dropped_failures, 6);
    assert_true(c.dropped_signs > 0 && c.dropped_jobs > 0 && c.dropped_members > 0);
    toc_failures_finish(h->failures, (struct toc_ts){T0 + 10000});
    assert_int_equal(h->opened, 4);
    stop(h);
}

static void a_bad_rule_is_refused_with_row_and_column(void **state) {
    static const struct {
        const char *text;
        int line, column;
    } cases[] = {
        {"#\na\tb\n", 2, 1},
        {"\toom\t1\t1\t-\t-\tjob\tt\ta\n", 1, 1},
        {"a\tmoon\t1\t1\t-\t-\tjob\tt\ta\n", 1, 2},
        {"a\toom\t10\t1\t-\t-\tjob\tt\ta\n", 1, 3},
        {"a\toom\t1\tx\t-\t-\tjob\tt\ta\n", 1, 4},
        {"a\toom\t1\t1\t\t-\tjob\tt\ta\n", 1, 5},
        {"a\toom\t1\t1\t-\t-\tjob\t\ta\n", 1, 8},
        {"a\toom\t1\t1\t-\t-\tjob\tt\ta\na\toom\t1\t1\t-\t-\tjob\tt\ta\n", 2, 1},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_failure_rules *r = NULL;
        struct toc_err err = {0};
        assert_true(toc_failure_rules_parse(toc_sv_cstr(cases[i].text), &r, &err) < 0);
        assert_null(r);
        assert_int_equal(err.line, cases[i].line);
        assert_int_equal(err.column, cases[i].column);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_signature_has_a_rule_and_every_rule_a_use),
        cmocka_unit_test(a_gpu_off_the_bus_explains_the_errors_of_the_job),
        cmocka_unit_test(an_exception_in_one_rank_explains_the_aborts_of_the_others),
        cmocka_unit_test(application_xids_never_reach_the_hardware_team),
        cmocka_unit_test(the_word_of_the_line_decides_for_nvlink5),
        cmocka_unit_test(killed_stays_unknown_until_the_oom_killer_names_the_process),
        cmocka_unit_test(echoes_without_a_root_are_unexplained_in_the_end),
        cmocka_unit_test(a_few_warnings_are_no_failure),
        cmocka_unit_test(the_silent_rank_is_named),
        cmocka_unit_test(a_restart_starts_another_failure),
        cmocka_unit_test(a_later_root_raises_the_severity_and_opens_nothing),
        cmocka_unit_test(two_jobs_are_two_failures),
        cmocka_unit_test(a_host_and_its_job_become_one),
        cmocka_unit_test(what_changed_before_is_a_cause),
        cmocka_unit_test(memory_is_bounded_and_drops_are_counted),
        cmocka_unit_test(a_bad_rule_is_refused_with_row_and_column),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
