#include "api/fuzzy.h"

#include <stdbool.h>
#include <string.h>

static bool are_equal(struct toc_runes a, struct toc_runes b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n * sizeof *a.p) == 0);
}

/* The next occurrence at or behind `from`; text.n when there is none. */
static size_t find(struct toc_runes text, uint32_t rune, size_t from) {
    while (from < text.n && text.p[from] != rune)
        from++;
    return from;
}

/* Greedy from `start`, where the first character stands; false when the pattern does not fit in. */
static bool score_from(struct toc_runes pattern, struct toc_runes text, size_t start, double *out) {
    const double share = 1.0 / (double)text.n;
    size_t matched = 0, end = 0; /* behind the last run */
    double score = 0;
    for (size_t at = start; matched < pattern.n;) {
        at = find(text, pattern.p[matched], at);
        if (at == text.n)
            return false;
        size_t run = at;
        while (at < text.n && matched < pattern.n && text.p[at] == pattern.p[matched]) {
            at++;
            matched++;
        }
        score += (double)((at - run) * (at - run)) - (double)(run - end) * share;
        end = at;
    }
    *out = score - (double)(text.n - end) * share * 0.5;
    return true;
}

double toc_fuzzy_subsequence(struct toc_runes pattern, struct toc_runes text) {
    if (pattern.n == 0 || are_equal(pattern, text))
        return 1;
    double best = 0, score;
    for (size_t start = find(text, pattern.p[0], 0); start + pattern.n <= text.n;
         start = find(text, pattern.p[0], start + 1)) {
        if (!score_from(pattern, text, start, &score))
            break; /* later starts have less text before them */
        if (score > best)
            best = score;
    }
    return best / (double)(pattern.n * pattern.n);
}

/* Marks what the two have in common within the window, and returns how much that is. */
static size_t mark_matches(struct toc_runes a, struct toc_runes b, bool *in_a, bool *in_b) {
    size_t window = b.n / 2 > 1 ? b.n / 2 - 1 : 0, matches = 0;
    for (size_t i = 0; i < a.n; i++) {
        size_t from = i > window ? i - window : 0;
        size_t to = i + window + 1 < b.n ? i + window + 1 : b.n;
        for (size_t k = from; k < to && !in_a[i]; k++)
            if (!in_b[k] && a.p[i] == b.p[k])
                in_a[i] = in_b[k] = true;
        matches += in_a[i];
    }
    return matches;
}

/* Common characters that stand in another order. */
static size_t count_transposed(struct toc_runes a, struct toc_runes b, const bool *in_a,
                               const bool *in_b) {
    size_t k = 0, transposed = 0;
    for (size_t i = 0; i < a.n; i++) {
        if (!in_a[i])
            continue;
        while (!in_b[k])
            k++;
        transposed += a.p[i] != b.p[k++];
    }
    return transposed;
}

double toc_fuzzy_jaro_winkler(struct toc_runes a, struct toc_runes b) {
    bool in_a[TOC_FUZZY_LENGTH_MAX] = {false}, in_b[TOC_FUZZY_LENGTH_MAX] = {false};
    if (are_equal(a, b))
        return 1;
    if (a.n > b.n) {
        struct toc_runes shorter = b;
        b = a;
        a = shorter;
    }
    double matches = (double)mark_matches(a, b, in_a, in_b);
    if (matches == 0)
        return 0;
    double transposed = (double)count_transposed(a, b, in_a, in_b);
    double jaro =
        (matches / (double)a.n + matches / (double)b.n + (matches - transposed * 0.5) / matches) /
        3.0;
    size_t prefix = 0;
    while (prefix < 4 && prefix < a.n && a.p[prefix] == b.p[prefix])
        prefix++;
    return jaro + (double)prefix * 0.1 * (1.0 - jaro);
}
