/*
 * The file of a run of Weights & Biases (run-ID.wandb): records in the framing of LevelDB's log,
 * behind a header of 7 bytes. Bytes in, whole records out, without files; a growing file is read
 * on where it ended.
 *
 *   header  3a 57 26 42 | e1 be | 00        ":W&B", magic 0xBEE1, version
 *   chunk   crc32 (4) | length (2) | type (1) | data      little-endian, within blocks of 32 KiB
 *   type    1 full · 2 first · 3 middle · 4 last
 *
 * The checksum is CRC-32 (IEEE, as zlib's) of type and data, not LevelDB's masked CRC-32C. The
 * header counts in the first block. Less than 7 bytes at the end of a block are filling. A chunk
 * whose checksum or length is wrong costs the rest of its block: nothing within can be believed.
 */
#ifndef TOC_CODEC_WANDB_LOG_H
#define TOC_CODEC_WANDB_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

enum {
    TOC_WANDB_HEADER_BYTES = 7,
    TOC_WANDB_CHUNK_HEADER_BYTES = 7,
    TOC_WANDB_BLOCK_BYTES = 32 << 10,
    TOC_WANDB_RECORD_BYTES_MAX = 32 << 20,
};

/* X(member, what it counts) */
#define TOC_WANDB_LOG_COUNTERS(X)                                       \
    X(records, "whole records")                                         \
    X(bad_crc, "chunks whose checksum is wrong")                        \
    X(bad_chunks, "chunks of no known type or longer than their block") \
    X(torn, "records without their beginning or their end")             \
    X(too_long, "records of more than 32 MiB")                          \
    X(bytes_skipped, "bytes passed over behind damage")

struct toc_wandb_log_counters {
#define X(member, what) uint64_t member;
    TOC_WANDB_LOG_COUNTERS(X)
#undef X
};

/* Zero, with `at` where to begin. */
struct toc_wandb_log {
    uint64_t at;        /* of the next byte to be pushed, from the start of the file */
    uint64_t record_at; /* where the record under way began; `at` when none is */
    struct toc_buf record;
    bool is_open;     /* a record is under way */
    bool is_too_long; /* and is not kept */
    struct toc_wandb_log_counters counters;
};
void toc_wandb_log_fini(struct toc_wandb_log *l);

/* The bytes at the start of a file: TOC_EPARSE when they are no such file, TOC_EVERSION when the
 * version is not known, TOC_ETRUNCATED when there are too few. */
int toc_wandb_log_check_header(struct toc_sv start) TOC_MUST_CHECK;

/* Takes whole chunks at the start of `bytes` (those at l->at, from the header on) and calls fn for
 * each record that ends there. Returns how many bytes are done with; the rest is presented again
 * with more behind it. */
size_t toc_wandb_log_push(struct toc_wandb_log *l, struct toc_sv bytes,
                          void (*fn)(void *ctx, struct toc_sv record), void *ctx);

/* For writers in tests: CRC-32 of type and data. */
uint32_t toc_wandb_crc(uint8_t type, struct toc_sv data);

#endif
