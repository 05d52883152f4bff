/*
 * What the readers of other programs' files (event files of TensorBoard, logs) say: reports of
 * training runs, and numbers of inference servers. They are made from bytes alone; whoever has the
 * bytes, a tail or an offline command, passes them on: as values (run_receiver.h) or as lines of
 * the run protocol.
 */
#ifndef TOC_COLLECT_RUN_REPORT_H
#define TOC_COLLECT_RUN_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/sv.h"
#include "base/time.h"

/* What reports give numbers under: a field of the run protocol, a statistic of a layer, or a tag of
 * the writer's own. It belongs to the feed and lives as long. */
struct toc_report_field; /* opaque */

struct toc_report_value {
    struct toc_report_field *field;
    double value;
};

struct toc_report_layer {
    struct toc_sv name; /* lives as long as the feed */
    const struct toc_report_value *stats;
    size_t count;
};

/* Borrowed for the call. */
struct toc_run_report {
    struct toc_ts t;
    bool has_step;
    bool is_partial; /* speaks about a part of the step: a missing loss means nothing */
    bool is_restart; /* the job began anew; `message` says how that is known */
    int64_t step;
    struct toc_sv message;
    const struct toc_report_value *values, *scalars; /* fields of the protocol; tags */
    size_t value_count, scalar_count;
    const struct toc_report_layer *layers;
    size_t layer_count;
};

/* Appends the report as one line of docs/design/run-protocol.md, without its newline. */
void toc_run_report_write(const struct toc_run_report *report, struct toc_buf *out);

struct toc_serve_sample {
    struct toc_sv metric; /* full name of the series, such as "vllm:num_requests_running" */
    double value;
};

/* One line of an inference server's log. Borrowed for the call. */
struct toc_serve_report {
    struct toc_ts t;
    struct toc_sv engine; /* label of the series; "" when the line names none */
    const struct toc_serve_sample *samples;
    size_t count;
};

/* Called in the order of the bytes. */
struct toc_report_taker {
    void (*on_run)(struct toc_report_taker *taker, const struct toc_run_report *report);
    /* NULL: not wanted */
    void (*on_serve)(struct toc_report_taker *taker, const struct toc_serve_report *report);
};

#endif
