#include "recording_sink.h"

#include "collect/run_tail.h"
#include "sys/env.h"

struct fixture {
    char dir[128];
    struct recording_sink sink;
    struct toc_run_receiver *receiver;
    struct toc_run_tail *tail;
    struct toc_vfs *vfs;
    int64_t now_ms;
};

static void make_tail(struct fixture *f) {
    const char *dirs[] = {f->dir};
    f->tail = toc_run_tail_new(
        &(struct toc_run_tail_options){.receiver = f->receiver, .dirs = dirs, .dir_count = 1});
}

static int setup(void **state) {
    struct fixture *f = TOC_NEW(struct fixture);
    f->vfs = toc_vfs_system();
    snprintf(f->dir, sizeof f->dir, "/tmp/toc-tail-%lld", (long long)toc_process_id());
    assert_int_equal(toc_vfs_make_dirs(f->vfs, f->dir), 0);
    recording_init(&f->sink);
    f->receiver = toc_run_receiver_new(&(struct toc_run_receiver_options){.sink = &f->sink.base});
    make_tail(f);
    f->now_ms = 1700000100000;
    *state = f;
    return 0;
}

static int remove_name(void *ctx, const char *name) {
    struct fixture *f = ctx;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    f->vfs->remove(f->vfs, path);
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    toc_run_tail_free(&f->tail);
    toc_run_receiver_free(&f->receiver);
    recording_fini(&f->sink);
    f->vfs->list(f->vfs, f->dir, remove_name, f);
    f->vfs->remove(f->vfs, f->dir);
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
    recording_clear(&f->sink);
    return toc_run_tail_poll(f->tail, (struct toc_ts){f->now_ms += 1000}, &err);
}

static void a_line_is_taken_once_its_newline_is_there(void **state) {
    struct fixture *f = *state;
    append(f, "a.jsonl", "{\"t\":1700000000,\"loss\":1}\n{\"t\":1700000001,\"lo");
    append(f, "notes.txt", "{\"t\":1700000000,\"loss\":9}\n");
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"a\"}", 1);
    assert_int_equal(poll(f), 0);
    assert_int_equal(f->sink.points.count, 0);
    append(f, "a.jsonl", "ss\":2}\n");
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"a\"}", 2);
    assert_int_equal(recorded_count(&f->sink, "train_loss{run=\"a\"}"), 1);
}

static void csv_rows_keep_their_header(void **state) {
    struct fixture *f = *state;
    append(f, "b.csv", "t,loss\n1700000000,1\n");
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"b\"}", 1);
    append(f, "b.csv", "1700000001,2\nbad,row,here\n1700000002,3\n");
    assert_int_equal(poll(f), 0);
    assert_int_equal(recorded_count(&f->sink, "train_loss{run=\"b\"}"), 2);
    struct toc_run_tail_counters c = toc_run_tail_counters(f->tail);
    assert_int_equal(c.lines_skipped, 1);
    assert_non_null(strstr(c.last_error, "line 4"));
}

static void a_bad_line_costs_itself_only(void **state) {
    struct fixture *f = *state;
    append(f, "a.jsonl",
           "{\"t\":1700000000,\"loss\":1}\nnot json\n{\"t\":1700000001,\"loss\":2}\n");
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"a\"}", 2);
    assert_int_equal(toc_run_tail_counters(f->tail).lines_skipped, 1);
}

static void truncation_and_replacement_start_again(void **state) {
    struct fixture *f = *state;
    append(f, "a.jsonl", "{\"t\":1700000000,\"loss\":1}\n{\"t\":1700000001,\"loss\":2}\n");
    assert_int_equal(poll(f), 0);
    write_text(f, "a.jsonl", "{\"t\":1700000002,\"loss\":3}\n", TOC_OPEN_TRUNCATE);
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"a\"}", 3);
}

static void a_rotated_file_is_not_read_again(void **state) {
    struct fixture *f = *state;
    char from[300], to[300];
    append(f, "a.jsonl", "{\"t\":1700000000,\"loss\":1}\n");
    assert_int_equal(poll(f), 0);
    snprintf(from, sizeof from, "%s/a.jsonl", f->dir);
    snprintf(to, sizeof to, "%s/a-1.jsonl", f->dir);
    assert_int_equal(f->vfs->rename(f->vfs, from, to), 0);
    append(f, "a.jsonl", "{\"t\":1700000001,\"loss\":2}\n");
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"a\"}", 2);
    assert_null(recorded_last(&f->sink, "train_loss{run=\"a-1\"}"));
}

static void offsets_survive_a_restart(void **state) {
    struct fixture *f = *state;
    append(f, "a.jsonl", "{\"t\":1700000000,\"loss\":1}\n");
    append(f, "b.csv", "t,loss\n1700000000,1\n");
    assert_int_equal(poll(f), 0);
    struct toc_buf saved = TOC_BUF_INIT;
    toc_run_tail_save(f->tail, &saved);
    toc_run_tail_free(&f->tail);
    make_tail(f);
    saved.p[6] ^= 1;
    assert_int_equal(toc_run_tail_restore(f->tail, toc_buf_sv(&saved)), TOC_ECORRUPT);
    saved.p[6] ^= 1;
    assert_int_equal(toc_run_tail_restore(f->tail, toc_buf_sv(&saved)), 0);
    assert_int_equal(poll(f), 0);
    assert_int_equal(f->sink.points.count, 0);
    append(f, "b.csv", "1700000001,2\n");
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"b\"}", 2);
    toc_buf_fini(&saved);
}

static void a_refusing_store_loses_nothing(void **state) {
    struct fixture *f = *state;
    append(f, "a.jsonl", "{\"t\":1700000000,\"loss\":1}\n");
    f->sink.fail_with = TOC_ENOSPC;
    assert_int_equal(poll(f), TOC_ENOSPC);
    f->sink.fail_with = 0;
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"a\"}", 1);
}

static void an_endless_line_is_left_and_counted(void **state) {
    struct fixture *f = *state;
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_printf(&b, "%*s", 700000, "x");
    append(f, "a.jsonl", toc_buf_cstr(&b));
    assert_int_equal(poll(f), 0);
    append(f, "a.jsonl", "\n{\"t\":1700000001,\"loss\":2}\n");
    assert_int_equal(poll(f), 0);
    assert_int_equal(poll(f), 0);
    assert_int_equal(toc_run_tail_counters(f->tail).lines_skipped, 1);
    append(f, "a.jsonl", "{\"t\":1700000002,\"loss\":3}\n");
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"a\"}", 3);
    toc_buf_fini(&b);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_line_is_taken_once_its_newline_is_there),
        T(csv_rows_keep_their_header),
        T(a_bad_line_costs_itself_only),
        T(truncation_and_replacement_start_again),
        T(a_rotated_file_is_not_read_again),
        T(offsets_survive_a_restart),
        T(a_refusing_store_loses_nothing),
        T(an_endless_line_is_left_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
