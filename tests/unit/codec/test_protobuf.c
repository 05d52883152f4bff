#include "../cmocka_prelude.h"

#include "codec/protobuf.h"

static void fields_come_back(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT;
    toc_pb_put_u64(&b, 1, UINT64_MAX);
    toc_pb_put_sint(&b, 2, INT64_MIN);
    toc_pb_put_double(&b, 3, -0.5);
    toc_pb_put_bytes(&b, 536870911, TOC_SV("x"));
    struct toc_pb_reader r = toc_pb_reader_make(toc_buf_sv(&b));
    struct toc_pb_field f;
    assert_true(toc_pb_next(&r, &f));
    assert_true(f.number == 1 && toc_pb_u64(&r, &f) == UINT64_MAX);
    assert_true(toc_pb_next(&r, &f));
    assert_true(f.number == 2 && toc_pb_sint(&r, &f) == INT64_MIN);
    assert_true(toc_pb_next(&r, &f));
    assert_true(f.number == 3 && toc_pb_double(&r, &f) == -0.5);
    assert_true(toc_pb_next(&r, &f));
    assert_int_equal(f.number, 536870911);
    assert_true(toc_sv_eq_cstr(toc_pb_bytes(&r, &f), "x"));
    assert_false(toc_pb_next(&r, &f));
    assert_int_equal(r.error, 0);
    toc_buf_fini(&b);
}

/* The examples of the encoding guide: 150 in field 1, "testing" in field 2. */
static void bytes_are_those_of_the_specification(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT;
    toc_pb_put_u64(&b, 1, 150);
    toc_pb_put_bytes(&b, 2, TOC_SV("testing"));
    assert_int_equal(b.n, 12);
    assert_memory_equal(b.p, "\x08\x96\x01\x12\x07testing", 12);
    toc_buf_fini(&b);
}

static void messages_of_every_length_nest(void **state) {
    (void)state;
    static const size_t lengths[] = {0, 1, 127, 128, 16383, 16384, 2097151, 2097152};
    for (size_t i = 0; i < TOC_ARRAY_LEN(lengths); i++) {
        struct toc_buf b = TOC_BUF_INIT;
        size_t mark = toc_pb_begin(&b, 7);
        for (size_t k = 0; k < lengths[i]; k++)
            toc_buf_append_char(&b, (char)k);
        toc_pb_end(&b, mark);
        toc_pb_put_u64(&b, 1, 5);
        struct toc_pb_reader r = toc_pb_reader_make(toc_buf_sv(&b));
        struct toc_pb_field f;
        assert_true(toc_pb_next(&r, &f));
        assert_int_equal(toc_pb_bytes(&r, &f).n, lengths[i]);
        for (size_t k = 0; k < lengths[i]; k++)
            assert_int_equal((char)k, f.bytes.p[k]);
        assert_true(toc_pb_next(&r, &f));
        assert_int_equal(toc_pb_u64(&r, &f), 5);
        assert_false(toc_pb_next(&r, &f));
        assert_int_equal(r.error, 0);
        toc_buf_fini(&b);
    }
}

static void broken_bytes_stick(void **state) {
    (void)state;
    static const struct {
        struct toc_sv bytes;
        int error;
    } cases[] = {
        {{"\x08", 1}, TOC_ETRUNCATED},     /* no value */
        {{"\x08\x80", 2}, TOC_ETRUNCATED}, /* half a varint */
        {{"\x12\x05"
          "abc",
          5},
         TOC_ETRUNCATED}, /* a lying length */
        {{"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, TOC_ETRUNCATED},
        {{"\x09\x01\x02", 3}, TOC_ETRUNCATED},                              /* half a double */
        {{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11}, TOC_EPARSE}, /* above 64 bits */
        {{"\x0b\x0c", 2}, TOC_EPARSE},                                      /* a group */
        {{"\x0e", 1}, TOC_EPARSE},                                          /* wire type 6 */
        {{"\x00\x01", 2}, TOC_EPARSE},                                      /* field 0 */
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_pb_reader r = toc_pb_reader_make(cases[i].bytes);
        struct toc_pb_field f;
        assert_false(toc_pb_next(&r, &f));
        assert_int_equal(r.error, cases[i].error);
        assert_false(toc_pb_next(&r, &f));
    }
    struct toc_pb_reader r = toc_pb_reader_make(TOC_SV("\x08\x01"));
    struct toc_pb_field f;
    assert_true(toc_pb_next(&r, &f));
    assert_int_equal(toc_pb_bytes(&r, &f).n, 0); /* another type than the bytes say */
    assert_int_equal(r.error, TOC_EPARSE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_back),
        cmocka_unit_test(bytes_are_those_of_the_specification),
        cmocka_unit_test(messages_of_every_length_nest),
        cmocka_unit_test(broken_bytes_stick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
