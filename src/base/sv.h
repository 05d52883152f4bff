/* String views: borrowed bytes with a length. Nothing but `toc_sv` and `toc_buf` passes strings
 * around. */
#ifndef TOC_BASE_SV_H
#define TOC_BASE_SV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attrs.h"

struct toc_sv {
    const char *p; /* may be NULL when n is 0 */
    size_t n;
};

#define TOC_SV(literal) ((struct toc_sv){"" literal, sizeof(literal) - 1})
#define TOC_SV_NULL ((struct toc_sv){NULL, 0})
/* For printf: "%.*s", TOC_SV_ARG(v). */
#define TOC_SV_ARG(v) ((int)((v).n > 0x7fffffff ? 0x7fffffff : (v).n)), ((v).p ? (v).p : "")

static inline struct toc_sv toc_sv_make(const char *p, size_t n) {
    return (struct toc_sv){p, n};
}
/* NULL gives the empty view. */
static inline struct toc_sv toc_sv_cstr(const char *s) {
    return (struct toc_sv){s, s ? strlen(s) : 0};
}
static inline bool toc_sv_eq(struct toc_sv a, struct toc_sv b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool toc_sv_eq_cstr(struct toc_sv a, const char *s) {
    return toc_sv_eq(a, toc_sv_cstr(s));
}

/* Byte order, as Prometheus sorts labels; <0, 0, >0. */
int toc_sv_cmp(struct toc_sv a, struct toc_sv b);
/* Sorts `count` texts by toc_sv_cmp in place; the texts are only borrowed. O(n log n), O(n) when
 * already sorted. */
void toc_sv_sort(struct toc_sv *items, size_t count);
/* Is text one of these sorted texts? */
bool toc_sv_is_among(const struct toc_sv *sorted, size_t count, struct toc_sv text);
bool toc_sv_starts_with(struct toc_sv s, struct toc_sv prefix);
bool toc_sv_ends_with(struct toc_sv s, struct toc_sv suffix);
/* Offset of the first occurrence, or SIZE_MAX. */
size_t toc_sv_find(struct toc_sv s, struct toc_sv needle);
size_t toc_sv_find_char(struct toc_sv s, char c);
/* Part from `from` of at most `n` bytes; out-of-range values are clamped. */
struct toc_sv toc_sv_sub(struct toc_sv s, size_t from, size_t n);
/* Without ASCII blanks at both ends. */
struct toc_sv toc_sv_trim(struct toc_sv s);
/* Cuts *rest at `sep`: the part before is returned, *rest becomes what follows (empty at the end).
 * Returns false once *rest is exhausted (p == NULL). */
bool toc_sv_split(struct toc_sv *rest, char sep, struct toc_sv *out_part);
/* ASCII case-insensitive equality. */
bool toc_sv_eq_nocase(struct toc_sv a, struct toc_sv b);
/* Is every byte sequence well-formed UTF-8 (no surrogates, no overlong forms)? */
bool toc_sv_is_utf8(struct toc_sv s);
/* Are all bytes below 0x80? */
bool toc_sv_is_ascii(struct toc_sv s);
/* Heap copy, NUL-terminated; free with toc_free. */
char *toc_sv_dup_cstr(struct toc_sv s);
/* Copies into a fixed buffer, truncating, always NUL-terminated; true when it fitted. */
bool toc_sv_copy(struct toc_sv s, char *out, size_t out_size);
/* Levenshtein distance capped at 63 bytes per side; for "did you mean" suggestions. */
unsigned toc_sv_distance(struct toc_sv a, struct toc_sv b);

#endif
