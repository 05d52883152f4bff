/*
 * The labels of a data point: its attributes (sorted by key; names that collide after translation
 * have their values joined by ';'), promoted resource attributes, the scope, job and instance. What
 * stands later in this list wins, but a promoted attribute gives way to the point's own.
 */
#ifndef TOC_REMOTE_OTLP_LABELS_H
#define TOC_REMOTE_OTLP_LABELS_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/vec.h"
#include "model/labels.h"
#include "remote/otlp.h"
#include "remote/otlp_message.h"

enum { OTLP_ATTRIBUTES_MAX = 256 }; /* of one set; the store takes fewer labels */

struct otlp_label_list {
    TOC_VEC_FIELDS(struct toc_label)
};

struct otlp_labels {
    struct otlp_label_list promoted, scope; /* names translated */
    struct toc_sv job, instance;            /* {NULL,0}: none */
    bool is_resource_bad, is_scope_bad;     /* a text in them is no UTF-8, or no name */
    struct otlp_label_list point;           /* sorted by name, without __name__ */
    struct {
        TOC_VEC_FIELDS(const struct otlp_attribute *)
    } order;
};

void otlp_labels_fini(struct otlp_labels *l);

/* What all points of a resource, of a scope have in common. Texts live in the arena or the message.
 */
void otlp_labels_set_resource(struct otlp_labels *l, const struct toc_otlp_options *o,
                              const struct otlp_resource *r, struct toc_arena *arena);
void otlp_labels_set_scope(struct otlp_labels *l, const struct toc_otlp_options *o,
                           const struct otlp_scope *s, struct toc_arena *arena);
/* A key of what resource and scope give. */
struct toc_hash128 otlp_labels_common_key(const struct otlp_labels *l, uint64_t seed);
/* Makes l->point. TOC_EINVAL: a bad text or name; TOC_ELIMIT: too many attributes. */
int otlp_labels_set_point(struct otlp_labels *l, const struct toc_otlp_options *o,
                          const struct otlp_attributes *a, struct toc_arena *arena) TOC_MUST_CHECK;
/* The same for target_info. TOC_ENODATA: the resource says nothing beyond who it is, or not who it
 * is. */
int otlp_labels_set_target(struct otlp_labels *l, const struct toc_otlp_options *o,
                           const struct otlp_resource *r, struct toc_arena *arena) TOC_MUST_CHECK;

/* l->point with a metric name and perhaps one label more (which wins), without empty values, in the
 * arena. count 0: the arena is full. */
struct toc_labels otlp_labels_series(const struct otlp_labels *l, struct toc_sv metric,
                                     struct toc_label extra, struct toc_arena *arena);

#endif
