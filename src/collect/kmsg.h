/*
 * The kernel's log, record by record (/dev/kmsg). A record is "priority,sequence,microseconds,
 * flags;text", then lines " KEY=value"; pieces of one line (flags c, +) are joined. What was seen
 * is remembered over restarts of the daemon by boot id and sequence; what the kernel overwrote
 * before it was read is counted. One thread at a time.
 */
#ifndef TOC_COLLECT_KMSG_H
#define TOC_COLLECT_KMSG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/time.h"
#include "sys/vfs.h"

/* Borrowed for the call. */
struct toc_kmsg_record {
    uint64_t sequence;
    int priority, facility; /* 0–7 and syslog's facility; 0 = the kernel itself */
    struct toc_ts at;
    struct toc_sv text;   /* escapes undone, without line ending */
    struct toc_sv device; /* DEVICE=, "" = none: "+pci:0000:3b:00.0" */
};
typedef void toc_kmsg_fn(void *ctx, const struct toc_kmsg_record *record);

/* TOC_EPARSE for what is none. The text is written to `room`, which the record borrows from.
 * `*out_usec`: since boot; *out_flag: '-', 'c' or '+'. */
int toc_kmsg_parse(struct toc_sv bytes, struct toc_kmsg_record *out, uint64_t *out_usec,
                   char *out_flag, struct toc_buf *room) TOC_MUST_CHECK;

struct toc_kmsg_options {
    const char *path;         /* NULL: /dev/kmsg */
    struct toc_vfs *vfs;      /* for the boot id; NULL: the system's */
    const char *boot_id_path; /* NULL: /proc/sys/kernel/random/boot_id */
    int64_t past_ms; /* at the very first start history is passed over but for the last of it */
    toc_kmsg_fn *fn;
    void *ctx;
    /* Tests: instead of the device. Results as of toc_records_read. */
    int64_t (*read)(void *ctx, void *out, size_t max);
    void *read_ctx;
};

enum { TOC_KMSG_RECORD_BYTES_MAX = 16384, TOC_KMSG_RECORDS_PER_POLL = 20000 };

struct toc_kmsg; /* opaque */
struct toc_kmsg *toc_kmsg_new(const struct toc_kmsg_options *o);
void toc_kmsg_free(struct toc_kmsg **k);
/* Reads what is there, at most TOC_KMSG_RECORDS_PER_POLL records. `boot`: when the kernel's clock
 * stood at 0. */
void toc_kmsg_poll(struct toc_kmsg *k, struct toc_ts now, struct toc_ts boot);

struct toc_kmsg_counters {
    uint64_t records, skipped; /* skipped: seen before, or too old at the first start */
    uint64_t lost;             /* overwritten before they were read */
    uint64_t overruns, malformed;
    bool is_blind; /* the device cannot be read: problem says why */
    char problem[200];
};
struct toc_kmsg_counters toc_kmsg_counters(const struct toc_kmsg *k);

/* Boot id and sequence as bytes, and back before the first poll (TOC_ECORRUPT changes nothing). */
void toc_kmsg_save(const struct toc_kmsg *k, struct toc_buf *out);
int toc_kmsg_restore(struct toc_kmsg *k, struct toc_sv bytes) TOC_MUST_CHECK;

#endif
