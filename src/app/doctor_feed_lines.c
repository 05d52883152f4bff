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

/* How the lines from there on are taken. */
static struct toc_run_body body_of(const struct feed *f) {
    return (struct toc_run_body){
        .run = toc_sv_cstr(f->run),
        .format = f->is_csv ? TOC_RUN_CSV : TOC_RUN_JSONL,
        .is_file = true,
        .first_line = (int)TOC_MIN(f->line, (int64_t)INT32_MAX),
        .recorded_t = {f->next_ms},
        .recorded_gap_ms = f->is_timed ? 0 : TOC_FEED_UNTIMED_GAP_MS,
    };
}

static void skip_line(struct feed_piece *p, int64_t line, const char *reason) {
    p->lines_skipped++;
    toc_feed_note(p, line, reason);
}

static void take_lines(struct toc_doctor_feeds *fs, struct feed *f, struct feed_piece *p,
                       size_t whole) {
    p->bytes.n = whole;
    p->body = body_of(f);
    int64_t count = toc_feed_count_lines(toc_buf_sv(&p->bytes));
    p->lines = (uint64_t)count;
    f->next_ms += f->is_timed ? 0 : count * TOC_FEED_UNTIMED_GAP_MS;
    f->offset += whole;
    f->line += count;
    fs->bytes += whole;
}

/* The piece at the offset begins with a line longer than any may be. */
static void leave_long_line(struct toc_doctor_feeds *fs, struct feed *f, struct feed_piece *p) {
    size_t at = SIZE_MAX;
    toc_buf_reset(&p->bytes);
    skip_line(p, f->line, "longer than 262144 bytes");
    while (at == SIZE_MAX) {
        int64_t got = toc_feed_read(fs, f, &fs->piece, TOC_FEED_SKIP_BYTES);
        if (got <= 0) {
            f->is_done = true;
            return;
        }
        at = toc_sv_find_char(toc_buf_sv(&fs->piece), '\n');
        uint64_t left = at == SIZE_MAX ? (uint64_t)got : at + 1;
        f->offset += left;
        fs->bytes += left;
    }
    f->line++;
}

/* What stands behind the last newline: a JSON object may be whole, a row of CSV may be cut within a
 * number. */
static void take_rest(struct toc_doctor_feeds *fs, struct feed *f, struct feed_piece *p) {
    f->is_done = true;
    struct toc_sv text = toc_sv_trim(toc_buf_sv(&p->bytes));
    p->is_rest = !f->is_csv && toc_sv_ends_with(text, TOC_SV("}"));
    p->body = body_of(f);
    fs->bytes += p->bytes.n;
    if (!p->is_rest && text.n)
        skip_line(p, f->line, "the last line has no end: cut off, or still being written");
    if (!p->is_rest)
        toc_buf_reset(&p->bytes);
}

static void take_lines_of_piece(struct toc_doctor_feeds *fs, struct feed *f, struct feed_piece *p) {
    size_t bytes = TOC_FEED_PIECE_BYTES;
    for (;;) {
        int64_t got = toc_feed_read(fs, f, &p->bytes, bytes);
        if (got < 0) {
            toc_feed_fail(f, p, (int)got);
            return;
        }
        size_t whole = whole_lines(toc_buf_sv(&p->bytes));
        if (whole) {
            take_lines(fs, f, p, whole);
            return;
        }
        if ((size_t)got < bytes) {
            take_rest(fs, f, p);
            return;
        }
        if (bytes > LINE_MAX_BYTES) {
            leave_long_line(fs, f, p);
            return;
        }
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
            struct toc_run_body body = toc_feed_body(
                f, body_of(f), toc_sv_sub(piece, 0, whole ? whole : piece.n), &fs->body);
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
        f->next_ms = f->file->mtime_ms; /* until it is counted */
    return look.is_report;
}

static int64_t count_lines(const struct toc_doctor_feeds *fs, const struct feed *f) {
    struct feed at = {.file = f->file};
    struct toc_buf piece = TOC_BUF_INIT;
    int64_t lines = 0;
    while (toc_feed_read(fs, &at, &piece, TOC_FEED_SKIP_BYTES) > 0) {
        lines += toc_feed_count_lines(toc_buf_sv(&piece));
        at.offset += piece.n;
    }
    toc_buf_fini(&piece);
    return lines;
}

static void take_piece(struct toc_doctor_feeds *fs, struct feed *f, struct feed_piece *p) {
    take_lines_of_piece(fs, f, p);
    if (!f->is_done)
        (void)look_ahead(fs, f);
}

static void close_lines(struct toc_doctor_feeds *fs, struct feed *f) {
    (void)fs;
    toc_buf_fini(&f->header);
}

const struct feed_form toc_feed_lines = {open_lines, count_lines, take_piece, close_lines};
