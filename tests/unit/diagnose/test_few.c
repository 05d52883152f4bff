/* What few reports must tell: of a jump that is seconds old, of layers that are sampled rarely, of
 * a leak that leaves seconds. */
#include "learn_sim.h"

static struct learn *new_run(uint64_t seed, double step_s) {
    struct learn *l = TOC_NEW(struct learn);
    learn_init(l, seed);
    l->step_s = step_s;
    learn_order(l);
    return l;
}

static void free_run(struct learn *l) {
    learn_fini(l);
    toc_free(l);
}

static void expect_no_alert(struct learn *l, const char *what) {
    if (!l->s.told_count)
        return;
    sim_print(&l->s);
    fail_msg("%s: %zu alerts", what, l->s.told_count);
}

static const struct sim_told *expect(struct learn *l, const char *kind) {
    const struct sim_told *t = sim_find(&l->s, kind);
    if (!t)
        sim_print(&l->s);
    assert_non_null(t);
    return t;
}

/* ---- a jump of the learning rate ---- */

enum { JUMP_STEP = 600 };

/* One huge loss, then as high as an untrained network's, for good. */
static void lose_all(struct learn *l, struct learn_report *r) {
    r->lr = 300 * l->base_lr;
    r->loss =
        l->step < l->fault_step + 3 ? 4e4 : l->start_loss * (1 + 0.02 * toc_rng_normal(&l->s.rng));
}
static void a_level_lost_with_a_jump_of_the_rate_is_divergence(void **state) {
    static const double steps_s[] = {0.01, 0.1, 5};
    (void)state;
    for (size_t p = 0; p < TOC_ARRAY_LEN(steps_s); p++) {
        struct learn *l = new_run(p + 1, steps_s[p]);
        l->tamper = lose_all;
        l->fault_step = JUMP_STEP;
        learn_run(l, JUMP_STEP + TOC_MAX(20, (int64_t)(4 / steps_s[p])));
        const struct sim_told *t = expect(l, "divergence");
        assert_int_equal(t->step, JUMP_STEP);
        assert_non_null(strstr(t->cause, "The learning rate jumped"));
        learn_run(l, 700);
        assert_null(sim_find(&l->s, "slow_convergence"));
        free_run(l);
    }
}

static void lose_all_unseen(struct learn *l, struct learn_report *r) {
    lose_all(l, r);
    r->lr = NAN;
}
/* Without a learning rate the course alone tells; the peak of thousands does not hide it. */
static void a_level_lost_for_no_told_reason_is_divergence_and_not_slow(void **state) {
    (void)state;
    struct learn *l = new_run(1, 0.1);
    l->tamper = lose_all_unseen;
    l->fault_step = 200;
    learn_run(l, 500);
    assert_true(expect(l, "divergence")->step >= 150);
    assert_null(sim_find(&l->s, "slow_convergence"));
    free_run(l);
}

/* Warm restarts: from a hundredth up to where it was, and the loss takes a moment. */
static void warm_restarts(struct learn *l, struct learn_report *r) {
    double phase = (double)(l->step % 200) / 200;
    r->lr = l->base_lr * (0.01 + 0.99 * (1 - phase));
    r->loss *= l->step > 200 ? 1 + 0.4 * exp(-phase * 20) : 1;
}
/* The head was trained first, then all of it at a hundred times the rate: it gets worse, and
 * better. */
static void second_phase(struct learn *l, struct learn_report *r) {
    r->lr = l->step < JUMP_STEP ? l->base_lr / 100 : l->base_lr;
    if (l->step >= JUMP_STEP)
        r->loss = 0.6 * r->loss + 1.2 * exp(-(double)(l->step - JUMP_STEP) / 60);
}
static void rates_that_rise_by_plan_stay_silent(void **state) {
    (void)state;
    void (*const healthy[])(struct learn *, struct learn_report *) = {warm_restarts, second_phase};
    for (size_t k = 0; k < TOC_ARRAY_LEN(healthy); k++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct learn *l = new_run(seed, 0.1);
            l->tamper = healthy[k];
            l->warm_up_steps = 1;
            learn_run(l, 1200);
            expect_no_alert(l, k ? "second phase" : "warm restarts");
            free_run(l);
        }
}

/* An evaluation at the moment of the rise: the losses of training before it are the latest it
 * knows. */
static void rise_between_evaluations(struct learn *l, struct learn_report *r) {
    r->loss = 0.5 + 4 * exp(-(double)l->step / 200);
    double told = r->loss * 1.05;
    if (l->step >= JUMP_STEP)
        r->loss = told = 4;
    if (l->step % 50 == 0)
        sim_put(&l->s, "train_val_loss", told);
}
static void a_loss_that_rises_with_that_of_the_evaluations_is_no_overfit(void **state) {
    (void)state;
    struct learn *l = new_run(1, 0.02);
    l->tamper = rise_between_evaluations;
    learn_run(l, JUMP_STEP + 300);
    (void)expect(l, "divergence");
    assert_null(sim_find(&l->s, "overfit"));
    free_run(l);
}

/* ---- swings ---- */

static void stay_noisy(struct learn *l, struct learn_report *r) {
    r->loss = (0.8 + 1.5 * exp(-(double)l->step / 10)) * (1 + 0.2 * toc_rng_normal(&l->s.rng));
}
/* Among many lags and many looks at few reports one repeats itself by chance. */
static void noise_of_a_short_run_is_no_swing(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct learn *l = new_run(seed, 0.5);
        l->tamper = stay_noisy;
        learn_run(l, 180);
        expect_no_alert(l, "noise");
        free_run(l);
    }
}

/* ---- nothing learned ---- */

/* The output learns how frequent each class is in some steps, and then nothing; no accuracy is
 * told. */
static void learn_frequencies(struct learn *l, struct learn_report *r, double better) {
    double first = 0.16 * exp(-(double)l->step / 5);
    r->loss = (2.255 + first) * better * (1 + 0.02 * toc_rng_normal(&l->s.rng));
    if (l->step % 100 == 0)
        sim_put(&l->s, "train_val_loss", 2.28 * better * (1 + 0.002 * toc_rng_normal(&l->s.rng)));
}
static void learn_nothing_more(struct learn *l, struct learn_report *r) {
    learn_frequencies(l, r, 1);
}
static void learn_a_little(struct learn *l, struct learn_report *r) {
    learn_frequencies(l, r, 1 - 0.06 * (double)l->step / 1200);
}
static void labels_of_uneven_frequency_that_tell_nothing_are_slow_convergence(void **state) {
    (void)state;
    struct learn *l = new_run(1, 0.02);
    l->tamper = learn_nothing_more;
    learn_run(l, 1200);
    assert_non_null(expect(l, "slow_convergence"));
    free_run(l);
    l = new_run(1, 0.02);
    l->tamper = learn_a_little;
    learn_run(l, 1200);
    expect_no_alert(l, "a run that gets better by 6 %");
    free_run(l);
}

/* ---- rare samples of the layers ---- */

enum { EVERY = 100 };

static bool is_sampled(struct learn *l, struct learn_report *r) {
    if (l->step % EVERY == 0)
        return true;
    for (int i = 0; i < LEARN_LAYERS; i++)
        r->layers[i] = (struct learn_layer){NAN, NAN, NAN, NAN, NAN, NAN};
    return false;
}

static void freeze(struct learn *l, struct learn_report *r) {
    if (is_sampled(l, r) && l->step >= 900) {
        r->layers[3].update = 0;
        r->layers[3].grad = r->layers[3].zero_grad = NAN;
    }
}
static void a_frozen_layer_is_named_after_three_samples(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct learn *l = new_run(seed, 0.02);
        l->tamper = freeze;
        learn_run(l, 1050);
        expect_no_alert(l, "two samples");
        learn_run(l, 100);
        const struct sim_told *t = expect(l, "update_ratio");
        assert_string_equal(t->layer, "fc.3");
        assert_int_equal(t->step, 900);
        free_run(l);
    }
}

/* Dropped at random, as some layers are: rests come in rows, too. */
static void rest_at_random(struct learn *l, struct learn_report *r) {
    if (toc_rng_unit(&l->s.rng) < 0.5)
        r->layers[3].update = 0;
}
static void a_layer_that_rests_now_and_then_is_not_frozen(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct learn *l = new_run(seed, 0.1);
        l->tamper = rest_at_random;
        learn_run(l, 600);
        expect_no_alert(l, "layers dropped at random");
        free_run(l);
    }
}

static void die(struct learn *l, struct learn_report *r) {
    if (is_sampled(l, r) && l->step >= 900) {
        r->layers[3].dead_units = 1;
        for (int i = 1; i <= 3; i++)
            r->layers[i].grad = r->layers[i].update = 1e-30;
    }
}
static void a_layer_of_which_all_units_died_is_named_after_two_samples(void **state) {
    (void)state;
    struct learn *l = new_run(1, 0.02);
    l->tamper = die;
    learn_run(l, 1050);
    assert_string_equal(expect(l, "dead_units")->layer, "fc.3");
    assert_null(sim_find(&l->s, "vanishing_gradient")); /* its consequence */
    free_run(l);
}

/* ---- memory ---- */

/* 8 % of the limit each second. */
static void a_leak_that_leaves_seconds_is_told_before_the_end(void **state) {
    (void)state;
    struct sim s;
    sim_init(&s, 1);
    sim_run(&s, 25);
    assert_int_equal(s.told_count, 0);
    s.leak_per_s = 0.08 * s.limit;
    while (s.memory + 20e6 < s.limit)
        sim_run(&s, 1);
    const struct sim_told *t = sim_find(&s, "memory_growth");
    assert_non_null(t);
    /* It dies without a word of memory. */
    s.is_silent = true;
    s.limit *= 1.2; /* as the limit counts more than what is resident */
    sim_run(&s, 0.1);
    sim_state(&s, 3);
    sim_event(&s, TOC_RUN_EVENT_ERROR, "the reports stop without an end");
    sim_run(&s, 5);
    t = sim_find(&s, "crash");
    t = t ? t : sim_find(&s, "oom");
    assert_non_null(t);
    assert_non_null(strstr(t->cause, "memory"));
    sim_fini(&s);
}

/* Loading and caches take as much as they need, and stop where half of the room is left. */
static void memory_that_is_filled_for_some_seconds_is_no_leak(void **state) {
    (void)state;
    struct sim s;
    sim_init(&s, 2);
    sim_run(&s, 25);
    s.leak_per_s = 0.05 * s.limit;
    sim_run(&s, 5);
    s.leak_per_s = 0;
    sim_run(&s, 30);
    assert_int_equal(s.told_count, 0);
    sim_fini(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_level_lost_with_a_jump_of_the_rate_is_divergence),
        cmocka_unit_test(a_level_lost_for_no_told_reason_is_divergence_and_not_slow),
        cmocka_unit_test(rates_that_rise_by_plan_stay_silent),
        cmocka_unit_test(a_loss_that_rises_with_that_of_the_evaluations_is_no_overfit),
        cmocka_unit_test(noise_of_a_short_run_is_no_swing),
        cmocka_unit_test(labels_of_uneven_frequency_that_tell_nothing_are_slow_convergence),
        cmocka_unit_test(a_frozen_layer_is_named_after_three_samples),
        cmocka_unit_test(a_layer_that_rests_now_and_then_is_not_frozen),
        cmocka_unit_test(a_layer_of_which_all_units_died_is_named_after_two_samples),
        cmocka_unit_test(a_leak_that_leaves_seconds_is_told_before_the_end),
        cmocka_unit_test(memory_that_is_filled_for_some_seconds_is_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
