/*
 * The scraper: asks every target of the loaded configs for its metrics on the target's own phase,
 * writes what it says, and ends the series of what is gone. All functions may be called from any
 * thread.
 */
#ifndef TOC_COLLECT_SCRAPE_H
#define TOC_COLLECT_SCRAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "collect/scrape_config.h"
#include "metricdb/metricdb.h"
#include "model/labels.h"
#include "model/sink.h"
#include "sys/clock.h"
#include "sys/vfs.h"

struct toc_scraper_options {
    struct toc_sink *sink;
    struct toc_metricdb *metrics; /* the store behind the sink, written by reference; may be NULL */
    struct toc_clock *clock;      /* NULL: the machine's */
    struct toc_vfs *vfs;          /* NULL: the machine's */
    size_t max_in_flight;         /* requests under way at once, default 1000 */
    int64_t file_poll_ms;         /* how often discovery files are looked at, default 5000 */
    uint64_t phase_seed;          /* so that two daemons do not ask at the same moment */
};

struct toc_discovery;
struct toc_scraper; /* opaque */
/* Without targets and threads. */
struct toc_scraper *toc_scraper_new(const struct toc_scraper_options *o);
int toc_scraper_start(struct toc_scraper *s, struct toc_err *err) TOC_MUST_CHECK;
/* Cancels what is under way and waits for it. Series of targets that are still configured do not
 * end: a restart goes on with them. */
void toc_scraper_stop(struct toc_scraper *s);
/* Stops when necessary. NULL is accepted. */
void toc_scraper_free(struct toc_scraper **s);

/* Replaces all configs at once and takes over the caller's reference. Targets that stay keep their
 * series. */
void toc_scraper_load(struct toc_scraper *s, struct toc_scrape_set *take_set);
/* The same for targets found automatically: a second set beside the configured one. */
void toc_scraper_load_found(struct toc_scraper *s, struct toc_scrape_set *take_set);
/* The sets in force; references that the caller returns. Either may be NULL. */
void toc_scraper_sets(struct toc_scraper *s, struct toc_scrape_set **out_configured,
                      struct toc_scrape_set **out_found);
/* Does a configured target stand at this port of the loopback interface? */
bool toc_scraper_has_local_port(struct toc_scraper *s, uint16_t port);

enum toc_target_health { TOC_TARGET_UNKNOWN, TOC_TARGET_UP, TOC_TARGET_DOWN };
/* "unknown", "up", "down" */
const char *toc_target_health_text(enum toc_target_health h);

/* One target as the API shows it; borrowed for the call. */
struct toc_target_info {
    struct toc_sv pool; /* job_name of its config */
    struct toc_labels labels;
    struct toc_labels discovered;
    struct toc_sv url;
    struct toc_sv last_error;  /* empty when the last scrape was good */
    struct toc_ts last_scrape; /* 0: never */
    double last_duration_s;
    enum toc_target_health health;
    int64_t interval_ms, timeout_ms;
    size_t last_samples;
    bool is_found; /* by automatic discovery */
};
/* Calls fn for each active target by pool, then URL; fn must not call the scraper. */
void toc_scraper_list(struct toc_scraper *s,
                      void (*fn)(void *ctx, const struct toc_target_info *info), void *ctx);
/* The targets that relabel_configs dropped, as far as they are remembered. */
void toc_scraper_list_dropped(struct toc_scraper *s,
                              void (*fn)(void *ctx, struct toc_sv pool,
                                         struct toc_labels discovered),
                              void *ctx);

/* The sources of targets at work, to look at. */
struct toc_discovery *toc_scraper_discovery(struct toc_scraper *s);

/* X(member, what it counts) */
#define TOC_SCRAPER_COUNTER_TABLE(X)                                                    \
    X(scrapes, "scrapes made")                                                          \
    X(scrapes_failed, "scrapes that failed")                                            \
    X(samples, "samples written")                                                       \
    X(samples_rejected, "samples the store refused")                                    \
    X(samples_dropped, "samples dropped: repeated in one scrape, or far in the future") \
    X(write_failures, "scrapes lost because the store did not take them")               \
    X(targets_refused, "targets refused: bad address, time or over the limit")          \
    X(file_errors, "readings of discovery files that failed")                           \
    X(reloads, "configurations loaded")                                                 \
    X(missed_slow, "turns missed: the scrape before lasted longer than the interval")   \
    X(missed_limit, "turns missed: max_in_flight requests were under way")              \
    X(missed_busy, "turns missed: the scraping thread was behind")

struct toc_scraper_counters {
#define X(member, what) uint64_t member;
    TOC_SCRAPER_COUNTER_TABLE(X)
#undef X
};
struct toc_scraper_counters toc_scraper_counters(struct toc_scraper *s);

#endif
