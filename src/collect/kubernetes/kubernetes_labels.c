/* Labels that several roles have in common. */
#include <stdio.h>

#include "base/alloc.h"
#include "collect/kubernetes/kubernetes_priv.h"

void toc_kube_label(struct kube_labels *l, const char *name, struct toc_sv value) {
    TOC_VEC_PUSH(l, ((struct toc_label){toc_sv_cstr(name), value}));
}

/* Whatever a label's name may not have becomes an underscore, character by character. */
static void append_sanitized(struct toc_buf *out, struct toc_sv s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (is_good)
            toc_buf_append_char(out, (char)c);
        else if (c < 0x80 || c >= 0xc0) /* further bytes of a character are part of the first */
            toc_buf_append_char(out, '_');
    }
}

static struct toc_sv make_name(struct kube_group *g, const char *role, const char *what,
                               struct toc_sv name) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text, "__meta_kubernetes_%s_%s_", role, what);
    append_sanitized(&text, name);
    struct toc_sv copy = toc_arena_dup_sv(g->arena, toc_buf_sv(&text));
    toc_buf_fini(&text);
    return copy;
}

void toc_kube_map_labels(struct kube_group *g, struct kube_labels *l, const char *role,
                         const struct toc_json *map, const char *what, const char *present) {
    if (!map || map->type != TOC_JSON_OBJECT)
        return;
    for (size_t i = 0; i < map->count; i++) {
        const struct toc_json *item = &map->items[i];
        if (item->type != TOC_JSON_STRING)
            continue;
        TOC_VEC_PUSH(l, ((struct toc_label){make_name(g, role, what, item->key), item->string}));
        TOC_VEC_PUSH(l,
                     ((struct toc_label){make_name(g, role, present, item->key), TOC_SV("true")}));
    }
}

void toc_kube_meta_labels(struct kube_group *g, struct kube_labels *l, const char *role,
                          const struct toc_json *metadata) {
    toc_kube_map_labels(g, l, role, toc_json_get(metadata, "labels"), "label", "labelpresent");
    toc_kube_map_labels(g, l, role, toc_json_get(metadata, "annotations"), "annotation",
                        "annotationpresent");
}

static struct toc_sv lower(struct kube_group *g, struct toc_sv s) {
    struct toc_sv copy = toc_arena_dup_sv(g->arena, s);
    for (size_t i = 0; i < copy.n; i++)
        if (copy.p[i] >= 'A' && copy.p[i] <= 'Z')
            ((char *)(uintptr_t)copy.p)[i] = (char)(copy.p[i] | 0x20);
    return copy;
}

static struct toc_sv readiness(struct kube_group *g, const struct toc_json *status) {
    const struct toc_json *list = toc_json_get(status, "conditions");
    for (size_t i = 0; list && list->type == TOC_JSON_ARRAY && i < list->count; i++)
        if (toc_sv_eq(toc_kube_text(&list->items[i], "type"), TOC_SV("Ready")))
            return lower(g, toc_kube_text(&list->items[i], "status"));
    return TOC_SV("unknown");
}

static void controller_labels(struct kube_labels *l, const struct toc_json *metadata) {
    const struct toc_json *owners = toc_json_get(metadata, "ownerReferences");
    for (size_t i = 0; owners && owners->type == TOC_JSON_ARRAY && i < owners->count; i++) {
        const struct toc_json *is_controller = toc_json_get(&owners->items[i], "controller");
        if (!is_controller || !is_controller->boolean)
            continue;
        toc_kube_label(l, "__meta_kubernetes_pod_controller_kind",
                       toc_kube_text(&owners->items[i], "kind"));
        toc_kube_label(l, "__meta_kubernetes_pod_controller_name",
                       toc_kube_text(&owners->items[i], "name"));
        return;
    }
}

void toc_kube_pod_labels(struct kube_group *g, struct kube_labels *l, const struct toc_json *pod) {
    const struct toc_json *metadata = toc_json_get(pod, "metadata");
    const struct toc_json *status = toc_json_get(pod, "status");
    const struct toc_json *spec = toc_json_get(pod, "spec");
    toc_kube_label(l, "__meta_kubernetes_pod_name", toc_kube_text(metadata, "name"));
    toc_kube_label(l, "__meta_kubernetes_pod_ip", toc_kube_text(status, "podIP"));
    toc_kube_label(l, "__meta_kubernetes_pod_ready", readiness(g, status));
    toc_kube_label(l, "__meta_kubernetes_pod_phase", toc_kube_text(status, "phase"));
    toc_kube_label(l, "__meta_kubernetes_pod_node_name", toc_kube_text(spec, "nodeName"));
    toc_kube_label(l, "__meta_kubernetes_pod_host_ip", toc_kube_text(status, "hostIP"));
    toc_kube_label(l, "__meta_kubernetes_pod_uid", toc_kube_text(metadata, "uid"));
    toc_kube_meta_labels(g, l, "pod", metadata);
    controller_labels(l, metadata);
}

void toc_kube_service_labels(struct kube_group *g, struct kube_labels *l, struct toc_sv key) {
    const struct toc_json *service = toc_kube_objects_get(g->objects, KUBE_SERVICE, key, g->arena);
    const struct toc_json *metadata = toc_json_get(service, "metadata");
    if (!metadata)
        return;
    toc_kube_label(l, "__meta_kubernetes_service_name", toc_kube_text(metadata, "name"));
    toc_kube_meta_labels(g, l, "service", metadata);
}

void toc_kube_node_labels(struct kube_group *g, struct kube_labels *l, struct toc_sv name) {
    if (!g->objects->wants_node_metadata || !name.n)
        return;
    const struct toc_json *node = toc_kube_objects_get(g->objects, KUBE_NODE, name, g->arena);
    if (!node)
        return;
    toc_kube_label(l, "__meta_kubernetes_node_name", name);
    toc_kube_meta_labels(g, l, "node", toc_json_get(node, "metadata"));
}
