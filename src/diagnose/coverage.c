/* What the doctor can and cannot see of a run: which series each kind needs, and which are there.
 */
#include "diagnose/doctor_priv.h"

#include <stdio.h>
#include <string.h>

/*
 * X(kind, needs): groups parted by "&", of each one must be there; alternatives parted by "|".
 * Names without "train_".
 */
#define NEEDS_TABLE(X)                                                                 \
    X(NON_FINITE, "loss|grad_norm|layer_nonfinite_ratio|layer_grad_norm|"              \
                  "layer_nonfinite_activation_ratio")                                  \
    X(LOSS_SPIKE, "loss")                                                              \
    X(DIVERGENCE, "loss")                                                              \
    X(PLATEAU, "loss&step")                                                            \
    X(SLOW_CONVERGENCE, "loss&step")                                                   \
    X(OSCILLATION, "loss")                                                             \
    X(OVERFIT, "val_loss|val_accuracy&loss|accuracy")                                  \
    X(VANISHING_GRADIENT, "layer_grad_norm")                                           \
    X(EXPLODING_GRADIENT, "grad_norm|layer_grad_norm")                                 \
    X(DEAD_UNITS, "layer_dead_unit_ratio|layer_zero_activation_ratio|zero_grad_ratio") \
    X(SATURATION, "layer_saturated_ratio")                                             \
    X(UPDATE_RATIO, "update_ratio")                                                    \
    X(PARAMETER_DRIFT, "layer_param_q50|layer_activation_q50")                         \
    X(REPLICA_DIVERGENCE, "param_checksum|layer_param_checksum&step")                  \
    X(AMP_TROUBLE, "loss_scale|skipped_iterations_total")                              \
    X(MOE_IMBALANCE, "expert_load_max_ratio|expert_load_min_ratio|router_entropy|"     \
                     "layer_expert_load_max_ratio|layer_expert_load_min_ratio|"        \
                     "layer_router_entropy")                                           \
    X(THROUGHPUT_DROP, "step_seconds|step")                                            \
    X(CPU_CONTENTION, "cpu_wait_ratio&step_seconds|step")                              \
    X(HANG, "step")                                                                    \
    X(MEMORY_GROWTH, "memory_bytes&memory_limit_bytes")                                \
    X(OOM, "run_state|memory_bytes")                                                   \
    X(CRASH, "run_state")                                                              \
    X(RESTART_STORM, "restarts_total")

static const struct needs {
    enum toc_kind kind;
    const char *series;
} needs_table[] = {
#define X(kind, series) {TOC_KIND_##kind, series},
    NEEDS_TABLE(X)
#undef X
};

void toc_coverage_note(struct toc_run_model *m, struct toc_sv metric) {
    enum { NAMES_MAX = 128 };
    if (m->learn.seen.count < NAMES_MAX && !toc_map_has(&m->learn.seen, metric))
        toc_map_put(&m->learn.seen, metric, m);
}

/* One group of alternatives up to "&" or the end; writes their names when none is there. */
static const char *check_group(const struct toc_run_model *m, const char *at,
                               struct toc_buf *missing) {
    const char *end = at + strcspn(at, "&");
    size_t before = missing->n;
    bool is_there = false;
    for (const char *p = at; p < end;) {
        size_t n = strcspn(p, "|&");
        char name[96];
        snprintf(name, sizeof name, "train_%.*s", (int)n, p);
        is_there |= toc_map_has(&m->learn.seen, toc_sv_cstr(name));
        toc_buf_printf(missing, "%s%s", p > at ? " or " : before ? ", " : "", name);
        p += n + (p[n] == '|');
    }
    if (is_there)
        missing->n = before;
    return *end ? end + 1 : end;
}

int toc_doctor_coverage(struct toc_doctor *d, struct toc_sv run, toc_on_coverage *fn, void *ctx) {
    struct toc_buf missing = {0};
    toc_mutex_lock(&d->mutex);
    const struct toc_run_model *m = toc_map_get(&d->run_by_name, run);
    for (size_t i = 0; m && i < TOC_ARRAY_LEN(needs_table); i++) {
        missing.n = 0;
        for (const char *p = needs_table[i].series; *p;)
            p = check_group(m, p, &missing);
        struct toc_coverage_row row = {.kind = needs_table[i].kind,
                                       .is_watched = missing.n == 0,
                                       .missing = toc_sv_make(missing.p, missing.n)};
        fn(ctx, &row);
    }
    toc_mutex_unlock(&d->mutex);
    toc_buf_fini(&missing);
    return m ? 0 : TOC_ENOENT;
}
