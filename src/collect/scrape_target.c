/* From a config and an address to a target: labels, relabelling, URL. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/time.h"
#include "codec/text.h"
#include "collect/scrape_priv.h"
#include "sys/log.h"

enum { ARENA_BYTES = 4 << 20 };

/* One address on its way. */
struct making {
    struct scrape_pool *pool;
    const struct toc_scrape_config *config;
    struct scrape_made *made;
    struct toc_arena arena;
    struct toc_labels_builder b;
    struct toc_labels discovered; /* in the arena */
    int64_t interval_ms, timeout_ms;
    struct toc_buf url;
};

struct scrape_spec *toc_scrape_spec_ref(struct scrape_spec *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void toc_scrape_spec_unref(struct scrape_spec **sp) {
    struct scrape_spec *s = *sp;
    *sp = NULL;
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    toc_scrape_set_unref(&s->set);
    toc_labels_free(&s->discovered);
    toc_labels_free(&s->final);
    toc_free(s->key);
    toc_free(s->url);
    toc_free(s);
}

void toc_scrape_specs_fini(struct scrape_specs *l) {
    for (size_t i = 0; i < l->count; i++)
        toc_scrape_spec_unref(&l->items[i]);
    TOC_VEC_FINI(l);
}

struct scrape_target *toc_scrape_target_new(struct scrape_spec *spec) {
    struct scrape_target *t = TOC_NEW(struct scrape_target);
    t->spec = toc_scrape_spec_ref(spec);
    toc_scrape_cache_init(&t->cache, spec->final);
    return t;
}

void toc_scrape_target_free(struct scrape_target **tp) {
    struct scrape_target *t = *tp;
    if (!t)
        return;
    toc_scrape_spec_unref(&t->spec);
    toc_scrape_spec_unref(&t->next_spec);
    toc_scrape_cache_fini(&t->cache);
    toc_free(t);
    *tp = NULL;
}

static struct toc_sv duration_text(int64_t ms, struct toc_arena *a) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_duration_format(ms, &text);
    struct toc_sv copy = toc_arena_dup_sv(a, toc_buf_sv(&text));
    toc_buf_fini(&text);
    return copy;
}

static void set_default(struct toc_labels_builder *b, struct toc_sv name, struct toc_sv value) {
    if (!toc_labels_builder_get(b, name).n)
        toc_labels_builder_set(b, name, value);
}

static struct toc_sv param_label(struct toc_sv name, struct toc_arena *a) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text, "__param_%.*s", TOC_SV_ARG(name));
    struct toc_sv copy = toc_arena_dup_sv(a, toc_buf_sv(&text));
    toc_buf_fini(&text);
    return copy;
}

static void discover(struct making *m, size_t at) {
    const struct toc_scrape_config *c = m->config;
    const struct toc_target_group *group = m->made->group;
    toc_labels_builder_reset(&m->b);
    for (size_t i = 0; i < group->label_count; i++)
        toc_labels_builder_set(&m->b, group->labels[i].name, group->labels[i].value);
    for (size_t i = 0; group->own && i < group->own[at].count; i++)
        toc_labels_builder_set(&m->b, group->own[at].items[i].name, group->own[at].items[i].value);
    toc_labels_builder_set(&m->b, TOC_SV("__address__"), group->targets[at]);
    set_default(&m->b, TOC_SV("job"), c->job_name);
    set_default(&m->b, TOC_SV("__scrape_interval__"), duration_text(c->interval_ms, &m->arena));
    set_default(&m->b, TOC_SV("__scrape_timeout__"), duration_text(c->timeout_ms, &m->arena));
    set_default(&m->b, TOC_SV("__metrics_path__"), c->metrics_path);
    set_default(&m->b, TOC_SV("__scheme__"), c->scheme);
    for (size_t i = 0; i < c->param_count; i++)
        if (c->params[i].value_count)
            set_default(&m->b, param_label(c->params[i].name, &m->arena), c->params[i].values[0]);
    m->discovered = toc_labels_dup_arena(toc_labels_builder_finish(&m->b), &m->arena);
}

static void add_param(struct toc_buf *url, bool *has_query, struct toc_sv name,
                      struct toc_sv value) {
    toc_buf_append_char(url, *has_query ? '&' : '?');
    *has_query = true;
    toc_query_encode(name, url);
    toc_buf_append_char(url, '=');
    toc_query_encode(value, url);
}

static const struct toc_scrape_param *find_param(const struct toc_scrape_config *c,
                                                 struct toc_sv name) {
    for (size_t i = 0; i < c->param_count; i++)
        if (toc_sv_eq(c->params[i].name, name))
            return &c->params[i];
    return NULL;
}

/* The label holds the first value; further ones come from the config. */
static void add_params(struct making *m, struct toc_labels l, bool has_query) {
    struct toc_sv prefix = TOC_SV("__param_");
    for (size_t i = 0; i < l.count; i++) {
        if (!toc_sv_starts_with(l.items[i].name, prefix))
            continue;
        struct toc_sv name = toc_sv_sub(l.items[i].name, prefix.n, l.items[i].name.n);
        const struct toc_scrape_param *p = find_param(m->config, name);
        add_param(&m->url, &has_query, name, l.items[i].value);
        for (size_t j = 1; p && j < p->value_count; j++)
            add_param(&m->url, &has_query, name, p->values[j]);
    }
}

static void build_url(struct making *m, struct toc_labels l) {
    struct toc_sv path = toc_labels_get(l, TOC_SV("__metrics_path__"));
    toc_buf_reset(&m->url);
    toc_buf_printf(&m->url, "%.*s://%.*s%s%.*s",
                   TOC_SV_ARG(toc_labels_get(l, TOC_SV("__scheme__"))),
                   TOC_SV_ARG(toc_labels_get(l, TOC_SV("__address__"))),
                   path.n && path.p[0] == '/' ? "" : "/", TOC_SV_ARG(path));
    add_params(m, l, path.n && memchr(path.p, '?', path.n));
}

static int check_target(struct making *m, struct toc_labels l, struct toc_err *err) {
    struct toc_sv address = toc_labels_get(l, TOC_SV("__address__"));
    struct toc_sv scheme = toc_labels_get(l, TOC_SV("__scheme__"));
    if (!address.n)
        return toc_errf(err, TOC_EINVAL, "no address");
    for (size_t i = 0; i < address.n; i++)
        if ((unsigned char)address.p[i] <= ' ' || strchr("/?#@\\\x7f", address.p[i]))
            return toc_errf(err, TOC_EINVAL, "\"%.*s\" is not a valid hostname",
                            TOC_SV_ARG(toc_sv_sub(address, 0, 200)));
    if (!toc_sv_eq(scheme, TOC_SV("http")) && !toc_sv_eq(scheme, TOC_SV("https")))
        return toc_errf(err, TOC_EINVAL, "%.*s: scheme \"%.*s\" is neither http nor https",
                        TOC_SV_ARG(address), TOC_SV_ARG(scheme));
    int rc =
        toc_duration_parse(toc_labels_get(l, TOC_SV("__scrape_interval__")), &m->interval_ms, err);
    if (rc == 0)
        rc = toc_duration_parse(toc_labels_get(l, TOC_SV("__scrape_timeout__")), &m->timeout_ms,
                                err);
    if (rc == 0 && (m->interval_ms <= 0 || m->timeout_ms <= 0))
        rc = toc_errf(err, TOC_EINVAL, "%.*s: scrape interval and timeout must be longer than 0",
                      TOC_SV_ARG(address));
    if (rc == 0 && m->timeout_ms > m->interval_ms)
        rc = toc_errf(err, TOC_EINVAL, "%.*s: scrape timeout greater than scrape interval",
                      TOC_SV_ARG(address));
    return rc;
}

static char *identity(const struct making *m, struct toc_labels final) {
    struct toc_buf key = TOC_BUF_INIT;
    toc_buf_printf(&key, "%.*s\n%.*s\n", TOC_SV_ARG(m->config->job_name),
                   TOC_SV_ARG(toc_buf_sv(&m->url)));
    toc_labels_encode(final, &key);
    struct toc_sv bytes = toc_buf_sv(&key);
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)toc_hash64(bytes.p, bytes.n, 0));
    toc_buf_reset(&key);
    toc_buf_printf(&key, "%.*s\n%.*s\n%s", TOC_SV_ARG(m->config->job_name),
                   TOC_SV_ARG(toc_buf_sv(&m->url)), text);
    return toc_buf_take(&key, NULL);
}

/* Without what begins with __, with instance. */
static struct toc_labels final_labels(struct making *m, struct toc_labels l) {
    struct toc_sv address = toc_labels_get(l, TOC_SV("__address__"));
    set_default(&m->b, TOC_SV("instance"), address);
    for (size_t i = 0; i < m->b.count; i++)
        if (toc_sv_starts_with(m->b.items[i].name, TOC_SV("__")))
            m->b.items[i].value = TOC_SV_NULL;
    return toc_labels_builder_finish(&m->b);
}

static struct scrape_spec *new_spec(struct making *m) {
    struct scrape_spec *s = TOC_NEW(struct scrape_spec);
    atomic_init(&s->refs, 1);
    s->set = toc_scrape_set_ref(m->pool->set);
    s->config = m->config;
    s->is_found = m->pool->is_found;
    s->discovered = toc_labels_dup(m->discovered);
    return s;
}

static void add_target(struct making *m, struct toc_labels final) {
    struct scrape_spec *s = new_spec(m);
    s->interval_ms = m->interval_ms;
    s->timeout_ms = m->timeout_ms;
    s->key = identity(m, final);
    s->hash = toc_hash64(s->key, strlen(s->key), 0);
    s->url = toc_sv_dup_cstr(toc_buf_sv(&m->url));
    s->final = toc_labels_dup(final);
    TOC_VEC_PUSH(&m->made->specs, s);
}

static void add_dropped(struct making *m) {
    int64_t most = m->config->limits.keep_dropped_targets;
    if (!most || m->made->dropped.count < (size_t)most)
        TOC_VEC_PUSH(&m->made->dropped, new_spec(m));
}

static void make_target(struct making *m, size_t at) {
    struct toc_err err = {0};
    toc_arena_reset(&m->arena);
    discover(m, at);
    toc_labels_builder_reset(&m->b);
    toc_labels_builder_add_all(&m->b, m->discovered);
    if (!toc_relabel_apply(&m->config->relabel, &m->b, &m->arena)) {
        add_dropped(m);
        return;
    }
    struct toc_labels l = toc_labels_builder_finish(&m->b);
    if (l.count == 0) {
        add_dropped(m);
        return;
    }
    if (check_target(m, l, &err) < 0) {
        m->made->refused++;
        toc_log(TOC_LOG_WARN, "scrape", "job %.*s: target refused: %s",
                TOC_SV_ARG(m->config->job_name), err.message);
        return;
    }
    build_url(m, l);
    /* final_labels changes the builder that l is a view of */
    struct toc_labels kept = toc_labels_dup_arena(l, &m->arena);
    add_target(m, final_labels(m, kept));
}

void toc_scrape_make(struct scrape_made *made, struct scrape_pool *pool) {
    struct making m = {.pool = pool, .config = pool->config, .made = made};
    toc_arena_init(&m.arena, ARENA_BYTES);
    for (size_t i = 0; i < made->group->target_count; i++)
        make_target(&m, i);
    toc_arena_fini(&m.arena);
    toc_buf_fini(&m.url);
    toc_labels_builder_fini(&m.b);
}
