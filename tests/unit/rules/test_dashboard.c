/* Dashboards of packs: every built-in one is sound, and what is wrong is refused with its reason.
 */
#include <stdio.h>
#include <string.h>

#include "../cmocka_prelude.h"

#include "rules/builtin_packs.h"
#include "rules/dashboard.h"

static int parse(const char *text, struct toc_dashboard *out, struct toc_arena *a,
                 struct toc_err *err) {
    toc_arena_init(a, 4 << 20);
    return toc_dashboard_parse(toc_sv_cstr(text), a, out, err);
}

static bool is_ascii(struct toc_sv s) {
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] > 127)
            return false;
    return true;
}

static void every_pack_brings_a_sound_dashboard(void **state) {
    size_t count, chinese = 0, charts = 0;
    const struct toc_builtin_pack *packs = toc_builtin_packs(&count);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct toc_dashboard d;
        struct toc_arena a;
        struct toc_err err = {0};
        toc_arena_init(&a, 4 << 20);
        if (toc_dashboard_parse(packs[i].dashboard, &a, &d, &err) < 0)
            fail_msg("%s: %d:%d: %s", packs[i].name, err.line, err.column, err.message);
        for (size_t k = 0; k < d.count; k++, charts++) {
            chinese += !is_ascii(d.charts[k].title.zh);
            assert_true(d.charts[k].legend.n > 0);
            for (size_t j = 0; j < k; j++)
                if (toc_sv_eq(d.charts[k].expr, d.charts[j].expr))
                    fail_msg("%s shows %.*s twice", packs[i].name, TOC_SV_ARG(d.charts[k].expr));
        }
        toc_arena_fini(&a);
    }
    assert_int_equal(chinese, charts); /* none was left in English */
}

#define GOOD "title: {en: a, zh: b}\ncharts:\n- title: {en: c, zh: d}\n  expr: sum(x)\n"

static void a_chart_is_read_with_its_defaults(void **state) {
    struct toc_dashboard d;
    struct toc_arena a;
    struct toc_err err = {0};
    (void)state;
    assert_int_equal(parse(GOOD
                           "- {title: {en: e, zh: f}, expr: y, unit: s, threshold: 2.5, legend: "
                           "'{{job}}'}\n",
                           &d, &a, &err),
                     0);
    assert_int_equal(d.count, 2);
    assert_false(d.charts[0].has_threshold);
    assert_true(toc_sv_eq_cstr(d.charts[0].unit, ""));
    assert_true(d.charts[1].has_threshold && d.charts[1].threshold == 2.5);
    assert_true(toc_sv_eq_cstr(d.charts[1].legend, "{{job}}"));
    toc_arena_fini(&a);
}

static void what_is_wrong_is_refused(void **state) {
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"title: {en: a, zh: b}\n", "charts"},
        {"title: {en: a, zh: b}\ncharts: []\n", "1 to 24"},
        {"title: {en: a}\ncharts: [{title: {en: a, zh: b}, expr: x}]\n", "zh"},
        {"title: {en: a, zh: b}\ncharts: [{title: {en: a, zh: ''}, expr: x}]\n", "no text in zh"},
        {"title: {en: a, zh: b}\ncharts: [{title: {en: a, zh: b}, expr: 'sum('}]\n", "expr"},
        {GOOD "  unit: hours\n", "unit must be"},
        {GOOD "  threshold: high\n", "high"},
        {GOOD "  colour: red\n", "colour"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct toc_dashboard d;
        struct toc_arena a;
        struct toc_err err = {0};
        assert_true(parse(cases[i].text, &d, &a, &err) < 0);
        if (!strstr(err.message, cases[i].why))
            fail_msg("got %s, wanted %s", err.message, cases[i].why);
        assert_int_equal(d.count, 0);
        toc_arena_fini(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pack_brings_a_sound_dashboard),
        cmocka_unit_test(a_chart_is_read_with_its_defaults),
        cmocka_unit_test(what_is_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
