#include "alert/config_priv.h"

enum { MAX_RULES = 5000 };

static bool in_words(struct toc_sv word, const char *words) {
    struct toc_sv rest = toc_sv_cstr(words), part;
    while (toc_sv_split(&rest, ' ', &part))
        if (toc_sv_eq(part, word))
            return true;
    return false;
}

int toc_alert_check_fields(const struct toc_yaml *mapping, const char *fields, const char *common,
                           const char *type_name, struct toc_err *err) {
    if (mapping->type != TOC_YAML_MAPPING)
        return toc_err_at(err, TOC_ETYPE, mapping->line, mapping->column, "expected a mapping (%s)",
                          type_name);
    for (size_t i = 0; i < mapping->count; i++) {
        const struct toc_yaml *n = &mapping->items[i];
        if (in_words(n->key, fields) || in_words(n->key, common))
            continue;
        return toc_err_at(err, TOC_EUNKNOWN_KEY, n->key_line, n->key_column,
                          "yaml: unmarshal errors:\n  line %d: field %.*s not found in type %s",
                          n->key_line, TOC_SV_ARG(toc_sv_sub(n->key, 0, 100)), type_name);
    }
    return 0;
}

int toc_alert_read_strings(const struct toc_yaml *list, struct toc_arena *a, struct toc_sv **out,
                           size_t *out_count, struct toc_err *err) {
    *out_count = 0;
    if (!list || toc_yaml_is_null(list))
        return 0;
    if (list->type != TOC_YAML_SEQUENCE)
        return toc_err_at(err, TOC_ETYPE, list->line, list->column, "expected a list of texts");
    *out = TOC_ARENA_NEW_ARRAY(a, struct toc_sv, list->count + 1);
    if (!*out)
        return TOC_ENOMEM;
    for (size_t i = 0; i < list->count; i++) {
        int rc = toc_yaml_string(&list->items[i], &(*out)[i], err);
        if (rc)
            return rc;
    }
    *out_count = list->count;
    return 0;
}

int toc_alert_read_old_matchers(const struct toc_yaml *mapping, enum toc_match_op op,
                                struct toc_matcher_list *out, struct toc_err *err) {
    if (!mapping || toc_yaml_is_null(mapping))
        return 0;
    if (mapping->type != TOC_YAML_MAPPING)
        return toc_err_at(err, TOC_ETYPE, mapping->line, mapping->column,
                          "expected a mapping of label to value");
    for (size_t i = 0; i < mapping->count; i++) {
        const struct toc_yaml *n = &mapping->items[i];
        struct toc_sv value;
        int rc = toc_yaml_string(n, &value, err);
        if (!rc && op == TOC_MATCH_RE && toc_yaml_is_null(n))
            rc = toc_err_at(err, TOC_EINVAL, n->line, n->column, "invalid regexp value for %.*s",
                            TOC_SV_ARG(n->key));
        if (!rc && !toc_label_name_is_classic(n->key))
            rc = toc_err_at(err, TOC_EINVAL, n->key_line, n->key_column,
                            "invalid label name \"%.*s\"", TOC_SV_ARG(n->key));
        if (!rc)
            rc = toc_matcher_list_add(out, op, n->key, value, err);
        if (rc)
            return rc;
    }
    return 0;
}

int toc_alert_read_matchers(const struct toc_yaml *list, struct toc_matcher_list *out,
                            struct toc_err *err) {
    if (!list || toc_yaml_is_null(list))
        return 0;
    if (list->type != TOC_YAML_SEQUENCE)
        return toc_err_at(err, TOC_ETYPE, list->line, list->column, "expected a list of matchers");
    for (size_t i = 0; i < list->count; i++) {
        const struct toc_yaml *n = &list->items[i];
        struct toc_err why = {0};
        struct toc_sv text;
        int rc = toc_yaml_string(n, &text, err);
        if (rc)
            return rc;
        rc = toc_matcher_list_parse(out, text, &why);
        if (rc)
            return toc_err_at(err, rc, n->line, n->column, "%s", why.message);
    }
    return 0;
}

static int read_inhibit_side(const struct toc_yaml *n, const char *match, const char *match_re,
                             const char *matchers, struct toc_matcher_list *out,
                             struct toc_err *err) {
    int rc = toc_alert_read_old_matchers(toc_yaml_get(n, match), TOC_MATCH_EQ, out, err);
    if (!rc)
        rc = toc_alert_read_old_matchers(toc_yaml_get(n, match_re), TOC_MATCH_RE, out, err);
    return rc ? rc : toc_alert_read_matchers(toc_yaml_get(n, matchers), out, err);
}

static int read_inhibit_rule(struct toc_alert_config *c, const struct toc_yaml *n,
                             struct toc_inhibit_rule *out, struct toc_err *err) {
    static const char fields[] = "name source_match source_match_re source_matchers target_match "
                                 "target_match_re target_matchers equal";
    const struct toc_yaml *name = NULL;
    int rc = toc_alert_check_fields(n, fields, "", "config.plain", err);
    if (!rc && (name = toc_yaml_get(n, "name")))
        rc = toc_yaml_string(name, &out->name, err);
    if (!rc)
        rc = read_inhibit_side(n, "source_match", "source_match_re", "source_matchers",
                               &out->source, err);
    if (!rc)
        rc = read_inhibit_side(n, "target_match", "target_match_re", "target_matchers",
                               &out->target, err);
    return rc ? rc
              : toc_alert_read_strings(toc_yaml_get(n, "equal"), &c->arena, &out->equal,
                                       &out->equal_count, err);
}

static int check_list(const struct toc_yaml *list, struct toc_err *err) {
    if (list->type == TOC_YAML_SEQUENCE && list->count <= MAX_RULES)
        return 0;
    return toc_err_at(err, TOC_ETYPE, list->line, list->column,
                      "expected a list of at most %d entries", MAX_RULES);
}

static int read_inhibit_rules(struct toc_alert_config *c, const struct toc_yaml *list,
                              struct toc_err *err) {
    if (!list || toc_yaml_is_null(list))
        return 0;
    int rc = check_list(list, err);
    if (rc)
        return rc;
    c->inhibit_rules = TOC_ARENA_NEW_ARRAY(&c->arena, struct toc_inhibit_rule, list->count + 1);
    if (!c->inhibit_rules)
        return TOC_ENOMEM;
    c->inhibit_count = list->count;
    for (size_t i = 0; i < list->count && !rc; i++)
        rc = read_inhibit_rule(c, &list->items[i], &c->inhibit_rules[i], err);
    return rc;
}

static int read_interval(struct toc_alert_config *c, const struct toc_yaml *n, const char *what,
                         const struct toc_zone_source *zones, struct toc_err *err) {
    struct toc_time_interval *out = &c->intervals[c->interval_count];
    int rc = toc_alert_check_fields(n, "name time_intervals", "", "config.TimeInterval", err);
    const struct toc_yaml *name = rc ? NULL : toc_yaml_get(n, "name");
    if (!rc && name)
        rc = toc_yaml_string(name, &out->name, err);
    if (!rc && !out->name.n)
        rc = toc_err_at(err, TOC_EINVAL, n->line, n->column, "missing name in %s", what);
    if (!rc && toc_alert_config_interval(c, out->name))
        rc = toc_err_at(err, TOC_EDUPLICATE, name->line, name->column, "%s \"%.*s\" is not unique",
                        what, TOC_SV_ARG(out->name));
    if (rc)
        return rc;
    c->interval_count++;
    return toc_time_specs_read(toc_yaml_get(n, "time_intervals"), zones, &c->arena, out, err);
}

static int read_intervals(struct toc_alert_config *c, const struct toc_yaml *doc,
                          const struct toc_zone_source *zones, struct toc_err *err) {
    static const char *const keys[][2] = {{"mute_time_intervals", "mute time interval"},
                                          {"time_intervals", "time interval"}};
    c->intervals = TOC_ARENA_NEW_ARRAY(&c->arena, struct toc_time_interval, 2 * MAX_RULES);
    if (!c->intervals)
        return TOC_ENOMEM;
    for (size_t k = 0; k < 2; k++) {
        const struct toc_yaml *list = toc_yaml_get(doc, keys[k][0]);
        if (!list || toc_yaml_is_null(list))
            continue;
        int rc = check_list(list, err);
        for (size_t i = 0; i < list->count && !rc; i++)
            rc = read_interval(c, &list->items[i], keys[k][1], zones, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int read_document(struct toc_alert_config *c, const struct toc_yaml *doc,
                         const struct toc_zone_source *zones, struct toc_err *err) {
    static const char fields[] = "global templates route receivers inhibit_rules time_intervals "
                                 "mute_time_intervals tracing event_recorder";
    int rc = toc_alert_check_fields(doc, fields, "", "config.plain", err);
    if (!rc)
        rc = toc_alert_read_global(c, toc_yaml_get(doc, "global"), err);
    if (!rc)
        rc = toc_alert_read_strings(toc_yaml_get(doc, "templates"), &c->arena, &c->templates,
                                    &c->template_count, err);
    if (!rc)
        rc = toc_alert_read_receivers(c, toc_yaml_get(doc, "receivers"), err);
    if (!rc)
        rc = read_intervals(c, doc, zones, err);
    if (!rc && !toc_yaml_get(doc, "route"))
        rc = toc_errf(err, TOC_EINVAL,
                      doc->count ? "no routes provided" : "no route provided in config");
    if (!rc)
        rc = toc_alert_read_route(c, toc_yaml_get(doc, "route"), err);
    return rc ? rc : read_inhibit_rules(c, toc_yaml_get(doc, "inhibit_rules"), err);
}

int toc_alert_config_parse(struct toc_sv text, const struct toc_zone_source *zones,
                           struct toc_alert_config **out, struct toc_err *err) {
    struct toc_alert_config *c = TOC_NEW(struct toc_alert_config);
    const struct toc_yaml *doc = NULL;
    toc_arena_init(&c->arena, (size_t)64 << 20);
    c->resolve_timeout_ms = 5 * 60000;
    int rc = toc_yaml_parse(text, &c->arena, &doc, err);
    if (!rc)
        rc = read_document(c, doc, zones, err);
    if (rc) {
        toc_alert_config_free(&c);
        return toc_errf(err, rc, "%s", toc_strerror(rc));
    }
    *out = c;
    return 0;
}

void toc_alert_config_free(struct toc_alert_config **c) {
    struct toc_alert_config *config = *c;
    if (!config)
        return;
    toc_alert_route_fini(&config->root);
    for (size_t i = 0; i < config->inhibit_count; i++) {
        toc_matcher_list_fini(&config->inhibit_rules[i].source);
        toc_matcher_list_fini(&config->inhibit_rules[i].target);
    }
    toc_arena_fini(&config->arena);
    toc_free(config);
    *c = NULL;
}

const struct toc_alert_receiver *toc_alert_config_receiver(const struct toc_alert_config *c,
                                                           struct toc_sv name) {
    for (size_t i = 0; i < c->receiver_count; i++)
        if (toc_sv_eq(c->receivers[i].name, name))
            return &c->receivers[i];
    return NULL;
}

const struct toc_time_interval *toc_alert_config_interval(const struct toc_alert_config *c,
                                                          struct toc_sv name) {
    for (size_t i = 0; i < c->interval_count; i++)
        if (toc_sv_eq(c->intervals[i].name, name))
            return &c->intervals[i];
    return NULL;
}
