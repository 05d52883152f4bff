/* `tocsin detect --stream`: each row judged from the rows before it. */
#ifndef TOC_APP_DETECT_STREAM_H
#define TOC_APP_DETECT_STREAM_H

#include "app/detect_input.h"
#include "base/error.h"

enum toc_detect_form {
    TOC_DETECT_TABLE,
    TOC_DETECT_JSON,
    TOC_DETECT_CSV,
    TOC_DETECT_SCORES,
    TOC_DETECT_FEATURES
};

/* Judges all rows and prints them to standard output in the form; alerts go to *out_alerts (runs of
 * rows in alert). threshold 0: the default. TOC_EPARSE with the line of a time that cannot be read.
 */
int toc_detect_stream(const struct toc_detect_input *in, double threshold,
                      enum toc_detect_form form, size_t *out_alerts,
                      struct toc_err *err) TOC_MUST_CHECK;

#endif
