/*
 * Observations gathered into an exponential histogram of bounded size: when there are more buckets
 * than OBSERVATION_BUCKETS_MAX, every two become one (the schema falls by one).
 */
#ifndef TOC_REMOTE_OBSERVATIONS_H
#define TOC_REMOTE_OBSERVATIONS_H

#include "base/vec.h"
#include "model/histogram.h"

enum { OBSERVATION_BUCKETS_MAX = 160, OBSERVATION_SCHEMA = 3 };

struct observations {
    int32_t schema;
    double count, sum, zero_count;
    struct observation_side {
        TOC_VEC_FIELDS(struct observation_bucket {
            int32_t index;
            double count;
        })
    } positive, negative; /* by rising index */
};

void observations_init(struct observations *o);
void observations_fini(struct observations *o);
/* `weight` observations of a finite value. */
void observations_add(struct observations *o, double value, double weight);
/* As a sample; in the arena, NULL without memory. */
const struct toc_histogram *observations_histogram(const struct observations *o,
                                                   struct toc_arena *a);

#endif
