/* Series in memory behind the querier interface: for tests, rule unit tests and back-tests. */
#ifndef TOC_PROMQL_MEMORY_QUERIER_H
#define TOC_PROMQL_MEMORY_QUERIER_H

#include "base/vec.h"
#include "model/querier.h"
#include "model/sink.h"

struct toc_memory_series {
    struct toc_labels labels; /* owned */
    TOC_VEC(int64_t) t_ms;
    TOC_VEC(double) values;
};

/* One thread at a time. `querier` and `sink` are the faces. */
struct toc_memory_querier {
    struct toc_querier querier;
    struct toc_sink sink;
    TOC_VEC_FIELDS(struct toc_memory_series)
};

void toc_memory_querier_init(struct toc_memory_querier *q);
void toc_memory_querier_fini(struct toc_memory_querier *q);
/* Times of a series must rise. */
void toc_memory_querier_add(struct toc_memory_querier *q, struct toc_labels labels, int64_t t_ms,
                            double value);
void toc_memory_querier_clear(struct toc_memory_querier *q);

#endif
