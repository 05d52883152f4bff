#include "net/http_answer_priv.h"

#include <microhttpd.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/compressor.h"

enum {
    COMPRESS_FROM_BYTES = 1024,
    STREAM_POLL_MS = 100,
    STREAM_BLOCK_BYTES = 8 << 10,
    PRODUCER_BLOCK_BYTES = 64 << 10,
};

/* ------------------------------------------------------------------------------------------
 * streams */

struct stream {
    struct answers *answers;
    struct toc_http_stream pull;
};

/* Runs on the connection's own thread, so waiting here holds up nobody else. */
static ssize_t stream_read(void *ctx, uint64_t at, char *out, size_t max) {
    (void)at;
    struct stream *s = ctx;
    for (;;) {
        if (toc_event_is_set(&s->answers->stopping))
            return MHD_CONTENT_READER_END_OF_STREAM;
        int64_t n = s->pull.read(s->pull.ctx, out, max);
        if (n < 0)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (n > 0) {
            atomic_fetch_add(&s->answers->bytes_out, (unsigned long long)n);
            return (ssize_t)n;
        }
        toc_mutex_lock(&s->answers->wake_mutex);
        toc_cond_wait_ms(&s->answers->wake, &s->answers->wake_mutex, STREAM_POLL_MS);
        toc_mutex_unlock(&s->answers->wake_mutex);
    }
}

static void stream_close(void *ctx) {
    struct stream *s = ctx;
    if (s->pull.close)
        s->pull.close(s->pull.ctx);
    toc_free(s);
}

static struct MHD_Response *stream_response(struct answers *a, const struct toc_http_stream *pull) {
    struct stream *s = TOC_NEW(struct stream);
    s->answers = a;
    s->pull = *pull;
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, stream_read, s,
                                             stream_close);
}

/* ------------------------------------------------------------------------------------------
 * producers */

/* A body made while it is sent: `ready` holds what the peer has not taken yet. */
struct production {
    struct answers *answers;
    struct toc_http_producer producer;
    struct toc_compressor *compressor; /* NULL: sent as it is */
    struct toc_buf plain, packed;
    struct toc_buf *ready; /* one of the two */
    size_t ready_at;
    bool is_done, is_broken;
};

/* Packs what `plain` holds, so that `ready` is what goes out. */
static void pack(struct production *p) {
    if (!p->compressor)
        return;
    toc_buf_reset(&p->packed);
    if (toc_compressor_write(p->compressor, toc_buf_sv(&p->plain), p->is_done, &p->packed) < 0)
        p->is_broken = true;
}

static void make_more(struct production *p) {
    toc_buf_reset(&p->plain);
    p->ready_at = 0;
    int rc = p->producer.fill(p->producer.ctx, &p->plain);
    p->is_done = rc == 0;
    p->is_broken = rc < 0 || toc_buf_error(&p->plain);
    if (!p->is_broken)
        pack(p);
}

static ssize_t production_read(void *ctx, uint64_t at, char *out, size_t max) {
    (void)at;
    struct production *p = ctx;
    while (p->ready_at == p->ready->n && !p->is_done && !p->is_broken)
        make_more(p);
    if (p->is_broken) /* the connection is cut: the peer sees that the body is not whole */
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t n = TOC_MIN(p->ready->n - p->ready_at, max);
    if (n == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    memcpy(out, p->ready->p + p->ready_at, n);
    p->ready_at += n;
    atomic_fetch_add(&p->answers->bytes_out, (unsigned long long)n);
    return (ssize_t)n;
}

static void production_close(void *ctx) {
    struct production *p = ctx;
    if (p->producer.close)
        p->producer.close(p->producer.ctx);
    toc_compressor_free(&p->compressor);
    toc_buf_fini(&p->plain);
    toc_buf_fini(&p->packed);
    toc_free(p);
}

static const char *coding_name(enum toc_compression c) {
    return c == TOC_COMPRESSION_ZSTD ? "zstd" : c == TOC_COMPRESSION_GZIP ? "gzip" : "deflate";
}

/* Goes on with a body whose first piece is in `first`. */
static struct MHD_Response *production_response(struct answers *a,
                                                const struct toc_http_producer *producer,
                                                struct toc_buf *first, enum toc_compression coding,
                                                const char **encoding) {
    struct production *p = TOC_NEW(struct production);
    p->answers = a;
    p->producer = *producer;
    p->plain = *first;
    *first = TOC_BUF_INIT;
    p->compressor = toc_compressor_new(coding);
    p->ready = p->compressor ? &p->packed : &p->plain;
    *encoding = p->compressor ? coding_name(coding) : NULL;
    pack(p);
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PRODUCER_BLOCK_BYTES,
                                             production_read, p, production_close);
}

/* ------------------------------------------------------------------------------------------
 * whole bodies */

static bool is_compressible(const char *content_type) {
    return strncmp(content_type, "text/", 5) == 0 || strstr(content_type, "json") != NULL ||
           strstr(content_type, "openmetrics") != NULL || strstr(content_type, "yaml") != NULL;
}

static void free_body(void *p) {
    toc_free(p);
}

static struct MHD_Response *owned_response(struct answers *a, struct toc_buf *body) {
    size_t n = 0;
    char *p = toc_buf_take(body, &n);
    atomic_fetch_add(&a->bytes_out, n);
    return MHD_create_response_from_buffer_with_free_callback(n, p, free_body);
}

/* The body of a gzip asset, as the client can take it. *encoding is set when it stays compressed.
 */
static struct MHD_Response *static_response(struct answers *a, const struct toc_http_response *res,
                                            bool takes_gzip, const char **encoding) {
    if (res->is_static_gzip && !takes_gzip) {
        struct toc_buf plain = TOC_BUF_INIT;
        if (toc_decompress(TOC_COMPRESSION_GZIP, res->static_body, (size_t)64 << 20, &plain,
                           NULL) == 0)
            return owned_response(a, &plain);
        toc_buf_fini(&plain);
    }
    *encoding = res->is_static_gzip ? "gzip" : NULL;
    atomic_fetch_add(&a->bytes_out, res->static_body.n);
    return MHD_create_response_from_buffer(
        res->static_body.n, (void *)(uintptr_t)res->static_body.p, MHD_RESPMEM_PERSISTENT);
}

static struct MHD_Response *body_response(struct answers *a, struct toc_buf *body,
                                          enum toc_compression coding, const char **encoding) {
    struct toc_compressor *c = body->n >= COMPRESS_FROM_BYTES ? toc_compressor_new(coding) : NULL;
    if (!c)
        return owned_response(a, body);
    struct toc_buf packed = TOC_BUF_INIT;
    bool is_packed = toc_compressor_write(c, toc_buf_sv(body), true, &packed) == 0;
    toc_compressor_free(&c);
    if (is_packed) {
        toc_buf_fini(body);
        *encoding = coding_name(coding);
        *body = packed;
    } else {
        toc_buf_fini(&packed);
    }
    return owned_response(a, body);
}

/* A body that turns out to be one piece is sent whole, with its length. */
static struct MHD_Response *produced_response(struct answers *a, struct toc_http_response *res,
                                              enum toc_compression coding, const char **encoding) {
    int rc = res->producer.fill(res->producer.ctx, &res->body);
    if (rc > 0 && !toc_buf_error(&res->body))
        return production_response(a, &res->producer, &res->body, coding, encoding);
    if (res->producer.close)
        res->producer.close(res->producer.ctx);
    if (rc < 0 || toc_buf_error(&res->body)) {
        toc_buf_reset(&res->body);
        res->status = 500;
    }
    return body_response(a, &res->body, coding, encoding);
}

struct MHD_Response *toc_http_answer(struct answers *a, const struct request *r,
                                     struct toc_http_response *res) {
    const char *type = res->content_type ? res->content_type : "application/json";
    const char *encoding = NULL;
    enum toc_compression coding = is_compressible(type) ? r->coding : TOC_COMPRESSION_NONE;
    struct MHD_Response *m;
    if (res->stream.read)
        m = stream_response(a, &res->stream);
    else if (res->producer.fill)
        m = produced_response(a, res, coding, &encoding);
    else if (res->static_body.p)
        m = static_response(a, res, r->takes_gzip, &encoding);
    else
        m = body_response(a, &res->body, coding, &encoding);
    if (res->status != 204 && res->status != 304)
        MHD_add_response_header(m, "Content-Type", type);
    if (encoding)
        MHD_add_response_header(m, "Content-Encoding", encoding);
    if (res->is_static_gzip || is_compressible(type))
        MHD_add_response_header(m, "Vary", "Accept-Encoding");
    for (size_t i = 0; i < res->header_count; i++)
        MHD_add_response_header(m, res->headers[i].name, res->headers[i].value);
    return m;
}
