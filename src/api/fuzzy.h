/* How well a name fits what somebody typed, from 0 (not at all) to 1 (exactly). */
#ifndef TOC_API_FUZZY_H
#define TOC_API_FUZZY_H

#include <stddef.h>
#include <stdint.h>

enum { TOC_FUZZY_LENGTH_MAX = 512 };

/* Text as code points. */
struct toc_runes {
    const uint32_t *p;
    size_t n; /* at most TOC_FUZZY_LENGTH_MAX */
};

/*
 * All characters of the pattern must come in the text in this order. A start at each occurrence of
 * the first character is continued greedily; it earns the square of each unbroken run, loses for
 * gaps and a leading part their share of the text's length, for a trailing part half of it. The
 * best start counts, divided by the square of the pattern's length.
 */
double toc_fuzzy_subsequence(struct toc_runes pattern, struct toc_runes text);

/* Jaro similarity with Winkler's bonus for a common beginning (factor 0.1, at most 4 characters).
 */
double toc_fuzzy_jaro_winkler(struct toc_runes a, struct toc_runes b);

#endif
