/* Sorting many texts by bytes. Texts of one kind (host names, paths) begin alike, so comparing
 * whole texts reads the same bytes again and again: each text gets a key of the eight bytes behind
 * what all have in common, and the keys are sorted by radix. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sv.h"

/* Below, the 256 counters of a pass cost more than comparing. */
enum { FEW = 64 };

static int by_bytes(const void *a, const void *b) {
    return toc_sv_cmp(*(const struct toc_sv *)a, *(const struct toc_sv *)b);
}

struct keyed {
    uint64_t key;
    struct toc_sv text;
};

static int by_text(const void *a, const void *b) {
    return toc_sv_cmp(((const struct keyed *)a)->text, ((const struct keyed *)b)->text);
}

static size_t common_front(const struct toc_sv *items, size_t count) {
    size_t n = items[0].n;
    for (size_t i = 1; i < count; i++) {
        size_t same = 0, most = n < items[i].n ? n : items[i].n;
        while (same < most && items[0].p[same] == items[i].p[same])
            same++;
        n = same;
    }
    return n;
}

/* Big-endian, so that numbers order as bytes do; a text that ends earlier counts as zeros. */
static uint64_t key_of(struct toc_sv text, size_t from) {
    uint64_t key = 0;
    for (size_t i = 0; i < sizeof key; i++)
        key = key << 8 | (from + i < text.n ? (uint8_t)text.p[from + i] : 0);
    return key;
}

static bool is_sorted(const struct toc_sv *items, size_t count) {
    for (size_t i = 1; i < count; i++)
        if (toc_sv_cmp(items[i - 1], items[i]) > 0)
            return false;
    return true;
}

/* One pass of a radix sort: stable, by the byte at `shift`. False when all have the same byte
 * there. */
static bool scatter(const struct keyed *from, struct keyed *to, size_t count, unsigned shift) {
    size_t starts[257] = {0};
    for (size_t i = 0; i < count; i++)
        starts[(from[i].key >> shift & 0xff) + 1]++;
    if (starts[(from[0].key >> shift & 0xff) + 1] == count)
        return false;
    for (size_t i = 0; i < 256; i++)
        starts[i + 1] += starts[i];
    for (size_t i = 0; i < count; i++)
        to[starts[from[i].key >> shift & 0xff]++] = from[i];
    return true;
}

/* Sorts by key, least significant byte first; returns the one of the two arrays that holds the
 * result. */
static struct keyed *sort_by_key(struct keyed *a, struct keyed *b, size_t count) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if (!scatter(a, b, count, shift))
            continue;
        struct keyed *swap = a;
        a = b;
        b = swap;
    }
    return a;
}

/* Texts of one key differ behind it, or only in zeros at their end. */
static void sort_equal_keys(struct keyed *a, size_t count) {
    for (size_t i = 0, end; i < count; i = end) {
        bool differs = false;
        for (end = i + 1; end < count && a[end].key == a[i].key; end++)
            differs |= !toc_sv_eq(a[end].text, a[i].text);
        if (differs)
            qsort(&a[i], end - i, sizeof *a, by_text);
    }
}

static void sort_many(struct toc_sv *items, size_t count) {
    size_t front = common_front(items, count);
    struct keyed *keyed = TOC_NEW_ARRAY(struct keyed, 2 * count);
    for (size_t i = 0; i < count; i++)
        keyed[i] = (struct keyed){key_of(items[i], front), items[i]};
    struct keyed *sorted = sort_by_key(keyed, keyed + count, count);
    sort_equal_keys(sorted, count);
    for (size_t i = 0; i < count; i++)
        items[i] = sorted[i].text;
    toc_free(keyed);
}

void toc_sv_sort(struct toc_sv *items, size_t count) {
    if (count < 2 || is_sorted(items, count))
        return;
    if (count <= FEW)
        qsort(items, count, sizeof *items, by_bytes);
    else
        sort_many(items, count);
}

bool toc_sv_is_among(const struct toc_sv *sorted, size_t count, struct toc_sv text) {
    return count && bsearch(&text, sorted, count, sizeof *sorted, by_bytes);
}
