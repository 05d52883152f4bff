/* The states of the watch over every series, kept over a restart. References to series do not
 * outlive one: the hash of the labels does. */
#include <stdlib.h>

#include "base/alloc.h"
#include "detect/model_frame.h"
#include "rules/series_watch_priv.h"

static const char MAGIC[TOC_MODEL_MAGIC_BYTES] = {'T', 'S', 'W', '1'};
enum { KEPT_MS = 3600000, SERIES_BYTES = 8 + TOC_ANOMALY_BIT_BYTES };

struct writing {
    struct toc_series_watch *w;
    struct toc_buf content;
    uint64_t count;
};

/* A state that could not be read again (of values near the largest number) is left out. */
static void put(struct writing *x, uint64_t hash, const struct toc_anomaly_bit *bit) {
    size_t before = x->content.n;
    struct toc_anomaly_bit ignored;
    if (before + SERIES_BYTES > TOC_SERIES_WATCH_STATE_BYTES_MAX - 64)
        return;
    toc_buf_append_u64(&x->content, hash);
    toc_anomaly_bit_encode(bit, &x->content);
    struct toc_reader r =
        toc_reader_make(toc_sv_sub(toc_buf_sv(&x->content), before + 8, SIZE_MAX));
    if (toc_anomaly_bit_decode(&r, &ignored) == 0)
        x->count++;
    else
        x->content.n = before;
}

static void put_page(struct writing *x, size_t page) {
    struct toc_newest_source *source = x->w->options.source;
    struct toc_arena arena;
    toc_arena_init(&arena, LABEL_BYTES_MAX);
    for (size_t i = 0; i < PAGE_SERIES; i++) {
        const struct watched *s = &x->w->pages[page][i];
        uint64_t ref = (uint64_t)s->generation << 32 | (page * PAGE_SERIES + i);
        struct toc_labels labels;
        if (s->kind != WATCHED || !s->bit.last_ms)
            continue;
        if (source->labels(source, ref, &arena, &labels))
            put(x, toc_labels_hash(labels), &s->bit);
        toc_arena_reset(&arena);
    }
    toc_arena_fini(&arena);
}

void toc_series_watch_encode(struct toc_series_watch *w, struct toc_buf *out) {
    struct writing x = {.w = w};
    size_t start = out->n;
    bool has_more = true;
    for (size_t page = 0; has_more; page++) {
        toc_mutex_lock(&w->mutex);
        has_more = page < w->page_count;
        if (has_more && w->pages[page])
            put_page(&x, page);
        toc_mutex_unlock(&w->mutex);
    }
    toc_mutex_lock(&w->mutex);
    for (size_t i = 0; i < w->kept_count; i++) /* not seen again yet */
        if (!w->kept[i].is_taken)
            put(&x, w->kept[i].hash, &w->kept[i].bit);
    toc_mutex_unlock(&w->mutex);
    toc_buf_append(out, MAGIC, sizeof MAGIC);
    toc_buf_append_varint(out, x.count);
    toc_buf_append(out, x.content.p, x.content.n);
    if (toc_buf_error(&x.content) && !out->error)
        out->error = toc_buf_error(&x.content);
    toc_model_frame_end(out, start);
    toc_buf_fini(&x.content);
}

static int by_hash(const void *a, const void *b) {
    const struct kept *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

static int read_kept(struct toc_reader *r, struct kept **out, size_t *out_count) {
    uint64_t count = toc_read_varint(r);
    if (r->error || count > toc_reader_left(r) / 8)
        return r->error ? r->error : TOC_ECORRUPT;
    struct kept *kept = toc_try_calloc(count + 1, sizeof *kept);
    int rc = kept ? 0 : TOC_ENOMEM;
    for (size_t i = 0; i < count && rc == 0; i++) {
        kept[i].hash = toc_read_u64(r);
        rc = r->error ? r->error : toc_anomaly_bit_decode(r, &kept[i].bit);
    }
    if (rc == 0 && toc_reader_left(r) > 0)
        rc = TOC_ECORRUPT;
    if (rc < 0) {
        toc_free(kept);
        return rc;
    }
    qsort(kept, count, sizeof *kept, by_hash);
    *out = kept;
    *out_count = count;
    return 0;
}

int toc_series_watch_restore(struct toc_series_watch *w, struct toc_sv bytes) {
    struct toc_reader r;
    struct kept *kept = NULL;
    size_t count = 0;
    int rc = toc_model_frame_open(bytes, MAGIC, &r);
    if (rc == 0)
        rc = read_kept(&r, &kept, &count);
    if (rc < 0)
        return rc;
    toc_mutex_lock(&w->mutex);
    toc_free(w->kept);
    w->kept = kept;
    w->kept_count = count;
    w->kept_until_ms = 0;
    toc_mutex_unlock(&w->mutex);
    return 0;
}

const struct toc_anomaly_bit *toc_series_watch_take_kept(struct toc_series_watch *w, uint64_t hash,
                                                         bool is_counter) {
    const struct kept wanted = {.hash = hash};
    struct kept *k =
        w->kept ? bsearch(&wanted, w->kept, w->kept_count, sizeof *w->kept, by_hash) : NULL;
    if (!k || k->is_taken || k->bit.is_counter != is_counter)
        return NULL;
    k->is_taken = true;
    return &k->bit;
}

void toc_series_watch_drop_kept(struct toc_series_watch *w, int64_t now_ms) {
    if (w->kept && w->kept_until_ms == 0)
        w->kept_until_ms = now_ms + KEPT_MS;
    if (!w->kept || now_ms < w->kept_until_ms)
        return;
    toc_free(w->kept);
    w->kept = NULL;
    w->kept_count = 0;
}
