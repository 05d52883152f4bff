#include "app/doctor_replay.h"

#include <stdio.h>

#include "app/doctor_process.h"
#include "base/alloc.h"

/* Series of the receiver are found by the address of their labels, which it keeps as long as it
 * knows the run; when it forgets one, all places are. */
struct toc_replay_place {
    const struct toc_label *address;   /* of the labels */
    struct toc_replay_place *follower; /* the one that came after it last time; NULL: none yet */
    struct toc_patient *patient;       /* NULL: a run that is left out */
    size_t series;
};

/* A store that lasts is told every few seconds that nothing has changed, so that its readers see a
 * run that lives; the doctor is told what changes, when it does. */
enum { DERIVED_EVERY_MS = 30000 };

static bool is_wanted(const struct toc_replay *r, struct toc_sv run) {
    return !r->o.run.n || toc_sv_eq(r->o.run, run);
}

static struct toc_patient *patient_of(struct toc_replay *r, struct toc_sv run) {
    struct toc_patient *p = toc_map_get(&r->by_name, run);
    if (p || !run.n || !is_wanted(r, run) || r->patients.count >= TOC_REPLAY_RUNS_MAX)
        return p;
    int rc = toc_patient_new(&(struct toc_patient_options){.name = run,
                                                           .limits = r->o.limits,
                                                           .since_ms = r->o.since_ms,
                                                           .until_ms = r->o.until_ms,
                                                           .is_thorough = r->o.is_thorough},
                             &p, NULL);
    if (rc) {
        r->error = rc;
        return NULL;
    }
    toc_map_put(&r->by_name, run, p);
    TOC_VEC_PUSH(&r->patients, p);
    return p;
}

static void forget_places(struct toc_replay *r) {
    const struct toc_map_entry *e;
    for (size_t cursor = 0; (e = toc_map_next(&r->by_labels, &cursor));) {
        struct toc_replay_place *place = e->value;
        toc_free(place);
    }
    toc_map_fini(&r->by_labels);
    r->latest_place = NULL;
}

static struct toc_replay_place *place_of(struct toc_replay *r, struct toc_labels labels) {
    uint64_t address = (uint64_t)(uintptr_t)labels.items;
    struct toc_replay_place *place = toc_map_get(&r->by_labels, toc_map_u64(&address));
    if (place)
        return place;
    place = TOC_NEW(struct toc_replay_place);
    place->address = labels.items;
    toc_map_put(&r->by_labels, toc_map_u64(&address), place);
    place->patient = patient_of(r, toc_labels_get(labels, TOC_SV("run")));
    if (place->patient)
        place->series = toc_patient_series(place->patient, labels);
    return place;
}

/* Lines are alike: what came after a series last time comes after it again. */
static const struct toc_replay_place *next_place(struct toc_replay *r, struct toc_labels labels) {
    struct toc_replay_place *before = r->latest_place, *place = before ? before->follower : NULL;
    if (!place || place->address != labels.items) {
        place = place_of(r, labels);
        if (before)
            before->follower = place;
    }
    r->latest_place = place;
    return place;
}

static void deal_points(struct toc_replay *r, const struct toc_point *points, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct toc_replay_place *place = next_place(r, points[i].labels);
        if (place->patient)
            toc_patient_take(place->patient, place->series, points[i].t_ms, points[i].value);
        else
            r->runs_dropped_samples +=
                is_wanted(r, toc_labels_get(points[i].labels, TOC_SV("run")));
    }
}

static void deal_event(struct toc_replay *r, const struct toc_run_event *e) {
    struct toc_patient *p = patient_of(r, e->run);
    if (p)
        toc_patient_event(p, e);
}

static void deal(struct toc_replay *r, const struct toc_doctor_batch *b) {
    size_t at = 0;
    for (size_t i = 0; i < b->events.count; i++) {
        const struct toc_replay_event *e = &b->events.items[i];
        deal_points(r, b->points.items + at, e->points - at);
        deal_event(r, &e->event);
        at = e->points;
    }
    deal_points(r, b->points.items + at, b->points.count - at);
}

/* The run that a log's line is of: its job is named by its folder's files, whose lines may name the
 * run otherwise. */
static struct toc_patient *patient_of_hit(struct toc_replay *r, const struct toc_failure_hit *h) {
    struct toc_patient *p = toc_map_get(&r->by_name, h->job);
    return !p && r->is_one_run && r->patients.count == 1 ? r->patients.items[0]
                                                         : patient_of(r, h->job);
}

static void give_hits(struct toc_replay *r, int64_t to_ms) {
    struct toc_log_hits *all = r->hits;
    for (; all && r->hits_given < all->hits.count && all->hits.items[r->hits_given].at.ms < to_ms;
         r->hits_given++) {
        const struct toc_failure_hit *h = &all->hits.items[r->hits_given];
        struct toc_patient *p = patient_of_hit(r, h);
        if (p)
            toc_patient_hit(p, all, h);
    }
}

static int advance_patients(struct toc_replay *r, int64_t to_ms) {
    int rc = 0;
    give_hits(r, to_ms);
    for (size_t i = 0; !rc && i < r->patients.count; i++)
        rc = toc_patient_advance(r->patients.items[i], to_ms, &r->err);
    return rc;
}

static int judge_batch(void *ctx, size_t slot) {
    struct toc_replay *r = ctx;
    const struct toc_doctor_batch *b = &r->batches[slot];
    deal(r, b);
    return r->error || b->to_ms == INT64_MIN ? r->error : advance_patients(r, b->to_ms);
}

/* --- what is put --- */

static struct toc_doctor_batch *open_batch(struct toc_replay *r) {
    if (!r->open) {
        r->open = &r->batches[toc_lane_slot(r->lane)];
        toc_doctor_batch_reset(r->open);
    }
    return r->open;
}

static int close_batch(struct toc_replay *r) {
    r->open = NULL;
    return toc_lane_give(r->lane);
}

static int put_points(struct toc_sink *sink, const struct toc_point *points, size_t count,
                      struct toc_write_result *out_result, struct toc_err *err) {
    struct toc_replay *r = TOC_CONTAINER_OF(sink, struct toc_replay, sink);
    (void)err;
    toc_doctor_batch_add_points(open_batch(r), points, count);
    out_result->accepted += count;
    return 0;
}

static void put_event(struct toc_run_listener *l, const struct toc_run_event *e) {
    struct toc_replay *r = TOC_CONTAINER_OF(l, struct toc_replay, listener);
    int rc = toc_doctor_batch_add_event(open_batch(r), e);
    r->put_error = rc ? rc : r->put_error;
}

static int failed(const struct toc_replay *r, int rc, struct toc_err *err) {
    return rc ? toc_errf(err, rc, "%s", r->err.code ? r->err.message : toc_strerror(rc)) : 0;
}

int toc_replay_advance(struct toc_replay *r, int64_t to_ms, struct toc_err *err) {
    open_batch(r)->to_ms = to_ms;
    int rc = close_batch(r);
    return failed(r, rc ? rc : r->put_error, err);
}

int toc_replay_settle(struct toc_replay *r, struct toc_err *err) {
    int rc = r->open ? close_batch(r) : 0, drained = toc_lane_drain(r->lane);
    return failed(r, rc ? rc : drained ? drained : r->put_error, err);
}

/* Labels that points borrow are about to go: what is under way is dealt out first. Its failure is
 * told to whoever gives or drains next. */
static void end_labels(void *ctx) {
    struct toc_replay *r = ctx;
    int rc = r->open ? close_batch(r) : 0;
    (void)(toc_lane_drain(r->lane) || rc);
    forget_places(r);
}

/* --- life --- */

int toc_replay_new(const struct toc_replay_options *o, struct toc_replay **out) {
    struct toc_replay *r = TOC_NEW(struct toc_replay);
    r->o = *o;
    r->sink.write = put_points;
    r->listener.on_event = put_event;
    r->receiver = toc_run_receiver_new(
        &(struct toc_run_receiver_options){.sink = &r->sink,
                                           .listener = &r->listener,
                                           .max_runs = 4 * TOC_REPLAY_RUNS_MAX,
                                           .derived_every_ms = DERIVED_EVERY_MS,
                                           .before_forgetting = end_labels,
                                           .before_forgetting_ctx = r});
    *out = r;
    return toc_lane_new(
        &(struct toc_lane_options){.name = "judge",
                                   .slots = TOC_REPLAY_BATCHES,
                                   .has_thread = toc_executor_width(o->executor) > 1,
                                   .fn = judge_batch,
                                   .ctx = r},
        &r->lane);
}

void toc_replay_free(struct toc_replay **pr) {
    struct toc_replay *r = pr ? *pr : NULL;
    if (!r)
        return;
    toc_lane_free(&r->lane);
    for (size_t i = 0; i < r->patients.count; i++)
        toc_patient_free(&r->patients.items[i]);
    TOC_VEC_FINI(&r->patients);
    toc_map_fini(&r->by_name);
    forget_places(r);
    toc_run_receiver_free(&r->receiver);
    for (size_t i = 0; i < TOC_REPLAY_BATCHES; i++)
        toc_doctor_batch_fini(&r->batches[i]);
    toc_log_hits_free(&r->hits);
    toc_free(r);
    *pr = NULL;
}

struct finishing {
    struct toc_replay *r;
    toc_replay_written *written_ms;
    void *ctx;
    struct toc_err *err;
    int rc;
};

static void finish_one(struct finishing *f, struct toc_patient *p,
                       const struct toc_run_info *info) {
    struct toc_patient_circumstances c = {.info = info, .now_ms = f->r->o.now_ms};
    if (f->rc || p->judged_until_ms)
        return;
    c.written_ms = f->written_ms ? f->written_ms(f->ctx, p->o.name) : 0;
    if (info)
        c.process = toc_doctor_process(info, p->last_ms, c.process_text, sizeof c.process_text);
    f->rc = toc_patient_finish(p, &c, f->err);
}

static void finish_known(void *ctx, const struct toc_run_info *info) {
    struct finishing *f = ctx;
    struct toc_patient *p = toc_map_get(&f->r->by_name, info->run);
    if (p)
        finish_one(f, p, info);
}

int toc_replay_finish(struct toc_replay *r, toc_replay_written *written_ms, void *ctx,
                      struct toc_err *err) {
    struct finishing f = {r, written_ms, ctx, err, toc_replay_settle(r, err)};
    if (f.rc)
        return f.rc;
    give_hits(r, INT64_MAX);
    toc_run_receiver_list(r->receiver, finish_known, &f);
    for (size_t i = 0; i < r->patients.count; i++)
        finish_one(&f, r->patients.items[i], NULL); /* the receiver has forgotten these */
    return f.rc;
}
