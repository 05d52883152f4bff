/* series: the label sets of what is stored. */
#include <stdlib.h>

#include "api/prom_match.h"
#include "base/map.h"
#include "base/vec.h"

/* One selector: written as they come, in label order. */
struct series_writer {
    struct toc_buf *out;
    size_t count, limit;
    bool was_cut;
};

enum { STOP = 1 };

static int write_series(void *ctx, const struct toc_series_view *series) {
    struct series_writer *w = ctx;
    if (w->limit && w->count == w->limit) {
        w->was_cut = true;
        return STOP;
    }
    if (w->count++)
        toc_buf_append_char(w->out, ',');
    toc_prom_labels(w->out, series->labels);
    return toc_buf_error(w->out);
}

static int write_one(struct toc_api_call *c, struct toc_select *s, size_t limit, bool *out_was_cut,
                     struct toc_err *err) {
    struct toc_querier *q = c->api->parts.querier;
    struct series_writer w = {.out = &c->res->body, .limit = limit};
    s->sorted = true;
    int rc = q->select(q, s, write_series, &w, err);
    *out_was_cut = w.was_cut;
    return rc == STOP ? 0 : rc;
}

/* Several selectors: a series that more than one matches is listed once. */
struct series_union {
    struct toc_arena arena;
    struct toc_map seen; /* by label hash */
    TOC_VEC_FIELDS(struct toc_labels)
};

static int keep_series(void *ctx, const struct toc_series_view *series) {
    struct series_union *u = ctx;
    uint64_t hash = toc_labels_hash(series->labels);
    if (toc_map_has(&u->seen, toc_map_u64(&hash)))
        return 0;
    struct toc_labels copy = toc_labels_dup_arena(series->labels, &u->arena);
    if (u->arena.overflowed)
        return TOC_ELIMIT;
    toc_map_put(&u->seen, toc_map_u64(&hash), u);
    TOC_VEC_PUSH(u, copy);
    return 0;
}

static int by_labels(const void *a, const void *b) {
    return toc_labels_cmp(*(const struct toc_labels *)a, *(const struct toc_labels *)b);
}

static int write_union(struct toc_api_call *c, const struct toc_prom_matches *m, size_t limit,
                       bool *out_was_cut, struct toc_err *err) {
    struct toc_querier *q = c->api->parts.querier;
    struct series_union u = {0};
    int rc = 0;
    for (size_t i = 0; i < m->count && rc == 0; i++)
        rc = q->select(q, &m->selects[i], keep_series, &u, err);
    if (u.count)
        qsort(u.items, u.count, sizeof *u.items, by_labels);
    *out_was_cut = limit && limit < u.count;
    size_t n = *out_was_cut ? limit : u.count;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (i)
            toc_buf_append_char(&c->res->body, ',');
        toc_prom_labels(&c->res->body, u.items[i]);
    }
    TOC_VEC_FINI(&u);
    toc_map_fini(&u.seen);
    toc_arena_fini(&u.arena);
    return rc;
}

void toc_api_prom_series(struct toc_api_call *c) {
    struct toc_prom_matches m;
    size_t limit;
    bool was_cut = false;
    struct toc_err err = {0};
    if (!toc_api_param(c, "match[]").p) {
        toc_prom_error(c, TOC_PROM_BAD_DATA, "no match[] parameter provided");
        return;
    }
    if (!toc_prom_limit(c, "limit", &limit) || !toc_prom_matches_read_range(c, true, &m))
        return;
    toc_prom_begin(c);
    toc_json_begin_array(&c->json);
    int rc = m.count == 1 ? write_one(c, &m.selects[0], limit, &was_cut, &err)
                          : write_union(c, &m, limit, &was_cut, &err);
    if (rc < 0) {
        toc_prom_fail(c, rc, &err);
    } else {
        toc_json_end_array(&c->json);
        toc_prom_end_limited(c, was_cut);
    }
    toc_prom_matches_fini(&m);
}
