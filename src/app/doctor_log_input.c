#include "app/doctor_log_input.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/compress.h"
#include "codec/text.h"
#include "sys/clock.h"
#include "sys/vfs.h"

enum { PIECE_BYTES = 256 << 10, PACKED_MAX_BYTES = 512 << 20 };

/* X(name, first bytes) */
#define MARK_TABLE(X)           \
    X(GZIP, "\x1f\x8b")         \
    X(ZSTD, "\x28\xb5\x2f\xfd") \
    X(UTF8, "\xef\xbb\xbf")     \
    X(UTF16_LITTLE, "\xff\xfe") \
    X(UTF16_BIG, "\xfe\xff")

enum mark {
#define X(name, bytes) MARK_##name,
    MARK_TABLE(X)
#undef X
        MARK_NONE
};

static enum mark mark_of(struct toc_sv start) {
    static const struct toc_sv marks[] = {
#define X(name, bytes) {bytes, sizeof(bytes) - 1},
        MARK_TABLE(X)
#undef X
    };
    for (int i = 0; i < MARK_NONE; i++)
        if (toc_sv_starts_with(start, marks[i]))
            return (enum mark)i;
    return MARK_NONE;
}

/* Where pieces go, and how UTF-16 becomes UTF-8 on the way. */
struct reader {
    toc_log_piece_fn *fn;
    void *ctx;
    bool is_first;
    enum mark mark;
    unsigned char odd; /* first byte of a unit cut in two */
    bool has_odd;
    uint32_t high; /* first half of a pair, 0 = none */
    struct toc_buf text;
};

static void put_unit(struct reader *r, uint32_t unit) {
    bool is_low = unit >= 0xdc00 && unit < 0xe000;
    if (r->high && is_low) {
        toc_utf8_append(&r->text, 0x10000 + ((r->high - 0xd800) << 10) + (unit - 0xdc00));
        r->high = 0;
        return;
    }
    if (r->high)
        toc_utf8_append(&r->text, 0xfffd);
    r->high = unit >= 0xd800 && unit < 0xdc00 ? unit : 0;
    if (!r->high)
        toc_utf8_append(&r->text, is_low ? 0xfffd : unit);
}

static void put_utf16(struct reader *r, struct toc_sv bytes) {
    const unsigned char *p = (const unsigned char *)bytes.p;
    toc_buf_reset(&r->text);
    for (size_t i = 0; i < bytes.n; i++) {
        if (!r->has_odd) {
            r->odd = p[i];
            r->has_odd = true;
            continue;
        }
        bool is_little = r->mark == MARK_UTF16_LITTLE;
        put_unit(r, is_little ? r->odd | (uint32_t)p[i] << 8 : (uint32_t)r->odd << 8 | p[i]);
        r->has_odd = false;
    }
    r->fn(r->ctx, toc_buf_sv(&r->text));
}

/* Plain bytes of the log. */
static void put(struct reader *r, struct toc_sv bytes) {
    if (r->is_first && bytes.n) {
        r->is_first = false;
        r->mark = mark_of(bytes);
        size_t skip = r->mark == MARK_UTF8                                        ? 3
                      : r->mark == MARK_UTF16_LITTLE || r->mark == MARK_UTF16_BIG ? 2
                                                                                  : 0;
        bytes = toc_sv_sub(bytes, skip, SIZE_MAX);
    }
    if (r->mark == MARK_UTF16_LITTLE || r->mark == MARK_UTF16_BIG)
        put_utf16(r, bytes);
    else
        r->fn(r->ctx, bytes);
}

/* ----------------------------------------------------------------------------------------- packed
 */

static int put_packed(struct reader *r, const char *path, struct toc_sv packed, enum mark mark,
                      struct toc_err *err) {
    struct toc_buf plain = TOC_BUF_INIT;
    struct toc_err why = {0};
    int rc = toc_decompress(mark == MARK_GZIP ? TOC_COMPRESSION_GZIP : TOC_COMPRESSION_ZSTD, packed,
                            TOC_DOCTOR_LOG_UNPACKED_MAX_BYTES, &plain, &why);
    if (rc < 0)
        rc = toc_errf(
            err, rc, "%s: cannot be unpacked: %s%s", path,
            why.message[0] ? why.message : toc_strerror(rc),
            rc == TOC_ELIMIT ? "; unpack it and use a pipe: zcat FILE | tocsin doctor log -" : "");
    else
        put(r, toc_buf_sv(&plain));
    toc_buf_fini(&plain);
    return rc;
}

/* --------------------------------------------------------------------------------------- sources
 */

struct source {
    const char *path;
    FILE *pipe; /* or */
    struct toc_vfs *vfs;
    struct toc_file *file;
    uint64_t at;
};

static int64_t next(struct source *s, char *to, size_t n) {
    if (s->pipe) {
        size_t got = fread(to, 1, n, s->pipe);
        return got || !ferror(s->pipe) ? (int64_t)got : TOC_EIO;
    }
    int64_t got = s->vfs->pread(s->vfs, s->file, to, n, s->at);
    s->at += got > 0 ? (uint64_t)got : 0;
    return got;
}

static int take_packed(struct source *s, struct reader *r, struct toc_sv first, enum mark mark,
                       struct toc_err *err) {
    struct toc_buf all = {.limit_bytes = PACKED_MAX_BYTES};
    int64_t got = 1;
    toc_buf_append_sv(&all, first);
    while (got > 0) {
        char *to = toc_buf_reserve(&all, PIECE_BYTES);
        if (!to)
            break;
        got = next(s, to, PIECE_BYTES);
        all.n += got > 0 ? (size_t)got : 0;
    }
    int rc = toc_buf_error(&all) ? toc_buf_error(&all) : (int)(got < 0 ? got : 0);
    if (rc < 0)
        rc = toc_errf(err, rc, "%s: %s", s->path, toc_strerror(rc));
    else
        rc = put_packed(r, s->path, toc_buf_sv(&all), mark, err);
    toc_buf_fini(&all);
    return rc;
}

static int take_all(struct source *s, struct reader *r, struct toc_err *err) {
    char *piece = toc_xalloc(PIECE_BYTES);
    int64_t got = next(s, piece, PIECE_BYTES);
    enum mark mark = got > 0 ? mark_of(toc_sv_make(piece, (size_t)got)) : MARK_NONE;
    int rc = 0;
    if (mark == MARK_GZIP || mark == MARK_ZSTD) {
        rc = take_packed(s, r, toc_sv_make(piece, (size_t)got), mark, err);
    } else {
        for (; got > 0; got = next(s, piece, PIECE_BYTES))
            put(r, toc_sv_make(piece, (size_t)got));
        if (got < 0)
            rc = toc_errf(err, (int)got, "%s: %s", s->path, toc_strerror((int)got));
    }
    toc_free(piece);
    return rc;
}

int toc_doctor_log_read(const char *path, toc_log_piece_fn *fn, void *ctx, struct toc_err *err) {
    struct reader r = {.fn = fn, .ctx = ctx, .is_first = true, .mark = MARK_NONE};
    struct source s = {.path = path, .vfs = toc_vfs_system()};
    int rc = 0;
    if (strcmp(path, "-") == 0) {
        s.pipe = stdin;
        s.path = "standard input";
    } else {
        struct toc_file_info info;
        if (s.vfs->info(s.vfs, path, &info) == 0 && info.is_dir)
            return toc_errf(err, TOC_EINVAL, "%s: is a folder; name the files: %s/*", path, path);
        rc = toc_file_open(s.vfs, path, TOC_OPEN_READ, &s.file);
        if (rc < 0)
            return toc_errf(err, rc, "%s: %s", path, toc_strerror(rc));
    }
    rc = take_all(&s, &r, err);
    toc_buf_fini(&r.text);
    if (s.file)
        toc_file_close(s.vfs, &s.file);
    return rc;
}

bool toc_doctor_log_is_plain(const char *path) {
    enum { MARK_BYTES = 4 };
    char first[MARK_BYTES];
    struct source s = {.path = path, .vfs = toc_vfs_system()};
    if (strcmp(path, "-") == 0 || toc_file_open(s.vfs, path, TOC_OPEN_READ, &s.file))
        return false;
    int64_t got = next(&s, first, sizeof first);
    toc_file_close(s.vfs, &s.file);
    enum mark mark = got > 0 ? mark_of(toc_sv_make(first, (size_t)got)) : MARK_NONE;
    return got >= 0 && (mark == MARK_NONE || mark == MARK_UTF8);
}

struct toc_ts toc_doctor_log_mtime(const char *path) {
    struct toc_file_info info;
    struct toc_vfs *vfs = toc_vfs_system();
    if (strcmp(path, "-") != 0 && vfs->info(vfs, path, &info) == 0 && info.mtime_ms > 0)
        return (struct toc_ts){info.mtime_ms};
    return toc_clock_now(toc_clock_system());
}
