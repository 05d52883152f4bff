/* Functions of one window in which there are native histograms. */
#include <math.h>

#include "model/histogram_math.h"
#include "promql/eval_priv.h"
#include "promql/extrapolate_priv.h"
#include "promql/histograms_priv.h"
#include "promql/range_edges_priv.h"

/* -------------------------------------------------------------------------------------- notes */

static struct toc_sv metric_of(const struct toc_window *w) {
    return toc_labels_get(w->labels, TOC_METRIC_NAME);
}

static void note(const struct toc_window *w, enum toc_note_level level, const char *text) {
    struct toc_sv name = metric_of(w);
    toc_worker_note(w->worker, level, toc_call_range(w->call), "%s: \"%.*s\"", text,
                    TOC_SV_ARG(name));
}

static void note_for_metric(const struct toc_window *w, enum toc_note_level level,
                            const char *text) {
    struct toc_sv name = metric_of(w);
    toc_worker_note(w->worker, level, toc_call_range(w->call), "%s for metric name \"%.*s\"", text,
                    TOC_SV_ARG(name));
}

int toc_mixed_floats(const struct toc_window *w) {
    note_for_metric(w, TOC_NOTE_WARNING, "encountered a mix of histograms and floats");
    return 0;
}

int toc_mixed_schemas(const struct toc_window *w) {
    note_for_metric(w, TOC_NOTE_WARNING,
                    "vector contains a mix of histograms with exponential and custom buckets "
                    "schemas");
    return 0;
}

static void note_reconciled(const struct toc_window *w, const struct toc_histogram_notes *notes,
                            const char *operation) {
    if (notes->has_reconciled_buckets)
        toc_worker_note(w->worker, TOC_NOTE_INFO, toc_call_range(w->call),
                        "mismatched custom buckets were reconciled during %s", operation);
}

static int no_memory(const struct toc_window *w) {
    return toc_errf(&w->worker->err, TOC_ELIMIT,
                    "the query needs too much memory: ask for fewer series or steps");
}

/* ----------------------------------------------------------------------------- floats alone */

static size_t count_histograms(const struct toc_window *w) {
    size_t n = 0;
    for (size_t i = 0; i < w->count; i++)
        n += w->h[i] != NULL;
    return n;
}

int toc_window_of_floats(const struct toc_window *w, struct toc_window_result *out) {
    size_t histograms = count_histograms(w), n = 0;
    if (histograms == w->count)
        return 0;
    struct toc_window floats = *w;
    floats.h = NULL;
    if (histograms) {
        struct toc_arena *arena = &w->worker->arena;
        int64_t *t_ms = toc_arena_calloc(arena, w->count, sizeof *t_ms);
        double *v = toc_arena_calloc(arena, w->count, sizeof *v);
        if (!t_ms || !v)
            return no_memory(w);
        for (size_t i = 0; i < w->count; i++) {
            if (w->h[i])
                continue;
            t_ms[n] = w->t_ms[i];
            v[n++] = w->v[i];
        }
        floats.t_ms = t_ms;
        floats.v = v;
        floats.count = n;
        note_for_metric(w, TOC_NOTE_INFO,
                        "ignored histograms in a range containing both floats and histograms");
    }
    return w->call->function->window(&floats, out);
}

/* ------------------------------------------------------------------------------------- rates */

/* Gauges and counters need different functions. */
void toc_mixed_check_hints(const struct toc_window *w, bool is_counter) {
    bool any_gauge = false;
    for (size_t i = 0; i < w->count; i++)
        any_gauge |= w->h[i]->reset_hint == TOC_RESET_GAUGE;
    bool ends_are_gauges =
        w->h[0]->reset_hint == TOC_RESET_GAUGE && w->h[w->count - 1]->reset_hint == TOC_RESET_GAUGE;
    if (is_counter && any_gauge)
        note(w, TOC_NOTE_WARNING, "this native histogram metric is not a counter");
    if (!is_counter && !ends_are_gauges)
        note(w, TOC_NOTE_WARNING, "this native histogram metric is not a gauge");
}

/* A counter that starts again right after the first sample: what it held does not matter, not even
 * its buckets. */
static const struct toc_histogram *first_of(const struct toc_window *w, bool is_counter,
                                            struct toc_histogram *empty) {
    if (!is_counter || !toc_histogram_has_reset(w->h[1], w->h[0], &w->worker->arena))
        return w->h[0];
    *empty = (struct toc_histogram){.schema = w->h[1]->schema,
                                    .custom_bounds = w->h[1]->custom_bounds,
                                    .custom_bound_count = w->h[1]->custom_bound_count};
    return empty;
}

static int32_t lowest_schema(const struct toc_window *w, const struct toc_histogram *first,
                             bool is_counter, bool *out_is_mixed) {
    const struct toc_histogram *last = w->h[w->count - 1];
    int32_t schema = first->schema < last->schema ? first->schema : last->schema;
    *out_is_mixed = toc_histogram_is_custom(first) != toc_histogram_is_custom(last);
    for (size_t i = 1; is_counter && i + 1 < w->count; i++) {
        *out_is_mixed |= toc_histogram_is_custom(w->h[i]) != toc_histogram_is_custom(last);
        schema = w->h[i]->schema < schema ? w->h[i]->schema : schema;
    }
    return schema;
}

/* Last minus first, plus what was reached before each reset. 1, 0 or an error. */
static int difference(const struct toc_window *w, bool is_counter,
                      const struct toc_histogram **out) {
    struct toc_arena *arena = &w->worker->arena;
    struct toc_histogram empty;
    struct toc_histogram_notes notes = {0};
    bool is_mixed;
    toc_mixed_check_hints(w, is_counter);
    const struct toc_histogram *previous = first_of(w, is_counter, &empty);
    int32_t schema = lowest_schema(w, previous, is_counter, &is_mixed);
    if (is_mixed)
        return toc_mixed_schemas(w);
    const struct toc_histogram *h = toc_histogram_coarsen(w->h[w->count - 1], schema, arena);
    h = h ? toc_histogram_sub(h, previous, arena, &notes) : NULL;
    for (size_t i = 1; is_counter && h && i < w->count; i++) {
        if (toc_histogram_has_reset(w->h[i], previous, arena))
            h = toc_histogram_add(h, previous, arena, &notes);
        previous = w->h[i];
    }
    note_reconciled(w, &notes, "subtraction");
    *out = h;
    return h ? 1 : no_memory(w);
}

int toc_mixed_finish(const struct toc_window *w, const struct toc_histogram *h, double factor,
                     struct toc_window_result *out) {
    struct toc_arena *arena = &w->worker->arena;
    struct toc_histogram *scaled = h ? toc_histogram_scale(h, factor, arena) : NULL;
    struct toc_histogram *tidy = scaled ? toc_histogram_compact(scaled, arena) : NULL;
    if (!tidy)
        return no_memory(w);
    tidy->reset_hint = TOC_RESET_GAUGE;
    out->histogram = tidy;
    return 1;
}

static int extrapolate(const struct toc_window *w, bool is_counter, bool is_rate,
                       struct toc_window_result *out) {
    const struct toc_histogram *h;
    size_t last = w->count - 1;
    if (count_histograms(w) != w->count)
        return toc_mixed_floats(w);
    if (w->count < 2)
        return 0;
    int rc = difference(w, is_counter, &h);
    if (rc <= 0)
        return rc;
    struct toc_window_reach reach = toc_window_reach((struct toc_window_shape){
        w->t_ms[0] - w->start_ms, w->t_ms[last] - w->t_ms[0], w->end_ms - w->t_ms[last], last});
    double factor =
        is_counter ? toc_counter_factor(&reach, w->h[0]->count, h->count) : reach.factor;
    if (is_rate)
        factor /= (double)(w->end_ms - w->start_ms) / 1000.0;
    return toc_mixed_finish(w, h, factor, out);
}

int toc_mixed_rate(const struct toc_window *w, struct toc_window_result *out) {
    return extrapolate(w, true, true, out);
}
int toc_mixed_increase(const struct toc_window *w, struct toc_window_result *out) {
    return extrapolate(w, true, false, out);
}
int toc_mixed_delta(const struct toc_window *w, struct toc_window_result *out) {
    return extrapolate(w, false, false, out);
}

static int last_two_floats(const struct toc_window *w, struct toc_window_result *out) {
    struct toc_window floats = *w;
    floats.h = NULL;
    return w->call->function->window(&floats, out);
}

static int last_two(const struct toc_window *w, bool is_rate, struct toc_window_result *out) {
    if (w->count < 2)
        return 0;
    struct toc_window two = *w;
    two.t_ms += w->count - 2;
    two.v += w->count - 2;
    two.h += w->count - 2;
    two.sample_start_ms = NULL;
    two.count = 2;
    double seconds = (double)(two.t_ms[1] - two.t_ms[0]) / 1000.0;
    if (!two.h[0] && !two.h[1])
        return last_two_floats(&two, out);
    if (!two.h[0] || !two.h[1])
        return toc_mixed_floats(w);
    if (seconds == 0)
        return 0;
    struct toc_arena *arena = &w->worker->arena;
    struct toc_histogram_notes notes = {0};
    const struct toc_histogram *h = two.h[1];
    toc_mixed_check_hints(&two, is_rate);
    if (!is_rate || !toc_histogram_has_reset(two.h[1], two.h[0], arena)) {
        h = toc_histogram_sub(two.h[1], two.h[0], arena, &notes);
        if (notes.is_incompatible)
            return toc_mixed_schemas(w);
        note_reconciled(w, &notes, "subtraction");
    }
    return h ? toc_mixed_finish(w, h, is_rate ? 1 / seconds : 1, out) : no_memory(w);
}

int toc_mixed_irate(const struct toc_window *w, struct toc_window_result *out) {
    return last_two(w, true, out);
}
int toc_mixed_idelta(const struct toc_window *w, struct toc_window_result *out) {
    return last_two(w, false, out);
}

/* ------------------------------------------------------------------------------------ changes */

int toc_mixed_changes(const struct toc_window *w, struct toc_window_result *out) {
    double n = 0;
    for (size_t i = 1; i < w->count; i++) {
        const struct toc_histogram *a = w->h[i - 1], *b = w->h[i];
        if (a && b)
            n += !toc_histogram_eq(a, b);
        else if (a || b)
            n++;
        else
            n += w->v[i] != w->v[i - 1] && !(isnan(w->v[i]) && isnan(w->v[i - 1]));
    }
    out->value = n;
    return 1;
}

int toc_mixed_resets(const struct toc_window *w, struct toc_window_result *out) {
    double n = 0;
    for (size_t i = 1; i < w->count; i++) {
        const struct toc_histogram *a = w->h[i - 1], *b = w->h[i];
        if (a && b)
            n += toc_histogram_has_reset(b, a, &w->worker->arena);
        else if (a || b)
            n++;
        else
            n += w->v[i] < w->v[i - 1];
    }
    out->value = n;
    return 1;
}

/* --------------------------------------------------------------------------------- statistics */

/* Whether a counter began anew is looked at by histogram_count() and its kin alone, as upstream. */
static void note_resets(const struct toc_window *w) {
    bool has_reset = false, has_none = false;
    for (size_t i = 0; i < w->count && w->worker->eval->looks_at_resets; i++) {
        has_reset |= w->h[i]->reset_hint == TOC_RESET_YES;
        has_none |= w->h[i]->reset_hint == TOC_RESET_NO;
    }
    if (has_reset && has_none)
        toc_worker_note(w->worker, TOC_NOTE_WARNING, toc_call_range(w->call),
                        "conflicting counter resets during histogram aggregation");
}

static int sum_of(const struct toc_window *w, bool is_mean, struct toc_window_result *out) {
    struct toc_arena *arena = &w->worker->arena;
    struct toc_histogram_notes notes = {0};
    if (count_histograms(w) != w->count)
        return toc_mixed_floats(w);
    note_resets(w);
    out->histogram = is_mean ? toc_histogram_mean(w->h, w->count, arena, &notes)
                             : toc_histogram_sum(w->h, w->count, arena, &notes);
    if (notes.is_incompatible)
        return toc_mixed_schemas(w);
    note_reconciled(w, &notes, "aggregation");
    return out->histogram ? 1 : no_memory(w);
}

int toc_mixed_sum(const struct toc_window *w, struct toc_window_result *out) {
    return sum_of(w, false, out);
}
int toc_mixed_avg(const struct toc_window *w, struct toc_window_result *out) {
    return sum_of(w, true, out);
}

static int sample_at(const struct toc_window *w, size_t i, struct toc_window_result *out) {
    out->histogram = w->h[i];
    out->value = w->v[i];
    return 1;
}
int toc_mixed_first(const struct toc_window *w, struct toc_window_result *out) {
    return sample_at(w, 0, out);
}
int toc_mixed_last(const struct toc_window *w, struct toc_window_result *out) {
    return sample_at(w, w->count - 1, out);
}
