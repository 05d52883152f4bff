/*
 * Many logs, and parts of long ones, searched side by side for lines of known errors. What is found
 * is the same for any number of threads: parts end with lines, and what they show is put together
 * in the order of files and lines.
 */
#ifndef TOC_APP_DOCTOR_LOG_PARTS_H
#define TOC_APP_DOCTOR_LOG_PARTS_H

#include "app/doctor_log_hits.h"
#include "base/executor.h"

/* on_failed hears, in the order of the files, of each that could not be read. x NULL: one thread.
 */
void toc_log_hits_read_all(struct toc_log_hits *h, const struct toc_log_hits_file *files,
                           size_t count, struct toc_executor *x,
                           void (*on_failed)(void *ctx, size_t file, const char *why), void *ctx);

#endif
