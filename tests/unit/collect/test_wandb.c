/* Run files of Weights & Biases: framing, damage, what becomes of rows, and following them. */
#include "recording_sink.h"

#include <math.h>

#include "../../wandb_writer.h"
#include "collect/wandb_tail.h"
#include "sys/env.h"

enum { START_S = 1700000000 };

/* ------------------------------------------------------------------------------------- framing */

struct seen {
    size_t count, bytes;
    uint32_t crc;
};

static void on_record(void *ctx, struct toc_sv record) {
    struct seen *s = ctx;
    s->count++;
    s->bytes += record.n;
    s->crc = s->crc * 31 + toc_wandb_crc(0, record);
}

static void records_of_all_sizes_come_back_however_the_file_is_cut(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 32754, 32755, 32761, 65536, 200000, 5};
    struct toc_buf file = TOC_BUF_INIT;
    struct seen want = {0};
    wbw_begin(&file);
    for (size_t i = 0; i < TOC_ARRAY_LEN(sizes); i++) {
        struct toc_buf data = TOC_BUF_INIT;
        for (size_t k = 0; k < sizes[i]; k++)
            toc_buf_append_char(&data, (char)(k * 7 + i));
        wbw_record(&file, toc_buf_sv(&data));
        on_record(&want, toc_buf_sv(&data));
        toc_buf_fini(&data);
    }
    static const size_t cuts[] = {1, 7, 1000, 32768, 1 << 20};
    for (size_t c = 0; c < TOC_ARRAY_LEN(cuts); c++) {
        struct toc_wandb_log l = {0};
        struct seen got = {0};
        size_t done = 0;
        for (size_t end = 0; end < file.n;) {
            end = TOC_MIN(end + cuts[c], file.n);
            done += toc_wandb_log_push(&l, toc_sv_sub(toc_buf_sv(&file), done, end - done),
                                       on_record, &got);
        }
        assert_int_equal(done, file.n);
        assert_int_equal(got.count, want.count);
        assert_int_equal(got.bytes, want.bytes);
        assert_int_equal(got.crc, want.crc);
        assert_int_equal(l.counters.bad_crc + l.counters.bad_chunks + l.counters.torn, 0);
        toc_wandb_log_fini(&l);
    }
    toc_buf_fini(&file);
}

/* The checksum is that of zlib: CRC-32 of "123456789" is 0xcbf43926. */
static void the_checksum_is_crc32(void **state) {
    (void)state;
    assert_int_equal(toc_wandb_crc('1', TOC_SV("23456789")), 0xcbf43926u);
}

static void damage_costs_its_block_and_nothing_behind(void **state) {
    (void)state;
    struct toc_buf file = TOC_BUF_INIT;
    struct toc_wandb_log l = {0};
    struct seen got = {0};
    wbw_begin(&file);
    while (file.n < 3 * TOC_WANDB_BLOCK_BYTES)
        wbw_record(&file, TOC_SV("a record of some thirty bytes...."));
    file.p[40000] ^= 1; /* in the second block */
    size_t done = toc_wandb_log_push(&l, toc_buf_sv(&file), on_record, &got);
    assert_true(done + 40 > file.n);
    assert_int_equal(l.counters.bad_crc + l.counters.bad_chunks, 1);
    assert_true(l.counters.bytes_skipped < TOC_WANDB_BLOCK_BYTES);
    size_t whole = file.n / 40, lost = whole - got.count;
    assert_true(lost > 0 && lost < TOC_WANDB_BLOCK_BYTES / 40 + 2);
    toc_wandb_log_fini(&l);
    toc_buf_fini(&file);
}

static void other_files_are_told_from_run_files(void **state) {
    (void)state;
    assert_int_equal(toc_wandb_log_check_header(TOC_SV("\x7f"
                                                       "ELF\x02\x01\x01")),
                     TOC_EPARSE);
    assert_int_equal(toc_wandb_log_check_header(TOC_SV(":W&B")), TOC_ETRUNCATED);
    assert_int_equal(toc_wandb_log_check_header(toc_sv_make(":W&B\xe1\xbe\x09", 7)), TOC_EVERSION);
    assert_int_equal(toc_wandb_log_check_header(toc_sv_make(":W&B\xe1\xbe\0", 7)), 0);
}

/* ------------------------------------------------------------------------------------ following */

struct fixture {
    char dir[128];
    struct recording_sink sink;
    struct toc_alias_table *aliases;
    struct toc_run_receiver *receiver;
    struct toc_run_dirs *dirs;
    struct toc_wandb_tail *tail;
    struct toc_vfs *vfs;
    struct toc_buf file;
    size_t written;
    int64_t now_ms;
};

static void make_tail(struct fixture *f) {
    toc_wandb_tail_free(&f->tail);
    f->tail = toc_wandb_tail_new(
        &(struct toc_wandb_tail_options){.receiver = f->receiver, .aliases = f->aliases});
}

static int setup(void **state) {
    struct fixture *f = TOC_NEW(struct fixture);
    const char *dirs[] = {f->dir};
    f->vfs = toc_vfs_system();
    snprintf(f->dir, sizeof f->dir, "/tmp/toc-wandb-%lld", (long long)toc_process_id());
    assert_int_equal(toc_vfs_make_dirs(f->vfs, f->dir), 0);
    recording_init(&f->sink);
    f->receiver = toc_run_receiver_new(&(struct toc_run_receiver_options){.sink = &f->sink.base});
    f->dirs = toc_run_dirs_new(&(struct toc_run_dirs_options){.dirs = dirs, .dir_count = 1});
    assert_int_equal(toc_alias_table_builtin(&f->aliases, NULL), 0);
    make_tail(f);
    f->now_ms = (START_S + 1000) * 1000LL;
    wbw_begin(&f->file);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    struct toc_run_dirs_listing l = toc_run_dirs_list(f->dirs);
    for (size_t i = 0; i < l.count; i++)
        f->vfs->remove(f->vfs, l.files[i].path);
    f->vfs->remove(f->vfs, f->dir);
    toc_wandb_tail_free(&f->tail);
    toc_run_receiver_free(&f->receiver);
    recording_fini(&f->sink);
    toc_run_dirs_free(&f->dirs);
    toc_alias_table_free(&f->aliases);
    toc_buf_fini(&f->file);
    toc_free(f);
    return 0;
}

/* Writes what came to f->file since, less `held_back` bytes. */
static void write_on(struct fixture *f, size_t held_back) {
    char path[200];
    struct toc_file *file;
    size_t end = f->file.n - held_back, n = end - f->written;
    snprintf(path, sizeof path, "%s/run-abc.wandb", f->dir);
    assert_int_equal(
        toc_file_open(f->vfs, path, TOC_OPEN_WRITE | TOC_OPEN_CREATE | TOC_OPEN_APPEND, &file), 0);
    assert_int_equal(f->vfs->append(f->vfs, file, f->file.p + f->written, n), (int64_t)n);
    toc_file_close(f->vfs, &file);
    f->written = end;
}

static int poll(struct fixture *f) {
    struct toc_err err = {0};
    struct toc_run_dirs_listing l = toc_run_dirs_list(f->dirs);
    f->now_ms += 1000;
    return toc_wandb_tail_poll(f->tail, &l, (struct toc_ts){f->now_ms}, &err);
}

static void rows_become_reports_of_the_run(void **state) {
    struct fixture *f = *state;
    wbw_run(&f->file, "abc", "nice", START_S);
    for (int i = 0; i < 5; i++)
        wbw_row(&f->file, i, START_S + 10 + i, i == 3 ? "NaN" : "2.5");
    write_on(f, 0);
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_step{run=\"nice-abc\"}", 4);
    assert_recorded(&f->sink, "train_loss{run=\"nice-abc\"}", 2.5);
    assert_recorded(&f->sink, "train_tb_scalar{run=\"nice-abc\", tag=\"my.number\"}", 7);
    assert_recorded(&f->sink, "train_nonfinite_total{kind=\"loss\", run=\"nice-abc\"}", 1);
    const struct recorded *step = recorded_last(&f->sink, "train_step{run=\"nice-abc\"}");
    assert_int_equal(step->t_ms, (START_S + 14) * 1000LL);
    assert_non_null(
        recorded_last(&f->sink, "train_run_info{host=\"node-1\", model=\"tiny\", run=\"nice-abc\", "
                                "wandb_id=\"abc\", wandb_project=\"lab\"}"));
    struct toc_wandb_tail_counters c = toc_wandb_tail_counters(f->tail);
    assert_int_equal(c.values, 10);
    assert_int_equal(c.values_ignored, 5); /* pictures */
    assert_int_equal(c.records_damaged, 0);
    wbw_exit(&f->file, 3);
    write_on(f, 0);
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_run_state{run=\"nice-abc\"}", 3);
}

static void histograms_become_statistics_of_layers(void **state) {
    struct fixture *f = *state;
    struct toc_buf m = TOC_BUF_INIT;
    wbw_run(&f->file, "abc", "", START_S);
    wbw_item(&m, 1, "_step", "7");
    wbw_item(&m, 1, "_timestamp", "1700000009");
    wbw_item(&m, 1, "gradients/one.weight",
             "{\"_type\":\"histogram\",\"values\":[1,2,1],\"bins\":[-3,-1,1,3]}");
    wbw_item(&m, 1, "parameters/two.weight",
             "{\"_type\":\"histogram\",\"values\":[4,0,0,4],"
             "\"packedBins\":{\"min\":2,\"size\":0.5,\"count\":4}}");
    wbw_item(&m, 1, "parameters/one.weight",
             "{\"_type\":\"histogram\",\"values\":[2],\"bins\":[5,5]}");
    wbw_item(&m, 1, "gradients/three._type", "\"histogram\"");
    wbw_item(&m, 1, "gradients/three.packedBins.min", "0");
    wbw_item(&m, 1, "gradients/three.packedBins.size", "1");
    wbw_item(&m, 1, "gradients/three.packedBins.count", "2");
    wbw_item(&m, 1, "gradients/three.values", "[1,1]");
    /* What says nothing of a layer, and what is no histogram. */
    wbw_item(&m, 1, "lengths", "{\"_type\":\"histogram\",\"values\":[1],\"bins\":[0,1]}");
    wbw_item(&m, 1, "parameters/a", "{\"_type\":\"histogram\",\"values\":[1],\"bins\":[0]}");
    wbw_item(&m, 1, "parameters/b", "{\"_type\":\"histogram\",\"values\":[1],\"bins\":[1,0]}");
    wbw_item(&m, 1, "parameters/c", "{\"_type\":\"histogram\",\"values\":[-1],\"bins\":[0,1]}");
    wbw_item(&m, 1, "parameters/d", "{\"_type\":\"histogram\",\"values\":[0],\"bins\":[0,1]}");
    wbw_item(&m, 1, "parameters/e", "{\"_type\":\"histogram\"");
    wbw_message(&f->file, 2, &m);
    write_on(f, 0);
    assert_int_equal(poll(f), 0);
#define LAYER(name) "train_layer_" name "{layer=\"one.weight\", run=\"abc\"}"
    assert_recorded(&f->sink, LAYER("grad_mean"), 0);
    assert_recorded(&f->sink, LAYER("grad_std"), sqrt(2));
    assert_recorded(&f->sink, LAYER("grad_max"), 3);
    assert_recorded(&f->sink, LAYER("param_mean"), 5);
    assert_recorded(&f->sink, "train_layer_param_mean{layer=\"two.weight\", run=\"abc\"}", 3);
    assert_recorded(&f->sink, "train_layer_param_q50{layer=\"two.weight\", run=\"abc\"}", 2.5);
    assert_null(recorded_last(&f->sink, LAYER("grad_norm")));
    assert_null(recorded_last(&f->sink, LAYER("nonfinite_ratio")));
    struct toc_wandb_tail_counters c = toc_wandb_tail_counters(f->tail);
    assert_recorded(&f->sink, "train_layer_grad_mean{layer=\"three\", run=\"abc\"}", 1);
    assert_int_equal(c.histograms, 4);
    assert_int_equal(c.values_ignored, 6);
}

static void a_record_that_is_cut_waits_for_its_rest(void **state) {
    struct fixture *f = *state;
    wbw_run(&f->file, "abc", "", START_S);
    wbw_row(&f->file, 1, START_S + 1, "2");
    wbw_row(&f->file, 2, START_S + 2, "1");
    write_on(f, 9);
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_step{run=\"abc\"}", 1);
    write_on(f, 0);
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_step{run=\"abc\"}", 2);
    assert_int_equal(recorded_count(&f->sink, "train_loss{run=\"abc\"}"), 2);
    wbw_exit(&f->file, 0);
    write_on(f, 0);
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_run_state{run=\"abc\"}", 0);
}

static void a_restart_reads_on_where_it_ended(void **state) {
    struct fixture *f = *state;
    struct toc_buf saved = TOC_BUF_INIT;
    wbw_run(&f->file, "abc", "", START_S);
    wbw_row(&f->file, 1, START_S + 1, "2");
    write_on(f, 0);
    assert_int_equal(poll(f), 0);
    toc_wandb_tail_save(f->tail, &saved);
    make_tail(f);
    assert_int_equal(toc_wandb_tail_restore(f->tail, toc_buf_sv(&saved)), 0);
    wbw_row(&f->file, 2, START_S + 2, "1");
    write_on(f, 0);
    assert_int_equal(poll(f), 0);
    assert_int_equal(recorded_count(&f->sink, "train_loss{run=\"abc\"}"), 2);
    saved.p[saved.n - 1] ^= 1;
    make_tail(f);
    assert_int_equal(toc_wandb_tail_restore(f->tail, toc_buf_sv(&saved)), TOC_ECORRUPT);
    toc_buf_fini(&saved);
}

static void what_the_store_refuses_comes_again(void **state) {
    struct fixture *f = *state;
    wbw_run(&f->file, "abc", "", START_S);
    wbw_row(&f->file, 1, START_S + 1, "2");
    write_on(f, 0);
    f->sink.fail_with = TOC_EUNAVAILABLE;
    assert_true(poll(f) < 0);
    f->sink.fail_with = 0;
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_loss{run=\"abc\"}", 2);
}

static void damage_is_counted_and_the_rest_is_read(void **state) {
    struct fixture *f = *state;
    wbw_run(&f->file, "abc", "", START_S);
    for (int i = 0; f->file.n < 3 * TOC_WANDB_BLOCK_BYTES; i++)
        wbw_row(&f->file, i, START_S + i, "2");
    f->file.p[TOC_WANDB_BLOCK_BYTES + 500] ^= 0x40;
    write_on(f, 0);
    assert_int_equal(poll(f), 0);
    struct toc_wandb_tail_counters c = toc_wandb_tail_counters(f->tail);
    assert_true(c.records_damaged >= 1 && c.bytes_skipped > 0);
    assert_recorded(&f->sink, "train_loss{run=\"abc\"}", 2);
}

static void a_file_without_a_run_is_left_alone(void **state) {
    struct fixture *f = *state;
    toc_buf_reset(&f->file);
    toc_buf_append_cstr(&f->file, "this is no run file at all");
    write_on(f, 0);
    assert_int_equal(poll(f), 0);
    assert_int_equal(toc_wandb_tail_counters(f->tail).files_over_limit, 1);
    assert_int_equal(f->sink.points.count, 0);
    assert_false(toc_wandb_is_run_file(TOC_SV("wandb/latest-run/run-abc.wandb")));
    assert_true(toc_wandb_is_run_file(TOC_SV("wandb/offline-run-1-abc/run-abc.wandb")));
}

static void a_job_that_steps_back_has_restarted(void **state) {
    struct fixture *f = *state;
    struct toc_buf m = TOC_BUF_INIT;
    wbw_run(&f->file, "abc", "", START_S);
    wbw_row(&f->file, 900, START_S + 1, "2");
    wbw_item(&m, 1, "_step", "901");
    wbw_item(&m, 1, "trainer/global_step", "500");
    wbw_message(&f->file, 2, &m);
    write_on(f, 0);
    assert_int_equal(poll(f), 0);
    assert_recorded(&f->sink, "train_restarts_total{run=\"abc\"}", 1);
    assert_recorded(&f->sink, "train_step{run=\"abc\"}", 500);
}

int main(void) {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_all_sizes_come_back_however_the_file_is_cut),
        cmocka_unit_test(the_checksum_is_crc32),
        cmocka_unit_test(damage_costs_its_block_and_nothing_behind),
        cmocka_unit_test(other_files_are_told_from_run_files),
        WITH(rows_become_reports_of_the_run),
        WITH(histograms_become_statistics_of_layers),
        WITH(a_record_that_is_cut_waits_for_its_rest),
        WITH(a_restart_reads_on_where_it_ended),
        WITH(what_the_store_refuses_comes_again),
        WITH(damage_is_counted_and_the_rest_is_read),
        WITH(a_file_without_a_run_is_left_alone),
        WITH(a_job_that_steps_back_has_restarted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
