#include "promqltest/compare.h"

#include <float.h>
#include <math.h>

#include "base/alloc.h"
#include "base/num.h"
#include "model/histogram_math.h"
#include "model/sample.h"

static const double g_epsilon = 1e-6;

bool toc_test_close(double a, double b) {
    if (toc_is_stale_nan(a) || toc_is_stale_nan(b))
        return toc_is_stale_nan(a) && toc_is_stale_nan(b);
    if ((isnan(a) && isnan(b)) || a == b)
        return true;
    double sum = fabs(a) + fabs(b), difference = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return difference < g_epsilon * DBL_MIN;
    return difference / fmin(sum, DBL_MAX) < g_epsilon;
}

/* Buckets that are not empty; one without observations says nothing. */
static bool buckets_close(struct toc_buckets a, struct toc_buckets b) {
    size_t i = 0, k = 0;
    for (;; i++, k++) {
        while (i < a.size && a.count[i] == 0)
            i++;
        while (k < b.size && b.count[k] == 0)
            k++;
        if (i == a.size || k == b.size)
            return i == a.size && k == b.size;
        if (a.index[i] != b.index[k] || !toc_test_close(a.count[i], b.count[k]))
            return false;
    }
}

static bool bounds_equal(const struct toc_histogram *a, const struct toc_histogram *b) {
    if (a->custom_bound_count != b->custom_bound_count)
        return false;
    for (size_t i = 0; i < a->custom_bound_count; i++)
        if (a->custom_bounds[i] != b->custom_bounds[i])
            return false;
    return true;
}

bool toc_test_histogram_close(const struct toc_histogram *want, const struct toc_histogram *got,
                              bool with_hint) {
    return (!with_hint || want->reset_hint == got->reset_hint) && want->schema == got->schema &&
           want->zero_threshold == got->zero_threshold && bounds_equal(want, got) &&
           toc_test_close(want->count, got->count) && toc_test_close(want->sum, got->sum) &&
           toc_test_close(want->zero_count, got->zero_count) &&
           buckets_close(want->positive, got->positive) &&
           buckets_close(want->negative, got->negative);
}

/* ------------------------------------------------------------------------------------------------
 * messages */

static void append_value(struct toc_buf *out, double value, const struct toc_histogram *h) {
    if (h)
        toc_histogram_text_format(h, out);
    else if (toc_is_stale_nan(value))
        toc_buf_append_cstr(out, "stale");
    else
        toc_format_f64_go(value, out);
}

static void append_points(struct toc_buf *out, const struct toc_promql_series *s) {
    toc_labels_format(s->labels, out);
    for (size_t i = 0; i < s->count; i++) {
        toc_buf_append_char(out, ' ');
        append_value(out, s->points[i].value, s->points[i].histogram);
        if (s->count > 1)
            toc_buf_printf(out, "@%.3f", (double)s->points[i].t_ms / 1000);
    }
}

static void append_wanted(struct toc_buf *out, const struct toc_series_text *s) {
    toc_labels_format(s->labels, out);
    for (size_t i = 0; i < s->count; i++) {
        toc_buf_append_char(out, ' ');
        if (s->values[i].is_missing)
            toc_buf_append_char(out, '_');
        else
            append_value(out, s->values[i].value, s->values[i].histogram);
    }
}

static bool unlike(struct toc_buf *why, const struct toc_series_text *want,
                   const struct toc_promql_series *got) {
    toc_buf_append_cstr(why, "expected ");
    append_wanted(why, want);
    toc_buf_append_cstr(why, "\n     got ");
    append_points(why, got);
    return false;
}

/* ------------------------------------------------------------------------------------------------
 * vectors and matrices */

static bool value_agrees(const struct toc_sequence_value *want,
                         const struct toc_promql_point *got) {
    if (!want->histogram != !got->histogram)
        return false;
    return want->histogram
               ? toc_test_histogram_close(want->histogram, got->histogram, want->has_hint)
               : toc_test_close(want->value, got->value);
}

static size_t find_wanted(const struct toc_test_eval *e, struct toc_labels labels) {
    size_t i = 0;
    while (i < e->series.count && !toc_labels_eq(e->series.items[i].labels, labels))
        i++;
    return i;
}

static bool element_agrees(const struct toc_series_text *want, const struct toc_promql_series *got,
                           struct toc_buf *why) {
    if (want->count != 1 || want->values[0].is_missing || got->count != 1 ||
        !value_agrees(&want->values[0], &got->points[0]))
        return unlike(why, want, got);
    return true;
}

/* The points of a matrix are those written, at start, start + step, …: gaps are gaps. */
static bool row_agrees(const struct toc_test_times *times, const struct toc_series_text *want,
                       const struct toc_promql_series *got, struct toc_buf *why) {
    size_t next = 0;
    for (size_t i = 0; i < want->count; i++) {
        int64_t t_ms = times->start_ms + (int64_t)i * times->step_ms;
        if (t_ms > times->end_ms) {
            toc_buf_append_cstr(why, "more points expected than the range has: ");
            return unlike(why, want, got);
        }
        if (want->values[i].is_missing)
            continue;
        if (next == got->count || got->points[next].t_ms != t_ms ||
            !value_agrees(&want->values[i], &got->points[next]))
            return unlike(why, want, got);
        next++;
    }
    return next == got->count || unlike(why, want, got);
}

static bool missing_is_none(const struct toc_test_eval *e, const bool *is_seen,
                            struct toc_buf *why) {
    for (size_t i = 0; i < e->series.count; i++)
        if (!is_seen[i]) {
            toc_buf_append_cstr(why, "expected ");
            append_wanted(why, &e->series.items[i]);
            toc_buf_append_cstr(why, "\n     got no such series");
            return false;
        }
    return true;
}

static bool series_agree(const struct toc_test_eval *e, const struct toc_promql_result *r,
                         bool *is_seen, struct toc_buf *why) {
    const struct toc_test_times *times = e->has_range_vector ? &e->range_vector : &e->times;
    for (size_t i = 0; i < r->series_count; i++) {
        const struct toc_promql_series *got = &r->series[i];
        size_t at = find_wanted(e, got->labels);
        if (at == e->series.count || is_seen[at]) {
            toc_buf_append_cstr(why, at < e->series.count ? "series came twice: "
                                                          : "unexpected series: ");
            append_points(why, got);
            return false;
        }
        if (e->is_ordered && at != i) {
            toc_buf_printf(why, "expected at position %zu, came at %zu: ", at + 1, i + 1);
            append_points(why, got);
            return false;
        }
        bool agrees = r->type == TOC_PROMQL_MATRIX
                          ? row_agrees(times, &e->series.items[at], got, why)
                          : element_agrees(&e->series.items[at], got, why);
        if (!agrees)
            return false;
        is_seen[at] = true;
    }
    return missing_is_none(e, is_seen, why);
}

static const char *type_text(enum toc_promql_type type) {
    static const char *const texts[] = {"scalar", "instant vector", "range vector", "string"};
    return texts[type];
}

bool toc_test_result_agrees(const struct toc_test_eval *e, const struct toc_promql_result *r,
                            struct toc_buf *why) {
    enum toc_promql_type want = e->has_scalar                        ? TOC_PROMQL_SCALAR
                                : e->has_string                      ? TOC_PROMQL_STRING
                                : e->is_range || e->has_range_vector ? TOC_PROMQL_MATRIX
                                                                     : TOC_PROMQL_VECTOR;
    if (r->type != want) {
        toc_buf_printf(why, "expected a result of type %s, got %s", type_text(want),
                       type_text(r->type));
        return false;
    }
    if (want == TOC_PROMQL_STRING && !toc_sv_eq(r->string, e->string)) {
        toc_buf_printf(why, "expected \"%.*s\", got \"%.*s\"", TOC_SV_ARG(e->string),
                       TOC_SV_ARG(r->string));
        return false;
    }
    if (want == TOC_PROMQL_SCALAR && !toc_test_close(e->scalar, r->scalar)) {
        toc_buf_append_cstr(why, "expected ");
        append_value(why, e->scalar, NULL);
        toc_buf_append_cstr(why, ", got ");
        append_value(why, r->scalar, NULL);
        return false;
    }
    if (want == TOC_PROMQL_STRING || want == TOC_PROMQL_SCALAR)
        return true;
    bool *is_seen = TOC_NEW_ARRAY(bool, e->series.count + 1);
    bool agrees = (want != TOC_PROMQL_MATRIX || toc_test_is_sorted(r, why)) &&
                  series_agree(e, r, is_seen, why);
    toc_free(is_seen);
    return agrees;
}

bool toc_test_is_sorted(const struct toc_promql_result *r, struct toc_buf *why) {
    for (size_t i = 1; i < r->series_count; i++)
        if (toc_labels_cmp(r->series[i - 1].labels, r->series[i].labels) > 0) {
            toc_buf_append_cstr(why, "the series of a matrix are not in the order of labels: ");
            toc_labels_format(r->series[i - 1].labels, why);
            toc_buf_append_cstr(why, " stands before ");
            toc_labels_format(r->series[i].labels, why);
            return false;
        }
    return true;
}

/* ------------------------------------------------------------------------------------------------
 * annotations */

static bool is_accepted(const struct toc_test_texts *texts, struct toc_sv message) {
    for (size_t i = 0; i < texts->count; i++)
        if (toc_test_text_accepts(&texts->items[i], message))
            return true;
    return false;
}

static bool level_agrees(const char *level, const struct toc_test_texts *want, bool is_forbidden,
                         const struct toc_sv *got, size_t count, struct toc_buf *why) {
    for (size_t i = 0; i < count; i++)
        if (is_forbidden || (want->count && !is_accepted(want, got[i]))) {
            toc_buf_printf(why, "unexpected %s: %.*s", level, TOC_SV_ARG(got[i]));
            for (size_t k = 0; k < want->count; k++)
                toc_buf_printf(why, "\nexpected %s: %.*s", level, TOC_SV_ARG(want->items[k].text));
            return false;
        }
    for (size_t i = 0; i < want->count; i++) {
        bool is_found = false;
        for (size_t k = 0; k < count && !is_found; k++)
            is_found = toc_test_text_accepts(&want->items[i], got[k]);
        if (is_found)
            continue;
        toc_buf_printf(why, "expected %s: %.*s\n     got none such", level,
                       TOC_SV_ARG(want->items[i].is_any ? TOC_SV("(any)") : want->items[i].text));
        return false;
    }
    return true;
}

bool toc_test_annotations_agree(const struct toc_test_eval *e, const struct toc_promql_result *r,
                                struct toc_buf *why) {
    return level_agrees("warning", &e->warn, e->no_warn, r->warnings, r->warning_count, why) &&
           level_agrees("info", &e->info, e->no_info, r->infos, r->info_count, why);
}
