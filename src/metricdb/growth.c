#include "metricdb/growth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/attrs.h"
#include "base/hash.h"

void toc_growth_init(struct toc_growth *g) {
    memset(g, 0, sizeof *g);
    toc_mutex_init(&g->mutex, TOC_LOCK_METRICDB_NOTES);
}

void toc_growth_fini(struct toc_growth *g) {
    toc_mutex_fini(&g->mutex);
}

/* The register by the low bits, the place of the first set bit of the others. */
static void sketch_add(uint8_t *registers, uint64_t hash) {
    uint64_t rest = hash >> 8 | UINT64_C(1) << 56;
    uint8_t rank = (uint8_t)(__builtin_ctzll(rest) + 1);
    uint8_t *r = &registers[hash % TOC_GROWTH_REGISTERS];
    *r = TOC_MAX(*r, rank);
}

static uint64_t sketch_count(const uint8_t *registers) {
    const double m = TOC_GROWTH_REGISTERS, alpha = 0.7213 / (1 + 1.079 / m);
    double sum = 0;
    int empty = 0;
    for (int i = 0; i < TOC_GROWTH_REGISTERS; i++) {
        sum += ldexp(1, -registers[i]);
        empty += registers[i] == 0;
    }
    double n = alpha * m * m / sum;
    if (n <= 2.5 * m && empty)
        n = m * log(m / empty);
    return (uint64_t)llround(n);
}

static uint64_t key_of(struct toc_sv metric, struct toc_sv label) {
    uint64_t key = toc_hash64(label.p, label.n, toc_hash64(metric.p, metric.n, 0));
    return key ? key : 1;
}

/* The row of the key; NULL when it has not earned one. */
static struct toc_growth_row *row_of(struct toc_growth *g, uint64_t key) {
    struct toc_growth_row *least = &g->rows[0];
    for (size_t i = 0; i < TOC_GROWTH_ROWS; i++) {
        if (g->rows[i].key == key)
            return &g->rows[i];
        if (g->rows[i].points < least->points)
            least = &g->rows[i];
    }
    if (least->points) {
        least->points--;
        return NULL;
    }
    memset(least, 0, sizeof *least);
    return least;
}

void toc_growth_add(struct toc_growth *g, struct toc_sv metric, struct toc_sv label,
                    struct toc_sv value) {
    uint64_t key = key_of(metric, label), hash = toc_hash64(value.p, value.n, key);
    toc_mutex_lock(&g->mutex);
    struct toc_growth_row *r = row_of(g, key);
    if (r) {
        if (!r->key) {
            r->key = key;
            toc_sv_copy(metric, r->metric, sizeof r->metric);
            toc_sv_copy(label, r->label, sizeof r->label);
        }
        r->points++;
        sketch_add(r->sketch[0], hash);
    }
    toc_mutex_unlock(&g->mutex);
}

void toc_growth_tick(struct toc_growth *g, int64_t mono_ns) {
    toc_mutex_lock(&g->mutex);
    if (!g->window_ns)
        g->window_ns = mono_ns;
    if (mono_ns - g->window_ns >= (int64_t)TOC_GROWTH_WINDOW_S * 1000000000) {
        g->window_ns = mono_ns;
        for (size_t i = 0; i < TOC_GROWTH_ROWS; i++) {
            struct toc_growth_row *r = &g->rows[i];
            memcpy(r->sketch[1], r->sketch[0], sizeof r->sketch[1]);
            memset(r->sketch[0], 0, sizeof r->sketch[0]);
            r->points /= 2;
        }
    }
    toc_mutex_unlock(&g->mutex);
}

static int by_new_values(const void *a, const void *b) {
    const struct toc_label_growth *x = a, *y = b;
    return x->new_values < y->new_values ? 1 : x->new_values > y->new_values ? -1 : 0;
}

size_t toc_growth_list(struct toc_growth *g, struct toc_label_growth *out, size_t max) {
    struct toc_label_growth all[TOC_GROWTH_ROWS];
    size_t n = 0;
    toc_mutex_lock(&g->mutex);
    for (size_t i = 0; i < TOC_GROWTH_ROWS; i++) {
        const struct toc_growth_row *r = &g->rows[i];
        uint64_t now = r->key ? sketch_count(r->sketch[0]) : 0;
        uint64_t before = r->key ? sketch_count(r->sketch[1]) : 0;
        if (!now && !before)
            continue;
        all[n].new_values = TOC_MAX(now, before);
        memcpy(all[n].metric, r->metric, sizeof r->metric);
        memcpy(all[n++].label, r->label, sizeof r->label);
    }
    toc_mutex_unlock(&g->mutex);
    qsort(all, n, sizeof *all, by_new_values);
    n = TOC_MIN(n, max);
    memcpy(out, all, n * sizeof *all);
    return n;
}
