/*
 * statfs of a dead network mount never returns. So file systems of a remote type are asked by a
 * thread each, which may hang without holding up anything else; the collector takes the last answer
 * and calls a mount whose answer is late an error.
 */
#include "collect/host/host_priv.h"

#include <stdio.h>

#include "base/alloc.h"
#include "shim/regex.h"
#include "sys/clock.h"

enum { REMOTE_MAX = 32, LATE_MS = 5000, FIRST_WAIT_MS = 100, PATH_MAX_BYTES = 4096 };

struct remote {
    char *path;
    struct toc_thread thread;
    struct toc_mutex mutex;
    struct toc_cond wake, done;
    bool is_asked, is_busy, is_stopping, has_answer;
    struct toc_mono asked_at;
    int rc;
    struct toc_fs_stat stat;
};

struct toc_fs_pool {
    struct remote *remotes[REMOTE_MAX];
    size_t count;
};

struct toc_fs_pool *toc_fs_pool_new(void) {
    return TOC_NEW(struct toc_fs_pool);
}

static void remote_main(void *ctx) {
    struct remote *r = ctx;
    toc_mutex_lock(&r->mutex);
    while (!r->is_stopping) {
        if (!r->is_asked) {
            toc_cond_wait(&r->wake, &r->mutex);
            continue;
        }
        r->is_asked = false;
        r->is_busy = true;
        toc_mutex_unlock(&r->mutex);
        struct toc_fs_stat stat = {0};
        int rc = toc_fs_stat(r->path, &stat);
        toc_mutex_lock(&r->mutex);
        r->is_busy = false;
        r->has_answer = true;
        r->rc = rc;
        r->stat = stat;
        toc_cond_broadcast(&r->done);
    }
    toc_mutex_unlock(&r->mutex);
}

static void remote_free(struct remote *r) {
    toc_mutex_lock(&r->mutex);
    bool is_stuck = r->is_busy;
    r->is_stopping = true;
    toc_cond_broadcast(&r->wake);
    toc_mutex_unlock(&r->mutex);
    if (is_stuck)
        return; /* its thread may still write to it */
    toc_thread_join(&r->thread);
    toc_cond_fini(&r->wake);
    toc_cond_fini(&r->done);
    toc_mutex_fini(&r->mutex);
    toc_free(r->path);
    toc_free(r);
}

void toc_fs_pool_free(struct toc_fs_pool **p) {
    if (!p || !*p)
        return;
    for (size_t i = 0; i < (*p)->count; i++)
        remote_free((*p)->remotes[i]);
    toc_free(*p);
    *p = NULL;
}

static struct remote *remote_get(struct toc_fs_pool *p, const char *path) {
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->remotes[i]->path, path) == 0)
            return p->remotes[i];
    if (p->count == REMOTE_MAX)
        return NULL;
    struct remote *r = TOC_NEW(struct remote);
    r->path = toc_xstrdup(path);
    toc_mutex_init(&r->mutex, TOC_LOCK_COLLECT);
    toc_cond_init(&r->wake);
    toc_cond_init(&r->done);
    if (toc_thread_start(&r->thread, "toc-statfs", remote_main, r)) {
        r->is_busy = false;
        remote_free(r);
        return NULL;
    }
    return p->remotes[p->count++] = r;
}

/* Asks again unless the last question is still open, and gives the last answer. */
static int remote_stat(struct toc_fs_pool *p, const char *path, struct toc_fs_stat *out) {
    struct remote *r = remote_get(p, path);
    if (!r)
        return TOC_ELIMIT;
    struct toc_mono now = toc_clock_mono(toc_clock_system());
    toc_mutex_lock(&r->mutex);
    bool is_open = r->is_asked || r->is_busy;
    if (!is_open) {
        r->is_asked = true;
        r->asked_at = now;
        toc_cond_signal(&r->wake);
    }
    if (!r->has_answer)
        toc_cond_wait_ms(&r->done, &r->mutex, FIRST_WAIT_MS);
    bool is_late = is_open && now.ns - r->asked_at.ns > (int64_t)LATE_MS * 1000000;
    int rc = is_late || !r->has_answer ? TOC_ETIMEDOUT : r->rc;
    *out = r->stat;
    toc_mutex_unlock(&r->mutex);
    return rc;
}

static bool is_remote(struct toc_sv type) {
    static const char *const types[] = {"nfs",    "nfs4",      "cifs",   "smb3", "ceph", "afs",
                                        "lustre", "glusterfs", "beegfs", "gpfs", "9p"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(types); i++)
        if (toc_sv_eq_cstr(type, types[i]))
            return true;
    return toc_sv_starts_with(type, TOC_SV("fuse"));
}

/* fstab(5) writes blank and tab as \040 and \011. */
static void unescape_mount(struct toc_sv in, struct toc_buf *out) {
    toc_buf_reset(out);
    for (size_t i = 0; i < in.n; i++) {
        struct toc_sv four = toc_sv_sub(in, i, 4);
        bool is_blank = toc_sv_eq_cstr(four, "\\040"), is_tab = toc_sv_eq_cstr(four, "\\011");
        toc_buf_append_char(out, is_blank ? ' ' : is_tab ? '\t' : in.p[i]);
        i += is_blank || is_tab ? 3 : 0;
    }
}

static bool has_option(struct toc_sv options, const char *wanted) {
    struct toc_sv option;
    while (toc_sv_split(&options, ',', &option))
        if (toc_sv_eq_cstr(option, wanted))
            return true;
    return false;
}

struct mount {
    struct toc_sv device, type, options;
    const char *point;
};

static void put_mount(struct toc_host *h, const struct mount *m) {
    struct toc_label labels[] = {{TOC_SV("device"), m->device},
                                 {TOC_SV("fstype"), m->type},
                                 {TOC_SV("mountpoint"), toc_sv_cstr(m->point)}};
    struct toc_fs_stat s = {0};
    int rc = is_remote(m->type) ? remote_stat(h->fs_pool, m->point, &s) : toc_fs_stat(m->point, &s);
    const struct {
        const char *metric;
        double value;
    } values[] = {
        {"node_filesystem_device_error", rc ? 1 : 0},
        {"node_filesystem_size_bytes", (double)s.size_bytes},
        {"node_filesystem_free_bytes", (double)s.free_bytes},
        {"node_filesystem_avail_bytes", (double)s.avail_bytes},
        {"node_filesystem_files", (double)s.files},
        {"node_filesystem_files_free", (double)s.files_free},
        {"node_filesystem_readonly", has_option(m->options, "ro") ? 1 : 0},
    };
    for (size_t i = 0; i < (rc ? 1 : TOC_ARRAY_LEN(values)); i++)
        toc_emitter_put(&h->out, values[i].metric, TOC_METRIC_GAUGE, labels, TOC_ARRAY_LEN(labels),
                        values[i].value);
}

static void read_mount_line(struct toc_host *h, struct toc_sv line, struct toc_buf *point) {
    struct mount m;
    struct toc_sv escaped;
    if (!toc_text_word(&line, &m.device) || !toc_text_word(&line, &escaped) ||
        !toc_text_word(&line, &m.type) || !toc_text_word(&line, &m.options) ||
        escaped.n >= PATH_MAX_BYTES)
        return;
    unescape_mount(escaped, point);
    if (toc_regex_matches(h->mount_exclude, toc_buf_sv(point)) ||
        toc_regex_matches(h->fs_type_exclude, m.type))
        return;
    m.point = toc_buf_cstr(point);
    put_mount(h, &m);
}

int toc_host_filesystem(struct toc_host *h) {
    struct toc_sv text, line;
    /* Process 1 sees the host's mounts when this process lives in a mount namespace. */
    int rc = toc_procfs_read(&h->fs, "/proc/1/mounts", &text);
    if (rc || !text.n)
        rc = toc_procfs_read(&h->fs, "/proc/self/mounts", &text);
    struct toc_buf point = TOC_BUF_INIT;
    while (!rc && toc_text_line(&text, &line))
        read_mount_line(h, line, &point);
    toc_buf_fini(&point);
    return rc;
}
