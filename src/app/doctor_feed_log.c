/* Logs of training programs: the numbers that their lines show. */
#include "app/doctor_feed_priv.h"

#include "base/alloc.h"

/* Where a log is looked at for its first report; what comes later in one has none. */
enum { PROBE_BYTES = 1 << 20 };

static struct toc_run_log_feed *log_new(const struct toc_doctor_feeds *fs,
                                        struct toc_report_taker *taker, bool is_recorded,
                                        bool is_counting) {
    return toc_run_log_feed_new(&(struct toc_run_log_feed_options){.table = fs->log_table,
                                                                   .aliases = fs->aliases,
                                                                   .taker = taker,
                                                                   .is_recorded = is_recorded,
                                                                   .is_counting = is_counting});
}

/* Reads until the first report. Lines without a time of their own are given the present one, so the
 * first report tells whether this log shows times. */
static bool probe(struct toc_doctor_feeds *fs, struct feed *f) {
    struct feed at = {.file = f->file};
    struct toc_run_log_feed *log = log_new(fs, &fs->taker, false, false);
    struct toc_ts now = {fs->replay->o.now_ms};
    while (!toc_feed_gathered(fs) && at.offset < PROBE_BYTES) {
        int64_t got = toc_feed_read(fs, &at, &fs->piece, TOC_FEED_PIECE_BYTES);
        if (got <= 0)
            break;
        toc_run_log_feed_push(log, toc_buf_sv(&fs->piece), now);
        at.offset += (uint64_t)got;
    }
    if (!toc_feed_gathered(fs))
        toc_run_log_feed_flush(log, now);
    bool is_report = toc_feed_gathered(fs) > 0;
    f->is_timed = toc_feed_first_ms(fs) < now.ms;
    f->next_ms = toc_feed_first_ms(fs);
    toc_report_batch_reset(fs->reports);
    toc_run_log_feed_free(&log);
    return is_report;
}

/* Reports of the whole log, for the times of one that shows none. */
static int64_t count_reports(const struct toc_doctor_feeds *fs, const struct feed *f) {
    struct feed at = {.file = f->file};
    struct toc_run_log_feed *log = log_new(fs, NULL, false, true);
    struct toc_buf piece = TOC_BUF_INIT;
    struct toc_ts now = {fs->replay->o.now_ms};
    while (toc_feed_read(fs, &at, &piece, TOC_FEED_PIECE_BYTES) > 0) {
        toc_run_log_feed_push(log, toc_buf_sv(&piece), now);
        at.offset += piece.n;
    }
    int64_t count = (int64_t)toc_run_log_feed_counters(log).reports;
    toc_run_log_feed_free(&log);
    toc_buf_fini(&piece);
    return count;
}

static bool open_log(struct toc_doctor_feeds *fs, struct feed *f) {
    if (!probe(fs, f))
        return false;
    if (!f->is_timed)
        f->next_ms = f->file->mtime_ms; /* until it is counted */
    return true;
}

/* Line by line, so that each report is a second after the one before. */
static void push_untimed(struct feed *f, const struct toc_doctor_feeds *fs, struct toc_sv piece) {
    while (piece.n) {
        size_t at = toc_sv_find_char(piece, '\n');
        size_t n = at == SIZE_MAX ? piece.n : at + 1;
        int64_t given = f->reports + (int64_t)toc_feed_gathered(fs);
        toc_run_log_feed_push(f->log, toc_sv_sub(piece, 0, n),
                              (struct toc_ts){f->base_ms + given * TOC_FEED_UNTIMED_GAP_MS});
        piece = toc_sv_sub(piece, n, SIZE_MAX);
    }
}

static void end(struct feed *f, struct feed_piece *p, struct toc_ts t) {
    toc_run_log_feed_flush(f->log, t);
    f->is_done = true;
    struct toc_run_log_counters c = toc_run_log_feed_counters(f->log);
    if (c.lines_binary)
        toc_feed_note(p, 0, "lines that are no text");
    p->lines_skipped += c.lines_binary;
}

static void take_piece(struct toc_doctor_feeds *fs, struct feed *f, struct feed_piece *p) {
    if (!f->log)
        f->log = log_new(fs, &fs->taker, f->is_timed, false);
    int64_t got = toc_feed_read(fs, f, &fs->piece, TOC_FEED_PIECE_BYTES);
    struct toc_ts latest = {f->is_timed ? fs->replay->o.now_ms : f->file->mtime_ms};
    if (got < 0) {
        toc_feed_fail(f, p, (int)got);
        return;
    }
    if (f->is_timed)
        toc_run_log_feed_push(f->log, toc_buf_sv(&fs->piece), latest);
    else
        push_untimed(f, fs, toc_buf_sv(&fs->piece));
    f->offset += (uint64_t)got;
    fs->bytes += (uint64_t)got;
    if (got < TOC_FEED_PIECE_BYTES)
        end(f, p, latest);
    if (toc_feed_gathered(fs))
        f->next_ms = TOC_MAX(f->next_ms, toc_feed_last_ms(fs));
}

static void close_log(struct toc_doctor_feeds *fs, struct feed *f) {
    (void)fs;
    toc_run_log_feed_free(&f->log);
}

const struct feed_form toc_feed_log = {open_log, count_reports, take_piece, close_log};
