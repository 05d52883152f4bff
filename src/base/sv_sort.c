/* Sorting many texts by bytes. Texts of one kind (host names, paths) begin alike, so comparing
 * whole texts reads the same bytes again and again: each text gets a key of the eight bytes behind
 * what all have in common. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sv.h"

struct keyed {
    uint64_t key;
    struct toc_sv text;
    bool is_whole; /* nothing of the text lies behind the key */
};

static int by_key(const void *a, const void *b) {
    const struct keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->is_whole && y->is_whole)
        return (x->text.n > y->text.n) - (x->text.n < y->text.n);
    return toc_sv_cmp(x->text, y->text);
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

void toc_sv_sort(struct toc_sv *items, size_t count) {
    if (count < 2 || is_sorted(items, count))
        return;
    size_t front = common_front(items, count);
    struct keyed *keyed = TOC_NEW_ARRAY(struct keyed, count);
    for (size_t i = 0; i < count; i++)
        keyed[i] = (struct keyed){key_of(items[i], front), items[i],
                                  items[i].n <= front + sizeof(uint64_t)};
    qsort(keyed, count, sizeof *keyed, by_key);
    for (size_t i = 0; i < count; i++)
        items[i] = keyed[i].text;
    toc_free(keyed);
}

size_t toc_sv_find_sorted(const struct toc_sv *items, size_t count, struct toc_sv text) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = toc_sv_cmp(items[middle], text);
        if (c == 0)
            return middle;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}
