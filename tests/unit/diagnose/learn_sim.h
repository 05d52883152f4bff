/* A training run told by reports: each report carries the numbers of a healthy run, after a test
 * has tampered with them. Built on the world of sim.h. */
#ifndef TOC_TESTS_DIAGNOSE_LEARN_SIM_H
#define TOC_TESTS_DIAGNOSE_LEARN_SIM_H

#include "sim.h"

enum { LEARN_LAYERS = 6 };
static const char *const learn_layers[LEARN_LAYERS] = {"tok_embed", "fc.1", "fc.2",
                                                       "fc.3",      "fc.4", "out"};

/* What one report says; NaN is not reported (unless tell_nan). */
struct learn_layer {
    double grad, update, zero_grad, zero_activation, dead_units, saturated;
};

struct learn_report {
    double loss, grad_norm, lr;
    struct learn_layer layers[LEARN_LAYERS];
};

struct learn {
    struct sim s;
    double step_s;
    int64_t step, steps_per_report, total_steps; /* total: of the cosine schedule; 0 = constant */
    double warm_up_steps, base_lr, start_loss, floor_loss, tau_steps, noise;
    void (*tamper)(struct learn *l, struct learn_report *r); /* NULL: healthy */
    int64_t fault_step;                                      /* from which on it tampers */
};

static inline void learn_init(struct learn *l, uint64_t seed) {
    *l = (struct learn){0};
    sim_init(&l->s, seed);
    l->s.is_silent = true;
    l->step_s = 0.1;
    l->steps_per_report = 1;
    l->warm_up_steps = 20;
    l->base_lr = 1e-3;
    l->start_loss = 4.2;
    l->floor_loss = 1.6;
    l->tau_steps = 150;
    l->noise = 0.05;
}

static inline double learn_lr(const struct learn *l) {
    double lr = l->base_lr * TOC_MIN(1.0, (double)(l->step + 1) / l->warm_up_steps);
    if (l->total_steps)
        lr *= 0.5 + 0.5 * cos(3.14159265 * (double)l->step / (double)l->total_steps);
    return lr;
}

static inline void learn_healthy(struct learn *l, struct learn_report *r) {
    double t = (double)l->step, noise = l->noise * toc_rng_normal(&l->s.rng);
    double fall = exp(-t / l->tau_steps), lr = learn_lr(l);
    r->loss = (l->floor_loss + (l->start_loss - l->floor_loss) * fall) * (1 + noise);
    r->lr = lr;
    r->grad_norm = (0.5 + 4 * exp(-t / 15)) * exp(0.35 * toc_rng_normal(&l->s.rng));
    for (int i = 0; i < LEARN_LAYERS; i++) {
        r->layers[i] = (struct learn_layer){
            .grad = r->grad_norm * 0.2 * (i + 1) * exp(0.3 * toc_rng_normal(&l->s.rng)),
            .update = lr * (i + 1) * exp(0.2 * toc_rng_normal(&l->s.rng)),
            .zero_grad = i == 0 ? 0.9 + 0.05 * toc_rng_unit(&l->s.rng) : 0.02,
            .zero_activation = i == 0 ? (double)NAN : 0.5 + 0.05 * toc_rng_unit(&l->s.rng),
            .dead_units = i == 3 ? 0.01 : (double)NAN,
            .saturated = i == LEARN_LAYERS - 1 ? 1 - fall : 0.05 * toc_rng_unit(&l->s.rng),
        };
    }
}

static inline void learn_put(struct learn *l, const char *name, double v) {
    if (!isnan(v))
        sim_put(&l->s, name, v);
}

static inline void learn_tell(struct learn *l, const struct learn_report *r) {
    learn_put(l, "train_step", (double)l->step);
    learn_put(l, "train_loss", r->loss);
    learn_put(l, "train_grad_norm", r->grad_norm);
    learn_put(l, "train_learning_rate", r->lr);
    learn_put(l, "train_run_state", 1);
    for (int i = 0; i < LEARN_LAYERS; i++) {
        const struct learn_layer *x = &r->layers[i];
        const struct {
            const char *name;
            double v;
        } told[] = {
            {"train_layer_grad_norm", x->grad},
            {"train_update_ratio", x->update},
            {"train_zero_grad_ratio", x->zero_grad},
            {"train_layer_zero_activation_ratio", x->zero_activation},
            {"train_layer_dead_unit_ratio", x->dead_units},
            {"train_layer_saturated_ratio", x->saturated},
        };
        for (size_t k = 0; k < TOC_ARRAY_LEN(told); k++)
            if (!isnan(told[k].v))
                sim_put_layer(&l->s, told[k].name, learn_layers[i], told[k].v);
    }
}

static inline void learn_order(struct learn *l) {
    struct toc_sv layers[LEARN_LAYERS];
    for (int i = 0; i < LEARN_LAYERS; i++)
        layers[i] = toc_sv_cstr(learn_layers[i]);
    struct toc_run_event e = {.kind = TOC_RUN_EVENT_LAYERS,
                              .run = TOC_SV("r"),
                              .t = {l->s.now_ms},
                              .layers = layers,
                              .layer_count = LEARN_LAYERS};
    toc_doctor_listener(l->s.doctor)->on_event(toc_doctor_listener(l->s.doctor), &e);
}

static inline void learn_wait(struct learn *l, int64_t until_ms) {
    while (l->s.next_tick_ms <= until_ms) {
        l->s.now_ms = TOC_MAX(l->s.now_ms, l->s.next_tick_ms);
        sim_tick(&l->s);
    }
    l->s.now_ms = TOC_MAX(l->s.now_ms, until_ms);
}

/* The run goes on for that many steps. */
static inline void learn_run(struct learn *l, int64_t steps) {
    int64_t end = l->step + steps;
    while (l->step < end) {
        struct learn_report r;
        learn_wait(l, l->s.now_ms +
                          TOC_MAX((int64_t)(l->step_s * 1000 * (double)l->steps_per_report), 1));
        l->step += l->steps_per_report;
        learn_healthy(l, &r);
        if (l->tamper && l->step >= l->fault_step)
            l->tamper(l, &r);
        learn_tell(l, &r);
    }
    learn_wait(l, l->s.now_ms + 1000); /* the doctor sees the last report */
}

static inline void learn_fini(struct learn *l) {
    sim_fini(&l->s);
}

#endif
