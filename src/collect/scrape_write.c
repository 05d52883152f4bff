/* Points of a scrape into the store by reference. */
#include "base/alloc.h"
#include "collect/scrape_cache_priv.h"

enum { ROUNDS_MAX = 3 };

/* The pending points as samples. Those of series that the store does not take are counted and
 * pending no more. */
static void collect(struct scrape_cache *c, struct toc_metricdb *db, struct toc_write_result *io) {
    size_t kept = 0;
    c->samples.count = 0;
    for (size_t i = 0; i < c->pending.count; i++) {
        uint32_t at = c->pending.items[i];
        struct scrape_series *s = c->owners.items[at];
        const struct toc_point *p = &c->points.items[at];
        enum toc_reject_reason reason = TOC_REJECT_INVALID_LABELS;
        if (!s->ref && toc_metricdb_series_ref(db, s->labels, &s->ref, &reason)) {
            io->rejected[reason]++;
            continue;
        }
        struct toc_metricdb_sample x = {.ref = s->ref, .t_ms = p->t_ms, .value = p->value};
        TOC_VEC_PUSH(&c->samples, x);
        c->pending.items[kept++] = at;
    }
    c->pending.count = kept;
}

/* Those whose series the store has forgotten stay pending. */
static void keep_unknown(struct scrape_cache *c) {
    size_t kept = 0;
    for (size_t i = 0; i < c->pending.count; i++) {
        if (c->samples.items[i].ref)
            continue;
        c->owners.items[c->pending.items[i]]->ref = 0;
        c->pending.items[kept++] = c->pending.items[i];
    }
    c->pending.count = kept;
}

static void add_result(struct toc_write_result *sum, const struct toc_write_result *r) {
    sum->accepted += r->accepted;
    for (int i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        sum->rejected[i] += r->rejected[i];
}

int toc_scrape_cache_write(struct scrape_cache *c, struct toc_metricdb *db,
                           struct toc_write_result *out_result, struct toc_err *err) {
    *out_result = (struct toc_write_result){0};
    c->pending.count = 0;
    for (size_t i = 0; i < c->points.count; i++)
        TOC_VEC_PUSH(&c->pending, (uint32_t)i);
    for (int round = 0; c->pending.count; round++) {
        struct toc_write_result r;
        size_t unknown;
        if (round == ROUNDS_MAX)
            return toc_errf(err, TOC_EBUSY, "series were forgotten while they were written");
        collect(c, db, out_result);
        int rc = toc_metricdb_write_refs(db, c->samples.items, c->samples.count, &r, &unknown, err);
        if (rc)
            return rc;
        add_result(out_result, &r);
        keep_unknown(c);
    }
    return 0;
}
