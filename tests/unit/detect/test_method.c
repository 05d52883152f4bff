/* The detectors one by one: each finds its own kind of fault and keeps the budget where there is
 * none; explanations name what was changed. */
#include <math.h>

#include "../cmocka_prelude.h"
#include "base/rng.h"
#include "detect/explain.h"
#include "detect/method.h"

enum { ROWS = 6000, FAULT = 5000, FAULT_ROWS = 40 };

enum fault { NONE, SPIKES, SHIFT, STUCK, FORM, HOUR };

/* Minutes of a daily wave of 8 standard deviations, for FORM of a fast wave. */
static double value_of(struct toc_rng *r, int row, enum fault fault) {
    bool is_fault = row >= FAULT && row < FAULT + FAULT_ROWS;
    double e = toc_rng_normal(r), day = fault == HOUR ? 8 * sin(row * 2 * M_PI / 1440) : 0;
    if (fault == FORM)
        return e * 0.1 + (is_fault ? 2 * (row % 4 < 2) - 1 : sin(row * 2 * M_PI / 32));
    if (is_fault && fault == SPIKES)
        return 25;
    if (row >= FAULT && fault == SHIFT)
        return 106 + e;
    if (is_fault && fault == STUCK)
        return 1;
    if (is_fault && fault == HOUR)
        return e - day;
    return (fault == SHIFT ? 100 : 0) + e + day;
}

struct seen {
    int alerts, in_fault;
};

static struct seen watch(enum toc_method m, enum fault fault, double budget_seconds) {
    const struct toc_method_options o = {
        .method = m, .stream = {.columns = 1, .budget_seconds = budget_seconds}};
    struct toc_judge *j;
    struct toc_err err = {0};
    struct toc_rng r;
    struct seen seen = {0};
    bool was_alert = false;
    toc_rng_seed(&r, 7);
    assert_int_equal(toc_judge_new(&o, &j, &err), 0);
    for (int row = 0; row < ROWS; row++) {
        double v = value_of(&r, row, fault);
        struct toc_method_result x = toc_judge_step(j, row * 60.0, &v);
        assert_true(x.row.score >= 0 && x.row.score <= 1 && isfinite(x.row.surprise));
        bool is_new = x.row.is_alert && !was_alert;
        seen.alerts += is_new;
        seen.in_fault += is_new && row >= FAULT && row < FAULT + 2 * FAULT_ROWS;
        was_alert = x.row.is_alert;
    }
    assert_true(toc_judge_bytes(j) < 600000);
    toc_judge_free(&j);
    return seen;
}

static void each_finds_its_own_kind(void **state) {
    (void)state;
    static const struct {
        enum toc_method method;
        enum fault fault;
    } cases[] = {
        {TOC_METHOD_ENSEMBLE, SPIKES},    {TOC_METHOD_NEAREST_NEIGHBOUR, FORM},
        {TOC_METHOD_ENERGY, SPIKES},      {TOC_METHOD_LEVEL, SPIKES},
        {TOC_METHOD_LINE, SPIKES},        {TOC_METHOD_SEASONAL, HOUR},
        {TOC_METHOD_EWMA, SPIKES},        {TOC_METHOD_HOLT_WINTERS, SPIKES},
        {TOC_METHOD_CHANGE_POINT, SHIFT}, {TOC_METHOD_ROBUST_Z, SPIKES},
        {TOC_METHOD_FLAT_LINE, STUCK},    {TOC_METHOD_EVERY_SERIES, SPIKES},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen s = watch(cases[i].method, cases[i].fault, 86400);
        if (s.in_fault < 1)
            fail_msg("%s misses its fault (%d alerts elsewhere)",
                     toc_method_info(cases[i].method)->name, s.alerts);
    }
}

/* 6000 minutes are 4.2 days: at one a day, more than nine alerts would be beyond chance. */
static void each_keeps_the_budget(void **state) {
    (void)state;
    for (int m = 0; m < TOC_METHODS; m++) {
        struct seen s = watch((enum toc_method)m, NONE, 86400);
        if (s.alerts > 9)
            fail_msg("%s: %d alerts in 4 days at one a day",
                     toc_method_info((enum toc_method)m)->name, s.alerts);
    }
}

static void the_strangest_column_speaks(void **state) {
    (void)state;
    const struct toc_method_options o = {.method = TOC_METHOD_ROBUST_Z, .stream = {.columns = 3}};
    struct toc_judge *j;
    struct toc_err err = {0};
    struct toc_rng r;
    struct toc_method_result x = {0};
    toc_rng_seed(&r, 3);
    assert_int_equal(toc_judge_new(&o, &j, &err), 0);
    for (int row = 0; row < 1000; row++) {
        double v[] = {toc_rng_normal(&r), row == 999 ? -40 : toc_rng_normal(&r), NAN};
        x = toc_judge_step(j, row, v);
    }
    assert_int_equal(x.column, 1);
    assert_true(x.row.lower > -6 && x.row.upper < 6);
    toc_judge_free(&j);
}

static void a_direction_without_meaning_is_refused(void **state) {
    (void)state;
    const struct toc_method_options o = {.method = TOC_METHOD_ENERGY,
                                         .stream = {.columns = 1, .direction = TOC_STREAM_UP}};
    struct toc_judge *j;
    struct toc_err err = {0};
    assert_int_equal(toc_judge_new(&o, &j, &err), TOC_EINVAL);
    assert_null(j);
}

/* ----------------------------------------------------------------------------------- explanations
 */

static struct toc_explanation explain(double (*value)(int row, size_t column, double e), int first,
                                      int last) {
    struct toc_explainer *e;
    struct toc_explanation why;
    struct toc_err err = {0};
    struct toc_rng r;
    toc_rng_seed(&r, 11);
    assert_int_equal(toc_explainer_new(2, &e, &err), 0);
    for (int row = 0; row <= last; row++) {
        double v[] = {value(row, 0, toc_rng_normal(&r)), value(row, 1, toc_rng_normal(&r))};
        toc_explainer_add(e, row * 10.0, v);
    }
    toc_explain(e, (uint64_t)first, (uint64_t)last, &why);
    toc_explainer_free(&e);
    return why;
}

static double second_jumps(int row, size_t column, double e) {
    return e + (column == 1 && row >= 9000 ? 50 : 0);
}

static double first_calms_down(int row, size_t column, double e) {
    return column == 0 && row >= 900 ? 0.01 * e : e;
}

/* Twice the same hump, and between them nothing. */
static double hump_returns(int row, size_t column, double e) {
    static const int at[] = {700, 1500, 2100};
    for (size_t i = 0; i < 3; i++)
        if (column == 0 && row >= at[i] && row < at[i] + 16)
            return 20 * sin((row - at[i]) * M_PI / 16) + 0.2 * e;
    return 0.2 * e;
}

static void the_changed_column_is_named(void **state) {
    (void)state;
    struct toc_explanation why = explain(second_jumps, 9000, 9020);
    assert_int_equal(why.cause_count, 1);
    assert_int_equal(why.causes[0].column, 1);
    assert_int_equal(why.causes[0].respect, TOC_RESPECT_VALUE);
    assert_int_equal(why.causes[0].since, 9000);
    assert_true(why.causes[0].z > 20 && why.causes[0].lower < 0 && why.causes[0].upper > 0);
    assert_int_equal(why.similar_count, 0);
    why = explain(first_calms_down, 900, 960);
    assert_int_equal(why.causes[0].column, 0);
    assert_int_equal(why.causes[0].respect, TOC_RESPECT_SPREAD);
    assert_true(why.causes[0].z < 0 && why.causes[0].lower >= 0);
}

static void similar_windows_are_found(void **state) {
    (void)state;
    struct toc_explanation why = explain(hump_returns, 2100, 2118);
    assert_int_equal(why.causes[0].column, 0);
    assert_int_equal(why.similar_count, 2);
    for (size_t i = 0; i < 2; i++) {
        uint64_t at = why.similar[i].first;
        assert_true((at >= 690 && at <= 710) || (at >= 1490 && at <= 1510));
    }
}

static void too_few_rows_explain_nothing(void **state) {
    (void)state;
    assert_int_equal(explain(second_jumps, 20, 25).cause_count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_finds_its_own_kind),
        cmocka_unit_test(each_keeps_the_budget),
        cmocka_unit_test(the_strangest_column_speaks),
        cmocka_unit_test(a_direction_without_meaning_is_refused),
        cmocka_unit_test(the_changed_column_is_named),
        cmocka_unit_test(similar_windows_are_found),
        cmocka_unit_test(too_few_rows_explain_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
