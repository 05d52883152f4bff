#include "../cmocka_prelude.h"

#include "codec/compress.h"

static const enum toc_compression kinds[] = {TOC_COMPRESSION_NONE, TOC_COMPRESSION_GZIP,
                                             TOC_COMPRESSION_DEFLATE, TOC_COMPRESSION_ZSTD,
                                             TOC_COMPRESSION_SNAPPY};

/* Compressible, 300 kB: several chunks come out. */
static void make_text(struct toc_buf *b) {
    for (int i = 0; i < 10000; i++)
        toc_buf_printf(b, "metric_%d{a=\"b\"} %d\n", i % 100, i);
}

static void every_kind_round_trips(void **state) {
    (void)state;
    struct toc_buf text = TOC_BUF_INIT;
    make_text(&text);
    for (size_t i = 0; i < TOC_ARRAY_LEN(kinds); i++) {
        struct toc_buf packed = TOC_BUF_INIT, back = TOC_BUF_INIT;
        struct toc_err err = {0};
        toc_buf_append_cstr(&back, "before");
        assert_int_equal(toc_compress(kinds[i], toc_buf_sv(&text), &packed), 0);
        assert_int_equal(toc_decompress(kinds[i], toc_buf_sv(&packed), text.n, &back, &err), 0);
        assert_int_equal(back.n, text.n + 6);
        assert_memory_equal(back.p + 6, text.p, text.n);
        toc_buf_reset(&back);
        assert_int_equal(toc_decompress(kinds[i], toc_buf_sv(&packed), text.n - 1, &back, &err),
                         TOC_ELIMIT);
        toc_buf_fini(&packed);
        toc_buf_fini(&back);
    }
    toc_buf_fini(&text);
}

static void an_empty_body_round_trips(void **state) {
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(kinds); i++) {
        struct toc_buf packed = TOC_BUF_INIT, back = TOC_BUF_INIT;
        assert_int_equal(toc_compress(kinds[i], TOC_SV(""), &packed), 0);
        assert_int_equal(toc_decompress(kinds[i], toc_buf_sv(&packed), 10, &back, NULL), 0);
        assert_int_equal(back.n, 0);
        toc_buf_fini(&packed);
        toc_buf_fini(&back);
    }
}

static void cut_or_foreign_data_is_corrupt(void **state) {
    (void)state;
    struct toc_buf text = TOC_BUF_INIT;
    make_text(&text);
    for (size_t i = 1; i < TOC_ARRAY_LEN(kinds); i++) {
        struct toc_buf packed = TOC_BUF_INIT, back = TOC_BUF_INIT;
        struct toc_err err = {0};
        assert_int_equal(toc_compress(kinds[i], toc_buf_sv(&text), &packed), 0);
        struct toc_sv cut = toc_sv_sub(toc_buf_sv(&packed), 0, packed.n / 2);
        assert_int_equal(toc_decompress(kinds[i], cut, 1 << 20, &back, &err), TOC_ECORRUPT);
        assert_true(err.message[0] != '\0');
        toc_buf_reset(&back);
        assert_int_equal(
            toc_decompress(kinds[i], TOC_SV("\xff\xff\xff\xff\xff\xff no"), 1 << 20, &back, NULL),
            TOC_ECORRUPT);
        toc_buf_fini(&packed);
        toc_buf_fini(&back);
    }
    toc_buf_fini(&text);
}

static void gzip_members_and_raw_deflate_are_taken(void **state) {
    (void)state;
    struct toc_buf packed = TOC_BUF_INIT, back = TOC_BUF_INIT;
    assert_int_equal(toc_compress(TOC_COMPRESSION_GZIP, TOC_SV("ab"), &packed), 0);
    assert_int_equal(toc_compress(TOC_COMPRESSION_GZIP, TOC_SV("cd"), &packed), 0);
    assert_int_equal(toc_decompress(TOC_COMPRESSION_GZIP, toc_buf_sv(&packed), 4, &back, NULL), 0);
    assert_string_equal(toc_buf_cstr(&back), "abcd");
    toc_buf_reset(&packed);
    toc_buf_reset(&back);
    assert_int_equal(toc_compress(TOC_COMPRESSION_DEFLATE, TOC_SV("abcd"), &packed), 0);
    struct toc_sv raw = toc_sv_sub(toc_buf_sv(&packed), 2, packed.n - 6); /* no head, no checksum */
    assert_int_equal(toc_decompress(TOC_COMPRESSION_DEFLATE, raw, 4, &back, NULL), 0);
    assert_string_equal(toc_buf_cstr(&back), "abcd");
    toc_buf_fini(&packed);
    toc_buf_fini(&back);
}

static void names_are_known(void **state) {
    (void)state;
    enum toc_compression c;
    assert_int_equal(toc_compression_parse(TOC_SV("GZip"), &c), 0);
    assert_int_equal(c, TOC_COMPRESSION_GZIP);
    assert_int_equal(toc_compression_parse(TOC_SV(""), &c), 0);
    assert_int_equal(c, TOC_COMPRESSION_NONE);
    assert_int_equal(toc_compression_parse(TOC_SV("br"), &c), TOC_EUNSUPPORTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_round_trips),
        cmocka_unit_test(an_empty_body_round_trips),
        cmocka_unit_test(cut_or_foreign_data_is_corrupt),
        cmocka_unit_test(gzip_members_and_raw_deflate_are_taken),
        cmocka_unit_test(names_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
