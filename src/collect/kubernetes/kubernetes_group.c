/* The targets of one object, role by role. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/num.h"
#include "collect/kubernetes/kubernetes_priv.h"

#define META "__meta_kubernetes_"

static bool is_list(const struct toc_json *j) {
    return j && j->type == TOC_JSON_ARRAY;
}
static size_t length(const struct toc_json *j) {
    return is_list(j) ? j->count : 0;
}

static struct toc_sv number(struct kube_group *g, const struct toc_json *j) {
    char text[32];
    if (j && j->type == TOC_JSON_STRING)
        return j->string;
    if (!j || j->type != TOC_JSON_INT)
        return TOC_SV_NULL;
    snprintf(text, sizeof text, "%lld", (long long)j->integer);
    return toc_arena_dup_sv(g->arena, toc_sv_cstr(text));
}

static struct toc_sv boolean(bool b) {
    return b ? TOC_SV("true") : TOC_SV("false");
}

/* "host:port"; an IPv6 address gets brackets. Without a port the host alone. */
static struct toc_sv join(struct kube_group *g, struct toc_sv host, struct toc_sv port) {
    struct toc_buf text = TOC_BUF_INIT;
    if (!port.n)
        return host;
    toc_buf_printf(&text, toc_sv_find_char(host, ':') == SIZE_MAX ? "%.*s:%.*s" : "[%.*s]:%.*s",
                   TOC_SV_ARG(host), TOC_SV_ARG(port));
    struct toc_sv copy = toc_arena_dup_sv(g->arena, toc_buf_sv(&text));
    toc_buf_fini(&text);
    return copy;
}

static void target(struct kube_group *g, struct toc_sv address) {
    TOC_VEC_PUSH(&g->addresses, address);
    TOC_VEC_PUSH(&g->starts, g->own.count);
}
static void own(struct kube_group *g, const char *name, struct toc_sv value) {
    toc_kube_label(&g->own, name, value);
}
static void common(struct kube_group *g, const char *name, struct toc_sv value) {
    toc_kube_label(&g->common, name, value);
}

/* ------------------------------------------------------------------------------------------------
 * node */

static void add_node(struct kube_group *g, const struct toc_json *node) {
    static const char *const order[] = {"InternalIP",  "InternalDNS",  "ExternalIP",
                                        "ExternalDNS", "LegacyHostIP", "Hostname"};
    const struct toc_json *metadata = toc_json_get(node, "metadata");
    const struct toc_json *status = toc_json_get(node, "status");
    const struct toc_json *addresses = toc_json_get(status, "addresses");
    const struct toc_json *port =
        toc_json_get(toc_kube_at(status, "daemonEndpoints", "kubeletEndpoint"), "Port");
    struct toc_sv chosen = TOC_SV_NULL, name = toc_kube_text(metadata, "name");
    for (size_t o = 0; o < TOC_ARRAY_LEN(order) && !chosen.n; o++)
        for (size_t i = 0; i < length(addresses) && !chosen.n; i++)
            if (toc_sv_eq_cstr(toc_kube_text(&addresses->items[i], "type"), order[o]))
                chosen = toc_kube_text(&addresses->items[i], "address");
    common(g, META "node_name", name);
    common(g, META "node_provider_id", toc_kube_text(toc_json_get(node, "spec"), "providerID"));
    toc_kube_meta_labels(g, &g->common, "node", metadata);
    if (!chosen.n)
        return;
    target(g, join(g, chosen, port ? number(g, port) : TOC_SV("0")));
    own(g, "instance", name);
    for (size_t i = length(addresses); i-- > 0;) { /* the first of a type wins: it comes last */
        struct toc_buf label = TOC_BUF_INIT;
        toc_buf_printf(&label, META "node_address_%.*s",
                       TOC_SV_ARG(toc_kube_text(&addresses->items[i], "type")));
        own(g, toc_arena_dup_sv(g->arena, toc_buf_sv(&label)).p,
            toc_kube_text(&addresses->items[i], "address"));
        toc_buf_fini(&label);
    }
}

/* ------------------------------------------------------------------------------------------------
 * service */

static void add_service(struct kube_group *g, const struct toc_json *service) {
    const struct toc_json *metadata = toc_json_get(service, "metadata");
    const struct toc_json *spec = toc_json_get(service, "spec");
    const struct toc_json *ports = toc_json_get(spec, "ports");
    struct toc_sv type = toc_kube_text(spec, "type"), name = toc_kube_text(metadata, "name");
    struct toc_buf host = TOC_BUF_INIT;
    common(g, META "service_name", name);
    toc_kube_meta_labels(g, &g->common, "service", metadata);
    toc_buf_printf(&host, "%.*s.%.*s.svc", TOC_SV_ARG(name),
                   TOC_SV_ARG(toc_kube_text(metadata, "namespace")));
    for (size_t i = 0; i < length(ports); i++) {
        const struct toc_json *port = &ports->items[i];
        struct toc_sv port_text = number(g, toc_json_get(port, "port"));
        target(g, join(g, toc_arena_dup_sv(g->arena, toc_buf_sv(&host)), port_text));
        own(g, META "service_port_name", toc_kube_text(port, "name"));
        own(g, META "service_port_number", port_text);
        own(g, META "service_port_protocol", toc_kube_text(port, "protocol"));
        own(g, META "service_type", type);
        if (toc_sv_eq(type, TOC_SV("ExternalName")))
            own(g, META "service_external_name", toc_kube_text(spec, "externalName"));
        else
            own(g, META "service_cluster_ip", toc_kube_text(spec, "clusterIP"));
        if (toc_sv_eq(type, TOC_SV("LoadBalancer")))
            own(g, META "service_loadbalancer_ip", toc_kube_text(spec, "loadBalancerIP"));
    }
    toc_buf_fini(&host);
}

/* ------------------------------------------------------------------------------------------------
 * pod */

struct container {
    const struct toc_json *json;
    struct toc_sv id;
    bool is_init;
};

/* Container i of a pod, first the usual ones; false when there are no more. */
static bool container_at(const struct toc_json *pod, size_t i, struct container *out) {
    const struct toc_json *spec = toc_json_get(pod, "spec");
    const struct toc_json *usual = toc_json_get(spec, "containers");
    const struct toc_json *init = toc_json_get(spec, "initContainers");
    out->is_init = i >= length(usual);
    if (out->is_init)
        i -= length(usual);
    const struct toc_json *list = out->is_init ? init : usual;
    if (i >= length(list))
        return false;
    out->json = &list->items[i];
    out->id = TOC_SV_NULL;
    const struct toc_json *states =
        toc_kube_at(pod, "status", out->is_init ? "initContainerStatuses" : "containerStatuses");
    for (size_t k = 0; k < length(states); k++)
        if (toc_sv_eq(toc_kube_text(&states->items[k], "name"), toc_kube_text(out->json, "name")))
            out->id = toc_kube_text(&states->items[k], "containerID");
    return true;
}

static void container_labels(struct kube_group *g, const struct container *c,
                             const struct toc_json *port) {
    own(g, META "pod_container_name", toc_kube_text(c->json, "name"));
    own(g, META "pod_container_image", toc_kube_text(c->json, "image"));
    own(g, META "pod_container_init", boolean(c->is_init));
    if (!port)
        return;
    own(g, META "pod_container_port_name", toc_kube_text(port, "name"));
    own(g, META "pod_container_port_number", number(g, toc_json_get(port, "containerPort")));
    own(g, META "pod_container_port_protocol", toc_kube_text(port, "protocol"));
}

static void add_pod(struct kube_group *g, const struct toc_json *pod) {
    struct toc_sv ip = toc_kube_text(toc_json_get(pod, "status"), "podIP");
    if (!ip.n)
        return; /* it starts, or was evicted */
    toc_kube_pod_labels(g, &g->common, pod);
    toc_kube_node_labels(g, &g->common, toc_kube_text(toc_json_get(pod, "spec"), "nodeName"));
    struct container c;
    for (size_t i = 0; container_at(pod, i, &c); i++) {
        const struct toc_json *ports = toc_json_get(c.json, "ports");
        for (size_t k = 0; k < TOC_MAX(length(ports), (size_t)1); k++) {
            const struct toc_json *port = length(ports) ? &ports->items[k] : NULL;
            target(g, join(g, ip,
                           port ? number(g, toc_json_get(port, "containerPort")) : TOC_SV_NULL));
            container_labels(g, &c, port);
            own(g, META "pod_container_id", c.id);
        }
    }
}

/* ------------------------------------------------------------------------------------------------
 * endpoints and endpoint slices */

/* A pod behind endpoints, with the ports that endpoints have of it. */
struct backing_pod {
    struct toc_sv key;
    const struct toc_json *json;
    TOC_VEC(int64_t) ports;
};
struct backing_pods {
    TOC_VEC_FIELDS(struct backing_pod)
};

static void pods_fini(struct backing_pods *pods) {
    for (size_t i = 0; i < pods->count; i++)
        TOC_VEC_FINI(&pods->items[i].ports);
    TOC_VEC_FINI(pods);
}

static struct backing_pod *find_pod(struct kube_group *g, struct backing_pods *pods,
                                    struct toc_sv ns, const struct toc_json *ref) {
    struct toc_buf text = TOC_BUF_INIT;
    if (!toc_sv_eq(toc_kube_text(ref, "kind"), TOC_SV("Pod")))
        return NULL;
    struct toc_sv pod_ns = toc_kube_text(ref, "namespace");
    toc_kube_key(pod_ns.n ? pod_ns : ns, toc_kube_text(ref, "name"), &text);
    struct backing_pod *found = NULL;
    for (size_t i = 0; i < pods->count && !found; i++)
        if (toc_sv_eq(pods->items[i].key, toc_buf_sv(&text)))
            found = &pods->items[i];
    const struct toc_json *json =
        found ? NULL : toc_kube_objects_get(g->objects, KUBE_POD, toc_buf_sv(&text), g->arena);
    if (json) {
        struct toc_sv key = toc_arena_dup_sv(g->arena, toc_buf_sv(&text));
        TOC_VEC_RESERVE(pods, pods->count + 1);
        pods->items[pods->count] = (struct backing_pod){.key = key, .json = json};
        found = &pods->items[pods->count++];
    }
    toc_buf_fini(&text);
    return found;
}

static int64_t port_number(const struct toc_json *port, const char *key) {
    const struct toc_json *n = toc_json_get(port, key);
    return n && n->type == TOC_JSON_INT ? n->integer : -1;
}

/* Labels of the pod behind the address of the target just made, and of the container whose port it
 * is. */
static void back(struct kube_group *g, struct backing_pod *pod, const struct toc_json *port) {
    int64_t wanted = port_number(port, "port");
    struct container c;
    toc_kube_pod_labels(g, &g->own, pod->json);
    for (size_t i = 0; wanted >= 0 && container_at(pod->json, i, &c); i++) {
        const struct toc_json *ports = toc_json_get(c.json, "ports");
        for (size_t k = 0; k < length(ports); k++)
            if (port_number(&ports->items[k], "containerPort") == wanted) {
                container_labels(g, &c, &ports->items[k]);
                break;
            }
    }
    TOC_VEC_PUSH(&pod->ports, wanted);
}

static bool is_port_known(const struct backing_pod *pod, int64_t port) {
    for (size_t i = 0; i < pod->ports.count; i++)
        if (pod->ports.items[i] == port)
            return true;
    return false;
}

/* Ports of the pods that no endpoint has. */
static void add_further_ports(struct kube_group *g, const struct backing_pods *pods) {
    for (size_t i = 0; i < pods->count; i++) {
        const struct backing_pod *pod = &pods->items[i];
        struct toc_sv ip = toc_kube_text(toc_json_get(pod->json, "status"), "podIP");
        struct container c;
        for (size_t n = 0; ip.n && container_at(pod->json, n, &c); n++) {
            const struct toc_json *ports = toc_json_get(c.json, "ports");
            for (size_t k = 0; k < length(ports); k++) {
                const struct toc_json *port = &ports->items[k];
                if (is_port_known(pod, port_number(port, "containerPort")))
                    continue;
                target(g, join(g, ip, number(g, toc_json_get(port, "containerPort"))));
                toc_kube_pod_labels(g, &g->own, pod->json);
                container_labels(g, &c, port);
            }
        }
    }
}

/* Metadata of the node behind an address. */
static void node_of(struct kube_group *g, const struct toc_json *ref, struct toc_sv node_name) {
    bool is_node = toc_sv_eq(toc_kube_text(ref, "kind"), TOC_SV("Node"));
    toc_kube_node_labels(g, &g->own, is_node ? toc_kube_text(ref, "name") : node_name);
}

static void add_endpoint(struct kube_group *g, struct backing_pods *pods, struct toc_sv ns,
                         const struct toc_json *address, const struct toc_json *port,
                         bool is_ready) {
    const struct toc_json *ref = toc_json_get(address, "targetRef");
    struct toc_sv node = toc_kube_text(address, "nodeName");
    target(g, join(g, toc_kube_text(address, "ip"), number(g, toc_json_get(port, "port"))));
    own(g, META "endpoint_port_name", toc_kube_text(port, "name"));
    own(g, META "endpoint_port_protocol", toc_kube_text(port, "protocol"));
    own(g, META "endpoint_ready", boolean(is_ready));
    own(g, META "endpoint_address_target_kind", toc_kube_text(ref, "kind"));
    own(g, META "endpoint_address_target_name", toc_kube_text(ref, "name"));
    own(g, META "endpoint_node_name", node);
    own(g, META "endpoint_hostname", toc_kube_text(address, "hostname"));
    node_of(g, ref, node);
    struct backing_pod *pod = find_pod(g, pods, ns, ref);
    if (pod)
        back(g, pod, port);
}

static void service_of(struct kube_group *g, struct toc_sv ns, struct toc_sv name) {
    struct toc_buf key = TOC_BUF_INIT;
    toc_kube_key(ns, name, &key);
    toc_kube_service_labels(g, &g->common, toc_buf_sv(&key));
    toc_buf_fini(&key);
}

static void add_endpoints(struct kube_group *g, const struct toc_json *endpoints) {
    const struct toc_json *metadata = toc_json_get(endpoints, "metadata");
    const struct toc_json *subsets = toc_json_get(endpoints, "subsets");
    struct toc_sv ns = toc_kube_text(metadata, "namespace"), name = toc_kube_text(metadata, "name");
    struct backing_pods pods = {0};
    common(g, META "endpoints_name", name);
    service_of(g, ns, name);
    toc_kube_meta_labels(g, &g->common, "endpoints", metadata);
    for (size_t s = 0; s < length(subsets); s++) {
        const struct toc_json *ports = toc_json_get(&subsets->items[s], "ports");
        const struct toc_json *ready = toc_json_get(&subsets->items[s], "addresses");
        const struct toc_json *others = toc_json_get(&subsets->items[s], "notReadyAddresses");
        for (size_t p = 0; p < length(ports); p++) {
            for (size_t i = 0; i < length(ready); i++)
                add_endpoint(g, &pods, ns, &ready->items[i], &ports->items[p], true);
            for (size_t i = 0; i < length(others); i++)
                add_endpoint(g, &pods, ns, &others->items[i], &ports->items[p], false);
        }
    }
    add_further_ports(g, &pods);
    pods_fini(&pods);
}

static void condition(struct kube_group *g, const struct toc_json *conditions, const char *key,
                      const char *label) {
    const struct toc_json *c = toc_json_get(conditions, key);
    if (c && c->type == TOC_JSON_BOOL)
        own(g, label, boolean(c->boolean));
}

static void add_slice_endpoint(struct kube_group *g, struct backing_pods *pods, struct toc_sv ns,
                               const struct toc_json *endpoint, const struct toc_json *port,
                               struct toc_sv address) {
    const struct toc_json *ref = toc_json_get(endpoint, "targetRef");
    const struct toc_json *conditions = toc_json_get(endpoint, "conditions");
    struct toc_sv node = toc_kube_text(endpoint, "nodeName");
    struct toc_sv number_text = number(g, toc_json_get(port, "port"));
    target(g, join(g, address, number_text));
    own(g, META "endpointslice_port_name", toc_kube_text(port, "name"));
    own(g, META "endpointslice_port_protocol", toc_kube_text(port, "protocol"));
    own(g, META "endpointslice_port", number_text);
    own(g, META "endpointslice_port_app_protocol", toc_kube_text(port, "appProtocol"));
    condition(g, conditions, "ready", META "endpointslice_endpoint_conditions_ready");
    condition(g, conditions, "serving", META "endpointslice_endpoint_conditions_serving");
    condition(g, conditions, "terminating", META "endpointslice_endpoint_conditions_terminating");
    own(g, META "endpointslice_endpoint_hostname", toc_kube_text(endpoint, "hostname"));
    own(g, META "endpointslice_address_target_kind", toc_kube_text(ref, "kind"));
    own(g, META "endpointslice_address_target_name", toc_kube_text(ref, "name"));
    own(g, META "endpointslice_endpoint_node_name", node);
    own(g, META "endpointslice_endpoint_zone", toc_kube_text(endpoint, "zone"));
    toc_kube_map_labels(g, &g->own, "endpointslice_endpoint",
                        toc_json_get(endpoint, "deprecatedTopology"), "topology",
                        "topology_present");
    node_of(g, ref, node);
    struct backing_pod *pod = find_pod(g, pods, ns, ref);
    if (pod)
        back(g, pod, port);
}

static void add_slice(struct kube_group *g, const struct toc_json *slice) {
    const struct toc_json *metadata = toc_json_get(slice, "metadata");
    const struct toc_json *endpoints = toc_json_get(slice, "endpoints");
    const struct toc_json *ports = toc_json_get(slice, "ports");
    struct toc_sv ns = toc_kube_text(metadata, "namespace");
    struct backing_pods pods = {0};
    common(g, META "endpointslice_name", toc_kube_text(metadata, "name"));
    common(g, META "endpointslice_address_type", toc_kube_text(slice, "addressType"));
    toc_kube_meta_labels(g, &g->common, "endpointslice", metadata);
    service_of(g, ns,
               toc_kube_text(toc_json_get(metadata, "labels"), "kubernetes.io/service-name"));
    for (size_t e = 0; e < length(endpoints); e++) {
        const struct toc_json *addresses = toc_json_get(&endpoints->items[e], "addresses");
        for (size_t p = 0; p < length(ports); p++)
            for (size_t i = 0; i < length(addresses); i++)
                if (addresses->items[i].type == TOC_JSON_STRING)
                    add_slice_endpoint(g, &pods, ns, &endpoints->items[e], &ports->items[p],
                                       addresses->items[i].string);
    }
    add_further_ports(g, &pods);
    pods_fini(&pods);
}

/* ------------------------------------------------------------------------------------------------
 * ingress */

/* Equal, or "*.rest" whose star stands for one label. */
static bool matches_host(struct toc_sv pattern, struct toc_sv host) {
    if (toc_sv_eq(pattern, host))
        return host.n > 0;
    if (!toc_sv_starts_with(pattern, TOC_SV("*.")))
        return false;
    size_t dot = toc_sv_find_char(host, '.');
    return dot != SIZE_MAX && dot > 0 &&
           toc_sv_eq(toc_sv_sub(pattern, 1, pattern.n), toc_sv_sub(host, dot, host.n));
}

static struct toc_sv scheme_of(const struct toc_json *tls, struct toc_sv host) {
    for (size_t i = 0; i < length(tls); i++) {
        const struct toc_json *hosts = toc_json_get(&tls->items[i], "hosts");
        for (size_t k = 0; k < length(hosts); k++)
            if (hosts->items[k].type == TOC_JSON_STRING &&
                matches_host(hosts->items[k].string, host))
                return TOC_SV("https");
    }
    return TOC_SV("http");
}

static void add_ingress(struct kube_group *g, const struct toc_json *ingress) {
    const struct toc_json *metadata = toc_json_get(ingress, "metadata");
    const struct toc_json *spec = toc_json_get(ingress, "spec");
    const struct toc_json *rules = toc_json_get(spec, "rules");
    common(g, META "ingress_name", toc_kube_text(metadata, "name"));
    toc_kube_meta_labels(g, &g->common, "ingress", metadata);
    common(g, META "ingress_class_name", toc_kube_text(spec, "ingressClassName"));
    for (size_t i = 0; i < length(rules); i++) {
        const struct toc_json *paths = toc_kube_at(&rules->items[i], "http", "paths");
        struct toc_sv host = toc_kube_text(&rules->items[i], "host");
        struct toc_sv scheme = scheme_of(toc_json_get(spec, "tls"), host);
        for (size_t k = 0; k < TOC_MAX(length(paths), (size_t)1); k++) {
            struct toc_sv path =
                length(paths) ? toc_kube_text(&paths->items[k], "path") : TOC_SV_NULL;
            target(g, host);
            own(g, META "ingress_scheme", scheme);
            own(g, META "ingress_host", host);
            own(g, META "ingress_path", path.n ? path : TOC_SV("/"));
        }
    }
}

/* ------------------------------------------------------------------------------------------------
 * all roles */

struct toc_sv toc_kube_source(enum kube_kind role, struct toc_sv key, struct toc_arena *a) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text, "%s/%.*s", toc_kube_kinds[role].role, TOC_SV_ARG(key));
    struct toc_sv copy = toc_arena_dup_sv(a, toc_buf_sv(&text));
    toc_buf_fini(&text);
    return copy;
}

static void finish(struct kube_group *g, struct toc_target_group *out) {
    size_t n = g->addresses.count;
    struct toc_sv *addresses = TOC_ARENA_NEW_ARRAY(g->arena, struct toc_sv, n + 1);
    struct toc_labels *owns = TOC_ARENA_NEW_ARRAY(g->arena, struct toc_labels, n + 1);
    struct toc_label *labels =
        TOC_ARENA_NEW_ARRAY(g->arena, struct toc_label, g->own.count + g->common.count + 1);
    if (!addresses || !owns || !labels)
        return; /* the arena remembers */
    for (size_t i = 0; i < g->common.count; i++)
        labels[i] = g->common.items[i];
    for (size_t i = 0; i < g->own.count; i++)
        labels[g->common.count + i] = g->own.items[i];
    for (size_t i = 0; i < n; i++) {
        size_t start = g->starts.items[i], end = i + 1 < n ? g->starts.items[i + 1] : g->own.count;
        addresses[i] = g->addresses.items[i];
        owns[i] = (struct toc_labels){labels + g->common.count + start, end - start};
    }
    out->targets = addresses;
    out->own = owns;
    out->target_count = n;
    out->labels = labels;
    out->label_count = g->common.count;
}

void toc_kube_group_make(const struct kube_objects *o, struct toc_sv key,
                         const struct toc_json *object, struct toc_arena *a,
                         struct toc_target_group *out) {
    static void (*const makers[KUBE_KIND_COUNT])(struct kube_group *, const struct toc_json *) = {
        [KUBE_NODE] = add_node,
        [KUBE_SERVICE] = add_service,
        [KUBE_POD] = add_pod,
        [KUBE_ENDPOINTS] = add_endpoints,
        [KUBE_ENDPOINTSLICE] = add_slice,
        [KUBE_INGRESS] = add_ingress};
    struct kube_group g = {.objects = o, .arena = a};
    *out = (struct toc_target_group){.source = toc_kube_source(o->role, key, a)};
    if (toc_kube_kinds[o->role].is_namespaced)
        common(&g, META "namespace", toc_kube_text(toc_json_get(object, "metadata"), "namespace"));
    makers[o->role](&g, object);
    finish(&g, out);
    if (a->overflowed)
        out->target_count = 0;
    TOC_VEC_FINI(&g.common);
    TOC_VEC_FINI(&g.own);
    TOC_VEC_FINI(&g.addresses);
    TOC_VEC_FINI(&g.starts);
}
