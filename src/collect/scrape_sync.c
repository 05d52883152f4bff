/* From what the configs want to the targets that are scraped: only what differs is touched. */
#include "base/alloc.h"
#include "collect/scrape_priv.h"
#include "sys/log.h"

void toc_scrape_sync_begin(struct toc_scraper *s) {
    toc_mutex_lock(&s->mutex);
    while (s->is_syncing)
        toc_cond_wait(&s->synced, &s->mutex);
    s->is_syncing = true;
    toc_mutex_unlock(&s->mutex);
}

void toc_scrape_sync_end(struct toc_scraper *s) {
    toc_mutex_lock(&s->mutex);
    s->is_syncing = false;
    toc_cond_signal(&s->synced);
    toc_mutex_unlock(&s->mutex);
}

void toc_scrape_end_targets(struct toc_scraper *s, struct scrape_targets *gone) {
    for (size_t i = 0; i < gone->count; i++) {
        toc_scrape_end(s, gone->items[i]);
        toc_scrape_target_free(&gone->items[i]);
    }
    TOC_VEC_FINI(gone);
}

static void add_target(struct toc_scraper *s, struct scrape_spec *spec) {
    struct scrape_target *t = toc_scrape_target_new(spec);
    t->pass = s->pass;
    TOC_VEC_PUSH(&s->targets, t);
    toc_map_put(&s->by_key, toc_sv_cstr(spec->key), t);
    toc_scrape_schedule_first(s, t);
}

static void keep_target(struct toc_scraper *s, struct scrape_target *t, struct scrape_spec *spec) {
    t->pass = s->pass;
    if ((t->next_spec ? t->next_spec : t->spec) == spec)
        return;
    toc_scrape_spec_unref(&t->next_spec);
    t->next_spec = toc_scrape_spec_ref(spec);
    if (!t->is_running)
        toc_scrape_take_next_spec(s, t);
}

/* Mutex held: what is there already stays. Returns how many are over the limit. */
static size_t merge_pool(struct toc_scraper *s, const struct scrape_pool *p) {
    size_t most = (size_t)p->config->limits.target_limit, taken = 0, over = 0;
    for (size_t i = 0; i < p->order.count; i++) {
        const struct scrape_specs *specs = &p->order.items[i]->specs;
        for (size_t k = 0; k < specs->count; k++) {
            struct scrape_spec *spec = specs->items[k];
            struct scrape_target *t = toc_map_get(&s->by_key, toc_sv_cstr(spec->key));
            if (t && t->pass == s->pass)
                continue; /* named twice */
            if (most && taken == most) {
                over++;
                continue;
            }
            taken++;
            if (t)
                keep_target(s, t, spec);
            else
                add_target(s, spec);
        }
    }
    return over;
}

/* Mutex held. Removed targets that nobody runs go to `gone`. */
static void remove_others(struct toc_scraper *s, struct scrape_targets *gone) {
    size_t kept = 0;
    for (size_t i = 0; i < s->targets.count; i++) {
        struct scrape_target *t = s->targets.items[i];
        if (t->pass == s->pass) {
            s->targets.items[kept++] = t;
            continue;
        }
        toc_map_remove(&s->by_key, toc_sv_cstr(t->spec->key));
        toc_heap_remove(&s->heap, &t->due);
        atomic_store(&t->is_removed, true);
        if (!t->is_running)
            TOC_VEC_PUSH(gone, t);
    }
    s->targets.count = kept;
}

static void gather_dropped(const struct scrape_pool *p, struct scrape_specs *out) {
    size_t most = (size_t)p->config->limits.keep_dropped_targets, n = 0;
    for (size_t i = 0; i < p->order.count; i++) {
        const struct scrape_specs *dropped = &p->order.items[i]->dropped;
        for (size_t k = 0; k < dropped->count && (!most || n < most); k++, n++)
            TOC_VEC_PUSH(out, toc_scrape_spec_ref(dropped->items[k]));
    }
}

static void note_over(struct toc_scraper *s, struct scrape_pool *p, size_t over) {
    if (over > p->over) {
        atomic_fetch_add(&s->counters.targets_refused, over - p->over);
        toc_log(TOC_LOG_WARN, "scrape",
                "job %.*s: target_limit exceeded: %zu targets, limit %lld; the rest is left out",
                TOC_SV_ARG(p->config->job_name), over + (size_t)p->config->limits.target_limit,
                (long long)p->config->limits.target_limit);
    }
    p->over = over;
}

static void look_at_all(struct toc_scraper *s, struct scrape_specs *dropped) {
    uint64_t errors = s->files.errors, refused = 0;
    toc_scrape_pools_set(&s->pools, s->set, s->found_set);
    toc_scrape_files_begin(&s->files);
    for (size_t i = 0; i < s->pools.count; i++) {
        refused += toc_scrape_pool_look(s->pools.items[i], s);
        gather_dropped(s->pools.items[i], dropped);
    }
    toc_scrape_files_forget(&s->files);
    atomic_fetch_add(&s->counters.targets_refused, refused);
    atomic_fetch_add(&s->counters.file_errors, s->files.errors - errors);
}

void toc_scrape_sync(struct toc_scraper *s) {
    struct scrape_targets gone = {0};
    struct scrape_specs dropped = {0};
    s->pass++;
    look_at_all(s, &dropped);
    toc_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->pools.count; i++)
        note_over(s, s->pools.items[i], merge_pool(s, s->pools.items[i]));
    remove_others(s, &gone);
    struct scrape_specs old = s->dropped;
    s->dropped = dropped;
    toc_mutex_unlock(&s->mutex);
    toc_scrape_wake_loop(s);
    toc_scrape_specs_fini(&old);
    toc_scrape_end_targets(s, &gone);
}
