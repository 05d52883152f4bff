#include "codec/compress.h"

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

static const struct {
    const char *name;
    enum toc_compression value;
} compression_names[] = {
    {"", TOC_COMPRESSION_NONE},           {"identity", TOC_COMPRESSION_NONE},
    {"gzip", TOC_COMPRESSION_GZIP},       {"x-gzip", TOC_COMPRESSION_GZIP},
    {"deflate", TOC_COMPRESSION_DEFLATE}, {"zstd", TOC_COMPRESSION_ZSTD},
    {"snappy", TOC_COMPRESSION_SNAPPY},
};

int toc_compression_parse(struct toc_sv name, enum toc_compression *out) {
    name = toc_sv_trim(name);
    for (size_t i = 0; i < TOC_ARRAY_LEN(compression_names); i++) {
        if (toc_sv_eq_nocase(name, toc_sv_cstr(compression_names[i].name))) {
            *out = compression_names[i].value;
            return 0;
        }
    }
    return TOC_EUNSUPPORTED;
}

enum { GZIP_WINDOW = 15 + 16, ZLIB_WINDOW = 15, CHUNK_BYTES = 64 << 10 };

static int deflate_all(int window, struct toc_sv in, struct toc_buf *out) {
    z_stream z = {.next_in = (z_const Bytef *)in.p, .avail_in = (uInt)in.n};
    if (in.n > UINT32_MAX)
        return TOC_ELIMIT;
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return TOC_ENOMEM;
    uLong bound = deflateBound(&z, (uLong)in.n);
    z.next_out = (Bytef *)toc_buf_reserve(out, bound);
    z.avail_out = (uInt)bound;
    int rc = toc_buf_error(out);
    if (!rc && deflate(&z, Z_FINISH) != Z_STREAM_END)
        rc = TOC_EIO;
    if (!rc)
        out->n += bound - z.avail_out;
    deflateEnd(&z);
    return rc;
}

static int zstd_all(struct toc_sv in, struct toc_buf *out) {
    size_t bound = ZSTD_compressBound(in.n);
    char *to = toc_buf_reserve(out, bound);
    if (!to)
        return toc_buf_error(out);
    size_t n = ZSTD_compress(to, bound, in.p, in.n, 3);
    if (ZSTD_isError(n))
        return TOC_EIO;
    out->n += n;
    return 0;
}

static int snappy_all(struct toc_sv in, struct toc_buf *out) {
    size_t n = snappy_max_compressed_length(in.n);
    char *to = toc_buf_reserve(out, n);
    if (!to)
        return toc_buf_error(out);
    if (snappy_compress(in.p ? in.p : "", in.n, to, &n) != SNAPPY_OK)
        return TOC_EIO;
    out->n += n;
    return 0;
}

int toc_compress(enum toc_compression c, struct toc_sv in, struct toc_buf *out) {
    switch (c) {
    case TOC_COMPRESSION_NONE:
        toc_buf_append_sv(out, in);
        return toc_buf_error(out);
    case TOC_COMPRESSION_GZIP:
        return deflate_all(GZIP_WINDOW, in, out);
    case TOC_COMPRESSION_DEFLATE:
        return deflate_all(ZLIB_WINDOW, in, out);
    case TOC_COMPRESSION_ZSTD:
        return zstd_all(in, out);
    case TOC_COMPRESSION_SNAPPY:
        return snappy_all(in, out);
    }
    return TOC_EUNSUPPORTED;
}

struct expansion {
    struct toc_sv in;
    struct toc_buf *out;
    size_t start;     /* out->n at the beginning */
    size_t max_bytes; /* may come out */
    struct toc_err *err;
};

static int too_big(struct expansion *x) {
    return toc_errf(x->err, TOC_ELIMIT, "more than %zu bytes after decompression", x->max_bytes);
}

/* Room for the next piece: one byte more than the limit, so that crossing it is seen. */
static char *next_piece(struct expansion *x, size_t *out_size) {
    size_t made = x->out->n - x->start;
    size_t left = x->max_bytes - TOC_MIN(made, x->max_bytes);
    *out_size = TOC_MIN(left == SIZE_MAX ? left : left + 1, (size_t)CHUNK_BYTES);
    return toc_buf_reserve(x->out, *out_size);
}

static int take_piece(struct expansion *x, size_t n) {
    x->out->n += n;
    return x->out->n - x->start > x->max_bytes ? too_big(x) : 0;
}

/* One step of zlib; sets *out_done at the end of the last member. */
static int inflate_step(struct expansion *x, z_stream *z, bool *out_done) {
    size_t size;
    char *to = next_piece(x, &size);
    if (!to)
        return toc_errf(x->err, toc_buf_error(x->out), "no room for decompressed data");
    z->next_out = (Bytef *)to;
    z->avail_out = (uInt)size;
    uInt had = z->avail_in;
    int zrc = inflate(z, Z_NO_FLUSH);
    size_t made = size - z->avail_out;
    int rc = take_piece(x, made);
    if (rc)
        return rc;
    if (zrc == Z_STREAM_END) {
        *out_done = z->avail_in == 0;
        if (!*out_done && inflateReset(z) != Z_OK)
            return toc_errf(x->err, TOC_ECORRUPT, "bad data behind the compressed stream");
        return 0;
    }
    if (zrc == Z_MEM_ERROR)
        return TOC_ENOMEM;
    if (zrc != Z_OK && zrc != Z_BUF_ERROR)
        return toc_errf(x->err, TOC_ECORRUPT, "bad compressed data: %s", z->msg ? z->msg : "?");
    if (!made && had == z->avail_in)
        return toc_errf(x->err, TOC_ECORRUPT, "compressed data ends too early");
    return 0;
}

static int inflate_all(struct expansion *x, int window) {
    z_stream z = {.next_in = (z_const Bytef *)x->in.p, .avail_in = (uInt)x->in.n};
    if (x->in.n > UINT32_MAX)
        return toc_errf(x->err, TOC_ELIMIT, "more than 4 GiB of compressed data");
    if (inflateInit2(&z, window) != Z_OK)
        return TOC_ENOMEM;
    bool done = false;
    int rc = 0;
    while (!rc && !done)
        rc = inflate_step(x, &z, &done);
    inflateEnd(&z);
    return rc;
}

/* "deflate" is zlib by the book and raw deflate in the wild: the first two bytes tell. */
static int inflate_either(struct expansion *x) {
    const uint8_t *p = (const uint8_t *)x->in.p;
    bool is_zlib = x->in.n >= 2 && (p[0] & 15) == 8 && (p[0] << 8 | p[1]) % 31 == 0;
    return inflate_all(x, is_zlib ? ZLIB_WINDOW : -ZLIB_WINDOW);
}

static int zstd_expand(struct expansion *x, ZSTD_DCtx *ctx) {
    ZSTD_inBuffer in = {x->in.p, x->in.n, 0};
    for (size_t left = 1; left || in.pos < in.size;) {
        ZSTD_outBuffer out = {.pos = 0};
        out.dst = next_piece(x, &out.size);
        if (!out.dst)
            return toc_errf(x->err, toc_buf_error(x->out), "no room for decompressed data");
        size_t had = in.pos;
        left = ZSTD_decompressStream(ctx, &out, &in);
        if (ZSTD_isError(left))
            return toc_errf(x->err, TOC_ECORRUPT, "bad zstd data: %s", ZSTD_getErrorName(left));
        int rc = take_piece(x, out.pos);
        if (rc)
            return rc;
        if (left && !out.pos && in.pos == had)
            return toc_errf(x->err, TOC_ECORRUPT, "compressed data ends too early");
    }
    return 0;
}

static int unzstd_all(struct expansion *x) {
    enum { WINDOW_LOG_MAX = 25 }; /* 32 MiB for the decoder of one request */
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    if (!ctx)
        return TOC_ENOMEM;
    ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    int rc = zstd_expand(x, ctx);
    ZSTD_freeDCtx(ctx);
    return rc;
}

static int unsnappy_all(struct expansion *x) {
    size_t n = 0;
    if (snappy_uncompressed_length(x->in.p ? x->in.p : "", x->in.n, &n) != SNAPPY_OK)
        return toc_errf(x->err, TOC_ECORRUPT, "bad snappy data: no length at its start");
    if (n > x->max_bytes)
        return too_big(x);
    /* One input byte cannot give more than 64 output bytes; a lying head must not reserve memory.
     */
    if (n / 64 > x->in.n)
        return toc_errf(x->err, TOC_ECORRUPT,
                        "bad snappy data: length at its start is not credible");
    char *to = toc_buf_reserve(x->out, n);
    if (!to)
        return toc_errf(x->err, toc_buf_error(x->out), "no room for decompressed data");
    if (snappy_uncompress(x->in.p, x->in.n, to, &n) != SNAPPY_OK)
        return toc_errf(x->err, TOC_ECORRUPT, "bad snappy data");
    x->out->n += n;
    return 0;
}

static int store(struct expansion *x) {
    if (x->in.n > x->max_bytes)
        return too_big(x);
    toc_buf_append_sv(x->out, x->in);
    return toc_buf_error(x->out);
}

int toc_decompress(enum toc_compression c, struct toc_sv in, size_t max_bytes, struct toc_buf *out,
                   struct toc_err *err) {
    struct expansion x = {in, out, out->n, max_bytes, err};
    switch (c) {
    case TOC_COMPRESSION_NONE:
        return store(&x);
    case TOC_COMPRESSION_GZIP:
        return inflate_all(&x, GZIP_WINDOW);
    case TOC_COMPRESSION_DEFLATE:
        return inflate_either(&x);
    case TOC_COMPRESSION_ZSTD:
        return unzstd_all(&x);
    case TOC_COMPRESSION_SNAPPY:
        return unsnappy_all(&x);
    }
    return toc_errf(err, TOC_EUNSUPPORTED, "unknown compression");
}
