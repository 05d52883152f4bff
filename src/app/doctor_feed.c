#include "app/doctor_feed.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum {
    PIECE_BYTES = 64 << 10,
    LINE_MAX_BYTES = 256 << 10, /* of the protocol */
    LOOK_BYTES = 32 << 10,
    SKIP_BYTES = 1 << 20,
    UNTIMED_GAP_MS = 1000, /* a file without times is taken as a report a second */
};

struct feed {
    const struct toc_doctor_file *file;
    char run[TOC_DOCTOR_REASON_MAX]; /* used when a line names none */
    bool is_csv, is_timed, is_done;
    struct toc_buf header; /* CSV: first line, with its newline */
    uint64_t offset;
    int64_t line;    /* number of the next line */
    int64_t next_ms; /* time of the next line, as far as it is known */
};

struct toc_doctor_feeds {
    struct toc_vfs *vfs;
    struct toc_doctor_scan *scan;
    struct toc_replay *replay;
    char *root_name;
    struct {
        TOC_VEC_FIELDS(struct feed)
    } feeds;
    struct toc_buf piece, body;
    struct toc_doctor_feed_counts counts;
};

/* --- names --- */

/* Names that say what is in a file, not of which run. */
static bool is_generic(struct toc_sv stem) {
    static const char *const names[] = {"metrics", "log",     "logs",    "train", "training",
                                        "history", "trainer", "results", "stats", "progress"};
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
    /* At most 128 bytes: the end of a long path tells more than its beginning. */
    enum { NAME_MAX_BYTES = 128 };
    if (run.n > NAME_MAX_BYTES)
        run = toc_sv_sub(run, run.n - NAME_MAX_BYTES, NAME_MAX_BYTES);
    toc_sv_copy(run, f->run, sizeof f->run);
}

/* --- pieces --- */

static int64_t read_at(struct toc_doctor_feeds *fs, const struct feed *f, struct toc_buf *out,
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

static size_t whole_lines(struct toc_sv s) {
    size_t n = s.n;
    while (n > 0 && s.p[n - 1] != '\n')
        n--;
    return n;
}

static int64_t count_lines(struct toc_sv s) {
    int64_t n = 0;
    for (const char *at = s.p, *end = s.p + s.n; at && at < end; n++) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (!at)
            return n;
        at++;
    }
    return n;
}

static struct toc_run_body body_of(struct toc_doctor_feeds *fs, const struct feed *f,
                                   struct toc_sv lines, int64_t line) {
    struct toc_run_body body = {
        .run = toc_sv_cstr(f->run),
        .format = f->is_csv ? TOC_RUN_CSV : TOC_RUN_JSONL,
        .bytes = lines,
        .is_file = true,
        .first_line = (int)TOC_MIN(line, (int64_t)INT32_MAX),
        .recorded_t = {f->next_ms},
        .recorded_gap_ms = f->is_timed ? 0 : UNTIMED_GAP_MS,
    };
    if (f->is_csv) {
        toc_buf_reset(&fs->body);
        toc_buf_append_sv(&fs->body, toc_buf_sv(&f->header));
        toc_buf_append_sv(&fs->body, lines);
        body.bytes = toc_buf_sv(&fs->body);
        body.first_line--;
    }
    return body;
}

static void skip_line(struct toc_doctor_feeds *fs, const struct feed *f, int64_t line,
                      const char *reason) {
    fs->counts.lines_skipped++;
    toc_doctor_note_unread(fs->scan, f->file->name, line, reason);
}

static int put(struct toc_doctor_feeds *fs, const struct feed *f, struct toc_sv lines, int64_t line,
               struct toc_err *err) {
    struct toc_run_body body = body_of(fs, f, lines, line);
    return toc_run_receiver_put(fs->replay->receiver, &body, (struct toc_ts){fs->replay->o.now_ms},
                                err);
}

static bool is_refusal(int rc) {
    return rc == TOC_EPARSE || rc == TOC_ELIMIT;
}

/* One of the lines is bad: each by itself. */
static int put_each(struct toc_doctor_feeds *fs, struct feed *f, struct toc_sv lines,
                    struct toc_err *err) {
    struct toc_sv text;
    int64_t line = f->line;
    int rc = 0;
    for (; !rc && lines.n && toc_sv_split(&lines, '\n', &text); line++) {
        struct toc_err why = {0};
        rc = text.n ? put(fs, f, text, line, &why) : 0;
        if (is_refusal(rc)) {
            skip_line(fs, f, line, why.message);
            rc = 0;
        } else if (rc) {
            return toc_errf(err, rc, "%s", why.message);
        }
        f->next_ms += f->is_timed ? 0 : UNTIMED_GAP_MS;
    }
    return rc;
}

static int take_lines(struct toc_doctor_feeds *fs, struct feed *f, struct toc_sv lines,
                      struct toc_err *err) {
    struct toc_err why = {0};
    int64_t count = count_lines(lines), skipped_before = (int64_t)fs->counts.lines_skipped;
    int rc = put(fs, f, lines, f->line, &why);
    if (is_refusal(rc))
        rc = put_each(fs, f, lines, err);
    else if (rc)
        rc = toc_errf(err, rc, "%s", why.message);
    else
        f->next_ms += f->is_timed ? 0 : count * UNTIMED_GAP_MS;
    f->offset += lines.n;
    f->line += count;
    fs->counts.bytes += lines.n;
    fs->counts.lines += (uint64_t)(count - ((int64_t)fs->counts.lines_skipped - skipped_before));
    return rc;
}

/* The piece at the offset begins with a line longer than any may be. */
static int leave_long_line(struct toc_doctor_feeds *fs, struct feed *f) {
    size_t at = SIZE_MAX;
    skip_line(fs, f, f->line, "longer than 262144 bytes");
    while (at == SIZE_MAX) {
        int64_t got = read_at(fs, f, &fs->piece, SKIP_BYTES);
        if (got <= 0) {
            f->is_done = true;
            return 0;
        }
        at = toc_sv_find_char(toc_buf_sv(&fs->piece), '\n');
        uint64_t left = at == SIZE_MAX ? (uint64_t)got : at + 1;
        f->offset += left;
        fs->counts.bytes += left;
    }
    f->line++;
    return 0;
}

/* What stands behind the last newline: a JSON object may be whole, a row of CSV may be cut within a
 * number. */
static int take_rest(struct toc_doctor_feeds *fs, struct feed *f, struct toc_sv rest,
                     struct toc_err *err) {
    f->is_done = true;
    struct toc_sv text = toc_sv_trim(rest);
    bool is_whole = !f->is_csv && toc_sv_ends_with(text, TOC_SV("}"));
    fs->counts.bytes += rest.n;
    if (is_whole)
        return put_each(fs, f, text, err);
    if (text.n)
        skip_line(fs, f, f->line, "the last line has no end: cut off, or still being written");
    return 0;
}

static int take_piece(struct toc_doctor_feeds *fs, struct feed *f, struct toc_err *err) {
    size_t bytes = PIECE_BYTES;
    for (;;) {
        int64_t got = read_at(fs, f, &fs->piece, bytes);
        if (got < 0) {
            toc_doctor_note_unread_file(fs->scan, f->file->name, toc_strerror((int)got));
            f->is_done = true;
            return 0;
        }
        struct toc_sv piece = toc_buf_sv(&fs->piece);
        size_t whole = whole_lines(piece);
        if (whole)
            return take_lines(fs, f, toc_sv_sub(piece, 0, whole), err);
        if ((size_t)got < bytes)
            return take_rest(fs, f, piece, err);
        if (bytes > LINE_MAX_BYTES)
            return leave_long_line(fs, f);
        bytes = LINE_MAX_BYTES + 1024;
    }
}

/* --- the order --- */

/* Times of the lines to come: of the first that has one; where none tells, it goes on as before. */
static struct toc_run_look look_ahead(struct toc_doctor_feeds *fs, struct feed *f) {
    struct toc_run_look look = {0};
    size_t bytes = LOOK_BYTES;
    for (;;) {
        int64_t got = read_at(fs, f, &fs->piece, bytes);
        if (got <= 0) {
            f->is_done = got == 0;
            return look;
        }
        struct toc_sv piece = toc_buf_sv(&fs->piece);
        size_t whole = whole_lines(piece);
        bool is_last = (size_t)got < bytes;
        if (whole || is_last || bytes > LINE_MAX_BYTES) {
            struct toc_run_body body =
                body_of(fs, f, toc_sv_sub(piece, 0, whole ? whole : piece.n), f->line);
            look = toc_run_look_at(&body);
            if (look.has_t)
                f->next_ms = look.t.ms;
            return look;
        }
        bytes = LINE_MAX_BYTES + 1024;
    }
}

/* How many lines a file has, read once where it tells no times. */
static int64_t lines_of_file(struct toc_doctor_feeds *fs, const struct feed *f) {
    struct feed at = {.file = f->file};
    int64_t lines = 0;
    while (read_at(fs, &at, &fs->piece, SKIP_BYTES) > 0) {
        lines += count_lines(toc_buf_sv(&fs->piece));
        at.offset += fs->piece.n;
    }
    return lines;
}

static bool take_header(struct toc_doctor_feeds *fs, struct feed *f) {
    if (read_at(fs, f, &fs->piece, LINE_MAX_BYTES) <= 0)
        return false;
    size_t end = toc_sv_find_char(toc_buf_sv(&fs->piece), '\n');
    if (end == SIZE_MAX)
        return false;
    toc_buf_append(&f->header, fs->piece.p, end + 1);
    f->offset = end + 1;
    f->line = 2;
    return true;
}

static void open_feed(struct toc_doctor_feeds *fs, const struct toc_doctor_file *file) {
    struct feed f = {.file = file, .line = 1, .is_csv = file->type == TOC_DOCTOR_FILE_CSV};
    struct toc_run_look look = {0};
    int64_t got = read_at(fs, &f, &fs->piece, 1);
    name_run(&f, fs->root_name);
    if (got < 0)
        toc_doctor_note_unread_file(fs->scan, file->name, toc_strerror((int)got));
    if (got > 0 && (!f.is_csv || take_header(fs, &f)))
        look = look_ahead(fs, &f);
    if (!look.is_report) {
        fs->counts.files_left_alone += got >= 0;
        toc_buf_fini(&f.header);
        return;
    }
    f.is_timed = look.has_t;
    if (!f.is_timed)
        f.next_ms = file->mtime_ms - lines_of_file(fs, &f) * UNTIMED_GAP_MS;
    fs->counts.files++;
    TOC_VEC_PUSH(&fs->feeds, f);
}

static struct feed *earliest(struct toc_doctor_feeds *fs) {
    struct feed *first = NULL;
    for (size_t i = 0; i < fs->feeds.count; i++) {
        struct feed *f = &fs->feeds.items[i];
        if (!f->is_done && (!first || f->next_ms < first->next_ms))
            first = f;
    }
    return first;
}

static void note_untimed(struct toc_doctor_feeds *fs) {
    for (size_t i = 0; i < fs->feeds.count; i++) {
        const struct feed *f = &fs->feeds.items[i];
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
    int rc = 0;
    for (size_t i = 0; i < fs->scan->files.count; i++)
        if (fs->scan->files.items[i].type <= TOC_DOCTOR_FILE_CSV)
            open_feed(fs, &fs->scan->files.items[i]);
    while (!rc && (f = earliest(fs))) {
        rc = take_piece(fs, f, err);
        if (!rc && !f->is_done)
            (void)look_ahead(fs, f);
        const struct feed *next = earliest(fs);
        if (!rc && next)
            rc = toc_replay_advance(fs->replay, next->next_ms, err);
        toc_progress_at(progress, fs->counts.bytes, "");
    }
    note_untimed(fs);
    return rc;
}

int64_t toc_doctor_feeds_written_ms(void *feeds, struct toc_sv run) {
    struct toc_doctor_feeds *fs = feeds;
    int64_t latest_ms = 0, of_run_ms = 0;
    for (size_t i = 0; i < fs->feeds.count; i++) {
        const struct feed *f = &fs->feeds.items[i];
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

struct toc_doctor_feeds *toc_doctor_feeds_new(struct toc_vfs *vfs, struct toc_doctor_scan *scan,
                                              struct toc_replay *replay, const char *root_name) {
    struct toc_doctor_feeds *fs = TOC_NEW(struct toc_doctor_feeds);
    fs->vfs = vfs;
    fs->scan = scan;
    fs->replay = replay;
    fs->root_name = toc_xstrdup(root_name);
    return fs;
}

void toc_doctor_feeds_free(struct toc_doctor_feeds **pf) {
    struct toc_doctor_feeds *fs = pf ? *pf : NULL;
    if (!fs)
        return;
    for (size_t i = 0; i < fs->feeds.count; i++)
        toc_buf_fini(&fs->feeds.items[i].header);
    TOC_VEC_FINI(&fs->feeds);
    toc_buf_fini(&fs->piece);
    toc_buf_fini(&fs->body);
    toc_free(fs->root_name);
    toc_free(fs);
    *pf = NULL;
}
