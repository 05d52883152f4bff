#include "app/threshold_watch.h"

#include <math.h>

#include "sys/log.h"

enum { BETWEEN_MS = 60000 };
static const int64_t WEEK_MS = INT64_C(604800000), MONTH_MS = INT64_C(2592000000);

struct finding {
    const struct toc_threshold_watch *w;
    struct toc_ts now;
    char id[TOC_REVIEW_ID_MAX];
    int64_t looked_ms;
};

static int find_due(void *ctx, const struct toc_threshold_review *r) {
    struct finding *f = ctx;
    int64_t last_ms = r->checked_at.ms ? r->checked_at.ms : r->decided_at.ms;
    bool is_due = r->state == TOC_REVIEW_ACCEPTED && r->budget_count > 0 &&
                  f->now.ms - last_ms >= f->w->every_ms;
    if (is_due && (!f->id[0] || last_ms < f->looked_ms)) {
        (void)toc_sv_copy(toc_sv_cstr(r->id), f->id, sizeof f->id);
        f->looked_ms = last_ms;
    }
    return 0;
}

/* Three times as long as one alert may take, a week at least and a month at most; not before the
 * decision: another number was in force. */
static int64_t span_of(const struct toc_threshold_review *r, struct toc_ts now) {
    int64_t period_ms = (int64_t)(r->budget_period_s / r->budget_count * 1000);
    int64_t span = TOC_MIN(TOC_MAX(3 * period_ms, WEEK_MS), MONTH_MS);
    return TOC_MIN(span, TOC_MAX(now.ms - r->decided_at.ms, (int64_t)BETWEEN_MS));
}

static int look(struct toc_threshold_watch *w, struct toc_sv id, struct toc_ts now,
                struct toc_err *err) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_threshold_review r;
    struct toc_trial_effect effect = {0};
    double in_force;
    int rc = toc_review_load(w->blobs, id, &arena, &r, err);
    int64_t span_ms = rc == 0 ? span_of(&r, now) : 0;
    if (rc == 0)
        rc = toc_threshold_trial(&w->trial, r.rule, NAN, now.ms - span_ms, now.ms, &effect,
                                 &in_force, err);
    if (rc == 0) {
        toc_review_note_check(&r, effect.pages, span_ms, now, &arena);
        if (r.is_over_budget)
            toc_log(TOC_LOG_WARN, "rules", "%.*s (%s): %.*s", TOC_SV_ARG(r.rule), r.id,
                    TOC_SV_ARG(r.note));
        rc = toc_review_save(w->blobs, &r, err);
    }
    toc_arena_fini(&arena);
    return rc;
}

int toc_threshold_watch_step(struct toc_threshold_watch *w, struct toc_sv routing,
                             struct toc_ts now, struct toc_err *err) {
    struct finding f = {.w = w, .now = now};
    if (w->every_ms < 0 || now.ms < w->next_ms)
        return 0;
    w->next_ms = now.ms + TOC_MIN(w->every_ms, (int64_t)BETWEEN_MS);
    w->trial.routing = routing;
    int rc = toc_reviews_each(w->blobs, find_due, &f, NULL, err);
    return rc || !f.id[0] ? rc : look(w, toc_sv_cstr(f.id), now, err);
}
