#include "metricdb/start_sample.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "metricdb/metricdb_priv.h"

const char *toc_start_verdict_text(enum toc_start_verdict v) {
    static const char *const texts[] = {
#define X(name, text) text,
        TOC_START_VERDICT_TABLE(X)
#undef X
    };
    return v < TOC_START_VERDICT_COUNT ? texts[v] : "unknown";
}

enum toc_start_verdict toc_start_judge(int64_t start_ms, int64_t t_ms, int64_t last_ms,
                                       const struct toc_start_bounds *bounds) {
    if (start_ms <= last_ms)
        return TOC_START_KNOWN;
    if (start_ms > bounds->ceiling_ms)
        return TOC_START_IN_FUTURE;
    if (start_ms >= t_ms)
        return TOC_START_NOT_BEFORE_SAMPLE;
    return start_ms <= bounds->floor_ms ? TOC_START_TOO_OLD : TOC_START_WRITTEN;
}

bool toc_metricdb_wants_starts(const struct toc_metricdb *db) {
    return db->wants_starts;
}

/* --- the list --- */

void toc_starts_add(struct toc_starts *s, uint64_t ref, int64_t start_ms, int64_t t_ms,
                    const struct toc_histogram *histogram, uint32_t origin) {
    if (histogram &&
        (histogram->reset_hint == TOC_RESET_GAUGE || toc_histogram_is_stale(histogram)))
        start_ms = 0;
    struct toc_start x = {ref, start_ms, t_ms, histogram, origin, (uint32_t)s->count};
    TOC_VEC_PUSH(s, x);
}

void toc_starts_fini(struct toc_starts *s) {
    TOC_VEC_FINI(s);
}

/* Series by series, each in the order in which its samples came. */
static int by_series(const void *a, const void *b) {
    const struct toc_start *x = a, *y = b;
    if (x->ref != y->ref)
        return x->ref < y->ref ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* --- writing --- */

/* Zeros on their way; histograms has room for all, so that the samples may point into it. */
struct zeros {
    struct toc_metricdb *db;
    toc_starts_resolver *resolve;
    void *owner;
    struct toc_start_bounds bounds;
    struct {
        TOC_VEC_FIELDS(struct toc_metricdb_sample)
    } samples;
    struct toc_histogram *histograms;
    size_t histogram_count;
    uint64_t counts[TOC_START_VERDICT_COUNT];
};

static struct toc_start_bounds bounds_now(struct toc_metricdb *db) {
    int64_t now = toc_clock_now(db->clock).ms;
    int64_t sealed = atomic_load_explicit(&db->sealed_ms, memory_order_acquire);
    return (struct toc_start_bounds){TOC_MAX(sealed, now - db->limits.block_span_ms / 2),
                                     now + db->limits.future_tolerance_ms};
}

/* The newest sample of a series in the head: what is in blocks lies at or before the floor. False:
 * the reference is unknown. */
static bool find_last(struct toc_metricdb *db, uint64_t ref, int64_t *out_last_ms) {
    struct toc_head_shard *shard;
    struct toc_series *s = toc_head_ref_lock(&db->head, ref, &shard);
    int64_t first;
    if (!s)
        return false;
    (void)toc_series_bounds(s, &first, out_last_ms);
    toc_mutex_unlock(&shard->mutex);
    return true;
}

/* Empty, with what makes the series' histograms comparable. */
static const struct toc_histogram *zero_of(struct zeros *z, const struct toc_histogram *h) {
    struct toc_histogram *zero = &z->histograms[z->histogram_count++];
    *zero = (struct toc_histogram){.schema = h->schema,
                                   .reset_hint = TOC_RESET_YES,
                                   .zero_threshold = h->zero_threshold,
                                   .custom_bounds = h->custom_bounds,
                                   .custom_bound_count = h->custom_bound_count};
    return zero;
}

static void put_zero(struct zeros *z, uint64_t ref, const struct toc_start *x) {
    struct toc_metricdb_sample sample = {.ref = ref, .t_ms = x->start_ms};
    if (x->histogram)
        sample.histogram = zero_of(z, x->histogram);
    TOC_VEC_PUSH(&z->samples, sample);
}

/* Samples of one series. */
static void judge_series(struct zeros *z, const struct toc_start *x, size_t count) {
    int64_t last_ms = INT64_MIN;
    uint64_t ref = x->ref;
    if (!find_last(z->db, ref, &last_ms)) {
        ref = z->resolve(z->owner, x->origin);
        if (!ref || !find_last(z->db, ref, &last_ms))
            return; /* its samples will be refused, too */
    }
    for (size_t i = 0; i < count; i++) {
        if (x[i].start_ms) {
            enum toc_start_verdict v =
                toc_start_judge(x[i].start_ms, x[i].t_ms, last_ms, &z->bounds);
            z->counts[v]++;
            if (v == TOC_START_WRITTEN) {
                put_zero(z, ref, &x[i]);
                last_ms = x[i].start_ms;
            }
        }
        last_ms = TOC_MAX(last_ms, x[i].t_ms);
    }
}

static void write_zeros(struct zeros *z) {
    struct toc_write_result result;
    uint64_t ticket;
    size_t unknown, wanted = z->samples.count;
    struct toc_err err = {0};
    if (!wanted)
        return;
    if (toc_metricdb_put_refs(z->db, z->samples.items, wanted, &result, &unknown, &ticket, &err))
        result.accepted = 0;
    z->counts[TOC_START_WRITTEN] -= wanted - result.accepted;
    z->counts[TOC_START_NOT_STORED] += wanted - result.accepted;
}

static void count(struct toc_metricdb *db, const struct zeros *z) {
    for (int i = 0; i < TOC_START_VERDICT_COUNT; i++)
        if (z->counts[i])
            atomic_fetch_add_explicit(&db->starts[i], z->counts[i], memory_order_relaxed);
}

void toc_starts_write(struct toc_starts *s, struct toc_metricdb *db, toc_starts_resolver *resolve,
                      void *owner) {
    struct zeros z = {.db = db, .resolve = resolve, .owner = owner, .bounds = bounds_now(db)};
    if (!s->count)
        return;
    qsort(s->items, s->count, sizeof *s->items, by_series);
    z.histograms = TOC_NEW_ARRAY(struct toc_histogram, s->count);
    for (size_t i = 0, n; i < s->count; i += n) {
        for (n = 1; i + n < s->count && s->items[i + n].ref == s->items[i].ref; n++) {
        }
        judge_series(&z, &s->items[i], n);
    }
    write_zeros(&z);
    count(db, &z);
    TOC_VEC_FINI(&z.samples);
    toc_free(z.histograms);
    s->count = 0;
}
