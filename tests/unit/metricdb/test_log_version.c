/* The version of the log: what an earlier release wrote is read, what a newer one wrote is refused
 * and left as it is. */
#include "fixture.h"

#include "base/buf.h"
#include "base/hash.h"
#include "log_v1.h"
#include "metricdb/wal_record.h"

#define T0 FIXTURE_START_MS

enum { VERSION_AT = 8, RECORD_VERSION_AT = 5, THIS_VERSION = 2, SEGMENT_MAX = 4096 };

static void put_segment(struct fixture *f, const unsigned char *bytes, size_t n) {
    struct toc_vfs *vfs = f->options.vfs;
    struct toc_file *file;
    int flags = TOC_OPEN_WRITE | TOC_OPEN_CREATE | TOC_OPEN_TRUNCATE;
    assert_int_equal(vfs->open(vfs, "/data/wal/0000000001.wal", flags, &file), 0);
    assert_int_equal(vfs->pwrite(vfs, file, (const char *)bytes, n, 0), n);
    assert_int_equal(vfs->sync(vfs, file), 0);
    vfs->close(vfs, &file);
}

static size_t get_segment(struct fixture *f, const char *path, unsigned char out[SEGMENT_MAX]) {
    struct toc_vfs *vfs = f->options.vfs;
    struct toc_file *file;
    assert_int_equal(vfs->open(vfs, path, TOC_OPEN_READ, &file), 0);
    int64_t n = vfs->pread(vfs, file, (char *)out, SEGMENT_MAX, 0);
    vfs->close(vfs, &file);
    assert_true(n > 0);
    return (size_t)n;
}

/* A database whose log is this segment; not open. */
static void init_with(struct fixture *f, const unsigned char *bytes, size_t n) {
    fixture_init(f, 1);
    toc_metricdb_close(&f->db);
    put_segment(f, bytes, n);
}

/* The segment with headers of another version, otherwise whole. */
static void set_version(unsigned char *segment, unsigned char version) {
    for (size_t at = 0; at < 2 * TOC_WAL_HEADER_BYTES; at += TOC_WAL_HEADER_BYTES) {
        segment[at + VERSION_AT] = version;
        uint32_t crc = toc_crc32c(0, segment + at, TOC_WAL_HEADER_BYTES - 4);
        memcpy(segment + at + TOC_WAL_HEADER_BYTES - 4, &crc, sizeof crc);
    }
}

static void what_version_1_wrote_is_read(void **state) {
    (void)state;
    struct fixture f;
    init_with(&f, g_log_v1, sizeof g_log_v1);
    fixture_open(&f);
    struct fixture_found m = fixture_select(&f, "m", INT64_MIN, INT64_MAX);
    assert_int_equal(m.series, 2);
    assert_int_equal(m.samples, 8);
    assert_true(m.sum == 1 + 2 + 3 + 4 + 5 + 6 + 7 + 0.5);
    assert_int_equal(fixture_select(&f, "m", T0 + 90000, T0 + 90000).samples, 1);
    assert_int_equal(fixture_select(&f, "h", T0 + 2000, T0 + 2000).samples, 1);
    struct toc_metricdb_stats s = fixture_stats(&f);
    assert_int_equal(s.loss_count, 0);
    assert_int_equal(s.torn_tails, 0);
    fixture_fini(&f);
}

static void what_is_written_has_the_version_that_knows_even_runs(void **state) {
    (void)state;
    struct fixture f;
    unsigned char bytes[SEGMENT_MAX];
    init_with(&f, g_log_v1, sizeof g_log_v1);
    fixture_open(&f);
    assert_int_equal(fixture_write(&f, "m", "a", T0 + 105000, 8, NULL), 0);
    assert_true(get_segment(&f, "/data/wal/0000000002.wal", bytes) > 2 * TOC_WAL_HEADER_BYTES);
    assert_int_equal(bytes[VERSION_AT], THIS_VERSION);
    assert_int_equal(bytes[TOC_WAL_HEADER_BYTES + VERSION_AT], THIS_VERSION);
    assert_int_equal(bytes[2 * TOC_WAL_HEADER_BYTES + RECORD_VERSION_AT], THIS_VERSION);
    fixture_reopen(&f);
    assert_int_equal(fixture_select(&f, "m", INT64_MIN, INT64_MAX).samples, 9);
    fixture_fini(&f);
}

static void a_segment_of_a_newer_release_is_refused_and_left_as_it_is(void **state) {
    (void)state;
    struct fixture f;
    struct toc_err err = {0};
    struct toc_metricdb_verdict verdict;
    unsigned char bytes[sizeof g_log_v1], after[SEGMENT_MAX];
    memcpy(bytes, g_log_v1, sizeof bytes);
    set_version(bytes, THIS_VERSION + 1);
    init_with(&f, bytes, sizeof bytes);
    assert_int_equal(toc_metricdb_open(&f.options, &f.db, &err), TOC_EVERSION);
    assert_null(f.db);
    assert_non_null(strstr(err.message, "0000000001.wal was written by a newer release"));
    toc_err_reset(&err);
    assert_int_equal(toc_metricdb_verify(f.options.vfs, "/data", NULL, NULL, &verdict, &err),
                     TOC_EVERSION);
    assert_non_null(strstr(err.message, "newer release"));
    assert_int_equal(verdict.damaged, 0);
    assert_int_equal(get_segment(&f, "/data/wal/0000000001.wal", after), sizeof bytes);
    assert_memory_equal(after, bytes, sizeof bytes);
    toc_vfs_sim_free(&f.disk);
}

/* Whichever copy of the header is left: half of it is damage, the version is what it is. */
static void one_whole_header_tells_the_version(void **state) {
    (void)state;
    for (size_t damaged = 0; damaged < 2; damaged++) {
        struct toc_wal_header header;
        unsigned char bytes[sizeof g_log_v1];
        struct toc_sv all = {(const char *)bytes, sizeof bytes};
        memcpy(bytes, g_log_v1, sizeof bytes);
        bytes[damaged * TOC_WAL_HEADER_BYTES + 20] ^= 1;
        assert_int_equal(toc_wal_get_header(all, &header), 0);
        assert_true(header.has_bad_copy);
        assert_int_equal(header.number, 1);
        set_version(bytes, THIS_VERSION + 1);
        bytes[damaged * TOC_WAL_HEADER_BYTES + 20] ^= 1;
        assert_int_equal(toc_wal_get_header(all, &header), TOC_EVERSION);
        set_version(bytes, 0);
        assert_int_equal(toc_wal_get_header(all, &header), TOC_ECORRUPT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_version_1_wrote_is_read),
        cmocka_unit_test(what_is_written_has_the_version_that_knows_even_runs),
        cmocka_unit_test(a_segment_of_a_newer_release_is_refused_and_left_as_it_is),
        cmocka_unit_test(one_whole_header_tells_the_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
