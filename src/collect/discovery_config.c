#include "collect/discovery_config.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/time.h"
#include "codec/yaml_write.h"
#include "collect/discovery_priv.h"

static const struct toc_discovery_kind *const kinds[] = {
#define X(name, mechanism, key) [name] = &toc_discovery_##mechanism,
    TOC_DISCOVERY_TABLE(X)
#undef X
};

static const struct toc_discovery_kind *find_kind(struct toc_sv key) {
    for (size_t i = 0; i < TOC_ARRAY_LEN(kinds); i++)
        if (toc_sv_eq_cstr(key, kinds[i]->key))
            return kinds[i];
    return NULL;
}

bool toc_discovery_is_key(struct toc_sv key) {
    return find_kind(key) != NULL;
}

static int read_list(const struct toc_discovery_kind *kind, const struct toc_yaml *list,
                     const struct toc_config_reader *r, struct toc_discovery_config *out) {
    for (size_t i = 0; i < list->count; i++) {
        const struct toc_yaml *n = &list->items[i];
        if (toc_yaml_is_null(n) || n->type != TOC_YAML_MAPPING)
            return toc_err_at(r->err, TOC_EINVAL, n->line, n->column, "empty or null section in %s",
                              kind->key);
        out[i].kind = kind;
        int rc = kind->read(n, r, &out[i]);
        if (rc)
            return rc;
        uint64_t place = r->base_dir ? toc_hash64(r->base_dir, strlen(r->base_dir), 0) : 0;
        out[i].digest = toc_config_digest(n, toc_hash_mix(place, (uint64_t)kind->mechanism));
    }
    return 0;
}

int toc_discovery_configs_read(const struct toc_yaml *scrape_config,
                               const struct toc_config_reader *r,
                               const struct toc_discovery_config **out, size_t *out_count) {
    size_t most = 0, n = 0;
    for (size_t i = 0; i < scrape_config->count; i++)
        if (find_kind(scrape_config->items[i].key))
            most += scrape_config->items[i].count;
    struct toc_discovery_config *list =
        TOC_ARENA_NEW_ARRAY(r->arena, struct toc_discovery_config, most + 1);
    if (!list)
        return toc_config_no_memory(r->err);
    for (size_t i = 0; i < scrape_config->count; i++) {
        const struct toc_yaml *item = &scrape_config->items[i];
        const struct toc_discovery_kind *kind = find_kind(item->key);
        if (!kind || toc_yaml_is_null(item))
            continue;
        int rc = toc_config_expect(item, TOC_YAML_SEQUENCE, "a list of sources", r->err);
        if (rc == 0)
            rc = read_list(kind, item, r, &list[n]);
        if (rc)
            return rc;
        n += item->count;
    }
    *out = list;
    *out_count = n;
    return 0;
}

void toc_discovery_configs_format(const struct toc_discovery_config *configs, size_t count,
                                  struct toc_buf *out) {
    for (size_t k = 0; k < TOC_ARRAY_LEN(kinds); k++) {
        bool is_first = true;
        for (size_t i = 0; i < count; i++) {
            if (configs[i].kind != kinds[k])
                continue;
            if (is_first)
                toc_buf_printf(out, "%s:\n", kinds[k]->key);
            is_first = false;
            size_t start = out->n;
            kinds[k]->format(configs[i].settings, out);
            if (out->n > start)
                out->p[start] = '-';
        }
    }
}

const struct toc_http_settings *toc_discovery_config_http(const struct toc_discovery_config *c) {
    return c->kind->http ? c->kind->http(c->settings) : NULL;
}

int toc_discovery_read_interval(const struct toc_yaml *n, int64_t fallback_ms, int64_t *out_ms,
                                struct toc_err *err) {
    const struct toc_yaml *interval = toc_yaml_get(n, "refresh_interval");
    *out_ms = fallback_ms;
    int rc = toc_yaml_is_null(interval) ? 0 : toc_yaml_duration(interval, out_ms, err);
    if (rc == 0 && *out_ms <= 0)
        rc = toc_err_at(err, TOC_EINVAL, interval->line, interval->column,
                        "refresh_interval must be longer than 0");
    return rc;
}

void toc_discovery_format_duration(const char *key, int64_t ms, struct toc_buf *out) {
    toc_buf_printf(out, "  %s: ", key);
    toc_duration_format(ms, out);
    toc_buf_append_char(out, '\n');
}

void toc_discovery_append_url(struct toc_sv url, struct toc_buf *out) {
    if (!toc_yaml_append_masked_url(out, url))
        toc_yaml_append_scalar(out, url);
}
