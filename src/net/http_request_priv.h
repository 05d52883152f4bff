/* One request being received: what libmicrohttpd hands over piece by piece. */
#ifndef TOC_NET_HTTP_REQUEST_PRIV_H
#define TOC_NET_HTTP_REQUEST_PRIV_H

#include <stdbool.h>

#include "codec/compress.h"
#include "net/http_server.h"

struct MHD_Connection;

struct request {
    struct toc_http_request public;
    struct MHD_Connection *connection;
    char *target; /* raw: path?query */
    struct toc_arena arena;
    struct toc_buf body;    /* as received */
    struct toc_buf decoded; /* with its content coding undone */
    size_t max_body_bytes;
    size_t excess_bytes; /* came beyond them and were thrown away */
    bool has_begun, is_too_large, takes_gzip;
    enum toc_compression coding; /* best one that the peer takes */
    char peer[64];
};

struct request *toc_http_request_new(const char *target, struct MHD_Connection *connection);
void toc_http_request_free(struct request **r);
/* Path, query parameters, peer. TOC_EPARSE for a malformed target. */
int toc_http_request_begin(struct request *r, const char *method) TOC_MUST_CHECK;
/* The whole body is there: undoes its coding, reads form fields. TOC_ELIMIT, TOC_EPARSE,
 * TOC_ECORRUPT, TOC_EUNSUPPORTED. */
int toc_http_request_finish(struct request *r, struct toc_err *err) TOC_MUST_CHECK;

#endif
