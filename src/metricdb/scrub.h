/*
 * Background scrub: reads all blocks slowly, so that damage is found while there is a second copy
 * or a backup, and not by the query that needs the data. Part of maintenance; under its mutex.
 *
 * Per block both copies of the index and of the list of deletions are compared with their checksums
 * and a bad one is written anew from the good one; then every chunk is compared with its own. What
 * has no second copy is told as a loss with series and time range. The position survives a restart:
 *
 *   file `scrub`  "TOCSCR01" | u32 store | u32 next series | u64 block | u64 start of the pass, ms
 * | u32 crc of all before
 *
 * Store 3: the pass is over, the next begins scrub_interval_ms after the start of this one. Series
 * 7 of block 5 of raw samples in a pass that began at 1000 ms: 544f435343523031 00000000 07000000
 * 0500000000000000 e803000000000000 and the crc.
 */
#ifndef TOC_METRICDB_SCRUB_H
#define TOC_METRICDB_SCRUB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct toc_metricdb;
struct toc_block_index;

struct toc_scrub {
    int store; /* TOC_METRICDB_STORE_COUNT: the pass is over */
    uint32_t series;
    uint64_t block;
    _Atomic int64_t pass_start_ms;
    bool is_loaded;                /* the position was read */
    struct toc_block_index *index; /* of the block, owned; NULL: not begun */
    int64_t last_ns, saved_ns;
    int64_t allowance_bytes; /* may be read now; negative after a large index */
    atomic_uint_fast64_t chunks, bytes, passes, damaged, repaired, unreadable;
};

/* As much as the time since the last call allows. Problems are counted, never returned: scrubbing
 * must not stop other maintenance. */
void toc_metricdb_scrub(struct toc_metricdb *db);
void toc_scrub_fini(struct toc_scrub *s);

#endif
