/* What `tocsin detect --stream` prints of its cases: a table, JSON, a page. */
#ifndef TOC_APP_DETECT_REPORT_H
#define TOC_APP_DETECT_REPORT_H

#include "app/detect_case.h"

/* On standard output. A heading per file where there are several. */
void toc_detect_print_table(const struct toc_detect_case *c, bool is_one_of_many);
/* An object. */
void toc_detect_write_json(const struct toc_detect_case *c, struct toc_buf *out);
/* The sentence about what keeps a case from being judged well; appends nothing when all is well. */
void toc_detect_write_notes(const struct toc_detect_case *c, struct toc_buf *out);

#endif
