/* Silences on disk. What the matchers mean is the alert folder's business: here they are bytes. */
#ifndef TOC_STATEDB_SILENCES_H
#define TOC_STATEDB_SILENCES_H

#include <stdbool.h>

#include "base/error.h"
#include "base/sv.h"
#include "base/time.h"
#include "statedb/statedb.h"

struct toc_silence_row {
    struct toc_sv id;
    struct toc_sv matchers; /* encoded by the owner */
    struct toc_ts starts_at, ends_at, updated_at;
    struct toc_sv created_by;
    struct toc_sv comment;
    bool is_until_resolved;
};

/* Inserts or replaces by id; durable when it returns 0. */
int toc_silences_put(struct toc_statedb *db, const struct toc_silence_row *row,
                     struct toc_err *err) TOC_MUST_CHECK;
/* TOC_ENOENT when there is none. */
int toc_silences_remove(struct toc_statedb *db, struct toc_sv id,
                        struct toc_err *err) TOC_MUST_CHECK;
/* All rows ordered by id; views are borrowed for the call. */
int toc_silences_each(struct toc_statedb *db,
                      int (*fn)(void *ctx, const struct toc_silence_row *row), void *ctx,
                      struct toc_err *err) TOC_MUST_CHECK;
/* Forgets silences that ended before `before`. */
int toc_silences_prune(struct toc_statedb *db, struct toc_ts before,
                       struct toc_err *err) TOC_MUST_CHECK;

#endif
