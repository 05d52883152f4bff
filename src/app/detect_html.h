/* `tocsin detect --stream --output html`: one page without anything from outside. */
#ifndef TOC_APP_DETECT_HTML_H
#define TOC_APP_DETECT_HTML_H

#include "app/detect_case.h"

void toc_detect_html_begin(struct toc_buf *out);
/* A file: a table of the alerts with their reasons, a chart per column with alerts shaded (of one
 * column also where values were expected), a chart of the surprise with the bar. */
void toc_detect_html_case(const struct toc_detect_case *c, bool is_one_of_many,
                          struct toc_buf *out);
void toc_detect_html_end(struct toc_buf *out);

#endif
