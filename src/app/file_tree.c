#include "app/file_tree.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

enum { COPY_BYTES = 1 << 20 };

struct listing {
    struct toc_vfs *vfs;
    const char *root, *dir; /* the folder at hand, relative */
    struct toc_tree *tree;
};

static int take_entry(void *ctx, const char *name) {
    struct listing *l = ctx;
    struct toc_file_info info;
    if (l->tree->files.count + l->tree->dirs.count >= TOC_TREE_ENTRIES_MAX)
        return TOC_ELIMIT;
    char *path = l->dir[0] ? toc_xprintf("%s/%s", l->dir, name) : toc_xstrdup(name);
    char *full = toc_xprintf("%s/%s", l->root, path);
    int rc = l->vfs->info(l->vfs, full, &info);
    toc_free(full);
    if (rc) {
        toc_free(path);
        return rc == TOC_ENOENT ? 0 : rc; /* gone meanwhile */
    }
    if (info.is_dir) {
        TOC_VEC_PUSH(&l->tree->dirs, path);
    } else {
        struct toc_tree_file f = {path, info.size_bytes};
        TOC_VEC_PUSH(&l->tree->files, f);
        l->tree->bytes += info.size_bytes;
    }
    return 0;
}

int toc_tree_list(struct toc_vfs *vfs, const char *root, struct toc_tree *out) {
    int rc = 0;
    *out = (struct toc_tree){0};
    TOC_VEC_PUSH(&out->dirs, toc_xstrdup(""));
    for (size_t i = 0; i < out->dirs.count && !rc; i++) { /* grows on the way */
        struct listing l = {vfs, root, out->dirs.items[i], out};
        char *path = toc_xprintf("%s/%s", root, l.dir);
        rc = vfs->list(vfs, path, take_entry, &l);
        toc_free(path);
    }
    return rc;
}

void toc_tree_fini(struct toc_tree *t) {
    for (size_t i = 0; i < t->files.count; i++)
        toc_free(t->files.items[i].path);
    for (size_t i = 0; i < t->dirs.count; i++)
        toc_free(t->dirs.items[i]);
    TOC_VEC_FINI(&t->files);
    TOC_VEC_FINI(&t->dirs);
}

static void remove_one(struct toc_vfs *vfs, const char *root, const char *path) {
    char *full = path[0] ? toc_xprintf("%s/%s", root, path) : toc_xstrdup(root);
    (void)vfs->remove(vfs, full); /* what stays is found by the next try */
    toc_free(full);
}

void toc_tree_remove(struct toc_vfs *vfs, const char *root) {
    struct toc_tree t;
    int rc = toc_tree_list(vfs, root, &t);
    (void)rc; /* what could be listed goes */
    for (size_t i = 0; i < t.files.count; i++)
        remove_one(vfs, root, t.files.items[i].path);
    for (size_t i = t.dirs.count; i-- > 0;)
        remove_one(vfs, root, t.dirs.items[i]);
    toc_tree_fini(&t);
}

static int copy_bytes(struct toc_tree_copy *c, struct toc_file *from, struct toc_file *to,
                      uint64_t *out_bytes, uint32_t *out_crc) {
    struct toc_buf b = TOC_BUF_INIT;
    char *room = toc_buf_reserve(&b, COPY_BYTES);
    int64_t got = room ? COPY_BYTES : TOC_ENOMEM;
    int rc = 0;
    *out_bytes = 0;
    *out_crc = 0;
    while (got == COPY_BYTES && !rc) {
        got = c->vfs->pread(c->vfs, from, room, COPY_BYTES, *out_bytes);
        if (got <= 0)
            break;
        int64_t put = to ? c->vfs->append(c->vfs, to, room, (size_t)got) : got;
        if (put != got)
            rc = put < 0 ? (int)put : TOC_EIO;
        *out_crc = toc_crc32c(*out_crc, room, (size_t)got);
        *out_bytes += (uint64_t)got;
        c->done += (uint64_t)got;
        toc_progress_at(c->progress, c->done, "");
    }
    toc_buf_fini(&b);
    return rc ? rc : got < 0 ? (int)got : 0;
}

int toc_tree_copy_file(struct toc_tree_copy *c, const char *from, const char *to,
                       uint64_t *out_bytes, uint32_t *out_crc) {
    struct toc_file *in = NULL, *out = NULL;
    int rc = toc_file_open(c->vfs, from, TOC_OPEN_READ, &in);
    if (!rc && to)
        rc = toc_file_open(c->vfs, to,
                           TOC_OPEN_WRITE | TOC_OPEN_CREATE | TOC_OPEN_EXCLUSIVE | TOC_OPEN_APPEND,
                           &out);
    if (!rc)
        rc = copy_bytes(c, in, out, out_bytes, out_crc);
    if (!rc && out)
        rc = c->vfs->sync(c->vfs, out);
    toc_file_close(c->vfs, &in);
    toc_file_close(c->vfs, &out);
    return rc;
}

char *toc_tree_parent(const char *path) {
    size_t n = strlen(path);
    while (n && path[n - 1] == '/')
        n--;
    while (n && path[n - 1] != '/')
        n--;
    return n ? toc_xprintf("%.*s", (int)n, path) : toc_xstrdup(".");
}
