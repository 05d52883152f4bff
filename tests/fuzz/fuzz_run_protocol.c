/* Oracle: a body is taken whole or leaves no trace (the saved table is the same), whatever was
 * accepted is never accepted twice when it carries session and seq, and a saved table restores to
 * the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "collect/run_receiver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t g_points;

static int take(struct toc_sink *s, const struct toc_point *points, size_t count,
                struct toc_write_result *out, struct toc_err *err) {
    (void)s, (void)err;
    for (size_t i = 0; i < count; i++)
        if (!toc_labels_get(points[i].labels, TOC_METRIC_NAME).n ||
            !toc_labels_get(points[i].labels, TOC_SV("run")).n)
            abort();
    g_points += count;
    *out = (struct toc_write_result){.accepted = count};
    return 0;
}

static bool same_table(struct toc_run_receiver *r, const struct toc_buf *before) {
    struct toc_buf after = TOC_BUF_INIT;
    toc_run_receiver_save(r, &after);
    bool is_same = toc_sv_eq(toc_buf_sv(before), toc_buf_sv(&after));
    toc_buf_fini(&after);
    return is_same;
}

static void check_restore(const struct toc_buf *saved, struct toc_sink *sink) {
    struct toc_run_receiver *r =
        toc_run_receiver_new(&(struct toc_run_receiver_options){.sink = sink});
    if (toc_run_receiver_restore(r, toc_buf_sv(saved)) || !same_table(r, saved))
        abort();
    toc_run_receiver_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    struct toc_sink sink = {take, NULL};
    struct toc_run_receiver *r =
        toc_run_receiver_new(&(struct toc_run_receiver_options){.sink = &sink, .max_runs = 20});
    struct toc_run_body body = {
        .run = TOC_SV("r"),
        .format = data[0] & 1 ? TOC_RUN_CSV : TOC_RUN_JSONL,
        .is_file = data[0] >> 1 & 1,
        .bytes = toc_sv_make((const char *)data + 1, size - 1),
    };
    struct toc_buf before = TOC_BUF_INIT;
    struct toc_err err = {0};
    toc_run_receiver_save(r, &before);
    g_points = 0;
    int rc = toc_run_receiver_put(r, &body, (struct toc_ts){1700000000000}, &err);
    if (rc && (!same_table(r, &before) || g_points || !err.message[0]))
        abort();
    toc_buf_reset(&before);
    toc_run_receiver_save(r, &before);
    check_restore(&before, &sink);
    uint64_t lines = toc_run_receiver_counters(r).lines_accepted;
    err = (struct toc_err){0};
    if (!rc && toc_run_receiver_put(r, &body, (struct toc_ts){1700000001000}, &err))
        abort();
    if (!rc && toc_run_receiver_counters(r).lines_accepted > 2 * lines)
        abort();
    toc_buf_fini(&before);
    toc_run_receiver_free(&r);
    return 0;
}
