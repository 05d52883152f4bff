/* Kinds about optimisation and layers: runs told by reports, healthy and ill, at several paces. */
#include "learn_sim.h"

#include "diagnose/quantile_priv.h"

static uint64_t g_seed = 1;

/* Paces: steps of 10 ms with a report per 10 steps, of 0.1 s, and of 30 s with one per step. */
static const struct pace {
    double step_s;
    int64_t steps_per_report;
} paces[] = {{0.01, 1}, {0.02, 10}, {0.1, 1}, {30, 1}};

typedef void tamper_fn(struct learn *l, struct learn_report *r);

static struct learn *new_run(uint64_t seed, const struct pace *p) {
    struct learn *l = TOC_NEW(struct learn);
    learn_init(l, g_seed * 1000 + seed);
    l->step_s = p->step_s;
    l->steps_per_report = p->steps_per_report;
    l->warm_up_steps *= (double)p->steps_per_report;
    l->tau_steps *= (double)p->steps_per_report;
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

/* Healthy for a while, then ill: the kind is told in time, with this layer and a step near the
 * fault, and ends with the fault; `also` may come with it. */
struct expectation {
    const char *kind, *layer, *also;
    tamper_fn *tamper;
    int64_t after_reports, within_reports;
};

static void expect_found(const struct expectation *x, uint64_t seed, const struct pace *p) {
    struct learn *l = new_run(seed, p);
    l->tamper = x->tamper;
    l->fault_step = (x->after_reports + 1) * p->steps_per_report;
    /* The doctor looks once a second, so a fast run makes more reports meanwhile. */
    int64_t seconds = (int64_t)(6 / p->step_s);
    learn_run(l, x->after_reports * p->steps_per_report +
                     TOC_MAX(x->within_reports * p->steps_per_report, seconds));
    const struct sim_told *t = sim_find(&l->s, x->kind);
    if (!t) {
        sim_print(&l->s);
        fail_msg("no %s, seed %llu, %g s per step", x->kind, (unsigned long long)seed, p->step_s);
        return;
    }
    for (size_t i = 0; i < l->s.told_count; i++)
        if (strcmp(l->s.told[i].kind, x->kind) != 0 &&
            !(x->also && strstr(x->also, l->s.told[i].kind)))
            fail_msg("%s beside %s: %s", l->s.told[i].kind, x->kind, l->s.told[i].title);
    if (x->layer)
        assert_string_equal(t->layer, x->layer);
    assert_true(t->has_step && t->evidence > 0 && t->cause[0]);
    assert_true(t->step >= l->fault_step - 2 * p->steps_per_report);
    assert_true(t->step <= l->fault_step + TOC_MAX(8 * p->steps_per_report, seconds));
    l->tamper = NULL;
    learn_run(l, TOC_MAX((int64_t)(30 / p->step_s), 20 * p->steps_per_report));
    assert_true(t->closed_ms > 0);
    free_run(l);
}

static void expect_found_at_all_paces(struct expectation x) {
    for (size_t p = 0; p < TOC_ARRAY_LEN(paces); p++)
        for (uint64_t seed = 1; seed <= 2; seed++)
            expect_found(&x, seed, &paces[p]);
}

static void explode(struct learn *l, struct learn_report *r) {
    (void)l;
    r->grad_norm *= 200;
    for (int i = 0; i < LEARN_LAYERS; i++)
        r->layers[i].grad *= i == 2 ? 2000 : 100;
}
static void exploding_gradients_name_the_layer_that_grew_most(void **state) {
    (void)state;
    expect_found_at_all_paces((struct expectation){.kind = "exploding_gradient",
                                                   .layer = "fc.2",
                                                   .tamper = explode,
                                                   .after_reports = 60,
                                                   .within_reports = 8});
}

static void run_away(struct learn *l, struct learn_report *r) {
    double grown = exp(TOC_MIN(0.8 * (double)l->step / (double)l->steps_per_report, 600.0));
    r->grad_norm *= grown;
    for (int i = 0; i < LEARN_LAYERS; i++)
        r->layers[i].grad = r->layers[i].update = NAN;
}
static void a_norm_that_grows_from_the_first_step_is_found(void **state) {
    (void)state;
    struct learn *l = new_run(1, &paces[2]);
    l->tamper = run_away;
    learn_run(l, 40);
    const struct sim_told *t = sim_find(&l->s, "exploding_gradient");
    assert_non_null(t);
    assert_true(t->step <= 30);
    free_run(l);
}

static void start_high(struct learn *l, struct learn_report *r) {
    double warm = 1 + 5000 * exp(-(double)l->step / (double)l->steps_per_report / 8);
    r->grad_norm *= warm;
    for (int i = 0; i < LEARN_LAYERS; i++)
        r->layers[i].grad *= warm;
}
static void one_high(struct learn *l, struct learn_report *r) {
    if (l->step / l->steps_per_report % 40 == 0)
        r->grad_norm *= 100;
}
static void grow_slowly(struct learn *l, struct learn_report *r) {
    r->grad_norm *= 1 + (double)l->step / (double)l->steps_per_report / 20;
}
static void freeze_from_start(struct learn *l, struct learn_report *r) {
    (void)l;
    r->layers[1].grad = r->layers[1].update = 0;
    r->layers[1].zero_grad = 1;
}
static void sparse_by_nature(struct learn *l, struct learn_report *r) {
    (void)l;
    r->layers[3].zero_activation = 0.93;
    r->layers[3].zero_grad = 0.95;
}
static void decay_to_nothing(struct learn *l, struct learn_report *r) {
    double f = pow(10, -(double)l->step / (double)l->steps_per_report / 40);
    r->lr *= f;
    for (int i = 0; i < LEARN_LAYERS; i++)
        r->layers[i].update *= f;
}
static void end_of_schedule(struct learn *l, struct learn_report *r) {
    if (l->step / l->steps_per_report < 100)
        return;
    r->lr = 0;
    for (int i = 0; i < LEARN_LAYERS; i++)
        r->layers[i].update = 0;
}
static void no_rate_told(struct learn *l, struct learn_report *r) {
    decay_to_nothing(l, r);
    r->lr = NAN;
}
static void huge_steps_by_habit(struct learn *l, struct learn_report *r) {
    (void)l;
    for (int i = 0; i < LEARN_LAYERS; i++)
        r->layers[i].update *= 30;
}
static void what_is_usual_or_meant_stays_silent(void **state) {
    (void)state;
    tamper_fn *const healthy[] = {NULL,
                                  start_high,
                                  one_high,
                                  grow_slowly,
                                  freeze_from_start,
                                  sparse_by_nature,
                                  no_rate_told,
                                  decay_to_nothing,
                                  end_of_schedule,
                                  huge_steps_by_habit};
    for (size_t k = 0; k < TOC_ARRAY_LEN(healthy); k++)
        for (size_t p = 0; p < TOC_ARRAY_LEN(paces); p++)
            for (uint64_t seed = 1; seed <= 2; seed++) {
                struct learn *l = new_run(seed, &paces[p]);
                char what[80];
                l->tamper = healthy[k];
                learn_run(l, 300 * l->steps_per_report);
                snprintf(what, sizeof what, "case %zu, pace %zu, seed %llu", k, p,
                         (unsigned long long)seed);
                expect_no_alert(l, what);
                free_run(l);
            }
}

static void die_of_activations(struct learn *l, struct learn_report *r) {
    (void)l;
    r->layers[2].zero_activation = 0.9;
    r->layers[3].zero_activation = 0.8;
}
static void die_of_units(struct learn *l, struct learn_report *r) {
    (void)l;
    r->layers[3].dead_units = 0.85;
}
static void die_of_gradients(struct learn *l, struct learn_report *r) {
    (void)l;
    for (int i = 0; i < LEARN_LAYERS; i++)
        r->layers[i].zero_activation = NAN;
    if (l->step >= 60 * l->steps_per_report)
        r->layers[2].zero_grad = 0.8;
}
static void dead_units_are_named_by_layer(void **state) {
    (void)state;
    struct expectation x = {.kind = "dead_units", .after_reports = 60, .within_reports = 12};
    x.tamper = die_of_activations, x.layer = "fc.2";
    expect_found_at_all_paces(x);
    x.tamper = die_of_units, x.layer = "fc.3";
    expect_found_at_all_paces(x);
}

static void zero_gradients_alone_show_dead_units(void **state) {
    (void)state;
    struct learn *l = new_run(1, &paces[2]);
    l->tamper = die_of_gradients;
    learn_run(l, 80);
    const struct sim_told *t = sim_find(&l->s, "dead_units");
    assert_non_null(t);
    assert_string_equal(t->layer, "fc.2");
    free_run(l);
}

static void units_dead_from_the_start_are_found(void **state) {
    (void)state;
    struct learn *l = new_run(1, &paces[2]);
    l->tamper = die_of_units;
    learn_run(l, 20);
    assert_non_null(sim_find(&l->s, "dead_units"));
    free_run(l);
}

static void saturate(struct learn *l, struct learn_report *r) {
    (void)l;
    r->layers[2].saturated = 0.85;
}
static void saturated_layers_are_named_but_not_the_output(void **state) {
    (void)state;
    expect_found_at_all_paces((struct expectation){.kind = "saturation",
                                                   .layer = "fc.2",
                                                   .tamper = saturate,
                                                   .after_reports = 60,
                                                   .within_reports = 12});
}

static void forget_layer(struct learn *l, struct learn_report *r) {
    (void)l;
    r->layers[3].update = 0;
}
static void lag_behind(struct learn *l, struct learn_report *r) {
    (void)l;
    r->layers[4].update *= 1e-4;
}
static void rush(struct learn *l, struct learn_report *r) {
    (void)l;
    r->layers[1].update = 0.3;
}
static void a_layer_that_stops_lags_or_rushes_is_named(void **state) {
    (void)state;
    struct expectation x = {.kind = "update_ratio", .after_reports = 60, .within_reports = 12};
    x.tamper = forget_layer, x.layer = "fc.3";
    expect_found_at_all_paces(x);
    x.tamper = lag_behind, x.layer = "fc.4";
    expect_found_at_all_paces(x);
    x.tamper = rush, x.layer = "fc.1";
    expect_found_at_all_paces(x);
}

static void a_layer_the_optimizer_never_knew_is_named(void **state) {
    (void)state;
    struct learn *l = new_run(1, &paces[1]);
    l->tamper = forget_layer; /* it gets gradients from the start, and no update */
    learn_run(l, 30 * l->steps_per_report);
    const struct sim_told *t = sim_find(&l->s, "update_ratio");
    assert_non_null(t);
    assert_string_equal(t->layer, "fc.3");
    assert_non_null(strstr(t->title, "never updated"));
    free_run(l);
}

static void stop_all(struct learn *l, struct learn_report *r) {
    (void)l;
    for (int i = 0; i < LEARN_LAYERS; i++)
        r->layers[i].update = 0;
}
static void an_optimizer_that_changes_nothing_is_found(void **state) {
    (void)state;
    struct learn *l = new_run(1, &paces[2]);
    l->tamper = stop_all;
    l->fault_step = 60;
    learn_run(l, 75);
    const struct sim_told *t = sim_find(&l->s, "update_ratio");
    assert_non_null(t);
    assert_non_null(strstr(t->title, "no layer is updated"));
    free_run(l);
}

/* ---- the course of a run ---- */

static void expect_kind(tamper_fn *tamper, const struct pace *p, int64_t fault, int64_t reports,
                        const char *kind, void (*setup_run)(struct learn *)) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct learn *l = new_run(seed, p);
        if (setup_run)
            setup_run(l);
        l->tamper = tamper;
        l->fault_step = fault * p->steps_per_report;
        learn_run(l, reports * p->steps_per_report);
        const struct sim_told *t = sim_find(&l->s, kind);
        if (!t) {
            sim_print(&l->s);
            fail_msg("no %s, seed %llu", kind, (unsigned long long)seed);
            return;
        }
        assert_true(t->has_step && t->evidence > 0 && t->cause[0]);
        free_run(l);
    }
}

static void linear_fall(struct learn *l, struct learn_report *r) {
    double t = TOC_MIN((double)l->step, 400.0 * (double)l->steps_per_report);
    double fall = 2.5 * t / (400.0 * (double)l->steps_per_report);
    r->loss = (4.2 - fall) * (1 + 0.02 * toc_rng_normal(&l->s.rng));
}
static void a_fall_that_is_cut_off_is_a_plateau(void **state) {
    (void)state;
    for (size_t p = 1; p < TOC_ARRAY_LEN(paces); p++)
        expect_kind(linear_fall, &paces[p], 0, 800, "plateau", NULL);
}

static void shuffled_labels(struct learn *l, struct learn_report *r) {
    r->loss = 2.303 * (1 + 0.008 * toc_rng_normal(&l->s.rng));
}
static void labels_that_tell_nothing_are_slow_convergence(void **state) {
    (void)state;
    for (size_t p = 0; p < TOC_ARRAY_LEN(paces); p++)
        expect_kind(shuffled_labels, &paces[p], 0, 300, "slow_convergence", NULL);
}

static void guess_forever(struct learn *l, struct learn_report *r) {
    r->loss = 2.303 * (1 + 0.06 * toc_rng_normal(&l->s.rng));
    sim_put(&l->s, "train_accuracy", 0.1 + 0.02 * toc_rng_normal(&l->s.rng));
}
static void answers_as_good_as_a_guess_are_slow_convergence(void **state) {
    (void)state;
    expect_kind(guess_forever, &paces[1], 0, 100, "slow_convergence", NULL);
}

static void swing(struct learn *l, struct learn_report *r) {
    double t = (double)l->step / (double)l->steps_per_report;
    r->loss = 2.5 + 1.2 * sin(t / 3) + 0.05 * toc_rng_normal(&l->s.rng);
}
static void a_loss_that_swings_without_progress_oscillates(void **state) {
    (void)state;
    expect_kind(swing, &paces[2], 100, 500, "oscillation", NULL);
    expect_kind(swing, &paces[3], 100, 500, "oscillation", NULL);
}

static void rise_slowly(struct learn *l, struct learn_report *r) {
    r->loss += 0.004 * (double)(l->step - l->fault_step) / (double)l->steps_per_report;
}
static void a_slow_rise_is_divergence(void **state) {
    (void)state;
    expect_kind(rise_slowly, &paces[2], 500, 1000, "divergence", NULL);
}

/* As when the units of a layer die: it does not come back, and did not rise before. */
static void jump_up(struct learn *l, struct learn_report *r) {
    (void)l;
    r->loss += 2;
}
static void a_jump_of_the_loss_is_named_where_it_was(void **state) {
    (void)state;
    for (size_t p = 0; p < TOC_ARRAY_LEN(paces); p++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct learn *l = new_run(seed, &paces[p]);
            int64_t fault = 200 * paces[p].steps_per_report;
            l->tamper = jump_up;
            l->fault_step = fault;
            learn_run(l, 300 * paces[p].steps_per_report);
            const struct sim_told *t = sim_find(&l->s, "divergence");
            assert_non_null(t);
            if (llabs(t->step - fault) > 4 * paces[p].steps_per_report)
                fail_msg("pace %zu, seed %llu: %s", p, (unsigned long long)seed, t->title);
            free_run(l);
        }
}

static void validate(struct learn *l, double v) {
    if (l->step / l->steps_per_report % 20 == 0)
        sim_put(&l->s, "train_val_loss", v * (1 + 0.005 * toc_rng_normal(&l->s.rng)));
}
static void learn_by_heart(struct learn *l, struct learn_report *r) {
    double t = (double)l->step / (double)l->steps_per_report;
    r->loss = 4 * exp(-t / 150) + 0.05 + 0.01 * toc_rng_unit(&l->s.rng);
    validate(l, t < 150 ? 4 * exp(-t / 200) + 0.5 : 4 * exp(-150.0 / 200) + 0.5 + (t - 150) / 200);
}
static void validation_that_gets_worse_is_overfit(void **state) {
    (void)state;
    for (size_t p = 1; p < TOC_ARRAY_LEN(paces); p++)
        expect_kind(learn_by_heart, &paces[p], 0, 400, "overfit", NULL);
}

static void converge(struct learn *l, struct learn_report *r) {
    validate(l, r->loss * 1.05);
}
static void converge_quickly(struct learn *l, struct learn_report *r) {
    double t = (double)l->step / (double)l->steps_per_report;
    r->loss = (0.4 + 3 * exp(-t / 10)) * (1 + 0.05 * toc_rng_normal(&l->s.rng));
    validate(l, r->loss * 1.2);
}
static void noisy(struct learn *l, struct learn_report *r) {
    r->loss *= exp(0.3 * toc_rng_normal(&l->s.rng));
}
static void fine_tune(struct learn *l, struct learn_report *r) {
    double t = (double)l->step / (double)l->steps_per_report;
    r->loss = (1.30 - 0.06 * (1 - exp(-t / 100))) * (1 + 0.05 * toc_rng_normal(&l->s.rng));
    sim_put(&l->s, "train_accuracy", 0.7);
}
static void cosine_to_zero(struct learn *l, struct learn_report *r) {
    double left = TOC_MAX(1 - (double)l->step / (1000.0 * (double)l->steps_per_report), 0.0);
    r->lr *= left;
    for (int i = 0; i < LEARN_LAYERS; i++)
        r->layers[i].update *= left;
}
static void power_law(struct learn *l, struct learn_report *r) {
    double t = (double)l->step / (double)l->steps_per_report;
    r->loss = (1.5 + 3 * pow(1 + t / 5, -0.5)) * (1 + 0.03 * toc_rng_normal(&l->s.rng));
}
static void restart_in_the_middle(struct learn *l, struct learn_report *r) {
    (void)r;
    if (l->step == 500 * l->steps_per_report)
        l->step = 120 * l->steps_per_report;
}
static void huge_but_finite(struct learn *l, struct learn_report *r) {
    (void)l;
    for (int i = 0; i < LEARN_LAYERS; i++)
        r->layers[i].grad = 1e308;
}
static void courses_that_converge_stay_silent(void **state) {
    (void)state;
    tamper_fn *const healthy[] = {converge,  converge_quickly,     noisy, fine_tune, cosine_to_zero,
                                  power_law, restart_in_the_middle};
    for (size_t k = 0; k < TOC_ARRAY_LEN(healthy); k++)
        for (size_t p = 1; p < TOC_ARRAY_LEN(paces); p++)
            for (uint64_t seed = 1; seed <= 1; seed++) {
                struct learn *l = new_run(seed, &paces[p]);
                char what[80];
                l->tamper = healthy[k];
                learn_run(l, 400 * l->steps_per_report);
                snprintf(what, sizeof what, "course %zu, pace %zu, seed %llu", k, p,
                         (unsigned long long)seed);
                expect_no_alert(l, what);
                free_run(l);
            }
}

static void a_gradient_of_1e308_is_finite_and_exploding(void **state) {
    (void)state;
    struct learn *l = new_run(1, &paces[2]);
    l->tamper = huge_but_finite;
    l->fault_step = 60;
    learn_run(l, 80);
    assert_non_null(sim_find(&l->s, "exploding_gradient"));
    assert_null(sim_find(&l->s, "non_finite"));
    free_run(l);
}

static void negative_steps_invent_nothing(void **state) {
    (void)state;
    struct learn *l = new_run(1, &paces[2]);
    l->step = -5000;
    learn_run(l, 300);
    expect_no_alert(l, "negative steps");
    free_run(l);
}

/* ---- against earlier runs ---- */

static void earlier_run(struct learn *l, const char *name, uint64_t seed) {
    struct toc_rng rng;
    toc_rng_seed(&rng, seed);
    int64_t t_ms = l->s.now_ms - 3600 * 1000 - (int64_t)seed * 600000;
    sim_add(sim_series_get(&l->s, "train_run_info", "run", name, "recipe", "small"), t_ms, 1);
    for (int i = 1; i <= 600; i++, t_ms += 100) {
        double loss = (1.6 + 2.6 * exp(-i / 150.0)) * (1 + 0.05 * toc_rng_normal(&rng));
        sim_add(sim_series_get(&l->s, "train_step", "run", name, "", ""), t_ms, i);
        sim_add(sim_series_get(&l->s, "train_loss", "run", name, "", ""), t_ms, loss);
    }
    sim_add(sim_series_get(&l->s, "train_run_state", "run", name, "", ""), t_ms, 0);
}
static void with_earlier_runs(struct learn *l) {
    earlier_run(l, "a", 1);
    earlier_run(l, "b", 2);
    earlier_run(l, "c", 3);
    sim_add(sim_series_get(&l->s, "train_run_info", "run", "r", "recipe", "small"),
            l->s.now_ms + 50, 1);
}
static void fall_slower(struct learn *l, struct learn_report *r) {
    r->loss = (1.6 + 2.6 * exp(-(double)l->step / 450)) * (1 + 0.05 * toc_rng_normal(&l->s.rng));
}
static void stay_above(struct learn *l, struct learn_report *r) {
    r->loss = TOC_MAX(1.6 + 2.6 * exp(-(double)l->step / 150), 2.6) *
              (1 + 0.03 * toc_rng_normal(&l->s.rng));
}
static void a_run_behind_earlier_ones_of_its_recipe_is_slow_or_stuck(void **state) {
    (void)state;
    expect_kind(fall_slower, &paces[2], 0, 500, "slow_convergence", with_earlier_runs);
    expect_kind(stay_above, &paces[2], 0, 580, "plateau", with_earlier_runs);
}
static void a_run_like_the_earlier_ones_is_none(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct learn *l = new_run(seed, &paces[2]);
        with_earlier_runs(l);
        learn_run(l, 590);
        expect_no_alert(l, "like earlier runs");
        free_run(l);
    }
}

/* ---- drift, replicas, precision, experts ---- */

static const double normal_quantiles[] = {-2.33, -1.64, -0.67, 0, 0.67, 1.64, 2.33};
static const char *const quantile_names[] = {"q01", "q05", "q25", "q50", "q75", "q95", "q99"};

static void tell_quantiles(struct learn *l, double mean, double width) {
    for (size_t k = 0; k < TOC_ARRAY_LEN(quantile_names); k++) {
        char name[64];
        snprintf(name, sizeof name, "train_layer_param_%s", quantile_names[k]);
        sim_put_layer(&l->s, name, "fc.2",
                      mean + width * normal_quantiles[k] * (1 + 0.01 * toc_rng_normal(&l->s.rng)));
    }
}
static void weights_grow(struct learn *l, struct learn_report *r) {
    double t = (double)l->step / (double)l->steps_per_report;
    (void)r;
    tell_quantiles(l, 0, 0.02 + 0.06 * (1 - exp(-t / 60)));
}
static void weights_replaced(struct learn *l, struct learn_report *r) {
    double t = (double)l->step / (double)l->steps_per_report;
    (void)r;
    tell_quantiles(l, t < 100 ? 0 : 0.05, 0.05);
}
static void replaced_weights_are_drift_and_growing_ones_are_not(void **state) {
    (void)state;
    expect_kind(weights_replaced, &paces[2], 0, 130, "parameter_drift", NULL);
    for (size_t p = 1; p < TOC_ARRAY_LEN(paces); p++) {
        struct learn *l = new_run(1, &paces[p]);
        l->tamper = weights_grow;
        learn_run(l, 300 * l->steps_per_report);
        expect_no_alert(l, "growing weights");
        free_run(l);
    }
}

static double g_rank_offset, g_skew_ms;
static void two_ranks(struct learn *l, struct learn_report *r) {
    (void)r;
    if (l->step % 10)
        return;
    double sum = 1e6 + (double)l->step * 3.25;
    int64_t t_ms = l->s.now_ms + (int64_t)g_skew_ms;
    sim_put(&l->s, "train_param_checksum", sum);
    sim_add(sim_series_get(&l->s, "train_param_checksum", "run", "r", "rank", "1"), t_ms,
            l->step >= 200 ? sum + g_rank_offset : sum);
    sim_add(sim_series_get(&l->s, "train_step", "run", "r", "rank", "1"), t_ms, (double)l->step);
}
static void replicas_are_compared_by_step_not_by_clock(void **state) {
    (void)state;
    for (g_skew_ms = -90000; g_skew_ms <= 90000; g_skew_ms += 45000) {
        g_rank_offset = 0;
        struct learn *l = new_run(1, &paces[2]);
        l->tamper = two_ranks;
        learn_run(l, 400);
        assert_null(sim_find(&l->s, "replica_divergence"));
        free_run(l);
        g_rank_offset = 0.5;
        l = new_run(1, &paces[2]);
        l->tamper = two_ranks;
        learn_run(l, 300);
        const struct sim_told *t = sim_find(&l->s, "replica_divergence");
        assert_non_null(t);
        assert_int_equal(t->step, 200);
        free_run(l);
    }
}

static void scale_of(struct learn *l, struct learn_report *r) {
    double t = (double)l->step / (double)l->steps_per_report;
    (void)r;
    double search = t < 12 ? ldexp(1, 32 - (int)t) : 65536 * 16;
    bool is_ill = l->fault_step && l->step > l->fault_step;
    sim_put(&l->s, "train_loss_scale", is_ill ? 65536 : search);
    sim_put(&l->s, "train_skipped_iterations_total", TOC_MIN(t, 12.0));
}
static void a_loss_scale_that_falls_is_trouble_and_its_search_is_not(void **state) {
    (void)state;
    for (size_t p = 0; p < TOC_ARRAY_LEN(paces); p++) {
        struct learn *l = new_run(1, &paces[p]);
        l->tamper = scale_of;
        learn_run(l, 200 * l->steps_per_report);
        expect_no_alert(l, "search of the scale");
        l->fault_step = l->step;
        learn_run(l, 20 * l->steps_per_report);
        assert_non_null(sim_find(&l->s, "amp_trouble"));
        free_run(l);
    }
}

static void skip_steps(struct learn *l, struct learn_report *r) {
    (void)r;
    double after = TOC_MAX(0.0, (double)(l->step - l->fault_step));
    sim_put(&l->s, "train_skipped_iterations_total", floor(after / 8));
}
static void many_skipped_steps_are_trouble(void **state) {
    (void)state;
    expect_kind(skip_steps, &paces[2], 200, 500, "amp_trouble", NULL);
}

static void experts(struct learn *l, struct learn_report *r) {
    bool is_ill = l->fault_step && l->step > l->fault_step;
    (void)r;
    double early = 3 * exp(-(double)l->step / (double)l->steps_per_report / 5);
    sim_put(&l->s, "train_expert_load_max_ratio",
            (is_ill ? 3 : 1.4) + early + 0.1 * toc_rng_unit(&l->s.rng));
    sim_put_layer(&l->s, "train_layer_router_entropy", "fc.2", 2 + 0.1 * toc_rng_unit(&l->s.rng));
}
static void experts_out_of_balance_are_found(void **state) {
    (void)state;
    for (size_t p = 1; p < TOC_ARRAY_LEN(paces); p++) {
        struct learn *l = new_run(1, &paces[p]);
        l->fault_step = 0;
        l->tamper = experts;
        learn_run(l, 200 * l->steps_per_report);
        expect_no_alert(l, "balanced experts");
        l->fault_step = l->step;
        learn_run(l, 20 * l->steps_per_report);
        assert_non_null(sim_find(&l->s, "moe_imbalance"));
        free_run(l);
    }
}

/* ---- coverage ---- */

struct seen_coverage {
    bool watched[TOC_KIND_COUNT], told[TOC_KIND_COUNT];
    char missing[TOC_KIND_COUNT][400];
};
static void on_coverage(void *ctx, const struct toc_coverage_row *row) {
    struct seen_coverage *s = ctx;
    s->told[row->kind] = true;
    s->watched[row->kind] = row->is_watched;
    toc_sv_copy(row->missing, s->missing[row->kind], sizeof s->missing[row->kind]);
}
static void coverage_names_what_is_missing(void **state) {
    (void)state;
    static struct seen_coverage s;
    struct learn *l = new_run(1, &paces[2]);
    assert_int_equal(toc_doctor_coverage(l->s.doctor, TOC_SV("r"), on_coverage, &s), TOC_ENOENT);
    learn_run(l, 20);
    assert_int_equal(toc_doctor_coverage(l->s.doctor, TOC_SV("r"), on_coverage, &s), 0);
    assert_true(s.watched[TOC_KIND_PLATEAU] && s.watched[TOC_KIND_DEAD_UNITS]);
    assert_false(s.watched[TOC_KIND_OVERFIT] || s.watched[TOC_KIND_REPLICA_DIVERGENCE]);
    assert_string_equal(s.missing[TOC_KIND_OVERFIT], "train_val_loss or train_val_accuracy");
    assert_string_equal(s.missing[TOC_KIND_REPLICA_DIVERGENCE],
                        "train_param_checksum or train_layer_param_checksum");
    assert_true(s.told[TOC_KIND_MOE_IMBALANCE] && s.told[TOC_KIND_AMP_TROUBLE]);
    free_run(l);
}

/* Behind a ReLU half of the values are zero, now a little less, now a little more. */
static void zeros_that_come_and_go_are_no_drift(void **state) {
    (void)state;
    static const float half[] = {0, 0, 0, 0, 0.5F, 1.2F, 1.9F};
    static const float less[] = {0, 0, 0, 0.01F, 0.51F, 1.2F, 1.9F};
    static const float none[] = {0.4F, 0.5F, 0.7F, 0.9F, 1.2F, 1.6F, 2.1F};
    static const float far[] = {0, 0, 0, 0, 5, 12, 19};
    assert_true(toc_quantile_psi(half, half) == 0);
    assert_true(toc_quantile_psi(half, less) < 0.1);
    assert_true(toc_quantile_psi(less, half) < 0.1);
    assert_true(toc_quantile_psi(half, none) > 0.5);
    assert_true(toc_quantile_psi(half, far) > 0.25);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--seed") == 0)
        g_seed = strtoull(argv[2], NULL, 10);
    printf("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeros_that_come_and_go_are_no_drift),
        cmocka_unit_test(exploding_gradients_name_the_layer_that_grew_most),
        cmocka_unit_test(a_norm_that_grows_from_the_first_step_is_found),
        cmocka_unit_test(what_is_usual_or_meant_stays_silent),
        cmocka_unit_test(dead_units_are_named_by_layer),
        cmocka_unit_test(zero_gradients_alone_show_dead_units),
        cmocka_unit_test(units_dead_from_the_start_are_found),
        cmocka_unit_test(saturated_layers_are_named_but_not_the_output),
        cmocka_unit_test(a_layer_that_stops_lags_or_rushes_is_named),
        cmocka_unit_test(a_layer_the_optimizer_never_knew_is_named),
        cmocka_unit_test(an_optimizer_that_changes_nothing_is_found),
        cmocka_unit_test(a_fall_that_is_cut_off_is_a_plateau),
        cmocka_unit_test(labels_that_tell_nothing_are_slow_convergence),
        cmocka_unit_test(answers_as_good_as_a_guess_are_slow_convergence),
        cmocka_unit_test(a_loss_that_swings_without_progress_oscillates),
        cmocka_unit_test(a_slow_rise_is_divergence),
        cmocka_unit_test(a_jump_of_the_loss_is_named_where_it_was),
        cmocka_unit_test(validation_that_gets_worse_is_overfit),
        cmocka_unit_test(courses_that_converge_stay_silent),
        cmocka_unit_test(a_gradient_of_1e308_is_finite_and_exploding),
        cmocka_unit_test(negative_steps_invent_nothing),
        cmocka_unit_test(a_run_behind_earlier_ones_of_its_recipe_is_slow_or_stuck),
        cmocka_unit_test(a_run_like_the_earlier_ones_is_none),
        cmocka_unit_test(replaced_weights_are_drift_and_growing_ones_are_not),
        cmocka_unit_test(replicas_are_compared_by_step_not_by_clock),
        cmocka_unit_test(a_loss_scale_that_falls_is_trouble_and_its_search_is_not),
        cmocka_unit_test(many_skipped_steps_are_trouble),
        cmocka_unit_test(experts_out_of_balance_are_found),
        cmocka_unit_test(coverage_names_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
