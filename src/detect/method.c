#include "detect/method.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/attrs.h"
#include "detect/alert_budget.h"
#include "detect/iforest.h"
#include "detect/method_priv.h"

enum {
    FOREST_ROWS = 4096,    /* the newest, that a forest is grown from */
    FOREST_ROWS_MIN = 256, /* before the first forest */
    FOREST_EVERY = 512,    /* rows between two forests, once the memory is full */
    GAP_ROWS = 128,
};
static const double SURPRISE_OF_INFINITY = 100, SCORE_OF_INFINITY = 0.98;

/* Rows remembered and the forest grown from them. */
struct forest {
    struct toc_iforest *trees;
    struct toc_tail_sketch tail;
    double *rows;       /* ring of FOREST_ROWS */
    size_t count, next; /* rows held, where the next goes */
    size_t since;       /* rows since the last forest */
};

struct toc_judge {
    struct toc_method_options options;
    struct toc_budget_options alert_options;
    struct toc_budget_state alert;
    struct toc_stream *stream;
    struct method_column *columns;
    struct forest forest;
    double *filled; /* last known values */
    double last_seconds, interval;
    bool has_row;
    struct toc_method_result last;
};

const struct toc_method_info *toc_method_info(enum toc_method m) {
    static const struct toc_method_info table[] = {
#define INFO(name, text, direction, rows, help) {text, help, direction, rows},
        TOC_METHOD_TABLE(INFO)
#undef INFO
    };
    return m < TOC_METHODS ? &table[m] : NULL;
}

int toc_method_parse(struct toc_sv name, enum toc_method *out) {
    for (int m = 0; m < TOC_METHODS; m++)
        if (toc_sv_eq_cstr(name, toc_method_info((enum toc_method)m)->name)) {
            *out = (enum toc_method)m;
            return 0;
        }
    return TOC_ENOENT;
}

static int new_columns(struct toc_judge *j, struct toc_err *err) {
    size_t count = j->options.stream.columns;
    int rc = 0;
    j->columns = toc_try_calloc(count, sizeof *j->columns);
    if (!j->columns)
        return toc_errf(err, TOC_ENOMEM, "no memory for %zu columns", count);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = toc_method_column_init(&j->columns[i], j->options.method, err);
    return rc;
}

static int new_forest(struct toc_judge *j, struct toc_err *err) {
    size_t count = j->options.stream.columns;
    j->forest.rows = toc_try_calloc(FOREST_ROWS * count, sizeof *j->forest.rows);
    j->filled = toc_try_calloc(count, sizeof *j->filled);
    if (!j->forest.rows || !j->filled)
        return toc_errf(err, TOC_ENOMEM, "no memory for %zu columns", count);
    return 0;
}

/* The stream checks columns, budget and direction for all. */
static int check(const struct toc_method_options *o, struct toc_err *err) {
    const struct toc_method_info *info = toc_method_info(o->method);
    struct toc_stream *probe;
    TOC_ASSERT(info);
    if (o->stream.direction != TOC_STREAM_BOTH && !info->has_direction)
        return toc_errf(err, TOC_EINVAL, "%s knows no direction: leave it out", info->name);
    int rc = toc_stream_new(&o->stream, &probe, err);
    toc_stream_free(&probe);
    return rc;
}

int toc_judge_new(const struct toc_method_options *o, struct toc_judge **out, struct toc_err *err) {
    *out = NULL;
    int rc = check(o, err);
    if (rc < 0)
        return rc;
    struct toc_judge *j = TOC_NEW(struct toc_judge);
    j->options = *o;
    j->last.column = SIZE_MAX;
    double budget = o->stream.budget_seconds;
    j->alert_options = (struct toc_budget_options){budget > 0 ? budget : TOC_STREAM_BUDGET_SECONDS,
                                                   o->stream.threshold, TOC_MAX(o->stream.k, 1u),
                                                   TOC_MAX(o->stream.m, 1u)};
    if (o->method == TOC_METHOD_ENSEMBLE)
        rc = toc_stream_new(&o->stream, &j->stream, err);
    else if (o->method == TOC_METHOD_ISOLATION_FOREST)
        rc = new_forest(j, err);
    else
        rc = new_columns(j, err);
    *out = j;
    if (rc < 0)
        toc_judge_free(out);
    return rc;
}

void toc_judge_free(struct toc_judge **at) {
    struct toc_judge *j = *at;
    if (!j)
        return;
    for (size_t i = 0; j->columns && i < j->options.stream.columns; i++)
        toc_method_column_fini(&j->columns[i], j->options.method);
    toc_stream_free(&j->stream);
    toc_iforest_free(&j->forest.trees);
    toc_free(j->columns);
    toc_free(j->forest.rows);
    toc_free(j->filled);
    toc_free(j);
    *at = NULL;
}

size_t toc_judge_bytes(const struct toc_judge *j) {
    size_t bytes = sizeof *j, count = j->options.stream.columns;
    if (j->stream)
        bytes += toc_stream_bytes(j->stream);
    for (size_t i = 0; j->columns && i < count; i++)
        bytes += toc_method_column_bytes(&j->columns[i], j->options.method);
    if (j->forest.rows)
        bytes += FOREST_ROWS * count * sizeof(double);
    if (j->forest.trees)
        bytes += toc_iforest_info(j->forest.trees).nodes * 8;
    return bytes;
}

/* What several columns, or the forest, say of a row. */
struct row_verdict {
    double rank, surprise, lower, upper;
    size_t column;
    bool is_judged;
};

static void take_column(struct row_verdict *row, size_t column, struct method_column *c,
                        struct method_verdict v) {
    if (v.score < 0)
        return;
    double surprise = v.surprise >= 0 ? v.surprise : toc_tail_surprise(&c->tail.tail, v.score);
    double rank = v.surprise >= 0 ? v.score : toc_tail_excess(&c->tail.tail, v.score);
    toc_tail_learn(&c->tail.tail, v.score);
    if (!row->is_judged || surprise > row->surprise) {
        row->surprise = surprise;
        row->column = column;
        row->lower = v.lower;
        row->upper = v.upper;
    }
    row->rank = fmax(row->rank, rank);
    row->is_judged = true;
}

static struct row_verdict judge_columns(struct toc_judge *j, double seconds, const double *values) {
    struct row_verdict row = {.column = SIZE_MAX, .lower = NAN, .upper = NAN};
    size_t count = j->options.stream.columns;
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]) && fabs(values[i]) <= 1e30)
            take_column(&row, i, &j->columns[i],
                        toc_method_column_step(&j->columns[i], &j->options, seconds, values[i]));
    row.surprise = fmax(row.surprise - log10((double)count), 0); /* the strangest of so many */
    return row;
}

/* A forest from the remembered rows; when it cannot be grown the old one stays. */
static void grow(struct toc_judge *j) {
    struct forest *f = &j->forest;
    struct toc_iforest_params p = toc_iforest_params_default();
    struct toc_iforest *fresh = NULL;
    struct toc_err ignored = {0};
    struct toc_matrix x = {f->rows, f->count, j->options.stream.columns};
    f->since = 0;
    if (toc_iforest_fit(&p, x, &fresh, &ignored) < 0)
        return;
    toc_iforest_free(&f->trees);
    f->trees = fresh;
}

/* Missing values repeat the last ones. */
static struct row_verdict judge_forest(struct toc_judge *j, const double *values) {
    struct row_verdict row = {.column = SIZE_MAX, .lower = NAN, .upper = NAN};
    struct forest *f = &j->forest;
    size_t count = j->options.stream.columns;
    struct toc_err ignored = {0};
    double score;
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]) && fabs(values[i]) <= 1e30)
            j->filled[i] = values[i];
    struct toc_matrix x = {j->filled, 1, count};
    if (f->trees && toc_iforest_score(f->trees, x, &score, &ignored) == 0) {
        /* The score is bounded, a tail is not: the usual path length over the row's own. */
        double strange = -1 / log2(fmin(fmax(-score, 1e-3), 0.999));
        row.surprise = toc_tail_surprise(&f->tail.tail, strange);
        row.rank = toc_tail_excess(&f->tail.tail, strange);
        row.is_judged = true;
        toc_tail_learn(&f->tail.tail, strange);
    }
    memcpy(f->rows + f->next * count, j->filled, count * sizeof *j->filled);
    f->next = (f->next + 1) % FOREST_ROWS;
    f->count = TOC_MIN(f->count + 1, (size_t)FOREST_ROWS);
    f->since++;
    size_t wanted = f->trees ? TOC_MAX(f->count / 8, (size_t)32) : FOREST_ROWS_MIN;
    if (f->since >= TOC_MIN(wanted, (size_t)FOREST_EVERY))
        grow(j);
    return row;
}

static bool has_infinity(const struct toc_judge *j, const double *values) {
    for (size_t i = 0; i < j->options.stream.columns; i++)
        if (isinf(values[i]))
            return j->options.stream.is_infinity_alert;
    return false;
}

static bool has_value(const struct toc_judge *j, const double *values) {
    for (size_t i = 0; i < j->options.stream.columns; i++)
        if (isfinite(values[i]))
            return true;
    return false;
}

/* Nothing is learnt from a row with a number that is none. */
static struct toc_method_result take_infinity(struct toc_judge *j, const double *values) {
    struct toc_stream_result *r = &j->last.row;
    r->score = SCORE_OF_INFINITY;
    r->surprise = SURPRISE_OF_INFINITY;
    r->is_alert = true;
    j->last.column = 0;
    while (!isinf(values[j->last.column]))
        j->last.column++;
    return j->last;
}

/* The usual distance of rows follows slowly; a gap counts as ten of them at most. */
static double note_time(struct toc_judge *j, double seconds) {
    double since = j->has_row ? seconds - j->last_seconds : 0;
    bool is_gap = j->interval > 0 && since > GAP_ROWS * j->interval;
    for (size_t i = 0; is_gap && j->columns && i < j->options.stream.columns; i++)
        toc_method_column_break(&j->columns[i], j->options.method);
    if (j->has_row && j->interval > 0)
        j->interval += (fmin(since, 10 * j->interval) - j->interval) / 64;
    else
        j->interval = since;
    j->has_row = true;
    j->last_seconds = seconds;
    return since;
}

static struct toc_method_result step_alone(struct toc_judge *j, double seconds,
                                           const double *values) {
    bool is_late = (j->has_row && !(seconds > j->last_seconds)) || !(fabs(seconds) < 1e15);
    if (!is_late && has_infinity(j, values)) {
        (void)note_time(j, seconds);
        return take_infinity(j, values);
    }
    if (is_late || !has_value(j, values)) {
        struct toc_method_result same = j->last;
        same.row.surprise = 0;
        same.row.is_alert = false;
        return same;
    }
    double since = note_time(j, seconds);
    struct row_verdict v =
        j->forest.rows ? judge_forest(j, values) : judge_columns(j, seconds, values);
    double interval = j->interval > 0 ? j->interval : 1;
    bool is_open = toc_budget_step(&j->alert, &j->alert_options, v.surprise, since, interval);
    j->last.row = (struct toc_stream_result){
        v.rank / (v.rank + 1), v.surprise,     toc_budget_bar(&j->alert, &j->alert_options),
        (float)v.lower,        (float)v.upper, is_open};
    j->last.column = v.column;
    return j->last;
}

struct toc_method_result toc_judge_step(struct toc_judge *j, double seconds, const double *values) {
    if (!j->stream)
        return step_alone(j, seconds, values);
    return (struct toc_method_result){.row = toc_stream_step(j->stream, seconds, values),
                                      .column = SIZE_MAX};
}
