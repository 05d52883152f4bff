/* How many requests should be under way at once. */
#ifndef TOC_FORWARD_SHARDS_H
#define TOC_FORWARD_SHARDS_H

#include <stdbool.h>
#include <stddef.h>

struct toc_forward_load {
    size_t shards, min, max;
    double busy;     /* share of the time that shards waited for answers, 0 … 1 */
    bool is_behind;  /* reading stood still because a shard was full */
    bool has_failed; /* more requests do not help a receiver in trouble */
};
size_t toc_forward_shards_wanted(const struct toc_forward_load *l);

#endif
