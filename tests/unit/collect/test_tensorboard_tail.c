#include "recording_sink.h"

#include "../../tfevents_writer.h"
#include "collect/tensorboard_tail.h"
#include "sys/env.h"

struct fixture {
    char dir[128];
    struct recording_sink sink;
    struct toc_alias_table *aliases;
    struct toc_run_receiver *receiver;
    struct toc_run_dirs *dirs;
    struct toc_tensorboard_tail *tail;
    struct toc_vfs *vfs;
    struct toc_buf bytes;
    int64_t now_ms;
};

static void make_tail(struct fixture *f) {
    toc_tensorboard_tail_free(&f->tail);
    f->tail = toc_tensorboard_tail_new(&(struct toc_tensorboard_tail_options){
        .receiver = f->receiver, .aliases = f->aliases, .max_files = 8});
}

static int setup(void **state) {
    struct fixture *f = TOC_NEW(struct fixture);
    const char *dirs[] = {f->dir};
    f->vfs = toc_vfs_system();
    snprintf(f->dir, sizeof f->dir, "/tmp/toc-tb-%lld", (long long)toc_process_id());
    assert_int_equal(toc_vfs_make_dirs(f->vfs, f->dir), 0);
    recording_init(&f->sink);
    f->receiver = toc_run_receiver_new(&(struct toc_run_receiver_options){.sink = &f->sink.base});
    f->dirs = toc_run_dirs_new(&(struct toc_run_dirs_options){.dirs = dirs, .dir_count = 1});
    assert_int_equal(toc_alias_table_builtin(&f->aliases, NULL), 0);
    make_tail(f);
    f->now_ms = 1700000100000;
    *state = f;
    return 0;
}

static void remove_tree(struct fixture *f) {
    struct toc_run_dirs_listing l = toc_run_dirs_list(f->dirs);
    for (size_t i = 0; i < l.count; i++)
        f->vfs->remove(f->vfs, l.files[i].path);
    static const char *const folders[] = {"/a/train", "/a/validation", "/a", "/b", ""};
    for (size_t i = 0; i < TOC_ARRAY_LEN(folders); i++) {
        char path[256];
        snprintf(path, sizeof path, "%s%s", f->dir, folders[i]);
        f->vfs->remove(f->vfs, path);
    }
}

static int teardown(void **state) {
    struct fixture *f = *state;
    toc_tensorboard_tail_free(&f->tail);
    toc_run_receiver_free(&f->receiver);
    recording_fini(&f->sink);
    remove_tree(f);
    toc_run_dirs_free(&f->dirs);
    toc_alias_table_free(&f->aliases);
    toc_buf_fini(&f->bytes);
    toc_free(f);
    return 0;
}

static void write_bytes(struct fixture *f, const char *name, struct toc_sv bytes, unsigned flags) {
    char path[512], folder[512];
    struct toc_file *file;
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    toc_sv_copy(toc_sv_make(path, (size_t)(strrchr(path, '/') - path)), folder, sizeof folder);
    assert_int_equal(toc_vfs_make_dirs(f->vfs, folder), 0);
    assert_int_equal(toc_file_open(f->vfs, path, TOC_OPEN_WRITE | TOC_OPEN_CREATE | flags, &file),
                     0);
    assert_int_equal(f->vfs->append(f->vfs, file, bytes.p, bytes.n), (int64_t)bytes.n);
    toc_file_close(f->vfs, &file);
}

/* Appends what is in f->bytes. */
static void append(struct fixture *f, const char *name) {
    write_bytes(f, name, toc_buf_sv(&f->bytes), TOC_OPEN_APPEND);
    toc_buf_reset(&f->bytes);
}

static int poll_once(struct fixture *f) {
    struct toc_err err = {0};
    struct toc_run_dirs_listing l = toc_run_dirs_list(f->dirs);
    return toc_tensorboard_tail_poll(f->tail, &l, (struct toc_ts){f->now_ms += 1000}, &err);
}

/* Two: what is gathered is given when a file has not grown. */
static int poll(struct fixture *f) {
    recording_clear(&f->sink);
    int rc = poll_once(f);
    return rc ? rc : poll_once(f);
}

static const char FILE_A[] = "a/events.out.tfevents.1700000000.host.1.0";

static void begin_file(struct fixture *f, double wall) {
    struct toc_buf event = TOC_BUF_INIT;
    toc_pb_put_double(&event, 1, wall);
    toc_pb_put_bytes(&event, 3, TOC_SV("brain.Event:2"));
    tfw_record(&f->bytes, toc_buf_sv(&event));
    toc_buf_fini(&event);
}

static void scalar(struct fixture *f, double wall, int64_t step, const char *tag, float v) {
    tfw_scalar(&f->bytes, wall, step, tag, v);
}

static void a_growing_file_is_followed_at_every_byte(void **state) {
    struct fixture *f = *state;
    begin_file(f, 1700000000);
    scalar(f, 1700000001, 1, "train/loss", 2);
    scalar(f, 1700000002, 2, "train/loss", 1.5f);
    struct toc_buf whole = f->bytes;
    f->bytes = TOC_BUF_INIT;
    double last = -1;
    for (size_t i = 0; i < whole.n; i++) {
        write_bytes(f, FILE_A, toc_sv_make(whole.p + i, 1), TOC_OPEN_APPEND);
        assert_int_equal(poll_once(f), 0);
        const struct recorded *r = recorded_last(&f->sink, "train_loss{run=\"a\"}");
        assert_true(!r || r->value == 2 || r->value == 1.5);
        last = r ? r->value : last;
    }
    assert_int_equal(poll_once(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"a\"}", 1.5);
    assert_recorded(&f->sink, "train_step{run=\"a\"}", 2);
    assert_int_equal(recorded_count(&f->sink, "train_loss{run=\"a\"}"), 2);
    assert_int_equal(recorded_last(&f->sink, "train_loss{run=\"a\"}")->t_ms, 1700000002000);
    assert_int_equal(toc_tensorboard_tail_counters(f->tail).records_damaged, 0);
    toc_buf_fini(&whole);
}

static void folders_are_runs_and_a_folder_named_validation_is_one(void **state) {
    struct fixture *f = *state;
    scalar(f, 1700000001, 1, "epoch_loss", 2);
    append(f, "a/train/events.out.tfevents.1");
    scalar(f, 1700000001, 1, "epoch_loss", 3);
    append(f, "a/validation/events.out.tfevents.1");
    scalar(f, 1700000001, 1, "loss", 4);
    append(f, "events.out.tfevents.1");
    assert_int_equal(poll(f), 0);
    char root[256];
    snprintf(root, sizeof root, "train_loss{run=\"%s\"}", strrchr(f->dir, '/') + 1);
    assert_recorded(&f->sink, "train_loss{run=\"a/train\"}", 2);
    assert_recorded(&f->sink, "train_val_loss{run=\"a/validation\"}", 3);
    assert_recorded(&f->sink, root, 4);
    assert_int_equal(toc_tensorboard_tail_counters(f->tail).runs, 3);
}

static void a_restart_of_the_daemon_goes_on_where_it_was(void **state) {
    struct fixture *f = *state;
    struct toc_buf saved = TOC_BUF_INIT;
    begin_file(f, 1700000000);
    scalar(f, 1700000001, 1, "train_loss_step", 2);
    scalar(f, 1700000001.1, 1, "train_loss_epoch", 2.5f);
    scalar(f, 1700000002, 2, "train_loss_step", 1.5f);
    append(f, FILE_A);
    assert_int_equal(poll_once(f), 0); /* step 2 is still gathered */
    toc_tensorboard_tail_save(f->tail, &saved);
    make_tail(f);
    assert_int_equal(toc_tensorboard_tail_restore(f->tail, toc_buf_sv(&saved)), 0);
    scalar(f, 1700000003, 3, "train_loss_step", 1);
    append(f, FILE_A);
    assert_int_equal(poll(f), 0);
    assert_int_equal(recorded_count(&f->sink, "train_loss{run=\"a\"}"), 2); /* steps 2 and 3 */
    assert_recorded(&f->sink, "train_loss{run=\"a\"}", 1);
    assert_int_equal(toc_tensorboard_tail_counters(f->tail).restarts, 0);
    for (size_t i = 0; i < saved.n; i++) {
        saved.p[i] ^= 1;
        make_tail(f);
        assert_int_equal(toc_tensorboard_tail_restore(f->tail, toc_buf_sv(&saved)), TOC_ECORRUPT);
        saved.p[i] ^= 1;
    }
    toc_buf_fini(&saved);
}

static void what_the_store_refused_is_sent_again_and_not_saved_as_done(void **state) {
    struct fixture *f = *state;
    struct toc_buf saved = TOC_BUF_INIT;
    scalar(f, 1700000001, 1, "loss", 2);
    append(f, FILE_A);
    assert_int_equal(poll_once(f), 0);
    f->sink.fail_with = TOC_ENOSPC;
    assert_int_equal(poll_once(f), TOC_ENOSPC);
    toc_tensorboard_tail_save(f->tail, &saved);
    assert_int_equal(saved.n, 0); /* nothing was saved before */
    scalar(f, 1700000002, 2, "loss", 3);
    append(f, FILE_A);
    f->sink.fail_with = 0;
    assert_int_equal(poll(f), 0);
    assert_int_equal(recorded_count(&f->sink, "train_loss{run=\"a\"}"), 2);
    toc_tensorboard_tail_save(f->tail, &saved);
    assert_true(saved.n > 0);
    toc_buf_fini(&saved);
}

static void a_file_that_was_cut_or_replaced_is_read_anew(void **state) {
    struct fixture *f = *state;
    scalar(f, 1700000001, 1, "loss", 2);
    scalar(f, 1700000002, 2, "loss", 2);
    append(f, FILE_A);
    assert_int_equal(poll(f), 0);
    scalar(f, 1700000003, 3, "loss", 7);
    write_bytes(f, FILE_A, toc_buf_sv(&f->bytes), TOC_OPEN_TRUNCATE);
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"a\"}", 7);
    assert_int_equal(toc_tensorboard_tail_counters(f->tail).files_restarted, 1);
}

static void damage_costs_its_record_and_never_gives_a_value(void **state) {
    struct fixture *f = *state;
    scalar(f, 1700000001, 1, "loss", 2);
    size_t second = f->bytes.n;
    scalar(f, 1700000002, 2, "loss", 99);
    scalar(f, 1700000003, 3, "loss", 3);
    f->bytes.p[second + 20] ^= 0x10;
    append(f, FILE_A);
    assert_int_equal(poll(f), 0);
    assert_int_equal(recorded_count(&f->sink, "train_loss{run=\"a\"}"), 2);
    assert_recorded(&f->sink, "train_loss{run=\"a\"}", 3);
    assert_int_equal(toc_tensorboard_tail_counters(f->tail).records_damaged, 1);
}

static void zeros_at_the_end_wait_for_their_bytes(void **state) {
    struct fixture *f = *state;
    char path[256], zeros[400] = {0};
    struct toc_file *file;
    scalar(f, 1700000001, 1, "loss", 2);
    size_t at = f->bytes.n;
    toc_buf_append(&f->bytes, zeros, sizeof zeros);
    append(f, FILE_A);
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"a\"}", 2);
    scalar(f, 1700000002, 2, "loss", 5);
    snprintf(path, sizeof path, "%s/%s", f->dir, FILE_A);
    assert_int_equal(toc_file_open(f->vfs, path, TOC_OPEN_WRITE, &file), 0);
    assert_int_equal(f->vfs->pwrite(f->vfs, file, f->bytes.p, f->bytes.n, at), f->bytes.n);
    toc_file_close(f->vfs, &file);
    toc_buf_reset(&f->bytes);
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"a\"}", 5);
    assert_int_equal(toc_tensorboard_tail_counters(f->tail).records_damaged, 0);
}

static void too_many_files_are_counted_and_left_alone(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++) {
        char name[64];
        snprintf(name, sizeof name, "b/events.out.tfevents.%d", i);
        scalar(f, 1700000001 + i * 10, i, "loss", (float)i);
        append(f, name);
    }
    assert_int_equal(poll(f), 0);
    assert_int_equal(toc_tensorboard_tail_counters(f->tail).files, 8);
    assert_int_equal(toc_tensorboard_tail_counters(f->tail).files_over_limit, 2);
}

static void what_is_gone_is_forgotten_after_its_last_step_was_told(void **state) {
    struct fixture *f = *state;
    char path[256];
    scalar(f, 1700000001, 1, "loss", 2);
    append(f, FILE_A);
    assert_int_equal(poll_once(f), 0);
    snprintf(path, sizeof path, "%s/%s", f->dir, FILE_A);
    f->vfs->remove(f->vfs, path);
    assert_int_equal(poll_once(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"a\"}", 2);
    assert_int_equal(toc_tensorboard_tail_counters(f->tail).files, 0);
    assert_int_equal(toc_tensorboard_tail_counters(f->tail).runs, 0);
    assert_int_equal(toc_tensorboard_tail_counters(f->tail).scalars, 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_growing_file_is_followed_at_every_byte),
        TEST(folders_are_runs_and_a_folder_named_validation_is_one),
        TEST(a_restart_of_the_daemon_goes_on_where_it_was),
        TEST(what_the_store_refused_is_sent_again_and_not_saved_as_done),
        TEST(a_file_that_was_cut_or_replaced_is_read_anew),
        TEST(damage_costs_its_record_and_never_gives_a_value),
        TEST(zeros_at_the_end_wait_for_their_bytes),
        TEST(too_many_files_are_counted_and_left_alone),
        TEST(what_is_gone_is_forgotten_after_its_last_step_was_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
