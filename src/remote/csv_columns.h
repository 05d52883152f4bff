/*
 * What the columns of a CSV file mean, in VictoriaMetrics' syntax: `2:metric:ask,1:label:ticker,
 * 3:time:unix_ms`, that is position (from 1), type, and the name of the metric or label or the
 * format of the time: unix_s, unix_ms, unix_us, unix_ns or rfc3339.
 */
#ifndef TOC_REMOTE_CSV_COLUMNS_H
#define TOC_REMOTE_CSV_COLUMNS_H

#include "base/error.h"
#include "base/sv.h"

enum { TOC_CSV_COLUMNS_MAX = 256, TOC_CSV_POSITION_MAX = 4096 };

enum toc_csv_column_type { TOC_CSV_METRIC, TOC_CSV_LABEL, TOC_CSV_TIME };
enum toc_csv_time {
    TOC_CSV_UNIX_S,
    TOC_CSV_UNIX_MS,
    TOC_CSV_UNIX_US,
    TOC_CSV_UNIX_NS,
    TOC_CSV_RFC3339
};

struct toc_csv_columns {
    struct toc_csv_column {
        size_t position; /* from 0 */
        enum toc_csv_column_type type;
        struct toc_sv name; /* borrowed from the text */
        enum toc_csv_time time;
    } items[TOC_CSV_COLUMNS_MAX];
    size_t count, metric_count;
};

/* At least one metric, at most one time. TOC_EINVAL with a sentence. */
int toc_csv_columns_parse(struct toc_sv text, struct toc_csv_columns *out,
                          struct toc_err *err) TOC_MUST_CHECK;

#endif
