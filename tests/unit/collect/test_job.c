/* What schedulers say about jobs: every version's form is read, and runs hear of the ends. */
#include "recording_sink.h"

#include "collect/job_watch.h"

enum { NOW_S = 1700000000 };

/* ------------------------------------------------------------------------------------------------
 * reading */

struct reading {
    struct toc_arena arena;
    struct toc_jobs jobs;
    struct toc_err err;
};

static int read_slurm(struct reading *r, const char *text) {
    *r = (struct reading){0};
    toc_arena_init(&r->arena, 64 << 20);
    return toc_jobs_of_slurm(toc_sv_cstr(text), &r->arena, &r->jobs, &r->err);
}

static int read_pods(struct reading *r, const char *items) {
    struct toc_buf page = TOC_BUF_INIT, next = TOC_BUF_INIT;
    *r = (struct reading){0};
    toc_arena_init(&r->arena, 64 << 20);
    toc_buf_printf(&page, "{\"metadata\":{\"continue\":\"more\"},\"items\":[%s]}", items);
    int rc = toc_jobs_of_kubernetes(toc_buf_sv(&page), &r->arena, &r->jobs, &next, &r->err);
    if (rc == 0)
        assert_string_equal(toc_buf_cstr(&next), "more");
    toc_buf_fini(&page);
    toc_buf_fini(&next);
    return rc;
}

static void reading_fini(struct reading *r) {
    TOC_VEC_FINI(&r->jobs);
    toc_arena_fini(&r->arena);
}

#define assert_text(sv, text) assert_true(toc_sv_eq_cstr((sv), (text)))

static void slurm_of_every_version_is_read(void **state) {
    (void)state;
    static const struct {
        const char *members;
        enum toc_job_state want;
        int64_t code, signal;
    } cases[] = {
        /* 21.08: texts and plain numbers; the exit code is the status of wait(2) */
        {"\"job_state\":\"FAILED\",\"exit_code\":256,\"end_time\":1700000000", TOC_JOB_FAILED, 1,
         0},
        {"\"job_state\":\"FAILED\",\"exit_code\":9,\"end_time\":1700000000", TOC_JOB_FAILED, 0, 9},
        /* 23.02 and 23.11: lists and objects */
        {"\"job_state\":[\"FAILED\"],\"exit_code\":{\"status\":[\"ERROR\"],\"return_code\":"
         "{\"set\":true,\"infinite\":false,\"number\":3}},\"end_time\":{\"set\":true,"
         "\"infinite\":false,\"number\":1700000000}",
         TOC_JOB_FAILED, 3, 0},
        {"\"job_state\":[\"NODE_FAIL\"],\"exit_code\":{\"status\":[\"SIGNALED\"],\"return_code\":"
         "{\"set\":false,\"number\":0},\"signal\":{\"id\":{\"set\":true,\"number\":15},\"name\":"
         "\"TERM\"}},\"end_time\":{\"set\":true,\"number\":1700000000}",
         TOC_JOB_NODE_FAILED, 0, 15},
        {"\"job_state\":[\"OUT_OF_MEMORY\",\"COMPLETING\"],\"exit_code\":{\"return_code\":"
         "{\"set\":true,\"number\":0},\"signal\":{\"signal_id\":9}},\"end_time\":1700000000",
         TOC_JOB_OUT_OF_MEMORY, 0, 9},
        {"\"job_state\":[\"TIMEOUT\"],\"exit_code\":0,\"end_time\":1700000000", TOC_JOB_TIMED_OUT,
         0, 0},
        {"\"job_state\":[\"PREEMPTED\"],\"exit_code\":0,\"end_time\":1700000000", TOC_JOB_PREEMPTED,
         0, 0},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct reading r;
        char text[700];
        snprintf(text, sizeof text,
                 "{\"jobs\":[{\"job_id\":17,\"name\":\"llm\",%s}],\"errors\":[]}",
                 cases[i].members);
        assert_int_equal(read_slurm(&r, text), 0);
        assert_int_equal(r.jobs.count, 1);
        const struct toc_job *j = &r.jobs.items[0];
        assert_text(j->id, "17");
        assert_int_equal(j->state, cases[i].want);
        assert_int_equal(j->end.state, cases[i].want);
        assert_int_equal(j->end.exit_code, cases[i].code);
        assert_int_equal(j->end.signal, cases[i].signal);
        assert_int_equal(j->end.at_ms, NOW_S * 1000LL);
        reading_fini(&r);
    }
}

static void slurm_says_what_a_job_waits_for_and_until_when_it_may_run(void **state) {
    struct reading r;
    (void)state;
    assert_int_equal(
        read_slurm(&r,
                   "{\"jobs\":[{\"job_id\":{\"set\":true,\"number\":1},\"job_state\":[\"PENDING\"],"
                   "\"state_reason\":\"Resources\",\"nodes\":\"\"},"
                   "{\"job_id\":2,\"job_state\":[\"RUNNING\"],\"partition\":\"gpu\",\"user_name\":"
                   "\"ann\",\"nodes\":\"g[1-2]\",\"start_time\":1700000000,\"end_time\":"
                   "1700003600},{\"job_id\":3,\"job_state\":[\"SUSPENDED\"]},"
                   "{\"job_id\":4,\"job_state\":[\"COMPLETING\"]},{\"name\":\"no id\"}]}"),
        0);
    assert_int_equal(r.jobs.count, 4);
    assert_int_equal(r.jobs.left_out, 1);
    assert_int_equal(r.jobs.items[0].state, TOC_JOB_PENDING);
    assert_text(r.jobs.items[0].reason, "Resources");
    assert_int_equal(r.jobs.items[1].deadline_ms - r.jobs.items[1].started_ms, 3600000);
    assert_text(r.jobs.items[1].nodes, "g[1-2]");
    assert_int_equal(r.jobs.items[2].state, TOC_JOB_SUSPENDED);
    assert_int_equal(r.jobs.items[3].state, TOC_JOB_RUNNING); /* it holds its nodes */
    reading_fini(&r);
}

static void a_requeued_job_tells_how_its_last_life_ended(void **state) {
    struct reading r;
    (void)state;
    assert_int_equal(
        read_slurm(&r,
                   "{\"jobs\":["
                   "{\"job_id\":1,\"job_state\":[\"PENDING\"],\"restart_cnt\":1,\"preempt_time\":"
                   "1700000000},"
                   "{\"job_id\":2,\"job_state\":[\"PENDING\",\"REQUEUED\"],\"restart_cnt\":2,"
                   "\"preempt_time\":{\"set\":false,\"number\":0},\"failed_node\":\"g7\"},"
                   "{\"job_id\":3,\"job_state\":[\"RUNNING\"],\"restart_cnt\":1}]}"),
        0);
    assert_int_equal(r.jobs.items[0].last.state, TOC_JOB_PREEMPTED);
    assert_int_equal(r.jobs.items[1].last.state, TOC_JOB_NODE_FAILED);
    assert_text(r.jobs.items[1].last.reason, "g7");
    assert_int_equal(r.jobs.items[2].last.state, TOC_JOB_REQUEUED);
    reading_fini(&r);
}

static void slurm_that_says_no_is_an_error_with_its_words(void **state) {
    struct reading r;
    (void)state;
    assert_int_equal(read_slurm(&r, "{\"errors\":[{\"description\":\"controller is down\"}]}"),
                     TOC_EUNAVAILABLE);
    assert_non_null(strstr(r.err.message, "controller is down"));
    reading_fini(&r);
    assert_int_equal(read_slurm(&r, "{}"), TOC_EPARSE);
    reading_fini(&r);
    assert_true(read_slurm(&r, "no json") < 0);
    reading_fini(&r);
}

#define POD(meta, spec, status)                                                                  \
    "{\"metadata\":{\"name\":\"w-0\",\"namespace\":\"train\",\"uid\":\"u1\"" meta "},\"spec\":{" \
    "\"nodeName\":\"n1\"" spec "},\"status\":{" status "}}"
#define TERMINATED(code, reason)                                                      \
    "\"terminated\":{\"exitCode\":" code ",\"reason\":\"" reason "\",\"finishedAt\":" \
    "\"2023-11-14T22:13:20Z\"}"
#define DISRUPTED(reason)                                                                          \
    "\"conditions\":[{\"type\":\"DisruptionTarget\",\"status\":\"True\",\"reason\":\"" reason "\"" \
    "}]"

static void pods_say_how_they_ended(void **state) {
    (void)state;
    static const struct {
        const char *pod;
        enum toc_job_state want;
        int64_t code;
    } cases[] = {
        {POD("", "", "\"phase\":\"Succeeded\""), TOC_JOB_COMPLETED, 0},
        {POD("", "",
             "\"phase\":\"Failed\",\"containerStatuses\":[{\"state\":{" TERMINATED("1",
                                                                                   "Error") "}}]"),
         TOC_JOB_FAILED, 1},
        {POD("", "",
             "\"phase\":\"Failed\",\"containerStatuses\":[{\"state\":{" TERMINATED(
                 "0", "Completed") "}},"
                                   "{\"state\":{" TERMINATED("137", "OOMKilled") "}}]"),
         TOC_JOB_OUT_OF_MEMORY, 137},
        {POD("", "", "\"phase\":\"Failed\",\"reason\":\"Evicted\",\"message\":\"low on memory\""),
         TOC_JOB_EVICTED, 0},
        {POD("", "", "\"phase\":\"Failed\",\"reason\":\"DeadlineExceeded\""), TOC_JOB_TIMED_OUT, 0},
        {POD("", "",
             "\"phase\":\"Failed\"," DISRUPTED("PreemptionByScheduler") ",\"containerStatuses\":[{"
                                                                        "\"state\":{" TERMINATED(
                                                                            "143", "Error") "}}]"),
         TOC_JOB_PREEMPTED, 143},
        {POD("", "", "\"phase\":\"Failed\"," DISRUPTED("DeletionByTaintManager")),
         TOC_JOB_NODE_FAILED, 0},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct reading r;
        assert_int_equal(read_pods(&r, cases[i].pod), 0);
        assert_int_equal(r.jobs.count, 1);
        assert_text(r.jobs.items[0].id, "train/w-0");
        assert_int_equal(r.jobs.items[0].state, cases[i].want);
        assert_int_equal(r.jobs.items[0].end.exit_code, cases[i].code);
        reading_fini(&r);
    }
}

static const char restarted[] =
    POD(",\"labels\":{\"batch.kubernetes.io/job-name\":\"llm\"}", ",\"activeDeadlineSeconds\":60",
        "\"phase\":\"Running\",\"startTime\":\"2023-11-14T22:13:20Z\",\"containerStatuses\":[{"
        "\"restartCount\":2,\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},"
        "\"lastState\":{" TERMINATED("137", "OOMKilled") "}}]");
static const char unscheduled[] =
    POD("", "",
        "\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\","
        "\"reason\":\"Unschedulable\"}]");
static const char deleted[] =
    POD(",\"deletionTimestamp\":\"2023-11-14T22:13:20Z\"", "", "\"phase\":\"Running\"");
static const char preempted[] =
    POD("", "", "\"phase\":\"Running\"," DISRUPTED("PreemptionByScheduler"));

static void pods_that_live_tell_restarts_reasons_and_owner(void **state) {
    struct reading r;
    char items[2000];
    (void)state;
    snprintf(items, sizeof items, "%s,%s,%s,%s", restarted, unscheduled, deleted, preempted);
    assert_int_equal(read_pods(&r, items), 0);
    const struct toc_job *j = r.jobs.items;
    assert_int_equal(j[0].state, TOC_JOB_RUNNING);
    assert_int_equal(j[0].restarts, 2);
    assert_text(j[0].name, "llm");
    assert_text(j[0].reason, "CrashLoopBackOff");
    assert_int_equal(j[0].last.state, TOC_JOB_OUT_OF_MEMORY);
    assert_int_equal(j[0].last.at_ms, NOW_S * 1000LL);
    assert_int_equal(j[0].deadline_ms, (NOW_S + 60) * 1000LL);
    assert_int_equal(j[1].state, TOC_JOB_PENDING);
    assert_text(j[1].reason, "Unschedulable");
    assert_int_equal(j[2].end.state, TOC_JOB_CANCELLED);
    assert_int_equal(j[3].end.state, TOC_JOB_PREEMPTED);
    reading_fini(&r);
}

/* ------------------------------------------------------------------------------------------------
 * following */

struct fixture {
    struct recording_sink sink;
    struct toc_run_listener listener;
    struct toc_run_receiver *runs;
    struct toc_job_watch *watch;
    char message[400], run[64];
    int events;
    int64_t rank, now_ms;
    enum toc_run_state state;
};
static struct fixture *g_fixture;

static void on_event(struct toc_run_listener *l, const struct toc_run_event *e) {
    (void)l;
    if (e->kind != TOC_RUN_EVENT_JOB)
        return;
    g_fixture->events++;
    g_fixture->rank = e->rank;
    g_fixture->state = e->state;
    toc_sv_copy(e->message, g_fixture->message, sizeof g_fixture->message);
    toc_sv_copy(e->run, g_fixture->run, sizeof g_fixture->run);
}

static int setup(void **state) {
    struct fixture *f = TOC_NEW(struct fixture);
    recording_init(&f->sink);
    f->listener.on_event = on_event;
    f->runs = toc_run_receiver_new(
        &(struct toc_run_receiver_options){.sink = &f->sink.base, .listener = &f->listener});
    f->watch = toc_job_watch_new(f->runs, &f->sink.base);
    f->now_ms = NOW_S * 1000LL;
    g_fixture = f;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    toc_job_watch_free(&f->watch);
    toc_run_receiver_free(&f->runs);
    recording_fini(&f->sink);
    toc_free(f);
    return 0;
}

static void tell_run(struct fixture *f, const char *run, const char *members) {
    char line[400];
    snprintf(line, sizeof line, "{\"step\":7%s}", members);
    struct toc_run_body body = {.run = toc_sv_cstr(run), .bytes = toc_sv_cstr(line)};
    struct toc_err err = {0};
    assert_int_equal(toc_run_receiver_put(f->runs, &body, (struct toc_ts){f->now_ms}, &err), 0);
}

static void take_slurm(struct fixture *f, const char *jobs) {
    struct reading r;
    char text[1000];
    f->now_ms += 15000;
    snprintf(text, sizeof text, "{\"jobs\":[%s]}", jobs);
    assert_int_equal(read_slurm(&r, text), 0);
    assert_int_equal(toc_job_watch_take(f->watch, 0, TOC_SCHEDULER_SLURM, &r.jobs,
                                        (struct toc_ts){f->now_ms}, &r.err),
                     0);
    reading_fini(&r);
}

static void take_pods(struct fixture *f, const char *items) {
    struct reading r;
    f->now_ms += 15000;
    assert_int_equal(read_pods(&r, items), 0);
    assert_int_equal(toc_job_watch_take(f->watch, 1, TOC_SCHEDULER_KUBERNETES, &r.jobs,
                                        (struct toc_ts){f->now_ms}, &r.err),
                     0);
    reading_fini(&r);
}

#define JOB(state, more)                                                                         \
    "{\"job_id\":17,\"name\":\"llm\",\"partition\":\"gpu\",\"nodes\":\"g[1-2]\",\"job_state\":[" \
    "\"" state "\"]" more "}"

static void a_preempted_job_ends_its_run_once(void **state) {
    struct fixture *f = *state;
    tell_run(f, "r", ",\"rank\":0,\"labels\":{\"slurm_job_id\":\"17\"}");
    tell_run(f, "other", ",\"labels\":{\"slurm_job_id\":\"18\"}");
    take_slurm(f, JOB("RUNNING", ""));
    assert_int_equal(f->events, 0);
    assert_recorded(&f->sink,
                    "train_job_state{job_id=\"17\", job_name=\"llm\", partition=\"gpu\", "
                    "run=\"r\", scheduler=\"slurm\"}",
                    1);
    take_slurm(f, JOB("PREEMPTED", ",\"end_time\":1700000029"));
    assert_int_equal(f->events, 1);
    assert_string_equal(f->run, "r");
    assert_string_equal(f->message, "preempted: Slurm job 17 (llm) on g[1-2] was preempted");
    assert_int_equal(f->state, TOC_RUN_FAILED);
    assert_recorded(&f->sink, "train_run_state{run=\"r\"}", 3);
    take_slurm(f, JOB("PREEMPTED", ",\"end_time\":1700000029"));
    assert_int_equal(f->events, 1);
    take_slurm(f, JOB("PENDING", ",\"restart_cnt\":1,\"preempt_time\":1700000029"));
    assert_int_equal(f->events, 1); /* that end was told */
    assert_recorded(&f->sink, "train_run_state{run=\"other\"}", 1);
}

static void an_end_between_two_lists_is_told_from_the_restart(void **state) {
    struct fixture *f = *state;
    tell_run(f, "r", ",\"labels\":{\"slurm_job_id\":\"17\"}");
    take_slurm(f, JOB("RUNNING", ""));
    take_slurm(f, "{\"job_id\":17,\"name\":\"llm\",\"nodes\":\"\",\"job_state\":[\"PENDING\"],"
                  "\"restart_cnt\":1,"
                  "\"failed_node\":\"g2\"}");
    assert_int_equal(f->events, 1);
    assert_string_equal(f->message, "node_failed: Slurm job 17 (llm) on g[1-2] lost its node: g2");
    assert_recorded(
        &f->sink,
        "train_job_restarts_total{job_id=\"17\", job_name=\"llm\", run=\"r\", scheduler=\"slurm\"}",
        1);
}

static void a_next_life_is_not_ended_by_the_one_before(void **state) {
    struct fixture *f = *state;
    tell_run(f, "r", ",\"labels\":{\"pod\":\"w-0\"}");
    take_pods(f, POD("", "", "\"phase\":\"Running\",\"containerStatuses\":[{\"restartCount\":0}]"));
    f->now_ms += 60000;
    tell_run(f, "r", ""); /* long after 22:13:20 */
    take_pods(f, POD("", "",
                     "\"phase\":\"Running\",\"containerStatuses\":[{\"restartCount\":1,"
                     "\"lastState\":{" TERMINATED("137", "OOMKilled") "}}]"));
    assert_int_equal(f->events, 1);
    assert_int_equal(f->state, TOC_RUN_RUNNING);
    assert_non_null(strstr(f->message,
                           "out_of_memory: pod train/w-0 on n1 ran out of memory and was "
                           "killed (exit code 137)"));
}

static void a_run_that_ended_well_stays_so(void **state) {
    struct fixture *f = *state;
    tell_run(f, "r", ",\"labels\":{\"slurm_job_id\":\"17\"}");
    take_slurm(f, JOB("RUNNING", ""));
    tell_run(f, "r", ",\"event\":\"end\"");
    take_slurm(f, JOB("FAILED", ",\"exit_code\":256"));
    assert_int_equal(f->events, 1);
    assert_int_equal(f->state, TOC_RUN_FINISHED);
}

static void what_ended_before_we_looked_is_told_to_who_seems_to_run(void **state) {
    struct fixture *f = *state;
    tell_run(f, "alive", ",\"labels\":{\"slurm_job_id\":\"17\"}");
    tell_run(f, "over", ",\"event\":\"error\",\"labels\":{\"slurm_job_id\":\"17\"}");
    take_slurm(f, JOB("NODE_FAIL", ",\"failed_node\":\"g2\""));
    assert_int_equal(f->events, 1);
    assert_string_equal(f->run, "alive");
}

static void a_cancelled_job_is_an_end_that_somebody_wanted(void **state) {
    struct fixture *f = *state;
    tell_run(f, "r", ",\"labels\":{\"slurm_job_id\":\"17\"}");
    take_slurm(f, JOB("RUNNING", ""));
    take_slurm(f, JOB("CANCELLED", ""));
    assert_int_equal(f->state, TOC_RUN_FINISHED);
}

static void a_suspended_job_pauses_its_run(void **state) {
    struct fixture *f = *state;
    tell_run(f, "r", ",\"labels\":{\"slurm_job_id\":\"17\"}");
    take_slurm(f, JOB("RUNNING", ""));
    take_slurm(f, JOB("SUSPENDED", ""));
    assert_int_equal(f->state, TOC_RUN_PAUSED);
    take_slurm(f, JOB("SUSPENDED", ""));
    take_slurm(f, JOB("RUNNING", ""));
    assert_int_equal(f->events, 2);
    assert_int_equal(f->state, TOC_RUN_RUNNING);
}

static void pods_are_joined_by_host_name_and_uid_and_their_removal_is_told(void **state) {
    struct fixture *f = *state;
    tell_run(f, "r", ",\"rank\":0,\"labels\":{\"host\":\"elsewhere\",\"pid\":\"1\"}");
    tell_run(f, "r", ",\"rank\":3,\"labels\":{\"host\":\"w-0\",\"pid\":\"1\"}");
    take_pods(f, POD("", "", "\"phase\":\"Running\"," DISRUPTED("PreemptionByScheduler")));
    assert_int_equal(f->events, 0); /* it may still save */
    take_pods(f, "");
    assert_int_equal(f->events, 1);
    assert_int_equal(f->rank, 3);
    assert_string_equal(f->message, "preempted: pod train/w-0 on n1 was preempted");
    tell_run(f, "s", "");
    toc_run_receiver_note_job(f->runs, TOC_SV("s"), 0, TOC_SV("kubernetes/u1"));
    take_pods(f, POD("", "", "\"phase\":\"Running\""));
    take_pods(f, "");
    assert_string_equal(f->run, "s");
    assert_true(toc_sv_starts_with(toc_sv_cstr(f->message), TOC_SV("vanished: ")));
    assert_int_equal(f->state, TOC_RUN_RUNNING); /* nobody knows */
}

static void what_could_not_be_told_is_told_with_the_next_list(void **state) {
    struct fixture *f = *state;
    struct reading r;
    tell_run(f, "r", ",\"labels\":{\"slurm_job_id\":\"17\"}");
    take_slurm(f, JOB("RUNNING", ""));
    f->sink.fail_with = TOC_EUNAVAILABLE;
    assert_int_equal(read_slurm(&r, "{\"jobs\":[" JOB("TIMEOUT", "") "]}"), 0);
    assert_true(toc_job_watch_take(f->watch, 0, TOC_SCHEDULER_SLURM, &r.jobs,
                                   (struct toc_ts){f->now_ms + 1000}, &r.err) < 0);
    reading_fini(&r);
    assert_int_equal(f->events, 0);
    f->sink.fail_with = 0;
    take_slurm(f, JOB("TIMEOUT", ""));
    assert_int_equal(f->events, 1);
    assert_int_equal(toc_job_watch_counters(f->watch).events, 1);
}

static void a_source_that_fails_keeps_its_jobs(void **state) {
    struct fixture *f = *state;
    struct toc_err err = {0};
    take_slurm(f, JOB("RUNNING", ""));
    recording_clear(&f->sink);
    assert_int_equal(toc_job_watch_fail(f->watch, 0, TOC_SCHEDULER_SLURM,
                                        (struct toc_ts){f->now_ms + 1000}, &err),
                     0);
    assert_int_equal(f->sink.points.count, 1); /* no end of the job's series */
    assert_recorded(&f->sink, "tocsin_job_source_up{scheduler=\"slurm\", source=\"0\"}", 0);
    assert_int_equal(toc_job_watch_counters(f->watch).failures, 1);
    recording_clear(&f->sink);
    assert_int_equal(toc_job_watch_fail(f->watch, 1, TOC_SCHEDULER_KUBERNETES,
                                        (struct toc_ts){f->now_ms + 1010}, &err),
                     0);
    assert_int_equal(f->sink.points.count, 1); /* nor that of another source */
}

int main(void) {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slurm_of_every_version_is_read),
        cmocka_unit_test(slurm_says_what_a_job_waits_for_and_until_when_it_may_run),
        cmocka_unit_test(a_requeued_job_tells_how_its_last_life_ended),
        cmocka_unit_test(slurm_that_says_no_is_an_error_with_its_words),
        cmocka_unit_test(pods_say_how_they_ended),
        cmocka_unit_test(pods_that_live_tell_restarts_reasons_and_owner),
        WITH(a_preempted_job_ends_its_run_once),
        WITH(an_end_between_two_lists_is_told_from_the_restart),
        WITH(a_next_life_is_not_ended_by_the_one_before),
        WITH(a_run_that_ended_well_stays_so),
        WITH(what_ended_before_we_looked_is_told_to_who_seems_to_run),
        WITH(a_cancelled_job_is_an_end_that_somebody_wanted),
        WITH(a_suspended_job_pauses_its_run),
        WITH(pods_are_joined_by_host_name_and_uid_and_their_removal_is_told),
        WITH(what_could_not_be_told_is_told_with_the_next_list),
        WITH(a_source_that_fails_keeps_its_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
