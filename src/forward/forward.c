#include "forward/forward.h"

#include "base/alloc.h"
#include "forward/position.h"
#include "sys/log.h"
#include "sys/thread.h"

enum { COMPLAINT_TICKS = 60 };

struct toc_forward {
    struct toc_forward_options o;
    char *dir;
    struct toc_mutex mutex;
    struct toc_forward_set *set; /* what is wanted; NULL: nothing */
    TOC_VEC(struct toc_forward_remote *) remotes;
    size_t not_started;
    unsigned quiet_ticks; /* until the same complaint may come again */
    struct toc_forward_totals totals;
};

struct toc_forward *toc_forward_new(const struct toc_forward_options *o) {
    struct toc_forward *f = TOC_NEW(struct toc_forward);
    f->o = *o;
    f->o.clock = o->clock ? o->clock : toc_clock_system();
    f->o.vfs = o->vfs ? o->vfs : toc_vfs_system();
    f->dir = toc_xstrdup(o->dir);
    toc_mutex_init(&f->mutex, TOC_LOCK_FORWARD);
    return f;
}

void toc_forward_free(struct toc_forward **fp) {
    struct toc_forward *f = *fp;
    if (!f)
        return;
    for (size_t i = 0; i < f->remotes.count; i++)
        toc_forward_remote_stop(&f->remotes.items[i]);
    TOC_VEC_FINI(&f->remotes);
    toc_forward_set_unref(&f->set);
    toc_mutex_fini(&f->mutex);
    toc_free(f->dir);
    toc_free(f);
    *fp = NULL;
}

static void complain(struct toc_forward *f, const char *text) {
    if (f->quiet_ticks)
        return;
    f->quiet_ticks = COMPLAINT_TICKS;
    toc_log(TOC_LOG_ERROR, "forward", "%s", text);
}

/* --- which ones run --- */

static bool is_running(const struct toc_forward *f, const struct toc_forward_config *c) {
    for (size_t i = 0; i < f->remotes.count; i++) {
        const struct toc_forward_config *have = toc_forward_remote_config(f->remotes.items[i]);
        if (toc_sv_eq(have->key, c->key) && have->digest == c->digest)
            return true;
    }
    return false;
}

static bool is_wanted(const struct toc_forward *f, const struct toc_forward_config *have) {
    for (size_t i = 0; i < toc_forward_set_count(f->set); i++) {
        const struct toc_forward_config *c = toc_forward_set_get(f->set, i);
        if (toc_sv_eq(have->key, c->key) && have->digest == c->digest)
            return true;
    }
    return false;
}

static void stop_unwanted(struct toc_forward *f) {
    for (size_t i = f->remotes.count; i-- > 0;) {
        if (is_wanted(f, toc_forward_remote_config(f->remotes.items[i])))
            continue;
        toc_forward_remote_stop(&f->remotes.items[i]);
        TOC_VEC_REMOVE(&f->remotes, i);
    }
}

static int sweep(struct toc_forward *f) {
    struct toc_sv keys[TOC_FORWARD_REMOTES_MAX];
    size_t count = toc_forward_set_count(f->set);
    for (size_t i = 0; i < count; i++)
        keys[i] = toc_forward_set_get(f->set, i)->key;
    return toc_forward_position_sweep(f->o.vfs, f->dir, keys, count);
}

/* What the log drops is held before anybody reads along with it, and until nobody does. */
static int prepare(struct toc_forward *f) {
    bool has_any = toc_forward_set_count(f->set) > 0;
    int rc = has_any ? toc_vfs_make_dirs(f->o.vfs, f->dir) : 0;
    rc = rc < 0 ? rc : sweep(f);
    return rc ? rc : toc_metricdb_hold(f->o.db, has_any);
}

static int start(struct toc_forward *f, const struct toc_forward_config *c, struct toc_err *err) {
    const struct toc_forward_remote_options o = {.db = f->o.db,
                                                 .clock = f->o.clock,
                                                 .vfs = f->o.vfs,
                                                 .dir = f->dir,
                                                 .path = f->o.path,
                                                 .set = f->set,
                                                 .config = c};
    struct toc_forward_remote *r;
    int rc = toc_forward_remote_start(&o, &r, err);
    if (!rc)
        TOC_VEC_PUSH(&f->remotes, r);
    return rc;
}

static void start_missing(struct toc_forward *f) {
    struct toc_err err = {0};
    int rc = prepare(f);
    if (rc)
        toc_errf(&err, rc, "remote write: %s and the log cannot be prepared for it: %s", f->dir,
                 toc_strerror(rc));
    f->not_started = 0;
    for (size_t i = 0; i < toc_forward_set_count(f->set); i++) {
        const struct toc_forward_config *c = toc_forward_set_get(f->set, i);
        if (!is_running(f, c) && (rc || start(f, c, &err)))
            f->not_started++;
    }
    if (rc || f->not_started)
        complain(f, err.message);
}

void toc_forward_set(struct toc_forward *f, struct toc_forward_set *set) {
    toc_mutex_lock(&f->mutex);
    struct toc_forward_set *before = f->set;
    f->set = set ? toc_forward_set_ref(set) : NULL;
    f->quiet_ticks = 0;
    stop_unwanted(f);
    start_missing(f);
    toc_mutex_unlock(&f->mutex);
    toc_forward_set_unref(&before);
}

/* --- letting go --- */

struct needs {
    uint64_t saved; /* segments below it nobody reads again, whatever happens */
    uint64_t read;  /* segments below it were read by all */
};

static struct needs needs_of(struct toc_forward *f) {
    struct needs n = {UINT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < f->remotes.count; i++) {
        struct toc_forward_stats s;
        toc_forward_remote_stats(f->remotes.items[i], &s);
        n.saved = TOC_MIN(n.saved, s.saved.segment);
        n.read = TOC_MIN(n.read, s.read_segment);
    }
    if (f->not_started) /* one of them may stand anywhere */
        n.saved = 0;
    return n;
}

/* How many of the oldest segments are too many, and why. */
static size_t excess(struct toc_forward *f, const struct toc_held_segment *held, size_t count,
                     enum toc_forward_drop *out_reason) {
    const struct toc_forward_limits *l = &f->o.limits;
    uint64_t bytes = 0, free_bytes = UINT64_MAX;
    int64_t now = toc_clock_now(f->o.clock).ms;
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        bytes += held[i].bytes;
    if (f->o.vfs->free_bytes(f->o.vfs, f->dir, &free_bytes))
        free_bytes = UINT64_MAX; /* not known: the disk is not called full */
    for (; n < count; n++) {
        if (bytes > l->max_bytes)
            *out_reason = TOC_FORWARD_DROP_BACKLOG_BYTES;
        else if (held[n].written_ms < now - l->max_age_ms)
            *out_reason = TOC_FORWARD_DROP_BACKLOG_AGE;
        else if (free_bytes < l->keep_free_bytes)
            *out_reason = TOC_FORWARD_DROP_DISK_FULL;
        else
            break;
        bytes -= held[n].bytes;
        free_bytes += free_bytes == UINT64_MAX ? 0 : held[n].bytes;
    }
    return n;
}

static int apply_limits(struct toc_forward *f, const struct needs *needs) {
    struct toc_held_segment *held;
    size_t count;
    enum toc_forward_drop reason = TOC_FORWARD_DROP_BACKLOG_BYTES;
    int rc = toc_metricdb_held(f->o.db, &held, &count);
    if (rc)
        return rc;
    size_t n = excess(f, held, count, &reason);
    uint64_t floor = n ? held[n - 1].number + 1 : 0;
    f->totals.held_segments = count;
    f->totals.held_bytes = 0;
    for (size_t i = 0; i < count; i++)
        f->totals.held_bytes += held[i].bytes;
    for (size_t i = 0; n && i < f->remotes.count; i++)
        toc_forward_remote_set_floor(f->remotes.items[i], floor, reason);
    if (n)
        complain(f, reason == TOC_FORWARD_DROP_DISK_FULL
                        ? "remote write: the disk is nearly full: the oldest samples that a "
                          "receiver has not got are dropped"
                        : "remote write: a receiver is so far behind that its oldest samples are "
                          "dropped; see storage.remote_write_backlog");
    toc_free(held);
    /* Each receiver counts what it did not read; then the files go. */
    return n ? toc_metricdb_release(f->o.db, TOC_MIN(floor, needs->read)) : 0;
}

void toc_forward_tick(struct toc_forward *f) {
    toc_mutex_lock(&f->mutex);
    f->quiet_ticks -= f->quiet_ticks > 0;
    if (f->not_started)
        start_missing(f);
    int rc = 0;
    if (toc_forward_set_count(f->set)) {
        struct needs needs = needs_of(f);
        rc = toc_metricdb_release(f->o.db, needs.saved);
        if (!rc)
            rc = apply_limits(f, &needs);
    }
    if (rc) {
        struct toc_err err = {0};
        toc_errf(&err, rc, "remote write: what is held of the log cannot be looked after: %s",
                 toc_strerror(rc));
        complain(f, err.message);
    }
    toc_mutex_unlock(&f->mutex);
}

/* --- numbers --- */

size_t toc_forward_stats(struct toc_forward *f, struct toc_forward_stats *out, size_t max) {
    toc_mutex_lock(&f->mutex);
    size_t count = f->remotes.count;
    for (size_t i = 0; i < count && i < max; i++)
        toc_forward_remote_stats(f->remotes.items[i], &out[i]);
    toc_mutex_unlock(&f->mutex);
    return count;
}

void toc_forward_totals(struct toc_forward *f, struct toc_forward_totals *out) {
    toc_mutex_lock(&f->mutex);
    *out = f->totals;
    out->remotes = f->remotes.count;
    out->not_started = f->not_started;
    toc_mutex_unlock(&f->mutex);
}
