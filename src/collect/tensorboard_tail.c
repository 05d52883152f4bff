#include "collect/tensorboard_tail_priv.h"

#include "base/alloc.h"
#include "sys/log.h"

enum {
    DEFAULT_RUNS = 1000,
    DEFAULT_FILES = 4096,
    DEFAULT_POLL_BYTES = 16 << 20,
    CHUNK_BYTES = 1 << 20,
    KEPT_BYTES = 4 << 20, /* a larger chunk is given back */
};

struct toc_tensorboard_tail *
toc_tensorboard_tail_new(const struct toc_tensorboard_tail_options *o) {
    struct toc_tensorboard_tail *t = TOC_NEW(struct toc_tensorboard_tail);
    t->o = *o;
    t->o.vfs = o->vfs ? o->vfs : toc_vfs_system();
    t->o.max_runs = o->max_runs ? o->max_runs : DEFAULT_RUNS;
    t->o.max_files = o->max_files ? o->max_files : DEFAULT_FILES;
    t->o.max_poll_bytes = o->max_poll_bytes ? o->max_poll_bytes : DEFAULT_POLL_BYTES;
    toc_report_queue_init(&t->queue, o->receiver, NULL);
    toc_mutex_init(&t->mutex, TOC_LOCK_COLLECT);
    return t;
}

static void add_feed(struct toc_tensorboard_feed_counters *sum,
                     const struct toc_tensorboard_feed_counters *c) {
#define X(member, what) sum->member += c->member;
    TOC_TENSORBOARD_FEED_COUNTER_TABLE(X)
#undef X
#define X(member, what) sum->codec.member += c->codec.member;
    TOC_TFEVENTS_COUNTER_TABLE(X)
#undef X
}

static void run_free(struct toc_tensorboard_tail *t, struct toc_tb_run *run) {
    struct toc_tensorboard_feed_counters c = toc_tensorboard_feed_counters(run->feed);
    add_feed(&t->gone, &c);
    toc_map_remove(&t->by_name, toc_sv_cstr(run->name));
    toc_tensorboard_feed_free(&run->feed);
    toc_free(run);
}

static bool file_close(void *tail, struct toc_followed_file *file) {
    struct toc_tb_file *f = (struct toc_tb_file *)file;
    (void)tail;
    toc_tensorboard_stream_close(&f->stream);
    f->run->files--;
    return true;
}

void toc_tensorboard_tail_free(struct toc_tensorboard_tail **tail) {
    struct toc_tensorboard_tail *t = tail ? *tail : NULL;
    if (!t)
        return;
    toc_followed_files_fini(&t->files, file_close, t);
    for (size_t i = 0; i < t->runs.count; i++)
        run_free(t, t->runs.items[i]);
    TOC_VEC_FINI(&t->runs);
    toc_map_fini(&t->by_name);
    toc_report_queue_fini(&t->queue);
    toc_buf_fini(&t->chunk);
    toc_buf_fini(&t->saved);
    toc_mutex_fini(&t->mutex);
    toc_free(t);
    *tail = NULL;
}

/* --------------------------------------------------------------------------------- runs, files */

/* Keras writes into "train" and "validation". */
static bool is_validation(const struct toc_tensorboard_tail *t, struct toc_sv name) {
    size_t slash = name.n;
    while (slash > 0 && name.p[slash - 1] != '/')
        slash--;
    return toc_sv_eq_cstr(toc_alias_phase(t->o.aliases, toc_sv_sub(name, slash, SIZE_MAX)), "val");
}

struct toc_tb_run *toc_tb_run_get(struct toc_tensorboard_tail *t, struct toc_sv name) {
    struct toc_tb_run *run = toc_map_get(&t->by_name, name);
    if (run || t->runs.count >= t->o.max_runs || !toc_run_name_is_valid(name))
        return run;
    run = TOC_NEW(struct toc_tb_run);
    toc_sv_copy(name, run->name, sizeof run->name);
    run->feed = toc_tensorboard_feed_new(
        &(struct toc_tensorboard_feed_options){.aliases = t->o.aliases,
                                               .taker = &t->queue.taker,
                                               .is_validation = is_validation(t, name)});
    TOC_VEC_PUSH(&t->runs, run);
    toc_map_put(&t->by_name, name, run);
    return run;
}

struct toc_tb_file *toc_tb_file_add(struct toc_tensorboard_tail *t, struct toc_tb_run *run,
                                    struct toc_sv path, uint64_t inode) {
    if (t->files.count >= t->o.max_files)
        return NULL;
    struct toc_tb_file *f = TOC_NEW(struct toc_tb_file);
    f->run = run;
    run->files++;
    toc_followed_files_add(&t->files, &f->file, path, inode);
    return f;
}

static struct toc_sv run_name(const struct toc_run_dirs_file *file) {
    size_t slash = file->relative.n;
    while (slash > 0 && file->relative.p[slash - 1] != '/')
        slash--;
    return slash ? toc_sv_sub(file->relative, 0, slash - 1) : file->root;
}

static bool is_event_file(struct toc_sv relative) {
    size_t slash = relative.n;
    while (slash > 0 && relative.p[slash - 1] != '/')
        slash--;
    return toc_sv_find(toc_sv_sub(relative, slash, SIZE_MAX), TOC_SV("tfevents")) != SIZE_MAX;
}

static struct toc_tb_file *file_of(struct toc_tensorboard_tail *t,
                                   const struct toc_run_dirs_file *listed) {
    struct toc_followed_file *known = toc_followed_files_get(&t->files, toc_sv_cstr(listed->path));
    if (known)
        return (struct toc_tb_file *)known;
    struct toc_tb_run *run = toc_tb_run_get(t, run_name(listed));
    struct toc_tb_file *f =
        run ? toc_tb_file_add(t, run, toc_sv_cstr(listed->path), listed->info.inode) : NULL;
    t->files_over_limit += !f;
    return f;
}

/* ------------------------------------------------------------------------------------- reading */

static int send(struct toc_tensorboard_tail *t, struct toc_ts now, struct toc_err *err) {
    return toc_report_queue_is_empty(&t->queue) ? 0 : toc_report_queue_send(&t->queue, now, err);
}

/* Once per file: damage is a property of it, not news of every second. */
static void tell_damage(struct toc_tb_file *f) {
    struct toc_tfevents_counters c = toc_tensorboard_stream_counters(f->stream);
    if (f->is_blamed || !(c.bad_data_crc + c.bad_length_crc + c.records_too_long))
        return;
    f->is_blamed = true;
    toc_log(TOC_LOG_WARN, "runs",
            "%s is damaged: records with a wrong checksum or of an absurd length are left out; the "
            "rest is read (tocsin_tensorboard_records_damaged_total)",
            f->file.path.p);
}

/* One chunk; true when another may follow at once. */
static bool read_chunk(struct toc_tensorboard_tail *t, struct toc_tb_file *f,
                       struct toc_file *file) {
    size_t wanted = toc_tensorboard_stream_wanted(f->stream);
    size_t n = TOC_MAX(wanted, (size_t)CHUNK_BYTES);
    toc_buf_reset(&t->chunk);
    char *to = toc_buf_reserve(&t->chunk, n);
    int64_t got = to ? t->o.vfs->pread(t->o.vfs, file, to, n, f->at) : TOC_ENOMEM;
    if (got <= 0)
        return false; /* looked at again; an unreadable file shows in its run's silence */
    size_t done = toc_tensorboard_stream_push(f->stream, toc_sv_make(to, (size_t)got));
    f->at += done;
    t->bytes += done;
    t->budget -= TOC_MIN(t->budget, (size_t)got);
    return done > 0 && t->budget > 0;
}

/* Less than is wanted is read, too, when the file has changed: zeros may have become records. */
static int read_file(struct toc_tensorboard_tail *t, struct toc_tb_file *f,
                     const struct toc_file_info *info, struct toc_ts now, struct toc_err *err) {
    /* A time of change that was young when it was seen may stand for a later change as well. */
    enum { YOUNG_MS = 2000 }; /* FAT's tick, the coarsest in use */
    bool has_changed = f->seen_mtime_ms != info->mtime_ms || f->seen_bytes != info->size_bytes ||
                       f->seen_at_ms - info->mtime_ms < YOUNG_MS;
    struct toc_file *file = NULL;
    if (toc_file_open(t->o.vfs, f->file.path.p, TOC_OPEN_READ, &file))
        return 0;
    bool has_more =
        has_changed || info->size_bytes - f->at >= toc_tensorboard_stream_wanted(f->stream);
    int rc = 0;
    while (!rc && has_more) {
        has_more = read_chunk(t, f, file);
        rc = send(t, now, err);
    }
    toc_file_close(t->o.vfs, &file);
    if (t->chunk.capacity > KEPT_BYTES)
        toc_buf_fini(&t->chunk);
    tell_damage(f);
    return rc;
}

static void begin_anew(struct toc_tensorboard_tail *t, struct toc_tb_file *f, uint64_t inode) {
    toc_tensorboard_stream_close(&f->stream);
    f->file.inode = inode;
    f->at = f->seen_bytes = 0;
    f->is_blamed = false;
    t->files_restarted++;
}

/* What is gathered about a step is given when the file has not grown since the last poll. */
static int follow(struct toc_tensorboard_tail *t, struct toc_tb_file *f,
                  const struct toc_file_info *info, struct toc_ts now, struct toc_err *err) {
    toc_report_queue_begin(&t->queue, toc_sv_cstr(f->run->name));
    if (f->file.inode != info->inode || info->size_bytes < f->at)
        begin_anew(t, f, info->inode);
    if (!f->stream)
        f->stream = toc_tensorboard_stream_open(f->run->feed);
    bool is_quiet = f->seen_bytes == info->size_bytes && f->seen_mtime_ms == info->mtime_ms;
    bool is_read = f->at == info->size_bytes;
    if (is_quiet && is_read)
        toc_tensorboard_stream_flush(f->stream);
    int rc = send(t, now, err);
    if (rc || is_read || !t->budget)
        return rc;
    uint64_t before = f->at;
    rc = read_file(t, f, info, now, err);
    if (is_quiet && f->at == before)
        toc_tensorboard_stream_flush(f->stream); /* half a record waits behind it */
    if (t->budget) {
        f->seen_bytes = info->size_bytes;
        f->seen_mtime_ms = info->mtime_ms;
        f->seen_at_ms = now.ms;
    }
    return rc ? rc : send(t, now, err);
}

struct forgetting {
    struct toc_tensorboard_tail *t;
    struct toc_ts now;
    struct toc_err *err;
    int rc;
};

/* What was gathered of the file is given; when the store refuses it, the others stay. */
static bool give_and_close(void *context, struct toc_followed_file *file) {
    struct forgetting *g = context;
    if (g->rc)
        return false;
    toc_report_queue_begin(&g->t->queue, toc_sv_cstr(((struct toc_tb_file *)file)->run->name));
    file_close(g->t, file);
    g->rc = send(g->t, g->now, g->err);
    return true;
}

/* Files that are gone. */
static int forget_files(struct toc_tensorboard_tail *t, struct toc_ts now, struct toc_err *err) {
    struct forgetting g = {t, now, err, 0};
    toc_followed_files_forget(&t->files, give_and_close, &g);
    return g.rc;
}

/* Runs without a file. */
static void forget_runs(struct toc_tensorboard_tail *t) {
    size_t kept = 0;
    for (size_t i = 0; i < t->runs.count; i++) {
        if (t->runs.items[i]->files)
            t->runs.items[kept++] = t->runs.items[i];
        else
            run_free(t, t->runs.items[i]);
    }
    t->runs.count = kept;
}

/* ------------------------------------------------------------------------------------ counters */

static void tell_counters(struct toc_tensorboard_tail *t) {
    struct toc_tensorboard_feed_counters sum = t->gone;
    for (size_t i = 0; i < t->runs.count; i++) {
        struct toc_tensorboard_feed_counters c =
            toc_tensorboard_feed_counters(t->runs.items[i]->feed);
        add_feed(&sum, &c);
    }
    const struct toc_tfevents_counters *c = &sum.codec;
    toc_mutex_lock(&t->mutex);
    t->told = (struct toc_tensorboard_tail_counters){
        .runs = t->runs.count,
        .files = t->files.count,
        .files_over_limit = t->files_over_limit,
        .bytes = t->bytes,
        .files_restarted = t->files_restarted,
        .reports = sum.reports,
        .reports_skipped = t->queue.lines_skipped,
        .restarts = sum.restarts,
        .scalars = c->scalars,
        .histograms = c->histograms,
        .values_ignored = c->texts + c->others,
        .values_dropped = sum.tags_dropped + sum.bad_times + c->values_malformed,
        .records_damaged =
            c->bad_data_crc + c->bad_length_crc + c->records_too_long + c->records_malformed,
        .bytes_skipped = c->bytes_skipped,
    };
    toc_mutex_unlock(&t->mutex);
}

struct toc_tensorboard_tail_counters toc_tensorboard_tail_counters(struct toc_tensorboard_tail *t) {
    toc_mutex_lock(&t->mutex);
    struct toc_tensorboard_tail_counters c = t->told;
    toc_mutex_unlock(&t->mutex);
    return c;
}

static int poll_files(struct toc_tensorboard_tail *t, const struct toc_run_dirs_listing *listing,
                      struct toc_ts now, struct toc_err *err) {
    for (size_t i = 0; i < listing->count; i++) {
        const struct toc_run_dirs_file *listed = &listing->files[i];
        struct toc_tb_file *f = is_event_file(listed->relative) ? file_of(t, listed) : NULL;
        if (!f)
            continue;
        f->file.is_seen = true;
        int rc = follow(t, f, &listed->info, now, err);
        if (rc)
            return rc;
    }
    return 0;
}

int toc_tensorboard_tail_poll(struct toc_tensorboard_tail *t,
                              const struct toc_run_dirs_listing *listing, struct toc_ts now,
                              struct toc_err *err) {
    toc_followed_files_begin(&t->files);
    t->files_over_limit = 0;
    t->budget = t->o.max_poll_bytes;
    int rc = send(t, now, err); /* what the store refused before */
    if (!rc)
        rc = poll_files(t, listing, now, err);
    if (!rc && listing->is_complete)
        rc = forget_files(t, now, err);
    forget_runs(t);
    tell_counters(t);
    return rc;
}
