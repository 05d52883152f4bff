#include "app/detect_features.h"

#include <math.h>

#include "base/alloc.h"
#include "base/num.h"
#include "detect/alert_features.h"

enum { MERGE_ROWS = 10 };

static void write_look(const struct toc_detect_track *t, const double *scores, size_t number,
                       size_t first, size_t row, size_t last, struct toc_buf *out) {
    const struct toc_alert_context c = {.seconds = t->seconds,
                                        .values = t->values,
                                        .scores = scores,
                                        .rows = row + 1,
                                        .columns = t->columns,
                                        .start = first,
                                        .threshold = t->threshold};
    double features[TOC_ALERT_FEATURES];
    toc_alert_features(&c, features);
    toc_buf_printf(out, "%zu,%zu,%zu,%zu", number, first + 1, row + 1, last + 1);
    for (size_t i = 0; i < TOC_ALERT_FEATURES; i++) {
        toc_buf_append_char(out, ',');
        if (!isnan(features[i]))
            toc_format_f64(features[i], out);
    }
    toc_buf_append_char(out, '\n');
}

/* The last row of the alert that begins at `first`. */
static size_t last_of(const struct toc_detect_track *t, size_t first) {
    size_t last = first;
    for (size_t i = first + 1; i < t->rows && i <= last + MERGE_ROWS; i++)
        if (t->results[i].is_alert)
            last = i;
    return last;
}

void toc_detect_write_features(const struct toc_detect_track *t, struct toc_buf *out) {
    double *scores = toc_try_calloc(t->rows + 1, sizeof *scores);
    if (!scores) {
        out->error = TOC_ENOMEM;
        return;
    }
    for (size_t i = 0; i < t->rows; i++)
        scores[i] = t->results[i].surprise;
    toc_buf_append_cstr(out, "alert,first_row,row,last_row");
    for (size_t i = 0; i < TOC_ALERT_FEATURES; i++)
        toc_buf_printf(out, ",%s", toc_alert_feature_name(i));
    toc_buf_append_char(out, '\n');
    size_t number = 0;
    for (size_t first = 0; first < t->rows; first++) {
        if (!t->results[first].is_alert)
            continue;
        size_t last = last_of(t, first), wanted = 1;
        number++;
        for (size_t row = first; row <= last; row++) {
            if (!t->results[row].is_alert || row - first + 1 < wanted)
                continue;
            write_look(t, scores, number, first, row, last, out);
            while (wanted <= row - first + 1)
                wanted *= 2;
        }
        first = last;
    }
    toc_free(scores);
}
