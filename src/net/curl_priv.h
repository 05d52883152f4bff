/* Shared by the HTTP and the SMTP client. */
#ifndef TOC_NET_CURL_PRIV_H
#define TOC_NET_CURL_PRIV_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct toc_http_call;
struct toc_http_result;
struct toc_err;

/* What the callbacks of one call share; a client has at most one under way. */
struct toc_http_state {
    const struct toc_http_call *call;
    struct toc_http_result *result;
    size_t max_bytes;
    bool is_over_limit, is_denied;
    int body_rc; /* of call->on_body */
    CURL *curl;
    char *named_url; /* the URL with call->server_name as its host; NULL: as it is */
    struct curl_slist *headers, *connect_to;
    char error[CURL_ERROR_SIZE];
};

struct toc_http_client {
    CURL *curl;
    struct toc_http_state state;
};

/* Sets the handle up for a call, whose strings and result stay valid until toc_http_finish. Memory
 * of result->body is used again. */
void toc_http_prepare(struct toc_http_client *c, const struct toc_http_call *call,
                      struct toc_http_result *result);
/* Fills the result, frees what prepare made. As toc_http_perform. */
int toc_http_finish(struct toc_http_client *c, CURLcode rc, struct toc_err *err);

/* Resets the handle and sets what every call has: no signals, no proxy from the environment,
 * time-outs, TLS trust. */
void toc_curl_common(CURL *h, const char *ca_file, bool insecure, int64_t connect_ms,
                     int64_t total_ms);

#endif
