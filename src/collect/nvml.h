/*
 * NVIDIA GPUs through NVML (libnvidia-ml.so.1, loaded at run time), under the names and labels of
 * NVIDIA's dcgm-exporter. No library, no driver or no GPU: nothing is written and nothing is wrong.
 * A lost GPU can make NVML calls take seconds, so run this in a thread of its own. One thread at a
 * time.
 */
#ifndef TOC_COLLECT_NVML_H
#define TOC_COLLECT_NVML_H

#include <stdint.h>

#include "base/error.h"
#include "base/time.h"
#include "model/sink.h"

struct toc_nvml_options {
    const char *library;  /* NULL: "libnvidia-ml.so.1" */
    const char *job;      /* NULL: "dcgm" */
    const char *instance; /* NULL: the host name */
};

struct toc_nvml; /* opaque */

struct toc_nvml *toc_nvml_new(const struct toc_nvml_options *o);
void toc_nvml_free(struct toc_nvml **n);
/* Reads all GPUs and the XID events since the last call and writes one batch. While no library
 * is loaded or no driver answers it looks again once a minute. Only the sink's failure is an
 * error. */
int toc_nvml_collect(struct toc_nvml *n, struct toc_ts now, struct toc_sink *sink,
                     struct toc_err *err) TOC_MUST_CHECK;
/* GPUs found, lost ones included; 0 when there is no NVML. */
unsigned toc_nvml_device_count(const struct toc_nvml *n);

#endif
