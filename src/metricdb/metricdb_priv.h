/* The database object, shared by the files of this folder. */
#ifndef TOC_METRICDB_METRICDB_PRIV_H
#define TOC_METRICDB_METRICDB_PRIV_H

#include <stdatomic.h>

#include "base/map.h"
#include "metricdb/admission.h"
#include "metricdb/block.h"
#include "metricdb/checkpoint.h"
#include "metricdb/exemplar_log.h"
#include "metricdb/exemplar_priv.h"
#include "metricdb/head.h"
#include "metricdb/metricdb.h"
#include "metricdb/scrub.h"
#include "metricdb/start_sample.h"
#include "metricdb/wal.h"

struct toc_metadata_row {
    char *metric, *help, *unit;
    enum toc_metric_type type;
};

struct toc_seal; /* a block in the making */

/* An owned rule of retention. */
struct toc_retention_rule {
    struct toc_matcher *matchers;
    size_t matcher_count;
    int64_t keep_ms[TOC_METRICDB_STORE_COUNT];
};

/* A stretch of which nothing is left to be rolled up of what was written before block `id`. */
struct toc_empty_stretch {
    int64_t start_ms;
    uint64_t id;
    int store;
};

/* When a window of the past got a sample last. */
enum { TOC_LATE_WINDOWS = 64 };
struct toc_late_window {
    _Atomic int64_t start_ms, touched_ns;
};

struct toc_metricdb {
    struct toc_sink sink, own_sink;
    struct toc_querier querier;
    struct toc_vfs *vfs;
    struct toc_clock *clock;
    char *dir, *wal_dir, *block_dir;
    char *held_dir; /* log segments that only followers still need; there while somebody follows */
    struct toc_metricdb_limits limits;
    /* The last one has no matchers: it is for the rest. */
    struct toc_retention_rule *rules;
    size_t rule_count;
    enum toc_durability durability;
    bool wants_starts;
    struct toc_lock *lock;

    struct toc_head head;
    struct toc_admission admission;
    struct toc_wal *wal;
    struct toc_blocks blocks;     /* raw samples */
    struct toc_blocks rollups[2]; /* of 5 minutes, of one hour */
    struct toc_exemplars exemplars;
    struct toc_exemplar_log exemplar_log;
    /* Samples at or before it are in blocks; INT64_MIN before the first block. */
    _Atomic int64_t sealed_ms;

    /* What a start could not read for now; the next one tries again, and nothing may be done
     * meanwhile that it would undo or hide. Set at start only. */
    unsigned unopened_blocks;
    uint64_t first_unread; /* number of the first such log segment; UINT64_MAX: none */

    struct toc_late_window late_windows[TOC_LATE_WINDOWS]; /* by window modulo their number */

    /* One maintenance step at a time; guards what is below. */
    struct toc_mutex maintain_mutex;
    struct toc_checkpoints checkpoints;
    struct toc_seal *untrimmed; /* a listed block whose samples are still in the head */
    struct toc_ids dead_series;
    bool has_deleted; /* from the head, since series without samples were last forgotten */
    uint64_t next_block;
    int64_t next_try_mono_ns; /* after a failed step */
    int64_t next_merge_ns, next_retention_ns;
    int64_t next_look_ns; /* for windows to seal, after all were found busy */
    int failed_code;      /* of the last step */
    struct toc_scrub scrub;
    /* The stretch of which retention wants to delete raw samples. */
    bool has_wanted_stretch;
    int64_t wanted_stretch_ms, next_rollup_ns;
    TOC_VEC(struct toc_empty_stretch) empty_stretches;

    atomic_uint_fast64_t samples_total, selects, blocks_sealed, blocks_deleted, rollups_made;
    atomic_uint_fast64_t rejected[TOC_REJECT_REASON_COUNT];
    atomic_uint_fast64_t starts[TOC_START_VERDICT_COUNT];
    atomic_uint_fast64_t expired_samples[TOC_METRICDB_EXPIRY_COUNT],
        expired_bytes[TOC_METRICDB_EXPIRY_COUNT];
    atomic_uint shortage;     /* bits of enum toc_metricdb_shortage */
    atomic_int degraded_code; /* of sealing; the log keeps its own */
    double replay_seconds;
    uint64_t replay_records, replay_samples;

    /* Under notes_mutex. */
    struct toc_mutex notes_mutex;
    uint64_t corruptions, torn_tails;
    struct toc_metricdb_loss losses[TOC_METRICDB_LOSS_MAX];
    size_t loss_count;
    struct toc_map metadata; /* of struct toc_metadata_row */
    bool metadata_changed;
};

/* Path relative to the database when it lies in it. Counts and logs the loss. */
void toc_metricdb_note_loss(struct toc_metricdb *db, const struct toc_metricdb_loss *loss);
/* A chunk of a block that cannot be read; however many meet it, it is told once. Labels without
 * any: not known. */
void toc_metricdb_note_chunk(struct toc_metricdb *db, const struct toc_block *b,
                             struct toc_labels labels, const struct toc_block_chunk *c);
static inline struct toc_blocks *toc_metricdb_store(struct toc_metricdb *db, int store) {
    return store == TOC_METRICDB_RAW ? &db->blocks : &db->rollups[store - 1];
}
/* Name of the folder of a store, and its path. */
const char *toc_metricdb_store_dir(int store);
void toc_metricdb_store_path(const struct toc_metricdb *db, int store, char *out, size_t out_size);
/* Newest sample of head and blocks; INT64_MIN when empty. */
int64_t toc_metricdb_newest_ms(struct toc_metricdb *db);

/* db_sink.c, db_select.c: fill the function tables. */
void toc_metricdb_init_sink(struct toc_metricdb *db);
void toc_metricdb_init_querier(struct toc_metricdb *db);
/* db_labels.c: of the querier. */
int toc_metricdb_label_names(struct toc_querier *q, const struct toc_select *s, toc_on_string *fn,
                             void *ctx, struct toc_err *err);
int toc_metricdb_label_values(struct toc_querier *q, struct toc_sv name, const struct toc_select *s,
                              toc_on_string *fn, void *ctx, struct toc_err *err);
/* db_replay.c: reads the log into the head and makes db->wal. */
int toc_metricdb_replay(struct toc_metricdb *db, struct toc_err *err) TOC_MUST_CHECK;
/*
 * db_late.c: samples at or before sealed_ms are compared with the blocks. One object per batch,
 * zeroed at first; it remembers where the series at hand lies, so that many samples of one series
 * in a row cost one look-up.
 */
struct toc_late_block;
struct toc_late {
    struct toc_late_block *blocks;
    size_t count;
    bool is_open;
    uint64_t key; /* of the series at hand, any number that tells it from its neighbours */
    struct toc_series_buffer buffer;
};
/* Is there a sample at t_ms? `encoded` is a histogram's bytes, empty for a float. */
enum toc_append toc_late_check(struct toc_metricdb *db, struct toc_late *late, uint64_t key,
                               struct toc_labels labels, int64_t t_ms, double value,
                               struct toc_sv encoded);
void toc_late_fini(struct toc_late *late);

/* Is there something on disk that this start could not read for now? */
static inline bool toc_metricdb_is_partial(const struct toc_metricdb *db) {
    return db->unopened_blocks || db->first_unread != UINT64_MAX;
}
/* Then TOC_EBUSY, and why something cannot be done ("deleted for good", "copied in full"). */
int toc_metricdb_need_whole(const struct toc_metricdb *db, const char *what,
                            struct toc_err *err) TOC_MUST_CHECK;

/* db_seal.c */
/* A sample of the past was accepted: more of them may follow. Returns where its window begins. */
int64_t toc_metricdb_note_late(struct toc_metricdb *db, int64_t t_ms, int64_t mono_ns);
void toc_metricdb_free_seal(struct toc_seal **seal);
/* Takes what is in the newest block out of the head. Selects that began before the block was listed
 * still read these samples from the head: while one runs, false. Under the maintain mutex. */
bool toc_metricdb_finish_trim(struct toc_metricdb *db);
/* Writes what the head holds as a block into another folder. Under the maintain mutex. */
int toc_metricdb_write_head_block(struct toc_metricdb *db, const char *dir) TOC_MUST_CHECK;
/* A block of this database that was just written. */
int toc_metricdb_open_block(struct toc_metricdb *db, uint64_t id,
                            struct toc_block **out) TOC_MUST_CHECK;
/* db_blocks.c */
/* The new block stands for these and for what is left of blocks deleted before. */
void toc_metricdb_name_replaced(struct toc_metricdb *db, int store, struct toc_block_writer *w,
                                struct toc_block *const *blocks, size_t count);
/* Makes the block durable and opens it; when that fails nothing of it may be found by a start, as
 * it would hide what becomes of the samples meanwhile. Frees *w in every case. */
int toc_metricdb_finish_block(struct toc_metricdb *db, int store, struct toc_block_writer **w,
                              struct toc_block_meta *io_meta,
                              struct toc_block **out) TOC_MUST_CHECK;
/* db_snapshot.c: removes snapshots that a crash left half made. */
void toc_metricdb_clean_snapshots(struct toc_metricdb *db);
/* db_delete.c: rewrites one block from which something was deleted. Under the maintain mutex. */
int toc_metricdb_rewrite_deleted(struct toc_metricdb *db) TOC_MUST_CHECK;
/* db_blocks.c: folders that the disk refused to remove. Under the maintain mutex. */
int toc_metricdb_sweep(struct toc_metricdb *db) TOC_MUST_CHECK;
/* db_retention.c */
int toc_metricdb_copy_rules(struct toc_metricdb *db, const struct toc_metricdb_options *o,
                            struct toc_err *err) TOC_MUST_CHECK;
void toc_metricdb_free_rules(struct toc_metricdb *db);
/* The number of the rule that decides about a series. */
size_t toc_metricdb_rule_of(const struct toc_metricdb *db, struct toc_labels labels);
/* Deletes what is older than it is kept: whole blocks, and of some more the series of a rule; then
 * the oldest blocks while all take more than retention_bytes. Under the maintain mutex. */
int toc_metricdb_expire(struct toc_metricdb *db) TOC_MUST_CHECK;
/* db_notes.c */
void toc_metricdb_load_metadata(struct toc_metricdb *db);
int toc_metricdb_save_metadata(struct toc_metricdb *db) TOC_MUST_CHECK;
void toc_metricdb_fini_notes(struct toc_metricdb *db);

#endif
