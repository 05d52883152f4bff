/* Sets of ranks and of hosts. */
#include "base/alloc.h"
#include "diagnose/failure_priv.h"

bool toc_rank_set_has(const struct toc_rank_set *s, int64_t n) {
    return n >= 0 && (uint64_t)n / 64 < s->word_count && s->words[n / 64] >> (n % 64) & 1;
}

bool toc_rank_set_add(struct toc_rank_set *s, int64_t n) {
    if (n < 0 || n >= TOC_RANK_SET_MAX || toc_rank_set_has(s, n))
        return false;
    size_t want = (size_t)n / 64 + 1;
    if (want > s->word_count) {
        s->words = toc_xrealloc(s->words, toc_vec_bytes(want, sizeof *s->words));
        memset(s->words + s->word_count, 0, (want - s->word_count) * sizeof *s->words);
        s->word_count = want;
    }
    s->words[n / 64] |= (uint64_t)1 << (n % 64);
    s->count++;
    return true;
}

void toc_rank_set_fini(struct toc_rank_set *s) {
    toc_free(s->words);
    *s = (struct toc_rank_set){0};
}
