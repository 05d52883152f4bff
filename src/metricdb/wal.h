/*
 * Write-ahead log. A folder of segments `NNNNNNNNNN.wal`, each readable by itself:
 *
 *   segment   two copies of a 64-byte header, then records
 *   header    "TOCWAL01" | u32 version | u32 number | u64 salt | u64 first sequence |
 *             i64 created ms | 20 zero bytes | u32 crc of the first 60 bytes
 *   record    u32 0x4352a1f5 | u8 type 1 | u8 version | u16 0 | u32 payload bytes |
 *             u64 sequence | u32 crc of the 20 bytes before and the payload, begun with the
 *             segment's salt | payload
 *   payload   varint n, n definitions (varint id, labels) | varint m, m samples
 *   sample    tag byte, zigzag id - last id, [zigzag t - last t unless 0x80], value bytes;
 *             with tag bit 0x40 neither id nor t: the series of the entry before again, as much
 *             later as that was than the one before it
 *   tag       low bits 0…8: zig-zag integer of that many bytes; 9…16: top n-8 bytes of the double;
 *             17: a histogram (string, histogram_code.h); 18: not a sample: everything of the
 *             series from t - varint to t that was logged before is deleted
 *   version   2; 1, from before tag bit 0x40, is read, too. A segment of a later one is no damage:
 *             who meets it refuses to go on (TOC_EVERSION), for it may hold anything
 *
 * Ids mean something within one segment only. A series is defined by the first two records that use
 * it in a segment, so that any one damaged record costs the samples in it and nothing else. Whoever
 * begins in the middle of a segment knows the series from a checkpoint, whose ids are the same. The
 * salt keeps label bytes that look like a record from being taken for one after damage.
 *
 * Group commit: writers put their samples into a pending list; one of them becomes the leader,
 * writes and syncs everything pending, the others wait. Samples stay pending until they are
 * durable, so after a failed write or fsync the file is given up (an fsync is never retried) and
 * they go to a new segment.
 */
#ifndef TOC_METRICDB_WAL_H
#define TOC_METRICDB_WAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/vec.h"
#include "metricdb/match.h"
#include "metricdb/metricdb.h"
#include "sys/thread.h"
#include "sys/vfs.h"

enum {
    TOC_WAL_HEADER_BYTES = 64,
    TOC_WAL_RECORD_HEADER_BYTES = 24,
    TOC_WAL_PAYLOAD_MAX = 192 * 1024,
    TOC_WAL_ID_MAX = 1 << 24,
};
#define TOC_WAL_RECORD_MAGIC 0x4352a1f5u
#define TOC_WAL_SEGMENT_MAGIC "TOCWAL01"

/* What does not fit an entry: a histogram, or a deletion of [t - span, t]. */
enum toc_wal_kind { TOC_WAL_HISTOGRAM, TOC_WAL_DELETION };
struct toc_wal_blob {
    enum toc_wal_kind kind;
    uint64_t span_ms;
    size_t n;
    char bytes[];
};
struct toc_wal_blob *toc_wal_histogram_blob(struct toc_sv bytes);
struct toc_wal_blob *toc_wal_deletion_blob(uint64_t span_ms);

/* With this bit in `ref` an entry is no float: `bits` is the address of a blob, which the log takes
 * over. No generation gets that far. */
#define TOC_WAL_IS_BLOB (1ULL << 63)

struct toc_wal_entry {
    uint64_t ref; /* of the head; its low half is the id in the segment */
    int64_t t_ms;
    uint64_t bits;
};
static inline struct toc_wal_entry toc_wal_blob_entry(uint64_t ref, int64_t t_ms,
                                                      struct toc_wal_blob *take_blob) {
    return (struct toc_wal_entry){ref | TOC_WAL_IS_BLOB, t_ms, (uint64_t)(uintptr_t)take_blob};
}
static inline struct toc_wal_blob *toc_wal_entry_blob(const struct toc_wal_entry *e) {
    return e->ref & TOC_WAL_IS_BLOB ? (struct toc_wal_blob *)(uintptr_t)e->bits : NULL;
}

/* Labels of a live series into out (toc_labels_encode); false when the reference is unknown, which
 * means that its samples are in a block. Called without locks held. */
typedef bool toc_wal_labels(void *ctx, uint64_t ref, struct toc_buf *out);

struct toc_wal_options {
    struct toc_vfs *vfs;
    struct toc_clock *clock;
    const char *dir;
    const char *held_dir; /* while it is there, segments that are dropped go into it; may be NULL */
    enum toc_durability durability;
    uint64_t segment_bytes, max_pending;
    toc_wal_labels *labels;
    void *ctx;
};

struct toc_wal_segment {
    uint64_t number;
    uint64_t bytes;
    int64_t min_ms, max_ms; /* of its samples and deletions; min > max when it has none */
    bool has_deletions;     /* kept until every older segment is gone */
};

struct toc_wal;
/* `segments` are those found at start (kept for deletion); the next gets next_number. Opens no
 * file. */
void toc_wal_new(const struct toc_wal_options *o, const struct toc_wal_segment *segments,
                 size_t count, uint64_t next_number, uint64_t next_sequence, struct toc_wal **out);
void toc_wal_free(struct toc_wal **w);
/* 0, or why a write would not be accepted now: too much waits for a log that cannot be written. */
int toc_wal_admits(struct toc_wal *w, struct toc_err *err) TOC_MUST_CHECK;
/* Logs the samples, returns once they are durable as configured. Blobs are taken over in every
 * case. */
int toc_wal_write(struct toc_wal *w, const struct toc_wal_entry *entries, size_t count,
                  struct toc_err *err) TOC_MUST_CHECK;
/* The same, taking over the array (toc_alloc). */
int toc_wal_write_take(struct toc_wal *w, struct toc_wal_entry *take_entries, size_t count,
                       struct toc_err *err) TOC_MUST_CHECK;
/* The same in two steps: hands over, then waits for everything up to a ticket. What nobody waits
 * for is written with what comes next, or by toc_wal_flush. */
uint64_t toc_wal_push_take(struct toc_wal *w, struct toc_wal_entry *take_entries, size_t count);
int toc_wal_wait(struct toc_wal *w, uint64_t ticket, struct toc_err *err) TOC_MUST_CHECK;
/* As push, for writers whose samples nobody sends again: when too much waits already they are left
 * out, which is an error, and the log asks to be written anew from the head (is_in_doubt) once it
 * works. */
int toc_wal_push_own(struct toc_wal *w, struct toc_wal_entry *take_entries, size_t count,
                     uint64_t *out_ticket, struct toc_err *err) TOC_MUST_CHECK;
/* While held nothing is written; every write is answered with TOC_ENOSPC. */
void toc_wal_hold(struct toc_wal *w, bool is_held);
/* Writes and syncs everything that was handed over. With durability `os` an fsync that fails leaves
 * what was acknowledged since the last one in doubt: flush says so until it was logged again and
 * settled. */
int toc_wal_flush(struct toc_wal *w, struct toc_err *err) TOC_MUST_CHECK;
bool toc_wal_is_in_doubt(struct toc_wal *w);
/* As flush, when everything in doubt was logged again. */
int toc_wal_settle(struct toc_wal *w, struct toc_err *err) TOC_MUST_CHECK;
/* What follows goes to a new segment, whose number is returned. */
uint64_t toc_wal_rotate(struct toc_wal *w);
/* The same if the segment that is written has nothing behind boundary_ms, so that it can go; else
 * that one goes on, and its number is returned. */
uint64_t toc_wal_rotate_old(struct toc_wal *w, int64_t boundary_ms);
/* Where the log ends now: what is logged from here on lies behind it. A segment that is not there
 * yet begins at offset 0. */
struct toc_wal_position {
    uint64_t segment, offset;
    uint64_t last_sequence;           /* before it */
    struct toc_wal_segment *segments; /* those before, and the one it lies in; to be freed */
    size_t segment_count;
};
void toc_wal_position(struct toc_wal *w, struct toc_wal_position *out);
/* What is handed over from now on defines the series of this id again, or is left out when there is
 * none any more. Waits for no write, so it may be called under the lock of a shard. */
void toc_wal_undefine(struct toc_wal *w, uint32_t id);
/* Deletes segments below `number` whose samples are all at or before boundary_ms. */
int toc_wal_drop(struct toc_wal *w, uint64_t number, int64_t boundary_ms) TOC_MUST_CHECK;
/* Deletes segments below `number`, whatever they hold: it was logged again or is in blocks. */
int toc_wal_drop_before(struct toc_wal *w, uint64_t number) TOC_MUST_CHECK;
/* Number of the oldest segment that the next start may find; UINT64_MAX when there is none. */
uint64_t toc_wal_oldest(struct toc_wal *w);
/* The oldest segment with this number or a later one; false when there is none. */
struct toc_wal_extent {
    uint64_t number, bytes; /* what may be read of it */
    bool is_last;           /* more may be written to it */
};
bool toc_wal_find(struct toc_wal *w, uint64_t number, struct toc_wal_extent *out);
/* No segment so far has this number or a later one. */
uint64_t toc_wal_next_number(struct toc_wal *w);
/* Entries ever written, and their bytes without headers and definitions of series. Any thread. */
uint64_t toc_wal_written_samples(const struct toc_wal *w);
uint64_t toc_wal_written_bytes(const struct toc_wal *w);
/* Fills the wal_* members and the degraded state. */
void toc_wal_stats(struct toc_wal *w, struct toc_metricdb_stats *out);

/* --- reading (wal_read.c) --- */

struct toc_wal_visitor {
    void *ctx;
    /* Labels are borrowed. */
    void (*series)(void *ctx, uint32_t id, struct toc_labels labels);
    void (*sample)(void *ctx, uint32_t id, int64_t t_ms, double value);
    void (*histogram)(void *ctx, uint32_t id, int64_t t_ms, struct toc_sv bytes);
    void (*deletion)(void *ctx, uint32_t id, int64_t min_ms, int64_t max_ms);
    /* `bytes` at `offset` are no record. At the end of the segment it is a torn write unless the
     * next segment's first sequence tells that something acknowledged was there. [min_ms, max_ms]:
     * times of the records around it. */
    void (*damage)(void *ctx, uint64_t offset, uint64_t bytes, bool is_tail, int64_t min_ms,
                   int64_t max_ms);
};
struct toc_wal_summary {
    uint64_t number, first_sequence, last_sequence; /* last 0 when there is no record */
    uint64_t records, samples, deletions;
    uint64_t bytes;
    int64_t min_ms, max_ms, created_ms;
    bool has_bad_header; /* one of the two copies */
};
/* Was this segment's header still being written when the crash came? Then nothing is in it. */
static inline bool toc_wal_is_unborn(int rc, const struct toc_wal_summary *sum) {
    return rc == TOC_ECORRUPT && sum->bytes <= 2 * (uint64_t)TOC_WAL_HEADER_BYTES;
}
/* Reads a segment from front to end. 0 also when damaged; an error means that the file cannot be
 * read, is no segment at all (TOC_ECORRUPT) or one of a newer release (TOC_EVERSION). */
int toc_wal_read(struct toc_vfs *vfs, const char *path, const struct toc_wal_visitor *v,
                 struct toc_wal_summary *out) TOC_MUST_CHECK;
/* The same record by record, also while the segment is being written. */
struct toc_wal_reader;
int toc_wal_reader_open(struct toc_vfs *vfs, const char *path, const struct toc_wal_visitor *v,
                        struct toc_wal_reader **out,
                        struct toc_wal_summary *out_summary) TOC_MUST_CHECK;
void toc_wal_reader_close(struct toc_wal_reader **r);
/* What comes next lies at `offset`, where a record begins. */
void toc_wal_reader_seek(struct toc_wal_reader *r, uint64_t offset);
/* Takes one record that ends at or before the offset `limit`; *out_took false: there is none now.
 * is_final: nothing will follow, what is left is damage. */
int toc_wal_reader_next(struct toc_wal_reader *r, uint64_t limit, bool is_final,
                        bool *out_took) TOC_MUST_CHECK;
/* Nothing follows: what is left is told as a torn end. */
void toc_wal_reader_finish(struct toc_wal_reader *r);
/* Of what was taken so far. */
struct toc_wal_summary toc_wal_reader_summary(const struct toc_wal_reader *r);
uint64_t toc_wal_reader_offset(const struct toc_wal_reader *r);
uint64_t toc_wal_reader_salt(const struct toc_wal_reader *r);
/* Tells people of a segment of a newer release, and returns TOC_EVERSION. */
int toc_wal_refuse_newer(const char *dir, uint64_t number, struct toc_err *err);
/* Numbers of the segments in a folder, sorted; none when the folder is missing. */
int toc_wal_list(struct toc_vfs *vfs, const char *dir, uint64_t **out_numbers,
                 size_t *out_count) TOC_MUST_CHECK;
void toc_wal_path(const char *dir, uint64_t number, char *out, size_t out_size);

#endif
