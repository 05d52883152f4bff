#include "detect/iforest_ranked.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

/* float32 as an unsigned number of the same order. */
static uint32_t ordered_bits(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float from_ordered_bits(uint32_t bits) {
    bits = bits & 0x80000000u ? bits & 0x7fffffffu : ~bits;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Sorts by eleven bits a pass; after the third the result lies in `out`. Spoils the keys. */
static void radix_sort(uint32_t *keys, uint32_t *out, size_t count) {
    enum { DIGIT = 11, BUCKETS = 1 << DIGIT };
    uint32_t ends[BUCKETS];
    for (unsigned shift = 0; shift < 32; shift += DIGIT) {
        memset(ends, 0, sizeof ends);
        for (size_t i = 0; i < count; i++)
            ends[keys[i] >> shift & (BUCKETS - 1)]++;
        for (uint32_t i = 0, sum = 0; i < BUCKETS; i++) {
            uint32_t n = ends[i];
            ends[i] = sum;
            sum += n;
        }
        for (size_t i = 0; i < count; i++)
            out[ends[keys[i] >> shift & (BUCKETS - 1)]++] = keys[i];
        uint32_t *t = keys;
        keys = out;
        out = t;
    }
}

/* Thresholds of all inner nodes of trees [first, first + count), by column. */
struct gathered {
    uint32_t *keys, *sorted; /* each column's thresholds, then sorted and distinct */
    size_t begin[TOC_RANKED_COLUMNS_MAX + 1];
    size_t distinct[TOC_RANKED_COLUMNS_MAX];
};

static bool is_inner(const struct toc_iforest *f, const struct toc_iforest_tree *t, uint32_t i) {
    return !toc_iforest_node_is_leaf(&f->nodes[t->first + i], i);
}

static void gather(const struct toc_iforest *f, size_t first, size_t count, struct gathered *g) {
    size_t at[TOC_RANKED_COLUMNS_MAX] = {0};
    for (size_t k = first; k < first + count; k++)
        for (uint32_t i = 0; i < f->trees[k].count; i++)
            if (is_inner(f, &f->trees[k], i))
                at[f->nodes[f->trees[k].first + i].link & TOC_IFOREST_FEATURE_MASK]++;
    g->begin[0] = 0;
    for (size_t c = 0; c < f->columns; c++) {
        g->begin[c + 1] = g->begin[c] + at[c];
        at[c] = g->begin[c];
    }
    for (size_t k = first; k < first + count; k++)
        for (uint32_t i = 0; i < f->trees[k].count; i++) {
            const struct toc_iforest_node *n = &f->nodes[f->trees[k].first + i];
            if (is_inner(f, &f->trees[k], i))
                g->keys[at[n->link & TOC_IFOREST_FEATURE_MASK]++] = ordered_bits(n->threshold);
        }
}

static void sort_distinct(struct gathered *g, size_t columns) {
    for (size_t c = 0; c < columns; c++) {
        size_t n = g->begin[c + 1] - g->begin[c], kept = 0;
        uint32_t *sorted = g->sorted + g->begin[c];
        radix_sort(g->keys + g->begin[c], sorted, n);
        for (size_t i = 0; i < n; i++)
            if (i == 0 || sorted[i] != sorted[kept - 1])
                sorted[kept++] = sorted[i];
        g->distinct[c] = kept;
    }
}

static bool fits_ranks(const struct toc_iforest_ranked *r, const struct gathered *g) {
    for (size_t c = 0; c < r->columns; c++)
        if (g->distinct[c] >= (size_t)1 << (16 - r->column_bits))
            return false;
    return true;
}

static int add_thresholds(struct toc_iforest_ranked *r, const uint32_t *sorted, size_t count,
                          struct toc_ranked_column *out) {
    *out = (struct toc_ranked_column){(uint32_t)r->threshold_count, TOC_RANKED_PIVOT_LEVELS, {0}};
    while (((size_t)1 << out->levels) - 1 < count)
        out->levels++;
    size_t padded = ((size_t)1 << out->levels) - 1, want = r->threshold_count + padded;
    if (want > r->threshold_capacity) {
        size_t capacity = TOC_MAX(want, 2 * r->threshold_capacity);
        float *more = toc_try_realloc(r->thresholds, capacity * sizeof *more);
        if (!more)
            return TOC_ENOMEM;
        r->thresholds = more;
        r->threshold_capacity = capacity;
    }
    float *t = r->thresholds + out->first;
    for (size_t i = 0; i < padded; i++)
        t[i] = i < count ? from_ordered_bits(sorted[i]) : INFINITY;
    r->threshold_count = want;
    for (uint32_t h = 1; h < TOC_RANKED_PIVOTS; h++) {
        uint32_t level = 31 - (uint32_t)__builtin_clz(h), within = h - (1u << level);
        uint32_t stride = 1u << (out->levels - level);
        out->pivots[h] = t[within * stride + stride / 2 - 1];
    }
    return 0;
}

static uint32_t rank_of(const struct gathered *g, size_t column, float threshold) {
    const uint32_t *sorted = g->sorted + g->begin[column];
    uint32_t key = ordered_bits(threshold), low = 0, high = (uint32_t)g->distinct[column];
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (sorted[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void put_leaf(uint16_t *words, uint32_t heap, uint32_t depth, float path) {
    uint32_t units = (uint32_t)ldexp((double)path, TOC_RANKED_PATH_BITS);
    uint32_t span = TOC_RANKED_LEAVES >> depth;
    uint32_t first = (heap << (TOC_RANKED_DEPTH - depth)) - TOC_RANKED_LEAVES;
    for (uint32_t i = first; i < first + span; i++) {
        words[TOC_RANKED_LEAVES + i] = (uint16_t)units;
        words[2 * TOC_RANKED_LEAVES + i] = (uint16_t)(units >> 16);
    }
}

static void put_tree(const struct toc_iforest_ranked *r, const struct toc_iforest *f, size_t tree,
                     const struct gathered *g) {
    struct {
        uint32_t node, heap, depth;
    } stack[TOC_RANKED_DEPTH + 2] = {{0, 1, 0}};
    size_t count = 1;
    const struct toc_iforest_tree *t = &f->trees[tree];
    uint16_t *words = r->trees + tree * TOC_RANKED_TREE_WORDS;
    while (count > 0) {
        uint32_t node = stack[--count].node, heap = stack[count].heap, depth = stack[count].depth;
        const struct toc_iforest_node *n = &f->nodes[t->first + node];
        if (toc_iforest_node_is_leaf(n, node)) {
            put_leaf(words, heap, depth, f->path[t->first + node]);
            continue;
        }
        uint32_t column = n->link & TOC_IFOREST_FEATURE_MASK;
        uint32_t child = n->link >> TOC_IFOREST_FEATURE_BITS;
        words[heap] =
            (uint16_t)(column << (16 - r->column_bits) | rank_of(g, column, n->threshold));
        for (uint32_t side = 0; side < 2; side++, count++) {
            stack[count].node = child + side;
            stack[count].heap = 2 * heap + side;
            stack[count].depth = depth + 1;
        }
    }
}

static int add_group(struct toc_iforest_ranked *r, const struct toc_iforest *f, size_t first,
                     size_t count, const struct gathered *g) {
    if (r->group_count == r->group_capacity) {
        size_t capacity = 2 * r->group_capacity + 1;
        void *more = toc_try_realloc(r->groups, capacity * sizeof *r->groups);
        if (!more)
            return TOC_ENOMEM;
        r->groups = more;
        r->group_capacity = capacity;
    }
    struct toc_ranked_group *group = &r->groups[r->group_count++];
    *group = (struct toc_ranked_group){(uint32_t)first, (uint32_t)count, {{0}}};
    int rc = 0;
    for (size_t c = 0; rc == 0 && c < r->columns; c++)
        rc = add_thresholds(r, g->sorted + g->begin[c], g->distinct[c], &group->columns[c]);
    for (size_t i = first; rc == 0 && i < first + count; i++)
        put_tree(r, f, i, g);
    return rc;
}

/* Groups as large as ranks allow; halving ends, for the thresholds of one tree always fit. */
static int add_groups(struct toc_iforest_ranked *r, const struct toc_iforest *f,
                      struct gathered *g) {
    size_t first = 0, count = f->tree_count;
    while (first < f->tree_count) {
        count = TOC_MIN(count, f->tree_count - first);
        gather(f, first, count, g);
        sort_distinct(g, r->columns);
        if (!fits_ranks(r, g)) {
            count = (count + 1) / 2;
            continue;
        }
        int rc = add_group(r, f, first, count, g);
        if (rc < 0)
            return rc;
        first += count;
    }
    return 0;
}

/* Every leaf's path length must be a multiple of 2^-26 below 64: all that training makes is. */
static bool is_suitable(const struct toc_iforest *f) {
    if (f->columns > TOC_RANKED_COLUMNS_MAX)
        return false;
    for (size_t i = 0; i < f->tree_count; i++)
        if (f->trees[i].depth > TOC_RANKED_DEPTH || f->trees[i].count > 2 * TOC_RANKED_LEAVES - 1)
            return false;
    for (size_t i = 0; i < f->node_count; i++) {
        double units = (double)f->path[i] * (1 << TOC_RANKED_PATH_BITS);
        if (!(units < 4294967296.0 && units == floor(units)))
            return false;
    }
    return true;
}

void toc_iforest_ranked_free(struct toc_iforest_ranked **r) {
    if (!r || !*r)
        return;
    toc_free((*r)->groups);
    toc_free((*r)->thresholds);
    toc_free((*r)->tree_memory);
    toc_free(*r);
    *r = NULL;
}

int toc_iforest_ranked_new(const struct toc_iforest *f, struct toc_iforest_ranked **out) {
    *out = NULL;
    if (!is_suitable(f))
        return TOC_EUNSUPPORTED;
    struct toc_iforest_ranked *r = TOC_NEW(struct toc_iforest_ranked);
    r->columns = f->columns;
    while ((size_t)1 << r->column_bits < f->columns)
        r->column_bits++;
    size_t words = f->tree_count * TOC_RANKED_TREE_WORDS;
    struct gathered g = {0};
    g.keys = toc_try_calloc(2 * f->node_count, sizeof *g.keys);
    g.sorted = g.keys ? g.keys + f->node_count : NULL;
    r->tree_memory = toc_try_calloc(words * sizeof(uint16_t) + 64, 1);
    int rc = g.keys && r->tree_memory ? 0 : TOC_ENOMEM;
    if (rc == 0) {
        r->trees = (uint16_t *)(((uintptr_t)r->tree_memory + 63) & ~(uintptr_t)63);
        rc = add_groups(r, f, &g);
    }
    toc_free(g.keys);
    if (rc < 0)
        toc_iforest_ranked_free(&r);
    *out = r;
    return rc;
}
