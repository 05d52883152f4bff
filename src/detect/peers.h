/*
 * Comparison of members with the same role (ranks of one stage, replicas of one
 * service): at every slot each value is set against the median of all, and a
 * one-sided CUSUM per member and direction waits until a deviation has lasted.
 * Fewer than four members say nothing; when more than half stand out together
 * it is no member's trouble. Compare busy time, not step time: a slow rank
 * makes all others wait. Pure.
 */
#ifndef TOC_DETECT_PEERS_H
#define TOC_DETECT_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOC_PEERS_MIN = 4 };

struct toc_peers_options {
    double floor_ratio; /* of the median, added to the scale; 0: 0.01 */
    double slack;       /* z that is let pass; 0: 1.5 */
    double limit;       /* of the sum; 0: 12 */
    uint32_t slots_min; /* slots over the limit; 0: 3 */
};

/* One member's memory. All zero at first. */
struct toc_peer {
    float up, down;                /* CUSUM of z - slack, of -z - slack */
    uint16_t up_slots, down_slots; /* slots in a row over the limit */
};

struct toc_peer_result {
    double z;                /* NaN without a value or without enough peers */
    bool is_above, is_below; /* stands out, and has for some time */
};

/* What all members of a slot have in common. */
struct toc_peers_summary {
    double median, scale; /* NaN with fewer than four values */
    size_t values;
    bool is_common; /* more than half stood out: nobody is told */
};

/* One slot: values[i] is that of members[i], NaN when it has none (its memory
 * stays). `scratch` has room for `count` numbers. */
struct toc_peers_summary toc_peers_step(const struct toc_peers_options *o,
                                        struct toc_peer *const *members, const double *values,
                                        size_t count, struct toc_peer_result *out, double *scratch);

#endif
