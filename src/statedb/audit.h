/*
 * The audit log: append-only rows in a hash chain, hash = BLAKE2b-256(previous hash | fields), so
 * that a changed, removed or reordered row is found. Triggers refuse UPDATE and DELETE.
 */
#ifndef TOC_STATEDB_AUDIT_H
#define TOC_STATEDB_AUDIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/sv.h"
#include "base/time.h"
#include "statedb/statedb.h"

enum { TOC_AUDIT_HASH_BYTES = 32 };

struct toc_audit_entry {
    int64_t seq; /* 1, 2, 3, … ; filled by the store */
    struct toc_ts at;
    struct toc_sv actor;                      /* who */
    struct toc_sv route;                      /* "POST incidents/ID/acknowledge" */
    struct toc_sv object;                     /* on what */
    struct toc_sv outcome;                    /* "ok" or the error's text */
    unsigned char hash[TOC_AUDIT_HASH_BYTES]; /* filled by the store */
};

/* Durable when it returns 0. */
int toc_audit_append(struct toc_statedb *db, const struct toc_audit_entry *e,
                     struct toc_err *err) TOC_MUST_CHECK;
/* Newest first, at most `limit` (0 = 100). Views are borrowed for the call. */
int toc_audit_list(struct toc_statedb *db, size_t limit,
                   int (*fn)(void *ctx, const struct toc_audit_entry *e), void *ctx,
                   struct toc_err *err) TOC_MUST_CHECK;

struct toc_audit_head {
    int64_t count;
    unsigned char hash[TOC_AUDIT_HASH_BYTES]; /* of the last row; zeros when empty */
};
/* Recomputes the chain. TOC_ECORRUPT names the first bad row. A cut-off tail is found by comparing
 * with a head noted earlier. */
int toc_audit_verify(struct toc_statedb *db, struct toc_audit_head *out,
                     struct toc_err *err) TOC_MUST_CHECK;

#endif
