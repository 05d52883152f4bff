/* `tocsin db restore`: a data directory of a backup. */
#include <stdio.h>

#include "app/backup_manifest.h"
#include "app/command.h"
#include "app/db_command.h"
#include "app/file_tree.h"
#include "app/options.h"
#include "base/alloc.h"

static const char usage[] =
    "usage: tocsin db restore FOLDER [--data DIR]\n"
    "\n"
    "Makes DIR of a backup. Every file is checked against the manifest; DIR appears when all are\n"
    "right, or not at all. What is there is never overwritten. The configuration of the backup is\n"
    "put to DIR/config.\n"
    "\n"
    "  --data DIR   default ./tocsin-data; must not be there, or be empty\n";

struct restore {
    struct toc_vfs *vfs;
    const char *from, *target;
    char *partial; /* the directory while it is made */
    char *config;  /* of the backup, where it is now; NULL: none */
    struct toc_backup_manifest manifest;
    struct toc_progress progress;
    struct toc_tree_copy copy;
    struct toc_err err;
};

static int stop_at_first(void *ctx, const char *name) {
    (void)name;
    *(bool *)ctx = true;
    return 1;
}

static int refuse_what_is_there(struct restore *r) {
    bool has_entries = false;
    if (toc_vfs_exists(r->vfs, r->target)) {
        int rc = r->vfs->list(r->vfs, r->target, stop_at_first, &has_entries);
        if (has_entries)
            return toc_errf(&r->err, TOC_EEXIST, "%s is not empty: it is not overwritten",
                            r->target);
        if (rc)
            return toc_errf(&r->err, rc, "cannot list %s: %s", r->target, toc_strerror(rc));
    }
    if (toc_vfs_exists(r->vfs, r->partial))
        return toc_errf(&r->err, TOC_EEXIST,
                        "%s is there: another restore is at work, or was cut off; then remove it",
                        r->partial);
    return 0;
}

static int restore_file(struct restore *r, const struct toc_backup_file *f) {
    char *from = toc_xprintf("%s/%s", r->from, f->path);
    char *to = toc_xprintf("%s/%s", r->partial, f->path), *dir = toc_tree_parent(to);
    uint64_t bytes = 0;
    uint32_t crc = 0;
    int rc = toc_vfs_make_dirs(r->vfs, dir);
    if (!rc)
        rc = toc_tree_copy_file(&r->copy, from, to, &bytes, &crc);
    if (rc)
        toc_errf(&r->err, rc, "cannot copy %s to %s: %s", from, to, toc_strerror(rc));
    else if (bytes != f->bytes || crc != f->crc)
        rc = toc_errf(&r->err, TOC_ECORRUPT,
                      "%s is damaged: %llu bytes with checksum %08x, the manifest says %llu with "
                      "%08x; nothing was restored",
                      from, (unsigned long long)bytes, crc, (unsigned long long)f->bytes, f->crc);
    if (!rc && toc_sv_starts_with(toc_sv_cstr(f->path), TOC_SV("config/"))) {
        toc_free(r->config);
        r->config = toc_xprintf("%s/%s", r->target, f->path);
    }
    toc_free(from);
    toc_free(to);
    toc_free(dir);
    return rc;
}

/* The store wants its folders, also those that had nothing in them. */
static int make_store_dirs(struct restore *r) {
    static const char *const names[] = {"metrics/blocks", "metrics/wal"};
    int rc = 0;
    for (size_t i = 0; i < 2 && !rc; i++) {
        char *path = toc_xprintf("%s/%s", r->partial, names[i]);
        rc = toc_vfs_make_dirs(r->vfs, path);
        if (rc)
            toc_errf(&r->err, rc, "cannot make %s: %s", path, toc_strerror(rc));
        toc_free(path);
    }
    return rc;
}

static int publish(struct restore *r) {
    char *parent = toc_tree_parent(r->target);
    struct toc_tree made;
    int rc = toc_tree_list(r->vfs, r->partial, &made);
    for (size_t i = 0; i < made.dirs.count && !rc; i++) {
        char *dir = toc_xprintf("%s/%s", r->partial, made.dirs.items[i]);
        rc = r->vfs->sync_dir(r->vfs, dir);
        toc_free(dir);
    }
    if (!rc)
        rc = r->vfs->rename(r->vfs, r->partial, r->target);
    if (!rc)
        rc = r->vfs->sync_dir(r->vfs, parent);
    if (rc)
        toc_errf(&r->err, rc, "cannot make %s: %s", r->target, toc_strerror(rc));
    toc_tree_fini(&made);
    toc_free(parent);
    return rc;
}

static int restore(struct restore *r) {
    int rc = refuse_what_is_there(r);
    if (!rc)
        rc = toc_backup_manifest_read(r->vfs, r->from, &r->manifest, &r->err);
    if (rc)
        return rc;
    toc_progress_begin(&r->progress, "restore", r->manifest.bytes);
    rc = make_store_dirs(r);
    for (size_t i = 0; i < r->manifest.files.count && !rc; i++)
        rc = restore_file(r, &r->manifest.files.items[i]);
    toc_progress_end(&r->progress);
    if (!rc)
        rc = publish(r);
    if (rc)
        toc_tree_remove(r->vfs, r->partial);
    return rc;
}

int toc_db_restore(int argc, char **argv) {
    const char *data = "./tocsin-data";
    const struct toc_option options[] = {{"data", 0, TOC_OPTION_STRING, &data}, {0}};
    int count, rc = toc_options_parse(argc, argv, options, usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if (count != 1) {
        fputs("tocsin db restore: expected the folder of a backup\n", stderr);
        return TOC_EXIT_USAGE;
    }
    char *target = toc_db_without_slashes(data);
    struct restore r = {.vfs = toc_vfs_system(), .from = argv[1], .target = target};
    r.copy = (struct toc_tree_copy){.vfs = r.vfs, .progress = &r.progress};
    r.partial = toc_xprintf("%s.partial", target);
    rc = restore(&r);
    if (rc)
        fprintf(stderr, "tocsin db: %s\n", r.err.message[0] ? r.err.message : toc_strerror(rc));
    else
        printf("%zu files, %llu bytes in %s; start with: tocsin run --data %s%s%s\n",
               r.manifest.files.count, (unsigned long long)r.manifest.bytes, target, target,
               r.config ? " --config " : "", r.config ? r.config : "");
    toc_backup_manifest_fini(&r.manifest);
    toc_free(r.config);
    toc_free(r.partial);
    toc_free(target);
    return rc ? TOC_EXIT_FAILED : 0;
}
