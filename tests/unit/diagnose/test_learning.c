/* Kinds about optimisation and layers: runs told by reports, healthy and ill, at several paces. */
#include "learn_sim.h"

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

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--seed") == 0)
        g_seed = strtoull(argv[2], NULL, 10);
    printf("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
