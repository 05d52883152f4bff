#include "sys/vfs_sim.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/vec.h"
#include "sys/thread.h"

/* A write that is not durable yet. */
struct pending {
    uint64_t at;
    char *bytes; /* NULL: a truncation to `at` */
    size_t n;
    bool in_doubt; /* a sync of it failed: later syncs do not help */
};

/* A file or folder; lives while a name or a handle refers to it. */
struct node {
    bool is_dir;
    unsigned refs;
    struct toc_buf now, durable;
    TOC_VEC(struct pending) pending;
};

struct name {
    char *path;
    struct node *now;     /* NULL: removed, not yet durably */
    struct node *durable; /* NULL: created, not yet durably */
};

/* A folder's change of name that is not durable yet. */
struct move {
    char *from, *to;
};

struct toc_file {
    struct node *node;
    uint64_t life; /* power cycle in which it was opened */
    unsigned flags;
};

struct toc_vfs_sim {
    struct toc_vfs vfs;
    struct toc_mutex mutex;
    struct toc_rng rng;
    TOC_VEC(struct name) names; /* sorted by path */
    TOC_VEC(struct move) moves;
    uint64_t life, calls, all_calls, power_left, capacity;
    bool is_off;
    unsigned fail_calls;
    uint64_t fail_left;
    int fail_code;
    bool fail_sticky;
};

static struct toc_vfs_sim *self(struct toc_vfs *v) {
    return TOC_CONTAINER_OF(v, struct toc_vfs_sim, vfs);
}

/* --- nodes and names --- */

static void unref(struct node *n) {
    if (!n || --n->refs)
        return;
    for (size_t i = 0; i < n->pending.count; i++)
        toc_free(n->pending.items[i].bytes);
    TOC_VEC_FINI(&n->pending);
    toc_buf_fini(&n->now);
    toc_buf_fini(&n->durable);
    toc_free(n);
}

static struct node *ref(struct node *n) {
    if (n)
        n->refs++;
    return n;
}

static size_t place_of(const struct toc_vfs_sim *s, const char *path, bool *out_found) {
    size_t i = 0;
    while (i < s->names.count && strcmp(s->names.items[i].path, path) < 0)
        i++;
    *out_found = i < s->names.count && !strcmp(s->names.items[i].path, path);
    return i;
}

static struct node *lookup(const struct toc_vfs_sim *s, const char *path) {
    bool found;
    size_t i = place_of(s, path, &found);
    return found ? s->names.items[i].now : NULL;
}

/* Points the current name at a node (NULL removes it). */
static void bind(struct toc_vfs_sim *s, const char *path, struct node *n) {
    bool found;
    size_t i = place_of(s, path, &found);
    if (!found) {
        TOC_VEC_PUSH(&s->names, ((struct name){0}));
        memmove(s->names.items + i + 1, s->names.items + i,
                (s->names.count - 1 - i) * sizeof *s->names.items);
        s->names.items[i] = (struct name){toc_xstrdup(path), NULL, NULL};
    }
    ref(n);
    unref(s->names.items[i].now);
    s->names.items[i].now = n;
}

static size_t parent_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

static bool is_in(const char *path, const char *dir) {
    size_t n = strcmp(dir, "/") ? strlen(dir) : 0;
    return parent_length(path) == n && !strncmp(path, dir, n);
}

static bool has_parent(const struct toc_vfs_sim *s, const char *path) {
    size_t n = parent_length(path);
    if (!n)
        return true;
    char *dir = toc_xmemdup(path, n + 1);
    dir[n] = '\0';
    struct node *p = lookup(s, dir);
    toc_free(dir);
    return p && p->is_dir;
}

/* --- faults --- */

static int check(struct toc_vfs_sim *s, enum toc_sim_call call) {
    bool changes = call != TOC_SIM_READ && call != TOC_SIM_OPEN && call != TOC_SIM_INFO;
    if (s->is_off)
        return TOC_EIO;
    s->calls += changes;
    s->all_calls++;
    if (changes && s->power_left && --s->power_left == 0) {
        s->is_off = true;
        return TOC_EIO;
    }
    if (!(s->fail_calls & call) || !s->fail_left)
        return 0;
    if (s->fail_left > 1) {
        s->fail_left--;
        return 0;
    }
    if (!s->fail_sticky)
        s->fail_left = 0;
    return s->fail_code == TOC_SIM_SHORT && call != TOC_SIM_WRITE ? 0 : s->fail_code;
}

static bool is_dead(const struct toc_vfs_sim *s, const struct toc_file *f) {
    return f->life != s->life;
}

/* --- content --- */

/* The disk has memory even when a test takes it from everybody else. */
static void grow(struct toc_buf *b, size_t want) {
    if (want <= b->capacity)
        return;
    b->capacity = want + want / 2 + 64;
    b->p = toc_xrealloc(b->p, b->capacity);
}

static void copy_content(struct toc_buf *to, const struct toc_buf *from) {
    grow(to, from->n);
    if (from->n)
        memcpy(to->p, from->p, from->n);
    to->n = from->n;
}

static void apply(struct toc_buf *to, const struct pending *p) {
    if (!p->bytes) {
        if (to->n > p->at)
            to->n = (size_t)p->at;
        return;
    }
    size_t end = (size_t)p->at + p->n;
    if (end > to->n) {
        grow(to, end);
        memset(to->p + to->n, 0, end - to->n);
        to->n = end;
    }
    if (p->n)
        memcpy(to->p + p->at, p->bytes, p->n);
}

static void put(struct node *n, uint64_t at, const void *p, size_t size) {
    struct pending w = {.at = at, .n = size};
    w.bytes = p ? toc_xmemdup(p, size) : NULL;
    apply(&n->now, &w);
    TOC_VEC_PUSH(&n->pending, w);
}

static void settle(struct node *n, bool durable) {
    size_t kept = 0;
    for (size_t i = 0; i < n->pending.count; i++) {
        struct pending *w = &n->pending.items[i];
        if (!durable)
            w->in_doubt = true;
        if (w->in_doubt) {
            n->pending.items[kept++] = *w;
            continue;
        }
        apply(&n->durable, w);
        toc_free(w->bytes);
    }
    n->pending.count = kept;
}

static uint64_t used_bytes(const struct toc_vfs_sim *s) {
    uint64_t n = 0;
    for (size_t i = 0; i < s->names.count; i++)
        n += s->names.items[i].now ? s->names.items[i].now->now.n : 0;
    return n;
}

/* --- the calls --- */

static int open_locked(struct toc_vfs_sim *s, const char *path, unsigned flags,
                       struct toc_file **out) {
    int rc = check(s, TOC_SIM_OPEN);
    if (rc)
        return rc;
    struct node *n = lookup(s, path);
    if (n && n->is_dir)
        return TOC_EINVAL;
    if (n && (flags & TOC_OPEN_EXCLUSIVE))
        return TOC_EEXIST;
    if (!n && !(flags & TOC_OPEN_CREATE))
        return TOC_ENOENT;
    if (!n && !has_parent(s, path))
        return TOC_ENOENT;
    if (!n) {
        n = TOC_NEW(struct node);
        bind(s, path, n);
    } else if (flags & TOC_OPEN_TRUNCATE) {
        put(n, 0, NULL, 0);
    }
    *out = TOC_NEW(struct toc_file);
    **out = (struct toc_file){ref(n), s->life, flags};
    return 0;
}

static int sim_open(struct toc_vfs *v, const char *path, unsigned flags, struct toc_file **out) {
    struct toc_vfs_sim *s = self(v);
    toc_mutex_lock(&s->mutex);
    int rc = open_locked(s, path, flags, out);
    toc_mutex_unlock(&s->mutex);
    return rc;
}

static void sim_close(struct toc_vfs *v, struct toc_file **f) {
    if (!f || !*f)
        return;
    toc_mutex_lock(&self(v)->mutex);
    unref((*f)->node);
    toc_mutex_unlock(&self(v)->mutex);
    toc_free(*f);
    *f = NULL;
}

static int64_t sim_pread(struct toc_vfs *v, struct toc_file *f, void *p, size_t n, uint64_t at) {
    struct toc_vfs_sim *s = self(v);
    toc_mutex_lock(&s->mutex);
    int64_t rc = is_dead(s, f) ? TOC_EIO : check(s, TOC_SIM_READ);
    const struct toc_buf *now = &f->node->now;
    if (!rc && at < now->n) {
        rc = (int64_t)TOC_MIN(n, now->n - (size_t)at);
        memcpy(p, now->p + at, (size_t)rc);
    }
    toc_mutex_unlock(&s->mutex);
    return rc;
}

static int64_t write_locked(struct toc_vfs_sim *s, struct toc_file *f, const void *p, size_t n,
                            uint64_t at) {
    if (is_dead(s, f))
        return TOC_EIO;
    if (s->is_off)
        return TOC_EIO;
    uint64_t size = f->node->now.n;
    uint64_t grows = at + n > size ? at + n - size : 0;
    int rc = check(s, TOC_SIM_WRITE);
    if (!rc && s->capacity && used_bytes(s) + grows > s->capacity)
        rc = TOC_ENOSPC;
    if (rc) { /* part of it may have happened */
        size_t part = n ? (size_t)toc_rng_below(&s->rng, n + (rc != TOC_SIM_SHORT)) : 0;
        if (rc != TOC_ENOSPC && part)
            put(f->node, at, p, part);
        return rc == TOC_SIM_SHORT ? (int64_t)part : rc;
    }
    if (n)
        put(f->node, at, p, n);
    return (int64_t)n;
}

static int64_t sim_pwrite(struct toc_vfs *v, struct toc_file *f, const void *p, size_t n,
                          uint64_t at) {
    struct toc_vfs_sim *s = self(v);
    toc_mutex_lock(&s->mutex);
    int64_t rc = write_locked(s, f, p, n, at);
    toc_mutex_unlock(&s->mutex);
    return rc;
}

static int64_t sim_append(struct toc_vfs *v, struct toc_file *f, const void *p, size_t n) {
    struct toc_vfs_sim *s = self(v);
    toc_mutex_lock(&s->mutex);
    int64_t rc = write_locked(s, f, p, n, f->node->now.n);
    toc_mutex_unlock(&s->mutex);
    return rc;
}

static int sim_sync(struct toc_vfs *v, struct toc_file *f) {
    struct toc_vfs_sim *s = self(v);
    toc_mutex_lock(&s->mutex);
    int rc = is_dead(s, f) ? TOC_EIO : check(s, TOC_SIM_SYNC);
    if (!is_dead(s, f) && !s->is_off)
        settle(f->node, rc == 0);
    toc_mutex_unlock(&s->mutex);
    return rc;
}

static int sim_truncate(struct toc_vfs *v, struct toc_file *f, uint64_t size) {
    struct toc_vfs_sim *s = self(v);
    toc_mutex_lock(&s->mutex);
    int rc = is_dead(s, f) ? TOC_EIO : check(s, TOC_SIM_TRUNCATE);
    if (!rc)
        put(f->node, size, NULL, 0);
    toc_mutex_unlock(&s->mutex);
    return rc;
}

static int sim_info(struct toc_vfs *v, const char *path, struct toc_file_info *out) {
    struct toc_vfs_sim *s = self(v);
    toc_mutex_lock(&s->mutex);
    int rc = check(s, TOC_SIM_INFO);
    struct node *n = rc ? NULL : lookup(s, path);
    rc = rc || n ? rc : TOC_ENOENT;
    if (n)
        *out = (struct toc_file_info){.size_bytes = n->now.n,
                                      .inode = (uint64_t)(uintptr_t)n,
                                      .is_dir = n->is_dir,
                                      .is_regular = !n->is_dir};
    toc_mutex_unlock(&s->mutex);
    return rc;
}

static bool is_at_or_below(const char *path, const char *dir) {
    size_t n = strlen(dir);
    return !strncmp(path, dir, n) && (path[n] == '\0' || path[n] == '/');
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct name *)a)->path, ((const struct name *)b)->path);
}

static void drop_name(struct toc_vfs_sim *s, size_t i) {
    unref(s->names.items[i].now);
    unref(s->names.items[i].durable);
    toc_free(s->names.items[i].path);
    TOC_VEC_REMOVE(&s->names, i);
}

/* A folder keeps its entries, durable or not, under whatever name it has. */
static void move_tree(struct toc_vfs_sim *s, const char *from, const char *to) {
    for (size_t i = s->names.count; i-- > 0;)
        if (is_at_or_below(s->names.items[i].path, to))
            drop_name(s, i);
    for (size_t i = 0; i < s->names.count; i++) {
        struct name *x = &s->names.items[i];
        if (!is_at_or_below(x->path, from))
            continue;
        char *path = toc_xprintf("%s%s", to, x->path + strlen(from));
        toc_free(x->path);
        x->path = path;
    }
    qsort(s->names.items, s->names.count, sizeof *s->names.items, by_path);
}

static void forget_move(struct toc_vfs_sim *s, size_t i) {
    toc_free(s->moves.items[i].from);
    toc_free(s->moves.items[i].to);
    TOC_VEC_REMOVE(&s->moves, i);
}

static int rename_locked(struct toc_vfs_sim *s, const char *from, const char *to) {
    int rc = check(s, TOC_SIM_RENAME);
    struct node *n = lookup(s, from);
    if (rc || !n)
        return rc ? rc : TOC_ENOENT;
    if (n->is_dir) {
        move_tree(s, from, to);
        TOC_VEC_PUSH(&s->moves, ((struct move){toc_xstrdup(from), toc_xstrdup(to)}));
        return 0;
    }
    ref(n);
    bind(s, to, n);
    bind(s, from, NULL);
    unref(n);
    return 0;
}

static int sim_rename(struct toc_vfs *v, const char *from, const char *to) {
    struct toc_vfs_sim *s = self(v);
    toc_mutex_lock(&s->mutex);
    int rc = rename_locked(s, from, to);
    toc_mutex_unlock(&s->mutex);
    return rc;
}

static int link_locked(struct toc_vfs_sim *s, const char *from, const char *to) {
    int rc = check(s, TOC_SIM_LINK);
    struct node *n = lookup(s, from);
    if (rc || !n)
        return rc ? rc : TOC_ENOENT;
    if (n->is_dir || lookup(s, to))
        return n->is_dir ? TOC_EACCES : TOC_EEXIST;
    if (!has_parent(s, to))
        return TOC_ENOENT;
    bind(s, to, n);
    return 0;
}

static int sim_link(struct toc_vfs *v, const char *from, const char *to) {
    struct toc_vfs_sim *s = self(v);
    toc_mutex_lock(&s->mutex);
    int rc = link_locked(s, from, to);
    toc_mutex_unlock(&s->mutex);
    return rc;
}

static bool is_empty(const struct toc_vfs_sim *s, const char *dir) {
    for (size_t i = 0; i < s->names.count; i++)
        if (s->names.items[i].now && is_in(s->names.items[i].path, dir))
            return false;
    return true;
}

static int sim_remove(struct toc_vfs *v, const char *path) {
    struct toc_vfs_sim *s = self(v);
    toc_mutex_lock(&s->mutex);
    int rc = check(s, TOC_SIM_REMOVE);
    struct node *n = lookup(s, path);
    if (!rc && !n)
        rc = TOC_ENOENT;
    if (!rc && n->is_dir && !is_empty(s, path))
        rc = TOC_EBUSY;
    if (!rc)
        bind(s, path, NULL);
    toc_mutex_unlock(&s->mutex);
    return rc;
}

static int sim_mkdir(struct toc_vfs *v, const char *path) {
    struct toc_vfs_sim *s = self(v);
    toc_mutex_lock(&s->mutex);
    int rc = check(s, TOC_SIM_MKDIR);
    if (!rc && lookup(s, path))
        rc = TOC_EEXIST;
    if (!rc && !has_parent(s, path))
        rc = TOC_ENOENT;
    if (!rc) {
        struct node *n = TOC_NEW(struct node);
        n->is_dir = true;
        bind(s, path, n);
    }
    toc_mutex_unlock(&s->mutex);
    return rc;
}

static int sim_sync_dir(struct toc_vfs *v, const char *path) {
    struct toc_vfs_sim *s = self(v);
    toc_mutex_lock(&s->mutex);
    int rc = check(s, TOC_SIM_SYNC_DIR);
    for (size_t i = 0; i < s->names.count && !rc; i++) {
        struct name *x = &s->names.items[i];
        if (!is_in(x->path, path))
            continue;
        ref(x->now);
        unref(x->durable);
        x->durable = x->now;
    }
    for (size_t i = s->moves.count; i-- > 0 && !rc;)
        if (is_in(s->moves.items[i].to, path))
            forget_move(s, i);
    toc_mutex_unlock(&s->mutex);
    return rc;
}

static int sim_list(struct toc_vfs *v, const char *path, int (*fn)(void *ctx, const char *name),
                    void *ctx) {
    struct toc_vfs_sim *s = self(v);
    TOC_VEC(char *) found = {0};
    toc_mutex_lock(&s->mutex);
    int rc = check(s, TOC_SIM_READ);
    struct node *dir = rc ? NULL : lookup(s, path);
    if (!rc && (!dir || !dir->is_dir))
        rc = TOC_ENOENT;
    for (size_t i = 0; i < s->names.count && !rc; i++)
        if (s->names.items[i].now && is_in(s->names.items[i].path, path))
            TOC_VEC_PUSH(&found, toc_xstrdup(s->names.items[i].path + strlen(path) + 1));
    toc_mutex_unlock(&s->mutex);
    for (size_t i = 0; i < found.count; i++) {
        if (!rc)
            rc = fn(ctx, found.items[i]);
        toc_free(found.items[i]);
    }
    TOC_VEC_FINI(&found);
    return rc;
}

static int sim_free_bytes(struct toc_vfs *v, const char *path, uint64_t *out) {
    struct toc_vfs_sim *s = self(v);
    (void)path;
    toc_mutex_lock(&s->mutex);
    int rc = check(s, TOC_SIM_INFO);
    uint64_t used = used_bytes(s);
    if (!rc)
        *out = !s->capacity ? UINT64_MAX : used < s->capacity ? s->capacity - used : 0;
    toc_mutex_unlock(&s->mutex);
    return rc;
}

struct toc_vfs_sim *toc_vfs_sim_new(uint64_t seed) {
    struct toc_vfs_sim *s = TOC_NEW(struct toc_vfs_sim);
    s->vfs = (struct toc_vfs){
        .open = sim_open,
        .close = sim_close,
        .pread = sim_pread,
        .pwrite = sim_pwrite,
        .append = sim_append,
        .sync = sim_sync,
        .truncate = sim_truncate,
        .info = sim_info,
        .rename = sim_rename,
        .link = sim_link,
        .remove = sim_remove,
        .mkdir = sim_mkdir,
        .sync_dir = sim_sync_dir,
        .list = sim_list,
        .free_bytes = sim_free_bytes,
    };
    toc_mutex_init(&s->mutex, TOC_LOCK_QUEUE);
    toc_rng_seed(&s->rng, seed);
    return s;
}

void toc_vfs_sim_free(struct toc_vfs_sim **sim) {
    struct toc_vfs_sim *s = *sim;
    if (!s)
        return;
    for (size_t i = 0; i < s->names.count; i++) {
        toc_free(s->names.items[i].path);
        unref(s->names.items[i].now);
        unref(s->names.items[i].durable);
    }
    TOC_VEC_FINI(&s->names);
    while (s->moves.count)
        forget_move(s, 0);
    TOC_VEC_FINI(&s->moves);
    toc_mutex_fini(&s->mutex);
    toc_free(s);
    *sim = NULL;
}

struct toc_vfs *toc_vfs_sim_vfs(struct toc_vfs_sim *s) {
    return &s->vfs;
}

/* --- control --- */

void toc_vfs_sim_fail(struct toc_vfs_sim *s, unsigned calls, uint64_t nth, int code, bool sticky) {
    toc_mutex_lock(&s->mutex);
    s->fail_calls = calls;
    s->fail_left = nth;
    s->fail_code = code;
    s->fail_sticky = sticky;
    toc_mutex_unlock(&s->mutex);
}

void toc_vfs_sim_cut_power_after(struct toc_vfs_sim *s, uint64_t nth) {
    toc_mutex_lock(&s->mutex);
    s->power_left = nth;
    toc_mutex_unlock(&s->mutex);
}

bool toc_vfs_sim_is_off(struct toc_vfs_sim *s) {
    toc_mutex_lock(&s->mutex);
    bool is_off = s->is_off;
    toc_mutex_unlock(&s->mutex);
    return is_off;
}

/* What a torn write may leave. */
enum fate { DROPPED, KEPT, CUT, GARBAGE_END, SECTORS_MISSING, SECTORS_ZERO, FATES };
enum { SECTOR_BYTES = 512 };

/* Some sectors of the write keep what was there before, or hold zeros. */
static void lose_sectors(struct toc_vfs_sim *s, struct toc_buf *durable, struct pending *w,
                         bool are_zero) {
    for (size_t from = 0; from < w->n;) {
        uint64_t at = w->at + from;
        size_t n = TOC_MIN(w->n - from, SECTOR_BYTES - (size_t)(at % SECTOR_BYTES));
        if (toc_rng_below(&s->rng, 2)) {
            size_t old = at < durable->n ? TOC_MIN(n, durable->n - (size_t)at) : 0;
            memset(w->bytes + from, 0, n);
            if (old && !are_zero)
                memcpy(w->bytes + from, durable->p + at, old);
        }
        from += n;
    }
}

static void lose_write(struct toc_vfs_sim *s, struct toc_buf *durable, struct pending *w) {
    enum fate fate = (enum fate)toc_rng_below(&s->rng, FATES);
    size_t part = (size_t)toc_rng_below(&s->rng, w->n + 1);
    if (fate == DROPPED)
        return;
    if (w->bytes && fate == CUT)
        w->n = part;
    for (size_t k = part; w->bytes && fate == GARBAGE_END && k < w->n; k++)
        w->bytes[k] = (char)toc_rng_u64(&s->rng);
    if (w->bytes && (fate == SECTORS_MISSING || fate == SECTORS_ZERO))
        lose_sectors(s, durable, w, fate == SECTORS_ZERO);
    apply(durable, w);
}

static void lose_writes(struct toc_vfs_sim *s, struct node *n) {
    for (size_t i = 0; i < n->pending.count; i++) {
        lose_write(s, &n->durable, &n->pending.items[i]);
        toc_free(n->pending.items[i].bytes);
    }
    n->pending.count = 0;
    copy_content(&n->now, &n->durable);
}

static void lose_moves(struct toc_vfs_sim *s) {
    while (s->moves.count) {
        struct move *m = &s->moves.items[s->moves.count - 1];
        if (toc_rng_below(&s->rng, 2))
            move_tree(s, m->to, m->from);
        forget_move(s, s->moves.count - 1);
    }
}

/* What lay in a folder that did not survive is gone, too. */
static void drop_orphans(struct toc_vfs_sim *s) {
    for (size_t i = 0; i < s->names.count;) {
        if (has_parent(s, s->names.items[i].path)) {
            i++;
            continue;
        }
        drop_name(s, i);
        i = 0;
    }
}

void toc_vfs_sim_restart(struct toc_vfs_sim *s) {
    toc_mutex_lock(&s->mutex);
    lose_moves(s);
    size_t kept = 0;
    for (size_t i = 0; i < s->names.count; i++) {
        struct name *x = &s->names.items[i];
        bool take_now = x->now != x->durable && toc_rng_below(&s->rng, 2);
        struct node *n = ref(take_now ? x->now : x->durable);
        unref(x->now);
        unref(x->durable);
        x->now = n;
        x->durable = ref(n);
        if (n)
            s->names.items[kept++] = *x;
        else
            toc_free(x->path);
    }
    s->names.count = kept;
    drop_orphans(s);
    for (size_t i = 0; i < s->names.count; i++)
        lose_writes(s, s->names.items[i].now);
    s->is_off = false;
    s->power_left = 0;
    s->fail_left = 0;
    s->life++;
    toc_mutex_unlock(&s->mutex);
}

void toc_vfs_sim_set_capacity(struct toc_vfs_sim *s, uint64_t bytes) {
    toc_mutex_lock(&s->mutex);
    s->capacity = bytes;
    toc_mutex_unlock(&s->mutex);
}

uint64_t toc_vfs_sim_calls(struct toc_vfs_sim *s) {
    toc_mutex_lock(&s->mutex);
    uint64_t calls = s->calls;
    toc_mutex_unlock(&s->mutex);
    return calls;
}

uint64_t toc_vfs_sim_all_calls(struct toc_vfs_sim *s) {
    toc_mutex_lock(&s->mutex);
    uint64_t calls = s->all_calls;
    toc_mutex_unlock(&s->mutex);
    return calls;
}

struct toc_vfs_sim *toc_vfs_sim_clone(struct toc_vfs_sim *s, uint64_t seed) {
    struct toc_vfs_sim *copy = toc_vfs_sim_new(seed);
    toc_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->names.count; i++) {
        const struct node *from = s->names.items[i].now;
        if (!from)
            continue;
        struct node *n = TOC_NEW(struct node);
        n->is_dir = from->is_dir;
        copy_content(&n->now, &from->now);
        copy_content(&n->durable, &from->now);
        struct name x = {toc_xstrdup(s->names.items[i].path), ref(n), ref(n)};
        TOC_VEC_PUSH(&copy->names, x);
    }
    toc_mutex_unlock(&s->mutex);
    return copy;
}

int toc_vfs_sim_flip_bit(struct toc_vfs_sim *s, const char *path, uint64_t bit) {
    toc_mutex_lock(&s->mutex);
    struct node *n = lookup(s, path);
    int rc = !n ? TOC_ENOENT : bit / 8 >= n->now.n ? TOC_EINVAL : 0;
    if (!rc) {
        n->now.p[bit / 8] = (char)(n->now.p[bit / 8] ^ (1 << (bit % 8)));
        if (bit / 8 < n->durable.n)
            n->durable.p[bit / 8] = n->now.p[bit / 8];
    }
    toc_mutex_unlock(&s->mutex);
    return rc;
}

void toc_vfs_sim_remove_tree(struct toc_vfs_sim *s, const char *path) {
    toc_mutex_lock(&s->mutex);
    for (size_t i = s->names.count; i-- > 0;)
        if (is_at_or_below(s->names.items[i].path, path))
            drop_name(s, i);
    toc_mutex_unlock(&s->mutex);
}

void toc_vfs_sim_each_file(struct toc_vfs_sim *s,
                           void (*fn)(void *ctx, const char *path, uint64_t size), void *ctx) {
    toc_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->names.count; i++) {
        struct node *n = s->names.items[i].now;
        if (n && !n->is_dir)
            fn(ctx, s->names.items[i].path, n->now.n);
    }
    toc_mutex_unlock(&s->mutex);
}
