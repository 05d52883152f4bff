/*
 * Sources of targets at work: each asks its server, name server or program on a thread of its own
 * and delivers groups of targets. A source that fails keeps what it found before. Sources that
 * several jobs configure alike run once; those that a reload leaves alone go on undisturbed.
 * All functions may be called from any thread, apply from one at a time.
 */
#ifndef TOC_COLLECT_DISCOVERY_H
#define TOC_COLLECT_DISCOVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "collect/scrape_config.h"
#include "collect/target_group.h"
#include "sys/clock.h"
#include "sys/vfs.h"

const char *toc_discovery_mechanism_text(enum toc_discovery_mechanism m);

enum {
    TOC_DISCOVERY_TARGETS_MAX = 500000,       /* of one source */
    TOC_DISCOVERY_LABELS_MAX = 1024,          /* of one target */
    TOC_DISCOVERY_NAME_BYTES_MAX = 4096,      /* of a label's name */
    TOC_DISCOVERY_VALUE_BYTES_MAX = 512 << 10 /* of a label's value; Kubernetes' annotations */
};

struct toc_discovery_options {
    struct toc_clock *clock; /* NULL: the machine's */
    struct toc_vfs *vfs;     /* NULL: the machine's */
    /* Groups of some source changed; called from its thread without a lock held. */
    void (*on_change)(void *ctx);
    void *ctx;
};

struct toc_discovery; /* opaque */
struct toc_discovery *toc_discovery_new(const struct toc_discovery_options *o);
/* Stops all sources. NULL is accepted. */
void toc_discovery_free(struct toc_discovery **d);
/* From now on sources run; those applied before begin. */
void toc_discovery_start(struct toc_discovery *d);
/* The sources become those of the set (NULL: none), which stays referenced. A source that replaces
 * another of the same job and mechanism begins with its groups, until it has found its own. */
void toc_discovery_apply(struct toc_discovery *d, struct toc_scrape_set *set);

struct toc_shared_groups {
    TOC_VEC_FIELDS(struct toc_shared_group *)
};
/* Appends references to all groups of a configured source, in the order in which they came. */
void toc_discovery_groups(struct toc_discovery *d, const struct toc_discovery_config *c,
                          struct toc_shared_groups *out);
void toc_shared_groups_fini(struct toc_shared_groups *g);

/* One source; borrowed for the call. */
struct toc_discovery_source_info {
    const char *mechanism;
    struct toc_sv where, job; /* of the first job that names it */
    struct toc_sv last_error; /* empty: the last attempt was good, or there was none */
    struct toc_ts last_success, failing_since; /* 0: never, it does not fail */
    uint64_t refreshes, failures;
    size_t groups, targets;
    bool is_started; /* it has succeeded at least once */
};
void toc_discovery_list(struct toc_discovery *d,
                        void (*fn)(void *ctx, const struct toc_discovery_source_info *info),
                        void *ctx);

/* Of all sources of a mechanism. X(member, metric, its type, help) */
#define TOC_DISCOVERY_COUNTER_TABLE(X)                                                          \
    X(refreshes, "tocsin_sd_refreshes_total", "counter",                                        \
      "Attempts to find targets that succeeded.")                                               \
    X(failures, "tocsin_sd_failures_total", "counter", "Attempts to find targets that failed.") \
    X(targets_dropped, "tocsin_sd_targets_dropped_total", "counter",                            \
      "Targets found that were over a limit.")                                                  \
    X(sources, "tocsin_sd_sources", "gauge", "Sources of targets at work.")                     \
    X(failing, "tocsin_sd_failing", "gauge", "Sources of targets whose last attempt failed.")   \
    X(targets, "tocsin_sd_targets", "gauge", "Targets that sources found.")
struct toc_discovery_counters {
#define X(member, name, type, help) uint64_t member;
    TOC_DISCOVERY_COUNTER_TABLE(X)
#undef X
};
struct toc_discovery_counters toc_discovery_counters(struct toc_discovery *d,
                                                     enum toc_discovery_mechanism m);

#endif
