/*
 * Files of a checkpoint of the head, in the folder `head`:
 *
 *   N.chunks  series and closed chunks, grown by every checkpoint of one chain
 *   N.open    one checkpoint: the open parts of all series and, last, what it stands for
 *
 *   file      header, records
 *   header    "TOCHEAD1" | u32 version | u32 number | u64 salt | u32 0 | u32 crc of the 28 bytes
 *   record    u32 0x9c71e5a2 | u8 type | u8 version 1 | u16 shard | u32 payload bytes
 *             u64 sequence | u32 crc | payload
 *   crc       of the 20 bytes before it and of the payload, begun with the file's salt
 *
 * Sequences count from 0, so that a record that is missing is noticed. Payloads, by type:
 *
 *   1 pairs   one after the other: varint pair, string name, string value
 *   2 series  one after the other: varint id, varint p, p times varint pair (p = 0: known already),
 *             then the chunks of floats, then those of histograms, each: varint number of chunks to
 *             keep, varint m, m times chunk; what the series had behind the kept ones is replaced
 *     chunk   zigzag first ms, varint last - first ms, varint samples, string bytes (chunk.h)
 *   3 open    one after the other: varint id, varint samples, string bytes (stream.h), varint
 *             samples, string bytes (histogram_track.h)
 *   4 end     varint number of the chunks file, varint bytes of it, varint series,
 *             varint log segment of the position, varint last sequence of the log, varint s,
 *             s times segment, varint offset of the position in its segment (not there in files
 *             of earlier versions: 0)
 *     segment varint number, varint bytes, zigzag first ms, zigzag last ms, u8 has deletions
 *
 * Example, the payload of type 2 of a new series 5 of pairs 0 and 3 with one chunk of two samples
 * from 1000 to 2000 whose bytes are `aa bb`, no histograms:
 *
 *   05 02 00 03 | 00 01 d0 0f e8 07 02 02 aa bb | 00 00
 */
#ifndef TOC_METRICDB_CHECKPOINT_FILE_H
#define TOC_METRICDB_CHECKPOINT_FILE_H

#include "base/buf.h"
#include "base/vec.h"
#include "metricdb/wal.h"
#include "sys/vfs.h"

enum toc_checkpoint_type {
    TOC_CHECKPOINT_PAIRS = 1,
    TOC_CHECKPOINT_SERIES,
    TOC_CHECKPOINT_OPEN,
    TOC_CHECKPOINT_END,
};
enum {
    TOC_CHECKPOINT_FILE_HEADER_BYTES = 32,
    TOC_CHECKPOINT_RECORD_HEADER_BYTES = 24,
    TOC_CHECKPOINT_TARGET_BYTES = 256 << 10, /* a record is written once it is larger */
    TOC_CHECKPOINT_PAYLOAD_MAX = 256 << 20,
};

/* --- writing --- */

struct toc_checkpoint_writer {
    struct toc_vfs *vfs;
    struct toc_file *file;
    uint64_t at, sequence;
    uint32_t salt_crc;
    int error; /* sticky */
};
/* Makes a new file with its header. */
void toc_checkpoint_create(struct toc_checkpoint_writer *w, struct toc_vfs *vfs, const char *path,
                           uint64_t number);
/* A record's payload is built in a buffer begun by this, which leaves room for the header. */
void toc_checkpoint_begin(struct toc_buf *record);
static inline bool toc_checkpoint_is_empty(const struct toc_buf *record) {
    return record->n <= TOC_CHECKPOINT_RECORD_HEADER_BYTES;
}
/* Writes the record unless it is empty, and begins the next one. */
void toc_checkpoint_put(struct toc_checkpoint_writer *w, enum toc_checkpoint_type type,
                        unsigned shard, struct toc_buf *record);

/* --- reading --- */

struct toc_checkpoint_record {
    uint64_t at, sequence; /* of the payload */
    uint32_t bytes, crc, header_crc;
    uint8_t type;
    uint16_t shard;
};
struct toc_checkpoint_reader {
    struct toc_vfs *vfs;
    struct toc_file *file;
    TOC_VEC(struct toc_checkpoint_record) records;
};
/* Opens a file and walks over the headers of its records up to `bytes`, which must be the end of
 * one (UINT64_MAX: the end of the file). TOC_ECORRUPT when something does not fit. */
int toc_checkpoint_open(struct toc_checkpoint_reader *r, struct toc_vfs *vfs, const char *path,
                        uint64_t number, uint64_t bytes) TOC_MUST_CHECK;
/* The payload of a record into `out`, checked. May run in several threads. */
int toc_checkpoint_read(const struct toc_checkpoint_reader *r,
                        const struct toc_checkpoint_record *record,
                        struct toc_buf *out) TOC_MUST_CHECK;
void toc_checkpoint_close(struct toc_checkpoint_reader *r);

/* --- what the last record says --- */

struct toc_checkpoint_end {
    uint64_t chain, chain_bytes, series;
    struct toc_wal_position position; /* what lies before it is in the checkpoint; owned */
};
void toc_checkpoint_put_end(struct toc_buf *record, const struct toc_checkpoint_end *end);
int toc_checkpoint_get_end(struct toc_sv payload, struct toc_checkpoint_end *out) TOC_MUST_CHECK;
void toc_checkpoint_fini_end(struct toc_checkpoint_end *end);

#endif
