#include "incident/learn_window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/vec.h"
#include "promql/promql.h"
#include "sys/thread.h"

enum {
    FINE_ROWS_MAX = 1500,
    LEAD_ROWS_MAX = 32, /* over the threshold before the alert was seen: late rules, `for:` */
    COARSE_ROWS = 1000,
    SEASON_ROWS_MAX = 1 << (TOC_LEARN_LOOKS_MAX - 1), /* what the last look sees */
    SEASON_MARGIN = 2,
    MAX_SAMPLES = 4000000,
    MAX_BYTES = 128 << 20
};
static const int64_t DAY_MS = 86400000;
static const double THRESHOLD_UNKNOWN = 0.5; /* where a forest begins to wonder */

struct detector {
    char *name, *expr; /* owned */
    int64_t interval_ms;
    double threshold;
};

struct toc_learn_windows {
    struct toc_learn_source base;
    struct toc_querier *querier;
    struct toc_mutex mutex; /* TOC_LOCK_LEARN_DETECTORS */
    TOC_VEC(struct detector) detectors;
};

struct row {
    int64_t t_ms;
    double value, score;
};
struct rows {
    TOC_VEC_FIELDS(struct row)
};

static void clear(struct toc_learn_windows *w) {
    while (w->detectors.count) {
        struct detector *d = &w->detectors.items[--w->detectors.count];
        toc_free(d->name);
        toc_free(d->expr);
    }
}

void toc_learn_windows_set(struct toc_learn_windows *w, const struct toc_learn_detector *list,
                           size_t count) {
    toc_mutex_lock(&w->mutex);
    clear(w);
    for (size_t i = 0; i < count; i++) {
        struct detector d = {toc_sv_dup_cstr(list[i].name), toc_sv_dup_cstr(list[i].expr),
                             TOC_MAX(list[i].interval_ms, (int64_t)1), list[i].threshold};
        TOC_VEC_PUSH(&w->detectors, d);
    }
    toc_mutex_unlock(&w->mutex);
}

/* A copy, so that queries run without the lock; its texts are the caller's. */
static bool find(struct toc_learn_windows *w, struct toc_sv name, struct detector *out) {
    bool is_found = false;
    toc_mutex_lock(&w->mutex);
    for (size_t i = 0; i < w->detectors.count && !is_found; i++) {
        const struct detector *d = &w->detectors.items[i];
        is_found = toc_sv_eq_cstr(name, d->name);
        if (is_found)
            *out = (struct detector){toc_xstrdup(d->name), toc_xstrdup(d->expr), d->interval_ms,
                                     d->threshold};
    }
    toc_mutex_unlock(&w->mutex);
    return is_found;
}

/* --- queries --- */

/* Equal where both have the label. */
static bool agree(struct toc_labels series, struct toc_labels alert) {
    for (size_t i = 0; i < series.count; i++) {
        struct toc_sv name = series.items[i].name;
        if (!toc_sv_eq(name, TOC_METRIC_NAME) && toc_labels_has(alert, name) &&
            !toc_sv_eq(series.items[i].value, toc_labels_get(alert, name)))
            return false;
    }
    return true;
}

struct grid {
    int64_t start_ms, end_ms, step_ms;
};

static int range(struct toc_learn_windows *w, struct toc_sv text, struct grid g,
                 struct toc_promql_result *out, struct toc_err *err) {
    const struct toc_promql_options o = {
        .querier = w->querier, .max_samples = MAX_SAMPLES, .max_bytes = MAX_BYTES};
    struct toc_promql_expr *e;
    *out = (struct toc_promql_result){0};
    int rc = toc_promql_parse(text, &e, err);
    if (rc < 0)
        return rc;
    rc = toc_promql_range(e, &o, g.start_ms, g.end_ms, g.step_ms, out, err);
    toc_promql_expr_free(&e);
    return rc;
}

static double last_value(const struct toc_promql_series *s) {
    return s->count ? s->points[s->count - 1].value : -INFINITY;
}

static const struct toc_promql_series *pick(const struct toc_promql_result *r,
                                            struct toc_labels alert) {
    const struct toc_promql_series *best = NULL;
    for (size_t i = 0; i < r->series_count; i++) {
        const struct toc_promql_series *s = &r->series[i];
        if (agree(s->labels, alert) && (!best || last_value(s) > last_value(best)))
            best = s;
    }
    return best;
}

static struct toc_sv score_text(const struct detector *d, struct toc_buf *space) {
    toc_buf_append_cstr(space, "tocsin_anomaly_score{detector=");
    toc_json_append_string(space, toc_sv_cstr(d->name));
    toc_buf_append_char(space, '}');
    return toc_buf_sv(space);
}

/* Points of one query by time; the other's are put beside them. */
static void join(const struct toc_promql_series *scores, const struct toc_promql_series *values,
                 struct rows *out) {
    size_t k = 0;
    const struct toc_promql_series *lead = values ? values : scores;
    for (size_t i = 0; lead && i < lead->count; i++) {
        const struct toc_promql_point *p = &lead->points[i];
        struct row r = {p->t_ms, p->value, values ? 0 : p->value};
        while (scores && k < scores->count && scores->points[k].t_ms < p->t_ms)
            k++;
        if (scores && k < scores->count && scores->points[k].t_ms == p->t_ms)
            r.score = scores->points[k].value;
        TOC_VEC_PUSH(out, r);
    }
}

static int add_rows(struct toc_learn_windows *w, const struct detector *d, struct toc_labels alert,
                    struct grid g, struct rows *out, struct toc_err *err) {
    struct toc_promql_result scores, values = {0};
    struct toc_buf text = TOC_BUF_INIT;
    if (g.end_ms < g.start_ms)
        return 0;
    int rc = range(w, score_text(d, &text), g, &scores, err);
    bool has_values = rc == 0 && d->expr[0];
    if (has_values)
        rc = range(w, toc_sv_cstr(d->expr), g, &values, err);
    if (rc == 0)
        join(pick(&scores, alert), has_values ? pick(&values, alert) : NULL, out);
    toc_promql_result_fini(&scores);
    if (has_values)
        toc_promql_result_fini(&values);
    toc_buf_fini(&text);
    return rc;
}

/* --- what the detector judged --- */

/* The samples of the score as they are, of the newest `rows` intervals. */
static int judged_scores(struct toc_learn_windows *w, const struct detector *d, int64_t rows,
                         struct toc_ts now, struct toc_promql_result *out, struct toc_err *err) {
    const struct toc_promql_options o = {
        .querier = w->querier, .max_samples = MAX_SAMPLES, .max_bytes = MAX_BYTES};
    struct toc_promql_expr *e;
    struct toc_buf text = TOC_BUF_INIT;
    *out = (struct toc_promql_result){0};
    (void)score_text(d, &text);
    toc_buf_printf(&text, "[%lldms]", (long long)(rows * d->interval_ms));
    int rc = toc_promql_parse(toc_buf_sv(&text), &e, err);
    if (rc == 0) {
        rc = toc_promql_instant(e, &o, now.ms, out, err);
        toc_promql_expr_free(&e);
    }
    toc_buf_fini(&text);
    return rc;
}

/* A row is a score and the value at its very time, or, before there were scores, the value alone;
 * without values the score stands for it. */
static void pair(const struct toc_promql_series *scores, const struct toc_promql_series *values,
                 struct rows *out) {
    const struct toc_promql_series *lead = values ? values : scores;
    size_t k = 0;
    for (size_t i = 0; i < lead->count; i++) {
        const struct toc_promql_point *p = &lead->points[i];
        while (k < scores->count && scores->points[k].t_ms < p->t_ms)
            k++;
        bool has_score = k < scores->count && scores->points[k].t_ms == p->t_ms;
        if (has_score || k == 0)
            TOC_VEC_PUSH(
                out, ((struct row){p->t_ms, p->value, has_score ? scores->points[k].value : 0}));
    }
}

static int add_judged(struct toc_learn_windows *w, const struct detector *d,
                      struct toc_labels alert, int64_t rows, struct toc_ts now, struct rows *out,
                      struct toc_err *err) {
    struct toc_promql_result scores, values = {0};
    int rc = judged_scores(w, d, rows, now, &scores, err);
    const struct toc_promql_series *of_it = rc == 0 ? pick(&scores, alert) : NULL;
    bool has_values = of_it && of_it->count && d->expr[0];
    if (has_values) {
        int64_t newest = of_it->points[of_it->count - 1].t_ms;
        struct grid slots = {newest - (rows - 1) * d->interval_ms, newest, d->interval_ms};
        rc = range(w, toc_sv_cstr(d->expr), slots, &values, err);
    }
    if (rc == 0 && of_it)
        pair(of_it, has_values ? pick(&values, alert) : NULL, out);
    toc_promql_result_fini(&scores);
    if (has_values)
        toc_promql_result_fini(&values);
    return rc;
}

static double threshold_of(const struct detector *d) {
    return d->threshold > 0 ? d->threshold : THRESHOLD_UNKNOWN;
}

/* The row at which the alert began, below their number: the newest when it was first seen, and of
 * a run over the threshold that leads up to it the first. */
static size_t begin_row(const struct rows *r, const struct detector *d, struct toc_ts seen) {
    double threshold = threshold_of(d);
    size_t at = 0;
    while (at + 1 < r->count && r->items[at + 1].t_ms <= seen.ms)
        at++;
    for (size_t left = LEAD_ROWS_MAX; left > 0 && at > 0; left--) {
        if (r->items[at].score <= threshold || r->items[at - 1].score <= threshold)
            break;
        at--;
    }
    return at;
}

/* Leaves as many rows before the alert as its baseline has, without the last of them: its value may
 * have come after it was judged, and then it is the alert's. Returns when the alert began. */
static struct toc_ts cut_baseline(struct rows *r, size_t begin) {
    struct toc_ts start = {r->items[begin].t_ms};
    size_t end = begin > 0 ? begin - 1 : 0, n = 0;
    size_t first = end > TOC_ALERT_BASELINE_ROWS ? end - TOC_ALERT_BASELINE_ROWS : 0;
    for (size_t i = first; i < r->count; i++)
        if (i < end || i >= begin)
            r->items[n++] = r->items[i];
    r->count = n;
    return start;
}

/* --- the window --- */

static int by_time(const void *a, const void *b) {
    int64_t x = ((const struct row *)a)->t_ms, y = ((const struct row *)b)->t_ms;
    return (x > y) - (x < y);
}

/* Sorts; of rows at one time the first stays. */
static void tidy(struct rows *r) {
    size_t n = 0;
    if (r->count)
        qsort(r->items, r->count, sizeof *r->items, by_time);
    for (size_t i = 0; i < r->count; i++)
        if (n == 0 || r->items[i].t_ms > r->items[n - 1].t_ms)
            r->items[n++] = r->items[i];
    r->count = n;
}

static int64_t rows_wanted(const struct detector *d, struct toc_ts seen, struct toc_ts now) {
    int64_t wanted = (now.ms - seen.ms) / d->interval_ms + TOC_ALERT_BASELINE_ROWS + LEAD_ROWS_MAX;
    return TOC_MIN(wanted + 2, (int64_t)FINE_ROWS_MAX);
}

/* History that cannot be read (too many samples) is left out: features without it are NaN. */
static void add_history(struct toc_learn_windows *w, const struct detector *d,
                        struct toc_labels alert, struct grid fine, struct toc_ts start,
                        struct rows *out) {
    int64_t step = TOC_MAX(7 * DAY_MS / COARSE_ROWS, d->interval_ms);
    struct grid week = {fine.start_ms - 7 * DAY_MS, fine.start_ms - step, step};
    (void)add_rows(w, d, alert, week, out, NULL);
    int64_t rows = TOC_MIN((fine.end_ms - start.ms) / d->interval_ms, (int64_t)SEASON_ROWS_MAX);
    for (int64_t back = DAY_MS; back <= 7 * DAY_MS; back += 6 * DAY_MS) {
        int64_t begin = start.ms - back;
        struct grid season = {begin - SEASON_MARGIN * d->interval_ms,
                              begin + (rows + SEASON_MARGIN) * d->interval_ms, d->interval_ms};
        if (season.end_ms < fine.start_ms)
            (void)add_rows(w, d, alert, season, out, NULL);
    }
}

static int fill(const struct detector *d, const struct rows *rows, struct toc_ts start,
                struct toc_learn_window *out, struct toc_err *err) {
    size_t n = rows->count;
    if (n == 0)
        return toc_errf(err, TOC_ENODATA, "detector %s has written nothing here", d->name);
    out->seconds = TOC_NEW_ARRAY(double, n);
    out->values = TOC_NEW_ARRAY(double, n);
    out->scores = TOC_NEW_ARRAY(double, n);
    out->rows = n;
    out->start = n - 1;
    out->threshold = threshold_of(d);
    for (size_t i = n; i-- > 0;) {
        out->seconds[i] = (double)rows->items[i].t_ms / 1000;
        out->values[i] = rows->items[i].value;
        out->scores[i] = rows->items[i].score;
        if (rows->items[i].t_ms >= start.ms)
            out->start = i;
    }
    return 0;
}

static int window_of(struct toc_learn_windows *w, const struct detector *d, struct toc_labels alert,
                     struct toc_ts seen, struct toc_ts now, struct toc_learn_window *out,
                     struct toc_err *err) {
    struct rows rows = {0};
    struct toc_ts start = seen;
    int rc = add_judged(w, d, alert, rows_wanted(d, seen, now), now, &rows, err);
    if (rc == 0 && rows.count) {
        start = cut_baseline(&rows, begin_row(&rows, d, seen));
        struct grid fine = {rows.items[0].t_ms, rows.items[rows.count - 1].t_ms, d->interval_ms};
        add_history(w, d, alert, fine, start, &rows);
    }
    tidy(&rows);
    if (rc == 0)
        rc = fill(d, &rows, start, out, err);
    TOC_VEC_FINI(&rows);
    return rc;
}

static int window(struct toc_learn_source *s, struct toc_labels alert, struct toc_ts seen,
                  struct toc_ts now, struct toc_learn_window *out, struct toc_err *err) {
    struct toc_learn_windows *w = (struct toc_learn_windows *)(void *)s;
    struct toc_sv name = toc_labels_get(alert, TOC_SV("detector"));
    struct detector d;
    *out = (struct toc_learn_window){0};
    if (!find(w, name, &d))
        return toc_errf(err, TOC_ENODATA, "there is no detector \"%.*s\"", TOC_SV_ARG(name));
    int rc = window_of(w, &d, alert, seen, now, out, err);
    toc_free(d.name);
    toc_free(d.expr);
    return rc;
}

struct toc_learn_windows *toc_learn_windows_new(struct toc_querier *q) {
    struct toc_learn_windows *w = TOC_NEW(struct toc_learn_windows);
    w->base.window = window;
    w->querier = q;
    toc_mutex_init(&w->mutex, TOC_LOCK_LEARN_DETECTORS);
    return w;
}

void toc_learn_windows_free(struct toc_learn_windows **w) {
    if (!*w)
        return;
    clear(*w);
    TOC_VEC_FINI(&(*w)->detectors);
    toc_mutex_fini(&(*w)->mutex);
    toc_free(*w);
    *w = NULL;
}

struct toc_learn_source *toc_learn_windows_source(struct toc_learn_windows *w) {
    return &w->base;
}
