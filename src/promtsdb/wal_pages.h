/* The records of one segment of a log, put together from their fragments and unpacked. */
#ifndef TOC_PROMTSDB_WAL_PAGES_H
#define TOC_PROMTSDB_WAL_PAGES_H

#include "base/buf.h"

struct toc_prom_wal_pages {
    struct toc_sv bytes; /* the whole segment, borrowed */
    size_t at;           /* of the next fragment */
    size_t record_at;    /* where the record at hand began */
    struct toc_buf packed, record;
    /* Out: a place that was passed over since the last record. */
    bool has_damage;
    size_t damage_at;
    const char *damage;
};

void toc_prom_wal_pages_init(struct toc_prom_wal_pages *p, struct toc_sv segment);
void toc_prom_wal_pages_fini(struct toc_prom_wal_pages *p);
/* The next record, valid until the next call; false at the end. Look at has_damage either way. */
bool toc_prom_wal_pages_next(struct toc_prom_wal_pages *p, struct toc_sv *out);

#endif
