/* The log of Prometheus: records over pages, checkpoints, deletions, damage. */
#include "../cmocka_prelude.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "codec/compress.h"
#include "promtsdb/big_endian.h"
#include "promtsdb/wal.h"
#include "sys/vfs_sim.h"

enum { PAGE = 32768 };

/* --- a writer of segments --- */

static void put_fragment(struct toc_buf *out, unsigned head, struct toc_sv data) {
    toc_buf_append_u8(out, (uint8_t)head);
    toc_buf_append_u8(out, (uint8_t)(data.n >> 8));
    toc_buf_append_u8(out, (uint8_t)data.n);
    toc_put_be32(out, toc_crc32c(0, data.p, data.n));
    toc_buf_append_sv(out, data);
}

static void put_record(struct toc_buf *out, struct toc_sv record, bool is_packed) {
    struct toc_buf packed = TOC_BUF_INIT;
    if (is_packed) {
        assert_int_equal(toc_compress(TOC_COMPRESSION_SNAPPY, record, &packed), 0);
        record = toc_buf_sv(&packed);
    }
    for (size_t at = 0, part; at < record.n || at == 0; at += part) {
        size_t left = PAGE - out->n % PAGE;
        if (left <= 7) {
            for (; left; left--)
                toc_buf_append_u8(out, 0);
            left = PAGE;
        }
        part = TOC_MIN(record.n - at, left - 7);
        bool is_first = at == 0, is_last = at + part == record.n;
        unsigned kind = is_first && is_last ? 1 : is_first ? 2 : is_last ? 4 : 3;
        put_fragment(out, kind | (is_packed ? 8 : 0), toc_sv_sub(record, at, part));
    }
    toc_buf_fini(&packed);
}

static void put_series(struct toc_buf *r, uint64_t ref, const char *name) {
    toc_put_be64(r, ref);
    toc_buf_append_varint(r, 1);
    toc_buf_append_varint(r, 8);
    toc_buf_append_cstr(r, "__name__");
    toc_buf_append_varint(r, strlen(name));
    toc_buf_append_cstr(r, name);
}

/* n samples of `ref`: at base, base + 10, … with the values 0, 1, … */
static void put_samples(struct toc_buf *out, uint64_t ref, int64_t base, int n, bool is_packed) {
    struct toc_buf r = TOC_BUF_INIT;
    toc_buf_append_u8(&r, 2);
    toc_put_be64(&r, ref);
    toc_put_be64(&r, (uint64_t)base);
    for (int i = 0; i < n; i++) {
        double v = i;
        uint64_t bits;
        memcpy(&bits, &v, sizeof bits);
        toc_buf_append_zigzag(&r, 0);
        toc_buf_append_zigzag(&r, (int64_t)i * 10);
        toc_put_be64(&r, bits);
    }
    put_record(out, toc_buf_sv(&r), is_packed);
    toc_buf_fini(&r);
}

static void put_one_series(struct toc_buf *out, uint64_t ref, const char *name) {
    struct toc_buf r = TOC_BUF_INIT;
    toc_buf_append_u8(&r, 1);
    put_series(&r, ref, name);
    put_record(out, toc_buf_sv(&r), false);
    toc_buf_fini(&r);
}

static void put_deletion(struct toc_buf *out, uint64_t ref, int64_t from, int64_t to) {
    struct toc_buf r = TOC_BUF_INIT;
    toc_buf_append_u8(&r, 3);
    toc_put_be64(&r, ref);
    toc_buf_append_zigzag(&r, from);
    toc_buf_append_zigzag(&r, to);
    put_record(out, toc_buf_sv(&r), false);
    toc_buf_fini(&r);
}

/* --- a reader --- */

struct world {
    struct toc_vfs_sim *disk;
    struct toc_vfs *vfs;
    size_t series, samples, histograms, damages;
    int64_t last_ms;
    double sum, last_count; /* of the last bucket of the last histogram */
    int32_t last_index;
    size_t buckets;
};

static int on_series(void *ctx, uint64_t ref, struct toc_labels labels) {
    struct world *w = ctx;
    (void)ref;
    assert_sv_equal(labels.items[0].name, "__name__");
    w->series++;
    return 0;
}
static int on_sample(void *ctx, uint64_t ref, int64_t t_ms, double value) {
    struct world *w = ctx;
    (void)ref;
    w->samples++;
    w->sum += value;
    w->last_ms = t_ms;
    return 0;
}
static int on_histogram(void *ctx, uint64_t ref, int64_t t_ms, const struct toc_histogram *h) {
    struct world *w = ctx;
    (void)ref;
    w->histograms++;
    w->last_ms = t_ms;
    w->sum += h->sum;
    w->buckets += h->positive.size;
    w->last_index = h->positive.size ? h->positive.index[h->positive.size - 1] : 0;
    w->last_count = h->positive.size ? h->positive.count[h->positive.size - 1] : 0;
    return 0;
}
static void on_damage(void *ctx, const char *file, uint64_t offset, const char *what) {
    (void)file, (void)offset, (void)what;
    ((struct world *)ctx)->damages++;
}

static void begin(struct world *w) {
    *w = (struct world){.disk = toc_vfs_sim_new(1)};
    w->vfs = toc_vfs_sim_vfs(w->disk);
    assert_int_equal(toc_vfs_make_dirs(w->vfs, "/d/wal/checkpoint.00000002"), 0);
}

static void save(struct world *w, const char *path, struct toc_buf *bytes) {
    assert_int_equal(toc_vfs_write_file(w->vfs, path, toc_buf_sv(bytes)), 0);
    toc_buf_reset(bytes);
}

static void read_log(struct world *w) {
    const struct toc_prom_wal_visitor v = {w, on_series, on_sample, on_histogram, on_damage};
    struct toc_err err = {0};
    w->series = w->samples = w->damages = w->histograms = w->buckets = 0;
    w->sum = 0;
    if (toc_prom_wal_read(w->vfs, "/d/wal", &v, &err))
        fail_msg("%s", err.message);
}

static void records_over_pages_come_back(void **state) {
    (void)state;
    struct world w;
    struct toc_buf b = TOC_BUF_INIT;
    begin(&w);
    put_one_series(&b, 1, "a");
    for (int i = 0; i < 50; i++) /* some 11 kB each: many cross a page */
        put_samples(&b, 1, i * 100000, 1000, i % 2 != 0);
    save(&w, "/d/wal/00000003", &b);
    read_log(&w);
    assert_int_equal(w.series, 1);
    assert_int_equal(w.samples, 50000);
    assert_true(w.sum == 50 * 999 * 500.0);
    assert_int_equal(w.damages, 0);
    toc_buf_fini(&b);
    toc_vfs_sim_free(&w.disk);
}

static void the_newest_checkpoint_stands_for_older_segments(void **state) {
    (void)state;
    struct world w;
    struct toc_buf b = TOC_BUF_INIT;
    begin(&w);
    put_samples(&b, 1, 0, 7, false);
    save(&w, "/d/wal/00000002", &b); /* in the checkpoint */
    put_one_series(&b, 1, "a");
    put_samples(&b, 1, 0, 5, false);
    save(&w, "/d/wal/checkpoint.00000002/00000000", &b);
    put_samples(&b, 1, 1000, 3, false);
    save(&w, "/d/wal/00000003", &b);
    read_log(&w);
    assert_int_equal(w.samples, 8);
    assert_int_equal(w.last_ms, 1020);
    toc_buf_fini(&b);
    toc_vfs_sim_free(&w.disk);
}

static void deletions_take_what_came_before(void **state) {
    (void)state;
    struct world w;
    struct toc_buf b = TOC_BUF_INIT;
    begin(&w);
    put_one_series(&b, 1, "a");
    put_samples(&b, 1, 0, 10, false);
    put_samples(&b, 2, 0, 10, false);
    put_deletion(&b, 1, 20, 50);
    put_samples(&b, 1, 30, 1, false); /* written again */
    save(&w, "/d/wal/00000003", &b);
    read_log(&w);
    assert_int_equal(w.samples, 6 + 10 + 1);
    toc_buf_fini(&b);
    toc_vfs_sim_free(&w.disk);
}

static void put_f64(struct toc_buf *r, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    toc_put_be64(r, bits);
}

/* Buckets 1, 2 and 5 with the counts 4, 3 and 6. */
static void put_buckets(struct toc_buf *r, bool is_float) {
    static const double counts[] = {4, 3, 6};
    int64_t last = 0;
    toc_buf_append_varint(r, 2);
    toc_buf_append_zigzag(r, 1);
    toc_buf_append_varint(r, 2);
    toc_buf_append_zigzag(r, 2);
    toc_buf_append_varint(r, 1);
    toc_buf_append_varint(r, 0);
    toc_buf_append_varint(r, 3);
    for (int i = 0; i < 3; i++) {
        if (is_float)
            put_f64(r, counts[i]);
        else
            toc_buf_append_zigzag(r, (int64_t)counts[i] - last);
        last = (int64_t)counts[i];
    }
    toc_buf_append_varint(r, 0);
}

static void put_histograms(struct toc_buf *out, bool is_float, int n) {
    struct toc_buf r = TOC_BUF_INIT;
    toc_buf_append_u8(&r, is_float ? 8 : 7);
    toc_put_be64(&r, 9);
    toc_put_be64(&r, 5000);
    for (int i = 0; i < n; i++) {
        toc_buf_append_zigzag(&r, 0);
        toc_buf_append_zigzag(&r, i);
        toc_buf_append_u8(&r, 0);
        toc_buf_append_zigzag(&r, 3);
        put_f64(&r, 0.001);
        if (is_float) {
            put_f64(&r, 1);
            put_f64(&r, 14);
        } else {
            toc_buf_append_varint(&r, 1);
            toc_buf_append_varint(&r, 14);
        }
        put_f64(&r, 2.5);
        put_buckets(&r, is_float);
    }
    put_record(out, toc_buf_sv(&r), false);
    toc_buf_fini(&r);
}

static void histograms_come_back(void **state) {
    (void)state;
    for (int is_float = 0; is_float < 2; is_float++) {
        struct world w;
        struct toc_buf b = TOC_BUF_INIT;
        begin(&w);
        put_histograms(&b, is_float, 4);
        put_deletion(&b, 9, 5001, 5001);
        save(&w, "/d/wal/00000003", &b);
        read_log(&w);
        assert_int_equal(w.damages, 0);
        assert_int_equal(w.histograms, 3);
        assert_int_equal(w.last_ms, 5003);
        assert_true(w.sum == 7.5);
        assert_int_equal(w.buckets, 9);
        assert_int_equal(w.last_index, 5);
        assert_true(w.last_count == 6);
        toc_buf_fini(&b);
        toc_vfs_sim_free(&w.disk);
    }
}

static void damage_costs_a_page_and_an_unfinished_end_nothing(void **state) {
    (void)state;
    struct world w;
    struct toc_buf b = TOC_BUF_INIT;
    begin(&w);
    put_one_series(&b, 1, "a");
    for (int i = 0; i < 400; i++)
        put_samples(&b, 1, i * 1000, 50, false);
    size_t whole = b.n;
    b.p[PAGE + 5000] ^= 4;
    assert_int_equal(toc_vfs_write_file(w.vfs, "/d/wal/00000003", toc_buf_sv(&b)), 0);
    read_log(&w);
    assert_int_equal(w.damages, 1);
    assert_true(w.samples >= 400 * 50 - 60 * 50 && w.samples < 400 * 50);
    b.p[PAGE + 5000] ^= 4;
    assert_int_equal(toc_vfs_write_file(w.vfs, "/d/wal/00000003", toc_sv_make(b.p, whole - 100)),
                     0);
    read_log(&w);
    assert_int_equal(w.damages, 0);
    assert_int_equal(w.samples, 399 * 50);
    toc_buf_fini(&b);
    toc_vfs_sim_free(&w.disk);
}

static void a_missing_log_is_empty(void **state) {
    (void)state;
    struct world w;
    begin(&w);
    const struct toc_prom_wal_visitor v = {&w, on_series, on_sample, on_histogram, on_damage};
    assert_int_equal(toc_prom_wal_read(w.vfs, "/nowhere", &v, NULL), 0);
    toc_vfs_sim_free(&w.disk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_over_pages_come_back),
        cmocka_unit_test(the_newest_checkpoint_stands_for_older_segments),
        cmocka_unit_test(deletions_take_what_came_before),
        cmocka_unit_test(histograms_come_back),
        cmocka_unit_test(damage_costs_a_page_and_an_unfinished_end_nothing),
        cmocka_unit_test(a_missing_log_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
