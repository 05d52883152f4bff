/*
 * Logs of training programs and inference servers as reports: bytes in, lines of the run protocol
 * out, without any file, clock or network. What a line means is told by packs/log_metrics.tsv; a
 * line that no row knows is no error.
 *
 * Lines end with \n, \r\n or \r (progress bars); escape sequences of terminals are passed over. The
 * result does not depend on how the bytes are cut.
 */
#ifndef TOC_COLLECT_RUN_LOG_FEED_H
#define TOC_COLLECT_RUN_LOG_FEED_H

#include "base/buf.h"
#include "base/error.h"
#include "collect/run_report.h"
#include "model/alias.h"

enum { TOC_RUN_LOG_ROWS_MAX = 128 };

struct toc_run_log_table; /* opaque, immutable: any number of feeds */
/* TOC_EPARSE with row and column. */
int toc_run_log_table_parse(struct toc_sv text, struct toc_run_log_table **out_table,
                            struct toc_err *err) TOC_MUST_CHECK;
int toc_run_log_table_builtin(struct toc_run_log_table **out_table,
                              struct toc_err *err) TOC_MUST_CHECK;
/* Its text, which a test parses: samples are tried there only. */
struct toc_sv toc_run_log_table_text(void);
void toc_run_log_table_free(struct toc_run_log_table **table);

/* The example of a row and a part of the report it gives; false behind the last row. */
struct toc_run_log_sample {
    struct toc_sv id, line, expect;
};
bool toc_run_log_table_sample(const struct toc_run_log_table *t, size_t row,
                              struct toc_run_log_sample *out);

struct toc_run_log_feed_options {
    const struct toc_run_log_table *table; /* borrowed */
    const struct toc_alias_table *aliases; /* borrowed */
    struct toc_report_taker *taker;        /* borrowed */
    int utc_offset_minutes;                /* east of UTC, of the clock whose times the log shows */
    size_t max_line_bytes;                 /* 0: 64 KiB; the tail of longer ones is not looked at */
    bool is_recorded; /* lines that show no time follow the one before, not the time of reading */
    bool is_counting; /* reports are counted, not given */
};

/* X(member, what it counts) */
#define TOC_RUN_LOG_COUNTER_TABLE(X)                                           \
    X(lines, "lines read")                                                     \
    X(bytes, "bytes read")                                                     \
    X(lines_matched, "lines that a row of the table knows")                    \
    X(lines_cut, "lines whose tail was not looked at because of their length") \
    X(lines_binary, "lines passed over because they are no text")              \
    X(values_bad, "values of a known meaning that are no number")              \
    X(values_dropped, "values over the limit of a line, or with a bad name")   \
    X(restarts, "restarts told or seen by a step that went back")              \
    X(reports, "reports of runs given")                                        \
    X(serve_reports, "reports of servers given")

struct toc_run_log_counters {
#define X(member, what) uint64_t member;
    TOC_RUN_LOG_COUNTER_TABLE(X)
#undef X
};

struct toc_run_log_feed; /* opaque; one log, one thread at a time */
struct toc_run_log_feed *toc_run_log_feed_new(const struct toc_run_log_feed_options *o);
void toc_run_log_feed_free(struct toc_run_log_feed **f);
/* Summer begins and ends. */
void toc_run_log_feed_set_utc_offset(struct toc_run_log_feed *f, int minutes);
/* `t` is the time of lines that show none, or one more than an hour after it. Reports are at least
 * 1 ms apart, so that none hides another. */
void toc_run_log_feed_push(struct toc_run_log_feed *f, struct toc_sv bytes, struct toc_ts t);
/* Judges a last line without line ending. */
void toc_run_log_feed_flush(struct toc_run_log_feed *f, struct toc_ts t);
/* Bytes pushed of the line that is not finished: a reader that starts anew begins so far back. */
uint64_t toc_run_log_feed_unfinished(const struct toc_run_log_feed *f);
struct toc_run_log_counters toc_run_log_feed_counters(const struct toc_run_log_feed *f);

/* What later lines depend on (sums, epoch, last steps), without the unfinished line; and back into
 * a new feed with the same table. TOC_ECORRUPT changes nothing. */
void toc_run_log_feed_save(const struct toc_run_log_feed *f, struct toc_buf *out);
int toc_run_log_feed_restore(struct toc_run_log_feed *f, struct toc_sv bytes) TOC_MUST_CHECK;

#endif
