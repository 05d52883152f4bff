/* Inside of the scraper: targets, how they are made from configs, and one scrape. */
#ifndef TOC_COLLECT_SCRAPE_PRIV_H
#define TOC_COLLECT_SCRAPE_PRIV_H

#include <stdatomic.h>

#include "base/heap.h"
#include "base/map.h"
#include "base/vec.h"
#include "collect/scrape.h"
#include "collect/scrape_cache_priv.h"
#include "net/http_multi.h"
#include "sys/thread.h"

/* What a config wants of a target; replaced as a whole. */
struct scrape_plan {
    struct toc_scrape_set *set; /* one reference */
    const struct toc_scrape_config *config;
    int64_t interval_ms, timeout_ms;
    struct toc_labels discovered; /* owned */
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
    char *key;                /* identity: pool, URL, labels */
    char *url;
    uint64_t hash;
    bool is_found;

    /* Used by the thread that scrapes it; changed by others only while it is not running. */
    struct scrape_plan plan;
    struct scrape_cache cache;
    struct scrape_outcome outcome;
    int64_t aligned_ms; /* wall time of the grid, 0 before the first scrape */

    /* Guarded by the scraper's mutex. */
    struct scrape_plan next_plan; /* set == NULL: none */
    bool is_running, is_kept;
    char last_error[400];
    struct toc_ts last_scrape;
    double last_duration_s;
    enum toc_target_health health;
    size_t last_samples;

    atomic_bool is_removed; /* set under the mutex; polled by the transfer */
};

struct scrape_dropped {
    char *pool;
    struct toc_labels discovered; /* owned */
};

struct scrape_targets {
    TOC_VEC_FIELDS(struct scrape_target *)
};
struct scrape_dropped_list {
    TOC_VEC_FIELDS(struct scrape_dropped)
};

/* What a look at all configs gives. */
struct scrape_found {
    struct scrape_targets targets;
    struct scrape_dropped_list dropped;
    struct toc_map keys;
    uint64_t refused, file_errors;
};

/* A file of file_sd as it was seen last. */
struct scrape_file {
    char *path;
    int64_t mtime_ms;
    uint64_t size_bytes, inode;
    struct toc_arena arena; /* holds the groups */
    const struct toc_scrape_group *groups;
    size_t group_count;
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

    struct toc_mutex mutex; /* everything below */
    struct toc_cond synced;
    bool is_syncing, is_stopping;
    size_t running_count; /* targets whose is_running is set */
    struct toc_scrape_set *set, *found_set;
    struct scrape_targets targets;
    struct toc_map by_key;
    struct scrape_dropped_list dropped;
    struct scrape_targets orphans; /* removed while running, left over by a stop */
    struct toc_heap heap;
    struct scrape_files files; /* used by whoever syncs */
    struct toc_thread loop, watcher;
    struct toc_event stop_watching;
};

/* scrape_target.c */

/* Makes the targets of one config's group and adds them to `out`. */
void toc_scrape_add_group(struct scrape_found *out, struct toc_scrape_set *set,
                          const struct toc_scrape_config *config,
                          const struct toc_scrape_group *group, const char *file_path,
                          bool is_found);
void toc_scrape_target_free(struct scrape_target **t);
void toc_scrape_plan_fini(struct scrape_plan *p);
void toc_scrape_found_fini(struct scrape_found *f);
void toc_scrape_dropped_fini(struct scrape_dropped_list *l);

/* scrape.c, mutex held. */

/* What was loaded while the target ran takes effect. */
void toc_scrape_take_next_plan(struct toc_scraper *s, struct scrape_target *t);
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
/* Calls fn with the groups of every file that the patterns of `sd` name. A file that cannot be read
 * keeps its last good groups. */
void toc_scrape_files_each(struct scrape_files *f, const struct toc_scrape_file_sd *sd,
                           void (*fn)(void *ctx, const char *path,
                                      const struct toc_scrape_group *groups, size_t count),
                           void *ctx);
/* Has any file of the patterns appeared or changed since the last look? Marks what is there as
 * seen. */
bool toc_scrape_files_changed(struct scrape_files *f, const struct toc_scrape_file_sd *sd);
bool toc_scrape_files_any_gone(const struct scrape_files *f);

#endif
