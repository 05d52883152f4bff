#include "collect/http_settings.h"

#include <string.h>

#include "codec/yaml_write.h"

enum { SECRET_BYTES_MAX = 64 << 10, REDIRECTS_MAX = 10 };

/* ------------------------------------------------------------------------------------------------
 * reading */

struct raw_settings {
    struct toc_sv username, password, password_file, type, credentials, credentials_file,
        bearer_token, bearer_token_file;
};

#define AUTH(name, fallback) \
    { #name, TOC_SCHEMA_STRING, offsetof(struct raw_settings, name), false, fallback, 0, 0, NULL }
static const struct toc_schema_key basic_keys[] = {
    AUTH(username, NULL), AUTH(password, NULL), AUTH(password_file, NULL), {0}};
static const struct toc_schema_key authorization_keys[] = {
    AUTH(type, "Bearer"), AUTH(credentials, NULL), AUTH(credentials_file, NULL), {0}};

#define TLS(name, kind) \
    { #name, kind, offsetof(struct toc_http_settings, name), false, NULL, 0, 0, NULL }
static const struct toc_schema_key tls_keys[] = {TLS(ca_file, TOC_SCHEMA_STRING),
                                                 TLS(cert_file, TOC_SCHEMA_STRING),
                                                 TLS(key_file, TOC_SCHEMA_STRING),
                                                 TLS(server_name, TOC_SCHEMA_STRING),
                                                 TLS(insecure_skip_verify, TOC_SCHEMA_BOOL),
                                                 {0}};

/* Keys of upstream that mean something this program does not do: said, not ignored. */
static int refuse_unsupported(const struct toc_yaml *n, struct toc_err *err) {
    static const char *const keys[] = {"oauth2", "no_proxy", "proxy_connect_header", "sigv4"};
    bool is_from_environment = false;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct toc_yaml *item = toc_yaml_get(n, keys[i]);
        if (item)
            return toc_err_at(err, TOC_EUNSUPPORTED, item->key_line, item->key_column,
                              "%s is not supported by this build", keys[i]);
    }
    const struct toc_yaml *proxy = toc_yaml_get(n, "proxy_from_environment");
    int rc = toc_yaml_is_null(proxy) ? 0 : toc_yaml_bool(proxy, &is_from_environment, err);
    if (rc == 0 && is_from_environment)
        rc = toc_err_at(err, TOC_EUNSUPPORTED, n->line, n->column,
                        "proxy_from_environment: true is not supported by this build");
    return rc;
}

static int optional_string(const struct toc_yaml *n, const char *key, struct toc_sv *out,
                           struct toc_err *err) {
    const struct toc_yaml *value = toc_yaml_get(n, key);
    return toc_yaml_is_null(value) ? 0 : toc_yaml_string(value, out, err);
}

static int read_raw(const struct toc_yaml *n, struct raw_settings *a, int *out_ways,
                    struct toc_err *err) {
    const struct toc_yaml *basic = toc_yaml_get(n, "basic_auth");
    const struct toc_yaml *authorization = toc_yaml_get(n, "authorization");
    int rc = optional_string(n, "bearer_token", &a->bearer_token, err);
    if (rc == 0)
        rc = optional_string(n, "bearer_token_file", &a->bearer_token_file, err);
    if (rc == 0 && !toc_yaml_is_null(basic))
        rc = toc_schema_read(basic, basic_keys, a, err);
    if (rc == 0 && !toc_yaml_is_null(authorization))
        rc = toc_schema_read(authorization, authorization_keys, a, err);
    *out_ways = !toc_yaml_is_null(basic) + !toc_yaml_is_null(authorization) +
                (a->bearer_token.n || a->bearer_token_file.n);
    return rc;
}

static int read_auth(const struct toc_yaml *n, const struct toc_config_reader *r,
                     struct toc_http_settings *out) {
    struct raw_settings a = {.type = TOC_SV("Bearer")};
    int ways = 0, rc = read_raw(n, &a, &ways, r->err);
    if (rc)
        return rc;
    if (ways > 1)
        return toc_err_at(
            r->err, TOC_EINVAL, n->line, n->column,
            "at most one of basic_auth, authorization & bearer_token may be configured");
    if (!a.credentials.n && !a.credentials_file.n) {
        a.credentials = a.bearer_token;
        a.credentials_file = a.bearer_token_file;
    }
    if ((a.password.n && a.password_file.n) || (a.credentials.n && a.credentials_file.n))
        return toc_err_at(r->err, TOC_EINVAL, n->line, n->column,
                          "at most one of a secret and its file may be configured");
    if (toc_sv_eq_nocase(a.type, TOC_SV("basic")))
        return toc_err_at(
            r->err, TOC_EINVAL, n->line, n->column,
            "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    out->user = a.username;
    out->password = a.password;
    out->password_file = toc_config_path(r, a.password_file);
    out->auth_type = a.type;
    out->credentials = a.credentials;
    out->credentials_file = toc_config_path(r, a.credentials_file);
    return 0;
}

static int read_tls(const struct toc_yaml *n, const struct toc_config_reader *r,
                    struct toc_http_settings *out) {
    if (toc_yaml_is_null(n))
        return 0;
    int rc = toc_schema_read(n, tls_keys, out, r->err);
    if (rc == 0 && (out->cert_file.n != 0) != (out->key_file.n != 0))
        rc = toc_err_at(r->err, TOC_EINVAL, n->line, n->column,
                        "cert_file and key_file belong together: one of them is missing");
    out->ca_file = toc_config_path(r, out->ca_file);
    out->cert_file = toc_config_path(r, out->cert_file);
    out->key_file = toc_config_path(r, out->key_file);
    return rc;
}

struct header_list {
    struct toc_http_header *items;
    size_t count;
};

static int read_header(const struct toc_yaml *n, const struct toc_config_reader *r,
                       struct header_list *out) {
    static const char *const keys[] = {"values", "secrets", "files", NULL};
    int rc = toc_config_expect(n, TOC_YAML_MAPPING, "values, secrets or files", r->err);
    if (rc == 0)
        rc = toc_yaml_check_keys(n, keys, r->err);
    for (size_t k = 0; rc == 0 && keys[k]; k++) {
        const struct toc_sv *texts = NULL;
        size_t count = 0;
        rc = toc_config_strings(toc_yaml_get(n, keys[k]), r->arena, &texts, &count, r->err);
        for (size_t i = 0; rc == 0 && i < count; i++) {
            if (out->count == TOC_HTTP_SETTINGS_HEADERS_MAX)
                return toc_err_at(r->err, TOC_ELIMIT, n->line, n->column,
                                  "more than %d further headers", TOC_HTTP_SETTINGS_HEADERS_MAX);
            bool is_file = k == 2;
            out->items[out->count++] = (struct toc_http_header){
                n->key, is_file ? toc_config_path(r, texts[i]) : texts[i], is_file, k == 1};
        }
    }
    return rc;
}

/* Those that the program sets itself, as upstream refuses them. */
static bool is_reserved_header(struct toc_sv name) {
    static const char *const names[] = {"Accept",
                                        "Accept-Charset",
                                        "Accept-Encoding",
                                        "Authorization",
                                        "Connection",
                                        "Content-Encoding",
                                        "Content-Length",
                                        "Content-Type",
                                        "Cookie",
                                        "Date",
                                        "Host",
                                        "Proxy-Authorization",
                                        "Set-Cookie",
                                        "Te",
                                        "Trailer",
                                        "Transfer-Encoding",
                                        "Upgrade",
                                        "User-Agent",
                                        "X-Prometheus-Scrape-Timeout-Seconds"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (toc_sv_eq_nocase(name, toc_sv_cstr(names[i])))
            return true;
    return false;
}

static bool is_header_text(struct toc_sv s, bool is_name) {
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ||
            (is_name && (s.p[i] == ':' || s.p[i] == ' ')))
            return false;
    return s.n > 0 || !is_name;
}

static int read_headers(const struct toc_yaml *n, const struct toc_config_reader *r,
                        struct toc_http_settings *out) {
    if (toc_yaml_is_null(n))
        return 0;
    struct header_list list = {
        TOC_ARENA_NEW_ARRAY(r->arena, struct toc_http_header, TOC_HTTP_SETTINGS_HEADERS_MAX), 0};
    if (!list.items)
        return toc_config_no_memory(r->err);
    int rc = toc_config_expect(n, TOC_YAML_MAPPING, "headers as name: {values: [...]}", r->err);
    for (size_t i = 0; rc == 0 && i < n->count; i++) {
        const struct toc_yaml *item = &n->items[i];
        rc = read_header(item, r, &list);
        if (rc == 0 && (is_reserved_header(item->key) || !is_header_text(item->key, true)))
            rc = toc_err_at(r->err, TOC_EINVAL, item->key_line, item->key_column,
                            "setting header \"%.*s\" is not allowed", TOC_SV_ARG(item->key));
    }
    for (size_t i = 0; rc == 0 && i < list.count; i++)
        if (!is_header_text(list.items[i].value, false))
            rc = toc_err_at(r->err, TOC_EINVAL, n->line, n->column,
                            "the value of header %.*s has control characters",
                            TOC_SV_ARG(list.items[i].name));
    out->headers = list.items;
    out->header_count = rc ? 0 : list.count;
    return rc;
}

int toc_http_settings_read(const struct toc_yaml *mapping, const struct toc_config_reader *r,
                           struct toc_http_settings *out) {
    const struct toc_yaml *redirects = toc_yaml_get(mapping, "follow_redirects");
    const struct toc_yaml *http2 = toc_yaml_get(mapping, "enable_http2");
    bool wants_http2; /* checked only: the library speaks what the server offers */
    *out = (struct toc_http_settings){.follow_redirects = true};
    int rc = refuse_unsupported(mapping, r->err);
    if (rc == 0 && !toc_yaml_is_null(redirects))
        rc = toc_yaml_bool(redirects, &out->follow_redirects, r->err);
    if (rc == 0 && !toc_yaml_is_null(http2))
        rc = toc_yaml_bool(http2, &wants_http2, r->err);
    if (rc == 0)
        rc = optional_string(mapping, "proxy_url", &out->proxy_url, r->err);
    if (rc == 0)
        rc = read_auth(mapping, r, out);
    if (rc == 0)
        rc = read_tls(toc_yaml_get(mapping, "tls_config"), r, out);
    return rc ? rc : read_headers(toc_yaml_get(mapping, "http_headers"), r, out);
}

/* ------------------------------------------------------------------------------------------------
 * writing */

#define SECRET TOC_SV("<secret>")

/* Only when it is set. */
static void line(struct toc_buf *out, int indent, const char *key, struct toc_sv value) {
    if (!value.n)
        return;
    toc_buf_printf(out, "%*s%s: ", indent, "", key);
    if (!toc_yaml_append_masked_url(out, value))
        toc_yaml_append_scalar(out, value);
    toc_buf_append_char(out, '\n');
}

static void format_headers(const struct toc_http_settings *s, int indent, struct toc_buf *out) {
    if (s->header_count)
        toc_buf_printf(out, "%*shttp_headers:\n", indent, "");
    for (size_t i = 0; i < s->header_count; i++) {
        const struct toc_http_header *h = &s->headers[i];
        bool is_new = i == 0 || !toc_sv_eq(h->name, s->headers[i - 1].name);
        bool is_new_kind = is_new || h->is_file != s->headers[i - 1].is_file ||
                           h->is_secret != s->headers[i - 1].is_secret;
        if (is_new) {
            toc_buf_printf(out, "%*s", indent + 2, "");
            toc_yaml_append_scalar(out, h->name);
            toc_buf_append_cstr(out, ":\n");
        }
        if (is_new_kind)
            toc_buf_printf(out, "%*s%s:\n", indent + 4, "",
                           h->is_file     ? "files"
                           : h->is_secret ? "secrets"
                                          : "values");
        toc_buf_printf(out, "%*s- ", indent + 4, "");
        toc_yaml_append_scalar(out, h->is_secret ? SECRET : h->value);
        toc_buf_append_char(out, '\n');
    }
}

void toc_http_settings_format(const struct toc_http_settings *s, int indent, struct toc_buf *out) {
    toc_buf_printf(out, "%*sfollow_redirects: %s\n", indent, "",
                   s->follow_redirects ? "true" : "false");
    if (s->user.n || s->password.n || s->password_file.n) {
        toc_buf_printf(out, "%*sbasic_auth:\n%*susername: ", indent, "", indent + 2, "");
        toc_yaml_append_scalar(out, s->user);
        toc_buf_append_char(out, '\n');
        line(out, indent + 2, "password", s->password.n ? SECRET : TOC_SV_NULL);
        line(out, indent + 2, "password_file", s->password_file);
    }
    if (s->credentials.n || s->credentials_file.n) {
        toc_buf_printf(out, "%*sauthorization:\n", indent, "");
        line(out, indent + 2, "type", s->auth_type.n ? s->auth_type : TOC_SV("Bearer"));
        line(out, indent + 2, "credentials", s->credentials.n ? SECRET : TOC_SV_NULL);
        line(out, indent + 2, "credentials_file", s->credentials_file);
    }
    if (s->ca_file.n || s->cert_file.n || s->server_name.n || s->insecure_skip_verify) {
        toc_buf_printf(out, "%*stls_config:\n", indent, "");
        line(out, indent + 2, "ca_file", s->ca_file);
        line(out, indent + 2, "cert_file", s->cert_file);
        line(out, indent + 2, "key_file", s->key_file);
        line(out, indent + 2, "server_name", s->server_name);
        toc_buf_printf(out, "%*sinsecure_skip_verify: %s\n", indent + 2, "",
                       s->insecure_skip_verify ? "true" : "false");
    }
    line(out, indent, "proxy_url", s->proxy_url);
    format_headers(s, indent, out);
}

/* ------------------------------------------------------------------------------------------------
 * one request */

void toc_http_dress_fini(struct toc_http_dress *d) {
    toc_buf_fini(&d->password);
    toc_buf_fini(&d->credentials);
    toc_buf_fini(&d->lines);
}

static const char *text_or_null(struct toc_sv s) {
    return s.n ? s.p : NULL;
}

/* The file's text without the line end. */
static int append_file(struct toc_vfs *vfs, struct toc_sv file, struct toc_buf *out,
                       struct toc_err *err) {
    size_t start = out->n;
    int rc = toc_vfs_read_file(vfs, file.p, SECRET_BYTES_MAX, out);
    if (rc < 0)
        return toc_errf(err, rc, "cannot read the secret file %s: %s", file.p, toc_strerror(rc));
    while (out->n > start &&
           (out->p[out->n - 1] == '\n' || out->p[out->n - 1] == '\r' || out->p[out->n - 1] == ' '))
        out->n--;
    return 0;
}

static int read_secret(struct toc_vfs *vfs, struct toc_sv text, struct toc_sv file,
                       struct toc_buf *out, struct toc_err *err) {
    toc_buf_reset(out);
    if (file.n)
        return append_file(vfs, file, out, err);
    toc_buf_append_sv(out, text);
    return 0;
}

static int append_header(const struct toc_http_header *h, struct toc_vfs *vfs, struct toc_buf *out,
                         struct toc_err *err) {
    int rc = 0;
    toc_buf_printf(out, "%.*s: ", TOC_SV_ARG(h->name));
    size_t start = out->n;
    if (h->is_file)
        rc = append_file(vfs, h->value, out, err);
    else
        toc_buf_append_sv(out, h->value);
    if (rc == 0 && !is_header_text(toc_sv_make(out->p + start, out->n - start), false))
        rc = toc_errf(err, TOC_EINVAL, "the value of header %.*s in %.*s has control characters",
                      TOC_SV_ARG(h->name), TOC_SV_ARG(h->value));
    toc_buf_append_char(out, 0);
    return rc;
}

/* All lines, each ended by a NUL, then pointers to them: the buffer moves while it grows. */
static int set_headers(struct toc_http_dress *d, const struct toc_http_settings *s,
                       struct toc_vfs *vfs, const char *const *own, struct toc_err *err) {
    size_t n = 0, made = 0;
    int rc = 0;
    bool is_bearer = toc_sv_eq_nocase(s->auth_type, TOC_SV("Bearer"));
    toc_buf_reset(&d->lines);
    for (; own && own[n]; n++)
        d->headers[n] = own[n];
    if (d->credentials.n && !is_bearer) {
        toc_buf_printf(&d->lines, "Authorization: %.*s %s", TOC_SV_ARG(s->auth_type),
                       toc_buf_cstr(&d->credentials));
        toc_buf_append_char(&d->lines, 0);
        made++;
    }
    for (size_t i = 0; rc == 0 && i < s->header_count; i++, made++)
        rc = append_header(&s->headers[i], vfs, &d->lines, err);
    const char *p = d->lines.p;
    for (size_t i = 0; rc == 0 && i < made; i++, p += strlen(p) + 1)
        d->headers[n++] = p;
    d->headers[n] = NULL;
    return rc;
}

int toc_http_dress_call(struct toc_http_dress *d, const struct toc_http_settings *s,
                        struct toc_vfs *vfs, const char *const *own, struct toc_http_call *call,
                        struct toc_err *err) {
    int rc = read_secret(vfs, s->password, s->password_file, &d->password, err);
    if (rc == 0)
        rc = read_secret(vfs, s->credentials, s->credentials_file, &d->credentials, err);
    if (rc == 0)
        rc = set_headers(d, s, vfs, own, err);
    call->ca_file = text_or_null(s->ca_file);
    call->cert_file = text_or_null(s->cert_file);
    call->key_file = text_or_null(s->key_file);
    call->ca_pem = s->ca_pem;
    call->cert_pem = s->cert_pem;
    call->key_pem = s->key_pem;
    call->server_name = text_or_null(s->server_name);
    call->insecure_skip_verify = s->insecure_skip_verify;
    call->proxy_url = text_or_null(s->proxy_url);
    call->max_redirects = s->follow_redirects ? REDIRECTS_MAX : 0;
    call->headers = rc ? NULL : d->headers;
    call->user = text_or_null(s->user);
    call->password = call->user ? toc_buf_cstr(&d->password) : NULL;
    call->bearer_token = d->credentials.n && toc_sv_eq_nocase(s->auth_type, TOC_SV("Bearer"))
                             ? toc_buf_cstr(&d->credentials)
                             : NULL;
    return rc;
}
