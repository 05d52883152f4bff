/* `tocsin detect --stream`: each row judged from the rows before it. */
#ifndef TOC_APP_DETECT_STREAM_H
#define TOC_APP_DETECT_STREAM_H

#include "app/detect_input.h"
#include "base/error.h"
#include "base/sv.h"
#include "detect/stream.h"

enum toc_detect_form {
    TOC_DETECT_TABLE,
    TOC_DETECT_JSON,
    TOC_DETECT_CSV,
    TOC_DETECT_SCORES,
    TOC_DETECT_FEATURES,
    TOC_DETECT_HTML
};

struct toc_detect_stream_options {
    double threshold, budget_seconds; /* 0: the default */
    size_t train_rows;                /* the first rows are learnt only: no alerts */
    enum toc_stream_direction direction;
};

/* Seconds per alert of a budget such as "1/week", "2/day", "1/month" (30 days) or "1/hour";
 * TOC_EPARSE. */
int toc_detect_budget_parse(struct toc_sv text, double *out_seconds) TOC_MUST_CHECK;

/* Judges all rows and prints them to standard output in the form; alerts go to *out_alerts (runs of
 * rows in alert, joined over ten rows). TOC_EPARSE with the line of a time that cannot be read. */
int toc_detect_stream(const struct toc_detect_input *in, const struct toc_detect_stream_options *o,
                      enum toc_detect_form form, size_t *out_alerts,
                      struct toc_err *err) TOC_MUST_CHECK;

#endif
