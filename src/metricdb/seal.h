/* The parts of maintenance (db_maintain.c) that live in files of their own. All under the maintain
 * mutex. */
#ifndef TOC_METRICDB_SEAL_H
#define TOC_METRICDB_SEAL_H

#include "metricdb/metricdb_priv.h"

/* Makes blocks of what is old enough; *out_worked: samples left the head. */
int toc_metricdb_seal(struct toc_metricdb *db, bool *out_worked) TOC_MUST_CHECK;

/* Seals everything that the head holds. */
int toc_metricdb_seal_all(struct toc_metricdb *db, bool *out_worked) TOC_MUST_CHECK;
/* Is the window of t_ms being filled with late samples? */
bool toc_metricdb_is_window_busy(struct toc_metricdb *db, int64_t t_ms);
/* Makes one block of several; *out_worked: it found some. is_final: also for the time for which the
 * head has samples. */
int toc_metricdb_merge(struct toc_metricdb *db, bool is_final, bool *out_worked) TOC_MUST_CHECK;

#endif
