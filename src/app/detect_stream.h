/* `tocsin detect --stream`: each row judged from the rows before it, file after file. */
#ifndef TOC_APP_DETECT_STREAM_H
#define TOC_APP_DETECT_STREAM_H

#include <stddef.h>

#include "base/error.h"
#include "base/sv.h"
#include "detect/method.h"

enum toc_detect_form {
    TOC_DETECT_TABLE,
    TOC_DETECT_JSON,
    TOC_DETECT_CSV,
    TOC_DETECT_SCORES,
    TOC_DETECT_FEATURES,
    TOC_DETECT_HTML
};

struct toc_detect_stream_options {
    const char *columns; /* names separated by commas; NULL: all but the time column */
    bool is_auto;        /* the models of training curves where names tell, else the method */
    bool
        is_training; /* these models and nothing else; the method for columns that are not theirs */
    enum toc_method method;
    double threshold, budget_seconds; /* 0: the default */
    size_t train_rows;                /* the first rows are learnt only: no alerts */
    enum toc_stream_direction direction;
    enum toc_detect_form form;
};

/* Seconds per alert of a budget such as "1/week", "2/day", "1/month" (30 days) or "1/hour";
 * TOC_EPARSE. */
int toc_detect_budget_parse(struct toc_sv text, double *out_seconds) TOC_MUST_CHECK;

/* Judges the files one by one, each a series or an entity of its own, and prints them to standard
 * output in the form; alerts go to *out_alerts (runs of rows in alert, joined over ten rows).
 * Errors are those of the file at *out_at. */
int toc_detect_stream(const char *const *paths, size_t count,
                      const struct toc_detect_stream_options *o, uint64_t *out_alerts,
                      size_t *out_at, struct toc_err *err) TOC_MUST_CHECK;

#endif
