/* targets: what is scraped, and how it went. */
#include "api/prom_priv.h"
#include "base/map.h"

struct targets_writer {
    struct toc_api_call *c;
    struct toc_sv pool;     /* empty: all */
    struct toc_map dropped; /* pool → how many, as a number in a pointer */
};

static bool is_pool_wanted(const struct targets_writer *t, struct toc_sv pool) {
    return t->pool.n == 0 || toc_sv_eq(t->pool, pool);
}

static void kv_duration(struct toc_json_writer *w, const char *key, int64_t ms) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_duration_format(ms, &text);
    toc_json_kv_string(w, key, toc_buf_sv(&text));
    toc_buf_fini(&text);
}

/* A target on this machine, as others reach it: by the host of the external URL. */
static void kv_global_url(struct toc_json_writer *w, struct toc_sv url, const char *external_url) {
    static const char *const local[] = {"127.0.0.1", "localhost", "[::1]"};
    struct toc_sv outside = toc_sv_cstr(external_url);
    size_t at = toc_sv_find(url, TOC_SV("://")), out_at = toc_sv_find(outside, TOC_SV("://"));
    if (at == SIZE_MAX || out_at == SIZE_MAX) {
        toc_json_kv_string(w, "globalUrl", url);
        return;
    }
    struct toc_sv rest = toc_sv_sub(url, at + 3, url.n);
    struct toc_sv host = toc_sv_sub(outside, out_at + 3, outside.n);
    size_t end = 0;
    while (end < host.n && host.p[end] != ':' && host.p[end] != '/')
        end++;
    struct toc_buf text = TOC_BUF_INIT;
    for (size_t i = 0; i < sizeof local / sizeof local[0] && text.n == 0; i++) {
        size_t n = strlen(local[i]);
        if (toc_sv_starts_with(rest, toc_sv_cstr(local[i])) &&
            (rest.n == n || rest.p[n] == ':' || rest.p[n] == '/'))
            toc_buf_printf(&text, "%.*s%.*s%.*s", (int)(at + 3), url.p, (int)end, host.p,
                           (int)(rest.n - n), rest.p + n);
    }
    toc_json_kv_string(w, "globalUrl", text.n ? toc_buf_sv(&text) : url);
    toc_buf_fini(&text);
}

static void write_target(void *ctx, const struct toc_target_info *t) {
    struct targets_writer *all = ctx;
    struct toc_json_writer *w = &all->c->json;
    if (!is_pool_wanted(all, t->pool))
        return;
    toc_json_begin_object(w);
    toc_json_key(w, "discoveredLabels");
    toc_json_labels(w, t->discovered);
    toc_json_key(w, "labels");
    toc_json_labels(w, t->labels);
    toc_json_kv_string(w, "scrapePool", t->pool);
    toc_json_kv_string(w, "scrapeUrl", t->url);
    kv_global_url(w, t->url, all->c->api->parts.external_url);
    toc_json_kv_string(w, "lastError", t->last_error);
    toc_prom_kv_time(w, "lastScrape", t->last_scrape);
    toc_json_kv_double(w, "lastScrapeDuration", t->last_duration_s);
    toc_json_kv_cstr(w, "health", toc_target_health_text(t->health));
    kv_duration(w, "scrapeInterval", t->interval_ms);
    kv_duration(w, "scrapeTimeout", t->timeout_ms);
    toc_json_end_object(w);
}

static void write_dropped(void *ctx, struct toc_sv pool, struct toc_labels discovered) {
    struct targets_writer *all = ctx;
    struct toc_json_writer *w = &all->c->json;
    if (!is_pool_wanted(all, pool))
        return;
    toc_json_begin_object(w);
    toc_json_key(w, "discoveredLabels");
    toc_json_labels(w, discovered);
    toc_json_kv_string(w, "scrapePool", pool);
    toc_json_end_object(w);
}

static void count_dropped(void *ctx, struct toc_sv pool, struct toc_labels discovered) {
    (void)discovered;
    struct targets_writer *all = ctx;
    uintptr_t n = (uintptr_t)toc_map_get(&all->dropped, pool);
    toc_map_put(&all->dropped, pool, (void *)(n + 1));
}

static void write_counts(struct targets_writer *all) {
    struct toc_json_writer *w = &all->c->json;
    const struct toc_map_entry *e;
    size_t cursor = 0;
    toc_json_begin_object(w);
    while ((e = toc_map_next(&all->dropped, &cursor))) {
        toc_json_key_sv(w, e->key);
        toc_json_uint(w, (uintptr_t)e->value);
    }
    toc_json_end_object(w);
}

void toc_api_prom_targets(struct toc_api_call *c) {
    struct toc_sv state = toc_api_param(c, "state");
    struct targets_writer all = {.c = c, .pool = toc_api_param(c, "scrapePool")};
    struct toc_scraper *scraper = c->api->parts.scraper;
    bool is_any = state.n == 0 || toc_sv_eq_nocase(state, TOC_SV("any"));
    bool shows_active = is_any || toc_sv_eq_nocase(state, TOC_SV("active"));
    bool shows_dropped = is_any || toc_sv_eq_nocase(state, TOC_SV("dropped"));
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "activeTargets");
    toc_json_begin_array(&c->json);
    if (shows_active)
        toc_scraper_list(scraper, write_target, &all);
    toc_json_end_array(&c->json);
    toc_json_key(&c->json, "droppedTargets");
    toc_json_begin_array(&c->json);
    if (shows_dropped) {
        toc_scraper_list_dropped(scraper, write_dropped, &all);
        toc_scraper_list_dropped(scraper, count_dropped, &all);
    }
    toc_json_end_array(&c->json);
    toc_json_key(&c->json, "droppedTargetCounts");
    write_counts(&all);
    toc_json_end_object(&c->json);
    toc_prom_end(c);
    toc_map_fini(&all.dropped);
}
