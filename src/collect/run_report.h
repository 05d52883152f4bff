/*
 * What the readers of other programs' files (event files of TensorBoard, logs) say: reports of
 * training runs as lines of the run protocol, and numbers of inference servers. They are made from
 * bytes alone; whoever has the bytes, a tail or an offline command, passes them on.
 */
#ifndef TOC_COLLECT_RUN_REPORT_H
#define TOC_COLLECT_RUN_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"
#include "base/time.h"

/* Borrowed for the call. */
struct toc_run_report {
    struct toc_sv json; /* one line of docs/design/run-protocol.md, without its newline */
    struct toc_ts t;    /* also in the line */
    bool has_step;
    int64_t step;
};

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
