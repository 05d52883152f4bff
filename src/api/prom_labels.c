/* labels, label/NAME/values: names and values in use. */
#include "api/prom_match.h"
#include "base/vec.h"

/* Distinct strings over several selections. */
struct strings {
    struct toc_arena arena;
    TOC_VEC_FIELDS(struct toc_sv)
    size_t sorted; /* so many in front are of earlier selections, sorted */
};

static int keep_string(void *ctx, struct toc_sv value) {
    struct strings *all = ctx;
    if (toc_sv_is_among(all->items, all->sorted, value))
        return 0; /* one selection gives each text once, but an earlier one had it */
    struct toc_sv copy = toc_arena_dup_sv(&all->arena, value);
    if (all->arena.overflowed)
        return TOC_ELIMIT;
    TOC_VEC_PUSH(all, copy);
    return 0;
}

static void answer_strings(struct toc_api_call *c, struct strings *all, size_t limit) {
    bool was_cut = limit && limit < all->count;
    size_t n = was_cut ? limit : all->count;
    toc_prom_begin(c);
    toc_json_begin_array(&c->json);
    for (size_t i = 0; i < n; i++)
        toc_json_string(&c->json, all->items[i]);
    toc_json_end_array(&c->json);
    toc_prom_end_limited(c, was_cut);
}

/* The names, or the values of one name. */
static void answer(struct toc_api_call *c, const struct toc_sv *name) {
    struct toc_prom_matches m;
    size_t limit;
    if (!toc_prom_limit(c, "limit", &limit) || !toc_prom_matches_read_range(c, false, &m))
        return;
    struct strings all = {0};
    struct toc_err err = {0};
    struct toc_querier *q = c->api->parts.querier;
    int rc = 0;
    for (size_t i = 0; i < m.count && rc == 0; i++) {
        rc = name ? q->label_values(q, *name, &m.selects[i], keep_string, &all, &err)
                  : q->label_names(q, &m.selects[i], keep_string, &all, &err);
        if (m.count > 1) /* one selection comes sorted */
            toc_sv_sort(all.items, all.count);
        all.sorted = all.count;
    }
    if (rc < 0)
        toc_prom_fail(c, rc, &err);
    else
        answer_strings(c, &all, limit);
    TOC_VEC_FINI(&all);
    toc_arena_fini(&all.arena);
    toc_prom_matches_fini(&m);
}

void toc_api_prom_labels(struct toc_api_call *c) {
    answer(c, NULL);
}

void toc_api_prom_label_values(struct toc_api_call *c) {
    struct toc_buf plain = TOC_BUF_INIT;
    struct toc_sv name = c->params[0];
    if (toc_prom_unescape_name(name, &plain))
        name = toc_buf_sv(&plain);
    if (name.n == 0 || !toc_sv_is_utf8(name))
        toc_prom_error(c, TOC_PROM_BAD_DATA, "invalid label name: %s", toc_prom_quote(c, name));
    else
        answer(c, &name);
    toc_buf_fini(&plain);
}
