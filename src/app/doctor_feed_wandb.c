/* Run files of Weights & Biases: each is a run, with its times. */
#include "app/doctor_feed_priv.h"

#include <stdio.h>

static bool open_run_file(struct toc_doctor_feeds *fs, struct feed *f) {
    enum { LOOK_BYTES = 256 << 10 };
    struct toc_wandb_look look = {0};
    if (!toc_wandb_is_run_file(toc_sv_cstr(f->file->name)))
        return false;
    if (toc_feed_read(fs, f, &fs->piece, LOOK_BYTES) > 0)
        look = toc_wandb_look_at(toc_buf_sv(&fs->piece));
    if (!look.name[0]) {
        toc_doctor_note_unread_file(fs->scan, f->file->name,
                                    look.is_file ? "no run at its start: damaged, or just begun"
                                                 : "not a run file of Weights & Biases");
        return false;
    }
    toc_feed_set_run(f, toc_sv_cstr(look.name));
    f->wandb = toc_wandb_feed_new(
        &(struct toc_wandb_feed_options){.aliases = fs->aliases, .lines = &fs->body});
    f->is_timed = true;
    f->next_ms = look.first_ms ? look.first_ms : f->file->mtime_ms;
    return true;
}

static void note(struct toc_doctor_feeds *fs, const struct feed *f, uint64_t count,
                 const char *what) {
    char text[TOC_DOCTOR_REASON_MAX];
    (void)snprintf(text, sizeof text, "%llu %s", (unsigned long long)count, what);
    if (count)
        toc_doctor_note_unread(fs->scan, f->file->name, 0, text);
}

static void end(struct toc_doctor_feeds *fs, struct feed *f, size_t left) {
    struct toc_wandb_feed_counters c = toc_wandb_feed_counters(f->wandb);
    f->is_done = true;
    note(fs, f, c.log.bad_crc, "places whose checksum is wrong");
    note(fs, f, c.log.bad_chunks, "places that are damaged");
    note(fs, f, c.log.torn + c.records_malformed, "records without beginning or end, or malformed");
    note(fs, f, c.log.too_long, "records that are too long");
    note(fs, f, c.values_dropped, "values of more keys than are followed");
    if (left)
        toc_doctor_note_unread(fs->scan, f->file->name, 0,
                               "the last record has no end: cut off, or still being written");
}

static int put(struct toc_doctor_feeds *fs, const struct feed *f, struct toc_sv lines,
               struct toc_err *err) {
    struct toc_run_body body = {.run = toc_sv_cstr(f->run), .bytes = lines};
    return toc_run_receiver_put(fs->replay->receiver, &body, (struct toc_ts){fs->replay->o.now_ms},
                                err);
}

/* One of the lines is refused: each by itself. */
static int put_each(struct toc_doctor_feeds *fs, const struct feed *f, struct toc_err *err) {
    struct toc_sv lines = toc_buf_sv(&fs->body), line;
    while (lines.n && toc_sv_split(&lines, '\n', &line)) {
        struct toc_err why = {0};
        int rc = line.n ? put(fs, f, line, &why) : 0;
        if (rc && rc != TOC_EPARSE && rc != TOC_ELIMIT)
            return toc_errf(err, rc, "%s", why.message);
        if (!rc)
            continue;
        fs->counts.lines_skipped++;
        fs->counts.lines--;
        toc_doctor_note_unread(fs->scan, f->file->name, 0, why.message);
    }
    return 0;
}

static int put_lines(struct toc_doctor_feeds *fs, struct feed *f, uint64_t count,
                     struct toc_err *err) {
    struct toc_err why = {0};
    int rc = count ? put(fs, f, toc_buf_sv(&fs->body), &why) : 0;
    fs->counts.lines += count;
    f->reports += (int64_t)count;
    if (rc == TOC_EPARSE || rc == TOC_ELIMIT)
        rc = put_each(fs, f, err);
    else if (rc)
        rc = toc_errf(err, rc, "%s", why.message);
    toc_buf_reset(&fs->body);
    return rc;
}

static int take_piece(struct toc_doctor_feeds *fs, struct feed *f, struct toc_err *err) {
    uint64_t before = toc_wandb_feed_counters(f->wandb).reports;
    int64_t got = toc_feed_read(fs, f, &fs->piece, TOC_FEED_PIECE_BYTES);
    if (got < 0) {
        toc_feed_fail(fs, f, (int)got);
        return 0;
    }
    toc_buf_reset(&fs->body);
    size_t done = toc_wandb_feed_push(f->wandb, toc_buf_sv(&fs->piece));
    f->offset += done;
    fs->counts.bytes += done;
    if ((size_t)got < TOC_FEED_PIECE_BYTES)
        end(fs, f, (size_t)got - done);
    f->next_ms = TOC_MAX(f->next_ms, toc_wandb_feed_last_ms(f->wandb));
    return put_lines(fs, f, toc_wandb_feed_counters(f->wandb).reports - before, err);
}

static void close_run_file(struct toc_doctor_feeds *fs, struct feed *f) {
    (void)fs;
    toc_wandb_feed_free(&f->wandb);
}

const struct feed_form toc_feed_wandb = {open_run_file, take_piece, close_run_file};
