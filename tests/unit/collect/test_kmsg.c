#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../cmocka_prelude.h"
#include "base/alloc.h"
#include "collect/kmsg.h"
#include "sys/records.h"

#define NOW ((struct toc_ts){1787223600000})
#define BOOT ((struct toc_ts){1787223600000 - 1000000})

/* A device that plays a list of answers, then has nothing. */
struct script {
    const char *const *items; /* NULL in between: an overrun */
    size_t count, at;
    int end; /* what it answers at its end */
};

static int64_t play(void *ctx, void *out, size_t max) {
    struct script *s = ctx;
    if (s->at == s->count)
        return s->end;
    const char *item = s->items[s->at++];
    if (!item)
        return TOC_RECORDS_LOST;
    size_t n = TOC_MIN(strlen(item), max);
    memcpy(out, item, n);
    return (int64_t)n;
}

static void note(void *ctx, const struct toc_kmsg_record *r) {
    toc_buf_printf(ctx, "%llu@%lld %.*s|%.*s\n", (unsigned long long)r->sequence,
                   (long long)(r->at.ms - BOOT.ms), TOC_SV_ARG(r->text), TOC_SV_ARG(r->device));
}

static struct toc_kmsg *start(struct script *s, struct toc_buf *seen, const char *boot_id_path) {
    return toc_kmsg_new(&(struct toc_kmsg_options){.fn = note,
                                                   .ctx = seen,
                                                   .read = play,
                                                   .read_ctx = s,
                                                   .past_ms = 10000000,
                                                   .boot_id_path = boot_id_path});
}

static void records_are_taken_apart(void **state) {
    static const char *const items[] = {
        "6,339,5140900,-;NET: Registered protocol family 10\n",
        "3,340,5690716,-;mlx5_core 0000:5c:00.0: Link down\n SUBSYSTEM=pci\n "
        "DEVICE=+pci:0000:5c:00.0\n",
        "30,341,5690717,-,caller=T1;systemd[1]: a\\x09b \\xe4\\xb8\\xad \\x0a\n",
        "nonsense",
        "6,x,1,-;bad",
        "4,342,6000000,c;a line in ",
        "4,343,6000001,+;three ",
        "4,344,6000002,+;pieces\n",
        "4,345,7000000,-;\n",
        "4,346,7000000,-;",
    };
    struct script s = {items, TOC_ARRAY_LEN(items), 0, TOC_RECORDS_NONE};
    struct toc_buf seen = TOC_BUF_INIT;
    struct toc_kmsg *k = start(&s, &seen, NULL);
    (void)state;
    toc_kmsg_poll(k, NOW, BOOT);
    assert_string_equal(toc_buf_cstr(&seen), "339@5140 NET: Registered protocol family 10|\n"
                                             "340@5690 mlx5_core 0000:5c:00.0: Link down|"
                                             "+pci:0000:5c:00.0\n"
                                             "341@5690 systemd[1]: a\tb 中  |\n"
                                             "342@6000 a line in three pieces|\n"
                                             "345@7000 |\n"
                                             "346@7000 |\n");
    assert_int_equal(toc_kmsg_counters(k).malformed, 2);
    assert_int_equal(toc_kmsg_counters(k).lost, 0);
    toc_kmsg_free(&k);
    toc_buf_fini(&seen);
}

static void what_was_overwritten_is_counted(void **state) {
    static const char *const items[] = {"6,10,1,-;a\n", NULL, "6,25,2,-;b\n", "6,26,3,-;c\n"};
    struct script s = {items, TOC_ARRAY_LEN(items), 0, TOC_RECORDS_NONE};
    struct toc_buf seen = TOC_BUF_INIT;
    struct toc_kmsg *k = start(&s, &seen, NULL);
    (void)state;
    toc_kmsg_poll(k, NOW, BOOT);
    assert_int_equal(toc_kmsg_counters(k).overruns, 1);
    assert_int_equal(toc_kmsg_counters(k).lost, 14);
    assert_int_equal(toc_kmsg_counters(k).records, 3);
    toc_kmsg_free(&k);
    toc_buf_fini(&seen);
}

static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void a_restart_goes_on_and_a_reboot_starts_anew(void **state) {
    static const char *const before[] = {"6,10,1,-;a\n", "6,11,2,-;b\n"};
    static const char *const after[] = {"6,10,1,-;a\n", "6,11,2,-;b\n", "6,12,3,-;c\n"};
    static const char *const boot[] = {"6,0,1,-;new\n"};
    char path[] = "/tmp/tocsin-boot-XXXXXX";
    struct toc_buf seen = TOC_BUF_INIT, saved = TOC_BUF_INIT;
    struct script s = {before, 2, 0, TOC_RECORDS_NONE};
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    write_file(path, "boot-one\n");
    struct toc_kmsg *k = start(&s, &seen, path);
    toc_kmsg_poll(k, NOW, BOOT);
    toc_kmsg_save(k, &saved);
    toc_kmsg_free(&k);
    toc_buf_reset(&seen);

    s = (struct script){after, 3, 0, TOC_RECORDS_NONE};
    k = start(&s, &seen, path);
    assert_int_equal(toc_kmsg_restore(k, toc_buf_sv(&saved)), 0);
    toc_kmsg_poll(k, NOW, BOOT);
    assert_string_equal(toc_buf_cstr(&seen), "12@0 c|\n");
    assert_int_equal(toc_kmsg_counters(k).skipped, 2);
    toc_kmsg_free(&k);
    toc_buf_reset(&seen);

    write_file(path, "boot-two\n");
    s = (struct script){boot, 1, 0, TOC_RECORDS_NONE};
    k = start(&s, &seen, path);
    assert_int_equal(toc_kmsg_restore(k, toc_buf_sv(&saved)), 0);
    toc_kmsg_poll(k, NOW, BOOT);
    assert_string_equal(toc_buf_cstr(&seen), "0@0 new|\n");
    saved.p[3] ^= 1;
    assert_int_equal(toc_kmsg_restore(k, toc_buf_sv(&saved)), TOC_ECORRUPT);
    toc_kmsg_free(&k);
    toc_buf_fini(&seen);
    toc_buf_fini(&saved);
    remove(path);
}

static void history_is_passed_over_at_the_first_start(void **state) {
    static const char *const items[] = {"6,10,1,-;old\n", "6,11,999000000,-;late\n",
                                        "6,12,1000000000,-;new\n"};
    struct script s = {items, 2, 0, TOC_RECORDS_NONE};
    struct toc_buf seen = TOC_BUF_INIT;
    struct toc_kmsg *k = toc_kmsg_new(
        &(struct toc_kmsg_options){.fn = note, .ctx = &seen, .read = play, .read_ctx = &s});
    (void)state;
    toc_kmsg_poll(k, NOW, BOOT);
    assert_int_equal(seen.n, 0);
    s.count = 3;
    toc_kmsg_poll(k, NOW, BOOT);
    assert_string_equal(toc_buf_cstr(&seen), "12@1000000 new|\n");
    assert_int_equal(toc_kmsg_counters(k).lost, 0);
    toc_kmsg_free(&k);
    toc_buf_fini(&seen);
}

static void without_permission_it_is_blind_and_says_so(void **state) {
    struct script s = {NULL, 0, 0, TOC_EACCES};
    struct toc_buf seen = TOC_BUF_INIT;
    struct toc_kmsg *k = toc_kmsg_new(
        &(struct toc_kmsg_options){.path = "/nonexistent/kmsg", .fn = note, .ctx = &seen});
    (void)state;
    (void)s;
    toc_kmsg_poll(k, NOW, BOOT);
    struct toc_kmsg_counters c = toc_kmsg_counters(k);
    assert_true(c.is_blind);
    assert_true(toc_sv_find(toc_sv_cstr(c.problem), TOC_SV("/nonexistent/kmsg")) != SIZE_MAX);
    toc_kmsg_free(&k);
}

static int64_t read_pair(void *ctx, void *out, size_t max) {
    return toc_records_read(ctx, out, max);
}

static void a_connection_with_records_works_like_the_device(void **state) {
    struct toc_records *r = NULL;
    struct toc_buf seen = TOC_BUF_INIT;
    int fd = -1;
    (void)state;
    assert_int_equal(toc_records_pair(&r, &fd), 0);
    struct toc_kmsg *k = toc_kmsg_new(
        &(struct toc_kmsg_options){.fn = note, .ctx = &seen, .read = read_pair, .read_ctx = r});
    toc_kmsg_poll(k, NOW, BOOT);
    assert_int_equal(toc_records_write(fd, "6,1,1,-;one\n", 12), 0);
    assert_int_equal(toc_records_write(fd, "6,2,2,-;two\n", 12), 0);
    toc_kmsg_poll(k, NOW, BOOT);
    assert_string_equal(toc_buf_cstr(&seen), "1@0 one|\n2@0 two|\n");
    toc_kmsg_free(&k);
    toc_records_close(&r);
    toc_buf_fini(&seen);
}

static void the_real_device_is_read_where_it_may_be(void **state) {
    struct toc_records *r = NULL;
    struct toc_buf seen = TOC_BUF_INIT;
    (void)state;
    if (toc_records_open("/dev/kmsg", &r) < 0) {
        print_message("skipped: /dev/kmsg cannot be read here\n");
        return;
    }
    toc_records_close(&r);
    struct toc_kmsg *k = toc_kmsg_new(
        &(struct toc_kmsg_options){.fn = note, .ctx = &seen, .past_ms = INT64_C(1) << 50});
    toc_kmsg_poll(k, (struct toc_ts){toc_boot_time().ms + 1000}, toc_boot_time());
    struct toc_kmsg_counters c = toc_kmsg_counters(k);
    print_message("%llu records, %llu lost, %llu malformed\n", (unsigned long long)c.records,
                  (unsigned long long)c.lost, (unsigned long long)c.malformed);
    assert_false(c.is_blind);
    assert_true(c.records > 0);
    assert_int_equal(c.malformed, 0);
    toc_kmsg_free(&k);
    toc_buf_fini(&seen);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_taken_apart),
        cmocka_unit_test(what_was_overwritten_is_counted),
        cmocka_unit_test(a_restart_goes_on_and_a_reboot_starts_anew),
        cmocka_unit_test(history_is_passed_over_at_the_first_start),
        cmocka_unit_test(without_permission_it_is_blind_and_says_so),
        cmocka_unit_test(a_connection_with_records_works_like_the_device),
        cmocka_unit_test(the_real_device_is_read_where_it_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
