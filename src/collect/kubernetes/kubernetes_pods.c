/* The pods of a cluster for the state of jobs: lists in pages, by the access and the selectors of
 * kubernetes_sd_configs. */
#include <stdio.h>

#include "base/alloc.h"
#include "codec/text.h"
#include "collect/job_pods_priv.h"
#include "collect/kubernetes/kubernetes_priv.h"
#include "sys/vfs.h"

enum {
    PAGE_OBJECTS = 500,
    PAGES_MAX = TOC_JOBS_MAX / PAGE_OBJECTS + 1,
    PAGE_BYTES_MAX = 64 << 20,
    CONNECT_TIMEOUT_MS = 10000,
    LIST_TIMEOUT_MS = 60000
};

int toc_kube_pods_read(const struct toc_yaml *n, const struct toc_config_reader *r,
                       const void **out_settings, struct toc_sv *out_where) {
    struct toc_discovery_config c = {0};
    int rc = toc_discovery_kubernetes.read(n, r, &c);
    const struct kube_settings *s = c.settings;
    if (rc == 0 && s->role != KUBE_POD)
        rc = toc_err_at(r->err, TOC_EINVAL, n->line, n->column,
                        "the state of jobs is that of pods: role must be pod");
    *out_settings = s;
    *out_where = c.where;
    return rc;
}

struct asking {
    const struct toc_kube_pods_call *call;
    const struct kube_settings *settings;
    struct kube_access access;
    struct toc_http_dress dress;
    struct toc_buf url, page; /* page: token of the next one */
    struct toc_arena *arena;
    struct toc_jobs *out;
    struct toc_err *err;
};

static void append_param(struct asking *k, const char *name, struct toc_sv value) {
    if (!value.n)
        return;
    toc_buf_printf(&k->url, "&%s=", name);
    toc_query_encode(value, &k->url);
}

static void build_url(struct asking *k, struct toc_sv ns) {
    const struct kube_selector *selector = &k->settings->selectors[KUBE_POD];
    toc_buf_reset(&k->url);
    toc_buf_printf(&k->url, "%.*s/api/v1/", TOC_SV_ARG(k->access.api));
    if (ns.n) {
        toc_buf_append_cstr(&k->url, "namespaces/");
        toc_percent_encode(ns, &k->url);
        toc_buf_append_char(&k->url, '/');
    }
    toc_buf_printf(&k->url, "pods?limit=%d", PAGE_OBJECTS);
    append_param(k, "labelSelector", selector->label);
    append_param(k, "fieldSelector", selector->field);
    append_param(k, "continue", toc_buf_sv(&k->page));
}

static int get_page(struct asking *k, struct toc_sv ns) {
    static const char *const own[] = {"Accept: application/json", NULL};
    struct toc_http_result result = {0};
    build_url(k, ns);
    struct toc_http_call call = {.url = toc_buf_cstr(&k->url),
                                 .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                 .timeout_ms = LIST_TIMEOUT_MS,
                                 .max_response_bytes = PAGE_BYTES_MAX,
                                 .is_cancelled = k->call->is_cancelled,
                                 .cancel_ctx = k->call->cancel_ctx};
    int rc = toc_http_dress_call(&k->dress, &k->access.http, toc_vfs_system(), own, &call, k->err);
    if (rc == 0)
        rc = toc_http_perform(k->call->client, &call, &result, k->err);
    if (rc == 0 && result.status != 200)
        rc = toc_errf(k->err, TOC_EPROTOCOL, "the API server answered status %d: %.*s",
                      result.status, TOC_SV_ARG(toc_sv_sub(toc_buf_sv(&result.body), 0, 200)));
    if (rc == 0)
        rc = toc_jobs_of_kubernetes(toc_buf_sv(&result.body), k->arena, k->out, &k->page, k->err);
    toc_http_result_fini(&result);
    return rc;
}

static int get_namespace(struct asking *k, struct toc_sv ns) {
    int rc = 0;
    toc_buf_reset(&k->page);
    for (int i = 0; rc == 0 && i < PAGES_MAX; i++) {
        rc = get_page(k, ns);
        if (!k->page.n)
            break;
    }
    return rc;
}

static int get_all(struct asking *k) {
    const struct kube_settings *s = k->settings;
    struct toc_sv own = s->wants_own_namespace ? k->access.own_namespace : TOC_SV_NULL;
    if (!s->namespace_count && !own.n)
        return get_namespace(k, TOC_SV_NULL);
    bool has_own = !own.n;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->namespace_count; i++) {
        has_own = has_own || toc_sv_eq(s->namespaces[i], own);
        rc = get_namespace(k, s->namespaces[i]);
    }
    return rc || has_own ? rc : get_namespace(k, own);
}

int toc_kube_pods_get(const struct toc_kube_pods_call *c, struct toc_arena *a, struct toc_jobs *out,
                      struct toc_err *err) {
    struct asking k = {.call = c, .settings = c->settings, .arena = a, .out = out, .err = err};
    int rc = toc_kube_access_read(k.settings, toc_vfs_system(), &k.access, err);
    if (rc == 0) {
        rc = get_all(&k);
        toc_kube_access_fini(&k.access);
    }
    toc_http_dress_fini(&k.dress);
    toc_buf_fini(&k.url);
    toc_buf_fini(&k.page);
    return rc;
}
