/* What `tocsin doctor log` prints. */
#ifndef TOC_APP_DOCTOR_LOG_REPORT_H
#define TOC_APP_DOCTOR_LOG_REPORT_H

#include "base/buf.h"
#include "codec/json_writer.h"
#include "diagnose/failure.h"

struct toc_doctor_log_totals {
    size_t files;
    uint64_t bytes, lines, hits, cut_lines, undated, redacted;
    uint64_t failures, unexplained;
    uint64_t hits_left_out; /* beyond what is kept */
};

void toc_doctor_log_print(const struct toc_failure *f, size_t number, struct toc_buf *out);
void toc_doctor_log_print_totals(const struct toc_doctor_log_totals *t, struct toc_buf *out);
void toc_doctor_log_json(const struct toc_failure *f, struct toc_json_writer *w);
/* Keys of the object that holds the failures. */
void toc_doctor_log_json_totals(const struct toc_doctor_log_totals *t, struct toc_json_writer *w);

#endif
