/* The manifest of a backup: written and read again, and what is refused. */
#include "../cmocka_prelude.h"

#include "app/backup_manifest.h"
#include "base/alloc.h"
#include "sys/vfs_sim.h"

static void it_comes_back(void **state) {
    (void)state;
    struct toc_vfs_sim *disk = toc_vfs_sim_new(1);
    struct toc_vfs *vfs = toc_vfs_sim_vfs(disk);
    struct toc_backup_manifest m = {0}, back;
    struct toc_err err = {0};
    assert_int_equal(toc_vfs_make_dirs(vfs, "/b"), 0);
    toc_backup_manifest_add(&m, toc_xstrdup("metrics/blocks/1/index"), 1ULL << 40, 0xffffffffu);
    toc_backup_manifest_add(&m, toc_xstrdup("größe \"x\""), 0, 0);
    assert_int_equal(toc_backup_manifest_write(&m, vfs, "/b", (struct toc_ts){1795745160000}, &err),
                     0);
    assert_int_equal(toc_backup_manifest_read(vfs, "/b", &back, &err), 0);
    assert_int_equal(back.files.count, 2);
    assert_true(back.bytes == 1ULL << 40);
    assert_string_equal(back.files.items[0].path, "metrics/blocks/1/index");
    assert_true(back.files.items[0].crc == 0xffffffffu);
    assert_string_equal(back.files.items[1].path, "größe \"x\"");
    toc_backup_manifest_fini(&m);
    toc_backup_manifest_fini(&back);
    toc_vfs_sim_free(&disk);
}

static int read_text(const char *text) {
    struct toc_vfs_sim *disk = toc_vfs_sim_new(1);
    struct toc_vfs *vfs = toc_vfs_sim_vfs(disk);
    struct toc_backup_manifest m;
    struct toc_err err = {0};
    assert_int_equal(toc_vfs_make_dirs(vfs, "/b"), 0);
    if (text)
        assert_int_equal(toc_vfs_write_file(vfs, "/b/manifest.json", toc_sv_cstr(text)), 0);
    int rc = toc_backup_manifest_read(vfs, "/b", &m, &err);
    assert_true(!rc || err.message[0]);
    toc_backup_manifest_fini(&m);
    toc_vfs_sim_free(&disk);
    return rc;
}

#define FILE_OF(path, rest) "{\"format\":1,\"files\":[{\"path\":\"" path "\"" rest "}]}"
#define SIZES ",\"bytes\":1,\"crc32c\":2"

static void what_makes_no_sense_is_refused(void **state) {
    (void)state;
    assert_int_equal(read_text(FILE_OF("a/b..c/..d", SIZES)), 0);
    assert_int_equal(read_text(NULL), TOC_ENOENT);
    assert_int_equal(read_text("{\"format\":1"), TOC_EPARSE);
    assert_int_equal(read_text("{\"format\":2,\"files\":[]}"), TOC_EVERSION);
    assert_int_equal(read_text("{\"format\":1}"), TOC_ECORRUPT);
    assert_int_equal(read_text(FILE_OF("../x", SIZES)), TOC_ECORRUPT);
    assert_int_equal(read_text(FILE_OF("a/../../x", SIZES)), TOC_ECORRUPT);
    assert_int_equal(read_text(FILE_OF("a/..", SIZES)), TOC_ECORRUPT);
    assert_int_equal(read_text(FILE_OF("/etc/x", SIZES)), TOC_ECORRUPT);
    assert_int_equal(read_text(FILE_OF("a//b", SIZES)), TOC_ECORRUPT);
    assert_int_equal(read_text(FILE_OF("", SIZES)), TOC_ECORRUPT);
    assert_int_equal(read_text(FILE_OF("a\\u0000b", SIZES)), TOC_ECORRUPT);
    assert_int_equal(read_text(FILE_OF("a", ",\"bytes\":1")), TOC_ECORRUPT);
    assert_int_equal(read_text(FILE_OF("a", ",\"bytes\":-1,\"crc32c\":2")), TOC_ECORRUPT);
    assert_int_equal(read_text(FILE_OF("a", ",\"bytes\":1,\"crc32c\":4294967296")), TOC_ECORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_back),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
