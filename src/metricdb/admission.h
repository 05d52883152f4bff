/*
 * May a series be made? The limits on series and labels, asked only when a series is new; what is
 * refused is counted by source and reason (overflow.h), and which labels grow is noted (growth.h).
 */
#ifndef TOC_METRICDB_ADMISSION_H
#define TOC_METRICDB_ADMISSION_H

#include <stdatomic.h>
#include <stdbool.h>

#include "metricdb/growth.h"
#include "metricdb/head.h"
#include "metricdb/overflow.h"

struct toc_metricdb;

struct toc_admission {
    struct toc_growth growth;
    struct toc_overflow overflow;
    /* Series made before this window began, as toc_head counts them; for the limit on churn. */
    atomic_uint_fast64_t created_before;
    int64_t window_ns; /* when it began; of the maintenance thread */
};

void toc_admission_init(struct toc_admission *a);
void toc_admission_fini(struct toc_admission *a);
/* The series of the labels with its shard locked, made when missing and admitted; else NULL and the
 * reason, which is counted. is_own: no limit on their number but a wide one. */
struct toc_series *toc_admission_series_lock(struct toc_metricdb *db, struct toc_labels labels,
                                             bool is_own, struct toc_head_shard **out_shard,
                                             enum toc_reject_reason *out_reason);
/* About once a second. */
void toc_admission_tick(struct toc_metricdb *db);

#endif
