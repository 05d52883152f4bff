#include "collect/run_log_names_priv.h"

#include "base/alloc.h"

struct meaning {
    bool is_known;
    struct toc_run_log_meaning of;
};

struct name {
    struct toc_sv text;         /* owned by the arena */
    struct meaning meanings[2]; /* in training, in an evaluation */
    struct name *follower;      /* the one that came after it last time; NULL: none yet */
};

struct toc_run_log_names {
    const struct toc_alias_table *aliases;
    struct toc_report_fields *fields;
    struct toc_arena arena;
    struct toc_map by_text; /* struct name * */
    struct name *latest;    /* NULL: none, or one that is not kept */
};

struct toc_run_log_names *toc_run_log_names_new(const struct toc_alias_table *aliases,
                                                struct toc_report_fields *fields) {
    struct toc_run_log_names *n = TOC_NEW(struct toc_run_log_names);
    n->aliases = aliases;
    n->fields = fields;
    return n;
}

void toc_run_log_names_free(struct toc_run_log_names **n) {
    if (!n || !*n)
        return;
    toc_map_fini(&(*n)->by_text);
    toc_arena_fini(&(*n)->arena);
    toc_free(*n);
    *n = NULL;
}

/* The field of an alias; a tag only where the name is kept, so that there are not too many. */
static struct toc_run_log_meaning look_up(struct toc_run_log_names *n, struct toc_sv text,
                                          bool is_eval, bool is_kept) {
    struct toc_run_log_meaning m = {.alias = toc_alias_of_tag(n->aliases, text, is_eval)};
    if (m.alias)
        m.field = toc_report_field_value(n->fields, toc_report_name_of(m.alias->canonical));
    else if (is_kept && toc_run_name_is_valid(text))
        m.field = toc_report_field_scalar(n->fields, text);
    return m;
}

static struct name *name_new(struct toc_run_log_names *n, struct toc_sv text) {
    if (n->by_text.count >= TOC_RUN_LOG_NAMES_MAX || text.n > TOC_RUN_LOG_NAME_BYTES_MAX)
        return NULL;
    struct name *x = TOC_ARENA_NEW(&n->arena, struct name);
    struct toc_sv own = x ? toc_arena_dup_sv(&n->arena, text) : TOC_SV_NULL;
    if (!own.p)
        return NULL;
    x->text = own;
    toc_map_put(&n->by_text, own, x);
    return x;
}

static struct name *find(struct toc_run_log_names *n, struct toc_sv text) {
    struct name *before = n->latest, *x = before ? before->follower : NULL;
    if (!x || !toc_sv_eq(x->text, text)) {
        x = toc_map_get(&n->by_text, text);
        x = x ? x : name_new(n, text);
        if (before)
            before->follower = x;
    }
    n->latest = x;
    return x;
}

struct toc_run_log_meaning toc_run_log_name_get(struct toc_run_log_names *n, struct toc_sv text,
                                                bool is_eval) {
    struct name *x = find(n, text);
    if (!x)
        return look_up(n, text, is_eval, false);
    struct meaning *m = &x->meanings[is_eval];
    if (!m->is_known) {
        m->of = look_up(n, text, is_eval, true);
        m->is_known = true;
    }
    return m->of;
}
