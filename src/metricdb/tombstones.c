#include "metricdb/tombstones.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/vec.h"

#define MAGIC "TOCDEL01"
enum { VERSION = 1, FILE_MAX = 256 << 20 };
static const char *const g_names[] = {"deleted", "deleted2"};

static int by_place(const void *a, const void *b) {
    const struct toc_tombstone *x = a, *y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    return (x->min_ms > y->min_ms) - (x->min_ms < y->min_ms);
}

static struct toc_tombstones *make(size_t capacity) {
    struct toc_tombstones *t = toc_xalloc(sizeof *t + toc_vec_bytes(capacity, sizeof *t->items));
    atomic_init(&t->refs, 1);
    t->count = 0;
    return t;
}

/* Behind the last one, or into it when they meet. */
static void add(struct toc_tombstones *t, struct toc_tombstone x) {
    struct toc_tombstone *last = t->count ? &t->items[t->count - 1] : NULL;
    bool meets = last && last->series == x.series &&
                 (last->max_ms == INT64_MAX || x.min_ms <= last->max_ms + 1);
    if (!meets)
        t->items[t->count++] = x;
    else if (x.max_ms > last->max_ms)
        last->max_ms = x.max_ms;
}

struct toc_tombstones *toc_tombstones_merge(const struct toc_tombstones *old,
                                            struct toc_tombstone *more, size_t count) {
    size_t before = old ? old->count : 0, i = 0, k = 0;
    struct toc_tombstones *t = make(before + count);
    if (count)
        qsort(more, count, sizeof *more, by_place);
    while (i < before || k < count) {
        bool from_old = k == count || (i < before && by_place(&old->items[i], &more[k]) <= 0);
        add(t, from_old ? old->items[i++] : more[k++]);
    }
    return t;
}

struct toc_tombstones *toc_tombstones_ref(struct toc_tombstones *t) {
    if (t)
        atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void toc_tombstones_unref(struct toc_tombstones **io) {
    struct toc_tombstones *t = *io;
    *io = NULL;
    if (t && atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1)
        toc_free(t);
}

const struct toc_tombstone *toc_tombstones_of(const struct toc_tombstones *t, uint32_t series,
                                              size_t *out_count) {
    size_t low = 0, high = t ? t->count : 0, end;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (t->items[middle].series < series)
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low; t && end < t->count && t->items[end].series == series;)
        end++;
    *out_count = end - low;
    return end > low ? &t->items[low] : NULL;
}

/* --- files --- */

int toc_tombstones_write(const struct toc_tombstones *t, struct toc_vfs *vfs, const char *block) {
    struct toc_buf b = TOC_BUF_INIT;
    uint32_t series = 0;
    toc_buf_append_cstr(&b, MAGIC);
    toc_buf_append_u32(&b, VERSION);
    toc_buf_append_u32(&b, 0);
    toc_buf_append_varint(&b, t->count);
    for (size_t i = 0; i < t->count; i++) {
        const struct toc_tombstone *x = &t->items[i];
        toc_buf_append_varint(&b, x->series - series);
        toc_buf_append_zigzag(&b, x->min_ms);
        toc_buf_append_varint(&b, (uint64_t)x->max_ms - (uint64_t)x->min_ms);
        series = x->series;
    }
    toc_buf_append_u32(&b, toc_crc32c(0, b.p, b.n));
    int rc = toc_buf_error(&b);
    for (size_t i = 0; i < TOC_ARRAY_LEN(g_names) && !rc; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", block, g_names[i]);
        rc = toc_vfs_write_file(vfs, path, toc_buf_sv(&b));
    }
    toc_buf_fini(&b);
    return rc;
}

static int parse(struct toc_sv bytes, struct toc_tombstones **out) {
    struct toc_reader r = toc_reader_make(bytes);
    struct toc_sv magic = toc_read_bytes(&r, sizeof MAGIC - 1);
    uint32_t version = toc_read_u32(&r), crc;
    toc_read_u32(&r);
    uint64_t n = toc_read_varint(&r), series = 0;
    if (r.error || bytes.n < 4 || !toc_sv_eq(magic, TOC_SV(MAGIC)) || version != VERSION ||
        n > toc_reader_left(&r))
        return TOC_ECORRUPT;
    memcpy(&crc, bytes.p + bytes.n - 4, 4);
    if (crc != toc_crc32c(0, bytes.p, bytes.n - 4))
        return TOC_ECORRUPT;
    struct toc_tombstones *t = make((size_t)n);
    for (uint64_t i = 0; i < n; i++) {
        series += toc_read_varint(&r);
        int64_t min_ms = toc_read_zigzag(&r);
        int64_t max_ms = (int64_t)((uint64_t)min_ms + toc_read_varint(&r));
        t->items[t->count++] = (struct toc_tombstone){(uint32_t)series, min_ms, max_ms};
    }
    if (r.error || toc_reader_left(&r) != 4)
        toc_tombstones_unref(&t);
    *out = t;
    return t ? 0 : TOC_ECORRUPT;
}

int toc_tombstones_read_copy(struct toc_vfs *vfs, const char *block, unsigned copy,
                             struct toc_tombstones **out) {
    char path[4096];
    struct toc_buf bytes = {.limit_bytes = FILE_MAX + 4096};
    *out = NULL;
    snprintf(path, sizeof path, "%s/%s", block, g_names[copy]);
    int rc = toc_vfs_read_file(vfs, path, FILE_MAX, &bytes);
    if (!rc)
        rc = parse(toc_buf_sv(&bytes), out);
    toc_buf_fini(&bytes);
    return rc;
}

int toc_tombstones_read(struct toc_vfs *vfs, const char *block, struct toc_tombstones **out,
                        unsigned *out_damaged) {
    unsigned missing = 0;
    int first = 0;
    *out = NULL;
    *out_damaged = 0;
    for (unsigned i = 0; i < TOC_ARRAY_LEN(g_names) && !*out; i++) {
        int rc = toc_tombstones_read_copy(vfs, block, i, out);
        missing += rc == TOC_ENOENT;
        *out_damaged += rc == TOC_ECORRUPT;
        first = first ? first : rc == TOC_ENOENT ? 0 : rc;
    }
    /* The first one is written first: a crash in between leaves it alone. */
    return *out || missing == TOC_ARRAY_LEN(g_names) ? 0 : first;
}
