/* What a line says, put together from its row's groups and pairs, and given as a report. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "collect/run_line_priv.h"
#include "collect/run_log_feed_priv.h"

enum { FUTURE_MS = 3600 * 1000, APART_MS = 2000, MESSAGE_BYTES = 300 };
static const double STEP_MAX = 9007199254740992.0; /* 2^53 */

/* Values of one line: who adds them and where they go. */
struct taking {
    struct toc_run_log_feed *f;
    struct toc_run_log_line *line;
};

static void push_value(struct taking *t, struct toc_report_field *field, double value,
                       bool is_scalar) {
    struct toc_run_log_line *l = t->line;
    for (size_t i = 0; field && i < l->count; i++)
        if (toc_sv_eq(l->values[i].field->name, field->name))
            return; /* the first one stays: what a group says goes before pairs */
    if (l->count == TOC_RUN_LOG_VALUES_MAX || !field) {
        t->f->counters.values_dropped++;
        return;
    }
    l->values[l->count++] = (struct toc_run_log_value){field, value, is_scalar};
}

static bool set_step(struct toc_run_log_line *l, double v) {
    if (!(v >= 0) || v > STEP_MAX || v != floor(v))
        return false;
    l->step = (int64_t)v;
    l->has_step = true;
    return true;
}

/* Adds to a sum and gives the new one; NaN adds nothing. */
static double add_up(struct toc_run_log_feed *f, struct toc_sv field, double value) {
    struct toc_run_log_state *s = &f->state;
    size_t i = 0;
    while (i < s->sum_count && !toc_sv_eq_cstr(field, s->sums[i].field))
        i++;
    if (i == s->sum_count) {
        if (i == TOC_RUN_LOG_SUMS || !toc_sv_copy(field, s->sums[i].field, sizeof s->sums[i].field))
            return NAN;
        s->sums[i].value = 0;
        s->sum_count++;
    }
    s->sums[i].value += isfinite(value) ? value : 0;
    return s->sums[i].value;
}

static void take_pair(void *ctx, struct toc_run_log_meaning m, struct toc_sv text) {
    struct taking *t = ctx;
    double value;
    if (!toc_run_log_number(text, &value)) {
        t->f->counters.values_bad += m.alias != NULL;
        return;
    }
    if (!m.alias) {
        if (t->line->row->pairs != TOC_RUN_LOG_WORDS)
            push_value(t, m.field, value, true);
        return;
    }
    value *= m.alias->scale;
    if (toc_sv_eq_cstr(m.field->name, "step"))
        t->f->counters.values_bad += !t->line->has_step && !set_step(t->line, value);
    else
        push_value(t, m.field,
                   m.alias->kind == TOC_ALIAS_SUM ? add_up(t->f, m.field->name, value) : value,
                   false);
}

/* The field of a row's group. */
static struct toc_report_field *field_of(struct toc_run_log_feed *f,
                                         const struct toc_run_log_row *row, int group) {
    struct toc_report_field **place =
        &f->group_fields[(size_t)(row - f->o.table->rows) * TOC_RUN_LOG_GROUPS_MAX + (size_t)group];
    if (!*place)
        *place = toc_report_field_value(&f->fields, row->groups[group].field);
    return *place;
}

static void take_number(struct taking *t, int group, double v) {
    struct toc_run_log_line *l = t->line;
    const struct toc_run_log_group *g = &l->row->groups[group];
    switch (g->kind) {
    case TOC_RUN_LOG_GROUP_STEP:
        t->f->counters.values_bad += !set_step(l, v);
        break;
    case TOC_RUN_LOG_GROUP_EPOCH:
    case TOC_RUN_LOG_GROUP_EPOCH0:
        l->has_epoch = true;
        l->epoch = g->kind == TOC_RUN_LOG_GROUP_EPOCH ? v : v + 1;
        break;
    case TOC_RUN_LOG_GROUP_IN:
        l->has_in = v >= 0 && v < 1e9;
        l->in_epoch = l->has_in ? (int64_t)v : 0;
        break;
    case TOC_RUN_LOG_GROUP_PER:
        l->per_epoch = v >= 0 && v < 1e9 ? (int64_t)v : 0;
        break;
    case TOC_RUN_LOG_GROUP_TOTAL:
        l->total = v >= 0 && v < STEP_MAX ? (int64_t)v : 0;
        break;
    default:
        push_value(t, field_of(t->f, l->row, group), v * g->scale, false);
    }
}

/* A line with a step is a report, whatever else it says. */
static bool is_counted(const struct taking *t) {
    const struct toc_run_log_row *r = t->line->row;
    return t->f->o.is_counting && t->line->has_step && r->pairs == TOC_RUN_LOG_NO_PAIRS &&
           (r->kind == TOC_RUN_LOG_STEP || r->kind == TOC_RUN_LOG_PART ||
            r->kind == TOC_RUN_LOG_EVAL);
}

static void take_groups(struct taking *t, const struct toc_run_log_matched *m) {
    const struct toc_run_log_row *r = t->line->row;
    const struct toc_sv *groups = m->groups;
    bool is_eval = r->kind == TOC_RUN_LOG_EVAL;
    for (int i = 1; i < r->group_count; i++) {
        double v;
        if (r->groups[i].kind == TOC_RUN_LOG_GROUP_FIELD && is_counted(t))
            continue;
        if (!groups[i].n || r->groups[i].kind == TOC_RUN_LOG_GROUP_PAIRS)
            continue;
        if (r->groups[i].kind == TOC_RUN_LOG_GROUP_ENGINE)
            t->line->engine = groups[i];
        else if (toc_run_log_number(groups[i], &v))
            take_number(t, i, v);
        else
            t->f->counters.values_bad++;
    }
    for (int i = 1; i < r->group_count; i++)
        if (r->groups[i].kind == TOC_RUN_LOG_GROUP_PAIRS)
            toc_run_log_cut_pairs(m->cuts, r->pairs, t->line->text, groups[i], t->f->names, is_eval,
                                  take_pair, t);
    for (size_t i = 0; i < r->add_count; i++)
        push_value(t, toc_report_field_value(&t->f->fields, r->adds[i].field),
                   add_up(t->f, r->adds[i].field, r->adds[i].value), false);
}

/* Epochs count steps anew; together they are one count. */
static void count_steps(struct toc_run_log_feed *f, struct toc_run_log_line *l) {
    if (l->has_epoch)
        f->state.epoch = l->epoch;
    double epoch = f->state.epoch;
    if (!l->has_step && l->has_in && l->per_epoch > 0 && epoch >= 1)
        (void)set_step(l, (epoch - 1) * (double)l->per_epoch + (double)l->in_epoch);
}

/* --------------------------------------------------------------------------------------- times */

static struct toc_ts time_of(struct toc_run_log_feed *f, struct toc_sv line) {
    struct toc_ts t;
    int64_t *last = &f->state.last_ms;
    bool is_own = toc_run_log_time(line, f->o.utc_offset_minutes, &t) && t.ms > 0 &&
                  t.ms <= f->t.ms + FUTURE_MS;
    if (!is_own)
        t.ms = f->o.is_recorded && *last ? *last : f->t.ms;
    /* Clocks in logs show seconds, and lines without one share the time of reading. */
    if (t.ms <= *last && (!is_own || t.ms > *last - APART_MS))
        t.ms = TOC_MIN(*last + 1, TOC_MAX(t.ms, f->t.ms + FUTURE_MS));
    *last = t.ms;
    return t;
}

static struct toc_ts time_of_line(struct toc_run_log_feed *f, const struct toc_run_log_line *l) {
    return time_of(f, l->may_show_time ? l->text : TOC_SV_NULL);
}

/* ------------------------------------------------------------------------------------- reports */

/* Nothing to write? Then the report is counted, and that is all. */
static bool is_only_counted(struct toc_run_log_feed *f) {
    f->counters.reports += f->o.is_counting;
    return f->o.is_counting;
}

static void give(struct toc_run_log_feed *f, const struct toc_run_report *report) {
    f->counters.reports++;
    f->o.taker->on_run(f->o.taker, report);
}

static void tell_restart(struct toc_run_log_feed *f, struct toc_ts t, struct toc_sv message) {
    f->counters.restarts++;
    f->state.has_told_restart = true;
    if (is_only_counted(f))
        return;
    give(f, &(struct toc_run_report){.t = t,
                                     .is_partial = true,
                                     .is_restart = true,
                                     .message = toc_sv_sub(message, 0, MESSAGE_BYTES)});
}

/* A whole step behind the last one: the job went on from a checkpoint. One that was told by a line
 * is not told again. */
static void look_for_restart(struct toc_run_log_feed *f, const struct toc_run_log_line *l,
                             struct toc_ts t) {
    char text[96];
    if (!l->has_step || l->row->kind != TOC_RUN_LOG_STEP)
        return;
    if (l->step < f->state.step && !f->state.has_told_restart) {
        snprintf(text, sizeof text, "step went back from %lld to %lld", (long long)f->state.step,
                 (long long)l->step);
        tell_restart(f, t, toc_sv_cstr(text));
    }
    f->state.has_told_restart = false;
    f->state.step = l->step;
}

/* The line's numbers: those of the protocol, then those of the log's own; the number of the former.
 */
static size_t sort_values(const struct toc_run_log_line *l, struct toc_report_value *out) {
    size_t n = 0, values = 0;
    for (int is_scalar = 0; is_scalar <= 1; is_scalar++) {
        for (size_t i = 0; i < l->count; i++)
            if (l->values[i].is_scalar == is_scalar)
                out[n++] = (struct toc_report_value){l->values[i].field, l->values[i].value};
        values = is_scalar ? values : n;
    }
    return values;
}

static void give_report(struct toc_run_log_feed *f, const struct toc_run_log_line *l) {
    if (!l->count && !l->has_step)
        return;
    struct toc_ts t = time_of_line(f, l);
    look_for_restart(f, l, t);
    if (l->row->kind == TOC_RUN_LOG_PART && !l->has_step)
        f->state.has_dict = true;
    if (is_only_counted(f))
        return;
    struct toc_report_value values[TOC_RUN_LOG_VALUES_MAX];
    size_t count = sort_values(l, values);
    give(f, &(struct toc_run_report){.t = t,
                                     .has_step = l->has_step,
                                     .step = l->step,
                                     .is_partial = l->row->kind != TOC_RUN_LOG_STEP,
                                     .values = values,
                                     .value_count = count,
                                     .scalars = values + count,
                                     .scalar_count = l->count - count});
}

static void give_serve(struct toc_run_log_feed *f, const struct toc_run_log_line *l) {
    struct toc_serve_sample samples[TOC_RUN_LOG_VALUES_MAX];
    if (!f->o.taker->on_serve || !l->count)
        return;
    for (size_t i = 0; i < l->count; i++)
        samples[i] = (struct toc_serve_sample){l->values[i].field->name, l->values[i].value};
    struct toc_serve_report report = {
        .t = time_of_line(f, l), .engine = l->engine, .samples = samples, .count = l->count};
    f->counters.serve_reports++;
    f->o.taker->on_serve(f->o.taker, &report);
}

/* Bars count many things; the longest one of a program whose numbers come without a step is its
 * training. */
static void note_progress(struct toc_run_log_feed *f, const struct toc_run_log_line *l) {
    if (!l->has_step || l->total < f->state.total)
        return;
    f->state.total = l->total;
    if (f->state.has_dict && l->step <= l->total)
        f->progress = l->step;
}

void toc_run_log_give_progress(struct toc_run_log_feed *f) {
    if (f->progress < 0)
        return;
    struct toc_ts t = time_of(f, TOC_SV_NULL);
    if (!is_only_counted(f))
        give(f, &(struct toc_run_report){
                    .t = t, .has_step = true, .step = f->progress, .is_partial = true});
    f->progress = -1;
}

static void act(struct toc_run_log_feed *f, struct toc_run_log_line *l) {
    switch (l->row->kind) {
    case TOC_RUN_LOG_STEP:
    case TOC_RUN_LOG_PART:
    case TOC_RUN_LOG_EVAL:
        toc_run_log_give_progress(f);
        give_report(f, l);
        break;
    case TOC_RUN_LOG_PROGRESS:
        note_progress(f, l);
        break;
    case TOC_RUN_LOG_RESTART:
        tell_restart(f, time_of_line(f, l), l->text);
        break;
    case TOC_RUN_LOG_SERVE:
        give_serve(f, l);
        break;
    case TOC_RUN_LOG_EPOCH: /* count_steps has noted it */
    case TOC_RUN_LOG_IGNORE:
        break;
    }
}

/* All but the room for values, of which `count` are set. */
static void begin_line(struct toc_run_log_line *l, const struct toc_run_log_matched *m,
                       struct toc_sv text) {
    memset(&l->count, 0, sizeof *l - offsetof(struct toc_run_log_line, count));
    l->row = m->row;
    l->text = text;
    l->may_show_time = m->may_show_time;
}

/* "step 5 loss 2.1" is a report, "step 5 of the tutorial" none. */
static bool is_empty_prose(const struct toc_run_log_line *l) {
    return l->row->pairs == TOC_RUN_LOG_WORDS && !l->count;
}

void toc_run_log_take(struct toc_run_log_feed *f, struct toc_sv text) {
    struct toc_run_log_matched m;
    toc_run_log_shapes_match(f->shapes, f->o.table, text, &m);
    if (!m.row)
        return;
    struct toc_run_log_line line;
    begin_line(&line, &m, text);
    struct taking taking = {f, &line};
    take_groups(&taking, &m);
    if (is_empty_prose(&line))
        return;
    f->counters.lines_matched++;
    count_steps(f, &line);
    act(f, &line);
}
