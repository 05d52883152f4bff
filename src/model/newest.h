/*
 * The newest sample of every active series: the interface between whoever stores series and whoever
 * looks at all of them again and again, without a query.
 */
#ifndef TOC_MODEL_NEWEST_H
#define TOC_MODEL_NEWEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "model/labels.h"

struct toc_newest_sample {
    uint64_t
        ref; /* of the series: low half a small dense number, reused; high half its generation */
    int64_t t_ms;
    double value;
};

struct toc_newest_source {
    /* The next samples of the walk, at most `max`, each series once; a walk begins with *cursor 0
     * and has ended when *cursor is UINT64_MAX. May return 0 before that. Holds locks for
     * microseconds only. */
    size_t (*next)(struct toc_newest_source *s, uint64_t *cursor, struct toc_newest_sample *out,
                   size_t max);
    /* Labels of a series, in the arena; false when it is gone or the arena full. */
    bool (*labels)(struct toc_newest_source *s, uint64_t ref, struct toc_arena *arena,
                   struct toc_labels *out);
    /* The same, but only of series that were written to since a walk of either kind met them last.
     * One walker at a time. NULL: the source does not know. */
    size_t (*next_written)(struct toc_newest_source *s, uint64_t *cursor,
                           struct toc_newest_sample *out, size_t max);
};

#endif
