/* Changes inside somebody else's transaction. */
#ifndef TOC_STATEDB_CHANGES_PRIV_H
#define TOC_STATEDB_CHANGES_PRIV_H

#include "model/incident_store.h"
#include "statedb/statedb_priv.h"

#define TOC_CHANGE_COLUMNS "id, kind, subject, before, after, actor, at, incident_id"

/* The new id. */
int64_t toc_changes_insert(struct toc_txn *t, const struct toc_change *c);
/* Reads the rows of a query over TOC_CHANGE_COLUMNS; returns what fn returned last. */
int toc_changes_read(struct toc_txn *t, toc_on_change *fn, void *ctx);

#endif
