/*
 * Follows log files named by patterns (*, ? and {fields} within parts of a path, folders too) and
 * hands over what is appended. A file that became shorter is read from its start; a rotated one is
 * read to its end under its inode, then the new one from its start. What was read is remembered
 * over restarts. One thread at a time.
 */
#ifndef TOC_COLLECT_LOG_TAIL_H
#define TOC_COLLECT_LOG_TAIL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/time.h"
#include "sys/vfs.h"

struct toc_log_tail_options {
    struct toc_vfs *vfs;         /* NULL: the system's */
    const char *const *patterns; /* borrowed */
    size_t pattern_count;
    size_t max_files;      /* 0: 4096 */
    int64_t look_every_ms; /* for new files; 0: 5 s */
    /* A file is followed from now on: `*out_file` is handed to the others. `pattern`: its index. */
    void (*on_open)(void *ctx, const char *path, size_t pattern, void **out_file);
    void (*on_bytes)(void *ctx, void *file, struct toc_sv bytes);
    /* Its beginning comes again: what was begun is over. */
    void (*on_restart)(void *ctx, void *file);
    void (*on_close)(void *ctx, void *file);
    void *ctx;
};

enum {
    TOC_LOG_TAIL_FILE_BYTES_PER_POLL = 4 << 20,
    TOC_LOG_TAIL_BYTES_PER_POLL = 64 << 20,
};

struct toc_log_tail; /* opaque */
struct toc_log_tail *toc_log_tail_new(const struct toc_log_tail_options *o);
void toc_log_tail_free(struct toc_log_tail **t);
/* Looks for new files and new bytes. Files that are there at the very first poll, without a stored
 * place, are followed from their end; those that appear later from their beginning. */
void toc_log_tail_poll(struct toc_log_tail *t, struct toc_ts now);

struct toc_log_tail_counters {
    uint64_t files, bytes, rotations, truncations;
    uint64_t files_over_limit; /* at the last look */
    uint64_t unreadable;       /* opens and reads that failed */
    uint64_t behind_bytes;     /* not read yet */
    char last_error[256];
};
struct toc_log_tail_counters toc_log_tail_counters(const struct toc_log_tail *t);

/* Places as bytes, and back before the first poll (TOC_ECORRUPT changes nothing). */
void toc_log_tail_save(const struct toc_log_tail *t, struct toc_buf *out);
int toc_log_tail_restore(struct toc_log_tail *t, struct toc_sv bytes) TOC_MUST_CHECK;

#endif
