#include "base/sv.h"

#include "base/alloc.h"

int toc_sv_cmp(struct toc_sv a, struct toc_sv b) {
    size_t n = TOC_MIN(a.n, b.n);
    /* Label names and values are interned: most that are equal are the same bytes. */
    int c = n && a.p != b.p ? memcmp(a.p, b.p, n) : 0;
    if (c)
        return c;
    return (a.n > b.n) - (a.n < b.n);
}

bool toc_sv_starts_with(struct toc_sv s, struct toc_sv prefix) {
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool toc_sv_ends_with(struct toc_sv s, struct toc_sv suffix) {
    if (s.n < suffix.n)
        return false;
    return suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0;
}

size_t toc_sv_find(struct toc_sv s, struct toc_sv needle) {
    if (needle.n == 0)
        return 0;
    if (s.n < needle.n)
        return SIZE_MAX;
    const char *hit = memmem(s.p, s.n, needle.p, needle.n);
    return hit ? (size_t)(hit - s.p) : SIZE_MAX;
}

size_t toc_sv_find_char(struct toc_sv s, char c) {
    const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;
    return hit ? (size_t)(hit - s.p) : SIZE_MAX;
}

struct toc_sv toc_sv_sub(struct toc_sv s, size_t from, size_t n) {
    if (from >= s.n)
        return TOC_SV_NULL;
    return toc_sv_make(s.p + from, TOC_MIN(n, s.n - from));
}

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct toc_sv toc_sv_trim(struct toc_sv s) {
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool toc_sv_split(struct toc_sv *rest, char sep, struct toc_sv *out_part) {
    if (!rest->p)
        return false;
    size_t at = toc_sv_find_char(*rest, sep);
    if (at == SIZE_MAX) {
        *out_part = *rest;
        *rest = TOC_SV_NULL;
        return true;
    }
    *out_part = toc_sv_make(rest->p, at);
    *rest = toc_sv_make(rest->p + at + 1, rest->n - at - 1);
    return true;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool toc_sv_eq_nocase(struct toc_sv a, struct toc_sv b) {
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

/* Length of the well-formed sequence at p (RFC 3629 table), 0 when malformed. */
static size_t utf8_sequence(const unsigned char *p, size_t n) {
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool out_of_range = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    return overlong || out_of_range ? 0 : len;
}

bool toc_sv_is_ascii(struct toc_sv s) {
    uint64_t all = 0, word;
    size_t i = 0;
    for (; i + 32 <= s.n; i += 32)
        for (size_t k = 0; k < 32; k += sizeof word) {
            memcpy(&word, s.p + i + k, sizeof word);
            all |= word;
        }
    for (; i < s.n; i++)
        all |= (unsigned char)s.p[i];
    return !(all & 0x8080808080808080ULL);
}

bool toc_sv_is_utf8(struct toc_sv s) {
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;
    while (i < s.n) {
        uint64_t word = 0;
        if (s.n - i >= sizeof word) /* most text is ASCII */
            memcpy(&word, p + i, sizeof word);
        if (s.n - i >= sizeof word && !(word & 0x8080808080808080ULL)) {
            i += sizeof word;
            continue;
        }
        size_t len = utf8_sequence(p + i, s.n - i);
        if (!len)
            return false;
        i += len;
    }
    return true;
}

char *toc_sv_dup_cstr(struct toc_sv s) {
    char *out = toc_xalloc(s.n + 1);
    if (s.n)
        memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return out;
}

bool toc_sv_copy(struct toc_sv s, char *out, size_t out_size) {
    size_t n = TOC_MIN(s.n, out_size - 1);
    if (n)
        memcpy(out, s.p, n);
    out[n] = '\0';
    return n == s.n;
}

unsigned toc_sv_distance(struct toc_sv a, struct toc_sv b) {
    enum { CAP = 63 };
    unsigned row[CAP + 1];
    size_t an = TOC_MIN(a.n, CAP), bn = TOC_MIN(b.n, CAP);
    for (size_t j = 0; j <= bn; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= an; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= bn; j++) {
            unsigned above = row[j];
            unsigned cost = lower(a.p[i - 1]) != lower(b.p[j - 1]);
            unsigned best = TOC_MIN(above, row[j - 1]) + 1;
            row[j] = TOC_MIN(best, diagonal + cost);
            diagonal = above;
        }
    }
    return row[bn];
}
