#include "collect/run_log_tail.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "collect/followed_files.h"
#include "collect/report_queue_priv.h"
#include "collect/sealed_state.h"
#include "sys/thread.h"
#include "sys/zone.h"

enum {
    DEFAULT_FILES = 1024,
    DEFAULT_POLL_BYTES = 16 << 20,
    CHUNK_BYTES = 256 << 10,
    MAGIC = 0x314c474c, /* "LGL1" */
};

struct log_file {
    struct toc_followed_file file;
    struct toc_sv run; /* part of its path */
    struct toc_run_log_feed *feed;
    uint64_t at; /* bytes pushed */
};

struct toc_run_log_tail {
    struct toc_run_log_tail_options o;
    struct toc_followed_files files; /* struct log_file */
    struct toc_report_queue queue;
    struct toc_buf chunk, saved;
    size_t budget;
    uint64_t bytes, files_restarted, files_over_limit;
    struct toc_run_log_counters gone; /* of logs no longer followed */
    struct toc_mutex mutex;           /* guards told */
    struct toc_run_log_tail_counters told;
};

struct toc_run_log_tail *toc_run_log_tail_new(const struct toc_run_log_tail_options *o) {
    struct toc_run_log_tail *t = TOC_NEW(struct toc_run_log_tail);
    t->o = *o;
    t->o.vfs = o->vfs ? o->vfs : toc_vfs_system();
    t->o.max_files = o->max_files ? o->max_files : DEFAULT_FILES;
    t->o.max_poll_bytes = o->max_poll_bytes ? o->max_poll_bytes : DEFAULT_POLL_BYTES;
    toc_report_queue_init(&t->queue, o->receiver, o->sink);
    toc_mutex_init(&t->mutex, TOC_LOCK_COLLECT);
    return t;
}

static void add_counters(struct toc_run_log_counters *sum, const struct toc_run_log_feed *feed) {
    struct toc_run_log_counters c = toc_run_log_feed_counters(feed);
#define X(member, what) sum->member += c.member;
    TOC_RUN_LOG_COUNTER_TABLE(X)
#undef X
}

static struct log_file *file_at(const struct toc_run_log_tail *t, size_t i) {
    return (struct log_file *)t->files.items[i];
}

static bool file_close(void *tail, struct toc_followed_file *file) {
    struct toc_run_log_tail *t = tail;
    struct log_file *f = (struct log_file *)file;
    add_counters(&t->gone, f->feed);
    toc_run_log_feed_free(&f->feed);
    return true;
}

void toc_run_log_tail_free(struct toc_run_log_tail **tail) {
    struct toc_run_log_tail *t = tail ? *tail : NULL;
    if (!t)
        return;
    toc_followed_files_fini(&t->files, file_close, t);
    toc_report_queue_fini(&t->queue);
    toc_buf_fini(&t->chunk);
    toc_buf_fini(&t->saved);
    toc_mutex_fini(&t->mutex);
    toc_free(t);
    *tail = NULL;
}

/* --------------------------------------------------------------------------------------- files */

static size_t suffix_bytes(struct toc_sv path) {
    static const char *const suffixes[] = {".log", ".out", ".txt"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(suffixes); i++)
        if (path.n > 4 && path.p[path.n - 5] != '/' &&
            toc_sv_ends_with(path, toc_sv_cstr(suffixes[i])))
            return 4;
    return 0;
}

/* A job on this machine: its clock is ours. */
static int utc_offset(const struct toc_run_log_tail *t, struct toc_ts at) {
    int minutes = 0;
    if (t->o.is_utc || !toc_zone_offset(NULL, TOC_SV("Local"), at, &minutes))
        return 0;
    return minutes;
}

static struct toc_run_log_feed *feed_new(struct toc_run_log_tail *t) {
    return toc_run_log_feed_new(&(struct toc_run_log_feed_options){
        .table = t->o.table, .aliases = t->o.aliases, .taker = &t->queue.taker});
}

static struct log_file *file_add(struct toc_run_log_tail *t, struct toc_sv path, size_t name_at,
                                 uint64_t inode) {
    struct log_file *f = TOC_NEW(struct log_file);
    toc_followed_files_add(&t->files, &f->file, path, inode);
    f->run = toc_sv_sub(f->file.path, name_at, path.n - name_at - suffix_bytes(path));
    f->feed = feed_new(t);
    return f;
}

static struct log_file *file_of(struct toc_run_log_tail *t,
                                const struct toc_run_dirs_file *listed) {
    struct toc_sv path = toc_sv_cstr(listed->path);
    struct log_file *f = (struct log_file *)toc_followed_files_get(&t->files, path);
    size_t name_at = path.n - listed->relative.n;
    struct toc_sv run = toc_sv_sub(path, name_at, listed->relative.n - 4);
    if (f)
        return f;
    if (t->files.count >= t->o.max_files || !toc_run_name_is_valid(run)) {
        t->files_over_limit++;
        return NULL;
    }
    return file_add(t, path, name_at, listed->info.inode);
}

static int send(struct toc_run_log_tail *t, struct toc_ts now, struct toc_err *err) {
    return toc_report_queue_is_empty(&t->queue) ? 0 : toc_report_queue_send(&t->queue, now, err);
}

/* A line without a time was written by the file's last change. */
static int read_file(struct toc_run_log_tail *t, struct log_file *f,
                     const struct toc_file_info *info, struct toc_ts now, struct toc_err *err) {
    struct toc_file *file = NULL;
    if (toc_file_open(t->o.vfs, f->file.path.p, TOC_OPEN_READ, &file))
        return 0;
    struct toc_ts written = {TOC_MIN(info->mtime_ms, now.ms)};
    int64_t got = 1;
    int rc = 0;
    toc_run_log_feed_set_utc_offset(f->feed, utc_offset(t, written));
    while (!rc && got > 0 && t->budget > 0 && f->at < info->size_bytes) {
        toc_buf_reset(&t->chunk);
        char *to = toc_buf_reserve(&t->chunk, CHUNK_BYTES);
        got = to ? t->o.vfs->pread(t->o.vfs, file, to, CHUNK_BYTES, f->at) : TOC_ENOMEM;
        if (got <= 0)
            break;
        toc_run_log_feed_push(f->feed, toc_sv_make(to, (size_t)got), written);
        f->at += (uint64_t)got;
        t->bytes += (uint64_t)got;
        t->budget -= TOC_MIN(t->budget, (size_t)got);
        rc = send(t, now, err);
    }
    toc_file_close(t->o.vfs, &file);
    return rc;
}

/* What the log said so far holds: a rotated log is of the same run. */
static void begin_anew(struct toc_run_log_tail *t, struct log_file *f, uint64_t inode) {
    struct toc_buf state = TOC_BUF_INIT;
    toc_run_log_feed_save(f->feed, &state);
    add_counters(&t->gone, f->feed);
    toc_run_log_feed_free(&f->feed);
    f->feed = feed_new(t);
    int rc = toc_run_log_feed_restore(f->feed, toc_buf_sv(&state));
    TOC_ASSERT(rc == 0);
    toc_buf_fini(&state);
    f->file.inode = inode;
    f->at = 0;
    t->files_restarted++;
}

static int follow(struct toc_run_log_tail *t, struct log_file *f, const struct toc_file_info *info,
                  struct toc_ts now, struct toc_err *err) {
    toc_report_queue_begin(&t->queue, f->run);
    if (f->file.inode != info->inode || info->size_bytes < f->at)
        begin_anew(t, f, info->inode);
    return info->size_bytes > f->at && t->budget ? read_file(t, f, info, now, err) : 0;
}

static void tell_counters(struct toc_run_log_tail *t) {
    struct toc_run_log_counters sum = t->gone;
    for (size_t i = 0; i < t->files.count; i++)
        add_counters(&sum, file_at(t, i)->feed);
    toc_mutex_lock(&t->mutex);
    t->told = (struct toc_run_log_tail_counters){
        .files = t->files.count,
        .files_over_limit = t->files_over_limit,
        .bytes = t->bytes,
        .lines = sum.lines,
        .lines_matched = sum.lines_matched,
        .lines_cut = sum.lines_cut,
        .lines_binary = sum.lines_binary,
        .values_bad = sum.values_bad,
        .values_dropped = sum.values_dropped,
        .files_restarted = t->files_restarted,
        .reports = sum.reports,
        .reports_skipped = t->queue.lines_skipped,
        .restarts = sum.restarts,
        .serve_reports = sum.serve_reports,
    };
    toc_mutex_unlock(&t->mutex);
}

struct toc_run_log_tail_counters toc_run_log_tail_counters(struct toc_run_log_tail *t) {
    toc_mutex_lock(&t->mutex);
    struct toc_run_log_tail_counters c = t->told;
    toc_mutex_unlock(&t->mutex);
    return c;
}

int toc_run_log_tail_poll(struct toc_run_log_tail *t, const struct toc_run_dirs_listing *listing,
                          struct toc_ts now, struct toc_err *err) {
    toc_followed_files_begin(&t->files);
    t->files_over_limit = 0;
    t->budget = t->o.max_poll_bytes;
    int rc = send(t, now, err); /* what the store refused before */
    for (size_t i = 0; !rc && i < listing->count; i++) {
        const struct toc_run_dirs_file *listed = &listing->files[i];
        struct log_file *f = suffix_bytes(listed->relative) ? file_of(t, listed) : NULL;
        if (!f)
            continue;
        f->file.is_seen = true;
        rc = follow(t, f, &listed->info, now, err);
    }
    if (!rc && listing->is_complete)
        toc_followed_files_forget(&t->files, file_close, t);
    tell_counters(t);
    return rc;
}

/* --------------------------------------------------------------------------------------- state */

static void save_file(const struct log_file *f, struct toc_buf *out) {
    struct toc_buf state = TOC_BUF_INIT;
    toc_sealed_state_string(out, f->file.path);
    toc_buf_append_varint(out, (uint64_t)(f->run.p - f->file.path.p));
    toc_buf_append_varint(out, f->file.inode);
    toc_buf_append_varint(out, f->at - toc_run_log_feed_unfinished(f->feed));
    toc_run_log_feed_save(f->feed, &state);
    toc_sealed_state_string(out, toc_buf_sv(&state));
    toc_buf_fini(&state);
}

void toc_run_log_tail_save(struct toc_run_log_tail *t, struct toc_buf *out) {
    if (toc_report_queue_is_empty(&t->queue)) {
        struct toc_buf *b = &t->saved;
        toc_buf_reset(b);
        toc_buf_append_u32(b, MAGIC);
        toc_buf_append_varint(b, t->files.count);
        for (size_t i = 0; i < t->files.count; i++)
            save_file(file_at(t, i), b);
        toc_sealed_state_end(b, 0);
    }
    if (!toc_buf_error(&t->saved))
        toc_buf_append_sv(out, toc_buf_sv(&t->saved));
}

static void restore_file(struct toc_run_log_tail *t, struct toc_reader *r) {
    struct toc_sv path = toc_read_string(r);
    uint64_t name_at = toc_read_varint(r), inode = toc_read_varint(r), at = toc_read_varint(r);
    struct toc_sv state = toc_read_string(r);
    if (r->error || !suffix_bytes(path) || name_at + 4 >= path.n ||
        t->files.count >= t->o.max_files || toc_followed_files_get(&t->files, path)) {
        r->error = r->error ? r->error : TOC_ECORRUPT;
        return;
    }
    struct log_file *f = file_add(t, path, (size_t)name_at, inode);
    f->at = at;
    if (toc_run_log_feed_restore(f->feed, state) < 0)
        r->error = TOC_ECORRUPT;
}

int toc_run_log_tail_restore(struct toc_run_log_tail *t, struct toc_sv bytes) {
    struct toc_reader r;
    if (toc_sealed_state_open(bytes, MAGIC, &r))
        return TOC_ECORRUPT;
    uint64_t count = toc_read_varint(&r);
    for (uint64_t i = 0; i < count && !r.error; i++)
        restore_file(t, &r);
    toc_buf_reset(&t->saved);
    toc_buf_append_sv(&t->saved, bytes);
    return r.error ? TOC_ECORRUPT : 0;
}
