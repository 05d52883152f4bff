/* scrape_pools, scrape_pools/config, targets/relabel_steps: the configuration of scraping. */
#include "api/prom_priv.h"

struct pools {
    struct toc_scrape_set *sets[2]; /* configured, found; references */
};

static struct pools pools_of(struct toc_api_call *c) {
    struct pools p;
    toc_scraper_sets(c->api->parts.scraper, &p.sets[0], &p.sets[1]);
    return p;
}

static void release(struct pools *p) {
    toc_scrape_set_unref(&p->sets[0]);
    toc_scrape_set_unref(&p->sets[1]);
}

static size_t count_of(const struct toc_scrape_set *s) {
    return s ? toc_scrape_set_count(s) : 0;
}

static const struct toc_scrape_config *find_pool(const struct pools *p, struct toc_sv name) {
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < count_of(p->sets[i]); k++)
            if (toc_sv_eq(toc_scrape_set_get(p->sets[i], k)->job_name, name))
                return toc_scrape_set_get(p->sets[i], k);
    return NULL;
}

void toc_api_prom_scrape_pools(struct toc_api_call *c) {
    struct pools p = pools_of(c);
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "scrapePools");
    toc_json_begin_array(&c->json);
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < count_of(p.sets[i]); k++)
            toc_json_string(&c->json, toc_scrape_set_get(p.sets[i], k)->job_name);
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
    toc_prom_end(c);
    release(&p);
}

/* The pool that `scrapePool` names; NULL: answered already. */
static const struct toc_scrape_config *wanted_pool(struct toc_api_call *c, const struct pools *p) {
    struct toc_sv name = toc_api_param(c, "scrapePool");
    if (name.n == 0) {
        toc_prom_error(c, TOC_PROM_BAD_DATA, "no scrapePool parameter provided");
        return NULL;
    }
    const struct toc_scrape_config *pool = find_pool(p, name);
    if (!pool)
        toc_prom_error(c, TOC_PROM_NOT_FOUND, "scrape pool %s not found", toc_prom_quote(c, name));
    return pool;
}

void toc_api_prom_scrape_pool_config(struct toc_api_call *c) {
    struct pools p = pools_of(c);
    const struct toc_scrape_config *pool = wanted_pool(c, &p);
    if (pool) {
        struct toc_buf yaml = TOC_BUF_INIT;
        toc_scrape_config_format(pool, &yaml);
        toc_prom_begin(c);
        toc_json_begin_object(&c->json);
        toc_json_kv_string(&c->json, "yaml", toc_buf_sv(&yaml));
        toc_json_end_object(&c->json);
        toc_prom_end(c);
        toc_buf_fini(&yaml);
    }
    release(&p);
}

/* ------------------------------------------------------------------------------------------
 * relabel_steps */

static void write_rule(struct toc_json_writer *w, const struct toc_relabel_rule *r) {
    toc_json_begin_object(w);
    if (r->source_count) {
        toc_json_key(w, "source_labels");
        toc_json_begin_array(w);
        for (size_t i = 0; i < r->source_count; i++)
            toc_json_string(w, r->source_labels[i]);
        toc_json_end_array(w);
        toc_json_kv_string(w, "separator", r->separator);
    }
    toc_json_kv_string(w, "regex", r->regex_text);
    if (r->modulus)
        toc_json_kv_int(w, "modulus", (int64_t)r->modulus);
    if (r->target_label.n)
        toc_json_kv_string(w, "target_label", r->target_label);
    toc_json_kv_string(w, "replacement", r->replacement);
    toc_json_kv_cstr(w, "action", toc_relabel_action_text(r->action));
    toc_json_end_object(w);
}

/* Rule by rule until one drops the target. */
static void write_steps(struct toc_api_call *c, const struct toc_relabel *rules,
                        struct toc_labels_builder *b) {
    struct toc_json_writer *w = &c->json;
    bool is_kept = true;
    for (size_t i = 0; i < rules->count && is_kept; i++) {
        const struct toc_relabel one = {&rules->rules[i], 1};
        is_kept = toc_relabel_apply(&one, b, c->req->arena);
        toc_json_begin_object(w);
        toc_json_key(w, "rule");
        write_rule(w, &rules->rules[i]);
        toc_json_key(w, "output");
        toc_json_labels(w, toc_labels_builder_finish(b));
        toc_json_kv_bool(w, "keep", is_kept);
        toc_json_end_object(w);
    }
}

static bool read_labels(struct toc_api_call *c, struct toc_labels_builder *b) {
    struct toc_sv text = toc_api_param(c, "labels");
    const struct toc_json *json = NULL;
    struct toc_err err = {0};
    if (text.n == 0) {
        toc_prom_error(c, TOC_PROM_BAD_DATA, "no labels parameter provided");
        return false;
    }
    int rc = toc_json_parse(text, c->req->arena, &json, &err);
    bool is_good = rc == 0 && json->type == TOC_JSON_OBJECT;
    for (size_t i = 0; is_good && i < json->count; i++) {
        is_good = json->items[i].type == TOC_JSON_STRING;
        if (is_good)
            toc_labels_builder_set(b, json->items[i].key, json->items[i].string);
    }
    if (!is_good)
        toc_prom_error(c, TOC_PROM_BAD_DATA, "error parsing labels: %s",
                       rc < 0 ? err.message : "an object of strings was expected");
    return is_good;
}

void toc_api_prom_relabel_steps(struct toc_api_call *c) {
    struct pools p = pools_of(c);
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    const struct toc_scrape_config *pool = wanted_pool(c, &p);
    if (pool && read_labels(c, &b)) {
        toc_prom_begin(c);
        toc_json_begin_object(&c->json);
        toc_json_key(&c->json, "steps");
        toc_json_begin_array(&c->json);
        write_steps(c, &pool->relabel, &b);
        toc_json_end_array(&c->json);
        toc_json_end_object(&c->json);
        toc_prom_end(c);
    }
    toc_labels_builder_fini(&b);
    release(&p);
}
