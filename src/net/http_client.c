#include "net/http_client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "net/curl_priv.h"
#include "sys/socket.h"

enum {
    DEFAULT_CONNECT_TIMEOUT_MS = 5000,
    DEFAULT_TIMEOUT_MS = 10000,
    CONNECTIONS_KEPT = 4,
};
static const size_t DEFAULT_RESPONSE_BYTES = (size_t)16 << 20;

int toc_net_init(struct toc_err *err) {
    if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
        return toc_errf(err, TOC_ENOMEM, "the HTTP client library did not start");
    return 0;
}

void toc_net_fini(void) {
    curl_global_cleanup();
}

struct toc_http_client *toc_http_client_new(void) {
    struct toc_http_client *c = TOC_NEW(struct toc_http_client);
    c->curl = curl_easy_init();
    return c;
}

void toc_http_client_free(struct toc_http_client **cp) {
    if (!*cp)
        return;
    curl_easy_cleanup((*cp)->curl);
    toc_free(*cp);
    *cp = NULL;
}

static bool is_good_answer(const struct toc_http_state *s) {
    long status = 0;
    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
    return status == 200;
}

static size_t on_body(char *data, size_t one, size_t n, void *ctx) {
    (void)one;
    struct toc_http_state *s = ctx;
    if (s->call->on_body && is_good_answer(s)) {
        s->body_rc = s->call->on_body(s->call->body_ctx, toc_sv_make(data, n));
        return s->body_rc < 0 ? 0 : n;
    }
    if (s->result->body.n + n > s->max_bytes) {
        s->is_over_limit = true;
        return 0;
    }
    toc_buf_append(&s->result->body, data, n);
    return toc_buf_error(&s->result->body) ? 0 : n;
}

static void keep_header(struct toc_http_state *s, struct toc_sv line) {
    struct toc_sv prefix = toc_sv_cstr(s->call->keep_prefix);
    char *kept = s->result->kept;
    size_t at = strlen(kept), size = sizeof s->result->kept;
    if (prefix.n && toc_sv_eq_nocase(toc_sv_sub(line, 0, prefix.n), prefix) && at + line.n < size)
        memcpy(kept + at, line.p, line.n); /* the rest is zero */
}

static size_t on_header(char *data, size_t one, size_t n, void *ctx) {
    (void)one;
    struct toc_http_state *s = ctx;
    static const struct toc_sv retry = {"retry-after:", 12};
    struct toc_sv line = toc_sv_make(data, n);
    if (line.n > retry.n && toc_sv_eq_nocase(toc_sv_sub(line, 0, retry.n), retry))
        toc_sv_copy(toc_sv_trim(toc_sv_sub(line, retry.n, line.n)), s->result->retry_after,
                    sizeof s->result->retry_after);
    keep_header(s, line);
    return n;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    (void)a, (void)b, (void)c, (void)d;
    struct toc_http_state *s = ctx;
    return s->call->is_cancelled && s->call->is_cancelled(s->call->cancel_ctx);
}

/* Asked with the resolved address, so that a name cannot point inside after it was checked. */
static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *a) {
    (void)purpose;
    struct toc_http_state *s = ctx;
    if (s->call->deny_private_addresses && toc_socket_is_private(&a->addr)) {
        s->is_denied = true;
        return CURL_SOCKET_BAD;
    }
    return toc_socket_open(a->family, a->socktype, a->protocol);
}

/* Scheme, host and path: user names, passwords and queries may be secrets. */
void toc_url_for_people(const char *url, char *out, size_t size) {
    const char *host = strstr(url, "://");
    size_t scheme = host ? (size_t)(host - url) + 3 : 0;
    const char *rest = url + scheme;
    size_t authority = strcspn(rest, "/?#");
    for (size_t i = authority; i-- > 0;)
        if (rest[i] == '@') {
            rest += i + 1;
            break;
        }
    snprintf(out, size, "%.*s%.*s", (int)scheme, url, (int)strcspn(rest, "?#"), rest);
}

static int code_of(CURLcode rc, const struct toc_http_state *s) {
    if (s->is_denied)
        return TOC_EFORBIDDEN;
    if (s->is_over_limit)
        return TOC_ELIMIT;
    if (s->body_rc < 0)
        return s->body_rc;
    switch (rc) {
    case CURLE_ABORTED_BY_CALLBACK:
        return TOC_ECANCELED;
    case CURLE_OPERATION_TIMEDOUT:
        return TOC_ETIMEDOUT;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return TOC_ECONNREFUSED;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return TOC_EINVAL;
    case CURLE_OUT_OF_MEMORY:
        return TOC_ENOMEM;
    default:
        return TOC_EPROTOCOL;
    }
}

static int fail(CURLcode rc, const struct toc_http_state *s, struct toc_err *err) {
    char url[256];
    int code = code_of(rc, s);
    toc_url_for_people(s->call->url, url, sizeof url);
    if (s->is_denied)
        return toc_errf(err, code, "%s: refused, it leads to a private or local address", url);
    if (s->is_over_limit)
        return toc_errf(err, code, "%s: the answer is larger than %zu bytes", url, s->max_bytes);
    return toc_errf(err, code, "%s: %s", url, s->error[0] ? s->error : curl_easy_strerror(rc));
}

void toc_curl_common(CURL *h, const char *ca_file, bool insecure, int64_t connect_ms,
                     int64_t total_ms) {
    curl_easy_reset(h);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_PROXY, "");
    curl_easy_setopt(h, CURLOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)total_ms);
    if (ca_file)
        curl_easy_setopt(h, CURLOPT_CAINFO, ca_file);
    if (insecure) {
        curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

static void set_pem(CURL *h, CURLoption option, struct toc_sv pem) {
    /* The library only reads it, but says otherwise. */
    struct curl_blob blob = {(void *)(uintptr_t)pem.p, pem.n, CURL_BLOB_COPY};
    if (pem.n)
        curl_easy_setopt(h, option, &blob);
}

static void set_security(CURL *h, const struct toc_http_call *c) {
    set_pem(h, CURLOPT_CAINFO_BLOB, c->ca_pem);
    set_pem(h, CURLOPT_SSLCERT_BLOB, c->cert_pem);
    set_pem(h, CURLOPT_SSLKEY_BLOB, c->key_pem);
    if (c->proxy_url)
        curl_easy_setopt(h, CURLOPT_PROXY, c->proxy_url);
    if (c->cert_file)
        curl_easy_setopt(h, CURLOPT_SSLCERT, c->cert_file);
    if (c->key_file)
        curl_easy_setopt(h, CURLOPT_SSLKEY, c->key_file);
    if (c->user) {
        curl_easy_setopt(h, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(h, CURLOPT_USERNAME, c->user);
        curl_easy_setopt(h, CURLOPT_PASSWORD, c->password ? c->password : "");
    }
    if (c->bearer_token) {
        curl_easy_setopt(h, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(h, CURLOPT_XOAUTH2_BEARER, c->bearer_token);
    }
}

static void set_method(CURL *h, const struct toc_http_call *c) {
    const char *method = c->method ? c->method : c->body.p ? "POST" : "GET";
    bool is_get = strcmp(method, "GET") == 0;
    if (c->body.p || (!is_get && strcmp(method, "HEAD") != 0)) {
        curl_easy_setopt(h, CURLOPT_POST, 1L);
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, c->body.p ? c->body.p : "");
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body.n);
    }
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
    else if (!is_get)
        curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
}

static struct curl_slist *header_list(const struct toc_http_call *c) {
    /* No "Expect: 100-continue": small bodies, and many receivers do not know it. */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (const char *const *h = c->headers; h && *h; h++)
        list = curl_slist_append(list, *h);
    return list;
}

/* The library takes the name to expect from the URL: it gets the name there, and connects to the
 * host that the URL had, which is also what the server is told. */
static void name_server(struct toc_http_state *s) {
    CURLU *u = curl_url();
    char *host = NULL, *port = NULL, *url = NULL;
    if (u && curl_url_set(u, CURLUPART_URL, s->call->url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        curl_url_set(u, CURLUPART_HOST, s->call->server_name, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK) {
        char *header = toc_xprintf("Host: %s:%s", host, port);
        char *route = toc_xprintf("%s:%s:%s:%s", s->call->server_name, port, host, port);
        s->named_url = toc_xstrdup(url);
        s->headers = curl_slist_append(s->headers, header);
        s->connect_to = curl_slist_append(NULL, route);
        toc_free(header);
        toc_free(route);
    }
    curl_free(host);
    curl_free(port);
    curl_free(url);
    curl_url_cleanup(u);
}

/* A numeric address needs no look-up. The library would go through all names it remembers at each
 * request to find those that are too old, which thousands of addresses make costly. */
static bool has_numeric_host(const char *url) {
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t n = strcspn(host, ":/?#");
    return host[0] == '[' || (n > 0 && strspn(host, "0123456789.") == n);
}

static void set_call(CURL *h, struct toc_http_state *s) {
    const struct toc_http_call *c = s->call;
    int64_t total_ms = c->timeout_ms ? c->timeout_ms : DEFAULT_TIMEOUT_MS;
    int64_t connect_ms = c->connect_timeout_ms ? c->connect_timeout_ms : DEFAULT_CONNECT_TIMEOUT_MS;
    toc_curl_common(h, c->ca_file, c->insecure_skip_verify, connect_ms, total_ms);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_URL, s->named_url ? s->named_url : c->url);
    curl_easy_setopt(h, CURLOPT_CONNECT_TO, s->connect_to);
    if (has_numeric_host(c->url))
        curl_easy_setopt(h, CURLOPT_DNS_CACHE_TIMEOUT, -1L);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "tocsin/" TOC_VERSION);
    curl_easy_setopt(h, CURLOPT_ACCEPT_ENCODING, c->keep_coding ? NULL : "");
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, c->max_redirects ? 1L : 0L);
    curl_easy_setopt(h, CURLOPT_MAXREDIRS, (long)c->max_redirects);
    curl_easy_setopt(h, CURLOPT_POSTREDIR, CURL_REDIR_POST_ALL); /* a body goes along */
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, s);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, s);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, s->error);
    if (c->is_cancelled) {
        curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(h, CURLOPT_XFERINFODATA, s);
    }
    set_security(h, c);
    set_method(h, c);
}

static void read_info(CURL *h, struct toc_http_result *out) {
    long status = 0;
    char *type = NULL;
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(h, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(h, CURLINFO_TOTAL_TIME, &out->duration_s);
    out->status = (int)status;
    toc_sv_copy(toc_sv_cstr(type), out->content_type, sizeof out->content_type);
}

void toc_http_prepare(struct toc_http_client *c, const struct toc_http_call *call,
                      struct toc_http_result *result) {
    struct toc_buf room = result->body;
    toc_buf_reset(&room);
    *result = (struct toc_http_result){.body = room};
    c->state = (struct toc_http_state){
        .call = call,
        .result = result,
        .max_bytes = call->max_response_bytes ? call->max_response_bytes : DEFAULT_RESPONSE_BYTES,
        .curl = c->curl,
        .headers = header_list(call)};
    if (call->server_name)
        name_server(&c->state);
    set_call(c->curl, &c->state);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->state.headers);
}

int toc_http_finish(struct toc_http_client *c, CURLcode rc, struct toc_err *err) {
    read_info(c->curl, c->state.result);
    curl_slist_free_all(c->state.headers);
    c->state.headers = NULL;
    curl_slist_free_all(c->state.connect_to);
    c->state.connect_to = NULL;
    toc_free(c->state.named_url);
    c->state.named_url = NULL;
    return rc == CURLE_OK ? 0 : fail(rc, &c->state, err);
}

int toc_http_perform(struct toc_http_client *c, const struct toc_http_call *call,
                     struct toc_http_result *out, struct toc_err *err) {
    *out = (struct toc_http_result){0};
    if (!c->curl)
        return toc_errf(err, TOC_ENOMEM, "no memory for an HTTP client");
    toc_http_prepare(c, call, out);
    return toc_http_finish(c, curl_easy_perform(c->curl), err);
}

void toc_http_result_fini(struct toc_http_result *r) {
    toc_buf_fini(&r->body);
}
