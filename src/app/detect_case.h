/* What `tocsin detect --stream` tells of one file: its alerts, each with an explanation, and lines
 * for charts. In bounded memory, whatever the length of the file. */
#ifndef TOC_APP_DETECT_CASE_H
#define TOC_APP_DETECT_CASE_H

#include <stdbool.h>
#include <stdint.h>

#include "app/detect_judge.h"
#include "app/detect_rows.h"
#include "app/detect_trace.h"
#include "base/vec.h"
#include "detect/explain.h"
#include "detect/method.h"

enum {
    TOC_DETECT_JOIN_ROWS = 10,     /* alerts no further apart are one */
    TOC_DETECT_ALERTS_MAX = 10000, /* told of a file; the others are counted */
    TOC_DETECT_LINES_MAX = 64,     /* columns drawn */
};

/* Rows in alert, one behind the other. */
struct toc_detect_alert {
    uint64_t first, last, peak;      /* rows from 0 */
    char *start, *at_peak;           /* their times as in the input; owned */
    double value;                    /* of a metric at the peak; NaN of several columns */
    struct toc_stream_result result; /* at the peak */
    size_t column;                   /* that spoke there; SIZE_MAX: together */
    enum toc_curve_event event;      /* of a training's curve; NOTHING: of another column */
    struct toc_explanation why;
    bool is_explained;
};

struct toc_detect_case {
    const char *name; /* of the file; borrowed */
    const char *method;
    size_t rows_min; /* before the method says anything */
    char **columns;  /* names of the chosen ones; owned */
    size_t column_count;
    uint64_t rows, late_rows; /* late ones are not later than a row before */
    int first_late_line;
    double last_seconds, time_unit; /* 0: times are words */
    bool has_times, takes_late;
    bool is_open; /* an alert may still grow */
    TOC_VEC(struct toc_detect_alert) alerts;
    uint64_t alert_count; /* also those that are only counted */
    char *noted;          /* time of the first note of a training's curve; owned */
    enum toc_curve_event note;
    uint64_t note_count;
    struct toc_explainer *explainer;
    bool has_trace;
    struct toc_detect_trace trace; /* columns, then surprise, bar, lower, upper */
};

/* Prepares for the rows of `rows`. `has_reasons`: alerts are explained; `has_trace`: lines are
 * kept. Fini it in any case. */
int toc_detect_case_init(struct toc_detect_case *c, const struct toc_detect_rows *rows,
                         const struct toc_detect_judge *judge, bool has_reasons, bool has_trace,
                         struct toc_err *err) TOC_MUST_CHECK;
/* The row read last and what was said of it. */
void toc_detect_case_add(struct toc_detect_case *c, const struct toc_detect_rows *rows,
                         const struct toc_method_result *r);
/* No row follows. */
void toc_detect_case_end(struct toc_detect_case *c);
void toc_detect_case_fini(struct toc_detect_case *c);

/* True when there were too few rows for the detector to say anything. */
bool toc_detect_case_is_short(const struct toc_detect_case *c);
/* A row's time as the file writes times: its number, a number in the file's unit, or RFC 3339. */
void toc_detect_case_time(const struct toc_detect_case *c, uint64_t row, double seconds,
                          struct toc_buf *out);
/* One line: which column, how far outside, since when, similar windows. */
void toc_detect_case_reason(const struct toc_detect_case *c, const struct toc_detect_alert *a,
                            struct toc_buf *out);

#endif
