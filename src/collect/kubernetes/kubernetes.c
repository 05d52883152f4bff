/* kubernetes_sd_configs: configuration, and the thread that watches. */
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "collect/kubernetes/kubernetes_priv.h"

enum {
    GROUP_ARENA_BYTES = 256 << 20,
    CONNECTIONS_KEPT = 16,
    LONGEST_WAIT_MS = 500, /* so that a stop is seen */
    ACCESS_RETRY_MS = 5000,
    NAMESPACES_MAX = 200,
};

/* ------------------------------------------------------------------------------------------------
 * configuration */

static int find_role(struct toc_sv name) {
    for (int k = 0; k < KUBE_KIND_COUNT; k++)
        if (toc_sv_eq_cstr(name, toc_kube_kinds[k].role))
            return k;
    return -1;
}

static int read_role(const struct toc_yaml *n, enum kube_kind *out, struct toc_err *err) {
    struct toc_sv name = TOC_SV_NULL;
    const struct toc_yaml *role = toc_yaml_get(n, "role");
    if (toc_yaml_is_null(role))
        return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                          "role missing (one of: pod, service, endpoints, endpointslice, node, "
                          "ingress)");
    int rc = toc_yaml_string(role, &name, err), k = rc ? 0 : find_role(name);
    if (rc == 0 && k < 0)
        rc = toc_err_at(err, TOC_EINVAL, role->line, role->column,
                        "unknown Kubernetes SD role \"%.*s\"", TOC_SV_ARG(name));
    if (rc == 0)
        *out = (enum kube_kind)k;
    return rc;
}

/* May objects of this kind be selected when targets are of this role? */
static bool is_selectable(enum kube_kind role, enum kube_kind kind) {
    bool has_pods = role == KUBE_ENDPOINTS || role == KUBE_ENDPOINTSLICE;
    return role == kind || (has_pods && (kind == KUBE_POD || kind == KUBE_SERVICE));
}

static int read_selector(const struct toc_yaml *n, struct kube_settings *out, struct toc_err *err) {
    static const char *const keys[] = {"role", "label", "field", NULL};
    enum kube_kind kind = KUBE_POD;
    int rc = toc_config_expect(n, TOC_YAML_MAPPING, "role, label and field", err);
    if (rc == 0)
        rc = toc_yaml_check_keys(n, keys, err);
    if (rc == 0)
        rc = read_role(n, &kind, err);
    if (rc)
        return rc;
    struct kube_selector *s = &out->selectors[kind];
    const struct toc_yaml *label = toc_yaml_get(n, "label"), *field = toc_yaml_get(n, "field");
    if (!is_selectable(out->role, kind))
        return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                          "%s role supports no selectors of role %s",
                          toc_kube_kinds[out->role].role, toc_kube_kinds[kind].role);
    if (s->label.n || s->field.n)
        return toc_err_at(err, TOC_EDUPLICATE, n->line, n->column, "duplicated selector role: %s",
                          toc_kube_kinds[kind].role);
    if (!toc_yaml_is_null(label))
        rc = toc_yaml_string(label, &s->label, err);
    if (rc == 0 && !toc_yaml_is_null(field))
        rc = toc_yaml_string(field, &s->field, err);
    return rc;
}

static int read_selectors(const struct toc_yaml *list, struct kube_settings *out,
                          struct toc_err *err) {
    if (toc_yaml_is_null(list))
        return 0;
    int rc = toc_config_expect(list, TOC_YAML_SEQUENCE, "a list of selectors", err);
    for (size_t i = 0; rc == 0 && i < list->count; i++)
        rc = read_selector(&list->items[i], out, err);
    return rc;
}

static int read_namespaces(const struct toc_yaml *n, const struct toc_config_reader *r,
                           struct kube_settings *out) {
    static const char *const keys[] = {"own_namespace", "names", NULL};
    if (toc_yaml_is_null(n))
        return 0;
    const struct toc_yaml *own = toc_yaml_get(n, "own_namespace");
    int rc = toc_yaml_check_keys(n, keys, r->err);
    if (rc == 0 && !toc_yaml_is_null(own))
        rc = toc_yaml_bool(own, &out->wants_own_namespace, r->err);
    if (rc == 0)
        rc = toc_config_strings(toc_yaml_get(n, "names"), r->arena, &out->namespaces,
                                &out->namespace_count, r->err);
    if (rc == 0 && out->namespace_count > NAMESPACES_MAX)
        rc = toc_err_at(r->err, TOC_ELIMIT, n->line, n->column,
                        "%zu namespaces, at most %d: leave them out and use relabel_configs",
                        out->namespace_count, NAMESPACES_MAX);
    return rc;
}

static int read_attach(const struct toc_yaml *n, struct kube_settings *out, struct toc_err *err) {
    static const char *const keys[] = {"node", NULL};
    if (toc_yaml_is_null(n))
        return 0;
    const struct toc_yaml *node = toc_yaml_get(n, "node");
    int rc = toc_yaml_check_keys(n, keys, err);
    return rc || toc_yaml_is_null(node) ? rc : toc_yaml_bool(node, &out->wants_node_metadata, err);
}

static bool has_http_settings(const struct toc_yaml *n) {
#define X(key) || toc_yaml_get(n, #key)
    return false TOC_HTTP_SETTINGS_KEYS(X);
#undef X
}

/* As upstream: what excludes what. */
static int check_ways(const struct toc_yaml *n, const struct kube_settings *k,
                      struct toc_err *err) {
    const char *why = NULL;
    if (k->api_server.n && k->kubeconfig_file.n)
        why = "cannot use 'kubeconfig_file' and 'api_server' simultaneously";
    else if (k->kubeconfig_file.n && has_http_settings(n))
        why = "cannot use a custom HTTP client configuration together with 'kubeconfig_file'";
    else if (!k->api_server.n && has_http_settings(n))
        why = "to use custom HTTP client configuration please provide the 'api_server' URL "
              "explicitly";
    else if (k->api_server.n && k->wants_own_namespace)
        why = "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously";
    else if (k->kubeconfig_file.n && k->wants_own_namespace)
        why = "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously";
    return why ? toc_err_at(err, TOC_EINVAL, n->line, n->column, "%s", why) : 0;
}

static int read_text(const struct toc_yaml *n, const char *key, struct toc_sv *out,
                     struct toc_err *err) {
    const struct toc_yaml *value = toc_yaml_get(n, key);
    return toc_yaml_is_null(value) ? 0 : toc_yaml_string(value, out, err);
}

static int read_api(const struct toc_yaml *n, const struct toc_config_reader *r,
                    struct kube_settings *out) {
    int rc = read_text(n, "api_server", &out->api_server, r->err);
    if (rc == 0)
        rc = read_text(n, "kubeconfig_file", &out->kubeconfig_file, r->err);
    out->kubeconfig_file = toc_config_path(r, out->kubeconfig_file);
    if (rc == 0 && out->api_server.n && !toc_sv_starts_with(out->api_server, TOC_SV("http://")) &&
        !toc_sv_starts_with(out->api_server, TOC_SV("https://")))
        rc = toc_err_at(r->err, TOC_EINVAL, n->line, n->column,
                        "api_server \"%.*s\" is no URL of http or https",
                        TOC_SV_ARG(out->api_server));
    return rc ? rc : check_ways(n, out, r->err);
}

static struct toc_sv describe(const struct kube_settings *k, struct toc_arena *a) {
    struct toc_buf text = TOC_BUF_INIT;
    char url[512];
    toc_buf_printf(&text, "%s of ", toc_kube_kinds[k->role].plural);
    if (k->api_server.n) {
        toc_url_for_people(k->api_server.p, url, sizeof url);
        toc_buf_append_cstr(&text, url);
    } else if (k->kubeconfig_file.n) {
        toc_buf_append_sv(&text, k->kubeconfig_file);
    } else {
        toc_buf_append_cstr(&text, "this cluster");
    }
    struct toc_sv copy = toc_arena_dup_sv(a, toc_buf_sv(&text));
    toc_buf_fini(&text);
    return copy;
}

static int read_kubernetes(const struct toc_yaml *n, const struct toc_config_reader *r,
                           struct toc_discovery_config *out) {
#define X(key) #key,
    static const char *const keys[] = {"role",
                                       "api_server",
                                       "kubeconfig_file",
                                       "namespaces",
                                       "selectors",
                                       "attach_metadata",
                                       TOC_HTTP_SETTINGS_KEYS(X) NULL};
#undef X
    struct kube_settings *k = TOC_ARENA_NEW(r->arena, struct kube_settings);
    if (!k)
        return toc_config_no_memory(r->err);
    int rc = toc_http_settings_read(n, r, &k->http);
    if (rc == 0)
        rc = toc_yaml_check_keys(n, keys, r->err);
    if (rc == 0)
        rc = read_role(n, &k->role, r->err);
    if (rc == 0)
        rc = read_namespaces(toc_yaml_get(n, "namespaces"), r, k);
    if (rc == 0)
        rc = read_api(n, r, k);
    if (rc == 0)
        rc = read_selectors(toc_yaml_get(n, "selectors"), k, r->err);
    if (rc == 0)
        rc = read_attach(toc_yaml_get(n, "attach_metadata"), k, r->err);
    out->settings = k;
    if (rc == 0)
        out->where = describe(k, r->arena);
    return rc;
}

static void format_line(struct toc_buf *out, const char *key, struct toc_sv value) {
    if (!value.n)
        return;
    toc_buf_printf(out, "  %s: ", key);
    toc_discovery_append_url(value, out);
    toc_buf_append_char(out, '\n');
}

static void format_selectors(const struct kube_settings *k, struct toc_buf *out) {
    bool is_first = true;
    for (int i = 0; i < KUBE_KIND_COUNT; i++) {
        const struct kube_selector *s = &k->selectors[i];
        if (!s->label.n && !s->field.n)
            continue;
        toc_buf_append_cstr(out, is_first ? "  selectors:\n" : "");
        is_first = false;
        toc_buf_printf(out, "  - role: %s\n", toc_kube_kinds[i].role);
        toc_buf_append_cstr(out, s->label.n ? "  " : "");
        format_line(out, "label", s->label);
        toc_buf_append_cstr(out, s->field.n ? "  " : "");
        format_line(out, "field", s->field);
    }
}

static void format_kubernetes(const void *settings, struct toc_buf *out) {
    const struct kube_settings *k = settings;
    toc_buf_printf(out, "  role: %s\n", toc_kube_kinds[k->role].role);
    format_line(out, "api_server", k->api_server);
    format_line(out, "kubeconfig_file", k->kubeconfig_file);
    if (k->namespace_count || k->wants_own_namespace)
        toc_buf_printf(out, "  namespaces:\n    own_namespace: %s\n",
                       k->wants_own_namespace ? "true" : "false");
    for (size_t i = 0; i < k->namespace_count; i++) {
        toc_buf_append_cstr(out, i ? "    - " : "    names:\n    - ");
        toc_discovery_append_url(k->namespaces[i], out);
        toc_buf_append_char(out, '\n');
    }
    format_selectors(k, out);
    if (k->wants_node_metadata)
        toc_buf_append_cstr(out, "  attach_metadata:\n    node: true\n");
    if (k->api_server.n)
        toc_http_settings_format(&k->http, 2, out);
}

static const struct toc_http_settings *http_of(const void *settings) {
    return &((const struct kube_settings *)settings)->http;
}

/* ------------------------------------------------------------------------------------------------
 * at work */

static void add_watches(struct kube_work *w, enum kube_kind kind) {
    const struct kube_settings *s = w->settings;
    struct toc_sv own = s->wants_own_namespace ? w->access.own_namespace : TOC_SV_NULL;
    bool is_everywhere = !toc_kube_kinds[kind].is_namespaced || (!s->namespace_count && !own.n);
    if (is_everywhere) {
        TOC_VEC_PUSH(&w->watches, toc_kube_watch_new(w, kind, TOC_SV_NULL));
        return;
    }
    bool has_own = !own.n;
    for (size_t i = 0; i < s->namespace_count; i++) {
        has_own = has_own || toc_sv_eq(s->namespaces[i], own);
        TOC_VEC_PUSH(&w->watches, toc_kube_watch_new(w, kind, s->namespaces[i]));
    }
    if (!has_own)
        TOC_VEC_PUSH(&w->watches, toc_kube_watch_new(w, kind, own));
}

static void add_all_watches(struct kube_work *w) {
    enum kube_kind role = w->settings->role;
    bool has_pods = role == KUBE_ENDPOINTS || role == KUBE_ENDPOINTSLICE;
    add_watches(w, role);
    if (has_pods) {
        add_watches(w, KUBE_POD);
        add_watches(w, KUBE_SERVICE);
    }
    if (w->settings->wants_node_metadata && (has_pods || role == KUBE_POD))
        add_watches(w, KUBE_NODE);
}

static bool are_all(const struct kube_work *w, bool (*fn)(const struct kube_watch *), bool value) {
    for (size_t i = 0; i < w->watches.count; i++)
        if (fn(w->watches.items[i]) != value)
            return false;
    return true;
}

static void put_group(struct kube_work *w, struct toc_sv key, struct toc_arena *a) {
    struct toc_target_group group;
    toc_arena_reset(a);
    const struct toc_json *object = toc_kube_objects_get(&w->objects, w->objects.role, key, a);
    if (!object)
        return;
    toc_kube_group_make(&w->objects, key, object, a, &group);
    toc_discovery_put(w->source, &group);
}

/* Groups that nothing stands behind, left by a predecessor. */
static void drop_strangers(struct kube_work *w, struct toc_arena *a) {
    struct toc_map wanted = TOC_MAP_INIT;
    const struct toc_map *primary = &w->objects.by_key[w->objects.role];
    size_t at = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(primary, &at));) {
        toc_arena_reset(a);
        toc_map_put(&wanted, toc_kube_source(w->objects.role, e->key, a), w);
    }
    toc_discovery_keep_only(w->source, &wanted);
    toc_map_fini(&wanted);
}

/* What has changed becomes groups, once everything has been seen. */
static void deliver(struct kube_work *w, bool *io_has_delivered) {
    struct toc_arena a;
    if (!are_all(w, toc_kube_watch_is_synced, true))
        return;
    toc_arena_init(&a, GROUP_ARENA_BYTES);
    for (size_t i = 0; i < w->objects.gone.count; i++) {
        toc_arena_reset(&a);
        struct toc_sv source =
            toc_kube_source(w->objects.role, toc_sv_cstr(w->objects.gone.items[i]), &a);
        toc_discovery_put(w->source, &(struct toc_target_group){.source = source});
        toc_free(w->objects.gone.items[i]);
    }
    w->objects.gone.count = 0;
    for (size_t i = 0; i < w->objects.dirty.count; i++) {
        w->objects.dirty.items[i]->is_dirty = false;
        put_group(w, toc_sv_cstr(w->objects.dirty.items[i]->key), &a);
    }
    w->objects.dirty.count = 0;
    if (!*io_has_delivered)
        drop_strangers(w, &a);
    *io_has_delivered = true;
    toc_arena_fini(&a);
    toc_discovery_publish(w->source);
}

static void take_new_access(struct kube_work *w) {
    struct kube_access fresh;
    struct toc_err err = {0};
    if (!w->is_access_stale || toc_http_multi_running(w->multi))
        return;
    w->is_access_stale = false;
    if (toc_kube_access_read(w->settings, toc_discovery_vfs(w->source), &fresh, &err) < 0) {
        toc_discovery_failed(w->source, &err);
        return;
    }
    toc_kube_access_fini(&w->access);
    w->access = fresh;
}

static void watch_until_stop(struct kube_work *w) {
    bool has_delivered = false, was_good = false;
    while (!toc_discovery_is_stopping(w->source)) {
        int64_t now = toc_clock_mono(toc_discovery_clock(w->source)).ns / 1000000;
        int64_t wait = LONGEST_WAIT_MS;
        take_new_access(w);
        for (size_t i = 0; i < w->watches.count; i++)
            wait = TOC_MIN(wait, toc_kube_watch_step(w->watches.items[i], now));
        toc_http_multi_poll(w->multi, wait);
        deliver(w, &has_delivered);
        bool is_good = has_delivered && are_all(w, toc_kube_watch_is_failing, false);
        if (is_good && !was_good)
            toc_discovery_succeeded(w->source);
        was_good = is_good;
    }
    while (toc_http_multi_running(w->multi))
        toc_http_multi_poll(w->multi, LONGEST_WAIT_MS);
}

static bool find_access(struct kube_work *w) {
    struct toc_err err = {0};
    while (toc_kube_access_read(w->settings, toc_discovery_vfs(w->source), &w->access, &err) < 0) {
        toc_discovery_failed(w->source, &err);
        toc_err_reset(&err);
        if (toc_discovery_wait_ms(w->source, ACCESS_RETRY_MS))
            return false;
    }
    return true;
}

static void run(struct toc_discovery_source *s, const void *settings) {
    struct kube_work w = {.source = s, .settings = settings};
    w.objects.role = w.settings->role;
    w.objects.wants_node_metadata = w.settings->wants_node_metadata;
    w.multi = toc_http_multi_new(CONNECTIONS_KEPT);
    if (w.multi && find_access(&w)) {
        add_all_watches(&w);
        watch_until_stop(&w);
    }
    for (size_t i = 0; i < w.watches.count; i++)
        toc_kube_watch_free(&w.watches.items[i]);
    TOC_VEC_FINI(&w.watches);
    toc_kube_objects_fini(&w.objects);
    toc_kube_access_fini(&w.access);
    toc_http_multi_free(&w.multi);
}

const struct toc_discovery_kind toc_discovery_kubernetes = {
    .mechanism = TOC_DISCOVERY_KUBERNETES,
    .key = "kubernetes_sd_configs",
    .read = read_kubernetes,
    .format = format_kubernetes,
    .http = http_of,
    .run = run,
};
