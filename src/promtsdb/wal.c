#include "promtsdb/wal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/vec.h"
#include "promtsdb/big_endian.h"
#include "promtsdb/wal_histogram.h"
#include "promtsdb/wal_pages.h"

enum { SEGMENT_BYTES_MAX = 1 << 30, CHECKPOINT_PREFIX = sizeof "checkpoint." - 1 };
enum record_kind {
    RECORD_SERIES = 1,
    RECORD_SAMPLES = 2,
    RECORD_DELETIONS = 3,
    RECORD_EXEMPLARS = 4,
    RECORD_MAPPED = 5, /* chunks written to chunks_head, which hold what the log holds */
    RECORD_METADATA = 6,
    RECORD_HISTOGRAMS = 7,
    RECORD_FLOAT_HISTOGRAMS = 8,
    RECORD_CUSTOM_HISTOGRAMS = 9,
    RECORD_CUSTOM_FLOAT_HISTOGRAMS = 10,
};

struct deletion {
    uint64_t ref, record; /* number of the record that says so */
    int64_t min_ms, max_ms;
};

struct reading {
    struct toc_vfs *vfs;
    const char *dir;
    const struct toc_prom_wal_visitor *v;
    bool is_first_pass; /* for deletions only */
    uint64_t record;
    TOC_VEC(struct deletion) deletions;
    TOC_VEC(struct toc_label) labels;
    struct toc_arena arena; /* of the record at hand */
};

/* --- records --- */

static int by_ref(const void *a, const void *b) {
    const struct deletion *x = a, *y = b;
    return x->ref < y->ref ? -1 : x->ref > y->ref;
}

static size_t first_deletion(const struct reading *r, uint64_t ref) {
    size_t low = 0, high = r->deletions.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->deletions.items[middle].ref < ref)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Does a deletion that came later cover it? */
static bool is_deleted(const struct reading *r, uint64_t ref, int64_t t_ms) {
    for (size_t i = first_deletion(r, ref);
         i < r->deletions.count && r->deletions.items[i].ref == ref; i++) {
        const struct deletion *d = &r->deletions.items[i];
        if (d->record > r->record && t_ms >= d->min_ms && t_ms <= d->max_ms)
            return true;
    }
    return false;
}

static int read_series(struct reading *r, struct toc_reader *in) {
    int rc = 0;
    while (toc_reader_left(in) && !in->error && !rc) {
        uint64_t ref = toc_get_be64(in), n = toc_read_varint(in);
        r->labels.count = 0;
        for (uint64_t i = 0; i < n && !in->error; i++) {
            struct toc_label l = {.name = toc_read_string(in)};
            l.value = toc_read_string(in);
            TOC_VEC_PUSH(&r->labels, l);
        }
        if (!in->error)
            rc =
                r->v->series(r->v->ctx, ref, (struct toc_labels){r->labels.items, r->labels.count});
    }
    return rc ? rc : in->error;
}

static int read_samples(struct reading *r, struct toc_reader *in) {
    int rc = 0;
    uint64_t ref = 0, time = 0;
    if (toc_reader_left(in)) {
        ref = toc_get_be64(in);
        time = toc_get_be64(in);
    }
    while (toc_reader_left(in) && !in->error && !rc) {
        uint64_t of = ref + (uint64_t)toc_read_zigzag(in);
        int64_t t_ms = (int64_t)(time + (uint64_t)toc_read_zigzag(in));
        uint64_t bits = toc_get_be64(in);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!in->error && !is_deleted(r, of, t_ms))
            rc = r->v->sample(r->v->ctx, of, t_ms, value);
    }
    return rc ? rc : in->error;
}

static int read_histograms(struct reading *r, struct toc_reader *in, bool is_float) {
    int rc = 0;
    uint64_t ref = 0, time = 0;
    toc_arena_reset(&r->arena);
    if (toc_reader_left(in)) {
        ref = toc_get_be64(in);
        time = toc_get_be64(in);
    }
    while (toc_reader_left(in) && !in->error && !rc) {
        struct toc_histogram h;
        uint64_t of = ref + (uint64_t)toc_read_zigzag(in);
        int64_t t_ms = (int64_t)(time + (uint64_t)toc_read_zigzag(in));
        rc = toc_prom_wal_histogram_read(in, is_float, &r->arena, &h);
        if (!rc && !is_deleted(r, of, t_ms))
            rc = r->v->histogram(r->v->ctx, of, t_ms, &h);
    }
    return rc ? rc : in->error;
}

static int read_deletions(struct reading *r, struct toc_reader *in) {
    while (toc_reader_left(in) && !in->error) {
        struct deletion d = {.record = r->record, .ref = toc_get_be64(in)};
        d.min_ms = toc_read_zigzag(in);
        d.max_ms = toc_read_zigzag(in);
        if (!in->error)
            TOC_VEC_PUSH(&r->deletions, d);
    }
    return in->error;
}

/* TOC_ETRUNCATED or TOC_EPARSE: no such record. */
static int read_record(struct reading *r, struct toc_sv text) {
    struct toc_reader in = toc_reader_make(text);
    unsigned kind = toc_read_u8(&in);
    if (r->is_first_pass)
        return kind == RECORD_DELETIONS ? read_deletions(r, &in) : 0;
    switch (kind) {
    case RECORD_SERIES:
        return read_series(r, &in);
    case RECORD_SAMPLES:
        return read_samples(r, &in);
    case RECORD_HISTOGRAMS:
    case RECORD_CUSTOM_HISTOGRAMS:
        return read_histograms(r, &in, false);
    case RECORD_FLOAT_HISTOGRAMS:
    case RECORD_CUSTOM_FLOAT_HISTOGRAMS:
        return read_histograms(r, &in, true);
    default: /* deletions are known; the rest is not kept by this reader */
        return 0;
    }
}

/* --- segments --- */

static int read_segment(struct reading *r, const char *name, struct toc_err *err) {
    char *path = toc_xprintf("%s/%s", r->dir, name);
    struct toc_buf bytes = {.limit_bytes = (size_t)SEGMENT_BYTES_MAX + 4096};
    struct toc_prom_wal_pages pages;
    struct toc_sv record;
    int rc = toc_vfs_read_file(r->vfs, path, SEGMENT_BYTES_MAX, &bytes);
    if (rc)
        toc_errf(err, rc, "cannot read %s: %s", path, toc_strerror(rc));
    toc_prom_wal_pages_init(&pages, toc_buf_sv(&bytes));
    for (bool is_there = !rc; is_there && !rc;) {
        is_there = toc_prom_wal_pages_next(&pages, &record);
        if (pages.has_damage && !r->is_first_pass)
            r->v->damage(r->v->ctx, name, pages.damage_at, pages.damage);
        r->record++;
        int failed = is_there ? read_record(r, record) : 0;
        if (failed == TOC_ETRUNCATED || failed == TOC_EPARSE) {
            if (!r->is_first_pass)
                r->v->damage(r->v->ctx, name, pages.record_at, "a record has no sense");
        } else if (failed) {
            rc = toc_errf(err, failed, "reading of %s stopped: %s", path, toc_strerror(failed));
        }
    }
    toc_prom_wal_pages_fini(&pages);
    toc_buf_fini(&bytes);
    toc_free(path);
    return rc;
}

struct names {
    TOC_VEC_FIELDS(char *)
    bool (*is_one)(const char *name);
};

static bool is_number(const char *name) {
    uint64_t n;
    return toc_parse_u64(toc_sv_cstr(name), &n) == 0;
}

static uint64_t number_of(const char *digits) {
    uint64_t n;
    return toc_parse_u64(toc_sv_cstr(digits), &n) == 0 ? n : 0;
}

static bool is_checkpoint(const char *name) {
    return strncmp(name, "checkpoint.", CHECKPOINT_PREFIX) == 0 &&
           is_number(name + CHECKPOINT_PREFIX);
}

static int take_name(void *ctx, const char *name) {
    struct names *n = ctx;
    if (n->is_one(name))
        TOC_VEC_PUSH(n, toc_xstrdup(name));
    return 0;
}

/* Numbers have leading zeros, so their order is that of the texts. */
static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_names(struct reading *r, const char *dir, struct names *out) {
    int rc = r->vfs->list(r->vfs, dir, take_name, out);
    if (out->count > 1)
        qsort(out->items, out->count, sizeof *out->items, by_name);
    return rc;
}

static void names_fini(struct names *n) {
    for (size_t i = 0; i < n->count; i++)
        toc_free(n->items[i]);
    TOC_VEC_FINI(n);
}

static int read_checkpoint(struct reading *r, const char *name, struct toc_err *err) {
    struct names segments = {.is_one = is_number};
    char *dir = toc_xprintf("%s/%s", r->dir, name);
    int rc = list_names(r, dir, &segments);
    if (rc)
        toc_errf(err, rc, "cannot list %s: %s", dir, toc_strerror(rc));
    for (size_t i = 0; i < segments.count && !rc; i++) {
        char *file = toc_xprintf("%s/%s", name, segments.items[i]);
        rc = read_segment(r, file, err);
        toc_free(file);
    }
    names_fini(&segments);
    toc_free(dir);
    return rc;
}

static int read_all(struct reading *r, const struct names *checkpoints,
                    const struct names *segments, struct toc_err *err) {
    const char *newest = checkpoints->count ? checkpoints->items[checkpoints->count - 1] : NULL;
    int rc = newest ? read_checkpoint(r, newest, err) : 0;
    for (size_t i = 0; i < segments->count && !rc; i++)
        if (!newest || number_of(segments->items[i]) > number_of(newest + CHECKPOINT_PREFIX))
            rc = read_segment(r, segments->items[i], err);
    return rc;
}

int toc_prom_wal_read(struct toc_vfs *vfs, const char *dir, const struct toc_prom_wal_visitor *v,
                      struct toc_err *err) {
    struct reading r = {.vfs = vfs, .dir = dir, .v = v, .is_first_pass = true};
    struct names segments = {.is_one = is_number}, checkpoints = {.is_one = is_checkpoint};
    int rc = list_names(&r, dir, &segments);
    if (!rc)
        rc = list_names(&r, dir, &checkpoints);
    if (rc && rc != TOC_ENOENT)
        toc_errf(err, rc, "cannot list %s: %s", dir, toc_strerror(rc));
    if (!rc)
        rc = read_all(&r, &checkpoints, &segments, err);
    if (r.deletions.count > 1)
        qsort(r.deletions.items, r.deletions.count, sizeof *r.deletions.items, by_ref);
    r.is_first_pass = false;
    r.record = 0;
    if (!rc)
        rc = read_all(&r, &checkpoints, &segments, err);
    names_fini(&segments);
    names_fini(&checkpoints);
    TOC_VEC_FINI(&r.deletions);
    TOC_VEC_FINI(&r.labels);
    toc_arena_fini(&r.arena);
    return rc == TOC_ENOENT ? 0 : rc;
}
