/*
 * How a configured HTTP server is asked: credentials, TLS, proxy, further headers. The same keys
 * for a scrape and for a source of targets. Secrets in files are read anew for each request, so
 * that a rotated one counts at once.
 */
#ifndef TOC_COLLECT_HTTP_SETTINGS_H
#define TOC_COLLECT_HTTP_SETTINGS_H

#include "base/buf.h"
#include "collect/config_part.h"
#include "net/http_client.h"
#include "sys/vfs.h"

/* X(key of the section that the settings stand in) */
#define TOC_HTTP_SETTINGS_KEYS(X) \
    X(basic_auth)                 \
    X(authorization)              \
    X(bearer_token)               \
    X(bearer_token_file)          \
    X(tls_config)                 \
    X(proxy_url)                  \
    X(follow_redirects)           \
    X(enable_http2)               \
    X(proxy_from_environment)     \
    X(http_headers)

enum { TOC_HTTP_SETTINGS_HEADERS_MAX = 32 };

struct toc_http_header {
    struct toc_sv name, value;
    bool is_file, is_secret; /* the value is the path of a file; it is not shown */
};

struct toc_http_settings {
    struct toc_sv user, password, password_file; /* basic_auth */
    struct toc_sv auth_type, credentials, credentials_file;
    struct toc_sv ca_file, cert_file, key_file, server_name, proxy_url;
    struct toc_sv ca_pem, cert_pem, key_pem; /* in place of the files; of a kubeconfig */
    bool insecure_skip_verify, follow_redirects;
    const struct toc_http_header *headers;
    size_t header_count;
};

/* Reads the keys above from a mapping and leaves the others alone; keys of upstream that are not
 * supported are refused by name. */
int toc_http_settings_read(const struct toc_yaml *mapping, const struct toc_config_reader *r,
                           struct toc_http_settings *out) TOC_MUST_CHECK;
/* As YAML below `indent` blanks; secrets read `<secret>`. */
void toc_http_settings_format(const struct toc_http_settings *s, int indent, struct toc_buf *out);

/* What one request needs besides the call itself; reused from request to request. */
struct toc_http_dress {
    struct toc_buf password, credentials, lines;
    const char *headers[TOC_HTTP_SETTINGS_HEADERS_MAX + 8];
};
void toc_http_dress_fini(struct toc_http_dress *d);
/* Fills credentials, TLS, proxy, redirects and headers of the call; `own` are headers of the caller
 * (NULL-terminated, at most 6). Everything is borrowed from `s`, `own` and `d`. The call is usable
 * for a message about it also after an error. */
int toc_http_dress_call(struct toc_http_dress *d, const struct toc_http_settings *s,
                        struct toc_vfs *vfs, const char *const *own, struct toc_http_call *call,
                        struct toc_err *err) TOC_MUST_CHECK;

#endif
