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

void toc_ids_subtract(struct toc_ids *a, const uint32_t *b, size_t n) {
    keep_where(a, b, n, false);
}

/* --- shapes of expressions --- */

static const char g_special[] = "\\.+*?()[]{}^$|";

static bool is_plain(char c) {
    return c && !strchr(g_special, c);
}

/* Bytes at the front that stand for themselves and are not repeated. */
static size_t literal_front(struct toc_sv pattern) {
    size_t n = 0;
    while (n < pattern.n && is_plain(pattern.p[n]))
        n++;
    bool is_repeated = n && n < pattern.n && strchr("*?{", pattern.p[n]) != NULL;
    if (!is_repeated)
        return n;
    /* The last character may occur never. */
    do
        n--;
    while (n && ((uint8_t)pattern.p[n] & 0xc0) == 0x80);
    return n;
}

struct toc_value_test toc_value_test_make(const struct toc_matcher *m) {
    struct toc_value_test t = {.m = m, .shape = TOC_VALUE_OTHER};
    t.is_negated = m->op == TOC_MATCH_NE || m->op == TOC_MATCH_NRE;
    if (m->op == TOC_MATCH_EQ || m->op == TOC_MATCH_NE || !m->value.n ||
        memchr(m->value.p, '|', m->value.n))
        return t;
    size_t n = literal_front(m->value);
    struct toc_sv rest = toc_sv_sub(m->value, n, m->value.n);
    bool any = toc_sv_eq(rest, TOC_SV(".*")), some = toc_sv_eq(rest, TOC_SV(".+"));
    t.prefix = toc_sv_sub(m->value, 0, n);
    t.least_bytes = n + some;
    if (any || some)
        t.shape = n ? TOC_VALUE_PREFIX : any ? TOC_VALUE_ANY : TOC_VALUE_PRESENT;
    return t;
}

bool toc_value_test_matches(const struct toc_value_test *t, struct toc_sv value) {
    bool begins = value.n >= t->least_bytes && value.n >= t->prefix.n &&
                  (!t->prefix.n || !memcmp(value.p, t->prefix.p, t->prefix.n));
    if (t->shape != TOC_VALUE_OTHER || !begins)
        return begins != t->is_negated;
    return toc_matcher_matches(t->m, value);
}

/* The inside of one pair of parentheses around everything, else the pattern itself. */
static struct toc_sv without_parentheses(struct toc_sv p) {
    size_t skip = toc_sv_starts_with(p, TOC_SV("(?:")) ? 3
                  : toc_sv_starts_with(p, TOC_SV("(")) ? 1
                                                       : 0;
    if (!skip || p.n < skip + 1 || p.p[p.n - 1] != ')')
        return p;
    return toc_sv_sub(p, skip, p.n - 1 - skip);
}

/* Calls fn for each alternative when the pattern is nothing but literals; false otherwise. */
static bool each_literal(struct toc_sv pattern, void (*fn)(void *ctx, struct toc_sv literal),
                         void *ctx) {
    struct toc_sv rest = without_parentheses(pattern), part;
    if (!rest.n)
        return false;
    for (size_t i = 0; i < rest.n; i++)
        if (rest.p[i] != '|' && !is_plain(rest.p[i]))
            return false;
    while (toc_sv_split(&rest, '|', &part))
        fn(ctx, part);
    return true;
}

/* --- matching --- */

struct collector {
    const struct toc_postings *p;
    struct toc_sv name;
    struct toc_ids *out;
};

static void collect_literal(void *ctx, struct toc_sv literal) {
    struct collector *c = ctx;
    c->p->append_pair(c->p->x, c->name, literal, c->out);
}

/* Series whose value of the matcher's name is present and gives `verdict`, in any order. */
static void collect(const struct toc_postings *p, const struct toc_matcher *m, bool verdict,
                    struct toc_ids *out) {
    struct collector c = {p, m->name, out};
    struct toc_value_test test = toc_value_test_make(m);
    /* Are the values wanted those that the matcher lists? Then look them up instead of trying all.
     */
    bool listed = (m->op == TOC_MATCH_EQ || m->op == TOC_MATCH_RE) == verdict;
    bool is_literal = m->op == TOC_MATCH_EQ || m->op == TOC_MATCH_NE;
    if (listed && is_literal)
        collect_literal(&c, m->value);
    else if (is_literal || !listed || !each_literal(m->value, collect_literal, &c))
        p->append_where(p->x, &test, verdict, out);
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

/* What is (not) in a list without order, by a bit per possible id: measured 50 times as fast as
 * sorting the list (docs/design/metricdb.md). */
static void keep_by_bits(struct toc_ids *a, const struct toc_ids *list, uint32_t limit,
                         bool present) {
    uint64_t *bits = toc_xcalloc((size_t)limit / 64 + 1, sizeof *bits);
    for (size_t i = 0; i < list->count; i++)
        bits[list->items[i] / 64] |= 1ULL << list->items[i] % 64;
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i++) {
        uint32_t id = a->items[i];
        a->items[kept] = id;
        kept += (bits[id / 64] >> id % 64 & 1) == present;
    }
    a->count = kept;
    toc_free(bits);
}

static bool is_sorted(const struct toc_ids *a) {
    for (size_t i = 1; i < a->count; i++)
        if (a->items[i - 1] >= a->items[i])
            return false;
    return true;
}

enum { FEW = 64 };

/* One value, read in place: a list of 100,000 series is neither copied nor walked for a few. */
static void apply_lent(const struct toc_postings *p, const struct toc_matcher *m,
                       struct toc_ids *out) {
    const struct toc_ids *list = p->lend_pair(p->x, m->name, m->value);
    keep_where(out, list ? list->items : NULL, list ? list->count : 0, m->op == TOC_MATCH_EQ);
}

static void apply(const struct toc_postings *p, const struct toc_matcher *m, struct toc_ids *out) {
    struct toc_ids list = {0};
    /* A matcher that accepts the empty value accepts series without the label: subtract the others.
     */
    bool subtract = toc_matcher_matches(m, TOC_SV_NULL);
    if (m->op == TOC_MATCH_RE && toc_sv_eq(m->value, TOC_SV(".*")))
        return;
    if (p->lend_pair && m->value.n && (m->op == TOC_MATCH_EQ || m->op == TOC_MATCH_NE)) {
        apply_lent(p, m, out);
        return;
    }
    collect(p, m, !subtract, &list);
    if (list.count <= FEW)
        toc_ids_sort(&list);
    if (list.count <= FEW || is_sorted(&list))
        keep_where(out, list.items, list.count, !subtract);
    else
        keep_by_bits(out, &list, p->limit, !subtract);
    TOC_VEC_FINI(&list);
}

/* Looking at one series costs about as much as unpacking so many entries of lists (260 ns beside
 * 4 ns on the blocks of bench/metricdb_bench). */
enum { ENTRIES_PER_LOOK = 64 };

/* Entries that the lists of the other matchers have; of an expression it is not known: all. */
static uint64_t entries_of(const struct toc_postings *p, const struct toc_matcher *m, size_t count,
                           size_t start) {
    uint64_t entries = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_pair = m[i].op == TOC_MATCH_EQ && m[i].value.n;
        if (i != start)
            entries += is_pair ? p->pair_size(p->x, m[i].name, m[i].value) : p->limit;
    }
    return entries;
}

/* Rising and without repetition, by a bit per possible id. */
static void put_in_order(struct toc_ids *a, uint32_t limit) {
    if (is_sorted(a))
        return;
    size_t words = (size_t)limit / 64 + 1, kept = 0;
    uint64_t *bits = toc_xcalloc(words, sizeof *bits);
    for (size_t i = 0; i < a->count; i++)
        bits[a->items[i] / 64] |= 1ULL << a->items[i] % 64;
    for (size_t i = 0; i < words; i++)
        for (uint64_t word = bits[i]; word; word &= word - 1)
            a->items[kept++] = (uint32_t)(i * 64 + (size_t)__builtin_ctzll(word));
    a->count = kept;
    toc_free(bits);
}

/* Without an equality: what the first matcher accepts that wants a value, or all series. Returns
 * the matcher that needs no more to be applied, SIZE_MAX: none. */
static size_t start_without_pair(const struct toc_postings *p, const struct toc_matcher *m,
                                 size_t count, struct toc_ids *out) {
    for (size_t i = 0; i < count; i++) {
        if (toc_matcher_matches(&m[i], TOC_SV_NULL))
            continue;
        collect(p, &m[i], true, out);
        put_in_order(out, p->limit);
        return i;
    }
    p->append_all(p->x, out);
    return SIZE_MAX;
}

void toc_postings_match(const struct toc_postings *p, const struct toc_matcher *m, size_t count,
                        struct toc_ids *out) {
    size_t pair = best_start(p, m, count), start = pair;
    struct toc_ids found = {0};
    if (pair == SIZE_MAX)
        start = start_without_pair(p, m, count, &found);
    else
        p->append_pair(p->x, m[pair].name, m[pair].value, &found);
    bool looks = p->keep_fitting && pair != SIZE_MAX && count > 1 &&
                 (uint64_t)found.count * ENTRIES_PER_LOOK < entries_of(p, m, count, start);
    if (looks)
        p->keep_fitting(p->x, m, count, &found);
    for (size_t i = 0; i < count && found.count && !looks; i++)
        if (i != start)
            apply(p, &m[i], &found);
    TOC_VEC_RESERVE(out, out->count + found.count);
    if (found.count)
        memcpy(out->items + out->count, found.items, found.count * sizeof *found.items);
    out->count += found.count;
    TOC_VEC_FINI(&found);
}
