/* model/blob_store.h on the state database. */
#ifndef TOC_STATEDB_BLOBS_H
#define TOC_STATEDB_BLOBS_H

#include "model/blob_store.h"
#include "statedb/statedb.h"

struct toc_blobs {
    struct toc_blob_store base;
    struct toc_statedb *db; /* borrowed */
};

/* Fills *b; use &b->base. Limits: key 1 KiB, value 64 MiB. */
void toc_blobs_init(struct toc_blobs *b, struct toc_statedb *db);

#endif
