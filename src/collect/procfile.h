/* Small kernel text files (/proc, /sys) that are read again and again: handles stay open, one
 * buffer is reused. One thread at a time. */
#ifndef TOC_COLLECT_PROCFILE_H
#define TOC_COLLECT_PROCFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/sv.h"
#include "sys/vfs.h"

/* Reads files below a root ("" = the machine's own). */
struct toc_procfs {
    struct toc_vfs *vfs;
    const char *root;    /* borrowed */
    struct toc_map open; /* path → struct toc_file */
    struct toc_buf text; /* content of the file last read */
};

void toc_procfs_init(struct toc_procfs *p, struct toc_vfs *vfs, const char *root);
void toc_procfs_fini(struct toc_procfs *p);
/* Content of `path`, valid until the next read; at most 4 MiB. TOC_ENOENT when it is not there.
 * The handle is kept for the next time: for files that are read each cycle. */
int toc_procfs_read(struct toc_procfs *p, const char *path, struct toc_sv *out) TOC_MUST_CHECK;
/* The same without keeping the handle, for files of processes and devices that come and go. */
int toc_procfs_read_once(struct toc_procfs *p, const char *path, struct toc_sv *out) TOC_MUST_CHECK;
/* Names in a folder below the root. */
int toc_procfs_list(struct toc_procfs *p, const char *path, int (*fn)(void *ctx, const char *name),
                    void *ctx) TOC_MUST_CHECK;

/* The next line without its newline; false at the end. */
bool toc_text_line(struct toc_sv *rest, struct toc_sv *out_line);
/* The next word between blanks (space, tab); false at the end. */
bool toc_text_word(struct toc_sv *rest, struct toc_sv *out_word);
/* The next word as a decimal number; false (and *out untouched) when there is none. */
bool toc_text_number(struct toc_sv *rest, double *out);

#endif
