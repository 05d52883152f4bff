/* The whole CSV file of `tocsin detect` without --stream: its text, the columns chosen and their
 * numbers. */
#ifndef TOC_APP_DETECT_INPUT_H
#define TOC_APP_DETECT_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "app/detect_columns.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/vec.h"

enum { TOC_DETECT_INPUT_BYTES_MAX = 1 << 28, TOC_DETECT_ROWS_MAX = 1 << 22 };

struct toc_detect_input {
    struct toc_buf text;
    struct toc_arena arena;
    struct toc_detect_columns columns;
    TOC_VEC(const struct toc_sv *) rows; /* fields as written, as many as the header has */
    double *values;                      /* complete rows only, one after the other */
    TOC_VEC(size_t) complete;            /* their indices in rows */
};

/* Reads path ("-" is standard input). `columns`: names separated by commas, NULL for all but the
 * time column. An empty cell or NaN makes the row incomplete where `allows_missing`, else it is
 * refused. TOC_EPARSE with line and column, TOC_ENOENT and the like for the file. Fini it in any
 * case. */
int toc_detect_input_read(struct toc_detect_input *in, const char *path, const char *columns,
                          bool allows_missing, struct toc_err *err) TOC_MUST_CHECK;
void toc_detect_input_fini(struct toc_detect_input *in);

#endif
