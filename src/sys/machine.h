/* What the kernel says about this machine beyond files: names, time zone, file systems. Any
 * thread. */
#ifndef TOC_SYS_MACHINE_H
#define TOC_SYS_MACHINE_H

#include <stdint.h>

#include "base/attrs.h"
#include "base/error.h"

/* uname(2); NUL-terminated. */
struct toc_uname {
    char sysname[65], release[65], version[65], machine[65], nodename[65], domainname[65];
};
int toc_uname(struct toc_uname *out) TOC_MUST_CHECK;

/* statfs(2) of the file system at path. A dead network mount blocks the caller: call such paths
 * from a thread that may wait. */
struct toc_fs_stat {
    uint64_t size_bytes, free_bytes, avail_bytes, files, files_free;
};
int toc_fs_stat(const char *path, struct toc_fs_stat *out) TOC_MUST_CHECK;

/* Abbreviation and offset from UTC of the local time zone at a time. */
struct toc_time_zone {
    char name[32];
    int64_t offset_s;
};
void toc_local_time_zone(int64_t unix_s, struct toc_time_zone *out);

int64_t toc_page_size_bytes(void);
/* Memory that this process may have: of its control group (version 2 or 1), else of the machine; 0
 * when unknown. */
uint64_t toc_machine_memory_bytes(void);

#endif
