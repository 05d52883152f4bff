/* The parts of maintenance (db_maintain.c) that live in files of their own. All under the maintain
 * mutex. */
#ifndef TOC_METRICDB_SEAL_H
#define TOC_METRICDB_SEAL_H

#include "metricdb/metricdb_priv.h"

/* Makes blocks of what is old enough; *out_worked: samples left the head. */
int toc_metricdb_seal(struct toc_metricdb *db, bool *out_worked) TOC_MUST_CHECK;

#endif
