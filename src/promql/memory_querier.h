/* Series in memory behind the querier interface: for tests, rule unit tests and back-tests. */
#ifndef TOC_PROMQL_MEMORY_QUERIER_H
#define TOC_PROMQL_MEMORY_QUERIER_H

#include "base/map.h"
#include "base/vec.h"
#include "model/querier.h"
#include "model/sink.h"

struct toc_memory_series {
    struct toc_labels labels; /* owned */
    TOC_VEC(int64_t) t_ms;
    TOC_VEC(double) values;
    /* As long as t_ms, or empty when the series has none. */
    TOC_VEC(const struct toc_histogram *) histograms; /* NULL entry: a float */
    TOC_VEC(int64_t) start_ms;                        /* 0: unknown */
};

/* One thread at a time; what is open is read by any number of them, and nothing is added meanwhile.
 * `querier` and `sink` are the faces. */
struct toc_memory_querier {
    struct toc_querier querier;
    struct toc_sink sink;
    TOC_VEC_FIELDS(struct toc_memory_series) /* in the order of their first sample */
    struct toc_map index;                    /* encoded labels → position + 1 */
    struct toc_arena arena;                  /* histograms */
};

struct toc_memory_sample {
    int64_t t_ms;
    double value;
    const struct toc_histogram *histogram; /* copied; NULL: a float */
    int64_t start_ms;                      /* 0: unknown */
};

void toc_memory_querier_init(struct toc_memory_querier *q);
void toc_memory_querier_fini(struct toc_memory_querier *q);
void toc_memory_querier_add(struct toc_memory_querier *q, struct toc_labels labels, int64_t t_ms,
                            double value);
/* Times may come in any order; a sample at the time of another one replaces it. */
void toc_memory_querier_add_sample(struct toc_memory_querier *q, struct toc_labels labels,
                                   const struct toc_memory_sample *sample);
/* The series of these labels, or NULL; valid until the next sample is added. */
const struct toc_memory_series *toc_memory_querier_find(const struct toc_memory_querier *q,
                                                        struct toc_labels labels);
void toc_memory_querier_clear(struct toc_memory_querier *q);

#endif
