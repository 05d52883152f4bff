#include "collect/run_tail.h"
#include "collect/sealed_state.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/vec.h"
#include "sys/log.h"

enum {
    CHUNK_BYTES = 512 << 10,
    CHUNKS_PER_POLL = 8,
    LINE_MAX_BYTES = 256 << 10,
    PATH_MAX_BYTES = 4096,
    MAGIC = 0x4c494154, /* "TAIL" */
};

struct tailed {
    char *path;
    uint64_t inode, offset;
    int64_t line;                      /* number of the next line */
    struct toc_buf header;             /* CSV: first line, with its newline */
    bool is_csv, is_seen, is_too_long; /* inside a line beyond the limit */
};

struct toc_run_tail {
    struct toc_vfs *vfs;
    struct toc_run_receiver *receiver;
    size_t max_files;
    struct {
        TOC_VEC_FIELDS(char *)
    } dirs;
    struct {
        TOC_VEC_FIELDS(struct tailed *)
    } files;
    struct toc_buf chunk, body;
    struct toc_run_tail_counters counters;
};

struct toc_run_tail *toc_run_tail_new(const struct toc_run_tail_options *o) {
    struct toc_run_tail *t = TOC_NEW(struct toc_run_tail);
    t->vfs = o->vfs ? o->vfs : toc_vfs_system();
    t->receiver = o->receiver;
    t->max_files = o->max_files ? o->max_files : 256;
    for (size_t i = 0; i < o->dir_count; i++)
        TOC_VEC_PUSH(&t->dirs, toc_xstrdup(o->dirs[i]));
    return t;
}

static void tailed_free(struct tailed *f) {
    toc_buf_fini(&f->header);
    toc_free(f->path);
    toc_free(f);
}

void toc_run_tail_free(struct toc_run_tail **t) {
    if (!t || !*t)
        return;
    for (size_t i = 0; i < (*t)->files.count; i++)
        tailed_free((*t)->files.items[i]);
    for (size_t i = 0; i < (*t)->dirs.count; i++)
        toc_free((*t)->dirs.items[i]);
    TOC_VEC_FINI(&(*t)->files);
    TOC_VEC_FINI(&(*t)->dirs);
    toc_buf_fini(&(*t)->chunk);
    toc_buf_fini(&(*t)->body);
    toc_free(*t);
    *t = NULL;
}

struct toc_run_tail_counters toc_run_tail_counters(const struct toc_run_tail *t) {
    struct toc_run_tail_counters c = t->counters;
    c.files = t->files.count;
    return c;
}

static void restart(struct tailed *f, uint64_t inode) {
    f->inode = inode;
    f->offset = 0;
    f->line = 1;
    f->is_too_long = false;
    toc_buf_reset(&f->header);
}

static struct tailed *file_by_path(struct toc_run_tail *t, const char *path) {
    for (size_t i = 0; i < t->files.count; i++)
        if (strcmp(t->files.items[i]->path, path) == 0)
            return t->files.items[i];
    return NULL;
}

/* A path seen for the first time: a rotated file keeps its place. */
static struct tailed *file_new(struct toc_run_tail *t, const char *path,
                               const struct toc_file_info *info) {
    if (t->files.count >= t->max_files) {
        t->counters.files_over_limit++;
        return NULL;
    }
    struct tailed *f = TOC_NEW(struct tailed);
    f->path = toc_xstrdup(path);
    f->is_csv = toc_sv_ends_with(toc_sv_cstr(path), TOC_SV(".csv"));
    restart(f, info->inode);
    for (size_t i = 0; i < t->files.count; i++) {
        const struct tailed *twin = t->files.items[i];
        if (twin->inode != info->inode || twin->offset > info->size_bytes)
            continue;
        f->offset = twin->offset;
        f->line = twin->line;
        toc_buf_append_sv(&f->header, toc_buf_sv(&twin->header));
        break;
    }
    TOC_VEC_PUSH(&t->files, f);
    return f;
}

/* The file that had this path was renamed or removed. Its new name may come later in the same
 * listing: what is known of it stays under no name until the poll ends. */
static void leave_ghost(struct toc_run_tail *t, const struct tailed *f) {
    struct tailed *ghost = TOC_NEW(struct tailed);
    ghost->path = toc_xstrdup("");
    ghost->inode = f->inode;
    ghost->offset = f->offset;
    ghost->line = f->line;
    toc_buf_append_sv(&ghost->header, toc_buf_sv(&f->header));
    TOC_VEC_PUSH(&t->files, ghost);
}

static struct toc_sv run_name(const struct tailed *f) {
    const char *slash = strrchr(f->path, '/');
    struct toc_sv name = toc_sv_cstr(slash ? slash + 1 : f->path);
    return toc_sv_sub(name, 0, name.n - (f->is_csv ? 4 : 6)); /* .csv, .jsonl */
}

static int put(struct toc_run_tail *t, const struct tailed *f, struct toc_sv lines, int64_t first,
               struct toc_ts now, struct toc_err *err) {
    struct toc_run_body body = {
        .run = run_name(f),
        .format = f->is_csv ? TOC_RUN_CSV : TOC_RUN_JSONL,
        .bytes = lines,
        .is_file = true,
        .first_line = (int)(first > INT32_MAX ? INT32_MAX
                            : first < 1       ? 1
                                              : first),
    };
    if (f->is_csv) { /* every body carries its header */
        toc_buf_reset(&t->body);
        toc_buf_append_sv(&t->body, toc_buf_sv(&f->header));
        toc_buf_append_sv(&t->body, lines);
        body.bytes = toc_buf_sv(&t->body);
        body.first_line = body.first_line > 1 ? body.first_line - 1 : 1;
    }
    return toc_run_receiver_put(t->receiver, &body, now, err);
}

static void skip_line(struct toc_run_tail *t, const struct tailed *f, const char *why) {
    t->counters.lines_skipped++;
    snprintf(t->counters.last_error, sizeof t->counters.last_error, "%.100s: %.150s", f->path, why);
    toc_log(TOC_LOG_DEBUG, "runs", "%s: line skipped: %s", f->path, why);
}

/* After a refused body: each line alone, so that one bad line costs itself only. */
static int put_each(struct toc_run_tail *t, struct tailed *f, struct toc_sv lines,
                    struct toc_ts now, struct toc_err *err) {
    struct toc_sv line;
    while (lines.n && toc_sv_split(&lines, '\n', &line)) {
        struct toc_err why = {0};
        int rc = put(t, f, line, f->line, now, &why);
        if (rc && rc != TOC_EPARSE && rc != TOC_ELIMIT)
            return toc_errf(err, rc, "%s", why.message);
        if (rc)
            skip_line(t, f, why.message);
        f->line++;
        f->offset += line.n + 1;
    }
    return 0;
}

static int64_t count_lines(struct toc_sv s) {
    int64_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '\n';
    return n;
}

/* Complete lines, each with its newline. */
static int take_lines(struct toc_run_tail *t, struct tailed *f, struct toc_sv lines,
                      struct toc_ts now, struct toc_err *err) {
    if (f->is_csv && f->offset == 0) {
        size_t end = toc_sv_find_char(lines, '\n') + 1;
        toc_buf_reset(&f->header);
        toc_buf_append_sv(&f->header, toc_sv_sub(lines, 0, end));
        f->offset = end;
        f->line = 2;
        lines = toc_sv_sub(lines, end, SIZE_MAX);
    }
    if (!lines.n)
        return 0;
    struct toc_err why = {0};
    int rc = put(t, f, lines, f->line, now, &why);
    if (rc == TOC_EPARSE || rc == TOC_ELIMIT)
        return put_each(t, f, lines, now, err);
    if (rc)
        return toc_errf(err, rc, "%s", why.message);
    f->offset += lines.n;
    f->line += count_lines(lines);
    return 0;
}

static size_t last_newline(struct toc_sv s) {
    size_t n = s.n;
    while (n > 0 && s.p[n - 1] != '\n')
        n--;
    return n;
}

/* Leaves the rest of a line that is longer than any line may be. */
static void leave_long_line(struct toc_run_tail *t, struct tailed *f, struct toc_sv chunk) {
    size_t at = toc_sv_find_char(chunk, '\n');
    if (!f->is_too_long)
        skip_line(t, f, "longer than 262144 bytes");
    f->is_too_long = at == SIZE_MAX;
    f->offset += at == SIZE_MAX ? chunk.n : at + 1;
    f->line += at != SIZE_MAX;
}

/* One chunk; *out_more says whether another may follow at once. */
static int take_chunk(struct toc_run_tail *t, struct tailed *f, struct toc_file *file,
                      struct toc_ts now, bool *out_more, struct toc_err *err) {
    toc_buf_reset(&t->chunk);
    char *to = toc_buf_reserve(&t->chunk, CHUNK_BYTES);
    int64_t got = to ? t->vfs->pread(t->vfs, file, to, CHUNK_BYTES, f->offset) : TOC_ENOMEM;
    *out_more = got == CHUNK_BYTES;
    if (got <= 0)
        return 0; /* an unreadable file is looked at again; its absence shows in `runs` */
    struct toc_sv chunk = toc_sv_make(to, (size_t)got);
    size_t whole = last_newline(chunk);
    if (f->is_too_long || (whole == 0 && chunk.n > LINE_MAX_BYTES)) {
        leave_long_line(t, f, chunk);
        return 0;
    }
    return whole ? take_lines(t, f, toc_sv_sub(chunk, 0, whole), now, err) : 0;
}

static int read_file(struct toc_run_tail *t, struct tailed *f, struct toc_ts now,
                     struct toc_err *err) {
    struct toc_file *file = NULL;
    if (toc_file_open(t->vfs, f->path, TOC_OPEN_READ, &file))
        return 0;
    bool has_more = true;
    int rc = 0;
    for (int i = 0; !rc && has_more && i < CHUNKS_PER_POLL; i++)
        rc = take_chunk(t, f, file, now, &has_more, err);
    toc_file_close(t->vfs, &file);
    return rc;
}

struct listing {
    struct toc_run_tail *t;
    const char *dir;
    struct toc_ts now;
    struct toc_err *err;
    int rc;
};

static void look_at(struct listing *l, const char *path) {
    struct toc_file_info info;
    if (l->t->vfs->info(l->t->vfs, path, &info) || info.is_dir)
        return;
    struct tailed *f = file_by_path(l->t, path);
    if (!f && !(f = file_new(l->t, path, &info)))
        return;
    f->is_seen = true;
    if (f->inode != info.inode)
        leave_ghost(l->t, f);
    if (f->inode != info.inode || info.size_bytes < f->offset)
        restart(f, info.inode);
    int rc = info.size_bytes > f->offset ? read_file(l->t, f, l->now, l->err) : 0;
    l->rc = l->rc ? l->rc : rc;
}

static int on_name(void *ctx, const char *name) {
    struct listing *l = ctx;
    struct toc_sv n = toc_sv_cstr(name);
    char path[PATH_MAX_BYTES];
    bool is_csv = toc_sv_ends_with(n, TOC_SV(".csv")) && n.n > 4;
    bool is_jsonl = toc_sv_ends_with(n, TOC_SV(".jsonl")) && n.n > 6;
    if ((is_csv || is_jsonl) && name[0] != '.' &&
        snprintf(path, sizeof path, "%s/%s", l->dir, name) < (int)sizeof path)
        look_at(l, path);
    return 0;
}

static void forget_unseen(struct toc_run_tail *t) {
    size_t kept = 0;
    for (size_t i = 0; i < t->files.count; i++) {
        if (t->files.items[i]->is_seen)
            t->files.items[kept++] = t->files.items[i];
        else
            tailed_free(t->files.items[i]);
    }
    t->files.count = kept;
}

int toc_run_tail_poll(struct toc_run_tail *t, struct toc_ts now, struct toc_err *err) {
    struct listing l = {.t = t, .now = now, .err = err};
    for (size_t i = 0; i < t->files.count; i++)
        t->files.items[i]->is_seen = false;
    t->counters.files_over_limit = 0;
    bool is_complete = true;
    for (size_t i = 0; i < t->dirs.count; i++) {
        l.dir = t->dirs.items[i];
        int rc = t->vfs->list(t->vfs, l.dir, on_name, &l);
        is_complete &= rc == 0 || rc == TOC_ENOENT;
    }
    if (is_complete) /* a folder that could not be listed keeps its offsets */
        forget_unseen(t);
    return l.rc;
}

void toc_run_tail_save(const struct toc_run_tail *t, struct toc_buf *out) {
    size_t start = out->n;
    toc_buf_append_u32(out, MAGIC);
    toc_buf_append_varint(out, t->files.count);
    for (size_t i = 0; i < t->files.count; i++) {
        const struct tailed *f = t->files.items[i];
        toc_sealed_state_string(out, toc_sv_cstr(f->path));
        toc_buf_append_varint(out, f->inode);
        toc_buf_append_varint(out, f->offset);
        toc_buf_append_zigzag(out, f->line);
        toc_sealed_state_string(out, toc_buf_sv(&f->header));
    }
    toc_sealed_state_end(out, start);
}

static void restore_file(struct toc_run_tail *t, struct toc_reader *r) {
    struct toc_sv path = toc_read_string(r);
    struct tailed *f = TOC_NEW(struct tailed);
    f->path = toc_sv_dup_cstr(path);
    f->is_csv = toc_sv_ends_with(path, TOC_SV(".csv"));
    f->inode = toc_read_varint(r);
    f->offset = toc_read_varint(r);
    f->line = toc_read_zigzag(r);
    toc_buf_append_sv(&f->header, toc_read_string(r));
    if (r->error || path.n < 7 || t->files.count >= t->max_files)
        tailed_free(f);
    else
        TOC_VEC_PUSH(&t->files, f);
}

int toc_run_tail_restore(struct toc_run_tail *t, struct toc_sv bytes) {
    struct toc_reader r;
    if (toc_sealed_state_open(bytes, MAGIC, &r))
        return TOC_ECORRUPT;
    uint64_t count = toc_read_varint(&r);
    for (uint64_t i = 0; i < count && !r.error; i++)
        restore_file(t, &r);
    return r.error ? TOC_ECORRUPT : 0;
}
