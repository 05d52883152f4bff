/* The section `otlp`: upstream's keys and the bounds of delta sums. */
#include "app/config_priv.h"

struct section {
    struct toc_sv strategy;
    const struct toc_yaml *promoted, *ignored;
    bool promotes_all, keeps_identifying, makes_custom_buckets, promotes_scope, sanitizes,
        preserves;
    int64_t delta_max_series, delta_max_idle_ms;
};

#define AT(member) offsetof(struct section, member)
static const struct toc_schema_key g_otlp[] = {
    {"translation_strategy", TOC_SCHEMA_STRING, AT(strategy), false,
     "UnderscoreEscapingWithSuffixes", 0, 0,
     "names: UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, "
     "NoUTF8EscapingWithSuffixes or NoTranslation"},
    {"promote_resource_attributes", TOC_SCHEMA_NODE, AT(promoted), false, NULL, 0, 0,
     "resource attributes that become labels of every series"},
    {"promote_all_resource_attributes", TOC_SCHEMA_BOOL, AT(promotes_all), false, "false", 0, 0,
     "all of them, but those of ignore_resource_attributes"},
    {"ignore_resource_attributes", TOC_SCHEMA_NODE, AT(ignored), false, NULL, 0, 0,
     "left out when all are promoted"},
    {"keep_identifying_resource_attributes", TOC_SCHEMA_BOOL, AT(keeps_identifying), false, "false",
     0, 0, "service.name, service.namespace and service.instance.id stay in target_info"},
    {"convert_histograms_to_nhcb", TOC_SCHEMA_BOOL, AT(makes_custom_buckets), false, "false", 0, 0,
     "histograms become native ones with custom buckets"},
    {"promote_scope_metadata", TOC_SCHEMA_BOOL, AT(promotes_scope), false, "false", 0, 0,
     "labels otel_scope_name, otel_scope_version, otel_scope_schema_url and the scope's "
     "attributes"},
    {"label_name_underscore_sanitization", TOC_SCHEMA_BOOL, AT(sanitizes), false, "true", 0, 0,
     "a label that begins with one underscore gets \"key\" in front"},
    {"label_name_preserve_multiple_underscores", TOC_SCHEMA_BOOL, AT(preserves), false, "true", 0,
     0, "several underscores in a label name stay"},
    {"delta_max_series", TOC_SCHEMA_INT, AT(delta_max_series), false, "100000", 1, 1e8,
     "series of delta temporality that are summed up"},
    {"delta_max_idle", TOC_SCHEMA_DURATION, AT(delta_max_idle_ms), false, "5m", 0, 0,
     "a sum without new points for so long is forgotten"},
    {0},
};
#undef AT

static int read_strategy(const struct section *s, const struct toc_yaml *otlp,
                         enum toc_otlp_strategy *out, struct toc_err *err) {
    static const char *const names[] = {
#define X(name, text) text,
        TOC_OTLP_STRATEGY_TABLE(X)
#undef X
    };
    for (int i = 0; i < TOC_OTLP_STRATEGY_COUNT; i++)
        if (toc_sv_eq_cstr(s->strategy, names[i])) {
            *out = (enum toc_otlp_strategy)i;
            return 0;
        }
    const struct toc_yaml *at = toc_yaml_get(otlp, "translation_strategy");
    at = at ? at : otlp;
    return toc_err_at(err, TOC_EINVAL, at->line, at->column,
                      "otlp.translation_strategy must be %s, %s, %s or %s, got \"%.*s\"", names[0],
                      names[1], names[2], names[3], TOC_SV_ARG(s->strategy));
}

/* Texts, none empty, none twice. */
static int read_list(struct toc_config *c, const struct toc_yaml *list, const char *key,
                     const struct toc_sv **out, size_t *out_count, struct toc_err *err) {
    if (!list)
        return 0;
    if (list->type != TOC_YAML_SEQUENCE)
        return toc_err_at(err, TOC_ETYPE, list->line, list->column, "otlp.%s must be a list", key);
    struct toc_sv *items = TOC_ARENA_NEW_ARRAY(&c->arena, struct toc_sv, list->count + 1);
    for (size_t i = 0; items && i < list->count; i++) {
        const struct toc_yaml *n = &list->items[i];
        int rc = toc_yaml_string(n, &items[i], err);
        if (rc < 0)
            return rc;
        if (!items[i].n)
            return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                              "otlp.%s: an empty attribute name", key);
        for (size_t k = 0; k < i; k++)
            if (toc_sv_eq(items[k], items[i]))
                return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                                  "otlp.%s: \"%.*s\" is there twice", key, TOC_SV_ARG(items[i]));
    }
    *out = items;
    *out_count = items ? list->count : 0;
    return 0;
}

static int check_lists(const struct section *s, struct toc_err *err) {
    if (s->promotes_all && s->promoted && s->promoted->count)
        return toc_err_at(err, TOC_EINVAL, s->promoted->line, s->promoted->column,
                          "otlp.promote_resource_attributes has no sense beside "
                          "promote_all_resource_attributes: take one of them");
    if (!s->promotes_all && s->ignored && s->ignored->count)
        return toc_err_at(err, TOC_EINVAL, s->ignored->line, s->ignored->column,
                          "otlp.ignore_resource_attributes needs "
                          "promote_all_resource_attributes: true");
    return 0;
}

int toc_config_otlp_read(const struct toc_yaml *otlp, struct toc_config *c, struct toc_err *err) {
    static const struct toc_yaml empty = {.type = TOC_YAML_MAPPING};
    struct section s = {.sanitizes = true};
    struct toc_otlp_options *o = &c->otlp;
    otlp = otlp ? otlp : &empty;
    int rc = toc_schema_read(otlp, g_otlp, &s, err);
    if (rc == 0)
        rc = read_strategy(&s, otlp, &o->naming.strategy, err);
    if (rc == 0)
        rc = read_list(c, s.promoted, "promote_resource_attributes", &o->promoted,
                       &o->promoted_count, err);
    if (rc == 0)
        rc = read_list(c, s.ignored, "ignore_resource_attributes", &o->ignored, &o->ignored_count,
                       err);
    if (rc == 0)
        rc = check_lists(&s, err);
    o->naming.is_plain_underscore = !s.sanitizes;
    o->naming.is_collapsing_underscores = !s.preserves;
    o->is_promoting_all = s.promotes_all;
    o->keeps_identifying = s.keeps_identifying;
    o->makes_custom_buckets = s.makes_custom_buckets;
    o->promotes_scope = s.promotes_scope;
    o->lookback_ms = c->query.lookback_ms;
    o->delta_max_series = s.delta_max_series;
    o->delta_max_idle_ms = s.delta_max_idle_ms;
    return rc;
}
