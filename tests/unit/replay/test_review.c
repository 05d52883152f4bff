/* Reviews of thresholds: what is stored comes back, decisions stand, budgets are judged by chance.
 */
#include "unit/cmocka_prelude.h"

#include <string.h>

#include "replay/threshold_review.h"
#include "sim/memory_store.h"

#define WEEK_MS INT64_C(604800000)

static struct toc_threshold_review proposal(void) {
    return (struct toc_threshold_review){.rule = TOC_SV("Queue \"long\""),
                                         .reason = TOC_SV("two false alarms"),
                                         .proposed_by = TOC_SV("ann"),
                                         .before = 80,
                                         .after = 88.25,
                                         .budget_count = 1,
                                         .budget_period_s = 604800,
                                         .history_ms = 4 * WEEK_MS,
                                         .effect_before = {4, 3, 2, 61500},
                                         .effect_after = {1, 1, 0, 500},
                                         .proposed_at = {1767225600123}};
}

static void what_is_stored_comes_back(void **state) {
    (void)state;
    struct memory_blobs store;
    struct toc_threshold_review a = proposal(), b = proposal(), got;
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_err err = {0};
    memory_blobs_init(&store);
    assert_int_equal(toc_review_save(&store.base, &a, &err), 0);
    assert_int_equal(toc_review_save(&store.base, &b, &err), 0);
    assert_string_equal(a.id, "T-000001");
    assert_string_equal(b.id, "T-000002");
    assert_int_equal(toc_review_load(&store.base, TOC_SV("T-000001"), &arena, &got, &err), 0);
    assert_sv_equal(got.rule, "Queue \"long\"");
    assert_sv_equal(got.proposed_by, "ann");
    assert_true(got.before == 80 && got.after == 88.25 && got.history_ms == 4 * WEEK_MS);
    assert_memory_equal(&got.effect_before, &a.effect_before, sizeof got.effect_before);
    assert_int_equal(got.proposed_at.ms, 1767225600123);
    assert_int_equal(got.decided_at.ms, 0);
    assert_int_equal(toc_review_load(&store.base, TOC_SV("T-9"), &arena, &got, &err), TOC_ENOENT);
    toc_arena_fini(&arena);
    memory_blobs_fini(&store);
}

static int count_one(void *ctx, const struct toc_threshold_review *r) {
    (void)r;
    ++*(size_t *)ctx;
    return 0;
}

static void damaged_ones_are_counted(void **state) {
    (void)state;
    static const char *const bad[] = {"", "{", "[]", "{\"id\":\"T-1\",\"state\":\"?\"}",
                                      "{\"id\":\"T-1\",\"state\":\"accepted\",\"before\":\"x\"}"};
    struct memory_blobs store;
    struct toc_threshold_review a = proposal();
    size_t count = 0, damaged = 0;
    memory_blobs_init(&store);
    assert_int_equal(toc_review_save(&store.base, &a, NULL), 0);
    for (size_t i = 0; i < TOC_ARRAY_LEN(bad); i++) {
        char key[] = {'X', (char)('0' + i)};
        assert_int_equal(store.base.put(&store.base, "threshold_review", toc_sv_make(key, 2),
                                        toc_sv_cstr(bad[i]), NULL),
                         0);
    }
    assert_int_equal(toc_reviews_each(&store.base, count_one, &count, &damaged, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(damaged, TOC_ARRAY_LEN(bad));
    memory_blobs_fini(&store);
}

static void decisions_stand(void **state) {
    (void)state;
    struct toc_threshold_review r = proposal();
    struct toc_err err = {0};
    const struct toc_ts now = {1767229200000};
    assert_int_equal(
        toc_review_decide(&r, TOC_REVIEW_ACCEPTED, TOC_SV("bob"), TOC_SV("ok"), now, &err), 0);
    assert_int_equal(
        toc_review_decide(&r, TOC_REVIEW_REJECTED, TOC_SV("eve"), TOC_SV(""), now, &err),
        TOC_ECONFLICT);
    assert_non_null(strstr(err.message, "accepted by bob"));
    assert_sv_equal(r.decided_by, "bob");
}

/* One a week over four weeks: 4 expected; P(X >= 8) = 0.051, P(X >= 9) = 0.021. */
static void budgets_are_judged_by_chance(void **state) {
    (void)state;
    struct toc_threshold_review r = proposal();
    struct toc_arena arena = TOC_ARENA_INIT;
    const struct toc_ts now = {1767229200000};
    toc_review_note_check(&r, 8, 4 * WEEK_MS, now, &arena);
    assert_false(r.is_over_budget);
    assert_int_equal(r.note.n, 0);
    toc_review_note_check(&r, 9, 4 * WEEK_MS, now, &arena);
    assert_true(r.is_over_budget);
    assert_true(toc_sv_find(r.note, TOC_SV("9 pages in the last 28.0 days")) == 0);
    toc_review_note_check(&r, 3, 4 * WEEK_MS, now, &arena);
    assert_false(r.is_over_budget);
    assert_int_equal(r.note.n, 0);
    toc_arena_fini(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_stored_comes_back),
        cmocka_unit_test(damaged_ones_are_counted),
        cmocka_unit_test(decisions_stand),
        cmocka_unit_test(budgets_are_judged_by_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
