/*
 * Models in the store, namespace "detector", key NAME/VERSION (ten digits), the last five versions
 * of each:
 *
 *     u8 format · u64 hash of what the model depends on · zigzag trained_at · varint points · u8
 * method robust_z:          varint series × {labels, varint n, n × f64 window, oldest first}
 *     isolation_forest:  varint length, forest · features × {f64 lower, f64 upper}
 *                        varint series × {labels, features × {f64 centre, f64 scale}}
 *     others:            detector_stream.h; one version only, kept every minute
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rules/detector_stream.h"

enum { FORMAT = 1, KEY_MAX = 80, BLOB_BYTES_MAX = 16 << 20 };
static const char NAMESPACE[] = "detector";

static struct toc_sv key_of(const struct detector *x, int64_t version, char out[KEY_MAX]) {
    int n = snprintf(out, KEY_MAX, "%.*s/%010lld", TOC_SV_ARG(x->config.name), (long long)version);
    return toc_sv_make(out, (size_t)n);
}

static void encode_window(const struct toc_robust_window *w, struct toc_buf *out) {
    toc_buf_append_varint(out, w->count);
    for (size_t i = 0; i < w->count; i++)
        toc_buf_append_f64(out, w->ring[(w->head + w->capacity - w->count + i) % w->capacity]);
}

static void encode_series(const struct detector *x, struct toc_buf *out) {
    size_t cursor = 0;
    toc_buf_append_varint(out, x->series.count);
    for (const struct toc_map_entry *e; (e = toc_map_next(&x->series, &cursor));) {
        const struct detector_series *s = e->value;
        toc_labels_encode(s->labels, out);
        if (x->config.method == TOC_DETECTOR_ROBUST_Z)
            encode_window(&s->window, out);
        for (size_t f = 0; x->config.method == TOC_DETECTOR_FOREST && f < x->config.feature_count;
             f++) {
            toc_buf_append_f64(out, s->has_norms ? s->norms[f].centre : 0);
            toc_buf_append_f64(out, s->has_norms ? s->norms[f].scale : 0);
        }
    }
}

static void encode(const struct detector *x, struct toc_buf *out) {
    toc_buf_append_u8(out, FORMAT);
    toc_buf_append_u64(out, x->config.model_hash);
    toc_buf_append_zigzag(out, x->trained_at.ms);
    toc_buf_append_varint(out, x->training_points);
    toc_buf_append_u8(out, (uint8_t)x->config.method);
    if (x->config.method == TOC_DETECTOR_FOREST) {
        struct toc_buf forest = TOC_BUF_INIT;
        toc_iforest_encode(x->forest, &forest);
        toc_buf_append_varint(out, forest.n);
        toc_buf_append_sv(out, toc_buf_sv(&forest));
        toc_buf_fini(&forest);
        for (size_t f = 0; f < x->config.feature_count; f++) {
            toc_buf_append_f64(out, x->band_lower[f]);
            toc_buf_append_f64(out, x->band_upper[f]);
        }
    }
    if (toc_detector_is_stream(&x->config))
        toc_detector_stream_encode(x, out);
    else
        encode_series(x, out);
}

void toc_detector_save(struct toc_detectors *d, const struct detector *x) {
    struct toc_blob_store *store = d->options.store;
    char key[KEY_MAX];
    if (!store)
        return;
    struct toc_buf value = {.limit_bytes = BLOB_BYTES_MAX};
    encode(x, &value);
    int rc = toc_buf_error(&value);
    if (rc == 0)
        rc = store->put(store, NAMESPACE, key_of(x, x->model_version, key), toc_buf_sv(&value),
                        NULL);
    int64_t old = x->model_version - TOC_DETECTOR_VERSIONS_KEPT;
    if (rc == 0 && old > 0)
        rc = store->remove(store, NAMESPACE, key_of(x, old, key), NULL);
    if (rc < 0)
        d->stats.store_failures++;
    toc_buf_fini(&value);
}

static int decode_window(struct toc_reader *r, struct detector *x, struct detector_series *s) {
    uint64_t count = toc_read_varint(r);
    if (r->error || count > toc_reader_left(r) / 8)
        return TOC_ECORRUPT;
    toc_robust_window_fini(&s->window);
    int rc = toc_robust_window_init(&s->window, toc_detector_window_points(&x->config));
    for (uint64_t i = 0; rc == 0 && i < count; i++)
        toc_robust_window_add(&s->window, toc_read_f64(r));
    return rc ? rc : r->error;
}

static int decode_norms(struct toc_reader *r, struct detector *x, struct detector_series *s) {
    s->has_norms = true;
    for (size_t f = 0; f < x->config.feature_count; f++) {
        s->norms[f].centre = toc_read_f64(r);
        s->norms[f].scale = toc_read_f64(r);
        s->has_norms = s->has_norms && isfinite(s->norms[f].centre) && s->norms[f].scale > 0 &&
                       isfinite(s->norms[f].scale);
    }
    return r->error;
}

static int decode_series(struct toc_detectors *d, struct toc_reader *r, struct detector *x,
                         struct toc_ts now) {
    struct toc_arena arena = TOC_ARENA_INIT;
    uint64_t count = toc_read_varint(r);
    int rc = r->error;
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        struct toc_labels labels;
        rc = toc_labels_decode(r, &arena, &labels);
        struct detector_series *s = rc ? NULL : toc_detector_series(d, x, labels);
        if (!s) {
            rc = rc ? rc : TOC_ELIMIT;
            break;
        }
        s->seen_ms = now.ms;
        rc = x->config.method == TOC_DETECTOR_FOREST ? decode_norms(r, x, s)
                                                     : decode_window(r, x, s);
    }
    toc_arena_fini(&arena);
    return rc;
}

static int decode_forest(struct toc_reader *r, struct detector *x) {
    int rc = toc_iforest_decode(toc_read_string(r), &x->forest, NULL);
    for (size_t f = 0; rc == 0 && f < x->config.feature_count; f++) {
        x->band_lower[f] = toc_read_f64(r);
        x->band_upper[f] = toc_read_f64(r);
    }
    if (rc == 0 && toc_iforest_info(x->forest).columns != x->config.feature_count)
        rc = TOC_ECORRUPT;
    return rc ? rc : r->error;
}

/* TOC_ENOENT when the model belongs to another configuration. */
static int decode(struct toc_detectors *d, struct toc_sv bytes, struct detector *x,
                  struct toc_ts now) {
    struct toc_reader r = toc_reader_make(bytes);
    if (toc_read_u8(&r) != FORMAT)
        return TOC_EVERSION;
    if (toc_read_u64(&r) != x->config.model_hash)
        return TOC_ENOENT;
    x->trained_at.ms = toc_read_zigzag(&r);
    x->training_points = toc_read_varint(&r);
    bool is_same = toc_read_u8(&r) == (uint8_t)x->config.method;
    /* A window whose values are older than training would look back says nothing of today. */
    bool is_old = x->config.method == TOC_DETECTOR_ROBUST_Z &&
                  now.ms - x->trained_at.ms > x->config.history_ms;
    if (r.error || !is_same || is_old || x->trained_at.ms > now.ms)
        return r.error ? r.error : TOC_ENOENT;
    int rc = x->config.method == TOC_DETECTOR_FOREST ? decode_forest(&r, x) : 0;
    if (rc == 0)
        rc = toc_detector_is_stream(&x->config) ? toc_detector_stream_decode(d, &r, x)
                                                : decode_series(d, &r, x, now);
    if (rc == 0 && x->caught_up_ms > now.ms)
        rc = TOC_ENOENT; /* the clock went back: history decides */
    if (rc == 0 && toc_reader_left(&r))
        rc = TOC_ECORRUPT;
    return rc;
}

/* NAME of NAME/VERSION, and the version; false for a foreign key. */
static bool split_key(struct toc_sv key, struct toc_sv *out_name, int64_t *out_version) {
    if (key.n < 12 || key.p[key.n - 11] != '/')
        return false;
    *out_name = toc_sv_sub(key, 0, key.n - 11);
    *out_version = 0;
    for (size_t i = key.n - 10; i < key.n; i++) {
        if (key.p[i] < '0' || key.p[i] > '9')
            return false;
        *out_version = *out_version * 10 + (key.p[i] - '0');
    }
    return true;
}

struct search {
    struct toc_sv name;
    int64_t newest;
};

static int find_newest(void *ctx, struct toc_sv key, struct toc_sv value) {
    struct search *s = ctx;
    struct toc_sv name;
    int64_t version;
    (void)value;
    if (split_key(key, &name, &version) && toc_sv_eq(name, s->name))
        s->newest = TOC_MAX(s->newest, version);
    return 0;
}

void toc_detector_load(struct toc_detectors *d, struct detector *x, struct toc_ts now) {
    struct toc_blob_store *store = d->options.store;
    struct search s = {.name = x->config.name};
    char key[KEY_MAX];
    if (!store)
        return;
    int rc = store->each(store, NAMESPACE, find_newest, &s, NULL);
    struct toc_buf value = TOC_BUF_INIT;
    if (rc == 0 && s.newest > 0)
        rc = store->get(store, NAMESPACE, key_of(x, s.newest, key), &value, NULL);
    x->model_version = s.newest; /* numbers are never used twice */
    if (rc == 0 && s.newest > 0)
        rc = decode(d, toc_buf_sv(&value), x, now);
    if (rc < 0) {
        toc_iforest_free(&x->forest);
        toc_detector_series_clear(d, x);
        x->trained_at.ms = 0;
        x->training_points = 0;
        x->caught_up_ms = 0;
        d->stats.store_failures += rc != TOC_ENOENT;
    }
    toc_buf_fini(&value);
}

struct sweep {
    struct toc_detectors *d;
    TOC_VEC(struct toc_sv) gone; /* owned */
};

static int find_gone(void *ctx, struct toc_sv key, struct toc_sv value) {
    struct sweep *s = ctx;
    struct toc_sv name;
    int64_t version;
    (void)value;
    bool is_known = false;
    if (split_key(key, &name, &version))
        for (size_t i = 0; i < s->d->count && !is_known; i++)
            is_known = toc_sv_eq(s->d->items[i]->config.name, name);
    if (!is_known)
        TOC_VEC_PUSH(&s->gone, toc_sv_make(toc_sv_dup_cstr(key), key.n));
    return 0;
}

void toc_detector_store_sweep(struct toc_detectors *d) {
    struct toc_blob_store *store = d->options.store;
    struct sweep s = {.d = d};
    if (!store)
        return;
    if (store->each(store, NAMESPACE, find_gone, &s, NULL) < 0)
        d->stats.store_failures++;
    for (size_t i = 0; i < s.gone.count; i++) {
        if (store->remove(store, NAMESPACE, s.gone.items[i], NULL) < 0)
            d->stats.store_failures++;
        toc_free((void *)(uintptr_t)s.gone.items[i].p);
    }
    TOC_VEC_FINI(&s.gone);
}
