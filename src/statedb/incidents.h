/* model/incident_store.h on the state database. */
#ifndef TOC_STATEDB_INCIDENTS_H
#define TOC_STATEDB_INCIDENTS_H

#include "model/incident_store.h"
#include "statedb/statedb.h"

struct toc_incidents {
    struct toc_incident_store base;
    struct toc_statedb *db; /* borrowed */
};

/* Fills *s; use &s->base. */
void toc_incidents_init(struct toc_incidents *s, struct toc_statedb *db);

#endif
