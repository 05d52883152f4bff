#include "collect/scrape_script_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

/* After a line that is new or gone, so many known lines are looked at for the one at hand. */
enum { LOOK_AHEAD = 4 };

/* The series of a line so many lines on is brought towards the cache. */
enum { SERIES_AHEAD = 8 };

static void lines_fini(struct scrape_lines *l) {
    toc_buf_fini(&l->text);
    TOC_VEC_FINI(l);
}

static void forget_index(struct scrape_script *s) {
    toc_free(s->slots);
    s->slots = NULL;
    s->slot_count = 0;
}

void toc_scrape_script_fini(struct scrape_script *s) {
    forget_index(s);
    lines_fini(&s->known);
    lines_fini(&s->fresh);
}

void toc_scrape_script_forget(struct scrape_script *s) {
    toc_scrape_script_fini(s);
    *s = (struct scrape_script){0};
}

void toc_scrape_script_begin(struct scrape_script *s) {
    s->next = 0;
    s->is_followed = true;
}

static bool is_line(const struct scrape_lines *lines, const struct scrape_line *known,
                    struct toc_sv line, uint32_t context) {
    if (line.n < known->n || memcmp(line.p, lines->text.p + known->at, known->n) != 0)
        return false;
    if (!known->series)
        return line.n == known->n;
    return known->context == context && line.n > known->n &&
           (line.p[known->n] == ' ' || line.p[known->n] == '\t');
}

static void append(struct scrape_lines *to, struct toc_sv text, const struct scrape_line *line) {
    struct scrape_line copy = *line;
    copy.at = (uint32_t)to->text.n;
    copy.n = (uint32_t)text.n;
    toc_buf_append_sv(&to->text, text);
    TOC_VEC_PUSH(to, copy);
}

/* From here on the answer differs: what came so far is written down as well. */
static void diverge(struct scrape_script *s) {
    if (!s->is_followed)
        return;
    s->is_followed = false;
    toc_buf_reset(&s->fresh.text);
    s->fresh.count = 0;
    for (size_t i = 0; i < s->next; i++)
        append(&s->fresh, toc_scrape_script_text(s, &s->known.items[i]), &s->known.items[i]);
}

const struct scrape_line *toc_scrape_script_expect(struct scrape_script *s, struct toc_sv line,
                                                   uint32_t context) {
    size_t last = s->next + (s->is_followed ? 1 : LOOK_AHEAD);
    for (size_t i = s->next; i < s->known.count && i < last; i++) {
        const struct scrape_line *known = &s->known.items[i];
        if (!is_line(&s->known, known, line, context))
            continue;
        s->next = i + 1;
        if (i + SERIES_AHEAD < s->known.count)
            __builtin_prefetch(s->known.items[i + SERIES_AHEAD].series, 1);
        if (!s->is_followed)
            append(&s->fresh, toc_scrape_script_text(s, known), known);
        return known;
    }
    return NULL;
}

struct toc_sv toc_scrape_script_text(const struct scrape_script *s, const struct scrape_line *l) {
    return (struct toc_sv){s->known.text.p + l->at, l->n};
}

/* Where the known sample of this text is, or the empty slot where it would be. */
static uint32_t *find_slot(const struct scrape_script *s, struct toc_sv text) {
    size_t mask = s->slot_count - 1;
    for (size_t i = (size_t)toc_hash64(text.p, text.n, 0) & mask;; i = (i + 1) & mask)
        if (!s->slots[i] ||
            toc_sv_eq(toc_scrape_script_text(s, &s->known.items[s->slots[i] - 1]), text))
            return &s->slots[i];
}

static void make_index(struct scrape_script *s) {
    s->slot_count = 16;
    while (s->slot_count < 2 * s->known.count)
        s->slot_count *= 2;
    s->slots = TOC_NEW_ARRAY(uint32_t, s->slot_count);
    for (size_t i = 0; i < s->known.count; i++) {
        if (!s->known.items[i].series)
            continue;
        uint32_t *slot = find_slot(s, toc_scrape_script_text(s, &s->known.items[i]));
        if (!*slot)
            *slot = (uint32_t)i + 1;
    }
}

struct scrape_series *toc_scrape_script_find(struct scrape_script *s, struct toc_sv text,
                                             uint32_t context) {
    if (!s->known.count)
        return NULL;
    if (!s->slots)
        make_index(s);
    uint32_t at = *find_slot(s, text);
    const struct scrape_line *l = at ? &s->known.items[at - 1] : NULL;
    return l && l->context == context ? l->series : NULL;
}

void toc_scrape_script_record(struct scrape_script *s, struct toc_sv text,
                              const struct scrape_line *line) {
    diverge(s);
    append(&s->fresh, text, line);
}

bool toc_scrape_script_end(struct scrape_script *s, bool is_good) {
    bool is_same = s->is_followed && s->next == s->known.count;
    forget_index(s);
    if (is_same || !is_good)
        return is_same && is_good;
    diverge(s); /* it may only have ended early */
    if (toc_buf_error(&s->fresh.text)) {
        toc_scrape_script_forget(s);
        return false;
    }
    /* Answers rarely change: no room is kept for more. */
    lines_fini(&s->known);
    s->known = s->fresh;
    s->fresh = (struct scrape_lines){0};
    toc_buf_trim(&s->known.text);
    TOC_VEC_TRIM(&s->known);
    return false;
}
