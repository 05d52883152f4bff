#include "codec/compressor.h"

#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"

enum { GZIP_WINDOW = 15 + 16, ZLIB_WINDOW = 15, PIECE_BYTES = 32 << 10 };

struct toc_compressor {
    enum toc_compression kind;
    z_stream z;
    ZSTD_CStream *zstd; /* NULL unless the kind is zstd */
};

static bool start(struct toc_compressor *c) {
    switch (c->kind) {
    case TOC_COMPRESSION_GZIP:
    case TOC_COMPRESSION_DEFLATE:
        return deflateInit2(&c->z, Z_BEST_SPEED, Z_DEFLATED,
                            c->kind == TOC_COMPRESSION_GZIP ? GZIP_WINDOW : ZLIB_WINDOW, 8,
                            Z_DEFAULT_STRATEGY) == Z_OK;
    case TOC_COMPRESSION_ZSTD:
        c->zstd = ZSTD_createCStream();
        return c->zstd && !ZSTD_isError(ZSTD_initCStream(c->zstd, 1));
    default:
        return false;
    }
}

struct toc_compressor *toc_compressor_new(enum toc_compression kind) {
    struct toc_compressor *c = TOC_NEW(struct toc_compressor);
    c->kind = kind;
    if (start(c))
        return c;
    ZSTD_freeCStream(c->zstd);
    toc_free(c);
    return NULL;
}

static int write_zlib(z_stream *z, struct toc_sv in, bool is_last, struct toc_buf *out) {
    if (in.n > UINT32_MAX)
        return TOC_ELIMIT;
    z->next_in = (z_const Bytef *)in.p;
    z->avail_in = (uInt)in.n;
    int rc;
    do {
        char *to = toc_buf_reserve(out, PIECE_BYTES);
        if (!to)
            return toc_buf_error(out);
        z->next_out = (Bytef *)to;
        z->avail_out = PIECE_BYTES;
        rc = deflate(z, is_last ? Z_FINISH : Z_NO_FLUSH);
        if (rc == Z_STREAM_ERROR)
            return TOC_EIO;
        out->n += PIECE_BYTES - z->avail_out;
    } while (is_last ? rc != Z_STREAM_END : z->avail_out == 0);
    return 0;
}

static int write_zstd(ZSTD_CStream *s, struct toc_sv in, bool is_last, struct toc_buf *out) {
    ZSTD_inBuffer from = {in.p, in.n, 0};
    size_t left;
    do {
        char *p = toc_buf_reserve(out, PIECE_BYTES);
        if (!p)
            return toc_buf_error(out);
        ZSTD_outBuffer to = {p, PIECE_BYTES, 0};
        left = ZSTD_compressStream2(s, &to, &from, is_last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return TOC_EIO;
        out->n += to.pos;
    } while (is_last ? left > 0 : from.pos < from.size);
    return 0;
}

int toc_compressor_write(struct toc_compressor *c, struct toc_sv in, bool is_last,
                         struct toc_buf *out) {
    return c->zstd ? write_zstd(c->zstd, in, is_last, out) : write_zlib(&c->z, in, is_last, out);
}

void toc_compressor_free(struct toc_compressor **cp) {
    struct toc_compressor *c = *cp;
    if (!c)
        return;
    if (c->zstd)
        ZSTD_freeCStream(c->zstd);
    else
        deflateEnd(&c->z);
    toc_free(c);
    *cp = NULL;
}
