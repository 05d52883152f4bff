/* Reading a line from left to right; the parsers of this folder share it. */
#ifndef TOC_PROMQLTEST_CURSOR_PRIV_H
#define TOC_PROMQLTEST_CURSOR_PRIV_H

#include "promqltest/series_text.h"

struct cursor {
    struct toc_sv text;
    size_t at;
    struct toc_arena *arena;
    struct toc_err *err;
};

static inline bool cursor_is_blank(char c) {
    return c == ' ' || c == '\t';
}
/* NUL at the end. */
static inline char cursor_peek(const struct cursor *c) {
    return c->at < c->text.n ? c->text.p[c->at] : '\0';
}
static inline bool cursor_has(const struct cursor *c, struct toc_sv prefix) {
    return toc_sv_starts_with(toc_sv_sub(c->text, c->at, c->text.n), prefix);
}
static inline bool cursor_take(struct cursor *c, struct toc_sv word) {
    if (!cursor_has(c, word))
        return false;
    c->at += word.n;
    return true;
}
static inline void cursor_skip_blanks(struct cursor *c) {
    while (cursor_is_blank(cursor_peek(c)))
        c->at++;
}
static inline bool cursor_is_at_end(const struct cursor *c) {
    return c->at >= c->text.n;
}

/* TOC_EPARSE at the cursor's column. */
int cursor_fail(struct cursor *c, const char *fmt, ...) TOC_PRINTF(2, 3);
/* A number with at most one sign in front: decimal, exponent, Inf, NaN; no hexadecimal. */
int cursor_number(struct cursor *c, double *out);
/* Digits. */
int cursor_count(struct cursor *c, uint64_t *out);
/* A word up to a blank, the end or one of `stops`. */
struct toc_sv cursor_word(struct cursor *c, const char *stops);

/* labels_text.c: leaves the cursor behind the labels. */
int cursor_labels(struct cursor *c, struct toc_labels *out);
/* histogram_text.c */
int cursor_histogram(struct cursor *c, struct toc_histogram **out, bool *out_has_hint);

#endif
