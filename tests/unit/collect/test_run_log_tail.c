#include "recording_sink.h"

#include "collect/run_log_tail.h"
#include "sys/env.h"

struct fixture {
    char dir[128];
    struct recording_sink sink;
    struct toc_alias_table *aliases;
    struct toc_run_log_table *table;
    struct toc_run_receiver *receiver;
    struct toc_run_dirs *dirs;
    struct toc_run_log_tail *tail;
    struct toc_vfs *vfs;
};

static void make_tail(struct fixture *f) {
    toc_run_log_tail_free(&f->tail);
    f->tail = toc_run_log_tail_new(&(struct toc_run_log_tail_options){.receiver = f->receiver,
                                                                      .sink = &f->sink.base,
                                                                      .table = f->table,
                                                                      .aliases = f->aliases,
                                                                      .is_utc = true,
                                                                      .max_files = 4});
}

static int setup(void **state) {
    struct fixture *f = TOC_NEW(struct fixture);
    const char *dirs[] = {f->dir};
    f->vfs = toc_vfs_system();
    snprintf(f->dir, sizeof f->dir, "/tmp/toc-log-%lld", (long long)toc_process_id());
    assert_int_equal(toc_vfs_make_dirs(f->vfs, f->dir), 0);
    recording_init(&f->sink);
    f->receiver = toc_run_receiver_new(&(struct toc_run_receiver_options){.sink = &f->sink.base});
    f->dirs = toc_run_dirs_new(&(struct toc_run_dirs_options){.dirs = dirs, .dir_count = 1});
    assert_int_equal(toc_alias_table_builtin(&f->aliases, NULL), 0);
    assert_int_equal(toc_run_log_table_builtin(&f->table, NULL), 0);
    make_tail(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    struct toc_run_dirs_listing l = toc_run_dirs_list(f->dirs);
    for (size_t i = 0; i < l.count; i++)
        f->vfs->remove(f->vfs, l.files[i].path);
    f->vfs->remove(f->vfs, f->dir);
    toc_run_log_tail_free(&f->tail);
    toc_run_receiver_free(&f->receiver);
    recording_fini(&f->sink);
    toc_run_dirs_free(&f->dirs);
    toc_alias_table_free(&f->aliases);
    toc_run_log_table_free(&f->table);
    toc_free(f);
    return 0;
}

static void write_text(struct fixture *f, const char *name, const char *text, unsigned flags) {
    char path[512];
    struct toc_file *file;
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    assert_int_equal(toc_file_open(f->vfs, path, TOC_OPEN_WRITE | TOC_OPEN_CREATE | flags, &file),
                     0);
    assert_int_equal(f->vfs->append(f->vfs, file, text, strlen(text)), (int64_t)strlen(text));
    toc_file_close(f->vfs, &file);
}
static void append(struct fixture *f, const char *name, const char *text) {
    write_text(f, name, text, TOC_OPEN_APPEND);
}

static int poll(struct fixture *f) {
    struct toc_err err = {0};
    struct toc_run_dirs_listing l = toc_run_dirs_list(f->dirs);
    recording_clear(&f->sink);
    return toc_run_log_tail_poll(f->tail, &l, (struct toc_ts){1900000000000}, &err);
}

static void logs_are_runs_and_other_files_are_left_alone(void **state) {
    struct fixture *f = *state;
    append(f, "gpt.log", "2023-11-14 22:13:20 iter 5: loss 2.5, time 10.00ms\nhello\n");
    append(f, "b.out", "{'loss': 0.0, 'grad_norm': nan, 'learning_rate': 5e-05, 'epoch': 0.12}\n");
    append(f, "c.md", "iter 5: loss 2.5, time 10.00ms\n");
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"gpt\"}", 2.5);
    assert_int_equal(recorded_last(&f->sink, "train_loss{run=\"gpt\"}")->t_ms, 1700000000000);
    assert_recorded(&f->sink, "train_loss{run=\"b\"}", 0);
    assert_recorded(&f->sink, "train_grad_norm{run=\"b\"}", NAN);
    assert_recorded(&f->sink, "train_nonfinite_total{kind=\"grad\", run=\"b\"}", 1);
    assert_int_equal(toc_run_log_tail_counters(f->tail).files, 2);
    assert_int_equal(toc_run_log_tail_counters(f->tail).lines_matched, 2);
}

static void a_missing_loss_of_megatron_reaches_the_counter(void **state) {
    struct fixture *f = *state;
    append(f, "m.log",
           " iteration 1/ 9 | lm loss: 2.0E+00 |\n iteration 2/ 9 | grad norm: nan |\n");
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_nonfinite_total{kind=\"missing\", run=\"m\"}", 1);
    append(f, "h.log", "{'loss': 1.0, 'step': 1}\n{'learning_rate': 1.0, 'step': 2}\n");
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_step{run=\"h\"}", 2);
    assert_recorded(&f->sink, "train_nonfinite_total{kind=\"missing\", run=\"h\"}", 0);
}

static void lines_of_a_server_become_its_series(void **state) {
    struct fixture *f = *state;
    append(
        f, "vllm.log",
        "INFO Engine 000: Avg prompt throughput: 12.3 tokens/s, Avg generation throughput: 456.7 "
        "tokens/s, Running: 8 reqs, Waiting: 2 reqs, GPU KV cache usage: 12.5%, Prefix cache hit "
        "rate: 50.0%\n");
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink,
                    "vllm:kv_cache_usage_perc{engine=\"000\", instance=\"vllm\", job=\"log\"}",
                    0.125);
    assert_int_equal(toc_run_log_tail_counters(f->tail).serve_reports, 1);
}

static void a_restart_of_the_daemon_goes_on_at_the_unfinished_line(void **state) {
    struct fixture *f = *state;
    struct toc_buf saved = TOC_BUF_INIT;
    append(f, "gpt.log", "iter 1: loss 2.5, time 10.00ms\niter 2: loss 1.5, ti");
    assert_int_equal(poll(f), 0);
    toc_run_log_tail_save(f->tail, &saved);
    make_tail(f);
    assert_int_equal(toc_run_log_tail_restore(f->tail, toc_buf_sv(&saved)), 0);
    append(f, "gpt.log", "me 10.00ms\n");
    assert_int_equal(poll(f), 0);
    assert_int_equal(recorded_count(&f->sink, "train_loss{run=\"gpt\"}"), 1);
    assert_recorded(&f->sink, "train_loss{run=\"gpt\"}", 1.5);
    for (size_t i = 0; i < saved.n; i++) {
        saved.p[i] ^= 1;
        make_tail(f);
        assert_int_equal(toc_run_log_tail_restore(f->tail, toc_buf_sv(&saved)), TOC_ECORRUPT);
        saved.p[i] ^= 1;
    }
    toc_buf_fini(&saved);
}

static void a_log_cut_to_nothing_is_read_from_its_start(void **state) {
    struct fixture *f = *state;
    append(f, "gpt.log", "iter 1: loss 2.5, time 10.00ms\niter 2: loss 2.5, time 10.00ms\n");
    assert_int_equal(poll(f), 0);
    write_text(f, "gpt.log", "iter 3: loss 0.5, time 1ms\n", TOC_OPEN_TRUNCATE);
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"gpt\"}", 0.5);
    assert_int_equal(toc_run_log_tail_counters(f->tail).files_restarted, 1);
}

static void what_the_store_refused_is_sent_again(void **state) {
    struct fixture *f = *state;
    append(f, "gpt.log", "iter 1: loss 2.5, time 10.00ms\n");
    f->sink.fail_with = TOC_ENOSPC;
    assert_int_equal(poll(f), TOC_ENOSPC);
    f->sink.fail_with = 0;
    assert_int_equal(poll(f), 0);
    assert_int_equal(recorded_count(&f->sink, "train_loss{run=\"gpt\"}"), 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(logs_are_runs_and_other_files_are_left_alone),
        TEST(a_missing_loss_of_megatron_reaches_the_counter),
        TEST(lines_of_a_server_become_its_series),
        TEST(a_restart_of_the_daemon_goes_on_at_the_unfinished_line),
        TEST(a_log_cut_to_nothing_is_read_from_its_start),
        TEST(what_the_store_refused_is_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
