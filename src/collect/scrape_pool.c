/* What the configs want, group by group. */
#include "base/alloc.h"
#include "collect/scrape_priv.h"

static void made_free(struct scrape_made *m) {
    toc_scrape_specs_fini(&m->specs);
    toc_scrape_specs_fini(&m->dropped);
    toc_shared_group_unref(&m->shared);
    toc_free(m);
}

static void pool_free(struct scrape_pool *p) {
    size_t at = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&p->made, &at));)
        made_free(e->value);
    toc_map_fini(&p->made);
    TOC_VEC_FINI(&p->order);
    toc_scrape_set_unref(&p->set);
    toc_free(p);
}

void toc_scrape_pools_fini(struct scrape_pools *pools) {
    for (size_t i = 0; i < pools->count; i++)
        pool_free(pools->items[i]);
    TOC_VEC_FINI(pools);
}

static void add_pools(struct scrape_pools *pools, struct toc_scrape_set *set, bool is_found) {
    for (size_t i = 0; set && i < toc_scrape_set_count(set); i++) {
        struct scrape_pool *p = TOC_NEW(struct scrape_pool);
        p->set = toc_scrape_set_ref(set);
        p->config = toc_scrape_set_get(set, i);
        p->is_found = is_found;
        TOC_VEC_PUSH(pools, p);
    }
}

void toc_scrape_pools_set(struct scrape_pools *pools, struct toc_scrape_set *configured,
                          struct toc_scrape_set *found) {
    bool has_configured = false, has_found = false;
    size_t kept = 0;
    for (size_t i = 0; i < pools->count; i++) {
        struct scrape_pool *p = pools->items[i];
        if (p->set != (p->is_found ? found : configured)) {
            pool_free(p);
            continue;
        }
        has_found = has_found || p->is_found;
        has_configured = has_configured || !p->is_found;
        pools->items[kept++] = p;
    }
    pools->count = kept;
    if (!has_configured)
        add_pools(pools, configured, false);
    if (!has_found)
        add_pools(pools, found, true);
}

/* ------------------------------------------------------------------------------------------------
 * one look */

/* `shared` is taken over. */
static uint64_t meet(struct scrape_pool *p, uint64_t pass, const struct toc_target_group *group,
                     struct toc_shared_group *shared) {
    struct toc_sv key = toc_sv_make((const char *)&group, sizeof group);
    struct scrape_made *m = toc_map_get(&p->made, key);
    uint64_t refused = 0;
    if (!m) {
        m = TOC_NEW(struct scrape_made);
        m->group = group;
        m->shared = shared;
        shared = NULL;
        toc_scrape_make(m, p);
        toc_map_put(&p->made, key, m);
        refused = m->refused;
    }
    toc_shared_group_unref(&shared);
    if (m->pass != pass)
        TOC_VEC_PUSH(&p->order, m);
    m->pass = pass;
    return refused;
}

static void forget_others(struct scrape_pool *p, uint64_t pass) {
    TOC_VEC(struct scrape_made *) gone = {0};
    size_t at = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&p->made, &at));)
        if (((struct scrape_made *)e->value)->pass != pass)
            TOC_VEC_PUSH(&gone, (struct scrape_made *)e->value);
    for (size_t i = 0; i < gone.count; i++) {
        const struct toc_target_group *group = gone.items[i]->group;
        toc_map_remove(&p->made, toc_sv_make((const char *)&group, sizeof group));
        made_free(gone.items[i]);
    }
    TOC_VEC_FINI(&gone);
}

uint64_t toc_scrape_pool_look(struct scrape_pool *p, struct toc_scraper *s) {
    const struct toc_scrape_config *c = p->config;
    struct toc_shared_groups groups = {0};
    uint64_t refused = 0;
    p->order.count = 0;
    for (size_t i = 0; i < c->group_count; i++)
        refused += meet(p, s->pass, &c->groups[i], NULL);
    for (size_t i = 0; i < c->file_sd_count; i++)
        toc_scrape_files_groups(&s->files, &c->file_sds[i], &groups);
    for (size_t i = 0; i < c->discovery_count; i++)
        toc_discovery_groups(s->discovery, &c->discoveries[i], &groups);
    for (size_t i = 0; i < groups.count; i++)
        refused += meet(p, s->pass, toc_shared_group_get(groups.items[i]), groups.items[i]);
    TOC_VEC_FINI(&groups);
    forget_others(p, s->pass);
    return refused;
}
