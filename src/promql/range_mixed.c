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

void toc_mixed_not(const struct toc_window *w, const char *kind) {
    struct toc_sv name = metric_of(w);
    toc_worker_note(w->worker, TOC_NOTE_WARNING, toc_call_range(w->call),
                    "this native histogram metric is not a %s: \"%.*s\"", kind, TOC_SV_ARG(name));
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

void toc_mixed_note_reconciled(const struct toc_window *w, const struct toc_histogram_notes *notes,
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
        /* at the first argument, range or not, as upstream */
        toc_worker_note(w->worker, TOC_NOTE_INFO, w->call->args[0],
                        "ignored histograms in a range containing both floats and histograms for "
                        "metric name \"%.*s\"",
                        TOC_SV_ARG(metric_of(w)));
    }
    return w->call->function->window(&floats, out);
}

/* ------------------------------------------------------------------------------------- rates */

/* Gauges and counters need different functions. */
static void check_hints(const struct toc_window *w, bool is_counter) {
    bool any_gauge = false;
    for (size_t i = 0; i < w->count; i++)
        any_gauge |= w->h[i]->reset_hint == TOC_RESET_GAUGE;
    bool ends_are_gauges =
        w->h[0]->reset_hint == TOC_RESET_GAUGE && w->h[w->count - 1]->reset_hint == TOC_RESET_GAUGE;
    if (is_counter && any_gauge)
        toc_mixed_not(w, "counter");
    if (!is_counter && !ends_are_gauges)
        toc_mixed_not(w, "gauge");
}

/* Did the counter start again between `previous` and sample i? */
static bool begins_anew(const struct toc_window *w, size_t i,
                        const struct toc_histogram *previous) {
    return toc_window_starts_anew(w, i) ||
           toc_histogram_has_reset(w->h[i], previous, &w->worker->arena);
}

/* A counter that starts again right after the first sample: what it held does not matter, not even
 * its buckets. */
static const struct toc_histogram *first_of(const struct toc_window *w, bool is_counter,
                                            struct toc_histogram *empty) {
    if (!is_counter || !begins_anew(w, 1, w->h[0]))
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
    check_hints(w, is_counter);
    const struct toc_histogram *previous = first_of(w, is_counter, &empty);
    int32_t schema = lowest_schema(w, previous, is_counter, &is_mixed);
    if (is_mixed)
        return toc_mixed_schemas(w);
    const struct toc_histogram *h = toc_histogram_coarsen(w->h[w->count - 1], schema, arena);
    h = h ? toc_histogram_sub(h, previous, arena, &notes) : NULL;
    toc_mixed_note_reconciled(w, &notes, "subtraction");
    notes.has_reconciled_buckets = false;
    for (size_t i = 1; is_counter && h && i < w->count; i++) {
        if (begins_anew(w, i, previous))
            h = toc_histogram_add(h, previous, arena, &notes);
        previous = w->h[i];
    }
    toc_mixed_note_reconciled(w, &notes, "addition");
    if (is_counter)
        toc_window_note_overlap(w);
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

/* From the start of a series that began inside the window, as an empty histogram there. */
static int extrapolate_from_start(const struct toc_window *w, const struct toc_histogram *h,
                                  struct toc_window_shape shape, double seconds,
                                  struct toc_window_result *out) {
    struct toc_histogram_notes notes = {0};
    size_t last = w->count - 1;
    double factor =
        toc_window_reach_from(shape, w->t_ms[last] - w->sample_start_ms[0]).factor / seconds;
    if (!h) { /* one sample: as it is */
        out->histogram = toc_histogram_scale(w->h[0], factor, &w->worker->arena);
        return out->histogram ? 1 : no_memory(w);
    }
    h = toc_histogram_add(h, w->h[0], &w->worker->arena, &notes);
    if (notes.is_incompatible)
        return toc_mixed_schemas(w);
    toc_mixed_note_reconciled(w, &notes, "addition");
    return toc_mixed_finish(w, h, factor, out);
}

static int extrapolate(const struct toc_window *w, bool is_counter, bool is_rate,
                       struct toc_window_result *out) {
    const struct toc_histogram *h = NULL;
    size_t last = w->count - 1;
    bool is_whole = is_counter && toc_window_starts_inside(w);
    if (count_histograms(w) != w->count)
        return toc_mixed_floats(w);
    if (w->count < 2 && !is_whole)
        return 0;
    int rc = w->count < 2 ? 1 : difference(w, is_counter, &h);
    if (rc <= 0)
        return rc;
    double seconds = is_rate ? (double)(w->end_ms - w->start_ms) / 1000.0 : 1;
    struct toc_window_shape shape = {w->t_ms[0] - w->start_ms, w->t_ms[last] - w->t_ms[0],
                                     w->end_ms - w->t_ms[last], last};
    if (is_whole)
        return extrapolate_from_start(w, h, shape, seconds, out);
    struct toc_window_reach reach = toc_window_reach(shape);
    double factor =
        is_counter ? toc_counter_factor(&reach, w->h[0]->count, h->count) : reach.factor;
    return toc_mixed_finish(w, h, factor / seconds, out);
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
    const struct toc_function *f = w->call->function;
    struct toc_window floats = *w;
    floats.h = NULL;
    return w->sample_start_ms && f->starts ? f->starts(&floats, out) : f->window(&floats, out);
}

static int last_two(const struct toc_window *w, bool is_rate, struct toc_window_result *out) {
    if (w->count < 2)
        return 0;
    struct toc_window two = *w;
    two.t_ms += w->count - 2;
    two.v += w->count - 2;
    two.h += w->count - 2;
    two.sample_start_ms += two.sample_start_ms ? w->count - 2 : 0;
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
    check_hints(&two, is_rate);
    if (!is_rate || !begins_anew(&two, 1, two.h[0])) {
        h = toc_histogram_sub(two.h[1], two.h[0], arena, &notes);
        if (notes.is_incompatible)
            return toc_mixed_schemas(w);
        toc_mixed_note_reconciled(w, &notes, "subtraction");
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
            n += begins_anew(w, i, a);
        else if (a || b)
            n++;
        else
            n += w->v[i] < w->v[i - 1] || toc_window_starts_anew(w, i);
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
    toc_mixed_note_reconciled(w, &notes, "aggregation");
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
