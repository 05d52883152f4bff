#include "forward/shards.h"

#include "base/alloc.h"

/* Doubling reaches 50 shards within six looks; between the two bounds nothing changes, so that it
 * does not swing. */
static const double BUSY = 0.7, IDLE = 0.3;

size_t toc_forward_shards_wanted(const struct toc_forward_load *l) {
    size_t n = l->shards;
    if (l->has_failed)
        return n;
    if (l->is_behind && l->busy > BUSY)
        n *= 2;
    else if (!l->is_behind && l->busy < IDLE)
        n = (n + 1) / 2;
    return TOC_MIN(TOC_MAX(n, l->min), l->max);
}
