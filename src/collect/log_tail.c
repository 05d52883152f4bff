#include "collect/log_tail.h"
#include "collect/sealed_state.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/vec.h"

enum {
    CHUNK_BYTES = 256 << 10,
    PATH_BYTES_MAX = 1024,
    PARTS_MAX = 32,
    MAGIC = 0x4c474f4c, /* "LOGL" */
    MAX_FILES = 4096,
    LOOK_MS = 5000,
};

struct followed {
    char *path;
    uint64_t inode, offset;
    size_t pattern;
    void *file;            /* the owner's */
    struct toc_file *open; /* kept open: a rotated file is read to its end */
    bool is_seen;
};

struct place {
    char *path;
    uint64_t inode, offset;
};

struct toc_log_tail {
    struct toc_log_tail_options o;
    TOC_VEC(struct followed *) files;
    struct toc_map by_path;
    TOC_VEC(struct place) stored; /* from before the restart, until the first look */
    bool has_looked, has_stored;
    int64_t next_look_ms;
    size_t left_bytes; /* of this poll */
    size_t first;      /* where this poll begins: all files get their turn */
    char *chunk;
    struct toc_log_tail_counters counters;
};

struct toc_log_tail *toc_log_tail_new(const struct toc_log_tail_options *o) {
    struct toc_log_tail *t = TOC_NEW(struct toc_log_tail);
    t->o = *o;
    t->o.vfs = o->vfs ? o->vfs : toc_vfs_system();
    t->o.max_files = o->max_files ? o->max_files : MAX_FILES;
    t->o.look_every_ms = o->look_every_ms ? o->look_every_ms : LOOK_MS;
    t->chunk = toc_xalloc(CHUNK_BYTES);
    return t;
}

static void close_followed(struct toc_log_tail *t, struct followed *f) {
    toc_map_remove(&t->by_path, toc_sv_cstr(f->path));
    t->o.on_close(t->o.ctx, f->file);
    if (f->open)
        toc_file_close(t->o.vfs, &f->open);
    toc_free(f->path);
    toc_free(f);
}

static void forget_stored(struct toc_log_tail *t) {
    for (size_t i = 0; i < t->stored.count; i++)
        toc_free(t->stored.items[i].path);
    TOC_VEC_FINI(&t->stored);
}

void toc_log_tail_free(struct toc_log_tail **t) {
    if (!t || !*t)
        return;
    for (size_t i = 0; i < (*t)->files.count; i++)
        close_followed(*t, (*t)->files.items[i]);
    TOC_VEC_FINI(&(*t)->files);
    toc_map_fini(&(*t)->by_path);
    forget_stored(*t);
    toc_free((*t)->chunk);
    toc_free(*t);
    *t = NULL;
}

struct toc_log_tail_counters toc_log_tail_counters(const struct toc_log_tail *t) {
    struct toc_log_tail_counters c = t->counters;
    c.files = t->files.count;
    return c;
}

static void complain(struct toc_log_tail *t, const char *path, int rc) {
    t->counters.unreadable++;
    snprintf(t->counters.last_error, sizeof t->counters.last_error, "%.150s: %.80s", path,
             toc_strerror(rc));
}

/* ------------------------------------------------------------------------------------ new files
 */

/* Where a file that nobody follows yet is read from. */
static uint64_t first_offset(const struct toc_log_tail *t, const char *path,
                             const struct toc_file_info *info) {
    for (size_t i = 0; i < t->stored.count; i++) {
        const struct place *p = &t->stored.items[i];
        bool is_same = p->inode == info->inode && p->offset <= info->size_bytes;
        if (is_same && (strcmp(p->path, path) == 0 || !t->has_looked))
            return p->offset;
    }
    /* History is not news; what was written while the daemon was down is. */
    return t->has_looked || t->has_stored ? 0 : info->size_bytes;
}

static void follow(struct toc_log_tail *t, const char *path, size_t pattern) {
    struct toc_file_info info;
    struct followed *f = toc_map_get(&t->by_path, toc_sv_cstr(path));
    if (f) {
        f->is_seen = true;
        return;
    }
    if (t->o.vfs->info(t->o.vfs, path, &info) || info.is_dir)
        return;
    if (t->files.count >= t->o.max_files) {
        t->counters.files_over_limit++;
        return;
    }
    f = TOC_NEW(struct followed);
    f->path = toc_xstrdup(path);
    f->inode = info.inode;
    f->offset = first_offset(t, path, &info);
    f->pattern = pattern;
    f->is_seen = true;
    t->o.on_open(t->o.ctx, path, pattern, &f->file);
    TOC_VEC_PUSH(&t->files, f);
    toc_map_put(&t->by_path, toc_sv_cstr(path), f);
}

/* --------------------------------------------------------------------------------------- patterns
 */

static bool is_wild(struct toc_sv part) {
    for (size_t i = 0; i < part.n; i++)
        if (part.p[i] == '*' || part.p[i] == '?' || part.p[i] == '{')
            return true;
    return false;
}

/* {field} and * take anything. Without recursion: the last star is tried again further on. */
static bool fits(struct toc_sv pattern, struct toc_sv name) {
    size_t p = 0, n = 0, star = SIZE_MAX, again = 0;
    while (n < name.n) {
        bool is_star = p < pattern.n && (pattern.p[p] == '*' || pattern.p[p] == '{');
        if (is_star) {
            size_t end =
                pattern.p[p] == '*' ? 0 : toc_sv_find_char(toc_sv_sub(pattern, p, SIZE_MAX), '}');
            p += end == SIZE_MAX ? pattern.n - p : end + 1;
            star = p, again = n;
        } else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == name.p[n])) {
            p++, n++;
        } else if (star != SIZE_MAX) {
            p = star, n = ++again;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

struct walk {
    struct toc_log_tail *t;
    struct toc_sv parts[PARTS_MAX];
    size_t part_count, pattern;
};
struct level {
    struct walk *w;
    const char *dir;
    size_t depth;
};

static void descend(struct walk *w, const char *dir, size_t depth);

static int on_name(void *ctx, const char *name) {
    struct level *l = ctx;
    char path[PATH_BYTES_MAX];
    bool is_hidden = name[0] == '.' && l->w->parts[l->depth].p[0] != '.';
    if (!is_hidden && fits(l->w->parts[l->depth], toc_sv_cstr(name)) &&
        snprintf(path, sizeof path, "%s/%s", l->dir, name) < (int)sizeof path)
        descend(l->w, path, l->depth + 1);
    return 0;
}

/* Depth is bounded by the parts of the pattern. */
static void descend(struct walk *w, const char *dir, size_t depth) {
    struct toc_log_tail *t = w->t;
    char path[PATH_BYTES_MAX];
    if (depth == w->part_count) {
        follow(t, dir, w->pattern);
    } else if (is_wild(w->parts[depth])) {
        struct level l = {w, dir, depth};
        int rc = t->o.vfs->list(t->o.vfs, dir[0] ? dir : "/", on_name, &l);
        if (rc < 0 && rc != TOC_ENOENT && rc != -20) /* a file where a folder was looked for */
            complain(t, dir, rc);
    } else if (snprintf(path, sizeof path, "%s/%.*s", dir, TOC_SV_ARG(w->parts[depth])) <
               (int)sizeof path) {
        if (depth + 1 < w->part_count || toc_vfs_exists(t->o.vfs, path))
            descend(w, path, depth + 1);
    }
}

static void look(struct toc_log_tail *t) {
    for (size_t i = 0; i < t->files.count; i++)
        t->files.items[i]->is_seen = false;
    t->counters.files_over_limit = 0;
    for (size_t i = 0; i < t->o.pattern_count; i++) {
        struct walk w = {.t = t, .pattern = i};
        struct toc_sv rest = toc_sv_cstr(t->o.patterns[i]), part;
        bool is_absolute = rest.n && rest.p[0] == '/';
        while (w.part_count < PARTS_MAX && toc_sv_split(&rest, '/', &part))
            if (part.n && !toc_sv_eq_cstr(part, "."))
                w.parts[w.part_count++] = part;
        descend(&w, is_absolute ? "" : ".", 0);
    }
    t->has_looked = true;
    forget_stored(t);
}

/* ---------------------------------------------------------------------------------------- reading
 */

static void drain(struct toc_log_tail *t, struct followed *f) {
    size_t left = TOC_LOG_TAIL_FILE_BYTES_PER_POLL;
    while (left && t->left_bytes) {
        size_t want = TOC_MIN(TOC_MIN(left, t->left_bytes), (size_t)CHUNK_BYTES);
        int64_t got = t->o.vfs->pread(t->o.vfs, f->open, t->chunk, want, f->offset);
        if (got < 0)
            complain(t, f->path, (int)got);
        if (got <= 0)
            return;
        f->offset += (uint64_t)got;
        t->counters.bytes += (uint64_t)got;
        left -= (size_t)got, t->left_bytes -= (size_t)got;
        t->o.on_bytes(t->o.ctx, f->file, toc_sv_make(t->chunk, (size_t)got));
        if ((size_t)got < want)
            return;
    }
}

static void begin_again(struct toc_log_tail *t, struct followed *f, uint64_t inode) {
    f->inode = inode;
    f->offset = 0;
    if (f->open)
        toc_file_close(t->o.vfs, &f->open);
    t->o.on_restart(t->o.ctx, f->file);
}

/* Opens on the first need; false when it cannot be. */
static bool is_open(struct toc_log_tail *t, struct followed *f) {
    int rc = f->open ? 0 : toc_file_open(t->o.vfs, f->path, TOC_OPEN_READ, &f->open);
    if (rc < 0 && rc != TOC_ENOENT)
        complain(t, f->path, rc);
    return rc == 0;
}

/* True while the file is there, under its name or, open, without one. */
static void read_followed(struct toc_log_tail *t, struct followed *f) {
    struct toc_file_info info;
    bool is_there = t->o.vfs->info(t->o.vfs, f->path, &info) == 0 && !info.is_dir;
    if (f->open && (!is_there || info.inode != f->inode))
        drain(t, f); /* the rest of what was rotated away */
    if (!is_there)
        return;
    if (info.inode != f->inode) {
        t->counters.rotations++;
        begin_again(t, f, info.inode);
    } else if (info.size_bytes < f->offset) {
        t->counters.truncations++;
        begin_again(t, f, info.inode);
    }
    if (info.size_bytes > f->offset && is_open(t, f))
        drain(t, f);
    t->counters.behind_bytes += info.size_bytes > f->offset ? info.size_bytes - f->offset : 0;
}

static void forget_unseen(struct toc_log_tail *t) {
    size_t kept = 0;
    for (size_t i = 0; i < t->files.count; i++) {
        struct followed *f = t->files.items[i];
        if (f->is_seen || toc_vfs_exists(t->o.vfs, f->path))
            t->files.items[kept++] = f;
        else
            close_followed(t, f);
    }
    t->files.count = kept;
}

void toc_log_tail_poll(struct toc_log_tail *t, struct toc_ts now) {
    bool is_time_to_look = now.ms >= t->next_look_ms || now.ms < t->next_look_ms - 86400000;
    if (is_time_to_look) {
        t->next_look_ms = now.ms + t->o.look_every_ms;
        look(t);
    }
    t->left_bytes = TOC_LOG_TAIL_BYTES_PER_POLL;
    t->counters.behind_bytes = 0;
    size_t count = t->files.count;
    for (size_t i = 0; i < count; i++)
        read_followed(t, t->files.items[(t->first + i) % count]);
    t->first = count ? (t->first + 1) % count : 0;
    if (is_time_to_look)
        forget_unseen(t);
}

/* ------------------------------------------------------------------------------------------ state
 */

void toc_log_tail_save(const struct toc_log_tail *t, struct toc_buf *out) {
    size_t start = out->n;
    toc_buf_append_u32(out, MAGIC);
    toc_buf_append_varint(out, t->files.count);
    for (size_t i = 0; i < t->files.count; i++) {
        const struct followed *f = t->files.items[i];
        toc_buf_append_varint(out, strlen(f->path));
        toc_buf_append_cstr(out, f->path);
        toc_buf_append_varint(out, f->inode);
        toc_buf_append_varint(out, f->offset);
    }
    toc_sealed_state_end(out, start);
}

int toc_log_tail_restore(struct toc_log_tail *t, struct toc_sv bytes) {
    struct toc_reader r;
    if (toc_sealed_state_open(bytes, MAGIC, &r))
        return TOC_ECORRUPT;
    uint64_t count = toc_read_varint(&r);
    for (uint64_t i = 0; i < count && !r.error && i < t->o.max_files; i++) {
        struct toc_sv path = toc_read_string(&r);
        struct place p = {.inode = toc_read_varint(&r)};
        p.offset = toc_read_varint(&r);
        if (r.error)
            break;
        p.path = toc_sv_dup_cstr(path);
        TOC_VEC_PUSH(&t->stored, p);
    }
    if (r.error) {
        forget_stored(t);
        return TOC_ECORRUPT;
    }
    t->has_stored = true;
    return 0;
}
