/* Blocks written and read again on a simulated disk, and what damage costs. */
#include "../cmocka_prelude.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "promtsdb/block.h"
#include "sys/vfs_sim.h"

enum { SERIES = 40, SAMPLES = 500 };
#define BASE_MS INT64_C(1760000000000)

struct world {
    struct toc_vfs_sim *disk;
    struct toc_vfs *vfs;
    char path[128]; /* of the block */
    struct toc_prom_block_meta meta;
};

static int64_t time_of(size_t series, size_t i) {
    return BASE_MS + (int64_t)i * 15000 + (int64_t)(series % 7);
}
static double value_of(size_t series, size_t i) {
    return (double)series * 1000 + (double)i / 8;
}

/* Two labels; in label order. */
static struct toc_labels labels_of(size_t series, struct toc_label items[2], char text[16]) {
    snprintf(text, 16, "i%03zu", series);
    items[0] = (struct toc_label){TOC_METRIC_NAME, series % 2 ? TOC_SV("odd") : TOC_SV("even")};
    items[1] = (struct toc_label){TOC_SV("instance"), toc_sv_cstr(text)};
    return (struct toc_labels){items, 2};
}

static void write_series(struct toc_prom_block_writer *w, size_t series) {
    int64_t t[SAMPLES];
    double v[SAMPLES];
    struct toc_label items[2];
    char text[16];
    for (size_t i = 0; i < SAMPLES; i++) {
        t[i] = time_of(series, i);
        v[i] = value_of(series, i);
    }
    assert_int_equal(
        toc_prom_block_writer_add(w, labels_of(series, items, text), t, v, NULL, SAMPLES), 0);
}

static void begin(struct world *w) {
    struct toc_prom_block_writer *writer;
    struct toc_err err = {0};
    w->disk = toc_vfs_sim_new(1);
    w->vfs = toc_vfs_sim_vfs(w->disk);
    assert_int_equal(toc_vfs_make_dirs(w->vfs, "/out"), 0);
    assert_int_equal(toc_prom_block_writer_new(w->vfs, "/out", BASE_MS, BASE_MS + 7500000, BASE_MS,
                                               &writer, &err),
                     0);
    for (size_t s = 0; s < SERIES; s += 2)
        write_series(writer, s);
    for (size_t s = 1; s < SERIES; s += 2)
        write_series(writer, s);
    assert_int_equal(toc_prom_block_writer_finish(&writer, &w->meta, &err), 0);
    snprintf(w->path, sizeof w->path, "/out/%s", w->meta.ulid);
}

static void end(struct world *w) {
    toc_vfs_sim_free(&w->disk);
}

struct found {
    size_t series, samples, damages, last_series;
    char damage[64];
};

static int on_samples(void *ctx, struct toc_labels labels, const int64_t *t_ms,
                      const double *values, size_t n) {
    struct found *f = ctx;
    struct toc_sv instance = toc_labels_get(labels, TOC_SV("instance"));
    size_t series = (size_t)strtoul(instance.p + 1, NULL, 10);
    f->series++;
    f->samples += n;
    for (size_t i = 0; i < n; i++) {
        size_t k = (size_t)((t_ms[i] - BASE_MS) / 15000);
        assert_int_equal(t_ms[i], time_of(series, k));
        assert_true(values[i] == value_of(series, k)); /* never a wrong value */
    }
    return 0;
}

static void on_damage(void *ctx, const char *file, uint64_t offset, const char *what) {
    struct found *f = ctx;
    (void)offset, (void)what;
    f->damages++;
    snprintf(f->damage, sizeof f->damage, "%s", file);
}

static int on_histograms(void *ctx, struct toc_labels labels, const int64_t *t_ms,
                         const struct toc_histogram *h, size_t n) {
    (void)ctx, (void)labels, (void)t_ms, (void)h, (void)n;
    fail_msg("there are no histograms");
    return 0;
}

static int read_block(struct world *w, int64_t min_ms, int64_t max_ms, struct found *f) {
    struct toc_prom_block *b = NULL;
    struct toc_err err = {0};
    const struct toc_prom_visitor v = {f, on_samples, on_damage, on_histograms};
    memset(f, 0, sizeof *f);
    int rc = toc_prom_block_open(w->vfs, w->path, &b, &err);
    if (!rc)
        rc = toc_prom_block_read(b, min_ms, max_ms, &v, &err);
    toc_prom_block_close(&b);
    return rc;
}

static void a_block_comes_back(void **state) {
    (void)state;
    struct world w;
    struct found f;
    begin(&w);
    assert_int_equal(w.meta.series, SERIES);
    assert_int_equal(w.meta.samples, SERIES * SAMPLES);
    assert_int_equal(read_block(&w, INT64_MIN, INT64_MAX, &f), 0);
    assert_int_equal(f.series, SERIES);
    assert_int_equal(f.samples, SERIES * SAMPLES);
    assert_int_equal(f.damages, 0);
    assert_int_equal(read_block(&w, BASE_MS + 15000, BASE_MS + 30000 - 1, &f), 0);
    assert_int_equal(f.samples, SERIES);
    end(&w);
}

static void an_empty_block_leaves_nothing(void **state) {
    (void)state;
    struct world w;
    struct toc_prom_block_writer *writer;
    struct toc_prom_block_meta meta;
    begin(&w);
    assert_int_equal(toc_prom_block_writer_new(w.vfs, "/out", 0, 1, BASE_MS, &writer, NULL), 0);
    assert_int_equal(toc_prom_block_writer_finish(&writer, &meta, NULL), 0);
    char path[128];
    snprintf(path, sizeof path, "/out/%s", meta.ulid);
    assert_false(toc_vfs_exists(w.vfs, path));
    end(&w);
}

/* One byte changed at many places: an error or told damage, never a wrong value. */
static void damage_never_makes_values(void **state) {
    (void)state;
    static const char *const files[] = {"index", "chunks/000001", "tombstones", "meta.json"};
    struct toc_rng rng;
    toc_rng_seed(&rng, 5);
    for (int round = 0; round < 400; round++) {
        struct world w;
        struct found f;
        struct toc_buf bytes = TOC_BUF_INIT;
        char path[256];
        begin(&w);
        snprintf(path, sizeof path, "%s/%s", w.path, files[round % 4]);
        assert_int_equal(toc_vfs_read_file(w.vfs, path, 1 << 24, &bytes), 0);
        bytes.p[toc_rng_below(&rng, bytes.n)] ^= (char)(1 << toc_rng_below(&rng, 8));
        assert_int_equal(toc_vfs_write_file(w.vfs, path, toc_buf_sv(&bytes)), 0);
        int rc = read_block(&w, INT64_MIN, INT64_MAX, &f);
        if (rc == 0 && f.samples != SERIES * SAMPLES)
            assert_true(f.damages > 0);
        if (rc == 0 && round % 4 == 1) /* at most one chunk */
            assert_true(f.samples >= SERIES * SAMPLES - 120);
        toc_buf_fini(&bytes);
        end(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_comes_back),
        cmocka_unit_test(an_empty_block_leaves_nothing),
        cmocka_unit_test(damage_never_makes_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
