#include "detect/explain.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/attrs.h"
#include "detect/robust.h"

static const double OUTSIDE_Z = 3, FAR_Z = 6;

struct toc_explainer {
    size_t columns;
    uint64_t rows;   /* added so far */
    double *values;  /* ring, row after row */
    double *seconds; /* ring */
    double *looked;  /* one respect of one column, row after row from `oldest` */
    double *scratch;
};

const char *toc_respect_name(enum toc_respect r) {
    static const char *const names[] = {
#define NAME(name, text, help) text,
        TOC_RESPECT_TABLE(NAME)
#undef NAME
    };
    return r < TOC_RESPECTS ? names[r] : NULL;
}

int toc_explainer_new(size_t columns, struct toc_explainer **out, struct toc_err *err) {
    struct toc_explainer *e = TOC_NEW(struct toc_explainer);
    e->columns = columns;
    e->values = toc_try_calloc(TOC_EXPLAIN_ROWS * columns, sizeof *e->values);
    e->seconds = toc_try_calloc(3 * (size_t)TOC_EXPLAIN_ROWS, sizeof *e->seconds);
    *out = e;
    if (e->values && e->seconds) {
        e->looked = e->seconds + TOC_EXPLAIN_ROWS;
        e->scratch = e->looked + TOC_EXPLAIN_ROWS;
        return 0;
    }
    toc_explainer_free(out);
    return toc_errf(err, TOC_ENOMEM, "no memory to remember rows of %zu columns", columns);
}

void toc_explainer_free(struct toc_explainer **e) {
    if (!*e)
        return;
    toc_free((*e)->values);
    toc_free((*e)->seconds);
    toc_free(*e);
    *e = NULL;
}

void toc_explainer_add(struct toc_explainer *e, double seconds, const double *values) {
    size_t at = e->rows % TOC_EXPLAIN_ROWS;
    memcpy(e->values + at * e->columns, values, e->columns * sizeof *values);
    e->seconds[at] = seconds;
    e->rows++;
}

static uint64_t oldest(const struct toc_explainer *e) {
    return e->rows > TOC_EXPLAIN_ROWS ? e->rows - TOC_EXPLAIN_ROWS : 0;
}

double toc_explainer_seconds(const struct toc_explainer *e, uint64_t row) {
    return row >= oldest(e) && row < e->rows ? e->seconds[row % TOC_EXPLAIN_ROWS] : NAN;
}

static double value_at(const struct toc_explainer *e, uint64_t row, size_t column) {
    return e->values[row % TOC_EXPLAIN_ROWS * e->columns + column];
}

/* Standard deviation of the window that ends at a row; NaN when a value is missing. */
static double spread_at(const struct toc_explainer *e, uint64_t row, size_t column) {
    if (row < oldest(e) + TOC_EXPLAIN_WINDOW - 1)
        return NAN;
    double sum = 0, squares = 0, base = value_at(e, row, column);
    for (uint64_t i = row - (TOC_EXPLAIN_WINDOW - 1); i <= row; i++) {
        double d = value_at(e, i, column) - base;
        sum += d;
        squares += d * d;
    }
    double mean = sum / TOC_EXPLAIN_WINDOW;
    return sqrt(fmax(squares / TOC_EXPLAIN_WINDOW - mean * mean, 0));
}

static double look(const struct toc_explainer *e, enum toc_respect r, uint64_t row, size_t column) {
    if (r == TOC_RESPECT_SPREAD)
        return spread_at(e, row, column);
    double v = value_at(e, row, column);
    if (r == TOC_RESPECT_VALUE)
        return isfinite(v) ? v : NAN;
    return row > oldest(e) && isfinite(v) ? v - value_at(e, row - 1, column) : NAN;
}

/* The rows before `first` in one respect. Windows that share rows repeat themselves: spreads are
 * taken once per window. */
static void fit_before(struct toc_explainer *e, enum toc_respect r, uint64_t first,
                       struct toc_robust *out) {
    uint64_t begin = oldest(e);
    size_t step = r == TOC_RESPECT_SPREAD ? TOC_EXPLAIN_WINDOW : 1, count = 0;
    for (uint64_t row = begin; row < first; row += step) {
        double v = e->looked[row - begin + step - 1];
        if (row + step <= first && isfinite(v))
            e->scratch[count++] = v;
    }
    toc_robust_fit(e->scratch, count, out);
}

static void fill_looked(struct toc_explainer *e, enum toc_respect r, size_t column, uint64_t last) {
    uint64_t begin = oldest(e);
    for (uint64_t row = begin; row <= last; row++)
        e->looked[row - begin] = look(e, r, row, column);
}

/* What one column is like in one respect; z 0 when nothing can be said. */
static struct toc_explain_cause cause_of(struct toc_explainer *e, enum toc_respect r, size_t column,
                                         uint64_t first, uint64_t last) {
    struct toc_explain_cause c = {.column = column, .respect = r};
    struct toc_robust usual;
    uint64_t begin = oldest(e);
    fill_looked(e, r, column, last);
    fit_before(e, r, first, &usual);
    size_t least = r == TOC_RESPECT_SPREAD ? TOC_EXPLAIN_BEFORE / 4 : TOC_EXPLAIN_BEFORE / 2;
    if (usual.count < least)
        return c;
    for (uint64_t row = first; row <= last; row++) {
        double z = toc_robust_z(&usual, e->looked[row - begin]);
        if (fabs(z) > fabs(c.z)) {
            c.z = z;
            c.row = row;
            c.seen = e->looked[row - begin];
        }
    }
    toc_robust_band(&usual, OUTSIDE_Z, &c.lower, &c.upper);
    if (r == TOC_RESPECT_SPREAD)
        c.lower = fmax(c.lower, 0);
    c.since = c.row;
    while (c.since > begin && c.since > first &&
           fabs(toc_robust_z(&usual, e->looked[c.since - 1 - begin])) > OUTSIDE_Z)
        c.since--;
    c.since_seconds = toc_explainer_seconds(e, c.since);
    return c;
}

/* The first respect, from plain to subtle, in which the column is far outside; else the furthest.
 */
static struct toc_explain_cause plainest_cause(struct toc_explainer *e, size_t column,
                                               uint64_t first, uint64_t last) {
    struct toc_explain_cause most = {0};
    for (int r = 0; r < TOC_RESPECTS && fabs(most.z) < FAR_Z; r++) {
        struct toc_explain_cause c = cause_of(e, (enum toc_respect)r, column, first, last);
        if (fabs(c.z) > fabs(most.z))
            most = c;
    }
    return most;
}

/* Keeps the furthest outside. */
static void keep(struct toc_explanation *out, struct toc_explain_cause c) {
    size_t at = out->cause_count;
    if (at == TOC_EXPLAIN_CAUSES && fabs(c.z) <= fabs(out->causes[at - 1].z))
        return;
    at -= at == TOC_EXPLAIN_CAUSES;
    for (; at > 0 && fabs(out->causes[at - 1].z) < fabs(c.z); at--)
        out->causes[at] = out->causes[at - 1];
    out->causes[at] = c;
    out->cause_count += out->cause_count < TOC_EXPLAIN_CAUSES;
}

/* ------------------------------------------------------------------------------ similar windows */

/* Mean square of the differences of two windows that end at `a` and `b`; infinite when a value is
 * missing. b == UINT64_MAX: of the differences to `level`. */
static double differ(const struct toc_explainer *e, size_t column, uint64_t a, uint64_t b,
                     double level) {
    double sum = 0;
    for (uint64_t i = 0; i < TOC_EXPLAIN_WINDOW; i++) {
        double d =
            value_at(e, a - i, column) - (b == UINT64_MAX ? level : value_at(e, b - i, column));
        sum += d * d;
    }
    return isfinite(sum) ? sum / TOC_EXPLAIN_WINDOW : INFINITY;
}

/* A near window that shares rows with a nearer one is no news. */
static void keep_similar(struct toc_explanation *out, struct toc_explain_similar s) {
    for (size_t i = 0; i < out->similar_count; i++)
        if (s.first <= out->similar[i].last) {
            if (s.distance >= out->similar[i].distance)
                return;
            out->similar[i] = s;
            return;
        }
    if (out->similar_count < TOC_EXPLAIN_SIMILAR) {
        out->similar[out->similar_count++] = s;
        return;
    }
    size_t worst = 0;
    for (size_t i = 1; i < out->similar_count; i++)
        if (out->similar[i].distance > out->similar[worst].distance)
            worst = i;
    if (s.distance < out->similar[worst].distance) {
        memmove(out->similar + worst, out->similar + worst + 1,
                (out->similar_count - worst - 1) * sizeof *out->similar);
        out->similar[out->similar_count - 1] = s;
    }
}

static void sort_similar(struct toc_explanation *out) {
    for (size_t i = 1; i < out->similar_count; i++)
        for (size_t k = i; k > 0; k--)
            if (out->similar[k].distance < out->similar[k - 1].distance) {
                struct toc_explain_similar t = out->similar[k];
                out->similar[k] = out->similar[k - 1];
                out->similar[k - 1] = t;
            }
}

static void find_similar(struct toc_explainer *e, uint64_t first, uint64_t last,
                         struct toc_explanation *out) {
    const struct toc_explain_cause *c = &out->causes[0];
    struct toc_robust usual;
    uint64_t begin = oldest(e), end = TOC_MIN(c->row + TOC_EXPLAIN_WINDOW / 2, last);
    if (end < begin + TOC_EXPLAIN_WINDOW)
        return;
    fill_looked(e, TOC_RESPECT_VALUE, c->column, last);
    fit_before(e, TOC_RESPECT_VALUE, first, &usual);
    double own = differ(e, c->column, end, UINT64_MAX, usual.median);
    if (!isfinite(own) || usual.count == 0)
        return;
    for (uint64_t at = begin + TOC_EXPLAIN_WINDOW - 1; at + 1 < first; at++) {
        if (at + TOC_EXPLAIN_WINDOW > end) /* the same rows */
            break;
        double d = differ(e, c->column, end, at, 0);
        uint64_t from = at - (TOC_EXPLAIN_WINDOW - 1);
        if (d < own / 4)
            keep_similar(out, (struct toc_explain_similar){from, at, toc_explainer_seconds(e, from),
                                                           sqrt(d) / usual.scale});
    }
    sort_similar(out);
}

void toc_explain(struct toc_explainer *e, uint64_t first, uint64_t last,
                 struct toc_explanation *out) {
    *out = (struct toc_explanation){0};
    uint64_t begin = oldest(e);
    if (last >= e->rows || last < begin || first > last)
        return;
    first = TOC_MAX(first, begin);
    out->before = (size_t)(first - begin);
    if (out->before < TOC_EXPLAIN_BEFORE)
        return;
    for (size_t i = 0; i < e->columns; i++) {
        struct toc_explain_cause c = plainest_cause(e, i, first, last);
        if (fabs(c.z) > OUTSIDE_Z)
            keep(out, c);
    }
    if (out->cause_count)
        find_similar(e, first, last, out);
}
