#include "remote/otlp_batch.h"
#include "metricdb/ref_write.h"

#include "base/alloc.h"

enum { ARENA_BYTES = 64 << 20 };

void otlp_batch_init(struct otlp_batch *b, struct toc_metricdb *db, struct toc_label_cache *cache,
                     struct otlp_series *series, struct toc_otlp_outcome *out) {
    *b = (struct otlp_batch){.db = db, .out = out, .cache = cache, .series = series};
    toc_arena_init(&b->arena, ARENA_BYTES);
}

void otlp_batch_fini(struct otlp_batch *b) {
    toc_arena_fini(&b->arena);
    TOC_VEC_FINI(&b->samples);
    TOC_VEC_FINI(&b->origins);
    TOC_VEC_FINI(&b->exemplars);
    TOC_VEC_FINI(&b->is_rejected);
    toc_starts_fini(&b->starts);
}

void otlp_batch_begin_point(struct otlp_batch *b) {
    TOC_VEC_PUSH(&b->is_rejected, false);
}

/* --- refusals --- */

const char *toc_otlp_refusal_text(enum toc_otlp_refusal r) {
    static const char *const texts[] = {
#define X(name, text) text,
        TOC_OTLP_REFUSAL_TABLE(X)
#undef X
    };
    return r < TOC_OTLP_REFUSAL_COUNT ? texts[r] : "unknown";
}

static bool begin_line(struct otlp_batch *b) {
    if (b->told >= OTLP_TEXT_LINES_MAX)
        return false;
    if (b->told++)
        toc_buf_append_char(&b->out->text, '\n');
    return true;
}

static void mark_rejected(struct otlp_batch *b, uint32_t point) {
    if (point >= b->is_rejected.count || b->is_rejected.items[point])
        return;
    b->is_rejected.items[point] = true;
    b->out->rejected_points++;
}

void otlp_batch_refuse(struct otlp_batch *b, enum toc_otlp_refusal reason, struct toc_sv metric) {
    b->out->refused[reason]++;
    mark_rejected(b, (uint32_t)b->is_rejected.count - 1);
    if (begin_line(b))
        toc_buf_printf(&b->out->text, "%s: metric \"%.*s\"", toc_otlp_refusal_text(reason),
                       TOC_SV_ARG(metric));
}

static struct toc_labels labels_of(struct otlp_batch *b, const struct otlp_origin *o) {
    if (!o->point)
        return o->labels;
    return otlp_series_labels(b->series, o->context, o->point, o->number, &b->arena);
}

static void reject(void *owner, const void *of, enum toc_reject_reason reason) {
    struct otlp_batch *b = owner;
    const struct otlp_origin *origin = of;
    b->out->rejected[reason]++;
    if (origin->point)
        mark_rejected(b, origin->place);
    if (!begin_line(b))
        return;
    toc_buf_printf(&b->out->text, "%s: ", toc_reject_text(reason));
    toc_labels_format(labels_of(b, origin), &b->out->text);
}

/* --- samples --- */

/* By its labels; the cache learns it. 0: refused, and told so. */
static uint64_t resolve(void *owner, const void *of) {
    struct otlp_batch *b = owner;
    const struct otlp_origin *origin = of;
    enum toc_reject_reason reason = TOC_REJECT_INVALID_LABELS;
    struct toc_label_cache_entry entry = {.key = origin->key};
    struct toc_labels labels = labels_of(b, origin);
    if (!labels.count)
        return 0; /* the arena is full, which the write tells */
    if (toc_metricdb_series_ref(b->db, labels, &entry.ref, &reason)) {
        reject(b, origin, reason);
        return 0;
    }
    if (origin->point)
        toc_label_cache_put(b->cache, &entry);
    return entry.ref;
}

static void add(struct otlp_batch *b, const struct otlp_origin *origin,
                struct toc_metricdb_sample *s) {
    s->ref = origin->point ? toc_label_cache_get(b->cache, origin->key).ref : 0;
    if (!s->ref)
        s->ref = resolve(b, origin);
    if (!s->ref)
        return;
    TOC_VEC_PUSH(&b->samples, *s);
    TOC_VEC_PUSH(&b->origins, *origin);
}

void otlp_batch_add(struct otlp_batch *b, const struct otlp_point *p, struct toc_hash128 key,
                    uint32_t number, double value, const struct toc_histogram *histogram) {
    struct otlp_origin origin = {.point = p,
                                 .key = key,
                                 .context = otlp_series_context(b->series),
                                 .number = number,
                                 .place = (uint32_t)b->is_rejected.count - 1};
    struct toc_metricdb_sample s = {
        .t_ms = p->time_ns / 1000000, .value = value, .histogram = histogram};
    size_t before = b->samples.count;
    add(b, &origin, &s);
    if (b->tells_start && b->samples.count > before)
        toc_starts_add(&b->starts, b->samples.items[before].ref, b->start_ms, s.t_ms, histogram,
                       (uint32_t)before);
}

void otlp_batch_add_extra(struct otlp_batch *b, struct toc_labels labels, int64_t t_ms,
                          double value) {
    struct otlp_origin origin = {.labels = labels};
    struct toc_metricdb_sample s = {.t_ms = t_ms, .value = value};
    add(b, &origin, &s);
}

void otlp_batch_add_exemplar(struct otlp_batch *b, struct toc_labels series,
                             const struct toc_exemplar *exemplar) {
    struct otlp_batch_exemplar x = {series, *exemplar};
    TOC_VEC_PUSH(&b->exemplars, x);
}

/* --- writing --- */

static uint64_t resolve_start(void *owner, uint32_t origin) {
    struct otlp_batch *b = owner;
    return resolve(b, &b->origins.items[origin]);
}

static int write_samples(struct otlp_batch *b, struct toc_err *err) {
    struct toc_ref_write w = {.db = b->db,
                              .samples = b->samples.items,
                              .origins = b->origins.items,
                              .origin_bytes = sizeof b->origins.items[0],
                              .count = b->samples.count,
                              .owner = b,
                              .resolve = resolve,
                              .reject = reject};
    toc_starts_write(&b->starts, b->db, resolve_start, b);
    return toc_ref_write(&w, &b->out->samples, err);
}

static void write_exemplars(struct otlp_batch *b) {
    for (size_t i = 0; i < b->exemplars.count; i++) {
        const struct otlp_batch_exemplar *x = &b->exemplars.items[i];
        enum toc_exemplar_verdict v = toc_metricdb_exemplar_add(b->db, x->series, &x->exemplar);
        if (v == TOC_EXEMPLAR_KEPT || v == TOC_EXEMPLAR_DUPLICATE)
            b->out->exemplars++;
        else
            b->out->rejected_exemplars++;
    }
    if (b->exemplars.count)
        toc_metricdb_exemplars_save(b->db);
}

int otlp_batch_write(struct otlp_batch *b, struct toc_err *err) {
    int rc = b->arena.overflowed ? toc_errf(err, TOC_ELIMIT, "a data point is too large") : 0;
    if (!rc)
        rc = write_samples(b, err);
    if (!rc)
        write_exemplars(b);
    b->samples.count = b->origins.count = b->exemplars.count = b->is_rejected.count = 0;
    b->starts.count = 0;
    toc_arena_reset(&b->arena);
    return rc;
}
