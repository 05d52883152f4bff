/* Blob and silence stores in memory for simulations of restarts. */
#ifndef TOC_TESTS_SIM_MEMORY_STORE_H
#define TOC_TESTS_SIM_MEMORY_STORE_H

#include "alert/silence.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/map.h"
#include "model/blob_store.h"

struct memory_blobs {
    struct toc_blob_store base;
    struct toc_map map; /* "ns\0key" → struct toc_buf * */
    size_t puts, commits;
    int refuse; /* code with which commits are refused; 0: they are not */
};

static inline struct toc_buf memory_key(const char *ns, struct toc_sv key) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_append(&b, ns, strlen(ns) + 1);
    toc_buf_append_sv(&b, key);
    return b;
}

static inline void memory_drop(struct toc_buf *value) {
    if (value)
        toc_buf_fini(value);
    toc_free(value);
}

static inline int memory_put(struct toc_blob_store *s, const char *ns, struct toc_sv key,
                             struct toc_sv value, struct toc_err *err) {
    (void)err;
    struct memory_blobs *m = (struct memory_blobs *)s;
    struct toc_buf full = memory_key(ns, key);
    struct toc_buf *copy = TOC_NEW(struct toc_buf);
    toc_buf_append_sv(copy, value);
    m->puts++;
    memory_drop(toc_map_put(&m->map, toc_buf_sv(&full), copy));
    toc_buf_fini(&full);
    return 0;
}

static inline int memory_remove(struct toc_blob_store *s, const char *ns, struct toc_sv key,
                                struct toc_err *err) {
    struct memory_blobs *m = (struct memory_blobs *)s;
    struct toc_buf full = memory_key(ns, key);
    (void)err;
    memory_drop(toc_map_remove(&m->map, toc_buf_sv(&full)));
    toc_buf_fini(&full);
    return 0;
}

static inline int memory_get(struct toc_blob_store *s, const char *ns, struct toc_sv key,
                             struct toc_buf *out, struct toc_err *err) {
    (void)err;
    struct memory_blobs *m = (struct memory_blobs *)s;
    struct toc_buf full = memory_key(ns, key);
    const struct toc_buf *value = toc_map_get(&m->map, toc_buf_sv(&full));
    toc_buf_fini(&full);
    if (!value)
        return TOC_ENOENT;
    toc_buf_append_sv(out, toc_buf_sv(value));
    return 0;
}

static inline int memory_each(struct toc_blob_store *s, const char *ns,
                              int (*fn)(void *ctx, struct toc_sv key, struct toc_sv value),
                              void *ctx, struct toc_err *err) {
    (void)err;
    struct memory_blobs *m = (struct memory_blobs *)s;
    const struct toc_map_entry *e;
    int rc = 0;
    for (size_t at = 0; !rc && (e = toc_map_next(&m->map, &at));) {
        size_t n = strlen(ns);
        if (e->key.n > n && !memcmp(e->key.p, ns, n + 1))
            rc = fn(ctx, toc_sv_sub(e->key, n + 1, e->key.n), toc_buf_sv(e->value));
    }
    return rc;
}

static inline int memory_apply(struct toc_blob_store *s, const struct toc_blob_change *changes,
                               size_t count, struct toc_err *err) {
    struct memory_blobs *m = (struct memory_blobs *)s;
    m->commits++;
    if (m->refuse)
        return m->refuse;
    for (size_t i = 0; i < count; i++) {
        const struct toc_blob_change *c = &changes[i];
        if (c->value.n)
            (void)memory_put(s, c->ns, c->key, c->value, err);
        else
            (void)memory_remove(s, c->ns, c->key, err);
    }
    return 0;
}

static inline void memory_blobs_init(struct memory_blobs *m) {
    *m = (struct memory_blobs){
        .base = {memory_put, memory_get, memory_remove, memory_each, memory_apply}};
}

static inline void memory_blobs_fini(struct memory_blobs *m) {
    const struct toc_map_entry *e;
    for (size_t at = 0; (e = toc_map_next(&m->map, &at));)
        memory_drop(e->value);
    toc_map_fini(&m->map);
}

enum { MEMORY_SILENCES = 16 };

struct memory_silences {
    struct toc_silence_store base;
    struct {
        char id[37], matchers[200];
        struct toc_ts starts_at, ends_at, updated_at;
        bool is_until_resolved;
    } rows[MEMORY_SILENCES];
    size_t count;
};

static inline size_t memory_silence_find(const struct memory_silences *m, struct toc_sv id) {
    size_t i = 0;
    while (i < m->count && !toc_sv_eq_cstr(id, m->rows[i].id))
        i++;
    return i;
}

static inline int memory_silence_put(struct toc_silence_store *s,
                                     const struct toc_silence_record *r) {
    struct memory_silences *m = (struct memory_silences *)s;
    size_t i = memory_silence_find(m, r->id);
    if (i == MEMORY_SILENCES)
        return TOC_ENOSPC;
    m->count += i == m->count;
    (void)toc_sv_copy(r->id, m->rows[i].id, sizeof m->rows[i].id);
    (void)toc_sv_copy(r->matchers, m->rows[i].matchers, sizeof m->rows[i].matchers);
    m->rows[i].starts_at = r->starts_at;
    m->rows[i].ends_at = r->ends_at;
    m->rows[i].updated_at = r->updated_at;
    m->rows[i].is_until_resolved = r->is_until_resolved;
    return 0;
}

static inline int memory_silence_remove(struct toc_silence_store *s, struct toc_sv id) {
    struct memory_silences *m = (struct memory_silences *)s;
    size_t i = memory_silence_find(m, id);
    if (i == m->count)
        return TOC_ENOENT;
    m->rows[i] = m->rows[--m->count];
    return 0;
}

static inline int memory_silence_each(struct toc_silence_store *s, toc_on_silence_record *fn,
                                      void *ctx) {
    struct memory_silences *m = (struct memory_silences *)s;
    int rc = 0;
    for (size_t i = 0; i < m->count && !rc; i++) {
        struct toc_silence_record r = {toc_sv_cstr(m->rows[i].id), toc_sv_cstr(m->rows[i].matchers),
                                       m->rows[i].starts_at,       m->rows[i].ends_at,
                                       m->rows[i].updated_at,      TOC_SV("ann"),
                                       TOC_SV("planned"),          m->rows[i].is_until_resolved};
        rc = fn(ctx, &r);
    }
    return rc;
}

static inline void memory_silences_init(struct memory_silences *m) {
    *m = (struct memory_silences){
        .base = {memory_silence_put, memory_silence_remove, memory_silence_each}};
}

#endif
