#include "collect/run_dirs.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

enum { DEFAULT_ENTRIES = 20000, DEFAULT_DEPTH = 8, PATH_MAX_BYTES = 4096 };
static const size_t ARENA_BYTES = (size_t)128 << 20;

/* A folder to be listed. */
struct folder {
    const char *path;
    size_t root_n; /* bytes of its path that belong to the watched folder */
    size_t depth;
};

struct toc_run_dirs {
    struct toc_vfs *vfs;
    size_t max_entries, max_depth;
    TOC_VEC(char *) dirs;
    /* the listing at hand */
    struct toc_arena arena;
    TOC_VEC(struct folder) folders;
    TOC_VEC(const char *) names;
    TOC_VEC(struct toc_run_dirs_file) files;
    size_t entries, over_limit;
};

struct toc_run_dirs *toc_run_dirs_new(const struct toc_run_dirs_options *o) {
    struct toc_run_dirs *d = TOC_NEW(struct toc_run_dirs);
    d->vfs = o->vfs ? o->vfs : toc_vfs_system();
    d->max_entries = o->max_entries ? o->max_entries : DEFAULT_ENTRIES;
    d->max_depth = o->max_depth ? o->max_depth : DEFAULT_DEPTH;
    for (size_t i = 0; i < o->dir_count; i++)
        TOC_VEC_PUSH(&d->dirs, toc_xstrdup(o->dirs[i]));
    toc_arena_init(&d->arena, ARENA_BYTES);
    return d;
}

void toc_run_dirs_free(struct toc_run_dirs **dirs) {
    struct toc_run_dirs *d = dirs ? *dirs : NULL;
    if (!d)
        return;
    for (size_t i = 0; i < d->dirs.count; i++)
        toc_free(d->dirs.items[i]);
    TOC_VEC_FINI(&d->dirs);
    TOC_VEC_FINI(&d->folders);
    TOC_VEC_FINI(&d->names);
    TOC_VEC_FINI(&d->files);
    toc_arena_fini(&d->arena);
    toc_free(d);
    *dirs = NULL;
}

static int on_name(void *ctx, const char *name) {
    struct toc_run_dirs *d = ctx;
    if (name[0] == '.')
        return 0;
    const char *copy = NULL;
    if (d->entries < d->max_entries)
        copy = toc_arena_dup_sv(&d->arena, toc_sv_cstr(name)).p;
    if (!copy) {
        d->over_limit++;
        return 0;
    }
    d->entries++;
    TOC_VEC_PUSH(&d->names, copy);
    return 0;
}

static void add_file(struct toc_run_dirs *d, const struct folder *f, const char *path,
                     const struct toc_file_info *info) {
    struct toc_sv root = toc_sv_make(f->path, f->root_n);
    while (root.n > 1 && root.p[root.n - 1] == '/')
        root.n--;
    size_t slash = root.n;
    while (slash > 0 && root.p[slash - 1] != '/')
        slash--;
    TOC_VEC_PUSH(&d->files,
                 ((struct toc_run_dirs_file){.path = path,
                                             .relative = toc_sv_cstr(path + f->root_n + 1),
                                             .root = toc_sv_sub(root, slash, SIZE_MAX),
                                             .info = *info}));
}

static void look_at(struct toc_run_dirs *d, const struct folder *f, const char *name) {
    char path[PATH_MAX_BYTES];
    struct toc_file_info info;
    int n = snprintf(path, sizeof path, "%s/%s", f->path, name);
    if (n >= (int)sizeof path || d->vfs->info(d->vfs, path, &info))
        return; /* gone meanwhile, or nobody may read it */
    const char *copy = toc_arena_dup_sv(&d->arena, toc_sv_make(path, (size_t)n)).p;
    if (!copy)
        d->over_limit++;
    else if (!info.is_dir)
        add_file(d, f, copy, &info);
    else if (f->depth == d->max_depth)
        d->over_limit++;
    else
        TOC_VEC_PUSH(&d->folders, ((struct folder){copy, f->root_n, f->depth + 1}));
}

static int by_path(const void *a, const void *b) {
    const struct toc_run_dirs_file *x = a, *y = b;
    return strcmp(x->path, y->path);
}

struct toc_run_dirs_listing toc_run_dirs_list(struct toc_run_dirs *d) {
    bool is_complete = true;
    toc_arena_reset(&d->arena);
    d->folders.count = d->files.count = 0;
    d->entries = d->over_limit = 0;
    for (size_t i = 0; i < d->dirs.count; i++)
        TOC_VEC_PUSH(&d->folders, ((struct folder){d->dirs.items[i], strlen(d->dirs.items[i]), 0}));
    for (size_t i = 0; i < d->folders.count; i++) {
        struct folder f = d->folders.items[i]; /* the list grows */
        d->names.count = 0;
        int rc = d->vfs->list(d->vfs, f.path, on_name, d);
        is_complete &= rc == 0 || (rc == TOC_ENOENT && f.depth == 0);
        for (size_t k = 0; k < d->names.count; k++)
            look_at(d, &f, d->names.items[k]);
    }
    if (d->files.count)
        qsort(d->files.items, d->files.count, sizeof d->files.items[0], by_path);
    return (struct toc_run_dirs_listing){
        .files = d->files.items,
        .count = d->files.count,
        .is_complete = is_complete && !d->over_limit,
        .over_limit = d->over_limit,
    };
}
