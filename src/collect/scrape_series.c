#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "collect/scrape_series_priv.h"

enum { FIRST_SLOTS = 16 };

void toc_scrape_series_fini(struct scrape_series_set *s) {
    for (size_t i = 0; i < s->count; i++)
        toc_free(s->items[i]);
    TOC_VEC_FINI(s);
    toc_free(s->slots);
    toc_buf_fini(&s->encoded);
    *s = (struct scrape_series_set){0};
}

/* Where the series is, or the empty slot where it belongs. */
static uint32_t *find_slot(const struct scrape_series_set *s, uint64_t hash, struct toc_sv labels) {
    size_t mask = s->slot_count - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        if (!s->slots[i])
            return &s->slots[i];
        const struct scrape_series *x = s->items[s->slots[i] - 1];
        if (x->hash == hash && toc_sv_eq(toc_sv_make(x->labels, x->labels_bytes), labels))
            return &s->slots[i];
    }
}

/* Slots anew, at most half of them full with one series more than there are. */
static void index_all(struct scrape_series_set *s) {
    size_t slots = FIRST_SLOTS;
    while (slots < 2 * (s->count + 1))
        slots *= 2;
    toc_free(s->slots);
    s->slots = TOC_NEW_ARRAY(uint32_t, slots);
    s->slot_count = slots;
    for (size_t i = 0; i < s->count; i++) {
        size_t at = (size_t)s->items[i]->hash & (slots - 1);
        while (s->slots[at])
            at = (at + 1) & (slots - 1);
        s->slots[at] = (uint32_t)i + 1;
    }
}

static struct scrape_series *series_new(uint64_t hash, struct toc_sv labels) {
    struct scrape_series *x = toc_xalloc(sizeof *x + labels.n);
    *x = (struct scrape_series){
        .hash = hash, .labels_bytes = (uint32_t)labels.n, .is_tracked = true};
    memcpy(x->labels, labels.p, labels.n);
    return x;
}

struct scrape_series *toc_scrape_series_get(struct scrape_series_set *s, struct toc_labels l) {
    toc_buf_reset(&s->encoded);
    toc_labels_encode(l, &s->encoded);
    struct toc_sv labels = toc_buf_sv(&s->encoded);
    uint64_t hash = toc_hash64(labels.p, labels.n, 0);
    if (2 * (s->count + 1) > s->slot_count)
        index_all(s);
    uint32_t *slot = find_slot(s, hash, labels);
    if (*slot)
        return s->items[*slot - 1];
    TOC_VEC_PUSH(s, series_new(hash, labels));
    *slot = (uint32_t)s->count;
    return s->items[s->count - 1];
}

struct toc_labels toc_scrape_series_labels(const struct scrape_series *s, struct toc_arena *a) {
    struct toc_reader r = toc_reader_make(toc_sv_make(s->labels, s->labels_bytes));
    struct toc_labels l;
    return toc_labels_decode(&r, a, &l) ? TOC_LABELS_EMPTY : l;
}

void toc_scrape_series_sweep(struct scrape_series_set *s) {
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct scrape_series *x = s->items[i];
        if (x->is_alive || x->is_report)
            s->items[kept++] = x;
        else
            toc_free(x);
    }
    s->count = kept;
    index_all(s);
}
