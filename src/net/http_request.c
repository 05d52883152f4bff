#include "net/http_request_priv.h"

#include <microhttpd.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/compress.h"
#include "codec/text.h"
#include "sys/socket.h"

/* A body may grow to so many times its size, or to so many bytes, when its coding is undone. */
enum { EXPANSION_MAX = 500, EXPANSION_FREE_BYTES = 4 << 20 };
enum { PARAMS_MAX = 1000, ARENA_BYTES = 64 << 20 };

struct request *toc_http_request_new(const char *target, struct MHD_Connection *connection) {
    struct request *r = TOC_NEW(struct request);
    r->target = toc_xstrdup(target);
    r->connection = connection;
    toc_arena_init(&r->arena, ARENA_BYTES);
    return r;
}

void toc_http_request_free(struct request **rp) {
    struct request *r = *rp;
    if (!r)
        return;
    toc_arena_fini(&r->arena);
    toc_buf_fini(&r->body);
    toc_buf_fini(&r->decoded);
    toc_free(r->target);
    toc_free(r);
    *rp = NULL;
}

/* Percent-decoded copy in the arena; TOC_EPARSE when broken or when it holds a NUL byte. */
static int decode(struct request *r, struct toc_sv in, bool plus_is_space, struct toc_sv *out) {
    struct toc_buf text = TOC_BUF_INIT;
    int rc = toc_percent_decode(in, plus_is_space, &text);
    if (rc == 0 && text.n && memchr(text.p, 0, text.n))
        rc = TOC_EPARSE;
    if (rc == 0) {
        *out = toc_arena_dup_sv(&r->arena, toc_buf_sv(&text));
        rc = r->arena.overflowed ? TOC_ELIMIT : 0;
    }
    toc_buf_fini(&text);
    return rc;
}

static size_t count_params(struct toc_sv text) {
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '&';
    return text.n ? n + 1 : 0;
}

/* Appends name=value&… to what is there already. */
static int add_params(struct request *r, struct toc_sv text) {
    size_t most = r->public.param_count + count_params(text);
    if (most > PARAMS_MAX)
        return TOC_ELIMIT;
    struct toc_http_param *params = TOC_ARENA_NEW_ARRAY(&r->arena, struct toc_http_param, most + 1);
    if (!params)
        return TOC_ELIMIT;
    size_t n = r->public.param_count;
    if (n)
        memcpy(params, r->public.params, n * sizeof *params);
    struct toc_sv rest = text, part;
    while (text.n && toc_sv_split(&rest, '&', &part)) {
        if (part.n == 0)
            continue;
        size_t equals = toc_sv_find_char(part, '=');
        struct toc_sv name = equals == SIZE_MAX ? part : toc_sv_sub(part, 0, equals);
        struct toc_sv value =
            equals == SIZE_MAX ? TOC_SV("") : toc_sv_sub(part, equals + 1, part.n);
        int rc = decode(r, name, true, &params[n].name);
        if (rc == 0)
            rc = decode(r, value, true, &params[n].value);
        if (rc < 0)
            return rc;
        n++;
    }
    r->public.params = params;
    r->public.param_count = n;
    return 0;
}

static void read_peer(struct request *r) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *a = info ? info->client_addr : NULL;
    toc_socket_format(a, r->peer);
    r->public.peer = toc_sv_cstr(r->peer);
    r->public.peer_is_loopback = a && toc_socket_is_loopback(a);
}

/* Does a list of content codings offer this one, or `*`, without q=0? */
static bool offers(struct toc_sv list, struct toc_sv coding) {
    struct toc_sv part, parameters;
    while (toc_sv_split(&list, ',', &part)) {
        parameters = part;
        struct toc_sv name;
        if (!toc_sv_split(&parameters, ';', &name) ||
            !(toc_sv_eq_nocase(toc_sv_trim(name), coding) ||
              toc_sv_eq(toc_sv_trim(name), TOC_SV("*"))))
            continue;
        parameters = toc_sv_trim(parameters);
        double quality = 1;
        if (toc_sv_starts_with(parameters, TOC_SV("q=")) &&
            toc_parse_f64(toc_sv_sub(parameters, 2, parameters.n - 2), &quality) < 0)
            quality = 0;
        return quality > 0;
    }
    return false;
}

/* zstd costs a third of gzip; deflate comes last because peers disagree on what it is. */
static enum toc_compression best_coding(struct toc_sv accept) {
    static const enum toc_compression preferred[] = {TOC_COMPRESSION_ZSTD, TOC_COMPRESSION_GZIP,
                                                     TOC_COMPRESSION_DEFLATE};
    static const char *const names[] = {"zstd", "gzip", "deflate"};
    for (size_t i = 0; i < sizeof preferred / sizeof preferred[0]; i++)
        if (offers(accept, toc_sv_cstr(names[i])))
            return preferred[i];
    return TOC_COMPRESSION_NONE;
}

static bool has_controls(const char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

int toc_http_request_begin(struct request *r, const char *method) {
    struct toc_sv target = toc_sv_cstr(r->target);
    size_t question = toc_sv_find_char(target, '?');
    struct toc_sv path = toc_sv_sub(target, 0, question == SIZE_MAX ? target.n : question);
    r->public.method = toc_arena_dup_sv(&r->arena, toc_sv_cstr(method));
    r->public.raw_query =
        question == SIZE_MAX ? TOC_SV("") : toc_sv_sub(target, question + 1, target.n);
    r->public.connection = r->connection;
    r->public.arena = &r->arena;
    const char *type = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Content-Type");
    r->public.content_type = toc_arena_dup_sv(&r->arena, toc_sv_cstr(type ? type : ""));
    struct toc_sv accept =
        toc_sv_cstr(MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Accept-Encoding"));
    r->takes_gzip = offers(accept, TOC_SV("gzip"));
    r->coding = best_coding(accept);
    read_peer(r);
    if (has_controls(r->target))
        return TOC_EPARSE;
    int rc = decode(r, path, false, &r->public.path);
    return rc < 0 ? rc : add_params(r, r->public.raw_query);
}

static int undo_coding(struct request *r, struct toc_err *err) {
    const char *name =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Content-Encoding");
    enum toc_compression coding;
    int rc = toc_compression_parse(toc_sv_cstr(name ? name : ""), &coding);
    if (rc < 0)
        return rc;
    if (coding == TOC_COMPRESSION_NONE) {
        r->public.body = toc_buf_sv(&r->body);
        return 0;
    }
    size_t by_ratio = TOC_MAX(r->body.n * EXPANSION_MAX, (size_t)EXPANSION_FREE_BYTES);
    r->max_body_bytes = TOC_MIN(r->max_body_bytes, by_ratio);
    rc = toc_decompress(coding, toc_buf_sv(&r->body), r->max_body_bytes, &r->decoded, err);
    r->public.body = toc_buf_sv(&r->decoded);
    return rc;
}

int toc_http_request_finish(struct request *r, struct toc_err *err) {
    if (toc_buf_error(&r->body))
        return TOC_ELIMIT;
    int rc = undo_coding(r, err);
    struct toc_sv type = r->public.content_type;
    if (rc == 0 && toc_sv_starts_with(type, TOC_SV("application/x-www-form-urlencoded")))
        rc = add_params(r, r->public.body);
    return rc;
}

struct toc_sv toc_http_param_get(const struct toc_http_request *r, const char *name) {
    for (size_t i = 0; i < r->param_count; i++)
        if (toc_sv_eq_cstr(r->params[i].name, name))
            return r->params[i].value;
    return TOC_SV_NULL;
}

struct toc_sv toc_http_header(const struct toc_http_request *r, const char *name) {
    return toc_sv_cstr(MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name));
}

struct toc_sv toc_http_cookie(const struct toc_http_request *r, const char *name) {
    return toc_sv_cstr(MHD_lookup_connection_value(r->connection, MHD_COOKIE_KIND, name));
}

bool toc_http_peer_is_gone(const struct toc_http_request *r) {
    const union MHD_ConnectionInfo *info =
        r->connection ? MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                      : NULL;
    return info && toc_socket_peer_is_gone(info->connect_fd);
}
