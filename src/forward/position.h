/*
 * The file in which a remote's position in the log is kept, replaced as a whole and synced.
 *
 *   "TOCFWD01" | u64 segment | u64 salt | u64 offset | u64 sequence | string key | u32 crc32c
 *
 * Integers are little-endian, the string has a varint length, the checksum covers all before.
 * Example: segment 3, salt 0x1122334455667788, offset 128, sequence 41, key "a":
 *
 *   54 4f 43 46 57 44 30 31  03 00 00 00 00 00 00 00  88 77 66 55 44 33 22 11
 *   80 00 00 00 00 00 00 00  29 00 00 00 00 00 00 00  01 61  f3 0e 2f 7e
 */
#ifndef TOC_FORWARD_POSITION_H
#define TOC_FORWARD_POSITION_H

#include "metricdb/follow.h"

void toc_forward_position_encode(const struct toc_log_position *p, struct toc_sv key,
                                 struct toc_buf *out);
/* TOC_ECORRUPT: not such a file, or one of another key. */
int toc_forward_position_decode(struct toc_sv bytes, struct toc_sv key,
                                struct toc_log_position *out) TOC_MUST_CHECK;

/* DIR/<hash of the key>.pos */
enum { TOC_FORWARD_PATH_MAX = 4096 };
void toc_forward_position_path(const char *dir, struct toc_sv key, char out[TOC_FORWARD_PATH_MAX]);
/* TOC_ENOENT: there is none. */
int toc_forward_position_load(struct toc_vfs *vfs, const char *dir, struct toc_sv key,
                              struct toc_log_position *out) TOC_MUST_CHECK;
int toc_forward_position_save(struct toc_vfs *vfs, const char *dir, struct toc_sv key,
                              const struct toc_log_position *p) TOC_MUST_CHECK;
/* Removes the positions of remotes other than these; they are not configured any more. */
int toc_forward_position_sweep(struct toc_vfs *vfs, const char *dir, const struct toc_sv *keys,
                               size_t count) TOC_MUST_CHECK;

#endif
