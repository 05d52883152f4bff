/* A frozen selection for queriers that can only select: the series are copied. */
#include "model/querier.h"

#include <string.h>

#include "base/vec.h"
#include "model/histogram.h"

struct kept {
    struct toc_labels labels;
    struct toc_series_view samples;
};

struct collected {
    struct toc_series_set set;
    struct toc_arena arena;
    TOC_VEC(struct kept) series;
};

static const void *copy(struct toc_arena *a, const void *from, size_t bytes) {
    if (!from)
        return NULL;
    void *to = toc_arena_alloc(a, bytes ? bytes : 1);
    if (to && bytes)
        memcpy(to, from, bytes);
    return to;
}

static const struct toc_histogram *const *copy_histograms(struct toc_arena *a,
                                                          const struct toc_series_view *v) {
    if (!v->histograms)
        return NULL;
    const struct toc_histogram **out = toc_arena_calloc(a, v->count, sizeof *out);
    for (size_t i = 0; out && i < v->count; i++)
        out[i] = v->histograms[i] ? toc_histogram_dup(v->histograms[i], a) : NULL;
    return out;
}

static int keep(void *ctx, const struct toc_series_view *v) {
    struct collected *c = ctx;
    struct kept k = {.labels = toc_labels_dup_arena(v->labels, &c->arena), .samples = *v};
    k.samples.labels = k.labels;
    k.samples.t_ms = copy(&c->arena, v->t_ms, v->count * sizeof *v->t_ms);
    k.samples.values = copy(&c->arena, v->values, v->count * sizeof *v->values);
    k.samples.start_ms = copy(&c->arena, v->start_ms, v->count * sizeof *v->start_ms);
    k.samples.histograms = copy_histograms(&c->arena, v);
    if (c->arena.overflowed)
        return TOC_ELIMIT;
    TOC_VEC_PUSH(&c->series, k);
    return 0;
}

static struct toc_labels labels(struct toc_series_set *set, size_t i, struct toc_label *items) {
    (void)items;
    return TOC_CONTAINER_OF(set, struct collected, set)->series.items[i].labels;
}

/* Index of the first sample later than `ms`. */
static size_t after(const int64_t *t_ms, size_t count, int64_t ms) {
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (t_ms[middle] <= ms)
            low = middle + 1;
        else
            count = middle;
    }
    return low;
}

static int read(struct toc_series_set *set, size_t i, int64_t min_ms, int64_t max_ms,
                struct toc_series_buffer *buffer, struct toc_series_view *out,
                struct toc_err *err) {
    (void)buffer;
    (void)err;
    const struct toc_series_view *all =
        &TOC_CONTAINER_OF(set, struct collected, set)->series.items[i].samples;
    size_t from = min_ms == INT64_MIN ? 0 : after(all->t_ms, all->count, min_ms - 1);
    *out = *all;
    out->count = after(all->t_ms, all->count, max_ms) - from;
    out->t_ms += from;
    out->values += from;
    if (out->histograms)
        out->histograms += from;
    if (out->start_ms)
        out->start_ms += from;
    return 0;
}

static void close_set(struct toc_series_set **set) {
    if (!*set)
        return;
    struct collected *c = TOC_CONTAINER_OF(*set, struct collected, set);
    TOC_VEC_FINI(&c->series);
    toc_arena_fini(&c->arena);
    toc_free(c);
    *set = NULL;
}

int toc_querier_open(struct toc_querier *q, const struct toc_select *s, struct toc_series_set **out,
                     struct toc_err *err) {
    if (q->open)
        return q->open(q, s, out, err);
    struct collected *c = TOC_NEW(struct collected);
    c->set = (struct toc_series_set){.labels = labels, .read = read, .close = close_set};
    int rc = q->select(q, s, keep, c, err);
    c->set.count = c->series.count;
    *out = &c->set;
    if (rc < 0 && c->arena.overflowed)
        toc_errf(err, rc, "the selection needs too much memory: ask for fewer series");
    if (rc < 0)
        close_set(out);
    return rc;
}
