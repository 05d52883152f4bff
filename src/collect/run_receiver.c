/*
 * A body is decoded and applied line by line to the run table while every change is noted, then its
 * points go to the sink in one write. If a line is malformed or the sink refuses, the notes are
 * played back and nothing has happened; that is what makes "all lines or none" and "503: send it
 * again" true.
 */
#include "collect/run_receiver_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "codec/csv.h"
#include "collect/run_report_line_priv.h"
#include "collect/run_shape_priv.h"

enum { LINE_ARENA_BYTES = 64 << 20, FUTURE_MS = 3600 * 1000 };

struct toc_run_receiver *toc_run_receiver_new(const struct toc_run_receiver_options *o) {
    struct toc_run_receiver *r = TOC_NEW(struct toc_run_receiver);
    r->o = *o;
    r->o.max_body_bytes = o->max_body_bytes ? o->max_body_bytes : (size_t)8 << 20;
    r->o.max_runs = o->max_runs ? o->max_runs : 1000;
    r->o.max_unknown_fields = o->max_unknown_fields ? o->max_unknown_fields : 64;
    r->o.max_series_per_run = o->max_series_per_run ? o->max_series_per_run : 100000;
    r->o.max_scalar_tags = o->max_scalar_tags ? o->max_scalar_tags : 512;
    r->o.derived_every_ms = o->derived_every_ms ? o->derived_every_ms : 5000;
    toc_mutex_init(&r->mutex, TOC_LOCK_COLLECT);
    toc_arena_init(&r->line_arena, LINE_ARENA_BYTES);
    toc_arena_init(&r->body_arena, LINE_ARENA_BYTES);
    r->shapes = toc_run_shapes_new();
    return r;
}

void toc_run_receiver_free(struct toc_run_receiver **r) {
    if (!r || !*r)
        return;
    for (size_t i = 0; i < (*r)->runs.count; i++)
        toc_run_free((*r)->runs.items[i]);
    TOC_VEC_FINI(&(*r)->runs);
    TOC_VEC_FINI(&(*r)->points);
    TOC_VEC_FINI(&(*r)->touched);
    TOC_VEC_FINI(&(*r)->old_ranks);
    TOC_VEC_FINI(&(*r)->events);
    toc_map_fini(&(*r)->by_name);
    toc_run_shapes_free(&(*r)->shapes);
    toc_arena_fini(&(*r)->line_arena);
    toc_arena_fini(&(*r)->body_arena);
    toc_mutex_fini(&(*r)->mutex);
    toc_free(*r);
    *r = NULL;
}

static void remove_run(struct toc_run_receiver *r, struct toc_run *run) {
    if (r->o.before_forgetting)
        r->o.before_forgetting(r->o.before_forgetting_ctx);
    for (size_t i = 0; i < r->runs.count; i++)
        if (r->runs.items[i] == run) {
            TOC_VEC_REMOVE(&r->runs, i);
            break;
        }
    toc_map_remove(&r->by_name, run->name);
    if (r->latest == run)
        r->latest = NULL;
    toc_run_free(run);
}

static bool is_touched(const struct toc_run_receiver *r, const struct toc_run *run) {
    for (size_t i = 0; i < r->touched.count; i++)
        if (r->touched.items[i].run == run)
            return true;
    return false;
}

/* Forgets the run that has been silent for longest; false when all of them are in this body. */
static bool make_room(struct toc_run_receiver *r) {
    struct toc_run *oldest = NULL;
    for (size_t i = 0; i < r->runs.count; i++) {
        struct toc_run *run = r->runs.items[i];
        if (!is_touched(r, run) &&
            (!oldest || run->latest.last_line_ms < oldest->latest.last_line_ms))
            oldest = run;
    }
    if (!oldest)
        return false;
    remove_run(r, oldest);
    r->counters.runs_evicted++;
    return true;
}

static void note_run(struct toc_run_receiver *r, struct toc_run *run, bool is_new) {
    if (is_touched(r, run))
        return;
    TOC_VEC_PUSH(&r->touched, ((struct toc_run_touch){
                                  .run = run,
                                  .is_new = is_new,
                                  .latest = run->latest,
                                  .ranks = run->ranks.count,
                                  .layers = run->layers.count,
                                  .unknown = run->unknown.count,
                              }));
}

static struct toc_run *run_get(struct toc_run_receiver *r, struct toc_sv name) {
    bool is_latest = r->latest && toc_sv_eq(r->latest->name, name);
    struct toc_run *run = is_latest ? r->latest : toc_map_get(&r->by_name, name);
    bool is_new = !run;
    if (is_new) {
        if (r->runs.count >= r->o.max_runs && !make_room(r))
            return NULL;
        run = toc_run_new(name);
        run->number = ++r->runs_made;
        toc_map_put(&r->by_name, name, run);
        TOC_VEC_PUSH(&r->runs, run);
    }
    r->latest = run;
    note_run(r, run, is_new);
    return run;
}

static void undo_touch(struct toc_run_receiver *r, struct toc_run_touch *t) {
    struct toc_run *run = t->run;
    if (t->has_labels) {
        toc_labels_free(&run->labels);
        run->labels = t->labels;
    }
    if (t->is_new) {
        remove_run(r, run);
        return;
    }
    run->latest = t->latest;
    run->number = ++r->runs_made; /* what was remembered of its series may not be so */
    toc_run_ranks_cut(run, t->ranks);
    while (run->layers.count > t->layers) {
        struct toc_sv name = run->layers.items[--run->layers.count];
        toc_map_remove(&run->layer_set, name);
        toc_free((void *)(uintptr_t)name.p);
    }
    while (run->unknown.count > t->unknown)
        toc_free((void *)(uintptr_t)run->unknown.items[--run->unknown.count].p);
}

static void undo(struct toc_run_receiver *r) {
    for (size_t i = r->old_ranks.count; i-- > 0;) {
        const struct toc_run_old_rank *old = &r->old_ranks.items[i];
        if (old->index < old->run->ranks.count)
            old->run->ranks.items[old->index] = old->value;
    }
    for (size_t i = r->touched.count; i-- > 0;)
        undo_touch(r, &r->touched.items[i]);
}

static void commit(struct toc_run_receiver *r, struct toc_ts now) {
    for (size_t i = 0; i < r->touched.count; i++) {
        struct toc_run_touch *t = &r->touched.items[i];
        if (t->has_labels)
            toc_labels_free(&t->labels);
        t->run->latest.last_line_ms = now.ms;
        if (t->run->layers.count > t->layers)
            toc_run_note_event(r, t->run, NULL, TOC_RUN_EVENT_LAYERS, now.ms);
    }
    for (size_t i = 0; r->o.listener && i < r->events.count; i++) {
        struct toc_run_event *e = &r->events.items[i].event;
        const struct toc_run *run = r->events.items[i].run;
        e->run = run->name;
        e->layers = run->layers.items;
        e->layer_count = run->layers.count;
        r->o.listener->on_event(r->o.listener, e);
    }
}

static int check_time(struct toc_run_receiver *r, const struct toc_run_line *line,
                      struct toc_err *err) {
    if (!line->has_t || line->t_ms <= r->now.ms + FUTURE_MS)
        return 0;
    return toc_err_at(err, TOC_EPARSE, line->number, 0,
                      "line %d: \"t\" is more than 1 h in the future: send seconds since 1970 (not "
                      "milliseconds) and check the sender's clock",
                      line->number);
}

/* The time of recorded lines goes on from line to line. */
static void note_time(struct toc_run_receiver *r, const struct toc_run_body *body,
                      const struct toc_run_line *line) {
    if (r->recorded_ms)
        r->recorded_ms = line->has_t ? line->t_ms : r->recorded_ms + body->recorded_gap_ms;
}

static int take_line(struct toc_run_receiver *r, const struct toc_run_body *body,
                     const struct toc_run_line *line, struct toc_err *err) {
    int rc = check_time(r, line, err);
    if (rc)
        return rc;
    struct toc_run *run = run_get(r, line->run.n ? line->run : body->run);
    if (!run)
        return toc_err_at(err, TOC_EPARSE, line->number, 0, "line %d: more than %zu runs in a body",
                          line->number, r->o.max_runs);
    note_time(r, body, line);
    rc = toc_run_apply(r, run, line, err);
    toc_arena_reset(&r->line_arena);
    return rc;
}

static int take_json(struct toc_run_receiver *r, const struct toc_run_body *body,
                     struct toc_err *err) {
    struct toc_run_decoder d = {&r->line_arena, err, body->is_file, body->run, r->shapes};
    struct toc_sv rest = body->bytes, text;
    int number = body->first_line ? body->first_line : 1, rc = 0;
    for (; !rc && rest.n && toc_sv_split(&rest, '\n', &text); number++) {
        text = toc_sv_trim(text);
        struct toc_run_line line;
        if (!text.n || (text.n == 1 && text.p[0] == '\r'))
            continue;
        rc = toc_run_line_json(&d, text, number, &line);
        if (!rc)
            rc = take_line(r, body, &line, err);
    }
    return rc;
}

/* A row that the CSV reader cuts. */
static int read_row(const struct toc_run_decoder *d, struct toc_csv_reader *csv,
                    const struct toc_run_columns *columns, int offset, struct toc_err *why,
                    struct toc_run_line *out) {
    const struct toc_sv *cells;
    size_t count;
    int rc = toc_csv_read(csv, d->arena, &cells, &count, why);
    if (rc == TOC_EEND)
        return rc;
    if (rc)
        return toc_err_at(d->err, rc == TOC_ENOMEM ? rc : TOC_EPARSE, csv->line + offset, 0,
                          "line %d: %.400s", csv->line + offset, why->message);
    return toc_run_line_csv(d, columns, cells, count, csv->line + offset, out);
}

static int take_csv_rows(struct toc_run_receiver *r, const struct toc_run_body *body,
                         struct toc_csv_reader *csv, const struct toc_run_columns *columns,
                         struct toc_err *err) {
    struct toc_run_decoder d = {&r->line_arena, err, body->is_file, body->run, NULL};
    int offset = body->first_line ? body->first_line - 1 : 0, rc = 0;
    struct toc_err why = {0}; /* large: not anew for each row */
    struct toc_run_line line;
    while (!rc) {
        size_t n =
            toc_run_line_plain_csv(&d, columns, toc_csv_rest(csv), csv->next_line + offset, &line);
        if (n)
            toc_csv_pass_record(csv, n);
        else
            rc = read_row(&d, csv, columns, offset, &why, &line);
        if (!rc)
            rc = take_line(r, body, &line, err);
    }
    return rc == TOC_EEND ? 0 : rc;
}

static int take_csv(struct toc_run_receiver *r, const struct toc_run_body *body,
                    struct toc_err *err) {
    struct toc_csv_reader csv;
    const struct toc_sv *names;
    size_t count;
    struct toc_run_columns *columns = NULL;
    struct toc_run_decoder d = {&r->body_arena, err, body->is_file, body->run, NULL};
    toc_csv_reader_init(&csv, body->bytes);
    csv.max_field_bytes = TOC_RUN_LINE_MAX_BYTES;
    int rc = toc_csv_read(&csv, &r->body_arena, &names, &count, err);
    if (rc == TOC_EEND)
        return 0;
    if (rc)
        return rc == TOC_ENOMEM ? rc : TOC_EPARSE;
    rc = toc_run_columns_parse(&d, names, count, csv.line, &columns);
    return rc ? rc : take_csv_rows(r, body, &csv, columns, err);
}

static void body_begin(struct toc_run_receiver *r, struct toc_ts now) {
    r->now = now;
    r->body_number++;
    r->points.count = 0;
    r->touched.count = 0;
    r->old_ranks.count = 0;
    r->events.count = 0;
    r->pending = (struct toc_run_counters){0};
    toc_arena_reset(&r->line_arena);
    toc_arena_reset(&r->body_arena);
}

static int write_points(struct toc_run_receiver *r, struct toc_err *err) {
    struct toc_write_result result = {0};
    if (!r->points.count)
        return 0;
    int rc = r->o.sink->write(r->o.sink, r->points.items, r->points.count, &result, err);
    /* A store's own "malformed" must not look like the sender's. */
    if (rc == TOC_EPARSE || rc == TOC_ELIMIT)
        rc = TOC_EUNAVAILABLE;
    for (size_t i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        r->pending.samples_rejected += result.rejected[i];
    return rc;
}

static void count_accepted(struct toc_run_receiver *r) {
    r->counters.bodies_accepted++;
    r->counters.lines_accepted += r->pending.lines_accepted;
    r->counters.lines_repeated += r->pending.lines_repeated;
    r->counters.fields_ignored += r->pending.fields_ignored;
    r->counters.samples_rejected += r->pending.samples_rejected;
    r->counters.scalars_dropped += r->pending.scalars_dropped;
}

/* What was taken becomes true, or nothing of it. */
static int finish(struct toc_run_receiver *r, int rc, struct toc_ts now, struct toc_err *err) {
    if (rc == TOC_EPARSE)
        r->counters.bodies_refused++;
    if (!rc)
        rc = write_points(r, err);
    if (rc) {
        undo(r);
        r->failed_body = r->body_number;
        return rc;
    }
    count_accepted(r);
    commit(r, now);
    return 0;
}

static int put_locked(struct toc_run_receiver *r, const struct toc_run_body *body,
                      struct toc_ts now, struct toc_err *err) {
    body_begin(r, now);
    r->recorded_ms = body->recorded_t.ms;
    int rc = body->format == TOC_RUN_CSV ? take_csv(r, body, err) : take_json(r, body, err);
    return finish(r, rc, now, err);
}

static int put_report(struct toc_run_receiver *r, const struct toc_run_body *body, size_t i,
                      struct toc_report_batch *batch, struct toc_err *err) {
    struct toc_run_decoder d = {&r->line_arena, err, true, body->run, NULL};
    struct toc_run_report report = toc_report_batch_at(batch, i);
    struct toc_run_line line;
    int rc = toc_run_line_report(&d, &report, 1, &line);
    return rc ? rc : take_line(r, body, &line, err);
}

static int take_reports(struct toc_run_receiver *r, const struct toc_run_reports *reports,
                        struct toc_err *err) {
    struct toc_run_body body = {.run = reports->run};
    struct toc_err why = {0}; /* large: not anew for each report */
    for (size_t i = 0; i < reports->batch->entries.count; i++) {
        int rc = put_report(r, &body, i, reports->batch, &why);
        if (rc && rc != TOC_EPARSE)
            return toc_errf(err, rc, "%s", why.message);
        if (!rc)
            continue;
        reports->on_refused(reports->ctx, why.message);
        why = (struct toc_err){0};
        toc_arena_reset(&r->line_arena);
    }
    return 0;
}

static int check_name(struct toc_sv run, struct toc_err *err) {
    return toc_run_name_is_valid(run)
               ? 0
               : toc_errf(err, TOC_EPARSE,
                          "the run's name must be 1 to %d bytes of UTF-8 without control "
                          "characters: add ?run=NAME",
                          TOC_RUN_NAME_MAX_BYTES);
}

static int check_body(struct toc_run_receiver *r, const struct toc_run_body *body,
                      struct toc_err *err) {
    if (body->bytes.n > r->o.max_body_bytes)
        return toc_errf(err, TOC_ELIMIT, "a body of %zu bytes: at most %zu; send smaller parts",
                        body->bytes.n, r->o.max_body_bytes);
    return check_name(body->run, err);
}

int toc_run_receiver_put(struct toc_run_receiver *r, const struct toc_run_body *body,
                         struct toc_ts now, struct toc_err *err) {
    struct toc_err why = {0};
    toc_mutex_lock(&r->mutex);
    int rc = check_body(r, body, &why);
    if (rc)
        r->counters.bodies_refused++;
    else
        rc = put_locked(r, body, now, &why);
    toc_mutex_unlock(&r->mutex);
    return rc ? toc_err_at(err, rc, why.line, why.column, "%s",
                           why.code ? why.message : toc_strerror(rc))
              : 0;
}

int toc_run_receiver_put_reports(struct toc_run_receiver *r, const struct toc_run_reports *reports,
                                 struct toc_ts now, struct toc_err *err) {
    struct toc_err why = {0};
    toc_mutex_lock(&r->mutex);
    body_begin(r, now);
    r->recorded_ms = 0;
    int rc = check_name(reports->run, &why);
    if (!rc)
        rc = take_reports(r, reports, &why);
    rc = finish(r, rc, now, &why);
    toc_mutex_unlock(&r->mutex);
    return rc ? toc_errf(err, rc, "%s", why.code ? why.message : toc_strerror(rc)) : 0;
}

struct toc_run_counters toc_run_receiver_counters(struct toc_run_receiver *r) {
    toc_mutex_lock(&r->mutex);
    struct toc_run_counters c = r->counters;
    toc_mutex_unlock(&r->mutex);
    return c;
}
