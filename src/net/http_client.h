/* HTTP client on libcurl: one blocking call per request, a handle keeps its connections alive. */
#ifndef TOC_NET_HTTP_CLIENT_H
#define TOC_NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

/* Call once before any other thread exists / at the end. */
int toc_net_init(struct toc_err *err) TOC_MUST_CHECK;
void toc_net_fini(void);

struct toc_http_client; /* one per worker: not thread-safe, keeps connections alive */
struct toc_http_client *toc_http_client_new(void);
void toc_http_client_free(struct toc_http_client **c);

struct toc_http_call {
    const char *url;
    const char *method;         /* default GET, POST when a body is there */
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    struct toc_sv body;
    const char *user, *password;                /* basic auth; may be NULL */
    const char *bearer_token;                   /* may be NULL */
    const char *ca_file, *cert_file, *key_file; /* TLS; may be NULL */
    struct toc_sv ca_pem, cert_pem, key_pem;    /* in place of the files; may be empty */
    /* The name in the server's certificate when the URL has another; may be NULL. */
    const char *server_name;
    bool insecure_skip_verify;
    const char *keep_prefix; /* headers of the answer whose names begin so are kept; may be NULL */
    bool keep_coding;        /* the body as it was sent; otherwise its coding is undone */
    const char *proxy_url;   /* NULL: none (the environment is not consulted) */
    int64_t connect_timeout_ms; /* default 5000 */
    int64_t timeout_ms;         /* default 10000 */
    size_t max_response_bytes;  /* default 16 MiB, after decompression */
    unsigned max_redirects;     /* default 0 */
    /* Takes the body of a 200 answer in parts as they come; it is not kept then. A negative result
     * ends the call with that code. May be NULL. */
    int (*on_body)(void *ctx, struct toc_sv part);
    void *body_ctx;
    bool deny_private_addresses; /* SSRF guard: refuse loopback, link-local, private targets (after
                                    DNS) */
    /* Polled about every 100 ms; true cancels with TOC_ECANCELED. May be NULL. */
    bool (*is_cancelled)(void *ctx);
    void *cancel_ctx;
};

struct toc_http_result {
    int status;
    struct toc_buf body; /* owned by the caller: toc_http_result_fini */
    char content_type[128];
    char retry_after[64]; /* header, empty when absent */
    char kept[512];       /* lines of headers with call->keep_prefix, as they came */
    double duration_s;
};
void toc_http_result_fini(struct toc_http_result *r);

/* 0 whenever the peer answered with any status. TOC_ECONNREFUSED, TOC_ETIMEDOUT, TOC_ELIMIT,
 * TOC_EPROTOCOL, TOC_EFORBIDDEN (guard) …; err says URL (without secrets) and reason. */
int toc_http_perform(struct toc_http_client *c, const struct toc_http_call *call,
                     struct toc_http_result *out, struct toc_err *err) TOC_MUST_CHECK;

/* A URL without what may be secret: user, password, query. */
void toc_url_for_people(const char *url, char *out, size_t size);

/* One mail over SMTP. */
struct toc_smtp_call {
    const char *host;
    uint16_t port; /* default 587 */
    enum { TOC_SMTP_PLAIN, TOC_SMTP_STARTTLS, TOC_SMTP_TLS } security;
    const char *user, *password;   /* AUTH when user != NULL */
    const char *from;              /* envelope address */
    const char *const *recipients; /* envelope addresses, NULL-terminated */
    struct toc_sv message;         /* RFC 5322 with CRLF line ends */
    const char *ca_file;
    bool insecure_skip_verify;
    int64_t timeout_ms; /* default 20000 */
};
/* TOC_EREJECTED when the server refused for good (5xx), TOC_EUNAVAILABLE for 4xx and network
 * trouble. */
int toc_smtp_send(struct toc_http_client *c, const struct toc_smtp_call *call,
                  struct toc_err *err) TOC_MUST_CHECK;

#endif
