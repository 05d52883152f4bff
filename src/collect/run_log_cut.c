#include "collect/run_log_cut_priv.h"

#include "base/alloc.h"

void toc_run_log_cuts_reset(struct toc_run_log_cuts *c) {
    c->is_known = false;
    c->items.count = 0;
}

void toc_run_log_cuts_fini(struct toc_run_log_cuts *c) {
    TOC_VEC_FINI(&c->items);
}

struct cutting {
    struct toc_run_log_cuts *cuts; /* NULL: nothing is remembered */
    struct toc_sv line;
    struct toc_run_log_names *names;
    bool is_eval;
    void (*fn)(void *ctx, struct toc_run_log_meaning m, struct toc_sv number);
    void *ctx;
};

static bool has_digit(struct toc_sv s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= '0' && s.p[i] <= '9')
            return true;
    return false;
}

static uint32_t place_of(const struct cutting *c, struct toc_sv part) {
    return part.n ? (uint32_t)(part.p - c->line.p) : 0;
}

static void take_pair(void *ctx, struct toc_sv name, struct toc_sv number) {
    const struct cutting *c = ctx;
    struct toc_run_log_meaning m = toc_run_log_name_get(c->names, name, c->is_eval);
    if (c->cuts) {
        struct toc_run_log_cut cut = {.name_from = place_of(c, name),
                                      .name_n = (uint32_t)name.n,
                                      .text_from = place_of(c, number),
                                      .text_n = (uint32_t)number.n,
                                      .is_fixed = !has_digit(name),
                                      .meaning = m};
        TOC_VEC_PUSH(&c->cuts->items, cut);
    }
    c->fn(c->ctx, m, number);
}

static void repeat(const struct cutting *c) {
    for (size_t i = 0; i < c->cuts->items.count; i++) {
        const struct toc_run_log_cut *cut = &c->cuts->items.items[i];
        struct toc_sv name = toc_sv_make(c->line.p + cut->name_from, cut->name_n);
        c->fn(c->ctx,
              cut->is_fixed ? cut->meaning : toc_run_log_name_get(c->names, name, c->is_eval),
              toc_sv_make(c->line.p + cut->text_from, cut->text_n));
    }
}

void toc_run_log_cut_pairs(
    struct toc_run_log_cuts *cuts, enum toc_run_log_pairs style, struct toc_sv line,
    struct toc_sv text, struct toc_run_log_names *names, bool is_eval,
    void (*fn)(void *ctx, struct toc_run_log_meaning m, struct toc_sv number), void *ctx) {
    bool is_kept = cuts && style != TOC_RUN_LOG_WORDS;
    struct cutting c = {is_kept ? cuts : NULL, line, names, is_eval, fn, ctx};
    if (is_kept && cuts->is_known) {
        repeat(&c);
        return;
    }
    toc_run_log_pairs(style, text, take_pair, &c);
    if (is_kept)
        cuts->is_known = true;
}
