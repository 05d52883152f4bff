#include "replay/threshold_history.h"

#include <math.h>

#include "base/alloc.h"

enum { DAY_MS = 86400000 };

static struct toc_threshold_series *series_of(struct toc_threshold_history *h,
                                              struct toc_labels labels) {
    struct toc_buf key = TOC_BUF_INIT;
    toc_labels_encode(labels, &key);
    uintptr_t n = (uintptr_t)toc_map_get(&h->by_labels, toc_buf_sv(&key));
    if (!n) {
        TOC_VEC_PUSH(h, (struct toc_threshold_series){0});
        n = h->count;
        (void)toc_map_put(&h->by_labels, toc_buf_sv(&key), (void *)n);
    }
    toc_buf_fini(&key);
    return &h->items[n - 1];
}

static int take(struct toc_threshold_history *h, const struct toc_promql_result *r,
                struct toc_err *err) {
    for (size_t i = 0; i < r->series_count; i++) {
        const struct toc_promql_series *from = &r->series[i];
        struct toc_threshold_series *to = series_of(h, from->labels);
        h->points += from->count;
        if (h->points > TOC_THRESHOLD_POINTS_MAX)
            return toc_errf(err, TOC_ELIMIT,
                            "the expression has more than %d values over this history: aggregate "
                            "it, or take a longer --interval",
                            TOC_THRESHOLD_POINTS_MAX);
        for (size_t k = 0; k < from->count; k++) {
            TOC_VEC_PUSH(&to->t_ms, from->points[k].t_ms);
            TOC_VEC_PUSH(&to->values, from->points[k].histogram ? NAN : from->points[k].value);
        }
    }
    return 0;
}

int toc_threshold_history_read(struct toc_querier *q, const struct toc_promql_expr *e,
                               int64_t from_ms, int64_t to_ms, int64_t step_ms,
                               struct toc_executor *executor, struct toc_threshold_history *out,
                               struct toc_err *err) {
    const struct toc_promql_options o = {.querier = q, .executor = executor};
    int64_t stretch = DAY_MS / step_ms * step_ms + (step_ms > DAY_MS ? step_ms : 0);
    int rc = 0;
    *out = (struct toc_threshold_history){0};
    for (int64_t t = from_ms; t < to_ms && rc == 0; t += stretch) {
        struct toc_promql_result result = {0};
        int64_t last = TOC_MIN(t + stretch, to_ms) - 1;
        rc = toc_promql_range(e, &o, t, last, step_ms, &result, err);
        if (rc == 0)
            rc = take(out, &result, err);
        toc_promql_result_fini(&result);
    }
    return rc;
}

void toc_threshold_history_leave_out(struct toc_threshold_history *h,
                                     const struct toc_known_incidents *known, int64_t margin_ms) {
    for (size_t s = 0; s < h->count; s++)
        for (size_t i = 0; i < h->items[s].t_ms.count; i++)
            for (size_t k = 0; k < known->count; k++)
                if (h->items[s].t_ms.items[i] >= known->items[k].start_ms - margin_ms &&
                    h->items[s].t_ms.items[i] <= known->items[k].end_ms + margin_ms)
                    h->items[s].values.items[i] = NAN;
}

struct toc_history *toc_threshold_history_until(const struct toc_threshold_history *h,
                                                int64_t end_ms) {
    struct toc_history *out = TOC_NEW_ARRAY(struct toc_history, h->count + 1);
    for (size_t i = 0; i < h->count; i++) {
        size_t n = h->items[i].t_ms.count;
        while (n > 0 && h->items[i].t_ms.items[n - 1] >= end_ms)
            n--;
        out[i] = (struct toc_history){h->items[i].t_ms.items, h->items[i].values.items, n};
    }
    return out;
}

void toc_threshold_history_fini(struct toc_threshold_history *h) {
    for (size_t i = 0; i < h->count; i++) {
        TOC_VEC_FINI(&h->items[i].t_ms);
        TOC_VEC_FINI(&h->items[i].values);
    }
    TOC_VEC_FINI(h);
    toc_map_fini(&h->by_labels);
}
