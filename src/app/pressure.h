/*
 * Looks after what the machine may run out of, once a second.
 *
 * Disk: a file of zeros (the ballast) lies in the data directory. When the disk is full it is
 * removed and the log of samples is held, so that what became free is left to the state database:
 * incidents and notifications go on. Once there is room for the ballast and as much again, it is
 * made anew and the log goes on.
 *
 * Memory: what the allocator keeps of a burst goes back to the machine after some seconds. Beyond
 * three quarters of the budget no new series are made and freed memory goes back at once; beyond
 * nine tenths writes and queries are refused until it is less.
 */
#ifndef TOC_APP_PRESSURE_H
#define TOC_APP_PRESSURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attrs.h"
#include "sys/vfs.h"

struct toc_pressure_limits {
    uint64_t ballast_bytes; /* 0: none; then the log is not held either */
    uint64_t memory_bytes;  /* 0: half of what the machine or the control group has */
};

/* What one look sees. */
struct toc_pressure_input {
    bool has_write_failed; /* with "no space left", of the log, a block or the state database */
    uint64_t free_bytes;   /* of the disk */
    uint64_t rss_bytes;
};

struct toc_pressure {
    struct toc_vfs *vfs;
    char path[640]; /* of the ballast */
    struct toc_pressure_limits limits;
    bool is_disk_full, has_ballast;
    unsigned looks;           /* since the heap was looked at last */
    uint64_t least_rss_bytes; /* since then, or then */
    bool has_risen;           /* memory in use had, at that look */
    atomic_uint shortage;     /* bits of enum toc_metricdb_shortage */
    atomic_ullong ballast_releases;
};

/* Of zeroed memory. The ballast belongs into `dir`. memory_bytes of 0 becomes the real number. */
void toc_pressure_init(struct toc_pressure *p, struct toc_vfs *vfs, const char *dir,
                       const struct toc_pressure_limits *l);
/* One look; sets p->shortage. true when it changed. */
bool toc_pressure_step(struct toc_pressure *p, const struct toc_pressure_input *in);

#endif
