/*
 * Kubernetes as a source of targets. Watches keep the objects of a few kinds, stripped to what
 * targets are made of; a change of an object makes its group anew, and the groups that name it.
 */
#ifndef TOC_COLLECT_KUBERNETES_PRIV_H
#define TOC_COLLECT_KUBERNETES_PRIV_H

#include "base/map.h"
#include "base/vec.h"
#include "codec/json.h"
#include "collect/discovery_priv.h"
#include "net/http_multi.h"

/* X(enum, role, path of its API, name in the path, are its objects in namespaces?) */
#define KUBE_KIND_TABLE(X)                                                                      \
    X(KUBE_NODE, "node", "/api/v1", "nodes", false)                                             \
    X(KUBE_SERVICE, "service", "/api/v1", "services", true)                                     \
    X(KUBE_POD, "pod", "/api/v1", "pods", true)                                                 \
    X(KUBE_ENDPOINTS, "endpoints", "/api/v1", "endpoints", true)                                \
    X(KUBE_ENDPOINTSLICE, "endpointslice", "/apis/discovery.k8s.io/v1", "endpointslices", true) \
    X(KUBE_INGRESS, "ingress", "/apis/networking.k8s.io/v1", "ingresses", true)

enum kube_kind {
#define X(name, role, path, plural, namespaced) name,
    KUBE_KIND_TABLE(X)
#undef X
        KUBE_KIND_COUNT
};
struct kube_kind_info {
    const char *role, *path, *plural;
    bool is_namespaced;
};
extern const struct kube_kind_info toc_kube_kinds[KUBE_KIND_COUNT];

/* Selectors of one kind; empty: all objects. */
struct kube_selector {
    struct toc_sv label, field;
};

struct kube_settings {
    enum kube_kind role;
    struct toc_sv api_server, kubeconfig_file; /* both empty: inside of a cluster */
    const struct toc_sv *namespaces;           /* none: all */
    size_t namespace_count;
    bool wants_own_namespace, wants_node_metadata;
    struct kube_selector selectors[KUBE_KIND_COUNT];
    struct toc_http_settings http;
};

/* ------------------------------------------------------------------------------------------------
 * kubernetes_access.c: where the API is and how it is asked */

struct kube_access {
    struct toc_arena arena;
    struct toc_sv api; /* without a slash at the end */
    struct toc_sv own_namespace;
    struct toc_http_settings http;
};
/* From the section, the kubeconfig file, or the service account of the pod that this runs in. */
int toc_kube_access_read(const struct kube_settings *s, struct toc_vfs *vfs,
                         struct kube_access *out, struct toc_err *err) TOC_MUST_CHECK;
void toc_kube_access_fini(struct kube_access *a);

/* ------------------------------------------------------------------------------------------------
 * kubernetes_object.c: the objects that watches keep */

struct kube_object {
    char *key;  /* namespace/name, or name */
    char *json; /* stripped */
    size_t json_bytes;
    uint64_t list;         /* the last list of its watch that named it */
    const void *watch;     /* whose it is */
    TOC_VEC(char *) needs; /* of a primary object: what its group is made of besides */
    bool is_dirty;
};
struct kube_needers {
    TOC_VEC_FIELDS(struct kube_object *)
};
struct kube_objects {
    enum kube_kind role;
    bool wants_node_metadata;
    struct toc_map by_key[KUBE_KIND_COUNT]; /* → struct kube_object */
    struct toc_map needers;                 /* "KIND key" → struct kube_needers */
    struct kube_needers dirty;              /* primary objects whose group is to be made */
    struct {
        TOC_VEC_FIELDS(char *)
    } gone; /* keys of primary objects whose group goes */
    size_t count, refused;
};
void toc_kube_objects_fini(struct kube_objects *o);
/* What was added or changed. TOC_EPARSE when it has no name; over the limit it is counted. */
int toc_kube_objects_put(struct kube_objects *o, enum kube_kind kind, const struct toc_json *object,
                         const void *watch, uint64_t list, struct toc_err *err) TOC_MUST_CHECK;
void toc_kube_objects_delete(struct kube_objects *o, enum kube_kind kind,
                             const struct toc_json *object);
/* Deletes those of a watch that its list did not name. */
void toc_kube_objects_sweep(struct kube_objects *o, enum kube_kind kind, const void *watch,
                            uint64_t list);
/* The object parsed into `a`; NULL when there is none. */
const struct toc_json *toc_kube_objects_get(const struct kube_objects *o, enum kube_kind kind,
                                            struct toc_sv key, struct toc_arena *a);

/* Member of a member … ; NULL when any is absent. */
const struct toc_json *toc_kube_at(const struct toc_json *j, const char *a, const char *b);
/* The member as a text; empty when absent or no text. */
struct toc_sv toc_kube_text(const struct toc_json *j, const char *key);
/* "namespace/name", or the name alone, into `out`. */
void toc_kube_key(struct toc_sv ns, struct toc_sv name, struct toc_buf *out);

/* ------------------------------------------------------------------------------------------------
 * kubernetes_labels.c: labels of one object; kubernetes_group.c: its targets */

struct kube_labels {
    TOC_VEC_FIELDS(struct toc_label)
};
/* A group in the making. */
struct kube_group {
    const struct kube_objects *objects;
    struct toc_arena *arena;
    struct kube_labels common, own; /* own: of all targets, one after the other */
    TOC_VEC(struct toc_sv) addresses;
    TOC_VEC(size_t) starts; /* of each target in `own` */
};
void toc_kube_label(struct kube_labels *l, const char *name, struct toc_sv value);
/* __meta_kubernetes_ROLE_WHAT_NAME with the value and …_PRESENT_NAME "true" for each text. */
void toc_kube_map_labels(struct kube_group *g, struct kube_labels *l, const char *role,
                         const struct toc_json *map, const char *what, const char *present);
/* __meta_kubernetes_ROLE_label_…, _labelpresent_…, _annotation_…, _annotationpresent_… */
void toc_kube_meta_labels(struct kube_group *g, struct kube_labels *l, const char *role,
                          const struct toc_json *metadata);
void toc_kube_pod_labels(struct kube_group *g, struct kube_labels *l, const struct toc_json *pod);
void toc_kube_service_labels(struct kube_group *g, struct kube_labels *l, struct toc_sv key);
/* Of the node by its name, when nodes are wanted and it is known. */
void toc_kube_node_labels(struct kube_group *g, struct kube_labels *l, struct toc_sv name);

/* "role/key": how the group of a primary object is called. */
struct toc_sv toc_kube_source(enum kube_kind role, struct toc_sv key, struct toc_arena *a);
/* Makes the group of a primary object; everything lives in `a`. */
void toc_kube_group_make(const struct kube_objects *o, struct toc_sv key,
                         const struct toc_json *object, struct toc_arena *a,
                         struct toc_target_group *out);

/* ------------------------------------------------------------------------------------------------
 * kubernetes_watch.c: list and watch of one kind in one namespace */

struct kube_watch;
struct kube_work {
    struct toc_discovery_source *source;
    const struct kube_settings *settings;
    struct kube_access access;
    struct kube_objects objects;
    struct toc_http_multi *multi;
    struct {
        TOC_VEC_FIELDS(struct kube_watch *)
    } watches;
    bool is_access_stale; /* the API did not know who asks: read anew */
};
struct kube_watch *toc_kube_watch_new(struct kube_work *w, enum kube_kind kind, struct toc_sv ns);
void toc_kube_watch_free(struct kube_watch **w);
/* Begins what is due; returns how long nothing is. */
int64_t toc_kube_watch_step(struct kube_watch *w, int64_t now_ms);
/* Has it had a whole list? */
bool toc_kube_watch_is_synced(const struct kube_watch *w);
bool toc_kube_watch_is_failing(const struct kube_watch *w);
/* One line of a watch. *out_version is the object's resource version, empty: none. TOC_ETOO_OLD
 * when a new list is needed. For the fuzz target, too. */
int toc_kube_watch_event(struct kube_objects *o, enum kube_kind kind, const void *watch,
                         uint64_t list, struct toc_sv line, char out_version[128],
                         struct toc_err *err) TOC_MUST_CHECK;
/* One page of a list. *out_continue is empty on the last one. */
int toc_kube_watch_page(struct kube_objects *o, enum kube_kind kind, const void *watch,
                        uint64_t list, struct toc_sv body, char out_version[128],
                        struct toc_buf *out_continue, struct toc_err *err) TOC_MUST_CHECK;

#endif
