/* Shared by the HTTP and the SMTP client. */
#ifndef TOC_NET_CURL_PRIV_H
#define TOC_NET_CURL_PRIV_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct toc_http_client {
    CURL *curl;
};

/* Resets the handle and sets what every call has: no signals, no proxy from the environment,
 * time-outs, TLS trust. */
void toc_curl_common(CURL *h, const char *ca_file, bool insecure, int64_t connect_ms,
                     int64_t total_ms);
/* A URL without what may be secret. */
void toc_url_for_people(const char *url, char *out, size_t size);

#endif
