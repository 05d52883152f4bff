/* Which series matchers name, against asking each series. */
#include <stdio.h>

#include "../cmocka_prelude.h"

#include "base/rng.h"
#include "fixture.h"

enum { SERIES = 600, SAMPLE_MS = 1000 };

struct found {
    bool is_there[SERIES];
    size_t count;
};

static const char *const metrics[] = {"up", "cpu_total", "gpu_temp", "gpu_power", "loss"};

/* Series i: a metric, a number of its own, and for two of three a zone. */
static size_t labels_of(int i, char number[8], struct toc_label out[3]) {
    static const char *const zones[] = {"east", "west"};
    snprintf(number, 8, "%d", i);
    out[0] = (struct toc_label){TOC_METRIC_NAME, toc_sv_cstr(metrics[i % 5])};
    out[1] = (struct toc_label){TOC_SV("n"), toc_sv_cstr(number)};
    out[2] = (struct toc_label){TOC_SV("zone"), toc_sv_cstr(zones[i % 2])};
    return i % 3 ? 3 : 2;
}

static void write_all(struct fixture *f) {
    struct toc_sink *sink = toc_metricdb_sink(f->db);
    for (int i = 0; i < SERIES; i++) {
        char number[8];
        struct toc_label labels[3];
        int at = i * 7 % SERIES; /* lists of values are in no order of series */
        size_t n = labels_of(at, number, labels);
        struct toc_point p = {.labels = {labels, n}, .t_ms = f->clock.wall.ms, .value = at};
        assert_int_equal(sink->write(sink, &p, 1, NULL, NULL), 0);
    }
}

static int on_series(void *ctx, const struct toc_series_view *s) {
    struct found *found = ctx;
    char number[8] = {0};
    toc_sv_copy(toc_labels_get(s->labels, TOC_SV("n")), number, sizeof number);
    int i = atoi(number);
    assert_false(found->is_there[i]); /* none twice */
    found->is_there[i] = true;
    found->count++;
    return 0;
}

static bool fits(int i, const struct toc_matcher *m, size_t count) {
    char number[8];
    struct toc_label labels[3];
    struct toc_labels l = {labels, labels_of(i, number, labels)};
    for (size_t k = 0; k < count; k++)
        if (!toc_matcher_matches(&m[k], toc_labels_get(l, m[k].name)))
            return false;
    return true;
}

static void compare(struct fixture *f, const struct toc_matcher *m, size_t count) {
    struct found found = {0};
    struct toc_select select = {.matchers = m,
                                .matcher_count = count,
                                .min_ms = f->clock.wall.ms - SAMPLE_MS,
                                .max_ms = f->clock.wall.ms};
    struct toc_querier *q = toc_metricdb_querier(f->db);
    assert_int_equal(q->select(q, &select, on_series, &found, NULL), 0);
    for (int i = 0; i < SERIES; i++)
        assert_int_equal(found.is_there[i], fits(i, m, count));
}

/* Lists that repeat a value, values that nothing has, expressions that also want what is absent. */
static const struct {
    enum toc_match_op op;
    const char *name, *value;
} kinds[] = {
    {TOC_MATCH_EQ, "__name__", "gpu_temp"},
    {TOC_MATCH_NE, "__name__", "up"},
    {TOC_MATCH_RE, "__name__", "gpu_temp"},
    {TOC_MATCH_RE, "__name__", "up|up|loss"},
    {TOC_MATCH_RE, "__name__", "gpu_.*"},
    {TOC_MATCH_RE, "__name__", ".+"},
    {TOC_MATCH_NRE, "__name__", "gpu_.+"},
    {TOC_MATCH_RE, "__name__", "none|nothing"},
    {TOC_MATCH_EQ, "zone", "east"},
    {TOC_MATCH_NE, "zone", "east"},
    {TOC_MATCH_NE, "zone", ""},
    {TOC_MATCH_EQ, "zone", ""},
    {TOC_MATCH_RE, "zone", "east|"},
    {TOC_MATCH_RE, "zone", ".*"},
    {TOC_MATCH_NRE, "zone", "west|"},
    {TOC_MATCH_RE, "n", "1|2|3|2|599|1"},
    {TOC_MATCH_RE, "n", "[0-9]*7"},
    {TOC_MATCH_NRE, "n", "(1|2)[0-9]*"},
    {TOC_MATCH_RE, "n", "4.|5..|12"},
    {TOC_MATCH_EQ, "n", "77"},
};

static void matchers_find_what_asking_each_series_finds(void **state) {
    enum { KINDS = TOC_ARRAY_LEN(kinds), ROUNDS = 3000, MOST = 3 };
    struct fixture f;
    struct toc_matcher all[KINDS], m[MOST];
    struct toc_rng rng;
    (void)state;
    fixture_init(&f, 1);
    toc_rng_seed(&rng, 20);
    write_all(&f);
    for (size_t i = 0; i < KINDS; i++) {
        assert_int_equal(toc_matcher_init(&all[i], kinds[i].op, toc_sv_cstr(kinds[i].name),
                                          toc_sv_cstr(kinds[i].value), NULL),
                         0);
        compare(&f, &all[i], 1);
    }
    for (int round = 0; round < ROUNDS; round++) {
        size_t count = 1 + toc_rng_below(&rng, MOST);
        for (size_t i = 0; i < count; i++)
            m[i] = all[toc_rng_below(&rng, KINDS)];
        compare(&f, m, count);
    }
    for (size_t i = 0; i < KINDS; i++)
        toc_matcher_fini(&all[i]);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matchers_find_what_asking_each_series_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
