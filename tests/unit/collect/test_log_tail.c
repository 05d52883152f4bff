#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cmocka_prelude.h"
#include "base/alloc.h"
#include "collect/log_tail.h"

/* What was handed over, as "name:bytes" pieces. */
struct seen {
    struct toc_buf text;
    int open;
};

struct file {
    char name[200];
};

static void on_open(void *ctx, const char *path, size_t pattern, void **out_file) {
    struct seen *s = ctx;
    struct file *f = TOC_NEW(struct file);
    snprintf(f->name, sizeof f->name, "%s", strrchr(path, '/') + 1);
    toc_buf_printf(&s->text, "+%s/%zu ", f->name, pattern);
    s->open++;
    *out_file = f;
}

static void on_bytes(void *ctx, void *file, struct toc_sv bytes) {
    struct seen *s = ctx;
    toc_buf_printf(&s->text, "%s:%.*s ", ((struct file *)file)->name, TOC_SV_ARG(bytes));
}

static void on_restart(void *ctx, void *file) {
    toc_buf_printf(&((struct seen *)ctx)->text, "%s! ", ((struct file *)file)->name);
}

static void on_close(void *ctx, void *file) {
    ((struct seen *)ctx)->open--;
    toc_free(file);
}

static char g_dir[64];
static int64_t g_now_ms;

static int setup(void **state) {
    (void)state;
    g_now_ms = 1787223600000;
    strcpy(g_dir, "/tmp/tocsin-tail-XXXXXX");
    return mkdtemp(g_dir) ? 0 : -1;
}

static int teardown(void **state) {
    char command[100];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", g_dir);
    return system(command);
}

static const char *in_dir(const char *name) {
    static char path[4][300];
    static int i;
    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", g_dir, name);
    return path[i];
}

static void write_to(const char *name, const char *text, const char *mode) {
    FILE *f = fopen(in_dir(name), mode);
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static struct toc_log_tail *start(struct seen *s, const char *const *patterns, size_t count,
                                  size_t max_files) {
    return toc_log_tail_new(&(struct toc_log_tail_options){.patterns = patterns,
                                                           .pattern_count = count,
                                                           .max_files = max_files,
                                                           .look_every_ms = 1,
                                                           .on_open = on_open,
                                                           .on_bytes = on_bytes,
                                                           .on_restart = on_restart,
                                                           .on_close = on_close,
                                                           .ctx = s});
}

static void poll_and_expect(struct toc_log_tail *t, struct seen *s, const char *expect) {
    toc_buf_reset(&s->text);
    toc_log_tail_poll(t, (struct toc_ts){g_now_ms += 1000});
    assert_string_equal(toc_buf_cstr(&s->text), expect);
}

static void files_are_followed(void **state) {
    const char *patterns[] = {in_dir("*.log")};
    char pattern[300];
    struct seen s = {0};
    (void)state;
    snprintf(pattern, sizeof pattern, "%s", patterns[0]);
    patterns[0] = pattern;
    write_to("old.log", "history\n", "w");
    struct toc_log_tail *t = start(&s, patterns, 1, 0);
    poll_and_expect(t, &s, "+old.log/0 ");
    write_to("old.log", "a\n", "a");
    poll_and_expect(t, &s, "old.log:a\n ");
    poll_and_expect(t, &s, "");
    write_to("new.log", "from the start\n", "w");
    write_to(".hidden.log", "x\n", "w");
    poll_and_expect(t, &s, "+new.log/0 new.log:from the start\n ");
    write_to("old.log", "b", "w"); /* shorter: cut off */
    poll_and_expect(t, &s, "old.log! old.log:b ");
    /* Rotated with a rest that was not read yet. */
    write_to("new.log", "rest\n", "a");
    rename(in_dir("new.log"), in_dir("new.log.1"));
    write_to("new.log", "next\n", "w");
    poll_and_expect(t, &s, "new.log:rest\n new.log! new.log:next\n ");
    remove(in_dir("new.log"));
    poll_and_expect(t, &s, "");
    assert_int_equal(s.open, 1);
    assert_int_equal(toc_log_tail_counters(t).truncations, 1);
    assert_int_equal(toc_log_tail_counters(t).rotations, 1);
    toc_log_tail_free(&t);
    assert_int_equal(s.open, 0);
    toc_buf_fini(&s.text);
}

static void folders_may_be_patterns_too(void **state) {
    char pattern[300];
    const char *patterns[] = {pattern};
    struct seen s = {0};
    (void)state;
    snprintf(pattern, sizeof pattern, "%s/{run}/node?/rank{rank}.log", g_dir);
    struct toc_log_tail *t = start(&s, patterns, 1, 0);
    poll_and_expect(t, &s, "");
    mkdir(in_dir("llama"), 0700);
    mkdir(in_dir("llama/node1"), 0700);
    mkdir(in_dir("llama/other"), 0700);
    write_to("llama/node1/rank7.log", "x", "w");
    write_to("llama/node1/rank7.txt", "x", "w");
    write_to("llama/other/rank8.log", "x", "w");
    poll_and_expect(t, &s, "+rank7.log/0 rank7.log:x ");
    toc_log_tail_free(&t);
    toc_buf_fini(&s.text);
}

static void places_survive_a_restart(void **state) {
    char pattern[300];
    const char *patterns[] = {pattern};
    struct seen s = {0};
    struct toc_buf saved = TOC_BUF_INIT;
    (void)state;
    snprintf(pattern, sizeof pattern, "%s/*.log", g_dir);
    struct toc_log_tail *t = start(&s, patterns, 1, 0);
    toc_log_tail_poll(t, (struct toc_ts){g_now_ms});
    write_to("a.log", "one\n", "w");
    poll_and_expect(t, &s, "+a.log/0 a.log:one\n ");
    toc_log_tail_save(t, &saved);
    toc_log_tail_free(&t);
    write_to("a.log", "two\n", "a");
    write_to("b.log", "while down\n", "w");
    t = start(&s, patterns, 1, 0);
    assert_int_equal(toc_log_tail_restore(t, toc_buf_sv(&saved)), 0);
    toc_buf_reset(&s.text);
    toc_log_tail_poll(t, (struct toc_ts){g_now_ms += 1000});
    assert_true(toc_sv_find(toc_buf_sv(&s.text), TOC_SV("a.log:two\n")) != SIZE_MAX);
    assert_true(toc_sv_find(toc_buf_sv(&s.text), TOC_SV("b.log:while down\n")) != SIZE_MAX);
    assert_true(toc_sv_find(toc_buf_sv(&s.text), TOC_SV("one")) == SIZE_MAX);
    saved.p[5] ^= 1;
    assert_int_equal(toc_log_tail_restore(t, toc_buf_sv(&saved)), TOC_ECORRUPT);
    toc_log_tail_free(&t);
    toc_buf_fini(&saved);
    toc_buf_fini(&s.text);
}

static void more_files_than_allowed_are_counted(void **state) {
    char pattern[300];
    const char *patterns[] = {pattern};
    struct seen s = {0};
    (void)state;
    snprintf(pattern, sizeof pattern, "%s/*", g_dir);
    for (int i = 0; i < 5; i++)
        write_to((const char *[]){"a", "b", "c", "d", "e"}[i], "x", "w");
    struct toc_log_tail *t = start(&s, patterns, 1, 2);
    toc_log_tail_poll(t, (struct toc_ts){g_now_ms});
    assert_int_equal(toc_log_tail_counters(t).files, 2);
    assert_int_equal(toc_log_tail_counters(t).files_over_limit, 3);
    toc_log_tail_free(&t);
    toc_buf_fini(&s.text);
}

static void one_busy_file_does_not_starve_the_poll(void **state) {
    char pattern[300];
    const char *patterns[] = {pattern};
    struct seen s = {.text = {.limit_bytes = 1 << 20}};
    char *block = toc_xcalloc(1, 1 << 20);
    (void)state;
    snprintf(pattern, sizeof pattern, "%s/*.log", g_dir);
    struct toc_log_tail *t = start(&s, patterns, 1, 0);
    toc_log_tail_poll(t, (struct toc_ts){g_now_ms});
    FILE *f = fopen(in_dir("big.log"), "w");
    assert_non_null(f);
    memset(block, 'x', 1 << 20);
    for (int i = 0; i < 6; i++)
        fwrite(block, 1, 1 << 20, f);
    fclose(f);
    toc_log_tail_poll(t, (struct toc_ts){g_now_ms += 1000});
    assert_int_equal(toc_log_tail_counters(t).bytes, TOC_LOG_TAIL_FILE_BYTES_PER_POLL);
    assert_int_equal(toc_log_tail_counters(t).behind_bytes, 2 << 20);
    toc_log_tail_poll(t, (struct toc_ts){g_now_ms += 1000});
    assert_int_equal(toc_log_tail_counters(t).bytes, 6 << 20);
    assert_int_equal(toc_log_tail_counters(t).behind_bytes, 0);
    toc_log_tail_free(&t);
    toc_free(block);
    toc_buf_fini(&s.text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(folders_may_be_patterns_too, setup, teardown),
        cmocka_unit_test_setup_teardown(places_survive_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(more_files_than_allowed_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(one_busy_file_does_not_starve_the_poll, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
