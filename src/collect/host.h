/*
 * The machine under the names, types and labels of node_exporter 1.5 (collectors cpu, meminfo,
 * diskstats, netdev, filesystem, loadavg, stat, vmstat, pressure, uname, time, filefd, sockstat,
 * processes), plus the own control group as tocsin_cgroup_*. Meant to run each second. One thread
 * at a time.
 */
#ifndef TOC_COLLECT_HOST_H
#define TOC_COLLECT_HOST_H

#include "base/error.h"
#include "base/time.h"
#include "model/sink.h"
#include "sys/vfs.h"

struct toc_host_options {
    struct toc_vfs *vfs;  /* NULL: the system's */
    const char *root;     /* before /proc, /sys and /run; NULL or "": the machine's own. Borrowed */
    const char *job;      /* NULL: "node" */
    const char *instance; /* NULL: the host name */
};

struct toc_host; /* opaque */

struct toc_host *toc_host_new(const struct toc_host_options *o);
void toc_host_free(struct toc_host **h);
/* Reads everything and writes one batch stamped `now`. A part that cannot be read is absent and its
 * node_scrape_collector_success is 0; only the sink's failure is an error. */
int toc_host_collect(struct toc_host *h, struct toc_ts now, struct toc_sink *sink,
                     struct toc_err *err) TOC_MUST_CHECK;

#endif
