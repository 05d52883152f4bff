/*
 * Checkpoints of the head: an accelerator of the start that may always be thrown away, as the log
 * keeps everything until blocks hold it. A chain of checkpoints shares one file of closed chunks,
 * to which each adds what is new (checkpoint_file.h).
 *
 * A checkpoint never holds what log and blocks do not: its files go before anything is deleted from
 * the head. One from before a seal stays until the next is finished, which is before anything of
 * the log goes; a start takes out of it what blocks hold by now.
 *
 * Everything but the start runs under the maintain mutex.
 */
#ifndef TOC_METRICDB_CHECKPOINT_H
#define TOC_METRICDB_CHECKPOINT_H

#include <stdatomic.h>

#include "base/vec.h"
#include "metricdb/checkpoint_file.h"

struct toc_metricdb;

struct toc_checkpoint_bits {
    TOC_VEC_FIELDS(uint64_t)
};

struct toc_checkpoints {
    char *dir;
    uint64_t next_number;         /* of a file, never used twice */
    uint64_t newest, before;      /* numbers of the finished ones; 0: none */
    uint64_t chain, before_chain; /* of these two; 0: none */
    /* The chain goes on here. */
    uint64_t chain_bytes, chain_sequence;
    uint32_t chain_salt_crc;
    struct toc_checkpoint_bits series, pairs; /* defined in the chain, by id */
    uint64_t series_count;
    bool has_chain;   /* the newest one can be added to */
    bool has_files;   /* there may be some */
    bool is_outdated; /* sealed since the newest one: it may not outlive any segment of the log */
    bool has_failed;  /* the last try: the next one waits for as many samples again */
    /* When the last one began: monotonic time, and what the log had written. */
    bool has_begun; /* one since the start */
    int64_t begun_ns;
    uint64_t samples_before, bytes_before;
    uint64_t step_bytes;               /* what the next one of the chain will write, about */
    uint64_t tail_samples, tail_bytes; /* that the start read from the log */
    uint64_t loaded_samples;           /* that it found in one */
    atomic_uint_fast64_t wake_samples; /* of the log, at which to look again */
    atomic_uint_fast64_t taken, failures, refused, written_bytes; /* read without the mutex */
};

void toc_checkpoints_init(struct toc_metricdb *db);
void toc_checkpoints_fini(struct toc_metricdb *db);

/* Takes a checkpoint when enough was logged since the last one. Long steps of maintenance call it
 * after so many series, as samples come meanwhile. A failure costs nothing but a slower start: it
 * is logged and counted. */
enum { TOC_SERIES_PER_LOOK = 256 };
void toc_checkpoints_maintain(struct toc_metricdb *db);
/* Takes one now. */
int toc_checkpoints_take(struct toc_metricdb *db) TOC_MUST_CHECK;
/* A block was written, or what is in one was taken out of the head: no checkpoint can be added to,
 * and before anything of the log goes a new one is due (toc_checkpoints_renew: it replaces all
 * others, or there is none). */
void toc_checkpoints_outdate(struct toc_metricdb *db);
int toc_checkpoints_renew(struct toc_metricdb *db) TOC_MUST_CHECK;
/* Removes all of them, durably: what comes next would make them tell too much. */
int toc_checkpoints_drop(struct toc_metricdb *db) TOC_MUST_CHECK;

/*
 * Fills the empty head from the newest checkpoint that is whole. False when there is none: the head
 * is empty then. What was refused is removed.
 */
bool toc_checkpoints_load(struct toc_metricdb *db, struct toc_checkpoint_end *out_end);

/* Reads one checkpoint into an empty head (checkpoint_load.c). */
struct toc_head;
int toc_checkpoint_restore(struct toc_vfs *vfs, const char *dir, uint64_t number,
                           struct toc_head *head, struct toc_checkpoint_end *out) TOC_MUST_CHECK;

enum toc_checkpoint_kind { TOC_CHECKPOINT_CHUNKS_FILE, TOC_CHECKPOINT_OPEN_FILE };
void toc_checkpoint_path(const char *dir, enum toc_checkpoint_kind kind, uint64_t number, char *out,
                         size_t out_size);
/* The number of a file called so; 0 when it is none of a checkpoint. */
uint64_t toc_checkpoint_number(const char *name, enum toc_checkpoint_kind *out_kind);

#endif
