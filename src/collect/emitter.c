#include "collect/emitter.h"

#include <string.h>

#include "base/alloc.h"

struct toc_emitter_series {
    struct toc_labels labels; /* owned */
    struct toc_sv key;        /* owned; place in the map */
    enum toc_metric_type type;
    unsigned group;
    uint64_t cycle; /* last cycle that reported it */
};

enum { KEY_MAX = 2048 };

void toc_emitter_init(struct toc_emitter *e, struct toc_labels base) {
    *e = (struct toc_emitter){.base = toc_labels_dup(base)};
}

static void series_free(struct toc_emitter_series *s) {
    toc_labels_free(&s->labels);
    toc_free((void *)(uintptr_t)s->key.p);
    toc_free(s);
}

void toc_emitter_fini(struct toc_emitter *e) {
    for (size_t i = 0; i < e->series.count; i++)
        series_free(e->series.items[i]);
    TOC_VEC_FINI(&e->series);
    TOC_VEC_FINI(&e->points);
    toc_map_fini(&e->by_key);
    toc_map_fini(&e->described);
    toc_labels_free(&e->base);
}

void toc_emitter_begin(struct toc_emitter *e, struct toc_ts now) {
    e->now = now;
    e->cycle++;
    e->groups_run = 0;
    e->points.count = 0;
}

void toc_emitter_group(struct toc_emitter *e, unsigned group) {
    e->group = group % TOC_EMITTER_GROUPS_MAX;
    e->groups_run |= 1u << e->group;
}

/* Appends bytes and a separator that no UTF-8 text holds; false when the key is full. */
static bool key_add(char *key, size_t *n, const char *p, size_t size) {
    if (size + 1 > KEY_MAX - *n)
        return false;
    if (size)
        memcpy(key + *n, p, size);
    *n += size;
    key[(*n)++] = '\xff';
    return true;
}

static struct toc_emitter_series *series_new(struct toc_emitter *e, struct toc_sv key,
                                             const char *name, const struct toc_label *labels,
                                             size_t count) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_add_all(&b, e->base);
    for (size_t i = 0; i < count; i++)
        toc_labels_builder_set(&b, labels[i].name, labels[i].value);
    toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_sv_cstr(name));
    struct toc_emitter_series *s = TOC_NEW(struct toc_emitter_series);
    s->labels = toc_labels_dup(toc_labels_builder_finish(&b));
    toc_labels_builder_fini(&b);
    s->key = toc_sv_make(toc_xmemdup(key.p, key.n), key.n);
    toc_map_put(&e->by_key, key, s);
    TOC_VEC_PUSH(&e->series, s);
    return s;
}

void toc_emitter_put(struct toc_emitter *e, const char *name, enum toc_metric_type type,
                     const struct toc_label *labels, size_t count, double value) {
    char bytes[KEY_MAX];
    size_t n = 0;
    bool fits = key_add(bytes, &n, name, strlen(name));
    for (size_t i = 0; fits && i < count; i++)
        fits = key_add(bytes, &n, labels[i].value.p, labels[i].value.n);
    struct toc_sv key = toc_sv_make(bytes, n);
    struct toc_emitter_series *s = fits ? toc_map_get(&e->by_key, key) : NULL;
    if (!s && (!fits || e->series.count >= TOC_EMITTER_SERIES_MAX)) {
        e->dropped++;
        return;
    }
    if (!s)
        s = series_new(e, key, name, labels, count);
    if (s->cycle == e->cycle)
        return;
    s->cycle = e->cycle;
    s->type = type;
    s->group = e->group;
    TOC_VEC_PUSH(&e->points, toc_float_point(s->labels, e->now.ms, value));
}

static void describe_new(struct toc_emitter *e, struct toc_sink *sink) {
    if (!sink->metadata)
        return;
    for (size_t i = 0; i < e->series.count; i++) {
        const struct toc_emitter_series *s = e->series.items[i];
        struct toc_sv name = toc_labels_get(s->labels, TOC_METRIC_NAME);
        if (toc_map_has(&e->described, name))
            continue;
        toc_map_put(&e->described, name, e);
        sink->metadata(sink, name, s->type, TOC_SV_NULL, TOC_SV_NULL);
    }
}

static bool is_gone(const struct toc_emitter *e, const struct toc_emitter_series *s) {
    return s->cycle != e->cycle && (e->groups_run >> s->group & 1);
}

/* Frees what the markers of this cycle stood for; the points borrow its labels, so after the
 * write. */
static void forget_gone(struct toc_emitter *e) {
    size_t kept = 0;
    for (size_t i = 0; i < e->series.count; i++) {
        struct toc_emitter_series *s = e->series.items[i];
        if (is_gone(e, s)) {
            toc_map_remove(&e->by_key, s->key);
            series_free(s);
        } else {
            e->series.items[kept++] = s;
        }
    }
    e->series.count = kept;
}

int toc_emitter_flush(struct toc_emitter *e, struct toc_sink *sink, struct toc_err *err) {
    size_t before = e->points.count;
    for (size_t i = 0; i < e->series.count; i++) {
        const struct toc_emitter_series *s = e->series.items[i];
        if (is_gone(e, s))
            TOC_VEC_PUSH(&e->points, toc_float_point(s->labels, e->now.ms, toc_stale_nan()));
    }
    if (e->described.count < e->series.count)
        describe_new(e, sink);
    struct toc_write_result result = {0};
    int rc =
        e->points.count ? sink->write(sink, e->points.items, e->points.count, &result, err) : 0;
    if (e->points.count > before)
        forget_gone(e);
    e->points.count = 0;
    return rc;
}

int toc_emitter_end_all(struct toc_emitter *e, struct toc_ts now, struct toc_sink *sink,
                        struct toc_err *err) {
    toc_emitter_begin(e, now);
    e->groups_run = UINT32_MAX;
    return toc_emitter_flush(e, sink, err);
}
