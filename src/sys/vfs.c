#include "sys/vfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"

struct toc_file {
    int fd;
};

static int posix_flags(unsigned flags) {
    int o = O_CLOEXEC;
    bool reads = flags & TOC_OPEN_READ, writes = flags & TOC_OPEN_WRITE;
    o |= reads && writes ? O_RDWR : writes ? O_WRONLY : O_RDONLY;
    o |= flags & TOC_OPEN_CREATE ? O_CREAT : 0;
    o |= flags & TOC_OPEN_EXCLUSIVE ? O_EXCL : 0;
    o |= flags & TOC_OPEN_APPEND ? O_APPEND : 0;
    o |= flags & TOC_OPEN_TRUNCATE ? O_TRUNC : 0;
    return o;
}

static int sys_open(struct toc_vfs *v, const char *path, unsigned flags, struct toc_file **out) {
    (void)v;
    int fd;
    do
        fd = open(path, posix_flags(flags), 0600);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    *out = TOC_NEW(struct toc_file);
    (*out)->fd = fd;
    return 0;
}

static void sys_close(struct toc_vfs *v, struct toc_file **f) {
    (void)v;
    if (!f || !*f)
        return;
    close((*f)->fd);
    toc_free(*f);
    *f = NULL;
}

static int64_t sys_pread(struct toc_vfs *v, struct toc_file *f, void *p, size_t n, uint64_t at) {
    (void)v;
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(f->fd, (char *)p + done, n - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (int64_t)done;
}

/* Writes everything or reports the error; `at` < 0 appends. */
static int64_t write_all(int fd, const char *p, size_t n, int64_t at) {
    size_t done = 0;
    while (done < n) {
        ssize_t put = at < 0 ? write(fd, p + done, n - done)
                             : pwrite(fd, p + done, n - done, (off_t)at + (off_t)done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : TOC_EIO;
        done += (size_t)put;
    }
    return (int64_t)done;
}

static int64_t sys_pwrite(struct toc_vfs *v, struct toc_file *f, const void *p, size_t n,
                          uint64_t at) {
    (void)v;
    return write_all(f->fd, p, n, (int64_t)at);
}

static int64_t sys_append(struct toc_vfs *v, struct toc_file *f, const void *p, size_t n) {
    (void)v;
    return write_all(f->fd, p, n, -1);
}

static int sys_sync(struct toc_vfs *v, struct toc_file *f) {
    (void)v;
    return fdatasync(f->fd) ? -errno : 0;
}

static int sys_truncate(struct toc_vfs *v, struct toc_file *f, uint64_t size) {
    (void)v;
    return ftruncate(f->fd, (off_t)size) ? -errno : 0;
}

static int sys_info(struct toc_vfs *v, const char *path, struct toc_file_info *out) {
    (void)v;
    struct stat st;
    if (stat(path, &st))
        return -errno;
    *out = (struct toc_file_info){
        .size_bytes = (uint64_t)st.st_size,
        .mtime_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
        .inode = st.st_ino,
        .device = st.st_dev,
        .is_dir = S_ISDIR(st.st_mode),
        .is_regular = S_ISREG(st.st_mode),
    };
    return 0;
}

static int sys_rename(struct toc_vfs *v, const char *from, const char *to) {
    (void)v;
    return rename(from, to) ? -errno : 0;
}

static int sys_link(struct toc_vfs *v, const char *from, const char *to) {
    (void)v;
    return link(from, to) ? -errno : 0;
}

static int sys_remove(struct toc_vfs *v, const char *path) {
    (void)v;
    return remove(path) ? -errno : 0;
}

static int sys_mkdir(struct toc_vfs *v, const char *path) {
    (void)v;
    return mkdir(path, 0700) ? -errno : 0;
}

static int sys_sync_dir(struct toc_vfs *v, const char *path) {
    (void)v;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = fsync(fd) ? -errno : 0;
    close(fd);
    return rc;
}

static int sys_list(struct toc_vfs *v, const char *path, int (*fn)(void *ctx, const char *name),
                    void *ctx) {
    (void)v;
    DIR *d = opendir(path);
    if (!d)
        return -errno;
    int rc = 0;
    while (!rc) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (!e) { /* the end, or a list cut short: blocks would seem to be gone */
            rc = -errno;
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            rc = fn(ctx, e->d_name);
    }
    closedir(d);
    return rc;
}

static int sys_free_bytes(struct toc_vfs *v, const char *path, uint64_t *out) {
    (void)v;
    struct statvfs s;
    if (statvfs(path, &s))
        return -errno;
    *out = (uint64_t)s.f_bavail * s.f_frsize;
    return 0;
}

struct toc_vfs *toc_vfs_system(void) {
    static struct toc_vfs vfs = {
        .open = sys_open,
        .close = sys_close,
        .pread = sys_pread,
        .pwrite = sys_pwrite,
        .append = sys_append,
        .sync = sys_sync,
        .truncate = sys_truncate,
        .info = sys_info,
        .rename = sys_rename,
        .link = sys_link,
        .remove = sys_remove,
        .mkdir = sys_mkdir,
        .sync_dir = sys_sync_dir,
        .list = sys_list,
        .free_bytes = sys_free_bytes,
    };
    return &vfs;
}

static int read_all(struct toc_vfs *v, struct toc_file *f, size_t max_bytes, struct toc_buf *out) {
    enum { STEP = 16384 };
    uint64_t at = 0;
    for (;;) {
        char *to = toc_buf_reserve(out, STEP);
        if (!to)
            return out->error;
        int64_t got = v->pread(v, f, to, STEP, at);
        if (got <= 0)
            return (int)got;
        out->n += (size_t)got;
        at += (uint64_t)got;
        if (at > max_bytes)
            return TOC_ELIMIT;
    }
}

int toc_vfs_read_file(struct toc_vfs *v, const char *path, size_t max_bytes, struct toc_buf *out) {
    struct toc_file *f = NULL;
    int rc = v->open(v, path, TOC_OPEN_READ, &f);
    if (rc)
        return rc;
    rc = read_all(v, f, max_bytes, out);
    v->close(v, &f);
    return rc;
}

/* Directory part of path into out ("." when there is none). */
static void parent_dir(const char *path, char *out, size_t out_size) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        toc_sv_copy(TOC_SV("."), out, out_size);
    else
        toc_sv_copy(toc_sv_make(path, slash == path ? 1 : (size_t)(slash - path)), out, out_size);
}

static int write_and_sync(struct toc_vfs *v, const char *path, struct toc_sv content) {
    struct toc_file *f = NULL;
    int rc = v->open(v, path, TOC_OPEN_WRITE | TOC_OPEN_CREATE | TOC_OPEN_TRUNCATE, &f);
    if (rc)
        return rc;
    int64_t put = v->pwrite(v, f, content.p, content.n, 0);
    rc = put < 0 ? (int)put : put < (int64_t)content.n ? TOC_ENOSPC : v->sync(v, f);
    v->close(v, &f);
    return rc;
}

int toc_vfs_write_file(struct toc_vfs *v, const char *path, struct toc_sv content) {
    char beside[4096], dir[4096];
    if (snprintf(beside, sizeof beside, "%s.tmp", path) >= (int)sizeof beside)
        return TOC_ELIMIT;
    int rc = write_and_sync(v, beside, content);
    if (!rc)
        rc = v->rename(v, beside, path);
    if (rc) {
        v->remove(v, beside);
        return rc;
    }
    parent_dir(path, dir, sizeof dir);
    return v->sync_dir(v, dir);
}

int toc_vfs_make_dirs(struct toc_vfs *v, const char *path) {
    char part[4096];
    if (!toc_sv_copy(toc_sv_cstr(path), part, sizeof part))
        return TOC_ELIMIT;
    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        int rc = v->mkdir(v, part);
        if (rc && rc != TOC_EEXIST)
            return rc;
        *p = '/';
    }
    int rc = v->mkdir(v, part);
    return rc == TOC_EEXIST ? 0 : rc;
}

bool toc_vfs_exists(struct toc_vfs *v, const char *path) {
    struct toc_file_info info;
    return v->info(v, path, &info) == 0;
}

struct toc_lock {
    int fd;
};

int toc_lock_acquire(const char *path, struct toc_lock **out) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        int rc = errno == EWOULDBLOCK ? TOC_ELOCKED : -errno;
        close(fd);
        return rc;
    }
    *out = TOC_NEW(struct toc_lock);
    (*out)->fd = fd;
    return 0;
}

void toc_lock_release(struct toc_lock **lock) {
    if (!lock || !*lock)
        return;
    close((*lock)->fd);
    toc_free(*lock);
    *lock = NULL;
}
