/* The ring of exemplars inside the database. */
#ifndef TOC_METRICDB_EXEMPLAR_PRIV_H
#define TOC_METRICDB_EXEMPLAR_PRIV_H

#include "base/map.h"
#include "metricdb/exemplar.h"
#include "sys/thread.h"

struct toc_exemplar_series;

struct toc_exemplar_slot {
    struct toc_exemplar_series *series; /* NULL: free */
    struct toc_exemplar exemplar;       /* labels owned */
    uint32_t next;                      /* the next newer one of the series; its own place: none */
};

struct toc_exemplars {
    struct toc_mutex mutex;
    struct toc_exemplar_slot *slots; /* made with the first exemplar */
    size_t limit, count, next;
    uint64_t added;        /* ever; the nth one went to place n % limit */
    struct toc_map series; /* encoded labels → struct toc_exemplar_series */
};

void toc_exemplars_init(struct toc_exemplars *x, size_t limit);
void toc_exemplars_fini(struct toc_exemplars *x);

#endif
