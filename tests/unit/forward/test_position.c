#include "../cmocka_prelude.h"

#include "forward/position.h"
#include "sys/vfs_sim.h"

static const struct toc_log_position PLACE = {
    .segment = 3, .salt = 0x1122334455667788, .offset = 128, .sequence = 41};

static bool is_place(const struct toc_log_position *p) {
    return p->segment == PLACE.segment && p->salt == PLACE.salt && p->offset == PLACE.offset &&
           p->sequence == PLACE.sequence;
}

static void the_example_of_the_header_is_true(void **state) {
    (void)state;
    static const uint8_t example[] = {0x54, 0x4f, 0x43, 0x46, 0x57, 0x44, 0x30, 0x31, 0x03, 0x00,
                                      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x88, 0x77, 0x66, 0x55,
                                      0x44, 0x33, 0x22, 0x11, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00,
                                      0x00, 0x00, 0x29, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                      0x01, 0x61, 0xf3, 0x0e, 0x2f, 0x7e};
    struct toc_buf bytes = TOC_BUF_INIT;
    struct toc_log_position p;
    toc_forward_position_encode(&PLACE, TOC_SV("a"), &bytes);
    assert_int_equal(bytes.n, sizeof example);
    assert_memory_equal(bytes.p, example, sizeof example);
    assert_int_equal(toc_forward_position_decode(toc_buf_sv(&bytes), TOC_SV("a"), &p), 0);
    assert_true(is_place(&p));
    toc_buf_fini(&bytes);
}

static void every_flipped_bit_and_every_torn_end_is_found(void **state) {
    (void)state;
    struct toc_buf bytes = TOC_BUF_INIT;
    struct toc_log_position p = {0};
    struct toc_sv key = TOC_SV("http://remote/api/v1/write");
    toc_forward_position_encode(&PLACE, key, &bytes);
    for (size_t bit = 0; bit < 8 * bytes.n; bit++) {
        bytes.p[bit / 8] = (char)(bytes.p[bit / 8] ^ (1 << bit % 8));
        assert_int_equal(toc_forward_position_decode(toc_buf_sv(&bytes), key, &p), TOC_ECORRUPT);
        bytes.p[bit / 8] = (char)(bytes.p[bit / 8] ^ (1 << bit % 8));
    }
    for (size_t n = 0; n < bytes.n; n++)
        assert_int_equal(toc_forward_position_decode(toc_sv_make(bytes.p, n), key, &p),
                         TOC_ECORRUPT);
    assert_int_equal(p.segment, 0); /* nothing was given out meanwhile */
    assert_int_equal(toc_forward_position_decode(toc_buf_sv(&bytes), TOC_SV("other"), &p),
                     TOC_ECORRUPT);
    toc_buf_append_char(&bytes, 0);
    assert_int_equal(toc_forward_position_decode(toc_buf_sv(&bytes), key, &p), TOC_ECORRUPT);
    toc_buf_fini(&bytes);
}

static void a_position_is_kept_replaced_and_swept(void **state) {
    (void)state;
    struct toc_vfs_sim *disk = toc_vfs_sim_new(1);
    struct toc_vfs *vfs = toc_vfs_sim_vfs(disk);
    struct toc_log_position p, later = PLACE;
    later.offset++;
    assert_int_equal(toc_vfs_make_dirs(vfs, "/d"), 0);
    assert_int_equal(toc_forward_position_load(vfs, "/d", TOC_SV("a"), &p), TOC_ENOENT);
    assert_int_equal(toc_forward_position_save(vfs, "/d", TOC_SV("a"), &later), 0);
    assert_int_equal(toc_forward_position_save(vfs, "/d", TOC_SV("a"), &PLACE), 0);
    assert_int_equal(toc_forward_position_save(vfs, "/d", TOC_SV("b"), &later), 0);
    toc_vfs_sim_restart(disk); /* the power goes: what was saved is saved */
    assert_int_equal(toc_forward_position_load(vfs, "/d", TOC_SV("a"), &p), 0);
    assert_true(is_place(&p));
    struct toc_sv keys[] = {TOC_SV("b")};
    assert_int_equal(toc_forward_position_sweep(vfs, "/d", keys, 1), 0);
    assert_int_equal(toc_forward_position_load(vfs, "/d", TOC_SV("a"), &p), TOC_ENOENT);
    assert_int_equal(toc_forward_position_load(vfs, "/d", TOC_SV("b"), &p), 0);
    assert_int_equal(toc_forward_position_sweep(vfs, "/missing", keys, 1), 0);
    toc_vfs_sim_set_capacity(disk, 10); /* full: the one that is there stays */
    assert_int_equal(toc_forward_position_save(vfs, "/d", TOC_SV("b"), &PLACE), TOC_ENOSPC);
    toc_vfs_sim_set_capacity(disk, 0);
    assert_int_equal(toc_forward_position_load(vfs, "/d", TOC_SV("b"), &p), 0);
    assert_int_equal(p.offset, later.offset);
    toc_vfs_sim_free(&disk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_header_is_true),
        cmocka_unit_test(every_flipped_bit_and_every_torn_end_is_found),
        cmocka_unit_test(a_position_is_kept_replaced_and_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
