/* The payload of a record of the log: what goes in comes out, and what earlier versions wrote. */
#include "../cmocka_prelude.h"

#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "metricdb/wal_record.h"
#include "model/sample.h"

enum { ENTRIES = 500, HISTOGRAM_BYTES = 3 };
static const char g_histogram[HISTOGRAM_BYTES] = "abc";

struct entry {
    uint32_t id;
    int64_t t_ms;
    uint64_t bits;
    uint64_t span_ms; /* of a deletion */
    enum { FLOAT, HISTOGRAM, DELETION } kind;
};

struct seen {
    struct entry entries[ENTRIES];
    size_t count;
};

static struct entry *add(void *ctx, uint32_t id, int64_t t_ms) {
    struct seen *s = ctx;
    assert_true(s->count < ENTRIES);
    s->entries[s->count] = (struct entry){.id = id, .t_ms = t_ms};
    return &s->entries[s->count++];
}

static void on_sample(void *ctx, uint32_t id, int64_t t_ms, double value) {
    add(ctx, id, t_ms)->bits = toc_f64_bits(value);
}

static void on_histogram(void *ctx, uint32_t id, int64_t t_ms, struct toc_sv bytes) {
    add(ctx, id, t_ms)->kind = HISTOGRAM;
    assert_int_equal(bytes.n, HISTOGRAM_BYTES);
    assert_memory_equal(bytes.p, g_histogram, HISTOGRAM_BYTES);
}

static void on_deletion(void *ctx, uint32_t id, int64_t min_ms, int64_t max_ms) {
    struct entry *e = add(ctx, id, max_ms);
    e->kind = DELETION;
    e->span_ms = (uint64_t)max_ms - (uint64_t)min_ms;
}

static int visit(struct toc_sv payload, struct seen *out) {
    struct toc_wal_visitor v = {
        .ctx = out, .sample = on_sample, .histogram = on_histogram, .deletion = on_deletion};
    struct toc_wal_summary summary = {0};
    struct toc_arena arena;
    toc_arena_init(&arena, 1 << 20);
    memset(out, 0, sizeof *out);
    int rc = toc_wal_payload_visit(payload, &arena, &v, &summary);
    toc_arena_fini(&arena);
    if (!rc)
        assert_int_equal(summary.samples + summary.deletions, out->count);
    return rc;
}

static void put(struct toc_wal_record_builder *b, const struct entry *e) {
    struct toc_wal_blob *blob = NULL;
    if (e->kind == HISTOGRAM)
        blob = toc_wal_histogram_blob(toc_sv_make(g_histogram, HISTOGRAM_BYTES));
    else if (e->kind == DELETION)
        blob = toc_wal_deletion_blob(e->span_ms);
    if (blob)
        toc_wal_record_blob(b, e->id, e->t_ms, blob);
    else
        toc_wal_record_sample(b, e->id, e->t_ms, e->bits);
    toc_free(blob);
}

/* The bytes of a record of these entries; its payload has no definitions. */
static void make_record(const struct entry *e, size_t count, struct toc_buf *out) {
    struct toc_wal_record_builder b = {0};
    uint64_t sequence;
    toc_wal_record_begin(&b);
    for (size_t i = 0; i < count; i++)
        put(&b, &e[i]);
    toc_wal_record_finish(&b, 9, 77, out);
    assert_int_equal(b.error, 0);
    toc_wal_record_release(&b);
    assert_int_equal(toc_wal_record_check(toc_buf_sv(out), 9, &sequence), out->n);
    assert_int_equal(sequence, 77);
}

static struct toc_sv payload_of(const struct toc_buf *record) {
    return toc_sv_sub(toc_buf_sv(record), TOC_WAL_RECORD_HEADER_BYTES, record->n);
}

static uint64_t random_bits(struct toc_rng *rng) {
    switch (toc_rng_below(rng, 4)) {
    case 0:
        return toc_f64_bits((double)toc_rng_below(rng, 1000));
    case 1:
        return toc_rng_u64(rng); /* any double, NaN payloads, too */
    case 2:
        return toc_f64_bits(-0.0);
    default:
        return toc_f64_bits((double)toc_rng_below(rng, 100000) / 8);
    }
}

/* Runs of one series at even steps, of many series at one time, and neither. */
static void make_entries(struct toc_rng *rng, struct entry *out, size_t count) {
    static const int64_t steps[] = {0, 15000, 1, -285000, INT64_MAX, INT64_MIN};
    uint32_t id = 0;
    int64_t t = 0, step = 15000;
    for (size_t i = 0; i < count; i++) {
        if (!toc_rng_below(rng, 5))
            id = (uint32_t)toc_rng_below(rng, 3) ? id + 1 : (uint32_t)toc_rng_below(rng, 1 << 24);
        if (!toc_rng_below(rng, 6))
            step = steps[toc_rng_below(rng, TOC_ARRAY_LEN(steps))];
        id %= TOC_WAL_ID_MAX;
        t = (int64_t)((uint64_t)t + (uint64_t)step);
        out[i] = (struct entry){.id = id, .t_ms = t, .bits = random_bits(rng)};
        if (!toc_rng_below(rng, 20)) {
            bool is_deletion = toc_rng_below(rng, 2);
            out[i] = (struct entry){id, t, 0, is_deletion ? toc_rng_below(rng, 5000) : 0,
                                    is_deletion ? DELETION : HISTOGRAM};
        }
    }
}

static void what_goes_in_comes_out(void **state) {
    (void)state;
    struct toc_rng rng;
    static struct seen seen;
    toc_rng_seed(&rng, 5);
    for (int round = 0; round < 300; round++) {
        struct entry e[ENTRIES];
        struct toc_buf record = TOC_BUF_INIT;
        size_t count = 1 + toc_rng_below(&rng, ENTRIES);
        make_entries(&rng, e, count);
        make_record(e, count, &record);
        assert_int_equal(visit(payload_of(&record), &seen), 0);
        assert_int_equal(seen.count, count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(seen.entries[i].id, e[i].id);
            assert_true(seen.entries[i].t_ms == e[i].t_ms);
            assert_true(seen.entries[i].bits == e[i].bits);
            assert_int_equal(seen.entries[i].kind, e[i].kind);
            assert_true(seen.entries[i].span_ms == e[i].span_ms);
        }
        toc_buf_fini(&record);
    }
}

static void an_even_run_costs_a_tag_and_its_values(void **state) {
    (void)state;
    enum { RUN = 20 };
    struct entry e[RUN];
    struct toc_buf record = TOC_BUF_INIT;
    for (int i = 0; i < RUN; i++)
        e[i] = (struct entry){
            .id = 3, .t_ms = 1000 + 15000 * (int64_t)i, .bits = toc_f64_bits((double)(i + 1))};
    make_record(e, RUN, &record);
    /* no definitions, 20 samples | 3, 1000 | +0, +15000 | tag and value of each other one */
    static const uint8_t start[] = {0,    20,   0x01, 0x06, 0xd0, 0x0f, 2,    0x01, 0x00,
                                    0xb0, 0xea, 0x01, 4,    0x41, 6,    0x41, 8};
    struct toc_sv payload = payload_of(&record);
    assert_memory_equal(payload.p, start, sizeof start);
    assert_int_equal(payload.n, sizeof start + (RUN - 4) * 2);
    toc_buf_fini(&record);
}

/* 5.0 and 6.0 of series 3 at 1000 and 2000 and 1.5 of series 4 at 2000; the time of each or none.
 */
static void what_earlier_versions_wrote_is_read(void **state) {
    (void)state;
    static const uint8_t bytes[] = {0,    4,    0x01, 0x06, 0xd0, 0x0f, 0x0a,
                                    0x01, 0x00, 0xd0, 0x0f, 0x0c, 0x8a, 0x02,
                                    0xf8, 0x3f, 0x12, 0x01, 0xd0, 0x0f, 0x07};
    static struct seen seen;
    assert_int_equal(visit(toc_sv_make((const char *)bytes, sizeof bytes), &seen), 0);
    assert_int_equal(seen.count, 4);
    assert_true(seen.entries[0].id == 3 && seen.entries[0].t_ms == 1000 &&
                seen.entries[0].bits == toc_f64_bits(5));
    assert_true(seen.entries[1].id == 3 && seen.entries[1].t_ms == 2000 &&
                seen.entries[1].bits == toc_f64_bits(6));
    assert_true(seen.entries[2].id == 4 && seen.entries[2].t_ms == 2000 &&
                seen.entries[2].bits == toc_f64_bits(1.5));
    assert_true(seen.entries[3].id == 3 && seen.entries[3].t_ms == 3000 &&
                seen.entries[3].kind == DELETION && seen.entries[3].span_ms == 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(an_even_run_costs_a_tag_and_its_values),
        cmocka_unit_test(what_earlier_versions_wrote_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
