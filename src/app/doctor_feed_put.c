/* Puts what readers have read into the receiver, piece by piece, in the order of reading. */
#include "app/doctor_feed_priv.h"

#include "base/alloc.h"

struct toc_run_body toc_feed_body(const struct feed *f, struct toc_run_body body,
                                  struct toc_sv lines, struct toc_buf *buffer) {
    body.bytes = lines;
    if (!f->is_csv)
        return body;
    toc_buf_reset(buffer);
    toc_buf_append_sv(buffer, toc_buf_sv(&f->header));
    toc_buf_append_sv(buffer, lines);
    body.bytes = toc_buf_sv(buffer);
    body.first_line--;
    return body;
}

/* --- lines --- */

static int put(struct toc_doctor_feeds *fs, const struct feed_piece *p,
               const struct toc_run_body *body, struct toc_sv lines, struct toc_err *err) {
    struct toc_run_body whole = toc_feed_body(p->feed, *body, lines, &fs->put_body);
    return toc_run_receiver_put(fs->replay->receiver, &whole, (struct toc_ts){fs->replay->o.now_ms},
                                err);
}

static bool is_refusal(int rc) {
    return rc == TOC_EPARSE || rc == TOC_ELIMIT;
}

/* One of the lines is bad: each by itself. */
static int put_each(struct toc_doctor_feeds *fs, struct feed_piece *p, struct toc_sv lines) {
    struct toc_run_body body = p->body;
    struct toc_sv text;
    while (lines.n && toc_sv_split(&lines, '\n', &text)) {
        struct toc_err why = {0};
        int rc = text.n ? put(fs, p, &body, text, &why) : 0;
        if (is_refusal(rc)) {
            p->lines_skipped++;
            p->lines -= p->lines > 0;
            toc_doctor_note_unread(fs->scan, p->feed->file->name, body.first_line, why.message);
        } else if (rc) {
            return toc_errf(&fs->put_error, rc, "%s", why.message);
        }
        body.first_line += body.first_line > 0;
        body.recorded_t.ms += body.recorded_gap_ms;
    }
    return 0;
}

static int put_lines(struct toc_doctor_feeds *fs, struct feed_piece *p) {
    struct toc_sv lines = toc_buf_sv(&p->bytes);
    struct toc_err why = {0};
    if (!lines.n || p->is_rest)
        return lines.n ? put_each(fs, p, toc_sv_trim(lines)) : 0;
    int rc = put(fs, p, &p->body, lines, &why);
    if (is_refusal(rc))
        return put_each(fs, p, lines);
    return rc ? toc_errf(&fs->put_error, rc, "%s", why.message) : 0;
}

/* --- reports --- */

struct refusal {
    struct toc_doctor_feeds *fs;
    struct feed_piece *piece;
};

static void note_refused(void *ctx, const char *why) {
    const struct refusal *r = ctx;
    r->piece->lines_skipped++;
    r->piece->lines--;
    toc_doctor_note_unread(r->fs->scan, r->piece->feed->file->name, 0, why);
}

static int put_reports(struct toc_doctor_feeds *fs, struct feed_piece *p) {
    struct refusal refusal = {fs, p};
    struct toc_run_reports reports = {toc_sv_cstr(p->feed->run), &p->reports, note_refused,
                                      &refusal};
    struct toc_err why = {0};
    size_t count = p->reports.entries.count;
    p->lines += count;
    int rc = count ? toc_run_receiver_put_reports(fs->replay->receiver, &reports,
                                                  (struct toc_ts){fs->replay->o.now_ms}, &why)
                   : 0;
    for (size_t i = 0; rc == TOC_EPARSE && i < count; i++)
        note_refused(&refusal, why.message); /* the run's name: all of them */
    return rc && rc != TOC_EPARSE ? toc_errf(&fs->put_error, rc, "%s", why.message) : 0;
}

/* --- pieces --- */

static void put_notes(struct toc_doctor_feeds *fs, const struct feed_piece *p) {
    for (size_t i = 0; i < p->notes.count; i++) {
        const struct feed_note *n = &p->notes.items[i];
        if (n->is_whole_file)
            toc_doctor_note_unread_file(fs->scan, p->feed->file->name, n->text);
        else
            toc_doctor_note_unread(fs->scan, p->feed->file->name, n->line, n->text);
    }
}

int toc_feed_put(struct toc_doctor_feeds *fs, struct feed_piece *p) {
    put_notes(fs, p);
    int rc = put_lines(fs, p);
    if (!rc)
        rc = put_reports(fs, p);
    fs->counts.lines += p->lines;
    fs->counts.lines_skipped += p->lines_skipped;
    return rc || p->to_ms == INT64_MIN ? rc
                                       : toc_replay_advance(fs->replay, p->to_ms, &fs->put_error);
}
