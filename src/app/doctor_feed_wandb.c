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

static void end(struct feed *f, struct feed_piece *p, size_t left) {
    struct toc_wandb_feed_counters c = toc_wandb_feed_counters(f->wandb);
    f->is_done = true;
    toc_feed_note_count(p, c.log.bad_crc, "places whose checksum is wrong");
    toc_feed_note_count(p, c.log.bad_chunks, "places that are damaged");
    toc_feed_note_count(p, c.log.torn + c.records_malformed,
                        "records without beginning or end, or malformed");
    toc_feed_note_count(p, c.log.too_long, "records that are too long");
    toc_feed_note_count(p, c.values_dropped, "values of more keys than are followed");
    if (left)
        toc_feed_note(p, 0, "the last record has no end: cut off, or still being written");
}

static void take_piece(struct toc_doctor_feeds *fs, struct feed *f, struct feed_piece *p) {
    uint64_t before = toc_wandb_feed_counters(f->wandb).reports;
    int64_t got = toc_feed_read(fs, f, &fs->piece, TOC_FEED_PIECE_BYTES);
    if (got < 0) {
        toc_feed_fail(f, p, (int)got);
        return;
    }
    toc_buf_reset(&fs->body);
    size_t done = toc_wandb_feed_push(f->wandb, toc_buf_sv(&fs->piece));
    f->offset += done;
    fs->bytes += done;
    if ((size_t)got < TOC_FEED_PIECE_BYTES)
        end(f, p, (size_t)got - done);
    f->next_ms = TOC_MAX(f->next_ms, toc_wandb_feed_last_ms(f->wandb));
    toc_buf_append_sv(&p->bytes, toc_buf_sv(&fs->body));
    p->body.run = toc_sv_cstr(f->run);
    p->lines = toc_wandb_feed_counters(f->wandb).reports - before;
    f->reports += (int64_t)p->lines;
}

static void close_run_file(struct toc_doctor_feeds *fs, struct feed *f) {
    (void)fs;
    toc_wandb_feed_free(&f->wandb);
}

const struct feed_form toc_feed_wandb = {open_run_file, NULL, take_piece, close_run_file};
