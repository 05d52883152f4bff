#include "base/literal_filter_priv.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/vec.h"

enum {
    WINDOW_BYTES = 3,
    HASH_BITS = 14, /* the table of marks stays in the first cache */
    BUCKETS = 1 << HASH_BITS,
    ENTRIES_MAX = UINT16_MAX, /* entry 0 ends a chain */
    STRIDE = 8 - WINDOW_BYTES + 1,
};

/* A literal below the hash of its window. */
struct entry {
    uint32_t text;   /* in `texts`, folded */
    uint32_t n;      /* bytes of it */
    uint32_t before; /* of them before the window */
    uint16_t number;
    uint16_t next; /* of the same hash; 0: none */
};

struct toc_literal_filter {
    uint8_t is_window[BUCKETS];
    uint16_t first[BUCKETS]; /* entry; 0: none */
    struct {
        TOC_VEC_FIELDS(struct entry)
    } entries;
    struct toc_buf texts;
};

static unsigned char fold(unsigned char c) {
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

/* Of the lowest three bytes. All bytes get the bit that tells small letters from capitals: of what
 * that mixes up the comparison tells which it was. */
static uint32_t hash_of(uint64_t bytes) {
    return (uint32_t)bytes * (0x9e3779b1U << 8) >> (32 - HASH_BITS);
}

static const uint64_t g_case_bits = 0x2020202020202020ULL;

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest");

/* Up to eight bytes, the first one lowest; what is missing is zero. */
static uint64_t bytes_at(const char *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)(unsigned char)p[i] << 8 * i;
    return v;
}

/* --- building --- */

/* How common a byte is in logs: a rank, not a measure. */
static unsigned weight(unsigned char c) {
    static const char common[] = " etaoinsrldcu0123";
    const char *at = c ? strchr(common, c) : NULL;
    if (at)
        return (unsigned)(sizeof common - (size_t)(at - common)) + 8;
    return c >= 'a' && c <= 'z' ? 6 : c >= '0' && c <= '9' ? 7 : 4;
}

/* Offset of the rarest window. */
static size_t rarest(struct toc_sv text) {
    size_t best = 0;
    unsigned least = UINT32_MAX;
    for (size_t i = 0; i + WINDOW_BYTES <= text.n; i++) {
        unsigned sum = 0;
        for (size_t k = 0; k < WINDOW_BYTES; k++)
            sum += weight(fold((unsigned char)text.p[i + k]));
        if (sum < least) {
            least = sum;
            best = i;
        }
    }
    return best;
}

static int add_window(struct toc_literal_filter *f, uint64_t window, struct entry e) {
    uint32_t hash = hash_of(window | g_case_bits);
    if (f->entries.count >= ENTRIES_MAX)
        return TOC_ELIMIT;
    e.next = f->first[hash];
    f->first[hash] = (uint16_t)f->entries.count;
    f->is_window[hash] = 1;
    TOC_VEC_PUSH(&f->entries, e);
    return 0;
}

/* Of two bytes the window is each that begins with them. */
static int add_short(struct toc_literal_filter *f, struct toc_sv text, const struct entry *e) {
    int rc = 0;
    for (unsigned third = 0; !rc && third < 256; third++)
        if (third & 0x20) /* every other one gets this bit, too */
            rc = add_window(f, bytes_at(text.p, 2) | (uint64_t)third << 16, *e);
    return rc;
}

static int add(struct toc_literal_filter *f, const struct toc_literal *l) {
    struct toc_sv text = l->text;
    if (text.n < WINDOW_BYTES - 1)
        return TOC_EINVAL;
    struct entry e = {
        .text = (uint32_t)f->texts.n, .n = (uint32_t)text.n, .number = (uint16_t)l->number};
    for (size_t i = 0; i < text.n; i++)
        toc_buf_append_u8(&f->texts, fold((unsigned char)text.p[i]));
    if (text.n < WINDOW_BYTES)
        return add_short(f, text, &e);
    e.before = (uint32_t)rarest(text);
    return add_window(f, bytes_at(text.p + e.before, WINDOW_BYTES), e);
}

int toc_literal_filter_new(const struct toc_literal *literals, size_t count,
                           struct toc_literal_filter **out) {
    struct toc_literal_filter *f = TOC_NEW(struct toc_literal_filter);
    int rc = 0;
    TOC_VEC_PUSH(&f->entries, ((struct entry){0}));
    for (size_t i = 0; !rc && i < count; i++)
        rc = add(f, &literals[i]);
    if (!rc)
        rc = toc_buf_error(&f->texts);
    if (rc)
        toc_literal_filter_free(&f);
    *out = f;
    return rc;
}

void toc_literal_filter_free(struct toc_literal_filter **filter) {
    if (!filter || !*filter)
        return;
    TOC_VEC_FINI(&(*filter)->entries);
    toc_buf_fini(&(*filter)->texts);
    toc_free(*filter);
    *filter = NULL;
}

/* --- searching --- */

static bool is_here(const struct toc_literal_filter *f, const struct entry *e, struct toc_sv text,
                    size_t at) {
    if (at < e->before || at - e->before + e->n > text.n)
        return false;
    const char *here = text.p + (at - e->before), *wanted = f->texts.p + e->text;
    for (size_t i = 0; i < e->n; i++)
        if (fold((unsigned char)here[i]) != (unsigned char)wanted[i])
            return false;
    return true;
}

/* The text has a window at `at`. */
static bool note(const struct toc_literal_filter *f, uint32_t hash, struct toc_sv text, size_t at,
                 struct toc_literal_hits *hits) {
    bool has_any = false;
    for (uint16_t i = f->first[hash]; i; i = f->entries.items[i].next) {
        const struct entry *e = &f->entries.items[i];
        if (toc_literal_hits_has(hits, e->number) || !is_here(f, e, text, at))
            continue;
        hits->words[e->number / 64] |= (uint64_t)1 << e->number % 64;
        has_any = true;
    }
    return has_any;
}

/* Does a window begin in the first STRIDE bytes? */
static bool has_window(const struct toc_literal_filter *f, uint64_t bytes) {
    unsigned found = 0;
#pragma GCC unroll 8
    for (unsigned k = 0; k < STRIDE; k++)
        found |= f->is_window[hash_of(bytes >> 8 * k)];
    return found;
}

static bool note_all(const struct toc_literal_filter *f, uint64_t bytes, struct toc_sv text,
                     size_t at, struct toc_literal_hits *hits) {
    bool has_any = false;
#pragma GCC unroll 8
    for (unsigned k = 0; k < STRIDE; k++) {
        uint32_t hash = hash_of(bytes >> 8 * k);
        if (f->is_window[hash])
            has_any |= note(f, hash, text, at + k, hits);
    }
    return has_any;
}

/* The bytes from `at` on, fewer than eight: of the last eight, where there are so many. */
static uint64_t end_of(struct toc_sv text, size_t at) {
    uint64_t bytes;
    if (text.n < sizeof bytes)
        return bytes_at(text.p + at, text.n - at);
    memcpy(&bytes, text.p + text.n - sizeof bytes, sizeof bytes);
    return bytes >> 8 * (sizeof bytes - (text.n - at));
}

bool toc_literal_filter_search(const struct toc_literal_filter *f, struct toc_sv text,
                               struct toc_literal_hits *hits) {
    bool has_any = false;
    uint64_t bytes;
    size_t at = 0;
    for (; at + sizeof bytes <= text.n; at += STRIDE) {
        memcpy(&bytes, text.p + at, sizeof bytes);
        bytes |= g_case_bits;
        if (__builtin_expect(has_window(f, bytes), 0))
            has_any |= note_all(f, bytes, text, at, hits);
    }
    /* The end: what is behind it counts as zeros, which a window of two bytes may begin before. */
    for (; at + 1 < text.n; at += STRIDE) {
        bytes = end_of(text, at) | g_case_bits;
        if (__builtin_expect(has_window(f, bytes), 0))
            has_any |= note_all(f, bytes, text, at, hits);
    }
    return has_any;
}
