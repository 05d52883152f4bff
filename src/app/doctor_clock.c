/* The virtual clock of a patient: which moments are judged. */
#include <math.h>
#include <string.h>

#include "app/doctor_patient_priv.h"
#include "base/alloc.h"

/* --- surprises --- */

enum { LEARN = 8, ODD_FACTOR = 6, RISE_FACTOR = 4, LATE_FACTOR = 3, NONFINITE_TOLD = 3 };
/* The spread is followed more slowly: known from few values it is so uncertain that ordinary noise
 * would surprise. */
static const double follow = 1.0 / 16, follow_spread = 1.0 / 64, coarse_factor = 50;

/* A layer or a rank: noisy and many, so only what is far out counts. */
static bool is_far_out(const struct toc_patient_series *s, double value) {
    double level = fabs(s->mean), size = fabs(value);
    return s->seen >= LEARN &&
           (size > level * coarse_factor || (level > 0 && size < level / coarse_factor));
}

static bool is_odd(const struct toc_patient_series *s, double value) {
    return s->seen >= LEARN &&
           fabs(value - s->mean) > ODD_FACTOR * s->deviation + 1e-9 * fabs(s->mean);
}

/* A loss that climbs, however slowly: its distance from the slow mean grows as it does, so it is
 * held against the noise from report to report. */
static bool is_rising(const struct toc_patient_series *s, double value) {
    return s->role == TOC_SERIES_LOSS && s->seen >= LEARN &&
           value - s->mean > RISE_FACTOR * s->noise;
}

static void learn(struct toc_patient_series *s, double value) {
    double weight = s->seen < LEARN ? 1.0 / (s->seen + 1) : follow;
    double spread_weight = s->seen < 64 ? 1.0 / (s->seen + 1) : follow_spread;
    double distance = fabs(value - s->mean);
    s->noise += s->seen ? weight * (fabs(value - s->last) - s->noise) : 0;
    s->last = value;
    s->deviation += s->seen ? spread_weight * (distance - s->deviation) : 0;
    s->mean += weight * (value - s->mean);
    s->seen++;
}

/* Steps that come three times as late as usual. */
static bool is_late(struct toc_patient_series *s, int64_t t_ms) {
    double gap_ms = s->last_ms ? (double)(t_ms - s->last_ms) : 0;
    bool is = s->seen > LEARN && gap_ms > LATE_FACTOR * s->usual_gap_ms && gap_ms > 500;
    if (gap_ms > 0)
        s->usual_gap_ms += follow * (gap_ms - s->usual_gap_ms) * (s->usual_gap_ms > 0 ? 1 : 16);
    return is;
}

bool toc_patient_is_surprised(struct toc_patient_series *s, int64_t t_ms, double value) {
    bool is = s->role == TOC_SERIES_STEP && is_late(s, t_ms);
    s->last_ms = t_ms;
    if (!isfinite(value))
        return is || s->nonfinite++ < NONFINITE_TOLD;
    is |= s->nonfinite > 0 || is_rising(s, value);
    is |= s->role == TOC_SERIES_COARSE ? is_far_out(s, value) : is_odd(s, value);
    s->nonfinite = 0;
    learn(s, value);
    return is;
}

/* --- ticks --- */

static void tell_events(struct toc_patient *p, int64_t now_ms) {
    struct toc_run_listener *l = toc_doctor_listener(p->doctor);
    for (; p->delivered < p->events.count && p->events.items[p->delivered].t_ms <= now_ms;
         p->delivered++) {
        const struct toc_patient_event *kept = &p->events.items[p->delivered];
        struct toc_run_event e = {.kind = kept->kind,
                                  .run = p->o.name,
                                  .rank = kept->rank,
                                  .t = {kept->t_ms},
                                  .has_step = kept->has_step,
                                  .step = kept->step,
                                  .state = kept->state,
                                  .message = toc_sv_cstr(kept->message)};
        l->on_event(l, &e);
    }
}

/* The report keeps the first events; those in the middle of a long run go. */
static void forget_events(struct toc_patient *p) {
    while (p->delivered > TOC_PATIENT_EVENTS_MAX) {
        size_t at = TOC_PATIENT_EVENTS_MAX / 2;
        toc_free(p->events.items[at].message);
        TOC_VEC_REMOVE(&p->events, at);
        p->delivered--;
        p->events_dropped++;
    }
}

static void forget(struct toc_patient *p) {
    enum { EVERY_MS = 60 * 1000, KEEP_MS = 60 * 1000 };
    if (p->tick_ms - p->forgotten_ms < EVERY_MS)
        return;
    p->forgotten_ms = p->tick_ms;
    toc_window_store_forget(p->store, p->tick_ms - KEEP_MS);
    forget_events(p);
}

int toc_patient_tick(struct toc_patient *p, int64_t now_ms, struct toc_err *err) {
    if (now_ms <= p->tick_ms)
        return 0;
    p->tick_ms = now_ms;
    p->steps_since_tick = 0;
    p->ticks++;
    toc_window_store_set_horizon(p->store, now_ms - 1);
    tell_events(p, now_ms);
    int rc = toc_doctor_tick(p->doctor, (struct toc_ts){now_ms}, err);
    if (rc)
        return rc;
    if (p->failures)
        toc_doctor_failures_tick(p->failures, (struct toc_ts){now_ms});
    toc_incident_tick(p->manager, (struct toc_ts){now_ms});
    forget(p);
    return 0;
}

int toc_patient_silence(struct toc_patient *p, int64_t to_ms, struct toc_err *err) {
    enum { NEAR_MS = 10000, NEAR_THOROUGH_MS = 200000, STEP_MS = 1000, GROWTH = 40 };
    int64_t from_ms = p->quiet_since_ms, near_ms = p->o.is_thorough ? NEAR_THOROUGH_MS : NEAR_MS;
    /* A pause as long as usual is no silence. */
    int64_t usual_ms = TOC_MAX((int64_t)(2 * p->usual_gap_ms), 2 * (int64_t)STEP_MS);
    int64_t at_ms = p->o.is_thorough ? from_ms + STEP_MS : from_ms + usual_ms;
    bool is_silent = from_ms && at_ms < to_ms;
    /* What came before it is judged at its own time. */
    int rc = is_silent ? toc_patient_tick(p, from_ms, err) : 0;
    while (!rc && is_silent && at_ms < to_ms) {
        rc = toc_patient_tick(p, at_ms, err);
        int64_t silent_ms = at_ms - from_ms;
        at_ms += silent_ms < near_ms ? STEP_MS : TOC_MAX(silent_ms / GROWTH, (int64_t)STEP_MS);
    }
    return rc;
}

/* Reports go on without a step: when it becomes a hang is to be known to the second. */
static bool is_stuck(const struct toc_patient *p, int64_t end_ms) {
    enum { NEWS_MS = 10 * 60 * 1000 };
    int64_t stuck_ms = p->progress_ms ? end_ms - p->progress_ms : 0;
    return (double)stuck_ms > LATE_FACTOR * p->usual_step_ms && stuck_ms > 2000 &&
           stuck_ms < NEWS_MS;
}

/* The longer all was calm, the less the next moments tell. */
static int64_t sparse_ms(const struct toc_patient *p, int64_t end_ms) {
    int64_t calm_ms = end_ms - p->dense_until_ms;
    return TOC_MAX((int64_t)TOC_PATIENT_SPARSE_MS,
                   TOC_MIN(calm_ms / TOC_PATIENT_SPARSE_SHARE, (int64_t)TOC_PATIENT_SPARSE_MAX_MS));
}

static bool is_due(const struct toc_patient *p, int64_t end_ms) {
    return p->o.is_thorough || !p->tick_ms || end_ms <= p->dense_until_ms || is_stuck(p, end_ms) ||
           end_ms - p->tick_ms >= sparse_ms(p, end_ms) ||
           p->steps_since_tick >= TOC_PATIENT_SPARSE_STEPS;
}

static int judge_second(struct toc_patient *p, const struct toc_patient_second *second,
                        struct toc_err *err) {
    int64_t begin_ms = second->s * 1000, end_ms = begin_ms + 1000;
    int rc = toc_patient_silence(p, begin_ms, err);
    if (!rc && second->is_surprising) /* what was before it is judged without it */
        rc = toc_patient_tick(p, p->quiet_since_ms, err);
    if (rc)
        return rc;
    if (!p->dense_until_ms)
        p->dense_until_ms = end_ms + TOC_PATIENT_DENSE_START_MS;
    if (second->is_surprising)
        p->dense_until_ms = TOC_MAX(p->dense_until_ms, end_ms + TOC_PATIENT_DENSE_MS);
    if (p->quiet_since_ms)
        p->usual_gap_ms += ((double)(begin_ms - p->quiet_since_ms) - p->usual_gap_ms) / 16;
    p->quiet_since_ms = end_ms;
    p->steps_since_tick += second->steps;
    if (second->steps)
        p->progress_ms = end_ms;
    return second->is_judged || is_due(p, end_ms) ? toc_patient_tick(p, end_ms, err) : 0;
}

int toc_patient_advance(struct toc_patient *p, int64_t to_ms, struct toc_err *err) {
    int rc = 0;
    while (!rc && p->judged < p->seconds.count &&
           (p->seconds.items[p->judged].s + 1) * 1000 <= to_ms)
        rc = judge_second(p, &p->seconds.items[p->judged++], err);
    if (p->judged > 1024 && p->judged > p->seconds.count / 2) {
        p->seconds.count -= p->judged;
        memmove(p->seconds.items, p->seconds.items + p->judged,
                p->seconds.count * sizeof *p->seconds.items);
        p->judged = 0;
    }
    return rc;
}
