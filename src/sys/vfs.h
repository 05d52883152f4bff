/*
 * Files. Everything that touches a disk goes through a `struct toc_vfs`, so that tests can lose
 * power, fill the disk or fail any call. Paths are NUL-terminated. Results: 0 or more, or a
 * negative TOC_E… (errno values negated). All functions may be called from any thread; one file
 * handle by one thread at a time, except pread, which may run in several.
 */
#ifndef TOC_SYS_VFS_H
#define TOC_SYS_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum toc_open_flags {
    TOC_OPEN_READ = 1,
    TOC_OPEN_WRITE = 2,
    TOC_OPEN_CREATE = 4,    /* mode 0600: state may hold secrets */
    TOC_OPEN_EXCLUSIVE = 8, /* fail with TOC_EEXIST when it is there */
    TOC_OPEN_APPEND = 16,
    TOC_OPEN_TRUNCATE = 32,
};

struct toc_file_info {
    uint64_t size_bytes;
    int64_t mtime_ms;
    uint64_t inode, device;
    bool is_dir, is_regular; /* neither: a device, a pipe, a socket */
};

struct toc_file; /* opaque; made by a vfs */

struct toc_vfs {
    int (*open)(struct toc_vfs *v, const char *path, unsigned flags, struct toc_file **out);
    void (*close)(struct toc_vfs *v, struct toc_file **f);
    /* Bytes read or written, fewer only at the end of file / on error midway. */
    int64_t (*pread)(struct toc_vfs *v, struct toc_file *f, void *p, size_t n, uint64_t at);
    int64_t (*pwrite)(struct toc_vfs *v, struct toc_file *f, const void *p, size_t n, uint64_t at);
    int64_t (*append)(struct toc_vfs *v, struct toc_file *f, const void *p, size_t n);
    int (*sync)(struct toc_vfs *v, struct toc_file *f); /* fdatasync */
    int (*truncate)(struct toc_vfs *v, struct toc_file *f, uint64_t size);
    int (*info)(struct toc_vfs *v, const char *path, struct toc_file_info *out);
    int (*rename)(struct toc_vfs *v, const char *from, const char *to);
    int (*remove)(struct toc_vfs *v, const char *path);
    /* A second name of a file. Not every file system has it. */
    int (*link)(struct toc_vfs *v, const char *from, const char *to);
    int (*mkdir)(struct toc_vfs *v, const char *path); /* mode 0700 */
    int (*sync_dir)(struct toc_vfs *v, const char *path);
    /* Calls fn for each name (without . and ..) in no order; stops when fn returns non-zero. */
    int (*list)(struct toc_vfs *v, const char *path, int (*fn)(void *ctx, const char *name),
                void *ctx);
    /* Bytes free for an unprivileged writer. */
    int (*free_bytes)(struct toc_vfs *v, const char *path, uint64_t *out);
};

/* The machine's files; process-wide object. */
struct toc_vfs *toc_vfs_system(void);

static inline int toc_file_open(struct toc_vfs *v, const char *path, unsigned flags,
                                struct toc_file **out) {
    return v->open(v, path, flags, out);
}
static inline void toc_file_close(struct toc_vfs *v, struct toc_file **f) {
    v->close(v, f);
}

/* Whole file into out (appended), at most max_bytes: TOC_ELIMIT beyond. Works on /proc files too.
 */
int toc_vfs_read_file(struct toc_vfs *v, const char *path, size_t max_bytes,
                      struct toc_buf *out) TOC_MUST_CHECK;
/* Atomic replacement: written beside, synced, renamed, directory synced. */
int toc_vfs_write_file(struct toc_vfs *v, const char *path, struct toc_sv content) TOC_MUST_CHECK;
/* mkdir -p. */
int toc_vfs_make_dirs(struct toc_vfs *v, const char *path) TOC_MUST_CHECK;
bool toc_vfs_exists(struct toc_vfs *v, const char *path);
/* Paths that match a pattern whose last part may hold *, ? and […], sorted; a plain path matches
 * itself, there or not. Everything lives in the arena. TOC_ELIMIT over max. */
int toc_vfs_glob(struct toc_vfs *v, const char *pattern, size_t max, struct toc_arena *a,
                 const char ***out, size_t *out_count, struct toc_err *err) TOC_MUST_CHECK;

/* An exclusive advisory lock on `path` (created) held by this process until toc_lock_release.
 * TOC_ELOCKED when another process has it. */
struct toc_lock;
int toc_lock_acquire(const char *path, struct toc_lock **out) TOC_MUST_CHECK;
void toc_lock_release(struct toc_lock **lock);

#endif
