/* What a command reads: a file, or standard input by the name "-". */
#ifndef TOC_APP_READ_INPUT_H
#define TOC_APP_READ_INPUT_H

#include <stddef.h>

#include "base/buf.h"

/* Appends to out. TOC_ELIMIT beyond max_bytes; other codes as toc_vfs_read_file. */
int toc_read_input(const char *path, size_t max_bytes, struct toc_buf *out) TOC_MUST_CHECK;
/* For messages. */
const char *toc_input_name(const char *path);

#endif
