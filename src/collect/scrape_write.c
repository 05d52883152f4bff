/* Points of a scrape into the store by reference. */
#include "base/alloc.h"
#include "collect/scrape_cache_priv.h"

enum { ROUNDS_MAX = 3, LABELS_BYTES = 512 << 20 };

/* Points and their samples, one for one. */
struct batch {
    TOC_VEC_FIELDS(struct toc_metricdb_sample)
    struct scrape_series **owners;
};

/* Asks the store for a series; false: it does not take it, which is counted. */
static bool make_known(struct scrape_series *s, struct scrape_cache *c, struct toc_metricdb *db,
                       struct toc_write_result *io) {
    enum toc_reject_reason reason = TOC_REJECT_INVALID_LABELS;
    toc_arena_reset(&c->scratch);
    struct toc_labels labels = toc_scrape_series_labels(s, &c->scratch);
    s->ref = 0;
    if (!toc_metricdb_series_ref(db, labels, &s->ref, &reason))
        return true;
    io->rejected[reason]++;
    return false;
}

/* Those of series that the store does not take are left out. */
static void fill(struct batch *b, struct scrape_cache *c, struct toc_metricdb *db,
                 struct toc_write_result *io) {
    for (size_t i = 0; i < c->points.count; i++) {
        const struct scrape_point *p = &c->points.items[i];
        if (!p->series->ref && !make_known(p->series, c, db, io))
            continue;
        b->owners[b->count] = p->series;
        b->items[b->count++] = (struct toc_metricdb_sample){
            .ref = p->series->ref, .t_ms = p->t_ms, .value = p->value, .histogram = p->histogram};
    }
}

/* Those whose series the store has forgotten stay, with a new reference. */
static void keep_unknown(struct batch *b, struct scrape_cache *c, struct toc_metricdb *db,
                         struct toc_write_result *io) {
    size_t kept = 0;
    for (size_t i = 0; i < b->count; i++) {
        struct scrape_series *s = b->owners[i];
        if (b->items[i].ref || !make_known(s, c, db, io))
            continue;
        b->owners[kept] = s;
        b->items[kept] = b->items[i];
        b->items[kept++].ref = s->ref;
    }
    b->count = kept;
}

static void add_result(struct toc_write_result *sum, const struct toc_write_result *r) {
    sum->accepted += r->accepted;
    for (int i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        sum->rejected[i] += r->rejected[i];
}

static int write_batch(struct batch *b, struct scrape_cache *c, struct toc_metricdb *db,
                       struct toc_write_result *io, uint64_t *out_ticket, struct toc_err *err) {
    for (int round = 0; b->count; round++) {
        struct toc_write_result r;
        size_t unknown;
        if (round == ROUNDS_MAX)
            return toc_errf(err, TOC_EBUSY, "series were forgotten while they were written");
        uint64_t ticket;
        int rc = toc_metricdb_put_refs(db, b->items, b->count, &r, &unknown, &ticket, err);
        if (rc)
            return rc;
        *out_ticket = TOC_MAX(*out_ticket, ticket);
        add_result(io, &r);
        if (!unknown)
            return 0;
        keep_unknown(b, c, db, io);
    }
    return 0;
}

int toc_scrape_cache_write(struct scrape_cache *c, struct toc_metricdb *db,
                           struct toc_write_result *out_result, uint64_t *out_ticket,
                           struct toc_err *err) {
    struct batch b = {0};
    *out_ticket = 0;
    *out_result = (struct toc_write_result){0};
    TOC_VEC_RESERVE(&b, c->points.count);
    b.owners = TOC_NEW_ARRAY(struct scrape_series *, c->points.count + 1);
    fill(&b, c, db, out_result);
    toc_scrape_write_starts(c, db);
    int rc = write_batch(&b, c, db, out_result, out_ticket, err);
    TOC_VEC_FINI(&b);
    toc_free(b.owners);
    toc_scrape_cache_forget_points(c);
    return rc;
}

int toc_scrape_cache_write_sink(struct scrape_cache *c, struct toc_sink *sink,
                                struct toc_write_result *out_result, struct toc_err *err) {
    struct toc_point *points = TOC_NEW_ARRAY(struct toc_point, c->points.count + 1);
    struct toc_arena labels;
    toc_arena_init(&labels, LABELS_BYTES);
    for (size_t i = 0; i < c->points.count; i++) {
        const struct scrape_point *p = &c->points.items[i];
        points[i] = (struct toc_point){toc_scrape_series_labels(p->series, &labels), p->t_ms,
                                       p->value, p->histogram};
    }
    int rc = labels.overflowed
                 ? toc_errf(err, TOC_ELIMIT, "the labels of %zu samples need more than %d MiB",
                            c->points.count, LABELS_BYTES >> 20)
                 : sink->write(sink, points, c->points.count, out_result, err);
    toc_arena_fini(&labels);
    toc_free(points);
    toc_scrape_cache_forget_points(c);
    return rc;
}
