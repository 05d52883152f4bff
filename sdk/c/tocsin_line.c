/* Reports as lines; the format is docs/design/run-protocol.md. Apache-2.0. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tocsin_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYER_STATISTICS_MAX = 24 }; /* with the 8 of the struct the 32 that the receiver takes */

static const char *state_text(enum tocsin_state s) {
    static const char *const names[] = {"running", "evaluation", "checkpoint",
                                        "paused",  "finished",   "failed"};
    return names[s <= TOCSIN_FAILED ? s : TOCSIN_RUNNING];
}

/* What every line begins with. seq is assigned here: the caller holds the mutex until the line is
 * queued, so lines of a session are queued in the order of their numbers. */
static void begin_line(struct tocsin_run *run, struct tocsin_text *t) {
    int64_t ms = tocsin_now_ms(CLOCK_REALTIME);
    run->line_at_ms = tocsin_now_ms(CLOCK_MONOTONIC);
    tocsin_putf(t, "{\"t\":%lld.%03d,", (long long)(ms / 1000), (int)(ms % 1000));
    if (run->file) {
        tocsin_put_cstr(t, "\"run\":");
        tocsin_put_string(t, run->run);
        tocsin_put(t, ",", 1);
    }
    tocsin_putf(t, "\"session\":\"%s\",\"seq\":%llu", run->session, (unsigned long long)++run->seq);
    if (run->rank)
        tocsin_putf(t, ",\"rank\":%d", run->rank);
    if (run->dropped)
        tocsin_putf(t, ",\"dropped\":%llu", (unsigned long long)run->dropped);
}

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void tocsin_collective_begin(struct tocsin_run *run) {
    if (!run)
        return;
    atomic_store(&run->entered_ns, now_ns());
    atomic_fetch_add(&run->collectives, 1);
}

void tocsin_collective_end(struct tocsin_run *run) {
    int64_t since_ns = run ? atomic_exchange(&run->entered_ns, 0) : 0;
    if (since_ns)
        atomic_fetch_add(&run->collective_ns, (uint64_t)(now_ns() - since_ns));
}

static void put_collectives(struct tocsin_run *run, struct tocsin_text *t) {
    uint64_t entered = atomic_load(&run->collectives);
    if (entered)
        tocsin_putf(t, ",\"collectives_total\":%llu", (unsigned long long)entered);
}

/* Of one step, on the average of those since the report before. */
static void put_collective_seconds(struct tocsin_run *run, struct tocsin_text *t, int64_t step) {
    uint64_t ns = atomic_load(&run->collective_ns);
    int64_t steps = step - run->told_step;
    if (ns && run->told_step >= 0 && steps > 0)
        tocsin_put_field(t, "collective_seconds",
                         (double)(ns - run->told_collective_ns) / 1e9 / (double)steps);
    run->told_collective_ns = ns;
    run->told_step = step;
}

/* Step and state once more, when nothing else was told for a while; with the mutex held. */
void tocsin_add_sign_of_life(struct tocsin_run *run) {
    struct tocsin_text t = {0};
    begin_line(run, &t);
    if (run->last_step >= 0)
        tocsin_putf(&t, ",\"step\":%lld", (long long)run->last_step);
    tocsin_putf(&t, ",\"state\":\"%s\"", state_text(run->last_state));
    put_collectives(run, &t);
    tocsin_put_cstr(&t, "}\n");
    tocsin_enqueue(run, &t);
    free(t.p);
}

static void put_statistic(struct tocsin_text *t, size_t start, const char *name, double v) {
    if (tocsin_is_absent(v))
        return;
    if (t->n > start)
        tocsin_put(t, ",", 1);
    tocsin_put_string(t, name);
    tocsin_put(t, ":", 1);
    tocsin_put_number(t, v);
}

static void put_layer(struct tocsin_text *t, const struct tocsin_layer *l) {
    const struct {
        const char *name;
        double value;
    } fields[] = {
        {"grad_norm", l->grad_norm},
        {"param_mean", l->param_mean},
        {"param_std", l->param_std},
        {"param_min", l->param_min},
        {"param_max", l->param_max},
        {"update_ratio", l->update_ratio},
        {"zero_grad_ratio", l->zero_grad_ratio},
        {"nonfinite_ratio", l->nonfinite_ratio},
    };
    tocsin_put_string(t, l->name);
    tocsin_put_cstr(t, ":{");
    size_t start = t->n;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        put_statistic(t, start, fields[i].name, fields[i].value);
    for (size_t i = 0; i < l->statistic_count && i < LAYER_STATISTICS_MAX; i++)
        put_statistic(t, start, l->statistics[i].name, l->statistics[i].value);
    tocsin_put(t, "}", 1);
}

static void finish_line(struct tocsin_run *run, struct tocsin_text *t) {
    tocsin_put_cstr(t, "}\n");
    tocsin_enqueue(run, t);
    pthread_mutex_unlock(&run->mutex);
    free(t->p);
}

struct tocsin_report tocsin_report_init(int64_t step) {
    double none = tocsin_absent();
    return (struct tocsin_report){.step = step,
                                  .loss = none,
                                  .grad_norm = none,
                                  .lr = none,
                                  .step_seconds = none,
                                  .tokens_per_second = none,
                                  .memory_bytes = none,
                                  .memory_limit_bytes = none};
}

struct tocsin_layer tocsin_layer_init(const char *name) {
    double none = tocsin_absent();
    return (struct tocsin_layer){name, none, none, none, none, none, none, none, none, NULL, 0};
}

void tocsin_report(struct tocsin_run *run, const struct tocsin_report *r) {
    if (!run || !r)
        return;
    struct tocsin_text t = {0};
    pthread_mutex_lock(&run->mutex);
    begin_line(run, &t);
    tocsin_putf(&t, ",\"step\":%lld,\"state\":\"%s\"", (long long)r->step, state_text(r->state));
    run->last_step = r->step;
    run->last_state = r->state;
    put_collectives(run, &t);
    put_collective_seconds(run, &t, r->step);
    tocsin_put_field(&t, "loss", r->loss);
    tocsin_put_field(&t, "grad_norm", r->grad_norm);
    tocsin_put_field(&t, "lr", r->lr);
    tocsin_put_field(&t, "step_seconds", r->step_seconds);
    tocsin_put_field(&t, "tokens_per_second", r->tokens_per_second);
    tocsin_put_field(&t, "memory_bytes", r->memory_bytes);
    tocsin_put_field(&t, "memory_limit_bytes", r->memory_limit_bytes);
    for (size_t i = 0; i < r->metric_count; i++)
        tocsin_put_field(&t, r->metrics[i].name, r->metrics[i].value);
    if (r->layers && r->layer_count) {
        tocsin_put_cstr(&t, ",\"layers\":{");
        for (size_t i = 0; i < r->layer_count; i++) {
            if (i)
                tocsin_put(&t, ",", 1);
            put_layer(&t, &r->layers[i]);
        }
        tocsin_put(&t, "}", 1);
    }
    finish_line(run, &t);
}

void tocsin_say(struct tocsin_run *run, int64_t step, const char *event, const char *message,
                const char *state) {
    struct tocsin_text t = {0};
    pthread_mutex_lock(&run->mutex);
    begin_line(run, &t);
    if (step >= 0)
        tocsin_putf(&t, ",\"step\":%lld", (long long)step);
    tocsin_put_cstr(&t, ",\"event\":");
    tocsin_put_string(&t, event);
    if (message) {
        tocsin_put_cstr(&t, ",\"message\":");
        tocsin_put_string(&t, message);
    }
    if (state) {
        tocsin_putf(&t, ",\"state\":\"%s\"", state);
        if (strcmp(state, "running") != 0)
            run->last_state = TOCSIN_FINISHED; /* nothing comes after it */
    }
    put_collectives(run, &t);
    if (run->labels_json && strcmp(event, "start") == 0)
        tocsin_putf(&t, ",\"labels\":");
    if (run->labels_json && strcmp(event, "start") == 0)
        tocsin_put_cstr(&t, run->labels_json);
    finish_line(run, &t);
}

static bool is_known_event(const char *event) {
    static const char *const known[] = {"start",   "end",   "checkpoint", "checkpoint_failed",
                                        "restart", "error", "exit"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(event, known[i]) == 0)
            return true;
    return false;
}

void tocsin_event(struct tocsin_run *run, int64_t step, const char *event, const char *message) {
    if (!run || !event)
        return;
    if (!is_known_event(event)) {
        pthread_mutex_lock(&run->mutex);
        run->dropped++;
        pthread_mutex_unlock(&run->mutex);
        return;
    }
    /* An error that the job survives: without the state it would count as the end of the run. */
    tocsin_say(run, step, event, message, strcmp(event, "error") == 0 ? "running" : NULL);
}
