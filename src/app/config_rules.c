/* Rule files, and what `global` says about rules. */
#include <stdio.h>

#include "api/feature.h"
#include "app/config_priv.h"
#include "base/alloc.h"
#include "rules/builtin_packs.h"
#include "sys/log.h"

static int read_external_labels(const struct toc_yaml *map, struct toc_config *c,
                                struct toc_err *err) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    int rc = 0;
    if (map && map->type != TOC_YAML_MAPPING)
        return toc_err_at(err, TOC_ETYPE, map->line, map->column,
                          "external_labels must be a mapping of name to value");
    for (size_t i = 0; map && i < map->count && rc == 0; i++) {
        const struct toc_yaml *n = &map->items[i];
        struct toc_sv value;
        rc = toc_yaml_string(n, &value, err);
        if (rc == 0 && (!n->key.n || toc_sv_eq(n->key, TOC_METRIC_NAME)))
            rc = toc_err_at(err, TOC_EINVAL, n->line, n->column,
                            "\"%.*s\" is not a valid label name", TOC_SV_ARG(n->key));
        if (rc == 0)
            toc_labels_builder_set(&b, n->key, value);
    }
    if (rc == 0)
        c->external_labels = toc_labels_dup_arena(toc_labels_builder_finish(&b), &c->arena);
    toc_labels_builder_fini(&b);
    return rc;
}

static int read_duration(const struct toc_yaml *global, const char *key, int64_t *out,
                         struct toc_err *err) {
    const struct toc_yaml *n = global ? toc_yaml_get(global, key) : NULL;
    return n ? toc_yaml_duration(n, out, err) : 0;
}

int toc_config_rules_global_read(const struct toc_yaml *global, struct toc_config *c,
                                 struct toc_err *err) {
    c->evaluation_interval_ms = 5000;
    int rc = read_duration(global, "evaluation_interval", &c->evaluation_interval_ms, err);
    if (rc == 0 && c->evaluation_interval_ms < 1)
        rc = toc_errf(err, TOC_EINVAL, "global.evaluation_interval must be longer than 0");
    if (rc == 0)
        rc = read_duration(global, "rule_query_offset", &c->rule_query_offset_ms, err);
    if (rc == 0)
        rc = read_external_labels(global ? toc_yaml_get(global, "external_labels") : NULL, c, err);
    return rc;
}

int toc_config_add_rule_file(struct toc_config *c, const char *name, struct toc_sv text,
                             struct toc_err *err) {
    struct toc_rule_file *file = NULL;
    const struct toc_rule_file_options o = {.features = toc_feature_promql(c->features)};
    int rc = toc_rule_file_parse_with(toc_sv_cstr(name), text, &o, &file, err);
    if (rc < 0) {
        err->line = 0; /* its message says the place */
        return rc;
    }
    if (file->has_more_documents)
        toc_log(TOC_LOG_WARN, "rules", "%s holds several YAML documents; only the first is read",
                name);
    c->rule_files =
        toc_xrealloc(c->rule_files, (c->rule_file_count + 1) * sizeof(struct toc_rule_file *));
    c->rule_files[c->rule_file_count++] = file;
    return 0;
}

int toc_config_add_builtin_packs(struct toc_config *c, struct toc_err *err) {
    size_t count;
    const struct toc_builtin_pack *packs = toc_builtin_packs(&count);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        char name[64];
        snprintf(name, sizeof name, "builtin/%s", packs[i].name);
        rc = toc_config_add_rule_file(c, name, packs[i].yaml, err);
    }
    return rc;
}
