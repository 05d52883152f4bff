#include "base/literal_set.h"

#include "base/alloc.h"
#include "base/literal_filter_priv.h"

/*
 * The automaton: `next` holds rows of `classes` entries; an entry is the start of the next row.
 * Rows whose state ends a literal lie behind all others, so that one comparison per byte finds a
 * hit. Bytes that no literal holds share class 0.
 */
struct toc_literal_set {
    uint8_t class_of[256];
    uint32_t classes;
    uint32_t first_hit; /* rows from here on have hits */
    uint32_t root;
    uint32_t *next;
    struct toc_literal_hits *hits;     /* per row, in row order */
    struct toc_literal_filter *filter; /* the faster way; NULL: there is none for these literals */
};

struct builder {
    uint32_t classes, states;
    uint32_t *next; /* 0 = none yet: no edge of the trie leads to the root */
    uint32_t *fail, *queue;
    struct toc_literal_hits *hits;
};

static unsigned char fold(unsigned char c) {
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

static int check(const struct toc_literal *literals, size_t count, size_t *out_bytes) {
    *out_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (!literals[i].text.n || literals[i].number >= TOC_LITERAL_SET_MAX)
            return TOC_EINVAL;
        if (literals[i].text.n > TOC_LITERAL_SET_BYTES_MAX - *out_bytes)
            return TOC_ELIMIT;
        *out_bytes += literals[i].text.n;
    }
    return 0;
}

static uint32_t assign_classes(uint8_t *class_of, const struct toc_literal *literals,
                               size_t count) {
    bool is_used[256] = {false};
    uint32_t classes = 1;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < literals[i].text.n; k++)
            is_used[fold((unsigned char)literals[i].text.p[k])] = true;
    for (unsigned c = 0; c < 256; c++) {
        unsigned char folded = fold((unsigned char)c);
        if (folded != c)
            continue;
        /* All 256 values cannot be in use: the capitals are folded away. */
        class_of[c] = is_used[c] ? (uint8_t)classes++ : 0;
    }
    for (unsigned c = 'A'; c <= 'Z'; c++)
        class_of[c] = class_of[fold((unsigned char)c)];
    return classes;
}

static void insert(struct builder *b, const uint8_t *class_of, const struct toc_literal *l) {
    uint32_t state = 0;
    for (size_t k = 0; k < l->text.n; k++) {
        uint32_t *edge = &b->next[state * b->classes + class_of[(unsigned char)l->text.p[k]]];
        if (!*edge)
            *edge = b->states++;
        state = *edge;
    }
    b->hits[state].words[l->number / 64] |= (uint64_t)1 << (l->number % 64);
}

static void adopt(struct builder *b, uint32_t state, uint32_t fail) {
    b->fail[state] = fail;
    for (int w = 0; w < TOC_LITERAL_SET_WORDS; w++)
        b->hits[state].words[w] |= b->hits[fail].words[w];
}

/* Breadth first: the fail state of a node is complete before the node is reached. */
static void close_over(struct builder *b) {
    uint32_t head = 0, tail = 0;
    b->queue[tail++] = 0;
    while (head < tail) {
        uint32_t state = b->queue[head++];
        for (uint32_t c = 0; c < b->classes; c++) {
            uint32_t *edge = &b->next[state * b->classes + c];
            uint32_t by_fail = state ? b->next[b->fail[state] * b->classes + c] : 0;
            if (*edge) {
                adopt(b, *edge, by_fail);
                b->queue[tail++] = *edge;
            } else {
                *edge = by_fail;
            }
        }
    }
}

static bool has_hits(const struct toc_literal_hits *h) {
    uint64_t all = 0;
    for (int w = 0; w < TOC_LITERAL_SET_WORDS; w++)
        all |= h->words[w];
    return all != 0;
}

/* Rows without hits first; `queue` becomes the map from state to row. */
static void arrange(struct builder *b, struct toc_literal_set *s) {
    uint32_t row = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < b->states; i++)
            if (has_hits(&b->hits[i]) == (pass == 1))
                b->queue[i] = row++;
        if (pass == 0)
            s->first_hit = row * s->classes;
    }
    s->root = b->queue[0] * s->classes;
    for (uint32_t i = 0; i < b->states; i++) {
        s->hits[b->queue[i]] = b->hits[i];
        for (uint32_t c = 0; c < s->classes; c++)
            s->next[b->queue[i] * s->classes + c] =
                b->queue[b->next[i * s->classes + c]] * s->classes;
    }
}

static int build(struct toc_literal_set *s, const struct toc_literal *literals, size_t count,
                 size_t states_max) {
    struct builder b = {.classes = s->classes, .states = 1};
    int rc = TOC_ENOMEM;
    b.next = toc_try_calloc(states_max * s->classes, sizeof *b.next);
    b.fail = toc_try_calloc(states_max, sizeof *b.fail);
    b.queue = toc_try_calloc(states_max, sizeof *b.queue);
    b.hits = toc_try_calloc(states_max, sizeof *b.hits);
    if (!b.next || !b.fail || !b.queue || !b.hits)
        goto out;
    for (size_t i = 0; i < count; i++)
        insert(&b, s->class_of, &literals[i]);
    close_over(&b);
    s->next = toc_try_calloc((size_t)b.states * s->classes, sizeof *s->next);
    s->hits = toc_try_calloc(b.states, sizeof *s->hits);
    if (!s->next || !s->hits)
        goto out;
    arrange(&b, s);
    rc = 0;
out:
    toc_free(b.next);
    toc_free(b.fail);
    toc_free(b.queue);
    toc_free(b.hits);
    return rc;
}

int toc_literal_set_new(const struct toc_literal *literals, size_t count,
                        struct toc_literal_set **out_set) {
    size_t bytes;
    int rc = check(literals, count, &bytes);
    if (rc < 0)
        return rc;
    struct toc_literal_set *s = TOC_NEW(struct toc_literal_set);
    s->classes = assign_classes(s->class_of, literals, count);
    rc = build(s, literals, count, bytes + 1);
    if (rc == 0)
        rc = toc_literal_filter_new(literals, count, &s->filter);
    if (rc == TOC_EINVAL || rc == TOC_ELIMIT) /* the automaton searches */
        rc = 0;
    if (rc < 0)
        toc_literal_set_free(&s);
    *out_set = s;
    return rc;
}

void toc_literal_set_free(struct toc_literal_set **set) {
    if (!set || !*set)
        return;
    toc_literal_filter_free(&(*set)->filter);
    toc_free((*set)->next);
    toc_free((*set)->hits);
    toc_free(*set);
    *set = NULL;
}

static void note(const struct toc_literal_set *s, uint32_t row, struct toc_literal_hits *hits) {
    const struct toc_literal_hits *of_row = &s->hits[row / s->classes];
    for (int w = 0; w < TOC_LITERAL_SET_WORDS; w++)
        hits->words[w] |= of_row->words[w];
}

bool toc_literal_set_walk(const struct toc_literal_set *set, struct toc_sv text,
                          struct toc_literal_hits *out_hits) {
    const uint32_t *next = set->next;
    const uint32_t first_hit = set->first_hit;
    uint32_t row = set->root;
    bool has_any = false;
    *out_hits = (struct toc_literal_hits){0};
    for (size_t i = 0; i < text.n; i++) {
        row = next[row + set->class_of[(unsigned char)text.p[i]]];
        if (__builtin_expect(row >= first_hit, 0)) {
            note(set, row, out_hits);
            has_any = true;
        }
    }
    return has_any;
}

bool toc_literal_set_search(const struct toc_literal_set *set, struct toc_sv text,
                            struct toc_literal_hits *out_hits) {
    if (!set->filter)
        return toc_literal_set_walk(set, text, out_hits);
    *out_hits = (struct toc_literal_hits){0};
    return toc_literal_filter_search(set->filter, text, out_hits);
}
