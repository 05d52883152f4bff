/* Inside of the scraper: targets, how they are made from configs, and one scrape. */
#ifndef TOC_COLLECT_SCRAPE_PRIV_H
#define TOC_COLLECT_SCRAPE_PRIV_H

#include <stdatomic.h>

#include "base/heap.h"
#include "base/map.h"
#include "base/vec.h"
#include "collect/discovery.h"
#include "collect/scrape.h"
#include "collect/scrape_cache_priv.h"
#include "net/http_multi.h"
#include "sys/thread.h"

/* A target as a config makes it of an address. Immutable, shared by reference. */
struct scrape_spec {
    atomic_uint refs;
    struct toc_scrape_set *set; /* one reference */
    const struct toc_scrape_config *config;
    int64_t interval_ms, timeout_ms;
    char *key; /* identity: pool, URL, labels; NULL: dropped by relabelling */
    char *url;
    uint64_t hash;
    struct toc_labels discovered, final; /* owned */
    bool is_found;
};

/* What one scrape gave. */
struct scrape_outcome {
    int64_t t_ms;
    int rc;
    bool is_cancelled; /* nothing was written */
    struct scrape_counts counts;
    struct toc_write_result written;
    uint64_t ticket; /* of the store; 0: nothing to wait for */
    uint64_t dropped;
    double duration_s, body_bytes;
    struct toc_err err;
};

struct scrape_target {
    struct toc_heap_node due; /* monotonic ms */

    /* Used by the thread that scrapes it; changed by others only while it is not running. */
    struct scrape_spec *spec; /* one reference */
    struct scrape_cache cache;
    struct scrape_outcome outcome;
    int64_t aligned_ms; /* wall time of the grid, 0 before the first scrape */
    int64_t begun_ms;   /* monotonic: when the scrape under way, or the last one, began */
    bool was_held;      /* it waited for others to end: max_in_flight */

    /* Guarded by the scraper's mutex. */
    struct scrape_spec *next_spec; /* NULL: none */
    uint64_t pass;                 /* the last look at all configs that named it */
    bool is_running;
    char last_error[400];
    struct toc_ts last_scrape;
    double last_duration_s;
    enum toc_target_health health;
    size_t last_samples;

    atomic_bool is_removed; /* set under the mutex; polled by the transfer */
};

struct scrape_targets {
    TOC_VEC_FIELDS(struct scrape_target *)
};
struct scrape_specs {
    TOC_VEC_FIELDS(struct scrape_spec *)
};

/* What a config makes of a group of targets. Kept as long as the group stays the same, so that a
 * change costs what has changed. */
struct scrape_made {
    const struct toc_target_group *group;
    struct toc_shared_group *shared; /* one reference; NULL: the group is the set's */
    struct scrape_specs specs, dropped;
    uint64_t refused;
    uint64_t pass; /* the last look that met the group */
};

/* One config and all its groups; of whoever syncs. */
struct scrape_pool {
    struct toc_scrape_set *set; /* one reference */
    const struct toc_scrape_config *config;
    bool is_found;
    struct toc_map made; /* address of the group → struct scrape_made */
    struct {
        TOC_VEC_FIELDS(struct scrape_made *)
    } order;     /* as they were met in this look */
    size_t over; /* targets over the limit */
};
struct scrape_pools {
    TOC_VEC_FIELDS(struct scrape_pool *)
};

/* A file of file_sd as it was seen last. */
struct scrape_file {
    char *path;
    int64_t mtime_ms;
    uint64_t size_bytes, inode;
    struct toc_shared_groups groups;
    bool is_seen, is_bad;
};

struct scrape_files {
    struct toc_vfs *vfs;
    struct toc_map by_path; /* path → struct scrape_file */
    uint64_t errors;
};

/* A request under way, with everything that it points at. */
struct scrape_transfer;

struct scrape_counters {
#define X(member, what) atomic_ullong member;
    TOC_SCRAPER_COUNTER_TABLE(X)
#undef X
};

struct toc_scraper {
    struct toc_sink *sink;
    struct toc_metricdb *metrics; /* NULL: points go to the sink */
    struct toc_clock *clock;
    struct toc_vfs *vfs;
    size_t max_in_flight;
    uint64_t phase_seed;
    int64_t file_poll_ms;
    struct scrape_counters counters;

    /* Of the loop alone (scrape_loop.c). */
    struct toc_http_multi *multi;
    struct {
        TOC_VEC_FIELDS(struct scrape_transfer *)
    } idle_transfers;
    struct scrape_targets unsettled; /* scraped, not yet durable */
    int64_t settle_due_ms;           /* monotonic, when there are any */
    int64_t full_at_ms;              /* when max_in_flight last kept a due target waiting */

    struct toc_mutex mutex; /* everything below */
    struct toc_cond synced;
    struct toc_cond wanted; /* for the watcher: it shall sync or stop */
    bool is_syncing, is_stopping, is_sync_wanted, is_watcher_stopping;
    size_t running_count; /* targets whose is_running is set */
    struct toc_scrape_set *set, *found_set;
    struct scrape_targets targets;
    struct toc_map by_key;
    struct scrape_specs dropped;
    struct scrape_targets orphans; /* removed while running, left over by a stop */
    struct toc_heap heap;
    struct toc_thread loop, watcher;

    /* Of whoever syncs. */
    struct scrape_files files;
    struct scrape_pools pools;
    uint64_t pass;
    struct toc_discovery *discovery; /* locks for itself */
};

/* scrape_target.c */

/* Makes what the pool's config makes of the group, into made->specs and made->dropped. */
void toc_scrape_make(struct scrape_made *made, struct scrape_pool *pool);
struct scrape_spec *toc_scrape_spec_ref(struct scrape_spec *s);
/* NULL is accepted. */
void toc_scrape_spec_unref(struct scrape_spec **s);
void toc_scrape_specs_fini(struct scrape_specs *l);
/* Takes a reference of its own. */
struct scrape_target *toc_scrape_target_new(struct scrape_spec *spec);
void toc_scrape_target_free(struct scrape_target **t);

/* scrape_pool.c: what the configs want, group by group. */

/* The pools become those of the sets in force. */
void toc_scrape_pools_set(struct scrape_pools *pools, struct toc_scrape_set *configured,
                          struct toc_scrape_set *found);
/* Looks at every group of the pool; what is known stays as it was made. Returns how many targets
 * were refused. */
uint64_t toc_scrape_pool_look(struct scrape_pool *pool, struct toc_scraper *s);
void toc_scrape_pools_fini(struct scrape_pools *pools);

/* scrape_sync.c: from what the configs want to the targets that are scraped. */

/* Waits for its turn. */
void toc_scrape_sync_begin(struct toc_scraper *s);
/* Between begin and end: the targets become those of the sets. */
void toc_scrape_sync(struct toc_scraper *s);
void toc_scrape_sync_end(struct toc_scraper *s);
void toc_scrape_end_targets(struct toc_scraper *s, struct scrape_targets *gone);

/* scrape.c, mutex held. */

/* What was found while the target ran takes effect. */
void toc_scrape_take_next_spec(struct toc_scraper *s, struct scrape_target *t);
/* Puts a new target into the queue. */
void toc_scrape_schedule_first(struct toc_scraper *s, struct scrape_target *t);
/* There may be something due earlier, or something to cancel. */
void toc_scrape_wake_loop(struct toc_scraper *s);
void toc_scrape_reschedule(struct toc_scraper *s, struct scrape_target *t);
int64_t toc_scrape_mono_ms(struct toc_scraper *s);

/* scrape_loop.c: the thread that scrapes. */

void toc_scrape_loop(void *scraper);

/* scrape_run.c: one scrape, without the mutex, by the loop. */

/* Sends the request. When it has ended, the answer's samples are in the store and the target is in
 * s->unsettled. */
void toc_scrape_begin(struct toc_scraper *s, struct scrape_target *t);
/* The store's word about the samples: counts and shows what the scrape gave. */
void toc_scrape_settle(struct toc_scraper *s, struct scrape_target *t, int rc,
                       const struct toc_err *err);
/* Ends all series of a target that goes away. */
void toc_scrape_end(struct toc_scraper *s, struct scrape_target *t);
void toc_scrape_transfer_free(struct scrape_transfer **t);

/* scrape_file.c */

void toc_scrape_files_init(struct scrape_files *f, struct toc_vfs *vfs);
void toc_scrape_files_fini(struct scrape_files *f);
/* Marks all files as unseen; toc_scrape_files_forget drops those that stayed so. */
void toc_scrape_files_begin(struct scrape_files *f);
void toc_scrape_files_forget(struct scrape_files *f);
/* Appends references to the groups of every file that the patterns of `sd` name. A file that cannot
 * be read keeps its last good groups. */
void toc_scrape_files_groups(struct scrape_files *f, const struct toc_scrape_file_sd *sd,
                             struct toc_shared_groups *out);
/* Has any file of the patterns appeared or changed since the last look? Marks what is there as
 * seen. */
bool toc_scrape_files_changed(struct scrape_files *f, const struct toc_scrape_file_sd *sd);
bool toc_scrape_files_any_gone(const struct scrape_files *f);

#endif
