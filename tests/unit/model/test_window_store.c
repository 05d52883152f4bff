/* Series in a moving window: what readers see, in which order, and what is forgotten. */
#include "../cmocka_prelude.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "model/matcher.h"
#include "model/window_store.h"

struct seen {
    size_t series, samples;
    double sum;
    int64_t last_ms;
    char names[256];
};

static int on_series(void *ctx, const struct toc_series_view *v) {
    struct seen *s = ctx;
    s->series++;
    s->samples += v->count;
    for (size_t i = 0; i < v->count; i++) {
        assert_true(i == 0 || v->t_ms[i] > v->t_ms[i - 1]);
        s->sum += v->values[i];
        s->last_ms = v->t_ms[i];
    }
    struct toc_sv name = toc_labels_get(v->labels, TOC_METRIC_NAME);
    size_t n = strlen(s->names);
    snprintf(s->names + n, sizeof s->names - n, "%.*s ", TOC_SV_ARG(name));
    return 0;
}

static int on_string(void *ctx, struct toc_sv value) {
    struct seen *s = ctx;
    size_t n = strlen(s->names);
    snprintf(s->names + n, sizeof s->names - n, "%.*s ", TOC_SV_ARG(value));
    return 0;
}

static void put(struct toc_window_store *s, const char *name, const char *run, int64_t t,
                double v) {
    struct toc_label l[] = {{TOC_METRIC_NAME, toc_sv_cstr(name)},
                            {TOC_SV("run"), toc_sv_cstr(run)}};
    struct toc_point p = toc_float_point((struct toc_labels){l, 2}, t, v);
    struct toc_write_result r = {0};
    struct toc_sink *sink = toc_window_store_sink(s);
    assert_int_equal(sink->write(sink, &p, 1, &r, NULL), 0);
    assert_int_equal(r.accepted, 1);
}

static struct seen look(struct toc_window_store *s, const char *pattern, int64_t from, int64_t to,
                        bool is_sorted) {
    struct seen seen = {0};
    struct toc_matcher m;
    assert_int_equal(
        toc_matcher_init(&m, TOC_MATCH_RE, TOC_METRIC_NAME, toc_sv_cstr(pattern), NULL), 0);
    struct toc_select select = {
        .matchers = &m, .matcher_count = 1, .min_ms = from, .max_ms = to, .sorted = is_sorted};
    struct toc_querier *q = toc_window_store_querier(s);
    assert_int_equal(q->select(q, &select, on_series, &seen, NULL), 0);
    toc_matcher_fini(&m);
    return seen;
}

static void nothing_later_than_the_horizon_is_seen(void **state) {
    (void)state;
    struct toc_window_store *s = toc_window_store_new();
    for (int i = 1; i <= 10; i++)
        put(s, "a", "r", i * 1000, i);
    assert_int_equal(look(s, "a", 0, INT64_MAX, false).samples, 0);
    toc_window_store_set_horizon(s, 4000);
    struct seen seen = look(s, "a", 0, INT64_MAX, false);
    assert_int_equal(seen.samples, 4);
    assert_int_equal(seen.last_ms, 4000);
    assert_int_equal(look(s, "a", 2000, 3500, false).samples, 2);
    assert_int_equal(look(s, "a", 4001, INT64_MAX, false).series, 0);
    toc_window_store_free(&s);
}

static void late_and_repeated_samples_find_their_place(void **state) {
    (void)state;
    struct toc_window_store *s = toc_window_store_new();
    toc_window_store_set_horizon(s, INT64_MAX);
    put(s, "a", "r", 3000, 3);
    put(s, "a", "r", 1000, 1);
    put(s, "a", "r", 2000, 9);
    put(s, "a", "r", 2000, 2); /* the later word stays */
    struct seen seen = look(s, "a", 0, INT64_MAX, false);
    assert_int_equal(seen.samples, 3);
    assert_true(seen.sum == 6);
    assert_int_equal(toc_window_store_samples(s), 3);
    toc_window_store_free(&s);
}

static void a_question_learns_of_new_series(void **state) {
    (void)state;
    struct toc_window_store *s = toc_window_store_new();
    toc_window_store_set_horizon(s, INT64_MAX);
    put(s, "b", "r", 1000, 1);
    assert_int_equal(look(s, "a|b", 0, 9000, true).series, 1);
    put(s, "a", "r", 1000, 1);
    put(s, "c", "r", 1000, 1);
    assert_string_equal(look(s, "a|b", 0, 9000, true).names, "a b ");
    assert_string_equal(look(s, "a|b", 0, 9000, false).names, "b a ");
    toc_window_store_free(&s);
}

static void names_and_values_are_sorted_and_told_once(void **state) {
    (void)state;
    struct toc_window_store *s = toc_window_store_new();
    toc_window_store_set_horizon(s, INT64_MAX);
    put(s, "a", "r2", 1000, 1);
    put(s, "b", "r1", 1000, 1);
    put(s, "a", "r1", 1000, 1);
    struct toc_querier *q = toc_window_store_querier(s);
    struct toc_select select = {.min_ms = 0, .max_ms = 9000};
    struct seen seen = {0};
    assert_int_equal(q->label_values(q, TOC_SV("run"), &select, on_string, &seen, NULL), 0);
    assert_string_equal(seen.names, "r1 r2 ");
    seen = (struct seen){0};
    assert_int_equal(q->label_names(q, &select, on_string, &seen, NULL), 0);
    assert_string_equal(seen.names, "__name__ run ");
    toc_window_store_free(&s);
}

static void what_is_forgotten_is_gone_and_memory_stays_bounded(void **state) {
    (void)state;
    struct toc_window_store *s = toc_window_store_new();
    toc_window_store_set_horizon(s, INT64_MAX);
    for (int64_t i = 1; i <= 100000; i++) {
        put(s, "a", "r", i, 1);
        if (i % 100 == 0)
            toc_window_store_forget(s, i - 50);
    }
    assert_int_equal(toc_window_store_samples(s), 51);
    assert_int_equal(look(s, "a", 0, INT64_MAX, false).samples, 51);
    toc_window_store_free(&s);
}

/* Against the plain way: an array of all samples, searched from its start. */
static void random_reads_equal_a_plain_search(void **state) {
    enum { COUNT = 400 };
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, 7);
    struct toc_window_store *s = toc_window_store_new();
    bool is_there[COUNT + 1] = {false};
    for (int i = 0; i < COUNT / 2; i++) {
        int64_t t = (int64_t)toc_rng_below(&rng, COUNT);
        put(s, "a", "r", t, 1);
        is_there[t] = true;
    }
    for (int i = 0; i < 2000; i++) {
        int64_t from = (int64_t)toc_rng_below(&rng, COUNT);
        int64_t to = (int64_t)toc_rng_below(&rng, COUNT);
        int64_t horizon = (int64_t)toc_rng_below(&rng, COUNT);
        size_t wanted = 0;
        toc_window_store_set_horizon(s, horizon);
        for (int64_t t = from; t <= to && t <= horizon; t++)
            wanted += is_there[t];
        assert_int_equal(look(s, "a", from, to, false).samples, wanted);
    }
    toc_window_store_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_later_than_the_horizon_is_seen),
        cmocka_unit_test(late_and_repeated_samples_find_their_place),
        cmocka_unit_test(a_question_learns_of_new_series),
        cmocka_unit_test(names_and_values_are_sorted_and_told_once),
        cmocka_unit_test(what_is_forgotten_is_gone_and_memory_stays_bounded),
        cmocka_unit_test(random_reads_equal_a_plain_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
