/* Types, help texts and units of metrics as the store knew them when it was asked last. */
#ifndef TOC_FORWARD_METADATA_H
#define TOC_FORWARD_METADATA_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "metricdb/metricdb.h"

struct toc_forward_metadata {
    struct toc_arena arena;
    struct toc_map by_name; /* of items of `rows` */
    TOC_VEC(struct toc_metric_metadata) rows;
};

void toc_forward_metadata_fini(struct toc_forward_metadata *m);
void toc_forward_metadata_refresh(struct toc_forward_metadata *m, struct toc_metricdb *db);
/* Of the metric itself, or of the family that it belongs to by its suffix; NULL: not known. */
const struct toc_metric_metadata *toc_forward_metadata_find(const struct toc_forward_metadata *m,
                                                            struct toc_sv metric);

#endif
