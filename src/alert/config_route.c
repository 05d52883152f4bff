/* The routing tree: reading, checks and the walk of one alert. */
#include "alert/config_priv.h"

static const char route_fields[] =
    "receiver group_by match match_re matchers continue routes group_wait group_interval "
    "repeat_interval mute_time_intervals active_time_intervals labels";

enum { MAX_ROUTES = 5000, MAX_DEPTH = 50 };

struct reader {
    struct toc_alert_config *config;
    size_t routes;
    struct toc_err *err;
};

static int read_group_by(struct reader *r, const struct toc_yaml *list,
                         struct toc_alert_route *out) {
    if (!list || toc_yaml_is_null(list))
        return 0;
    out->groups_by_all = false;
    int rc = toc_alert_read_strings(list, &r->config->arena, &out->group_by, &out->group_by_count,
                                    r->err);
    if (rc)
        return rc;
    for (size_t i = 0; i < out->group_by_count; i++) {
        struct toc_sv name = out->group_by[i];
        const struct toc_yaml *n = &list->items[i];
        if (toc_sv_eq_cstr(name, "...")) {
            out->groups_by_all = true;
        } else if (!name.n || !toc_sv_is_utf8(name)) {
            return toc_err_at(r->err, TOC_EINVAL, n->line, n->column,
                              "invalid label name \"%.*s\" in group_by list", TOC_SV_ARG(name));
        }
        for (size_t k = 0; k < i; k++)
            if (toc_sv_eq(name, out->group_by[k]))
                return toc_err_at(r->err, TOC_EDUPLICATE, n->line, n->column,
                                  "duplicated label \"%.*s\" in group_by", TOC_SV_ARG(name));
    }
    if (out->groups_by_all && out->group_by_count > 1)
        return toc_err_at(
            r->err, TOC_EINVAL, list->line, list->column,
            "cannot have wildcard group_by (`...`) and other labels at the same time");
    return 0;
}

static int read_duration(struct reader *r, const struct toc_yaml *node, const char *key,
                         bool may_be_zero, int64_t *out) {
    const struct toc_yaml *n = toc_yaml_get(node, key);
    if (!n || toc_yaml_is_null(n))
        return 0;
    int rc = toc_yaml_duration(n, out, r->err);
    if (!rc && !may_be_zero && *out == 0)
        rc = toc_err_at(r->err, TOC_EINVAL, n->line, n->column, "%s cannot be zero", key);
    return rc;
}

static int read_times(struct reader *r, const struct toc_yaml *node, struct toc_alert_route *out) {
    int rc = read_duration(r, node, "group_wait", true, &out->group_wait_ms);
    if (!rc)
        rc = read_duration(r, node, "group_interval", false, &out->group_interval_ms);
    return rc ? rc : read_duration(r, node, "repeat_interval", false, &out->repeat_interval_ms);
}

static int read_interval_names(struct reader *r, const struct toc_yaml *list, struct toc_sv **out,
                               size_t *count) {
    int rc = toc_alert_read_strings(list, &r->config->arena, out, count, r->err);
    for (size_t i = 0; i < *count && !rc; i++)
        if (!toc_alert_config_interval(r->config, (*out)[i]))
            rc =
                toc_err_at(r->err, TOC_ENOENT, list->items[i].line, list->items[i].column,
                           "undefined time interval \"%.*s\" used in route", TOC_SV_ARG((*out)[i]));
    return rc;
}

static int read_route_matchers(struct reader *r, const struct toc_yaml *node,
                               struct toc_alert_route *out) {
    int rc = toc_alert_read_old_matchers(toc_yaml_get(node, "match"), TOC_MATCH_EQ, &out->matchers,
                                         r->err);
    if (!rc)
        rc = toc_alert_read_old_matchers(toc_yaml_get(node, "match_re"), TOC_MATCH_RE,
                                         &out->matchers, r->err);
    return rc ? rc
              : toc_alert_read_matchers(toc_yaml_get(node, "matchers"), &out->matchers, r->err);
}

static int check_labels(struct reader *r, const struct toc_yaml *labels) {
    if (!labels || toc_yaml_is_null(labels))
        return 0;
    if (labels->type != TOC_YAML_MAPPING)
        return toc_err_at(r->err, TOC_ETYPE, labels->line, labels->column, "expected a mapping");
    for (size_t i = 0; i < labels->count; i++)
        if (!labels->items[i].key.n || !toc_sv_is_utf8(labels->items[i].key))
            return toc_err_at(r->err, TOC_EINVAL, labels->items[i].key_line, 0,
                              "invalid label name \"%.*s\" in route labels",
                              TOC_SV_ARG(labels->items[i].key));
    return 0;
}

static int read_receiver(struct reader *r, const struct toc_yaml *n, struct toc_alert_route *out) {
    struct toc_sv name = TOC_SV_NULL;
    int rc = n ? toc_yaml_string(n, &name, r->err) : 0;
    if (rc || !name.n)
        return rc;
    out->receiver = name;
    out->resolved_receiver = toc_alert_config_receiver(r->config, name);
    if (!out->resolved_receiver)
        return toc_err_at(r->err, TOC_ENOENT, n->line, n->column,
                          "undefined receiver \"%.*s\" used in route", TOC_SV_ARG(name));
    return 0;
}

static int read_own(struct reader *r, const struct toc_yaml *node, struct toc_alert_route *out) {
    const struct toc_yaml *is_continue = NULL;
    int rc = toc_alert_check_fields(node, route_fields, "", "config.plain", r->err);
    if (!rc)
        rc = read_receiver(r, toc_yaml_get(node, "receiver"), out);
    if (!rc)
        rc = read_group_by(r, toc_yaml_get(node, "group_by"), out);
    if (!rc)
        rc = read_route_matchers(r, node, out);
    if (!rc && (is_continue = toc_yaml_get(node, "continue")))
        rc = toc_yaml_bool(is_continue, &out->is_continue, r->err);
    if (!rc)
        rc = read_times(r, node, out);
    if (!rc)
        rc = read_interval_names(r, toc_yaml_get(node, "mute_time_intervals"), &out->mute_intervals,
                                 &out->mute_count);
    if (!rc)
        rc = read_interval_names(r, toc_yaml_get(node, "active_time_intervals"),
                                 &out->active_intervals, &out->active_count);
    return rc ? rc : check_labels(r, toc_yaml_get(node, "labels"));
}

static void name_route(struct reader *r, const struct toc_alert_route *parent, size_t index,
                       struct toc_alert_route *out) {
    struct toc_buf text = TOC_BUF_INIT;
    if (parent)
        toc_buf_printf(&text, "%.*s/", TOC_SV_ARG(parent->key));
    toc_matcher_list_format(&out->matchers, &text);
    out->key = toc_arena_dup_sv(&r->config->arena, toc_buf_sv(&text));
    toc_buf_reset(&text);
    if (parent)
        toc_buf_printf(&text, "%.*s/", TOC_SV_ARG(parent->id));
    toc_matcher_list_format(&out->matchers, &text);
    if (parent)
        toc_buf_printf(&text, "/%zu", index);
    out->id = toc_arena_dup_sv(&r->config->arena, toc_buf_sv(&text));
    toc_buf_fini(&text);
}

/* What a child takes from its parent unless it says otherwise. */
static void inherit(const struct toc_alert_route *parent, struct toc_alert_route *out) {
    out->receiver = parent->receiver;
    out->resolved_receiver = parent->resolved_receiver;
    out->group_by = parent->group_by;
    out->group_by_count = parent->group_by_count;
    out->groups_by_all = parent->groups_by_all;
    out->group_wait_ms = parent->group_wait_ms;
    out->group_interval_ms = parent->group_interval_ms;
    out->repeat_interval_ms = parent->repeat_interval_ms;
}

/* Depth is bounded by MAX_DEPTH. */
static int read_children(struct reader *r, const struct toc_yaml *node,
                         struct toc_alert_route *parent, int depth) {
    const struct toc_yaml *list = toc_yaml_get(node, "routes");
    if (!list || toc_yaml_is_null(list))
        return 0;
    if (list->type != TOC_YAML_SEQUENCE)
        return toc_err_at(r->err, TOC_ETYPE, list->line, list->column, "expected a list of routes");
    r->routes += list->count;
    if (r->routes > MAX_ROUTES || depth > MAX_DEPTH)
        return toc_err_at(r->err, TOC_ELIMIT, list->line, list->column,
                          "more than %d routes or %d levels", MAX_ROUTES, MAX_DEPTH);
    parent->routes =
        TOC_ARENA_NEW_ARRAY(&r->config->arena, struct toc_alert_route, list->count + 1);
    if (!parent->routes)
        return TOC_ENOMEM;
    parent->route_count = list->count;
    for (size_t i = 0; i < list->count; i++) {
        struct toc_alert_route *child = &parent->routes[i];
        inherit(parent, child);
        int rc = read_own(r, &list->items[i], child);
        if (rc)
            return rc;
        name_route(r, parent, i, child);
        rc = read_children(r, &list->items[i], child, depth + 1);
        if (rc)
            return rc;
    }
    return 0;
}

static int check_root(const struct toc_yaml *node, const struct toc_alert_route *root,
                      struct toc_err *err) {
    const char *what = NULL;
    if (!root->receiver.n)
        what = "root route must specify a default receiver";
    else if (root->matchers.count)
        what = "root route must not have any matchers";
    else if (root->mute_count)
        what = "root route must not have any mute time intervals";
    else if (root->active_count)
        what = "root route must not have any active time intervals";
    else if (root->is_continue)
        what = "cannot have continue in root route";
    return what ? toc_err_at(err, TOC_EINVAL, node->line, node->column, "%s", what) : 0;
}

int toc_alert_read_route(struct toc_alert_config *c, const struct toc_yaml *node,
                         struct toc_err *err) {
    struct reader r = {c, 1, err};
    struct toc_alert_route *root = &c->root;
    if (toc_yaml_is_null(node))
        return toc_errf(err, TOC_EINVAL, "no routes provided");
    root->group_wait_ms = 30000;
    root->group_interval_ms = 5 * 60000;
    root->repeat_interval_ms = 4 * 3600000;
    int rc = read_own(&r, node, root);
    if (!rc)
        rc = check_root(node, root, err);
    if (rc)
        return rc;
    name_route(&r, NULL, 0, root);
    return read_children(&r, node, root, 1);
}

void toc_alert_route_fini(struct toc_alert_route *r) {
    toc_matcher_list_fini(&r->matchers);
    for (size_t i = 0; i < r->route_count; i++)
        toc_alert_route_fini(&r->routes[i]);
}

struct walk {
    struct toc_labels labels;
    const struct toc_alert_route **out;
    size_t count, max;
};

/* True when the node or something below it took the alert. */
static bool walk_route(struct walk *w, const struct toc_alert_route *r) {
    if (!toc_matcher_list_matches(&r->matchers, w->labels))
        return false;
    bool is_taken = false;
    for (size_t i = 0; i < r->route_count; i++) {
        bool took = walk_route(w, &r->routes[i]);
        is_taken |= took;
        if (took && !r->routes[i].is_continue)
            break;
    }
    if (!is_taken && w->count < w->max)
        w->out[w->count++] = r;
    return true;
}

size_t toc_alert_config_match(const struct toc_alert_config *c, struct toc_labels labels,
                              const struct toc_alert_route **out, size_t max) {
    struct walk w = {labels, out, 0, max};
    walk_route(&w, &c->root);
    return w.count;
}
