/* One number out of one native histogram: count, sum, mean, deviation. Floats have none. */
#include <math.h>

#include "promql/functions_priv.h"
#include "promql/histograms_priv.h"

typedef double value_fn(const struct toc_histogram *h, struct toc_arena *arena);

static double count_of(const struct toc_histogram *h, struct toc_arena *arena) {
    (void)arena;
    return h->count;
}
static double sum_of(const struct toc_histogram *h, struct toc_arena *arena) {
    (void)arena;
    return h->sum;
}
static double mean_of(const struct toc_histogram *h, struct toc_arena *arena) {
    (void)arena;
    return h->sum / h->count;
}
static double deviation_of(const struct toc_histogram *h, struct toc_arena *arena) {
    return sqrt(toc_native_variance(h, arena));
}

static int eval_each(struct toc_eval *e, const struct toc_node *n, value_fn *fn,
                     struct toc_eval_columns *out) {
    struct toc_eval_columns in = {0};
    struct toc_eval inner = *e;
    inner.looks_at_resets = true;
    int rc = toc_eval_node(&inner, n->args[0], &in);
    for (size_t i = 0; i < in.count && rc == 0; i++) {
        if (!in.items[i].histograms)
            continue;
        struct toc_column *c = toc_eval_columns_add(e, out, in.items[i].labels);
        if (!c) {
            rc = TOC_ELIMIT;
            break;
        }
        c->drop_name = in.items[i].drop_name;
        toc_column_drop_name(e, c);
        for (size_t k = 0; k < e->step_count; k++) {
            const struct toc_histogram *h = toc_column_histogram(&in.items[i], k);
            if (h)
                c->values[k] = fn(h, e->arena);
        }
    }
    toc_eval_columns_fini(&in);
    return rc < 0 ? rc : toc_eval_columns_merge(e, out, false);
}

#define EACH(name, fn)                                                \
    int toc_call_##name(struct toc_eval *e, const struct toc_node *n, \
                        struct toc_eval_columns *out) {               \
        return eval_each(e, n, fn, out);                              \
    }
EACH(histogram_count, count_of)
EACH(histogram_sum, sum_of)
EACH(histogram_avg, mean_of)
EACH(histogram_stdvar, toc_native_variance)
EACH(histogram_stddev, deviation_of)
