#include "app/demo/service.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/demo/service_metrics.h"
#include "app/demo/text.h"
#include "app/demo/transformer.h"
#include "base/alloc.h"
#include "codec/json_writer.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "sys/clock.h"
#include "sys/process.h"

/* One sequence at a time through a smaller net than the trainer's: about 1 ms per token on one
 * core. */
static const struct toc_net_shape g_shape = {
    .context = 48, .width = 48, .heads = 4, .blocks = 2, .batch = 1};

enum {
    PROMPT_CHARS = 24,
    GENERATED_CHARS = 20,
    LOAD_THREADS = 4,
    /* The planted latency of one request: a slow dependency, not a busy core. */
    LATENCY_FAULT_MS = 1500,
    ERROR_FAULT_PERCENT = 50,
};

struct service {
    const struct toc_demo_serve_options *options;
    struct toc_service_metrics metrics;
    struct toc_net *net;
    struct toc_mutex engine; /* one sequence at a time */
    struct toc_rng rng;      /* of the engine, under its mutex */
    struct toc_http_server *server;
    struct toc_event stop;
    int64_t started_ms;
    uint16_t port;
};

struct load {
    struct service *service;
    struct toc_thread thread;
    struct toc_rng rng;
};

int toc_demo_serve_fault_parse(const char *name) {
    if (strcmp(name, "latency") == 0)
        return TOC_DEMO_SERVE_LATENCY;
    if (strcmp(name, "error_burst") == 0)
        return TOC_DEMO_SERVE_ERROR_BURST;
    return strcmp(name, "none") == 0 ? TOC_DEMO_SERVE_NONE : -1;
}

static double now_s(void) {
    return (double)toc_clock_mono(toc_clock_system()).ns / 1e9;
}

static bool fault_is_on(const struct service *s, enum toc_demo_serve_fault fault) {
    int64_t age_ms = (int64_t)(now_s() * 1000.0) - s->started_ms;
    const struct toc_demo_serve_options *o = s->options;
    return o->fault == fault && age_ms >= o->fault_after_ms &&
           age_ms < o->fault_after_ms + o->fault_ms;
}

static int sample_token(struct service *s, const float *probabilities) {
    double left = toc_rng_unit(&s->rng);
    for (int v = 0; v < TOC_NET_VOCABULARY; v++) {
        left -= probabilities[v];
        if (left <= 0)
            return v;
    }
    return TOC_NET_VOCABULARY - 1;
}

struct timing {
    double arrived, first_token, last_token;
};

/* Generates after the prompt; out gets GENERATED_CHARS characters. */
static void generate(struct service *s, struct toc_sv prompt, char *out, struct timing *timing) {
    int tokens[PROMPT_CHARS + GENERATED_CHARS], count = 0;
    for (size_t i = 0; i < prompt.n && count < PROMPT_CHARS; i++)
        tokens[count++] = toc_net_token(prompt.p[i]);
    if (count == 0)
        tokens[count++] = toc_net_token(' ');
    int prompt_tokens = count;
    for (int i = 0; i < GENERATED_CHARS; i++) {
        int token = sample_token(s, toc_net_next(s->net, tokens, count));
        tokens[count++] = token;
        out[i] = toc_net_char(token);
        double now = now_s();
        toc_mutex_lock(&s->metrics.mutex);
        if (i == 0)
            toc_latency_observe(&s->metrics.ttft, now - timing->arrived);
        else
            toc_latency_observe(&s->metrics.inter_token, now - timing->last_token);
        toc_mutex_unlock(&s->metrics.mutex);
        timing->last_token = now;
    }
    toc_mutex_lock(&s->metrics.mutex);
    s->metrics.prompt_tokens += (uint64_t)prompt_tokens;
    s->metrics.generated_tokens += GENERATED_CHARS;
    toc_mutex_unlock(&s->metrics.mutex);
}

static bool draw_error(struct service *s) {
    toc_mutex_lock(&s->engine);
    bool is_error = toc_rng_below(&s->rng, 100) < ERROR_FAULT_PERCENT;
    toc_mutex_unlock(&s->engine);
    return is_error;
}

static void answer_error(struct service *s, struct toc_http_response *res) {
    toc_mutex_lock(&s->metrics.mutex);
    s->metrics.responses_5xx++;
    toc_mutex_unlock(&s->metrics.mutex);
    res->status = 500;
    toc_buf_append_cstr(&res->body,
                        "{\"error\":{\"message\":\"engine step failed\",\"code\":500}}");
}

static void add_waiting(struct service *s, int64_t waiting, int64_t running) {
    toc_mutex_lock(&s->metrics.mutex);
    s->metrics.waiting += waiting;
    s->metrics.running += running;
    toc_mutex_unlock(&s->metrics.mutex);
}

static void complete(struct service *s, const struct toc_http_request *req,
                     struct toc_http_response *res) {
    struct timing timing = {.arrived = now_s()};
    char text[GENERATED_CHARS];
    if (fault_is_on(s, TOC_DEMO_SERVE_ERROR_BURST) && draw_error(s)) {
        answer_error(s, res);
        return;
    }
    add_waiting(s, 1, 0);
    if (fault_is_on(s, TOC_DEMO_SERVE_LATENCY))
        toc_sleep_ms(LATENCY_FAULT_MS);
    toc_mutex_lock(&s->engine);
    add_waiting(s, -1, 1);
    generate(s, req->body, text, &timing);
    toc_mutex_unlock(&s->engine);
    toc_mutex_lock(&s->metrics.mutex);
    s->metrics.running--;
    s->metrics.finished_length++;
    s->metrics.responses_2xx++;
    toc_latency_observe(&s->metrics.e2e, now_s() - timing.arrived);
    toc_mutex_unlock(&s->metrics.mutex);
    struct toc_json_writer w;
    toc_json_writer_init(&w, &res->body);
    toc_json_begin_object(&w);
    toc_json_kv_string(&w, "text", toc_sv_make(text, sizeof text));
    toc_json_kv_cstr(&w, "finish_reason", "length");
    toc_json_end_object(&w);
}

static void handle(void *ctx, const struct toc_http_request *req, struct toc_http_response *res) {
    struct service *s = ctx;
    if (toc_sv_eq(req->path, TOC_SV("/metrics"))) {
        res->content_type = "text/plain; version=0.0.4; charset=utf-8";
        toc_service_metrics_write(&s->metrics, &res->body);
    } else if (toc_sv_eq(req->path, TOC_SV("/v1/completions")) &&
               toc_sv_eq(req->method, TOC_SV("POST"))) {
        complete(s, req, res);
    } else if (toc_sv_eq(req->path, TOC_SV("/health"))) {
        toc_buf_append_cstr(&res->body, "{}");
    } else {
        res->status = 404;
        toc_buf_append_cstr(&res->body, "{\"error\":\"not found\"}");
    }
}

/* Exponential gaps: the load of many independent clients. */
static int64_t next_gap_ms(struct load *l) {
    double rate = l->service->options->requests_per_s / LOAD_THREADS;
    return (int64_t)(-log(1.0 - toc_rng_unit(&l->rng)) / rate * 1000.0) + 1;
}

static void send_load(void *ctx) {
    struct load *l = ctx;
    struct toc_http_client *client = toc_http_client_new();
    struct toc_sv text = toc_demo_text();
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/completions", l->service->port);
    while (!toc_event_wait_ms(&l->service->stop, next_gap_ms(l))) {
        size_t at = (size_t)toc_rng_below(&l->rng, text.n - PROMPT_CHARS);
        struct toc_http_call call = {.url = url, .body = toc_sv_sub(text, at, PROMPT_CHARS)};
        struct toc_http_result result = {0};
        struct toc_err err = {0};
        if (toc_http_perform(client, &call, &result, &err) < 0)
            fprintf(stderr, "demo-serve: a request failed: %s\n", err.message);
        toc_http_result_fini(&result);
    }
    toc_http_client_free(&client);
}

static int start(struct service *s) {
    struct toc_err err = {0};
    const struct toc_http_server_options options = {.host = "127.0.0.1",
                                                    .port = s->options->port,
                                                    .threads = LOAD_THREADS + 1,
                                                    .handler = handle,
                                                    .ctx = s,
                                                    .max_connections = 64,
                                                    .max_body_bytes = 1 << 16};
    int rc = toc_http_server_start(&options, &s->server, &err);
    if (rc < 0) {
        fprintf(stderr, "demo-serve: %s\n", err.message);
        return rc;
    }
    s->port = toc_http_server_port(s->server);
    return 0;
}

int toc_demo_serve_main(const struct toc_demo_serve_options *o) {
    struct service s = {.options = o, .started_ms = (int64_t)(now_s() * 1000.0)};
    struct load loads[LOAD_THREADS];
    struct toc_err err = {0};
    toc_signals_init();
    if (toc_net_init(&err) < 0) {
        fprintf(stderr, "demo-serve: %s\n", err.message);
        return 1;
    }
    toc_service_metrics_init(&s.metrics);
    toc_mutex_init(&s.engine, TOC_LOCK_SERIES);
    toc_event_init(&s.stop);
    toc_rng_seed(&s.rng, o->seed);
    s.net = toc_net_new(&g_shape, &s.rng);
    int rc = start(&s);
    for (int i = 0; rc == 0 && i < LOAD_THREADS; i++) {
        loads[i] = (struct load){.service = &s};
        toc_rng_seed(&loads[i].rng, o->seed + 1 + (uint64_t)i);
        if (toc_thread_start(&loads[i].thread, "load", send_load, &loads[i]) < 0)
            loads[i].thread.is_running = false;
    }
    while (rc == 0 && toc_signals_wait_ms(1000) != 's')
        ;
    toc_event_set(&s.stop);
    for (int i = 0; rc == 0 && i < LOAD_THREADS; i++)
        toc_thread_join(&loads[i].thread);
    toc_http_server_stop(&s.server);
    toc_net_free(&s.net);
    toc_event_fini(&s.stop);
    toc_mutex_fini(&s.engine);
    toc_service_metrics_fini(&s.metrics);
    toc_net_fini();
    return rc == 0 ? 0 : 1;
}
