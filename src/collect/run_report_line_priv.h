/* Reports of feeds, taken as lines. */
#ifndef TOC_COLLECT_RUN_REPORT_LINE_PRIV_H
#define TOC_COLLECT_RUN_REPORT_LINE_PRIV_H

#include "collect/run_line_priv.h"
#include "collect/run_report.h"

/* The line that the report's text (toc_run_report_write) would be decoded to. TOC_EPARSE alike. */
int toc_run_line_report(const struct toc_run_decoder *d, const struct toc_run_report *r, int number,
                        struct toc_run_line *out) TOC_MUST_CHECK;

#endif
