/* The rows of a CSV file for `tocsin detect --stream`, one at a time: a file of any length in
 * bounded memory. */
#ifndef TOC_APP_DETECT_ROWS_H
#define TOC_APP_DETECT_ROWS_H

#include <stdint.h>
#include <stdio.h>

#include "app/detect_columns.h"
#include "app/detect_time.h"
#include "base/arena.h"
#include "base/buf.h"
#include "codec/csv.h"

enum {
    TOC_DETECT_STEP_BYTES = 1 << 20,        /* read at once */
    TOC_DETECT_RECORD_BYTES_MAX = 16 << 20, /* one row with all of its fields */
};

struct toc_detect_rows {
    const char *name; /* for messages; borrowed */
    struct toc_detect_columns columns;
    /* The row read last. Fields are borrowed until the next. */
    const struct toc_sv *fields;
    double seconds; /* of the time column, else the row's number from 0 */
    double *values; /* of the chosen columns; NaN is missing, infinity should be a number */
    int line;
    uint64_t count; /* rows read */
    /* How the file is read; private. */
    struct toc_file *file; /* NULL: standard input, or memory */
    struct toc_sv memory;
    bool is_memory;
    size_t step_bytes;
    uint64_t offset;
    struct toc_buf text; /* complete records up to `whole`, then the beginning of the next */
    size_t whole;
    bool is_at_end, is_quoted;
    struct toc_csv_reader csv;
    struct toc_arena head_arena, arena;
    struct toc_detect_clock clock;
};

/* Opens path ("-" is standard input), reads the header and chooses columns. Fini it in any case. */
int toc_detect_rows_open(struct toc_detect_rows *r, const char *path, const char *columns,
                         struct toc_err *err) TOC_MUST_CHECK;
/* The same for text in memory, which is borrowed; taken in steps of so many bytes. */
int toc_detect_rows_open_text(struct toc_detect_rows *r, struct toc_sv text, size_t step_bytes,
                              const char *columns, struct toc_err *err) TOC_MUST_CHECK;
/* The next row. TOC_EEND; TOC_EPARSE and the like with line and column. A value that is not a
 * number in a column called loss or grad is infinite: there it is news, elsewhere it is missing. */
int toc_detect_rows_next(struct toc_detect_rows *r, struct toc_err *err) TOC_MUST_CHECK;
void toc_detect_rows_fini(struct toc_detect_rows *r);

#endif
