/*
 * Lines of text on their way into the store: each sample remembers the line it came from, so that
 * what is refused is told by line. Written in pieces; a text of any length needs little memory.
 */
#ifndef TOC_REMOTE_IMPORT_BATCH_H
#define TOC_REMOTE_IMPORT_BATCH_H

#include "base/arena.h"
#include "base/vec.h"
#include "remote/import.h"

enum { IMPORT_PIECE_SAMPLES = 16384, IMPORT_TEXT_LINES_MAX = 10 };

struct import_batch {
    struct toc_metricdb *db;
    struct toc_import_outcome *out;
    const struct toc_import_options *options;
    const struct toc_influx_options *influx; /* of the line protocol */
    int64_t now_ms;
    size_t told; /* lines of out->text */
    struct {
        TOC_VEC_FIELDS(struct import_line {
            int number;
            bool is_rejected;
        })
    } lines;                          /* of the piece */
    struct toc_labels_builder labels; /* of the series at hand */
    struct toc_arena line_arena;      /* what a parser needs for one line */
    struct toc_arena arena;           /* labels of a piece */
    struct {
        TOC_VEC_FIELDS(struct toc_metricdb_sample)
    } samples;
    struct {
        TOC_VEC_FIELDS(struct import_origin {
            struct toc_labels labels;
            uint32_t line; /* index into lines */
        })
    } origins; /* one for each sample */
};

void import_batch_init(struct import_batch *b, struct toc_metricdb *db,
                       const struct toc_import_options *options, int64_t now_ms,
                       struct toc_import_outcome *out);
void import_batch_fini(struct import_batch *b);

/* A line begins, without labels. What its parser put into the line arena stays. */
void import_batch_begin_line(struct import_batch *b, int line);
/* The line at hand, or a part of it, is refused. */
void import_batch_refuse(struct import_batch *b, enum toc_import_refusal reason, const char *fmt,
                         ...) TOC_PRINTF(3, 4);
/* The series of the labels in b->labels, with the extra labels of the request: 0 when it is refused
 * (and told so). Its labels, to be given to import_batch_add, go to *out_labels. */
uint64_t import_batch_series(struct import_batch *b, struct toc_labels *out_labels);
void import_batch_add(struct import_batch *b, uint64_t ref, struct toc_labels labels, int64_t t_ms,
                      double value);

/* Writes what was gathered when it is much (is_last: in any case). */
int import_batch_write(struct import_batch *b, bool is_last, struct toc_err *err) TOC_MUST_CHECK;

/* The name with everything that the classic data model does not know as underscores; in the arena
 * when it had to change. */
struct toc_sv import_clean_name(struct toc_sv name, bool is_metric, struct toc_arena *a);

/* The formats. 0, or the store's failure. */
int import_influx(struct import_batch *b, struct toc_sv text, struct toc_err *err) TOC_MUST_CHECK;
int import_exposition(struct import_batch *b, struct toc_sv text,
                      struct toc_err *err) TOC_MUST_CHECK;
int import_jsonl(struct import_batch *b, struct toc_sv text, struct toc_err *err) TOC_MUST_CHECK;
int import_csv(struct import_batch *b, struct toc_sv text, struct toc_err *err) TOC_MUST_CHECK;

#endif
