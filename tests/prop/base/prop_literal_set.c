/*
 * The search of many literals against a naive one: by windows, by the automaton, and by looking at
 * every place for every literal.
 *
 *   prop_literal_set [--seed FIRST] [--ops SETS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../metricdb/args.h"
#include "base/literal_set.h"
#include "base/rng.h"

enum { LITERALS_MAX = 40, LITERAL_BYTES = 12, TEXT_BYTES = 200, TEXTS = 50 };

struct sample {
    char bytes[LITERALS_MAX][LITERAL_BYTES];
    struct toc_literal literals[LITERALS_MAX];
    size_t count;
};

/* Letters that only case parts, bytes that the bit of small letters mixes up, and any byte. */
static char some_byte(struct toc_rng *rng) {
    static const char near[] = "aAbB@`[{ \n\0*0Z";
    return toc_rng_below(rng, 8) ? near[toc_rng_below(rng, sizeof near - 1)]
                                 : (char)toc_rng_below(rng, 256);
}

static void make(struct toc_rng *rng, struct sample *s) {
    /* A single byte now and then: such a set has no windows. */
    size_t least = toc_rng_below(rng, 5) ? 2 : 1;
    s->count = 1 + toc_rng_below(rng, LITERALS_MAX);
    for (size_t i = 0; i < s->count; i++) {
        size_t n = least + toc_rng_below(rng, LITERAL_BYTES - least + 1);
        for (size_t k = 0; k < n; k++)
            s->bytes[i][k] = some_byte(rng);
        s->literals[i] = (struct toc_literal){toc_sv_make(s->bytes[i], n),
                                              (unsigned)toc_rng_below(rng, TOC_LITERAL_SET_MAX)};
    }
}

static size_t make_text(struct toc_rng *rng, const struct sample *s, char *out) {
    size_t wanted = toc_rng_below(rng, TEXT_BYTES), n = 0;
    while (n < wanted) {
        struct toc_sv l = s->literals[toc_rng_below(rng, s->count)].text;
        if (toc_rng_below(rng, 4) || n + l.n > wanted) {
            out[n++] = some_byte(rng);
            continue;
        }
        for (size_t k = 0; k < l.n; k++) /* in other case, too */
            out[n++] = (l.p[k] | 0x20) >= 'a' && (l.p[k] | 0x20) <= 'z' && toc_rng_below(rng, 2)
                           ? (char)(l.p[k] ^ 0x20)
                           : l.p[k];
    }
    return n;
}

static void naive(const struct sample *s, struct toc_sv text, struct toc_literal_hits *out) {
    *out = (struct toc_literal_hits){0};
    for (size_t i = 0; i < s->count; i++)
        for (size_t at = 0; at + s->literals[i].text.n <= text.n; at++)
            if (toc_sv_eq_nocase(toc_sv_sub(text, at, s->literals[i].text.n), s->literals[i].text))
                out->words[s->literals[i].number / 64] |= (uint64_t)1 << s->literals[i].number % 64;
}

static bool is_same(const struct toc_literal_hits *a, bool has_any,
                    const struct toc_literal_hits *wanted) {
    static const struct toc_literal_hits none;
    return memcmp(a, wanted, sizeof *a) == 0 &&
           has_any == (memcmp(wanted, &none, sizeof none) != 0);
}

static void check(uint64_t seed, const struct sample *s, const struct toc_literal_set *set,
                  struct toc_sv text) {
    struct toc_literal_hits wanted, by_search, by_walk;
    /* At the end of an allocation, so that a sanitizer sees a byte read too much. */
    char *copy = malloc(text.n ? text.n : 1);
    if (text.n)
        memcpy(copy, text.p, text.n);
    text.p = copy;
    naive(s, text, &wanted);
    bool has_any = toc_literal_set_search(set, text, &by_search);
    bool has_walked = toc_literal_set_walk(set, text, &by_walk);
    free(copy);
    if (is_same(&by_search, has_any, &wanted) && is_same(&by_walk, has_walked, &wanted))
        return;
    fprintf(stderr, "--seed %llu: a text of %zu bytes: search %s, walk %s\n",
            (unsigned long long)seed, text.n,
            is_same(&by_search, has_any, &wanted) ? "right" : "wrong",
            is_same(&by_walk, has_walked, &wanted) ? "right" : "wrong");
    exit(1);
}

int main(int argc, char **argv) {
    uint64_t first = args_number(argc, argv, "--seed", 1);
    uint64_t count = args_number(argc, argv, "--ops", 2000);
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct toc_rng rng;
        struct sample s;
        struct toc_literal_set *set = NULL;
        char text[TEXT_BYTES + LITERAL_BYTES];
        toc_rng_seed(&rng, seed);
        make(&rng, &s);
        if (toc_literal_set_new(s.literals, s.count, &set) < 0)
            return 1;
        for (int i = 0; i < TEXTS; i++) {
            size_t n = make_text(&rng, &s, text);
            check(seed, &s, set, toc_sv_make(text, n));
        }
        toc_literal_set_free(&set);
    }
    printf("%llu sets of literals, %d texts each: the same answers\n", (unsigned long long)count,
           (int)TEXTS);
    return 0;
}
