/* Run reports: JSON lines and CSV. */
#include "app/doctor_feed_priv.h"

#include "base/alloc.h"

enum { LINE_MAX_BYTES = 256 << 10 /* of the protocol */ };

static size_t whole_lines(struct toc_sv s) {
    size_t n = s.n;
    while (n > 0 && s.p[n - 1] != '\n')
        n--;
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
        .recorded_gap_ms = f->is_timed ? 0 : TOC_FEED_UNTIMED_GAP_MS,
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
        f->next_ms += f->is_timed ? 0 : TOC_FEED_UNTIMED_GAP_MS;
    }
    return rc;
}

static int take_lines(struct toc_doctor_feeds *fs, struct feed *f, struct toc_sv lines,
                      struct toc_err *err) {
    struct toc_err why = {0};
    int64_t count = toc_feed_count_lines(lines), skipped_before = (int64_t)fs->counts.lines_skipped;
    int rc = put(fs, f, lines, f->line, &why);
    if (is_refusal(rc))
        rc = put_each(fs, f, lines, err);
    else if (rc)
        rc = toc_errf(err, rc, "%s", why.message);
    else
        f->next_ms += f->is_timed ? 0 : count * TOC_FEED_UNTIMED_GAP_MS;
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
        int64_t got = toc_feed_read(fs, f, &fs->piece, TOC_FEED_SKIP_BYTES);
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

static int take_lines_of_piece(struct toc_doctor_feeds *fs, struct feed *f, struct toc_err *err) {
    size_t bytes = TOC_FEED_PIECE_BYTES;
    for (;;) {
        int64_t got = toc_feed_read(fs, f, &fs->piece, bytes);
        if (got < 0) {
            toc_feed_fail(fs, f, (int)got);
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

/* Times of the lines to come: of the first that has one; where none tells, it goes on as before. */
static struct toc_run_look look_ahead(struct toc_doctor_feeds *fs, struct feed *f) {
    struct toc_run_look look = {0};
    size_t bytes = TOC_FEED_LOOK_BYTES;
    for (;;) {
        int64_t got = toc_feed_read(fs, f, &fs->piece, bytes);
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

static bool take_header(struct toc_doctor_feeds *fs, struct feed *f) {
    if (toc_feed_read(fs, f, &fs->piece, LINE_MAX_BYTES) <= 0)
        return false;
    size_t end = toc_sv_find_char(toc_buf_sv(&fs->piece), '\n');
    if (end == SIZE_MAX)
        return false;
    toc_buf_append(&f->header, fs->piece.p, end + 1);
    f->offset = end + 1;
    f->line = 2;
    return true;
}

static bool open_lines(struct toc_doctor_feeds *fs, struct feed *f) {
    struct toc_run_look look = {0};
    f->is_csv = f->file->type == TOC_DOCTOR_FILE_CSV;
    f->line = 1;
    if (!f->is_csv || take_header(fs, f))
        look = look_ahead(fs, f);
    f->is_timed = look.has_t;
    if (look.is_report && !f->is_timed)
        f->next_ms = f->file->mtime_ms - toc_feed_lines_of_file(fs, f) * TOC_FEED_UNTIMED_GAP_MS;
    return look.is_report;
}

static int take_piece(struct toc_doctor_feeds *fs, struct feed *f, struct toc_err *err) {
    int rc = take_lines_of_piece(fs, f, err);
    if (!rc && !f->is_done)
        (void)look_ahead(fs, f);
    return rc;
}

static void close_lines(struct toc_doctor_feeds *fs, struct feed *f) {
    (void)fs;
    toc_buf_fini(&f->header);
}

const struct feed_form toc_feed_lines = {open_lines, take_piece, close_lines};
