#include "base/alloc.h"
#include "codec/json_writer.h"
#include "collect/kubernetes/kubernetes_priv.h"
#include "sys/log.h"

enum { OBJECTS_MAX = 1000000, NEEDS_MAX = 10000, OBJECT_ARENA_BYTES = 64 << 20 };

const struct kube_kind_info toc_kube_kinds[KUBE_KIND_COUNT] = {
#define X(name, role, path, plural, namespaced) {role, path, plural, namespaced},
    KUBE_KIND_TABLE(X)
#undef X
};

const struct toc_json *toc_kube_at(const struct toc_json *j, const char *a, const char *b) {
    const struct toc_json *member = toc_json_get(j, a);
    return b ? toc_json_get(member, b) : member;
}

struct toc_sv toc_kube_text(const struct toc_json *j, const char *key) {
    const struct toc_json *member = toc_json_get(j, key);
    return member && member->type == TOC_JSON_STRING ? member->string : TOC_SV_NULL;
}

void toc_kube_key(struct toc_sv ns, struct toc_sv name, struct toc_buf *out) {
    if (ns.n)
        toc_buf_printf(out, "%.*s/", TOC_SV_ARG(ns));
    toc_buf_append_sv(out, name);
}

/* ------------------------------------------------------------------------------------------------
 * stripped objects */

/* What targets are made of, at whatever depth. Below the maps at the end everything counts. */
static bool is_kept(struct toc_sv key) {
    static const char *const keys[] = {"metadata",
                                       "name",
                                       "namespace",
                                       "uid",
                                       "ownerReferences",
                                       "kind",
                                       "controller",
                                       "spec",
                                       "status",
                                       "providerID",
                                       "addresses",
                                       "type",
                                       "address",
                                       "daemonEndpoints",
                                       "kubeletEndpoint",
                                       "Port",
                                       "ports",
                                       "port",
                                       "protocol",
                                       "appProtocol",
                                       "clusterIP",
                                       "externalName",
                                       "loadBalancerIP",
                                       "nodeName",
                                       "containers",
                                       "initContainers",
                                       "image",
                                       "containerPort",
                                       "podIP",
                                       "phase",
                                       "hostIP",
                                       "conditions",
                                       "containerStatuses",
                                       "initContainerStatuses",
                                       "containerID",
                                       "subsets",
                                       "notReadyAddresses",
                                       "ip",
                                       "hostname",
                                       "targetRef",
                                       "addressType",
                                       "endpoints",
                                       "ready",
                                       "serving",
                                       "terminating",
                                       "zone",
                                       "ingressClassName",
                                       "tls",
                                       "hosts",
                                       "rules",
                                       "host",
                                       "http",
                                       "paths",
                                       "path",
                                       "labels",
                                       "annotations",
                                       "deprecatedTopology"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(keys); i++)
        if (toc_sv_eq_cstr(key, keys[i]))
            return true;
    return false;
}

static bool is_map(struct toc_sv key) {
    return toc_sv_eq(key, TOC_SV("labels")) || toc_sv_eq(key, TOC_SV("annotations")) ||
           toc_sv_eq(key, TOC_SV("deprecatedTopology"));
}

/* Depth is limited by the JSON reader. */
static void strip(const struct toc_json *j, bool keeps_all, struct toc_json_writer *w) {
    switch (j->type) {
    case TOC_JSON_OBJECT:
        toc_json_begin_object(w);
        for (size_t i = 0; i < j->count; i++) {
            const struct toc_json *item = &j->items[i];
            if (!keeps_all && !is_kept(item->key))
                continue;
            toc_json_key_sv(w, item->key);
            strip(item, keeps_all || is_map(item->key), w);
        }
        toc_json_end_object(w);
        break;
    case TOC_JSON_ARRAY:
        toc_json_begin_array(w);
        for (size_t i = 0; i < j->count; i++)
            strip(&j->items[i], keeps_all, w);
        toc_json_end_array(w);
        break;
    case TOC_JSON_STRING:
        toc_json_string(w, j->string);
        break;
    case TOC_JSON_BOOL:
        toc_json_bool(w, j->boolean);
        break;
    case TOC_JSON_INT:
        toc_json_int(w, j->integer);
        break;
    case TOC_JSON_DOUBLE:
        toc_json_double(w, j->number);
        break;
    case TOC_JSON_NULL:
        toc_json_null(w);
        break;
    }
}

/* ------------------------------------------------------------------------------------------------
 * who needs whom */

static void drop_needs(struct kube_objects *o, struct kube_object *obj) {
    for (size_t i = 0; i < obj->needs.count; i++) {
        struct kube_needers *n = toc_map_get(&o->needers, toc_sv_cstr(obj->needs.items[i]));
        for (size_t k = 0; n && k < n->count; k++)
            if (n->items[k] == obj) {
                n->items[k] = n->items[--n->count];
                break;
            }
        if (n && n->count == 0) {
            toc_map_remove(&o->needers, toc_sv_cstr(obj->needs.items[i]));
            TOC_VEC_FINI(n);
            toc_free(n);
        }
        toc_free(obj->needs.items[i]);
    }
    obj->needs.count = 0;
}

static void add_need(struct kube_objects *o, struct kube_object *obj, enum kube_kind kind,
                     struct toc_sv ns, struct toc_sv name) {
    struct toc_buf text = TOC_BUF_INIT;
    if (!name.n || obj->needs.count >= NEEDS_MAX)
        return;
    toc_buf_printf(&text, "%s ", toc_kube_kinds[kind].role);
    toc_kube_key(ns, name, &text);
    struct kube_needers *n = toc_map_get(&o->needers, toc_buf_sv(&text));
    if (!n) {
        n = TOC_NEW(struct kube_needers);
        toc_map_put(&o->needers, toc_buf_sv(&text), n);
    }
    if (n->count && n->items[n->count - 1] == obj) {
        toc_buf_fini(&text); /* the same need just now */
        return;
    }
    TOC_VEC_PUSH(n, obj);
    TOC_VEC_PUSH(&obj->needs, toc_buf_take(&text, NULL));
}

static void add_address_needs(struct kube_objects *o, struct kube_object *obj, struct toc_sv ns,
                              const struct toc_json *address) {
    const struct toc_json *ref = toc_json_get(address, "targetRef");
    struct toc_sv kind = toc_kube_text(ref, "kind");
    if (toc_sv_eq(kind, TOC_SV("Pod"))) {
        struct toc_sv pod_ns = toc_kube_text(ref, "namespace");
        add_need(o, obj, KUBE_POD, pod_ns.n ? pod_ns : ns, toc_kube_text(ref, "name"));
    }
    if (!o->wants_node_metadata)
        return;
    if (toc_sv_eq(kind, TOC_SV("Node")))
        add_need(o, obj, KUBE_NODE, TOC_SV_NULL, toc_kube_text(ref, "name"));
    add_need(o, obj, KUBE_NODE, TOC_SV_NULL, toc_kube_text(address, "nodeName"));
}

static void each_address(struct kube_objects *o, struct kube_object *obj, struct toc_sv ns,
                         const struct toc_json *list) {
    for (size_t i = 0; list && list->type == TOC_JSON_ARRAY && i < list->count; i++)
        add_address_needs(o, obj, ns, &list->items[i]);
}

static void find_needs(struct kube_objects *o, struct kube_object *obj, const struct toc_json *j) {
    const struct toc_json *metadata = toc_json_get(j, "metadata");
    struct toc_sv ns = toc_kube_text(metadata, "namespace");
    if (o->role == KUBE_POD && o->wants_node_metadata)
        add_need(o, obj, KUBE_NODE, TOC_SV_NULL,
                 toc_kube_text(toc_json_get(j, "spec"), "nodeName"));
    if (o->role == KUBE_ENDPOINTS) {
        const struct toc_json *subsets = toc_json_get(j, "subsets");
        add_need(o, obj, KUBE_SERVICE, ns, toc_kube_text(metadata, "name"));
        for (size_t i = 0; subsets && subsets->type == TOC_JSON_ARRAY && i < subsets->count; i++) {
            each_address(o, obj, ns, toc_json_get(&subsets->items[i], "addresses"));
            each_address(o, obj, ns, toc_json_get(&subsets->items[i], "notReadyAddresses"));
        }
    }
    if (o->role == KUBE_ENDPOINTSLICE) {
        add_need(o, obj, KUBE_SERVICE, ns,
                 toc_kube_text(toc_json_get(metadata, "labels"), "kubernetes.io/service-name"));
        each_address(o, obj, ns, toc_json_get(j, "endpoints"));
    }
}

/* ------------------------------------------------------------------------------------------------
 * coming and going */

static void mark_dirty(struct kube_objects *o, struct kube_object *obj) {
    if (!obj->is_dirty)
        TOC_VEC_PUSH(&o->dirty, obj);
    obj->is_dirty = true;
}

static void mark_needers(struct kube_objects *o, enum kube_kind kind, const char *key) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text, "%s %s", toc_kube_kinds[kind].role, key);
    struct kube_needers *n = toc_map_get(&o->needers, toc_buf_sv(&text));
    for (size_t i = 0; n && i < n->count; i++)
        mark_dirty(o, n->items[i]);
    toc_buf_fini(&text);
}

static void unmark(struct kube_objects *o, struct kube_object *obj) {
    for (size_t i = 0; obj->is_dirty && i < o->dirty.count; i++)
        if (o->dirty.items[i] == obj) {
            o->dirty.items[i] = o->dirty.items[--o->dirty.count];
            break;
        }
}

static void object_free(struct kube_object *obj) {
    for (size_t i = 0; i < obj->needs.count; i++)
        toc_free(obj->needs.items[i]);
    TOC_VEC_FINI(&obj->needs);
    toc_free(obj->key);
    toc_free(obj->json);
    toc_free(obj);
}

static void remove_object(struct kube_objects *o, enum kube_kind kind, struct toc_sv key) {
    struct kube_object *obj = toc_map_remove(&o->by_key[kind], key);
    if (!obj)
        return;
    o->count--;
    if (kind == o->role) {
        unmark(o, obj);
        drop_needs(o, obj);
        TOC_VEC_PUSH(&o->gone, toc_xstrdup(obj->key));
    }
    mark_needers(o, kind, obj->key);
    object_free(obj);
}

static int key_of(const struct toc_json *object, struct toc_buf *out, struct toc_err *err) {
    const struct toc_json *metadata = toc_json_get(object, "metadata");
    struct toc_sv name = toc_kube_text(metadata, "name");
    if (!name.n)
        return toc_errf(err, TOC_EPARSE, "an object without metadata.name");
    toc_kube_key(toc_kube_text(metadata, "namespace"), name, out);
    return 0;
}

static struct kube_object *find_or_add(struct kube_objects *o, enum kube_kind kind,
                                       struct toc_sv key) {
    struct kube_object *obj = toc_map_get(&o->by_key[kind], key);
    if (obj || o->count >= OBJECTS_MAX)
        return obj;
    obj = TOC_NEW(struct kube_object);
    obj->key = toc_sv_dup_cstr(key);
    toc_map_put(&o->by_key[kind], key, obj);
    o->count++;
    return obj;
}

static void store(struct kube_objects *o, enum kube_kind kind, struct kube_object *obj,
                  const struct toc_json *object) {
    struct toc_buf json = TOC_BUF_INIT;
    struct toc_json_writer w;
    toc_json_writer_init(&w, &json);
    strip(object, false, &w);
    if (obj->json && toc_sv_eq(toc_sv_make(obj->json, obj->json_bytes), toc_buf_sv(&json))) {
        toc_buf_fini(&json); /* nothing that targets are made of */
        return;
    }
    toc_free(obj->json);
    obj->json = toc_xmemdup(json.p, json.n);
    obj->json_bytes = json.n;
    toc_buf_fini(&json);
    if (kind == o->role) {
        drop_needs(o, obj);
        find_needs(o, obj, object);
        mark_dirty(o, obj);
    }
    mark_needers(o, kind, obj->key);
}

int toc_kube_objects_put(struct kube_objects *o, enum kube_kind kind, const struct toc_json *object,
                         const void *watch, uint64_t list, struct toc_err *err) {
    struct toc_buf key = TOC_BUF_INIT;
    int rc = key_of(object, &key, err);
    struct kube_object *obj = rc ? NULL : find_or_add(o, kind, toc_buf_sv(&key));
    if (rc == 0 && !obj && o->refused++ == 0)
        toc_log(TOC_LOG_WARN, "discovery", "more than %d objects of Kubernetes: %s %s is left out",
                OBJECTS_MAX, toc_kube_kinds[kind].role, toc_buf_cstr(&key));
    toc_buf_fini(&key);
    if (!obj)
        return rc;
    obj->list = list;
    obj->watch = watch;
    store(o, kind, obj, object);
    return 0;
}

void toc_kube_objects_delete(struct kube_objects *o, enum kube_kind kind,
                             const struct toc_json *object) {
    struct toc_buf key = TOC_BUF_INIT;
    if (key_of(object, &key, NULL) == 0)
        remove_object(o, kind, toc_buf_sv(&key));
    toc_buf_fini(&key);
}

void toc_kube_objects_sweep(struct kube_objects *o, enum kube_kind kind, const void *watch,
                            uint64_t list) {
    TOC_VEC(char *) gone = {0};
    size_t at = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&o->by_key[kind], &at));) {
        const struct kube_object *obj = e->value;
        if (obj->watch == watch && obj->list != list)
            TOC_VEC_PUSH(&gone, toc_xstrdup(obj->key));
    }
    for (size_t i = 0; i < gone.count; i++) {
        remove_object(o, kind, toc_sv_cstr(gone.items[i]));
        toc_free(gone.items[i]);
    }
    TOC_VEC_FINI(&gone);
}

const struct toc_json *toc_kube_objects_get(const struct kube_objects *o, enum kube_kind kind,
                                            struct toc_sv key, struct toc_arena *a) {
    const struct kube_object *obj = toc_map_get(&o->by_key[kind], key);
    const struct toc_json *json = NULL;
    if (!obj || toc_json_parse(toc_sv_make(obj->json, obj->json_bytes), a, &json, NULL) < 0)
        return NULL;
    return json;
}

void toc_kube_objects_fini(struct kube_objects *o) {
    for (int k = 0; k < KUBE_KIND_COUNT; k++) {
        size_t at = 0;
        for (const struct toc_map_entry *e; (e = toc_map_next(&o->by_key[k], &at));)
            object_free(e->value);
        toc_map_fini(&o->by_key[k]);
    }
    size_t at = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&o->needers, &at));) {
        TOC_VEC_FINI((struct kube_needers *)e->value);
        toc_free(e->value);
    }
    toc_map_fini(&o->needers);
    TOC_VEC_FINI(&o->dirty);
    for (size_t i = 0; i < o->gone.count; i++)
        toc_free(o->gone.items[i]);
    TOC_VEC_FINI(&o->gone);
}
