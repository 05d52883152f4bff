/* The newest samples in the head, as model/newest.h has them. Histograms are left out. */
#ifndef TOC_METRICDB_NEWEST_H
#define TOC_METRICDB_NEWEST_H

#include "metricdb/metricdb.h"
#include "model/newest.h"

struct toc_metricdb_newest {
    struct toc_newest_source base;
    struct toc_metricdb *db; /* borrowed */
};
void toc_metricdb_newest_init(struct toc_metricdb_newest *n, struct toc_metricdb *db);

#endif
