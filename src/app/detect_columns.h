/* Which columns of a CSV file `tocsin detect` looks at, and what their cells hold. */
#ifndef TOC_APP_DETECT_COLUMNS_H
#define TOC_APP_DETECT_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/sv.h"
#include "base/vec.h"

struct toc_detect_columns {
    const struct toc_sv *header; /* borrowed */
    size_t header_count;
    TOC_VEC(size_t) chosen; /* indices into the header */
    size_t time;            /* "timestamp", "time" or "date"; SIZE_MAX when there is none */
};

/* `wanted`: names separated by commas, NULL for all but the time column. The header is borrowed
 * until fini. TOC_EPARSE (line 1) for a name that is not there or is there twice. */
int toc_detect_columns_choose(struct toc_detect_columns *c, const struct toc_sv *header,
                              size_t count, const char *wanted, struct toc_err *err) TOC_MUST_CHECK;
void toc_detect_columns_fini(struct toc_detect_columns *c);

/* 0 with a number that fits float32; 1 for a missing value (empty, NaN, NA, N/A, null, None);
 * TOC_EPARSE without a place for all else. */
int toc_detect_cell_parse(struct toc_sv cell, double *out) TOC_MUST_CHECK;
/* The complaint about a cell, at its place. `column` in the line, 0 when unknown. */
int toc_detect_cell_refuse(const struct toc_detect_columns *c, size_t at, struct toc_sv cell,
                           int line, int column, struct toc_err *err);

#endif
