/* Real processes that end in different ways, watched through a real run receiver. */
#include "recording_sink.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collect/process_watch.h"
#include "sys/process.h"

enum { NOW = 1700000000 };

struct fixture {
    struct recording_sink sink;
    struct toc_run_listener listener;
    struct toc_run_receiver *runs;
    struct toc_process_watch *watch;
    char message[300];
    int events;
    enum toc_run_state state;
    int64_t now_ms, rank;
};

static struct fixture *g_fixture;

static void on_event(struct toc_run_listener *l, const struct toc_run_event *e) {
    (void)l;
    if (e->kind != TOC_RUN_EVENT_EXIT)
        return;
    g_fixture->events++;
    g_fixture->rank = e->rank;
    g_fixture->state = e->state;
    toc_sv_copy(e->message, g_fixture->message, sizeof g_fixture->message);
}

static void start_watch(struct fixture *f, const char *root, size_t max) {
    toc_process_watch_free(&f->watch);
    f->watch = toc_process_watch_new(&(struct toc_process_watch_options){
        .receiver = f->runs, .host = "here", .root = root, .max = max});
}

static int setup(void **state) {
    struct fixture *f = TOC_NEW(struct fixture);
    recording_init(&f->sink);
    f->listener.on_event = on_event;
    f->runs = toc_run_receiver_new(
        &(struct toc_run_receiver_options){.sink = &f->sink.base, .listener = &f->listener});
    f->now_ms = NOW * 1000LL;
    start_watch(f, NULL, 0);
    g_fixture = f;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    toc_process_watch_free(&f->watch);
    toc_run_receiver_free(&f->runs);
    recording_fini(&f->sink);
    toc_free(f);
    return 0;
}

/* A child that waits to be told how to end. */
static pid_t child(int code) {
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGUSR1, SIG_DFL);
        if (code < 0)
            pause();
        _exit(code);
    }
    assert_true(pid > 0);
    return pid;
}

static void tell_run(struct fixture *f, const char *host, pid_t pid, const char *rest) {
    char line[300];
    snprintf(line, sizeof line,
             "{\"step\":7,\"rank\":0,\"labels\":{\"host\":\"%s\",\"pid\":\"%d\"}%s}", host,
             (int)pid, rest);
    struct toc_run_body body = {.run = TOC_SV("r"), .bytes = toc_sv_cstr(line)};
    struct toc_err err = {0};
    assert_int_equal(toc_run_receiver_put(f->runs, &body, (struct toc_ts){f->now_ms}, &err), 0);
}

static void poll_times(struct fixture *f, int times) {
    for (int i = 0; i < times; i++) {
        struct toc_err err = {0};
        f->now_ms += 1000;
        assert_int_equal(toc_process_watch_poll(f->watch, (struct toc_ts){f->now_ms}, &err), 0);
    }
}

static void a_killed_process_is_told_at_the_second_poll(void **state) {
    struct fixture *f = *state;
    pid_t pid = child(-1);
    tell_run(f, "here", pid, "");
    poll_times(f, 3);
    assert_int_equal(f->events, 0);
    assert_int_equal(toc_process_watch_counters(f->watch).watched, 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    poll_times(f, 2);
    assert_int_equal(f->events, 1);
    assert_int_equal(f->state, TOC_RUN_FAILED);
    /* with Linux 6.15 the signal is known, before that its end alone */
    assert_true(strstr(f->message, "signal SIGKILL") || strstr(f->message, "without goodbye"));
    poll_times(f, 5);
    assert_int_equal(f->events, 1);
    assert_recorded(&f->sink, "train_run_state{run=\"r\"}", 3);
    assert_int_equal(toc_process_watch_counters(f->watch).ended, 1);
}

static void a_run_that_says_its_end_is_left_alone(void **state) {
    struct fixture *f = *state;
    pid_t pid = child(-1);
    tell_run(f, "here", pid, "");
    poll_times(f, 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    poll_times(f, 1); /* its end is seen; its last words come meanwhile */
    tell_run(f, "here", pid, ",\"event\":\"end\"");
    poll_times(f, 3);
    assert_int_equal(f->events, 0);
    assert_int_equal(toc_process_watch_counters(f->watch).watched, 0);
}

static void an_exit_code_is_exact_where_the_kernel_tells_it(void **state) {
    struct fixture *f = *state;
    pid_t pid = child(-1);
    int fd = -1;
    if (toc_process_hold(pid, &fd) < 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        print_message("no descriptors of processes here\n");
        skip();
    }
    tell_run(f, "here", pid, "");
    poll_times(f, 1);
    kill(pid, SIGUSR1);
    waitpid(pid, NULL, 0);
    assert_true(toc_process_held_has_ended(fd));
    bool is_told = toc_process_held_ending(fd).is_known;
    toc_process_release(&fd);
    poll_times(f, 2);
    assert_int_equal(f->events, 1);
    if (is_told)
        assert_non_null(strstr(f->message, "signal SIGUSR1 (process"));
    else
        assert_non_null(strstr(f->message, "disappeared without goodbye"));
}

static void another_machines_and_unseen_processes_are_not_judged(void **state) {
    struct fixture *f = *state;
    pid_t pid = child(0);
    waitpid(pid, NULL, 0);
    tell_run(f, "here", pid, ""); /* it may live in a container with numbers of its own */
    poll_times(f, 3);
    pid = child(-1);
    tell_run(f, "elsewhere", pid, "");
    poll_times(f, 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    poll_times(f, 3);
    assert_int_equal(f->events, 0);
}

static void a_new_process_takes_the_place_of_the_old(void **state) {
    struct fixture *f = *state;
    pid_t first = child(-1), second = child(-1);
    tell_run(f, "here", first, "");
    poll_times(f, 1);
    tell_run(f, "here", second, ",\"event\":\"start\"");
    kill(first, SIGKILL);
    waitpid(first, NULL, 0);
    poll_times(f, 4);
    assert_int_equal(f->events, 0);
    kill(second, SIGKILL);
    waitpid(second, NULL, 0);
    poll_times(f, 2);
    assert_int_equal(f->events, 1);
}

static void write_text(const char *root, const char *path, const char *text) {
    char full[400];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *p = full + strlen(root) + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            mkdir(full, 0700);
            *p = '/';
        }
    FILE *out = fopen(full, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

/* The kernel's own files are made up; the process that is killed is real. */
static void a_kill_for_memory_is_told_from_other_kills(void **state) {
    struct fixture *f = *state;
    char root[] = "/tmp/tocsin-watch-XXXXXX", path[80], command[100];
    assert_non_null(mkdtemp(root));
    pid_t pid = child(-1);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    write_text(root, path, "9 (a ) b) S 1 9 9 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4242 0 0\n");
    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    write_text(root, path, "0::/job.slice/train\n");
    write_text(root, "/proc/vmstat", "pgfault 5\noom_kill 3\n");
    write_text(root, "/sys/fs/cgroup/job.slice/train/memory.events", "low 0\noom 0\noom_kill 0\n");
    start_watch(f, root, 0);
    tell_run(f, "here", pid, "");
    poll_times(f, 2);
    write_text(root, "/sys/fs/cgroup/job.slice/train/memory.events", "low 0\noom 1\noom_kill 1\n");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    snprintf(path, sizeof path, "%s/proc/%d/stat", root, (int)pid);
    remove(path);
    poll_times(f, 2);
    assert_int_equal(f->events, 1);
    assert_non_null(strstr(f->message, "out of memory"));
    assert_non_null(strstr(f->message, "its control group"));
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

static void what_finds_no_room_is_counted(void **state) {
    struct fixture *f = *state;
    start_watch(f, NULL, 2);
    for (int rank = 0; rank < 5; rank++) {
        char line[200];
        snprintf(line, sizeof line, "{\"rank\":%d,\"labels\":{\"host\":\"here\",\"pid\":\"%d\"}}",
                 rank, (int)getpid());
        struct toc_run_body body = {.run = TOC_SV("r"), .bytes = toc_sv_cstr(line)};
        struct toc_err err = {0};
        assert_int_equal(toc_run_receiver_put(f->runs, &body, (struct toc_ts){f->now_ms}, &err), 0);
    }
    poll_times(f, 1);
    assert_int_equal(toc_process_watch_counters(f->watch).watched, 2);
    assert_int_equal(toc_process_watch_counters(f->watch).over_limit, 3);
}

static void a_job_reports_its_exit_exactly(void **state) {
    (void)state;
    static const struct {
        const char *script, *text;
    } jobs[] = {{"exit 0", "exit code 0"},
                {"exit 41", "exit code 41"},
                {"kill -SEGV $$", "signal SIGSEGV"},
                {"kill -KILL $$", "signal SIGKILL"}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(jobs); i++) {
        const char *argv[] = {"sh", "-c", jobs[i].script, NULL};
        struct toc_process p;
        char text[TOC_ENDING_TEXT_MAX];
        assert_int_equal(toc_job_start(argv, &p), 0);
        toc_ending_text(toc_job_wait(&p), text);
        assert_string_equal(text, jobs[i].text);
    }
    const char *missing[] = {"/no/such/program", NULL};
    struct toc_process p;
    assert_int_equal(toc_job_start(missing, &p), TOC_ENOENT);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_killed_process_is_told_at_the_second_poll),
        T(a_run_that_says_its_end_is_left_alone),
        T(an_exit_code_is_exact_where_the_kernel_tells_it),
        T(another_machines_and_unseen_processes_are_not_judged),
        T(a_new_process_takes_the_place_of_the_old),
        T(a_kill_for_memory_is_told_from_other_kills),
        T(what_finds_no_room_is_counted),
        T(a_job_reports_its_exit_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
