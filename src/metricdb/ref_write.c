#include "metricdb/ref_write.h"

#include <string.h>

enum { ROUNDS_MAX = 3 };

static void *origin_at(const struct toc_ref_write *w, size_t i) {
    return (char *)w->origins + i * w->origin_bytes;
}

static void tally(const struct toc_ref_write *w, const struct toc_write_result *result,
                  size_t *written) {
    *written += result->accepted;
    for (size_t i = 0; i < w->count && result->accepted < w->count; i++) {
        const struct toc_metricdb_sample *s = &w->samples[i];
        if (s->ref && s->refused)
            w->reject(w->owner, origin_at(w, i), (enum toc_reject_reason)(s->refused - 1));
    }
}

/* Of the samples only those stay whose series the store forgot, under new references. */
static void resolve_again(struct toc_ref_write *w) {
    size_t kept = 0;
    for (size_t i = 0; i < w->count; i++) {
        struct toc_metricdb_sample s = w->samples[i];
        if (s.ref || !(s.ref = w->resolve(w->owner, origin_at(w, i))))
            continue;
        s.refused = 0;
        w->samples[kept] = s;
        memmove(origin_at(w, kept++), origin_at(w, i), w->origin_bytes);
    }
    w->count = kept;
}

static int put(struct toc_ref_write *w, struct toc_write_result *result, size_t *unknown,
               struct toc_err *err) {
    uint64_t ticket;
    if (!w->ticket)
        return toc_metricdb_write_refs(w->db, w->samples, w->count, result, unknown, err);
    int rc = toc_metricdb_put_refs(w->db, w->samples, w->count, result, unknown, &ticket, err);
    if (!rc)
        *w->ticket = TOC_MAX(*w->ticket, ticket);
    return rc;
}

int toc_ref_write(struct toc_ref_write *w, size_t *written, struct toc_err *err) {
    for (int round = 0; w->count; round++) {
        struct toc_write_result result;
        size_t unknown;
        if (round == ROUNDS_MAX)
            return toc_errf(err, TOC_EBUSY, "series were forgotten while they were written");
        int rc = put(w, &result, &unknown, err);
        if (rc)
            return rc;
        tally(w, &result, written);
        if (!unknown)
            break;
        resolve_again(w);
    }
    return 0;
}
