/* What must be known before the first report is judged: how many reports the files without times
 * have, and the known errors in logs. */
#include <string.h>

#include "app/doctor_feed_priv.h"
#include "app/doctor_log_parts.h"
#include "base/alloc.h"

struct searching {
    struct toc_doctor_feeds *fs;
    struct {
        TOC_VEC_FIELDS(struct feed *)
    } untimed; /* to be counted */
    struct {
        TOC_VEC_FIELDS(struct toc_log_hits_file)
    } logs;
    struct toc_err err; /* of the logs' tables */
    int rc;
};

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

static struct toc_log_hits_file log_of(const struct toc_doctor_feeds *fs,
                                       const struct toc_doctor_file *file) {
    struct feed log = {.file = file};
    struct toc_log_hits_file f = {.path = file->path,
                                  .name = toc_sv_cstr(file->name),
                                  .sources = TOC_LOG_ANY,
                                  .labels = toc_log_labels_guess(toc_sv_cstr(file->name))};
    f.labels.job = job_of(fs, &log);
    for (size_t i = 0; i < fs->feeds.count; i++)
        f.has_numbers |= fs->feeds.items[i]->file == file;
    return f;
}

static void note_unread_log(void *ctx, size_t file, const char *why) {
    struct searching *s = ctx;
    toc_doctor_note_unread_file(s->fs->scan, s->logs.items[file].name.p, why);
}

/* Error lines are looked for in every log, also where its numbers are left alone. */
static int read_logs(struct searching *s) {
    struct toc_doctor_feeds *fs = s->fs;
    fs->replay->is_one_run = are_of_one_run(fs);
    for (size_t i = 0; i < fs->scan->files.count; i++)
        if (fs->scan->files.items[i].type == TOC_DOCTOR_FILE_LOG)
            TOC_VEC_PUSH(&s->logs, log_of(fs, &fs->scan->files.items[i]));
    int rc = s->logs.count ? toc_log_hits_new(&fs->replay->hits, &s->err) : 0;
    if (rc || !s->logs.count)
        return rc;
    toc_log_hits_read_all(fs->replay->hits, s->logs.items, s->logs.count, fs->replay->o.executor,
                          note_unread_log, s);
    toc_log_hits_sort(fs->replay->hits);
    fs->counts.logs = fs->replay->hits->totals.files;
    fs->counts.log_lines = fs->replay->hits->totals.lines;
    fs->counts.log_hits = fs->replay->hits->totals.hits;
    return 0;
}

static void search(void *arg, size_t task, size_t worker) {
    struct searching *s = arg;
    struct feed *f = task < s->untimed.count ? s->untimed.items[task] : NULL;
    (void)worker;
    if (f)
        f->base_ms = f->next_ms -= f->form->count(s->fs, f) * TOC_FEED_UNTIMED_GAP_MS;
    else
        s->rc = read_logs(s);
}

int toc_feed_search(struct toc_doctor_feeds *fs, struct toc_err *err) {
    struct searching s = {.fs = fs};
    for (size_t i = 0; i < fs->feeds.count; i++)
        if (!fs->feeds.items[i]->is_timed && fs->feeds.items[i]->form->count)
            TOC_VEC_PUSH(&s.untimed, fs->feeds.items[i]);
    toc_execute(fs->replay->o.executor, s.untimed.count + 1, search, &s);
    TOC_VEC_FINI(&s.untimed);
    TOC_VEC_FINI(&s.logs);
    return s.rc ? toc_errf(err, s.rc, "%s", s.err.code ? s.err.message : toc_strerror(s.rc)) : 0;
}
