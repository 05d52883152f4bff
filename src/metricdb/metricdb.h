/*
 * The time-series engine: samples in memory (head), a write-ahead log that makes an acknowledged
 * sample survive kill -9 and power loss, immutable checksummed blocks on disk.
 * docs/design/metricdb.md tells the formats, what each failure costs and every limit.
 *
 * All functions are thread-safe; writes, selects and maintenance run concurrently.
 */
#ifndef TOC_METRICDB_METRICDB_H
#define TOC_METRICDB_METRICDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "metricdb/start_sample.h"
#include "model/labels.h"
#include "model/querier.h"
#include "model/sink.h"
#include "sys/clock.h"
#include "sys/vfs.h"

struct toc_metricdb;

/* When is a write acknowledged? */
enum toc_durability {
    TOC_DURABILITY_GROUP, /* after an fsync that it shares with everything written meanwhile */
    TOC_DURABILITY_SYNC,  /* after an fsync of its own */
    TOC_DURABILITY_OS,    /* after write(2): survives kill -9, not power loss */
};

/* X(field, type, default, what): limits on what comes in. Each is a key of `storage` in the
 * configuration. */
#define TOC_METRICDB_INTAKE_TABLE(X)                                                     \
    X(max_series, uint64_t, 1000000, "active series in the head")                        \
    X(max_source_series, uint64_t, 500000, "active series with one value of `instance`") \
    X(max_new_series, uint64_t, 2000000, "series made within ten minutes (churn)")       \
    X(max_label_count, uint64_t, 64, "labels of a series, name included")                \
    X(max_label_name_bytes, uint64_t, 512, "bytes of a label name")                      \
    X(max_label_value_bytes, uint64_t, 4096, "bytes of a label value")                   \
    X(max_labels_bytes, uint64_t, 16384, "bytes of all names and values of a series")    \
    X(max_metadata, uint64_t, 20000, "metrics whose type and help are remembered")       \
    X(max_exemplars, uint64_t, 20000, "exemplars kept in memory")

/* Every limit with the default used for 0. */
#define TOC_METRICDB_LIMIT_TABLE(X)                                                              \
    TOC_METRICDB_INTAKE_TABLE(X)                                                                 \
    X(max_pending_samples, uint64_t, 1000000, "samples waiting for a log that fails")            \
    X(retention_ms, int64_t, 1296000000, "time covered by blocks before the oldest is deleted")  \
    X(rollup_5m_ms, int64_t, 2592000000, "the same for roll-ups of 5 minutes; negative: none")   \
    X(rollup_1h_ms, int64_t, 31536000000, "the same for roll-ups of one hour; negative: none")   \
    X(retention_bytes, uint64_t, 0, "bytes on disk before the oldest block goes; 0: no limit")   \
    X(future_tolerance_ms, int64_t, 3600000, "how far a sample may lie ahead of the clock")      \
    X(out_of_order_ms, int64_t, 600000, "how long the newest samples wait for late ones")        \
    X(scrub_interval_ms, int64_t, 604800000,                                                     \
      "from one scrub of all blocks to the next; negative: none")                                \
    X(scrub_bytes_per_s, uint64_t, 4194304, "read by scrubbing at most")                         \
    X(block_span_ms, int64_t, 7200000, "time range of a block")                                  \
    X(head_base_bytes, uint64_t, 16777216, "chunk memory of the head before it is sealed early") \
    X(head_series_bytes, uint64_t, 256, "more of it for each series")                            \
    X(index_cache_bytes, uint64_t, 33554432, "block indexes kept in memory")                     \
    X(wal_segment_bytes, uint64_t, 67108864, "size of a log segment")                            \
    X(checkpoint_samples, uint64_t, 2000000, "samples logged before the next checkpoint")

struct toc_metricdb_limits {
#define X(field, type, value, what) type field;
    TOC_METRICDB_LIMIT_TABLE(X)
#undef X
};

/* Where samples lie: as they came, or as roll-ups of 5 minutes and of one hour. */
enum toc_metricdb_store {
    TOC_METRICDB_RAW,
    TOC_METRICDB_ROLLUP_5M,
    TOC_METRICDB_ROLLUP_1H,
    TOC_METRICDB_STORE_COUNT,
};

/* Keeps some series for another time than the rest; the first rule that matches decides. */
enum { TOC_METRICDB_RETENTION_RULES_MAX = 30 };
struct toc_metricdb_retention_rule {
    const struct toc_matcher *matchers; /* copied by open */
    size_t matcher_count;
    int64_t keep_ms[TOC_METRICDB_STORE_COUNT]; /* 0: as for the rest; negative: none */
};

struct toc_metricdb_options {
    struct toc_vfs *vfs;     /* NULL: the machine's files */
    struct toc_clock *clock; /* NULL: the machine's clock */
    const char *dir;         /* made when missing */
    enum toc_durability durability;
    bool wants_starts;                 /* start timestamps become samples (start_sample.h) */
    struct toc_metricdb_limits limits; /* 0 in a field means its default */
    const struct toc_metricdb_retention_rule *retention_rules;
    size_t retention_rule_count; /* at most TOC_METRICDB_RETENTION_RULES_MAX */
};

/* X(ENUM, text): why samples were deleted by maintenance. */
#define TOC_METRICDB_EXPIRY_TABLE(X) \
    X(TIME, "time")                  \
    X(MATCHER, "matcher")            \
    X(SIZE, "size")
enum toc_metricdb_expiry {
#define X(name, text) TOC_METRICDB_EXPIRED_##name,
    TOC_METRICDB_EXPIRY_TABLE(X)
#undef X
        TOC_METRICDB_EXPIRY_COUNT,
};
const char *toc_metricdb_expiry_text(enum toc_metricdb_expiry reason);

/* Opens or makes the database: takes the lock of the directory (TOC_ELOCKED when another process
 * has it), replays the log. Damage never refuses the start: it is counted in the stats and logged.
 * A log of a newer release does (TOC_EVERSION), and stays as it is. */
int toc_metricdb_open(const struct toc_metricdb_options *options, struct toc_metricdb **out,
                      struct toc_err *err) TOC_MUST_CHECK;
/* Ends it; no call may be under way. NULL is accepted. */
void toc_metricdb_close(struct toc_metricdb **db);

/* The two faces by which everybody else reads and writes; borrowed, valid until close. A select
 * sees every sample acknowledged before it began. */
struct toc_sink *toc_metricdb_sink(struct toc_metricdb *db);
struct toc_querier *toc_metricdb_querier(struct toc_metricdb *db);
/* For what the daemon measures and computes itself: no limit on series and no shedding stops it
 * (TOC_METRICDB_OWN_SERIES beyond max_series), so that it can tell of both; while the log cannot be
 * written its samples are readable for as long as the memory lasts. */
enum { TOC_METRICDB_OWN_SERIES = 20000 };
struct toc_sink *toc_metricdb_own_sink(struct toc_metricdb *db);

/* What the machine is short of; told by whoever watches it. */
enum toc_metricdb_shortage {
    TOC_SHORT_OF_DISK = 1,    /* the log and blocks are not written: TOC_ENOSPC */
    TOC_SHORT_OF_MEMORY = 2,  /* no new series */
    TOC_NO_MEMORY_AT_ALL = 4, /* writes are answered with TOC_EBUSY: send again later */
};
void toc_metricdb_set_shortage(struct toc_metricdb *db, unsigned bits);
/* 0, or why a write would be refused as a whole now; to be asked before a message is read. */
int toc_metricdb_admits(struct toc_metricdb *db, struct toc_err *err) TOC_MUST_CHECK;
/* What was refused since start because of limits on series and labels, by source and reason. */
struct toc_overflow_row;
size_t toc_metricdb_overflow(struct toc_metricdb *db, struct toc_overflow_row *out);
/* The labels that take on new values now, the fastest first; returns how many. */
struct toc_label_growth;
size_t toc_metricdb_growth(struct toc_metricdb *db, struct toc_label_growth *out, size_t max);

/*
 * Fast path of ingestion: a caller keeps the reference next to the raw bytes of a label set and
 * skips parsing and hashing next time. 0 is never a reference. A reference stays right for as long
 * as the series lives in the head; later it is refused as unknown and the caller asks again.
 */
struct toc_metricdb_sample {
    uint64_t ref;
    int64_t t_ms;
    double value;
    const struct toc_histogram *histogram; /* NULL: a float */
    uint8_t refused;                       /* out: 0, or 1 + its enum toc_reject_reason */
};
/* The reference of a series, which is made when new. 0, or TOC_EREJECTED with the reason in
 * *out_reason. */
int toc_metricdb_series_ref(struct toc_metricdb *db, struct toc_labels labels, uint64_t *out_ref,
                            enum toc_reject_reason *out_reason) TOC_MUST_CHECK;
/* As toc_sink.write, by reference. Samples whose reference is unknown are not written: their count
 * goes to *out_unknown and their `ref` is set to 0, so that the caller can resolve and send those
 * again. */
int toc_metricdb_write_refs(struct toc_metricdb *db, struct toc_metricdb_sample *samples,
                            size_t count, struct toc_write_result *out_result, size_t *out_unknown,
                            struct toc_err *err) TOC_MUST_CHECK;
/* The same for samples that come back from a server that got them here: one that is there already
 * is accepted, but not logged again, so that whoever follows the log does not send it on once more.
 * It waits for all of the log before it; only a writer that has not handed the same sample to the
 * log yet, at this very moment, is not waited for. */
int toc_metricdb_write_echo(struct toc_metricdb *db, struct toc_metricdb_sample *samples,
                            size_t count, struct toc_write_result *out_result, size_t *out_unknown,
                            struct toc_err *err) TOC_MUST_CHECK;
/*
 * The same in two steps, for a writer that has many small batches and nobody waiting for each: what
 * was accepted counts as acknowledged once a wait for its ticket, or for a later one, has returned
 * 0. The wait writes everything handed over before it in one go. With an error the samples stay
 * readable and pending, as after a failed write.
 */
int toc_metricdb_put_refs(struct toc_metricdb *db, struct toc_metricdb_sample *samples,
                          size_t count, struct toc_write_result *out_result, size_t *out_unknown,
                          uint64_t *out_ticket, struct toc_err *err) TOC_MUST_CHECK;
int toc_metricdb_wait(struct toc_metricdb *db, uint64_t ticket, struct toc_err *err) TOC_MUST_CHECK;

/* One step of housekeeping: seals old samples into a block, deletes log segments and blocks that
 * are no longer needed, forgets series without samples. Call it about once a second; cheap when
 * there is nothing to do. */
int toc_metricdb_maintain(struct toc_metricdb *db, struct toc_err *err);
/* Has so much been logged since that a step should come at once, so that a start would not have to
 * read it? Any thread, cheap. */
bool toc_metricdb_wants_checkpoint(struct toc_metricdb *db);

/* Moves everything from memory and log to blocks, works deletions in and merges as far as can be.
 * Takes seconds per hundred million samples; writers and readers go on. TOC_EBUSY when a select
 * that runs for long keeps samples in memory. */
int toc_metricdb_compact(struct toc_metricdb *db, struct toc_err *err) TOC_MUST_CHECK;

/* Waits until everything written so far is on disk (for durability `os` and a clean stop). */
int toc_metricdb_flush(struct toc_metricdb *db, struct toc_err *err);

/* Deletes the samples in [min_ms, max_ms] of the series that match (those stored now; what is
 * written later stays). Reads that begin afterwards do not see them. Durable when it returns 0;
 * with an error some or all may be deleted. The space comes back by maintenance. */
int toc_metricdb_delete(struct toc_metricdb *db, const struct toc_select *s, uint64_t *out_series,
                        struct toc_err *err) TOC_MUST_CHECK;

/* Makes DIR/snapshots/NAME, a database of its own that shares the files of the blocks by hard
 * links; with_head: and holds what is in memory now, exemplars too. Durable when it returns 0.
 * Writers and readers go on meanwhile. */
enum { TOC_SNAPSHOT_NAME_MAX = 64 };
int toc_metricdb_snapshot(struct toc_metricdb *db, bool with_head,
                          char out_name[TOC_SNAPSHOT_NAME_MAX], struct toc_err *err) TOC_MUST_CHECK;

enum { TOC_METRICDB_LOSS_MAX = 32, TOC_METRICDB_TEXT_MAX = 256 };

/* A damaged place found while running or at start. Ranges are 0 when unknown. */
struct toc_metricdb_loss {
    char path[TOC_METRICDB_TEXT_MAX];   /* file, relative to the directory */
    char series[TOC_METRICDB_TEXT_MAX]; /* labels, "" when unknown or many */
    uint64_t offset, bytes;
    int64_t min_ms, max_ms; /* samples lost lie in here */
    uint64_t samples;       /* 0 when unknown */
};

struct toc_metricdb_stats {
    uint64_t series;         /* in the head */
    uint64_t series_created; /* since start */
    uint64_t samples_total;  /* accepted since start */
    uint64_t rejected[TOC_REJECT_REASON_COUNT];
    uint64_t
        starts[TOC_START_VERDICT_COUNT]; /* start timestamps since start, by what became of them */
    uint64_t head_samples, head_chunk_bytes;
    int64_t oldest_ms, newest_ms; /* of everything stored; newest < oldest when empty */
    uint64_t wal_bytes, wal_segments, wal_records_written, wal_fsyncs, wal_failures;
    uint64_t wal_pending_samples;  /* not durable yet */
    uint64_t wal_unlogged_samples; /* since start: in memory only while the log had no room */
    bool is_degraded;              /* the last try to write the log or a block failed */
    int degraded_code;             /* its TOC_E… */
    char degraded_text[TOC_METRICDB_TEXT_MAX];
    uint64_t blocks, block_bytes, block_samples, blocks_sealed, blocks_deleted;
    /* Deleted by retention since start, by reason: samples (of roll-ups: buckets), and the bytes of
     * whole blocks. */
    uint64_t expired_samples[TOC_METRICDB_EXPIRY_COUNT], expired_bytes[TOC_METRICDB_EXPIRY_COUNT];
    struct toc_metricdb_rollup_stats {
        uint64_t blocks, bytes, buckets;
    } rollups[2];          /* of 5 minutes, of one hour */
    uint64_t rollups_made; /* blocks of them since start */
    struct toc_metricdb_scrub_stats {
        uint64_t chunks, bytes; /* read */
        uint64_t passes;        /* over all blocks */
        uint64_t damaged;       /* chunks and files without a second copy; named in losses */
        uint64_t repaired;      /* files written anew from their second copy */
        uint64_t unreadable;    /* reads and writes that failed; tried again by the next pass */
        int64_t pass_start_ms;  /* of the pass under way, or of the last one */
    } scrub;
    uint64_t replay_records, replay_samples;
    double replay_seconds; /* of the whole start, checkpoint included */
    /* Of the head: taken since start and bytes written for them, tries that failed, files that a
     * start could not use, samples that it found in one. */
    uint64_t checkpoints, checkpoint_bytes, checkpoint_failures, checkpoints_refused;
    uint64_t checkpoint_samples;
    uint64_t corruptions; /* damaged records, chunks or indexes met since start */
    uint64_t torn_tails; /* ends of log segments cut by a crash: nothing acknowledged was in them */
    struct toc_metricdb_loss losses[TOC_METRICDB_LOSS_MAX]; /* the first ones */
    size_t loss_count;
    uint64_t selects;
};
void toc_metricdb_stats(struct toc_metricdb *db, struct toc_metricdb_stats *out);

/* A block on disk. */
struct toc_metricdb_block {
    uint64_t id;
    uint32_t replaces; /* the id of the block of which it is the rewritten form, or 0 */
    int64_t min_ms, max_ms;
    uint64_t series, samples, chunks, bytes;
};
typedef void toc_on_block(void *ctx, const struct toc_metricdb_block *b);
/* Calls fn for each block, the oldest id first. */
void toc_metricdb_each_block(struct toc_metricdb *db, toc_on_block *fn, void *ctx);

/* What is known about a metric; views are borrowed for the call. Non-zero stops. */
struct toc_metric_metadata {
    struct toc_sv metric, help, unit;
    enum toc_metric_type type;
};
typedef int toc_on_metadata(void *ctx, const struct toc_metric_metadata *m);
/* Calls fn for each metric (or the one named, when `metric` is not empty), in name order. */
int toc_metricdb_metadata(struct toc_metricdb *db, struct toc_sv metric, toc_on_metadata *fn,
                          void *ctx);

/* `tocsin db verify`: reads every log record, block index and chunk of a directory and reports what
 * is damaged. Changes nothing; may run beside the daemon. Returns 0, or the error that stopped it.
 */
struct toc_metricdb_verdict {
    uint64_t wal_segments, wal_records, checkpoints, blocks, chunks, samples;
    uint64_t rollup_blocks, buckets;
    uint64_t exemplars; /* in the file: also those that the ring has no place for any more */
    uint64_t damaged;
};
typedef void toc_on_damage(void *ctx, const struct toc_metricdb_loss *loss, const char *what);
int toc_metricdb_verify(struct toc_vfs *vfs, const char *dir, toc_on_damage *fn, void *ctx,
                        struct toc_metricdb_verdict *out, struct toc_err *err) TOC_MUST_CHECK;

#endif
