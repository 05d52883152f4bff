#include "collect/config_part.h"

#include "base/buf.h"
#include "base/hash.h"

int toc_config_expect(const struct toc_yaml *n, enum toc_yaml_type type, const char *what,
                      struct toc_err *err) {
    if (n->type == type)
        return 0;
    return toc_err_at(err, TOC_ETYPE, n->line, n->column, "expected %s", what);
}

int toc_config_no_memory(struct toc_err *err) {
    return toc_errf(err, TOC_ENOMEM, "no memory for scrape configs");
}

int toc_config_strings(const struct toc_yaml *n, struct toc_arena *a, const struct toc_sv **out,
                       size_t *out_count, struct toc_err *err) {
    *out_count = 0;
    if (toc_yaml_is_null(n))
        return 0;
    int rc = toc_config_expect(n, TOC_YAML_SEQUENCE, "a list", err);
    struct toc_sv *items = rc ? NULL : TOC_ARENA_NEW_ARRAY(a, struct toc_sv, n->count + 1);
    if (!rc && !items)
        return toc_config_no_memory(err);
    for (size_t i = 0; rc == 0 && i < n->count; i++)
        rc = toc_yaml_string(&n->items[i], &items[i], err);
    *out = items;
    *out_count = rc ? 0 : n->count;
    return rc;
}

struct toc_sv toc_config_path(const struct toc_config_reader *r, struct toc_sv path) {
    if (!path.n || path.p[0] == '/' || !r->base_dir)
        return path;
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text, "%s/%.*s", r->base_dir, TOC_SV_ARG(path));
    struct toc_sv copy = toc_arena_dup_sv(r->arena, toc_buf_sv(&text));
    toc_buf_fini(&text);
    return copy;
}

uint64_t toc_config_digest(const struct toc_yaml *n, uint64_t seed) {
    if (!n)
        return seed;
    seed = toc_hash_mix(seed, toc_hash64(n->key.p, n->key.n, n->type));
    seed = toc_hash_mix(seed, toc_hash64(n->scalar.p, n->scalar.n, n->count));
    for (size_t i = 0; i < n->count; i++)
        seed = toc_config_digest(&n->items[i], seed);
    return seed;
}
