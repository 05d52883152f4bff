#include "codec/hostlist.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/num.h"
#include "base/vec.h"

enum { BRACKETS_MAX = 4, DIGITS_MAX = 10 };

struct names {
    TOC_VEC_FIELDS(struct toc_sv)
};

struct expanding {
    struct toc_arena *arena;
    size_t most;
    struct names names;
    struct toc_err *err;
};

static int bad(struct expanding *e, struct toc_sv text) {
    return toc_errf(e->err, TOC_EPARSE, "\"%.*s\" is no list of hosts",
                    TOC_SV_ARG(toc_sv_sub(text, 0, 200)));
}

/* The comma that ends the first item, outside of brackets. */
static size_t item_end(struct toc_sv s) {
    bool is_inside = false;
    size_t i = 0;
    for (; i < s.n && (is_inside || s.p[i] != ','); i++)
        is_inside = s.p[i] == '[' || (is_inside && s.p[i] != ']');
    return i;
}

/* "007" or "007-012": first, last and width. */
static int parse_range(struct toc_sv s, uint64_t *first, uint64_t *last, size_t *width) {
    size_t dash = toc_sv_find_char(s, '-');
    struct toc_sv from = toc_sv_sub(s, 0, dash), to = from;
    if (dash != SIZE_MAX)
        to = toc_sv_sub(s, dash + 1, s.n);
    *width = from.n;
    if (!from.n || from.n > DIGITS_MAX || to.n > DIGITS_MAX || toc_parse_u64(from, first) < 0 ||
        toc_parse_u64(to, last) < 0 || *last < *first)
        return TOC_EPARSE;
    return 0;
}

/* Every name made so far of this item, followed by each number of the bracket. */
static int multiply(struct expanding *e, struct names *io, struct toc_sv ranges) {
    struct names out = {0};
    struct toc_sv range;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < io->count; i++) {
        struct toc_sv rest = ranges;
        while (rc == 0 && toc_sv_split(&rest, ',', &range)) {
            uint64_t first = 0, last = 0;
            size_t width = 0;
            rc = parse_range(range, &first, &last, &width);
            if (rc == 0 && (last - first >= e->most || out.count + (last - first) >= e->most))
                rc = TOC_ELIMIT;
            for (uint64_t n = first; rc == 0 && n <= last; n++) {
                struct toc_buf text = TOC_BUF_INIT;
                toc_buf_printf(&text, "%.*s%0*llu", TOC_SV_ARG(io->items[i]), (int)width,
                               (unsigned long long)n);
                TOC_VEC_PUSH(&out, toc_arena_dup_sv(e->arena, toc_buf_sv(&text)));
                toc_buf_fini(&text);
                rc = e->arena->overflowed ? TOC_ELIMIT : 0;
            }
        }
    }
    TOC_VEC_FINI(io);
    *io = out;
    return rc;
}

static int append_text(struct expanding *e, struct names *io, struct toc_sv text) {
    for (size_t i = 0; text.n && i < io->count; i++) {
        struct toc_buf name = TOC_BUF_INIT;
        toc_buf_append_sv(&name, io->items[i]);
        toc_buf_append_sv(&name, text);
        io->items[i] = toc_arena_dup_sv(e->arena, toc_buf_sv(&name));
        toc_buf_fini(&name);
    }
    return e->arena->overflowed ? TOC_ELIMIT : 0;
}

static int expand_item(struct expanding *e, struct toc_sv item, struct names *io) {
    int rc = 0;
    TOC_VEC_PUSH(io, TOC_SV_NULL);
    for (int brackets = 0; rc == 0 && item.n; brackets++) {
        size_t open = toc_sv_find_char(item, '['), close = toc_sv_find_char(item, ']');
        if (open == SIZE_MAX) {
            rc = close == SIZE_MAX ? append_text(e, io, item) : TOC_EPARSE;
            break;
        }
        if (close == SIZE_MAX || close < open + 2 || brackets == BRACKETS_MAX)
            return TOC_EPARSE;
        rc = append_text(e, io, toc_sv_sub(item, 0, open));
        if (rc == 0)
            rc = multiply(e, io, toc_sv_sub(item, open + 1, close - open - 1));
        item = toc_sv_sub(item, close + 1, item.n);
    }
    return rc;
}

static int add_item(struct expanding *e, struct toc_sv item, struct toc_sv text) {
    struct names made = {0};
    int rc = item.n ? expand_item(e, item, &made) : TOC_EPARSE;
    if (rc == 0 && e->names.count + made.count > e->most)
        rc = TOC_ELIMIT;
    for (size_t i = 0; rc == 0 && i < made.count; i++)
        TOC_VEC_PUSH(&e->names, made.items[i]);
    TOC_VEC_FINI(&made);
    if (rc == TOC_ELIMIT)
        return toc_errf(e->err, rc, "\"%.*s\" names more than %zu hosts",
                        TOC_SV_ARG(toc_sv_sub(text, 0, 200)), e->most);
    return rc ? bad(e, text) : 0;
}

int toc_hostlist_expand(struct toc_sv text, size_t most, struct toc_arena *a,
                        const struct toc_sv **out, size_t *out_count, struct toc_err *err) {
    struct expanding e = {.arena = a, .most = most, .err = err};
    struct toc_sv rest = toc_sv_trim(text);
    int rc = 0;
    *out_count = 0;
    while (rc == 0 && rest.n) {
        size_t end = item_end(rest);
        rc = add_item(&e, toc_sv_sub(rest, 0, end), text);
        if (rc == 0 && end + 1 == rest.n)
            rc = bad(&e, text); /* a comma with nothing behind it */
        rest = end < rest.n ? toc_sv_sub(rest, end + 1, rest.n) : TOC_SV_NULL;
    }
    struct toc_sv *names = rc ? NULL : TOC_ARENA_NEW_ARRAY(a, struct toc_sv, e.names.count + 1);
    if (rc == 0 && !names)
        rc = toc_errf(err, TOC_ELIMIT, "no memory for a list of hosts");
    if (rc == 0 && e.names.count)
        memcpy(names, e.names.items, e.names.count * sizeof *names);
    *out = names;
    *out_count = rc ? 0 : e.names.count;
    TOC_VEC_FINI(&e.names);
    return rc;
}
