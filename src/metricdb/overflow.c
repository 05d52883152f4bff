#include "metricdb/overflow.h"

#include <string.h>

#include "base/hash.h"

void toc_overflow_init(struct toc_overflow *o) {
    memset(o, 0, sizeof *o);
    toc_mutex_init(&o->mutex, TOC_LOCK_METRICDB_NOTES);
}

void toc_overflow_fini(struct toc_overflow *o) {
    toc_mutex_fini(&o->mutex);
}

/* Under the mutex. */
static struct toc_overflow_row *row_of(struct toc_overflow *o, uint64_t key, struct toc_sv job,
                                       struct toc_sv instance, enum toc_reject_reason reason) {
    for (size_t i = 0; i < o->count; i++)
        if (o->rows[i].key == key)
            return &o->rows[i];
    struct toc_overflow_row *r = &o->rows[TOC_OVERFLOW_ROWS - 1];
    if (o->count < TOC_OVERFLOW_ROWS) {
        bool is_last = o->count == TOC_OVERFLOW_ROWS - 1;
        r = &o->rows[o->count++];
        r->key = key;
        r->reason = reason;
        toc_sv_copy(is_last ? TOC_SV("other") : job, r->job, sizeof r->job);
        toc_sv_copy(is_last ? TOC_SV("other") : instance, r->instance, sizeof r->instance);
    }
    return r;
}

void toc_overflow_add(struct toc_overflow *o, struct toc_labels labels,
                      enum toc_reject_reason reason) {
    struct toc_sv job = toc_labels_get(labels, TOC_SV("job"));
    struct toc_sv instance = toc_labels_get(labels, TOC_SV("instance"));
    uint64_t key =
        toc_hash64(instance.p, instance.n, toc_hash64(job.p, job.n, (uint64_t)reason + 1));
    toc_mutex_lock(&o->mutex);
    row_of(o, key ? key : 1, job, instance, reason)->samples++;
    toc_mutex_unlock(&o->mutex);
}

size_t toc_overflow_list(struct toc_overflow *o, struct toc_overflow_row out[TOC_OVERFLOW_ROWS]) {
    toc_mutex_lock(&o->mutex);
    size_t n = o->count;
    memcpy(out, o->rows, n * sizeof *out);
    toc_mutex_unlock(&o->mutex);
    return n;
}
