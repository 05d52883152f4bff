/*
 * Blocks: immutable folders `b-NNNNNNNNNN` with the samples of one time range.
 *
 *   chunks   "TOCCHK01", then chunks (chunk.h), each followed by u32 crc of its bytes
 *   index    header, body, u32 crc of all before; `index2` is the same file again, so that a
 * damaged index costs nothing header   "TOCIDX01" | u32 version | u32 id of the block that it
 * replaces, or 0 | u64 id | i64 min ms | i64 max ms | i64 range min | i64 range max | u64 first
 * unsealed segment | u64 series | u64 samples | u64 chunks | u64 bytes of the body | u32 crc of the
 * header so far body     (version 2: compressed with zstd as a whole) varint names, varint pairs;
 * per name: string, varint values; per value in order: varint pair number, string, varint series
 * count, string of varint differences of the series numbers; per series in label order: varint
 * pairs, pair numbers, varint chunks; per chunk: varint offset - end of the one before, varint
 * bytes, zigzag min - last max, varint max - min, varint samples; u32 offset of each series entry;
 * u32 offset of the first series entry
 *
 *   replaces (a block made of several others) "TOCREP01" | varint n | n ids of 8 bytes | u32 crc
 *
 * A block says that every sample in [range min, range max] of log segments below `first unsealed
 * segment` is in it; replay skips those. It is written as `tmp-…`, synced, renamed, and its parent
 * synced.
 */
#ifndef TOC_METRICDB_BLOCK_H
#define TOC_METRICDB_BLOCK_H

#include <stdatomic.h>
#include <stdint.h>

#include "metricdb/head.h"
#include "metricdb/metricdb.h"
#include "metricdb/tombstones.h"

struct toc_block_meta {
    uint64_t id;
    bool is_packed;               /* the body of the index is compressed (version 2) */
    uint32_t replaces;            /* the id of the block of which it is the rewritten form, or 0 */
    int64_t min_ms, max_ms;       /* of the samples */
    int64_t range_min, range_max; /* what it stands for */
    uint64_t first_unsealed;
    uint64_t series, samples, chunks;
    uint64_t body_bytes;
};

struct toc_block_chunk {
    uint64_t offset;
    uint32_t bytes;
    uint32_t samples;
    int64_t min_ms, max_ms;
};

struct toc_ids64 {
    TOC_VEC_FIELDS(uint64_t)
};

/* --- writing --- */

struct toc_block_writer;
/* Begins `dir`/tmp-…; on failure nothing is left behind. */
int toc_block_writer_new(struct toc_vfs *vfs, const char *dir, const struct toc_block_meta *meta,
                         struct toc_block_writer **out) TOC_MUST_CHECK;
/* Series come in label order, samples in time order. */
int toc_block_writer_add(struct toc_block_writer *w, struct toc_labels labels,
                         const struct toc_series_buffer *samples) TOC_MUST_CHECK;
bool toc_block_writer_is_empty(const struct toc_block_writer *w);
/* The same with chunks as another block holds them: `chunks` in time order, their bytes one after
 * the other. */
int toc_block_writer_add_raw(struct toc_block_writer *w, struct toc_labels labels,
                             const struct toc_block_chunk *chunks, size_t count,
                             struct toc_sv bytes) TOC_MUST_CHECK;
/* The block stands for these others: they go at the next start when a crash left them. */
void toc_block_writer_replaces(struct toc_block_writer *w, const struct toc_ids64 *ids);
/* Makes the block durable and visible; fills the counters of *out_meta. Frees w in every case. */
int toc_block_writer_finish(struct toc_block_writer **w,
                            struct toc_block_meta *out_meta) TOC_MUST_CHECK;
/* Removes what was written. NULL is accepted. */
void toc_block_writer_abort(struct toc_block_writer **w);

/* --- reading --- */

/* A loaded index with the open chunks file of its block; immutable, counted. */
struct toc_block_index;
struct toc_block_index *toc_block_index_ref(struct toc_block_index *x);
void toc_block_index_unref(struct toc_block_index **x);
/* What it counts in the cache: its memory, with a minimum that bounds open files as well. */
size_t toc_block_index_bytes(const struct toc_block_index *x);
/* Hands over the file that toc_block_read_chunk reads. */
void toc_block_index_take_file(struct toc_block_index *x, struct toc_vfs *vfs,
                               struct toc_file *take_file);
/* From the bytes of an index file, which are taken over. TOC_ECORRUPT when they are none. */
int toc_block_index_parse(struct toc_buf *take_bytes, struct toc_block_index **out) TOC_MUST_CHECK;
const struct toc_block_meta *toc_block_index_meta(const struct toc_block_index *x);
/* Numbers of the series that satisfy all matchers, sorted, appended to out. */
void toc_block_index_match(const struct toc_block_index *x, const struct toc_matcher *m,
                           size_t count, struct toc_ids *out);
/* Labels of a series (room for TOC_SERIES_LABELS_MAX), which borrow from the index. TOC_ECORRUPT
 * when the entry makes no sense. */
int toc_block_index_labels(const struct toc_block_index *x, uint32_t series,
                           struct toc_label *items, struct toc_labels *out) TOC_MUST_CHECK;
/* Calls fn for each pair that a series of the list has (each once), or for all pairs when `series`
 * is NULL; with a name only for pairs of this name. */
typedef void toc_on_block_pair(void *ctx, struct toc_label label);
void toc_block_index_each_pair(const struct toc_block_index *x, const struct toc_ids *series,
                               struct toc_sv name, toc_on_block_pair *fn, void *ctx);
/* The series with exactly these labels; false when there is none. */
bool toc_block_index_find(const struct toc_block_index *x, struct toc_labels labels,
                          uint32_t *out_series);
/* Walks over the chunks of a series in time order. A damaged entry ends early with r.error. */
struct toc_block_cursor {
    struct toc_reader r;
    uint64_t left, end;
    int64_t last_ms;
};
int toc_block_index_chunks(const struct toc_block_index *x, uint32_t series,
                           struct toc_block_cursor *out) TOC_MUST_CHECK;
bool toc_block_cursor_next(struct toc_block_cursor *cursor, struct toc_block_chunk *out);
/* A word per series, 0 at first, in which readers remember the series of the head that has the same
 * labels (series_set.c). Any thread. */
uint64_t toc_block_index_link(const struct toc_block_index *x, uint32_t series);
void toc_block_index_set_link(const struct toc_block_index *x, uint32_t series, uint64_t link);

struct toc_block {
    atomic_uint refs;
    struct toc_vfs *vfs;
    char *path;
    struct toc_block_meta meta;
    uint64_t bytes;                    /* on disk */
    struct toc_block_index *index;     /* under the blocks lock; NULL when not loaded */
    struct toc_tombstones *tombstones; /* under the blocks lock; NULL: nothing deleted */
    uint64_t last_use;
    /* Id of the newest block whose content went into this one, at most: roll-ups with a larger id
     * have all of it. */
    _Atomic uint64_t newest;
    struct toc_ids64 replaced; /* ids of blocks that it stands for */
    struct toc_blocks *leaves; /* the set that it was deleted from; the folder goes with the last
                                * reference */
    /* Of maintenance: nothing is left behind the tombstones; a rewrite met damage. */
    bool is_empty, is_kept;
    uint32_t expired_rules; /* bit per rule of retention whose series were taken out */
};
/* Opens a block folder; index2 stands in for a damaged index (*out_damaged counts files found bad).
 */
int toc_block_open(struct toc_vfs *vfs, const char *path, struct toc_block **out,
                   unsigned *out_damaged) TOC_MUST_CHECK;
struct toc_block *toc_block_ref(struct toc_block *b);
void toc_block_unref(struct toc_block **b);
/* Loads the index from disk and opens the chunks file, so that only blocks in use hold a
 * descriptor. */
int toc_block_load_index(const struct toc_block *b, struct toc_block_index **out,
                         unsigned *out_damaged) TOC_MUST_CHECK;
/* Appends the samples of a chunk (of histograms those in the range); any thread. TOC_ECORRUPT when
 * it is damaged. */
int toc_block_read_chunk(const struct toc_block_index *x, const struct toc_block_chunk *c,
                         int64_t min_ms, int64_t max_ms,
                         struct toc_series_buffer *out) TOC_MUST_CHECK;
/* The same for all chunks of a series that touch the range, with one read for those that lie side
 * by side. A chunk that is damaged or cannot be read for TOC_EIO is left out and handed to on_loss.
 */
typedef void toc_on_lost_chunk(void *ctx, const struct toc_block_chunk *c);
int toc_block_read_series(const struct toc_block_index *x, uint32_t series, int64_t min_ms,
                          int64_t max_ms, struct toc_series_buffer *out, toc_on_lost_chunk *on_loss,
                          void *ctx) TOC_MUST_CHECK;
/* Appends the bytes of a chunk to out, after a look at their checksum. */
int toc_block_load_chunk(const struct toc_block_index *x, const struct toc_block_chunk *c,
                         struct toc_buf *out) TOC_MUST_CHECK;

/* What the block in this folder stands for, appended to out. TOC_ENOENT: nothing; TOC_ECORRUPT. */
int toc_block_read_replaced(struct toc_vfs *vfs, const char *path,
                            struct toc_ids64 *out) TOC_MUST_CHECK;
/* Removes a folder and the files in it; what is missing is fine. */
void toc_block_remove_dir(struct toc_vfs *vfs, const char *path);

/* --- the set of blocks --- */

/* A block that is not listed, whose folder is still there: it was deleted and somebody reads it, or
 * making or removing it failed midway. A start would find it again. */
struct toc_leftover {
    uint64_t id;
    bool is_refused;
};

struct toc_blocks {
    struct toc_mutex mutex;
    TOC_VEC(struct toc_block *) list; /* by id */
    TOC_VEC(struct toc_leftover) leftovers;
    uint64_t cache_limit, cache_bytes, uses;
};
void toc_blocks_init(struct toc_blocks *s, uint64_t cache_limit);
void toc_blocks_fini(struct toc_blocks *s);
/* Takes the reference. */
void toc_blocks_add(struct toc_blocks *s, struct toc_block *take_block);
size_t toc_blocks_count(struct toc_blocks *s);
/* References to the blocks that overlap the range, into a new array (toc_free it); the oldest id
 * first. */
size_t toc_blocks_overlapping(struct toc_blocks *s, int64_t min_ms, int64_t max_ms,
                              struct toc_block ***out);
/* The index of a block, loaded when needed, kept within the cache limit. Caller unrefs. */
int toc_blocks_index(struct toc_blocks *s, struct toc_block *b, struct toc_block_index **out,
                     unsigned *out_damaged) TOC_MUST_CHECK;
/* What was deleted from the block, or NULL; caller unrefs. */
struct toc_tombstones *toc_blocks_tombstones(struct toc_blocks *s, struct toc_block *b);
void toc_blocks_set_tombstones(struct toc_blocks *s, struct toc_block *b,
                               struct toc_tombstones *take_tombstones);
/* The new block (its reference is taken) stands for the old ones from now on. */
void toc_blocks_replace(struct toc_blocks *s, struct toc_block *const *old, size_t count,
                        struct toc_block *take_block);
/* Takes the block out of the set; its folder goes with the last reference. */
void toc_blocks_delete(struct toc_blocks *s, struct toc_block *b);
/* Appends the ids of the leftovers: whatever stands for a deleted block must name them, too, or a
 * start would bring back what was deleted since. */
void toc_blocks_leftovers(struct toc_blocks *s, struct toc_ids64 *out);
/* Are there any? Then no block may go without another that stands for it: an older form of it might
 * come back. */
bool toc_blocks_has_leftovers(struct toc_blocks *s);
/* The block `id` in `dir` could not be made or opened: whatever is there goes, now or by a sweep.
 */
void toc_blocks_disown(struct toc_blocks *s, struct toc_vfs *vfs, const char *dir, uint64_t id);
/* Tries again to remove the folders that the disk refused to remove. Returns the last refusal. */
int toc_blocks_sweep(struct toc_blocks *s, struct toc_vfs *vfs, const char *dir);

#endif
