#include "app/doctor_feed_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* --- names --- */

void toc_feed_set_run(struct feed *f, struct toc_sv name) {
    enum { NAME_MAX_BYTES = 128 }; /* of the protocol */
    if (name.n > NAME_MAX_BYTES)
        name = toc_sv_sub(name, name.n - NAME_MAX_BYTES, NAME_MAX_BYTES);
    toc_sv_copy(name, f->run, sizeof f->run);
}

struct toc_sv toc_feed_folder_of(const struct feed *f) {
    struct toc_sv name = toc_sv_cstr(f->file->name);
    size_t slash = name.n;
    while (slash > 0 && name.p[slash - 1] != '/')
        slash--;
    return toc_sv_sub(name, 0, slash ? slash - 1 : 0);
}

/* Names that say what is in a file, not of which run. */
static bool is_generic(struct toc_sv stem) {
    static const char *const names[] = {"metrics", "log",     "logs",    "train",  "training",
                                        "history", "trainer", "results", "stats",  "progress",
                                        "stdout",  "stderr",  "output",  "console"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++)
        if (toc_sv_eq_nocase(stem, toc_sv_cstr(names[i])))
            return true;
    return false;
}

/* The file's name below the folder without its suffix; where that only says "metrics", its
 * folder's. */
static void name_run(struct feed *f, const char *root_name) {
    struct toc_sv name = toc_sv_cstr(f->file->name);
    size_t slash = name.n, dot = name.n;
    while (slash > 0 && name.p[slash - 1] != '/')
        slash--;
    while (dot > slash && name.p[dot - 1] != '.')
        dot--;
    struct toc_sv stem = toc_sv_sub(name, slash, (dot > slash ? dot - 1 : name.n) - slash);
    struct toc_sv folder = slash ? toc_sv_sub(name, 0, slash - 1) : toc_sv_cstr(root_name);
    struct toc_sv run = toc_sv_sub(name, 0, slash + stem.n);
    if (is_generic(stem) && folder.n)
        run = folder;
    toc_feed_set_run(f, run);
}

/* --- what the readers share --- */

int64_t toc_feed_read(struct toc_doctor_feeds *fs, const struct feed *f, struct toc_buf *out,
                      size_t bytes) {
    struct toc_file *file = NULL;
    toc_buf_reset(out);
    char *to = toc_buf_reserve(out, bytes);
    int rc = to ? toc_file_open(fs->vfs, f->file->path, TOC_OPEN_READ, &file) : TOC_ENOMEM;
    if (rc)
        return rc;
    int64_t got = fs->vfs->pread(fs->vfs, file, to, bytes, f->offset);
    toc_file_close(fs->vfs, &file);
    if (got > 0)
        out->n = (size_t)got;
    return got;
}

int64_t toc_feed_count_lines(struct toc_sv s) {
    int64_t n = 0;
    for (const char *at = s.p, *end = s.p + s.n; at && at < end; n++) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (!at)
            return n;
        at++;
    }
    return n;
}

int64_t toc_feed_lines_of_file(struct toc_doctor_feeds *fs, const struct feed *f) {
    struct feed at = {.file = f->file};
    int64_t lines = 0;
    while (toc_feed_read(fs, &at, &fs->piece, TOC_FEED_SKIP_BYTES) > 0) {
        lines += toc_feed_count_lines(toc_buf_sv(&fs->piece));
        at.offset += fs->piece.n;
    }
    return lines;
}

void toc_feed_fail(struct toc_doctor_feeds *fs, struct feed *f, int rc) {
    toc_doctor_note_unread_file(fs->scan, f->file->name, toc_strerror(rc));
    f->is_done = true;
}

/* --- reports of event files and logs --- */

static void gather_report(struct toc_report_taker *taker, const struct toc_run_report *report) {
    struct toc_doctor_feeds *fs = TOC_CONTAINER_OF(taker, struct toc_doctor_feeds, taker);
    toc_report_batch_add(&fs->reports, report);
}

size_t toc_feed_gathered(const struct toc_doctor_feeds *fs) {
    return fs->reports.entries.count;
}

int64_t toc_feed_first_ms(const struct toc_doctor_feeds *fs) {
    return fs->reports.entries.count ? fs->reports.entries.items[0].report.t.ms : 0;
}

int64_t toc_feed_last_ms(const struct toc_doctor_feeds *fs) {
    size_t count = fs->reports.entries.count;
    return count ? fs->reports.entries.items[count - 1].report.t.ms : 0;
}

struct refusal {
    struct toc_doctor_feeds *fs;
    const struct feed *feed;
};

static void note_refused(void *ctx, const char *why) {
    const struct refusal *r = ctx;
    r->fs->counts.lines_skipped++;
    r->fs->counts.lines--;
    toc_doctor_note_unread(r->fs->scan, r->feed->file->name, 0, why);
}

int toc_feed_put_reports(struct toc_doctor_feeds *fs, struct feed *f, struct toc_err *err) {
    struct refusal refusal = {fs, f};
    struct toc_run_reports reports = {toc_sv_cstr(f->run), &fs->reports, note_refused, &refusal};
    struct toc_err why = {0};
    size_t count = toc_feed_gathered(fs);
    fs->counts.lines += count;
    f->reports += (int64_t)count;
    int rc = count ? toc_run_receiver_put_reports(fs->replay->receiver, &reports,
                                                  (struct toc_ts){fs->replay->o.now_ms}, &why)
                   : 0;
    for (size_t i = 0; rc == TOC_EPARSE && i < count; i++)
        note_refused(&refusal, why.message); /* the run's name: all of them */
    toc_report_batch_reset(&fs->reports);
    return rc && rc != TOC_EPARSE ? toc_errf(err, rc, "%s", why.message) : 0;
}

/* --- the order --- */

static const struct feed_form *form_of(enum toc_doctor_file_type type) {
    static const struct feed_form *const forms[] = {
        [TOC_DOCTOR_FILE_JSONL] = &toc_feed_lines,       [TOC_DOCTOR_FILE_CSV] = &toc_feed_lines,
        [TOC_DOCTOR_FILE_TFEVENTS] = &toc_feed_tfevents, [TOC_DOCTOR_FILE_WANDB] = &toc_feed_wandb,
        [TOC_DOCTOR_FILE_LOG] = &toc_feed_log,
    };
    return forms[type];
}

static void feed_free(struct toc_doctor_feeds *fs, struct feed *f) {
    f->form->close(fs, f);
    toc_free(f);
}

static void open_feed(struct toc_doctor_feeds *fs, const struct toc_doctor_file *file) {
    struct feed *f = TOC_NEW(struct feed);
    f->file = file;
    f->form = form_of(file->type);
    int64_t got = toc_feed_read(fs, f, &fs->piece, 1);
    name_run(f, fs->root_name);
    if (got < 0)
        toc_doctor_note_unread_file(fs->scan, file->name, toc_strerror((int)got));
    if (got > 0 && f->form->open(fs, f)) {
        fs->counts.files++;
        TOC_VEC_PUSH(&fs->feeds, f);
        return;
    }
    fs->counts.files_left_alone += got >= 0;
    feed_free(fs, f);
}

/* Weights & Biases keeps what the job prints in a folder below that of the run file. */
static bool is_below(struct toc_sv folder, struct toc_sv above) {
    return folder.n > above.n && toc_sv_starts_with(folder, above) &&
           (!above.n || folder.p[above.n] == '/');
}

/* Does the folder hold reports already? */
static bool has_reports(const struct toc_doctor_feeds *fs, const struct toc_doctor_file *file) {
    struct feed one = {.file = file};
    for (size_t i = 0; i < fs->feeds.count; i++)
        if (fs->feeds.items[i]->form != &toc_feed_log &&
            (toc_sv_eq(toc_feed_folder_of(fs->feeds.items[i]), toc_feed_folder_of(&one)) ||
             (fs->feeds.items[i]->form == &toc_feed_wandb &&
              is_below(toc_feed_folder_of(&one), toc_feed_folder_of(fs->feeds.items[i])))))
            return true;
    return false;
}

/* Logs come last: beside reports of the same job their numbers would make a second run of it. */
static void open_all(struct toc_doctor_feeds *fs) {
    for (int are_logs = 0; are_logs <= 1; are_logs++)
        for (size_t i = 0; i < fs->scan->files.count; i++) {
            const struct toc_doctor_file *file = &fs->scan->files.items[i];
            if ((file->type == TOC_DOCTOR_FILE_LOG) != (are_logs == 1))
                continue;
            if (are_logs && has_reports(fs, file))
                fs->counts.files_left_alone++;
            else
                open_feed(fs, file);
        }
}

static struct feed *earliest(struct toc_doctor_feeds *fs) {
    struct feed *first = NULL;
    for (size_t i = 0; i < fs->feeds.count; i++) {
        struct feed *f = fs->feeds.items[i];
        if (!f->is_done && (!first || f->next_ms < first->next_ms))
            first = f;
    }
    return first;
}

/* --- failures in logs --- */

/* A file of reports beside the log. */
static const struct feed *neighbour(const struct toc_doctor_feeds *fs, const struct feed *log) {
    for (size_t i = 0; i < fs->feeds.count; i++)
        if (fs->feeds.items[i]->file == log->file ||
            toc_sv_eq(toc_feed_folder_of(fs->feeds.items[i]), toc_feed_folder_of(log)))
            return fs->feeds.items[i];
    return NULL;
}

static bool are_of_one_run(const struct toc_doctor_feeds *fs) {
    for (size_t i = 1; i < fs->feeds.count; i++)
        if (strcmp(fs->feeds.items[i]->run, fs->feeds.items[0]->run) != 0)
            return false;
    return fs->feeds.count > 0;
}

/* The job of a log: the run of the reports beside it, else its folder. */
static struct toc_sv job_of(const struct toc_doctor_feeds *fs, const struct feed *log) {
    const struct feed *beside = neighbour(fs, log);
    struct toc_sv folder = toc_feed_folder_of(log);
    if (beside)
        return toc_sv_cstr(beside->run);
    return folder.n ? folder : toc_sv_cstr(fs->root_name);
}

static void read_log(struct toc_doctor_feeds *fs, const struct toc_doctor_file *file) {
    struct feed log = {.file = file};
    struct toc_err why = {0};
    struct toc_log_hits_file f = {.path = file->path,
                                  .name = toc_sv_cstr(file->name),
                                  .sources = TOC_LOG_ANY,
                                  .labels = toc_log_labels_guess(toc_sv_cstr(file->name))};
    f.labels.job = job_of(fs, &log);
    for (size_t i = 0; i < fs->feeds.count; i++)
        f.has_numbers |= fs->feeds.items[i]->file == file;
    if (toc_log_hits_read(fs->replay->hits, &f, &why))
        toc_doctor_note_unread_file(fs->scan, file->name, why.message);
}

/* Error lines are looked for in every log, also where its numbers are left alone. */
static int read_logs(struct toc_doctor_feeds *fs, struct toc_err *err) {
    int rc = 0;
    fs->replay->is_one_run = are_of_one_run(fs);
    for (size_t i = 0; !rc && i < fs->scan->files.count; i++) {
        const struct toc_doctor_file *file = &fs->scan->files.items[i];
        if (file->type != TOC_DOCTOR_FILE_LOG)
            continue;
        if (!fs->replay->hits)
            rc = toc_log_hits_new(&fs->replay->hits, err);
        if (!rc)
            read_log(fs, file);
    }
    if (rc || !fs->replay->hits)
        return rc;
    toc_log_hits_sort(fs->replay->hits);
    fs->counts.logs = fs->replay->hits->totals.files;
    fs->counts.log_lines = fs->replay->hits->totals.lines;
    fs->counts.log_hits = fs->replay->hits->totals.hits;
    return 0;
}

static void note_untimed(struct toc_doctor_feeds *fs) {
    for (size_t i = 0; i < fs->feeds.count; i++) {
        const struct feed *f = fs->feeds.items[i];
        struct toc_patient *p = toc_map_get(&fs->replay->by_name, toc_sv_cstr(f->run));
        char text[TOC_DOCTOR_REASON_MAX + 100];
        if (f->is_timed || !p)
            continue;
        snprintf(text, sizeof text,
                 "%s has no times: a report a second is assumed, and its pace says nothing",
                 f->file->name);
        toc_patient_note(p, text);
    }
}

int toc_doctor_feeds_run(struct toc_doctor_feeds *fs, struct toc_progress *progress,
                         struct toc_err *err) {
    struct feed *f;
    open_all(fs);
    int rc = read_logs(fs, err);
    while (!rc && (f = earliest(fs))) {
        rc = f->form->take(fs, f, err);
        const struct feed *next = earliest(fs);
        if (!rc && next)
            rc = toc_replay_advance(fs->replay, next->next_ms, err);
        toc_progress_at(progress, fs->counts.bytes, "");
    }
    note_untimed(fs);
    toc_feed_note_damage(fs);
    return rc;
}

int64_t toc_doctor_feeds_written_ms(void *feeds, struct toc_sv run) {
    struct toc_doctor_feeds *fs = feeds;
    int64_t latest_ms = 0, of_run_ms = 0;
    for (size_t i = 0; i < fs->feeds.count; i++) {
        const struct feed *f = fs->feeds.items[i];
        latest_ms = TOC_MAX(latest_ms, f->file->mtime_ms);
        if (toc_sv_eq_cstr(run, f->run))
            of_run_ms = TOC_MAX(of_run_ms, f->file->mtime_ms);
    }
    /* A run that is named within lines may be in any of them. */
    return of_run_ms ? of_run_ms : latest_ms;
}

struct toc_doctor_feed_counts toc_doctor_feeds_counts(const struct toc_doctor_feeds *f) {
    return f->counts;
}

int toc_doctor_feeds_new(struct toc_vfs *vfs, struct toc_doctor_scan *scan,
                         struct toc_replay *replay, const char *root_name,
                         struct toc_doctor_feeds **out, struct toc_err *err) {
    struct toc_doctor_feeds *fs = TOC_NEW(struct toc_doctor_feeds);
    fs->taker.on_run = gather_report;
    fs->vfs = vfs;
    fs->scan = scan;
    fs->replay = replay;
    fs->root_name = toc_xstrdup(root_name);
    *out = fs;
    int rc = toc_alias_table_builtin(&fs->aliases, err);
    return rc ? rc : toc_run_log_table_builtin(&fs->log_table, err);
}

void toc_doctor_feeds_free(struct toc_doctor_feeds **pf) {
    struct toc_doctor_feeds *fs = pf ? *pf : NULL;
    if (!fs)
        return;
    for (size_t i = 0; i < fs->feeds.count; i++)
        feed_free(fs, fs->feeds.items[i]);
    for (size_t i = 0; i < fs->folders.count; i++) {
        toc_tensorboard_feed_free(&fs->folders.items[i]->feed);
        toc_free(fs->folders.items[i]->name);
        toc_free(fs->folders.items[i]);
    }
    TOC_VEC_FINI(&fs->folders);
    TOC_VEC_FINI(&fs->feeds);
    toc_alias_table_free(&fs->aliases);
    toc_run_log_table_free(&fs->log_table);
    toc_report_batch_fini(&fs->reports);
    toc_buf_fini(&fs->piece);
    toc_buf_fini(&fs->body);
    toc_free(fs->root_name);
    toc_free(fs);
    *pf = NULL;
}
