#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../tfevents_writer.h"

struct seen {
    struct toc_tfevents_value value;
    char tag[64];
};
struct recorder {
    struct toc_tfevents_visitor base;
    struct seen seen[64];
    size_t count;
    char version[32];
};

static void on_value(struct toc_tfevents_visitor *v, const struct toc_tfevents_value *value) {
    struct recorder *r = (struct recorder *)v;
    assert_true(r->count < TOC_ARRAY_LEN(r->seen));
    struct seen *s = &r->seen[r->count++];
    s->value = *value;
    toc_sv_copy(value->tag, s->tag, sizeof s->tag);
}
static void on_version(struct toc_tfevents_visitor *v, double wall_time, struct toc_sv text) {
    struct recorder *r = (struct recorder *)v;
    assert_true(wall_time >= 0);
    toc_sv_copy(text, r->version, sizeof r->version);
}

static struct toc_tfevents_counters decode(struct toc_sv bytes, size_t chunk, struct recorder *r,
                                           const struct toc_tfevents_limits *limits,
                                           size_t *out_done) {
    struct toc_tfevents *d = toc_tfevents_new(limits);
    *r = (struct recorder){.base = {on_value, on_version}};
    size_t done = 0;
    for (size_t end = chunk;; end += chunk) {
        end = end < bytes.n ? end : bytes.n;
        done += toc_tfevents_decode(d, toc_sv_sub(bytes, done, end - done), &r->base);
        if (end == bytes.n)
            break;
    }
    if (done < bytes.n)
        assert_true(bytes.n - done < toc_tfevents_wanted(d));
    struct toc_tfevents_counters c = toc_tfevents_counters(d);
    if (out_done)
        *out_done = done;
    toc_tfevents_free(&d);
    return c;
}

static void the_checksum_is_the_masked_crc32c(void **state) {
    (void)state;
    assert_int_equal(toc_tfevents_masked_crc(TOC_SV("123456789")), 0xc78ab0e5u);
    assert_int_equal(toc_tfevents_masked_crc(TOC_SV("\x1a\x11"
                                                    "CRC test, one two")),
                     0x5794d08au);
    assert_int_equal(toc_tfevents_masked_crc(toc_sv_make("\x18\0\0\0\0\0\0\0", 8)), 0x224b7fa3u);
}

static void sample_file(struct toc_buf *out) {
    struct toc_buf event = TOC_BUF_INIT;
    toc_pb_put_double(&event, 1, 1700000000);
    toc_pb_put_bytes(&event, 3, TOC_SV("brain.Event:2"));
    tfw_record(out, toc_buf_sv(&event));
    toc_buf_fini(&event);
    tfw_scalar(out, 1700000000.25, 1, "loss", 2.5f);
    tfw_scalar(out, 1700000001.25, 2, "loss", NAN);
    tfw_scalar(out, 1700000002.25, -3, "train/loss", INFINITY);
}

static void scalars_keep_time_step_tag_and_value(void **state) {
    (void)state;
    struct toc_buf file = TOC_BUF_INIT;
    struct recorder r;
    sample_file(&file);
    struct toc_tfevents_counters c = decode(toc_buf_sv(&file), file.n, &r, NULL, NULL);
    assert_string_equal(r.version, "brain.Event:2");
    assert_int_equal(c.records, 4);
    assert_int_equal(r.count, 3);
    assert_string_equal(r.seen[0].tag, "loss");
    assert_true(r.seen[0].value.wall_time == 1700000000.25 && r.seen[0].value.scalar == 2.5);
    assert_true(isnan(r.seen[1].value.scalar));
    assert_int_equal(r.seen[2].value.step, -3);
    assert_true(isinf(r.seen[2].value.scalar));
    toc_buf_fini(&file);
}

static void a_file_may_end_and_go_on_at_every_byte(void **state) {
    (void)state;
    struct toc_buf file = TOC_BUF_INIT;
    struct recorder whole, part;
    sample_file(&file);
    decode(toc_buf_sv(&file), file.n, &whole, NULL, NULL);
    for (size_t cut = 0; cut <= file.n; cut++) {
        size_t done;
        struct toc_tfevents_counters c =
            decode(toc_sv_make(file.p, cut), cut + 1, &part, NULL, &done);
        assert_int_equal(c.bad_data_crc + c.bad_length_crc + c.records_malformed, 0);
        size_t before = part.count;
        /* A new decoder goes on from the offset. */
        decode(toc_sv_make(file.p + done, file.n - done), file.n, &part, NULL, NULL);
        assert_int_equal(before + part.count, whole.count);
    }
    for (size_t chunk = 1; chunk < 40; chunk++) {
        decode(toc_buf_sv(&file), chunk, &part, NULL, NULL);
        assert_int_equal(part.count, whole.count);
    }
    toc_buf_fini(&file);
}

/* One flipped bit costs the record it is in and no other. */
static void every_flipped_bit_is_noticed_and_costs_one_record(void **state) {
    (void)state;
    struct toc_buf file = TOC_BUF_INIT;
    struct recorder r;
    for (int i = 0; i < 3; i++)
        tfw_scalar(&file, 1700000000, i, "loss", (float)i);
    size_t one = file.n / 3;
    for (size_t bit = 8 * one; bit < 16 * one; bit++) {
        file.p[bit / 8] = (char)(file.p[bit / 8] ^ 1 << bit % 8);
        struct toc_tfevents_counters c = decode(toc_buf_sv(&file), file.n, &r, NULL, NULL);
        assert_int_equal(c.bad_data_crc + c.bad_length_crc, 1);
        assert_int_equal(c.bytes_skipped, c.bad_length_crc ? one : 0);
        assert_int_equal(r.count, 2);
        assert_int_equal(r.seen[1].value.step, 2);
        file.p[bit / 8] = (char)(file.p[bit / 8] ^ 1 << bit % 8);
    }
    toc_buf_fini(&file);
}

static void tensor_scalars_of_every_type(void **state) {
    (void)state;
    static const struct {
        uint64_t dtype;
        uint32_t field;
        struct toc_sv bytes;
        double want;
    } cases[] = {
        {1, 4, {"\0\0\x20\x40", 4}, 2.5},
        {1, 5, {"\0\0\x20\x40", 4}, 2.5},
        {2, 4, {"\0\0\0\0\0\0\x04\x40", 8}, 2.5},
        {2, 6, {"\0\0\0\0\0\0\x04\x40", 8}, 2.5},
        {3, 4, {"\xfe\xff\xff\xff", 4}, -2},
        {3, 7, {"\x05", 1}, 5},
        {9, 10, {"\x85\x01", 2}, 133},
        {14, 4, {"\x20\x40", 2}, 2.5},
        {14, 13, {"\xa0\x80\x01", 3}, 2.5},
        {19, 4, {"\0\x41", 2}, 2.5},
        {19, 4, {"\x01\0", 2}, 0x1p-24},
        {19, 4, {"\0\xfc", 2}, -INFINITY},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_buf file = TOC_BUF_INIT;
        struct recorder r;
        tfw_tensor(&file, "x", "scalars", cases[i].dtype, NULL, 0, cases[i].field, cases[i].bytes);
        decode(toc_buf_sv(&file), file.n, &r, NULL, NULL);
        assert_int_equal(r.count, 1);
        assert_true(r.seen[0].value.scalar == cases[i].want);
        toc_buf_fini(&file);
    }
}

static void histograms_of_both_encodings(void **state) {
    (void)state;
    static const double rows[] = {0, 2, 1, 2, 4, 3}; /* centres 1 and 3 */
    static const double numbers[] = {-1, 3, 4, 8, 20};
    const uint64_t dims[] = {2, 3};
    struct toc_sv bytes = toc_sv_make((const char *)rows, sizeof rows);
    struct toc_buf file = TOC_BUF_INIT;
    struct recorder r;
    tfw_histo(&file, "w", numbers);
    tfw_tensor(&file, "v", "histograms", 2, dims, 2, 4, bytes);
    tfw_tensor(&file, "v", NULL, 2, dims, 2, 4, bytes); /* its metadata came before */
    tfw_tensor(&file, "u", "images", 2, dims, 2, 4, bytes);
    tfw_tensor(&file, "t", "text", 7, NULL, 0, 8, TOC_SV("words"));
    struct toc_tfevents_counters c = decode(toc_buf_sv(&file), file.n, &r, NULL, NULL);
    assert_int_equal(r.count, 3);
    struct toc_tfevents_histogram h = r.seen[0].value.histogram;
    assert_true(h.mean == 2 && h.std == 1 && h.min == -1 && h.max == 3 && !h.is_estimated);
    h = r.seen[2].value.histogram;
    assert_true(h.count == 4 && h.mean == 2.5 && h.min == 0 && h.max == 4 && h.is_estimated);
    assert_true(fabs(h.std - sqrt(0.75)) < 1e-12);
    assert_int_equal(c.others, 1);
    assert_int_equal(c.texts, 1);
    toc_buf_fini(&file);
}

static void absurd_input_is_counted_and_never_given(void **state) {
    (void)state;
    static const double rows[] = {2, 0, 1}, negative[] = {0, 1, -1, 1, 1};
    const uint64_t dims[] = {1, 3}, huge[] = {1ull << 60, 3};
    struct toc_sv bytes = toc_sv_make((const char *)rows, sizeof rows);
    struct toc_buf file = TOC_BUF_INIT;
    struct recorder r;
    tfw_tensor(&file, "a", "histograms", 2, dims, 2, 4, bytes); /* left > right */
    tfw_tensor(&file, "b", "histograms", 2, huge, 2, 4, bytes);
    tfw_histo(&file, "c", negative);
    tfw_scalar(&file, 1, 1, "", 1);
    tfw_record(&file, TOC_SV("\xff\xff\xff"));
    struct toc_tfevents_counters c = decode(toc_buf_sv(&file), file.n, &r, NULL, NULL);
    assert_int_equal(r.count, 0);
    assert_int_equal(c.values_malformed, 4);
    assert_int_equal(c.records_malformed, 1);
    toc_buf_fini(&file);
}

static void a_record_over_the_limit_is_passed_over(void **state) {
    (void)state;
    const struct toc_tfevents_limits limits = {.max_record_bytes = 64};
    static const char big[500];
    struct toc_buf file = TOC_BUF_INIT;
    struct recorder r;
    tfw_record(&file, toc_sv_make(big, sizeof big));
    tfw_scalar(&file, 1, 9, "loss", 1);
    for (size_t chunk = 1; chunk <= file.n; chunk += 7) {
        struct toc_tfevents_counters c = decode(toc_buf_sv(&file), chunk, &r, &limits, NULL);
        assert_int_equal(c.records_too_long, 1);
        assert_int_equal(r.count, 1);
    }
    toc_buf_fini(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_the_masked_crc32c),
        cmocka_unit_test(scalars_keep_time_step_tag_and_value),
        cmocka_unit_test(a_file_may_end_and_go_on_at_every_byte),
        cmocka_unit_test(every_flipped_bit_is_noticed_and_costs_one_record),
        cmocka_unit_test(tensor_scalars_of_every_type),
        cmocka_unit_test(histograms_of_both_encodings),
        cmocka_unit_test(absurd_input_is_counted_and_never_given),
        cmocka_unit_test(a_record_over_the_limit_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
