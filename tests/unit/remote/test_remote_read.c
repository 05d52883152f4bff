#include "../metricdb/fixture.h"
#include "codec/protobuf.h"
#include "remote/remote_read.h"

#define T0 (FIXTURE_START_MS - 60000)

static void put_query(struct toc_buf *b, int64_t from, int64_t to, unsigned op, const char *name,
                      const char *value) {
    size_t query = toc_pb_begin(b, 1);
    toc_pb_put_u64(b, 1, (uint64_t)from);
    toc_pb_put_u64(b, 2, (uint64_t)to);
    size_t matcher = toc_pb_begin(b, 3);
    toc_pb_put_u64(b, 1, op);
    toc_pb_put_bytes(b, 2, toc_sv_cstr(name));
    toc_pb_put_bytes(b, 3, toc_sv_cstr(value));
    toc_pb_end(b, matcher);
    toc_pb_end(b, query);
}

static void print_label(struct toc_sv body, struct toc_buf *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        toc_buf_printf(out, f.number == 1 ? "%.*s=" : "%.*s ", TOC_SV_ARG(f.bytes));
}

static void print_sample(struct toc_sv body, struct toc_buf *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        if (f.number == 1)
            toc_buf_printf(out, "%g", toc_pb_double(&r, &f));
        else
            toc_buf_printf(out, "@%lld ", (long long)(toc_pb_i64(&r, &f) - T0));
}

/* results in [], series in (). */
static void print_answer(struct toc_sv body, struct toc_buf *out) {
    struct toc_pb_reader response = toc_pb_reader_make(body);
    for (struct toc_pb_field result; toc_pb_next(&response, &result);) {
        toc_buf_append_char(out, '[');
        struct toc_pb_reader series = toc_pb_reader_make(result.bytes);
        for (struct toc_pb_field s; toc_pb_next(&series, &s);) {
            toc_buf_append_char(out, '(');
            struct toc_pb_reader parts = toc_pb_reader_make(s.bytes);
            for (struct toc_pb_field f; toc_pb_next(&parts, &f);)
                if (f.number == 1)
                    print_label(f.bytes, out);
                else
                    print_sample(f.bytes, out);
            toc_buf_append_char(out, ')');
        }
        toc_buf_append_char(out, ']');
    }
}

struct setup {
    struct fixture f;
    struct toc_remote_read_options o;
    struct toc_buf body, out, text;
    struct toc_err err;
    uint64_t samples;
};

static void begin(struct setup *s) {
    *s = (struct setup){.samples = 0};
    fixture_init(&s->f, 1);
    s->o = (struct toc_remote_read_options){.querier = toc_metricdb_querier(s->f.db),
                                            .max_samples = 100};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fixture_write(&s->f, "up", "b", T0 + i, i, NULL), 0);
        assert_int_equal(fixture_write(&s->f, "up", "a", T0 + i, 10 + i, NULL), 0);
        assert_int_equal(fixture_write(&s->f, "down", "a", T0 + i, 20 + i, NULL), 0);
    }
}

static void end(struct setup *s) {
    toc_buf_fini(&s->body);
    toc_buf_fini(&s->out);
    toc_buf_fini(&s->text);
    fixture_fini(&s->f);
}

static int ask(struct setup *s) {
    toc_buf_reset(&s->out);
    toc_buf_reset(&s->text);
    s->err = (struct toc_err){0};
    int rc = toc_remote_read(&s->o, toc_buf_sv(&s->body), &s->out, &s->samples, &s->err);
    print_answer(toc_buf_sv(&s->out), &s->text);
    return rc;
}

static void each_query_has_its_result_in_label_order(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    put_query(&s.body, T0 + 1, T0 + 2, 0, "__name__", "up");
    put_query(&s.body, T0, T0, 2, "__name__", "d.*");
    put_query(&s.body, T0, T0, 0, "__name__", "none");
    assert_int_equal(ask(&s), 0);
    assert_string_equal(toc_buf_cstr(&s.text),
                        "[(__name__=up i=a 11@1 12@2 )(__name__=up i=b 1@1 2@2 )]"
                        "[(__name__=down i=a 20@0 )][]");
    assert_int_equal(s.samples, 5);
    end(&s);
}

static void the_type_of_the_answer_is_agreed(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    put_query(&s.body, T0, T0, 0, "__name__", "down");
    size_t n = s.body.n;
    toc_pb_put_bytes(&s.body, 2, TOC_SV("\1\0")); /* chunks first, then samples */
    assert_int_equal(ask(&s), 0);
    s.body.n = n;
    toc_pb_put_u64(&s.body, 2, 1); /* nothing but chunks */
    assert_int_equal(ask(&s), TOC_EUNSUPPORTED);
    s.body.n = n;
    toc_pb_put_u64(&s.body, 2, 0);
    assert_int_equal(ask(&s), 0);
    end(&s);
}

static void limits_and_noise_are_refused(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    put_query(&s.body, T0, T0 + 9, 0, "__name__", "up");
    s.o.max_samples = 5;
    assert_int_equal(ask(&s), TOC_ELIMIT);
    s.o.max_samples = 6;
    assert_int_equal(ask(&s), 0);
    s.body.n--;
    assert_int_equal(ask(&s), TOC_ETRUNCATED);
    toc_buf_reset(&s.body);
    put_query(&s.body, T0, T0, 2, "__name__", "(");
    assert_int_equal(ask(&s), TOC_EPARSE);
    toc_buf_reset(&s.body);
    put_query(&s.body, T0, T0, 9, "__name__", "up");
    assert_int_equal(ask(&s), TOC_EPARSE);
    end(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_query_has_its_result_in_label_order),
        cmocka_unit_test(the_type_of_the_answer_is_agreed),
        cmocka_unit_test(limits_and_noise_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
