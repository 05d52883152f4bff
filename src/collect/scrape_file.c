/* Discovery by files: patterns, changes, and the last good content of each file. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/yaml.h"
#include "collect/scrape_priv.h"
#include "sys/log.h"

enum { FILE_BYTES_MAX = 4 << 20, FILES_MAX = 10000, ARENA_BYTES = 64 << 20 };

void toc_scrape_files_init(struct scrape_files *f, struct toc_vfs *vfs) {
    *f = (struct scrape_files){.vfs = vfs};
}

static void file_free(struct scrape_file *file) {
    toc_shared_groups_fini(&file->groups);
    toc_free(file->path);
    toc_free(file);
}

void toc_scrape_files_fini(struct scrape_files *f) {
    size_t at = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&f->by_path, &at));)
        file_free(e->value);
    toc_map_fini(&f->by_path);
}

/* ------------------------------------------------------------------------------------------------
 * patterns */

/* '*' stands for any run, '?' for one character. */
static bool glob_matches(const char *pattern, const char *name) {
    const char *star = NULL, *resume = NULL;
    while (*name) {
        if (*pattern == '*') {
            star = ++pattern;
            resume = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star;
            name = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == 0;
}

struct paths {
    TOC_VEC_FIELDS(char *)
};

struct listing {
    struct paths *out;
    const char *folder, *pattern;
};

static int on_name(void *ctx, const char *name) {
    struct listing *l = ctx;
    if (!glob_matches(l->pattern, name))
        return 0;
    struct toc_buf path = TOC_BUF_INIT;
    toc_buf_printf(&path, "%s/%s", l->folder, name);
    TOC_VEC_PUSH(l->out, toc_buf_take(&path, NULL));
    return l->out->count >= FILES_MAX;
}

/* Paths that a pattern names now; a plain path names itself when it is there. */
static void expand(struct scrape_files *f, const char *pattern, struct paths *out) {
    const char *slash = strrchr(pattern, '/');
    const char *last = slash ? slash + 1 : pattern;
    if (!strpbrk(last, "*?")) {
        if (toc_vfs_exists(f->vfs, pattern))
            TOC_VEC_PUSH(out, toc_xstrdup(pattern));
        return;
    }
    char *folder =
        slash ? toc_sv_dup_cstr(toc_sv_make(pattern, (size_t)(slash - pattern))) : toc_xstrdup(".");
    struct listing l = {out, folder[0] ? folder : "/", last};
    int rc = f->vfs->list(f->vfs, l.folder, on_name, &l);
    if (rc < 0)
        toc_log(TOC_LOG_DEBUG, "scrape", "%s: %s", l.folder, toc_strerror(rc));
    toc_free(folder);
}

static void paths_fini(struct paths *p) {
    for (size_t i = 0; i < p->count; i++)
        toc_free(p->items[i]);
    TOC_VEC_FINI(p);
}

/* -------------------------------------------------------------------------------------------------
 * content */

static struct scrape_file *find_or_add(struct scrape_files *f, const char *path) {
    struct scrape_file *file = toc_map_get(&f->by_path, toc_sv_cstr(path));
    if (file)
        return file;
    file = TOC_NEW(struct scrape_file);
    file->path = toc_xstrdup(path);
    toc_map_put(&f->by_path, toc_sv_cstr(path), file);
    return file;
}

/* JSON is read by the YAML reader, whose flow style contains it. */
static int parse(struct toc_sv text, struct toc_arena *a, const struct toc_target_group **groups,
                 size_t *count, struct toc_err *err) {
    const struct toc_yaml *root;
    int rc = toc_yaml_parse(text, a, &root, err);
    if (rc == 0 && root->type == TOC_YAML_MAPPING && root->count == 0) {
        *count = 0; /* an empty file */
        return 0;
    }
    return rc ? rc : toc_scrape_groups_read(root, a, groups, count, err);
}

/* Copies that outlive the text, with the file's path as a label. */
static void share(const char *path, const struct toc_target_group *groups, size_t count,
                  struct toc_shared_groups *out) {
    struct toc_labels_builder labels = TOC_LABELS_BUILDER_INIT;
    for (size_t i = 0; i < count; i++) {
        struct toc_target_group g = groups[i];
        TOC_VEC_RESERVE(&labels, g.label_count + 1);
        labels.count = 0;
        for (size_t k = 0; k < g.label_count; k++)
            TOC_VEC_PUSH(&labels, g.labels[k]);
        TOC_VEC_PUSH(&labels, ((struct toc_label){TOC_SV("__meta_filepath"), toc_sv_cstr(path)}));
        g.labels = labels.items;
        g.label_count = labels.count;
        TOC_VEC_PUSH(out, toc_shared_group_new(&g));
    }
    toc_labels_builder_fini(&labels);
}

/* A group that is what it was stays the same object. */
static void keep_equal(struct toc_shared_groups *new, struct toc_shared_groups *old) {
    for (size_t i = 0; i < new->count &&i < old->count; i++) {
        if (!toc_target_group_eq(toc_shared_group_get(new->items[i]),
                                 toc_shared_group_get(old->items[i])))
            continue;
        struct toc_shared_group *same = old->items[i];
        old->items[i] = new->items[i];
        new->items[i] = same;
    }
}

static void load(struct scrape_files *f, struct scrape_file *file) {
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_err err = {0};
    struct toc_arena arena;
    const struct toc_target_group *groups = NULL;
    struct toc_shared_groups shared = {0};
    size_t count = 0;
    toc_arena_init(&arena, ARENA_BYTES);
    int rc = toc_vfs_read_file(f->vfs, file->path, FILE_BYTES_MAX, &text);
    if (rc < 0)
        rc = toc_errf(&err, rc, "%s", toc_strerror(rc));
    else
        rc = parse(toc_buf_sv(&text), &arena, &groups, &count, &err);
    file->is_bad = rc < 0;
    if (rc < 0) {
        f->errors++;
        toc_log(TOC_LOG_WARN, "scrape", "discovery file %s:%d:%d: %s; its last good targets stay",
                file->path, err.line, err.column, err.message);
    } else {
        share(file->path, groups, count, &shared);
        keep_equal(&shared, &file->groups);
        toc_shared_groups_fini(&file->groups);
        file->groups = shared;
    }
    toc_buf_fini(&text);
    toc_arena_fini(&arena);
}

/* Has the file another size, time or identity than last time? Remembers the new ones. */
static bool take_changes(struct scrape_files *f, struct scrape_file *file) {
    struct toc_file_info info = {0};
    int rc = f->vfs->info(f->vfs, file->path, &info);
    bool is_same = rc == 0 && file->mtime_ms == info.mtime_ms &&
                   file->size_bytes == info.size_bytes && file->inode == info.inode;
    file->mtime_ms = info.mtime_ms;
    file->size_bytes = info.size_bytes;
    file->inode = info.inode;
    return !is_same;
}

void toc_scrape_files_begin(struct scrape_files *f) {
    size_t at = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&f->by_path, &at));)
        ((struct scrape_file *)e->value)->is_seen = false;
}

void toc_scrape_files_forget(struct scrape_files *f) {
    struct paths gone = {0};
    size_t at = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&f->by_path, &at));) {
        struct scrape_file *file = e->value;
        if (!file->is_seen)
            TOC_VEC_PUSH(&gone, file->path);
    }
    for (size_t i = 0; i < gone.count; i++)
        file_free(toc_map_remove(&f->by_path, toc_sv_cstr(gone.items[i])));
    TOC_VEC_FINI(&gone);
}

void toc_scrape_files_groups(struct scrape_files *f, const struct toc_scrape_file_sd *sd,
                             struct toc_shared_groups *out) {
    for (size_t i = 0; i < sd->file_count; i++) {
        struct paths paths = {0};
        expand(f, sd->files[i].p, &paths);
        for (size_t j = 0; j < paths.count; j++) {
            struct scrape_file *file = find_or_add(f, paths.items[j]);
            file->is_seen = true;
            if (take_changes(f, file))
                load(f, file);
            for (size_t k = 0; k < file->groups.count; k++)
                TOC_VEC_PUSH(out, toc_shared_group_ref(file->groups.items[k]));
        }
        paths_fini(&paths);
    }
}

bool toc_scrape_files_changed(struct scrape_files *f, const struct toc_scrape_file_sd *sd) {
    bool has_changed = false;
    for (size_t i = 0; i < sd->file_count; i++) {
        struct paths paths = {0};
        expand(f, sd->files[i].p, &paths);
        for (size_t j = 0; j < paths.count; j++) {
            struct scrape_file *file = toc_map_get(&f->by_path, toc_sv_cstr(paths.items[j]));
            struct toc_file_info info = {0};
            int rc = f->vfs->info(f->vfs, paths.items[j], &info);
            has_changed = has_changed || !file || rc < 0 || file->mtime_ms != info.mtime_ms ||
                          file->size_bytes != info.size_bytes || file->inode != info.inode;
            if (file)
                file->is_seen = true;
        }
        paths_fini(&paths);
    }
    return has_changed;
}

bool toc_scrape_files_any_gone(const struct scrape_files *f) {
    size_t at = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&f->by_path, &at));)
        if (!((const struct scrape_file *)e->value)->is_seen)
            return true;
    return false;
}
