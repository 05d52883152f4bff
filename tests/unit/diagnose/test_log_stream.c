#include "../cmocka_prelude.h"
#include "diagnose/log_stream.h"

#define NOW ((struct toc_ts){1787320800000})

static struct toc_signature_table *g_table;
static struct toc_redactor *g_redactor;
static struct toc_log_places *g_places;

static int setup(void **state) {
    (void)state;
    g_places = toc_log_places_new();
    return toc_signature_table_builtin(&g_table, NULL) || toc_redactor_builtin(&g_redactor, NULL);
}

static int teardown(void **state) {
    (void)state;
    toc_signature_table_free(&g_table);
    toc_redactor_free(&g_redactor);
    toc_log_places_free(&g_places);
    return 0;
}

struct seen {
    struct toc_buf text;
};

static void note(void *ctx, const struct toc_failure_hit *h) {
    struct seen *s = ctx;
    struct toc_civil c = toc_ts_civil(h->at);
    toc_buf_printf(&s->text, "%.*s:%llu %02d:%02d:%02d", TOC_SV_ARG(h->signature->id),
                   (unsigned long long)h->line_number, c.hour, c.minute, c.second);
    if (h->rank >= 0)
        toc_buf_printf(&s->text, " r%lld", (long long)h->rank);
    if (h->pid >= 0)
        toc_buf_printf(&s->text, " p%lld", (long long)h->pid);
    if (h->host.n)
        toc_buf_printf(&s->text, " @%.*s", TOC_SV_ARG(h->host));
    if (h->device.n)
        toc_buf_printf(&s->text, " %.*s", TOC_SV_ARG(h->device));
    if (h->word.n)
        toc_buf_printf(&s->text, " %.*s", TOC_SV_ARG(h->word));
    if (h->lasted_ms)
        toc_buf_printf(&s->text, " %llds", (long long)h->lasted_ms / 1000);
    toc_buf_append_cstr(&s->text, "; ");
}

static void expect(const char *log, unsigned sources, size_t step, const char *wanted) {
    struct seen seen = {0};
    struct toc_log_stream s;
    struct toc_sv rest = toc_sv_cstr(log);
    toc_log_stream_init(&s, &(struct toc_log_stream_options){.table = g_table,
                                                             .redactor = g_redactor,
                                                             .places = g_places,
                                                             .sources = sources,
                                                             .rank = -1,
                                                             .on_hit = note,
                                                             .ctx = &seen});
    for (size_t at = 0; at < rest.n; at += step)
        toc_log_stream_feed(&s, toc_sv_sub(rest, at, step), NOW, 0);
    toc_log_stream_finish(&s);
    assert_string_equal(toc_buf_cstr(&seen.text), wanted);
    toc_log_stream_fini(&s);
    toc_buf_fini(&seen.text);
}

static void a_line_without_a_time_takes_that_of_the_lines_before(void **state) {
    static const char log[] = "2026-08-20 11:00:05,123 ERROR loop ended\r\n"
                              "[rank5]: Traceback (most recent call last):\r\n"
                              "[rank5]:   File \"train.py\", line 8\r\n"
                              "[rank5]: ValueError: bad shape\r\n";
    (void)state;
    expect(log, TOC_LOG_JOB, sizeof log, "py_error:4 11:00:05 r5; ");
    expect(log, TOC_LOG_JOB, 50, "py_error:4 11:00:05 r5; ");
    expect("CUDA out of memory\n", TOC_LOG_JOB, 99, "cuda_oom:1 14:00:00; ");
}

static void the_fallback_is_silent_beside_anything_else(void **state) {
    (void)state;
    expect("2026-08-20 11:00:05 x\n[rank7]: torch.distributed.DistBackendError: NCCL error in: "
           "ProcessGroupNCCL.cpp:1970, remote process exited or there was a network error\n",
           TOC_LOG_JOB, 999, "nccl_err:2 11:00:05 r7; ");
    expect("2026-08-20 11:00:05 x\nRuntimeError: anything\n", TOC_LOG_JOB, 999,
           "py_error:2 11:00:05; ");
}

static void a_line_says_who_wrote_it(void **state) {
    (void)state;
    expect("gpu-003:77:99 [3] misc/socket.cc:49 NCCL WARN socketProgress: Connection closed by "
           "remote peer node7<41234>\n",
           TOC_LOG_JOB, 999, "nccl_sock:1 14:00:00 p77 @gpu-003; ");
    expect("12: CUDA out of memory\n", TOC_LOG_JOB, 999, "cuda_oom:1 14:00:00 r12; ");
    expect("Aug 20 11:00:00 node7 kernel: NVRM: GPU 0000:18:00.0: GPU has fallen off the bus.\n",
           TOC_LOG_KERNEL, 999, "nv_off_bus:1 11:00:00 @node7 0000:18:00; ");
    expect("Aug 20 11:00:00 node7 kernel: NVRM: Xid (PCI:0018:01:00): 149, pid=4242, name=python3, "
           "NETIR_LINK_EVT Fatal XC0 i0 Link 08 (0x004505c6 0x00000000)\n",
           TOC_LOG_KERNEL, 999,
           "nv_xid:1 11:00:00 @node7 0018:01:00 Fatal; "
           "nv_xid_nvlink5:1 11:00:00 @node7 0018:01:00 Fatal; ");
}

static void what_had_lasted_is_told(void **state) {
    (void)state;
    expect("[E1218 20:27:21.43 P.cpp:629] [Rank 1] Watchdog caught collective operation timeout: "
           "WorkNCCL(SeqNum=1, OpType=BROADCAST, NumelIn=1, NumelOut=1, Timeout(ms)=600000) ran "
           "for 600081 milliseconds before timing out.\n",
           TOC_LOG_JOB, 999,
           "nccl_watchdog:1 20:27:21 r1 600s; nccl_watchdog_any:1 20:27:21 r1 600s; ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_without_a_time_takes_that_of_the_lines_before),
        cmocka_unit_test(the_fallback_is_silent_beside_anything_else),
        cmocka_unit_test(a_line_says_who_wrote_it),
        cmocka_unit_test(what_had_lasted_is_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
