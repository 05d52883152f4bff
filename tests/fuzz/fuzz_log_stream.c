/* Lines to hits to failures, in pieces: excerpts are short UTF-8 without controls, a failure is
 * told as over exactly once, and nothing depends on memory that is gone. */
#include <stdlib.h>

#include "diagnose/failure.h"
#include "diagnose/log_labels.h"
#include "diagnose/log_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    struct toc_signature_table *signatures;
    struct toc_failure_rules *rules;
    struct toc_xid_table *xids;
    struct toc_redactor *redactor;
    struct toc_log_places *places;
} g;

struct heard {
    struct toc_failure_listener listener;
    struct toc_failures *failures;
    size_t opened, over;
};

static void on_failure(struct toc_failure_listener *l, const struct toc_failure *f,
                       enum toc_failure_event event, struct toc_ts now) {
    struct heard *h = (struct heard *)(void *)l;
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_finding finding = toc_failure_finding(f, &a);
    (void)now;
    h->opened += event == TOC_FAILURE_OPENED;
    h->over += event == TOC_FAILURE_OVER;
    if (!finding.title.n || !f->root)
        abort();
    toc_arena_fini(&a);
}

static void on_hit(void *ctx, const struct toc_failure_hit *hit) {
    struct heard *h = ctx;
    if (hit->text.n > 300 || !toc_sv_is_utf8(hit->text))
        abort();
    for (size_t i = 0; i < hit->text.n; i++)
        if ((unsigned char)hit->text.p[i] < 0x20)
            abort();
    toc_failures_put(h->failures, hit, (struct toc_ts){1787223600000});
}

static void open_tables(void) {
    if (toc_signature_table_builtin(&g.signatures, NULL) ||
        toc_failure_rules_builtin(&g.rules, NULL) || toc_xid_table_builtin(&g.xids, NULL) ||
        toc_redactor_builtin(&g.redactor, NULL))
        abort();
    g.places = toc_log_places_new();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv log = toc_sv_make((const char *)data, size);
    struct heard h = {.listener = {on_failure}};
    struct toc_log_stream s;
    if (!size)
        return 0;
    if (!g.signatures)
        open_tables();
    struct toc_log_labels l = toc_log_labels_guess(toc_sv_sub(log, 0, 64));
    h.failures = toc_failures_new(
        &(struct toc_failures_options){.rules = g.rules, .xids = g.xids, .listener = &h.listener});
    toc_log_stream_init(&s, &(struct toc_log_stream_options){.table = g.signatures,
                                                             .redactor = g.redactor,
                                                             .places = g.places,
                                                             .sources = TOC_LOG_ANY,
                                                             .host = l.host,
                                                             .rank = l.rank,
                                                             .on_hit = on_hit,
                                                             .ctx = &h});
    size_t step = 1 + data[0] % 97 * 7;
    for (size_t at = 0; at < log.n; at += step)
        toc_log_stream_feed(&s, toc_sv_sub(log, at, step), (struct toc_ts){1787223600000}, 0);
    toc_log_stream_finish(&s);
    toc_failures_tick(h.failures, (struct toc_ts){1787223600000 + 60000});
    toc_failures_finish(h.failures, (struct toc_ts){1787223600000 + 61000});
    if (h.opened != h.over)
        abort();
    toc_log_stream_fini(&s);
    toc_failures_free(&h.failures);
    return 0;
}
