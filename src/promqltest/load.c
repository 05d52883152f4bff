#include "promqltest/load.h"

#include <math.h>

#include "model/histogram_math.h"

/* What Prometheus' store tells of a reset between its last histogram and the next one when they
 * are read back: "not reset" where they lie in one chunk. A reset, also one that was said, begins
 * a chunk, and of the first histogram of a chunk it tells nothing, since the one before may have
 * been deleted meanwhile (github.com/prometheus/prometheus/issues/15346). */
static enum toc_reset_hint hint_behind(const struct toc_histogram *last,
                                       const struct toc_histogram *next, struct toc_arena *arena) {
    struct toc_histogram plain = *next;
    if (!last || last->reset_hint == TOC_RESET_GAUGE || toc_histogram_is_stale(last) ||
        next->reset_hint == TOC_RESET_YES)
        return TOC_RESET_UNKNOWN;
    if (toc_histogram_is_stale(next))
        return TOC_RESET_NO;
    if (next->schema != last->schema || next->zero_threshold != last->zero_threshold)
        return TOC_RESET_UNKNOWN;
    plain.reset_hint = TOC_RESET_UNKNOWN;
    return toc_histogram_has_reset(&plain, last, arena) ? TOC_RESET_UNKNOWN : TOC_RESET_NO;
}

static const struct toc_histogram *last_histogram(const struct toc_memory_querier *store,
                                                  struct toc_labels labels, int64_t t_ms) {
    const struct toc_memory_series *s = toc_memory_querier_find(store, labels);
    size_t n = s ? s->t_ms.count : 0;
    if (!n || !s->histograms.count || s->t_ms.items[n - 1] >= t_ms)
        return NULL;
    return s->histograms.items[n - 1];
}

void toc_test_append(struct toc_memory_querier *store, struct toc_labels labels,
                     const struct toc_memory_sample *sample) {
    struct toc_memory_sample copy = *sample;
    struct toc_histogram h;
    if (sample->histogram) {
        h = *sample->histogram;
        if (h.reset_hint != TOC_RESET_GAUGE)
            h.reset_hint =
                hint_behind(last_histogram(store, labels, sample->t_ms), &h, &store->arena);
        copy.histogram = &h;
    }
    toc_memory_querier_add_sample(store, labels, &copy);
}

static int append_items(const struct toc_test_series *series, int64_t start_ms, int64_t step_ms,
                        size_t from, size_t to, struct toc_memory_querier *store,
                        struct toc_err *err) {
    for (size_t i = from; i < to && i < series->text.count; i++) {
        const struct toc_sequence_value *v = &series->text.values[i];
        const struct toc_start_value *start = series->starts ? &series->starts[i] : NULL;
        int64_t t_ms = start_ms + (int64_t)i * step_ms;
        if (v->is_missing)
            continue;
        if (v->histogram && !toc_histogram_is_stale(v->histogram)) {
            int rc = toc_histogram_validate(v->histogram, err);
            if (rc)
                return rc;
        }
        struct toc_memory_sample sample = {
            .t_ms = t_ms,
            .value = v->value,
            .histogram = v->histogram,
            .start_ms = start && !start->is_missing ? t_ms + start->offset_ms : 0};
        toc_test_append(store, series->text.labels, &sample);
    }
    return 0;
}

int toc_test_load_apply(const struct toc_test_load *load, int64_t start_ms,
                        struct toc_memory_querier *store, struct toc_err *err) {
    int rc = 0;
    for (size_t i = 0; i < load->series.count && !rc; i++)
        rc = append_items(&load->series.items[i], start_ms, load->step_ms, 0, SIZE_MAX, store, err);
    return !rc && load->with_nhcb ? toc_test_load_nhcb(load, start_ms, store, err) : rc;
}

int toc_test_load_until(const struct toc_test_load *load, int64_t start_ms, int64_t until_ms,
                        size_t *position, struct toc_memory_querier *store, struct toc_err *err) {
    size_t from = *position;
    int rc = 0;
    if (until_ms < start_ms)
        return 0;
    *position = load->step_ms ? (size_t)((until_ms - start_ms) / load->step_ms) + 1 : SIZE_MAX;
    for (size_t i = 0; i < load->series.count && !rc; i++)
        rc = append_items(&load->series.items[i], start_ms, load->step_ms, from, *position, store,
                          err);
    return rc;
}
