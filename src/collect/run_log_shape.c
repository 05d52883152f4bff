#include "collect/run_log_shape_priv.h"

#include <string.h>

#include "base/alloc.h"

enum {
    SETS = 16,              /* chosen by the shape's hash; */
    WAYS = 4,               /* of a set the shape that was not met for longest makes room */
    SHAPE_BYTES_MAX = 1024, /* longer lines are matched each time */
};

struct span {
    uint32_t from, n;
    bool is_set;
};

struct shape {
    uint64_t hash;
    uint64_t used; /* 0: free */
    struct toc_buf text;
    const struct toc_run_log_row *row;
    bool may_show_time;
    struct span groups[TOC_RUN_LOG_GROUPS_MAX];
    struct toc_run_log_cuts cuts;
};

struct toc_run_log_shapes {
    struct shape kept[SETS][WAYS];
    uint64_t clock, known;
    /* The line at hand, its digits made 0, and zeros up to a whole word. */
    uint64_t words[SHAPE_BYTES_MAX / sizeof(uint64_t)];
};

struct toc_run_log_shapes *toc_run_log_shapes_new(void) {
    return TOC_NEW(struct toc_run_log_shapes);
}

static void shape_fini(struct shape *shape) {
    toc_buf_fini(&shape->text);
    toc_run_log_cuts_fini(&shape->cuts);
}

void toc_run_log_shapes_free(struct toc_run_log_shapes **s) {
    if (!s || !*s)
        return;
    for (size_t i = 0; i < SETS; i++)
        for (size_t k = 0; k < WAYS; k++)
            shape_fini(&(*s)->kept[i][k]);
    toc_free(*s);
    *s = NULL;
}

uint64_t toc_run_log_shapes_known(const struct toc_run_log_shapes *s) {
    return s->known;
}

static bool is_digit(char c) {
    return (unsigned char)(c - '0') < 10;
}

/* --- lines --- */

/* Eight bytes with their digits made '0'. A byte is a digit when, without its 0x30, it is below 10:
 * then adding 0x76 leaves its highest bit clear. */
static uint64_t without_digits(uint64_t bytes) {
    static const uint64_t low7 = 0x7f7f7f7f7f7f7f7f, high = 0x8080808080808080;
    uint64_t rest = bytes ^ 0x3030303030303030;
    uint64_t digits = ~(((rest & low7) + 0x7676767676767676) | rest) & high;
    return bytes & ~((digits >> 7) * 0x0f);
}

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 29;
}

/* Fills `words`; the hash. */
static uint64_t shape_line(struct toc_run_log_shapes *s, struct toc_sv line) {
    uint64_t hash = line.n, word;
    size_t i = 0, k = 0;
    for (; i + sizeof word <= line.n; i += sizeof word) {
        memcpy(&word, line.p + i, sizeof word);
        s->words[k] = without_digits(word);
        hash = mix(hash, s->words[k++]);
    }
    if (i < line.n) {
        word = 0;
        memcpy(&word, line.p + i, line.n - i);
        s->words[k] = without_digits(word);
        hash = mix(hash, s->words[k]);
    }
    return hash;
}

/* Digits where a date has them, whatever it says. */
static bool may_show_time(struct toc_sv shape) {
    struct toc_sv clock = TOC_SV("00:00:00");
    return toc_sv_find(shape, clock) != SIZE_MAX;
}

static void learn(struct toc_run_log_shapes *s, struct shape *shape, uint64_t hash,
                  struct toc_sv line, struct toc_run_log_matched *out) {
    shape->hash = hash;
    shape->used = ++s->clock;
    toc_buf_reset(&shape->text);
    toc_buf_append(&shape->text, s->words, line.n);
    shape->row = out->row;
    toc_run_log_cuts_reset(&shape->cuts);
    for (int i = 0; out->row && i < out->row->group_count; i++) {
        struct toc_sv g = out->groups[i];
        shape->groups[i] = (struct span){.is_set = g.p != NULL, .n = (uint32_t)g.n};
        if (g.p)
            shape->groups[i].from = (uint32_t)(g.p - line.p);
    }
    out->cuts = &shape->cuts;
    out->may_show_time = shape->may_show_time = may_show_time(toc_buf_sv(&shape->text));
}

static void tell(struct shape *shape, struct toc_sv line, struct toc_run_log_matched *out) {
    out->row = shape->row;
    out->cuts = &shape->cuts;
    out->may_show_time = shape->may_show_time;
    for (int i = 0; out->row && i < out->row->group_count; i++) {
        const struct span *g = &shape->groups[i];
        out->groups[i] = g->is_set ? toc_sv_make(line.p + g->from, g->n) : TOC_SV_NULL;
    }
}

/* The shape that is the line's, or the one that makes room for it. */
static struct shape *shape_of(struct toc_run_log_shapes *s, uint64_t hash, struct toc_sv line,
                              bool *out_is_known) {
    struct shape *set = s->kept[hash % SETS], *oldest = set;
    for (size_t k = 0; k < WAYS; k++) {
        struct shape *x = &set[k];
        *out_is_known = x->used && x->hash == hash && x->text.n == line.n &&
                        memcmp(x->text.p, s->words, line.n) == 0;
        if (*out_is_known)
            return x;
        if (x->used < oldest->used)
            oldest = x;
    }
    return oldest;
}

void toc_run_log_shapes_match(struct toc_run_log_shapes *s, const struct toc_run_log_table *t,
                              struct toc_sv line, struct toc_run_log_matched *out) {
    bool is_usable = t->is_blind && line.n && line.n <= SHAPE_BYTES_MAX, is_known = false;
    uint64_t hash = is_usable ? shape_line(s, line) : 0;
    struct shape *shape = is_usable ? shape_of(s, hash, line, &is_known) : NULL;
    if (is_known) {
        shape->used = ++s->clock;
        s->known++;
        tell(shape, line, out);
        return;
    }
    memset(out->groups, 0, sizeof out->groups);
    out->row = toc_run_log_match(t, line, out->groups);
    out->may_show_time = true;
    out->cuts = NULL;
    if (is_usable)
        learn(s, shape, hash, line, out);
}

/* --- expressions --- */

/* Behind {2,8}, or at the brace where it is none. */
static size_t skip_count(struct toc_sv p, size_t at) {
    size_t end = at + 1;
    while (end < p.n && (is_digit(p.p[end]) || p.p[end] == ','))
        end++;
    return end < p.n && p.p[end] == '}' ? end + 1 : at + 1;
}

/* Behind (?P<name>, or the parenthesis of another group. */
static size_t skip_group(struct toc_sv p, size_t at) {
    if (!toc_sv_starts_with(toc_sv_sub(p, at, SIZE_MAX), TOC_SV("(?P<")))
        return at + 1;
    size_t end = at;
    while (end < p.n && p.p[end] != '>')
        end++;
    return end;
}

/* All digits as one range, which no range before it runs into ([+-0-9]). */
static bool is_all_digits(struct toc_sv p, size_t at, size_t class_from) {
    return toc_sv_starts_with(toc_sv_sub(p, at, SIZE_MAX), TOC_SV("0-9")) &&
           (p.p[at - 1] != '-' || at - 1 == class_from);
}

/* \x41, \Q…\E and the like are not looked into. */
static bool is_plain_escape(struct toc_sv p, size_t at) {
    return at + 1 < p.n && !is_digit(p.p[at + 1]) && p.p[at + 1] != 'x' && p.p[at + 1] != 'Q';
}

bool toc_run_log_pattern_is_blind(struct toc_sv p) {
    size_t class_from = 0; /* of the class at hand, behind [ or [^; 0: none */
    for (size_t at = 0; at < p.n;) {
        char c = p.p[at];
        bool is_all = class_from && is_all_digits(p, at, class_from);
        if ((is_digit(c) && !is_all) || (c == '\\' && !is_plain_escape(p, at)))
            return false;
        if (c == ']' && at > class_from)
            class_from = 0;
        if (is_all || c == '\\') {
            at += is_all ? 3 : 2;
        } else if (class_from || c == ']') {
            at++;
        } else if (c == '[') {
            at += at + 1 < p.n && p.p[at + 1] == '^' ? 2 : 1;
            class_from = at;
        } else {
            at = c == '{' ? skip_count(p, at) : c == '(' ? skip_group(p, at) : at + 1;
        }
    }
    return true;
}
