/* Learning from verdicts: its numbers, and what it must know of detectors. */
#include "app/daemon_priv.h"
#include "base/alloc.h"
#include "sys/log.h"

void toc_daemon_each_learn_metric(struct toc_daemon *d, toc_on_metric *fn, void *ctx) {
    struct toc_learn_stats s = toc_learn_stats(d->learn);
    fn(ctx, "tocsin_learn_remembered_alerts", "gauge", "Alerts of detectors that are remembered.",
       NULL, NULL, (double)s.remembered);
    fn(ctx, "tocsin_learn_withheld_alerts", "gauge", "Firing alerts that are withheld now.", NULL,
       NULL, (double)s.withheld_now);
#define X(field, help)                                                                     \
    fn(ctx, "tocsin_learn_" #field "_total", "counter", "Learning: " help ".", NULL, NULL, \
       (double)s.field);
    TOC_LEARN_COUNTER_TABLE(X)
#undef X
}

void toc_daemon_on_label(void *daemon, struct toc_labels alert, struct toc_ts at, bool is_true) {
    struct toc_daemon *d = daemon;
    struct toc_err err = {0};
    struct toc_sv name = toc_labels_get(alert, TOC_SV("detector"));
    int rc = toc_detectors_verdict(d->detectors, name, alert, is_true, at, &err);
    if (rc < 0 && rc != TOC_EUNSUPPORTED && rc != TOC_ENOENT)
        toc_log(TOC_LOG_WARN, "learn", "detector %.*s does not learn from a verdict: %s",
                TOC_SV_ARG(name), err.message);
}

struct copies {
    TOC_VEC_FIELDS(struct toc_learn_detector)
};

static void copy(void *ctx, const struct toc_detector_view *v) {
    struct copies *c = ctx;
    struct toc_learn_detector d = {
        .name = toc_sv_make(toc_sv_dup_cstr(v->name), v->name.n),
        .interval_ms = v->interval_ms,
        .threshold = v->threshold,
    };
    if (v->features == 1)
        d.expr = toc_sv_make(toc_sv_dup_cstr(v->expr), v->expr.n);
    TOC_VEC_PUSH(c, d);
}

void toc_daemon_note_detectors(struct toc_daemon *d) {
    struct copies c = {0};
    toc_detectors_each(d->detectors, copy, &c);
    toc_learn_windows_set(d->learn_windows, c.items, c.count);
    for (size_t i = 0; i < c.count; i++) {
        toc_free((void *)(uintptr_t)c.items[i].name.p);
        toc_free((void *)(uintptr_t)c.items[i].expr.p);
    }
    TOC_VEC_FINI(&c);
}
