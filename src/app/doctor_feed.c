#include "app/doctor_feed_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* --- what the readers share --- */

int64_t toc_feed_read(const struct toc_doctor_feeds *fs, const struct feed *f, struct toc_buf *out,
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

/* --- reports of event files and logs --- */

static void gather_report(struct toc_report_taker *taker, const struct toc_run_report *report) {
    struct toc_doctor_feeds *fs = TOC_CONTAINER_OF(taker, struct toc_doctor_feeds, taker);
    toc_report_batch_add(fs->reports, report);
}

size_t toc_feed_gathered(const struct toc_doctor_feeds *fs) {
    return fs->reports->entries.count;
}

int64_t toc_feed_first_ms(const struct toc_doctor_feeds *fs) {
    return fs->reports->entries.count ? fs->reports->entries.items[0].report.t.ms : 0;
}

int64_t toc_feed_last_ms(const struct toc_doctor_feeds *fs) {
    size_t count = fs->reports->entries.count;
    return count ? fs->reports->entries.items[count - 1].report.t.ms : 0;
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
    toc_feed_name_run(f, fs->root_name);
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

static int put_slot(void *ctx, size_t slot) {
    struct toc_doctor_feeds *fs = ctx;
    return toc_feed_put(fs, &fs->pieces[slot]);
}

static int failed(const struct toc_doctor_feeds *fs, int rc, struct toc_err *err) {
    const struct toc_err *why = &fs->put_error;
    return rc ? toc_errf(err, rc, "%s", why->code ? why->message : toc_strerror(rc)) : 0;
}

/* Reads the next piece of the feed and gives it away to be put. */
static int read_piece(struct toc_doctor_feeds *fs, struct feed *f) {
    struct feed_piece *p = &fs->pieces[toc_lane_slot(fs->lane)];
    toc_feed_piece_reset(p);
    p->feed = f;
    fs->reports = &p->reports;
    f->form->take(fs, f, p);
    f->reports += (int64_t)p->reports.entries.count;
    const struct feed *next = earliest(fs);
    p->to_ms = next ? next->next_ms : INT64_MIN;
    return toc_lane_give(fs->lane);
}

static int read_all(struct toc_doctor_feeds *fs, struct toc_progress *progress,
                    struct toc_err *err) {
    struct feed *f;
    int rc = 0;
    while (!rc && (f = earliest(fs))) {
        rc = read_piece(fs, f);
        toc_progress_at(progress, fs->bytes, "");
    }
    int drained = toc_lane_drain(fs->lane);
    rc = failed(fs, rc ? rc : drained, err);
    return rc ? rc : toc_replay_settle(fs->replay, err);
}

int toc_doctor_feeds_run(struct toc_doctor_feeds *fs, struct toc_progress *progress,
                         struct toc_err *err) {
    open_all(fs);
    int rc = toc_feed_search(fs, err);
    if (!rc)
        rc = read_all(fs, progress, err);
    if (!rc)
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
    struct toc_doctor_feed_counts counts = f->counts;
    counts.bytes = f->bytes;
    return counts;
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
    fs->reports = &fs->probed;
    int rc = toc_alias_table_builtin(&fs->aliases, err);
    if (!rc)
        rc = toc_run_log_table_builtin(&fs->log_table, err);
    return rc ? rc
              : toc_lane_new(&(struct toc_lane_options){.name = "put",
                                                        .slots = TOC_FEED_PIECES,
                                                        .has_thread = toc_executor_width(
                                                                          replay->o.executor) > 1,
                                                        .fn = put_slot,
                                                        .ctx = fs},
                             &fs->lane);
}

void toc_doctor_feeds_free(struct toc_doctor_feeds **pf) {
    struct toc_doctor_feeds *fs = pf ? *pf : NULL;
    if (!fs)
        return;
    toc_lane_free(&fs->lane);
    for (size_t i = 0; i < TOC_FEED_PIECES; i++)
        toc_feed_piece_fini(&fs->pieces[i]);
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
    toc_report_batch_fini(&fs->probed);
    toc_buf_fini(&fs->put_body);
    toc_buf_fini(&fs->piece);
    toc_buf_fini(&fs->body);
    toc_free(fs->root_name);
    toc_free(fs);
    *pf = NULL;
}
