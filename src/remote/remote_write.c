#include "remote/remote_write.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "codec/protobuf.h"
#include "remote/write_batch_priv.h"

enum { CACHE_ENTRIES_MAX = 1 << 21, IDLE_MAX = 16, KEPT_SAMPLES_MAX = 1 << 17 };

struct toc_remote_write {
    struct toc_metricdb *db;
    struct toc_clock *clock;
    struct toc_label_cache cache;
    struct toc_mutex mutex; /* guards the two below */
    struct write_batch *idle;
    size_t idle_count;
    atomic_ullong requests[TOC_REMOTE_MESSAGE_COUNT];
    atomic_ullong samples, histograms, exemplars, failed, bytes;
    atomic_ullong rejected[TOC_REJECT_REASON_COUNT];
};

struct toc_remote_write *toc_remote_write_new(struct toc_metricdb *db, struct toc_clock *clock) {
    struct toc_remote_write *rw = TOC_NEW(struct toc_remote_write);
    rw->db = db;
    rw->clock = clock;
    toc_label_cache_init(&rw->cache, CACHE_ENTRIES_MAX);
    toc_mutex_init(&rw->mutex, TOC_LOCK_REMOTE);
    return rw;
}

static void free_batch(struct write_batch *b) {
    TOC_VEC_FINI(&b->series);
    TOC_VEC_FINI(&b->samples);
    TOC_VEC_FINI(&b->exemplars);
    toc_starts_fini(&b->starts);
    TOC_VEC_FINI(&b->labels);
    TOC_VEC_FINI(&b->symbols);
    TOC_VEC_FINI(&b->symbol_hashes);
    toc_buf_fini(&b->gathered);
    toc_arena_fini(&b->arena);
    toc_free(b);
}

void toc_remote_write_free(struct toc_remote_write **rwp) {
    struct toc_remote_write *rw = *rwp;
    if (!rw)
        return;
    while (rw->idle) {
        struct write_batch *b = rw->idle;
        rw->idle = b->next_idle;
        free_batch(b);
    }
    toc_label_cache_fini(&rw->cache);
    toc_mutex_fini(&rw->mutex);
    toc_free(rw);
    *rwp = NULL;
}

static struct write_batch *take_batch(struct toc_remote_write *rw) {
    toc_mutex_lock(&rw->mutex);
    struct write_batch *b = rw->idle;
    if (b) {
        rw->idle = b->next_idle;
        rw->idle_count--;
    }
    toc_mutex_unlock(&rw->mutex);
    if (!b) {
        b = TOC_NEW(struct write_batch);
        toc_arena_init(&b->arena, TOC_REMOTE_ARENA_BYTES);
    }
    b->db = rw->db;
    b->cache = &rw->cache;
    b->latest_ms = toc_clock_now(rw->clock).ms + TOC_REMOTE_FUTURE_MS;
    b->told = 0;
    b->parse_error = 0;
    b->ahead_count = 0;
    b->has_histograms = false;
    b->wants_starts = false;
    b->series.count = b->samples.count = b->exemplars.count = b->starts.count = 0;
    b->symbols.count = b->symbol_hashes.count = 0;
    return b;
}

static void give_batch(struct toc_remote_write *rw, struct write_batch *b) {
    bool is_kept = b->samples.capacity <= KEPT_SAMPLES_MAX;
    toc_arena_reset(&b->arena);
    toc_mutex_lock(&rw->mutex);
    is_kept = is_kept && rw->idle_count < IDLE_MAX;
    if (is_kept) {
        b->next_idle = rw->idle;
        rw->idle = b;
        rw->idle_count++;
    }
    toc_mutex_unlock(&rw->mutex);
    if (!is_kept)
        free_batch(b);
}

int toc_write_exemplar(struct write_batch *b, struct toc_sv body, double *out_value,
                       int64_t *out_t_ms) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    int rc = 0;
    *out_value = 0;
    *out_t_ms = 0;
    /* 1.0 reads the whole body: its labels are the fields 1 of it. */
    if (b->message == TOC_REMOTE_WRITE_1)
        rc = toc_write_labels_1(b, body);
    else
        b->labels.count = 0;
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);) {
        if (f.number == 1 && b->message == TOC_REMOTE_WRITE_2)
            rc = toc_write_labels_2(b, toc_pb_bytes(&r, &f));
        else if (f.number == 2)
            *out_value = toc_pb_double(&r, &f);
        else if (f.number == 3)
            *out_t_ms = toc_pb_i64(&r, &f);
    }
    return rc ? rc : r.error;
}

static void count(struct toc_remote_write *rw, enum toc_remote_message message, size_t bytes,
                  const struct toc_remote_outcome *o, int rc) {
    atomic_fetch_add_explicit(&rw->requests[message], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&rw->bytes, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&rw->failed, rc != 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&rw->samples, o->samples, memory_order_relaxed);
    atomic_fetch_add_explicit(&rw->histograms, o->histograms, memory_order_relaxed);
    atomic_fetch_add_explicit(&rw->exemplars, o->exemplars, memory_order_relaxed);
    for (size_t i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        if (o->rejected[i])
            atomic_fetch_add_explicit(&rw->rejected[i], o->rejected[i], memory_order_relaxed);
}

int toc_remote_write_receive(struct toc_remote_write *rw, enum toc_remote_message message,
                             bool is_echo, struct toc_sv body, struct toc_remote_outcome *out,
                             struct toc_err *err) {
    struct write_batch *b = take_batch(rw);
    *out = (struct toc_remote_outcome){0};
    b->out = out;
    b->message = message;
    b->is_echo = is_echo;
    b->takes_starts =
        message == TOC_REMOTE_WRITE_2 && !is_echo && toc_metricdb_wants_starts(rw->db);
    int admitted = toc_metricdb_admits(rw->db, err), rc = admitted;
    if (!rc)
        rc =
            message == TOC_REMOTE_WRITE_1 ? toc_write_parse_1(b, body) : toc_write_parse_2(b, body);
    if (rc && !admitted)
        toc_errf(err, rc, "the body is no %s: %s",
                 message == TOC_REMOTE_WRITE_1 ? "prometheus.WriteRequest"
                                               : "io.prometheus.write.v2.Request",
                 toc_strerror(rc));
    else if (!rc)
        rc = toc_write_commit(b, err);
    if (rc)
        out->samples = out->histograms = out->exemplars = 0;
    count(rw, message, body.n, out, rc);
    give_batch(rw, b);
    return rc;
}

void toc_remote_write_stats(struct toc_remote_write *rw, struct toc_remote_write_stats *out) {
    *out = (struct toc_remote_write_stats){
        .samples = atomic_load(&rw->samples),
        .histograms = atomic_load(&rw->histograms),
        .exemplars = atomic_load(&rw->exemplars),
        .failed_requests = atomic_load(&rw->failed),
        .bytes = atomic_load(&rw->bytes),
        .cached_series = toc_label_cache_count(&rw->cache),
    };
    for (size_t i = 0; i < TOC_REMOTE_MESSAGE_COUNT; i++)
        out->requests[i] = atomic_load(&rw->requests[i]);
    for (size_t i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        out->rejected[i] = atomic_load(&rw->rejected[i]);
}
