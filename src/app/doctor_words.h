/* Words and numbers of the doctor's reports. */
#ifndef TOC_APP_DOCTOR_WORDS_H
#define TOC_APP_DOCTOR_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "model/finding.h"

/* "2026-11-24 13:17:34 UTC" */
void toc_doctor_append_time(int64_t ms, struct toc_buf *out);
/* With its unit ("s", "bytes", "ratio" or ""): "1.5 s", "2.3 GiB", "12 %", "0.0003"; "NaN". */
void toc_doctor_append_number(double v, struct toc_sv unit, struct toc_buf *out);
/* For an axis: "2.3 GiB", "51k", "0.002". */
void toc_doctor_append_short(double v, struct toc_sv unit, struct toc_buf *out);
/* ", usual 1 s to 2 s", ", usual up to 2 s"; nothing when no band is known. */
void toc_doctor_append_band(const struct toc_evidence *e, struct toc_buf *out);
/* Control characters other than a newline become "?": what files say must not drive the terminal.
 */
void toc_doctor_append_printable(struct toc_sv text, struct toc_buf *out);

/* Metrics: names for people, units, and whether a curve of it helps. */
const char *toc_doctor_metric_text(const char *metric);
const char *toc_doctor_metric_text_zh(const char *metric);
/* A kind in Chinese; its English title where there is none. */
const char *toc_doctor_kind_zh(enum toc_kind kind);
struct toc_sv toc_doctor_metric_unit(const char *metric);
bool toc_doctor_is_curve_shown(const char *metric);

#endif
