#include "collect/run_log_shape_priv.h"

#include <string.h>

#include "base/alloc.h"

enum {
    SHAPES = 64,            /* kept: numbers of a few lengths in a few kinds of lines */
    SHAPE_BYTES_MAX = 1024, /* longer lines are matched each time */
};

struct span {
    uint32_t from, n;
    bool is_set;
};

struct shape {
    struct toc_buf text; /* digits are 0 */
    const struct toc_run_log_row *row;
    struct span groups[TOC_RUN_LOG_GROUPS_MAX];
    bool may_show_time;
    uint64_t used; /* 0: free */
};

struct toc_run_log_shapes {
    struct shape kept[SHAPES];
    size_t order[SHAPES]; /* latest first */
    uint64_t clock, known;
};

struct toc_run_log_shapes *toc_run_log_shapes_new(void) {
    struct toc_run_log_shapes *s = TOC_NEW(struct toc_run_log_shapes);
    for (size_t i = 0; i < SHAPES; i++)
        s->order[i] = i;
    return s;
}

void toc_run_log_shapes_free(struct toc_run_log_shapes **s) {
    if (!s || !*s)
        return;
    for (size_t i = 0; i < SHAPES; i++)
        toc_buf_fini(&(*s)->kept[i].text);
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

static bool has_shape(const struct shape *s, struct toc_sv line) {
    const char *text = s->text.p;
    if (s->text.n != line.n || !s->used)
        return false;
    size_t i = 0;
    while (i < line.n && (line.p[i] == text[i] || (text[i] == '0' && is_digit(line.p[i]))))
        i++;
    return i == line.n;
}

static void move_to_front(struct toc_run_log_shapes *s, size_t k) {
    size_t place = s->order[k];
    memmove(s->order + 1, s->order, k * sizeof *s->order);
    s->order[0] = place;
    s->kept[place].used = ++s->clock;
}

/* Digits where a date has them, whatever it says. */
static bool may_show_time(struct toc_sv shape) {
    struct toc_sv clock = TOC_SV("00:00:00");
    return toc_sv_find(shape, clock) != SIZE_MAX;
}

static void learn(struct toc_run_log_shapes *s, struct toc_sv line,
                  struct toc_run_log_matched *out) {
    struct shape *shape = &s->kept[s->order[SHAPES - 1]];
    move_to_front(s, SHAPES - 1);
    toc_buf_reset(&shape->text);
    toc_buf_append_sv(&shape->text, line);
    for (size_t i = 0; i < shape->text.n; i++)
        shape->text.p[i] = is_digit(line.p[i]) ? '0' : line.p[i];
    shape->row = out->row;
    for (int i = 0; out->row && i < out->row->group_count; i++) {
        struct toc_sv g = out->groups[i];
        shape->groups[i] = (struct span){.is_set = g.p != NULL, .n = (uint32_t)g.n};
        if (g.p)
            shape->groups[i].from = (uint32_t)(g.p - line.p);
    }
    out->may_show_time = shape->may_show_time = may_show_time(toc_buf_sv(&shape->text));
}

static void tell(const struct shape *shape, struct toc_sv line, struct toc_run_log_matched *out) {
    out->row = shape->row;
    out->may_show_time = shape->may_show_time;
    for (int i = 0; out->row && i < out->row->group_count; i++) {
        const struct span *g = &shape->groups[i];
        out->groups[i] = g->is_set ? toc_sv_make(line.p + g->from, g->n) : TOC_SV_NULL;
    }
}

void toc_run_log_shapes_match(struct toc_run_log_shapes *s, const struct toc_run_log_table *t,
                              struct toc_sv line, struct toc_run_log_matched *out) {
    bool is_usable = t->is_blind && line.n && line.n <= SHAPE_BYTES_MAX;
    for (size_t k = 0; is_usable && k < SHAPES; k++) {
        const struct shape *shape = &s->kept[s->order[k]];
        if (!has_shape(shape, line))
            continue;
        move_to_front(s, k);
        s->known++;
        tell(shape, line, out);
        return;
    }
    memset(out->groups, 0, sizeof out->groups);
    out->row = toc_run_log_match(t, line, out->groups);
    out->may_show_time = true;
    if (is_usable)
        learn(s, line, out);
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
