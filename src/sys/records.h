/*
 * A device that gives one whole record per read and never waits: the kernel's log (/dev/kmsg), or a
 * socket with record semantics in tests. One thread.
 */
#ifndef TOC_SYS_RECORDS_H
#define TOC_SYS_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/attrs.h"
#include "base/time.h"

struct toc_records; /* opaque */

/* 0, TOC_ENOENT, TOC_EACCES or another errno value negated. */
int toc_records_open(const char *path, struct toc_records **out) TOC_MUST_CHECK;
/* The two ends of a connection that keeps records: one to read, the descriptor of the other. */
int toc_records_pair(struct toc_records **out, int *out_fd) TOC_MUST_CHECK;
void toc_records_close(struct toc_records **r);

enum {
    TOC_RECORDS_NONE = -11, /* nothing there now */
    TOC_RECORDS_LOST = -32, /* the writer was faster: records are gone, the next read goes on */
};
/* Bytes of the next record (cut to max), 0 at the end of a connection, or a negative code. */
int64_t toc_records_read(struct toc_records *r, void *out, size_t max);
/* Writes one record to the other end of toc_records_pair. */
int toc_records_write(int fd, const void *record, size_t n) TOC_MUST_CHECK;

/* When the monotonic clock of the kernel stood at 0. */
struct toc_ts toc_boot_time(void);

#endif
