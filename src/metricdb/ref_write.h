/*
 * Samples by reference, each with an origin that says whose it is, on their way into the store.
 * Between the look-up of a reference and the write the store may forget an idle series: its
 * samples are written again under a new reference.
 */
#ifndef TOC_METRICDB_REF_WRITE_H
#define TOC_METRICDB_REF_WRITE_H

#include "metricdb/metricdb.h"

/* `samples` and `origins` are arrays of `count`; what is written again moves to their front.
 * The functions get `owner` and a pointer to an origin. */
struct toc_ref_write {
    struct toc_metricdb *db;
    struct toc_metricdb_sample *samples;
    void *origins;
    size_t origin_bytes; /* of one */
    size_t count;
    /* NULL: what was written is durable on return. Else it gets the ticket to wait for, if there is
     * one (toc_metricdb_put_refs). */
    uint64_t *ticket;
    void *owner;
    /* The reference of the origin's series; 0: refused, and told so. */
    uint64_t (*resolve)(void *owner, const void *origin);
    /* The store refused the sample. */
    void (*reject)(void *owner, const void *origin, enum toc_reject_reason reason);
};

/* Adds the samples that the store took to *written. 0, or the store's failure: TOC_EBUSY when
 * series were forgotten three times over. One thread. */
int toc_ref_write(struct toc_ref_write *w, size_t *written, struct toc_err *err) TOC_MUST_CHECK;

#endif
