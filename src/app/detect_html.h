/* `tocsin detect --stream --output html`: one page without anything from outside. */
#ifndef TOC_APP_DETECT_HTML_H
#define TOC_APP_DETECT_HTML_H

#include "base/buf.h"
#include "base/sv.h"
#include "detect/stream.h"

struct toc_detect_html_alert {
    size_t first, last, peak;     /* rows from 0 */
    struct toc_sv start, at_peak; /* their times as in the input */
};

/* What was judged. Borrowed. */
struct toc_detect_html_page {
    const double *values; /* rows x columns; NaN is missing */
    const struct toc_stream_result *results;
    const struct toc_sv *names; /* of the columns */
    size_t rows, columns;
    const struct toc_detect_html_alert *alerts;
    size_t alert_count;
};

/* A chart per column with alerts shaded (of one column also where values were expected), a chart of
 * the surprise with the bar, and a table of the alerts. At most 800 points per line: lowest and
 * highest of what falls together. */
void toc_detect_write_html(const struct toc_detect_html_page *page, struct toc_buf *out);

#endif
