#include "app/doctor_failures.h"

#include "base/alloc.h"
#include "diagnose/failure_alert.h"

struct toc_doctor_failures {
    struct toc_sv run;
    struct toc_failures *failures;
    struct toc_failure_alerts *alerts;
    struct {
        TOC_VEC_FIELDS(const struct toc_failure_hit *)
    } hits;
    size_t given;
};

struct toc_doctor_failures *toc_doctor_failures_new(const struct toc_log_hits *tables,
                                                    struct toc_sv run,
                                                    struct toc_alert_sink *sink) {
    struct toc_doctor_failures *f = TOC_NEW(struct toc_doctor_failures);
    f->run = run;
    f->alerts = toc_failure_alerts_new(&(struct toc_failure_alerts_options){.sink = sink});
    f->failures = toc_failures_new(
        &(struct toc_failures_options){.rules = tables->rules,
                                       .xids = tables->xids,
                                       .listener = toc_failure_alerts_listener(f->alerts)});
    return f;
}

void toc_doctor_failures_free(struct toc_doctor_failures **pf) {
    struct toc_doctor_failures *f = pf ? *pf : NULL;
    if (!f)
        return;
    toc_failures_free(&f->failures);
    toc_failure_alerts_free(&f->alerts);
    TOC_VEC_FINI(&f->hits);
    toc_free(f);
    *pf = NULL;
}

void toc_doctor_failures_add(struct toc_doctor_failures *f, const struct toc_failure_hit *hit) {
    TOC_VEC_PUSH(&f->hits, hit);
}

void toc_doctor_failures_tick(struct toc_doctor_failures *f, struct toc_ts now) {
    for (; f->given < f->hits.count && f->hits.items[f->given]->at.ms <= now.ms; f->given++) {
        struct toc_failure_hit hit = *f->hits.items[f->given];
        hit.job = f->run;
        toc_failures_put(f->failures, &hit, now);
    }
    toc_failures_tick(f->failures, now);
    toc_failure_alerts_tick(f->alerts, now);
}

void toc_doctor_failures_finish(struct toc_doctor_failures *f, struct toc_ts now) {
    toc_doctor_failures_tick(f, now);
    toc_failures_finish(f->failures, now);
}
