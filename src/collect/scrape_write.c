/* Points of a scrape into the store by reference. */
#include "base/alloc.h"
#include "collect/scrape_cache_priv.h"
#include "metricdb/ref_write.h"

enum { LABELS_BYTES = 512 << 20 };

struct writing {
    struct scrape_cache *cache;
    struct toc_metricdb *db;
    struct toc_write_result *result;
};

/* Asks the store for a series; 0: it does not take it, which is counted. */
static uint64_t make_known(void *ctx, const void *origin) {
    struct writing *w = ctx;
    struct scrape_series *s = *(struct scrape_series *const *)origin;
    enum toc_reject_reason reason = TOC_REJECT_INVALID_LABELS;
    toc_arena_reset(&w->cache->scratch);
    struct toc_labels labels = toc_scrape_series_labels(s, &w->cache->scratch);
    s->ref = 0;
    if (toc_metricdb_series_ref(w->db, labels, &s->ref, &reason))
        w->result->rejected[reason]++;
    return s->ref;
}

static void count_rejected(void *ctx, const void *origin, enum toc_reject_reason reason) {
    (void)origin;
    ((struct writing *)ctx)->result->rejected[reason]++;
}

/* Samples and their series, one for one. Those of series that the store does not take are left
 * out. */
static size_t fill(struct writing *w, struct toc_metricdb_sample *samples,
                   struct scrape_series **owners) {
    size_t count = 0;
    for (size_t i = 0; i < w->cache->points.count; i++) {
        const struct scrape_point *p = &w->cache->points.items[i];
        if (!p->series->ref && !make_known(w, &p->series))
            continue;
        owners[count] = p->series;
        samples[count++] = (struct toc_metricdb_sample){
            .ref = p->series->ref, .t_ms = p->t_ms, .value = p->value, .histogram = p->histogram};
    }
    return count;
}

int toc_scrape_cache_write(struct scrape_cache *c, struct toc_metricdb *db,
                           struct toc_write_result *out_result, uint64_t *out_ticket,
                           struct toc_err *err) {
    struct writing writing = {c, db, out_result};
    size_t room = c->points.count + 1;
    struct toc_metricdb_sample *samples = toc_xalloc(toc_vec_bytes(room, sizeof *samples));
    struct scrape_series **owners = toc_xalloc(toc_vec_bytes(room, sizeof *owners));
    *out_ticket = 0;
    *out_result = (struct toc_write_result){0};
    struct toc_ref_write w = {.db = db,
                              .samples = samples,
                              .origins = owners,
                              .origin_bytes = sizeof *owners,
                              .count = fill(&writing, samples, owners),
                              .ticket = out_ticket,
                              .owner = &writing,
                              .resolve = make_known,
                              .reject = count_rejected};
    toc_scrape_write_starts(c, db);
    int rc = toc_ref_write(&w, &out_result->accepted, err);
    toc_free(samples);
    toc_free(owners);
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
