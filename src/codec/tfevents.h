/*
 * TensorBoard event files (events.out.tfevents.*), decoded from bytes without I/O.
 *
 * A file is a sequence of records:
 *
 *   u64 LE length | u32 LE masked CRC32C of those 8 bytes | data | u32 LE masked CRC32C of data
 *   18 00 00 00 00 00 00 00 | a3 7f 4b 22 | 24 bytes | …      masked: rotr(crc, 15) + 0xa282ead8
 *
 * and the data of each is a protobuf Event (tensorflow/core/util/event.proto).
 *
 * Damage. A record whose data CRC is wrong is stepped over: its length is proven. A wrong length
 * CRC proves nothing, so the decoder goes on byte by byte to the next 12 bytes that are a length
 * within the limit and its CRC (an accident every 2^32 bytes); what lies between is counted. A
 * record over the limit is stepped over unread. An unfinished record at the end is not damage, nor
 * are zeros up to the end (a file system that shows a size before the bytes): they are left to the
 * caller, who comes again with them and more.
 */
#ifndef TOC_CODEC_TFEVENTS_H
#define TOC_CODEC_TFEVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

struct toc_tfevents_limits {
    size_t max_record_bytes; /* 0: 64 MiB */
    size_t max_tag_bytes;    /* 0: 512 */
    size_t max_tags;         /* 0: 10000, tags whose plug-in is remembered */
    size_t max_buckets;      /* of a histogram, 0: 16384; one with more is malformed */
};

enum toc_tfevents_kind { TOC_TFEVENTS_SCALAR, TOC_TFEVENTS_HISTOGRAM };

struct toc_tfevents_bucket {
    double left, right, count;
};

struct toc_tfevents_histogram {
    double count, min, max, mean, std; /* mean and std are NaN when count is 0 */
    bool is_estimated;                 /* from bucket centres, as the file holds no sums */
    double sum_squares;                /* NaN when is_estimated */
    /* In ascending order; their counts may add up to less than `count`, as writers leave out what
     * is not finite. None when the file holds none. */
    const struct toc_tfevents_bucket *buckets;
    size_t bucket_count;
};

/* Borrowed for the call. Numbers are as written: they may be NaN or infinite, steps negative. */
struct toc_tfevents_value {
    double wall_time; /* seconds since 1970 */
    int64_t step;
    size_t at; /* where the record begins in the bytes of this call of decode */
    struct toc_sv tag;
    enum toc_tfevents_kind kind;
    double scalar;
    struct toc_tfevents_histogram histogram;
};

struct toc_tfevents_visitor {
    void (*on_value)(struct toc_tfevents_visitor *v, const struct toc_tfevents_value *value);
    /* May be NULL. "brain.Event:2" in files of today. */
    void (*on_file_version)(struct toc_tfevents_visitor *v, double wall_time, struct toc_sv text);
};

/* X(member, what it counts) */
#define TOC_TFEVENTS_COUNTER_TABLE(X)                                         \
    X(records, "records with correct checksums")                              \
    X(scalars, "scalars given")                                               \
    X(histograms, "histograms given")                                         \
    X(texts, "values of text, which are not given")                           \
    X(others, "values or events of other kinds, which are not given")         \
    X(bad_data_crc, "records left out because the CRC of their data differs") \
    X(bad_length_crc, "places where the CRC of a length differs")             \
    X(bytes_skipped, "bytes passed over while looking for the next record")   \
    X(records_too_long, "records left out because of their length")           \
    X(records_malformed, "records whose protobuf ends in an error")           \
    X(values_malformed, "values whose tensor, histogram or tag is malformed") \
    X(tags_forgotten, "plug-ins not remembered because there are too many tags")

struct toc_tfevents_counters {
#define X(member, what) uint64_t member;
    TOC_TFEVENTS_COUNTER_TABLE(X)
#undef X
};

struct toc_tfevents; /* opaque: what is known of one file; one thread at a time */
struct toc_tfevents *
toc_tfevents_new(const struct toc_tfevents_limits *limits); /* NULL: defaults */
void toc_tfevents_free(struct toc_tfevents **d);

/* Decodes the whole records at the start of `bytes` and returns how many bytes are done with; the
 * caller presents the rest again, with more behind it. Returns 0 for want of bytes only when fewer
 * than toc_tfevents_wanted were given. */
size_t toc_tfevents_decode(struct toc_tfevents *d, struct toc_sv bytes,
                           struct toc_tfevents_visitor *v);
/* How many bytes the next call needs at least to get on; never above max_record_bytes + 16. */
size_t toc_tfevents_wanted(const struct toc_tfevents *d);
/* Bytes of a record over the limit still to be passed over: with them 0, the sum of what decode
 * returned is an offset from which a new decoder may go on. */
uint64_t toc_tfevents_to_skip(const struct toc_tfevents *d);
struct toc_tfevents_counters toc_tfevents_counters(const struct toc_tfevents *d);

/* The plug-ins of the tags seen so far, which only the first value of a tag names: for another
 * decoder of the same run that begins behind it. TOC_ECORRUPT changes nothing. */
void toc_tfevents_save_tags(const struct toc_tfevents *d, struct toc_buf *out);
int toc_tfevents_restore_tags(struct toc_tfevents *d, struct toc_sv bytes) TOC_MUST_CHECK;

/* The checksum of the records. */
uint32_t toc_tfevents_masked_crc(struct toc_sv bytes);

#endif
