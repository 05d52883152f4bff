/* What people changed about the monitoring itself: thresholds, first of all. Append-only. */
#ifndef TOC_STATEDB_CHANGES_H
#define TOC_STATEDB_CHANGES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/sv.h"
#include "base/time.h"
#include "model/incident_store.h"
#include "statedb/statedb.h"

/* Durable when it returns 0; *out_id (may be NULL) rises with every change. c->id is ignored. */
int toc_changes_add(struct toc_statedb *db, const struct toc_change *c, int64_t *out_id,
                    struct toc_err *err) TOC_MUST_CHECK;
/* Newest first, at most `limit` (0 = 100), only those of incident_id unless it is empty. */
int toc_changes_list(struct toc_statedb *db, struct toc_sv incident_id, size_t limit,
                     toc_on_change *fn, void *ctx, struct toc_err *err) TOC_MUST_CHECK;

#endif
