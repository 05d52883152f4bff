/*
 * HTTP/1.1 server (libmicrohttpd). Handlers run on the server's worker threads and answer a fully
 * received request; live streams (server-sent events) hand over a pull function. Limits are on by
 * default.
 */
#ifndef TOC_NET_HTTP_SERVER_H
#define TOC_NET_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

struct toc_http_server;

struct toc_http_param {
    struct toc_sv name, value; /* decoded */
};

struct toc_http_request {
    struct toc_sv method; /* "GET" */
    struct toc_sv path;   /* decoded, without the query */
    struct toc_sv raw_query;
    struct toc_sv body; /* content-encoding already undone */
    struct toc_sv content_type;
    struct toc_sv peer; /* "127.0.0.1:54321" */
    bool peer_is_loopback;
    const struct toc_http_param
        *params; /* query and, for form bodies, form fields, in that order */
    size_t param_count;
    void *connection;        /* for toc_http_header */
    struct toc_arena *arena; /* lives as long as the request */
};

/* First value of a parameter; {NULL,0} when absent. */
struct toc_sv toc_http_param_get(const struct toc_http_request *r, const char *name);
/* Request header by name, any case; {NULL,0} when absent. */
struct toc_sv toc_http_header(const struct toc_http_request *r, const char *name);
/* Value of a cookie; {NULL,0} when absent. */
struct toc_sv toc_http_cookie(const struct toc_http_request *r, const char *name);
/* Has the peer closed its side? Then nobody waits for the answer. Cheap enough to ask every few
 * milliseconds while the handler works. */
bool toc_http_peer_is_gone(const struct toc_http_request *r);

/* Asks all waiting streams for more now. Any thread. */
struct toc_http_server;
void toc_http_stream_wake(struct toc_http_server *s);

/* Pull function of a stream: writes up to max bytes and returns how many, 0 = nothing now (it is
 * asked again after wait_ms or toc_http_stream_wake), negative = end. */
struct toc_http_stream {
    int64_t (*read)(void *ctx, char *out, size_t max);
    void (*close)(void *ctx); /* once, when the peer has gone or the stream ended */
    void *ctx;
};

/*
 * A body that is made while it is sent, so that a large answer is never held whole: fill appends
 * the next piece (some tens of KiB) to `out` and returns 1 while there is more, 0 with the last
 * piece, negative when it cannot go on (the connection is cut). Called on the connection's thread,
 * the first time before the headers go out.
 */
struct toc_http_producer {
    int (*fill)(void *ctx, struct toc_buf *out);
    void (*close)(void *ctx); /* once, at the end or when the peer has gone */
    void *ctx;
};

enum { TOC_HTTP_HEADERS_MAX = 20 };
struct toc_http_response {
    int status;                /* default 200 */
    const char *content_type;  /* static text; default "application/json" */
    struct toc_buf body;       /* owned by the server after the handler returned */
    struct toc_sv static_body; /* used instead of body when p != NULL; must live for ever */
    bool is_static_gzip; /* static_body is gzip; sent so, or inflated for a client that cannot take
                            it */
    struct {
        const char *name; /* static text */
        char value[256];
    } headers[TOC_HTTP_HEADERS_MAX];
    size_t header_count;
    struct toc_http_stream stream;     /* used instead of body when read != NULL */
    struct toc_http_producer producer; /* used instead of body when fill != NULL */
};
void toc_http_response_header(struct toc_http_response *r, const char *name, const char *fmt, ...)
    TOC_PRINTF(3, 4);

typedef void toc_http_handler(void *ctx, const struct toc_http_request *req,
                              struct toc_http_response *res);

/* The router above decides by method and path before the body is read. */
struct toc_http_server_options {
    const char *host;                       /* numeric address, default "127.0.0.1" */
    uint16_t port;                          /* 0 = any free one */
    unsigned threads;                       /* default 4 */
    unsigned max_connections;               /* default 512 */
    unsigned max_connections_per_ip;        /* default 256 */
    size_t max_body_bytes;                  /* default 32 MiB, after decompression */
    size_t max_header_bytes;                /* default 32 KiB */
    unsigned idle_timeout_s;                /* default 60: also cuts off slow peers */
    const char *tls_cert_pem, *tls_key_pem; /* contents; NULL = plain */
    toc_http_handler *handler;
    void *ctx;
    /* Largest body this request may have (called after the headers); 0 = max_body_bytes. May be
     * NULL. */
    size_t (*body_limit)(void *ctx, struct toc_sv method, struct toc_sv path);
};

/* TOC_EADDRINUSE, TOC_EACCES, TOC_EINVAL with one sentence in err. */
int toc_http_server_start(const struct toc_http_server_options *o, struct toc_http_server **out,
                          struct toc_err *err) TOC_MUST_CHECK;
/* Port it listens on. */
uint16_t toc_http_server_port(const struct toc_http_server *s);
/* Stops accepting, ends streams, waits for handlers, frees. NULL is accepted. */
void toc_http_server_stop(struct toc_http_server **s);

/* Counters since start, for self-metrics. */
struct toc_http_server_stats {
    uint64_t requests, bytes_in, bytes_out;
    uint64_t refused_body_too_large, refused_bad_encoding, refused_header, closed_timeout;
    uint64_t connections_open;
};
void toc_http_server_get_stats(const struct toc_http_server *s, struct toc_http_server_stats *out);

#endif
