/* Bytes of the log's headers and records, written and taken apart; the layout stands in wal.h. */
#ifndef TOC_METRICDB_WAL_RECORD_H
#define TOC_METRICDB_WAL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "metricdb/wal.h"

void toc_wal_put_header(struct toc_buf *out, uint64_t number, uint64_t salt,
                        uint64_t first_sequence, int64_t created_ms);
struct toc_wal_header {
    uint64_t number, salt, first_sequence;
    int64_t created_ms;
    bool has_bad_copy;
};
/* From the first of the two copies that is whole; TOC_ECORRUPT when none is, TOC_EVERSION when a
 * newer release wrote it. */
int toc_wal_get_header(struct toc_sv bytes, struct toc_wal_header *out) TOC_MUST_CHECK;
/* Where the checksums of the records of a segment begin. */
uint32_t toc_wal_salt_crc(uint64_t salt);

struct toc_wal_record_builder {
    struct toc_buf definitions, body;
    struct toc_buf labels; /* in: encoded labels for the next define */
    uint32_t definition_count, samples;
    uint32_t last_id;
    int64_t last_ms, step_ms; /* from the entry before the last one to the last one */
    int error;                /* TOC_ENOMEM: a record was not built in full */
};
void toc_wal_record_begin(struct toc_wal_record_builder *b);
enum { TOC_WAL_RECORD_TARGET_BYTES = 32 * 1024 };
static inline bool toc_wal_record_is_full(const struct toc_wal_record_builder *b) {
    return b->definitions.n + b->body.n >= TOC_WAL_RECORD_TARGET_BYTES;
}
void toc_wal_record_define(struct toc_wal_record_builder *b, uint32_t id);
void toc_wal_record_sample(struct toc_wal_record_builder *b, uint32_t id, int64_t t_ms,
                           uint64_t bits);
void toc_wal_record_blob(struct toc_wal_record_builder *b, uint32_t id, int64_t t_ms,
                         const struct toc_wal_blob *blob);
void toc_wal_record_finish(struct toc_wal_record_builder *b, uint32_t salt_crc, uint64_t sequence,
                           struct toc_buf *out);
void toc_wal_record_release(struct toc_wal_record_builder *b);

/* A whole record at the front of bytes? Its total length, 0 when it is none, or SIZE_MAX when it
 * may be one but more bytes are needed to tell. */
size_t toc_wal_record_check(struct toc_sv bytes, uint32_t salt_crc, uint64_t *out_sequence);
/* Takes a payload apart; adds to the counts and bounds of *io. TOC_ECORRUPT and TOC_ENOMEM leave
 * what was visited before. */
int toc_wal_payload_visit(struct toc_sv payload, struct toc_arena *scratch,
                          const struct toc_wal_visitor *v,
                          struct toc_wal_summary *io) TOC_MUST_CHECK;

#endif
