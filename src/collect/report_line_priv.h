/* Writing one line of the run protocol for a taker. */
#ifndef TOC_COLLECT_REPORT_LINE_PRIV_H
#define TOC_COLLECT_REPORT_LINE_PRIV_H

#include "base/buf.h"
#include "codec/json_writer.h"
#include "collect/run_report.h"
#include "model/alias.h"

struct toc_report_line {
    struct toc_buf buf; /* kept from line to line */
    struct toc_json_writer json;
    struct toc_run_report report;
};

/* Begins the object: time, step and whether a missing loss means nothing. */
void toc_report_line_begin(struct toc_report_line *l, struct toc_ts t, const int64_t *step,
                           bool is_partial);
/* Ends the object and gives it. */
void toc_report_line_give(struct toc_report_line *l, struct toc_report_taker *taker);
void toc_report_line_fini(struct toc_report_line *l);

/* The field of the protocol for a canonical name: without "train_". */
struct toc_sv toc_report_field(struct toc_sv canonical);

#endif
