/*
 * The names of series: of a message, where the walk through it stands (resource, scope, metric),
 * and from a data point the labels of each series it gives, or a key that stands for them.
 *
 * The key is made of what the labels are made of, so a series that was seen before is found without
 * its labels; they are made when the series is new, refused or has exemplars, perhaps after the
 * walk has gone on.
 */
#ifndef TOC_REMOTE_OTLP_SERIES_H
#define TOC_REMOTE_OTLP_SERIES_H

#include "base/hash.h"
#include "remote/otlp_labels.h"

/* Which series of its point: a number or native histogram is OTLP_SERIES_SELF; of classic
 * histograms and summaries bucket or quantile i is OTLP_SERIES_PART + i. */
enum { OTLP_SERIES_SELF, OTLP_SERIES_SUM, OTLP_SERIES_COUNT, OTLP_SERIES_PART };

struct otlp_context {
    const struct otlp_resource *resource;
    const struct otlp_scope *scope;
    const struct otlp_metric *metric;
};

struct otlp_series {
    /* set by the caller */
    const struct toc_otlp_options *options;
    uint64_t generation;     /* of the options: part of each key */
    struct toc_arena *arena; /* of the message */

    struct {
        TOC_VEC_FIELDS(struct otlp_context)
    } contexts;             /* of the message so far */
    struct otlp_context at; /* what the following belongs to */
    struct otlp_labels labels;
    const struct otlp_point *ready; /* the point that labels.point belongs to; NULL: none */
    struct toc_sv name, bucket_name, sum_name, count_name;
    struct toc_hash128 common_key, metric_key; /* of resource and scope; of all three */
    struct toc_buf scratch;
};

void otlp_series_fini(struct otlp_series *s);

/* Goes to a metric. False: it has no legal name. */
bool otlp_series_enter(struct otlp_series *s, const struct otlp_resource *r,
                       const struct otlp_scope *scope, const struct otlp_metric *m);
/* The number of the metric entered last, for coming back. */
static inline uint32_t otlp_series_context(const struct otlp_series *s) {
    return (uint32_t)s->contexts.count - 1;
}

/* Comes back to a metric. */
void otlp_series_go_to(struct otlp_series *s, uint32_t context);

/* Keys of a point of the metric entered last, and of one of its series. */
struct toc_hash128 otlp_series_point_key(struct otlp_series *s, const struct otlp_point *p);
struct toc_hash128 otlp_series_key(struct toc_hash128 point_key, const struct otlp_point *p,
                                   uint32_t number);

/* Makes labels.point of a point. TOC_EINVAL: a bad text or name; TOC_ELIMIT: too many attributes.
 */
int otlp_series_prepare(struct otlp_series *s, uint32_t context,
                        const struct otlp_point *p) TOC_MUST_CHECK;
/* The same for target_info of the resource; as otlp_labels_set_target. */
int otlp_series_prepare_target(struct otlp_series *s, const struct otlp_resource *r) TOC_MUST_CHECK;
/* The labels of a series, in `arena`; count 0: as above, or the arena is full. Texts of attributes
 * live in the arena of the message. */
struct toc_labels otlp_series_labels(struct otlp_series *s, uint32_t context,
                                     const struct otlp_point *p, uint32_t number,
                                     struct toc_arena *arena);

#endif
