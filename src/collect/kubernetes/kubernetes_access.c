/* Where the API is and who asks: the section itself, a kubeconfig file, or the service account. */
#include <string.h>

#include "base/alloc.h"
#include "codec/text.h"
#include "collect/kubernetes/kubernetes_priv.h"
#include "sys/env.h"

#define ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"
enum { FILE_BYTES_MAX = 1 << 20, ARENA_BYTES = 16 << 20 };

void toc_kube_access_fini(struct kube_access *a) {
    toc_arena_fini(&a->arena);
    *a = (struct kube_access){0};
}

static int read_file(struct toc_vfs *vfs, const char *path, struct toc_arena *a, struct toc_sv *out,
                     struct toc_err *err) {
    struct toc_buf text = TOC_BUF_INIT;
    int rc = toc_vfs_read_file(vfs, path, FILE_BYTES_MAX, &text);
    if (rc < 0)
        rc = toc_errf(err, rc, "cannot read %s: %s", path, toc_strerror(rc));
    else
        *out = toc_arena_dup_sv(a, toc_buf_sv(&text));
    toc_buf_fini(&text);
    return rc;
}

/* ------------------------------------------------------------------------------------------------
 * inside of a cluster */

static int read_account(struct toc_vfs *vfs, struct kube_access *out, struct toc_err *err) {
    const char *host = toc_env_get("KUBERNETES_SERVICE_HOST");
    const char *port = toc_env_get("KUBERNETES_SERVICE_PORT");
    if (!host || !*host || !port || !*port)
        return toc_errf(err, TOC_ENOENT,
                        "neither api_server nor kubeconfig_file is set and this is no pod of a "
                        "cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
    struct toc_buf api = TOC_BUF_INIT;
    toc_buf_printf(&api, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
    out->api = toc_arena_dup_sv(&out->arena, toc_buf_sv(&api));
    toc_buf_fini(&api);
    out->http = (struct toc_http_settings){.auth_type = TOC_SV("Bearer"),
                                           .credentials_file = TOC_SV(ACCOUNT_DIR "/token"),
                                           .ca_file = TOC_SV(ACCOUNT_DIR "/ca.crt")};
    if (!toc_vfs_exists(vfs, ACCOUNT_DIR "/token"))
        return toc_errf(err, TOC_ENOENT, "%s is not there: the pod has no service account",
                        ACCOUNT_DIR "/token");
    return 0;
}

/* ------------------------------------------------------------------------------------------------
 * kubeconfig */

struct kubeconfig {
    const struct toc_yaml *root;
    struct toc_config_reader reader; /* relative paths start at the file's folder */
};

/* The entry of a list of {name: …, KIND: {…}}. */
static const struct toc_yaml *named(const struct kubeconfig *k, const char *list, const char *kind,
                                    struct toc_sv name) {
    const struct toc_yaml *entries = toc_yaml_get(k->root, list);
    for (size_t i = 0; entries && entries->type == TOC_YAML_SEQUENCE && i < entries->count; i++) {
        const struct toc_yaml *n = toc_yaml_get(&entries->items[i], "name");
        if (n && toc_sv_eq(n->scalar, name))
            return toc_yaml_get(&entries->items[i], kind);
    }
    return NULL;
}

static struct toc_sv text_of(const struct toc_yaml *n, const char *key) {
    const struct toc_yaml *value = toc_yaml_get(n, key);
    return toc_yaml_is_null(value) || value->type != TOC_YAML_SCALAR ? TOC_SV_NULL : value->scalar;
}

static int decode(const struct kubeconfig *k, const struct toc_yaml *n, const char *key,
                  struct toc_sv *out) {
    struct toc_sv text = toc_sv_trim(text_of(n, key));
    struct toc_buf pem = TOC_BUF_INIT;
    if (!text.n)
        return 0;
    int rc = toc_base64_decode(text, &pem);
    if (rc < 0)
        rc = toc_errf(k->reader.err, TOC_EPARSE, "%s is not base64", key);
    else
        *out = toc_arena_dup_sv(k->reader.arena, toc_buf_sv(&pem));
    toc_buf_fini(&pem);
    return rc;
}

static int read_cluster(const struct kubeconfig *k, const struct toc_yaml *cluster,
                        struct kube_access *out) {
    const struct toc_yaml *insecure = toc_yaml_get(cluster, "insecure-skip-tls-verify");
    out->api = text_of(cluster, "server");
    out->http.ca_file = toc_config_path(&k->reader, text_of(cluster, "certificate-authority"));
    out->http.server_name = text_of(cluster, "tls-server-name");
    out->http.proxy_url = text_of(cluster, "proxy-url");
    int rc = decode(k, cluster, "certificate-authority-data", &out->http.ca_pem);
    if (rc == 0 && !toc_yaml_is_null(insecure))
        rc = toc_yaml_bool(insecure, &out->http.insecure_skip_verify, k->reader.err);
    if (rc == 0 && !out->api.n)
        rc = toc_errf(k->reader.err, TOC_EINVAL, "the cluster has no server");
    return rc;
}

static int read_user(const struct kubeconfig *k, const struct toc_yaml *user,
                     struct kube_access *out) {
    static const char *const unsupported[] = {"exec", "auth-provider", "as", "as-groups"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(unsupported); i++)
        if (!toc_yaml_is_null(toc_yaml_get(user, unsupported[i])))
            return toc_errf(k->reader.err, TOC_EUNSUPPORTED,
                            "%s is not supported by this build: use a token or a certificate",
                            unsupported[i]);
    out->http.auth_type = TOC_SV("Bearer");
    out->http.credentials_file = toc_config_path(&k->reader, text_of(user, "tokenFile"));
    if (!out->http.credentials_file.n)
        out->http.credentials = text_of(user, "token");
    out->http.user = text_of(user, "username");
    out->http.password = text_of(user, "password");
    out->http.cert_file = toc_config_path(&k->reader, text_of(user, "client-certificate"));
    out->http.key_file = toc_config_path(&k->reader, text_of(user, "client-key"));
    int rc = decode(k, user, "client-certificate-data", &out->http.cert_pem);
    return rc ? rc : decode(k, user, "client-key-data", &out->http.key_pem);
}

static int read_context(const struct kubeconfig *k, struct kube_access *out) {
    struct toc_sv current = text_of(k->root, "current-context");
    const struct toc_yaml *context = named(k, "contexts", "context", current);
    if (!context)
        return toc_errf(k->reader.err, TOC_EINVAL, "context \"%.*s\" does not exist",
                        TOC_SV_ARG(current));
    struct toc_sv cluster_name = text_of(context, "cluster"), user_name = text_of(context, "user");
    const struct toc_yaml *cluster = named(k, "clusters", "cluster", cluster_name);
    const struct toc_yaml *user = named(k, "users", "user", user_name);
    if (!cluster)
        return toc_errf(k->reader.err, TOC_EINVAL, "cluster \"%.*s\" does not exist",
                        TOC_SV_ARG(cluster_name));
    if (!user && user_name.n)
        return toc_errf(k->reader.err, TOC_EINVAL, "user \"%.*s\" does not exist",
                        TOC_SV_ARG(user_name));
    out->own_namespace = text_of(context, "namespace");
    int rc = read_cluster(k, cluster, out);
    return rc || !user ? rc : read_user(k, user, out);
}

static int read_kubeconfig(struct toc_sv path, struct toc_vfs *vfs, struct kube_access *out,
                           struct toc_err *err) {
    struct toc_sv text = TOC_SV_NULL;
    const char *slash = strrchr(path.p, '/');
    struct toc_sv folder =
        toc_arena_dup_sv(&out->arena, toc_sv_sub(path, 0, slash ? (size_t)(slash - path.p) : 0));
    struct kubeconfig k = {.reader = {&out->arena, slash ? folder.p : NULL, err}};
    int rc = read_file(vfs, path.p, &out->arena, &text, err);
    if (rc)
        return rc;
    rc = toc_yaml_parse(text, &out->arena, &k.root, err);
    if (rc == 0)
        rc = read_context(&k, out);
    return rc ? toc_err_prefix(err, "kubeconfig %s: ", path.p) : 0;
}

/* ---------------------------------------------------------------------------------------------- */

int toc_kube_access_read(const struct kube_settings *s, struct toc_vfs *vfs,
                         struct kube_access *out, struct toc_err *err) {
    int rc = 0;
    *out = (struct kube_access){0};
    toc_arena_init(&out->arena, ARENA_BYTES);
    if (s->api_server.n) {
        out->api = s->api_server;
        out->http = s->http;
    } else if (s->kubeconfig_file.n) {
        rc = read_kubeconfig(s->kubeconfig_file, vfs, out, err);
    } else {
        rc = read_account(vfs, out, err);
    }
    if (rc == 0 && s->wants_own_namespace && !out->own_namespace.n)
        rc = read_file(vfs, ACCOUNT_DIR "/namespace", &out->arena, &out->own_namespace, err);
    out->own_namespace = toc_sv_trim(out->own_namespace);
    while (out->api.n && out->api.p[out->api.n - 1] == '/')
        out->api.n--;
    if (rc)
        toc_kube_access_fini(out);
    return rc;
}
