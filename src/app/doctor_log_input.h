/*
 * Logs as files give them: plain, gzip or zstd (by their first bytes), UTF-8 with or without mark,
 * UTF-16 with a mark; "-" is standard input. Handed over in pieces, in memory that does not grow
 * with the file unless it is compressed.
 */
#ifndef TOC_APP_DOCTOR_LOG_INPUT_H
#define TOC_APP_DOCTOR_LOG_INPUT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/sv.h"
#include "base/time.h"

/* A compressed file may become as large as this. */
#define TOC_DOCTOR_LOG_UNPACKED_MAX_BYTES ((size_t)1 << 30)

typedef void toc_log_piece_fn(void *ctx, struct toc_sv bytes);

int toc_doctor_log_read(const char *path, toc_log_piece_fn *fn, void *ctx,
                        struct toc_err *err) TOC_MUST_CHECK;
/* A file that may be read from any place: neither packed nor UTF-16. */
bool toc_doctor_log_is_plain(const char *path);
/* When the file was last written; now for standard input and what cannot be asked. */
struct toc_ts toc_doctor_log_mtime(const char *path);

#endif
