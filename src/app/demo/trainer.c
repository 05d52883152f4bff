#include "app/demo/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/demo/adamw.h"
#include "app/demo/text.h"
#include "base/alloc.h"
#include "sys/clock.h"
#include "sys/env.h"
#include "sys/process.h"
#include "tocsin.h"

/* 166 464 parameters; about 20 ms of one core per step (bench: a 2-core x86-64 machine). */
static const struct toc_net_shape g_shape = {
    .context = 64, .width = 64, .heads = 4, .blocks = 3, .batch = 4};

enum {
    CHECKPOINT_EVERY_STEPS = 50,
    LAYER_REPORT_EVERY_MS = 1000,
    OOM_CHUNK_BYTES = 8 << 20,
    LEAK_BYTES_PER_STEP = 1 << 20,
};

static const double LR_SPIKE_FACTOR = 300.0;
static const float VANISHING_GAIN = 1e-4f;
static const double SLOW_FACTOR = 5.0;

struct chunk {
    struct chunk *next;
};

struct trainer {
    const struct toc_demo_train_options *options;
    struct tocsin_run *run;
    struct toc_rng rng;
    struct toc_net *net;
    struct toc_adamw optimiser;
    float *checkpoint; /* parameters, then both moments */
    float *before;     /* parameters before the update, for update ratios */
    struct toc_sv text;
    int64_t step, checkpoint_step, checkpoint_updates;
    int64_t fault_started_ms; /* monotonic; 0: not yet */
    bool fault_is_over;
    int64_t layers_reported_ms;
    struct chunk *leak;
    double loss, grad_norm, rate, step_s;
};

int toc_demo_train_fault_parse(const char *name) {
    static const struct {
        const char *name;
        int fault;
    } table[] = {
#define X(e, text, what) {text, TOC_DEMO_TRAIN_##e},
        TOC_DEMO_TRAIN_FAULTS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(name, table[i].name) == 0)
            return table[i].fault;
    return strcmp(name, "none") == 0 ? TOC_DEMO_TRAIN_NONE : -1;
}

static int64_t mono_ms(void) {
    return toc_clock_mono(toc_clock_system()).ns / 1000000;
}

/* ---------------------------------------------------------------------------------------
 * checkpoints */

static void keep_checkpoint(struct trainer *t) {
    size_t n = t->net->parameter_count;
    memcpy(t->checkpoint, t->net->parameters, n * sizeof(float));
    memcpy(t->checkpoint + n, t->optimiser.first, n * sizeof(float));
    memcpy(t->checkpoint + 2 * n, t->optimiser.second, n * sizeof(float));
    t->checkpoint_step = t->step;
    t->checkpoint_updates = t->optimiser.updates;
}

static void restore_checkpoint(struct trainer *t) {
    size_t n = t->net->parameter_count;
    memcpy(t->net->parameters, t->checkpoint, n * sizeof(float));
    memcpy(t->optimiser.first, t->checkpoint + n, n * sizeof(float));
    memcpy(t->optimiser.second, t->checkpoint + 2 * n, n * sizeof(float));
    t->optimiser.updates = t->checkpoint_updates;
    char message[96];
    snprintf(message, sizeof message, "resumed from the checkpoint of step %lld",
             (long long)t->checkpoint_step);
    tocsin_event(t->run, t->step, "restart", message);
}

/* -------------------------------------------------------------------------------------------
 * faults */

static bool fault_is_on(const struct trainer *t) {
    return t->fault_started_ms && !t->fault_is_over;
}

/* Worth a checkpoint? */
static bool is_healthy(const struct trainer *t) {
    return isfinite(t->loss) && isfinite(t->grad_norm) && !fault_is_on(t);
}

/* One gradient beyond the range of single precision, as an overflowing half-precision product
 * leaves it. */
static void overflow_gradient(struct trainer *t) {
    for (int i = 0; i < t->net->tensor_count; i++)
        if (strcmp(t->net->tensors[i].name, "blocks.1.mlp.up.w") == 0)
            t->net->gradients[t->net->tensors[i].at] = INFINITY;
}

static void leak(struct trainer *t) {
    struct chunk *c = toc_try_alloc(LEAK_BYTES_PER_STEP);
    if (!c)
        return;
    memset(c, 1, LEAK_BYTES_PER_STEP); /* touched, so that it is resident */
    c->next = t->leak;
    t->leak = c;
}

static void free_leak(struct trainer *t) {
    while (t->leak) {
        struct chunk *c = t->leak;
        t->leak = c->next;
        toc_free(c);
    }
}

/* Allocates until the limit says no, reports it as a training framework does, and dies. */
static int run_out_of_memory(struct trainer *t) {
    uint64_t taken = 0, headroom = 64u << 20; /* for the SDK's thread to send the last words */
    uint64_t limit =
        toc_process_virtual_bytes() - toc_process_rss_bytes() + t->options->memory_limit_bytes;
    if (toc_process_limit_memory(limit) < 0)
        return 1;
    for (void *p; (p = toc_try_alloc(OOM_CHUNK_BYTES)) != NULL; taken += OOM_CHUNK_BYTES)
        memset(p, 1, OOM_CHUNK_BYTES);
    if (toc_process_limit_memory(limit + headroom) < 0)
        return 1;
    struct tocsin_report r = tocsin_report_init(t->step);
    r.memory_bytes = (double)toc_process_rss_bytes();
    r.memory_limit_bytes = (double)t->options->memory_limit_bytes;
    tocsin_report(t->run, &r);
    char message[160];
    snprintf(message, sizeof message,
             "out of memory: tried to allocate %d MiB, %llu MiB in use of a limit of %llu MiB",
             OOM_CHUNK_BYTES >> 20, (unsigned long long)(toc_process_rss_bytes() >> 20),
             (unsigned long long)(t->options->memory_limit_bytes >> 20));
    tocsin_finish(t->run, TOCSIN_FAILED, message);
    fprintf(stderr, "demo-train: step %lld: %s (had taken %llu MiB)\n", (long long)t->step, message,
            (unsigned long long)(taken >> 20));
    return TOC_DEMO_EXIT_OUT_OF_MEMORY;
}

static void end_fault(struct trainer *t) {
    t->fault_is_over = true;
    t->net->backward_gain = 1.0f;
    free_leak(t);
    enum toc_demo_train_fault f = t->options->fault;
    if (f == TOC_DEMO_TRAIN_NAN || f == TOC_DEMO_TRAIN_LR_SPIKE || f == TOC_DEMO_TRAIN_VANISHING)
        restore_checkpoint(t);
    fprintf(stderr, "demo-train: step %lld: the fault has ended\n", (long long)t->step);
}

/* At the beginning of a step. */
static void update_fault(struct trainer *t) {
    const struct toc_demo_train_options *o = t->options;
    if (o->fault == TOC_DEMO_TRAIN_NONE || t->fault_is_over || t->step < o->fault_at_step)
        return;
    if (t->fault_started_ms == 0) {
        t->fault_started_ms = mono_ms();
        fprintf(stderr, "demo-train: step %lld: the fault begins\n", (long long)t->step);
        if (o->fault == TOC_DEMO_TRAIN_VANISHING)
            t->net->backward_gain = VANISHING_GAIN;
    } else if (mono_ms() - t->fault_started_ms >= o->fault_ms) {
        end_fault(t);
    }
}

/* --------------------------------------------------------------------------------------- one step
 */

static void draw_batch(struct trainer *t, int *inputs, int *targets) {
    for (int b = 0; b < g_shape.batch; b++) {
        size_t at = (size_t)toc_rng_below(&t->rng, t->text.n - (size_t)g_shape.context - 1);
        for (int i = 0; i < g_shape.context; i++) {
            inputs[b * g_shape.context + i] = toc_net_token(t->text.p[at + (size_t)i]);
            targets[b * g_shape.context + i] = toc_net_token(t->text.p[at + (size_t)i + 1]);
        }
    }
}

static void train_step(struct trainer *t) {
    int inputs[4 * 64], targets[4 * 64];
    draw_batch(t, inputs, targets);
    t->rate = toc_adamw_rate(&t->optimiser, t->step);
    if (fault_is_on(t) && t->options->fault == TOC_DEMO_TRAIN_LR_SPIKE)
        t->rate *= LR_SPIKE_FACTOR;
    t->loss = toc_net_forward(t->net, inputs, targets);
    toc_net_backward(t->net);
    if (fault_is_on(t) && t->options->fault == TOC_DEMO_TRAIN_NAN)
        overflow_gradient(t);
    t->grad_norm = toc_net_grad_norm(t->net);
    memcpy(t->before, t->net->parameters, t->net->parameter_count * sizeof(float));
    toc_adamw_update(&t->optimiser, t->net, t->rate, t->grad_norm);
    t->step++;
}

static struct tocsin_layer layer_statistics(const struct trainer *t,
                                            const struct toc_net_tensor *tensor) {
    const float *p = t->net->parameters + tensor->at, *g = t->net->gradients + tensor->at;
    const float *old = t->before + tensor->at;
    double sum = 0, squares = 0, low = INFINITY, high = -INFINITY, grad = 0, moved = 0, size = 0;
    size_t zeros = 0, nonfinite = 0;
    for (size_t i = 0; i < tensor->count; i++) {
        sum += p[i];
        squares += (double)p[i] * p[i];
        low = fmin(low, p[i]);
        high = fmax(high, p[i]);
        grad += (double)g[i] * g[i];
        moved += ((double)p[i] - old[i]) * ((double)p[i] - old[i]);
        size += (double)old[i] * old[i];
        zeros += g[i] == 0.0f;
        nonfinite += !isfinite(p[i]) || !isfinite(g[i]);
    }
    double n = (double)tensor->count, mean = sum / n, variance = squares / n - mean * mean;
    struct tocsin_layer l = tocsin_layer_init(tensor->name);
    l.grad_norm = sqrt(grad);
    l.param_mean = mean;
    l.param_std = isfinite(variance) ? sqrt(fmax(variance, 0)) : variance;
    l.param_min = low;
    l.param_max = high;
    l.update_ratio = sqrt(moved) / fmax(sqrt(size), 1e-12);
    l.zero_grad_ratio = (double)zeros / n;
    l.nonfinite_ratio = (double)nonfinite / n;
    return l;
}

static size_t all_layers(const struct trainer *t, struct tocsin_layer *out) {
    size_t n = 0;
    for (int i = 0; i < t->net->tensor_count; i++)
        if (t->net->tensors[i].is_matrix)
            out[n++] = layer_statistics(t, &t->net->tensors[i]);
    return n;
}

static void report(struct trainer *t) {
    struct tocsin_layer layers[TOC_NET_TENSORS_MAX];
    struct tocsin_report r = tocsin_report_init(t->step);
    r.loss = t->loss;
    r.grad_norm = t->grad_norm;
    r.lr = t->rate;
    r.step_seconds = t->step_s;
    r.tokens_per_second = (double)(g_shape.batch * g_shape.context) / t->step_s;
    r.memory_bytes = (double)toc_process_rss_bytes();
    r.memory_limit_bytes = (double)t->options->memory_limit_bytes;
    /* Once a second, and at once when something is not finite: the step where it starts names the
     * layer. */
    bool is_bad = !isfinite(t->loss) || !isfinite(t->grad_norm);
    if (is_bad || mono_ms() - t->layers_reported_ms >= LAYER_REPORT_EVERY_MS) {
        r.layer_count = all_layers(t, layers);
        r.layers = layers;
        t->layers_reported_ms = mono_ms();
    }
    tocsin_report(t->run, &r);
}

/* Waits until the step has lasted as long as its pace says; true: asked to stop. */
static bool pace(const struct trainer *t, int64_t step_started_ms) {
    int64_t want = t->options->step_ms;
    if (fault_is_on(t) && t->options->fault == TOC_DEMO_TRAIN_SLOW_STEP)
        want = (int64_t)((double)want * SLOW_FACTOR);
    int64_t left = want - (mono_ms() - step_started_ms);
    return toc_signals_wait_ms(left > 0 ? left : 0) == 's';
}

/* The loop stands still, alive, for as long as the fault lasts; true: asked to stop. */
static bool stall(struct trainer *t) {
    while (fault_is_on(t)) {
        if (toc_signals_wait_ms(100) == 's')
            return true;
        update_fault(t);
    }
    return false;
}

static int train(struct trainer *t) {
    const struct toc_demo_train_options *o = t->options;
    while (o->max_steps == 0 || t->step < o->max_steps) {
        int64_t started = mono_ms();
        update_fault(t);
        if (fault_is_on(t) && o->fault == TOC_DEMO_TRAIN_STALL && stall(t))
            break;
        if (fault_is_on(t) && o->fault == TOC_DEMO_TRAIN_OOM)
            return run_out_of_memory(t);
        if (fault_is_on(t) && o->fault == TOC_DEMO_TRAIN_MEMORY_LEAK)
            leak(t);
        train_step(t);
        bool is_stopped = pace(t, started);
        t->step_s = (double)(mono_ms() - started) / 1000.0;
        if (t->step_s <= 0)
            t->step_s = 0.001;
        report(t);
        if (t->step % CHECKPOINT_EVERY_STEPS == 0 && is_healthy(t)) {
            keep_checkpoint(t);
            tocsin_event(t->run, t->step, "checkpoint", "kept in memory");
        }
        if (is_stopped)
            break;
    }
    tocsin_finish(t->run, TOCSIN_FINISHED, NULL);
    return 0;
}

int toc_demo_train_main(const struct toc_demo_train_options *o) {
    static const struct tocsin_label labels[] = {{"model", "char-transformer"}, {"recipe", "demo"}};
    struct trainer t = {.options = o, .text = toc_demo_text()};
    toc_signals_init();
    toc_rng_seed(&t.rng, o->seed);
    t.net = toc_net_new(&g_shape, &t.rng);
    toc_adamw_init(&t.optimiser, t.net);
    t.checkpoint = toc_xcalloc(3 * t.net->parameter_count, sizeof(float));
    t.before = toc_xcalloc(t.net->parameter_count, sizeof(float));
    keep_checkpoint(&t); /* the beginning is a place to return to */
    t.run = tocsin_init(&(struct tocsin_options){
        .run = o->run, .url = o->url, .token = o->token, .labels = labels, .label_count = 2});
    int rc = train(&t);
    free_leak(&t);
    toc_free(t.checkpoint);
    toc_free(t.before);
    toc_adamw_fini(&t.optimiser);
    toc_net_free(&t.net);
    return rc;
}
