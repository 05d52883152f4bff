/*
 * What whole logs show of failures: their lines with a known signature, collected from any number
 * of files and put in order of time, with the tables that judge them.
 */
#ifndef TOC_APP_DOCTOR_LOG_HITS_H
#define TOC_APP_DOCTOR_LOG_HITS_H

#include "app/doctor_log_report.h"
#include "base/map.h"
#include "diagnose/log_labels.h"
#include "diagnose/log_stream.h"

enum { TOC_LOG_HITS_MAX = 1 << 20 /* more are counted in totals.hits_left_out */ };

struct toc_log_hits {
    struct toc_signature_table *signatures;
    struct toc_signature_set numerics; /* left to the judges where numbers are judged themselves */
    struct toc_failure_rules *rules;
    struct toc_xid_table *xids;
    struct toc_redactor *redactor;
    struct toc_log_places *places;
    struct toc_arena arena; /* texts of the hits */
    TOC_VEC(struct toc_failure_hit) hits;
    struct toc_doctor_log_totals totals;
    /* of the file at hand */
    struct toc_map latest; /* signature and place → index + 1 of its last hit */
    struct toc_log_stream stream;
    struct toc_ts mtime;
    int64_t offset_ms;
    bool has_numbers;
    uint64_t lines_before; /* in the parts of it that were joined */
    struct toc_ts last;    /* time of their last dated line; ms 0: none */
};

struct toc_log_hits_file {
    const char *path;   /* "-" is standard input */
    struct toc_sv name; /* for people; borrowed as long as the hits */
    unsigned sources;   /* enum toc_log_source */
    struct toc_log_labels labels;
    int64_t utc_offset_ms; /* of times without a zone */
    bool
        has_numbers; /* its numbers are judged themselves: what its text says of them is not news */
};

int toc_log_hits_new(struct toc_log_hits **out, struct toc_err *err) TOC_MUST_CHECK;
void toc_log_hits_free(struct toc_log_hits **h);
/* Reads one file to its end. What was read before an error stays. */
int toc_log_hits_read(struct toc_log_hits *h, const struct toc_log_hits_file *file,
                      struct toc_err *err) TOC_MUST_CHECK;
/*
 * What app/doctor_log_parts.c is made of: the lines that begin in a part of a file are read by a
 * stream of their own, which leaves lines undated that only what came before could date.
 */
struct toc_log_hits_part {
    uint64_t bytes, lines, cut_lines, undated, redacted;
    struct toc_ts last, mtime; /* of the last dated line, of the file */
};
/* The options of a stream for the file; any thread. */
struct toc_log_stream_options
toc_log_hits_stream_options(const struct toc_log_hits *h, const struct toc_log_hits_file *file,
                            void (*on_hit)(void *ctx, const struct toc_failure_hit *hit),
                            void *ctx);
struct toc_log_hits_part toc_log_hits_part_of(const struct toc_log_stream *stream);
/* Copies what a hit borrows into the arena, all but the name of its file. */
void toc_log_hit_keep(struct toc_failure_hit *hit, struct toc_arena *a);
/* What the next part of a file has found, with lines counted from its own start; changes the hits.
 */
void toc_log_hits_join(struct toc_log_hits *h, const struct toc_log_hits_file *file,
                       const struct toc_log_hits_part *part, struct toc_failure_hit *hits,
                       size_t count);
/* That was its last one. */
void toc_log_hits_end_file(struct toc_log_hits *h);

/* Once all files are read. */
void toc_log_hits_sort(struct toc_log_hits *h);

#endif
