#include "net/http_server.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "net/http_answer_priv.h"
#include "sys/log.h"
#include "sys/socket.h"
#include "sys/thread.h"

enum {
    DEFAULT_CONNECTIONS = 512,
    DEFAULT_CONNECTIONS_PER_IP = 256,
    DEFAULT_IDLE_TIMEOUT_S = 60,
    DEFAULT_HEADER_BYTES = 32 << 10,
    RESERVED_BODY_BYTES = 1 << 20,
    EXCESS_BYTES = 1 << 20,         /* read at least before a sender is cut off */
    THREAD_STACK_BYTES = 512 << 10, /* handlers keep big things on the heap */
};
static const size_t DEFAULT_BODY_BYTES = (size_t)32 << 20;

struct toc_http_server {
    struct toc_http_server_options options;
    char *host;
    struct MHD_Daemon *daemon;
    uint16_t port;
    struct answers answers;
    atomic_ullong requests, bytes_in, refused_body, refused_encoding, refused_header,
        closed_timeout;
};

/* ------------------------------------------------------------------------------------------
 * refusals */

static enum MHD_Result send_problem(struct MHD_Connection *c, unsigned status, const char *code,
                                    const char *detail) {
    char body[512];
    int n = snprintf(body, sizeof body,
                     "{\"type\":\"about:blank\",\"title\":\"Request refused\",\"status\":%u,"
                     "\"detail\":\"%s\",\"code\":\"%s\"}",
                     status, detail, code);
    struct MHD_Response *r =
        MHD_create_response_from_buffer((size_t)n, body, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(r, "Content-Type", "application/problem+json");
    MHD_add_response_header(r, "Connection", "close");
    enum MHD_Result result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return result;
}

void toc_http_stream_wake(struct toc_http_server *s) {
    toc_mutex_lock(&s->answers.wake_mutex);
    toc_cond_broadcast(&s->answers.wake);
    toc_mutex_unlock(&s->answers.wake_mutex);
}

static enum MHD_Result answer(struct toc_http_server *s, struct request *r) {
    struct toc_http_response res = {.status = 200};
    atomic_fetch_add(&s->requests, 1);
    s->options.handler(s->options.ctx, &r->public, &res);
    if (toc_buf_error(&res.body)) {
        toc_buf_fini(&res.body);
        return send_problem(r->connection, 500, "too_large",
                            "the answer is too large; ask for less");
    }
    struct MHD_Response *m = toc_http_answer(&s->answers, r, &res);
    enum MHD_Result result = MHD_queue_response(r->connection, (unsigned)res.status, m);
    MHD_destroy_response(m);
    toc_buf_fini(&res.body);
    return result;
}

/* -----------------------------------------------------------------------------------------
 * requests */

static size_t body_limit(struct toc_http_server *s, struct request *r) {
    size_t most = s->options.max_body_bytes;
    if (s->options.body_limit) {
        size_t n = s->options.body_limit(s->options.ctx, r->public.method, r->public.path);
        most = n && n < most ? n : most;
    }
    return most;
}

static enum MHD_Result refuse_large(struct toc_http_server *s, struct request *r) {
    char detail[160];
    atomic_fetch_add(&s->refused_body, 1);
    snprintf(detail, sizeof detail,
             "the body is larger than the %zu bytes this path takes; send less at once",
             r->max_body_bytes);
    return send_problem(r->connection, 413, "too_large", detail);
}

static enum MHD_Result begin(struct toc_http_server *s, struct request *r, const char *method) {
    r->has_begun = true;
    int rc = toc_http_request_begin(r, method);
    if (rc < 0) {
        atomic_fetch_add(&s->refused_header, 1);
        return send_problem(r->connection, 400, "malformed",
                            "the request line holds a broken percent escape or control characters");
    }
    r->max_body_bytes = body_limit(s, r);
    const char *length =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Content-Length");
    uint64_t n = 0;
    if (length && toc_parse_u64(toc_sv_cstr(length), &n) == 0 && n > r->max_body_bytes)
        return refuse_large(s, r);
    /* In one piece, unless it is large: a length may be a lie. */
    toc_buf_reserve(&r->body, TOC_MIN((size_t)n, (size_t)RESERVED_BODY_BYTES));
    return MHD_YES;
}

/* More of the body. What is beyond the limit is read and thrown away, so that the sender reads the
 * 413; one that does not come to an end is cut off. */
static enum MHD_Result take_body(struct toc_http_server *s, struct request *r, const char *data,
                                 size_t n) {
    atomic_fetch_add(&s->bytes_in, n);
    if (r->body.n + n <= r->max_body_bytes && !r->is_too_large) {
        toc_buf_append(&r->body, data, n);
        return MHD_YES;
    }
    toc_buf_fini(&r->body);
    r->is_too_large = true;
    r->excess_bytes += n;
    if (r->excess_bytes <= TOC_MAX(r->max_body_bytes, (size_t)EXCESS_BYTES))
        return MHD_YES;
    atomic_fetch_add(&s->refused_body, 1);
    toc_log(TOC_LOG_WARN, "http",
            "%s sends a body without end to %.*s: cut off after twice the %zu bytes it may have",
            r->peer, TOC_SV_ARG(r->public.path), r->max_body_bytes);
    return MHD_NO;
}

static enum MHD_Result finish(struct toc_http_server *s, struct request *r) {
    if (r->is_too_large)
        return refuse_large(s, r);
    struct toc_err err = {0};
    int rc = toc_http_request_finish(r, &err);
    if (rc == TOC_ELIMIT)
        return refuse_large(s, r);
    if (rc < 0) {
        atomic_fetch_add(&s->refused_encoding, 1);
        return send_problem(r->connection, rc == TOC_EUNSUPPORTED ? 415 : 400, "bad_encoding",
                            "the body is not what its Content-Encoding or Content-Type says");
    }
    return answer(s, r);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state) {
    (void)url;
    (void)version;
    struct toc_http_server *s = ctx;
    struct request *r = *state;
    if (!r)
        return MHD_NO;
    r->connection = connection;
    if (!r->has_begun)
        return begin(s, r, method);
    if (*size) {
        size_t n = *size;
        *size = 0;
        return take_body(s, r, data, n);
    }
    return finish(s, r);
}

/* First of all callbacks: keeps the raw request target, which is not available later. */
static void *on_uri(void *ctx, const char *uri, struct MHD_Connection *connection) {
    (void)ctx;
    return toc_http_request_new(uri, connection);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why) {
    (void)connection;
    struct toc_http_server *s = ctx;
    struct request *r = *state;
    if (why == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
        atomic_fetch_add(&s->closed_timeout, 1);
    toc_http_request_free(&r);
    *state = NULL;
}

static void on_log(void *ctx, const char *fmt, va_list ap) {
    (void)ctx;
    char line[256];
    vsnprintf(line, sizeof line, fmt, ap);
    line[strcspn(line, "\n")] = 0;
    toc_log(TOC_LOG_DEBUG, "http", "%s", line);
}

/* ------------------------------------------------------------------------------------- start and
 * stop */

static void set_defaults(struct toc_http_server_options *o) {
    o->host = o->host ? o->host : "127.0.0.1";
    o->max_connections = o->max_connections ? o->max_connections : DEFAULT_CONNECTIONS;
    o->max_connections_per_ip =
        o->max_connections_per_ip ? o->max_connections_per_ip : DEFAULT_CONNECTIONS_PER_IP;
    o->max_body_bytes = o->max_body_bytes ? o->max_body_bytes : DEFAULT_BODY_BYTES;
    o->max_header_bytes = o->max_header_bytes ? o->max_header_bytes : DEFAULT_HEADER_BYTES;
    o->idle_timeout_s = o->idle_timeout_s ? o->idle_timeout_s : DEFAULT_IDLE_TIMEOUT_S;
}

static struct MHD_Daemon *start_daemon(struct toc_http_server *s, int fd) {
    const struct toc_http_server_options *o = &s->options;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)o->tls_cert_pem},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)o->tls_key_pem},
        {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    /* One thread per connection: a handler that waits for the disk or a long query holds up nobody
     * else. */
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                     MHD_USE_POLL | MHD_USE_ERROR_LOG | MHD_USE_ITC |
                     (o->tls_cert_pem ? MHD_USE_TLS : 0);
    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_CONNECTION_LIMIT,
        o->max_connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT, o->max_connections_per_ip,
        MHD_OPTION_CONNECTION_TIMEOUT, o->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        o->max_header_bytes, MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK_BYTES,
        MHD_OPTION_ARRAY, o->tls_cert_pem ? tls : plain, MHD_OPTION_END);
}

int toc_http_server_start(const struct toc_http_server_options *o, struct toc_http_server **out,
                          struct toc_err *err) {
    struct toc_http_server *s = TOC_NEW(struct toc_http_server);
    s->options = *o;
    set_defaults(&s->options);
    s->host = toc_xstrdup(s->options.host);
    toc_event_init(&s->answers.stopping);
    toc_mutex_init(&s->answers.wake_mutex, TOC_LOCK_QUEUE);
    toc_cond_init(&s->answers.wake);
    int fd = toc_socket_listen(s->host, s->options.port, &s->port, err);
    int rc = fd;
    if (fd >= 0) {
        s->daemon = start_daemon(s, fd);
        rc = s->daemon
                 ? 0
                 : toc_errf(err, TOC_EINVAL, "the HTTP server did not start%s",
                            o->tls_cert_pem ? ": check that certificate and key are PEM and belong "
                                              "together"
                                            : "");
        if (!s->daemon)
            toc_socket_close(fd);
    }
    if (rc < 0) {
        toc_http_server_stop(&s);
        return rc;
    }
    *out = s;
    return 0;
}

uint16_t toc_http_server_port(const struct toc_http_server *s) {
    return s->port;
}

void toc_http_server_stop(struct toc_http_server **sp) {
    struct toc_http_server *s = *sp;
    if (!s)
        return;
    toc_event_set(&s->answers.stopping);
    toc_http_stream_wake(s);
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    toc_cond_fini(&s->answers.wake);
    toc_mutex_fini(&s->answers.wake_mutex);
    toc_event_fini(&s->answers.stopping);
    toc_free(s->host);
    toc_free(s);
    *sp = NULL;
}

void toc_http_server_get_stats(const struct toc_http_server *s, struct toc_http_server_stats *out) {
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    *out = (struct toc_http_server_stats){
        .requests = atomic_load(&s->requests),
        .bytes_in = atomic_load(&s->bytes_in),
        .bytes_out = atomic_load(&s->answers.bytes_out),
        .refused_body_too_large = atomic_load(&s->refused_body),
        .refused_bad_encoding = atomic_load(&s->refused_encoding),
        .refused_header = atomic_load(&s->refused_header),
        .closed_timeout = atomic_load(&s->closed_timeout),
        .connections_open = info ? info->num_connections : 0,
    };
}

void toc_http_response_header(struct toc_http_response *r, const char *name, const char *fmt, ...) {
    if (r->header_count == TOC_HTTP_HEADERS_MAX)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->headers[r->header_count].value, sizeof r->headers[0].value, fmt, ap);
    va_end(ap);
    /* Nothing from outside may end a header line. */
    for (char *p = r->headers[r->header_count].value; *p; p++)
        if (*p == '\r' || *p == '\n')
            *p = ' ';
    r->headers[r->header_count++].name = name;
}
