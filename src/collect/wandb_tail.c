#include "collect/wandb_tail.h"

#include "base/alloc.h"
#include "collect/followed_files.h"
#include "collect/report_queue_priv.h"
#include "collect/sealed_state.h"
#include "sys/log.h"
#include "sys/thread.h"

enum {
    MAGIC = 0x31424457, /* "WDB1" */
    DEFAULT_FILES = 1000,
    DEFAULT_POLL_BYTES = 16 << 20,
    CHUNK_BYTES = 1 << 20,
    LOOK_BYTES = 256 << 10,
};

struct run_file {
    struct toc_followed_file file;
    char run[TOC_RUN_NAME_MAX_BYTES + 1];
    struct toc_wandb_feed *feed;
    uint64_t seen_bytes;
    bool is_blamed; /* its damage was told */
};

struct toc_wandb_tail {
    struct toc_wandb_tail_options o;
    struct toc_followed_files files; /* struct run_file */
    struct toc_report_queue queue;
    struct toc_buf chunk, saved;
    size_t budget;                       /* bytes this poll may still read */
    struct toc_wandb_tail_counters sums; /* bytes, and of files no longer followed */
    struct toc_mutex mutex;              /* guards told */
    struct toc_wandb_tail_counters told;
};

struct toc_wandb_tail *toc_wandb_tail_new(const struct toc_wandb_tail_options *o) {
    struct toc_wandb_tail *t = TOC_NEW(struct toc_wandb_tail);
    t->o = *o;
    t->o.vfs = o->vfs ? o->vfs : toc_vfs_system();
    t->o.max_files = o->max_files ? o->max_files : DEFAULT_FILES;
    t->o.max_poll_bytes = o->max_poll_bytes ? o->max_poll_bytes : DEFAULT_POLL_BYTES;
    toc_report_queue_init(&t->queue, o->receiver, NULL);
    toc_mutex_init(&t->mutex, TOC_LOCK_COLLECT);
    return t;
}

static void add_counts(struct toc_wandb_tail_counters *to, const struct toc_wandb_feed *feed) {
    struct toc_wandb_feed_counters c = toc_wandb_feed_counters(feed);
    to->reports += c.reports;
    to->restarts += c.restarts;
    to->values += c.values;
    to->histograms += c.histograms;
    to->values_ignored += c.values_ignored;
    to->values_dropped += c.values_dropped;
    to->records_damaged +=
        c.records_malformed + c.log.bad_crc + c.log.bad_chunks + c.log.torn + c.log.too_long;
    to->bytes_skipped += c.log.bytes_skipped;
}

static struct run_file *file_at(const struct toc_wandb_tail *t, size_t i) {
    return (struct run_file *)t->files.items[i];
}

static bool file_close(void *tail, struct toc_followed_file *file) {
    struct toc_wandb_tail *t = tail;
    struct run_file *f = (struct run_file *)file;
    add_counts(&t->sums, f->feed);
    toc_wandb_feed_free(&f->feed);
    return true;
}

void toc_wandb_tail_free(struct toc_wandb_tail **tail) {
    struct toc_wandb_tail *t = tail ? *tail : NULL;
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

bool toc_wandb_is_run_file(struct toc_sv path) {
    bool is_second_name = toc_sv_starts_with(path, TOC_SV("latest-run/")) ||
                          toc_sv_find(path, TOC_SV("/latest-run/")) != SIZE_MAX;
    return toc_sv_ends_with(path, TOC_SV(".wandb")) && !is_second_name;
}

/* --------------------------------------------------------------------------------------- files */

static struct toc_wandb_feed *feed_new(struct toc_wandb_tail *t) {
    return toc_wandb_feed_new(
        &(struct toc_wandb_feed_options){.aliases = t->o.aliases, .lines = &t->queue.lines});
}

static struct run_file *file_add(struct toc_wandb_tail *t, struct toc_sv path, const char *run,
                                 uint64_t inode) {
    struct run_file *f = TOC_NEW(struct run_file);
    toc_followed_files_add(&t->files, &f->file, path, inode);
    toc_sv_copy(toc_sv_cstr(run), f->run, sizeof f->run);
    f->feed = feed_new(t);
    return f;
}

static int64_t read_at(struct toc_wandb_tail *t, const char *path, uint64_t at, size_t n) {
    struct toc_file *file = NULL;
    toc_buf_reset(&t->chunk);
    char *to = toc_buf_reserve(&t->chunk, n);
    if (!to || toc_file_open(t->o.vfs, path, TOC_OPEN_READ, &file))
        return -1;
    int64_t got = t->o.vfs->pread(t->o.vfs, file, to, n, at);
    toc_file_close(t->o.vfs, &file);
    if (got > 0)
        t->chunk.n = (size_t)got;
    return got;
}

/* A new file is followed from when its first records say whose it is. */
static struct run_file *file_of(struct toc_wandb_tail *t, const struct toc_run_dirs_file *listed) {
    struct toc_followed_file *known = toc_followed_files_get(&t->files, toc_sv_cstr(listed->path));
    if (known)
        return (struct run_file *)known;
    struct toc_wandb_look look = {0};
    if (t->files.count < t->o.max_files && read_at(t, listed->path, 0, LOOK_BYTES) > 0)
        look = toc_wandb_look_at(toc_buf_sv(&t->chunk));
    if (look.name[0])
        return file_add(t, toc_sv_cstr(listed->path), look.name, listed->info.inode);
    t->sums.files_over_limit++;
    return NULL;
}

static int send(struct toc_wandb_tail *t, struct toc_ts now, struct toc_err *err) {
    return toc_report_queue_is_empty(&t->queue) ? 0 : toc_report_queue_send(&t->queue, now, err);
}

/* Once per file: damage is a property of it, not news of every second. */
static void tell_damage(struct run_file *f) {
    struct toc_wandb_log_counters c = toc_wandb_feed_counters(f->feed).log;
    if (f->is_blamed || !(c.bad_crc + c.bad_chunks + c.too_long))
        return;
    f->is_blamed = true;
    toc_log(TOC_LOG_WARN, "runs",
            "%s is damaged: what is in the blocks with a wrong checksum is left out; the rest is "
            "read (tocsin_wandb_records_damaged_total)",
            f->file.path.p);
}

static void begin_anew(struct toc_wandb_tail *t, struct run_file *f, uint64_t inode) {
    add_counts(&t->sums, f->feed);
    toc_wandb_feed_free(&f->feed);
    f->feed = feed_new(t);
    f->file.inode = inode;
    f->seen_bytes = 0;
    f->is_blamed = false;
    t->sums.files_restarted++;
}

/* Reads until nothing whole is left. A block is always fully there at some time, so a chunk of a
 * mebibyte always gets on. */
static int follow(struct toc_wandb_tail *t, struct run_file *f, const struct toc_file_info *info,
                  struct toc_ts now, struct toc_err *err) {
    toc_report_queue_begin(&t->queue, toc_sv_cstr(f->run));
    if (f->file.inode != info->inode || info->size_bytes < toc_wandb_feed_at(f->feed))
        begin_anew(t, f, info->inode);
    int rc = 0;
    bool has_more = f->seen_bytes != info->size_bytes;
    while (!rc && has_more && t->budget) {
        int64_t got = read_at(t, f->file.path.p, toc_wandb_feed_at(f->feed), CHUNK_BYTES);
        size_t done = got > 0 ? toc_wandb_feed_push(f->feed, toc_buf_sv(&t->chunk)) : 0;
        t->sums.bytes += done;
        t->budget -= TOC_MIN(t->budget, got > 0 ? (size_t)got : 0);
        has_more = done > 0;
        rc = send(t, now, err);
    }
    if (!has_more)
        f->seen_bytes = info->size_bytes;
    tell_damage(f);
    return rc;
}

static void tell_counters(struct toc_wandb_tail *t) {
    struct toc_wandb_tail_counters sum = t->sums;
    for (size_t i = 0; i < t->files.count; i++)
        add_counts(&sum, file_at(t, i)->feed);
    sum.files = t->files.count;
    sum.reports_skipped = t->queue.lines_skipped;
    toc_mutex_lock(&t->mutex);
    t->told = sum;
    toc_mutex_unlock(&t->mutex);
}

struct toc_wandb_tail_counters toc_wandb_tail_counters(struct toc_wandb_tail *t) {
    toc_mutex_lock(&t->mutex);
    struct toc_wandb_tail_counters c = t->told;
    toc_mutex_unlock(&t->mutex);
    return c;
}

int toc_wandb_tail_poll(struct toc_wandb_tail *t, const struct toc_run_dirs_listing *listing,
                        struct toc_ts now, struct toc_err *err) {
    toc_followed_files_begin(&t->files);
    t->sums.files_over_limit = 0;
    t->budget = t->o.max_poll_bytes;
    int rc = send(t, now, err); /* what the store refused before */
    for (size_t i = 0; !rc && i < listing->count; i++) {
        const struct toc_run_dirs_file *listed = &listing->files[i];
        struct run_file *f =
            toc_wandb_is_run_file(toc_sv_cstr(listed->path)) ? file_of(t, listed) : NULL;
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

void toc_wandb_tail_save(struct toc_wandb_tail *t, struct toc_buf *out) {
    if (!toc_report_queue_is_empty(&t->queue)) { /* not stored yet: not behind us */
        toc_buf_append_sv(out, toc_buf_sv(&t->saved));
        return;
    }
    toc_buf_reset(&t->saved);
    toc_buf_append_u32(&t->saved, MAGIC);
    toc_buf_append_varint(&t->saved, t->files.count);
    for (size_t i = 0; i < t->files.count; i++) {
        const struct run_file *f = file_at(t, i);
        toc_sealed_state_string(&t->saved, f->file.path);
        toc_sealed_state_string(&t->saved, toc_sv_cstr(f->run));
        toc_buf_append_varint(&t->saved, f->file.inode);
        toc_wandb_feed_save(f->feed, &t->saved);
    }
    toc_sealed_state_end(&t->saved, 0);
    toc_buf_append_sv(out, toc_buf_sv(&t->saved));
}

int toc_wandb_tail_restore(struct toc_wandb_tail *t, struct toc_sv bytes) {
    struct toc_reader r;
    int rc = toc_sealed_state_open(bytes, MAGIC, &r);
    if (rc)
        return rc;
    uint64_t count = toc_read_varint(&r);
    for (uint64_t i = 0; i < count && !r.error && t->files.count < t->o.max_files; i++) {
        struct toc_sv path = toc_read_string(&r), run = toc_read_string(&r);
        uint64_t inode = toc_read_varint(&r);
        char name[TOC_RUN_NAME_MAX_BYTES + 1];
        if (r.error || !toc_sv_copy(run, name, sizeof name) ||
            toc_followed_files_get(&t->files, path))
            break;
        toc_wandb_feed_restore(file_add(t, path, name, inode)->feed, &r);
    }
    return r.error ? TOC_ECORRUPT : 0;
}
