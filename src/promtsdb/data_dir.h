/* A whole data directory of Prometheus: its blocks by time, and its log. */
#ifndef TOC_PROMTSDB_DATA_DIR_H
#define TOC_PROMTSDB_DATA_DIR_H

#include "promtsdb/block.h"
#include "promtsdb/wal.h"

struct toc_prom_data_dir {
    struct toc_vfs *vfs;
    char *path, *wal;
    char *wbl; /* the log of samples that came out of order; series are in the other one */
    struct toc_prom_block **blocks; /* by the beginning of their range */
    size_t block_count;
    int64_t head_min_ms; /* the log is asked for samples from here on: older ones are in blocks */
};

/* Opens every block; one that cannot be opened is told to `damage` and left out. TOC_ENOENT: no
 * data directory of Prometheus. */
int toc_prom_data_dir_open(struct toc_vfs *vfs, const char *path, struct toc_prom_data_dir *out,
                           void (*damage)(void *ctx, const char *path, const char *what), void *ctx,
                           struct toc_err *err) TOC_MUST_CHECK;
void toc_prom_data_dir_close(struct toc_prom_data_dir *d);

#endif
