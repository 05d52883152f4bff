#include "app/doctor_log_parts.h"

#include <string.h>

#include "app/doctor_log_input.h"
#include "base/alloc.h"
#include "sys/vfs.h"

enum { PART_BYTES = 1 << 20, PIECE_BYTES = 256 << 10, PARTS_PER_WORKER = 8 };

/* Lines that begin in [from, to) of a file, and what they show. */
struct part {
    const struct toc_log_hits_file *file;
    size_t file_index;
    uint64_t from, to; /* to UINT64_MAX: up to the file's end */
    bool is_packed;    /* all of the file, which is read from its start only */
    bool is_last;      /* of its file */
    /* found */
    TOC_VEC(struct toc_failure_hit) hits;
    struct toc_arena texts;
    struct toc_log_hits_part sums;
    struct toc_err err;
};

struct parts {
    struct toc_log_hits *h;
    TOC_VEC(struct part *) items;
    size_t begin;       /* of the wave */
    size_t failed_file; /* the last one that was told; SIZE_MAX: none */
};

static void keep_hit(void *ctx, const struct toc_failure_hit *h) {
    struct part *p = ctx;
    struct toc_failure_hit copy = *h;
    toc_log_hit_keep(&copy, &p->texts);
    TOC_VEC_PUSH(&p->hits, copy);
}

/* --- reading --- */

struct reading {
    struct part *part;
    struct toc_log_stream stream;
    struct toc_ts mtime;
    struct toc_file *file;
    char *piece;
};

static void feed(void *ctx, struct toc_sv bytes) {
    struct reading *r = ctx;
    toc_log_stream_feed(&r->stream, bytes, r->mtime, r->part->file->utc_offset_ms);
}

static int64_t read_at(struct reading *r, uint64_t at) {
    struct toc_vfs *vfs = toc_vfs_system();
    int64_t got = vfs->pread(vfs, r->file, r->piece, PIECE_BYTES, at);
    if (got < 0)
        (void)toc_errf(&r->part->err, (int)got, "%s: %s", r->part->file->path,
                       toc_strerror((int)got));
    return got;
}

/* Behind the first newline at or after the place; UINT64_MAX when no line begins in the part: a
 * line longer than many parts is looked through once, not by each of them. */
static uint64_t line_after(struct reading *r, uint64_t at) {
    int64_t got;
    for (; at < r->part->to && (got = read_at(r, at)) > 0; at += (uint64_t)got) {
        const char *newline = memchr(r->piece, '\n', (size_t)got);
        if (newline)
            return at + (uint64_t)(newline - r->piece) + 1;
    }
    return UINT64_MAX;
}

/* Bytes of the piece at `at` that are the part's; *out_is_end: the part ends with them. */
static size_t share_of(const struct reading *r, uint64_t at, size_t got, bool *out_is_end) {
    uint64_t to = r->part->to, last = to - 1 > at ? to - 1 - at : 0;
    *out_is_end = false;
    if (to == UINT64_MAX || last >= got)
        return got;
    const char *newline = memchr(r->piece + last, '\n', got - (size_t)last);
    *out_is_end = newline != NULL;
    return newline ? (size_t)(newline - r->piece) + 1 : got;
}

static int read_plain(struct reading *r) {
    struct toc_vfs *vfs = toc_vfs_system();
    struct part *p = r->part;
    int rc = toc_file_open(vfs, p->file->path, TOC_OPEN_READ, &r->file);
    if (rc)
        return toc_errf(&p->err, rc, "%s: %s", p->file->path, toc_strerror(rc));
    r->piece = toc_xalloc(PIECE_BYTES);
    uint64_t at = p->from ? line_after(r, p->from - 1) : 0;
    bool is_end = at >= p->to;
    while (!is_end) {
        int64_t got = read_at(r, at);
        if (got <= 0)
            break;
        struct toc_sv bytes = toc_sv_make(r->piece, share_of(r, at, (size_t)got, &is_end));
        bool has_mark = !at && toc_sv_starts_with(bytes, TOC_SV("\xef\xbb\xbf"));
        at += bytes.n;
        feed(r, has_mark ? toc_sv_sub(bytes, 3, SIZE_MAX) : bytes);
    }
    toc_free(r->piece);
    toc_file_close(vfs, &r->file);
    return p->err.code;
}

static void read_part(void *arg, size_t task, size_t worker) {
    struct parts *all = arg;
    struct part *p = all->items.items[all->begin + task];
    struct reading r = {.part = p, .mtime = toc_doctor_log_mtime(p->file->path)};
    (void)worker;
    struct toc_log_stream_options o = toc_log_hits_stream_options(all->h, p->file, keep_hit, p);
    o.leaves_undated = true;
    toc_log_stream_init(&r.stream, &o);
    int rc = p->is_packed ? toc_doctor_log_read(p->file->path, feed, &r, &p->err) : read_plain(&r);
    if (rc && !p->err.code)
        (void)toc_errf(&p->err, rc, "%s", toc_strerror(rc));
    toc_log_stream_finish(&r.stream);
    p->sums = toc_log_hits_part_of(&r.stream);
    p->sums.mtime = r.mtime;
    toc_log_stream_fini(&r.stream);
}

/* --- parts --- */

static void add_part(struct parts *all, const struct toc_log_hits_file *files, size_t i,
                     uint64_t from, uint64_t to) {
    struct part *p = TOC_NEW(struct part);
    p->file = &files[i];
    p->file_index = i;
    p->from = from;
    p->to = to;
    p->is_last = to == UINT64_MAX;
    TOC_VEC_PUSH(&all->items, p);
}

static void cut_file(struct parts *all, const struct toc_log_hits_file *files, size_t i) {
    struct toc_vfs *vfs = toc_vfs_system();
    struct toc_file_info info = {0};
    bool is_plain =
        toc_doctor_log_is_plain(files[i].path) && vfs->info(vfs, files[i].path, &info) == 0;
    uint64_t from = 0;
    for (; is_plain && from + 2 * PART_BYTES < info.size_bytes; from += PART_BYTES)
        add_part(all, files, i, from, from + PART_BYTES);
    add_part(all, files, i, from, UINT64_MAX);
    all->items.items[all->items.count - 1]->is_packed = !is_plain;
}

static void part_free(struct part *p) {
    TOC_VEC_FINI(&p->hits);
    toc_arena_fini(&p->texts);
    toc_free(p);
}

/* What a part found becomes the file's. */
static void join(struct parts *all, struct part **place,
                 void (*on_failed)(void *ctx, size_t file, const char *why), void *ctx) {
    struct part *p = *place;
    toc_log_hits_join(all->h, p->file, &p->sums, p->hits.items, p->hits.count);
    if (p->err.code && p->file_index != all->failed_file)
        on_failed(ctx, p->file_index, p->err.message);
    all->failed_file = p->err.code ? p->file_index : all->failed_file;
    if (p->is_last)
        toc_log_hits_end_file(all->h);
    part_free(p);
    *place = NULL;
}

void toc_log_hits_read_all(struct toc_log_hits *h, const struct toc_log_hits_file *files,
                           size_t count, struct toc_executor *x,
                           void (*on_failed)(void *ctx, size_t file, const char *why), void *ctx) {
    struct parts all = {.h = h, .failed_file = SIZE_MAX};
    size_t wave = PARTS_PER_WORKER * toc_executor_width(x);
    for (size_t i = 0; i < count; i++)
        cut_file(&all, files, i);
    for (; all.begin < all.items.count; all.begin += wave) {
        size_t n = TOC_MIN(wave, all.items.count - all.begin);
        toc_execute(x, n, read_part, &all);
        for (size_t i = 0; i < n; i++)
            join(&all, &all.items.items[all.begin + i], on_failed, ctx);
    }
    TOC_VEC_FINI(&all.items);
}
