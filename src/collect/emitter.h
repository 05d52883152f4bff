/*
 * What a collector writes to: series identities are built once and kept, each cycle refills one
 * array of points, and a series that its group no longer reports gets a staleness marker. One
 * thread at a time.
 */
#ifndef TOC_COLLECT_EMITTER_H
#define TOC_COLLECT_EMITTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/time.h"
#include "base/vec.h"
#include "model/labels.h"
#include "model/sink.h"

enum { TOC_EMITTER_GROUPS_MAX = 32, TOC_EMITTER_SERIES_MAX = 100000 };

struct toc_emitter_series;

struct toc_emitter {
    struct toc_map by_key;    /* name and label values → struct toc_emitter_series */
    struct toc_map described; /* metric names whose metadata was sent */
    struct {
        TOC_VEC_FIELDS(struct toc_emitter_series *)
    } series;
    struct {
        TOC_VEC_FIELDS(struct toc_point)
    } points;
    struct toc_labels base; /* labels of every series, owned */
    struct toc_ts now;
    uint64_t cycle;
    uint32_t groups_run; /* bit per group */
    unsigned group;
    uint64_t dropped; /* series refused by a limit */
};

/* base: labels that every series gets (job, instance); copied. */
void toc_emitter_init(struct toc_emitter *e, struct toc_labels base);
void toc_emitter_fini(struct toc_emitter *e);
/* Starts a cycle: all points get this time. No group runs until it is named. */
void toc_emitter_begin(struct toc_emitter *e, struct toc_ts now);
/* What follows belongs to `group` (< TOC_EMITTER_GROUPS_MAX); series of a group that runs in a
 * cycle without reporting them are ended, groups that do not run are left alone. */
void toc_emitter_group(struct toc_emitter *e, unsigned group);
/* One sample of the group named last. Labels always in the same order for a name; empty values are
 * dropped. A second one of the same series in a cycle is ignored. */
void toc_emitter_put(struct toc_emitter *e, const char *name, enum toc_metric_type type,
                     const struct toc_label *labels, size_t count, double value);
/* Hands the cycle to the sink, with staleness markers and the metadata of new metrics. */
int toc_emitter_flush(struct toc_emitter *e, struct toc_sink *sink,
                      struct toc_err *err) TOC_MUST_CHECK;
/* Ends all series (the source is gone). */
int toc_emitter_end_all(struct toc_emitter *e, struct toc_ts now, struct toc_sink *sink,
                        struct toc_err *err) TOC_MUST_CHECK;

#endif
