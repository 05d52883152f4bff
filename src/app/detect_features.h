/* `tocsin detect --stream --output features`: the looks at each alert, for learning from verdicts.
 */
#ifndef TOC_APP_DETECT_FEATURES_H
#define TOC_APP_DETECT_FEATURES_H

#include "base/buf.h"
#include "base/error.h"
#include "detect/stream.h"

/* What was judged, row by row. Borrowed. */
struct toc_detect_track {
    const double *seconds, *values; /* rows, rows x columns */
    const struct toc_stream_result *results;
    size_t rows, columns;
    double threshold;
};

/* CSV: alert,first_row,row,last_row and the features as they were at `row` (1-based). Alerts closer
 * than 10 rows are one; looks are its first row in alert after 1, 2, 4, 8 … rows. Only last_row
 * knows what came later: it is there to match alerts with labelled events. */
void toc_detect_write_features(const struct toc_detect_track *t, struct toc_buf *out);

#endif
