/*
 * Sum and mean of many histograms. All are laid out on the buckets they have in common (the
 * coarsest schema, the widest zero bucket, the bounds that all share); then each bucket, the count
 * and the sum is added up on its own with compensation, so that large terms that cancel leave the
 * small ones.
 */
#include <math.h>
#include <string.h>

#include "base/sum.h"
#include "model/histogram_priv.h"

/* What all histograms are brought to. The fields in order: count, sum, zero count, the positive
 * buckets, the negative ones. */
struct layout {
    struct toc_histogram shell;                /* schema, threshold or bounds, hint */
    struct toc_bucket_list positive, negative; /* indexes; the counts are unused */
};
enum { COUNT, SUM, ZERO, BUCKETS };

struct fold {
    const struct toc_histogram *const *h;
    size_t count;
    struct layout layout;
    size_t field_count;
    double *row; /* one histogram on the layout */
    struct toc_mean *fields;
    struct toc_arena *scratch; /* for changing one histogram's buckets; reset by each */
};

/* ------------------------------------------------------------------------------------- layout */

static bool agree_on_shell(struct fold *f, struct toc_arena *arena,
                           struct toc_histogram_notes *notes) {
    struct toc_histogram *to = &f->layout.shell;
    *to = *f->h[0];
    for (size_t i = 1; i < f->count; i++) {
        const struct toc_histogram *h = f->h[i];
        if (toc_histogram_is_custom(h) != toc_histogram_is_custom(to)) {
            notes->is_incompatible = true;
            return false;
        }
        notes->has_reset_conflict |= toc_histogram_join_hints(to, h);
        to->schema = h->schema < to->schema ? h->schema : to->schema;
        to->zero_threshold = fmax(to->zero_threshold, h->zero_threshold);
        if (!toc_bounds_eq(to, h)) {
            notes->has_reconciled_buckets = true;
            if (!toc_bounds_intersect(to, h, arena, &to->custom_bounds, &to->custom_bound_count))
                return false;
        }
    }
    return true;
}

/* The threshold grows until it cuts no populated bucket of any. */
static void agree_on_zero(struct fold *f) {
    double *threshold = &f->layout.shell.zero_threshold, before;
    do {
        before = *threshold;
        for (size_t i = 0; i < f->count; i++)
            toc_zero_count_for(f->h[i], threshold);
    } while (*threshold != before);
}

/* One side of a histogram on the layout's resolution, in scratch memory. */
static bool bring(const struct fold *f, const struct toc_histogram *h, struct toc_buckets side,
                  struct toc_buckets *out) {
    const struct toc_histogram *to = &f->layout.shell;
    *out = side;
    if (toc_histogram_is_custom(to))
        return toc_bounds_eq(h, to) ||
               toc_buckets_rebound(side, h->custom_bounds, h->custom_bound_count, to->custom_bounds,
                                   to->custom_bound_count, f->scratch, out);
    return toc_buckets_above(side, h->schema, to->zero_threshold, f->scratch, out) &&
           toc_buckets_coarsen(*out, h->schema - to->schema, f->scratch, out);
}

static bool has_all(const struct toc_bucket_list *l, struct toc_buckets b) {
    size_t k = 0;
    for (size_t i = 0; i < b.size; i++) {
        while (k < l->size && l->index[k] < b.index[i])
            k++;
        if (k == l->size || l->index[k] != b.index[i])
            return false;
    }
    return true;
}

static bool widen(struct toc_bucket_list *l, struct toc_buckets b, struct toc_arena *arena) {
    struct toc_buckets both;
    if (has_all(l, b))
        return true;
    if (!toc_buckets_add(toc_bucket_list_view(l), b, 1, arena, &both))
        return false;
    l->size = both.size;
    l->index = (int32_t *)both.index; /* made by the line above, in the arena */
    l->count = (double *)both.count;
    return true;
}

static bool agree_on_buckets(struct fold *f, struct toc_arena *arena) {
    for (size_t i = 0; i < f->count; i++) {
        struct toc_buckets positive, negative;
        toc_arena_reset(f->scratch);
        if (!bring(f, f->h[i], f->h[i]->positive, &positive) ||
            !bring(f, f->h[i], f->h[i]->negative, &negative) ||
            !widen(&f->layout.positive, positive, arena) ||
            !widen(&f->layout.negative, negative, arena))
            return false;
    }
    return true;
}

/* --------------------------------------------------------------------------------------- rows */

static void put_side(const struct toc_bucket_list *l, struct toc_buckets b, double *row) {
    size_t k = 0;
    for (size_t i = 0; i < b.size; i++) {
        while (l->index[k] < b.index[i])
            k++;
        row[k] = b.count[i];
    }
}

static bool fill_row(struct fold *f, const struct toc_histogram *h) {
    struct toc_buckets positive, negative;
    double threshold = f->layout.shell.zero_threshold;
    toc_arena_reset(f->scratch);
    if (!bring(f, h, h->positive, &positive) || !bring(f, h, h->negative, &negative))
        return false;
    memset(f->row, 0, f->field_count * sizeof *f->row);
    f->row[COUNT] = h->count;
    f->row[SUM] = h->sum;
    f->row[ZERO] = toc_zero_count_for(h, &threshold);
    put_side(&f->layout.positive, positive, f->row + BUCKETS);
    put_side(&f->layout.negative, negative, f->row + BUCKETS + f->layout.positive.size);
    return true;
}

static bool add_up(struct fold *f) {
    for (size_t i = 0; i < f->count; i++) {
        if (!fill_row(f, f->h[i]))
            return false;
        for (size_t k = 0; k < f->field_count; k++)
            toc_sum_add(&f->fields[k].value, &f->fields[k].lost, f->row[k]);
    }
    for (size_t k = 0; k < f->field_count; k++)
        f->row[k] =
            isinf(f->fields[k].value) ? f->fields[k].value : f->fields[k].value + f->fields[k].lost;
    return true;
}

static bool average(struct fold *f) {
    for (size_t i = 0; i < f->count; i++) {
        if (!fill_row(f, f->h[i]))
            return false;
        for (size_t k = 0; k < f->field_count; k++)
            toc_mean_add(&f->fields[k], f->row[k]);
    }
    for (size_t k = 0; k < f->field_count; k++)
        f->row[k] = toc_mean_value(&f->fields[k]);
    return true;
}

/* ------------------------------------------------------------------------------------- result */

static struct toc_histogram *build(const struct fold *f, const double *v, struct toc_arena *work,
                                   struct toc_arena *arena) {
    struct toc_histogram h = f->layout.shell;
    const struct toc_bucket_list *p = &f->layout.positive, *n = &f->layout.negative;
    h.count = v[COUNT];
    h.sum = v[SUM];
    h.zero_count = v[ZERO];
    h.positive = (struct toc_buckets){p->index, v + BUCKETS, p->size};
    h.negative = (struct toc_buckets){n->index, v + BUCKETS + p->size, n->size};
    const struct toc_histogram *tidy = toc_histogram_compact(&h, work);
    return tidy ? toc_histogram_dup(tidy, arena) : NULL;
}

static struct toc_histogram *fold(struct fold *f, bool is_mean, struct toc_arena *work,
                                  struct toc_arena *arena, struct toc_histogram_notes *notes) {
    if (!agree_on_shell(f, work, notes))
        return NULL;
    agree_on_zero(f);
    if (!agree_on_buckets(f, work))
        return NULL;
    f->field_count = BUCKETS + f->layout.positive.size + f->layout.negative.size;
    f->row = toc_arena_calloc(work, f->field_count, sizeof *f->row);
    f->fields = toc_arena_calloc(work, f->field_count, sizeof *f->fields);
    if (!f->row || !f->fields || !(is_mean ? average(f) : add_up(f)))
        return NULL;
    return build(f, f->row, work, arena);
}

static struct toc_histogram *fold_all(const struct toc_histogram *const *h, size_t count,
                                      bool is_mean, struct toc_arena *arena,
                                      struct toc_histogram_notes *notes) {
    if (count == 1)
        return toc_histogram_compact(h[0], arena);
    struct toc_arena work = TOC_ARENA_INIT, scratch = TOC_ARENA_INIT;
    struct fold f = {.h = h, .count = count, .scratch = &scratch};
    struct toc_histogram *result = fold(&f, is_mean, &work, arena, notes);
    toc_arena_fini(&work);
    toc_arena_fini(&scratch);
    return result;
}

struct toc_histogram *toc_histogram_sum(const struct toc_histogram *const *h, size_t count,
                                        struct toc_arena *arena,
                                        struct toc_histogram_notes *notes) {
    return fold_all(h, count, false, arena, notes);
}

struct toc_histogram *toc_histogram_mean(const struct toc_histogram *const *h, size_t count,
                                         struct toc_arena *arena,
                                         struct toc_histogram_notes *notes) {
    return fold_all(h, count, true, arena, notes);
}
