#include "remote/otlp.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "remote/otlp_translate.h"
#include "sys/thread.h"

enum {
    CACHE_ENTRIES_MAX = 1 << 20,
    DELTA_SERIES_MAX = 100000,
    /* Memory of the messages under way: how much of it, and how much a byte of a message takes. */
    UNDER_WAY_BYTES_MAX = 256 << 20,
    JSON_FACTOR = 14,
    PROTO_FACTOR = 5,
    DELTA_BYTES_MAX = 64 << 20,
    DELTA_IDLE_MS = 5 * 60 * 1000,
};

/* An immutable copy of the options. */
struct options {
    atomic_uint refs;
    struct toc_otlp_options o;
    uint64_t generation;
    struct toc_arena arena;
};

struct toc_otlp {
    struct toc_metricdb *db;
    struct toc_clock *clock;
    struct otlp_delta *delta;
    struct toc_label_cache cache;
    struct toc_mutex mutex; /* guards the pointer */
    struct options *options;
    atomic_size_t under_way_bytes; /* of memory, estimated */
    atomic_ullong busy;
    atomic_ullong requests[TOC_OTLP_ENCODING_COUNT];
    atomic_ullong points, rejected_points, samples, exemplars, rejected_exemplars, failed, bytes;
    atomic_ullong refused[TOC_OTLP_REFUSAL_COUNT];
    atomic_ullong rejected[TOC_REJECT_REASON_COUNT];
};

/* --- options --- */

static const struct toc_sv *sorted_copy(struct toc_arena *a, const struct toc_sv *from,
                                        size_t count) {
    struct toc_sv *items = TOC_ARENA_NEW_ARRAY(a, struct toc_sv, count + 1);
    for (size_t i = 0; items && i < count; i++)
        items[i] = toc_arena_dup_sv(a, from[i]);
    if (items)
        toc_sv_sort(items, count);
    return items;
}

/* Keys of series made under other options mean something else. */
static atomic_ullong g_generations = 1;

static struct options *new_options(const struct toc_otlp_options *from) {
    struct options *p = TOC_NEW(struct options);
    atomic_init(&p->refs, 1);
    p->o = *from;
    p->generation = atomic_fetch_add_explicit(&g_generations, 1, memory_order_relaxed);
    p->o.promoted = sorted_copy(&p->arena, from->promoted, from->promoted_count);
    p->o.ignored = sorted_copy(&p->arena, from->ignored, from->ignored_count);
    return p;
}

static void unref_options(struct options *p) {
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    toc_arena_fini(&p->arena);
    toc_free(p);
}

static struct options *ref_options(struct toc_otlp *o) {
    toc_mutex_lock(&o->mutex);
    struct options *p = o->options;
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    toc_mutex_unlock(&o->mutex);
    return p;
}

void toc_otlp_set_options(struct toc_otlp *o, const struct toc_otlp_options *options) {
    struct options *fresh = new_options(options);
    toc_mutex_lock(&o->mutex);
    struct options *old = o->options;
    o->options = fresh;
    toc_mutex_unlock(&o->mutex);
    unref_options(old);
}

struct toc_otlp *toc_otlp_new(const struct toc_otlp_options *options, struct toc_metricdb *db,
                              struct toc_clock *clock) {
    struct toc_otlp *o = TOC_NEW(struct toc_otlp);
    o->db = db;
    o->clock = clock;
    o->delta = otlp_delta_new();
    o->options = new_options(options);
    toc_label_cache_init(&o->cache, CACHE_ENTRIES_MAX);
    toc_mutex_init(&o->mutex, TOC_LOCK_REMOTE);
    return o;
}

void toc_otlp_free(struct toc_otlp **op) {
    struct toc_otlp *o = *op;
    if (!o)
        return;
    otlp_delta_free(&o->delta);
    toc_label_cache_fini(&o->cache);
    unref_options(o->options);
    toc_mutex_fini(&o->mutex);
    toc_free(o);
    *op = NULL;
}

/* --- messages --- */

static void add_to(atomic_ullong *counter, uint64_t n) {
    if (n)
        atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void count(struct toc_otlp *o, enum toc_otlp_encoding encoding, size_t bytes,
                  const struct toc_otlp_outcome *x, int rc) {
    add_to(&o->requests[encoding], 1);
    add_to(&o->bytes, bytes);
    add_to(&o->failed, rc != 0);
    add_to(&o->points, x->points);
    add_to(&o->rejected_points, x->rejected_points);
    add_to(&o->samples, x->samples);
    add_to(&o->exemplars, x->exemplars);
    add_to(&o->rejected_exemplars, x->rejected_exemplars);
    for (size_t i = 0; i < TOC_OTLP_REFUSAL_COUNT; i++)
        add_to(&o->refused[i], x->refused[i]);
    for (size_t i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        add_to(&o->rejected[i], x->rejected[i]);
}

static int translate(struct toc_otlp *o, const struct options *snapshot,
                     const struct otlp_message *m, struct toc_arena *arena,
                     struct toc_otlp_outcome *out, struct toc_err *err) {
    const struct toc_otlp_options *options = &snapshot->o;
    struct otlp_translation t = {
        .options = options,
        .sink = toc_metricdb_sink(o->db),
        .delta = o->delta,
        .delta_limits = {.max_series = options->delta_max_series ? (size_t)options->delta_max_series
                                                                 : DELTA_SERIES_MAX,
                         .max_bytes = DELTA_BYTES_MAX,
                         .max_idle_ms = options->delta_max_idle_ms ? options->delta_max_idle_ms
                                                                   : DELTA_IDLE_MS},
        .now = toc_clock_mono(o->clock),
        .series = {.options = options,
                   .generation = o->cache.seed ^ snapshot->generation,
                   .arena = arena},
    };
    otlp_batch_init(&t.batch, o->db, &o->cache, &t.series, out);
    int rc = otlp_translate(&t, m, err);
    otlp_batch_fini(&t.batch);
    return rc;
}

/* A large message waits at its sender while others of its size are worked on; a message that comes
 * alone is always taken. */
static bool enter(struct toc_otlp *o, size_t bytes) {
    size_t before = atomic_fetch_add_explicit(&o->under_way_bytes, bytes, memory_order_relaxed);
    if (!before || before + bytes <= UNDER_WAY_BYTES_MAX)
        return true;
    atomic_fetch_sub_explicit(&o->under_way_bytes, bytes, memory_order_relaxed);
    add_to(&o->busy, 1);
    return false;
}

static int receive(struct toc_otlp *o, enum toc_otlp_encoding encoding, struct toc_sv body,
                   struct toc_otlp_outcome *out, struct toc_err *err) {
    struct options *options = ref_options(o);
    struct otlp_message m = {0};
    struct toc_arena arena;
    toc_arena_init(&arena, TOC_OTLP_MESSAGE_BYTES);
    int rc = toc_metricdb_admits(o->db, err);
    if (!rc)
        rc = encoding == TOC_OTLP_JSON ? otlp_decode_json(body, &arena, &m, err)
                                       : otlp_decode_proto(body, &arena, &m, err);
    if (!rc) {
        out->points = m.point_count;
        rc = translate(o, options, &m, &arena, out, err);
    }
    toc_arena_fini(&arena);
    unref_options(options);
    return rc;
}

int toc_otlp_receive(struct toc_otlp *o, enum toc_otlp_encoding encoding, struct toc_sv body,
                     struct toc_otlp_outcome *out, struct toc_err *err) {
    size_t bytes = body.n * (encoding == TOC_OTLP_JSON ? JSON_FACTOR : PROTO_FACTOR);
    int rc;
    *out = (struct toc_otlp_outcome){0};
    if (enter(o, bytes)) {
        rc = receive(o, encoding, body, out, err);
        atomic_fetch_sub_explicit(&o->under_way_bytes, bytes, memory_order_relaxed);
    } else {
        rc = toc_errf(err, TOC_EBUSY, "too many large messages at once; send it again");
    }
    if (rc)
        out->samples = out->exemplars = 0;
    count(o, encoding, body.n, out, rc);
    return rc;
}

void toc_otlp_stats(struct toc_otlp *o, struct toc_otlp_stats *out) {
    struct otlp_delta_stats delta;
    otlp_delta_stats(o->delta, &delta);
    *out = (struct toc_otlp_stats){
        .points = atomic_load(&o->points),
        .rejected_points = atomic_load(&o->rejected_points),
        .samples = atomic_load(&o->samples),
        .exemplars = atomic_load(&o->exemplars),
        .rejected_exemplars = atomic_load(&o->rejected_exemplars),
        .failed_requests = atomic_load(&o->failed),
        .bytes = atomic_load(&o->bytes),
        .busy_requests = atomic_load(&o->busy),
        .delta_series = delta.series,
        .delta_bytes = delta.bytes,
        .delta_evicted = delta.evicted,
    };
    for (size_t i = 0; i < TOC_OTLP_ENCODING_COUNT; i++)
        out->requests[i] = atomic_load(&o->requests[i]);
    for (size_t i = 0; i < TOC_OTLP_REFUSAL_COUNT; i++)
        out->refused[i] = atomic_load(&o->refused[i]);
    for (size_t i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        out->rejected[i] = atomic_load(&o->rejected[i]);
}
