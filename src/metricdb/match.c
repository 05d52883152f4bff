/* Matchers against posting lists, whoever keeps the lists. */
#include "metricdb/match.h"

#include <stdlib.h>
#include <string.h>

/* --- sorted sets --- */

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void toc_ids_sort(struct toc_ids *a) {
    bool sorted = true;
    for (size_t i = 1; i < a->count && sorted; i++)
        sorted = a->items[i - 1] <= a->items[i];
    if (!sorted)
        qsort(a->items, a->count, sizeof *a->items, by_value);
}

/* First index >= from whose id is >= want: doubling steps, then halving. */
static size_t gallop(const uint32_t *b, size_t n, size_t from, uint32_t want) {
    size_t step = 1, low = from;
    while (from + step < n && b[from + step] < want) {
        low = from + step;
        step *= 2;
    }
    size_t high = from + step < n ? from + step : n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (b[middle] < want)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void keep_where(struct toc_ids *a, const uint32_t *b, size_t n, bool present) {
    size_t kept = 0, at = 0;
    for (size_t i = 0; i < a->count; i++) {
        at = gallop(b, n, at, a->items[i]);
        bool is_there = at < n && b[at] == a->items[i];
        if (is_there == present)
            a->items[kept++] = a->items[i];
    }
    a->count = kept;
}

void toc_ids_intersect(struct toc_ids *a, const uint32_t *b, size_t n) {
    keep_where(a, b, n, true);
}

void toc_ids_subtract(struct toc_ids *a, const uint32_t *b, size_t n) {
    keep_where(a, b, n, false);
}

/* --- matching --- */

static bool each_literal(struct toc_sv pattern, void (*fn)(void *ctx, struct toc_sv literal),
                         void *ctx) {
    static const char special[] = "\\.+*?()[]{}^$";
    if (!pattern.n)
        return false;
    for (size_t i = 0; i < pattern.n; i++)
        if (!pattern.p[i] || strchr(special, pattern.p[i]))
            return false;
    struct toc_sv rest = pattern, part;
    while (toc_sv_split(&rest, '|', &part))
        fn(ctx, part);
    return true;
}

struct collector {
    const struct toc_postings *p;
    struct toc_sv name;
    struct toc_ids *out;
};

static void collect_literal(void *ctx, struct toc_sv literal) {
    struct collector *c = ctx;
    c->p->append_pair(c->p->x, c->name, literal, c->out);
}

static void unique(struct toc_ids *a) {
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i++)
        if (!i || a->items[i] != a->items[i - 1])
            a->items[kept++] = a->items[i];
    a->count = kept;
}

/* Series whose value of the matcher's name is present and gives `verdict`. */
static void collect(const struct toc_postings *p, const struct toc_matcher *m, bool verdict,
                    struct toc_ids *out) {
    struct collector c = {p, m->name, out};
    /* Are the values wanted those that the matcher lists? Then look them up instead of trying all.
     */
    bool listed = (m->op == TOC_MATCH_EQ || m->op == TOC_MATCH_RE) == verdict;
    bool is_literal = m->op == TOC_MATCH_EQ || m->op == TOC_MATCH_NE;
    if (listed && is_literal)
        collect_literal(&c, m->value);
    else if (is_literal || !listed || !each_literal(m->value, collect_literal, &c))
        p->append_where(p->x, m, verdict, out);
    toc_ids_sort(out);
    unique(out);
}

/* The cheapest place to start: the shortest list of an equality with a non-empty value. */
static size_t best_start(const struct toc_postings *p, const struct toc_matcher *m, size_t count) {
    size_t best = SIZE_MAX, best_n = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        if (m[i].op != TOC_MATCH_EQ || !m[i].value.n)
            continue;
        size_t n = p->pair_size(p->x, m[i].name, m[i].value);
        if (n < best_n) {
            best_n = n;
            best = i;
        }
    }
    return best;
}

static void apply(const struct toc_postings *p, const struct toc_matcher *m, struct toc_ids *out) {
    struct toc_ids list = {0};
    /* A matcher that accepts the empty value accepts series without the label: subtract the others.
     */
    bool subtract = toc_matcher_matches(m, TOC_SV_NULL);
    collect(p, m, !subtract, &list);
    if (subtract)
        toc_ids_subtract(out, list.items, list.count);
    else
        toc_ids_intersect(out, list.items, list.count);
    TOC_VEC_FINI(&list);
}

void toc_postings_match(const struct toc_postings *p, const struct toc_matcher *m, size_t count,
                        struct toc_ids *out) {
    size_t start = best_start(p, m, count);
    struct toc_ids found = {0};
    if (start == SIZE_MAX)
        p->append_all(p->x, &found);
    else
        p->append_pair(p->x, m[start].name, m[start].value, &found);
    for (size_t i = 0; i < count && found.count; i++)
        if (i != start)
            apply(p, &m[i], &found);
    TOC_VEC_RESERVE(out, out->count + found.count);
    if (found.count)
        memcpy(out->items + out->count, found.items, found.count * sizeof *found.items);
    out->count += found.count;
    TOC_VEC_FINI(&found);
}
