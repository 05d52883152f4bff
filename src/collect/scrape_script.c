#include "collect/scrape_script_priv.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "sys/random.h"

/* After a line that is new or gone, so many known lines are looked at for the one at hand. */
enum { LOOK_AHEAD = 4 };

/* The series of a line so many lines on is brought towards the cache. */
enum { SERIES_AHEAD = 8 };

enum { FIRST_SLOTS = 16 };

static void forget_index(struct scrape_script *s) {
    toc_free(s->slots);
    s->slots = NULL;
    s->slot_count = 0;
}

void toc_scrape_script_fini(struct scrape_script *s) {
    forget_index(s);
    TOC_VEC_FINI(&s->known);
    TOC_VEC_FINI(&s->fresh);
}

void toc_scrape_script_forget(struct scrape_script *s) {
    toc_scrape_script_fini(s);
    *s = (struct scrape_script){.secret = s->secret};
}

void toc_scrape_script_begin(struct scrape_script *s) {
    if (!s->secret)
        toc_random_bytes(&s->secret, sizeof s->secret);
    s->next = 0;
    s->is_followed = true;
}

static uint64_t digest_of(const struct scrape_script *s, struct toc_sv text) {
    return toc_hash64(text.p, text.n, s->secret);
}

static bool is_line(const struct scrape_script *s, const struct scrape_line *known,
                    struct toc_sv line, uint32_t context) {
    if (known->is_comment)
        return line.n == known->n && digest_of(s, line) == known->digest;
    return known->context == context && line.n > known->n &&
           (line.p[known->n] == ' ' || line.p[known->n] == '\t') &&
           digest_of(s, toc_sv_make(line.p, known->n)) == known->digest;
}

/* From here on the answer differs: what came so far is written down as well. */
static void diverge(struct scrape_script *s) {
    if (!s->is_followed)
        return;
    s->is_followed = false;
    s->fresh.count = 0;
    for (size_t i = 0; i < s->next; i++)
        TOC_VEC_PUSH(&s->fresh, s->known.items[i]);
}

const struct scrape_line *toc_scrape_script_expect(struct scrape_script *s, struct toc_sv line,
                                                   uint32_t context) {
    size_t last = s->next + (s->is_followed ? 1 : LOOK_AHEAD);
    for (size_t i = s->next; i < s->known.count && i < last; i++) {
        const struct scrape_line *known = &s->known.items[i];
        if (!is_line(s, known, line, context))
            continue;
        s->next = i + 1;
        if (i + SERIES_AHEAD < s->known.count && !s->known.items[i + SERIES_AHEAD].is_comment)
            __builtin_prefetch(s->known.items[i + SERIES_AHEAD].series, 1);
        if (!s->is_followed)
            TOC_VEC_PUSH(&s->fresh, *known);
        return known;
    }
    return NULL;
}

/* Where the known sample with this digest is, or the empty slot where it would be. */
static uint32_t *find_slot(const struct scrape_script *s, uint64_t digest, size_t n) {
    size_t mask = s->slot_count - 1;
    for (size_t i = (size_t)digest & mask;; i = (i + 1) & mask) {
        const struct scrape_line *l = s->slots[i] ? &s->known.items[s->slots[i] - 1] : NULL;
        if (!l || (l->digest == digest && l->n == n))
            return &s->slots[i];
    }
}

static void make_index(struct scrape_script *s) {
    s->slot_count = FIRST_SLOTS;
    while (s->slot_count < 2 * s->known.count)
        s->slot_count *= 2;
    s->slots = TOC_NEW_ARRAY(uint32_t, s->slot_count);
    for (size_t i = 0; i < s->known.count; i++) {
        const struct scrape_line *l = &s->known.items[i];
        uint32_t *slot = l->is_comment ? NULL : find_slot(s, l->digest, l->n);
        if (slot && !*slot)
            *slot = (uint32_t)i + 1;
    }
}

struct scrape_series *toc_scrape_script_find(struct scrape_script *s, struct toc_sv text,
                                             uint32_t context) {
    if (!s->known.count)
        return NULL;
    if (!s->slots)
        make_index(s);
    uint32_t at = *find_slot(s, digest_of(s, text), text.n);
    const struct scrape_line *l = at ? &s->known.items[at - 1] : NULL;
    return l && l->context == context ? l->series : NULL;
}

void toc_scrape_script_record(struct scrape_script *s, struct toc_sv text,
                              const struct scrape_line *line) {
    diverge(s);
    if (text.n >= SCRAPE_LINE_BYTES_MAX)
        return;
    struct scrape_line copy = *line;
    copy.digest = digest_of(s, text);
    copy.n = (uint32_t)text.n & (SCRAPE_LINE_BYTES_MAX - 1);
    TOC_VEC_PUSH(&s->fresh, copy);
}

bool toc_scrape_script_end(struct scrape_script *s, bool is_good) {
    bool is_same = s->is_followed && s->next == s->known.count;
    forget_index(s);
    if (is_same || !is_good)
        return is_same && is_good;
    diverge(s); /* it may only have ended early */
    /* Answers rarely change: no room is kept for more. */
    TOC_VEC_FINI(&s->known);
    s->known = s->fresh;
    s->fresh = (struct scrape_lines){0};
    TOC_VEC_TRIM(&s->known);
    return false;
}
